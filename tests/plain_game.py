"""The game in plain Python: what one tick of one copy does, without numba and without regard to speed.

Read this file to see what the simulator computes, in the order of a tick (docs/game.md has the equations). The tests
play it beside the compiled kernels on random worlds and compare every number, so it is written from the equations and
not from the kernels: with objects, dicts, lists and 64-bit floats. It takes from the package only what both need: the
config, the read-only arrays of `World` (items, topic centres, alias tables) and the declared observation fields.

    game = Game(config, world)                                # of a batch: Game(envs.config, envs.world)
    copy, report = game.reset(seed, population_seed)          # the first page of an episode
    report = game.step(copy, actions)                         # changes copy
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from recsys_env.config import OBJECTIVES, WorldConfig
from recsys_env.config.fields import (
    OBSERVATION,
    STATE,
    candidate_features,
    field_slices,
    observed_features,
    with_fields,
)
from recsys_env.config.responses import EVENTS
from recsys_env.world.arrays import CART_SIZE, World
from recsys_env.world.build import shape_of

BUDGETS, PHRASINGS = 4, 8  # of requests in words

# ------------------------------------------------------------------------------------------------ random numbers

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64
TICKS = int.from_bytes(b"ticks\0\0\0", "big")
PEOPLE = int.from_bytes(b"person\0\0", "big")
PROMOTIONS = int.from_bytes(b"promotio", "big")
COPIES = int.from_bytes(b"copy_see", "big")
TRIES = 4  # draws for one candidate before the exhaustive search


class events:
    """Numbers of the events of a tick and of a person: part of what a seed means, so written down here once more."""

    CLICK, NOISE, LIKE, CART, OLD_CART, RATING, MOOD = 0, 1, 2, 3, 4, 5, 6
    CONTINUE, LOST, VISITOR, ACCEPT, INTENT, OPEN, ORDER, RETRIEVE = 7, 8, 9, 10, 11, 12, 13, 14
    SHUFFLE, BLUR, REQUEST, WORTH, RANKING = 15, 16, 17, 18, 19
    PERSON_TOPIC, PERSON_WEIGHT, PERSON_NOISE, PERSON_PRICE, PERSON_BIAS, PERSON_ROW = 0, 1, 2, 3, 4, 5


def mix64(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def splitmix64(key: int, position: int) -> int:
    """Output number `position` = 0, 1, ... of the stream that starts at `key`."""
    return mix64((key + GOLDEN * (position + 1)) & MASK)


def stream(seed: int, purpose: int) -> int:
    """The key of what a seed gives for one purpose."""
    return mix64((mix64(seed) + purpose) & MASK)


def copy_seed(seed: int, b: int) -> int:
    """The seed of copy b of a batch."""
    return splitmix64(stream(seed, COPIES), b - 1) if b else seed


def child(key: int, *path: int) -> int:
    """The key of a sub-stream, reached by one number after the other, each from -1 on."""
    for index in path:
        key = splitmix64(key, index + 1)
    return key


class Draws:
    """The random numbers of one key; remembers how close a draw or a comparison came to turning out differently."""

    def __init__(self, key: int) -> None:
        self.key, self.boundary = key, math.inf

    def uniform(self, event: int, index: int = 0) -> float:
        return (splitmix64(self.key, (event << 32) | index) >> 11) / 2**53

    def integer(self, event: int, index: int, n: int) -> int:
        return int(self.uniform(event, index) * n)

    def normal(self, event: int, index: int) -> float:
        radius = math.sqrt(-2 * math.log(1 - self.uniform(event, 2 * index)))
        return radius * math.cos(2 * math.pi * self.uniform(event, 2 * index + 1))

    def gumbel(self, event: int, index: int) -> float:
        return -math.log(max(-math.log(max(self.uniform(event, index), 1e-16)), 1e-16))

    def logistic(self, event: int) -> float:
        u = min(max(self.uniform(event), 1e-16), 1 - 1e-16)
        return math.log(u / (1 - u))

    def less(self, a: float, b: float, scale: float = 1.0) -> bool:
        """a < b; exact ties (the same number computed twice) are no near misses."""
        if a != b:
            self.boundary = min(self.boundary, abs(a - b) / scale)
        return a < b

    def happens(self, probability: float, event: int, index: int = 0) -> bool:
        return self.less(self.uniform(event, index), probability)

    def choose(self, weights: list[float], event: int, index: int = 0) -> int:
        """An option by weight, the options laid side by side on [0, 1)."""
        u, total, reached, chosen = self.uniform(event, index), sum(weights), 0.0, None
        for i, weight in enumerate(weights):
            reached += weight / total
            if weight > 0 and reached < 1 - 1e-12:
                self.boundary = min(self.boundary, abs(u - reached))
            if chosen is None and u < reached:
                chosen = i
        return chosen if chosen is not None else max(i for i, weight in enumerate(weights) if weight > 0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def squash(x: Any) -> Any:
    """Smooth and odd, onto (-1, 1)."""
    return x / (1 + abs(x))


def unit(x: np.ndarray) -> np.ndarray:
    return x / max(float(np.linalg.norm(x)), 1e-12)


def one_hot(i: int | None, size: int) -> np.ndarray:
    """All zeros for None."""
    return np.array([float(i == k) for k in range(size)])


def padded(parts: list[Any], size: int) -> np.ndarray:
    """Parts one after another, and zeros up to this size."""
    found = np.concatenate([np.zeros(0), *parts])
    return np.concatenate([found, np.zeros(size - len(found))])


def gaussian_privacy(epsilon: float, delta: float) -> float:
    """mu of the Gaussian differential privacy that promises (epsilon, delta)."""

    def promised(mu: float) -> float:
        return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))

    return float(brentq(lambda mu: promised(mu) - delta, 1e-6, 1e3))


# ------------------------------------------------------------------------------------------------ what changes


@dataclass
class CartItem:
    item: int
    agent: int
    experience: float
    rated: bool


@dataclass
class Habit:
    item: int
    window: int
    count: float
    seen: list[float]  # by view: the part that an agent (or, with a shared history, everyone) knows of


@dataclass
class Consumed:
    """An item that a person consumed."""

    item: int
    bought: bool
    pages: int = 1  # how many of the person's pages ago; 1 is the page before the present one


@dataclass
class Visits:
    sessions: int = 0
    last_visit: int | None = None
    last_page: int | None = None


@dataclass
class Person:
    """The person who has a user slot now."""

    incarnation: int
    group: int
    rho: float
    rating_bias: float
    taste: np.ndarray
    noise: np.ndarray  # the profile that agents see is the taste plus this
    released_mean: np.ndarray  # [view, D] what agents see of the history where privacy is promised
    released_counts: np.ndarray  # [view, T]
    releases: np.ndarray  # [view] on how many pages they were told
    satisfaction: float
    trust: np.ndarray
    satiation: np.ndarray
    wallet: float  # as of wallet_tick
    wallet_tick: int
    clicked_mean: np.ndarray  # [view, D]
    topic_counts: np.ndarray  # [view, T]
    habits: list[Habit | None]
    recent: list[list[Consumed]]  # by view, and last of all views: what was consumed last, newest first
    request: int | None  # what the person said at the start of the session
    messages: list[int | None]  # by agent: what it said at the last page
    observed_satisfaction: np.ndarray  # by agent, or one for all
    satisfaction_pages: np.ndarray  # and on how many pages
    visits: list[Visits]  # by platform, on rival pages
    price_levels: list[float]  # by agent: the level of its prices at the last page in [-1, 1], 0 = none
    mood: int = 0
    sessions: int = 0
    last_visit: int | None = None
    last_page: int | None = None
    cart: list[CartItem] = field(default_factory=list)

    @property
    def profile(self) -> np.ndarray:
        return self.taste + self.noise


@dataclass
class Copy:
    """One copy of the game. Items and people that nobody touched in this episode are not in the dicts."""

    seed: int
    population: int
    episode: int
    tick: int = -1
    visitor: int | None = None
    intent: int | None = None
    scene: int = 0
    anchor: int | None = None
    opened: int | None = None
    session_page: int = 0
    people: dict[int, Person] = field(default_factory=dict)
    statistics: dict[int, tuple[int, np.ndarray, int]] = field(default_factory=dict)  # item: window, sums, as of tick
    stock: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # item: window, restock period, units
    candidates: list[list[int]] = field(default_factory=list)  # by agent
    order: list[list[int]] = field(default_factory=list)  # shared pages: the agents of each round
    inclusive: dict[int, float] = field(default_factory=dict)  # agents that were shown at the last page
    exposure: list[Counter[int]] = field(default_factory=list)  # by agent: decayed attention to each provider
    worth: list[float] = field(default_factory=list)  # auctions, by agent: factor on what events of this page pay
    value: list[float] = field(default_factory=list)  # auctions, by agent: reward to expect of this page if it wins
    budget: list[float] = field(default_factory=list)  # auctions, by agent: what is left
    pages: int = 0  # auctions: since the last refill
    last_price: float = 0.0  # auctions: of the last page
    # on a platform
    windows: list[list[int | None]] = field(default_factory=list)  # by creator: its items, None where there is none yet
    window_clicks: list[list[int]] = field(default_factory=list)  # clicks on them since the last decision
    pages_served: int = 0  # since the last decision


@dataclass
class Slot:
    item: int | None
    rank: int  # 1 is the best
    price_multiplier: float = 1.0
    utility: float = 0.0
    weight: float = 0.0
    dwell: float = 0.0
    rating: int = 0
    clicked: bool = False
    cart: bool = False
    bought: bool = False
    liked: bool = False


@dataclass
class Later:
    """An old cart item bought at this page."""

    item: int
    agent: int
    price: float
    rating: int


@dataclass
class Report:
    """What one step tells the agents."""

    individual_reward: np.ndarray
    objectives: np.ndarray
    visitor: list[int]
    page: dict[int, list[Slot]] = field(default_factory=dict)  # by active agent
    price_multiplier: list[float] = field(default_factory=list)  # by agent
    bid: list[float] = field(default_factory=list)  # by agent
    payment: list[float] = field(default_factory=list)  # by agent: the price of the slot that it won
    value: list[float] = field(default_factory=list)  # by agent: what the slot was worth to it
    later: list[Later] = field(default_factory=list)
    rewards: np.ndarray = field(default_factory=lambda: np.zeros(0))
    truncated: bool = False
    observations: np.ndarray = field(default_factory=lambda: np.zeros(0))
    masks: np.ndarray = field(default_factory=lambda: np.zeros(0))
    final_observations: np.ndarray | None = None
    final_masks: np.ndarray | None = None
    final_state: np.ndarray | None = None
    next_visitor: list[int] = field(default_factory=list)
    user_slot: list[int] = field(default_factory=list)
    next_user_slot: list[int] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    boundary: float = math.inf  # smallest distance of a draw to another outcome
    events: Counter[str] = field(default_factory=Counter)  # what happened, for tests of their own coverage


@dataclass
class Expected:
    """What a page is expected to bring."""

    click: np.ndarray  # [N, K]
    cart: np.ndarray  # [N, K]
    individual_reward: np.ndarray  # [N]
    objectives: np.ndarray  # [N]


class Game:
    """The rules, for one world."""

    def __init__(self, config: WorldConfig, world: World) -> None:
        self.config, self.world = config, world
        sizes = world.params["shape"][0]
        of_world = ("users", "items", "dims", "topics", "price_ratios")
        self.shape = with_fields(
            config, shape_of(config, None)._replace(**{name: int(sizes[name]) for name in of_world})
        )
        self.agents = range(config.num_agents)
        self.items = [
            SimpleNamespace(**{name: row[name].item() for name in world.items.dtype.names}) for row in world.items
        ]
        self.item_vectors = world.item_vectors.astype(np.float64)
        self.partners = world.partners.astype(np.float64)
        self.centres = world.centres.astype(np.float64)
        self.roles = [config.role_of(n) for n in self.agents]
        seen, root = config.observation, math.sqrt(self.shape.dims)
        self.profile_noise = seen.profile_noise / root
        if config.private:
            half = gaussian_privacy(seen.privacy_epsilon, seen.privacy_delta) / math.sqrt(2)  # of the promise, each
            self.profile_noise = max(self.profile_noise, 2 / half)
            self.history_noise = math.sqrt(6 * seen.privacy_pages) / half
        self.popularity_unit = max(sum(item.popularity for item in self.items) / len(self.items), 1.0)
        self.draws = Draws(0)
        self.events: Counter[str] = Counter()

    # -------------------------------------------------------------------------------------------- items

    def window(self, j: int, tick: int) -> int:
        """Which incarnation of item j this is."""
        c = self.config.items
        return (tick + self.items[j].offset) // (c.period or c.life) if c.life else 0

    def age(self, j: int, tick: int) -> int:
        c = self.config.items
        return (tick + self.items[j].offset) % (c.period or c.life)

    def available(self, j: int, tick: int) -> bool:
        return self.config.items.life == 0 or self.age(j, tick) < self.config.items.life

    def freshness(self, j: int, tick: int) -> float:
        return math.exp(-self.age(j, tick) / self.config.choice.tau_fresh) if self.config.items.life else 0.0

    def in_inventory(self, n: int, j: int) -> bool:
        if self.config.page == "platform":
            return self.owner(j) == n
        role = self.roles[n]
        return (not role.items or j in role.items) and (not role.domains or self.items[j].domain in role.domains)

    def price_ratio(self, j: int, tick: int) -> tuple[float, bool]:
        """The price relative to the list price, and whether it is called reduced: drawn for each promotion period."""
        c = self.config
        draw = Draws(child(stream(c.world_seed, PROMOTIONS), j, tick // c.items.promotion_period)).uniform(0)
        if self.shape.price_ratios:
            ratio = float(self.world.price_ratios["ratio"][j, int(draw * self.shape.price_ratios)])
            return ratio, ratio < 0.99
        promoted = draw < c.items.promotion_probability
        return (1 - c.items.promotion_depth if promoted else 1.0), promoted

    def promoted(self, j: int, tick: int) -> bool:
        return self.price_ratio(j, tick)[1]

    def log_price(self, j: int, tick: int, price_multiplier: float = 1.0) -> float:
        """x_j, of an item whose price an agent multiplies by `price_multiplier`."""
        return self.items[j].log_price + math.log(self.price_ratio(j, tick)[0] * price_multiplier)

    def usual_log_price(self, j: int) -> float:
        """x_j at the geometric mean of the prices that are asked for it; promotions of a world without ratios are not
        usual."""
        ratios = self.world.price_ratios["log_ratio"][j] if self.shape.price_ratios else np.zeros(1)
        return self.items[j].log_price + float(np.mean(ratios.astype(float)))

    def price(self, j: int, tick: int, price_multiplier: float = 1.0) -> float:
        """In mean list prices."""
        return self.items[j].price * self.price_ratio(j, tick)[0] * price_multiplier

    def sale(self, j: int, paid: float) -> float:
        """What a purchase at this price is worth, in mean margins."""
        margin = self.config.reward.margin_rate
        if self.config.offer.kind != "price":
            return paid
        return (paid - (1 - margin) * self.items[j].price) / margin

    def statistics(self, copy: Copy, j: int, past_clicks: float | None = None, public: bool = False) -> list[float]:
        """Clicks, examined impressions and summed log(dwell / length) of everybody: the historical log's and the
        episode's, halved every half-life; an item that opened within the episode started from nothing. Where privacy is
        promised, only the historical log's are public."""
        c, now = self.config.items, self.window(j, copy.tick)
        item = self.items[j]
        clicks = item.log_clicks if past_clicks is None else past_clicks
        log = np.array([clicks, c.log_impressions, item.log_satisfaction])
        log = log * (now == self.window(j, 0)) * 0.5 ** (copy.tick / c.popularity_half_life)
        window, live, since = copy.statistics.get(j, (now, np.zeros(3), 0))
        live = live * (window == now) * 0.5 ** ((copy.tick - since) / c.popularity_half_life)
        return (log + live * (not (public and self.config.private))).tolist()

    def count(self, copy: Copy, j: int, clicks: float, impressions: float, satisfaction: float) -> None:
        """Add to what the episode knows of item j."""
        now = self.window(j, copy.tick)
        window, live, since = copy.statistics.get(j, (now, np.zeros(3), copy.tick))
        live = live * (window == now) * 0.5 ** ((copy.tick - since) / self.config.items.popularity_half_life)
        copy.statistics[j] = now, live + (clicks, impressions, satisfaction), copy.tick

    def popularity(self, copy: Copy, j: int, public: bool = False) -> float:
        """Historical count plus the episode's clicks, as they are or as they are public."""
        return self.statistics(copy, j, self.items[j].popularity, public)[0]

    def relative_ctr(self, copy: Copy, j: int) -> float:
        """Against the catalogue's mean, as if ten average impressions more had been seen."""
        mean = float(self.world.params["shape"]["mean_ctr"][0])
        clicks, impressions, _ = self.statistics(copy, j, public=True)
        return math.tanh(math.log((clicks + 10 * mean) / (impressions + 10)) - math.log(mean))

    def relative_satisfaction(self, copy: Copy, j: int) -> float:
        """Against the mean of the historical log, as if five average clicks more had been seen."""
        clicks, _, total = self.statistics(copy, j, public=True)
        mean = float(self.world.params["shape"]["mean_satisfaction"][0])
        return math.tanh(2 * (total - clicks * mean) / (clicks + 5))

    def stock(self, copy: Copy, j: int) -> float:
        c = self.config.items
        if c.stock_init == 0:
            return math.inf
        window, period, units = copy.stock.get(j, (-1, -1, 0))
        return units if (window, period) == (self.window(j, copy.tick), copy.tick // c.restock_period) else c.stock_init

    def can_stand(self, copy: Copy, n: int, j: int) -> bool:
        """Whether agent n can show item j now."""
        return self.in_inventory(n, j) and self.available(j, copy.tick) and self.stock(copy, j) > 0

    # -------------------------------------------------------------------------------------------- people

    def new_person(self, copy: Copy, u: int, incarnation: int) -> Person:
        """The initial values of a person, a function of (population or world seed, episode if fresh, user slot,
        incarnation)."""
        c, shape, world = self.config.users, self.shape, self.world
        fresh, draws = c.population == "fresh", Draws(self.person_key(copy, u, incarnation))
        group = draws.integer(events.PERSON_TOPIC, 0, c.groups)
        row = None
        if len(world.prior_rho):
            row = u if incarnation == 0 and not fresh else draws.integer(events.PERSON_ROW, 0, len(world.prior_rho))
            rho, taste = float(world.prior_rho[row]), world.prior_taste[row].astype(np.float64)
        else:
            sd = c.price_sensitivity_log_sd
            rho = math.exp(sd * draws.normal(events.PERSON_PRICE, 0) - sd**2 / 2)
            own = [t for t in range(shape.topics) if t % c.groups == group] or list(range(shape.topics))
            mix = np.zeros(shape.dims)
            for i in range(c.topics):  # uniform Dirichlet weights are normalised exponentials
                pool = own if i == 0 else list(range(shape.topics))
                topic = pool[draws.integer(events.PERSON_TOPIC, i + 1, len(pool))]
                mix += -math.log(1 - draws.uniform(events.PERSON_WEIGHT, i)) * self.centres[topic]
            taste = unit(mix)
        sd = self.profile_noise
        habits: list[Habit | None] = [None] * shape.habits
        if row is not None and incarnation == 0:
            for h, prior in enumerate(world.prior_habits[row]):
                if prior["item"] >= 0:
                    known = 0.0 if self.config.private else float(prior["count"])
                    habits[h] = Habit(int(prior["item"]), 0, float(prior["count"]), [known] * shape.views)
        return Person(
            incarnation=incarnation,
            group=group,
            rho=rho,
            rating_bias=c.rating_bias_sd * draws.normal(events.PERSON_BIAS, 0),
            taste=taste,
            noise=np.array([sd * draws.normal(events.PERSON_NOISE, d) for d in range(shape.dims)]),
            released_mean=np.zeros((shape.released_views, shape.dims)),
            released_counts=np.zeros((shape.released_views, shape.topics)),
            releases=np.zeros(shape.released_views),
            satisfaction=1.0 if self.config.choice.v_0_by_mood else c.z_init,
            trust=np.full(shape.agents, c.trust_init),
            satiation=np.zeros(shape.topics),
            wallet=c.wallet_init,
            wallet_tick=copy.tick,
            clicked_mean=np.zeros((shape.views, shape.dims)),
            topic_counts=np.zeros((shape.views, shape.topics)),
            habits=habits,
            recent=[[] for _ in range(shape.views + 1)],
            request=None,
            messages=[None] * shape.agents,
            observed_satisfaction=np.full(shape.satisfaction_views, c.z_init),
            satisfaction_pages=np.zeros(shape.satisfaction_views),
            visits=[Visits() for _ in range(shape.visit_views)],
            price_levels=[0.0] * shape.agents,
        )

    def person_key(self, copy: Copy, u: int, incarnation: int) -> int:
        fresh = self.config.users.population == "fresh"
        seed, episode = (copy.population, copy.episode) if fresh else (self.config.world_seed, -1)
        return child(stream(seed, PEOPLE), episode, u, incarnation)

    def responses(self, people: int) -> np.ndarray:
        """Of each item, shown alone to people before the game [3, M]: the mean click probability, and mean and variance
        of log(dwell / length) over the clicks. Half of the candidates are drawn by the person's topics."""
        seen = []
        for u in range(people):
            copy = Copy(seed=0, population=self.config.world_seed, episode=0, tick=0)
            person = self.new_person(copy, u, -1)
            self.draws = Draws(child(self.person_key(copy, u, -1), 0))
            copy.intent = self.draws.choose(
                self.topic_weights(person.taste, self.config.users.intent_scale), events.INTENT
            )
            noise = self.config.feedback.noise_scale * self.draws.logistic(events.NOISE)
            drawn = np.array(self.topic_weights(person.profile, self.config.candidates.topic_scale))
            drawn /= drawn.sum()
            for j, item in enumerate(self.items):
                share = float(np.mean([other.topic == item.topic for other in self.items]))
                exposure = 1 + drawn[item.topic] / share if self.shape.candidates else 1.0
                click = sigmoid(self.utility(copy, person, j) - self.outside(person))
                joy = math.log(softplus(self.mean_experience(copy, person, j) + noise))
                seen.append((exposure, exposure * click, joy))
        exposure, clicks, joy = np.array(seen).reshape(people, -1, 3).transpose(2, 0, 1)
        mean = (clicks * joy).sum(0) / clicks.sum(0)
        return np.stack([clicks.sum(0) / exposure.sum(0), mean, (clicks * joy**2).sum(0) / clicks.sum(0) - mean**2])

    def person(self, copy: Copy, u: int) -> Person:
        if u not in copy.people:
            copy.people[u] = self.new_person(copy, u, 0)
        return copy.people[u]

    def visitor_id(self, copy: Copy) -> int:
        """Equal only for the same person."""
        assert copy.visitor is not None
        episode = copy.episode if self.config.users.population == "fresh" else 0
        return (episode * self.shape.users + copy.visitor) * (self.config.horizon + 1) + self.person(
            copy, copy.visitor
        ).incarnation

    def wallet(self, copy: Copy, person: Person) -> float:
        c = self.config.users
        if c.wallet_init == 0:
            return math.inf
        return min(c.wallet_init, person.wallet + c.wallet_refill * (copy.tick - person.wallet_tick))

    def can_pay(self, copy: Copy, person: Person, j: int, price_multiplier: float = 1.0) -> bool:
        return not self.draws.less(self.wallet(copy, person), self.price(j, copy.tick, price_multiplier))

    def habit_of(self, copy: Copy, person: Person, j: int) -> Habit | None:
        """The entry of item j's present incarnation."""
        return next((h for h in person.habits if h and h.item == j and h.window == self.window(j, copy.tick)), None)

    def known(self, person: Person) -> tuple[np.ndarray, np.ndarray]:
        """The history [view, D] and [view, T] as agents know it."""
        if self.config.private:
            return person.released_mean, person.released_counts
        return person.clicked_mean, person.topic_counts

    def view(self, n: int) -> int:
        """Whose history agent n reads."""
        return 0 if self.config.observation.share or self.config.page == "platform" else n

    # -------------------------------------------------------------------------------------------- 3. page

    def active(self, copy: Copy) -> list[int]:
        """The agents whose slots are on the page about to be shown."""
        if copy.visitor is None:
            return []
        if self.config.page == "rival":
            return [n for n in self.agents if n == copy.opened]
        if len(self.config.scenes) > 1:
            return [n for n in self.agents if self.roles[n].scene == self.config.scenes[copy.scene].name]
        return list(self.agents)

    def acts(self, copy: Copy) -> list[int]:
        """The agents whose next action counts."""
        if self.config.page == "platform":
            return list(self.agents) if copy.tick % self.config.platform.period == 0 else []
        return self.active(copy)

    def publish(self, copy: Copy, actions: np.ndarray) -> None:
        """On a platform: now and then each creator replaces its oldest item. It owns items of every topic and level of
        clickbait for each position in its window."""
        c, shape = self.config.platform, self.shape
        decision, rest = divmod(copy.tick, c.period)
        if rest:
            return
        position = decision % c.window
        for n in self.agents:
            topic, level = divmod(int(actions[n, 0]), c.bait_levels)
            copy.windows[n][position] = ((n * c.window + position) * shape.topics + topic) * c.bait_levels + level
        copy.window_clicks = [[0] * c.window for _ in self.agents]
        copy.pages_served = 0

    def ranked_page(self, copy: Copy) -> dict[int, list[Slot]]:
        """The page of a platform: the best items of as many creators as have a place on it."""
        assert copy.visitor is not None
        c, person = self.config.platform, self.person(copy, copy.visitor)
        noise = Draws(child(stream(copy.seed, TICKS), copy.episode, copy.tick))
        scores: dict[int, float] = {}
        for n in self.agents:
            scored = {}
            for w, j in enumerate(copy.windows[n]):
                if j is not None and self.can_stand(copy, n, j):
                    gumbel = noise.gumbel(events.RANKING, n * c.window + w)
                    match = float(person.profile @ self.item_vectors[j])
                    scored[j] = c.match * match + c.bait * self.items[j].bait + c.noise * gumbel
            for j in self.sorted(scored, 1)[:1]:
                scores[j] = scored[j]
        page = {n: [Slot(None, 0)] for n in self.agents}
        for rank, j in enumerate(self.sorted(scores, c.places)[: c.places]):
            page[self.owner(j)] = [Slot(j, rank + 1)]
        return page

    def owner(self, j: int) -> int:
        """On a platform: whose item this is."""
        return j // (self.shape.items // self.shape.agents)

    def read_action(self, copy: Copy, n: int, action: np.ndarray) -> tuple[list[int | None], float | None, int | None]:
        """What an action asks for in each slot (None = nothing), the level of prices or bids in [-1, 1], and the
        message."""
        c, slots, words = self.config, self.config.slots, self.config.messages
        levels = c.offer.levels if c.offer.kind != "none" else 0
        if c.action in ("query", "weights"):
            size = self.shape.dims if c.action == "query" else self.shape.features
            vector, level = action[:size].astype(float), float(action[size]) if levels else None
            said = [float(x) for x in action[size + (levels > 0) :]]
            wanted = self.nearest(copy, n, vector) if c.action == "query" else self.ranked(copy, n, vector)
            return wanted, level, said.index(max(said)) if words else None
        parts = [int(a) for a in action]
        if slots == 1:  # pick, level and word are the digits of one number
            for size in (size for size in (words, levels) if size):
                parts[:1] = divmod(parts[0], size)
        named, beside = parts[:slots], parts[slots:]
        level = 2 * beside[0] / (levels - 1) - 1 if levels else None
        wanted = list(named) if c.action == "items" else self.picked(copy.candidates[n], named)
        return wanted, level, beside[-1] if words else None

    def multiplier(self, level: float | None) -> float:
        """m of a level in [-1, 1]."""
        share = 0.5 if level is None else (1 + level) / 2
        return 1.0 if level is None else self.config.offer.low ** (1 - share) * self.config.offer.high**share

    def picked(self, candidates: list[int], named: list[int]) -> list[int | None]:
        """Candidates by position; a repeated pick takes the next unused one cyclically; a pick beyond the last leaves a
        hole."""
        wanted: list[int | None] = []
        for c in named:
            ring = candidates[c:] + candidates[:c] if c < len(candidates) else []
            wanted.append(next((j for j in ring if j not in wanted), None))
        return wanted

    def nearest(self, copy: Copy, n: int, query: np.ndarray) -> list[int | None]:
        """The K items with the largest inner product with the query, of those that agent n can show."""
        scores = {j: float(query @ self.item_vectors[j]) for j in range(self.shape.items) if self.can_stand(copy, n, j)}
        return self.first_slots(scores)

    def ranked(self, copy: Copy, n: int, weights: np.ndarray) -> list[int | None]:
        """The K candidates with the largest sum of weight times feature; equals in the order of the candidates."""
        names = candidate_features(self.config, self.shape)
        return self.first_slots({j: float(weights @ self.features(copy, n, j, names)) for j in copy.candidates[n]})

    def first_slots(self, scores: dict[int, float]) -> list[int | None]:
        """The K items of the largest score, best first; None where there are fewer."""
        slots = self.config.slots
        return [*self.sorted(scores, slots)[:slots], *[None] * slots][:slots]

    def sorted(self, scores: dict[int, float], count: int | None = None) -> list[int]:
        """Items by score, best first, in the given order where equal; only the first `count` matter, or all."""
        ranked = sorted(scores, key=lambda j: -scores[j])
        for better, worse in islice(pairwise(ranked), count):
            self.draws.less(scores[worse], scores[better])
        return ranked

    def auction(
        self, copy: Copy, wanted: dict[int, list[int | None]], multipliers: dict[int, float]
    ) -> tuple[list[float], int | None, float]:
        """All bids, and who wins the slot at what price: the highest bid, and of equal ones the first in the drawn
        order, at the second highest bid."""
        limit = copy.budget if self.config.offer.budget else [math.inf] * self.shape.agents
        bids = [min(multipliers.get(n, 0.0) * copy.value[n], limit[n]) for n in self.agents]
        ranked = []
        for n in copy.order[0] if copy.order else []:
            j = wanted[n][0]
            if j is not None and self.can_stand(copy, n, j) and bids[n] > 0:
                ranked.append(n)
        ranked.sort(key=lambda n: -bids[n])
        for better, worse in pairwise(ranked):
            self.draws.less(bids[worse], bids[better], scale=bids[better])
        return bids, ranked[0] if ranked else None, bids[ranked[1]] if len(ranked) > 1 else 0.0

    def fill_page(
        self, copy: Copy, wanted: dict[int, list[int | None]], multipliers: dict[int, float]
    ) -> dict[int, list[Slot]]:
        """Ranks and holes: slots are filled round by round."""
        active, shared = self.active(copy), self.config.one_feed
        if self.config.page == "auction":
            winner = self.auction(copy, wanted, multipliers)[1]
            active = [] if winner is None else [winner]
            multipliers = dict.fromkeys(active, 1.0)
        page: dict[int, list[Slot]] = {n: [] for n in active}
        for k in range(self.config.slots):
            for turn, n in enumerate(copy.order[k] if shared else active):
                rank = k * len(active) + turn + 1 if shared else k + 1
                taken = {slot.item for m in (active if shared else [n]) for slot in page[m]}
                j = wanted[n][k]
                stands = j is not None and j not in taken and self.can_stand(copy, n, j)
                page[n].append(Slot(j if stands else None, rank, multipliers[n]))
        return page

    # -------------------------------------------------------------------------------------------- 4. utility, 5. click

    def utility(self, copy: Copy, person: Person, j: int, price_multiplier: float = 1.0) -> float:
        c, item = self.config.choice, self.items[j]
        habit = self.habit_of(copy, person, j)
        v = (
            item.intercept
            + c.beta_taste * float(person.taste @ self.item_vectors[j])
            + c.beta_quality * item.quality
            + c.beta_bait * item.bait
        )
        v -= c.beta_price * person.rho * self.log_price(j, copy.tick, price_multiplier)
        v += c.beta_fresh * self.freshness(j, copy.tick)
        v += c.beta_pop * math.log1p(self.popularity(copy, j))
        v += c.beta_intent * (item.topic == copy.intent)
        if copy.anchor is not None:
            v += self.config.scenes[copy.scene].beta_context * float(
                self.item_vectors[copy.anchor] @ self.item_vectors[j]
            )
        v -= c.beta_satiation * person.satiation[item.topic]
        v += c.beta_partner * self.partner_match(person, j)
        count = habit.count if habit else 0.0
        v += math.log1p(c.habit_rate * count / math.exp(self.liking(person, j)))
        return v + c.beta_repeat * math.log1p(count / c.repeat_scale)

    def liking(self, person: Person, j: int) -> float:
        """What a person thinks of an item at its usual price, leaving habit aside."""
        c, item = self.config.choice, self.items[j]
        return (
            item.intercept
            + c.beta_taste * float(person.taste @ self.item_vectors[j])
            + c.beta_quality * item.quality
            + c.beta_bait * item.bait
            - c.beta_price * person.rho * self.usual_log_price(j)
        )

    def partner_match(self, person: Person, j: int) -> float:
        """How well item j goes with what the person consumed last, from whichever agent."""
        c, match = self.config.choice, 0.0
        shares = (1.0, c.partner_second)[: self.shape.partner_maps]
        for i, (last, share) in enumerate(zip(person.recent[-1], shares, strict=False)):
            wanted = self.partners[i * self.shape.items + last.item]
            match += share * c.partner_decay ** (last.pages - 1) * float(wanted @ self.item_vectors[j])
        return match

    def click(self, copy: Copy, person: Person, page: dict[int, list[Slot]]) -> tuple[int, Slot] | None:
        outcomes, weights = self.click_odds(copy, person, page)
        return outcomes[self.draws.choose(weights, events.CLICK)]

    def click_odds(
        self, copy: Copy, person: Person, page: dict[int, list[Slot]]
    ) -> tuple[list[tuple[int, Slot] | None], list[float]]:
        """Nested logit over the agents, trust in each nest, position as odds: who may be clicked (None = nobody), and
        weights."""
        c = self.config.choice
        copy.inclusive = {}
        for n, slots in page.items():
            standing = [slot for slot in slots if slot.item is not None]
            log_weights = []
            for slot in standing:
                slot.utility = self.utility(copy, person, slot.item, slot.price_multiplier)
                log_weights.append(math.log(self.theta(slot)) + slot.utility / c.dissimilarity)
            if standing:
                best = max(log_weights)
                for slot, log_weight in zip(standing, log_weights, strict=True):
                    slot.weight = math.exp(log_weight - best)
                log_total = best + math.log(sum(slot.weight for slot in standing))
                trust = 0.0 if self.config.page == "rival" else c.beta_trust * person.trust[n]
                copy.inclusive[n] = c.dissimilarity * log_total + trust
        v_0 = self.outside(person)
        best = max([v_0, *copy.inclusive.values()])
        outcomes: list[tuple[int, Slot] | None] = [None]
        weights = [math.exp(v_0 - best)]
        for n, inclusive in copy.inclusive.items():
            total = sum(slot.weight for slot in page[n])
            for slot in page[n]:
                if slot.item is not None:
                    outcomes.append((n, slot))
                    weights.append(math.exp(inclusive - best) * slot.weight / total)
        return outcomes, weights

    def theta(self, slot: Slot) -> float:
        """Examination of a rank."""
        c = self.config.choice
        return float(slot.rank**-c.eta * (1 + c.kappa * (slot.rank == 1)))

    def outside(self, person: Person) -> float:
        """v_0."""
        c = self.config.choice
        return c.v_0_by_mood[person.mood] if c.v_0_by_mood else c.v_0

    # -------------------------------------------------------------------------------------------- 6. consumption

    def weights_of(self, n: int) -> dict[str, float]:
        """Reward weights of agent n."""
        of_role, names = self.roles[n].rewards, (*EVENTS, *OBJECTIVES)
        return {name: of_role.get(name, 0.0) if of_role else getattr(self.config.reward, name) for name in names}

    def experience(self, copy: Copy, person: Person, j: int, price_multiplier: float) -> float:
        noise = self.config.feedback.noise_scale * self.draws.logistic(events.NOISE)
        return self.mean_experience(copy, person, j, price_multiplier) + noise

    def mean_experience(self, copy: Copy, person: Person, j: int, price_multiplier: float = 1.0) -> float:
        f, item = self.config.feedback, self.items[j]
        e = (
            f.e_0
            + f.a_taste * float(person.taste @ self.item_vectors[j])
            + f.a_quality * item.quality
            - f.a_bait * item.bait
        )
        x = self.log_price(j, copy.tick, price_multiplier)
        return e - f.a_satiation * person.satiation[item.topic] - f.a_price * person.rho * x

    def carts(self, copy: Copy, person: Person, j: int, price_multiplier: float) -> bool:
        probability = self.cart_probability(copy, person, j, price_multiplier)
        return probability > 0 and self.draws.happens(probability, events.CART)

    def cart_probability(self, copy: Copy, person: Person, j: int, price_multiplier: float = 1.0) -> float:
        f, item = self.config.feedback, self.items[j]
        if not self.config.scenes[copy.scene].cart or not self.can_pay(copy, person, j, price_multiplier):
            return 0.0
        logit = (
            float(self.world.topics["cart_intercept"][item.topic])
            + f.b_taste * float(person.taste @ self.item_vectors[j])
            + f.b_quality * item.quality
        )
        return sigmoid(logit - f.b_price * person.rho * self.log_price(j, copy.tick, price_multiplier))

    def rating(self, person: Person, e: float) -> int:
        return 1 + sum(
            not self.draws.less(e + person.rating_bias, cut) for cut in self.config.feedback.rating_cutpoints
        )

    def buy(self, copy: Copy, person: Person, j: int, price_multiplier: float = 1.0) -> float:
        """Take stock and wallet; returns the price paid in mean list prices."""
        c, price = self.config, self.price(j, copy.tick, price_multiplier)
        if c.items.stock_init:
            copy.stock[j] = self.window(j, copy.tick), copy.tick // c.items.restock_period, int(self.stock(copy, j)) - 1
        if c.users.wallet_init:
            person.wallet, person.wallet_tick = self.wallet(copy, person) - price, copy.tick
        self.events["bought"] += 1
        return price

    def consume(self, copy: Copy, person: Person, n: int, slot: Slot) -> tuple[float, float]:
        """What a click brings at once: (experienced utility, reward)."""
        f, weight = self.config.feedback, self.weights_of(n)
        assert slot.item is not None
        j = slot.item
        e = self.experience(copy, person, j, slot.price_multiplier)
        slot.clicked, slot.dwell = True, self.items[j].length * softplus(e)
        slot.liked = f.like and self.draws.happens(sigmoid(e), events.LIKE)
        slot.cart = self.carts(copy, person, j, slot.price_multiplier)
        reward = (
            weight["click"] + weight["dwell"] * slot.dwell + weight["like"] * slot.liked + weight["cart"] * slot.cart
        )
        rated = self.draws.happens(f.rating_after_click, events.RATING, 0)
        if slot.cart and f.instant:
            slot.bought = True
            reward += weight["purchase"] * self.sale(j, self.buy(copy, person, j, slot.price_multiplier))
            rated = rated or self.draws.happens(f.rating_after_purchase, events.RATING, 1)
        if rated:
            slot.rating = self.rating(person, e)
            reward += weight["rating"] * (slot.rating - 3) / 2
        return e, reward

    # -------------------------------------------------------------------------------------------- 2. cart

    def put_in_cart(self, person: Person, new: CartItem) -> int:
        """Item becomes the newest; returns how many of the oldest entries were in the cart when the page began."""
        before = len(person.cart)
        others = [entry for entry in person.cart if entry.item != new.item]
        moved = len(others) < before
        dropped = len(others) == CART_SIZE
        self.events["cart moved"] += moved
        self.events["cart dropped"] += dropped
        person.cart = [*others[dropped:], new]
        return before - dropped

    def settle_cart(self, copy: Copy, person: Person, old: int, report: Report) -> None:
        """Items that were in the cart when the page began, oldest first: bought, else abandoned, else kept."""
        f, kept = self.config.feedback, []
        for i, entry in enumerate(person.cart):
            if i >= old:
                kept.append(entry)
            elif self.draws.happens(f.cart_hazard, events.OLD_CART, 2 * i):
                available = self.available(entry.item, copy.tick) and self.stock(copy, entry.item) > 0
                if available and self.can_pay(copy, person, entry.item):
                    report.later.append(self.buy_later(copy, person, entry, i, report))
                else:
                    self.events["refused"] += 1
            elif not self.draws.happens(f.cart_abandon, events.OLD_CART, 2 * i + 1):
                kept.append(entry)
            else:
                self.events["abandoned"] += 1
        person.cart = kept

    def buy_later(self, copy: Copy, person: Person, entry: CartItem, i: int, report: Report) -> Later:
        weight = self.weights_of(entry.agent)
        bought = Later(entry.item, entry.agent, self.buy(copy, person, entry.item), 0)
        report.individual_reward[entry.agent] += weight["purchase"] * bought.price
        if not entry.rated and self.draws.happens(self.config.feedback.rating_after_purchase, events.RATING, 2 + i):
            bought.rating = self.rating(person, entry.experience)
            report.individual_reward[entry.agent] += weight["rating"] * (bought.rating - 3) / 2
        return bought

    # -------------------------------------------------------------------------------------------- 7. dynamics

    def change_visitor(
        self, copy: Copy, person: Person, page: dict[int, list[Slot]], clicked: tuple[int, Slot] | None, e: float
    ) -> None:
        """Taste, satiation, satisfaction, trust, history and the items' statistics."""
        d, keep = self.config.dynamics, self.config.observation.history_decay
        person.satiation = person.satiation * d.satiation_page
        for slot in (slot for slots in page.values() for slot in slots if slot.item is not None):
            assert slot.item is not None
            person.satiation[self.items[slot.item].topic] += d.satiation_shown
            self.count(copy, slot.item, 0, self.theta(slot), 0)
        topic = None
        if clicked is None:
            person.satisfaction += d.z_rate_none * (d.baseline - person.satisfaction)
            for n in copy.inclusive:
                person.trust[n] += d.trust_rate_none * (d.baseline - person.trust[n])
        else:
            n, j = clicked[0], clicked[1].item
            assert j is not None
            topic = self.items[j].topic
            before = person.taste
            person.taste = unit(person.taste + d.drift * math.tanh(e) * self.item_vectors[j])
            if self.config.private:  # the profile stays as it was
                person.noise = person.noise + before - person.taste
            person.satiation[topic] += 1
            person.satisfaction += d.z_rate * (math.tanh(e) - person.satisfaction)
            person.trust[n] += d.trust_rate * (math.tanh(e) - person.trust[n])
            for m in (m for m in copy.inclusive if m != n):
                person.trust[m] += d.trust_rate_rival * (d.baseline - person.trust[m])
            view = self.view(n)
            person.clicked_mean[view] = keep * person.clicked_mean[view] + (1 - keep) * self.item_vectors[j]
            person.topic_counts[view] = keep * person.topic_counts[view] + one_hot(topic, self.shape.topics)
            self.count(copy, j, 1, 0, math.log(softplus(e)))
        if self.config.choice.v_0_by_mood:
            self.move_mood(person, topic)
        elif self.shape.satisfaction_views:
            self.note_satisfaction(copy, person, None if clicked is None else clicked[0], e)

    def note_satisfaction(self, copy: Copy, person: Person, clicked: int | None, e: float) -> None:
        """Agents average tanh e of the clicks that they are told of; other pages of theirs pull to the baseline. Of one
        agent this is the same as the platform's."""
        d, platform = self.config.dynamics, self.shape.satisfaction_views == 1
        aware = list(copy.inclusive) if self.config.page == "auction" else self.active(copy)
        for view in [0] if platform else aware:
            if clicked is not None and (platform or clicked == view):
                person.observed_satisfaction[view] += 0.4 * (math.tanh(e) - person.observed_satisfaction[view])
            else:
                person.observed_satisfaction[view] += d.z_rate_none * (d.baseline - person.observed_satisfaction[view])
            person.satisfaction_pages[view] += 1

    def move_mood(self, person: Person, topic: int | None) -> None:
        """Finite games: mood 0 is the best; satisfaction follows it."""
        d, worst = self.config.dynamics, len(self.config.choice.v_0_by_mood) - 1
        up = d.mood_up_none if topic is None else d.mood_up[topic]
        down = d.mood_down_none if topic is None else d.mood_down[topic]
        step = (-1, 1, 0)[self.draws.choose([up, down, max(1 - up - down, 0.0)], events.MOOD)]
        person.mood = min(max(person.mood + step, 0), worst)
        person.satisfaction = 1 - 2 * person.mood / worst

    def remember(self, person: Person, consumed: list[tuple[int, int, bool]]) -> None:
        """What was consumed becomes the newest, of those that are kept."""
        for entry in (entry for known in person.recent for entry in known):
            entry.pages += 1
        for n, j, bought in consumed:
            for view in (self.view(n), -1):
                person.recent[view] = [Consumed(j, bought), *person.recent[view]][: self.shape.remembered]

    def change_habits(self, copy: Copy, person: Person, consumed: list[tuple[int, int, bool]]) -> None:
        """Counts decay by one page; each consumption counts 1."""
        for habit in (habit for habit in person.habits if habit):
            habit.count *= self.config.users.habit_decay
            habit.seen = [part * self.config.users.habit_decay for part in habit.seen]
        for n, j, _ in consumed if person.habits else []:
            habit = self.habit_of(copy, person, j)
            if habit is None:
                habit = Habit(j, self.window(j, copy.tick), 0.0, [0.0] * self.shape.views)
                person.habits[self.least_habit(copy, person)] = habit
            habit.count += 1
            habit.seen[self.view(n)] += not self.config.private

    def least_habit(self, copy: Copy, person: Person) -> int:
        """The entry to give to a new item: an empty one, that of an item whose incarnation is over, or the smallest
        count."""
        least, smallest = 0, math.inf
        for h, habit in enumerate(person.habits):
            alive = habit is not None and habit.window == self.window(habit.item, copy.tick)
            count = habit.count if habit and alive else -1.0
            if self.draws.less(count, smallest, scale=max(count, 1e-30)):
                least, smallest = h, count
        self.events["evicted"] += smallest >= 0
        return least

    # -------------------------------------------------------------------------------------------- 1. visitor, 8. scene

    def stay(self, copy: Copy, clicked: tuple[int, Slot] | None) -> None:
        """The same user turns to the next page of the session."""
        copy.session_page += 1
        last = len(self.config.scenes) - 1
        if last == 0:
            return
        if clicked is None:
            self.events["back to entrance"] += copy.scene > 0
            copy.scene, copy.anchor = 0, None
            return
        if copy.scene == 0 or (clicked[1].cart and copy.scene < last):
            copy.scene += 1
        copy.anchor = clicked[1].item
        self.events[f"scene {copy.scene}"] += 1

    def leave(self, copy: Copy, person: Person) -> None:
        """The session ends, perhaps for good: then the user slot is reborn."""
        assert copy.visitor is not None
        a = self.config.arrival
        if self.draws.happens(a.d_0 + a.d_1 * sigmoid(-a.d_2 * person.satisfaction), events.LOST):
            copy.people[copy.visitor] = self.new_person(copy, copy.visitor, person.incarnation + 1)
            self.events["lost"] += 1

    def draw_visitor(self, copy: Copy) -> None:
        """A user slot by its activity, accepted by satisfaction; refused, the tick is idle."""
        a, activity = self.config.arrival, self.world.activity
        copy.visitor = copy.intent = copy.anchor = copy.opened = None
        copy.scene = copy.session_page = 0
        everybody = range(len(activity))
        u = alias_draw(
            self.draws.uniform(events.VISITOR), 0, len(activity), everybody, activity["probability"], activity["alias"]
        )
        person = self.person(copy, u)
        if not self.draws.happens(sigmoid(a.r_0 + a.r_1 * person.satisfaction), events.ACCEPT):
            self.events["idle"] += 1
            return
        copy.visitor = u
        person.last_visit = person.last_page
        person.sessions += 1
        person.satiation = person.satiation * self.config.dynamics.satiation_session
        copy.intent = self.draws.choose(self.topic_weights(person.taste, self.config.users.intent_scale), events.INTENT)
        person.request = self.request(copy, person)
        if self.config.page == "rival":
            copy.opened = self.draws.choose(
                [math.exp(self.config.choice.beta_trust * tau) for tau in person.trust], events.OPEN
            )
            visits = person.visits[copy.opened]
            visits.last_visit = visits.last_page
            visits.sessions += 1

    def request(self, copy: Copy, person: Person) -> int | None:
        """What a visitor says that it wants: a topic, perhaps a budget, and one of some phrasings."""
        c, draws = self.config.users, self.draws
        if not c.request or not draws.happens(c.request, events.REQUEST, 0):
            return None
        topic, budget = copy.intent, 0
        assert topic is not None
        if self.shape.partner_maps and draws.happens(0.5, events.REQUEST, 1) and person.recent[-1]:
            topic = int(self.world.leads_to[self.items[person.recent[-1][0].item].topic])
        kinds = [c.request_vague, c.request_misleading, 1 - c.request_vague - c.request_misleading]
        kind = draws.choose(kinds, events.REQUEST, 2)
        topic = (-1, draws.integer(events.REQUEST, 3, self.shape.topics), topic)[kind]
        if self.config.choice.beta_price > 0 and draws.happens(0.5, events.REQUEST, 4):
            poor = c.wallet_init > 0 and draws.less(self.wallet(copy, person), 0.5 * c.wallet_init)
            budget = 1 if person.rho > 1.25 or poor else 3 if person.rho < 0.75 else 2
        return ((topic + 1) * BUDGETS + budget) * PHRASINGS + draws.integer(events.REQUEST, 5, PHRASINGS)

    def topic_weights(self, vector: np.ndarray, scale: float) -> list[float]:
        return [math.exp(scale * float(vector @ centre)) for centre in self.centres]

    def next_page(self, copy: Copy, stays: bool) -> None:
        copy.tick += 1
        if not stays:
            self.draw_visitor(copy)
        active = self.active(copy)
        if self.config.private and copy.visitor is not None:
            for view in sorted({self.view(n) for n in active}):
                self.tell_history(self.person(copy, copy.visitor), view)
        copy.candidates = [self.retrieve(copy, n) if n in active else [] for n in self.agents]
        copy.order = []
        if self.config.one_feed or self.config.page == "auction":
            copy.order = [self.shuffled(active, k) for k in range(self.config.slots)] if active else []
        if self.config.page == "auction":
            self.draw_values(copy)

    def draw_values(self, copy: Copy) -> None:
        """What the slot of the next page is worth to every bidder."""
        sd = self.config.offer.value_log_sd
        copy.worth, copy.value = [0.0] * self.shape.agents, [0.0] * self.shape.agents
        for n in self.active(copy):
            copy.worth[n] = math.exp(sd * self.draws.normal(events.WORTH, n) - sd**2 / 2)
            for j in copy.candidates[n]:
                assert copy.visitor is not None
                person, c = self.person(copy, copy.visitor), self.config.choice
                odds = self.utility(copy, person, j) + math.log(1 + c.kappa) + c.beta_trust * person.trust[n]
                cart = self.cart_probability(copy, person, j)
                reward = self.value_of_click(copy, person, n, j, cart)
                copy.value[n] = max(copy.worth[n] * sigmoid(odds - self.outside(person)) * reward, 0.0)

    def tell_history(self, person: Person, view: int) -> None:
        """What agents know of a history from now on: as it is, plus noise, brought back to where it can be."""
        if person.releases[view] == self.config.observation.privacy_pages:
            return
        person.releases[view] += 1
        dims, topics = self.shape.dims, self.shape.topics
        first = view * (dims + topics)
        noise = np.array([self.draws.normal(events.BLUR, first + i) for i in range(dims + topics)])
        told = person.clicked_mean[view] + self.history_noise * noise[:dims]
        person.released_mean[view] = told / max(1.0, float(np.linalg.norm(told)))
        fade = 1 - self.config.observation.history_decay
        counts = person.topic_counts[view] + self.history_noise / fade * noise[dims:]
        person.released_counts[view] = np.maximum(counts, 0)

    def shuffled(self, agents: list[int], k: int) -> list[int]:
        """Order of round k (Fisher & Yates)."""
        order, size = list(agents), len(agents)
        for i in range(size - 1):
            r = i + self.draws.integer(events.ORDER, k * size + i, size - i)
            order[i], order[r] = order[r], order[i]
        return order

    # -------------------------------------------------------------------------------------------- candidates

    def seen_count(self, copy: Copy, n: int, j: int) -> float:
        """The part of n_{u,j} that agent n knows of."""
        assert copy.visitor is not None
        habit = self.habit_of(copy, self.person(copy, copy.visitor), j)
        return habit.seen[self.view(n)] if habit else 0.0

    def retrieve(self, copy: Copy, n: int) -> list[int]:
        """Candidates of agent n: by the visitor's topics, by historical popularity, uniform; shuffled, or by observable
        score, best first."""
        if self.config.action not in ("candidates", "weights"):
            return []
        assert copy.visitor is not None
        person, size, repeats = (
            self.person(copy, copy.visitor),
            self.shape.candidates,
            self.config.choice.beta_repeat > 0 or self.config.choice.habit_rate > 0,
        )
        by_topic = size // 2 if copy.anchor is None else 4 * size // 5
        by_popularity = by_topic + (size // 4 if copy.anchor is None else size // 10)
        chosen = self.familiar(copy, n)[: by_topic // 2] if repeats else []
        self.events["familiar"] += len(chosen)
        while len(chosen) < size:
            part = "topic" if len(chosen) < by_topic else "popularity" if len(chosen) < by_popularity else "uniform"
            j = self.one_more(copy, n, part, chosen)
            if j is None:
                break
            chosen.append(j)
        if self.config.candidates.order == "shuffled":
            return self.in_any_order(chosen, n)
        scores = {j: float(person.profile @ self.item_vectors[j]) for j in chosen}
        if repeats:
            scores = {j: score + math.log1p(self.seen_count(copy, n, j)) for j, score in scores.items()}
        return self.sorted(scores)

    def in_any_order(self, chosen: list[int], n: int) -> list[int]:
        """Each goes to a position among those before it, and what was there goes to the end (Fisher & Yates)."""
        order: list[int] = []
        for i, j in enumerate(chosen):
            position = self.draws.integer(events.SHUFFLE, n * self.shape.candidates + i, i + 1)
            order = [*order[:position], j, *order[position + 1 :], *order[position : position + 1]]
        return order

    def familiar(self, copy: Copy, n: int) -> list[int]:
        """Items that agent n saw the visitor consume and can show now, most consumed first."""
        assert copy.visitor is not None
        known = {habit.item: habit for habit in self.person(copy, copy.visitor).habits if habit}
        counts = {j: self.seen_count(copy, n, j) for j in known if self.can_stand(copy, n, j)}
        ranked = sorted((j for j in counts if counts[j] > 0), key=lambda j: -counts[j])
        for better, worse in pairwise(ranked):
            self.draws.less(counts[worse], counts[better], scale=counts[better])
        return ranked

    def one_more(self, copy: Copy, n: int, part: str, chosen: list[int]) -> int | None:
        """One more candidate: a few draws, then the first that fits from a random start on."""
        world, size = self.world, self.shape.items
        first = (n * self.shape.candidates + len(chosen)) * TRIES * 2
        anchor_topic = None if copy.anchor is None else self.items[copy.anchor].topic
        for index in range(first, first + 2 * TRIES, 2):
            if part == "topic":
                topic = anchor_topic if anchor_topic is not None else self.profile_topic(copy, index)
                rows = range(int(world.topic_start[topic]), int(world.topic_start[topic + 1]))
                u = self.draws.uniform(events.RETRIEVE, index + 1)
                table = (world.popular[name] for name in ("item", "probability", "alias"))
                j = alias_draw(u, rows.start, rows.stop, *table)
            elif part == "popularity":
                u = self.draws.uniform(events.RETRIEVE, index)
                j = alias_draw(u, 0, size, range(size), world.items["probability"], world.items["alias"])
            else:
                j = self.draws.integer(events.RETRIEVE, index, size)
            if j not in chosen and self.can_stand(copy, n, j):
                return j
        self.events["searched"] += 1
        u = self.draws.uniform(events.RETRIEVE, first + 1)
        everything = list(range(size))
        same_topic = [j for j in world.popular["item"].tolist() if self.items[j].topic == anchor_topic]
        for pool in [same_topic, everything] if part == "topic" else [everything]:
            start = int(u * len(pool))
            for j in pool[start:] + pool[:start]:
                if j not in chosen and self.can_stand(copy, n, j):
                    return j
        return None

    def profile_topic(self, copy: Copy, index: int) -> int:
        """A topic by the noisy profile."""
        assert copy.visitor is not None
        weights = self.topic_weights(self.person(copy, copy.visitor).profile, self.config.candidates.topic_scale)
        return self.draws.choose(weights, events.RETRIEVE, index)

    # -------------------------------------------------------------------------------------------- observations

    def observe(self, copy: Copy, n: int) -> np.ndarray:
        """The observation of agent n: fields in the declared order, zero where they do not apply."""
        values: dict[str, Any] = {
            "role": one_hot(self.config.role_index(n), self.shape.roles),
            "agent_id": one_hot(n, self.shape.agents),
        }
        if self.config.page == "platform":
            values |= self.observe_platform(copy, n)
        elif n in self.active(copy):
            values |= self.observe_visit(copy, n) | self.observe_latent(copy)
        parts = []
        for name, columns in field_slices(OBSERVATION, self.config, self.shape).items():
            part = np.ravel(values.get(name, []))
            part = part if part.size else np.zeros(columns.stop - columns.start)
            assert part.size == columns.stop - columns.start, name
            parts.append(part)
        return np.concatenate(parts)

    def observe_visit(self, copy: Copy, n: int) -> dict[str, Any]:
        """What an active agent knows of the visit."""
        assert copy.visitor is not None
        person, view = self.person(copy, copy.visitor), self.view(n)
        visits = person.visits[n] if self.config.page == "rival" else person
        gap = 1.0 if visits.last_visit is None else squash((copy.tick - visits.last_visit) / 50)
        heard = [one_hot(None if m == n else word, self.config.messages) for m, word in enumerate(person.messages)]
        known, names = self.roles[n].knows, observed_features(self.config, self.shape)
        features = [self.features(copy, n, j, names) for j in copy.candidates[n]]
        return {
            "is_active": 1.0,
            "visitor_present": 1.0,
            "scene": one_hot(copy.scene, self.shape.scenes),
            "session_page": squash(copy.session_page / 5),
            "visits": squash(visits.sessions / 5),
            "visit_gap": gap,
            "cart": len(person.cart) / CART_SIZE,
            "anchor": np.zeros(self.shape.dims) if copy.anchor is None else squash(self.item_vectors[copy.anchor]),
            "profile": squash(person.profile),
            "clicked_mean": squash(self.known(person)[0][view]),
            "topic_counts": squash(self.known(person)[1][view]),
            "candidates": padded(features, self.shape.candidates * len(names)),
            "candidate_vectors": padded(
                [squash(self.item_vectors[j]) for j in copy.candidates[n]], self.shape.candidates * self.shape.dims
            ),
            "candidate_topics": padded(
                [one_hot(self.items[j].topic, self.shape.topics) for j in copy.candidates[n]],
                self.shape.candidates * self.shape.topics,
            ),
            **self.observe_recent(person, view),
            "request": [] if person.request is None else self.world.requests[person.request],
            "exposure": self.shares(copy, n) if self.shape.providers else [],
            "knows": one_hot(known[copy.intent] if known else None, self.shape.labels),
            "messages": np.concatenate(heard),
            **self.observe_satisfaction(copy, 0 if self.shape.satisfaction_views == 1 else n),
            "price_levels": person.price_levels,
            **self.observe_auction(copy, n),
        }

    def observe_auction(self, copy: Copy, n: int | None = None) -> dict[str, Any]:
        """What bidder n, or everybody, knows of the auction."""
        if self.config.page != "auction":
            return {}
        offer = self.config.offer
        own = {}
        if n is not None:
            share = copy.budget[n] / offer.budget if offer.budget else 1.0
            own = {"slot_value": copy.value[n] / (0.5 + copy.value[n]), "budget": share}
        return own | {
            "until_refill": 1 - copy.pages / offer.refill_period,
            "last_price": copy.last_price / (0.5 + copy.last_price),
        }

    def observe_platform(self, copy: Copy, n: int | None = None) -> dict[str, Any]:
        """What creator n, or everybody, sees: when they decide next; at a decision how often somebody visited, and its
        items, newest first, and those of the others."""
        if self.config.page != "platform":
            return {}
        c, decisions = self.config.platform, -(-copy.tick // self.config.platform.period)
        known = {"until_decision": decisions - copy.tick / c.period}
        if not self.acts(copy):
            return known
        known["demand"] = copy.pages_served / c.period
        if n is None:
            return known
        positions = [(decisions - 1 - age) % c.window for age in range(c.window)]
        own = [(copy.windows[n][w], copy.window_clicks[n][w]) for w in positions]
        others = [copy.windows[m] for m in self.agents if m != n]
        theirs = [self.items[j] for window in others for j in window if j is not None]
        newest = [window[positions[0]] for window in others]
        return known | {
            "is_active": 1.0,
            "window_topics": [one_hot(None if j is None else self.items[j].topic, self.shape.topics) for j, _ in own],
            "window_bait": [0.0 if j is None else self.items[j].bait for j, _ in own],
            "window_clicks": [squash(clicks / 5) for _, clicks in own],
            "others_topics": np.mean([one_hot(item.topic, self.shape.topics) for item in theirs], 0) if theirs else [],
            "others_bait": np.mean([0.0 if j is None else self.items[j].bait for j in newest]) if newest else 0.0,
        }

    def observe_recent(self, person: Person, view: int) -> dict[str, Any]:
        """The items consumed last, as far as they are known in a view."""
        known, size = person.recent[view][: self.shape.recent], self.shape.recent
        return {
            "recent_mask": padded([[1.0]] * len(known), size),
            "recent_vectors": padded([squash(self.item_vectors[x.item]) for x in known], size * self.shape.dims),
            "recent_topics": padded(
                [one_hot(self.items[x.item].topic, self.shape.topics) for x in known], size * self.shape.topics
            ),
            "recent_bought": padded([[float(x.bought)] for x in known], size),
            "recent_pages": padded([[squash(x.pages / 5)] for x in known], size),
        }

    def features(self, copy: Copy, n: int, j: int, names: Sequence[str]) -> np.ndarray:
        """Observable features of a candidate, those of these names."""
        assert copy.visitor is not None
        person, view, item = self.person(copy, copy.visitor), self.view(n), self.items[j]
        values = {
            "profile_match": squash(float(person.profile @ self.item_vectors[j])),
            "history_match": squash(float(self.known(person)[0][view] @ self.item_vectors[j])),
            "topic_count": squash(self.known(person)[1][view][item.topic]),
            "popularity": squash(self.popularity(copy, j, public=True) / self.popularity_unit),
            "ctr": self.relative_ctr(copy, j),
            "satisfaction": self.relative_satisfaction(copy, j),
            "price": squash(self.log_price(j, copy.tick)),
            "repeat": squash(self.seen_count(copy, n, j)),
            "freshness": self.freshness(j, copy.tick),
            "context": 0.0
            if copy.anchor is None
            else squash(float(self.item_vectors[copy.anchor] @ self.item_vectors[j])),
            "length": squash(item.length),
            "promotion": float(self.promoted(j, copy.tick)),
        }
        return np.array([values[name] for name in names])

    def observe_satisfaction(self, copy: Copy, view: int) -> dict[str, Any]:
        """Return the observed satisfaction of the visitor in a view, if the world has it."""
        if not self.shape.satisfaction_views:
            return {}
        assert copy.visitor is not None
        person = self.person(copy, copy.visitor)
        return {
            "observed_satisfaction": person.observed_satisfaction[view],
            "satisfaction_pages": squash(person.satisfaction_pages[view] / 5),
        }

    def observe_latent(self, copy: Copy) -> dict[str, Any]:
        assert copy.visitor is not None
        person = self.person(copy, copy.visitor)
        wallet = squash(self.wallet(copy, person)) if self.config.users.wallet_init else 0.0
        return {
            "latent_taste": squash(person.taste),
            "latent_satiation": squash(person.satiation),
            "latent_trust": person.trust,
            "latent_intent": one_hot(copy.intent, self.shape.topics),
            "latent_satisfaction": person.satisfaction,
            "latent_price_sensitivity": squash(person.rho),
            "latent_wallet": wallet,
        }

    def mask(self, copy: Copy, n: int) -> np.ndarray:
        """What would stand on the page, slot by slot; nothing, or no page, is given as everything."""
        if not self.config.mask_actions:
            return np.ones(0)
        if self.config.page == "platform":  # anything can be published
            return np.ones(self.shape.topics * self.config.platform.bait_levels)
        slots, offer = self.config.slots, self.config.offer
        beside = [size for size in (offer.levels * (offer.kind != "none"), self.config.messages) if size]
        if self.config.action == "candidates":
            stands = [float(c < len(copy.candidates[n])) for c in range(self.shape.candidates)]
        else:
            stands = [float(self.can_stand(copy, n, j)) for j in range(self.shape.items)]
        if n not in self.acts(copy) or not any(stands):
            stands = [1.0] * len(stands)
        return np.repeat(stands, math.prod(beside)) if slots == 1 else np.array(stands * slots + [1.0] * sum(beside))

    # -------------------------------------------------------------------------------------------- expectations of a
    # page

    def expect(self, copy: Copy, actions: np.ndarray) -> Expected:
        """Probabilities of clicks and carts, and individual rewards, of the page about to be shown."""
        n, k = self.shape.agents, self.config.slots
        found = Expected(np.zeros((n, k)), np.zeros((n, k)), np.zeros(n), np.zeros(n))
        if copy.visitor is None:
            return found
        self.draws, person = Draws(0), self.person(copy, copy.visitor)
        page, payments = self.page_asked_for(copy, actions)
        for m in page:
            found.objectives[m] = self.objectives(copy, m, page[m])
        before = copy.inclusive
        outcomes, weights = self.click_odds(copy, person, page)
        copy.inclusive = before
        carted = 0.0
        for outcome, weight in zip(outcomes, weights, strict=True):
            if outcome is None:
                continue
            m, slot = outcome
            assert slot.item is not None
            click, cart = weight / sum(weights), self.cart_probability(copy, person, slot.item, slot.price_multiplier)
            k = page[m].index(slot)
            found.click[m, k], found.cart[m, k] = click, click * cart
            found.individual_reward[m] += click * self.value_of_click(
                copy, person, m, slot.item, cart, slot.price_multiplier
            )
            if cart and not self.config.feedback.instant:
                carted += click * cart
                others = [entry for entry in person.cart if entry.item != slot.item]
                moved = [CartItem(slot.item, m, math.nan, False)] if len(others) < len(person.cart) else []
                queue = others[len(others) == CART_SIZE :] + moved
                found.individual_reward += (
                    click * cart * self.value_of_cart(copy, person, queue, self.wallet(copy, person))
                )
        found.individual_reward += (1 - carted) * self.value_of_cart(
            copy, person, person.cart, self.wallet(copy, person)
        )
        if self.config.page == "auction":
            found.individual_reward = found.individual_reward * copy.worth - payments
        return found

    def page_asked_for(self, copy: Copy, actions: np.ndarray) -> tuple[dict[int, list[Slot]], list[float]]:
        """The page that these actions lead to, which are not taken, and what every agent would pay for it."""
        nothing = [0.0] * self.shape.agents
        if self.config.page == "platform":
            later = replace(copy, windows=[list(window) for window in copy.windows])
            self.publish(later, actions)
            return self.ranked_page(later), nothing
        read = {m: self.read_action(copy, m, actions[m]) for m in self.active(copy)}
        wanted = {m: asked for m, (asked, _, _) in read.items()}
        multipliers = {m: self.multiplier(level) for m, (_, level, _) in read.items()}
        page = self.fill_page(copy, wanted, multipliers)
        if self.config.page != "auction":
            return page, nothing
        return page, self.payments(*self.auction(copy, wanted, multipliers)[1:])

    def value_of_click(
        self, copy: Copy, person: Person, n: int, j: int, cart: float, price_multiplier: float = 1.0
    ) -> float:
        """Expected individual reward of a click, of which the cart is drawn with this probability."""
        f, weight, e = self.config.feedback, self.weights_of(n), self.mean_experience(copy, person, j, price_multiplier)
        value = (
            weight["click"]
            + weight["dwell"] * self.items[j].length * self.over_noise(softplus, e)
            + weight["cart"] * cart
        )
        value += weight["like"] * self.over_noise(sigmoid, e) if f.like else 0.0
        rated = f.rating_after_click
        if f.instant:
            value += weight["purchase"] * cart * self.sale(j, self.price(j, copy.tick, price_multiplier))
            rated += (1 - rated) * cart * f.rating_after_purchase
        return value + weight["rating"] * rated * self.mean_rating(person, e)

    def over_noise(self, of: Any, mean: float) -> float:
        """E of(mean + scale * logistic noise), by the trapezoid rule."""
        scale = self.config.feedback.noise_scale
        if scale == 0:
            return float(of(mean))
        x = np.linspace(-40, 40, 801)
        density = 1 / (4 * np.cosh(x / 2) ** 2)
        return float(np.dot(density, [of(mean + scale * step) for step in x.tolist()]) / density.sum())

    def mean_rating(self, person: Person, e: float) -> float:
        """E (rating - 3) / 2."""
        scale = self.config.feedback.noise_scale
        margins = [e + person.rating_bias - cut for cut in self.config.feedback.rating_cutpoints]
        return sum(sigmoid(margin / scale) if scale else float(margin >= 0) for margin in margins) / 2 - 1

    def value_of_cart(self, copy: Copy, person: Person, queue: list[CartItem], wallet: float) -> np.ndarray:
        """Individual rewards expected from what is in the cart, oldest first; an experience of NaN is that of a click
        still to come."""
        if not queue:
            return np.zeros(self.shape.agents)
        f, first, rest = self.config.feedback, queue[0], queue[1:]
        without = self.value_of_cart(copy, person, rest, wallet)
        price = self.price(first.item, copy.tick)
        if not self.available(first.item, copy.tick) or self.stock(copy, first.item) <= 0 or wallet < price:
            return without
        bought, weight = self.value_of_cart(copy, person, rest, wallet - price), self.weights_of(first.agent)
        if math.isnan(first.experience):
            unrated, stars = (
                1 - f.rating_after_click,
                self.mean_rating(person, self.mean_experience(copy, person, first.item)),
            )
        else:
            unrated, stars = float(not first.rated), (self.rating(person, first.experience) - 3) / 2
        bought[first.agent] += weight["purchase"] * price + weight["rating"] * unrated * f.rating_after_purchase * stars
        return f.cart_hazard * bought + (1 - f.cart_hazard) * without

    # -------------------------------------------------------------------------------------------- what others want to
    # know

    def options(self, copy: Copy, n: int) -> list[int | None]:
        """What agent n may choose from: its candidates, or all items, None in place of one that cannot stand on the
        page."""
        if self.config.action in ("candidates", "weights"):
            found = list(copy.candidates[n]) if n in self.active(copy) else []
            return found + [None] * (self.shape.candidates - len(found))
        return [j if n in self.active(copy) and self.can_stand(copy, n, j) else None for j in range(self.shape.items)]

    def gain(self, copy: Copy, j: int) -> float:
        """Probability of a click on item j, alone on the page about to be shown."""
        assert copy.visitor is not None
        person = self.person(copy, copy.visitor)
        return sigmoid(self.utility(copy, person, j) - self.outside(person))

    def ideal(self, copy: Copy, n: int, cold_below: float, discount: list[float]) -> list[float]:
        """Discounted gains of the best that agent n could show: of all items, of those with few clicks, of the
        others."""
        options = [j for j in self.options(copy, n) if j is not None]
        gains = [(self.gain(copy, j), self.popularity(copy, j) < cold_below) for j in options]
        parts = [gains, [gain for gain in gains if gain[1]], [gain for gain in gains if not gain[1]]]
        return [
            sum(d * gain for d, (gain, _) in zip(discount, sorted(part, reverse=True), strict=False)) for part in parts
        ]

    def state(self, copy: Copy) -> np.ndarray:
        """The part of `state()` that all agents share."""
        values: dict[str, Any] = {
            "visitor_present": float(copy.visitor is not None),
            "episode_share": (copy.tick + 1) / (self.config.horizon + 1),
            **self.observe_auction(copy),
            **self.observe_platform(copy),
        }
        if copy.visitor is not None:
            values |= self.observe_latent(copy) | {"scene": one_hot(copy.scene, self.shape.scenes)}
            values |= self.observe_satisfaction(copy, 0)
        people = list(copy.people.values())
        if people:
            values |= {
                "mean_satisfaction": np.mean([person.satisfaction for person in people]),
                "mean_trust": np.mean([person.trust for person in people], axis=0),
            }
        where = field_slices(STATE, self.config, self.shape)
        del where["private"]
        return np.concatenate(
            [np.ravel(values.get(k, np.zeros(columns.stop - columns.start))) for k, columns in where.items()]
        )

    # -------------------------------------------------------------------------------------------- a tick

    def reset(self, seed: int, population: int, episode: int = 0) -> tuple[Copy, Report]:
        """The start of an episode."""
        report = self.empty_report()
        copy = self.first_page(seed, population, episode)
        self.finish(copy, report)
        return copy, report

    def step(self, copy: Copy, actions: np.ndarray) -> Report:
        """One tick; actions[N, ...] as the kernels take them."""
        report = self.empty_report()
        self.draws = Draws(child(stream(copy.seed, TICKS), copy.episode, copy.tick))
        if self.config.page == "platform":
            self.publish(copy, actions)
        stays = copy.visitor is not None and self.serve_page(copy, actions, report)
        self.next_page(copy, stays)
        if copy.tick == self.config.horizon:
            report.truncated = True
            report.final_observations = np.stack([self.observe(copy, n) for n in self.agents])
            report.final_masks = np.stack([self.mask(copy, n) for n in self.agents])
            report.final_state = self.state(copy)
            boundary = self.draws.boundary
            copy.__dict__.update(self.first_page(copy.seed, copy.population, copy.episode + 1).__dict__)
            self.draws.boundary = min(boundary, self.draws.boundary)
        self.finish(copy, report)
        return report

    def empty_report(self) -> Report:
        self.events = Counter()
        n = self.shape.agents
        nobody = [-1] * n
        nothing = [0.0] * n
        bids = {"bid": nothing, "payment": nothing, "value": nothing}
        return Report(
            individual_reward=np.zeros(n),
            objectives=np.zeros(n),
            visitor=nobody,
            user_slot=nobody,
            price_multiplier=[1.0] * n,
            **bids,
        )

    def first_page(self, seed: int, population: int, episode: int) -> Copy:
        copy = Copy(seed, population, episode, budget=[self.config.offer.budget] * self.shape.agents)
        copy.windows = [[None] * self.shape.window for _ in self.agents]
        copy.window_clicks = [[0] * self.shape.window for _ in self.agents]
        self.draws = Draws(child(stream(seed, TICKS), episode, copy.tick))
        self.next_page(copy, stays=False)
        return copy

    def shared(self, earned: np.ndarray) -> np.ndarray:
        s = self.config.reward.sharing
        return (1 - max(s, 0)) * earned + s * earned.mean()

    # -------------------------------------------------------------------------------------------- 9. objectives

    def objectives(self, copy: Copy, n: int, slots: list[Slot]) -> float:
        """What agent n's slate is paid for whatever the visitor does."""
        weight = self.weights_of(n)
        standing = [slot for slot in slots if slot.item is not None]
        items = [slot.item for slot in standing]
        pairs = [1 - float(self.item_vectors[i] @ self.item_vectors[j]) for i, j in combinations(items, 2)]
        diversity = sum(pairs) / len(pairs) if pairs else 0.0
        novelty = sum(self.novelty(j) for j in items) / len(items) if items else 0.0
        fairness = 0.0
        if weight["fairness"]:
            target, share = self.targets(n), self.shares(copy, n)
            for slot in standing:
                provider = self.items[slot.item].provider
                fairness += self.theta(slot) * (target[provider] - share[provider])
        return weight["diversity"] * diversity + weight["novelty"] * novelty + weight["fairness"] * fairness

    def novelty(self, j: int) -> float:
        """1 for the item with the fewest historical clicks, 0 for that with the most, by the logarithm."""
        bits = [-math.log2(1 + item.popularity) for item in self.items]
        return (bits[j] - min(bits)) / (max(bits) - min(bits)) if max(bits) > min(bits) else 0.0

    def targets(self, n: int) -> list[float]:
        """Share of agent n's exposure that is due to each provider."""
        due = [0.0] * self.config.items.providers
        for j, item in enumerate(self.items):
            if self.in_inventory(n, j):
                due[item.provider] += 1 + item.popularity if self.config.reward.fairness_target == "merit" else 1
        return [x / sum(due) for x in due]

    def shares(self, copy: Copy, n: int) -> list[float]:
        """Share of agent n's exposure so far that each provider had."""
        given = copy.exposure[n] if copy.exposure else Counter()
        total = sum(given.values())
        return [given[i] / total for i in range(self.config.items.providers)] if total else self.targets(n)

    def show_providers(self, copy: Copy, n: int, slots: list[Slot]) -> None:
        if not self.shape.providers:
            return
        keep = 0.5 ** (1 / self.config.reward.fairness_half_life)
        copy.exposure = copy.exposure or [Counter() for _ in self.agents]
        copy.exposure[n] = Counter({i: keep * x for i, x in copy.exposure[n].items()})
        for slot in (slot for slot in slots if slot.item is not None):
            copy.exposure[n][self.items[slot.item].provider] += self.theta(slot)

    def finish(self, copy: Copy, report: Report) -> None:
        """Rewards, and the view of the page about to be shown."""
        report.rewards = self.shared(report.individual_reward + report.objectives)
        report.active = self.acts(copy)
        meets = [] if self.config.page == "platform" else report.active  # creators see no visitor
        report.next_visitor = [self.visitor_id(copy) if n in meets else -1 for n in self.agents]
        report.next_user_slot = [copy.visitor if n in meets else -1 for n in self.agents]  # type: ignore[misc]
        report.observations = np.stack([self.observe(copy, n) for n in self.agents])
        report.masks = np.stack([self.mask(copy, n) for n in self.agents])
        report.boundary, report.events = self.draws.boundary, self.events

    def serve_page(self, copy: Copy, actions: np.ndarray, report: Report) -> bool:
        """Show the page and let it take effect; returns whether the visitor stays."""
        assert copy.visitor is not None
        person, active = self.person(copy, copy.visitor), self.active(copy)
        report.visitor = [self.visitor_id(copy) if n in active else -1 for n in self.agents]
        report.user_slot = [copy.visitor if n in active else -1 for n in self.agents]
        wanted: dict[int, list[int | None]] = {}
        person.messages, person.price_levels = [None] * self.shape.agents, [0.0] * self.shape.agents
        multipliers = {}
        asked = self.config.page != "platform"
        for n in active if asked else []:
            wanted[n], level, person.messages[n] = self.read_action(copy, n, actions[n])
            multipliers[n] = self.multiplier(level)
            if self.config.offer.kind == "price":
                person.price_levels[n] = level or 0.0
        report.page = page = self.fill_page(copy, wanted, multipliers) if asked else self.ranked_page(copy)
        if self.config.page == "auction":
            self.take_bids(copy, report, self.auction(copy, wanted, multipliers))
        else:
            report.price_multiplier = [multipliers.get(n, 1.0) for n in self.agents]
        for n in active:
            slots = page.get(n, [])  # none of who loses an auction
            report.objectives[n] = self.objectives(copy, n, slots)
            self.show_providers(copy, n, slots)
        clicked = self.click(copy, person, page)
        e, old, consumed = 0.0, len(person.cart), []  # of each consumption: agent, item, whether it was bought
        by_click = self.config.users.habit == "click"
        if clicked is not None:
            n, slot = clicked
            assert slot.item is not None
            e, reward = self.consume(copy, person, n, slot)
            report.individual_reward[n] += reward * (copy.worth[n] if self.config.page == "auction" else 1.0)
            if slot.cart and not self.config.feedback.instant:
                old = self.put_in_cart(person, CartItem(slot.item, n, e, slot.rating > 0))
            if by_click or slot.bought:
                consumed.append((n, slot.item, slot.bought))
        self.settle_cart(copy, person, old, report)
        if not by_click:
            consumed += [(later.agent, later.item, True) for later in report.later]
        self.change_habits(copy, person, consumed)
        self.remember(person, consumed)
        self.change_visitor(copy, person, page, clicked, e)
        person.last_page = copy.tick
        if copy.opened is not None:
            person.visits[copy.opened].last_page = copy.tick
        if self.config.page == "auction":
            self.settle(copy, report)
        if self.config.page == "platform":
            copy.pages_served += 1
            for n, slot in [clicked] if clicked else []:
                copy.window_clicks[n][copy.windows[n].index(slot.item)] += 1
        self.count_events(report, page, clicked)
        a = self.config.arrival
        if self.draws.happens(sigmoid(a.k_0 + a.k_1 * person.satisfaction), events.CONTINUE):
            self.stay(copy, clicked)
            return True
        self.leave(copy, person)
        return False

    def take_bids(self, copy: Copy, report: Report, auction: tuple[list[float], int | None, float]) -> None:
        """What the auction of this page was about."""
        report.bid, winner, price = auction
        report.value = list(copy.value)
        report.payment = self.payments(winner, price)

    def payments(self, winner: int | None, price: float) -> list[float]:
        """What every agent pays for the slot."""
        return [price * (n == winner) for n in self.agents]

    def settle(self, copy: Copy, report: Report) -> None:
        """The winner pays, and budgets are refilled after so many pages."""
        copy.last_price = sum(report.payment)
        self.events["sold"] += copy.last_price > 0
        self.events["tied"] += max(report.bid) > 0 and report.bid.count(max(report.bid)) > 1
        self.events["budget was bid"] += self.config.offer.budget > 0 and max(report.bid) in copy.budget
        copy.pages += 1
        for n in self.agents:
            report.individual_reward[n] -= report.payment[n]
            copy.budget[n] -= report.payment[n] * (self.config.offer.budget > 0)
        if copy.pages == self.config.offer.refill_period:
            copy.pages, copy.budget = 0, [self.config.offer.budget] * self.shape.agents
            self.events["refilled"] += 1

    def count_events(self, report: Report, page: dict[int, list[Slot]], clicked: tuple[int, Slot] | None) -> None:
        slots = [slot for row in page.values() for slot in row]
        seen = {
            "page": 1,
            "offer": any(m != 1 for m in report.price_multiplier),
            "hole": sum(slot.item is None for slot in slots),
            "later": len(report.later),
        }
        if clicked:
            slot = clicked[1]
            seen |= {
                "click": 1,
                "cart": slot.cart,
                "instant": slot.bought,
                "like": slot.liked,
                "rated": slot.rating > 0,
            }
        self.events.update({name: int(count) for name, count in seen.items()})


def alias_draw(u: float, start: int, stop: int, here: Sequence[int], probability: np.ndarray, alias: np.ndarray) -> int:
    """What stands in a row of an alias table over rows start..stop-1, or its alias (Walker 1977)."""
    x = u * (stop - start)
    row = start + int(x)
    return int(here[row] if x - int(x) < probability[row] else alias[row])
