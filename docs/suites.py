"""What the documentation says of the suites of tasks: what their scores mean, which policies stand above the reference
100, and why the other tasks are in no suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import claims
import measured
import numpy as np

from baselines.learners import PUBLISHED
from recsys_env import SUITES, TASKS, cli
from recsys_env.config.tasks import suite_of
from recsys_env.evaluation.statistics import by_seed, interval, scale_ends
from recsys_env.evaluation.tables import markdown, normalised, spread
from recsys_env.policies import ORACLES, knowledge


def suites() -> str:
    """Each suite with its purpose and tasks, then each example with the reason why it is in none."""
    lines = [
        f"- **{suite.title}** (`{name}`). {suite.purpose} {', '.join(f'`{task}`' for task in suite.tasks)}."
        for name, suite in SUITES.items()
    ]
    examples = [f"- `{task}`. {reason(task)}" for task in TASKS if not suite_of(task)]
    return "\n".join(
        [
            *lines,
            "\nThe other tasks are examples. They can be played, stay as they are and have their cards, but no scores "
            "on the leaderboard. Why each is in no suite:\n",
            *examples,
        ]
    )


# ------------------------------------------------------------------------------------------------ the scale of a task


def by_task(tasks: Iterable[str] = PUBLISHED) -> str:
    """A row for each of these tasks: the two ends of its scale, what the reference 100 knows, the best policy that uses
    observations only, and the best learner."""
    rows = [
        [f"`{task}`", f"`{name}`", *_scale(task), _best_observing(task), _best_learner(task)]
        for name, suite in SUITES.items()
        for task in suite.tasks
        if task in tasks
    ]
    last = ["what 100 knows", "the best untrained policy that uses observations only", "the best learner"]
    return markdown(["task", "suite", "0", "100", *last], rows)


def _scale(task: str) -> list[str]:
    low, high = scale_ends(cli.config_of(task))
    return [f"`{low}`", f"`{high}`", knowledge(high)]


def _best_observing(task: str) -> str:
    teams = measured.played().get(task, {"teams": {}})["teams"]
    if not teams:
        return "Not measured yet"
    best = next(team for team in teams if team not in ORACLES)  # they are in order
    return f"`{best}` {normalised(teams[best], 0)}"


def _best_learner(task: str) -> str:
    scores = scores_of_learners(task)
    if not scores:
        return "Not measured yet"
    best = max(scores, key=lambda name: float(scores[name]["mean"] or 0.0))
    return f"`{best}` {spread(scores[best], 0)}"


def above_hundred(task: str, scores: Mapping[str, Mapping[str, float | None]]) -> str:
    """Say which policies or learners score more than 100, and whether they do beyond their intervals; "" if none does.

    Args:
        scores: name -> score with its interval.
    """
    high = scale_ends(cli.config_of(task))[1]
    above = {name: of for name, of in scores.items() if of["mean"] is not None and round(of["mean"]) > 100}
    beyond = {name: of for name, of in above.items() if of["ci95"] is not None and of["mean"] - of["ci95"] > 100}
    said = []
    if beyond:
        said.append(
            f"On `{task}` {_listed(beyond)} above 100, beyond the interval, so a better policy than the reference "
            f"`{high}` is known."
        )
    if within := above.keys() - beyond.keys():
        said.append(
            f"On `{task}` {_listed({name: above[name] for name in above if name in within})} above 100, but not beyond "
            f"the interval: these runs do not tell it from the reference `{high}`."
        )
    return " ".join(said)


def _listed(scores: Mapping[str, Mapping[str, float | None]]) -> str:
    names = " and ".join(f"`{name}` ({spread(of, 0)})" for name, of in scores.items())
    return f"{names} {'scores' if len(scores) == 1 else 'score'}"


def scores_of(task: str) -> dict[str, dict[str, float | None]]:
    """The scores of the policies on a task: of the evaluation, and on the card of those that it lacks, such as the
    results of searches."""
    teams = {
        **{name: row for name, row in measured.evidence(task).get("rows", {}).items() if "score" in row},
        **measured.played().get(task, {"teams": {}})["teams"],
    }
    return {team: {"mean": row["score"], "ci95": row["score_ci95"]} for team, row in teams.items()}


def scores_of_learners(task: str) -> dict[str, dict[str, float | None]]:
    """The scores of the learners on a task; the interval of the reference 100 is added to theirs, because learners play
    other episodes."""
    if task not in measured.played():
        return {}
    low, high = (measured.played()[task]["teams"][end] for end in scale_ends(cli.config_of(task)))
    unit, found = 100 / (high["mean"] - low["mean"]), {}
    for name, learner in measured.training()["learners"].items():
        if task in learner["tasks"]:
            reward = learner["tasks"][task]["reward"]
            width = None if reward["ci95"] is None else unit * (reward["ci95"] + high["ci95"])
            found[name] = {"mean": unit * (reward["mean"] - low["mean"]), "ci95": width}
    return found


def claims_of(suite: str) -> list[claims.Claim]:
    """The claims, checked on the tasks of a suite."""
    tasks = SUITES[suite].tasks
    policies = {task: of for task, of in measured.played().items() if task in tasks}
    learners = {
        name: {**learner, "tasks": {task: row for task, row in learner["tasks"].items() if task in tasks}}
        for name, learner in measured.training()["learners"].items()
    }
    return claims.claims({"tasks": policies}, {"learners": learners})


# ------------------------------------------------------------------------------------------------ examples


def reason(task: str) -> str:
    """Why a task is in no suite: looking ahead gains nothing in it, or it ranks policies as a task in a suite does."""
    if task not in measured.played():
        return "Not measured yet."
    gain = lead(task, "planner", "greedy")
    if gain["mean"] <= (gain["ci95"] or 0):
        return (
            f"Looking ahead gains nothing in it that was found: `planner` earns {spread(gain)} more than `greedy` per "
            "agent and episode."
        )
    alike = {other: likeness(task, other) for other in SUITES["ranking"].tasks if other in measured.played()}
    nearest = max(alike, key=lambda other: alike[other])
    return (
        f"It ranks the {len(_observing(task, nearest))} policies that use observations only much as `{nearest}` does "
        f"(Spearman's ρ {alike[nearest]:.2f})."
    )


def lead(task: str, one: str, other: str) -> dict[str, float]:
    """What one policy earns more than another on a task, paired by seed."""
    ours, theirs = (by_seed(measured.played()[task]["teams"][team]) for team in (one, other))
    return interval(np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs]))


def likeness(one: str, other: str) -> float:
    """Spearman's rank correlation of two tasks: of the rewards of all policies that use observations only."""
    from scipy.stats import spearmanr

    teams = [measured.played()[task]["teams"] for task in (one, other)]
    return float(spearmanr(*([of[team]["mean"] for team in _observing(one, other)] for of in teams))[0])


def _observing(one: str, other: str) -> list[str]:
    """The policies that use observations only and were measured on both tasks."""
    teams = [measured.played()[task]["teams"] for task in (one, other)]
    return [team for team in teams[0] if team in teams[1] and team not in ORACLES]
