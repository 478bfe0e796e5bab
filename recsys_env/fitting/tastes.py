"""What a log says about tastes and habits: counts of purchases, and the factors behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

SEED = 0
SMALLEST_SCORE = 1e-4  # mean ALS scores lie between 0 and 1; below this they are noise


def purchase_counts(lines: pd.DataFrame, shape: tuple[int, int], now: float, half_life: float) -> csr_matrix:
    """Purchases [U, M], each weighted by 0.5 ** (its age at day `now` / half_life)."""
    sparse = library("scipy.sparse", "fit")
    weight = 0.5 ** ((now - lines["day"].to_numpy()) / half_life)
    return sparse.csr_matrix((weight, (lines["user"], lines["item"])), shape=shape)


def log_popularity(lines: pd.DataFrame, shape: tuple[int, int], now: float, half_life: float) -> np.ndarray:
    return np.log1p(np.asarray(purchase_counts(lines, shape, now, half_life).sum(axis=0)).ravel())


def taste_vectors(
    lines: pd.DataFrame, shape: tuple[int, int], dims: int, now: float, half_life: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tastes [U, D] and item vectors [M, D], directions of the ALS factors, and the log of each item's mean score [M].

    ALS ranks a user's items by <x_u, y_j>, of which a unit norm of x_u changes nothing. Around the mean user m this is
    <m, y_j> + <x_u - m, y_j>: the first part is the same for all users and goes to the intercept, norms included, and
    only in the second part are the norms of the items given up.
    """
    user, item = als_factors(purchase_counts(lines, shape, now, half_life), dims)
    by_user, by_item = np.bincount(lines["user"], minlength=shape[0]), np.bincount(lines["item"], minlength=shape[1])
    mean = np.average(_unit(user), axis=0, weights=by_user)
    return _directions(user, by_user), _directions(item, by_item), np.log(np.maximum(item @ mean, SMALLEST_SCORE))


def als_factors(
    counts: csr_matrix, dims: int, alpha: float = 5.0, regularization: float = 20.0
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of users [U, D] and items [M, D]: ALS with confidence alpha log(1 + count), and 1 of what was not bought.

    Hu, Koren & Volinsky 2008, who add 1 to the first; ranking is worse with it.
    """
    model = library("implicit.als", "fit").AlternatingLeastSquares(
        factors=dims,
        alpha=alpha,
        regularization=regularization,
        iterations=15,
        num_threads=1,
        random_state=SEED,
        use_gpu=False,
    )
    model.fit(counts.log1p().astype(np.float32), show_progress=False)
    return model.user_factors, model.item_factors


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _directions(factors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Unit vectors around their weighted mean.

    Raw factors all point the same way (popularity), so that their cosines hardly differ.
    """
    factors = _unit(factors)
    factors = factors - np.average(factors, axis=0, weights=weight)
    norm = np.linalg.norm(factors, axis=1, keepdims=True)
    return np.where(norm > 1e-9, factors / np.maximum(norm, 1e-9), np.eye(1, factors.shape[1])).astype(np.float32)


def largest_habits(counts: csr_matrix, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The `size` largest counts of each user, largest first: items [U, H] (-1 = empty) and counts [U, H]."""
    item = np.full((counts.shape[0], size), -1, np.int32)
    count = np.zeros((counts.shape[0], size), np.float32)
    for u in range(counts.shape[0]):
        row = slice(counts.indptr[u], counts.indptr[u + 1])
        best = np.argsort(-counts.data[row], kind="stable")[:size]
        item[u, : len(best)], count[u, : len(best)] = counts.indices[row][best], counts.data[row][best]
    return item, count


def habit_matrix(item: np.ndarray, count: np.ndarray, items: int) -> np.ndarray:
    """The habit table [U, H] spread out to counts n_uj [U, M]."""
    dense = np.zeros((len(item), items))
    user, entry = np.nonzero(item >= 0)
    dense[user, item[user, entry]] = count[user, entry]
    return dense
