"""OpenSpiel (Lanctot et al. 2019): a finite game in the form that its solvers, measures and agents take.

game = to_pyspiel("duel-v1")                # one move: each agent chooses a stationary policy
game = to_pyspiel("duel-v1", finite(4))     # four ticks, one joint action after the other
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import WorldConfig
from .game import MarkovGame, checked_game
from .solve import AVERAGE, Criterion, pure_policies
from .tables import tabulate

try:
    import pyspiel
except ImportError as error:
    raise ImportError('to_pyspiel needs pyspiel: pip install "recsys_env[openspiel]"') from error


def to_pyspiel(game: str | WorldConfig | MarkovGame, criterion: Criterion = AVERAGE, **overrides: Any) -> pyspiel.Game:
    """Return a finite game as a game of OpenSpiel.

    Args:
        game: a task or config that `tabulate` can turn into tables, or the tables.
        criterion: how rewards over time are added up, which also decides on the form of the game.

            `AVERAGE` and `discounted(gamma)`, whose play never ends: a `MatrixGame`, or a `TensorGame` unless there are
            two agents. An agent's action is a pure stationary policy of the payoff-relevant states: action i of every
            agent is `pure_policies(game, criterion).policies[i]`. Payoffs are rewards per tick from the start of an
            episode.

            `finite(ticks)`: a game of so many simultaneous moves with chance between them, `TickGame`. Its returns are
            sums over the ticks, `ticks` times the values of `evaluate`.

        overrides: as in `tabulate`, for a task or config.
    """
    if overrides and isinstance(game, MarkovGame):
        raise TypeError(f"{', '.join(overrides)} cannot change tables; give them to tabulate")
    tables = tabulate(game, **overrides) if isinstance(game, str | WorldConfig) else game
    if isinstance(criterion, Criterion) and criterion.kind == "finite":
        return TickGame(tables, criterion.horizon)
    pure = pure_policies(tables, criterion)
    names = [
        [pure.game.label(pure.game.seen_by(n, policy)) for policy in pure.policies] for n in range(len(tables.agents))
    ]
    about = "recsys", "Stationary policies of a recsys_env game"
    if len(names) == 2:
        return pyspiel.create_matrix_game(*about, *names, *pure.payoffs)
    return pyspiel.create_tensor_game(*about, names, [payoff.ravel() for payoff in pure.payoffs])


class TickGame(pyspiel.Game):
    """A Markov game of some ticks: chance draws a state, all agents act at once, and so on.

    Everybody sees the state. Nobody sees what the others did, except where the state tells (past prices). Rewards are
    those expected from the state and the joint action.

    Args:
        tables: the game.
        ticks: its length.
    """

    def __init__(self, tables: MarkovGame, ticks: int) -> None:
        self.tables, self.ticks = checked_game(tables), ticks
        agents, kinds = len(tables.agents), pyspiel.GameType
        super().__init__(
            kinds(
                short_name="recsys",
                long_name="Ticks of a recsys_env game",
                dynamics=kinds.Dynamics.SIMULTANEOUS,
                chance_mode=kinds.ChanceMode.EXPLICIT_STOCHASTIC,
                information=kinds.Information.IMPERFECT_INFORMATION,
                utility=_utility(tables.rewards),
                reward_model=kinds.RewardModel.REWARDS,
                max_num_players=agents,
                min_num_players=agents,
                provides_information_state_string=True,
                provides_information_state_tensor=False,
                provides_observation_string=True,
                provides_observation_tensor=True,
                parameter_specification={},
            ),
            pyspiel.GameInfo(
                num_distinct_actions=len(tables.actions),
                max_chance_outcomes=len(tables.states),
                num_players=agents,
                min_utility=float(ticks * tables.rewards.min()),
                max_utility=float(ticks * tables.rewards.max()),
                utility_sum=0.0 if _utility(tables.rewards) == kinds.Utility.ZERO_SUM else None,
                max_game_length=ticks,
            ),
            {},
        )

    def new_initial_state(self) -> TickState:
        """Return the state before chance draws the first one of the tables."""
        return TickState(self)

    def make_py_observer(self, iig_obs_type: Any = None, params: Any = None) -> TickObserver:
        """Return what OpenSpiel asks for the observations of a state."""
        return TickObserver(self, iig_obs_type)


def _utility(rewards: np.ndarray) -> pyspiel.GameType.Utility:
    """Return how the agents' rewards [N, S, A^N] are related."""
    kinds = pyspiel.GameType.Utility
    if len(rewards) > 1 and np.allclose(rewards.sum(0), 0, atol=1e-12):
        return kinds.ZERO_SUM
    return kinds.IDENTICAL if np.allclose(rewards, rewards[0], atol=1e-12) else kinds.GENERAL_SUM


class TickState(pyspiel.State):
    """What has happened since the start: states of the tables, and actions of all agents between them."""

    def __init__(self, game: TickGame) -> None:
        super().__init__(game)
        self.visited: list[int] = []
        self.played: list[list[int]] = []

    # OpenSpiel copies the attributes of a state with it; so the tables are those of its game.
    @property
    def _tables(self) -> MarkovGame:
        return self.get_game().tables

    @property
    def _ended(self) -> bool:
        return len(self.played) == self.get_game().ticks

    def current_player(self) -> int:
        """Return who moves next."""
        if self._ended:
            return pyspiel.PlayerId.TERMINAL
        return pyspiel.PlayerId.CHANCE if len(self.visited) == len(self.played) else pyspiel.PlayerId.SIMULTANEOUS

    def is_terminal(self) -> bool:
        """Return whether all ticks are over."""
        return self._ended

    def _legal_actions(self, player: int) -> list[int]:
        return list(range(len(self._tables.actions)))

    def chance_outcomes(self) -> list[tuple[int, float]]:
        """Return the states of the tables that may come next, with their probabilities."""
        tables = self._tables
        chances = tables.transitions[self.visited[-1], self._joint(-1)] if self.played else tables.initial
        return [(int(state), float(chances[state])) for state in np.flatnonzero(chances)]

    def _joint(self, tick: int) -> int:
        """Return the number of the joint action of a tick."""
        tables = self._tables
        return int(np.ravel_multi_index(self.played[tick], [len(tables.actions)] * len(tables.agents)))

    def _apply_action(self, action: int) -> None:
        self.visited.append(action)

    def _apply_actions(self, actions: Sequence[int]) -> None:
        self.played.append([int(action) for action in actions])

    def _reward(self, tick: int) -> np.ndarray:
        return self._tables.rewards[:, self.visited[tick], self._joint(tick)]

    def rewards(self) -> list[float]:
        """Return the rewards of the last joint action."""
        return self._reward(len(self.played) - 1).tolist() if self.played else [0.0] * len(self._tables.agents)

    def returns(self) -> list[float]:
        """Return the sums of the rewards so far."""
        ticks = [self._reward(tick) for tick in range(len(self.played))]
        return np.sum(ticks, 0).tolist() if ticks else [0.0] * len(self._tables.agents)

    def _action_to_string(self, player: int, action: int) -> str:
        names = self._tables.states if player == pyspiel.PlayerId.CHANCE else self._tables.actions
        return names[action]

    def __str__(self) -> str:
        return self.history(*range(len(self._tables.agents)))

    def history(self, *players: int) -> str:
        """Return the states of the tables so far with these players' actions in them, as one word."""
        tables, words = self._tables, []
        for tick, state in enumerate(self.visited):
            words.append(tables.states[state])
            if tick < len(self.played):
                words.append(" ".join(tables.actions[self.played[tick][player]] for player in players))
        return "; ".join(words)


class TickObserver:
    """What a player observes: the state of the tables and the tick; with perfect recall, its own actions as well."""

    def __init__(self, game: TickGame, iig_obs_type: Any = None) -> None:
        self._ticks = game.ticks
        self._recall = iig_obs_type is not None and iig_obs_type.perfect_recall
        states = len(game.tables.states)
        self.tensor = np.zeros(states + 1, np.float32)
        self.dict = {"state": self.tensor[:states], "tick": self.tensor[states:]}

    def set_from(self, state: TickState, player: int) -> None:
        """Fill the tensor: the state of the tables, one-hot, and the share of ticks that are over."""
        self.tensor[:] = 0
        if state.visited:
            self.dict["state"][state.visited[-1]] = 1
        self.dict["tick"][:] = len(state.played) / self._ticks

    def string_from(self, state: TickState, player: int) -> str:
        """Return the same in words; with perfect recall since the start."""
        if self._recall:
            return state.history(player)
        now = state.get_game().tables.states[state.visited[-1]] if state.visited else "start"
        return f"tick {len(state.played)}: {now}"
