"""Consequences of a click: experienced utility, dwell, cart or instant purchase, later purchases, rating, like."""

from __future__ import annotations

import numpy as np

from .equations import (
    Consumed,
    cart_probability,
    dwell_time,
    experience,
    later_reward,
    like_probability,
    pleasure,
    rating_value,
    slot_reward,
    stars,
)
from .machine import rng
from .machine.compiler import entry, kernel
from .machine.numeric import log_softplus
from .machine.vectors import dot
from .page import (
    can_pay,
    in_stock,
    is_available,
    log_price_now,
    price_asked,
    price_now,
    purchase_value,
    touch_item,
    wallet_now,
)


@kernel
def consumed(world, state, p, b, j, log_price_multiplier, priced):
    """Item j, offered at exp(log_price_multiplier) times its price, as the present visitor of copy b consumes it. Its
    price is looked up only if `priced`."""
    item, copy = world.items[j], state.copies[b]
    return Consumed(
        quality=np.float64(item.quality),
        bait=np.float64(item.bait),
        match=dot(state.vectors, b, copy.row, p.shape.taste, world.item_vectors, j, p.shape.dims),
        satiation=np.float64(state.vectors[b, copy.row, p.shape.satiation + item.topic]),
        sensitivity=np.float64(state.users[b, copy.visitor].rho),
        log_price=log_price_now(world, p, j, copy.tick) + log_price_multiplier if priced else 0.0,
        cart_intercept=world.topics[item.topic].cart_intercept,
    )


@kernel
def expected_experience(world, state, p, b, j, log_price_multiplier):
    """e of item j, offered at exp(log_price_multiplier) times its price, for the present visitor, before noise."""
    return experience(p.feedback, consumed(world, state, p, b, j, log_price_multiplier, p.feedback.a_price != 0.0))


@kernel
def cart_chance(world, state, p, b, j, log_price_multiplier):
    """P(cart | click on item j, offered at exp(log_price_multiplier) times its price) in the present scene; 0 where it
    has no cart or the wallet cannot pay."""
    copy = state.copies[b]
    price = price_asked(world, p, j, copy.tick, log_price_multiplier)
    if world.scenes[copy.scene].cart == 0 or not can_pay(p, state.users[b, copy.visitor], price, copy.tick):
        return 0.0
    return cart_probability(
        p.feedback, consumed(world, state, p, b, j, log_price_multiplier, p.feedback.b_price != 0.0)
    )


@kernel
def experience_clicks(world, state, report, scratch, p, first, stop):
    """Into the scratch, at positions first .. stop - 1 of the queue, which are copies with a click: the experienced
    utility e of the item, how long the visitor dwells on it, and what of it moves the visitor and the statistics.

    Logarithms and exponentials are taken in passes over all of them, which vectorise.
    """
    for i in range(first, stop):
        b = scratch.queue[i]
        turn = scratch.turns[b]
        j, log_price_multiplier = (
            report.slots[b, turn.agent, turn.slot].item,
            report.agents[b, turn.agent].log_price_multiplier,
        )
        scratch.expected_experience[i] = expected_experience(world, state, p, b, j, log_price_multiplier)
        scratch.length[i] = world.items[j].length
        scratch.noise_quantile[i] = rng.uniform(turn.key, rng.NOISE, 0)
    for i in range(first, stop):
        noise = p.feedback.noise_scale * rng.logistic_quantile(scratch.noise_quantile[i])
        scratch.experience[i] = scratch.expected_experience[i] + noise
    for i in range(first, stop):
        scratch.dwell[i] = dwell_time(p.feedback, scratch.length[i], scratch.experience[i])
    for i in range(first, stop):
        scratch.pleasure[i] = pleasure(scratch.experience[i])
    for i in range(first, stop):
        scratch.log_dwell[i] = log_softplus(scratch.experience[i])


@kernel
def consume(world, state, report, p, b, n, k, key, e, dwell):
    """Apply what a click on slot k of agent n brings at once, given the experience e of the item and the dwell time."""
    copy, slot = state.copies[b], report.slots[b, n, k]
    j, user, log_price_multiplier = slot.item, state.users[b, copy.visitor], report.agents[b, n].log_price_multiplier
    slot.clicked = True
    slot.dwell = dwell
    slot.liked = rng.uniform(key, rng.LIKE, 0) < like_probability(p.feedback, world.items[j].length, e)
    rated = rng.uniform(key, rng.RATING, 0) < p.feedback.rating_after_click
    if rng.uniform(key, rng.CART, 0) < cart_chance(world, state, p, b, j, log_price_multiplier):
        slot.cart = True
        if p.feedback.instant:
            slot.bought = True
            slot.sale = purchase_value(world, p, j, purchase(world, state, p, b, j, log_price_multiplier))
            rated = rated or rng.uniform(key, rng.RATING, 1) < p.feedback.rating_after_purchase
    if rated:
        slot.rating = stars(p.feedback, e, user.rating_bias)
    if p.shape.auctioned:
        report.agents[b, n].individual_reward += report.bids[b, n].worth * slot_reward(world.agents[n], slot)
    else:
        report.agents[b, n].individual_reward += slot_reward(world.agents[n], slot)


@kernel
def purchase(world, state, p, b, j, log_price_multiplier):
    """Take one unit from stock and its price from the visitor's wallet; returns the price, in mean list prices."""
    copy = state.copies[b]
    user = state.users[b, copy.visitor]
    price = price_asked(world, p, j, copy.tick, log_price_multiplier)
    if p.items.stock_init > 0:
        touch_item(world, state, p, b, j, copy.stamp, copy.tick)
        state.items[b, j].stock -= 1
    if p.users.wallet_init > 0.0:
        user.wallet = wallet_now(p, user, copy.tick) - price
        user.wallet_tick = copy.tick
    return price


@kernel
def can_buy(world, state, p, b, j):
    """Whether a cart item is not refused by availability, stock or wallet."""
    copy = state.copies[b]
    if not is_available(world, p, j, copy.tick) or not in_stock(world, state, p, b, j, copy.stamp, copy.tick):
        return False
    return can_pay(p, state.users[b, copy.visitor], price_now(world, p, j, copy.tick), copy.tick)


@kernel
def put_in_cart(state, p, b, j, n, experience, rated):
    """Item j becomes the newest in the visitor's cart, credited to agent n. Returns how many entries count as old at
    this page.

    An item already there only moves (and is still an old one); from a full cart the oldest is dropped.
    """
    copy = state.copies[b]
    user, cart = state.users[b, copy.visitor], state.carts[b, copy.row]
    size, old = user.cart, user.cart
    start = size
    for i in range(size):
        if cart[i].item == j:
            start = i
            break
    if start == size and size == p.shape.cart:
        start = 0
        old -= 1
    elif start == size:
        user.cart = size + 1
    last = user.cart - 1
    for i in range(start, last):
        entry, after = cart[i], cart[i + 1]
        entry.item, entry.agent, entry.experience, entry.rated = after.item, after.agent, after.experience, after.rated
    entry = cart[last]
    entry.item, entry.agent, entry.experience, entry.rated = j, n, experience, rated
    return old


@kernel
def settle_cart(world, state, report, p, b, old, key):
    """The `old` oldest cart items are, in turn, bought (hazard h), else abandoned (h'), else kept; refused =
    abandoned."""
    copy = state.copies[b]
    user = state.users[b, copy.visitor]
    kept = 0
    for i in range(user.cart):
        cart = state.carts[b, copy.row, i]
        keep = i >= old
        if not keep:
            if rng.uniform(key, rng.OLD_CART, 2 * i) < p.feedback.cart_hazard:
                if can_buy(world, state, p, b, cart.item):
                    _buy_later(world, state, report, p, b, i, key)
            else:
                keep = rng.uniform(key, rng.OLD_CART, 2 * i + 1) >= p.feedback.cart_abandon
        if keep:
            to = state.carts[b, copy.row, kept]
            to.item, to.agent, to.experience, to.rated = cart.item, cart.agent, cart.experience, cart.rated
            kept += 1
    user.cart = kept


@kernel
def _buy_later(world, state, report, p, b, i, key):
    copy = state.copies[b]
    cart, later = state.carts[b, copy.row, i], report.later[b, i]
    later.item, later.agent, later.rating = cart.item, cart.agent, 0
    later.price = purchase(world, state, p, b, cart.item, 0.0)  # prices are offered only where purchases are instant
    if cart.rated == 0 and rng.uniform(key, rng.RATING, 2 + i) < p.feedback.rating_after_purchase:
        later.rating = stars(p.feedback, cart.experience, state.users[b, copy.visitor].rating_bias)
    value = rating_value(later.rating)
    report.agents[b, cart.agent].individual_reward += later_reward(world.agents[cart.agent], later.price, value)


@entry
def read_rewards(world, agents, slots, rewards):
    """rewards[i] of agents[i] for what happened to slots[i]: for what takes rewards apart."""
    for i in range(slots.size):
        rewards[i] = slot_reward(world.agents[agents[i]], slots[i])
