"""Creators on a platform (`page="platform"`): how much clickbait the next item has. Topics take turns, so that creators
spread over them.

They read observations only, and `Myopic` also the public statistics of items. They are the corners of a social dilemma
of many: `Fair` and `Bait` are its two constant strategies, and `Reciprocal` answers what the others do.
"""

from __future__ import annotations

import numpy as np

from ..batch.base import AnyBatch
from .base import Policy

MUCH = 0.5  # mean clickbait of the others from which `Reciprocal` baits


class Creator(Policy):
    """Base: publishes the topic after that of its newest item; a subclass says with how much clickbait.

    `bind` raises ValueError unless the task has page = "platform".
    """

    deterministic = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        config = self.envs.config
        if not config.ranked:
            raise ValueError(
                f"{type(self).__name__} publishes items, which needs page = 'platform'; here page = {config.page!r}"
            )

    def level(self, observations: np.ndarray) -> np.ndarray:
        """Return the level of clickbait [B], from 0 to L - 1, given the agent's observations [B, O]."""
        raise NotImplementedError(f"{type(self).__name__} has no level(observations)")

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        shape = self.envs.shape
        newest = self.envs.field(observations, "window_topics")[:, : shape.topics]
        topic = np.where(newest.any(1), newest.argmax(1) + 1, self.index) % shape.topics
        action: np.ndarray = topic * shape.bait_levels + self.level(observations)
        return action


class Fair(Creator):
    """Never baits."""

    def level(self, observations: np.ndarray) -> np.ndarray:
        return np.zeros(len(observations), np.int64)


class Bait(Creator):
    """Always baits as much as it can."""

    def level(self, observations: np.ndarray) -> np.ndarray:
        return np.full(len(observations), self.envs.shape.bait_levels - 1)


class Reciprocal(Creator):
    """Baits if the mean clickbait of the other creators' newest items is above a half, and else does not.

    This is tit for tat (Axelrod 1984) against the mean of many others.
    """

    def level(self, observations: np.ndarray) -> np.ndarray:
        others = self.envs.field(observations, "others_bait")[:, 0]
        return np.where(others > MUCH, self.envs.shape.bait_levels - 1, 0)


class Myopic(Creator):
    """Publishes, of all items that it can publish, the one with the best public click-through rate."""

    deterministic = True

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        shape, period = self.envs.shape, self.envs.config.platform.period
        if not self.envs.field(observations, "is_active").any():
            return np.zeros(len(observations), np.int64)
        options = shape.topics * shape.bait_levels
        place = self.envs.arrays.copies["tick"] // period % shape.window
        first = (self.index * shape.window + place) * options
        rates = self.envs.public_items()["ctr"]
        return np.take_along_axis(rates, first[:, None] + np.arange(options), 1).argmax(1)
