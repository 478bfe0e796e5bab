"""One bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import recsys_env

api: Any = recsys_env  # untyped, as callers without a type checker use it


class Skipped(Exception):
    """The drawn input is not bad after all."""


class Repaired(Exception):
    """The input was replaced by another one, as documented. The text is the message that says so; empty if there is
    none."""


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        what: the input, for people to read.
        call: gives the input to the interface.
        names: the error has to contain one of these (field, argument, agent, column, file).
        values: the error has to contain one of these too; empty if there is no value to show.
        state: what must not change.
        secret: what no message may contain.
    """

    what: str
    call: Callable[[], Any]
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    state: Callable[[], bytes] | None = None
    secret: str = ""


def texts(value: Any) -> tuple[str, ...]:
    """The texts by which a message may show a value."""
    told = [repr(value)[:40], str(value)[:40], type(value).__name__]
    if isinstance(value, np.ndarray):
        told += [str(value.shape), str(value.dtype), repr(value.tolist())[:40], repr(value)[:20]]
    if isinstance(value, (float, np.floating, np.integer)) and not isinstance(value, np.timedelta64):
        told += [f"{value:g}", repr(float(value)), repr(float(np.float32(value)))]
    if isinstance(value, np.ndarray):
        told += [*(repr(item)[:40] for item in value.ravel()[:3]), *(str(size) for size in value.shape[:1])]
    elif not isinstance(value, (list, tuple)):
        told.append("shape ()")  # as NumPy describes it
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
