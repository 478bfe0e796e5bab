"""Surrogates of policies: they find what a linear ranker weighs, and say where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_env import VectorEnv, vector_env
from recsys_env.evaluation.surrogate import Options, Surrogate, fidelity, held_out_fidelity, list_page
from recsys_env.policies import Policy, Team
from recsys_env.policies.linear import LinearRanker


def pages_of(envs: VectorEnv, policy: str | Policy, ticks: int = 40) -> Options:
    team = Team(envs, dict.fromkeys(envs.possible_agents, policy), 0)
    observations, _ = envs.reset(seed=0)
    actions, parts = envs.empty_actions(), []
    for _ in range(ticks):
        team.act(observations, actions)
        parts.append(list_page(envs, 0, envs.explain(actions)["item"][:, 0]))
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    return Options(*map(np.concatenate, zip(*parts, strict=True)))


def test_it_finds_what_a_linear_ranker_weighs() -> None:
    envs = vector_env("news-v1", 64, num_agents=1)
    names = list(envs.candidate_features)
    weights = np.zeros((1, len(names)))
    weights[0, [names.index("popularity"), names.index("freshness")]] = 1.0, -0.5
    pages = pages_of(envs, LinearRanker(weights))
    surrogate = Surrogate.fit(pages)
    popularity, freshness = (surrogate.weights[names.index(name)] for name in ("popularity", "freshness"))
    assert popularity > 0 > freshness
    assert freshness / popularity == pytest.approx(-0.5, abs=0.15)
    moved = np.abs(surrogate.contributions(pages)[pages.there]).mean(0)
    others = [x for name, x in zip(names, moved, strict=True) if name not in ("popularity", "freshness")]
    assert max(others) < 0.3 * moved[names.index("popularity")]
    assert surrogate.fidelity(pages) > 0.97
    assert held_out_fidelity(pages) > 0.95


def test_there_is_nothing_to_find_in_chance() -> None:
    envs = vector_env("news-v1", 64, num_agents=1)
    pages = pages_of(envs, "random")
    chance = envs.shape.slots / envs.shape.candidates
    assert Surrogate.fit(pages).fidelity(pages) == pytest.approx(chance, abs=0.07)
    assert held_out_fidelity(pages) == pytest.approx(chance, abs=0.07)
    few = Options(*(array[:12] for array in pages))
    assert held_out_fidelity(few) < Surrogate.fit(few).fidelity(few)  # which has seen the pages that it explains
    assert held_out_fidelity(Options(*(array[:1] for array in pages))) is None
    assert pages.shown.sum(1)[pages.there.any(1)].mean() == pytest.approx(envs.shape.slots, abs=0.05)


def test_contributions_add_up_and_are_of_what_differs_within_the_page() -> None:
    features = np.array([[[1.0, 5.0], [3.0, 5.0], [9.0, 9.0]]])
    pages = Options(np.array([[4, 7, -1]]), features, np.array([[False, True, False]]))
    surrogate = Surrogate(np.array([2.0, 3.0]))
    np.testing.assert_allclose(surrogate.contributions(pages), [[[-2.0, 0.0], [2.0, 0.0], [0.0, 0.0]]])
    assert surrogate.fidelity(pages) == 1.0
    assert fidelity(np.array([[1.0, 0.0, 5.0]]), pages) == 0.0
    assert fidelity(np.zeros((1, 3)), pages._replace(shown=np.zeros((1, 3), bool))) == 1.0
    assert Surrogate.fit(pages).weights[1] == pytest.approx(0.0)
