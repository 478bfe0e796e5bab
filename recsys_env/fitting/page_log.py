"""Reads and checks a log of pages: what was shown to whom, and what was clicked, carted and bought of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import did_you_mean, shown
from ..files import checked_path
from ..libraries import library
from .plausibility import FEW, doubts_about_ids_and_dates
from .table import codes_of, most_frequent_label

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
_NO_LIST = "must hold a list of items, or their ids with spaces or commas between them"
_ID = re.compile(r"""[^\s,'"\[\]]+""")  # in a text of ids, such as "4 7 9" or "['p4', 'p7']"
ALONE = 0.01  # share of the pages that hold a cart or purchase and nothing else, which is doubted
GAPS = 0.5  # share of the pages whose positions have gaps, which is doubted
OTHER_UNIT = 3.0  # factor between the usual price asked and the list price, from which on it is doubted
EVENTS = {"none": 0, "click": 1, "cart": 2, "purchase": 3}
FLAGS = {0: 0, 1: 1, "0": 0, "1": 1, "false": 0, "true": 1}  # a column that says what was clicked; False is 0
SMALLEST_COUNT = 0.01  # a catalogue needs positive popularity
ZEROS = 0.5  # positions of 0 for each of 1, from which on they count from 0
SEVERAL = 0.1  # share of the pages with a click that have several, which is doubted


@dataclass(frozen=True)
class PageLog:
    """A checked log: P pages in order of user, then time, with R shown items (rows); U users, M items.

    Attributes:
        user_ids, item_ids: in ascending order.
        first_page: [U + 1] where the pages of a user begin.
        first_row: [P + 1] where the rows of a page begin, which are in order of position.
        item: [R] number of the item.
        rank: [R] position on the page, 1 = first; None: the log does not say.
        clicked, cart, bought: [R] truth values. A cart or purchase implies a click.
        delay: [R] pages of the user from the page to the purchase; -1 = none.
        propensity: [R] probability of the item at this place; None: the log does not say.
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
        doubts: what is probably wrong with the log, or was guessed about it; one sentence each.
        serious: the same, where it affects which policy is best.
        first, last: time of the first and the last row, as text; "" without times.
    """

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
    for role in ("user", "item", "page", "session", "category", "text", "agent"):
        if role in data:
            _refuse(data[role], data[role].isna(), "must not be missing: drop or fill these rows")
    level = _levels(pd, data["event"])
    user, user_ids = codes_of(pd, data["user"])
    item, item_ids = codes_of(pd, data["item"])
    for name, ids, what in (("user", user_ids, "users"), ("item", item_ids, "items")):
        if len(ids) < 2:
            raise ValueError(
                f"column {shown(data[name].name)} holds {len(ids)} {what}, {shown(ids.tolist()[0])}; a fit needs 2 or "
                "more"
            )
    when = _times(pd, data["time"]) if "time" in data else np.zeros(len(item))
    page, doubts = _page_numbers(pd, data, user, when, level)
    for role in ("position", "propensity", "price", "discount", "popularity"):
        if role in data:
            data[role] = _filled(pd, data[role], page, item, level)
    if "position" in data:
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
    doubts += doubts_about_ids_and_dates(table, used)
    return _ordered(pd, data, values, (user, item, page, level, when), (user_ids, item_ids), items, named, doubts)


def recorded_pages(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of `recsys_env.evaluation.record` into a log of pages, with the default columns of `PAGE_ROLES`.

    Users are the people of one episode: with `users.population="fixed"` the same people begin anew in each, so that
    they get other numbers. A purchase from the cart becomes a row of its own, at the tick of the purchase.

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
    if isinstance(log, str | Path):
        path = checked_path("log", log)
        if not path.is_file():
            raise ValueError(f"log = {shown(str(path))} is no file; it must be a DataFrame or a Parquet file")
        library("pyarrow", "fit")
        try:
            log = pd.read_parquet(path)
        except Exception as error:  # pyarrow's own kinds
            raise ValueError(f"log = {shown(str(path))} is no Parquet file that can be read: {error}") from None
    if not isinstance(log, pd.DataFrame):
        raise TypeError(f"log is a {type(log).__name__}; it must be a pandas DataFrame or the path of a Parquet file")
    if len(log) == 0:
        raise ValueError(
            f"the log is empty; it needs one row per shown item, with {', '.join(REQUIRED)}, and page or time"
        )
    return log


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


def _refuse(column: Any, bad: Any, why: str) -> None:
    """Raise a ValueError that names column, count and first example, if there are bad rows."""
    bad = np.asarray(bad, bool)
    if bad.any():
        row = int(np.argmax(bad))
        example = column.iloc[row]
        example = example.item() if isinstance(example, np.generic) else example
        raise ValueError(
            f"column {shown(column.name)} {why}; {int(bad.sum())} of {len(bad)} rows are affected, the first is row "
            f"{row} with {shown(example)}"
        )


def _levels(pd: Any, event: Any) -> np.ndarray:
    """Each row's event as a number of `EVENTS`; a missing one is "none", and a flag says whether it was clicked."""
    allowed = f"must hold {', '.join(EVENTS)} or nothing, or else 0 and 1, or truth values, for none and click"
    try:
        codes, kinds = pd.factorize(event)
    except TypeError:  # no hash
        raise ValueError(f"column {shown(event.name)} {allowed}, it holds {shown(event.iloc[0])}") from None
    levels = EVENTS | FLAGS
    found = [levels.get(kind.strip().lower() if isinstance(kind, str) else kind, -1) for kind in kinds]
    level = np.array([*found, EVENTS["none"]], np.int64)[codes]  # the code of a missing event is -1
    _refuse(event, level < 0, allowed)
    return level


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
    _refuse(data["page"], owner[number] != user, f"must belong to one user each: {anew}")
    if session is not None:
        shown_rows, visit = level <= EVENTS["click"], pd.factorize(session)[0]  # a purchase may come in a later session
        owner[number[shown_rows]] = visit[shown_rows]
        _refuse(
            data["page"],
            shown_rows & (owner[number] != visit),
            f"must belong to one session each: {anew}",
        )
    return number, [] if "time" in data else ["the log has no column of times: its rows count as in order of time"]


def _from_one(position: Any) -> tuple[Any, list[str]]:
    """Positions that count from 1, and a doubt if they were counted from 0."""
    zeros = int((position == 0).sum())
    if position.dtype.kind not in "iuf" or zeros == 0 or zeros < ZEROS * (position == 1).sum():
        return position, []
    return position + 1, [f"column {shown(position.name)} counts positions from 0: position 0 was taken for the first"]


def _filled(pd: Any, column: Any, page: np.ndarray, item: np.ndarray, level: np.ndarray) -> Any:
    """A column in which carts and purchases have what the row that shows the item has, where theirs is empty."""
    later = column.isna() & (level > EVENTS["click"])
    if not later.any():
        return column
    of_item = pd.DataFrame({"page": page, "item": item, "value": column}).groupby(["page", "item"])["value"]
    one = of_item.transform("nunique") == 1
    return column.where(~(later & one), of_item.transform("first"))


def _numbers(column: Any, allowed: str, test: Any) -> np.ndarray:
    if column.dtype.kind not in "iuf":
        raise ValueError(
            f"column {shown(column.name)} must hold numbers ({allowed}), it holds {shown(column.iloc[0])} "
            f"({column.dtype})"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        _refuse(column, ~(np.isfinite(values) & test(values)), f"must be {allowed}")
    return values


def _times(pd: Any, column: Any) -> np.ndarray:
    """Times as float64: numbers as they are, dates in seconds."""
    if column.dtype.kind in "iuf":
        return _numbers(column, "finite", np.isfinite)
    if column.dtype.kind == "O" and (numbers := pd.to_numeric(column, errors="coerce")).notna().mean() > 0.5:
        _refuse(column, numbers.isna(), "must hold numbers, as in most of its rows")
        return _numbers(numbers, "finite", np.isfinite)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that every date is read by itself
            when = pd.to_datetime(column, errors="coerce", utc=True)
    except (TypeError, ValueError):
        raise ValueError(f"column {shown(column.name)} must hold times or numbers, it holds {column.dtype}") from None
    _refuse(column, when.isna(), "must hold times or numbers")
    return ((when - when.min()) / pd.Timedelta(seconds=1)).to_numpy(np.float64)


def _ordered(
    pd: Any,
    data: dict[str, Any],
    values: dict[str, np.ndarray],
    codes: tuple[np.ndarray, ...],
    ids: tuple[np.ndarray, np.ndarray],
    items: Any,
    named: dict[str, str | None],
    doubts: list[str],
) -> PageLog:
    """Join the rows of a shown item's events, and sort pages and rows."""
    user, item, page, level, when = codes
    position = values.get("position", np.zeros(len(item)))
    order = np.lexsort((level, position, item, page))
    same = np.ones(len(order) - 1, bool)
    for key in (page, item, position):
        same &= key[order[1:]] == key[order[:-1]]
    again = np.zeros(len(order), bool)
    again[order[1:]] = same & (level[order[1:]] == level[order[:-1]])
    twice = "must not have the same event twice on the same place of a page: drop copies of rows"
    if "page" not in data:
        twice += ", or name a column of pages, without which pages of the same time cannot be told apart"
    _refuse(data["item"], again, twice)
    before = np.zeros(len(order), bool)
    before[order[1:]] = same & (when[order[1:]] < when[order[:-1]])
    starts = np.flatnonzero(np.append(True, ~same))
    one = order[starts]  # the row of the least event of every shown item
    highest = np.maximum.reduceat(level[order], starts)
    carted = np.maximum.reduceat(level[order] == EVENTS["cart"], starts)
    bought = highest == EVENTS["purchase"]
    stops = np.append(starts[1:], len(order)) - 1
    bought_at = np.where(bought, when[order[stops]], -np.inf)

    pages = int(page.max()) + 1
    began = np.full(pages, np.inf)
    np.minimum.at(began, page, when)
    of_user = np.zeros(pages, np.int64)
    of_user[page] = user
    of_session = np.zeros(pages, np.int64)
    if "session" in data:  # that of the page's first row, because a purchase may come in a later one
        keys = pd.DataFrame({"user": user, "session": pd.factorize(data["session"])[0]})
        first = np.lexsort((when, level, page))[::-1]
        of_session[page[first]] = keys.groupby(["user", "session"], sort=False).ngroup().to_numpy()[first]
    by_user = np.lexsort((began, of_user))  # stable: pages of the same time in order of appearance
    number = np.empty(pages, np.int64)
    number[by_user] = np.arange(pages)
    first_page = np.searchsorted(of_user[by_user], np.arange(len(ids[0]) + 1)).astype(np.int64)
    arranged = np.lexsort((position[one], number[page[one]]))
    one, highest, carted, bought, bought_at = (a[arranged] for a in (one, highest, carted, bought, bought_at))
    row_page = number[page[one]]
    first_row = np.searchsorted(row_page, np.arange(pages + 1)).astype(np.int64)
    clicked = highest >= EVENTS["click"]
    clicks = np.bincount(row_page[clicked], minlength=pages)
    if (clicks > 0).all() or not clicks.any():
        raise ValueError(
            f"column {shown(data['event'].name)}: {int((clicks > 0).sum())} of {pages} pages have a click; pages with "
            "and without one are needed, to tell what clicking nothing is worth: keep what was shown and not clicked"
        )
    delay = np.full(len(one), -1, np.int64)
    start_times = began[by_user]
    for r in np.flatnonzero(bought).tolist():
        if bought_at[r] <= start_times[row_page[r]]:  # at once, as far as the times tell
            delay[r] = 0
            continue
        mine = start_times[row_page[r] + 1 : first_page[of_user[by_user[row_page[r]]] + 1]]
        delay[r] = int(np.searchsorted(mine, bought_at[r], side="right"))
    rank = values["position"][one] if "position" in values else None
    doubts = [*doubts, *_doubts(data, before, clicks), *_doubts_of_pages(first_row, rank, highest, bought)]
    log: dict[str, Any] = {
        "start": start_times,
        "row_page": number[page],
        "first_page": first_page,
        "first_row": first_row,
        "rank": rank,
        "clicked": clicked,
        "cart": carted | (bought & (delay > 0)),
        "bought": bought,
        "delay": delay,
        "propensity": values["propensity"][one] if "propensity" in values else None,
        "price": values["price"][one] if "price" in values else None,
        "discount": values["discount"][one] if "discount" in values else None,
        "session": of_session[by_user] if "session" in data else None,
        "agents": int(data["agent"].nunique()) if "agent" in data else 1,
        "several_clicks": int((clicks > 1).sum()),
        "first": str(data["time"].iloc[int(np.argmin(when))]) if "time" in data else "",
        "last": str(data["time"].iloc[int(np.argmax(when))]) if "time" in data else "",
        "user_ids": ids[0],
    }
    labels: dict[str, np.ndarray] = {}
    several = np.zeros(len(ids[1]), bool)
    for role in ("category", "text"):
        if role in data:
            labels[role], more = most_frequent_label(pd, item, data[role])
            several |= more
    if "popularity" in values:
        labels["popularity"] = np.zeros(len(ids[1]))
        recent = np.argsort(when, kind="stable")
        labels["popularity"][item[recent]] = values["popularity"][recent]
    of_items = _items(pd, items, named, ids[1], labels)
    doubts += _doubts_of_units(values, of_items["list_price"], known_place(of_items["item_ids"], ids[1])[item])
    if of_items["category"] is None:
        of_items["category"] = np.full(len(of_items["item_ids"]), "all", dtype=object)
    item_of_row, candidates = known_place(of_items["item_ids"], ids[1])[item[one]], None
    if "candidates" in data:
        candidates, more_doubts = _candidates(pd, data["candidates"], one, row_page, item_of_row, of_items["item_ids"])
        doubts += more_doubts
    return PageLog(
        **log,
        **of_items,
        item=item_of_row,
        candidates=candidates,
        several_labels=int(several.sum()),
        doubts=tuple(doubts),
        serious=tuple(_incomplete(np.diff(first_row), clicks > 0)),
    )


def _candidates(
    pd: Any, column: Any, one: np.ndarray, page: np.ndarray, item: np.ndarray, item_ids: np.ndarray
) -> tuple[np.ndarray | None, list[str]]:
    """Items [P, C] that retrieval offered at each page, -1 behind the last, and doubts; no items if slots of the same
    page were offered different ones.

    Args:
        column: [N] of each row of the log, a list of ids, or a text of ids with spaces or commas between them.
        one: [R] row of the log of each shown item.
        page, item: [R] of the shown items.
    """
    numbers, which = _distinct_lists(column, one)
    number, offered, unknown = _known_items(pd, column, numbers, item_ids)
    held = np.unique(number * len(item_ids) + offered)
    bad = np.zeros(len(column), bool)
    bad[one[~np.isin(which * len(item_ids) + item, held)]] = True
    _refuse(column, bad, "must hold the item that was shown")
    number, offered = np.divmod(held, len(item_ids))
    sizes = np.bincount(number, minlength=len(numbers))
    of_list = np.full((len(numbers), int(sizes.max())), -1, np.int32)
    of_list[number, np.arange(len(held)) - (np.cumsum(sizes) - sizes)[number]] = offered
    begins = np.flatnonzero(np.append(True, page[1:] != page[:-1]))
    differ = int((of_list[which] != of_list[which[begins]][page]).any(axis=1).sum())
    if differ:
        return None, [
            f"column {shown(column.name)} is not used: {differ:,} of {len(which):,} shown items had other candidates "
            "than the first item of their page, for instance because several agents fill it, and off-policy estimates "
            "need one list for a page"
        ]
    doubt = (
        f"column {shown(column.name)}: {unknown:,} ids in its {len(numbers):,} different lists are items that were "
        "never shown and are in no table of items: they are left out"
    )
    return of_list[which[begins]], [doubt] if unknown else []


def _distinct_lists(column: Any, one: np.ndarray) -> tuple[dict[Any, int], np.ndarray]:
    """The different lists of candidates with their numbers, and [R] which of them each shown item has: rows of a page
    hold the same list."""
    numbers: dict[Any, int] = {}
    which, bad = np.zeros(len(one), np.int64), np.zeros(len(column), bool)
    for r, value in enumerate(column.to_numpy()[one]):
        try:
            if not isinstance(value, str | list | tuple | np.ndarray):
                raise TypeError
            which[r] = numbers.setdefault(value if isinstance(value, str) else tuple(value), len(numbers))
        except TypeError:  # also of lists in a list
            bad[one[r]] = True
    _refuse(column, bad, _NO_LIST)
    return numbers, which


def _known_items(
    pd: Any, column: Any, numbers: dict[Any, int], item_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Number of the list and of the item of each known id in these lists; and how many ids are unknown."""
    nothing = {None, -1, "-1"} - set(item_ids.tolist())  # what fills lists up, as does NaN
    lists = [
        [
            entry
            for entry in (_ID.findall(held) if isinstance(held, str) else held)
            if entry not in nothing and entry == entry
        ]
        for held in numbers
    ]
    number = np.repeat(np.arange(len(lists)), [len(entries) for entries in lists])
    ids = pd.Series([entry for entries in lists for entry in entries], dtype=object)
    texts = np.array([isinstance(held, str) for held in numbers])[number]
    offered = np.full(len(ids), -1)
    offered[texts] = pd.Index(item_ids.astype(str)).get_indexer(ids[texts])
    offered[~texts] = pd.Index(item_ids).get_indexer(ids[~texts])
    known = offered >= 0
    if len(ids) and not known.any():
        raise ValueError(
            f"column {shown(column.name)} holds no id of an item, but ids like {shown(ids[0])}; items have ids like "
            f"{shown(item_ids.tolist()[0])}"
        )
    return number[known], offered[known], int((~known).sum())


def _doubts_of_units(values: dict[str, np.ndarray], list_price: np.ndarray | None, item: np.ndarray) -> list[str]:
    """A doubt if prices of the log and list prices [M] of the table of items are of different units.

    Args:
        item: [N] of each row.
    """
    if list_price is None or "price" not in values:
        return []
    factor = float(np.median((values["price"] + values.get("discount", 0.0)) / list_price[item]))
    if 1 / OTHER_UNIT < factor < OTHER_UNIT:
        return []
    return [
        f"prices in the log are {factor:.3g} times those of the table of items, half of them or more: if the units "
        "differ, such as cents and dollars, convert one of the two columns"
    ]


def known_place(item_ids: np.ndarray, of_log: np.ndarray) -> np.ndarray:
    """The number in the catalogue of every item of the log, both in ascending order."""
    return np.searchsorted(item_ids, of_log).astype(np.int32)


def _items(
    pd: Any, items: Any, named: dict[str, str | None], of_log: np.ndarray, labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    """What is known of the items of the catalogue: those of the table, or else of the log."""
    unknown: dict[str, Any] = {"popularity": None, "vectors": None, "list_price": None, "category": None}
    if items is None:
        return {**unknown, "item_ids": of_log, "text": np.full(len(of_log), ""), **labels}
    if not isinstance(items, pd.DataFrame) or len(items) == 0:
        raise TypeError(f"items = {shown(items)} must be a pandas DataFrame with one row per item, or None")
    used = _present("items", items, {role: named[role] for role in ITEM_ROLES}, {"item": named["item"]})
    table = items.rename(columns={column: role for role, column in used.items()})[list(used)]
    for role in used:
        _refuse(table[role], table[role].isna(), "of items must not be missing")
    _refuse(table["item"], table["item"].duplicated(), "of items must name each item once")
    codes, item_ids = codes_of(pd, table["item"])
    table = table.iloc[np.argsort(codes)]
    lacking = pd.Series(of_log, name=used["item"])
    _refuse(lacking, ~lacking.isin(item_ids), "holds items that the table of items lacks")
    place = known_place(item_ids, of_log)
    known: dict[str, Any] = {**unknown, "item_ids": item_ids, "text": np.full(len(item_ids), "")}
    if "vector" in table:
        known["vectors"] = _vectors(table["vector"])
    if "price" in table:
        known["list_price"] = _numbers(table["price"], "above 0 and below 1e12", lambda v: (v > 0) & (v < 1e12))
    if "popularity" in table:
        known["popularity"] = _numbers(
            table["popularity"], "0 or more, and below 1e15", lambda v: (v >= 0) & (v < 1e15)
        )
    elif "popularity" in labels:
        known["popularity"] = np.full(len(item_ids), labels["popularity"].min())
        known["popularity"][place] = labels["popularity"]
    for role, value in {"category": "all", "text": ""}.items():
        if role in table:
            known[role] = table[role].to_numpy(str)
        elif role in labels:
            known[role] = np.full(len(item_ids), value, dtype=object)
            known[role][place] = labels[role]
            known[role] = known[role].astype(str)
    return known


def _doubts(data: dict[str, Any], before: np.ndarray, clicks: np.ndarray) -> list[str]:
    """Doubts about what happened on the pages.

    Args:
        before: [N] rows of an event that is earlier than the one that it follows.
        clicks: [P] clicks of each page.
    """
    doubts, clicked = [], int((clicks > 0).sum())
    if clicked < FEW:
        doubts.append(f"the log has {clicked} pages with a click: with fewer than {FEW} the estimates are uncertain")
    if before.any():
        row = int(np.argmax(before))
        doubts.append(
            f"column {shown(data['time'].name)} runs backwards: {before.sum():,} clicks, carts or purchases are "
            f"earlier than what they followed, the first is row {row}; their pages begin at the earliest of their rows"
        )
    several = int((clicks > 1).sum())
    if several > SEVERAL * clicked:
        doubts.append(f"{several:,} of {clicked:,} pages with a click have several: only the first one counts")
    return doubts


def _doubts_of_pages(
    first_row: np.ndarray, rank: np.ndarray | None, highest: np.ndarray, bought: np.ndarray
) -> list[str]:
    """Doubts about what pages hold.

    Args:
        rank: [R] or None.
        highest: [R] the last event of each shown item.
    """
    doubts, sizes, clicked = [], np.diff(first_row), highest >= EVENTS["click"]
    alone = int(((sizes == 1) & (highest[first_row[:-1]] > EVENTS["click"])).sum())
    if np.median(sizes) > 1 and alone > ALONE * len(sizes):
        doubts.append(
            f"{alone:,} of {len(sizes):,} pages hold one item, which was put in a cart or bought: if it was shown on "
            "an earlier page, give the row the id of that page"
        )
    if bought.any() and bought.sum() == clicked.sum():
        doubts.append(f"all {clicked.sum():,} clicked items were bought: are clicks recorded as purchases?")
    if rank is None or sizes.max() == 1:
        return doubts
    # Positions that all pages together lack, such as those of advertisements, are no gaps.
    dense = np.unique(rank, return_inverse=True)[1]
    gaps = int((np.maximum.reduceat(dense, first_row[:-1]) >= sizes).sum())
    if gaps > GAPS * len(sizes):
        doubts.append(
            f"positions have gaps on {gaps:,} of {len(sizes):,} pages: were items left out that nobody clicked? "
            "Without them the appeal of the others is overstated"
        )
    below = dense > np.median(dense)
    rates = clicked[below].mean(), clicked[~below].mean()
    error = (
        (clicked.mean() * (1 - clicked.mean()) * (1 / below.sum() + 1 / (~below).sum())) ** 0.5 if below.any() else 0
    )
    if rates[0] - rates[1] > 3 * error > 0:
        doubts.append(
            f"items further down are clicked more often, {rates[0]:.1%} against {rates[1]:.1%}: position 1 must be the "
            "first that people see"
        )
    return doubts


def _incomplete(sizes: np.ndarray, clicked: np.ndarray) -> list[str]:
    """Doubts whether pages [P] of these sizes, of which some were clicked, hold all that was shown."""
    if sizes.max() == 1:
        return [
            "no page holds more than one item: what was shown beside an item, and how items compete, cannot be known; "
            "if pages had several items, name a column that tells them"
        ]
    if sizes[clicked].max() == 1:
        return [
            f"the {clicked.sum():,} pages with a click hold one item each, and the others "
            f"{sizes[~clicked].mean():.1f} on average: what was shown beside the clicked items seems to be missing, "
            "without which their appeal is overstated"
        ]
    return []


def _vectors(column: Any) -> np.ndarray:
    try:
        rows = np.stack([np.asarray(row, np.float64) for row in column])
    except (TypeError, ValueError):
        raise ValueError("column 'vector' of items must hold rows of numbers of one length") from None
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"column 'vector' of items must hold rows of numbers, it has shape {list(rows.shape)}")
    norm = np.linalg.norm(rows, axis=1)
    _refuse(column, ~(np.isfinite(norm) & (norm > 1e-9)), "of items must hold finite vectors other than 0")
    vectors: np.ndarray = rows / norm[:, None]
    return vectors
