"""What a card says of the exact solution of a finite game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys_env.evaluation.tables import markdown

from .values import number, numbers

_PAST_PRICES = (
    " Strategies that react to past prices can sustain more, up to the joint optimum: playing it as long as both "
    "sellers did so at the visitor's last page, and low prices otherwise, is an equilibrium as well. NashConv is "
    "measured against all strategies that react to the last prices."
)


def exact_solution(found: Mapping[str, Any]) -> str:
    """A finite game's optimum and equilibria, and who earns what against whom."""
    if "missing" in found:
        return f"Not a finite game: {found['missing']}."
    rows = [
        ["team optimum", " ".join(found["optimum"]["policies"]), f"{found['optimum']['individual_reward']:.4f}", "", ""]
    ]
    for each in found.get("equilibria", ()):
        kinds = ", ".join(kind for kind in ("strict", "symmetric") if each[kind])
        gain = "" if each["over_constant"] is None else f"{each['over_constant']:+.0%}"
        rows.append(["equilibrium", " ".join(each["policies"]), numbers(each["individual_reward"]), kinds, gain])
    text = [
        "The table shows individual reward per agent and tick in the long run. A policy names an action for each "
        f"state: {', '.join(found['states'])}.",
        markdown(["", "policies", "reward", "", "gain over the best constant action"], rows),
        "The equilibria are all those in pure stationary strategies of these states (Markov perfect equilibria)."
        + _PAST_PRICES * (found.get("table", 0) > len(found["states"])),
    ]
    for name, four in found.get("dilemmas", {}).items():
        text.append(f"{name}: {', '.join(f'{which} {value:.4f}' for which, value in four.items())}.")
    if "anarchy" in found:
        text.append(f"Price of anarchy {found['anarchy']:.3f}, of stability {found['stability']:.3f}.")
    if "against" in found:
        table = found["against"]
        earned = [[n, *map(number, row)] for n, row in zip(table["names"], table["payoffs"], strict=True)]
        text += ["Reward of the row against the column:", markdown(["", *table["names"]], earned)]
        if table["loss"] is not None:
            lost = [[n, *(f"{x:.1%}" for x in row)] for n, row in zip(table["names"], table["loss"], strict=True)]
            lines = markdown(["", *table["names"]], lost)
            text += ["Loss of the best response to the row when it meets the column:", lines]
    placed = [
        [f"`{row['name']}`", numbers(row["individual_reward"]), number(row["nash_conv"])]
        for row in found["policies"]
        if "missing" not in row
    ]
    refused = [f"Not in the table: {row['missing']}." for row in found["policies"] if "missing" in row]
    return "\n\n".join([*text, markdown(["policy, as a team", "reward", "NashConv"], placed), *refused])
