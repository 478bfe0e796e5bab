"""The commands: `python -m recsys_env --help`, or `recsys-env --help` where the package is installed."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence

from . import cli
from .checks import unknown

LISTINGS = {  # name -> what it does; functions of `recsys_env.listing`, which need only the core
    "tasks": "list the tasks",
    "describe": "describe one task: agents, observations, actions, rewards and every number",
    "policies": "list the policies by name",
    "metrics": "list the metrics with their definitions",
}
COMMANDS = {  # name -> (module:function, what it does); a module is imported when its command is called
    "evaluate": ("recsys_env.evaluation.evaluate:command", "score policies on tasks and compare them"),
    "tournament": ("recsys_env.evaluation.tournament:tournament", "play every pair of policies against each other"),
    "solve": ("recsys_env.exact.report:solve", "solve a finite game exactly"),
    "exploit": ("recsys_env.exact.exploit:exploit", "bound what an agent could gain by deviating from its team"),
    "tune": ("recsys_env.tuning:tune", "search for a task's planner and static ranker on training seeds"),
    "watch": ("recsys_env.evaluation.watch:command", "write a replay of an episode as an HTML file"),
}


def main(argv: Sequence[str]) -> None:
    """Call the command named by the first word; `python -m recsys_env COMMAND --help` shows its arguments."""
    try:
        try:
            _call(argv)
        finally:
            sys.stdout.flush()  # so that a closed pipe fails here and not at the end of the process
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(argv: Sequence[str]) -> None:
    about = {**LISTINGS, **{name: what for name, (_, what) in COMMANDS.items()}}
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {what}" for name, what in about.items())
        print(f"usage: python -m recsys_env COMMAND [-h] ...\n       python -m recsys_env --version\n\n{lines}")
        return
    name, *words = argv
    if name == "--version":
        from . import __version__

        print(f"recsys_env {__version__}")
    elif name in LISTINGS:
        _list(name, words)
    elif name in COMMANDS:
        module, _, function = COMMANDS[name][0].partition(":")
        try:
            found = importlib.import_module(module)
        except ImportError as error:  # the message says what to install
            cli.fail(error)
        result = cli.run(getattr(found, function), f"recsys_env {name}", words)
        if hasattr(found, "show"):
            found.show(result)
    else:
        cli.fail(unknown("command", name, about))


def _list(name: str, words: Sequence[str]) -> None:
    from . import listing

    function = getattr(listing, name)
    parser = argparse.ArgumentParser(prog=f"python -m recsys_env {name}", description=inspect.getdoc(function))
    for argument in inspect.signature(function).parameters:
        parser.add_argument(argument, metavar=argument.upper())
    try:
        function(**vars(parser.parse_args(words)))
    except (ValueError, TypeError) as error:
        cli.fail(error)


def script() -> None:
    """Entry point `recsys-env`: like `python -m recsys_env`, including modules of the current folder."""
    sys.path.insert(0, "")
    main(sys.argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
