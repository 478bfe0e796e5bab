"""Sizes of the generative recommender by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Size of a network.

    Attributes:
        width, layers, heads: of the transformer.
        levels, tokens: L of an item, S of a level.
        dims: D, of the vectors that tokens stand for.
        events: H, pages that the network looks back on.
    """

    width: int
    layers: int
    heads: int
    levels: int = 3
    tokens: int = 32
    dims: int = 0
    events: int = 8


SIZES = {  # number of parameters -> size
    "0.1m": Size(width=56, layers=2, heads=2),
    "0.3m": Size(width=80, layers=3, heads=4),
    "1m": Size(width=128, layers=4, heads=4),
    "3m": Size(width=192, layers=6, heads=6),
    "10m": Size(width=320, layers=8, heads=8),
    "30m": Size(width=512, layers=9, heads=8),
    "100m": Size(width=768, layers=14, heads=12),
    "300m": Size(width=1024, layers=24, heads=16),
    "1b": Size(width=1792, layers=26, heads=16),
}
