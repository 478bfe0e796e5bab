"""Effects of actions on common random numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import recsys_env
from recsys_env import counterfactual
from recsys_env.exact import evaluate, finite, tabulate

BOTH_BAIT, BOTH_FAIR = [1, 1], [0, 0]


def duel(copies: int = 1) -> recsys_env.VectorEnv:
    envs = recsys_env.vector_env("duel-v1", copies)
    envs.reset(seed=0)
    return envs


def test_effects_of_one_page_by_hand() -> None:
    """In the best mood v_0 = 1.5: a page of two hooks is clicked with .384 each, of two fair items with .154 each."""
    found = counterfactual(duel(), BOTH_BAIT, BOTH_FAIR, horizon=1, n=20_000)
    odds = {a: {b: np.exp(2 * a) / (np.exp(2 * a) + np.exp(2 * b) + np.exp(1.5)) for b in (0, 1)} for a in (0, 1)}
    total = {(a, b): odds[a][b] + odds[b][a] for a in (0, 1) for b in (0, 1)}
    effect = odds[1][1] - odds[0][0]
    assert (np.abs(found.effect - effect) < 1.7 * found.effect_interval).all()
    assert abs(found.team - 2 * effect) < 1.7 * found.team_interval
    assert (np.abs(found.difference - (total[1, 1] - total[0, 1])) < 1.7 * found.difference_interval).all()
    assert (np.abs(found.shapley - effect) < 1.7 * found.shapley_interval).all()
    assert found.shapley.sum() == pytest.approx(found.team)
    assert 0.01 > found.team_interval > 0.001
    assert found.variance_saved > 0.2


@pytest.mark.slow
def test_later_ticks_agree_with_the_table() -> None:
    game, horizon = tabulate("duel-v1"), 12
    value = (horizon - 1) * evaluate(game, [game.policy("YXX")] * 2, finite(horizon - 1))
    exact = game.rewards[:, 0] + np.einsum("at,nt->na", game.transitions[0], value)
    found = counterfactual(duel(), BOTH_BAIT, BOTH_FAIR, horizon, 10_000, policies="joint", seed=1)
    effect = exact[:, 3] - exact[:, 0]
    assert (np.abs(found.effect - effect) < 1.7 * found.effect_interval).all()


def test_common_random_numbers_save_variance() -> None:
    """The interval is narrower than that of independent draws by what is said to be saved."""
    envs = recsys_env.vector_env("social-v1", 1, num_agents=2)
    envs.reset(seed=2)
    first, other = envs.empty_actions()[0], envs.empty_actions()[0] + 1
    found = counterfactual(envs, first, other, horizon=3, n=400)
    assert 0.2 < found.variance_saved <= 1
    nothing = counterfactual(envs, first, first, horizon=3, n=50)
    assert nothing.team == nothing.team_interval == 0
    assert nothing.variance_saved == 1


def test_every_kind_of_state_gives_the_same_and_none_is_touched() -> None:
    envs = duel(3)
    before = pickle.dumps(envs.save().arrays)
    one = recsys_env.parallel_env("duel-v1")
    one.reset(seed=0)
    by_agent = dict(zip(one.possible_agents, BOTH_BAIT, strict=True))
    found = [
        counterfactual(envs.save(0), BOTH_BAIT, BOTH_FAIR, 4, 30),
        counterfactual(one, by_agent, BOTH_FAIR, 4, 30),
        counterfactual(duel(), np.array(BOTH_BAIT), BOTH_FAIR, 4, 30),
    ]
    assert found[0].team == found[1].team == found[2].team
    assert pickle.dumps(envs.save().arrays) == before


def test_rewards_end_with_the_episode() -> None:
    envs = recsys_env.vector_env("duel-v1", 1, horizon=2)
    envs.reset(seed=0)
    short, long = (counterfactual(envs, BOTH_BAIT, BOTH_FAIR, horizon, 50) for horizon in (2, 9))
    assert short.team == long.team


def test_what_cannot_be_compared_says_so() -> None:
    envs = duel()
    for call, told in (
        (lambda: counterfactual(duel(2), BOTH_BAIT, BOTH_FAIR, 1, 2), "state has 2 copies; give one of them, as save"),
        (
            lambda: counterfactual(envs, [1], BOTH_FAIR, 1, 2),
            r"joint_action = \[1\] of shape \(1,\), expected \(2,\): one of Disc",
        ),
        (lambda: counterfactual(envs, BOTH_BAIT, BOTH_FAIR, 0, 2), "horizon = 0 is out of range"),
    ):
        with pytest.raises(ValueError, match=told):
            call()
    many = recsys_env.vector_env("duel-v1", num_agents=9)
    many.reset(seed=0)
    with pytest.raises(ValueError, match=r"num_agents = 9 makes 2\^9 coalitions, .*; allowed are at most 8"):
        counterfactual(many, [0] * 9, [1] * 9, 1, 2)
