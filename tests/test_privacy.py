"""What observations say of a person where privacy is promised: how much noise, on what, and what else is told."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.studies.privacy import second_account
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.fields import CANDIDATE_FEATURES, OBSERVATION, Field
from recsys_env.policies.ranking import hidden_features
from recsys_env.privacy import (
    HISTORY,
    PROFILE,
    WITHHELD,
    WITHHELD_FEATURES,
    gaussian_privacy,
    noise,
    privacy_loss,
)

PEOPLE = 2000
BASE = {
    "users": {"number": 1, "habit_size": 4},
    "items": {"number": 30, "dims": 8, "topics": 4},
    "choice": {"v_0": -5.0},  # everybody clicks
    "arrival": {"k_0": 50.0, "r_0": 50.0},  # nobody leaves
    "slots": 2,
}


def private(epsilon: float = 2.0, pages: int = 3, **more: Any) -> WorldConfig:
    seen = {"privacy_epsilon": epsilon, "privacy_pages": pages, **more.pop("observation", {})}
    return WorldConfig(**{**BASE, **more, "observation": seen})


def unsquash(x: np.ndarray) -> np.ndarray:
    return x.astype(float) / (1 - np.abs(x.astype(float)))


def taste(envs: VectorEnv) -> np.ndarray:
    return unsquash(envs.state()[:, envs.state_fields["latent_taste"]])


# ------------------------------------------------------------------------------------------------ the account


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("delta", [1e-6, 1e-5, 1e-2])
def test_the_noise_promises_what_it_says_and_no_more(epsilon: float, delta: float) -> None:
    mu = gaussian_privacy(epsilon, delta)
    exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert privacy_loss(mu, epsilon) == pytest.approx(exact, rel=1e-6)
    assert exact == pytest.approx(delta, rel=1e-6)
    for pages in (1, 7):
        blur = noise(epsilon, delta, pages)
        assert (PROFILE / blur.profile) ** 2 == pytest.approx(mu**2 / 2)
        assert pages * (HISTORY / blur.history) ** 2 == pytest.approx(mu**2 / 2)


@pytest.mark.parametrize(("epsilon", "pages"), [(0.5, 1), (2.0, 20), (8.0, 100)])
def test_a_library_s_accountant_agrees(epsilon: float, pages: int) -> None:
    pytest.importorskip("dp_accounting")
    assert second_account(private(epsilon, pages)) == pytest.approx(epsilon, rel=2e-2)


def test_no_two_people_differ_by_more_than_the_noise_is_for() -> None:
    """Histories as the game makes them, of people whose clicks have nothing in common and of one who never clicked."""
    envs = vector_env(WorldConfig(**BASE, observation={"history_decay": 0.7}), 64)
    observations, _ = envs.reset(seed=0)
    actions, farthest = envs.empty_actions(), 0.0
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions[...] = rng.integers(0, envs.shape.candidates, actions.shape)
        observations = envs.step(actions)[0]
        mean, counts = (unsquash(envs.field(observations, name)[:, 0]) for name in ("clicked_mean", "topic_counts"))
        history = np.concatenate((mean, counts * 0.3), 1)
        apart = np.linalg.norm(history[:, None] - history, axis=-1).max()
        farthest = max(farthest, apart, np.linalg.norm(history, axis=1).max())
        assert np.linalg.norm(mean, axis=1).max() <= 1 + 1e-5
        assert (counts * 0.3).sum(1).max() <= 1 + 1e-5
    assert 1.0 < farthest <= HISTORY


# ------------------------------------------------------------------------------------------------ in the game


def test_the_profile_has_the_noise_and_stays_as_it_is() -> None:
    config = private(dynamics={"drift": 0.5})
    envs = vector_env(config, PEOPLE)
    observations, _ = envs.reset(seed=3)
    first = unsquash(envs.field(observations, "profile")[:, 0])
    before = taste(envs)
    error = first - before
    sd = noise(2.0, 1e-5, 3).profile
    assert error.std() == pytest.approx(sd, rel=0.03)
    for _ in range(5):
        observations = envs.step(envs.empty_actions())[0]
        assert np.array_equal(unsquash(envs.field(observations, "profile")[:, 0]), first)
    assert np.linalg.norm(taste(envs) - before, axis=1).mean() > 0.05


def test_a_little_privacy_leaves_the_noise_that_is_there() -> None:
    plain, promised = (
        vector_env(WorldConfig(**BASE, observation={"profile_noise": 3.0, "privacy_epsilon": epsilon}), 100)
        for epsilon in (0.0, 1000.0)
    )
    for envs in (plain, promised):
        envs.reset(seed=1)
    profiles = [envs.field(envs.observations, "profile") for envs in (plain, promised)]
    assert np.array_equal(*profiles)


def test_the_history_is_told_with_fresh_noise_on_so_many_pages() -> None:
    envs = vector_env(private(epsilon=1000.0, pages=3), PEOPLE)
    observations, _ = envs.reset(seed=5)
    told = []
    for _ in range(6):
        names = ("clicked_mean", "topic_counts")
        told.append(np.concatenate([unsquash(envs.field(observations, name)[:, 0]) for name in names], 1))
        observations = envs.step(envs.empty_actions())[0]
    assert all(np.abs(a - b).max(1).min() > 0 for a, b in itertools.pairwise(told[:3]))
    assert all(np.array_equal(told[2], later) for later in told[3:])
    sd = noise(1000.0, 1e-5, 3).history
    assert told[0][:, :8].std() == pytest.approx(sd, rel=0.03)  # nothing was clicked before the first page
    counts = told[0][:, 8:]
    assert (counts == 0).mean() == pytest.approx(0.5, abs=0.02)  # what would be negative is 0
    assert np.sqrt((counts[counts > 0] ** 2).mean()) == pytest.approx(sd / 0.1, rel=0.03)


def test_heavy_noise_stays_within_what_an_observation_can_be() -> None:
    envs = vector_env(private(epsilon=0.1, pages=50, num_agents=2), 32)
    observations, _ = envs.reset(seed=5)
    for _ in range(20):
        assert envs.observation_space.low.min() <= observations.min() <= observations.max() <= 1
        mean = unsquash(envs.field(observations, "clicked_mean"))
        assert np.linalg.norm(mean, axis=-1).max() <= 1 + 1e-4
        assert np.isfinite(observations).all()
        observations = envs.step(envs.empty_actions())[0]


def test_the_rest_of_the_person_is_withheld() -> None:
    envs = vector_env(private(users={"number": 2, "habit_size": 4}, choice={"v_0": -5.0, "beta_repeat": 2.0}), 200)
    observations, _ = envs.reset(seed=2)
    for _ in range(10):
        observations = envs.step(envs.empty_actions())[0]
    for name in WITHHELD:
        if name in envs.observation_fields:
            assert not envs.field(observations, name).any(), name
    shape, features = envs.shape, envs.candidate_features
    listed = envs.field(observations, "candidates").reshape(200, -1, shape.candidates, shape.features)
    assert not listed[..., features.index("repeat")].any()
    assert listed[..., features.index("profile_match")].any()


def test_a_feature_that_is_withheld_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """From observations and from rankers alike; other features stay as they are."""
    settings = private(num_agents=2)
    before = vector_env(settings, 4)
    monkeypatch.setattr("recsys_env.game_batch.WITHHELD_FEATURES", frozenset(("popularity",)))
    monkeypatch.setattr("recsys_env.policies.ranking.WITHHELD_FEATURES", frozenset(("popularity",)))
    envs, features = vector_env(settings, 4), before.candidate_features
    seen, all_seen = envs.reset(seed=1)[0], before.reset(seed=1)[0]
    listed, all_listed = (
        batch.field(rows, "candidates").reshape(4, 2, -1, len(features))
        for batch, rows in ((envs, seen), (before, all_seen))
    )
    place = features.index("popularity")
    assert all_listed[..., place].any()
    assert not listed[..., place].any()
    assert np.array_equal(np.delete(listed, place, -1), np.delete(all_listed, place, -1))
    assert hidden_features(envs, 0) == [place]
    assert hidden_features(vector_env("social-v1"), 0) == []


def test_what_declares_nothing_is_withheld() -> None:
    assert Field("mine", "my field").withheld
    assert Field("mine", "my field", reveals="Nothing").withheld  # type: ignore[arg-type]  # a slip of the pen


def test_what_is_withheld_is_all_that_is_not_declared() -> None:
    """A slip that lets something personal through fails here: these are all that may be shown."""
    shown = {field.name: field.reveals for field in OBSERVATION if field.name not in WITHHELD}
    assert {name for name, reveals in shown.items() if reveals == "nothing"} == {
        "is_active", "visitor_present", "role", "agent_id", "exposure",
    }  # fmt: skip
    assert {name for name, reveals in shown.items() if reveals == "noised"} == {
        "profile", "clicked_mean", "topic_counts", "candidates", "candidate_vectors", "candidate_topics",
    }  # fmt: skip
    assert {"session_page", "visits", "visit_gap", "cart", "observed_satisfaction", "satisfaction_pages"} <= set(
        WITHHELD
    )
    assert {"scene", "anchor", "knows", "messages", "price_levels"} <= set(WITHHELD)
    assert {"context", "repeat"} == WITHHELD_FEATURES


def test_a_noised_feature_follows_from_noised_fields_and_an_impersonal_one_from_none() -> None:
    noised = {field.name for field in OBSERVATION if field.reveals == "noised"}
    for feature in CANDIDATE_FEATURES:
        if feature.reveals == "noised":
            assert feature.follows_from, feature.name
            assert noised.issuperset(feature.follows_from), feature.name
        elif feature.reveals == "nothing":
            assert not feature.follows_from, feature.name


def test_agents_of_one_page_are_told_alike_where_they_share() -> None:
    envs = vector_env(private(num_agents=2, observation={"share": True}), 16)
    observations, _ = envs.reset(seed=2)
    for _ in range(3):
        observations = envs.step(envs.empty_actions())[0]
        mean = envs.field(observations, "clicked_mean")
        assert np.array_equal(mean[:, 0], mean[:, 1])
    apart = vector_env(private(num_agents=2), 16)
    mean = apart.field(apart.reset(seed=2)[0], "clicked_mean")
    assert (mean[:, 0] != mean[:, 1]).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"observability": "full"}, "observability"),
        ({"roles": [{"name": "r", "knows": (0, 1, 0, 1)}]}, "roles.knows"),
        ({"observation": {"history_decay": 1.0}}, "history_decay"),
        ({"users": {"population": "fixed"}}, "users.population"),
        ({"messages": 3}, "messages"),
        ({"offer": {"kind": "price"}, "feedback": {"instant": True}}, "offer.kind"),
        (
            {
                "scenes": [{"name": "door"}, {"name": "item"}],
                "roles": [{"name": "a", "scene": "door"}, {"name": "b", "scene": "item"}],
            },
            "scene",
        ),
    ],
)
def test_a_promise_that_something_else_would_break_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"privacy_epsilon = 2 .*{named}"):
        private(**change)
