"""Search rankers by CMA-ES of pycma: by the reward of whole episodes, without a gradient.

    python -m baselines train cma-es --task news-v1

The weights of a ranker move with the state. A generation is a batch: each copy plays one candidate, whose weights all
learners of a role share. All candidates play the same episode beside the same policies, so that only their actions
differ. Covariance matrix adaptation: Hansen & Ostermeier 2001, here of the diagonal alone (Ros & Hansen 2008). Searches
over linear policies rival deep ones: Mania, Guy & Recht 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cma
import numpy as np

from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.tuning import Arena, Found, canonical

from .algorithms import CMAES
from .training import Point, Training


class CMALearner:
    """Searches weights of rankers; see `training.Learner`."""

    def __init__(self, training: Training, options: CMAES) -> None:
        self.training, self.agent_steps, self._generation = training, 0, 0
        background = training.background_policies(per_copy=False)  # candidates are compared by what they do alone
        self.arena = Arena(training.config, background, options.states, make=training.timed_batch)
        settings = {"popsize": options.num_envs, "seed": options.seed + 1, "CMA_diagonal": True, "verbose": -9}
        size = int(np.prod(self.arena.size))
        self.search = cma.CMAEvolutionStrategy(np.zeros(size), options.deviation, settings)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        config, copies = self.training.config, self.training.algorithm.num_envs
        while self.agent_steps < timesteps:
            candidates = self.search.ask()
            seed = (100_000 * self.training.algorithm.seed + self._generation) % UNSEEN
            own, paid = self.arena.play(np.array(candidates), 1, seed)
            self.search.tell(candidates, list(-paid[:, 0]))
            self._generation += 1
            self.agent_steps += copies * config.horizon * len(self.training.learners)
            rollout_ended({"agent_steps": self.agent_steps, "episode_reward": float(own.mean())})

    def save(self, folder: Path) -> None:
        """Write the mean of the search as a ranker."""
        weights = canonical(self.search.result.xfavorite.reshape(self.arena.size), self.arena.names)
        Found(weights, self.arena.states, self.arena.names, scores=()).save(self.training.config, folder)

    def resume_arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError("cma-es does not resume")
