"""The two formats of observations hold the same numbers, everywhere; items are named as the batch names them."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test

import recsys_env
from recsys_env import FocalBatch, VectorEnv, WorldConfig, Worlds, parallel_env, vector_env
from recsys_env.config.settings import replace
from recsys_env.evaluation.episodes import episode_returns
from recsys_env.policies import Team

HORIZON, B = 12, 3
SMALL = WorldConfig(
    slots=2,
    horizon=HORIZON,
    users={"number": 4},
    candidates={"number": 6},
    items={"number": 24, "dims": 4, "topics": 3},
    choice={"v_0": -2.0},
    arrival={"r_0": 0.5},
)
ALONE = ({"name": "page", "cart": False},)
KINDS: dict[str, dict[str, Any]] = {
    "digest": {},
    "masked": {"mask_actions": True},
    "items": {"action": "items", "mask_actions": True},
    "everything": {
        "mask_actions": True,
        "candidates": {"number": 6, "features": "both"},
        "observation": {"recent": 3, "item_ids": "binary"},
        "observability": "full",
    },
    "shared": {"observation": {"recent": 2, "item_ids": "one-hot", "share": True}},
    "auction": {"page": "auction", "slots": 1, "candidates": {"number": 1}, "offer": {"kind": "bid"}, "scenes": ALONE},
    "platform": {"page": "platform", "action": "publish", "slots": 1, "items": {"number": 200}, "mask_actions": True},
}


def formats(make: Any, kind: str, *args: Any) -> tuple[Any, Any]:
    """The same thing in both formats: flat, dict."""
    config = replace(SMALL, KINDS[kind])
    return make(config, *args), make(config, *args, observation_format="dict")


def same(flat: Any, structured: Any, layout: Any) -> None:
    """Both formats hold the same, as far as each can be worked out from the other."""
    both = dict(flat) if isinstance(flat, dict) else {"observation": flat}
    mask = structured.get("action_mask")
    assert (mask is None) == ("action_mask" not in both)
    assert mask is None or (mask == both["action_mask"]).all()
    np.testing.assert_array_equal(layout.join(structured), both["observation"])
    again = layout.structured(both["observation"])
    assert again.keys() == structured.keys() - {"action_mask"}
    for name, part in again.items():
        np.testing.assert_array_equal(structured[name], part)


def drawn(rng: np.random.Generator, envs: Any) -> np.ndarray:
    space = envs.action_space
    options = space.n if isinstance(space, gymnasium.spaces.Discrete) else space.nvec[0]
    return rng.integers(0, options, envs.empty_actions().shape)


# ------------------------------------------------------------------------------------------------ formats


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_says_the_same_in_both_formats(kind: str) -> None:
    flat, structured = formats(vector_env, kind, B)
    layout, rng = flat.layout, np.random.default_rng(0)
    a, b = flat.reset(seed=1)[0], structured.reset(seed=1)[0]
    for tick in range(HORIZON + 2):
        same(a, b, layout)
        assert b.keys() == set(structured.observation_space)
        for n in range(flat.num_agents):
            assert structured.observation_space.contains({name: part[0, n] for name, part in b.items()})
        mine, masks = structured.flat(b)
        np.testing.assert_array_equal(mine, flat.flat(a)[0])
        assert (masks is None) == (not flat.config.mask_actions)
        actions = drawn(rng, flat)
        a, b = flat.step(actions)[0], structured.step(actions)[0]
        if tick == HORIZON - 1:
            same(flat.final_obs, structured.final_obs, layout)
    same(flat.look()[0], structured.look()[0], layout)
    same(flat.restore(flat.save())[0], structured.restore(structured.save())[0], layout)


def test_parts_are_where_the_fields_are() -> None:
    flat, structured = formats(vector_env, "everything", B)
    a, b = flat.reset(seed=1)[0]["observation"], structured.reset(seed=1)[0]
    of_items = {"candidates", "candidate_vectors", "candidate_topics", "candidate_ids"}
    of_items |= {f"recent_{name}" for name in ("mask", "vectors", "topics", "bought", "pages", "ids")}
    assert b.keys() == {"context", "action_mask", *of_items}
    shape = flat.shape
    assert b["candidates"].shape == (B, 2, 6, len(flat.candidate_features))
    assert b["candidate_vectors"].shape == (B, 2, 6, shape.dims)
    assert b["candidate_topics"].shape == (B, 2, 6, shape.topics)
    assert b["recent_mask"].shape == b["recent_bought"].shape == b["recent_pages"].shape == (B, 2, 3)
    assert b["candidate_ids"].shape == (B, 2, 6)
    for name in of_items - {"candidate_ids", "recent_ids"}:
        np.testing.assert_array_equal(b[name].reshape(B, 2, -1), flat.field(a, name))
    rest = [flat.field(a, name) for name in flat.observation_fields if name not in of_items]
    np.testing.assert_array_equal(b["context"], np.concatenate(rest, -1))


def test_parts_are_views_of_the_batchs_own_arrays() -> None:
    envs = vector_env(SMALL, B, copy=False, observation_format="dict", candidates={"number": 6, "features": "both"})
    observations, _ = envs.reset(seed=0)
    for name in ("candidates", "candidate_vectors", "candidate_topics"):
        assert np.shares_memory(observations[name], envs.report.observations)
    kept = vector_env(SMALL, B, observation_format="dict").reset(seed=0)[0]
    assert all(part.flags.owndata or part.base.flags.owndata for part in kept.values())


@pytest.mark.parametrize("kind", ["digest", "everything"])
def test_some_agents_of_a_batch_say_the_same(kind: str) -> None:
    made = formats(vector_env, kind, B)
    flat, structured = (FocalBatch(envs, {"recommender_0": "popularity"}) for envs in made)
    same(flat.reset(seed=1)[0], structured.reset(seed=1)[0], flat.layout)
    actions = drawn(np.random.default_rng(0), flat)
    for _ in range(HORIZON):
        a, b = flat.step(actions)[0], structured.step(actions)[0]
        same(a, b, flat.layout)
    same(flat.final_obs, structured.final_obs, flat.layout)


@pytest.mark.parametrize("kind", ["digest", "masked", "everything"])
def test_policies_play_alike_in_both_formats(kind: str) -> None:
    scores = [
        episode_returns(envs, dict.fromkeys(envs.possible_agents, "content"), episodes=4, seed=1)
        for envs in formats(vector_env, kind, 4)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("kind", ["digest", "everything"])
def test_pettingzoos_tests_accept_the_dict(kind: str) -> None:
    env = formats(parallel_env, kind)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spaces that are no images
        parallel_api_test(env, num_cycles=2 * HORIZON)
        api_test(recsys_env.env(replace(SMALL, KINDS[kind]), observation_format="dict"), num_cycles=2 * HORIZON)


@pytest.mark.parametrize("kind", KINDS)
def test_a_parallel_environment_says_the_same_in_both_formats(kind: str) -> None:
    flat, structured = formats(parallel_env, kind)
    a, b = flat.reset(seed=1)[0], structured.reset(seed=1)[0]
    rng = np.random.default_rng(0)
    while flat.agents:
        for agent in flat.possible_agents:
            same(a[agent], b[agent], flat.vector.layout)
            assert structured.observation_space(agent).contains(b[agent])
            np.testing.assert_array_equal(structured.field(b[agent], "role"), flat.field(a[agent], "role"))
        actions = dict(zip(flat.possible_agents, drawn(rng, flat.vector)[0], strict=True))
        a, b = flat.step(actions)[0], structured.step(actions)[0]
    same(a["recommender_1"], b["recommender_1"], flat.vector.layout)


@pytest.mark.parametrize("kind", ["digest", "everything"])
def test_gymnasium_accepts_the_dict(kind: str) -> None:
    changes = {"observation_format": "dict", **KINDS[kind]}
    check_env(recsys_env.single_agent_env(SMALL, **changes), skip_render_check=True)
    one = recsys_env.single_agent_env(SMALL, **changes)
    for make in (recsys_env.single_agent_vector_env, recsys_env.shared_policy_env):
        for mode in ("NextStep", "SameStep"):
            many = make(SMALL, 2, autoreset_mode=mode, **changes)
            many.action_space.seed(0)
            rows, _ = many.reset(seed=4)
            mine, _ = one.reset(seed=4)
            for name, part in mine.items():
                np.testing.assert_array_equal(rows[name][0], part)
            for _ in range(HORIZON + 1):
                assert many.observation_space.contains(rows)
                rows, _, _, ended, infos = many.step(many.action_space.sample())
                if ended.any() and mode == "SameStep":
                    assert one.observation_space.contains(infos["final_obs"][0])


def test_registered_tasks_take_the_format() -> None:
    one = gymnasium.make("recsys/ecommerce-v1", observation_format="dict")
    assert "candidates" in one.observation_space.spaces  # type: ignore[attr-defined]
    many = gymnasium.make_vec("recsys/ecommerce-v1", num_envs=2, observation_format="dict")
    assert "candidates" in many.single_observation_space.spaces  # type: ignore[attr-defined]


def test_other_formats_are_refused() -> None:
    for make in (vector_env, parallel_env, recsys_env.env, recsys_env.single_agent_env, recsys_env.shared_policy_env):
        with pytest.raises(ValueError, match=r"observation_format = 'dicts' is not allowed.*did you mean 'dict'"):
            make(SMALL, observation_format="dicts")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="observation_format = 1 is not allowed; choose 'flat' or 'dict'"):
            make(SMALL, observation_format=1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="observation_format = 'dict': a GPU has 'flat' alone"):
        vector_env(SMALL, device="cuda", observation_format="dict")  # type: ignore[call-overload]


def test_observations_in_another_format_are_named() -> None:
    flat, structured = formats(vector_env, "digest", B)
    seen = flat.reset(seed=0)[0]
    team = Team(structured, dict.fromkeys(structured.possible_agents, "content"), 0)
    structured.reset(seed=0)
    with pytest.raises(TypeError, match=r"must be a dict of .*candidates.*context"):
        team.act(seen, structured.empty_actions())


# ------------------------------------------------------------------------------------------------ names of items


@pytest.mark.parametrize("item_ids", ["one-hot", "binary"])
def test_items_are_named_as_the_batch_names_them(item_ids: str) -> None:
    seen: dict[str, Any] = {"item_ids": item_ids, "recent": 3}
    flat = vector_env(SMALL, 8, observation=seen)
    structured = vector_env(SMALL, 8, observation=seen, observation_format="dict")
    plain = vector_env(SMALL, 8, observation={"recent": 3})
    a, b, c = (envs.reset(seed=2)[0] for envs in (flat, structured, plain))
    rng, clicked = np.random.default_rng(0), 0
    for _ in range(HORIZON):
        expected = np.where(flat.active[..., None], flat.candidates + 1, 0)
        np.testing.assert_array_equal(b["candidate_ids"], expected)
        assert b["candidate_ids"].dtype == np.int64
        columns = flat.field(a, "candidate_ids").reshape(8, 2, 6, -1)
        wanted = np.eye(25)[:, 1:] if item_ids == "one-hot" else np.arange(25)[:, None] >> np.arange(5) & 1
        np.testing.assert_array_equal(columns, wanted[expected])
        np.testing.assert_array_equal(b["recent_ids"] > 0, b["recent_mask"] > 0)
        known = flat.world.item_vectors[np.maximum(b["recent_ids"] - 1, 0)]
        squashed = np.where(b["recent_ids"][..., None] > 0, known / (1 + np.abs(known)), 0)
        np.testing.assert_allclose(b["recent_vectors"], squashed, atol=1e-6)
        clicked += int((b["recent_ids"] > 0).sum())
        for name in plain.observation_fields:  # nothing else changes
            np.testing.assert_array_equal(flat.field(a, name), plain.field(c, name))
        actions = drawn(rng, flat)
        a, b, c = (envs.step(actions)[0] for envs in (flat, structured, plain))
    assert clicked
    assert flat.truncated.all()
    assert not flat.field(flat.final_obs, "candidate_ids").any()  # the last page's are not kept
    assert structured.final_obs["candidates"].any()
    state = flat.state()[:, flat.state_fields["private"]].reshape(8, 2, -1)
    assert state.shape[2] == flat.shape.private > plain.shape.private


def test_a_role_may_not_be_told_which_items_there_are() -> None:
    envs = vector_env(
        SMALL, B, observation={"item_ids": "binary"}, roles=({"name": "recommender", "hidden": ("candidate_ids",)},)
    )
    assert not envs.field(envs.reset(seed=0)[0], "candidate_ids").any()


def test_rollouts_name_items_too() -> None:
    numba = pytest.importorskip("numba")
    envs = vector_env(SMALL, B, observation={"item_ids": "binary"})
    part = envs.observation_fields["candidate_ids"]
    start, width = part.start, envs.layout.shape("candidate_ids")[1]

    @numba.njit
    def lowest_number(observation, mask, action, key):  # type: ignore[no-untyped-def]
        for k in range(action.size):
            action[k] = k
        if observation[start : start + width].sum() > 1:
            action[0] = 3

    envs.reset(seed=0)
    earned = recsys_env.rollout(envs, lowest_number, HORIZON)
    envs.reset(seed=0)
    team = Team(envs, {a: recsys_env.policies.CompiledPolicy(lowest_number) for a in envs.possible_agents}, 0)
    total, actions, chosen = 0.0, envs.empty_actions(), set()
    for _ in range(HORIZON):
        team.act(envs.observations, actions)
        chosen |= set(actions[..., 0].ravel().tolist())
        total = total + envs.step(actions)[1]
    np.testing.assert_allclose(earned.rewards, total)
    assert chosen == {0, 3}


def test_worlds_name_their_own_items() -> None:
    envs = Worlds(replace(SMALL, {"observation": {"item_ids": "one-hot"}}), 4, [0, 1])
    observations, _ = envs.reset(seed=0)
    parts = [part.field(part.observations, "candidate_ids") for part in envs.parts]
    np.testing.assert_array_equal(envs.field(observations, "candidate_ids"), np.concatenate(parts))


def test_names_that_are_not_possible_are_refused() -> None:
    with pytest.raises(ValueError, match="item_ids = 'binary' names candidates and recent items, and there are none"):
        VectorEnv(replace(SMALL, {"action": "items", "observation": {"item_ids": "binary"}}))
    with pytest.raises(ValueError, match=r"'one-hot' is for catalogues of at most 1000 items, not of 1001"):
        vector_env(SMALL, items={"number": 1001}, observation={"item_ids": "one-hot"})
    with pytest.raises(ValueError, match=r"item_ids = 'ids'"):
        vector_env(SMALL, observation={"item_ids": "ids"})
