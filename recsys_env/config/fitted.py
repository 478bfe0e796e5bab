"""`FittedWorld`: the config of a world made from a log, its catalogue, and what the log cannot tell.

    world = FittedWorld.load("shop.npz")       print(world.summary())
    env = recsys_env.parallel_env(world)       world.save("copy.npz")

This is the world as data. `recsys_env.fitting` makes one from a log; loading and playing it needs only the core
dependencies.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import FileError, checked_path, read_arrays, value_among, write_arrays
from .catalogue import Catalogue, check_sizes
from .settings import Settings, choice_field, number_field, text_field, weights_field, words_field
from .world_config import WorldConfig, plain_config

CLICKS_PER_PAGE = 0.3  # of random pages; unsaturated, so that policies can differ
PURCHASES_PER_CLICK = 0.5

ORIGINS = {
    "free_choice": "the customers chose from the whole assortment, as in a shop or a search",
    "random_pages": "the customers chose from pages filled at random",
    "recommender": "the customers chose from pages that a recommender had filled",
    "pages": "the log holds the pages themselves: what was shown, and what was clicked",
}

_NOT_COMPARABLE = (
    "policies must not be compared in this world: its log holds the outcomes of a recommender's own pages "
    "(origin = 'recommender'), in which what was shown and what is liked cannot be told apart, so that the world "
    "prefers what that recommender preferred; use it to try out code"
)


class RecommenderLogWarning(UserWarning):
    """The world was fitted to a log of a recommender's own pages: policies must not be compared in it."""


# What the log says about fields of the config; everything else in the config is assumed.
_FROM_LOG = {
    "users.population": "the same customers in every episode: those of the log",
    "users.habit": "habits are formed by purchases",
    "users.habit_size": "products in a customer's table of habits",
    "users.habit_decay": "half-life of habits, at the assumed purchases per page",
    "choice.beta_taste": "weight of taste, from what customers bought for the first time",
    "choice.beta_price": "weight of price, from how purchases followed prices over time: no experiment",
    "choice.beta_repeat": "weight of habit, where it counts on top of the liking",
    "choice.repeat_scale": "purchases of a product beside which the first one hardly counts as a habit",
    "choice.habit_rate": "weight of a purchase as habit, where it comes in place of the liking",
    "arrival.k_0": "length of a visit: purchases per visit, at the assumed purchases per page",
}
_ERRORS = {  # in `LogFacts`
    "choice.beta_taste": "taste_error",
    "choice.beta_price": "price_error",
    "choice.beta_repeat": "habit_error",
    "choice.habit_rate": "habit_error",
}
_ASSUMED = {
    "num_agents": "recommenders on a page",
    "slots": "products that each of them shows",
    "page": "how they share it",
    "choice.v_0": f"what choosing nothing is worth; as fitted, random pages get {CLICKS_PER_PAGE:g} clicks each",
    "choice.eta": "how attention falls with the position (trivago)",
    "choice.kappa": "extra attention for the first position (trivago)",
    "feedback.b_0": f"a click is a purchase with probability {PURCHASES_PER_CLICK:g}, whatever the product",
    "arrival.r_0": "how readily customers come",
    "arrival.r_1": "how much satisfaction brings them back; 0 = not at all",
    "dynamics.drift": "how far a purchase moves a taste",
    "items.promotion_period": "ticks that a price holds",
    "items.stock_init": "units in stock; 0 = unlimited",
    "users.wallet_init": "budget; 0 = unlimited",
    "candidates.number": "products that retrieval offers each recommender",
    "observation.profile_noise": "how blurred the recommenders see a taste",
}
_UNKNOWN = (
    "what customers saw and did not buy: clicks, positions, and what buying nothing is worth; compare policies by who "
    "sells more, not by how much",
    "visits without a purchase: how often customers come, and whether better pages bring them back",
    "satisfaction: what customers think of a product once they have it",
    "what would have been bought at prices that were never asked, or had other prices been independent of demand",
    "customers and products that are not in the log",
)


ESTIMATED = {
    "choice.v_0": "what choosing nothing is worth, from pages without a click",
    "choice.beta_taste": "weight of taste: root of the mean squared norm of a person's coefficients of the vectors",
    "choice.beta_repeat": "weight of habit, beside the tastes",
    "choice.beta_price": "weight of the log price, from prices that moved: no experiment",
    "choice.eta": "how attention falls with the position",
    "choice.kappa": "extra attention for the first position",
    "feedback.b_0": "log odds of a cart, or of a purchase at once, after a click",
    "feedback.b_taste": "weight of taste in these odds",
    "feedback.b_price": "weight of price in these odds",
    "arrival.d_0": "share of visits after which a user never comes back",
}
BOUNDED = ("choice.eta", "choice.kappa")  # a world allows no negative ones
FACTS = {
    "num_agents": "recommenders that share a page",
    "slots": "items that each of them shows",
    "users.population": "the people of the log in every episode",
    "candidates.number": "items that retrieval offers each recommender",
    "feedback.instant": "whether carts are bought at once",
    "feedback.cart_hazard": "purchases from the cart per page",
    "feedback.cart_abandon": "carts that are given up per page, of those not bought",
    "arrival.k_0": "length of a session, in pages",
}
KEPT = {
    "users.habit_decay": "how habits fade",
    "choice.beta_quality": "whether people see an item's quality on the page",
    "feedback.a_quality": "whether an item's quality satisfies people",
    "choice.beta_satiation": "whether people tire of a topic",
    "choice.beta_trust": "trust in a recommender",
    "dynamics.drift": "how far a click moves a taste",
    "feedback.e_0": "what people think of an item once they have it, and with it satisfaction",
    "arrival.k_1": "whether satisfaction keeps people in a session",
    "arrival.r_0": "visits; at this value nearly every tick of the world is a page, as in the log",
    "arrival.r_1": "whether satisfaction brings people back",
    "candidates.topic_scale": "how much more often retrieval offers topics that the user likes",
    "items.promotion_period": "ticks that a price holds",
    "observation.profile_noise": "how blurred recommenders see a taste",
}
_UNKNOWN_OF_PAGES = (
    "intents that the logging policy saw and the log does not hold: they make what it showed look liked",
    "states that outcomes depend on and the log lacks, such as satiation; showing random pages does not cure this",
    "position and taste entirely apart, if the logging policy always put first what it expected to be liked: what "
    "users were shown tells much of such tastes, and some random pages tell the rest",
    "habit and taste apart, as far as tastes differ in ways that the item vectors do not span",
    "whether better pages bring people back",
    "people and items that are not in the log",
)


@dataclass(frozen=True)
class LogFacts(Settings):
    """Numbers that describe the log of a fitted world."""

    rows: int = number_field(0, "rows, all of which were used", 0)
    users: int = number_field(0, "users", 0)
    items: int = number_field(0, "items", 0)
    new_items: int = number_field(0, "items that nobody had bought, placed by what they say", 0)
    relabelled: int = number_field(
        0, "items with several topics, names, texts or domains, of which the most frequent was taken", 0
    )
    first: str = field(default="", metadata={"doc": "day of the first purchase"})
    last: str = field(default="", metadata={"doc": "day of the last purchase"})
    days: float = number_field(0.0, "time from the first purchase to the last", 0, unit="days")
    weight_users: int = number_field(0, "users whose purchases the weights of the utility rest on", 0)
    weight_purchases: int = number_field(0, "purchases that the weights of the utility rest on", 0)
    popularity_half_life: float = number_field(
        0.0, "of purchases in the popularity behind the intercepts", 0, unit="days"
    )
    taste_half_life: float = number_field(0.0, "of purchases behind tastes and vectors", 0, unit="days")
    taste_error: float = number_field(0.0, "standard error of beta_taste", 0)
    price_error: float = number_field(0.0, "standard error of beta_price", 0)
    habit_error: float = number_field(0.0, "standard error of beta_repeat or habit_rate", 0)
    version: str = text_field("", "version of the package that fitted the world; empty = not known")
    settings: str = text_field("", "settings of the fit, as `--settings` takes them")
    doubts: str = text_field("", "what in the log is probably wrong, although it can be fitted; one sentence per line")
    purchases_per_visit: float = number_field(1.0, "purchases per visit, a day on which a user bought something", 1)
    world_purchases_per_visit: float = number_field(0.0, "the same in the world as fitted, under the random policy", 0)


@dataclass(frozen=True)
class PageFacts(Settings):
    """Numbers that describe a log of pages, and the estimates that were made from it."""

    pages: int = number_field(0, "pages; 0 = the log was no log of pages", 0)
    shown: int = number_field(0, "items shown on them, all of which were used", 0)
    clicks: int = number_field(0, "pages with a click", 0)
    several_clicks: int = number_field(0, "pages with more than one click, of which the first counts", 0)
    carts: int = number_field(0, "clicked items that were put in a cart or bought", 0)
    purchases: int = number_field(0, "clicked items that were bought", 0)
    candidates: int = number_field(
        0, "items of the world that retrieval offered at the median page; 0 = the log does not say", 0
    )
    popularity: str = choice_field(
        "clicks",
        "where the popularity of items comes from: the platform's own column, or the log's clicks",
        "column",
        "clicks",
    )
    vectors: str = choice_field(
        "given",
        "where the vectors of items come from: given, or learned from the log's clicks",
        "given",
        "learned",
    )
    draws: int = number_field(0, "draws of the weights from their posterior distribution", 0)
    effective: float = number_field(0.0, "independent draws that would tell the least certain mean as precisely", 0)
    settled: bool = number_field(True, "whether the parts of the draws agree")
    still_there: float = number_field(0.0, "users who have not left by the end of the log; 0 = it does not tell", 0)
    item_sd: float = number_field(0.0, "standard deviation of intercepts beside what popularity and price tell", 0)
    quality_sd: float = number_field(0.0, "standard deviation of items' own log odds of a cart after a click", 0)
    standard_errors: Any = weights_field("standard errors of the estimates", 0, float("inf"), *ESTIMATED)
    at_bound: Any = words_field("parameters that are 0 because a world does not allow negative ones", *BOUNDED)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedWorld(WorldConfig):
    """A `WorldConfig` made by `fit`, which can be used wherever a task's name or config can.

    Two of them are equal if their configs and catalogues are.
    """

    catalogue: Catalogue = field(metadata={"doc": "items and users", "kind": Catalogue})  # type: ignore[assignment]
    origin: str = field(metadata={"doc": "how the log came about", "allowed": tuple(ORIGINS)})
    log: LogFacts = field(metadata={"group": LogFacts})
    page_log: PageFacts = field(default=PageFacts(), metadata={"group": PageFacts})

    @property
    def unknown(self) -> tuple[str, ...]:
        """What a log cannot tell. For some logs the first entry is that policies must not be compared."""
        if self.origin == "pages":
            return _UNKNOWN_OF_PAGES
        return ((_NOT_COMPARABLE,) if self.origin == "recommender" else ()) + _UNKNOWN

    def summary(self) -> str:
        """Return a text about what comes from the log, what is assumed, and what cannot be known."""
        log = self.log
        summarised = _summary_of_pages if self.origin == "pages" else _summary_of_purchases
        title, facts, sections = summarised(self)
        if self.catalogue.source:
            facts.append(f"source: {self.catalogue.source}")
        if log.version:
            facts.append(f"fitted by recsys_env {log.version} with {log.settings}")
        if log.relabelled:
            facts.append(f"{log.relabelled:,} items had several labels of a kind: the most frequent was taken")
        lines = [title, *(f"  {fact}" for fact in facts)]
        if log.doubts:
            lines += [
                "",
                "Probably wrong with the log, or lacking",
                *(f"  - {line}" for line in log.doubts.splitlines()),
            ]
        for heading, found in sections:
            lines += ["", heading, *(f"  {line}" for line in found)]
        lines += ["", "Not to be known from the log"]
        return "\n".join([*lines, *(f"  - {sentence}" for sentence in self.unknown)])

    def save(self, path: str | Path) -> None:
        """Write the world to one `.npz` file without pickled objects.

        The loaded world plays the same trajectories, bit for bit.
        """
        config = plain_config(self)
        del config["catalogue"]  # which lies beside it
        write_arrays(
            checked_path("path", path),
            self.catalogue.arrays(),
            compressed=True,
            world=config,
            **self.catalogue.values(),
        )

    @classmethod
    def load(cls, path: str | Path) -> FittedWorld:
        """Read a file written by `save`. Nothing in the file is executed.

        Raises:
            ValueError: there is no such file, or it is damaged or has other contents.
            TypeError: `path` is not a path.
        """
        path = checked_path("path", path)
        arrays = read_arrays(path, partial(check_sizes, path))
        config = value_among(path, arrays, "world", {str: object})
        catalogue = Catalogue.among(path, arrays)
        try:
            world = cls(catalogue=catalogue, **config)
            world.summary()  # needs all that the fit has written down
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise FileError(f"{path} holds no fitted world that can be played: {error}") from None
        warn_of(world.origin, stacklevel=3)
        return world


def warn_of(origin: str, stacklevel: int) -> None:
    """Warn with `RecommenderLogWarning` if policies must not be compared in the world of such a log."""
    if origin == "recommender":
        warnings.warn(_NOT_COMPARABLE, RecommenderLogWarning, stacklevel=stacklevel)


def fitted_fields(catalogue: Catalogue, log: LogFacts) -> dict[str, dict[str, Any]]:
    """Return the config fields that a purchase log determines, by group."""
    pages = CLICKS_PER_PAGE * PURCHASES_PER_CLICK  # purchases per page
    settings = catalogue.settings
    # another purchase follows in the same visit with probability s·pages / (1 - s + s·pages), s = P(one more page)
    more = (log.purchases_per_visit - 1) / pages
    return {
        "users": {
            "population": "fixed",
            "habit": "purchase",
            "habit_size": settings["users"]["habit_size"],
            "habit_decay": settings["users"]["habit_decay"] ** pages,  # the fit's is that of a purchase
        },
        "choice": settings["choice"],
        "arrival": {"k_0": float(np.clip(np.log(max(more, 1e-30)), -50, 50))},
    }


# ---------------------------------------------------------------------------------------------- summaries

Summary = tuple[str, list[str], list[tuple[str, list[str]]]]  # title, facts of the log, and sections with their lines


def _summary_of_purchases(world: FittedWorld) -> Summary:
    log, catalogue = world.log, world.catalogue
    title = (
        f"A world fitted to {log.rows:,} purchases by {log.users:,} users of {log.items:,} items in "
        f"{len(catalogue.topic_name)} topics"
    )
    facts = [
        f"{log.first} to {log.last} ({log.days:.1f} days); every row was used",
        f"origin = {world.origin!r}: {ORIGINS[world.origin]}",
    ]
    if log.new_items:
        facts.append(f"{log.new_items:,} more items that nobody had bought: vectors and intercepts from what they say")
    found = [
        "of items: vectors, topics, intercepts, list prices, popularity",
        "of users: tastes, price sensitivity, activity, habits",
    ]
    groups = fitted_fields(catalogue, log)
    for name, value in ((f"{group}.{name}", v) for group, of in groups.items() for name, v in of.items()):
        now = _value(world, name)
        changed = "" if now == value else f" [changed; the log says {_words(value)}]"
        error = f"; standard error {_words(getattr(log, _ERRORS[name]))}" if name in _ERRORS else ""
        found.append(f"{name} = {_words(now)}: {_FROM_LOG[name]}{error}{changed}")
    prices = catalogue.item_price_ratio.shape[1]
    found += [
        f"prices change: each item has {prices} that were paid for it, relative to its list price"
        if prices
        else "prices do not change: in the log they hardly do",
        f"weights: from {log.weight_purchases:,} purchases of {log.weight_users:,} users, its last days",
        f"half-lives of past purchases: {log.popularity_half_life:g} days for the popularity of items and "
        f"{log.taste_half_life:g} days for tastes",
        f"purchases per visit with a purchase: {log.purchases_per_visit:.2f} in the log, "
        f"{log.world_purchases_per_visit:.2f} in the world as fitted, under the random policy",
    ]
    assumed = _listed(world, _ASSUMED, _ASSUMED)
    return title, facts, [("From the log", found), ("Assumed (override what you know better)", assumed)]


def _summary_of_pages(world: FittedWorld) -> Summary:
    facts, log, errors = world.page_log, world.log, world.page_log.standard_errors
    title = (
        f"A world fitted to {facts.pages:,} pages with {facts.shown:,} shown items, {facts.clicks:,} clicks and "
        f"{facts.purchases:,} purchases"
    )
    said = [
        f"{log.users:,} users, {log.items:,} items in {len(world.catalogue.topic_name)} topics"
        + (f", {log.first} to {log.last}" if log.first else "")
    ]
    if facts.several_clicks:
        said.append(f"{facts.several_clicks:,} pages had several clicks: the first one counts")
    if facts.popularity == "clicks":
        said.append("no column of the platform's own popularity: clicks stand in, which depend on what was shown")
    if facts.vectors == "learned":
        said.append(
            "no vectors of items: they are one draw from their posterior, and standard errors take them as known"
        )
    if not facts.settled:
        said.append(
            f"parts of the {facts.draws:,} draws from the posterior distribution disagree, and the least certain mean "
            f"rests on as few as {facts.effective:.0f} independent ones: take standard errors as rough"
        )
    estimated = [
        f"{name} = {_value(world, name):.4g} (+- {errors[name]:.2g}): {meaning}"
        for name, meaning in ESTIMATED.items()
        if name in errors
    ]
    estimated += [
        f"{name} = 0: its estimate was negative, which a world does not allow, so the others were made with 0"
        for name in facts.at_bound
        if _value(world, name) == 0
    ]
    estimated += [
        f"intercepts of items: standard deviation {facts.item_sd:.2g} beside what popularity and price tell",
        f"qualities of items: standard deviation {facts.quality_sd:.2g} in the log odds of a cart after a click",
        "tastes and price sensitivities of users: drawn from their posterior, one draw each",
    ]
    assumed_price = "choice.beta_price" not in errors and world.choice.beta_price != 0
    offered = (
        f"the log says {facts.candidates}"
        if facts.candidates
        else f"assumed, of {log.items:,} items; it changes what policies earn, so set it if you know it"
    )
    default = WorldConfig()
    counted = {name for name in FACTS if _value(world, name) != _value(default, name)} | {"num_agents", "slots"}
    counted -= {"candidates.number"}
    found = [
        f"candidates.number = {world.candidates.number}: {FACTS['candidates.number']}; {offered}",
        *_listed(world, (name for name in FACTS if name in counted), FACTS),
    ]
    if assumed_price:
        found.append(f"choice.beta_price = {world.choice.beta_price:.4g}: assumed by the setting of the fit")
    if facts.still_there and log.users - facts.still_there >= 1:
        found.append(f"about {facts.still_there:,.0f} of the {log.users:,} users have not left by the end of the log")
    if (hazard := world.feedback.cart_hazard) and "feedback.cart_hazard" in counted:
        leaving = 1 - (1 - hazard) * (1 - world.feedback.cart_abandon)
        found.append(
            f"an item leaves the cart after {1 / leaving:.3g} pages on average, so that short episodes sell less of "
            "what is put there than the log did"
        )
    given = {*errors, *facts.at_bound, *counted, "candidates.number"} | (
        {"choice.beta_price"} if assumed_price else set()
    )
    meanings = {**ESTIMATED, **FACTS, **KEPT}
    kept = _listed(world, (name for name in meanings if name not in given), meanings)
    return (
        title,
        said,
        [
            ("Estimated from the log, with standard errors", estimated),
            ("Counted in the log", found),
            ("Kept at its default (override what you know better)", kept),
        ],
    )


def _listed(world: FittedWorld, names: Iterable[str], meanings: dict[str, str]) -> list[str]:
    return [f"{name} = {_words(_value(world, name))}: {meanings[name]}" for name in names]


def _value(config: WorldConfig, name: str) -> Any:
    """The value of a field, whose name has its group before a dot."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _words(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
