"""Reads and checks a log of pages: what was shown to whom, and what was clicked, carted and bought of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import did_you_mean, shown
from ..libraries import library
from . import page_doubts
from .candidates import read_candidates
from .log_file import IDS, log_table
from .plausibility import (
    doubts_about_columns,
    doubts_about_constants,
    missing_ids,
    refuse_rows,
    refuse_several,
    refuse_texts,
    refuse_two_units,
)
from .table import codes_of, most_frequent_label, plain_numbers
from .times import times_in

if TYPE_CHECKING:
    import pandas as pd

PAGE_ROLES = (
    "user",
    "item",
    "time",
    "event",
    "page",
    "position",
    "propensity",
    "price",
    "discount",
    "quantity",
    "session",
    "category",
    "text",
    "agent",
    "popularity",
    "candidates",
)
ITEM_ROLES = ("item", "vector", "price", "popularity", "category", "text")  # of a table of items
REQUIRED = ("user", "item", "event")  # and page or time
EVENTS = {"none": 0, "click": 1, "cart": 2, "purchase": 3}
# A column that says what was clicked; False is 0.
FLAGS = {0: 0, 1: 1, "0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1, "n": 0, "y": 1, "f": 0, "t": 1}
SYNONYMS = {  # other names of events, without spaces, underscores and hyphens
    "none": ("impression", "impressions", "show", "shown", "exposure", "view", "views", "viewed", "pv", "pageview"),
    "click": ("clicks", "clicked", "clk", "select", "selected"),
    "cart": ("addtocart", "addedtocart", "addcart", "basket", "addtobasket"),
    "purchase": ("purchased", "buy", "bought", "order", "ordered", "transaction", "conversion"),
}
LISTED = 8  # values of a column of events that an error names
SMALLEST_COUNT = 0.01  # a catalogue needs positive popularity
ZEROS = 0.5  # positions of 0 for each of 1, from which on they count from 0
LARGEST_POSITION = 2**53
SMALLEST_ANGLE = 1e-6  # between vectors of unit norm; less is rounding
UNEQUAL = 0.1  # share of the pages on which recommenders fill different numbers of slots
ROWS_PER_ITEM = 3  # of a log, from which on nearly all items that could be shown occur in it


@dataclass(frozen=True)
class PageLog:
    """A checked log: P pages in order of user, then time, with R shown items (rows); U users, M items.

    Attributes:
        columns: the log's column of each role that it has.
        user_ids, item_ids: in ascending order.
        first_page: [U + 1] where the pages of a user begin.
        first_row: [P + 1] where the rows of a page begin, which are in order of position.
        item: [R] number of the item.
        rank: [R] position on the page, 1 = first; None: the log does not say.
        clicked, cart, bought: [R] truth values. A cart or purchase implies a click.
        delay: [R] pages of the user from the page to the purchase; -1 = none.
        propensity: [R] probability of the item at this position; None: the log does not say.
        price, discount: [R] price asked, and what had been taken off; None: the log does not say.
        session: [P] number of the session of a page; None: the log does not say.
        agents: number of agents that share a page.
        popularity: [M] the platform's own counts, the last of each item; None: the log does not say.
        candidates: [P, C] numbers of the items that retrieval offered at a page, -1 behind the last; None: the log does
            not say.
        category, text: [M] most frequent label of each item.
        vectors: [M, D] of unit norm; None: not given.
        list_price: [M] of the table of items; None: not given.
        several_clicks: pages with more than one click, of which the first counts.
        several_labels: items with several categories or texts, of which the most frequent counts.
        start: [P] time of a page's first row; 0 without times.
        row_page: page of each row of the table.
        row_time: time of each row of the table; 0 without times.
        doubts: what is probably wrong with the log, or was guessed about it; one sentence each.
        serious: the same, where it affects which policy is best.
        first, last: time of the first and the last row, as text; "" without times.
    """

    columns: Mapping[str, str]
    user_ids: np.ndarray
    item_ids: np.ndarray
    first_page: np.ndarray
    first_row: np.ndarray
    item: np.ndarray
    rank: np.ndarray | None
    clicked: np.ndarray
    cart: np.ndarray
    bought: np.ndarray
    delay: np.ndarray
    propensity: np.ndarray | None
    price: np.ndarray | None
    discount: np.ndarray | None
    session: np.ndarray | None
    agents: int
    popularity: np.ndarray | None
    candidates: np.ndarray | None
    category: np.ndarray
    text: np.ndarray
    vectors: np.ndarray | None
    list_price: np.ndarray | None
    several_clicks: int
    several_labels: int
    start: np.ndarray
    row_page: np.ndarray
    row_time: np.ndarray
    doubts: tuple[str, ...]
    serious: tuple[str, ...]
    first: str
    last: str

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


def read_pages(
    log: pd.DataFrame | str | Path, columns: Mapping[str, str | None] | None, items: pd.DataFrame | None = None
) -> PageLog:
    """Check a log of pages and put it in order; arguments and errors are those of `fit_pages`."""
    pd = library("pandas", "fit")
    named = _named(columns, (*PAGE_ROLES, "vector"))
    table = _table(pd, log, named)
    used = _present("the log", table, {role: named[role] for role in PAGE_ROLES}, columns or {})
    if "page" not in used and "time" not in used:
        raise ValueError(
            f"the log has no column {shown(named['page'] or 'page')}, given as page, and none for time, which would "
            f"tell the pages of a user apart; it has {list(table.columns)}"
        )
    data = {role: table[column].reset_index(drop=True) for role, column in used.items()}
    for role in (*IDS, "category", "text", "agent"):
        if role in data:
            missing = missing_ids(data[role]) if role in IDS else data[role].isna()
            refuse_rows(data[role], missing, "must not be missing: drop or fill these rows")
            refuse_several(data[role], "an id" if role in IDS else "a label")
    level, doubts = _levels(pd, data["event"])
    user, user_ids = codes_of(pd, data["user"])
    item, item_ids = codes_of(pd, data["item"])
    for name, ids, what in (("user", user_ids, "users"), ("item", item_ids, "items")):
        if len(ids) < 2:
            raise ValueError(
                f"column {shown(data[name].name)} holds {len(ids)} {what}, {shown(ids.tolist()[0])}; a fit needs 2 or "
                "more"
            )
    when = _times(pd, data["time"]) if "time" in data else np.zeros(len(item))
    page, more = _page_numbers(pd, data, user, when, level)
    doubts += more
    for role in ("position", "propensity", "price", "discount", "popularity"):
        if role in data:
            data[role] = _filled(pd, plain_numbers(data[role]), page, item, level)
    if "position" in data:
        _numbers(data["position"], "a whole number of 0 or more", lambda v: (v >= 0) & (v == np.floor(v)))
        doubts += page_doubts.about_far_positions(data["position"])
        data["position"], more = _from_one(data["position"])
        doubts += more
    numbers = {
        "position": ("a whole number of 1 or more", lambda v: (v >= 1) & (v == np.floor(v))),
        "propensity": ("above 0 and at most 1", lambda v: (v > 0) & (v <= 1)),
        "price": ("above 0 and below 1e12", lambda v: (v > 0) & (v < 1e12)),
        "discount": ("0 or more, and below 1e12", lambda v: (v >= 0) & (v < 1e12)),
        "quantity": ("above 0 and below 1e9", lambda v: (v > 0) & (v < 1e9)),
        "popularity": ("0 or more, and below 1e15", lambda v: (v >= 0) & (v < 1e15)),
    }
    if "quantity" in data:  # a log may have it for purchases alone
        data["quantity"] = data["quantity"].fillna(1)
    values = {role: _numbers(data[role], *rule) for role, rule in numbers.items() if role in data}
    doubts += [*doubts_about_columns(table, used), *page_doubts.about_flags(table, used)]
    codes = Codes(user, item, page, level, when, user_ids, item_ids)
    return _ordered(pd, data, values, codes, items, named, doubts)


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


def _named(columns: Mapping[str, str | None] | None, roles: tuple[str, ...]) -> dict[str, str | None]:
    if not isinstance(columns, Mapping | None):
        raise TypeError(f"columns = {shown(columns)} must be a dict of columns by role; roles are {', '.join(roles)}")
    for role in columns or {}:
        if role not in roles:
            raise ValueError(
                f"columns has no role {shown(role)}{did_you_mean(role, roles)}; roles are {', '.join(roles)}"
            )
    named = {role: (columns or {}).get(role, role) for role in roles}
    for role, column in named.items():
        if not isinstance(column, str | None):
            raise TypeError(f"columns[{role!r}] = {shown(column)} must be the name of a column, or None")
        if column is None and role in REQUIRED:
            raise ValueError(f"columns[{role!r}] = None; a log of pages needs {', '.join(REQUIRED)}, and page or time")
    return named


def _table(pd: Any, log: Any, named: dict[str, str | None]) -> Any:
    table = log_table(log, named, all_or_none=True)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"log is a {type(log).__name__}; it must be a pandas DataFrame or the path of a .csv, .tsv or .parquet file"
        )
    if len(table) == 0:
        raise ValueError(
            f"the log is empty; it needs one row per shown item, with {', '.join(REQUIRED)}, and page or time"
        )
    return table


def _present(what: str, table: Any, named: dict[str, str | None], given: Mapping[str, str | None]) -> dict[str, str]:
    """The columns by role that a table has. A column that was named, or is required, must be there."""
    used: dict[str, str] = {}
    for role, column in named.items():
        if column is None:
            continue
        number = int((table.columns == column).sum())
        if number == 0 and (role in given or role in REQUIRED):
            raise ValueError(
                f"{what} has no column {shown(column)}{did_you_mean(column, table.columns)}, given as {role}; it has "
                f"{list(table.columns)}"
            )
        if number > 1:
            raise ValueError(f"{what} has {number} columns named {shown(column)}, given as {role}")
        if number and column in used.values():
            raise ValueError(f"the column {shown(column)} of {what} has two roles, one of which is {role}")
        if number:
            used[role] = column
    return used


def _levels(pd: Any, event: Any) -> tuple[np.ndarray, list[str]]:
    """Each row's event as a number of `EVENTS`, and doubts if other names stand for them, or flags are missing. A
    missing event is "none", and a flag says whether the item was clicked."""
    allowed = f"must hold {', '.join(EVENTS)} or nothing, or else 0 and 1, or truth values, for none and click"
    try:
        codes, kinds = pd.factorize(event)
    except TypeError:  # no hash
        raise ValueError(f"column {shown(event.name)} {allowed}, it holds {shown(event.iloc[0])}") from None
    known = EVENTS | FLAGS | {name: EVENTS[event] for event, names in SYNONYMS.items() for name in names}
    words = [re.sub(r"[\s_-]", "", kind.lower()) if isinstance(kind, str) else kind for kind in kinds]
    found = [known.get(word, -1) for word in words]
    level = np.array([*found, EVENTS["none"]], np.int64)[codes]  # the code of a missing event is -1
    refuse_rows(event, level < 0, f"{allowed}, and it holds {', '.join(map(shown, kinds[:LISTED]))}")
    names = list(EVENTS)
    read = [f"{kind} as {names[known[word]]}" for kind, word in zip(kinds, words, strict=True) if word not in EVENTS]
    guessed = any(word not in EVENTS and word not in FLAGS for word in words)
    doubts = [f"column {shown(event.name)}: {', '.join(read)} was read"] if guessed else []
    missing = codes < 0
    if missing.any() and any(word in FLAGS for word in words):
        doubts.append(
            f"column {shown(event.name)}: {missing.sum():,} of {len(missing):,} rows hold nothing, the first is row "
            f"{int(np.argmax(missing))}, and count as shown and not clicked; drop rows of which this is not known"
        )
    return level, doubts


def _page_numbers(
    pd: Any, data: dict[str, Any], user: np.ndarray, when: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """The number of each row's page, and doubts. Without a column of pages, rows of the same user, time and session
    are one page."""
    session = data.get("session")
    if "page" not in data:
        keys = {"user": user, "time": when} | ({} if session is None else {"session": pd.factorize(session)[0]})
        number = pd.DataFrame(keys).groupby(list(keys), sort=False).ngroup().to_numpy()
        sizes = np.bincount(number)
        doubt = (
            f"the log has no column of pages: rows of the same {', '.join(keys)} count as one page, which gives "
            f"{len(sizes):,} pages with {sizes.mean():.1f} rows on average"
        )
        alone = int(((sizes[number] == 1) & (level > EVENTS["click"])).sum())
        if alone:
            doubt += f"; {alone:,} of them are a cart or purchase alone, which only a column of pages joins to its page"
        return number, [doubt]
    number, _ = pd.factorize(data["page"])
    owner = np.zeros(number.max() + 1, np.int64)
    owner[number] = user
    anew = "if pages are numbered anew for each, join the two columns"
    refuse_rows(data["page"], owner[number] != user, f"must belong to one user each: {anew}")
    if session is not None:
        shown_rows, visit = level <= EVENTS["click"], pd.factorize(session)[0]  # a purchase may come in a later session
        owner[number[shown_rows]] = visit[shown_rows]
        refuse_rows(
            data["page"],
            shown_rows & (owner[number] != visit),
            f"must belong to one session each: {anew}",
        )
    return number, [] if "time" in data else ["the log has no column of times: its rows count as in order of time"]


def _from_one(position: Any) -> tuple[Any, list[str]]:
    """Positions 1, 2, .., and a doubt if they begin with another number or have a larger step. The effect of a position
    depends on its number, so the world must count as the log does."""
    if position.dtype.kind not in "iuf":
        return position, []
    found = np.unique(position.dropna().to_numpy(np.float64))
    if not len(found) or (found != np.floor(found)).any() or not (0 <= found[0] <= found[-1] < LARGEST_POSITION):
        return position, []  # which are refused
    step = int(np.gcd.reduce(np.diff(found).astype(np.int64))) if len(found) > 1 else 1
    zeros = int((position == 0).sum())
    if (found[0] == 1 and step == 1) or (found[0] == 0 and zeros < ZEROS * (position == 1).sum()):
        return position, []
    doubt = f"column {shown(position.name)} counts positions from {found[0]:g}"
    doubt += f" in steps of {step}" if step > 1 else ""
    return (position - found[0]) // step + 1, [f"{doubt}: position {found[0]:g} was taken for the first"]


def _filled(pd: Any, column: Any, page: np.ndarray, item: np.ndarray, level: np.ndarray) -> Any:
    """Fill empty values of carts and purchases from the row that shows the item."""
    later = column.isna() & (level > EVENTS["click"])
    if not later.any():
        return column
    of_item = pd.DataFrame({"page": page, "item": item, "value": column}).groupby(["page", "item"])["value"]
    one = of_item.transform("nunique") == 1
    return column.where(~(later & one), of_item.transform("first"))


def _numbers(column: Any, allowed: str, test: Any) -> np.ndarray:
    refuse_texts(column, allowed)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        refuse_rows(column, ~(np.isfinite(values) & test(values)), f"must be {allowed}")
    return values


def _times(pd: Any, column: Any) -> np.ndarray:
    """Times as float64: numbers as they are, dates in seconds."""
    if column.dtype.kind in "iuf":
        refuse_two_units(column)
        return _numbers(column, "finite", np.isfinite)
    if column.dtype.kind == "O" and (numbers := pd.to_numeric(column, errors="coerce")).notna().mean() > 0.5:
        refuse_rows(column, numbers.isna(), "must hold numbers, as in most of its rows")
        refuse_two_units(numbers)
        return _numbers(numbers, "finite", np.isfinite)
    when = times_in(column, "times or numbers")
    return ((when - when.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64)


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


def _joined(data: dict[str, Any], codes: Codes, position: np.ndarray, agent: np.ndarray) -> tuple[Joined, np.ndarray]:
    """Join the rows of the same agent and position on a page, in order of page, item, position and agent: two agents
    with rows of their own may show one item at the same position. Also returns which rows [N] are earlier than the
    event before them."""
    item, page, level, when = codes.item, codes.page, codes.level, codes.when
    order = np.lexsort((level, agent, position, item, page))
    same = np.ones(len(order) - 1, bool)
    for key in (page, item, position, agent):
        same &= key[order[1:]] == key[order[:-1]]
    again = np.zeros(len(order), bool)
    again[order[1:]] = same & (level[order[1:]] == level[order[:-1]])
    twice = "must not have the same event twice at the same position of a page: drop copies of rows"
    if "page" not in data:
        twice += ", or name a column of pages, without which pages of the same time cannot be told apart"
    refuse_rows(data["item"], again, twice)
    before = np.zeros(len(order), bool)
    before[order[1:]] = same & (when[order[1:]] < when[order[:-1]])
    starts = np.flatnonzero(np.append(True, ~same))
    highest = np.maximum.reduceat(level[order], starts)
    bought = highest == EVENTS["purchase"]
    last = order[np.append(starts[1:], len(order)) - 1]
    carted = np.maximum.reduceat(level[order] == EVENTS["cart"], starts)
    return Joined(order[starts], highest, carted, bought, np.where(bought, when[last], -np.inf)), before


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


def _labels(
    pd: Any, data: dict[str, Any], values: dict[str, np.ndarray], item: np.ndarray, when: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """The most frequent labels and latest popularity [M] of the items of the log, and how many have several labels."""
    labels: dict[str, np.ndarray] = {}
    several = np.zeros(int(item.max()) + 1, bool)
    for role in ("category", "text"):
        if role in data:
            labels[role], more = most_frequent_label(pd, item, data[role])
            several |= more
    if "popularity" in values:
        labels["popularity"] = np.zeros(len(several))
        recent = np.argsort(when, kind="stable")
        labels["popularity"][item[recent]] = values["popularity"][recent]
    return labels, int(several.sum())


class PageOrder(NamedTuple):
    """The pages of a log in order of user, then time.

    Attributes:
        number: [P] place in this order of each page, as pages are numbered in the table.
        start, user, session: [P] of the pages in this order; session is None if the log does not say.
        first_page: [U + 1] where the pages of a user begin.
    """

    number: np.ndarray
    start: np.ndarray
    user: np.ndarray
    session: np.ndarray | None
    first_page: np.ndarray


def _page_order(pd: Any, data: dict[str, Any], codes: Codes) -> PageOrder:
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


def _doubts_about_order(data: dict[str, Any], codes: Codes, order: PageOrder) -> list[str]:
    """Doubts about the times of rows and pages."""
    if "time" not in data:
        return []
    seen = codes.level <= EVENTS["click"]
    # A cart may be bought long after all pages.
    far = page_doubts.about_far_times(data["time"], np.where(seen, codes.when, np.median(codes.when[seen])))
    if "page" not in data:  # pages have one time each
        return [*far, *page_doubts.about_order(data["time"], None, order.start, order.user)]
    of_pages = data["page"].iloc[np.unique(codes.page, return_index=True)[1][np.argsort(order.number)]]
    return [
        *far,
        *page_doubts.about_order(data["time"], of_pages, order.start, order.user),
        *page_doubts.about_long_pages(data["time"][seen], data["page"][seen], codes.page[seen], codes.when[seen]),
    ]


def _check_clicks(event: Any, level: np.ndarray, clicks: np.ndarray) -> None:
    """Raise a ValueError unless some of the pages [P] have clicks, and others have none.

    Args:
        event, level: [N] what the log says of each row, and what it was read as, a number of `EVENTS`.
    """
    clicked, names = int((clicks > 0).sum()), list(EVENTS)
    if clicked in (0, len(clicks)):
        kinds = dict(zip(event.astype(str), level.tolist(), strict=True))
        read = ", ".join(f"{shown(kind)} as {names[number]}" for kind, number in list(kinds.items())[:LISTED])
        raise ValueError(
            f"column {shown(event.name)}: {clicked} of {len(clicks)} pages have a click; pages with and without one "
            "are needed, to tell what clicking nothing is worth: keep what was shown and not clicked. "
            f"The column was read so: {read}; rename the events if they mean something else"
        )


def _ordered(
    pd: Any,
    data: dict[str, Any],
    values: dict[str, np.ndarray],
    codes: Codes,
    items: Any,
    named: dict[str, str | None],
    doubts: list[str],
) -> PageLog:
    """Join the rows of a shown item's events, and sort pages and rows."""
    item, when = codes.item, codes.when
    position = values.get("position", np.zeros(len(item)))
    agent = codes_of(pd, data["agent"])[0] if "agent" in data else np.zeros(len(item), np.int64)
    joined, before = _joined(data, codes, position, agent)
    order = _page_order(pd, data, codes)
    row_order = np.lexsort((position[joined.row], order.number[codes.page[joined.row]]))
    one, highest, carted, bought, bought_at = (column[row_order] for column in joined)
    row_page = order.number[codes.page[one]]
    first_row = np.searchsorted(row_page, np.arange(len(order.number) + 1)).astype(np.int64)
    clicked = highest >= EVENTS["click"]
    clicks = np.bincount(row_page[clicked], minlength=len(order.number))
    _check_clicks(data["event"], codes.level, clicks)
    delay = _delays(bought_at, row_page, order.start, order.first_page[order.user + 1])
    rank = values["position"][one] if "position" in values else None
    doubts = [
        *doubts,
        *page_doubts.about_events(data, before, clicks, order.user),
        *_doubts_about_order(data, codes, order),
        *page_doubts.about_repeats(
            (codes.page[joined.row], item[joined.row]), None if rank is None else (row_page, rank)
        ),
        *page_doubts.about_pages(first_row, rank, clicked, carted, bought),
    ]
    agents, more_doubts = (1, []) if "agent" not in data else _agents_of_a_page(pd, data["agent"].iloc[one], row_page)
    doubts += more_doubts
    used = {role: str(column.name) for role, column in data.items()}
    if "price" in values:
        doubts += page_doubts.about_prices(values, used, item)
    log: dict[str, Any] = {
        "columns": used,
        "start": order.start,
        "row_page": order.number[codes.page],
        "row_time": codes.when,
        "first_page": order.first_page,
        "first_row": first_row,
        "rank": rank,
        "clicked": clicked,
        "cart": carted | (bought & (delay > 0)),
        "bought": bought,
        "delay": delay,
        **{role: values[role][one] if role in values else None for role in ("propensity", "price", "discount")},
        "session": order.session,
        "agents": agents,
        "several_clicks": int((clicks > 1).sum()),
        "first": str(data["time"].iloc[int(np.argmin(when))]) if "time" in data else "",
        "last": str(data["time"].iloc[int(np.argmax(when))]) if "time" in data else "",
        "user_ids": codes.user_ids,
    }
    labels, several = _labels(pd, data, values, item, when)
    of_items = _items(pd, items, named, codes.item_ids, labels)
    index = index_in(of_items["item_ids"], codes.item_ids)[item]
    doubts += page_doubts.about_units(values, of_items["list_price"], index)
    if "category" in data:
        doubts += page_doubts.about_categories(of_items["category"], data["category"].name)
    if of_items["category"] is None:
        of_items["category"] = np.full(len(of_items["item_ids"]), "all", dtype=object)
    item_of_row, candidates = index[one], None
    offered = float(len(of_items["item_ids"]))
    if "candidates" in data:
        candidates, of_pages, more_doubts = read_candidates(
            pd, data["candidates"], one, row_page, item_of_row, of_items["item_ids"]
        )
        doubts += more_doubts
        offered = offered if candidates is None else of_pages
    of_table = {} if items is None else {role: items[named[role]] for role in ITEM_ROLES if named[role] in items}
    doubts += doubts_about_constants({**data, **of_table}, offered)
    # The items of a log are those that could be shown only if it has many times as many rows.
    items_known = items is not None or candidates is not None or len(one) >= ROWS_PER_ITEM * offered
    if log["propensity"] is not None and items_known:
        doubts += page_doubts.about_propensities(data["propensity"].name, log["propensity"], offered)
    return PageLog(
        **log,
        **of_items,
        item=item_of_row,
        candidates=candidates,
        several_labels=several,
        doubts=tuple(doubts),
        serious=tuple(page_doubts.about_missing_rows(np.diff(first_row), clicks > 0)),
    )


def _agents_of_a_page(pd: Any, agent: Any, page: np.ndarray) -> tuple[int, list[str]]:
    """How many recommenders most pages have, and a doubt if the log has several, but each page is of one, or they fill
    unequal parts of a page."""
    items = pd.DataFrame({"page": page, "agent": pd.factorize(agent)[0]}).value_counts().groupby("page")
    agents, of_log = int(items.size().mode().iloc[0]), agent.nunique()
    unequal = items.max() > items.min()
    if agents > 1 and unequal.mean() > UNEQUAL:
        first = unequal.idxmax()
        return agents, [
            f"column {shown(agent.name)}: on {unequal.sum():,} of {len(unequal):,} pages some recommenders fill more "
            f"slots than others, such as {items.max()[first]} and {items.min()[first]}; in the world all fill as many, "
            "so that its pages are smaller or larger"
        ]
    if agents > 1 or of_log == 1:
        return agents, []
    return 1, [
        f"column {shown(agent.name)} names {of_log:,} recommenders, but most pages are of one alone: the world has "
        "one recommender"
    ]


def index_in(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The index of each wanted id in `ids`, -1 = not there."""
    found: np.ndarray = library("pandas", "fit").Index(ids).get_indexer(wanted).astype(np.int32)
    return found


def _items(
    pd: Any, items: Any, named: dict[str, str | None], of_log: np.ndarray, labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return what is known of the catalogue's items, from the table if there is one, else from the log."""
    unknown: dict[str, Any] = {"popularity": None, "vectors": None, "list_price": None, "category": None}
    if items is None:
        return {**unknown, "item_ids": of_log, "text": np.full(len(of_log), ""), **labels}
    if not isinstance(items, pd.DataFrame) or len(items) == 0:
        raise TypeError(f"items = {shown(items)} must be a pandas DataFrame with one row per item, or None")
    used = _present("items", items, {role: named[role] for role in ITEM_ROLES}, {"item": named["item"]})
    table = items.rename(columns={column: role for role, column in used.items()})[list(used)]
    for role in used:
        missing = missing_ids(table[role]) if role == "item" else table[role].isna()
        refuse_rows(table[role], missing, "of items must not be missing")
        if role in ("category", "text"):
            refuse_several(table[role])
    refuse_rows(table["item"], table["item"].duplicated(), "of items must name each item once")
    codes, item_ids = codes_of(pd, table["item"])
    table = table.iloc[np.argsort(codes)]
    lacking = pd.Series(of_log, name=used["item"])
    refuse_rows(lacking, ~lacking.isin(item_ids), "holds items that the table of items lacks")
    index = index_in(item_ids, of_log)
    known: dict[str, Any] = {**unknown, "item_ids": item_ids, "text": np.full(len(item_ids), "")}
    if "vector" in table:
        known["vectors"] = _vectors(table["vector"].rename(used["vector"]))
    if "price" in table:
        known["list_price"] = _numbers(table["price"], "above 0 and below 1e12", lambda v: (v > 0) & (v < 1e12))
    if "popularity" in table:
        known["popularity"] = _numbers(
            table["popularity"], "0 or more, and below 1e15", lambda v: (v >= 0) & (v < 1e15)
        )
    elif "popularity" in labels:
        known["popularity"] = np.full(len(item_ids), labels["popularity"].min())
        known["popularity"][index] = labels["popularity"]
    for role, value in {"category": "all", "text": ""}.items():
        if role in table:
            known[role] = table[role].to_numpy(str)
        elif role in labels:
            known[role] = np.full(len(item_ids), value, dtype=object)
            known[role][index] = labels[role]
            known[role] = known[role].astype(str)
    return known


def _vectors(column: Any) -> np.ndarray:
    try:
        rows = np.stack([np.asarray(row, np.float64) for row in column])
    except (TypeError, ValueError):
        raise ValueError(f"column {shown(column.name)} of items must hold rows of numbers of one length") from None
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(
            f"column {shown(column.name)} of items must hold rows of numbers, it has shape {list(rows.shape)}"
        )
    norm = np.linalg.norm(rows, axis=1)
    refuse_rows(column, ~(np.isfinite(norm) & (norm > 1e-9)), "of items must hold finite vectors other than 0")
    vectors: np.ndarray = rows / norm[:, None]
    if np.ptp(vectors, axis=0).max() < SMALLEST_ANGLE:
        raise ValueError(
            f"column {shown(column.name)} of items holds vectors of one direction in all {len(vectors):,} rows, that "
            f"of {shown(column.iloc[0])}, so that tastes cannot differ: give vectors that tell items apart, or leave "
            "them out"
        )
    return vectors
