"""Train the learners whose results are published, as a list of small jobs, two at a time.

    python -m baselines reference                              # all of them: a day on two cores
    python -m baselines reference --only ippo mappo-torch      # some
    python -m baselines reference --marl-eval results.json     # write the stored results in marl-eval's form

Every learner sees the same observations and has one setting for all tasks and the budget of its class, on-policy or
off-policy. The generative recommender, whose steps take thirty times as long, has an eighth of that budget after its
pre-training. Where algorithms for teams are compared, algorithms of libraries stand beside the ones in plain PyTorch:
PPO of stable-baselines3, MAPPO and QMIX of BenchMARL. What policies earn on the same seeds is in the leaderboard
(`python -m recsys_env evaluate`).

Each job is a `python -m baselines train` in a process of its own. Its policy stays in --out. Its result and learning
curve are added to the file of its learner and task (`training_results`), which holds the settings. A job is done if a
file has its settings and seed, whatever the file's name. Jobs whose library is not installed (BenchMARL's) are left to
a run in an environment that has it.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import TASKS, cli
from recsys_env.checks import unknown
from recsys_env.files import write_json

from . import training_results
from .algorithms import ALGORITHMS
from .options import Algorithm
from .training_results import RESULTS, TrainingResults, read_folder

ON_POLICY, OFF_POLICY = 5_000_000, 1_000_000  # agent-steps: the budget of a class of algorithms, on every task
SEEDS, SEEDS_OF_FINITE = 5, 10
FINITE = ("duel-v1", "pricing-duel-v0")  # games whose equilibria are known: which one a seed ends in is the result
TEAMS = ("coverage-v0", "journey-v1", "duel-v1", "social-v1")  # where algorithms for teams are compared
# Where the generative recommender is trained.
LARGE = ("streaming-v1", "ecommerce-v1", "news-v1", "rivals-v1", "crossdomain-v0")
SELFISH = tuple(task for task, config in TASKS.items() if config.reward.sharing == 0)  # tasks of selfish agents
SHARED = tuple(task for task in TASKS if task not in SELFISH)  # tasks that pay the team's reward
_TEAM: dict[str, Any] = {"sharing": 1.0}
_BENCHMARL: dict[str, Any] = {**_TEAM, "reward_scale": 10.0}


@dataclass(frozen=True)
class ReferenceLearner:
    """An algorithm and its settings, which are the same on all of its tasks.

    Args:
        algorithm: its name.
        tasks: on which it is trained.
        settings: options that differ from the defaults; the budget is that of its class.
    """

    algorithm: str
    tasks: tuple[str, ...]
    settings: Mapping[str, Any]

    def job(self, task: str, seed: int = 0) -> Algorithm:
        kind = ALGORITHMS[self.algorithm]
        budget = ON_POLICY if kind.on_policy else OFF_POLICY
        usual = {"device": "cpu", "compare": (), "timesteps": budget}  # what policies earn is in the leaderboard
        return kind(task=task, seed=seed, **{**usual, **self.settings})


def seeds(task: str) -> int:
    """Seeds of each learner on a task: 0, 1, ..."""
    return SEEDS_OF_FINITE if task in FINITE else SEEDS


LEARNERS: dict[str, ReferenceLearner] = {
    "ppo-torch": ReferenceLearner("ppo-torch", tuple(TASKS), {}),
    "ppo-torch-myopic": ReferenceLearner("ppo-torch", (*FINITE, *SHARED), {"gamma": 0.0}),
    "mappo-torch": ReferenceLearner("ppo-torch", TEAMS, {**_TEAM, "centralised": True}),
    "iql-torch": ReferenceLearner("q-torch", TEAMS, _TEAM),
    "vdn-torch": ReferenceLearner("q-torch", TEAMS, {**_TEAM, "mixer": "vdn"}),
    "qmix-torch": ReferenceLearner("q-torch", TEAMS, {**_TEAM, "mixer": "qmix"}),
    "ppo-torch-memory": ReferenceLearner("ppo-torch", ("coverage-v0", "streaming-v1"), {"memory": 32}),
    "ppo-torch-silent": ReferenceLearner("ppo-torch", ("coverage-v0",), {"set": ("messages=0",)}),
    "ppo-torch-team": ReferenceLearner("ppo-torch", SELFISH, _TEAM),
    "ppo-torch-team-myopic": ReferenceLearner("ppo-torch", SELFISH, {**_TEAM, "gamma": 0.0}),
    "cma-es": ReferenceLearner("cma-es", tuple(TASKS), _TEAM),
    "generative": ReferenceLearner("generative", LARGE, {**_TEAM, "size": "0.3m", "timesteps": 600_000, "threads": 1}),
    "generative-grpo": ReferenceLearner(
        "generative-grpo", LARGE[:2], {**_TEAM, "size": "0.3m", "timesteps": 600_000, "threads": 1}
    ),
    "ippo": ReferenceLearner("ippo", ("pricing-duel-v0", *TEAMS), _TEAM),
    "mappo": ReferenceLearner("mappo", ("duel-v1",), _BENCHMARL),
    "qmix": ReferenceLearner("qmix", ("duel-v1",), _BENCHMARL),
}


@dataclass(frozen=True)
class Job:
    """One seed of a learner on a task."""

    learner: str
    algorithm: Algorithm

    @property
    def file_name(self) -> str:
        """Name of the file with the results of all its seeds."""
        return f"{self.learner}-{self.algorithm.task}.json"

    @property
    def folder_name(self) -> str:
        return f"{self.learner}-{self.algorithm.task}-{self.algorithm.seed}"


def jobs(only: Sequence[str] = (), tasks: Sequence[str] = tuple(TASKS)) -> list[Job]:
    """List the jobs of some learners (by default all) on some tasks: seed by seed, learners in the order of the list.

    Raises:
        ValueError: no such learner.
    """
    for name in only:
        if name not in LEARNERS:
            raise ValueError(unknown("learner", name, LEARNERS))
    return [
        Job(name, learner.job(task, seed))
        for seed in range(SEEDS_OF_FINITE)
        for name, learner in LEARNERS.items()
        if not only or name in only
        for task in learner.tasks
        if task in tasks and seed < seeds(task)
    ]


def reference(
    out: Path = Path("runs/reference"),
    results: Path = RESULTS,
    workers: int = 2,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = tuple(TASKS),
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
    results.mkdir(parents=True, exist_ok=True)
    wanted = jobs(only, tasks)
    stored = _files_of(wanted, results)
    if marl_eval is not None:
        write_json(marl_eval, training_results.marl_eval(stored.values()))
        return
    todo = [job for job in wanted if job.algorithm.seed not in stored[job.file_name].seeds()]
    able = [job for job in todo if importlib.util.find_spec(job.algorithm.library)]
    failed = _train_all(able, stored, out, workers, done=len(wanted) - len(todo))
    missing = sorted({job.algorithm.library for job in todo if job not in able})
    if missing:
        waiting = len(todo) - len(able)
        print(f"{waiting} jobs wait for {', '.join(missing)}: run the same command in an environment that has it")
    if failed:
        folders = ", ".join(str(out / job.folder_name) for job in failed)
        raise ValueError(f"{len(failed)} jobs failed, see log.txt in {folders}")


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines reference`."""
    cli.run(reference, "baselines reference", argv)


def _files_of(wanted: Iterable[Job], results: Path) -> dict[str, TrainingResults]:
    """Find the file of each learner and task by its settings, whatever it is called, or name a new one.

    Raises:
        ValueError: the file of that name has the results of other settings.
    """
    found = read_folder(results)
    stored = {}
    for job in wanted:
        settings = job.algorithm.settings()
        same = next((stored for stored in found if job.algorithm.has_settings(stored.settings)), None)
        path = results / job.file_name
        other = next((stored for stored in found if stored.path == path), None)
        if same is None and other is not None:
            differences = _differences(other.settings, settings)
            raise ValueError(
                f"{path} has results of other settings: {differences}; remove it, or give another --results"
            )
        stored[job.file_name] = same or TrainingResults(path, job.learner, settings, [], [])
    return stored


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Name the settings that differ."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} = {one.get(name)!r}, not {other.get(name)!r}" for name in names)


def _train_all(
    todo: Sequence[Job], stored: Mapping[str, TrainingResults], out: Path, workers: int, done: int
) -> list[Job]:
    """Train these jobs and store each when it is finished; return those that failed."""
    from tqdm import tqdm

    failed = []
    with ThreadPoolExecutor(workers) as pool, tqdm(total=done + len(todo), initial=done, unit="job") as bar:
        running = {pool.submit(_train, job, out / job.folder_name): job for job in todo}
        for finished in as_completed(running):
            job = running[finished]
            bar.update()
            bar.set_postfix_str(job.folder_name)
            if finished.result():
                failed.append(job)
            else:
                stored[job.file_name].add(out / job.folder_name)
    return failed


def _train(job: Job, folder: Path) -> int:
    """Run a job in a process of its own; return its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *shlex.split(job.algorithm.command())[1:], "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode


# ------------------------------------------------------------------------------------------------ summary


def training_summary(folder: Path = RESULTS) -> dict[str, Any]:
    """Summarise what every learner earns on every task, over its seeds.

    Args:
        folder: of the results.

    Returns:
        origin; learners: name -> algorithm, settings and tasks: task -> seeds; runs: individual reward per learner and
        episode of each seed, of the trained policy (the best of its evaluations), the last and the untrained one, and
        the gain of the trained over the untrained one; reward: mean and interval of the trained; agent_steps, seconds,
        environment_share; curve: agent_steps and episode_reward [seeds][P] while training.
    """
    from recsys_env.evaluation.statistics import origin

    found, learners, results = read_folder(folder), {}, []
    for name, learner in LEARNERS.items():
        rows = {}
        for task in learner.tasks:
            job = learner.job(task)
            stored = next((each for each in found if job.has_settings(each.settings)), None)
            if stored is not None and stored.runs:
                rows[task] = _row(stored.runs)
                results += [{**stored.sources[run["source"]], "command": run["command"]} for run in stored.runs]
        if rows:
            learners[name] = {"algorithm": learner.algorithm, "settings": dict(learner.settings), "tasks": rows}
    from_runs = {**origin(results), "command": ["python -m baselines reference"]} if results else {}
    return {"origin": from_runs, "learners": learners}


def _row(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise one learner on one task, over its seeds."""
    from recsys_env.evaluation import UNSEEN
    from recsys_env.evaluation.statistics import common_curve, interval

    named = {"trained": "after", "last": "last", "untrained": "before", "gain": "gain"}
    values = {name: [run[key]["mean"] for run in runs] for name, key in named.items()}
    speed = {name: [run["training"][name] for run in runs] for name in runs[0]["training"]}
    return {
        "seeds": [{"training": run["seed"], "evaluation": run["seed"] + UNSEEN} for run in runs],
        "reward": interval(np.array(values["trained"])),
        "runs": values,
        "curve": common_curve([_points(run["curve"]) for run in runs]),
        "agent_steps": speed["agent_steps"][0],
        "seconds": float(np.mean(speed["seconds"])),
        "environment_share": float(np.mean(speed["environment_share"])),
    }


def _points(curve: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    return [dict(zip(curve, point, strict=True)) for point in zip(*curve.values(), strict=True)]
