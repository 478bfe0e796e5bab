"""The generative recommender: its tokens, what it is told, its probabilities, and that it trains and plays."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("sklearn")

import torch
from reproducible import check_training

import recsys_env
from baselines.algorithms import Generative
from baselines.generative_learner import GenerativeLearner, log_pages, losses, pretrain
from baselines.train import train
from baselines.training import begin
from recsys_env.policies import make_policy
from recsys_env.policies.base import feedback
from recsys_env.trained.generative import OUTCOMES, GenerativeNetwork, GenerativePage, HistoryObserver, PageHistory
from recsys_env.trained.semantic_ids import SemanticIds
from recsys_env.trained.sizes import SIZES, Size

TINY: dict[str, Any] = {
    "task": "ecommerce-v1",
    "timesteps": 600,
    "num_envs": 4,
    "n_steps": 30,
    "batch_size": 64,
    "n_epochs": 1,
    "width": 8,
    "threads": 1,
    "device": "cpu",
    "compare": (),
    "eval_episodes": 2,
    "pages": 600,
    "passes": 1,
}


def options(out: Path, **settings: Any) -> Generative:
    said = {**TINY, **settings}
    return Generative(**{**said, "set": (*said.get("set", ()), "horizon=20")}, out=out)


# ------------------------------------------------------------------------------------------------ tokens


def test_tokens_go_from_coarse_to_fine() -> None:
    vectors = recsys_env.vector_env("streaming-v1").world.item_vectors
    ids = SemanticIds.fit(vectors, levels=3, size=16)
    codes = ids(vectors)
    assert codes.shape == (len(vectors), 3)
    assert codes.min() >= 1
    assert codes.max() <= 16
    left = (SemanticIds(ids.centres[:n]).decode(codes[:, :n]) - vectors for n in (1, 2, 3))
    errors = [float((each**2).sum(1).mean()) for each in left]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.6 * errors[0]
    alike = vectors @ vectors.T
    same = (codes[:, :1] == codes[:, 0]) & ~np.eye(len(vectors), dtype=bool)
    assert alike[same].mean() > alike[~same].mean() + 0.3
    with pytest.raises(ValueError, match="3 vectors give no 16 centres"):
        SemanticIds.fit(vectors[:3])


def test_a_story_tells_what_came_of_the_last_pages() -> None:
    codes = np.arange(1, 13).reshape(6, 2)
    story = PageHistory(rows=(1, 1), users=2, length=3, levels=2)

    def page(
        place: int, visitor: int, shown: list[int], click: int = -1, cart: bool = False, buy: bool = False
    ) -> None:
        clicked = np.array([[[k == click for k in range(len(shown))]]])
        events = {"clicked": clicked, "cart": clicked & cart, "bought": clicked & buy}
        told = {"visitor": np.array([[visitor]]), "shown": np.array([[shown]]), **events}
        story.record(np.array([place]), told, codes[np.array([[shown]])])

    def told(place: int, visitor: int) -> list[list[int]]:
        return story.recall(np.array([place]), np.array([[visitor]]))[0, 0].tolist()

    page(0, 7, [3, 1])
    assert told(0, 7) == [[0, 0, 0], [0, 0, 0], [7, 8, 1]]  # ignored: told by the first item
    page(0, 7, [3, 1], click=1)
    page(0, 7, [-1, 5], click=1, cart=True)
    page(0, 7, [0, 2], click=0, cart=True, buy=True)
    assert told(0, 7) == [[3, 4, 2], [11, 12, 3], [1, 2, 4]]
    assert told(1, 7) == told(0, 8) == [[0, 0, 0]] * 3  # other places, strangers
    page(1, -1, [0, 2], click=0)  # nobody was there
    page(0, 8, [2, 0])
    assert told(0, 8) == [[0, 0, 0], [0, 0, 0], [5, 6, 1]]
    story.forget(np.array([True]))
    assert told(0, 8) == [[0, 0, 0]] * 3
    assert OUTCOMES == ("ignored", "clicked", "carted", "bought")


def test_a_policy_is_told_what_the_learner_was(tmp_path: Path) -> None:
    """Of the same game, column by column: observations, events, tokens of the candidates."""
    envs = recsys_env.vector_env("ecommerce-v1", 3, horizon=30)
    ids = SemanticIds.fit(envs.world.item_vectors)
    all_of_them = HistoryObserver(envs, ids, 4)
    one = HistoryObserver(envs, ids, 4, ["recommender_1"])
    observations, _ = envs.reset(seed=2)
    rng, told = np.random.default_rng(0), 0
    for _ in range(45):
        both, mine = all_of_them.read(), one.extended(observations[:, 1:2])
        np.testing.assert_array_equal(both[:, 1:2], mine)
        told += int((mine[..., envs.observation_space.shape[0] : -60] != 0).any())
        actions = rng.integers(0, 20, (3, 2, 5))
        observations, _, _, truncated, infos = envs.step(actions)
        all_of_them.record(infos, truncated)
        own = {name: value[:, None] for name, value in feedback(infos, 1).items() if name[:5] != "later"}
        one.record(own, truncated)
    assert told > 20


# ------------------------------------------------------------------------------------------------ probabilities


def network_of(task: str = "streaming-v1", **sizes: int) -> tuple[GenerativeNetwork, HistoryObserver]:
    envs = recsys_env.vector_env(task, 8)
    size = Size(
        width=16, layers=1, heads=2, **{"levels": 2, "tokens": 5, "events": 3, "dims": envs.shape.dims, **sizes}
    )
    observer = HistoryObserver(envs, SemanticIds.fit(envs.world.item_vectors, size.levels, size.tokens), size.events)
    torch.manual_seed(0)
    network = GenerativeNetwork(observer.layout, size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    envs.reset(seed=0)
    return network, observer


def test_the_probabilities_of_all_items_that_tokens_can_name_sum_to_one() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    every = torch.tensor(list(itertools.product(range(1, 6), repeat=2)))
    found = network.log_likelihood(network.state(page), every.expand(8, -1, -1))
    torch.testing.assert_close(found.exp().sum(1), torch.ones(8))
    assert found.exp().std(1).min() > 1e-3


def test_scores_do_not_depend_on_what_stands_beside() -> None:
    """A candidate's log P is that of its tokens alone, wherever it stands and whatever else is there."""
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    state = network.state(page)
    together = network.log_likelihood(state, page.codes)
    for c in (0, 7):
        torch.testing.assert_close(network.log_likelihood(state, page.codes[:, c : c + 1])[:, 0], together[:, c])


def test_the_state_depends_on_each_event_that_there_was_and_on_no_missing_one() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    events = torch.zeros_like(page.events)
    events[:, 1:] = torch.tensor([[1, 2, 3], [4, 5, 1]])
    state = network.state(page._replace(events=events))
    for place in (1, 2):
        other = events.clone()
        other[:, place, 0] = 3
        assert (network.state(page._replace(events=other)) - state).abs().max() > 1e-3
    missing = events.clone()
    missing[:, 0, :-1] = 4  # tokens without an outcome: there was no such page
    torch.testing.assert_close(network.state(page._replace(events=missing)), state)


# ------------------------------------------------------------------------------------------------ training


def test_pre_training_finds_what_is_clicked(tmp_path: Path) -> None:
    training = begin(options(tmp_path, task="streaming-v1", pages=0))
    learner = GenerativeLearner(training, training.algorithm)
    pages = log_pages(training.config, learner.ids, learner.size.events, "random", 12_000, seed=0)
    assert bool(pages.shown[torch.arange(len(pages)), pages.clicked].all())
    assert (pages.shown.sum(1) <= training.config.slots).all()
    (network,) = (agent.actor for agent in learner.agents.values())
    network.measure(pages.seen)
    told = pretrain(network, pages, options(tmp_path, passes=4, batch_size=256), torch.device("cpu"))
    assert told[-1]["slate"] < told[0]["slate"] - 0.03
    assert told[-1]["items"] < told[0]["items"] - 0.03
    rows = torch.arange(len(pages))
    assert losses(network, pages.take(rows))[1] < losses(network, pages.take(rows.flip(0)))[1] + 1e-4


@pytest.mark.parametrize(
    "kind", [{}, {"task": "journey-v1", "separate": True}, {"catalogues": 2}, {"background": ("random",), "pages": 0}]
)
def test_it_trains_and_its_folder_is_a_policy(kind: dict[str, Any], tmp_path: Path) -> None:
    first = train(options(tmp_path / "1", **kind)) if "background" in kind else check_training(options, tmp_path, kind)
    assert first["training"]["agent_steps"] >= 600
    policy: Any = make_policy(tmp_path / "1")
    assert len(policy.facts["pretraining"]) == (0 if kind.get("pages") == 0 else 2)


def test_a_run_that_goes_on_knows_how_it_was_pretrained(tmp_path: Path) -> None:
    train(options(tmp_path))
    before: Any = make_policy(tmp_path)
    train(options(tmp_path, timesteps=1200, resume=True))
    after: Any = make_policy(tmp_path)
    assert after.facts["pretraining"] == before.facts["pretraining"] != []


def test_a_minibatch_in_parts_is_the_same_minibatch(tmp_path: Path) -> None:
    ends = []
    for parts in (1, 3):
        result = train(options(tmp_path / str(parts), accumulate=parts))
        policy: Any = make_policy(tmp_path / str(parts))
        ends.append(([*policy.facts["pretraining"][-1].values()], result["after"]["mean"]))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-4)
    assert ends[0][1] == pytest.approx(ends[1][1], abs=0.5)


@pytest.mark.parametrize(("pages", "body"), [(64, 0.1), (0, 1.0)])
def test_what_was_pre_trained_moves_slowly(pages: int, body: float, tmp_path: Path) -> None:
    run = options(tmp_path, pages=pages)
    learner = GenerativeLearner(begin(run), run)
    ((name, agent),) = learner.agents.items()
    groups = learner.optimisers[name].param_groups
    paces = {id(part): group["pace"] for group in groups for part in group["params"]}
    assert len(paces) == sum(len(group["params"]) for group in groups) == len([*agent.parameters()])
    assert {paces[id(part)] for part in agent.actor.body.parameters()} == {body}
    assert {paces[id(part)] for part in (agent.actor.likelihood, *agent.critic.parameters())} == {1.0}


def test_scores_are_the_sum_of_their_parts() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    there = (page.features != 0).any(2)
    torch.testing.assert_close(network.parts(page).sum(2)[there], network(page)[0][there])


def test_idle_agents_take_no_part() -> None:
    """Pages among idle ones are scored as they are alone."""
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    busy = page.codes.flatten(1).any(1).nonzero().squeeze(1)
    alone = network(GenerativePage(*(part[busy] for part in page)))[0]
    features, codes = page.features.clone(), page.codes.clone()
    features[busy[:1]], codes[busy[:1]] = 0.0, 0
    found = network(page._replace(features=features, codes=codes))[0]
    assert len(busy) > 2
    assert not found[busy[:1]].any()
    torch.testing.assert_close(found[busy[1:]], alone[1:])
    for rows in (0, 2):  # nobody, and idle ones alone
        assert not network(GenerativePage(*(torch.zeros_like(part[:rows]) for part in page)))[0].any()


def test_softer_scores_rank_alike() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    with torch.no_grad():
        before = network(page)[0]
        network.soften(0.25)
        torch.testing.assert_close(network(page)[0][page.allowed], 0.25 * before[page.allowed])


def test_half_precision_is_close_to_single() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    single = network(page)[0]
    network.bf16 = True
    half = network(page)[0]
    assert half.dtype == torch.float32
    assert 0 < (half - single).abs().max() < 0.2


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_scores_alike(tmp_path: Path) -> None:
    training = begin(options(tmp_path, pages=0))
    plain, fast = (
        GenerativeLearner(training, dataclasses.replace(training.algorithm, compile=compiled)).agents["shared"].actor
        for compiled in (False, True)
    )
    fast.load_state_dict(plain.state_dict())
    page = plain.read(torch.rand(7, plain.layout.observation))
    torch.testing.assert_close(plain(page)[0], fast(page)[0], rtol=1e-4, atol=1e-5)


def test_sizes_have_the_parameters_that_they_are_called() -> None:
    _, observer = network_of(levels=3, tokens=16, events=8)
    for name, size in SIZES.items():
        with torch.device("meta"):
            network = GenerativeNetwork(observer.layout, Size(**{**vars(size), "dims": 16}))
        count = sum(parameter.numel() for parameter in network.parameters())
        wanted = float(name[:-1]) * {"m": 1e6, "b": 1e9}[name[-1]]
        assert 0.7 < count / wanted < 1.4, (name, count)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "2m"}, "--size = '2m' must be one of 0.1m, 0.3m"),
        ({"memory": 4}, "--memory = 4: generative looks back on pages by itself"),
        ({"loggers": ()}, "--loggers names nothing"),
        ({"task": "duel-v1"}, "generative chooses among candidates; here action = 'items'"),
    ],
)
def test_what_it_cannot_do_is_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        begin(options(tmp_path, **settings))
