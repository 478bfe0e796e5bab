"""BenchMARL: its algorithms on `BenchMARLTask`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarl.algorithms import IppoConfig, IqlConfig, MaddpgConfig, MappoConfig, MasacConfig, QmixConfig, VdnConfig
from benchmarl.experiment import Experiment
from benchmarl.models.mlp import MlpConfig
from torch import nn
from torchrl.envs.utils import ExplorationType, set_exploration_type

from baselines.benchmarl_learner import experiment_config
from recsys_env.adapters.benchmarl import BenchMARLTask

from . import TASK, TEAM, main, untrained

CONFIGS: dict[str, Any] = {
    "ippo-roles": IppoConfig,
    "mappo": MappoConfig,
    "maddpg": MaddpgConfig,
    "masac": MasacConfig,
    "iql": IqlConfig,
    "vdn": VdnConfig,
    "qmix": QmixConfig,
}
ALGORITHMS = tuple(CONFIGS)
OFF_POLICY_STEPS, ON_POLICY_STEPS = 160_000, 320_000  # of both agents
EPISODES = 20  # on which the trained policy is measured


def make_experiment(
    algorithm: str,
    task: BenchMARLTask,
    frames: int,
    device: str,
    seed: int,
    folder: Path,
    num_envs: int = 64,
    **settings: Any,
) -> Experiment:
    """Make an experiment; slates are played by queries.

    Args:
        frames: ticks to train for in all copies.
        folder: of the logs.
        settings: other fields of BenchMARL's `ExperimentConfig`.
    """
    model: Any = MlpConfig.get_from_yaml()
    model.num_cells = [128, 128]
    config = experiment_config(CONFIGS[algorithm].on_policy(), num_envs, frames, device, folder)
    config.prefer_continuous_actions = task.world.continuous or task.world.slots > 1
    config.gamma, config.lr = 0.95, 1e-3
    if algorithm == "maddpg":  # without normalised layers its actor soon saturates in a corner and stays there
        config.polyak_tau, config.exploration_eps_end = 0.01, 0.3
        model.norm_class, model.norm_kwargs = nn.LayerNorm, {"normalized_shape": 128}
        model.activation_class = nn.ReLU
    for name, value in settings.items():
        setattr(config, name, value)
    return Experiment(
        task=task,
        algorithm_config=CONFIGS[algorithm].get_from_yaml(),
        model_config=model,
        critic_model_config=model,
        seed=seed,
        config=config,
    )


def own_rewards(experiment: Experiment, episodes: int, seed: int) -> torch.Tensor:
    """Individual rewards [E] of all agents together, in episodes without exploration."""
    task: Any = experiment.task
    env = task.get_env_fun(episodes, experiment.continuous_actions, seed, "cpu")()
    total, state = torch.zeros(episodes), env.reset()
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        for _ in range(task.world.horizon):
            played, state = env.step_and_maybe_reset(experiment.policy.to("cpu")(state))
            total += torch.cat([played["next", group, "info", "individual_reward"] for group in env.group_map], 1).sum(
                (1, 2)
            )
    return total


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    task = BenchMARLTask(TASK, TEAM, by_role=algorithm == "ippo-roles")
    steps = ON_POLICY_STEPS if CONFIGS[algorithm].on_policy() else OFF_POLICY_STEPS
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(sys.stderr),
    ):  # standard output is for the result
        experiment = make_experiment(algorithm, task, steps // task.world.num_agents, device, seed, Path(folder))
        began = time.perf_counter()
        experiment.run()
        seconds = time.perf_counter() - began
    agents, horizon = task.world.num_agents, task.world.horizon
    return {
        "agent_steps": experiment.total_frames * agents,
        "seconds": seconds,
        "before": untrained(),
        "after": float(own_rewards(experiment, EPISODES, 1_000_003).mean()) / agents / horizon,
    }


if __name__ == "__main__":
    main(train, ALGORITHMS)
