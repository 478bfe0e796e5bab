"""The Gymnasium spaces of a world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from ..config import WorldConfig
from ..config.fields import ACTION, Shape, field_slices


def unit_box(size: int) -> spaces.Box:
    """Return the space of `size` float32 numbers in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def choices(config: WorldConfig, shape: Shape) -> int:
    """Return the number of options for a slot: candidates, items, or pairs of topic and clickbait level."""
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
    """Return the sizes of the parts of an action after its picks, in order: price or bid level, message."""
    return [size for size in (shape.levels, shape.vocabulary) if size]


def picks_candidates(config: WorldConfig, shape: Shape) -> bool:
    """Whether actions are picks of candidates alone, without messages or price levels."""
    return config.action == "candidates" and not beside_picks(shape)


def fused(parts: Any, beside: Sequence[int]) -> Any:
    """Return discrete actions in the layout of `action_space`, from their parts.

    Args:
        parts: [..., K + W] picks and what is beside them, of any array library.
        beside: W sizes, as `beside_picks` returns them.

    Returns:
        actions [...] for one slot, else [..., K + W].
    """
    if parts.shape[-1] > 1 + len(beside):
        return parts
    actions = parts[..., 0]
    for place, size in enumerate(beside, 1):
        actions = actions * size + parts[..., place]
    return actions


def parts_of(actions: Any, slots: int, beside: Sequence[int]) -> Any:
    """Return the parts [..., K + W] of discrete actions, as the inverse of `fused`."""
    if slots > 1:
        return actions
    parts = []
    for size in reversed(beside):
        actions, part = np.divmod(actions, size)
        parts.append(part)
    return np.stack([actions, *reversed(parts)], -1)


def action_space(config: WorldConfig, shape: Shape) -> spaces.Space:
    """Discrete for one slot, MultiDiscrete for slates, Box for queries and weights.

    With one slot the parts form one number, (pick * L + level) * V + word. With several slots they are separate
    entries, [n] * K + [L] + [V]. `fused` combines them. A creator's action is topic * L + level of clickbait, of
    `platform.bait_levels` = L. The parts of a box are declared in `fields.ACTION`.
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
