"""The step of a batch over several threads of Python: `run` lets them go on while it computes. Numba's own threads take
no named tuples."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

from ..step import run


def compiled_step(kinds: Any, actions: Any, starts: Any, threads: int) -> Callable[..., None]:
    """`run` for arrays like these and packed arrays of these kinds, with each chunk of copies in the next thread that
    is free."""
    step: Callable[..., None] = run.compile((kinds, numba.typeof(actions), numba.int64, numba.typeof(starts)))
    if threads == 1:
        return step

    def run_in_threads(packed: Any, actions: Any, mode: int, starts: Any) -> None:
        with ThreadPoolExecutor(threads) as pool:  # which waits for all chunks, also after Ctrl-C
            chunks = [pool.submit(step, packed, actions, mode, starts[i : i + 2]) for i in range(starts.size - 1)]
        for chunk in chunks:
            chunk.result()  # raises what a chunk has raised

    return run_in_threads
