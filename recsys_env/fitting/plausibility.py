"""Whether a table can be what it is taken for: purchases, each of them once, at prices that a shop asks.

A log that cannot be is refused. A log that probably is not can be fitted, with a doubt: a sentence that `fit` warns of
and `FittedWorld.summary` repeats.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import shown
from ..libraries import library
from .times import DAY_AND_MONTH

if TYPE_CHECKING:
    import pandas as pd

MOST_KINDS = 20  # of events; a column with more values is about something else
SAMPLE = 1000  # rows that are looked at first
# Letters of texts that say what a row is, of the names of columns of 0 and 1, and of the names of columns of events.
OTHER_EVENTS = frozenset(
    ("click", "clicks", "clicked", "clk", "view", "views", "viewed", "pv", "pageview", "productview", "itemview")
    + ("impression", "impressions", "exposure", "cart", "addtocart", "removefromcart", "fav", "favorite", "favourite")
    + ("wishlist", "like", "refund", "return", "returned", "cancel", "cancelled", "canceled")
)
PURCHASE_FLAGS = frozenset(
    ("bought", "isbought", "buy", "isbuy", "purchase", "purchased", "ispurchase")
    + ("conversion", "converted", "isconversion")
)
FLAGS = PURCHASE_FLAGS | {"click", "clicked", "isclick", "isclicked"}
ZEROS, ONES = frozenset(("0", "0.0", "false")), frozenset(("1", "1.0", "true"))
# Letters of the names of columns of 0 and 1 that seem to say what is no purchase: where they are 0, or 1.
NONE_IF_ZERO = frozenset(
    ("label", "target", "like", "liked", "islike", "isliked", "success", "completed", "iscompleted")
)
NONE_IF_ONE = frozenset(
    f"{before}{name}"
    for name in ("return", "returned", "refund", "refunded", "cancelled", "canceled", "failed", "void", "voided")
    for before in ("", "is", "was")
)
UNDONE = frozenset(  # letters of the values of a column of states, which are none of `OTHER_EVENTS`
    ("failed", "failure", "refunded", "pending", "declined", "rejected", "aborted", "abandoned", "unpaid", "expired")
    + ("error", "void", "voided", "onhold", "chargeback")
)
RATINGS = frozenset(
    ("rating", "ratings", "star", "stars", "score", "overall", "userrating", "ratingscore", "reviewscore")
    + ("note", "sterne", "bewertung")
)
RATING = re.compile(
    r"\s*(\d+(?:[.,]\d+)?)\s*(?:(?:/|of|out of|von)\s*\d+)?\s*(?:stars?|sterne?|points?|punkte?)?\s*", re.I
)
LARGEST_RATING, MISSING = 100, frozenset(("nan", "none", "<na>", ""))
NO_ONE = "-1"  # an id that stands for a missing one among integers of 0 or more
MISSING_IDS = frozenset(  # as programs and people write that there is no id
    ("nan", "none", "null", "<na>", "inf", "na", "n/a", "#n/a", "n.a.", "undefined", "unknown", "missing", NO_ONE)
    + ("anonymous", "anonym", "anon", "guest", "-", "--", "?", "unbekannt", "gast")
)
CURRENCIES = frozenset(
    ("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HUF", "INR")
    + ("JPY", "KRW", "MXN", "NOK", "PLN", "RUB", "SEK", "TRY", "USD", "ZAR")
)
EVENTS = frozenset(
    f"{name}{end}" for name in ("event", "behavior", "behaviour", "action", "interaction") for end in ("", "type")
)
FEWEST, FEWEST_USERS = 50, 20  # purchases and users behind the weights; in simulated logs with fewer, signs are wrong
FEW, FEW_USERS = 200, 50  # with fewer, the weights of simulated logs differ much from log to log
MOST_RELABELLED = 0.9  # share of items with several labels
REPEATED = 0.1  # share of rows that repeat another one; customers who buy a product twice on a day make fewer
FARTHEST = 1e3  # factor between a price and the median of its product
WIDEST = 1e6  # factor between the usual prices of a product and of the median product
GROWTH, FEWEST_OTHER_UNITS = 0.5, 100  # power of the units below which prices are doubted; rows that tell it
PROPORTIONAL = 0.8  # power of a column without a role with which prices grow, from which on it may be the quantity
SHARE_OF_PRICE = 0.1  # discounts of few kinds below 1, usually a smaller part of the price, may be shares of it
TYPICAL = 2.0  # factor between a price and the median of its product, in the root mean square, that is doubted
ONE_USER = 0.01  # share of rows of a single user that is doubted, and
TIMES_MEAN = 20  # times the mean of all users
FAR_SHARE, FAR_DAYS = 0.05, 30.0  # share of the rows at either end, and days, of times that may lie far from all others
SURE = 2.0  # standard errors by which the weight of taste is at least above 0
LARGEST, LARGEST_RATE = 50.0, 1e6  # weights and `habit_rate` in ChoiceConfig and FeedbackConfig
UNIFORM = 1.5  # factor between a constant propensity and that of a uniform draw
ALL_ALIKE = {  # what follows if the column of a role holds one value
    "category": "all items are of one topic, as without it",
    "domain": "the assortment has one part, as without it",
    "name": "items cannot be told apart by it",
    "text": "items cannot be told apart by it",
    "position": "the log does not tell how attention falls with the position",
    "popularity": "policies that go by popularity cannot tell items apart",
    "session": "all pages of a user count as one visit",
}
SECONDS, MILLISECONDS = (3e8, 1e10), (3e11, 1e13)  # since 1970; times from 1980 on


class LogWarning(UserWarning):
    """Something in the log is probably wrong, although a world could be fitted to it."""


def warn_of_doubts(doubts: Iterable[str], stacklevel: int) -> None:
    """Warn of each doubt with `LogWarning`."""
    for doubt in doubts:
        warnings.warn(doubt, LogWarning, stacklevel=stacklevel + 1)


def check_events(table: pd.DataFrame, columns: Mapping[str, str | None]) -> list[str]:
    """Doubts about columns without a role that tell rows of several kinds apart, and about ids and dates.

    Raises:
        ValueError: a column of texts says that rows are clicks or the like, or a flag of clicks or purchases, or a
            column of events that holds 0 and 1 alone, is 0 in some rows.
    """
    doubts = []
    for number, name in enumerate(table.columns):
        if name in columns.values():
            continue
        if _are_ratings(name, table.iloc[:, number]):
            doubts.append(
                f"column {shown(name)} was not used: every row was taken for a choice of the item, however it was "
                "rated; to count what people liked, give fit those rows alone"
            )
        values = table.iloc[:, number].head(SAMPLE).astype(str)
        if values.nunique() > MOST_KINDS:
            continue
        values = table.iloc[:, number].astype(str)
        kinds = [str(kind) for kind in values.unique()]
        if letters(name) in FLAGS or (letters(name) in EVENTS and set(map(str.lower, kinds)) <= ZEROS | ONES):
            others = {kind for kind in kinds if kind.lower() in ZEROS}
        else:
            others = {kind for kind in kinds if letters(kind) in OTHER_EVENTS}
        other = values.isin(others).to_numpy()
        if other.any():
            first = int(np.argmax(other))
            raise ValueError(
                f"column {shown(name)} says that {other.sum()} of {len(other)} rows are no purchases, the first is row "
                f"{first} with {shown(values.iloc[first])}; give fit the rows of purchases alone, or drop the column "
                "if every row is one"
            )
        doubts += _doubts_about_states(name, values)
        if letters(name) in EVENTS and 1 < len(kinds) <= MOST_KINDS:
            doubts.append(
                f"column {shown(name)} has the values {shown(sorted(kinds))}; every row was taken for a purchase, "
                "whatever it holds there"
            )
    return [*doubts, *doubts_about_columns(table, columns)]


def _doubts_about_states(name: object, values: pd.Series) -> list[str]:
    """A doubt if a column of these texts probably says that some rows are no purchases, such as those taken back."""
    if letters(name).endswith(("status", "state")):
        undone = values.isin({kind for kind in values.unique() if letters(kind) in UNDONE}).to_numpy()
    elif letters(name) in NONE_IF_ZERO | NONE_IF_ONE and set(map(str.lower, values.unique())) <= ZEROS | ONES | MISSING:
        undone = values.str.lower().isin(ONES if letters(name) in NONE_IF_ONE else ZEROS).to_numpy()
    else:
        return []
    if not undone.any():
        return []
    first = int(np.argmax(undone))
    return [
        f"column {shown(name)} was not used, which seems to say that {undone.sum():,} of {len(undone):,} rows are no "
        f"purchases, or nothing that was liked, the first is row {first} with {shown(values.iloc[first])}; every row "
        "was taken for a purchase, so leave these rows out if they are none"
    ]


def _are_ratings(name: object, values: pd.Series) -> bool:
    """Whether a column of this name with these values, such as "4.5", "4,5" or "4 stars", holds ratings."""
    words = re.findall("[A-Z]?[a-z]+|[A-Z]+", str(name))
    if not {*map(str.lower, words), letters(name)} & RATINGS:
        return False
    given = [kind for kind in map(str, values.unique()) if kind.lower() not in MISSING]
    found = [RATING.fullmatch(kind) for kind in given]
    return len(given) > 2 and all(match and float(match[1].replace(",", ".")) <= LARGEST_RATING for match in found)


def doubts_about_labels(several: int, items: int) -> list[str]:
    """A doubt if most items have several labels of a kind, such as categories."""
    if several <= MOST_RELABELLED * items:
        return []
    return [
        f"{several:,} of {items:,} items have several topics, names, texts or domains: are the columns of users and "
        "items interchanged?"
    ]


def doubts_about_columns(table: pd.DataFrame, columns: Mapping[str, str | None]) -> list[str]:
    """Doubts about the columns of any log: whether ids of users and items are of one spelling, rows of one user those
    of one person, dates read as they were written, and prices of one currency.

    Args:
        columns: those that the table has, by role.
    """
    doubts = []
    for role in ("user", "item"):
        doubts += _doubts_about_ids(table[columns[role]], role)
    rows = table[columns["user"]].value_counts()
    most = rows.index.tolist()[0]
    many = rows.iloc[0] > max(ONE_USER * len(table), TIMES_MEAN * rows.mean())
    if many and most not in _stand_ins(rows.index.tolist()):
        doubts.append(
            f"column {shown(columns['user'])}: {rows.iloc[0]:,} of {len(table):,} rows are of one user, "
            f"{shown(most)}; leave them out if these are many people, such as guests, or a program"
        )
    if (time := columns.get("time")) is not None:
        doubts += _doubts_about_dates(table[time])
    if columns.get("category") is not None:
        doubts += _doubts_about_joined_labels(table[columns["category"]])
        doubts += _doubts_about_spellings(table[columns["category"]])
    if columns.get("price") is not None:
        if _are_ratings(columns["price"], table[columns["price"]]):
            doubts.append(
                f"column {shown(columns['price'])}, which was taken for the price, seems to hold ratings; if it does, "
                "name no column for price"
            )
        for number, name in enumerate(table.columns):
            if name not in columns.values():
                doubts += _doubts_about_currencies(table.iloc[:, number], columns["price"])
    return doubts


def doubts_about_constants(columns: Mapping[str, pd.Series], offered: float = 0.0) -> list[str]:
    """Doubts about columns, by role, that hold one value in all rows, which tells nothing.

    Args:
        offered: items that could be shown at a slot, for propensities: those of a uniform draw are all alike.
    """
    doubts = []
    for role in (*ALL_ALIKE, "propensity"):
        if role not in columns:
            continue
        values = columns[role].dropna()
        if len(values) < 2 or values.head(SAMPLE).astype(str).nunique() > 1 or values.astype(str).nunique() > 1:
            continue
        if role != "propensity":
            follows = ALL_ALIKE[role]
        elif float(values.iloc[0]) * offered < UNIFORM:
            continue
        else:
            follows = (
                f"a uniform draw among the {offered:,.0f} items that could be shown has {1 / offered:.3g}. If "
                "retrieval offered fewer, name a column of candidates; if these are no probabilities of a policy, "
                "leave them out"
            )
        doubts.append(
            f"column {shown(values.name)} holds {shown(values.tolist()[0])} in all {len(values):,} rows: {follows}"
        )
    return doubts


def _doubts_about_ids(column: pd.Series, role: str) -> list[str]:
    """Doubts about ids in several spellings, and about texts that stand for missing ids."""
    doubts = []
    ids = column.dropna().unique().tolist()
    words = [value for value in ids if isinstance(value, str)]
    if 0 < len(words) < len(ids):
        number = next(value for value in ids if not isinstance(value, str))
        doubts.append(
            f"column {shown(column.name)}: {len(words):,} of {len(ids):,} ids are texts, such as {shown(words[0])}, "
            f"and the others are not, such as {shown(number)}; read the column as texts if they are ids of one kind"
        )
    if several := _several_spellings(ids, _spelled):
        doubts.append(
            f"column {shown(column.name)}: {len(several):,} ids come in several spellings, such as "
            f"{shown(several[0][0])} and {shown(several[0][1])}, which count as different {role}s"
        )
    for text in _stand_ins(ids):
        rows = column.isin([text]).to_numpy(bool)
        doubts.append(
            f"column {shown(column.name)}: {rows.sum():,} rows have the {role} {shown(text)}, the first is row "
            f"{int(np.argmax(rows))}, and count as rows of one {role}; leave them out if their ids are missing"
        )
    return doubts


def _several_spellings(values: Iterable[Any], spelled: Callable[[Any], str]) -> list[list[Any]]:
    """Groups of values that are spelled alike, of more than one value each."""
    groups: dict[str, list[Any]] = {}
    for value in values:
        groups.setdefault(spelled(value), []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def _spelled(value: object) -> str:
    return str(value).strip().lower().removesuffix(".0")


def _stand_ins(ids: Iterable[object]) -> list[object]:
    """Those of these ids that stand for missing ones. Where other ids are below 0, -1 is one like them."""
    spelled = {value: _spelled(value) for value in ids}
    found = {value: name for value, name in spelled.items() if name in MISSING_IDS}
    if NO_ONE in found.values() and any(re.fullmatch(r"-\d+", name) for name in spelled.values() if name != NO_ONE):
        return [value for value, name in found.items() if name != NO_ONE]
    return list(found)


def _doubts_about_joined_labels(column: pd.Series) -> list[str]:
    """A doubt if most labels are made of several ones, such as the genres Action|Comedy."""
    labels = [str(label) for label in column.dropna().unique()]
    doubts = []
    for separator in ("|", ";"):
        joined = [label for label in labels if separator in label]
        if len(joined) > len(labels) / 2:
            doubts.append(
                f"column {shown(column.name)} seems to hold several labels joined by {separator!r}, such as "
                f"{shown(joined[0])}: each of the {len(labels):,} combinations counts as a label of its own; keep one "
                "label of each item"
            )
    return doubts


def _doubts_about_spellings(column: pd.Series) -> list[str]:
    """A doubt if labels differ only in their case or blanks."""
    several = _several_spellings(map(str, column.dropna().unique()), lambda label: " ".join(label.lower().split()))
    if not several:
        return []
    return [
        f"column {shown(column.name)}: {len(several):,} labels come in several spellings, such as "
        f"{shown(several[0][0])} and {shown(several[0][1])}, which count as different ones; write each of them alike"
    ]


def _doubts_about_dates(column: pd.Series) -> list[str]:
    """A doubt if it is not clear whether the day or the month comes first."""
    if column.dtype.kind != "O":
        return []
    found = [DAY_AND_MONTH.match(str(value)) for value in column.unique()]
    if not (all(found) and all(int(match[1]) <= 12 and int(match[2]) <= 12 for match in found if match)):
        return []
    return [
        f"column {shown(column.name)}: dates such as {shown(str(column.iloc[0]))} are read with the month first; if "
        "the day comes first, convert them by pandas.to_datetime(..., dayfirst=True)"
    ]


def _doubts_about_currencies(column: pd.Series, price: str | None) -> list[str]:
    """A doubt if a column without a role holds several currencies."""
    if column.dtype.kind != "O" or column.head(SAMPLE).astype(str).nunique() > len(CURRENCIES):
        return []
    spelled = column.dropna().astype(str).value_counts()
    rows = spelled.groupby(spelled.index.str.strip().str.upper()).sum().sort_values(ascending=False)
    if len(rows) < 2 or not set(rows.index) <= CURRENCIES:
        return []
    return [
        f"column {shown(column.name)} names {len(rows)} currencies, {rows.index[0]} in {rows.iloc[0]:,} rows and "
        f"{rows.index[1]} in {rows.iloc[1]:,}; convert column {shown(price)} to one of them, or its weight is wrong"
    ]


def missing_ids(column: pd.Series) -> np.ndarray:
    """Which rows of a column of ids hold nothing, or a text without a letter, as files write that there is no id."""
    missing: np.ndarray = column.isna().to_numpy(bool)
    if column.dtype.kind not in "OU":
        return missing
    values = column.to_numpy(object)
    return missing | np.fromiter((isinstance(value, str) and not value.strip() for value in values), bool, len(values))


def refuse_several(column: pd.Series, what: str = "a label") -> None:
    """Raise a ValueError if rows of a column hold several values, such as lists, where each must hold one.

    Args:
        what: the value is.
    """
    if column.dtype.kind != "O":
        return
    several = tuple | list | dict | set | frozenset | np.ndarray
    rows = np.fromiter((isinstance(value, several) for value in column.to_numpy(object)), bool, len(column))
    refuse_rows(
        column,
        rows,
        f"must hold one value as {what}, such as an integer or a text: join the parts of {what} to one text",
    )


def refuse_compound_ids(column: pd.Series) -> None:
    """Raise a ValueError if ids of a column have no text of their own: several values in one, or bytes that no ASCII
    text has."""
    refuse_several(column, "an id")
    if column.dtype.kind != "O":
        return
    values = column.to_numpy(object)
    refuse_rows(
        column,
        np.fromiter((isinstance(value, bytes) and not value.isascii() for value in values), bool, len(values)),
        "must hold integers or texts as ids, and not bytes: decode them, such as by .str.decode('utf-8')",
    )


def refuse_two_units(column: pd.Series) -> None:
    """Raise a ValueError if some of these numbers are seconds since 1970, and the others milliseconds."""
    milliseconds, seconds = (column.between(*unit).fillna(False).to_numpy(bool) for unit in (MILLISECONDS, SECONDS))
    if milliseconds.any() and not milliseconds.all() and (milliseconds | seconds).all():
        why = "holds milliseconds since 1970 in some rows and seconds in the others; convert it to one unit"
        refuse_rows(column, milliseconds if milliseconds.mean() < 0.5 else ~milliseconds, why)


def doubts_about_far_times(column: pd.Series, when: np.ndarray, shortest: float = 0.0) -> list[str]:
    """A doubt if the first or last times lie farther from all others than most of these from one another.

    Args:
        column: as the log has them.
        when: [N] the same as numbers.
        shortest: distance that is not far, in the unit of these numbers.
    """
    order = np.argsort(when, kind="stable")
    ends = int(FAR_SHARE * len(when))
    low, high = order[ends], order[-1 - ends]
    most = when[high] - when[low]
    wide = np.diff(when[order]) > max(most, shortest)
    before, after = np.flatnonzero(wide[:ends]), np.flatnonzero(wide[len(wide) - ends :])
    first = before[-1] + 1 if len(before) else 0
    last = len(wide) - ends + after[0] if len(after) else len(wide)
    far = np.sort(np.concatenate([order[:first], order[last + 1 :]]))
    if most == 0 or not len(far):
        return []
    usual = [shown(str(column.iloc[row])) for row in (low, high)]
    return [
        f"column {shown(column.name)}: {len(far):,} of {len(when):,} times lie far from all others, the first is row "
        f"{far[0]} with {shown(str(column.iloc[far[0]]))}, while most are from {usual[0]} to {usual[1]}; correct them "
        "or leave these rows out if they are wrong, because everything is judged by the time until the end of the log"
    ]


def refuse_rows(column: pd.Series, bad: Any, why: str) -> None:
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


def refuse_texts(column: pd.Series, allowed: str) -> None:
    """Raise a ValueError if a column holds texts or other things where numbers are needed.

    Args:
        allowed: what the numbers must be.
    """
    if column.dtype.kind in "iuf":
        return
    numbers = library("pandas", "fit").to_numeric(column, errors="coerce")
    texts = (numbers.isna() & column.notna()).to_numpy()
    if texts.any():
        how = "write numbers with a decimal point, without currency signs, percent signs or separators of thousands"
        refuse_rows(column, texts, f"must hold numbers ({allowed}): {how}")
    raise ValueError(
        f"column {shown(column.name)} must hold numbers ({allowed}), and it holds them as {column.dtype}, such as "
        f"{shown(column.iloc[0])}; convert it by pandas.to_numeric"
    )


def letters(name: object) -> str:
    """The letters of a name, in lower case: of `Is_Click`, isclick."""
    return re.sub("[^a-z]", "", str(name).lower())


def repeated_rows(table: pd.DataFrame, columns: Mapping[str, str | None]) -> list[str]:
    """Doubts about rows that repeat an earlier one in everything that is used of them.

    Raises:
        ValueError: every row stands in the table several times.
    """
    roles = ("user", "item", "time", "price", "quantity", "discount")
    used = [column for role in roles if (column := columns[role]) is not None]
    again = table.duplicated(used).to_numpy()
    if again.mean() <= REPEATED:
        return []
    first = int(np.argmax(again))
    found = (
        f"{again.sum()} of {len(again)} rows repeat an earlier row in the columns {', '.join(map(shown, used))}, the "
        f"first is row {first}"
    )
    times = int(np.gcd.reduce(table.groupby(used, sort=False, dropna=False, observed=True).size().to_numpy()))
    if times > 1:
        raise ValueError(f"{found}: every row stands {times} times or more; purchases.drop_duplicates() keeps one each")
    return [f"{found}; if they are copies, purchases.drop_duplicates() keeps one each"]


def check_prices(lines: pd.DataFrame, column: str | None, quantity: str | None) -> list[str]:
    """Doubts about the prices of tidy lines, which come from these columns, if the log has them.

    Raises:
        ValueError: a price is too far from the other prices of its product, or a product's from those of the others.
    """
    if column is None:
        return []
    spread, doubts = price_spread(lines, column), []
    if spread > TYPICAL:
        doubts.append(
            f"column {shown(column)} gives prices per unit that typically differ from their product's median by a "
            f"factor of {spread:.1f}; a price must be that of the whole row, and the column of quantity say "
            "how many units it pays for"
        )
    growth = growth_with_units(lines)
    if growth is not None and growth < GROWTH:
        doubts.append(
            f"column {shown(column)}: within a product, prices of rows hardly grow with column {shown(quantity)} "
            f"(by its power {growth:.2f}); a price must be that of the whole row: multiply prices per unit by the "
            "quantity, or name no column of quantity"
        )
    return doubts


def doubts_about_discount(price: np.ndarray, full: np.ndarray, column: object) -> list[str]:
    """A doubt if most discounts, of this column, are larger than the price that is left, as percentages are, or if all
    are below 1 and much smaller than the price, as shares of it are.

    Args:
        price, full: [N] prices of the rows, after and before the discount.
    """
    discount = full - price
    given, larger = discount > 0, discount > price
    few = len(np.unique(discount.round(6))) <= MOST_KINDS and given.any()
    if few and discount.max() < 1 and np.median(discount[given] / full[given]) < SHARE_OF_PRICE:
        first = int(np.argmax(given))
        return [
            f"column {shown(column)}: all {given.sum():,} discounts are below 1, and usually less than "
            f"{SHARE_OF_PRICE:.0%} of the price, the first is row {first} with {discount[first]:.6g} taken off and "
            f"{price[first]:.6g} left; a discount must be an amount of money, and no share of the price"
        ]
    if larger.sum() <= given.sum() / 2:
        return []
    first = int(np.argmax(larger))
    return [
        f"column {shown(column)}: {larger.sum():,} of {given.sum():,} discounts are larger than the price that is "
        f"left, the first is row {first} with {discount[first]:.6g} taken off and {price[first]:.6g} left; a discount "
        "must be an amount of money, and no percentage"
    ]


def doubts_about_fractions(table: pd.DataFrame, columns: Mapping[str, str | None]) -> list[str]:
    """A doubt if most quantities are fractions, and prices a few whole numbers, as if the two were interchanged."""
    price, quantity = columns["price"], columns["quantity"]
    if price is None or quantity is None:
        return []
    paid, units = (table[name].to_numpy(np.float64) for name in (price, quantity))
    fractions = units != np.floor(units)
    if fractions.mean() <= 0.5 or (paid != np.floor(paid)).any() or len(np.unique(paid)) > MOST_KINDS:
        return []
    first = int(np.argmax(fractions))
    return [
        f"column {shown(quantity)}: {fractions.sum():,} of {len(units):,} quantities are no whole numbers, the first "
        f"is row {first} with {units[first]:.6g}, and all prices in column {shown(price)} are; are the columns of "
        "price and quantity interchanged?"
    ]


def doubts_about_quantity(table: pd.DataFrame, columns: Mapping[str, str | None], lines: pd.DataFrame) -> list[str]:
    """A doubt if the log names no quantity, and prices of tidy lines grow with another column of small integers."""
    if columns["price"] is None or columns["quantity"] is not None:
        return []
    for number, name in enumerate(table.columns):
        values = table.iloc[:, number]
        if name in columns.values() or values.dtype.kind not in "iu" or values.min() < 1:
            continue
        if not 1 < values.nunique() <= MOST_KINDS:
            continue
        units = values.to_numpy(np.float64)
        growth = growth_with_units(lines.assign(units=units, list=lines["list"] / units))
        if growth is not None and growth > PROPORTIONAL:
            return [
                f"column {shown(columns['price'])}: within a product, prices grow with column {shown(name)} (by its "
                f"power {growth:.2f}), which has no role; if it is the quantity, say so: quantity={name}"
            ]
    return []


def growth_with_units(lines: pd.DataFrame) -> float | None:
    """The power of the units that prices of rows grow with, within items: 1 for prices of rows, 0 for prices per unit.
    None if too few rows have other units than usual for their item."""
    units = np.log(lines["units"])
    away = units - units.groupby(lines["item"]).transform("mean")
    usual = lines["units"].groupby(lines["item"]).transform("median")
    if (lines["units"] != usual).sum() < FEWEST_OTHER_UNITS:
        return None
    return float(away @ (np.log(lines["list"]) + units) / (away @ away))


def price_spread(lines: pd.DataFrame, column: object) -> float:
    """The factor by which list prices of lines, of this column, typically differ from the median of their item.

    Raises:
        ValueError: a price is too far from the other prices of its item, or an item's from those of the others.
    """
    log_price = np.log(lines["list"])
    usual = log_price.groupby(lines["item"]).transform("median")
    middle = float(usual.median())
    for distance, factor, typical, of in (
        ((log_price - usual).abs(), FARTHEST, usual, "the median price of its product"),
        ((usual - middle).abs(), WIDEST, usual * 0 + middle, "the usual price of the products"),
    ):
        far = (distance > np.log(factor)).to_numpy()
        if far.any():
            first = int(np.argmax(far))
            raise ValueError(
                f"column {shown(column)} gives {far.sum()} of {len(far)} rows a price per unit that is more than "
                f"{factor:,.0f} times above or below {of}; the first is row {first} with "
                f"{np.exp(log_price.iloc[first]):.6g} instead of about {np.exp(typical.iloc[first]):.6g}"
            )
    return float(np.exp(np.sqrt(np.mean((log_price - usual) ** 2))))


def check_weight(name: str, value: float, lowest: float = -LARGEST, highest: float = LARGEST) -> float:
    """Return an estimated weight if a world allows it. Larger ones are what no evidence, or a perfect one, leads to.

    Args:
        name: what it is the weight of, for the error.
        lowest: that a world allows.
        highest: that a world allows.

    Raises:
        ValueError: it lies outside.
    """
    if not lowest <= value <= highest:
        raise ValueError(
            f"the log does not tell {name}: it is estimated as {value:.3g}, and a world allows {lowest:g} to "
            f"{highest:g}. This happens if an outcome always, or never, follows from what was shown"
        )
    return value


def check_size(lines: pd.DataFrame, column: object) -> None:
    """Refuse tidy lines, with this column of users, that are too few for any settings.

    Raises:
        ValueError: they are fewer than `FEWEST` purchases, or those of fewer than `FEWEST_USERS` users.
    """
    users = lines["user"].nunique()
    if len(lines) < FEWEST or users < FEWEST_USERS:
        raise ValueError(
            f"the log has {len(lines)} purchases of {users} users in column {shown(column)}; a fit needs {FEWEST} "
            f"purchases of {FEWEST_USERS} users or more"
        )


def check_repeats(lines: pd.DataFrame, columns: Mapping[str, str | None]) -> None:
    """Refuse tidy lines, of these columns, in which nothing comes after anything else.

    Raises:
        ValueError: all purchases are of the same time, nobody buys at two times, or no item is bought twice.
    """
    time, user, item = (shown(columns[role]) for role in ("time", "user", "item"))
    if lines["day"].min() == lines["day"].max():
        raise ValueError(
            f"column {time} holds the same time in all {len(lines):,} rows, {lines['date'].iloc[0].date()}; a fit "
            "needs to know what was bought before what"
        )
    if (lines.groupby("user")["day"].nunique() == 1).all():
        raise ValueError(
            f"none of the {lines['user'].nunique():,} users in column {user} bought something at two times; a fit "
            f"needs users who return. Is {user} the id of a purchase or of a visit?"
        )
    if not lines["item"].duplicated().any():
        raise ValueError(
            f"each of the {len(lines):,} items in column {item} was bought only once; a fit needs items that are "
            f"bought again. Is {item} the id of a row?"
        )


def check_evidence(
    purchases: int, users: int, weight_days: float, enough_days: float | None, far: Sequence[str] = ()
) -> None:
    """Refuse to estimate weights from so few purchases of so few users.

    Args:
        enough_days: other `weight_days` with enough of both, if there are any.
        far: doubts about times far from all others, of which too few purchases are a likely consequence.

    Raises:
        ValueError: these are too few.
    """
    if purchases < FEWEST or users < FEWEST_USERS:
        longer = f"set weight_days to {enough_days:g}" if enough_days else "use a longer log"
        raise ValueError(
            f"the weights of the utility would rest on {purchases} purchases of {users} users, who bought both in the "
            f"last weight_days = {weight_days:g} of the log and before; needed are {FEWEST} purchases of "
            f"{FEWEST_USERS} users: {'; '.join(far) or longer}"
        )


def doubts_about_weights(facts: Mapping[str, float], beta_taste: float, price: str | None) -> list[str]:
    """Doubts about weights with these `LogFacts`, of a log with this column of prices, if it has one."""
    doubts = []
    purchases, users = facts["weight_purchases"], facts["weight_users"]
    if purchases < FEW or users < FEW_USERS:
        doubts.append(
            f"the weights of the utility rest on {purchases} purchases of {users} users: with fewer than {FEW} "
            f"purchases or {FEW_USERS} users they are uncertain, as their standard errors in summary() show"
        )
    if beta_taste < SURE * facts["taste_error"]:
        doubts.append(
            f"the weight of taste, {beta_taste:.2g}, is below {SURE:g} standard errors of {facts['taste_error']:.2g}: "
            "the log does not show that users like different things, so policies that go by tastes have nothing to find"
        )
    if price is None:
        doubts.append("no column of prices is named: everything costs the same, and beta_price = 0")
    elif facts["price_error"] == 0:
        doubts.append(
            f"column {shown(price)} hardly moves within a product, or hardly any product is bought several times in a "
            "week, so the log does not tell the weight of price: beta_price = 0"
        )
    return doubts
