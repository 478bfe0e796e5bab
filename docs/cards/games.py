"""What a card says of the game that the agents play: payoffs, best replies, prices of planners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import measured
import numpy as np

from benchmarks.studies.evidence import priced_planners
from recsys_env import TASKS, WorldConfig
from recsys_env.evaluation.tables import markdown, spread

from .values import missing, percent


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
            f"The best replies known are {best}. {_costliest(wrong['cost'])}",
            measured.folded(
                "Loss from best-responding to the wrong rival, for each pair",
                markdown(["reply to", "against", "loss"], cost),
            ),
            *_priced(play, config),
            f"Price of anarchy: {_anarchy_text(play)}. Coupling: {_coupling(play)}.",
            *(
                ["{.how}\n" + measured.whence(play["source"], f"evidence/{found['settings']['task']}.json")]
                if "source" in play
                else []
            ),
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


def _costliest(cost: Mapping[str, Any]) -> str:
    """The largest loss from best-responding to the wrong rival."""
    known = {pair: value for pair, value in cost.items() if value["mean"] is not None}
    if not known:
        return ""
    worst = max(known, key=lambda pair: known[pair]["mean"])
    reply, rival = worst.split(" for ")
    return f"The best reply to `{reply}` loses {percent(known[worst])} against `{rival}`, the most of all pairs."


def _priced(play: Mapping[str, Any], config: WorldConfig) -> list[str]:
    """The prices of planners that are equilibria among those tried, and the gain from leaving each price."""
    if not priced_planners(config):
        return []
    if "priced" not in play:
        return ["The prices of `planner` were tried on a coarse grid only, so none is called an equilibrium here."]
    found = play["priced"]
    rows = [
        [
            f"`{mine}`",
            spread(row["reward"]),
            ", ".join(f"`{answer}` {percent(gain)}" for answer, gain in row["gains"].items()),
            "yes" if row["beaten"] else "no",
        ]
        for mine, row in found["prices"].items()
    ]
    return [
        "`planner` pays a price for a visitor's satisfaction, and choosing that price is itself a game. "
        f"{settled(found)} The folded table shows prices as multiples of the task's own (`greedy` pays 0), and what an "
        "agent gains that leaves the price which all others pay: by the best reply known, and by the prices next to "
        "it. A price is beaten if one of these gains is positive beyond its interval.",
        measured.folded(
            "Rewards and gains for each price",
            markdown(["all pay", "individual reward per agent", "gain of one that leaves", "beaten"], rows),
        ),
    ]


def settled(found: Mapping[str, Any]) -> str:
    """Name the prices that nothing beats."""
    runs = [f"`{run[0]}`" if len(run) == 1 else f"`{run[0]}` to `{run[-1]}`" for run in found["unbeaten"]]
    if not runs:
        return "Every price is beaten: none is an equilibrium."
    between = " with all prices in between" if any(" to " in run for run in runs) else ""
    return (
        "Not beaten, and so equilibria among the policies tried as far as these episodes tell: "
        f"{', '.join(runs)}{between}."
    )


def _coupling(play: Mapping[str, Any]) -> str:
    """The coupling in words; unknown if the gain that it is a share of is close to 0."""
    share, selfish = play["coupling"], play["selfish"]
    if share["mean"] is None or share["ci95"] is None or share["ci95"] > max(1.0, abs(share["mean"]) / 2):
        return f"not known, because turning from `random` to `{selfish}` gains an agent next to nothing"
    verb = "loses" if share["mean"] >= 0 else "gains"
    size = percent({"mean": abs(share["mean"]), "ci95": share["ci95"]})
    return (
        f"when the others turn from `random` to `{selfish}`, the first agent {verb} {size} of what it gains by "
        "turning itself"
    )


def _anarchy_text(play: Mapping[str, Any]) -> str:
    found = play["anarchy"]
    if "missing" in found:
        return str(found["missing"])
    return (
        f"all playing `{found['policy']}`, an equilibrium among the policies tried, earn {percent(found)} of what all "
        f"playing `{found['optimum']}` earn"
    )
