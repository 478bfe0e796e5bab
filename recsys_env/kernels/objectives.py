"""Objectives: an agent's reward for its part of a page whatever the visitor does (diversity, novelty, fairness of
exposure); and how agents share rewards.

Objectives beyond accuracy (Kaminskas & Bridge 2016). They depend on what is shown alone, so they are certain once the
actions are known; they enter r_n beside own_n.
"""

from __future__ import annotations

import numpy as np

from .equations import exposure_share, fairness_gain, mean_similarity, shared_reward
from .machine.compiler import kernel


@kernel
def page_objectives(world, state, report, p, b, n):
    """Weighted sum of the objectives of agent n's slate on the page of copy b; `show_providers` follows it."""
    agent, value = world.agents[n], 0.0
    if agent.diversity != 0.0:
        value += agent.diversity * _diversity(world, report, p, b, n)
    if agent.novelty != 0.0:
        value += agent.novelty * _novelty(world, report, p, b, n)
    if agent.fairness != 0.0:
        value += agent.fairness * fairness(world, state.exposure, report.slots, b, n)
    return value


@kernel
def _standing_count(report, p, b, n):
    count = 0
    for k in range(p.shape.slots):
        count += report.slots[b, n, k].item >= 0
    return count


@kernel
def _diversity(world, report, p, b, n):
    """Intra-list diversity (Ziegler et al. 2005): mean of 1 - <q, q'> over the pairs of standing items, in [0, 2]; 0
    with fewer than two. Every q has norm 1."""
    count, square = _standing_count(report, p, b, n), 0.0
    if count < 2:
        return 0.0
    for d in range(p.shape.dims):
        total = 0.0
        for k in range(p.shape.slots):
            j = report.slots[b, n, k].item
            if j >= 0:
                total += np.float64(world.item_vectors[j, d])
        square += total * total
    return 1.0 - mean_similarity(count, square)


@kernel
def _novelty(world, report, p, b, n):
    """Mean novelty of the standing items (Vargas & Castells 2011), in [0, 1]; 0 with none."""
    total = 0.0
    for k in range(p.shape.slots):
        j = report.slots[b, n, k].item
        if j >= 0:
            total += np.float64(world.items[j].novelty)
    return total / max(_standing_count(report, p, b, n), 1)


@kernel
def fairness(world, exposure, slots, b, n):
    """Sum over the standing items of theta * (share due - share of exposure so far) of the provider: positive for who
    makes up for too little attention (equity of amortised attention, Biega, Gummadi & Weikum 2018).

    Args:
        exposure: [B, N, providers], what `show_providers` has counted.
        slots: [B, N, K] of the page, as in `Report`.
    """
    total, value = exposure_of(exposure, b, n), 0.0
    for k in range(slots.shape[2]):
        slot = slots[b, n, k]
        if slot.item >= 0:
            i = world.items[slot.item].provider
            share = share_of(world, exposure, b, n, i, total)
            value += fairness_gain(world.theta[slot.rank], world.targets[n, i], share)
    return value


@kernel
def exposure_of(exposure, b, n):
    """Decayed exposure that agent n has given, all providers together."""
    total = 0.0
    for i in range(exposure.shape[2]):
        total += np.float64(exposure[b, n, i])
    return total


@kernel
def share_of(world, exposure, b, n, i, total):
    """Provider i's share of the exposure that agent n has given, `total` in all; before any, the share due to it."""
    return exposure_share(np.float64(exposure[b, n, i]), total, np.float64(world.targets[n, i]))


@kernel
def show_providers(world, exposure, slots, p, b, n):
    """Agent n's page counts as exposure of the providers of what stood on it: theta each; what was before fades."""
    for i in range(exposure.shape[2]):
        exposure[b, n, i] *= p.shape.exposure_decay
    for k in range(slots.shape[2]):
        slot = slots[b, n, k]
        if slot.item >= 0:
            exposure[b, n, world.items[slot.item].provider] += world.theta[slot.rank]


@kernel
def share_rewards(p, b, individual_reward, objectives, rewards):
    """Into rewards[B, N], of x = individual_reward[B, N] + objectives[B, N]."""
    s, total = p.reward.sharing, 0.0
    for n in range(p.shape.agents):
        total += np.float64(individual_reward[b, n]) + objectives[b, n]
    mean = total / p.shape.agents
    for n in range(p.shape.agents):
        rewards[b, n] = shared_reward(s, np.float64(individual_reward[b, n]) + objectives[b, n], mean)
