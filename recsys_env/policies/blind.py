"""A constant action, whoever visits: what a task pays to a policy that looks at nothing."""

from __future__ import annotations

import numpy as np

from ..batch import AnyBatch
from .base import Policy
from .slates import slate_action


class Blind(Policy):
    """Always the first K candidates, or items, in their order, at the list's prices; a query or weights of zeros. Says
    the first word.

    Where candidates come sorted by a score, it is a ranker by that score: a task in which it earns much asks little.
    """

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        slots = 0 if envs.config.continuous else envs.config.slots
        first = np.broadcast_to(np.arange(envs.config.slots), (envs.num_envs, envs.config.slots))
        self._action = slate_action(envs, self.index, first, np.full(envs.num_envs, slots))

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self._action
