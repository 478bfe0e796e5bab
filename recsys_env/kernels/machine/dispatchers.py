"""The package's own compiler of kernels and entries: a kernel is lowered to LLVM code once, without being optimised,
and inlined into the entries and stages that use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numba
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.np import arrayobj

from .aliasing import tagged_accesses
from .pointers import KernelDispatcher, Pointer, size_of

_njit: Any = numba.njit  # its published types leave out options that it takes


class _InlinedLibrary(JITCodeLibrary):
    """LLVM code that is only ever linked into an entry: optimising it, or emitting machine code for it, would be
    wasted."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


def _as_it_is(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
    """Return an index without the check for negative values, because no kernel indexes from the end. The check would
    cost a tenth of the step, and hide from the compiler that loops run through memory in order."""
    return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)


class _Lower(Lower):  # type: ignore[misc]
    """Writes a function's LLVM code."""

    def extract_function_arguments(self) -> Any:
        """The arguments. A stage is told that what it writes into arrays does not change where they lie, and that this
        may be read at any time."""
        values = super().extract_function_arguments()
        if not self.fndesc.inline:
            self.function.attributes.add("noinline")
            for value, kind in zip(values, self.fndesc.argtypes, strict=True):
                if isinstance(kind, Pointer):
                    value.add_attribute("noalias")
                    value.attributes.dereferenceable = size_of(self.context, kind)
        return values


@register_pass(mutates_CFG=True, analysis_only=False)
class _InlinedLowering(NativeLowering):
    """Lowers a kernel to LLVM code and stops there. Compiling each of a hundred kernels on its own took three times as
    long."""

    _name = "inlined_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower

    def run_pass(self, state: Any) -> bool:
        state.library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        with mock.patch.object(arrayobj, "fix_integer_index", _as_it_is), tagged_accesses():
            super().run_pass(state)
        state.library.finalize()
        lowered = state["cr"]
        # the dispatcher files its versions under a builtin function; each call of `append` is a new one
        stand_in: Any = [].append
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


# Steps for what no kernel has: contexts, closures, inlined overloads, loops over types, whole arrays in a formula.
_UNUSED = {
    "WithLifting",
    "InlineClosureLikes",
    "RewriteDynamicRaises",
    "MakeFunctionToJitFunction",
    "InlineInlinables",
    "FindLiterallyCalls",
    "LiteralUnroll",
    "LiteralPropagationSubPipelinePass",
    "InlineOverloads",
    "NopythonRewrites",
    "AnnotateTypes",
    "DumpParforDiagnostics",
}


class _InlinedCompiler(CompilerBase):
    """Numba's default pipeline without what is of no use here, and with another last step."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_InlinedLowering, text) if step is NativeLowering else (step, text)
            for step, text in pipeline.passes
            if step.__name__ not in _UNUSED
        ]
        return [pipeline]


def kernel_dispatcher(function: Callable[..., Any], inline: bool) -> Any:
    """Numba's dispatcher of a kernel, which is inlined or stays a function of its own."""
    options = {
        "nopython": True,
        "boundscheck": None,  # as the environment variable NUMBA_BOUNDSCHECK has it
        "error_model": "numpy",
        "forceinline": inline,
        "_nrt": False,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    return KernelDispatcher(function, targetoptions=options, pipeline_class=_InlinedCompiler)


def entry_dispatcher(function: Callable[..., Any], parallel: bool) -> Any:
    """Numba's dispatcher of an entry."""
    return _njit(function, error_model="numpy", nogil=True, parallel=parallel, _nrt=False)
