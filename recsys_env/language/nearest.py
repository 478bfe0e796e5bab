"""Content-based recommendation by the texts of items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..batch.base import AnyBatch
from ..policies.ranking import Ranker
from .encoders import encode
from .pages import plain

KEEP = 0.9  # weight of earlier clicks at each click
SHARPNESS = 4.0  # of the softmax over topics of a profile


class TextNearest(Ranker):
    """Shows the items whose texts are nearest to those that the visitor clicked in this agent's slots.

    Before the first click it uses the names of the topics that the visitor's profile is near to. Items that nobody has
    seen are ranked like all others (Lops, de Gemmis & Semeraro 2011).

    Args:
        encoder: encoder of texts, as in `recsys_env.language.encode`.
    """

    deterministic = True

    def __init__(self, encoder: str | Path) -> None:
        self._encoder = encoder
        encode([], encoder)  # raises an error if there is no such encoder

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
        """Return vectors [B, E] of the topics of a visitor of whom only the profile is known."""
        if not self._sees_profile:
            return np.zeros((len(observations), self._topics.shape[1]), np.float32)
        near = np.exp(SHARPNESS * plain(self.envs, observations, "profile") @ self.envs.world.centres.T)
        found: np.ndarray = (near / near.sum(1, keepdims=True)) @ self._topics
        return found

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        for b, k in np.argwhere(feedback["clicked"]):
            key = int(b), int(self._present[b])
            before = self._clicked.get(key, np.zeros(self._vectors.shape[1], np.float32))
            self._clicked[key] = KEEP * before + self._vectors[feedback["shown"][b, k]]

    def reset(self, done: np.ndarray) -> None:
        self._clicked = {key: clicked for key, clicked in self._clicked.items() if not done[key[0]]}
