"""Linear maps from text vectors to taste vectors, fitted on items whose taste vectors are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import as_numbers
from ..libraries import library

PENALTIES = tuple(10.0**power for power in range(-3, 4))


@dataclass(frozen=True)
class Projection:
    """Ridge regression of item vectors on the vectors of their texts.

    The penalty is the one that predicts left-out items best.

    Attributes:
        slopes: [E, D].
        means: [D], the vector of an item of which nothing is known.
        penalty: the chosen penalty.
    """

    slopes: np.ndarray
    means: np.ndarray
    penalty: float

    @classmethod
    def fit(cls, texts: np.ndarray, vectors: np.ndarray) -> Projection:
        """Fit the map to texts [M, E] and vectors [M, D] of the same items.

        Raises:
            ValueError, TypeError: their numbers of items differ or are below two, or values are not finite numbers.
            ImportError: the extra `language` is missing.
        """
        texts, vectors = as_numbers("texts", texts), as_numbers("vectors", vectors)
        if texts.ndim != 2 or vectors.ndim != 2 or not (2 <= len(texts) == len(vectors) and texts.size * vectors.size):
            raise ValueError(
                f"texts of shape {texts.shape} and vectors of shape {vectors.shape} must be matrices with a "
                "row for each item, of two items or more"
            )
        model = library("sklearn.linear_model", "text").RidgeCV(alphas=PENALTIES).fit(texts, vectors)
        slopes = model.coef_.reshape(vectors.shape[1], -1).T  # of one dimension scikit-learn gives a row
        return cls(slopes.astype(np.float32), np.ravel(model.intercept_).astype(np.float32), float(model.alpha_))

    def place(self, texts: np.ndarray) -> np.ndarray:
        """Return the expected vectors [I, D] of items with texts [I, E]."""
        found: np.ndarray = texts @ self.slopes + self.means
        return found

    def __call__(self, texts: np.ndarray) -> np.ndarray:
        """Where items with texts [I, E] lie: vectors [I, D] of unit norm."""
        placed = self.place(texts)
        return (placed / np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), 1e-12)).astype(np.float32)
