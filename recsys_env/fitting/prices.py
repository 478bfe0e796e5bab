"""What a log says about prices: how much they weigh, whom they matter to, and how often they are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PROMOTED = 0.01  # a price that moves by less is rounded
RATIOS = 16  # R, prices of an item in a catalogue
FEWEST_WEEKS = 8  # with purchases, for an item to have prices of its own
DEEPEST = 0.95  # ItemConfig.promotion_depth
LARGEST = 50.0  # weights in ChoiceConfig


def mean_by(code: np.ndarray, value: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean of `value` in each group 0..max(code)."""
    weight = np.ones(len(value)) if weight is None else weight
    return np.bincount(code, weight * value) / np.maximum(np.bincount(code, weight), 1e-12)


def price_weight(lines: pd.DataFrame) -> tuple[float, float]:
    """beta_price, how an item's weekly purchases fall with its own price over time, and its standard error.

    Both are 0 if prices hardly move (root mean square below `PROMOTED`). beta_price is 0 if no fall is seen.

    Regression of log purchases on log price paid with item and week effects, item-weeks weighted by purchases (which
    makes it close to a Poisson regression). Observational: shops choose when to promote. The standard error is
    clustered by item: the weeks of one item may depend on each other (Liang & Zeger 1986).
    """
    priced = lines.assign(week=lines["day"] // 7, price=np.log(lines["paid"]))
    cells = priced.groupby(["item", "week"])["price"].agg(["size", "mean"]).reset_index()
    weight, item, week = cells["size"].to_numpy(float), cells["item"].to_numpy(), cells["week"].to_numpy(int)
    price, count = cells["mean"].to_numpy(), np.log(weight)
    for _ in range(20):  # alternating projections: both effects out
        for code in (item, week):
            price, count = (v - mean_by(code, v, weight)[code] for v in (price, count))
    variation = float(weight @ price**2)
    if variation <= PROMOTED**2 * weight.sum():
        return 0.0, 0.0
    elasticity = float(weight @ (price * count)) / variation
    score = np.bincount(item, weight * price * (count - elasticity * price))
    return min(max(0.0, -elasticity), LARGEST), float(np.linalg.norm(score)) / variation


def price_sensitivity(lines: pd.DataFrame, topic: np.ndarray, beta_price: float) -> np.ndarray:
    """rho_u [U], mean 1: higher for who pays less than others pay in the same topics.

    In the logit a sensitivity rho shifts the mean log price of what is chosen by -(rho - 1) beta_price var(log price):
    this is inverted, to first order and as an exponential so that rho > 0, from each user's mean, shrunk towards 0 by
    how many purchases it rests on (random effects).
    """
    user, topics, price = lines["user"].to_numpy(), topic[lines["item"]], np.log(lines["paid"].to_numpy())
    excess = price - mean_by(topics, price)[topics]
    mean, number = mean_by(user, excess), np.bincount(user)
    within = float(np.mean((excess - mean[user]) ** 2))
    between = max(float(np.var(mean)) - within * float(np.mean(1 / number)), 1e-9)
    if beta_price * within == 0:
        return np.ones(len(number))
    shrunk = mean * number / (number + within / between)
    rho = np.exp(np.clip(-shrunk / (beta_price * within), -2, 2))  # clipped: a small beta_price says little about rho
    return rho / rho.mean()


def price_ratios(lines: pd.DataFrame, list_price: np.ndarray) -> np.ndarray:
    """Prices paid for each item, relative to its list price [M]: [M, R], or [M, 0] if they hardly move.

    These are quantiles of the item's weeks, each with its median price, and not of its purchases: reduced items sell
    more, so that purchases see too many low prices. An item that was sold in few weeks has the quantiles of all items.
    """
    weekly = lines["paid"].groupby([lines["item"], lines["day"] // 7]).median()
    item = weekly.index.get_level_values(0).to_numpy()
    ratio = weekly.to_numpy() / list_price[item]
    if np.sqrt(np.mean(np.log(ratio) ** 2)) <= PROMOTED:
        return np.ones((len(list_price), 0), np.float32)
    places = (np.arange(RATIOS) + 0.5) / RATIOS
    found = np.tile(np.quantile(ratio, places, method="inverted_cdf"), (len(list_price), 1))
    order = np.lexsort((ratio, item))
    first = np.searchsorted(item[order], np.arange(len(list_price) + 1))
    for j in np.flatnonzero(np.diff(first) >= FEWEST_WEEKS):
        found[j] = np.quantile(ratio[order[first[j] : first[j + 1]]], places, method="inverted_cdf")
    return found.astype(np.float32)
