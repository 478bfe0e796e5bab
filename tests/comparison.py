"""Whether the kernels play what `plain_game` plays: read their arrays as its objects, and compare the two.

copy = read(game, state, b)                # what the kernels' arrays say about copy b
compare_copies(game, copy, other)
compare_report(game, report, kernels_report, b)
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from plain_game import CartItem, Consumed, Copy, Game, Habit, Person, Report, Slot, Visits

from recsys_env.config.fields import OBSERVATION, field_slices
from recsys_env.config.responses import RESPONSES
from recsys_env.world import arrays
from recsys_env.world.arrays import State

# ------------------------------------------------------------------------------------------------ the kernels' arrays


def read(game: Game, state: State, b: int) -> Copy:
    """Copy b as the arrays have it: records that carry the stamp of this episode."""
    row = fields_of(state.copies[b])
    del row["stamp"], row["key"], row["row"], row["rows_taken"]
    for name in ("visitor", "intent", "anchor", "opened"):
        row[name] = none_if_negative(row[name])
    copy = Copy(**row)
    for u in np.flatnonzero(state.users[b]["stamp"] == state.copies[b]["stamp"]).tolist():
        copy.people[u] = read_person(game, state, b, u)
    for j in np.flatnonzero(state.items[b]["stamp"] == state.copies[b]["stamp"]).tolist():
        item = fields_of(state.items[b, j])
        own = np.array([item[name] for name in ("clicks", "impressions", "satisfaction")])
        copy.statistics[j] = item["window"], own, item["touched"]
        copy.stock[j] = item["window"], item["restock"] // game.config.items.restock_period - 1, item["stock"]
    copy.candidates = [[j for j in row if j >= 0] for row in state.candidates[b].tolist()]
    auctioned = game.config.page == "auction"
    size = len(game.active(copy)) if game.config.one_feed or auctioned else 0
    copy.order = [row[:size] for row in state.order[b].tolist()] if size else []
    copy.exposure = [Counter(dict(enumerate(row))) for row in state.exposure[b].tolist() if row]
    if auctioned:
        copy.worth, copy.value, copy.budget = (state.bidders[name][b].tolist() for name in state.bidders.dtype.names)
        copy.pages, copy.last_price = state.auctions[b, 0].item()
    if game.shape.window:
        copy.windows = [[none_if_negative(j) for j in window] for window in state.windows[b].tolist()]
        copy.window_clicks, copy.pages_served = state.window_clicks[b].tolist(), int(state.pages_served[b, 0])
    copy.inclusive = {n: x for n, x in enumerate(state.inclusive[b].tolist()) if x > -math.inf}
    return copy


def fields_of(record: np.void) -> dict[str, Any]:
    return dict(zip(record.dtype.names, record.item(), strict=True))


def read_person(game: Game, state: State, b: int, u: int) -> Person:
    row, shape = fields_of(state.users[b, u]), game.shape
    if row["row"] < 0:
        return read_newcomer(game, state, b, u)
    r = row["row"]
    vector = state.vectors[b, r].astype(np.float64)
    sizes = [shape.dims, shape.dims, shape.topics, shape.agents, *[shape.dims, shape.topics] * shape.views]
    sizes += [shape.satisfaction_views, shape.satisfaction_views]
    sizes += [*[shape.dims, shape.topics] * shape.released_views, shape.released_views]
    taste, profile, satiation, trust, *rest = np.split(vector, np.cumsum(sizes)[:-1])
    histories, (observed_satisfaction, satisfaction_pages, *told, releases) = (
        rest[: 2 * shape.views],
        rest[2 * shape.views :],
    )
    cart = [CartItem(*entry.item()) for entry in state.carts[b, r][: row["cart"]]]
    habits = [
        Habit(*habit.item(), seen=seen.tolist()) if habit["item"] >= 0 else None
        for habit, seen in zip(state.habits[b, r], state.seen[b, r], strict=True)
    ]
    recent = [
        [Consumed(x["item"], bool(x["bought"]), x["pages"]) for x in map(fields_of, known) if x["item"] >= 0]
        for known in state.recent[b, r]
    ]
    return Person(
        incarnation=row["incarnation"],
        group=row["group"],
        rho=row["rho"],
        rating_bias=row["rating_bias"],
        taste=taste,
        noise=profile - taste,
        satisfaction=row["satisfaction"],
        trust=trust,
        satiation=satiation,
        wallet=row["wallet"],
        wallet_tick=row["wallet_tick"],
        clicked_mean=np.stack(histories[0::2]),
        topic_counts=np.stack(histories[1::2]),
        habits=habits,
        recent=recent,
        request=none_if_negative(int(state.requests[b, r, 0])) if shape.requests else None,
        messages=[none_if_negative(word) for word in state.messages[b, r].tolist()] or [None] * shape.agents,
        observed_satisfaction=observed_satisfaction,
        released_mean=np.stack(told[0::2]) if told else np.zeros((0, shape.dims)),
        released_counts=np.stack(told[1::2]) if told else np.zeros((0, shape.topics)),
        releases=releases,
        satisfaction_pages=satisfaction_pages,
        visits=[Visits(n, none_if_negative(a), none_if_negative(z)) for n, a, z in state.visits[b, r].tolist()],
        price_levels=state.price_levels[b, r].tolist() or [0.0] * shape.agents,
        mood=row["mood"],
        sessions=row["sessions"],
        last_visit=none_if_negative(row["last_visit"]),
        last_page=none_if_negative(row["last_page"]),
        cart=cart,
    )


def read_newcomer(game: Game, state: State, b: int, u: int) -> Person:
    """A user who was asked to come and has not come yet: what the arrays do not hold is as it is of a new person."""
    copy, row = state.copies[b], fields_of(state.users[b, u])
    episode = Copy(seed=int(copy["seed"]), population=int(copy["population"]), episode=int(copy["episode"]))
    held = {name: row[name] for name in ("incarnation", "group", "rho", "rating_bias", "satisfaction", "wallet")}
    held |= {name: row[name] for name in ("wallet_tick", "mood", "sessions")}
    ticks = {name: none_if_negative(row[name]) for name in ("last_visit", "last_page")}
    return replace(game.new_person(episode, u, 0), **held, **ticks)


def none_if_negative(i: int) -> int | None:
    return i if i >= 0 else None


# ------------------------------------------------------------------------------------------------ comparison


def close(a: Any, b: Any, what: str) -> None:
    if isinstance(a, float):  # a third of the time of all comparisons, if NumPy did it
        b = float(b)
        assert a == b or abs(a - b) <= 1e-5 + 1e-4 * min(abs(a), abs(b)), f"{what}: plain game {a}, kernels {b}"
        return
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    equal = a == b
    gap = np.abs(np.where(equal, 0, a) - np.where(equal, 0, b))  # equal infinities have none
    agree = gap <= 1e-5 + 1e-4 * np.minimum(np.abs(a), np.abs(b))
    assert agree.all(), f"{what}: plain game {a[~agree]}, kernels {b[~agree]} at {np.argwhere(~agree).tolist()}"


def same(a: Any, b: Any, what: str) -> None:
    assert a == b, f"{what}: plain game {a}, kernels {b}"


def compare_copies(game: Game, expected: Copy, actual: Copy) -> None:
    """Two copies agree in what they mean: rows that are advanced lazily are compared by their value now."""
    for name in (
        "seed",
        "population",
        "episode",
        "tick",
        "visitor",
        "intent",
        "scene",
        "anchor",
        "opened",
        "session_page",
    ):
        same(getattr(expected, name), getattr(actual, name), name)
    same(expected.candidates, actual.candidates, "candidates")
    same(expected.order, actual.order, "order")
    for name in ("windows", "window_clicks", "pages_served") if game.shape.window else ():
        same(getattr(expected, name), getattr(actual, name), name)
    same(list(expected.inclusive), list(actual.inclusive), "agents shown")
    close(list(expected.inclusive.values()), list(actual.inclusive.values()), "inclusive")
    if game.config.page == "auction":
        same(expected.pages, actual.pages, "pages since the refill")
        for name in ("worth", "value", "budget", "last_price"):
            close(getattr(expected, name), getattr(actual, name), name)
    if game.shape.providers:
        close(*([game.shares(copy, n) for n in game.agents] for copy in (expected, actual)), "shares of exposure")
    for name, value_now in (("stock", game.stock), ("statistics", game.statistics)):
        close(
            *([value_now(copy, j) for j in range(game.shape.items)] for copy in (expected, actual)), f"{name} by item"
        )  # type: ignore[misc]
    same(sorted(expected.people), sorted(actual.people), "people")
    for u in expected.people:
        compare_people(game, expected, actual, u)


def compare_people(game: Game, expected: Copy, actual: Copy, u: int) -> None:
    a, b = expected.people[u], actual.people[u]
    for name in (
        "incarnation",
        "group",
        "mood",
        "sessions",
        "last_visit",
        "last_page",
        "visits",
        "recent",
        "request",
        "messages",
    ):
        same(getattr(a, name), getattr(b, name), f"{name} of user {u}")
    names = (
        "rho",
        "rating_bias",
        "satisfaction",
        "taste",
        "profile",
        "satiation",
        "trust",
        "clicked_mean",
        "topic_counts",
    )
    names += ("released_mean", "released_counts", "releases")
    for name in (*names, "observed_satisfaction", "satisfaction_pages", "price_levels"):
        close(getattr(a, name), getattr(b, name), f"{name} of user {u}")
    close(game.wallet(expected, a), game.wallet(actual, b), f"wallet of user {u}")
    same(
        [(c.item, c.agent, c.rated) for c in a.cart],
        [(c.item, c.agent, bool(c.rated)) for c in b.cart],
        f"cart of user {u}",
    )
    close([c.experience for c in a.cart], [c.experience for c in b.cart], f"experience of user {u}'s cart")
    close(habit_counts(game, expected, a), habit_counts(game, actual, b), f"habits of user {u}")


def habit_counts(game: Game, copy: Copy, person: Person) -> list[list[float]]:
    """By item: the count now, and the parts that each view knows of."""
    habits = [game.habit_of(copy, person, j) for j in range(game.shape.items if person.habits else 0)]
    return [[habit.count, *habit.seen] if habit else [0.0] * (1 + game.shape.views) for habit in habits]


def compare_report(game: Game, expected: Report, actual: arrays.Report, b: int) -> None:
    """A report of the plain game agrees with row b of the kernels'."""
    same(expected.truncated, bool(actual.truncated[b]), "truncated")
    same(expected.visitor, actual.agents["visitor"][b].tolist(), "visitor")
    same(expected.next_visitor, actual.agents["next_visitor"][b].tolist(), "next_visitor")
    same(expected.user_slot, actual.agents["user_slot"][b].tolist(), "user_slot")
    same(expected.next_user_slot, actual.agents["next_user_slot"][b].tolist(), "next_user_slot")
    same(expected.active, np.flatnonzero(actual.agents["active"][b]).tolist(), "active")
    close(expected.individual_reward, actual.agents["individual_reward"][b], "individual_reward")
    close(expected.objectives, actual.agents["objectives"][b], "objectives")
    close(expected.rewards, actual.rewards[b], "rewards")
    for name in ("bid", "payment", "value"):
        close(getattr(expected, name), actual.bids[name][b], name)
    close(np.log(expected.price_multiplier), actual.agents["log_price_multiplier"][b], "log price_levels")
    pairs = [(expected.observations, actual.observations), (expected.masks, actual.masks)]
    if expected.final_observations is not None:
        pairs += [(expected.final_observations, actual.final_observations), (expected.final_masks, actual.final_masks)]
        close(expected.final_state, actual.final_states[b], "final state")
    for wanted, found in pairs:
        close(wanted, found[b], f"observations or masks; fields {field_slices(OBSERVATION, game.config, game.shape)}")
    for n in game.agents:
        for k in range(game.config.slots):
            slot = expected.page[n][k] if n in expected.page else Slot(None, 0)
            compare_slots(slot, actual.slots[b, n, k], f"slot {k} of agent {n}")
    later = [row for row in actual.later[b] if row["item"] >= 0]
    same(
        [(x.item, x.agent, x.rating) for x in expected.later],
        [(x["item"], x["agent"], x["rating"]) for x in later],
        "later purchases",
    )
    close([x.price for x in expected.later], [x["price"] for x in later], "later prices")


def compare_slots(expected: Slot, actual: np.void, what: str) -> None:
    same(-1 if expected.item is None else expected.item, actual["item"], f"item of {what}")
    same(expected.rank - 1, actual["rank"], f"rank of {what}")
    for response in RESPONSES:
        agree = close if response.kind == "f4" else same
        agree(getattr(expected, response.name), actual[response.name], f"{response.name} of {what}")
    for name in ("utility", "weight"):
        close(getattr(expected, name), actual[name], f"{name} of {what}")
