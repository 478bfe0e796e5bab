"""Passes over a log of pages, for `recsys_env.fitting`: its choices under a multinomial logit, and its habits.

`pages` are `fitting.choice_model.Pages`, and `scratch` is its `Scratch`.
"""

from __future__ import annotations

import numpy as np

from .machine.compiler import entry, kernel
from .machine.numeric import exp, log, log1p

LONGEST_STEP = 3.0  # of a Newton step for a user's coefficients, in utils per unit vector


@kernel
def _weigh(pages, fixed, effect, coefficients, lift, u, page, weight):
    """Fill weight[0 .. rows - 1] with the click probabilities of a page's rows; return log P of what was chosen."""
    first, stop = pages.first_row[page], pages.first_row[page + 1]
    dims, priced = pages.vectors.shape[1], pages.price.size > 0
    largest, chosen = 0.0, 0.0
    for r in range(first, stop):
        j = pages.item[r]
        v = effect[j] + lift[r]
        for k in range(fixed.size):
            v += fixed[k] * pages.features[r, k]
        for i in range(dims):
            v += coefficients[u, i] * pages.vectors[j, i]
        if priced:
            v += coefficients[u, dims] * pages.price[r]
        weight[r - first] = v
        largest = max(largest, v)
        if r == pages.chosen[page]:
            chosen = v
    total = exp(-largest)
    for r in range(stop - first):
        weight[r] = exp(weight[r] - largest)
        total += weight[r]
    for r in range(stop - first):
        weight[r] /= total
    return chosen - largest - log(total)


@entry
def user_steps(pages, scratch, fixed, effect, mean, precision, centres, factors, lift):
    """One Newton step for the posterior mean of every user's coefficients; returns the log-likelihood before it.

    Args:
        centres: [U, d] posterior means, moved in place.
        factors: [U, d, d] Cholesky factors of the posterior precision, 0 before the first call; replaced.
        lift: [R] what the posterior variance adds to v_r; replaced by half of |z_r - m|^2 - |m|^2 in the posterior
            covariance before the step, where m is the page's mean of z.
    """
    users, d = centres.shape
    dims = pages.vectors.shape[1]
    weight, z, gradient, h = scratch.weight, scratch.z, scratch.gradient, scratch.hessian
    middle, image, v = scratch.centre, scratch.image, scratch.covariance
    likelihood = 0.0
    for u in range(users):
        factor = factors[u]
        known = factor[0, 0] > 0.0
        if known:
            _invert(factor, v, z)
        for i in range(d):
            gradient[i] = 0.0
            for k in range(d):
                h[i, k] = precision[i, k]
                gradient[i] -= precision[i, k] * (centres[u, k] - mean[k])
        for page in range(pages.first_page[u], pages.first_page[u + 1]):
            likelihood += _weigh(pages, fixed, effect, centres, lift, u, page, weight)
            first, stop = pages.first_row[page], pages.first_row[page + 1]
            for i in range(d):
                middle[i] = 0.0
            for r in range(first, stop):
                p = weight[r - first]
                _fill(pages, dims, d, r, z)
                for i in range(d):
                    middle[i] += p * z[i]
                for i in range(d):
                    share = p * z[i]
                    for k in range(d):
                        h[i, k] += share * z[k]
            for i in range(d):
                share = middle[i]
                for k in range(d):
                    h[i, k] -= share * middle[k]
            none = 0.0
            if known:
                for i in range(d):
                    z[i] = -middle[i]
                none = _squared_norm(v, z, image)
            for r in range(first, stop):
                p = weight[r - first]
                _fill(pages, dims, d, r, z)
                miss = (1.0 if r == pages.chosen[page] else 0.0) - p
                for i in range(d):
                    gradient[i] += miss * z[i]
                    z[i] -= middle[i]
                lift[r] = 0.5 * (_squared_norm(v, z, image) - none) if known else 0.0
        _cholesky(h)
        _solve_factor(h, gradient)
        length = 0.0
        for i in range(d):
            length += gradient[i] * gradient[i]
            for k in range(d):
                factor[i, k] = h[i, k]
        length = min(1.0, LONGEST_STEP / max(np.sqrt(length), 1e-300))
        for i in range(d):
            centres[u, i] += length * gradient[i]
    return likelihood


@kernel
def _fill(pages, dims, d, r, z):
    """Fill z[d] with z_r."""
    j = pages.item[r]
    for i in range(dims):
        z[i] = pages.vectors[j, i]
    if d > dims:
        z[dims] = pages.price[r]


@kernel
def _squared_norm(v, z, image):
    """z' V z; V z is written to `image`, column by column, which vectorises."""
    d = z.size
    for i in range(d):
        image[i] = 0.0
    for k in range(d):
        share = z[k]
        for i in range(d):
            image[i] += share * v[k, i]
    total = 0.0
    for i in range(d):
        total += image[i] * z[i]
    return total


@kernel
def _invert(factor, v, z):
    """Fill v with the inverse of L L'."""
    d = z.size
    for column in range(d):
        for i in range(d):
            z[i] = 1.0 if i == column else 0.0
        _solve_factor(factor, z)
        for i in range(d):
            v[i, column] = z[i]


@kernel
def _cholesky(h):
    """Lower Cholesky factor of a positive definite matrix given by its lower triangle, in place."""
    d = h.shape[0]
    for i in range(d):
        for k in range(i + 1):
            total = h[i, k]
            for m in range(k):
                total -= h[i, m] * h[k, m]
            h[i, k] = np.sqrt(max(total, 1e-12)) if i == k else total / h[k, k]
        for k in range(i + 1, d):
            h[i, k] = 0.0


@kernel
def _solve_factor(factor, x):
    """Solve L L' y = x in place."""
    d = x.size
    for i in range(d):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]
    for back in range(d):
        i = d - 1 - back
        for k in range(i + 1, d):
            x[i] -= factor[k, i] * x[k]
        x[i] /= factor[i, i]


@entry
def score(pages, scratch, fixed, effect, centres, lift, gradient, hessian, item_gradient, item_hessian, cross):
    """Add to the arrays the gradient, averaged over the posterior by `lift`, and the curvature of the
    log-likelihood in phi and the items' effects."""
    count = fixed.size
    weight, middle = scratch.weight, scratch.centre
    for u in range(centres.shape[0]):
        for page in range(pages.first_page[u], pages.first_page[u + 1]):
            _weigh(pages, fixed, effect, centres, lift, u, page, weight)
            first, stop = pages.first_row[page], pages.first_row[page + 1]
            for k in range(count):
                middle[k] = 0.0
            for r in range(first, stop):
                p = weight[r - first]
                for k in range(count):
                    middle[k] += p * pages.features[r, k]
            for r in range(first, stop):
                p, j = weight[r - first], pages.item[r]
                miss = (1.0 if r == pages.chosen[page] else 0.0) - p
                item_gradient[j] += miss
                item_hessian[j] += p
                for k in range(count):
                    gradient[k] += miss * pages.features[r, k]
                    away = p * (pages.features[r, k] - middle[k])
                    cross[j, k] += away
                    for m in range(count):
                        hessian[k, m] += away * pages.features[r, m]


@entry
def probabilities(pages, scratch, fixed, effect, coefficients, lift, chance):
    """Fill chance[R] with every row's click probability."""
    weight = scratch.weight
    for u in range(coefficients.shape[0]):
        for page in range(pages.first_page[u], pages.first_page[u + 1]):
            _weigh(pages, fixed, effect, coefficients, lift, u, page, weight)
            first = pages.first_row[page]
            for r in range(first, pages.first_row[page + 1]):
                chance[r] = weight[r - first]


@entry
def curvature(pages, scratch, chance, of_fixed, of_items, of_users, in_fixed, in_items, in_users):
    """Add the product of minus the Hessian of the log-likelihood with a vector (phi [F], items [M], users [U, d])."""
    dims = pages.vectors.shape[1]
    moved = scratch.weight
    for u in range(of_users.shape[0]):
        for page in range(pages.first_page[u], pages.first_page[u + 1]):
            first, stop = pages.first_row[page], pages.first_row[page + 1]
            mean = 0.0
            for r in range(first, stop):
                j = pages.item[r]
                v = of_items[j]
                for k in range(of_fixed.size):
                    v += of_fixed[k] * pages.features[r, k]
                for i in range(dims):
                    v += of_users[u, i] * pages.vectors[j, i]
                if pages.price.size > 0:
                    v += of_users[u, dims] * pages.price[r]
                moved[r - first] = v
                mean += chance[r] * v
            for r in range(first, stop):
                j, change = pages.item[r], chance[r] * (moved[r - first] - mean)
                in_items[j] += change
                for k in range(of_fixed.size):
                    in_fixed[k] += change * pages.features[r, k]
                for i in range(dims):
                    in_users[u, i] += change * pages.vectors[j, i]
                if pages.price.size > 0:
                    in_users[u, dims] += change * pages.price[r]


@entry
def count_habits(first_page, first_row, item, consumed, decay, count, since, owner, habits, table_item, table_count):
    """Fill habits[R] with log(1 + n) and the tables with the largest counts, which fade by `decay` at each page.

    Args:
        consumed: [P] row that adds 1 to its item's count, -1 = none.
        count, since, owner: scratch [M]; owner is -1 everywhere.
    """
    size = table_item.shape[1]
    for u in range(first_page.size - 1):
        for page in range(first_page[u], first_page[u + 1]):
            for r in range(first_row[page], first_row[page + 1]):
                j = item[r]
                if owner[j] == u:
                    habits[r] = log1p(count[j] * decay ** (page - since[j]))
            r = consumed[page]
            if r >= 0:
                j = item[r]
                before = count[j] * decay ** (page - since[j]) if owner[j] == u else 0.0
                count[j], since[j], owner[j] = before + 1.0, page, u
        last = first_page[u + 1]
        for j in range(owner.size):
            if owner[j] == u:
                n = count[j] * decay ** (last - since[j])
                place = size
                while place > 0 and (table_item[u, place - 1] < 0 or table_count[u, place - 1] < n):
                    place -= 1
                if place < size:
                    for back in range(size - 1 - place):
                        at = size - 1 - back
                        table_item[u, at], table_count[u, at] = table_item[u, at - 1], table_count[u, at - 1]
                    table_item[u, place], table_count[u, place] = j, n
