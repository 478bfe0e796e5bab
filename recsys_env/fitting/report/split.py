"""A log that is cut in time: a world is fitted to what came before, and compared with what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...libraries import library
from ..page_log import PageLog, index_in, page_table, read_pages
from ..table import purchase_table, tidy

if TYPE_CHECKING:
    import pandas as pd


FEWEST = {"rows": 200, "users": 20, "items": 20, "days": 10}  # that a report needs
FEWEST_OF_PAGES = {"pages": 200, "pages with a click": 50, "users": 20, "items": 5}
FEWEST_LATER = {"pages with a click": 20, "users who click": 10}  # on pages that are compared with the world


class Refusal(ValueError):
    """A log that a report cannot say anything about, with the reason."""


@dataclass(frozen=True)
class Split:
    """A log before and after a date. Codes of users and items are those of the catalogue fitted to `training`."""

    training: pd.DataFrame  # rows of the log before the date, as they were given
    before: pd.DataFrame  # tidy lines of the same rows
    after: pd.DataFrame  # tidy lines from the date on, of users and items that `before` has
    date: str  # first day of the second part
    days: tuple[int, int]  # length of both parts
    strangers: float  # share of the later rows that are left out, since their user or item is new

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items of the first part."""
        return int(self.before["user"].max()) + 1, int(self.before["item"].max()) + 1


def split(purchases: Any, columns: Mapping[str, str | None] | None, held_out: float) -> Split:
    """Cut a log at a date.

    Args:
        purchases, columns: as in `fit`.
        held_out: share of the log's days in the second part; it is one day at least.

    Raises:
        ValueError, TypeError: the table is no log of purchases, as in `fit`.
        Refusal: the log is too small to be cut, or nobody is in both parts.
    """
    purchases = purchase_table(purchases, columns)
    log = tidy(purchases, columns)
    lines = log.lines
    counts = {"rows": len(lines), "users": len(log.user_id), "items": len(log.items), "days": lines["date"].nunique()}
    _check_size("the log has", counts, FEWEST)
    day = ((lines["date"] - lines["date"].min()).dt.days).to_numpy()
    days = int(day.max()) + 1
    later = max(1, round(held_out * days))
    first = day < days - later
    date = lines["date"].max() - library("pandas", "fit").Timedelta(days=later - 1)
    codes = {name: np.unique(lines.loc[first, name]) for name in ("user", "item")}
    known = np.all([np.isin(lines[name], code) for name, code in codes.items()], axis=0)
    coded = lines.assign(**{name: np.searchsorted(code, lines[name]) for name, code in codes.items()})
    after = coded[~first & known]
    if after.empty or log.far:
        far = f": {log.far}" if log.far else ""
        if after.empty or (~first).mean() < held_out / 10:
            raise Refusal(
                f"only {(~first).sum():,} of {len(lines):,} rows are held out, those from {date.date()} on, and "
                f"{len(after):,} of them are of users and items that come before{far}"
            )
    return Split(
        training=purchases[first],
        before=coded[first],
        after=after,
        date=str(date.date()),
        days=(days - later, later),
        strangers=1 - len(after) / int((~first).sum()),
    )


@dataclass(frozen=True)
class PageSplit:
    """A log of pages before and after a time; P pages, U users and M items of the whole log."""

    whole: PageLog
    before: PageLog  # the pages before the time
    order: np.ndarray  # [P] number of each page in order of time
    first: np.ndarray  # [P] whether it is before the time
    after: np.ndarray  # [P] whether it comes later, and its user and all of its items are in `before`
    user: np.ndarray  # [U] number of the user in `before`, -1 = not there
    item: np.ndarray  # [M] likewise
    date: str  # the time, "" if the log has none
    strangers: float  # share of the later pages that are left out, since their user or an item is new

    @property
    def candidates(self) -> np.ndarray | None:
        """[P', C] items of `before` that retrieval offered at the pages of `after`, -1 = none; None: not known."""
        whole = self.whole.candidates
        return None if whole is None else np.append(self.item, -1)[whole[self.after]]


def split_pages(
    log: Any,
    columns: Mapping[str, str | None] | None,
    items: pd.DataFrame | None,
    held_out: float,
    events: Mapping[str, Any] | None = None,
) -> PageSplit:
    """Cut a log of pages at a time.

    Args:
        log, columns, items, events: as in `fit_pages`.
        held_out: share of the pages in the second part; it is one page at least.

    Raises:
        ValueError, TypeError: the table is no log of pages, as in `fit_pages`.
        Refusal: the log is too small to be cut, its first part is no log of pages, or too little of the second part is
            about users and items of the first.
    """
    log = page_table(log, columns)
    whole = read_pages(log, columns, items, events)
    count = len(whole.start)
    counts = {
        "pages": count,
        "pages with a click": int((whole.chosen >= 0).sum()),
        "users": len(whole.user_ids),
        "items": len(np.unique(whole.item)),
    }
    _check_size("the log has", counts, FEWEST_OF_PAGES)
    appearance = np.zeros(count, np.int64)
    appearance[whole.row_page[::-1]] = np.arange(len(whole.row_page))[::-1]
    by_time = np.lexsort((appearance, whole.start))
    order = np.empty(count, np.int64)
    order[by_time] = np.arange(count)
    cut = by_time[count - max(1, round(held_out * count))]
    first = whole.start < whole.start[cut] if whole.first else order < order[cut]
    if not first.any():
        raise Refusal(f"{(~first).sum():,} pages, nearly all, have the same time, so that none can be held out")
    try:
        # A cart may be bought after the time, on a page before it.
        rows = first[whole.row_page] & ((whole.row_time < whole.start[cut]) if whole.first else True)
        before = read_pages(log[rows], columns, items, events)
    except ValueError as error:
        raise Refusal(f"in its first part, {error}") from None
    user, item = index_in(before.user_ids, whole.user_ids), index_in(before.item_ids, whole.item_ids)
    if items is not None:  # a table of items also has those that were not shown
        item[~np.isin(np.arange(len(item)), whole.item[first[whole.page]])] = -1
    known = np.minimum.reduceat(item[whole.item], whole.first_row[:-1]) >= 0
    after = ~first & known & (user[whole.user] >= 0)
    clicked = after & (whole.chosen >= 0)
    counts = {"pages with a click": int(clicked.sum()), "users who click": len(np.unique(whole.user[clicked]))}
    _check_size("the held-out pages whose users and items are known have", counts, FEWEST_LATER)
    row = int(np.flatnonzero(whole.row_page == cut)[0])
    return PageSplit(
        whole=whole,
        before=before,
        order=order,
        first=first,
        after=after,
        user=user,
        item=item,
        date=str(log[whole.columns["time"]].iloc[row]) if whole.first else "",
        strangers=1 - float(after.sum() / (~first).sum()),
    )


def _check_size(what: str, found: Mapping[str, int], fewest: Mapping[str, int]) -> None:
    """Refuse what is too small for a report."""
    short = [
        f"{found[name]} {name}, of which it needs {number}" for name, number in fewest.items() if found[name] < number
    ]
    if short:
        raise Refusal(f"{what} {'; '.join(short)}")
