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

from .compiler import kernel


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
                builder.load(builder.bitcast(builder.gep(row, [index]), kind.as_pointer()), align=4) for row in rows
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
def prefetch_vectors(vectors, b, u):
    """Ask for vectors[b, u], a cache line of sixteen numbers after the other."""
    row = (np.int64(b) * vectors.shape[1] + u) * vectors.shape[2]
    for w in range(0, vectors.shape[2], 16):
        _prefetch_flat(vectors, row + w)


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
            magnitude = builder.bitcast(builder.and_(builder.bitcast(x, bits), sign), kind)
            builder.store(builder.fdiv(x, builder.fadd(magnitude, one)), place, align=4)

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
