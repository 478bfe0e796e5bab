"""What a step may take for granted when it is compiled for one world: numbers of `World.params` as constants.

Compiled for all worlds, a step looks each size up, and goes through loops and branches that most of them have no use
for. Where sizes, layouts and what is switched off are constants, the compiler leaves those out, and keeps in registers
what else would wait in memory. The results are the same, bit by bit.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.core.datamodel.models import RecordModel
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, register_model
from numba.np.arrayobj import record_getattr

# Whole numbers that stay variables: worlds of other sizes, lengths and seeds are played by the same code.
_VARIABLES = ("users", "items", "number", "horizon", "world_seed")


class _Known(types.Type):  # type: ignore[misc]
    """The type of a record of which some fields are constants.

    Not a kind of `types.Record`, to which numba would convert it, and the reverse, where a kernel has been compiled for
    the other.
    """

    mutable = True

    def __init__(self, record: Any, numbers: dict[str, Any]) -> None:
        """`numbers` by field, and by field of inner records."""
        self.record, self.numbers = record, numbers
        super().__init__(f"{record} where {numbers}")  # by which numba tells types apart

    def typeof(self, name: str) -> Any:
        """The type of a field."""
        field, number = self.record.typeof(name), self.numbers.get(name)
        return _Known(field, number) if isinstance(number, dict) else field

    # As `RecordModel` wants them.
    @property
    def members(self) -> Any:
        return self.record.members

    @property
    def size(self) -> int:
        return int(self.record.size)


register_model(_Known)(RecordModel)


@infer_getattr  # type: ignore[misc]
class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = _Known

    def generic_resolve(self, known: _Known, name: str) -> Any:  # type: ignore[override]
        return known.typeof(name)


@lower_getattr_generic(_Known)  # type: ignore[misc]
def _lower_field(context: Any, builder: Any, known: _Known, value: Any, name: str) -> Any:
    number = known.numbers.get(name)
    if number is None or isinstance(number, dict):
        return record_getattr(context, builder, known.record, value, name)
    return context.get_constant(known.typeof(name), number)


def _structure(record: Any) -> dict[str, Any]:
    """Those numbers of a record that are structure, by field: whole ones, and coefficients of zero, which switch off
    what they weigh."""
    found: dict[str, Any] = {}
    for name in record.dtype.names:
        kind, value = record.dtype[name], record[name]
        if kind.names:
            found[name] = _structure(value)
        elif kind.kind == "i" and name not in _VARIABLES:
            found[name] = int(value)
        elif kind.kind == "f" and kind.shape == () and value == 0 and not np.signbit(value):
            found[name] = 0.0
    return found


def type_of(world: Any) -> Any:
    """The type of a world of this structure."""
    kind = numba.typeof(world)
    fields = dict(zip(kind.fields, kind.types, strict=True))
    fields["params"] = fields["params"].copy(dtype=_Known(fields["params"].dtype, _structure(world.params[0])))
    return types.NamedTuple(list(fields.values()), kind.instance_class)
