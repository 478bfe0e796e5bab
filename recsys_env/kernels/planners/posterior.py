"""Beliefs of the policy `observer` about a visitor: a particle filter over the people who the visitor may be.

The filter knows the world, but of the person only what the agent has observed: the noisy profile, and what happened to
the agent's own slots. Each particle is a person with a taste, a price sensitivity, a mood and an intent. The kernels of
the game itself play them: a particle's utilities, experience and changes are those of the rules.

A new visitor's particles are drawn from the posterior given the profile (`meet`). Each page weighs them by the
likelihood of its responses, changes them as the page would have changed that person, and draws them anew when few carry
the weight (Gordon, Salmond & Smith 1993; tastes are then shrunk and jittered as by Liu & West 2001).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..choice import outside_utility, trust_term, utility_of
from ..dynamics import (
    after_click,
    after_no_click,
    create_person,
    draw_mood,
    fade,
    fill_row,
    move_mood,
    topic_odds,
    visitor_id,
)
from ..equations import experience_of, inclusive_value, log_multiplier, log_slot_weight, pleasure, position_of_level
from ..feedback import cart_chance, expected_experience
from ..machine import rng
from ..machine.compiler import entry, kernel
from ..machine.numeric import exp, log, log_softplus
from ..page import sets_prices, view_of
from ..page_kinds import active_agents, is_active
from .assortment import item_of, list_showable
from .beliefs import planner_belief
from .slates import best_slate

_BEFORE = -1  # incarnation of people who are in no episode, whatever its seed
_SHRINKAGE = 0.95  # of the tastes that are drawn anew, towards their mean
_FEW = 0.5  # share of the particles: if fewer carry the weight, they are drawn anew
_LEAST_NOISE = 0.02  # of a profile, per dimension; with less noise no particle would be near enough
_MEET, _CHOOSE, _MOVE, _JITTER, _INTENT = 0, 1, 2, 3, 4  # events of the filter's random numbers

# Which of the parts that terms of the game can depend on (`equations.depends_on`) particles have: `_meet` draws them,
# `_copy_known` and `_copy_page` copy them, or they belong to the items.
IMAGINED = frozenset(
    (
        *("item", "latent item", "price", "age", "popularity", "scene and anchor"),
        *("taste", "satiation", "price sensitivity", "intent", "habits", "the items consumed last"),
    )
)


class Population(NamedTuple):
    """People before the first episode, Q of them, who stand for the prior: a kernel density with normal kernels."""

    tastes: np.ndarray  # [Q, D] f4
    rho: np.ndarray  # [Q] f4: price sensitivities
    bias: np.ndarray  # [Q] f4: of their ratings
    width: np.ndarray  # [1] f8: standard deviation of the kernels in each dimension
    log_weights: np.ndarray  # [Q] f8: of the present visitor
    weights: np.ndarray  # [Q] f8: of the present visitor; the largest is 1


class Posterior(NamedTuple):
    """Particles of visitors between their pages: for B copies and R rows of people, S particles."""

    who: np.ndarray  # [B, R] i8: visitor ids, -1 = nobody
    sessions: np.ndarray  # [B, R] i4: sessions that the agent has seen of this visitor
    log_weights: np.ndarray  # [B, R, S] f8, of which the largest is 0
    users: np.ndarray  # [B, R, S] USER
    vectors: np.ndarray  # [B, R, S, W] f4
    intents: np.ndarray  # [B, R, S] i4


class Work(NamedTuple):
    """Working memory of the filter."""

    log_weights: np.ndarray  # [B, S] f8: of the present visitors
    intents: np.ndarray  # [B, S] i4
    odds: np.ndarray  # [max(S, T)] f8
    parents: np.ndarray  # [S] i8
    users: np.ndarray  # [S] USER
    vectors: np.ndarray  # [S, W] f4
    drawn_intents: np.ndarray  # [S] i4
    mean: np.ndarray  # [D] f8
    spread: np.ndarray  # [D] f8


@entry
def sample_people(world, state, population):
    """Draw the population.

    Args:
        state: of one copy with Q users and rows, all zeros.
        population: to be filled, but for the width.
    """
    p = world.params[0]
    copy = state.copies[0]
    copy.stamp, copy.population, copy.anchor, copy.opened = 1, p.shape.world_seed, -1, -1
    for q in range(population.rho.size):
        create_person(world, state, p, 0, q, _BEFORE)
        state.users[0, q].row, copy.row = q, q
        fill_row(world, state, p, 0, q)
        for d in range(p.shape.dims):
            population.tastes[q, d] = state.vectors[0, q, p.shape.taste + d]
        population.rho[q], population.bias[q] = state.users[0, q].rho, state.users[0, q].rating_bias


@entry
def imagine(world, state, imagined, n, base, seen, population, posterior, work):
    """Make the particles of every copy's visitor ready, as the users of `imagined`, whose arrays have S rows.

    Args:
        base: key of the filter's random numbers.
        seen: (whether the profile may be seen, whether the label of the intent is known).
    """
    p = world.params[0]
    for b in range(state.copies.size):
        copy = state.copies[b]
        if not is_active(world, p, copy, n):
            continue
        row = np.int64(copy.row)
        person = visitor_id(p, copy, copy.visitor, state.users[b, copy.visitor].incarnation)
        key = rng.child(rng.child(base, b), copy.tick)
        sessions = np.int64(state.users[b, copy.visitor].sessions)
        if p.shape.opens_agent:
            sessions = np.int64(state.visits[b, row, n].sessions)
        _copy_page(state, imagined, b)
        if posterior.who[b, row] != person:
            _meet(world, state, imagined, p, b, seen, key, population, work)
            posterior.who[b, row], posterior.sessions[b, row] = person, 0
        else:
            _load(imagined, p, b, row, posterior, work)
        _copy_known(state, imagined, p, b, n)
        if posterior.sessions[b, row] != sessions:
            posterior.sessions[b, row] = sessions
            _begin_session(world, state, imagined, p, b, n, seen, key, work)
        _save(imagined, p, b, row, posterior, work)


@kernel
def _copy_page(state, imagined, b):
    """Copy what the agent knows of the page: time, scene, and the item that led to it."""
    copy, mine = state.copies[b], imagined.copies[b]
    mine.tick, mine.stamp, mine.scene, mine.anchor = copy.tick, copy.stamp, copy.scene, copy.anchor
    mine.opened, mine.session_page = copy.opened, copy.session_page


@kernel
def _copy_known(state, imagined, p, b, n):
    """Copy what the agent knows of the visitor for certain: visits, habits and the items consumed last, as far as it
    has seen."""
    row, view = state.copies[b].row, view_of(p, n)
    user = state.users[b, state.copies[b].visitor]
    sessions, last_visit, last_page = user.sessions, user.last_visit, user.last_page
    if p.shape.opens_agent:
        visits = state.visits[b, row, n]
        sessions, last_visit, last_page = visits.sessions, visits.last_visit, visits.last_page
    for s in range(imagined.users.shape[1]):
        particle = imagined.users[b, s]
        particle.sessions, particle.last_visit, particle.last_page = sessions, last_visit, last_page
        for h in range(p.shape.habits):
            habit, mine = state.habits[b, row, h], imagined.habits[b, s, h]
            mine.item, mine.window, mine.count = habit.item, habit.window, state.seen[b, row, h, view]
        for i in range(p.shape.remembered):
            recent, mine = state.recent[b, row, view, i], imagined.recent[b, s, p.shape.views, i]
            mine.item, mine.bought, mine.pages, mine.weight = recent.item, recent.bought, recent.pages, recent.weight


@kernel
def _load(imagined, p, b, row, posterior, work):
    for s in range(imagined.users.shape[1]):
        _copy_user(posterior.users[b, row, s], imagined.users[b, s])
        work.log_weights[b, s], work.intents[b, s] = posterior.log_weights[b, row, s], posterior.intents[b, row, s]
        for w in range(p.shape.width):
            imagined.vectors[b, s, w] = posterior.vectors[b, row, s, w]


@kernel
def _save(imagined, p, b, row, posterior, work):
    for s in range(imagined.users.shape[1]):
        _copy_user(imagined.users[b, s], posterior.users[b, row, s])
        posterior.log_weights[b, row, s], posterior.intents[b, row, s] = work.log_weights[b, s], work.intents[b, s]
        for w in range(p.shape.width):
            posterior.vectors[b, row, s, w] = imagined.vectors[b, s, w]


@kernel
def _copy_user(user, mine):
    """Copy what particles differ in."""
    mine.rho, mine.rating_bias, mine.satisfaction, mine.mood = user.rho, user.rating_bias, user.satisfaction, user.mood


@kernel
def _look_at(imagined, work, b, s):
    """Particle s becomes the visitor of copy b."""
    copy = imagined.copies[b]
    copy.visitor, copy.row, copy.intent = s, s, work.intents[b, s]


# ------------------------------------------------------------------------------------------------ the prior


@kernel
def _meet(world, state, imagined, p, b, seen, key, population, work):
    """Draw the particles of a new visitor from the posterior given the profile: people of the population by the
    likelihood of their kernels, and of each a taste between theirs and the profile, by the precision of both."""
    dims, size, people = p.shape.dims, imagined.users.shape[1], population.rho.size
    row, width = np.int64(state.copies[b].row), population.width[0]
    noise = max(p.shape.profile_noise, _LEAST_NOISE)
    variance = noise * noise + width * width
    largest = -np.inf
    for q in range(people):
        square = 0.0
        if seen[0]:
            for d in range(dims):
                gap = np.float64(state.vectors[b, row, p.shape.profile + d]) - population.tastes[q, d]
                square += gap * gap
        population.log_weights[q] = -0.5 * square / variance
        largest = max(largest, population.log_weights[q])
    total = 0.0
    for q in range(people):
        population.weights[q] = exp(population.log_weights[q] - largest)
        total += population.weights[q]
    share = width * width / variance if seen[0] else 0.0  # of the profile in the posterior mean of a kernel
    deviation = width * noise / math.sqrt(variance) if seen[0] else width
    shift, below, q = rng.uniform(key, _MEET, 0), 0.0, 0
    for s in range(size):
        while q < people - 1 and below + population.weights[q] < (s + shift) / size * total:
            below += population.weights[q]
            q += 1
        for w in range(p.shape.width):
            imagined.vectors[b, s, w] = 0.0
        for d in range(dims):
            taste = np.float64(population.tastes[q, d])
            if seen[0]:
                taste += share * (state.vectors[b, row, p.shape.profile + d] - taste)
            taste += deviation * rng.normal(key, _MEET, 1 + s * dims + d)
            imagined.vectors[b, s, p.shape.taste + d] = taste
        _normalise(imagined, p, b, s)
        for m in range(p.shape.agents):
            imagined.vectors[b, s, p.shape.trust + m] = p.users.trust_init
        user = imagined.users[b, s]
        user.rho, user.rating_bias, user.mood = population.rho[q], population.bias[q], 0
        user.satisfaction = 1.0 if p.shape.moods > 0 else p.users.z_init
        user.wallet, user.wallet_tick = p.users.wallet_init, 0
        work.log_weights[b, s], work.intents[b, s] = 0.0, 0


@kernel
def _normalise(imagined, p, b, s):
    total = 0.0
    for d in range(p.shape.dims):
        total += np.float64(imagined.vectors[b, s, p.shape.taste + d]) ** 2
    scale = 1.0 / math.sqrt(max(total, 1e-24))
    for d in range(p.shape.dims):
        imagined.vectors[b, s, p.shape.taste + d] *= scale


@kernel
def _begin_session(world, state, imagined, p, b, n, seen, key, work):
    """A session begins: satiation fades, and each particle has an intent, of those with the label that the agent is
    told."""
    label = np.int64(-1)
    if seen[1] and p.shape.labels > 0:
        label = np.int64(world.labels[n, state.copies[b].intent])
    for s in range(imagined.users.shape[1]):
        _look_at(imagined, work, b, s)
        total = 0.0
        for t in range(p.shape.topics):
            imagined.vectors[b, s, p.shape.satiation + t] *= p.dynamics.satiation_session
            possible = world.topic_start[t + 1] > world.topic_start[t]
            if label >= 0 and world.labels[n, t] != label:
                possible = False
            if possible:
                total += topic_odds(world, imagined, p, b, t, p.shape.taste, p.users.intent_scale)
            work.odds[t] = total
        draw, intent = rng.uniform(key, _INTENT, s) * total, 0
        while intent < p.shape.topics - 1 and work.odds[intent] <= draw:
            intent += 1
        work.intents[b, s] = intent


# ------------------------------------------------------------------------------------------------ the choice


@entry
def choose_expected(world, state, imagined, n, settings, levels, scratch, work, slates, sizes, chosen):
    """The slates of agent n: those of the planner (`planner_belief`), in expectation over the particles.

    An option weighs what it weighs on average, and its value is that of its clicks on average. Rivals are taken to show
    as much.

    Args:
        settings: price and target of `planner_belief`.
        levels, scratch, slates, sizes, chosen: as for `assortment.choose`.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        sizes[b], chosen[b] = 0, levels[0]
        if not is_active(world, p, state.copies[b], n):
            continue
        count = list_showable(world, state, p, b, n, scratch.options)
        if count == 0:
            continue
        sizes[b] = min(p.shape.slots, count)
        _normalised(work.log_weights[b], work.odds)
        none, trust = _expected_page(world, imagined, p, b, n, work)
        _believe_all(world, state, imagined, p, b, n, count, 0.0, settings, scratch, work)
        first, stop = active_agents(world, p, state.copies[b])
        rest = log(exp(none) + (stop - first - 1) * exp(trust) * _page_weight(world, p, sizes[b], count, scratch))
        record = -np.inf
        for tried in range(levels[0], levels[1]):
            if sets_prices(p):
                multiplier = log_multiplier(p.offer, position_of_level(p.shape.levels, tried))
                _believe_all(world, state, imagined, p, b, n, count, multiplier, settings, scratch, work)
            value = best_slate(world, state, p, b, n, count, rest, trust, 0.0, record, scratch)
            if value > record:
                record, chosen[b] = value, tried
        for k in range(sizes[b]):
            slates[b, k] = scratch.options[scratch.best[k]]


@kernel
def _normalised(log_weights, shares):
    """Fill shares[S] with weights that add up to 1."""
    largest, total = -np.inf, 0.0
    for s in range(log_weights.size):
        largest = max(largest, log_weights[s])
    for s in range(log_weights.size):
        shares[s] = exp(log_weights[s] - largest)
        total += shares[s]
    for s in range(log_weights.size):
        shares[s] /= total


@kernel
def _expected_page(world, imagined, p, b, n, work):
    """Log of what no click weighs on average, and what trust adds to agent n on average."""
    none, trust = 0.0, 0.0
    for s in range(imagined.users.shape[1]):
        _look_at(imagined, work, b, s)
        none += work.odds[s] * exp(outside_utility(world, p, imagined.users[b, s]))
        trust += work.odds[s] * trust_term(imagined, p, b, n)
    return log(none), trust


@kernel
def _page_weight(world, p, size, count, scratch):
    """Return the total weight of a rival's slots. The agent does not see them. It assumes that they show the items that
    it would show itself, at list prices and at the first ranks."""
    total, bound = 0.0, np.inf
    for k in range(size):
        best = -np.inf
        for i in range(count):
            best = scratch.utilities[i] if best < scratch.utilities[i] < bound else best
        if best > -np.inf:
            total += exp(log_slot_weight(p.choice, best, world.log_theta[k]))
            bound = best
    return exp(inclusive_value(p.choice, log(total), 0.0)) if total > 0.0 else 0.0


@kernel
def _believe_all(world, state, imagined, p, b, n, count, multiplier, settings, scratch, work):
    """Fill the scratch with utilities and values of the agent's options at these prices."""
    for i in range(count):
        j = item_of(state, p, b, n, scratch.options[i])
        scratch.utilities[i], scratch.values[i] = _expected_belief(
            world, imagined, p, b, n, j, multiplier, settings, work
        )


@kernel
def _expected_belief(world, imagined, p, b, n, j, multiplier, settings, work):
    """(v, R) of an item: the log of its mean weight over the particles, and the mean value of a click by weight."""
    total, value, largest = 0.0, 0.0, -np.inf
    for s in range(imagined.users.shape[1]):
        if work.odds[s] < 1e-6:
            continue
        _look_at(imagined, work, b, s)
        v, worth = planner_belief(world, imagined, p, b, n, j, multiplier, settings[0], settings[1])
        if v > largest:
            scale = exp(largest - v)
            total, value, largest = total * scale, value * scale, v
        w = work.odds[s] * exp(v - largest)
        total += w
        value += w * worth
    return largest + log(total), value / total


# ------------------------------------------------------------------------------------------------ the update


@entry
def learn(world, imagined, spent, n, base, results, population, posterior, rows, work):
    """Weigh the particles by what happened on the page that `imagine` prepared, and change them as it would have
    changed the person.

    Args:
        spent: as `imagined`, but for the statistics of items, which are the caller's to spend.
        results: of the agent's slots: visitor [B] (-1 = none), items, ranks [B, K], clicked, cart [B, K] bool, dwell
            [B, K], and log price multipliers [B].
        rows: [B] of the visitors in `posterior`.
    """
    p = world.params[0]
    visitor, items, ranks, clicked, cart, dwell, multipliers = results
    for b in range(visitor.size):
        if visitor[b] < 0 or rows[b] < 0 or posterior.who[b, rows[b]] != visitor[b]:
            continue
        key = rng.child(rng.child(base, b), imagined.copies[b].tick)
        slot = np.int64(-1)
        for k in range(items.shape[1]):
            if items[b, k] >= 0 and clicked[b, k]:
                slot = np.int64(k)
        first, stop = active_agents(world, p, imagined.copies[b])
        for s in range(imagined.users.shape[1]):
            _look_at(imagined, work, b, s)
            work.log_weights[b, s] += _log_likelihood(
                world, imagined, p, b, n, stop - first, slot, items[b], ranks[b], cart[b], dwell[b], multipliers[b]
            )
            _change(world, spent, p, b, n, slot, items[b], ranks[b], dwell[b], rng.child(key, s))
        _draw_anew(imagined, p, b, population.width[0] > 0.0, key, work)
        _save(imagined, p, b, rows[b], posterior, work)
        posterior.who[b, rows[b]] = visitor[b]


@kernel
def _experience_of(world, j, dwell):
    """e of a click on item j with this dwell time."""
    return experience_of(max(np.float64(dwell) / world.items[j].length, 1e-9))


@kernel
def _log_likelihood(world, imagined, p, b, n, agents, slot, items, ranks, cart, dwell, multiplier):
    """Log of how likely these responses to the agent's slots are for the present particle.

    What rivals show on the same page is taken to weigh as much as what the agent shows.
    """
    total, mine = 0.0, 0.0
    for k in range(items.size):
        if items[k] >= 0:
            v = utility_of(world, imagined, p, b, np.int64(items[k]), multiplier)
            w = exp(log_slot_weight(p.choice, v, world.log_theta[ranks[k]]))
            total += w
            mine = w if k == slot else mine
    if total <= 0.0:
        return 0.0
    none = outside_utility(world, p, imagined.users[b, imagined.copies[b].visitor])
    odds = exp(inclusive_value(p.choice, log(total), trust_term(imagined, p, b, n)) - none)
    share = odds / (1.0 + agents * odds)
    if slot < 0:
        return log(1.0 - share)
    j, scale = np.int64(items[slot]), p.feedback.noise_scale
    found = log(share * mine / total)
    if scale > 0.0 and p.shape.moods == 0:
        x = (_experience_of(world, j, dwell[slot]) - expected_experience(world, imagined, p, b, j, multiplier)) / scale
        found -= 2.0 * log(exp(0.5 * x) + exp(-0.5 * x))  # the logistic density, up to a constant
    chance = min(max(cart_chance(world, imagined, p, b, j, multiplier), 1e-9), 1.0 - 1e-9)
    if world.scenes[imagined.copies[b].scene].cart > 0:
        found += log(chance if cart[slot] else 1.0 - chance)
    return found


@kernel
def _change(world, spent, p, b, n, slot, items, ranks, dwell, key):
    """Change the present particle as the page does, as `step.take_effect` changes the visitor."""
    fade(spent, p, b)
    copy = spent.copies[b]
    for k in range(items.size):
        if items[k] >= 0:
            spent.vectors[b, copy.row, p.shape.satiation + world.items[items[k]].topic] += p.dynamics.satiation_shown
    for m in range(p.shape.agents):
        spent.inclusive[b, m] = 0.0 if m == n else -np.inf
    topic = np.int64(-1)
    if slot >= 0:
        j = np.int64(items[slot])
        e = _experience_of(world, j, dwell[slot])
        topic = np.int64(world.items[j].topic)
        after_click(world, spent, p, b, n, j, pleasure(e), log_softplus(e))
    else:
        after_no_click(world, spent, p, b)
    if p.shape.moods > 0:
        move_mood(spent, p, b, draw_mood(world, p, topic, key))


@kernel
def _draw_anew(imagined, p, b, moves, key, work):
    """Draw the particles anew by their weights if few carry the weight. If tastes are continuous, they move towards
    their mean, and are spread again as widely as they were."""
    size, dims = imagined.users.shape[1], p.shape.dims
    _normalised(work.log_weights[b], work.odds)
    square = 0.0
    for s in range(size):
        square += work.odds[s] * work.odds[s]
    largest = -np.inf
    for s in range(size):
        largest = max(largest, work.log_weights[b, s])
    for s in range(size):
        work.log_weights[b, s] -= largest
    if 1.0 / square >= _FEW * size:
        return
    for d in range(dims):
        mean, second = 0.0, 0.0
        for s in range(size):
            x = np.float64(imagined.vectors[b, s, p.shape.taste + d])
            mean += work.odds[s] * x
            second += work.odds[s] * x * x
        work.mean[d] = mean
        work.spread[d] = math.sqrt(max(second - mean * mean, 0.0) * (1.0 - _SHRINKAGE * _SHRINKAGE))
    shift, below, parent = rng.uniform(key, _MOVE, 0), 0.0, 0
    for s in range(size):
        while parent < size - 1 and below + work.odds[parent] < (s + shift) / size:
            below += work.odds[parent]
            parent += 1
        work.parents[s] = parent
    for s in range(size):
        parent = work.parents[s]
        _copy_user(imagined.users[b, parent], work.users[s])
        work.drawn_intents[s] = work.intents[b, parent]
        for w in range(p.shape.width):
            work.vectors[s, w] = imagined.vectors[b, parent, w]
    for s in range(size):
        _copy_user(work.users[s], imagined.users[b, s])
        work.intents[b, s], work.log_weights[b, s] = work.drawn_intents[s], 0.0
        for w in range(p.shape.width):
            imagined.vectors[b, s, w] = work.vectors[s, w]
        if moves:
            for d in range(dims):
                x = _SHRINKAGE * work.vectors[s, p.shape.taste + d] + (1.0 - _SHRINKAGE) * work.mean[d]
                imagined.vectors[b, s, p.shape.taste + d] = x + work.spread[d] * rng.normal(key, _JITTER, s * dims + d)
            _normalise(imagined, p, b, s)
