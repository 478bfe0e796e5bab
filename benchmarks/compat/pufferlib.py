"""PufferLib's PPO (PuffeRL) on the compatibility task."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from typing import Any

import torch

from recsys_env import vector_env

from . import TASK, TEAM, main

ALGORITHMS = ("PPO",)
COPIES = 32
AGENT_STEPS = 200_000


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    import pufferlib.models
    from pufferlib.pufferl import PuffeRL

    from recsys_env.adapters.pufferlib import PufferBatch, puffer_config

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rows = PufferBatch(vector_env(TASK, COPIES, **TEAM))
    config = puffer_config(
        rows, AGENT_STEPS, device, seed=seed, gamma=0.9, learning_rate=2e-3, data_dir=tempfile.mkdtemp()
    )
    policy = pufferlib.models.Default(rows).to(config["device"])
    rewards, start = [], time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # its dashboard
        trainer = PuffeRL(config, rows, policy)
        while trainer.global_step < AGENT_STEPS:
            trainer.evaluate()
            rewards.append(trainer.rewards.mean().item())
            trainer.train()
    seconds = time.perf_counter() - start
    trainer.utilization.stop()
    return {
        "agent_steps": trainer.global_step,
        "seconds": seconds,
        "before": sum(rewards[:4]) / 4,
        "after": sum(rewards[-4:]) / 4,
    }


if __name__ == "__main__":
    main(train, ALGORITHMS)
