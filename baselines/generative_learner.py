"""Train the generative recommender: first to predict what visitors click on logged pages (`generative_pretraining.py`),
then by PPO (`ppo_torch.py`).

    python -m baselines train generative --task streaming-v1 --size 1m
    python -m baselines train generative --task streaming-v1,action=items
    python -m baselines train generative --task streaming-v1 --background recommender_1=content recommender_2=random

It learns alone among policies (`--background`), in self-play of all agents, which is the default, and as a team
(`--sharing 1`). The network and the policy are in `recsys_env/trained/generative.py`, the options in `algorithms.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from recsys_env.trained import generative
from recsys_env.trained.generative import GenerativeNetwork, HistoryReader
from recsys_env.trained.pages import Layout, Scorer

from .algorithms import Generative
from .generative_pretraining import MEASURED, Recommender, from_array, to_array
from .ppo_torch import Agent, PPOLearner
from .training import Training


class GenerativeLearner(PPOLearner):
    """Pre-trains a network on logged pages, then trains it by PPO; see `training.Learner`."""

    options: Generative
    recommender: Recommender

    def __init__(self, training: Training, options: Generative) -> None:
        stored = None if training.checkpoint is None else training.checkpoint.arrays.pop(MEASURED)
        self.kl_coef = options.kl_coef
        super().__init__(training, options)
        if stored is not None:
            self.recommender.measured = from_array(stored)

    def resume_arrays(self) -> dict[str, np.ndarray]:
        return {**super().resume_arrays(), MEASURED: to_array(self.recommender.measured)}

    def _observer(self) -> HistoryReader:
        self.recommender = Recommender(self.envs, self.options)
        return self.recommender.observer

    def _actor(self, layout: Layout) -> GenerativeNetwork:
        return self.recommender.network()

    def _groups(self, agent: Agent) -> list[dict[str, Any]]:
        head, body = self.recommender.pace(cast("GenerativeNetwork", agent.actor))
        _, critic = super()._groups(agent)
        return [{**head, "params": [*head["params"], agent.log_deviation]}, body, critic]

    def _fit(self, network: Scorer) -> None:
        logged = self.recommender.log(self.training.config)
        self.recommender.pretrain(cast("GenerativeNetwork", network), logged)

    def _networks(self) -> dict[str, GenerativeNetwork]:
        return {name: cast("GenerativeNetwork", agent.actor) for name, agent in self.agents.items()}

    def save(self, folder: Path) -> None:
        generative.save(folder, self.envs, self._networks(), self.recommender.measured)
