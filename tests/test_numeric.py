"""The kernels' own numeric functions against NumPy's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from recsys_env.kernels import equations
from recsys_env.kernels.machine.compiler import entry
from recsys_env.kernels.machine.numeric import cos, exp, log, log1p
from recsys_env.kernels.machine.vectors import dot, squash_row, squash_vector


@entry
def apply(x, exps, logs, logs1p):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        exps[i], logs[i], logs1p[i] = exp(x[i]), log(exp(x[i])), log1p(abs(x[i]))


@entry
def cosines(x, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[i] = cos(x[i])


@entry
def products(vectors, q, offset, out):  # type: ignore[no-untyped-def]
    for j in range(q.shape[0]):
        out[j] = dot(vectors, 1, 2, offset, q, j, q.shape[1])


@entry
def squashed(rows, start, stop):  # type: ignore[no-untyped-def]
    squash_row(rows, 1, 0, start, stop)


@entry
def squashed_into(vectors, size, rows):  # type: ignore[no-untyped-def]
    squash_vector(vectors, 1, 2, 3, size, rows, 0, 5)


def test_exponential_and_logarithms() -> None:
    x = np.concatenate([np.linspace(-700, 700, 20_001), np.linspace(-1e-3, 1e-3, 2_001)])
    exps, logs, logs1p = (np.empty_like(x) for _ in range(3))
    apply(x, exps, logs, logs1p)
    np.testing.assert_allclose(exps, np.exp(x), rtol=1e-9)
    np.testing.assert_allclose(logs, np.log(exps), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(logs1p, np.log1p(abs(x)), rtol=1e-12, atol=1e-12)


def test_cosine() -> None:
    x, out = np.linspace(0, 2 * np.pi, 20_001), np.empty(20_001)
    cosines(x, out)
    np.testing.assert_allclose(out, np.cos(x), rtol=0, atol=4e-16)


@pytest.mark.parametrize("dims", [1, 7, 8, 9, 16, 35])
def test_inner_products_of_any_length(dims: int) -> None:
    rng = np.random.default_rng(dims)
    vectors, q = (
        rng.standard_normal((2, 3, dims + 5)).astype(np.float32),
        rng.standard_normal((4, dims)).astype(np.float32),
    )
    out = np.empty(4)
    products(vectors, q, 3, out)
    np.testing.assert_allclose(out, q.astype(float) @ vectors[1, 2, 3 : 3 + dims], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [0, 1, 8, 21])
def test_only_the_span_is_squashed(size: int) -> None:
    rows = np.random.default_rng(size).standard_normal((2, 1, 30)).astype(np.float32) * 3
    expected = rows.copy()
    span = expected[1, 0, 4 : 4 + size]
    expected[1, 0, 4 : 4 + size] = span / (1 + abs(span))
    squashed(rows, 4, 4 + size)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 8, 21])
def test_a_vector_is_squashed_into_its_place(size: int) -> None:
    rng = np.random.default_rng(size)
    vectors = rng.standard_normal((2, 3, 30)).astype(np.float32) * 3
    rows = rng.standard_normal((2, 1, 30)).astype(np.float32)
    expected, kept = rows.copy(), vectors.copy()
    expected[1, 0, 5 : 5 + size] = vectors[1, 2, 3 : 3 + size] / (1 + abs(vectors[1, 2, 3 : 3 + size]))
    squashed_into(vectors, size, rows)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    np.testing.assert_array_equal(vectors, kept)


class Offer(NamedTuple):
    low: float
    high: float


@entry
def there_and_back(feedback, offer, x, experiences, positions):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        experiences[i] = equations.experience_of(equations.dwell_time(feedback, 1.0, x[i]))
        positions[i] = equations.position_of_log_multiplier(offer, equations.log_multiplier(offer, x[i] / 20.0))


def test_formulas_and_their_inverses_are_the_same_in_kernels_and_in_python() -> None:
    feedback, offer = None, Offer(0.5, 1.6)  # dwell_time reads no coefficients
    x = np.linspace(-20.0, 20.0, 401)
    experiences, positions = np.empty_like(x), np.empty_like(x)
    there_and_back(feedback, offer, x, experiences, positions)
    np.testing.assert_allclose(experiences, x, atol=1e-6)
    np.testing.assert_allclose(positions, x / 20.0, atol=1e-9)
    dwell = equations.in_python(equations.dwell_time)(feedback, 1.0, x)
    np.testing.assert_allclose(equations.in_python(equations.experience_of)(dwell), x, atol=1e-6)
    log_m = equations.in_python(equations.log_multiplier)(offer, x / 20.0)
    np.testing.assert_allclose(equations.in_python(equations.position_of_log_multiplier)(offer, log_m), x / 20.0)
