"""Small numeric functions of the kernels. Strict IEEE arithmetic throughout (no fastmath): bit-identical everywhere."""

from __future__ import annotations

import math

import numpy as np

from .compiler import kernel

_LOG2E = 1.4426950408889634
_C1, _C2 = 0.6931471805599453, 2.3190468138462996e-17  # ln 2 in two parts
_BIAS, _SHIFT = np.int64(1023), np.int64(52)
_MANTISSA, _HALF = np.int64((1 << 52) - 1), np.int64(1022 << 52)
_TWO_OVER_PI = 0.6366197723675814
_P1, _P2 = 1.5707963267341256, 6.077100506506192e-11  # pi / 2 in two parts, of which the first has 33 bits
_SQRT_HALF = 0.7071067811865476
_ONE = np.float32(1.0)
LANES = np.int64(8)  # numbers of 64 bits in the widest vectors


@kernel
def round_up_to_lanes(n):
    """n, rounded up to whole vectors: a loop over so many numbers, of which the last mean nothing, leaves no remainder
    that would be done one by one. Only for arrays with as much room, which `arrays.Scratch` names."""
    return (n + LANES - 1) // LANES * LANES


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
def cos(x):
    """Cosine of 0 <= x <= 2 pi to 1e-16: the series of cosine or sine, around the nearest multiple of pi / 2."""
    k = math.floor(x * _TWO_OVER_PI + 0.5)
    r = (x - k * _P1) - k * _P2
    r2 = r * r
    even = 1.0 / 40320 - r2 * (1.0 / 3628800 - r2 * (1.0 / 479001600 - r2 * (1.0 / 87178291200 - r2 / 20922789888000)))
    even = 1.0 - r2 * (1.0 / 2 - r2 * (1.0 / 24 - r2 * (1.0 / 720 - r2 * even)))
    odd = 1.0 / 362880 - r2 * (1.0 / 39916800 - r2 * (1.0 / 6227020800 - r2 * (1.0 / 1307674368000)))
    odd = r - r * r2 * (1.0 / 6 - r2 * (1.0 / 120 - r2 * (1.0 / 5040 - r2 * odd)))
    quadrant = np.int64(k) & 3
    value = odd if quadrant & 1 else even
    return -value if quadrant == 1 or quadrant == 2 else value


@kernel
def log(x):
    """Natural logarithm of a positive normal number to 1e-12 absolute: exponent, and the series of 2 artanh on
    [sqrt(1/2), sqrt(2)]."""
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


# Of many numbers, from x[first:stop] into y[first:stop], which vectorises.


@kernel
def exp_all(x, y, first, stop):
    for i in range(first, stop):
        y[i] = exp(x[i])


@kernel
def log_all(x, y, first, stop):
    for i in range(first, stop):
        y[i] = log(x[i])


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
def log_softplus(x):
    """log(softplus(x)) to 1e-5 absolute; far below 0, where the sum in softplus cancels, it is x."""
    return x if x < -12.0 else log(softplus(x))


@kernel
def squash(x, half=_ONE):
    """Smooth, odd, onto (-1, 1), half way at `half`: x / (half + |x|), in single precision."""
    y = np.float32(x)
    return y / (half + abs(y))


@kernel
def is_better(best, filled, slots, value):
    """Whether a value belongs among the `slots` largest, of which the first `filled` of best[:] hold those so far."""
    return filled < slots or value > best[slots - 1]


@kernel
def insert(best, which, filled, slots, value, i):
    """Put a value that belongs among the `slots` largest into best[:], which falls, and its index i into which[:].

    Of equal ones the first stays first. Returns how many are filled now.
    """
    if not is_better(best, filled, slots, value):
        return filled
    k = filled if filled < slots else slots - 1
    while k > 0 and best[k - 1] < value:
        best[k], which[k] = best[k - 1], which[k - 1]
        k -= 1
    best[k], which[k] = value, i
    return min(filled + 1, slots)
