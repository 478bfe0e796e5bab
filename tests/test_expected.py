"""`expected_feedback` against the frequencies of many continuations of one saved state, and against numerical
integration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from benchmarks.checks.unchanged import drawn as any_actions
from recsys_env import TASKS, VectorEnv, WorldConfig, replace, vector_env
from recsys_env.kernels.expected import expect

COPIES, ROUNDS = 20_000, 5
SIGMAS = 5.0

SHOP = WorldConfig(
    num_agents=2,
    slots=3,
    action="items",
    horizon=400,
    scenes=({"name": "page", "cart": True},),
    users={"number": 3, "wallet_init": 2.5, "wallet_refill": 0.05, "habit_size": 4},
    items={
        "number": 9,
        "dims": 4,
        "topics": 3,
        "providers": 3,
        "stock_init": 3,
        "restock_period": 40,
        "length_log_sd": 0.4,
        "promotion_probability": 0.4,
        "promotion_depth": 0.3,
        "promotion_period": 5,
    },
    choice={
        "v_0": 0.5,
        "beta_taste": 1.0,
        "beta_bait": 1.0,
        "beta_price": 0.5,
        "beta_intent": 0.5,
        "beta_satiation": 0.3,
        "beta_repeat": -0.5,
        "beta_pop": 0.1,
    },
    feedback={
        "e_0": 0.3,
        "a_bait": 0.5,
        "a_satiation": 0.2,
        "a_price": 0.3,
        "b_0": 0.5,
        "b_price": 0.3,
        "cart_hazard": 0.25,
        "cart_abandon": 0.1,
        "rating_after_click": 0.3,
        "rating_after_purchase": 0.5,
        "like": True,
    },
    arrival={"r_0": 3.0, "k_0": 3.0},
    reward={"sharing": -0.4, "click": 0.3, "cart": 0.5, "purchase": 1.0, "rating": 0.4, "like": 0.2, "dwell": 0.15}
    | {"diversity": 0.2, "novelty": 0.3, "fairness": 0.5},
)
ROWS = WorldConfig(
    num_agents=3,
    slots=3,
    page="rows",
    action="items",
    users={"number": 2},
    items={"number": 12, "dims": 4, "topics": 3},
    choice={"v_0": 1.0, "beta_taste": 1.5, "beta_trust": 2.0, "dissimilarity": 0.5},
    dynamics={"trust_rate": 0.6},
    feedback={"like": True, "rating_after_click": 0.5},
    arrival={"r_0": 3.0, "k_0": 3.0},
    reward={"sharing": 0.5, "click": 0.5, "like": 0.5, "rating": 0.5, "dwell": 0.1},
)
INSTANT = WorldConfig(
    num_agents=2,
    slots=2,
    action="items",
    scenes=({"name": "page", "cart": True},),
    users={"number": 2, "wallet_init": 3.0, "wallet_refill": 0.2},
    items={"number": 8, "dims": 4, "topics": 2, "stock_init": 4, "restock_period": 10},
    choice={"v_0": 0.0, "beta_taste": 1.0, "beta_price": 0.5},
    feedback={
        "instant": True,
        "b_0": -0.3,
        "b_taste": 1.0,
        "b_price": 0.5,
        "rating_after_click": 0.2,
        "rating_after_purchase": 0.6,
    },
    arrival={"r_0": 3.0, "k_0": 3.0},
    reward={"sharing": 1.0, "click": 0.1, "cart": 0.3, "purchase": 1.0, "rating": 0.7},
)
OFFERS = replace(INSTANT, {"page": "rows", "offer": {"kind": "price"}, "reward": {"margin_rate": 0.6}})
RIVAL = WorldConfig(
    num_agents=3,
    slots=3,
    page="rival",
    users={"number": 2},
    items={"number": 30, "dims": 4, "topics": 5, "providers": 4},
    candidates={"number": 6},
    choice={"v_0": 1.0, "beta_taste": 1.5, "beta_trust": 3.0},
    dynamics={"trust_rate": 0.6},
    feedback={"like": True},
    arrival={"r_0": 3.0, "k_0": 2.0},
    reward={"sharing": -1.0, "click": 0.5, "like": 0.5, "dwell": 0.2, "fairness": 0.4, "fairness_target": "merit"},
)


def drawn(envs: VectorEnv, rng: np.random.Generator, batch: int) -> np.ndarray:
    return rng.integers(0, envs.action_space.nvec, (batch, envs.num_agents, len(envs.action_space.nvec)))


def played(config: WorldConfig, ticks: int = 25, copies: int = 200, seed: int = 0) -> VectorEnv:
    """A batch some random ticks into its episodes."""
    envs, rng = vector_env(config, copies), np.random.default_rng(seed)
    envs.reset(seed=seed)
    for _ in range(ticks):
        envs.step(drawn(envs, rng, copies))
    return envs


def assert_counts(count: np.ndarray, probability: np.ndarray, total: int) -> None:
    """Binomial counts within 5 sigma, plus 5 for the skewness of rare events."""
    mean = total * probability
    assert (np.abs(count - mean) <= SIGMAS * np.sqrt(mean * (1 - probability)) + 5).all(), (count, mean)
    assert (count[probability == 0] == 0).all()


def compare(envs: VectorEnv, copy: int, actions: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """100,000 continuations of one copy under one joint action [N, ...]; returns what was expected of it."""
    snapshot = envs.save(copy)
    many = vector_env(envs.config, COPIES)
    joint = np.broadcast_to(actions, (COPIES, *actions.shape))
    rng = np.random.default_rng(seed)
    count = {key: np.zeros((envs.num_agents, envs.config.slots)) for key in ("clicked", "cart", "bought")}
    own, rewards = [], []
    expected: dict[str, np.ndarray] = {}
    for _ in range(ROUNDS):
        many.restore(snapshot, seed=rng.integers(0, 2**62, COPIES).tolist())
        if not expected:
            one = vector_env(envs.config, 1)
            one.restore(snapshot)
            expected = {key: value[0] for key, value in one.expected_feedback(actions[None]).items()}
        _, reward, _, _, infos = many.step(joint)
        for key in count:
            count[key] += infos[key].sum(0)
        own.append(infos["individual_reward"].astype(float))
        rewards.append(reward.astype(float))
    total = ROUNDS * COPIES
    assert_counts(count["clicked"], expected["click"], total)
    assert_counts(count["cart"], expected["cart"], total)
    assert_counts(count["bought"], expected["purchase"], total)
    np.testing.assert_allclose(infos["objectives"], np.broadcast_to(expected["objectives"], reward.shape), atol=1e-6)
    for key, sample in (("individual_reward", np.concatenate(own)), ("reward", np.concatenate(rewards))):
        error = np.abs(sample.mean(0) - expected[key])
        assert (error <= SIGMAS * sample.std(0) / total**0.5 + 1e-6).all(), (key, error, sample.std(0) / total**0.5)
    return expected


@pytest.mark.parametrize("carted", [0, 1, 2, 3])
def test_a_shop_with_old_cart_items(carted: int) -> None:
    envs = played(SHOP, ticks=40, copies=1000)
    inside = np.rint(3 * envs.field(envs.observations, "cart")[:, 0, 0]).astype(int)
    actions = (
        np.random.default_rng(carted).permutation(9)[:6].reshape(2, 3)
    )  # six of nine: some are in the cart already
    can_cart = (
        envs.expected_feedback(np.broadcast_to(actions, (1000, 2, 3)))["cart"].sum((1, 2)) > 0.1
    )  # and the wallet pays
    (copies,) = np.nonzero((inside == carted) & (envs.next_visitor[:, 0] >= 0) & can_cart)
    compare(envs, int(copies[0]), actions, carted)


def test_a_full_cart_whose_items_are_all_shown_again() -> None:
    envs = played(SHOP, ticks=60, seed=7)
    (copies,) = np.nonzero((envs.field(envs.observations, "cart")[:, 0, 0] == 1) & (envs.next_visitor[:, 0] >= 0))
    compare(envs, int(copies[-1]), np.array([[0, 1, 2], [3, 4, 5]]), 11)
    compare(envs, int(copies[0]), np.array([[6, 7, 8], [0, 1, 2]]), 12)


@pytest.mark.parametrize("config", [ROWS, INSTANT, OFFERS, RIVAL], ids=["rows", "instant", "offers", "rival"])
def test_other_pages(config: WorldConfig) -> None:
    envs = played(config, seed=3)
    (copies,) = np.nonzero(envs.active.any(1))
    rng = np.random.default_rng(1)
    for copy in copies[:2].tolist():
        expected = compare(envs, copy, drawn(envs, rng, 1)[0], copy)
        assert 0.1 < expected["click"].sum() < 0.99
    if config is ROWS:
        assert np.ptp(envs.state()[:, envs.state_fields["latent_trust"]]) > 0.2
    if config is RIVAL:
        assert (expected["click"].sum(1) > 0).sum() == 1


@pytest.mark.parametrize("config", [SHOP, ROWS, OFFERS, RIVAL], ids=["shop", "rows", "offers", "rival"])
def test_expecting_changes_nothing(config: WorldConfig) -> None:
    envs, other = played(config), played(config)
    rng = np.random.default_rng(5)
    for _ in range(5):
        actions = drawn(envs, rng, envs.num_envs)
        before = [array.copy() for array in envs.save().arrays]
        observations, own = envs.observations.copy(), envs.infos["individual_reward"].copy()
        first = envs.expected_feedback(drawn(envs, rng, envs.num_envs))
        again = envs.expected_feedback(actions)
        for key, value in envs.expected_feedback(actions).items():
            np.testing.assert_array_equal(value, again[key])
        assert not np.array_equal(first["click"], again["click"])
        for one, two in zip(before, envs.save().arrays, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(observations, envs.observations)
        np.testing.assert_array_equal(own, envs.infos["individual_reward"])
        a, b = envs.step(actions), other.step(actions)
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("task", TASKS)
def test_neither_expecting_nor_explaining_a_page_changes_a_task(task: str) -> None:
    envs, bits = vector_env(task, 4), np.random.PCG64(6)
    envs.reset(seed=2)
    for _ in range(6):
        envs.step(any_actions(envs, bits))
        before = [array.copy() for array in (*envs.arrays, *envs.report)]
        envs.expected_feedback(any_actions(envs, bits))
        envs.explain(any_actions(envs, bits))
        for one, two in zip(before, (*envs.arrays, *envs.report), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("config", [SHOP, ROWS, INSTANT, RIVAL], ids=["shop", "rows", "instant", "rival"])
def test_probabilities_are_probabilities_and_idle_ticks_expect_nothing(config: WorldConfig) -> None:
    envs = vector_env(config, 500, arrival={"r_0": -0.5, "k_0": 0.0})
    rng = np.random.default_rng(2)
    envs.reset(seed=1)
    for _ in range(6):
        actions = drawn(envs, rng, 500)
        expected = envs.expected_feedback(actions)
        idle = ~envs.active.any(1)
        assert 0 < idle.sum() < 500
        for value in expected.values():
            assert (value[idle] == 0).all()
            assert np.isfinite(value).all()
        assert (expected["click"] >= 0).all()
        assert (expected["click"].sum((1, 2)) < 1 + 1e-12).all()
        assert (expected["click"][~idle].sum((1, 2)) > 0).any()
        assert (expected["cart"] <= expected["click"]).all()
        assert (expected["purchase"] == (expected["cart"] if config.feedback.instant else 0)).all()
        assert (expected["click"][~envs.active] == 0).all()
        s, earned = config.reward.sharing, expected["individual_reward"] + expected["objectives"]
        np.testing.assert_allclose(
            expected["reward"], (1 - max(s, 0)) * earned + s * earned.mean(1, keepdims=True), rtol=1e-12, atol=1e-15
        )
        infos = envs.step(actions)[4]
        assert (infos["clicked"] <= (expected["click"] > 0)).all()
        assert ((infos["shown"] >= 0) == (expected["click"] > 0)).all()


def test_before_reset() -> None:
    envs = vector_env(ROWS, 1)
    with pytest.raises(RuntimeError, match="reset"):
        envs.expected_feedback(np.zeros((1, 3, 3), int))


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("event", ["dwell", "like"])
def test_quadrature_over_the_noise(scale: float, event: str) -> None:
    """With a single weight, own / P(click) is E softplus(e) or E sigmoid(e) over logistic noise of this scale."""
    for e_0 in (-12.0, -1.3, 0.0, 0.7, 9.0):
        feedback: dict[str, Any] = {"e_0": e_0, "a_taste": 0.0, "a_quality": 0.0, "noise_scale": scale, "like": True}
        envs = vector_env(
            WorldConfig(
                num_agents=1,
                slots=1,
                action="items",
                items={"number": 2, "topics": 1},
                users={"number": 1},
                candidates={"number": 1},
            ),
            1,
            feedback=feedback,
            reward={"click": 0.0, event: 1.0},
            choice={"v_0": 0.0},
            arrival={"r_0": 40.0},
        )
        envs.reset(seed=0)
        expected = envs.expected_feedback(np.zeros((1, 1), int))
        value = expected["individual_reward"][0, 0] / expected["click"][0, 0, 0]

        def integrand(x: float, e_0: float = e_0) -> float:
            e = e_0 + scale * x
            moment = np.logaddexp(0, e) if event == "dwell" else 0.5 * (1 + np.tanh(e / 2))
            return float(moment) * 0.25 / np.cosh(x / 2) ** 2

        parts = [quad(integrand, a, a + 15, epsabs=1e-11, limit=200)[0] for a in (-60, -45, -30, -15, 0, 15, 30, 45)]
        exact = sum(parts) if scale > 0 else 4 * integrand(0.0)  # the density of logistic noise is 1/4 at 0
        assert value == pytest.approx(exact, abs=1e-6 * max(1.0, scale)), (e_0, scale)


def test_actions_of_every_layout_use_the_same_compiled_code() -> None:
    """Those that cannot be written to, as JAX and `numpy.broadcast_to` make them, were compiled for once more."""
    envs = vector_env("ecommerce-v1", 2)
    envs.reset(seed=0)
    actions = envs.empty_actions()
    expected, compiled = envs.expected_feedback(actions)["individual_reward"], expect.signatures
    fixed = actions.copy()
    fixed.flags.writeable = False
    for same in (fixed, np.asfortranarray(actions), np.broadcast_to(actions[0], actions.shape)):
        np.testing.assert_array_equal(envs.expected_feedback(same)["individual_reward"], expected)
    assert expect.signatures == compiled
