"""The commands that train: `python -m baselines --help`."""

from __future__ import annotations

import sys

from recsys_env import cli
from recsys_env.checks import unknown

COMMANDS = {
    "train": "train an algorithm on a task, alone or beside other policies",
    "language": "tune a language model to what visitors click",
    "reference": "train the learners whose results are published, job by job",
}


def main(argv: list[str]) -> None:
    """Call the command that the first word names; `python -m baselines COMMAND --help` tells its arguments."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {what}" for name, what in COMMANDS.items())
        print(f"usage: python -m baselines COMMAND [-h] ...\n\n{lines}")
    elif argv[0] == "train":
        from .train import command

        command(argv[1:])
    elif argv[0] == "language":
        from .language import tune

        cli.run(tune, "baselines language", argv[1:])
    elif argv[0] == "reference":
        from .reference import reference

        cli.run(reference, "baselines reference", argv[1:])
    else:
        cli.fail(unknown("command", argv[0], COMMANDS))


if __name__ == "__main__":
    main(sys.argv[1:])
