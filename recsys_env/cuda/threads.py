"""What runs on the GPU: one thread for each copy of the game, all stages of its tick one after the other."""

from __future__ import annotations

from numba import cuda

from .actions import place_outside
from .machine.compiler import thread
from .step import advance, write_final_state, write_private, write_state


@thread
def step_copies(world, state, report, scratch, hidden, actions, mode):
    """A tick of every copy (`step.advance`); what an agent's role hides in hidden[N, O] is not told to it."""
    b = cuda.grid(1)
    if b < state.copies.size:
        advance(world, state, report, scratch, world.params[0], b, b + 1, actions, mode)
        for n in range(hidden.shape[0]):
            for o in range(hidden.shape[1]):
                if hidden[n, o]:
                    report.observations[b, n, o] = 0.0
                    report.final_observations[b, n, o] = 0.0


@thread
def write_states(world, state, observations, runs, rows):
    """`state()` of every copy into rows[B, S] (`step.global_state`)."""
    b = cuda.grid(1)
    if b < state.copies.size:
        p = world.params[0]
        write_state(state, p, b, rows[b])
        write_private(observations, runs, b, rows, p.state_fields.private)


@thread
def write_final_states(report, runs, rows):
    """The same of the last pages of the episodes that ended (`step.final_state`)."""
    b = cuda.grid(1)
    if b < rows.shape[0]:
        write_final_state(report, runs, b, rows)


@thread
def find_outside(actions, limits, low, found):
    """`actions.find_outside` into found[0]; what it holds beforehand stands for none."""
    b = cuda.grid(1)
    if b < actions.shape[0]:
        place = place_outside(actions, b, limits, low)
        if place >= 0:
            cuda.atomic.min(found, 0, place)
