"""How an agent's observation is laid out, and its two formats: one flat vector, or a dict of its parts.

flat: Box [O]
dict: "context" [X]; the fields of candidates [C, ...] and of recent items [L, ...], each under its name;
      "action_mask" [A] with mask_actions. The same numbers, of which all but the context are views of the flat vector
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..checks import as_indices, as_numbers, did_you_mean, shown
from ..config import WorldConfig
from ..config.fields import CANDIDATE_FEATURES, OBSERVATION, Shape, field_slices
from .spaces import mask_size, unit_box

FORMATS = ("flat", "dict")
CONTEXT, FLAT, MASK = "context", "observation", "action_mask"
_IDS = ("candidate_ids", "recent_ids")


def checked_format(observation_format: Any) -> str:
    """Return the format of observations, if it is one.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(observation_format, str) or observation_format not in FORMATS:
        raise ValueError(
            f"observation_format = {shown(observation_format)} is not allowed; choose 'flat' or 'dict'"
            f"{did_you_mean(observation_format, FORMATS)}"
        )
    return observation_format


@dataclass(frozen=True)
class ObservationLayout:
    """Where the parts of a flat observation lie.

    Attributes:
        size: O.
        context: columns of the X numbers that describe the visit: all that belong to no single candidate or item.
        parts: name -> first column, and then the shape: [C, ...] of what there is for each candidate, [L, ...] of what
            there is for each of the items that the visitor consumed last.
        items: M, which `candidate_ids` and `recent_ids` name.
    """

    size: int
    context: tuple[int, ...]
    parts: Mapping[str, tuple[int, ...]]
    items: int

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a part."""
        return self.parts[name][1:]

    def columns(self, name: str) -> slice:
        """Return the columns of a part."""
        start, *shape = self.parts[name]
        return slice(start, start + math.prod(shape))

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the parts that hold item ids: `candidate_ids` and `recent_ids`, where this layout has them."""
        return tuple(name for name in _IDS if name in self.parts)

    def split(self, flat: Any) -> dict[str, Any]:
        """Return the parts of flat observations [..., O], arrays or tensors: views, but for the context.

        Items are named by the numbers that the flat observation has for them; `ids_of` turns these into integers.
        """
        parts = {
            name: flat[..., self.columns(name)].reshape(*flat.shape[:-1], *self.shape(name)) for name in self.parts
        }
        return {CONTEXT: flat[..., list(self.context)], **parts}

    def weights(self, name: str) -> np.ndarray:
        """Return the weights [K] of the columns that code an item: columns @ weights = 1 + item, 0 = no item."""
        count = self.shape(name)[-1]
        return np.arange(1, count + 1) if count == self.items else 2 ** np.arange(count)

    def ids_of(self, name: str, columns: Any) -> np.ndarray:
        """Return 1 + the number of each item, int64 [..., C] or [..., L] (0 = none), named by columns [..., K]."""
        # As integers: products of float32 by BLAS may warn of invalid values where there are none.
        ids: np.ndarray = columns.astype(np.int64) @ self.weights(name)
        return ids

    def structured(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return flat observations [..., O] in the format "dict", without masks."""
        parts = self.split(flat)
        return parts | {name: self.ids_of(name, parts[name]) for name in self.named}

    def formatted(self, flat: Any, masks: Any, observation_format: str) -> Any:
        """Return flat observations [..., O], and masks [..., A] or None, in a format."""
        if observation_format == "flat" and masks is None:
            return flat
        parts = {FLAT: flat} if observation_format == "flat" else self.structured(flat)
        return parts if masks is None else {**parts, MASK: masks}

    def join(self, observations: Mapping[str, Any]) -> np.ndarray:
        """Return observations in the format "dict" as flat ones [..., O]: the inverse of `structured`.

        Raises:
            TypeError, ValueError: a part is no array of numbers, or has another shape, or names no item.
        """
        context = as_numbers(f"observations[{CONTEXT!r}]", observations[CONTEXT])
        rows = context.shape[:-1]
        flat = np.zeros((*rows, self.size), np.float32)
        flat[..., list(self.context)] = _shaped(CONTEXT, context, (*rows, len(self.context)))
        for name in self.parts:
            shape = self.shape(name)
            if name in _IDS:
                ids = as_indices(f"observations[{name!r}]", observations[name], self.items + 1)
                values = self.codes(name)[_shaped(name, ids, (*rows, *shape[:-1]))]
            else:
                numbers = as_numbers(f"observations[{name!r}]", observations[name])
                values = _shaped(name, numbers, (*rows, *shape))
            flat[..., self.columns(name)] = values.reshape(*rows, -1)
        return flat

    def codes(self, name: str) -> np.ndarray:
        """Return the columns [1 + M, K] that name each item, after a row of zeros for no item."""
        count, numbers = self.shape(name)[-1], np.arange(self.items + 1)[:, None]
        if count == self.items:
            return (numbers == np.arange(1, count + 1)).astype(np.float32)
        return (numbers >> np.arange(count) & 1).astype(np.float32)

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the spaces of the format "dict", without masks."""
        found: dict[str, spaces.Space[Any]] = {CONTEXT: unit_box(len(self.context))}
        for name in self.parts:
            shape = self.shape(name)
            found[name] = (
                spaces.Box(0, self.items, shape[:-1], np.int64)
                if name in _IDS
                else spaces.Box(-1.0, 1.0, shape, np.float32)
            )
        return found


def _shaped(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a part of observations, if it has this shape."""
    if values.shape != shape:
        raise ValueError(f"observations[{name!r}] of shape {list(values.shape)} must be {list(shape)}")
    return values


def observation_layout(config: WorldConfig, shape: Shape) -> ObservationLayout:
    """Return the layout of the observations of a world."""
    where = field_slices(OBSERVATION, config, shape)
    of_items = {field.name: field.axes for field in OBSERVATION if field.of_items}
    context = [
        column for name, part in where.items() if name not in of_items for column in range(part.start, part.stop)
    ]
    parts = {
        name: (part.start, *(getattr(shape, axis) for axis in of_items[name]))
        for name, part in where.items()
        if name in of_items
    }
    return ObservationLayout(max(part.stop for part in where.values()), tuple(context), parts, shape.items)


def observation_space(
    config: WorldConfig, shape: Shape, layout: ObservationLayout, observation_format: str
) -> spaces.Space[Any]:
    """Return the space of an agent's observations in a format, with the mask beside them where the task has one."""
    flat = observation_format == "flat"
    if flat and not config.mask_actions:
        return unit_box(layout.size)
    parts: dict[str, spaces.Space[Any]] = {FLAT: unit_box(layout.size)} if flat else layout.space()
    if config.mask_actions:
        parts[MASK] = spaces.Box(0, 1, (mask_size(config, shape),), np.int8)
    return spaces.Dict(parts)


_HALF = {field.name: field.half for field in (*OBSERVATION, *CANDIDATE_FEATURES)}


def unsquashed(values: Any, name: str) -> Any:
    """Return numbers x of a field or feature, given the numbers y = x / (half + |x|) that agents observe."""
    half = _HALF[name]
    return values if half is None else half * values / (1 - np.minimum(np.abs(values), 1 - 1e-6))
