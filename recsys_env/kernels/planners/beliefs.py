"""Beliefs of policies about an item: v, its utility to the visitor, and R, what a click on it is worth to the agent.

popularity_belief   public decayed counts
content_belief      what the agent may observe, given `estimate_taste`
oracle_belief       the truth, unobserved parts included
planner_belief      the same, with what a click does for later pages

The last three are of an item offered at exp(log_price_multiplier) times its price.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ...config.fields import HISTORY
from ..choice import freshness_now, outside_utility, utility_of
from ..dynamics import mood_probabilities
from ..equations import Alternative, Consumed, approach, cart_probability, experience, later_sale, utility
from ..expected import click_value, mean_pleasure, reaction_reward
from ..feedback import cart_chance, expected_experience
from ..machine.compiler import kernel
from ..machine.numeric import exp, log1p
from ..machine.vectors import row_dot
from ..page import (
    log_price_now,
    price_asked,
    price_now,
    public_popularity,
    purchase_value,
    sets_prices,
    usual_log_price,
    view_of,
)
from ..retrieval import seen_count

_MEAN_BAIT = 0.5
_CLICK_MATCH = 0.65  # mean <p, q> of a clicked item, about what the tasks show under this policy


class Sees(NamedTuple):
    """Parts of a visitor that an agent's role lets its beliefs rest on."""

    profile: bool
    history: bool  # with all that follows from it: matches, topics and repeats
    anchor: bool

    @classmethod
    def unless(cls, hidden: Collection[str]) -> Sees:
        """All but what follows from these fields of the observation."""
        history = {field.name for field in HISTORY}
        return cls(profile="profile" not in hidden, history=history.isdisjoint(hidden), anchor="anchor" not in hidden)


class ExpectedAppeal(NamedTuple):
    """Expected appeal of an item whose own record is not known, x being the log of its usual price over the mean list
    price of its topic (`page.usual_log_price`).

    Its intercept, quality and clickbait add `intercept + popularity * log(1 + public popularity) + price * x` to its
    utility, and its quality is `quality * x`.
    """

    intercept: float
    popularity: float
    price: float
    quality: float


@kernel
def _later_sale(world, p, b, n, j, tick, cart):
    """Value of a cart of this probability: what it pays later."""
    if p.feedback.instant:
        return 0.0
    return later_sale(p.feedback, cart * world.agents[n].purchase * price_now(world, p, j, tick))


@kernel
def popularity_belief(world, state, p, b, j, newcomer):
    """Decayed count; of a new item at least what its provider's items had on average, `newcomer`[j]."""
    copy = state.copies[b]
    known = public_popularity(world, state, p, b, j, copy.stamp, copy.tick)
    age = (copy.tick + world.items[j].offset) % p.items.period if p.shape.windows else np.int64(0)
    return max(known, newcomer[j]) if p.shape.windows and age < p.items.popularity_half_life else known


@kernel
def oracle_belief(world, state, p, b, n, j, log_price_multiplier):
    """(v, R) from the true visitor."""
    value, cart = click_value(world, state, p, b, n, j, log_price_multiplier)
    value += _later_sale(world, p, b, n, j, state.copies[b].tick, cart)
    return utility_of(world, state, p, b, j, log_price_multiplier), value


@kernel
def planner_belief(world, state, p, b, n, j, log_price_multiplier, price, target):
    """The same, a click being worth also what it does for later pages.

    That is lambda max(theta - satisfaction, 0) for each util of experience, the more the less satisfied the visitor is;
    where agents set prices, lambda for each unit of trust that it adds; and at an entrance what it leads to.
    """
    v, value = oracle_belief(world, state, p, b, n, j, log_price_multiplier)
    satisfaction = np.float64(state.users[b, state.copies[b].visitor].satisfaction)
    if sets_prices(p):
        value += price * trust_gain(world, state, p, b, n, j, log_price_multiplier) if price > 0.0 else 0.0
    elif price > 0.0 and target > satisfaction:
        value += price * (target - satisfaction) * _experience(world, state, p, b, j)
    return v, value + _lead_value(world, state, p, b, j)


@kernel
def _experience(world, state, p, b, j):
    """Expected experience e of item j; in finite games, where moods move instead, the expected rise of satisfaction."""
    if p.shape.moods == 0:
        return expected_experience(world, state, p, b, j, 0.0)
    up, down = mood_probabilities(world, p, np.int64(world.items[j].topic))
    return 2.0 * (up - down) / (p.shape.moods - 1)


@kernel
def _lead_value(world, state, p, b, j):
    """At an entrance: what the owner of the next scene would make of the same item, were it clicked there."""
    copy = state.copies[b]
    if p.shape.scenes == 1 or copy.scene > 0:
        return 0.0
    copy.scene = 1
    cart = cart_chance(world, state, p, b, j, 0.0)
    value = _later_sale(world, p, b, world.scenes[1].owner, j, copy.tick, cart)
    copy.scene = 0
    return value


@kernel
def trust_gain(world, state, p, b, n, j, log_price_multiplier):
    """Expected change of trust in agent n from a click on its item j."""
    trust = state.vectors[b, state.copies[b].row, p.shape.trust + n]
    pull = mean_pleasure(
        p.feedback, world.items[j].length, expected_experience(world, state, p, b, j, log_price_multiplier)
    )
    return approach(trust, p.dynamics.trust_rate, pull)


@kernel
def trust_loss(world, state, p, b, n, rest):
    """Expected change of trust in agent n from a page on which nothing of its own is clicked: a rival is, or nothing.

    `rest` is that of `slates.true_page`.
    """
    user = state.users[b, state.copies[b].visitor]
    trust = state.vectors[b, state.copies[b].row, p.shape.trust + n]
    nothing = exp(outside_utility(world, p, user) - rest)
    rate = nothing * p.dynamics.trust_rate_none + (1.0 - nothing) * p.dynamics.trust_rate_rival
    return approach(trust, rate, p.dynamics.baseline)


@kernel
def _match(world, p, j, taste):
    """<p-hat, q_j>: `taste` is the estimate of the visitor's taste."""
    total = 0.0
    for d in range(p.shape.dims):
        total += taste[d] * world.item_vectors[j, d]
    return total


@kernel
def estimate_taste(state, p, b, n, sees, taste):
    """Posterior mean of the visitor's taste, given its noisy profile and the clicks that agent n has seen.

    The conjugate normal model (Gelman et al. 2013, section 2.5), per dimension in units of 1 / D: taste ~ N(0, 1),
    profile ~ N(taste, noise^2), clicked vector ~ N(c taste, 1 - c^2), and what privacy adds to the sum of these. An old
    click counts as much less as it has faded from the history. So a new visitor's profile is believed by its precision,
    and clicks soon outweigh a profile that is blurred. What `sees` says that the agent's role hides is left out.
    """
    row, view = state.copies[b].row, view_of(p, n)
    history, dims, clicks = p.shape.noisy_history + view * (p.shape.dims + p.shape.topics), p.shape.dims, 0.0
    for t in range(p.shape.topics):
        clicks += state.vectors[b, row, history + dims + t] if sees.history else np.float32(0.0)
    variance = p.shape.profile_error if sees.profile else 1.0
    fade = max(1.0 - p.observation.history_decay, 1e-6)
    weight = 0.0
    if clicks > 0.0:
        spread = 1.0 - _CLICK_MATCH**2 + (p.shape.history_noise / fade) ** 2 * dims / clicks  # of a click
        weight = variance * _CLICK_MATCH / spread
    total = sees.profile + variance + weight * _CLICK_MATCH * clicks
    for d in range(dims):  # the history is the sum of clicked vectors times `fade`
        known = np.float64(state.vectors[b, row, p.shape.profile + d]) if sees.profile else 0.0
        if sees.history:
            known += weight * state.vectors[b, row, history + d] / fade
        taste[d] = known / total


@kernel
def content_belief(world, state, p, b, n, j, log_price_multiplier, sees, taste, appeal):
    """(v, R) from what agent n may observe.

    The coefficients are those of the world, as a platform would have estimated them. Unknown are the visitor's intent,
    satiation (own topic counts stand in), price sensitivity (1), what goes with what, and the item's intercept, quality
    and clickbait, of which `appeal` (an `ExpectedAppeal`) says what to expect.
    """
    copy, f, agent, item = state.copies[b], p.feedback, world.agents[n], world.items[j]
    view, tick, dims = view_of(p, n), copy.tick, p.shape.dims
    match, x = _match(world, p, j, taste), log_price_now(world, p, j, tick) + log_price_multiplier
    usual = usual_log_price(world, p, j)
    popularity = public_popularity(world, state, p, b, j, copy.stamp, tick)
    clicks, seen = 0.0, 0.0
    if sees.history:
        counts = p.shape.noisy_history + view * (dims + p.shape.topics) + dims
        clicks = np.float64(state.vectors[b, copy.row, counts + item.topic])
        seen = seen_count(world, state, p, b, n, j)
    satiation, context = min(clicks, 1.0), 0.0
    if sees.anchor and copy.anchor >= 0:
        context = row_dot(world.item_vectors, copy.anchor, world.item_vectors, j, dims)
    offered = Alternative(
        intercept=appeal.intercept + appeal.popularity * log1p(popularity) + appeal.price * usual,
        quality=0.0,
        bait=0.0,
        match=match,
        satiation=satiation,
        sensitivity=1.0,
        log_price=x,
        freshness=freshness_now(world, p, j, tick),
        popularity=popularity,
        wanted=0.0,
        context_weight=np.float64(world.scenes[copy.scene].beta_context),
        context=context,
        repeats=seen,
        usual_log_price=usual,
        partner=0.0,
    )
    clicked = Consumed(
        quality=appeal.quality * usual,
        bait=_MEAN_BAIT,
        match=match,
        satiation=satiation,
        sensitivity=1.0,
        log_price=x,
        cart_intercept=world.topics[item.topic].cart_intercept,
    )
    e = experience(f, clicked)
    value = np.float64(agent.click) + reaction_reward(f, agent, item.length, e)
    if world.scenes[copy.scene].cart > 0:
        cart = cart_probability(f, clicked)
        value += cart * agent.cart + _later_sale(world, p, b, n, j, tick, cart)
        if f.instant:
            value += (
                cart
                * agent.purchase
                * purchase_value(world, p, j, price_asked(world, p, j, tick, log_price_multiplier))
            )
    return utility(p.choice, offered), value
