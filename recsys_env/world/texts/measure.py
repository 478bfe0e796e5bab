"""How much texts tell of a number: by a linear regression on the words that they contain."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...checks import as_numbers

FOLDS = 5
PENALTIES = 4.0 ** np.arange(-1, 7)


def explained(texts: Sequence[str], values: np.ndarray) -> float:
    """Return the share of the variance of values [M] that the words of texts [M] explain out of sample (R squared).

    A ridge regression on which words a text contains is fitted to four fifths of the items and predicts the others;
    each fifth is predicted once. The penalty is the one whose leave-one-out error on the four fifths is smallest
    (Golub, Heath & Wahba 1979). A value of about 0 means that the words tell nothing.

    Raises:
        ValueError: there are fewer than 20 texts, not as many values, or all values are equal.
        TypeError: values are no numbers.
    """
    values = as_numbers("values", values).astype(np.float64)
    if values.shape != (len(texts),) or len(texts) < 20 or np.ptp(values) == 0:
        raise ValueError(
            f"values of shape {values.shape} must be as many as the {len(texts)} texts, 20 or more, and not all equal"
        )
    contains, predicted = _bags(texts), np.empty_like(values)
    fold = np.random.default_rng(0).permutation(len(texts)) % FOLDS
    for k in range(FOLDS):
        out = fold == k
        predicted[out] = _ridge(contains[~out], values[~out], contains[out])
    return float(1 - np.square(values - predicted).sum() / np.square(values - values.mean()).sum())


def _bags(texts: Sequence[str]) -> np.ndarray:
    """Return which of all words each text contains, [M, words]."""
    bags = [set(re.findall(r"\w+", text.lower())) for text in texts]
    column = {word: i for i, word in enumerate(sorted(set().union(*bags)))}
    contains = np.zeros((len(bags), len(column)))
    for row, bag in zip(contains, bags, strict=True):
        row[[column[word] for word in bag]] = 1
    return contains


def _ridge(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Fit y [M] to x [M, W] and predict y of others [K, W]."""
    mean, level = x.mean(0), y.mean()
    variances, axes = np.linalg.eigh((x - mean) @ (x - mean).T)
    along, squares = axes.T @ (y - level), np.square(axes)
    errors = [
        np.square(axes @ (shrunk * along) / (squares @ shrunk - 1 / len(y))).sum()
        for shrunk in (penalty / (np.maximum(variances, 0) + penalty) for penalty in PENALTIES)
    ]
    penalty = PENALTIES[int(np.argmin(errors))]
    weights = (x - mean).T @ (axes @ (along / (np.maximum(variances, 0) + penalty)))
    predicted: np.ndarray = level + (others - mean) @ weights
    return predicted
