"""Reference results of the learning algorithms: a list of small jobs, two at a time, going on where it was stopped.

    python -m baselines reference                              # all of them: a few hours on two cores
    python -m baselines reference --only ippo ippo-full        # some
    python -m baselines reference --again content              # a reference policy has changed: measure it, not the
        trained policies, anew
    python -m baselines plot --training baselines/results/training

Each job is a `python -m baselines.train` of its own. Its policy stays in --out; its result and learning curve go to a
file in baselines/results/training, and a job that has one is done. Jobs whose library is not installed are left to a
run in an environment that has it (BenchMARL's). The tasks are frozen and the settings the same for all of them.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import TASKS, cli
from recsys_env.config import did_you_mean
from recsys_env.evaluation import place_on_scale, scale_ends
from recsys_env.evaluation.statistics import common_curve, interval, origin, prediction
from recsys_env.files import FileError, read_json, write_json
from recsys_env.provenance import provenance

from .algorithms import ALGORITHMS
from .stored import JOB, read_curve
from .stored import TENSION as TENSION_FORM
from .train import Train, command_of, evaluate, run_of

RESULTS = Path(__file__).parent / "results" / "training"
TENSION = Path(__file__).parent.parent / "benchmarks" / "results" / "tension.json"
LARGER = ("duel-v0", "journey-v0", "ecommerce-v0", "social-v0")
_TEAM: dict[str, Any] = {"sharing": 1.0, "device": "cpu"}  # algorithms for teams are trained on the team's reward
_LONG: dict[str, Any] = {"timesteps": 8_000_000}
_BENCHMARL: dict[str, Any] = {
    **_TEAM, "timesteps": 400_000, "gamma": 0.9, "reward_scale": 10.0,
    # where actions are queries, a planner of whole catalogues takes longer than the training
    "references": ("random", "popularity", "content", "greedy"),
}  # fmt: skip
_SLOT: dict[str, Any] = {**_BENCHMARL, "set": ("slots=1",)}

LEARNERS: dict[str, tuple[str, tuple[str, ...], int, dict[str, Any]]] = {  # name -> algorithm, tasks, seeds, settings
    "ippo": ("ippo", tuple(TASKS), 5, {"timesteps": 2_000_000, "device": "cpu"}),
    "ippo-full": (
        "ippo",
        ("ecommerce-v0", "social-v0", "streaming-v0"),
        5,
        {"timesteps": 2_000_000, "device": "cpu", "observability": "full"},
    ),
    "ippo-team": ("ippo", ("social-v0",), 5, {"timesteps": 2_000_000, **_TEAM}),
    "ippo-selfish": ("ippo", ("journey-v0",), 5, {"timesteps": 2_000_000, "device": "cpu", "sharing": 0.0}),
    "item-ppo": (
        "item-ppo",
        tuple(task for task in TASKS if TASKS[task].action == "candidates"),
        3,
        {**_LONG, "device": "cpu"},
    ),
    "item-ppo-team": ("item-ppo", ("social-v0",), 3, {**_LONG, **_TEAM}),
    "item-ppo-selfish": ("item-ppo", ("journey-v0",), 3, {**_LONG, "device": "cpu", "sharing": 0.0}),
    "item-ppo-full-team": (
        "item-ppo",
        ("ecommerce-v0", "social-v0", "streaming-v0"),
        3,
        {**_LONG, **_TEAM, "observability": "full"},
    ),
    "ippo-separate": ("ippo-separate", LARGER, 3, {**_TEAM, "timesteps": 500_000}),
    "maskable-ppo": ("maskable-ppo", LARGER, 3, {**_TEAM, "timesteps": 1_000_000}),
    "recurrent-ppo": ("recurrent-ppo", LARGER, 3, {**_TEAM, "timesteps": 300_000}),
    "transformer-ppo": ("transformer-ppo", LARGER, 3, {**_TEAM, "timesteps": 400_000}),
    "ippo-roles": ("ippo-roles", LARGER, 3, _BENCHMARL),
    "mappo": ("mappo", LARGER, 3, _BENCHMARL),
    "maddpg": ("maddpg", LARGER, 3, {**_BENCHMARL, "learning_rate": 5e-4}),
    "masac": ("masac", LARGER, 3, _BENCHMARL),
    "iql": ("iql", LARGER, 3, _SLOT),
    "vdn": ("vdn", LARGER, 3, _SLOT),
    "qmix": ("qmix", LARGER, 3, _SLOT),
}


def jobs(only: tuple[str, ...] = ()) -> dict[str, Train]:
    """Folder name -> settings of every job; the first seeds of all learners come first.

    Raises:
        ValueError: no such learner.
    """
    for name in only:
        if name not in LEARNERS:
            raise ValueError(
                f"unknown learner {name!r}{did_you_mean(name, LEARNERS)}; learners are {', '.join(LEARNERS)}"
            )
    made = {}
    for seed in range(max(seeds for _, _, seeds, _ in LEARNERS.values())):
        for name, (algorithm, tasks, seeds, settings) in LEARNERS.items():
            if seed < seeds and (not only or name in only):
                for task in tasks:
                    made[f"{name}-{task}-{seed}"] = Train(algorithm, task, seed=seed, **settings)
    return made


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
        results: folder of the jobs' results; what is there stays.
        workers: jobs at a time, one core each.
        only: learners to train; by default all.
        tasks: on which they are trained.
        again: policies to measure anew in the stored results of these jobs, on the same episodes; nothing is trained
            then.
    """
    from tqdm import tqdm

    cli.at_least(1, workers=workers)
    cli.known_tasks(tasks)
    results.mkdir(parents=True, exist_ok=True)
    try:
        wanted = {name: settings for name, settings in jobs(only).items() if settings.task in tasks}
        if again:
            _measure_again(again, wanted, results)
            return
        todo = {name: settings for name, settings in wanted.items() if not _is_done(settings, results / f"{name}.json")}
    except ValueError as error:
        cli.fail(error)
    able = {
        name: settings
        for name, settings in todo.items()
        if importlib.util.find_spec(ALGORITHMS[settings.algorithm].library)
    }
    failed = []
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(wanted), initial=len(wanted) - len(todo), unit="job") as bar,
    ):
        for name, code in pool.map(lambda name: (name, _train(able[name], out / name, results / f"{name}.json")), able):
            bar.update()
            bar.set_postfix_str(name)
            failed += [name] * (code != 0)
    missing = sorted({ALGORITHMS[settings.algorithm].library for name, settings in todo.items() if name not in able})
    if missing:
        print(
            f"{len(todo) - len(able)} jobs wait for {', '.join(missing)}: run the same command in an environment that has it"
        )
    if failed:
        cli.fail(f"{len(failed)} jobs failed, see log.txt in {', '.join(str(out / name) for name in failed)}")


def _is_done(settings: Train, file: Path) -> bool:
    """Whether the file holds this job's result.

    Raises:
        ValueError: it holds the result of other settings.
    """
    if not file.is_file():
        return False
    command = _job(file)["command"]
    if command != command_of(settings):
        raise ValueError(
            f"{file} is the result of `{command}`, not of `{command_of(settings)}`; remove it, or give another --results"
        )
    return True


def _measure_again(policies: tuple[str, ...], wanted: Mapping[str, Train], results: Path) -> None:
    """Put these policies' scores of now into the stored results that compare with them.

    Where one of them is an end of the scale, all scores move with it; the half-widths of those that are not measured
    again are None then, because they pair episodes that are not stored.

    Raises:
        ValueError: none does; or an end that is not measured again earns something else than then, so that the trained
            policy's score is of another game.
    """
    from tqdm import tqdm

    done = {
        results / f"{name}.json": settings
        for name, settings in wanted.items()
        if _is_done(settings, results / f"{name}.json")
    }
    stored = {file: result for file in done if set(policies) <= (result := _job(file))["table"].keys()}
    if not stored:
        raise ValueError(f"no result in {results} compares with {' and '.join(policies)}")
    played: dict[Any, np.ndarray] = {}  # several learners compare with the same episodes
    for file, result in tqdm(stored.items(), unit="job"):
        settings = done[file]
        run = run_of(settings, ALGORITHMS[settings.algorithm])
        ends, episodes = (
            scale_ends(run.config),
            (run.config, *run.learners, *run.company.items(), run.seed, settings.eval_episodes),
        )
        samples = {}
        for policy in (*ends, *policies):
            if (policy, episodes) not in played:
                played[policy, episodes] = evaluate(run, policy, settings.eval_episodes)
            samples[policy] = played[policy, episodes]
        scores = place_on_scale(samples, *ends)
        for end in set(ends) - set(policies):
            if not np.isclose(scores[end]["mean"], result["table"][end]["mean"]):
                raise ValueError(f"{end} earns something else than in {file}: train that job again")
        table = result["table"]
        table |= {policy: scores[policy] for policy in policies}
        if set(ends) & set(policies):
            low, high = (scores[end]["mean"] for end in ends)
            for policy in table.keys() - scores.keys():
                table[policy] |= {
                    "score": 100 * (table[policy]["mean"] - low) / (high - low),
                    "score_ci95": None,
                }
        result.setdefault("measured_again", {}).update(dict.fromkeys(policies, provenance()))
        write_json(file, result)


def _job(file: Path) -> dict[str, Any]:
    """The result of a job; raises `FileError` if the file is damaged or holds something else."""
    job: dict[str, Any] = read_json(file, JOB, "result of a reference learner")
    if not job["curve"] or "trained" not in job["table"]:
        raise FileError(f"{file} holds no result of a reference learner: its curve is empty or its score is missing")
    return job


def _train(settings: Train, folder: Path, file: Path) -> int:
    """Run a job in a process of its own and store its result and learning curve; its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *shlex.split(command_of(settings))[1:], "--out", str(folder)]
    with (folder / "log.txt").open("w") as log:
        code = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
        ).returncode
    if code == 0:
        write_json(file, {**read_json(folder / "result.json"), "curve": read_curve(folder / "curve.json")})
    return code


def training_summary(folder: Path) -> dict[str, Any]:
    """Scores of every learner on every task, over its seeds.

    Args:
        folder: of the jobs' results.

    Returns:
        origin; learners: name -> algorithm, settings and tasks: task -> seeds; own reward per learner and episode:
        reward, another_seed (interval for one more seed), untrained, gain, runs (of it and the references, a value for
        each seed); score (0 and 100 as in `recsys_env.evaluation.scale_ends`, in the same variant of the
        task); agent_steps, seconds, environment_share; and dilemma, where the task has one and the
        agents are selfish: where the reward lies between P (all myopic, 0) and R (all planners, 1) of
            `benchmarks.tension`; curve: agent_steps and
        episode_reward [seeds][P] while training.
    """
    results, learners = [], {}
    for name, (algorithm, tasks, seeds, settings) in LEARNERS.items():
        rows = {}
        for task in tasks:
            files = [folder / f"{name}-{task}-{seed}.json" for seed in range(seeds)]
            runs = [_job(file) for file in files if file.is_file()]
            if runs:
                rows[task] = _row(task, runs)
                results += runs
        if rows:
            learners[name] = {"algorithm": algorithm, "settings": settings, "tasks": rows}
    return {
        "origin": {**origin(results), "command": ["python -m baselines reference"]} if results else {},
        "learners": learners,
    }


def _row(task: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rewards = np.array([run["after"]["mean"] for run in runs])
    scores = [run["table"]["trained"].get("score") for run in runs]  # none where random earns as much as greedy
    row = {
        "seeds": [run["seeds"] for run in runs], "reward": interval(rewards), "another_seed": prediction(rewards),
        "untrained": interval(np.array([run["before"]["mean"] for run in runs])), "gain": interval(np.array([run["gain"]["mean"] for run in runs])),
        "score": {"mean": None, "ci95": None} if None in scores else interval(np.array(scores)),
        "runs": {name: [run["table"][name]["mean"] for run in runs] for name in runs[0]["table"] if all(name in run["table"] for run in runs)},
        "curve": common_curve([run["curve"] for run in runs]), "agent_steps": runs[0]["training"]["agent_steps"],
        "seconds": float(np.mean([run["training"]["seconds"] for run in runs])),
        "environment_share": float(np.mean([run["training"]["environment_share"] for run in runs])),
    }  # fmt: skip
    measured = read_json(TENSION, TENSION_FORM, "result of benchmarks.tension") if TENSION.is_file() else {"tasks": {}}
    tension = measured["tasks"].get(task)
    selfish = TASKS[task].reward.sharing == 0 and not any(
        "--sharing" in run["command"] or "--observability" in run["command"] for run in runs
    )
    if (
        tension
        and selfish
        and tension["R"]["mean"] - tension["P"]["mean"] > tension["R"]["ci95"] + tension["P"]["ci95"]
    ):
        row["dilemma"] = interval((rewards - tension["P"]["mean"]) / (tension["R"]["mean"] - tension["P"]["mean"]))
    return row


if __name__ == "__main__":
    cli.run(reference, "baselines.reference")
