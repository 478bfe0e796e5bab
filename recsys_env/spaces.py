"""The Gymnasium spaces of a world."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from .config import WorldConfig
from .fields import ACTION, Shape, field_slices


def unit_box(size: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def choices(config: WorldConfig, shape: Shape) -> int:
    """How many things one slot can name."""
    if config.ranked:
        return shape.topics * shape.bait_levels
    return shape.candidates if config.retrieves else shape.items


class Slate(spaces.MultiDiscrete):
    """A `MultiDiscrete` that also samples with the flat mask that observations carry: the masks of its parts, one after
    the other."""

    def sample(self, mask: Any = None, *args: Any, **kwargs: Any) -> np.ndarray:
        if isinstance(mask, np.ndarray):
            mask = tuple(np.split(mask, np.cumsum(self.nvec)[:-1]))
        return super().sample(mask, *args, **kwargs)


def beside_picks(shape: Shape) -> list[int]:
    """Sizes of what an action holds beside its picks, in this order: a level of prices, a message."""
    return [size for size in (shape.levels, shape.vocabulary) if size]


def action_space(config: WorldConfig, shape: Shape) -> spaces.Space:
    """Discrete for one slot, MultiDiscrete for slates, Box for queries and weights.

    What there is beside the picks multiplies (action = (pick * L + level) * V + word) or appends ([n] * K + [L] + [V]).
    A creator's action is topic * L + level of clickbait, of `platform.bait_levels` = L. The parts of a box are declared
    in `fields.ACTION`.
    """
    n, slots = choices(config, shape), shape.slots
    if config.continuous:
        return unit_box(max(columns.stop for columns in field_slices(ACTION, config, shape).values()))
    if slots == 1:
        return spaces.Discrete(n * math.prod(beside_picks(shape)))
    return Slate([n] * slots + beside_picks(shape))


def mask_size(config: WorldConfig, shape: Shape) -> int:
    """Length of the flat action mask (as MaskablePPO wants it for each kind of space); 0 without one."""
    if not config.mask_actions:
        return 0
    n, beside = choices(config, shape), beside_picks(shape)
    return n * math.prod(beside) if shape.slots == 1 else n * shape.slots + sum(beside)


def observation_space(config: WorldConfig, shape: Shape, size: int) -> spaces.Space:
    """The box of an observation of this size, with the mask beside it where the task has one."""
    if not config.mask_actions:
        return unit_box(size)
    mask = spaces.Box(0, 1, (mask_size(config, shape),), np.int8)
    return spaces.Dict({"observation": unit_box(size), "action_mask": mask})
