"""The arrays of a batch under one address."""

from __future__ import annotations

import gc

import numba
import numpy as np

import recsys_env
from recsys_env.kernels.machine.compiler import entry, stage
from recsys_env.kernels.machine.packed import PackedArrays, PackedArraysType, parts_of
from recsys_env.kernels.machine.pointers import typeof
from recsys_env.world.arrays import ACTIVITY


@entry
def add_up(handle, factor):  # type: ignore[no-untyped-def]
    """The sum of numbers of two parts; writes into the first."""
    numbers, others = parts_of(handle)
    total = 0.0
    for i in range(numbers[0].size):
        total += factor * numbers[0][i] + others[0][i].probability
        numbers[0][i] += 1.0
    return total


def test_a_handle_names_its_parts_and_keeps_them_alive() -> None:
    places = np.zeros(3, ACTIVITY)
    places["probability"] = [1, 2, 3]
    numbers = np.array([10.0, 20.0, 30.0])
    parts = (numbers,), (places,)
    sums = add_up.compile((PackedArraysType(*map(numba.typeof, parts)), numba.float64))
    handle = PackedArrays(*parts)
    assert sums(handle.address, 2.0) == 126.0
    assert numbers.tolist() == [11.0, 21.0, 31.0]
    handle = PackedArrays((np.full(1000, 7.0),), (np.zeros(1000, ACTIVITY),))
    gc.collect()
    np.zeros(1000)  # would lie where the array of sevens was
    assert sums(handle.address, 1.0) == 7000.0


@stage
def double(numbers, first, stop):  # type: ignore[no-untyped-def]
    """Twice each number of a row."""
    for i in range(first, stop):
        numbers.scores[0, i] *= 2.0


@numba.njit(error_model="numpy")  # not an `entry`: code that comes from the disk cannot be looked at
def double_all(handle, stop):  # type: ignore[no-untyped-def]
    (scratch,) = parts_of(handle)
    double(scratch, 0, stop)


def test_a_stage_is_a_function_of_its_own() -> None:
    """That gets addresses, of which it knows that what it writes changes nothing there."""
    scratch = recsys_env.vector_env("ecommerce-v1", 1)._scratch
    scratch.scores[:] = 3.0
    signature = (PackedArraysType(typeof(scratch)), numba.int64)
    handle = PackedArrays(scratch)
    double_all.compile(signature)(handle.address, 2)
    assert scratch.scores[0, :4].tolist() == [6.0, 6.0, 3.0, 3.0]
    text = double_all.inspect_llvm(signature)
    told = next(
        line for line in text.splitlines() if line.startswith("define") and "double" in line and "arg.numbers" in line
    )
    assert "double_all" not in told.split("(")[0]
    assert all(word in told for word in ("noalias", "dereferenceable("))


def test_types_are_numbas() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    for part in (envs.world, envs.arrays, envs.report, envs.report._replace(rewards=envs.report.rewards[:, ::2])):
        assert typeof(part) == numba.typeof(part)


def test_a_world_that_is_replaced_is_played_in() -> None:
    envs, other = (recsys_env.vector_env("ecommerce-v1", 2) for _ in range(2))
    actions = envs.empty_actions()
    for batch in (envs, other):
        batch.reset(seed=0)
        batch.step(actions)
    items = envs.world.items.copy()
    items["popularity"] *= 3
    items.flags.writeable = False
    envs.world = envs.world._replace(items=items)
    differ = 0
    for _ in range(6):
        differ += not np.array_equal(envs.step(actions)[0], other.step(actions)[0])
    assert differ > 3
