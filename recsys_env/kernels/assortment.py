"""The slate of a policy that believes something of each item: beliefs.py says what, slates.py which slate follows."""

from __future__ import annotations

import numpy as np

from .beliefs import (
    content_belief,
    estimate_taste,
    oracle_belief,
    planner_belief,
    popularity_belief,
    trust_loss,
)
from .compiler import entry, kernel
from .page import can_show, is_active, log_multiplier, place_of_level, retrieves
from .slates import best_slate, expected_page, fill_top, true_page

POPULARITY, CONTENT, ORACLE, PLANNER = 0, 1, 2, 3  # beliefs


@entry
def choose(world, state, n, believes, levels, sees, scratch, slates, sizes, chosen):
    """The slates of agent n.

    Args:
        believes: which belief; price and target of `planner_belief`; the slope of `content_belief`; `newcomer` [M] of
            `popularity_belief`.
        levels: (first, stop) levels of prices to choose from; (0, 1) where agents set none.
        slates: [B, K] filled with places among its candidates, or items where it has none, best first.
        sizes: [B] filled with how many it shows; 0 where it is inactive.
        chosen: [B] filled with levels of prices.
    """
    p = world.params[0]
    belief, price, target, slope, newcomer = believes
    options, weights, values, best = scratch.options, scratch.weights, scratch.values, scratch.best
    for b in range(state.copies.size):
        sizes[b], chosen[b] = 0, levels[0]
        if not is_active(world, p, state.copies[b], n):
            continue
        count = list_showable(world, state, p, b, n, options)
        if count == 0:
            continue
        sizes[b] = min(p.shape.slots, count)
        if belief == POPULARITY:
            for i in range(count):
                j = item_of(state, p, b, n, options[i])
                weights[i], values[i] = 1.0, popularity_belief(world, state, p, b, j, newcomer)
            fill_top(weights, values, 0.0, count, sizes[b], best, scratch.gains)
        else:
            if belief == CONTENT:
                estimate_taste(state, p, b, n, sees, scratch.taste)
            rest, trust = expected_page(world, p) if belief == CONTENT else true_page(world, state, p, b, n)
            none, record = 0.0, -np.inf
            if price > 0.0 and p.shape.levels > 0:
                none = price * trust_loss(world, state, p, b, n, rest)
            for tried in range(levels[0], levels[1]):
                log_offer = log_multiplier(p, place_of_level(p, tried)) if p.shape.levels > 0 else 0.0
                for i in range(count):
                    j = item_of(state, p, b, n, options[i])
                    if belief == CONTENT:
                        weights[i], values[i] = content_belief(
                            world, state, p, b, n, j, log_offer, sees, scratch.taste, slope
                        )
                    elif belief == ORACLE:
                        weights[i], values[i] = oracle_belief(world, state, p, b, n, j, log_offer)
                    else:
                        weights[i], values[i] = planner_belief(world, state, p, b, n, j, log_offer, price, target)
                value = best_slate(world, state, p, b, n, count, rest, trust, none, record, scratch)
                if value > record:
                    record, chosen[b] = value, tried
        for k in range(sizes[b]):
            slates[b, k] = options[best[k]]


@kernel
def list_showable(world, state, p, b, n, options):
    """Fill options[:count] with what active agent n may show: candidates by their place, or items; `count`."""
    count = 0
    for i in range(p.shape.candidates if retrieves(p) else p.shape.items):
        j = item_of(state, p, b, n, i)
        if j >= 0 and (retrieves(p) or can_show(world, state, p, b, n, j)):
            options[count] = i
            count += 1
    return count


@kernel
def item_of(state, p, b, n, option):
    """The item behind an option: a candidate by its place, or the item itself; -1 at an empty place."""
    return np.int64(state.candidates[b, n, option]) if retrieves(p) else np.int64(option)
