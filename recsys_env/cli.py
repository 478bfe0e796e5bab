"""What the command lines share: parsing by type, and errors in one line."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .config import WorldConfig
from .files import FileError
from .tasks import task_config


def fail(message: object) -> NoReturn:
    """End with one line on stderr and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def module() -> str:
    """What stands behind `python -m` in this process."""
    spec = sys.modules["__main__"].__spec__
    return "baselines" if spec is None else spec.name.removesuffix(".__main__")


def require(extra: str, *modules: str) -> None:
    """Make sure that the libraries of an extra are there before anything is played.

    Raises:
        SystemExit: one is missing; the message says which `pip install` brings it.
    """
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            fail(f'this needs {module}: pip install "recsys_env[{extra}]"')


def at_least(least: int, **counts: int) -> None:
    """End with one line if one of these options is below `least`."""
    for option, count in counts.items():
        if count < least:
            fail(f"--{option} = {count} must be at least {least}")


def not_empty(**lists: Sequence[str]) -> None:
    """End with one line if one of these options names nothing."""
    for option, words in lists.items():
        if not words:
            fail(f"--{option} names nothing; give at least one")


def config_of(task: str) -> WorldConfig:
    """The config of a task named with changed fields: `duel-v0`, `streaming-v0,observability=full,users.number=16`.

    Raises:
        ValueError, TypeError: no such task, field or value; the message names the nearest.
    """
    name, *changes = task.split(",")
    return task_config(name, assignments(changes))


def assignments(changes: Sequence[str]) -> dict[str, Any]:
    """["users.number=16", "page=rows"] as nested fields of a config; values are Python literals, other words are
    strings."""
    fields: dict[str, Any] = {}
    for change in changes:
        name, _, word = change.partition("=")
        *groups, last = name.split(".")
        place = fields
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise ValueError(f"{change} changes a field of {group}, which is {place!r} already")
        try:
            place[last] = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            place[last] = word
    return fields


def known_tasks(tasks: Sequence[str]) -> Sequence[str]:
    """The tasks, if there are such; ends with one line that names the nearest one otherwise."""
    try:
        for task in tasks:
            config_of(task)
    except (ValueError, TypeError) as error:
        fail(error)
    return tasks


def run(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> None:
    """Call a command's function with the arguments that its signature declares (a dataclass: its fields); `name` is
    what stands behind `python -m`.

    A file or folder that cannot be read or written or is damaged, and Ctrl-C, end it with one line.
    """
    require("evaluate", "tyro")
    import tyro

    try:
        tyro.cli(function, prog=f"python -m {name}", args=argv, config=(tyro.conf.OmitArgPrefixes,))
    except (OSError, FileError) as error:
        fail(error)
    except KeyboardInterrupt:
        print(
            "\nstopped; the same command with --resume goes on from what is stored, where it has that option",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
