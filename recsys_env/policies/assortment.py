"""Policies that estimate the utility of each item and choose the best slate: popularity, content, and the oracles.

Their compiled parts are in `kernels`: beliefs.py estimates v and R of each item, slates.py finds the best slate, and
assortment.py does both for an agent in all copies. The best slate is that of Talluri & van Ryzin (2004) under a
multinomial logit, and of Davis, Gallego & Topaloglu (2014) under a nested one.

Oracles assume that rivals keep the inclusive value of the last shown page. `content` sees neither the rivals' pages nor
the visitor's trust, and ignores rivals. The chosen slate is a heuristic on shared pages, where the agents' items
compete for ranks and may collide, and for queries and weights, which cannot name a slate (`slate_action`). `popularity`
shows the best single items. Where agents set prices, oracles search all levels for the best pair of slate and level;
the other policies take the level that is nearest to the list prices.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, NamedTuple

import numpy as np

from ..batch.base import AnyBatch
from ..batch.vector import VectorEnv
from ..checks import check_finite
from ..kernels.machine.compiler import compiled
from ..kernels.planners.assortment import CONTENT, ORACLE, PLANNER, POPULARITY, Page, arrange, choose
from ..kernels.planners.beliefs import ExpectedAppeal, Sees
from ..kernels.planners.slates import Scratch
from .base import Policy, check_chooses_pages
from .compiled import Actor
from .slates import slate_action


class Beliefs(NamedTuple):
    """Settings that a policy goes by in a rollout: the arguments of `kernels.planners.assortment.choose` and its
    scratch."""

    belief: np.ndarray  # [1]
    settings: np.ndarray  # [6] price, target, and the fields of `ExpectedAppeal`
    newcomer: np.ndarray  # [M]
    levels: np.ndarray  # [2]
    sees: np.ndarray  # [3], as in `Sees`
    slate: np.ndarray  # [K]
    options: np.ndarray  # this and the following as in `Scratch`
    utilities: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    chosen: np.ndarray
    best: np.ndarray
    gains: np.ndarray
    taste: np.ndarray


class _Assortment(Policy):
    """Estimates the value of every item that the agent may show, and fills the slate accordingly."""

    belief: int
    price = target = 0.0  # lambda and theta of the planner
    deterministic = True
    _compiled: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": None}

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        check_chooses_pages(self)
        envs = self.envs
        self._compiled = None
        items, shape = envs.world.items, envs.shape
        number = np.maximum(np.bincount(items["provider"]), 1)
        by_provider = np.bincount(items["provider"], items["popularity"]) / number
        self._newcomer = by_provider[items["provider"]]
        self._scratch = empty_scratch(envs)
        self._appeal = expected_appeal(envs)
        hidden = envs.config.hidden(self.index)
        self._sees = Sees.unless(hidden)
        self._slates = np.zeros((envs.num_envs, shape.slots), np.int64)
        self._sizes, self._levels = np.zeros(envs.num_envs, np.int64), np.zeros(envs.num_envs, np.int64)

    @property
    def compiled(self) -> bool:  # type: ignore[override]
        # A subclass may act otherwise.
        return type(self) in (Popularity, Content, Greedy, Planner) and not self.envs.config.continuous

    def actor(self, ticks: int) -> Actor:
        from ..kernels.rollout import choose_slates

        beliefs = {
            "belief": np.array([self.belief], np.int64),
            "settings": np.array([self.price, self.target, *self._appeal]),
            "newcomer": self._newcomer,
            "levels": np.array(self.levels(), np.int64),
            "sees": np.array(self._sees, np.bool_),
            "slate": np.zeros(self.envs.shape.slots, np.int64),
        }
        return Actor(choose_slates, Beliefs(**beliefs, **self._scratch._asdict()))

    def levels(self) -> tuple[int, int]:
        """Range (first, stop) of the levels that it chooses from: list prices or truthful bids; (0, 1) where agents set
        neither."""
        return _list_levels(self.envs)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        believes = self.belief, self.price, self.target, self._appeal, self._newcomer
        game, slates = (self.envs.world, self.envs.arrays, self.index), (self._slates, self._sizes, self._levels)
        arguments = *game, believes, self.levels(), self._sees, self._scratch, *slates
        if self._compiled is None:
            self._compiled = compiled(choose, *arguments)
        self._compiled(*arguments)
        return slate_action(self.envs, self.index, *slates)


def _list_levels(envs: VectorEnv) -> tuple[int, int]:
    """Return the range of levels that holds the one nearest to list prices or truthful bids."""
    first = envs.config.offer.list_level if envs.shape.levels else 0
    return first, first + 1


def oracle_levels(envs: VectorEnv) -> tuple[int, int]:
    """Return the range of levels that oracles search: all prices, or truthful bids."""
    return (0, envs.shape.levels) if envs.config.offer.kind == "price" else _list_levels(envs)


def empty_scratch(envs: VectorEnv) -> Scratch:
    """Return working memory for the slates of an agent."""
    shape = envs.shape
    size = max(shape.candidates, shape.items)
    return Scratch(
        options=np.zeros(size, np.int64),
        utilities=np.zeros(size),
        weights=np.zeros(size),
        values=np.zeros(size),
        chosen=np.zeros(shape.slots, np.int64),
        best=np.zeros(shape.slots, np.int64),
        gains=np.zeros(shape.slots),
        taste=np.zeros(shape.dims),
    )


def expected_appeal(envs: VectorEnv) -> ExpectedAppeal:
    """Return what popularity and list price tell of an item's appeal alpha + beta_quality g + beta_bait c.

    The numbers are of all items together, so a platform could estimate them from its log: they are the fitted ones of a
    catalogue, or else the slope of popularity that the config implies, and 0. No item's own appeal is read.
    """
    if (catalogue := envs.catalogue) is not None:
        return ExpectedAppeal(
            catalogue.popularity_intercept, catalogue.popularity_slope, catalogue.price_slope, catalogue.quality_slope
        )
    choice, items, spread = envs.config.choice, envs.config.items, envs.config.items.popularity_log_sd
    slope = choice.beta_quality * items.quality_sd * items.popularity_quality / spread if spread > 0 else 0.0
    return ExpectedAppeal(0.0, slope, 0.0, 0.0)


class Popularity(_Assortment):
    """Shows the most popular items first, by public decayed counts. A new item counts at least its provider's mean."""

    belief = POPULARITY


class Content(_Assortment):
    """Myopic content-based recommender: shows the best slate for its estimate of the visitor.

    The estimate combines the noisy profile and the observed history, weighted by their precision.
    """

    belief = CONTENT


class _Oracle(_Assortment):
    """Base of oracles, which know the true visitor, and set the best price where agents set prices. For the page at
    hand no bid is better than a truthful one (Vickrey 1961)."""

    def levels(self) -> tuple[int, int]:
        return oracle_levels(self.envs)


class Greedy(_Oracle):
    """Myopic oracle: maximises the expected individual reward of the current page, given the true visitor."""

    belief = ORACLE


class Central(Policy):
    """Myopic oracle of the team: plans the whole page for the sum of individual rewards, and plays its agent's part of
    it.

    It knows the true visitor and the positions of every agent's slots, and assumes that the other agents play their
    parts. It fills every slot, even if a hole would be worth more, and shows no item twice on a shared page. Where
    agents set prices, no single agent's change of price would raise the sum. In an auction all bid the lowest level:
    the slot goes to the same bidder as if all bid truthfully, and costs as little as it can.
    """

    deterministic = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        check_chooses_pages(self)
        envs = self.envs
        agents, slots = envs.num_agents, envs.shape.slots
        levels, options = max(envs.shape.levels, 1), max(envs.shape.candidates, envs.shape.items)
        self._page = Page(
            options=np.zeros((agents, options), np.int64),
            counts=np.zeros(agents, np.int64),
            utilities=np.zeros((agents, levels, options)),
            weights=np.zeros((agents, levels, options)),
            scales=np.zeros((agents, levels)),
            values=np.zeros((agents, levels, options)),
            chosen=np.zeros((agents, slots), np.int64),
            levels=np.zeros(agents, np.int64),
            means=np.zeros(agents),
        )
        self._slates = np.zeros((envs.num_envs, agents, slots), np.int64)
        self._sizes, self._offered = (np.zeros((envs.num_envs, agents), np.int64) for _ in range(2))

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        prices = self.envs.shape.levels if self.envs.config.offer.kind == "price" else 1
        parts = self._slates, self._sizes, self._offered
        arrange(self.envs.world, self.envs.arrays, (0, prices), self._page, *parts)
        return slate_action(self.envs, self.index, *(part[:, self.index] for part in parts))


@functools.cache  # once in a process
def _say_that_planner_is_greedy() -> None:
    logging.getLogger("recsys_env").warning(
        "planner_price is 0 in this world, so planner plays as greedy; `python -m recsys_env tune` finds a price"
    )


class Planner(_Oracle):
    """Planning oracle: like `greedy`, but also values the visitor's experience after a click.

    A click is worth its reward plus lambda max(theta - z, 0) e, where z is the visitor's satisfaction and e the
    experienced utility. The planner thus harvests satisfied visitors and repairs the satisfaction of others. Where
    agents set prices, a click is worth its reward plus lambda times the trust that it is expected to add. At an
    entrance a click is also worth what the same item would sell on the next page; there `planner` is the oracle of the
    team, and `greedy` the selfish one. Elsewhere a planner with lambda = 0 equals `greedy`, and logs this once.
    `recsys_env.evaluation.tuning.tune_planner` searches for both numbers.

    Args:
        price: lambda, reward per util of experience and unit of satisfaction (or reward per unit of trust); None =
            `WorldConfig.planner_price`.
        target: theta, the satisfaction above which experience adds no value; None = `WorldConfig.planner_target`.
    """

    belief = PLANNER

    def __init__(self, price: float | None = None, target: float | None = None) -> None:
        for name, value in {"price": price, "target": target}.items():
            if value is not None:
                check_finite(name, value)
        self._price, self._target = price, target

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self.price = float(envs.config.planner_price if self._price is None else self._price)
        self.target = float(envs.config.planner_target if self._target is None else self._target)
        if self._price is None and self.price == 0 and len(envs.config.scenes) == 1:
            _say_that_planner_is_greedy()
