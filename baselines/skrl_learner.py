"""IPPO of skrl on a training run: a policy and a critic for each learner."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_env.adapters.skrl import SkrlEnv
from recsys_env.evaluation import UNSEEN

from . import networks
from .skrl_networks import make_agents
from .training import Point, Training
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


class MeasuredEnv(SkrlEnv):
    """Says what every rollout brought.

    Args:
        training: whose batch it is.
        rollout: ticks of a rollout.
    """

    def __init__(self, training: Training, rollout: int) -> None:
        super().__init__(training.make_envs(), training.algorithm.device)
        self._rollout, self._horizon = rollout, training.config.horizon
        self._own: list[float] = []
        self.agent_steps = training.done
        self.rollout_ended: Callable[[Point], None] | None = None

    def step(self, actions: dict[str, torch.Tensor]) -> Any:
        result = super().step(actions)
        self._own.append(float(self.envs.infos["own"].mean()))
        self.agent_steps += self.num_envs * self.num_agents
        if len(self._own) == self._rollout and self.rollout_ended:
            reward = self._horizon * float(np.mean(self._own))
            self.rollout_ended({"agent_steps": self.agent_steps, "episode_reward": reward})
            self._own.clear()
        return result


class SkrlLearner:
    """Trains IPPO; see `training.Learner`."""

    has_progress_bar = False

    def __init__(self, training: Training, options: SeparateIPPO) -> None:
        self.training, self.options = training, options
        seed = (options.seed + training.done) % UNSEEN  # another one when resumed
        set_seed(seed)
        self.env = MeasuredEnv(training, options.n_steps)
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
            discount_factor=training.gamma,
            gae_lambda=options.gae_lambda,
            entropy_loss_scale=options.ent_coef,
            value_preprocessor=RunningStandardScaler,
            value_preprocessor_kwargs=scaler,
            experiment={"directory": str(training.out), "write_interval": 0, "checkpoint_interval": 0},
        )
        if training.checkpoint:
            from_arrays(training.checkpoint.path, training.checkpoint.state, self._parts())

    @property
    def agent_steps(self) -> int:
        return self.env.agent_steps

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        ticks = self.options.n_steps
        each = self.env.num_envs * self.env.num_agents * ticks
        rollouts = -(-(timesteps - self.agent_steps) // each)
        self.env.rollout_ended = rollout_ended
        quiet = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
        SequentialTrainer(env=self.env, agents=self.agents, cfg={"timesteps": rollouts * ticks, **quiet}).train()

    def _parts(self) -> dict[str, Any]:
        """Networks, optimisers and scalers of all learners."""
        modules = self.agents.checkpoint_modules
        return {f"{agent}.{name}": part for agent, parts in modules.items() for name, part in parts.items()}

    def state(self) -> dict[str, np.ndarray]:
        return to_arrays(self._parts())

    def save(self) -> None:
        networks.save(self.training.out, self.env.envs, {agent: self._actor(agent) for agent in self.training.learners})

    def _actor(self, agent: str) -> nn.Module:
        net = copy.deepcopy(self.agents.models[agent]["policy"].net)
        return nn.Sequential(*net, nn.Hardtanh()) if isinstance(self.env.envs.action_space, spaces.Box) else net
