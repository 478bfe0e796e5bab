"""What of the engine's state matters for what happens next, what else agents can react to, and which worlds are
finite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..batch.vector import VectorEnv
from ..checks import shown
from ..config import WorldConfig
from ..kernels.equations import REACTIONS
from ..world.arrays import State, has_come
from ..world.terms import CART, EXPERIENCE, UTILITY, WeightedTerm, counting_terms, undeclared

# What the attributes of items may depend on in a finite world. These parts never change there (`obstacles` excludes
# promotions and availability windows, which would change prices and ages) ...
_CONSTANT = frozenset(("item", "latent item", "price", "age", "taste", "price sensitivity"))
_IN_STATES = frozenset(  # ... and the states of the tables hold these.
    ("scene and anchor", "satiation", "intent", "habits")
)


def weighted_terms(config: WorldConfig) -> list[WeightedTerm]:
    """Return the terms that matter in this world: they may differ from 0, and something depends on their sum."""
    sums = [UTILITY]
    if experience_matters(config):
        sums.append(EXPERIENCE)
    if config.has_carts:
        sums.append(CART)
    return [term for which in sums for term in counting_terms(config, which)]


def satisfaction_matters(config: WorldConfig) -> bool:
    """Whether visits depend on satisfaction z; in finite games they depend on moods instead."""
    arrival = config.arrival
    moves = arrival.k_1 != 0 or arrival.r_1 != 0 or (arrival.d_1 != 0 and arrival.d_2 != 0)
    return moves and not config.choice.v_0_by_mood


def trust_matters(config: WorldConfig) -> bool:
    """Whether trust decides between agents."""
    return config.choice.beta_trust != 0 and (not config.opens_agent or config.num_agents > 1)


def experience_matters(config: WorldConfig) -> bool:
    """Whether the experience of a click moves the visitor or is paid for."""
    paid = {"rating", *REACTIONS} & paid_for(config)
    return satisfaction_matters(config) or trust_matters(config) or bool(paid)


@dataclass(frozen=True)
class Relevance:
    """The parts of the state that transitions and rewards depend on, given the weights of a config.

    Tastes and price sensitivities never change in a finite world (`obstacles`), so no state holds them.
    """

    satisfaction: bool
    trust: bool
    satiation: bool
    taste: bool
    intent: bool
    habits: bool
    prices: bool  # of people: their sensitivity

    @staticmethod
    def of(config: WorldConfig) -> Relevance:
        parts = {part for term in weighted_terms(config) for part in term.depends_on}
        intent = "intent" in parts and config.items.topics > 1
        return Relevance(
            satisfaction=satisfaction_matters(config),
            trust=trust_matters(config),
            satiation="satiation" in parts,
            taste="taste" in parts or (intent and config.users.intent_scale != 0),
            intent=intent,
            habits="habits" in parts and config.users.habit_size > 0,
            prices="price sensitivity" in parts,
        )


def sees_prices(config: WorldConfig) -> bool:
    """Whether some agent sees what all asked at the visitor's last page, so that it can react to that."""
    return config.offer.kind == "price" and _seen(config, "price_levels")


def sees_last_price(config: WorldConfig) -> bool:
    """Whether some bidder sees what the last page cost, so that it can react to that."""
    return config.auctioned and _seen(config, "last_price")


def _seen(config: WorldConfig, field: str) -> bool:
    """Whether some agent sees a field of the observation."""
    return any(field not in config.hidden(n) for n in range(config.num_agents))


def paid_for(config: WorldConfig) -> set[str]:
    """The events and objectives that some agent is paid for."""
    return {name for role in role_weights(config) for name, weight in role.items() if weight}


def role_weights(config: WorldConfig) -> list[dict[str, float]]:
    """Weight of every event and objective, by role."""
    return [config.reward_weights(role) for role in range(len(config.roles))]


def obstacles(config: WorldConfig) -> Iterator[str]:
    """What makes a world infinite, or its outcomes more than the tables hold, each with what would help."""
    matters, users, items, dynamics = Relevance.of(config), config.users, config.items, config.dynamics
    rewards = paid_for(config)
    if config.ranked:
        yield "page = 'platform' has windows of published items, which no table of states holds; needed is another page"
    elif config.action not in ("items", "candidates"):
        yield f"action = {config.action!r} has infinitely many actions; needed is 'items'"
    if config.messages:
        yield f"messages = {config.messages} are talk, which no table of states holds; needed is 0"
    if items.life:
        yield f"items.life = {items.life} makes the items depend on the tick; needed is 0"
    if items.promotion_probability * items.promotion_depth > 0:
        share = items.promotion_probability
        yield f"items.promotion_probability = {share:g} makes prices depend on the tick; needed is 0"
    if items.stock_init:
        yield f"items.stock_init = {items.stock_init} is restocked by the tick; needed is 0"
    if users.wallet_init:
        yield f"users.wallet_init = {users.wallet_init:g} is refilled by the tick; needed is 0"
    if config.auctioned and config.offer.value_log_sd > 0:
        yield f"offer.value_log_sd = {config.offer.value_log_sd:g} draws values continuously; needed is 0"
    yield from _undeclared(config)
    if "fairness" in rewards:
        weight = next(weights["fairness"] for weights in role_weights(config) if weights["fairness"])
        yield f"reward.fairness = {weight:g} counts exposure, which never stands still; needed is 0"
    if not config.feedback.instant and config.has_carts:
        yield "feedback.instant = False leaves items in carts; needed is True"
    if matters.habits and users.habit == "purchase" and config.has_carts:
        yield "users.habit = 'purchase' counts what is bought, which the tables do not follow; needed is 'click'"
    if config.feedback.noise_scale > 0 and (matters.satisfaction or matters.trust):
        what = " and ".join(["satisfaction"] * matters.satisfaction + ["trust"] * matters.trust)
        yield f"feedback.noise_scale = {config.feedback.noise_scale:g} moves {what} continuously; needed is 0"
    if dynamics.drift > 0 and matters.taste:
        yield f"dynamics.drift = {dynamics.drift:g} moves the tastes continuously; needed is 0"
    same = users.population == "fixed" and config.arrival.d_0 == config.arrival.d_1 == 0
    people = "users.population = 'fixed' with arrival.d_0 = d_1 = 0, or people that are all alike"
    if matters.taste and items.topics > 1 and not same:
        yield f"tastes matter and are drawn with every person; needed are {people} (items.topics = 1)"
    if matters.prices and users.price_sensitivity_log_sd > 0 and not same:
        yield f"price sensitivities matter and are drawn with every person; needed are {people} (its log-sd 0)"
    if "rating" in rewards and users.rating_bias_sd > 0 and not same:
        yield f"rating biases matter and are drawn with every person; needed are {people} (rating_bias_sd = 0)"


def _undeclared(config: WorldConfig) -> Iterator[str]:
    """What terms depend on that tables do not hold, and attributes that do not declare what they depend on."""
    for term in weighted_terms(config):
        for attribute, parts in term.attributes.items():
            if not parts:
                yield f"{term.coefficients} weighs {undeclared(attribute)}"
            for part in parts:
                if part not in _CONSTANT | _IN_STATES:
                    yield f"{term.coefficients} weighs {part}, which never stands still; needed is 0"


class StateReader:
    """Which state of a table a copy of the engine is in, by the bytes of what matters, and of the agents' own past
    that they see: their prices at a visitor's last page, and what the last page of an auction cost. Nothing depends on
    these but the agents that react to them.

    Args:
        envs: a batch of the world, for sizes and offsets.
        first: the state of one copy whose users are all the first at their places.
    """

    def __init__(self, envs: VectorEnv, first: State) -> None:
        config, shape, at = envs.config, envs.shape, envs.world.params["shape"][0]
        matters, several = Relevance.of(config), len(config.scenes) > 1
        self._agents, self._config = envs.possible_agents, config
        page = {"visitor": True, "scene": several, "anchor": several, "intent": matters.intent}
        page["opened"] = config.opens_agent
        self._page = [name for name, there in page.items() if there]
        self._budgets = shape.bidders if config.offer.budget > 0 else 0
        auction = {"pages": self._budgets > 0, "last_price": sees_last_price(config)}
        self._auction = [name for name, there in auction.items() if there]
        self._users = ["mood"] * bool(config.choice.v_0_by_mood) + ["satisfaction"] * matters.satisfaction
        stretches = {
            "trust": (matters.trust, int(at["trust"]), shape.agents),
            "satiation": (matters.satiation, int(at["satiation"]), shape.topics),
        }
        self._vectors = {name: slice(start, start + size) for name, (there, start, size) in stretches.items() if there}
        self._habits = shape.habits if matters.habits else 0
        self._prices = shape.agents if sees_prices(config) else 0
        self._first = self._people(first, first.users["row"])
        self._sorted: np.ndarray | None = None

    def keys(self, state: State) -> np.ndarray:
        """The state of every copy, as float32 [B, W]: what it holds of the page, then of each user."""
        copies = state.copies
        page = np.stack([copies[name] for name in self._page], axis=1).astype(np.float32)
        auction = [state.auctions[name] for name in self._auction] + [state.bidders["budget"]] * (self._budgets > 0)
        come = has_come(state.users, copies)
        people = np.where(come[:, :, None], self._people(state, np.where(come, state.users["row"], 0)), self._first)
        parts = [page, *auction, people.reshape(len(copies), -1)]
        return np.concatenate(parts, axis=1, dtype=np.float32) + np.float32(0)  # no -0

    def _people(self, state: State, rows: np.ndarray) -> np.ndarray:
        """Return the part of the state that belongs to users [B, U, w], whose rows are [B, U], as float32."""
        copies = np.arange(len(state.copies))[:, None]
        parts = [state.users[name][:, :, None] for name in self._users]
        parts += [state.vectors[:, :, place][copies, rows] for place in self._vectors.values()]
        parts += [state.habits[name][copies, rows] for name in ("item", "count")] * (self._habits > 0)
        parts += [state.price_levels[copies, rows]] * (self._prices > 0)
        return np.concatenate([np.zeros((*state.users.shape, 0)), *parts], axis=2).astype(np.float32)

    # ------------------------------------------------------------------------------------------------ numbers and names

    def number(self, keys: np.ndarray) -> np.ndarray:
        """Let the states of a table be these distinct keys [S, W]; returns their order: idle ones last, the best mood,
        satisfaction and trust first."""
        sign = np.ones(keys.shape[1])
        sign[self._width :].reshape(self._first.shape[1], -1)[:, [n in _LARGEST_FIRST for n in self._columns()]] = -1
        visitor = np.where(keys[:, 0] < 0, np.inf, keys[:, 0])
        order = np.lexsort(np.column_stack([visitor, (keys * sign)[:, 1:]]).T[::-1])
        rows = _rows(keys[order])
        self._place = np.argsort(rows)
        self._sorted = rows[self._place]
        return order

    def states(self, state: State) -> np.ndarray:
        """The number [B] of the state that every copy is in.

        Raises:
            ValueError: one is in none of the table's.
        """
        return self._find(self.keys(state))

    def _find(self, keys: np.ndarray) -> np.ndarray:
        assert self._sorted is not None
        rows = _rows(keys)
        found = np.minimum(np.searchsorted(self._sorted, rows), len(self._sorted) - 1)
        if (self._sorted[found] != rows).any():
            wrong = np.flatnonzero(self._sorted[found] != rows).tolist()
            raise ValueError(f"copies {shown(wrong)} are in states that the table does not have; are they of its task?")
        return self._place[found]

    def mirror(self, keys: np.ndarray) -> np.ndarray:
        """The number [S] of each state of these keys with the two agents exchanged.

        Raises:
            ValueError: there is no such state.
        """
        swapped = keys.copy()
        if "opened" in self._page:
            opened = swapped[:, self._page.index("opened")]
            opened[opened >= 0] = 1 - opened[opened >= 0]
        budgets = swapped[:, self._width - self._budgets : self._width]
        budgets[:] = budgets[:, ::-1].copy()
        people = swapped[:, self._width :].reshape(len(keys), self._first.shape[1], -1)
        for part in ("trust", "price_levels"):
            columns = [i for i, name in enumerate(self._columns()) if name == part]
            people[:, :, columns] = people[:, :, columns[::-1]]
        return self._find(swapped)

    def without_past(self, keys: np.ndarray) -> np.ndarray:
        """These keys [S, W] without the parts on which only agents that react to them depend."""
        bare = keys.copy()
        bare[:, [name == "last_price" for name in self._names()]] = 0
        people = bare[:, self._width :].reshape(len(keys), self._first.shape[1], -1)
        people[:, :, [name == "price_levels" for name in self._columns()]] = 0
        return bare

    @property
    def _width(self) -> int:
        """Where the users begin."""
        return len(self._page) + len(self._auction) + self._budgets

    def _names(self) -> list[str]:
        """What each column of a key holds."""
        return self._page + self._auction + ["budget"] * self._budgets + self._columns() * self._first.shape[1]

    def _columns(self) -> list[str]:
        """What each column of a user holds."""
        columns = list(self._users)
        for name, place in self._vectors.items():
            columns += [name] * (place.stop - place.start)
        return columns + ["habit"] * (2 * self._habits) + ["price_levels"] * self._prices

    def sizes(self, keys: np.ndarray) -> str:
        """How many values each part takes among these keys, for an error."""
        names = self._names()
        counts: dict[str, int] = {}
        for name in dict.fromkeys(names):
            columns = keys[:, [i for i, n in enumerate(names) if n == name]]
            counts[name] = len(np.unique(columns, axis=0))
        return ", ".join(f"{name} {count}" for name, count in counts.items() if count > 1)

    def names(self, keys: np.ndarray) -> tuple[str, ...]:
        """A readable name of each state, of the parts that are not always the same."""
        several, varies = self._first.shape[1] > 1, (keys != keys[0]).any(0)
        changing = varies[self._width :].reshape(self._first.shape[1], -1)
        names = []
        for key in keys:
            words = self._page_words(dict(zip(self._page, key.astype(int).tolist(), strict=False)), several)
            words += self._auction_words(key[len(self._page) : self._width], varies[len(self._page) : self._width])
            people = key[self._width :].reshape(changing.shape)
            for u, person in enumerate(people):
                described = []
                for part in dict.fromkeys(self._columns()):
                    columns = [i for i, name in enumerate(self._columns()) if name == part]
                    if changing[u, columns].any():
                        described.append(f"{part} {' '.join(f'{value:.3g}' for value in person[columns])}")
                words += [f"user {u}: " + ", ".join(described)] if several and described else described
            names.append(", ".join(words) or "always")
        return tuple(names)

    def _page_words(self, page: dict[str, int], several: bool) -> list[str]:
        """Whose page it is, and which."""
        if page["visitor"] < 0:
            return ["idle"]
        words = [f"visitor {page['visitor']}"] if several else []
        words += [self._config.scenes[page["scene"]].name] if "scene" in page else []
        words += [f"after item {page['anchor']}"] if page.get("anchor", -1) >= 0 else []
        words += [f"intent {page['intent']}"] if "intent" in page else []
        return words + ([f"opens {self._agents[page['opened']]}"] if "opened" in page else [])

    def _auction_words(self, numbers: np.ndarray, varies: np.ndarray) -> list[str]:
        """How the auction stands, of the parts that are not always the same."""
        words = []
        for name in dict.fromkeys([*self._auction, *["budgets"] * (self._budgets > 0)]):
            place = slice(-self._budgets, None) if name == "budgets" else [self._auction.index(name)]
            if varies[place].any():
                words.append(f"{name.replace('_', ' ')} {' '.join(f'{value:.3g}' for value in numbers[place])}")
        return words


_LARGEST_FIRST = ("satisfaction", "trust")


def _rows(keys: np.ndarray) -> np.ndarray:
    """Each row of float32 numbers as one value that can be sorted."""
    keys = np.ascontiguousarray(keys, np.float32)
    return keys.view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
