"""Results of the benchmarks, one JSON file each: where they come from, the settings, what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def store(
    name: str, module: str, settings: Mapping[str, Any], result: Mapping[str, Any], folder: Path | None = None
) -> Path:
    """Write <name>.json into a folder, by default benchmarks/results.

    Args:
        module: the benchmark, as behind `python -m`.
        settings: what decides the result, of JSON values; rows of other settings are not comparable.
        result: rows that `earlier` may carry over have a `source` of their own, which `provenance` gives.
    """
    path = (folder or RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**provenance(module), "settings": settings, **result})
    return path


def named(policies: Iterable[str]) -> dict[str, str]:
    """What rows of policies are called: by their names, and by those of their folders and files.

    Raises:
        ValueError: two by the same.
    """
    names: dict[str, str] = {}
    for policy in policies:
        kind, colon, rest = ("", "", policy) if Path(policy).exists() else policy.rpartition(":")
        name = f"{kind}{colon}{Path(rest).name}" if Path(rest).exists() else policy
        if name in names:
            raise ValueError(f"{names[name]} and {policy} would both be called {name!r}; rename one")
        names[name] = policy
    return names


def earlier(name: str, key: str, settings: Mapping[str, Any]) -> Any:
    """The rows that an earlier run with the same settings stored under `key`, so that single ones can be measured
    again."""
    path = RESULTS / f"{name}.json"
    stored = read_json(path) if path.is_file() else {}
    return stored[key] if stored.get("settings") == settings else {}
