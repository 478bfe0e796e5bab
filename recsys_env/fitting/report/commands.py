"""The commands that need a log:

python -m recsys_env fit LOG.csv --columns user=customer item=product ... --origin free_choice --out shop.npz
python -m recsys_env report LOG.csv --columns user=customer item=product ... --origin free_choice --out shop
python -m recsys_env report PAGES.csv --columns user=visitor item=offer event=click ... --origin pages --out shop
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import cli
from ...checks import did_you_mean, shown
from ...config.settings import replace
from ...files import check_writable, checked_path, write_json
from .. import estimate
from ..estimate import FitSettings
from ..log_file import IDS, read_table, with_times
from ..page_log import PAGE_ROLES, REQUIRED
from ..page_world import PageFitSettings
from ..table import COLUMNS, OPTIONAL
from ..world import ORIGINS
from .assessment import assess
from .page import HEADS, write_page

if TYPE_CHECKING:
    import pandas as pd


def fit(
    log: Path,
    columns: tuple[str, ...] = (),
    origin: str = "",
    settings: tuple[str, ...] = (),
    out: Path = Path("world.npz"),
) -> Path:
    """Fit a world to a log of purchases or pages and write it to a file, which `FittedWorld.load` reads.

    Args:
        log: a .csv, .tsv or .parquet file with one row per purchase, or, with the origin pages, one row per shown item.
            Text files are in UTF-8, also compressed by gzip; commas, semicolons, tabs or bars separate their columns.
        columns: the log's column of each role: user=customer item=product time=when price=paid category=kind. The
            roles are those of `recsys_env.fitting.fit`. Only user, item and time are required: price, quantity,
            discount, category and name are used if the log has columns with the default names. Numbers as times are
            seconds, milliseconds, microseconds or nanoseconds since 1970, or dates such as 20240301. The roles of a log
            of pages are those of `recsys_env.fitting.fit_pages`: user=visitor item=offer time=when event=clicked
            position=slot propensity=pscore.
        origin: how the customers came to choose: free_choice, random_pages, recommender or pages.
        settings: fields of `recsys_env.fitting.FitSettings`, or with the origin pages of `PageFitSettings`, such as
            dims=8 habit_size=32.
        out: the file.
    """
    check_writable(checked_path("out", out))
    how, of_fit = _origin(origin), _settings(settings, origin)
    table, roles = _read(log, columns, origin)
    with _progress() as step:
        step("fit a world")
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            world = estimate.fit(table, origin=how, columns=roles, source=log.name, **of_fit)
        for doubt in doubts:
            step(f"warning: {doubt.message}")
        world.save(out)
        step(f"wrote {out}")
    return out


def report(
    log: Path,
    columns: tuple[str, ...] = (),
    origin: str = "",
    settings: tuple[str, ...] = (),
    out: Path = Path("report"),
) -> dict[str, Any]:
    """Say whether policies may be compared in a world fitted to a log, and write report.json and report.html.

    The exit status is 1 if no world can be fitted to the log. The report says why.

    Args:
        log: a .csv, .tsv or .parquet file, as for `python -m recsys_env fit`.
        columns: the log's column of each role, as for `fit`: user=customer item=product time=when.
        origin: how the customers came to choose: free_choice, random_pages, recommender or pages.
        settings: of the fit, as for `fit`.
        out: the folder.
    """
    cli.require("evaluate", "matplotlib")
    for name in ("report.json", "report.html"):
        check_writable(checked_path("out", out) / name)
    how, of_fit = _origin(origin), _settings(settings, origin)
    table, roles = _read(log, columns, origin)
    with _progress() as step:
        found = assess(table, origin=how, columns=roles, fit_settings=of_fit, progress=step)
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


def _origin(word: str) -> Any:
    if word not in ORIGINS:
        given = f"origin = {shown(word)} is not allowed{did_you_mean(word, ORIGINS)}" if word else "--origin is missing"
        meanings = "; ".join(f"{name}: {meaning}" for name, meaning in ORIGINS.items())
        raise ValueError(f"{given}: say how the customers came to choose. {meanings}")
    return word


def _settings(words: tuple[str, ...], origin: str) -> dict[str, Any]:
    """Settings of a fit, such as {"dims": 8}."""
    kind = PageFitSettings if origin == "pages" else FitSettings
    settings = cli.assignments(words)
    try:
        replace(kind(), settings)
    except TypeError as error:  # an unknown name, or a value of a wrong kind
        raise ValueError(f"--settings: {error}") from None
    return settings


def _read(log: Path, columns: tuple[str, ...], origin: str) -> tuple[pd.DataFrame, dict[str, str | None]]:
    """The table in a file, and the columns of its roles."""
    allowed = PAGE_ROLES if origin == "pages" else tuple(COLUMNS)
    given: dict[str, str | None] = {}
    for word in columns:
        role, equals, column = word.partition("=")
        if not equals or role not in allowed or not column:
            raise ValueError(
                f"--columns {word} must be ROLE=COLUMN{did_you_mean(role, allowed)}; roles are {', '.join(allowed)}"
            )
        given[role] = column
    usual: Mapping[str, str | None] = dict(zip(IDS, IDS, strict=True)) if origin == "pages" else COLUMNS
    table = read_table(log, {**usual, **given})
    if origin == "pages":
        _check_named(log, table, {role: given.get(role, role) for role in REQUIRED})
        return with_times(table, given.get("time", "time"), all_or_none=True), given
    missing = {role: None for role in OPTIONAL if role not in given and COLUMNS[role] not in table.columns}
    roles = {**COLUMNS, **missing, **given}
    _check_named(log, table, {role: roles[role] for role in COLUMNS if role not in OPTIONAL})
    return with_times(table, roles["time"], all_or_none=False), roles


def _check_named(log: Path, table: pd.DataFrame, required: Mapping[str, str | None]) -> None:
    """Raise a ValueError that lists all roles whose columns the table lacks."""
    missing = [role for role, column in required.items() if column not in table.columns]
    if not missing:
        return
    columns = list(map(str, table.columns))
    header = ""
    if all(re.fullmatch(r"[-\d.,:TZ+ ]*", column) for column in columns):
        header = "; these look like values: the first line of the file must name its columns"
    raise ValueError(
        f"{log} has no column for {', '.join(f'{role} ({shown(required[role])})' for role in missing)}: give --columns "
        f"{' '.join(f'{role}=COLUMN' for role in missing)}; its columns are {', '.join(columns)}{header}"
    )
