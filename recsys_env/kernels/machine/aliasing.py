"""Tell LLVM which loads and stores can touch the same memory, which numba does not.

Without this, LLVM assumes that every store may change every number, and reads everything again after it. Its type-based
alias analysis takes two accesses with tags of different names to touch different memory. There are three kinds of tags:
the name of a record's field, the number type of a contiguous array, and "address" for the address of an array. A tag
can also say that memory is read-only.

Therefore two arrays that are passed to an entry must not overlap, unless both can be written to and have the same
number type. A column of an array of records may overlap with the records: it has strides, and its accesses have no tag.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from unittest import mock

from llvmlite import ir
from numba.core import types
from numba.core.base import BaseContext
from numba.np import arrayobj

from .pointers import Pointer, Row, short_name

_NUMBER = types.Number | types.Boolean
_I64 = ir.IntType(64)
_load_item, _store_item = arrayobj.load_item, arrayobj.store_item
_getter, _setter = BaseContext.get_getattr, BaseContext.get_setattr


def tag_array(kind: Any, *accesses: Any) -> None:
    """Name what LLVM instructions load from, or store to, an array of this type."""
    if kind.layout == "C" and isinstance(kind.dtype, _NUMBER):
        _tag(f"{'' if kind.mutable else 'readonly '}{kind.dtype}", int(not kind.mutable), accesses)


def _tag_field(kind: Any, name: str, *accesses: Any) -> None:
    """Do the same for a field of a record."""
    record = kind.record if isinstance(kind, Row) else kind
    if isinstance(record.typeof(name), _NUMBER):
        _tag(f"{short_name('record', record)} {name}", 0, accesses)


def _tag_address(*accesses: Any) -> None:
    """Do the same for the address of an array."""
    _tag("address", 0, accesses)


def _tag(name: str, constant: int, accesses: Iterable[Any]) -> None:
    for access in accesses:
        if isinstance(access, ir.LoadInstr | ir.StoreInstr):
            module = access.function.module
            node = module.add_metadata([name, module.add_metadata(["recsys_env"]), _I64(0)])
            access.set_metadata("tbaa", module.add_metadata([node, node, _I64(0), _I64(constant)]))


def _tagged(builder: Any, tag: Callable[..., None], write: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function that writes instructions into the present block, which are tagged."""
    block = builder.block
    before = len(block.instructions)
    result = write(*arguments)
    tag(*block.instructions[before:])
    return result


def _load(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    return _tagged(builder, partial(tag_array, kind), _load_item, context, builder, kind, address)


def _store(context: Any, builder: Any, kind: Any, value: Any, address: Any) -> Any:
    return _tagged(builder, partial(tag_array, kind), _store_item, context, builder, kind, value, address)


def _get(context: Any, kind: Any, name: str) -> Any:
    get = _getter(context, kind, name)
    if isinstance(kind, Pointer):
        tag: Callable[..., None] = _tag_address
    elif isinstance(kind, types.Record | Row):
        tag = partial(_tag_field, kind, name)
    else:
        return get

    return lambda context, builder, *arguments: _tagged(builder, tag, get, context, builder, *arguments)


def _set(context: Any, name: str, signature: Any) -> Any:
    change, kind = _setter(context, name, signature), signature.args[0]
    if not isinstance(kind, types.Record | Row):
        return change

    return lambda builder, values: _tagged(builder, partial(_tag_field, kind, name), change, builder, values)


@contextlib.contextmanager
def tagged_accesses() -> Iterator[None]:
    """Tag loads from and stores to arrays and records in the code that is generated for LLVM meanwhile."""
    with (
        mock.patch.object(arrayobj, "load_item", _load),
        mock.patch.object(arrayobj, "store_item", _store),
        mock.patch.object(BaseContext, "get_getattr", _get),
        mock.patch.object(BaseContext, "get_setattr", _set),
    ):
        yield
