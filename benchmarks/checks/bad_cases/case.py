"""One bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import recsys_env

api: Any = recsys_env  # as it is called by those who do not check types


class Skipped(Exception):
    """The input turned out to be no bad one."""


class Repaired(Exception):
    """The input was taken for something else, as is documented, and this says so; nothing, if it does not."""


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        what: the input, for people.
        call: gives it to the interface.
        names: the error has to name one of these (field, argument, agent, column, file).
        values: and to contain one of these; empty = there is no value to be told.
        state: what must not change.
        secret: what no message may hold.
    """

    what: str
    call: Callable[[], Any]
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    state: Callable[[], bytes] | None = None
    secret: str = ""


def texts(value: Any) -> tuple[str, ...]:
    """How a message may tell a value."""
    told = [repr(value)[:40], str(value)[:40], type(value).__name__]
    if isinstance(value, np.ndarray):
        told += [str(value.shape), str(value.dtype), repr(value.tolist())[:40], repr(value)[:20]]
    if isinstance(value, (float, np.floating, np.integer)) and not isinstance(value, np.timedelta64):
        told += [f"{value:g}", repr(float(value)), repr(float(np.float32(value)))]
    if isinstance(value, np.ndarray):
        told += [*(repr(item)[:40] for item in value.ravel()[:3]), *(str(size) for size in value.shape[:1])]
    elif not isinstance(value, (list, tuple)):
        told.append("shape ()")  # what NumPy makes of it
    if isinstance(value, dict):
        told += [part for pair in value.items() for item in pair for part in texts(item) if not isinstance(item, dict)]
    if isinstance(value, (list, tuple)):
        told += [part for item in value for part in (repr(item)[:40], str(item)[:40], type(item).__name__)] + [
            f"{len(value)} entries",
            str(len(value)),
        ]
    return tuple(text for text in told if text)


def short(value: Any) -> str:
    return repr(value)[:80]
