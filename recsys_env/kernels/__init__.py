"""The transition of section "The game", one stage per file, compiled by numba.

    rng -> page (which slots are real) -> choice (who is clicked) -> feedback (what follows a click)
        -> dynamics (what the visit changes, who comes next) -> observation (what agents see) -> step (the loop over copies)

Everything below the loop over copies is a function of one copy's index. Inner functions are `kernel`s, inlined into the
few `entry` points, which are the only ones called from Python and the only ones cached on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

F = TypeVar("F", bound=Callable[..., Any])
_njit: Any = numba.njit  # its published types leave out options that it takes


@cache
def digest() -> str:
    """SHA-256 of the sources that compiled code is made from: all kernel files and the files that declare the arrays."""
    package = Path(__file__).parent
    files = sorted(package.glob("*.py")) + [package.parent / "world.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _stamped(locator: type) -> type:
    """A numba cache locator whose freshness stamp covers every kernel file, not just the caller's."""
    return type(locator.__name__, (locator,), {"get_source_stamp": lambda self: digest()})


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes: ClassVar[list[Any]] = [_stamped(locator) for locator in CompileResultCacheImpl._locator_classes]  # type: ignore[misc]


class _Cache(FunctionCache):
    _impl_class = _CacheImpl


class _InlinedLibrary(JITCodeLibrary):
    """LLVM code that is only ever linked into an entry: optimising it, or emitting machine code for it, would be wasted."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _InlinedLowering(NativeLowering):
    """Lowers a kernel to LLVM code and stops there. Compiling each of a hundred kernels on its own took three times as long."""

    _name = "inlined_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        state.library.finalize()
        lowered = state["cr"]
        stand_in: Any = [].append  # the dispatcher files its versions under a builtin function; each call of `append` is a new one
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


class _InlinedCompiler(CompilerBase):
    """Numba's default pipeline with the last step replaced."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [(_InlinedLowering, text) if step is NativeLowering else (step, text) for step, text in pipeline.passes]
        return [pipeline]


def kernel(function: F) -> F:
    """An inner function: compiled into, and inlined by, the entries that use it. Never called from Python."""
    return _njit(  # type: ignore[no-any-return]
        function, error_model="numpy", forceinline=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True,
        pipeline_class=_InlinedCompiler,
    )  # fmt: skip


def entry(function: F | None = None, *, parallel: bool = False) -> Any:
    """A function called from Python: compiled on first use, cached on disk under a digest of all kernel files."""
    if function is None:
        return lambda f: entry(f, parallel=parallel)
    dispatcher = _njit(function, error_model="numpy", nogil=True, parallel=parallel, _nrt=False)
    dispatcher._cache = _Cache(function)
    return dispatcher
