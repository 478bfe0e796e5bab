"""Item vectors that are learned from the clicks of a log of pages, for items that have none.

The model is that of `choice_model`, with the vectors among what is unknown. A vector has unit norm and the direction of
g_j ~ N(m_c, I), where c is the item's category, m_c ~ N(0, s^2 I), and 1 / s^2 ~ Gamma(1, 1). So the vectors of a
category gather around a common direction, as closely as its clicks say.

What users were shown is no sign of their tastes here, because it depends on the vectors
(`choice_data.shown_to_users`).

Vectors that fit the clicks best would repeat the noise of the clicks, which then looks like strong tastes. So the
vectors are a draw from their posterior distribution, by the same Markov chain with one more step: each vector in turn
by elliptical slice sampling, given the users' coefficients.

Sources: Salakhutdinov & Mnih 2008 (factors of users and items drawn in turn); Murray, Adams & MacKay 2010 (elliptical
slice sampling); Presnell, Morrison & Littell 1998 (directions of normally distributed vectors).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels.page_vectors import draw_vectors
from .choice_data import Pages
from .choice_model import SEED, Sampler

LEARNING = 150  # iterations in which the chain adapts; then it settles
SETTLING = 100


class RowsOfItems(NamedTuple):
    """The rows of a log of pages, by item."""

    first: np.ndarray  # [M + 1] int64: item j has the rows row[first[j]] .. row[first[j + 1] - 1]
    row: np.ndarray  # [R] int64
    page: np.ndarray  # [R] int64, of these rows
    user: np.ndarray  # [R] int64, likewise

    @classmethod
    def of(cls, pages: Pages) -> RowsOfItems:
        users, items, _, _ = pages.sizes
        row = np.argsort(pages.item, kind="stable")
        page = np.searchsorted(pages.first_row, row, side="right") - 1
        user = np.repeat(np.arange(users), np.diff(pages.first_page))[page]
        return cls(np.searchsorted(pages.item[row], np.arange(items + 1)), row, page, user)


def learn_vectors(pages: Pages, category: np.ndarray, dims: int) -> np.ndarray:
    """Draw item vectors [M, D] of unit norm from their posterior distribution.

    Args:
        pages: whose own vectors, if there are any, are not used.
        category: [M] 0 .. G - 1, the category of each item.
        dims: D.
    """
    items, categories = len(category), int(category.max()) + 1
    random = np.random.default_rng([SEED, 2])
    raw, centres, variance = random.standard_normal((items, dims)), np.zeros((categories, dims)), 1.0
    chain = Sampler(pages._replace(vectors=raw / np.linalg.norm(raw, axis=1, keepdims=True)))
    raw = raw @ chain.axes
    rows = RowsOfItems.of(pages)
    memory = np.zeros(dims), np.zeros((4, int(np.diff(rows.first).max())))
    members = np.bincount(category, minlength=categories)[:, None]
    for iteration in range(LEARNING + SETTLING):
        if iteration < LEARNING:
            chain.adapt(iteration, LEARNING)
        else:
            chain.step()
        utility = chain.utilities()
        total = 1.0 + np.add.reduceat(np.exp(utility), pages.first_row[:-1])
        state = utility, total, centres, category, chain.users
        draw_vectors(chain.pages, rows, *state, chain.key(), raw, *memory)
        precision = members + 1.0 / variance
        of_category = np.zeros_like(centres)
        np.add.at(of_category, category, raw)
        centres = of_category / precision + random.standard_normal(centres.shape) / np.sqrt(precision)
        variance = (1.0 + 0.5 * (centres**2).sum()) / random.gamma(1.0 + 0.5 * centres.size)
    return chain.pages.vectors
