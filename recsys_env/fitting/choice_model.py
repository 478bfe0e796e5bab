"""Multinomial logit of the clicks on pages, with an outside option and random coefficients, by Monte Carlo.

A row r of a page shows item j to user u. The page's click is on row r with probability
exp(v_r) / (1 + sum_s exp(v_s)) of the rows s of the page, and

    v_r = phi f_r + a_j + (b_u + c h_u) z_r,        a_j ~ N(0, sd^2),        b_u ~ N(mean_s, diag(variance)).

f_r are features with fixed coefficients phi: 1 (minus what choosing nothing is worth), -log rank and [rank = 1]
(examination multiplies the odds), log(1 + n) of habits, log(1 + popularity), the item's mean log price, and where
prices move minus the log price. So a_j is the part of an item's appeal that popularity and mean price do not tell. z_r
is the item's vector, followed by minus its log price. s is the user's segment: people gather around tastes, such as
topics. A single normal distribution takes the gathering for stronger tastes. Of more segments than there are, some stay
nearly empty.

h_u summarises what the user was shown at first (`shown_to_users`). A policy that knows a user's taste shows what the
user likes, and shows it further up. If tastes were taken to be independent of that, the part of a taste that the clicks
do not tell would look like an effect of the position. So what was shown counts as a sign of the taste, as strong as the
clicks say: h_u z_r is a feature of the row, and c a fixed coefficient. A user's taste is b_u + c h_u.

Estimates are means of the posterior distribution, and standard errors are its standard deviations. An iteration of the
sampler draws, given all others:

- segment and coefficients of every user, proposed at once from a Gaussian approximation of the user's likelihood; then
  the coefficients by elliptical slice sampling. The ellipse is that of the prior times the approximation. It needs no
  step size, and where the approximation is good, draws are nearly independent;
- the mean of a segment together with the coefficients of its users, likewise; then means, variances and the shares of
  segments from their normal, inverse gamma and Dirichlet distributions;
- phi, the items' levels, and factors of the segments' tastes and of the deviations from them, at once, by Hamiltonian
  Monte Carlo with the curvature as mass. Without the factors, the size of tastes would hardly move where users have few
  clicks;
- what popularity explains of the items' levels, together with a shift of all tastes against these levels; and sd.

Priors are weak: of phi N(0, 10^2), of sd a uniform one, and of the standard deviations of tastes half-t distributions
with 2 degrees of freedom in the principal axes of the items' vectors. Their scale is `SPREAD` between segments. A wider
one finds some taste along every axis, which makes tastes too strong where they are absent along most axes. A narrower
one makes them too weak where users have few clicks. Within segments it is smaller the more axes there are, so that the
prior of a deviation's size does not depend on their number.

Sources: McFadden 1974 (logit); Revelt & Train 1998 (random coefficients); Rossi, Allenby & McCulloch 2005 (their
posterior by Markov chain Monte Carlo, also with segments); Mundlak 1978 and Chamberlain 1980 (random effects that
depend on what was observed); Rousseau & Mengersen 2011 (more segments than there are);
Murray, Adams & MacKay 2010 and Nishihara, Murray & Adams 2014 (elliptical slice sampling); Neal 2011 (Hamiltonian Monte
Carlo); Liu & Sabatti 2000 (moves of scale and location); Yu & Meng 2011 (means that move with those around them);
Gelman 2006 and Huang & Wand 2013 (half-t priors); Gelfand, Sahu & Carlin 1995 (hierarchical centring); Vehtari et al.
2021 (split R-hat); Geyer 1992 (effective draws).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..kernels.page_choices import (
    FACTORS,
    appeals,
    approximate_users,
    curvatures,
    draw_users,
    likings,
    shift_segments,
    slopes,
)
from ..libraries import library
from .choice_data import Pages, with_signs

SEED = 0
START, START_SD = 2.0, 0.5  # size of tastes, and sd, to begin with, in utils
NEWTON_STEPS = 5  # for phi, the items and the users, before the first draw
SEGMENTS, CONCENTRATION = 16, 0.5  # the second of the prior of their shares
STARTED_WITHIN = 0.25  # variance of tastes within segments over that between them, to begin with
ADAPTATION, SETTLING, DRAWS = 250, 50, 600  # iterations
SAMPLED = 30  # draws of the users' tastes that are kept
REFRESHED, AVERAGED = 5, 0.2  # iterations between approximations of likelihoods; weight of a later one in their mean
REPORTED = 100  # iterations between messages
PHI_SD, SPREAD, SMALLEST_SHARE = 10.0, 1.0, 1e-300  # of the priors
LEAPS, LEAPS_ACCEPTED = 3, 0.8  # of Hamiltonian Monte Carlo: steps of a move, and share of moves to accept
START_STEP, LARGEST_STEP = 0.3, 1.4  # of these steps, in posterior standard deviations
SMALLEST_SD, SMALLEST_VARIATION = 1e-3, 1e-6
DIGITS = 9  # of vectors that are equal but for rounding
LARGEST_LOG = 100.0  # of what a move that goes astray may reach; it is refused
LARGEST_RHAT = 1.1

_log = logging.getLogger("recsys_env.fitting")


class Scratch(NamedTuple):
    """Memory of the compiled passes."""

    utility: np.ndarray  # [n], the most rows of a user, or F
    odds: np.ndarray  # [n]
    middle: np.ndarray  # [n]
    along: np.ndarray  # [n]
    across: np.ndarray  # [n]
    z: np.ndarray  # [d]
    centre: np.ndarray  # [d]
    away: np.ndarray  # [d]
    noise: np.ndarray  # [d]
    total: np.ndarray  # [d]
    chance: np.ndarray  # [S]
    factor: np.ndarray  # [d, d]
    sum: np.ndarray  # [d, d]

    @classmethod
    def of(cls, pages: Pages) -> Scratch:
        _, _, count, dims = pages.sizes
        most = max(int(np.diff(pages.first_row[pages.first_page]).max()), count + FACTORS)
        of_rows, of_user = [np.zeros(most) for _ in range(5)], [np.zeros(dims) for _ in range(5)]
        matrices = [np.zeros((dims, dims)) for _ in range(2)]
        return cls._make([*of_rows, *of_user, np.zeros(SEGMENTS), *matrices])


@dataclass(frozen=True)
class ChoiceModel:
    """An estimated model: means of the posterior distribution, where nothing else is said."""

    fixed: np.ndarray  # [F] phi
    fixed_error: np.ndarray  # [F] its posterior standard deviations
    item_effect: np.ndarray  # [M] a_j; 0 for an item that was never shown
    item_sd: float  # sd
    price_sd: float  # standard deviation of the weight of the price between users
    centres: np.ndarray  # [U, d] tastes, and by how much weights of minus the log price deviate from their mean
    people: np.ndarray  # [U, d] the same, one draw: people made of means would be more alike than those of the log
    sampled: np.ndarray  # [SAMPLED, U, d] f4 the same: draws from all over the chain
    taste: float  # root of the mean squared norm of the tastes of the users of the log
    taste_error: float
    draws: int  # of the sampler, after it has settled
    effective: np.ndarray  # [G + F + 2] independent draws that tell the mean of c, phi, taste and item_sd as precisely
    rhat: np.ndarray  # [G + F + 2] split R-hat of these, 1 where the quarters of the draws agree

    @property
    def settled(self) -> bool:
        """Whether the parts of the draws agree."""
        return bool((self.rhat < LARGEST_RHAT).all())


class Centred(NamedTuple):
    """Features with the mean of their item taken off.

    The level of an item is what its mean features contribute, plus its effect a_j. Given the levels, features that are
    constant within items have no other influence, and the others hardly depend on the levels, so that each mixes well
    (hierarchical centring, Gelfand, Sahu & Carlin 1995).
    """

    pages: Pages  # with the centred features that vary within items
    varying: np.ndarray  # [F] whether a feature does
    means: np.ndarray  # [M, F]
    constant: np.ndarray  # [M, G] means of the features that do not vary
    tilt: np.ndarray  # [M, F - G] means of those that do, less their projection on `constant`
    projection: np.ndarray  # [G, F - G]

    @classmethod
    def of(cls, pages: Pages) -> Centred:
        items, count = len(pages.vectors), pages.features.shape[1]
        shown = np.maximum(np.bincount(pages.item, minlength=items), 1)
        columns = [np.bincount(pages.item, pages.features[:, k], items) / shown for k in range(count)]
        means = np.stack(columns, axis=1)
        varying = np.zeros(count, bool)
        kept = []
        for k in range(count):
            away = pages.features[:, k] - means[pages.item, k]
            varying[k] = float(np.abs(away).max()) > SMALLEST_VARIATION
            if varying[k]:
                kept.append(away)
        features = np.stack(kept, axis=1) if kept else np.zeros((len(pages.item), 0))
        constant = means[:, ~varying]
        projection = np.linalg.lstsq(constant, means[:, varying], rcond=None)[0]
        tilt = means[:, varying] - constant @ projection
        return cls(pages._replace(features=features), varying, means, constant, tilt, projection)


class Metric(NamedTuple):
    """An arrow matrix: phi in its head, and a diagonal part for the items."""

    head: np.ndarray  # [F, F]
    items: np.ndarray  # [M]
    cross: np.ndarray  # [M, F]

    def with_prior(self, precision: float | np.ndarray, item_precision: float, tilt: np.ndarray) -> Metric:
        """Add precisions of the priors of phi (on the diagonal) and of the levels less tilt[M, F] phi."""
        head = self.head + precision * np.eye(len(self.head)) + item_precision * tilt.T @ tilt
        return Metric(head, self.items + item_precision, self.cross - item_precision * tilt)

    def _reduced(self) -> np.ndarray:
        reduced: np.ndarray = self.head - self.cross.T @ (self.cross / self.items[:, None])
        return reduced

    def draw(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw from the normal distribution with this covariance."""
        item_noise = random.standard_normal(len(self.items))
        noise = np.linalg.cholesky(self._reduced()) @ random.standard_normal(len(self.head))
        return noise + self.cross.T @ (item_noise / np.sqrt(self.items)), item_noise * np.sqrt(self.items)

    def solve(self, x: np.ndarray, of_items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse times a vector."""
        found = np.linalg.solve(self._reduced(), x - self.cross.T @ (of_items / self.items))
        return found, (of_items - self.cross @ found) / self.items


class Sampler:
    """The state of the Markov chain.

    `phi` are the coefficients of features that vary within items; `gamma` is what the means of features contribute to
    the levels of items, beside `phi` times their tilt. Vectors and tastes are in the principal axes of the items.
    """

    def __init__(self, pages: Pages, signs: np.ndarray | None = None, seed: int = SEED) -> None:
        users, items, _, d = pages.sizes
        self.signs = np.zeros((0, users, pages.vectors.shape[1])) if signs is None else signs
        pages = with_signs(pages, self.signs)
        self.centred = Centred.of(pages)
        self.axes = np.linalg.eigh(pages.vectors.T @ pages.vectors)[1]
        self.pages = self.centred.pages._replace(vectors=np.ascontiguousarray(pages.vectors @ self.axes))
        self.dims = pages.vectors.shape[1]
        self.shown = np.bincount(pages.item, minlength=items) > 0
        self.random = np.random.default_rng([seed, 1])
        count = self.pages.features.shape[1]
        self.phi, self.gamma = np.zeros(count), np.zeros(self.centred.constant.shape[1])
        self.level, self.item_sd = np.zeros(items), START_SD
        self.segment, self.share = np.zeros(users, np.int64), np.full(SEGMENTS, 1.0 / SEGMENTS)
        self.means, self.users = np.zeros((SEGMENTS, d)), np.zeros((users, d))
        self.between, self.within = (np.full(d, START**2 / self.dims) for _ in range(2))  # variances
        self.spread = np.where(np.arange(d) < self.dims, SPREAD * self.dims**-0.5, SPREAD)
        self.between_scale, self.within_scale = self.between.copy(), self.within.copy()  # of their priors
        self._common, self._own, self._sensitivity, self._appeal = (np.zeros(len(pages.item)) for _ in range(4))
        self._scratch = Scratch.of(self.pages)
        self._modes, self._slope, self._curvature = np.zeros((users, d)), np.zeros((users, d)), np.zeros((users, d, d))
        head = count + FACTORS
        self._metric = Metric(np.zeros((head, head)), np.zeros(items), np.zeros((items, head)))
        self.step_size = START_STEP
        for _ in range(NEWTON_STEPS):
            self._newton()
        for _ in range(NEWTON_STEPS):
            self.approximate_users()
        self._place_segments()
        self._draw_users()

    @property
    def coefficients(self) -> np.ndarray:
        """[U, d] tastes, and by how much weights of minus the log price deviate from their mean over the users."""
        found = self.users - self._price_shift
        found[:, : self.dims] = self.users[:, : self.dims] @ self.axes.T
        found[:, : self.dims] += np.tensordot(self.fixed[: len(self.signs)], self.signs, 1)
        return found

    @property
    def taste(self) -> float:
        """Root of the mean squared norm of tastes."""
        return float(np.sqrt((self.coefficients[:, : self.dims] ** 2).sum(axis=1).mean()))

    @property
    def fixed(self) -> np.ndarray:
        """[G + F] c and phi. The coefficient of minus the log price is the mean over the users of the log."""
        varying, fixed = self.centred.varying, np.zeros(len(self.centred.varying))
        fixed[varying] = self.phi
        fixed[~varying] = self.gamma - self.centred.projection @ self.phi
        fixed[-1] += self._price_shift[-1]
        return fixed

    @property
    def _price_shift(self) -> np.ndarray:
        """[d] the mean over users of their deviations in the weight of the price, in the last place; 0 elsewhere.

        Segments are centred around the coefficient of the price, whatever their number of users (`_move_price`).
        """
        shift = np.zeros(self.users.shape[1])
        shift[self.dims :] = self.users[:, self.dims :].mean(axis=0)
        return shift

    @property
    def effect(self) -> np.ndarray:
        """[M] the items' effects, 0 for items that were never shown."""
        expected = self.centred.constant @ self.gamma + self.centred.tilt @ self.phi
        return np.where(self.shown, self.level - expected, 0.0)

    def utilities(self) -> np.ndarray:
        """[R] v_r, of all rows."""
        appeals(self.pages, self.phi, self.level, self._appeal)
        return self._appeal + sum(self._like())

    def step(self, adaptation: float = 0.0) -> None:
        """Do one iteration. `adaptation`: how fast the size of steps adapts; only in the first iterations."""
        self._draw_users()
        self._shift_segments()
        self._draw_population()
        self._draw_levels(adaptation)
        self._draw_regression()

    def adapt(self, iteration: int, of: int) -> None:
        """Do one of the first `of` iterations, in which the approximations and the size of steps follow the chain."""
        if iteration % REFRESHED == 0:
            self.measure(1.0 if iteration < of // 2 else AVERAGED)
            self.approximate_users()
        self.step((1.0 + iteration) ** -0.5)

    def approximate_users(self) -> None:
        """Approximate the likelihoods of the users' coefficients, which only the first iterations may do again."""
        prior = self.segment, self.means, 1.0 / self.within
        found = self._modes, self._curvature, self._slope
        appeals(self.pages, self.phi, self.level, self._appeal)
        approximate_users(self.pages, self._scratch, self._appeal, *prior, *found)

    def measure(self, weight: float) -> None:
        """Take the present curvature into the metric, with this weight beside earlier ones; likewise."""
        now = Metric(*(np.zeros_like(part) for part in self._metric))
        state = self._with_factors(self.phi), self.level, *self._like()
        curvatures(self.pages, self._scratch, *state, *now)
        for old, new in zip(self._metric, now, strict=True):
            old += weight * (new - old)

    def _newton(self) -> None:
        """Move phi and the levels towards their mode, before there are tastes."""
        self.measure(1.0)
        phi = self._with_factors(self.phi)
        _, gradient, item_gradient = self._slopes(phi, self.level)
        metric = self._metric.with_prior(1.0, 1.0, np.zeros_like(self._metric.cross))
        step, item_step = metric.solve(gradient - phi, item_gradient - self.level)
        self.phi += step[:-FACTORS]
        self.level += item_step
        self._draw_regression()

    def _place_segments(self) -> None:
        """Let the segments' tastes begin at clusters of the items, of which people like one or another."""
        vectors = self.pages.vectors[self.shown]
        count = min(SEGMENTS, len(np.unique(vectors.round(DIGITS), axis=0)))
        clusters = library("sklearn.cluster", "fit").KMeans(count, n_init=3, random_state=SEED).fit(vectors)
        centres = clusters.cluster_centers_
        length = np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), SMALLEST_SD)
        self.means[:count, : self.dims] = START * centres / length
        self.within *= STARTED_WITHIN

    def _draw_users(self) -> None:
        appeals(self.pages, self.phi, self.level, self._appeal)
        pulls = self.means / self.within
        prior = pulls, np.log(self.share) - 0.5 * (pulls * self.means).sum(axis=1), 1.0 / self.within
        approximation = self._curvature, self._slope
        drawn = self.segment, self.users
        draw_users(self.pages, self._scratch, self._appeal, *prior, *approximation, self.key(), *drawn)

    def _shift_segments(self) -> None:
        """Draw the segments' means, with the users' deviations from them as they are."""
        utility = self.utilities()
        prior = self.segment, 1.0 / self.between
        approximation = self._curvature, self._slope
        memory, drawn = (self._common, self._own), (self.means, self.users)
        shift_segments(self.pages, self._scratch, utility, *memory, *prior, *approximation, self.key(), *drawn)

    def _draw_population(self) -> None:
        """Draw shares and means of the segments, variances between and within them, and the scales of their priors."""
        d = self.users.shape[1]
        count = np.bincount(self.segment, minlength=SEGMENTS)
        self.share = np.maximum(self.random.dirichlet(count + CONCENTRATION), SMALLEST_SHARE)
        total = np.zeros((SEGMENTS, d))
        np.add.at(total, self.segment, self.users)
        precision = count[:, None] / self.within + 1.0 / self.between
        noise = self.random.standard_normal(total.shape)
        self.means = total / self.within / precision + noise / np.sqrt(precision)
        if d > self.dims:
            self._move_price()
        away = self.users - self.means[self.segment]
        self.between, self.between_scale = self._draw_variance(self.means, self.between, np.full(d, SPREAD))
        self.within, self.within_scale = self._draw_variance(away, self.within, self.spread)

    def _draw_variance(self, away: np.ndarray, before: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw the scales [d] of the priors of variances, then the variances [d] of these rows around 0."""
        scale = self.random.gamma(1.5, size=len(before)) / (spread**-2 + 2.0 / before)
        rate = 2.0 * scale + 0.5 * (away**2).sum(axis=0)
        return rate / self.random.gamma(1.0 + 0.5 * len(away), size=len(before)), scale

    def _move_price(self) -> None:
        """Move weight of the price between the segments' means and the fixed coefficient, that of the last feature."""
        centred = self.centred
        of_prices = self.means[:, self.dims]
        moved = self.random.normal(of_prices.mean(), np.sqrt(self.between[self.dims] / SEGMENTS))
        of_prices -= moved
        self.users[:, self.dims] -= moved
        if centred.varying[-1]:
            self.phi[-1] += moved
            self.gamma += moved * centred.projection[:, -1]
        else:
            self.gamma[-1] += moved
        self.level += moved * centred.means[:, -1]

    def _like(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[R] what the tastes of segments, the users' deviations from them, and prices add to the utilities."""
        parts = self._common, self._own, self._sensitivity
        likings(self.pages, self.segment, self.means, self.users, *parts)
        return parts

    def key(self) -> np.uint64:
        """Return a new key for the random numbers of a compiled pass."""
        return np.uint64(self.random.integers(2**64, dtype=np.uint64))

    @staticmethod
    def _with_factors(phi: np.ndarray, factors: float | list[float] = 0.0) -> np.ndarray:
        """[F + 3] phi, followed by numbers for the factors (the logarithms of 1)."""
        return np.append(phi, np.broadcast_to(factors, FACTORS))

    def _slopes(self, phi: np.ndarray, level: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log-likelihood and its gradients."""
        gradient, item_gradient = np.zeros(len(phi)), np.zeros(len(level))
        state = self._common, self._own, self._sensitivity, gradient, item_gradient
        return slopes(self.pages, self._scratch, phi, level, *state), gradient, item_gradient

    def _draw_levels(self, adaptation: float) -> None:
        """Draw phi, the levels of items, and the three factors by Hamiltonian Monte Carlo, with gamma integrated out.
        The factors multiply the standard deviations as well."""
        d, dims = len(self.within), self.dims
        self._like()
        constant = self.centred.constant[self.shown]
        tilt = np.concatenate([self.centred.tilt, np.zeros((len(self.level), FACTORS))], axis=1)
        prior = self.item_sd**-2
        inner = np.linalg.inv(constant.T @ constant + np.eye(len(self.gamma)) * self.item_sd**2 / PHI_SD**2)
        known = self._with_factors(np.full(len(self.phi), PHI_SD**-2))
        powers = self._with_factors(np.zeros(len(self.phi)), [dims, dims, 2 * (d - dims)])
        between, within = self.between_scale / SPREAD**2, self.within_scale / self.spread**2
        scales = [between[:dims].sum(), within[:dims].sum(), (between + within)[dims:].sum()]
        rates = self._with_factors(np.zeros(len(self.phi)), scales)

        def density(phi: np.ndarray, level: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            """Logarithm of the posterior density, and its gradients."""
            value, gradient, item_gradient = self._slopes(phi, level)
            rest = np.where(self.shown, level - tilt @ phi, 0.0)
            pull = prior * rest
            pull[self.shown] -= prior * constant @ (inner @ (constant.T @ rest[self.shown]))
            squared = rates * np.exp(np.minimum(2.0 * phi, LARGEST_LOG))
            gradient += tilt.T @ pull - known * phi + powers - 2.0 * squared
            value += float(powers @ phi - squared.sum() - 0.5 * (rest @ pull + known @ phi**2))
            return value, gradient, item_gradient - pull

        metric = self._metric.with_prior(1.0 + 4.0 * rates, prior, tilt)
        phi, level = self._with_factors(self.phi), self.level.copy()
        momentum, item_momentum = metric.draw(self.random)
        value, slope, item_slope = density(phi, level)
        move, item_move = metric.solve(momentum, item_momentum)
        before = value - 0.5 * float(momentum @ move + item_momentum @ item_move)
        step = self.step_size * self.random.uniform(0.8, 1.0)
        for _ in range(LEAPS):
            momentum += 0.5 * step * slope
            item_momentum += 0.5 * step * item_slope
            move, item_move = metric.solve(momentum, item_momentum)
            phi += step * move
            level[self.shown] += step * item_move[self.shown]
            value, slope, item_slope = density(phi, level)
            momentum += 0.5 * step * slope
            item_momentum += 0.5 * step * item_slope
        move, item_move = metric.solve(momentum, item_momentum)
        after = value - 0.5 * float(momentum @ move + item_momentum @ item_move)
        chance = float(np.exp(min(after - before, 0.0))) if np.isfinite(after) else 0.0
        self.step_size = min(self.step_size * float(np.exp(adaptation * (chance - LEAPS_ACCEPTED))), LARGEST_STEP)
        if self.random.uniform() < chance:
            self.phi, self.level = phi[:-FACTORS], level
            common, own, of_price = phi[-FACTORS:]
            between, within = (np.exp(np.where(np.arange(d) < dims, f, of_price)) for f in (common, own))
            away = (self.users - self.means[self.segment]) * within
            self.means *= between
            self.users = self.means[self.segment] + away
            self.between *= between**2
            self.between_scale *= between**2
            self.within *= within**2
            self.within_scale *= within**2

    def _draw_regression(self) -> None:
        """Draw gamma together with a shift of all tastes that leaves every utility as it is; then the standard
        deviation of the items' effects."""
        vectors, constant = self.pages.vectors[self.shown], self.centred.constant[self.shown]
        count, dims = len(self.gamma), self.dims
        design = np.concatenate([constant, vectors], axis=1)
        precision = design.T @ design / self.item_sd**2
        precision[:count, :count] += np.eye(count) * PHI_SD**-2
        precision[count:, count:] += np.diag(SEGMENTS / self.between[:dims])
        rest = (self.level - self.centred.tilt @ self.phi)[self.shown]
        linear = design.T @ rest / self.item_sd**2
        linear[count:] -= self.means[:, :dims].sum(axis=0) / self.between[:dims]
        found = _normal(self.random, linear, precision)
        self.gamma, shift = found[:count], found[count:]
        self.means[:, :dims] += shift
        self.users[:, :dims] += shift
        self.level -= self.pages.vectors @ shift
        effects = self.effect[self.shown]
        self.item_sd = float(np.sqrt((effects @ effects) / self.random.chisquare(max(len(effects) - 1, 1))))
        self.item_sd = max(self.item_sd, SMALLEST_SD)


def _normal(random: np.random.Generator, linear: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Draw from the normal distribution with density proportional to exp(linear x - x' precision x / 2)."""
    root = np.linalg.cholesky(precision)
    noise = random.standard_normal(len(linear))
    draw: np.ndarray = np.linalg.solve(root.T, np.linalg.solve(root, linear) + noise)
    return draw


def fit_choices(pages: Pages, signs: np.ndarray | None = None) -> ChoiceModel:
    """Estimate the model of these pages, some with a click and some without; no feature may be 0 everywhere.

    The logger "recsys_env.fitting" tells the progress at level INFO.

    Args:
        signs: [G, U, D] of tastes, as of `shown_to_users`; None: there are none.
    """
    chain = Sampler(pages, signs)
    for iteration in range(ADAPTATION):
        _tell(iteration, pages)
        chain.adapt(iteration, ADAPTATION)
    trace, sampled, kept = [], [], np.linspace(0, DRAWS - 1, SAMPLED).astype(int).tolist()
    effects, centres, price_sd = np.zeros_like(chain.level), np.zeros_like(chain.users), 0.0
    for iteration in range(SETTLING + DRAWS):
        _tell(ADAPTATION + iteration, pages)
        chain.step()
        if iteration >= SETTLING:
            trace.append([*chain.fixed, chain.taste, chain.item_sd])
            effects += chain.effect / DRAWS
            centres += chain.coefficients / DRAWS
            price_sd += float(chain.users[:, -1].std()) / DRAWS
            if iteration - SETTLING in kept:
                sampled.append(chain.coefficients.astype(np.float32))
    table = np.array(trace)
    middle, error, phi = table.mean(axis=0), table.std(axis=0), slice(len(chain.signs), -2)
    return ChoiceModel(
        fixed=middle[phi],
        fixed_error=error[phi],
        item_effect=effects,
        item_sd=float(middle[-1]),
        price_sd=price_sd,
        centres=centres,
        people=chain.coefficients,
        sampled=np.stack(sampled),
        taste=float(middle[-2]),
        taste_error=float(error[-2]),
        draws=DRAWS,
        effective=np.array([effective_draws(column) for column in table.T]),
        rhat=np.array([split_rhat(column) for column in table.T]),
    )


def _tell(iteration: int, pages: Pages) -> None:
    if iteration % REPORTED == 0:
        _log.info(f"estimate choices on {len(pages.chosen):,} pages: {iteration} of {ADAPTATION + SETTLING + DRAWS}")


def split_rhat(draws: np.ndarray) -> float:
    """Root of the variance of all draws over the mean variance within quarters of them."""
    parts = draws[: len(draws) // 4 * 4].reshape(4, -1)
    within, between = parts.var(axis=1, ddof=1).mean(), parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt((parts.shape[1] - 1) / parts.shape[1] + between / within)) if within > 0 else 1.0


def effective_draws(draws: np.ndarray) -> float:
    """Number of independent draws whose mean would be as precise (Geyer 1992, initial positive sequence)."""
    away, n = draws - draws.mean(), len(draws)
    spectrum = np.abs(np.fft.rfft(away, 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[:n]
    if correlation[0] <= 0:
        return float(n)
    correlation = correlation / correlation[0]
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    return float(n / max(2.0 * pairs[:stop].sum() - 1.0, 1.0 / n))
