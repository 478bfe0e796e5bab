"""Train algorithms of BenchMARL: a policy shared by all agents (`--by-role`: of a role).

    python -m baselines train qmix --task duel-v1 --sharing 1

Critics and mixers see the global state. Tasks with slates are played by queries, which are continuous actions (`--set
action=weights` for weights); the others by single picks. A run's folder also holds BenchMARL's logs. The policy is
stored as plain networks, so that it plays where BenchMARL is not installed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.adapters.benchmarl import BenchMARLTask
from recsys_env.trained import networks

from .algorithms import BenchMARL
from .training import Point, RolloutRewards, Training

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from benchmarl.algorithms import MappoConfig, QmixConfig
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from gymnasium import spaces
from torch import nn
from torchrl.modules import MultiAgentMLP

from recsys_env.batch.tensors import choose_device

CONFIGS = {"mappo": MappoConfig, "qmix": QmixConfig}


def experiment_config(on_policy: bool, num_envs: int, frames: int, device: str, folder: Path) -> Any:
    """Make BenchMARL's `ExperimentConfig` for a batched environment: many copies, few ticks between updates.

    Args:
        on_policy: whether the algorithm is.
        frames: ticks to train for in all copies, rounded up to whole batches.
        folder: of the logs.
    """
    config: Any = ExperimentConfig.get_from_yaml()
    config.sampling_device = config.train_device = config.buffer_device = str(choose_device(device))
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = num_envs
    config.on_policy_collected_frames_per_batch = 128 * num_envs
    config.on_policy_n_minibatch_iters, config.on_policy_minibatch_size = 4, 32 * num_envs
    config.off_policy_collected_frames_per_batch = 16 * num_envs
    config.off_policy_n_optimizer_steps, config.off_policy_train_batch_size = 16, max(512, 4 * num_envs)
    config.off_policy_memory_size = 800_000
    batch = config.collected_frames_per_batch(on_policy)
    config.max_n_frames = -(-frames // batch) * batch  # whole batches
    config.off_policy_init_random_frames = min(frames // 10, 50_000) // batch * batch
    config.polyak_tau, config.exploration_eps_end = 0.02, 0.05
    config.evaluation, config.render, config.loggers, config.create_json = False, False, ["csv"], False
    config.save_folder = str(folder)
    return config


class Monitor(Callback):
    """Reports every batch of frames, once all groups have learned from it."""

    def __init__(self, rollout: RolloutRewards) -> None:
        super().__init__()
        self._rollout = rollout

    def on_batch_collected(self, batch: Any) -> None:
        groups = self.experiment.group_map
        self._rollout.add(torch.cat([batch["next", group, "info", "individual_reward"] for group in groups], -2))

    def on_train_end(self, training_td: Any, group: str) -> None:
        groups = self.experiment.group_map
        if group == [*groups][-1]:
            self._rollout.end(self.experiment.total_frames * sum(map(len, groups.values())))


class BenchMARLLearner:
    """Trains one of these algorithms; see `training.Learner`."""

    def __init__(self, training: Training, options: BenchMARL) -> None:
        self.training = training
        model: Any = MlpConfig.get_from_yaml()
        model.num_cells = [128, 128]
        frames = -(-options.timesteps // len(training.learners))
        config = experiment_config(options.on_policy, options.num_envs, frames, options.device, training.out)
        config.prefer_continuous_actions = training.config.continuous
        config.gamma, config.lr = options.discount(training.config), options.learning_rate
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
            config=config,
        )
        self._envs = self.experiment.test_env.envs

    @property
    def agent_steps(self) -> int:
        return self.experiment.total_frames * len(self.training.learners)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        monitor = Monitor(RolloutRewards(self.training.config.horizon, rollout_ended))
        monitor.experiment = self.experiment
        self.experiment.callbacks.append(monitor)
        self.experiment.run()

    def resume_arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError("what BenchMARL stores of a run is not enough to resume it")

    def save(self, folder: Path) -> None:
        actors = {agent: self._actor(group) for group, agents in self.experiment.group_map.items() for agent in agents}
        networks.save(folder, self._envs, actors)

    def _actor(self, group: str) -> nn.Module:
        """Copy the group's network without exploration; of queries the squashed mean."""
        policy = self.experiment.group_policies[group]
        shared = next(module for module in policy.modules() if isinstance(module, MultiAgentMLP))
        layers = [copy.deepcopy(layer) for layer in shared.get_stateful_net()]
        space: Any = self._envs.action_space
        if isinstance(space, spaces.Box):
            last, dims = layers[-1], space.shape[0]  # what follows the means, if anything, are deviations
            last.weight, last.bias = nn.Parameter(last.weight[:dims].detach()), nn.Parameter(last.bias[:dims].detach())
            layers.append(nn.Tanh())
        return nn.Sequential(*layers)
