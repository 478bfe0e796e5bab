"""The arrays of a batch under one address."""

from __future__ import annotations

import gc

import numba
import numpy as np

import recsys_env
from recsys_env.kernels.compiler import entry
from recsys_env.kernels.handle import Handle, HandleType, parts_of
from recsys_env.kernels.references import typeof
from recsys_env.world import PLACE, Scratch


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
    places = np.zeros(3, PLACE)
    places["probability"] = [1, 2, 3]
    numbers = np.array([10.0, 20.0, 30.0])
    parts = (numbers,), (places,)
    sums = add_up.compile((HandleType(*map(numba.typeof, parts)), numba.float64))
    assert sums(Handle(*parts), 2.0) == 126.0
    assert numbers.tolist() == [11.0, 21.0, 31.0]
    handle = Handle((np.full(1000, 7.0),), (np.zeros(1000, PLACE),))
    gc.collect()
    np.zeros(1000)  # would lie where the array of sevens was
    assert sums(handle, 1.0) == 7000.0


def test_types_are_numbas() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    for part in (envs.world, envs.arrays, envs.report, envs.report._replace(rewards=envs.report.rewards[:, ::2])):
        assert typeof(part) == numba.typeof(part)


def test_an_array_that_is_replaced_is_played_with() -> None:
    envs, other = (recsys_env.vector_env("ecommerce-v1", 2) for _ in range(2))
    actions = envs.empty_actions()
    for batch in (envs, other):
        batch.reset(seed=0)
        batch.step(actions)
    items = envs.world.items.copy()
    items["popularity"] *= 3
    items.flags.writeable = False
    envs.world = envs.world._replace(items=items)
    envs._scratch = Scratch(*(array.copy() for array in envs._scratch))
    differ = 0
    for _ in range(6):
        differ += not np.array_equal(envs.step(actions)[0], other.step(actions)[0])
    assert differ > 3
