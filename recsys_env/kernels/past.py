"""Responses of people before the first episode to every item, from which the historical log of a world is drawn."""

from __future__ import annotations

import numpy as np

from .choice import outside_utility, utility_of
from .dynamics import create_person, draw_topic, fill_row, person_key, weigh_topics
from .equations import choice_probability
from .feedback import expected_experience
from .machine import rng
from .machine.compiler import entry, kernel
from .machine.numeric import log_softplus
from .page import retrieves

_BEFORE = -1  # incarnation of people who are in no episode, whatever its seed


@entry
def respond(world, state, scratch, sample, rate, mean, variance):
    """Show every item alone, at examination 1, to S people at tick 0, on the first page of a session.

    Args:
        state: of one copy with S users and rows, all zeros.
        sample: scratch (intent [S], noise [S], exposure [S, T]) of int64, float64 and float64.
        rate: [M] filled with the mean click probability.
        mean, variance: [M] filled with those of log(dwell / length) over the clicks.
    """
    p = world.params[0]
    intent, noise, exposure = sample
    copy = state.copies[0]
    copy.stamp, copy.population, copy.anchor, copy.opened = 1, p.shape.world_seed, -1, -1
    for u in range(intent.size):
        create_person(world, state, p, 0, u, _BEFORE)
        state.users[0, u].row, copy.row = u, u
        fill_row(world, state, p, 0, u)
        key = rng.child(person_key(p, copy, u, _BEFORE), 0)
        weigh_topics(world, state, scratch, p, 0, p.shape.taste, p.users.intent_scale)
        intent[u] = draw_topic(scratch, p, 0, rng.uniform(key, rng.INTENT, 0))
        noise[u] = p.feedback.noise_scale * rng.logistic(key, rng.NOISE, 0)
        _expose(world, state, scratch, p, u, exposure)
    for i in range(p.shape.items):
        j = np.int64(i)
        shown, clicks, total, squares = 0.0, 0.0, 0.0, 0.0
        for u in range(intent.size):
            copy.visitor, copy.row, copy.intent = u, u, intent[u]
            weight = exposure[u, world.items[j].topic]
            click = weight * choice_probability(
                utility_of(world, state, p, 0, j, 0.0), outside_utility(world, p, state.users[0, u])
            )
            satisfaction = log_softplus(expected_experience(world, state, p, 0, j, 0.0) + noise[u])
            shown += weight
            clicks += click
            total += click * satisfaction
            squares += click * satisfaction * satisfaction
        rate[j], mean[j] = clicks / shown, total / clicks
        variance[j] = max(squares / clicks - mean[j] * mean[j], 0.0)


@kernel
def _expose(world, state, scratch, p, u, exposure):
    """exposure[u, T]: relative frequency with which person u is shown the items of each topic.

    Half of the candidates are drawn by topic, and the others from the whole catalogue. A topic whose share for the
    person equals its share of the catalogue has exposure 2.
    """
    weigh_topics(world, state, scratch, p, 0, p.shape.profile, p.candidates.topic_scale)
    below = 0.0
    for t in range(p.shape.topics):
        mass = scratch.topic_mass[0, t]
        share = (world.topic_start[t + 1] - world.topic_start[t]) / np.float64(p.shape.items)
        by_topic = retrieves(p) and share > 0.0
        exposure[u, t] = 1.0 + (mass - below) / scratch.topic_mass[0, p.shape.topics - 1] / share if by_topic else 1.0
        below = mass
