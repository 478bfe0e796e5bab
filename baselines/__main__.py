"""One entry to everything: `python -m baselines --help`."""

from __future__ import annotations

import importlib
import sys

from recsys_env import cli
from recsys_env.config import did_you_mean

COMMANDS = {  # name -> (module:function, what it does); a module is imported when its command is called
    "train": ("baselines.train:command", "train any algorithm on any task, in any company"),
    "evaluate": ("recsys_env.evaluation.evaluate:evaluate", "put policies next to each other on any tasks"),
    "tournament": ("recsys_env.evaluation.tournament:tournament", "play every policy against every other"),
    "reference": ("baselines.reference:reference", "train the reference learners, job by job"),
    "plot": ("baselines.report:plot", "draw stored results and write the README's tables"),
    "tasks": ("recsys_env.listing:tasks", "list the tasks, or everything about one of them"),
    "policies": ("recsys_env.listing:policies", "list the policies that have a name"),
    "metrics": ("recsys_env.listing:metrics", "list the metrics beside reward, with their definitions"),
}


def main(argv: list[str]) -> None:
    """Call the command that the first word names; `python -m baselines COMMAND --help` tells its arguments."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {what}" for name, (_, what) in COMMANDS.items())
        print(f"usage: python -m baselines COMMAND [-h] ...\n\n{lines}")
        return
    if argv[0] not in COMMANDS:
        cli.fail(f"unknown command {argv[0]!r}{did_you_mean(argv[0], COMMANDS)}; commands are {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[argv[0]][0].partition(":")
    try:
        command = getattr(importlib.import_module(module), function)
    except ImportError as error:  # says what to install
        cli.fail(error)
    cli.run(command, f"baselines {argv[0]}", argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
