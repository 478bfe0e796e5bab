"""How far learners end from the exact solution of the finite games.

    python -m benchmarks.studies.distances [--folder FOLDER]

FOLDER holds the trained policies, as `python -m baselines reference --out FOLDER` keeps them (default: runs/reference).
Each policy is played to find how often it takes each action in each state. The long-run reward and the regrets of that
table are exact (`recsys_env.exact`). If a policy reacts to something that the table does not hold, the reason is stored
instead. Seeds whose folders are missing keep their stored rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.learners import FINITE
from baselines.reference import ReferenceJob, jobs
from recsys_env import cli
from recsys_env.exact.report import NAMED, solve

from ..result_files import earlier, store
from .study import options

CRITERION = "average"  # reward per tick in the long run
Runs = dict[str, list[dict[str, Any]]]


def trained(task: str, folder: Path) -> list[ReferenceJob]:
    """The jobs of a task whose policies are in the folder. Learners of vector actions, such as MADDPG, are left out:
    they play the task with other actions and have no place in its table."""
    there = [job for job in jobs(tasks=(task,)) if (folder / job.name / "result.json").is_file()]
    return [job for job in there if not job.algorithm.world().continuous]


def placed(task: str, there: Sequence[ReferenceJob], folder: Path) -> dict[str, Any]:
    """The solution of a task, in which the policies of the package and then those of these jobs are placed."""
    return solve(task, criterion=CRITERION, policies=(*NAMED, *(str(folder / job.name) for job in there)))


def distances(solved: Mapping[str, Any], there: Sequence[ReferenceJob]) -> Runs:
    """learner -> the result of each trained seed: own [N] per tick, nash_conv, and each agent's policy if it takes one
    action in each payoff-relevant state. If the policy is not in the table, `missing` holds the reason."""
    runs: Runs = {}
    for job, row in zip(there, solved["policies"][len(NAMED) :], strict=True):
        found = {name: row[name] for name in ("policies", "individual_reward", "nash_conv", "missing") if name in row}
        runs.setdefault(job.learner, []).append({"seed": job.algorithm.seed, **found})
    return runs


def merged(stored: Mapping[str, Any], found: Runs) -> Runs:
    """All learners and seeds of both. A seed that is in both has the new result."""
    by_seed = {
        name: {run["seed"]: run for runs in (stored.get(name, ()), found.get(name, ())) for run in runs}
        for name in {**stored, **found}
    }
    return {name: [runs[seed] for seed in sorted(runs)] for name, runs in by_seed.items()}


def landmarks(solved: Mapping[str, Any]) -> dict[str, Any]:
    """What the learners may end at: name -> individual reward per agent and tick, and nash_conv."""
    rows = [row for row in solved["policies"][: len(NAMED)] if "missing" not in row]
    named = {row["name"]: {"individual_reward": mean(row), "nash_conv": row["nash_conv"]} for row in rows}
    alike = [e for e in solved["equilibria"] if e["symmetric"]]
    found = {
        f"equilibrium {e['policies'][0]}": {"individual_reward": e["individual_reward"][0], "nash_conv": 0.0}
        for e in alike
    }
    return {
        "optimum": {"individual_reward": solved["optimum"]["individual_reward"], "nash_conv": None},
        **found,
        **named,
    }


def in_table(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The runs that have a place in the table."""
    return [run for run in runs if "missing" not in run]


def mean(run: Mapping[str, Any]) -> float:
    """Individual reward per agent and tick."""
    return float(np.mean(run["individual_reward"]))


def main() -> None:
    given = options(__doc__, folder="runs/reference")
    folder = Path(given.folder)
    policies = {task: trained(task, folder) for task in FINITE}
    if not any(policies.values()):
        games = " or ".join(FINITE)
        cli.fail(f"{folder} holds no trained learner of {games}; `python -m baselines reference` trains them")
    tasks: dict[str, Any] = earlier("distances", "tasks", {"criterion": CRITERION})
    try:
        for task, there in policies.items():
            solved = placed(task, there, folder)
            learners = merged(tasks.get(task, {}).get("learners", {}), distances(solved, there))
            tasks[task] = {"landmarks": landmarks(solved), "learners": learners}
            for name, runs in learners.items():
                print(f"{task} {name}: {', '.join(f'{mean(run):.3f}' for run in in_table(runs)) or 'none'}")
    except (ValueError, ImportError) as error:
        cli.fail(error)
    print(store("distances", {"criterion": CRITERION}, {"tasks": tasks}))


if __name__ == "__main__":
    main()
