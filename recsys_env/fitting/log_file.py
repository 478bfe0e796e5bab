"""Reads a log from a file, in the same way for `fit` in Python and for the commands."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks import shown
from ..files import checked_path
from ..libraries import library
from .plausibility import MILLISECONDS, SECONDS, refuse_rows, refuse_two_units
from .times import NANOSECONDS

if TYPE_CHECKING:
    import pandas as pd

CSV, PARQUET = (".csv", ".csv.gz", ".tsv", ".tsv.gz"), ".parquet"
SEPARATORS = ",;\t|"
IDS = ("user", "item", "page", "session")  # roles whose values are names, also if they look like numbers
MICROSECONDS = (3e14, 1e16)  # since 1970
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
DATES = (19800101, 20991231)  # written as numbers


def log_table(log: Any, columns: Mapping[str, str | None], all_or_none: bool) -> Any:
    """The table in a file, if a path is given; anything else as it is.

    Args:
        columns: by role.
        all_or_none: of numbers as times, as for `with_times`.
    """
    if not isinstance(log, str | Path):
        return log
    return with_times(read_table(checked_path("log", log), columns), columns["time"], all_or_none)


def read_table(log: Path, columns: Mapping[str, str | None]) -> pd.DataFrame:
    """The table in a text or Parquet file, whose columns have these names by role."""
    pd = library("pandas", "fit")
    if not log.name.lower().endswith((*CSV, PARQUET)):
        raise ValueError(f"{log} must be a file whose name ends in {', '.join(CSV)} or {PARQUET}")
    if not log.is_file():
        raise ValueError(f"there is no file {log}")
    if log.name.lower().endswith(CSV):
        return _read_csv(pd, log, [name for role in IDS if (name := columns.get(role)) is not None])
    return _read_parquet(pd, log)


def _read_parquet(pd: Any, log: Path) -> pd.DataFrame:
    library("pyarrow", "fit")
    try:
        return pd.read_parquet(log)
    except Exception as error:  # pyarrow's own kinds
        raise ValueError(f"{log} is no Parquet file that can be read: {error}") from None


def _read_csv(pd: Any, log: Path, ids: Sequence[str]) -> pd.DataFrame:
    """The table in a text file. Ids are read as texts, because 007 and 7 are two; those that are all whole numbers
    without leading zeros, such as 7 or 7.0, become numbers."""
    opened = gzip.open if log.suffix.lower() == ".gz" else open
    try:
        with opened(log, "rt", encoding="utf-8-sig") as file:
            line = file.readline()
            first = next((number for number, row in enumerate(file, 2) if row.strip()), 2)
        separator = max(SEPARATORS, key=line.count)
        header = Counter(next(csv.reader([line], delimiter=separator), []))
        if twice := [name for name, number in header.items() if name and number > 1]:
            raise ValueError(f"{log} has several columns named {shown(twice[0])}; a name may stand once")
        head = pd.read_csv(log, nrows=1, sep=separator)
        if not isinstance(head.index, pd.RangeIndex):  # pandas took the first fields for an index
            fields = len(head.columns) + head.index.nlevels
            raise ValueError(
                f"{log} has {fields} fields in line {first} and {len(head.columns)} in its header, so it is not clear "
                "which column a field belongs to: name every column, and leave out separators at the end of lines"
            )
        texts = dict.fromkeys((name for name in ids if name in head.columns), str.strip)
        # With low memory, the type of a column would differ between parts. A converter keeps ids such as "NA".
        table = pd.read_csv(log, sep=separator, low_memory=False, converters=texts)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{log} must be a text file in UTF-8, and it has the byte {byte:#x}: save it anew") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{log} must be a file compressed by gzip: {error}") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{log} is empty") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{log} is no table whose lines all have the columns of the first one: {error}") from None
    for name in texts:
        values = table[name]
        whole = values.str.fullmatch(r"(0|[1-9]\d{0,17})(\.0+)?").all()
        numbers = values.str.partition(".")[0].astype("int64") if whole and len(values) else None
        table[name] = values.mask(values == "") if numbers is None else numbers
    return table


def with_times(table: pd.DataFrame, column: str | None, all_or_none: bool) -> pd.DataFrame:
    """The table, with times instead of numbers of `UNITS` since 1970, or dates written as numbers.

    Args:
        all_or_none: whether numbers of which only most are in one of these forms stay as they are, as in a log of
            pages, whose times may be any numbers.

    Raises:
        ValueError: most numbers of the column are in one of these forms, and others are not.
    """
    if column is None or column not in table.columns or table[column].dtype.kind not in "iuf" or table.empty:
        return table
    pd, numbers = library("pandas", "fit"), table[column]
    refuse_two_units(numbers)
    for (low, high), unit in ((SECONDS, "s"), (MILLISECONDS, "ms"), (MICROSECONDS, "us"), (NANOSECONDS, "ns")):
        fits = numbers.between(low, high).fillna(False).to_numpy(bool)
        if fits.all() or (fits.mean() > 0.5 and not all_or_none):
            refuse_rows(numbers, ~fits, f"must be a time since 1970 in {UNITS[unit]}, as in most of its rows")
            return table.assign(**{column: pd.to_datetime(numbers, unit=unit)})
    if numbers.between(*DATES).fillna(False).all():
        dates = pd.to_datetime(numbers.astype("int64").astype(str), format="%Y%m%d", errors="coerce")
        if dates.notna().all():
            return table.assign(**{column: dates})
    return table  # which `fit` refuses, unless numbers tell the order of pages
