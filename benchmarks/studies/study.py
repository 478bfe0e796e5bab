"""How a study runs: its options, its cells, which are stored one by one, and the rows of policies."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recsys_env import WorldConfig, cli
from recsys_env.evaluation.runs import obstacle

from ..result_files import earlier, store

# Rows of every table of models: no look at the page, three rankers without training in it, what could be known at best
# from observations, and a trained recommender of sequences.
BESIDE = ("blind", "popularity", "nearest", "static", "observer", "sasrec")


def options(doc: str | None, **defaults: Any) -> argparse.Namespace:
    """Read the command line of a study: an option for each default, of its type, where a tuple takes several values;
    and `--again`, to measure anew what is stored."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        several = isinstance(default, tuple)
        kind = type(default[0]) if several and default else str if several else type(default)
        shape: dict[str, Any] = {"nargs": "*"} if several else {}
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, **shape)
    parser.add_argument("--again", action="store_true", help="measure anew what is stored")
    return parser.parse_args()


def measure(
    name: str,
    settings: Mapping[str, Any],
    cells: Mapping[str, Callable[[], Any]],
    part: str = "rows",
    again: bool = False,
    more: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda rows: {},
) -> dict[str, Any]:
    """Measure the cells that no earlier run with the same settings has stored, and store each as it is measured.

    Args:
        name: of the result.
        cells: name of each cell -> function that measures it.
        part: key of the cells in the result.
        again: measure all of these cells, also those that are stored.
        more: what else the result holds, which follows from its cells.

    Returns:
        the cells.
    """
    rows: dict[str, Any] = dict(earlier(name, part, settings))
    for key in [key for key in cells if again or key not in rows]:
        began = time.perf_counter()
        rows[key] = cells[key]()
        path = store(name, settings, {part: rows, **more(rows)})
        print(f"{key}: {time.perf_counter() - began:.0f} s; {path}", flush=True)
    return rows


def beside(config: WorldConfig) -> list[str]:
    """Return those of `BESIDE` that can play the first agent of a task; the others are named with the reason."""
    found = []
    for policy in BESIDE:
        if why := obstacle(config, config.agents[0], policy):
            print(f"no row of {policy}: {why}", flush=True)
        else:
            found.append(policy)
    return found


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


def by_policy(
    doc: str | None,
    name: str,
    task: str,
    policies: Sequence[str],
    measured: Callable[[str, str], Any],
    more: Callable[[dict[str, Any], dict[str, str]], Mapping[str, Any]] = lambda rows, policies: {},
    **settings: Any,
) -> None:
    """Run a study that measures one row for each policy of one task.

    Args:
        name: of the result; {task} stands for the task.
        task, policies: the defaults; `beside` adds to the policies.
        measured: measures the row of a task and a policy.
        more: what else the result holds, given the rows and the policies by their names.
        settings: what else decides the rows.
    """
    given = options(doc, task=task, policies=())
    asked = named(given.policies or dict.fromkeys([*policies, *beside(cli.config_of(given.task))]))
    cells = {row: partial(measured, given.task, policy) for row, policy in asked.items()}
    measure(
        name.format(task=given.task),
        {"task": given.task, **settings},
        cells,
        "rows",
        given.again,
        lambda rows: more(rows, asked),
    )
