"""Rows of people: a user takes one at the first visit of an episode, and a batch makes more when they run out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from worlds import SMALL

import recsys_env
from recsys_env import VectorEnv, Worlds, vector_env
from recsys_env.batch.memory import bytes_of_copies, bytes_of_rows
from recsys_env.policies import CompiledPolicy
from recsys_env.world.arrays import FIRST_ROWS, has_come, most_rows

CROWD: dict[str, Any] = {  # so many users that rows run out
    "users": {"number": 90, "habit_size": 4, "wallet_init": 9.0},
    "horizon": 70,
    "messages": 3,
    "arrival": {"r_0": 2.0, "d_0": 0.2},
}


def crowd(copies: int = 3, **changes: Any) -> VectorEnv:
    envs = vector_env(SMALL, copies, **(CROWD | changes))
    envs.reset(seed=5)
    return envs


def rows_of(envs: VectorEnv) -> int:
    return envs.arrays.vectors.shape[1]


def drawn(envs: VectorEnv, tick: int) -> np.ndarray:
    random = np.random.default_rng(tick)
    space: Any = envs.action_space
    return random.integers(0, space.nvec, envs.empty_actions().shape).astype(space.dtype)


def same_saved(one: Any, other: Any) -> None:
    for a, b in zip(one.save().arrays, other.save().arrays, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_env.world.arrays.FIRST_ROWS", 2)


@pytest.fixture
def ample() -> VectorEnv:
    """A batch that never runs out of rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys_env.world.arrays.FIRST_ROWS", 10**6)
        envs = crowd()
    assert rows_of(envs) == most_rows(envs.world) == 71
    return envs


def test_a_game_does_not_depend_on_how_many_rows_there_are(ample: VectorEnv, two_rows: None) -> None:
    """Over three episodes, in which users are lost, and what is told of all of them."""
    envs = crowd()
    assert rows_of(envs) == 2
    sizes = set()
    for tick in range(150):
        actions = drawn(envs, tick)
        for a, b in zip(envs.step(actions)[:4], ample.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(envs.state(), ample.state())
        for name, values in envs.latent_users(np.full(3, tick % 90)).items():
            np.testing.assert_array_equal(values, ample.latent_users(np.full(3, tick % 90))[name])
        same_saved(envs, ample)
        sizes.add(rows_of(envs))
    assert len(sizes) > 3
    assert rows_of(envs) < rows_of(ample)


def test_rollouts_make_rows_too(ample: VectorEnv, two_rows: None) -> None:
    envs = crowd()
    ours, theirs = (recsys_env.rollout(batch, "random", 100, seed=1) for batch in (envs, ample))
    np.testing.assert_array_equal(ours.rewards, theirs.rewards)
    same_saved(envs, ample)
    assert rows_of(envs) > 2


def test_a_snapshot_holds_the_rows_that_are_taken(ample: VectorEnv, two_rows: None) -> None:
    """And is restored into batches with fewer rows and with more, into all copies and into one."""
    for tick in range(40):
        ample.step(drawn(ample, tick))
    saved = ample.save()
    taken = saved.arrays.copies["rows_taken"]
    assert saved.arrays.vectors.shape[1] == taken.max() > 2
    envs = crowd()
    envs.restore(saved)
    same_saved(envs, ample)
    other = crowd()
    other.restore(ample.save(1), copy=2)
    for tick in range(40, 80):
        actions = drawn(envs, tick)
        observations = ample.step(actions)[0]
        np.testing.assert_array_equal(envs.step(actions)[0], observations)
        np.testing.assert_array_equal(other.step(actions[[0, 1, 1]])[0][2], observations[1])
    ample.restore(saved)
    envs.restore(saved)
    same_saved(envs, ample)


def test_worlds_save_parts_with_different_numbers_of_rows(two_rows: None) -> None:
    worlds = Worlds(recsys_env.replace(SMALL, CROWD), 6, range(6))
    worlds.reset(seed=0)
    for _ in range(30):
        worlds.step(worlds.empty_actions())
    saved = worlds.save()
    assert len({part.save().arrays.vectors.shape[1] for part in worlds.parts}) > 1
    after = worlds.step(worlds.empty_actions())[0]
    worlds.restore(saved)
    np.testing.assert_array_equal(worlds.step(worlds.empty_actions())[0], after)


def test_when_there_is_no_memory_for_more_rows_nothing_changes(two_rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    envs, other, refused = crowd(), crowd(), 0
    begun = other.save()
    for tick in range(40):
        with monkeypatch.context() as patch:
            patch.setattr("recsys_env.batch.vector.available", lambda: 100)
            before = [array.tobytes() for array in envs.arrays]
            try:
                envs.step(drawn(envs, tick))
            except MemoryError:
                assert before == [array.tobytes() for array in envs.arrays]
                refused += 1
                patch.undo()
                envs.step(drawn(envs, tick))
        other.step(drawn(envs, tick))
    assert refused > 1
    same_saved(envs, other)
    envs = crowd()
    monkeypatch.setattr("recsys_env.batch.vector.available", lambda: 100)
    with pytest.raises(MemoryError, match="num_envs = 3"):
        envs.restore(other.save())
    for a, b in zip(envs.save().arrays, begun.arrays, strict=True):
        assert a.tobytes() == b.tobytes()


def test_no_world_of_several_plays_if_one_has_no_memory(two_rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = Worlds(recsys_env.replace(SMALL, CROWD), 4, range(2))
    worlds.reset(seed=0)
    answers = iter([10**12, 100])  # the second world is refused
    for _ in range(40):
        before = worlds.save()
        with monkeypatch.context() as patch:
            patch.setattr("recsys_env.batch.vector.available", lambda: next(answers))
            try:
                worlds.step(worlds.empty_actions())
            except MemoryError:
                for one, other in zip(before.arrays, worlds.save().arrays, strict=True):
                    np.testing.assert_array_equal(one, other)
                break
    else:
        pytest.fail("there was memory")
    worlds.step(worlds.empty_actions())


class Meddler(CompiledPolicy):
    """Steps the batch while a rollout asks it to act."""

    compiled = True  # type: ignore[assignment]

    def actor(self, ticks: int) -> Any:
        for _ in range(ticks):
            self.envs.step(self.envs.empty_actions())
        return super().actor(ticks)


@numba.njit
def first(observation: Any, mask: Any, action: Any, key: Any) -> None:
    """Leave the action at zeros."""


def test_a_rollout_whose_rows_are_taken_meanwhile_is_refused(two_rows: None) -> None:
    envs = crowd()
    policies = {agent: Meddler(first) for agent in envs.possible_agents}
    with pytest.raises(RuntimeError, match="a policy stepped, reset or restored the batch of the rollout"):
        recsys_env.rollout(envs, policies, 30)
    envs.step(envs.empty_actions())


def test_only_who_has_come_has_a_row(two_rows: None) -> None:
    """Each user one, in the order in which they come; who was asked and has refused has none."""
    envs = crowd(arrival={"r_0": 0.0})
    refused, come = 0, [[], [], []]  # type: ignore[var-annotated]
    for tick in range(69):
        state = envs.arrays
        for b, (visitor, row) in enumerate(zip(state.copies["visitor"], state.copies["row"], strict=True)):
            assert (visitor < 0) == (row < 0)
            if visitor >= 0:
                if visitor not in come[b]:
                    come[b].append(visitor)
                assert come[b][row] == visitor
                assert state.users["row"][b, visitor] == row
        np.testing.assert_array_equal(state.copies["rows_taken"], [len(users) for users in come])
        asked = state.users["stamp"] == state.copies["stamp"][:, None]
        refused += int((asked & (state.users["row"] < 0)).sum())
        envs.step(drawn(envs, tick))
    assert refused


def test_a_user_who_has_not_come_has_no_latent_variables(two_rows: None) -> None:
    envs = crowd()
    for tick in range(10):
        envs.step(drawn(envs, tick))
    state = envs.arrays
    come = has_come(state.users, state.copies)
    for name, values in envs.latent_users(come.argmin(1)).items():
        assert (values == (-1 if name.startswith("cart") else 0)).all(), name


def test_large_batches_of_the_largest_task_fit_into_four_gigabytes() -> None:
    """With as many rows as it comes to have, and the results of two steps."""
    envs = vector_env("grocery-v1", 4)
    envs.reset(seed=0)
    recsys_env.rollout(envs, "random", envs.config.horizon - 1)
    taken = int(envs.arrays.copies["rows_taken"].max())
    assert FIRST_ROWS < taken < rows_of(envs) < 256
    more = bytes_of_rows(envs.world, 4_096, rows_of(envs) - FIRST_ROWS)
    assert bytes_of_copies(envs.world, 4_096, 0) + more < 4e9
