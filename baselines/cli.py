"""What the command lines share: parsing by type, and errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from recsys_env.tasks import task_config


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


def known_tasks(tasks: Sequence[str]) -> Sequence[str]:
    """The tasks, if there are such; ends with one line that names the nearest one otherwise."""
    try:
        for task in tasks:
            task_config(task, {})
    except ValueError as error:
        fail(error)
    return tasks


def run(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> None:
    """Call a command's function with the arguments that its signature declares; `name` is the module behind `python -m`."""
    require("evaluate", "tyro")
    import tyro

    tyro.cli(function, prog=f"python -m {name}", args=argv)
