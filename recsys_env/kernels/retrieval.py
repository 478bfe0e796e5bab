"""The retrieval stage behind `action="candidates"` and `"weights"`: C distinct items for each active agent."""

from __future__ import annotations

import numpy as np

from .dynamics import draw_topic, weigh_topics
from .equations import likes_to_repeat
from .machine import rng
from .machine.compiler import kernel
from .machine.numeric import insert, is_better, log1p, round_up_to_lanes
from .machine.vectors import match_items, prefetch_item
from .page import can_show, retrieves, view_of, window_of
from .page_kinds import active_agents, is_active

MARKS = 1024  # bits that tell which items are among the candidates
_LAST_MARK, _S6, _LAST_BIT, _ONE = np.int64(MARKS - 1), np.int64(6), np.int64(63), np.uint64(1)
_TRIES = 4  # draws for one candidate before the exhaustive search
SHUFFLED, BY_SCORE = 0, 1  # orders of the candidates


@kernel
def draw_candidates(world, state, scratch, p, b, key):
    """Half of the candidates by the visitor's noisy profile, a quarter by historical popularity, the rest uniform.

    Where people like to repeat, up to half of the first half are the visitor's most consumed items that the agent
    knows of; with an anchor, four of five candidates share its topic. All are distinct and can be shown now; if there
    are fewer than C such items the rest is -1. They come shuffled, or sorted by the agent's observable score.
    """
    if not retrieves(p):
        return
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    if stop > first and copy.anchor < 0:
        weigh_topics(world, state, scratch, p, b, p.shape.profile, p.candidates.topic_scale)
    for n in range(p.shape.agents):
        if is_active(world, p, copy, n):
            _draw_for(world, state, scratch, p, b, n, key)
        else:
            for c in range(p.shape.candidates):
                state.candidates[b, n, c] = -1


@kernel
def _draw_for(world, state, scratch, p, b, n, key):
    """The candidates of agent n: `scratch.draws` holds those found so far and, behind them, the others' first draws."""
    row = scratch.turns[b].scratch_row
    copy, size = state.copies[b], p.shape.candidates
    for word in range(scratch.marks.shape[1]):
        scratch.marks[row, word] = 0
    known = _by_topic(copy, size) // 2
    filled = _take_habits(world, state, scratch, p, b, n, known) if likes_to_repeat(p.choice) and known > 0 else 0
    first, second = scratch.first_uniforms[row], scratch.second_uniforms[row]
    for c in range(round_up_to_lanes(size)):
        first[c] = rng.uniform(key, rng.RETRIEVE, _index(p, n, c, 0))
    for c in range(round_up_to_lanes(_by_topic(copy, size))):
        second[c] = rng.uniform(key, rng.RETRIEVE, _index(p, n, c, 0) + 1)
    for c in range(filled, size):
        scratch.draws[row, c] = _draw(world, state, scratch, p, b, c, first[c], second[c])
        prefetch_item(world, state, b, scratch.draws[row, c])
    for c in range(filled, size):
        if not can_show(world, state, p, b, n, np.int64(scratch.draws[row, c])):
            scratch.draws[row, c] = -1
    while filled < size:
        j = np.int64(scratch.draws[row, filled])
        attempt = 1
        while (j < 0 or _is_drawn(scratch, p, b, j, filled)) and attempt < _TRIES:
            index = _index(p, n, filled, attempt)
            u01, v01 = rng.uniform(key, rng.RETRIEVE, index), rng.uniform(key, rng.RETRIEVE, index + 1)
            j = _draw(world, state, scratch, p, b, filled, u01, v01)
            if not can_show(world, state, p, b, n, j):
                j = np.int64(-1)
            attempt += 1
        if j < 0 or _is_drawn(scratch, p, b, j, filled):
            u01 = rng.uniform(key, rng.RETRIEVE, _index(p, n, filled, 0) + 1)
            j = _search(world, state, scratch, p, b, n, filled, filled < _by_topic(copy, size), u01)
        if j < 0:
            break
        _take(scratch, b, j, filled)
        filled += 1
    if p.candidates.order == SHUFFLED:
        _shuffle(world, state, scratch, p, b, n, filled, key)
    else:
        _sort(world, state, scratch, p, b, n, filled)
    for c in range(filled, size):
        state.candidates[b, n, c] = -1


@kernel
def _by_topic(copy, size):
    """Return how many candidates are drawn by topic."""
    return size // 2 if copy.anchor < 0 else 4 * size // 5


@kernel
def _index(p, n, c, attempt):
    """Index of the first of the two random numbers of an attempt to find candidate c of agent n."""
    return ((n * p.shape.candidates + c) * _TRIES + attempt) * 2


@kernel
def _draw(world, state, scratch, p, b, c, first, second):
    """Item for candidate c, by two uniform numbers: by topic and popularity, by popularity, or uniform."""
    copy, size = state.copies[b], p.shape.candidates
    by_topic = _by_topic(copy, size)
    if c < by_topic:
        topic = world.items[copy.anchor].topic if copy.anchor >= 0 else draw_topic(scratch, p, b, first)
        return _popular_in(world, topic, second)
    if c < by_topic + (size // 4 if copy.anchor < 0 else size // 10):
        return _popular(world, p, first)
    return np.int64(first * p.shape.items)


@kernel
def _take_habits(world, state, scratch, p, b, n, limit):
    """The items that this agent has seen the visitor consume most, most first; returns how many there are."""
    row, copy, view = scratch.turns[b].scratch_row, state.copies[b], view_of(p, n)
    counts, habits, filled = scratch.scores[row], scratch.habits[row], 0
    for h in range(p.shape.habits):
        count = np.float64(state.seen[b, copy.row, h, view])
        if count > 0.0 and is_better(counts, filled, limit, count):
            habit = state.habits[b, copy.row, h]
            j = np.int64(habit.item)
            if j >= 0 and habit.window == window_of(world, p, j, copy.tick) and can_show(world, state, p, b, n, j):
                filled = insert(counts, habits, filled, limit, count, h)
    for c in range(filled):
        _take(scratch, b, np.int64(state.habits[b, copy.row, habits[c]].item), c)
    return filled


@kernel
def _popular_in(world, topic, u01):
    """An item of this topic ~ historical popularity, by the topic's alias table."""
    start = world.topic_start[topic]
    x = u01 * (world.topic_start[topic + 1] - start)
    row = world.popular[start + np.int64(x)]
    return rng.alias_draw(x, row.item, row.probability, row.alias)


@kernel
def _popular(world, p, u01):
    """An item ~ historical popularity, by the alias table."""
    x = u01 * p.shape.items
    j = np.int64(x)
    row = world.items[j]
    return rng.alias_draw(x, j, row.probability, row.alias)


@kernel
def _take(scratch, b, j, position):
    """Item j becomes the candidate at this position."""
    mark, row = j & _LAST_MARK, scratch.turns[b].scratch_row
    scratch.draws[row, position] = j
    scratch.marks[row, mark >> _S6] |= _ONE << np.uint64(mark & _LAST_BIT)


@kernel
def _is_drawn(scratch, p, b, j, filled):
    """Whether item j is among the candidates found so far. Its mark says so, which in a large catalogue it shares with
    others."""
    row = scratch.turns[b].scratch_row
    mark = j & _LAST_MARK
    if (scratch.marks[row, mark >> _S6] >> np.uint64(mark & _LAST_BIT)) & _ONE == 0:
        return False
    if p.shape.items <= MARKS:
        return True
    hits = 0
    for c in range(filled):
        hits += scratch.draws[row, c] == j
    return hits > 0


@kernel
def _fits(world, state, scratch, p, b, n, j, filled):
    """Whether item j can be shown now by agent n and is not yet among its candidates."""
    return not _is_drawn(scratch, p, b, j, filled) and can_show(world, state, p, b, n, j)


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
            j = world.popular[start + (shift + i) % (stop - start)].item
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
    copy, view = state.copies[b], view_of(p, n)
    for h in range(p.shape.habits):
        habit = state.habits[b, copy.row, h]
        if habit.item == j and habit.window == window_of(world, p, j, copy.tick):
            return np.float64(state.seen[b, copy.row, h, view])
    return 0.0


@kernel
def count_seen(world, state, p, b, n, items, seen):
    """`seen_count` of all items[:] into seen[:]: one pass over them for each of the visitor's habits, which
    vectorises."""
    copy, view = state.copies[b], view_of(p, n)
    for c in range(items.size):
        seen[c] = 0.0
    for h in range(p.shape.habits):
        habit = state.habits[b, copy.row, h]
        if habit.item >= 0 and habit.window == window_of(world, p, habit.item, copy.tick):
            count = state.seen[b, copy.row, h, view]
            for c in range(items.size):
                seen[c] = count if items[c] == habit.item else seen[c]


@kernel
def _match(world, state, scratch, p, b, filled):
    """Profile matches of the draws."""
    row = scratch.turns[b].scratch_row
    match_items(world, state, p, b, p.shape.profile, scratch.draws[row], filled, scratch.profile_matches[row])


@kernel
def _shuffle(world, state, scratch, p, b, n, filled, key):
    """Put the draws in an order that says nothing of them (Fisher & Yates, inside out)."""
    row = scratch.turns[b].scratch_row
    uniforms = scratch.shuffle_uniforms[row]
    _match(world, state, scratch, p, b, filled)
    for c in range(round_up_to_lanes(filled)):
        uniforms[c] = rng.uniform(key, rng.SHUFFLE, n * p.shape.candidates + c)
    for c in range(filled):
        j, position = np.int64(scratch.draws[row, c]), np.int64(uniforms[c] * (c + 1))
        state.candidates[b, n, c] = state.candidates[b, n, position]
        state.matches[b, n, c] = state.matches[b, n, position]
        state.candidates[b, n, position] = j
        state.matches[b, n, position] = scratch.profile_matches[row, c]


@kernel
def _sort(world, state, scratch, p, b, n, filled):
    """Put the draws in their observable order, best first: profile match, plus known habits where people repeat.

    Each goes to the position that the number of better ones gives (equals keep their order). With so few draws, code
    without branches is the fastest.
    """
    row = scratch.turns[b].scratch_row
    scores = scratch.scores[row]
    _match(world, state, scratch, p, b, filled)
    if likes_to_repeat(p.choice):
        count_seen(world, state, p, b, n, scratch.draws[row], scratch.seen[row])
    for c in range(filled):
        known = likes_to_repeat(p.choice) and scratch.seen[row, c] > 0.0  # of most there is nothing to take a log of
        scores[c] = scratch.profile_matches[row, c] + (log1p(np.float64(scratch.seen[row, c])) if known else 0.0)
    for c in range(filled):
        position, score = 0, scores[c]
        for i in range(filled):
            position += (scores[i] > score) | ((scores[i] == score) & (i < c))
        state.candidates[b, n, position] = scratch.draws[row, c]
        state.matches[b, n, position] = scratch.profile_matches[row, c]
