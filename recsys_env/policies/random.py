"""Uniform actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from .base import Policy


class Random(Policy):
    """Uniform over the action space, or over what the mask allows."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        batch = len(observations)
        space: Any = self.envs.action_space
        if isinstance(space, spaces.Box):
            return self.rng.uniform(-1, 1, (batch, *space.shape)).astype(np.float32)
        sizes = np.array([space.n]) if isinstance(space, spaces.Discrete) else np.asarray(space.nvec)
        if mask is None:
            drawn = self.rng.integers(0, sizes, (batch, len(sizes)))
        else:
            blocks = np.split(mask, np.cumsum(sizes)[:-1], axis=1)
            drawn = np.stack([(self.rng.random(block.shape) * block).argmax(axis=1) for block in blocks], axis=1)
        return drawn[:, 0] if isinstance(space, spaces.Discrete) else drawn
