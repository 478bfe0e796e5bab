"""A billion agent-steps over all tasks and random worlds, with the rules checked as they go.

    python -m benchmarks.soak [--steps 1e9] [--workers 2] [--chunk 5e6]

An agent-step is one agent's part in one tick of one copy. Chunks of them are played with uniform actions, in turn by
the tasks as they are and by random worlds (every field of the config drawn within its range); what a chunk does
follows from its number. A run goes on where an earlier one was stopped, and stores its result after each chunk.

Every check in `CHECKS` looks at every copy in every tick, except where its text says otherwise. It keeps books of its
own from what `infos` report (who holds what in the cart, what was paid, what is in stock) and compares them with
rewards, observations and state. It counts what is wrong and keeps where it was seen first; `--only CHUNK` plays that
chunk again.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import fields
from multiprocessing import get_context
from typing import Any, NamedTuple

import numba
import numpy as np

from recsys_env import TASKS, VectorEnv, WorldConfig
from recsys_env.config import EVENTS as WEIGHED
from recsys_env.config import GROUPS
from recsys_env.kernels import entry, kernel
from recsys_env.kernels.page import read_prices
from recsys_env.spaces import choices
from recsys_env.vector import copy_seed

from .record import RESULTS, store

SEED = 1_000_000
TASK_COPIES, WORLD_COPIES = 1024, 256
WORLD_STEPS = 500_000  # agent-steps of one random world
REPLAYED = 40  # ticks that are played again in another batch

CHECKS = (
    ("observations", "every number of an observation is finite and in [-1, 1]"),
    ("final_observations", "the same of the last observations of an episode"),
    ("masks", "a mask holds 0 and 1, names at least one option for each slot, and allows all messages"),
    ("active", "active are: nobody in an idle tick, the opened rival, the owner of the scene, or everybody"),
    ("visitor", "the page was for the visitor that was announced, and -1 exactly for those who were not active"),
    ("next_visitor", "an id >= 0 exactly where active, the same for all agents, and another once a place is reborn"),
    ("ranks", "ranks of a shared page are a permutation of its places by rounds; elsewhere 0..K-1; -1 off the page"),
    ("shown", "an item shown was asked for, once on a shared page or in a row, in the inventory, available, in stock"),
    ("off_page", "an agent that was not on the page has neither items nor events"),
    ("clicks", "at most one click on a page, and on an item"),
    ("events", "cart, like, rating and dwell only with the click; bought = an instant cart; cart where there is one"),
    ("dwell", "dwell is finite and at least 0"),
    ("rating", "ratings are 1..5, or 0 for none"),
    ("own", "own reward = sum of the role's weights times the events credited, later purchases at the price paid too"),
    ("rewards", "reward = (1 - max(s, 0)) own + s mean(own), and finite"),
    ("later", "a later purchase is of an item that was in the cart when the page began, in the order of the cart"),
    ("credit", "it is credited to the agent whose slot was carted last, and rated at most once"),
    ("cart", "the cart holds at most 3 items, each once, and only what was put there and neither bought nor dropped"),
    ("price", "the price paid is the list price or, on promotion, the reduced one"),
    ("wallet", "a purchase costs no more than is in the wallet, which falls by the price paid, refills, and is capped"),
    ("stock", "no purchase without stock; each takes one unit; a restock and a new window fill it up"),
    ("clock", "ticks count up by one; all copies are truncated together, exactly at the horizon"),
    ("replay", "40 ticks of a chunk's first world give the same bits in a batch of 3 (in some chunks on two threads)"),
)  # fmt: skip
NAMES = tuple(name for name, _ in CHECKS)
(
    OBSERVATIONS, FINAL, MASKS, ACTIVE, VISITOR, NEXT, RANKS, SHOWN, OFF_PAGE, CLICKS, EVENTS, DWELL, RATING, OWN,
    REWARDS, LATER, CREDIT, CART,
    PRICE, WALLET, STOCK, CLOCK, REPLAY,
) = range(len(CHECKS))  # fmt: skip
TALLY = ("pages", "clicks", "holes", "carts", "bought", "later", "likes", "ratings", "lost", "truncations")

# ------------------------------------------------------------------------------------------------ random worlds

SMALL = {  # sizes and periods that a small world may have
    "users.number": (1, 6), "users.groups": (1, 3), "users.topics": (1, 4), "users.habit_size": (0, 6),
    "items.number": (2, 40), "items.dims": (1, 9),
    "items.topics": (1, 6), "items.providers": (1, 4), "items.domains": (1, 3), "items.promotion_period": (1, 9),
    "items.stock_init": (0, 3),
    "items.restock_period": (1, 20), "items.life": (0, 9), "items.period": (0, 14), "candidates.number": (1, 9),
}  # fmt: skip


def random_world(rng: np.random.Generator) -> WorldConfig:
    """A valid config whose every field may differ from its default; draws again what makes no sense together."""
    while True:
        try:
            return WorldConfig(**_random_fields(rng))
        except ValueError:
            continue


def _random_fields(rng: np.random.Generator) -> dict[str, Any]:
    base, page = WorldConfig(), str(rng.choice(["shared", "rows", "rival"]))
    drawn: dict[str, Any] = {group: _random_group(rng, group, getattr(base, group)) for group in GROUPS}
    scenes = int(rng.integers(1, 4)) if page != "rival" and rng.random() < 0.4 else 1
    names = ["entrance", "item", "cart"][:scenes]
    agents, slots = int(rng.integers(scenes, 5)), int(rng.integers(1, 5))
    several, cart = scenes > 1 or rng.random() < 0.5, bool(rng.random() < 0.7)
    owners = rng.permutation([*names, *[""] * (agents - scenes)]).tolist() if scenes > 1 else [""] * agents
    drawn["roles"] = tuple(
        _random_role(rng, drawn["items"], f"role{i}", owners[i]) for i in range(agents if several else 1)
    )
    drawn["scenes"] = tuple(
        {"name": name, "beta_context": rng.normal(), "cart": cart or bool(rng.random() < 0.5)} for name in names
    )
    drawn["choice"]["dissimilarity"] = float(rng.choice([1.0, 0.5, 0.1])) if page == "rows" else 1.0
    drawn["items"]["period"] = drawn["items"]["period"] if drawn["items"]["life"] else 0
    drawn["feedback"]["rating_cutpoints"] = sorted(rng.normal(0, 1.5, 4).tolist())
    moods = int(rng.choice([0, 0, 0, 2, 3]))
    drawn["choice"]["v_0_by_mood"] = rng.normal(0, 1, moods).tolist()
    for name in ("mood_up", "mood_down"):
        drawn["dynamics"][name] = rng.uniform(0, 0.5, drawn["items"]["topics"] if moods else 0).tolist()
    action = str(rng.choice(["candidates", "items", "query"]))
    return drawn | {
        "num_agents": agents, "slots": slots, "page": page, "action": action, "horizon": int(rng.integers(3, 60)),
        "world_seed": int(rng.integers(2**63)), "messages": int(rng.choice([0, 0, 2, 3])),
        "mask_actions": action != "query" and bool(rng.random() < 0.5),
        "observability": str(rng.choice(["partial", "full"])),
    }  # fmt: skip


def _random_group(rng: np.random.Generator, group: str, default: Any) -> dict[str, Any]:
    """Fields of one group: the default, an end of the range, or anything between; ranges are cut to where something
    happens."""
    drawn: dict[str, Any] = {}
    for f in fields(default):
        meta, value = f.metadata, getattr(default, f.name)
        if "allowed" in meta:
            drawn[f.name] = str(rng.choice(meta["allowed"]))
        elif isinstance(value, bool):
            drawn[f.name] = bool(rng.random() < 0.5)
        elif isinstance(value, tuple) or rng.random() < 0.3:
            drawn[f.name] = value
        elif f"{group}.{f.name}" in SMALL or isinstance(value, int):
            low, high = SMALL[f"{group}.{f.name}"]
            drawn[f.name] = int(rng.integers(low, high + 1))
        else:
            low, high = max(meta["low"], -2.0), min(meta["high"], max(3.0, 1.5 * value))
            drawn[f.name] = float(rng.choice([low, high, value, *rng.uniform(low, high, 5)]))
    for name in SMALL:  # where the default is too large for a small world
        at, _, field = name.partition(".")
        if at == group:
            drawn[field] = int(rng.integers(SMALL[name][0], SMALL[name][1] + 1))
    if group == "users" and rng.random() < 0.5:
        drawn["wallet_init"] = 0.0
    return drawn


def _random_role(rng: np.random.Generator, items: dict[str, Any], name: str, scene: str) -> dict[str, Any]:
    number, domains = items["number"], min(items["domains"], items["number"])
    shown = rng.choice(number, int(rng.integers(1, number + 1)), replace=False).tolist()
    kind = rng.choice(["all", "all", "items", "domains"])
    return {
        "name": name, "scene": scene, "items": tuple(shown) if kind == "items" else (),
        "domains": (int(rng.integers(domains)),) if kind == "domains" else (),
        "rewards": {event: rng.normal() for event in WEIGHED if rng.random() < 0.8} if rng.random() < 0.5 else {},
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the books


BOOK = np.dtype(
    [("stamp", "i8"), ("incarnation", "i8"), ("person", "i8"), ("wallet", "f8"), ("tick", "i8"), ("size", "i8")],
    align=True,
)
ENTRY = np.dtype([("item", "i8"), ("agent", "i8"), ("rated", "i8")], align=True)
UNITS = np.dtype([("stamp", "i8"), ("window", "i8"), ("period", "i8"), ("units", "i8")], align=True)


class Books(NamedTuple):
    """What the checks remember from tick to tick."""

    people: np.ndarray  # [B, U] BOOK
    carts: np.ndarray  # [B, U, 3] ENTRY
    stock: np.ndarray  # [B, M] UNITS
    before: np.ndarray  # [B] world.COPY, before the step; as are the next three
    candidates: np.ndarray  # [B, N, C]
    active: np.ndarray  # [B, N]
    next_visitor: np.ndarray  # [B, N]
    prices: np.ndarray  # [M] at this tick
    wrong: np.ndarray  # [checks] violations
    first: np.ndarray  # [checks, 3] tick, copy and agent of the first one
    tally: np.ndarray  # [TALLY] what happened


class Flags(NamedTuple):
    """What of the config decides which rules hold."""

    shared: bool
    rival: bool
    by_candidate: bool
    by_item: bool
    instant: bool
    like: bool
    options: int


class Watch:
    """The checks of one batch, which has just been reset."""

    def __init__(self, envs: VectorEnv) -> None:
        c, b, shape = envs.config, envs.num_envs, envs.shape
        people = np.zeros((b, shape.users), BOOK)
        people["person"] = -1
        self.books = Books(
            people=people, carts=np.zeros((b, shape.users, 3), ENTRY), stock=np.zeros((b, shape.items), UNITS),
            before=envs.arrays.copies.copy(), candidates=envs.arrays.candidates.copy(), active=envs.report.active.copy(),
            next_visitor=envs.report.next_visitor.copy(), prices=np.zeros(shape.items),
            wrong=np.zeros(len(CHECKS), np.int64),
            first=np.full((len(CHECKS), 3), -1), tally=np.zeros(len(TALLY), np.int64),
        )  # fmt: skip
        self._flags = Flags(
            c.page == "shared", c.page == "rival", c.action == "candidates", c.action == "items", c.feedback.instant,
            c.feedback.like, choices(c, shape),
        )  # fmt: skip
        self._items, self._envs = np.arange(shape.items), envs
        check_first(envs.world, envs.arrays, envs.report, self._flags, self.books)

    def look(self) -> None:
        """Before a step: keep what the step will overwrite."""
        envs, books = self._envs, self.books
        books.before[...], books.candidates[...] = envs.arrays.copies, envs.arrays.candidates
        books.active[...], books.next_visitor[...] = envs.report.active, envs.report.next_visitor
        promoted = np.zeros(len(self._items), np.bool_)
        read_prices(envs.world, self._items, int(books.before["tick"][0]), books.prices, promoted)

    def check(self, actions: np.ndarray, tick: int) -> None:
        """After it: compare. `tick` counts from the reset on."""
        envs = self._envs
        read = envs._actions.read(actions, envs.num_envs)
        check_tick(envs.world, envs.arrays, envs.report, read, self._flags, self.books, tick)


@kernel
def complain(books: Any, what: int, tick: int, b: int, n: int) -> None:
    if books.wrong[what] == 0:
        books.first[what, 0], books.first[what, 1], books.first[what, 2] = tick, b, n
    books.wrong[what] += 1


@kernel
def in_range(rows: Any, b: int, n: int) -> bool:
    bad = 0
    for o in range(rows.shape[2]):
        bad += not abs(rows[b, n, o]) <= 1.0
    return bad == 0


@kernel
def near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-5 + 1e-5 * abs(b)


@kernel
def mask_is_fine(masks: Any, b: int, n: int, options: int, slots: int, words: int) -> bool:
    for i in range(masks.shape[2]):
        if masks[b, n, i] != 0 and masks[b, n, i] != 1:
            return False
    width = options * max(words, 1) if slots == 1 else options
    for k in range(slots):
        some = False
        for i in range(width):
            some = some or masks[b, n, k * width + i] == 1
        if not some:
            return False
    for w in range(slots * width, masks.shape[2]):  # noqa: SIM110 (numba has no all())
        if masks[b, n, w] != 1:
            return False
    return True


@kernel
def units_left(world: Any, books: Any, b: int, j: int, stamp: int, tick: int) -> int:
    """Units of item j by the books."""
    c = world.params[0].items
    window = (tick + world.items[j].offset) // c.period if c.life > 0 else 0
    row = books.stock[b, j]
    if row.stamp != stamp or row.window != window or row.period != tick // c.restock_period:
        row.stamp, row.window, row.period, row.units = stamp, window, tick // c.restock_period, c.stock_init
    return row.units


@kernel
def pay(world: Any, books: Any, b: int, u: int, j: int, price: float, stamp: int, tick: int, n: int) -> None:
    """Enter a purchase."""
    p, person = world.params[0], books.people[b, u]
    if not near(price, books.prices[j]):
        complain(books, PRICE, tick, b, n)
    if p.users.wallet_init > 0.0:
        if price > person.wallet + 1e-5 + 1e-5 * person.wallet:
            complain(books, WALLET, tick, b, n)
        person.wallet -= price
    if p.items.stock_init > 0:
        if units_left(world, books, b, j, stamp, tick) <= 0:
            complain(books, STOCK, tick, b, n)
        books.stock[b, j].units -= 1


@kernel
def is_on_offer(world: Any, books: Any, b: int, n: int, j: int, stamp: int, tick: int) -> bool:
    """Inventory, availability and stock."""
    c = world.params[0].items
    if world.allowed.shape[1] > 0 and not world.allowed[n, j]:
        return False
    if c.life > 0 and (tick + world.items[j].offset) % c.period >= c.life:
        return False
    return c.stock_init == 0 or units_left(world, books, b, j, stamp, tick) > 0


@kernel
def asked_for(world: Any, books: Any, actions: Any, flags: Any, b: int, n: int, k: int, j: int) -> bool:
    """Whether slot k may hold item j: the item named there, or any candidate (a repeated pick takes another one)."""
    shape = world.params[0].shape
    if flags.by_item:
        named = int(actions[b, n, k])
        return named // shape.vocabulary == j if shape.slots == 1 and shape.vocabulary > 0 else named == j
    if not flags.by_candidate:
        return True
    for c in range(books.candidates.shape[2]):  # noqa: SIM110 (numba has no any())
        if books.candidates[b, n, c] == j:
            return True
    return False


@kernel
def check_next(world: Any, state: Any, report: Any, flags: Any, books: Any, tick: int, b: int) -> None:
    """The page about to be shown."""
    p, copy = world.params[0], state.copies[b]
    agents = p.shape.agents
    owner = world.scenes[copy.scene].owner
    person: Any = np.int64(-1)
    for n in range(agents):
        expected = copy.visitor >= 0 and (copy.opened == n if flags.rival else owner < 0 or owner == n)
        if report.active[b, n] != expected:
            complain(books, ACTIVE, tick, b, n)
        visitor = report.next_visitor[b, n]
        if (visitor >= 0) != expected or (visitor < 0 and visitor != -1):
            complain(books, NEXT, tick, b, n)
        if visitor >= 0:
            if person >= 0 and person != visitor:
                complain(books, NEXT, tick, b, n)
            person = visitor
        if not in_range(report.observations, b, n):
            complain(books, OBSERVATIONS, tick, b, n)
        if report.truncated[b] and not in_range(report.final_observations, b, n):
            complain(books, FINAL, tick, b, n)
        if report.masks.shape[2] > 0:
            if not mask_is_fine(report.masks, b, n, flags.options, p.shape.slots, p.shape.vocabulary):
                complain(books, MASKS, tick, b, n)
            if report.truncated[b] and not mask_is_fine(
                report.final_masks, b, n, flags.options, p.shape.slots, p.shape.vocabulary
            ):
                complain(books, MASKS, tick, b, n)
    if copy.visitor >= 0:
        meet(world, state, books, tick, b, copy.visitor, person)


@kernel
def meet(world: Any, state: Any, books: Any, tick: int, b: int, u: int, person: int) -> None:
    """Open the books of whoever comes; the same id means the same person."""
    user, book, stamp = state.users[b, u], books.people[b, u], state.copies[b].stamp
    if book.stamp != stamp or book.incarnation != user.incarnation:
        fixed_again = world.params[0].users.population != 0 and book.stamp != stamp
        if book.person == person and not fixed_again:
            complain(books, NEXT, tick, b, -1)
        book.stamp, book.incarnation, book.person, book.size = stamp, user.incarnation, person, 0
        book.wallet, book.tick = world.params[0].users.wallet_init, state.copies[b].tick
    elif book.person != person:
        complain(books, NEXT, tick, b, -1)


@kernel
def check_ranks(world: Any, report: Any, flags: Any, books: Any, tick: int, b: int) -> None:
    agents, slots, active = world.params[0].shape.agents, world.params[0].shape.slots, books.active
    count = 0
    for n in range(agents):
        count += active[b, n]
    for n in range(agents):
        for k in range(slots):
            rank = report.slots[b, n, k].rank
            fits = rank // max(count, 1) == k if flags.shared else rank == k
            if flags.shared and active[b, n]:
                for m in range(agents):
                    fits = fits and (m == n or not active[b, m] or report.slots[b, m, k].rank != rank)
            if (not fits) if active[b, n] else rank != -1:
                complain(books, RANKS, tick, b, n)


@kernel
def check_slots(
    world: Any, report: Any, actions: Any, flags: Any, books: Any, has_cart: bool, stamp: int, tick: int, b: int
) -> tuple[int, int]:
    """The page just shown; returns the slot that was clicked, or (-1, -1)."""
    p, active, tally = world.params[0], books.active, books.tally
    clicked_n, clicked_k = -1, -1
    for n in range(p.shape.agents):
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            some = slot.clicked or slot.cart or slot.bought or slot.liked or slot.rating != 0 or slot.dwell != 0.0
            if not active[b, n]:
                if some or slot.item != -1:
                    complain(books, OFF_PAGE, tick, b, n)
                continue
            j = slot.item
            tally[2] += j < 0
            if j >= 0:
                fits = j < p.shape.items and asked_for(world, books, actions, flags, b, n, k, j)
                fits = fits and is_on_offer(world, books, b, n, j, stamp, tick)
                for m in range(p.shape.agents):
                    for i in range(p.shape.slots):
                        if (flags.shared or m == n) and (m != n or i != k) and report.slots[b, m, i].item == j:
                            fits = False
                if not fits:
                    complain(books, SHOWN, tick, b, n)
            if slot.clicked:
                if clicked_n >= 0 or j < 0:
                    complain(books, CLICKS, tick, b, n)
                clicked_n, clicked_k = n, k
                tally[1] += 1
                tally[3] += slot.cart
                tally[4] += slot.bought
                tally[6] += slot.liked
                tally[7] += slot.rating > 0
            elif some:
                complain(books, EVENTS, tick, b, n)
            wrong = slot.bought != (slot.cart and flags.instant) or (slot.liked and not flags.like)
            if wrong or (slot.cart and not has_cart):
                complain(books, EVENTS, tick, b, n)
            if not 0.0 <= slot.dwell < np.inf:
                complain(books, DWELL, tick, b, n)
            if not 0 <= slot.rating <= 5:
                complain(books, RATING, tick, b, n)
    return clicked_n, clicked_k


@kernel
def put_in(books: Any, b: int, u: int, j: int, n: int, rated: bool) -> int:
    """Enter a cart; returns how many of the oldest entries were there before."""
    carts, book = books.carts, books.people[b, u]
    old, at = book.size, book.size
    for i in range(book.size):
        if carts[b, u, i].item == j:
            at = i
    if at == book.size and book.size == 3:
        at, old = 0, 2
    elif at == book.size:
        book.size += 1
    for i in range(at, book.size - 1):
        carts[b, u, i] = carts[b, u, i + 1]
    entry = carts[b, u, book.size - 1]
    entry.item, entry.agent, entry.rated = j, n, rated
    return old


@kernel
def check_money(
    world: Any, state: Any, report: Any, flags: Any, books: Any, n: int, k: int, b: int, u: int, stamp: int, tick: int
) -> None:
    """Carts, purchases, wallet, stock and own rewards of one page; (n, k) was clicked."""
    p, book, user, carts, tally = world.params[0], books.people[b, u], state.users[b, u], books.carts, books.tally
    if p.users.wallet_init > 0.0:
        book.wallet = min(p.users.wallet_init, book.wallet + p.users.wallet_refill * (tick - book.tick))
        book.tick = tick
    old, fresh = book.size, np.int64(-1)  # type: Any, Any
    if n >= 0:
        slot = report.slots[b, n, k]
        if slot.bought:
            pay(world, books, b, u, slot.item, books.prices[slot.item], stamp, tick, n)
        elif slot.cart and not flags.instant:
            old = put_in(books, b, u, slot.item, n, slot.rating > 0)
            fresh = np.int64(slot.item)  # unless it was there before
            for i in range(old):
                if carts[b, u, i].item == slot.item:
                    fresh = -1
    at = 0
    for i in range(report.later.shape[1]):
        later = report.later[b, i]
        if later.item < 0:
            if later.item != -1 or later.agent != -1 or later.price != 0.0 or later.rating != 0:
                complain(books, LATER, tick, b, -1)
            continue
        tally[5] += 1
        tally[7] += later.rating > 0
        while at < old and carts[b, u, at].item != later.item:
            at += 1
        if at >= old:
            complain(books, LATER, tick, b, later.agent)
            continue
        entry = carts[b, u, at]
        if entry.agent != later.agent or (later.rating > 0 and entry.rated) or not 0 <= later.rating <= 5:
            complain(books, CREDIT, tick, b, later.agent)
        entry.item = -2  # gone
        pay(world, books, b, u, later.item, later.price, stamp, tick, later.agent)
    if user.incarnation != book.incarnation or user.stamp != stamp:
        tally[8] += 1
        return
    if user.cart > 3 or (flags.instant and user.cart > 0):
        complain(books, CART, tick, b, -1)
    at, holds = 0, False
    for i in range(min(user.cart, state.carts.shape[2])):
        mine = state.carts[b, u, i]
        holds = holds or mine.item == fresh
        while at < book.size and carts[b, u, at].item != mine.item:
            at += 1
        if at >= book.size or carts[b, u, at].agent != mine.agent or (carts[b, u, at].rated != 0) != (mine.rated != 0):
            complain(books, CART, tick, b, mine.agent)
        at += 1
    if fresh >= 0 and not holds:
        complain(books, CART, tick, b, n)
    book.size = user.cart  # what was abandoned, nobody is told
    for i in range(user.cart):
        entry, mine = carts[b, u, i], state.carts[b, u, i]
        entry.item, entry.agent, entry.rated = mine.item, mine.agent, mine.rated
    if p.users.wallet_init > 0.0:
        money = min(p.users.wallet_init, user.wallet + p.users.wallet_refill * (tick - user.wallet_tick))
        if not near(money, book.wallet) or not -1e-5 <= user.wallet <= p.users.wallet_init * (1 + 1e-6):
            complain(books, WALLET, tick, b, -1)
        book.wallet = money
    if p.items.stock_init > 0:
        check_stock(world, state, report, books, b, stamp, tick)


@kernel
def check_stock(world: Any, state: Any, report: Any, books: Any, b: int, stamp: int, tick: int) -> None:
    """State and books agree on what was shown or sold."""
    p = world.params[0]
    for i in range(p.shape.agents * p.shape.slots + report.later.shape[1]):
        if i < p.shape.agents * p.shape.slots:
            j = report.slots[b, i // p.shape.slots, i % p.shape.slots].item
        else:
            j = report.later[b, i - p.shape.agents * p.shape.slots].item
        if j < 0:
            continue
        row, mine = state.items[b, j], units_left(world, books, b, j, stamp, tick)
        window = (tick + world.items[j].offset) // p.items.period if p.items.life > 0 else 0
        theirs = row.stock if row.stamp == stamp and row.window == window and tick < row.restock else p.items.stock_init
        if theirs != mine or mine < 0:
            complain(books, STOCK, tick, b, -1)


@kernel
def check_rewards(world: Any, report: Any, books: Any, tick: int, b: int) -> None:
    p = world.params[0]
    total = 0.0
    for n in range(p.shape.agents):
        total += report.own[b, n]
    for n in range(p.shape.agents):
        agent, own, size = world.agents[n], 0.0, 1.0
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            if slot.clicked:
                own += agent.click + agent.dwell * slot.dwell + agent.like * slot.liked + agent.cart * slot.cart
                own += agent.purchase * books.prices[slot.item] if slot.bought else 0.0
                own += agent.rating * (slot.rating - 3) / 2 if slot.rating > 0 else 0.0
                size += abs(agent.dwell * slot.dwell) + abs(agent.click)
        for i in range(report.later.shape[1]):
            later = report.later[b, i]
            if later.item >= 0 and later.agent == n:
                own += agent.purchase * later.price + (
                    agent.rating * (later.rating - 3) / 2 if later.rating > 0 else 0.0
                )
                size += abs(agent.purchase * later.price)
        if not abs(report.own[b, n] - own) <= 1e-5 * size:
            complain(books, OWN, tick, b, n)
        s = p.reward.sharing
        shared = (1.0 - max(s, 0.0)) * report.own[b, n] + s * total / p.shape.agents
        if not (near(report.rewards[b, n], shared) and abs(report.rewards[b, n]) < np.inf):
            complain(books, REWARDS, tick, b, n)


@entry
def check_first(world: Any, state: Any, report: Any, flags: Any, books: Any) -> None:
    """The page after a reset."""
    for b in range(books.before.size):
        check_next(world, state, report, flags, books, -1, b)


@entry
def check_tick(world: Any, state: Any, report: Any, actions: Any, flags: Any, books: Any, tick: int) -> None:
    """All checks but the replay, of every copy; `tick` counts from the reset on, over episodes."""
    p = world.params[0]
    horizon = p.shape.horizon
    for b in range(books.before.size):
        clock, now = books.before[b], state.copies[b]
        ends = (tick + 1) % horizon == 0
        books.tally[9] += ends
        if report.truncated[b] != ends or clock.tick != tick % horizon or now.tick != (tick + 1) % horizon:
            complain(books, CLOCK, tick, b, -1)
        for n in range(p.shape.agents):
            if report.visitor[b, n] != books.next_visitor[b, n] or (report.visitor[b, n] >= 0) != books.active[b, n]:
                complain(books, VISITOR, tick, b, n)
        check_ranks(world, report, flags, books, tick, b)
        has_cart = clock.visitor >= 0 and world.scenes[clock.scene].cart != 0
        n, k = check_slots(world, report, actions, flags, books, has_cart, clock.stamp, clock.tick, b)
        if clock.visitor >= 0:
            books.tally[0] += 1
            if not ends:  # at an episode's end the rows are of the episode that begins
                check_money(world, state, report, flags, books, n, k, b, clock.visitor, clock.stamp, clock.tick)
        elif n >= 0:
            complain(books, CLICKS, tick, b, n)
        check_rewards(world, report, books, tick, b)
        check_next(world, state, report, flags, books, tick, b)


# ------------------------------------------------------------------------------------------------ playing


def joint_actions(envs: VectorEnv, rng: np.random.Generator) -> np.ndarray:
    """Uniform actions [B, N, ...]."""
    space: Any = envs.action_space
    shape = (envs.num_envs, envs.num_agents, *space.shape)
    if envs.config.action == "query":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    return rng.integers(0, space.nvec if space.shape else space.n, shape)


def play(
    config: WorldConfig, seed: int, num_envs: int, steps: float
) -> tuple[Books, int, list[np.ndarray], list[tuple[np.ndarray, ...]]]:
    """Play about `steps` agent-steps; returns the books, the agent-steps, and the first actions and what they brought
    to three copies."""
    envs, rng = VectorEnv(config, num_envs), np.random.default_rng(seed)
    envs.reset(seed=seed)
    watch = Watch(envs)
    ticks = int(np.ceil(steps / (num_envs * envs.num_agents)))
    taken: list[np.ndarray] = []
    brought: list[tuple[np.ndarray, ...]] = []
    for tick in range(ticks):
        watch.look()
        actions = joint_actions(envs, rng)
        envs.step(actions)
        watch.check(actions, tick)
        if tick < REPLAYED:
            taken.append(actions[:3].copy())
            brought.append(reported(envs, 3))
    return watch.books, ticks * num_envs * envs.num_agents, taken, brought


def reported(envs: VectorEnv, copies: int) -> tuple[np.ndarray, ...]:
    last = envs.report
    return tuple(
        array[:copies].copy()
        for array in (last.observations, last.rewards, last.next_visitor, last.slots["item"], last.slots["clicked"])
    )


def replay(
    config: WorldConfig, seed: int, taken: list[np.ndarray], brought: list[tuple[np.ndarray, ...]], threads: int
) -> int:
    """The number of ticks that three copies alone do not play as they did among many."""
    envs = VectorEnv(config, 3, num_threads=threads)
    envs.reset(seed=[copy_seed(seed, b) for b in range(3)])
    wrong = 0
    for actions, before in zip(taken, brought, strict=True):
        envs.step(actions)
        wrong += any(a.tobytes() != b.tobytes() for a, b in zip(reported(envs, 3), before, strict=True))
    return wrong


def play_chunk(chunk: int, steps: float) -> dict[str, Any]:
    """One chunk: a task, or several random worlds."""
    tasks, began = list(TASKS), time.perf_counter()
    counts, wrong = np.zeros(len(TALLY), np.int64), np.zeros(len(CHECKS), np.int64)
    first: dict[str, dict[str, int]] = {}
    total = worlds = 0
    while total < steps:
        seed = SEED + 1000 * chunk + worlds
        if chunk % 2 == 0:
            label = tasks[chunk // 2 % len(tasks)]
            config, size = TASKS[label], steps
            copies = 128 if config.catalogue else TASK_COPIES
        else:
            label, config = "random worlds", random_world(np.random.default_rng(seed))
            copies, size = WORLD_COPIES, min(steps, WORLD_STEPS)
        books, played, taken, brought = play(config, seed, copies, size)
        if worlds == 0:
            threads = 2 if chunk % 10 == 1 and numba.config.NUMBA_NUM_THREADS > 1 else 1  # type: ignore[attr-defined]
            books.wrong[REPLAY] += replay(config, seed, taken, brought, threads)
        for i in np.flatnonzero(books.wrong).tolist():
            tick, copy, agent = books.first[i].tolist()
            first.setdefault(
                NAMES[i], {"chunk": chunk, "world": worlds, "seed": seed, "tick": tick, "copy": copy, "agent": agent}
            )
        wrong, counts, total, worlds = wrong + books.wrong, counts + books.tally, total + played, worlds + 1
    return {
        "chunk": chunk, "world": label, "worlds": worlds, "agent_steps": total,
        "seconds": round(time.perf_counter() - began, 1),
        "violations": {name: int(count) for name, count in zip(NAMES, wrong, strict=True) if count}, "first": first,
        "tally": dict(zip(TALLY, counts.tolist(), strict=True)),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ result


def summary(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals by task, violations by check with where each was seen first, and how often it was looked at."""
    by_world: dict[str, dict[str, float]] = {}
    violations, tally = dict.fromkeys(NAMES, 0), dict.fromkeys(TALLY, 0)
    first: dict[str, dict[str, int]] = {}
    for row in sorted(chunks, key=lambda row: row["chunk"]):
        at = by_world.setdefault(row["world"], {"agent_steps": 0, "worlds": 0, "seconds": 0.0})
        for name in at:
            at[name] = round(at[name] + row[name], 1)
        for name, count in row["violations"].items():
            violations[name] += count
            first.setdefault(name, row["first"][name])
        for name, count in row["tally"].items():
            tally[name] += count
    return {
        "agent_steps": sum(row["agent_steps"] for row in chunks), "by_world": by_world, "seen": tally,
        "checks": dict(CHECKS), "violations": violations, "first_violation": first,
    }  # fmt: skip


def show(result: dict[str, Any]) -> None:
    print(f"{result['agent_steps']:,} agent-steps")
    for world, row in result["by_world"].items():
        rate = row["agent_steps"] / max(row["seconds"], 0.1)
        print(
            f"  {world:16} {row['agent_steps']:14,} in {row['worlds']:5} worlds, {rate:10,.0f} per second and process"
        )
    print("  seen: " + ", ".join(f"{count:,} {name}" for name, count in result["seen"].items()))
    for name, count in result["violations"].items():
        print(
            f"{count:8} {name}: {result['checks'][name]}"
            + (f"  FIRST {result['first_violation'][name]}" if count else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=float, default=1e9, help="agent-steps in all")
    parser.add_argument("--chunk", type=float, default=5e6, help="agent-steps of one chunk")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no chunk after so long")
    parser.add_argument("--only", type=int, help="play this chunk alone and store nothing")
    parser.add_argument("--out", default="soak", help="name of the result in benchmarks/results")
    args = parser.parse_args()
    if args.only is not None:
        show(summary([play_chunk(args.only, args.chunk)]))
        return
    path, deadline = RESULTS / f"{args.out}.json", time.monotonic() + args.seconds
    stored = json.loads(path.read_text()) if path.is_file() else {}
    chunks = {row["chunk"]: row for row in stored.get("chunks", [])} if stored.get("chunk_steps") == args.chunk else {}
    waiting = [chunk for chunk in range(int(np.ceil(args.steps / args.chunk))) if chunk not in chunks]
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        running: set[Any] = set()
        while running or (waiting and time.monotonic() < deadline):
            while waiting and len(running) < args.workers and time.monotonic() < deadline:
                running.add(pool.submit(play_chunk, waiting.pop(0), args.chunk))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                row = future.result()
                chunks[row["chunk"]] = row
                rate = row["agent_steps"] / row["seconds"]
                print(
                    f"chunk {row['chunk']:4} {row['world']:16} {rate:10,.0f} per second  "
                    f"{row['violations'] or 'nothing wrong'}",
                    flush=True,
                )
                rows = [chunks[chunk] for chunk in sorted(chunks)]
                store(
                    args.out,
                    "benchmarks.soak",
                    {"seed": SEED, "chunk_steps": args.chunk, **summary(rows), "chunks": rows},
                )
    show(summary(list(chunks.values())))
    print(f"{len(waiting)} chunks left; {path}")


if __name__ == "__main__":
    main()
