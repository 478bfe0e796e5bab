"""Numbers as the evidence cards write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Gain = dict[str, float | None]


def percent(value: Mapping[str, float | None]) -> str:
    """A share or a gain as a percentage with its half-width."""
    if value["mean"] is None:
        return "—"
    width = "" if value["ci95"] is None else f" ±{100 * value['ci95']:.1f}"
    return f"{100 * value['mean']:.1f}{width} %"


def missing(part: Mapping[str, Any]) -> str:
    return f"Not here: {part['missing']}."


def number(value: float) -> str:
    return f"{value:.4f}"


def numbers(values: Sequence[float]) -> str:
    return " ".join(map(number, values))
