"""Times that a table holds as texts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import shown
from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

ZONE = r":\d\d(?:[.,]\d+)?\s*(?:Z|[+-]\d\d(?::?\d\d)?)\s*$"  # behind a time of day; a year ends dates as well
NANOSECONDS = (3e17, 1e19)  # since 1970
SPREADSHEET_DAYS = (29_221, 73_050)  # since 1899-12-30, from 1980 to 2099
TIME_OF_DAY = re.compile(  # with its zone
    r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[+-]\d\d(?::?\d\d)?)?|\b\d{1,2}\s*[ap]\.?m\b", re.IGNORECASE
)
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


def times_in(column: pd.Series, allowed: str) -> pd.Series:
    """The times of a column, in UTC.

    Args:
        allowed: what the column may hold, for errors.

    Raises:
        ValueError: some rows hold no time, or no date, or some have a time zone and others have none.
    """
    refuse_times_of_day(column)
    refuse_two_zones(column)
    try:
        when = read_times(column)
    except (TypeError, ValueError):  # something else than texts and times
        readable = np.fromiter(map(_is_time, column), bool, len(column))
        row = int(np.argmin(readable))
        raise ValueError(
            f"column {shown(column.name)} must hold {allowed}; {(~readable).sum()} of {len(readable)} rows hold "
            f"something else, the first is row {row} with {shown(column.iloc[row])} ({column.dtype})"
        ) from None
    refuse_unread(column, when, allowed)
    return when


def _is_time(value: object) -> bool:
    """Whether pandas reads this value as a time."""
    pd = library("pandas", "fit")
    try:
        return bool(pd.to_datetime(pd.Series([value], dtype=object), errors="coerce", utc=True).notna().iloc[0])
    except (TypeError, ValueError):
        return False


def how_to_convert(numbers: pd.Series) -> str:
    """What to do with a column of numbers that must be times."""
    for unit, low, high, what in (
        ("unit='ns'", *NANOSECONDS, "nanoseconds since 1970"),
        ("unit='D', origin='1899-12-30'", *SPREADSHEET_DAYS, "days of a spreadsheet"),
    ):
        if numbers.between(low, high).all():
            return f"they look like {what}: convert them by pandas.to_datetime(..., {unit})"
    return "convert them, such as seconds since 1970 by pandas.to_datetime(..., unit='s')"


def refuse_times_of_day(column: pd.Series) -> None:
    """Raise a ValueError if some texts are times of day without a date, which pandas would read as times of today."""
    if column.dtype.kind != "O":
        return
    texts = column.dropna().astype(str)
    without = [
        text for text in texts.unique() if (rest := TIME_OF_DAY.sub("", text)) != text and not re.search(r"\d", rest)
    ]
    if without:
        rows = texts.isin(without)
        raise ValueError(
            f"column {shown(column.name)} holds times of day without a date in {rows.sum()} of {len(column)} rows, the "
            f"first is row {texts[rows].index[0]} with {shown(texts[rows].iloc[0])}; join each of them to its date"
        )


def refuse_two_zones(column: pd.Series) -> None:
    """Raise a ValueError if some texts of times have a time zone and others have none."""
    if column.dtype.kind != "O":
        return
    texts = column.dropna().astype(str)
    zoned = texts.str.contains(ZONE, regex=True).to_numpy(bool)
    if zoned.any() and not zoned.all():
        with_zone, without = (texts[rows].index[0] for rows in (zoned, ~zoned))
        raise ValueError(
            f"column {shown(column.name)} has a time zone in {zoned.sum()} of {len(zoned)} rows, such as row "
            f"{with_zone} with {shown(texts[with_zone])}, and none in the others, such as row {without} with "
            f"{shown(texts[without])}; write all times alike"
        )


def refuse_unread(column: pd.Series, when: pd.Series, allowed: str = "times") -> None:
    """Raise a ValueError if rows of a column could not be read as times.

    Args:
        when: what was read, NaT where nothing was.
        allowed: what the column may hold.
    """
    unread = when.isna().to_numpy()
    if not unread.any():
        return
    row, read = int(np.argmax(unread)), int(np.argmin(unread))
    bad, good = (shown(str(column.iloc[number])) for number in (row, read))
    beside = "" if unread.all() else f", while row {read} with {good} is: write all times alike"
    raise ValueError(
        f"column {shown(column.name)} must hold {allowed}; {unread.sum()} of {len(unread)} rows are not read as times, "
        f"the first is row {row} with {bad}{beside}"
    )
