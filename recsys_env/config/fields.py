"""The fields of observations, candidates, continuous actions and the global state, each declared once.

The rest of the package derives from these declarations: the Gymnasium spaces, the offsets at which the kernels read and
write (`World.params`), the named views (`VectorEnv.observation_fields`, `.state_fields`, `.candidate_features`), the
private part of `state()`, the fields that a role may hide, the fields that privacy withholds, and the tables of the
documentation. To add a field, declare it here and write it in `kernels/observation.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

Config: TypeAlias = Any  # a WorldConfig, which is checked against these declarations and so imports them


class Shape(NamedTuple):
    """Sizes of a world. Where the config names a catalogue, the catalogue determines some of them."""

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
    # Separate observed satisfactions: N, 1 (observation.observed_satisfaction="platform"), or 0 (finite games and
    # platforms).
    satisfaction_views: int
    released_views: int  # histories that are released with noise: `views`, or 0 without differential privacy
    visit_views: int  # separate counts of a person's visits: N on rival pages, else 0
    cart: int  # Q: size of the cart, 0 where nothing is put in a cart for later
    vocabulary: int  # V: words that an agent can send
    levels: int  # L: levels of prices or bids, 0 where agents set neither
    bidders: int  # N on auction pages, else 0
    providers: int  # G: providers of items, 0 unless some agent is rewarded for fairness
    labels: int  # Y: labels of the intent that roles are told, 0 where no role is told any
    recent: int  # L: items consumed last that agents observe
    id_columns: int  # numbers that name an item, 0 where observations do not name any
    partner_maps: int  # maps of what goes with what: 1, 2 (the item before the last one counts too), or 0 (none)
    remembered: int  # items consumed last that are kept of each person: as many as are observed or matter
    requests: int  # requests in words that are kept of each person: 1, or 0 where nobody makes one
    encoding: int  # E: numbers of a request's encoding, 0 where agents do not observe it
    window: int  # W: items of each creator that a platform can show; 0 elsewhere
    bait_levels: int  # L: levels of clickbait that creators choose from, 0 elsewhere
    price_ratios: int  # R: prices of each item relative to its list price; 0 where the catalogue has none
    features: int = 0  # F: features of a candidate
    observed_features: int = 0  # F': those of them that the observation holds
    private: int = 0  # P: numbers in the private part of an observation


class When(NamedTuple):
    """The worlds that have a field: a description and a predicate."""

    text: str
    holds: Callable[[Config, Shape], bool]


ALWAYS = When("", lambda config, shape: True)
VISITS = When('except with page="platform"', lambda config, shape: shape.window == 0)
PLATFORM = When('with page="platform"', lambda config, shape: shape.window > 0)
QUERY = When('with action="query"', lambda config, shape: config.action == "query")
WEIGHTS = When('with action="weights"', lambda config, shape: config.action == "weights")
CONTINUOUS_PRICES = When(
    'with action="query" or "weights", where agents set prices',
    lambda config, shape: config.continuous and config.offer.kind == "price",
)
CONTINUOUS_BIDS = When(
    'with action="weights", on auction pages', lambda config, shape: config.continuous and shape.bidders > 0
)
CONTINUOUS = When('with action="query" or "weights"', lambda config, shape: config.continuous)
FULL = When('with observability="full"', lambda config, shape: config.observability == "full")
SCENES = When("with several scenes", lambda config, shape: shape.scenes > 1)
CART = When(
    'where items can be put in a cart for later, except with page="platform"',
    lambda config, shape: shape.cart > 0 and shape.window == 0,
)
HABITS = When("with users.habit_size > 0", lambda config, shape: shape.habits > 0)
PRICES = When("where prices differ", lambda config, shape: bool(config.catalogue) or config.items.price_log_sd > 0)
LENGTHS = When("where lengths differ", lambda config, shape: config.items.length_log_sd > 0)
SATISFACTION = When(
    'except in finite games (choice.v_0_by_mood) and with page="platform"',
    lambda config, shape: shape.satisfaction_views > 0,
)
PLATFORM_SATISFACTION = When(
    'with observation.observed_satisfaction="platform", except in finite games',
    lambda config, shape: shape.satisfaction_views > 0 and config.observation.observed_satisfaction == "platform",
)
WINDOWS = When("with availability windows", lambda config, shape: config.items.life > 0)
PRICED = When("where agents set prices", lambda config, shape: config.offer.kind == "price")
AUCTION = When("on auction pages", lambda config, shape: shape.bidders > 0)
FAIRNESS = When(
    'where fairness is rewarded, except with page="platform"',
    lambda config, shape: shape.providers > 0 and shape.window == 0,
)
KNOWS = When("where a role is told something about the intent", lambda config, shape: shape.labels > 0)
PROMOTIONS = When(
    "with promotions", lambda config, shape: config.items.promotion_probability > 0 or shape.price_ratios > 0
)
REQUEST = When("with observation.request", lambda config, shape: shape.encoding > 0)
RECENT = When("with observation.recent > 0", lambda config, shape: shape.recent > 0)
IDS = When('with observation.item_ids="one-hot" or "binary"', lambda config, shape: shape.id_columns > 0)
VECTORS = When(
    'with candidates.features="vectors" or "both"',
    lambda config, shape: shape.candidates > 0 and config.candidates.features != "digest",
)


@dataclass(frozen=True)
class Field:
    """One named part of a vector.

    Attributes:
        name: its key in named views.
        meaning: its definition, for users.
        low, high: closed interval that contains each of its numbers, after squashing.
        axes: its shape, as names of sizes in `Shape`; empty for a single number.
        half: a number x is squashed to x / (half + |x|), which is smooth and lies in (-1, 1); None: not squashed.
        when: the worlds that have the field.
        reveals: what it tells about the visitor, which decides what differential privacy does with it. "nothing": it is
            shown as it is. "noised": it is computed only from numbers that privacy adds noise to, and shown. "personal"
            (the default): it is withheld.
        private: each agent has its own version, and `state()` contains all of them, except in worlds where all agents
            see the same, for which `STATE` declares the field itself.
        hideable: a role may hide it (`RoleConfig.hidden`).
        history: it belongs to what an agent remembers of a visitor's clicks, which the kernels copy in one pass.
        follows_from: for a candidate's feature, the observation fields that it is computed from; an agent that does not
            see one of them does not see the feature either.
        compares: for a candidate's feature, whether it compares the candidate's vector or topic with the visitor or the
            page. With `candidates.features="vectors"` the observation leaves these features out.
    """

    name: str
    meaning: str
    low: float = 0.0
    high: float = 1.0
    axes: tuple[str, ...] = ()
    half: float | None = None
    when: When = ALWAYS
    reveals: Literal["nothing", "noised", "personal"] = "personal"
    private: bool = False
    hideable: bool = False
    history: bool = False
    follows_from: tuple[str, ...] = ()
    compares: bool = False

    @property
    def range(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    @property
    def squashed(self) -> bool:
        return self.half is not None

    @property
    def of_items(self) -> bool:
        """Whether it holds something for each candidate, or for each of the items consumed last."""
        return self.axes[:1] in (("candidates",), ("recent",))

    @property
    def latent(self) -> bool:
        """Whether only the simulator knows it; agents see it only with observability="full"."""
        return self.when is FULL

    @property
    def withheld(self) -> bool:
        """Whether differential privacy hides it from agents."""
        return self.reveals not in ("nothing", "noised")

    def size(self, config: Config, shape: Shape) -> int:
        """Return how many numbers it has in a world; 0 if the world does not have it."""
        return math.prod(getattr(shape, axis) for axis in self.axes) if self.when.holds(config, shape) else 0


OBSERVATION = (
    Field(
        "is_active", "1 if this agent acts on the next page: its slots will be on it, or in an auction it bids for it, "
        "or on a platform it publishes an item now; if 0, all fields about the visit, and about what was published, "
        "are 0",
        reveals="nothing",
    ),
    Field(
        "visitor_present", "1 if somebody visits and this agent is active, 0 otherwise", when=VISITS, reveals="nothing"
    ),
    Field("role", "one-hot: the agent's role", axes=("roles",), reveals="nothing"),
    Field("agent_id", "one-hot: the agent's index in `possible_agents`", axes=("agents",), reveals="nothing"),
    Field("scene", "one-hot: the scene of the page", axes=("scenes",), when=SCENES),
    Field(
        "session_page", "number of pages that the visitor has seen earlier in this session", half=5.0, when=VISITS,
        hideable=True,
    ),
    Field(
        "visits", "number of this person's sessions, including this one; on rival pages only those with this agent",
        half=5.0, when=VISITS, hideable=True,
    ),
    Field(
        "visit_gap", "ticks since the last page of the person's previous session; 1 in the first session", half=50.0,
        when=VISITS, hideable=True,
    ),
    Field("cart", "share of the cart that is taken", when=CART, hideable=True),
    Field(
        "anchor", "vector of the item clicked on the page before in this session; 0 if none was", -0.5, 0.5, ("dims",),
        half=1.0, when=SCENES, hideable=True,
    ),
    Field(
        "profile", "the visitor's taste plus noise that is drawn once per person", -1.0, 1.0, ("dims",), half=1.0,
        when=VISITS, reveals="noised", hideable=True,
    ),
    Field(
        "clicked_mean", "decayed mean of the vectors of the items that the visitor clicked in this agent's slots",
        -0.5, 0.5, ("dims",), half=1.0, when=VISITS, reveals="noised", private=True, hideable=True, history=True,
    ),
    Field(
        "topic_counts", "decayed number of the visitor's clicks on each topic in this agent's slots", axes=("topics",),
        half=1.0, when=VISITS, reveals="noised", private=True, hideable=True, history=True,
    ),
    Field(  # retrieved by the noisy profile; each feature declares what it reveals itself
        "candidates", "features of the candidates, one candidate after another; 0 where there is no candidate",
        -1.0, 1.0, ("candidates", "observed_features"), half=1.0, reveals="noised", private=True, hideable=True,
    ),
    Field(
        "candidate_vectors", "vectors of the candidates, one after another; 0 where there is no candidate",
        -0.5, 0.5, ("candidates", "dims"), half=1.0, when=VECTORS, reveals="noised", private=True, hideable=True,
    ),
    Field(
        "candidate_topics", "one-hot for each candidate: its topic; 0 where there is no candidate",
        axes=("candidates", "topics"), when=VECTORS, reveals="noised", private=True, hideable=True,
    ),
    Field(
        "candidate_ids", "for each candidate: which item it is (`observation.item_ids`); 0 where there is no "
        "candidate, and in the last observation of an episode",
        axes=("candidates", "id_columns"), when=IDS, reveals="noised", private=True, hideable=True,
    ),
    Field(
        "observed_satisfaction",
        "observed satisfaction: decayed mean of tanh(e) over the pages that the agent knows of "
        "(`observation.observed_satisfaction`); the experienced utility e of a click follows from its dwell time",
        -1.0, 1.0, when=SATISFACTION, private=True, hideable=True,
    ),
    Field(
        "satisfaction_pages", "number of pages that the observed satisfaction is based on", half=5.0,
        when=SATISFACTION, private=True, hideable=True,
    ),
    Field(
        "exposure", "each provider's share of this agent's decayed exposure; before any exposure its target share",
        axes=("providers",), when=FAIRNESS, reveals="nothing", private=True, hideable=True,
    ),
    Field(
        "knows", "one-hot: the label of the session's intent that the role is told (`RoleConfig.knows`)",
        axes=("labels",), when=KNOWS, private=True,
    ),
    Field(
        "messages", "one-hot for each other agent: the word that it sent at this visitor's last page; 0 if none",
        axes=("agents", "vocabulary"), hideable=True,
    ),
    Field(
        "price_levels", "price level of each agent at this visitor's last page: -1 lowest, 1 highest, 0 if it set none",
        -1.0, 1.0, ("agents",), when=PRICED, hideable=True,
    ),
    Field(
        "slot_value", "what the slot of this page is worth to this agent: the reward that it can expect if it wins, "
        "before the price",
        half=0.5, when=AUCTION, private=True, hideable=True,
    ),
    Field(
        "budget", "share of this agent's budget that is left; 1 where budgets are unlimited", when=AUCTION,
        private=True, hideable=True,
    ),
    Field(
        "until_refill", "share of the pages from one refill of the budgets to the next that are still to come",
        when=AUCTION, reveals="nothing", hideable=True,
    ),
    Field(
        "last_price", "price of the last page, whoever paid it; 0 if nobody bid, or before the first page", half=0.5,
        when=AUCTION, hideable=True,
    ),
    Field(
        "recent_mask", "for each of the items that the visitor consumed last, newest first, as far as this agent "
        "knows: 1 if there is one, and 0 if there were fewer",
        axes=("recent",), when=RECENT, private=True, hideable=True,
    ),
    Field(
        "recent_vectors", "vectors of these items", -0.5, 0.5, ("recent", "dims"), half=1.0, when=RECENT, private=True,
        hideable=True,
    ),
    Field(
        "recent_topics", "one-hot for each of these items: its topic", axes=("recent", "topics"), when=RECENT,
        private=True, hideable=True,
    ),
    Field(
        "recent_bought", "for each of these items: 1 if it was bought, 0 if it was clicked only", axes=("recent",),
        when=RECENT, private=True, hideable=True,
    ),
    Field(
        "recent_pages", "for each of these items: how many of the visitor's pages ago it was consumed; 1 is the page "
        "before this one",
        axes=("recent",), half=5.0, when=RECENT, private=True, hideable=True,
    ),
    Field(
        "recent_ids", "for each of these items: which item it is, as in `candidate_ids`",
        axes=("recent", "id_columns"), when=IDS, private=True, hideable=True,
    ),
    Field(
        "request", "encoding of what the visitor said at the start of the session that it wants; 0 if it said nothing",
        -1.0, 1.0, ("encoding",), when=REQUEST, hideable=True,
    ),
    Field(
        "until_decision", "share of the platform's period that is left until the creators decide; 0 = they decide now",
        when=PLATFORM, reveals="nothing",
    ),
    Field(
        "window_topics", "one-hot for each item of the own window, newest first: its topic; 0 if there are fewer",
        axes=("window", "topics"), when=PLATFORM, reveals="nothing", private=True, hideable=True,
    ),
    Field(
        "window_bait", "for each of these items: its clickbait", axes=("window",), when=PLATFORM, reveals="nothing",
        private=True, hideable=True,
    ),
    Field(
        "window_clicks", "for each of these items: number of clicks since the last decision", axes=("window",),
        half=5.0, when=PLATFORM, private=True, hideable=True,
    ),
    Field(
        "others_topics", "share of the items in the other creators' windows that each topic has", axes=("topics",),
        when=PLATFORM, reveals="nothing", private=True, hideable=True,
    ),
    Field(
        "others_bait", "mean clickbait of the items that the other creators published last; 0 before the first",
        when=PLATFORM, reveals="nothing", private=True, hideable=True,
    ),
    Field(
        "demand", "share of the ticks since the last decision at which somebody visited; 0 before the first",
        when=PLATFORM, hideable=True,
    ),
    Field("latent_taste", "the visitor's true taste p_u", -0.5, 0.5, ("dims",), half=1.0, when=FULL),
    Field("latent_satiation", "the visitor's satiation s_u with each topic", axes=("topics",), half=1.0, when=FULL),
    Field("latent_trust", "the visitor's trust tau_u in each agent", -1.0, 1.0, ("agents",), when=FULL),
    Field("latent_intent", "one-hot: the topic of the session's intent", axes=("topics",), when=FULL),
    Field("latent_satisfaction", "the visitor's satisfaction z_u", -1.0, 1.0, when=FULL),
    Field("latent_price_sensitivity", "the visitor's price sensitivity rho_u", half=1.0, when=FULL),
    Field(
        "latent_wallet", "the visitor's money, in mean list prices; 0 where wallets are unlimited", half=1.0, when=FULL
    ),
)  # fmt: skip

# In the order in which each candidate shows them.
CANDIDATE_FEATURES = (
    Field(
        "profile_match", "<profile, q_j>: inner product of the noisy profile and the item's vector", -1.0, 1.0,
        half=1.0, reveals="noised", follows_from=("profile",), compares=True,
    ),
    Field(
        "history_match", "<clicked_mean, q_j>: inner product of the mean clicked vector and the item's vector",
        -0.5, 0.5, half=1.0, reveals="noised", follows_from=("clicked_mean",), compares=True,
    ),
    Field(
        "topic_count", "decayed number of the visitor's clicks on the item's topic, as in `topic_counts`", half=1.0,
        reveals="noised", follows_from=("topic_counts",), compares=True,
    ),
    Field(
        "popularity", "decayed number of all users' clicks on the item, divided by the mean historical count", half=1.0,
        reveals="nothing",
    ),
    Field(
        "ctr", "tanh(log r): r is all users' clicks on the item per examined impression, over the catalogue's mean",
        -1.0, 1.0, reveals="nothing",
    ),
    Field(
        "satisfaction", "tanh(2 d): d is the mean log(dwell / length) of all users' clicks on the item, minus the mean "
        "of all items",
        -1.0, 1.0, reveals="nothing",
    ),
    Field(
        "price", "log(current price / geometric mean list price of the item's topic)", -1.0, 1.0, half=1.0, when=PRICES,
        reveals="nothing",
    ),
    Field(
        "repeat", "decayed number of times that the visitor consumed the item, as far as the agent knows", half=1.0,
        when=HABITS, follows_from=("clicked_mean",),
    ),
    Field(
        "freshness", "exp(-age / tau_fresh): age is the number of ticks since the item's availability window opened",
        when=WINDOWS, reveals="nothing",
    ),
    Field(
        "context", "<anchor, q_j>: inner product of the item's vector and that of the item clicked on the page before",
        -0.5, 0.5, half=1.0, when=SCENES, follows_from=("anchor",), compares=True,
    ),
    Field("length", "length of the item, in mean lengths", half=1.0, when=LENGTHS, reveals="nothing"),
    Field("promotion", "1 if the item's price is reduced now, 0 otherwise", when=PROMOTIONS, reveals="nothing"),
)  # fmt: skip

FEATURE_HALF = 1.0  # with which the kernels squash all features of a candidate in one pass


def check_features(features: Iterable[Field]) -> None:
    """Check that features are squashed as `kernels/observation.py` squashes them, or not at all, and that those which
    tell something about the visitor say which observed fields they follow from.

    Raises:
        TypeError: one declares another `half`, or an agent from whom fields are hidden would still see what it tells.
    """
    for feature in features:
        if feature.reveals != "nothing" and not feature.follows_from:
            raise TypeError(
                f"feature {feature.name!r} tells something about the visitor (reveals={feature.reveals!r}); name in "
                "follows_from= the observed fields that it is computed from, because it is hidden where they are"
            )
        if feature.half not in (None, FEATURE_HALF):
            raise TypeError(
                f"feature {feature.name!r} has half = {feature.half:g}; allowed are {FEATURE_HALF:g} (write x, and the "
                "kernel squashes it) and None (write a bounded number): to see more of large numbers, write x / "
                f"{feature.half:g} and say so in `meaning`"
            )


check_features(CANDIDATE_FEATURES)

# Where agents set prices or bid, rankers have one more weight beside those of the features: their level, from -1
# (lowest) to 1 (highest). By `offer.kind`:
LEVELS = {"price": "price_level", "bid": "bid_level"}

# The parts of a continuous action, in order. `spaces.action_space` lays out discrete actions.
ACTION = (
    Field(
        "query", "the items with the largest inner product with this vector are shown", -1.0, 1.0, ("dims",), when=QUERY
    ),
    Field(
        "weights", "weights of the candidates' features; the candidates with the largest weighted sums are shown",
        -1.0, 1.0, ("features",), when=WEIGHTS,
    ),
    Field("price", "price level of the agent's slots: -1 lowest, 1 highest", -1.0, 1.0, when=CONTINUOUS_PRICES),
    Field("bid", "level of the agent's bid: -1 lowest, 1 highest", -1.0, 1.0, when=CONTINUOUS_BIDS),
    Field(
        "message", "one number for each word; the word with the largest number is sent", -1.0, 1.0, ("vocabulary",),
        when=CONTINUOUS,
    ),
)  # fmt: skip

STATE = (
    *(replace(field, when=ALWAYS) for field in OBSERVATION if field.latent),
    Field("scene", "one-hot: the scene of the page", axes=("scenes",)),
    Field(
        "mean_satisfaction", "mean satisfaction of the users who were asked to come in this episode, also of those who "
        "refused", -1.0, 1.0,
    ),
    Field("mean_trust", "mean trust of the same users in each agent", -1.0, 1.0, ("agents",)),
    Field("visitor_present", "1 if somebody visits, 0 in an idle tick; all fields about the visitor are then 0"),
    Field(
        "episode_share", "share of the episode that has passed, (ticks played + 1) / (horizon + 1): above 0 at the "
        "start, 1 at the end"
    ),
    *(replace(field, when=PLATFORM_SATISFACTION, private=False) for field in OBSERVATION if field.when is SATISFACTION),
    *(field for field in OBSERVATION if field.when in (AUCTION, PLATFORM) and not field.private),
    Field("private", "the private fields of all agents, one agent after another", -1.0, 1.0, ("agents", "private")),
)  # fmt: skip

# The kernels copy these fields in one pass; `span` checks that they lie side by side.
HISTORY = tuple(field for field in OBSERVATION if field.history)

HIDEABLE = tuple(field.name for field in OBSERVATION if field.hideable)

# What bidders see of an auction.
AUCTION_FIELDS = tuple(field.name for field in OBSERVATION if field.when is AUCTION)


def candidate_features(config: Config, shape: Shape) -> tuple[str, ...]:
    """Return the names of a candidate's features in this world: those that can differ between its items. Rankers weigh
    all of them."""
    return tuple(field.name for field in CANDIDATE_FEATURES if field.when.holds(config, shape))


def observed_features(config: Config, shape: Shape) -> tuple[str, ...]:
    """Return the names of the features that the field `candidates` of the observation holds."""
    names = candidate_features(config, shape)
    if config.candidates.features != "vectors":
        return names
    comparing = {field.name for field in CANDIDATE_FEATURES if field.compares}
    return tuple(name for name in names if name not in comparing)


def ranker_weights(config: Config, shape: Shape) -> tuple[str, ...]:
    """Return the names of a linear ranker's weights: the features, and last the level where agents set prices or
    bid."""
    return (*candidate_features(config, shape), *((LEVELS[config.offer.kind],) if shape.levels else ()))


def unseen_features(hidden: Collection[str]) -> frozenset[str]:
    """Return the features that cannot be computed without these hidden fields of the observation."""
    return frozenset(field.name for field in CANDIDATE_FEATURES if not set(field.follows_from).isdisjoint(hidden))


def id_columns(item_ids: str, items: int) -> int:
    """Return how many numbers name each item of a catalogue of M items (`observation.item_ids`)."""
    return {"none": 0, "one-hot": items, "binary": items.bit_length()}[item_ids]


def private_fields(config: Config, shape: Shape) -> tuple[Field, ...]:
    """Return the fields that `state()` contains once for each agent in this world."""
    shared = {field.name for field in STATE if field.when.holds(config, shape)}
    return tuple(field for field in OBSERVATION if field.private and field.name not in shared)


def with_fields(config: Config, shape: Shape) -> Shape:
    """Return the sizes of a world, including those that follow from the declarations."""
    shape = shape._replace(
        features=len(candidate_features(config, shape)), observed_features=len(observed_features(config, shape))
    )
    return shape._replace(private=sum(field.size(config, shape) for field in private_fields(config, shape)))


def field_slices(fields: Iterable[Field], config: Config, shape: Shape) -> dict[str, slice]:
    """Return the slice of each field that a world has in the flat vector of all of them."""
    where, start = {}, 0
    for field in fields:
        if size := field.size(config, shape):
            where[field.name] = slice(start, start + size)
            start += size
    return where


def span(where: dict[str, slice], fields: Iterable[Field]) -> slice:
    """Return the slice of the flat vector that these fields fill together.

    Raises:
        ValueError: other fields lie between them.
    """
    names = [field.name for field in fields]
    parts = [where[name] for name in names if name in where]
    found = slice(min(part.start for part in parts), max(part.stop for part in parts))
    if found.stop - found.start != sum(part.stop - part.start for part in parts):
        raise ValueError(f"{', '.join(names)} are handled in one pass; declare them side by side")
    return found


def runs_of(parts: Iterable[slice]) -> list[list[int]]:
    """Return the runs of columns that parts of a vector fill, as pairs: the first column, and one past the last."""
    runs: list[list[int]] = []
    for part in parts:
        if runs and runs[-1][1] == part.start:
            runs[-1][1] = part.stop
        else:
            runs.append([part.start, part.stop])
    return runs
