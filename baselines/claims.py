"""What we hope to see in the reference results, and what they say: each claim computed from the stored scores, in
either direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from recsys_env.evaluation.statistics import interval

FILTERS = ("implicit", "implicit-bpr", "implicit-knn", "surprise", "surprise-knn", "lightfm")
BANDITS = ("linucb", "linear-thompson", "epsilon-greedy")
TEAMS = (  # learners that play the task as it is
    "ippo", "ippo-team", "ippo-selfish", "item-ppo", "item-ppo-team", "item-ppo-selfish",
    "ippo-separate", "maskable-ppo", "recurrent-ppo", "transformer-ppo",
)  # fmt: skip
SEEING = ("ippo-full", "item-ppo-full-team")
SHARING = (  # trained on the team's reward, the same trained on its own, task
    ("ippo", "ippo-selfish", "journey-v0"), ("item-ppo", "item-ppo-selfish", "journey-v0"),
    ("ippo-team", "ippo", "social-v0"), ("item-ppo-team", "item-ppo", "social-v0"),
)  # fmt: skip

Difference = dict[str, float | None]


def claims(evaluation: Mapping[str, Any], training: Mapping[str, Any]) -> list[tuple[str, dict[str, Difference]]]:
    """The claims that the stored results can speak to.

    Args:
        evaluation: of `scores.summary`.
        training: of `reference.training_summary`.

    Returns:
        (claim, differences) for each. Differences are of own reward per agent and episode, by task or "task: learner
        that leads there", positive where the claim holds; paired by the runs' seeds, with the half-width of their 95 %
        interval.
    """
    tasks, learners = evaluation.get("tasks", {}), training.get("learners", {})
    everywhere = set.intersection(*(set(task["teams"]) for task in tasks.values())) if tasks else set()
    filters, bandits = ([name for name in names if name in everywhere] for names in (FILTERS, BANDITS))

    def by_task(
        better: Callable[[Any], str], worse: Callable[[Any], str], among: Mapping[str, Any]
    ) -> dict[str, Difference]:
        return {
            name: _between(task["teams"], better(task["teams"]), worse(task["teams"])) for name, task in among.items()
        }

    found: list[tuple[str, dict[str, Difference]]] = []
    if {"content", "popularity"} <= everywhere:
        found.append(("content above popularity", by_task(lambda _: "content", lambda _: "popularity", tasks)))
    for name in filters:
        found.append((f"{name} above popularity", by_task(lambda _, name=name: name, lambda _: "popularity", tasks)))  # type: ignore[misc]
    if filters and bandits and "coldstart-v0" in tasks:
        new = {"coldstart-v0": tasks["coldstart-v0"]}
        found.append(
            (
                "where users are new, the best bandit above the best collaborative filter",
                by_task(_best(bandits), _best(filters), new),
            )
        )
    trained = {name: learners[name]["tasks"] for name in TEAMS if name in learners}
    seen = {name: learners[name]["tasks"] for name in SEEING if name in learners}
    for claim, among, reference in (
        ("the best trained team above the myopic observer `content`", trained, "content"),
        ("with the latent visitor in sight, the best trained team above the myopic oracle `greedy`", seen, "greedy"),
    ):
        if best := _best_learners(among, reference):
            found.append((claim, best))
    for team, selfish, task in SHARING:
        rows = [learners.get(name, {"tasks": {}})["tasks"].get(task) for name in (team, selfish)]
        if all(rows):
            together, alone = (
                dict(zip((seed["training"] for seed in row["seeds"]), row["runs"]["trained"], strict=True))
                for row in rows
            )
            found.append(
                (
                    f"trained with `sharing=1` (`{team}`) above trained selfishly (`{selfish}`)",
                    {task: _paired(together, alone)},
                )
            )
    return found


def verdict(differences: Mapping[str, Difference]) -> str:
    """On how many tasks the claim holds beyond its interval, on how many the opposite does."""
    signs = [
        0
        if d["mean"] is None or d["half_width_95"] is None or abs(d["mean"]) <= d["half_width_95"]
        else np.sign(d["mean"])
        for d in differences.values()
    ]
    return f"holds on {signs.count(1)} of {len(signs)}, fails on {signs.count(-1)}"


def _between(teams: Mapping[str, Any], better: str, worse: str) -> Difference:
    """Difference of two teams."""
    return _paired(*(dict(zip(teams[team]["seeds"], teams[team]["runs"], strict=True)) for team in (better, worse)))


def _paired(better: Mapping[int, float], worse: Mapping[int, float]) -> Difference:
    """Difference of two rewards by seed, on the seeds of both."""
    return interval(np.array([better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]))


def _best(names: list[str]) -> Callable[[Any], str]:
    return lambda teams: max(names, key=lambda name: teams[name]["mean"])


def _best_learners(rows: Mapping[str, Mapping[str, Any]], reference: str) -> dict[str, Difference]:
    """ "task: learner" -> what the learner that leads there, of those with several seeds, has over the reference."""
    found = {}
    for task in dict.fromkeys(task for of in rows.values() for task in of):
        gains = {
            name: _against(of[task], reference)
            for name, of in rows.items()
            if task in of and len(of[task]["runs"].get(reference, ())) > 1
        }
        if gains:
            leader = max(gains, key=lambda name: gains[name]["mean"] or 0.0)
            found[f"{task}: {leader}"] = gains[leader]
    return found


def _against(row: Mapping[str, Any], reference: str) -> Difference:
    """Trained minus reference, on the same unseen episodes, over training seeds."""
    return interval(np.subtract(row["runs"]["trained"], row["runs"][reference]))
