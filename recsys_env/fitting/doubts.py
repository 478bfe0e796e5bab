"""What is worth knowing about a log that can be fitted all the same: one sentence each, for the report."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..checks import shown
from ..libraries import library

if TYPE_CHECKING:
    import pandas as pd

FEW, FEW_USERS = 200, 50  # purchases or clicks, and users; with fewer, weights differ much from log to log
REPEATED = 0.1  # share of rows that repeat another one; customers who buy a product twice on a day make fewer
TYPICAL = 2.0  # factor between a price and the median of its item, in the root mean square
FAR_SHARE, FAR_DAYS = 0.05, 30.0  # share of the rows at either end, and days, of times that lie far from all others
SURE = 2.0  # standard errors by which the weight of taste is at least above 0
ONE_USER, TIMES_MEAN = 0.01, 20  # share of the rows of one user, and times the mean of all users
GAPS = 0.5  # share of the pages whose positions have gaps


class LogWarning(UserWarning):
    """Something in the log is probably wrong, although a world could be fitted to it."""


def warn_of_doubts(doubts: Iterable[str], stacklevel: int) -> None:
    """Warn of each doubt with `LogWarning`."""
    for doubt in doubts:
        warnings.warn(doubt, LogWarning, stacklevel=stacklevel + 1)


def about_copies(again: np.ndarray, follows: str) -> list[str]:
    """Rows [N] that repeat an earlier one."""
    if again.mean() <= REPEATED:
        return []
    return [
        f"{again.sum():,} of {len(again):,} rows repeat an earlier one, the first is row {again.argmax()}: {follows}"
    ]


def about_users(column: pd.Series) -> list[str]:
    """A user with very many rows."""
    rows = column.value_counts()
    if rows.iloc[0] <= max(ONE_USER * len(column), TIMES_MEAN * rows.mean()):
        return []
    most = shown(rows.index.tolist()[0])
    return [
        f"column {shown(column.name)}: {rows.iloc[0]:,} of {len(column):,} rows are of one user, {most}, who counts as "
        "one person"
    ]


def about_times(column: pd.Series, when: np.ndarray, shortest: float = 0.0) -> list[str]:
    """First or last times that lie farther from all others than most of these from one another.

    Args:
        column: as the log has them.
        when: [N] the same as numbers.
        shortest: distance that is not far, in the unit of these numbers.
    """
    order = np.argsort(when, kind="stable")
    ends = int(FAR_SHARE * len(when))
    most = when[order[-1 - ends]] - when[order[ends]]
    wide = np.diff(when[order]) > max(most, shortest)
    before, after = np.flatnonzero(wide[:ends]), np.flatnonzero(wide[len(wide) - ends :])
    first = before[-1] + 1 if len(before) else 0
    last = len(wide) - ends + after[0] if len(after) else len(wide)
    far = np.sort(np.concatenate([order[:first], order[last + 1 :]]))
    if most == 0 or not len(far):
        return []
    return [
        f"column {shown(column.name)}: {len(far):,} of {len(when):,} times lie far from all others, the first is row "
        f"{far[0]} with {shown(str(column.iloc[far[0]]))}; everything is judged by the time until the end of the log"
    ]


def about_prices(item: np.ndarray, price: np.ndarray, column: object) -> list[str]:
    """Prices [N] that differ much from those of the same item."""
    log_price = library("pandas", "fit").Series(np.log(price))
    away = log_price - log_price.groupby(item).transform("median")
    spread = float(np.exp(np.sqrt(np.mean(away**2))))
    if spread <= TYPICAL:
        return []
    return [
        f"column {shown(column)}: prices typically differ from the median of their item by a factor of {spread:,.1f}, "
        f"and by up to {float(np.exp(away.abs().max())):,.0f}; are all of them in one unit, and of the whole row?"
    ]


def about_weights(facts: Mapping[str, float], beta_taste: float, price: object) -> list[str]:
    """Weights with these `LogFacts`, of a log of purchases with this column of prices, if it has one."""
    doubts = about_size(int(facts["weight_purchases"]), int(facts["weight_users"]), "purchases")
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


def about_size(rows: int, users: int, what: str) -> list[str]:
    """Few rows or users behind the estimates."""
    if rows >= FEW and users >= FEW_USERS:
        return []
    return [
        f"the estimates rest on {rows:,} {what} of {users:,} users: with fewer than {FEW} {what} or {FEW_USERS} users "
        "they are uncertain, as their standard errors in summary() show"
    ]


# ---------------------------------------------------------------------------------------------- pages


def about_positions(first_row: np.ndarray, page: np.ndarray, rank: np.ndarray | None) -> list[str]:
    """Positions [R] with gaps, and several items at one position of a page [R]."""
    sizes = np.diff(first_row)
    if rank is None or sizes.max() == 1:
        return []
    doubts = []
    # Positions that all pages together lack, such as those of advertisements, are no gaps.
    dense = np.unique(rank, return_inverse=True)[1]
    gaps = int((np.maximum.reduceat(dense, first_row[:-1]) >= sizes).sum())
    if gaps > GAPS * len(sizes):
        doubts.append(
            f"positions have gaps on {gaps:,} of {len(sizes):,} pages: without the items that nobody clicked, the "
            "appeal of the others is overstated"
        )
    same = (np.diff(page) == 0) & (np.diff(rank) == 0)
    if same.any():
        doubts.append(
            f"{len(np.unique(page[1:][same])):,} of {len(sizes):,} pages have several items at one position, so the "
            "log does not tell how attention falls"
        )
    return doubts


def about_missing_rows(sizes: np.ndarray, clicked: np.ndarray) -> list[str]:
    """Whether pages [P] of these sizes, of which some were clicked, hold all that was shown."""
    if sizes.max() == 1:
        return ["no page holds more than one item, so it cannot be known how items compete"]
    if sizes[clicked].max() == 1:
        return [
            f"the {clicked.sum():,} pages with a click hold one item each, and the others "
            f"{sizes[~clicked].mean():.1f} on average: what was shown beside the clicked items seems to be missing, "
            "without which their appeal is overstated"
        ]
    return []


def about_weight_of_price(price: np.ndarray | None, item: np.ndarray, assumed: float) -> list[str]:
    """No item's price [R] moves, and no weight of price is assumed."""
    if price is None or assumed:
        return []
    asked = library("pandas", "fit").Series(price).groupby(item)
    if (asked.max() > asked.min()).any():
        return []
    return ["the price of no item moves, so beta_price = 0, unless the setting beta_price assumes another weight"]
