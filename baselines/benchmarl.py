"""Algorithms of BenchMARL: policies shared by all agents (`--by-role`: of a role), critics and mixers of the global
state.

Tasks with slates are played by queries (continuous actions), the others by single picks where the algorithm can. A
folder also holds BenchMARL's logs. The policy is stored as plain networks, so it plays where BenchMARL is not
installed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from recsys_env.adapters.benchmarl import BenchMARLTask

from . import networks
from .runs import Point, Run

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
    "ippo-roles": IppoConfig, "mappo": MappoConfig, "qmix": QmixConfig, "vdn": VdnConfig, "iql": IqlConfig, "masac": MasacConfig, "maddpg": MaddpgConfig,
}  # fmt: skip


def settings(run: Run) -> ExperimentConfig:
    """BenchMARL's experiment for a batched environment: many copies, few ticks between updates."""
    config: Any = ExperimentConfig.get_from_yaml()
    num_envs, frames = run.options["num_envs"], -(-run.options["timesteps"] // len(run.learners))
    config.sampling_device = config.train_device = config.buffer_device = str(choose_device(run.device))
    config.prefer_continuous_actions = run.config.action == "query"
    config.gamma, config.lr = run.gamma, run.options["learning_rate"]
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = num_envs
    config.on_policy_collected_frames_per_batch = 128 * num_envs
    config.on_policy_n_minibatch_iters, config.on_policy_minibatch_size = 4, 32 * num_envs
    config.off_policy_collected_frames_per_batch = 16 * num_envs
    config.off_policy_n_optimizer_steps, config.off_policy_train_batch_size = 16, max(512, 4 * num_envs)
    config.off_policy_memory_size = 800_000
    batch = config.collected_frames_per_batch(CONFIGS[run.algorithm].on_policy())
    config.max_n_frames = -(-frames // batch) * batch  # whole batches
    config.off_policy_init_random_frames = min(frames // 10, 50_000) // batch * batch
    config.polyak_tau = 0.01 if run.algorithm == "maddpg" else 0.02
    config.exploration_eps_end = 0.3 if run.algorithm == "maddpg" else 0.05
    config.evaluation, config.render, config.loggers, config.create_json = False, False, ["csv"], False
    config.save_folder = str(run.out)
    return config


class Measure(Callback):
    """Says what every batch of frames brought.

    Args:
        horizon: ticks per episode, to which rewards are scaled.
        rollout_ended: called with a point of the curve.
    """

    def __init__(self, horizon: int, rollout_ended: Callable[[Point], None]) -> None:
        super().__init__()
        self._horizon, self._rollout_ended = horizon, rollout_ended

    def on_batch_collected(self, batch: Any) -> None:
        groups = self.experiment.group_map
        own = torch.cat([batch["next", group, "info", "own"] for group in groups], -2).mean()
        steps = self.experiment.total_frames * sum(map(len, groups.values()))
        self._rollout_ended({"agent_steps": steps, "episode_reward": self._horizon * float(own)})


class Learner:
    """One algorithm on one run; see `baselines.runs.Learner`."""

    resumes, has_progress_bar = False, True

    def __init__(self, run: Run) -> None:
        self.run = run
        task = BenchMARLTask(
            run.config, reward_scale=run.options["reward_scale"], join=run.join, by_role=run.options["by_role"]
        )
        model: Any = MlpConfig.get_from_yaml()
        model.num_cells = [128, 128]
        if run.algorithm == "maddpg":  # without normalised layers its actor soon saturates in a corner and stays there
            model.norm_class, model.norm_kwargs, model.activation_class = (
                nn.LayerNorm,
                {"normalized_shape": 128},
                nn.ReLU,
            )
        self.experiment = Experiment(
            task=task, algorithm_config=CONFIGS[run.algorithm].get_from_yaml(), model_config=model, critic_model_config=model, seed=run.seed,
            config=settings(run),
        )  # fmt: skip
        self._envs = self.experiment.test_env.envs

    @property
    def agent_steps(self) -> int:
        return self.experiment.total_frames * len(self.run.learners)  # type: ignore[no-any-return]

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        measure = Measure(self.run.config.horizon, rollout_ended)
        measure.experiment = self.experiment
        self.experiment.callbacks.append(measure)
        self.experiment.run()

    def save(self) -> None:
        actors = {agent: self._actor(group) for group, agents in self.experiment.group_map.items() for agent in agents}
        networks.save(self.run.out, self._envs, actors)

    def _actor(self, group: str) -> nn.Module:
        """The group's network without exploration, as layers of its own; of queries the squashed mean."""
        shared = next(
            module for module in self.experiment.group_policies[group].modules() if isinstance(module, MultiAgentMLP)
        )
        layers = [copy.deepcopy(layer) for layer in shared.get_stateful_net()]
        space: Any = self._envs.action_space
        if isinstance(space, spaces.Box):
            last, dims = layers[-1], space.shape[0]  # what follows the means, if anything, are deviations
            last.weight, last.bias = nn.Parameter(last.weight[:dims].detach()), nn.Parameter(last.bias[:dims].detach())
            layers.append(nn.Tanh())
        return nn.Sequential(*layers)
