"""The page about to be shown, term by term: what makes up the utility of each slot and the odds of its click."""

from __future__ import annotations

from .choice import (
    bait_term,
    context_term,
    fill_clicks,
    freshness_term,
    intent_term,
    outside_utility,
    popularity_term,
    price_term,
    quality_term,
    repeat_term,
    satiation_term,
    taste_term,
    trust_term,
    weigh_slots,
)
from .compiler import entry, kernel
from .page import active_agents, clear_slots, fill_slots
from .step import read_actions

TERMS = (
    "intercept",
    "taste",
    "quality",
    "bait",
    "price",
    "freshness",
    "popularity",
    "intent",
    "context",
    "satiation",
    "repeat",
)


@kernel
def fill_terms(world, state, p, b, j, log_offer, row):
    """Fill row[TERMS] with the terms of `choice.utility`, which is their sum."""
    copy = state.copies[b]
    u, tick = copy.visitor, copy.tick
    row[0] = world.items[j].intercept
    row[1] = taste_term(world, state, p, b, u, j)
    row[2] = quality_term(world, p, j)
    row[3] = bait_term(world, p, j)
    row[4] = price_term(world, state, p, b, u, j, tick, log_offer)
    row[5] = freshness_term(world, p, j, tick)
    row[6] = popularity_term(world, state, p, b, j, tick)
    row[7] = intent_term(world, p, copy, j)
    row[8] = context_term(world, p, copy, j)
    row[9] = satiation_term(world, state, p, b, u, j)
    row[10] = repeat_term(world, state, p, b, u, j, tick)


@entry
def explain(world, state, report, scratch, actions, terms, position, trust, outside, click):
    """Put the page together that these actions ask for, and take its slots apart.

    `state.messages`, `state.offers`, `state.inclusive`, and the report's slots and offers are the caller's to
    spend; the last two hold the page then.

    Args:
        terms: [B, N, K, len(TERMS)] filled where a slot is standing.
        position: [B, N, K] log theta of its rank.
        trust: [B, N] what trust adds to the nest of an agent on the page.
        outside: [B] v_0.
        click: [B, N, K] probability of a click.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        clear_slots(report, p, b)
        if state.copies[b].visitor < 0:
            continue
        read_actions(world, state, report, scratch, p, b, actions)
        fill_slots(world, state, report, p, b, scratch.shown)
        fill_clicks(world, state, report, p, b, weigh_slots(world, state, report, p, b), click)
        u = state.copies[b].visitor
        outside[b] = outside_utility(world, p, state.users[b, u])
        first, stop = active_agents(world, p, state.copies[b])
        for n in range(first, stop):
            trust[b, n] = trust_term(state, p, b, u, n)
            for k in range(p.shape.slots):
                slot = report.slots[b, n, k]
                if slot.item >= 0:
                    position[b, n, k] = world.log_theta[slot.rank]
                    fill_terms(world, state, p, b, slot.item, report.log_offer[b, n], terms[b, n, k])
