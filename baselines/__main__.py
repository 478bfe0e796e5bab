"""The commands that train: `python -m baselines --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from recsys_env import cli

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
    """Call the command named by the first word; `python -m baselines COMMAND --help` shows its arguments."""
    cli.dispatch("baselines", COMMANDS, argv, lambda name, module, function, words: getattr(module, function)(words))


if __name__ == "__main__":
    main(sys.argv[1:])
