"""Differences between the kinds of page: which agents are on it, how their slots are ranked, who competes with whom.

`WorldConfig.page` names the kind. What it is like are properties of the config, which kernels read from `p.shape`:

    page      one_feed  draws_order  opens_agent  auctioned  ranked
    shared    yes       yes          no           no         no      all agents' slots in one feed
    rows      no        no           no           no         no      a row of slots for each agent, beside the others
    rival     no        no           yes          no         no      platforms; the visitor opens one for a session
    auction   no        yes          no           yes        no      one slot, which the highest bidder fills
    platform  no        no           no           no         yes     one feed, filled from what agents published
"""

from __future__ import annotations

import numpy as np

from .machine.compiler import kernel


@kernel
def active_agents(world, p, copy):
    """(first, stop): the agents who act on the page about to be shown: one of them, or all. None in an idle tick. Their
    slots are on the page, but for those who lose an auction (`shown_agents`)."""
    if copy.visitor < 0:
        return 0, 0
    if p.shape.opens_agent:
        return copy.opened, copy.opened + 1
    owner = world.scenes[copy.scene].owner
    if owner >= 0:
        return owner, owner + 1
    return 0, p.shape.agents


@kernel
def is_active(world, p, copy, n):
    """Whether agent n acts on the page about to be shown."""
    first, stop = active_agents(world, p, copy)
    return first <= n < stop


@kernel
def shown_agents(state, report, p, b, shown, first, stop):
    """(first, stop): those of the active agents `first` .. `stop` - 1 whose slots are on the page: all, or in an
    auction the winner.

    The highest bid wins and pays the second highest (Vickrey 1961). Of equal bids that of the agent wins who comes
    first in `State.order`. An agent with nothing to show takes no part, and if nobody bids, nothing is shown.
    """
    if not p.shape.auctioned:
        return first, stop
    winner, highest, second = np.int64(-1), 0.0, 0.0
    for turn in range(stop - first):
        n = np.int64(state.order[b, 0, turn])
        bid = report.bids[b, n].bid if shown[b, n, 0] >= 0 else 0.0
        if bid > highest:
            winner, highest, second = n, bid, highest
        else:
            second = max(second, bid)
    if winner < 0:
        return first, first
    report.bids[b, winner].payment = second
    return winner, winner + 1


@kernel
def decides_now(p, copy):
    """On a platform: whether the creators decide at the present tick, whether somebody visits or not."""
    return copy.tick % p.platform.period == 0


@kernel
def acts(world, p, copy, n):
    """Whether the next action of agent n counts: it acts on the page, or, on a platform, it publishes an item."""
    return decides_now(p, copy) if p.shape.ranked else is_active(world, p, copy, n)


@kernel
def slot_at(state, p, b, k, turn, first, stop):
    """(agent, rank - 1) of the slot that is filled at this turn of round k, in which each of the active agents
    `first` .. `stop` - 1 fills its slot k. Turns and rounds begin at 0."""
    if p.shape.one_feed:
        return state.order[b, k, turn], k * (stop - first) + turn
    return first + turn, k


@kernel
def competitors(p, n, first, stop):
    """(first, stop): the agents with which agent n competes for items, itself included, among the active agents
    `first` .. `stop` - 1. If several ask for the same item, the slot that is filled first shows it and the others stay
    empty."""
    if p.shape.one_feed:
        return first, stop
    return n, n + 1
