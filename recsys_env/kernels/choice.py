"""Utility of each slot and the click: a nested logit over agents (McFadden 1978), with examination by rank."""

from __future__ import annotations

import numpy as np

from .equations import Alternative, click_probability, freshness, inclusive_value, log_slot_weight, trust_bonus, utility
from .machine.compiler import kernel
from .machine.numeric import exp_all, log_all
from .machine.vectors import dot, row_dot
from .page import age_of, log_price_now, popularity_now, usual_log_price, window_of
from .page_kinds import active_agents


@kernel
def habit_count(world, state, p, b, j, tick):
    """n_{u,j}: decayed count of the visitor's consumption of item j in its present window."""
    row = state.copies[b].row
    for h in range(p.shape.habits):
        habit = state.habits[b, row, h]
        if habit.item == j:
            return np.float64(habit.count) if habit.window == window_of(world, p, j, tick) else 0.0
    return 0.0


@kernel
def partner_match(world, state, p, b, j):
    """Sum of w <A q, q_j> over the items that the visitor consumed last, from whichever agent."""
    total = 0.0
    for i in range(p.shape.partner_maps):
        recent = state.recent[b, state.copies[b].row, p.shape.views, i]
        if recent.item >= 0:
            match = row_dot(world.partners, i * p.shape.items + recent.item, world.item_vectors, j, p.shape.dims)
            total += (recent.weight if i == 0 else p.choice.partner_second * recent.weight) * match
    return total


@kernel
def freshness_now(world, p, j, tick):
    """Freshness of item j; 0 without availability windows."""
    return freshness(p.choice, age_of(world, p, j, tick)) if p.shape.windows else 0.0


@kernel
def alternative(world, state, p, b, j, log_price_multiplier):
    """Item j, offered at exp(log_price_multiplier) times its price, as it is to the present visitor of copy b.

    Attributes whose coefficients are all 0 are not looked up (`equations.LOOKED_UP`)."""
    copy, item, c = state.copies[b], world.items[j], p.choice
    row, tick, dims = copy.row, copy.tick, p.shape.dims
    log_price, usual, fresh, popular, context, repeats, partner = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    wanted = 1.0 if item.topic == copy.intent else 0.0
    if c.beta_price != 0.0:
        log_price = log_price_now(world, p, j, tick) + log_price_multiplier
    if c.beta_fresh != 0.0:
        fresh = freshness_now(world, p, j, tick)
    if c.beta_pop != 0.0:
        popular = popularity_now(world, state, p, b, j, copy.stamp, tick)
    if copy.anchor >= 0:
        context = row_dot(world.item_vectors, copy.anchor, world.item_vectors, j, dims)
    if c.beta_repeat != 0.0 or c.habit_rate != 0.0:
        repeats = habit_count(world, state, p, b, j, tick)
    if c.habit_rate != 0.0:
        usual = usual_log_price(world, p, j)
    if c.beta_partner != 0.0:
        partner = partner_match(world, state, p, b, j)
    return Alternative(
        intercept=np.float64(item.intercept),
        quality=np.float64(item.quality),
        bait=np.float64(item.bait),
        match=dot(state.vectors, b, row, p.shape.taste, world.item_vectors, j, dims),
        satiation=np.float64(state.vectors[b, row, p.shape.satiation + item.topic]),
        sensitivity=np.float64(state.users[b, copy.visitor].rho),
        log_price=log_price,
        freshness=fresh,
        popularity=popular,
        wanted=wanted,
        context_weight=np.float64(world.scenes[copy.scene].beta_context),
        context=context,
        repeats=repeats,
        usual_log_price=usual,
        partner=partner,
    )


@kernel
def utility_of(world, state, p, b, j, log_price_multiplier):
    """v of item j, offered at exp(log_price_multiplier) times its price, to the present visitor of copy b."""
    return utility(p.choice, alternative(world, state, p, b, j, log_price_multiplier))


@kernel
def outside_utility(world, p, user):
    """v_0; in finite games it depends on the mood."""
    return world.v_0[user.mood] if p.shape.moods > 0 else world.v_0[0]


@kernel
def trust_term(state, p, b, n):
    """Return what trust adds to an agent's inclusive value: 0 where the visitor opens one agent's page, which trust has
    already decided."""
    if p.shape.opens_agent:
        return 0.0
    return trust_bonus(p.choice, state.vectors[b, state.copies[b].row, p.shape.trust + n])


@kernel
def weigh_slots(world, state, report, scratch, p, first, stop):
    """Weigh what the visitors of copies first .. stop - 1 may do: utility and weight of every standing slot, the
    inclusive value of every agent, and in the scratch the masses of agents and of no click, the largest of which is 1.

    Exponentials and logarithms are taken in passes over all copies, which vectorise.
    """
    agents, slots = p.shape.agents, p.shape.agents * p.shape.slots
    for b in range(first, stop):
        if state.copies[b].visitor >= 0:
            _weigh_utilities(world, state, report, scratch, p, b)
    exp_all(scratch.slot_log_weights, scratch.slot_weights, first * slots, stop * slots)
    for b in range(first, stop):
        if state.copies[b].visitor >= 0:
            _sum_weights(world, state, report, scratch, p, b)
    log_all(scratch.agent_sums, scratch.agent_log_sums, first * agents, stop * agents)
    for b in range(first, stop):
        if state.copies[b].visitor >= 0:
            _weigh_agents(world, state, scratch, p, b)
    exp_all(scratch.agent_log_masses, scratch.agent_masses, first * agents, stop * agents)
    exp_all(scratch.outside_log_mass, scratch.outside_mass, first, stop)


@kernel
def _agent(p, b, n):
    """Return the position of agent n of copy b in arrays of all agents of all copies."""
    return b * p.shape.agents + n


@kernel
def _weigh_utilities(world, state, report, scratch, p, b):
    """Into `slot_log_weights` of the scratch: log w of every standing slot, less the agent's largest."""
    first, stop = active_agents(world, p, state.copies[b])
    for n in range(first, stop):
        largest, at = -np.inf, _agent(p, b, n) * p.shape.slots
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            scratch.slot_log_weights[at + k] = 0.0
            if slot.item >= 0:
                slot.utility = utility_of(world, state, p, b, slot.item, report.agents[b, n].log_price_multiplier)
                log_weight = log_slot_weight(p.choice, slot.utility, world.log_theta[slot.rank])
                scratch.slot_log_weights[at + k] = log_weight
                largest = max(largest, log_weight)
        scratch.largest[b, n] = largest
        for k in range(p.shape.slots):
            if report.slots[b, n, k].item >= 0:
                scratch.slot_log_weights[at + k] -= largest


@kernel
def _sum_weights(world, state, report, scratch, p, b):
    """Into `agent_sums` of the scratch: the sum of every agent's weights."""
    first, stop = active_agents(world, p, state.copies[b])
    for n in range(first, stop):
        total, at = 0.0, _agent(p, b, n) * p.shape.slots
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            if slot.item >= 0:
                slot.weight = scratch.slot_weights[at + k]
                total += slot.weight
        scratch.agent_sums[_agent(p, b, n)] = total if total > 0.0 else 1.0


@kernel
def _weigh_agents(world, state, scratch, p, b):
    """Inclusive values, from the logs of the sums; into `agent_log_masses` and `outside_log_mass` of the scratch the
    logs of what each agent and no click weigh, less the largest."""
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    for n in range(p.shape.agents):
        state.inclusive[b, n] = -np.inf
    none = outside_utility(world, p, state.users[b, copy.visitor])
    best = none
    for n in range(first, stop):
        largest = scratch.largest[b, n]
        if largest > -np.inf:
            state.inclusive[b, n] = inclusive_value(
                p.choice, largest + scratch.agent_log_sums[_agent(p, b, n)], trust_term(state, p, b, n)
            )
            best = max(best, state.inclusive[b, n])
    for n in range(first, stop):
        shown = state.inclusive[b, n] > -np.inf
        scratch.agent_log_masses[_agent(p, b, n)] = state.inclusive[b, n] - best if shown else 0.0
    scratch.outside_log_mass[b] = none - best


@kernel
def draw_click(world, state, report, scratch, p, b, u01):
    """(agent, slot) clicked, or (-1, -1), of what has been weighed: one uniform number against P(none), then
    P(n) P(i | n)."""
    first, stop = active_agents(world, p, state.copies[b])
    none = scratch.outside_mass[b]
    total = none
    for n in range(first, stop):
        total += nest_mass(state, scratch, p, b, n)
    rest = u01 * total - none
    if rest < 0.0:
        return -1, -1
    last = -1
    for n in range(first, stop):
        mass = nest_mass(state, scratch, p, b, n)
        if mass > 0.0:
            last = n
            if rest < mass:
                return n, _draw_slot(report, p, b, n, rest / mass)
        rest -= mass
    return last, _draw_slot(report, p, b, last, 1.0) if last >= 0 else -1  # only rounding leads here


@kernel
def fill_clicks(world, state, report, scratch, p, b, click):
    """Fill click[b, N, K] with the probability that each standing slot is clicked, of what has been weighed."""
    first, stop = active_agents(world, p, state.copies[b])
    total = scratch.outside_mass[b]
    for n in range(first, stop):
        total += nest_mass(state, scratch, p, b, n)
    for n in range(first, stop):
        mass = nest_mass(state, scratch, p, b, n)
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            if slot.item >= 0:
                click[b, n, k] = click_probability(mass, total, slot.weight, slot_total(report, p, b, n))


@kernel
def nest_mass(state, scratch, p, b, n):
    return scratch.agent_masses[_agent(p, b, n)] if state.inclusive[b, n] > -np.inf else 0.0


@kernel
def _draw_slot(report, p, b, n, u01):
    """Slot of agent n by weight; u01 in [0, 1]."""
    total = slot_total(report, p, b, n)
    rest, last = u01 * total, -1
    for k in range(p.shape.slots):
        slot = report.slots[b, n, k]
        if slot.item >= 0:
            last = k
            if rest < slot.weight:
                return k
            rest -= slot.weight
    return last


@kernel
def slot_total(report, p, b, n):
    """Sum of the weights of agent n's standing slots."""
    total = 0.0
    for k in range(p.shape.slots):
        if report.slots[b, n, k].item >= 0:
            total += report.slots[b, n, k].weight
    return total
