"""Worlds are compiled for alike, whatever their numbers."""

from __future__ import annotations

from numba import typeof as specialised_type

__all__ = ["specialised_type"]
