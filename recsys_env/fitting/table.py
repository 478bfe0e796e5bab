"""Checks a purchase log and converts it to lines and items. Every row is used, or the log is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import shown
from ..libraries import library
from . import doubts
from .log_file import as_table
from .schema import (
    check_ids,
    codes_of,
    filled_labels,
    local_times,
    named_columns,
    numbers,
    present,
    refuse_copies,
    refuse_single,
)

if TYPE_CHECKING:
    import pandas as pd

MOST_KINDS = 1024  # ItemConfig.topics
OTHER = "(other)"  # the categories that are not kept
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
REQUIRED = ("user", "item", "time")
LABELS = ("category", "name", "text", "domain")  # of an item


class TidyLog(NamedTuple):
    """A checked log of purchases, whose users and items are numbered in order of their ids."""

    columns: dict[str, str]  # the log's column of each role that it has
    # One row per purchase: numbers of user and item, day (since the midnight before the first purchase), date, units,
    # and paid and list price per unit, which are 1 in a log without prices.
    lines: pd.DataFrame
    items: pd.DataFrame  # one row per item: `LABELS` and `id`, texts
    user_id: np.ndarray  # [U] texts
    relabelled: int  # items with several labels of a kind, of which the most frequent counts
    doubts: tuple[str, ...]  # what is worth knowing about the log; one sentence each
    far: str  # the doubt about times far from all others, "" if there is none


def purchase_table(log: Any, columns: Mapping[str, str | None] | None) -> Any:
    """The table of a log of purchases, which may be a file."""
    return as_table(log, named_columns(columns, COLUMNS))


def tidy(purchases: Any, columns: Mapping[str, str | None] | None = None) -> TidyLog:
    """Check a log and put it in order.

    Args:
        purchases: one row per purchase, or a file.
        columns: as in `fit`.
    """
    pd = library("pandas", "fit")
    table = purchase_table(purchases, columns)
    data = present("the log", table, named_columns(columns, COLUMNS), REQUIRED, columns)
    if "price" not in data:
        data = {role: column for role, column in data.items() if role not in ("quantity", "discount")}
    check_ids(data)
    refuse_single(data["time"])
    found = filled_labels(data)
    when = local_times(data["time"])
    paid = numbers(data["price"], "price") if "price" in data else np.ones(len(table))
    units = numbers(data["quantity"], "quantity") if "quantity" in data else 1.0
    off = numbers(data["discount"], "discount") if "discount" in data else 0.0
    used = [data[role] for role in ("user", "item", "time", "price", "quantity", "discount") if role in data]
    again = pd.concat(used, axis=1).duplicated().to_numpy()
    refuse_copies(again, ", ".join(shown(column.name) for column in used))
    user, user_id = codes_of(data["user"])
    item, item_id = codes_of(data["item"])
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
    far = doubts.about_times(data["time"], lines["day"].to_numpy(), doubts.FAR_DAYS)
    found += [*far, *doubts.about_copies(again, "are they copies?"), *doubts.about_users(data["user"])]
    if "price" in data:
        found += doubts.about_prices(item, lines["list"].to_numpy(), data["price"].name)
    nothing, all_alike = (pd.Series(label, data["item"].index) for label in ("", "all"))
    without = {"category": all_alike, "name": data["item"], "text": nothing, "domain": nothing}
    labels, several = {}, np.zeros(lines["item"].max() + 1, np.bool_)
    for role in LABELS:
        labels[role], more = most_frequent_label(lines["item"], data.get(role, without[role]))
        several |= more
    for role in ("category", "domain"):
        if role in data:
            labels[role], merged = at_most(labels[role], role, data[role].name)
            found += merged
    items = pd.DataFrame({**labels, "id": item_id.astype(str)})
    names = {role: str(column.name) for role, column in data.items()}
    return TidyLog(names, lines, items, user_id.astype(str), int(several.sum()), tuple(found), "".join(far))


def newcomers(table: pd.DataFrame, columns: Mapping[str, str | None], known: np.ndarray) -> pd.DataFrame:
    """Check a table of items that the log lacks; return their labels, `id` and list `price`, in order of their ids.

    Args:
        table: one row per item, in the columns of the log; those of item, category, price and text are required.
        columns: of the log, by role.
        known: ids of the items in the log.
    """
    pd = library("pandas", "fit")
    named = {role: columns.get(role) for role in ("item", "price", *LABELS)}
    data = present("new_items", table, named, ("item", "price", "category", "text"), named)
    check_ids(data, single=())
    filled_labels(data)
    ids = data["item"].astype(str)
    if (bought := ids[ids.isin(known)]).size:
        raise ValueError(f"new_items has {bought.size} items that the log has purchases of, such as {bought.iloc[0]}")
    if (again := ids[ids.duplicated()]).size:
        raise ValueError(f"new_items has the item {again.iloc[0]} more than once")
    without = {"name": ids, "domain": ""}
    labels = {role: data.get(role, without.get(role)) for role in LABELS}
    found = pd.DataFrame({**labels, "id": ids, "price": numbers(data["price"], "price")})
    order = np.argsort(codes_of(data["item"])[0], kind="stable")
    return found.iloc[order].astype(dict.fromkeys((*LABELS, "id"), str))


def at_most(label: np.ndarray, role: str, column: object) -> tuple[np.ndarray, list[str]]:
    """The labels [M] of items, of which the `MOST_KINDS` - 1 with the most items are kept and the others count as one,
    if there are more than `MOST_KINDS`; and a sentence about that, or about nearly as many labels as items."""
    names, codes, count = np.unique(label.astype(str), return_inverse=True, return_counts=True)
    has = f"column {shown(column)} has {len(names):,} values for {len(label):,} items"
    if len(names) <= MOST_KINDS:
        return label, [f"{has}, which say little of what items have in common"] if len(names) > len(label) / 2 else []
    kept = np.zeros(len(names), bool)
    kept[np.argsort(-count, kind="stable")[: MOST_KINDS - 1]] = True
    found = np.where(kept[codes], label.astype(object), OTHER).astype(str)
    return found, [
        f"{has}, and a world holds {MOST_KINDS:,}: those with the most items are kept, and the other {(~kept).sum():,} "
        f"count as one {role}, {OTHER!r}"
    ]


def kinds(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes [M] and names of labels, in order of the names."""
    names, codes = np.unique(label.astype(str), return_inverse=True)
    return codes.astype(np.int32), names


def most_frequent_label(item: Any, label: Any) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent label [M] of each item, of equals the first in the alphabet, and which items have several."""
    counts = library("pandas", "fit").DataFrame({"item": item, "label": label.astype(str)})
    counts = counts.value_counts().reset_index()
    counts = counts.sort_values(["item", "count", "label"], ascending=[True, False, True])
    return counts.drop_duplicates("item")["label"].to_numpy(str), (np.bincount(counts["item"]) > 1)
