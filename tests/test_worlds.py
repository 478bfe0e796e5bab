"""A batch in several worlds: each copy plays as it would in a batch of its own world."""

import copy

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, Worlds, replace
from recsys_env.policies import Team

CONFIG = replace(TASKS["journey-v1"], {"horizon": 30})
SEEDS = (3, 0, 8)


def played(envs: VectorEnv | Worlds, seeds: list[int], ticks: int = 45) -> dict[str, np.ndarray]:
    """All that a batch returns with actions that depend on the tick alone."""
    rng = np.random.default_rng(0)
    observations, infos = envs.reset(seed=seeds)
    told: dict[str, list[np.ndarray]] = {"observation": [observations.copy()]}
    for _ in range(ticks):
        actions = np.broadcast_to(rng.integers(0, 20, (1, 3, 4)), (envs.num_envs, 3, 4))
        told.setdefault("expected", []).append(envs.expected_feedback(actions)["individual_reward"])
        observations, rewards, _, truncated, infos = envs.step(actions)
        told.setdefault("state", []).append(envs.state())
        told.setdefault("latent", []).append(envs.latent_users()["taste"])
        told.setdefault("final", []).append(envs.final_obs.copy())
        told.setdefault("page", []).append(envs.next_page["visitor"])
        told["observation"].append(observations.copy())
        for name, array in (("rewards", rewards), ("truncated", truncated), ("shown", infos["shown"])):
            told.setdefault(name, []).append(array.copy())
    return {name: np.stack(arrays) for name, arrays in told.items()}


def test_every_copy_plays_as_in_a_batch_of_its_own_world() -> None:
    together = played(Worlds(CONFIG, 6, SEEDS), list(range(6)))
    for i, seed in enumerate(SEEDS):
        alone = played(VectorEnv(replace(CONFIG, {"world_seed": seed}), 2), [2 * i, 2 * i + 1])
        for name, array in alone.items():
            np.testing.assert_array_equal(together[name][:, 2 * i : 2 * i + 2], array, err_msg=name)
    assert together["truncated"].any()
    assert (together["shown"][:, 0] != together["shown"][:, 2]).any()


def test_its_state_is_saved_and_restored() -> None:
    envs = Worlds(CONFIG, 6, SEEDS, num_threads=1)
    envs.reset(seed=1)
    actions = np.ones((6, 3, 4), np.int64)
    for _ in range(5):
        envs.step(actions)
    snapshot = envs.save()
    after = [envs.step(actions)[0].copy() for _ in range(5)]
    envs.restore(snapshot)
    np.testing.assert_array_equal([envs.step(actions)[0].copy() for _ in range(5)], after)
    with pytest.raises(ValueError, match="taken in another world"):
        Worlds(CONFIG, 6, (3, 0, 9)).restore(snapshot)


def test_one_copy_goes_back_into_its_own_world() -> None:
    envs = Worlds(CONFIG, 6, SEEDS)
    envs.reset(seed=1)
    actions = np.ones((6, 3, 4), np.int64)
    snapshot = envs.save(copy=3)
    before, after = envs.observations.copy(), envs.step(actions)[0].copy()
    seen, _ = envs.restore(snapshot, copy=2)
    np.testing.assert_array_equal(seen[2], before[3])
    np.testing.assert_array_equal(np.delete(seen, 2, 0), np.delete(after, 2, 0))
    for wrong, said in ((snapshot, "taken in another task"), (envs.save(), "a snapshot of 6 copies|another task")):
        with pytest.raises(ValueError, match=said):
            envs.restore(wrong, copy=0)
    with pytest.raises(ValueError, match="taken in another world"):
        envs.restore(snapshot)
    np.testing.assert_array_equal(envs.observations, seen)


def test_what_it_cannot_do_is_named() -> None:
    envs = Worlds(CONFIG, 6, SEEDS)
    with pytest.raises(RuntimeError, match="call reset"):
        envs.step(np.ones((6, 3, 4), np.int64))
    with pytest.raises(AttributeError, match="a batch of several worlds has no world; each of its `parts` has"):
        _ = envs.world
    with pytest.raises(AttributeError, match="'Worlds' object has no attribute 'wrold'"):
        _ = envs.wrold
    with pytest.raises(ValueError, match="a policy looks up one world, and these copies play in several"):
        Team(envs, {"entrance_0": "greedy"}, 0)
    with pytest.raises(ValueError, match="num_envs = 7 copies cannot be shared out evenly among 3 worlds"):
        Worlds(CONFIG, 7, SEEDS)
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="must be one or more different world seeds"):
            Worlds(CONFIG, 6, seeds)
    with pytest.raises(ValueError, match="catalogue = 'grocery' is one world"):
        Worlds(TASKS["grocery-v1"], 6, SEEDS)
    with pytest.raises(TypeError, match="config = 'journey-v1' must be a WorldConfig"):
        Worlds("journey-v1", 6, SEEDS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        copy.deepcopy(envs)
