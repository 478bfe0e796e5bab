"""What the arrays of a snapshot, or of a world that replaces another one, may hold: ranges, and consistency checks.

Kernels do not check indices that they have written themselves. An impossible state would make them read and write
outside their arrays, or loop forever. The ranges hold for all records and rows, also for those that are not initialised
or belong to an earlier episode. Every state that a game can reach lies within them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..checks import shown
from ..config import WorldConfig
from ..config.fields import Shape
from ..kernels.dynamics import USERS_PER_WORD
from ..world.arrays import State, World, has_come, most_rows

_FINITE = float(np.finfo(np.float32).max)
_MOST = 2**31 - 2  # largest value of a 32-bit counter that is incremented later
_DEVIATIONS = 9.0  # a normal number of the engine is less than this away from 0
_UNIT = 1.02  # largest entry of a unit vector; catalogues keep unit norm to 1e-2
_ROUNDING = 1e-4  # of sums in float32, relative

_EVERY = (0, 2**64 - 1)

Limits = tuple[float, float]


class Column(NamedTuple):
    """A part of a state's array, and the closed interval that its numbers lie in."""

    array: str
    name: str  # of the field of a record or the part of a vector; "" = the whole array
    selector: Any  # what takes it from the array
    low: float
    high: float

    @property
    def label(self) -> str:
        return f"{self.array}.{self.name}" if self.name else self.array


def columns(config: WorldConfig, shape: Shape, world: World) -> list[Column]:
    """What every column of a state of this world may hold."""
    records = {
        (array, name): Column(array, name, name, *limits)
        for array, fields in _records(config, shape, world).items()
        for name, limits in fields.items()
    }
    whole = [Column(array, "", ..., *limits) for array, limits in _arrays(config, shape, world).items()]
    parts = [
        Column("vectors", name, (..., slice(start, start + size)), *limits)
        for name, start, size, limits in _vectors(config, shape, world)
    ]
    return [*records.values(), *whole, *parts]


def _ticks(horizon: int) -> Limits:
    return -1, horizon


def _records(config: WorldConfig, shape: Shape, world: World) -> dict[str, dict[str, Limits]]:
    """Limits of the fields of records. Seeds and keys may be any number."""
    horizon, every = config.horizon, _EVERY
    items, users = world.params["items"][0], config.users
    period = int(items["period"])
    windows = (horizon + max(period, int(items["life"]))) // period if config.items.life else 0
    consumed = horizon * (1.0 + shape.cart) + float(world.prior_habits["count"].max(initial=0))
    rho = float(world.prior_rho.max(initial=math.exp(_DEVIATIONS * users.price_sensitivity_log_sd)))
    examined = horizon * float(world.theta.sum()) * (1 + _ROUNDING)
    bias = _DEVIATIONS * users.rating_bias_sd
    return {
        "copies": {
            "seed": every,
            "population": every,
            "key": every,
            "episode": (0, _MOST),
            "tick": (0, horizon - 1),
            "stamp": (1, _MOST),
            "visitor": (-1, shape.users - 1),
            "row": (-1, most_rows(world) - 1),
            "rows_taken": (0, most_rows(world)),
            "intent": (-1, shape.topics - 1),
            "scene": (0, shape.scenes - 1),
            "anchor": (-1, shape.items - 1),
            "opened": (-1, shape.agents - 1),
            "session_page": (0, horizon),
        },
        "users": {
            "stamp": (0, _MOST),
            "row": (-1, most_rows(world) - 1),
            "incarnation": (0, horizon),
            "last_visit": _ticks(horizon),
            "last_page": _ticks(horizon),
            "sessions": (0, horizon + 1),
            "group": (0, users.groups - 1),
            "mood": (0, max(len(config.choice.v_0_by_mood) - 1, 0)),
            "cart": (0, shape.cart),
            "satisfaction": (-1 - _ROUNDING, 1 + _ROUNDING),
            "wallet": (-_ROUNDING * users.wallet_init, (1 + _ROUNDING) * users.wallet_init),
            "wallet_tick": _ticks(horizon),
            "rho": (0, rho * (1 + _ROUNDING)),
            "rating_bias": (-bias, bias),
        },
        "touched_users": {"stamp": (0, _MOST), "bits": every},
        "visits": {"sessions": (0, horizon + 1), "last_visit": _ticks(horizon), "last_page": _ticks(horizon)},
        "carts": {
            "item": (0, shape.items - 1),
            "agent": (0, shape.agents - 1),
            "experience": (-_FINITE, _FINITE),
            "rated": (0, 1),
        },
        "habits": {
            "item": (-1, shape.items - 1),
            "window": (0, windows),
            "count": (0, consumed * (1 + _ROUNDING)),
        },
        "recent": {
            "item": (-1, shape.items - 1),
            "bought": (0, 1),
            "pages": (0, horizon + 1),
            "weight": (0, 1),
        },
        "bidders": {"worth": (0, _FINITE), "value": (0, _FINITE), "budget": (0, config.offer.budget)},
        "auctions": {"pages": (0, config.offer.refill_period - 1), "last_price": (0, _FINITE)},
        "items": {
            "stamp": (0, _MOST),
            "window": (0, windows),
            "stock": (0, config.items.stock_init),
            "restock": (0, horizon + config.items.restock_period),
            "clicks": (0, horizon * (1 + _ROUNDING)),
            "impressions": (0, examined),
            "satisfaction": (-_FINITE, _FINITE),
            "touched": (0, horizon),
        },
    }


def _arrays(config: WorldConfig, shape: Shape, world: World) -> dict[str, Limits]:
    """Limits of arrays of plain numbers."""
    consumed = _records(config, shape, world)["habits"]["count"]
    match = math.sqrt(shape.dims) * _profile(world) * _UNIT
    return {
        "seen": consumed,
        "requests": (-1, len(world.requests) - 1),
        "messages": (-1, shape.vocabulary - 1),
        "price_levels": (-1, 1),
        "candidates": (-1, shape.items - 1),
        "matches": (-match, match),
        "order": (0, shape.agents - 1),
        "inclusive": (-math.inf, _FINITE),
        "exposure": (0, config.horizon * float(world.theta.sum()) * (1 + _ROUNDING)),
        "windows": (-1, shape.items - 1),
        "window_clicks": (0, config.platform.period),
        "pages_served": (0, config.platform.period),
    }


def _profile(world: World) -> float:
    """Largest number of a profile: a taste and its noise."""
    return _UNIT + _DEVIATIONS * float(world.params["shape"]["profile_noise"][0])


def _vectors(config: WorldConfig, shape: Shape, world: World) -> Iterator[tuple[str, int, int, Limits]]:
    """(name, start, size, limits) of the parts of a user's vector."""
    at, horizon = world.params["shape"][0], config.horizon
    shown = config.dynamics.satiation_shown * shape.agents * shape.slots
    profile, pages = _profile(world), (0, horizon)
    yield "taste", at["taste"], shape.dims, (-_UNIT, _UNIT)
    yield "profile", at["profile"], shape.dims, (-profile, profile)
    yield "satiation", at["satiation"], shape.topics, (0, horizon * (1 + shown) * (1 + _ROUNDING))
    yield "trust", at["trust"], shape.agents, (-1 - _ROUNDING, 1 + _ROUNDING)
    noise = float(at["history_noise"]) / max(1 - config.observation.history_decay, 1e-9)
    counts = {"history": horizon * (1 + _ROUNDING), "noisy_history": horizon * (1 + _ROUNDING) + _DEVIATIONS * noise}
    for name, views in (("history", shape.views), ("noisy_history", shape.released_views)):
        for view in range(views):
            start = at[name] + view * (shape.dims + shape.topics)
            yield f"{name} {view}, mean", start, shape.dims, (-_UNIT, _UNIT)
            yield f"{name} {view}, counts", start + shape.dims, shape.topics, (0, counts[name])
    yield (
        "observed_satisfaction",
        at["observed_satisfaction"],
        shape.satisfaction_views,
        (-1 - _ROUNDING, 1 + _ROUNDING),
    )
    yield "satisfaction_pages", at["satisfaction_pages"], shape.satisfaction_views, pages
    yield "releases", at["releases"], shape.released_views, (0, config.observation.privacy_pages)


# ------------------------------------------------------------------------------------------------ the check


class Contents:
    """What a state of a world may hold.

    Attributes:
        columns: the limits of every part of every array.
    """

    def __init__(self, config: WorldConfig, shape: Shape, world: World) -> None:
        self.columns = columns(config, shape, world)
        self._opens_agent = config.opens_agent
        self._options = shape.topics * shape.bait_levels  # items of a creator for each position in its window
        width = int(world.params["shape"]["width"][0])
        self._lowest, self._highest = np.full(width, np.inf), np.full(width, -np.inf)  # of the numbers of `vectors`
        for column in self.columns:
            if column.array == "vectors":
                self._lowest[column.selector[1]], self._highest[column.selector[1]] = column.low, column.high
        self._alone = [c for c in self.columns if c.array != "vectors" and (c.low, c.high) != _EVERY]

    def check(self, arrays: State) -> None:
        """Raise ValueError unless a state, whose arrays have the right shapes and kinds, is one that a game may come
        to."""
        with np.errstate(invalid="ignore"):
            # Row by row: the parts of a vector one by one take ten times as long.
            vectors = arrays.vectors.reshape(-1, len(self._lowest))
            right = bool(((vectors.min(0) >= self._lowest) & (vectors.max(0) <= self._highest)).all())
            for column in self._alone:
                numbers = getattr(arrays, column.array)[column.selector]
                if numbers.size:
                    right &= bool(column.low <= numbers.min() and numbers.max() <= column.high)  # a NaN is neither
        if not right:
            for column in self.columns:
                numbers = getattr(arrays, column.array)[column.selector]
                inside = (numbers >= column.low) & (numbers <= column.high)
                _reject(column.label, numbers, ~inside, f"[{column.low:.9g}, {column.high:.9g}]")
        _check_relations(arrays, self._opens_agent)
        _check_windows(arrays, self._options)


def _check_relations(arrays: State, rival: bool) -> None:
    """Raise ValueError where numbers that are in range do not go together."""
    copies = arrays.copies
    stamp, tick, visitor = copies["stamp"], copies["tick"], copies["visitor"]
    users, items = arrays.users["stamp"], arrays.items["stamp"]
    for name in ("users", "items", "touched_users"):
        stamps = getattr(arrays, name)["stamp"]
        _reject(f"{name}.stamp", stamps, stamps > stamp[:, None], "at most the stamp of its copy")
    touched = users == stamp[:, None]
    for name in ("last_visit", "last_page", "wallet_tick"):
        ticks = arrays.users[name]
        _reject(f"users.{name}", ticks, touched & (ticks > tick[:, None]), "at most the tick of its copy")
    taken = np.arange(arrays.visits.shape[1]) < copies["rows_taken"][:, None]
    for name in ("last_visit", "last_page"):
        ticks = arrays.visits[name]
        late = taken[:, :, None] & (ticks > tick[:, None, None])
        _reject(f"visits.{name}", ticks, late, "at most the tick of its copy")
    ticks, mine = arrays.items["touched"], items == stamp[:, None]
    _reject("items.touched", ticks, mine & (ticks > tick[:, None]), "at most the tick of its copy")
    bits = arrays.touched_users["bits"]
    noted = np.where(arrays.touched_users["stamp"] == stamp[:, None], bits, 0)
    _reject(
        "touched_users.bits", bits, noted != _words(touched), "the user slots whose users carry the stamp of their copy"
    )
    _check_rows(arrays)
    for name in ("incarnation", "sessions", "cart"):
        counts = arrays.users[name]
        absent = touched & (arrays.users["row"] < 0)
        _reject(f"users.{name}", counts, absent & (counts > 0), "0 for a user who has not come in this episode")
    comes, each = visitor >= 0, np.arange(len(copies))
    come = has_come(arrays.users, copies)
    _reject("copies.visitor", visitor, comes & ~come[each, visitor], "the slot of a user who has come in this episode")
    row, own = copies["row"], np.where(comes, arrays.users["row"][each, visitor], -1)
    _reject("copies.row", row, row != own, "the row of the visitor, -1 where there is none")
    _reject("copies.intent", copies["intent"], comes & (copies["intent"] < 0), "a topic where somebody visits")
    if rival:
        opened = copies["opened"]
        _reject("copies.opened", opened, comes & (opened < 0), "an agent where somebody visits")


def _check_rows(arrays: State) -> None:
    """Raise ValueError unless the users who have come have one row each, and the rows that are free are enough."""
    rows, taken = arrays.users["row"], arrays.copies["rows_taken"]
    come = has_come(arrays.users, arrays.copies)
    most = np.minimum(arrays.copies["tick"] + 1, arrays.vectors.shape[1])
    _reject("copies.rows_taken", taken, taken > most, "at most one for each page so far, and as many as there are")
    _reject("copies.rows_taken", taken, come.sum(1) != taken, "as many as users have come in this episode")
    _reject("users.row", rows, come & (rows >= taken[:, None]), "below the number of rows that are taken")
    holders = np.zeros((len(rows), max(arrays.vectors.shape[1], 1)), np.int64)
    np.add.at(holders, (np.nonzero(come)[0], rows[come]), 1)
    shared = np.any(holders > 1, axis=1)
    _reject("copies.rows_taken", taken, shared, "one row for each user who has come")


def _check_windows(arrays: State, options: int) -> None:
    """Raise ValueError unless each position in a creator's window holds nothing, or an item that is made for it."""
    windows = arrays.windows
    if windows.size:
        positions = np.arange(windows[0].size).reshape(windows.shape[1:])
        wrong = (windows >= 0) & (windows // options != positions)
        _reject("windows", windows, wrong, "an item of the creator for this position in its window, or -1")


def _words(touched: np.ndarray) -> np.ndarray:
    """[B, words] of the bits of [B, U]."""
    packed = np.packbits(touched, axis=1, bitorder="little")
    missing = -packed.shape[1] % (int(USERS_PER_WORD) // 8)
    words: np.ndarray = np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing)))).view("<u8")
    return words


def _reject(name: str, numbers: np.ndarray, wrong: np.ndarray, allowed: str) -> None:
    """Raise ValueError for the first number that is wrong, if there is one."""
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0].tolist())
        raise ValueError(
            f"the snapshot's {name} hold {numbers[first].item()!r} in copy {first[0]}, allowed is {allowed}; "
            "it is not what save() returned"
        )


# ------------------------------------------------------------------------------------------------ worlds


def check_world(world: Any, present: World, shape: Shape) -> None:
    """Raise unless a world can be played in place of the present one: arrays of the same shapes and kinds, indices that
    lie in their arrays, other whole numbers in the range that they have now, and finite floats.

    Raises:
        TypeError: it is no world.
        ValueError: it cannot; the message names the array.
    """
    if not isinstance(world, World):
        raise TypeError(f"world = {shown(world)} must be a World")
    limits = _indices(shape)
    for array, mine, other in zip(World._fields, present, world, strict=True):
        if not isinstance(other, np.ndarray) or (other.shape, other.dtype) != (mine.shape, mine.dtype):
            raise ValueError(
                f"world.{array} = {shown(other)} must be {mine.dtype}{list(mine.shape)}, as in the world before"
            )
        for name, before, after in _numbers(array, mine, other):
            if before.dtype.kind == "f":
                wrong, allowed = ~np.isfinite(after) & (after != before), "finite"
            else:
                low, high = limits.get(name) or (before.min(), before.max())
                wrong, allowed = (after < low) | (after > high), f"from {low} to {high}"
            if wrong.any():
                raise ValueError(f"world.{name} holds {after[wrong][0].item()!r}, but must be {allowed}")


def _indices(shape: Shape) -> dict[str, Limits]:
    """Limits of the whole numbers of a world that differ between worlds of one task."""
    items = 0, shape.items - 1
    return {
        "params.shape.world_seed": (-(2**63), 2**63 - 1),
        "items.topic": (0, shape.topics - 1),
        "items.alias": items,
        "popular.item": items,
        "popular.alias": items,
        "topic_start": (0, shape.items),
        "leads_to": (0, shape.topics - 1),
        "activity.alias": (0, shape.users - 1),
        "prior_habits.item": (-1, shape.items - 1),
    }


def _numbers(name: str, before: np.ndarray, after: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, numbers before, numbers after) of an array, of each field if it holds records."""
    if before.dtype.names is None and before.size:
        yield name, before, after
    for field in before.dtype.names or ():
        yield from _numbers(f"{name}.{field}", before[field], after[field])
