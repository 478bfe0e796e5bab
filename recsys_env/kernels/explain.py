"""The page about to be shown, term by term: what makes up the utility of each slot and the odds of its click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .actions import read_actions
from .choice import alternative, fill_clicks, outside_utility, trust_term, weigh_slots
from .equations import TERMS
from .machine.compiler import entry, kernel
from .page import clear_slots
from .page_kinds import active_agents
from .platform import fill_page


def _filling(terms: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    """The function (c, a, row) that puts each of these terms into its place in a row."""
    index, last = len(terms) - 1, terms[-1]
    others = _filling(terms[:-1]) if index else None

    @kernel
    def fill(c, a, row):
        row[index] = last(c, a)

    @kernel
    def fill_all(c, a, row):
        others(c, a, row)
        row[index] = last(c, a)

    return fill_all if index else fill


_fill_terms = _filling(tuple(TERMS.values()))


@entry
def explain(world, state, report, scratch, actions, terms, position, trust, outside, click):
    """Build the page that these actions ask for, and explain each of its slots.

    This function overwrites `state.messages`, `state.price_levels`, `state.inclusive`, the arrays of `page="platform"`,
    and the report's slots, price multipliers and bids: pass copies. Afterwards the last three hold the page.

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
        fill_page(world, state, report, scratch, p, b)
        weigh_slots(world, state, report, scratch, p, b, b + 1)
        fill_clicks(world, state, report, scratch, p, b, click)
        outside[b] = outside_utility(world, p, state.users[b, state.copies[b].visitor])
        first, stop = active_agents(world, p, state.copies[b])
        for n in range(first, stop):
            trust[b, n] = trust_term(state, p, b, n)
            for k in range(p.shape.slots):
                slot = report.slots[b, n, k]
                if slot.item >= 0:
                    position[b, n, k] = world.log_theta[slot.rank]
                    offered = alternative(world, state, p, b, slot.item, report.agents[b, n].log_price_multiplier)
                    _fill_terms(p.choice, offered, terms[b, n, k])
