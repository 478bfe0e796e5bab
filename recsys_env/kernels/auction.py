"""The auction for the slot of a page: what it is worth to each bidder, and what becomes of the budgets.

`actions.py` reads the bids. Who wins and at what price belongs to the kind of page (`page_kinds.shown_agents`).
"""

from __future__ import annotations

import numpy as np

from .choice import outside_utility, trust_term, utility_of
from .equations import choice_probability, inclusive_value, log_slot_weight, lognormal
from .expected import click_value
from .machine import rng
from .machine.compiler import kernel


@kernel
def start_budgets(state, p, b):
    """Full budgets, and no page yet."""
    for n in range(p.shape.bidders):
        state.bidders[b, n].budget = p.offer.budget
    state.auctions[b, 0].pages, state.auctions[b, 0].last_price = 0, 0.0


@kernel
def draw_values(world, state, p, b, key):
    """Draw the value of the next page's slot to every bidder: the reward that it can expect if it wins, before the
    price. The value is never below 0, because nobody has to bid."""
    copy = state.copies[b]
    for n in range(p.shape.bidders):
        bidder = state.bidders[b, n]
        bidder.worth, bidder.value = 0.0, 0.0
        if copy.visitor >= 0:
            bidder.worth = 1.0
            if p.offer.value_log_sd > 0.0:
                bidder.worth = lognormal(p.offer.value_log_sd, rng.normal(key, rng.WORTH, n))
            j = np.int64(state.candidates[b, n, 0])
            if j >= 0:
                reward, _ = click_value(world, state, p, b, n, j, 0.0)
                bidder.value = max(bidder.worth * _lone_click(world, state, p, b, n, j) * reward, 0.0)


@kernel
def _lone_click(world, state, p, b, n, j):
    """P(click) on item j of agent n, alone on its page."""
    v = utility_of(world, state, p, b, j, 0.0)
    inclusive = inclusive_value(p.choice, log_slot_weight(p.choice, v, world.log_theta[0]), trust_term(state, p, b, n))
    return choice_probability(inclusive, outside_utility(world, p, state.users[b, state.copies[b].visitor]))


@kernel
def settle_auction(state, report, p, b):
    """The winner pays, everybody sees the price, and after the last page of a period all budgets are refilled."""
    auction = state.auctions[b, 0]
    auction.pages += 1
    auction.last_price = 0.0
    for n in range(p.shape.bidders):
        payment = report.bids[b, n].payment
        report.agents[b, n].individual_reward -= payment
        auction.last_price += payment
        if p.offer.budget > 0.0:
            state.bidders[b, n].budget -= payment
    if auction.pages == p.offer.refill_period:
        auction.pages = 0
        for n in range(p.shape.bidders):
            state.bidders[b, n].budget = p.offer.budget
