"""A constant action, whoever visits: what a task pays to a policy that looks at nothing."""

from __future__ import annotations

import numpy as np

from ..vector import VectorEnv
from .base import Policy


class Blind(Policy):
    """Always the first K candidates, or items, in their order; a query or weights of zeros. Says the first word.

    Where candidates come sorted by a score, it is a ranker by that score: a task in which it earns much asks little.
    """

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._action = envs.empty_actions()[:, 0]
        if not envs.config.continuous and envs.config.slots > 1:
            self._action[:, : envs.config.slots] = np.arange(envs.config.slots)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self._action
