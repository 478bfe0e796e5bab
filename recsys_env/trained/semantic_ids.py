"""Semantic ids: a few tokens for each item, coarse to fine, by residual quantisation of the items' vectors.

    ids = SemanticIds.fit(envs.world.item_vectors, levels=3, size=16)
    codes = ids(envs.world.item_vectors)                 # [M, L] from 1 to S; 0 stands for nothing

The first token is the nearest of S centres; each further token is the nearest centre of the remaining difference
(Rajput et al. 2023, with k-means in place of a learned quantiser). Similar items share their first tokens in every
catalogue, so that what a model learns about tokens holds for items that it has never seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..libraries import library


@dataclass(frozen=True)
class SemanticIds:
    """Codebooks of residual quantisation.

    Attributes:
        centres: [L, S, D] of each level.
    """

    centres: np.ndarray

    @property
    def levels(self) -> int:
        return self.centres.shape[0]

    @property
    def size(self) -> int:
        """S, the number of tokens of a level."""
        return self.centres.shape[1]

    @classmethod
    def fit(cls, vectors: np.ndarray, levels: int = 3, size: int = 16, seed: int = 0) -> SemanticIds:
        """Fit codebooks to vectors [M, D], of one catalogue or of several one after the other.

        Raises:
            ValueError: fewer vectors than tokens.
            ImportError: the extra `generative` is missing.
        """
        if len(vectors) < size:
            raise ValueError(f"{len(vectors)} vectors give no {size} centres; take fewer tokens, or more items")
        cluster, left = library("sklearn.cluster", "generative"), np.asarray(vectors, np.float64)
        centres = []
        for level in range(levels):
            means = cluster.KMeans(size, n_init=4, random_state=seed + level).fit(left)
            centres.append(means.cluster_centers_)
            left = left - means.cluster_centers_[means.labels_]
        return cls(np.array(centres, np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Tokens [M, L] of vectors [M, D], from 1 to S."""
        left, codes = np.asarray(vectors, np.float32), []
        for centres in self.centres:
            nearest = (centres**2).sum(1) - 2 * left @ centres.T
            codes.append(nearest.argmin(1))
            left = left - centres[codes[-1]]
        return np.stack(codes, axis=1) + 1

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors [..., D] that tokens [..., L] stand for."""
        levels = np.arange(self.levels)
        return self.centres[levels, np.asarray(codes) - 1].sum(-2)
