"""For metrics, which infos alone cannot serve: what each agent could make of the page about to be shown, by the
visitor's true utility; and how fair to providers the page was that has been shown."""

from __future__ import annotations

import numpy as np

from ..choice import outside_utility, utility_of
from ..equations import choice_probability
from ..machine.compiler import entry
from ..machine.numeric import insert
from ..objectives import fairness, show_providers
from ..page import can_show, popularity_now, retrieves
from ..page_kinds import is_active

ALL, COLD, WARM = 0, 1, 2  # which items count


@entry
def appraise(world, state, cold_below, discount, best, items, ideal, gains, cold):
    """Look at the page about to be shown; nothing changes.

    Args:
        cold_below: an item of fewer clicks, by decayed counts, is cold. With privacy these are the true counts.
        discount: [K] weight of each slot.
        best, items: [3, K] scratch, float64 and int64.
        ideal: [B, N, 3] filled with sum_k discount_k * gain of the agent's k-th best option, among all, the cold and
            the warm ones; 0 where inactive. The gain is sigmoid(v - v_0), the probability of a click on the item alone,
            at its price now, without what agents set.
        gains: [B, M] filled with the gain of each item that an active agent can show.
        cold: [B, M] bool, filled.
    """
    p = world.params[0]
    slots, by_position = p.shape.slots, retrieves(p)
    for b in range(state.copies.size):
        copy = state.copies[b]
        for j in range(p.shape.items):
            cold[b, j] = popularity_now(world, state, p, b, np.int64(j), copy.stamp, copy.tick) < cold_below
        for n in range(p.shape.agents):
            for which in range(3):
                ideal[b, n, which] = 0.0
                for k in range(slots):
                    best[which, k] = 0.0
            if not is_active(world, p, copy, n):
                continue
            outside = outside_utility(world, p, state.users[b, copy.visitor])
            for i in range(p.shape.candidates if by_position else p.shape.items):
                j = np.int64(state.candidates[b, n, i]) if by_position else np.int64(i)
                if j >= 0 and (by_position or can_show(world, state, p, b, n, j)):
                    gain = choice_probability(utility_of(world, state, p, b, j, 0.0), outside)
                    gains[b, j] = gain
                    part = COLD if cold[b, j] else WARM
                    insert(best[ALL], items[ALL], slots, slots, gain, j)
                    insert(best[part], items[part], slots, slots, gain, j)
            for which in range(3):
                for k in range(slots):
                    ideal[b, n, which] += discount[k] * best[which, k]


@entry
def appraise_fairness(world, exposure, slots, active, values):
    """Look at a page that has been shown, whether fairness is paid or not.

    Args:
        exposure: [B, N, providers] float64, what each provider had so far; this page is added to it.
        slots: [B, N, K] of the page, as in `Report`.
        active: [B, N] whether an agent's slots were on it.
        values: [B, N] filled with the fairness of each agent's slate; 0 where inactive.
    """
    p = world.params[0]
    for b in range(slots.shape[0]):
        for n in range(slots.shape[1]):
            values[b, n] = 0.0
            if active[b, n]:
                values[b, n] = fairness(world, exposure, slots, b, n)
                show_providers(world, exposure, slots, p, b, n)
