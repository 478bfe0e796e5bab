"""`FittedWorld`: the config of a world made from a purchase log, its catalogue, and what the log cannot tell.

    world = fit(purchases, origin="free_choice")       print(world.summary())
    env = recsys_env.parallel_env(world)               world.save("shop.npz"); world = FittedWorld.load("shop.npz")

Loading and playing a world needs only the core dependencies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..batch.vector import VectorEnv
from ..checks import did_you_mean, shown
from ..config import SceneConfig, WorldConfig, plain_config
from ..config.catalogue import Catalogue, check_sizes
from ..config.settings import Settings, number_field, replace, text_field
from ..files import FileError, checked_path, read_arrays, value_among, write_arrays
from ..libraries import library
from ..policies import Team
from .page_facts import UNKNOWN as UNKNOWN_OF_PAGES
from .page_facts import PageFacts, in_words, page_summary, provenance_lines, value_of

SEED = 0
CLICKS_PER_PAGE = 0.3  # of random pages; unsaturated, so that policies can differ
PURCHASES_PER_CLICK = 0.5
COPIES, CALIBRATION_TICKS, CHECK_TICKS = 64, 100, 400

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
            return UNKNOWN_OF_PAGES
        return ((_NOT_COMPARABLE,) if self.origin == "recommender" else ()) + _UNKNOWN

    def summary(self) -> str:
        """Return a text about what comes from the log, what is assumed, and what cannot be known."""
        if self.origin == "pages":
            return page_summary(self)
        log, fitted = self.log, _flat(fitted_fields(self.catalogue, self.log))
        lines = [
            f"A world fitted to {log.rows:,} purchases by {log.users:,} users of {log.items:,} items "
            f"in {len(self.catalogue.topic_name)} topics",
            f"  {log.first} to {log.last} ({log.days:.1f} days); every row was used",
            f"  origin = {self.origin!r}: {ORIGINS[self.origin]}",
            *provenance_lines(self),
        ]
        if log.relabelled:
            lines.append(
                f"  {log.relabelled:,} items had several topics, names, texts or domains: the most frequent was taken"
            )
        if log.new_items:
            lines.append(
                f"  {log.new_items:,} more items that nobody had bought: vectors and intercepts from what they say"
            )
        if log.doubts:
            lines += ["", "Probably wrong with the log", *(f"  - {doubt}" for doubt in log.doubts.splitlines())]
        lines += ["", "From the log"]
        lines.append("  of items: vectors, topics, intercepts, list prices, popularity")
        lines.append("  of users: tastes, price sensitivity, activity, habits")
        for name, value in fitted.items():
            now = value_of(self, name)
            changed = "" if now == value else f" [changed; the log says {in_words(value)}]"
            error = f"; standard error {in_words(getattr(log, _ERRORS[name]))}" if name in _ERRORS else ""
            lines.append(f"  {name} = {in_words(now)}: {_FROM_LOG[name]}{error}{changed}")
        if prices := self.catalogue.item_price_ratio.shape[1]:
            lines.append(f"  prices change: each item has {prices} that were paid for it, relative to its list price")
        else:
            lines.append("  prices do not change: in the log they hardly do")
        lines.append(f"  weights: from {log.weight_purchases:,} purchases of {log.weight_users:,} users, its last days")
        lines.append(
            f"  recent purchases count more: half-lives of {log.popularity_half_life:g} days for the popularity of "
            f"items and {log.taste_half_life:g} days for tastes"
        )
        lines.append(
            f"  purchases per visit with a purchase: {log.purchases_per_visit:.2f} in the log, "
            f"{log.world_purchases_per_visit:.2f} in the world as fitted, under the random policy"
        )
        lines += ["", "Assumed, since the log does not say (override what you know better)"]
        lines += [f"  {name} = {in_words(value_of(self, name))}: {meaning}" for name, meaning in _ASSUMED.items()]
        lines += ["", "Not to be known from a purchase log"]
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


def settings_in_words(settings: Settings) -> str:
    """Return the settings of a fit as `--settings` takes them, such as "dims=16 habit_size=64"."""
    return " ".join(f"{name}={value}" for name, value in vars(settings).items())


def fitted_fields(catalogue: Catalogue, log: LogFacts) -> dict[str, dict[str, Any]]:
    """Return the config fields that a log determines, by group."""
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


def checked_origin(origin: Any) -> str:
    """Return the origin of a log if it is one of `ORIGINS`."""
    choices = "; ".join(f"{name!r}: {meaning}" for name, meaning in ORIGINS.items())
    if origin is None:
        raise TypeError(f"fit needs origin=, how the log came about; not every log can tell policies apart. {choices}")
    if not isinstance(origin, str) or origin not in ORIGINS:
        raise ValueError(
            f"origin = {shown(origin)} is not allowed{did_you_mean(origin, ORIGINS)}; choose one of {choices}"
        )
    return origin


def warn_of(origin: str, stacklevel: int) -> None:
    """Warn with `RecommenderLogWarning` if policies must not be compared in the world of such a log."""
    if origin == "recommender":
        warnings.warn(_NOT_COMPARABLE, RecommenderLogWarning, stacklevel=stacklevel)


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _flat(groups: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}


# ---------------------------------------------------------------------------------------------- random pages


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
