"""What the compiler is told of memory: which accesses can meet."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from recsys_env.kernels.machine.compiler import entry, kernel
from recsys_env.world.arrays import ACTIVITY


@kernel
def count_up(places, numbers):  # type: ignore[no-untyped-def]
    """Whatever is written by one name is read by all names of the same memory."""
    column, part = places["probability"], numbers[:2]
    for i in range(numbers.size):
        places[i].probability = 1.0
        numbers[i] = 2.0
        column[i] += places[i].probability + part[i]
        places[i].probability += column[i]


@entry
def count(places, numbers):  # type: ignore[no-untyped-def]
    count_up(places, numbers)


@kernel
def fill_up(places, numbers):  # type: ignore[no-untyped-def]
    for i in range(numbers.size):
        numbers[i] = 2.0 * places[0].probability


@numba.njit(error_model="numpy")  # not an `entry`: code that comes from the disk cannot be looked at
def fill(places, numbers):  # type: ignore[no-untyped-def]
    fill_up(places, numbers)


@pytest.mark.parametrize("size", [1, 2])
def test_a_column_of_records_is_the_records(size: int) -> None:
    places, numbers = np.zeros(size, ACTIVITY), np.zeros(size, np.float32)
    count(places, numbers)
    assert places["probability"].tolist() == [8.0] * size  # 1, + 1 + 2 by the column, + that
    assert numbers.tolist() == [2.0] * size


def test_what_no_store_can_change_is_read_once() -> None:
    """Contiguous numbers are not in the records: no check while the code runs, no second way through the loop."""
    signature = tuple(map(numba.typeof, (np.zeros(1, ACTIVITY), np.zeros(40, np.float32))))
    fill.compile(signature)
    assert fill.inspect_llvm(signature).count("load float") == 1
