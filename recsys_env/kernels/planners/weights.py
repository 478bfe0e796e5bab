"""Weights of features that rank a slate's candidates above the others, for policies that know which slate they want."""

from __future__ import annotations

import math

import numpy as np

from ..machine.compiler import entry, kernel

_ROUNDS = 100


@entry
def separate(features, items, slates, filled, work, weights):
    """Fill weights[B, F] so that as many as possible of a slate's options are the first ones by weights . features.

    The pocket perceptron (Gallant 1990) on features in units of their spread on the page: while an option outside the
    slate scores at least what one in it does, their difference is added; the weights that ranked most of the slate
    first are kept. It is exact, given rounds enough, where a hyperplane separates the two, and else a heuristic.

    Args:
        features: [B, C, F] of the options, which is spent.
        items: [B, C], -1 = no option.
        slates: [B, K] options, of which the first filled[b] count.
        work: [2 F + 2 C] scratch, float64.
        weights: the largest in size is 1; all are 0 where nothing tells the slate from the rest.
    """
    count, size = features.shape[1:]
    spread, direction = work[:size], work[size : 2 * size]
    scores, member = work[2 * size : 2 * size + count], work[2 * size + count :]
    for b in range(slates.shape[0]):
        for f in range(size):
            spread[f] = _spread(features, items, b, f)
            direction[f], weights[b, f] = 0.0, 0.0
        for i in range(count):
            member[i] = 0.0
            for f in range(size):
                features[b, i, f] = features[b, i, f] / spread[f] if spread[f] > 1e-6 else 0.0
        for k in range(filled[b]):
            member[slates[b, k]] = 1.0
        most = 0
        for _ in range(_ROUNDS):
            least, rival = _score(features, items, b, direction, member, scores)
            if least < 0 or rival < 0:
                break
            above = 0
            for k in range(filled[b]):
                above += scores[slates[b, k]] > scores[rival]
            if above > most:
                most = above
                for f in range(size):
                    weights[b, f] = direction[f]
            if most == filled[b]:
                break
            for f in range(size):
                direction[f] += np.float64(features[b, least, f]) - features[b, rival, f]
        _rescale(weights, b, spread)


@kernel
def _spread(features, items, b, f):
    """Standard deviation of feature f over the options of copy b."""
    number, total, squares = 0, 0.0, 0.0
    for i in range(features.shape[1]):
        if items[b, i] >= 0:
            x = np.float64(features[b, i, f])
            number, total, squares = number + 1, total + x, squares + x * x
    return math.sqrt(max(squares / number - (total / number) ** 2, 0.0)) if number > 0 else 0.0


@kernel
def _score(features, items, b, direction, member, scores):
    """Fill scores[C]; the lowest option of the slate and the highest of the others, -1 where there is none."""
    least, rival = -1, -1
    for i in range(features.shape[1]):
        if items[b, i] < 0:
            continue
        scores[i] = 0.0
        for f in range(direction.size):
            scores[i] += direction[f] * features[b, i, f]
        if member[i] > 0.0:
            least = i if least < 0 or scores[i] < scores[least] else least
        else:
            rival = i if rival < 0 or scores[i] > scores[rival] else rival
    return least, rival


@kernel
def _rescale(weights, b, spread):
    """From units of the spread to units of the features, the largest 1."""
    largest = 0.0
    for f in range(spread.size):
        weights[b, f] = weights[b, f] / spread[f] if spread[f] > 1e-6 else 0.0
        largest = max(largest, abs(weights[b, f]))
    for f in range(spread.size):
        weights[b, f] = weights[b, f] / largest if largest > 0.0 else 0.0
