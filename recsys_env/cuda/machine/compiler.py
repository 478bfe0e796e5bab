"""How the kernels are compiled for a GPU: device functions, inlined into what runs in each of its threads.

Products and sums are not contracted into one operation (FMA), which rounds once instead of twice: results are those of
the CPU, bit for bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

from numba import config, cuda

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """An inner function."""
    return cuda.jit(device=True)(function)  # type: ignore[no-any-return]


stage = kernel  # the device's compiler inlines as it likes


def entry(function: F | None = None, *, parallel: bool = False) -> Any:
    """Leave an entry of the CPU as it is: the device has its own."""
    return function if function is not None else lambda f: f


def thread(function: F) -> Any:
    """A function that runs in every thread, launched from Python."""
    launched = cuda.jit(function)
    if not config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        compile_it = launched.compile

        def compile_uncontracted(signature: Any) -> Any:
            with _uncontracted():
                return compile_it(signature)

        launched.compile = compile_uncontracted
    return launched


def ptx(function: Any, types: tuple[Any, ...], capability: tuple[int, int]) -> str:
    """The assembly of a thread's function for arguments of these types, on GPUs of a compute capability; needs no
    GPU."""
    from numba.cuda import dispatcher

    here = SimpleNamespace(compute_capability=capability)  # numba asks the GPU that is there when functions are nested
    with _uncontracted(), mock.patch.object(dispatcher, "get_current_device", return_value=here):
        text, _ = cuda.compile_ptx(function.py_func, types, cc=capability)
    return str(text)


@contextlib.contextmanager
def _uncontracted() -> Iterator[None]:
    """Compile without contraction, for which numba has no option of its own."""
    from numba.cuda.cudadrv import nvvm

    compile_ir = nvvm.compile_ir
    with mock.patch.object(nvvm, "compile_ir", lambda code, **options: compile_ir(code, fma=False, **options)):
        yield
