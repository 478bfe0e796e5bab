"""The aims: properties that tasks should have, and which task has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import measured
import numpy as np

from benchmarks.studies.evidence import priced_planners
from recsys_env import TASKS
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tables import markdown

from .learners import options, pairs, trained
from .values import Gain, percent, team_gain


class Found(NamedTuple):
    """The measurement of an aim in a task."""

    said: str  # with the policies compared and the interval
    met: bool
    number: str  # the estimate alone, for a narrow cell


class Aim(NamedTuple):
    """A property that tasks should have."""

    name: str
    what: str
    finds: Callable[[str], Found | None]  # of a task; None: not measured


def table_of_aims() -> str:
    """A grid of all tasks and aims, then what each aim asks for and in how many tasks it is met."""
    found = {task: {aim.name: aim.finds(task) for aim in AIMS} for task in TASKS}
    grid = [
        [f"[{task.rpartition('-v')[0]}](_generated/tasks/{task}.md#evidence)", *map(_mark, of.values())]
        for task, of in found.items()
    ]
    rows = []
    for aim in AIMS:
        of = [said for task in TASKS if (said := found[task][aim.name])]
        rows.append([aim.name, aim.what, f"{sum(said.met for said in of)} of {len(of)}"])
    return "\n\n".join(
        [
            "Each cell shows the measured gain, ✓ where it meets the aim and ✗ where it misses it; an empty cell is "
            "not measured. The page of a task shows the policies and intervals behind its row.",
            markdown(["task", *(aim.name for aim in AIMS)], grid),
            markdown(["", "aim", "met by tasks"], rows),
        ]
    )


def _mark(found: Found | None) -> str:
    return f"{'✓' if found.met else '✗'} {found.number}" if found else ""


def aims_of(task: str) -> str:
    """The measurements of all aims in one task."""
    found = [(aim, said) for aim in AIMS if (said := aim.finds(task))]
    rows = [[aim.name, aim.what, said.said, "yes" if said.met else "no"] for aim, said in found]
    note = (
        f"The task meets {sum(said.met for _, said in found)} of the {len(found)} [aims](../../challenge.md) that are "
        "measured in it."
    )
    return f"{note}\n\n{markdown(['', 'aim', 'measured', 'met'], rows)}"


def _blind(task: str) -> Found | None:
    rows = measured.evidence(task).get("rows", {})
    blind, low = rows.get("blind", {}), rows.get("random", {})
    if TASKS[task].action not in ("candidates", "items") or blind.get("score") is None or low.get("score") is None:
        return None
    apart = blind["score"] - low["score"]
    near = abs(apart) <= 3
    return Found(f"{apart:+.1f}", near, f"{round(apart):+d}")


def _state_gain(task: str) -> Found | None:
    best = measured.evidence(task).get("state", {})
    if "gain" not in best:
        return None
    oracle, observed = f"`{best['policy']}` {percent(best['gain'])}", best["observed"]
    gains = _leads(task, best["fixed_reward"])
    if "gain" in observed:
        gains[f"`{observed['policy']}`"] = observed["gain"]
    found = _best(gains, 0.15)
    if found is None:
        return Found(oracle, False, "")
    beside = f", {oracle}" if observed.get("policy") != best["policy"] else ""
    return found._replace(said=found.said + beside)


def _wrong_rival(task: str) -> Found | None:
    found = measured.evidence(task)
    if losses := found.get("exact", {}).get("against", {}).get("loss"):
        lost = np.array(losses)
        return _exactly(float(np.minimum(lost, lost.T).max()), 0.05)
    wrong = found.get("play", {}).get("wrong_rival", {})
    if not wrong.get("reverse"):
        return None
    both = {pair: _reaches(wrong["cost"][pair], 0.05) for pair in (wrong["costliest"], wrong["reverse"])}
    least = min(both, key=lambda pair: wrong["cost"][pair]["mean"])
    said = "; ".join(f"{pair} {found.said}" for pair, found in both.items())
    return Found(said, all(found.met for found in both.values()), both[least].number)


def _anarchy(task: str) -> Found | None:
    found = measured.evidence(task)
    if (share := found.get("exact", {}).get("anarchy")) is not None:
        return _exactly(1 / share - 1 if share > 0 else np.inf, 0.1)
    play = found.get("play", {})
    gain = team_gain(play)
    if gain is None or ("priced" not in play and priced_planners(TASKS[task])):
        return None
    return _reaches(gain, 0.1)


def _pair_gain(setting: str, least: float) -> Callable[[str], Found | None]:
    def finds(task: str) -> Found | None:
        gains = {f"`{one}` / `{other}`": gain for one, other, gain in pairs(task, setting)}
        scripted = measured.evidence(task).get("memory", {}).get(setting)
        if scripted and scripted["without"] != "forgetful":
            gains |= _scripted(scripted)
        return _best(gains, least)

    return finds


def _inputs_gain(task: str) -> Found | None:
    scripted = measured.evidence(task).get("memory", {}).get("memory")
    return _best(_scripted(scripted), 0.1) if scripted and scripted["without"] == "forgetful" else None


def _scripted(pair: Mapping[str, Any]) -> dict[str, Gain]:
    return {f"`{pair['with']}` / `{pair['without']}`": pair["gain"]}


def _algorithms_differ(task: str) -> Found | None:
    pairs = [comparison for comparison in measured.comparisons() if comparison.task == task]
    if not pairs:
        return None
    separated = [f"`{pair.one}` / `{pair.other}`: `{pair.better}`" for pair in pairs if pair.better]
    number = f"{len(separated)} of {len(pairs)}"
    return Found(f"{number} pairs are separated" + ", ".join(["", *separated]), bool(separated), number)


def _learner_leads(task: str) -> Found | None:
    rows = measured.evidence(task).get("rows", {})
    bars = {name: rows[name] for name in ("blind", "content", "static") if "mean" in rows.get(name, {})}
    if not bars:
        return None
    bar = max(bars, key=lambda name: float(bars[name]["mean"]))
    return _best({f"{name} / `{bar}`": gain for name, gain in _leads(task, bars[bar]).items()})


def _leads(task: str, bar: Mapping[str, float]) -> dict[str, Gain]:
    """Share by which each learner exceeds what a policy earned; their intervals hold together."""
    of = {
        f"`{name}`": np.array(row["runs"]["trained"])
        for name, learner, row in trained(task)
        if "observability" not in options(learner)
    }
    return {name: _lead(runs, bar, len(of)) for name, runs in of.items()}


def _lead(runs: np.ndarray, bar: Mapping[str, float], among: int) -> Gain:
    """Share by which a learner's runs exceed what a policy earned on other episodes, with the delta method's interval;
    one of so many, as in `gain_over`."""
    ours = interval(runs, among)
    if bar["mean"] <= 0 or ours["mean"] is None:
        return {"mean": None, "ci95": None}
    over = ours["mean"] / bar["mean"]
    width = None if ours["ci95"] is None else float(np.hypot(ours["ci95"], over * bar["ci95"])) / bar["mean"]
    return {"mean": over - 1, "ci95": width}


def _best(gains: Mapping[str, Gain], least: float = 0.0) -> Found | None:
    """The largest of some gains whose intervals hold together; only gains that reach the aim count if any does."""
    known = {name: gain for name, gain in gains.items() if gain["mean"] is not None}
    if not known:
        return None
    reached = {name: _reaches(gain, least) for name, gain in known.items()}
    best = max(known, key=lambda name: (reached[name].met, known[name]["mean"]))
    return reached[best]._replace(said=f"{best} {reached[best].said}")


def _reaches(gain: Gain, least: float) -> Found:
    """An aim is met where the gain is at least this and its interval lies above 0."""
    mean, width = gain["mean"], gain["ci95"]
    return Found(
        percent(gain), mean is not None and width is not None and mean >= least and mean - width > 0, _in_percent(mean)
    )


def _exactly(gain: float, least: float) -> Found:
    """The same for a gain that is known exactly."""
    return Found(percent({"mean": gain, "ci95": None}), gain >= least, _in_percent(gain))


def _in_percent(mean: float | None) -> str:
    return "" if mean is None or np.isinf(mean) else f"{round(100 * mean)} %"


AIMS: Sequence[Aim] = (
    Aim("blind", "`blind` scores within 3 of `random`, where actions are picks or items", _blind),
    Aim("state", "The best policy that looks at the state earns at least 15 % more than `static`", _state_gain),
    Aim("rivals", "The best reply to each of two rivals loses at least 5 % against the other", _wrong_rival),
    Aim("foresight", "A discount of 0 costs at least 15 %", _pair_gain("gamma", 0.15 / 0.85)),  # as a gain over it
    Aim("team", "The joint optimum earns at least 10 % more than the equilibrium", _anarchy),
    Aim("memory", "A policy's own memory gains at least 10 %", _pair_gain("memory", 0.10)),
    Aim("history", "A ranker gains at least 10 % by a visitor's earlier clicks", _inputs_gain),
    Aim("messages", "Messages gain at least 10 %", _pair_gain("messages", 0.10)),
    Aim("algorithms", "Two learners of one library are separated", _algorithms_differ),
    Aim("learner", "A learner earns more than `blind`, `content` and `static`", _learner_leads),
)
