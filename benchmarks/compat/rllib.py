"""Ray RLlib: PPO with a shared policy (rows of a batch, and by agent) and with independent ones, and DQN."""

from __future__ import annotations

import time
from typing import Any

import torch
from ray.rllib.algorithms import DQNConfig, PPOConfig

from recsys_env.adapters.rllib import multi_agent, rows

from . import TASK, TEAM, main, untrained

ALGORITHMS = ("PPO-rows", "PPO-shared", "PPO-independent", "DQN-rows", "DQN-shared", "DQN-independent")
HORIZON = 50
SECONDS = 40.0  # of training


def configure(algorithm: str, device: str) -> Any:
    name, policies = algorithm.split("-")
    config: Any = PPOConfig() if name == "PPO" else DQNConfig()
    config.reporting(metrics_num_episodes_for_smoothing=32)
    settings: dict[str, Any] = {"horizon": HORIZON, "device": device, **TEAM}
    if policies == "rows":
        config = rows(config, TASK, 32 if name == "PPO" else 4, **settings)
    else:
        config = multi_agent(config, TASK, policies=policies, **settings).env_runners(
            num_envs_per_env_runner=8 if name == "PPO" else 4
        )
    if name == "PPO":
        steps = 3200 if policies == "rows" else 1600
        return config.training(
            train_batch_size_per_learner=steps,
            minibatch_size=steps // 4,
            num_epochs=4,
            lr=2e-3,
            gamma=0.95,
            entropy_coeff=0.01,
        )
    config.training(
        train_batch_size_per_learner=64,
        lr=1e-3,
        gamma=0.95,
        n_step=10,
        epsilon=[(0, 1.0), (2000, 0.05)],
        training_intensity=8.0,
    )
    config.training(num_steps_sampled_before_learning_starts=500, target_network_update_freq=100)
    return config.reporting(min_sample_timesteps_per_iteration=1000, min_time_s_per_iteration=0)


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    """Train once. `before` is random play, `after` the mean of the last iteration in which an episode ended, including
    its exploration."""
    torch.set_num_threads(1)
    config: Any = configure(algorithm, device).env_runners(num_env_runners=0).debugging(seed=seed, log_level="ERROR")
    agents = 1 if algorithm.endswith("rows") else 2
    trainer = config.build_algo()
    began, after, steps = time.perf_counter(), float("nan"), 0
    while time.perf_counter() - began < SECONDS:
        report = trainer.train()["env_runners"]
        steps = int(report["num_env_steps_sampled_lifetime"]) * agents
        mean = report.get("episode_return_mean", float("nan")) / agents / HORIZON
        after = after if mean != mean else float(mean)  # NaN: no episode ended in this iteration
    seconds = time.perf_counter() - began
    trainer.stop()
    return {"agent_steps": steps, "seconds": seconds, "before": untrained(HORIZON), "after": after}


if __name__ == "__main__":
    main(train, ALGORITHMS)
