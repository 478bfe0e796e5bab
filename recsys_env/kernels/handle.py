"""The arrays of a batch under one address, at which they lie as compiled code wants them.

Numba takes a named tuple of arrays apart at every call, which costs 12 ns for each array; a step has seventy.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.datamodel.models import OpaqueModel
from numba.core.registry import cpu_target
from numba.extending import NativeValue, intrinsic, register_model, unbox

from .compiler import entry
from .references import refer, taken

_ALIGNMENT = 64  # bytes, of each part


class Handle:
    """Writes down where the arrays of named tuples lie, and keeps them alive.

    Attributes:
        parts: the named tuples.
        address: where it is written.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        *_, size = _places([numba.typeof(part) for part in parts])
        memory = np.zeros(size + _ALIGNMENT, np.uint8)
        self._memory = memory[-memory.ctypes.data % _ALIGNMENT :]
        self.address = self._memory.ctypes.data
        write(parts, self._memory)


class HandleType(types.Type):
    """The type of a `Handle` whose parts have these types."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        super().__init__(f"handle of {parts}")


register_model(HandleType)(OpaqueModel)


@unbox(HandleType)
def _unbox(kind: HandleType, handle: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(handle, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer)


@intrinsic
def parts_of(typing_context: Any, handle: Any) -> Any:
    """The named tuples of a handle, as kernels take them: copies, to which nobody else has the address, so that the
    compiler knows that what is written into the arrays does not change where they lie."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, arguments[0], handle.parts)
        parts = [
            part if kind == told else refer(builder, part)
            for part, kind, told in zip(map(builder.load, pointers), handle.parts, signature.return_type, strict=True)
        ]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.Tuple([taken(part) for part in handle.parts])(handle), code


@intrinsic
def _write(typing_context: Any, parts: Any, memory: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = context.make_array(memory)(context, builder, arguments[1]).data
        for i, pointer in enumerate(_pointers(context, builder, address, parts.types)):
            builder.store(builder.extract_value(arguments[0], i), pointer)
        return context.get_dummy_value()

    return types.none(parts, memory), code


@entry
def write(parts, memory):
    """Write named tuples into the bytes of a handle."""
    _write(parts, memory)


def _pointers(context: Any, builder: Any, address: Any, parts: Any) -> list[Any]:
    """Where each part of a handle lies."""
    found = []
    for part, place in zip(parts, _places(parts), strict=False):
        here = builder.gep(address, [ir.Constant(ir.IntType(64), place)])
        found.append(builder.bitcast(here, context.get_value_type(part).as_pointer()))
    return found


def _places(parts: Any) -> list[int]:
    """Bytes from the address to each part of these types, and to the end of the last one."""
    context, places = cpu_target.target_context, [0]
    for part in parts:
        size = context.get_abi_sizeof(context.get_value_type(part))
        places.append(places[-1] + -(-size // _ALIGNMENT) * _ALIGNMENT)
    return places
