"""What runs on the GPU: one thread for each copy of the game, all stages of its tick one after the other."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from .actions import index_outside
from .machine.compiler import thread
from .step import STEP, advance, write_final_state, write_private, write_state

NOWHERE = np.iinfo(np.int64).max  # no action is outside its space


@cache
def step_copies(unpack: Any) -> Any:
    """The step for batches whose arrays are taken apart by this function (`ArrayTable.unpack`)."""

    @thread
    def step(table, hidden, actions, mode, found, refused):
        """A tick of every copy (`step.advance`); what an agent's role hides in hidden[N, O] is not told to it.

        If `find_outside` has found an action that is not allowed, no copy plays, and refused[1 + A] is told which.
        """
        b = cuda.grid(1)
        if mode == STEP and found[0] != NOWHERE:
            if b == 0 and refused[0] < 0:  # else a later step, whose actions are others
                row, agents, width = found[0] // actions.shape[2], actions.shape[1], actions.shape[2]
                for a in range(width):
                    refused[1 + a] = actions[row // agents, row % agents, a]
                refused[0] = found[0]
            return
        if b < actions.shape[0]:
            world, state, report, scratch = unpack(table)
            advance(world, state, report, scratch, world.params[0], b, b + 1, actions, mode)
            for n in range(hidden.shape[0]):
                for o in range(hidden.shape[1]):
                    if hidden[n, o]:
                        report.observations[b, n, o] = 0.0
                        report.final_observations[b, n, o] = 0.0

    return step


@cache
def write_states(unpack: Any) -> Any:
    """`state()` for such batches."""

    @thread
    def write(table, runs, rows):
        """`state()` of every copy into rows[B, S] (`step.global_state`)."""
        b = cuda.grid(1)
        if b < rows.shape[0]:
            world, state, report, _ = unpack(table)
            p = world.params[0]
            write_state(state, p, b, rows[b])
            write_private(report.observations, runs, b, rows, p.state_fields.private)

    return write


@thread
def write_final_states(shared, observations, runs, rows):
    """The same of the last pages of the episodes that ended (`step.final_state`)."""
    b = cuda.grid(1)
    if b < rows.shape[0]:
        write_final_state(shared, observations, runs, b, rows)


@thread
def find_outside(actions, limits, low, found):
    """`actions.find_outside` into found[0], which is `NOWHERE` beforehand."""
    b = cuda.grid(1)
    if b < actions.shape[0]:
        index = index_outside(actions, b, limits, low)
        if index >= 0:
            cuda.atomic.min(found, 0, index)
