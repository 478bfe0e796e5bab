"""What observations say of a person where privacy is promised: how much noise, on what, and what else is told."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.studies import privacy
from recsys_env import VectorEnv, WorldConfig, task_config, vector_env
from recsys_env.config.fields import CANDIDATE_FEATURES, OBSERVATION, Field
from recsys_env.config.privacy import (
    HISTORY,
    PROFILE,
    WITHHELD,
    WITHHELD_FEATURES,
    gaussian_privacy,
    noise,
    privacy_loss,
)
from recsys_env.language.pages import plain
from recsys_env.policies.ranking import hidden_features

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
    assert privacy.second_account(private(epsilon, pages)) == pytest.approx(epsilon, rel=2e-2)


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


# A world with every field that may be there under a promise. All of its visitors click and come back.
EVERYTHING = {
    "users": {"number": 3, "habit_size": 4, "habit": "purchase", "request": 1.0},
    "items": {
        **{"number": 30, "dims": 8, "topics": 4, "providers": 3, "price_log_sd": 0.4, "length_log_sd": 0.4},
        **{"life": 60, "period": 90, "promotion_probability": 0.3},
    },
    "choice": {"v_0": -5.0, "beta_repeat": 2.0},
    "feedback": {"b_0": 4.0, "cart_hazard": 0.3},
    "arrival": {"k_0": 0.0, "r_0": 50.0},
    "reward": {"fairness": 1.0},
    "candidates": {"features": "both"},
    "observation": {"recent": 3, "request": True, "item_ids": "binary"},
    "scenes": [{"name": "shop", "cart": True}],
}
IMPOSSIBLE = {  # worlds with these are refused
    *("scene", "anchor", "knows", "messages", "price_levels"),
    *("slot_value", "budget", "last_price", "window_clicks", "demand"),
}


def played(ticks: int, seed: int, epsilon: float) -> Iterator[tuple[VectorEnv, np.ndarray]]:
    """That world and its observations after each tick of random play."""
    seen = {**EVERYTHING["observation"], "privacy_epsilon": epsilon}
    envs = vector_env(WorldConfig(**{**EVERYTHING, "slots": 2, "num_agents": 2, "observation": seen}), 100)
    observations, _ = envs.reset(seed=seed)
    rng, actions = np.random.default_rng(seed), envs.empty_actions()
    for _ in range(ticks):
        actions[...] = rng.integers(0, envs.shape.candidates, actions.shape)
        observations = envs.step(actions)[0]
        yield envs, observations


def features(envs: VectorEnv, observations: np.ndarray) -> dict[str, np.ndarray]:
    """Features [B, N, C] of the candidates."""
    listed = envs.field(observations, "candidates").reshape(*envs.candidates.shape, -1)
    return {name: listed[..., f] for f, name in enumerate(envs.candidate_features)}


def test_what_is_personal_is_0() -> None:
    """Under a promise; without one, the same world tells it."""
    *_, (open_, told) = played(20, 2, 0.0)
    *_, (closed, withheld) = played(20, 2, 2.0)
    for name in WITHHELD:
        if name in closed.observation_fields:
            assert open_.field(told, name).any(), name
            assert not closed.field(withheld, name).any(), name
        else:
            assert name in IMPOSSIBLE or name.startswith("latent_"), name
    for name in WITHHELD_FEATURES & set(closed.candidate_features):
        assert features(open_, told)[name].any(), name
        assert not features(closed, withheld)[name].any(), name


def test_what_is_not_personal_is_the_same_whoever_comes_and_clicks() -> None:
    """Under a promise, features of a candidate that tell nothing follow from the item and the tick, as does all that is
    public; without one, statistics tell what was clicked."""
    names = {feature.name for feature in CANDIDATE_FEATURES if feature.reveals == "nothing"}
    for epsilon, personal in ((2.0, set()), (0.0, {"popularity", "ctr", "satisfaction"})):
        differ = set()
        for (envs, seen), (others, seen_by_others) in zip(played(20, 1, epsilon), played(20, 2, epsilon), strict=True):
            public = [batch.public_items() for batch in (envs, others)]
            differ |= {name for name in public[0] if (public[0][name] != public[1][name][0]).any()}
            items = np.concatenate((envs.candidates, others.candidates))
            told, told_others = features(envs, seen), features(others, seen_by_others)
            there, of_item = items >= 0, np.empty(envs.shape.items)
            for name in names:
                found = np.concatenate((told[name], told_others[name]))[there]
                of_item[items[there]] = found
                differ |= {name} if (of_item[items[there]] != found).any() else set()
        assert differ == personal


def test_what_is_noised_is_worked_out_from_the_noisy_profile_and_history() -> None:
    for envs, seen in played(10, 3, 8.0):
        profile, mean, counts = (plain(envs, seen, name) for name in ("profile", "clicked_mean", "topic_counts"))
        there, items = envs.candidates >= 0, envs.candidates
        vectors, topics = envs.world.item_vectors[items], envs.world.items["topic"][items]
        expected = {
            "profile_match": np.einsum("bnd,bncd->bnc", profile, vectors),
            "history_match": np.einsum("bnd,bncd->bnc", mean, vectors),
            "topic_count": np.take_along_axis(counts, topics, -1),
        }
        assert expected.keys() == {feature.name for feature in CANDIDATE_FEATURES if feature.reveals == "noised"}
        for name, values in expected.items():
            found = features(envs, seen)[name][there]
            assert found == pytest.approx((values / (1 + abs(values)))[there], abs=1e-4), name


def test_a_feature_that_is_withheld_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """From observations and from rankers alike; other features stay as they are."""
    settings = private(num_agents=2)
    before = vector_env(settings, 4)
    monkeypatch.setattr("recsys_env.config.world_config.WITHHELD_FEATURES", frozenset(("popularity",)))
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
        "until_refill", "until_decision", "window_topics", "window_bait", "others_topics", "others_bait",
    }  # fmt: skip
    assert {name for name, reveals in shown.items() if reveals == "noised"} == {
        "profile", "clicked_mean", "topic_counts",
        "candidates", "candidate_vectors", "candidate_topics", "candidate_ids",
    }  # fmt: skip
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


# ------------------------------------------------------------------------------------------------ attackers

NOT_COVERED = ("linking", "topic by linked clicks")


@pytest.fixture(scope="module")
def attacks() -> dict[float, dict[str, Any]]:
    """What attackers find without a promise and under a strict one."""
    pytest.importorskip("sklearn")
    config = task_config("rivals-v1", {"horizon": 150, "items": {"topics": 4}})
    return {
        epsilon: privacy.attacked(task_config(config, {"observation": {"privacy_epsilon": epsilon}}), 120, 3)
        for epsilon in (0.0, 0.1)
    }


def margin(found: dict[str, Any]) -> tuple[float, float]:
    """By how much an attacker is right more often than by chance, and the half-width of its interval."""
    return found["right"]["mean"] - found["chance"]["mean"], found["right"]["ci95"] + found["chance"]["ci95"]


@pytest.mark.parametrize("attacker", [name for name in privacy.ATTACKERS if name not in NOT_COVERED])
def test_attackers_of_what_is_covered_are_at_chance_under_a_promise(
    attacks: dict[float, dict[str, Any]], attacker: str
) -> None:
    more, width = margin(attacks[0.0][attacker])
    assert more > width
    more, width = margin(attacks[0.1][attacker])
    assert more <= width


def test_without_a_promise_every_click_is_found_in_the_statistics(attacks: dict[float, dict[str, Any]]) -> None:
    found, nothing = (attacks[epsilon]["clicks by statistics"] for epsilon in (0.0, 0.1))
    assert found["number"] > 500
    assert (found["right"]["mean"], found["chance"]["mean"]) == (1.0, 0.0)
    assert (nothing["right"]["mean"], nothing["chance"]["mean"]) == (0.0, 0.0)


def test_linking_is_not_covered(attacks: dict[float, dict[str, Any]]) -> None:
    """As docs/privacy.md says: the profile of a person stays as it is, and feedback tells what was clicked."""
    assert attacks[0.1]["linking"]["right"]["mean"] == 1.0
    more, width = margin(attacks[0.1]["topic by linked clicks"])
    assert more > width
