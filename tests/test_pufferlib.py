"""PufferLib's buffers hold exactly what the batch says, row by row, and its PPO learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pufferlib")

import pufferlib.models
import pufferlib.vector
import torch
from pufferlib.pufferl import PuffeRL

from benchmarks.compat.pufferlib import train
from recsys_env import vector_env
from recsys_env.adapters.pufferlib import PufferBatch, puffer_config

pytestmark = pytest.mark.filterwarnings(
    "ignore:In CPU autocast, but the target dtype:UserWarning"
)  # PuffeRL opens one even in float32

B = 4
TASKS: list[tuple[str, dict[str, Any]]] = [
    ("duel-v1", {"reward": {"sharing": 1.0}}),
    ("ecommerce-v1", {}),
    ("journey-v1", {"messages": 2}),
    ("ecommerce-v1", {"action": "query"}),
    ("ecommerce-v1", {"action": "weights"}),
]


@pytest.mark.parametrize(("task", "changes"), TASKS)
def test_buffers_hold_the_agents_of_the_copies(task: str, changes: dict[str, Any]) -> None:
    rows, envs = PufferBatch(vector_env(task, B, horizon=7, **changes)), vector_env(task, B, horizon=7, **changes)
    buffers = [rows.observations, rows.rewards, rows.terminals, rows.truncations]
    rows.action_space.seed(0)
    rows.reset(seed=5)
    expected, _ = envs.reset(seed=5)
    total, own = 0.0, 0.0
    for tick in range(1, 17):
        np.testing.assert_array_equal(rows.observations, expected.reshape(B * envs.num_agents, -1))
        actions = rows.action_space.sample()
        assert rows.actions.shape == actions.shape
        returned = rows.step(actions)
        expected, rewards, _, ended, infos = envs.step(actions.reshape(envs.empty_actions().shape))
        total, own = total + rewards.mean(), own + infos["individual_reward"].mean()
        assert all(mine is buffer for mine, buffer in zip(returned, buffers, strict=False))
        np.testing.assert_array_equal(rows.rewards, rewards.ravel())
        np.testing.assert_array_equal(rows.truncations, np.repeat(ended, envs.num_agents))
        assert rows.truncations.all() == (tick % 7 == 0)
        assert not rows.terminals.any()
        if tick % 7:
            assert returned[4] == []
        else:
            assert returned[4] == [
                pytest.approx({"episode_return": total, "episode_individual_reward": own, "episode_length": 7})
            ]
            total = own = 0.0


def test_writes_into_buffers_that_it_is_given() -> None:
    """Two batches side by side in PufferLib's own vector environment."""

    def make(buf: Any = None, seed: int | None = None) -> PufferBatch:
        return PufferBatch(vector_env("duel-v1", B), buf, seed)

    both = pufferlib.vector.make(make, backend=pufferlib.vector.Serial, num_envs=2)
    observations, _ = both.reset(seed=3)
    alone = [vector_env("duel-v1", B).reset(seed=seed)[0].reshape(2 * B, -1) for seed in (3, 4)]
    np.testing.assert_array_equal(observations, np.concatenate(alone))


def test_what_cannot_be_taken_is_said() -> None:
    with pytest.raises(ValueError, match="mask_actions"):
        PufferBatch(vector_env("ecommerce-v1", B, mask_actions=True))
    rows = PufferBatch(vector_env("duel-v1", B))
    rows.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions of shape \(2, 4\), expected \(8,\): one for each of the 8 rows"):
        rows.step(np.zeros((2, B), int))
    with pytest.raises(TypeError, match="actions have dtype float64, expected integers"):
        rows.step(np.zeros(2 * B))
    with pytest.raises(TypeError, match="lr"):
        puffer_config(rows, 1000, lr=1)
    with pytest.raises(ValueError, match="multiple of 4"):
        puffer_config(PufferBatch(vector_env("duel-v1", 1)), 1000)


@pytest.mark.parametrize(("task", "changes"), TASKS)
def test_puffer_trains_on_every_kind_of_action(task: str, changes: dict[str, Any], tmp_path: Path) -> None:
    rows = PufferBatch(vector_env(task, B, horizon=20, **changes))
    torch.manual_seed(0)
    policy = pufferlib.models.Default(rows, hidden_size=16)
    before = [parameter.clone() for parameter in policy.parameters()]
    trainer = PuffeRL(puffer_config(rows, 1000, "cpu", horizon=32, data_dir=str(tmp_path)), rows, policy)
    stats = dict(trainer.evaluate())
    trainer.train()
    trainer.utilization.stop()
    assert stats["episode_length"] == [20.0]
    assert any(not torch.equal(old, new) for old, new in zip(before, policy.parameters(), strict=True))


def test_learns_to_cooperate() -> None:
    report = train("PPO", "cpu", seed=0)
    assert report["before"] == pytest.approx(0.285, abs=0.02)
    assert report["after"] > report["before"] + 0.05
