"""Tabular Q-learning on finite games, in one file: each learner has a table of its own, and learns as if it were alone.

    python -m baselines train q-table --task duel-v1 --gamma 0.997

States are those of the exact game (`recsys_env.exact.tabulate`), which both agents of the shipped finite games observe.
A tick updates each entry that some copy played by the mean of its errors (Watkins & Dayan 1992). Learners do not know
of each other (Tan 1993). The share of random choices falls from 1 to `--epsilon`. With prices, this is the experiment
of Calvano et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from recsys_env import VectorEnv
from recsys_env.exact import policies

from .algorithms import QTable
from .training import Point, RolloutRewards, Training


class QTableLearner:
    """Fills a table for each learner; see `training.Learner`."""

    def __init__(self, training: Training, options: QTable) -> None:
        self.training, self.options, self.agent_steps = training, options, 0
        self.game = policies.tables_of(training.config)
        self.envs = training.make_envs(copy=False)
        self.envs.reset(seed=training.seed)
        self._rng = np.random.default_rng(training.seed)
        agents = len(training.learners)
        self.values = np.zeros((agents, len(self.game.states), len(self.game.actions)))
        self._agents = np.broadcast_to(np.arange(agents), (options.num_envs, agents))

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        options, rollout = self.options, RolloutRewards(self.training.config.horizon, rollout_ended)
        while self.agent_steps < timesteps:
            for _ in range(options.n_steps):
                rollout.add(self._play(options.random_share(self.agent_steps, timesteps)))
                self.agent_steps += self._agents.size
            rollout.end(self.agent_steps)

    def _play(self, epsilon: float) -> np.ndarray:
        """Play one tick with this share of random choices, and learn from it; return the individual rewards [B, N]."""
        states = self._states()
        actions = self.values[self._agents, states].argmax(-1)
        random = self._rng.integers(0, self.values.shape[2], actions.shape)
        actions = np.where(self._rng.random(actions.shape) < epsilon, random, actions)
        _, rewards, _, truncated, infos = self.envs.step(self.game.engine_actions(actions))
        if not truncated.any():  # the copies of a batch end together, and then show the first state of another episode
            self._update(states, actions, rewards, self._states())
        individual: np.ndarray = infos["individual_reward"]
        return individual

    def _states(self) -> np.ndarray:
        """The state of each copy, for each learner [B, N]."""
        game = cast("VectorEnv", self.envs.game)  # of all agents
        return np.broadcast_to(self.game.states_of(game)[:, None], self._agents.shape)

    def _update(self, states: np.ndarray, actions: np.ndarray, rewards: np.ndarray, following: np.ndarray) -> None:
        gamma, played = self.options.discount(self.training.config), (self._agents, states, actions)
        errors = rewards + gamma * self.values[self._agents, following].max(-1) - self.values[played]
        sums, counts = np.zeros_like(self.values), np.zeros_like(self.values)
        np.add.at(sums, played, errors)
        np.add.at(counts, played, 1)
        self.values += self.options.learning_rate * sums / np.maximum(counts, 1)

    def save(self, folder: Path) -> None:
        tables = dict(zip(self.training.learners, self.values.argmax(2), strict=True))
        policies.save_tables(folder, self.envs, tables)

    def resume_arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError("q-table does not resume")
