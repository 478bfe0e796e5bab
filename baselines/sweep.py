"""Sweeps: which discount, learning rate and exploration each published learner trains with on a task.

    python -m baselines sweep                                     # all learners of the table that have a sweep
    python -m baselines sweep --only ppo-torch --tasks duel-v1    # some

Every learner has the same number of runs on a task. The first round has one run with the defaults, and two for each of
three options (`Algorithm.swept`), of which one is changed at a time. Tasks in `TWO_ROUNDS` have a second round. It
starts from the best value of every option in the first, changes one option at a time again, and plays every setting
with two seeds. Each run plays the same few ticks and has a seed that no published run has. The settings with which the
last policies earn most, in the last round that all learners of a task have, are those of the published runs
(`learners.chosen`). A default is replaced where another value earns more on so many tasks that chance does not explain
it (tests/test_sweep.py).

Where each agent is paid for itself, what all learners earn together says how far they collude and not how well they
learn. There one learner trains beside agents who play `static`, or the usual background where the task has none
(`popularity`, and on a platform `creators-myopic`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from recsys_env import cli
from recsys_env.api.focal import usual_background
from recsys_env.evaluation import compared
from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance

from .algorithms import ALGORITHMS
from .jobs import Job, train_all
from .learners import LEARNERS, PUBLISHED, SHORT, SWEEP, ReferenceLearner, budget, read_sweep
from .options import Algorithm, run_name
from .training import RESULT

SEEDS = ((100,), (101, 102))  # of the runs of each round; no published run has them
TWO_ROUNDS = ("coverage-v0",)  # tasks whose sweeps have a second round


def swept(only: Sequence[str] = (), tasks: Sequence[str] = PUBLISHED) -> list[tuple[ReferenceLearner, str]]:
    """List the sweeps: learners that are not variants of others, if their algorithm has one, on their tasks.

    Raises:
        ValueError: no such learner, or one without a sweep.
    """
    having = {
        name: learner
        for name, learner in LEARNERS.items()
        if learner.like is None and ALGORITHMS[learner.algorithm].swept
    }
    for name in only:
        if name not in having:
            raise ValueError(f"{name!r} is no learner with a sweep; choose one of {', '.join(having)}")
    return [
        (learner, task)
        for name, learner in having.items()
        if not only or name in only
        for task in learner.tasks
        if task in tasks
    ]


def defaults(learner: ReferenceLearner) -> dict[str, Any]:
    """The default of every option that the sweep of a learner varies."""
    kind = ALGORITHMS[learner.algorithm]
    return {option: getattr(kind(), option) for option in kind.swept}


def changes(learner: ReferenceLearner, start: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The options that each run of a round changes.

    Args:
        start: values of options with which the round starts; by default the defaults.

    Returns:
        The changes of the start, then those that differ from it in one option.
    """
    usual = defaults(learner)
    start = {option: value for option, value in (start or {}).items() if value != usual[option]}
    found = [start]
    for option, values in ALGORITHMS[learner.algorithm].swept.items():
        rest = {name: value for name, value in start.items() if name != option}
        if option in start:
            found.append(rest)
        found += [{**rest, option: value} for value in values if value != start.get(option)]
    return found


def best_values(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The best value of every option in the first round of a sweep; an option is left out where its default is best."""
    (default,) = (run["reward"]["mean"] for run in runs if not run["changed"])
    best: dict[str, float] = {}
    earned: dict[str, float] = {}
    for run in runs:
        for option, value in run["changed"].items():
            if run["reward"]["mean"] > earned.get(option, default):
                best[option], earned[option] = value, run["reward"]["mean"]
    return best


def partner(learner: ReferenceLearner, task: str) -> str:
    """Who plays beside the one that learns; empty where all learn because they are paid the same."""
    config = learner.training(task).world()
    if config.reward.sharing == 1 or config.num_agents == 1:
        return ""
    return "static" if "static" in compared(config) else usual_background(config)


def agent_steps(learner: ReferenceLearner, task: str) -> int:
    """Agent-steps of a run, in which one agent learns, or all do."""
    return SHORT if partner(learner, task) else budget(task, SHORT)


def run_of(learner: ReferenceLearner, task: str, changed: Mapping[str, float], seed: int) -> Algorithm:
    """A run of a sweep."""
    beside = partner(learner, task)
    return learner.training(
        task,
        seed=seed,
        timesteps=agent_steps(learner, task),
        evaluations=1,
        eval_episodes=16,
        background=(beside,) if beside else (),
        **changed,
    )


def sweep(
    out: Path = Path("runs/sweep"),
    result: Path = SWEEP,
    workers: int = 2,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = PUBLISHED,
) -> None:
    """Train all runs of the sweeps that are not stored yet, and store each round when it is complete.

    The file holds learner -> task -> beside (who plays beside the one that learns), agent_steps, rounds. A round has
    defaults (of the options that are swept; null: the task's own), runs (changed: options that differ from these; seed;
    reward: of the last policy, mean and 95 % interval over episodes; processor_seconds) and source.

    Args:
        out: folder for the trained policies.
        result: file of the sweeps.
        workers: runs at a time, one core each.
        only: learners; by default all that have a sweep.
        tasks: on which they are trained; the name of a suite stands for all of its tasks.

    Raises:
        ValueError: no such learner or task, or runs that failed.
    """
    cli.at_least(1, workers=workers)
    wanted = swept(only, tuple(cli.tasks_of(tasks)))
    for number in range(len(SEEDS)):
        stored = read_sweep(result)
        waiting = [
            (learner, task)
            for learner, task in wanted
            if (number == 0 or task in TWO_ROUNDS)
            and len(stored.get(learner.name, {}).get(task, {}).get("rounds", ())) == number
        ]
        _train_round(number, waiting, out, result, workers)


def _train_round(
    number: int, sweeps: Sequence[tuple[ReferenceLearner, str]], out: Path, result: Path, workers: int
) -> None:
    """Train a round of these sweeps, and store it for each learner and task when it is complete."""
    of: dict[Job, tuple[ReferenceLearner, str]] = {}
    runs: dict[Job, dict[str, Any]] = {}  # as they are stored
    for learner, task in sweeps:
        stored = read_sweep(result).get(learner.name, {}).get(task)
        before = stored["rounds"][-1] if stored else None
        settings = changes(learner, {**before["defaults"], **best_values(before["runs"])} if before else None)
        for index, (changed, seed) in enumerate(product(settings, SEEDS[number])):
            job = Job(run_name(learner.name, task, number, index), run_of(learner, task, changed, seed))
            of[job] = learner, task
            runs[job] = {"changed": changed, "seed": seed}

    def finished(job: Job, folder: Path) -> None:
        ended = read_json(folder / RESULT)
        runs[job] |= {"reward": ended["last"], "processor_seconds": ended["processor_seconds"]}
        round_ = [run for other, run in runs.items() if of[other] == of[job]]
        if all("reward" in run for run in round_):
            source = {name: ended[name] for name in ("commit", "date", "processor", "versions")}
            _store(result, *of[job], {"defaults": defaults(of[job][0]), "runs": round_, "source": source})

    train_all(list(of), out, workers, finished)


def _store(result: Path, learner: ReferenceLearner, task: str, round_: dict[str, Any]) -> None:
    """Add a round to the file of the sweeps."""
    stored = {name: dict(rows) for name, rows in read_sweep(result).items()}
    rows = stored.setdefault(learner.name, {})
    new = {"beside": partner(learner, task), "agent_steps": agent_steps(learner, task), "rounds": []}
    row = rows.get(task, new)
    rows[task] = {**row, "rounds": [*row["rounds"], round_]}
    write_json(result, {**provenance(), "settings": {"ticks": SHORT}, "learners": stored})
    read_sweep.cache_clear()


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines sweep`."""
    cli.run(sweep, "baselines sweep", argv)
