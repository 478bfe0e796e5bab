"""Do the users of a world come back as the users of the log do?

The world plays as many pages as a period of the log has, and the visits of both are compared. What the pages show is of
no influence, because nothing in a world that is fitted to pages makes the length of a visit or a return depend on it.
So no policy fills them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...batch.vector import VectorEnv
from ...config.fitted import FittedWorld
from ...config.settings import replace
from ...libraries import library
from .realism import SEED
from .split import PageSplit

MARGINALS = {  # what is compared -> its meaning
    "visits of a user": "visits of a user in the period",
    "pages of a visit": "pages of a visit",
    "time between visits": "time from the beginning of a visit to that of the user's next one",
}


class Visits(NamedTuple):
    """Visits of a period, one entry each, in order of time."""

    user: np.ndarray  # int64
    person: np.ndarray  # int64; another one takes the place of a user who leaves the world for good
    start: np.ndarray  # float64, as a share of the period
    pages: np.ndarray  # int64

    def of(self, chosen: np.ndarray) -> Visits:
        """The chosen entries."""
        return Visits(*(column[chosen] for column in self))


def _visits(user: np.ndarray, person: np.ndarray, session: np.ndarray, time: np.ndarray) -> Visits:
    """Visits of the pages [P] of a period, which are in order of time."""
    _, first, pages = np.unique(session, return_index=True, return_counts=True)
    order = np.argsort(first)
    first, pages = first[order], pages[order]
    start = (time[first] - time[0]) / max(float(time[-1] - time[0]), np.finfo(float).tiny)
    return Visits(user[first], person[first], start, pages)


def of_known_users(log: PageSplit, pages: np.ndarray) -> np.ndarray:
    """Numbers of the pages among these [P] bool whose users are in the world, in order of time."""
    by_time = np.argsort(log.order)
    return by_time[(pages & (log.user[log.whole.user] >= 0))[by_time]]


def real_visits(log: PageSplit, pages: np.ndarray) -> Visits:
    """Visits on some pages of a log.

    Args:
        pages: as of `of_known_users`.

    Raises:
        ValueError: the log has no sessions.
    """
    whole = log.whole
    if whole.session is None:
        raise ValueError(
            "the log has no column for the session of a page, which visits need; name it: columns={'session': ...}"
        )
    user = log.user[whole.user[pages]]
    return _visits(user, user, whole.session[pages], _times(log, pages))


def _times(log: PageSplit, pages: np.ndarray) -> np.ndarray:
    """[P] when pages were shown. Where the times do not tell them apart, their order does."""
    times = log.whole.start[pages]
    return times if log.whole.first and times[-1] > times[0] else log.order[pages].astype(float)


def simulated_visits(world: FittedWorld, log: PageSplit, pages: np.ndarray) -> Visits:
    """Visits of as many pages of the world as these pages of the log. Times are as exact as those of the log, such as
    a day."""
    times = np.unique(_times(log, pages))
    envs = VectorEnv(replace(world, {"horizon": len(pages)}), 1)
    actions, rows, session = envs.empty_actions(), [], 0
    envs.reset(seed=SEED)
    for tick in range(len(pages)):
        copy = envs.arrays.copies[0]
        visitor = int(copy["visitor"])
        if visitor >= 0:
            session += int(copy["session_page"] == 0)
            rows.append((visitor, int(envs.arrays.users["incarnation"][0, visitor]), session, tick))
        envs.step(actions)
    user, incarnation, number, tick_of = np.array(rows).T
    person = np.unique(np.stack([user, incarnation]), axis=1, return_inverse=True)[1].ravel()
    made = _visits(user, person, number, tick_of.astype(float))
    unit = float(np.diff(times).min() / np.ptp(times))
    return made._replace(start=np.floor(made.start / unit) * unit)


def marginals(_: Any, sample: Visits) -> dict[str, np.ndarray]:
    """The values [n] of each of `MARGINALS` in a sample of visits."""
    frame = library("pandas", "fit").DataFrame({"person": sample.person, "start": sample.start})
    return {
        "visits of a user": np.bincount(sample.user)[np.unique(sample.user)],
        "pages of a visit": sample.pages,
        "time between visits": frame.groupby("person")["start"].diff().dropna().to_numpy(),
    }
