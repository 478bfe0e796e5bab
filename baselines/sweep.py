"""Find the values of the optimiser and of exploration that each published learner trains with on a task.

    python -m baselines sweep                                     # all learners of the table that have a sweep
    python -m baselines sweep --only ppo-torch --tasks duel-v1    # some

Every learner has the same number of runs on a task: one with the defaults, and two for each of three options
(`Algorithm.swept`), of which one is changed at a time. Each run plays the same few ticks and has a seed that no
published run has. The settings with which the last policies earn most are those of the published runs
(`learners.chosen`).

Where each agent is paid for itself, what all learners earn together says how far they collude and not how well they
learn. There one learner trains beside agents who play `static`, or the usual background where the task has none
(`popularity`, and on a platform `creators-myopic`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_env import cli
from recsys_env.api.focal import usual_background
from recsys_env.evaluation import compared
from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance, task_digests

from .algorithms import ALGORITHMS
from .jobs import Job, train_all
from .learners import LEARNERS, PUBLISHED, SHORT, SWEEP, ReferenceLearner, budget, read_sweep
from .options import Algorithm, run_name
from .training import RESULT

SEED = 100  # of the runs; no published run has it


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


def changes(learner: ReferenceLearner) -> list[dict[str, float]]:
    """The options that each run of a sweep changes: none, then one at a time."""
    swept = ALGORITHMS[learner.algorithm].swept
    return [{}, *({option: value} for option, values in swept.items() for value in values)]


def partner(learner: ReferenceLearner, task: str) -> str:
    """Who plays beside the one that learns; empty where all learn because they are paid the same."""
    config = learner.training(task).world()
    if config.reward.sharing == 1 or config.num_agents == 1:
        return ""
    return "static" if "static" in compared(config) else usual_background(config)


def agent_steps(learner: ReferenceLearner, task: str) -> int:
    """Agent-steps of a run, in which one agent learns, or all do."""
    return SHORT if partner(learner, task) else budget(task, SHORT)


def run_of(learner: ReferenceLearner, task: str, changed: Mapping[str, float]) -> Algorithm:
    """A run of a sweep."""
    beside = partner(learner, task)
    return learner.training(
        task,
        seed=SEED,
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
    """Train all runs of the sweeps that are not stored yet, and store each sweep when it is complete.

    The file holds learner -> task -> beside (who plays beside the one that learns), agent_steps, rounds. A round has
    defaults (of the options that are swept; null: the task's own) and runs (changed: options that differ from these;
    seed; reward: of the last policy, mean and 95 % interval over episodes; processor_seconds).

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
    stored = read_sweep(result)
    of: dict[Job, tuple[ReferenceLearner, str]] = {}
    runs: dict[Job, dict[str, Any]] = {}  # as they are stored
    for learner, task in swept(only, tuple(cli.tasks_of(tasks))):
        if task not in stored.get(learner.name, {}):
            for index, changed in enumerate(changes(learner)):
                job = Job(run_name(learner.name, task, index), run_of(learner, task, changed))
                of[job], runs[job] = (learner, task), {"changed": changed, "seed": SEED}

    def finished(job: Job, folder: Path) -> None:
        ended = read_json(folder / RESULT)
        runs[job] |= {"reward": ended["last"], "processor_seconds": ended["processor_seconds"]}
        own = [run for other, run in runs.items() if of[other] == of[job]]
        if all("reward" in run for run in own):
            _store(result, *of[job], own)

    train_all(list(of), out, workers, finished)


def _store(result: Path, learner: ReferenceLearner, task: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Add a sweep to the file of the sweeps."""
    stored = {name: dict(rows) for name, rows in read_sweep(result).items()}
    stored.setdefault(learner.name, {})[task] = {
        "beside": partner(learner, task),
        "agent_steps": agent_steps(learner, task),
        "rounds": [{"defaults": defaults(learner), "runs": runs}],
    }
    write_json(
        result, {**provenance(), "played": task_digests(stored), "settings": {"ticks": SHORT}, "learners": stored}
    )
    read_sweep.cache_clear()


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines sweep`."""
    cli.run(sweep, "baselines sweep", argv)
