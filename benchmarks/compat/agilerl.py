"""AgileRL's MADDPG and MATD3 on the compatibility task."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from recsys_env import vector_env

from . import TASK, TEAM, main

ALGORITHMS = ("MADDPG", "MATD3")
COPIES = 64
TICKS = 32_000


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    from agilerl import algorithms
    from agilerl.training.train_multi_agent_off_policy import train_multi_agent_off_policy

    from recsys_env.adapters.agilerl import AgileRLVecEnv, HorizonReplayBuffer

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)
    envs = vector_env(TASK, COPIES, **TEAM)
    envs.reset(seed=seed)
    rows = AgileRLVecEnv(envs)
    learner = getattr(algorithms, algorithm)(
        **rows.arguments(device),
        vect_noise_dim=COPIES,
        batch_size=128,
        learn_step=16,
        lr_critic=1e-3,
        tau=0.05,
        gamma=0.9,
        O_U_noise=False,
        expl_noise=0.3,
    )

    def score() -> float:
        """Reward per agent and tick of an episode without exploration."""
        return float(learner.test(rows, loop=1)) / envs.config.horizon / envs.num_agents

    before, start = score(), time.perf_counter()
    buffer = HorizonReplayBuffer(rows, 100_000)
    train_multi_agent_off_policy(
        rows, TASK, algorithm, [learner], buffer, max_steps=TICKS, evo_steps=TICKS, eval_steps=1, verbose=False
    )
    return {
        "agent_steps": TICKS * envs.num_agents,
        "seconds": time.perf_counter() - start,
        "before": before,
        "after": score(),
    }


if __name__ == "__main__":
    main(train, ALGORITHMS)
