"""Reads a log from a file, in the same way for `fit` in Python and for the commands."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks import shown
from ..files import checked_path
from ..libraries import library
from .schema import ROLES, dated

if TYPE_CHECKING:
    import pandas as pd

CSV, PARQUET = (".csv", ".csv.gz", ".tsv", ".tsv.gz"), ".parquet"
SEPARATORS = ",;\t|"


def as_table(log: Any, named: Mapping[str, str | None]) -> Any:
    """The table in a file, if a path is given; anything else as it is.

    In a file, numbers as times become times if they have one of the forms of `schema.dated`.

    Args:
        named: columns by role.
    """
    if not isinstance(log, str | Path):
        return log
    path = checked_path("log", log)
    name = path.name.lower()
    if not name.endswith((*CSV, PARQUET)):
        raise ValueError(f"{path} must be a file whose name ends in {', '.join(CSV)} or {PARQUET}")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    ids = [column for role, column in named.items() if column is not None and ROLES[role].kind == "id"]
    table = _read_csv(path, ids) if name.endswith(CSV) else _read_parquet(path)
    time = named["time"]
    if time in table.columns and table[time].ndim == 1:
        table = table.assign(**{str(time): dated(table[time])})
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    library("pyarrow", "fit")
    try:
        return library("pandas", "fit").read_parquet(path)
    except Exception as error:  # pyarrow's own kinds
        raise ValueError(f"{path} is no table in the form of Parquet: {error}") from None


def _read_csv(path: Path, ids: Sequence[str]) -> pd.DataFrame:
    """The table in a text file. Ids are read as texts, because 007 and 7 are two; those that are all whole numbers
    without leading zeros, such as 7 or 7.0, become numbers."""
    pd = library("pandas", "fit")
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(SEPARATORS, key=header.count)
        columns = pd.read_csv(path, nrows=0, sep=separator).columns
        # A converter keeps ids such as "NA". With low memory, the type of a column would differ between parts.
        texts = dict.fromkeys((name for name in ids if name in columns), str.strip)
        table = pd.read_csv(path, sep=separator, low_memory=False, converters=texts)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no table that can be read, a text file in UTF-8 with a header: {error}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first fields for an index
        raise ValueError(f"{path} is no table: its rows have more fields than its header {shown(header.strip())}")
    for name in texts:
        values = table[name]
        whole = values.str.fullmatch(r"(0|[1-9]\d{0,17})(\.0+)?").all()
        whole_numbers = values.str.partition(".")[0].astype("int64") if whole and len(values) else None
        table[name] = values.mask(values == "") if whole_numbers is None else whole_numbers
    return table
