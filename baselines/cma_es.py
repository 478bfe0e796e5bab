"""CMA-ES of pycma: rankers whose weights move with the state, by whole episodes and without a gradient.

    python -m baselines.cma_es --task news-v1

A generation is a batch: a candidate in each copy, whose weights all learners of a role share, and all candidates play
the same episode, so that what differs between them is what they do. Covariance matrix adaptation: Hansen & Ostermeier
2001, here of the diagonal alone (Ros & Hansen 2008). Searches over linear policies rival deep ones: Mania, Guy & Recht
2018.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsys_env.evaluation import UNSEEN
from recsys_env.policies.linear import check_states
from recsys_env.tuning import STATES, Arena, Found, canonical

from .options import Algorithm, Range

if TYPE_CHECKING:
    from .training import Learner, Point, Training


@dataclass(frozen=True)
class CMAES(Algorithm):
    """CMA-ES of rankers whose weights move with the state, by the reward of whole episodes."""

    name = "cma-es"
    library = "cma"
    install = 'pip install "recsys_env[train]"'
    resumes = False

    num_envs: Annotated[int, Range(4)] = 64
    """Copies of the game: the candidates of a generation."""
    deviation: Annotated[float, Range(1e-6)] = 1.0
    """Of weights at the beginning."""
    states: tuple[str, ...] = STATES
    """Fields of the observation that move the weights; those that the task does not have are left out."""

    def check(self) -> None:
        super().check()
        check_states(self.states)

    def learner(self, training: Training) -> Learner:
        return CMALearner(training, self)


class CMALearner:
    """Searches weights; see `training.Learner`."""

    has_progress_bar = False

    def __init__(self, training: Training, options: CMAES) -> None:
        import cma

        self.training, self.agent_steps, self._generation = training, 0, 0
        self.arena = Arena(training.config, training.others, options.states, make=training.timed_batch)
        told = {"popsize": options.num_envs, "seed": options.seed + 1, "CMA_diagonal": True, "verbose": -9}
        size = int(np.prod(self.arena.size))
        self.search = cma.CMAEvolutionStrategy(np.zeros(size), options.deviation, told)

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
        """The mean of the search."""
        weights = canonical(self.search.result.xfavorite.reshape(self.arena.size), self.arena.names)
        Found(weights, self.arena.states, self.arena.names, scores=()).save(self.training.config, folder)

    def resume_arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError("cma-es does not resume")


if __name__ == "__main__":
    from .train import command

    command([CMAES.name, *sys.argv[1:]])
