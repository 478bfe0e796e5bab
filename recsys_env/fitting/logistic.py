"""Logistic regression by Newton's method, also with an effect of each group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ITERATIONS, TOLERANCE = 50, 1e-8
LARGEST_STEP = 2.0  # of a weight in an iteration
ROUNDS = 200  # at most, of estimates of how far groups differ
SMALLEST_VARIANCE = 1e-4  # of effects of groups
RELATIVE = 1e-3  # change of the variance, and step of a weight, below which the rounds end


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


class GroupedLogistic(NamedTuple):
    """Weights [F] and their standard errors, effects of groups [G], and the standard deviation of such effects."""

    weights: np.ndarray
    errors: np.ndarray
    effects: np.ndarray
    sd: float


def grouped_logistic(x: np.ndarray, y: np.ndarray, ridge: float, group: np.ndarray, groups: int) -> GroupedLogistic:
    """Estimate the weights of features [n, F] in the log odds of y [n], to which each group adds an effect ~ N(0, s^2).

    Effects are modes of their posterior distribution, 0 for a group without rows. The variance s^2 is estimated by the
    EM algorithm with Laplace's approximation (Breslow & Clayton 1993).

    Args:
        ridge: as in `logistic`.
        group: [n] 0 .. G - 1.
        groups: G.
    """
    w, effects, variance, penalty = np.zeros(x.shape[1]), np.zeros(groups), 1.0, ridge * np.eye(x.shape[1])
    met = np.bincount(group, minlength=groups) > 0
    for _ in range(ROUNDS):
        p = sigmoid(x @ w + effects[group])
        v = p * (1 - p)
        precision = np.bincount(group, v, groups) + 1.0 / variance
        across = np.stack([np.bincount(group, v * column, groups) for column in x.T], axis=1)  # [G, F]
        # The effects are eliminated, because their part of the Hessian is diagonal.
        hessian = (x * v[:, None]).T @ x + penalty - (across / precision[:, None]).T @ across
        of_effects = np.bincount(group, y - p, groups) - effects / variance
        step = np.linalg.solve(hessian, x.T @ (y - p) - ridge * w - across.T @ (of_effects / precision))
        w += np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        more = (of_effects - across @ step) / precision
        effects += np.clip(more, -LARGEST_STEP, LARGEST_STEP)
        covariance = np.linalg.inv(hessian)
        uncertain = 1.0 / precision + np.einsum("gf,fh,gh->g", across, covariance, across) / precision**2
        before, variance = variance, max(float((effects**2 + uncertain)[met].mean()), SMALLEST_VARIANCE)
        if abs(variance - before) < RELATIVE * before and max(np.abs(step).max(), np.abs(more).max()) < RELATIVE:
            break
    return GroupedLogistic(w, np.sqrt(np.diag(covariance)), np.where(met, effects, 0.0), float(np.sqrt(variance)))


def sigmoid(v: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-v)), never quite 0 or 1."""
    found: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(v, -30, 30)))
    return found
