"""The slate of a policy that believes something of each item: beliefs.py says what, slates.py which slate follows."""

from __future__ import annotations

import numpy as np

from .beliefs import (
    content_belief,
    estimate_taste,
    oracle_belief,
    planner_belief,
    popularity_belief,
    price_of_experience,
)
from .compiler import entry
from .page import can_show, is_active, retrieves
from .slates import best_slate, expected_page, fill_top, true_page

POPULARITY, CONTENT, ORACLE, PLANNER = 0, 1, 2, 3  # beliefs


@entry
def choose(world, state, n, believes, sees, scratch, slates, sizes):
    """The slates of agent n.

    Args:
        believes: which belief; `price` and `target` of the planner's `price_of_experience`; the slope of
            `content_belief`; `newcomer` [M] of `popularity_belief`.
        slates: [B, K] filled with places among its candidates, or items where it has none, best first.
        sizes: [B] filled with how many it shows; 0 where it is inactive.
    """
    p = world.params[0]
    belief, price, target, slope, newcomer = believes
    options, weights, values, best = scratch.options, scratch.weights, scratch.values, scratch.best
    by_position = retrieves(p)
    for b in range(state.copies.size):
        sizes[b] = 0
        if not is_active(world, p, state.copies[b], n):
            continue
        count = 0
        for i in range(p.shape.candidates if by_position else p.shape.items):
            j = np.int64(state.candidates[b, n, i]) if by_position else np.int64(i)
            if j >= 0 and (by_position or can_show(world, state, p, b, n, j)):
                options[count] = i
                count += 1
        if count == 0:
            continue
        if belief == CONTENT:
            estimate_taste(state, p, b, n, sees, scratch.taste)
        now = price_of_experience(state, b, price, target)
        for i in range(count):
            j = np.int64(state.candidates[b, n, options[i]]) if by_position else np.int64(options[i])
            if belief == POPULARITY:
                weights[i], values[i] = 1.0, popularity_belief(world, state, p, b, j, newcomer)
            elif belief == CONTENT:
                weights[i], values[i] = content_belief(world, state, p, b, n, j, sees, scratch.taste, slope)
            elif belief == ORACLE:
                weights[i], values[i] = oracle_belief(world, state, p, b, n, j)
            else:
                weights[i], values[i] = planner_belief(world, state, p, b, n, j, now)
        if belief == POPULARITY:
            filled = fill_top(weights, values, 0.0, count, min(p.shape.slots, count), best, scratch.gains)
        else:
            rest, trust = expected_page(world, p) if belief == CONTENT else true_page(world, state, p, b, n)
            filled = best_slate(world, state, p, b, n, count, rest, trust, scratch)
        sizes[b] = filled
        for k in range(filled):
            slates[b, k] = options[best[k]]
