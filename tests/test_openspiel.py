"""Finite games in OpenSpiel: its own solvers find what ours find."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("pyspiel")
pytest.importorskip("quantecon")
pytest.importorskip("nashpy")

import pyspiel
from open_spiel.python import policy as spiel_policy
from open_spiel.python import rl_environment
from open_spiel.python.algorithms import cfr, expected_game_score, exploitability
from test_exact_solve import random_game

from recsys_env.exact import (
    AVERAGE,
    Criterion,
    MarkovGame,
    discounted,
    evaluate,
    finite,
    matrix_value,
    nash_conv,
    pure_policies,
    tabulate,
)
from recsys_env.exact.openspiel import to_pyspiel


@pytest.fixture(scope="module")
def duel() -> MarkovGame:
    return tabulate("duel-v1")


def profile_policy(turns: pyspiel.Game, actions: tuple[int, ...]) -> spiel_policy.TabularPolicy:
    """The policy of one action for each player of a game in normal form, whose players move in turn."""
    found = spiel_policy.TabularPolicy(turns)
    found.action_probability_array[:] = np.eye(turns.num_distinct_actions())[list(actions)]
    return found


def pure_nash(game: pyspiel.Game) -> dict[tuple[str, ...], list[float]]:
    """All pure profiles of which OpenSpiel's NashConv is 0, by the names of their actions, and their payoffs."""
    turns = pyspiel.convert_to_turn_based(game)
    start, found = game.new_initial_state(), {}
    for actions in itertools.product(*(start.legal_actions(n) for n in range(game.num_players()))):
        if exploitability.nash_conv(turns, profile_policy(turns, actions)) < 1e-9:
            end = game.new_initial_state()
            end.apply_actions(list(actions))
            found[tuple(start.action_to_string(n, action) for n, action in enumerate(actions))] = end.returns()
    return found


def named_equilibria(game: MarkovGame, criterion: Criterion) -> dict[tuple[str, ...], np.ndarray]:
    """All pure Markov perfect equilibria, by the labels that `solve` prints, and their values."""
    return {
        tuple(game.label(game.seen_by(n, policy)) for n, policy in enumerate(found.policies)): found.values
        for found in pure_policies(game, criterion).equilibria()
    }


@pytest.mark.parametrize("criterion", [AVERAGE, discounted(0.997)], ids=["average", "discounted"])
def test_openspiel_finds_the_equilibria_of_solve(duel: MarkovGame, criterion: Criterion) -> None:
    game = to_pyspiel("duel-v1", criterion)
    assert (game.num_rows(), game.num_cols()) == (8, 8)  # three moods, two actions
    assert game.get_type().utility == pyspiel.GameType.Utility.GENERAL_SUM
    ours, theirs = named_equilibria(duel, criterion), pure_nash(game)
    assert {("YXX", "YXX"), ("YYY", "YYY")} <= set(ours)
    assert set(theirs) == set(ours)
    for names, payoffs in theirs.items():
        np.testing.assert_allclose(payoffs, ours[names], rtol=1e-12)


@pytest.mark.parametrize(("seed", "agents", "states"), [(0, 2, 3), (1, 3, 2), (2, 3, 2)])
def test_any_number_of_agents(seed: int, agents: int, states: int) -> None:
    """An episode may start in every state, so that a best response from the start is one in every state."""
    tables = random_game(seed, agents, states, actions=2)
    game = to_pyspiel(tables, discounted(0.8))
    assert isinstance(game, pyspiel.MatrixGame if agents == 2 else pyspiel.TensorGame)
    assert set(pure_nash(game)) == set(named_equilibria(tables, discounted(0.8)))


# ------------------------------------------------------------------------------------------------- tick by tick


def tabular(turns: pyspiel.Game, tables: MarkovGame, policies: list[np.ndarray]) -> spiel_policy.TabularPolicy:
    """Stationary policies of the tables as a policy of OpenSpiel."""
    found, mixed = spiel_policy.TabularPolicy(turns), [tables.mixed(policy) for policy in policies]
    for state in found.states:
        now = state.information_state_string().split("\n")[-1].split("; ")[-1]
        row = found.action_probability_array[found.state_index(state)]
        row[:] = mixed[state.current_player()][tables.states.index(now)]
    return found


def test_a_policy_is_worth_the_same_there(duel: MarkovGame) -> None:
    ticks = 3
    game = to_pyspiel(duel, finite(ticks))
    turns = pyspiel.convert_to_turn_based(game)
    mixed = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    for policies in ([duel.policy("YXX")] * 2, [duel.policy("XXX"), mixed]):
        theirs = tabular(turns, duel, policies)
        values = expected_game_score.policy_value(turns.new_initial_state(), [theirs] * 2)
        np.testing.assert_allclose(
            np.array(values) / ticks, evaluate(duel, policies, finite(ticks)) @ duel.initial, rtol=1e-12
        )
        gains = exploitability.nash_conv(turns, theirs) / ticks
        assert gains == pytest.approx(nash_conv(duel, policies, finite(ticks)), abs=1e-12)


def test_counterfactual_regret_minimisation_finds_the_value_of_a_zero_sum_game() -> None:
    tables = random_game(3, agents=2, states=2, actions=2, zero_sum=True)
    game = to_pyspiel(tables, finite(2))
    assert game.get_type().utility == pyspiel.GameType.Utility.ZERO_SUM
    last = [matrix_value(tables.rewards[0, s].reshape(2, 2))[0] for s in range(2)]
    first = [matrix_value((tables.rewards[0, s] + tables.transitions[s] @ last).reshape(2, 2))[0] for s in range(2)]
    turns = pyspiel.convert_to_turn_based(game)
    solver = cfr.CFRPlusSolver(turns)
    for _ in range(300):
        solver.evaluate_and_update_policy()
    policy = solver.average_policy()
    values = expected_game_score.policy_value(turns.new_initial_state(), [policy] * 2)
    assert values[0] == pytest.approx(tables.initial @ first, abs=1e-3)
    assert exploitability.exploitability(turns, policy) < 5e-3


def test_agents_of_openspiel_play_it(duel: MarkovGame) -> None:
    """Its environment for learners: what they observe, and rewards tick by tick."""
    ticks = 5
    env = rl_environment.Environment(to_pyspiel(duel, finite(ticks)))
    assert env.observation_spec()["info_state"] == (len(duel.states) + 1,)
    step, sums = env.reset(), np.zeros(2)
    for tick in range(ticks):
        for n in range(2):
            *state, time = step.observations["info_state"][n]
            assert sorted(state) == [0, 0, 1]
            assert time == pytest.approx(tick / ticks)
        before = int(np.argmax(state))
        step = env.step([tick % 2, 1])
        np.testing.assert_allclose(step.rewards, duel.rewards[:, before, 2 * (tick % 2) + 1])
        sums += step.rewards
    assert step.last()
    np.testing.assert_allclose(env.get_state.returns(), sums)


def test_openspiel_checks_the_game_itself(duel: MarkovGame) -> None:
    """Its random playthroughs: outcomes that sum to 1, copies that go on alike, returns within their bounds."""
    pyspiel.random_sim_test(to_pyspiel(duel, finite(6)), 5, False, False)
