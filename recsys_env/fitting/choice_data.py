"""What the choice model is fitted to: pages as arrays, and what users were shown as signs of their tastes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EARLY = 0.2  # share of a user's pages, the first ones, that are signs of the taste
CHANCE, ROUNDING = 3.0, 1e-9  # standard errors, and variance, up to which users were shown the same


class Pages(NamedTuple):
    """Pages by user: P pages with R rows together, F fixed features, D numbers of a vector; users 0 .. U - 1."""

    first_page: np.ndarray  # [U + 1] int64: the pages of user u are first_page[u] .. first_page[u + 1] - 1
    first_row: np.ndarray  # [P + 1] int64: likewise the rows of a page
    chosen: np.ndarray  # [P] int64: the row that was clicked, -1 = none
    item: np.ndarray  # [R] int32
    features: np.ndarray  # [R, F] float64: f_r
    price: np.ndarray  # [R] float64: -x_r, which is the last feature; empty where price is no part of the utility
    vectors: np.ndarray  # [M, D] float64: q_j

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """U, M, F, and d, the number of random coefficients of a user."""
        dims = self.vectors.shape[1] + (1 if len(self.price) else 0)
        return len(self.first_page) - 1, len(self.vectors), self.features.shape[1], dims


def shown_to_users(pages: Pages, rank: np.ndarray | None) -> np.ndarray:
    """What users were shown on the first fifth of their pages, as signs of their tastes: h [G, U, D], G <= 2.

    The mean vector of the items, and by how much vectors further up the page differ from those below: the mean product
    of the vector and minus the log rank, centred on the page. Both are deviations from what all users were shown,
    shrunk towards 0 by the number of pages that they rest on (random effects), and scaled to a mean square of 1. What
    does not differ between users beyond chance is left out.

    Later pages do not count. A policy that learns from clicks shows what was clicked, so that clicks would be explained
    by what followed from them.

    Args:
        rank: [R] position on the page; None: the log does not say.
    """
    size = np.diff(pages.first_row)
    page = np.repeat(np.arange(len(size)), size)
    weights = [np.ones(len(page))]
    if rank is not None:
        height = -np.log(rank)
        weights.append(height - (np.add.reduceat(height, pages.first_row[:-1]) / size)[page])
    found = [_at_first(pages, weight / size[page]) for weight in weights]
    users, dims = pages.sizes[0], pages.vectors.shape[1]
    return np.array([h for h in found if h is not None]).reshape(-1, users, dims)


def _at_first(pages: Pages, weight: np.ndarray) -> np.ndarray | None:
    """[U, D] the weighted sum of a page's vectors, averaged over a user's first pages; None if it does not differ
    between users. The rest is as `shown_to_users` says.

    Args:
        weight: [R].
    """
    count = np.diff(pages.first_page)
    user = np.repeat(np.arange(len(count)), count)
    if len(user) == len(count):
        return None
    number = np.ceil(EARLY * count)
    early = np.arange(len(user)) - pages.first_page[:-1][user] < number[user]
    means, within = np.zeros((len(count), pages.vectors.shape[1])), 0.0
    for d in range(means.shape[1]):
        of_page = np.add.reduceat(weight * pages.vectors[pages.item, d], pages.first_row[:-1])
        of_page -= of_page.mean()
        means[:, d] = np.bincount(user, of_page * early) / number
        within += float(((of_page - (np.bincount(user, of_page) / count)[user]) ** 2).sum())
    within /= len(user) - len(count)  # variance of a page, summed over the dimensions
    beyond = (means**2).sum(axis=1) - within / number  # of users; on average the variance between them
    between = float(beyond.mean())
    if between <= max(CHANCE * float(beyond.std()) / np.sqrt(len(count)), ROUNDING):
        return None
    means *= (number / (number + within / between))[:, None]
    found: np.ndarray = means / np.sqrt((means**2).sum(axis=1).mean())
    return found


def with_signs(pages: Pages, signs: np.ndarray) -> Pages:
    """The pages with features h_u z_r, of signs of tastes [G, U, D], before the other features."""
    user = np.repeat(np.arange(pages.sizes[0]), np.diff(pages.first_row[pages.first_page]))
    columns = np.zeros((len(pages.item), len(signs)))
    for g, h in enumerate(signs):
        for d in range(h.shape[1]):
            columns[:, g] += h[user, d] * pages.vectors[pages.item, d]
    return pages._replace(features=np.concatenate([columns, pages.features], axis=1))
