"""Small numeric functions of the kernels. Strict IEEE arithmetic throughout (no fastmath): bit-identical everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import kernel

_LOG2E = 1.4426950408889634
_C1, _C2 = 0.6931471805599453, 2.3190468138462996e-17  # ln 2 in two parts
_BIAS, _SHIFT = np.int64(1023), np.int64(52)
_MANTISSA, _HALF = np.int64((1 << 52) - 1), np.int64(1022 << 52)
_SQRT_HALF = 0.7071067811865476
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@kernel
def exp(x):
    """e^x to 1e-9 relative, several times as fast as libm's: 2^k times a polynomial on [-ln 2 / 2, ln 2 / 2]."""
    x = min(max(x, -700.0), 700.0)
    k = math.floor(x * _LOG2E + 0.5)
    r = (x - k * _C1) - k * _C2
    r2 = r * r
    even = 1.0 + r2 * (1.0 / 2 + r2 * (1.0 / 24 + r2 * (1.0 / 720 + r2 * (1.0 / 40320))))
    odd = r * (1.0 + r2 * (1.0 / 6 + r2 * (1.0 / 120 + r2 * (1.0 / 5040 + r2 * (1.0 / 362880)))))
    power = np.int64((np.int64(k) + _BIAS) << _SHIFT)
    return (even + odd) * power.view(np.float64)


@kernel
def log(x):
    """Natural logarithm of a positive normal number to 1e-12 absolute: exponent, and the series of 2 artanh on [sqrt(1/2), sqrt(2)]."""
    bits = np.float64(x).view(np.int64)
    k = (bits >> _SHIFT) - (_BIAS - 1)
    m = np.int64((bits & _MANTISSA) | _HALF).view(np.float64)  # x = m 2^k, m in [1/2, 1)
    if m < _SQRT_HALF:
        m *= 2.0
        k -= 1
    s = (m - 1.0) / (m + 1.0)
    s2 = s * s
    series = s2 * (1.0 / 3 + s2 * (1.0 / 5 + s2 * (1.0 / 7 + s2 * (1.0 / 9 + s2 * (1.0 / 11 + s2 * (1.0 / 13))))))
    return k * _C1 + (2.0 * s + 2.0 * s * series)


@kernel
def log1p(x):
    """log(1 + x) to 1e-12 absolute, x > -1."""
    return log(1.0 + x)


@kernel
def sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@kernel
def tanh(x):
    return 2.0 * sigmoid(2.0 * x) - 1.0


@kernel
def softplus(x):
    return max(x, 0.0) + log1p(exp(-abs(x)))


@kernel
def squash(x, half=_ONE):
    """Smooth, odd, onto (-1, 1), half way at `half`: x / (half + |x|), in single precision."""
    y = np.float32(x)
    return y / (half + abs(y))


@intrinsic
def _eight_sums(typing_context: Any, a: Any, at_a: Any, b: Any, at_b: Any, size: Any) -> Any:
    """<a.flat[at_a : at_a + size], b.flat[at_b : at_b + size]> of contiguous float32 arrays, in eight running sums.

    Written as vector instructions, because the compiler may not reorder a sum: the order is the same on every processor.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = arguments[4]
        single, eight = ir.FloatType(), ir.VectorType(ir.FloatType(), 8)
        rows = []
        for place in (0, 2):
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            rows.append(builder.gep(array.data, [arguments[place + 1]]))

        def product(index: Any, kind: Any) -> Any:
            left, right = (builder.load(builder.bitcast(builder.gep(row, [index]), kind.as_pointer()), align=4) for row in rows)
            return builder.fmul(left, right)

        sums = cgutils.alloca_once_value(builder, ir.Constant(eight, [0.0] * 8))
        blocks = builder.lshr(count, ir.IntType(64)(3))
        with cgutils.for_range(builder, blocks) as loop:
            builder.store(builder.fadd(builder.load(sums), product(builder.shl(loop.index, ir.IntType(64)(3)), eight)), sums)
        with cgutils.for_range(builder, count, start=builder.shl(blocks, ir.IntType(64)(3)), intp=count.type) as loop:
            first = builder.fadd(builder.extract_element(builder.load(sums), ir.IntType(32)(0)), product(loop.index, single))
            builder.store(builder.insert_element(builder.load(sums), first, ir.IntType(32)(0)), sums)
        done = builder.load(sums)
        parts = [builder.extract_element(done, ir.IntType(32)(i)) for i in range(8)]
        while len(parts) > 1:  # neighbours first
            parts = [builder.fadd(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
        return parts[0]

    return types.float32(a, types.int64, b, types.int64, types.int64), code


@kernel
def dot(vectors, b, u, offset, q, j, size):
    """<vectors[b, u, offset:offset+size], q[j]>."""
    row = np.int64(b) * vectors.shape[1] + u
    return np.float64(_eight_sums(vectors, row * vectors.shape[2] + offset, q, np.int64(j) * q.shape[1], size))


@kernel
def row_dot(a, i, b, j, size):
    """<a[i], b[j]>."""
    return np.float64(_eight_sums(a, np.int64(i) * a.shape[1], b, np.int64(j) * b.shape[1], size))
