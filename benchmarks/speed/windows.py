"""Time calls in short windows that alternate, so that other load on the machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

WINDOW = 0.004  # seconds

Call = Callable[[], Any]
Clock = Callable[[], int]


def take_turns(calls: Mapping[str, Call], rounds: int, clock: Clock = time.thread_time_ns) -> dict[str, np.ndarray]:
    """Nanoseconds per call of each function, one number for every round.

    Args:
        calls: the functions by name. Their windows alternate.
        clock: a clock in nanoseconds. The default counts the processor time of this thread, so other processes do not
            count.
    """
    measures = {name: _window(call, clock) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: np.array(values) for name, values in found.items()}


def _window(call: Call, clock: Clock) -> Callable[[], float]:
    """A function that measures nanoseconds per call over as many calls as fill a window."""
    call()
    start = time.perf_counter()
    call()
    count = max(1, int(WINDOW / max(time.perf_counter() - start, 1e-7)))

    def measure() -> float:
        start = clock()
        for _ in range(count):
            call()
        return (clock() - start) / count

    return measure


def quartiles(values: np.ndarray) -> list[float]:
    """The lower quartile, the median and the upper quartile."""
    return [float(value) for value in np.quantile(values, (0.25, 0.5, 0.75))]
