"""Searches on training seeds, and the rankers that they find."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import SMALL

from recsys_env import replace, task_config, vector_env
from recsys_env.__main__ import main
from recsys_env.evaluation import UNSEEN, episode_returns, mean_interval, tuning
from recsys_env.evaluation.episodes import begin_episodes, play_episode
from recsys_env.evaluation.tuning import Budget, best_ranker, cross_entropy, tune_planner
from recsys_env.files import read_json, signed, write_json
from recsys_env.policies import CHECKPOINT, Planner, make_policy
from recsys_env.policies.linear import LinearRanker, save_ranker, weight_names

MARKET = replace(
    SMALL,
    {
        "page": "rows",
        "roles": ({"name": "seller"},),
        "scenes": ({"name": "page", "cart": True},),
        "offer": {"kind": "price", "levels": 5},
        "feedback": {"instant": True},
        "reward": {"click": 0.0, "purchase": 1.0, "margin_rate": 0.5},
    },
)
TINY = Budget(population=8, episodes=4, generations=3, searches=2)


def test_tune_planner_finds_a_price_that_pays() -> None:
    short = {"horizon": 200}
    found = tune_planner("duel-v1", prices=(10.0,), targets=(0.8,), episodes=10, seed=3, **short)
    config = task_config("duel-v1", short)
    assert found[0.0, 0.0] == mean_interval(episode_returns(config, "greedy", 10, 3).mean(1))
    assert (10.0, 0.8) in found
    best = max(found, key=lambda place: found[place][0])
    assert found[best][0] - found[best][1] > found[0.0, 0.0][0] + found[0.0, 0.0][1]
    steps = [place for place in found if place not in ((0.0, 0.0), (10.0, 0.8))]
    assert len(steps) >= 4  # the neighbours of the best one have been tried
    shop = tune_planner("ecommerce-v1", prices=(1.0,), targets=(0.5,), episodes=2, catalogue="grocery", horizon=20)
    planner = {agent: Planner(1.0, 0.5) for agent in ("recommender_0", "recommender_1")}
    config = task_config("ecommerce-v1", {"horizon": 20}, "grocery")
    assert shop[1.0, 0.5] == mean_interval(episode_returns(config, planner, 2, 0, catalogue="grocery").mean(1))
    for name, values in (("prices", ()), ("prices", (1.0, -1.0)), ("prices", ("1",)), ("targets", (float("nan"),))):
        with pytest.raises(ValueError, match=rf"{name} = .* must be finite numbers in \[-?\d+, \d+\], one or more"):
            tune_planner("duel-v1", **{name: values})


def test_cross_entropy_climbs_a_noisy_hill() -> None:
    """The noise of a generation is common to all, so it does no harm."""
    top, noise = np.array([2.0, -1.0, 0.5]), np.random.default_rng(0)

    def height(candidates: np.ndarray, generation: int) -> np.ndarray:
        return 100 * noise.standard_normal() - ((candidates - top) ** 2).sum(1)  # type: ignore[no-any-return]

    found = cross_entropy(height, np.zeros(3), np.random.default_rng(1), 32, 24)
    np.testing.assert_allclose(found, top, atol=0.1)


def test_what_a_search_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match=r"population = 3 is out of range; allowed is \[4, 1000000\]"):
        Budget(population=3)
    with pytest.raises(ValueError, match=r"population = 3 is out of range"):
        cross_entropy(lambda candidates, _: candidates[:, 0], np.zeros(1), np.random.default_rng(0), 3, 1)
    with pytest.raises(ValueError, match=r"searches = 0 is out of range; allowed is \[1, 10\]"):
        Budget(searches=0)
    with pytest.raises(ValueError, match=r"generations = 9999 is out of range; allowed is \[1, 9998\]"):
        Budget(generations=9_999)  # it would be played on the episodes of the last comparison
    with pytest.raises(ValueError, match=r"unknown field 'visit' \(did you mean 'visits'\?\)"):
        best_ranker(SMALL, states=("visit",), budget=TINY)


def test_a_ranker_shows_what_its_weights_and_the_state_say() -> None:
    envs = vector_env(SMALL, 60)
    rng, names = np.random.default_rng(0), ("session_page", "visits")
    weights = rng.normal(size=(1 + len(names), len(envs.candidate_features)))
    policy = LinearRanker(weights, names)
    policy.bind(envs, "recommender_0", 0)
    observations, joint = envs.reset(seed=0)[0], envs.empty_actions()
    for _ in range(5):  # later pages of a session as well
        seen = observations[:, 0].astype(float)
        x = np.column_stack([np.ones(60), *(envs.field(seen, name)[:, 0] for name in names)])
        features = envs.field(seen, "candidates").reshape(60, 6, -1)
        scores = np.einsum("bcf,bx,xf->bc", features, x, weights)
        joint[:, 0] = policy.act(observations[:, 0])
        present = envs.active[:, 0]
        np.testing.assert_array_equal(joint[present, 0], np.argsort(-scores, 1)[present, :2])
        observations = envs.step(joint)[0]
    assert len(np.unique(x[:, 1])) > 1


def test_prices_of_a_ranker_move_with_the_state() -> None:
    """The place of its prices is affine in the state, the level the nearest one; the agent's own numbers come first."""
    envs = vector_env(MARKET, 60)
    states = ("visits", "price_levels")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(60, 1 + 1 + 2, len(envs.candidate_features) + 1))
    for agent, own_first in (("seller_0", [0, 1]), ("seller_1", [1, 0])):
        policy = LinearRanker(weights, states)
        policy.bind(envs, agent, 0)
        n, observations, joint = policy.index, envs.reset(seed=0)[0], envs.empty_actions()
        rounded: set[int] = set()
        for _ in range(6):
            seen = observations[:, n].astype(float)
            x = np.column_stack(
                [np.ones(60), envs.field(seen, "visits")[:, 0], envs.field(seen, "price_levels")[:, own_first]]
            )
            place = np.einsum("bx,bx->b", x, weights[:, :, -1])
            level = np.abs(np.linspace(-1, 1, 5) - place.clip(-1, 1)[:, None]).argmin(1)
            joint[:, n] = policy.act(observations[:, n])
            np.testing.assert_array_equal(joint[:, n, -1], level)
            joint[:, 1 - n, -1] = rng.integers(5, size=60)
            rounded |= set(level.tolist())
            observations = envs.step(joint)[0]
        assert rounded == set(range(5))
        assert (x[:, 2] != x[:, 3]).any()


def test_where_agents_set_prices_static_holds_them() -> None:
    for level, place in enumerate((-1.0, -0.4, 0.0, 0.6, 1.0)):
        config = replace(MARKET, {"static_weights": {"price_level": place, "popularity": 1.0}})
        envs = vector_env(config, 3)
        static = make_policy("static")
        static.bind(envs, "seller_0", 0)
        assert (static.act(envs.reset(seed=0)[0][:, 0])[:, -1] == level).all()
    found = best_ranker(MARKET, budget=TINY)
    assert found.names[-1] == "price_level"
    *features, price = found.weights[0, 0]
    assert max(map(abs, features)) == 1
    assert abs(price) <= 1
    named = dict(zip(found.names, found.weights[0, 0].tolist(), strict=True))
    config = replace(MARKET, {"static_weights": named})
    own = episode_returns(config, "static", 50, 1)
    np.testing.assert_array_equal(
        own, episode_returns(MARKET, {a: found.policy(MARKET, 0) for a in MARKET.agents}, 50, 1)
    )
    cheap = replace(MARKET, {"static_weights": {**named, "price_level": -1.0}})
    assert own.mean() > episode_returns(cheap, "static", 50, 1).mean() + 0.1  # half the price pays the unit cost alone


def test_the_best_ranker_is_the_policy_static_of_a_config_that_has_its_weights() -> None:
    found = best_ranker(SMALL, budget=TINY)
    assert abs(found.weights).max() == 1
    assert found.scores[0] >= found.scores[1]
    named = dict(zip(found.names, found.weights[0, 0].tolist(), strict=True))
    config = replace(SMALL, {"static_weights": named})
    own = episode_returns(config, "static", 50, 1)
    np.testing.assert_array_equal(own, episode_returns(SMALL, {a: found.policy(SMALL, 0) for a in SMALL.agents}, 50, 1))
    assert own.mean() > episode_returns(config, "random", 50, 1).mean()
    assert best_ranker(SMALL, budget=TINY).scores == found.scores
    for background in ({"recommender_2": "content"}, dict.fromkeys(SMALL.agents, "content")):
        with pytest.raises(
            ValueError, match=r"background = .* must be some of \['recommender_0', 'recommender_1'\], and not"
        ):
            best_ranker(SMALL, background=background, budget=TINY)
    with pytest.raises(ValueError, match=r"unknown feature 'prize' \(did you mean 'price'\?\)"):
        best_ranker(SMALL, without=("prize",), budget=TINY)
    blind = best_ranker(SMALL, states=("observed_satisfaction",), without=("price", "popularity"), budget=TINY)
    silent = [name in ("price", "popularity") for name in blind.names]
    assert (blind.weights[..., silent] == 0).all()
    assert (blind.weights[..., ~np.array(silent)] != 0).all()


@pytest.mark.parametrize("seed", [0, 5, 10, 50])
def test_no_search_plays_episodes_that_are_measured(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """With seed 50 a search begins just below the seeds of what is unseen."""
    seeds: list[int] = []

    def play(arena: Any, candidates: np.ndarray, episodes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        seeds.append(seed)
        return np.zeros((len(candidates), episodes)), np.zeros((len(candidates), episodes))

    monkeypatch.setattr(tuning.Arena, "play", play)
    best_ranker(SMALL, budget=Budget(generations=16, searches=2), seed=seed)
    assert len(seeds) == 2 * (16 + 1) + 1
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    assert max(seeds) < UNSEEN


def test_roles_rank_by_their_own_weights() -> None:
    role: dict[str, Any] = {"name": "dear", "static_weights": {"price": 1.0}}
    config = replace(SMALL, {"static_weights": {"price": -1.0}, "roles": (role, {"name": "cheap"})})
    envs = vector_env(config, 40)
    observations, joint = envs.reset(seed=0)[0], envs.empty_actions()
    for n, agent in enumerate(config.agents):
        static = make_policy("static")
        static.bind(envs, agent, 0)
        joint[:, n] = static.act(observations[:, n])
    prices = envs.field(observations, "candidates").reshape(40, 2, 6, -1)[..., envs.candidate_features.index("price")]
    active = envs.active.all(1)
    np.testing.assert_array_equal(joint[active, 0, 0], prices[active, 0].argmax(1))
    np.testing.assert_array_equal(joint[active, 1, 0], prices[active, 1].argmin(1))
    with pytest.raises(ValueError, match="static_weights of this world are empty, so there is no policy 'static'"):
        episode_returns(SMALL, "static", 1, 0)


def test_rewards_after_sharing_are_what_a_search_may_go_by() -> None:
    rivalry = replace(SMALL, {"reward": {"sharing": -1.0}})
    paid = np.zeros((20, 2))
    own = play_episode(*begin_episodes(rivalry, "random", 20, 0), paid=paid)
    np.testing.assert_allclose(paid, own - own.mean(axis=1, keepdims=True), atol=1e-4)
    alone = {"background": {"recommender_1": "content"}, "budget": TINY}
    scores = [best_ranker(rivalry, **alone, shared=shared).scores[0][0] for shared in (False, True)]
    assert scores[1] < scores[0] / 4  # it is paid half of what it earns more than the other


def test_the_command_prints_fields_of_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro")
    main(
        [
            "tune",
            "--task",
            "duel-v1,horizon=20,action=candidates,candidates.number=2",
            "--episodes",
            "2",
            "--generations",
            "1",
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("planner_price=")
    assert lines[1].startswith("static_weights={'profile_match': ")


def test_a_saved_ranker_is_a_policy_by_its_folder(tmp_path: Path) -> None:
    found = best_ranker(SMALL, states=("observed_satisfaction", "visits"), budget=dataclasses.replace(TINY, searches=1))
    found = found._replace(weights=found.weights.round(3))
    found.save(SMALL, tmp_path / "mine")
    team = {agent: found.policy(SMALL, 0) for agent in SMALL.agents}
    own = episode_returns(SMALL, str(tmp_path / "mine"), 20, 1)
    np.testing.assert_array_equal(own, episode_returns(SMALL, team, 20, 1))
    again = best_ranker(SMALL, states=("observed_satisfaction", "visits"), start=found.weights, budget=TINY)
    assert again.weights.shape == found.weights.shape


def test_an_oracle_also_ranks_by_what_is_latent(tmp_path: Path) -> None:
    """With weights that move with the true satisfaction."""
    envs = vector_env(SMALL, 60)
    names = weight_names(SMALL, envs.shape, latent=True)
    weights = np.random.default_rng(0).normal(size=(2, len(names))).round(3)
    save_ranker(tmp_path, names, {"recommender": weights})
    policy = make_policy(str(tmp_path))
    policy.bind(envs, "recommender_0", 0)
    observations, joint = envs.reset(seed=0)[0], envs.empty_actions()
    moods = []
    for _ in range(5):
        user, page = envs.latent_users(), envs.next_page
        features = envs.field(observations[:, 0], "candidates").reshape(60, 6, -1)
        joint[:, 0] = policy.act(observations[:, 0])
        for b in np.flatnonzero(envs.active[:, 0]):
            scores = []
            for item, seen in zip(envs.arrays.candidates[b, 0], features[b], strict=True):
                of = envs.world.items[item]
                latent = [user["taste"][b] @ envs.world.item_vectors[item], of["quality"], of["bait"]]
                latent += [of["topic"] == page["intent"][b], user["satiation"][b, of["topic"]]]
                scores.append(np.array([*seen, *latent]) @ (weights[0] + user["satisfaction"][b] * weights[1]))
            np.testing.assert_array_equal(joint[b, 0], np.argsort(-np.array(scores))[:2])
            moods.append(user["satisfaction"][b])
        observations = envs.step(joint)[0]
    assert np.std(moods) > 0


def test_a_search_for_an_oracle_finds_what_its_folder_plays(tmp_path: Path) -> None:
    found = best_ranker(SMALL, latent=True, budget=dataclasses.replace(TINY, searches=1))
    assert found.weights.shape == (1, 2, len(weight_names(SMALL, vector_env(SMALL, 1).shape, latent=True)))
    found = found._replace(weights=found.weights.round(3))
    found.save(SMALL, tmp_path)
    team = {agent: found.policy(SMALL, 0) for agent in SMALL.agents}
    own = episode_returns(SMALL, str(tmp_path), 20, 1)
    np.testing.assert_array_equal(own, episode_returns(SMALL, team, 20, 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ["price"]}, "has weights of price for recommender; here recommender_0 is a recommender with"),
        ({"weights": {"seller": [[1.0]]}}, "for seller; here recommender_0 is a recommender"),
        ({"states": []}, "must have 1 rows of"),
        ({"states": ["visit"]}, "unknown field 'visit' (did you mean 'visits'?)"),
        ({"weights": {"recommender": [[float("nan")]]}}, "must be a finite number"),
        ({"weights": 3}, "weights must be an object"),
    ],
)
def test_a_ranker_for_another_world_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    envs = vector_env(SMALL, 1)
    names = envs.candidate_features
    save_ranker(tmp_path, tuple(names), {"recommender": np.ones((2, len(names)))}, ("observed_satisfaction",))
    path = tmp_path / CHECKPOINT
    write_json(path, signed({**read_json(path), **change}))
    with pytest.raises(ValueError, match=re.escape(said)):
        make_policy(str(tmp_path)).bind(envs, "recommender_0", 0)
