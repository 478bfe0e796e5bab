"""Misspelt words, and values of the wrong kind, range or nesting."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from recsys_env import WorldConfig

from .case import Skipped


def misspelt(rng: np.random.Generator, word: str, known: Any) -> str:
    """Drop, double, exchange or change a letter of a word, so that it is none of the known words."""
    while True:
        i = int(rng.integers(len(word)))
        changed = (
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + "z" + word[i + 1 :],
            word + "_",
            word.upper(),
            word[::-1],
        )
        found = str(rng.choice(changed))
        if found and found not in known:
            return found


def strange(rng: np.random.Generator) -> Any:
    """Draw a value that is no number, no word and no sequence of either."""
    values: tuple[Callable[[], Any], ...] = (
        lambda: None,
        dict,
        set,
        object,
        lambda: object,
        lambda: len,
        lambda: 1 + 2j,
        lambda: b"1",
        lambda: decimal.Decimal("1.5"),
        lambda: datetime.date(2020, 1, 1),
        lambda: np.datetime64("2020-01-01"),
        lambda: np.timedelta64(1, "s"),
        lambda: {"a": 1},
        lambda: iter([1]),
        lambda: np.array([[1.0, 2.0]]),
        lambda: np.array([None]),
        lambda: range(2),
        lambda: Ellipsis,
        lambda: np.zeros(0),
        lambda: slice(1),
    )
    return values[int(rng.integers(len(values)))]()


def bad_number(rng: np.random.Generator, kind: type, low: float, high: float) -> Any:
    """Draw a value that is outside [low, high], not finite, or no number of this kind."""
    below, above = (
        low - abs(low) * rng.random() - rng.integers(1, 9),
        high + abs(high) * rng.random() + rng.integers(1, 9),
    )
    values = [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("nan"),
        "1",
        "",
        [1],
        (1.0,),
        True,
        10**400,
        -(10**400),
        strange(rng),
        strange(rng),
    ]
    values += [float(below), float(above)] if math.isfinite(low) and math.isfinite(high) else []
    if kind is int:
        values += [0.5, 1.25, np.float64(2.5), int(below), int(above), "3"]
    return values[int(rng.integers(len(values)))]


def bad_value(rng: np.random.Generator, f: Any) -> Any:
    """Draw a value that this config field does not take; None if no bad value of it is known."""
    meta = f.metadata
    if "group" in meta:
        return [
            3,
            None,
            "x",
            [1],
            (),
            1.5,
            object(),
            meta["group"],
            WorldConfig() if meta["group"] is not WorldConfig else 3,
        ][int(rng.integers(9))]
    if "allowed" in meta:
        word = str(rng.choice(meta["allowed"]))
        return [
            misspelt(rng, word, meta["allowed"]),
            "",
            3,
            [word],
            np.array([word, word]),
            word.encode(),
            strange(rng),
        ][int(rng.integers(7))]
    if "kind" in meta:
        return [3, "x", [1], {}, object(), True][int(rng.integers(6))]
    if "names" in meta:
        return bad_weights(rng, meta)
    if "item" in meta:
        return bad_tuple(rng, meta)
    if "low" in meta and isinstance(f.default, bool):
        return [0, 1, "True", 0.0, np.array([True, False]), [True], strange(rng)][int(rng.integers(7))]
    if "low" in meta:
        return bad_number(rng, type(f.default), meta["low"], meta["high"])
    if isinstance(f.default, str):
        return [3, 1.5, ["x"], ("x",), True, strange(rng)][int(rng.integers(6))]
    raise Skipped


def bad_weights(rng: np.random.Generator, meta: Any) -> Any:
    name = str(rng.choice(meta["names"]))
    wrong = bad_number(rng, float, meta["low"], meta["high"])
    return [{name: wrong}, {misspelt(rng, name, meta["names"]): 1.0}, (1.0, 0.0), [name], name, 3, {3: 1.0}][
        int(rng.integers(7))
    ]


def bad_tuple(rng: np.random.Generator, meta: Any) -> Any:
    if is_dataclass(meta["item"]):
        inner: Any = [3, None, "page", ["page"], ("x", 1), 1.5, object()][int(rng.integers(7))]
        return [3, "page", 1.5, {"name": "page"}, [inner], (inner,), [{"name": "a"}, inner], strange(rng)][
            int(rng.integers(8))
        ]
    if "words" in meta:
        word = misspelt(rng, str(rng.choice(meta["words"])), meta["words"])
        return [[word], (word,), word, 3, [3], [[word]], strange(rng)][int(rng.integers(7))]
    inner = bad_number(rng, meta["item"], meta["low"], meta["high"])
    return [[inner], (inner,), [0.5, inner], "0.5", 3, 1.5, strange(rng)][int(rng.integers(7))]
