"""How strongly each part of the utility decides: a multinomial logit of what was bought."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np

from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

SEED = 0
EXCLUDED = -50.0  # utility of what cannot be chosen
# Users x items in the likelihood of the weights. With more than that the users are sampled: all of their purchases
# and all items count, so the sample makes the weights less certain, but not biased, and their standard errors say so.
LIKELIHOOD_CELLS = 32_000_000
BLOCK_CELLS = 1_000_000  # users x items that are held in memory at a time
RIDGE = 1e-4  # keeps the weights finite when a small log is perfectly predictable


T = TypeVar("T")
Blocks: TypeAlias = Callable[[], Iterable[T]]  # yields the users in blocks, the same ones at every call


class Choices(NamedTuple):
    """What some users could choose from and what they chose; F features, S users, M items."""

    features: np.ndarray  # [F, S, M]
    habit: np.ndarray  # [S, M] n_uj
    new: np.ndarray  # [S, M] bool: the user has never bought the item before
    bought: np.ndarray  # [S, M] purchases


class Observed(NamedTuple):
    """The data of a logit."""

    features: np.ndarray  # [F, S, M]
    offset: np.ndarray  # [S, M] the part of the utility that is known
    bought: np.ndarray  # [S, M]


class Estimate(NamedTuple):
    """Weights and their standard errors."""

    weights: np.ndarray  # [F]
    errors: np.ndarray  # [F]
    log_likelihood: float  # of a purchase, on average


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


def utility_weights(blocks: Blocks[Choices], scales: Sequence[float]) -> tuple[Estimate, float]:
    """Weights of the F features, and, last, of habit log(1 + n / n_0), in what users bought; and n_0, of some scales
    the one that makes the purchases likeliest.

    First the features among the products that are `new` to a user, then one factor on all of them, and the weight of
    habit, among all products. A log in which nobody buys anything new teaches both from all products.
    """
    anything_new = any((block.bought * block.new).any() for block in blocks())

    def first_purchases() -> Iterator[Observed]:
        for features, _, new, bought in blocks():
            allowed = new if anything_new else np.ones_like(new)
            yield Observed(features, np.where(allowed, 0.0, EXCLUDED), bought * allowed)

    first = logit_weights(first_purchases)

    def all_purchases(scale: float) -> Iterator[Observed]:
        for features, count, _, bought in blocks():
            habit = np.log1p(count / scale)
            yield Observed(np.stack([np.tensordot(first.weights, features, 1), habit]), np.zeros_like(habit), bought)

    found = {scale: logit_weights(partial(all_purchases, scale)) for scale in scales}
    best = max(found, key=lambda scale: found[scale].log_likelihood)
    (factor, beta_repeat), (factor_error, repeat_error), log_likelihood = found[best]
    errors = np.hypot(factor * first.errors, first.weights * factor_error)  # of a product, to first order
    weights, errors = np.append(factor * first.weights, beta_repeat), np.append(errors, repeat_error)
    return Estimate(weights, errors, log_likelihood), best


def logit_weights(blocks: Blocks[Observed]) -> Estimate:
    """Weights w that maximise the multinomial likelihood of purchases, v = offset + sum_f w_f features[f].

    Their standard errors follow from the Hessian of the log-likelihood: from the purchases behind them alone, as if
    features were known and a user's purchases were independent of each other.
    """
    size, purchases = 0, 0.0
    for block in blocks():
        size, purchases = len(block.features), purchases + float(block.bought.sum())

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros(size)
        for features, offset, bought in blocks():
            v = offset + np.tensordot(w, features, 1)
            v -= v.max(axis=1, keepdims=True)
            share = np.exp(v)
            mass, total = share.sum(axis=1, keepdims=True), bought.sum(axis=1, keepdims=True)
            value += (total * np.log(mass)).sum() - (bought * v).sum()
            slope += np.tensordot(features, total * share / mass - bought, 2)
        return value / purchases + RIDGE * w @ w, slope / purchases + 2 * RIDGE * w

    found = library("scipy.optimize", "fit").minimize(loss, np.ones(size), jac=True, method="L-BFGS-B")
    best = found.x
    curvature = 2 * RIDGE * purchases * np.eye(size)
    for features, offset, bought in blocks():
        v = offset + np.tensordot(best, features, 1)
        share = np.exp(v - v.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        total = bought.sum(axis=1)
        mean = (features * share).sum(axis=2)  # [F, S] of what is bought, as the weights have it
        curvature += np.einsum("fsm,gsm,sm->fg", features, features, total[:, None] * share, optimize=True)
        curvature -= (mean * total) @ mean.T
    return Estimate(best, np.sqrt(np.diag(np.linalg.inv(curvature))), RIDGE * float(best @ best) - float(found.fun))
