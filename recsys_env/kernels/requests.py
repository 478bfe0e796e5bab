"""Requests: what a visitor says that it wants, at the start of a session. `texts/requests.py` writes it in words."""

from __future__ import annotations

import numpy as np

from .machine import rng
from .machine.compiler import kernel
from .page import wallet_now

BUDGETS = ("", "cheap", "mid-priced", "dear")  # "" = the request does not say
PHRASINGS = 8  # V, of each request
_BUDGETS = len(BUDGETS)


@kernel
def draw_request(world, state, p, b, key):
    """Draw what the visitor says at the start of a session, as a row of `World.requests`; -1 = nothing.

    It names the topic of its intent or of what goes with the item that it consumed last, each half of the time, and
    its budget half of the time where prices matter; or it is vague, or misleads.
    """
    if rng.uniform(key, rng.REQUEST, 0) >= p.users.request:
        return np.int64(-1)
    copy = state.copies[b]
    topic, budget = np.int64(copy.intent), np.int64(0)
    if p.shape.partner_maps > 0 and rng.uniform(key, rng.REQUEST, 1) < 0.5:
        last = state.recent[b, copy.row, p.shape.views, 0].item
        if last >= 0:
            topic = np.int64(world.leads_to[world.items[last].topic])
    kind = rng.uniform(key, rng.REQUEST, 2)
    if kind < p.users.request_vague:
        topic = np.int64(-1)
    elif kind < p.users.request_vague + p.users.request_misleading:
        topic = rng.integer(key, rng.REQUEST, 3, p.shape.topics)
    if p.choice.beta_price > 0.0 and rng.uniform(key, rng.REQUEST, 4) < 0.5:
        budget = budget_class(p, state.users[b, copy.visitor], copy.tick)
    return request_row(topic, budget, rng.integer(key, rng.REQUEST, 5, PHRASINGS))


@kernel
def request_row(topic, budget, phrasing):
    """The row of a request; topic -1 is a vague one, and `budget` an index of `BUDGETS`."""
    return ((topic + 1) * _BUDGETS + budget) * PHRASINGS + phrasing


@kernel
def budget_class(p, user, tick):
    """Return what a visitor says of its budget, as an index of `BUDGETS`: cheap if prices bother it more than others or
    its wallet is not half full, dear if they bother it less."""
    if user.rho > 1.25 or (p.users.wallet_init > 0.0 and wallet_now(p, user, tick) < 0.5 * p.users.wallet_init):
        return np.int64(1)
    return np.int64(3) if user.rho < 0.75 else np.int64(2)
