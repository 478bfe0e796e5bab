"""A purchase log that is cut at a date: a world is fitted to what came before, and compared with what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...libraries import library
from ..table import named_columns, tidy

if TYPE_CHECKING:
    import pandas as pd


FEWEST = {"rows": 200, "users": 20, "items": 20, "days": 10}  # that a report needs


class Refusal(ValueError):
    """A log that a report cannot say anything about, with the reason."""


@dataclass(frozen=True)
class Split:
    """A log before and after a date. Codes of users and items are those of the catalogue fitted to `training`."""

    purchases: pd.DataFrame  # the whole log, as it was given
    training: pd.DataFrame  # its rows before the date
    before: pd.DataFrame  # tidy lines of the same rows
    after: pd.DataFrame  # tidy lines from the date on, of users and items that `before` has
    date: str  # first day of the second part
    days: tuple[int, int]  # length of both parts
    strangers: float  # share of the later rows that are left out, since their user or item is new

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items of the first part."""
        return int(self.before["user"].max()) + 1, int(self.before["item"].max()) + 1


def split(purchases: pd.DataFrame, columns: Mapping[str, str | None] | None, held_out: float) -> Split:
    """Cut a log at a date.

    Args:
        purchases, columns: as in `fit`.
        held_out: share of the log's days in the second part; it is one day at least.

    Raises:
        ValueError, TypeError: the table is no log of purchases, as in `fit`.
        Refusal: the log is too small to be cut, or nobody is in both parts.
    """
    lines, _, _ = tidy(purchases, named_columns(columns))
    _check_size(lines)
    day = ((lines["date"] - lines["date"].min()).dt.days).to_numpy()
    days = int(day.max()) + 1
    later = max(1, round(held_out * days))
    first = day < days - later
    date = lines["date"].max() - library("pandas", "fit").Timedelta(days=later - 1)
    codes = {name: np.unique(lines.loc[first, name]) for name in ("user", "item")}
    known = np.all([np.isin(lines[name], code) for name, code in codes.items()], axis=0)
    coded = lines.assign(**{name: np.searchsorted(code, lines[name]) for name, code in codes.items()})
    after = coded[~first & known]
    if after.empty:
        raise Refusal(f"no user who bought before {date.date()} buys a known item again from that day on")
    return Split(
        purchases=purchases,
        training=purchases[first],
        before=coded[first],
        after=after,
        date=str(date.date()),
        days=(days - later, later),
        strangers=1 - len(after) / int((~first).sum()),
    )


def _check_size(lines: pd.DataFrame) -> None:
    found = {
        "rows": len(lines),
        "users": lines["user"].nunique(),
        "items": lines["item"].nunique(),
        "days": lines["date"].nunique(),
    }
    short = [
        f"{number} {name}, of which it needs {FEWEST[name]}" for name, number in found.items() if number < FEWEST[name]
    ]
    if short:
        raise Refusal(f"the log has {'; '.join(short)}")
