"""Changes that a visit makes in the visitor and the platform, and the draw of the next visitor."""

from __future__ import annotations

import math

import numpy as np

from .equations import (
    acceptance_probability,
    approach,
    drifted_taste,
    lognormal,
    loss_probability,
    satisfaction_of_mood,
    topic_weight,
    trust_bonus,
)
from .machine import rng
from .machine.compiler import kernel
from .machine.numeric import exp, log, round_up_to_lanes
from .machine.vectors import dot, match_topics, prefetch, prefetch_person
from .page import is_private, sets_prices, touch_item, view_of, window_of
from .page_kinds import active_agents
from .requests import draw_request

CLICKS, PURCHASES = 0, 1
SATISFACTION_RATE = 0.4  # weight of a click in the satisfaction that agents observe
FRESH = 0
USERS_PER_WORD = np.int64(64)  # in `State.touched_users`
_NONE, _ONE = np.uint64(0), np.uint64(1)
_UNREACHED = np.finfo(np.float64).max  # above the mass of any draw; finite, so that a scale of 0 makes 0 of it


# ------------------------------------------------------------------------------------------------ people


@kernel
def person_key(p, copy, u, incarnation):
    """Key of a person's initial values: of this copy and episode, or of the world with a fixed population."""
    if p.users.population == FRESH:
        base = rng.child(rng.stream(copy.population, rng.PEOPLE), copy.episode)
    else:
        base = rng.child(rng.stream(np.uint64(p.shape.world_seed), rng.PEOPLE), -1)
    return rng.child(rng.child(base, u), incarnation)


@kernel
def touch_user(world, state, p, b, u):
    """Initialise the record of user slot u on its first touch in this episode. The row of the person follows when it
    first comes (`give_row`), because a refusal depends on the record alone."""
    stamp = state.copies[b].stamp
    if state.users[b, u].stamp != stamp:
        create_person(world, state, p, b, u, 0)
        state.users[b, u].row = -1
        word = u // USERS_PER_WORD
        bits = who_was_asked(state, b, word) | _ONE << np.uint64(u % USERS_PER_WORD)
        state.touched_users[b, word].stamp, state.touched_users[b, word].bits = stamp, bits


@kernel
def who_was_asked(state, b, word):
    """Bit i says whether the user in slot `USERS_PER_WORD` * word + i was asked to come in this episode."""
    touched = state.touched_users[b, word]
    return touched.bits if touched.stamp == state.copies[b].stamp else _NONE


@kernel
def create_person(world, state, p, b, u, incarnation):
    """Give the record of user slot u a new person: a pure function of (population, user, incarnation)."""
    copy, user = state.copies[b], state.users[b, u]
    key = person_key(p, copy, u, incarnation)
    user.stamp, user.incarnation = copy.stamp, incarnation
    user.last_visit, user.last_page, user.sessions, user.cart, user.mood = -1, -1, 0, 0, 0
    user.satisfaction = 1.0 if p.shape.moods > 0 else p.users.z_init
    user.wallet, user.wallet_tick = p.users.wallet_init, copy.tick
    user.rating_bias = (
        p.users.rating_bias_sd * rng.normal(key, rng.PERSON_BIAS, 0) if p.users.rating_bias_sd > 0.0 else 0.0
    )
    user.group = rng.integer(key, rng.PERSON_TOPIC, 0, p.users.groups)
    known = _catalogue_user(world, p, u, incarnation, key)
    if known >= 0:
        user.rho = world.prior_rho[known]
    else:
        sd = p.users.price_sensitivity_log_sd
        user.rho = lognormal(sd, rng.normal(key, rng.PERSON_PRICE, 0))


@kernel
def _catalogue_user(world, p, u, incarnation, key):
    """The user of the catalogue that a person is like, -1 = there is no catalogue."""
    if world.prior_rho.size == 0:
        return np.int64(-1)
    if incarnation == 0 and p.users.population != FRESH:
        return np.int64(u)
    return np.int64(rng.integer(key, rng.PERSON_ROW, 0, world.prior_rho.size))


@kernel
def give_row(world, state, p, b, u):
    """The person in user slot u comes for the first time in this episode and takes the next row of the copy."""
    copy = state.copies[b]
    state.users[b, u].row = copy.rows_taken
    copy.rows_taken += 1
    fill_row(world, state, p, b, u)


@kernel
def fill_row(world, state, p, b, u):
    """Initialise the row of the person in user slot u: also a pure function of (population, user, incarnation)."""
    copy, user = state.copies[b], state.users[b, u]
    row, incarnation = user.row, np.int64(user.incarnation)
    key = person_key(p, copy, u, incarnation)
    known = _catalogue_user(world, p, u, incarnation, key)
    for w in range(p.shape.width):
        state.vectors[b, row, w] = 0.0
    _set_taste(world, state, p, b, row, user.group, known, key)
    sd = p.shape.profile_noise
    for d in range(p.shape.dims):
        noise = sd * rng.normal(key, rng.PERSON_NOISE, d) if sd > 0.0 else 0.0
        state.vectors[b, row, p.shape.profile + d] = state.vectors[b, row, p.shape.taste + d] + noise
    for view in range(p.shape.satisfaction_views):
        state.vectors[b, row, p.shape.observed_satisfaction + view] = p.users.z_init
    for n in range(p.shape.visit_views):
        visits = state.visits[b, row, n]
        visits.sessions, visits.last_visit, visits.last_page = 0, -1, -1
    for n in range(p.shape.agents):
        state.vectors[b, row, p.shape.trust + n] = p.users.trust_init
        if p.shape.vocabulary > 0:
            state.messages[b, row, n] = -1
        if sets_prices(p):
            state.price_levels[b, row, n] = 0.0
    if p.shape.requests > 0:
        state.requests[b, row, 0] = -1
    _set_habits(world, state, p, b, row, known if incarnation == 0 else -1)
    _forget_items(state, p, b, row)


@kernel
def _set_taste(world, state, p, b, row, group, known, key):
    """p_u: that of a user of the catalogue (-1 = none), or a normalised mix of topic centres of which the first belongs
    to the person's group."""
    taste = p.shape.taste
    if known >= 0:
        for d in range(p.shape.dims):
            state.vectors[b, row, taste + d] = world.prior_taste[known, d]
        return
    groups, topics = p.users.groups, p.shape.topics
    for i in range(p.users.topics):
        if i == 0 and group < topics:
            own = (topics - group + groups - 1) // groups
            topic = group + groups * rng.integer(key, rng.PERSON_TOPIC, 1, own)
        else:
            topic = rng.integer(key, rng.PERSON_TOPIC, i + 1, topics)
        weight = -log(1.0 - rng.uniform(key, rng.PERSON_WEIGHT, i))
        for d in range(p.shape.dims):
            state.vectors[b, row, taste + d] += weight * world.centres[topic, d]
    _normalise(state, p, b, row)


@kernel
def _normalise(state, p, b, row):
    total = 0.0
    for d in range(p.shape.dims):
        total += np.float64(state.vectors[b, row, p.shape.taste + d]) ** 2
    scale = np.float64(1.0 / math.sqrt(max(total, 1e-24)))
    for d in range(p.shape.dims):
        state.vectors[b, row, p.shape.taste + d] *= scale


@kernel
def _set_habits(world, state, p, b, row, known):
    """The counts of a user of the catalogue, known to every agent, or an empty table (-1)."""
    for h in range(p.shape.habits):
        habit = state.habits[b, row, h]
        if known >= 0:
            prior = world.prior_habits[known, h]
            habit.item, habit.count, habit.window = prior.item, prior.count, 0
        else:
            habit.item, habit.count, habit.window = -1, 0.0, 0
        for view in range(p.shape.views):
            state.seen[b, row, h, view] = np.float32(0.0) if is_private(p) else habit.count


@kernel
def _forget_items(state, p, b, row):
    """Nothing has been consumed yet."""
    for view in range(p.shape.views + 1):
        for i in range(p.shape.remembered):
            recent = state.recent[b, row, view, i]
            recent.item, recent.bought, recent.pages, recent.weight = -1, 0, 0, 0.0


@kernel
def visitor_id(p, copy, u, incarnation):
    """Equal only for the same person of a copy: (episode if fresh, user slot, incarnation).

    A user slot is reborn at most once a tick, so incarnations are at most `horizon`. The largest world, 10^8 user slots
    and ticks, has ids for 900 episodes; 10^6 of each for 9 million.
    """
    episode = copy.episode if p.users.population == FRESH else 0
    return (np.int64(episode) * p.shape.users + u) * (np.int64(p.shape.horizon) + 1) + incarnation


# ------------------------------------------------------------------------------------------------ the visit


@kernel
def fade(state, p, b):
    """Satiation, habits and the items consumed last fade by one page."""
    row = state.copies[b].row
    for t in range(p.shape.topics):
        state.vectors[b, row, p.shape.satiation + t] *= p.dynamics.satiation_page
    for h in range(p.shape.habits):
        state.habits[b, row, h].count *= p.users.habit_decay
        for view in range(p.shape.views):
            state.seen[b, row, h, view] *= p.users.habit_decay
    for view in range(p.shape.views + 1):
        for i in range(p.shape.remembered):
            recent = state.recent[b, row, view, i]
            recent.pages += 1
            recent.weight *= p.choice.partner_decay


@kernel
def show(world, state, report, p, b):
    """Shown items count an impression, weighted by examination, and raise the satiation of their topics a little."""
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    for n in range(first, stop):
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            j = np.int64(slot.item)
            if j >= 0:
                touch_item(world, state, p, b, j, copy.stamp, copy.tick)
                state.items[b, j].impressions += world.theta[slot.rank]
                if p.dynamics.satiation_shown > 0.0:
                    topic = p.shape.satiation + world.items[j].topic
                    state.vectors[b, copy.row, topic] += p.dynamics.satiation_shown


@kernel
def after_click(world, state, p, b, n, j, pull, log_dwell):
    """Apply a click on item j of agent n: drift, satiation, satisfaction, trust, history and item statistics.

    Args:
        pull: tanh of the experienced utility (`equations.pleasure`).
        log_dwell: log(dwell time / length of the item).
    """
    copy = state.copies[b]
    row, topic = copy.row, world.items[j].topic
    user, dims, dyn = state.users[b, copy.visitor], p.shape.dims, p.dynamics
    if dyn.drift > 0.0:
        follows = not is_private(p)  # the profile is the taste plus a fixed noise; with privacy it stays
        if follows:
            for d in range(dims):
                state.vectors[b, row, p.shape.profile + d] -= state.vectors[b, row, p.shape.taste + d]
        for d in range(dims):
            taste = state.vectors[b, row, p.shape.taste + d]
            state.vectors[b, row, p.shape.taste + d] = drifted_taste(dyn, taste, pull, world.item_vectors[j, d])
        _normalise(state, p, b, row)
        if follows:
            for d in range(dims):
                state.vectors[b, row, p.shape.profile + d] += state.vectors[b, row, p.shape.taste + d]
    state.vectors[b, row, p.shape.satiation + topic] += 1.0
    user.satisfaction += approach(user.satisfaction, dyn.z_rate, pull)
    trust = p.shape.trust + n
    state.vectors[b, row, trust] += approach(state.vectors[b, row, trust], dyn.trust_rate, pull)
    if dyn.trust_rate_rival > 0.0:
        _leave_rivals(world, state, p, b, n)
    history = p.shape.history + view_of(p, n) * (dims + p.shape.topics)
    keep = p.observation.history_decay
    for d in range(dims):
        state.vectors[b, row, history + d] = (
            keep * state.vectors[b, row, history + d] + (1.0 - keep) * world.item_vectors[j, d]
        )
    for t in range(p.shape.topics):
        state.vectors[b, row, history + dims + t] *= keep
    state.vectors[b, row, history + dims + topic] += 1.0
    item = state.items[b, j]  # which `show` has touched
    item.clicks += 1.0
    item.satisfaction += log_dwell


@kernel
def _leave_rivals(world, state, p, b, n):
    """A click on agent n: trust in every other agent that was shown sinks towards the baseline."""
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    for m in range(first, stop):
        if m != n and state.inclusive[b, m] > -np.inf:
            trust = p.shape.trust + m
            before = state.vectors[b, copy.row, trust]
            state.vectors[b, copy.row, trust] += approach(before, p.dynamics.trust_rate_rival, p.dynamics.baseline)


@kernel
def after_no_click(world, state, p, b):
    """A page without a click: satisfaction, and trust in every shown agent, sink towards the baseline."""
    copy = state.copies[b]
    user, dyn = state.users[b, copy.visitor], p.dynamics
    user.satisfaction += approach(user.satisfaction, dyn.z_rate_none, dyn.baseline)
    first, stop = active_agents(world, p, copy)
    for n in range(first, stop):
        if state.inclusive[b, n] > -np.inf:
            trust = p.shape.trust + n
            before = state.vectors[b, copy.row, trust]
            state.vectors[b, copy.row, trust] += approach(before, dyn.trust_rate_none, dyn.baseline)


@kernel
def observe_satisfaction(world, state, p, b, clicked, pull):
    """Move the satisfaction that agents observe: by a click on their pages, whose dwell time shows it, else towards the
    baseline.

    `clicked` is the agent whose slot was clicked, -1 = none. On the same page, an agent is not told of a click on
    another's slot: to it that is a page without a click. The losers of an auction learn nothing.
    """
    copy, everybody = state.copies[b], p.shape.satisfaction_views == 1
    first, stop = (np.int64(0), np.int64(1)) if everybody else active_agents(world, p, copy)
    for view in range(first, stop):
        if p.shape.auctioned and not everybody and state.inclusive[b, view] == -np.inf:
            continue
        observed, pages = p.shape.observed_satisfaction + view, p.shape.satisfaction_pages + view
        rate, target = p.dynamics.z_rate_none, p.dynamics.baseline
        if clicked >= 0 and (everybody or clicked == view):
            rate, target = SATISFACTION_RATE, pull
        state.vectors[b, copy.row, observed] += approach(state.vectors[b, copy.row, observed], rate, target)
        state.vectors[b, copy.row, pages] += 1.0


@kernel
def mood_probabilities(world, p, topic):
    """Finite games: probabilities that the mood improves and worsens, given the clicked topic (-1 = no click)."""
    if topic >= 0:
        return world.topics[topic].mood_up, world.topics[topic].mood_down
    return p.dynamics.mood_up_none, p.dynamics.mood_down_none


@kernel
def draw_mood(world, p, topic, key):
    """Finite games: the step of the mood, -1 (better), 0 or 1."""
    up, down = mood_probabilities(world, p, topic)
    u01 = rng.uniform(key, rng.MOOD, 0)
    if u01 < up:
        return -1
    return 1 if u01 < up + down else 0


@kernel
def move_mood(state, p, b, step):
    """Finite games: the mood moves by a step as far as it can; satisfaction follows the mood."""
    user = state.users[b, state.copies[b].visitor]
    user.mood = min(max(user.mood + step, 0), p.shape.moods - 1)
    user.satisfaction = satisfaction_of_mood(user.mood, p.shape.moods)


@kernel
def form_habit(world, state, p, b, n, j):
    """Count one consumption of item j, credited to agent n; a new item takes the place of the smallest count."""
    copy = state.copies[b]
    row, window = copy.row, window_of(world, p, j, copy.tick)
    entry, smallest = -1, np.inf
    for h in range(p.shape.habits):
        habit = state.habits[b, row, h]
        if habit.item == j and habit.window == window:
            entry = h
            break
        live = habit.item >= 0 and habit.window == window_of(world, p, habit.item, copy.tick)
        size = np.float64(habit.count) if live else -1.0
        if size < smallest:
            entry, smallest = h, size
    if entry < 0:
        return
    habit = state.habits[b, row, entry]
    if habit.item != j or habit.window != window:
        habit.item, habit.window, habit.count = j, window, 0.0
        for view in range(p.shape.views):
            state.seen[b, row, entry, view] = 0.0
    habit.count += 1.0
    if not is_private(p):
        state.seen[b, row, entry, view_of(p, n)] += 1.0


@kernel
def remember_item(state, p, b, n, j, bought):
    """Item j becomes the newest of those that the visitor consumed last, in the view of agent n and in that of all."""
    if p.shape.remembered > 0:
        _remember_in(state, p, b, view_of(p, n), j, bought)
        _remember_in(state, p, b, p.shape.views, j, bought)


@kernel
def _remember_in(state, p, b, view, j, bought):
    row, last = state.copies[b].row, p.shape.remembered - 1
    for i in range(last):  # the oldest first
        entry, newer = state.recent[b, row, view, last - i], state.recent[b, row, view, last - i - 1]
        entry.item, entry.bought, entry.pages, entry.weight = newer.item, newer.bought, newer.pages, newer.weight
    entry = state.recent[b, row, view, 0]
    entry.item, entry.bought, entry.pages, entry.weight = j, bought, 1, 1.0


# ------------------------------------------------------------------------------------------------ who comes next


@kernel
def leave_or_stay(world, state, p, b, stay, item, carted, key):
    """Stay in the session (and move between scenes) with probability `stay`, or leave, perhaps for good. Returns
    whether the visitor stays.

    `item` is the clicked item (-1 = none, which leads back to the entrance) and `carted` whether it went into the cart.
    """
    satisfaction = np.float64(state.users[b, state.copies[b].visitor].satisfaction)
    if rng.uniform(key, rng.CONTINUE, 0) < stay:
        turn_page(state, p, b, item, carted)
        return True
    if rng.uniform(key, rng.LOST, 0) < loss_probability(p.arrival, satisfaction):
        lose_visitor(world, state, p, b)
    return False


@kernel
def turn_page(state, p, b, item, carted):
    """The session goes on, perhaps in another scene; arguments as in `leave_or_stay`."""
    copy = state.copies[b]
    copy.session_page += 1
    if p.shape.scenes > 1:
        if item < 0:
            copy.scene = 0
        elif copy.scene == 0 or (carted and copy.scene + 1 < p.shape.scenes):
            copy.scene += 1
        copy.anchor = item


@kernel
def lose_visitor(world, state, p, b):
    """A new person takes the user slot of the visitor."""
    u = state.copies[b].visitor
    create_person(world, state, p, b, u, state.users[b, u].incarnation + 1)
    fill_row(world, state, p, b, u)


@kernel
def draw_visitors(world, state, scratch, p, first, stop):
    """Copies first .. stop - 1 whose visitor does not stay: a user slot is drawn by base activity and accepted by its
    satisfaction (thinning); a refusal is an idle tick."""
    asked = first  # how far the queue, which begins at `first`, is of copies where somebody is asked to come
    for b in range(first, stop):
        scratch.queue[asked] = b
        asked += np.int64(scratch.turns[b].open and not scratch.turns[b].stays)
    for i in range(first, asked):
        b = scratch.queue[i]
        turn = scratch.turns[b]
        end_session(state.copies[b])
        x = rng.uniform(turn.key, rng.VISITOR, 0) * p.shape.users
        row = world.activity[np.int64(x)]
        turn.user_slot = rng.alias_draw(x, np.int64(x), row.probability, row.alias)
        prefetch(state.users, b, turn.user_slot)
    for i in range(first, asked):
        b = scratch.queue[i]
        u = scratch.turns[b].user_slot
        touch_user(world, state, p, b, u)
        user = state.users[b, u]
        scratch.satisfaction[i] = user.satisfaction
        prefetch_person(state, b, user.row if user.row >= 0 else state.copies[b].rows_taken)
    for i in range(first, asked):
        scratch.acceptance_probability[i] = acceptance_probability(p.arrival, scratch.satisfaction[i])
    for i in range(first, asked):
        b = scratch.queue[i]
        turn = scratch.turns[b]
        if rng.uniform(turn.key, rng.ACCEPT, 0) < scratch.acceptance_probability[i]:
            _welcome(world, state, scratch, p, b, turn.user_slot, turn.key)


@kernel
def _welcome(world, state, scratch, p, b, u, key):
    """The user in slot u comes, with an intent, and opens an agent if it sees only one."""
    copy = state.copies[b]
    begin_session(world, state, p, b, u)
    weigh_topics(world, state, scratch, p, b, p.shape.taste, p.users.intent_scale)
    copy.intent = draw_topic(scratch, p, b, rng.uniform(key, rng.INTENT, 0))
    if p.shape.requests > 0:
        state.requests[b, copy.row, 0] = draw_request(world, state, p, b, key)
    if p.shape.opens_agent:
        copy.opened = _open_agent(state, p, b, rng.uniform(key, rng.OPEN, 0))
        visits = state.visits[b, copy.row, copy.opened]
        visits.last_visit = visits.last_page
        visits.sessions += 1


@kernel
def end_session(copy):
    copy.scene, copy.anchor, copy.opened, copy.session_page, copy.intent = 0, -1, -1, 0, -1
    copy.visitor, copy.row = -1, -1


@kernel
def begin_session(world, state, p, b, u):
    """The user in slot u comes, and takes a row at the first time."""
    copy, user = state.copies[b], state.users[b, u]
    if user.row < 0:
        give_row(world, state, p, b, u)
    user.last_visit = user.last_page
    user.sessions += 1
    copy.visitor, copy.row = u, user.row
    for t in range(p.shape.topics):
        state.vectors[b, copy.row, p.shape.satiation + t] *= p.dynamics.satiation_session


@kernel
def tell_history(world, state, p, b, key):
    """With differential privacy: release the visitor's history, with noise (`privacy.py`), to the active agents.

    This happens on the first `privacy_pages` pages of a person. On later pages agents see the last release again.
    """
    copy, size = state.copies[b], p.shape.dims + p.shape.topics
    first, stop = active_agents(world, p, copy)
    if p.shape.released_views == 1:
        first, stop = np.int64(0), np.int64(stop > first)
    for view in range(first, stop):
        release = p.shape.releases + view
        if state.vectors[b, copy.row, release] < p.observation.privacy_pages:
            state.vectors[b, copy.row, release] += 1.0
            history, noisy = p.shape.history + view * size, p.shape.noisy_history + view * size
            _blur(state, p, b, history, noisy, view * size, key)


@kernel
def _blur(state, p, b, history, noisy, index, key):
    """Noise on the visitor's history, brought back to where histories can be: a vector within the unit ball, counts of
    0 or more.

    `index` is that of the first draw.
    """
    row, dims, square = state.copies[b].row, p.shape.dims, 0.0
    for d in range(dims):
        x = state.vectors[b, row, history + d] + p.shape.history_noise * rng.normal(key, rng.BLUR, index + d)
        state.vectors[b, row, noisy + d] = x
        square += x * x
    for d in range(dims):
        state.vectors[b, row, noisy + d] /= max(math.sqrt(square), 1.0)
    scale = p.shape.history_noise / (1.0 - p.observation.history_decay)
    for t in range(p.shape.topics):
        x = state.vectors[b, row, history + dims + t] + scale * rng.normal(key, rng.BLUR, index + dims + t)
        state.vectors[b, row, noisy + dims + t] = max(x, 0.0)


@kernel
def topic_odds(world, state, p, b, t, offset, scale):
    """Weight of topic t for the visitor's vector at this offset."""
    return topic_weight(scale, dot(state.vectors, b, state.copies[b].row, offset, world.centres, t, p.shape.dims))


@kernel
def weigh_topics(world, state, scratch, p, b, offset, scale):
    """Fill the scratch with the cumulative weights of the topics for the visitor's vector at this offset, for
    `draw_topic`. Topics without items have none."""
    row, total = scratch.turns[b].scratch_row, 0.0
    matches, weights, mass = scratch.topic_matches[row], scratch.topic_weights[row], scratch.topic_mass[row]
    match_topics(world, state, p, b, offset, matches)
    for t in range(round_up_to_lanes(p.shape.topics)):  # alone, so that it vectorises
        weights[t] = topic_weight(scale, matches[t])
    for t in range(p.shape.topics):
        if world.topic_start[t + 1] > world.topic_start[t]:
            total += weights[t]
        mass[t] = total
    for t in range(p.shape.topics, round_up_to_lanes(p.shape.topics)):
        mass[t] = _UNREACHED


@kernel
def draw_topic(scratch, p, b, u01):
    """A topic by weight; counts all topics that end below the draw, which beats a search that stops at the first
    above. What fills the last vector is above every draw."""
    last, row = p.shape.topics - 1, scratch.turns[b].scratch_row
    mass, topic = u01 * scratch.topic_mass[row, last], np.int64(0)
    for t in range(round_up_to_lanes(last)):
        topic += mass >= scratch.topic_mass[row, t]
    return min(topic, last)


@kernel
def opening_weight(state, p, b, n):
    """Return the weight of an agent where a visitor opens one: P(open n) is proportional to exp(beta_trust * tau_n)."""
    return exp(trust_bonus(p.choice, state.vectors[b, state.copies[b].row, p.shape.trust + n]))


@kernel
def _open_agent(state, p, b, u01):
    agents, total = p.shape.agents, 0.0
    for n in range(agents):
        total += opening_weight(state, p, b, n)
    rest = u01 * total
    for n in range(agents - 1):
        rest -= opening_weight(state, p, b, n)
        if rest < 0.0:
            return n
    return agents - 1


@kernel
def draw_order(world, state, p, b, key):
    """A new random order of the active agents: in one feed for each round (team-draft interleaving), and in an auction
    for equal bids."""
    first, stop = active_agents(world, p, state.copies[b])
    count = stop - first
    if not p.shape.draws_order or count == 0:
        return
    for k in range(p.shape.slots):
        for i in range(count):
            state.order[b, k, i] = first + i
        for i in range(count - 1):  # Fisher & Yates
            r = i + rng.integer(key, rng.ORDER, k * count + i, count - i)
            state.order[b, k, i], state.order[b, k, r] = state.order[b, k, r], state.order[b, k, i]
