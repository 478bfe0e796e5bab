"""What a log can say at all: how much users and items overlap, and what it cannot tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...libraries import library
from ..page_log import PageLog
from ..prices import PROMOTED, mean_by
from ..tastes import purchase_counts

if TYPE_CHECKING:
    import pandas as pd

SEED = 0
ENOUGH_USERS = 20  # buyers of an item, from which its appeal is known within about a quarter of a standard deviation
ENOUGH_PURCHASES = 10  # of a user
PAIRS = 5000  # of users, whose common items are counted
UNUSUAL = 0.5  # propensity below which a slot shows something else than usual
MOVED = 0.1  # share of the variance of positions that lies within items, below which they hardly move
BINS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # buyers of an item


class LogKind(NamedTuple):
    """What follows from how a log came about."""

    comparable: bool  # whether policies may be compared in its world
    explored: float | None  # share of the pages that were filled at random; None = unknown, or there are no pages
    policy: str | None  # fills the pages of a simulation; None = every page is the whole catalogue
    not_identified: tuple[str, ...]  # what the log cannot tell apart
    never: tuple[str, ...]  # what its world must not be trusted for


_POSITIONS = "Position effects: the world assumes how attention falls with the position."
_NEVER_OF_PURCHASES = (
    "It does not say how much a policy sells, only which of two policies sells more: the share of visitors who buy is "
    "assumed.",
    "It does not say whether better pages bring customers back or drive them away: the log has no visits without a "
    "purchase.",
    "It does not say what happens at prices that were never asked, or to customers and items that the log does not "
    "contain.",
)
KINDS = {  # by origin
    "free_choice": LogKind(
        comparable=True,
        explored=None,
        policy=None,
        not_identified=(
            "Attention and liking: a customer who does not buy an item may not have seen it.",
            "The effect of a recommendation: nobody was shown one, so the world assumes how positions and pages work.",
        ),
        never=_NEVER_OF_PURCHASES,
    ),
    "random_pages": LogKind(
        comparable=True,
        explored=1.0,
        policy="random",
        not_identified=(
            "The alternatives: the log has only purchases, so it is unknown which items a purchase was preferred to.",
            _POSITIONS,
        ),
        never=_NEVER_OF_PURCHASES,
    ),
    "pages": LogKind(
        comparable=True,
        explored=None,  # see `exploration`
        policy=None,
        not_identified=(
            "What the recommender knew: if it reacted to a wish of the user that the log does not contain, the wish "
            "looks like a preference for the items that it showed.",
            "A state that clicks depend on and the log does not contain, such as how tired a user is of a topic.",
            "Habit and taste, as far as tastes differ in ways that the items' vectors do not tell.",
        ),
        never=(
            "It does not say whether better pages bring users back or drive them away: the log has no visits that did "
            "not happen.",
            "It does not say what users think of an item once they have clicked it: satisfaction is kept at its "
            "default.",
            "It does not say what happens to users and items that the log does not contain, or at prices that were "
            "never asked.",
        ),
    ),
    "recommender": LogKind(
        comparable=False,
        explored=None,
        policy=None,
        not_identified=(
            "What was shown and what is liked: an item may sell because it was recommended often. Prefer a log that "
            "contains the pages, with the items that were shown and not clicked.",
            "What the recommender knew: if it reacted to a wish of the customer that the log does not contain, the "
            "wish looks like a preference for the items that it showed.",
            _POSITIONS,
        ),
        never=_NEVER_OF_PURCHASES,
    ),
}
ADVICE = (
    "Fill 5 % of your pages at random and record every page with its positions. On these pages, what is shown does not "
    "depend on anything that the customer wanted, so a world can be fitted to them without the old recommender's "
    "choices.",
    "Exploration does not cure everything. A state that the log does not contain, such as how tired a customer is of a "
    "topic, stays invisible however pages are filled. So do visits that a better page would have brought, and tastes "
    "that change after the log ends.",
)


def overlap(lines: pd.DataFrame, shape: tuple[int, int], rows: str = "purchases") -> dict[str, Any]:
    """How well items are covered by users, and users by items.

    Args:
        lines: tidy lines (`table.tidy`); of other rows than purchases, user, item and day are enough.
        shape: users and items.
        rows: what a line is.
    """
    counts = purchase_counts(lines, shape, float(lines["day"].max()), np.inf)
    seen = counts.astype(bool).astype(np.int32)
    buyers = np.asarray(seen.sum(axis=0)).ravel()
    purchases = np.bincount(lines["item"], minlength=shape[1])
    of_user = np.bincount(lines["user"], minlength=shape[0])
    enough = buyers >= ENOUGH_USERS
    first, second = np.random.default_rng(SEED).integers(shape[0], size=(2, PAIRS))
    common = np.asarray(seen[first].multiply(seen[second]).sum(axis=1)).ravel()[first != second]
    bins = np.searchsorted(BINS, buyers, side="right")
    return {
        "enough users": ENOUGH_USERS,
        f"enough {rows}": ENOUGH_PURCHASES,
        "items with enough users": float(enough.mean()),
        f"{rows} of items with enough users": float(purchases[enough].sum() / purchases.sum()),
        "median users of an item": float(np.median(buyers)),
        "items by users": {
            _bin(i): int(number) for i, number in enumerate(np.bincount(bins, minlength=len(BINS) + 1)) if i > 0
        },
        f"users with enough {rows}": float((of_user >= ENOUGH_PURCHASES).mean()),
        f"median {rows} of a user": float(np.median(of_user)),
        "items that two users share": float(common.mean()),
        "pairs of users that share an item": float((common > 0).mean()),
        "users in the largest connected group": _connected(seen),
    }


def _bin(i: int) -> str:
    """Name of the bin from BINS[i - 1] on."""
    low = BINS[i - 1]
    if i == len(BINS):
        return f"{low:,} or more"
    return f"{low}" if BINS[i] == low + 1 else f"{low} to {BINS[i] - 1}"


def _connected(seen: Any) -> float:
    """Share of the users who are linked to each other, directly or by others, through items that they bought."""
    sparse = library("scipy.sparse", "fit")
    graph = sparse.bmat([[None, seen], [seen.T, None]])
    _, group = library("scipy.sparse.csgraph", "fit").connected_components(graph, directed=False)
    users = group[: seen.shape[0]]
    return float(np.bincount(users).max() / len(users))


# ------------------------------------------------------------------------------------------------ pages


def exploration(log: PageLog) -> dict[str, float] | None:
    """How much a log left to chance, by the propensities of its slots; None without them.

    Returns:
        slots, pages: share of the slots with a propensity below `UNUSUAL`, and of the pages with such a slot;
        alternatives: exp(-mean log propensity), the number of equally likely items that would leave as much to chance;
        smallest propensity.
    """
    if log.propensity is None:
        return None
    unusual = log.propensity < UNUSUAL
    return {
        "slots": float(unusual.mean()),
        "pages": float(np.logical_or.reduceat(unusual, log.first_row[:-1]).mean()),
        "alternatives": float(np.exp(-np.log(log.propensity).mean())),
        "smallest propensity": float(log.propensity.min()),
    }


def pages_not_identified(log: PageLog) -> list[str]:
    """What a log of pages does not identify, since a column is missing or hardly varies."""
    shown = np.bincount(log.item, minlength=len(log.item_ids))
    found = []
    if (unshown := int((shown == 0).sum())) > 0:
        found.append(
            f"The appeal of {unshown:,} items that were never shown: the world takes it from their popularity."
        )
    if log.rank is None:
        found.append("Position effects: the log has no positions, so the world has none.")
    elif (log.rank == 1).all():
        found.append("Position effects: every item was shown at position 1, so the world has none.")
    elif _within(log.item, np.log(log.rank)) < MOVED:
        found.append(
            "Position and appeal: items nearly always had the same position, so an item at the top may be liked, or "
            "just seen."
        )
    if log.price is None:
        found.append("The effect of prices: the log has none, so their weight is 0 unless it is assumed.")
    elif float(np.sqrt(_variance_within(log.item, np.log(log.price)))) <= PROMOTED:
        found.append(
            "The effect of a change of price: no item's price moves, and items of different prices differ in other "
            "ways, too. So the weight of price is 0 unless it is assumed."
        )
    if log.propensity is None:
        found.append("What was left to chance: the log has no propensities.")
    if log.popularity is None:
        found.append(
            "The platform's own popularity: the log's clicks stand in for it, which depend on what was shown. Policies "
            "that go by popularity may rank wrongly."
        )
    if log.session is None:
        found.append("How long visits are: the log has no sessions, so their length is kept at its default.")
    if log.vectors is None:
        found.append(
            "What items are like: the log has no vectors of them, so they are learned from the clicks. That of an item "
            "with few clicks is drawn at random around the direction of its category."
        )
    if not log.bought.any():
        found.append("Purchases: the log has none, so policies are compared by their clicks.")
    return found


def _within(code: np.ndarray, value: np.ndarray) -> float:
    """Share of the variance of values that lies within groups."""
    return _variance_within(code, value) / max(float(np.var(value)), 1e-12)


def _variance_within(code: np.ndarray, value: np.ndarray) -> float:
    return float(np.mean((value - mean_by(code, value)[code]) ** 2))
