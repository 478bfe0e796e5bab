"""Passes over a log of pages, for `recsys_env.fitting`: its choices under a multinomial logit, and its habits.

`pages` are `fitting.choice_data.Pages`, and `scratch` is `fitting.choice_model.Scratch`.
"""

from __future__ import annotations

import numpy as np

from .machine import rng
from .machine.compiler import entry, kernel
from .machine.numeric import exp, exp_all, log, log1p

LONGEST_STEP = 3.0  # of a Newton step for a user's coefficients, in utils per unit vector
SHRINKAGES = 60  # of a bracket of angles, after which it has no width
LARGEST_ODDS = 1e250  # far more than any log has; beyond, exp is cut off
NOISE, LEVEL, ANGLE, SEGMENT, PROPOSAL, ACCEPTANCE = 0, 1, 2, 3, 4, 5  # events of a draw
FACTORS = 3  # of tastes of segments, deviations from them, and price sensitivities, after the coefficients phi


@kernel
def _fill(pages, r, z):
    """Fill z[d] with z_r: the item's vector, and its price if it is part of the utility."""
    j, dims = pages.item[r], pages.vectors.shape[1]
    for i in range(dims):
        z[i] = pages.vectors[j, i]
    if z.size > dims:
        z[dims] = pages.price[r]


@kernel
def _log_likelihood(pages, first, stop, utility, odds):
    """Log-likelihood of pages first .. stop - 1, given the utilities of their rows, beginning at utility[0]."""
    offset = pages.first_row[first]
    exp_all(utility, odds, 0, pages.first_row[stop] - offset)
    likelihood = 0.0
    for page in range(first, stop):
        total = 1.0
        for r in range(pages.first_row[page] - offset, pages.first_row[page + 1] - offset):
            total += odds[r]
        likelihood -= log(total) if total < LARGEST_ODDS else np.inf
        if pages.chosen[page] >= 0:
            likelihood += utility[pages.chosen[page] - offset]
    return likelihood


@entry
def appeals(pages, phi, level, appeal):
    """Fill appeal[R] with level_j + phi f_r."""
    for r in range(appeal.size):
        total = level[pages.item[r]]
        for k in range(phi.size):
            total += phi[k] * pages.features[r, k]
        appeal[r] = total


@entry
def approximate_users(pages, scratch, appeal, segment, means, precision, modes, curvature, slope):
    """Approximate the log-likelihood of every user's coefficients x by slope x - x' curvature x / 2 at the mode so far,
    and move the mode of the posterior by a Newton step.

    Args:
        segment, means, precision: [U], [S, d] and [d], of the prior of x, whose covariance is diagonal.
        modes: [U, d], moved in place.
        curvature, slope: [U, d, d] and [U, d], replaced.
    """
    users, d = modes.shape
    chance, z, centre, gradient, factor = scratch.odds, scratch.z, scratch.centre, scratch.away, scratch.factor
    for u in range(users):
        h, mode, mean = curvature[u], modes[u], means[segment[u]]
        for i in range(d):
            gradient[i] = 0.0
            for k in range(d):
                h[i, k] = 0.0
        for page in range(pages.first_page[u], pages.first_page[u + 1]):
            first, stop = pages.first_row[page], pages.first_row[page + 1]
            total = 1.0
            for r in range(first, stop):
                _fill(pages, r, z)
                v = appeal[r]
                for i in range(d):
                    v += mode[i] * z[i]
                chance[r - first] = exp(v)
                total += chance[r - first]
            for i in range(d):
                centre[i] = 0.0
            for r in range(first, stop):
                p = chance[r - first] / total
                miss = (1.0 if r == pages.chosen[page] else 0.0) - p
                _fill(pages, r, z)
                for i in range(d):
                    centre[i] += p * z[i]
                    gradient[i] += miss * z[i]
                    share = p * z[i]
                    for k in range(d):
                        h[i, k] += share * z[k]
            for i in range(d):
                share = centre[i]
                for k in range(d):
                    h[i, k] -= share * centre[k]
        for i in range(d):
            slope[u, i] = gradient[i]
            for k in range(d):
                slope[u, i] += h[i, k] * mode[k]
            gradient[i] -= precision[i] * (mode[i] - mean[i])
        _factorise(h, precision, factor)
        _solve_lower(factor, gradient)
        _solve_upper(factor, gradient)
        length = 0.0
        for i in range(d):
            length += gradient[i] * gradient[i]
        length = min(1.0, LONGEST_STEP / max(np.sqrt(length), 1e-300))
        for i in range(d):
            mode[i] += length * gradient[i]


@kernel
def _excess(pages, scratch, appeal, first, stop, h, slope, x):
    """Log-likelihood of a user's coefficients x over its approximation by `approximate_users`."""
    base, d = pages.first_row[first], x.size
    utility, z = scratch.utility, scratch.z
    for r in range(pages.first_row[stop] - base):
        _fill(pages, base + r, z)
        utility[r] = appeal[base + r]
        for i in range(d):
            utility[r] += z[i] * x[i]
    return _log_likelihood(pages, first, stop, utility, scratch.odds) - _quadratic(h, slope, x)


@kernel
def _quadratic(h, slope, x):
    """slope x - x' h x / 2"""
    total = 0.0
    for i in range(x.size):
        image = 0.0
        for k in range(x.size):
            image += h[i, k] * x[k]
        total += (slope[i] - 0.5 * image) * x[i]
    return total


@kernel
def judge(own, attempt, found, level, angle, least, most):
    """Judge an angle of an elliptical slice step by the log-density `found` there. Attempt 0 is the present state, at
    angle 0, which sets the level that an angle must reach.

    Returns:
        whether the angle is taken; the level; the next angle, and the bracket that it was drawn from.
    """
    if attempt == 0:
        most = 2.0 * np.pi * rng.uniform(own, ANGLE, 0)
        return False, found + log(1.0 - rng.uniform(own, LEVEL, 0)), most, most - 2.0 * np.pi, most
    if found >= level:
        return True, level, angle, least, most
    if angle < 0.0:
        least = angle
    else:
        most = angle
    return False, level, least + (most - least) * rng.uniform(own, ANGLE, attempt), least, most


@entry
def draw_users(pages, scratch, appeal, pulls, offsets, precision, curvature, slope, key, segment, coefficients):
    """Move every user's segment [U] and coefficients [U, d].

    First both are proposed from their posterior with the likelihood as approximated by `approximate_users`
    (Metropolis-Hastings with independent proposals); then the coefficients take an elliptical slice step. The ellipse
    is that of the prior times the approximation; the slice is that of the likelihood over the approximation.

    Args:
        pulls, offsets, precision: [S, d], [S] and [d]. The prior of segment s and coefficients x is proportional to
            exp(offsets[s] + pulls[s] x - x' diag(precision) x / 2).
    """
    users, d = coefficients.shape
    middle, along, across, utility = scratch.middle, scratch.along, scratch.across, scratch.utility
    centre, away, noise, factor, trial = scratch.centre, scratch.away, scratch.noise, scratch.factor, scratch.z
    chance = scratch.chance
    for u in range(users):
        own, h, x = rng.child(key, u), curvature[u], coefficients[u]
        first, stop = pages.first_page[u], pages.first_page[u + 1]
        base = pages.first_row[first]
        rows = pages.first_row[stop] - base
        _factorise(h, precision, factor)
        top = -np.inf
        for s in range(offsets.size):
            chance[s] = offsets[s]
            for i in range(d):
                centre[i] = slope[u, i] + pulls[s, i]
            _solve_lower(factor, centre)
            for i in range(d):
                chance[s] += 0.5 * centre[i] * centre[i]
            top = max(top, chance[s])
        total = 0.0
        for s in range(offsets.size):
            chance[s] = exp(chance[s] - top)
            total += chance[s]
        proposed, left = 0, rng.uniform(own, SEGMENT, 0) * total - chance[0]
        while left >= 0.0 and proposed < offsets.size - 1:
            proposed += 1
            left -= chance[proposed]
        for i in range(d):
            centre[i] = slope[u, i] + pulls[proposed, i]
            noise[i] = rng.normal(own, PROPOSAL, i)
        _solve_lower(factor, centre)
        for i in range(d):
            centre[i] += noise[i]
        _solve_upper(factor, centre)
        present = _excess(pages, scratch, appeal, first, stop, h, slope[u], x)
        found = _excess(pages, scratch, appeal, first, stop, h, slope[u], centre)
        if log(1.0 - rng.uniform(own, ACCEPTANCE, 0)) <= found - present:
            present, segment[u] = found, proposed
            for i in range(d):
                x[i] = centre[i]
        for i in range(d):
            centre[i] = slope[u, i] + pulls[segment[u], i]
            noise[i] = rng.normal(own, NOISE, i)
        _solve_lower(factor, centre)
        _solve_upper(factor, centre)
        _solve_upper(factor, noise)
        for i in range(d):
            away[i] = x[i] - centre[i]
        for r in range(rows):
            _fill(pages, base + r, trial)
            at_centre, at_away, at_noise = appeal[base + r], 0.0, 0.0
            for i in range(d):
                at_centre += trial[i] * centre[i]
                at_away += trial[i] * away[i]
                at_noise += trial[i] * noise[i]
            middle[r], along[r], across[r] = at_centre, at_away, at_noise
        done, level, angle, least, most = judge(own, 0, present, 0.0, 0.0, 0.0, 0.0)
        for attempt in range(1, SHRINKAGES):
            c, s = np.cos(angle), np.sin(angle)
            for r in range(rows):
                utility[r] = middle[r] + c * along[r] + s * across[r]
            for i in range(d):
                trial[i] = centre[i] + c * away[i] + s * noise[i]
            found = _log_likelihood(pages, first, stop, utility, scratch.odds) - _quadratic(h, slope[u], trial)
            done, level, angle, least, most = judge(own, attempt, found, level, angle, least, most)
            if done:
                break
        for i in range(d):
            x[i] = trial[i]


@entry
def shift_segments(
    pages, scratch, utility, middle, across, segment, precision, curvature, slope, key, means, coefficients
):
    """Move the mean of every segment, and the coefficients of its users by as much, by an elliptical slice step.

    With the users' deviations from the mean as they are, a mean moves much further than with their coefficients as they
    are (Yu & Meng 2011).

    Args:
        utility: [R], of all rows.
        middle, across: [R], memory.
        precision: [d], of the prior of the means, which is around 0.
    """
    segments, d = means.shape
    centre, noise, moved, of_all = scratch.centre, scratch.noise, scratch.away, scratch.total
    factor, h, z = scratch.factor, scratch.sum, scratch.z
    for which in range(segments):
        own = rng.child(key, which)
        for i in range(d):
            of_all[i] = 0.0
            for k in range(d):
                h[i, k] = 0.0
        for u in range(segment.size):
            if segment[u] == which:
                for i in range(d):
                    of_all[i] += slope[u, i]
                    for k in range(d):
                        of_all[i] -= curvature[u, i, k] * coefficients[u, k]
                        h[i, k] += curvature[u, i, k]
        for i in range(d):
            centre[i] = of_all[i] - precision[i] * means[which, i]
            noise[i] = rng.normal(own, NOISE, i)
        _factorise(h, precision, factor)
        _solve_lower(factor, centre)
        _solve_upper(factor, centre)
        _solve_upper(factor, noise)
        for u in range(segment.size):
            if segment[u] == which:
                for r in range(pages.first_row[pages.first_page[u]], pages.first_row[pages.first_page[u + 1]]):
                    _fill(pages, r, z)
                    middle[r], across[r] = 0.0, 0.0
                    for i in range(d):
                        middle[r] += z[i] * centre[i]
                        across[r] += z[i] * noise[i]
        level, angle, least, most = -np.inf, 0.0, 0.0, 0.0
        for attempt in range(SHRINKAGES):
            c, s = 1.0 - np.cos(angle), np.sin(angle)
            for i in range(d):
                moved[i] = c * centre[i] + s * noise[i]
            found = -_quadratic(h, of_all, moved)
            for u in range(segment.size):
                if segment[u] == which:
                    first, stop = pages.first_page[u], pages.first_page[u + 1]
                    base = pages.first_row[first]
                    for r in range(base, pages.first_row[stop]):
                        scratch.utility[r - base] = utility[r] + c * middle[r] + s * across[r]
                    found += _log_likelihood(pages, first, stop, scratch.utility, scratch.odds)
            done, level, angle, least, most = judge(own, attempt, found, level, angle, least, most)
            if done:
                break
        for i in range(d):
            means[which, i] += moved[i]
        for u in range(segment.size):
            if segment[u] == which:
                for i in range(d):
                    coefficients[u, i] += moved[i]


@entry
def likings(pages, segment, means, coefficients, common, own, sensitivity):
    """Fill parts of the utilities: common[R] by the mean tastes of the user's segment, own[R] by what the user's tastes
    differ from them, and sensitivity[R] by the price beside its mean weight."""
    d = coefficients.shape[1]
    dims = pages.vectors.shape[1]
    for u in range(coefficients.shape[0]):
        x, mean = coefficients[u], means[segment[u]]
        for r in range(pages.first_row[pages.first_page[u]], pages.first_row[pages.first_page[u + 1]]):
            shared, total, j = 0.0, 0.0, pages.item[r]
            for i in range(dims):
                shared += mean[i] * pages.vectors[j, i]
                total += x[i] * pages.vectors[j, i]
            common[r], own[r] = shared, total - shared
            sensitivity[r] = x[dims] * pages.price[r] if d > dims else 0.0


@kernel
def _factorise(h, precision, factor):
    """Fill the lower triangle of factor[d, d] with the Cholesky factor of h + diag(precision), positive definite."""
    d = h.shape[0]
    for i in range(d):
        for k in range(i + 1):
            total = h[i, k] + (precision[i] if i == k else 0.0)
            for m in range(k):
                total -= factor[i, m] * factor[k, m]
            factor[i, k] = np.sqrt(max(total, 1e-12)) if i == k else total / factor[k, k]


@kernel
def _solve_lower(factor, x):
    """Solve L y = x in place."""
    for i in range(x.size):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]


@kernel
def _solve_upper(factor, x):
    """Solve L' y = x in place."""
    d = x.size
    for back in range(d):
        i = d - 1 - back
        for k in range(i + 1, d):
            x[i] -= factor[k, i] * x[k]
        x[i] /= factor[i, i]


@entry
def slopes(pages, scratch, phi, level, common, own, sensitivity, gradient, item_gradient):
    """Log-likelihood of utilities level_j + phi (f_r, 0, 0, 0) + e^s common_r + e^t own_r + e^w sensitivity_r, where s,
    t and w are the last numbers of phi. Its gradients in phi and the levels replace what the arrays hold."""
    count = gradient.size - FACTORS
    of_common, of_own, of_price = exp(phi[count]), exp(phi[count + 1]), exp(phi[count + 2])
    utility, odds = scratch.utility, scratch.odds
    likelihood = 0.0
    gradient[:] = 0.0
    item_gradient[:] = 0.0
    for u in range(pages.first_page.size - 1):
        begin, end = pages.first_page[u], pages.first_page[u + 1]
        base = pages.first_row[begin]
        for r in range(base, pages.first_row[end]):
            v = level[pages.item[r]] + of_common * common[r] + of_own * own[r] + of_price * sensitivity[r]
            for k in range(count):
                v += phi[k] * pages.features[r, k]
            utility[r - base] = v
        likelihood += _log_likelihood(pages, begin, end, utility, odds)
        for page in range(begin, end):
            first, stop = pages.first_row[page], pages.first_row[page + 1]
            total = 1.0
            for r in range(first, stop):
                total += odds[r - base]
            scale = 1.0 / total
            for r in range(first, stop):
                miss = (1.0 if r == pages.chosen[page] else 0.0) - odds[r - base] * scale
                item_gradient[pages.item[r]] += miss
                for k in range(count):
                    gradient[k] += miss * pages.features[r, k]
                gradient[count] += miss * of_common * common[r]
                gradient[count + 1] += miss * of_own * own[r]
                gradient[count + 2] += miss * of_price * sensitivity[r]
    return likelihood


@entry
def curvatures(pages, scratch, phi, level, common, own, sensitivity, hessian, item_hessian, cross):
    """Add minus the second derivatives of the log-likelihood of `slopes`, at s = t = w = 0, to the arrays.

    Args:
        hessian: [n, n] in phi.
        item_hessian: [M] in the levels: a diagonal upper bound, which leaves out the squares of the probabilities.
        cross: [M, n] between levels and phi.
    """
    head = hessian.shape[0]
    count = head - FACTORS
    chance, middle, z = scratch.odds, scratch.middle, scratch.along
    for page in range(pages.first_row.size - 1):
        first, stop = pages.first_row[page], pages.first_row[page + 1]
        total = 1.0
        for r in range(first, stop):
            v = level[pages.item[r]] + common[r] + own[r] + sensitivity[r]
            for k in range(count):
                v += phi[k] * pages.features[r, k]
            chance[r - first] = exp(v)
            total += chance[r - first]
        for k in range(head):
            middle[k] = 0.0
        for r in range(first, stop):
            chance[r - first] /= total
            for k in range(count):
                middle[k] += chance[r - first] * pages.features[r, k]
            middle[count] += chance[r - first] * common[r]
            middle[count + 1] += chance[r - first] * own[r]
            middle[count + 2] += chance[r - first] * sensitivity[r]
        for r in range(first, stop):
            p, j = chance[r - first], pages.item[r]
            item_hessian[j] += p
            for k in range(count):
                z[k] = pages.features[r, k]
            z[count], z[count + 1], z[count + 2] = common[r], own[r], sensitivity[r]
            for k in range(head):
                away = p * (z[k] - middle[k])
                cross[j, k] += away
                for m in range(head):
                    hessian[k, m] += away * z[m]


@entry
def count_habits(first_page, first_row, item, first_consumed, consumed, decay, habits, table_item, table_count):
    """Fill habits[R] with log(1 + n), where n are the counts of the user's table, as the game keeps it.

    Args:
        first_consumed: [P + 1] where the items that were consumed at a page begin in `consumed`. Each adds 1 to its
            count; before that, all counts of the page's user fade by `decay`.
        table_item, table_count: [U, H], -1 and 0 everywhere; filled with the tables at the end. A new item takes the
            place of the smallest count.
    """
    for u in range(first_page.size - 1):
        items, counts = table_item[u], table_count[u]
        for page in range(first_page[u], first_page[u + 1]):
            for r in range(first_row[page], first_row[page + 1]):
                habits[r] = 0.0
                for h in range(items.size):
                    if items[h] == item[r]:
                        habits[r] = log1p(counts[h])
            for h in range(items.size):
                counts[h] *= decay
            for c in range(first_consumed[page], first_consumed[page + 1]):
                j, index = consumed[c], 0
                for h in range(items.size):
                    if items[h] == j:
                        index = h
                        break
                    if counts[h] < counts[index]:
                        index = h
                counts[index] = counts[index] + 1.0 if items[index] == j else 1.0
                items[index] = j
