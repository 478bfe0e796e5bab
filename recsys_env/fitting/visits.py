"""How many users are lost after a visit, from the gaps between their visits.

The gap after a visit is Weibull-distributed, unless the user is lost and never comes back (a mixture cure model; Boag
1949, Farewell 1982). Gaps that the end of the log cuts off are censored. Where some users come much more often than
others, gaps have a long tail, which the Weibull distribution follows for the most part; slightly too many users then
look lost.
"""

from __future__ import annotations

import warnings

import numpy as np

from ..libraries import library
from .page_log import PageLog

FEWEST_GAPS = 200  # between visits, below which nothing is estimated
SHORTEST = 1e-6  # of a gap, in medians: the model knows no gaps of 0


def gaps_between_visits(pages: PageLog, session: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps [G] from the last page of each visit to the user's next page, and whether there is one; if not, the gap goes
    to the end of the log.

    Args:
        session: [P] `pages.session`, of a log that has sessions.
    """
    user = np.repeat(np.arange(len(pages.user_ids)), np.diff(pages.first_page))
    last = np.append((user[1:] != user[:-1]) | (session[1:] != session[:-1]), True)
    ends = np.flatnonzero(last)
    back = np.append(user[1:] == user[:-1], False)[ends]
    until = np.where(back, np.append(pages.start[1:], 0.0)[ends], pages.start.max())
    return until - pages.start[ends], back


def share_lost(pages: PageLog) -> tuple[float, float] | None:
    """Share of visits after which a user never comes back, and its standard error; None if the log has no sessions or
    too few visits with gaps between them."""
    if pages.session is None:
        return None
    gap, back = gaps_between_visits(pages, pages.session)
    if (gap[back] > 0).sum() < FEWEST_GAPS:
        return None
    lifelines = library("lifelines", "fit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps of the optimiser on its way
        model = lifelines.MixtureCureFitter(base_fitter=lifelines.WeibullFitter())
        model.fit(np.maximum(gap / np.median(gap[back]), SHORTEST), back)
    found = model.summary.loc["cured_fraction_"]
    return float(found["coef"]), float(found["se(coef)"])
