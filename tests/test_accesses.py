"""What the compiler is told of memory: which accesses can meet."""

from __future__ import annotations

import numba
import numpy as np

from recsys_env.kernels.compiler import entry, kernel
from recsys_env.world import LOG


@kernel
def count_up(log, numbers, column):  # type: ignore[no-untyped-def]
    """Whatever is written by one name is read by all names of the same memory."""
    for i in range(numbers.size):
        log[i].clicks = 1.0
        numbers[i] = 2.0
        column[i] += log[i].clicks + numbers[i]
        log[i].clicks += column[i]


@entry
def count(log, numbers, column):  # type: ignore[no-untyped-def]
    count_up(log, numbers, column)


@kernel
def fill_up(log, numbers):  # type: ignore[no-untyped-def]
    for i in range(numbers.size):
        numbers[i] = 2.0 * log[0].clicks


@numba.njit(error_model="numpy")  # not an `entry`: code that comes from the disk cannot be looked at
def fill(log, numbers):  # type: ignore[no-untyped-def]
    fill_up(log, numbers)


def test_a_column_of_records_is_the_records() -> None:
    log, numbers = np.zeros(40, LOG), np.zeros(40, np.float32)
    count(log, numbers, log["clicks"])
    assert log["clicks"].tolist() == [8.0] * 40  # 1, + 1 + 2 by the column, + that
    assert numbers.tolist() == [2.0] * 40


def test_what_no_store_can_change_is_read_once() -> None:
    """Contiguous numbers are not in the records: no check while the code runs, no second way through the loop."""
    signature = tuple(map(numba.typeof, (np.zeros(1, LOG), np.zeros(40, np.float32))))
    fill.compile(signature)
    assert fill.inspect_llvm(signature).count("load float") == 1
