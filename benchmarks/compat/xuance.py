"""XuanCe's MAPPO and MADDPG (queries) on the compatibility task."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import numpy as np
import torch

from recsys_env import vector_env
from recsys_env.evaluation import episode_returns

from . import TASK, TEAM, main

ALGORITHMS = ("MAPPO", "MADDPG")
COPIES = 32
SETTINGS: dict[str, dict[str, Any]] = {
    "MAPPO": {"buffer_size": 32 * COPIES, "n_epochs": 4, "n_minibatch": 4, "learning_rate": 2e-3},
    "MADDPG": {
        "start_training": 2_000,
        "training_frequency": COPIES,
        "learning_rate_actor": 3e-4,
        "tau": 0.05,
        "end_noise": 0.5,
    },
}
TICKS = {"MAPPO": 32_000, "MADDPG": 64_000}


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    from xuance.torch.agents import REGISTRY_Agents

    from recsys_env.adapters.xuance import XuanCeVecEnv, xuance_config

    torch.set_num_threads(1)
    world = {**TEAM, "action": "query" if algorithm == "MADDPG" else "items"}
    envs = vector_env(TASK, COPIES, **world)
    folder = tempfile.mkdtemp()
    settings = {
        **SETTINGS[algorithm],
        "seed": seed,
        "log_dir": os.path.join(folder, "logs"),
        "model_dir": os.path.join(folder, "models"),
    }
    learners = REGISTRY_Agents[algorithm](
        xuance_config(algorithm, envs, TICKS[algorithm], device, **settings), XuanCeVecEnv(envs, seed)
    )

    def score() -> float:
        """Reward per agent and tick of the trained policy without exploration."""
        fresh = XuanCeVecEnv(vector_env(TASK, COPIES, **world), seed + 1)
        return float(np.mean(learners.test(COPIES, test_envs=fresh))) / envs.config.horizon

    team = dict.fromkeys(
        envs.possible_agents, "random"
    )  # without exploration an untrained policy plays one item, maybe the best
    before, start = float(episode_returns(envs, team, COPIES, seed).mean()) / envs.config.horizon, time.perf_counter()
    learners.train(TICKS[algorithm] // COPIES)
    seconds, after = time.perf_counter() - start, score()
    learners.finish()
    return {"agent_steps": TICKS[algorithm] * envs.num_agents, "seconds": seconds, "before": before, "after": after}


if __name__ == "__main__":
    main(train, ALGORITHMS)
