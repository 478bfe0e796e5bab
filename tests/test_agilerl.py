"""AgileRL sees exactly what the batch says, by agent, and MADDPG and MATD3 learn from it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("agilerl")

import torch

with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", "MakeEvolvable will be deprecated", DeprecationWarning
    )  # AgileRL defines what it deprecates
    from agilerl.algorithms import MADDPG

from agilerl.components.data import MultiAgentTransition, transition_to_tensordict
from agilerl.training.train_multi_agent_off_policy import train_multi_agent_off_policy

from benchmarks.compat.agilerl import train
from recsys_env import vector_env
from recsys_env.adapters.agilerl import AgileRLVecEnv, HorizonReplayBuffer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)  # torch's, within AgileRL's actors

B = 4
TASKS: list[tuple[str, dict[str, Any]]] = [
    ("duel-v1", {"reward": {"sharing": 1.0}}),
    ("social-v1", {"slots": 1, "mask_actions": True}),
    ("journey-v1", {"slots": 1, "mask_actions": True, "messages": 2}),
    ("journey-v1", {"action": "query"}),
    ("streaming-v1", {"action": "weights"}),
]


def sampled(rows: AgileRLVecEnv) -> dict[str, Any]:
    return {agent: rows.action_space(agent).sample() for agent in rows.agents}


def stacked(by_agent: dict[str, Any]) -> np.ndarray:
    return np.stack(list(by_agent.values()), axis=1)


@pytest.mark.parametrize("masked", [False, True])
def test_the_buffer_holds_the_last_observation_of_an_episode(masked: bool) -> None:
    envs = vector_env("social-v1", B, slots=1, horizon=3, mask_actions=masked)
    rows = AgileRLVecEnv(envs)
    buffer = HorizonReplayBuffer(rows, 100)
    observed, _ = rows.reset(seed=0)
    expected = []
    for _ in range(7):
        actions = sampled(rows)
        following, rewards, terminated, truncated, _ = rows.step(actions)
        expected.append(stacked(rows.observed(envs.final_obs) if truncated[rows.agents[0]].any() else following).copy())
        transition = transition_to_tensordict(
            MultiAgentTransition(obs=observed, action=actions, reward=rewards, next_obs=following, done=terminated)
        )
        transition.batch_size = torch.Size([B])
        buffer.add(transition)
        observed = following
    for n, agent in enumerate(rows.agents):
        following = buffer.storage["next_obs"][agent][: 7 * B].numpy().reshape(7, B, -1)
        np.testing.assert_array_equal(following, np.array(expected)[:, :, n])
        present = buffer.storage["obs"][agent][: 7 * B].numpy().reshape(7, B, -1)
        np.testing.assert_array_equal(following[[0, 1, 3, 4]], present[[1, 2, 4, 5]])
        assert not np.array_equal(following[2], present[3])  # the first of the next episode


@pytest.mark.parametrize(("task", "changes"), TASKS)
def test_maddpg_trains_and_keeps_to_the_masks(task: str, changes: dict[str, Any]) -> None:
    rows = AgileRLVecEnv(vector_env(task, B, horizon=10, **changes))
    rows.reset(seed=0)
    learner = MADDPG(**rows.arguments("cpu"), vect_noise_dim=B, batch_size=32)
    before = [parameter.clone() for actor in learner.actors.values() for parameter in actor.parameters()]
    buffer = HorizonReplayBuffer(rows, 1000)
    train_multi_agent_off_policy(
        rows, task, "MADDPG", [learner], buffer, max_steps=25 * B, evo_steps=25 * B, verbose=False
    )
    after = [parameter for actor in learner.actors.values() for parameter in actor.parameters()]
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    observed, infos = rows.reset()
    for _ in range(10 * rows.envs.config.mask_actions):
        actions, _ = learner.get_action(observed, infos)
        for agent in rows.agents:
            assert np.take_along_axis(infos[agent]["action_mask"], np.asarray(actions[agent])[:, None], 1).all()
        observed, _, _, _, infos = rows.step(actions)


def test_maddpg_refuses_slates() -> None:
    rows = AgileRLVecEnv(vector_env("ecommerce-v1", B))
    with pytest.raises(AssertionError, match="Box or Discrete"):
        MADDPG(**rows.arguments("cpu"), vect_noise_dim=B)


@pytest.mark.parametrize("algorithm", ["MADDPG", "MATD3"])
def test_learns_to_cooperate(algorithm: str) -> None:
    report = train(algorithm, "cpu", seed=0)
    assert report["before"] < 0.3
    assert report["after"] > report["before"] + 0.05
