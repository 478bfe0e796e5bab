"""Tianshou: DQN through its PettingZoo wrapper, on the game with one agent at a time."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.multiagent.marl import MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, PettingZooEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import recsys_env
from recsys_env.batch.tensors import choose_device

from . import TASK, TEAM, main, untrained

ALGORITHMS = ("DQN",)
COPIES, HORIZON, EPOCHS, EPOCH_STEPS = 8, 100, 2, 4000
GAMMA = 0.95  # per tick
ROUNDS = 10  # that a return spans


def make_env() -> PettingZooEnv:
    return PettingZooEnv(recsys_env.env(TASK, horizon=HORIZON, **TEAM))


def make_dqn(env: PettingZooEnv, device: torch.device) -> DQN:
    """The learner of one agent.

    A step is one agent's turn. Its reward comes with the last turn of a round and its own next observation with the end
    of one, so returns have to span whole rounds.
    """
    net = Net(state_shape=env.observation_space.shape, action_shape=env.action_space.n, hidden_sizes=[64, 64]).to(
        device
    )
    policy = DiscreteQLearningPolicy(
        model=net, action_space=env.action_space, observation_space=env.observation_space, eps_training=0.2
    )
    turns = len(env.agents)
    return DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=GAMMA ** (1 / turns),
        n_step_return_horizon=ROUNDS * turns,
        target_update_freq=50,
    )


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    """Train once. `before` is random play, `after` that of the greedy policies in new episodes."""
    logging.getLogger("tianshou").setLevel(logging.ERROR)  # it warns of returns by agent in every collection
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)
    env, chosen = make_env(), choose_device(device)
    learners = MultiAgentOffPolicyAlgorithm(algorithms=[make_dqn(env, chosen) for _ in env.agents], env=env)
    copies = DummyVectorEnv([make_env for _ in range(COPIES)])
    copies.seed(seed)
    collector = Collector(learners, copies, VectorReplayBuffer(20_000, COPIES), exploration_noise=True)
    collector.reset()
    collector.collect(n_step=2000, random=True)
    began = time.perf_counter()
    learners.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=EPOCHS,
            epoch_num_steps=EPOCH_STEPS,
            collection_step_num_env_steps=80,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=256,
            show_progress=False,
            verbose=False,
        )
    )
    seconds = time.perf_counter() - began
    unseen = DummyVectorEnv([make_env for _ in range(COPIES)])
    unseen.seed(seed + 1000)
    evaluator = Collector(learners, unseen)
    evaluator.reset()
    returns = evaluator.collect(n_episode=4 * COPIES).returns
    return {
        "agent_steps": EPOCHS * EPOCH_STEPS,
        "seconds": seconds,
        "before": untrained(HORIZON),
        "after": float(returns.mean() / HORIZON),
    }


if __name__ == "__main__":
    main(train, ALGORITHMS)
