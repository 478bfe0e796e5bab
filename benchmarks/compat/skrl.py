"""skrl: IPPO and MAPPO on the batch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed

import recsys_env
from baselines.skrl_networks import make_agents
from recsys_env.adapters.skrl import SkrlEnv
from recsys_env.evaluation import episode_returns

from . import TASK, TEAM, main

ALGORITHMS = ("IPPO", "MAPPO")
COPIES, ROLLOUT, UPDATES = 64, 32, 40


class _Measured(SkrlEnv):
    """Keeps the mean reward of every tick."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rewards: list[float] = []

    def step(self, actions: dict[str, torch.Tensor]) -> Any:
        result = super().step(actions)
        self.rewards.append(float(np.mean([reward.mean().item() for reward in result[1].values()])))
        return result


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    """Train once. `before` is random play, `after` the mean of the last four rollouts."""
    torch.set_num_threads(1)
    set_seed(seed)
    envs = recsys_env.vector_env(TASK, COPIES, **TEAM)
    envs.reset(seed=seed)
    env = _Measured(envs, device)
    settings: dict[str, Any] = {
        "learning_rate": 3e-3,
        "learning_epochs": 4,
        "mini_batches": 4,
        "entropy_loss_scale": 0.01,
        "discount_factor": 0.95,
    }
    agents = make_agents(
        algorithm, env, rollouts=ROLLOUT, **settings, experiment={"write_interval": 0, "checkpoint_interval": 0}
    )
    ticks = ROLLOUT * UPDATES
    quiet = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
    trainer = SequentialTrainer(env=env, agents=agents, cfg={"timesteps": ticks, **quiet})
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    before = float(episode_returns(envs.config, "random", 20, seed).mean() / envs.config.horizon)
    after = float(np.mean(env.rewards[-4 * ROLLOUT :]))
    return {"agent_steps": ticks * COPIES * envs.num_agents, "seconds": seconds, "before": before, "after": after}


if __name__ == "__main__":
    main(train, ALGORITHMS)
