"""A constant action, whoever visits: what a task pays to a policy that looks at nothing."""

from __future__ import annotations

import numpy as np

from ..spaces import with_list_price
from ..vector import VectorEnv
from .base import Policy


class Blind(Policy):
    """Always the first K candidates, or items, in their order, at the list's prices; a query of zeros. Says nothing
    where there are messages.

    Where candidates come sorted by a score, it is a ranker by that score: a task in which it earns much asks little.
    """

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._action = envs.empty_actions()[:, 0]
        if envs.config.action != "query":
            picks = np.broadcast_to(np.arange(envs.config.slots), (envs.num_envs, envs.config.slots))
            self._action = with_list_price(envs.config, envs.shape, picks)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self._action
