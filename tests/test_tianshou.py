"""Tianshou takes the game through its PettingZoo wrapper, one agent at a time; nothing of ours is in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tianshou")

import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.multiagent.marl import MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, PettingZooEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import recsys_env
from benchmarks.compat import TASK, TEAM

HORIZON = 100


def make_env(task: str, **settings: Any) -> PettingZooEnv:
    return PettingZooEnv(recsys_env.env(task, **{"horizon": HORIZON, "reward": {"sharing": 1.0}, **settings}))


@pytest.mark.parametrize("task", recsys_env.TASKS)
def test_rewards_come_with_the_last_turn_and_the_end_by_truncation(task: str) -> None:
    env, parallel = make_env(task, horizon=5), recsys_env.parallel_env(task, horizon=5, reward={"sharing": 1.0})
    mine, _ = env.reset(seed=3)
    parallel.reset(seed=3)
    for tick in range(5):
        actions = {agent: parallel.action_space(agent).sample() for agent in parallel.agents}
        _, expected, _, _, _ = parallel.step(actions)
        for agent, action in actions.items():
            assert mine["agent_id"] == agent
            mine, rewards, terminated, truncated, _ = env.step(action)
            last = agent == parallel.possible_agents[-1]
            assert list(rewards) == pytest.approx(list(expected.values()) if last else [0.0] * len(actions))
            assert not terminated
            assert truncated == (last and tick == 4)


def learner(env: PettingZooEnv) -> DQN:
    """Returns over ten rounds: a step is one agent's turn, and an agent's reward comes with the last turn of a
    round."""
    turns = len(env.agents)
    net = Net(state_shape=env.observation_space.shape, action_shape=env.action_space.n, hidden_sizes=[64, 64])
    policy = DiscreteQLearningPolicy(
        model=net, action_space=env.action_space, observation_space=env.observation_space, eps_training=0.2
    )
    optim = AdamOptimizerFactory(lr=1e-3)
    return DQN(
        policy=policy, optim=optim, gamma=0.95 ** (1 / turns), n_step_return_horizon=10 * turns, target_update_freq=50
    )


def make_team() -> PettingZooEnv:
    return make_env(TASK, **TEAM)


@pytest.mark.slow
def test_dqn_learns() -> None:
    """Random play gives .295 in these 100 ticks, always the fair item .37."""
    torch.manual_seed(0)
    np.random.seed(0)
    env = make_team()
    algorithm = MultiAgentOffPolicyAlgorithm(algorithms=[learner(env) for _ in env.agents], env=env)
    copies = DummyVectorEnv([make_team for _ in range(8)])
    copies.seed(0)
    collector = Collector(algorithm, copies, VectorReplayBuffer(20_000, 8), exploration_noise=True)
    collector.reset()
    collector.collect(n_step=2000, random=True)
    params = OffPolicyTrainerParams(
        training_collector=collector,
        max_epochs=1,
        epoch_num_steps=4000,
        collection_step_num_env_steps=80,
        update_step_num_gradient_steps_per_sample=0.1,
        batch_size=256,
        show_progress=False,
        verbose=False,
    )
    algorithm.run_training(params)
    unseen = DummyVectorEnv([make_team for _ in range(8)])
    unseen.seed(99)
    evaluator = Collector(algorithm, unseen)
    evaluator.reset()
    rewards = evaluator.collect(n_episode=16).returns / HORIZON
    assert rewards.shape == (16, 2)
    assert rewards.mean() > 0.33
