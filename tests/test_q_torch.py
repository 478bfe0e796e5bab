"""Q-learning in one file: its targets by hand, that each of its kinds trains, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")

import torch
from reproducible import check_training

from baselines.algorithms import TorchQ
from baselines.q_torch import QLearner, targets
from baselines.training import begin

TINY: dict[str, Any] = {
    "timesteps": 600,
    "num_envs": 4,
    "n_steps": 30,
    "batch_size": 32,
    "replay": 400,
    "width": 8,
    "device": "cpu",
    "compare": (),
    "eval_episodes": 2,
}
KINDS: dict[str, dict[str, Any]] = {
    "iql": {"task": "ecommerce-v1", "set": ("slots=1",)},
    "iql of slates and words": {"task": "ecommerce-v1", "set": ("messages=3",), "credit": "ticks"},
    "vdn of scenes": {"task": "journey-v1", "set": ("slots=1",), "mixer": "vdn"},
    "qmix of items": {"task": "duel-v1", "mixer": "qmix"},
    "qmix of scenes and a word": {"task": "journey-v1", "set": ("slots=1", "messages=2"), "mixer": "qmix"},
}


def options(out: Path, **settings: Any) -> TorchQ:
    said = {**TINY, **settings}
    return TorchQ(**{**said, "set": (*said.get("set", ()), "horizon=20")}, out=out)


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_its_folder_is_a_policy(kind: str, tmp_path: Path) -> None:
    check_training(options, tmp_path, KINDS[kind])


@pytest.mark.parametrize("kind", ["iql", "vdn of scenes", "qmix of items"])
def test_a_target_is_what_a_page_brought_and_the_best_choice_at_the_next(kind: str, tmp_path: Path) -> None:
    told = options(tmp_path, **KINDS[kind])
    learner = QLearner(begin(told), told)
    for _ in range(25):
        learner._play(1.0)
    with torch.no_grad():
        for values, size in ((learner.online, 0.5), (learner.target, 0.3)):
            for parameter in values.parameters():
                parameter.add_(size * torch.randn_like(parameter))
    replay, links = learner.replay, learner.replay.links
    numbers = np.flatnonzero(links.following.numpy() >= 0)
    assert len(numbers) > 10
    with torch.no_grad():
        found = targets(learner.online, learner.target, replay, numbers, (0.9, 0.8))
        for at, number in enumerate(numbers):
            page, _, active, states = replay.pages(links.following.numpy()[[number]], learner.online.network)
            choices = range(replay.layout.options)
            members = active.shape[1]
            by_choice = [
                [values(page, torch.full((members, 1), choice)) for choice in choices]
                for values in (learner.online, learner.target)
            ]
            online, target = (torch.stack(part, 1) for part in by_choice)  # [members, n]
            online = online.masked_fill(~page.allowed, -1e9)
            best = target.gather(1, online.argmax(1, keepdim=True)).view(1, members)
            after = learner.target.total(best, active, states)
            expected = (links.reward[number] + 0.9 * 0.8 ** links.ticks[number] * after).item()
            assert found[at].item() == pytest.approx(expected, abs=1e-4)


def test_what_is_tried_at_random_is_allowed_and_spread(tmp_path: Path) -> None:
    told = options(tmp_path, task="ecommerce-v1", set=("action=items", "items.number=20", "slots=1"))
    learner = QLearner(begin(told), told)
    for _ in range(25):
        learner._play(1.0)
    assert learner.replay.masks is not None
    active = learner.replay.active[:25].flatten()
    chosen = learner.replay.chosen[:25].flatten(0, 2)[active]
    assert learner.replay.masks[:25].flatten(0, 2)[active].gather(1, chosen).all()
    assert len(chosen.unique()) > 15


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="q-torch chooses among options; here action = 'query'"):
        begin(TorchQ("ecommerce-v1", set=("action=query",)))
