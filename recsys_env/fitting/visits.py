"""How many users are lost after a visit, from the gaps between their visits; and how often those who are left come.

The share of visits after which nobody has come back within a time falls, as the time grows, to the share of visits
after which users never do (Maller & Zhou 1992). The estimator of Kaplan & Meier (1958) takes into account that the end
of the log cuts gaps off. It is read at half the length of the log. Where many users come back only shortly before that,
more would come back later, and nothing is estimated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..libraries import library
from .page_log import PageLog

FEWEST_GAPS = 200  # between visits, below which nothing is estimated
STILL_BACK = 0.02  # share of visits after which users come back in the last third of the time, above which likewise
RAREST = 1e-6  # activity of a user, relative to that of the most active one


class Lost(NamedTuple):
    """How many users are lost."""

    share: float  # of visits after which a user never comes back
    error: float  # its standard error (Greenwood's; one visit in all at least)
    still_there: np.ndarray  # [U] probability that the user has not left by the end of the log
    visits: np.ndarray  # [U] of the user


def gaps_between_visits(pages: PageLog, session: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps [G] from the last page of each visit to the user's next page, and whether there is one; if not, the gap goes
    to the end of the log.

    Args:
        session: [P] `pages.session`, of a log that has sessions.
    """
    user, start = pages.user, pages.start
    ends = np.sort(len(session) - 1 - np.unique(session[::-1], return_index=True)[1])
    back = np.append(user[1:] == user[:-1], False)[ends]
    until = np.where(back, np.append(start[1:], 0.0)[ends], start.max())
    return until - start[ends], back


def users_lost(pages: PageLog) -> Lost | None:
    """How many users are lost. None if the log has no sessions, too few gaps between them of which it tells the length,
    or is too short for the time after which users come back."""
    if pages.session is None:
        return None
    gap, back = gaps_between_visits(pages, pages.session)
    within = float(np.ptp(pages.start)) / 2
    if ((gap[back] > 0) & (gap[back] <= within)).sum() < FEWEST_GAPS:
        return None
    estimate = library("lifelines", "fit").KaplanMeierFitter().fit(gap, back)
    before, lost = estimate.survival_function_at_times([within * 2 / 3, within])
    if before - lost > STILL_BACK:
        return None
    table = estimate.event_table.loc[:within]
    remaining = table["at_risk"] - table["observed"]
    variance = lost**2 * (table["observed"] / (table["at_risk"] * remaining))[remaining > 0].sum()
    # Each user's last visit is followed by a gap without a return. Of the visits after which users have not come back
    # for so long, a share lost / not_yet is followed by none.
    not_yet = estimate.survival_function_at_times(gap[~back]).to_numpy()
    still_there = 1.0 - lost / np.maximum(not_yet, lost) if lost > 0 else np.ones(len(not_yet))
    visits = np.diff(np.append(np.flatnonzero(~back), len(back) - 1), prepend=-1)[: len(still_there)]
    return Lost(float(lost), max(float(np.sqrt(variance)), 1 / len(gap)), still_there, visits)


def activity(pages: PageLog, lost: Lost | None) -> np.ndarray:
    """[U] how many pages users see per unit of time at the end of the log, in any unit.

    It is their pages, over the time from the first page until they left or the log ended. Those who left hardly come
    any more: in the world that the log continues, others have taken their places. Where the log does not tell how many
    users are lost, all are taken to be there from its beginning to its end.
    """
    count = np.diff(pages.first_page)
    if lost is None:
        return count
    first, last = pages.start[pages.first_page[:-1]], pages.start[pages.first_page[1:] - 1]
    time = last - first + lost.still_there * (pages.start.max() - last)
    rate = lost.still_there * rate_since_first(count, lost.visits, time)
    found: np.ndarray = np.maximum(rate, RAREST * rate.max())
    return found


def rate_since_first(count: np.ndarray, visits: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Counts [U] per unit of time, of users with some visits in a time since the first one.

    The time before the first visit counts, too: about that from one of the user's visits to the next. Of users with few
    visits it is mostly what it is for others.
    """
    between = time.sum() / max(int(visits.sum()) - len(visits), 1)
    rate: np.ndarray = count / (time + (time + between) / visits)
    return rate
