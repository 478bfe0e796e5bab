"""Values of one page by the log's propensities, beside the world's: slot-wise IPS, the direct method and DR.

The policies are simple, so that what they would show follows from the log: as many items as the page has, out of those
that retrieval offered. Where the log does not say which these were, they are taken to be all items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ...catalogue import Catalogue
from ...experiments import slotwise
from ..choice_model import ChoiceModel
from .click_prediction import Shown, appeals, coefficients, expected_clicks, log_price, mean_over_users, position_rates
from .realism import habits_of

SEED = 0
PAGES = 20_000  # of more, the first ones
CELLS = 2_000_000  # pages x items whose scores are in memory at a time
SUPPORTED = 0.5  # mean importance weight of a policy's slots; near 1 if the log could have shown all of its choices


def page_values(
    catalogue: Catalogue, model: ChoiceModel, before: Shown, later: Shown, candidates: np.ndarray | None
) -> dict[str, Any]:
    """Clicks per page of simple policies on later pages, by the world and by slot-wise estimators.

    Only pages of the most frequent length count. Importance weights are normalised in each slot, because propensities
    of a log may be conditional on the slots before. The direct method multiplies the appeals of items and the click
    rates of positions on the earlier pages.

    Args:
        catalogue, model: of the world.
        candidates: [P, C] items that retrieval offered at the later pages, -1 = none; None: all items.

    Returns:
        reason, if there can be no estimates; or

        - pages, slots: number of pages, and of items on each.
        - logged: clicks per page as logged, and what the world says of the same pages; intervals over users.
        - policies: name -> world, ips, dm, dr: intervals; weight: the mean importance weight of its slots, which is
          below 1 if the log could not have shown what the policy shows. ips and dr are None if it is below `SUPPORTED`.
        - pairs: how many pairs of policies DR separates beyond chance, and how many of these the world orders alike.
    """
    if not len(later.propensity):
        return {"reason": "they need the propensity of every slot, which the log does not have"}
    alike = _alike(later)
    rows, candidates = later.of(alike), None if candidates is None else candidates[alike]
    slots = int(np.diff(rows.first_row)[0])
    if slots > len(catalogue.item_price):
        return {"reason": f"pages have {slots} slots, more than there are items"}
    shape = (-1, slots)
    user, item = rows.user.reshape(shape)[:, 0], rows.item.reshape(shape)
    appeal = appeals(before, len(catalogue.item_price))
    of_slot = position_rates(before, rows.rank).reshape(shape)
    propensity, clicked = rows.propensity.reshape(shape), rows.clicked.reshape(shape).astype(float)
    found: dict[str, dict[str, Any]] = {}
    robust, by_world = {}, {}
    for name, target in _targets(catalogue, model, appeal, user, slots, candidates):
        options = np.concatenate([item, target], axis=1)
        places = np.broadcast_to(np.arange(slots), item.shape)
        same = item == target
        values = slotwise(
            places,
            propensity,
            clicked,
            np.where(same, places, places + slots),
            np.clip(appeal[options][:, :, None] * of_slot[:, None, :], 0.0, 1.0),
            normalised=True,
        )
        by_world[name] = _clicks(catalogue, model, rows, target)
        weight = float((same / propensity).mean())
        found[name] = {
            "world": mean_over_users(user, by_world[name]),
            "dm": mean_over_users(user, values["dm"]),
            "weight": weight,
            **{kind: mean_over_users(user, values[kind]) if weight >= SUPPORTED else None for kind in ("ips", "dr")},
        }
        if weight >= SUPPORTED:
            robust[name] = values["dr"]
    clicks = clicked.sum(1)
    expected = expected_clicks(catalogue, model, rows).reshape(shape).sum(1)
    return {
        "pages": len(user),
        "slots": slots,
        "logged": {"clicks": mean_over_users(user, clicks), "world": mean_over_users(user, expected)},
        "policies": found,
        "pairs": _pairs(user, robust, by_world),
    }


def _alike(rows: Shown) -> np.ndarray:
    """[P] whether a page has the most frequent length; of at most `PAGES` pages."""
    sizes = np.diff(rows.first_row)
    pages = sizes == np.bincount(sizes).argmax()
    pages &= np.cumsum(pages) <= PAGES
    return pages


def _targets(
    catalogue: Catalogue,
    model: ChoiceModel,
    appeal: np.ndarray,
    user: np.ndarray,
    slots: int,
    candidates: np.ndarray | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Simple policies, and what each of them would show [P, K]."""
    items, rng = len(appeal), np.random.default_rng(SEED)
    weights = coefficients(catalogue, model)
    x = log_price(catalogue, np.arange(items), catalogue.item_price.astype(float))

    def utility(pages: np.ndarray) -> np.ndarray:
        taste = weights[user[pages], :-1] @ catalogue.item_vectors.T.astype(float)
        found: np.ndarray = catalogue.item_intercept + taste - weights[user[pages], -1:] * x
        return found

    scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "random": lambda pages: rng.random((len(pages), items)),
        "popularity": lambda pages: np.tile(catalogue.item_popularity, (len(pages), 1)),
        "appeal": lambda pages: np.tile(appeal, (len(pages), 1)),
        "fitted utility": utility,
    }
    every = np.arange(len(user))
    _, first_page, place = np.unique(user, return_index=True, return_inverse=True)
    step = max(1, CELLS // items)
    for name, score in scores.items():
        # out of all items, a policy without chance shows a user the same on every page
        asked, again = (every, every) if candidates is not None or name == "random" else (first_page, place)
        best = []
        for pages in (asked[first : first + step] for first in range(0, len(asked), step)):
            some = score(pages)
            if candidates is not None:
                row, column = np.nonzero(candidates[pages] >= 0)
                offered = np.zeros(some.shape, bool)
                offered[row, candidates[pages][row, column]] = True
                some = np.where(offered, some, -np.inf)
            best.append(np.argsort(-some, axis=1, kind="stable")[:, :slots])
        yield name, np.concatenate(best)[again]


def _clicks(catalogue: Catalogue, model: ChoiceModel, rows: Shown, target: np.ndarray) -> np.ndarray:
    """Clicks [P] that the world expects if these items [P, K] are shown on the pages, at list prices."""
    item = target.ravel()
    habit = habits_of((catalogue.habit_item, catalogue.habit_count), rows.user, item)
    there = rows._replace(item=item, price=catalogue.item_price.astype(float)[item], habit=habit)
    found: np.ndarray = expected_clicks(catalogue, model, there).reshape(target.shape).sum(1)
    return found


def _pairs(user: np.ndarray, robust: dict[str, np.ndarray], by_world: dict[str, np.ndarray]) -> dict[str, int]:
    differ = alike = 0
    for one, other in combinations(robust, 2):
        gap = mean_over_users(user, robust[one] - robust[other])
        if gap["low"] > 0 or gap["high"] < 0:
            differ += 1
            alike += (by_world[one].mean() > by_world[other].mean()) == (gap["mean"] > 0)
    return {"differ": differ, "ordered alike": int(alike)}
