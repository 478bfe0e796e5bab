"""Check the rules of the game from outside, in every copy and tick.

The checks keep their own books from what `infos` report (the carts, the payments, the stock), and compare them with
rewards, observations and state.

    watch = Watch(envs)                      after a reset
    watch.look()                             before each step
    watch.check(actions, tick)               after it
    watch.books.wrong, watch.books.first     [checks] the number of violations of each check, and the first one
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from recsys_env import VectorEnv
from recsys_env.batch.spaces import choices
from recsys_env.config.responses import RESPONSES
from recsys_env.kernels.equations import later_reward, rating_value, slot_reward, sum_of
from recsys_env.kernels.machine.compiler import entry, kernel
from recsys_env.kernels.page import read_prices

CHECKS = (
    ("observations", "every number of an observation is finite and in [-1, 1]"),
    ("final_observations", "the same of the last observations of an episode"),
    ("masks", "a mask holds 0 and 1, names at least one option for each slot, and allows all messages"),
    ("active", "active are: nobody in an idle tick, the opened rival, the owner of the scene, or everybody"),
    ("visitor", "the page was for the visitor that was announced, and -1 exactly for those who were not active"),
    (
        "next_visitor",
        "an id >= 0 exactly where active, the same for all agents, and another once a user slot is reborn",
    ),
    ("ranks", "ranks of a shared page are a permutation of its positions by rounds; elsewhere 0..K-1; -1 off the page"),
    ("shown", "an item shown was asked for, once on a shared page or in a row, in the inventory, available, in stock"),
    ("off_page", "an agent that was not on the page has neither items nor events"),
    ("clicks", "at most one click on a page, and on an item"),
    ("events", "cart, like, rating and dwell only with the click; bought = an instant cart; cart where there is one"),
    ("dwell", "dwell is finite and at least 0"),
    ("rating", "ratings are 1..5, or 0 for none"),
    (
        "individual_reward",
        "individual reward = sum of the role's weights times credited events, with later purchases at the price paid; "
        "in an auction times what they are worth to the bidder, less the price",
    ),
    (
        "auction",
        "an auction shows the slot of a highest bid, at the price of the second highest; bids keep to the budgets, "
        "which payments reduce and refills fill up",
    ),
    (
        "platform",
        "a platform shows at most one item of each creator, from its window, on the first ranks; windows change at "
        "decisions alone, and then hold what was published",
    ),
    ("rewards", "reward = (1 - max(s, 0)) x + s mean(x) of x = individual reward + objectives, and finite"),
    ("later", "a later purchase is of an item that was in the cart when the page began, in the order of the cart"),
    ("credit", "it is credited to the agent whose slot was carted last, and rated at most once"),
    ("cart", "the cart holds at most 3 items, each once, and only what was put there and neither bought nor dropped"),
    ("price", "the price paid is the list price or, on promotion, the reduced one"),
    ("wallet", "a purchase costs no more than is in the wallet, which falls by the price paid, refills, and is capped"),
    ("stock", "no purchase without stock; each takes one unit; a restock and a new window fill it up"),
    ("clock", "ticks count up by one; all copies are truncated together, exactly at the horizon"),
    ("replay", "40 ticks of a chunk's first world give the same bits in a batch of 3 (in some chunks on two threads)"),
)
NAMES = tuple(name for name, _ in CHECKS)
(
    OBSERVATIONS,
    FINAL,
    MASKS,
    ACTIVE,
    VISITOR,
    NEXT,
    RANKS,
    SHOWN,
    OFF_PAGE,
    CLICKS,
    EVENTS,
    DWELL,
    RATING,
    OWN,
    AUCTION,
    PLATFORM,
    REWARDS,
    LATER,
    CREDIT,
    CART,
    PRICE,
    WALLET,
    STOCK,
    CLOCK,
    REPLAY,
) = range(len(CHECKS))
TALLY = ("pages", "clicks", "holes", "carts", "bought", "later", "likes", "ratings", "lost", "truncations")

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
    before: np.ndarray  # [B] arrays.COPY; this and the next three are from before the step
    candidates: np.ndarray  # [B, N, C]
    active: np.ndarray  # [B, N]
    next_visitor: np.ndarray  # [B, N]
    bidders: np.ndarray  # [B, N] arrays.BIDDER before the step; [B, 0] without auctions
    auctions: np.ndarray  # [B, 1] arrays.AUCTION before the step; [B, 0] without auctions
    windows: np.ndarray  # [B, N, W] before the step; [B, N, 0] off a platform
    prices: np.ndarray  # [M] at this tick
    wrong: np.ndarray  # [checks] violations
    first: np.ndarray  # [checks, 3] tick, copy and agent of the first one
    tally: np.ndarray  # [TALLY] what happened


class Flags(NamedTuple):
    """The parts of the config that decide which rules hold."""

    shared: bool
    rival: bool
    auction: bool
    platform: bool
    by_candidate: bool
    by_item: bool
    instant: bool
    like: bool
    options: int


class Watch:
    """The checks of one batch that has just been reset."""

    def __init__(self, envs: VectorEnv) -> None:
        c, b, shape = envs.config, envs.num_envs, envs.shape
        people = np.zeros((b, shape.users), BOOK)
        people["person"] = -1
        self.books = Books(
            people=people,
            carts=np.zeros((b, shape.users, 3), ENTRY),
            stock=np.zeros((b, shape.items), UNITS),
            before=envs.arrays.copies.copy(),
            candidates=envs.arrays.candidates.copy(),
            active=envs.report.agents["active"].copy(),
            next_visitor=envs.report.agents["next_visitor"].copy(),
            bidders=envs.arrays.bidders.copy(),
            auctions=envs.arrays.auctions.copy(),
            windows=envs.arrays.windows.copy(),
            prices=np.zeros(shape.items),
            wrong=np.zeros(len(CHECKS), np.int64),
            first=np.full((len(CHECKS), 3), -1),
            tally=np.zeros(len(TALLY), np.int64),
        )
        self._flags = Flags(
            c.one_feed,
            c.opens_agent,
            c.auctioned,
            c.ranked,
            c.retrieves,
            c.action == "items",
            c.feedback.instant,
            c.feedback.like,
            choices(c, shape),
        )
        self._items, self._envs = np.arange(shape.items), envs
        check_first(envs.world, envs.arrays, envs.report, self._flags, self.books)

    def look(self) -> None:
        """Keep what the next step will overwrite. Call it before each step."""
        envs, books = self._envs, self.books
        books.before[...], books.candidates[...] = envs.arrays.copies, envs.arrays.candidates
        books.bidders[...], books.auctions[...] = envs.arrays.bidders, envs.arrays.auctions
        books.windows[...] = envs.arrays.windows
        books.active[...], books.next_visitor[...] = envs.report.agents["active"], envs.report.agents["next_visitor"]
        if self._flags.platform:  # where agents act between pages, and all of them may be on the page
            books.active[...] = books.before["visitor"][:, None] >= 0
        promoted = np.zeros(len(self._items), np.bool_)
        read_prices(envs.world, self._items, int(books.before["tick"][0]), books.prices, promoted)

    def check(self, actions: np.ndarray, tick: int) -> None:
        """Compare the step with the books. `tick` counts from the reset on."""
        envs = self._envs
        read = envs._actions.read(actions)
        check_tick(envs.world, envs.arrays, envs.report, read, self._flags, self.books, tick)


def _happened(name: str) -> Any:
    @kernel
    def happened(flags: Any, slot: Any) -> int:
        return 1 if slot[name] else 0

    return happened


count_responses = sum_of([_happened(response.name) for response in RESPONSES])  # to a slot


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
def actions_of_pick(shape: Any) -> int:
    """With one slot: the number of actions that name the same pick."""
    return max(shape.levels, 1) * max(shape.vocabulary, 1)


@kernel
def mask_is_fine(masks: Any, b: int, n: int, options: int, shape: Any) -> bool:
    for i in range(masks.shape[2]):
        if masks[b, n, i] != 0 and masks[b, n, i] != 1:
            return False
    slots = shape.slots
    width = options * actions_of_pick(shape) if slots == 1 else options
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
    """Enter a purchase into the books."""
    p, person = world.params[0], books.people[b, u]
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
    """Whether item j is in the inventory, available and in stock."""
    c = world.params[0].items
    if world.allowed.shape[1] > 0 and not world.allowed[n, j]:
        return False
    if c.life > 0 and (tick + world.items[j].offset) % c.period >= c.life:
        return False
    return c.stock_init == 0 or units_left(world, books, b, j, stamp, tick) > 0


@kernel
def asked_for(world: Any, books: Any, actions: Any, flags: Any, b: int, n: int, k: int, j: int) -> bool:
    """Whether slot k may hold item j: the item that the action names, or any candidate, as a repeated pick takes
    another one."""
    shape = world.params[0].shape
    if flags.by_item:
        named = int(actions[b, n, k])
        return named // actions_of_pick(shape) == j if shape.slots == 1 else named == j
    if not flags.by_candidate:
        return True
    for c in range(books.candidates.shape[2]):  # noqa: SIM110 (numba has no any())
        if books.candidates[b, n, c] == j:
            return True
    return False


@kernel
def check_next(world: Any, state: Any, report: Any, flags: Any, books: Any, tick: int, b: int) -> None:
    """Check the page that is about to be shown."""
    p, copy = world.params[0], state.copies[b]
    agents = p.shape.agents
    owner = world.scenes[copy.scene].owner
    person: Any = np.int64(-1)
    for n in range(agents):
        expected = copy.visitor >= 0 and (copy.opened == n if flags.rival else owner < 0 or owner == n)
        if report.agents[b, n].active != (copy.tick % p.platform.period == 0 if flags.platform else expected):
            complain(books, ACTIVE, tick, b, n)
        expected = expected and not flags.platform  # creators do not meet visitors
        visitor = report.agents[b, n].next_visitor
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
            if not mask_is_fine(report.masks, b, n, flags.options, p.shape):
                complain(books, MASKS, tick, b, n)
            if report.truncated[b] and not mask_is_fine(report.final_masks, b, n, flags.options, p.shape):
                complain(books, MASKS, tick, b, n)
    if flags.platform and copy.visitor >= 0:
        person = copy.stamp * (p.shape.horizon + 1) + state.users[b, copy.visitor].incarnation
    if copy.visitor >= 0:
        meet(world, state, books, tick, b, copy.visitor, person)


@kernel
def meet(world: Any, state: Any, books: Any, tick: int, b: int, u: int, person: int) -> None:
    """Open the books of a new visitor. The same id means the same person."""
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
    if flags.platform:
        return
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
            on_page = active[b, n] and (not flags.auction or report.slots[b, n, k].item >= 0)
            if (not fits) if on_page else rank != -1:
                complain(books, RANKS, tick, b, n)


@kernel
def check_slots(
    world: Any, report: Any, actions: Any, flags: Any, books: Any, has_cart: bool, stamp: int, tick: int, b: int
) -> tuple[int, int]:
    """Check the page just shown. Returns the slot that was clicked, or (-1, -1)."""
    p, active, tally = world.params[0], books.active, books.tally
    clicked_n, clicked_k = -1, -1
    for n in range(p.shape.agents):
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            some = count_responses(flags, slot) > 0
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
    """Enter a cart into the books. Returns how many of the oldest entries were there before."""
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
    """Check carts, purchases, wallet, stock and individual rewards of one page, of which slot (n, k) was clicked."""
    p, book, user, carts, tally = world.params[0], books.people[b, u], state.users[b, u], books.carts, books.tally
    if p.users.wallet_init > 0.0:
        book.wallet = min(p.users.wallet_init, book.wallet + p.users.wallet_refill * (tick - book.tick))
        book.tick = tick
    old, fresh = book.size, np.int64(-1)  # type: Any, Any
    if n >= 0:
        slot = report.slots[b, n, k]
        if slot.bought:
            price = books.prices[slot.item] * np.exp(report.agents[b, n].log_price_multiplier)
            pay(world, books, b, u, slot.item, price, stamp, tick, n)
        elif slot.cart and not flags.instant:
            old = put_in(books, b, u, slot.item, n, slot.rating > 0)
            fresh = np.int64(slot.item)  # unless it was in the cart before
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
        if not near(later.price, books.prices[later.item]):
            complain(books, PRICE, tick, b, later.agent)
        pay(world, books, b, u, later.item, later.price, stamp, tick, later.agent)
    if user.incarnation != book.incarnation or user.stamp != stamp:
        tally[8] += 1
        return
    if user.cart > 3 or (flags.instant and user.cart > 0):
        complain(books, CART, tick, b, -1)
    at, holds = 0, False
    for i in range(min(user.cart, state.carts.shape[2])):
        mine = state.carts[b, user.row, i]
        holds = holds or mine.item == fresh
        while at < book.size and carts[b, u, at].item != mine.item:
            at += 1
        if at >= book.size or carts[b, u, at].agent != mine.agent or (carts[b, u, at].rated != 0) != (mine.rated != 0):
            complain(books, CART, tick, b, mine.agent)
        at += 1
    if fresh >= 0 and not holds:
        complain(books, CART, tick, b, n)
    book.size = user.cart  # nothing reports abandoned items
    for i in range(user.cart):
        entry, mine = carts[b, u, i], state.carts[b, user.row, i]
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
    """Check that state and books agree on what was shown or sold."""
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
def check_auction(world: Any, state: Any, report: Any, books: Any, tick: int, b: int, ends: bool) -> None:
    """Check who won the page just shown, what was paid, and what is left of the budgets."""
    p, visited = world.params[0], books.before[b].visitor >= 0
    offer, highest, second, paid, winners = p.offer, 0.0, 0.0, 0.0, 0
    for n in range(p.shape.agents):
        bid, bidder = report.bids[b, n], books.bidders[b, n]
        fits = bid.value == (bidder.value if visited else 0.0) and bid.bid >= 0.0
        if offer.budget > 0.0 and not bid.bid <= bidder.budget:
            fits = False
        if report.slots[b, n, 0].item >= 0:
            winners += 1
            highest, paid = bid.bid, bid.payment
        elif bid.payment != 0.0:
            fits = False
        if not fits:
            complain(books, AUCTION, tick, b, n)
    for n in range(p.shape.agents):
        if report.slots[b, n, 0].item < 0:
            second = max(second, report.bids[b, n].bid)
    if winners > 1 or (winners == 1 and (second > highest or highest == 0.0)) or paid > second:
        complain(books, AUCTION, tick, b, -1)
    if ends or not visited:
        return
    refilled = books.auctions[b, 0].pages + 1 == offer.refill_period
    if state.auctions[b, 0].pages != (0 if refilled else books.auctions[b, 0].pages + 1):
        complain(books, AUCTION, tick, b, -1)
    for n in range(p.shape.agents):
        left = books.bidders[b, n].budget - (report.bids[b, n].payment if offer.budget > 0.0 else 0.0)
        if not near(state.bidders[b, n].budget, offer.budget if refilled else left):
            complain(books, AUCTION, tick, b, n)


@kernel
def check_platform(world: Any, state: Any, report: Any, actions: Any, books: Any, tick: int, b: int) -> None:
    """Check what creators have published, and which of it is on the page just shown, at which ranks."""
    p, clock = world.params[0], books.before[b]
    c, options = p.platform, p.shape.topics * p.platform.bait_levels
    decides, position, shown = clock.tick % c.period == 0, clock.tick // c.period % c.window, 0
    for n in range(p.shape.agents):
        shown += report.slots[b, n, 0].item >= 0
    for n in range(p.shape.agents):
        slot, fits = report.slots[b, n, 0], shown <= c.places
        stands = slot.item < 0
        for w in range(c.window):
            was = books.windows[b, n, w]
            if decides and w == position:
                was = (n * c.window + w) * options + int(actions[b, n, 0])
            fits = fits and state.windows[b, n, w] == was
            stands = stands or slot.item == was
        for m in range(p.shape.agents):
            fits = fits and (m == n or slot.item < 0 or report.slots[b, m, 0].rank != slot.rank)
        if not (fits and stands and (slot.rank == -1 if slot.item < 0 else 0 <= slot.rank < shown)):
            complain(books, PLATFORM, tick, b, n)


@kernel
def check_rewards(world: Any, report: Any, books: Any, tick: int, b: int) -> None:
    p = world.params[0]
    total = 0.0
    for n in range(p.shape.agents):
        total += report.agents[b, n].individual_reward + report.agents[b, n].objectives
    for n in range(p.shape.agents):
        agent, own, size = world.agents[n], 0.0, 1.0
        for k in range(p.shape.slots):
            slot = report.slots[b, n, k]
            if slot.clicked:
                own += slot_reward(agent, slot)
                sale, most = 0.0, 0.0
                if slot.bought:
                    price = books.prices[slot.item] * np.exp(report.agents[b, n].log_price_multiplier)
                    margin = p.reward.margin_rate if p.shape.levels > 0 and p.shape.bidders == 0 else 1.0
                    sale, most = (price - (1.0 - margin) * world.items[slot.item].price) / margin, price / margin
                    size += abs(agent.purchase * most)
                if not abs(slot.sale - sale) <= 1e-5 * (1.0 + most):
                    complain(books, OWN, tick, b, n)
                size += abs(agent.dwell * slot.dwell) + abs(agent.click)
        for i in range(report.later.shape[1]):
            later = report.later[b, i]
            if later.item >= 0 and later.agent == n:
                own += later_reward(agent, later.price, rating_value(later.rating))
                size += abs(agent.purchase * later.price)
        if p.shape.bidders > 0:
            bid = report.bids[b, n]
            own, size = bid.worth * own - bid.payment, max(bid.worth, 1.0) * size + bid.payment
        if not abs(report.agents[b, n].individual_reward - own) <= 1e-5 * size:
            complain(books, OWN, tick, b, n)
        s = p.reward.sharing
        earned = report.agents[b, n].individual_reward + report.agents[b, n].objectives
        shared = (1.0 - max(s, 0.0)) * earned + s * total / p.shape.agents
        if not (near(report.rewards[b, n], shared) and abs(report.rewards[b, n]) < np.inf):
            complain(books, REWARDS, tick, b, n)


@entry
def check_first(world: Any, state: Any, report: Any, flags: Any, books: Any) -> None:
    """Check the page after a reset."""
    for b in range(books.before.size):
        check_next(world, state, report, flags, books, -1, b)


@entry
def check_tick(world: Any, state: Any, report: Any, actions: Any, flags: Any, books: Any, tick: int) -> None:
    """Run all checks but the replay on every copy. `tick` counts from the reset on, over episodes."""
    p = world.params[0]
    horizon = p.shape.horizon
    for b in range(books.before.size):
        clock, now = books.before[b], state.copies[b]
        ends = (tick + 1) % horizon == 0
        books.tally[9] += ends
        if report.truncated[b] != ends or clock.tick != tick % horizon or now.tick != (tick + 1) % horizon:
            complain(books, CLOCK, tick, b, -1)
        for n in range(p.shape.agents):
            if (not flags.platform and report.agents[b, n].visitor != books.next_visitor[b, n]) or (
                report.agents[b, n].visitor >= 0
            ) != books.active[b, n]:
                complain(books, VISITOR, tick, b, n)
        check_ranks(world, report, flags, books, tick, b)
        has_cart = clock.visitor >= 0 and world.scenes[clock.scene].cart != 0
        n, k = check_slots(world, report, actions, flags, books, has_cart, clock.stamp, clock.tick, b)
        if clock.visitor >= 0:
            books.tally[0] += 1
            if not ends:  # at the end of an episode the rows are those of the next one
                check_money(world, state, report, flags, books, n, k, b, clock.visitor, clock.stamp, clock.tick)
        elif n >= 0:
            complain(books, CLICKS, tick, b, n)
        check_rewards(world, report, books, tick, b)
        if flags.auction:
            check_auction(world, state, report, books, tick, b, ends)
        if flags.platform and not ends:  # at the end of an episode the windows are those of the next one
            check_platform(world, state, report, actions, books, tick, b)
        check_next(world, state, report, flags, books, tick, b)
