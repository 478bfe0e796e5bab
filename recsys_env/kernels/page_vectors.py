"""The pass over a log of pages that draws the vectors of its items, for `recsys_env.fitting.learned_vectors`.

`pages` are `fitting.choice_data.Pages`, and `rows` are `fitting.learned_vectors.RowsOfItems`.
"""

from __future__ import annotations

import numpy as np

from .machine import rng
from .machine.compiler import entry
from .machine.numeric import exp, log
from .page_choices import NOISE, SHRINKAGES, judge

SMALLEST_NORM = 1e-12


@entry
def draw_vectors(pages, rows, utility, total, centres, group, coefficients, key, raw, noise, memory):
    """Move the vector of every item by an elliptical slice step, given the coefficients of the users.

    A vector has the direction of `raw`, which is normally distributed around the centre of the item's group, with
    variances of 1. So without a centre all directions are equally likely.

    Args:
        utility: [R], of all rows; total: [P], the sum of the odds of a page, with 1 for choosing nothing. Both are
            updated in place.
        centres, group: [G, D] and [M].
        coefficients: [U, d], of which the first D are tastes.
        raw: [M, D], moved in place, and with it pages.vectors.
        noise, memory: [D] and [4, n], memory, where n is the most rows of an item.
    """
    middle, along, across, others = memory[0], memory[1], memory[2], memory[3]
    items, dims = raw.shape
    for j in range(items):
        own, x, centre, vector = rng.child(key, j), raw[j], centres[group[j]], pages.vectors[j]
        first, stop = rows.first[j], rows.first[j + 1]
        for i in range(dims):
            noise[i] = rng.normal(own, NOISE, i)
        for index in range(first, stop):
            r, k, taste = rows.row[index], index - first, coefficients[rows.user[index]]
            others[k] = max(total[rows.page[index]] - exp(utility[r]), 1.0)
            middle[k], along[k], across[k] = 0.0, 0.0, 0.0
            for i in range(dims):
                utility[r] -= taste[i] * vector[i]
                middle[k] += taste[i] * centre[i]
                along[k] += taste[i] * (x[i] - centre[i])
                across[k] += taste[i] * noise[i]
        level, angle, least, most, norm = -np.inf, 0.0, 0.0, 0.0, 1.0
        for attempt in range(SHRINKAGES):
            c, s = np.cos(angle), np.sin(angle)
            norm = 0.0
            for i in range(dims):
                norm += (centre[i] + c * (x[i] - centre[i]) + s * noise[i]) ** 2
            norm = max(np.sqrt(norm), SMALLEST_NORM)
            found = 0.0
            for index in range(first, stop):
                r, k = rows.row[index], index - first
                v = utility[r] + (middle[k] + c * along[k] + s * across[k]) / norm
                found -= log(others[k] + exp(v))
                if pages.chosen[rows.page[index]] == r:
                    found += v
            done, level, angle, least, most = judge(own, attempt, found, level, angle, least, most)
            if done:
                break
        c, s = np.cos(angle), np.sin(angle)
        for i in range(dims):
            x[i] = centre[i] + c * (x[i] - centre[i]) + s * noise[i]
            vector[i] = x[i] / norm
        for index in range(first, stop):
            r, k, taste = rows.row[index], index - first, coefficients[rows.user[index]]
            for i in range(dims):
                utility[r] += taste[i] * vector[i]
            total[rows.page[index]] = others[k] + exp(utility[r])
