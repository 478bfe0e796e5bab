"""What stored results look like, for those who read them (`recsys_env.files.misfit`). Other fields may be there too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..files import FileError, digest_of_value, read_json

_SOURCE = {"command": str, "commit": (str, None), "date": str, "processor": str, "versions": {str: str}}
_SOURCES = {"command": [str], "commit": [str], "date": [str], "processor": [str], "versions": {str: [str]}}
_MEAN = {"mean": float, "half_width_95": (float, None)}
_SCORE = {"mean": (float, None), "half_width_95": (float, None)}
_COMMON_CURVE = {"agent_steps": [float], "episode_reward": [[float]]}

CURVE = [{"agent_steps": int, "episode_reward": float}]  # curve.json of a training run
RUN = {  # of an evaluation or a tournament; see `cells.play`
    "task": str, "team": str, "seed": int, "episodes": int, "warmup": int, "learns": bool, "made_of": {str: str},
    "config": str, "agents": [str], "own": [[float]], "metrics": {str: [(float, None)]}, "seconds": float,
    "digest": str, **_SOURCE,
}  # fmt: skip
JOB = {  # of a reference learner; see `train.train`
    "before": _MEAN, "after": _MEAN, "gain": _MEAN,
    "table": {str: {"mean": float, "half_width_95": float, "score?": float}},
    "training": {"agent_steps": int, "seconds": float, "environment_share": float},
    "seeds": {"training": int, "evaluation": int}, "curve": CURVE, **_SOURCE,
}  # fmt: skip
_REWARD = {"mean": float, "ci95": float}
TENSION = {"tasks": {str: {"R": _REWARD, "P": _REWARD}}}  # of `benchmarks.tension`
EVALUATION = {  # see `scores.summary`
    "origin": _SOURCES,
    "tasks": {
        str: {
            "episodes": int, "ends": [str], "agents": [str], "differences": {str: _MEAN},
            "teams": {
                str: {
                    **_MEAN, "score": (float, None), "score_half_width_95": (float, None), "seeds": [int],
                    "runs": [float], "run_scores": (None, [float]), "agents": {str: _MEAN}, "agent_runs": [[float]],
                    "learns": bool, "warmup": int, "metrics": {str: {str: _MEAN}},
                    "origin": {"command": [str], "commit": [str], "made_of": {str: str}},
                },
            },
        },
    },
    "aggregate": {"teams": {str: {"iqm": [float], "mean": [float]}}, "improvement": {str: [float]}},
}  # fmt: skip
TOURNAMENT = {  # task -> see `tournament.standings`
    str: {
        "origin": _SOURCES, "cooperative": bool, "agents": int, "episodes": int, "seeds": [int],
        "payoff": {str: {str: {**_MEAN, "runs": [float]}}},
        "ratings?": {str: {"mu": float, "sigma": float}}, "alpha_rank?": {str: float},
        "cross_play?": {str: {"diagonal": _MEAN, "off_diagonal?": _MEAN, "gap?": _MEAN}},
    },
}  # fmt: skip
TRAINING = {  # see `reference.training_summary`
    "origin": _SOURCES,
    "learners": {
        str: {
            "algorithm": str, "settings": {"sharing?": (float, None), "observability?": str, "set?": [str]},
            "tasks": {
                str: {
                    "seeds": [{"training": int, "evaluation": int}], "reward": _MEAN, "another_seed": _MEAN,
                    "untrained": _MEAN, "gain": _MEAN, "score": _SCORE, "runs": {str: [float]}, "curve": _COMMON_CURVE,
                    "agent_steps": int, "seconds": float, "environment_share": float, "dilemma?": _MEAN,
                },
            },
        },
    },
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ reading


def read_run(path: Path) -> dict[str, Any]:
    """A stored run, as it was written.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    run: dict[str, Any] = read_json(path, RUN, "run")
    if signed(run)["digest"] != run["digest"]:
        raise FileError(f"{path} is damaged: it is not what was written; remove it, and it is played again")
    return run


def signed(run: Mapping[str, Any]) -> dict[str, Any]:
    """The run with a digest of all else that it holds."""
    fields = {name: value for name, value in run.items() if name != "digest"}
    return {**fields, "digest": digest_of_value(fields)}


def read_curve(path: Path) -> list[dict[str, float]]:
    """The learning curve of a training run, which has a point at least.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    curve: list[dict[str, float]] = read_json(path, CURVE, "curve.json of a training run")
    if not curve:
        raise FileError(f"{path} holds no curve.json of a training run: it is empty")
    return curve


def read_result(path: Path) -> Any:
    """A stored summary, whose kind its name tells.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    if path.stem not in _KINDS:
        return read_json(path)
    form, check = _KINDS[path.stem]
    result = read_json(path, form, f"summary of its kind ({path.stem})")
    if wrong := next(check(result), None):
        raise FileError(f"{path} is damaged: {wrong}")
    return result


def _of_origin(origin: Mapping[str, Any]) -> Iterator[str]:
    if not all(origin[name] for name in ("command", "date", "processor")):
        yield "it does not say where it comes from"


def _of_evaluation(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_origin(result["origin"])
    if not result["tasks"]:
        yield "it has no tasks"
    for task, found in result["tasks"].items():
        if not found["teams"] or not set(found["ends"]) <= found["teams"].keys() or len(found["ends"]) != 2:
            yield f"{task} has no two ends among its teams"
        for team, row in found["teams"].items():
            lists = [row[name] for name in ("seeds", "runs", "agent_runs", "run_scores") if row[name] is not None]
            if len(set(map(len, lists))) != 1 or not row["seeds"]:
                yield f"{team} on {task} has not one value for each seed"
        if len({frozenset(row["metrics"]) for row in found["teams"].values()}) > 1:
            yield f"teams on {task} have not the same metrics"
    over = result["aggregate"]["teams"]
    if any(len(values) != 3 for row in [*over.values(), result["aggregate"]["improvement"]] for values in row.values()):
        yield "an aggregate is no [value, low, high]"
    if any(f"{better} > {worse}" not in result["aggregate"]["improvement"] for better, worse in pairwise(over)):
        yield "two teams that follow each other are not compared"


def _of_tournament(result: Mapping[str, Any]) -> Iterator[str]:
    for task, found in result.items():
        yield from _of_origin(found["origin"])
        policies = found["payoff"].keys()
        if not policies or any(row.keys() != policies for row in found["payoff"].values()):
            yield f"the payoffs of {task} are no square"
        if any(len(cell["runs"]) != len(found["seeds"]) for row in found["payoff"].values() for cell in row.values()):
            yield f"a payoff of {task} has not one value for each seed"
        ranked = [found.get(name) for name in (("cross_play",) if found["cooperative"] else ("ratings", "alpha_rank"))]
        if None in ranked or not (found["cooperative"] or all(ranking.keys() == policies for ranking in ranked)):
            yield f"the ranking of {task} is not one of its policies"


def _of_training(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_origin(result["origin"])
    for name, learner in result["learners"].items():
        sharing = learner["settings"].get("sharing")
        if sharing not in (None, 0, 1) or not learner["tasks"]:
            yield f"{name} is no learner"
        for task, row in learner["tasks"].items():
            complete = all(len(runs) == len(row["seeds"]) for runs in row["runs"].values())
            if not row["seeds"] or not complete or "trained" not in row["runs"]:
                yield f"{name} on {task} has not one value for each seed"
            yield from _of_curves({f"{name} on {task}": row["curve"]})


def _of_curves(result: Mapping[str, Any]) -> Iterator[str]:
    for name, curve in result.items():
        points = {len(rewards) for rewards in curve["episode_reward"]}
        if points != {len(curve["agent_steps"])}:
            yield f"the curve of {name} has not one reward for each step"


_KINDS: dict[str, tuple[Any, Callable[[Any], Iterator[str]]]] = {
    "evaluation": (EVALUATION, _of_evaluation),
    "tournament": (TOURNAMENT, _of_tournament),
    "training": (TRAINING, _of_training),
    "curves": ({str: _COMMON_CURVE}, _of_curves),
}
