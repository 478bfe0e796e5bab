"""What users bought in the last days of a log, and what they had bought before each of these purchases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..libraries import library
from .schema import FEWEST, FEWEST_USERS
from .tastes import largest_habits, purchase_counts

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

SEED = 0
# Numbers in the likelihood of the weights: for each user one per item, one per occasion and item that the user knows,
# and one per pair of occasions. With more than that the users are sampled: all of their purchases and all items count,
# so the sample makes the weights less certain, but not biased, and their standard errors say so.
LIKELIHOOD_CELLS = 32_000_000
BLOCK_CELLS = 1_000_000  # of these numbers, held in memory at a time


class Occasions(NamedTuple):
    """Moments at which users bought something: K of them, of S users, sorted by user and time; M items.

    What was bought at the same moment does not count as bought before.
    """

    user: np.ndarray  # [K] from 0 to S - 1
    bought: csr_matrix  # [K, M] purchases
    known: csr_matrix  # [K, M] purchases of the user before the occasion
    habit: csr_matrix  # [K, M] the same, weighted by their age: the largest ones of the user

    def of(self, part: slice) -> Occasions:
        """The occasions of some of the users, whose numbers begin at 0 again."""
        at = slice(*np.searchsorted(self.user, (part.start, part.stop)))
        return Occasions(self.user[at] - part.start, self.bought[at], self.known[at], self.habit[at])


def returning_users(
    before: pd.DataFrame, after: pd.DataFrame, shape: tuple[int, int], dims: int, weight_days: float, days: float
) -> tuple[np.ndarray, np.ndarray]:
    """Users who bought in both parts of the log, in random order: all, or as many as the likelihood may hold; and how
    many numbers of it each of them takes.

    Args:
        before, after: tidy lines until the last `weight_days` of the `days` of the log, and since.
        shape: users and items.
        dims: of tastes.

    Raises:
        ValueError: nothing comes before the last days, no more than `dims` items were bought before them, or nobody
            bought in both parts.
    """
    last = f"the last weight_days = {weight_days:g}"
    if days <= weight_days:
        raise ValueError(
            f"the log spans {days:.1f} days, so that nothing comes before {last}; use a longer log or fewer weight_days"
        )
    if (bought := before["item"].nunique()) <= dims:
        raise ValueError(
            f"the log has {bought} items that were bought before {last}, and dims = {dims} dimensions of tastes need "
            "more than as many; use a longer log, fewer weight_days or fewer dims"
        )
    known = np.intersect1d(before["user"], after["user"])
    if len(known) == 0:
        raise ValueError(
            f"no user bought something both before {last} of the log and in them, where items that nobody had bought "
            "before do not count; use a longer log or other weight_days"
        )
    users = np.random.default_rng(SEED).permutation(known)
    items = library("pandas", "fit").concat([before, after]).groupby("user")["item"].nunique()
    occasions = after.groupby("user")["day"].nunique()[users]
    pairs = occasions * (occasions - 1) // 2  # each occasion looks back at those before it
    cells = shape[1] + (occasions * items[users] + pairs).to_numpy()
    number = max(1, int(np.searchsorted(np.cumsum(cells), LIKELIHOOD_CELLS, side="right")))
    return users[:number], cells[:number]


def enough_days(lines: pd.DataFrame, weight_days: float) -> float | None:
    """The shortest of 2, 4, 8, ... times `weight_days` in which enough users bought enough who had bought before; None
    if there is none.

    Args:
        lines: tidy lines of the log.
    """
    day, end = lines["day"], float(lines["day"].max())
    while weight_days < float(np.ptp(day)):
        weight_days *= 2
        after = lines[day >= end - weight_days]
        counted = after[after["user"].isin(lines["user"][day < end - weight_days])]
        if len(counted) >= FEWEST and counted["user"].nunique() >= FEWEST_USERS:
            return weight_days
    return None


def blocks_of(cells: np.ndarray) -> Iterator[slice]:
    """Blocks of users that take no more than `BLOCK_CELLS`, or of one user."""
    first, held = 0, 0
    for user, more in enumerate(cells):
        if user > first and held + more > BLOCK_CELLS:
            yield slice(first, user)
            first, held = user, 0
        held += int(more)
    yield slice(first, len(cells))


def occasions_of(
    before: pd.DataFrame,
    after: pd.DataFrame,
    users: np.ndarray,
    shape: tuple[int, int],
    now: float,
    half_life: float,
    habit_size: int,
) -> Occasions:
    """The occasions of some users.

    Args:
        before, after: tidy lines, until the day `now` and since.
        users: [S] numbers in these lines.
        shape: users and items in these lines.
        half_life: of purchases in the habits, in days.
        habit_size: H, the habits of a user.
    """
    sparse = library("scipy.sparse", "fit")
    order = np.argsort(users)
    rows = after[after["user"].isin(users)]
    user = order[np.searchsorted(users, rows["user"], sorter=order)]
    moments, at = np.unique(np.stack([user, rows["day"]], axis=1), axis=0, return_inverse=True)
    at = at.ravel()
    user, day = moments[:, 0].astype(int), moments[:, 1]
    bought = sparse.csr_matrix((np.ones(len(rows)), (at, rows["item"])), shape=(len(user), shape[1]))
    later, earlier = _pairs(user)

    def past(half_life: float) -> csr_matrix:
        """Purchases [K, M] before each occasion, weighted by their age."""
        until_now = purchase_counts(before, shape, now, half_life)[users[user]]
        aged = sparse.diags(0.5 ** ((day - now) / half_life)) @ until_now
        weight = 0.5 ** ((day[later] - day[earlier]) / half_life)
        since = sparse.csr_matrix((weight, (later, earlier)), shape=(len(user), len(user))) @ bought
        return (aged + since).tocsr()

    item, count = largest_habits(past(half_life), habit_size)
    return Occasions(user, bought, past(np.inf), _spread(item, count, shape[1]))


def _pairs(user: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a later and an earlier occasion of the same user, for sorted users [K]."""
    start = np.searchsorted(user, user)
    number = np.arange(len(user)) - start
    later = np.repeat(np.arange(len(user)), number)
    earlier = np.arange(len(later)) - np.repeat(np.cumsum(number) - number, number) + start[later]
    return later, earlier


def _spread(item: np.ndarray, count: np.ndarray, items: int) -> csr_matrix:
    """Tables of habits [K, H] as a matrix [K, M]."""
    row, entry = np.nonzero(item >= 0)
    values = count[row, entry].astype(float), (row, item[row, entry])
    return library("scipy.sparse", "fit").csr_matrix(values, shape=(len(item), items))
