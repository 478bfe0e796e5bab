"""What a log must be for a fit to mean anything: one table of roles, and what is refused.

The user names the columns. Their types and ranges are checked, and what their words mean is not guessed. What else is
worth knowing about a log is a doubt: one line of the report (`doubts`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import did_you_mean, shown
from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd


class Role(NamedTuple):
    """What the column of a role holds."""

    kind: str  # id, time, event, number, label (of an item), or list
    low: float = -np.inf  # of numbers
    high: float = np.inf
    whole: bool = False


ROLES = {
    "user": Role("id"),
    "item": Role("id"),
    "page": Role("id"),
    "session": Role("id"),
    "agent": Role("id"),
    "time": Role("time"),
    "event": Role("event"),
    "price": Role("number", 1e-6, 1e12),
    "quantity": Role("number", 1e-6, 1e9),
    "discount": Role("number", 0.0, 1e12),
    "position": Role("number", 0.0, 2.0**53, whole=True),
    "propensity": Role("number", 1e-300, 1.0),
    "popularity": Role("number", 0.0, 1e15),
    "category": Role("label"),
    "name": Role("label"),
    "text": Role("label"),
    "domain": Role("label"),
    "candidates": Role("list"),
    "vector": Role("list"),
}
EVENTS = {"none": 0, "click": 1, "cart": 2, "purchase": 3}
FLAGS = {"0": "none", "1": "click", "false": "none", "true": "click"}  # of a column that says what was clicked
FEWEST, FEWEST_USERS = 50, 20  # purchases and users behind the weights; in simulated logs with fewer, signs are wrong
COPIES = 0.5  # share of rows that repeat another one, from which on a log is refused
LARGEST, LARGEST_RATE = 50.0, 1e6  # weights and `habit_rate` in ChoiceConfig and FeedbackConfig
UNITS = {"s": (3e8, 1e10), "ms": (3e11, 1e13), "us": (3e14, 1e16), "ns": (3e17, 1e19)}  # since 1970
DATES = (19800101, 20991231)  # written as numbers
DAY_AND_MONTH = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})\b")


def refuse_rows(column: pd.Series, bad: Any, why: str) -> None:
    """Raise a ValueError that names column, count and first example, if there are bad rows."""
    bad = np.asarray(bad, bool)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"column {shown(column.name)} {why}; {int(bad.sum())} of {len(bad)} rows are affected, the first is row "
            f"{row} with {shown(column.iloc[[row]].tolist()[0])}"
        )


# ---------------------------------------------------------------------------------------------- columns


def named_columns(
    columns: Mapping[str, str | None] | None, defaults: Mapping[str, str | None]
) -> dict[str, str | None]:
    """The column of every role: the given ones, or else the defaults; None = not to be used."""
    roles = ", ".join(defaults)
    if not isinstance(columns, Mapping | None):
        raise TypeError(f"columns = {shown(columns)} must be a dict of columns by role; roles are {roles}")
    for role, column in (columns or {}).items():
        if role not in defaults:
            raise ValueError(f"columns has no role {shown(role)}{did_you_mean(role, defaults)}; roles are {roles}")
        if not isinstance(column, str | None):
            raise TypeError(f"the role {role} = {shown(column)} must be the name of a column, or None")
    return {**defaults, **(columns or {})}


def present(
    what: str, table: Any, named: Mapping[str, str | None], required: tuple[str, ...], given: Mapping[str, Any] | None
) -> dict[str, pd.Series]:
    """The columns that a table has, by role, with rows numbered from 0.

    Raises:
        TypeError: it is no DataFrame.
        ValueError: it is empty, lacks a column that is required or was given, or a column has two roles.
    """
    if not isinstance(table, library("pandas", "fit").DataFrame):
        raise TypeError(
            f"{what} is a {type(table).__name__}; it must be a pandas DataFrame, or the path of a file with a table"
        )
    if len(table) == 0:
        raise ValueError(f"{what} is empty: it needs rows")
    found: dict[str, pd.Series] = {}
    taken: dict[str, str] = {}
    for role, column in named.items():
        if column is None or column not in table.columns:
            if role in required or (column is not None and role in (given or {})):
                hint = did_you_mean(column, table.columns) if column else ""
                raise ValueError(
                    f"{what} has no column {shown(column or role)}{hint} for the role {role}; it has the columns "
                    f"{', '.join(map(str, table.columns))}; name the right one: columns {role}=COLUMN"
                )
            continue
        if (table.columns == column).sum() > 1:
            raise ValueError(f"{what} has several columns named {shown(column)}, given as {role}")
        if column in taken and "label" not in (ROLES[role].kind, ROLES[taken[column]].kind):
            raise ValueError(f"column {shown(column)} of {what} has two roles, {taken[column]} and {role}")
        taken[column] = role
        found[role] = table[column].reset_index(drop=True)
    return found


def check_ids(data: Mapping[str, pd.Series], single: tuple[str, ...] = ("user", "item")) -> None:
    """Refuse columns of ids with missing ones, and those of the roles `single` that hold one value alone."""
    for role, column in data.items():
        if ROLES[role].kind == "id":
            missing = column.isna().to_numpy(bool)
            if column.dtype.kind == "O":
                missing |= (column.astype(str).str.strip() == "").to_numpy(bool)
            refuse_rows(column, missing, f"holds ids of the role {role}, which must not be missing")
            if role in single:
                refuse_single(column)


def refuse_single(column: pd.Series) -> None:
    """Refuse a column that holds one value alone."""
    values = column.astype(str) if column.dtype.kind == "O" else column
    if values.nunique() < 2:
        raise ValueError(
            f"column {shown(column.name)} holds {shown(column.tolist()[0])} in all {len(column):,} rows; a fit needs "
            "several values there"
        )


def filled_labels(data: dict[str, pd.Series]) -> list[str]:
    """Replace missing labels by empty texts, and return what columns this happened to."""
    found = []
    for role, column in data.items():
        if ROLES[role].kind == "label" and (missing := int(column.isna().sum())):
            data[role] = column.astype(object).fillna("")
            found.append(f"column {shown(column.name)}: {missing:,} rows hold nothing, which counts as a {role}")
    return found


def codes_of(ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of each id, and the ids in ascending order, by number. Whole floats count as integers."""
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all() and ids.abs().max() < 2**53:
        ids = ids.astype(np.int64)
    try:
        codes, found = library("pandas", "fit").factorize(ids, sort=True)
    except TypeError:  # no order, or no hash
        kinds = sorted({type(value).__name__ for value in ids})
        raise TypeError(
            f"column {shown(ids.name)} must hold ids that can be sorted, integers or texts; it holds {', '.join(kinds)}"
        ) from None
    return codes, np.asarray(found)


def numbers(column: pd.Series, role: str) -> np.ndarray:
    """The numbers of a column.

    Raises:
        ValueError: some are no numbers, not finite, or outside of the range of the role.
    """
    rule = ROLES[role]
    plain = column if column.dtype.kind in "iufb" else _to_numbers(column)
    values = plain.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        bad = ~((values >= rule.low) & (values <= rule.high) & np.isfinite(values))
        if rule.whole:
            bad |= values != np.floor(values)
    whole = "whole numbers" if rule.whole else "numbers"
    refuse_rows(column, bad, f"must hold {whole} from {rule.low:g} to {rule.high:g} as {role}")
    return values


def _to_numbers(column: pd.Series) -> pd.Series:
    found: pd.Series = library("pandas", "fit").to_numeric(column.astype(object), errors="coerce")
    return found


# ---------------------------------------------------------------------------------------------- times and events


def dated(column: pd.Series) -> pd.Series:
    """Times in place of numbers that are all seconds, milliseconds, microseconds or nanoseconds since 1970, or dates
    such as 20240301; any other column as it is."""
    if column.dtype.kind not in "iuf" or column.empty:
        return column
    to_datetime = library("pandas", "fit").to_datetime
    for unit, limits in UNITS.items():
        if column.between(*limits).fillna(False).all():
            found: pd.Series = to_datetime(column, unit=unit)
            return found
    if column.between(*DATES).fillna(False).all():
        dates: pd.Series = to_datetime(column.astype("int64").astype(str), format="%Y%m%d", errors="coerce")
        return dates if dates.notna().all() else column
    return column


def times_in_utc(column: pd.Series) -> pd.Series:
    """Times that a column holds, as texts or otherwise.

    pandas takes the form of the first row for that of all. So all rows are read in one way, that with which most can be
    read: as pandas guesses, in a form of ISO 8601, or, if all begin with two small numbers and a year, with the day
    first.

    Raises:
        ValueError: a row cannot be read.
    """
    to_datetime = library("pandas", "fit").to_datetime
    unread = "must hold times, such as 2024-03-01 17:30, all written alike"
    ways: list[dict[str, Any]] = [{}, {"format": "ISO8601"}, {"dayfirst": True}]
    best = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that every date is read by itself
        for way in ways:
            if "dayfirst" in way and not all(DAY_AND_MONTH.match(str(text)) for text in column.dropna().unique()):
                continue
            try:
                found = to_datetime(column, errors="coerce", utc=True, **way)
            except (TypeError, ValueError):  # something else than texts and times
                continue
            if best is None or found.isna().sum() < best.isna().sum():
                best = found
            if not best.isna().any():
                break
    if best is None:
        raise ValueError(f"column {shown(column.name)} {unread}; it holds {shown(column.tolist()[0])}")
    refuse_rows(column, best.isna(), unread)
    return best


def local_times(column: pd.Series) -> pd.Series:
    """Times without a zone: of a column with one zone as its clocks showed them, of mixed ones in UTC."""
    column = dated(column)
    if column.dtype.kind in "iufbc":
        raise ValueError(
            f"column {shown(column.name)} holds numbers such as {column.iloc[0]} as times; they must be times since "
            "1970 in one unit, or dates such as 20240301"
        )
    if hasattr(column.dtype, "tz"):
        refuse_rows(column, column.isna(), "must hold times")
        return column.dt.tz_localize(None)
    if column.dtype.kind == "M":
        refuse_rows(column, column.isna(), "must hold times")
        return column
    return times_in_utc(column).dt.tz_localize(None)


def times_as_numbers(column: pd.Series) -> np.ndarray:
    """Times as float64: numbers as they are, dates in seconds."""
    found = column
    if column.dtype.kind == "O" and (read := _to_numbers(column)).notna().mean() > 0.5:
        found = read
    if found.dtype.kind in "iuf":
        values = found.to_numpy(dtype=np.float64, na_value=np.nan)
        refuse_rows(column, ~np.isfinite(values), "must hold times, numbers as in most of its rows")
        return values
    when = times_in_utc(column)
    passed = (when - when.min()) / library("pandas", "fit").Timedelta(seconds=1)
    return np.asarray(passed, np.float64)


def checked_events(events: Any) -> dict[str, str]:
    """Event by the value that stands for it, for a mapping of events to a value or several: `FLAGS`, the names of
    `EVENTS`, and what is given.

    Raises:
        TypeError, ValueError: it is no such mapping, there is no such event, or a value stands for two.
    """
    if not isinstance(events, Mapping | None):
        raise TypeError(f"events = {shown(events)} must be a dict, such as {{'click': 1, 'purchase': 'paid'}}")
    found: dict[str, str] = {}
    for event, values in (events or {}).items():
        if event not in EVENTS:
            raise ValueError(
                f"events has no event {shown(event)}{did_you_mean(event, EVENTS)}; events are {', '.join(EVENTS)}"
            )
        for value in values if isinstance(values, list | tuple | set) else [values]:
            if found.setdefault(_word(value), event) != event:
                raise ValueError(f"events maps {shown(value)} to {found[_word(value)]} and to {event}")
    return {**FLAGS, **{event: event for event in EVENTS}, **found}


def levels(column: pd.Series, events: Any) -> np.ndarray:
    """Each row's event as a number of `EVENTS`; a missing one is "none".

    Raises:
        ValueError: a value is not mapped.
    """
    meaning = checked_events(events)
    try:
        codes, kinds = library("pandas", "fit").factorize(column)
    except TypeError:  # no hash
        raise ValueError(f"column {shown(column.name)} must hold one event in each row") from None
    words = [_word(kind) for kind in kinds]
    if unknown := [kind for kind, word in zip(kinds.tolist(), words, strict=True) if word not in meaning]:
        raise ValueError(
            f"column {shown(column.name)} holds {', '.join(map(shown, unknown[:8]))}, of which it is not known what "
            f"event it is; map each value to one of {', '.join(EVENTS)}: --events none=VALUE click=VALUE, or "
            "events={'none': ..., 'click': ...} in Python"
        )
    found = np.array([*(EVENTS[meaning[word]] for word in words), EVENTS["none"]], np.int64)[codes]
    return found


def _word(value: object) -> str:
    """A value of a column of events as a text: of 1.0 and 1 the same, of true values in lower case."""
    text = str(value).strip()
    return text.lower() if text.lower() in ("true", "false") else text.removesuffix(".0")


# ---------------------------------------------------------------------------------------------- evidence


def refuse_copies(again: np.ndarray, what: str) -> None:
    """Refuse a log if half of its rows, or more, repeat an earlier one."""
    if again.mean() >= COPIES:
        raise ValueError(
            f"{int(again.sum()):,} of {len(again):,} rows repeat an earlier row in {what}, the first is row "
            f"{int(np.argmax(again))}; drop the copies"
        )


def check_weight(name: str, value: float, lowest: float = -LARGEST, highest: float = LARGEST) -> float:
    """Return an estimated weight if a world allows it. Larger ones are what no evidence, or a perfect one, leads to."""
    if not lowest <= value <= highest:
        raise ValueError(
            f"the log does not tell {name}: it is estimated as {value:.3g}, and a world allows {lowest:g} to "
            f"{highest:g}. This happens if an outcome always, or never, follows from what was shown"
        )
    return value


def check_evidence(what: str, found: Mapping[str, int], needed: Mapping[str, int], hint: str) -> None:
    """Refuse a log with fewer rows or people than the weights need.

    Args:
        what: the numbers are of.
        found, needed: numbers by name.
        hint: what to do.
    """
    if any(found[name] < fewest for name, fewest in needed.items()):
        has, needs = (", ".join(f"{number:,} {name}" for name, number in of.items()) for of in (found, needed))
        raise ValueError(f"{what} {has}; a fit needs {needs} or more: {hint}")
