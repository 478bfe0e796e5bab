"""Add an evaluation or a tournament to benchmarks/results, from which the documentation makes its tables.

    python -m recsys_env evaluate --policies random greedy mine:MyPolicy --tasks duel-v1 --out runs/evaluation
    python -m benchmarks.take_in runs/evaluation

All runs of an evaluation are summarised and join the policies that are stored. A team that is in both gets its new
scores; every other row keeps its own command, commit and date. If an end of the scale has improved, all scores are
computed again. Metrics that are newer than the stored rows of a task are left out, which is printed, until all policies
of the task are played again. A result that cannot be compared with the stored one is refused, and nothing changes. A
task of which all stored policies were played again is replaced, as are the tasks of a tournament.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_env import cli
from recsys_env.evaluation.runs import load
from recsys_env.evaluation.statistics import merged, metric_names, summary
from recsys_env.evaluation.stored import read_result
from recsys_env.files import write_json

from . import result_files


def take_in(folder: Path) -> Path:
    """Store what a folder of `recsys_env evaluate` or `recsys_env tournament` holds.

    Returns:
        the file in which it was stored.

    Raises:
        ValueError: the folder holds no runs or damaged ones, or runs that cannot be compared with what is stored.
    """
    if (folder / "tournament.json").is_file():
        name, result = "tournament", read_result(folder / "tournament.json")
    elif runs := list(load(folder)):
        name, result = "evaluation", summary(runs)
    else:
        raise ValueError(f"{folder} holds no runs of an evaluation, and no tournament.json")
    path = result_files.RESULTS / f"{name}.json"
    write_json(path, _joined(name, result_files.current(read_result(path)), result) if path.is_file() else result)
    return path


def _joined(name: str, stored: Any, found: Any) -> Any:
    if name == "tournament":
        return {**stored, **found}
    digests = {**stored.get("played", {}), **found["played"]}
    return {**merged(stored, _without_newer_metrics(stored, found)), "played": digests}


def _without_newer_metrics(stored: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the metrics of an evaluation that no stored row of the same task has."""
    tasks = dict(found["tasks"])
    for name in tasks.keys() & stored["tasks"].keys():
        old, new = stored["tasks"][name], tasks[name]
        known = metric_names(old)
        newer = metric_names(new) - known
        if newer and known and not old["teams"].keys() <= new["teams"].keys():
            print(f"{name}: {', '.join(sorted(newer))} left out, which the stored rows do not have")
            teams = {
                team: {**row, "metrics": {metric: of for metric, of in row["metrics"].items() if metric in known}}
                for team, row in new["teams"].items()
            }
            tasks[name] = {**new, "teams": teams}
    return {**found, "tasks": tasks}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+", help="the --out of an evaluation or a tournament")
    try:
        for folder in parser.parse_args(argv).folder:
            print(take_in(folder))
    except (ValueError, OSError) as error:
        cli.fail(error)


if __name__ == "__main__":
    main()
