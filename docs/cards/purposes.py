"""What single tasks were made to show, and whether the stored results show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import measured
import numpy as np
from crowds import TASK_SIZE
from worlds_for_models import scores_of_playlist

from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tables import markdown

from .values import percent, team_gain

RANKERS = ("static", "searched-static", "searched-state")  # linear rankers of candidates' features


class Shown(NamedTuple):
    """One property that a task was made for."""

    what: str
    said: str
    met: bool | None  # None: not decided
    why: str = ""


def purpose_of(task: str) -> str:
    """A table of what the task was made to show; empty for a task without such properties."""
    if task not in PURPOSES:
        return ""
    try:
        found = list(PURPOSES[task]())
    except measured.NotMeasured as missing:
        return str(missing)
    words = {True: "yes", False: "no", None: "not decided"}
    rows = [[shown.what, shown.said, words[shown.met], shown.why] for shown in found]
    table = markdown(["the task was made so that", "measured", "holds", "why"], rows)
    return f"{table}\n\nA gain holds if its estimate reaches what is asked for and its interval lies above 0.\n"


def _reaches(gain: dict[str, Any], least: float) -> tuple[str, bool | None]:
    """A gain in words, and whether it is at least this with an interval above 0; not decided if 0 lies within."""
    if gain["mean"] is None or gain["ci95"] is None:
        return percent(gain), None
    above = gain["mean"] - gain["ci95"] > 0
    return percent(gain), gain["mean"] >= least if above else None


_SEQUENCES = "a network that sees what a visitor consumed last scores at least 70, and more than policies that do not"


def _best_ranker(task: str) -> tuple[str, float]:
    """The linear ranker that scores most on a task, and its score."""
    rows = measured.evidence(task)["rows"]
    return max(((name, float(rows[name]["score"])) for name in RANKERS if name in rows), key=lambda row: row[1])


def _rankers(task: str) -> Shown:
    best, score = _best_ranker(task)
    what = "none of the linear rankers of the candidates' features that were tried scores more than 50 of 100"
    return Shown(what, f"`{best}` {score:.0f}, the best of them", score <= 50)


def _bundle() -> Iterator[Shown]:
    yield _rankers("bundle-v0")
    result, rows = measured.stored("partners"), measured.evidence("bundle-v0")["rows"]
    bundle, learned, gains = result["scripted"]["bundle-v0"], result["learned"], result["gains of learners"]
    if {"own bundle", "shared bundle"} <= set(learned):
        low, high = rows["random"]["mean"], rows["planner"]["mean"]
        own, shared = (
            100 * (measured.rewards_of_seeds(learned[f"{case} bundle"]).mean() - low) / (high - low)
            for case in ("own", "shared")
        )
        best, score = _best_ranker("bundle-v0")
        why = (
            "Partners lie in other departments, whose sales it does not see. With shared histories it scores "
            f"{shared:.0f}."
        )
        said = f"`ppo-torch` with attention {own:.0f}, `{best}` {score:.0f}"
        met = own >= 70 and own > score
        yield Shown(_SEQUENCES, said, met, "" if met else why)
    yield Shown(
        "shared histories earn `observer` at least 40 % more", *_reaches(bundle["gains"]["shared histories"], 0.4)
    )
    if "shared histories" in gains:
        what = "shared histories earn a trained network at least 25 % more"
        yield Shown(what, *_reaches(gains["shared histories"], 0.25))
    if "words" in gains:
        what = "a learner that hears two departments that tell what they sold earns at least 15 % more than a deaf one"
        yield Shown(what, *_reaches(gains["words"], 0.15))
    lost = {agent: -of["team"]["mean"] for agent, of in bundle["not followed"].items()}
    least = min(lost, key=lambda agent: lost[agent])
    cost = {"mean": lost[least], "ci95": bundle["not followed"][least]["team"]["ci95"]}
    what = "any department that does not follow up costs the team at least 10 %"
    yield Shown(what, f"{_reaches(cost, 0.1)[0]}, the least, by `{least}`", _reaches(cost, 0.1)[1])


def _playlist() -> Iterator[Shown]:
    yield _rankers("playlist-v0")
    scores = scores_of_playlist(measured.stored("partners"))

    def low(name: str) -> float:
        return scores[name]["score"] - scores[name]["score_ci95"]

    def high(name: str) -> float:
        return scores[name]["score"] + scores[name]["score_ci95"]

    others = [name for name in scores if name not in ("ppo-torch", "greedy", "observer", "sasrec")]
    if "ppo-torch" in scores:
        score, next_best = scores["ppo-torch"]["score"], max(others, key=high)
        said = f"`ppo-torch` with attention {score:.0f}, `{next_best}` {scores[next_best]['score']:.0f}"
        yield Shown(_SEQUENCES, said, score >= 70 and low("ppo-torch") > high(next_best))
    if "sasrec" in scores:
        met = low("sasrec") > high("content")
        why = "It begins with nothing and learns while it serves. How much that explains was not measured."
        said = f"{scores['sasrec']['score']:.0f} and {scores['content']['score']:.0f}"
        yield Shown("`sasrec` scores more than `content`", said, met, "" if met else why)


def _auction() -> Iterator[Shown]:
    rows = measured.evidence("auction-v0")["rows"]
    truthful, pacing = (rows[name]["mean"] for name in ("auction-truthful", "auction-pacing"))
    widths = rows["auction-pacing"]["ci95"], pacing / truthful * rows["auction-truthful"]["ci95"]
    gain = {"mean": pacing / truthful - 1, "ci95": float(np.hypot(*widths)) / truthful}
    yield Shown("pacing earns at least 30 % more than truthful bids do", *_reaches(gain, 0.3))
    play = measured.evidence("auction-v0").get("play", {})
    what = "the joint optimum earns at least 15 % more than an equilibrium does"
    if joint := team_gain(play):
        why = f"All playing `{play['anarchy']['policy']}` is an equilibrium among the policies tried."
        yield Shown(what, *_reaches(joint, 0.15), why)
    else:
        yield Shown(what, "not measured", None, "No equilibrium among the policies tried is known.")
    what = "learners that are paid their own surplus earn what pacing does"
    of = {
        name: row["tasks"]["auction-v0"]["reward"]["mean"]
        for name, row in measured.training()["learners"].items()
        if "auction-v0" in row["tasks"] and "sharing" not in row["settings"]  # a team that is paid together may collude
    }
    if not of:
        yield Shown(what, "not measured", None)
        return
    best = max(of, key=lambda name: float(of[name]))
    yield Shown(what, f"`{best}` {of[best]:.1f}, pacing {pacing:.1f}", of[best] >= pacing)


def _creators() -> Iterator[Shown]:
    result = measured.stored("crowds")
    row, learned = result["scripted"]["payoffs"][TASK_SIZE], result["learned"]
    p, r, cost = row["P"]["mean"], row["R"]["mean"], row["cost"]
    if selfish := learned.get(f"selfish {TASK_SIZE}"):
        ends = interval(measured.rewards_of_seeds(selfish) / p - 1)
        near = None if ends["ci95"] is None else abs(ends["mean"]) <= 0.2
        yield Shown("selfish learners end within 20 % of what all earn if all bait", f"{percent(ends)} away", near)
    team = measured.training()["learners"].get("ppo-torch-team", {"tasks": {}})["tasks"].get("creators-v0")
    if team and team["reward"]["ci95"] is not None:
        share = {name: value / r for name, value in team["reward"].items()}
        decided = abs(share["mean"] - 0.5) > share["ci95"]
        what = "a team of learners earns more than half of what honest creators do"
        yield Shown(what, f"{percent(share)} by `ppo-torch-team`", share["mean"] > 0.5 if decided else None)
    gain = result["gain of one network"]
    what = "a team with one network for all earns at least 20 % more than one with a network for each"
    seeds = min(len(learned.get(name, ())) for name in ("team", "separate"))
    said, met = _reaches(gain, 0.2)
    yield Shown(what, said, met) if met is not None else Shown(what, f"{seeds} seeds of each, too few", None)
    least = min(cost, key=lambda others: float(cost[others]["mean"]))
    yield Shown("the best answer to another population costs at least 5 %", *_reaches(cost[least], 0.05))


PURPOSES: dict[str, Callable[[], Iterator[Shown]]] = {
    "bundle-v0": _bundle,
    "playlist-v0": _playlist,
    "auction-v0": _auction,
    "creators-v0": _creators,
}
