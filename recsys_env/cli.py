"""Shared parts of the command lines: tasks with changed fields, checks of options, and errors in one line."""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import importlib.util
import inspect
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from .checks import did_you_mean, is_sequence, shown, unknown
from .config import WorldConfig
from .config.tasks import SUITES, TASKS, task_config


def fail(message: object) -> NoReturn:
    """Print one line to stderr and exit with status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def dispatch(
    program: str,
    commands: Mapping[str, tuple[str, str]],
    argv: Sequence[str],
    call: Callable[[str, ModuleType, str, Sequence[str]], None],
) -> None:
    """Call the command named by the first word, or print the version or the list of the commands.

    What the package logs meanwhile is printed (`notices`).

    Args:
        program: as in `python -m program`.
        commands: name -> (module:function, what it does); a module is imported when its command is called.
        call: called with the name of the command, the module, the name of the function, and the other words.
    """
    try:
        try:
            with notices():
                _dispatch(program, commands, argv, call)
        finally:
            sys.stdout.flush()  # so that a closed pipe fails here and not at the end of the process
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def notices() -> Iterator[None]:
    """Print what the package logs to standard error, also where that is not a terminal: what is compiled, and warnings.

    Messages of a logger below "recsys_env" are left to the command that shows them.
    """
    logger, printing = logging.getLogger("recsys_env"), logging.StreamHandler()
    printing.setFormatter(logging.Formatter("recsys_env: %(message)s"))
    printing.addFilter(lambda record: record.name == logger.name)
    level = logger.level
    logger.addHandler(printing)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(printing)
        logger.setLevel(level)


def _dispatch(
    program: str,
    commands: Mapping[str, tuple[str, str]],
    argv: Sequence[str],
    call: Callable[[str, ModuleType, str, Sequence[str]], None],
) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {what}" for name, (_, what) in commands.items())
        print(f"usage: python -m {program} COMMAND [-h] ...\n       python -m {program} --version\n\n{lines}")
        return
    name, *words = argv
    if name == "--version":
        print(f"recsys_env {importlib.import_module(__package__).__version__}")
        return
    if name not in commands:
        fail(unknown("command", name, commands))
    module, _, function = commands[name][0].partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:  # the message says what to install
        fail(error)
    call(name, found, function, words)


def run(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> Any:
    """Parse the command line by the signature of a function (a dataclass: by its fields), and call the function.

    Parameters without a default are positional arguments: files, and the names of algorithms. Tasks and policies are
    options of the same names in all commands: `--task` or `--tasks`, `--policy` or `--policies`, which mean the same.

    Args:
        name: name of the command, as after `python -m`.
        argv: the arguments; by default those of this process.

    Returns:
        the result of the function.
    """

    def call() -> Any:
        require("evaluate", "tyro")
        import tyro

        _check_first_word(function, argv)

        style = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalRequiredArgs)
        words = usual_options(_options(function), sys.argv[1:] if argv is None else argv)
        return tyro.cli(function, prog=f"python -m {name}", args=words, config=style)

    return _with_errors_in_one_line(call)


_KINDS: dict[str, dict[str, Any]] = {  # annotation -> how argparse reads it
    "str": {},
    "int": {"type": int},
    "int | None": {"type": int},
    "Path": {"type": Path},
    "tuple[str, ...]": {"nargs": "+"},
    "tuple[str, ...] | None": {"nargs": "+"},
}


def run_core(function: Callable[..., Any], name: str, argv: Sequence[str] | None = None) -> Any:
    """Like `run`, for commands that need only the core: without tyro, with parameters of a few kinds (`_KINDS`)."""
    about, _, args = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    meanings = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", args, re.MULTILINE))
    parser = argparse.ArgumentParser(f"python -m {name}", description=about, allow_abbrev=False)
    for word, parameter in inspect.signature(function).parameters.items():
        kind = _KINDS[parameter.annotation] | {"help": " ".join(meanings.get(word, "").split())}
        if parameter.default is inspect.Parameter.empty:
            parser.add_argument(word, metavar=word.upper(), **kind)
        else:
            default = " ".join(parameter.default) if is_sequence(parameter.default) else parameter.default
            kind["help"] += "" if default is None else f" Default: {default}."
            parser.add_argument(f"--{word}", default=parameter.default, **kind)
    _check_first_word(function, argv)
    words = usual_options(_options(function), sys.argv[1:] if argv is None else argv)
    arguments = vars(parser.parse_args(words))
    return _with_errors_in_one_line(lambda: function(**arguments))


def usual_options(options: Collection[str], words: Sequence[str]) -> list[str]:
    """Return the words of a command line, with the name that the command has for its tasks and its policies.

    Args:
        options: names of the command's options. If they hold `task` alone, then `--tasks` means the same, and so on.
    """
    pairs = (("task", "tasks"), ("tasks", "task"), ("policy", "policies"), ("policies", "policy"))
    named = {f"--{other}": f"--{has}" for has, other in pairs if has in options and other not in options}
    return [named.get(name := word.partition("=")[0], name) + word[len(name) :] for word in words]


def _options(function: Callable[..., Any]) -> set[str]:
    """Return the names of a function's parameters, and of the fields of those that are dataclasses."""
    found = set()
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        kind = parameter.annotation
        found |= {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {name}
    return found


def _check_first_word(function: Callable[..., Any], argv: Sequence[str] | None) -> None:
    """If the first word is no option and the function takes no positional argument, say how tasks are named."""
    word = next(iter(sys.argv[1:] if argv is None else argv), "--")
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    if not word.startswith("-") and all(
        parameter.default is not inspect.Parameter.empty or dataclasses.is_dataclass(parameter.annotation)
        for parameter in parameters
    ):
        fail(f"{shown(word)} is not an option; name tasks by --task or --tasks, and policies by --policies: see --help")


def _with_errors_in_one_line(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except BrokenPipeError:  # the reader has closed the pipe, which is no error
        raise
    except (ValueError, ImportError, OSError, MemoryError) as error:
        fail(error)
    except RuntimeError as error:  # a mistake in the user's own code: show where it is
        traceback.print_exception(error.__cause__ or error)
        fail(error)
    except KeyboardInterrupt:
        print(
            "\nstopped; the same command with --resume goes on from what is stored, if it has that option",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


# ------------------------------------------------------------------------------------------------ checks


def require(extra: str, *modules: str) -> None:
    """Check that the libraries of an extra are installed, before anything is played."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ImportError(f'this needs {module}: pip install "recsys_env[{extra}]"')


def at_least(least: int, **counts: int) -> None:
    """Raise ValueError if one of these options is below `least`, and TypeError if it is not an integer."""
    for option, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"--{option} = {shown(count)} must be an integer")
        if count < least:
            raise ValueError(f"--{option} = {shown(count)} must be at least {least}")


def not_empty(**lists: Sequence[str]) -> None:
    """Raise ValueError if one of these options is empty."""
    for option, words in lists.items():
        if not is_sequence(words) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{option} = {shown(words)} must be a list of names")
        if not len(words):
            raise ValueError(f"--{option} names nothing; give at least one")


# ------------------------------------------------------------------------------------------------ tasks by name


WORLDS_OF_A_KIND = 16
# World seeds for training and for evaluation.
CATALOGUES = {"train": range(WORLDS_OF_A_KIND), "unseen": range(WORLDS_OF_A_KIND, 2 * WORLDS_OF_A_KIND)}


def check_a_world_for_each_seed(tasks: Sequence[str], seeds: int) -> None:
    """Raise ValueError if runs with these seeds would share a world of a task with `catalogues=`."""
    for task in tasks:
        if "catalogues=" in task and seeds > WORLDS_OF_A_KIND:
            raise ValueError(
                f"seeds = {seeds} is more than the {WORLDS_OF_A_KIND} worlds of {task}, and runs in one world are "
                "not independent"
            )


def config_of(task: str, run: int = 0) -> WorldConfig:
    """Return the config of a task given by name and changed fields, such as `duel-v1`,
    `streaming-v1,observability=full,users.number=16` or `duel-v1,choice.v_0_by_mood=(1,2,5)`.

    `catalogues=train` or `catalogues=unseen` among the fields gives every run its own world (`CATALOGUES`).

    Args:
        run: number of the run.
    """
    name, *words = split_task(task)
    try:
        fields = assignments(words)
        if (kind := fields.pop("catalogues", None)) is not None:
            if not isinstance(kind, str) or kind not in CATALOGUES:
                raise ValueError(f"catalogues = {shown(kind)} is not allowed; choose one of {', '.join(CATALOGUES)}")
            if "world_seed" in fields:
                raise ValueError(
                    f"catalogues = {shown(kind)} and world_seed = {fields['world_seed']} both choose a world"
                )
            fields["world_seed"] = CATALOGUES[kind][run % len(CATALOGUES[kind])]
        config = task_config(name, fields)
        if kind is not None and config.catalogue:
            raise ValueError(
                f"catalogues = {shown(kind)} needs a task with synthetic worlds, and {name} has fixed items and users"
            )
        return config
    except TypeError as error:
        raise ValueError(str(error)) from None


def split_task(task: str) -> list[str]:
    """Split a task's name and its changed fields at the commas that are not inside brackets."""
    parts, depth = [""], 0
    for letter in task:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def tasks_of(names: Sequence[str]) -> list[str]:
    """Return the tasks of these names; that of a suite (`tasks.SUITES`) stands for all of its tasks.

    Fields that are changed after the name of a suite are changed in each of them: `ranking,horizon=200`.
    """
    found: list[str] = []
    for name in names:
        first, *changes = split_task(name)
        if first not in (*TASKS, *SUITES) and (near := did_you_mean(first, SUITES)):
            raise ValueError(f"unknown suite {shown(first)}{near}; suites are {', '.join(SUITES)}")
        tasks = SUITES[first].tasks if first in SUITES else (first,)
        found += [",".join([task, *changes]) for task in tasks]
    return list(known_tasks(list(dict.fromkeys(found))))


def known_tasks(tasks: Sequence[str]) -> Sequence[str]:
    """Return the tasks if all of them exist."""
    for task in tasks:
        config_of(task)
    return tasks


def assignments(changes: Sequence[str]) -> dict[str, Any]:
    """Convert changes such as ["users.number=16", "page=rows"] to nested fields of a config.

    Values are Python literals; other words are strings.
    """
    fields: dict[str, Any] = {}
    seen: set[str] = set()
    for change in changes:
        name, equals, word = change.partition("=")
        if not equals or not name:
            raise ValueError(f"{shown(change)} must be FIELD=VALUE, as in horizon=200")
        if name in seen:
            raise ValueError(f"{name} is changed twice; give one value")
        seen.add(name)
        *groups, last = name.split(".")
        fields_of_group = fields
        for group in groups:
            fields_of_group = fields_of_group.setdefault(group, {})
            if not isinstance(fields_of_group, dict):
                raise ValueError(f"{change} changes a field of {group}, which is {shown(fields_of_group)} already")
        try:
            fields_of_group[last] = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            fields_of_group[last] = word
    return fields


# ------------------------------------------------------------------------------------------------ progress


class Progress:
    """Shows how much of something is done: as a bar in a terminal, elsewhere as a line at every tenth of it.

    Args:
        total: of the units to do.
        unit: what is counted.
        done: units that were done before.
    """

    def __init__(self, total: int, unit: str, done: int = 0) -> None:
        self._total, self._unit, self._done = total, unit, done
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, unit=unit, unit_scale=True, dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, said: str = "") -> None:
        """Show that so many units are done in all, and what else there is to say."""
        before, self._done = self._done, done
        if self._bar is not None:
            self._bar.set_postfix_str(said, refresh=False)
            self._bar.update(done - before)
        elif 10 * done // self._total > 10 * before // self._total:
            print(f"{done:,} of {self._total:,} {self._unit}s: {said}", file=sys.stderr, flush=True)
