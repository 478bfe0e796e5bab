"""What we hope to see in the stored results, and what they say: each claim computed from the scores, in either
direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from recsys_env.evaluation.statistics import by_seed, interval

FILTERS = ("implicit", "implicit-bpr", "implicit-knn", "surprise", "surprise-knn", "lightfm")
BANDITS = ("linucb", "linear-thompson", "epsilon-greedy")
TEAMS = (  # learners that play the task as it is
    "ippo",
    "ippo-team",
    "ippo-selfish",
    "item-ppo",
    "item-ppo-team",
    "item-ppo-selfish",
    "ippo-separate",
    "maskable-ppo",
    "recurrent-ppo",
    "transformer-ppo",
)
SEEING = ("ippo-full", "item-ppo-full-team")
SHARING = (  # trained on the team's reward, the same trained on its own, task
    ("ippo", "ippo-selfish", "journey-v1"),
    ("item-ppo", "item-ppo-selfish", "journey-v1"),
    ("ippo-team", "ippo", "social-v1"),
    ("item-ppo-team", "item-ppo", "social-v1"),
)

Difference = dict[str, float | None]
Claim = tuple[str, dict[str, Difference]]


def claims(evaluation: Mapping[str, Any], training: Mapping[str, Any]) -> list[Claim]:
    """The claims that the stored results can speak to.

    Args:
        evaluation: of `recsys_env.evaluation.statistics.summary`.
        training: of `baselines.reference.training_summary`.

    Returns:
        (claim, differences) for each. Differences are of own reward per agent and episode, by task or "task: learner
        that leads there", positive where the claim holds; paired by the runs' seeds, with the half-width of their 95 %
        interval.
    """
    return [*_of_policies(evaluation.get("tasks", {})), *_of_learners(training.get("learners", {}))]


def _of_policies(tasks: Mapping[str, Any]) -> Iterator[Claim]:
    everywhere = set.intersection(*(set(task["teams"]) for task in tasks.values())) if tasks else set()
    filters, bandits = ([name for name in names if name in everywhere] for names in (FILTERS, BANDITS))
    for name in ("content", *filters):
        if {name, "popularity"} <= everywhere:
            yield (
                f"{name} above popularity",
                {task: _between(tasks[task]["teams"], name, "popularity") for task in tasks},
            )
    if filters and bandits and "coldstart-v1" in tasks:
        teams = tasks["coldstart-v1"]["teams"]
        bandit, best_filter = (max(names, key=lambda name: teams[name]["mean"]) for names in (bandits, filters))
        claim = "where users are new, the best bandit above the best collaborative filter"
        yield claim, {"coldstart-v1": _between(teams, bandit, best_filter)}


def _of_learners(learners: Mapping[str, Any]) -> Iterator[Claim]:
    trained = {name: learners[name]["tasks"] for name in TEAMS if name in learners}
    seen = {name: learners[name]["tasks"] for name in SEEING if name in learners}
    for claim, among, policy in (
        ("the best trained team above the myopic observer `content`", trained, "content"),
        ("with the latent visitor in sight, the best trained team above the myopic oracle `greedy`", seen, "greedy"),
    ):
        if best := _best_learners(among, policy):
            yield claim, best
    for team, selfish, task in SHARING:
        rows = [learners.get(name, {"tasks": {}})["tasks"].get(task) for name in (team, selfish)]
        if all(rows):
            claim = f"trained with `sharing=1` (`{team}`) above trained selfishly (`{selfish}`)"
            yield claim, {task: _paired(*map(_trained_by_seed, rows))}


def verdict(differences: Mapping[str, Difference]) -> str:
    """On how many tasks the claim holds beyond its interval, on how many the opposite does."""
    signs = [_sign(difference) for difference in differences.values()]
    return f"holds on {signs.count(1)} of {len(signs)}, fails on {signs.count(-1)}"


def _sign(difference: Difference) -> int:
    mean, width = difference["mean"], difference["ci95"]
    return 0 if mean is None or width is None or abs(mean) <= width else int(np.sign(mean))


def _between(teams: Mapping[str, Any], better: str, worse: str) -> Difference:
    """Difference of two teams."""
    return _paired(by_seed(teams[better]), by_seed(teams[worse]))


def _paired(better: Mapping[int, float], worse: Mapping[int, float]) -> Difference:
    """Difference of two rewards by seed, on the seeds of both."""
    return interval(np.array([better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]))


def _trained_by_seed(row: Mapping[str, Any]) -> dict[int, float]:
    return dict(zip((seed["training"] for seed in row["seeds"]), row["runs"]["trained"], strict=True))


def _best_learners(rows: Mapping[str, Mapping[str, Any]], policy: str) -> dict[str, Difference]:
    """ "task: learner" -> what the learner that leads there, of those with several seeds, has over the policy."""
    found = {}
    for task in dict.fromkeys(task for of in rows.values() for task in of):
        gains = {
            name: _against(of[task], policy)
            for name, of in rows.items()
            if task in of and len(of[task]["runs"].get(policy, ())) > 1
        }
        if gains:
            leader = max(gains, key=lambda name: gains[name]["mean"] or 0.0)
            found[f"{task}: {leader}"] = gains[leader]
    return found


def _against(row: Mapping[str, Any], policy: str) -> Difference:
    """Trained minus this policy, on the same unseen episodes, over training seeds."""
    return interval(np.subtract(row["runs"]["trained"], row["runs"][policy]))
