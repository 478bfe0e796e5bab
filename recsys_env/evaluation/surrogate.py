"""Surrogate models: which features of the options explain the slates of a policy.

A surrogate is fitted to the slates that a policy has shown, whatever the policy is (Ribeiro, Singh & Guestrin 2016;
here one model for all pages). The score of an option is the sum, over its features, of a weight times the difference
between the feature and its mean on the page. The surrogate's fidelity says how much of the slates it explains. If it is
low, the policy uses something else than the features of single options, and the contributions explain little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..batch.vector import VectorEnv
from ..config.fields import candidate_features
from ..kernels.planners.options import list_options
from ..policies.ranking import hidden_features

MOST = 2000  # options on a page, at most
_STEPS = 25


class Options(NamedTuple):
    """The options of an agent on some pages, and which of them it showed."""

    items: np.ndarray  # [P, C] -1 = nothing
    features: np.ndarray  # [P, C, F] as observed
    shown: np.ndarray  # [P, C] bool

    @property
    def there(self) -> np.ndarray:
        """Whether an option has an item [P, C]."""
        return self.items >= 0

    def centred(self) -> np.ndarray:
        """Return features minus their mean on the page [P, C, F]; 0 where there is no item."""
        there = self.there[..., None]
        mean = (self.features * there).sum(1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1)
        return np.asarray((self.features - mean) * there)


def can_explain(envs: VectorEnv) -> bool:
    """Whether agents choose what pages show, from few enough options for a surrogate (`MOST`)."""
    return not envs.config.ranked and (envs.shape.candidates or envs.shape.items) <= MOST


def list_page(envs: VectorEnv, n: int, shown: np.ndarray) -> Options:
    """Return the options [B, C] of agent n on the page about to be shown, given the items [B, K] of its slate."""
    size = envs.num_envs, envs.shape.candidates or envs.shape.items
    items = np.full(size, -1, np.int64)
    features = np.zeros((*size, len(candidate_features(envs.config, envs.shape))), np.float32)
    list_options(envs.world, envs.arrays, n, items, features)
    features[:, :, hidden_features(envs, n)] = 0
    is_shown = (items[:, :, None] == shown[:, None, :]).any(2) & (items >= 0)
    return Options(items, features.astype(np.float64), is_shown)


class Surrogate(NamedTuple):
    """Weights [F] of features in the log-odds that an option is shown: a logistic regression."""

    weights: np.ndarray

    @classmethod
    def fit(cls, pages: Options) -> Surrogate:
        """Fit a surrogate to these pages.

        A feature that never differs within a page gets the weight 0, and so do all features if there are no pages. The
        fit uses Newton's method, with a ridge of 1 on the standardised features, so that weights stay finite if they
        predict the slates without error.
        """
        x, shown = pages.centred()[pages.there], pages.shown[pages.there]
        if not len(x):
            return cls(np.zeros(x.shape[1]))
        deviation = np.where(x.std(0) > 0, x.std(0), 1.0)
        x = np.column_stack((x / deviation, np.ones(len(x))))
        weights = np.zeros(x.shape[1])
        for _ in range(_STEPS):
            p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
            slope, curvature = x.T @ (shown - p) - weights, (x * (p * (1 - p))[:, None]).T @ x + np.eye(len(weights))
            weights = weights + np.linalg.solve(curvature, slope)
        return cls(weights[:-1] / deviation)

    def contributions(self, pages: Options) -> np.ndarray:
        """Return the contribution of each feature to the score of each option [P, C, F]; a score is their sum."""
        return np.asarray(pages.centred() * self.weights)

    def fidelity(self, pages: Options) -> float:
        """Return the share of shown items that are among the surrogate's best, on slates of equal length; 1 if none."""
        return fidelity(self.contributions(pages).sum(2), pages)


def held_out_fidelity(pages: Options) -> float | None:
    """Return the fidelity of a surrogate of every second page on the other pages; None if either half shows nothing."""
    some, others = (Options(*(array[first::2] for array in pages)) for first in (0, 1))
    return round(Surrogate.fit(some).fidelity(others), 3) if some.shown.any() and others.shown.any() else None


def fidelity(scores: np.ndarray, pages: Options) -> float:
    """Return the fidelity of any scores [P, C]; options with equal scores keep their order."""
    order = np.argsort(np.where(pages.there, -scores, np.inf), 1, kind="stable")
    best = np.arange(scores.shape[1]) < pages.shown.sum(1, keepdims=True)
    found = (np.take_along_axis(pages.shown, order, 1) & best).sum()
    return float(found / pages.shown.sum()) if pages.shown.any() else 1.0
