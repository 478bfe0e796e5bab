"""Command line of the studies that measure one row for each policy of one task."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recsys_env import WorldConfig, cli
from recsys_env.evaluation.runs import obstacle

# Rows of every table of models: no look at the page, three rankers without training in it, what could be known at best
# from observations, and a trained recommender of sequences.
BESIDE = ("blind", "popularity", "nearest", "static", "observer", "sasrec")


def beside(config: WorldConfig) -> list[str]:
    """Return those of `BESIDE` that can play the first agent of a task; the others are named with the reason."""
    found = []
    for policy in BESIDE:
        if why := obstacle(config, config.agents[0], policy):
            print(f"no row of {policy}: {why}", flush=True)
        else:
            found.append(policy)
    return found


class ByPolicy(NamedTuple):
    """The task and policies that the command line named, and the rows that were measured."""

    task: str
    policies: dict[str, str]  # by the names of their rows
    rows: dict[str, Any]


def named(policies: Iterable[str]) -> dict[str, str]:
    """Map the name of each policy's row to the policy: its own name, or that of its folder or file.

    Raises:
        ValueError: two policies have rows of the same name.
    """
    names: dict[str, str] = {}
    for policy in policies:
        kind, colon, rest = ("", "", policy) if Path(policy).exists() else policy.rpartition(":")
        name = f"{kind}{colon}{Path(rest).name}" if Path(rest).exists() else policy
        if name in names:
            raise ValueError(f"{names[name]} and {policy} would both be called {name!r}; rename one")
        names[name] = policy
    return names


def by_policy(doc: str | None, task: str, policies: Sequence[str], measured: Callable[[str, str], Any]) -> ByPolicy:
    """Read the command line and measure each policy.

    Args:
        doc: the help text of the command.
        task, policies: the defaults; `beside` adds to the policies.
        measured: measures the row of a task and a policy.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=task)
    parser.add_argument("--policies", nargs="+", help="default: those of the study's table")
    args = parser.parse_args()
    usual = args.policies or dict.fromkeys([*policies, *beside(cli.config_of(args.task))])
    asked, rows = named(usual), {}
    for name, policy in asked.items():
        began = time.perf_counter()
        rows[name] = measured(args.task, policy)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    return ByPolicy(args.task, asked, rows)
