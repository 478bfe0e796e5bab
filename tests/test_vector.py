"""The batch as an environment: buffers, ends, seeds, threads, errors, infos, saved states, and what import may not
do."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import recsys_env
from recsys_env import Catalogue, VectorEnv, WorldConfig, vector_env
from recsys_env.batch.base import copy_seed
from recsys_env.batch.game import QUERY_SCAN_WARNING
from recsys_env.config.fields import OBSERVATION
from recsys_env.config.settings import replace
from recsys_env.world.arrays import has_come

PACKAGE = Path(recsys_env.__file__).parent
BUSY = WorldConfig(
    slots=3,
    horizon=20,
    scenes=({"name": "page", "cart": True},),
    users={"number": 3},
    candidates={"number": 6},
    items={"number": 30, "dims": 4, "topics": 5, "stock_init": 2, "restock_period": 15},
    choice={"v_0": -2.0},
    arrival={"r_0": 1.0},
    feedback={"b_0": 1.0, "cart_hazard": 0.4, "rating_after_click": 0.5},
    reward={"purchase": 1.0},
)
B, N, K = 4, 2, 3


def batch(
    num_envs: int = B, seed: Any = 0, steps: int = 0, num_threads: int = 1, **overrides: Any
) -> recsys_env.VectorEnv:
    envs = vector_env(BUSY, num_envs, num_threads=num_threads, **overrides)
    envs.reset(seed=seed)
    envs.action_space.seed(0)
    for _ in range(steps):
        envs.step(sampled(envs))
    return envs


def sampled(envs: recsys_env.VectorEnv) -> np.ndarray:
    return np.array([[envs.action_space.sample() for _ in range(envs.num_agents)] for _ in range(envs.num_envs)])


def frozen(result: Any) -> list[np.ndarray]:
    """Copies of everything a step returned."""
    observations, *rest, infos = result
    parts = list(observations.values()) if isinstance(observations, dict) else [observations]
    return [np.array(part) for part in (*parts, *rest, *(infos[key] for key in infos if not key.startswith("final")))]


def assert_equal(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def arrays(envs: recsys_env.VectorEnv) -> list[np.ndarray]:
    return list(envs.save().arrays)


# -------------------------------------------------------------------------------- what a step returns


def test_shapes_types_and_bounds() -> None:
    envs = batch()
    size = envs.observation_space.shape[0]
    for _ in range(BUSY.horizon + 5):
        observations, rewards, terminations, truncations, infos = envs.step(sampled(envs))
        assert (observations.shape, observations.dtype) == ((B, N, size), np.float32)
        assert (rewards.shape, rewards.dtype) == ((B, N), np.float32)
        assert terminations.shape == truncations.shape == (B,)
        assert terminations.dtype == truncations.dtype == np.bool_
        assert np.abs(observations).max() <= 1
        assert np.isfinite(rewards).all()
        assert infos["shown"].shape == infos["clicked"].shape == infos["rating"].shape == (B, N, K)
        assert (
            infos["individual_reward"].shape
            == infos["visitor"].shape
            == infos["empty"].shape
            == infos["active"].shape
            == (B, N)
        )
        assert infos["later_item"].shape == infos["later_agent"].shape == (B, 3)


def test_an_observation_and_its_successor_coexist() -> None:
    envs = batch(copy=False)
    before, _ = envs.reset()
    for _ in range(BUSY.horizon + 5):
        kept = before.copy()
        after = envs.step(sampled(envs))[0]
        np.testing.assert_array_equal(before, kept)
        assert not np.shares_memory(before, after)
        before = after


def test_results_are_copies_unless_one_says_otherwise() -> None:
    copied, shared = batch(mask_actions=True), batch(mask_actions=True, copy=False)
    kept, expected = [], []
    for _ in range(BUSY.horizon + 3):
        actions = sampled(copied)
        results, (observations, rewards, _, truncated, infos) = copied.step(actions), shared.step(actions)
        ends = {"final_obs": infos["final_obs"], "final_mask": infos["final_mask"]} if truncated.any() else {}
        told = {**observations, "rewards": rewards, "truncated": truncated, **infos.copy(), **ends}
        kept.append(results)
        expected.append({name: np.array(array) for name, array in told.items()})
    ours = [array for report in copied._buffers for array in report if array.size]
    for (observations, rewards, _, truncated, infos), told in zip(kept, expected, strict=True):
        found = {**infos, **observations, "rewards": rewards, "truncated": truncated}
        for name, array in told.items():
            np.testing.assert_array_equal(found[name], array, name)
            assert not any(np.shares_memory(found[name], other) for other in ours), name
    assert np.shares_memory(shared.step(actions)[1], shared.report.rewards)
    with pytest.raises(TypeError, match="copy = 1 must be True or False"):
        vector_env(BUSY, 1, copy=1)  # type: ignore[call-overload]


def test_episodes_end_by_truncation_at_the_horizon() -> None:
    envs, other = batch(), batch()
    for tick in range(1, 3 * BUSY.horizon + 1):
        actions = sampled(envs)
        observations, _, terminations, truncations, infos = envs.step(actions)
        assert not terminations.any()
        assert (truncations == (tick % BUSY.horizon == 0)).all()
        if truncations.any():
            assert not np.array_equal(envs.final_obs, observations)
            np.testing.assert_array_equal(infos["final_obs"], envs.final_obs)
            assert np.abs(envs.final_obs).max() <= 1
            np.testing.assert_array_equal(observations, other.reset()[0])  # the first of the next episode
            assert (envs.tick == 0).all()


def test_the_final_observation_is_the_one_a_longer_episode_shows() -> None:
    """`final_obs` is what the agents would have seen had the episode gone on."""
    envs, longer = batch(), batch(horizon=BUSY.horizon + 1)
    for _ in range(BUSY.horizon):
        actions = sampled(envs)
        envs.step(actions)
        observations = longer.step(actions)[0]
    np.testing.assert_array_equal(envs.final_obs, observations)


def test_final_masks() -> None:
    """At the end something is sold out, in the next episode nothing."""
    envs = batch(steps=BUSY.horizon, mask_actions=True, action="items", items={"restock_period": 500})
    assert envs.final_obs["action_mask"].shape == envs.observations["action_mask"].shape
    assert not np.array_equal(envs.final_obs["action_mask"], envs.observations["action_mask"])


# ---------------------------------------------------------------------------------------------------- infos


def test_infos_are_a_mapping_of_the_last_step() -> None:
    envs = batch(steps=5)
    infos = envs.step(sampled(envs))[4]
    assert set(infos) == set(infos.ENTRIES)
    assert len(infos) == len(infos.ENTRIES)
    assert all(isinstance(infos[key], np.ndarray) for key in infos)
    with pytest.raises(KeyError, match=r"'shwon' \(did you mean 'shown'\?\); these infos hold shown"):
        infos["shwon"]
    with pytest.raises(KeyError, match="'later_'"):
        infos["later_"]


def test_kept_infos_outlive_the_buffers() -> None:
    envs = batch(copy=False)
    kept, expected = [], []
    for _ in range(6):
        infos = envs.step(sampled(envs))[4]
        kept.append(infos.copy())
        expected.append({key: infos[key].copy() for key in set(infos) - {"final_obs", "final_mask"}})
    for infos, values in zip(kept, expected, strict=True):
        assert set(infos) == {*values, "final_obs", "final_mask"}
        for key in values:
            np.testing.assert_array_equal(infos[key], values[key])


def test_a_copy_of_copied_infos_keeps_the_final_observations() -> None:
    envs = batch(copy=False)
    while not envs.step(sampled(envs))[3].any():
        pass
    kept, final = envs.infos.copy(), envs.final_obs.copy()
    assert final.any()
    for _ in range(2):
        envs.step(sampled(envs))
    for infos in (kept, kept.copy()):
        np.testing.assert_array_equal(infos["final_obs"], final)


def test_infos_agree_with_themselves_and_with_rewards() -> None:
    envs = batch(num_envs=16)
    totals = dict.fromkeys(("clicked", "cart", "later", "rating", "idle"), 0)
    following = envs.next_visitor.copy()
    for _ in range(BUSY.horizon - 1):
        _, rewards, _, _, infos = envs.step(sampled(envs))
        np.testing.assert_array_equal(infos["visitor"], following)
        following = infos["next_visitor"].copy()
        np.testing.assert_array_equal(infos["next_visitor"], envs.next_visitor)
        np.testing.assert_array_equal(infos["active"], envs.active)
        np.testing.assert_array_equal(infos["active"], infos["next_visitor"] >= 0)
        np.testing.assert_array_equal(envs.field(envs.observations, "is_active")[..., 0], infos["active"])
        idle = infos["visitor"] < 0
        assert (infos["shown"][idle] < 0).all()
        assert (infos["empty"][idle] == 0).all()
        assert (infos["clicked"].sum((1, 2)) <= 1).all()
        assert (infos["shown"][infos["clicked"]] >= 0).all()
        assert infos["clicked"][infos["cart"] | (infos["rating"] > 0) | (infos["dwell"] > 0)].all()
        np.testing.assert_allclose(infos["empty"], ((infos["shown"] < 0) & (infos["rank"] >= 0)).sum(-1))
        own = infos["clicked"].sum(-1).astype(float)
        for b, q in np.argwhere(infos["later_item"] >= 0):
            own[b, infos["later_agent"][b, q]] += infos["later_price"][b, q]
            totals["later"] += 1
        np.testing.assert_allclose(infos["individual_reward"], own, atol=1e-5)
        np.testing.assert_allclose(rewards, own, atol=1e-5)
        totals["clicked"] += infos["clicked"].sum()
        totals["cart"] += infos["cart"].sum()
        totals["rating"] += (infos["rating"] > 0).sum()
        totals["idle"] += idle.sum()
    assert all(totals.values())


@pytest.mark.parametrize("sharing", [-1.0, 0.5, 1.0])
def test_shared_rewards(sharing: float) -> None:
    envs = batch(reward={"sharing": sharing})
    for _ in range(10):
        _, rewards, _, _, infos = envs.step(sampled(envs))
        mean = infos["individual_reward"].mean(1, keepdims=True)
        np.testing.assert_allclose(
            rewards, (1 - max(sharing, 0)) * infos["individual_reward"] + sharing * mean, atol=1e-6
        )


# -------------------------------------------------------------------------------- seeds, batches, threads


MOST = min(2, numba.config.NUMBA_NUM_THREADS)  # threads; one where one processor is visible
SEVERAL = pytest.mark.skipif(MOST < 2, reason="one processor is visible, or NUMBA_NUM_THREADS = 1")


@pytest.mark.parametrize("num_threads", [1, pytest.param(2, marks=SEVERAL)])
def test_results_do_not_depend_on_batch_size_or_threads(num_threads: int) -> None:
    envs, alone = batch(7, 9, num_threads=num_threads), batch(1, copy_seed(9, 5))
    for _ in range(BUSY.horizon + 3):
        actions = sampled(envs)
        assert_equal([part[5:6] for part in frozen(envs.step(actions))], frozen(alone.step(actions[5:6])))


def test_seeds() -> None:
    envs = batch()
    first = frozen((*envs.reset(seed=1),))
    assert_equal(frozen(envs.reset(seed=[copy_seed(1, b) for b in range(B)])), first)
    assert_equal(frozen(envs.reset(seed=np.int64(1))), first)
    following = frozen(envs.reset())
    assert not np.array_equal(following[0], first[0])
    assert not np.array_equal(frozen(envs.reset(seed=2))[0], first[0])
    assert_equal(frozen(envs.reset(seed=1)), first)
    assert_equal(frozen(envs.reset()), following)
    assert len({copy_seed(1, b) for b in range(10_000)} | {copy_seed(2, b) for b in range(10_000)}) == 20_000
    assert copy_seed(5, 0) == 5


NO_SEED, NO_ENTRY = (
    r"must be an integer in \[0, 2\^64\), a sequence of one for each copy, or None$",
    r"must be an integer in \[0, 2\^64\)$",
)
TOO_FAR = r"is out of range; allowed are integers in \[0, 2\^64\)$"
WRONG_SEEDS: list[tuple[Any, type[Exception], str]] = [
    (-1, ValueError, f"seed = -1 {TOO_FAR}"),
    (2**64, ValueError, f"seed = 18446744073709551616 {TOO_FAR}"),
    ("1", TypeError, f"seed = '1' {NO_SEED}"),
    (True, TypeError, f"seed = True {NO_SEED}"),
    ([1, 2], ValueError, r"seed = \[1, 2\] has 2 entries, expected one for each of the 4 copies"),
    ([0, 1, 2, -3], ValueError, rf"seed\[3\] = -3 {TOO_FAR}"),
    ([0, 1.5, 2, 3], TypeError, rf"seed\[1\] = 1.5 {NO_ENTRY}"),
]


@pytest.mark.parametrize(("seed", "error", "says"), WRONG_SEEDS, ids=[repr(seed)[:30] for seed, _, _ in WRONG_SEEDS])
def test_wrong_seeds_are_named_and_change_nothing(seed: Any, error: type[Exception], says: str) -> None:
    envs = batch(steps=3)
    before, snapshot = arrays(envs), envs.save()
    for call in (lambda: envs.reset(seed=seed), lambda: envs.restore(snapshot, seed=seed)):
        with pytest.raises(error, match=says) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert_equal(arrays(envs), before)


def test_any_sequence_of_integers_is_one_of_seeds() -> None:
    envs = batch()
    first = frozen(envs.reset(seed=[0, 1, 2, 3]))
    for seeds in (range(4), (0, 1, 2, 3), np.arange(4), np.arange(4, dtype=np.uint64), [np.int8(j) for j in range(4)]):
        assert_equal(frozen(envs.reset(seed=seeds)), first)


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)])
def test_wrong_counts(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="num_envs"):
        vector_env(BUSY, wrong)
    with pytest.raises(error, match="num_threads"):
        vector_env(BUSY, 1, num_threads=wrong)


# ---------------------------------------------------------------------------------------------------- actions


def wrong_actions() -> dict[str, tuple[dict[str, Any], Any, type[Exception], str]]:
    good = np.zeros((B, N, K), np.int64)

    def at(value: Any, array: np.ndarray = good) -> np.ndarray:
        changed = array.astype(np.result_type(array, type(value))) if isinstance(value, float) else array.copy()
        changed[2, 1, 0] = value
        return changed

    query = np.zeros((B, N, 4), np.float32)
    one = np.zeros((B, N), np.int64)
    one[2, 1] = 6
    where = "recommender_1 in copy 2"
    return {
        "large": ({}, at(6), ValueError, where),
        "negative": ({}, at(-1), ValueError, where),
        "floats": ({}, at(1.0), TypeError, "float64"),
        "other batch": ({}, good[:2], ValueError, "shape"),
        "nothing": ({}, None, ValueError, "actions = None of shape"),
        "booleans": ({}, good.astype(bool), TypeError, "bool"),
        "one slot": ({"slots": 1}, one, ValueError, where),
        "message": ({"messages": 2}, at(6, np.zeros((B, N, K + 1), np.int64)), ValueError, where),
        "query NaN": ({"action": "query"}, at(np.nan, query), ValueError, where),
        "query large": ({"action": "query"}, at(1.01, query), ValueError, where),
        "item": ({"action": "items"}, at(30), ValueError, where),
    }


@pytest.mark.parametrize(("overrides", "actions", "error", "says"), wrong_actions().values(), ids=wrong_actions())
def test_wrong_actions_change_nothing(
    overrides: dict[str, Any], actions: Any, error: type[Exception], says: str
) -> None:
    envs = batch(steps=3, **overrides)
    before, observations = arrays(envs), copy.deepcopy(envs.observations)
    with pytest.raises(error, match=says) as caught:
        envs.step(actions)
    assert str(envs.action_space) in str(caught.value)
    assert_equal(arrays(envs), before)
    np.testing.assert_array_equal(envs.observations, observations)


def test_action_kinds_show_what_they_name() -> None:
    ids = np.tile(np.arange(N * K).reshape(N, K), (B, 1, 1))
    envs = batch(action="items", arrival={"r_0": 50.0}, items={"stock_init": 0})
    shown = envs.step(ids)[4]["shown"]
    np.testing.assert_array_equal(shown, ids)
    envs = batch(arrival={"r_0": 50.0}, page="rows", mask_actions=True)
    candidates = envs.save().arrays.candidates
    picks = np.broadcast_to([4, 0, 2], (B, N, K))
    np.testing.assert_array_equal(envs.step(picks)[4]["shown"], np.take_along_axis(candidates, picks, 2))
    envs = batch(action="query", arrival={"r_0": 50.0}, items={"stock_init": 0}, page="rows")
    query = np.random.default_rng(0).uniform(-1, 1, (B, N, 4)).astype(np.float32)
    nearest = np.argsort(-query @ envs.world.item_vectors.T, axis=-1)[..., :K]
    np.testing.assert_array_equal(envs.step(query)[4]["shown"], nearest)  # weights: test_weights.py


@pytest.mark.parametrize("action", ["candidates", "items"])
@pytest.mark.parametrize("slots", [1, 3])
def test_masked_actions_stand(action: str, slots: int) -> None:
    """One option that the mask allows is never a hole, and only options of an empty choice are; one that it forbids
    always is."""
    roles = ({"name": "left", "domains": (0,)}, {"name": "right", "domains": (1, 2)})
    envs = batch(
        action=action,
        slots=slots,
        mask_actions=True,
        roles=roles,
        page="rows",
        items={"domains": 3},
        candidates={"number": 12},
    )
    options = 12 if action == "candidates" else 30
    rng = np.random.default_rng(0)
    forbidden = 0
    for _ in range(BUSY.horizon - 1):
        masks = envs.observations["action_mask"].reshape(B, N, slots, options)
        assert masks.any(-1).all()
        actions = np.zeros((B, N, slots), np.int64)
        for b, n in np.ndindex(B, N):
            allowed = np.flatnonzero(masks[b, n, 0])
            actions[b, n] = rng.choice(allowed, slots, replace=len(allowed) < slots)
        if action == "items" and rng.random() < 0.3:  # what the mask forbids
            actions[..., 0] = np.argmin(masks[..., 0, :], axis=-1)
            taboo = np.take_along_axis(masks[..., 0, :], actions[..., :1], -1)[..., 0] == 0
        else:
            taboo = np.zeros((B, N), bool)
        infos = envs.step(actions if slots > 1 else actions[..., 0])[4]
        on_page = infos["rank"][..., 0] >= 0
        np.testing.assert_array_equal(infos["shown"][..., 0] < 0, taboo | ~on_page)
        forbidden += (taboo & on_page).sum()
        if action == "candidates":
            few = masks[..., 0, :].sum(-1) < slots
            assert ((infos["empty"] == 0) | few).all()
    assert (forbidden > 0) == (action == "items")


def test_messages_reach_the_others_at_the_same_visitors_next_page() -> None:
    envs = batch(num_envs=1, messages=3, users={"number": 2}, arrival={"r_0": 3.0}, slots=1, horizon=60)
    said: dict[int, np.ndarray] = {}
    rng, heard = np.random.default_rng(0), 0
    for _ in range(BUSY.horizon * 2):
        visitor = int(envs.next_visitor[0, 0])
        messages = envs.field(envs.observations, "messages")[0].reshape(2, 2, 3)
        expected = np.zeros((2, 2, 3))
        if visitor in said:
            for m in range(2):
                expected[1 - m, m, said[visitor][m]] = 1
                heard += 1
        np.testing.assert_array_equal(messages, expected)
        words = rng.integers(0, 3, 2)
        if visitor >= 0:
            said[visitor] = words
        envs.step((rng.integers(0, 6, 2) * 3 + words)[None])
    assert heard > 10


def test_full_observability() -> None:
    envs = batch(steps=5, observability="full")
    fields = [name for name in envs.observation_fields if name.startswith("latent_")]
    assert fields == [field.name for field in OBSERVATION if field.latent]
    assert set(fields) < set(envs.state_fields)
    present = envs.active
    assert present.any()
    state = envs.state()
    for name in fields:
        seen = envs.field(envs.observations, name)
        for n in range(N):
            np.testing.assert_array_equal(seen[:, n][present[:, n]], state[:, envs.state_fields[name]][present[:, n]])
    assert not any(name.startswith("latent_") for name in batch().observation_fields)


def test_large_query_scans_are_warned_about() -> None:
    with pytest.warns(UserWarning, match="scan"):
        vector_env(BUSY, action="query", items={"number": QUERY_SCAN_WARNING + 1})


def test_latent_users_are_those_that_a_full_observation_shows() -> None:
    envs = batch(8, steps=12, observability="full", users={"wallet_init": 3.0, "wallet_refill": 0.1})
    latent, page, there = envs.latent_users(), envs.next_page, envs.active[:, 0]
    assert there.sum() > 3

    def seen(name: str) -> np.ndarray:
        return envs.field(envs.observations[:, 0], name)[there]

    for name in ("taste", "satiation", "price_sensitivity", "wallet"):
        values = latent[name].reshape(8, -1)[there]
        np.testing.assert_allclose(seen(f"latent_{name}"), values / (1 + abs(values)), atol=1e-6)
    np.testing.assert_array_equal(seen("latent_trust"), latent["trust"][there])
    np.testing.assert_array_equal(seen("latent_satisfaction")[:, 0], latent["satisfaction"][there])
    np.testing.assert_array_equal(seen("latent_intent").argmax(1), page["intent"][there])
    in_cart = (latent["cart_item"] >= 0).mean(1)[there]
    np.testing.assert_allclose(seen("cart")[:, 0], in_cart, atol=1e-6)
    assert in_cart.any()
    np.testing.assert_array_equal(latent["cart_agent"] >= 0, latent["cart_item"] >= 0)


def test_latent_users_may_be_others_than_the_visitors_and_are_copies() -> None:
    envs = batch(steps=5)
    before, visited = [array.copy() for array in envs.save().arrays], 0
    for place in range(3):
        latent, users = envs.latent_users(place), envs.arrays.users[:, place]
        come = has_come(users, envs.arrays.copies)
        np.testing.assert_array_equal(latent["satisfaction"], np.where(come, users["satisfaction"], 0))
        np.testing.assert_array_equal(latent["wallet"], np.where(come, np.inf, 0))
        visited += come.sum()
        for values in (*latent.values(), envs.next_page, envs.utilities, envs.inclusive_values):
            values[...] = np.zeros(1, values.dtype)[0]
    assert visited
    assert all(map(np.array_equal, before, envs.save().arrays))
    with pytest.raises(IndexError):
        envs.latent_users(3)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before latent_users\(\)"):
        vector_env(BUSY).latent_users()


def test_utilities_and_inclusive_values_are_those_of_the_page_explained() -> None:
    envs = batch(steps=3)
    scale, shown = envs.config.choice.dissimilarity, 0
    for _ in range(10):
        actions, visited = sampled(envs), envs.next_page["visitor"] >= 0
        page = envs.explain(actions)
        envs.step(actions)
        standing = page["item"] >= 0
        np.testing.assert_array_equal(envs.utilities[standing], page["utility"][standing])
        with np.errstate(divide="ignore"):
            mass = np.log(np.where(standing, np.exp(page["utility"] / scale + page["position"]), 0).sum(-1))
        wanted = scale * mass + page["trust"]
        np.testing.assert_allclose(envs.inclusive_values[visited], wanted[visited], atol=1e-9)
        shown += standing.sum()
    assert shown > 50


def test_state_says_how_much_of_the_episode_has_passed() -> None:
    envs = vector_env(BUSY, 2, horizon=5)
    envs.reset(seed=2)
    place = envs.state_fields["episode_share"]
    for tick in range(12):
        share = (tick % 5 + 1) / 6
        np.testing.assert_allclose(envs.state()[:, place], share, rtol=1e-6)
        envs.step(envs.empty_actions())
        if tick % 5 == 4:
            np.testing.assert_array_equal(envs.final_state()[:, place], 1)


@pytest.mark.parametrize("users", [BUSY.users.number, 130])  # 130: more than two words of bits
def test_state_holds_the_means_over_the_users_seen(users: int) -> None:
    """Counted again here, over three episodes, with users that are lost and replaced."""
    envs = vector_env(BUSY, 3, horizon=40, arrival={"d_0": 0.3}, users={"number": users})
    envs.reset(seed=2)
    rng, seen, reborn = np.random.default_rng(0), set(), False
    for _ in range(120):
        envs.step(rng.integers(0, 2, envs.empty_actions().shape))
        people, trust = envs.arrays.users, envs.world.params["shape"]["trust"][0]
        touched = people["stamp"] == envs.arrays.copies["stamp"][:, None]
        count = touched.sum(1)
        rows = np.where(touched, people["row"], -1)
        theirs = envs.arrays.vectors[np.arange(3)[:, None], rows, trust : trust + N]
        theirs = np.where(rows[:, :, None] >= 0, theirs, envs.config.users.trust_init)
        state = envs.state()
        mean_satisfaction = np.where(touched, people["satisfaction"], 0).sum(1) / count
        mean_trust = np.where(touched[:, :, None], theirs, 0).sum(1) / count[:, None]
        np.testing.assert_allclose(state[:, envs.state_fields["mean_satisfaction"]][:, 0], mean_satisfaction, atol=1e-6)
        np.testing.assert_allclose(state[:, envs.state_fields["mean_trust"]], mean_trust, atol=1e-6)
        seen.update(count.tolist())
        reborn |= bool((touched & (people["incarnation"] > 0)).any())
    assert len(seen) > 1
    assert reborn


def test_final_state_is_that_of_a_game_that_goes_on() -> None:
    """Where an episode ends, the state beside the last observation; not that of the next episode, which `state()`
    gives."""
    ends, goes_on = (vector_env(BUSY, 3, horizon=horizon) for horizon in (8, 9))
    ends.reset(seed=2)
    goes_on.reset(seed=2)
    rng = np.random.default_rng(0)
    for _ in range(8):
        actions = rng.integers(0, 2, ends.empty_actions().shape)
        ends.step(actions)
        goes_on.step(actions)
    assert ends.truncated.all()
    np.testing.assert_array_equal(ends.final_obs, goes_on.observations)
    share = ends.state_fields["episode_share"]  # of another horizon
    final, state = (np.delete(states, share, 1) for states in (ends.final_state(), goes_on.state()))
    np.testing.assert_array_equal(final, state)
    assert final.any()
    ends.reset(seed=3)
    assert ends.state_space.contains(ends.state()[0])
    assert not np.array_equal(ends.final_state(), ends.state())


# -------------------------------------------------------------------------------- copies and saved states


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("steps", [4, 5])
def test_copies_go_on_alike(how: Any, steps: int) -> None:
    envs = batch(steps=steps)
    other = how(envs)
    np.testing.assert_array_equal(other.observations, envs.observations)
    for _ in range(BUSY.horizon):
        actions = sampled(envs)
        assert_equal(frozen(other.step(actions)), frozen(envs.step(actions)))


def test_saved_copies_go_on_alike() -> None:
    envs = batch(steps=4)
    one, whole = envs.save(2), envs.save()
    actions = [sampled(envs) for _ in range(BUSY.horizon)]
    first = [frozen(envs.step(a)) for a in actions]
    envs.restore(whole)
    assert_equal(
        [part for a in actions for part in frozen(envs.step(a))], [part for result in first for part in result]
    )
    before = [part[[0, 1, 3]] for part in arrays(envs)]
    envs.restore(one, copy=2)
    assert_equal([part[[0, 1, 3]] for part in arrays(envs)], before)
    assert_equal([part[2] for part in frozen(envs.step(actions[0]))], [part[2] for part in first[0]])
    envs.restore(one)  # into every copy
    np.testing.assert_array_equal(envs.observations, np.broadcast_to(envs.observations[:1], envs.observations.shape))
    envs.restore(one, seed=[1, 2, 3, 4])
    results = [envs.step(np.broadcast_to(actions[i][:1], actions[i].shape)) for i in range(8)]
    assert not np.array_equal(results[-1][0][0], results[-1][0][1])


def test_wrong_snapshots() -> None:
    envs = batch()
    another = r"taken in another task or with other settings: "
    for arguments, error, says in (
        ({"snapshot": batch(horizon=9).save()}, ValueError, f"{another}horizon = 9 there, 20 here"),
        ({"snapshot": batch(choice={"v_0": 1.0}).save()}, ValueError, rf"{another}choice\.v_0 = 1.0 there, -2.0 here"),
        ({"snapshot": batch(users={"number": 4}).save()}, ValueError, rf"{another}users\.number = 4 there, 3 here"),
        ({"snapshot": batch(3).save()}, ValueError, "3 copies"),
        ({"snapshot": envs.save().arrays}, TypeError, r"snapshot = State\(.* must be what save\(\) returns"),
        ({"snapshot": envs.save(), "copy": 1}, ValueError, "4 copies"),
        ({"snapshot": envs.save(1), "copy": 4}, ValueError, "copy = 4"),
        ({"snapshot": envs.save(1), "copy": 1.0}, TypeError, "copy"),
        ({"snapshot": envs.save(), "seed": -1}, ValueError, "seed"),
    ):
        before = arrays(envs)
        with pytest.raises(error, match=says):
            envs.restore(**arguments)
        assert_equal(arrays(envs), before)
    with pytest.raises(ValueError, match="copy = 4"):
        envs.save(4)


def shuffled(catalogue: Catalogue, **changes: Any) -> Catalogue:
    """Another catalogue with arrays of the same shapes."""
    return Catalogue(**{**vars(catalogue), **changes})


def test_a_snapshot_of_another_catalogue_is_refused() -> None:
    """Of equal shapes: fewer users would be read out of bounds, other ones silently taken for these."""
    mine = Catalogue.load("grocery")
    of_users = {name: array for name, array in mine.arrays().items() if name.startswith(("user_", "habit_"))}
    few = shuffled(mine, **{name: array[:1000] for name, array in of_users.items()})
    config = replace(
        BUSY, {"users": {"number": 8}, "items": {"number": 200, "dims": 16, "topics": 12}, "choice": {"v_0": 3.0}}
    )
    envs = VectorEnv(config, 2, catalogue=mine)
    envs.reset(seed=0)
    for change in (
        {"user_activity": mine.user_activity[::-1].copy()},
        {"item_vectors": -mine.item_vectors},
    ):
        other = VectorEnv(config, 2, catalogue=shuffled(mine, **change))
        other.reset(seed=0)
        with pytest.raises(ValueError, match="taken in another world"):
            envs.restore(other.save())
    small = VectorEnv(config, 2, catalogue=few)
    small.reset(seed=1)
    before = arrays(small)
    with pytest.raises(ValueError, match="another world"):
        small.restore(envs.save())
    assert_equal(arrays(small), before)
    same = VectorEnv(
        config, 2, catalogue=shuffled(mine, source="said otherwise", item_name=mine.item_name[::-1])
    )  # names are no part of the game
    same.restore(envs.save())
    assert_equal(arrays(same), arrays(envs))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["deepcopy", "pickle"])
def test_copied_snapshots_fit_other_batches_and_threads(how: Any) -> None:
    envs = batch(steps=6)
    one, whole = how(envs.save(2)), how(envs.save())
    actions = sampled(envs)
    expected = frozen(envs.step(actions))
    for num_threads in (1, MOST):
        other = vector_env(BUSY, B, num_threads=num_threads)  # never reset
        other.restore(whole)
        assert_equal(frozen(other.step(actions)), expected)
    single, many = vector_env(BUSY), batch(7)
    single.restore(one)
    assert_equal(frozen(single.step(actions[2:3])), [part[2:3] for part in expected])
    many.restore(one, copy=5)
    assert_equal(
        [part[5:6] for part in frozen(many.step(np.repeat(actions[2:3], 7, 0)))], [part[2:3] for part in expected]
    )


def test_the_worlds_digest_is_made_when_it_is_first_asked_for() -> None:
    envs = vector_env(BUSY, 2)
    assert "world_digest" not in vars(envs)
    assert envs.world_digest == vector_env(BUSY, 5, num_threads=MOST).world_digest
    assert envs.world_digest != vector_env(BUSY, 2, world_seed=1).world_digest
    assert pickle.loads(pickle.dumps(envs)).world_digest == envs.world_digest


def test_how_arrays_lie_in_memory() -> None:
    """Each begins with a line of the cache, so that what is known of an item is one line, and two rows of what changes
    are one; and no record of the state has a gap, whose bytes nobody writes."""
    envs = vector_env("ecommerce-v1", 3)
    for made in (envs, pickle.loads(pickle.dumps(envs)), copy.deepcopy(envs)):
        arrays = [*made.world, *made.arrays, *made.output_arrays()]
        assert {array.ctypes.data % 64 for array in arrays if array.size} == {0}
    assert (envs.world.items.itemsize, envs.arrays.items.itemsize) == (64, 32)
    for kind in (array.dtype for array in envs.arrays if array.dtype.names):
        assert sum(kind[name].itemsize for name in kind.names) == kind.itemsize, kind


def test_looking_changes_nothing() -> None:
    envs = batch(steps=4)
    before, observations = arrays(envs), envs.observations.copy()
    again, infos = envs.look()
    np.testing.assert_array_equal(again, observations)
    assert (infos["shown"] < 0).all()
    assert not infos["individual_reward"].any()
    assert_equal(arrays(envs), before)


def test_steps_need_a_reset() -> None:
    envs = vector_env(BUSY, B)
    for call in (envs.step, envs.expected_feedback):
        with pytest.raises(RuntimeError, match=rf"call reset\(\) before {call.__name__}\(\)"):
            call(np.zeros((B, N, K), np.int64))
    for look in (envs.save, envs.state, envs.final_state, envs.look):
        with pytest.raises(RuntimeError, match=rf"call reset\(\) before {look.__name__}\(\)"):
            look()
    other = batch(steps=2)
    envs.restore(other.save())  # is as good as a reset
    np.testing.assert_array_equal(envs.state(), other.state())


# ---------------------------------------------------------------------------------------------------- import and cache


def run_python(code: str, package: Path = PACKAGE) -> str:
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_import_is_light() -> None:
    """Nothing is compiled, and nothing imported beyond Python's library and what the core's four libraries import."""
    code = """
import sys
import numpy, numba, gymnasium, pettingzoo
names = lambda: {name.partition(".")[0] for name in sys.modules}
before = names()
import recsys_env
print(*sorted(names() - before - sys.stdlib_module_names))
from recsys_env.kernels import step
from recsys_env.kernels.machine import threads
print(sum(len(entry.overloads) for entry in (step.run, threads.run_parallel, step.global_state)))
"""
    imported, compiled = run_python(code).split("\n")[:2]
    assert imported == "recsys_env"
    assert compiled == "0"


def test_a_change_in_any_kernel_file_never_runs_old_code(tmp_path: Path) -> None:
    """`read_prices` lives in page.py and calls rng.py: an edit of either is seen, though each caches by its own
    file."""
    package, world = tmp_path / "recsys_env", tmp_path / "world.pickle"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "catalogues"))
    config = WorldConfig(items={"promotion_probability": 0.5, "promotion_depth": 0.5})
    world.write_bytes(pickle.dumps(vector_env(config).world))  # made here: its own kernels would be compiled there too
    code = f"""
import pathlib, pickle, numpy as np
from recsys_env.kernels.page import read_prices
world = pickle.loads(pathlib.Path({str(world)!r}).read_bytes())
prices, promoted = np.zeros(200), np.zeros(200, np.bool_)
read_prices(world, np.arange(200, dtype=np.int32), 0, prices, promoted)
print(sum(read_prices.stats.cache_hits.values()), np.packbits(promoted).tobytes().hex())
"""
    first = run_python(code, package).split()
    second = run_python(code, package).split()
    assert (first[0], second[0]) == ("0", "1")
    assert first[1] == second[1]
    rng = package / "kernels" / "machine" / "rng.py"
    changed = rng.read_text().replace(
        "GOLDEN = np.uint64(0x9E3779B97F4A7C15)", "GOLDEN = np.uint64(0x9E3779B97F4A7C17)"
    )
    assert changed != rng.read_text()
    rng.write_text(changed)
    third = run_python(code, package).split()
    assert third[0] == "0"
    assert third[1] != first[1]


def test_a_role_does_not_see_what_is_hidden_from_it() -> None:
    roles = [
        {"name": "entrance", "scene": "entrance"},
        {"name": "item", "scene": "item", "hidden": ("profile", "anchor")},
        {"name": "cart", "scene": "cart"},
    ]
    blind, sighted = (vector_env("journey-v1", 8, horizon=30, **changes) for changes in ({"roles": roles}, {}))
    (a, _), (b, _) = blind.reset(seed=0), sighted.reset(seed=0)
    rng, shown, matches = np.random.default_rng(0), 0.0, 0.0
    for _ in range(30):
        expected = b.copy()
        for name in ("profile", "anchor"):
            shown += np.abs(expected[:, 1, blind.observation_fields[name]]).sum()
            expected[:, 1, blind.observation_fields[name]] = 0
        candidates, names = blind.observation_fields["candidates"], blind.candidate_features
        for name in ("profile_match", "context"):  # which follow from these fields
            columns = slice(candidates.start + names.index(name), candidates.stop, len(names))
            matches += np.abs(expected[:, 1, columns]).sum()
            expected[:, 1, columns] = 0
        np.testing.assert_array_equal(a, expected)
        actions = rng.integers(0, 20, (8, 3, 4))
        (a, *_), (b, *_) = blind.step(actions), sighted.step(actions)
    assert min(shown, matches) > 0
    assert not blind.final_obs[:, 1, blind.observation_fields["profile"]].any()
    assert sighted.final_obs[:, 0].any()
    with pytest.raises(ValueError, match="did you mean 'profile'"):
        vector_env("journey-v1", roles=[{"hidden": ("profil",)}])


FORKED = """
import os, sys
from recsys_env import vector_env
envs = vector_env("duel-v1", 256, num_threads=2)
envs.reset(seed=1)
child = os.fork()
if child == 0:
    try:
        envs.step(envs.empty_actions())
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_threads_after_a_fork_are_refused() -> None:
    """The library of threads would end the process without a word."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "num_threads = 2 is not possible here: this process was forked after threads had started" in done.stdout


@pytest.mark.parametrize("name", ["candidates", "tick", "next_user_slots"])
def test_views_of_the_state_cannot_be_written_through(name: str) -> None:
    envs = vector_env("ecommerce-v1", 2)
    envs.reset(seed=1)
    with pytest.raises(ValueError, match="read-only"):
        getattr(envs, name)[...] = 2**30
