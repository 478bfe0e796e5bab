"""IPPO of skrl on a training run: a policy and a critic for each learner."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_env.adapters.skrl import SkrlEnv
from recsys_env.batch import checked_cpu_batch
from recsys_env.evaluation import UNSEEN

from . import networks
from .skrl_networks import make_agents
from .training import Point, Rollout, Training
from .weights import from_arrays, to_arrays

if TYPE_CHECKING:
    from .ippo_separate import SeparateIPPO

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from gymnasium import spaces
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import nn


class MonitoredEnv(SkrlEnv):
    """Says what every rollout brought, once it has a `rollout`.

    Args:
        training: whose batch it is.
        ticks: of a rollout.
    """

    def __init__(self, training: Training, ticks: int) -> None:
        super().__init__(training.make_envs(), training.algorithm.device)
        self.agent_steps = self._begun = training.done
        self._steps_of_rollout = ticks * self.num_envs * self.num_agents
        self.rollout: Rollout | None = None

    def step(self, actions: dict[str, torch.Tensor]) -> Any:
        result = super().step(actions)
        self.agent_steps += self.num_envs * self.num_agents
        if self.rollout is not None:
            self.rollout.add(self.envs.infos["own"])
            if (self.agent_steps - self._begun) % self._steps_of_rollout == 0:
                self.rollout.end(self.agent_steps)
        return result


class SkrlLearner:
    """Trains IPPO; see `training.Learner`."""

    has_progress_bar = False

    def __init__(self, training: Training, options: SeparateIPPO) -> None:
        self.training, self.options = training, options
        seed = (options.seed + training.done) % UNSEEN  # another one when resumed
        set_seed(seed)
        self.env = MonitoredEnv(training, options.n_steps)
        self.env.envs.reset(seed=seed)
        scaler = {agent: {"size": 1, "device": self.env.device} for agent in training.learners}
        self.agents = make_agents(
            "IPPO",
            self.env,
            rollouts=options.n_steps,
            width=options.width,
            learning_rate=options.learning_rate,
            learning_epochs=options.n_epochs,
            mini_batches=options.minibatches,
            discount_factor=options.discount(training.config),
            gae_lambda=options.gae_lambda,
            entropy_loss_scale=options.ent_coef,
            value_preprocessor=RunningStandardScaler,
            value_preprocessor_kwargs=scaler,
            experiment={"directory": str(training.out), "write_interval": 0, "checkpoint_interval": 0},
        )
        if training.checkpoint:
            from_arrays(training.checkpoint.path, training.checkpoint.arrays, self._parts())

    @property
    def agent_steps(self) -> int:
        return self.env.agent_steps

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        ticks = self.options.n_steps
        each = self.env.num_envs * self.env.num_agents * ticks
        rollouts = -(-(timesteps - self.agent_steps) // each)
        self.env.rollout = Rollout(self.training.config.horizon, rollout_ended)
        quiet = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
        SequentialTrainer(env=self.env, agents=self.agents, cfg={"timesteps": rollouts * ticks, **quiet}).train()

    def _parts(self) -> dict[str, Any]:
        """Networks, optimisers and scalers of all learners."""
        modules = self.agents.checkpoint_modules
        return {f"{agent}.{name}": part for agent, parts in modules.items() for name, part in parts.items()}

    def resume_arrays(self) -> dict[str, np.ndarray]:
        return to_arrays(self._parts())

    def save(self, folder: Path) -> None:
        actors = {agent: self._actor(agent) for agent in self.training.learners}
        networks.save(folder, checked_cpu_batch(self.env.envs), actors)

    def _actor(self, agent: str) -> nn.Module:
        net = copy.deepcopy(self.agents.models[agent]["policy"].net)
        return nn.Sequential(*net, nn.Hardtanh()) if isinstance(self.env.envs.action_space, spaces.Box) else net
