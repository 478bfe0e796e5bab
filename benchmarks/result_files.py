"""Write and read the results of the benchmarks.

Each result is one JSON file. It holds what was measured, the settings, where the numbers come from, and the digest of
each task that it played. What was played on a task that has another digest today is left out when it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance, task_digests

RESULTS = Path(__file__).parent / "results"


def store(name: str, settings: Mapping[str, Any], result: Mapping[str, Any], folder: Path | None = None) -> Path:
    """Write a result to <name>.json in a folder, by default benchmarks/results, with the command of this process.

    Args:
        settings: what decides the result, as JSON values. Results with different settings are not comparable.
        result: what was measured. A row that `earlier` may carry over needs a `source` of its own, from `provenance`.

    Returns:
        the path of the file.
    """
    path = (folder or RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**provenance(), "played": task_digests(settings, result), "settings": settings, **result})
    return path


def outdated(origin: Mapping[str, Any]) -> set[str]:
    """The tasks that play something else today than when a result or a row was measured."""
    return {task for task, digest in origin.get("played", {}).items() if task_digests(task).get(task) != digest}


def current(result: Any, gone: set[str] | None = None) -> Any:
    """A result without the rows of tasks that play something else today: those that are named by the task, those whose
    `origin` or `source` says so, and everything if the settings name it.

    Args:
        gone: these tasks, of a part of a result.
    """
    if not isinstance(result, dict):
        return result
    gone = outdated(result) if gone is None else gone
    if result.get("settings", {}).get("task") in gone:
        return {}
    return {
        key: current(value, gone)
        for key, value in result.items()
        if re.split("[ ,:]", key)[0] not in gone and not _is_outdated(value)
    }


def _is_outdated(row: Any) -> bool:
    sources = [row.get("origin"), row.get("source")] if isinstance(row, dict) else []
    return any(outdated(source) for source in sources if isinstance(source, dict))


def earlier(name: str, key: str, settings: Mapping[str, Any]) -> Any:
    """Read the rows that an earlier run with the same settings stored under `key`, so that a run can measure some rows
    again and keep the others."""
    path = RESULTS / f"{name}.json"
    stored = current(read_json(path)) if path.is_file() else {}
    as_stored = json.loads(json.dumps(settings))  # where a tuple is a list
    return stored[key] if stored.get("settings") == as_stored else {}
