"""Policies that look up the state of a finite game: its equilibrium, its team optimum, and tables that were learnt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..batch.base import AnyBatch, CpuBatch
from ..batch.vector import VectorEnv
from ..config import WorldConfig
from ..files import Declared, FileError
from ..policies.base import Policy
from ..trained.folders import check_items, check_spaces, read_facts, read_weights, write_policy
from .game import MarkovGame
from .solve import pure_policies, team_optimum
from .tables import tabulate


@lru_cache(maxsize=32)
def tables_of(config: WorldConfig) -> MarkovGame:
    """Return `tabulate(config)`, which a process works out once for each config."""
    return tabulate(config)


@lru_cache(maxsize=32)
def _world_digest_of(config: WorldConfig) -> str:
    return VectorEnv(config).world_digest


@lru_cache(maxsize=32)
def equilibrium_of(config: WorldConfig) -> np.ndarray:
    """Return the policies [N, S] of the equilibrium that the policy `equilibrium` plays.

    Of the pure Markov perfect equilibria of average reward, the one with the smallest sum of individual rewards; where
    two agents are alike, of those in which both do the same.

    Raises:
        ValueError: the world is not finite, or it has no such equilibrium.
    """
    game = tables_of(config)
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
    return team_optimum(tables_of(config))[1].T


class TablePolicy(Policy):
    """Plays the action that a table holds for the current state of the game.

    Raises:
        ValueError: by `bind`, if the world is not finite (`recsys_env.exact.tabulate` says why), or is not that of the
            batch's config.
    """

    deterministic = True

    _game: MarkovGame
    _table: np.ndarray

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        if envs.world_digest != _world_digest_of(envs.config):
            raise ValueError("the batch plays a world that was assigned to it; its config gives another one to solve")
        self._game, self._table = tables_of(envs.config), self.solution(envs.config)[self.index]

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
    """Plays the team optimum of a finite game, whose state it sees, from the exact table."""

    def solution(self, config: WorldConfig) -> np.ndarray:
        return optimum_of(config)


# ------------------------------------------------------------------------------------------------ tables in files


def save_tables(folder: Path, envs: CpuBatch, tables: Mapping[str, np.ndarray]) -> None:
    """Write a policy's folder, which `make_policy` takes: the actions [S] of each agent in the states of the game."""
    write_policy(folder, "table", envs, {agent: table.astype(np.int16) for agent, table in tables.items()})


class SavedTable(TablePolicy):
    """A table that was learnt, such as by tabular Q-learning.

    Args:
        folder: as `save_tables` wrote it.

    Raises:
        FileError: a file is missing, damaged or of another kind.
        ValueError: by `bind`, if the task is not the finite game that the table was learnt on, or if the agent did not
            learn and is not like one that did.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._facts = folder, read_facts(folder, {})
        self._learnt = read_weights(folder, self._check)

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        check_spaces(self.folder, self._facts, envs)
        super().bind(envs, agent, seed)
        check_items(self, self.folder, self._facts)
        if agent not in self._learnt and self._game.mirror is None:
            raise ValueError(
                f"the table in {self.folder} was learnt by {', '.join(self._learnt)}; {agent} cannot play it, because "
                "the agents of this game differ"
            )

    def solution(self, config: WorldConfig) -> np.ndarray:
        """Return the actions [N, S] of every agent in every state.

        Where two agents are alike, one that did not learn plays the table of the other, with the two exchanged in every
        state. Otherwise its actions are 0.
        """
        game = tables_of(config)
        states, actions = len(game.states), len(game.actions)
        if any(len(table) != states or table.min() < 0 or table.max() >= actions for table in self._learnt.values()):
            raise ValueError(
                f"the table in {self.folder} is of another game than this one of {states} states and {actions} actions"
            )
        found = np.zeros((config.num_agents, states), np.int64)
        for n, agent in enumerate(config.agents):
            if agent in self._learnt:
                found[n] = self._learnt[agent]
            elif game.mirror is not None:
                found[n] = next(iter(self._learnt.values()))[game.mirror]
        return found

    def _check(self, declared: Mapping[str, Declared]) -> None:
        if not declared or any(table.dtype.kind != "i" or len(table.shape) != 1 for table in declared.values()):
            raise FileError(f"{self.folder} does not hold tables of actions")
