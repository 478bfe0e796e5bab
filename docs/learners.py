"""What the documentation says of the learners: their tables, over all tasks and on one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import measured
import numpy as np

from baselines.algorithms import ALGORITHMS
from baselines.learners import LEARNERS, chosen, read_sweep
from baselines.sweep import defaults
from recsys_env import SUITES
from recsys_env.evaluation.tables import markdown, spread

# Options in which reference learners of an algorithm differ.
_VARIED = ("gamma", "memory", "centralised", "mixer")


def table() -> str:
    """The normalised scores of each learner, a table for each suite, with the reward that it learns from, what it is
    given beyond its observations, and its budget; and what `blind` and `static` score there."""
    report = measured.training()
    if not report["learners"]:
        raise measured.NotMeasured("training")
    hours = sum(row["core_hours"] for learner in report["learners"].values() for row in learner["tasks"].values())
    note = (
        "Normalised scores on each task's scale: mean of the training seeds (lowest to highest), measured on ten times "
        "as many episodes as an evaluation while training, on other seeds. Where each agent is paid for itself, the "
        "last policy is the score, because the best evaluation of several selfish agents is their most collusive one. "
        "Where all are paid the same, the policy that was best in an evaluation is measured, and the last one behind "
        "the stroke. The column *given* names what training uses beyond the observations of each learner. "
        f"All runs together took {hours:.1f} core-hours. {measured.foot_of_training()}"
    )
    return "\n\n".join([note, *filter(None, map(_suite, SUITES))])


def _suite(suite: str) -> str:
    """The scores of the learners on the tasks of a suite; nothing if there are none."""
    learners = measured.training()["learners"]
    there = [task for task in SUITES[suite].tasks if any(task in learner["tasks"] for learner in learners.values())]
    if not there:
        return ""
    rows = [
        [
            f"`{policy}`",
            "",
            "",
            what,
            "",
            *(of_seeds(measured.placed(task, [measured.earned(task).get(policy)]), 0) for task in there),
        ]
        for policy, what in (("blind", "looks at nothing: the first K candidates"), ("static", "fixed weights"))
    ]
    for name, learner in learners.items():
        of = {task: learner["tasks"][task] for task in there if task in learner["tasks"]}
        if not of:
            continue
        steps = next(iter(of.values()))["agent_steps"]
        reward = {None: "task's", 0.0: "own", 1.0: "team's"}[learner["settings"].get("sharing")]
        scores = [_score(task, of[task]) if task in of else "" for task in there]
        given = ", ".join(learner["given"]) or "nothing"
        rows.append([f"`{name}`", reward, given, _variant(learner), f"{steps / 1e6:.1f} M", *scores])
    head = ["learner", "reward", "given", "variant", "agent-steps", *(f"`{task}`" for task in there)]
    return f"### {SUITES[suite].title}\n\n{markdown(head, rows)}"


def _score(task: str, row: Mapping[str, Any]) -> str:
    """The score of a learner on a task; where the best policy was kept, that of the last one, too."""
    kept, last = (measured.placed(task, row["runs"][which]) for which in ("trained", "last"))
    return of_seeds(kept, 0) + (f" / {np.mean(last):.0f}" if row["kept"] == "best" and last else "")


def comparisons() -> str:
    """Which learners of a library differ at equal agent-steps and at equal processor time, in words and as a table."""
    found = measured.comparisons()
    if not found:
        raise measured.NotMeasured("training")
    rows = [
        [
            f"`{c.task}`",
            f"`{c.one}` - `{c.other}`",
            f"{c.agent_steps / 1e6:.1f} M",
            spread(c.at_steps),
            f"{c.seconds:.0f} s",
            spread(c.at_seconds),
            f"`{c.better}`" if c.better else "neither",
        ]
        for c in found
    ]
    note = (
        "Differences of individual reward per learner and episode, paired by training seed, ± 95 %; the intervals of "
        "all pairs of a library on a task hold together (Bonferroni). What a run has reached by a limit is the mean of "
        "its last three evaluations until then. Where each agent is paid for itself, these differences tell who "
        "cooperates or colludes more, and not who learns better. Learners of different libraries are not compared. "
        f"{measured.foot_of_training()}"
    )
    first = f"{sum(bool(c.better) for c in found)} of {len(found)} pairs are separated by both views."
    head = ["task", "learners", "agent-steps", "difference", "processor time", "difference", "earns more"]
    return "\n\n".join([first, measured.folded("All pairs", markdown(head, rows)), note])


def sweep() -> str:
    """What the sweeps chose for each learner and task, and what they cost."""
    learners = read_sweep(stored := measured.RESULTS / "sweep.json")
    if not learners:
        raise measured.NotMeasured("sweep")
    every = [row for rows in learners.values() for row in rows.values()]
    runs = [run for row in every for round_ in row["rounds"] for run in round_["runs"]]
    hours = sum(run["processor_seconds"] for run in runs) / 3600
    steps = [f"{steps / 1e6:.1f}" for steps in sorted({row["agent_steps"] for row in every})]
    tasks = list(dict.fromkeys(task for rows in learners.values() for task in rows))
    best = {
        name: {task: _changed(defaults(LEARNERS[name]), chosen(stored, name, task)) for task in rows}
        for name, rows in learners.items()
    }
    table = [[f"`{name}`", *(_chosen(of.get(task)) for task in tasks)] for name, of in best.items()]
    changed = sum(bool(settings) for of in best.values() for settings in of.values())
    note = (
        f"{changed} of {len(every)} sweeps chose something else than the defaults. They took {len(runs)} runs of "
        f"{' or '.join(steps)} million agent-steps and {hours:.1f} core-hours. Raw: "
        "`benchmarks/results/sweep.json`."
    )
    return f"{note}\n\n{markdown(['learner', *(f'`{task}`' for task in tasks)], table)}"


def _changed(usual: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not the defaults."""
    return {name: value for name, value in settings.items() if value != usual[name]}


def _chosen(settings: Mapping[str, Any] | None) -> str:
    """What a sweep chose; nothing if there was none."""
    if settings is None:
        return ""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in settings.items()) or "defaults"


def _variant(learner: Mapping[str, Any]) -> str:
    """How the task that a learner plays differs from the task by its name."""
    settings = learner["settings"]
    words = [
        "queries" if getattr(ALGORITHMS[learner["algorithm"]], "queries", False) else "",
        *(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if name in _VARIED),
        *settings.get("set", ()),
    ]
    return ", ".join(filter(None, words))


def algorithms() -> str:
    """List what can be trained and why it is there."""
    lines = []
    for name, kind in ALGORITHMS.items():
        about = re.sub(r"--[\w-]+", r"`\g<0>`", kind.about())  # options
        lines.append(f"- `{name}` ({kind.library.replace('_', '-')}): {about}. {kind.reason}")
    return "\n".join(lines)


def on_task(task: str, trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Every learner on one task, with what it gained."""
    rows = []
    for name, row in trained.items():
        runs = row["runs"]
        each = " ".join(f"{reward:.2f}" for reward in runs["trained"])
        means = [f"{np.mean(runs[kind]):.2f}" for kind in ("trained", "last", "gain")]
        cost = [f"{row['agent_steps'] / 1e6:.1f} M", f"{row['seconds'] / 60:.1f}"]
        rows.append([f"`{name}`", each, *means, of_seeds(measured.placed(task, runs["trained"])), *cost])
    head = ["learner", "reward of each seed", "mean", "of the last", "gain", "score"]
    note = (
        "Learners: individual reward per learner and episode on seeds never trained on, of the policy of each training "
        "seed that is its score (the last one, or the best where all are paid the same), their mean, that of the last "
        "policies, gain over the untrained network, normalised score"
    )
    return f"{note}; mean (lowest to highest).\n\n{markdown([*head, 'agent-steps', 'minutes'], rows)}"


def of_seeds(values: Sequence[float], digits: int = 2) -> str:
    """mean (lowest to highest) of a value for each seed; nothing if there is none."""
    if not len(values):
        return ""
    rounded = [round(float(value), digits) + 0.0 for value in (np.mean(values), min(values), max(values))]  # no -0
    mean, low, high = (f"{value:.{digits}f}" for value in rounded)
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"
