"""How well scores rank the items that users buy later: NDCG and recall, with bootstrap intervals over users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...config.catalogue import Catalogue
from ...libraries import library
from ..prices import usual_prices
from ..tastes import als_factors, habit_matrix, purchase_counts

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

SEED = 0
CUTOFF = 20
RESAMPLES = 2000
USERS = 3000  # who are ranked for; of more, a random sample
BLOCK_CELLS = 2_000_000  # users x items whose scores are in memory at a time
NEIGHBOURS = 100
FACTORS = (16, 64, 128)
POPULARITY_DAYS, HABIT_DAYS = 7.0, 120.0  # half-lives of purchases in the scores to beat
FITTED = "fitted utility"
RECENT = f"popularity, half-life {POPULARITY_DAYS:g} days"
IMPERSONAL = ("popularity", RECENT)  # scores that are the same for every user

Score: TypeAlias = Callable[[np.ndarray], np.ndarray]  # codes of users [S] -> scores [S, M]


def utility(catalogue: Catalogue, users: np.ndarray | slice = slice(None)) -> np.ndarray:
    """v [S, M] of some users at usual prices, from the arrays and settings of a catalogue alone, as the environment
    computes it."""
    beta = catalogue.settings["choice"]
    x = usual_prices(catalogue.item_price, catalogue.item_topic, catalogue.item_price_ratio)
    habit = habit_matrix(catalogue.habit_item[users], catalogue.habit_count[users], len(x))
    liking = (
        catalogue.item_intercept
        + beta["beta_taste"] * catalogue.user_taste[users] @ catalogue.item_vectors.T
        - beta["beta_price"] * catalogue.user_price_sensitivity[users, None] * x
    )
    if "habit_rate" in beta:
        return np.logaddexp(liking, np.log(np.maximum(beta["habit_rate"] * habit, 1e-300)))
    return liking + beta["beta_repeat"] * np.log1p(habit / beta["repeat_scale"])


# ------------------------------------------------------------------------------------------------ scores


def scores_of(catalogue: Catalogue, lines: pd.DataFrame) -> dict[str, Score]:
    """The fitted utility, and the scores that it has to beat.

    Args:
        catalogue: fitted to these lines.
        lines: tidy lines (`table.tidy`) with the codes of the catalogue.

    Sources: Sarwar et al. 2001 (item-kNN); Hu, Koren & Volinsky 2008 (ALS).
    """
    shape = (len(catalogue.user_taste), len(catalogue.item_price))
    end = float(lines["day"].max())
    half_lives = np.inf, POPULARITY_DAYS, HABIT_DAYS
    ever, lately, decayed = (purchase_counts(lines, shape, end, half_life) for half_life in half_lives)
    popularity = of_items(ever)
    found: dict[str, Score] = {
        FITTED: lambda users: utility(catalogue, users),
        "popularity": alike(popularity),
        RECENT: alike(of_items(lately)),
        "repeat count": repeats(ever, popularity),
        f"repeat count, half-life {HABIT_DAYS:g} days": repeats(decayed, popularity),
        f"item-kNN, {NEIGHBOURS} neighbours": neighbours(decayed, popularity),
    }
    for factors in FACTORS:
        if factors < min(shape):
            found[f"ALS, {factors} factors, half-life {HABIT_DAYS:g} days"] = als(
                decayed, factors, alpha=1.0, regularization=1.0
            )
    return found


def of_items(counts: csr_matrix) -> np.ndarray:
    """Sums of the items [M]."""
    return np.asarray(counts.sum(axis=0)).ravel()


def alike(score: np.ndarray) -> Score:
    """The same score [M] for every user."""
    return lambda users: np.ones((len(users), 1)) * score


def repeats(counts: csr_matrix, popularity: np.ndarray) -> Score:
    """A user's own purchases. Popularity orders the items that the user has never bought."""
    return lambda users: counts[users].toarray() + 1e-9 * popularity


def als(counts: csr_matrix, dims: int, **options: Any) -> Score:
    """Raw scores of a factorisation (`als_factors`)."""
    library("implicit.als", "fit")  # first: the limit holds for the libraries that are loaded by then
    with library("threadpoolctl", "fit").threadpool_limits(1, "blas"):  # sums that no number of processors changes
        user, item = als_factors(counts, dims, **options)
    return lambda users: user[users] @ item.T


def neighbours(counts: csr_matrix, popularity: np.ndarray) -> Score:
    """Cosine similarity to the items that the user has bought, summed with the weights log(1 + count)."""
    model = library("implicit.nearest_neighbours", "fit").CosineRecommender(K=NEIGHBOURS, num_threads=1)
    weights = counts.log1p()
    with warnings.catch_warnings():
        # of a matrix that the library itself converts
        warnings.simplefilter("ignore", library("implicit.utils", "fit").ParameterWarning)
        model.fit(weights, show_progress=False)
    return lambda users: (weights[users] @ model.similarity).toarray() + 1e-9 * popularity


# ------------------------------------------------------------------------------------------------ quality


def held_out_quality(
    scores: Mapping[str, Score], known: csr_matrix, bought: csr_matrix
) -> dict[str, dict[str, dict[str, Any]]]:
    """Rank all items for the users who bought something later, by every score.

    Args:
        scores: by name; `FITTED` is one of them.
        known: purchases [U, M] before.
        bought: purchases [U, M] after.

    Returns:
        "all", and "new" for items that are new to the user, if anybody buys one -> name of the score -> ndcg, recall,
        and "fitted minus this", the paired differences: intervals (`interval`).
    """
    users = np.flatnonzero(np.diff(bought.indptr))
    if len(users) > USERS:
        users = np.sort(np.random.default_rng(SEED).choice(users, USERS, replace=False))
    found: dict[str, dict[str, list[dict[str, np.ndarray]]]] = {
        subset: {name: [] for name in scores} for subset in ("all", "new")
    }
    size = max(1, BLOCK_CELLS // bought.shape[1])
    for block in (users[first : first + size] for first in range(0, len(users), size)):
        relevant, new = bought[block].toarray() > 0, known[block].toarray() == 0
        for name, score in scores.items():
            value = score(block)
            for subset, allowed in (("all", np.ones_like(new)), ("new", new)):
                found[subset][name].append(ranking_quality(value, relevant, allowed))
    joined = {subset: {name: _joined(parts) for name, parts in of.items()} for subset, of in found.items()}
    return {subset: _compared(of) for subset, of in joined.items() if np.isfinite(of[FITTED]["ndcg"]).any()}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in ("ndcg", "recall")}


def _compared(quality: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    return {
        name: {metric: interval(values) for metric, values in of.items()}
        | {"fitted minus this": {metric: interval(quality[FITTED][metric] - of[metric]) for metric in of}}
        for name, of in quality.items()
    }


def ranking_quality(score: np.ndarray, relevant: np.ndarray, allowed: np.ndarray) -> dict[str, np.ndarray]:
    """Recall and NDCG at `CUTOFF` of each user [S], ranking only `allowed` items; NaN without a relevant one.

    Arguments are [S, M]; relevance is binary. Of equal scores the first item ranks higher.
    """
    relevant = relevant & allowed
    top = _top(-np.where(allowed, score, -np.inf), min(CUTOFF, score.shape[1]))
    hit, number = np.take_along_axis(relevant, top, axis=1), relevant.sum(axis=1)
    gain = 1 / np.log2(np.arange(2, CUTOFF + 2))
    best = np.concatenate([[np.nan], np.cumsum(gain)])[np.minimum(number, CUTOFF)]
    ndcg = hit @ gain[: hit.shape[1]] / best
    return {"recall": hit.sum(axis=1) / np.where(number > 0, number, np.nan), "ndcg": ndcg}


def _top(cost: np.ndarray, count: int) -> np.ndarray:
    """The first `count` columns [S, count] of a stable sort of each row, without sorting the whole row."""
    last = np.partition(cost, count - 1, axis=1)[:, count - 1]
    top = np.empty((len(cost), count), np.int64)
    for row, (costs, bound) in enumerate(zip(cost, last, strict=True)):
        columns = np.flatnonzero(costs <= bound)
        top[row] = columns[np.argsort(costs[columns], kind="stable")[:count]]
    return top


def interval(values: np.ndarray) -> dict[str, float]:
    """Mean over users and its 95 % bootstrap interval, with the same resamples for every score."""
    values = values[np.isfinite(values)]
    draws = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "users": len(values)}
