"""Which learner earns more than another: within one library, at equal agent-steps and at equal time of the processor.

Two learners of one library are separated on a task if the same one earns more at equal agent-steps and at equal
processor seconds, both beyond their intervals. Learners of different libraries are not compared, because their networks
and the code around them differ, and neither are variants of one learner.

Both views are computed from the evaluations while training, whose policies nobody chose. What a run has reached by a
limit is the mean of its last three evaluations until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from recsys_env.evaluation.statistics import interval

LAST = 3  # evaluations
_ROUNDED_UP = 1.05  # whole rollouts: runs of the same budget end after somewhat different agent-steps
Interval = dict[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """Two learners on a task.

    Attributes:
        task, library: where both were trained, and with what.
        one, other: names of the learners.
        agent_steps, seconds: the limits of the two views: the most that all compared learners of the library reached.
        at_steps, at_seconds: what `one` earns more than `other`, per learner and episode, paired by training seed. The
            intervals of all comparisons of a library on a task hold together (Bonferroni).
    """

    task: str
    library: str
    one: str
    other: str
    agent_steps: int
    seconds: float
    at_steps: Interval
    at_seconds: Interval

    @property
    def better(self) -> str | None:
        """The learner that earns more by both views, beyond both intervals; None if there is none."""
        for name, sign in ((self.one, 1), (self.other, -1)):
            if _sign(self.at_steps) == _sign(self.at_seconds) == sign:
                return name
        return None


def compare(task: str, learners: Mapping[str, Mapping[str, Any]]) -> list[Comparison]:
    """Compare learners on a task.

    Args:
        learners: name -> library, reward ("own", "team"), timesteps of a run and evaluations: training seed ->
            agent_steps, seconds and reward [P], and untrained (reward). Those of the same library, reward and timesteps
            are compared.
    """
    groups: dict[tuple[str, str, int], dict[str, Mapping[int, Mapping[str, Any]]]] = {}
    for name, learner in learners.items():
        group = groups.setdefault((learner["library"], learner["reward"], learner["timesteps"]), {})
        group[name] = learner["evaluations"]
    return [found for (library, _, _), runs in groups.items() for found in _compare_group(task, library, runs)]


def _compare_group(task: str, library: str, runs: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> list[Comparison]:
    every = [run for of in runs.values() for run in of.values()]
    steps, seconds = (min(run[axis][-1] for run in every) for axis in ("agent_steps", "seconds"))
    pairs, found = list(combinations(runs, 2)), []
    for one, other in pairs:
        common = sorted(runs[one].keys() & runs[other].keys())
        if common:
            views = []
            for axis, limit in (("agent_steps", _ROUNDED_UP * steps), ("seconds", seconds)):
                gains = [reached(runs[one][s], axis, limit) - reached(runs[other][s], axis, limit) for s in common]
                views.append(interval(np.array(gains), len(pairs)))
            found.append(Comparison(task, library, one, other, steps, seconds, *views))
    return found


def reached(run: Mapping[str, Any], axis: str, limit: float) -> float:
    """What a run earns by a limit of agent-steps or seconds: the mean of its last evaluations until then, or what the
    untrained policy earns if there was none."""
    rewards: Sequence[float] = [reward for at, reward in zip(run[axis], run["reward"], strict=True) if at <= limit]
    return float(np.mean(rewards[-LAST:])) if rewards else float(run["untrained"])


def _sign(view: Interval) -> int:
    mean, width = view["mean"], view["ci95"]
    return 0 if mean is None or width is None or abs(mean) <= width else int(np.sign(mean))
