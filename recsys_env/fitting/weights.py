"""How strongly each part of the utility decides: a multinomial logit of what was bought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

SEED = 0
EXCLUDED = -50.0  # utility of what cannot be chosen
LIKELIHOOD_CELLS = 8_000_000  # users x items in the likelihood of the weights; more users than that are sampled


def returning_users(
    before: pd.DataFrame, after: pd.DataFrame, shape: tuple[int, int], dims: int, weight_days: float
) -> np.ndarray:
    """Users who bought in both parts of the log: all, or as many as the likelihood may hold."""
    known = np.intersect1d(before["user"], after["user"])
    if len(known) == 0 or before["item"].nunique() <= dims:
        raise ValueError(
            f"the log spans {after['day'].max():.1f} days with too few purchases before the last "
            f"weight_days = {weight_days:g}; use a longer log or fewer weight_days"
        )
    return np.random.default_rng(SEED).permutation(known)[: max(1, LIKELIHOOD_CELLS // shape[1])]


def utility_weights(features: np.ndarray, habit: np.ndarray, new: np.ndarray, bought: np.ndarray) -> tuple[float, ...]:
    """Weights of the features [F, S, M] and of `habit` [S, M] in the purchases `bought` [S, M].

    First the features among the products that are `new` to a user, then one factor on all of them, and the weight of
    habit, among all products. A log in which nobody buys anything new teaches both from all products.
    """
    if not (bought * new).any():
        new = np.ones_like(new)
    first = logit_weights(features, np.where(new, 0.0, EXCLUDED), bought * new)
    base = np.tensordot(first, features, 1)
    factor, beta_repeat = logit_weights(np.stack([base, habit]), np.zeros_like(habit), bought)
    return (*(factor * w for w in first), beta_repeat)


def logit_weights(features: np.ndarray, offset: np.ndarray, bought: np.ndarray) -> tuple[float, ...]:
    """Weights w that maximise the multinomial likelihood of purchases [S, M].

    v = offset + sum_f w_f features[f, S, M].
    """
    total, n = bought.sum(axis=1, keepdims=True), bought.sum()
    ridge = 1e-4  # keeps the weights finite when a small log is perfectly predictable

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        v = offset + np.tensordot(w, features, 1)
        v -= v.max(axis=1, keepdims=True)
        share = np.exp(v)
        mass = share.sum(axis=1, keepdims=True)
        miss = total * share / mass - bought
        value = (total * np.log(mass)).sum() - (bought * v).sum()
        return value / n + ridge * w @ w, np.tensordot(features, miss, 2) / n + 2 * ridge * w

    best = library("scipy.optimize", "fit").minimize(loss, np.ones(len(features)), jac=True, method="L-BFGS-B")
    return tuple(float(w) for w in best.x)
