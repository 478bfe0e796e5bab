"""The arrays of a batch under one address, at which they lie as compiled code wants them.

Numba takes a named tuple of arrays apart at every call, which costs 12 ns for each array; a step has seventy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import OpaqueModel
from numba.extending import NativeValue, intrinsic, register_model, unbox

from .pointers import short_name, taken


class PackedArrays:
    """Writes down where the arrays of named tuples lie, and keeps them alive.

    Attributes:
        parts: the named tuples.
        address: where it is written.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        self._words = np.array([word for part in parts for array in part for word in _words(array)], np.int64)
        self.address = self._words.ctypes.data


def _words(array: np.ndarray) -> tuple[int, ...]:
    """An array as compiled code has it, `arystruct_t` of numba's runtime: two addresses of owners, whom kernels do not
    count, how many items of what size, where they lie, the shape and the strides."""
    return 0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides


class PackedArraysType(types.Type):
    """The type of the address of `PackedArrays` whose parts have these types.

    Compiled code takes the number alone, since to ask an object for it takes longer than to look at an array."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        super().__init__(short_name("packed arrays", parts))


register_model(PackedArraysType)(OpaqueModel)


@unbox(PackedArraysType)
def _unbox(kind: PackedArraysType, address: Any, c: Any) -> Any:
    return NativeValue(c.pyapi.long_as_voidptr(address))


@intrinsic
def parts_of(typing_context: Any, packed: Any) -> Any:
    """The named tuples of packed arrays, as kernels take them: by their addresses."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        layout = ir.LiteralStructType([context.get_value_type(part) for part in packed.parts])
        address = builder.bitcast(arguments[0], layout.as_pointer())
        addresses = [cgutils.gep_inbounds(builder, address, 0, i) for i in range(len(packed.parts))]
        parts = [
            builder.load(part) if kind == wanted else builder.bitcast(part, ir.IntType(8).as_pointer())
            for part, kind, wanted in zip(addresses, packed.parts, signature.return_type, strict=True)
        ]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.Tuple([taken(part) for part in packed.parts])(packed), code
