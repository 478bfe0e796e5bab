"""Do the users of a world click as the users of the log do?

Both see the same pages: the held-out pages of the log, on which the world draws its own clicks. So only the choices are
compared, and not who filled the pages. Distributions of both are compared, and a classifier is trained to tell a
simulated click from a real one, as for purchases (`realism`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...config.catalogue import Catalogue
from ...libraries import library
from ..logistic import sigmoid
from .click_prediction import Shown, coefficients, log_price, utilities
from .realism import SEED

PAGES = 20_000  # that are compared; of a longer period, its first ones
MARGINALS = {  # what is compared -> its meaning
    "click": "how many pages have a click",
    "item": "which items are clicked",
    "topic": "which topics are clicked",
    "position": "positions of the clicks",
    "price": "prices of the clicked items",
    "clicks of a user": "clicks of a user in the period",
    "pages between clicks": "pages of a user from one click to the next",
    "pages to a repeat": "pages until a user clicks the same item again",
    "habit": "how often the user had consumed the item lately",
}


class SeenPages(NamedTuple):
    """Pages of a period, one entry each, in order of user and time, with what was clicked."""

    user: np.ndarray  # int64
    number: np.ndarray  # 0, 1, .. of the user's pages in the period
    size: np.ndarray  # items on the page
    item: np.ndarray  # that was clicked, -1 = none
    rank: np.ndarray  # its position
    price: np.ndarray  # price asked for it; NaN if the log has no prices
    habit: np.ndarray  # n_uj: fading count of the user's earlier clicks on it, or purchases of it (`users.habit`)

    def of(self, chosen: np.ndarray) -> SeenPages:
        """The chosen entries."""
        return SeenPages(*(column[chosen] for column in self))

    @property
    def clicks(self) -> SeenPages:
        """The pages with a click."""
        return self.of(self.item >= 0)


def seen_pages(rows: Shown, chosen: np.ndarray, habit: np.ndarray, priced: bool) -> SeenPages:
    """Pages with their clicks.

    Args:
        chosen: [P] row that was clicked, -1 = none.
        habit: [P] n_uj of the clicked item, of any value if there is none.
        priced: whether the log has prices.
    """
    first = rows.first_row
    user, clicked = rows.user[first[:-1]], chosen >= 0
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    return SeenPages(
        user=user,
        number=np.arange(len(user)) - np.repeat(starts, np.diff(np.r_[starts, len(user)])),
        size=np.diff(first),
        item=np.where(clicked, rows.item[chosen], -1),
        rank=rows.rank[chosen],
        price=rows.price[chosen] if priced else np.full(len(user), np.nan),
        habit=habit,
    )


def real_pages(rows: Shown, priced: bool) -> SeenPages:
    """Pages with the clicks of the log."""
    chosen = np.full(len(rows.first_row) - 1, -1)
    chosen[rows.page[rows.clicked]] = np.flatnonzero(rows.clicked)
    return seen_pages(rows, chosen, rows.habit[chosen], priced)


def simulated_pages(catalogue: Catalogue, rows: Shown, priced: bool) -> SeenPages:
    """The same pages with clicks that the people of a world draw. Their habits follow from their own clicks, or from
    the purchases that follow these.

    Args:
        catalogue: of the world, whose habits are those at the beginning of the period. Carts begin empty.
    """
    beta, by_clicks = catalogue.settings["choice"]["beta_repeat"], catalogue.settings["users"]["habit"] == "click"
    fixed = utilities(catalogue, coefficients(catalogue), rows._replace(habit=np.zeros(len(rows.item))))
    first = rows.first_row
    chosen, habit = np.full(len(first) - 1, -1), np.zeros(len(first) - 1)
    draws, owner, habits = np.random.default_rng(SEED).random(len(chosen)), -1, _Habits(catalogue, 0)
    purchases = None if by_clicks else _Purchases(catalogue, rows)
    for page, draw in enumerate(draws):
        start, stop = first[page], first[page + 1]
        if rows.user[start] != owner:
            owner = int(rows.user[start])
            habits = _Habits(catalogue, owner)
            if purchases:
                purchases.cart = []
        n = np.array([habits.count(item) for item in rows.item[start:stop].tolist()])
        v = fixed[start:stop] + beta * np.log1p(n)
        share = np.cumsum(np.exp(v - max(v.max(), 0.0)))
        k = int(np.searchsorted(share, draw * (share[-1] + np.exp(-max(v.max(), 0.0))), side="right"))
        clicked = start + k if k < len(n) else -1
        if clicked >= 0:
            chosen[page], habit[page] = clicked, n[k]
        consumed = purchases.at_page(clicked) if purchases else rows.item[[clicked]].tolist() if clicked >= 0 else []
        habits.next_page(consumed)
    return seen_pages(rows, chosen, habit, priced)


class _Habits:
    """How often a user consumed each item, in counts that fade from page to page."""

    def __init__(self, catalogue: Catalogue, user: int) -> None:
        self._decay, self._page = catalogue.settings["users"]["habit_decay"], 0
        known = zip(catalogue.habit_item[user].tolist(), catalogue.habit_count[user].tolist(), strict=True)
        # item -> its count, and the page at which that is the count
        self._counts = {item: (count, 0) for item, count in known if item >= 0}

    def count(self, item: int) -> float:
        """n_uj at this page."""
        count, page = self._counts.get(item, (0.0, 0))
        return float(count * self._decay ** (self._page - page))

    def next_page(self, consumed: list[int]) -> None:
        """Go on to the next page, after these items were consumed."""
        for item in consumed:
            earlier, page = self._counts.get(item, (0.0, self._page))
            self._counts[item] = earlier * self._decay ** (self._page + 1 - page) + 1.0, self._page + 1
        self._page += 1


class _Purchases:
    """What users buy of what they click: at once, or later from their carts."""

    def __init__(self, catalogue: Catalogue, rows: Shown) -> None:
        self._after, self._item = catalogue.settings["feedback"], rows.item
        self._random = np.random.default_rng([SEED, 1])
        self._probability = _cart_probabilities(catalogue, rows) if self._after else np.zeros(len(rows.item))
        self.cart: list[int] = []  # of the present user

    def at_page(self, clicked: int) -> list[int]:
        """The items that are bought at a page on which this row is clicked, -1 = none."""
        bought, kept = [], []
        for item in self.cart:
            if self._random.random() < self._after.get("cart_hazard", 0.0):
                bought.append(item)
            elif self._random.random() >= self._after.get("cart_abandon", 0.0):
                kept.append(item)
        if clicked >= 0 and self._random.random() < self._probability[clicked]:
            item = int(self._item[clicked])
            if self._after["instant"]:
                bought.append(item)
            elif item not in self.cart:  # of which there is one in a cart
                kept.append(item)
        self.cart = kept
        return bought


def _cart_probabilities(catalogue: Catalogue, rows: Shown) -> np.ndarray:
    """P(cart | click) [R], or where there are no carts P(purchase | click), by the equations of the environment."""
    after, quality = catalogue.settings["feedback"], catalogue.item_quality
    taste, vectors = catalogue.user_taste.astype(float)[rows.user], catalogue.item_vectors.astype(float)[rows.item]
    logit = after["b_0"] + after["b_taste"] * np.einsum("rd,rd->r", taste, vectors)
    if quality is not None:
        logit += after["b_quality"] * quality.astype(float)[rows.item]
    sensitivity = catalogue.user_price_sensitivity.astype(float)[rows.user]
    logit -= after.get("b_price", 0.0) * sensitivity * log_price(catalogue, rows.item, rows.price)
    return sigmoid(logit)


# ------------------------------------------------------------------------------------------------ samples


def marginals(catalogue: Catalogue, sample: SeenPages) -> dict[str, np.ndarray]:
    """The values [n] of each of `MARGINALS` in a sample of pages."""
    made = sample.clicks
    return {
        "click": (sample.item >= 0).astype(float),
        "item": made.item,
        "topic": catalogue.item_topic[made.item],
        "position": made.rank,
        "price": made.price[np.isfinite(made.price)],
        "clicks of a user": np.bincount(sample.user, sample.item >= 0)[np.unique(sample.user)],
        "pages between clicks": _since(made, of_item=False),
        "pages to a repeat": _since(made, of_item=True),
        "habit": made.habit,
    }


def _since(made: SeenPages, of_item: bool, missing: bool = False) -> np.ndarray:
    """Pages since the user's last click, on anything or on the same item.

    Args:
        missing: whether a first click has a value, NaN.
    """
    frame = library("pandas", "fit").DataFrame({"user": made.user, "item": made.item, "number": made.number})
    gap = frame.groupby(["user", "item"] if of_item else "user")["number"].diff()
    found: np.ndarray = (gap if missing else gap.dropna()).to_numpy(float)
    return found


def features(catalogue: Catalogue, made: SeenPages) -> dict[str, np.ndarray]:
    """What is known of each of some clicks."""
    list_price = catalogue.item_price.astype(float)[made.item]
    topic = catalogue.item_topic[made.item].astype(np.int64)
    clicks = library("pandas", "fit").Series(made.user).groupby(made.user).cumcount()
    found = {
        "popularity of the item": np.log1p(catalogue.item_popularity[made.item]),
        "list price": np.log(list_price),
        "price / list": np.round(made.price / list_price, 4),
        "popularity of the topic": np.bincount(catalogue.item_topic, catalogue.item_popularity)[topic],
        "position": made.rank,
        "items on the page": made.size,
        "habit": made.habit,
        "pages since the last click": _since(made, of_item=False, missing=True),
        "pages since the same item": _since(made, of_item=True, missing=True),
        "clicks of the user before": clicks.to_numpy(),
        "pages of the user before": made.number,
    }
    return {name: np.asarray(values, float) for name, values in found.items()}
