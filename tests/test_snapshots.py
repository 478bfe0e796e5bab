"""What a snapshot may hold: whatever a game comes to, and nothing that would be read or written outside the arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from worlds import SMALL

from benchmarks.checks.random_worlds import playable_world
from recsys_env import TASKS, VectorEnv, vector_env
from recsys_env.batch.base import Snapshot
from recsys_env.world.arrays import World

FULL: dict[str, Any] = {  # with everything that a state may hold, on two pages
    "items": {"number": 20, "dims": 4, "topics": 4, "stock_init": 3, "life": 5, "period": 8},
    "users": {"number": 70, "habit_size": 4, "wallet_init": 9.0},
    "messages": 3,
}
WORLDS: dict[str, dict[str, Any]] = {
    "shared": FULL | {"page": "shared"},
    "rival": FULL | {"page": "rival"},
    "prices": {"offer": {"kind": "price"}, "feedback": {"instant": True}},
    "private": {"observation": {"privacy_epsilon": 1.0}},
    "fairness": {"reward": {"fairness": 1.0}},
    "moods": {"choice": {"v_0_by_mood": (0.0, 1.0)}, "dynamics": {"mood_up": (0.5,) * 4, "mood_down": (0.1,) * 4}},
}


def playing(copies: int = 3, ticks: int = 12, **changes: Any) -> VectorEnv:
    """A batch in the midst of an episode, so that every copy has a visitor."""
    envs = vector_env(SMALL, copies, **changes)
    envs.reset(seed=4)
    for _ in range(ticks):
        envs.step(np.broadcast_to(envs.action_space.sample(), envs.empty_actions().shape))
    return envs


def drawn(envs: VectorEnv, seed: int = 0) -> np.ndarray:
    envs.action_space.seed(seed)
    rows = [envs.action_space.sample() for _ in range(envs.num_envs * envs.num_agents)]
    return np.array(rows).reshape(envs.empty_actions().shape).astype(envs.action_space.dtype)


def altered(snapshot: Snapshot) -> Snapshot:
    return copy.deepcopy(snapshot)


def held(envs: VectorEnv) -> list[bytes]:
    """The state, without rows that nobody has taken, and the last observations."""
    return [array.tobytes() for array in envs.save().arrays] + [envs.report.observations.tobytes()]


@pytest.mark.parametrize("task", TASKS)
def test_snapshots_of_tasks_are_accepted(task: str) -> None:
    """At the first ticks, in the midst, and after an episode has ended."""
    rng = np.random.default_rng(0)
    envs = vector_env(task, 2, horizon=min(TASKS[task].horizon, 40))
    other = VectorEnv(envs.config, 2, catalogue=envs.catalogue)
    envs.reset(seed=3)
    for tick in range(envs.config.horizon + 5):
        if tick < 3 or rng.random() < 0.2:
            np.testing.assert_equal(other.restore(envs.save())[0], envs.observations)
        envs.step(drawn(envs, tick))


@pytest.mark.parametrize("seed", range(60))
def test_snapshots_of_random_worlds_are_accepted(seed: int) -> None:
    rng = np.random.default_rng([35, seed])
    envs = VectorEnv(playable_world(rng), 2)
    other = VectorEnv(envs.config, 2)
    envs.reset(seed=seed)
    for tick in range(3 * envs.config.horizon):
        if rng.random() < 0.3:
            other.restore(envs.save())
            assert held(other)[:-1] == held(envs)[:-1]
        envs.step(drawn(envs, tick))


def test_copies_of_one_state_meet_the_same_events() -> None:
    """As long as they act alike; a copy goes on as it would have."""
    envs = playing(4)
    saved, before = envs.save(), envs.observations[2].copy()
    observations, _ = envs.restore(saved.take([2, 0, 2, 2]))
    for b in (0, 2, 3):
        np.testing.assert_array_equal(observations[b], before)
    for tick in range(10):
        actions = drawn(envs, tick)[[0, 1, 0, 0]]
        _, rewards, _, _, _ = envs.step(actions)
        assert (rewards[[2, 3]] == rewards[0]).all()
    for wrong in ([], [4], [-1], [0.5], [[0]], "0"):
        with pytest.raises((ValueError, TypeError), match=r"^copies = "):
            saved.take(wrong)  # type: ignore[arg-type]


def test_one_copy_cannot_be_restored_where_the_others_have_not_begun() -> None:
    saved = playing().save(0)
    envs = vector_env(SMALL, 3)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before restore\(copy=1\)"):
        envs.restore(saved, copy=1)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step"):
        envs.step(envs.empty_actions())
    envs.restore(saved)
    envs.step(envs.empty_actions())


# ------------------------------------------------------------------------------------------------ worlds


def with_first(world: World, array: str, field: str, value: float) -> World:
    changed = getattr(world, array).copy()
    part = changed[field] if field else changed
    part.reshape(-1)[0] = value
    return world._replace(**{array: changed})


@pytest.mark.parametrize(
    ("array", "field", "value", "said"),
    [
        ("items", "topic", 2**30, "items.topic holds 1073741824, but must be from 0 to 3"),
        ("items", "alias", -1, "items.alias holds -1, but must be from 0 to 19"),
        ("items", "quality", np.nan, "items.quality holds nan, but must be finite"),
        ("popular", "item", 20, "popular.item holds 20, but must be from 0 to 19"),
        ("topic_start", "", 21, "topic_start holds 21, but must be from 0 to 20"),
        ("activity", "alias", 3, "activity.alias holds 3, but must be from 0 to 2"),
        ("agents", "role", 9, "agents.role holds 9, but must be from 0 to 0"),
        ("scenes", "owner", 7, "scenes.owner holds 7, but must be from -1 to -1"),
        ("item_vectors", "", np.inf, "item_vectors holds inf, but must be finite"),
        ("theta", "", np.nan, "theta holds nan, but must be finite"),
    ],
)
def test_a_world_with_numbers_out_of_range_is_refused(array: str, field: str, value: float, said: str) -> None:
    envs = vector_env(SMALL, 2)
    before = envs.world
    with pytest.raises(ValueError, match=f"^world.{said}$"):
        envs.world = with_first(before, array, field, value)
    assert envs.world is before


def test_the_layout_of_an_assigned_world_is_that_of_the_present_one() -> None:
    envs = vector_env(SMALL, 2)
    params = envs.world.params.copy()
    params["shape"]["dims"] = 5
    with pytest.raises(ValueError, match=r"world.params.shape.dims holds 5, but must be from 4 to 4"):
        envs.world = envs.world._replace(params=params)


def test_every_built_world_may_be_assigned() -> None:
    for task in ("ecommerce-v1", "journey-v1", "social-v1", "market-v0"):
        envs = vector_env(task, 2)
        for seed in range(1, 4):
            envs.world = vector_env(task, 2, world_seed=seed).world
        assert int(envs.world.params["shape"]["world_seed"][0]) == 3


def test_an_assigned_world_is_copied_unless_nobody_writes_it() -> None:
    """What is writeable is another type to compiled code, and may change after the check."""
    envs = vector_env(SMALL, 2)
    world = with_first(envs.world, "items", "quality", 0.5)
    envs.world = world
    world.items["topic"] = 2**30
    assert envs.world.items["topic"].max() < 4
    assert not any(array.flags.writeable for array in envs.world)
