"""The format of stored results, which is checked when they are read (`recsys_env.files.misfit`).

Other fields are allowed. A run holds the measurements of each episode; the folder of an evaluation has one file for
each run. A stored evaluation is the summary of its runs, from which every table is made. Of rewards and scores it holds
the value of each run, so that intervals and differences can be computed anew when rows are added
(`statistics.merged`), and scores and aggregates when the scale of a task has changed (`statistics.rescaled`). Of
metrics it holds only intervals: nothing is computed from metrics, and the values of all runs and agents would make up
most of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..files import FileError, read_json, signed

_SOURCE = {"command": str, "commit": (str, None), "date": str, "processor": str, "versions": {str: str}}
_SOURCES = {"command": [str], "commit": [str], "date": [str], "processor": [str], "versions": {str: [str]}}
_MEAN = {"mean": float, "ci95": (float, None)}

RUN = {  # of an evaluation or a tournament; see `runs.play`
    "task": str,
    "team": str,
    "seed": int,
    "episodes": int,
    "warmup": int,
    "learns": bool,
    "made_of": {str: str},
    "config": str,
    "agents": [str],
    "individual_reward": [[float]],
    "metrics": {str: [(float, None)]},
    "costs?": {str: float},
    "seconds": float,
    "digest": str,
    **_SOURCE,
}
_ORIGIN = {"made_of": {str: str}, **_SOURCES}
EVALUATION = {  # see `statistics.summary`
    "tasks": {
        str: {
            "episodes": int,
            "ends": [str],
            "agents": [str],
            "differences": {str: _MEAN},
            "teams": {
                str: {
                    **_MEAN,
                    "score": (float, None),
                    "score_ci95": (float, None),
                    "runs": [float],
                    "run_scores": (None, [float]),
                    "agents": {str: _MEAN},
                    "agent_runs": [[float]],
                    "learns": bool,
                    "metrics": {str: {str: _MEAN}},
                    "costs?": {str: _MEAN},
                    "origin": {
                        "settings": {"task": str, "team": str, "seeds": [int], "episodes": int, "warmup": int},
                        **_ORIGIN,
                    },
                },
            },
        },
    },
}
TOURNAMENT = {  # task -> see `tournaments.standings`
    str: {
        "origin": {
            "settings": {"task": str, "policies": [str], "seeds": [int], "episodes": int, "warmup": int},
            **_ORIGIN,
        },
        "cooperative": bool,
        "agents": int,
        "payoff": {str: {str: {**_MEAN, "runs": [float]}}},
        "alpha_rank?": {str: float},
        "cross_play?": {str: {"diagonal": _MEAN, "off_diagonal?": _MEAN, "gap?": _MEAN}},
    },
}


# ------------------------------------------------------------------------------------------------ reading


def read_run(path: Path) -> dict[str, Any]:
    """Read a stored run.

    Raises:
        FileError: the file is damaged, or of another kind.
    """
    run: dict[str, Any] = read_json(path, RUN, "run")
    if signed(run)["digest"] != run["digest"]:
        raise FileError(f"{path} is damaged: it was altered after it was written; remove it, and it is played again")
    return run


def read_result(path: Path) -> Any:
    """Read a stored evaluation or tournament; the name of the file says which of them it is.

    Raises:
        FileError: the file is damaged, or of another kind.
    """
    if path.stem not in _KINDS:
        raise FileError(f"{path} must be named {' or '.join(f'{kind}.json' for kind in _KINDS)}")
    form, check = _KINDS[path.stem]
    result = read_json(path, form, f"summary of its kind ({path.stem})")
    if wrong := next(check(result), None):
        raise FileError(f"{path} is damaged: {wrong}")
    return result


def _of_origin(origin: Mapping[str, Any], **expected: str) -> Iterator[str]:
    settings, where = origin["settings"], " ".join(expected.values())
    if not all(origin[name] for name in ("command", "date", "processor")):
        yield f"{where} does not say where it comes from"
    if not settings["seeds"] or any(settings[name] != value for name, value in expected.items()):
        yield f"{where} has the settings of something else"


def _of_evaluation(result: Mapping[str, Any]) -> Iterator[str]:
    if not result["tasks"]:
        yield "it has no tasks"
    for task, found in result["tasks"].items():
        if not found["teams"] or not set(found["ends"]) <= found["teams"].keys() or len(found["ends"]) != 2:
            yield f"the teams of {task} do not include both ends of its scale"
        for team, row in found["teams"].items():
            yield from _of_origin(row["origin"], task=task, team=team)
            lists = [row[name] for name in ("runs", "agent_runs", "run_scores") if row[name] is not None]
            if {len(values) for values in lists} != {len(row["origin"]["settings"]["seeds"])}:
                yield f"{team} on {task} does not have one value for each seed"
        if any(f"{better} - {worse}" not in found["differences"] for better, worse in pairwise(found["teams"])):
            yield f"two neighbouring teams on {task} are not compared"
        if len({frozenset(row["metrics"]) for row in found["teams"].values()}) > 1:
            yield f"teams on {task} have different metrics"


def _of_tournament(result: Mapping[str, Any]) -> Iterator[str]:
    for task, found in result.items():
        yield from _of_origin(found["origin"], task=task)
        policies, seeds = found["payoff"].keys(), found["origin"]["settings"]["seeds"]
        if not policies or any(row.keys() != policies for row in found["payoff"].values()):
            yield f"the payoffs of {task} are not a square matrix"
        if any(len(cell["runs"]) != len(seeds) for row in found["payoff"].values() for cell in row.values()):
            yield f"a payoff of {task} does not have one value for each seed"
        ranking = found.get("cross_play" if found["cooperative"] else "alpha_rank")
        if ranking is None or not (found["cooperative"] or ranking.keys() == policies):
            yield f"the ranking of {task} does not contain exactly its policies"


_KINDS: dict[str, tuple[Any, Callable[[Any], Iterator[str]]]] = {
    "evaluation": (EVALUATION, _of_evaluation),
    "tournament": (TOURNAMENT, _of_tournament),
}
