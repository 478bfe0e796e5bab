"""Compare policies on tasks: reward, normalised score and metrics, with intervals
(`recsys_env.evaluation.statistics` defines them).

    python -m recsys_env evaluate --policies random content greedy my_file:MyPolicy --tasks ecommerce-v1 duel-v1
    python -m recsys_env evaluate --policies "runs/ippo-{task}-{seed}" recommender_0=content,recommender_1=popularity

A policy is a name in `recsys_env.policies.POLICIES`, the folder of a trained policy, or your own `module:factory`. A
team is the same policy for every agent, with a separate object for each, or a mixed team for one task,
`agent=policy,agent=policy`. `{task}` and `{seed}` are replaced by the name of the task and the number of the run, so
that every run can play a policy trained with its own seed. Fields of a task may be changed:
`streaming-v1,observability=full`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .. import cli
from ..files import checked_path, write_json
from . import scenarios
from .episodes import asked_or_usual
from .runs import Run, checked_request, play_all
from .scenarios import play_scenarios
from .statistics import scale_ends, summary
from .tables import aggregate_rows, cost_table, grid, metric_rows, reward_rows

USUAL_TASKS = ("ecommerce-v1",)


def evaluate(
    policies: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] = USUAL_TASKS,
    episodes: int = 50,
    seeds: int = 5,
    warmup: int = 1,
    metrics: bool = True,
    out: Path = Path("runs/evaluation"),
    resume: bool = False,
) -> dict[str, Any]:
    """Evaluate policies on tasks: individual reward, normalised score and metrics.

    Args:
        policies: names, folders of trained policies, module:factory, or mixed teams agent=policy,agent=policy. None =
            those that `compared` names for each task.
        tasks: names of tasks, or of suites for all of their tasks (`tasks.SUITES`), optionally with changed fields:
            streaming-v1,observability=full. catalogues=train or catalogues=unseen among the fields gives every run its
            own world (`cli.CATALOGUES`).
        episodes: episodes per run.
        seeds: number of runs, each on its own held-out seed, which training never uses.
        warmup: episodes that a policy which learns while it serves plays before each run.
        metrics: also measure CTR, NDCG, diversity and other metrics, and the time of a page.
        out: folder for one file per run, and for evaluation.json.
        resume: keep the runs that are already in the folder. A second process may share the work: give it the tasks or
            policies in another order.

    Returns:
        tasks: task -> episodes, ends, agents, teams (team -> its mean, interval, score, metrics and runs, best first)
        and differences; aggregate: see `statistics.aggregate`. `show` prints it.

    Raises:
        ValueError, ImportError, RuntimeError: a name is unknown, or as in `recsys_env.evaluation.runs.play_all`.
    """
    cli.require("evaluate", "scipy", "rich", "tqdm")
    out = checked_path("out", out)
    policies = checked_request(policies, episodes, seeds, warmup, teams=True, tasks=tasks)
    cli.check_a_world_for_each_seed(tasks, seeds)
    configs = {task: cli.config_of(task) for task in cli.tasks_of(tasks)}
    teams = {
        task: dict.fromkeys((*scale_ends(config), *asked_or_usual(policies, config)))
        for task, config in configs.items()
    }
    runs = [
        Run(task, team, seed, episodes, warmup, metrics)
        for task in teams
        for seed in range(seeds)
        for team in teams[task]
    ]
    report = summary(play_all(runs, out, resume))
    write_json(out / "evaluation.json", report)
    return report


@dataclass(frozen=True)
class Command:
    """Score policies on tasks and compare them, or score them in scenarios with held-out opponents and teammates."""

    policies: tuple[str, ...] | None = None
    """Names, folders of trained policies, module:factory, or (on tasks) mixed teams agent=policy,agent=policy. By
    default, simple policies and oracles that can play the task."""
    tasks: tuple[str, ...] | None = None
    """By default ecommerce-v1. Names of tasks, or of suites for all of their tasks (marl, ranking), optionally with
    changed fields: streaming-v1,observability=full."""
    scenarios: tuple[str, ...] = ()
    """Names of scenarios, or of tasks for all of their scenarios. They are played instead of the tasks."""
    episodes: int = 50
    """Episodes per run."""
    seeds: int = 5
    """Number of runs. Each has its own held-out seed, which training never uses."""
    warmup: int = 1
    """Episodes that a policy which learns while it serves plays before each run."""
    metrics: bool = True
    """On tasks: also measure CTR, NDCG, diversity and other metrics, and the time of a page. Without them, policies in
    compiled code play faster."""
    out: Path = Path("runs/evaluation")
    """Folder for one file per run, and for evaluation.json or scenarios.json."""
    resume: bool = False
    """Keep the runs that are already in the folder. A second process may share the work: give it the tasks or policies
    in another order."""
    catalogues: Literal["train", "unseen"] | None = None
    """On tasks: give every run its own world, from the training worlds (train: world seeds 0 to 15) or from the
    held-out ones (unseen: 16 to 31)."""


def command(evaluation: Command) -> dict[str, Any]:
    """Score policies on tasks and compare them, or score them in scenarios with held-out opponents and teammates."""
    shared = {name: getattr(evaluation, name) for name in ("episodes", "seeds", "warmup", "out", "resume")}
    if evaluation.scenarios:
        for option in ("tasks", "catalogues"):
            if getattr(evaluation, option) is not None:
                raise ValueError(
                    f"--{option} does not go with --scenarios, which play the tasks and worlds that they name"
                )
        return play_scenarios(evaluation.policies, evaluation.scenarios, **shared)
    worlds = f",catalogues={evaluation.catalogues}" if evaluation.catalogues else ""
    named = USUAL_TASKS if evaluation.tasks is None else evaluation.tasks
    tasks = tuple(f"{task}{worlds}" for task in named)
    return evaluate(evaluation.policies, tasks, metrics=evaluation.metrics, **shared)


def show(report: Mapping[str, Any]) -> None:
    """Print the tables of a result of `evaluate` or `play_scenarios`."""
    if "scenarios" in report:
        scenarios.show(report)
        return
    for name, task in report["tasks"].items():
        low, high = task["ends"]
        settings = [row["origin"]["settings"] for row in task["teams"].values()]
        runs, warm = max(len(s["seeds"]) for s in settings), max(s["warmup"] for s in settings)
        title = f"{name}: {runs} runs of {task['episodes']} episodes on unseen seeds; ± 95 % (t over runs)"
        if any(row["learns"] for row in task["teams"].values()):
            title += f"; *: learns while it serves, after {warm} warm-up episode{'' if warm == 1 else 's'}"
        grid(
            title,
            ["policy", "individual reward per agent", "by agent", f"0 = {low}, 100 = {high}", "minus the next"],
            reward_rows(task),
        )
        if any(row["metrics"] for row in task["teams"].values()):
            grid(
                f"{name}: the platform (each agent's values are in the raw file)",
                ["metric", *task["teams"], "unit"],
                metric_rows(task),
            )
        units, costs = cost_table(task)
        if costs:
            grid(f"{name}: cost of a page on this machine (ms: milliseconds of acting)", units, costs)
    for suite, over in report["aggregate"].items():
        title = f"{suite}, {len(over['tasks'])} tasks: normalised scores [95 % bootstrap]"
        grid(title, ["policy", "IQM", "mean", "P(better than the next)"], aggregate_rows(report, suite))
