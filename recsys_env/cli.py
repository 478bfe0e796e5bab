"""What the command lines share: tasks by name with changed fields, options checked, and errors in one line."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .checks import is_sequence, shown
from .config import WorldConfig
from .tasks import task_config


def fail(message: object) -> NoReturn:
    """End with one line on stderr and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def run(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> Any:
    """Call a command's function with the arguments that its signature declares (a dataclass: its fields); those without
    a default are given by their place.

    Args:
        name: what stands behind `python -m`.
        argv: the arguments, by default of this process.

    Returns:
        what the function returns.

    Raises:
        SystemExit: it raised a ValueError, ImportError, OSError or MemoryError, which is said in one line, or a
            RuntimeError, whose cause is shown before; or Ctrl-C.
        BrokenPipeError: nobody reads what it prints.
    """

    def call() -> Any:
        require("evaluate", "tyro")
        import tyro

        style = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalRequiredArgs)
        return tyro.cli(function, prog=f"python -m {name}", args=argv, config=style)

    return _with_errors_in_one_line(call)


_KINDS: dict[str, dict[str, Any]] = {  # annotation -> how argparse reads it
    "str": {},
    "int": {"type": int},
    "int | None": {"type": int},
    "Path": {"type": Path},
    "tuple[str, ...]": {"nargs": "+"},
}


def run_core(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> Any:
    """As `run`, for commands that need nothing but the core: without tyro, of parameters of a few kinds (`_KINDS`)."""
    about, _, args = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    meanings = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", args, re.MULTILINE))
    parser = argparse.ArgumentParser(f"python -m {name}", description=about, allow_abbrev=False)
    for word, parameter in inspect.signature(function).parameters.items():
        kind = _KINDS[parameter.annotation] | {"help": " ".join(meanings.get(word, "").split())}
        if parameter.default is inspect.Parameter.empty:
            parser.add_argument(word, metavar=word.upper(), **kind)
        else:
            parser.add_argument(f"--{word}", default=parameter.default, **kind)
    arguments = vars(parser.parse_args(argv))
    return _with_errors_in_one_line(lambda: function(**arguments))


def _with_errors_in_one_line(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except BrokenPipeError:  # nobody reads on, which is no mistake
        raise
    except (ValueError, ImportError, OSError, MemoryError) as error:
        fail(error)
    except RuntimeError as error:  # a mistake in somebody's own code: show where it is
        traceback.print_exception(error.__cause__ or error)
        fail(error)
    except KeyboardInterrupt:
        print(
            "\nstopped; the same command with --resume goes on from what is stored, where it has that option",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


# ------------------------------------------------------------------------------------------------ checks


def require(extra: str, *modules: str) -> None:
    """Make sure that the libraries of an extra are there before anything is played.

    Raises:
        ImportError: one is missing; the message says which `pip install` brings it.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ImportError(f'this needs {module}: pip install "recsys_env[{extra}]"')


def at_least(least: int, **counts: int) -> None:
    """Raise ValueError if one of these options is below `least`, TypeError if it is no whole number."""
    for option, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"--{option} = {shown(count)} must be an integer")
        if count < least:
            raise ValueError(f"--{option} = {shown(count)} must be at least {least}")


def not_empty(**lists: Sequence[str]) -> None:
    """Raise ValueError if one of these options names nothing."""
    for option, words in lists.items():
        if not is_sequence(words) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{option} = {shown(words)} must be a list of names")
        if not len(words):
            raise ValueError(f"--{option} names nothing; give at least one")


# ------------------------------------------------------------------------------------------------ tasks by name


CATALOGUES = {"train": range(16), "unseen": range(16, 32)}  # world seeds to learn on, and to be measured on


def config_of(task: str, run: int = 0) -> WorldConfig:
    """The config of a task named with changed fields: `duel-v1`, `streaming-v1,observability=full,users.number=16`,
    `duel-v1,choice.v_0_by_mood=(1,2,5)`. `catalogues=train` or `catalogues=unseen` among them gives every run a world
    of its own (`CATALOGUES`).

    Args:
        run: number of the run.

    Raises:
        ValueError: no such task, field or value; the message names the nearest.
    """
    name, *words = _parts(task)
    try:
        fields = assignments(words)
        if (kind := fields.pop("catalogues", None)) is not None:
            if kind not in CATALOGUES:
                raise ValueError(f"catalogues = {shown(kind)} is not allowed; choose one of {', '.join(CATALOGUES)}")
            if "world_seed" in fields:
                raise ValueError(
                    f"catalogues = {shown(kind)} and world_seed = {fields['world_seed']} both choose a world"
                )
            fields["world_seed"] = CATALOGUES[kind][run % len(CATALOGUES[kind])]
        return task_config(name, fields)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _parts(text: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def known_tasks(tasks: Sequence[str]) -> Sequence[str]:
    """The tasks, if there are such.

    Raises:
        ValueError: no such task, field or value.
    """
    for task in tasks:
        config_of(task)
    return tasks


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
                raise ValueError(f"{change} changes a field of {group}, which is {shown(place)} already")
        try:
            place[last] = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            place[last] = word
    return fields
