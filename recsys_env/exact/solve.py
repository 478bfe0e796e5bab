"""Solutions of a finite Markov game: optimum, best responses, equilibria, and a team's distance from equilibrium.

A policy of an agent is stationary: an action for each state, [S] integers, or a distribution over actions for each,
[S, A]. A policy may react to everything in a state, and best responses do. Equilibria are listed among policies that
react only to what is payoff-relevant (`MarkovGame.payoff_relevant`). Values are per tick for all criteria:

    AVERAGE               lim 1/T E sum of rewards (the default: an episode is long)
    discounted(gamma)     (1 - gamma) E sum of gamma^t rewards
    finite(horizon)       1/H E sum of the rewards of H ticks
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_count, shown
from ..libraries import library
from .game import MarkovGame, Policies, checked_discount, checked_game, checked_numbers

TIE = 1e-9  # values that differ by less are equal
_PROFILES = 50_000_000  # table entries of all pure profiles
_PAIRS = 1_000_000  # of vertices, which are compared
_ENTRIES = 50_000_000  # of a linear program


@dataclass(frozen=True)
class Criterion:
    """How rewards over time are added up: AVERAGE, `discounted(gamma)` or `finite(horizon)`."""

    kind: str
    discount: float = 1.0
    horizon: int = 0

    def __post_init__(self) -> None:
        if self.kind == "discounted":
            checked_discount("discount", self.discount)
        if self.kind == "finite":
            check_count("horizon", self.horizon, 1, 10**8)


AVERAGE = Criterion("average")
"""Reward per tick in the long run."""


def discounted(discount: float) -> Criterion:
    """Return the criterion of discounted reward, times 1 - discount; at 0 an agent is myopic.

    Raises:
        TypeError, ValueError: the discount is no number in [0, 1).
    """
    return Criterion("discounted", discount)


def finite(horizon: int) -> Criterion:
    """Return the criterion of the mean reward over a number of ticks.

    Raises:
        TypeError, ValueError: the horizon is no whole number of 1 or more.
    """
    return Criterion("finite", 1.0, horizon)


def _check(game: MarkovGame, criterion: Criterion = AVERAGE) -> None:
    """Raise TypeError unless these are a game and a criterion."""
    checked_game(game)
    if not isinstance(criterion, Criterion):
        raise TypeError(
            f"criterion = {shown(criterion)} must be AVERAGE, discounted(gamma) or finite(horizon) of recsys_env.exact"
        )


# ---------------------------------------------------------------------------------------------- policies given


def chain(game: MarkovGame, policies: Policies, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Markov chain [S, S] of a policy for each agent, and its expected rewards [N, S]."""
    weight = np.ones((len(game.states), 1))
    for policy in game.checked_policies(policies):
        weight = (weight[:, :, None] * game.mixed(policy)[:, None, :]).reshape(len(game.states), -1)
    return np.einsum("sa,sat->st", weight, game.transitions), np.einsum("sa,nsa->ns", weight, rewards)


def evaluate(
    game: MarkovGame, policies: Policies, criterion: Criterion = AVERAGE, individual: bool = False
) -> np.ndarray:
    """Return the value [N, S] of a policy for each agent, from every state: of rewards, or of individual rewards.

    Raises:
        TypeError, ValueError: the game or criterion is something else, or the policies are not valid in the game. The
            other functions of this module raise the same.
    """
    _check(game, criterion)
    transitions, rewards = chain(game, policies, game.individual_rewards if individual else game.rewards)
    return _value(transitions[None], rewards[:, None], criterion)[:, 0]


def _value(transitions: np.ndarray, rewards: np.ndarray, criterion: Criterion) -> np.ndarray:
    """Return the values [N, I, S] of I Markov chains [I, S, S] with rewards [N, I, S]."""
    states = transitions.shape[-1]
    if criterion.kind == "average":
        return np.einsum("ist,nit->nis", long_run(transitions), rewards)
    if criterion.kind == "discounted":
        rest = np.eye(states) - criterion.discount * transitions
        solved = np.linalg.solve(rest, np.moveaxis(rewards, 0, -1))
        return (1 - criterion.discount) * np.moveaxis(solved, -1, 0)
    value = np.zeros_like(rewards)
    for _ in range(criterion.horizon):
        value = rewards + np.einsum("ist,nit->nis", transitions, value)
    return value / criterion.horizon


def long_run(transitions: np.ndarray) -> np.ndarray:
    """Return lim 1/T sum of P^t [..., S, S], the share of time in each state, for any chains [..., S, S].

    It is computed from the lazy chain (1 + P)/2, which has no periods, so its powers converge.
    """
    power = (np.eye(transitions.shape[-1]) + transitions) / 2
    for _ in range(60):
        before, power = power, power @ power
        power /= power.sum(-1, keepdims=True)
        if np.abs(power - before).max() < 1e-15:
            break
    return power


# ---------------------------------------------------------------------------------------------- one who decides


def team_optimum(game: MarkovGame, criterion: Criterion = AVERAGE) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimum of a team that sees the state. It needs no part of the past that is irrelevant.

    Returns:
        value [S] of the sum of individual rewards; the actions [S, N] of its members, or [H, S, N] with a finite
        horizon.
    """
    _check(game, criterion)
    core = game.payoff_relevant
    value, joint = _decide(core.individual_rewards.sum(0), core.transitions, criterion)
    if game.classes is not None:
        value, joint = value[game.classes], joint[..., game.classes]
    return value, game.joint_actions[joint]


def best_response(
    game: MarkovGame, policies: Policies, agent: int, criterion: Criterion = AVERAGE
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best response of an agent to the policies of the others, by solving a Markov decision process.

    Args:
        policies: of all agents; that of `agent` itself is ignored and may be None.
        agent: its number, n < N.

    Returns:
        value [S] of its reward; its actions [S], or [H, S] with a finite horizon.
    """
    _check(game, criterion)
    check_count("agent", agent, 0, len(game.agents) - 1)
    others = np.ones((len(game.states), 1))
    for n, policy in enumerate(game.checked_policies(policies, but=agent)):
        mixed = np.ones((len(game.states), 1)) if n == agent else game.mixed(policy)
        others = (others[:, :, None] * mixed[:, None, :]).reshape(len(game.states), -1)
    count, actions = len(game.states), len(game.actions)
    before = actions**agent
    shape = (count, before, actions, actions ** (len(game.agents) - agent - 1))
    weight = others.reshape(count, before, 1, shape[3])
    rewards = (game.rewards[agent].reshape(shape) * weight).sum((1, 3))
    transitions = (game.transitions.reshape(*shape, count) * weight[..., None]).sum((1, 3))
    return _decide(rewards, transitions, criterion)


def _decide(rewards: np.ndarray, transitions: np.ndarray, criterion: Criterion) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimal value [S] and policy [S] or [H, S] of a Markov decision process, rewards [S, A], transitions
    [S, A, S]."""
    if criterion.kind == "average":
        return _decide_average(rewards, transitions)
    markov = library("quantecon.markov", "exact")
    if criterion.kind == "discounted":
        solved = markov.DiscreteDP(rewards, transitions, criterion.discount).solve(method="policy_iteration")
        return (1 - criterion.discount) * solved.v, solved.sigma
    process = markov.DiscreteDP(rewards, transitions, np.nextafter(1, 0))  # with a discount of 1 it warns
    values, policy = markov.backward_induction(process, criterion.horizon)
    return values[0] / criterion.horizon, policy


def _decide_average(rewards: np.ndarray, transitions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve the linear program of average reward for any chain structure (Puterman 1994, section 9.3).

    min sum of g over g >= P g, g + h >= r + P h; in a state that is visited for ever an action of positive frequency is
    optimal, elsewhere one of positive dual price of the first kind.
    """
    sparse = library("scipy.sparse", "exact")
    states, actions = rewards.shape
    stay = np.repeat(np.eye(states)[:, None], actions, 1)
    gain, bias = (transitions - stay).reshape(-1, states), transitions.reshape(-1, states)
    bounds = sparse.csr_matrix(
        np.block([[gain, np.zeros_like(gain)], [-stay.reshape(-1, states), bias - stay.reshape(-1, states)]])
    )
    solved = _best(
        "the average reward",
        c=np.concatenate([np.ones(states), np.zeros(states)]),
        A_ub=bounds,
        b_ub=np.concatenate([np.zeros(states * actions), -rewards.ravel()]),
        bounds=(None, None),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    prices = -solved.ineqlin.marginals.reshape(2, states, actions)
    often = prices[1].sum(1) > 1e-9
    policy = np.where(often, prices[1].argmax(1), prices[0].argmax(1))
    rows = np.arange(states)
    value = _value(transitions[rows, policy][None], rewards[rows, policy][None, None], AVERAGE)[0, 0]
    if np.abs(value - solved.x[:states]).max() > 1e-7 * max(1.0, np.abs(rewards).max()):
        raise RuntimeError("the policy of the linear program does not earn its value")
    return value, policy


# ---------------------------------------------------------------------------------------------- distances, equilibria


def regrets(game: MarkovGame, policies: Policies, criterion: Criterion = AVERAGE) -> np.ndarray:
    """Return the gain [N] of each agent from its best response, from the start of an episode."""
    values = evaluate(game, policies, criterion)
    return np.array(
        [game.initial @ (best_response(game, policies, n, criterion)[0] - values[n]) for n in range(len(game.agents))]
    )


def nash_conv(game: MarkovGame, policies: Policies, criterion: Criterion = AVERAGE) -> float:
    """Return the sum of all regrets; 0 in an equilibrium (Lanctot et al. 2017)."""
    return float(regrets(game, policies, criterion).sum())


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A Markov perfect equilibrium (Maskin & Tirole 2001) in pure strategies.

    Each strategy depends on the payoff-relevant state alone, and is a best response to the others in every state. No
    strategy that reacts to more would gain, so this is also an equilibrium among such strategies. They may have other
    equilibria that pay more, by threats to punish a past price (Friedman 1971).
    """

    policies: np.ndarray  # [N, S], of the states of the game that was asked about
    values: np.ndarray  # [N]: reward per tick of each agent, from the start of an episode
    individual_values: np.ndarray  # [N]: the same before sharing
    strict: bool  # every other pure policy of an agent, of the payoff-relevant state, is worse, from some state on


@dataclass(frozen=True, eq=False)
class PurePolicies:
    """All profiles of pure stationary policies of the C payoff-relevant states of a small game."""

    given: MarkovGame  # the game with all of its states
    game: MarkovGame  # its `payoff_relevant`, of the C states
    criterion: Criterion
    policies: np.ndarray  # [Q, C]: the Q = A^C policies of an agent
    values: np.ndarray  # [N, Q, ..., Q, C]: value to agent n of each profile, from every state
    individual_values: np.ndarray  # [N, Q, ..., Q]: value of individual rewards, from the start of an episode

    @property
    def payoffs(self) -> np.ndarray:
        """[N, Q, ..., Q]: reward of each profile from the start of an episode, a game in normal form."""
        return self.values @ self.game.initial

    def index(self, policy: np.ndarray) -> int:
        """Return the number of a pure policy [C]."""
        return int(np.flatnonzero((self.policies == policy).all(1))[0])

    def equilibria(self) -> list[Equilibrium]:
        """Return all Markov perfect equilibria in pure strategies, the highest sum of individual rewards first."""
        agents = len(self.game.agents)
        stable = np.ones(self.individual_values.shape[1:], np.bool_)
        strict = stable.copy()
        for n in range(agents):
            value = self.values[n]
            good = (value >= value.max(axis=n, keepdims=True) - TIE).all(-1)
            stable &= good
            strict &= good.sum(axis=n, keepdims=True) == 1
        found = [
            Equilibrium(
                np.stack([self.given.lift(policy) for policy in self.policies[list(profile)]]),
                self.payoffs[(slice(None), *profile)],
                self.individual_values[(slice(None), *profile)],
                bool(strict[profile]),
            )
            for profile in map(tuple, np.argwhere(stable))
        ]
        return sorted(found, key=lambda e: -e.individual_values.sum())


def pure_policies(game: MarkovGame, criterion: Criterion = AVERAGE) -> PurePolicies:
    """Evaluate all profiles of pure stationary policies of the payoff-relevant states (`game.payoff_relevant`).

    Raises:
        ValueError: there are too many profiles, or the horizon is finite, for which equilibria are not stationary.
    """
    _check(game, criterion)
    given, game = game, game.payoff_relevant
    states, actions, agents = len(game.states), len(game.actions), len(game.agents)
    digits = states * agents * math.log10(actions)
    if digits + 2 * math.log10(states) > math.log10(_PROFILES):
        raise ValueError(
            f"{10 ** (digits % 1):.1f}e+{int(digits):02d} profiles of pure policies ({actions} actions, {states} "
            f"states, {agents} agents) are too many to enumerate; allowed are {_PROFILES // states**2}"
        )
    if criterion.kind == "finite":
        raise ValueError(
            f"criterion = {criterion}: equilibria of a finite horizon are not stationary; take AVERAGE or "
            "discounted(gamma)"
        )
    policies = np.array(list(itertools.product(range(actions), repeat=states)))
    joint = np.zeros((1, states), np.int64)
    for _ in range(agents):
        joint = (joint[:, None] * actions + policies[None]).reshape(-1, states)
    rows = np.arange(states)
    transitions = game.transitions[rows, joint]
    shape = (agents, *[len(policies)] * agents)
    values = _value(transitions, game.rewards[:, rows, joint], criterion)
    individual = values
    if game.individual_rewards is not game.rewards:
        individual = _value(transitions, game.individual_rewards[:, rows, joint], criterion)
    values, at_start = values.reshape(*shape, states), (individual @ game.initial).reshape(shape)
    return PurePolicies(given, game, criterion, policies, values, at_start)


def prices(equilibria: Sequence[Equilibrium], optimum: float) -> tuple[float, float]:
    """Return the prices of anarchy and of stability.

    They are the sums of individual rewards in the worst and in the best equilibrium, divided by the team optimum.

    Raises:
        ValueError: there is no equilibrium, or the optimum is not positive.
    """
    if not equilibria or not optimum > 0:
        raise ValueError(f"a price needs an equilibrium and a positive optimum, not {len(equilibria)} and {optimum:g}")
    sums = [float(equilibrium.individual_values.sum()) for equilibrium in equilibria]
    return min(sums) / optimum, max(sums) / optimum


# ---------------------------------------------------------------------------------------------- games in normal form


def empirical_game(
    game: MarkovGame, policies: Sequence[Sequence[np.ndarray]], criterion: Criterion = AVERAGE
) -> np.ndarray:
    """Return the payoffs of a game in which each agent chooses one of some policies (Wellman 2006).

    Args:
        policies: for each agent the Q_n policies that it may choose from.

    Returns:
        payoffs [N, Q_0, Q_1, ...] from the start of an episode, a game in normal form.
    """
    shape = tuple(map(len, policies))
    payoffs = np.zeros((len(shape), *shape))
    for profile in np.ndindex(shape):
        chosen = [options[i] for options, i in zip(policies, profile, strict=True)]
        payoffs[(slice(None), *profile)] = evaluate(game, chosen, criterion) @ game.initial
    return payoffs


def _best(what: str, **program: Any) -> Any:
    """Solve a linear program of scipy, or raise RuntimeError."""
    solved = library("scipy.optimize", "exact").linprog(**{"method": "highs", **program})
    if solved.status != 0:
        raise RuntimeError(f"the linear program of {what} failed: {solved.message}")
    return solved


def mixed_equilibria(payoffs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return all equilibria of a nondegenerate two-player game [2, A, B], such as an `empirical_game`.

    They are found by enumerating vertices.

    Raises:
        TypeError, ValueError: these are not payoffs of two players, or they have too many actions.
    """
    payoffs = checked_numbers("payoffs", payoffs, (2, None, None)).astype(float)
    if 1 in payoffs.shape[1:]:  # one of them has nothing to choose, and the other's best action is pure
        best = (payoffs[0] >= payoffs[0].max(0) - TIE) & (payoffs[1] >= payoffs[1].max(1, keepdims=True) - TIE)
        return [(np.eye(len(best))[row], np.eye(best.shape[1])[column]) for row, column in np.argwhere(best)]
    rows, columns = payoffs.shape[1:]
    if _most_vertices(rows, columns) * _most_vertices(columns, rows) > _PAIRS:
        raise ValueError(
            f"payoffs of {rows} x {columns} actions are too many: they may have more than {_PAIRS} pairs of vertices, "
            "all of which are compared"
        )
    nash = library("nashpy", "exact")
    lowest = payoffs.min((1, 2), keepdims=True)  # the vertices are those of positive payoffs
    found = nash.Game(*(payoffs - lowest + 1)).vertex_enumeration()
    return [(_clean(row), _clean(column)) for row, column in found]


def _most_vertices(dims: int, more: int) -> int:
    """Return the most vertices of a polytope with `dims` dimensions and `dims + more` faces (McMullen 1970)."""
    return math.comb(dims // 2 + more, more) + math.comb((dims - 1) // 2 + more, more)


def _clean(mix: np.ndarray) -> np.ndarray:
    """Set the probabilities of a mix that only rounding made positive to 0."""
    mix = np.where(mix < 1e-12, 0.0, mix)
    return mix / mix.sum()


def correlated_equilibrium(payoffs: np.ndarray) -> np.ndarray:
    """Return the correlated equilibrium [A, B, ...] with the largest sum of payoffs [N, A, B, ...] (Aumann 1974).

    It solves a linear program: an agent that is told an action does not gain from any other action.

    Raises:
        TypeError, ValueError: these are not payoffs of N players with at least one action each, or there are too many.
        RuntimeError: the program found no solution.
    """
    payoffs = checked_numbers("payoffs", payoffs, (len(payoffs), *[None] * len(payoffs))).astype(float)
    shape = payoffs.shape[1:]
    if (entries := math.prod(shape) * sum(count * (count - 1) for count in shape)) > _ENTRIES:
        raise ValueError(
            f"payoffs of {' x '.join(map(str, shape))} actions make a linear program of {entries} entries; "
            f"allowed are {_ENTRIES}"
        )
    rows = []
    for n, count in enumerate(shape):
        payoff = np.moveaxis(payoffs[n], n, 0)
        for advised, instead in itertools.permutations(range(count), 2):
            row = np.zeros_like(payoff)
            row[advised] = payoff[instead] - payoff[advised]
            rows.append(np.moveaxis(row, 0, n).ravel())
    solved = _best(
        "the correlated equilibrium",
        c=-payoffs.sum(0).ravel(),
        A_ub=np.array(rows) if rows else None,
        b_ub=np.zeros(len(rows)) if rows else None,
        A_eq=np.ones((1, int(np.prod(shape)))),
        b_eq=[1.0],
    )
    return np.asarray(solved.x).reshape(shape)


def matrix_value(payoffs: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value of a zero-sum game [A, B] to the row player, and its maximin mix [A], by a linear program.

    Raises:
        TypeError, ValueError: these are not payoffs [A, B].
        RuntimeError: the program found no solution.
    """
    payoffs = checked_numbers("payoffs", payoffs, (None, None)).astype(float)
    rows, columns = payoffs.shape
    solved = _best(
        "the matrix game",
        c=np.append(np.zeros(rows), -1.0),
        A_ub=np.column_stack([-payoffs.T, np.ones(columns)]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=[1.0],
        bounds=[*[(0, None)] * rows, (None, None)],
    )
    mix = np.maximum(solved.x[:-1], 0)
    return float(solved.x[-1]), mix / mix.sum()


def zero_sum_value(game: MarkovGame, discount: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Solve a discounted zero-sum game (Shapley 1953): value [S] to agent 0 per tick, and both policies [S, A].

    Policy iteration (Hoffman & Karp 1966): agent 1 plays its minimax mix of the stage games and agent 0 its best
    response to it, until convergence.

    Raises:
        ValueError: the game does not have two agents, their rewards do not cancel, or the discount is not in [0, 1).
        RuntimeError: there is no convergence.
    """
    _check(game)
    criterion = discounted(discount)
    if len(game.agents) != 2 or not np.allclose(game.rewards.sum(0), 0):
        raise ValueError(
            f"{len(game.agents)} agents, whose rewards sum to up to {np.abs(game.rewards.sum(0)).max():g}: a zero-sum "
            "game has two agents whose rewards cancel, as with reward.sharing = -1"
        )
    states, actions = len(game.states), len(game.actions)
    value = np.zeros(states)
    for _ in range(1000):
        stage = (1 - discount) * game.rewards[0] + discount * game.transitions @ value
        stage = stage.reshape(states, actions, actions)
        policies = [
            np.array([matrix_value(s)[1] for s in stage]),
            np.array([matrix_value(-s.T)[1] for s in stage]),
        ]
        before, value = value, best_response(game, policies, 0, criterion)[0]
        if np.abs(value - before).max() < 1e-12 * max(1.0, np.abs(value).max()):
            return value, policies
    raise RuntimeError("the zero-sum value did not converge in 1000 rounds")
