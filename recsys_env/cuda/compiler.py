"""How the kernels are compiled for a GPU: device functions, inlined into what runs in each of its threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import cuda

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """An inner function."""
    return cuda.jit(device=True, inline="never", fastmath=False)(function)  # type: ignore[no-any-return]


def entry(function: F | None = None, *, parallel: bool = False) -> Any:
    """What the CPU calls from Python is not for the GPU."""
    return function if function is not None else lambda f: f
