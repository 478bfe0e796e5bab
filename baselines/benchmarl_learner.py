"""Algorithms of BenchMARL on a training run.

A run's folder also holds BenchMARL's logs. The policy is stored as plain networks, so it plays where BenchMARL is not
installed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_env.adapters.benchmarl import BenchMARLTask

from . import networks
from .training import Point, Rollout, Training

if TYPE_CHECKING:
    from .benchmarl import BenchMARL

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from benchmarl.algorithms import IppoConfig, IqlConfig, MaddpgConfig, MappoConfig, MasacConfig, QmixConfig, VdnConfig
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from gymnasium import spaces
from torch import nn
from torchrl.modules import MultiAgentMLP

from recsys_env.tensors import choose_device

CONFIGS = {
    "ippo-roles": IppoConfig,
    "mappo": MappoConfig,
    "qmix": QmixConfig,
    "vdn": VdnConfig,
    "iql": IqlConfig,
    "masac": MasacConfig,
    "maddpg": MaddpgConfig,
}


def experiment_config(training: Training, options: BenchMARL) -> ExperimentConfig:
    """BenchMARL's experiment for a batched environment: many copies, few ticks between updates."""
    config: Any = ExperimentConfig.get_from_yaml()
    num_envs, frames = options.num_envs, -(-options.timesteps // len(training.learners))
    config.sampling_device = config.train_device = config.buffer_device = str(choose_device(options.device))
    config.prefer_continuous_actions = training.config.continuous
    config.gamma, config.lr = options.discount(training.config), options.learning_rate
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = num_envs
    config.on_policy_collected_frames_per_batch = 128 * num_envs
    config.on_policy_n_minibatch_iters, config.on_policy_minibatch_size = 4, 32 * num_envs
    config.off_policy_collected_frames_per_batch = 16 * num_envs
    config.off_policy_n_optimizer_steps, config.off_policy_train_batch_size = 16, max(512, 4 * num_envs)
    config.off_policy_memory_size = 800_000
    batch = config.collected_frames_per_batch(options.on_policy)
    config.max_n_frames = -(-frames // batch) * batch  # whole batches
    config.off_policy_init_random_frames = min(frames // 10, 50_000) // batch * batch
    config.polyak_tau = 0.01 if options.name == "maddpg" else 0.02
    config.exploration_eps_end = 0.3 if options.name == "maddpg" else 0.05
    config.evaluation, config.render, config.loggers, config.create_json = False, False, ["csv"], False
    config.save_folder = str(training.out)
    return config


class Monitor(Callback):
    """Says what every batch of frames brought."""

    def __init__(self, rollout: Rollout) -> None:
        super().__init__()
        self._rollout = rollout

    def on_batch_collected(self, batch: Any) -> None:
        groups = self.experiment.group_map
        self._rollout.add(torch.cat([batch["next", group, "info", "own"] for group in groups], -2))
        self._rollout.end(self.experiment.total_frames * sum(map(len, groups.values())))


class BenchMARLLearner:
    """Trains one of these algorithms; see `training.Learner`."""

    has_progress_bar = True

    def __init__(self, training: Training, options: BenchMARL) -> None:
        self.training = training
        model: Any = MlpConfig.get_from_yaml()
        model.num_cells = [128, 128]
        if options.name == "maddpg":  # without normalised layers its actor soon saturates in a corner and stays there
            model.norm_class, model.norm_kwargs = nn.LayerNorm, {"normalized_shape": 128}
            model.activation_class = nn.ReLU
        self.experiment = Experiment(
            task=BenchMARLTask(
                training.config,
                reward_scale=options.reward_scale,
                make_envs=training.make_envs,
                by_role=options.by_role,
            ),
            algorithm_config=CONFIGS[options.name].get_from_yaml(),
            model_config=model,
            critic_model_config=model,
            seed=options.seed,
            config=experiment_config(training, options),
        )
        self._envs = self.experiment.test_env.envs

    @property
    def agent_steps(self) -> int:
        return self.experiment.total_frames * len(self.training.learners)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        monitor = Monitor(Rollout(self.training.config.horizon, rollout_ended))
        monitor.experiment = self.experiment
        self.experiment.callbacks.append(monitor)
        self.experiment.run()

    def resume_arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError("what BenchMARL keeps of a run is not enough to go on from")

    def save(self, folder: Path) -> None:
        actors = {agent: self._actor(group) for group, agents in self.experiment.group_map.items() for agent in agents}
        networks.save(folder, self._envs, actors)

    def _actor(self, group: str) -> nn.Module:
        """The group's network without exploration, as layers of its own; of queries the squashed mean."""
        policy = self.experiment.group_policies[group]
        shared = next(module for module in policy.modules() if isinstance(module, MultiAgentMLP))
        layers = [copy.deepcopy(layer) for layer in shared.get_stateful_net()]
        space: Any = self._envs.action_space
        if isinstance(space, spaces.Box):
            last, dims = layers[-1], space.shape[0]  # what follows the means, if anything, are deviations
            last.weight, last.bias = nn.Parameter(last.weight[:dims].detach()), nn.Parameter(last.bias[:dims].detach())
            layers.append(nn.Tanh())
        return nn.Sequential(*layers)
