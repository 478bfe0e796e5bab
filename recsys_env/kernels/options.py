"""What an agent may choose from on the page about to be shown, as policies outside the game want it: item ids and
observable features."""

from __future__ import annotations

import numpy as np

from . import entry, kernel
from .choice import freshness
from .numeric import dot, row_dot, squash
from .page import CANDIDATES, can_show, is_active, is_promoted, log_price_now, popularity_now, view_of
from .retrieval import seen_count


@kernel
def _describe(world, state, p, b, n, j, row):
    """Write the features of item j that agent n would see of it as a candidate; see
    `observation._observe_candidates`."""
    copy, feature, dims = state.copies[b], p.feature, p.shape.dims
    u, tick = copy.visitor, copy.tick
    history = p.shape.history + view_of(p, n) * (dims + p.shape.topics)
    row[feature.profile_match] = squash(dot(state.vectors, b, u, p.shape.profile, world.q, j, dims))
    row[feature.history_match] = squash(dot(state.vectors, b, u, history, world.q, j, dims))
    row[feature.topic_count] = squash(state.vectors[b, u, history + dims + world.items[j].topic])
    row[feature.popularity] = squash(popularity_now(world, state, p, b, j, copy.stamp, tick) * p.shape.popularity_scale)
    if feature.price >= 0:
        row[feature.price] = squash(log_price_now(world, p, j, tick))
    if feature.repeat >= 0:
        row[feature.repeat] = squash(seen_count(world, state, p, b, n, j))
    if feature.freshness >= 0:
        row[feature.freshness] = freshness(world, p, j, tick)
    if feature.context >= 0 and copy.anchor >= 0:
        row[feature.context] = squash(row_dot(world.q, copy.anchor, world.q, j, dims))
    if feature.length >= 0:
        row[feature.length] = squash(world.items[j].length)
    if feature.promotion >= 0:
        row[feature.promotion] = 1.0 if is_promoted(p, j, tick) else 0.0


@entry
def list_options(world, state, n, items, features):
    """Fill items[B, C] with what agent n may show, -1 = nothing (everywhere where it is inactive), and features[B, C,
    F].

    With `action="candidates"` option i is candidate i, else item i.
    """
    p = world.params[0]
    by_position = p.shape.action == CANDIDATES
    for b in range(state.copies.size):
        active = is_active(world, p, state.copies[b], n)
        for i in range(items.shape[1]):
            for f in range(features.shape[2]):
                features[b, i, f] = 0.0
            j = np.int64(-1)
            if active:
                j = np.int64(state.candidates[b, n, i]) if by_position else np.int64(i)
                if not by_position and not can_show(world, state, p, b, n, j):
                    j = np.int64(-1)
            items[b, i] = j
            if j >= 0:
                _describe(world, state, p, b, n, j, features[b, i])
