"""The arrays of a batch in one tuple, which numba takes apart at every call."""

from __future__ import annotations

from typing import Any

from numba import types

from .compiler import kernel


class PackedArrays:
    """Holds named tuples of arrays.

    Attributes:
        parts: the named tuples.
        address: what the compiled step takes, which is a number in the package's own compiler and here the parts.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = self.address = parts


def PackedArraysType(*parts: Any) -> Any:
    """The type of the parts of `PackedArrays` that have these types."""
    return types.Tuple(parts)


@kernel
def parts_of(packed):
    """The named tuples of packed arrays."""
    return packed
