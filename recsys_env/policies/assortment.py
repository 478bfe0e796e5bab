"""Policies that choose a slate by what they believe of each item: popularity, content-based, greedy oracle, planning
oracle.

All but `popularity` solve the assortment problem for one nest of the nested logit (Talluri & van Ryzin 2004 for the
multinomial one; Davis, Gallego & Topaloglu 2014): with weights w_i, values R_i, and of a slate the expected value V and
the mean value m = sum w_i R_i / sum w_i of a click on it, dV / dw_i is proportional to R_i - x with x = lambda V + (1 -
lambda) m. So the best slate is the top K of w_i (R_i - x), placed by falling w_i (R_i - x), for its own x, which is
found by iteration: each round raises V, because V is quasi-convex in (sum w_i R_i, sum w_i). With lambda = 1, x = V and
    the fixed point is the optimum; below it there may be
several, so the iteration starts from several x.
Oracles hold rivals at the inclusive value of the last page shown; `content`, which sees neither their pages nor whom
the visitor trusts, leaves rivals out. On shared pages, where the agents' items compete for ranks and may collide, and
for queries, which name no slate but a direction, this is a heuristic.
"""

from __future__ import annotations

import functools
import logging
import math

import numpy as np

from ..kernels import entry, kernel
from ..kernels.choice import freshness, outside_utility, trust_term, utility
from ..kernels.expected import click_value, mean_over_noise
from ..kernels.feedback import cart_probability, expected_experience
from ..kernels.numeric import exp, log, log1p, sigmoid
from ..kernels.page import (
    CANDIDATES,
    QUERY,
    RIVAL,
    SHARED,
    active_agents,
    can_show,
    is_active,
    log_price_now,
    popularity_now,
    price_now,
    view_of,
)
from ..kernels.retrieval import seen_count
from ..vector import VectorEnv
from .base import Policy

POPULARITY, CONTENT, ORACLE = 0, 1, 2
_CLICK_MATCH = 0.65  # mean <p, q> of a clicked item, about what the tasks show under this policy
_ROUNDS = 8  # the iteration for x converges in three or four
_STARTS = 12  # of it, where lambda < 1


# ------------------------------------------------------------------------------------------------ beliefs


@kernel
def _later_sale(world, p, b, n, j, tick, cart):
    """Value of a cart: what it pays now, and margin * P(bought later) = margin * h / (h + h' - h h')."""
    f, agent = p.feedback, world.agents[n]
    leaves = f.cart_hazard + f.cart_abandon - f.cart_hazard * f.cart_abandon
    if f.instant or leaves <= 0.0:
        return 0.0
    return cart * agent.purchase * price_now(world, p, j, tick) * f.cart_hazard / leaves


@kernel
def _oracle_belief(world, state, p, b, n, j, price):
    """(v, R) from the true visitor; `price` > 0 adds the expected change of satisfaction at that price."""
    copy = state.copies[b]
    value, cart = click_value(world, state, p, b, n, j)
    value += _later_sale(world, p, b, n, j, copy.tick, cart)
    if price > 0.0:
        value += price * _satisfaction_gain(world, state, p, b, j) + _lead_value(world, state, p, b, j)
    return utility(world, state, p, b, j), value


@kernel
def _lead_value(world, state, p, b, j):
    """At an entrance: what the owner of the next scene would make of the same item, were it clicked there."""
    copy = state.copies[b]
    if p.shape.scenes == 1 or copy.scene > 0:
        return 0.0
    copy.scene = 1
    cart = cart_probability(world, state, p, b, j)
    value = _later_sale(world, p, b, world.scenes[1].owner, j, copy.tick, cart)
    copy.scene = 0
    return value


@kernel
def _satisfaction_gain(world, state, p, b, j):
    """Expected change of z from a click on item j (-1 = from no click)."""
    user = state.users[b, state.copies[b].visitor]
    if p.shape.moods > 0:
        topic = world.items[j].topic
        up = world.topics[topic, 1] if j >= 0 else p.dynamics.mood_up_none
        down = world.topics[topic, 2] if j >= 0 else p.dynamics.mood_down_none
        return 2.0 * (up - down) / (p.shape.moods - 1)
    if j < 0:
        return p.dynamics.z_rate_none * (p.dynamics.baseline - user.z)
    _, _, pull = mean_over_noise(p, expected_experience(world, state, p, b, j))
    return p.dynamics.z_rate * (pull - user.z)


@kernel
def _match(world, p, j, taste):
    """<p-hat, q_j>: `taste` is the estimate of the visitor's taste."""
    total = 0.0
    for d in range(p.shape.dims):
        total += taste[d] * world.q[j, d]
    return total


@kernel
def _estimate_taste(state, p, b, n, sees_profile, sees_history, taste):
    """Posterior mean of the visitor's taste, given its noisy profile and the clicks that agent n has seen.

    The conjugate normal model (Gelman et al. 2013, section 2.5), per dimension in units of 1 / D: taste ~ N(0, 1),
    profile ~ N(taste, noise^2), clicked vector ~ N(c taste, 1 - c^2). An old click counts as much less as it has faded
    from the history. So a new visitor's profile is believed by its precision, and clicks soon outweigh a profile that
    privacy has blurred. What the agent's role hides is left out.
    """
    u, view = state.copies[b].visitor, view_of(p, n)
    history, dims, clicks = p.shape.history + view * (p.shape.dims + p.shape.topics), p.shape.dims, 0.0
    for t in range(p.shape.topics):
        clicks += state.vectors[b, u, history + dims + t] if sees_history else np.float32(0.0)
    variance, fade = (
        p.observation.profile_noise**2 if sees_profile else 1.0,
        max(1.0 - p.observation.history_decay, 1e-6),
    )
    weight = variance * _CLICK_MATCH / (1.0 - _CLICK_MATCH**2)
    total = sees_profile + variance + weight * _CLICK_MATCH * clicks
    for d in range(dims):  # the history is the sum of clicked vectors times `fade`
        known = np.float64(state.vectors[b, u, p.shape.profile + d]) if sees_profile else 0.0
        if sees_history:
            known += weight * state.vectors[b, u, history + d] / fade
        taste[d] = known / total


@kernel
def _content_belief(world, state, p, b, n, j, sees_history, sees_anchor, taste, slope):
    """(v, R) from what agent n may observe; the coefficients are those of the world, as a platform would have estimated
    them.

    Unknown are the visitor's intent, satiation (own topic counts stand in), price sensitivity (1), and the item's
    intercept,
    quality and clickbait: log popularity predicts their sum with a regression `slope`.
    """
    copy, c, f, agent, item = state.copies[b], p.choice, p.feedback, world.agents[n], world.items[j]
    u, view, tick = copy.visitor, view_of(p, n), copy.tick
    match, x = _match(world, p, j, taste), log_price_now(world, p, j, tick)
    known = log1p(popularity_now(world, state, p, b, j, copy.stamp, tick))
    clicks, seen = 0.0, 0.0
    if sees_history:
        clicks = np.float64(
            state.vectors[b, u, p.shape.history + view * (p.shape.dims + p.shape.topics) + p.shape.dims + item.topic]
        )
        seen = seen_count(world, state, p, b, n, j)
    satiation = min(clicks, 1.0)
    v = c.beta_taste * match - c.beta_price * x + (slope + c.beta_pop) * known - c.beta_satiation * satiation
    v += c.beta_fresh * freshness(world, p, j, tick) + c.beta_repeat * log1p(seen)
    if sees_anchor and copy.anchor >= 0:
        context = 0.0
        for d in range(p.shape.dims):
            context += world.q[copy.anchor, d] * world.q[j, d]
        v += world.scenes[copy.scene].beta_context * context
    e = f.e_0 + f.a_taste * match - 0.5 * f.a_bait - f.a_price * x - f.a_satiation * satiation
    value = np.float64(agent.click)
    if agent.dwell != 0.0 or (f.like and agent.like != 0.0):
        soft, sig, _ = mean_over_noise(p, e)
        value += agent.dwell * item.length * soft + (agent.like * sig if f.like else 0.0)
    if world.scenes[copy.scene].cart > 0:
        cart = sigmoid(world.topics[item.topic, 0] + f.b_taste * match - f.b_price * x)
        value += cart * agent.cart + _later_sale(world, p, b, n, j, tick, cart)
        if f.instant:
            value += cart * agent.purchase * price_now(world, p, j, tick)
    return v, value


# ------------------------------------------------------------------------------------------------ the slate


@kernel
def _true_page(state, world, p, b, n):
    """Log mass of everything but agent n (no click, and the rivals at their last inclusive values), and what trust adds
    to agent n."""
    copy = state.copies[b]
    v_0 = outside_utility(world, p, state.users[b, copy.visitor])
    first, stop = active_agents(world, p, copy)
    total = 1.0
    for m in range(first, stop):
        if m != n and state.inclusive[b, m] > -np.inf:
            total += exp(state.inclusive[b, m] - v_0)
    return v_0 + log(total), trust_term(state, p, b, copy.visitor, n)


@kernel
def _expected_page(world, p):
    """The same as far as an observer knows: no click in the average mood, no rivals, and trust as it starts."""
    return np.mean(world.v_0), 0.0 if p.shape.page == RIVAL else p.choice.beta_trust * p.users.trust_init


@kernel
def _log_theta(world, state, p, b, n, k):
    """Log examination of slot k of agent n, whose rank on the page about to be shown is already drawn."""
    if p.shape.page != SHARED:
        return world.log_theta[k]
    first, stop = active_agents(world, p, state.copies[b])
    for place in range(stop - first):
        if state.order[b, k, place] == n:
            return world.log_theta[k * (stop - first) + place]
    return -np.inf


@kernel
def _fill_top(weights, values, x, count, slots, chosen, gains):
    """Fill chosen[:slots] with the options of the largest weight * (value - x), largest first."""
    filled = 0
    for i in range(count):
        gain = weights[i] * (values[i] - x)
        if filled == slots and gain <= gains[slots - 1]:
            continue
        k = filled if filled < slots else slots - 1
        filled = min(filled + 1, slots)
        while k > 0 and gains[k - 1] < gain:
            gains[k], chosen[k] = gains[k - 1], chosen[k - 1]
            k -= 1
        gains[k], chosen[k] = gain, i
    return filled


@kernel
def _slate_value(world, state, p, b, n, weights, values, scale, rest, trust, none, filled, chosen):
    """Expected value of a slate, and of a click on it; weights are exp(v / lambda - scale), `rest` and `trust` as in
    `_true_page`."""
    total, value = 0.0, 0.0
    for k in range(filled):
        w = weights[chosen[k]] * exp(_log_theta(world, state, p, b, n, k))
        total += w
        value += w * values[chosen[k]]
    if total <= 0.0:
        return none, none
    inclusive = p.choice.dissimilarity * (scale + log(total)) + trust
    share = sigmoid(inclusive - rest)
    return share * value / total + (1.0 - share) * none, value / total


@kernel
def _best_slate(world, state, p, b, n, count, weights, values, rest, trust, none, chosen, best, gains):
    """The slate of the best value among the iterates of x; fills best[:filled]."""
    slots, scale, top, dissimilarity = min(p.shape.slots, count), -np.inf, none, p.choice.dissimilarity
    for i in range(count):
        weights[i] /= dissimilarity
        scale = max(scale, weights[i])
        top = max(top, values[i])
    for i in range(count):
        weights[i] = exp(weights[i] - scale)
    record = -np.inf
    for start in range(1 if dissimilarity == 1.0 else _STARTS):
        x, last = none + (top - none) * (start / (_STARTS - 1)) ** 2, -np.inf  # denser where fixed points lie closer
        for _ in range(_ROUNDS):
            filled = _fill_top(weights, values, x, count, slots, chosen, gains)
            value, mean = _slate_value(world, state, p, b, n, weights, values, scale, rest, trust, none, filled, chosen)
            if value <= last:
                break
            if value > record:
                record = value
                for k in range(filled):
                    best[k] = chosen[k]
            x, last = dissimilarity * value + (1.0 - dissimilarity) * mean, value
    return slots


@kernel
def _write_action(world, p, b, options, filled, best, actions):
    """Translate chosen options into an action: candidate positions, item ids, or the mean vector of the chosen
    items."""
    if p.shape.action == QUERY:
        total = 0.0
        for d in range(p.shape.dims):
            mean = 0.0
            for k in range(filled):
                mean += world.q[options[best[k]], d]
            actions[b, d] = mean
            total += mean * mean
        for d in range(p.shape.dims):
            actions[b, d] /= math.sqrt(max(total, 1e-12))
        return
    words = p.shape.vocabulary if p.shape.slots == 1 and p.shape.vocabulary > 0 else 1
    for k in range(p.shape.slots):
        i = best[k] if k < filled else best[0]
        actions[b, k] = (options[i] if filled > 0 else 0) * words


@entry
def choose(
    world,
    state,
    n,
    belief,
    price,
    slope,
    newcomer,
    sees_profile,
    sees_history,
    sees_anchor,
    options,
    weights,
    values,
    chosen,
    best,
    gains,
    taste,
    actions,
):
    """Write actions[B, A] of agent n. `newcomer[j]` is the count that a new item j is given by the popularity policy;
    `sees_profile`, `sees_history` and `sees_anchor` say what its role sees.

    The rest are scratch: options, weights, values [max(C, M)]; chosen, best, gains [K]; taste [D].
    """
    p = world.params[0]
    for b in range(state.copies.size):
        copy = state.copies[b]
        for a in range(actions.shape[1]):
            actions[b, a] = 0
        if not is_active(world, p, copy, n):
            continue
        count = 0
        by_position = p.shape.action == CANDIDATES
        for i in range(p.shape.candidates if by_position else p.shape.items):
            j = np.int64(state.candidates[b, n, i]) if by_position else np.int64(i)
            if j >= 0 and (by_position or can_show(world, state, p, b, n, j)):
                options[count] = i
                count += 1
        if count == 0:
            continue
        if belief == CONTENT:
            _estimate_taste(state, p, b, n, sees_profile, sees_history, taste)
        for i in range(count):
            j = np.int64(state.candidates[b, n, options[i]]) if by_position else np.int64(options[i])
            if belief == POPULARITY:
                known = popularity_now(world, state, p, b, j, copy.stamp, copy.tick)
                new = (
                    p.shape.windows
                    and (copy.tick + world.items[j].offset) % p.items.period < p.items.popularity_half_life
                )
                weights[i], values[i] = 1.0, max(known, newcomer[j]) if new else known
            elif belief == CONTENT:
                weights[i], values[i] = _content_belief(
                    world, state, p, b, n, j, sees_history, sees_anchor, taste, slope
                )
            else:
                weights[i], values[i] = _oracle_belief(world, state, p, b, n, j, price)
        if belief == POPULARITY:
            filled = _fill_top(weights, values, 0.0, count, min(p.shape.slots, count), best, gains)
        else:
            none = price * _satisfaction_gain(world, state, p, b, np.int64(-1)) if price > 0.0 else 0.0
            rest, trust = _expected_page(world, p) if belief == CONTENT else _true_page(state, world, p, b, n)
            filled = _best_slate(world, state, p, b, n, count, weights, values, rest, trust, none, chosen, best, gains)
        _write_action(world, p, b, options, filled, best, actions)


# ------------------------------------------------------------------------------------------------ the policies


class _Assortment(Policy):
    """Scores every item it may show by its belief and fills the slate accordingly."""

    belief: int

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        items, shape = envs.world.items, envs.shape
        size = max(shape.candidates, shape.items)
        by_provider = np.bincount(items["provider"], items["popularity"]) / np.maximum(
            np.bincount(items["provider"]), 1
        )
        self._newcomer = by_provider[items["provider"]]
        self._scratch = (
            np.zeros(size, np.int64), np.zeros(size), np.zeros(size),
            np.zeros(shape.slots, np.int64), np.zeros(shape.slots, np.int64), np.zeros(shape.slots), np.zeros(shape.dims),
        )  # fmt: skip
        self._slope = popularity_slope(envs)
        hidden = envs.config.roles[envs.config.role_of(self.index)].hidden
        self._sees = "profile" not in hidden, not {"clicked_mean", "topic_counts"} & set(hidden), "anchor" not in hidden
        self._actions = envs._actions.empty(envs.num_envs)[:, 0].astype(np.float64)

    def price(self) -> float:
        """Price of the satisfaction that a click is expected to add, in reward."""
        return 0.0

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        actions = self._actions
        choose(
            self.envs.world,
            self.envs.arrays,
            self.index,
            self.belief,
            self.price(),
            self._slope,
            self._newcomer,
            *self._sees,
            *self._scratch,
            actions,
        )
        if self.envs.config.action == "query":
            return actions.astype(np.float32)
        return actions.astype(np.int64).reshape(len(actions), *(self.envs.action_space.shape or ()))


def popularity_slope(envs: VectorEnv) -> float:
    """Regression slope of an item's appeal (alpha + beta_quality g + beta_bait c) on the log of its historical
    popularity.

    One number, as a platform's log would give it: the fitted one of a catalogue, else what the config implies. No
    item's own is read.
    """
    if envs.catalogue is not None:
        return envs.catalogue.popularity_slope
    items, spread = envs.config.items, envs.config.items.popularity_log_sd
    return envs.config.choice.beta_quality * items.quality_sd * items.popularity_quality / spread if spread > 0 else 0.0


class Popularity(_Assortment):
    """The most popular items first, by public decayed counts; a new item counts at least as its provider's mean."""

    belief = POPULARITY


class Content(_Assortment):
    """Myopic content-based recommender: the best slate for the visitor it believes in, from noisy profile and the
    history it sees, by their precision."""

    belief = CONTENT


class Greedy(_Assortment):
    """Myopic oracle: maximises the own reward expected from this page, given the true visitor. 100 on the normalised
    scale."""

    belief = ORACLE


@functools.cache  # once in a process
def _say_that_planner_is_greedy() -> None:
    logging.getLogger("recsys_env").warning(
        "planner_price is 0 in this world, so planner plays as greedy; recsys_env.tuning.tune_planner finds a price"
    )


class Planner(_Assortment):
    """Planning oracle: greedy with a price on the satisfaction that its page is expected to add
    (`WorldConfig.planner_price`).

    At an entrance a click is also worth what the same item would sell on the next page: there it is the team's oracle,
    greedy the selfish one. At a price of 0 it is `greedy`, which a log line says once; `recsys_env.tuning.tune_planner`
    searches for a price.

    Args:
        price: reward per unit of satisfaction; None = the task's.
    """

    belief = ORACLE

    def __init__(self, price: float | None = None) -> None:
        self._price = price

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        if self._price is None and envs.config.planner_price == 0:
            _say_that_planner_is_greedy()

    def price(self) -> float:
        return self.envs.config.planner_price if self._price is None else self._price
