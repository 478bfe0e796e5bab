"""What a world that replaces another one may hold.

Kernels do not check indices, so an index outside its array would make them read and write elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..checks import shown
from ..config.fields import Shape
from ..world.arrays import World

Limits = tuple[float, float]


def check_world(world: Any, present: World, shape: Shape) -> None:
    """Raise unless a world can be played in place of the present one: arrays of the same shapes and kinds, indices that
    lie in their arrays, other whole numbers in the range that they have now, and finite floats.

    Raises:
        TypeError: it is no world.
        ValueError: it cannot; the message names the array.
    """
    if not isinstance(world, World):
        raise TypeError(f"world = {shown(world)} must be a World")
    limits = _indices(shape)
    for array, mine, other in zip(World._fields, present, world, strict=True):
        if not isinstance(other, np.ndarray) or (other.shape, other.dtype) != (mine.shape, mine.dtype):
            raise ValueError(
                f"world.{array} = {shown(other)} must be {mine.dtype}{list(mine.shape)}, as in the world before"
            )
        for name, before, after in _numbers(array, mine, other):
            if before.dtype.kind == "f":
                wrong, allowed = ~np.isfinite(after) & (after != before), "finite"
            else:
                low, high = limits.get(name) or (before.min(), before.max())
                wrong, allowed = (after < low) | (after > high), f"from {low} to {high}"
            if wrong.any():
                raise ValueError(f"world.{name} holds {after[wrong][0].item()!r}, but must be {allowed}")


def _indices(shape: Shape) -> dict[str, Limits]:
    """Limits of the whole numbers of a world that differ between worlds of one task."""
    items = 0, shape.items - 1
    return {
        "params.shape.world_seed": (-(2**63), 2**63 - 1),
        "items.topic": (0, shape.topics - 1),
        "items.alias": items,
        "popular.item": items,
        "popular.alias": items,
        "topic_start": (0, shape.items),
        "leads_to": (0, shape.topics - 1),
        "activity.alias": (0, shape.users - 1),
        "prior_habits.item": (-1, shape.items - 1),
    }


def _numbers(name: str, before: np.ndarray, after: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, numbers before, numbers after) of an array, of each field if it holds records."""
    if before.dtype.names is None and before.size:
        yield name, before, after
    for field in before.dtype.names or ():
        yield from _numbers(f"{name}.{field}", before[field], after[field])
