"""The named tasks: frozen, versioned `WorldConfig`s."""

from __future__ import annotations

import difflib
from typing import Any

from .config import WorldConfig, replace

TASKS: dict[str, WorldConfig] = {"ecommerce-v0": WorldConfig()}


def task_config(task: str | WorldConfig, overrides: dict[str, Any]) -> WorldConfig:
    """The config of a task, by name or as given, with some fields replaced."""
    if isinstance(task, str):
        if task not in TASKS:
            close = difflib.get_close_matches(task, TASKS, n=1, cutoff=0.3)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown task {task!r}{hint}; tasks are {', '.join(TASKS)}")
        task = TASKS[task]
    if not isinstance(task, WorldConfig):
        raise TypeError(f"task = {task!r} must be the name of a task or a WorldConfig")
    return replace(task, overrides)
