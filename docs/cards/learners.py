"""What a card says of learners, from their stored results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import measured
import numpy as np

from baselines.algorithms import ALGORITHMS
from benchmarks.studies.distances import in_table, mean
from benchmarks.studies.played import ratio
from recsys_env import TASKS
from recsys_env.cli import assignments
from recsys_env.evaluation.tables import markdown, spread

from .values import Gain, number, percent

COMPARED: dict[str, tuple[str, Callable[[str], float]]] = {  # option -> what it asks, its value on a task by default
    "gamma": ("Discount: the recommended one against 0", lambda task: TASKS[task].discount),
    "memory": ("Memory: with against without", lambda task: 0.0),
    "sharing": ("Reward: the team's against one's own", lambda task: TASKS[task].reward.sharing),
    "messages": ("Messages: talking against not", lambda task: float(TASKS[task].messages > 0)),
}


def learners_of(task: str) -> str:
    rows = [
        [what, f"`{one}` / `{other}`", percent(gain)]
        for setting, (what, _) in COMPARED.items()
        for one, other, gain in pairs(task, setting)
    ]
    learners = trained(task)
    rows += [
        [f"`{name}`, {ALGORITHMS[learner['algorithm']].library.replace('_', '-')}", "", spread(of["reward"])]
        for name, learner, of in learners
    ]
    if not rows:
        return "Not run yet."
    note = f"{measured.best({name: of['reward'] for name, _, of in learners})} earns the most, per agent and episode."
    return "\n\n".join([note, markdown(["what", "learners", "gain, or individual reward"], rows), *_ends(task)])


def _ends(task: str) -> list[str]:
    """What the seeds of each learner earn in a finite game, beside the exact solution."""
    try:
        found = measured.stored("distances")["tasks"][task]
    except (measured.NotMeasured, KeyError):
        return []
    marks = ", ".join(f"{name} {number(row['individual_reward'])}" for name, row in found["landmarks"].items())
    rows = [
        [f"`{name}`", " ".join(f"{own:.3f}" for own in sorted(map(mean, in_table(runs))))]
        for name, runs in found["learners"].items()
    ]
    return [
        f"Exact individual rewards per agent and tick in the long run: {marks}. The table shows what each seed of a "
        "learner earns on the same scale. Raw: `benchmarks/results/distances.json`.",
        markdown(["learner", "reward of each seed"], rows),
    ]


def trained(task: str) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(name, learner, its results on this task) of each learner that played it."""
    learners = measured.training()["learners"]
    return [(name, learner, learner["tasks"][task]) for name, learner in learners.items() if task in learner["tasks"]]


def pairs(task: str, setting: str) -> list[tuple[str, str, Gain]]:
    """Learners that differ in one setting alone, which is 0 for the second, and what the first gains over it, over
    training seeds, with intervals that hold together."""
    found, (_, usual) = [], COMPARED[setting]
    for (a, one, ours), (b, other, theirs) in permutations(trained(task), 2):
        mine, yours = options(one), options(other)
        values = [usual(task) if (value := of.pop(setting, None)) is None else value for of in (mine, yours)]
        if one["algorithm"] == other["algorithm"] and mine == yours and values[0] > values[1] == 0:
            found.append((a, b, ours, theirs))
    return [(a, b, gain_over(ours, theirs, len(found))) for a, b, ours, theirs in found]


def options(learner: Mapping[str, Any]) -> dict[str, Any]:
    """A learner's options, and the fields of the task that it changes, by name."""
    settings = dict(learner["settings"])
    return settings | assignments(settings.pop("set", ()))


def gain_over(ours: Mapping[str, Any], theirs: Mapping[str, Any], among: int) -> Gain:
    """Share by which the reward of one learner exceeds another's, paired by training seed; one of so many gains whose
    intervals hold together."""
    one, other = (
        dict(zip((seed["training"] for seed in of["seeds"]), of["runs"]["trained"], strict=True))
        for of in (ours, theirs)
    )
    seeds = sorted(one.keys() & other.keys())
    left, right = (np.array([of[seed] for seed in seeds]) for of in (one, other))
    return ratio(left - right, right, among)
