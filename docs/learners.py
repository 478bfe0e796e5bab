"""What the documentation says of the learners: their tables, over all tasks and on one, and the claims."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import measured
import numpy as np
import suites
from claims import verdict

from baselines.algorithms import ALGORITHMS
from recsys_env import SUITES, TASKS
from recsys_env.evaluation.tables import markdown, spread

# Options in which reference learners of an algorithm differ.
_VARIED = ("gamma", "memory", "centralised", "mixer")


def table() -> str:
    """What each learner learns from and plays, its budget, and its normalised scores on the tasks of each suite; and
    what `blind` and `static` score there."""
    report = measured.training()
    if not report["learners"]:
        raise measured.NotMeasured("training")
    note = (
        "Normalised scores on each task's scale: mean of the training seeds (lowest to highest). Of each run the "
        "policy that was best in an evaluation while training is measured, on ten times as many other episodes. All "
        "see the same; the budget is that of on-policy or of off-policy algorithms, of `generative` less. Rows differ "
        "in the reward that "
        "they learn from (the task's is each agent's own, in `coverage-v0` the team's). "
        f"{measured.whence(report['origin'], 'training/')}"
    )
    return "\n\n".join([note, *(text for suite in SUITES for text in _of_suite(suite, report["learners"]))])


def _of_suite(suite: str, learners: Mapping[str, Any]) -> list[str]:
    """The heading and the table of a suite, and who scores above 100; nothing where no learner was trained."""
    trained = {task for learner in learners.values() for task in learner["tasks"]}
    tasks = [task for task in SUITES[suite].tasks if task in trained]
    if not tasks:
        return []
    rows = [
        [
            f"`{policy}`",
            "",
            what,
            "",
            *(of_seeds(measured.placed(task, [measured.earned(task).get(policy)]), 0) for task in tasks),
        ]
        for policy, what in (("blind", "looks at nothing: the first K candidates"), ("static", "fixed weights"))
    ]
    for name, learner in learners.items():
        if not learner["tasks"].keys() & set(tasks):
            continue
        steps = next(iter(learner["tasks"].values()))["agent_steps"]
        reward = {None: "task's", 0.0: "own", 1.0: "team's"}[learner["settings"].get("sharing")]
        runs = [learner["tasks"].get(task, {"runs": {"trained": ()}})["runs"]["trained"] for task in tasks]
        scores = [of_seeds(measured.placed(task, of), 0) for task, of in zip(tasks, runs, strict=True)]
        rows.append([f"`{name}`", reward, _variant(learner), f"{steps / 1e6:.1f} M", *scores])
    head = ["learner", "reward", "variant", "agent-steps", *(f"`{task}`" for task in tasks)]
    above = filter(None, (suites.above_hundred(task, suites.scores_of_learners(task)) for task in tasks))
    return [f"### {SUITES[suite].title}", markdown(head, rows), *above]


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
    """List what can be trained and why it is there, and show what the reference runs on `ecommerce-v1` gained."""
    lines = []
    for name, kind in ALGORITHMS.items():
        about = re.sub(r"--[\w-]+", r"`\g<0>`", kind.about())  # options
        lines.append(f"- `{name}` ({kind.library.replace('_', '-')}): {about}. {kind.reason}")
    listed = "\n".join(lines)
    report = measured.training()
    if not report["learners"]:
        return f"{listed}\n\nWhat they gain: {measured.NotMeasured('training')}"
    random, rows = measured.earned("ecommerce-v1").get("random"), []
    for name in ALGORITHMS:
        if row := report["learners"].get(name, {"tasks": {}})["tasks"].get("ecommerce-v1"):
            rows.append(
                [
                    f"`{name}`",
                    f"{random:.2f}" if random else "",
                    of_seeds(row["runs"]["untrained"]),
                    of_seeds(row["runs"]["trained"]),
                    f"{row['agent_steps'] / 1e6:.1f} M",
                    f"{row['agent_steps'] / row['seconds']:,.0f}",
                    f"{row['environment_share']:.0%}",
                ]
            )
    note = (
        "The table shows what the reference runs on `ecommerce-v1` gained: individual reward per learner and episode "
        "of random play, of the untrained network's first choices, and of the trained network, as the mean of the "
        "training seeds (lowest to highest). Time outside the environment is spent in the learner's own loop. Several "
        "runs shared the machine, each on one thread, so the speeds are lower bounds. "
        f"{measured.whence(report['origin'], 'training/')}"
    )
    head = ["algorithm", "random", "untrained", "trained", "agent-steps", "agent-steps/s", "inside the environment"]
    return f"{listed}\n\n{note}\n\n{markdown(head, rows)}"


def on_task(task: str, trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Every learner on one task, with what it gained."""
    between = {name: _between_p_and_r(task, name, row) for name, row in trained.items()}
    rows = []
    for name, row in trained.items():
        runs = row["runs"]
        each = " ".join(f"{reward:.2f}" for reward in runs["trained"])
        means = [f"{np.mean(runs[kind]):.2f}" for kind in ("trained", "last", "gain")]
        cost = [f"{row['agent_steps'] / 1e6:.1f} M", f"{row['seconds'] / 60:.1f}"]
        dilemma = [between[name]] if any(between.values()) else []
        rows.append([f"`{name}`", each, *means, of_seeds(measured.placed(task, runs["trained"])), *dilemma, *cost])
    head = ["learner", "reward of each seed", "mean", "of the last", "gain", "score"]
    head += ["between P and R"] if any(between.values()) else []
    note = (
        "Learners: individual reward per learner and episode on seeds never trained on, of the best policy of each "
        "training seed, their mean, that of the last policies, gain over the untrained network, normalised score"
    )
    if any(between.values()):
        note += ", and for selfish learners where they stand between all selfish (P = 0) and all cooperating (R = 1)"
    return f"{note}; mean (lowest to highest).\n\n{markdown([*head, 'agent-steps', 'minutes'], rows)}"


def of_seeds(values: Sequence[float], digits: int = 2) -> str:
    """mean (lowest to highest) of a value for each seed; nothing if there is none."""
    if not len(values):
        return ""
    mean, low, high = (f"{value:.{digits}f}" for value in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def _between_p_and_r(task: str, name: str, row: Mapping[str, Any]) -> str:
    """Where a learner of its own reward stands in a dilemma (`benchmarks.studies.evidence`); nothing elsewhere."""
    settings, payoffs = measured.training()["learners"][name]["settings"], measured.evidence(task).get("play", {})
    own = TASKS[task].reward.sharing == 0 and not {"sharing", "observability"} & settings.keys()
    if not own or not {"R", "P"} <= payoffs.keys():
        return ""
    r, p = payoffs["R"], payoffs["P"]
    if r["mean"] - p["mean"] <= r["ci95"] + p["ci95"]:
        return ""
    return of_seeds((np.array(row["runs"]["trained"]) - p["mean"]) / (r["mean"] - p["mean"]))


def claims() -> str:
    """Each claim, how often it holds, and the differences it rests on."""
    rows = []
    for suite in SUITES:
        for claim, found in suites.claims_of(suite):
            said = [f"`{task}` {'+' * ((gain['mean'] or 0) > 0)}{spread(gain)}" for task, gain in found.items()]
            rows.append([claim, f"`{suite}`", verdict(found), ", ".join(said)])
    if not rows:
        raise measured.NotMeasured("evaluation")
    note = (
        "Differences of individual reward per agent and episode, paired by seed, ± 95 % (none: a single seed, which "
        "decides nothing); where the best of several is shown, its interval is that of all of them together "
        "(Bonferroni)."
    )
    return f"{note}\n\n{markdown(['claim', 'suite', 'tasks', 'difference'], rows)}"
