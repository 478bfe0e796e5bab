"""The types of named tuples of arrays, which numba passes by value."""

from __future__ import annotations

from numba import typeof

__all__ = ["typeof"]
