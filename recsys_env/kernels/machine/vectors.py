"""Sums over vectors and squashing, eight numbers at a time: vector instructions written by hand.

The compiler may not reorder a sum, so it does not vectorise one. Here the order is written down (eight running sums,
then neighbours), and it is the same on every processor. Offsets are into contiguous arrays of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .aliasing import tag_array
from .compiler import kernel

_SINGLE, _EIGHT = ir.FloatType(), ir.VectorType(ir.FloatType(), 8)
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_NUMBERS, _HABITS = 16, 5  # as many of float32 and of `arrays.HABIT` lie in a line of the cache


class _Row(NamedTuple):
    """Numbers that follow one another in an array."""

    array: Any  # its type
    start: Any  # the address of the first

    def load(self, builder: Any, index: Any, kind: Any) -> Any:
        """Of this kind: one of them, or several from an index on."""
        value = builder.load(builder.bitcast(builder.gep(self.start, [index]), kind.as_pointer()), align=4)
        tag_array(self.array, value)
        return value

    def store(self, builder: Any, index: Any, value: Any) -> None:
        """One, or several from an index on."""
        address = builder.bitcast(builder.gep(self.start, [index]), value.type.as_pointer())
        tag_array(self.array, builder.store(value, address, align=4))


def _running_sums(builder: Any, left: _Row, rows: Sequence[_Row], size: Any) -> list[Any]:
    """Of the products of a row of `size` numbers and each of some others: eight running sums, which hold every eighth
    one; those that are left over are in the first.

    Written as vector instructions, because the compiler may not reorder a sum: the order is the same on every
    processor.
    """
    three = _I64(3)
    sums = [cgutils.alloca_once_value(builder, ir.Constant(_EIGHT, [0.0] * 8)) for _ in rows]
    blocks = builder.lshr(size, three)
    with cgutils.for_range(builder, blocks) as loop:
        index = builder.shl(loop.index, three)
        factor = left.load(builder, index, _EIGHT)
        for total, row in zip(sums, rows, strict=True):
            product = builder.fmul(factor, row.load(builder, index, _EIGHT))
            builder.store(builder.fadd(builder.load(total), product), total)
    with cgutils.for_range(builder, size, start=builder.shl(blocks, three), intp=size.type) as loop:
        factor = left.load(builder, loop.index, _SINGLE)
        for total, row in zip(sums, rows, strict=True):
            product = builder.fmul(factor, row.load(builder, loop.index, _SINGLE))
            first = builder.fadd(builder.extract_element(builder.load(total), _I32(0)), product)
            builder.store(builder.insert_element(builder.load(total), first, _I32(0)), total)
    return [builder.load(total) for total in sums]


@intrinsic
def _sum_of_products(typing_context: Any, a: Any, at_a: Any, b: Any, at_b: Any, size: Any) -> Any:
    """<a.flat[at_a : at_a + size], b.flat[at_b : at_b + size]> of contiguous float32 arrays."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = []
        for argument in (0, 2):
            array = context.make_array(signature.args[argument])(context, builder, arguments[argument])
            rows.append(_Row(signature.args[argument], builder.gep(array.data, [arguments[argument + 1]])))
        (done,) = _running_sums(builder, rows[0], rows[1:], arguments[4])
        parts = [builder.extract_element(done, _I32(i)) for i in range(8)]
        while len(parts) > 1:  # neighbours first
            parts = [builder.fadd(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
        return parts[0]

    return types.float32(a, types.int64, b, types.int64, types.int64), code


@intrinsic
def _four_sums(typing_context: Any, a: Any, at: Any, b: Any, rows: Any, first: Any, size: Any, out: Any) -> Any:
    """`_sum_of_products` of a.flat[at : at + size] and four rows of b, rows[first : first + 4] or, without `rows`,
    first : first + 4, into out[first : first + 4].

    The sums of four are added up together: with fewer instructions, in the same order.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left, right, target = (context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2, 6))
        width = builder.extract_value(right.shape, 1)
        indices = [builder.add(arguments[4], _I64(i)) for i in range(4)]
        many = []
        for index in indices:
            row = index
            if signature.args[3] != types.none:
                which = context.make_array(signature.args[3])(context, builder, arguments[3])
                row = builder.load(builder.gep(which.data, [index]))
                tag_array(signature.args[3], row)
                row = builder.sext(row, _I64)
            start = builder.gep(right.data, [builder.mul(row, width)])
            many.append(_Row(signature.args[2], start))
        one = _Row(signature.args[0], builder.gep(left.data, [arguments[1]]))
        sums = _running_sums(builder, one, many, arguments[5])

        def add(x: Any, y: Any, ones: tuple[int, ...], others: tuple[int, ...]) -> Any:
            picked = (ir.Constant(ir.VectorType(_I32, len(some)), list(some)) for some in (ones, others))
            return builder.fadd(*(builder.shuffle_vector(x, y, some) for some in picked))

        even, odd = (0, 2, 8, 10, 4, 6, 12, 14), (1, 3, 9, 11, 5, 7, 13, 15)  # neighbours of two vectors of sums
        halves = add(add(sums[0], sums[1], even, odd), add(sums[2], sums[3], even, odd), even, odd)
        done = add(halves, halves, (0, 1, 2, 3), (4, 5, 6, 7))
        for i, index in enumerate(indices):
            value = context.cast(
                builder, builder.extract_element(done, _I32(i)), types.float32, signature.args[6].dtype
            )
            tag_array(signature.args[6], builder.store(value, builder.gep(target.data, [index])))
        return context.get_dummy_value()

    return types.none(a, types.int64, b, rows, types.int64, types.int64, out), code


@intrinsic
def _prefetch_flat(typing_context: Any, a: Any, at: Any) -> Any:
    """Ask for the cache line of a.flat[at] of a contiguous array, without waiting for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(8).as_pointer())
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [address.type], ir.FunctionType(ir.VoidType(), [address.type, _I32, _I32, _I32])
        )
        builder.call(prefetch, [address, _I32(0), _I32(3), _I32(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.none(a, types.int64), code


@kernel
def prefetch(rows, b, j):
    """Ask for rows[b, j]."""
    _prefetch_flat(rows, np.int64(b) * rows.shape[1] + j)


@kernel
def prefetch_item(world, state, b, j):
    """Ask for what will be read of item j."""
    prefetch(state.items, b, j)
    _prefetch_flat(world.items, j)
    _prefetch_flat(world.item_vectors, j * world.item_vectors.shape[1])


@kernel
def prefetch_person(state, b, row):
    """Ask for what will be read of a row of the arrays of people who have come, one line after the other."""
    row += np.int64(b) * state.vectors.shape[1]
    _prefetch_row(state.vectors, row, state.vectors.shape[2], _NUMBERS)
    _prefetch_row(state.habits, row, state.habits.shape[2], _HABITS)
    _prefetch_row(state.seen, row, state.seen.shape[2] * state.seen.shape[3], _NUMBERS)


@kernel
def _prefetch_row(rows, row, size, line):
    """Prefetch a row of `size` entries, of which a line of the cache holds `line`."""
    for i in range(0, size, line):
        _prefetch_flat(rows, row * size + i)


@intrinsic
def _squash_flat(typing_context: Any, a: Any, at_a: Any, b: Any, at_b: Any, size: Any) -> Any:
    """Into b.flat[at_b : at_b + size], a.flat[at_a : at_a + size] squashed, of contiguous float32 arrays, eight at a
    time."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (
            _Row(
                signature.args[argument],
                builder.gep(
                    context.make_array(signature.args[argument])(context, builder, arguments[argument]).data,
                    [arguments[argument + 1]],
                ),
            )
            for argument in (0, 2)
        )
        size, three = arguments[4], _I64(3)

        def squash_at(index: Any, kind: Any, bits: Any, one: Any, sign: Any) -> None:
            x = source.load(builder, index, kind)
            magnitude = builder.bitcast(builder.and_(builder.bitcast(x, bits), sign), kind)
            target.store(builder, index, builder.fdiv(x, builder.fadd(magnitude, one)))

        blocks = builder.lshr(size, three)
        with cgutils.for_range(builder, blocks) as loop:
            many = ir.VectorType(_I32, 8)
            squash_at(
                builder.shl(loop.index, three),
                _EIGHT,
                many,
                ir.Constant(_EIGHT, [1.0] * 8),
                ir.Constant(many, [0x7FFFFFFF] * 8),
            )
        with cgutils.for_range(builder, size, start=builder.shl(blocks, three), intp=size.type) as loop:
            squash_at(loop.index, _SINGLE, _I32, ir.Constant(_SINGLE, 1.0), ir.Constant(_I32, 0x7FFFFFFF))
        return context.get_dummy_value()

    return types.none(a, types.int64, b, types.int64, types.int64), code


@kernel
def squash_row(rows, b, n, start, stop):
    """Squash rows[b, n, start:stop] in place."""
    row = (np.int64(b) * rows.shape[1] + n) * rows.shape[2]
    _squash_flat(rows, row + start, rows, row + start, stop - start)


@kernel
def squash_vector(vectors, b, i, offset, size, rows, n, at):
    """Into rows[b, n, at : at + size], vectors[b, i, offset : offset + size] squashed."""
    vector = (np.int64(b) * vectors.shape[1] + i) * vectors.shape[2]
    row = (np.int64(b) * rows.shape[1] + n) * rows.shape[2]
    _squash_flat(vectors, vector + offset, rows, row + at, size)


@kernel
def squash_item(q, j, size, rows, b, n, at):
    """Into rows[b, n, at : at + size], q[j, :size] squashed."""
    row = (np.int64(b) * rows.shape[1] + n) * rows.shape[2]
    _squash_flat(q, j * q.shape[1], rows, row + at, size)


@kernel
def dot(vectors, b, i, offset, q, j, size):
    """<vectors[b, i, offset:offset+size], q[j]>."""
    row = np.int64(b) * vectors.shape[1] + i
    return np.float64(_sum_of_products(vectors, row * vectors.shape[2] + offset, q, np.int64(j) * q.shape[1], size))


@kernel
def row_dot(a, i, b, j, size):
    """<a[i], b[j]>."""
    return np.float64(_sum_of_products(a, np.int64(i) * a.shape[1], b, np.int64(j) * b.shape[1], size))


@kernel
def match_items(world, state, p, b, offset, items, count, matches):
    """`dot` of the visitor's vector with that of every item of items[:count], into matches[:count]."""
    row = state.copies[b].row
    at = (np.int64(b) * state.vectors.shape[1] + row) * state.vectors.shape[2] + offset
    fours = count - count % 4
    for first in range(0, fours, 4):
        _four_sums(state.vectors, at, world.item_vectors, items, first, p.shape.dims, matches)
    for c in range(fours, count):
        matches[c] = dot(state.vectors, b, row, offset, world.item_vectors, items[c], p.shape.dims)


@kernel
def match_topics(world, state, p, b, offset, matches):
    """`dot` of the visitor's vector at an offset with the centre of every topic, into matches[:T]."""
    row = state.copies[b].row
    at = (np.int64(b) * state.vectors.shape[1] + row) * state.vectors.shape[2] + offset
    fours = p.shape.topics - p.shape.topics % 4
    for first in range(0, fours, 4):
        _four_sums(state.vectors, at, world.centres, None, first, p.shape.dims, matches)
    for t in range(fours, p.shape.topics):
        matches[t] = dot(state.vectors, b, row, offset, world.centres, t, p.shape.dims)
