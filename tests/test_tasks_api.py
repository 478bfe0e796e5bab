"""Every task is a well-behaved PettingZoo environment: the official tests, and the checks that those leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test

import recsys_env

TASKS = sorted(recsys_env.TASKS)
CYCLES = 30  # ticks of the official tests; our own play whole episodes
slates_are_fine = pytest.mark.filterwarnings(
    "ignore:Action space for each agent probably should be gymnasium.spaces.box:UserWarning"
)
not_arrays_are_fine = pytest.mark.filterwarnings("ignore:Observation is not a NumPy array:UserWarning")
dicts_are_fine = pytest.mark.filterwarnings(
    "ignore:Observation space for each agent probably should be gymnasium.spaces.box:UserWarning"
)


@pytest.mark.parametrize("task", TASKS)
def test_parallel_api(task: str) -> None:
    parallel_api_test(recsys_env.parallel_env(task, horizon=CYCLES), num_cycles=2 * CYCLES)


@slates_are_fine
@pytest.mark.parametrize("task", TASKS)
def test_aec_api(task: str) -> None:
    api_test(recsys_env.env(task, horizon=CYCLES), num_cycles=2 * CYCLES)


@slates_are_fine
@dicts_are_fine
@not_arrays_are_fine
@pytest.mark.parametrize("task", TASKS)
def test_api_with_masks(task: str) -> None:
    api_test(recsys_env.env(task, horizon=CYCLES, mask_actions=True), num_cycles=2 * CYCLES)
    parallel_api_test(recsys_env.parallel_env(task, horizon=CYCLES, mask_actions=True), num_cycles=2 * CYCLES)


@pytest.mark.parametrize("task", TASKS)
def test_seeds(task: str) -> None:
    seed_test(lambda: recsys_env.env(task), num_cycles=CYCLES)
    parallel_seed_test(lambda: recsys_env.parallel_env(task), num_cycles=CYCLES)


@pytest.mark.parametrize("task", TASKS)
def test_state(task: str) -> None:
    """Warnings are errors: also in the idle ticks before anybody has come, where all else of the state is zero."""
    state_test(recsys_env.env(task), recsys_env.parallel_env(task), num_cycles=CYCLES)
    rarely: Any = {"arrival": {"r_0": -1.0}}
    state_test(recsys_env.env(task, **rarely), recsys_env.parallel_env(task, **rarely), num_cycles=CYCLES)


@pytest.mark.parametrize("task", TASKS)
def test_render(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL", reason='needs pillow: pip install "recsys_env[render]"')
    render_test(lambda render_mode: recsys_env.env(task, render_mode=render_mode))
    assert task in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_whole_episodes(task: str) -> None:
    """Observations in their space, rewards finite, exactly `horizon` steps, truncated together, never terminated; twice
    in a row."""
    env = recsys_env.parallel_env(task)
    observations, infos = env.reset(seed=1)
    assert env.agents == env.possible_agents == list(infos)
    for _ in range(2):
        for tick in range(1, env.config.horizon + 1):
            assert all(env.observation_space(agent).contains(observations[agent]) for agent in env.agents)
            agents = env.agents
            observations, rewards, terminations, truncations, infos = env.step(
                {agent: env.action_space(agent).sample() for agent in agents}
            )
            assert all(list(part) == agents for part in (observations, rewards, terminations, truncations, infos))
            assert np.isfinite(list(rewards.values())).all()
            assert not any(terminations.values())
            assert all(truncations.values()) == any(truncations.values()) == (tick == env.config.horizon)
        assert env.agents == []
        assert all(env.observation_space(agent).contains(observations[agent]) for agent in env.possible_agents)
        observations, infos = env.reset()


def trajectory(env: Any, seed: int, actions_seed: int = 0) -> list[Any]:
    """Everything one episode returns."""
    for i, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(actions_seed + i)
    returned: list[Any] = [env.reset(seed=seed)]
    while env.agents:
        returned.append(env.step({agent: env.action_space(agent).sample() for agent in env.agents}))
    return returned


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_trajectory(task: str) -> None:
    env, other = (recsys_env.parallel_env(task, horizon=100) for _ in range(2))
    first = trajectory(env, 5)
    assert len(first) == env.config.horizon + 1
    assert data_equivalence(first, trajectory(other, 5), exact=True)
    assert data_equivalence(first, trajectory(env, 5), exact=True)
    assert not data_equivalence(first, trajectory(env, 6), exact=True)


@pytest.mark.parametrize("task", TASKS)
def test_registered(task: str) -> None:
    parallel = pettingzoo.make("parallel", f"recsys/{task}", horizon=7)
    assert isinstance(parallel, recsys_env.RecommendationEnv)
    assert (parallel.config.horizon, str(parallel)) == (7, task)
    aec = pettingzoo.make("aec", f"recsys/{task}")
    assert isinstance(aec, pettingzoo.AECEnv)
    assert aec.unwrapped.config == recsys_env.TASKS[task]  # type: ignore[attr-defined]
