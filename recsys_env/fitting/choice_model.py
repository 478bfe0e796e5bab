"""Multinomial logit of the clicks on pages, with an outside option and random coefficients, by EM.

A row r of a page shows item j to user u. The page's click is on row r with probability
exp(v_r) / (1 + sum_s exp(v_s)) of the rows s of the page, and

    v_r = phi f_r + a_j + b_u z_r,        a_j ~ N(0, sd^2),        b_u ~ N(mean, cov).

f_r are features with fixed coefficients phi: 1 (minus what choosing nothing is worth), -log rank and [rank = 1]
(examination multiplies the odds), log(1 + n) of habits, and log(1 + popularity), so that a_j is the part of an item's
appeal that its popularity does not tell. z_r is the item's vector, followed by minus its log price.

The E step gives every b_u a Gaussian posterior. A mode with the curvature there (Laplace) overstates the size of tastes
where a user has few clicks. Instead the likelihood is averaged over the posterior by the tilted bound: the average of a
choice probability is close to that with v_r raised by half the posterior variance of v_r, all relative to the page's
mean. The mean of b_u follows from these probabilities, and its precision is their curvature. The M step takes a Newton
step for phi and a with the same probabilities, and updates mean, cov and sd. There are no random numbers in it.

Sources: McFadden 1974 (logit); Revelt & Train 1998 (random coefficients); Braun & McAuliffe 2010 (variational inference
for them); Knowles & Minka 2011 (tilted bound); Louis 1982 (observed information under EM).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..kernels.page_choices import curvature, probabilities, score, user_steps

SEED = 0
ITERATIONS, TOLERANCE = 100, 2e-3  # of the EM algorithm; tolerance in utils
START = 2.0  # size of tastes to begin with, in utils
PRIOR_USERS = 0.5  # per coefficient
SMALLEST_SHARE = 1e-3  # of a variance of coefficients in their mean variance
LARGEST_GROWTH = 0.3  # of a principal axis in an iteration
NEWTON_STEPS = 4  # for every user, before the first M step
SMALLEST_SD, RIDGE = 1e-3, 1e-9
SOLVER_STEPS, SOLVER_TOLERANCE = 300, 1e-4  # of conjugate gradients, for the standard errors


class Pages(NamedTuple):
    """Pages by user: P pages with R rows together, F fixed features, D numbers of a vector; users 0 .. U - 1."""

    first_page: np.ndarray  # [U + 1] int64: the pages of user u are first_page[u] .. first_page[u + 1] - 1
    first_row: np.ndarray  # [P + 1] int64: likewise the rows of a page
    chosen: np.ndarray  # [P] int64: the row that was clicked, -1 = none
    item: np.ndarray  # [R] int32
    features: np.ndarray  # [R, F] float64: f_r
    price: np.ndarray  # [R] float64: -x_r; empty where price is no part of the utility
    vectors: np.ndarray  # [M, D] float64: q_j

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """U, M, F, and d, the number of random coefficients of a user."""
        dims = self.vectors.shape[1] + (1 if len(self.price) else 0)
        return len(self.first_page) - 1, len(self.vectors), self.features.shape[1], dims


class Scratch(NamedTuple):
    """Memory of the compiled passes."""

    weight: np.ndarray  # [longest page]
    z: np.ndarray  # [d]
    gradient: np.ndarray  # [d]
    centre: np.ndarray  # [max(d, F)]
    image: np.ndarray  # [d]
    hessian: np.ndarray  # [d, d]
    covariance: np.ndarray  # [d, d]

    @classmethod
    def of(cls, pages: Pages) -> Scratch:
        _, _, count, dims = pages.sizes
        longest = int(np.diff(pages.first_row).max())
        return cls(
            weight=np.zeros(longest),
            z=np.zeros(dims),
            gradient=np.zeros(dims),
            centre=np.zeros(max(count, dims)),
            image=np.zeros(dims),
            hessian=np.zeros((dims, dims)),
            covariance=np.zeros((dims, dims)),
        )


@dataclass(frozen=True)
class ChoiceModel:
    """An estimated model.

    Attributes:
        fixed: [F] phi.
        fixed_error: [F] standard errors, from the observed information: the Hessian at the centres, with the effects of
            items and users eliminated.
        item_effect: [M] a_j, posterior modes; 0 for an item that was never shown.
        item_sd: sd.
        item_error: [M] posterior standard deviations of a_j, given everything else.
        mean: [d] of b_u; 0 for the price, whose mean weight is in phi.
        cov: [d, d] of b_u.
        centres: [U, d] posterior means of b_u.
        factors: [U, d, d] lower Cholesky factors of their posterior precision.
        taste, taste_error: root of the mean squared norm of the taste part of b_u, and its standard error: robust
            (sandwich) over users, with the information that the pages lack about b_u taken off.
        iterations: of the EM algorithm.
        converged: whether the last iteration changed hardly anything.
        log_likelihood: of the pages, averaged over the posterior by the bound.
    """

    fixed: np.ndarray
    fixed_error: np.ndarray
    item_effect: np.ndarray
    item_sd: float
    item_error: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    centres: np.ndarray
    factors: np.ndarray
    taste: float
    taste_error: float
    iterations: int
    converged: bool
    log_likelihood: float

    def draws(self, seed: int = SEED) -> np.ndarray:
        """Draw every user's coefficients [U, d] from their posterior.

        Posterior means are shrunk towards the mean: people made of them would be more alike than those of the log.
        """
        normal = np.random.default_rng([seed, 1]).standard_normal(self.centres.shape)
        return _moved(self.centres, self.factors, normal)


def fit_choices(pages: Pages) -> ChoiceModel:
    """Estimate the model of these pages, some with a click and some without; no feature may be 0 everywhere."""
    users, items, count, dims = pages.sizes
    shown = np.bincount(pages.item, minlength=items) > 0
    fixed, effect, item_sd = np.zeros(count), np.zeros(items), 0.5
    mean, cov = np.zeros(dims), np.eye(dims) * (START**2 / pages.vectors.shape[1])
    centres, factors, lift = np.zeros((users, dims)), np.zeros((users, dims, dims)), np.zeros(len(pages.item))
    scratch = Scratch.of(pages)
    for _ in range(NEWTON_STEPS):  # towards the level of clicks, before tastes take it up
        effect, _ = _m_step(pages, fixed, effect, centres, lift, item_sd)
    before, converged, iteration = _summary(fixed, mean, cov, item_sd), False, 0
    likelihood = 0.0
    while not converged and iteration < ITERATIONS:
        iteration += 1
        precision = np.linalg.inv(cov)
        for _ in range(NEWTON_STEPS if iteration == 1 else 1):
            likelihood = user_steps(pages, scratch, fixed, effect, mean, precision, centres, factors, lift)
        effect, curvature = _m_step(pages, fixed, effect, centres, lift, item_sd)
        posterior = _posterior_covariances(factors)
        mean, cov = _population(centres, posterior, mean, precision, pages.vectors.shape[1])
        item_sd = float(np.sqrt(np.mean(effect[shown] ** 2 + 1.0 / curvature[shown])))
        now = _summary(fixed, mean, cov, item_sd)
        converged = bool(np.abs(now - before).max() < TOLERANCE)
        before = now
    fixed_error = _errors(pages, fixed, effect, centres, lift, np.linalg.inv(cov), item_sd, factors)
    taste, taste_error = _taste(centres, posterior, mean, cov, pages.vectors.shape[1])
    return ChoiceModel(
        fixed=fixed,
        fixed_error=fixed_error,
        item_effect=effect,
        item_sd=item_sd,
        item_error=1.0 / np.sqrt(curvature),
        mean=mean,
        cov=cov,
        centres=centres,
        factors=factors,
        taste=taste,
        taste_error=taste_error,
        iterations=iteration,
        converged=converged,
        log_likelihood=float(likelihood),
    )


def _summary(fixed: np.ndarray, mean: np.ndarray, cov: np.ndarray, item_sd: float) -> np.ndarray:
    """The numbers whose change decides on convergence."""
    return np.concatenate([fixed, mean, np.sqrt(np.diag(cov)), [item_sd]])


def _moved(centres: np.ndarray, factors: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Draws N(mode, posterior covariance) made of standard normal numbers [U, d]."""
    transposed = np.swapaxes(factors, 1, 2)
    return centres + np.linalg.solve(transposed, normal[..., None])[..., 0]


def _posterior_covariances(factors: np.ndarray) -> np.ndarray:
    half = np.linalg.solve(factors, np.broadcast_to(np.eye(factors.shape[1]), factors.shape))
    return np.swapaxes(half, 1, 2) @ half


def _population(
    centres: np.ndarray, posterior: np.ndarray, mean: np.ndarray, precision: np.ndarray, dims: int
) -> tuple[np.ndarray, np.ndarray]:
    """The M step for mean and covariance of the coefficients.

    Parameter expansion (Liu, Rubin & Wu 1998) speeds it up: a factor on each principal axis takes a Newton step on
    the likelihood of the pages. The covariance is pulled a little towards equal variances of the tastes, as if
    `PRIOR_USERS` more users had them.
    """
    users, d = centres.shape
    moments = posterior.sum(axis=0) + centres.T @ centres
    middle = np.where(np.arange(d) < dims, centres.mean(axis=0), 0.0)
    total = moments - users * np.outer(middle, middle)
    scale = np.diag(total).copy()
    scale[:dims] = scale[:dims].mean()
    weight = PRIOR_USERS * d / users
    cov = (total + weight * np.diag(scale)) / (users * (1.0 + weight))
    axes = np.zeros((d, d))  # of the tastes, and of the price
    axes[:dims, :dims] = np.linalg.eigh(np.linalg.inv(precision)[:dims, :dims])[1]
    axes[dims:, dims:] = np.eye(d - dims)
    informed = axes.T @ (np.linalg.inv(posterior) - precision) @ axes  # curvature of the pages alone
    spread, along = axes.T @ posterior @ axes, centres @ axes
    pull = ((centres - mean) @ precision @ axes * along).sum(axis=0)
    gradient = pull - np.einsum("uij,uji->i", informed, spread)
    bend = (informed * (spread + along[:, :, None] * along[:, None, :])).sum(axis=0)
    step = np.linalg.solve(bend + RIDGE * np.eye(d), gradient)
    factor = axes @ np.diag(1.0 + np.clip(step, -LARGEST_GROWTH, LARGEST_GROWTH)) @ axes.T
    size, axes = np.linalg.eigh(factor @ cov @ factor.T)
    floored = np.maximum(size, SMALLEST_SHARE * size.mean())
    return factor @ middle, (axes * floored) @ axes.T


def _m_step(
    pages: Pages, fixed: np.ndarray, effect: np.ndarray, centres: np.ndarray, lift: np.ndarray, item_sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """One Newton step for `fixed`, in place, and for the items' effects; return these and their curvature [M].

    The Hessian of the items is bounded by its part on the diagonal without the squares of probabilities, which makes
    the joint system an arrow that can be solved by elimination.
    """
    count, items = len(fixed), len(effect)
    gradient, hessian = np.zeros(count), np.zeros((count, count))
    item_gradient, item_hessian, cross = np.zeros(items), np.zeros(items), np.zeros((items, count))
    score(pages, Scratch.of(pages), fixed, effect, centres, lift, gradient, hessian, item_gradient, item_hessian, cross)
    prior = 1.0 / max(item_sd, SMALLEST_SD) ** 2
    item_gradient -= prior * effect
    item_hessian += prior
    ratio = cross / item_hessian[:, None]
    reduced = hessian - cross.T @ ratio
    step = np.linalg.solve(reduced + RIDGE * np.eye(count), gradient - ratio.T @ item_gradient)
    step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
    fixed += step
    return effect + (item_gradient - cross @ step) / item_hessian, item_hessian


def _taste(
    centres: np.ndarray, posterior: np.ndarray, mean: np.ndarray, cov: np.ndarray, dims: int
) -> tuple[float, float]:
    """The size of tastes and its standard error.

    The score of the size for a user is that of tr(cov) along cov^2, the direction in which complete data say least of
    it. What the pages lack (Louis 1982) is the posterior variance of this score.
    """
    b, v, sigma = centres[:, :dims], posterior[:, :dims, :dims], cov[:dims, :dims]
    squared = (b**2).sum(axis=1) + np.trace(v, axis1=1, axis2=2)
    size = float(squared.mean())
    deviation = b - mean[:dims]
    complete = 0.5 * float(np.trace(sigma @ sigma)) * len(b)
    lacking = float(0.5 * (v**2).sum() + np.einsum("ui,uij,uj->", deviation, v, deviation))
    known = complete - lacking
    if known <= 0:
        return size**0.5, float("inf")
    error = float(np.sqrt(((squared - size) ** 2).sum())) / len(b) * complete / known
    return size**0.5, error / (2 * size**0.5)


def _errors(
    pages: Pages,
    fixed: np.ndarray,
    effect: np.ndarray,
    centres: np.ndarray,
    lift: np.ndarray,
    precision: np.ndarray,
    item_sd: float,
    factors: np.ndarray,
) -> np.ndarray:
    """Standard errors of phi [F]: the diagonal of the inverse of the joint Hessian of phi, the mean tastes, the items'
    effects and the users' coefficients.

    Each column of the inverse is found by conjugate gradients, preconditioned by blocks on the diagonal.
    """
    users, items, count, dims = pages.sizes
    tastes = pages.vectors.shape[1]
    prior = 1.0 / max(item_sd, SMALLEST_SD) ** 2
    chance = np.zeros(len(pages.item))
    scratch = Scratch.of(pages)
    probabilities(pages, scratch, fixed, effect, centres, lift, chance)
    head = count + tastes
    block = np.zeros((head, head))
    block[:count, :count] = _fixed_block(pages, chance)
    block[count:, count:] = users * precision[:tastes, :tastes]
    block[np.diag_indices(head)] += RIDGE
    item_curvature = np.bincount(pages.item, chance, items) + prior
    covariance = _posterior_covariances(factors)

    def product(x: np.ndarray) -> np.ndarray:
        top, of_items, of_users = x[:head], x[head : head + items], x[head + items :].reshape(users, dims)
        result, in_users = np.zeros(len(x)), np.zeros((users, dims))
        parts = top[:count], of_items, of_users, result[:count], result[head : head + items], in_users
        curvature(pages, scratch, chance, *parts)
        of_users = of_users.copy()
        of_users[:, :tastes] -= top[count:]
        pull = of_users @ precision
        result[count:head] = -pull[:, :tastes].sum(axis=0)
        result[head : head + items] += prior * of_items
        result[head + items :] = (in_users + pull).ravel()
        return result

    def precondition(x: np.ndarray) -> np.ndarray:
        result = np.empty(len(x))
        result[:head] = np.linalg.solve(block, x[:head])
        result[head : head + items] = x[head : head + items] / item_curvature
        result[head + items :] = (covariance @ x[head + items :].reshape(users, dims, 1)).ravel()
        return result

    variance = np.zeros(count)
    for k in range(count):
        unit = np.zeros(head + items + users * dims)
        unit[k] = 1.0
        variance[k] = _solve(product, precondition, unit)[k]
    errors: np.ndarray = np.sqrt(np.maximum(variance, 0.0))
    return errors


def _fixed_block(pages: Pages, chance: np.ndarray) -> np.ndarray:
    """Hessian of phi alone."""
    f, starts = pages.features, pages.first_row[:-1]
    means = np.add.reduceat(chance[:, None] * f, starts, axis=0)
    block: np.ndarray = (f * chance[:, None]).T @ f - means.T @ means
    return block


def _solve(product: object, precondition: object, right: np.ndarray) -> np.ndarray:
    """Conjugate gradients for a symmetric positive definite system."""
    x, residual = np.zeros(len(right)), right.copy()
    z = precondition(residual)  # type: ignore[operator]
    direction, rho = z.copy(), float(residual @ z)
    first = rho
    for _ in range(SOLVER_STEPS):
        image = product(direction)  # type: ignore[operator]
        length = rho / float(direction @ image)
        x += length * direction
        residual -= length * image
        z = precondition(residual)  # type: ignore[operator]
        rho, last = float(residual @ z), rho
        if rho <= SOLVER_TOLERANCE**2 * first:
            break
        direction = z + rho / last * direction
    return x
