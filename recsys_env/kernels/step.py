"""The step: actions -> page -> click -> consumption -> cart -> dynamics -> rewards -> next page, for every copy of a
batch.

The entries at the end are all that Python calls.
"""

from __future__ import annotations

import numpy as np

from .actions import read_actions
from .auction import draw_values, settle_auction, start_budgets
from .choice import draw_click, weigh_slots
from .dynamics import (
    CLICKS,
    USERS_PER_WORD,
    after_click,
    after_no_click,
    draw_mood,
    draw_order,
    draw_visitors,
    fade,
    form_habit,
    leave_or_stay,
    move_mood,
    observe_satisfaction,
    remember_item,
    show,
    tell_history,
    visitor_id,
    who_was_asked,
)
from .equations import stay_probability
from .feedback import consume, experience_clicks, put_in_cart, settle_cart
from .machine import rng
from .machine.compiler import entry, kernel, stage
from .machine.packed import parts_of
from .machine.vectors import prefetch, prefetch_person
from .objectives import page_objectives, share_rewards, show_providers
from .observation import observe, write_auction, write_latent, write_observed_satisfaction
from .page import clear_slots, is_private
from .page_kinds import active_agents, is_active
from .platform import count_page, empty_windows, fill_page, write_platform
from .retrieval import draw_candidates

STEP, RESET, LOOK = 0, 1, 2
_NONE, _ONE = np.uint64(0), np.uint64(1)

# ------------------------------------------------------------------------------------------------ one tick


@stage
def serve_pages(world, state, report, scratch, p, first, stop):
    """Show a page to every visitor of copies first .. stop - 1, and let it take effect."""
    for b in range(first, stop):
        if state.copies[b].visitor >= 0:
            name_visitor(world, state, report, p, b)
            fill_page(world, state, report, scratch, p, b)
            _pay_objectives(world, state, report, p, b)
    weigh_slots(world, state, report, scratch, p, first, stop)
    clicked = _draw_clicks(world, state, report, scratch, p, first, stop)
    experience_clicks(world, state, report, scratch, p, first, clicked)
    for i in range(first, stop):
        b = scratch.queue[i]
        scratch.satisfaction[i] = 0.0
        if state.copies[b].visitor >= 0:
            _respond(world, state, report, scratch, p, b, i)
            scratch.satisfaction[i] = state.users[b, state.copies[b].visitor].satisfaction
    for i in range(first, stop):
        scratch.stay_probability[i] = stay_probability(p.arrival, scratch.satisfaction[i])
    for i in range(first, stop):
        b = scratch.queue[i]
        if state.copies[b].visitor >= 0:
            _go_on(world, state, report, scratch, p, b, scratch.stay_probability[i])


@kernel
def _draw_clicks(world, state, report, scratch, p, first, stop):
    """Draw what the visitors of copies first .. stop - 1 click. Returns how far the queue of these copies, which begins
    at `first`, is of those with a click: all others are behind them.

    What follows takes them in this order, so that the processor need not guess for each copy whether there was a click.
    """
    front, back = first, stop
    for b in range(first, stop):
        turn = scratch.turns[b]
        turn.agent, turn.slot = -1, -1
        if state.copies[b].visitor >= 0:
            turn.agent, turn.slot = draw_click(world, state, report, scratch, p, b, rng.uniform(turn.key, rng.CLICK, 0))
        clicked = np.int64(turn.agent >= 0)
        scratch.queue[front], scratch.queue[back - 1] = b, b
        front, back = front + clicked, back - 1 + clicked
    return front


@kernel
def _respond(world, state, report, scratch, p, b, i):
    """Let the visitor of copy b, at position i of the queue, respond to its page."""
    turn = scratch.turns[b]
    n, k = turn.agent, turn.slot
    j, topic = np.int64(-1), np.int64(-1)
    old = np.int64(state.users[b, state.copies[b].visitor].cart)
    if n >= 0:
        j = np.int64(report.slots[b, n, k].item)
        topic = np.int64(world.items[j].topic)
        consume(world, state, report, p, b, n, k, turn.key, scratch.experience[i], scratch.dwell[i])
        if p.shape.cart > 0 and report.slots[b, n, k].cart:
            old = put_in_cart(state, p, b, j, n, scratch.experience[i], report.slots[b, n, k].rating > 0)
    if p.shape.cart > 0:
        settle_cart(world, state, report, p, b, old, turn.key)
    take_effect(world, state, report, p, b, n, k, scratch.pleasure[i], scratch.log_dwell[i])
    if p.shape.ranked:
        count_page(state, p, b, j)
    if p.shape.moods > 0:
        move_mood(state, p, b, draw_mood(world, p, topic, turn.key))


@kernel
def _go_on(world, state, report, scratch, p, b, stay):
    """The visitor stays with this probability, or leaves."""
    turn = scratch.turns[b]
    j, carted = np.int64(-1), False
    if turn.agent >= 0:
        slot = report.slots[b, turn.agent, turn.slot]
        j, carted = np.int64(slot.item), slot.cart
    turn.stays = leave_or_stay(world, state, p, b, stay, j, carted, turn.key)


@kernel
def take_effect(world, state, report, p, b, n, k, pull, log_dwell):
    """Apply what a page changes in its visitor, except purchases and the mood of finite games.

    Args:
        n, k: agent and slot of the click; n = -1 is no click.
        pull: tanh of the experienced utility (`equations.pleasure`).
        log_dwell: log(dwell time / length of the item).
    """
    j = np.int64(report.slots[b, n, k].item) if n >= 0 else np.int64(-1)
    fade(state, p, b)
    show(world, state, report, p, b)
    if n >= 0:
        after_click(world, state, p, b, n, j, pull, log_dwell)
    else:
        after_no_click(world, state, p, b)
    if p.shape.habits > 0 or p.shape.remembered > 0:
        _consumption(world, state, report, p, b, n, k, j)
    if p.shape.satisfaction_views > 0:
        observe_satisfaction(world, state, p, b, n, pull)
    if p.shape.auctioned:
        settle_auction(state, report, p, b)
    copy = state.copies[b]
    state.users[b, copy.visitor].last_page = copy.tick
    if p.shape.opens_agent:
        state.visits[b, copy.row, copy.opened].last_page = copy.tick


@kernel
def _pay_objectives(world, state, report, p, b):
    first, stop = active_agents(world, p, state.copies[b])
    for n in range(first, stop):
        report.agents[b, n].objectives = page_objectives(world, state, report, p, b, n)
        if p.shape.providers > 0:
            show_providers(world, state.exposure, report.slots, p, b, n)


@kernel
def _consumption(world, state, report, p, b, n, k, j):
    """Clicks, or purchases, count as consumption."""
    bought = n >= 0 and report.slots[b, n, k].bought
    if n >= 0 and (bought or p.users.habit == CLICKS):
        form_habit(world, state, p, b, n, j)
        remember_item(state, p, b, n, j, np.int64(bought))
    if p.users.habit != CLICKS:
        for i in range(p.shape.cart):
            later = report.later[b, i]
            if later.item >= 0:
                form_habit(world, state, p, b, later.agent, later.item)
                remember_item(state, p, b, later.agent, later.item, np.int64(1))


@stage
def next_pages(world, state, scratch, p, first, stop):
    """Advance the clock of the open copies first .. stop - 1 and draw their next pages: visitor, candidates, page
    order."""
    for b in range(first, stop):
        if scratch.turns[b].open:
            state.copies[b].tick += 1
    draw_visitors(world, state, scratch, p, first, stop)
    for b in range(first, stop):
        if scratch.turns[b].open:
            key = scratch.turns[b].key
            if is_private(p):
                tell_history(world, state, p, b, key)
            draw_candidates(world, state, scratch, p, b, key)
            draw_order(world, state, p, b, key)


@stage
def value_pages(world, state, scratch, p, first, stop):
    """Auctions: draw what the next pages of the open copies first .. stop - 1 are worth to the bidders."""
    for b in range(first, stop):
        if scratch.turns[b].open:
            draw_values(world, state, p, b, scratch.turns[b].key)


@kernel
def begin_episode(state, p, b, episode):
    """Set the clock to the reset of an episode; its first page is then drawn like any other."""
    copy = state.copies[b]
    copy.stamp += 1  # every record of users and items is now untouched
    copy.episode, copy.tick, copy.visitor, copy.row, copy.rows_taken = episode, -1, -1, -1, 0
    copy.key = rng.episode_key(copy.seed, episode)
    for n in range(p.shape.agents):
        state.inclusive[b, n] = -np.inf
        for i in range(p.shape.providers):
            state.exposure[b, n, i] = 0.0
    if p.shape.auctioned:
        start_budgets(state, p, b)
    if p.shape.ranked:
        empty_windows(state, p, b)


@kernel
def clear(report, p, b):
    """Empty the report of the last tick."""
    for n in range(p.shape.agents):
        agent = report.agents[b, n]
        agent.individual_reward, agent.objectives, agent.log_price_multiplier = 0.0, 0.0, 0.0
        agent.visitor, agent.user_slot = -1, -1
    for i in range(p.shape.cart):
        later = report.later[b, i]
        later.item, later.agent, later.price, later.rating = -1, -1, 0.0, 0
    for n in range(p.shape.bidders):
        bid = report.bids[b, n]
        bid.worth, bid.value, bid.bid, bid.payment = 0.0, 0.0, 0.0, 0.0
    report.truncated[b] = False
    clear_slots(report, p, b)


@kernel
def name_visitor(world, state, report, p, b):
    """Report whose page this is."""
    copy = state.copies[b]
    person = visitor_id(p, copy, copy.visitor, state.users[b, copy.visitor].incarnation)
    for n in range(p.shape.agents):
        if is_active(world, p, copy, n):
            report.agents[b, n].visitor, report.agents[b, n].user_slot = person, copy.visitor


@kernel
def write_state(state, p, b, row):
    """The shared part of `state()`, up to the private one: latent visitor, scene, platform means, how much of the
    episode has passed, and the satisfaction that everybody observes."""
    copy, at = state.copies[b], p.state_fields
    for s in range(at.private):
        row[s] = 0.0
    row[at.episode_share] = (copy.tick + 1) / (p.shape.horizon + 1)
    if p.shape.auctioned:
        write_auction(state, p, b, row, at)
    if p.shape.ranked:
        write_platform(state, p, b, row, at)
    if copy.visitor >= 0:
        write_latent(state, p, b, row, at)
        row[at.scene + copy.scene] = 1.0
        row[at.visitor_present] = 1.0
        if at.observed_satisfaction >= 0:
            write_observed_satisfaction(state, p, b, 0, row, at)
    seen = 0
    for word in range(state.touched_users.shape[1]):
        bits, u = who_was_asked(state, b, word), USERS_PER_WORD * word
        while bits > _NONE:
            if bits & _ONE:
                seen += 1
                _add_user(state, p, b, u, row)
            bits, u = bits >> _ONE, u + 1
    if seen > 0:
        row[at.mean_satisfaction] /= seen
        for n in range(p.shape.agents):
            row[at.mean_trust + n] /= seen


@kernel
def _add_user(state, p, b, u, row):
    """Add what a user counts to the sums behind the platform's means."""
    at = p.state_fields
    user = state.users[b, u]
    row[at.mean_satisfaction] += user.satisfaction
    for n in range(p.shape.agents):
        trust = state.vectors[b, user.row, p.shape.trust + n] if user.row >= 0 else np.float32(p.users.trust_init)
        row[at.mean_trust + n] += trust


@kernel
def write_private(observations, runs, b, rows, at):
    """The private part of `state()`, into rows[b, at:]: of each agent's observation, columns runs[:, 0] to runs[:, 1].

    Runs of columns are copied several times as fast as columns that are looked up one by one.
    """
    for n in range(observations.shape[1]):
        for r in range(runs.shape[0]):
            first, size = runs[r, 0], runs[r, 1] - runs[r, 0]
            for i in range(size):
                rows[b, at + i] = observations[b, n, first + i]
            at += size


@stage
def begin_ticks(world, state, report, scratch, p, first, stop, actions, mode):
    """Make copies first .. stop - 1 ready for a tick."""
    for b in range(first, stop):
        scratch.turns[b].scratch_row = first
        _begin_tick(world, state, report, scratch, p, b, actions, mode)


@kernel
def _begin_tick(world, state, report, scratch, p, b, actions, mode):
    """Empty the report, or start the episode that copy b names, open its turn, and read what its agents ask for."""
    copy, turn = state.copies[b], scratch.turns[b]
    clear(report, p, b)
    if mode == RESET:
        begin_episode(state, p, b, np.int64(copy.episode))
    elif mode == LOOK:
        copy.key = rng.episode_key(copy.seed, copy.episode)  # the seed may be another one
    turn.key, turn.stays, turn.open = rng.child(copy.key, copy.tick), False, True
    if mode == STEP and copy.visitor >= 0:
        prefetch(state.users, b, copy.visitor)  # to be there when the other copies of the chunk have begun
        prefetch_person(state, b, copy.row)
        read_actions(world, state, report, scratch, p, b, actions)
        _prefetch_shown(world, state, scratch, p, b)
    elif mode == STEP and p.shape.ranked:
        read_actions(world, state, report, scratch, p, b, actions)


@kernel
def _prefetch_shown(world, state, scratch, p, b):
    """Ask for the rows of the items that are to be shown, where this is known yet."""
    first, stop = active_agents(world, p, state.copies[b])
    if p.shape.ranked:
        return
    for n in range(first, stop):
        for k in range(p.shape.slots):
            prefetch(state.items, b, max(np.int64(scratch.shown[b, n, k]), 0))


@stage
def end_ticks(world, state, report, scratch, p, first, stop, mode):
    """Observe the next pages of the open copies first .. stop - 1. Returns whether some of them are to be drawn anew,
    because an episode has ended."""
    ends = False
    for b in range(first, stop):
        if scratch.turns[b].open:
            ends |= _end_tick(world, state, report, scratch, p, b, mode)
    return ends


@kernel
def _end_tick(world, state, report, scratch, p, b, mode):
    """Observe the next page. Returns whether it is the last of its episode: then the next one has begun."""
    copy, turn = state.copies[b], scratch.turns[b]
    turn.open = mode == STEP and copy.tick == p.shape.horizon
    observations, masks = (
        (report.final_observations, report.final_masks) if turn.open else (report.observations, report.masks)
    )
    observe(world, state, report, scratch, p, b, observations, masks)
    if turn.open:
        report.truncated[b] = True
        write_state(state, p, b, report.final_states[b])
        begin_episode(state, p, b, np.int64(copy.episode) + 1)
        turn.key, turn.stays = rng.child(copy.key, copy.tick), False
    return turn.open


@kernel
def advance(world, state, report, scratch, p, first, stop, actions, mode):
    """Copies first .. stop - 1: one tick (STEP), the start of the episodes they name (RESET), or only a report of the
    present pages (LOOK)."""
    begin_ticks(world, state, report, scratch, p, first, stop, actions, mode)
    if mode == STEP:
        serve_pages(world, state, report, scratch, p, first, stop)
    for b in range(first, stop):
        share_rewards(p, b, report.agents["individual_reward"], report.agents["objectives"], report.rewards)
    ends = True
    while ends:  # twice where episodes end: their last observations, then the first ones of the next
        if mode != LOOK:
            next_pages(world, state, scratch, p, first, stop)
            if p.shape.auctioned:
                value_pages(world, state, scratch, p, first, stop)
        ends = end_ticks(world, state, report, scratch, p, first, stop, mode)


# ------------------------------------------------------------------------------------------------ entries


@entry
def run(packed, actions, mode, starts):
    """Advance all copies of the batch with these packed arrays: those from one start to the next together."""
    world, state, report, scratch = parts_of(packed)
    for i in range(starts.size - 1):
        advance(world, state, report, scratch, world.params[0], starts[i], starts[i + 1], actions, mode)


@entry
def global_state(packed, runs, rows):
    """`state()` of every copy of the batch with these packed arrays, into rows[B, S]; `runs` as in `write_private`."""
    world, state, report, _ = parts_of(packed)
    p = world.params[0]
    for b in range(state.copies.size):
        write_state(state, p, b, rows[b])
        write_private(report.observations, runs, b, rows, p.state_fields.private)


@entry
def final_state(packed, runs, rows):
    """The same of the last pages of the episodes that ended."""
    _, _, report, _ = parts_of(packed)
    for b in range(rows.shape[0]):
        write_final_state(report.final_states, report.final_observations, runs, b, rows)


@kernel
def write_final_state(shared, observations, runs, b, rows):
    """`final_state` of copy b, of shared[B, S'] and the last observations."""
    for s in range(shared.shape[1]):
        rows[b, s] = shared[b, s]
    write_private(observations, runs, b, rows, shared.shape[1])
