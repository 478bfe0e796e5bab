"""The commands that train: `python -m baselines --help`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from recsys_env import __version__, cli
from recsys_env.checks import unknown

COMMANDS = {  # name -> (module:function of the words behind it, what it does)
    "train": ("baselines.train:command", "train an algorithm on a task, alone or beside other policies"),
    "language": ("baselines.language:command", "tune a language model to what visitors click"),
    "sweep": ("baselines.sweep:command", "find the settings with which these learners are trained"),
    "reference": ("baselines.reference:command", "train the learners whose results are published, job by job"),
    "robustness": (
        "baselines.robustness:command",
        "play trained learners in scenarios, cross-play and against responses",
    ),
    "paper": ("baselines.paper:command", "train your algorithm by the protocol of the published learners, for a paper"),
    "ship": ("baselines.ship:command", "copy a trained policy of each published learner into the package"),
    "cluster": ("baselines.cluster:command", "train PPO of RLlib on a cluster, or on two nodes of this machine"),
}


def main(argv: Sequence[str]) -> None:
    """Call the command that the first word names; `python -m baselines COMMAND --help` lists its arguments."""
    if argv and argv[0] == "--version":
        print(f"recsys_env {__version__}")
        return
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:11} {about}" for name, (_, about) in COMMANDS.items())
        print(f"usage: python -m baselines COMMAND [-h] ...\n       python -m baselines --version\n\n{lines}")
        return
    name, *words = argv
    if name not in COMMANDS:
        cli.fail(unknown("command", name, COMMANDS))
    module, _, function = COMMANDS[name][0].partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:  # says what to install
        cli.fail(error)
    getattr(found, function)(words)


if __name__ == "__main__":
    main(sys.argv[1:])
