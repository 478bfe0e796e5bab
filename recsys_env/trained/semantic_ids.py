"""Semantic ids: a few tokens for each item, coarse to fine, by residual quantisation of the items' vectors.

    ids = SemanticIds.fit(envs.world.item_vectors, levels=3, size=32)
    codes = ids(envs.world.item_vectors)                 # [M, L] from 1 to S, no two alike; 0 stands for nothing
    trie = Trie.of([codes])                              # the tokens that lead to an item of this catalogue

The first token is the nearest of S centres; each further token is the nearest centre of the remaining difference
(Rajput et al. 2023, with k-means in place of a learned quantiser). The last token also tells items apart: those that
share all other tokens divide the last centres among themselves. Similar items share their first tokens in every
catalogue, so that what a model learns about tokens holds for items that it has never seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    def fit(cls, vectors: np.ndarray, levels: int = 3, size: int = 32, seed: int = 0) -> SemanticIds:
        """Fit codebooks to vectors [M, D], of one catalogue or of several one after the other."""
        if len(vectors) < size:
            raise ValueError(f"{len(vectors)} vectors give no {size} centres; take fewer tokens, or more items")
        cluster, left = library("sklearn.cluster", "generative"), np.asarray(vectors, np.float64)
        centres = []
        for level in range(levels):
            with warnings.catch_warnings():  # of fewer different remainders than centres, which do no harm
                warnings.filterwarnings("ignore", "Number of distinct clusters")
                means = cluster.KMeans(size, n_init=4, random_state=seed + level).fit(left)
            centres.append(means.cluster_centers_)
            left = left - means.cluster_centers_[means.labels_]
        return cls(np.array(centres, np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Tokens [M, L] of a catalogue's vectors [M, D], from 1 to S; no two items share all of them."""
        left, codes, distance = np.asarray(vectors, np.float32), [], np.zeros((0, 0))
        for centres in self.centres:
            distance = (centres**2).sum(1) - 2 * left @ centres.T
            codes.append(distance.argmin(1))
            left = left - centres[codes[-1]]
        found = np.stack(codes, axis=1)
        for items in _groups(found[:, :-1]):
            if len(items) > self.size:
                raise ValueError(
                    f"{len(items)} items share their first {self.levels - 1} tokens, and the last one tells only "
                    f"{self.size} apart; take more tokens or more levels"
                )
            assigned = library("scipy.optimize", "generative").linear_sum_assignment(distance[items])
            found[items, -1] = assigned[1]
        return found + 1

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors [..., D] that tokens [..., L] stand for."""
        levels = np.arange(self.levels)
        return self.centres[levels, np.asarray(codes) - 1].sum(-2)


def _groups(rows: np.ndarray) -> list[np.ndarray]:
    """Numbers of the rows [M, X] that are equal, where two or more are."""
    _, group, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group.reshape(-1), kind="stable"), counts.cumsum()[:-1])
    return [items for items in members if len(items) > 1]


class Trie(NamedTuple):
    """Prefix tree of the codes of one or several catalogues, one below the other: which tokens lead to an item.

    A node stands for the first tokens of an item. Node w is the root of catalogue w; the nodes of a level lie one after
    the other.

    Attributes:
        codes: [M, L] tokens of all items, from 1 to S.
        path: [M, L] node from which each token of an item leads on.
        following: [nodes, S] node that each token leads to; item, at the last level; -1 where it leads to no item.
    """

    codes: np.ndarray
    path: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, catalogues: Sequence[np.ndarray], size: int) -> Trie:
        """Make the trie of catalogues with these codes [M, L] of S tokens. Items are numbered through, and those of a
        catalogue have different codes."""
        codes = np.concatenate(catalogues)
        root = np.repeat(np.arange(len(catalogues)), [len(of) for of in catalogues])
        prefix = np.concatenate((root[:, None], codes), 1)
        path, nodes = [], 0
        for level in range(1, prefix.shape[1]):
            _, number = np.unique(prefix[:, :level], axis=0, return_inverse=True)
            path.append(nodes + number.reshape(-1))
            nodes = int(path[-1].max()) + 1
        following = np.full((nodes, size), -1)
        leads_to = [*path[1:], np.arange(len(codes))]
        for node, token, to in zip(path, codes.T, leads_to, strict=True):
            following[node, token - 1] = to
        return cls(codes, np.stack(path, axis=1), following)
