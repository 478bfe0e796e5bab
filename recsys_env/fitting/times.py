"""Times that a table holds as texts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

DAY_AND_MONTH = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})\b")


def read_times(column: pd.Series) -> pd.Series:
    """Read times, in UTC; NaT where a row holds none.

    pandas takes the form of the first row for that of all. Times of which only some have a fraction of a second, and
    dates of which only some have a day above 12 in the first place, have other forms. All rows are read in one way: as
    pandas guesses, in a form of ISO 8601, or, if all begin with two small numbers and a year, with the day first.

    Raises:
        TypeError, ValueError: these are no texts or times.
    """
    to_datetime = library("pandas", "fit").to_datetime
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that every date is read by itself
        best = to_datetime(column, errors="coerce", utc=True)
        for way in _other_ways(column) if best.isna().any() else ():
            other = to_datetime(column, errors="coerce", utc=True, **way)
            best = other if other.isna().sum() < best.isna().sum() else best
    return best


def _other_ways(column: pd.Series) -> Iterator[dict[str, Any]]:
    yield {"format": "ISO8601"}
    if all(DAY_AND_MONTH.match(str(text)) for text in column.dropna().unique()):
        yield {"dayfirst": True}
