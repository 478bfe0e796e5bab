"""The learners whose results are published, and the command that trains them: a list of small jobs, two at a time.

    python -m baselines reference                              # all of them: a few hours on two cores
    python -m baselines reference --only ippo ippo-full        # some
    python -m baselines reference --again content              # a policy has changed: measure it, not the trained ones

A job is a `python -m baselines train` of its own. Its policy stays in --out; its result and learning curve are added to
the file of its learner and task (`training_results`), which holds the settings. A job whose settings and seed are there
is done, whatever the file's name. Jobs whose library is not installed are left to a run in an environment that has it
(BenchMARL's).
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

from .algorithms import ALGORITHMS
from .options import Algorithm
from .training_results import RESULTS, TrainingResults, read_folder

LARGER = ("duel-v1", "journey-v1", "ecommerce-v1", "social-v1")
_CPU: dict[str, Any] = {"device": "cpu"}
_TEAM: dict[str, Any] = {**_CPU, "sharing": 1.0}  # algorithms for teams are trained on the team's reward
_SELFISH: dict[str, Any] = {**_CPU, "sharing": 0.0}
_FULL: dict[str, Any] = {**_CPU, "observability": "full"}
_SHORT: dict[str, Any] = {"timesteps": 2_000_000}
_LONG: dict[str, Any] = {"timesteps": 8_000_000}
_BENCHMARL: dict[str, Any] = {
    **_TEAM,
    "timesteps": 400_000,
    "gamma": 0.9,
    "reward_scale": 10.0,
    # where actions are queries, a planner of whole catalogues takes longer than the training
    "compare": ("random", "popularity", "content", "greedy"),
}
_SLOT: dict[str, Any] = {**_BENCHMARL, "set": ("slots=1",)}
_PICKS = tuple(name for name, task in TASKS.items() if task.action == "candidates" and task.offer.kind == "none")
_LATENT = ("ecommerce-v1", "social-v1", "streaming-v1")


@dataclass(frozen=True)
class ReferenceLearner:
    """An algorithm and its settings, which are the same on all of its tasks.

    Args:
        algorithm: its name.
        tasks: on which it is trained.
        seeds: of each task: 0, 1, ...
        settings: options other than the algorithm's own values.
    """

    algorithm: str
    tasks: tuple[str, ...]
    seeds: int
    settings: Mapping[str, Any]

    def job(self, task: str, seed: int = 0) -> Algorithm:
        return ALGORITHMS[self.algorithm](task=task, seed=seed, **self.settings)


LEARNERS: dict[str, ReferenceLearner] = {
    "ippo": ReferenceLearner("ippo", tuple(TASKS), 5, {**_SHORT, **_CPU}),
    "ippo-full": ReferenceLearner("ippo", _LATENT, 5, {**_SHORT, **_FULL}),
    "ippo-team": ReferenceLearner("ippo", ("social-v1",), 5, {**_SHORT, **_TEAM}),
    "ippo-selfish": ReferenceLearner("ippo", ("journey-v1",), 5, {**_SHORT, **_SELFISH}),
    "item-ppo": ReferenceLearner("item-ppo", _PICKS, 3, {**_LONG, **_CPU}),
    "item-ppo-team": ReferenceLearner("item-ppo", ("social-v1",), 3, {**_LONG, **_TEAM}),
    "item-ppo-selfish": ReferenceLearner("item-ppo", ("journey-v1",), 3, {**_LONG, **_SELFISH}),
    "item-ppo-full-team": ReferenceLearner("item-ppo", _LATENT, 3, {**_LONG, **_TEAM, **_FULL}),
    "ppo-torch": ReferenceLearner("ppo-torch", tuple(TASKS), 5, {**_CPU, "timesteps": 5_000_000}),
    "mappo-torch": ReferenceLearner("ppo-torch", LARGER, 5, {**_TEAM, "timesteps": 5_000_000, "centralised": True}),
    "iql-torch": ReferenceLearner("q-torch", LARGER, 5, _TEAM),
    "vdn-torch": ReferenceLearner("q-torch", LARGER, 5, {**_TEAM, "mixer": "vdn"}),
    "qmix-torch": ReferenceLearner("q-torch", LARGER, 5, {**_TEAM, "mixer": "qmix"}),
    "ippo-separate": ReferenceLearner("ippo-separate", LARGER, 3, {**_TEAM, "timesteps": 500_000}),
    "maskable-ppo": ReferenceLearner("maskable-ppo", LARGER, 3, {**_TEAM, "timesteps": 1_000_000}),
    "recurrent-ppo": ReferenceLearner("recurrent-ppo", LARGER, 3, {**_TEAM, "timesteps": 300_000}),
    "transformer-ppo": ReferenceLearner("transformer-ppo", LARGER, 3, {**_TEAM, "timesteps": 400_000}),
    "ippo-roles": ReferenceLearner("ippo-roles", LARGER, 3, _BENCHMARL),
    "mappo": ReferenceLearner("mappo", LARGER, 3, _BENCHMARL),
    "maddpg": ReferenceLearner("maddpg", LARGER, 3, {**_BENCHMARL, "learning_rate": 5e-4}),
    "masac": ReferenceLearner("masac", LARGER, 3, _BENCHMARL),
    "iql": ReferenceLearner("iql", LARGER, 3, _SLOT),
    "vdn": ReferenceLearner("vdn", LARGER, 3, _SLOT),
    "qmix": ReferenceLearner("qmix", LARGER, 3, _SLOT),
}


@dataclass(frozen=True)
class Job:
    """One seed of a learner on a task."""

    learner: str
    algorithm: Algorithm

    @property
    def file_name(self) -> str:
        """Of the results of all its seeds."""
        return f"{self.learner}-{self.algorithm.task}.json"

    @property
    def folder_name(self) -> str:
        return f"{self.learner}-{self.algorithm.task}-{self.algorithm.seed}"


def jobs(only: Sequence[str] = (), tasks: Sequence[str] = tuple(TASKS)) -> list[Job]:
    """Every job of some learners (by default all) on some tasks; the first seeds of all of them come first.

    Raises:
        ValueError: no such learner.
    """
    for name in only:
        if name not in LEARNERS:
            raise ValueError(unknown("learner", name, LEARNERS))
    return [
        Job(name, learner.job(task, seed))
        for seed in range(max(learner.seeds for learner in LEARNERS.values()))
        for name, learner in LEARNERS.items()
        if seed < learner.seeds and (not only or name in only)
        for task in learner.tasks
        if task in tasks
    ]


def reference(
    out: Path = Path("runs/reference"),
    results: Path = RESULTS,
    workers: int = 2,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = tuple(TASKS),
    again: tuple[str, ...] = (),
) -> None:
    """Train the reference learners, each job once.

    Args:
        out: folder of the jobs' folders, which hold the trained policies.
        results: folder of the results; what is there stays.
        workers: jobs at a time, one core each.
        only: learners to train; by default all.
        tasks: on which they are trained.
        again: policies to measure anew in the stored results of these jobs, on the same episodes; nothing is trained
            then.

    Raises:
        ValueError: no such learner or task, results of other settings under the name of a job, or jobs that failed.
    """
    cli.at_least(1, workers=workers)
    cli.known_tasks(tasks)
    results.mkdir(parents=True, exist_ok=True)
    wanted = jobs(only, tasks)
    stored = _places(wanted, results)
    if again:
        _measure_again(again, wanted, stored)
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


def _places(wanted: Iterable[Job], results: Path) -> dict[str, TrainingResults]:
    """Where each learner's results on each task are, or will be: found by settings, whatever the file is called.

    Raises:
        ValueError: the file of that name has the results of other settings.
    """
    found = read_folder(results)
    places = {}
    for job in wanted:
        settings = job.algorithm.settings()
        same = next((stored for stored in found if job.algorithm.has_settings(stored.settings)), None)
        path = results / job.file_name
        other = next((stored for stored in found if stored.path == path), None)
        if same is None and other is not None:
            said = _differences(other.settings, settings)
            raise ValueError(f"{path} has results of other settings: {said}; remove it, or give another --results")
        places[job.file_name] = same or TrainingResults(path, job.learner, settings, [], [])
    return places


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Settings that are not the same."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} = {one.get(name)!r}, not {other.get(name)!r}" for name in names)


def _train_all(
    todo: Sequence[Job], stored: Mapping[str, TrainingResults], out: Path, workers: int, done: int
) -> list[Job]:
    """Train these jobs and store each as it is finished; those that failed."""
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
    """Run a job in a process of its own; its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *shlex.split(job.algorithm.command())[1:], "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode


def _measure_again(policies: Sequence[str], wanted: Iterable[Job], stored: Mapping[str, TrainingResults]) -> None:
    """Put these policies' scores of now into the stored results that compare with them.

    Where one of them is an end of the scale, all scores move with it; the half-widths of those that are not measured
    again are None then, because they pair episodes that are not stored.

    Raises:
        ValueError: none does; or an end that is not measured again earns something else than then, so that the trained
            policy's score is of another game.
    """
    from tqdm import tqdm

    done = [
        (job, run)
        for job in wanted
        if (run := stored[job.file_name].run(job.algorithm.seed)) and set(policies) <= run["table"].keys()
    ]
    if not done:
        folder = next(iter(stored.values())).path.parent if stored else RESULTS
        raise ValueError(f"no result in {folder} compares with {' and '.join(policies)}")
    played: dict[Any, np.ndarray] = {}  # several learners compare with the same episodes
    for job, run in tqdm(done, unit="job"):
        results = stored[job.file_name]
        run["table"] = _table_again(policies, job.algorithm, run["table"], played)
        results.measured_again(run, policies)
        results.write()


def _table_again(
    policies: Sequence[str], algorithm: Algorithm, table: Mapping[str, Any], played: dict[Any, np.ndarray]
) -> dict[str, Any]:
    """A run's table with these policies measured anew; see `_measure_again`."""
    from recsys_env.evaluation import place_on_scale, scale_ends

    from .train import evaluate
    from .training import begin

    training = begin(algorithm)
    ends = scale_ends(training.config)
    others = (*training.learners, *training.others.items())
    episodes = (training.config, others, algorithm.seed, algorithm.eval_episodes)
    for policy in (*ends, *policies):
        if (policy, episodes) not in played:
            played[policy, episodes] = evaluate(training, policy)
    scores = place_on_scale({policy: played[policy, episodes] for policy in (*ends, *policies)}, *ends)
    for end in set(ends) - set(policies):
        if not np.isclose(scores[end]["mean"], table[end]["mean"]):
            raise ValueError(f"{end} earns something else than it did on {algorithm.task}: train that job again")
    again = {**table, **{policy: scores[policy] for policy in policies}}
    if set(ends) & set(policies):
        low, high = (scores[end]["mean"] for end in ends)
        for policy in again.keys() - scores.keys() if high > low else ():
            again[policy] = {
                **again[policy],
                "score": 100 * (again[policy]["mean"] - low) / (high - low),
                "score_ci95": None,
            }
    return again


# ------------------------------------------------------------------------------------------------ summary


def training_summary(folder: Path = RESULTS) -> dict[str, Any]:
    """Scores of every learner on every task, over its seeds.

    Args:
        folder: of the results.

    Returns:
        origin; learners: name -> algorithm, settings and tasks: task -> seeds; own reward per learner and episode:
        reward, another_seed (interval for one more seed), untrained, gain, runs (of it and of the policies to compare
        with, a value for each seed); score (0 and 100 as in `scale_ends`, in the same variant of the task);
        agent_steps, seconds, environment_share; curve: agent_steps and episode_reward [seeds][P] while training.
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
            said = dict(learner.settings)
            learners[name] = {"algorithm": learner.algorithm, "settings": said, "tasks": rows}
    whence = {**origin(results), "command": ["python -m baselines reference"]} if results else {}
    return {"origin": whence, "learners": learners}


def _row(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One learner on one task, over its seeds."""
    from recsys_env.evaluation import UNSEEN
    from recsys_env.evaluation.statistics import common_curve, interval, prediction

    rewards, before, gain = (np.array([run[name]["mean"] for run in runs]) for name in ("after", "before", "gain"))
    scores = [run["table"]["trained"].get("score") for run in runs]  # none where 0 of the scale earns as much as 100
    everywhere = [name for name in runs[0]["table"] if all(name in run["table"] for run in runs)]
    speed = {name: [run["training"][name] for run in runs] for name in runs[0]["training"]}
    return {
        "seeds": [{"training": run["seed"], "evaluation": run["seed"] + UNSEEN} for run in runs],
        "reward": interval(rewards),
        "another_seed": prediction(rewards),
        "untrained": interval(before),
        "gain": interval(gain),
        "score": dict.fromkeys(interval(rewards)) if None in scores else interval(np.array(scores)),
        "runs": {name: [run["table"][name]["mean"] for run in runs] for name in everywhere},
        "curve": common_curve([_points(run["curve"]) for run in runs]),
        "agent_steps": speed["agent_steps"][0],
        "seconds": float(np.mean(speed["seconds"])),
        "environment_share": float(np.mean(speed["environment_share"])),
    }


def _points(curve: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    return [dict(zip(curve, point, strict=True)) for point in zip(*curve.values(), strict=True)]
