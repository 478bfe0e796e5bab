"""The step of a batch over numba's threads: the same compiled code as in one, called by its address, so that it is
compiled once for both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..step import run
from .compiler import entry


@intrinsic
def _run_at(typing_context: Any, address: Any, packed: Any, actions: Any, mode: Any, starts: Any) -> Any:
    """Call `run`, whose machine code is at an address, with the packed arrays at another one."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention, kinds = context.call_conv, (types.voidptr, *signature.args[2:])
        function = builder.inttoptr(arguments[0], convention.get_function_type(types.none, kinds).as_pointer())
        there = builder.inttoptr(arguments[1], context.get_value_type(types.voidptr))
        status, _ = convention.call_function(builder, function, types.none, kinds, (there, *arguments[2:]))
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, actions, types.int64, starts), code


@entry(parallel=True)
def run_parallel(address, packed, actions, mode, starts):
    """`run`, whose machine code is at an address, each chunk of copies in the next thread that is free."""
    for i in numba.prange(starts.size - 1):
        _run_at(address, packed, actions, mode, starts[i : i + 2])


def compiled_step(kinds: Any, actions: Any, starts: Any, threads: int) -> Callable[..., None]:
    """`run`, or `run_parallel` of it, for arrays like these and packed arrays of these kinds.

    It takes the address of the packed arrays, and the other arguments of `run`."""
    others = numba.typeof(actions), numba.int64, numba.typeof(starts)
    step: Callable[..., None] = run.compile((kinds, *others))
    if threads == 1:
        return step
    made = run.overloads[(kinds, *others)]
    address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    parallel = run_parallel.compile((numba.int64, numba.int64, *others))
    return partial(parallel, address)
