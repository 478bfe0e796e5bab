"""Logistic regression by Newton's method."""

from __future__ import annotations

import numpy as np

ITERATIONS, TOLERANCE = 50, 1e-8
LARGEST_STEP = 2.0  # of a weight in an iteration


def logistic(
    x: np.ndarray, y: np.ndarray, ridge: float, weight: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the weights [F] of features [n, F] in the log odds of y [n], and the Hessian [F, F] at the estimate.

    Args:
        ridge: of the penalty ridge / 2 |weights|^2, which keeps separable data finite.
        weight: [n] of the rows, or one for all.
    """
    w, penalty = np.zeros(x.shape[1]), ridge * np.eye(x.shape[1])
    for _ in range(ITERATIONS):
        p = sigmoid(x @ w)
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, x.T @ (weight * (y - p)) - ridge * w)
        w += np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        if np.abs(step).max() < TOLERANCE:
            break
    return w, hessian


def sigmoid(v: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-v)), never quite 0 or 1."""
    found: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(v, -30, 30)))
    return found
