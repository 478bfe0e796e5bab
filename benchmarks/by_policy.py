"""The command of a measure that has a row for each policy: which task, which policies, and the rows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .result_files import named


class ByPolicy(NamedTuple):
    """What was asked for, and what came of it."""

    task: str
    policies: dict[str, str]  # by the names of their rows
    rows: dict[str, Any]


def by_policy(doc: str | None, task: str, policies: Sequence[str], measured: Callable[[str, str], Any]) -> ByPolicy:
    """Read the command line, and measure each policy.

    Args:
        doc: what the command is about.
        task, policies: unless others are asked for.
        measured: the row of a task and policy.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=task)
    parser.add_argument("--policies", nargs="+", default=list(policies))
    args = parser.parse_args()
    asked, rows = named(args.policies), {}
    for name, policy in asked.items():
        began = time.perf_counter()
        rows[name] = measured(args.task, policy)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    return ByPolicy(args.task, asked, rows)
