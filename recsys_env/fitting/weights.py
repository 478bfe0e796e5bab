"""How strongly each part of the utility decides: a multinomial logit of what was bought."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np

from ..libraries import library
from .occasions import Occasions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RIDGE = 1e-4  # keeps the weights finite when a small log is perfectly predictable
LARGEST_FACTOR, LOG_RATES = 20.0, (-30.0, 30.0)


T = TypeVar("T")
Blocks: TypeAlias = Callable[[], Iterable[T]]  # yields the users in blocks, the same ones at every call


class Choices(NamedTuple):
    """What some users could choose from at each of their occasions, and what they chose; F features, S users, M
    items."""

    features: np.ndarray  # [F, S, M], the same at all occasions of a user
    occasions: Occasions


class Observed(NamedTuple):
    """The data of a logit.

    Nearly all of the utility is the same at all occasions of a user. The rest concerns the few items that the user had
    bought before, and is stored for these alone.
    """

    features: np.ndarray  # [F, S, M]
    user: np.ndarray  # [K]
    bought: csr_matrix  # [K, M]
    # At most one of the two:
    last: csr_matrix | None = None  # [K, M] the last feature where it is not 0; features[-1] is 0 then
    excluded: csr_matrix | None = None  # [K, M] with an entry where an item cannot be chosen


class Estimate(NamedTuple):
    """Weights and their standard errors."""

    weights: np.ndarray  # [F]
    errors: np.ndarray  # [F]
    log_likelihood: float  # of a purchase, on average


def feature_weights(blocks: Blocks[Choices]) -> Estimate:
    """Weights of the F features among the products that the user had not bought before; among all products, in a log
    in which nobody buys anything new."""
    anything_new = any(new_purchases(block.occasions).nnz for block in blocks())

    def first_purchases() -> Iterator[Observed]:
        for features, occasions in blocks():
            user, bought, known, _ = occasions
            if not anything_new:
                yield Observed(features, user, bought)
                continue
            new = new_purchases(occasions)
            some = np.diff(new.indptr) > 0  # at other occasions the user may know all items
            yield Observed(features, user[some], new[some], excluded=known[some])

    return logit_weights(first_purchases)


def habit_on_top(first: Estimate, blocks: Blocks[Choices], scales: Sequence[float]) -> tuple[Estimate, float]:
    """Weights of the F features, and, last, of habit log(1 + n / n_0), among all products; and n_0, of some scales the
    one that makes the purchases likeliest.

    Args:
        first: the weights of the features (`feature_weights`), which are multiplied by a factor that they share.
    """

    def all_purchases(scale: float) -> Iterator[Observed]:
        for features, occasions in blocks():
            habit = occasions.habit.copy()
            habit.data = np.log1p(habit.data / scale)
            utility = np.tensordot(first.weights, features, 1)
            with_habit = np.stack([utility, np.zeros_like(utility)])
            yield Observed(with_habit, occasions.user, occasions.bought, last=habit)

    found = {scale: logit_weights(partial(all_purchases, scale)) for scale in scales}
    best = max(found, key=lambda scale: found[scale].log_likelihood)
    return _multiplied(first, found[best]), best


def habit_in_place(first: Estimate, blocks: Blocks[Choices]) -> Estimate:
    """Weights of the F features, and, last, the rate h of habit among all products, of which each weighs
    exp(liking) + h n in a choice (`choice.habit_rate`).

    Args:
        first: the weights of the features (`feature_weights`), which are multiplied by a factor that they share.

    Source: Goodhardt, Ehrenberg & Chatfield 1984.
    """
    purchases = sum(float(block.occasions.bought.sum()) for block in blocks())

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros(2)
        for log_likelihood, slopes, bought in _choices_by_rate(first, blocks, parameters):
            value, slope = value - float(bought @ log_likelihood), slope - bought @ slopes
        return value / purchases, slope / purchases

    start = [1.0, _log_rate_of_equals(first, blocks)]
    bounds = ((0.0, LARGEST_FACTOR), LOG_RATES)  # the second is log h
    found = library("scipy.optimize", "fit").minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    information = sum(
        (slopes * bought[:, None]).T @ slopes for _, slopes, bought in _choices_by_rate(first, blocks, found.x)
    )
    errors = np.sqrt(np.diag(np.linalg.pinv(information)))  # from slopes of single purchases (Berndt et al. 1974)
    factor, rate = found.x[0], float(np.exp(found.x[1]))
    of_two = Estimate(np.array([factor, rate]), errors * [1.0, rate], -float(found.fun))
    return _multiplied(first, of_two)


def _log_rate_of_equals(first: Estimate, blocks: Blocks[Choices]) -> float:
    """log h at which the habits of a typical purchase weigh as much as the liking of all products. Far below it the
    likelihood is flat, so that a search which begins there stops at once."""
    logs, purchases = 0.0, 0.0
    for features, occasions in blocks():
        utility = np.tensordot(first.weights, features, 1)  # [S, M]
        highest = utility.max(axis=1)
        log_total = highest + np.log(np.exp(utility - highest[:, None]).sum(axis=1))
        bought = np.asarray(occasions.bought.sum(axis=1)).ravel()
        habits = np.asarray(occasions.habit.sum(axis=1)).ravel()
        some = habits > 0
        logs += float(bought[some] @ (log_total[occasions.user[some]] - np.log(habits[some])))
        purchases += float(bought[some].sum())
    return float(np.clip(logs / purchases, *LOG_RATES)) if purchases else 0.0


def _choices_by_rate(
    first: Estimate, blocks: Blocks[Choices], parameters: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Log-likelihood [E] of what was chosen at the occasions of each block, its slopes [E, 2], and the number [E] of
    purchases; parameters are the factor of the features' weights, and log h."""
    factor, log_rate = parameters
    for features, occasions in blocks():
        utility = np.tensordot(first.weights, features, 1)  # [S, M]
        highest = utility.max(axis=1)
        liked = np.exp(factor * (utility - highest[:, None]))
        total, slope = liked.sum(axis=1), np.einsum("sm,sm->s", liked, utility)
        chosen, item = occasions.bought.nonzero()
        user = occasions.user[chosen]
        # In units of exp(factor * highest) of the user:
        unit = np.exp(log_rate - factor * highest[user])
        of_habit = unit * np.asarray(occasions.habit[chosen, item]).ravel()
        all_habits = unit * np.asarray(occasions.habit.sum(axis=1)).ravel()[chosen]
        own, everything = liked[user, item] + of_habit, total[user] + all_habits
        by_factor = liked[user, item] * utility[user, item] / own - slope[user] / everything
        by_rate = of_habit / own - all_habits / everything
        bought = np.asarray(occasions.bought[chosen, item]).ravel()
        yield np.log(own / everything), np.stack([by_factor, by_rate], axis=1), bought


def _multiplied(first: Estimate, found: Estimate) -> Estimate:
    """Weights of features that are multiplied by the first of two numbers, and then the second one."""
    (factor, habit), (factor_error, habit_error), log_likelihood = found
    errors = np.hypot(factor * first.errors, first.weights * factor_error)  # of a product, to first order
    return Estimate(np.append(factor * first.weights, habit), np.append(errors, habit_error), log_likelihood)


def new_purchases(occasions: Occasions) -> csr_matrix:
    """The purchases [K, M] of items that their user had not bought before."""
    new = occasions.bought - occasions.bought.multiply(occasions.known != 0)
    new.eliminate_zeros()
    return new.tocsr()


def logit_weights(blocks: Blocks[Observed]) -> Estimate:
    """Weights w [F] that maximise the multinomial likelihood of purchases, of which v = sum_f w_f features[f].

    Their standard errors follow from the Hessian of the log-likelihood: from the purchases behind them alone, as if
    features were known and a user's purchases were independent of each other.
    """
    size, purchases = 0, 0.0
    for block in blocks():
        size, purchases = len(block.features), purchases + float(block.bought.sum())

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros(size)
        for block in blocks():
            log_likelihood, its_slope = _log_likelihood(block, w)
            value, slope = value - log_likelihood, slope - its_slope
        return value / purchases + RIDGE * w @ w, slope / purchases + 2 * RIDGE * w

    found = library("scipy.optimize", "fit").minimize(loss, np.ones(size), jac=True, method="L-BFGS-B")
    best = found.x
    curvature = 2 * RIDGE * purchases * np.eye(size) + sum(_information(block, best) for block in blocks())
    return Estimate(best, np.sqrt(np.diag(np.linalg.inv(curvature))), RIDGE * float(best @ best) - float(found.fun))


def _log_likelihood(block: Observed, w: np.ndarray) -> tuple[float, np.ndarray]:
    """The log-likelihood of the purchases of a block, and its slope [F]."""
    features, user, bought, last, _ = block
    chosen = features[:, user[_rows(bought)], bought.indices] @ bought.data
    if last is not None:
        chosen[-1] = bought.multiply(last).sum()
    shares = _shares(block, w)
    return float(w @ chosen - shares.purchases @ shares.log_total), chosen - shares.mean @ shares.purchases


def _information(block: Observed, w: np.ndarray) -> np.ndarray:
    """The negative Hessian [F, F] of the log-likelihood of the purchases of a block."""
    features, user = block.features, block.user
    shares = _shares(block, w)
    rate = shares.purchases / shares.total
    of_users = shares.usual * np.bincount(user, rate, len(shares.usual))[:, None]
    second = np.einsum("fsm,gsm,sm->fg", features, features, of_users, optimize=True)
    for sign, values, share in ((1, shares.here, shares.share_here), (-1, shares.elsewhere, shares.share_elsewhere)):
        second += sign * (values * share * rate[shares.occasion]) @ values.T
    return second - (shares.mean * shares.purchases) @ shares.mean.T


class _Shares(NamedTuple):
    """What follows from the utilities of a block. A share is exp(v), up to a factor for each user.

    E entries are stored (`Observed.last`, `excluded`). At the entry's occasion, `here`, its item has other features and
    another share than at the user's occasions without such an entry, `elsewhere`.
    """

    usual: np.ndarray  # [S, M] the shares where nothing is stored
    occasion: np.ndarray  # [E]
    here: np.ndarray  # [F, E] features
    elsewhere: np.ndarray  # [F, E]
    share_here: np.ndarray  # [E]
    share_elsewhere: np.ndarray  # [E]
    total: np.ndarray  # [K] of the items that can be chosen
    log_total: np.ndarray  # [K] log of the sum of exp(v)
    mean: np.ndarray  # [F, K] of the features of what is chosen
    purchases: np.ndarray  # [K]


def _shares(block: Observed, w: np.ndarray) -> _Shares:
    features, user, bought, last, excluded = block
    v = np.tensordot(w, features, 1)
    highest = v.max(axis=1)
    usual = np.exp(v - highest[:, None])
    stored = next(matrix for matrix in (last, excluded, bought[:0]) if matrix is not None)
    occasion = _rows(stored)
    whose, item = user[occasion], stored.indices
    elsewhere, share_elsewhere = features[:, whose, item], usual[whose, item]
    here, share_here = elsewhere, np.zeros(len(occasion))
    if last is not None:
        here = np.concatenate([elsewhere[:-1], last.data[None]])
        share_here = share_elsewhere * np.exp(w[-1] * last.data)
    total = usual.sum(axis=1)[user] + np.bincount(occasion, share_here - share_elsewhere, len(user))
    if excluded is not None:  # where nearly everything is, rounding leaves less than what was chosen
        chosen = _rows(bought)
        least = usual[user[chosen], bought.indices] * (bought.data > 0)
        total = np.maximum(total, np.bincount(chosen, least, len(user)))
    sums = np.einsum("fsm,sm->fs", features, usual)[:, user]
    sums += [np.bincount(occasion, row, len(user)) for row in here * share_here - elsewhere * share_elsewhere]
    return _Shares(
        usual,
        occasion,
        here,
        elsewhere,
        share_here,
        share_elsewhere,
        total,
        np.log(total) + highest[user],
        sums / total,
        np.asarray(bought.sum(axis=1)).ravel(),
    )


def _rows(matrix: csr_matrix) -> np.ndarray:
    """The row of each entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
