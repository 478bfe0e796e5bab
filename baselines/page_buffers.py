"""A rollout buffer for PPO of stable-baselines3 in which only pages are decisions."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

try:
    import torch
    from stable_baselines3.common.buffers import RolloutBuffer
except ImportError as error:
    raise ImportError(f'these buffers need {error.name}: pip install "recsys_env[train]"') from error


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
