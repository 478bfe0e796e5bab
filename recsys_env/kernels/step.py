"""The step: actions -> page -> click -> consumption -> cart -> dynamics -> rewards -> next page, for every copy of a
batch.

The entries at the end are all that Python calls; `run` and `run_parallel` share one body, `advance`.
"""

from __future__ import annotations

import numba
import numpy as np

from . import rng
from .choice import draw_click
from .compiler import entry, kernel
from .dynamics import (
    CLICKS,
    draw_mood,
    draw_order,
    draw_visitor,
    enjoy,
    fade,
    form_habit,
    leave_or_stay,
    move_mood,
    pass_by,
    sense_mood,
    show,
    tell_history,
    visitor_id,
)
from .equations import log_multiplier, place_of_level, shared_reward
from .feedback import consume, put_in_cart, settle_cart
from .numeric import insert, is_better
from .objectives import page_objectives, show_providers
from .observation import observe, write_item, write_latent, write_mood
from .page import (
    CANDIDATES,
    QUERY,
    RIVAL,
    WEIGHTS,
    actions_of_pick,
    active_agents,
    can_show,
    clear_slots,
    fill_slots,
    is_active,
    is_continuous,
    is_private,
)
from .retrieval import count_seen, draw_candidates

STEP, RESET, LOOK = 0, 1, 2

# ------------------------------------------------------------------------------------------------ actions


@kernel
def read_actions(world, state, report, scratch, p, b, actions):
    """Translate the actions of the active agents into the items they want shown (-1 = nothing), prices and messages.

    An action of picks is, with one slot, (pick * L + level) * V + word; with K slots K picks, level, word. The parts of
    a continuous one are declared in `fields.ACTION`. What a task does not have is left out, or 1.
    """
    copy = state.copies[b]
    for n in range(p.shape.agents):
        active = is_active(world, p, copy, n)
        if active:
            if p.shape.action == QUERY:
                _nearest(world, state, scratch, p, b, n, actions)
            elif p.shape.action == WEIGHTS:
                _rank(world, state, scratch, p, b, n, actions)
            elif p.shape.action == CANDIDATES:
                _pick(state, scratch, p, b, n, actions)
            else:
                for k in range(p.shape.slots):
                    scratch.shown[b, n, k] = _named(p, actions[b, n, k])
        if p.shape.levels > 0:
            level = _level(p, actions, b, n) if active else 0.0
            state.offers[b, copy.visitor, n] = level
            report.log_offer[b, n] = log_multiplier(p.offer, level) if active else 0.0
        if p.shape.vocabulary > 0:
            state.messages[b, copy.visitor, n] = _message(p, actions, b, n) if active else -1


@kernel
def _named(p, action):
    """The item or candidate that one entry of an action names."""
    return action // actions_of_pick(p) if p.shape.slots == 1 else action


@kernel
def _level(p, actions, b, n):
    """Level of the agent's prices, from -1 (lowest) to 1 (highest)."""
    if is_continuous(p):
        return np.float64(actions[b, n, p.action_fields.price])
    if p.shape.slots == 1:
        level = np.int64(actions[b, n, 0]) // max(p.shape.vocabulary, 1) % p.shape.levels
    else:
        level = np.int64(actions[b, n, p.shape.slots])
    return place_of_level(p.shape.levels, level)


@kernel
def _message(p, actions, b, n):
    words, first = p.shape.vocabulary, p.action_fields.message
    if is_continuous(p):
        best = 0
        for w in range(words):
            if actions[b, n, first + w] > actions[b, n, first + best]:
                best = w
        return best
    if p.shape.slots == 1:
        return np.int64(actions[b, n, 0]) % words
    return np.int64(actions[b, n, p.shape.slots + (p.shape.levels > 0)])


@kernel
def _pick(state, scratch, p, b, n, actions):
    """Candidates by position; a repeated pick takes the next unused candidate, an empty one leaves a hole."""
    size = p.shape.candidates
    for k in range(p.shape.slots):
        c = np.int64(_named(p, actions[b, n, k]))
        steps = 0
        if state.candidates[b, n, c] >= 0:
            while steps < size and (_picked(scratch, b, k, c) or state.candidates[b, n, c] < 0):
                c = (c + 1) % size
                steps += 1
        scratch.picks[b, k] = c
        scratch.shown[b, n, k] = state.candidates[b, n, c] if steps < size else -1


@kernel
def _picked(scratch, b, k, c):
    for i in range(k):
        if scratch.picks[b, i] == c:
            return True
    return False


@kernel
def _nearest(world, state, scratch, p, b, n, actions):
    """The K items with the largest inner product with the query, among those that agent n can show now (exact scan)."""
    slots, filled = p.shape.slots, 0
    for j in range(p.shape.items):
        score = 0.0
        for d in range(p.shape.dims):
            score += np.float64(actions[b, n, p.action_fields.query + d]) * world.q[j, d]
        if is_better(scratch.scores[b], filled, slots, score) and can_show(world, state, p, b, n, j):
            filled = insert(scratch.scores[b], scratch.shown[b, n], filled, slots, score, j)
    for k in range(filled, slots):
        scratch.shown[b, n, k] = -1


@kernel
def _rank(world, state, scratch, p, b, n, actions):
    """The K candidates with the largest sum of weight times feature, as the observation holds them; equals in their
    order."""
    slots, filled = p.shape.slots, 0
    if p.features.repeat >= 0:
        count_seen(world, state, p, b, n, state.candidates[b, n], scratch.seen[b])
    for c in range(p.shape.candidates):
        j = state.candidates[b, n, c]
        if j < 0:
            continue
        seen = np.float64(scratch.seen[b, c])
        write_item(world, state, p, b, n, np.int64(j), state.matches[b, n, c], seen, scratch.features, 0)
        score = 0.0
        for f in range(p.shape.features):
            score += np.float64(actions[b, n, p.action_fields.weights + f]) * scratch.features[b, 0, f]
        filled = insert(scratch.scores[b], scratch.shown[b, n], filled, slots, score, j)
    for k in range(filled, slots):
        scratch.shown[b, n, k] = -1


# ------------------------------------------------------------------------------------------------ one tick


@kernel
def serve_page(world, state, report, scratch, p, b, actions, key):
    """Show one page to the visitor and let it take effect; returns whether the visitor stays."""
    copy = state.copies[b]
    u = copy.visitor
    read_actions(world, state, report, scratch, p, b, actions)
    fill_slots(world, state, report, p, b, scratch.shown)
    _pay_objectives(world, state, report, p, b)
    n, k = draw_click(world, state, report, scratch, p, b, rng.uniform(key, rng.CLICK, 0))
    j, e, topic, carted = np.int64(-1), 0.0, np.int64(-1), False
    old = np.int64(state.users[b, u].cart)
    if n >= 0:
        j = np.int64(report.slots[b, n, k].item)
        topic = np.int64(world.items[j].topic)
        e = consume(world, state, report, p, b, n, k, key)
        carted = report.slots[b, n, k].cart
        if carted and p.shape.cart > 0:
            old = put_in_cart(state, p, b, u, j, n, e, report.slots[b, n, k].rating > 0)
    if p.shape.cart > 0:
        settle_cart(world, state, report, p, b, old, key)
    take_effect(world, state, report, p, b, n, k, e)
    if p.shape.moods > 0:
        move_mood(state, p, b, draw_mood(world, p, topic, key))
    return leave_or_stay(world, state, p, b, j, carted, key)


@kernel
def take_effect(world, state, report, p, b, n, k, e):
    """What a page changes in its visitor, but for what was bought and the mood of finite games, given the click on slot
    k of agent n (-1 = none) and the experience e of it."""
    j = np.int64(report.slots[b, n, k].item) if n >= 0 else np.int64(-1)
    fade(state, p, b)
    show(world, state, report, p, b)
    if n >= 0:
        enjoy(world, state, p, b, n, j, e)
    else:
        pass_by(world, state, p, b)
    if p.shape.habits > 0:
        _consumption(world, state, report, p, b, n, k, j)
    if p.shape.mood_views > 0:
        sense_mood(world, state, p, b, n, e)
    copy = state.copies[b]
    state.users[b, copy.visitor].last_page = copy.tick
    if p.shape.page == RIVAL:
        state.visits[b, copy.visitor, copy.opened].last_page = copy.tick


@kernel
def _pay_objectives(world, state, report, p, b):
    first, stop = active_agents(world, p, state.copies[b])
    for n in range(first, stop):
        report.objectives[b, n] = page_objectives(world, state, report, p, b, n)
        if p.shape.providers > 0:
            show_providers(world, state.exposure, report.slots, p, b, n)


@kernel
def _consumption(world, state, report, p, b, n, k, j):
    """Clicks, or purchases, enter the table of consumed items."""
    if p.users.habit == CLICKS:
        if n >= 0:
            form_habit(world, state, p, b, n, j)
        return
    if n >= 0 and report.slots[b, n, k].bought:
        form_habit(world, state, p, b, n, j)
    for i in range(p.shape.cart):
        if report.later[b, i].item >= 0:
            form_habit(world, state, p, b, report.later[b, i].agent, report.later[b, i].item)


@kernel
def next_page(world, state, scratch, p, b, stays, key):
    """Advance the clock and draw the next page: visitor, candidates, page order."""
    state.copies[b].tick += 1
    if not stays:
        draw_visitor(world, state, scratch, p, b, key)
    if is_private(p):
        tell_history(world, state, p, b, key)
    draw_candidates(world, state, scratch, p, b, key)
    draw_order(world, state, p, b, key)


@kernel
def share_rewards(p, b, own, objectives, rewards):
    """Into rewards[B, N], of x = own[B, N] + objectives[B, N]."""
    s, total = p.reward.sharing, 0.0
    for n in range(p.shape.agents):
        total += np.float64(own[b, n]) + objectives[b, n]
    mean = total / p.shape.agents
    for n in range(p.shape.agents):
        rewards[b, n] = shared_reward(s, np.float64(own[b, n]) + objectives[b, n], mean)


@kernel
def begin_episode(state, p, b, episode):
    """Set the clock to the reset of an episode; its first page is then drawn like any other."""
    copy = state.copies[b]
    copy.stamp += 1  # every row of users and items is now untouched
    copy.episode, copy.tick, copy.visitor = episode, -1, -1
    for n in range(p.shape.agents):
        state.inclusive[b, n] = -np.inf
        for i in range(p.shape.providers):
            state.exposure[b, n, i] = 0.0


@kernel
def clear(report, p, b):
    """Empty the report of the last tick."""
    for n in range(p.shape.agents):
        report.own[b, n], report.objectives[b, n], report.log_offer[b, n] = 0.0, 0.0, 0.0
        report.visitor[b, n] = report.place[b, n] = -1
    for i in range(p.shape.cart):
        later = report.later[b, i]
        later.item, later.agent, later.price, later.rating = -1, -1, 0.0, 0
    report.truncated[b] = False
    clear_slots(report, p, b)


@kernel
def name_visitor(world, state, report, p, b):
    """Report whose page this is."""
    copy = state.copies[b]
    person = visitor_id(p, copy, copy.visitor, state.users[b, copy.visitor].incarnation)
    for n in range(p.shape.agents):
        if is_active(world, p, copy, n):
            report.visitor[b, n], report.place[b, n] = person, copy.visitor


@kernel
def write_state(state, p, b, row):
    """The shared part of `state()`, up to the private one: latent visitor, scene, platform means, and the mood that
    everybody sees."""
    copy, at = state.copies[b], p.state_fields
    for s in range(at.private):
        row[s] = 0.0
    if copy.visitor >= 0:
        write_latent(state, p, b, row, at)
        row[at.scene + copy.scene] = 1.0
        row[at.visitor_present] = 1.0
        if at.mood >= 0:
            write_mood(state, p, b, 0, row, at)
    seen = 0
    for u in range(p.shape.users):
        if state.users[b, u].stamp == copy.stamp:
            seen += 1
            row[at.mean_z] += state.users[b, u].z
            for n in range(p.shape.agents):
                row[at.mean_trust + n] += state.vectors[b, u, p.shape.trust + n]
    if seen > 0:
        row[at.mean_z] /= seen
        for n in range(p.shape.agents):
            row[at.mean_trust + n] /= seen


@kernel
def advance(world, state, report, scratch, p, b, actions, mode):
    """Copy b: one tick (STEP), the start of the episode it names (RESET), or only a report of the present page
    (LOOK)."""
    copy = state.copies[b]
    clear(report, p, b)
    if mode == RESET:
        begin_episode(state, p, b, np.int64(copy.episode))
    key = rng.tick_key(copy.seed, copy.episode, copy.tick)
    stays = False
    if mode == STEP and copy.visitor >= 0:
        name_visitor(world, state, report, p, b)
        stays = serve_page(world, state, report, scratch, p, b, actions, key)
    share_rewards(p, b, report.own, report.objectives, report.rewards)
    while True:  # twice where an episode ends: its last observation, then the first one of the next
        if mode != LOOK:
            next_page(world, state, scratch, p, b, stays, key)
        ends = mode == STEP and copy.tick == p.shape.horizon
        observations, masks = (
            (report.final_observations, report.final_masks) if ends else (report.observations, report.masks)
        )
        observe(world, state, report, scratch, p, b, observations, masks)
        if not ends:
            return
        report.truncated[b] = True
        write_state(state, p, b, report.final_states[b])
        begin_episode(state, p, b, np.int64(copy.episode) + 1)
        key, stays = rng.tick_key(copy.seed, copy.episode, -1), False


# ------------------------------------------------------------------------------------------------ entries


@entry
def run(world, state, report, scratch, actions, mode, batch):
    """Advance the copies that `batch` names, in one thread.

    Named and unsigned: an index that counts up would tempt the compiler to keep sixty running addresses instead of one
    number, and a signed one costs a test for negative values at every access.
    """
    p = world.params[0]
    for i in range(batch.size):
        advance(world, state, report, scratch, p, batch[i], actions, mode)


@entry(parallel=True)
def run_parallel(world, state, report, scratch, actions, mode, batch):
    """Advance the copies that `batch` names, over numba's threads."""
    for i in numba.prange(batch.size):  # a record from outside the loop cannot be passed to its threads
        advance(world, state, report, scratch, world.params[0], batch[i], actions, mode)


@entry
def global_state(world, state, rows):
    """`write_state` for every copy, into rows[B, S]."""
    p = world.params[0]
    for b in range(state.copies.size):
        write_state(state, p, b, rows[b])
