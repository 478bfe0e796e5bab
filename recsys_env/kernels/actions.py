"""Actions: whether they lie in their space, and what they ask to be shown, for what price and with which message."""

from __future__ import annotations

import numpy as np

from .equations import bid_for, log_multiplier, position_of_level
from .machine.compiler import entry, kernel
from .machine.numeric import exp, insert, is_better
from .observation import describe_candidates
from .page import CANDIDATES, QUERY, WEIGHTS, actions_of_pick, can_show, is_continuous, sets_prices
from .page_kinds import is_active
from .platform import publish


@entry
def find_outside(actions, limits, low):
    """The first index, counted through actions [B, N, A], of one that is not from `low` to limits[A]; -1 = none."""
    for b in range(actions.shape[0]):
        index = index_outside(actions, b, limits, low)
        if index >= 0:
            return index
    return -1


@kernel
def index_outside(actions, b, limits, low):
    """`find_outside` in one copy. What is no number is outside."""
    agents, width = actions.shape[1], actions.shape[2]
    for n in range(agents):
        for a in range(width):
            if not low <= actions[b, n, a] <= limits[a]:
                return (b * agents + n) * width + a
    return -1


@kernel
def read_actions(world, state, report, scratch, p, b, actions):
    """Translate the actions of the active agents into the items they want shown (-1 = nothing), prices or bids, and
    messages.

    An action of picks is, with one slot, (pick * L + level) * V + word; with K slots K picks, level, word. The parts of
    a continuous one are declared in `fields.ACTION`. What a task does not have is left out, or 1. Creators publish an
    item, if it is time for that.
    """
    if p.shape.ranked:
        publish(state, p, b, actions)
        return
    copy = state.copies[b]
    for n in range(p.shape.agents):
        active = is_active(world, p, copy, n)
        if active:
            if p.shape.action == QUERY:
                _nearest(world, state, scratch, p, b, n, actions)
            elif p.shape.action == WEIGHTS:
                _rank(world, state, scratch, p, b, n, actions)
            elif p.shape.action == CANDIDATES:
                _pick(state, scratch, p, b, n, actions)
            else:
                for k in range(p.shape.slots):
                    scratch.shown[b, n, k] = _named(p, actions[b, n, k])
        if p.shape.auctioned and active:
            _bid(state, report, p, b, n, _level(p, actions, b, n))
        if sets_prices(p):
            level = _level(p, actions, b, n) if active else 0.0
            state.price_levels[b, copy.row, n] = level
            report.agents[b, n].log_price_multiplier = log_multiplier(p.offer, level) if active else 0.0
        if p.shape.vocabulary > 0:
            state.messages[b, copy.row, n] = _message(p, actions, b, n) if active else -1


@kernel
def _bid(state, report, p, b, n, level):
    """Take down agent n's bid at this level."""
    bidder, bid = state.bidders[b, n], report.bids[b, n]
    budget = bidder.budget if p.offer.budget > 0.0 else np.inf
    bid.worth, bid.value, bid.payment = bidder.worth, bidder.value, 0.0
    bid.bid = bid_for(bidder.value, exp(log_multiplier(p.offer, level)), budget)


@kernel
def _named(p, action):
    """The item or candidate that one entry of an action names."""
    return action // actions_of_pick(p) if p.shape.slots == 1 else action


@kernel
def _level(p, actions, b, n):
    """Level of the agent's prices or of its bid, from -1 (lowest) to 1 (highest)."""
    if is_continuous(p):
        return np.float64(actions[b, n, p.action_fields.bid if p.shape.auctioned else p.action_fields.price])
    if p.shape.slots == 1:
        level = np.int64(actions[b, n, 0]) // max(p.shape.vocabulary, 1) % p.shape.levels
    else:
        level = np.int64(actions[b, n, p.shape.slots])
    return position_of_level(p.shape.levels, level)


@kernel
def _message(p, actions, b, n):
    words, first = p.shape.vocabulary, p.action_fields.message
    if is_continuous(p):
        best = 0
        for w in range(words):
            if actions[b, n, first + w] > actions[b, n, first + best]:
                best = w
        return best
    if p.shape.slots == 1:
        return np.int64(actions[b, n, 0]) % words
    return np.int64(actions[b, n, p.shape.slots + (p.shape.levels > 0)])


@kernel
def _pick(state, scratch, p, b, n, actions):
    """Candidates by position; a repeated pick takes the next unused candidate, an empty one leaves a hole."""
    size, row = p.shape.candidates, scratch.turns[b].scratch_row
    for k in range(p.shape.slots):
        c = np.int64(_named(p, actions[b, n, k]))
        steps = 0
        if state.candidates[b, n, c] >= 0:
            while steps < size and (_picked(scratch, row, k, c) or state.candidates[b, n, c] < 0):
                c = (c + 1) % size
                steps += 1
        scratch.picks[row, k] = c
        scratch.shown[b, n, k] = state.candidates[b, n, c] if steps < size else -1


@kernel
def _picked(scratch, row, k, c):
    for i in range(k):
        if scratch.picks[row, i] == c:
            return True
    return False


@kernel
def _nearest(world, state, scratch, p, b, n, actions):
    """The K items with the largest inner product with the query, among those that agent n can show now (exact scan)."""
    slots, filled, scores = p.shape.slots, 0, scratch.scores[scratch.turns[b].scratch_row]
    for j in range(p.shape.items):
        score = 0.0
        for d in range(p.shape.dims):
            score += np.float64(actions[b, n, p.action_fields.query + d]) * world.item_vectors[j, d]
        if is_better(scores, filled, slots, score) and can_show(world, state, p, b, n, j):
            filled = insert(scores, scratch.shown[b, n], filled, slots, score, j)
    for k in range(filled, slots):
        scratch.shown[b, n, k] = -1


@kernel
def _rank(world, state, scratch, p, b, n, actions):
    """The K candidates with the largest sum of weight times feature, also of features that the agent's role hides; ties
    keep their order."""
    slots, filled, row = p.shape.slots, 0, scratch.turns[b].scratch_row
    count = describe_candidates(world, state, scratch, p, b, n, p.features, p.shape.features, scratch.features, 0, 0)
    for c in range(count):
        score = 0.0
        for f in range(p.shape.features):
            weight = np.float64(actions[b, n, p.action_fields.weights + f])
            score += weight * scratch.features[b, 0, c * p.shape.features + f]
        filled = insert(scratch.scores[row], scratch.shown[b, n], filled, slots, score, state.candidates[b, n, c])
    for k in range(filled, slots):
        scratch.shown[b, n, k] = -1
