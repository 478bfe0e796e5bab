"""What a log says about prices: how much they weigh, whom they matter to, and how often they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..libraries import library
from .schema import check_weight

if TYPE_CHECKING:
    import pandas as pd

PROMOTED = 0.01  # a price that moves by less is rounded
RATIOS = 16  # R, prices of an item in a catalogue
FEWEST = 8  # prices seen of an item, for it to have prices of its own
PROJECTIONS = 20
FEWEST_ITEMS, FEWEST_MORE = 10, 100  # items, and purchases beyond the first of a week, behind the weight of price
NEWTON_STEPS, LARGEST_CHANGE, SMALLEST_STEP = 100, 2.0, 1e-5
LOG_RATES = (-12.0, 20.0)  # of purchases in a week; below the first one the variance loses its digits


def mean_by(code: np.ndarray, value: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean of `value` in each group 0..max(code)."""
    weight = np.ones(len(value)) if weight is None else weight
    return np.bincount(code, weight * value) / np.maximum(np.bincount(code, weight), 1e-12)


def price_weight(lines: pd.DataFrame, week: np.ndarray) -> tuple[float, float]:
    """beta_price, how an item's weekly first purchases fall with its own price over time, and its standard error.

    Only the first purchase of an item by a user counts: users who are used to an item buy it at nearly any price, so
    the purchases of habit fall less than beta_price says. If first purchases are too few, all purchases count: hardly
    any item is bought several times in a week (`FEWEST_ITEMS`, `FEWEST_MORE`). Both results are 0 if these are too few
    as well, or if prices hardly move (root mean square below `PROMOTED`). beta_price is 0 if no fall is seen.

    Poisson regression of weekly purchases on the log price paid, with an effect of each item and each week. A week
    without a purchase tells no price, so the distribution is that of purchases given that there is one (zero-truncated;
    Cameron & Trivedi 2013, section 4.3). Where purchases vary more than a Poisson distribution does, the weight is too
    small. Observational: shops choose when to promote. The standard error is clustered by item: the weeks
    of one item may depend on each other (Liang & Zeger 1986).

    Args:
        week: of each line (`price_weeks`).
    """
    priced = lines.assign(week=week, price=np.log(lines["paid"]))
    first = priced.sort_values("day", kind="stable").drop_duplicates(["user", "item"])
    return _price_weight(first) or _price_weight(priced) or (0.0, 0.0)


def price_weeks(lines: pd.DataFrame) -> np.ndarray:
    """The week [n] of each purchase. Weeks begin on the weekday that leaves the least change of prices within them:
    that of new offers, if a shop has one."""
    day, price = np.floor(lines["day"].to_numpy()).astype(np.int64), np.log(lines["paid"].to_numpy())
    item, weeks = lines["item"].to_numpy(np.int64), int(day.max()) // 7 + 2

    def week(first_day: int) -> np.ndarray:
        return (day + 7 - first_day) // 7

    def change(first_day: int) -> float:
        cell, cells = library("pandas", "fit").factorize(item * weeks + week(first_day))
        moves = price - mean_by(cell, price)[cell]
        return float(moves @ moves) / max(len(day) - len(cells), 1)

    return week(min(range(7), key=change))


def _price_weight(priced: pd.DataFrame) -> tuple[float, float] | None:
    """The weight of the price in purchases with a `week` and a log `price`, and its standard error; None if these are
    too few."""
    cells = priced.groupby(["item", "week"])["price"].agg(["size", "mean"]).reset_index()
    effects = (cells["item"].to_numpy(), cells["week"].to_numpy(int))
    count, price = cells["size"].to_numpy(float), cells["mean"].to_numpy()
    kept = _several(count, effects)
    item, week = effects[0][kept], effects[1][kept]
    count, price = count[kept], price[kept]
    items = len(np.unique(item))
    if items < FEWEST_ITEMS or (count - 1).sum() < FEWEST_MORE:
        return None
    (moves,) = _without_effects([price], (item, week), count)
    if count @ moves**2 <= PROMOTED**2 * count.sum():
        return 0.0, 0.0
    log_rate, elasticity = np.log(count), 0.0
    for _ in range(NEWTON_STEPS):  # iteratively reweighted least squares
        mean, variance = _zero_truncated(log_rate)
        response = log_rate + (count - mean) / variance
        moves, left = _without_effects([price, response], (item, week), variance)
        information = float(variance @ moves**2)
        before, elasticity = elasticity, float(variance @ (moves * left)) / information
        change = response - (left - elasticity * moves) - log_rate
        part = LARGEST_CHANGE / max(float(np.abs(change).max()), LARGEST_CHANGE)
        log_rate = log_rate + part * change
        if part == 1.0 and abs(elasticity - before) < SMALLEST_STEP:
            break
    score = np.bincount(item, moves * (count - _zero_truncated(log_rate)[0]))
    error = float(np.linalg.norm(score)) / information * (items / (items - 1)) ** 0.5
    return max(0.0, -check_weight("beta_price", elasticity)), error


def _without_effects(
    values: Sequence[np.ndarray], effects: Sequence[np.ndarray], weight: np.ndarray
) -> list[np.ndarray]:
    """What is left of values [n] once they have mean 0 in each group of each of the effects [n], by alternating
    projections."""
    left = list(values)
    for _ in range(PROJECTIONS):
        for code in effects:
            left = [value - mean_by(code, value, weight)[code] for value in left]
    return left


def _several(count: np.ndarray, effects: Sequence[np.ndarray]) -> np.ndarray:
    """Select the item-weeks that identify the effects: their item and their week each have a cell with several
    purchases. For the others the likelihood is highest at a rate of 0."""
    kept = np.ones(len(count), bool)
    while True:
        before = int(kept.sum())
        for code in effects:
            kept &= np.bincount(code, kept & (count > 1))[code] > 0
        if kept.sum() == before:
            return kept


def _zero_truncated(log_rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of Poisson variables of these rates, given that they are not 0."""
    rate = np.exp(np.clip(log_rate, *LOG_RATES))
    mean: np.ndarray = rate / -np.expm1(-rate)
    return mean, mean * (1 + rate - mean)


def price_sensitivity(lines: pd.DataFrame, users: int, topic: np.ndarray, beta_price: float) -> np.ndarray:
    """rho_u [U], mean 1: higher for who pays less than others pay in the same topics.

    In the logit a sensitivity rho shifts the mean log price of what is chosen by -(rho - 1) beta_price var(log price):
    this is inverted, to first order and as an exponential so that rho > 0, from each user's mean, shrunk towards 0 by
    how many purchases it rests on (random effects). Users without purchases count as average.
    """
    user, topics, price = lines["user"].to_numpy(), topic[lines["item"]], np.log(lines["paid"].to_numpy())
    excess = price - mean_by(topics, price)[topics]
    number = np.bincount(user, minlength=users)
    mean, buys = np.bincount(user, excess, users) / np.maximum(number, 1), number > 0
    within = float(np.sum((excess - mean[user]) ** 2)) / max(len(user) - int(buys.sum()), 1)
    between = max(float(np.var(mean[buys])) - within * float(np.mean(1 / number[buys])), 1e-9)
    if beta_price * within == 0:
        return np.ones(users)
    shrunk = mean * number / (number + within / between)
    rho = np.exp(np.clip(-shrunk / (beta_price * within), -2, 2))  # clipped: a small beta_price says little about rho
    return rho / rho.mean()


def price_ratios(item: np.ndarray, ratio: np.ndarray, items: int) -> np.ndarray:
    """Prices of each item relative to its list price: [M, R], or [M, 0] if they hardly differ from it.

    These are quantiles of what was seen of the item. An item that was seen less than `FEWEST` times has the quantiles
    of all items.

    Args:
        item, ratio: [n] what was seen: prices relative to list prices.
        items: M.
    """
    if np.sqrt(np.mean(np.log(ratio) ** 2)) <= PROMOTED:
        return np.ones((items, 0), np.float32)
    levels = (np.arange(RATIOS) + 0.5) / RATIOS
    found = np.tile(np.quantile(ratio, levels, method="inverted_cdf"), (items, 1))
    order = np.lexsort((ratio, item))
    first = np.searchsorted(item[order], np.arange(items + 1))
    for j in np.flatnonzero(np.diff(first) >= FEWEST):
        found[j] = np.quantile(ratio[order[first[j] : first[j + 1]]], levels, method="inverted_cdf")
    return found.astype(np.float32)


def usual_prices(list_price: np.ndarray, topic: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """x [M] of items at their usual prices: log of the geometric mean of what is asked for the item, relative to that
    of the list prices in its topic.

    Args:
        list_price, topic: [M].
        ratios: [M, R] prices of each item relative to its list price; R = 0 if they do not change.
    """
    log_price = np.log(list_price.astype(float))
    usual: np.ndarray = log_price - mean_by(topic, log_price)[topic]
    return usual + np.log(ratios.astype(float)).mean(axis=1) if ratios.size else usual


def weekly_ratios(lines: pd.DataFrame, week: np.ndarray, list_price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items, and their median prices in a week relative to their list prices [M], of all weeks with a purchase.

    Weeks and not purchases, because reduced items sell more: among purchases too many prices are low.

    Args:
        week: of each line (`price_weeks`).
    """
    weekly = lines["paid"].groupby([lines["item"], week]).median()
    item = weekly.index.get_level_values(0).to_numpy()
    return item, weekly.to_numpy() / list_price[item]
