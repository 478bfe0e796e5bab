"""Times that a table holds as texts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

OTHER_WAYS = ({"format": "ISO8601"}, {"dayfirst": True})  # of reading texts than pandas guesses


def read_times(column: pd.Series) -> pd.Series:
    """Read times, in UTC; NaT where a row holds none.

    pandas takes the form of the first row for that of all. Times of which only some have a fraction of a second, and
    dates of which only some have a day above 12 in the first place, have other forms. All rows are read in one way, the
    first in which most of them are times.

    Raises:
        TypeError, ValueError: these are no texts or times.
    """
    to_datetime = library("pandas", "fit").to_datetime
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that every date is read by itself
        best = to_datetime(column, errors="coerce", utc=True)
        for way in OTHER_WAYS:
            if best.isna().any():
                other = to_datetime(column, errors="coerce", utc=True, **way)
                best = other if other.isna().sum() < best.isna().sum() else best
    return best
