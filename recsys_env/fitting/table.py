"""Checks a purchase log and converts it to lines and items. Every row is used, or the log is refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import did_you_mean, shown
from ..libraries import library
from .plausibility import missing_ids, refuse_compound_ids, refuse_rows, refuse_several, refuse_texts
from .times import how_to_convert, refuse_unread, times_in

if TYPE_CHECKING:
    import pandas as pd

MAX_KINDS = 1024  # ItemConfig.topics
EARLIEST = "1980-01-01"  # purchase logs are younger; 1900 and 1970 are what a missing or misread date turns into
LONGEST_YEARS = 20
UNITS, PRICES = (1e-6, 1e9), (1e-6, 1e12)  # fewest and most units in a row, lowest and highest price of a row
COLUMNS: dict[str, str | None] = {  # role -> its default column
    "user": "household_id",
    "item": "product_id",
    "time": "transaction_timestamp",
    "price": "sales_value",
    "quantity": "quantity",
    "discount": "retail_disc",
    "category": "product_category",
    "name": "product_type",
    "text": None,
    "domain": None,
}
OPTIONAL = ("price", "quantity", "discount", "category", "name", "text", "domain")
OF_PRICE = ("quantity", "discount")  # roles that say something about the price alone
LABELS = ("category", "name", "text", "domain")  # of an item


def named_columns(columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
    """Return the column of every role: the given ones, or else the defaults.

    Raises:
        TypeError: `columns` is not a mapping.
        ValueError: there is no such role, or a role about the price without a column of prices.
    """
    if not isinstance(columns, Mapping | None):
        raise TypeError(f"columns = {shown(columns)} must be a dict of columns by role; roles are {', '.join(COLUMNS)}")
    given = columns or {}
    for role in given:
        if role not in COLUMNS:
            raise ValueError(
                f"columns has no role {shown(role)}{did_you_mean(role, COLUMNS)}; roles are {', '.join(COLUMNS)}"
            )
    named = {**COLUMNS, **given}
    if named["price"] is None:
        for role in OF_PRICE:
            if given.get(role) is not None:
                raise ValueError(f"{role} = {shown(given[role])} needs a column of prices, and price = None")
        named |= dict.fromkeys(OF_PRICE)
    return named


class TidyLog(NamedTuple):
    """A checked log of purchases, whose users and items are numbered in order of their ids.

    Attributes:
        lines: one row per purchase: numbers of user and item, day (since the midnight before the first purchase), date,
            units, and paid and list price per unit, which are 1 in a log without prices.
        items: one row per item: `LABELS` and `id`, texts.
        user_id: [U] texts.
        relabelled: number of items with several labels of a kind, of which the most frequent counts.
    """

    lines: pd.DataFrame
    items: pd.DataFrame
    user_id: np.ndarray
    relabelled: int


def tidy(table: pd.DataFrame, columns: dict[str, str | None]) -> TidyLog:
    """Check a log and put it in order.

    Args:
        table: one row per purchase.
        columns: role -> its column or None, for all roles in `COLUMNS`.
    """
    pd = library("pandas", "fit")
    _check_table(pd, table)
    _check_columns(table, columns)
    data = {role: table[column].reset_index(drop=True) for role, column in columns.items() if column is not None}
    for role in ("user", "item", *LABELS):
        if role in data:
            _refuse_missing(data[role], role, f"column {shown(columns[role])}")
    when = _times(pd, data["time"])
    paid = _within(data["price"], *PRICES) if "price" in data else np.ones(len(table))
    units = _within(data["quantity"], *UNITS) if "quantity" in data else 1.0
    off = _numbers(data["discount"], positive=False) if "discount" in data else 0.0
    user, user_id = codes_of(pd, data["user"])
    item, item_id = codes_of(pd, data["item"])
    lines = pd.DataFrame(
        {
            "user": user,
            "item": item,
            "day": ((when - when.min().normalize()) / pd.Timedelta(days=1)).to_numpy(),
            "date": when.dt.normalize().to_numpy(),
            "paid": paid / units,
            "list": (paid + off) / units,
            "units": units,
        }
    )
    nothing, all_alike = (pd.Series(label, data["item"].index) for label in ("", "all"))
    without = {"category": all_alike, "name": data["item"], "text": nothing, "domain": nothing}
    labels, several = {}, np.zeros(lines["item"].max() + 1, np.bool_)
    for role in LABELS:
        labels[role], more = most_frequent_label(pd, lines["item"], data.get(role, without.get(role)))
        several |= more
    items = pd.DataFrame({**labels, "id": item_id.astype(str)})
    return TidyLog(lines, items, user_id.astype(str), int(several.sum()))


def newcomers(table: pd.DataFrame, columns: dict[str, str | None], known: pd.Series) -> pd.DataFrame:
    """Check a table of items that the log lacks; return their labels, `id` and list `price`, in order of their ids.

    Args:
        table: one row per item, in the columns of the log; those of item, category, price and text are required.
        columns: as for `tidy`.
        known: ids of the items in the log.
    """
    pd = library("pandas", "fit")
    if not isinstance(table, pd.DataFrame) or len(table) == 0:
        raise ValueError(f"new_items = {shown(table)} must be a pandas DataFrame with one row per new item, or None")
    used = {role: columns[role] for role in ("item", "price", *LABELS)}
    for role in ("item", "price", "category", "text"):
        if used[role] is None:
            raise ValueError(f"new_items needs a column for {role}: columns={{{role!r}: ...}} names it")
    for role, column in used.items():
        if column is not None and column not in table.columns:
            raise ValueError(
                f"new_items has no column {shown(column)} for the role {role}; it has {list(table.columns)}"
            )
        if column is not None:
            _refuse_missing(table[column], role, f"column {shown(column)} of new_items")
    ids = table[used["item"]]
    if (bought := ids[ids.isin(known)]).size:
        raise ValueError(
            f"new_items has {bought.size} items that the log has purchases of, such as {shown(bought.tolist()[0])}"
        )
    if (again := ids[ids.duplicated()]).size:
        raise ValueError(f"new_items has the item {shown(again.tolist()[0])} more than once")
    without = {"name": ids, "text": "", "domain": ""}
    labels = {role: table[used[role]] if used[role] else without[role] for role in LABELS}
    found = pd.DataFrame({**labels, "id": ids, "price": _within(table[used["price"]], *PRICES)}, index=table.index)
    return found.iloc[np.argsort(codes_of(pd, ids)[0], kind="stable")].astype(dict.fromkeys((*LABELS, "id"), str))


def kinds(items: pd.DataFrame, role: str, column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return codes [M] and names of the categories or domains in this column, in order of the names."""
    names, codes = np.unique(items[role].to_numpy().astype(str), return_inverse=True)
    if len(names) > MAX_KINDS or len(names) > len(items) / 2:
        raise ValueError(
            f"column {shown(column)} gives {len(names)} values for {len(items)} items; "
            f"use a coarser {role}: at most {MAX_KINDS} values, of 2 items or more on average"
        )
    return codes.astype(np.int32), names


def _refuse_missing(values: pd.Series, role: str, what: str) -> None:
    missing = missing_ids(values) if role in ("user", "item") else values.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{what} has {missing.sum()} missing values; drop or fill those rows, the first is row "
            f"{int(np.argmax(missing))}"
        )
    if role in LABELS:
        refuse_several(values)


def _check_table(pd: Any, table: Any) -> None:
    if not isinstance(table, pd.DataFrame):
        hint = {"str": ": read the file with pandas.read_csv", "dict": ": pandas.DataFrame(...) makes one of it"}
        kind = type(table).__name__
        how = ": its to_pandas() makes one of it" if hasattr(table, "to_pandas") else hint.get(kind, "")
        raise TypeError(f"purchases is a {kind}; it must be a pandas DataFrame with one row per purchase{how}")
    if len(table) == 0:
        raise ValueError("purchases is empty: it needs one row per purchase")


def _check_columns(table: pd.DataFrame, columns: dict[str, str | None]) -> None:
    for role, column in columns.items():
        if column is None and role in OPTIONAL:
            continue
        if not isinstance(column, str):
            raise TypeError(
                f"{role} = {shown(column)} must be the name of a column; only {', '.join(OPTIONAL)} may be None"
            )
        found = int((table.columns == column).sum())
        if found == 0:
            hint = did_you_mean(column, table.columns)
            raise ValueError(
                f"purchases has no column {shown(column)}{hint} for the role {role}; it has {list(table.columns)}"
            )
        if found > 1:
            raise ValueError(
                f"purchases has {found} columns named {shown(column)}, given as {role}; a name may stand once"
            )
    pairs = [("user", "item"), ("user", "time"), ("item", "time"), ("item", "category")]
    pairs += [(one, other) for one in ("price", "quantity", "discount") for other in COLUMNS if other != one]
    for one, other in pairs:
        if columns[one] is not None and columns[one] == columns[other]:
            raise ValueError(f"{one} and {other} are both the column {shown(columns[one])}")


def codes_of(pd: Any, ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The number of each id, and the ids in ascending order, by number. Whole floats count as integers."""
    if ids.dtype.kind == "f":
        refuse_rows(ids, np.isinf(ids.to_numpy(np.float64, na_value=np.nan)), "must hold ids, and no infinite numbers")
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all() and ids.abs().max() < 2**53:
        ids = ids.astype(np.int64)
    refuse_compound_ids(ids)
    try:
        codes, found = pd.factorize(ids, sort=True)
    except TypeError:  # no order, or no hash
        kinds = ids.map(lambda value: type(value).__name__).value_counts()
        other = [type(value).__name__ == kinds.index[-1] for value in ids]
        raise TypeError(
            f"column {shown(ids.name)} must hold ids that can be sorted (integers or strings), it holds "
            f"{', '.join(sorted(kinds.index))}; {kinds.iloc[-1]} of {len(ids)} rows are of the type "
            f"{kinds.index[-1]}, the first is row {other.index(True)} with {shown(ids.iloc[other.index(True)])}"
        ) from None
    return codes, np.asarray(found)


def most_frequent_label(pd: Any, item: Any, label: Any) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent label [M] of each item, of equals the first in the alphabet, and which items have several."""
    counts = pd.DataFrame({"item": item, "label": label.astype(str)}).value_counts().reset_index()
    counts = counts.sort_values(["item", "count", "label"], ascending=[True, False, True])
    return counts.drop_duplicates("item")["label"].to_numpy(str), (np.bincount(counts["item"]) > 1)


def plain_numbers(values: pd.Series) -> pd.Series:
    """The numbers of a column, also of one that holds categories or decimals; some may be missing. A column of texts
    stays as it is."""
    categories = getattr(values.dtype, "categories", None)
    if categories is not None:
        numbers = categories.dtype.kind in "iuf"
    else:
        numbers = values.dtype.kind == "O" and bool(values.map(type).isin((Decimal, float, type(None))).all())
    return values.astype(np.float64) if numbers else values


def _numbers(values: pd.Series, positive: bool) -> np.ndarray:
    column = values.name
    allowed = "finite and > 0" if positive else "finite and >= 0"
    values = plain_numbers(values)
    refuse_texts(values, allowed)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    with np.errstate(over="ignore", under="ignore"):
        kept = numbers.astype(np.float32)  # as the catalogue keeps it
    bad = ~np.isfinite(kept) | ((kept <= 0) if positive else (kept < 0))
    if bad.any():
        row = int(np.argmax(bad))
        empty, below = int(np.isnan(numbers).sum()), int((numbers < 0).sum())
        hints = ", as in a log without prices: name no column for price" * bool((kept == 0).all())
        hints += f"; {empty} rows hold nothing" * (empty > 0)
        how = "leave returns out" if positive else "write the amount taken off as a positive number"
        hints += f"; {below} rows are below 0: {how}" * (below > 0)
        raise ValueError(
            f"column {shown(column)} must be {allowed}; {bad.sum()} of {len(bad)} rows are not, the first is row {row} "
            f"with {numbers[row]}{hints}"
        )
    return numbers


def _within(values: pd.Series, low: float, high: float) -> np.ndarray:
    numbers = _numbers(values, positive=True)
    refuse_rows(values, (numbers < low) | (numbers > high), f"must be from {low:g} to {high:g}")
    return numbers


def _times(pd: Any, values: pd.Series) -> pd.Series:
    """Times without a zone: of a column with one zone as its clocks showed them, of mixed ones in UTC."""
    column = values.name
    if values.dtype.kind in "iufbc":  # pandas would read numbers as nanoseconds since 1970
        raise ValueError(f"column {shown(column)} holds numbers ({values.iloc[0]}); {how_to_convert(values)}")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        when = values.dt.tz_localize(None)
    elif values.dtype.kind == "M":
        when = values
    else:
        when = times_in(values, "times").dt.tz_localize(None)
    refuse_unread(values, when)
    early = when < pd.Timestamp(EARLIEST)
    if early.any():
        raise ValueError(
            f"column {shown(column)} holds {early.sum()} times before {EARLIEST}, the first is {when[early].iloc[0]}; "
            "1900 and 1970 are what missing dates, and numbers taken for nanoseconds, turn into"
        )
    years = (when.max() - when.min()).days / 365.25
    if years > LONGEST_YEARS:
        raise ValueError(
            f"column {shown(column)} spans {years:.0f} years, from {when.min()} to {when.max()}; "
            f"at most {LONGEST_YEARS} are taken for a log: look for wrong dates at either end"
        )
    return when
