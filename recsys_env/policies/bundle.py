"""A scripted team that tells what it sold, for tasks in which one agent's sale makes demand for another's goods."""

from __future__ import annotations

import numpy as np

from ..batch.base import AnyBatch
from ..world.arrays import State
from .observer import Observer
from .slates import heard, say

SILENT = 0  # word 1 + t says that an item of topic t was sold


class Teller(Observer):
    """Plays as `observer`, says the topic of what it sold to the visitor on the page before, and hears what others say.

    Words are heard on the visitor's next page. A word tells of a sale two pages ago, and stands for the item that is
    nearest to the centre of its topic.
    """

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        world, shape = self.envs.world, self.envs.shape
        if shape.vocabulary <= shape.topics or not shape.remembered:
            raise ValueError(
                f"messages = {shape.vocabulary} and choice.beta_partner = {self.envs.config.choice.beta_partner:g} do "
                f"not suit this policy: it needs {shape.topics + 1} words, one for each topic and one for nothing, and "
                "a world in which something goes with something"
            )
        nearest = np.where(
            world.items["topic"][:, None] == np.arange(shape.topics), world.item_vectors @ world.centres.T, -2.0
        )
        self._typical = nearest.argmax(0)  # item of each topic

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        actions = super().act(observations, mask)
        sold = self._newest()
        topics = self.envs.world.items["topic"][np.maximum(sold["item"], 0)]
        new = (sold["item"] >= 0) & (sold["pages"] == 1)
        return say(self.envs, actions, np.where(new, 1 + topics, SILENT))

    def _newest(self) -> np.ndarray:
        """The newest item [B] that each visitor consumed in the agent's own slots, as `RECENT`."""
        state = self.envs.arrays
        view = 0 if self.envs.shape.views == 1 else self.index
        newest: np.ndarray = state.recent[np.arange(len(state.copies)), state.copies["row"], view, 0]
        return newest

    def hear(self, observations: np.ndarray, imagined: State) -> None:
        word = heard(self.envs, observations).max(1)
        b = np.flatnonzero((word > SILENT) & (self._newest()["pages"] != 1))
        recent = imagined.recent[:, :, self.envs.shape.views, 0]
        for name, value in {
            "item": self._typical[word[b] - 1, None],
            "bought": 1,
            "pages": 2,
            "weight": self.envs.config.choice.partner_decay,
        }.items():
            recent[name][b] = value
