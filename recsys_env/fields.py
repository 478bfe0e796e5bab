"""What agents and centralised critics see, number by number: every field declared once.

From these declarations follow the Gymnasium spaces, the offsets that the kernels write at (`World.params`), the named
views (`VectorEnv.observation_fields`, `.state_fields`, `.candidate_features`), the private part of `state()`, what a
role may hide and the tables of the documentation; and, of continuous actions, the space and the offsets that are read.
A new field is one more declaration, and the line of `kernels/observation.py` that writes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .config import WorldConfig


class Shape(NamedTuple):
    """Sizes of a world, after the catalogue has had its say."""

    users: int  # U
    items: int  # M
    dims: int  # D
    topics: int  # T
    agents: int  # N
    slots: int  # K
    candidates: int  # C, 0 unless action="candidates" or "weights"
    scenes: int  # S
    roles: int  # R
    habits: int  # H
    views: int  # P: separate histories, N or (observation.share) 1
    mood_views: int  # separate moods of a visitor: N, (observation.mood="platform") 1, or (finite games) 0
    released_views: int  # histories that are told with noise: all of them, or 0 without a promise of privacy
    visit_views: int  # separate counts of a person's visits: N on rival pages, else 0
    cart: int  # Q: cart places, 0 where nothing is ever carted for later
    vocabulary: int  # V
    levels: int  # L, of prices; 0 where agents set none
    providers: int  # of items, 0 unless some agent is paid for fairness
    labels: int  # of topics, that roles know of the intent; 0 where none knows anything
    features: int = 0  # F, of a candidate
    private: int = 0  # numbers in the private part of an observation


class When(NamedTuple):
    """Which worlds have a field: in words, and as a test."""

    text: str
    holds: Callable[[WorldConfig, Shape], bool]


ALWAYS = When("", lambda config, shape: True)
QUERY = When('with action="query"', lambda config, shape: config.action == "query")
WEIGHTS = When('with action="weights"', lambda config, shape: config.action == "weights")
CONTINUOUS_OFFERS = When(
    'with action="query" or "weights", where agents set prices',
    lambda config, shape: config.continuous and shape.levels > 0,
)
CONTINUOUS = When('with action="query" or "weights"', lambda config, shape: config.continuous)
FULL = When('with observability="full"', lambda config, shape: config.observability == "full")
SCENES = When("with several scenes", lambda config, shape: shape.scenes > 1)
CART = When("where items can be carted", lambda config, shape: shape.cart > 0)
HABITS = When("with users.habit_size > 0", lambda config, shape: shape.habits > 0)
PRICES = When("where prices differ", lambda config, shape: bool(config.catalogue) or config.items.price_log_sd > 0)
LENGTHS = When("where lengths differ", lambda config, shape: config.items.length_log_sd > 0)
MOOD = When("except in finite games (choice.v_0_by_mood)", lambda config, shape: shape.mood_views > 0)
PLATFORM_MOOD = When(
    'with observation.mood="platform", except in finite games',
    lambda config, shape: shape.mood_views > 0 and config.observation.mood == "platform",
)
WINDOWS = When("with availability windows", lambda config, shape: config.items.life > 0)
OFFERS = When("where agents set prices", lambda config, shape: shape.levels > 0)
FAIRNESS = When("where fairness is paid", lambda config, shape: shape.providers > 0)
KNOWS = When("where a role knows something of the intent", lambda config, shape: shape.labels > 0)
PROMOTIONS = When("with promotions", lambda config, shape: config.items.promotion_probability > 0)


@dataclass(frozen=True)
class Field:
    """One named part of a vector.

    Attributes:
        name: its key in named views.
        meaning: one sentence for users.
        low, high: closed interval that each of its numbers lies in.
        axes: its shape, as names of sizes in `Shape`; none for a single number.
        half: it is squashed to x / (half + |x|), smooth and onto (-1, 1); None: it is as it is.
        when: the worlds that have it.
        private: each agent has its own version, so that `state()` holds one of each agent; but for worlds in which all
            have the same, which `STATE` then declares by itself.
        hideable: a role may be denied it (`RoleConfig.hidden`).
        history: it is part of what an agent keeps of a visitor's clicks, which the kernels copy in one pass.
        follows_from: of a candidate's feature, the fields of the observation that it is worked out from: who does not
            see one of them does not see the feature either.
    """

    name: str
    meaning: str
    low: float = 0.0
    high: float = 1.0
    axes: tuple[str, ...] = ()
    half: float | None = None
    when: When = ALWAYS
    private: bool = False
    hideable: bool = False
    history: bool = False
    follows_from: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    @property
    def squashed(self) -> bool:
        return self.half is not None

    @property
    def latent(self) -> bool:
        """Whether only the simulator knows it: no agent sees it, unless everything is told."""
        return self.when is FULL

    def size(self, config: WorldConfig, shape: Shape) -> int:
        """How many numbers it has in a world; 0: the world does not have it."""
        return math.prod(getattr(shape, axis) for axis in self.axes) if self.when.holds(config, shape) else 0


OBSERVATION = (
    Field("is_active", "1 if this agent's slots will be on the page that comes next; all else of a visit is 0 if not"),
    Field("visitor_present", "1 if somebody visits and this agent is active, 0 in an idle tick"),
    Field("role", "one-hot: the agent's role", axes=("roles",)),
    Field("agent_id", "one-hot: the agent's place in `possible_agents`", axes=("agents",)),
    Field("scene", "one-hot: the scene of the page", axes=("scenes",), when=SCENES),
    Field("session_page", "pages that the visitor has seen before in this session", half=5.0, hideable=True),
    Field(
        "visits", "sessions of this person so far, this one included; on rival pages those with this agent", half=5.0,
        hideable=True,
    ),
    Field("visit_gap", "ticks since the last one's last page; 1 in the first session", half=50.0, hideable=True),
    Field("cart", "share of the cart's places that are taken", when=CART, hideable=True),
    Field(
        "anchor", "vector of the item that led to this scene, 0 if none did", -0.5, 0.5, ("dims",), half=1.0,
        when=SCENES, hideable=True,
    ),
    Field(
        "profile", "taste of the visitor with a noise that is fixed per person", -1.0, 1.0, ("dims",), half=1.0,
        hideable=True,
    ),
    Field(
        "clicked_mean", "decayed mean of the vectors of the items that the visitor clicked in this agent's slots",
        -0.5, 0.5, ("dims",), half=1.0, private=True, hideable=True, history=True,
    ),
    Field(
        "topic_counts", "decayed clicks of the visitor on each topic in this agent's slots", axes=("topics",), half=1.0,
        private=True, hideable=True, history=True,
    ),
    Field(
        "candidates", "features of each candidate, candidate after candidate; 0 for an empty place", -1.0, 1.0,
        ("candidates", "features"), half=1.0, private=True, hideable=True,
    ),
    Field(
        "mood", "how the visitor liked what it clicked, as dwell tells, on the pages that the agent knows of "
        "(`observation.mood`): decayed mean of tanh e",
        -1.0, 1.0, when=MOOD, private=True, hideable=True,
    ),
    Field("mood_pages", "pages that `mood` is of", half=5.0, when=MOOD, private=True, hideable=True),
    Field(
        "exposure", "share that each provider has of this agent's decayed exposure; before any, the share due to it",
        axes=("providers",), when=FAIRNESS, private=True, hideable=True,
    ),
    Field(
        "knows", "one-hot: what the role knows of the topic of the session's intent, its label in `RoleConfig.knows`",
        axes=("labels",), when=KNOWS, private=True,
    ),
    Field(
        "messages", "one-hot for each agent: what the others said at this visitor's last page, 0 if nothing",
        axes=("agents", "vocabulary"), hideable=True,
    ),
    Field(
        "offers", "levels of all agents' prices at this visitor's last page, -1 lowest, 1 highest, 0 if none",
        -1.0, 1.0, ("agents",), when=OFFERS, hideable=True,
    ),
    Field("latent_taste", "true taste p_u of the visitor", -0.5, 0.5, ("dims",), half=1.0, when=FULL),
    Field("latent_satiation", "satiation s_u of the visitor with each topic", axes=("topics",), half=1.0, when=FULL),
    Field("latent_trust", "trust tau_u of the visitor in each agent", -1.0, 1.0, ("agents",), when=FULL),
    Field("latent_intent", "one-hot: the topic of the session's intent", axes=("topics",), when=FULL),
    Field("latent_satisfaction", "satisfaction z_u of the visitor", -1.0, 1.0, when=FULL),
    Field("latent_price_sensitivity", "price sensitivity rho_u of the visitor", half=1.0, when=FULL),
    Field("latent_wallet", "money of the visitor in mean list prices; 0 where it is unlimited", half=1.0, when=FULL),
)  # fmt: skip

# In the order that candidates show them.
CANDIDATE_FEATURES = (
    Field(
        "profile_match", "<profile, q_j>: the noisy taste times the item's vector", -1.0, 1.0, half=1.0,
        follows_from=("profile",),
    ),
    Field(
        "history_match", "<clicked_mean, q_j>: what was clicked times the item's vector", -0.5, 0.5, half=1.0,
        follows_from=("clicked_mean",),
    ),
    Field(
        "topic_count", "decayed clicks of the visitor on the item's topic, as in `topic_counts`", half=1.0,
        follows_from=("topic_counts",),
    ),
    Field("popularity", "decayed clicks of everybody on the item, in mean historical counts", half=1.0),
    Field(
        "ctr", "tanh log(its clicks per examined impression / the catalogue's mean), of everybody", -1.0, 1.0
    ),
    Field(
        "satisfaction", "tanh 2 (mean log(dwell / length) of its clicks - that of all items), of everybody",
        -1.0, 1.0,
    ),
    Field("price", "log(price now / geometric mean list price of its topic)", -1.0, 1.0, half=1.0, when=PRICES),
    Field(
        "repeat", "decayed count of the visitor's consumption of it that the agent knows of", half=1.0, when=HABITS,
        follows_from=("clicked_mean",),
    ),
    Field("freshness", "exp(-age / tau_fresh): 1 when the item's availability window opens", when=WINDOWS),
    Field(
        "context", "<anchor, q_j>: match with the item that led here, if any", -0.5, 0.5, half=1.0, when=SCENES,
        follows_from=("anchor",),
    ),
    Field("length", "length of the item, in mean lengths", half=1.0, when=LENGTHS),
    Field("promotion", "1 if the item's price is cut now", when=PROMOTIONS),
)  # fmt: skip

# What rankers weigh beside the features where agents set prices: where the prices lie in [-1, 1], from the lowest level
# to the highest; 0 is the middle.
PRICE_LEVEL = "price_level"

# The parts of a continuous action, in order. Discrete ones are laid out by `spaces.action_space`.
ACTION = (
    Field("query", "the items of the largest inner product with it are shown", -1.0, 1.0, ("dims",), when=QUERY),
    Field(
        "weights", "weights of the candidates' features: those of the largest sum are shown", -1.0, 1.0, ("features",),
        when=WEIGHTS,
    ),
    Field("price", "level of the agent's prices: -1 lowest, 1 highest", -1.0, 1.0, when=CONTINUOUS_OFFERS),
    Field(
        "message", "one number for each word, of which the largest is said", -1.0, 1.0, ("vocabulary",), when=CONTINUOUS
    ),
)  # fmt: skip

STATE = (
    *(replace(field, when=ALWAYS) for field in OBSERVATION if field.latent),
    Field("scene", "one-hot: the scene of the page", axes=("scenes",)),
    Field("mean_z", "mean satisfaction of the users seen in this episode", -1.0, 1.0),
    Field("mean_trust", "their mean trust in each agent", -1.0, 1.0, ("agents",)),
    Field("visitor_present", "0 in an idle tick, where all that describes a visitor is 0"),
    Field(
        "episode_share", "share of the episode that has passed: (ticks played + 1) / (horizon + 1), never 0 and 1 at "
        "the end"
    ),
    *(replace(field, when=PLATFORM_MOOD, private=False) for field in OBSERVATION if field.when is MOOD),
    Field("private", "the private fields of each agent, agent after agent", -1.0, 1.0, ("agents", "private")),
)  # fmt: skip

# Taken by the kernels in one pass, so `span` sees to it that they lie side by side.
HISTORY = tuple(field for field in OBSERVATION if field.history)

HIDEABLE = tuple(field.name for field in OBSERVATION if field.hideable)


def candidate_features(config: WorldConfig, shape: Shape) -> tuple[str, ...]:
    """Names of the features that a candidate shows in this world: those that can differ between its items."""
    return tuple(field.name for field in CANDIDATE_FEATURES if field.when.holds(config, shape))


def ranker_weights(config: WorldConfig, shape: Shape) -> tuple[str, ...]:
    """What a linear ranker has a weight for in this world: the features, and last, where agents set prices, these."""
    return (*candidate_features(config, shape), *((PRICE_LEVEL,) if shape.levels else ()))


def unseen_features(hidden: Collection[str]) -> frozenset[str]:
    """Features of an item that are not to be had without these fields of the observation, which they follow from."""
    return frozenset(field.name for field in CANDIDATE_FEATURES if not set(field.follows_from).isdisjoint(hidden))


def private_fields(config: WorldConfig, shape: Shape) -> tuple[Field, ...]:
    """The fields of which `state()` holds one of each agent, in this world."""
    shared = {field.name for field in STATE if field.when.holds(config, shape)}
    return tuple(field for field in OBSERVATION if field.private and field.name not in shared)


def with_fields(config: WorldConfig, shape: Shape) -> Shape:
    """The sizes of a world, with those that follow from the declarations filled in."""
    shape = shape._replace(features=len(candidate_features(config, shape)))
    return shape._replace(private=sum(field.size(config, shape) for field in private_fields(config, shape)))


def places(fields: Iterable[Field], config: WorldConfig, shape: Shape) -> dict[str, slice]:
    """Where each field that a world has lies in the flat vector of all of them."""
    where, start = {}, 0
    for field in fields:
        if size := field.size(config, shape):
            where[field.name] = slice(start, start + size)
            start += size
    return where


def span(where: dict[str, slice], fields: Iterable[Field]) -> slice:
    """The stretch of the vector that these fields take up.

    Raises:
        ValueError: others lie between them.
    """
    names = [field.name for field in fields]
    parts = [where[name] for name in names if name in where]
    whole = slice(min(part.start for part in parts), max(part.stop for part in parts))
    if whole.stop - whole.start != sum(part.stop - part.start for part in parts):
        raise ValueError(f"{', '.join(names)} are handled in one pass; declare them side by side")
    return whole


def runs_of(parts: Iterable[slice]) -> list[list[int]]:
    """Return the runs of places that parts of a vector fill, as pairs: first place, and one past the last."""
    runs: list[list[int]] = []
    for part in parts:
        if runs and runs[-1][1] == part.start:
            runs[-1][1] = part.stop
        else:
            runs.append([part.start, part.stop])
    return runs
