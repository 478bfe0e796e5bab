"""The arrays of a batch as one table of addresses on the device.

A launch hands over each argument by itself, and numba makes one of every size and stride of an array. The seventy
arrays of a step would be 645 arguments, each prepared in Python, and of 5,160 bytes, where older versions of CUDA take
4,096.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import config, cuda, types
from numba.core import cgutils
from numba.core.datamodel.models import OpaqueModel
from numba.core.typing.templates import AttributeTemplate
from numba.cuda.extending import (  # type: ignore[attr-defined]
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    register_model,
)


class ArrayTable:
    """Writes down on the device where the arrays of named tuples lie there, and keeps them alive.

    Attributes:
        parts: the named tuples.
        words: [W] int64, each array as compiled code has it.
        unpack: the function of the device that makes the named tuples of `words`.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        simulated: bool = config.ENABLE_CUDASIM  # type: ignore[attr-defined]
        words = [] if simulated else [word for part in parts for array in part for word in _words(array)]
        self.words = cuda.to_device(np.array(words, np.int64))
        self.unpack: Callable[[Any], Any]
        if simulated:  # by a simulator which runs Python
            self.unpack = lambda words: parts
        else:
            self.unpack = unpacker(tuple(numba.typeof(part) for part in parts))


def _words(array: Any) -> tuple[int, ...]:
    """An array of the device as `arystruct_t` of numba's runtime: two addresses of owners, whom kernels do not count,
    how many items of what size, where they lie, the shape and the strides."""
    where = array.__cuda_array_interface__["data"][0]
    return 0, 0, array.size, array.dtype.itemsize, where, *array.shape, *array.strides


_I64 = ir.IntType(64)


class Part(types.Type):  # type: ignore[misc]
    """The type of a named tuple of arrays in the table: compiled code has the address of its first word.

    The address and the shape of an array are read from the table at each use. Read once at the beginning, those of all
    arrays would fill the registers.
    """

    def __init__(self, kind: Any) -> None:
        self.arrays = dict(zip(kind.fields, kind.types, strict=True))
        super().__init__(f"part {kind}")


register_model(Part)(OpaqueModel)


@infer_getattr
class _PartAttributes(AttributeTemplate):  # type: ignore[misc]
    key = Part

    def generic_resolve(self, part: Part, name: str) -> Any:  # type: ignore[override]
        return part.arrays.get(name)


def _words_of(kind: Any) -> int:
    return 5 + 2 * int(kind.ndim)


@lower_getattr_generic(Part)  # type: ignore[misc]
def _lower_array(context: Any, builder: Any, part: Part, address: Any, name: str) -> Any:
    names = list(part.arrays)
    first = sum(_words_of(part.arrays[before]) for before in names[: names.index(name)])
    words = builder.bitcast(address, _I64.as_pointer())

    def word(i: int) -> Any:
        value = builder.load(builder.gep(words, [_I64(first + i)], inbounds=True))
        value.set_metadata("invariant.load", builder.module.add_metadata([]))  # nothing writes to the table
        return value

    kind = part.arrays[name]
    array = context.make_array(kind)(context, builder)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    array.nitems, array.itemsize = word(2), _I64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    array.data = builder.inttoptr(word(4), array.data.type)
    array.shape = cgutils.pack_array(builder, [word(5 + i) for i in range(kind.ndim)], ty=_I64)
    array.strides = cgutils.pack_array(builder, [word(5 + kind.ndim + i) for i in range(kind.ndim)], ty=_I64)
    return array._getvalue()


@cache
def unpacker(kinds: tuple[Any, ...]) -> Any:
    """`ArrayTable.unpack` for named tuples of these types."""
    parts = [Part(kind) for kind in kinds]

    @intrinsic
    def unpack(typing_context: Any, words: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            start, found = context.make_array(words)(context, builder, arguments[0]).data, []
            for part in parts:
                found.append(builder.bitcast(start, ir.IntType(8).as_pointer()))
                start = builder.gep(start, [_I64(sum(map(_words_of, part.arrays.values())))])
            return context.make_tuple(builder, signature.return_type, found)

        return types.Tuple(parts)(words), code

    return unpack
