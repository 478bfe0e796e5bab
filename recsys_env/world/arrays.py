"""The arrays of the game: `World` (read-only, shared by all copies), and with a leading axis B `State` (what changes),
`Report` (the results of a step) and `Scratch` (its working memory).

Numbers that a step reads together lie together in memory: an item is one 64-byte record and one row of `item_vectors`;
a user is one record and, from the first visit of an episode on, one row of `State.vectors` (taste | profile | satiation
| trust | histories | observed satisfactions | noisy histories, at the offsets in `params.shape`). `build.py` builds a
`World`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from ..config import GROUPS, OBJECTIVES, PAGE_PROPERTIES, WorldConfig
from ..config.fields import ACTION, CANDIDATE_FEATURES, OBSERVATION, STATE, Field, Shape
from ..config.responses import EVENTS, RESPONSES

CART_SIZE = 3

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
ACTIVITY = _record(("probability", "f4"), ("alias", "i4"))  # alias table over user slots ~ base activity
SCENE = _record(("beta_context", "f4"), ("cart", "i4"), ("owner", "i4"))  # owner: agent, -1 = everyone
AGENT = _record(("role", "i4"), *((name, "f4") for name in (*EVENTS, *OBJECTIVES)))

COPY = _record(  # 64 bytes, a line of the cache
    ("seed", "u8"),          # seed of the events; restore(seed=...) replaces it
    ("population", "u8"),    # key of fresh people; a snapshot keeps it
    ("key", "u8"),           # key of this episode's events, a hash of `seed` and `episode`
    ("episode", "i4"), ("tick", "i4"),
    # number of episodes that this copy has begun; records of users and items with another stamp are not initialised yet
    ("stamp", "i4"),
    ("visitor", "i4"),       # user slot of the visitor of the page about to be shown, -1 = idle tick
    ("row", "i4"),           # row of the visitor in the `ROW_ARRAYS`, -1 = idle tick
    ("rows_taken", "i4"),    # number of users who have come in this episode, each of whom has a row
    ("intent", "i4"),        # topic that the session is about
    ("anchor", "i4"),        # item that led to this scene, -1 = none
    ("session_page", "i4"),  # 0 on the first page of a session
    ("scene", "i2"),
    ("opened", "i2"),        # on rival pages, the agent whose platform is open in this session
)  # fmt: skip
USER = _record(
    ("stamp", "i4"),         # the copy's stamp at the last initialisation, 0 = never
    ("row", "i4"),           # row in the `ROW_ARRAYS`, -1 = has not come in this episode; see `has_come`
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
RECENT = _record(
    ("item", "i4"),          # consumed item, -1 = none
    ("bought", "i4"),
    ("pages", "i4"),         # how many of the person's pages ago, 1 = the page before the present one
    ("weight", "f4"),        # partner_decay^(pages - 1)
)  # fmt: skip
BIDDER = _record(
    ("worth", "f8"),         # factor on all that events of the page about to be shown pay the agent, 0 in an idle tick
    ("value", "f8"),         # reward that it can expect if it wins the page, before the price
    ("budget", "f8"),        # what it may spend until the next refill
)  # fmt: skip
AUCTION = _record(
    ("pages", "i8"),         # since the last refill of the budgets
    ("last_price", "f8"),    # of the last page, 0 = nobody bid, or there was none
)  # fmt: skip
STOCK = _record(
    ("stamp", "i4"), ("window", "i4"),    # the copy's stamp and the window at the last initialisation
    ("stock", "i4"), ("restock", "i4"),   # units left until the restock at tick `restock`
    # the episode's additions to the historical log, decayed up to the tick `touched` of the last update
    ("clicks", "f4"), ("impressions", "f4"), ("satisfaction", "f4"), ("touched", "i4"),
)  # fmt: skip
PRICE_RATIO = _record(("ratio", "f8"), ("log_ratio", "f8"))  # of a price and the item's list price
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
    # whether the agent's slots will be on the page that comes next, or, on a platform, whether it publishes an item now
    ("active", "?"),
)
# purchase of an old cart item; item -1 = none
LATER = _record(("item", "i4"), ("agent", "i4"), ("price", "f4"), ("rating", "i4"))

BID = _record(  # of one agent for the page just shown; zeros except on auction pages
    ("worth", "f8"), ("value", "f8"),  # as in BIDDER
    ("bid", "f8"),           # m times the value, or the budget if that is less
    ("payment", "f8"),       # price paid for the slot, 0 = not won
)  # fmt: skip
TURN = _record(  # one copy's tick, passed from stage to stage
    ("key", "u8"),           # key of its random numbers
    ("agent", "i8"), ("slot", "i8"),  # agent and slot of the click, -1 = no click
    ("stays", "?"),          # whether the visitor stays
    ("user_slot", "i8"),     # if not, the user slot that is invited next
    ("open", "?"),           # whether the copy still has to advance to its next page
    ("scratch_row", "i8"),   # its row of `Scratch`: the first copy of those that advance together
)  # fmt: skip
SHAPE = _record(
    *((name, "i8") for name in Shape._fields),
    *((name, "i8") for name in ("horizon", "world_seed", "action", "full", "windows", "restricted", "moods")),
    *((name, "i8") for name in PAGE_PROPERTIES),
    # offsets in the rows of State.vectors, and their width W
    *((name, "i8") for name in ("taste", "profile", "satiation", "trust", "history")),
    *((name, "i8") for name in ("observed_satisfaction", "satisfaction_pages", "noisy_history", "releases", "width")),
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
    ("observed", FEATURE_OFFSETS),  # of the features that the observation holds
    ("action_fields", ACTION_OFFSETS),
)


class World(NamedTuple):
    """Read-only arrays of a task, shared by all copies."""

    params: np.ndarray  # [1] PARAMS: the config's numbers by group, sizes, layouts of observation, state and action
    items: np.ndarray  # [M] ITEM
    item_vectors: np.ndarray  # [M, D] f4, unit norm
    price_ratios: np.ndarray  # [M, R] PRICE_RATIO: of which one holds in each promotion period
    # [O M, D] f4: A q_j, the direction of what goes with each item; below it, if O = 2, of what goes with the item as
    # the one before the last
    partners: np.ndarray
    leads_to: np.ndarray  # [T] i4: topic of what goes with the items of each topic; [0] where nothing does
    requests: np.ndarray  # [Q, E] f4: encodings of the requests that can be made; [0, E] where nobody makes one
    allowed: np.ndarray  # [N, M] bool: inventory of each agent; [N, 0] where all agents may show all items
    # [N, T] i4: the label that the agent knows where the intent is this topic, -1 = none; [N, 0] without labels
    labels: np.ndarray
    centres: np.ndarray  # [T, D] f4: topic centres, unit norm
    topics: np.ndarray  # [T] TOPIC
    popular: np.ndarray  # [M] POPULAR, topic by topic
    topic_start: np.ndarray  # [T + 1] i4: where each topic begins in `popular`
    activity: np.ndarray  # [U] ACTIVITY
    prior_taste: np.ndarray  # [A, D] f4: tastes of the catalogue's users; A = 0 without a catalogue
    prior_rho: np.ndarray  # [A] f4
    prior_habits: np.ndarray  # [A, H] HABIT
    v_0: np.ndarray  # [L] f8: utility of no click by mood; L = 1 without moods
    theta: np.ndarray  # [N * K] f8: examination by rank
    log_theta: np.ndarray  # [N * K] f8: its logarithm
    decay: np.ndarray  # [horizon + 1] f4: factor on the statistics of items after a number of ticks
    scenes: np.ndarray  # [S] SCENE
    agents: np.ndarray  # [N] AGENT
    targets: np.ndarray  # [N, providers] f4: share of agent n's exposure that is due to each provider


class State(NamedTuple):
    """Everything that changes, for B copies. Records of users and items are initialised on first touch in an episode,
    and rows when a user first comes. There are R rows, to which `GameBatch` adds more when they run out."""

    copies: np.ndarray  # [B] COPY
    users: np.ndarray  # [B, U] USER
    # [B, ceil(U / 64)] TOUCHED: users initialised in this episode, found quickly even among a million
    touched_users: np.ndarray
    # The `ROW_ARRAYS`: what is kept of users who have come in this episode, in the order in which they came first
    vectors: np.ndarray  # [B, R, W] f4
    visits: np.ndarray  # [B, R, N] VISITS on rival pages, else [B, R, 0]
    carts: np.ndarray  # [B, R, Q] CART
    habits: np.ndarray  # [B, R, H] HABIT
    seen: np.ndarray  # [B, R, H, P] f4: the part of each habit count that is known in each view
    # [B, R, P + 1, L'] RECENT: the items consumed last, newest first, as they are known in each view, and, last, of all
    recent: np.ndarray
    requests: np.ndarray  # [B, R, 1] i4: what the user said at the start of this session, -1 = nothing; else [B, R, 0]
    messages: np.ndarray  # [B, R, N] i2: words sent at the user's last page, -1 = none; [B, R, 0] without messages
    # [B, R, N] f4: price levels at the user's last page, in [-1, 1], 0 = none; [B, R, 0] where agents set no prices
    price_levels: np.ndarray
    items: np.ndarray  # [B, M] STOCK
    candidates: np.ndarray  # [B, N, C] i4: item, -1 = none
    matches: np.ndarray  # [B, N, C] f4: <noisy profile, vector> of each candidate
    order: np.ndarray  # [B, K, N] i4: on shared pages, the order in which the agents' slots of round k are ranked
    inclusive: np.ndarray  # [B, N] f8: lambda I_n + trust term at the last page shown, -inf = nothing shown
    # [B, N, G] f4: decayed examination that agent n gave each of G providers; G = 0 unless fairness is rewarded
    exposure: np.ndarray
    bidders: np.ndarray  # [B, N] BIDDER on auction pages, else [B, 0]
    auctions: np.ndarray  # [B, 1] AUCTION on auction pages, else [B, 0]
    windows: np.ndarray  # [B, N, W] i4: on a platform, the items that each creator published last, -1 = none
    window_clicks: np.ndarray  # [B, N, W] i4: clicks on them since the last decision
    pages_served: np.ndarray  # [B, 1] i4: pages since the last decision; [B, 0] off a platform


# The arrays [B, R, ...] of `State` with a row for each user who has come in the episode.
ROW_ARRAYS = ("vectors", "visits", "carts", "habits", "seen", "recent", "requests", "messages", "price_levels")


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
    bids: np.ndarray  # [B, N] BID


class Scratch(NamedTuple):
    """Working memory of the kernels, for B copies. It carries nothing from one step to the next."""

    shown: np.ndarray  # [B, N, K] i4: items that the actions ask for, before some become holes
    features: np.ndarray  # [B, 1, C F] f4: features of an agent's candidates with action="weights"; else [B, 1, 0]
    # Used for one copy at a time: copies that advance together share a row, `turns[b].scratch_row`, which stays in the
    # cache. C' and T' are C and T rounded up to whole vectors (`numeric.round_up_to_lanes`).
    picks: np.ndarray  # [B, K] i4: candidates picked so far
    scores: np.ndarray  # [B, max(C, K)] f8: what the best candidates, items or habits so far are ranked by
    ranked_items: np.ndarray  # [B, places] i4: on a platform, the best items so far; [B, 0] elsewhere
    ranked_scores: np.ndarray  # [B, places] f8: and their scores
    habits: np.ndarray  # [B, C] i4: entries of the visitor's largest habits so far
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


# ------------------------------------------------------------------------------------------------ allocation

_LINE = 64  # bytes of a line of the cache


def zeros(shape: int | tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Return zeros that begin at a line of the cache, so that a record as long as a line never lies in two."""
    size = math.prod(map(int, np.atleast_1d(shape))) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    return memory[first : first + size].view(dtype).reshape(shape)


FIRST_ROWS = 32  # rows of a new state


def most_rows(world: World) -> int:
    """The largest number of rows that an episode may take: one visit a tick, the page after the last tick included."""
    shape = world.params["shape"][0]
    return int(min(shape["users"], shape["horizon"] + 1))


def allocate_state(world: World, num_envs: int, users: int | None = None, rows: int | None = None) -> State:
    """A state of zeros for B copies, whose stamps of 0 mark every record as untouched.

    Args:
        users: U, by default the world's.
        rows: R, by default `FIRST_ROWS`, or all that an episode may take if these are fewer.
    """
    from ..kernels.dynamics import USERS_PER_WORD

    p, b = world.params["shape"][0], num_envs
    u, n = p["users"] if users is None else users, p["agents"]
    r = min(FIRST_ROWS, most_rows(world)) if rows is None else rows
    return State(
        copies=zeros(b, COPY),
        users=zeros((b, u), USER),
        touched_users=zeros((b, int(-(-u // USERS_PER_WORD))), TOUCHED),
        vectors=zeros((b, r, p["width"]), np.float32),
        visits=zeros((b, r, p["visit_views"]), VISITS),
        carts=zeros((b, r, p["cart"]), CART),
        habits=zeros((b, r, p["habits"]), HABIT),
        seen=zeros((b, r, p["habits"], p["views"]), np.float32),
        recent=zeros((b, r, p["views"] + 1, p["remembered"]), RECENT),
        requests=zeros((b, r, p["requests"]), np.int32),
        messages=zeros((b, r, n if p["vocabulary"] else 0), np.int16),
        price_levels=zeros((b, r, n if p["levels"] else 0), np.float32),
        items=zeros((b, p["items"]), STOCK),
        candidates=zeros((b, n, p["candidates"]), np.int32),
        matches=zeros((b, n, p["candidates"]), np.float32),
        order=zeros((b, p["slots"], n), np.int32),
        inclusive=zeros((b, n)),
        exposure=zeros((b, n, p["providers"]), np.float32),
        bidders=zeros((b, p["bidders"]), BIDDER),
        auctions=zeros((b, int(p["bidders"] > 0)), AUCTION),
        windows=zeros((b, n, p["window"]), np.int32),
        window_clicks=zeros((b, n, p["window"]), np.int32),
        pages_served=zeros((b, p["ranked"]), np.int32),
    )


def with_rows(array: np.ndarray, rows: int) -> np.ndarray:
    """A copy of one of the `ROW_ARRAYS`, enlarged to `rows` rows."""
    larger = zeros((len(array), rows, *array.shape[2:]), array.dtype)
    larger[:, : array.shape[1]] = array
    return larger


def has_come(users: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Whether each of these users [B, ...] has come in the present episode of its copy [B], and so has a row."""
    stamps = copies["stamp"].reshape(-1, *[1] * (users.ndim - 1))
    come: np.ndarray = (users["stamp"] == stamps) & (users["row"] >= 0)
    return come


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
        bids=zeros((b, n), BID),
    )


def allocate_scratch(world: World, num_envs: int) -> Scratch:
    """Working arrays for B copies."""
    from ..kernels.machine.numeric import round_up_to_lanes
    from ..kernels.retrieval import MARKS

    p, b = world.params["shape"][0], num_envs
    n = p["agents"]
    in_vectors: Any = round_up_to_lanes.py_func  # type: ignore[attr-defined]
    candidates, topics = in_vectors(p["candidates"]), in_vectors(p["topics"])
    places = world.params["platform"]["places"][0] if p["ranked"] else 0
    described = p["candidates"] * p["features"] if world.params["action_fields"]["weights"][0] >= 0 else 0
    return Scratch(
        shown=zeros((b, n, p["slots"]), np.int32),
        features=zeros((b, 1, described), np.float32),
        picks=zeros((b, p["slots"]), np.int32),
        scores=zeros((b, max(p["candidates"], p["slots"]))),
        ranked_items=zeros((b, places), np.int32),
        ranked_scores=zeros((b, places)),
        habits=zeros((b, p["candidates"]), np.int32),
        draws=zeros((b, p["candidates"]), np.int32),
        profile_matches=zeros((b, p["candidates"]), np.float32),
        marks=zeros((b, MARKS // 64), np.uint64),
        first_uniforms=zeros((b, candidates)),
        second_uniforms=zeros((b, candidates)),
        shuffle_uniforms=zeros((b, candidates)),
        seen=zeros((b, p["candidates"]), np.float32),
        history_matches=zeros((b, p["candidates"]), np.float32),
        item_clicks=zeros((b, candidates)),
        item_impressions=zeros((b, candidates)),
        item_satisfaction=zeros((b, candidates)),
        item_age=zeros((b, candidates)),
        promotion=zeros((b, candidates)),
        relative_ctr=zeros((b, candidates), np.float32),
        relative_satisfaction=zeros((b, candidates), np.float32),
        freshness=zeros((b, candidates), np.float32),
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
