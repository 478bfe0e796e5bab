"""Sums over vectors and squashing, eight numbers at a time: vector instructions written by hand.

The compiler may not reorder a sum, so it does not vectorise one. Here the order is written down (eight running sums,
then neighbours), and it is the same on every processor. Offsets are into contiguous arrays of float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .accesses import tag_array
from .compiler import kernel


def _load(builder: Any, start: Any, index: Any, kind: Any, array: Any) -> Any:
    """One number or several, of the array whose type this is."""
    value = builder.load(builder.bitcast(builder.gep(start, [index]), kind.as_pointer()), align=4)
    tag_array(array, value)
    return value


@intrinsic
def _eight_sums(typing_context: Any, a: Any, at_a: Any, b: Any, at_b: Any, size: Any) -> Any:
    """<a.flat[at_a : at_a + size], b.flat[at_b : at_b + size]> of contiguous float32 arrays, in eight running sums.

    Written as vector instructions, because the compiler may not reorder a sum: the order is the same on every
    processor.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = arguments[4]
        single, eight = ir.FloatType(), ir.VectorType(ir.FloatType(), 8)
        rows = []
        for place in (0, 2):
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            rows.append(builder.gep(array.data, [arguments[place + 1]]))

        def product(index: Any, kind: Any) -> Any:
            left, right = (
                _load(builder, row, index, kind, signature.args[place]) for row, place in zip(rows, (0, 2), strict=True)
            )
            return builder.fmul(left, right)

        sums = cgutils.alloca_once_value(builder, ir.Constant(eight, [0.0] * 8))
        blocks = builder.lshr(count, ir.IntType(64)(3))
        with cgutils.for_range(builder, blocks) as loop:
            builder.store(
                builder.fadd(builder.load(sums), product(builder.shl(loop.index, ir.IntType(64)(3)), eight)), sums
            )
        with cgutils.for_range(builder, count, start=builder.shl(blocks, ir.IntType(64)(3)), intp=count.type) as loop:
            first = builder.fadd(
                builder.extract_element(builder.load(sums), ir.IntType(32)(0)), product(loop.index, single)
            )
            builder.store(builder.insert_element(builder.load(sums), first, ir.IntType(32)(0)), sums)
        done = builder.load(sums)
        parts = [builder.extract_element(done, ir.IntType(32)(i)) for i in range(8)]
        while len(parts) > 1:  # neighbours first
            parts = [builder.fadd(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
        return parts[0]

    return types.float32(a, types.int64, b, types.int64, types.int64), code


@intrinsic
def _four_sums(typing_context: Any, a: Any, at: Any, b: Any, rows: Any, first: Any, size: Any, out: Any) -> Any:
    """`_eight_sums` of a.flat[at : at + size] and four rows of b, rows[first : first + 4], into out[first : first + 4].

    The sums of four are added up together: with fewer instructions, in the same order.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        single, i32, i64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
        eight = ir.VectorType(single, 8)
        left, right, which, target = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 3, 6)
        )
        count, width = arguments[5], builder.extract_value(right.shape, 1)
        starts = [builder.gep(left.data, [arguments[1]])]
        for i in range(4):
            row = builder.load(builder.gep(which.data, [builder.add(arguments[4], i64(i))]))
            tag_array(signature.args[3], row)
            starts.append(builder.gep(right.data, [builder.mul(builder.sext(row, i64), width)]))
        sums = [cgutils.alloca_once_value(builder, ir.Constant(eight, [0.0] * 8)) for _ in range(4)]

        one, many = signature.args[0], signature.args[2]
        blocks = builder.lshr(count, i64(3))
        with cgutils.for_range(builder, blocks) as loop:
            index = builder.shl(loop.index, i64(3))
            factor = _load(builder, starts[0], index, eight, one)
            for total, start in zip(sums, starts[1:], strict=True):
                builder.store(
                    builder.fadd(builder.load(total), builder.fmul(factor, _load(builder, start, index, eight, many))),
                    total,
                )
        with cgutils.for_range(builder, count, start=builder.shl(blocks, i64(3)), intp=count.type) as loop:
            factor = _load(builder, starts[0], loop.index, single, one)
            for total, start in zip(sums, starts[1:], strict=True):
                product = builder.fmul(factor, _load(builder, start, loop.index, single, many))
                first_sum = builder.fadd(builder.extract_element(builder.load(total), i32(0)), product)
                builder.store(builder.insert_element(builder.load(total), first_sum, i32(0)), total)

        def add(x: Any, y: Any, places: tuple[int, ...], others: tuple[int, ...]) -> Any:
            picked = (ir.Constant(ir.VectorType(i32, len(some)), list(some)) for some in (places, others))
            return builder.fadd(*(builder.shuffle_vector(x, y, some) for some in picked))

        even, odd = (0, 2, 8, 10, 4, 6, 12, 14), (1, 3, 9, 11, 5, 7, 13, 15)  # neighbours of two vectors of sums
        pairs = [add(builder.load(sums[i]), builder.load(sums[i + 1]), even, odd) for i in (0, 2)]
        halves = add(pairs[0], pairs[1], even, odd)
        done = add(halves, halves, (0, 1, 2, 3), (4, 5, 6, 7))
        for i in range(4):
            place = builder.gep(target.data, [builder.add(arguments[4], i64(i))])
            tag_array(signature.args[6], builder.store(builder.extract_element(done, i32(i)), place))
        return context.get_dummy_value()

    return types.none(a, types.int64, b, rows, types.int64, types.int64, out), code


@intrinsic
def _prefetch_flat(typing_context: Any, a: Any, at: Any) -> Any:
    """Ask for the cache line of a.flat[at] of a contiguous array, without waiting for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [place.type], ir.FunctionType(ir.VoidType(), [place.type, i32, i32, i32])
        )
        builder.call(prefetch, [place, i32(0), i32(3), i32(1)])  # to read, keep, data
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
    _prefetch_flat(world.q, j * world.q.shape[1])


@kernel
def prefetch_user(state, b, u):
    """Ask for what will be read of the user at place u: of the vectors one line of sixteen numbers after the other."""
    prefetch(state.users, b, u)
    size = state.vectors.shape[2]
    row = (np.int64(b) * state.vectors.shape[1] + u) * size
    for w in range(0, size, 16):
        _prefetch_flat(state.vectors, row + w)


@intrinsic
def _squash_flat(typing_context: Any, a: Any, start: Any, stop: Any) -> Any:
    """Squash a.flat[start:stop] of a contiguous float32 array in place, eight at a time."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row, size = builder.gep(array.data, [arguments[1]]), builder.sub(arguments[2], arguments[1])
        single, eight = ir.FloatType(), ir.VectorType(ir.FloatType(), 8)

        def squash_at(index: Any, kind: Any, bits: Any, one: Any, sign: Any) -> None:
            place = builder.bitcast(builder.gep(row, [index]), kind.as_pointer())
            x = builder.load(place, align=4)
            tag_array(signature.args[0], x)
            magnitude = builder.bitcast(builder.and_(builder.bitcast(x, bits), sign), kind)
            squashed = builder.store(builder.fdiv(x, builder.fadd(magnitude, one)), place, align=4)
            tag_array(signature.args[0], squashed)

        i32, three = ir.IntType(32), ir.IntType(64)(3)
        blocks = builder.lshr(size, three)
        with cgutils.for_range(builder, blocks) as loop:
            many = ir.VectorType(i32, 8)
            squash_at(
                builder.shl(loop.index, three),
                eight,
                many,
                ir.Constant(eight, [1.0] * 8),
                ir.Constant(many, [0x7FFFFFFF] * 8),
            )
        with cgutils.for_range(builder, size, start=builder.shl(blocks, three), intp=size.type) as loop:
            squash_at(loop.index, single, i32, ir.Constant(single, 1.0), ir.Constant(i32, 0x7FFFFFFF))
        return context.get_dummy_value()

    return types.none(a, types.int64, types.int64), code


@kernel
def squash_row(rows, b, n, start, stop):
    """Squash rows[b, n, start:stop] in place."""
    row = (np.int64(b) * rows.shape[1] + n) * rows.shape[2]
    _squash_flat(rows, row + start, row + stop)


@kernel
def dot(vectors, b, u, offset, q, j, size):
    """<vectors[b, u, offset:offset+size], q[j]>."""
    row = np.int64(b) * vectors.shape[1] + u
    return np.float64(_eight_sums(vectors, row * vectors.shape[2] + offset, q, np.int64(j) * q.shape[1], size))


@kernel
def row_dot(a, i, b, j, size):
    """<a[i], b[j]>."""
    return np.float64(_eight_sums(a, np.int64(i) * a.shape[1], b, np.int64(j) * b.shape[1], size))


@kernel
def match_items(world, state, p, b, offset, items, count, matches):
    """`dot` of the visitor's vector with that of every item of items[:count], into matches[:count]."""
    u = state.copies[b].visitor
    at = (np.int64(b) * state.vectors.shape[1] + u) * state.vectors.shape[2] + offset
    fours = count - count % 4
    for first in range(0, fours, 4):
        _four_sums(state.vectors, at, world.q, items, first, p.shape.dims, matches)
    for c in range(fours, count):
        matches[c] = dot(state.vectors, b, u, offset, world.q, items[c], p.shape.dims)
