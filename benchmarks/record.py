"""Raw results of the benchmarks, one JSON file each, with where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recsys_env.provenance import provenance

RESULTS = Path(__file__).parent / "results"


ORIGIN = ("command", "commit", "date", "processor", "cores")


def origin(module: str) -> dict[str, Any]:
    """Where a row comes from that this run of `python -m module` measures; each row of a file that `earlier` carries
    over has one."""
    found = provenance(module)
    return {key: found[key] for key in ORIGIN}


def store(name: str, module: str, result: dict[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(module), **result}, indent=1) + "\n")
    return path


def earlier(name: str, key: str, **settings: Any) -> dict[str, Any]:
    """The rows that an earlier run with the same settings stored under `key`, so that single ones can be measured
    again.

    Each keeps the `origin` of the run that measured it.
    """
    path = RESULTS / f"{name}.json"
    stored = json.loads(path.read_text()) if path.is_file() else {}
    return stored.get(key, {}) if all(stored.get(name) == value for name, value in settings.items()) else {}
