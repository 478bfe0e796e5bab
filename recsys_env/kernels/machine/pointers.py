"""Named tuples of arrays, and records, as kernels take them: by their address.

By value each array would be nine arguments of every compiled kernel, taken apart and put together again at every call,
and numba writes out a record's type, of a hundred fields, at every step that it takes. A compiler spends half of its
time on that; the machine code is the same, once the kernels are inlined.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types, typing
from numba.core.datamodel.models import OpaqueModel, RecordModel
from numba.core.imputils import lower_setattr_generic
from numba.core.registry import CPUDispatcher
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate
from numba.extending import infer, infer_getattr, lower_builtin, lower_cast, lower_getattr_generic, register_model
from numba.np.arrayobj import record_getattr, record_setattr
from numba.np.numpy_support import from_dtype, map_layout


def typeof(arrays: Any) -> Any:
    """The type of a named tuple of arrays. `numba.typeof` looks at each field of their records, every time anew."""
    kinds = [_typeof_array(array.dtype, array.ndim, map_layout(array), array.flags.writeable) for array in arrays]
    return types.NamedTuple(kinds, type(arrays))


@cache
def _typeof_array(kind: Any, ndim: int, layout: Any, writeable: bool) -> Any:
    return types.Array(from_dtype(kind), ndim, layout, readonly=not writeable)


def short_name(what: str, *facts: Any) -> str:
    """A short name for a type, by which numba tells it from others."""
    return f"{what} {hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


class Pointer(types.Type):  # type: ignore[misc]
    """The type of a named tuple of arrays."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts
        super().__init__(short_name(parts.instance_class.__name__, parts))


class Row(types.Type):  # type: ignore[misc]
    """The type of a record, of which some numbers may be known: by field, and by field of inner records.

    Not a kind of `types.Record`, to which numba would convert it where a kernel has been compiled for one.
    """

    mutable = True

    def __init__(self, record: Any, numbers: dict[str, Any] | None = None) -> None:
        self.record, self.numbers = record, numbers or {}
        super().__init__(short_name("row", record, self.numbers))

    def typeof(self, name: str) -> Any:
        """The type of a field."""
        field, number = self.record.typeof(name), self.numbers.get(name)
        return Row(field, number) if isinstance(number, dict) else field

    # As `RecordModel` wants them.
    @property
    def members(self) -> Any:
        return self.record.members

    @property
    def size(self) -> int:
        return int(self.record.size)


register_model(Pointer)(OpaqueModel)
register_model(Row)(RecordModel)


@cache
def taken(kind: Any) -> Any:
    """Return what a kernel takes in place of an argument of this type: addresses as above, and whole numbers in one
    width, so that it is compiled once for all of them."""
    if isinstance(kind, types.NamedTuple) and all(isinstance(part, types.Array) for part in kind.types):
        return Pointer(kind)
    if isinstance(kind, types.Record):
        return Row(kind)
    if isinstance(kind, types.IntegerLiteral) or kind in types.signed_domain:
        return types.int64
    return kind


class KernelDispatcher(CPUDispatcher):  # type: ignore[misc]
    """Numba's, of a kernel: compiled for the types that are `taken`."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(map(taken, args)), {name: taken(kind) for name, kind in kws.items()})


# ------------------------------------------------------------------------------------------------ named tuples


def size_of(context: Any, reference: Pointer) -> int:
    """Bytes of the named tuple at an address."""
    return int(context.get_abi_sizeof(context.get_value_type(reference.parts)))


@lower_cast(types.NamedTuple, Pointer)  # type: ignore[misc]
def _cast_tuple(context: Any, builder: Any, kind: Any, reference: Pointer, parts: Any) -> Any:
    address = cgutils.alloca_once_value(builder, parts)  # in the frame of the function that is being compiled
    return builder.bitcast(address, ir.IntType(8).as_pointer())


@infer_getattr  # type: ignore[misc]
class _Arrays(AttributeTemplate):  # type: ignore[misc]
    key = Pointer

    def generic_resolve(self, reference: Pointer, name: str) -> Any:  # type: ignore[override]
        return dict(zip(reference.parts.fields, reference.parts.types, strict=True))[name]


@lower_getattr_generic(Pointer)  # type: ignore[misc]
def _lower_array(context: Any, builder: Any, reference: Pointer, address: Any, name: str) -> Any:
    parts = builder.bitcast(address, context.get_value_type(reference.parts).as_pointer())
    return builder.load(cgutils.gep_inbounds(builder, parts, 0, reference.parts.fields.index(name)))


# ------------------------------------------------------------------------------------------------ records


@lower_cast(types.Record, Row)  # type: ignore[misc]
def _cast_record(context: Any, builder: Any, kind: Any, row: Row, record: Any) -> Any:
    return record  # which is an address


@infer_getattr  # type: ignore[misc]
class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = Row

    def generic_resolve(self, row: Row, name: str) -> Any:  # type: ignore[override]
        return row.typeof(name)


@lower_getattr_generic(Row)  # type: ignore[misc]
def _lower_field(context: Any, builder: Any, row: Row, record: Any, name: str) -> Any:
    number = row.numbers.get(name)
    if number is None or isinstance(number, dict):
        return record_getattr(context, builder, row.record, record, name)
    return context.get_constant(row.typeof(name), number)


@lower_setattr_generic(Row)  # type: ignore[misc]
def _lower_change(context: Any, builder: Any, signature: Any, values: Any, name: str) -> None:
    row, kind = signature.args
    record_setattr(context, builder, signature.replace(args=(row.record, kind)), values, name)


# A field whose name a kernel takes from an enclosing function, `row[name]`, is the attribute of that name.


@infer  # type: ignore[misc]
class _FieldByName(AbstractTemplate):  # type: ignore[misc]
    key = "static_getitem"

    def generic(self, args: Any, kws: Any) -> Any:
        row, name = args
        if isinstance(row, Row) and isinstance(name, str):
            return typing.signature(row.typeof(name), row, types.literal(name))
        return None


@infer  # type: ignore[misc]
class _ChangeByName(AbstractTemplate):  # type: ignore[misc]
    key = "static_setitem"

    def generic(self, args: Any, kws: Any) -> Any:
        row, name, _ = args
        if isinstance(row, Row) and isinstance(name, str):
            return typing.signature(types.void, row, types.literal(name), row.typeof(name))
        return None


@lower_builtin("static_getitem", Row, types.StringLiteral)  # type: ignore[misc]
def _lower_field_by_name(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    (row, _), (record, name) = signature.args, values
    return context.get_getattr(row, name)(context, builder, row, record, name)


@lower_builtin("static_setitem", Row, types.StringLiteral, types.Any)  # type: ignore[misc]
def _lower_change_by_name(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    (row, _, kind), (record, name, value) = signature.args, values
    return context.get_setattr(name, typing.signature(types.void, row, kind))(builder, (record, value))
