"""Train PPO of stable-baselines3: one policy shared by all learners (Schulman et al. 2017; de Witt et al. 2020).

    python -m baselines train ippo --task duel-v1

Where actions are picks of candidates, one small network scores them all, and the slate is drawn from the scores
(`recsys_env/trained/slates.py`). Only pages are decisions (`PageBuffer`). Besides the policy, the run's
folder holds `tensorboard` where that library is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.adapters.sb3 import SB3VecEnv
from recsys_env.files import FileError
from recsys_env.trained.sb3 import NETWORKS, ranking_network, save
from recsys_env.trained.weights import from_arrays, to_arrays

from .algorithms import IPPO
from .training import Checkpoint, Point, RolloutRewards, Training

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

_SCALE = "returns"  # of rewards, in a checkpoint: mean, variance and count of discounted returns


class PageBuffer(RolloutBuffer):
    """A rollout buffer in which only pages are decisions.

    On a tick without a page the action has no effect, so that nothing can be learned from it. Generalised advantages
    run from page to page (a semi-Markov process, Sutton, Precup & Singh 1999): reward between two pages counts,
    discounted, for the earlier page, and values of other ticks are not bootstrapped from. Training takes all pages and
    a small share of the other ticks, because the value of such a tick is needed where a rollout or an episode ends on
    it.

    Args:
        active: index of `is_active` in the observation.
    """

    OTHER_TICKS = 0.1  # share of the ticks without a page that training takes

    def __init__(self, *args: Any, active: int, **kwargs: Any) -> None:
        self._active = active
        super().__init__(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        value = last_values.detach().cpu().numpy().flatten()  # expected at the next tick
        advantage = np.zeros_like(value)  # of the next page's action
        goes_on = 1.0 - dones.astype(np.float32)
        for step in reversed(range(self.buffer_size)):
            page = self.observations[step, :, self._active] > 0
            target = self.rewards[step] + self.gamma * goes_on * value
            carried = self.gamma * goes_on * advantage
            advantage = np.where(page, target - self.values[step] + self.gae_lambda * carried, carried)
            value = np.where(page, self.values[step], target)
            self.advantages[step] = np.where(page, advantage, 0)
            self.returns[step] = value + advantage
            goes_on = 1.0 - self.episode_starts[step]

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        if not self.generator_ready:
            for name in ("observations", "actions", "values", "log_probs", "advantages", "returns"):
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
            self.generator_ready = True
        taken = (self.observations[:, self._active] > 0) | (np.random.random(len(self.observations)) < self.OTHER_TICKS)
        taken[0] |= not taken.any()  # stable-baselines3 fails without a minibatch
        rows = np.random.permutation(np.flatnonzero(taken))
        parts = max(1, round(len(rows) / (batch_size or len(rows) or 1)))
        for part in np.array_split(rows, parts):  # equal parts: a small rest would make a step of its own
            if len(part):
                yield self._get_samples(part)


class Monitor(BaseCallback):
    """Reports every rollout, once the policy has learned from it: when the next one begins, or at the end."""

    def __init__(self, rollout: RolloutRewards) -> None:
        super().__init__()
        self._rollout, self._ended = rollout, False

    def _on_step(self) -> bool:
        self._rollout.add(self.training_env.individual_reward)  # type: ignore[attr-defined]
        return True

    def _on_rollout_end(self) -> None:
        self.logger.record("rollout/own_per_episode", self._rollout.per_episode)
        self._ended = True

    def _on_rollout_start(self) -> None:
        self._report()

    def _on_training_end(self) -> None:
        self._report()

    def _report(self) -> None:
        if self._ended:
            self._rollout.end(self.model.num_timesteps)
            self._ended = False


class SB3Learner:
    """Trains PPO; see `training.Learner`."""

    def __init__(self, training: Training, options: IPPO) -> None:
        self.training, self.options, self.envs = training, options, training.make_envs(copy=False)
        self._network = ranking_network(self.envs)
        self.model = self._create()
        if training.checkpoint:
            self._resume(training.checkpoint)

    @property
    def agent_steps(self) -> int:
        return self.model.num_timesteps

    def _create(self) -> Any:
        options, training = self.options, self.training
        rows: Any = SB3VecEnv(self.envs)
        rollout = options.n_steps * rows.num_envs / options.timesteps
        return PPO(
            NETWORKS[self._network.network],
            VecNormalize(rows, norm_obs=False, clip_reward=np.inf, gamma=options.discount(training.config)),
            # stable-baselines3 counts what remains after the rollout, which is less than nothing after the last one
            learning_rate=lambda remaining: options.learning_rate * min(remaining + rollout, 1.0),
            n_steps=options.n_steps,
            batch_size=options.batch_size,
            n_epochs=options.n_epochs,
            gamma=options.discount(training.config),
            gae_lambda=options.gae_lambda,
            ent_coef=options.ent_coef,
            policy_kwargs=dict(self._network.settings),
            rollout_buffer_class=PageBuffer,
            rollout_buffer_kwargs={"active": self.envs.observation_fields["is_active"].start},
            tensorboard_log=str(training.out / "tensorboard") if importlib.util.find_spec("tensorboard") else None,
            seed=options.seed,
            device=options.device,
        )

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint, on episodes that it has not played yet."""
        arrays = dict(checkpoint.arrays)
        scale = arrays.pop(_SCALE, None)
        if scale is None or scale.shape != (3,) or scale.dtype != np.float64 or not np.isfinite(scale).all():
            raise FileError(f"{checkpoint.path} holds no {_SCALE}: mean, variance and count of returns")
        from_arrays(checkpoint.path, arrays, self._parts())
        rewards = self.model.get_vec_normalize_env().ret_rms
        rewards.mean, rewards.var, rewards.count = np.array(scale[0]), np.array(scale[1]), float(scale[2])
        self.model.num_timesteps = self.training.done
        self.model.set_random_seed(self.training.seed)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""
        self.model.learn(
            timesteps - self.agent_steps,
            callback=Monitor(RolloutRewards(self.training.config.horizon, rollout_ended)),
            reset_num_timesteps=self.training.checkpoint is None,
            tb_log_name="run",
        )

    def _parts(self) -> dict[str, Any]:
        return {"policy": self.model.policy, "optimizer": self.model.policy.optimizer}

    def resume_arrays(self) -> dict[str, np.ndarray]:
        rewards = self.model.get_vec_normalize_env().ret_rms
        return {**to_arrays(self._parts()), _SCALE: np.array([rewards.mean, rewards.var, rewards.count], np.float64)}

    def save(self, folder: Path) -> None:
        save(folder, self.envs, self._network, self.model)
