"""Options of an agent on the page about to be shown, as policies outside the game want them: item ids and observable
features."""

from __future__ import annotations

import numpy as np

from ..machine.compiler import entry, kernel
from ..machine.vectors import dot
from ..observation import write_item
from ..page import can_show, retrieves
from ..page_kinds import is_active
from ..retrieval import seen_count


@entry
def list_options(world, state, n, items, features):
    """List what agent n may show: where it chooses among candidates option i is candidate i, else item i.

    Args:
        items: [B, C] filled with items, -1 = nothing; nothing at all where the agent is inactive.
        features: [B, C, F] filled with what the agent sees of them.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        list_copy(world, state, p, b, n, items, features)


@kernel
def list_copy(world, state, p, b, n, items, features):
    """`list_options` in copy b."""
    by_position, active = retrieves(p), is_active(world, p, state.copies[b], n)
    for i in range(items.shape[1]):
        j = np.int64(-1)
        if active:
            j = np.int64(state.candidates[b, n, i]) if by_position else np.int64(i)
            if not by_position and not can_show(world, state, p, b, n, j):
                j = np.int64(-1)
        items[b, i] = j
        if j >= 0:
            match = dot(state.vectors, b, state.copies[b].row, p.shape.profile, world.item_vectors, j, p.shape.dims)
            seen = seen_count(world, state, p, b, n, j)
            write_item(world, state, p, b, n, j, match, seen, features, i)
        else:
            for f in range(features.shape[2]):
                features[b, i, f] = 0.0
