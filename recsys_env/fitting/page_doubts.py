"""Doubts about a log of pages that can be fitted all the same. Those about columns of any log are in `plausibility`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import shown
from ..libraries import library
from .plausibility import (
    FAR_DAYS,
    FEW,
    FEW_USERS,
    MILLISECONDS,
    PURCHASE_FLAGS,
    SECONDS,
    TYPICAL,
    doubts_about_discount,
    doubts_about_far_times,
    letters,
    price_spread,
)

SEVERAL = 0.1  # share of the pages with a click that have several
ALONE = 0.01  # share of the pages that hold a cart or purchase and nothing else, or nothing that was ignored
APART = 0.01  # share of the pages whose rows are of times far apart
PART = 0.1  # of the time of the log, for times in an unknown unit
DAY = 86_400.0  # seconds
GAPS = 0.5  # share of the pages whose positions have gaps
FAR_BELOW, FEW_ROWS = 10, 0.05  # factor between positions, and share of the rows behind it, that are doubted
STANDARD_ERRORS = 3  # by which items further down are clicked more often
TOO_OPEN = 1.5  # factor between the items that propensities leave open and those that were offered
AGAINST = 0.9  # share of all pairs of consecutive pages of a user whose numbers fall while times rise
FEWEST_PAIRS = 20  # by which that is judged
FLAG_NAMES = {  # letters of the names of columns that say what is a cart or purchase
    **dict.fromkeys(("cart", "carted", "incart", "iscart", "addtocart", "isaddtocart"), "cart"),
    **dict.fromkeys((*PURCHASE_FLAGS, "order", "ordered", "isorder"), "purchase"),
}
OTHER_UNIT = 3.0  # factor between the usual price asked and the list price


def about_events(data: dict[str, Any], before: np.ndarray, clicks: np.ndarray, user: np.ndarray) -> list[str]:
    """Doubts about what happened on the pages.

    Args:
        before: [N] rows of an event that is earlier than the one that it follows.
        clicks, user: [P] clicks and user of each page.
    """
    doubts, clicked, people = [], int((clicks > 0).sum()), len(np.unique(user[clicks > 0]))
    if clicked < FEW or people < FEW_USERS:
        doubts.append(
            f"the log has {clicked:,} pages with a click of {people:,} users: with fewer than {FEW} pages or "
            f"{FEW_USERS} users the estimates are uncertain, as their standard errors in summary() show"
        )
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


def about_flags(table: Any, columns: Mapping[str, str]) -> list[str]:
    """Doubts about columns without a role that say which rows were put in a cart or bought, which only events tell.

    Args:
        columns: those that the table has, by role.
    """
    doubts = []
    for number, name in enumerate(table.columns):
        kind = FLAG_NAMES.get(letters(name))
        if kind is None or name in columns.values():
            continue
        values = table.iloc[:, number]
        said = values.astype(str).str.lower().isin(("1", "1.0", "true", "yes")).to_numpy()
        if said.any():
            doubts.append(
                f"column {shown(name)} was not used, which says that {said.sum():,} rows are a {kind}, the first is "
                f"row {int(np.argmax(said))}: only the column of events tells carts and purchases; write {kind!r} there"
            )
    return doubts


def about_order(time: Any, numbers: Any, start: np.ndarray, user: np.ndarray) -> list[str]:
    """Doubts about the order of pages, from which habits and visits follow.

    Args:
        time: column of times.
        numbers: column of page ids of each page [P], or None.
        start: [P] when the pages began, in order of user and time.
        user: [P] whose pages they are.
    """
    if len(start) > 1 and start.min() == start.max():
        return [
            f"all pages begin at the same time by column {shown(time.name)}: they count as in the order in which they "
            "stand in the log, and no time passes from one visit to the next"
            + (". Does it count from the beginning of each page?" if time.nunique() > 1 else "")
        ]
    if numbers is None or numbers.dtype.kind not in "iuf":
        return []
    later = (np.diff(user) == 0) & (np.diff(start) > 0)
    falling = np.diff(numbers.to_numpy().astype(float))[later] < 0
    if later.sum() < FEWEST_PAIRS or falling.mean() < AGAINST:
        return []
    return [
        f"column {shown(time.name)} runs against column {shown(numbers.name)}: of two pages of a user, the later one "
        f"has the smaller number in {falling.sum():,} of {later.sum():,} cases. Do times count backwards, as in "
        "seconds ago?"
    ]


def about_far_times(time: Any, when: np.ndarray) -> list[str]:
    """A doubt if times [N] of this column lie far from all others; if their unit is known, by more than a month."""
    return doubts_about_far_times(time, when, FAR_DAYS * (_day(time, when) or 0.0))


def about_long_pages(time: Any, ids: Any, page: np.ndarray, when: np.ndarray) -> list[str]:
    """A doubt if rows of a page lie far apart in time: by more than a day or, where the unit of times is not known, by
    more than a tenth of the time of the log.

    Args:
        time, ids: columns of times and page ids [N] of rows that tell what happened while the page was seen.
        page, when: [N] the same as numbers.
    """
    day = _day(time, when)
    rows = library("pandas", "fit").Series(when).groupby(page)
    first, last = rows.transform("min"), rows.transform("max")
    long = (last - first > (day or PART * np.ptp(when))).to_numpy()
    pages, of_log = len(np.unique(page[long])), int(page.max()) + 1
    if pages <= APART * of_log or first.min() == first.max():
        return []
    row = int(np.argmax(long))
    of_page = np.flatnonzero(page == page[row])
    begin, end = (time.iloc[of_page[at]] for at in (np.argmin(when[of_page]), np.argmax(when[of_page])))
    return [
        f"column {shown(time.name)}: the rows of {pages:,} of {of_log:,} pages lie more than "
        f"{'a day' if day else 'a tenth of the time of the log'} apart, the first page is "
        f"{shown(ids.iloc[[row]].tolist()[0])} with {begin} and {end}; pages are ordered by the earliest of their "
        "rows. Are the times those of other rows?"
    ]


def _day(time: Any, when: np.ndarray) -> float | None:
    """A day in the unit of a column of times, which are these numbers [N]; None if it is not known."""
    try:
        float(time.iloc[0])
    except (TypeError, ValueError):  # a date
        return DAY
    for (low, high), day in ((SECONDS, DAY), (MILLISECONDS, 1_000 * DAY)):
        if low <= when.min() <= when.max() <= high:
            return day
    return None


def about_pages(
    first_row: np.ndarray, rank: np.ndarray | None, clicked: np.ndarray, carted: np.ndarray, bought: np.ndarray
) -> list[str]:
    """Doubts about what pages hold.

    Args:
        first_row: [P + 1] where the rows of a page begin.
        rank: [R] position, or None.
        clicked, carted, bought: [R] truth values.
    """
    doubts, sizes = [], np.diff(first_row)
    alone = int(((sizes == 1) & (carted | bought)[first_row[:-1]]).sum())
    if np.median(sizes) > 1 and alone > ALONE * len(sizes):
        doubts.append(
            f"{alone:,} of {len(sizes):,} pages hold one item, which was put in a cart or bought: if it was shown on "
            "an earlier page, give the row the id of that page"
        )
    whole = (sizes > 1) & np.logical_and.reduceat(clicked, first_row[:-1])
    if whole.sum() > ALONE * len(sizes):
        doubts.append(
            f"{whole.sum():,} of {len(sizes):,} pages hold several items, of which all were clicked, put in a cart or "
            "bought: what was shown beside them and ignored seems to be missing, without which their appeal is "
            "overstated"
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
    if not below.any():
        return doubts
    rate, further_down, above = clicked.mean(), clicked[below].mean(), clicked[~below].mean()
    error = (rate * (1 - rate) * (1 / below.sum() + 1 / (~below).sum())) ** 0.5
    if further_down - above > STANDARD_ERRORS * error:
        doubts.append(
            f"items further down are clicked more often, {further_down:.1%} against {above:.1%}: position 1 must be "
            "the first that people see"
        )
    return doubts


def about_far_positions(position: Any) -> list[str]:
    """A doubt if a few positions of this column are far above all others, such as 999 for a missing one."""
    found = position.to_numpy(np.float64)
    kinds = np.unique(found)
    below = kinds[:-1][kinds[1:] > FAR_BELOW * np.maximum(kinds[:-1], 1)]
    below = below[[(found > largest).mean() <= FEW_ROWS for largest in below]]
    if not len(below):
        return []
    largest, far = below[0], found > below[0]
    first = int(np.argmax(far))
    return [
        f"column {shown(position.name)}: {far.sum():,} of {len(far):,} positions are far above all others, the first "
        f"is row {first} with {found[first]:g}, while the others are at most {largest:g}; leave these rows out if "
        "their positions are missing"
    ]


def about_repeats(by_item: tuple[np.ndarray, np.ndarray], by_rank: tuple[np.ndarray, np.ndarray] | None) -> list[str]:
    """Doubts about pages that show an item twice, or two items at one position.

    Args:
        by_item: page and item of what was shown [R], in this order.
        by_rank: page and position, in this order; None = the log has no positions.
    """
    doubts, pages = [], int(by_item[0].max()) + 1
    if several := _pages_with_repeats(*by_item):
        doubts.append(
            f"{several:,} of {pages:,} pages show an item at several positions, and each of them counts as a choice of "
            "its own; if these rows tell what happened to the item later, give them its position"
        )
    if by_rank is not None and (several := _pages_with_repeats(*by_rank)):
        doubts.append(
            f"{several:,} of {pages:,} pages have several items at one position, so the log does not tell how "
            "attention falls: positions must be counted over the whole page, also if several recommenders fill it"
        )
    return doubts


def _pages_with_repeats(page: np.ndarray, value: np.ndarray) -> int:
    """How many pages [R] have a value [R] more than once; equal ones follow one another."""
    same = (np.diff(page) == 0) & (np.diff(value) == 0)
    return len(np.unique(page[1:][same]))


def about_missing_rows(sizes: np.ndarray, clicked: np.ndarray) -> list[str]:
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


def alternatives(propensity: np.ndarray) -> float:
    """The number of equally likely items that would leave as much to chance as these propensities [R]."""
    return float(np.exp(-np.log(propensity).mean()))


def about_propensities(name: object, propensity: np.ndarray, offered: float) -> list[str]:
    """A doubt if propensities [R] of this column leave more open than a draw among as many items as were offered."""
    left_open = alternatives(propensity)
    if left_open < TOO_OPEN * offered:
        return []
    return [
        f"column {shown(name)}: on average it leaves as much to chance as a draw among {left_open:,.0f} items, but "
        f"only {offered:,.0f} could be shown. It must hold the probability of the item in its slot, given the items in "
        "the slots above, and not that of the whole page"
    ]


def about_prices(values: dict[str, np.ndarray], columns: Mapping[str, str], item: np.ndarray) -> list[str]:
    """Doubts whether prices of an item [N] differ as those of different units do, and whether discounts are amounts.

    Raises:
        ValueError: a price is too far from the other prices of its item; see `plausibility.price_spread`.
    """
    pd = library("pandas", "fit")
    lines = pd.DataFrame({"item": item, "list": values["price"] + values.get("discount", 0.0)})
    spread = price_spread(lines, columns["price"])
    doubts = doubts_about_discount(values["price"], lines["list"].to_numpy(), columns.get("discount"))
    if spread > TYPICAL:
        doubts.append(
            f"column {shown(columns['price'])}: prices typically differ from their item's median by a factor of "
            f"{spread:.1f}; are they of different units, such as cents and dollars?"
        )
    return doubts


def about_weight_of_price(price: np.ndarray | None, item: np.ndarray, assumed: float) -> list[str]:
    """A doubt if no item's price [R] moves and no weight of price is assumed."""
    if price is None or assumed:
        return []
    asked = library("pandas", "fit").Series(price).groupby(item)
    if (asked.max() > asked.min()).any():
        return []
    return [
        "the price of no item moves, so the log does not tell the weight of price: beta_price = 0, unless the setting "
        "beta_price assumes one"
    ]


def about_categories(category: np.ndarray, name: object) -> list[str]:
    """A doubt if categories [M] of items, of this column, are nearly as many as items."""
    kinds = len(np.unique(category))
    if kinds <= len(category) / 2:
        return []
    return [
        f"column {shown(name)} gives {kinds:,} categories for {len(category):,} items, which say little of topics; use "
        "a coarser category, such as the first part of a path"
    ]


def about_units(values: dict[str, np.ndarray], list_price: np.ndarray | None, item: np.ndarray) -> list[str]:
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
