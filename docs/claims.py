"""Claims about the stored results, each with the differences that support or contradict it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from recsys_env.evaluation.statistics import by_seed, interval

FILTERS = ("implicit", "implicit-bpr", "implicit-knn", "surprise", "surprise-knn", "lightfm")
RIVALS = {  # two learners of the same budget -> the claim that the first earns more
    ("ppo-torch-team", "ppo-torch"): "PPO paid by the team's reward (`{}`) earns more than PPO paid by its own (`{}`)",
    ("cma-es", "ppo-torch-team"): "A ranker searched without gradients (`{}`) earns more than PPO for the team (`{}`)",
}

Difference = dict[str, float | None]
Claim = tuple[str, dict[str, Difference]]


def claims(evaluation: Mapping[str, Any], training: Mapping[str, Any]) -> list[Claim]:
    """The claims that the stored results can support or contradict.

    Args:
        evaluation: of `recsys_env.evaluation.statistics.summary`.
        training: of `baselines.reference.training_summary`.

    Returns:
        (claim, differences) for each. Differences are of individual reward per agent and episode, by task or "task:
        learner that leads there", positive where the claim holds; paired by the runs' seeds, with the half-width of
        their 95 % interval.
    """
    tasks = evaluation.get("tasks", {})
    return [*_of_policies(tasks), *_of_learners(training.get("learners", {}), tasks)]


def _of_policies(tasks: Mapping[str, Any]) -> Iterator[Claim]:
    everywhere = set.intersection(*(set(task["teams"]) for task in tasks.values())) if tasks else set()
    for name in ("content", *FILTERS):
        if {name, "popularity"} <= everywhere:
            yield (
                f"`{name}` earns more than `popularity`",
                {task: _between(tasks[task]["teams"], name, "popularity") for task in tasks},
            )


def _of_learners(learners: Mapping[str, Any], tasks: Mapping[str, Any]) -> Iterator[Claim]:
    as_it_is = {
        name: of["tasks"] for name, of in learners.items() if not {"set", "observability"} & of["settings"].keys()
    }
    for policy in ("blind", "content", "static"):
        if best := _best_learners(as_it_is, policy, tasks):
            yield f"The best trained team earns more than `{policy}`", best
    for pair, claim in RIVALS.items():
        one, other = (learners.get(name, {"tasks": {}})["tasks"] for name in pair)
        if both := [task for task in one if task in other]:
            gains = {task: _paired(*(_trained_by_seed(of[task]) for of in (one, other))) for task in both}
            yield claim.format(*pair), gains


def verdict(differences: Mapping[str, Difference]) -> str:
    """Say on how many tasks the claim holds beyond its interval, and on how many the opposite does."""
    signs = [_sign(difference) for difference in differences.values()]
    return f"holds on {signs.count(1)} of {len(signs)}, fails on {signs.count(-1)}"


def holds(differences: Mapping[str, Difference]) -> int:
    """Count the tasks on which the claim holds beyond its interval."""
    return sum(_sign(difference) == 1 for difference in differences.values())


def _sign(difference: Difference) -> int:
    mean, width = difference["mean"], difference["ci95"]
    return 0 if mean is None or width is None or abs(mean) <= width else int(np.sign(mean))


def _between(teams: Mapping[str, Any], better: str, worse: str) -> Difference:
    """Difference of two teams."""
    return _paired(by_seed(teams[better]), by_seed(teams[worse]))


def _paired(better: Mapping[int, float], worse: Mapping[int, float], among: int = 1) -> Difference:
    """Difference of two rewards, paired on the seeds that both were played on; there must be some."""
    return interval(np.array([better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]), among)


def _trained_by_seed(row: Mapping[str, Any]) -> dict[int, float]:
    return dict(zip((seed["evaluation"] for seed in row["seeds"]), row["runs"]["trained"], strict=True))


def _best_learners(
    rows: Mapping[str, Mapping[str, Any]], policy: str, tasks: Mapping[str, Any]
) -> dict[str, Difference]:
    """ "task: learner" -> lead of the task's best learner, by the mean of all its runs, over the policy, on the seeds
    that both have. Only learners with several such seeds count; the interval allows for choosing the best of them
    (Bonferroni)."""
    found = {}
    for task in dict.fromkeys(task for of in rows.values() for task in of):
        played = by_seed(teams[policy]) if policy in (teams := tasks.get(task, {"teams": {}})["teams"]) else {}
        mine = {name: _trained_by_seed(of[task]) for name, of in rows.items() if task in of}
        mine = {name: of for name, of in mine.items() if len(of.keys() & played.keys()) > 1}
        if mine:
            gains = {name: _paired(of, played, among=len(mine)) for name, of in mine.items()}
            leader = max(mine, key=lambda name: np.mean(list(mine[name].values())))
            found[f"{task}: {leader}"] = gains[leader]
    return found
