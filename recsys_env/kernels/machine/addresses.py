"""Compiled functions called by the address of their machine code, so that they are not compiled into the caller."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic


def address_for(function: Any, *kinds: Any) -> int:
    """Address of the machine code of a function, which is compiled for arguments of these types."""
    function.compile(kinds)
    return address_of(function, kinds)


def address_of(function: Any, signature: Any) -> int:
    """Address of the machine code of a function that has been compiled for this signature."""
    made = function.overloads[signature]
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


@intrinsic
def run_at(typing_context: Any, address: Any, packed: Any, actions: Any, mode: Any, starts: Any) -> Any:
    """Call `step.run` of the batch with these packed arrays."""
    return _call((types.voidptr, actions, types.int64, starts), packed, actions, types.int64, starts)


@intrinsic
def act_at(
    typing_context: Any, address: Any, packed: Any, policy_data: Any, n: Any, t: Any, chunk: Any, actions: Any
) -> Any:
    """Call a policy of `kernels.rollout`, which has packed arrays of its own."""
    kinds = types.voidptr, types.voidptr, types.int64, types.int64, chunk, actions
    return _call(kinds, packed, types.int64, types.int64, types.int64, chunk, actions)


def _call(kinds: tuple[Any, ...], *given: Any) -> Any:
    """Signature and code of a call of a function that takes these kinds, of which addresses may be given as numbers."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        convention = context.call_conv
        function = builder.inttoptr(arguments[0], convention.get_function_type(types.none, kinds).as_pointer())
        values = [
            builder.inttoptr(value, context.get_value_type(kind))
            if kind == types.voidptr and by == types.int64
            else value
            for value, kind, by in zip(arguments[1:], kinds, given, strict=True)
        ]
        status, _ = convention.call_function(builder, function, types.none, kinds, values)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, *given), code
