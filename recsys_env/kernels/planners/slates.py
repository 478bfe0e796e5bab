"""The best slate for utilities v and values R of items: the assortment problem for one nest of the nested logit.

Talluri & van Ryzin 2004 for the multinomial logit; Davis, Gallego & Topaloglu 2014. With weights w_i, values R_i, and
of a slate the expected value V and the mean value m = sum w_i R_i / sum w_i of a click on it, dV / dw_i is proportional
to R_i - x with x = lambda V + (1 - lambda) m. So the best slate is the top K of w_i (R_i - x), placed by falling
w_i (R_i - x), for its own x, which is found by iteration: each round raises V, because V is quasi-convex in
(sum w_i R_i, sum w_i). With lambda = 1, x = V and the fixed point is the optimum; below it there may be several, so the
iteration starts from several x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..choice import outside_utility, trust_term
from ..equations import choice_probability, inclusive_value, log_slot_weight, trust_bonus
from ..machine.compiler import kernel
from ..machine.numeric import exp, insert, log
from ..page_kinds import active_agents, slot_at

_ROUNDS = 8  # the iteration for x converges in three or four
_STARTS = 12  # of it, where lambda < 1


class Scratch(NamedTuple):
    """Working memory for a slate; O = max(C, M) options."""

    options: np.ndarray  # [O] positions of candidates, or items
    utilities: np.ndarray  # [O]
    weights: np.ndarray  # [O] exp(v / lambda - scale), where scale is the largest v / lambda
    values: np.ndarray  # [O]
    chosen: np.ndarray  # [K] of the options
    best: np.ndarray  # [K] of the options
    gains: np.ndarray  # [K]
    taste: np.ndarray  # [D]


@kernel
def true_page(world, state, p, b, n):
    """Log mass of everything but agent n, and what trust adds to agent n.

    Everything else is no click, and the rivals at their last inclusive values.
    """
    copy = state.copies[b]
    v_0 = outside_utility(world, p, state.users[b, copy.visitor])
    first, stop = active_agents(world, p, copy)
    total = 1.0
    for m in range(first, stop):
        if m != n and state.inclusive[b, m] > -np.inf:
            total += exp(state.inclusive[b, m] - v_0)
    return v_0 + log(total), trust_term(state, p, b, n)


@kernel
def expected_page(world, p):
    """The same as far as an observer knows: no click in the average mood, no rivals, and trust as it starts."""
    return np.mean(world.v_0), 0.0 if p.shape.opens_agent else trust_bonus(p.choice, p.users.trust_init)


@kernel
def log_theta(world, state, p, b, n, k):
    """Log examination of slot k of agent n, whose rank on the page about to be shown is already drawn."""
    first, stop = active_agents(world, p, state.copies[b])
    for turn in range(stop - first):
        m, rank = slot_at(state, p, b, k, turn, first, stop)
        if m == n:
            return world.log_theta[rank]
    return -np.inf


@kernel
def fill_top(weights, values, x, count, slots, chosen, gains):
    """Fill chosen[:slots] with the options of the largest weight * (value - x), largest first; how many there are."""
    filled = 0
    for i in range(count):
        filled = insert(gains, chosen, filled, slots, weights[i] * (values[i] - x), i)
    return filled


@kernel
def _slate_value(world, state, p, b, n, filled, rest, trust, none, scale, scratch):
    """Expected value of the slate chosen[:filled], and of a click on it; weights are exp(v / lambda - scale)."""
    weights, values, chosen = scratch.weights, scratch.values, scratch.chosen
    total, value = 0.0, 0.0
    for k in range(filled):
        w = weights[chosen[k]] * exp(log_theta(world, state, p, b, n, k))
        total += w
        value += w * values[chosen[k]]
    if total <= 0.0:
        return none, none
    inclusive = inclusive_value(p.choice, scale + log(total), trust)
    share = choice_probability(inclusive, rest)
    return share * value / total + (1.0 - share) * none, value / total


@kernel
def best_slate(world, state, p, b, n, count, rest, trust, none, record, scratch):
    """Fill best[:min(K, count)] with the slate of the best value among the iterates of x, if it is above `record`; the
    larger of the two.

    The scratch holds the utilities and values of `count` options. `rest` and `trust` are as in `true_page`, and `none`
    is the value of no click.
    """
    weights, values, chosen, best = scratch.weights, scratch.values, scratch.chosen, scratch.best
    slots, scale, top, dissimilarity = min(p.shape.slots, count), -np.inf, none, p.choice.dissimilarity
    for i in range(count):
        scale = max(scale, log_slot_weight(p.choice, scratch.utilities[i], 0.0))
        top = max(top, values[i])
    for i in range(count):
        weights[i] = exp(log_slot_weight(p.choice, scratch.utilities[i], 0.0) - scale)
    for start in range(1 if dissimilarity == 1.0 else _STARTS):
        x, last = none + (top - none) * (start / (_STARTS - 1)) ** 2, -np.inf  # denser where fixed points lie closer
        for _ in range(_ROUNDS):
            filled = fill_top(weights, values, x, count, slots, chosen, scratch.gains)
            value, mean = _slate_value(world, state, p, b, n, filled, rest, trust, none, scale, scratch)
            if value <= last:
                break
            if value > record:
                record = value
                for k in range(filled):
                    best[k] = chosen[k]
            x, last = dissimilarity * value + (1.0 - dissimilarity) * mean, value
    return record
