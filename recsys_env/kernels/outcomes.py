"""The outcomes of a tick one by one, for exact tables: probabilities of each draw, and the effect of a given outcome.

A tick is split at its random draws. Each entry below fills in the probabilities of the next draw. The caller then makes
one row of the batch for every possible outcome and continues with the next entry. The equations are those of the step;
only the outcome is given instead of drawn.
"""

from __future__ import annotations

import numpy as np

from .actions import read_actions
from .auction import draw_values
from .choice import fill_clicks, weigh_slots
from .dynamics import (
    begin_session,
    create_person,
    end_session,
    give_row,
    lose_visitor,
    mood_probabilities,
    move_mood,
    opening_weight,
    topic_odds,
    touch_user,
    turn_page,
)
from .equations import acceptance_probability, loss_probability, pleasure, stay_probability
from .feedback import cart_chance, expected_experience
from .machine.compiler import entry, kernel
from .machine.numeric import log_softplus
from .page import clear_slots
from .platform import fill_page
from .retrieval import draw_candidates
from .step import take_effect

IMPROVES, PERSISTS, WORSENS = 0, 1, 2  # outcomes of a mood
STAYS, LEAVES, IS_LOST = 0, 1, 2  # of a page's end


@entry
def begin_world(world, state):
    """Nobody visits, and every user slot has its first person, with a row."""
    p = world.params[0]
    for b in range(state.copies.size):
        end_session(state.copies[b])
        state.copies[b].rows_taken = 0
        for u in range(p.shape.users):
            create_person(world, state, p, b, u, 0)
            give_row(world, state, p, b, u)


@kernel
def _fill_page(world, state, report, scratch, p, b, actions):
    clear_slots(report, p, b)
    read_actions(world, state, report, scratch, p, b, actions)
    fill_page(world, state, report, scratch, p, b)


@entry
def show_pages(world, state, report, scratch, actions, click):
    """Show the pages of a joint action; fills click[B, N, K], zeros before, with the probability of each slot."""
    p = world.params[0]
    for b in range(state.copies.size):
        _fill_page(world, state, report, scratch, p, b, actions)
        weigh_slots(world, state, report, scratch, p, b, b + 1)
        fill_clicks(world, state, report, scratch, p, b, click)


@entry
def take_effects(world, state, report, scratch, actions, clicked, items, cart, mood):
    """The effects of a page on which slot clicked[B] of N * K was clicked, the one after the last = none; noise left
    out.

    Fills items[B] with the clicked item, cart[B, 2] with the probabilities that it stays out of the cart and goes into
    it, and mood[B, 3] with those that the mood improves, persists and worsens.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        _fill_page(world, state, report, scratch, p, b, actions)
        n, k = np.int64(clicked[b]) // p.shape.slots, np.int64(clicked[b]) % p.shape.slots
        j, topic, e, carts = np.int64(-1), np.int64(-1), 0.0, 0.0
        if n == p.shape.agents:
            n, k = np.int64(-1), np.int64(-1)
        else:
            j = np.int64(report.slots[b, n, k].item)
            log_price_multiplier = report.agents[b, n].log_price_multiplier
            topic, e = np.int64(world.items[j].topic), expected_experience(world, state, p, b, j, log_price_multiplier)
            carts = cart_chance(world, state, p, b, j, log_price_multiplier)
        items[b], cart[b, 0], cart[b, 1] = j, 1.0 - carts, carts
        take_effect(world, state, report, p, b, n, k, pleasure(e), log_softplus(e))
        if p.shape.moods > 0:
            mood[b, IMPROVES], mood[b, WORSENS] = mood_probabilities(world, p, topic)
        mood[b, PERSISTS] = 1.0 - mood[b, IMPROVES] - mood[b, WORSENS]


@entry
def move_moods(world, state, steps, leaving):
    """The moods move by steps[B]; fills leaving[B, 3] with the probabilities that the visitor stays, leaves, is
    lost."""
    p = world.params[0]
    for b in range(state.copies.size):
        if p.shape.moods > 0:
            move_mood(state, p, b, steps[b])
        satisfaction = np.float64(state.users[b, state.copies[b].visitor].satisfaction)
        stays, lost = stay_probability(p.arrival, satisfaction), loss_probability(p.arrival, satisfaction)
        leaving[b, STAYS] = stays
        leaving[b, LEAVES], leaving[b, IS_LOST] = (1.0 - stays) * (1.0 - lost), (1.0 - stays) * lost


@entry
def end_pages(world, state, left, items, carted):
    """The visitor stays, leaves or is lost, as left[B] says, after a click on items[B] that was carted[B] or not."""
    p = world.params[0]
    for b in range(state.copies.size):
        if left[b] == STAYS:
            turn_page(state, p, b, np.int64(items[b]), carted[b])
            continue
        if left[b] == IS_LOST:
            lose_visitor(world, state, p, b)
        end_session(state.copies[b])


@entry
def ask_users(world, state, user_slots, accepts):
    """The users in user_slots[B] are drawn; fills accepts[B, 2] with the probabilities that they refuse and come."""
    p = world.params[0]
    for b in range(state.copies.size):
        touch_user(world, state, p, b, user_slots[b])
        accepts[b, 1] = acceptance_probability(p.arrival, np.float64(state.users[b, user_slots[b]].satisfaction))
        accepts[b, 0] = 1.0 - accepts[b, 1]


@entry
def begin_sessions(world, state, user_slots, intents, opens):
    """The users in user_slots[B] come.

    Fills the probabilities of intents[B, T] and of the agents that they open[B, N].
    """
    p = world.params[0]
    for b in range(state.copies.size):
        begin_session(world, state, p, b, user_slots[b])
        total = 0.0
        for t in range(p.shape.topics):
            if world.topic_start[t + 1] > world.topic_start[t]:
                intents[b, t] = topic_odds(world, state, p, b, t, p.shape.taste, p.users.intent_scale)
                total += intents[b, t]
        for t in range(p.shape.topics):
            intents[b, t] /= total
        if p.shape.opens_agent:
            total = 0.0
            for n in range(p.shape.agents):
                opens[b, n] = opening_weight(state, p, b, n)
                total += opens[b, n]
            for n in range(p.shape.agents):
                opens[b, n] /= total


@entry
def retrieve(world, state, scratch):
    """Draw the candidates of the next page and the value of its slot to each bidder.

    The caller must know that neither is random in this world, because every draw uses key 0.
    """
    p = world.params[0]
    for b in range(state.copies.size):
        draw_candidates(world, state, scratch, p, b, np.uint64(0))
        if p.shape.auctioned:
            draw_values(world, state, p, b, np.uint64(0))
