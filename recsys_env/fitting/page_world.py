"""A log of pages -> `FittedWorld`: estimates of the choice model, carts and purchases, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import __version__
from ..checks import shown
from ..config import SceneConfig
from ..config.catalogue import Catalogue
from ..config.fitted import FittedWorld, LogFacts, PageFacts
from ..config.settings import Settings, choice_field, number_field, replace
from ..kernels.page_choices import count_habits
from ..libraries import library
from . import doubts
from .choice_data import Pages, shown_to_users
from .choice_model import ChoiceModel, fit_choices
from .learned_vectors import learn_vectors
from .logistic import grouped_logistic
from .page_log import SMALLEST_COUNT, PageLog, read_pages
from .prices import PROMOTED, mean_by, price_ratios
from .schema import LARGEST, check_evidence, check_weight
from .visits import Lost, activity, users_lost

if TYPE_CHECKING:
    import pandas as pd

RIDGE = 1e-2  # of the logit after a click
EVERY_TICK = 10.0  # arrival.r_0
MOST_SLOTS, MOST_CANDIDATES = 256, 1024  # WorldConfig.slots, CandidateConfig.number
ALL_OFFERED = 100  # items; of no more than these, retrieval offers all unless the log says otherwise
FEWEST_CLICKS, FEWEST_CLICKERS = 20, 10  # pages with a click, and users who click
NOT_NEGATIVE = ("eta", "kappa")  # in ChoiceConfig
LARGEST_ERROR = 1.0  # of the size of tastes, in utils, unless it is below half of it
SMALLEST_RANGE = 1e-6  # of a feature; less is rounding
PARTS = 200  # of the time of a log, in each of which an item has one price
LARGEST_SPREAD = 1.0  # log-sd of price sensitivities; more is noise about a weight near 0


@dataclass(frozen=True)
class PageFitSettings(Settings):
    """Settings of a fit to a log of pages."""

    dims: int = number_field(
        16, "D, taste dimensions, where vectors are learned; at most one less than there are items", 1, 512
    )
    beta_price: float = number_field(
        0.0, "weight of the log price, to be assumed where no item's price moves in the log", 0, LARGEST
    )
    habit: str = choice_field("click", "what forms a habit", "click", "purchase")
    habit_size: int = number_field(64, "H, items in a user's table of habits", 1, 256)
    habit_decay: float = number_field(0.98, "factor by which habits fade at each page of a user", 0, 1)


def fit_pages(
    log: pd.DataFrame | str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    items: pd.DataFrame | None = None,
    events: Mapping[str, Any] | None = None,
    source: str = "",
    **settings: Any,
) -> FittedWorld:
    """Fit a world to a log of pages; `fit(log, origin="pages", ...)` calls it.

    Args:
        log: one row for each item shown on a page, or the path of a .csv, .tsv or .parquet file with such a table.
            Further rows of the same item on the same page may tell what happened later.
        columns: the log's column for each of these roles where it has another name than the role; None: not to be used.
            Required are "user", "item", "event", and "page" or "time".

            - "user", "item", "page": ids of any kind that can be sorted. Pages may be numbered anew for each user.
              Without "page", rows of the same user, time and session are one page.
            - "event": "none" or missing, "click", "cart", "purchase", or 0 and 1 or truth values for none and click.
              Other values are mapped by `events`. The later events imply a click.
            - "time": numbers of any unit, or dates; without it, rows count as in order.
            - "position": on the page; the smallest one is the first.
            - "propensity": in (0, 1]. The fit does not need it.
            - "price": price asked. "discount": what had been taken off. "quantity": a purchase is one unit in a world.
            - "session": id of the visit. "agent": id of the recommender that filled the slot.
            - "category": the item's topic, as in `fit`. "text": its description.
            - "candidates": the items that retrieval offered at the page, a list of ids, or a text of ids with spaces or
              commas between them. A report on the log compares policies by these (`report.page_values`).
            - "popularity": the platform's own count for the item, such as the clicks so far. Without it the log's
              clicks stand in, which depend on what was shown.
        items: what the platform knows of its items: one row per item with its "item", and optionally "vector" (D
            numbers, scaled to unit norm), "price" (list price), "popularity", "category", "text". Every item of the log
            must be there. Vectors that are not given are learned from the clicks (`learned_vectors`).
        events: event -> the value in the log that stands for it, or several: {"click": 1, "purchase": ["paid", "due"]}.
        source: origin of the data; kept in the catalogue.
        settings: fields of `PageFitSettings`, such as `habit_decay=0.99`.

    Returns:
        A config with a `catalogue`, whose users and items are in ascending order of their ids in the log, which it
        keeps as texts (`user_id`, `item_id`). `summary()` lists the estimates with their standard errors, and what is
        kept at its default. What is probably wrong with the log, or was guessed about it, is a `LogWarning`, which
        `summary()` repeats.

    Raises:
        ValueError, TypeError: the log cannot be fitted; the message names column, count and first example.
        ImportError: the extra `fit` is missing.

    Sources: McFadden 1974 (logit); Revelt & Train 1998 (random coefficients); Rossi, Allenby & McCulloch 2005 (their
        posterior); Mundlak 1978 (weight of price from its moves within items).
    """
    chosen: PageFitSettings = replace(PageFitSettings(), settings)
    if not isinstance(source, str):
        raise TypeError(f"source = {shown(source)} must be a string")
    pages = read_pages(log, columns, items, events)
    check_clicks(pages)
    doubts.warn_of_doubts((*pages.serious, *doubts_of(pages, chosen)), stacklevel=2)
    return fitted_pages(pages, chosen, source)[0]


def doubts_of(pages: PageLog, chosen: PageFitSettings) -> tuple[str, ...]:
    """What is probably wrong with a log, or lacking for a fit with these settings, beside what is serious."""
    return *pages.doubts, *doubts.about_weight_of_price(pages.price, pages.item, chosen.beta_price)


def settings_in_words(settings: Settings) -> str:
    """Return the settings of a fit as `--settings` takes them, such as "dims=16 habit_size=64"."""
    return " ".join(f"{name}={value}" for name, value in vars(settings).items())


def check_clicks(pages: PageLog) -> None:
    """Refuse a log with fewer than `FEWEST_CLICKS` pages with a click, or `FEWEST_CLICKERS` users who click."""
    chosen = pages.chosen >= 0
    found = {"pages with a click": int(chosen.sum()), "users who click": len(np.unique(pages.user[chosen]))}
    needed = {"pages with a click": FEWEST_CLICKS, "users who click": FEWEST_CLICKERS}
    check_evidence("the log has", found, needed, "use a longer log")


def fitted_pages(pages: PageLog, chosen: PageFitSettings, source: str = "") -> tuple[FittedWorld, ChoiceModel]:
    """The world of a checked log, and the model of its clicks; arguments and errors are those of `fit_pages`."""
    users, count = len(pages.user_ids), len(pages.item_ids)
    check_clicks(pages)
    topic_name, topic = np.unique(pages.category, return_inverse=True)
    prices = _prices(pages, topic)
    if prices.move and chosen.beta_price:
        raise ValueError(
            f"beta_price = {chosen.beta_price:g} cannot be assumed: prices of items move in this log, from which their "
            "weight is estimated"
        )
    clicks = np.bincount(pages.item[pages.clicked], minlength=count).astype(np.float64)
    popularity = np.maximum(clicks if pages.popularity is None else pages.popularity, SMALLEST_COUNT)
    habits, habit_item, habit_count = page_habits(pages, chosen)
    features = _features(pages, popularity, prices, habits)
    vectors, model, at_bound = _clicks(pages, features, topic, prices, chosen)
    if model.taste_error > max(LARGEST_ERROR, 0.5 * model.taste):
        raise ValueError(
            f"the log has {int(clicks.sum())} clicks of {users} users, too few to tell how large tastes in "
            f"{vectors.shape[1]} dimensions are; use a longer log, or fewer dimensions (dims, where vectors are "
            "learned)"
        )
    names = [name for name in features if name not in at_bound]
    phi, errors = dict(zip(names, model.fixed, strict=True)), dict(zip(names, model.fixed_error, strict=True))
    beta_price, slope = phi.get("price", chosen.beta_price), phi.get("popularity", 0.0)  # 0 where all items are alike
    # At the prices of the log, a weight that is assumed changes nothing.
    of_price, assumed = phi.get("mean price", 0.0), chosen.beta_price
    priced = of_price * prices.relative + assumed * prices.mean
    taste, rho = _people(model, vectors.shape[1], beta_price)
    found, error = _choice(phi, errors, model, beta_price)
    feedback, feedback_error, quality, quality_slope = _after_click(pages, model, vectors, prices, beta_price)
    lost = users_lost(pages)
    catalogue = Catalogue(
        item_vectors=vectors.astype(np.float32),
        item_topic=topic.astype(np.int32),
        item_intercept=(slope * np.log1p(popularity) + priced + model.item_effect).astype(np.float32),
        item_price=prices.list_price.astype(np.float32),
        item_popularity=popularity.astype(np.float32),
        item_price_ratio=price_ratios(*_offers(pages, prices), count),
        user_taste=taste.astype(np.float32),
        user_price_sensitivity=rho.astype(np.float32),
        user_activity=activity(pages, lost).astype(np.float32),
        habit_item=habit_item,
        habit_count=habit_count,
        item_domain=np.zeros(count, np.int32),
        item_name=pages.item_ids.astype(str),
        item_text=pages.text.astype(str),
        topic_name=topic_name.astype(str),
        domain_name=np.array([""]),
        item_quality=quality.astype(np.float32),
        item_id=pages.item_ids.astype(str),
        user_id=pages.user_ids.astype(str),
        popularity_intercept=float(priced.mean()),
        popularity_slope=slope,
        price_slope=of_price + assumed,
        quality_slope=quality_slope,
        source=source,
        settings={
            "choice": found,
            "users": {"habit": chosen.habit, "habit_size": chosen.habit_size, "habit_decay": chosen.habit_decay},
            "feedback": feedback,
            "arrival": _arrival(pages, lost),
        },
    )
    facts = PageFacts(
        pages=len(pages.chosen),
        shown=len(pages.item),
        clicks=int((pages.chosen >= 0).sum()),
        several_clicks=pages.several_clicks,
        carts=int((pages.cart | pages.bought).sum()),
        purchases=int(pages.bought.sum()),
        candidates=0 if pages.candidates is None else int(np.median((pages.candidates >= 0).sum(axis=1))),
        popularity="clicks" if pages.popularity is None else "column",
        vectors="learned" if pages.vectors is None else "given",
        draws=model.draws,
        effective=float(model.effective.min()),
        settled=model.settled,
        still_there=0.0 if lost is None else float(lost.still_there.sum()),
        item_sd=model.item_sd,
        quality_sd=float(np.std(quality)),
        standard_errors={
            **error,
            **feedback_error,
            **({} if lost is None else {"arrival.d_0": lost.error}),
        },
        at_bound=tuple(f"choice.{name}" for name in at_bound),
    )
    described = LogFacts(
        rows=len(pages.item),
        users=users,
        items=count,
        relabelled=pages.several_labels,
        first=pages.first,
        last=pages.last,
        version=__version__,
        settings=settings_in_words(chosen),
        doubts="\n".join((*pages.serious, *doubts_of(pages, chosen))),
    )
    return _world(catalogue, described, facts, pages), model


def _world(catalogue: Catalogue, log: LogFacts, facts: PageFacts, pages: PageLog) -> FittedWorld:
    sizes = np.diff(pages.first_row)
    slots = min(max(1, round(float(np.bincount(sizes).argmax()) / pages.agents)), MOST_SLOTS)
    world = FittedWorld(
        description="Fitted to a log of pages; see summary().",
        catalogue=catalogue,
        origin="pages",
        log=log,
        page_log=facts,
        num_agents=pages.agents,
        slots=slots,
        scenes=(SceneConfig("page", cart=facts.carts > 0),),
    )
    if facts.candidates:
        world = replace(world, {"candidates": {"number": min(max(facts.candidates, slots), MOST_CANDIDATES)}})
    elif log.items <= ALL_OFFERED:
        world = replace(world, {"candidates": {"number": max(log.items, slots)}})
    assumed = {
        "users": {"population": "fixed"},
        "choice": {"beta_quality": 0.0},
        "arrival": {"k_1": 0.0, "r_0": EVERY_TICK, "r_1": 0.0},
        "candidates": {"topic_scale": 1.0},
        "observation": {"profile_noise": 1.0},
        "reward": {"click": 0.0, "purchase": 1.0} if facts.purchases else {"click": 1.0},
    }
    return replace(replace(world, assumed), catalogue.settings)


class _Prices(NamedTuple):
    """List prices, and x, logs of prices over the geometric mean list price of the item's topic."""

    list_price: np.ndarray  # [M]
    ratio: np.ndarray  # [R] price asked relative to the item's list price
    shown: np.ndarray  # [R] x of the price asked
    mean: np.ndarray  # [M] mean of `shown`; of items never shown, as far from the list price as others are on average
    move: bool  # whether an item's price does

    @property
    def relative(self) -> np.ndarray:
        """[M] `mean`, less that of all items."""
        return self.mean - self.mean.mean()


def _prices(pages: PageLog, topic: np.ndarray) -> _Prices:
    list_price = np.ones(len(topic)) if pages.list_price is None else pages.list_price.copy()
    price = list_price[pages.item] if pages.price is None else pages.price
    if pages.list_price is None and pages.price is not None:
        full = price + (0.0 if pages.discount is None else pages.discount)
        median = library("pandas", "fit").Series(full).groupby(pages.item).median()
        list_price = np.full(len(topic), float(np.exp(np.log(median).mean())))
        list_price[median.index.to_numpy()] = median.to_numpy()
    level = mean_by(topic, np.log(list_price))[topic]
    listed, shown, seen = np.log(list_price) - level, np.log(price) - level[pages.item], np.unique(pages.item)
    mean = listed + float((shown - listed[pages.item]).mean())
    mean[seen] = mean_by(pages.item, shown)[seen]
    ratio = price / list_price[pages.item]
    return _Prices(list_price, ratio, shown, mean, float(np.std(shown - mean[pages.item])) > PROMOTED)


def _offers(pages: PageLog, prices: _Prices) -> tuple[np.ndarray, np.ndarray]:
    """Return items and their first prices in each part of the log in which they were shown, relative to list prices.

    Parts and not rows, because a policy may show reduced items more often: among rows too many prices are low.
    """
    time = pages.start if np.ptp(pages.start) > 0 else np.arange(len(pages.start), dtype=np.float64)
    part = np.minimum((time - time.min()) / max(np.ptp(time), 1.0) * PARTS, PARTS - 1).astype(np.int64)[pages.page]
    order = np.lexsort((time[pages.page], part, pages.item))
    _, first = np.unique(np.stack([pages.item[order], part[order]]), axis=1, return_index=True)
    rows = order[first]
    return pages.item[rows], prices.ratio[rows]


def _features(pages: PageLog, popularity: np.ndarray, prices: _Prices, habits: np.ndarray) -> dict[str, np.ndarray]:
    """The features f_r, [R] each.

    An item's mean price is one of them: it tells how good an item is, and the weight of the price is that of its moves
    (Mundlak 1978), because better items cost more, which says nothing about what a change of price does.
    """
    columns = {"none": np.ones(len(pages.item)), "popularity": np.log1p(popularity)[pages.item], "repeat": habits}
    if pages.rank is not None and (pages.rank > 1).any():
        columns["eta"] = -np.log(pages.rank)
        if len(np.unique(pages.rank)) > 2:  # two positions have one contrast
            columns["kappa"] = (pages.rank == 1).astype(np.float64)
    columns["mean price"] = prices.relative[pages.item]
    if prices.move:
        columns["price"] = -prices.shown
    return {name: column for name, column in columns.items() if name == "none" or np.ptp(column) > SMALLEST_RANGE}


def _clicks(
    pages: PageLog, features: dict[str, np.ndarray], topic: np.ndarray, prices: _Prices, settings: PageFitSettings
) -> tuple[np.ndarray, ChoiceModel, tuple[str, ...]]:
    """Item vectors [M, D], given or learned; the model of clicks; and features that it does without, because their
    weights would be negative, which a world does not allow."""
    count, at_bound = len(pages.item_ids), tuple[str, ...]()
    while True:
        columns = {name: column for name, column in features.items() if name not in at_bound}
        choices = Pages(
            first_page=pages.first_page,
            first_row=pages.first_row,
            chosen=pages.chosen,
            item=pages.item,
            features=np.ascontiguousarray(np.stack(list(columns.values()), axis=1)),
            price=-prices.shown if prices.move else np.zeros(0),
            vectors=np.zeros((count, 0)) if pages.vectors is None else pages.vectors,
        )
        if pages.vectors is None:
            dims = min(settings.dims, max(count - 1, 1))
            choices = choices._replace(vectors=learn_vectors(choices, topic, dims))
        model = fit_choices(choices, shown_to_users(choices, pages.rank))
        weights = dict(zip(columns, model.fixed, strict=True))
        negative = tuple(name for name in NOT_NEGATIVE if weights.get(name, 0.0) < 0)
        if not negative:
            return choices.vectors, model, at_bound
        at_bound += negative


def _choice(
    phi: dict[str, float], errors: dict[str, float], model: ChoiceModel, beta_price: float
) -> tuple[dict[str, float], dict[str, float]]:
    """The fields of `ChoiceConfig`, and standard errors of those that were estimated."""
    found = {"v_0": -phi["none"], "beta_taste": model.taste, "beta_repeat": phi.get("repeat", 0.0)}
    # Where a log has no positions, every one counted as much in the likelihood.
    found |= {"beta_price": beta_price, "eta": phi.get("eta", 0.0), "kappa": float(np.expm1(phi.get("kappa", 0.0)))}
    error = {"v_0": errors["none"], "beta_taste": model.taste_error}
    if "repeat" in phi:
        error["beta_repeat"] = errors["repeat"]
    if "price" in phi:
        error["beta_price"] = errors["price"]
    if "eta" in phi:
        error["eta"] = errors["eta"]
    if "kappa" in phi:
        error["kappa"] = errors["kappa"] * float(np.exp(phi["kappa"]))
    found = {name: round(check_weight(f"choice.{name}", float(value)), 4) for name, value in found.items()}
    return found, {f"choice.{name}": float(value) for name, value in error.items()}


def _people(model: ChoiceModel, dims: int, beta_price: float) -> tuple[np.ndarray, np.ndarray]:
    """Tastes [U, D] of unit norm and price sensitivities [U] of mean 1, drawn from the posterior."""
    taste = model.people[:, :dims]
    taste = taste / np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-12)
    return taste, _sensitivities(model.people, model, dims, beta_price)


def _sensitivities(coefficients: np.ndarray, model: ChoiceModel, dims: int, beta_price: float) -> np.ndarray:
    """Price sensitivities [U] of mean 1, of these coefficients [U, d] of the users.

    A coefficient of the price becomes the number of the same rank in a log-normal distribution of the same mean and
    variance, so that sensitivities are positive.
    """
    if coefficients.shape[1] == dims or beta_price == 0.0:
        return np.ones(len(coefficients))
    sd = model.price_sd
    spread = min(float(np.sqrt(np.log1p((sd / beta_price) ** 2))), LARGEST_SPREAD)
    rho: np.ndarray = np.exp(np.sign(beta_price) * spread * coefficients[:, dims] / max(sd, 1e-12))
    return rho / rho.mean()


def page_habits(pages: PageLog, settings: PageFitSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log(1 + n) [R] at each shown item, and the tables of habits [U, H] at the end of the log."""
    users = len(pages.user_ids)
    if settings.habit == "click":
        rows = pages.chosen[pages.chosen >= 0]
        at = pages.page[rows]
    else:  # a cart item is consumed at the page where it is bought
        rows = np.flatnonzero(pages.bought)
        at = pages.page[rows] + np.maximum(pages.delay[rows], 0)
        rows, at = rows[np.argsort(at, kind="stable")], np.sort(at, kind="stable")
    first = np.searchsorted(at, np.arange(len(pages.first_row)))
    habits = np.zeros(len(pages.item))
    table = np.full((users, settings.habit_size), -1, np.int32), np.zeros((users, settings.habit_size), np.float32)
    consumed = first, pages.item[rows]
    count_habits(pages.first_page, pages.first_row, pages.item, *consumed, settings.habit_decay, habits, *table)
    return habits, *table


def _after_click(
    pages: PageLog, model: ChoiceModel, vectors: np.ndarray, prices: _Prices, beta_price: float
) -> tuple[dict[str, Any], dict[str, float], np.ndarray, float]:
    """Logit of carts, or of purchases at once, among the clicks, and the hazards of carts; standard errors; [M] the
    items' qualities, their own log odds; and how these rise with the mean price.

    Tastes and price sensitivities are posterior means, whose deviation from the truth is independent of them. As in the
    choice of items, the weight of the price is that of its moves, and what dearer items differ in is their quality.
    """
    rows, dims = np.flatnonzero(pages.clicked), vectors.shape[1]
    happened = (pages.cart | pages.bought)[rows]
    if not happened.any():
        return {}, {}, np.zeros(len(vectors)), 0.0
    user = pages.user[pages.page[rows]]
    match = np.einsum("rd,rd->r", model.centres[user, :dims], vectors[pages.item[rows]]) / model.taste
    columns, names = [np.ones(len(rows)), match], ["b_0", "b_taste"]
    if np.ptp(prices.relative[pages.item[rows]]) > SMALLEST_RANGE:
        columns.append(prices.relative[pages.item[rows]])
        names.append("mean price")
    if prices.move and beta_price != 0.0:
        rho = _sensitivities(model.centres, model, dims, beta_price)[user]
        columns.append(-rho * prices.shown[rows])
        names.append("b_price")
    found = grouped_logistic(np.stack(columns, axis=1), happened, RIDGE, pages.item[rows], len(vectors))
    weights, errors = (dict(zip(names, values, strict=True)) for values in (found.weights, found.errors))
    slope = weights.pop("mean price", 0.0)
    quality = found.effects + slope * prices.relative
    at_once = not pages.cart.any()
    result: dict[str, Any] = {n: round(check_weight(f"feedback.{n}", float(w)), 4) for n, w in weights.items()}
    result |= {"b_quality": 1.0, "a_quality": 0.0, "instant": at_once}
    if not at_once and pages.bought.any():
        hazard, abandon = cart_hazards(pages)
        result |= {"cart_hazard": round(hazard, 4), "cart_abandon": round(abandon, 4)}
    return result, {f"feedback.{name}": float(errors[name]) for name in weights}, quality, slope


def cart_hazards(pages: PageLog) -> tuple[float, float]:
    """Chances that an item in the cart is bought at a page, and otherwise given up there, by maximum likelihood.

    Of an item that is not bought in the log, it is known only that it was not bought on its user's later pages.
    """
    rows = np.flatnonzero(pages.cart | pages.bought)
    page = pages.page[rows]
    later = (pages.first_page[1:] - 1)[pages.user[page]] - page  # pages of the user after the one with the item
    bought = pages.bought[rows]
    delay = np.maximum(pages.delay[rows], 1)[bought]

    def loss(logits: np.ndarray) -> float:
        """Minus the log-likelihood, by the share that is bought and the chance to leave the cart at a page."""
        share, leaving = 1.0 / (1.0 + np.exp(-logits))
        kept = np.log1p(-leaving)
        never = np.log1p(-share * -np.expm1(kept * later[~bought]))
        return -float((np.log(share * leaving) + (delay - 1) * kept).sum() + never.sum())

    start = np.array([0.0, -np.log(max(delay.mean(), 1.1) - 1.0)])
    found = library("scipy.optimize", "fit").minimize(loss, start, method="L-BFGS-B", bounds=[(-LARGEST, LARGEST)] * 2)
    share, leaving = 1.0 / (1.0 + np.exp(-found.x))
    hazard = float(share * leaving)
    return hazard, float((leaving - hazard) / (1.0 - hazard))


def _arrival(pages: PageLog, lost: Lost | None) -> dict[str, float]:
    """The length of sessions, and how many users are lost after one."""
    found = {}
    if pages.session is not None:  # stay with probability 1 - sessions / pages
        more = len(pages.chosen) / len(np.unique(pages.session)) - 1
        found["k_0"] = round(float(np.log(more)), 4) if more > 0 else -LARGEST
    if lost is not None:
        found["d_0"] = round(lost.share, 6)
    return found
