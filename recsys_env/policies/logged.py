"""Base of policies that train on their own log: who visited, what was clicked, when to train again.

act:      visitors -> rows of `People` -> scores of the options
observe:  feedback -> `Log` and histories -> retraining, once the log has three times as many clicks as last time
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from ..batch.vector import VectorEnv
from ..libraries import library
from .ranking import Appraiser, Ranker

_FIRST_CLICKS = 200  # in the log before a model is trained for the first time
_MEMORY = 1_000_000  # impressions that training looks back on


class People:
    """Numbers the persons that an agent has served 0, 1, 2..., in the order of their first page.

    In a fresh population a person belongs to one copy and one episode. In a fixed population the same persons return in
    every episode and copy.
    """

    def __init__(self, envs: VectorEnv) -> None:
        self._fixed = envs.config.users.population == "fixed"
        # sorted keys of those who may come back, and their rows
        self._keys, self._rows = np.empty(0, np.int64), np.empty(0, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def begin(self, done: np.ndarray) -> None:
        """Begin another episode in the copies `done` [B]: their persons are gone, unless the population is fixed."""
        if not self._fixed:
            stay = ~done[self._keys % len(done)]
            self._keys, self._rows = self._keys[stay], self._rows[stay]

    def rows(self, visitors: np.ndarray) -> np.ndarray:
        """Return the rows [B] of the visitors [B] of all copies; -1 where nobody visits."""
        keys = visitors if self._fixed else visitors * len(visitors) + np.arange(len(visitors))
        present = visitors >= 0
        new = np.setdiff1d(keys[present], self._keys)
        if len(new):
            at = np.searchsorted(self._keys, new)
            self._keys = np.insert(self._keys, at, new)
            self._rows = np.insert(self._rows, at, self._count + np.arange(len(new)))
            self._count += len(new)
        found = np.full(len(keys), -1)
        found[present] = self._rows[np.searchsorted(self._keys, keys[present])]
        return found


class Log:
    """Impressions in order of time: person (row), item and value."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def append(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        """Add impressions [I]."""
        if len(rows):
            self._parts.append((rows, items, values))

    def read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, items and values of the last impressions, [I] each."""
        rows, items, values = (np.concatenate(parts)[-_MEMORY:] for parts in zip(*self._parts, strict=True))
        self._parts = [(rows, items, values)]
        return rows, items, values


class RetrainedRanker(Ranker):
    """Base of policies that train a model on their own log; a subclass defines `fit` and `predict`.

    The model is trained whenever the log has three times as many clicks as at the last training, and at the end of an
    episode. Until the first training the policy shows popular items.

    Attributes:
        clicked, worth: [R, L] the last L items that each person clicked and their values, newest last; item -1 = none.
        profiles: [R, D] the noisy profile of each person, as observed; zeros for a role that does not see it.
    """

    learns = True
    deterministic = True
    exploration = 0.05
    history = 20  # L

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self.people, self.log = People(envs), Log()
        self.clicked = np.full((0, self.history), -1, np.int64)
        self.worth = np.zeros((0, self.history))
        self.profiles = np.zeros((0, envs.shape.dims), np.float32)
        self._appraise = Appraiser(envs, self.index)
        self._clicks, self._fitted, self._next = 0, 0, _FIRST_CLICKS
        self._present = np.full(envs.num_envs, -1)

    # -------------------------------------------------------------------------------------------- the model

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        """Train on impressions [I]; rows are below `len(self.people)`."""
        raise NotImplementedError

    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return scores [P, C] of items [P, C] for persons [P], who may be newer than the model."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------- serving and logging

    def score(self, observations: np.ndarray) -> np.ndarray:
        self._present = self.people.rows(self.envs.next_visitor[:, self.index])
        served = self._present >= 0
        self._meet(observations[served])
        scores = self.feature("popularity").astype(float)
        if self._fitted and served.any():
            scores[served] = self.predict(self._present[served], np.maximum(self.items[served], 0))
        return scores

    def _meet(self, observations: np.ndarray) -> None:
        """Make room for new persons, and store the profiles of the present visitors."""
        missing = len(self.people) - len(self.clicked)
        if missing > 0:
            room = max(missing, len(self.clicked))
            self.clicked = np.concatenate((self.clicked, np.full((room, self.history), -1)))
            self.worth = np.concatenate((self.worth, np.zeros((room, self.history))))
            self.profiles = np.concatenate((self.profiles, np.zeros((room, self.profiles.shape[1]), np.float32)))
        self.profiles[self._present[self._present >= 0]] = observations[:, self.envs.observation_fields["profile"]]

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        values, shown = self._appraise(feedback), feedback["shown"]
        visible = (shown >= 0) & (self._present >= 0)[:, None]
        rows = np.broadcast_to(self._present[:, None], shown.shape)
        self.log.append(rows[visible], shown[visible].astype(np.int64), values[visible])
        clicked = visible & feedback["clicked"]
        self._remember(rows[clicked], shown[clicked], values[clicked])
        self._clicks += int(clicked.sum())
        if self._clicks >= self._next:
            self._train()

    def _remember(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        """Append clicks to histories; a person of a fixed population may click in several copies at once."""
        while len(rows):
            _, first = np.unique(rows, return_index=True)
            person, later = rows[first], np.delete(np.arange(len(rows)), first)
            self.clicked[person] = np.concatenate((self.clicked[person, 1:], items[first, None]), axis=1)
            self.worth[person] = np.concatenate((self.worth[person, 1:], values[first, None]), axis=1)
            rows, items, values = rows[later], items[later], values[later]

    def reset(self, done: np.ndarray) -> None:
        self.people.begin(done)
        if self._clicks > self._fitted and self._clicks >= _FIRST_CLICKS:
            self._train()

    def _train(self) -> None:
        # sums in the same order, whatever the number of processors
        with library("threadpoolctl", "recommenders").threadpool_limits(1, "blas"):
            self.fit(*self.log.read())
        self._fitted, self._next = self._clicks, 3 * self._clicks
