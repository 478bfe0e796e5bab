"""Many ticks in one call: compiled policies act, the step plays, and rewards are added up.

Policies and the step are called by the addresses of their machine code, so that none is compiled into another: another
policy compiles in a second, and not in half a minute.
"""

from __future__ import annotations

import numpy as np

from .actions import index_outside
from .machine import rng
from .machine.addresses import act_at, run_at
from .machine.compiler import entry, kernel
from .machine.numeric import insert
from .machine.packed import parts_of
from .planners.assortment import choose_copy
from .planners.beliefs import ExpectedAppeal, Sees
from .planners.options import list_copy
from .planners.ranking import score_copy

POLICIES = np.uint64(0x706F6C6963696573)  # what the streams of compiled policies are for


@entry
def play(packed, step, actors, ticks, bounds, hidden, starts, actions, individual_rewards, rewards):
    """Play the next ticks, one chunk of copies after the other, since a chunk's state stays in the processor's cache.

    Args:
        step: address of `step.run`.
        actors: [N, 2] addresses of each agent's policy and of its packed arrays.
        bounds: the lowest number of an action, and the highest ones [A].
        hidden: [H, 4] agent, first, one past the last and distance of the observation's columns that it does not see.
        starts: where each chunk of copies begins, and the last one ends.
        actions: [B, N, A] to be written into.
        individual_rewards, rewards: [B, N] to which each agent's rewards before and after sharing are added.

    Returns:
        the index in the flat `actions` of the first one outside its space, or -1.
    """
    _, _, report, _ = parts_of(packed)
    for i in range(starts.size - 1):
        for t in range(ticks):
            for n in range(actors.shape[0]):
                act_at(actors[n, 0], packed, actors[n, 1], n, t, starts[i : i + 2], actions)
            for b in range(starts[i], starts[i + 1]):
                index = index_outside(actions, b, bounds[1], bounds[0])
                if index >= 0:
                    return index
            run_at(step, packed, actions, 0, starts[i : i + 2])
            for b in range(starts[i], starts[i + 1]):
                _hide(report.observations, hidden, b)
                _hide(report.final_observations, hidden, b)
                for n in range(actors.shape[0]):
                    individual_rewards[b, n] += report.agents[b, n].individual_reward
                    rewards[b, n] += report.rewards[b, n]
    return -1


@kernel
def _hide(observations, hidden, b):
    """Columns that an agent does not see are 0."""
    for h in range(hidden.shape[0]):
        for column in range(hidden[h, 1], hidden[h, 2], hidden[h, 3]):
            observations[b, hidden[h, 0], column] = 0.0


# ------------------------------------------------------------------------------------------------ policies
# Each writes the actions of agent n at tick t of the rollout, in the copies from chunk[0] to chunk[1], given packed
# arrays of its own.


@entry
def follow(packed, policy_data, n, t, chunk, actions):
    """Actions that are known in advance: plan[T, B, A], over and over."""
    (parts,) = parts_of(policy_data)
    plan = parts.plan
    for b in range(chunk[0], chunk[1]):
        for a in range(actions.shape[2]):
            actions[b, n, a] = plan[t % plan.shape[0], b, a]


@entry
def rank(packed, policy_data, n, t, chunk, actions):
    """The options with the highest scores of a linear ranker (`planners.ranking`), at list prices, with word 0."""
    world, state, report, _ = parts_of(packed)
    (r,) = parts_of(policy_data)
    p = world.params[0]
    for b in range(chunk[0], chunk[1]):
        list_copy(world, state, p, b, n, r.items, r.features)
        for f in range(r.unseen.size):
            r.features[b, :, r.unseen[f]] = 0.0
        score_copy(report.observations[b, n], r.columns, r.weights, r.features, b, r.scores)
        filled, slots = 0, p.shape.slots
        for i in range(r.items.shape[1]):
            if r.items[b, i] >= 0:
                filled = insert(r.best, r.picks, filled, slots, r.scores[b, i], i)
        _show(p, r.picks, filled, np.int64(0), actions, b, n)


@entry
def choose_slates(packed, policy_data, n, t, chunk, actions):
    """The slates and the levels of prices that follow from a belief (`planners.assortment`), with word 0."""
    world, state, _, _ = parts_of(packed)
    (r,) = parts_of(policy_data)
    p = world.params[0]
    appeal = ExpectedAppeal(r.settings[2], r.settings[3], r.settings[4], r.settings[5])
    believes = r.belief[0], r.settings[0], r.settings[1], appeal, r.newcomer
    levels, sees = (r.levels[0], r.levels[1]), Sees(r.sees[0], r.sees[1], r.sees[2])
    for b in range(chunk[0], chunk[1]):
        size, level = choose_copy(world, state, p, b, n, believes, levels, sees, r, r.slate)
        _show(p, r.slate, size, level, actions, b, n)


@kernel
def _show(p, slate, size, level, actions, b, n):
    """The picks that show slate[:size], of which the first one is repeated in the slots that are left, at a level of
    prices and with word 0."""
    slots = p.shape.slots
    for k in range(slots):
        actions[b, n, k] = slate[k if k < size else 0] if size > 0 else 0
    if slots == 1:
        actions[b, n, 0] = (actions[b, n, 0] * max(p.shape.levels, 1) + level) * max(p.shape.vocabulary, 1)
        return
    for a in range(slots, actions.shape[2]):
        actions[b, n, a] = 0
    if p.shape.levels > 0:
        actions[b, n, slots] = level


@kernel
def row_key(base, call, b):
    """Key of the random numbers of a policy with this base, at a call of it, in copy b."""
    return rng.child(rng.child(rng.stream(base, POLICIES), call), b)
