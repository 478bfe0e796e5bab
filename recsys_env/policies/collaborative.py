"""Collaborative filtering with well-known libraries, retrained repeatedly on the agent's own log.

implicit   ALS, BPR, item-kNN    (Hu, Koren & Volinsky 2008; Rendle et al. 2009; Sarwar et al. 2001)
LightFM    WARP hybrid           (Kula 2015; Weston, Bengio & Usunier 2011)
Surprise   SVD, item-kNN         (Hug 2020; Koren, Bell & Volinsky 2009)
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

import numpy as np

from ..libraries import library
from .logged import RetrainedRanker

FACTORS = 16


class Collaborative(RetrainedRanker):
    """Base: ranks by item bias plus the inner product of a person's and an item's factors; a subclass fits them.

    Attributes:
        item_factors, item_bias: factors [M, F] and biases [M] of the items.
    """

    requires, extra = "implicit", "recommenders"
    item_factors: np.ndarray
    item_bias: np.ndarray

    def __init__(self) -> None:
        library(self.requires, self.extra)  # now, not pages later

    def person_factors(self, rows: np.ndarray) -> np.ndarray:
        """Return the factors [P, F] of persons [P]."""
        raise NotImplementedError

    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self.item_bias[items] + np.einsum("pf,pcf->pc", self.person_factors(rows), self.item_factors[items])

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

    def _clicks_by_pair(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> Any:
        """Sparse matrix [R, M] of the value of each person's clicks on each item, in units of the mean click."""
        some, self._scale = values > 0, _mean_click(values)
        return self._sparse(rows[some], items[some], values[some] / self._scale, len(self.people))

    def _present_clicks(self, rows: np.ndarray) -> Any:
        """Sparse matrix [P, M] of the last clicks, as in `_clicks_by_pair`, including persons new to the model."""
        clicked, worth = self.clicked[rows], self.worth[rows]
        at, which = np.nonzero((clicked >= 0) & (worth > 0))
        return self._sparse(at, clicked[at, which], worth[at, which] / self._scale, len(rows))

    def _sparse(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray, count: int) -> Any:
        matrix = library("scipy.sparse", self.extra).coo_matrix(
            (values.astype(np.float32), (rows, items)), (count, self.envs.shape.items)
        )
        return matrix.tocsr()


class ImplicitALS(Collaborative):
    """`implicit`'s alternating least squares; a visitor's factors are computed on every page from its last clicks.

    The factors of a visitor without clicks are 0. Its options then stay in their order.
    """

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        self._model = library("implicit.cpu.als", self.extra).AlternatingLeastSquares(
            FACTORS, regularization=0.1, num_threads=1, random_state=self._seed()
        )
        self._model.fit(self._clicks_by_pair(rows, items, values), show_progress=False)
        self.item_factors, self.item_bias = self._model.item_factors, np.zeros(self.envs.shape.items)

    def person_factors(self, rows: np.ndarray) -> np.ndarray:
        factors: np.ndarray = self._model.recalculate_user(np.arange(len(rows)), self._present_clicks(rows))
        return factors


class ImplicitBPR(Collaborative):
    """`implicit`'s Bayesian personalised ranking; new visitors get the most clicked items.

    Negatives are drawn by popularity, so biases and mean factors do not tell what people like on average.
    """

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        model = library("implicit.cpu.bpr", self.extra).BayesianPersonalizedRanking(
            FACTORS, learning_rate=0.05, num_threads=1, random_state=self._seed()
        )
        clicks = self._clicks_by_pair(rows, items, values)
        model.fit(clicks, show_progress=False)
        self._persons, self._popular = model.user_factors[:, :FACTORS], np.asarray(clicks.sum(0)).ravel()
        self._clicked = np.diff(clicks.indptr)[:, None] > 0
        self.item_factors, self.item_bias = model.item_factors[:, :FACTORS], model.item_factors[:, FACTORS]

    def person_factors(self, rows: np.ndarray) -> np.ndarray:
        return _known(self._persons, rows)

    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.where(_known(self._clicked, rows) > 0, super().predict(rows, items), self._popular[items])


class ImplicitKNN(Collaborative):
    """`implicit`'s item-item nearest neighbours (cosine similarity), summed over a visitor's last clicks."""

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        model = library("implicit.nearest_neighbours", self.extra).CosineRecommender(K=50, num_threads=1)
        clicks = self._clicks_by_pair(rows, items, values)
        with warnings.catch_warnings():
            # of a matrix that the library itself converts
            warnings.simplefilter("ignore", library("implicit.utils", self.extra).ParameterWarning)
            model.fit(clicks, show_progress=False)
        self._similarity = model.similarity
        popular = np.asarray(clicks.sum(0)).ravel()
        self._prior = 1e-3 * popular / max(popular.max(), 1e-9)  # orders items without neighbours

    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        scores = (self._present_clicks(rows) @ self._similarity).toarray() + self._prior
        return np.take_along_axis(scores, items, 1)


class LightFM(Collaborative):
    """LightFM with WARP loss; new persons are represented by their profile.

    The features of a person are its id and profile; those of an item are its id and topic.

    Args:
        epochs: passes over the log at each training.
    """

    requires, extra = "lightfm", "lightfm"

    def __init__(self, epochs: int = 10) -> None:
        super().__init__()
        self._epochs = epochs

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        sparse, world, people = library("scipy.sparse", self.extra), self.envs.world, len(self.people)
        clicks = self._clicks_by_pair(rows, items, values).tocoo()
        persons = sparse.hstack((sparse.identity(people), sparse.csr_matrix(self.profiles[:people])), "csr", np.float32)
        topics = np.eye(self.envs.shape.topics)[world.items["topic"]]
        described = sparse.hstack(
            (sparse.identity(self.envs.shape.items), sparse.csr_matrix(topics)), "csr", np.float32
        )
        model = library("lightfm", self.extra).LightFM(FACTORS, loss="warp", random_state=self._seed())
        ones = sparse.coo_matrix((np.ones_like(clicks.data), (clicks.row, clicks.col)), clicks.shape)
        model.fit(ones, persons, described, sample_weight=clicks, epochs=self._epochs, num_threads=1)
        self.item_bias, self.item_factors = model.get_item_representations(described)
        clicked = np.diff(clicks.tocsr().indptr)[:, None] > 0  # the ids of other persons were not trained
        self._ids, self._by_profile = model.user_embeddings[:people] * clicked, model.user_embeddings[people:]

    def person_factors(self, rows: np.ndarray) -> np.ndarray:
        return _known(self._ids, rows) + self.profiles[rows] @ self._by_profile


class SurpriseSVD(Collaborative):
    """Surprise's biased matrix factorisation of the values of impressions; impressions without a click count 0."""

    requires = "surprise"

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        trainset, rated = self._trainset(rows, items, values)
        model = library("surprise", self.extra).SVD(FACTORS, random_state=self._seed()).fit(trainset)
        self._persons = model.pu
        self.item_factors, self.item_bias = model.qi * rated[:, None], model.bi

    def person_factors(self, rows: np.ndarray) -> np.ndarray:
        return _known(self._persons, rows)

    def _trainset(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> tuple[Any, np.ndarray]:
        """Surprise's training set of the mean value of each person and item, in mean clicks; which items [M] occur."""
        size, count = self.envs.shape.items, len(self.people)
        pairs, which = np.unique(rows * size + items, return_inverse=True)
        means = np.bincount(which, values) / np.bincount(which) / _mean_click(values)
        by_person, by_item = defaultdict(list), defaultdict(list)
        for pair, mean in zip(pairs.tolist(), means.tolist(), strict=True):
            by_person[pair // size].append((pair % size, mean))
            by_item[pair % size].append((pair // size, mean))
        ids = {i: i for i in range(max(size, count))}
        trainset = library("surprise", self.extra).Trainset(
            by_person, by_item, count, size, len(pairs), (means.min(), means.max()), ids, ids
        )
        return trainset, np.isin(np.arange(size), pairs % size)


class SurpriseKNN(SurpriseSVD):
    """Surprise's item-item nearest neighbours (mean-centred Pearson) on the values of impressions.

    New persons get the items' means. Predictions for all persons and items are computed at once, and therefore use all
    similar items that a person was shown, not the 40 most similar ones.
    """

    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        trainset, _ = self._trainset(rows, items, values)
        options = {"name": "pearson", "user_based": False}
        model = library("surprise", self.extra).KNNWithMeans(sim_options=options, verbose=False).fit(trainset)
        size = trainset.n_users, trainset.n_items
        deviations, known = np.zeros(size), np.zeros(size)
        for person, seen in trainset.ur.items():
            rated, worth = zip(*seen, strict=True)
            deviations[person, list(rated)] = np.array(worth) - model.means[list(rated)]
            known[person, list(rated)] = 1.0
        # As in the library, dissimilar items are ignored. So are items whose values never differ: the library may round
        # their variance below 0, which makes their similarity NaN.
        similar = np.maximum(np.nan_to_num(model.sim), 0.0)
        self._adjusted = (deviations @ similar) / np.maximum(known @ similar, 1e-9)
        self._means = model.means

    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        means: np.ndarray = self._means[items]
        return means + np.take_along_axis(_known(self._adjusted, rows), items, 1)


def _mean_click(values: np.ndarray) -> float:
    """Return the mean of the values of clicks, among values [I] of impressions; 1 without clicks."""
    clicks = values[values > 0]
    return float(clicks.mean()) if len(clicks) else 1.0


def _known(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return table[rows], with zeros for persons who came after the table was made."""
    return np.where((rows < len(table))[:, None], table[np.minimum(rows, len(table) - 1)], 0)
