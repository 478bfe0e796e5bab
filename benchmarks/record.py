"""Raw results of the benchmarks, one JSON file each, with where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def origin(module: str) -> dict[str, Any]:
    """Where a row comes from that this run of `python -m module` measures; each row of a file that `earlier` carries
    over has one."""
    return provenance(module)


def store(name: str, module: str, result: dict[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_json(path, {**provenance(module), **result})
    return path


def earlier(name: str, key: str, **settings: Any) -> dict[str, Any]:
    """The rows that an earlier run with the same settings stored under `key`, so that single ones can be measured
    again.

    Each keeps the `origin` of the run that measured it.
    """
    path = RESULTS / f"{name}.json"
    stored = read_json(path) if path.is_file() else {}
    same = all(stored.get(setting) == value for setting, value in settings.items())
    return stored.get(key, {}) if same else {}  # type: ignore[no-any-return]
