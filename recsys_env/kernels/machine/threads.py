"""The step of a batch over numba's threads: the same compiled code as in one, called by its address, so that it is
compiled once for both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba

from ..step import run
from .addresses import address_of, run_at
from .compiler import entry


@entry(parallel=True)
def run_parallel(address, packed, actions, mode, starts):
    """`run`, whose machine code is at an address, each chunk of copies in the next thread that is free."""
    for i in numba.prange(starts.size - 1):
        run_at(address, packed, actions, mode, starts[i : i + 2])


def compiled_step(kinds: Any, actions: Any, starts: Any, threads: int) -> Callable[..., None]:
    """`run`, or `run_parallel` of it, for arrays like these and packed arrays of these kinds.

    It takes the address of the packed arrays, and the other arguments of `run`."""
    others = numba.typeof(actions), numba.int64, numba.typeof(starts)
    step: Callable[..., None] = run.compile((kinds, *others))
    if threads == 1:
        return step
    parallel = run_parallel.compile((numba.int64, numba.int64, *others))
    return partial(parallel, address_of(run, (kinds, *others)))
