"""What a card says of the game that the agents play: payoffs, best replies, and the exact solution of a finite game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import measured
import numpy as np

from recsys_env import TASKS
from recsys_env.evaluation.tables import markdown, spread

from .values import missing, number, numbers, percent


def dependence_on_others(found: Mapping[str, Any]) -> str:
    play = found["play"]
    if "missing" in play:
        return missing(play)
    payoffs = [[f"`{row}`", *(spread(value) for value in of.values())] for row, of in play["payoffs"].items()]
    wrong, config = play["wrong_rival"], TASKS[found["settings"]["task"]]
    cost = [[*pair.split(" for "), percent(value)] for pair, value in wrong["cost"].items()]
    whose = "the team, per agent" if config.reward.sharing == 1 else "the first agent"
    best = ", ".join(f"`{answer}` against `{rival}`" for rival, answer in wrong["best"].items())
    four = {name: spread(play[name]) for name in ("T", "R", "P", "S", "T-R", "P-S")}
    return "\n\n".join(
        [
            f"If all agents play `{play['team']}` each earns R = {four['R']}, if all play `{play['selfish']}` "
            f"P = {four['P']}. A lone `{play['selfish']}` among `{play['team']}` gets T = {four['T']}, a lone "
            f"`{play['team']}` among `{play['selfish']}` S = {four['S']}. T − R is {four['T-R']} and P − S "
            f"{four['P-S']}: {game(play)}.",
            f"Reward of {whose}, by the policy of the first agent (row) and of all others (column):",
            markdown(["", *(f"`{rival}`" for rival in play["payoffs"])], payoffs),
            f"The best replies known are {best}.",
            measured.folded(
                "Loss from best-responding to the wrong rival, for each pair",
                markdown(["reply to", "against", "loss"], cost),
            ),
            f"Price of anarchy: {_anarchy_text(play)}.",
        ]
    )


def game(play: Mapping[str, Any]) -> str:
    """What kind of game the payoffs T, R, P and S make, as far as their intervals tell."""
    signs = tuple(_sign(play[difference]) for difference in ("T-R", "P-S"))
    kinds = {
        (1, 1): "a prisoner's dilemma",
        (-1, 1): "a stag hunt",
        (-1, -1): "cooperating pays whatever the others do",
        (1, -1): "a game of chicken",
    }
    return kinds.get(signs, "these episodes do not tell what kind of game that is")


def _sign(value: Mapping[str, float | None]) -> int:
    """The sign of a mean; 0 if its interval contains 0."""
    mean, width = value["mean"], value["ci95"]
    return 0 if mean is None or width is None or abs(mean) <= width else int(np.sign(mean))


def _anarchy_text(play: Mapping[str, Any]) -> str:
    found = play["anarchy"]
    if "missing" in found:
        return str(found["missing"])
    return (
        f"all playing `{found['policy']}`, an equilibrium among the policies tried, earn {percent(found)} of what all "
        f"playing `{found['optimum']}` earn"
    )


def exact_solution(found: Mapping[str, Any]) -> str:
    """A finite game's optimum and equilibria, and how far policies are from one."""
    if "missing" in found:
        return f"Not a finite game: {found['missing']}."
    best = found["optimum"]
    rows = [["team optimum", " ".join(best["policies"]), f"{best['individual_reward']:.4f}", ""]]
    for each in found.get("equilibria", ()):
        kinds = ", ".join(kind for kind in ("strict", "symmetric") if each[kind])
        rows.append(["equilibrium", " ".join(each["policies"]), numbers(each["individual_reward"]), kinds])
    text = [
        "The table shows individual reward per agent and tick in the long run. A policy names an action for each "
        f"state: {', '.join(found['states'])}. The equilibria are all those in pure stationary strategies of these "
        "states (Markov perfect equilibria).",
        markdown(["", "policies", "reward", ""], rows),
    ]
    if "anarchy" in found:
        text.append(f"Price of anarchy {found['anarchy']:.3f}, of stability {found['stability']:.3f}.")
    placed = [
        [f"`{row['name']}`", numbers(row["individual_reward"]), number(row["nash_conv"])]
        for row in found["policies"]
        if "missing" not in row
    ]
    return "\n\n".join([*text, markdown(["policy, as a team", "reward", "NashConv"], placed)])
