"""A constant action: the reward of a policy that ignores its observations."""

from __future__ import annotations

import numpy as np

from ..batch.base import AnyBatch
from .base import Policy
from .compiled import Actor, planned
from .slates import slate_action


class Blind(Policy):
    """Always shows the first K candidates (or items) in their order, at list prices, and sends the first word.

    A query or weights are zeros. Where candidates come sorted by a score, it ranks by that score. A task in which it
    earns much demands little.
    """

    deterministic = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        slots = 0 if envs.config.continuous else envs.config.slots
        first = np.broadcast_to(np.arange(envs.config.slots), (envs.num_envs, envs.config.slots))
        self._action = slate_action(envs, self.index, first, np.full(envs.num_envs, slots))

    @property
    def compiled(self) -> bool:  # type: ignore[override]
        return type(self) is Blind

    def actor(self, ticks: int) -> Actor:
        return planned(self._action[None], self.envs.config.continuous)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self._action
