"""PPO in one file: what it plays, how it is begun, and that it learns what needs foresight."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")

import torch
from reproducible import check_training

import recsys_env
from baselines.algorithms import Generative, TorchPPO
from baselines.logged_pages import log_by, split
from baselines.ppo_torch import Agent, PPOLearner, Rollout, assess, evaluate
from baselines.pretraining import ClickModel, pretrain
from baselines.train import train
from baselines.training import begin
from recsys_env.batch.tensors import Tensors
from recsys_env.config.settings import replace
from recsys_env.config.tasks import TASKS
from recsys_env.policies import make_policy
from recsys_env.trained.page_policies import page_network
from recsys_env.trained.pages import layout_of

TINY: dict[str, Any] = {
    "timesteps": 600,
    "num_envs": 4,
    "n_steps": 30,
    "batch_size": 64,
    "n_epochs": 1,
    "width": 8,
    "device": "cpu",
    "compare": (),
    "eval_episodes": 2,
    "pretraining_steps": 4,
    "pretraining_batch": 8,
}
KINDS: dict[str, dict[str, Any]] = {
    "slates of candidates": {"task": "ecommerce-v1"},
    "slates and words": {"task": "ecommerce-v1", "set": ("messages=3",)},
    "one slot and a word": {"task": "ecommerce-v1", "set": ("messages=3", "slots=1")},
    "items": {"task": "duel-v1"},
    "vectors": {"task": "ecommerce-v1", "set": ("action=query",)},
    "weights": {"task": "ecommerce-v1", "set": ("action=weights",)},
    "a price": {"task": "pricing-duel-v0"},
    "scenes, a critic of the state": {"task": "journey-v1", "centralised": True},
    "an agent for each": {"task": "journey-v1", "separate": True},
    "a memory": {"task": "ecommerce-v1", "memory": 4},
    "a memory of items": {"task": "duel-v1", "memory": 4, "centralised": True},
    "several catalogues": {"task": "ecommerce-v1", "catalogues": 2, "centralised": True},
    "ticks": {"task": "rivals-v1", "credit": "ticks"},
    "attention": {"task": "playlist-v0", "attention": 4},
    "attention, digests and a memory": {"task": "bundle-v0", "attention": 4, "memory": 4},
    "attention, logged pages": {"task": "playlist-v0", "attention": 4, "pages": 400},
    "items, logged pages": {"task": "duel-v1", "pages": 400, "separate": True},
}
QUICK = ("slates and words", "items", "vectors", "a memory", "an agent for each", "attention, logged pages")


def options(out: Path, **settings: Any) -> TorchPPO:
    said = {**TINY, **settings}
    return TorchPPO(**{**said, "set": (*said.get("set", ()), "horizon=20")}, out=out)


def rollout_of(tmp_path: Path, roles: Any = (), **settings: Any) -> tuple[Rollout, Agent, TorchPPO]:
    """One that has been played by an agent which is not uniform any more."""
    training = begin(told := options(tmp_path, **settings))
    changed = replace(training.config, {"roles": roles} if roles else {})
    learner = PPOLearner(dataclasses.replace(training, config=changed), told)
    agent = next(iter(learner.agents.values()))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    learner.rollout.collect([(agent, slice(None))])
    return learner.rollout, agent, told


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in QUICK)) for kind in KINDS])
def test_it_trains_and_its_folder_is_a_policy(kind: str, tmp_path: Path) -> None:
    """Whatever an action is made of."""
    first = check_training(options, tmp_path, KINDS[kind])
    assert first["training"]["agent_steps"] >= 600


def test_attention_reads_the_items_that_were_consumed_and_no_others(tmp_path: Path) -> None:
    rollout, agent, _ = rollout_of(tmp_path, task="playlist-v0", attention=4, n_steps=15)
    seen, layout = rollout.observations.flatten(0, 1), rollout.layout
    known = seen[:, layout.history : layout.history + layout.recent].bool()
    vectors = slice(layout.history + layout.recent, layout.history + layout.recent * (1 + layout.dims))
    assert known.any()
    assert not known.all()

    def scores(changed: torch.Tensor) -> torch.Tensor:
        """Scores where the vectors of the items at these places [P, L] are others."""
        other = seen.clone()
        other[:, vectors] += 0.2 * changed.unsqueeze(2).expand(-1, -1, layout.dims).flatten(1)
        with torch.no_grad():
            return agent.actor(agent.actor.read(other))[0]

    before = scores(torch.zeros_like(known))
    torch.testing.assert_close(scores(~known), before)
    moved = (scores(known) - before).abs().amax(1)
    assert (moved[known.any(1)] > 1e-5).all()
    assert not moved[~known.any(1)].any()


def test_pre_training_predicts_the_clicks_of_visitors_it_has_not_seen(tmp_path: Path) -> None:
    """It loses less than the base rate does, and an untrained network loses more."""
    run = options(tmp_path, task="social-v1", pages=6000, pretraining_steps=300, pretraining_batch=32, width=32)
    training = begin(run)
    pages, validation = split(log_by(run, training.config, 1, 10**6))
    network = page_network(layout_of(training.make_envs()), run.width, memory=0, attention=0)
    network.measure(pages.seen)
    model, cpu = ClickModel(network, run.width), torch.device("cpu")
    curve = pretrain(model, model.losses, pages, validation, run, cpu)
    rate = pages.has_click.float().mean()
    of_outcome = torch.where(validation.has_click, rate / (validation.slots >= 0).sum(1), 1 - rate)
    base_rate = float(-of_outcome.log().mean())
    assert curve[0]["page"] > base_rate
    assert min(point["page"] for point in curve) < base_rate - 0.02


def test_learners_begin_with_what_was_pre_trained(tmp_path: Path) -> None:
    run = options(tmp_path, task="social-v1", pages=2000, separate=True)
    learner = PPOLearner(begin(run), run)
    one, other = ([*agent.actor.parameters()] for agent in learner.agents.values())
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    untrained = options(tmp_path, task="social-v1", separate=True)
    others = PPOLearner(begin(untrained), untrained).agents.values()
    assert not any(torch.equal(one[0], next(agent.actor.parameters())) for agent in others)


def test_some_of_the_agents_learn_around_one_that_does_not(tmp_path: Path) -> None:
    """Entrance and cart, whose observations do not lie side by side in the arrays of the batch."""
    result = train(options(tmp_path, task="journey-v1", background=("item_0=content",)))
    assert result["learners"] == ["entrance_0", "cart_0"]


@pytest.mark.parametrize(
    ("trained", "here", "message"),
    [
        ({"dims": 7, "topics": 9}, {"dims": 8, "topics": 7}, r"profile\[7\], clicked_mean\[7\]"),
        ({"life": 50}, {"length_log_sd": 0.3}, r"candidates\.freshness; here they are"),
    ],
)
def test_a_policy_reads_no_other_fields_of_the_same_size(
    tmp_path: Path, trained: dict[str, Any], here: dict[str, Any], message: str
) -> None:
    settings = tuple(f"items.{name}={value}" for name, value in trained.items())
    train(options(tmp_path, task="rivals-v1", set=settings))
    policy = make_policy(str(tmp_path))
    with pytest.raises(ValueError, match=f"was trained with observations {message}"):
        policy.bind(recsys_env.vector_env(replace(TASKS["rivals-v1"], {"items": here}), 1), "recommender_0", 0)


def test_nothing_is_picked_that_the_mask_forbids(tmp_path: Path) -> None:
    rollout, _, _ = rollout_of(
        tmp_path, roles=({"items": (1, 3, 4, 6)},), task="ecommerce-v1", set=("action=items", "items.number=20")
    )
    assert rollout.masks is not None
    active = rollout.active.flatten(1)
    assert (rollout.masks[active].sum(1) == 4).all()
    assert (rollout.masks.gather(2, rollout.chosen).sum(2) == 4)[active].all()  # four of five slots can be filled
    assert rollout.chosen.sort(2).values.diff(dim=2).gt(0).all()  # without replacement


def test_sequences_hold_every_page_once_and_one_visitor_each(tmp_path: Path) -> None:
    rollout, _, _ = rollout_of(tmp_path, task="ecommerce-v1", memory=4, n_steps=50)
    sequences = rollout.sequences(rollout.pages(slice(None)))
    there = sequences[sequences >= 0]
    assert sorted(there) == rollout.active.flatten().nonzero().flatten().tolist()
    for sequence in sequences:
        numbers = sequence[sequence >= 0]
        assert (sequence[: len(numbers)] >= 0).all()
        assert (np.diff(numbers) > 0).all()
        assert len(set(rollout.visitors.flatten()[numbers].tolist())) == 1
        assert len(set(numbers % rollout.observations.shape[1])) == 1
        assert len(set(rollout.episodes[numbers // rollout.observations.shape[1]])) == 1
    assert (sequences >= 0).sum(1).max() > 2


def test_a_memory_recalls_in_training_what_it_knew_while_playing(tmp_path: Path) -> None:
    """Page by page, each from the state that was kept then, or along whole sequences: the same probabilities; and the
    state matters."""
    rollout, agent, _ = rollout_of(tmp_path, task="ecommerce-v1", memory=4, n_steps=50)
    sequences = torch.from_numpy(rollout.sequences(rollout.pages(slice(None))))
    numbers, along, _, _ = evaluate(agent, rollout, sequences)
    alone = evaluate(agent, rollout, numbers.unsqueeze(1))[1]
    torch.testing.assert_close(along, alone, atol=1e-4, rtol=1e-4)
    rollout.remembered.zero_()
    assert (evaluate(agent, rollout, numbers.unsqueeze(1))[1] - alone).abs().max() > 0.01


def test_the_critic_of_the_state_sees_what_the_agent_does_not(tmp_path: Path) -> None:
    rollout, agent, told = rollout_of(tmp_path, task="ecommerce-v1", centralised=True)
    before = assess(agent, rollout, slice(None), (0.9, 0.9), told.gae_lambda)
    rollout.states += 0.5
    after = assess(agent, rollout, slice(None), (0.9, 0.9), told.gae_lambda)
    torch.testing.assert_close(before.old, after.old)
    pages = before.sequences.flatten()
    assert (before.returns - before.advantages - after.returns + after.advantages)[pages].abs().min() > 0


def test_tensors_that_are_kept_are_not_overwritten() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2, copy=False)
    observations, _ = envs.reset(seed=0)
    tensors = Tensors(envs, "cpu")
    shared, kept = tensors(observations), tensors.kept(observations)
    before = observations.copy()
    for _ in range(2):
        envs.step(tensors.actions(torch.zeros(2, 2, 5, dtype=torch.int64)))
    assert not np.array_equal(shared.numpy(), before)
    np.testing.assert_array_equal(kept.numpy(), before)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (TorchPPO, {"task": "creators-v0", "memory": 4}, "--memory = 4 is of visitors, and creators"),
        (TorchPPO, {"pages": 10, "memory": 4}, r"pre-training does not reach a memory \(--memory = 4\)"),
        (TorchPPO, {"pages": 10, "set": ("action=query",)}, "pre-trained on choices; here action = 'query'"),
        (TorchPPO, {"pages": 10, "loggers": ()}, "--loggers names nothing"),
        (TorchPPO, {"play_on": "cuda", "background": ("content",)}, "--play-on = 'cuda' is for runs in which all"),
        (TorchPPO, {"task": "creators-v0", "max_agents": 10}, "--max-agents = 10 is less than the 20 agents"),
        (Generative, {"play_on": "cuda"}, "--play-on = 'cuda' is not possible: what it reads of pages"),
    ],
)
def test_what_it_cannot_do_is_named(kind: Any, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        begin(kind(**{"task": "ecommerce-v1", "out": tmp_path / "run", **settings}))


def test_attention_needs_vectors_and_recent_items(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no vectors of candidates; needed is candidates.features"):
        rollout_of(tmp_path, task="ecommerce-v1", attention=4)
