"""Which slots of the page are real: availability, stock, prices, and holes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..config.responses import RESPONSES, Response
from .equations import margin_value, relative_ctr, relative_satisfaction, wallet_after
from .machine import rng
from .machine.compiler import entry, kernel
from .machine.numeric import exp
from .page_kinds import active_agents, competitors, shown_agents, slot_at

REDUCED = 0.99  # of the list price: a price of the catalogue below it is called reduced
CANDIDATES, ITEMS, QUERY, WEIGHTS = 0, 1, 2, 3  # with "publish", `p.shape.ranked` says so


@kernel
def actions_of_pick(p):
    """With a single slot: how many actions name the same pick, one for each level of prices or bids and word."""
    return max(p.shape.levels, 1) * max(p.shape.vocabulary, 1)


@kernel
def sets_prices(p):
    """Whether the levels that agents set are those of prices."""
    return p.shape.levels > 0 and not p.shape.auctioned


@kernel
def clock_of(world, p, j, tick):
    """(window, age): number of the availability window that item j is in (its incarnation), ticks since it opened.

    The first window is number 0, because no offset is as long as a period. Of 32 bits: a longer division takes twice as
    long.
    """
    if not p.shape.windows:
        return np.int64(0), np.int64(0)
    passed, period = np.uint32(tick + world.items[j].offset), np.uint32(p.items.period)
    window = np.uint32(passed // period)
    return np.int64(window), np.int64(np.uint32(passed - window * period))


@kernel
def window_of(world, p, j, tick):
    """Number of the availability window that item j is in."""
    return clock_of(world, p, j, tick)[0]


@kernel
def age_of(world, p, j, tick):
    """Ticks since item j's window opened."""
    return clock_of(world, p, j, tick)[1]


@kernel
def is_available(world, p, j, tick):
    return not p.shape.windows or age_of(world, p, j, tick) < p.items.life


@kernel
def is_allowed(world, p, n, j):
    """Whether item j is in agent n's inventory."""
    return not p.shape.restricted or world.allowed[n, j]


@kernel
def price_draw(p, j, tick):
    """Uniform random number that decides on item j's price: a pure hash of (world seed, item, promotion period)."""
    item = rng.child(rng.stream(np.uint64(p.shape.world_seed), rng.PROMOTIONS), j)
    return rng.uniform(rng.child(item, tick // p.items.promotion_period), 0, 0)


@kernel
def ratio_now(p, j, tick):
    """Which of the catalogue's prices of item j holds now."""
    return np.int64(price_draw(p, j, tick) * p.shape.price_ratios)


@kernel
def is_promoted(world, p, j, tick):
    """Whether item j's price is reduced; not for j = -1."""
    if p.shape.price_ratios > 0:
        return j >= 0 and world.price_ratios[j, ratio_now(p, j, tick)].ratio < REDUCED
    return p.items.promotion_probability > 0.0 and price_draw(p, j, tick) < p.items.promotion_probability


@kernel
def log_price(world, p, j, tick, promoted):
    """x_j: log(price / geometric mean list price of its topic); `promoted` says whether the price is reduced."""
    if p.shape.price_ratios > 0:
        return world.items[j].log_price + world.price_ratios[j, ratio_now(p, j, tick)].log_ratio
    return world.items[j].log_price + (p.shape.log_promotion if promoted else 0.0)


@kernel
def log_price_now(world, p, j, tick):
    return log_price(world, p, j, tick, is_promoted(world, p, j, tick))


@kernel
def usual_log_price(world, p, j):
    """x of item j at its usual price, the geometric mean of what is asked for it."""
    x = np.float64(world.items[j].log_price)
    for r in range(p.shape.price_ratios):
        x += world.price_ratios[j, r].log_ratio / p.shape.price_ratios
    return x


@kernel
def price_now(world, p, j, tick):
    """Price now, in mean list prices."""
    price = np.float64(world.items[j].price)
    if p.shape.price_ratios > 0:
        return price * world.price_ratios[j, ratio_now(p, j, tick)].ratio
    return price * (1.0 - p.items.promotion_depth) if is_promoted(world, p, j, tick) else price


@kernel
def price_asked(world, p, j, tick, log_price_multiplier):
    """Price that an agent asks for item j, in mean list prices: exp(log_price_multiplier) times its price now."""
    price = price_now(world, p, j, tick)
    return price * exp(log_price_multiplier) if sets_prices(p) else price


@kernel
def purchase_value(world, p, j, paid):
    """Return what a purchase of item j at this price counts, in mean margins: the price, or, where agents set prices,
    the margin. At the list price both are the same."""
    return margin_value(p.reward, paid, world.items[j].price) if sets_prices(p) else paid


@kernel
def item_statistics(world, state, p, b, j, stamp, tick):
    """Return decayed statistics of item j over all users: (popularity, clicks, impressions, satisfaction).

    They combine the historical log with this episode. Popularity counts clicks as well, but starts from the log's own
    count, `World.items.popularity`. Impressions are weighted by examination theta. Satisfaction is the sum of
    log(dwell / length) over the clicks.
    """
    return _statistics(world, state, p, b, j, stamp, tick, 1.0)


@kernel
def public_statistics(world, state, p, b, j, stamp, tick):
    """Return `item_statistics` as agents may see it: with differential privacy, of the historical log only."""
    return _statistics(world, state, p, b, j, stamp, tick, 0.0 if is_private(p) else 1.0)


@kernel
def public_popularity(world, state, p, b, j, stamp, tick):
    """Decayed clicks of everybody on item j, as far as everybody may know of them."""
    return public_statistics(world, state, p, b, j, stamp, tick)[0]


@kernel
def _statistics(world, state, p, b, j, stamp, tick, share):
    """Statistics of an item from the historical log and from this share of what happened to it in the episode."""
    item, row = world.items[j], state.items[b, j]
    past, present = _decays(world, row, window_of(world, p, j, tick), stamp, tick)
    present *= share
    popularity = past * item.popularity + present * row.clicks
    clicks = past * item.log_clicks + present * row.clicks
    impressions = past * p.items.log_impressions + present * row.impressions
    return popularity, clicks, impressions, past * item.log_satisfaction + present * row.satisfaction


@kernel
def popularity_now(world, state, p, b, j, stamp, tick):
    """Decayed clicks of everybody on item j."""
    return item_statistics(world, state, p, b, j, stamp, tick)[0]


@kernel
def _decays(world, row, window, stamp, tick):
    """Return the shares that are left of an item's history, none where its present window opened within the episode,
    and of what its row holds."""
    past = np.float64(world.decay[tick]) if window == 0 else 0.0
    mine = np.int64((row.stamp == stamp) & (row.window == window))  # a factor: nobody could predict the branch
    return past, mine * np.float64(world.decay[mine * (tick - row.touched)])


@kernel
def stock_now(world, state, p, b, j, stamp, tick):
    """Units of item j in stock; callers know that stock is limited."""
    row = state.items[b, j]
    sold = (row.stamp == stamp) & (row.window == window_of(world, p, j, tick)) & (tick < row.restock)
    left = np.int64(row.stock)
    return left if sold else p.items.stock_init


@kernel
def in_stock(world, state, p, b, j, stamp, tick):
    return p.items.stock_init == 0 or stock_now(world, state, p, b, j, stamp, tick) > 0


@kernel
def touch_item(world, state, p, b, j, stamp, tick):
    """Bring item j's row up to this tick, before it is written to."""
    row, window = state.items[b, j], window_of(world, p, j, tick)
    stock = stock_now(world, state, p, b, j, stamp, tick)
    _, left = _decays(world, row, window, stamp, tick)
    row.clicks *= left
    row.impressions *= left
    row.satisfaction *= left
    row.stock, row.restock = stock, (tick // p.items.restock_period + 1) * p.items.restock_period
    row.window, row.stamp, row.touched = window, stamp, tick


@kernel
def wallet_now(p, user, tick):
    """Money of a user, in mean list prices; callers know that wallets are limited."""
    return wallet_after(p.users, np.float64(user.wallet), tick - user.wallet_tick)


@kernel
def can_pay(p, user, price, tick):
    return p.users.wallet_init == 0.0 or wallet_now(p, user, tick) >= price


@kernel
def is_private(p):
    """Whether agents see people through a mechanism of differential privacy."""
    return p.shape.released_views > 0


@kernel
def retrieves(p):
    """Whether agents choose among candidates, not among all items."""
    return p.shape.candidates > 0


@kernel
def is_continuous(p):
    """Whether actions are vectors."""
    return p.shape.action == QUERY or p.shape.action == WEIGHTS


@kernel
def view_of(p, n):
    """Which of the histories of a visitor agent n reads and writes: its own, or the one that all share."""
    return 0 if p.shape.views == 1 else n


def _clearing(responses: Sequence[Response]) -> Callable[..., Any]:
    """The function that takes these responses back from a slot."""
    name, nothing = responses[0].name, np.zeros((), responses[0].kind)[()]

    @kernel
    def clear_one(slot):
        slot[name] = nothing

    if len(responses) == 1:
        return clear_one
    clear_others = _clearing(responses[1:])

    @kernel
    def clear(slot):
        clear_one(slot)
        clear_others(slot)

    return clear


_clear_responses = _clearing(RESPONSES)


@kernel
def clear_slots(report, p, b):
    """All slots empty, as in an idle tick."""
    for n in range(p.shape.agents):
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            slot.item, slot.rank = -1, -1
            slot.weight, slot.utility, slot.sale = 0.0, 0.0, 0.0
            _clear_responses(slot)


@kernel
def fill_slots(world, state, report, p, b, shown):
    """Put the shown[b, N, K] items on the page, round by round; those that cannot stand there leave holes."""
    copy = state.copies[b]
    first, stop = active_agents(world, p, copy)
    for n in range(first, stop):
        for k in range(p.shape.slots):
            j = np.int64(shown[b, n, k])
            if j >= 0 and not can_show(world, state, p, b, n, j):
                shown[b, n, k] = -1
    first, stop = shown_agents(state, report, p, b, shown, first, stop)
    for k in range(p.shape.slots):
        for turn in range(stop - first):
            n, rank = slot_at(state, p, b, k, turn, first, stop)
            slot = report.slots[b, n, k]
            slot.rank = rank
            slot.item = _standing(report, p, b, n, k, shown[b, n, k], first, stop)


@kernel
def can_show(world, state, p, b, n, j):
    """Whether item j is in agent n's inventory, available and in stock."""
    copy = state.copies[b]
    if not is_allowed(world, p, n, j) or not is_available(world, p, j, copy.tick):
        return False
    return in_stock(world, state, p, b, j, copy.stamp, copy.tick)


@kernel
def _standing(report, p, b, n, k, j, first, stop):
    """Item j if no slot that has been filled, of an agent that competes with agent n, shows it, else -1."""
    if j < 0:
        return -1
    first, stop = competitors(p, n, first, stop)
    for m in range(first, stop):
        for i in range(k + 1):
            if report.slots[b, m, i].item == j:
                return -1
    return j


@entry
def read_prices(world, items, tick, prices, promoted):
    """prices[i] of items[i] at this tick, in mean list prices, and whether it is promoted: for what reads the public
    catalogue."""
    p = world.params[0]
    for i in range(items.size):
        prices[i] = price_now(world, p, items[i], tick)
        promoted[i] = is_promoted(world, p, items[i], tick)


@entry
def read_purchase_values(world, items, paid, values):
    """values[i] of a purchase of items[i] at paid[i], in mean margins: for what takes rewards apart."""
    p = world.params[0]
    for i in range(items.size):
        values[i] = purchase_value(world, p, items[i], paid[i])


@entry
def read_items(world, state, price, promoted, available, stock, age, popularity, ctr, satisfaction):
    """Fill in what everybody may know of each item at the present tick of each copy, [B, M] each: price in mean list
    prices, units in stock (-1 = unlimited), ticks since its window opened (0 without windows), decayed clicks of
    everybody, and the features `ctr` and `satisfaction`."""
    p = world.params[0]
    for b in range(state.copies.size):
        tick, stamp = state.copies[b].tick, state.copies[b].stamp
        for j in range(p.shape.items):
            price[b, j], promoted[b, j] = price_now(world, p, j, tick), is_promoted(world, p, j, tick)
            available[b, j], age[b, j] = is_available(world, p, j, tick), age_of(world, p, j, tick)
            stock[b, j] = stock_now(world, state, p, b, j, stamp, tick) if p.items.stock_init > 0 else -1
            popularity[b, j], clicks, impressions, total = public_statistics(world, state, p, b, j, stamp, tick)
            ctr[b, j], satisfaction[b, j] = (
                relative_ctr(p.shape.mean_ctr, clicks, impressions),
                relative_satisfaction(p.shape.mean_satisfaction, clicks, total),
            )


@entry
def read_wallets(world, state, user_slots, wallets):
    """wallets[b] of the user in user_slots[b] of copy b: money at its present tick, in mean list prices, infinite where
    wallets are unlimited."""
    p = world.params[0]
    for b in range(user_slots.size):
        user = state.users[b, user_slots[b]]
        wallets[b] = wallet_now(p, user, state.copies[b].tick) if p.users.wallet_init > 0.0 else np.inf
