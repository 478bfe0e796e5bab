"""Write and read the results of the benchmarks.

Each result is one JSON file. It holds what was measured, the settings, and where the numbers come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance

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
    write_json(path, {**provenance(), "settings": settings, **result})
    return path


def earlier(name: str, key: str, settings: Mapping[str, Any]) -> Any:
    """Read the rows that an earlier run with the same settings stored under `key`, so that a run can measure some rows
    again and keep the others."""
    path = RESULTS / f"{name}.json"
    stored = read_json(path) if path.is_file() else {}
    as_stored = json.loads(json.dumps(settings))  # where a tuple is a list
    return stored[key] if stored.get("settings") == as_stored else {}
