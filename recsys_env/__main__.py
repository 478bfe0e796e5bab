"""The commands: `python -m recsys_env --help`, or `recsys-env --help` where the package is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

from . import cli

CORE = {  # name -> (module:function, what it does): commands that need no extra
    "tasks": ("recsys_env.listing:tasks", "list the tasks"),
    "describe": ("recsys_env.listing:describe", "describe one task: agents, observations, actions, rewards, numbers"),
    "policies": ("recsys_env.listing:policies", "list the policies by name"),
    "metrics": ("recsys_env.listing:metrics", "list the metrics with their definitions"),
    "watch": ("recsys_env.evaluation.replay:command", "write a replay of an episode as an HTML file"),
}
EXTRA = {  # the same for commands that need an extra
    "evaluate": ("recsys_env.evaluation.report:command", "score policies on tasks and compare them"),
    "tournament": ("recsys_env.evaluation.tournaments:tournament", "play every pair of policies against each other"),
    "solve": ("recsys_env.exact.report:solve", "solve a finite game exactly"),
    "exploit": ("recsys_env.exact.exploit:exploit", "bound what an agent could gain by deviating from its team"),
    "ab": ("recsys_env.experiments.ab:command", "show which designs of an A/B test pick the wrong policy"),
    "fit": ("recsys_env.fitting.report.commands:fit", "fit a world to a log of purchases or pages"),
    "report": (
        "recsys_env.fitting.report.commands:report",
        "say whether policies may be compared in a world fitted to a log",
    ),
    "tune": ("recsys_env.evaluation.tuning:tune", "search for a task's planner and static ranker on training seeds"),
}
COMMANDS = {**CORE, **EXTRA}  # a module is imported when its command is called


def main(argv: Sequence[str]) -> None:
    """Call the command named by the first word; `python -m recsys_env COMMAND --help` shows its arguments."""
    cli.dispatch("recsys_env", COMMANDS, argv, _call)


def _call(name: str, module: ModuleType, function: str, words: Sequence[str]) -> None:
    run = cli.run_core if name in CORE else cli.run
    result = run(getattr(module, function), f"recsys_env {name}", words)
    if hasattr(module, "show"):
        module.show(result)


def script() -> None:
    """Entry point `recsys-env`: like `python -m recsys_env`, including modules of the current folder."""
    sys.path.insert(0, "")
    main(sys.argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
