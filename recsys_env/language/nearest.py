"""The nearest items by what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..batch import AnyBatch
from ..policies.ranking import Ranker
from .encode import encode
from .pages import plain

KEEP = 0.9  # of what was clicked before, at each click
SHARPNESS = 4.0  # of how a profile falls on topics


class TextNearest(Ranker):
    """Shows the items whose texts are nearest to those that the visitor clicked in this agent's slots.

    Before the first click, nearest to the names of the topics that the profile is near to. Items that nobody has seen
    stand as good a chance as others (Lops, de Gemmis & Semeraro 2011).

    Args:
        encoder: of texts, as in `recsys_env.language.encode`.
    """

    def __init__(self, encoder: str | Path) -> None:
        self._encoder = encoder
        encode([], encoder)  # raises if there is none

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._vectors = encode(envs.texts.full(), self._encoder)
        self._topics = encode(envs.texts.topics.tolist(), self._encoder)
        self._sees_profile = "profile" not in envs.config.hidden(self.index)
        self._present = np.full(envs.num_envs, -1)
        self._clicked: dict[tuple[int, int], np.ndarray] = {}  # of each copy and visitor

    def score(self, observations: np.ndarray) -> np.ndarray:
        self._present = self.envs.next_visitor[:, self.index].copy()
        liked = self._by_profile(observations)
        for b, visitor in enumerate(self._present.tolist()):
            if (b, visitor) in self._clicked:
                liked[b] = self._clicked[b, visitor]
        scores: np.ndarray = np.einsum("bce,be->bc", self._vectors[np.maximum(self.items, 0)], liked)
        return scores

    def _by_profile(self, observations: np.ndarray) -> np.ndarray:
        """What a visitor may like of whom only the profile is known: [B, E]."""
        if not self._sees_profile:
            return np.zeros((len(observations), self._topics.shape[1]), np.float32)
        near = np.exp(SHARPNESS * plain(self.envs, observations, "profile") @ self.envs.world.centres.T)
        found: np.ndarray = (near / near.sum(1, keepdims=True)) @ self._topics
        return found

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        for b, k in np.argwhere(feedback["clicked"]):
            place = int(b), int(self._present[b])
            before = self._clicked.get(place, np.zeros(self._vectors.shape[1], np.float32))
            self._clicked[place] = KEEP * before + self._vectors[feedback["shown"][b, k]]

    def reset(self, done: np.ndarray) -> None:
        self._clicked = {place: clicked for place, clicked in self._clicked.items() if not done[place[0]]}
