"""Bidders for auction pages: truthful, at the highest level, and paced by a price on the budget."""

from __future__ import annotations

import numpy as np

from ..batch.base import AnyBatch
from ..kernels.equations import in_python, level_of_position, position_of_log_multiplier
from .base import Policy
from .slates import slate_action

_STEP = 0.1  # of the multiplier, where spending is off its target by as much as the target
_MOST = 15.0  # largest multiplier: bids of 1/16 of the value


class _Bidder(Policy):
    """Bids for every page; a subclass chooses the level."""

    deterministic = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        if not self.envs.config.auctioned:
            raise ValueError(
                f"page = {self.envs.config.page!r} has nothing to bid for; this policy needs page = 'auction'"
            )
        self._offer = self.envs.config.offer
        self._slates = np.zeros((self.envs.num_envs, 1), np.int64)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        filled = np.ones(len(observations), np.int64)
        return slate_action(self.envs, self.index, self._slates, filled, self.levels(observations))

    def levels(self, observations: np.ndarray) -> np.ndarray:
        """Return the levels [B] of the bids."""
        raise NotImplementedError(f"{type(self).__name__} has no levels(observations)")


class Truthful(_Bidder):
    """Bids the value of the slot: dominant without budgets (Vickrey 1961), but it spends a budget too early."""

    def levels(self, observations: np.ndarray) -> np.ndarray:
        return np.full(len(observations), self._offer.list_level)


class Highest(_Bidder):
    """Bids all that it may: the highest level on every page."""

    def levels(self, observations: np.ndarray) -> np.ndarray:
        return np.full(len(observations), self._offer.levels - 1)


class Pacing(_Bidder):
    """Adaptive pacing: bids value / (1 + mu), with a multiplier mu that makes the budget last until its refill.

    After each page mu rises in proportion to what was spent beyond the mean that the budget allows for a page, and
    falls where less was spent (Balseiro & Gur 2019). It goes by what the agent observes of its budget. Between two
    levels it draws one, so that the mean of log m is right.

    Raises:
        ValueError: by `bind`, if the page is no auction, or budgets are unlimited or not observed.
    """

    deterministic = False

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        if self._offer.budget == 0 or "budget" in self.envs.config.hidden(self.index):
            raise ValueError(
                f"{agent} cannot pace a budget: it needs offer.budget > 0, not {self._offer.budget:g}, and the field "
                "'budget' of the observation"
            )
        self._multiplier = np.ones(self.envs.num_envs)
        self._budget = np.ones(self.envs.num_envs)

    def reset(self, done: np.ndarray) -> None:
        self._multiplier[done], self._budget[done] = 1.0, 1.0

    def levels(self, observations: np.ndarray) -> np.ndarray:
        self._pace(observations)
        position = in_python(position_of_log_multiplier)(self._offer, -np.log1p(self._multiplier))
        level = in_python(level_of_position)(self._offer.levels, position.clip(-1.0, 1.0))
        drawn = np.floor(level + self.rng.random(len(level)))
        return np.minimum(drawn, self._offer.levels - 1).astype(np.int64)

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        return np.ones((len(actions), 1))  # of the one item; the draw of the level does not count

    def _pace(self, observations: np.ndarray) -> None:
        """Take in what was spent since the last page."""
        here = self.envs.field(observations, "is_active")[:, 0] > 0
        budget = self.envs.field(observations, "budget")[:, 0]
        refilled = self.envs.field(observations, "until_refill")[:, 0] == 1.0
        spent = (self._budget - budget) * self._offer.refill_period  # per page, in means that the budget allows
        moved = np.clip(self._multiplier + _STEP * (spent - 1.0), 0.0, _MOST)
        self._multiplier = np.where(here & ~refilled, moved, self._multiplier)
        self._budget = np.where(here, budget, self._budget)
