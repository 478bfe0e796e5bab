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

LISTINGS = {  # name -> what it does; functions of `recsys_env.listing`, which need nothing but the core
    "tasks": "list the tasks",
    "describe": "everything about one task",
    "policies": "list the policies that have a name",
    "metrics": "list the metrics beside reward, with their definitions",
}
COMMANDS = {  # name -> (module:function, what it does); a module is imported when its command is called
    "evaluate": ("recsys_env.evaluation.report:command", "put policies next to each other on any tasks"),
    "tournament": ("recsys_env.evaluation.tournaments:tournament", "play every policy against every other"),
    "solve": ("recsys_env.exact.report:solve", "solve a finite game exactly"),
    "exploit": ("recsys_env.exact.exploit:exploit", "bound what an agent of a team could gain by playing otherwise"),
    "tune": ("recsys_env.tuning:tune", "search a task's planner and static ranking on training seeds"),
    "watch": ("recsys_env.evaluation.replay:command", "replay an episode in a browser, from one HTML file"),
}


def main(argv: Sequence[str]) -> None:
    """Call the command that the first word names; `python -m recsys_env COMMAND --help` tells its arguments."""
    try:
        try:
            _call(argv)
        finally:
            sys.stdout.flush()  # what is left would go out, and fail, at the very end of the process
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
        except ImportError as error:  # says what to install
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
    """`recsys-env`: as `python -m recsys_env`, modules of the current folder included (`my_file:MyPolicy`)."""
    sys.path.insert(0, "")
    main(sys.argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
