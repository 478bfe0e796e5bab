"""The retrieval stage behind `action="candidates"` and `"weights"`: C distinct items for each active agent."""

from __future__ import annotations

import numpy as np

from . import rng
from .compiler import kernel
from .dynamics import draw_topic, weigh_topics
from .numeric import log1p
from .page import active_agents, can_show, is_active, retrieves, view_of, window_of
from .vectors import dot, prefetch

_TRIES = 4  # draws for one candidate before the exhaustive search
SHUFFLED, BY_SCORE = 0, 1  # orders of the candidates


@kernel
def draw_candidates(world, state, scratch, p, b, key):
    """Half of the candidates by the visitor's noisy profile, a quarter by historical popularity, the rest uniform.

    With a positive `beta_repeat`, up to half of the first half are the visitor's most consumed items that the agent
    knows of; with an anchor, four of five candidates share its topic. All are distinct and can be shown now; if there
    are fewer than C such items the rest is -1. They come shuffled, or sorted by the agent's observable score.
    """
    if not retrieves(p):
        return
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    if stop > first and copy.anchor < 0:
        weigh_topics(world, state, scratch, p, b, copy.visitor, p.shape.profile, p.candidates.topic_scale)
    for n in range(p.shape.agents):
        if is_active(world, p, copy, n):
            _draw_for(world, state, scratch, p, b, n, key)
        else:
            for c in range(p.shape.candidates):
                state.candidates[b, n, c] = -1


@kernel
def _draw_for(world, state, scratch, p, b, n, key):
    """The candidates of agent n: `scratch.draws` holds those found so far and, behind them, the others' first draws."""
    copy, size = state.copies[b], p.shape.candidates
    filled = (
        _take_habits(world, state, scratch, p, b, n, _by_topic(copy, size) // 2) if p.choice.beta_repeat > 0.0 else 0
    )
    for c in range(filled, size):
        scratch.draws[b, c] = _draw(world, state, scratch, p, b, n, c, 0, key)
        prefetch(state.items, b, np.int64(scratch.draws[b, c]))
    for c in range(filled, size):
        if not can_show(world, state, p, b, n, np.int64(scratch.draws[b, c])):
            scratch.draws[b, c] = -1
    while filled < size:
        j = np.int64(scratch.draws[b, filled])
        attempt = 1
        while (j < 0 or _is_drawn(scratch, b, j, filled)) and attempt < _TRIES:
            j = _draw(world, state, scratch, p, b, n, filled, attempt, key)
            if not can_show(world, state, p, b, n, j):
                j = np.int64(-1)
            attempt += 1
        if j < 0 or _is_drawn(scratch, b, j, filled):
            u01 = rng.uniform(key, rng.RETRIEVE, ((n * size + filled) * _TRIES) * 2 + 1)
            j = _search(world, state, scratch, p, b, n, filled, filled < _by_topic(copy, size), u01)
        if j < 0:
            break
        scratch.draws[b, filled] = j
        filled += 1
    if p.candidates.order == SHUFFLED:
        _shuffle(world, state, scratch, p, b, n, filled, key)
    else:
        _sort(world, state, scratch, p, b, n, filled)
    for c in range(filled, size):
        state.candidates[b, n, c] = -1


@kernel
def _by_topic(copy, size):
    """How many candidates are drawn by topic."""
    return size // 2 if copy.anchor < 0 else 4 * size // 5


@kernel
def _draw(world, state, scratch, p, b, n, c, attempt, key):
    """Item for candidate c: by topic and popularity, by popularity, or uniform."""
    copy, size = state.copies[b], p.shape.candidates
    index = ((n * size + c) * _TRIES + attempt) * 2
    by_topic = _by_topic(copy, size)
    if c < by_topic:
        topic = (
            world.items[copy.anchor].topic
            if copy.anchor >= 0
            else draw_topic(scratch, p, b, rng.uniform(key, rng.RETRIEVE, index))
        )
        return _popular_in(world, topic, rng.uniform(key, rng.RETRIEVE, index + 1))
    if c < by_topic + (size // 4 if copy.anchor < 0 else size // 10):
        return _popular(world, p, rng.uniform(key, rng.RETRIEVE, index))
    return rng.integer(key, rng.RETRIEVE, index, p.shape.items)


@kernel
def _take_habits(world, state, scratch, p, b, n, limit):
    """The items that this agent has seen the visitor consume most, most first; returns how many fit."""
    u, view = state.copies[b].visitor, view_of(p, n)
    filled = 0
    bound = np.inf
    while filled < limit:
        best, place = 0.0, -1
        for h in range(p.shape.habits):
            count = np.float64(state.seen[b, u, h, view])
            habit = state.habits[b, u, h]
            j = habit.item
            if j < 0 or habit.window != window_of(world, p, j, state.copies[b].tick):
                continue
            if best < count <= bound and _fits(world, state, scratch, p, b, n, j, filled):
                best, place = count, h
        if place < 0:
            break
        scratch.draws[b, filled] = state.habits[b, u, place].item
        filled += 1
        bound = best
    return filled


@kernel
def _popular_in(world, topic, u01):
    """An item of this topic ~ historical popularity, by the topic's alias table."""
    start = world.topic_start[topic]
    x = u01 * (world.topic_start[topic + 1] - start)
    row = start + np.int64(x)
    row = rng.alias_draw(x, row, world.items[row].topic_probability, world.items[row].topic_alias)
    return np.int64(world.items[row].topic_item)


@kernel
def _popular(world, p, u01):
    """An item ~ historical popularity, by the alias table."""
    x = u01 * p.shape.items
    j = np.int64(x)
    return rng.alias_draw(x, j, world.items[j].probability, world.items[j].alias)


@kernel
def _is_drawn(scratch, b, j, filled):
    """Whether item j is among the candidates found so far; looks at all of them, which vectorises."""
    hits = 0
    for c in range(filled):
        hits += scratch.draws[b, c] == j
    return hits > 0


@kernel
def _fits(world, state, scratch, p, b, n, j, filled):
    """Whether item j can be shown now by agent n and is not yet among its candidates."""
    return not _is_drawn(scratch, b, j, filled) and can_show(world, state, p, b, n, j)


@kernel
def _search(world, state, scratch, p, b, n, filled, in_topic, u01):
    """The first item that fits from a random start on: within the anchor's topic, then anywhere; -1 if there is
    none."""
    copy = state.copies[b]
    if in_topic and copy.anchor >= 0:
        topic = world.items[copy.anchor].topic
        start, stop = world.topic_start[topic], world.topic_start[topic + 1]
        shift = np.int64(u01 * (stop - start))
        for i in range(stop - start):
            j = world.items[start + (shift + i) % (stop - start)].topic_item
            if _fits(world, state, scratch, p, b, n, j, filled):
                return np.int64(j)
    shift = np.int64(u01 * p.shape.items)
    for i in range(p.shape.items):
        j = (shift + i) % p.shape.items
        if _fits(world, state, scratch, p, b, n, j, filled):
            return np.int64(j)
    return np.int64(-1)


@kernel
def seen_count(world, state, p, b, n, j):
    """The part of n_{u,j} that agent n knows of."""
    u, view = state.copies[b].visitor, view_of(p, n)
    for h in range(p.shape.habits):
        habit = state.habits[b, u, h]
        if habit.item == j and habit.window == window_of(world, p, j, state.copies[b].tick):
            return np.float64(state.seen[b, u, h, view])
    return 0.0


@kernel
def _shuffle(world, state, scratch, p, b, n, filled, key):
    """Put the draws in an order that says nothing of them (Fisher & Yates, inside out)."""
    u = state.copies[b].visitor
    for c in range(filled):
        j = np.int64(scratch.draws[b, c])
        place = rng.integer(key, rng.SHUFFLE, n * p.shape.candidates + c, c + 1)
        state.candidates[b, n, c] = state.candidates[b, n, place]
        state.matches[b, n, c] = state.matches[b, n, place]
        state.candidates[b, n, place] = j
        state.matches[b, n, place] = dot(state.vectors, b, u, p.shape.profile, world.q, j, p.shape.dims)


@kernel
def _sort(world, state, scratch, p, b, n, filled):
    """Put the draws in their observable order, best first: profile match, plus known habits where people repeat.

    Each goes to the place that the number of better ones gives (equals keep their order); with so few, no branch is the
    fastest.
    """
    u = state.copies[b].visitor
    for c in range(filled):
        j = np.int64(scratch.draws[b, c])
        scratch.matches[b, c] = dot(state.vectors, b, u, p.shape.profile, world.q, j, p.shape.dims)
        habit = log1p(seen_count(world, state, p, b, n, j)) if p.choice.beta_repeat > 0.0 else 0.0
        scratch.scores[b, c] = scratch.matches[b, c] + habit
    for c in range(filled):
        place, score = 0, scratch.scores[b, c]
        for i in range(c):
            place += scratch.scores[b, i] >= score
        for i in range(c + 1, filled):
            place += scratch.scores[b, i] > score
        state.candidates[b, n, place] = scratch.draws[b, c]
        state.matches[b, n, place] = scratch.matches[b, c]
