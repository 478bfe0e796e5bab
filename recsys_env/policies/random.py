"""Uniformly random actions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from ..batch.spaces import beside_picks
from .base import Policy
from .compiled import Actor, planned


class Random(Policy):
    """Uniformly random actions among those that the mask allows; the picks of a slate are drawn without
    replacement."""

    @property
    def compiled(self) -> bool:  # type: ignore[override]
        return type(self) is Random and not self.envs.config.mask_actions

    def actor(self, ticks: int) -> Actor:
        space: Any = self.envs.action_space
        batch, shape = self.envs.num_envs, space.shape
        if isinstance(space, spaces.Box):
            drawn = self.rng.uniform(-1, 1, (ticks, batch, *shape))
        elif isinstance(space, spaces.Discrete):
            drawn = self._distinct(ticks * batch, 1, int(space.n), None).reshape(ticks, batch)
        elif shape[0] == self.envs.shape.slots:
            drawn = self._distinct(ticks * batch, shape[0], int(space.nvec[0]), None).reshape(ticks, batch, -1)
        else:  # price level and message are drawn after the picks, tick by tick
            drawn = np.stack([self.act(np.zeros((batch, 0))) for _ in range(ticks)])
        return planned(drawn, self.envs.config.continuous)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        batch = len(observations)
        space: Any = self.envs.action_space
        if isinstance(space, spaces.Box):
            return self.rng.uniform(-1, 1, (batch, *space.shape)).astype(np.float32)
        if isinstance(space, spaces.Discrete):
            return self._distinct(batch, 1, int(space.n), mask)[:, 0]
        slots, options = self.envs.shape.slots, int(space.nvec[0])
        # The mask repeats what is allowed for each slot.
        picks = self._distinct(batch, slots, options, None if mask is None else mask[:, :options])
        beside = space.nvec[slots:]  # price level and message, of which all values are allowed
        return np.concatenate((picks, self.rng.integers(0, beside, (batch, len(beside)))), axis=1)

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        config, shape = self.envs.config, self.envs.shape
        if config.continuous:
            raise NotImplementedError(
                f"Random draws a uniform vector where action = {config.action!r}, and no closed form says how likely "
                "the slate is that it leads to"
            )
        # an action of one slot also holds what is beside the pick, of which all values are allowed
        allowed = self._allowed // (math.prod(beside_picks(shape)) if shape.slots == 1 else 1)
        left = allowed - np.arange(shape.slots)
        return 1.0 / np.where(left > 0, left, allowed)

    def _distinct(self, batch: int, slots: int, options: int, mask: np.ndarray | None) -> np.ndarray:
        """Draw picks [batch, slots] among the options that mask [batch, options] allows, without replacement. If fewer
        options than slots are allowed, the remaining slots get any of them."""
        allowed = np.full((batch, 1), options) if mask is None else np.count_nonzero(mask, axis=1, keepdims=True)
        self._allowed = allowed  # [batch, 1] of the last draw
        left = allowed - np.arange(slots)
        draws = np.ascontiguousarray(self.rng.integers(0, np.where(left > 0, left, allowed)).T)
        # Each is drawn among the options that the slots before it leave, and moves on past their picks.
        for k in reversed(range(slots - 1)):
            draws[k + 1 :] += (draws[k + 1 :] >= draws[k]) & (left.T[k + 1 :] > 0)
        return draws.T if mask is None else np.take_along_axis(np.argsort(mask == 0, axis=1, kind="stable"), draws.T, 1)
