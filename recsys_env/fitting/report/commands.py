"""The commands that need a log:

python -m recsys_env fit LOG.csv --columns user=customer item=product ... --origin free_choice --out shop.npz
python -m recsys_env report PAGES.csv --columns user=visitor item=offer event=kind ... --events click=1 --origin pages
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ... import cli
from ...files import check_writable, checked_path, write_json
from .. import estimate
from .assessment import assess
from .page import HEADS, write_page


def fit(
    log: Path,
    columns: tuple[str, ...] = (),
    origin: str = "",
    events: tuple[str, ...] = (),
    settings: tuple[str, ...] = (),
    out: Path = Path("world.npz"),
) -> Path:
    """Fit a world to a log of purchases or pages and write it to a file, which `FittedWorld.load` reads.

    Args:
        log: a .csv, .tsv or .parquet file with one row per purchase, or, with the origin pages, one row per shown item.
            Text files are in UTF-8, also compressed by gzip; commas, semicolons, tabs or bars separate their columns.
        columns: the log's column of each role: user=customer item=product time=when price=paid category=kind. The
            roles are those of `recsys_env.fitting.fit`, of which only user, item and time are required, or with the
            origin pages those of `recsys_env.fitting.fit_pages`: user=visitor item=offer time=when event=clicked.
            Numbers as times are seconds, milliseconds, microseconds or nanoseconds since 1970, or dates such as
            20240301.
        origin: how the customers came to choose: free_choice, random_pages, recommender or pages.
        events: what the values of the column event mean, with the origin pages: click=1 purchase=paid none=view. Of the
            events none, click, cart and purchase each may have several values.
        settings: fields of `recsys_env.fitting.FitSettings`, or with the origin pages of `PageFitSettings`, such as
            dims=8 habit_size=32.
        out: the file.
    """
    check_writable(checked_path("out", out))
    how: Any = origin  # which `fit` checks
    named, of_fit, meanings = _columns(columns), cli.assignments(settings), _events(events)
    with _progress() as step:
        step("fit a world")
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            with _in_one_line():
                world = estimate.fit(log, origin=how, columns=named, events=meanings, source=log.name, **of_fit)
        for doubt in doubts:
            step(f"warning: {doubt.message}")
        world.save(out)
        step(f"wrote {out}")
    return out


def report(
    log: Path,
    columns: tuple[str, ...] = (),
    origin: str = "",
    events: tuple[str, ...] = (),
    settings: tuple[str, ...] = (),
    out: Path = Path("report"),
) -> dict[str, Any]:
    """Say whether policies may be compared in a world fitted to a log, and write report.json and report.html.

    The exit status is 1 if no world can be fitted to the log. The report says why.

    Args:
        log: a .csv, .tsv or .parquet file, as for `python -m recsys_env fit`.
        columns: the log's column of each role, as for `fit`: user=customer item=product time=when.
        origin: how the customers came to choose: free_choice, random_pages, recommender or pages.
        events: what the values of the column event mean, as for `fit`.
        settings: of the fit, as for `fit`.
        out: the folder.
    """
    cli.require("evaluate", "matplotlib")
    for name in ("report.json", "report.html"):
        check_writable(checked_path("out", out) / name)
    how: Any = origin  # which `fit` checks
    named, of_fit, meanings = _columns(columns), cli.assignments(settings), _events(events)
    with _progress() as step, _in_one_line():
        found = assess(log, origin=how, columns=named, events=meanings, fit_settings=of_fit, progress=step)
    write_json(out / "report.json", found, indent=1)
    write_page(found, out / "report.html", title=log.name)
    return {**found, "folder": str(out)}


def show(result: Path | Mapping[str, Any]) -> None:
    """Print the verdict of a report, or the file of a world."""
    if isinstance(result, Path):
        print(f"{result}: {result.stat().st_size / 1e3:,.0f} kB; other commands take it as --task or --tasks {result}")
        return
    verdict = result["verdict"]
    print(verdict["sentence"])
    for name, head in HEADS.items():
        if verdict[name]:
            print(f"\n{head}\n" + "\n".join(f"  - {sentence}" for sentence in verdict[name]))
    print(f"\nThe whole report: {result['folder']}/report.html")
    if verdict["comparison"] == "refused":
        raise SystemExit(1)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A function that prints a step on standard error, with the seconds since the first. Messages of the fit are
    printed in the same way."""
    start = time.perf_counter()

    def step(text: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    logger, printing = logging.getLogger("recsys_env.fitting"), logging.Handler()
    printing.emit = lambda record: step(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(printing)
    logger.setLevel(logging.INFO)
    try:
        yield step
    finally:
        logger.removeHandler(printing)
        logger.setLevel(level)


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """What is wrong with a word of the command, such as an unknown setting, is an error of one line."""
    try:
        yield
    except TypeError as error:
        raise ValueError(str(error)) from error


def _columns(words: tuple[str, ...]) -> dict[str, str | None]:
    """The column of each role."""
    found: dict[str, str | None] = {}
    for word in words:
        role, _, column = word.partition("=")
        if not role or not column:
            raise ValueError(f"--columns {word} must be ROLE=COLUMN, as in user=customer")
        found[role] = column
    return found


def _events(words: tuple[str, ...]) -> dict[str, list[str]] | None:
    """The values of each event."""
    found: dict[str, list[str]] = {}
    for word in words:
        event, _, value = word.partition("=")
        if not event or not value:
            raise ValueError(f"--events {word} must be EVENT=VALUE, as in click=1 purchase=paid")
        found.setdefault(event, []).append(value)
    return found or None
