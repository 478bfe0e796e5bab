"""The slate of a policy that believes something of each item: beliefs.py says what, slates.py which slate follows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..choice import outside_utility, trust_term
from ..equations import inclusive_value, log_multiplier, log_slot_weight, position_of_level
from ..machine.compiler import entry, kernel
from ..machine.numeric import exp, log
from ..page import can_show, retrieves, sets_prices
from ..page_kinds import active_agents, competitors, is_active
from .beliefs import (
    content_belief,
    estimate_taste,
    oracle_belief,
    planner_belief,
    popularity_belief,
    trust_loss,
)
from .slates import best_slate, expected_page, fill_top, log_theta, true_page

POPULARITY, CONTENT, ORACLE, PLANNER = 0, 1, 2, 3  # beliefs
_ROUNDS = 8  # of the fixed point of `arrange`
UNFILLED, NOTHING = -2, -1  # slots of a page in the making


@entry
def choose(world, state, n, believes, levels, sees, scratch, slates, sizes, chosen):
    """The slates of agent n.

    Args:
        believes: which belief; price and target of `planner_belief`; the `ExpectedAppeal` of `content_belief`;
            `newcomer` [M] of `popularity_belief`.
        levels: (first, stop) levels of prices to choose from; (0, 1) where agents set none.
        slates: [B, K] filled with positions among its candidates, or items where it has none, best first.
        sizes: [B] filled with how many it shows; 0 where it is inactive.
        chosen: [B] filled with levels of prices.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        sizes[b], chosen[b] = choose_copy(world, state, p, b, n, believes, levels, sees, scratch, slates[b])


@kernel
def choose_copy(world, state, p, b, n, believes, levels, sees, scratch, slate):
    """`choose` in copy b: fills the slate, and returns its size and the level of prices."""
    if not is_active(world, p, state.copies[b], n):
        return 0, 0
    belief, price, target, appeal, newcomer = believes
    options, utilities, values, best = scratch.options, scratch.utilities, scratch.values, scratch.best
    count = list_showable(world, state, p, b, n, options)
    if count == 0:
        return 0, 0
    size, level = min(p.shape.slots, count), levels[0]
    if belief == POPULARITY:
        for i in range(count):
            j = item_of(state, p, b, n, options[i])
            scratch.weights[i], values[i] = 1.0, popularity_belief(world, state, p, b, j, newcomer)
        fill_top(scratch.weights, values, 0.0, count, size, best, scratch.gains)
    else:
        if belief == CONTENT:
            estimate_taste(state, p, b, n, sees, scratch.taste)
        rest, trust = expected_page(world, p) if belief == CONTENT else true_page(world, state, p, b, n)
        none, record = 0.0, -np.inf
        if price > 0.0 and sets_prices(p):
            none = price * trust_loss(world, state, p, b, n, rest)
        for tried in range(levels[0], levels[1]):
            log_price_multiplier = (
                log_multiplier(p.offer, position_of_level(p.shape.levels, tried)) if sets_prices(p) else 0.0
            )
            for i in range(count):
                j = item_of(state, p, b, n, options[i])
                if belief == CONTENT:
                    utilities[i], values[i] = content_belief(
                        world, state, p, b, n, j, log_price_multiplier, sees, scratch.taste, appeal
                    )
                elif belief == ORACLE:
                    utilities[i], values[i] = oracle_belief(world, state, p, b, n, j, log_price_multiplier)
                else:
                    utilities[i], values[i] = planner_belief(
                        world, state, p, b, n, j, log_price_multiplier, price, target
                    )
            value = best_slate(world, state, p, b, n, count, rest, trust, none, record, scratch)
            if value > record:
                record, level = value, tried
    for k in range(size):
        slate[k] = options[best[k]]
    return size, level


@kernel
def list_showable(world, state, p, b, n, options):
    """Fill options[:count] with what active agent n may show: candidates by their position, or items; `count`."""
    count = 0
    for i in range(p.shape.candidates if retrieves(p) else p.shape.items):
        j = item_of(state, p, b, n, i)
        if j >= 0 and (retrieves(p) or can_show(world, state, p, b, n, j)):
            options[count] = i
            count += 1
    return count


@kernel
def item_of(state, p, b, n, option):
    """The item behind an option: a candidate by its position, or the item itself; -1 at an empty position."""
    return np.int64(state.candidates[b, n, option]) if retrieves(p) else np.int64(option)


# ------------------------------------------------------------------------------------------------ the whole page


class Page(NamedTuple):
    """Working memory for a page of all agents; O = max(C, M) options, L levels of prices (1 where agents set none)."""

    options: np.ndarray  # [N, O] positions of candidates, or items
    counts: np.ndarray  # [N] how many of them
    utilities: np.ndarray  # [N, L, O]
    weights: np.ndarray  # [N, L, O] exp(v / lambda - scale)
    scales: np.ndarray  # [N, L] the largest v / lambda
    values: np.ndarray  # [N, L, O] what a click earns the agent
    chosen: np.ndarray  # [N, K] of the options; UNFILLED, NOTHING
    levels: np.ndarray  # [N] of the agents' prices
    means: np.ndarray  # [N] value of a click on the agent's slots


@entry
def arrange(world, state, levels, page, slates, sizes, offered):
    """The full page that earns all agents together the most, by the true visitor, cut into the parts of its agents.

    The fixed point of slates.py for the whole page: with x = lambda V + (1 - lambda) m of its agent, each slot in turn,
    those first that rank and trust favour most, takes the option of the largest w (R - x) that is still free, and V
    follows from the page. It is exact for one logit (lambda = 1) in which all agents may show the same items, and else
    the best of the rounds. Prices start at the best level for all, then each agent in turn takes its best, until none
    has a better one.

    Args:
        levels: (first, stop) levels of prices to choose from; (0, 1) where agents set none.
        slates: [B, N, K] filled with positions among each agent's candidates, or items where it has none.
        sizes: [B, N] filled with how many it shows; 0 where it is inactive.
        offered: [B, N] filled with levels of prices.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        for n in range(p.shape.agents):
            sizes[b, n], offered[b, n] = 0, levels[0]
        first, stop = active_agents(world, p, state.copies[b])
        for n in range(first, stop):
            page.counts[n] = list_showable(world, state, p, b, n, page.options[n])
            for level in range(levels[0], levels[1]):
                _weigh(world, state, p, b, n, level, page)
        record = -np.inf
        for level in range(levels[0], levels[1]):
            page.levels[first:stop] = level
            record = _fill_page(world, state, p, b, first, stop, record, page, slates, sizes, offered)
        n, settled = first, 0
        while levels[1] - levels[0] > 1 and settled < stop - first:
            before = record
            for level in range(levels[0], levels[1]):
                for m in range(first, stop):
                    page.levels[m] = offered[b, m]
                page.levels[n] = level
                record = _fill_page(world, state, p, b, first, stop, record, page, slates, sizes, offered)
            settled = settled + 1 if record == before else 1
            n = n + 1 if n + 1 < stop else first


@kernel
def _fill_page(world, state, p, b, first, stop, record, page, slates, sizes, offered):
    """Keep the best page at these prices, and the prices, if it is worth more than `record`; the larger of the two."""
    value, best = 0.0, -np.inf
    for n in range(first, stop):
        page.means[n] = 0.0
    for _ in range(_ROUNDS):
        page.chosen[:] = UNFILLED
        for _ in range((stop - first) * p.shape.slots):
            n, k = _next_slot(world, state, p, b, first, stop, page)
            x = p.choice.dissimilarity * value + (1.0 - p.choice.dissimilarity) * page.means[n]
            page.chosen[n, k] = _best_free(state, p, b, n, x, first, stop, page)
        value = _page_value(world, state, p, b, first, stop, page)
        if value <= best:
            break
        best = value
        if value <= record:
            continue
        record = value
        for n in range(first, stop):
            sizes[b, n], offered[b, n] = 0, page.levels[n]
            for k in range(p.shape.slots):
                if page.chosen[n, k] >= 0:
                    slates[b, n, sizes[b, n]] = page.options[n, page.chosen[n, k]]
                    sizes[b, n] += 1
    return record


@kernel
def _weigh(world, state, p, b, n, level, page):
    """Fill in what agent n may show at a level of prices: weights and values, as the oracle knows them."""
    options, utilities, values = page.options[n], page.utilities[n, level], page.values[n, level]
    count, scale = page.counts[n], -np.inf
    log_price_multiplier = 0.0
    if sets_prices(p):
        log_price_multiplier = log_multiplier(p.offer, position_of_level(p.shape.levels, level))
    for i in range(count):
        j = item_of(state, p, b, n, options[i])
        utilities[i], values[i] = oracle_belief(world, state, p, b, n, j, log_price_multiplier)
        scale = max(scale, log_slot_weight(p.choice, utilities[i], 0.0))
    for i in range(count):
        page.weights[n, level, i] = exp(log_slot_weight(p.choice, utilities[i], 0.0) - scale)
    page.scales[n, level] = scale


@kernel
def _next_slot(world, state, p, b, first, stop, page):
    """(agent, slot) of the unfilled slot whose odds are multiplied by most: by its rank's examination and by trust."""
    best, agent, slot = -np.inf, first, 0
    for n in range(first, stop):
        for k in range(p.shape.slots):
            if page.chosen[n, k] == UNFILLED:
                favour = log_theta(world, state, p, b, n, k) + trust_term(state, p, b, n)
                if favour > best:
                    best, agent, slot = favour, n, k
    return agent, slot


@kernel
def _best_free(state, p, b, n, x, first, stop, page):
    """The option of the largest w (R - x) that is not on the page yet: of the agent, on a shared page of anyone."""
    weights, values = page.weights[n, page.levels[n]], page.values[n, page.levels[n]]
    best, found = -np.inf, NOTHING
    for i in range(page.counts[n]):
        gain = weights[i] * (values[i] - x)
        if gain > best and not _on_page(state, p, b, n, i, first, stop, page):
            best, found = gain, i
    return found


@kernel
def _on_page(state, p, b, n, i, first, stop, page):
    """Whether the item of agent n's option i stands in a slot of its own or of a competitor already."""
    j = item_of(state, p, b, n, page.options[n, i])
    first, stop = competitors(p, n, first, stop)
    for m in range(first, stop):
        for k in range(p.shape.slots):
            other = page.chosen[m, k]
            if other >= 0 and item_of(state, p, b, m, page.options[m, other]) == j:
                return True
    return False


@kernel
def _page_value(world, state, p, b, first, stop, page):
    """V: what the page is expected to earn, and `means` of its agents."""
    v_0 = outside_utility(world, p, state.users[b, state.copies[b].visitor])
    mass, earned = 1.0, 0.0  # in units of exp(v_0)
    for n in range(first, stop):
        level, total, sum_of_values = page.levels[n], 0.0, 0.0
        for k in range(p.shape.slots):
            i = page.chosen[n, k]
            if i >= 0:
                w = page.weights[n, level, i] * exp(log_theta(world, state, p, b, n, k))
                total += w
                sum_of_values += w * page.values[n, level, i]
        page.means[n] = sum_of_values / total if total > 0.0 else 0.0
        if total > 0.0:
            inclusive = inclusive_value(p.choice, page.scales[n, level] + log(total), trust_term(state, p, b, n))
            share = exp(inclusive - v_0)
            mass += share
            earned += share * page.means[n]
    return earned / mass
