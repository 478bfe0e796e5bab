"""XuanCe sees exactly what the batch says, in one step for all copies or copy by copy, and learns from it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("xuance")

import torch
from xuance.environment import make_envs
from xuance.torch.agents import MADDPG_Agents, MAPPO_Agents

from benchmarks.compat.xuance import train
from recsys_env import vector_env
from recsys_env.adapters.xuance import XuanCeVecEnv, xuance_config

B = 3
TEAM: dict[str, Any] = {"reward": {"sharing": 1.0}}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # XuanCe writes logs into the working folder


def stacked(dicts: list[dict[str, Any]]) -> np.ndarray:
    return np.array([list(one.values()) for one in dicts])


def test_registered_under_both_of_xuances_names() -> None:
    """One copy behind XuanCe's own loop and one behind the batch play the same game."""
    settings = {
        "env_name": "recsys",
        "env_id": "duel-v1",
        "overrides": {"horizon": 5, **TEAM},
        "env_seed": 3,
        "parallels": 1,
    }
    loop = make_envs(Namespace(**settings, vectorize="DummyVecMultiAgentEnv"))
    batch = make_envs(Namespace(**settings, vectorize="RecsysVecEnv"))
    assert isinstance(batch, XuanCeVecEnv)
    assert batch.max_episode_steps == loop.max_episode_steps == 5
    assert batch.observation_space == loop.observation_space
    rng = np.random.default_rng(0)
    for envs in (loop, batch):
        envs.reset()
    for _ in range(12):
        actions = [{agent: rng.integers(2) for agent in batch.agents}]
        (one, r1, e1, t1, i1), (two, r2, e2, t2, i2) = loop.step(actions), batch.step(actions)
        np.testing.assert_array_equal(stacked(one), stacked(two))
        np.testing.assert_allclose(stacked(r1), stacked(r2))
        assert (t1, e1, i1[0]["episode_step"]) == (t2, e2, i2[0]["episode_step"] or 5)
        assert i1[0]["episode_score"] == pytest.approx(i2[0]["episode_score"])
        assert ("reset_obs" in i1[0]) == ("reset_obs" in i2[0]) == t1[0]
        if t1[0]:
            np.testing.assert_array_equal(stacked([i1[0]["reset_obs"]]), stacked([i2[0]["reset_obs"]]))


def test_queries_beyond_the_bounds_are_brought_back() -> None:
    rows = XuanCeVecEnv(vector_env("duel-v1", B, action="query", **TEAM), seed=0)
    rows.reset()
    rows.step([dict.fromkeys(rows.agents, np.array([1.7], np.float32))] * B)
    assert (rows.envs.infos["shown"] == 0).all()


def test_slates_are_refused() -> None:
    with pytest.raises(ValueError, match="slots = 1, or action = 'query' or 'weights'"):
        XuanCeVecEnv(vector_env("ecommerce-v1", B))


@pytest.mark.parametrize("agents", [MAPPO_Agents, MADDPG_Agents])
def test_several_roles_masks_and_the_horizon_go_through(agents: type) -> None:
    """Two episodes of a task with an entrance, an item and a cart page."""
    kind: dict[str, Any] = {"slots": 1, "mask_actions": True} if agents is MAPPO_Agents else {"action": "query"}
    envs = vector_env("journey-v1", B, horizon=20, **kind)
    settings: dict[str, Any] = (
        {"buffer_size": 10 * B}
        if agents is MAPPO_Agents
        else {"start_training": 5, "training_frequency": B, "buffer_size": 1000 * B}
    )
    learners = agents(
        xuance_config(agents.__name__.removesuffix("_Agents"), envs, 50 * B, "cpu", **settings), XuanCeVecEnv(envs, 0)
    )
    before = [parameter.clone() for parameter in learners.policy.parameters()]
    learners.train(50)
    learners.finish()
    assert learners.current_episode.tolist() == [2] * B
    assert any(not torch.equal(old, new) for old, new in zip(before, learners.policy.parameters(), strict=True))


@pytest.mark.parametrize("algorithm", ["MAPPO", "MADDPG"])
def test_learns_to_cooperate(algorithm: str) -> None:
    report = train(algorithm, "cpu", seed=0)
    assert report["before"] == pytest.approx(0.285, abs=0.01)
    assert report["after"] > report["before"] + 0.05


@pytest.mark.parametrize("algorithm", ["MADDPG", "MATD3"])
def test_deterministic_policies_ask_for_queries(algorithm: str) -> None:
    with pytest.raises(ValueError, match=r"takes Box actions, not Discrete.*set action = 'query'"):
        xuance_config(algorithm, vector_env("duel-v1", B), 100)
