"""Compile the step for one world, with numbers of `World.params` as constants.

A step that is compiled for all worlds looks up each size, and runs through loops and branches that most worlds do
not need. If sizes, layouts and switched-off coefficients are constants, the compiler leaves these out, and keeps more
values in registers. The results are the same, bit by bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from .pointers import Row, typeof

# Whole numbers that stay variables: worlds of other sizes, lengths and seeds are played by the same code.
_VARIABLES = ("users", "items", "number", "horizon", "world_seed")


def _structure(record: Any) -> dict[str, Any]:
    """Return the numbers of a record that become constants, by field: integers, and coefficients of zero, which switch
    off a term."""
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
    """Return the type of worlds with these constants."""
    kind = typeof(world)
    fields = dict(zip(kind.fields, kind.types, strict=True))
    fields["params"] = fields["params"].copy(dtype=Row(fields["params"].dtype, _structure(world.params[0])))
    return types.NamedTuple(list(fields.values()), kind.instance_class)
