"""The action `weights`: what it shows, as the candidates' features say; and how policies that choose slates play it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.kernels.machine.compiler import entry
from recsys_env.kernels.planners.weights import _score, separate
from recsys_env.policies import make_policy

B, N, K, C = 4, 2, 3, 8
GAME: dict[str, Any] = {
    "num_agents": N,
    "slots": K,
    "horizon": 30,
    "users": {"number": 3, "habit_size": 4},
    "candidates": {"number": C},
    "items": {"number": 30, "dims": 4, "topics": 4, "stock_init": 2, "promotion_probability": 0.3},
    "choice": {"v_0": 1.0, "beta_repeat": 0.5},
    "arrival": {"r_0": 2.0},
    "scenes": ({"name": "page", "cart": True},),
}
SCARCE = {"number": 6, "dims": 4, "topics": 3, "stock_init": 1}  # often fewer than C candidates


@entry
def scored(features, items, direction, member, scores, found):  # type: ignore[no-untyped-def]
    found[0], found[1] = _score(features, items, 0, direction, member, scores)


def test_the_lowest_of_the_slate_and_the_highest_of_the_others() -> None:
    features = np.array([[[0.0], [2.0], [1.0], [3.0], [9.0]]], np.float32)
    items, member = np.array([[5, 6, 7, 8, -1]]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found = np.zeros(2, np.int64)
    scored(features, items, np.array([1.0]), member, np.zeros(5), found)
    assert found.tolist() == [0, 3]


def pair(**changes: Any) -> tuple[VectorEnv, VectorEnv]:
    """The same game played by weights, and by picks of candidates."""
    config = {**GAME, **changes}
    return tuple(vector_env(WorldConfig(**config, action=action), B) for action in ("weights", "candidates"))  # type: ignore[return-value]


def same_picks(envs: VectorEnv, actions: np.ndarray) -> np.ndarray:
    """What `weights` say as picks [B, N, K], worked out from the observations: the best K, equals in their order."""
    shape = envs.shape
    seen = envs.field(envs.observations, "candidates").reshape(B, N, shape.candidates, shape.features).astype(float)
    scores = np.einsum("bncf,bnf->bnc", seen, actions[..., : shape.features].astype(float))
    scores[envs.candidates < 0] = -np.inf
    return np.argsort(-scores, axis=-1, kind="stable")[..., : shape.slots]


@pytest.mark.parametrize(
    "changes",
    [{}, {"items": SCARCE}, {"messages": 3}, {"slots": 1, "messages": 3}, {"page": "rival"}],
    ids=["slates", "few candidates", "messages", "one slot", "rival"],
)
def test_weights_show_what_the_picks_of_the_best_scores_show(changes: dict[str, Any]) -> None:
    """The same trajectory, bit for bit, whichever of both says it."""
    (ranked, picked), rng, words = pair(**changes), np.random.default_rng(0), changes.get("messages", 0)
    size = ranked.shape.features
    assert ranked.action_space.shape == (size + words,)
    assert ranked.action_fields["weights"] == slice(0, size)
    (seen, _), (other, _) = (envs.reset(seed=3) for envs in (ranked, picked))
    for _ in range(2 * GAME["horizon"] + 3):
        np.testing.assert_array_equal(seen, other)
        actions = rng.uniform(-1, 1, (B, N, size + words)).astype(np.float32)
        actions[0, :, :size] = 0.0  # all equal: in their order
        actions[1, :, :size] = np.sign(actions[1, :, :size]) * (np.arange(size) == 2)  # equals in one feature
        picks = same_picks(ranked, actions)
        if words:
            word = actions[..., size:].argmax(-1)
            picks = picks * words + word[..., None] if ranked.config.slots == 1 else np.dstack([picks, word])
        picks = picks.reshape(picked.empty_actions().shape)
        before = [array.tobytes() for array in ranked.arrays]
        for name, value in ranked.expected_feedback(actions).items():
            np.testing.assert_array_equal(value, picked.expected_feedback(picks)[name])
        assert before == [array.tobytes() for array in ranked.arrays]
        seen, rewards, _, _, infos = ranked.step(actions)
        other, expected, _, _, told = picked.step(picks)
        np.testing.assert_array_equal(rewards, expected)
        for name in ("shown", "clicked", "individual_reward", "next_visitor"):
            np.testing.assert_array_equal(infos[name], told[name])


def test_weights_are_read_from_the_state_alone() -> None:
    """Looked at, saved and restored elsewhere, the page is the same."""
    envs, other = pair()[0], pair()[0]
    rng = np.random.default_rng(0)
    envs.reset(seed=1)
    for tick in range(20):
        actions = rng.uniform(-1, 1, envs.empty_actions().shape).astype(np.float32)
        other.restore(envs.save())
        if tick % 2:
            envs.look()
        np.testing.assert_array_equal(envs.step(actions)[4]["shown"], other.step(actions)[4]["shown"])


def test_a_role_that_hides_candidates_weighs_them_unseen() -> None:
    envs, seeing = (
        vector_env(WorldConfig(**GAME, action="weights", roles=({"hidden": h},)), B) for h in (("candidates",), ())
    )
    envs.reset(seed=0), seeing.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, envs.empty_actions().shape).astype(np.float32)
    assert not envs.field(envs.observations, "candidates").any()
    np.testing.assert_array_equal(envs.step(actions)[4]["shown"], seeing.step(actions)[4]["shown"])


# ------------------------------------------------------------------------------------------------ slates as weights


def first_by(weights: np.ndarray, features: np.ndarray, items: np.ndarray, slots: int) -> list[set[int]]:
    scores = np.where(items >= 0, np.einsum("bcf,bf->bc", features.astype(float), weights), -np.inf)
    return [set(row[:slots].tolist()) for row in np.argsort(-scores, axis=1, kind="stable")]


def test_slates_that_a_direction_tells_apart_are_ranked_first() -> None:
    rng, size, slots = np.random.default_rng(0), (200, 12, 5), 3
    features = (rng.standard_normal(size) * [1, 10, 0.1, 1, 0] + [0, 5, 0, 0, 3]).astype(np.float32)
    items = np.where(rng.random(size[:2]) < 0.2, -1, 7)
    scores = np.einsum("bcf,bf->bc", features, rng.standard_normal((200, 5)) / [1, 10, 0.1, 1, 1])
    slates = np.argsort(-np.where(items >= 0, scores, -np.inf), axis=1)[:, :slots]
    filled, weights = np.minimum(slots, (items >= 0).sum(1)), np.zeros((200, 5))
    filled[:5] = 0
    separate(features.copy(), items, slates, filled, np.zeros(2 * (12 + 5)), weights)
    assert not weights[:5].any()
    assert not weights[:, 4].any()  # a feature in which nothing differs
    np.testing.assert_allclose(np.abs(weights[5:]).max(1), 1.0)
    found = first_by(weights, features, items, slots)[5:]
    right = [ranked == set(slate.tolist()) for ranked, slate in zip(found, slates[5:], strict=True)]
    assert np.mean(right) > 0.97


@pytest.mark.parametrize("policy", ["popularity", "content", "greedy", "nearest"])
def test_policies_that_choose_slates_mostly_show_them(policy: str) -> None:
    envs, picked = pair(
        slots=1, users={"number": 3}, items={"number": 200, "dims": 8, "topics": 6}, candidates={"number": 12}
    )
    players = [make_policy(policy) for _ in range(2)]
    for player, batch in zip(players, (envs, picked), strict=True):
        player.bind(batch, "recommender_0", 0)
    envs.reset(seed=0), picked.reset(seed=0)
    right, rng = [], np.random.default_rng(0)
    for _ in range(40):
        weights, picks = (
            player.act(batch.observations[:, 0]) for player, batch in zip(players, (envs, picked), strict=True)
        )
        assert weights.dtype == np.float32
        joint = np.stack([weights] * N, axis=1)
        served = envs.active[:, 0]
        right += (same_picks(envs, joint)[:, 0, 0] == picks)[served].tolist()
        other = rng.integers(0, 12, (B, N))
        envs.step(envs.empty_actions()), picked.step(np.zeros_like(other))  # all equal: the first candidate
    assert np.mean(right) > (0.95 if policy in ("popularity", "nearest") else 0.75), np.mean(right)
