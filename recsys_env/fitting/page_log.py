"""Reads and checks a log of pages: what was shown to whom, and what was clicked, carted and bought of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import shown
from ..libraries import library
from . import doubts
from .candidates import read_candidates
from .log_file import as_table
from .schema import (
    EVENTS,
    ROLES,
    check_ids,
    codes_of,
    filled_labels,
    levels,
    named_columns,
    numbers,
    present,
    refuse_copies,
    refuse_rows,
    times_as_numbers,
)
from .table import at_most, most_frequent_label

if TYPE_CHECKING:
    import pandas as pd

PAGE_ROLES = tuple(role for role in ROLES if role not in ("name", "domain", "vector"))
ITEM_ROLES = ("item", "vector", "price", "popularity", "category", "text")  # of a table of items
PAGE_COLUMNS = {role: role for role in (*PAGE_ROLES, "vector")}  # role -> its default column
REQUIRED = ("user", "item", "event")  # and page or time
NUMBERS = ("position", "propensity", "price", "discount", "quantity", "popularity")
SMALLEST_COUNT = 0.01  # a catalogue needs positive popularity
SMALLEST_ANGLE = 1e-6  # between vectors of unit norm; less is rounding
DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class PageLog:
    """A checked log: P pages in order of user, then time, with R shown items (rows); U users, M items. What the log
    does not say is None."""

    columns: Mapping[str, str]  # the log's column of each role that it has
    user_ids: np.ndarray  # [U] in ascending order
    item_ids: np.ndarray  # [M] likewise
    first_page: np.ndarray  # [U + 1] where the pages of a user begin
    first_row: np.ndarray  # [P + 1] where the rows of a page begin, which are in order of position
    item: np.ndarray  # [R] number of the item
    rank: np.ndarray | None  # [R] position on the page, 1 = first
    clicked: np.ndarray  # [R] bool; a cart or purchase implies a click
    cart: np.ndarray  # [R] bool
    bought: np.ndarray  # [R] bool
    delay: np.ndarray  # [R] pages of the user from the page to the purchase; -1 = none
    propensity: np.ndarray | None  # [R] probability of the item at this position
    price: np.ndarray | None  # [R] price asked
    discount: np.ndarray | None  # [R] what had been taken off
    session: np.ndarray | None  # [P] number of the session of a page
    agents: int  # number of agents that share a page
    popularity: np.ndarray | None  # [M] the platform's own counts, the last of each item
    candidates: np.ndarray | None  # [P, C] items that retrieval offered at a page, -1 behind the last
    category: np.ndarray  # [M] most frequent label of each item
    text: np.ndarray  # [M] likewise
    vectors: np.ndarray | None  # [M, D] of unit norm
    list_price: np.ndarray | None  # [M] of the table of items
    several_clicks: int  # pages with more than one click, of which the first counts
    several_labels: int  # items with several categories or texts, of which the most frequent counts
    start: np.ndarray  # [P] time of a page's first row; 0 without times
    row_page: np.ndarray  # page of each row of the table
    row_time: np.ndarray  # time of each row of the table; 0 without times
    doubts: tuple[str, ...]  # what is worth knowing about the log; one sentence each
    serious: tuple[str, ...]  # the same, where it affects which policy is best
    first: str  # time of the first row, "" without times
    last: str  # of the last row, likewise

    @property
    def user(self) -> np.ndarray:
        """[P] user of each page."""
        return np.repeat(np.arange(len(self.user_ids)), np.diff(self.first_page))

    @property
    def page(self) -> np.ndarray:
        """[R] page of each row."""
        return np.repeat(np.arange(len(self.first_row) - 1), np.diff(self.first_row))

    @property
    def chosen(self) -> np.ndarray:
        """[P] the row that was clicked, the first of several; -1 = none."""
        rows, page = np.flatnonzero(self.clicked), self.page
        chosen = np.full(len(self.first_row) - 1, -1, np.int64)
        chosen[page[rows][::-1]] = rows[::-1]
        return chosen


def page_table(log: Any, columns: Mapping[str, str | None] | None) -> Any:
    """The table of a log of pages, which may be a file."""
    return as_table(log, named_columns(columns, PAGE_COLUMNS))


def read_pages(
    log: Any,
    columns: Mapping[str, str | None] | None,
    items: pd.DataFrame | None = None,
    events: Mapping[str, Any] | None = None,
) -> PageLog:
    """Check a log of pages and put it in order; arguments and errors are those of `fit_pages`."""
    named = named_columns(columns, PAGE_COLUMNS)
    data = present("the log", as_table(log, named), {role: named[role] for role in PAGE_ROLES}, REQUIRED, columns)
    if "page" not in data and "time" not in data:
        raise ValueError("the log has neither a column for the role page nor one for time, which tell pages apart")
    check_ids(data)
    found = filled_labels(data)
    user, user_ids = codes_of(data["user"])
    item, item_ids = codes_of(data["item"])
    when = times_as_numbers(data["time"]) if "time" in data else np.zeros(len(item))
    page, more = _page_numbers(data, user, when)
    codes = Codes(user, item, page, levels(data["event"], events), when, user_ids, item_ids)
    values = {role: numbers(_filled(data[role], role, codes), role) for role in NUMBERS if role in data}
    found += [*more, *doubts.about_users(data["user"])]
    if "position" in values:
        values["position"], more = _from_one(values["position"], data["position"].name)
        found += more
    if "price" in values:
        full = values["price"] + values.get("discount", 0.0)
        found += doubts.about_prices(item, full, data["price"].name)
    if "time" in data:  # a cart may be bought long after all pages
        seen = codes.level <= EVENTS["click"]
        shortest = 0.0 if data["time"].dtype.kind in "iuf" else doubts.FAR_DAYS * DAY
        found += doubts.about_times(data["time"], np.where(seen, when, np.median(when[seen])), shortest)
    return _ordered(data, values, codes, items, named, found)


def recorded_pages(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of `recsys_env.evaluation.record` into a log of pages, with the default columns of `PAGE_ROLES`.

    A user of the log is a person in one episode. With `users.population="fixed"` the same people start afresh in every
    episode, so each episode counts them as other users. A purchase from the cart becomes a row of its own, at the tick
    of the purchase.

    Raises:
        ValueError: the table lacks a column.
    """
    pd = library("pandas", "fit")
    kept = ("user", "item", "time", "page", "position", "price", "discount", "popularity", "session")
    needed = (*kept, "category", "agent", "copy", "clicked", "cart", "bought", "bought_time")
    if missing := [name for name in needed if name not in table]:
        raise ValueError(
            f"the table has no column {', '.join(missing)}; give what recsys_env.evaluation.record returns"
        )
    at_once = table["bought"] & (table["bought_time"] == table["time"])
    event = np.select([at_once, table["cart"], table["clicked"]], ["purchase", "cart", "click"], "none")
    rows = table[list(kept)].assign(
        event=event, category="topic " + table["category"].astype(str), agent=table["agent"].astype(str)
    )
    if table.groupby("user")["copy"].nunique().max() > 1:
        rows["user"] += table["copy"] * (table["user"].max() + 1)
    for name in ("propensity", "candidates"):
        if name in table:
            rows[name] = table[name]
    later = table["bought"] & ~at_once
    return pd.concat(
        [rows, rows[later].assign(event="purchase", time=table.loc[later, "bought_time"])], ignore_index=True
    )


def _page_numbers(data: Mapping[str, pd.Series], user: np.ndarray, when: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The number of each row's page, in order of appearance, and doubts. Pages may be numbered anew for each user.
    Without a column of pages, rows of the same user, time and session are one page."""
    pd = library("pandas", "fit")
    keys: dict[str, Any] = {"user": user}
    if "page" in data:
        keys["page"] = pd.factorize(data["page"])[0]
    else:
        keys["time"] = when
        if "session" in data:
            keys["session"] = pd.factorize(data["session"])[0]
    number = pd.DataFrame(keys).groupby(list(keys), sort=False).ngroup().to_numpy()
    if "page" not in data:
        sizes = np.bincount(number)
        return number, [
            f"the log has no column of pages: rows of the same {', '.join(keys)} count as one page, which gives "
            f"{len(sizes):,} pages with {sizes.mean():.1f} rows on average"
        ]
    return number, [] if "time" in data else ["the log has no column of times: its rows count as in order of time"]


def _from_one(position: np.ndarray, column: object) -> tuple[np.ndarray, list[str]]:
    """Positions 1, 2, .., and a doubt if they begin with another number or have a larger step. The effect of a position
    depends on its number, so the world must count as the log does."""
    found = np.unique(position)
    step = int(np.gcd.reduce(np.diff(found).astype(np.int64))) if len(found) > 1 else 1
    if found[0] == 1 and step == 1:
        return position, []
    steps = f" in steps of {step}" if step > 1 else ""
    doubt = f"column {shown(column)} counts positions from {found[0]:g}{steps}, which was taken for the first"
    return (position - found[0]) // step + 1, [doubt]


def _filled(column: pd.Series, role: str, codes: Codes) -> pd.Series:
    """Fill empty values of carts and purchases from the row that shows the item; and empty quantities with 1."""
    if role == "quantity":
        return column.where(column.notna(), 1)
    later = column.isna() & (codes.level > EVENTS["click"])
    if not later.any():
        return column
    table = library("pandas", "fit").DataFrame({"page": codes.page, "item": codes.item, "value": column})
    of_item = table.groupby(["page", "item"])["value"]
    one = of_item.transform("nunique") == 1
    return column.where(~(later & one), of_item.transform("first"))


class Codes(NamedTuple):
    """Rows of a table [N] in numbers, and the ids [U] and [M] of its users and items."""

    user: np.ndarray
    item: np.ndarray
    page: np.ndarray
    level: np.ndarray  # of `EVENTS`
    when: np.ndarray  # time
    user_ids: np.ndarray
    item_ids: np.ndarray


class Joined(NamedTuple):
    """Shown items, one entry each, with what happened to them."""

    row: np.ndarray  # of the table: that of the least event
    highest: np.ndarray  # number of the highest event
    carted: np.ndarray  # bool: whether a row says that it was put in a cart
    bought: np.ndarray  # bool
    bought_at: np.ndarray  # time of the purchase, -inf = none


def _joined(codes: Codes, position: np.ndarray, agent: np.ndarray) -> tuple[Joined, np.ndarray]:
    """Join the rows of the same agent and position on a page, in order of page, item, position and agent: two agents
    with rows of their own may show one item at the same position. Also returns which rows [N] repeat an earlier one."""
    item, page, level, when = codes.item, codes.page, codes.level, codes.when
    order = np.lexsort((level, agent, position, item, page))
    same = np.ones(len(order) - 1, bool)
    for key in (page, item, position, agent):
        same &= key[order[1:]] == key[order[:-1]]
    again = np.zeros(len(order), bool)
    again[order[1:]] = same & (level[order[1:]] == level[order[:-1]])
    starts = np.flatnonzero(np.append(True, ~same))
    highest = np.maximum.reduceat(level[order], starts)
    bought = highest == EVENTS["purchase"]
    last = order[np.append(starts[1:], len(order)) - 1]
    carted = np.maximum.reduceat(level[order] == EVENTS["cart"], starts)
    return Joined(order[starts], highest, carted, bought, np.where(bought, when[last], -np.inf)), again


def _delays(bought_at: np.ndarray, row_page: np.ndarray, start: np.ndarray, end_of_user: np.ndarray) -> np.ndarray:
    """How many later pages [R] of the user begin before an item is bought; -1 = it is not.

    Args:
        bought_at: [R] time of the purchase, -inf = none.
        row_page: [R] the row's page.
        start: [P] when a page began.
        end_of_user: [P] the page after the last one of the page's user.
    """
    delay = np.full(len(bought_at), -1, np.int64)
    for r in np.flatnonzero(bought_at > -np.inf).tolist():
        page = row_page[r]
        later = start[page + 1 : end_of_user[page]]
        at_once = bought_at[r] <= start[page]  # as far as the times tell
        delay[r] = 0 if at_once else int(np.searchsorted(later, bought_at[r], side="right"))
    return delay


class PageOrder(NamedTuple):
    """The pages of a log in order of user, then time."""

    number: np.ndarray  # [P] place in this order of each page, as pages are numbered in the table
    start: np.ndarray  # [P] in this order
    user: np.ndarray  # [P] likewise
    session: np.ndarray | None  # [P] likewise; None: the log does not say
    first_page: np.ndarray  # [U + 1] where the pages of a user begin


def _page_order(data: Mapping[str, pd.Series], codes: Codes) -> PageOrder:
    pd = library("pandas", "fit")
    pages = int(codes.page.max()) + 1
    began = np.full(pages, np.inf)
    np.minimum.at(began, codes.page, codes.when)
    user = np.zeros(pages, np.int64)
    user[codes.page] = codes.user
    by_user = np.lexsort((began, user))  # stable: pages of the same time in order of appearance
    session = None
    if "session" in data:  # that of the page's first row, because a purchase may come in a later one
        keys = pd.DataFrame({"user": codes.user, "session": pd.factorize(data["session"])[0]})
        first = np.lexsort((codes.when, codes.level, codes.page))[::-1]
        session = np.zeros(pages, np.int64)
        session[codes.page[first]] = keys.groupby(["user", "session"], sort=False).ngroup().to_numpy()[first]
        session = session[by_user]
    number = np.empty(pages, np.int64)
    number[by_user] = np.arange(pages)
    first_page = np.searchsorted(user[by_user], np.arange(len(codes.user_ids) + 1)).astype(np.int64)
    return PageOrder(number, began[by_user], user[by_user], session, first_page)


def _ordered(
    data: dict[str, pd.Series],
    values: dict[str, np.ndarray],
    codes: Codes,
    items: pd.DataFrame | None,
    named: Mapping[str, str | None],
    found: list[str],
) -> PageLog:
    """Join the rows of a shown item's events, and sort pages and rows."""
    item, when = codes.item, codes.when
    position = values.get("position", np.zeros(len(item)))
    agent = codes_of(data["agent"])[0] if "agent" in data else np.zeros(len(item), np.int64)
    joined, again = _joined(codes, position, agent)
    refuse_copies(again, "page, item, position and event")
    order = _page_order(data, codes)
    row_order = np.lexsort((position[joined.row], order.number[codes.page[joined.row]]))
    one, highest, carted, bought, bought_at = (column[row_order] for column in joined)
    row_page = order.number[codes.page[one]]
    first_row = np.searchsorted(row_page, np.arange(len(order.number) + 1)).astype(np.int64)
    clicked = highest >= EVENTS["click"]
    clicks = np.bincount(row_page[clicked], minlength=len(order.number))
    if (clicks > 0).all() or not clicks.any():
        raise ValueError(
            f"column {shown(data['event'].name)}: {int((clicks > 0).sum()):,} of {len(clicks):,} pages have a click; "
            "pages with and without one are needed, to tell what clicking nothing is worth"
        )
    delay = _delays(bought_at, row_page, order.start, order.first_page[order.user + 1])
    rank = values["position"][one] if "position" in values else None
    clickers = len(np.unique(order.user[clicks > 0]))
    found = [
        *found,
        *doubts.about_copies(again, "each counts once"),
        *doubts.about_size(int((clicks > 0).sum()), clickers, "pages with a click"),
        *doubts.about_positions(first_row, row_page, rank),
    ]
    labels, several = _labels(data, values, item, when)
    of_items = _items(items, named, codes.item_ids, labels)
    if of_items["category"] is None:
        of_items["category"] = np.full(len(of_items["item_ids"]), "all", dtype=object)
    of_items["category"], more = at_most(of_items["category"], "category", named["category"])
    found += more
    item_of_row, candidates = index_in(of_items["item_ids"], codes.item_ids)[item][one], None
    if "candidates" in data:
        candidates, more = read_candidates(data["candidates"], one, row_page, item_of_row, of_items["item_ids"])
        found += more
    times = data["time"].astype(str) if "time" in data else None
    kept = ("propensity", "price", "discount")
    of_rows: dict[str, Any] = {role: values[role][one] if role in values else None for role in kept}
    return PageLog(
        **of_items,
        **of_rows,
        columns={role: str(column.name) for role, column in data.items()},
        start=order.start,
        row_page=order.number[codes.page],
        row_time=when,
        first_page=order.first_page,
        first_row=first_row,
        rank=rank,
        clicked=clicked,
        cart=carted | (bought & (delay > 0)),
        bought=bought,
        delay=delay,
        session=order.session,
        agents=_agents_of_a_page(agent[one], row_page),
        several_clicks=int((clicks > 1).sum()),
        first="" if times is None else times.iloc[int(np.argmin(when))],
        last="" if times is None else times.iloc[int(np.argmax(when))],
        user_ids=codes.user_ids,
        item=item_of_row,
        candidates=candidates,
        several_labels=several,
        doubts=tuple(found),
        serious=tuple(doubts.about_missing_rows(np.diff(first_row), clicks > 0)),
    )


def _agents_of_a_page(agent: np.ndarray, page: np.ndarray) -> int:
    """How many recommenders most pages have."""
    pairs = library("pandas", "fit").DataFrame({"page": page, "agent": agent})
    return int(pairs.groupby("page")["agent"].nunique().mode().iloc[0])


def index_in(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The index of each wanted id in `ids`, -1 = not there."""
    found: np.ndarray = library("pandas", "fit").Index(ids).get_indexer(wanted).astype(np.int32)
    return found


def _labels(
    data: Mapping[str, pd.Series], values: dict[str, np.ndarray], item: np.ndarray, when: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """The most frequent labels and latest popularity [M] of the items of the log, and how many have several labels."""
    labels: dict[str, np.ndarray] = {}
    several = np.zeros(int(item.max()) + 1, bool)
    for role in ("category", "text"):
        if role in data:
            labels[role], more = most_frequent_label(item, data[role])
            several |= more
    if "popularity" in values:
        labels["popularity"] = np.zeros(len(several))
        recent = np.argsort(when, kind="stable")
        labels["popularity"][item[recent]] = values["popularity"][recent]
    return labels, int(several.sum())


def _items(
    items: pd.DataFrame | None, named: Mapping[str, str | None], of_log: np.ndarray, labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return what is known of the catalogue's items, from the table if there is one, else from the log."""
    known: dict[str, Any] = {"popularity": None, "vectors": None, "list_price": None, "category": None}
    if items is None:
        return {**known, "item_ids": of_log, "text": np.full(len(of_log), ""), **labels}
    data = present("items", items, {role: named[role] for role in ITEM_ROLES}, ("item",), None)
    check_ids(data, single=())
    filled_labels(data)
    refuse_rows(data["item"], data["item"].duplicated(), "of items must name each item once")
    codes, item_ids = codes_of(data["item"])
    data = {role: column.iloc[np.argsort(codes)] for role, column in data.items()}
    lacking = library("pandas", "fit").Series(of_log, name=data["item"].name)
    refuse_rows(lacking, ~lacking.isin(item_ids), "holds items that the table of items lacks")
    index = index_in(item_ids, of_log)
    known |= {"item_ids": item_ids, "text": np.full(len(item_ids), "")}
    if "vector" in data:
        known["vectors"] = _vectors(data["vector"])
    if "price" in data:
        known["list_price"] = numbers(data["price"], "price")
    without = {"popularity": labels["popularity"].min() if "popularity" in labels else 0, "category": "all", "text": ""}
    for role, value in without.items():
        if role in data:
            known[role] = numbers(data[role], role) if role == "popularity" else data[role].to_numpy(str)
        elif role in labels:
            known[role] = np.full(len(item_ids), value, dtype=object)
            known[role][index] = labels[role]
            known[role] = known[role].astype(float if role == "popularity" else str)
    return known


def _vectors(column: pd.Series) -> np.ndarray:
    wrong = f"column {shown(column.name)} of items must hold finite vectors of numbers of one length, not all alike"
    try:
        rows = np.stack([np.asarray(row, np.float64) for row in column])
    except (TypeError, ValueError):
        raise ValueError(wrong) from None
    norm = np.linalg.norm(rows, axis=1) if rows.ndim == 2 and rows.shape[1] else np.zeros(1)
    if not (np.isfinite(norm) & (norm > 1e-9)).all():
        raise ValueError(wrong)
    vectors: np.ndarray = rows / norm[:, None]
    if np.ptp(vectors, axis=0).max() < SMALLEST_ANGLE:
        raise ValueError(wrong)
    return vectors
