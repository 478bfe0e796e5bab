"""Train the learners whose results are published (`learners.py`), as a list of small jobs, two at a time.

    python -m baselines sweep                                  # first: which settings they train with
    python -m baselines reference                              # all of them
    python -m baselines reference --only ppo-torch iql-torch   # some
    python -m baselines reference --marl-eval results.json     # write the stored results in marl-eval's form

Each job is a `python -m baselines train` in a process of its own. Its policy stays in --out. Its result and learning
curve are added to the file of its learner and task (`training_results`), which holds the settings. Jobs whose library
is not installed (BenchMARL's) are left to a run in an environment that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import cli
from recsys_env.checks import unknown
from recsys_env.files import write_json

from . import training_results
from .algorithms import ALGORITHMS
from .comparison import Comparison, compare
from .jobs import Job, train_all
from .learners import LEARNERS, MORE_SEEDS, PUBLISHED, SWEEP, budget, chosen
from .options import run_name
from .training_results import RESULTS, TrainingResults, read


@dataclass(frozen=True)
class ReferenceJob(Job):
    """One seed of a learner on a task.

    Args:
        learner: its name.
        task: with changed fields.
    """

    learner: str
    task: str

    @property
    def file_name(self) -> str:
        """Name of the file with the results of all its seeds."""
        return f"{run_name(self.learner, self.task)}.json"


def jobs(only: Sequence[str] = (), tasks: Sequence[str] = PUBLISHED) -> list[ReferenceJob]:
    """List the jobs of some learners (by default all) on some tasks: seed by seed, learners in the order of the table.

    Raises:
        ValueError: no such learner.
    """
    for name in only:
        if name not in LEARNERS:
            raise ValueError(unknown("learner", name, LEARNERS))
    return [
        ReferenceJob(run_name(name, task, seed), learner.job(task, seed), name, task)
        for seed in range(MORE_SEEDS)
        for name, learner in LEARNERS.items()
        if not only or name in only
        for task in learner.tasks
        if task in tasks and seed in learner.seeds(task)
    ]


def reference(
    out: Path = Path("runs/reference"),
    results: Path = RESULTS,
    workers: int = 2,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = PUBLISHED,
    marl_eval: Path | None = None,
) -> None:
    """Train the reference learners, each job once.

    Args:
        out: folder for the trained policies.
        results: folder of the results; those that are there stay.
        workers: jobs at a time, one core each.
        only: learners to train; by default all.
        tasks: on which they are trained; the name of a suite stands for all of its tasks.
        marl_eval: a file to which the stored results of these jobs are written in marl-eval's form; nothing is trained
            then.

    Raises:
        ValueError: no such learner or task, results of other settings under the name of a job, or jobs that failed.
    """
    cli.at_least(1, workers=workers)
    wanted = jobs(only, tuple(cli.tasks_of(tasks)))
    if marl_eval is not None:
        write_json(marl_eval, training_results.marl_eval(files_of(wanted, results).values()))
        return
    train_missing(wanted, out, results, workers)


def train_missing(wanted: Sequence[ReferenceJob], out: Path, results: Path, workers: int) -> None:
    """Train the jobs whose results are not stored; arguments and errors are those of `reference`."""
    files = files_of(wanted, results)
    todo = [job for job in wanted if job.algorithm.seed not in files[job.file_name].seeds()]
    train_all(todo, out, workers, lambda job, folder: files[job.file_name].add(folder))


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines reference`."""
    cli.run(reference, "baselines reference", argv)


def files_of(wanted: Iterable[ReferenceJob], results: Path) -> dict[str, TrainingResults]:
    """Read the file of each learner and task, or begin a new one.

    Returns:
        `ReferenceJob.file_name` -> the results of all seeds, which may be none.

    Raises:
        ValueError: the file has the results of other settings.
    """
    files: dict[str, TrainingResults] = {}
    for job in wanted:
        path, settings = results / job.file_name, job.algorithm.settings()
        if job.file_name in files:
            continue
        found = read(path) if path.is_file() else TrainingResults(path, job.learner, settings)
        if not job.algorithm.has_settings(found.settings):
            names = [name for name in {**found.settings, **settings} if found.settings.get(name) != settings.get(name)]
            said = ", ".join(f"{name} = {found.settings.get(name)!r}, not {settings.get(name)!r}" for name in names)
            raise ValueError(f"{path} has results of other settings: {said}; remove it, or choose another folder")
        files[job.file_name] = found
    return files


# ------------------------------------------------------------------------------------------------ summary


def training_summary(folder: Path = RESULTS) -> dict[str, Any]:
    """Summarise what every learner earns on every task, over its seeds.

    Args:
        folder: of the results.

    Returns:
        origin; learners: name -> algorithm, settings, like, given (beyond its observations) and tasks: task -> seeds;
        kept ("best" where all learners are paid the same, else "last"); runs: individual reward per learner and episode
        of each seed, of the trained policy (the kept one), the last and the untrained one, and the gain of the trained
        over the untrained one; reward: mean and interval of the trained; agent_steps, seconds, core_hours of all seeds,
        environment_share; evaluations: training seed -> agent_steps, seconds, reward [P], and untrained; curve:
        agent_steps and episode_reward [seeds][P] while training; swept: settings that a sweep chose.
    """
    from recsys_env.evaluation.statistics import origin

    learners, results = {}, []
    for name, learner in LEARNERS.items():
        rows, given = {}, {}
        for task in learner.tasks:
            job, path = learner.job(task), folder / f"{run_name(name, task)}.json"
            stored = read(path) if path.is_file() else None
            if stored is not None and stored.runs and job.has_settings(stored.settings):
                rows[task] = {**row_of(stored.runs), "swept": chosen(SWEEP, learner.like or name, task)}
                given.update(dict.fromkeys(job.given()))
                results += [{**stored.sources[run["source"]], "command": run["command"]} for run in stored.runs]
        if rows:
            learners[name] = {
                "algorithm": learner.algorithm,
                "settings": dict(learner.settings),
                "like": learner.like,
                "given": list(given),
                "tasks": rows,
            }
    from_runs = {**origin(results), "command": ["python -m baselines reference"]} if results else {}
    return {"origin": from_runs, "learners": learners}


def comparisons(summary: Mapping[str, Any]) -> list[Comparison]:
    """Compare the learners of each library on each task; see `comparison`.

    Learners that are named for their discount, as `q-table-0.9`, are left out: they are one algorithm.

    Args:
        summary: of `training_summary`.
    """
    there: dict[str, dict[str, dict[str, Any]]] = {}
    for name, learner in summary["learners"].items():
        for task, row in learner["tasks"].items() if "gamma" not in learner["settings"] else ():
            timesteps = LEARNERS[name].job(task).timesteps
            if LEARNERS[name].compared and timesteps == budget(task, LEARNERS[name].ticks):
                sharing = learner["settings"].get("sharing", cli.config_of(task).reward.sharing)
                there.setdefault(task, {})[name] = {
                    "library": ALGORITHMS[learner["algorithm"]].library,
                    "reward": "team" if sharing == 1 else "own",
                    "timesteps": timesteps,
                    "evaluations": row["evaluations"],
                }
    return [found for task, learners in there.items() for found in compare(task, learners)]


def row_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise one learner on one task, over its seeds."""
    from recsys_env.evaluation import UNSEEN
    from recsys_env.evaluation.statistics import common_curve, interval

    named = {"trained": "after", "last": "last", "untrained": "before", "gain": "gain"}
    values = {name: [run[key]["mean"] for run in runs] for name, key in named.items()}
    speed = {name: [run["training"][name] for run in runs] for name in runs[0]["training"]}
    return {
        "seeds": [{"training": run["seed"], "evaluation": run["seed"] + UNSEEN} for run in runs],
        "kept": runs[0]["kept"],
        "reward": interval(np.array(values["trained"])),
        "runs": values,
        "evaluations": {run["seed"]: _evaluations(run) for run in runs},
        "curve": common_curve([_points(run["curve"]) for run in runs]),
        "agent_steps": speed["agent_steps"][0],
        "seconds": float(np.mean(speed["seconds"])),
        "core_hours": sum(run["processor_seconds"] for run in runs) / 3600,
        "environment_share": float(np.mean(speed["environment_share"])),
    }


def _evaluations(run: Mapping[str, Any]) -> dict[str, Any]:
    """What the policies of a run earned while it trained."""
    found = run["evaluations"]
    rewards = [float(np.mean(own)) for own in found["individual_reward"]]
    return {
        "agent_steps": found["agent_steps"],
        "seconds": found["seconds"],
        "reward": rewards,
        "untrained": run["before"]["mean"],
    }


def _points(curve: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    return [dict(zip(curve, point, strict=True)) for point in zip(*curve.values(), strict=True)]
