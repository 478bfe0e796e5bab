"""What a step may take for granted when it is compiled for one world: numbers of `World.params` as constants.

Compiled for all worlds, a step looks each size up, and goes through loops and branches that most of them have no use
for. Where sizes, layouts and what is switched off are constants, the compiler leaves those out, and keeps in registers
what else would wait in memory. The results are the same, bit by bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from .pointers import Row, typeof

# Whole numbers that stay variables: worlds of other sizes, lengths and seeds are played by the same code.
_VARIABLES = ("users", "items", "number", "horizon", "world_seed")


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


def specialised_type(world: Any) -> Any:
    """The type of a world of this structure."""
    kind = typeof(world)
    fields = dict(zip(kind.fields, kind.types, strict=True))
    fields["params"] = fields["params"].copy(dtype=Row(fields["params"].dtype, _structure(world.params[0])))
    return types.NamedTuple(list(fields.values()), kind.instance_class)
