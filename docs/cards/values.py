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


def team_gain(play: Mapping[str, Any]) -> Gain | None:
    """How much more the joint optimum earns than the equilibrium among the policies tried; None if there is none."""
    share = play.get("anarchy", {})
    if not share.get("mean"):
        return None
    return {"mean": 1 / share["mean"] - 1, "ci95": share["ci95"] / share["mean"] ** 2}


def missing(part: Mapping[str, Any]) -> str:
    return f"Not here: {part['missing']}."


def number(value: float) -> str:
    return f"{value:.4f}"


def numbers(values: Sequence[float]) -> str:
    return " ".join(map(number, values))
