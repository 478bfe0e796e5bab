"""The one-file PPO: its advantages, its masks, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import recsys_env
from baselines.ppo_torch import Agent, Args, Rollout, heads_of, main
from recsys_env.tensors import Tensors, choose_device

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_it_learns_to_cooperate_in_the_duel(tmp_path: Path) -> None:
    """Always X pays both .384 per tick, random play .286, and Y, which is what a myopic agent learns, .289."""
    out = tmp_path / "result.json"
    small = {"sharing": 1.0, "total_steps": 250_000, "num_envs": 64, "eval_episodes": 8, "seed": 3, "device": "cpu"}
    result = main(Args("duel-v1", **small, out=out))  # type: ignore[arg-type]
    assert result["table"]["trained"]["mean"] > 365
    assert result["training"]["curve"][0][1] < 0.33
    assert json.loads(out.read_text())["table"] == result["table"]
    assert result["table"]["trained"]["score"] > 80  # 0 = all myopic, 100 = all planners


@pytest.mark.parametrize("changes", [{}, {"messages": 3}, {"slots": 1}, {"num_agents": 3}])
def test_rollouts_never_pick_what_the_mask_forbids_and_bootstrap_at_the_horizon(changes: dict) -> None:
    torch.manual_seed(0)
    envs = recsys_env.vector_env(
        "journey-v1" if changes == {"num_agents": 3} else "ecommerce-v1", 4, mask_actions=True, horizon=6, **changes
    )
    rollout = Rollout(envs, 10, Tensors(envs, "cpu"), seed=1)
    agent = Agent(rollout.observations.shape[-1], heads_of(envs.action_space))
    after = rollout.collect(agent)
    for k, part in enumerate(rollout.masks.split(agent.heads, dim=2)):
        assert part.gather(2, rollout.actions[:, :, k : k + 1]).all()
    assert rollout.ended.tolist() == [t % 6 == 5 for t in range(10)]
    rollout.estimate_advantages(after, gamma=0.9, gae_lambda=1.0)
    returns = rollout.advantages + rollout.values
    expected = (
        rollout.rewards[5] + 0.9 * rollout.final_values[5]
    )  # lambda = 1: discounted rewards, and the critic's word at the end
    for t in range(4, -1, -1):
        expected = rollout.rewards[t] + 0.9 * expected
    torch.testing.assert_close(returns[0], expected)
    torch.testing.assert_close(returns[9], rollout.rewards[9] + 0.9 * after)


def test_queries_are_refused() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 1, action="query")
    with pytest.raises(ValueError, match="candidates"):
        heads_of(envs.action_space)


def test_tensors_share_the_memory_of_the_batch_on_the_cpu() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    observations, _ = envs.reset(seed=0)
    tensor = Tensors(envs, "cpu")(observations)
    assert tensor.data_ptr() == observations.ctypes.data
    np.testing.assert_array_equal(tensor.numpy(), observations)


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(there: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert choose_device("auto").type == device
    assert choose_device("cpu").type == "cpu"
