"""Check the rules of the game from outside, in every copy and tick.

    watch = Watch(envs)     after a reset
    watch.look()            before each step
    watch.check(actions)    after it
    watch.wrong, watch.first, watch.seen

The checks compare what a step reports with the state before it, with the state after it, and with the formula of the
reward. They are written in NumPy and share no code with the step, except for the prices of items.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from recsys_env import VectorEnv
from recsys_env.batch.spaces import choices
from recsys_env.config.responses import RESPONSES, later_reward, rating_value
from recsys_env.kernels.page import read_prices

CHECKS = {
    "observations": "every number of an observation is finite and in [-1, 1]",
    "final_observations": "the same of the last observations of an episode",
    "masks": "a mask holds 0 and 1, names at least one option for each slot, and allows all messages",
    "active": "active are: nobody in an idle tick, the opened rival, the owner of the scene, or everybody",
    "visitor": "the page was for the visitor that was announced, and -1 exactly for those who were not active",
    "next_visitor": "an id >= 0 exactly where active, the same for all agents, and of one person alone",
    "ranks": "ranks of a shared page are a permutation of its positions by rounds; elsewhere 0..K-1; -1 off the page",
    "shown": "an item shown was asked for, once on a shared page or in a row, in the inventory, available, in stock",
    "off_page": "an agent that was not on the page has neither items nor events",
    "clicks": "at most one click on a page, and on an item",
    "events": "cart, like, rating and dwell only with the click; bought = an instant cart; cart where there is one",
    "dwell": "dwell is finite and at least 0",
    "rating": "ratings are 1..5, or 0 for none",
    "individual_reward": "individual reward = sum of the role's weights times credited events, with later purchases at "
    "the price paid; in an auction times what they are worth to the bidder, less the price",
    "auction": "an auction shows the slot of a highest bid, at the price of the second highest; bids keep to the "
    "budgets, which payments reduce and refills fill up",
    "platform": "a platform shows at most one item of each creator, from its window, on the first ranks; windows "
    "change at decisions alone, and then hold what was published",
    "rewards": "reward = (1 - max(s, 0)) x + s mean(x) of x = individual reward + objectives, and finite",
    "later": "a later purchase is of an item that was in the cart when the page began",
    "credit": "it is credited to the agent whose slot was carted last, and rated at most once",
    "cart": "the cart holds each item once, and only what was in it before or was put there on this page",
    "price": "the price paid is the list price or, on promotion, the reduced one",
    "wallet": "a purchase costs no more than is in the wallet, which falls by the price paid, refills, and is capped",
    "stock": "no purchase without stock; each takes one unit; a restock and a new window fill it up",
    "clock": "ticks count up by one; all copies are truncated together, exactly at the horizon",
    "replay": "40 ticks of a chunk's first world give the same bits in a batch of 3 (in some chunks on two threads)",
}


class Before(NamedTuple):
    """What the next step overwrites."""

    copies: np.ndarray  # [B]
    users: np.ndarray  # [B, U]
    carts: np.ndarray  # [B, R, Q]
    items: np.ndarray  # [B, M], or [B, 0] where stock is unlimited
    candidates: np.ndarray  # [B, N, C]
    bidders: np.ndarray  # [B, N]; [B, 0] without auctions
    auctions: np.ndarray  # [B, 1]; [B, 0] without auctions
    windows: np.ndarray  # [B, N, W]; [B, N, 0] off a platform
    on_page: np.ndarray  # [B, N] whether the agent's slots are on the page
    next_visitor: np.ndarray  # [B, N]
    prices: np.ndarray  # [M] at this tick


class Watch:
    """The checks of one batch that has just been reset.

    Attributes:
        wrong: check -> the number of violations.
        first: check -> tick, copy and agent of the first one; agent -1 where it is of the whole copy.
        seen: event -> how often it was seen.
    """

    def __init__(self, envs: VectorEnv) -> None:
        self.wrong: Counter[str] = Counter()
        self.first: dict[str, dict[str, int]] = {}
        self.seen: Counter[str] = Counter()
        self._envs, self._tick = envs, -1
        self._all = np.arange(envs.num_envs)
        self._period = int(envs.world.params["items"]["period"][0])  # of the windows in which items are available
        # [B, U] of each user slot: whom its books are about, and the id under which this person visits
        self._books = np.full((3, envs.num_envs, envs.shape.users), -1, np.int64)
        self._check_next()
        self._tick = 0

    def look(self) -> None:
        """Keep what the next step will overwrite. Call it before each step."""
        envs, state = self._envs, self._envs.arrays
        prices, items = np.zeros(envs.shape.items), np.arange(envs.shape.items)
        read_prices(envs.world, items, int(state.copies["tick"][0]), prices, np.zeros(len(items), np.bool_))
        active = envs.report.agents["active"]
        on_page = active.copy()
        if envs.config.ranked:  # creators act between pages, and all of them may be on the page
            on_page = np.tile(self._visited(state)[:, None], active.shape[1])
        self._before = Before(
            copies=state.copies.copy(),
            users=state.users.copy(),
            carts=state.carts.copy(),
            items=state.items[:, : None if self._stocked else 0].copy(),
            candidates=state.candidates.copy(),
            bidders=state.bidders.copy(),
            auctions=state.auctions.copy(),
            windows=state.windows.copy(),
            on_page=on_page,
            next_visitor=envs.report.agents["next_visitor"].copy(),
            prices=prices,
        )

    def check(self, actions: np.ndarray) -> None:
        """Compare the step with what was before it."""
        envs, c, was = self._envs, self._envs.config, self._before
        report, read = envs.report, envs._actions.read(actions)
        visited = was.copies["visitor"] >= 0
        ends = (self._tick + 1) % envs.config.horizon == 0
        clock = was.copies["tick"] != self._tick % envs.config.horizon
        clock |= envs.arrays.copies["tick"] != (self._tick + 1) % envs.config.horizon
        self._complain("clock", clock | (report.truncated != ends))
        visitor = report.agents["visitor"]
        self._complain("visitor", ((visitor >= 0) != was.on_page) | (not c.ranked and visitor != was.next_visitor))
        self._check_slots(read, visited)
        self._check_later(visited)
        self._check_rewards()
        if not ends:  # at the end of an episode the state is that of the next one
            self._check_money(visited)
        if c.auctioned:
            self._check_auction(visited, ends)
        if c.ranked and not ends:
            self._check_platform(read)
        else:
            self._check_ranks()
        self._check_next()
        self.seen.update(pages=int(visited.sum()), truncations=int(report.truncated.sum()))
        self._tick += 1

    @property
    def _stocked(self) -> bool:
        return self._envs.config.items.stock_init > 0

    @staticmethod
    def _visited(state: Any) -> np.ndarray:
        return np.asarray(state.copies["visitor"] >= 0)

    def _complain(self, check: str, bad: np.ndarray) -> None:
        """Count the entries [B], [B, N] or [B, N, K] that are wrong."""
        if not bad.any():
            return
        self.wrong[check] += int(bad.sum())
        place = np.argwhere(bad)[0].tolist()
        told = {"tick": self._tick, "copy": place[0], "agent": place[1] if bad.ndim > 1 else -1}
        self.first.setdefault(check, told)

    # -------------------------------------------------------------------------------------------- the page just shown

    def _check_slots(self, actions: np.ndarray, visited: np.ndarray) -> None:
        envs, was, slots = self._envs, self._before, self._envs.report.slots
        item, clicked, feedback = slots["item"], slots["clicked"], envs.config.feedback
        happened = np.array([slots[response.name] != 0 for response in RESPONSES])
        on_page = was.on_page[:, :, None]
        self._complain("off_page", (happened.any(0) | (item != -1)) & ~on_page)
        self._complain("shown", (item >= 0) & on_page & ~self._may_show(actions, item))
        self._complain("clicks", clicked & ((item < 0) | (clicked.sum((1, 2)) > 1)[:, None, None]))
        has_cart = visited & (envs.world.scenes["cart"][was.copies["scene"]] != 0)
        wrong = happened.any(0) & ~clicked
        wrong |= slots["bought"] != (slots["cart"] & feedback.instant)
        wrong |= (slots["cart"] & ~has_cart[:, None, None]) | (slots["liked"] & (not feedback.like))
        self._complain("events", wrong & on_page)
        self._complain("dwell", ~((slots["dwell"] >= 0) & np.isfinite(slots["dwell"])))
        self._complain("rating", (slots["rating"] < 0) | (slots["rating"] > 5))
        for name, now in zip((response.name for response in RESPONSES), happened, strict=True):
            self.seen[name] += int(now.sum())
        self.seen["holes"] += int(((item < 0) & on_page).sum())

    def _may_show(self, actions: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Whether each slot [B, N, K] may hold its item: asked for, in the inventory, available, in stock, and once."""
        envs, was, c, world = self._envs, self._before, self._envs.config, self._envs.world
        tick, shape = int(was.copies["tick"][0]), envs.shape
        fits, j = item < shape.items, np.clip(item, 0, shape.items - 1)
        if c.action == "items":
            fits &= actions[..., : shape.slots] // (self._per_pick if shape.slots == 1 else 1) == item
        elif c.retrieves:  # a repeated pick takes another candidate
            fits &= (item[..., None] == was.candidates[:, :, None]).any(-1)
        if world.allowed.shape[1]:
            fits &= world.allowed[np.arange(shape.agents)[:, None], j]
        if c.items.life > 0:
            fits &= (tick + world.items["offset"][j]) % self._period < c.items.life
        if self._stocked:
            fits &= self._units(was.items, was.copies["stamp"], j, tick) > 0
        # all slots that may not hold the same item, in rows
        together = item.reshape(len(item), 1, -1) if c.one_feed else item
        same = (together[..., None] == together[..., None, :]) & (together >= 0)[..., None]
        return fits & (same.sum(-1) <= 1).reshape(item.shape)

    @property
    def _per_pick(self) -> int:
        """With one slot: the number of actions that name the same pick."""
        return max(self._envs.shape.levels, 1) * max(self._envs.shape.vocabulary, 1)

    def _units(self, items: np.ndarray, stamp: np.ndarray, j: np.ndarray, tick: int) -> np.ndarray:
        """Units in stock at this tick of the items j [B, ...], by the records [B, M]."""
        c = self._envs.config.items
        row = np.take_along_axis(items, j.reshape(len(j), -1), 1).reshape(j.shape)
        window = (tick + self._envs.world.items["offset"][j]) // self._period if c.life > 0 else 0
        known = row["stamp"] == stamp.reshape(-1, *[1] * (j.ndim - 1))
        return np.where(known & (row["window"] == window) & (tick < row["restock"]), row["stock"], c.stock_init)

    def _check_ranks(self) -> None:
        c, on_page, slots = self._envs.config, self._before.on_page, self._envs.report.slots
        if c.ranked:
            return
        rank, places = slots["rank"], np.arange(slots.shape[2])
        there = on_page[:, :, None] & ((slots["item"] >= 0) | (not c.auctioned))
        if c.one_feed:  # each round of the page holds the next ranks, one for each active agent
            count, agents = on_page.sum(1)[:, None, None], np.arange(slots.shape[1])[:, None]
            ordered = np.sort(np.where(there, rank, np.iinfo(rank.dtype).max), axis=1)
            self._complain("ranks", (ordered != places * count + agents) & (agents < count))
        else:
            self._complain("ranks", (rank != places) & there)
        self._complain("ranks", (rank != -1) & ~there)

    # ------------------------------------------------------------------------------------------- carts and money

    def _check_later(self, visited: np.ndarray) -> None:
        """Check the purchases of items that were in the cart when the page began."""
        was, later, slots = self._before, self._envs.report.later, self._envs.report.slots
        there = later["item"] >= 0
        nothing = (later["item"] == -1) & (later["agent"] == -1) & (later["price"] == 0) & (later["rating"] == 0)
        self._complain("later", ~there & ~nothing)
        if not there.any():
            return
        cart = self._cart(was.carts, was.copies["row"])
        match = later["item"][:, :, None] == cart["item"][:, None]  # [B, Q, Q]
        self._complain("later", there & ~(match.any(2) & visited[:, None]))
        # the same item may be carted again on this page, and is then credited to that slot
        again = slots["cart"][:, None] & (slots["item"][:, None] == later["item"][:, :, None, None])
        agents = np.arange(slots.shape[1])[:, None]
        mine = (match & (later["agent"][:, :, None] == cart["agent"][:, None])).any(2)
        mine |= (again & (agents == later["agent"][:, :, None, None])).any((2, 3))
        twice = (match & (cart["rated"] != 0)[:, None]).any(2) & (later["rating"] > 0) & ~again.any((2, 3))
        self._complain("credit", there & (~mine | twice | (later["rating"] < 0) | (later["rating"] > 5)))
        self._complain("price", there & ~near(later["price"], was.prices[np.maximum(later["item"], 0)]))
        self.seen["later"] += int(there.sum())

    def _cart(self, carts: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The cart [B, Q] of each visitor, by the records; places beyond its size hold item -2."""
        users = self._before.users if carts is self._before.carts else self._envs.arrays.users
        found = carts[self._all, np.maximum(row, 0)].copy()
        size = users["cart"][self._all, np.maximum(self._before.copies["visitor"], 0)]
        found["item"][(np.arange(found.shape[1]) >= size[:, None]) | (row < 0)[:, None]] = -2
        return found

    def _check_money(self, visited: np.ndarray) -> None:
        """Check cart, wallet and stock of the visitors who are still the same people."""
        envs, was, c, state = self._envs, self._before, self._envs.config, self._envs.arrays
        slots, later, tick = envs.report.slots, envs.report.later, int(was.copies["tick"][0])
        u = np.maximum(was.copies["visitor"], 0)
        then, now = was.users[self._all, u], state.users[self._all, u]
        same = visited & (then["incarnation"] == now["incarnation"]) & (then["stamp"] == now["stamp"])

        mine = self._cart(state.carts, np.where(same, now["row"], -1))
        known = np.concatenate(
            [
                self._cart(was.carts, was.copies["row"])["item"],
                np.where(slots["cart"], slots["item"], -3).reshape(len(u), -1),
            ],
            1,
        )
        held = mine["item"] >= 0
        strange = held & ~(mine["item"][:, :, None] == known[:, None]).any(2)
        strange |= held & ((mine["item"][:, :, None] == mine["item"][:, None]).sum(2) > 1)
        self._complain("cart", strange.any(1) | (same & (now["cart"] > (0 if c.feedback.instant else mine.shape[1]))))
        lost = same & (now["cart"] < self._least(known, later["item"]))
        self._complain("cart", lost & (not c.feedback.instant))

        bought = slots["bought"]
        price = was.prices[np.maximum(slots["item"], 0)] * np.exp(envs.report.agents["log_price_multiplier"])[..., None]
        paid = (price * bought).sum((1, 2)) + later["price"].sum(1)
        if c.users.wallet_init > 0:
            init, refill = c.users.wallet_init, c.users.wallet_refill
            money, left = (
                np.minimum(init, user["wallet"] + refill * (tick - user["wallet_tick"])) for user in (then, now)
            )
            over = (paid > money + 1e-5 * (1 + money)) | ~near(left, money - paid) | (now["wallet"] < -1e-5)
            self._complain("wallet", same & (over | (now["wallet"] > init * (1 + 1e-6))))
        if self._stocked:
            shown = np.concatenate([slots["item"].reshape(len(u), -1), later["item"]], 1)
            sold = np.concatenate([bought.reshape(len(u), -1), later["item"] >= 0], 1)
            count = ((shown[:, :, None] == shown[:, None]) & sold[:, None]).sum(2)
            j = np.maximum(shown, 0)
            left = self._units(was.items, was.copies["stamp"], j, tick) - count
            told = self._units(state.items, was.copies["stamp"], j, tick)
            self._complain("stock", (shown >= 0) & visited[:, None] & ((left < 0) | (told != left)))

    def _least(self, known: np.ndarray, gone: np.ndarray) -> np.ndarray:
        """The least number of items in the cart: 1 if an item was put there on this page that was not in it before and
        was not bought at once, else 0."""
        size = self._before.carts.shape[2]
        old, new = known[:, :size], known[:, size:].max(1, initial=-3)
        return ((new >= 0) & ~(old == new[:, None]).any(1) & ~(gone == new[:, None]).any(1)).astype(int)

    # ------------------------------------------------------------------------------------------- rewards

    def _check_rewards(self) -> None:
        envs, was, c, world = self._envs, self._before, self._envs.config, self._envs.world
        report, agents, slots, later = envs.report, envs.report.agents, envs.report.slots, envs.report.later
        weights = world.agents[None, :, None]
        own, size = np.zeros(agents.shape), np.ones(agents.shape)
        for response in RESPONSES:
            value = slots["sale" if response.event == "purchase" else response.name].astype(float)
            paid = weights[response.event] * (rating_value(value) if response.event == "rating" else value)
            paid = np.where(slots["clicked"], paid, 0.0)
            own, size = own + paid.sum(2), size + np.abs(paid).sum(2)
        price = was.prices[np.maximum(slots["item"], 0)] * np.exp(agents["log_price_multiplier"])[..., None]
        margin = c.reward.margin_rate if envs.shape.levels > 0 and not c.auctioned else 1.0
        listed = world.items["price"][np.maximum(slots["item"], 0)]
        sale = np.where(slots["bought"], (price - (1 - margin) * listed) / margin, 0.0)
        wrong = np.abs(slots["sale"] - sale) > 1e-5 * (1 + np.where(slots["bought"], price / margin, 0.0))
        self._complain("individual_reward", wrong & slots["clicked"])
        size = size + np.abs(weights["purchase"] * np.where(slots["bought"], price / margin, 0.0)).sum(2)
        pays = later_reward(
            world.agents[None, :, None], later["price"][:, None], rating_value(later["rating"])[:, None]
        )
        of_later = np.where(later["agent"][:, None] == np.arange(agents.shape[1])[:, None], pays, 0.0)
        own, size = own + of_later.sum(2), size + np.abs(of_later).sum(2)
        if c.auctioned:
            worth, payment = report.bids["worth"], report.bids["payment"]
            own, size = worth * own - payment, np.maximum(worth, 1.0) * size + payment
        self._complain("individual_reward", ~(np.abs(agents["individual_reward"] - own) <= 1e-5 * size))
        earned, s = agents["individual_reward"].astype(float) + agents["objectives"], c.reward.sharing
        shared = (1 - max(s, 0)) * earned + s * earned.mean(1, keepdims=True)
        self._complain("rewards", ~(near(report.rewards, shared) & np.isfinite(report.rewards)))

    # ------------------------------------------------------------------------------------------- kinds of pages

    def _check_auction(self, visited: np.ndarray, ends: bool) -> None:
        """Check who won the page just shown, what was paid, and what is left of the budgets."""
        was, state, offer = self._before, self._envs.arrays, self._envs.config.offer
        bids, won = self._envs.report.bids, self._envs.report.slots["item"][:, :, 0] >= 0
        wrong = (bids["value"] != np.where(visited[:, None], was.bidders["value"], 0.0)) | ~(bids["bid"] >= 0)
        wrong |= (bids["bid"] > was.bidders["budget"]) & (offer.budget > 0)
        self._complain("auction", wrong | (~won & (bids["payment"] != 0)))
        highest = np.where(won, bids["bid"], 0.0).max(1)
        second = np.where(won, 0.0, bids["bid"]).max(1, initial=0.0)
        wrong = (won.sum(1) > 1) | (won.any(1) & ((second > highest) | (highest == 0)))
        self._complain("auction", wrong | (bids["payment"].max(1) > second))
        if ends:
            return
        pages = was.auctions["pages"][:, 0] + 1
        refilled = pages == offer.refill_period
        self._complain("auction", visited & (state.auctions["pages"][:, 0] != np.where(refilled, 0, pages)))
        left = was.bidders["budget"] - (bids["payment"] if offer.budget > 0 else 0.0)
        budget = np.where(refilled[:, None], offer.budget, left)
        self._complain("auction", visited[:, None] & ~near(state.bidders["budget"], budget))

    def _check_platform(self, actions: np.ndarray) -> None:
        """Check what creators have published, and which of it is on the page just shown, at which ranks."""
        was, c, shape = self._before, self._envs.config.platform, self._envs.shape
        slots, tick = self._envs.report.slots[:, :, 0], int(was.copies["tick"][0])
        windows, creators = was.windows.copy(), np.arange(shape.agents)
        if tick % c.period == 0:
            place = tick // c.period % c.window
            windows[:, :, place] = (creators * c.window + place) * choices(self._envs.config, shape) + actions[:, :, 0]
        there = slots["item"] >= 0
        shown = there.sum(1, keepdims=True)
        wrong = (self._envs.arrays.windows != windows).any(2) | (shown > c.places)
        wrong |= there & ~(slots["item"][:, :, None] == windows).any(2)
        same = there[:, :, None] & there[:, None] & (slots["rank"][:, :, None] == slots["rank"][:, None])
        wrong |= same.sum(2) > 1
        fits = np.where(there, (slots["rank"] >= 0) & (slots["rank"] < shown), slots["rank"] == -1)
        self._complain("platform", wrong | ~fits)

    # ------------------------------------------------------------------------------------------- the page to come

    def _check_next(self) -> None:
        """Check the page that is about to be shown."""
        envs, c, report, copies = self._envs, self._envs.config, self._envs.report, self._envs.arrays.copies
        agents = np.arange(envs.shape.agents)
        owner, coming = envs.world.scenes["owner"][copies["scene"]][:, None], copies["visitor"] >= 0
        expected = (copies["opened"][:, None] == agents) if c.opens_agent else (owner < 0) | (owner == agents)
        expected &= coming[:, None]
        if c.ranked:  # creators publish at decisions, and do not meet visitors
            expected[:] = (copies["tick"] % c.platform.period == 0)[:, None]
        self._complain("active", report.agents["active"] != expected)
        visitor = report.agents["next_visitor"]
        meets = expected & (not c.ranked)
        person = visitor.max(1)
        self._complain("next_visitor", visitor != np.where(meets, person[:, None], -1))
        self._complain("next_visitor", (person < 0) & meets.any(1))
        if not c.ranked:
            self._meet(copies, person, coming)
        for name, ends in (("observations", False), ("final_observations", True)):
            bad = ~(np.abs(getattr(report, name)) <= 1).all(2)
            self._complain(name, bad & (report.truncated[:, None] | (not ends)))
        if report.masks.shape[2]:
            wrong = self._bad_masks(report.masks)
            self._complain("masks", wrong | (self._bad_masks(report.final_masks) & report.truncated[:, None]))

    def _meet(self, copies: np.ndarray, person: np.ndarray, coming: np.ndarray) -> None:
        """Check that the same id means the same person."""
        u = np.maximum(copies["visitor"], 0)
        user, books = self._envs.arrays.users[self._all, u], self._books[:, self._all, u]
        known = (books[0] == copies["stamp"]) & (books[1] == user["incarnation"])
        fixed_again = (self._envs.config.users.population == "fixed") & (books[0] != copies["stamp"])
        self._complain(
            "next_visitor", coming & np.where(known, books[2] != person, (books[2] == person) & ~fixed_again)
        )
        now = np.stack([copies["stamp"], user["incarnation"], person])
        self._books[:, self._all, u] = np.where(coming, now, books)

    def _bad_masks(self, masks: np.ndarray) -> np.ndarray:
        shape = self._envs.shape
        width = choices(self._envs.config, shape) * (self._per_pick if shape.slots == 1 else 1)
        slots = masks[:, :, : shape.slots * width].reshape(*masks.shape[:2], shape.slots, width)
        bad = ((masks != 0) & (masks != 1)).any(2) | ~(slots == 1).any(3).all(2)
        return np.asarray(bad | (masks[:, :, shape.slots * width :] != 1).any(2))


def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(a - b) <= 1e-5 + 1e-5 * np.abs(b))
