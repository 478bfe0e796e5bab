"""Policies that play the exact solution of a finite game: its equilibrium and its team optimum."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..batch import AnyBatch
from ..config import WorldConfig
from ..policies.base import Policy
from .game import MarkovGame
from .solve import pure_policies, team_optimum
from .tables import tabulate

_tables = lru_cache(maxsize=32)(tabulate)


@lru_cache(maxsize=32)
def equilibrium_of(config: WorldConfig) -> np.ndarray:
    """Return the policies [N, S] of the equilibrium that the policy `equilibrium` plays.

    Of the pure Markov perfect equilibria of average reward, the one with the smallest sum of individual rewards; where
    two agents are alike, of those in which both do the same.

    Raises:
        ValueError: the world is not finite, or it has no such equilibrium.
    """
    game = _tables(config)
    found = pure_policies(game).equilibria()
    found = [e for e in found if game.is_symmetric(e.policies)] or found
    if not found:
        raise ValueError("this game has no pure stationary equilibrium, so there is none for `equilibrium` to play")
    return found[-1].policies


@lru_cache(maxsize=32)
def optimum_of(config: WorldConfig) -> np.ndarray:
    """Return the policies [N, S] of the team optimum of average reward.

    Raises:
        ValueError: the world is not finite.
    """
    return team_optimum(_tables(config))[1].T


class TablePolicy(Policy):
    """Plays the action that a table holds for the current state of the game.

    Raises:
        ValueError: by `bind`, if the world is not finite (`recsys_env.exact.tabulate` says why).
    """

    _game: MarkovGame
    _table: np.ndarray

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._game, self._table = _tables(envs.config), self.solution(envs.config)[self.index]

    def solution(self, config: WorldConfig) -> np.ndarray:
        """Return the actions [N, S] of every agent in every state."""
        raise NotImplementedError(f"{type(self).__name__} has no solution(config)")

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self._game.engine_actions(self._table[self._game.states_of(self.envs)])


class Equilibrium(TablePolicy):
    """The worst symmetric equilibrium in pure Markov strategies of a finite game, looked up in its exact table."""

    def solution(self, config: WorldConfig) -> np.ndarray:
        return equilibrium_of(config)


class Joint(TablePolicy):
    """What a team that sees the state of a finite game plays at its best, looked up in its exact table."""

    def solution(self, config: WorldConfig) -> np.ndarray:
        return optimum_of(config)
