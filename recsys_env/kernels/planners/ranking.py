"""Scores of linear rankers, as sums in a fixed order, so that they are the same wherever they are worked out."""

from __future__ import annotations

from ..machine.compiler import entry, kernel


@entry
def score_options(observations, columns, weights, features, scores):
    """Fill scores[B, C] with <w, features[B, C, F]>, where w = weights[:, 0] + sum_i x_i weights[:, 1 + i].

    Args:
        observations: [B, O], of which `columns` [X] are the x.
        weights: [B, 1 + X, F], or [1, 1 + X, F] of all copies.
    """
    for b in range(scores.shape[0]):
        score_copy(observations[b], columns, weights, features, b, scores)


@kernel
def score_copy(observation, columns, weights, features, b, scores):
    """`score_options` in copy b, given its observation [O]."""
    row = min(b, weights.shape[0] - 1)
    for i in range(scores.shape[1]):
        scores[b, i] = 0.0
    for f in range(features.shape[2]):
        w = weights[row, 0, f]
        for x in range(columns.size):
            w += observation[columns[x]] * weights[row, 1 + x, f]
        for i in range(scores.shape[1]):
            scores[b, i] += w * features[b, i, f]
