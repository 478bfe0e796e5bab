"""Purchase log -> `FittedWorld`: fit the environment's utility to who bought what, when and at what price.

    log table -> tidy lines (table.py) -> item vectors and tastes (implicit-feedback ALS, library `implicit`)
                            -> list prices, price weight, price sensitivity
                            -> habits -> weights of the utility (multinomial logit) -> Catalogue
                            -> what the log does not say is assumed (world.py) -> FittedWorld

The utility is v = alpha_j + beta_taste <p_u, q_j> - beta_price rho_u x_j + beta_repeat log(1 + n_uj), with
x_j = log(list price / geometric mean list price of the topic). Its weights come in two steps: what a user has never
bought tells how popularity, taste and price weigh against each other, all purchases how habit weighs against these. (In
one step the popular products that a user has seen and left alone would teach that popularity repels.) Everything is
deterministic: fixed seed, one thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np

from ..catalogue import Catalogue
from ..config import ItemConfig, UserConfig, is_number
from ..libraries import library
from .table import tidy, topics
from .world import ORIGINS, FittedWorld, LogFacts, RecommenderLogWarning, checked_origin, fitted_world, warn_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

__all__ = ["ORIGINS", "FittedWorld", "LogFacts", "RecommenderLogWarning", "als_factors", "fit", "habit_matrix"]

SEED = 0
PROMOTED = 0.01  # a price cut below 1 % is rounding, not a promotion; so is a price that moves by less
DEEPEST = 0.95  # ItemConfig.promotion_depth
LARGEST = 50.0  # weights in ChoiceConfig
SMALLEST_SCORE = 1e-4  # mean ALS scores lie between 0 and 1; below this they are noise
EXCLUDED = -50.0  # utility of what cannot be chosen
LIKELIHOOD_CELLS = 8_000_000  # users x items in the likelihood of the weights; more users than that are sampled

Origin = Literal["free_choice", "random_pages", "recommender"]
P = ParamSpec("P")
R = TypeVar("R")


def _single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """Sums in the same order every time, whatever the number of processors."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        library("implicit.als", "fit")  # first: the limit holds for the BLAS libraries that are loaded by then
        with library("threadpoolctl", "fit").threadpool_limits(1, "blas"):
            return function(*args, **kwargs)

    return wrapped


@_single_threaded
def fit(
    purchases: pd.DataFrame,
    *,
    origin: Origin | None = None,
    user: str = "household_id",
    item: str = "product_id",
    time: str = "transaction_timestamp",
    price: str = "sales_value",
    quantity: str | None = "quantity",
    discount: str | None = "retail_disc",
    topic: str = "product_category",
    name: str | None = "product_type",
    dims: int = 16,
    habit_size: int = 64,
    habit_half_life: float = 120.0,
    popularity_half_life: float = 7.0,
    taste_half_life: float = 60.0,
    weight_days: float = 28.0,
    source: str = "",
) -> FittedWorld:
    """Fit a world to a purchase log; `recsys_env.parallel_env(world)` and every other constructor run it as it is.

    Args:
        purchases: one row per purchase. Every row is used, other columns than those named here are not.
        origin: required; how the log came about: "free_choice" (customers chose from the whole assortment),
            "random_pages" (from pages filled at random) or "recommender" (from pages that a recommender had filled).
            What people buy from a recommender's pages tells what it showed as much as what they like: for such a log
            `RecommenderLogWarning` says that policies must not be compared in the world.
        user, item: columns of ids of any kind that can be sorted.
        time: column of datetimes or strings of them, from 1980 on and within 20 years; mixed time zones become UTC.
        price: column, > 0, paid for the row, after discount.
        quantity: column, > 0 units in the row; None = 1.
        discount: column, >= 0, taken off the row's list price; None = no promotions.
        topic: column of the item's category.
        name: column of the item's label; None = its id. Of an item's several topics or names the most frequent counts.
        dims: D.
        habit_size: H.
        habit_half_life, popularity_half_life, taste_half_life: days; they weight past purchases in the habits, in the
            popularity behind the intercepts and in the factorisation (defaults: chosen on the last training weeks of
            Complete Journey).
        weight_days: the weights of the utility are fitted to the last so many days of the log, everything else to
            what came before them.
        source: where the log came from; kept in the catalogue.

    Returns:
        A config with a `catalogue`, whose users and items are in ascending order of their ids. Besides vectors,
        topics, list prices and habits it holds

        - `item_intercept`: alpha_j = s log(1 + recent purchases of j) + s' log(mean ALS score of j) + beta_price x_j,
          shifted to mean 0 over all purchases. s and s' are fitted. At its list price and for rho = 1 an item's
          appeal is thus its popularity, which already contains the effect of its usual price; beta_price acts on
          deviations: promotions, and users who are not of average sensitivity. The mean score gives back what unit
          vectors take from the factorisation: the norms it ranks by.
        - `user_price_sensitivity`: rho_u, its spread scaled down to what helps to predict purchases of new products.
        - `settings`: `choice` (beta_taste, beta_repeat, beta_price), `users` (habit_size, habit_decay, the half-life
          at one page per purchase) and, given `discount`, `items` (promotion_probability, promotion_depth).

        The rest of the config is assumed: customers who come back in every episode, a click that is a purchase every
        other time, visits as long as the log's baskets ask for, and an outside option at which random pages sell.
        `summary()` tells what is fitted, what is assumed and what cannot be known.

    Raises:
        ValueError, TypeError: a table that cannot be fitted (column, value and what is allowed are named) or an
            option out of its range, all before the fit.
        ImportError: the extra `fit` is missing.

    Sources: Hu, Koren & Volinsky 2008 (ALS); McFadden 1974 (logit).
    """
    how = checked_origin(origin)
    dims, habit_size = ItemConfig(dims=dims).dims, UserConfig(habit_size=habit_size).habit_size  # in their range
    if habit_size < 1:
        raise ValueError(f"habit_size = {habit_size} must be at least 1")
    days = {
        "habit_half_life": habit_half_life,
        "popularity_half_life": popularity_half_life,
        "taste_half_life": taste_half_life,
        "weight_days": weight_days,
    }
    for option, value in days.items():
        if not is_number(value) or not value > 0:
            raise ValueError(f"{option} = {value!r} must be a positive number of days")
    if not isinstance(source, str):
        raise TypeError(f"source = {source!r} must be a string")
    columns: dict[str, str | None] = {"user": user, "item": item, "time": time, "price": price, "topic": topic}
    lines, items, relabelled = tidy(purchases, columns | {"quantity": quantity, "discount": discount, "name": name})
    shape = (int(lines["user"].max()) + 1, len(items))
    if min(shape) <= dims:
        raise ValueError(f"dims = {dims} needs more than {dims} users and items, the log has {shape[0]} and {shape[1]}")
    topic_code, topic_name = topics(items, topic)
    warn_of(how, stacklevel=4)  # past the decorator

    labels = {"item_name": items["name"].to_numpy().astype(str), "topic_name": topic_name, "source": source}
    catalogue, weight_users, weight_purchases = _catalogue(
        lines, topic_code, labels, discount is not None, dims=dims, habit_size=habit_size, **days
    )
    log = LogFacts(
        rows=len(lines),
        users=shape[0],
        items=shape[1],
        relabelled=relabelled,
        first=str(lines["date"].min().date()),
        last=str(lines["date"].max().date()),
        days=float(lines["day"].max()),
        weight_users=weight_users,
        weight_purchases=weight_purchases,
        purchases_per_visit=len(lines) / lines.groupby(["user", "date"]).ngroups,
    )
    return fitted_world(catalogue, how, log)


def _catalogue(
    lines: pd.DataFrame,
    topic_code: np.ndarray,
    labels: dict[str, Any],
    discounts: bool,
    *,
    dims: int,
    habit_size: int,
    habit_half_life: float,
    popularity_half_life: float,
    taste_half_life: float,
    weight_days: float,
) -> tuple[Catalogue, int, int]:
    """The catalogue of tidy lines, and how many users and purchases the weights rest on; options as in `fit`."""
    shape = (int(lines["user"].max()) + 1, len(topic_code))
    list_price = lines.groupby("item")["list"].median().to_numpy()
    log_list = np.log(list_price)
    x = log_list - _mean_by(topic_code, log_list)[topic_code]
    beta_price = _price_weight(lines)
    rho = _price_sensitivity(lines, topic_code, beta_price)

    # the weights: how the last days follow from what came before; the part of the price that all users share is in the
    # intercept
    now = float(lines["day"].max()) - weight_days
    before, after = lines[lines["day"] < now], lines[lines["day"] >= now]
    sample = _sample(before, after, shape, dims, weight_days)
    taste, vectors, appeal = _vectors(before, shape, dims, now, taste_half_life)
    habit = habit_matrix(*_habits(_counts(before, shape, now, habit_half_life)[sample], habit_size), shape[1])
    everyone = np.ones((len(sample), 1))
    bought = _counts(after, shape, 0.0, np.inf)[sample].toarray()
    weights = _weights(
        features=np.stack(
            [
                everyone * _log_popularity(before, shape, now, popularity_half_life),
                everyone * appeal,
                taste[sample] @ vectors.T,
                -beta_price * (rho[sample, None] - 1.0) * x,
            ]
        ),
        habit=np.log1p(habit),
        new=_counts(before, shape, now, np.inf)[sample].toarray() == 0,
        bought=bought,
    )
    beta_popularity, beta_appeal, beta_taste, spread, beta_repeat = (min(max(w, -LARGEST), LARGEST) for w in weights)
    rho = 1.0 + min(max(spread, 0.0), 1.0) * (rho - 1.0)

    end = float(lines["day"].max())
    purchased = np.bincount(lines["item"])
    taste, vectors, appeal = _vectors(lines, shape, dims, end, taste_half_life)
    alpha = (
        beta_popularity * _log_popularity(lines, shape, end, popularity_half_life)
        + beta_appeal * appeal
        + beta_price * x
    )
    habit_item, habit_count = _habits(_counts(lines, shape, end, habit_half_life), habit_size)
    span = max(end - float(lines["day"].min()), 1.0)
    settings: dict[str, dict[str, Any]] = {
        "choice": {"beta_taste": beta_taste, "beta_repeat": beta_repeat, "beta_price": beta_price},
        "users": {"habit_size": habit_size, "habit_decay": 0.5 ** (shape[0] * span / len(lines) / habit_half_life)},
    }
    if discounts:
        settings["items"] = _promotions(lines)
    log_count = np.log1p(purchased)
    variance = log_count.var()
    catalogue = Catalogue(
        item_vectors=vectors,
        item_topic=topic_code.astype(np.int32),
        item_intercept=(alpha - np.average(alpha, weights=purchased)).astype(np.float32),
        item_price=list_price.astype(np.float32),
        item_popularity=purchased.astype(np.float32),
        user_taste=taste,
        user_price_sensitivity=rho.astype(np.float32),
        user_activity=(lines.groupby("user")["date"].nunique().to_numpy() / span).astype(np.float32),
        habit_item=habit_item,
        habit_count=habit_count,
        popularity_slope=float(np.cov(log_count, alpha, bias=True)[0, 1] / variance) if variance > 0 else 0.0,
        settings={group: {k: round(v, 4) for k, v in values.items()} for group, values in settings.items()},
        **labels,
    )
    return catalogue, len(sample), int(bought.sum())


def _mean_by(code: np.ndarray, value: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean of `value` in each group 0..max(code)."""
    weight = np.ones(len(value)) if weight is None else weight
    return np.bincount(code, weight * value) / np.maximum(np.bincount(code, weight), 1e-12)


# ---------------------------------------------------------------------------------------------- price


def _price_weight(lines: pd.DataFrame) -> float:
    """beta_price: how an item's weekly purchases fall with its own price over time.

    0 if prices hardly move (root mean square below `PROMOTED`) or no fall is seen.

    Regression of log purchases on log price paid with item and week effects, item-weeks weighted by purchases (which
    makes it close to a Poisson regression). Observational: shops choose when to promote.
    """
    priced = lines.assign(week=lines["day"] // 7, price=np.log(lines["paid"]))
    cells = priced.groupby(["item", "week"])["price"].agg(["size", "mean"]).reset_index()
    weight, item, week = cells["size"].to_numpy(float), cells["item"].to_numpy(), cells["week"].to_numpy(int)
    price, count = cells["mean"].to_numpy(), np.log(weight)
    for _ in range(20):  # alternating projections: both effects out
        for code in (item, week):
            price, count = (v - _mean_by(code, v, weight)[code] for v in (price, count))
    variation = float(weight @ price**2)
    if variation <= PROMOTED**2 * weight.sum():
        return 0.0
    return min(max(0.0, -float(weight @ (price * count)) / variation), LARGEST)


def _price_sensitivity(lines: pd.DataFrame, topic: np.ndarray, beta_price: float) -> np.ndarray:
    """rho_u [U], mean 1: higher for who pays less than others pay in the same topics.

    In the logit a sensitivity rho shifts the mean log price of what is chosen by -(rho - 1) beta_price var(log price):
    this is inverted, to first order and as an exponential so that rho > 0, from each user's mean, shrunk towards 0 by
    how many purchases it rests on (random effects).
    """
    user, topics, price = lines["user"].to_numpy(), topic[lines["item"]], np.log(lines["paid"].to_numpy())
    excess = price - _mean_by(topics, price)[topics]
    mean, number = _mean_by(user, excess), np.bincount(user)
    within = float(np.mean((excess - mean[user]) ** 2))
    between = max(float(np.var(mean)) - within * float(np.mean(1 / number)), 1e-9)
    if beta_price * within == 0:
        return np.ones(len(number))
    shrunk = mean * number / (number + within / between)
    rho = np.exp(np.clip(-shrunk / (beta_price * within), -2, 2))  # clipped: a small beta_price says little about rho
    return rho / rho.mean()


def _promotions(lines: pd.DataFrame) -> dict[str, float]:
    """Share of item-weeks whose median purchase was discounted, and their mean depth.

    Not the share of purchases: promoted items sell more, so purchases see too many promotions.
    """
    cut = (1 - lines["paid"] / lines["list"]).groupby([lines["item"], lines["day"] // 7]).median()
    promoted = cut > PROMOTED
    depth = cut[promoted].mean() if promoted.any() else 0.0
    return {"promotion_probability": float(promoted.mean()), "promotion_depth": min(float(depth), DEEPEST)}


# ---------------------------------------------------------------------------------------------- taste and habit


def _counts(lines: pd.DataFrame, shape: tuple[int, int], now: float, half_life: float) -> csr_matrix:
    """Purchases [U, M], each weighted by 0.5 ** (its age at day `now` / half_life)."""
    sparse = library("scipy.sparse", "fit")
    weight = 0.5 ** ((now - lines["day"].to_numpy()) / half_life)
    return sparse.csr_matrix((weight, (lines["user"], lines["item"])), shape=shape)


def _log_popularity(lines: pd.DataFrame, shape: tuple[int, int], now: float, half_life: float) -> np.ndarray:
    return np.log1p(np.asarray(_counts(lines, shape, now, half_life).sum(axis=0)).ravel())


def _vectors(
    lines: pd.DataFrame, shape: tuple[int, int], dims: int, now: float, half_life: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tastes [U, D] and item vectors [M, D], directions of the ALS factors, and the log of each item's mean score [M].

    ALS ranks a user's items by <x_u, y_j>, of which a unit norm of x_u changes nothing. Around the mean user m this is
    <m, y_j> + <x_u - m, y_j>: the first part is the same for all users and goes to the intercept, norms included, and
    only in the second part are the norms of the items given up.
    """
    user, item = als_factors(_counts(lines, shape, now, half_life), dims)
    by_user, by_item = np.bincount(lines["user"], minlength=shape[0]), np.bincount(lines["item"], minlength=shape[1])
    mean = np.average(_unit(user), axis=0, weights=by_user)
    return _directions(user, by_user), _directions(item, by_item), np.log(np.maximum(item @ mean, SMALLEST_SCORE))


def als_factors(
    counts: csr_matrix, dims: int, alpha: float = 5.0, regularization: float = 20.0
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of users [U, D] and items [M, D]: ALS with confidence 1 + alpha log(1 + count) (Hu, Koren & Volinsky
    2008)."""
    model = library("implicit.als", "fit").AlternatingLeastSquares(
        factors=dims,
        alpha=alpha,
        regularization=regularization,
        iterations=15,
        num_threads=1,
        random_state=SEED,
        use_gpu=False,
    )
    model.fit(counts.log1p().astype(np.float32), show_progress=False)
    return model.user_factors, model.item_factors


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _directions(factors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Unit vectors around their weighted mean: raw factors all point the same way (popularity), their cosines hardly
    differ."""
    factors = _unit(factors)
    factors = factors - np.average(factors, axis=0, weights=weight)
    norm = np.linalg.norm(factors, axis=1, keepdims=True)
    return np.where(norm > 1e-9, factors / np.maximum(norm, 1e-9), np.eye(1, factors.shape[1])).astype(np.float32)


def _habits(counts: csr_matrix, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The `size` largest counts of each user, largest first: items [U, H] (-1 = empty) and counts [U, H]."""
    item = np.full((counts.shape[0], size), -1, np.int32)
    count = np.zeros((counts.shape[0], size), np.float32)
    for u in range(counts.shape[0]):
        row = slice(counts.indptr[u], counts.indptr[u + 1])
        best = np.argsort(-counts.data[row], kind="stable")[:size]
        item[u, : len(best)], count[u, : len(best)] = counts.indices[row][best], counts.data[row][best]
    return item, count


def habit_matrix(item: np.ndarray, count: np.ndarray, items: int) -> np.ndarray:
    """The habit table [U, H] spread out to counts n_uj [U, M]."""
    dense = np.zeros((len(item), items))
    user, entry = np.nonzero(item >= 0)
    dense[user, item[user, entry]] = count[user, entry]
    return dense


# ---------------------------------------------------------------------------------------------- weights


def _sample(
    before: pd.DataFrame, after: pd.DataFrame, shape: tuple[int, int], dims: int, weight_days: float
) -> np.ndarray:
    """Users who bought in both parts of the log: all, or as many as the likelihood may hold."""
    known = np.intersect1d(before["user"], after["user"])
    if len(known) == 0 or before["item"].nunique() <= dims:
        raise ValueError(
            f"the log spans {after['day'].max():.1f} days with too few purchases before the last weight_days = {weight_days:g}; "
            "use a longer log or fewer weight_days"
        )
    return np.random.default_rng(SEED).permutation(known)[: max(1, LIKELIHOOD_CELLS // shape[1])]


def _weights(features: np.ndarray, habit: np.ndarray, new: np.ndarray, bought: np.ndarray) -> tuple[float, ...]:
    """Weights of the features [F, S, M] and of `habit` [S, M] in the purchases `bought` [S, M].

    First the features among the products that are `new` to a user, then one factor on all of them, and the weight of
    habit, among all products. A log in which nobody buys anything new teaches both from all products.
    """
    if not (bought * new).any():
        new = np.ones_like(new)
    first = _logit(features, np.where(new, 0.0, EXCLUDED), bought * new)
    base = np.tensordot(first, features, 1)
    factor, beta_repeat = _logit(np.stack([base, habit]), np.zeros_like(habit), bought)
    return (*(factor * w for w in first), beta_repeat)


def _logit(features: np.ndarray, offset: np.ndarray, bought: np.ndarray) -> tuple[float, ...]:
    """Weights w that maximise the multinomial likelihood of purchases [S, M] under v = offset + sum_f w_f features[f,
    S, M]."""
    total, n = bought.sum(axis=1, keepdims=True), bought.sum()
    ridge = 1e-4  # keeps the weights finite when a small log is perfectly predictable

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        v = offset + np.tensordot(w, features, 1)
        v -= v.max(axis=1, keepdims=True)
        share = np.exp(v)
        mass = share.sum(axis=1, keepdims=True)
        miss = total * share / mass - bought
        value = (total * np.log(mass)).sum() - (bought * v).sum()
        return value / n + ridge * w @ w, np.tensordot(features, miss, 2) / n + 2 * ridge * w

    best = library("scipy.optimize", "fit").minimize(loss, np.ones(len(features)), jac=True, method="L-BFGS-B")
    return tuple(float(w) for w in best.x)
