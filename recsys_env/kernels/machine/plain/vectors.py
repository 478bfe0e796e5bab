"""Sums over vectors and squashing as plain loops: the same eight running sums as in the package's own compiler, in the
same order. A GPU compiles this file too."""

from __future__ import annotations

import numpy as np

from .compiler import kernel
from .numeric import squash

_ZERO = np.float32(0.0)


@kernel
def prefetch(rows, b, j):
    """Nothing: numba has no public way to ask for memory in advance, and a GPU hides its waiting behind other
    threads."""


@kernel
def prefetch_item(world, state, b, j):
    """The same."""


@kernel
def prefetch_person(state, b, row):
    """The same."""


@kernel
def squash_row(rows, b, n, start, stop):
    """Squash rows[b, n, start:stop] in place."""
    for o in range(start, stop):
        rows[b, n, o] = squash(rows[b, n, o])


@kernel
def squash_vector(vectors, b, i, offset, size, rows, n, at):
    """Into rows[b, n, at : at + size], vectors[b, i, offset : offset + size] squashed."""
    for o in range(size):
        rows[b, n, at + o] = squash(vectors[b, i, offset + o])


@kernel
def squash_item(q, j, size, rows, b, n, at):
    """Into rows[b, n, at : at + size], q[j, :size] squashed."""
    for d in range(size):
        rows[b, n, at + d] = squash(q[j, d])


@kernel
def dot(vectors, b, i, offset, q, j, size):
    """<vectors[b, i, offset:offset+size], q[j]>."""
    return _eight_sums(vectors[b, i], offset, q[j], size)


@kernel
def match_items(world, state, p, b, offset, items, count, matches):
    """`dot` of the visitor's vector with that of every item of items[:count], into matches[:count]."""
    row = state.copies[b].row
    for c in range(count):
        matches[c] = dot(state.vectors, b, row, offset, world.item_vectors, items[c], p.shape.dims)


@kernel
def match_topics(world, state, p, b, offset, matches):
    """`dot` of the visitor's vector at an offset with the centre of every topic, into matches[:T]."""
    row = state.copies[b].row
    for t in range(p.shape.topics):
        matches[t] = dot(state.vectors, b, row, offset, world.centres, t, p.shape.dims)


@kernel
def row_dot(a, i, b, j, size):
    """<a[i], b[j]>."""
    return _eight_sums(a[i], 0, b[j], size)


@kernel
def _eight_sums(a, at, b, size):
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = _ZERO
    full = size // 8 * 8
    for d in range(0, full, 8):
        s0 += a[at + d] * b[d]
        s1 += a[at + d + 1] * b[d + 1]
        s2 += a[at + d + 2] * b[d + 2]
        s3 += a[at + d + 3] * b[d + 3]
        s4 += a[at + d + 4] * b[d + 4]
        s5 += a[at + d + 5] * b[d + 5]
        s6 += a[at + d + 6] * b[d + 6]
        s7 += a[at + d + 7] * b[d + 7]
    for d in range(full, size):
        s0 += a[at + d] * b[d]
    return np.float64(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)))
