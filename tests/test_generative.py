"""The generative recommender: its tokens, what it is told, its probabilities, and that it trains and plays.

GRPO, which trains it without a critic, is in `test_grpo.py`.
"""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
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
from baselines import ppo_torch
from baselines.algorithms import Generative
from baselines.generative_learner import GenerativeLearner
from baselines.generative_pretraining import losses, predictors
from baselines.logged_pages import LoggedPages, log_pages, split
from baselines.pretraining import pretrain
from baselines.train import train
from baselines.training import begin
from recsys_env.policies import Team, make_policy
from recsys_env.policies.base import feedback
from recsys_env.trained.generative import OUTCOMES, GenerativeNetwork, GenerativePage, HistoryReader, PageHistory
from recsys_env.trained.semantic_ids import SemanticIds, Trie
from recsys_env.trained.sizes import Size

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
    "pages": 1200,
    "pretraining_steps": 4,
    "validate_every": 2,
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
        SemanticIds.fit(vectors[:3], size=16)


def test_no_two_items_have_the_same_code() -> None:
    """Also where vectors are equal, and with few changes: what is alone below its first tokens takes the nearest."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 3)).astype(np.float32)
    vectors[10:14] = vectors[10]
    ids = SemanticIds.fit(vectors, levels=2, size=12)
    codes = ids(vectors)
    assert len(np.unique(codes, axis=0)) == 40
    left = vectors - ids.centres[0][codes[:, 0] - 1]
    nearest = ((left[:, None] - ids.centres[1]) ** 2).sum(2).argmin(1) + 1
    alone = [(codes[:, 0] == first).sum() == 1 for first in codes[:, 0]]
    np.testing.assert_array_equal(codes[alone, 1], nearest[alone])
    with pytest.raises(ValueError, match="13 items share their first 1 tokens, and the last one tells only 12 apart"):
        ids(np.repeat(vectors[:1], 13, axis=0))


def test_a_trie_leads_to_each_item_of_its_catalogue_and_to_no_other() -> None:
    rng = np.random.default_rng(1)
    every = np.array(list(np.ndindex(4, 4, 4))) + 1
    catalogues = [every[rng.permutation(64)[:20]] for _ in range(2)]
    trie = Trie.of(catalogues, 4)
    for world, codes in enumerate(catalogues):
        found = {}
        for code in every:
            node = world
            for token in code:
                node = trie.following[node, token - 1] if node >= 0 else -1
            if node >= 0:
                found[node] = code
        assert sorted(found) == list(range(20 * world, 20 * world + 20))
        np.testing.assert_array_equal([found[item] for item in sorted(found)], codes)
    np.testing.assert_array_equal(trie.path[:, 0], np.repeat([0, 1], 20))


def test_a_story_tells_what_came_of_the_last_pages() -> None:
    story = PageHistory(rows=(1, 1), users=2, length=3)

    def page(
        place: int, visitor: int, shown: list[int], click: int = -1, cart: bool = False, buy: bool = False
    ) -> None:
        clicked = np.array([[[k == click for k in range(len(shown))]]])
        events = {"clicked": clicked, "cart": clicked & cart, "bought": clicked & buy}
        told = {"visitor": np.array([[visitor]]), "shown": np.array([[shown]]), **events}
        story.record(np.array([place]), told, np.array([[shown]]))

    def told(place: int, visitor: int) -> list[list[int]]:
        return story.recall(np.array([place]), np.array([[visitor]]))[0, 0].tolist()

    page(0, 7, [3, 1])
    assert told(0, 7) == [[0, 0], [0, 0], [4, 1]]  # ignored: told by the first item
    page(0, 7, [3, 1], click=1)
    page(0, 7, [-1, 5], click=1, cart=True)
    page(0, 7, [0, 2], click=0, cart=True, buy=True)
    assert told(0, 7) == [[2, 2], [6, 3], [1, 4]]
    assert told(1, 7) == told(0, 8) == [[0, 0]] * 3  # other places, strangers
    page(1, -1, [0, 2], click=0)  # nobody was there
    page(0, 8, [2, 0])
    assert told(0, 8) == [[0, 0], [0, 0], [3, 1]]
    page(0, 8, [-1, -1])  # nothing was shown
    assert told(0, 8) == [[0, 0], [3, 1], [0, 0]]
    story.forget(np.array([True]))
    assert told(0, 8) == [[0, 0]] * 3
    assert OUTCOMES == ("ignored", "clicked", "carted", "bought")


def test_a_policy_is_told_what_the_learner_was(tmp_path: Path) -> None:
    """Of the same game, column by column: observations, events, candidates."""
    envs = recsys_env.vector_env("ecommerce-v1", 3, horizon=30)
    all_of_them = HistoryReader(envs, 4)
    one = HistoryReader(envs, 4, ["recommender_1"])
    observations, _ = envs.reset(seed=2)
    rng, told = np.random.default_rng(0), 0
    for _ in range(45):
        both, mine = all_of_them.read(), one.extended(observations[:, 1:2])
        np.testing.assert_array_equal(both[:, 1:2], mine)
        told += int((mine[..., envs.observation_space.shape[0] : -20] != 0).any())
        actions = rng.integers(0, 20, (3, 2, 5))
        observations, _, _, truncated, infos = envs.step(actions)
        all_of_them.record(infos, truncated)
        own = {name: value[:, None] for name, value in feedback(infos, 1).items() if name[:5] != "later"}
        one.record(own, truncated)
    assert told > 20


# ------------------------------------------------------------------------------------------------ probabilities


def network_of(task: str = "streaming-v1", **sizes: int) -> tuple[GenerativeNetwork, HistoryReader]:
    envs = recsys_env.vector_env(
        task, 8, **({"action": "items", "mask_actions": True} if sizes.pop("whole", 0) else {})
    )
    size = Size(
        width=16, layers=1, heads=2, **{"levels": 3, "tokens": 20, "events": 3, "dims": envs.shape.dims, **sizes}
    )
    ids = SemanticIds.fit(envs.world.item_vectors, size.levels, size.tokens)
    observer = HistoryReader(envs, size.events)
    torch.manual_seed(0)
    network = GenerativeNetwork(observer.layout, size)
    network.list_items(Trie.of([ids(envs.world.item_vectors)], size.tokens))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    envs.reset(seed=0)
    return network, observer


def test_the_probabilities_of_all_items_of_the_catalogue_sum_to_one() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    state = network.state(page)
    found = network.catalogue_log_likelihood(state)
    assert found.shape == (8, 400)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(8))
    assert found.exp().std(1).min() > 1e-3
    torch.testing.assert_close(network.log_likelihood(state, torch.arange(400).expand(8, -1)), found)


def test_a_beam_as_wide_as_the_catalogue_finds_the_best_items_in_order() -> None:
    """Among those that can be shown; a narrow one finds most of them, and never what cannot be shown."""
    network, observer = network_of(whole=1)
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    state, rng = network.state(page), torch.Generator().manual_seed(0)
    allowed = torch.rand(8, 400, generator=rng) < torch.tensor([1.0, 0.9, 0.5, 0.2, 0.05, 0.01, 0.5, 0.5])[:, None]
    allowed[:, 0] = True
    exact = network.catalogue_log_likelihood(state).masked_fill(~allowed, -torch.inf)
    items, log_p = network.beam(state, allowed, 400)
    for row in range(8):
        count = int(allowed[row].sum())
        np.testing.assert_array_equal(items[row, :count], exact[row].argsort(descending=True)[:count])
        torch.testing.assert_close(log_p[row, :count], exact[row].sort(descending=True).values[:count])
        assert (log_p[row, count:] < -1e8).all()
    few, log_p = network.beam(state, allowed, 12)
    assert allowed.gather(1, few)[log_p > -1e8].all()
    best = exact.topk(5).indices
    assert (few[:, :5, None] == best[:, None])[:4].any(1).float().mean() > 0.5


def test_the_state_depends_on_each_event_that_there_was_and_on_no_missing_one() -> None:
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    events = torch.zeros_like(page.events)
    events[:, 1:] = torch.tensor([[11, 3], [205, 1]])
    state = network.state(page._replace(events=events))
    for place in (1, 2):
        other = events.clone()
        other[:, place, 0] = 3
        assert (network.state(page._replace(events=other)) - state).abs().max() > 1e-3
    missing = events.clone()
    missing[:, 0, 0] = 4  # an item without an outcome: there was no such page
    torch.testing.assert_close(network.state(page._replace(events=missing)), state)


# ------------------------------------------------------------------------------------------------ training


def test_the_clicks_of_a_page_and_none_are_alternatives() -> None:
    """Probabilities sum to 1, holes have none, and they follow the scores by which the page is ranked."""
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    busy = (page.items >= 0).any(1).nonzero().squeeze(1)
    page = GenerativePage(*(part[busy] for part in page))
    state = network.state(page)
    slots = torch.tensor([[3, 8, -1]]).expand(len(busy), -1)
    found = network.outcomes(page, state, slots)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(busy)))
    assert (found[:, 2] < -1e8).all()
    scores = network.scores(page, state)[0]
    torch.testing.assert_close(found[:, 0] - found[:, 1], scores[:, 3] - scores[:, 8])
    torch.testing.assert_close(found[:, 0] - found[:, 3], scores[:, 3] - network.heads(state)[0][:, 0])


def pages_of(network: GenerativeNetwork, **said: Any) -> LoggedPages:
    """Pages without context, given "events" [P, H, 2] and fields of the log."""
    events = torch.tensor(said.pop("events"), dtype=torch.float32).flatten(1)
    seen = torch.zeros(len(events), network.layout.observation)
    seen[:, network.layout.observation - network.layout.candidates - events.shape[1] :][:, : events.shape[1]] = events
    slots = torch.tensor(said["items"])
    people = torch.arange(len(events)).unsqueeze(1).expand(-1, 4)
    return LoggedPages(seen, slots, slots, torch.tensor(said["clicked"]), torch.zeros(len(events)), people)


def test_simple_predictors_lose_what_can_be_worked_out_by_hand() -> None:
    network, _ = network_of(whole=1, events=2)
    nothing, after_3 = [[0, 0], [0, 0]], [[4, 2], [9, 1]]  # item 3 was clicked, then item 8 was ignored
    pages = pages_of(
        network,
        events=[nothing, after_3, after_3, after_3, after_3],
        items=[[5, 6], [7, 6], [7, 6], [6, 7], [6, 7]],
        clicked=[0, 0, 0, 0, 2],
    )
    validation = pages_of(network, events=[after_3, nothing, [[0, 0], [5, 3]]], items=[[7, 1]] * 3, clicked=[0, 0, 1])
    nats = predictors(network, pages, validation)
    found = nats["items"]
    assert found["uniform"] == pytest.approx(np.log(400))
    unigram = {item: (count + 1) / 404 for item, count in {5: 1, 6: 1, 7: 2, 1: 0}.items()}
    assert found["unigram"] == pytest.approx(-np.log([unigram[7], unigram[7], unigram[1]]).mean())
    after = (2 + 2 * unigram[7]) / (3 + 2)  # three clicks after item 3, on two items
    assert found["bigram"] == pytest.approx(-np.log([after, unigram[7], unigram[1]]).mean())
    assert nats["page"]["base rate"] == pytest.approx(-np.log(4 / 5 / 2))  # four of five have a click on one of two


def test_visitors_are_held_out_not_pages() -> None:
    pages = log_pages(recsys_env.task_config("streaming-v1", {"horizon": 40}), 3, "random", 4000, seed=0)
    torch.manual_seed(0)
    rest, validation = split(pages)
    assert len(rest) + len(validation) == len(pages)
    some, others = ({tuple(who) for who in part.people.tolist()} for part in (rest, validation))
    assert not some & others
    assert 0.05 < len(validation) / len(pages) < 0.15
    assert len(some | others) < len(pages) / 3  # many pages each
    with pytest.raises(ValueError, match="hold too few clicks; give more --pages"):
        split(pages.take(torch.arange(2)))


def test_logged_pages_hold_what_was_shown_clicked_and_earned() -> None:
    config = recsys_env.task_config("streaming-v1", {"horizon": 40})
    pages = log_pages(config, 3, "random", 4000, seed=0, first=1000)
    assert len(pages) >= 4000
    assert 0.03 < pages.has_click.float().mean() < 0.3
    network, _ = network_of()
    listed = network.read(pages.seen).items  # numbers, because the log is that of a further world
    shown = pages.slots >= 0
    assert shown.float().mean() > 0.9
    np.testing.assert_array_equal(listed.gather(1, pages.slots.clamp_min(0))[shown], pages.items[shown])
    assert (pages.items[shown] >= 1000).all()
    clicks = pages.has_click.nonzero().squeeze(1)
    assert shown[clicks, pages.clicked[clicks]].all()
    assert pages.returns[clicks].mean() > pages.returns.mean() > 0


def test_pre_training_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    """With a learning rate of 0.5 nothing gets better: the weights from before remain."""
    run = options(tmp_path, task="streaming-v1", pages=0, pretraining_rate=0.5, validate_every=1, patience=2)
    learner = GenerativeLearner(begin(run), run)
    pages, validation = split(log_pages(begin(run).config, learner.recommender.size.events, "random", 4000, seed=0))
    (network,) = (agent.actor for agent in learner.agents.values())
    network.measure(pages.seen)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run = dataclasses.replace(run, pretraining_steps=50)
    told = pretrain(network, partial(losses, network), pages, validation, run, torch.device("cpu"))
    best = min(range(len(told)), key=lambda i: told[i]["items"] + told[i]["page"])
    assert len(told) == best + 3 < 50
    if best == 0:
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_pages_that_led_to_more_count_more(tmp_path: Path) -> None:
    """Two items are clicked equally often; only one leads to reward."""
    network, _ = network_of(whole=1, events=2)
    events = [[[0, 0], [0, 0]]] * 256
    pages = pages_of(network, events=events, items=[[5, 6]] * 256, clicked=[0, 1] * 128)
    pages = dataclasses.replace(pages, returns=torch.tensor([0.0, 1.0] * 128))
    ends = []
    for weight in (0.0, 1.0):
        copy, _ = network_of(whole=1, events=2)
        copy.load_state_dict(network.state_dict())
        run = options(tmp_path, reward_weight=weight, pretraining_steps=60, validate_every=60, pretraining_rate=3e-3)
        torch.manual_seed(0)
        pretrain(copy, partial(losses, copy), pages, pages, run, torch.device("cpu"))
        page = copy.read(pages.seen[:1])
        ends.append(copy.log_likelihood(copy.state(page), torch.tensor([[5, 6]]))[0].detach())
    assert abs(float(ends[0][1] - ends[0][0])) < 0.7
    assert float(ends[1][1] - ends[1][0]) > 1.2  # 2, if it is learned in full


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"background": ("random",), "pages": 0},
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (
                {"task": "journey-v1", "separate": True},
                {"catalogues": 2, "reward_weight": 0.5},
                {"task": "ecommerce-v1,action=items"},
            )
        ),
    ],
)
def test_it_trains_and_its_folder_is_a_policy(kind: dict[str, Any], tmp_path: Path) -> None:
    first = train(options(tmp_path / "1", **kind)) if "background" in kind else check_training(options, tmp_path, kind)
    assert first["training"]["agent_steps"] >= 600
    policy: Any = make_policy(tmp_path / "1")
    told = policy.facts["pretraining"]
    assert [point["step"] for point in told["curve"]] == ([] if kind.get("pages") == 0 else [0, 2, 4])
    assert set(told["beside"]) == (set() if kind.get("pages") == 0 else {"items", "page"})


def test_over_the_whole_catalogue_it_shows_what_can_be_shown(tmp_path: Path) -> None:
    """With masks or without; also in a catalogue that it was not trained in.

    One agent is alone, because of two that show the same item only one does.
    """
    game: dict[str, Any] = {"num_agents": 1, "action": "items", "items": {"life": 5, "period": 15}}
    run = options(
        tmp_path, task="news-v1", pages=0, set=("num_agents=1", "action=items", "items.life=5", "items.period=15")
    )
    GenerativeLearner(begin(run), run).save(tmp_path)
    for world in (0, 5):
        shown = []
        for masked in (True, False):
            envs = recsys_env.vector_env("news-v1", 6, **game, mask_actions=masked, world_seed=world)
            team = Team(envs, dict.fromkeys(envs.possible_agents, str(tmp_path)), 0)
            observations, _ = envs.reset(seed=4)
            actions = envs.empty_actions()
            for _ in range(12):
                team.act(observations, actions)
                active, listed = envs.active.copy(), envs.public_items()["available"]
                observations, _, _, truncated, infos = envs.step(actions)
                team.observe(infos, truncated)
                assert (infos["shown"][active] >= 0).all()  # no hole
                shown.append(infos["shown"].copy())
        np.testing.assert_array_equal(shown[:12], shown[12:])
        assert not listed.all()


@pytest.mark.parametrize(("pages", "body"), [(1200, 0.1), (0, 1.0)])
def test_what_was_pre_trained_moves_slowly(pages: int, body: float, tmp_path: Path) -> None:
    run = options(tmp_path, pages=pages)
    learner = GenerativeLearner(begin(run), run)
    ((name, agent),) = learner.agents.items()
    groups = learner.optimisers[name].param_groups
    paces = {id(part): group["pace"] for group in groups for part in group["params"]}
    assert len(paces) == sum(len(group["params"]) for group in groups) == len([*agent.parameters()])
    assert {paces[id(part)] for part in agent.actor.body.parameters()} == {body}
    assert {paces[id(part)] for part in (agent.actor.log_weight, *agent.critic.parameters())} == {1.0}


def test_divergence_holds_the_policy_near_the_pre_trained_one(tmp_path: Path) -> None:
    moved = []
    for kl_coef in (0.0, 100.0):
        run = options(tmp_path / str(kl_coef), kl_coef=kl_coef, learning_rate=3e-3, n_epochs=4)
        learner = GenerativeLearner(begin(run), run)
        ((name, agent),) = learner.agents.items()
        before = copy.deepcopy(agent)
        learner.learn(1200, lambda point: None)
        sequences = torch.from_numpy(learner.rollout.sequences(learner.rollout.pages(learner.rows[name])))
        now, then = (ppo_torch.judge(one, learner.rollout, sequences)[0] for one in (agent, before))
        moved.append(float(ppo_torch.divergence(now, then).mean()))
        assert any(key.startswith(f"{name}.reference") for key in learner.resume_arrays()) == bool(kl_coef)
        for reference in learner.references.values():
            assert all(map(torch.equal, reference.parameters(), before.parameters()))
    assert 0 < moved[1] < moved[0] / 3


def test_idle_agents_take_no_part() -> None:
    """Pages among idle ones are scored as they are alone."""
    network, observer = network_of()
    page = network.read(torch.from_numpy(observer.read()[:, 0]))
    busy = (page.items >= 0).any(1).nonzero().squeeze(1)
    alone = network(GenerativePage(*(part[busy] for part in page)))[0]
    features, items = page.features.clone(), page.items.clone()
    features[busy[:1]], items[busy[:1]] = 0.0, -1
    found = network(page._replace(features=features, items=items))[0]
    assert len(busy) > 2
    assert not found[busy[:1]].any()
    torch.testing.assert_close(found[busy[1:]], alone[1:])
    for rows in (0, 2):  # nobody, and idle ones alone
        idle = GenerativePage(*(torch.zeros_like(part[:rows]) for part in page))
        assert not network(idle._replace(items=idle.items - 1))[0].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "2m"}, "--size = '2m' must be one of 0.1m, 0.3m"),
        ({"memory": 4}, "--memory = 4 is not for generative"),
        ({"loggers": ()}, "--loggers names nothing"),
        ({"set": ("action=weights",)}, "generative is pre-trained on choices; here action = 'weights'"),
        (
            {"task": "streaming-v1,action=items", "catalogues": 2},
            "--catalogues = 2 is for tasks whose actions are candidates",
        ),
    ],
)
def test_what_it_cannot_do_is_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        begin(options(tmp_path, **settings))
