"""Exact expectations of one page: click and cart probabilities of every slot, and every agent's expected own reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .actions import read_actions
from .choice import fill_clicks, weigh_slots
from .equations import REACTIONS, later_reward, pleasure, rating_value, stars
from .feedback import cart_chance, expected_experience
from .machine.compiler import entry, kernel, stage
from .machine.numeric import sigmoid
from .objectives import page_objectives, share_rewards
from .page import (
    in_stock,
    is_available,
    price_asked,
    price_now,
    purchase_value,
    wallet_now,
)
from .page_kinds import active_agents
from .platform import fill_page

_RANGE = 18.0  # logistic noise beyond this has probability 3e-8
_STEP = 1.0  # the poles of tanh(noise_scale x) lie pi / (2 noise_scale) from the line, those of the density pi


def mean_over_noise(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The function (f, length, mean) that is E formula(f, length, e) for e = mean + noise_scale * logistic noise.

    Trapezoid rule on the whole line, which converges exponentially for analytic integrands (Trefethen & Weideman 2014);
    absolute error below 1e-6 for any scale.
    """

    @kernel
    def expectation(f, length, mean):
        scale = f.noise_scale
        if scale == 0.0:
            return formula(f, length, mean)
        step = _STEP / max(1.0, 2.0 * scale)
        count = np.int64(_RANGE / step)
        weighted, total = 0.0, 0.0
        for i in range(-count, count + 1):
            x = i * step
            s = sigmoid(x)
            density = s * (1.0 - s)
            weighted += density * formula(f, length, mean + scale * x)
            total += density
        return weighted / total

    return expectation


@kernel
def _pleasure(f, length, e):
    return pleasure(e)


mean_pleasure = mean_over_noise(_pleasure)


@kernel
def _nothing(f, weights, length, mean):
    return 0.0


def _mean_payments(events: Sequence[str]) -> Callable[..., Any]:
    """The function (f, weights, length, mean) that is what a click pays on average for these reactions to it."""
    if not events:
        return _nothing
    event, others, mean_of = events[-1], _mean_payments(events[:-1]), mean_over_noise(REACTIONS[events[-1]])

    @kernel
    def payments(f, weights, length, mean):
        paid = others(f, weights, length, mean)
        return paid + weights[event] * mean_of(f, length, mean) if weights[event] != 0.0 else paid

    return payments


reaction_reward = _mean_payments(tuple(REACTIONS))


@kernel
def mean_rating_value(p, mean, bias):
    """E (rating - 3) / 2 of a rated experience, in closed form: each cutpoint is passed with a logistic probability."""
    total = 0.0
    for i in range(4):
        margin = mean + bias - p.feedback.rating_cutpoints[i]
        if p.feedback.noise_scale > 0.0:
            total += sigmoid(margin / p.feedback.noise_scale)
        elif margin >= 0.0:
            total += 1.0
    return total / 2.0 - 1.0


@kernel
def click_value(world, state, p, b, n, j, log_price_multiplier):
    """Expected own reward of agent n, at this page, from a click on its item j, offered at exp(log_price_multiplier)
    times its price; and P(cart | click)."""
    copy, agent, f = state.copies[b], world.agents[n], p.feedback
    mean = expected_experience(world, state, p, b, j, log_price_multiplier)
    value = np.float64(agent.click) + reaction_reward(f, agent, world.items[j].length, mean)
    cart = cart_chance(world, state, p, b, j, log_price_multiplier)
    value += cart * agent.cart
    rated = f.rating_after_click
    if f.instant:
        paid = price_asked(world, p, j, copy.tick, log_price_multiplier)
        value += cart * agent.purchase * purchase_value(world, p, j, paid)
        rated += (1.0 - rated) * cart * f.rating_after_purchase
    if rated > 0.0:
        value += agent.rating * rated * mean_rating_value(p, mean, state.users[b, copy.visitor].rating_bias)
    return value, cart


@stage
def _settle(world, state, p, b, old, first, moved, agent, mean, weight, individual_reward):
    """Add `weight` times the expected individual rewards of the old cart items to individual_reward[b].

    The queue is cart entries first, first + 1, ... without `moved`, then `moved` (-1 = none) credited to `agent`;
    `mean` is the experience of its new click. All 2^old patterns of purchases are enumerated, since each purchase
    lightens the wallet.
    """
    copy = state.copies[b]
    user = state.users[b, copy.visitor]
    for pattern in range(1 << old):
        probability = weight
        wallet = wallet_now(p, user, copy.tick)
        for i in range(old):
            e = _queued(first, moved, old, i)
            j = np.int64(state.carts[b, copy.row, e].item)
            price = price_now(world, p, j, copy.tick)
            buyable = is_available(world, p, j, copy.tick) and in_stock(world, state, p, b, j, copy.stamp, copy.tick)
            buyable = buyable and (p.users.wallet_init == 0.0 or wallet >= price)
            if (pattern >> i) & 1:
                probability *= p.feedback.cart_hazard if buyable else 0.0
                wallet -= price
            elif buyable:
                probability *= 1.0 - p.feedback.cart_hazard
        if probability <= 0.0:
            continue
        for i in range(old):
            if (pattern >> i) & 1:
                e = _queued(first, moved, old, i)
                n = np.int64(agent) if e == moved else np.int64(state.carts[b, copy.row, e].agent)
                individual_reward[b, n] += probability * _later_value(world, state, p, b, n, e, e == moved, mean)


@kernel
def _queued(first, moved, old, i):
    """Cart entry at position i of the queue."""
    if moved < 0:
        return first + i
    if i == old - 1:
        return moved
    return i if i < moved else i + 1


@kernel
def _later_value(world, state, p, b, n, e, moved, mean):
    """Return the individual reward of agent n when cart entry e is bought now."""
    copy, agent = state.copies[b], world.agents[n]
    cart, bias = state.carts[b, copy.row, e], state.users[b, copy.visitor].rating_bias
    price = price_now(world, p, np.int64(cart.item), copy.tick)
    value = later_reward(agent, price, 0.0)
    if moved:
        unrated = 1.0 - p.feedback.rating_after_click
        value += agent.rating * unrated * p.feedback.rating_after_purchase * mean_rating_value(p, mean, bias)
    elif cart.rated == 0:
        value += (
            agent.rating * p.feedback.rating_after_purchase * rating_value(stars(p.feedback, cart.experience, bias))
        )
    return value


@kernel
def _expect_later(world, state, report, p, b, cart, individual_reward):
    """Purchases of items that were in the cart when the page began, over everything that may be carted at this page."""
    copy = state.copies[b]
    size = np.int64(state.users[b, copy.visitor].cart)
    carted = 0.0
    for n in range(p.shape.agents):
        for k in range(p.shape.slots):
            if cart[b, n, k] <= 0.0:
                continue
            carted += cart[b, n, k]
            j, moved = report.slots[b, n, k].item, np.int64(-1)
            for i in range(size):
                if state.carts[b, copy.row, i].item == j:
                    moved = np.int64(i)
            mean = expected_experience(world, state, p, b, np.int64(j), 0.0)
            dropped = 1 if moved < 0 and size == p.shape.cart else 0
            _settle(world, state, p, b, size - dropped, dropped, moved, n, mean, cart[b, n, k], individual_reward)
    _settle(world, state, p, b, size, 0, np.int64(-1), 0, 0.0, 1.0 - carted, individual_reward)


@stage
def _expect_page(world, state, report, scratch, p, b, click, cart, individual_reward, objectives):
    """Fill click, cart, own and objectives of copy b, whose actions have been read."""
    first, stop = active_agents(world, p, state.copies[b])
    fill_page(world, state, report, scratch, p, b)
    weigh_slots(world, state, report, scratch, p, b, b + 1)
    fill_clicks(world, state, report, scratch, p, b, click)
    for n in range(first, stop):
        objectives[b, n] = page_objectives(world, state, report, p, b, n)
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            if slot.item >= 0:
                value, carts = click_value(
                    world, state, p, b, n, np.int64(slot.item), report.agents[b, n].log_price_multiplier
                )
                cart[b, n, k] = click[b, n, k] * carts
                individual_reward[b, n] += click[b, n, k] * value
        if p.shape.auctioned:
            individual_reward[b, n] = report.bids[b, n].worth * individual_reward[b, n] - report.bids[b, n].payment
    if p.shape.cart > 0:
        _expect_later(world, state, report, p, b, cart, individual_reward)


@entry
def expect(world, state, report, scratch, actions, click, cart, individual_reward, objectives, rewards):
    """Fill click, cart [B, N, K], individual_reward, objectives and rewards [B, N], all zeros before.

    This function overwrites parts of `state` and the report's slots, price multipliers and bids: pass copies.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        if state.copies[b].visitor < 0:
            continue
        for n in range(p.shape.agents):
            for k in range(p.shape.slots):
                report.slots[b, n, k].item = -1
        read_actions(world, state, report, scratch, p, b, actions)
        _expect_page(world, state, report, scratch, p, b, click, cart, individual_reward, objectives)
        share_rewards(p, b, individual_reward, objectives, rewards)
