"""EPyMARL's runners and its gymma wrapper: what they ask of an environment, as its code of 2026 does."""

from __future__ import annotations

import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

import recsys_env
from recsys_env.adapters.epymarl import EPyMARLEnv

TASK = "coverage-v0"
SHORT = {"horizon": 12}


def episode(env: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An episode as a runner stores it: arrays of the sizes that `get_env_info` names."""
    info = env.get_env_info()
    ticks, n = info["episode_limit"], info["n_agents"]
    batch = {
        "state": np.zeros((ticks + 1, info["state_shape"]), np.float32),
        "obs": np.zeros((ticks + 1, n, info["obs_shape"]), np.float32),
        "avail_actions": np.zeros((ticks + 1, n, info["n_actions"]), np.int32),
        "actions": np.zeros((ticks, n), np.int64),
        "reward": np.zeros((ticks, n if isinstance(env, EPyMARLEnv) and not env._common else 1), np.float32),
        "terminated": np.zeros(ticks, np.uint8),
        "filled": np.zeros(ticks, np.uint8),
    }
    env.reset()
    ended, t = False, 0
    while not ended:
        batch["state"][t], batch["obs"][t] = env.get_state(), env.get_obs()
        batch["avail_actions"][t] = env.get_avail_actions()
        batch["actions"][t] = [rng.choice(np.flatnonzero(mask)) for mask in batch["avail_actions"][t]]
        _, reward, terminated, truncated, infos = env.step(batch["actions"][t])
        ended = terminated or truncated
        batch["reward"][t] = reward
        batch["terminated"][t] = ended != infos.get("episode_limit", False)
        batch["filled"][t] = 1
        t += 1
    batch["state"][t], batch["obs"][t], batch["avail_actions"][t] = (
        env.get_state(),
        env.get_obs(),
        env.get_avail_actions(),
    )
    assert sum(infos.values()) == 1  # a runner adds what an episode's last infos hold
    assert env.get_stats() == {}
    return batch


def test_a_runner_plays_the_task_itself() -> None:
    """Observations, masks, states, rewards are those of the parallel environment; the horizon is no termination."""
    env = EPyMARLEnv(TASK, seed=3, **SHORT)
    batch = episode(env, np.random.default_rng(0))
    same = recsys_env.parallel_env(TASK, mask_actions=True, **SHORT)
    seen, _ = same.reset(seed=3)
    for t in range(13):
        np.testing.assert_array_equal(batch["obs"][t], [one["observation"] for one in seen.values()])
        np.testing.assert_array_equal(batch["avail_actions"][t], [one["action_mask"] for one in seen.values()])
        np.testing.assert_array_equal(batch["state"][t], same.state())
        if t < 12:
            seen, rewards, *_ = same.step(dict(zip(same.possible_agents, batch["actions"][t], strict=True)))
            np.testing.assert_array_equal(batch["reward"][t], np.float32([*rewards.values()]))
    assert batch["filled"].all()
    assert not batch["terminated"].any()
    assert batch["reward"].any()


def test_it_is_what_gymma_wraps() -> None:
    """By its name, under a time limit: spaces by agent, lists, no checks of Gymnasium's that are for one reward."""
    env = TimeLimit(gymnasium.make(f"recsys_env:recsys-gymma/{TASK}", **SHORT), max_episode_steps=12)
    n = env.unwrapped.n_agents
    assert len(env.observation_space) == len(env.action_space) == n
    most = max(env.action_space, key=lambda space: space.n)
    assert isinstance(most, spaces.Discrete)
    size = spaces.flatdim(max(env.observation_space, key=lambda space: space.shape))
    assert not hasattr(env.unwrapped, "state_size")  # the wrapper's state is all observations
    assert not hasattr(env.unwrapped, "seed")  # without it, the wrapper seeds by a reset
    observations, infos = env.reset(seed=5)
    for t in range(12):
        flat = [spaces.flatten(space, one) for space, one in zip(env.observation_space, observations, strict=True)]
        assert np.concatenate(flat).shape == (n * size,)
        assert all(space.contains(one) for space, one in zip(env.observation_space, observations, strict=True))
        observations, rewards, done, truncated, infos = env.step([int(most.n) - 1] * n)
        assert isinstance(rewards, list)
        assert float(sum(rewards)) == pytest.approx(sum(rewards))
        assert (done, truncated, infos) == (False, t == 11, {"episode_limit": True} if t == 11 else {})


def test_seeds_begin_and_episodes_follow() -> None:
    first, second = EPyMARLEnv(TASK, seed=1, **SHORT), EPyMARLEnv(TASK, **SHORT)
    first.reset()
    second.reset(seed=1)
    np.testing.assert_array_equal(first.get_obs(), second.get_obs())
    first.reset()
    assert not np.array_equal(first.get_obs(), second.get_obs())
    np.testing.assert_array_equal(first.get_obs_agent(1), first.get_obs()[1])
    assert first.get_avail_agent_actions(0) == first.get_avail_actions()[0]


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="slots = 4 and action = 'items': agents of EPyMARL choose one number"):
        EPyMARLEnv(TASK, slots=4)
    with pytest.raises(ValueError, match="slots = 1 and action = 'candidates', 'items' or 'publish'"):
        EPyMARLEnv("streaming-v1")
    EPyMARLEnv("creators-v0").reset(seed=0)  # publishes
    with pytest.raises(ValueError, match=r"^observation_format = 'dict' is not possible with EPyMARL, .* 'flat'"):
        EPyMARLEnv(TASK, observation_format="dict")
    EPyMARLEnv(TASK, observation_format="flat")
    with pytest.raises(ValueError, match="reward_scalarisation = 'max' is not allowed; choose 'sum' or 'mean'"):
        EPyMARLEnv(TASK, reward_scalarisation="max")
    env = EPyMARLEnv(TASK, **SHORT)
    env.reset(seed=0)
    too_many = [0] * (env.n_agents + 1)
    for wrong in (None, 3, "01", {0, 1}, dict.fromkeys(range(env.n_agents)), np.array(3), [], [0], too_many):
        said = re.escape(f"action = {wrong!r} must be a list of {env.n_agents} numbers, one for each agent")
        with pytest.raises((ValueError, TypeError), match=said):
            env.step(wrong)
    with pytest.raises(TypeError, match=r"action of row_0 is 'x' .* it takes integers"):
        env.step(["x"] * env.n_agents)
    with pytest.raises(ValueError, match="outside its space"):
        env.step([10**6] * env.n_agents)
