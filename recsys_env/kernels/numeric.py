"""Small numeric functions of the kernels. Strict IEEE arithmetic throughout (no fastmath): bit-identical everywhere."""

from __future__ import annotations

import math

import numpy as np

from . import kernel

_LOG2E = 1.4426950408889634
_C1, _C2 = 0.6931471805599453, 2.3190468138462996e-17  # ln 2 in two parts
_BIAS, _SHIFT = np.int64(1023), np.int64(52)
_ZERO = np.float32(0.0)


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
def sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@kernel
def tanh(x):
    return 2.0 * sigmoid(2.0 * x) - 1.0


@kernel
def softplus(x):
    return max(x, 0.0) + math.log1p(exp(-abs(x)))


@kernel
def squash(x):
    """Smooth, odd, onto (-1, 1): x / (1 + |x|)."""
    return x / (1.0 + abs(x))


@kernel
def dot(vectors, b, u, offset, q, j, size):
    """<vectors[b, u, offset:offset+size], q[j]> with eight running sums, so that it vectorises without reordering."""
    s0, s1, s2, s3, s4, s5, s6, s7 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    d = 0
    while d + 8 <= size:
        s0 += vectors[b, u, offset + d] * q[j, d]
        s1 += vectors[b, u, offset + d + 1] * q[j, d + 1]
        s2 += vectors[b, u, offset + d + 2] * q[j, d + 2]
        s3 += vectors[b, u, offset + d + 3] * q[j, d + 3]
        s4 += vectors[b, u, offset + d + 4] * q[j, d + 4]
        s5 += vectors[b, u, offset + d + 5] * q[j, d + 5]
        s6 += vectors[b, u, offset + d + 6] * q[j, d + 6]
        s7 += vectors[b, u, offset + d + 7] * q[j, d + 7]
        d += 8
    while d < size:
        s0 += vectors[b, u, offset + d] * q[j, d]
        d += 1
    return np.float64(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)))


@kernel
def row_dot(a, i, b, j, size):
    """<a[i], b[j]>."""
    total = _ZERO
    for d in range(size):
        total += a[i, d] * b[j, d]
    return np.float64(total)
