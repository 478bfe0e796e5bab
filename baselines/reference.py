"""Train the learners whose results are published (`learners.py`), as a list of small jobs, two at a time.

    python -m baselines sweep                                  # first: which settings they train with
    python -m baselines reference                              # all of them
    python -m baselines reference --only ppo-torch iql-torch   # some
    python -m baselines reference --marl-eval results.json     # write the stored results in marl-eval's form

Every learner sees the same observations and has the same budget. Where algorithms are compared, algorithms of libraries
stand beside the ones in plain PyTorch: PPO of stable-baselines3, MAPPO and QMIX of BenchMARL. What policies earn on the
same seeds is in the leaderboard (`python -m recsys_env evaluate`).

Each job is a `python -m baselines train` in a process of its own. Its policy stays in --out. Its result and learning
curve are added to the file of its learner and task (`training_results`), which holds the settings. A job is done if a
file has its settings and seed, whatever the file's name. Jobs whose library is not installed (BenchMARL's) are left to
a run in an environment that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import cli
from recsys_env.checks import unknown
from recsys_env.files import read_json, write_json
from recsys_env.policies import CHECKPOINT

from . import training_results
from .algorithms import ALGORITHMS
from .comparison import Comparison, compare
from .jobs import Job, train_all
from .learners import LEARNERS, MORE_SEEDS, PUBLISHED, SWEEP, budget, chosen
from .options import Algorithm, run_name
from .training import RESULT
from .training_results import RESULTS, TrainingResults, read_folder


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


def jobs(only: Sequence[str] = (), tasks: Sequence[str] = PUBLISHED, sweep: Path | None = None) -> list[ReferenceJob]:
    """List the jobs of some learners (by default all) on some tasks: seed by seed, learners in the order of the table.

    Args:
        sweep: file of the sweeps, by default the committed one.

    Raises:
        ValueError: no such learner.
    """
    for name in only:
        if name not in LEARNERS:
            raise ValueError(unknown("learner", name, LEARNERS))
    return [
        ReferenceJob(run_name(name, task, seed), learner.job(task, seed, sweep), name, task)
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
        out: folder for the trained policies, with a folder for each job.
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
    tasks = tuple(cli.tasks_of(tasks))
    wanted = jobs(only, tasks)
    if marl_eval is not None:
        write_json(marl_eval, training_results.marl_eval(files_of(wanted, results).values()))
        return
    train_missing(wanted, out, results, workers)


def train_missing(wanted: Sequence[ReferenceJob], out: Path, results: Path, workers: int) -> None:
    """Train the jobs whose results are not stored; arguments and errors are those of `reference`."""
    stored = files_of(wanted, results)
    todo = [job for job in wanted if job.algorithm.seed not in stored[job.file_name].seeds()]
    files = {job: stored[job.file_name] for job in todo}
    train_all(todo, out, workers, lambda job, folder: files[job].add(folder), done=len(wanted) - len(todo))


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines reference`."""
    cli.run(reference, "baselines reference", argv)


def files_of(wanted: Iterable[ReferenceJob], results: Path) -> dict[str, TrainingResults]:
    """Find the file of each learner and task by its settings, whatever it is called, or name a new one.

    Returns:
        `ReferenceJob.file_name` -> the results of all seeds, which may be none.

    Raises:
        ValueError: the file of that name has the results of other settings.
    """
    found = read_folder(results)
    stored = {}
    for job in wanted:
        settings = job.algorithm.settings()
        same = stored_for(job.algorithm, found)
        path = results / job.file_name
        other = next((stored for stored in found if stored.path == path), None)
        if same is None and other is not None:
            differences = _differences(other.settings, settings)
            raise ValueError(
                f"{path} has results of other settings: {differences}; remove it, or choose another folder"
            )
        stored[job.file_name] = same or TrainingResults(path, job.learner, settings, [], [])
    return stored


def stored_for(algorithm: Algorithm, found: Iterable[TrainingResults]) -> TrainingResults | None:
    """Return the results of runs with these settings, whatever the seed; None if there are none."""
    return next((results for results in found if algorithm.has_settings(results.settings)), None)


def finished(wanted: Iterable[ReferenceJob], out: Path) -> list[ReferenceJob]:
    """Return the jobs whose trained policies are in a folder of folders, such as runs/reference.

    Raises:
        FileError: a damaged result.
    """
    there = []
    for job in wanted:
        folder = out / job.name
        if (folder / RESULT).is_file() and (folder / CHECKPOINT).is_file():
            settings = read_json(folder / RESULT, {"settings": {str: object}}, "result of a run")["settings"]
            if job.algorithm.has_settings(settings):
                there.append(job)
    return there


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Name the settings that differ."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} = {one.get(name)!r}, not {other.get(name)!r}" for name in names)


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

    found, learners, results = read_folder(folder), {}, []
    for name, learner in LEARNERS.items():
        rows, given = {}, {}
        for task in learner.tasks:
            job = learner.job(task)
            stored = stored_for(job, found)
            if stored is not None and stored.runs:
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
    found = []
    for task in dict.fromkeys(task for learner in summary["learners"].values() for task in learner["tasks"]):
        there = {
            name: {
                "library": ALGORITHMS[learner["algorithm"]].library,
                "reward": "team"
                if learner["settings"].get("sharing", cli.config_of(task).reward.sharing) == 1
                else "own",
                "timesteps": LEARNERS[name].job(task).timesteps,
                "evaluations": learner["tasks"][task]["evaluations"],
            }
            for name, learner in summary["learners"].items()
            if task in learner["tasks"]
            and LEARNERS[name].compared
            and "gamma" not in learner["settings"]
            and LEARNERS[name].job(task).timesteps == budget(task, LEARNERS[name].ticks)
        }
        found += compare(task, there)
    return found


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
