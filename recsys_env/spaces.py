"""The Gymnasium spaces of a world."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from .config import WorldConfig
from .fields import Shape


def unit_box(size: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def choices(config: WorldConfig, shape: Shape) -> int:
    """How many things one slot can name."""
    return shape.candidates if config.action == "candidates" else shape.items


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
    """Discrete for one slot, MultiDiscrete for slates, Box for queries.

    What there is beside the picks multiplies (action = (pick * L + level) * V + word), appends ([n] * K + [L] + [V]) or
    extends (D + 1 + V, the level in [-1, 1] and a number for each word).
    """
    n, slots = choices(config, shape), shape.slots
    if config.action == "query":
        return unit_box(shape.dims + (shape.levels > 0) + shape.vocabulary)
    if slots == 1:
        return spaces.Discrete(n * math.prod(beside_picks(shape)))
    return Slate([n] * slots + beside_picks(shape))


def with_list_price(config: WorldConfig, shape: Shape, picks: np.ndarray) -> np.ndarray:
    """The discrete actions of picks [B, K], at the level of prices that is nearest to the list's, with the first
    word."""
    beside = [level for level, size in ((config.offer.list_level, shape.levels), (0, shape.vocabulary)) if size]
    if shape.slots > 1:
        return np.concatenate((picks, np.broadcast_to(beside, (len(picks), len(beside))).astype(picks.dtype)), axis=1)
    action = picks[:, 0].copy()
    for value, size in zip(beside, beside_picks(shape), strict=True):
        action = action * size + value
    return action


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
