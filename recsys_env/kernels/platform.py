"""A platform of creators (`page="platform"`): what they publish, how a fixed ranker fills the page from it, and what
creators see when they decide.

Creators decide every `platform.period` ticks. In all other ticks there is nothing to do for an agent but to say how
long it takes until the next decision, so that a step costs no more per agent where there are many.
"""

from __future__ import annotations

import numpy as np

from ..config.fields import OBSERVATION
from .equations import ranking_score
from .machine import rng
from .machine.compiler import kernel
from .machine.numeric import insert, squash
from .machine.vectors import dot
from .page import can_show, fill_slots
from .page_kinds import decides_now

_CLICKS = np.float32(next(field.half for field in OBSERVATION if field.name == "window_clicks"))


@kernel
def item_of(p, n, position, action):
    """The item that creator n publishes at this position of its window: action = topic * L + level of clickbait."""
    return (n * p.shape.window + position) * p.shape.topics * p.shape.bait_levels + np.int64(action)


@kernel
def creator_of(p, j):
    """The creator who owns item j."""
    return j // (p.shape.window * p.shape.topics * p.shape.bait_levels)


@kernel
def window_position(p, j):
    """The position in its creator's window at which item j can stand."""
    return j // (p.shape.topics * p.shape.bait_levels) % p.shape.window


@kernel
def empty_windows(state, p, b):
    """Nothing has been published, as at the start of an episode."""
    for n in range(p.shape.agents):
        for w in range(p.shape.window):
            state.windows[b, n, w], state.window_clicks[b, n, w] = -1, 0
    state.pages_served[b, 0] = 0


@kernel
def publish(state, p, b, actions):
    """At a decision every creator publishes an item, which takes the place of its oldest one, and counts start anew."""
    copy = state.copies[b]
    if not decides_now(p, copy):
        return
    position = copy.tick // p.platform.period % p.shape.window
    for n in range(p.shape.agents):
        state.windows[b, n, position] = item_of(p, n, position, actions[b, n, 0])
        for w in range(p.shape.window):
            state.window_clicks[b, n, w] = 0
    state.pages_served[b, 0] = 0


@kernel
def fill_page(world, state, report, scratch, p, b):
    """Put the page together: by the ranker on a platform, and else of what the agents ask for."""
    if p.shape.ranked:
        _rank_page(world, state, report, scratch, p, b)
    else:
        fill_slots(world, state, report, p, b, scratch.shown)


@kernel
def _rank_page(world, state, report, scratch, p, b):
    """Fill the page with the items that score best, at most one of each creator; ranks follow the scores."""
    row, filled, copy = scratch.turns[b].scratch_row, 0, state.copies[b]
    key = rng.child(copy.key, copy.tick)
    for n in range(p.shape.agents):
        best, item = -np.inf, np.int64(-1)
        for w in range(p.shape.window):
            j = np.int64(state.windows[b, n, w])
            if j >= 0 and can_show(world, state, p, b, n, j):
                score = _score(world, state, p, b, j, key, n * p.shape.window + w)
                if score > best:
                    best, item = score, j
        if item >= 0:
            filled = insert(
                scratch.ranked_scores[row], scratch.ranked_items[row], filled, p.platform.places, best, item
            )
    for rank in range(filled):
        j = np.int64(scratch.ranked_items[row, rank])
        slot = report.slots[b, creator_of(p, j), 0]
        slot.item, slot.rank = j, rank


@kernel
def _score(world, state, p, b, j, key, index):
    """Score of item j for the present visitor, with the noise of this number."""
    match = dot(state.vectors, b, state.copies[b].row, p.shape.profile, world.item_vectors, j, p.shape.dims)
    noise = rng.gumbel(key, rng.RANKING, index) if p.platform.noise > 0.0 else 0.0
    return ranking_score(p.platform, match, world.items[j].bait, noise)


@kernel
def count_page(state, p, b, j):
    """Count a page, and the click on item j (-1 = none), for the next decision."""
    state.pages_served[b, 0] += 1
    if j >= 0:
        state.window_clicks[b, creator_of(p, j), window_position(p, j)] += 1


@kernel
def observe_platform(world, state, p, b, n, observations):
    """Write the observation of creator n: how long it takes until the next decision, and if that is now, what was
    published and what came of it since the last one."""
    write_platform(state, p, b, observations[b, n], p.fields)
    if not decides_now(p, state.copies[b]):
        return
    observations[b, n, p.fields.is_active] = 1.0
    _observe_window(world, state, p, b, n, observations)
    if p.shape.agents > 1:
        _observe_others(world, state, p, b, n, observations)


@kernel
def write_platform(state, p, b, row, at):
    """Write what every creator knows of the platform into the vector `row`, at its offsets in `at`."""
    copy, period = state.copies[b], p.platform.period
    row[at.until_decision] = (-copy.tick) % period / (1.0 * period)
    row[at.demand] = state.pages_served[b, 0] / (1.0 * period) if decides_now(p, copy) else 0.0


@kernel
def _newest(p, copy, age):
    """The position in a window whose item is the newest (age 0), the one before (1), and so on, before a decision."""
    return (copy.tick // p.platform.period - 1 - age) % p.shape.window


@kernel
def _observe_window(world, state, p, b, n, observations):
    """The own items, newest first."""
    at = p.fields
    for age in range(p.shape.window):
        position = _newest(p, state.copies[b], age)
        j = np.int64(state.windows[b, n, position])
        if j >= 0:
            observations[b, n, at.window_topics + age * p.shape.topics + world.items[j].topic] = 1.0
            observations[b, n, at.window_bait + age] = world.items[j].bait
            observations[b, n, at.window_clicks + age] = squash(state.window_clicks[b, n, position], _CLICKS)


@kernel
def _observe_others(world, state, p, b, n, observations):
    """The topics of the other creators' items, and the clickbait of their newest ones."""
    at, newest, bait = p.fields, _newest(p, state.copies[b], 0), 0.0
    items = 0
    for m in range(p.shape.agents):
        for w in range(p.shape.window if m != n else 0):
            j = np.int64(state.windows[b, m, w])
            if j >= 0:
                items += 1
                observations[b, n, at.others_topics + world.items[j].topic] += np.float32(1.0)
                bait += world.items[j].bait if w == newest else 0.0
    for t in range(p.shape.topics):
        observations[b, n, at.others_topics + t] /= max(items, 1)
    observations[b, n, at.others_bait] = bait / (p.shape.agents - 1)
