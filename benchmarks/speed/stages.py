"""Nanoseconds of the stages of a tick, and of the primitive operations that a page needs at least.

A stage is timed by repeating it for every copy on the same state, so only stages that change nothing when repeated are
measured. What a click and a visit change is counted as the rest of the tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from recsys_env import VectorEnv
from recsys_env.batch.vector import chunks
from recsys_env.kernels.actions import read_actions
from recsys_env.kernels.choice import draw_click, weigh_slots
from recsys_env.kernels.machine import rng
from recsys_env.kernels.machine.compiler import entry
from recsys_env.kernels.machine.numeric import exp
from recsys_env.kernels.machine.specialize import specialised_type
from recsys_env.kernels.observation import observe
from recsys_env.kernels.page import fill_slots
from recsys_env.kernels.retrieval import draw_candidates
from recsys_env.world.arrays import State

ROW = 64  # bytes of a record that is read at random
TABLE = 1 << 12  # rows of the table from which records are read; it fits into the second cache


@entry
def read_and_fill(world, state, report, scratch, actions, starts):  # type: ignore[no-untyped-def]
    """Read the actions and fill the slots with items."""
    p = world.params[0]
    for b in range(state.copies.size):
        if state.copies[b].visitor >= 0:
            read_actions(world, state, report, scratch, p, b, actions)
            fill_slots(world, state, report, p, b, scratch.shown)


@entry
def choose(world, state, report, scratch, actions, starts):  # type: ignore[no-untyped-def]
    """Compute the utilities of the slots and draw the click."""
    p = world.params[0]
    for i in range(starts.size - 1):
        weigh_slots(world, state, report, scratch, p, starts[i], starts[i + 1])
        for b in range(starts[i], starts[i + 1]):
            if state.copies[b].visitor >= 0:
                draw_click(world, state, report, scratch, p, b, 0.5)


@entry
def retrieve(world, state, report, scratch, actions, starts):  # type: ignore[no-untyped-def]
    """Draw the candidates of the next page."""
    p = world.params[0]
    for b in range(state.copies.size):
        copy = state.copies[b]
        draw_candidates(world, state, scratch, p, b, rng.child(copy.key, copy.tick - 1))


@entry
def describe(world, state, report, scratch, actions, starts):  # type: ignore[no-untyped-def]
    """Write observations and masks."""
    p = world.params[0]
    for b in range(state.copies.size):
        observe(world, state, report, scratch, p, b, report.observations, report.masks)


STAGES = {"page": read_and_fill, "click": choose, "candidates": retrieve, "observations": describe}


def stages(envs: VectorEnv, actions: np.ndarray) -> dict[str, Callable[[], Any]]:
    """One call for each stage of a tick, compiled for this world, over all copies of a batch that has been stepped. The
    calls work on a copy of the state, so the batch does not change."""
    state = State(*(array.copy() for array in envs.arrays))
    report = type(envs.report)(*(array.copy() for array in envs.report))
    arguments = (envs.world, state, report, envs._scratch, actions, chunks(envs.num_envs))

    def call(stage: Any) -> Callable[[], Any]:
        compiled = stage.compile(
            (specialised_type(envs.world), *(numba.typeof(argument) for argument in arguments[1:]))
        )
        return lambda: compiled(*arguments)

    return {name: call(stage) for name, stage in STAGES.items()}


# ------------------------------------------------------------------------------------------------ primitives


@entry
def exponentials(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = exp(x[i])


@entry
def hashes(x):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        x[i] = rng.mix64(np.uint64(i))


@entry
def gathers(table, rows, sums):  # type: ignore[no-untyped-def]
    for i in range(rows.size):
        sums[i] = table[rows[i], 0] + table[rows[i], 7]


@entry
def products(x, y, sums):  # type: ignore[no-untyped-def]
    for d in range(x.size):
        factor = x[d]
        for i in range(sums.size):
            sums[i] += factor * y[d, i]


def primitives() -> dict[str, tuple[Callable[[], Any], float]]:
    """name -> a call, and how many of the primitive it performs. Each call is one pass over an array that keeps its
    results, so that the compiler may use vector instructions."""
    draw = np.random.default_rng(0)
    buffer = np.zeros(1 << 16, np.float32)
    x, bits = draw.uniform(-5, 5, 1 << 12), np.zeros(1 << 12, np.uint64)
    table, rows = np.zeros((TABLE, ROW // 8)), draw.integers(0, TABLE, 1 << 12)
    vector, many, sums = np.zeros(16, np.float32), np.zeros((16, 1 << 8), np.float32), np.zeros(1 << 8, np.float32)
    return {
        "write_byte": (lambda: buffer.fill(1.0), buffer.nbytes),
        "random_number": (lambda: hashes(bits), bits.size),
        "exponential": (lambda: exponentials(x, np.empty_like(x)), x.size),
        "gather": (lambda: gathers(table, rows, x), rows.size),
        "multiply_add": (lambda: products(vector, many, sums), many.size),
    }


def operations(envs: VectorEnv) -> dict[str, float]:
    """How many primitives a page needs, however it is computed.

    write_byte: observations of all agents, and the report of their slots and of themselves.
    random_number: eight for visitor, session, click and what follows it; one for each slot's position on the page;
    three for each candidate (its topic or the table it is drawn from, itself, its position).
    exponential: one for each slot's weight, three for each agent, one for each topic's chance, four for what follows a
    click.
    gather: the record of each slot's item and of each candidate, and four of the visitor.
    multiply_add: taste times vector for each slot, and profile times vector for each candidate.
    """
    shape, report = envs.shape, envs.report
    slots, drawn = shape.agents * shape.slots, shape.agents * shape.candidates
    told = (report.observations, report.masks, report.slots, report.agents)
    return {
        "write_byte": sum(array.nbytes for array in told) / envs.num_envs,
        "random_number": 8.0 + slots + 3.0 * drawn,
        "exponential": slots + 3.0 * shape.agents + (shape.topics if drawn else 0) + 4.0,
        "gather": slots + drawn + 4.0,
        "multiply_add": shape.dims * (slots + drawn),
    }


def lower_bound(envs: VectorEnv, unit: dict[str, float]) -> dict[str, float]:
    """Nanoseconds of a page's primitives, if each is as fast as in a pass of its own."""
    return {name: count * unit[name] for name, count in operations(envs).items()}
