"""One layout of observations for teams of several sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import FocalBatch, VectorEnv, WorldConfig, replace, task_config
from recsys_env.evaluation import episode_returns
from recsys_env.policies import Policy
from recsys_env.relative import RelativeLayout

TALKING = replace(
    task_config("market-v0", {"horizon": 20, "slots": 1, "messages": 3, "observability": "full"}), {"num_agents": 3}
)


def team(agents: int) -> WorldConfig:
    return replace(TALKING, {"num_agents": agents})


def played(envs: VectorEnv) -> np.ndarray:
    """Observations [B, N, O] after some random ticks."""
    envs.action_space.seed(0)
    observations, _ = envs.reset(seed=0)
    for _ in range(15):
        actions = np.array([[envs.action_space.sample() for _ in range(envs.num_agents)] for _ in range(envs.num_envs)])
        observations, *_ = envs.step(actions)
    return observations


def test_it_does_not_depend_on_the_number_of_agents() -> None:
    layouts = [RelativeLayout(VectorEnv(team(agents)), 5) for agents in (2, 3, 5)]
    assert all(layout.observation_fields == layouts[0].observation_fields for layout in layouts)
    assert len({layout.observation_space.shape for layout in layouts}) == 1
    wide = RelativeLayout(VectorEnv(team(2)), 6)
    assert wide.observation_space.shape > layouts[0].observation_space.shape


def test_each_agent_comes_first_to_itself() -> None:
    envs = VectorEnv(team(3), 64)
    observations, layout = played(envs), RelativeLayout(envs, 5)
    relative = layout.read(observations)
    assert all(map(layout.observation_space.contains, relative.reshape(-1, relative.shape[-1])))
    varies = set()
    for name, place in layout.observation_fields.items():
        before, after = envs.field(observations, name), relative[..., place]
        if name not in ("agent_id", "messages", "price_levels", "latent_trust"):
            np.testing.assert_array_equal(after, before)
            continue
        parts, there = before.reshape(64, 3, 3, -1), after.reshape(64, 3, 5, -1)
        assert not there[:, :, 3:].any()
        for n in range(3):
            for step in range(3):
                np.testing.assert_array_equal(there[:, n, step], parts[:, n, (n + step) % 3])
            np.testing.assert_array_equal(layout.read_of(n, observations[:, n]), relative[:, n])
        varies |= {name} if len(np.unique(before)) > 1 else set()
    assert varies == {"agent_id", "messages", "price_levels", "latent_trust"}
    assert (relative[..., layout.observation_fields["agent_id"]] == [1, 0, 0, 0, 0]).all()


def test_learners_keep_their_numbers() -> None:
    batch = VectorEnv(team(3), 4)
    learner = batch.possible_agents[2]
    envs = FocalBatch(batch, "random", [learner])
    observations, _ = envs.reset(seed=0)
    layout = RelativeLayout(envs, 4)
    np.testing.assert_array_equal(layout.read(observations)[:, 0], layout.read_of(2, observations[:, 0]))


class OneNetwork(Policy):
    """The same weights in teams of every size."""

    def bind(self, envs: Any, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self.layout = RelativeLayout(self.envs, 5)
        size, options = self.layout.observation_space.shape[0], self.envs.action_space.n  # type: ignore[attr-defined]
        self.weights = np.random.default_rng(0).normal(size=(size, options))

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return (self.layout.read_of(self.index, observations) @ self.weights).argmax(1)


def test_one_network_plays_teams_of_several_sizes() -> None:
    for agents in (2, 3, 5):
        config = team(agents)
        returns = episode_returns(config, {agent: OneNetwork() for agent in config.agents}, 2, seed=0)
        assert returns.shape == (2, agents)
        assert np.isfinite(returns).all()


def test_mistakes_are_named() -> None:
    envs = VectorEnv(team(3), 2)
    with pytest.raises(ValueError, match="max_agents = 2 is less than the 3 agents of the task"):
        RelativeLayout(envs, 2)
    layout = RelativeLayout(envs, 3)
    observations, _ = envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"observations of shape \[2, 2, \d+\] must be \[\.\.\., 3, \d+\]"):
        layout.read(observations[:, :2])
    with pytest.raises(ValueError, match=r"observations of shape \[2, 3, 7\] must be"):
        layout.read(observations[..., :7])
    with pytest.raises(TypeError, match=r"observations = \[\] must be an array of flat observations"):
        layout.read([])
    with pytest.raises(ValueError, match="index = 3"):
        layout.read_of(3, observations[:, 0])
