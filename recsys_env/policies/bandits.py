"""Bandits, which learn the value of items while they play.

One learner serves all copies of a batch. Each shown slot is a pulled arm.

features -> LinearBandit (hybrid linear model)  -> LinUCB, LinearThompson, EpsilonGreedy
no features -> ItemBandit (a mean for each item) -> UCB1, Thompson
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from ..checks import check_finite
from .ranking import Appraiser, Ranker

_NO_CLOSED_FORM = "it ranks by values drawn from a posterior, and no closed form says how likely their order is"


class Bandit(Ranker):
    """Base of bandits: gives every shown slot its value (`Appraiser`); a subclass keeps the statistics."""

    learns = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._appraise = Appraiser(envs, self.index)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        shown, value = feedback["shown"], self._appraise(feedback)
        # Learn from what was shown, which need not be what was picked. An item id is its own position among all items.
        positions = (self.items[:, None] == shown[..., None]).argmax(2) if self.envs.config.retrieves else shown
        at = np.maximum(positions, 0)
        pulled = (shown >= 0) & (shown == np.take_along_axis(self.items, at, 1))
        features = np.take_along_axis(self.features, at[..., None], 1)
        self.learn(shown[pulled], features[pulled].astype(float), value[pulled])

    def learn(self, items: np.ndarray, features: np.ndarray, values: np.ndarray) -> None:
        """Update the statistics with items [P], their features [P, F] and their `values` [P]."""
        raise NotImplementedError


class LinearBandit(Bandit):
    """Hybrid linear model (Li et al. 2010, algorithm 2): value = <theta, features> + the item's intercept.

    Coefficients and item intercepts are estimated jointly by ridge regression. The intercept is an item's only feature
    of its own, so the blocks of the paper's algorithm are single numbers, and all items are solved at once. Widths are
    in units of the standard deviation of prediction errors.
    """

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        d, items = len(self.feature_names) + 1, envs.shape.items
        self._gram, self._target = np.eye(d), np.zeros(d)  # of the shared features
        # of each item, ridge included
        self._count, self._sum, self._feature_sum = np.ones(items), np.zeros(items), np.zeros((items, d))
        self._squares, self._pulls = 0.0, 0
        self._shared, self._inverse = self._solve()

    def learn(self, items: np.ndarray, features: np.ndarray, values: np.ndarray) -> None:
        if len(items) == 0:
            return
        x = _with_constant(features)
        self._squares += float(((values - self._expected(items, x)) ** 2).sum())
        self._pulls += len(items)
        self._gram += x.T @ x
        self._target += x.T @ values
        np.add.at(self._count, items, 1.0)
        np.add.at(self._sum, items, values)
        np.add.at(self._feature_sum, items, x)
        self._shared, self._inverse = self._solve()

    def _solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return shared coefficients [d] and the inverse [d, d] of their precision, without the items' intercepts."""
        per_item = self._feature_sum / self._count[:, None]
        inverse = np.linalg.inv(self._gram - self._feature_sum.T @ per_item)
        return inverse @ (self._target - per_item.T @ self._sum), inverse

    def _intercepts(self, items: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """Return the intercepts of items [...], given shared coefficients [d], or [B, d] for items [B, C]."""
        explained = np.einsum(
            "...d,...d->...", self._feature_sum[items], shared if shared.ndim == 1 else shared[:, None]
        )
        return (self._sum[items] - explained) / self._count[items]

    def _expected(self, items: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x @ self._shared + self._intercepts(items, self._shared)

    @property
    def _scale(self) -> float:
        """Standard deviation of the prediction errors."""
        return float(np.sqrt(self._squares / self._pulls)) if self._pulls else 1.0


class LinUCB(LinearBandit):
    """Ranks by the upper confidence bound of the hybrid linear model (Li et al. 2010).

    Args:
        alpha: width of the bound, in standard deviations.
    """

    deterministic = True

    def __init__(self, alpha: float = 1.0) -> None:
        check_finite("alpha", alpha)
        self._alpha = alpha

    def score(self, observations: np.ndarray) -> np.ndarray:
        items, x = np.maximum(self.items, 0), _with_constant(self.features)
        count = self._count[items]
        away = x - self._feature_sum[items] / count[..., None]
        variance = ((away @ self._inverse) * away).sum(-1) + 1.0 / count
        return self._expected(items, x) + self._alpha * self._scale * np.sqrt(variance)


class LinearThompson(LinearBandit):
    """Thompson sampling in the hybrid linear model (Agrawal & Goyal 2013), with one draw of coefficients per page.

    Args:
        width: width of the posterior, in standard deviations.
    """

    no_propensity = _NO_CLOSED_FORM

    def __init__(self, width: float = 1.0) -> None:
        check_finite("width", width)
        self._width = width

    def score(self, observations: np.ndarray) -> np.ndarray:
        items, x = np.maximum(self.items, 0), _with_constant(self.features)
        scale = self._width * self._scale
        shared = scale * self.rng.standard_normal((len(x), len(self._shared)))
        drawn = self._shared + shared @ np.linalg.cholesky(self._inverse).T
        own = scale * self.rng.standard_normal(items.shape) / np.sqrt(self._count[items])
        return np.einsum("bcd,bd->bc", x, drawn) + (self._intercepts(items, drawn) + own)


class EpsilonGreedy(LinearBandit):
    """Ranks by the hybrid linear model; one page in ten is a uniform slate (Sutton & Barto 2018, section 2.2)."""

    deterministic = True
    exploration = 0.1

    def score(self, observations: np.ndarray) -> np.ndarray:
        return self._expected(np.maximum(self.items, 0), _with_constant(self.features))


class ItemBandit(Bandit):
    """Base of bandits with one mean value per item for all visitors; values are divided by the largest one so far."""

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._pulls, self._sum, self._largest = np.zeros(envs.shape.items), np.zeros(envs.shape.items), 1e-9

    def learn(self, items: np.ndarray, features: np.ndarray, values: np.ndarray) -> None:
        self._largest = max(self._largest, float(values.max(initial=0.0)))
        np.add.at(self._pulls, items, 1.0)
        np.add.at(self._sum, items, values)


class UCB1(ItemBandit):
    """Ranks by mean plus sqrt(2 ln t / pulls) (Auer et al. 2002); items that were never shown come first."""

    deterministic = True

    def score(self, observations: np.ndarray) -> np.ndarray:
        items = np.maximum(self.items, 0)
        pulls = np.maximum(self._pulls[items], 1e-9)
        means: np.ndarray = self._sum[items] / self._largest / pulls
        return means + np.sqrt(2.0 * np.log(max(self._pulls.sum(), 2.0)) / pulls)


class Thompson(ItemBandit):
    """Ranks by a draw from each item's Beta posterior (Agrawal & Goyal 2012); a value counts as a partial success."""

    no_propensity = _NO_CLOSED_FORM

    def score(self, observations: np.ndarray) -> np.ndarray:
        items = np.maximum(self.items, 0)
        successes = np.clip(self._sum[items] / self._largest, 0.0, self._pulls[items])
        return self.rng.beta(1.0 + successes, 1.0 + self._pulls[items] - successes)


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.concatenate((features, np.ones((*features.shape[:-1], 1))), axis=-1)
