"""The commands: `python -m recsys_env --help`, or `recsys-env --help` where the package is installed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from . import cli
from .checks import unknown

CORE = {  # name -> (module:function, what it does): commands that need no extra
    "tasks": ("recsys_env.listing:tasks", "list the tasks"),
    "describe": ("recsys_env.listing:describe", "everything about one task"),
    "policies": ("recsys_env.listing:policies", "list the policies that have a name"),
    "metrics": ("recsys_env.listing:metrics", "list the metrics beside reward, with their definitions"),
    "watch": ("recsys_env.evaluation.replay:command", "replay an episode in a browser, from one HTML file"),
}
EXTRA = {  # the same, of commands that need one
    "evaluate": ("recsys_env.evaluation.report:command", "put policies next to each other on any tasks"),
    "tournament": ("recsys_env.evaluation.tournaments:tournament", "play every policy against every other"),
    "solve": ("recsys_env.exact.report:solve", "solve a finite game exactly"),
    "exploit": ("recsys_env.exact.exploit:exploit", "bound what an agent of a team could gain by playing otherwise"),
    "tune": ("recsys_env.tuning:tune", "search a task's planner and static ranking on training seeds"),
}
COMMANDS = {**CORE, **EXTRA}  # a module is imported when its command is called


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
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {what}" for name, (_, what) in COMMANDS.items())
        print(f"usage: python -m recsys_env COMMAND [-h] ...\n       python -m recsys_env --version\n\n{lines}")
        return
    name, *words = argv
    if name == "--version":
        from . import __version__

        print(f"recsys_env {__version__}")
        return
    if name not in COMMANDS:
        cli.fail(unknown("command", name, COMMANDS))
    module, _, function = COMMANDS[name][0].partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:  # says what to install
        cli.fail(error)
    run = cli.run_core if name in CORE else cli.run
    result = run(getattr(found, function), f"recsys_env {name}", words)
    if hasattr(found, "show"):
        found.show(result)


def script() -> None:
    """`recsys-env`: as `python -m recsys_env`, modules of the current folder included (`my_file:MyPolicy`)."""
    sys.path.insert(0, "")
    main(sys.argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
