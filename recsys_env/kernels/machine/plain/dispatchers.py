"""Kernels and entries as numba compiles any function: each kernel on its own, for all that it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

_njit: Any = numba.njit


def _takes(**option: Any) -> bool:
    """Whether this release of numba takes an option."""
    try:
        _njit(**option)(_takes_nothing).compile(())
    except Exception:  # of which kind is not published
        return False
    return True


def _takes_nothing() -> None:
    pass


# Options that numba does not publish. Without the first, code that counts references to arrays takes most of a step;
# without the others, every kernel is compiled to be called from Python and from C too.
_NO_COUNTS = {"_nrt": False} if _takes(_nrt=False) else {}
_NO_WRAPPERS = {name: True for name in ("no_cpython_wrapper", "no_cfunc_wrapper") if _takes(**{name: True})}


def kernel_dispatcher(function: Callable[..., Any], inline: bool) -> Any:
    """Numba's dispatcher of a kernel. LLVM inlines it where it likes."""
    return _njit(function, error_model="numpy", **_NO_COUNTS, **_NO_WRAPPERS)


def entry_dispatcher(function: Callable[..., Any], parallel: bool) -> Any:
    """Numba's dispatcher of an entry."""
    return _njit(function, error_model="numpy", nogil=True, parallel=parallel, **_NO_COUNTS)
