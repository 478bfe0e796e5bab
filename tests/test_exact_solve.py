"""Solutions of finite games: each against a hand calculation and against a second way to it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys_env.exact import (
    AVERAGE,
    MarkovGame,
    best_response,
    correlated_equilibrium,
    discounted,
    empirical_game,
    evaluate,
    exploitability,
    finite,
    matrix_value,
    mixed_equilibria,
    nash_conv,
    prices,
    pure_policies,
    regrets,
    tabulate,
    team_optimum,
    textbook_example,
    zero_sum_value,
)
from recsys_env.exact.solve import long_run

pytest.importorskip("quantecon")
pytest.importorskip("nashpy")


def random_game(seed: int, agents: int, states: int, actions: int, zero_sum: bool = False) -> MarkovGame:
    """Sparse transitions: some chains are periodic, some have several ends."""
    rng = np.random.default_rng(seed)
    joint = actions**agents
    transitions = rng.random((states, joint, states)) * (rng.random((states, joint, states)) < 0.6)
    transitions[transitions.sum(-1) == 0] = np.eye(states)[rng.integers(states)]
    rewards = rng.normal(size=(agents, states, joint))
    if zero_sum:
        rewards[1] = -rewards[0]
    names = tuple("ABCDEFG"[:actions])
    return MarkovGame(
        states=tuple(map(str, range(states))),
        agents=tuple(f"recommender_{n}" for n in range(agents)),
        actions=names,
        transitions=transitions / transitions.sum(-1, keepdims=True),
        rewards=rewards,
        individual_rewards=rewards,
        initial=np.full(states, 1 / states),
    )


CRITERIA = (AVERAGE, discounted(0.0), discounted(0.9), discounted(0.997))


def test_the_textbook_example_by_hand() -> None:
    game = textbook_example()
    np.testing.assert_allclose(game.rewards[0], [[0.5, 2.0], [5.5, 0.5], [5.0, 1.0]])  # .5 * 0 + .5 * 1, .2 * 10, ...
    _, myopic = team_optimum(game, discounted(0.0))
    value, best = team_optimum(game, discounted(0.9))
    assert (game.label(myopic[:, 0]), game.label(best[:, 0])) == ("YXX", "XXY")
    v1 = (5.5 + 0.45 * 1) / (1 - 0.45 - 0.45 * 0.9)  # v1 = 5.5 + .9 (v1 + v2) / 2, v2 = 1 + .9 v1
    by_hand = [(0.5 + 0.45 * v1) / 0.55, v1, 1 + 0.9 * v1]  # v0 = .5 + .9 (v0 + v1) / 2
    np.testing.assert_allclose(value / (1 - 0.9), by_hand)
    assert game.policy("XXY").tolist() == best[:, 0].tolist()
    with pytest.raises(ValueError, match="policy 'XZ' must name one of the actions X, Y for each of the 3 states"):
        game.policy("XZ")


def test_the_duel_has_the_published_figures() -> None:
    """Two strict symmetric equilibria, anarchy .29, stability 1, wrong answers 36 to 43 %, state dependence 53 %."""
    game = tabulate("duel-v1")
    pure = pure_policies(game)
    good, bad = pure.equilibria()
    assert [game.label(p) for p in good.policies] == ["YXX", "YXX"]
    assert [game.label(p) for p in bad.policies] == ["YYY", "YYY"]
    assert good.strict
    assert bad.strict
    assert all(game.is_symmetric(e.policies) for e in (good, bad))
    np.testing.assert_allclose([good.values, bad.values], [[0.2313] * 2, [0.0663] * 2], atol=5e-5)
    x, y, harvest = (pure.index(game.policy(label)) for label in ("XXX", "YYY", "YXX"))
    table = {pair: pure.payoffs[0][pair] for pair in itertools.product((x, y, harvest), repeat=2)}
    np.testing.assert_allclose(
        [table[y, x], table[x, x], table[y, y], table[x, y]], [0.155, 0.143, 0.066, 0.021], atol=5e-4
    )
    optimum = team_optimum(game)[0] @ game.initial
    np.testing.assert_allclose(prices([good, bad], optimum), [0.287, 1.0], atol=5e-4)
    wrong = [1 - table[harvest, y] / table[y, y], 1 - table[y, harvest] / table[harvest, harvest]]
    np.testing.assert_allclose(wrong, [0.36, 0.43], atol=6e-3)
    mixes = [evaluate(game, [np.tile([1 - p, p], (3, 1))] * 2)[0, 0] for p in np.linspace(0, 1, 401)]
    assert good.values[0] / max(mixes) - 1 == pytest.approx(0.53, abs=0.006)
    assert nash_conv(game, good.policies) == pytest.approx(0, abs=1e-9)
    assert nash_conv(game, [game.policy("XXX")] * 2) == pytest.approx(0.423, abs=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_optimum_and_best_response_against_enumeration(seed: int) -> None:
    """Linear program and policy iteration against every pure policy there is."""
    game = random_game(seed, agents=2, states=3, actions=2)
    for criterion in CRITERIA:
        pure = pure_policies(game, criterion)
        value, joint = team_optimum(game, criterion)
        each = [evaluate(game, [*policies.T], criterion).sum(0) for policies in _joint_policies(game)]
        np.testing.assert_allclose(value, np.max(each, 0), atol=1e-7)
        np.testing.assert_allclose(evaluate(game, [*joint.T], criterion).sum(0), value, atol=1e-7)
        for agent, (i, j) in itertools.product(range(2), [(0, 5), (3, 2)]):
            policies = [pure.policies[i], pure.policies[j]]
            answer, policy = best_response(game, policies, agent, criterion)
            rival = pure.values[agent].take((i, j)[1 - agent], axis=1 - agent)
            np.testing.assert_allclose(answer, rival.max(0), atol=1e-7)
            policies[agent] = policy
            np.testing.assert_allclose(evaluate(game, policies, criterion)[agent], answer, atol=1e-7)


def _joint_policies(game: MarkovGame) -> list[np.ndarray]:
    joint = game.joint_actions
    return [joint[list(choice)] for choice in itertools.product(range(len(joint)), repeat=len(game.states))]


def test_average_reward_is_the_limit_of_the_discounted_one() -> None:
    for seed in range(5):
        game = random_game(seed, agents=1, states=4, actions=3)
        near, _ = team_optimum(game, discounted(1 - 1e-6))
        np.testing.assert_allclose(team_optimum(game, AVERAGE)[0], near, atol=1e-4)


def test_a_finite_horizon_by_hand_and_by_recursion() -> None:
    game = textbook_example()
    value, policy = team_optimum(game, finite(2))
    second = [2.0, 5.5, 5.0]  # the best last reward in each state
    by_hand = [0.5 + (2 + 5.5) / 2, 5.5 + (5.5 + 5) / 2, max(5 + (2 + 5) / 2, 1 + 5.5)]  # Y in s0: 2 + .8 * 2 + .2 * 5
    assert by_hand[0] < 2 + 0.8 * 2 + 0.2 * 5
    by_hand[0] = 2 + 0.8 * 2 + 0.2 * 5
    np.testing.assert_allclose(value * 2, by_hand)
    assert policy[1, :, 0].tolist() == [1, 0, 0]
    np.testing.assert_allclose(team_optimum(game, finite(1))[0], second)
    stationary = evaluate(game, [np.array([1, 0, 0])], finite(2))[0]
    np.testing.assert_allclose(stationary * 2, [4.6, 10.75, 8.5])


def test_three_agents_against_enumeration() -> None:
    game = random_game(3, agents=3, states=2, actions=2)
    pure = pure_policies(game, discounted(0.9))
    policies = [pure.policies[i] for i in (0, 1, 3)]
    best = [pure.values[0][:, 1, 3].max(0), pure.values[1][0, :, 3].max(0), pure.values[2][0, 1].max(0)]
    told = regrets(game, policies, discounted(0.9))
    np.testing.assert_allclose(
        told, [game.initial @ b - pure.payoffs[n][0, 1, 3] for n, b in enumerate(best)], atol=1e-12
    )
    for equilibrium in pure.equilibria():
        assert nash_conv(game, equilibrium.policies, discounted(0.9)) == pytest.approx(0, abs=1e-9)


def test_mixed_policies_are_valued_by_the_chain_they_make() -> None:
    game = random_game(1, agents=2, states=3, actions=2)
    rng = np.random.default_rng(0)
    policies = [rng.dirichlet((1, 1), 3) for _ in range(2)]
    value = np.zeros((2, 3))
    for _ in range(400):  # value iteration
        stage = game.rewards + 0.9 * np.einsum("sat,nt->nsa", game.transitions, value)
        value = np.einsum("sa,nsa->ns", np.einsum("si,sj->sij", *policies).reshape(3, 4), stage)
    np.testing.assert_allclose(evaluate(game, policies, discounted(0.9)), 0.1 * value)
    with pytest.raises(
        ValueError, match=r"policies\[1\] = \[0, 1, 2\] must be actions below 2 \[3\] or distributions \[3, 2\]"
    ):
        evaluate(game, [policies[0], np.array([0, 1, 2])])


def test_the_long_run_of_chains_with_periods_and_several_ends() -> None:
    turning = np.array([[0.0, 1.0], [1.0, 0.0]])
    ends = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.6, 0.2]])
    np.testing.assert_allclose(long_run(turning), np.full((2, 2), 0.5))
    np.testing.assert_allclose(long_run(ends), [[1, 0, 0], [0, 1, 0], [0.25, 0.75, 0]], atol=1e-12)


def test_zero_sum_games() -> None:
    value, mix = matrix_value(np.array([[3.0, -1.0], [-2.0, 1.0]]))
    assert value == pytest.approx(1 / 7)
    np.testing.assert_allclose(mix, [3 / 7, 4 / 7])
    for seed in range(4):
        game = random_game(seed, agents=2, states=3, actions=3, zero_sum=True)
        value, policies = zero_sum_value(game, 0.9)
        np.testing.assert_allclose(evaluate(game, policies, discounted(0.9))[0], value, atol=1e-8)
        low = -best_response(game, policies, 1, discounted(0.9))[0]  # what agent 0 is sure of
        np.testing.assert_allclose(low, value, atol=1e-8)
    with pytest.raises(
        ValueError, match=r"2 agents, whose rewards sum to up to .*: .* two agents whose rewards cancel"
    ):
        zero_sum_value(random_game(0, 2, 2, 2), 0.9)


def test_equilibria_in_normal_form() -> None:
    """Chicken: two pure equilibria and a mixed one; the best correlated one sends nobody to the crash (Aumann)."""
    from quantecon.game_theory import NormalFormGame, lemke_howson

    chicken = np.array([[[6.0, 2.0], [7.0, 0.0]], [[6.0, 7.0], [2.0, 0.0]]])
    found = mixed_equilibria(chicken)
    assert len(found) == 3
    assert any(np.allclose(pair, [[2 / 3, 1 / 3]] * 2) for pair in found)
    together = correlated_equilibrium(chicken)
    np.testing.assert_allclose(together, [[0.5, 0.25], [0.25, 0]], atol=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(5):
        payoffs = rng.normal(size=(2, 3, 3))
        joint = correlated_equilibrium(payoffs)
        welfare = (payoffs.sum(0) * joint).sum()
        equilibria = mixed_equilibria(payoffs)
        nash = [np.einsum("i,ij,j", a, payoffs.sum(0), b) for a, b in equilibria]
        assert welfare >= max(nash) - 1e-9
        game = NormalFormGame(payoffs.transpose(1, 2, 0))
        for pivot in range(6):
            second = np.concatenate(lemke_howson(game, init_pivot=pivot))
            assert min(np.abs(np.concatenate(pair) - second).max() for pair in equilibria) < 1e-9
        for i, k in itertools.permutations(range(3), 2):
            assert (joint[i] * (payoffs[0][k] - payoffs[0][i])).sum() < 1e-9
            assert (joint[:, i] * (payoffs[1][:, k] - payoffs[1][:, i])).sum() < 1e-9


def test_an_empirical_game_is_a_part_of_the_whole_one() -> None:
    game = random_game(5, agents=2, states=3, actions=2)
    pure = pure_policies(game)
    rows, columns = (0, 3, 6), (1, 2)
    payoffs = empirical_game(game, [pure.policies[list(rows)], pure.policies[list(columns)]])
    np.testing.assert_allclose(payoffs, pure.payoffs[np.ix_((0, 1), rows, columns)], atol=1e-12)
    duel = tabulate("duel-v1")
    payoffs = empirical_game(duel, [[duel.policy("YYY"), duel.policy("YXX")]] * 2)
    found = mixed_equilibria(payoffs)
    mix = [row for row, _ in found if row.max() < 1]
    (a, b), (c, d) = payoffs[0]
    np.testing.assert_allclose(mix, [[(d - b) / (a - b - c + d), (a - c) / (a - b - c + d)]])  # by indifference
    assert len(found) == 3


def test_what_cannot_be_enumerated_says_how_much_it_is() -> None:
    game = random_game(0, agents=2, states=7, actions=5)
    with pytest.raises(ValueError, match=r"6.1e\+09 profiles of pure policies \(5 actions, 7 states, 2 agents\)"):
        pure_policies(game)
    with pytest.raises(ValueError, match=r"horizon=3.*: equilibria of a finite horizon are not stationary"):
        pure_policies(textbook_example(), finite(3))
    with pytest.raises(ValueError, match="a price needs an equilibrium and a positive optimum, not 0 and 1"):
        prices([], 1.0)
    with pytest.raises(ValueError, match="this game was not made from a task, so no engine plays it"):
        textbook_example().engine_actions(np.zeros(3, np.int64))


_DUEL = [np.array([1, 0, 0])] * 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda game: discounted(1.0), r"discount = 1.0 is out of range; allowed is \[0, 1\)"),
        (lambda game: finite(0), "horizon = 0 is out of range"),
        (lambda game: best_response(game, [], 0), r"policies = \[\] must be a sequence of policies, one for each of"),
        (lambda game: best_response(game, _DUEL, 2), r"agent = 2 is out of range; allowed is \[0, 1\]"),
        (lambda game: nash_conv(game, _DUEL, "average"), "criterion = 'average' must be AVERAGE, discounted"),
        (lambda game: nash_conv("duel-v1", _DUEL), "game = 'duel-v1' must be a MarkovGame"),
        (lambda game: nash_conv(game, [np.full((3, 2), 0.4)] * 2), r"or distributions \[3, 2\]"),
        (lambda game: mixed_equilibria([[1, 2], [3, 4]]), r"must be numbers \[2, any, any\]"),
        (lambda game: game.label(np.full((3, 2), 0.5)), "must be pure, an action for each state"),
        (lambda game: replace(game, initial=np.zeros(3)), "initial must hold probabilities that sum to 1"),
        (lambda game: replace(game, rewards=np.zeros((2, 3))), r"rewards has shape \[2, 3\], but must be"),
        (lambda game: exploitability("random", "duel-v1", states=("trust",)), "unknown field 'trust'"),
    ],
)
def test_wrong_arguments_are_named(wrong: Any, told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        wrong(tabulate("duel-v1"))


def test_mixed_equilibria_of_games_without_choices() -> None:
    """A player with one action, and payoffs that are all 0, of which every pure profile is an equilibrium."""
    one_row = mixed_equilibria([[[3.0, 1.0]], [[1.0, 2.0]]])
    assert [(row.tolist(), column.tolist()) for row, column in one_row] == [([1.0], [0.0, 1.0])]
    assert len(mixed_equilibria(np.zeros((2, 1, 1)))) == 1
    assert len(mixed_equilibria(np.zeros((2, 2, 2)))) == 4
