"""One layout of observations for teams of several sizes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from recsys_env import FocalBatch, VectorEnv, WorldConfig, parallel_env, replace, task_config
from recsys_env.api.team_sizes import RelativeLayout, TeamSizesEnv, team_sizes_env
from recsys_env.evaluation import episode_returns
from recsys_env.policies import Policy

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
    with pytest.raises(ValueError, match="max_agents = 2 is less than the 3 agents of the task; num_agents = 2 of"):
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
    with pytest.raises(TypeError, match=r"num_agents = 2: the number of agents is given to each reset"):
        team_sizes_env("social-v1", 4, num_agents=2)
    with pytest.raises(
        TypeError, match=r"^observation_format = 'dict': teams of all sizes share one layout of vectors;"
    ):
        team_sizes_env("social-v1", 4, observation_format="dict")


def first_pages(env: Any, seed: int | None, agents: int | None, ticks: int = 3) -> list[np.ndarray]:
    """Observations [N, O'] and rewards [N] of the first ticks, if everybody takes the first action."""
    observations, _ = env.reset(seed=seed, options=None if agents is None else {"num_agents": agents})
    seen = [np.stack(list(observations.values()))]
    for _ in range(ticks):
        observations, rewards, *_ = env.step(dict.fromkeys(env.agents, env.action_space(env.agents[0]).sample() * 0))
        seen += [np.stack(list(observations.values())), np.array(list(rewards.values()))]
    return seen


@pytest.mark.parametrize(
    ("task", "most"), [("social-v1", 4), ("market-v0", 4), ("auction-v0", 5), ("creators-v0", 21), ("creators-v0", 10)]
)
def test_an_episode_of_any_size_is_that_of_the_task(task: str, most: int) -> None:
    env = team_sizes_env(task, most, horizon=10)
    for agents in (most - 1, 2, most, 1):
        plain = parallel_env(task, horizon=10, num_agents=agents)
        layout = RelativeLayout(plain.vector, most)
        played, expected = first_pages(env, 5, agents), first_pages(plain, 5, None)
        assert env.agents == plain.agents == env.possible_agents[:agents]
        for here, there in zip(played, expected, strict=True):
            np.testing.assert_array_equal(here, layout.read(there) if there.ndim == 2 else there)


def test_sizes_count_the_episodes_of_a_seed() -> None:
    env, plain = team_sizes_env(TALKING, 4), team_sizes_env(TALKING, 4)
    first = first_pages(env, 7, 2)
    other = first_pages(env, None, 4)
    assert len(env.agents) == 4
    assert len(env.reset()[0]) == 4  # the largest team, unless the options say otherwise
    second = first_pages(env, None, 2)
    assert not np.array_equal(first[0], second[0])
    for known, agents, seed in ((first, 2, 7), (second, 2, None), (other, 4, None)):
        for here, there in zip(first_pages(plain, seed, agents), known, strict=True):
            np.testing.assert_array_equal(here, there)
    for here, there in zip(first_pages(env, 7, 2), first, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("masks", [False, True])
def test_it_is_a_parallel_environment(masks: bool) -> None:
    config = task_config("social-v1", {"horizon": 20, "mask_actions": masks})
    env = TeamSizesEnv(config, 5)
    parallel_api_test(env, num_cycles=30)
    parallel_seed_test(lambda: TeamSizesEnv(config, 5), num_cycles=5)
    for agents in (1, 5):
        observations, _ = env.reset(seed=0, options={"num_agents": agents})
        assert all(env.observation_space(agent).contains(seen) for agent, seen in observations.items())


def test_a_copy_has_environments_of_its_own() -> None:
    sizes = team_sizes_env("social-v1", 3)
    sizes.reset(seed=0)
    for copied in (copy.copy(sizes), pickle.loads(pickle.dumps(sizes))):
        copied.step({agent: copied.action_space(agent).sample() for agent in copied.agents})
        assert copied.env.vector.tick.tolist() == [1]
        assert sizes.env.vector.tick.tolist() == [0]


def test_a_size_that_is_refused_stays_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = team_sizes_env("social-v1", 3)
    other = RelativeLayout(sizes.env.vector, 4)
    monkeypatch.setattr("recsys_env.api.team_sizes.RelativeLayout", lambda envs, most: other)
    for _ in range(2):
        with pytest.raises(ValueError, match="teams of 2 agents have other observations than teams of 3"):
            sizes.reset(options={"num_agents": 2})


def test_mistakes_of_sizes_are_named() -> None:
    with pytest.raises(TypeError, match=r"config = 'duel-v1'"):
        TeamSizesEnv("duel-v1", 3)  # type: ignore[arg-type]
    env = team_sizes_env(TALKING, 4)
    first = first_pages(env, 0, 3)
    for agents, error in ((5, ValueError), (0, ValueError), ("two", TypeError)):
        with pytest.raises(error, match=r"options\['num_agents'\] = .*"):
            env.reset(seed=1, options={"num_agents": agents})
        assert len(env.agents) == 3
    with pytest.warns(UserWarning, match="reset ignores the options 'agents'; known are num_agents"):
        env.reset(seed=1, options={"agents": 2})
    for here, there in zip(first_pages(env, 0, 3), first, strict=True):
        np.testing.assert_array_equal(here, there)
    with pytest.raises(ValueError, match=r"max_agents = 0 is out of range; allowed is \[1, 10000\]"):
        team_sizes_env(TALKING, 0)
    with pytest.raises(ValueError, match="num_agents = 5 but 3 roles"):
        team_sizes_env("crossdomain-v0", 5)
    with pytest.raises(KeyError, match="unknown agent 'recommender_9'"):
        env.action_space("recommender_9")
