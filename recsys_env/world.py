"""The arrays of the game: `World` (read-only, shared by all copies), and with a leading axis B `State` (what changes),
`Report` (the results of a step) and `Scratch` (its working memory).

Numbers that a step reads together lie together in memory: an item is one 64-byte record and one row of `q`; a user is
one record and one row of `State.vectors` (taste | profile | satiation | trust | histories | observed satisfactions |
noisy histories, at the offsets in `params.shape`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .catalogue import Catalogue
from .config import GROUPS, OBJECTIVES, PAGE_PROPERTIES, WorldConfig
from .fields import (
    ACTION,
    CANDIDATE_FEATURES,
    HISTORY,
    OBSERVATION,
    STATE,
    Field,
    Shape,
    candidate_features,
    places,
    span,
    with_fields,
)
from .privacy import noise
from .responses import EVENTS, RESPONSES

CART_SIZE = 3
SAMPLE = 64  # people whose clicks make up the historical log; fewer in very large catalogues, to save time

# ------------------------------------------------------------------------------------------------ records


def _record(*columns: Any) -> np.dtype[Any]:
    return np.dtype(list(columns), align=True)


ITEM = _record(  # a line of the cache
    ("topic", "i4"), ("provider", "i4"), ("domain", "i4"),
    ("offset", "i4"),        # shift of its availability windows, in ticks
    ("intercept", "f4"),     # alpha_j: how attractive it is to everybody, in utils
    ("quality", "f4"),       # g_j
    ("bait", "f4"),          # c_j: clickbait
    ("log_price", "f4"),     # log(list price / geometric mean list price of the topic)
    ("price", "f4"),         # list price, in mean list prices
    ("length", "f4"),        # in mean lengths
    ("popularity", "f4"),    # historical count of clicks
    ("novelty", "f4"),       # self-information of historical popularity, 0 = most popular item, 1 = least
    # in the historical log of items.log_impressions impressions: its clicks, and their sum of log(dwell / length)
    ("log_clicks", "f4"), ("log_satisfaction", "f4"),
    ("probability", "f4"), ("alias", "i4"),  # alias table over all items ~ historical popularity
)  # fmt: skip
TOPIC = _record(
    ("cart_intercept", "f8"),  # b_t
    ("mood_up", "f8"), ("mood_down", "f8"),  # finite games: probabilities after a click on it
)  # fmt: skip
POPULAR = _record(("item", "i4"), ("probability", "f4"), ("alias", "i4"))  # alias table over the items of a topic
PLACE = _record(("probability", "f4"), ("alias", "i4"))  # alias table over user slots ~ base activity
SCENE = _record(("beta_context", "f4"), ("cart", "i4"), ("owner", "i4"))  # owner: agent, -1 = everyone
AGENT = _record(("role", "i4"), *((name, "f4") for name in (*EVENTS, *OBJECTIVES)))

COPY = _record(
    ("seed", "u8"),          # seed of the events; restore(seed=...) replaces it
    ("population", "u8"),    # key of fresh people; a snapshot keeps it
    ("key", "u8"),           # key of this episode's events, a hash of `seed` and `episode`
    ("episode", "i4"), ("tick", "i4"),
    # number of episodes that this copy has begun; rows of users and items with another stamp are not initialised yet
    ("stamp", "i4"),
    ("visitor", "i4"),       # user slot of the visitor of the page about to be shown, -1 = idle tick
    ("intent", "i4"),        # topic that the session is about
    ("scene", "i4"),
    ("anchor", "i4"),        # item that led to this scene, -1 = none
    ("opened", "i4"),        # on rival pages, the agent whose platform is open in this session
    ("session_page", "i8"),  # 0 on the first page of a session
)  # fmt: skip
USER = _record(
    ("stamp", "i4"),         # the copy's stamp at the last initialisation, 0 = never
    ("incarnation", "i4"),   # number of people who have left this user slot for good
    ("last_visit", "i4"),    # tick of the last page before this session, -1 = none
    ("last_page", "i4"),     # tick of the last page
    ("sessions", "i4"),      # sessions started by this person
    ("group", "i4"),
    ("mood", "i4"),          # in finite games, 0 = best
    ("cart", "i4"),          # items in the cart
    ("satisfaction", "f4"),
    ("wallet", "f4"), ("wallet_tick", "i4"),  # money in mean list prices, as of that tick
    ("rho", "f4"),           # price sensitivity
    ("rating_bias", "f4"),
)  # fmt: skip
# bit i: user slot i of 64 is initialised in this episode; valid only if `stamp` is the copy's
TOUCHED = _record(("stamp", "i8"), ("bits", "u8"))
VISITS = _record(("sessions", "i4"), ("last_visit", "i4"), ("last_page", "i4"))  # as in USER, for one agent
CART = _record(("item", "i4"), ("agent", "i4"), ("experience", "f4"), ("rated", "i4"))  # oldest first
HABIT = _record(("item", "i4"), ("window", "i4"), ("count", "f4"))  # item -1 = empty
STOCK = _record(
    ("stamp", "i4"), ("window", "i4"),    # the copy's stamp and the window at the last initialisation
    ("stock", "i4"), ("restock", "i4"),   # units left until the restock at tick `restock`
    # the episode's additions to the historical log, decayed up to the tick `touched` of the last update
    ("clicks", "f4"), ("impressions", "f4"), ("satisfaction", "f4"), ("touched", "i4"),
)  # fmt: skip
SLOT = _record(
    ("item", "i4"),          # shown item, -1 = hole
    ("rank", "i4"),          # rank - 1 on the page
    ("utility", "f8"),       # v
    # w / exp(m_n): examination probability times exp(v / lambda), divided by the agent's largest
    ("weight", "f8"),
    ("sale", "f8"),          # what an instant purchase counts, in mean margins
    *((response.name, response.kind) for response in RESPONSES),
)  # fmt: skip
AGENT_REPORT = _record(  # one agent's results of the page just shown, and whether it acts on the next one
    ("individual_reward", "f4"),  # own_n: its individual reward
    ("objectives", "f4"),  # weighted diversity, novelty and fairness of the page, which are not part of own_n
    ("log_price_multiplier", "f8"),  # log m of the agent's prices at the page, 0 = prices as they are
    ("visitor", "i8"),  # person whose page it was, -1 = idle or inactive
    ("next_visitor", "i8"),  # person whose page comes next
    ("user_slot", "i8"),  # user slot of the visitor, -1 likewise
    ("next_user_slot", "i8"),
    ("active", "?"),  # whether the agent's slots will be on the page that comes next
)
# purchase of an old cart item; item -1 = none
LATER = _record(("item", "i4"), ("agent", "i4"), ("price", "f4"), ("rating", "i4"))

TURN = _record(  # one copy's tick, passed from stage to stage
    ("key", "u8"),           # key of its random numbers
    ("agent", "i8"), ("slot", "i8"),  # agent and slot of the click, -1 = no click
    ("stays", "?"),          # whether the visitor stays
    ("user_slot", "i8"),     # if not, the user slot that is invited next
    ("open", "?"),           # whether the copy still has to advance to its next page
    ("row", "i8"),           # its row of `Scratch`: the first copy of those that advance together
)  # fmt: skip
SHAPE = _record(
    *((name, "i8") for name in Shape._fields),
    *((name, "i8") for name in ("horizon", "world_seed", "action", "full", "windows", "restricted", "moods")),
    *((name, "i8") for name in PAGE_PROPERTIES),
    # offsets in the rows of State.vectors, and their width W
    *((name, "i8") for name in ("taste", "profile", "satiation", "trust", "history")),
    *((name, "i8") for name in ("observed_satisfaction", "satisfaction_pages", "told", "releases", "width")),
    ("observation", "i8"),  # O
    ("profile_noise", "f8"), ("history_noise", "f8"),  # standard deviations of the noise on each number
    ("profile_error", "f8"),  # expected squared error of the profile
    ("log_promotion", "f8"),  # log of the factor on prices during a promotion
    ("popularity_scale", "f8"),  # 1 / mean historical count
    ("mean_ctr", "f8"), ("mean_satisfaction", "f8"),  # means of the historical log: per examined impression, per click
    ("exposure_decay", "f8"),  # factor on an agent's exposure at each of its pages
)  # fmt: skip


def _offsets(fields: Iterable[Field], *more: str) -> np.dtype[Any]:
    """Return the record of where each field starts in its vector; -1 = this world does not have it."""
    return _record(*((name, "i8") for name in (*(field.name for field in fields), *more)))


# "history" is where the fields of the history start, which are copied in one pass.
OBSERVATION_OFFSETS = _offsets(OBSERVATION, "history")
STATE_OFFSETS = _offsets(STATE)
FEATURE_OFFSETS = _offsets(CANDIDATE_FEATURES)
ACTION_OFFSETS = _offsets(ACTION)


def _group_record(group: Any) -> np.dtype[Any]:
    """Return the record of a config group's numbers; a word becomes its index among the allowed ones."""
    columns: list[Any] = []
    for f in fields(group):
        value = getattr(group, f.name)
        if isinstance(value, tuple):
            if len(value):
                columns.append((f.name, "f8", (len(value),)))
        else:
            columns.append((f.name, "f8" if isinstance(value, float) else "i8"))
    return np.dtype(columns, align=True)


_DEFAULT = WorldConfig()
PARAMS = _record(
    *((g, _group_record(getattr(_DEFAULT, g))) for g in GROUPS),
    ("shape", SHAPE),
    ("fields", OBSERVATION_OFFSETS),
    ("state_fields", STATE_OFFSETS),
    ("features", FEATURE_OFFSETS),
    ("action_fields", ACTION_OFFSETS),
)


class World(NamedTuple):
    """Read-only arrays of a task, shared by all copies."""

    params: np.ndarray  # [1] PARAMS: the config's numbers by group, sizes, layouts of observation, state and action
    items: np.ndarray  # [M] ITEM
    item_vectors: np.ndarray  # [M, D] f4, unit norm
    allowed: np.ndarray  # [N, M] bool: inventory of each agent; [N, 0] where all agents may show all items
    # [N, T] i4: the label that the agent is told where the intent is this topic, -1 = none; [N, 0] without labels
    labels: np.ndarray
    centres: np.ndarray  # [T, D] f4: topic centres, unit norm
    topics: np.ndarray  # [T] TOPIC
    popular: np.ndarray  # [M] POPULAR, topic by topic
    topic_start: np.ndarray  # [T + 1] i4: where each topic begins in `popular`
    places: np.ndarray  # [U] PLACE
    prior_taste: np.ndarray  # [A, D] f4: tastes of the catalogue's users; A = 0 without a catalogue
    prior_rho: np.ndarray  # [A] f4
    prior_habits: np.ndarray  # [A, H] HABIT
    v_0: np.ndarray  # [L] f8: utility of no click by mood; L = 1 without moods
    theta: np.ndarray  # [N * K] f8: examination by rank
    log_theta: np.ndarray  # [N * K] f8: its logarithm
    decay: np.ndarray  # [horizon + 1] f4: factor on the statistics of items after so many ticks
    scenes: np.ndarray  # [S] SCENE
    agents: np.ndarray  # [N] AGENT
    targets: np.ndarray  # [N, providers] f4: share of agent n's exposure that is due to each provider


class State(NamedTuple):
    """Everything that changes, for B copies. User and item rows are initialised on first touch in an episode."""

    copies: np.ndarray  # [B] COPY
    users: np.ndarray  # [B, U] USER
    touched_users: (
        np.ndarray
    )  # [B, ceil(U / 64)] TOUCHED: users initialised in this episode, found quickly even among a million
    vectors: np.ndarray  # [B, U, W] f4
    visits: np.ndarray  # [B, U, N] VISITS on rival pages, else [B, U, 0]
    carts: np.ndarray  # [B, U, Q] CART
    habits: np.ndarray  # [B, U, H] HABIT
    seen: np.ndarray  # [B, U, H, P] f4: the part of each habit count that is known in each view
    messages: np.ndarray  # [B, U, N] i2: words sent at the user's last page, -1 = none; [B, U, 0] without messages
    # [B, U, N] f4: price levels at the user's last page, in [-1, 1], 0 = none; [B, U, 0] where agents set no prices
    offers: np.ndarray
    items: np.ndarray  # [B, M] STOCK
    candidates: np.ndarray  # [B, N, C] i4: item, -1 = none
    matches: np.ndarray  # [B, N, C] f4: <noisy profile, vector> of each candidate
    order: np.ndarray  # [B, K, N] i4: on shared pages, the order in which the agents' slots of round k are ranked
    inclusive: np.ndarray  # [B, N] f8: lambda I_n + trust term at the last page shown, -inf = nothing shown
    # [B, N, G] f4: decayed examination that agent n gave each of G providers; G = 0 unless fairness is rewarded
    exposure: np.ndarray


class Report(NamedTuple):
    """The results of a step, for B copies. Two reports alternate from step to step."""

    observations: np.ndarray  # [B, N, O] f4
    masks: np.ndarray  # [B, N, A] i1; [B, N, 0] unless mask_actions
    final_observations: np.ndarray  # [B, N, O] f4, valid where truncated
    final_masks: np.ndarray  # as masks, valid where truncated
    final_states: np.ndarray  # [B, S'] f4: `state()` of the last page without its private part, valid where truncated
    rewards: np.ndarray  # [B, N] f4: r_n
    truncated: np.ndarray  # [B] bool
    agents: np.ndarray  # [B, N] AGENT_REPORT
    slots: np.ndarray  # [B, N, K] SLOT
    later: np.ndarray  # [B, Q] LATER


class Scratch(NamedTuple):
    """Working memory of the kernels, for B copies. It carries nothing from one step to the next."""

    shown: np.ndarray  # [B, N, K] i4: items that the actions ask for, before some become holes
    features: np.ndarray  # [B, 1, C F] f4: features of an agent's candidates with action="weights"; else [B, 1, 0]
    # Used for one copy at a time: copies that advance together share a row, `turns[b].row`, which stays in the cache.
    # C' and T' are C and T rounded up to whole vectors (`numeric.round_up_to_lanes`).
    picks: np.ndarray  # [B, K] i4: candidates picked so far
    scores: np.ndarray  # [B, max(C, K)] f8: what the best candidates, items or habits so far are ranked by
    habits: np.ndarray  # [B, C] i4: places of the visitor's largest habits so far
    draws: np.ndarray  # [B, C] i4: candidates before they are sorted
    profile_matches: np.ndarray  # [B, C] f4: <noisy profile, vector> of the draws
    marks: np.ndarray  # [B, 16] u8: bit set of the items drawn so far
    first_uniforms: np.ndarray  # [B, C'] f8: random numbers for the draws
    second_uniforms: np.ndarray  # [B, C'] f8
    shuffle_uniforms: np.ndarray  # [B, C'] f8: random numbers for their order
    seen: np.ndarray  # [B, C] f4: how often the visitor consumed each draw or candidate, as far as the agent knows
    # of an agent's candidates
    history_matches: np.ndarray  # [B, C] f4: <clicked mean, vector>
    item_clicks: np.ndarray  # [B, C'] f8: of everybody, decayed, as in `page.item_statistics`
    item_impressions: np.ndarray  # [B, C'] f8
    item_satisfaction: np.ndarray  # [B, C'] f8: sum of log(dwell / length) over the clicks
    item_age: np.ndarray  # [B, C'] f8: ticks since the item's window opened
    promotion: np.ndarray  # [B, C'] f8: 1 if the item is promoted, else 0
    relative_ctr: np.ndarray  # [B, C'] f4: the features of these names
    relative_satisfaction: np.ndarray  # [B, C'] f4
    freshness: np.ndarray  # [B, C'] f4
    # of the visitor
    topic_matches: np.ndarray  # [B, T'] f8: <vector, centre> of each topic
    topic_weights: np.ndarray  # [B, T'] f8
    topic_mass: np.ndarray  # [B, T'] f8: cumulative weights
    # Used for all copies at once.
    turns: np.ndarray  # [B] TURN
    queue: np.ndarray  # [B] i8: copies of a chunk, in the order in which the stage processes them
    largest: np.ndarray  # [B, N] f8: log of the agent's largest weight
    slot_log_weights: np.ndarray  # [B * N * K] f8: of the slots at the click, less the agent's largest
    slot_weights: np.ndarray  # [B * N * K] f8
    agent_sums: np.ndarray  # [B * N] f8: of the weights of an agent's slots
    agent_log_sums: np.ndarray  # [B * N] f8
    agent_log_masses: np.ndarray  # [B * N] f8: what agents weigh at the click, less the largest of them and no click
    agent_masses: np.ndarray  # [B * N] f8
    outside_log_mass: np.ndarray  # [B] f8: the same of no click
    outside_mass: np.ndarray  # [B] f8
    # [B] f8 each: for every click, in the order of the queue
    expected_experience: np.ndarray  # e before noise
    noise_quantile: np.ndarray  # uniform random number for the noise of e
    experience: np.ndarray  # e
    length: np.ndarray  # of the item
    dwell: np.ndarray
    pleasure: np.ndarray  # tanh(e)
    log_dwell: np.ndarray  # log(dwell time / item's length)
    # [B] f8 each: for every visitor, or user who is asked to come, in the order of the queue
    satisfaction: np.ndarray
    stay_probability: np.ndarray
    acceptance_probability: np.ndarray


# ------------------------------------------------------------------------------------------------ build


def shape_of(config: WorldConfig, catalogue: Catalogue | None) -> Shape:
    """The sizes of a config's world."""
    later = not config.feedback.instant and any(scene.cart for scene in config.scenes)
    users, items, dims, topics = config.users.number, config.items.number, config.items.dims, config.items.topics
    if catalogue is not None:
        items, dims = catalogue.item_vectors.shape
        users, topics = len(catalogue.user_taste), len(catalogue.topic_name)
    shape = Shape(
        users=users,
        items=items,
        dims=dims,
        topics=topics,
        agents=config.num_agents,
        slots=config.slots,
        candidates=config.candidates.number if config.retrieves else 0,
        scenes=len(config.scenes),
        roles=len(config.roles),
        habits=config.users.habit_size,
        views=1 if config.observation.share else config.num_agents,
        satisfaction_views=0
        if config.choice.v_0_by_mood
        else 1
        if config.observation.observed_satisfaction == "platform"
        else config.num_agents,
        released_views=0 if not config.private else 1 if config.observation.share else config.num_agents,
        visit_views=config.num_agents if config.opens_agent else 0,
        cart=CART_SIZE if later else 0,
        vocabulary=config.messages,
        levels=config.offer.levels if config.offer.kind == "price" else 0,
        providers=config.items.providers if _pays_fairness(config) else 0,
        labels=max((1 + max(role.knows) for role in config.roles if role.knows), default=0),
    )
    return with_fields(config, shape)


def _pays_fairness(config: WorldConfig) -> bool:
    return any(config.reward_weights(role)["fairness"] != 0 for role in range(len(config.roles)))


def build(config: WorldConfig, catalogue: Catalogue | None = None) -> World:
    """Build the read-only arrays of a task; a pure function of its arguments.

    Args:
        config: the task.
        catalogue: fitted items and users; default: the one that `config.catalogue` names, if any.
    """
    from .kernels.equations import examination

    if catalogue is None and config.catalogue:
        catalogue = Catalogue.load(config.catalogue)
    shape = shape_of(config, catalogue)
    rng = np.random.Generator(np.random.Philox(config.world_seed))
    centres = _unit(rng.standard_normal((shape.topics, shape.dims)))
    bait_level = rng.permutation(np.linspace(-1, 1, shape.topics)) if shape.topics > 1 else np.zeros(1)
    if catalogue is None:
        items, q = _synthetic_items(config, shape, centres, bait_level, rng)
        activity = _rounded(np.exp, config.users.activity_log_sd * rng.standard_normal(shape.users))
    else:
        items, q = _catalogue_items(catalogue, shape)
        centres = _unit(np.stack([q[items["topic"] == t].mean(0) for t in range(shape.topics)]))
        activity = catalogue.user_activity
    items["provider"] = np.arange(shape.items) % config.items.providers
    items["offset"] = rng.integers(0, max(config.items.period, config.items.life, 1), shape.items)
    items["novelty"] = _novelty(items)
    popular, topic_start = _alias_tables(items, shape)
    topics = np.zeros(shape.topics, TOPIC)
    topics["cart_intercept"] = config.feedback.b_0 - config.feedback.b_topic * bait_level
    if config.choice.v_0_by_mood:
        topics["mood_up"], topics["mood_down"] = config.dynamics.mood_up, config.dynamics.mood_down
    theta = _rounded(partial(examination, config.choice), np.arange(1, shape.agents * shape.slots + 1))
    taste, rho, habits = _priors(config, catalogue, shape)
    allowed = _inventory(config, shape, items)
    world = World(
        params=_params(config, shape, items),
        items=items,
        item_vectors=np.ascontiguousarray(q, np.float32),
        allowed=allowed,
        labels=_labels(config, shape),
        centres=centres.astype(np.float32),
        topics=topics,
        popular=popular,
        topic_start=topic_start,
        places=_places(activity),
        prior_taste=taste,
        prior_rho=rho,
        prior_habits=habits,
        v_0=np.array(config.choice.v_0_by_mood or (config.choice.v_0,), np.float64),
        theta=theta,
        log_theta=_rounded(np.log, theta),
        decay=_rounded(np.exp2, -np.arange(config.horizon + 1) / config.items.popularity_half_life).astype(np.float32),
        scenes=_scenes(config),
        agents=_agents(config),
        targets=_targets(config, shape, items, allowed),
    )
    _fill_log(world, rng)
    return read_only(World(*map(aligned, world)))


def read_only(world: World) -> World:
    """Views of the arrays that nobody writes through: of one type, so that kernels are compiled once for them."""
    views = [array.view() for array in world]
    for view in views:
        view.flags.writeable = False
    return World(*views)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy as `zeros` lays it out."""
    copy = zeros(array.shape, array.dtype)
    copy[...] = array
    return copy


def _rounded(function: Callable[..., np.ndarray], *numbers: Any) -> np.ndarray:
    """A function of NumPy in extended precision, rounded to float64. In float64 its last bit is another one on other
    processors: NumPy has code for each of their instruction sets."""
    return function(*(np.asarray(part, np.longdouble) for part in numbers)).astype(np.float64)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _synthetic_items(
    config: WorldConfig, shape: Shape, centres: np.ndarray, bait_level: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    c, m = config.items, shape.items
    items = np.zeros(m, ITEM)
    topic = rng.permutation(np.arange(m) % shape.topics)
    noise = _unit(rng.standard_normal((m, shape.dims)))
    q = _unit(np.sqrt(c.topic_weight) * centres[topic] + np.sqrt(1 - c.topic_weight) * noise)
    quality = rng.standard_normal(m)
    log_count = c.popularity_quality * quality + np.sqrt(1 - c.popularity_quality**2) * rng.standard_normal(m)
    bait = rng.beta(c.bait_shape, c.bait_shape, m)
    items["topic"] = topic
    items["domain"] = (topic if c.domain_topics else np.arange(m)) % c.domains
    items["intercept"] = c.intercept_sd * rng.standard_normal(m)
    items["quality"] = c.quality_sd * quality
    items["bait"] = (1 - c.bait_topic_share) * bait + c.bait_topic_share * (bait_level[topic] + 1) / 2
    topic_level = c.topic_price_log_sd * rng.standard_normal(shape.topics)
    _set_prices(items, _rounded(np.exp, topic_level[topic] + c.price_log_sd * rng.standard_normal(m)), shape)
    items["length"] = _rounded(np.exp, c.length_log_sd * rng.standard_normal(m) - c.length_log_sd**2 / 2)
    spread = _rounded(np.exp, c.popularity_log_sd * log_count - c.popularity_log_sd**2 / 2)
    items["popularity"] = c.popularity_mean * spread
    return items, q


def _catalogue_items(catalogue: Catalogue, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    items = np.zeros(shape.items, ITEM)
    items["topic"] = catalogue.item_topic
    items["domain"] = catalogue.item_domain
    items["intercept"] = catalogue.item_intercept
    items["length"] = 1.0
    items["popularity"] = catalogue.item_popularity
    _set_prices(items, catalogue.item_price.astype(np.float64), shape)
    return items, catalogue.item_vectors


def _set_prices(items: np.ndarray, price: np.ndarray, shape: Shape) -> None:
    log_price = _rounded(np.log, price)
    count = np.bincount(items["topic"], minlength=shape.topics)
    mean = np.bincount(items["topic"], weights=log_price, minlength=shape.topics) / np.maximum(count, 1)
    items["price"] = price / price.mean()
    items["log_price"] = log_price - mean[items["topic"]]


def _alias(weights: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alias tables of weights[starts[i]:starts[i + 1]] for every i, side by side: (probability, alias row)."""
    from .kernels.machine.rng import build_alias

    weights = weights.astype(np.float64)
    probability, alias = np.zeros(len(weights)), np.zeros(len(weights), np.int64)
    scratch = np.empty_like(weights), np.empty_like(alias), np.empty_like(alias)
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        build_alias(weights, start, stop, probability, alias, *scratch)
    return probability, alias


def _alias_tables(items: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Fill the alias table of historical popularity over all items; return those of the topics, and where each
    begins."""
    items["probability"], items["alias"] = _alias(items["popularity"], np.array([0, shape.items]))
    by_topic = np.argsort(items["topic"], kind="stable")
    start = np.searchsorted(items["topic"][by_topic], np.arange(shape.topics + 1))
    popular = np.zeros(shape.items, POPULAR)
    popular["probability"], rows = _alias(items["popularity"][by_topic], start)
    popular["item"], popular["alias"] = by_topic, by_topic[rows]
    return popular, start.astype(np.int32)


def _places(activity: np.ndarray) -> np.ndarray:
    places = np.zeros(len(activity), PLACE)
    places["probability"], places["alias"] = _alias(activity, np.array([0, len(activity)]))
    return places


def _priors(
    config: WorldConfig, catalogue: Catalogue | None, shape: Shape
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if catalogue is None:
        return np.zeros((0, shape.dims), np.float32), np.zeros(0, np.float32), np.zeros((0, shape.habits), HABIT)
    habits = np.zeros((shape.users, shape.habits), HABIT)
    habits["item"] = -1
    kept = min(shape.habits, catalogue.habit_item.shape[1])
    habits["item"][:, :kept] = catalogue.habit_item[:, :kept]
    habits["count"][:, :kept] = np.where(catalogue.habit_item[:, :kept] >= 0, catalogue.habit_count[:, :kept], 0)
    return catalogue.user_taste.astype(np.float32), catalogue.user_price_sensitivity.astype(np.float32), habits


def _inventory(config: WorldConfig, shape: Shape, items: np.ndarray) -> np.ndarray:
    roles = [config.role_of(n) for n in range(shape.agents)]
    if not any(role.domains or role.items for role in roles):
        return np.zeros((shape.agents, 0), np.bool_)
    allowed, domains = np.ones((shape.agents, shape.items), np.bool_), int(items["domain"].max()) + 1
    for n, role in enumerate(roles):
        if role.items and max(role.items) >= shape.items:
            raise ValueError(
                f"role {role.name!r}: items holds {max(role.items)}, but the world has {shape.items} items, from 0 on"
            )
        if role.domains and max(role.domains) >= domains:
            raise ValueError(
                f"role {role.name!r}: domains holds {max(role.domains)}, but the world has {domains} domains, from 0 on"
            )
        if role.domains:
            allowed[n] &= np.isin(items["domain"], role.domains)
        if role.items:
            allowed[n] &= np.isin(np.arange(shape.items), role.items)
        if not allowed[n].any():
            raise ValueError(
                f"role {role.name!r} has an empty inventory: "
                f"domains {role.domains} and items {role.items} have nothing in common"
            )
    return allowed


def _labels(config: WorldConfig, shape: Shape) -> np.ndarray:
    labels = np.full((shape.agents, shape.topics if shape.labels else 0), -1, np.int32)
    for n in range(shape.agents):
        role = config.role_of(n)
        if role.knows and len(role.knows) != shape.topics:
            raise ValueError(
                f"role {role.name!r}: knows holds {len(role.knows)} labels, but the catalogue has {shape.topics} topics"
                "; allowed is one for each, or none"
            )
        if role.knows:
            labels[n] = role.knows
    return labels


def _scenes(config: WorldConfig) -> np.ndarray:
    scenes = np.zeros(len(config.scenes), SCENE)
    owners = [role.scene for role in config.roles]
    for s, scene in enumerate(config.scenes):
        scenes[s] = (scene.beta_context, scene.cart, owners.index(scene.name) if len(config.scenes) > 1 else -1)
    return scenes


def _agents(config: WorldConfig) -> np.ndarray:
    agents = np.zeros(config.num_agents, AGENT)
    for n in range(config.num_agents):
        role = config.role_index(n)
        agents[n] = (role, *config.reward_weights(role).values())
    return agents


def _novelty(items: np.ndarray) -> np.ndarray:
    """Self-information -log2 of each item's share of the historical clicks, each plus one, scaled to [0, 1] (Vargas &
    Castells 2011, whose unit is the bit); 0 where all are as popular."""
    bits = -_rounded(np.log2, items["popularity"].astype(np.float64) + 1)
    return ((bits - bits.min()) / max(np.ptp(bits), 1e-12)).astype(np.float32)


def _targets(config: WorldConfig, shape: Shape, items: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Share of each agent's exposure that is due to each provider."""
    merit = items["popularity"] + 1.0 if config.reward.fairness_target == "merit" else np.ones(shape.items)
    owned = np.where(allowed, merit, 0.0) if allowed.size else np.tile(merit, (shape.agents, 1))
    due = np.stack([np.bincount(items["provider"], row, config.items.providers) for row in owned])
    return np.asarray(due / due.sum(1, keepdims=True), np.float32)


def _params(config: WorldConfig, shape: Shape, items: np.ndarray) -> np.ndarray:
    params = np.zeros(1, PARAMS)
    for group in GROUPS:
        for f in fields(getattr(config, group)):
            if f.name in (params[group].dtype.names or ()):
                value = getattr(getattr(config, group), f.name)
                params[group][f.name] = f.metadata["allowed"].index(value) if "allowed" in f.metadata else value
    if config.items.life and not config.items.period:
        params["items"]["period"] = config.items.life
    p = params["shape"][0]
    for name in Shape._fields:
        p[name] = getattr(shape, name)
    (actions,) = (f.metadata["allowed"] for f in fields(config) if f.name == "action")
    p["action"], p["full"] = actions.index(config.action), config.observability == "full"
    for name in PAGE_PROPERTIES:
        p[name] = getattr(config, name)
    p["horizon"], p["world_seed"] = config.horizon, config.world_seed
    p["windows"], p["moods"] = config.items.life > 0, len(config.choice.v_0_by_mood)
    p["restricted"] = any(role.domains or role.items for role in config.roles)
    d, t, n = shape.dims, shape.topics, shape.agents
    p["taste"], p["profile"], p["satiation"], p["trust"], p["history"] = 0, d, 2 * d, 2 * d + t, 2 * d + t + n
    p["observed_satisfaction"] = p["history"] + shape.views * (d + t)
    p["satisfaction_pages"] = p["observed_satisfaction"] + shape.satisfaction_views
    after = p["satisfaction_pages"] + shape.satisfaction_views
    p["told"] = after if config.private else p["history"]
    p["releases"] = after + shape.released_views * (d + t)
    p["width"] = p["releases"] + shape.released_views
    seen = config.observation
    p["profile_noise"], p["profile_error"] = seen.profile_noise / np.sqrt(d), seen.profile_noise**2
    if config.private:
        blur = noise(seen.privacy_epsilon, seen.privacy_delta, seen.privacy_pages)
        p["profile_noise"], p["history_noise"] = max(p["profile_noise"], blur.profile), blur.history
        p["profile_error"] = d * p["profile_noise"] ** 2
    p["log_promotion"] = _rounded(np.log1p, -config.items.promotion_depth)
    p["exposure_decay"] = 0.5 ** (1 / config.reward.fairness_half_life)
    # In float32 for every NumPy; without a history the unit is one click.
    p["popularity_scale"] = np.float32(1) / max(items["popularity"].mean(), np.float32(1))
    where = places(OBSERVATION, config, shape)
    p["observation"] = max(place.stop for place in where.values())
    offsets = {name: place.start for name, place in where.items()}
    offsets["history"] = span(where, HISTORY).start
    _fill(params["fields"], offsets)
    _fill(params["state_fields"], {name: place.start for name, place in places(STATE, config, shape).items()})
    _fill(params["action_fields"], {name: place.start for name, place in places(ACTION, config, shape).items()})
    _fill(params["features"], {name: i for i, name in enumerate(candidate_features(config, shape))})
    return params


def _fill_log(world: World, rng: np.random.Generator) -> None:
    """Fill the historical log and its means: how people respond to each item is `kernels.past`'s, the rest is chance.

    The means are those that a log without end would have, so that they exist where the log is short.
    """
    from .kernels.past import respond

    shape, items = world.params["shape"][0], len(world.items)
    rate, mean, variance = np.zeros(items), np.zeros(items), np.zeros(items)
    people = max(SAMPLE // 8, min(SAMPLE, 4_000_000 // items))
    sample = np.zeros(people, np.int64), np.zeros(people), np.zeros((people, shape["topics"]))
    told = read_only(world)
    respond(told, allocate_state(world, 1, people), allocate_scratch(world, 1), sample, rate, mean, variance)
    clicks = rng.poisson(world.params["items"]["log_impressions"][0] * rate)
    world.items["log_clicks"] = clicks
    world.items["log_satisfaction"] = clicks * mean + np.sqrt(clicks * variance) * rng.standard_normal(items)
    shape["mean_ctr"] = rate.mean()
    shape["mean_satisfaction"] = (rate * mean).mean() / rate.mean()  # no `@`, whose order of sums is the processor's


def _fill(record: np.ndarray, offsets: dict[str, int]) -> None:
    for name in record.dtype.names or ():
        record[name] = offsets.get(name, -1)


_LINE = 64  # bytes of a line of the cache


def zeros(shape: int | tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Zeros that begin where a line of the cache does, so that what is as large as one lies in one and not in two."""
    size = math.prod(map(int, np.atleast_1d(shape))) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + size].view(dtype).reshape(shape)


def allocate_state(world: World, num_envs: int, users: int | None = None) -> State:
    """A state of zeros for B copies of this many users (default: the world's); stamps of 0 mark every row as
    untouched."""
    from .kernels.dynamics import PLACES

    p, b = world.params["shape"][0], num_envs
    u, n = p["users"] if users is None else users, p["agents"]
    return State(
        copies=zeros(b, COPY),
        users=zeros((b, u), USER),
        touched_users=zeros((b, int(-(-u // PLACES))), TOUCHED),
        vectors=zeros((b, u, p["width"]), np.float32),
        visits=zeros((b, u, p["visit_views"]), VISITS),
        carts=zeros((b, u, p["cart"]), CART),
        habits=zeros((b, u, p["habits"]), HABIT),
        seen=zeros((b, u, p["habits"], p["views"]), np.float32),
        messages=zeros((b, u, n if p["vocabulary"] else 0), np.int16),
        offers=zeros((b, u, n if p["levels"] else 0), np.float32),
        items=zeros((b, p["items"]), STOCK),
        candidates=zeros((b, n, p["candidates"]), np.int32),
        matches=zeros((b, n, p["candidates"]), np.float32),
        order=zeros((b, p["slots"], n), np.int32),
        inclusive=zeros((b, n)),
        exposure=zeros((b, n, p["providers"]), np.float32),
    )


def allocate_report(world: World, num_envs: int, mask_size: int) -> Report:
    """A report of nothing for B copies."""
    p, b = world.params["shape"][0], num_envs
    n, o = p["agents"], p["observation"]
    agents, masks = zeros((b, n), AGENT_REPORT), [zeros((b, n, mask_size), np.int8) for _ in range(2)]
    for name in ("visitor", "next_visitor", "user_slot", "next_user_slot"):
        agents[name] = -1
    for mask in masks:
        mask[:] = 1
    return Report(
        observations=zeros((b, n, o), np.float32),
        masks=masks[0],
        final_observations=zeros((b, n, o), np.float32),
        final_masks=masks[1],
        final_states=zeros((b, world.params["state_fields"]["private"][0]), np.float32),
        rewards=zeros((b, n), np.float32),
        truncated=zeros(b, np.bool_),
        agents=agents,
        slots=zeros((b, n, p["slots"]), SLOT),
        later=zeros((b, p["cart"]), LATER),
    )


def allocate_scratch(world: World, num_envs: int) -> Scratch:
    """Working arrays for B copies."""
    from .kernels.machine.numeric import round_up_to_lanes
    from .kernels.retrieval import MARKS

    p, b = world.params["shape"][0], num_envs
    n = p["agents"]
    in_vectors: Any = round_up_to_lanes.py_func  # type: ignore[attr-defined]
    places, topics = in_vectors(p["candidates"]), in_vectors(p["topics"])
    described = p["candidates"] * p["features"] if world.params["action_fields"]["weights"][0] >= 0 else 0
    return Scratch(
        shown=zeros((b, n, p["slots"]), np.int32),
        features=zeros((b, 1, described), np.float32),
        picks=zeros((b, p["slots"]), np.int32),
        scores=zeros((b, max(p["candidates"], p["slots"]))),
        habits=zeros((b, p["candidates"]), np.int32),
        draws=zeros((b, p["candidates"]), np.int32),
        profile_matches=zeros((b, p["candidates"]), np.float32),
        marks=zeros((b, MARKS // 64), np.uint64),
        first_uniforms=zeros((b, places)),
        second_uniforms=zeros((b, places)),
        shuffle_uniforms=zeros((b, places)),
        seen=zeros((b, p["candidates"]), np.float32),
        history_matches=zeros((b, p["candidates"]), np.float32),
        item_clicks=zeros((b, places)),
        item_impressions=zeros((b, places)),
        item_satisfaction=zeros((b, places)),
        item_age=zeros((b, places)),
        promotion=zeros((b, places)),
        relative_ctr=zeros((b, places), np.float32),
        relative_satisfaction=zeros((b, places), np.float32),
        freshness=zeros((b, places), np.float32),
        topic_matches=zeros((b, topics)),
        topic_weights=zeros((b, topics)),
        topic_mass=zeros((b, topics)),
        turns=zeros(b, TURN),
        queue=zeros(b, np.int64),
        largest=zeros((b, n)),
        slot_log_weights=zeros(b * n * p["slots"]),
        slot_weights=zeros(b * n * p["slots"]),
        agent_sums=zeros(b * n),
        agent_log_sums=zeros(b * n),
        agent_log_masses=zeros(b * n),
        agent_masses=zeros(b * n),
        outside_log_mass=zeros(b),
        outside_mass=zeros(b),
        expected_experience=zeros(b),
        noise_quantile=zeros(b),
        experience=zeros(b),
        length=zeros(b),
        dwell=zeros(b),
        pleasure=zeros(b),
        log_dwell=zeros(b),
        satisfaction=zeros(b),
        stay_probability=zeros(b),
        acceptance_probability=zeros(b),
    )
