"""Values of one page by the log's propensities, beside the world's: slot-wise IPS, the direct method and DR.

A policy fills one slot at a time, below what the log shows in the earlier slots, and the platform fills the slots
below as it did for the log. Its value is the clicks of the slots that it fills so. The log's propensities are
conditional on the earlier slots, and so this value, unlike that of a whole page, is estimated without bias where they
are right.

What the world says of this value is estimated on the same pages: its click probabilities take the place of the clicks.
So the two differ only by chance if the world is right, whatever the logging policy shows below a slot.

The policies are simple, so that what they would show follows from the log: the best of the items that retrieval offered
and that are not shown above. Where the log does not say which were offered, they are taken to be all items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ...config.catalogue import Catalogue
from ...experiments import slotwise
from ..choice_model import ChoiceModel
from ..prices import usual_prices
from .click_prediction import (
    Shown,
    appeals,
    beyond_chance,
    coefficients,
    expected_clicks,
    mean_over_users,
    position_rates,
)

SEED = 0
PAGES = 20_000  # of more, the first ones in time
CELLS = 2_000_000  # pages x items whose scores are in memory at a time
FEWEST_CLICKS = 20  # on what a policy would show, as many as equal weights would need; with fewer, intervals mislead
LACKING = 0.05  # of a mean importance weight of 1: about the share of clicks that estimates may miss


def page_values(
    catalogue: Catalogue, model: ChoiceModel, before: Shown, later: Shown, candidates: np.ndarray | None
) -> dict[str, Any]:
    """Clicks of the slots of later pages that simple policies fill one at a time, by the world and by slot-wise
    estimators.

    Only pages of the most frequent length count. The direct method multiplies the appeals of items and the click rates
    of positions on the earlier pages.

    Args:
        catalogue, model: of the world.
        candidates: [P, C] items that retrieval offered at the later pages, -1 = none; None: all items.

    Returns:
        reason, if there can be no estimates; or

        - pages, slots: number of pages, and of items on each.
        - logged: clicks per page as logged, and what the world says of the same pages; intervals over users.
        - policies: name -> world, ips, dm, dr, in clicks per page, and weight, the importance weight of its slots:
          intervals; apart, whether world and ips differ beyond chance. A mean weight below 1 means that the log could
          not have shown all that the policy shows; one above 1 means that propensities are wrong. world, ips and dr are
          None if it differs from 1 by more than `LACKING` beyond chance, or if the slots that show what the policy
          would show got, or are worth, fewer than `FEWEST_CLICKS` clicks.
        - pairs: how many pairs of policies DR separates beyond chance, and how many of these the world orders alike.

        Beyond chance means with 95 % for all policies, or all pairs, together (Bonferroni).
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
    expected = expected_clicks(catalogue, model, rows).reshape(shape)
    found: dict[str, dict[str, Any]] = {}
    robust, by_world, by_log = {}, {}, {}
    for name, target in _targets(catalogue, model, appeal, user, item, candidates):
        options = np.concatenate([item, target], axis=1)
        position = np.broadcast_to(np.arange(slots), item.shape)
        same = item == target
        values = slotwise(
            position,
            propensity,
            clicked,
            np.where(same, position, position + slots),
            np.clip(appeal[options][:, :, None] * of_slot[:, None, :], 0.0, 1.0),
        )
        of_world = (same / propensity * expected).sum(axis=1)
        weight = mean_over_users(user, (same / propensity).mean(axis=1))
        supported = weight["high"] > 1 - LACKING and weight["low"] < 1 + LACKING
        supported &= min((same & (clicked > 0)).sum(), _worth(same / propensity, expected)) >= FEWEST_CLICKS
        values = {"world": of_world, **values}
        found[name] = {
            "weight": weight,
            **{
                kind: mean_over_users(user, values[kind]) if supported else None
                for kind in ("world", "ips", "dm", "dr")
            },
        }
        if supported:
            robust[name], by_world[name], by_log[name] = values["dr"], of_world, values["ips"]
    for name, row in found.items():
        row["apart"] = name in by_log and beyond_chance(user, by_log[name] - by_world[name], len(by_log))
    logged = {"clicks": clicked.sum(1), "world": expected.sum(1)}
    return {
        "pages": len(user),
        "slots": slots,
        "logged": {name: mean_over_users(user, values) for name, values in logged.items()},
        "policies": found,
        "pairs": _pairs(user, robust, by_world),
    }


def _worth(weight: np.ndarray, click: np.ndarray) -> float:
    """How many clicks with equal weights would tell a value as surely as IPS with these weights does, given the
    probability of each click (Kish 1965, effective sample size).

    The clicks of the log alone do not say it: a slot of large weight matters also if it was not clicked by chance.
    """
    square = float((weight**2 * click).sum())
    return float((weight * click).sum()) ** 2 / square if square > 0 else 0.0


def _alike(rows: Shown) -> np.ndarray:
    """[P] whether a page has the most frequent length; of at most `PAGES` pages, the first ones in time."""
    sizes = np.diff(rows.first_row)
    pages: np.ndarray = sizes == np.bincount(sizes).argmax()
    last = np.sort(rows.page_order[pages])[:PAGES][-1]
    return pages & (rows.page_order <= last)


def _targets(
    catalogue: Catalogue,
    model: ChoiceModel,
    appeal: np.ndarray,
    user: np.ndarray,
    item: np.ndarray,
    candidates: np.ndarray | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Simple policies, and what each of them would show [P, K] in each slot below the earlier items of the page.

    Args:
        user: [P].
        item: [P, K] as the log shows them.
    """
    items, rng = len(appeal), np.random.default_rng(SEED)
    weights = coefficients(catalogue, model.centres)
    x = usual_prices(catalogue.item_price, catalogue.item_topic, catalogue.item_price_ratio)

    def utility(pages: np.ndarray) -> np.ndarray:
        taste = weights[user[pages], :-1] @ catalogue.item_vectors.T.astype(float)
        found: np.ndarray = catalogue.item_intercept + taste - weights[user[pages], -1:] * x
        return found

    scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "random": lambda pages: rng.random((len(pages), items)),
        "popularity": lambda pages: np.tile(catalogue.item_popularity.astype(float), (len(pages), 1)),
        "appeal": lambda pages: np.tile(appeal, (len(pages), 1)),
        "fitted utility": utility,
    }
    every, step = np.arange(len(user)), max(1, CELLS // items)
    for name, score in scores.items():
        target = np.empty_like(item)
        for pages in (every[first : first + step] for first in range(0, len(every), step)):
            some = score(pages)
            if candidates is not None:
                row, column = np.nonzero(candidates[pages] >= 0)
                offered = np.zeros(some.shape, bool)
                offered[row, candidates[pages][row, column]] = True
                some[~offered] = -np.inf
            for slot in range(item.shape[1]):
                target[pages, slot] = some.argmax(axis=1)
                some[np.arange(len(pages)), item[pages, slot]] = -np.inf
        yield name, target


def _pairs(user: np.ndarray, robust: dict[str, np.ndarray], by_world: dict[str, np.ndarray]) -> dict[str, int]:
    differ = alike = 0
    pairs = [*combinations(robust, 2)]
    for one, other in pairs:
        gap = robust[one] - robust[other]
        if beyond_chance(user, gap, len(pairs)):
            differ += 1
            alike += (by_world[one].mean() > by_world[other].mean()) == (gap.mean() > 0)
    return {"differ": differ, "ordered alike": int(alike)}
