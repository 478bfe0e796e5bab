"""Whether a bad input is refused as it should be: one line of our own that names it, while nothing changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
OURS = (str(ROOT / "recsys_env"), str(ROOT / "baselines"))
ALLOWED_ERRORS = (ValueError, TypeError, KeyError, IndexError, RuntimeError, ImportError, OSError)
LONGEST = 1500  # characters of a message


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        what: the input, for people to read.
        call: gives the input to the interface.
        names: the error has to contain one of these (field, argument, agent, column, file).
        values: the error has to contain one of these too; empty if there is no value to show.
        state: what must not change.
    """

    what: str
    call: Callable[[], Any]
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    state: Callable[[], bytes] | None = None


def texts(value: Any) -> tuple[str, ...]:
    """The texts by which a message may show a value."""
    told = [repr(value)[:40], str(value)[:40], type(value).__name__]
    if isinstance(value, (float, np.floating, np.integer)) and not isinstance(value, np.timedelta64):
        told += [f"{value:g}", repr(float(value)), repr(float(np.float32(value)))]
    if isinstance(value, np.ndarray):
        told += [str(value.shape), str(value.dtype), repr(value.tolist())[:40], repr(value)[:20]]
        told += [*(repr(item)[:40] for item in value.ravel()[:3]), *(str(size) for size in value.shape[:1])]
    elif isinstance(value, (list, tuple)):
        told += [part for item in value for part in (repr(item)[:40], str(item)[:40], type(item).__name__)]
        told += [f"{len(value)} entries", str(len(value))]
    else:
        told.append("shape ()")  # as NumPy describes it
    if isinstance(value, dict):
        told += [part for pair in value.items() for item in pair for part in texts(item) if not isinstance(item, dict)]
    return tuple(text for text in told if text)


def judge(case: Case) -> tuple[str, str]:
    """Give the input and return the verdict with the message.

    silent: it was accepted, or the state has changed. unclear: the error is not one of ours, has several lines, or does
    not name what is wrong. clear: everything else.
    """
    before = case.state() if case.state else b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = case.call()
    except Exception as error:
        verdict = _judge_error(case, error)
    else:
        return "silent", f"accepted: {found!r}"[:160]
    if case.state and case.state() != before:
        return "silent", f"the state has changed after {verdict[1]}"
    return verdict


def _judge_error(case: Case, error: Exception) -> tuple[str, str]:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = f"{type(error).__name__}: {message}"
    if not isinstance(error, ALLOWED_ERRORS):
        return "unclear", f"[not an error of ours] {said}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code: Any = trace and trace.tb_frame.f_code
    by_call = isinstance(error, TypeError) and "argument" in message and code is getattr(case.call, "__code__", None)
    if not by_call and not code.co_filename.startswith(OURS):
        return "unclear", f"[raised in {Path(code.co_filename).name}] {said}"
    if not message or "\n" in message or len(message) > LONGEST:
        return "unclear", f"[not one line] {said}"
    if not any(name in message for name in case.names):
        return "unclear", f"[does not name {' or '.join(case.names)}] {said}"
    if case.values and not any(value in message for value in case.values):
        return "unclear", f"[does not tell the value] {said}"
    return "clear", said
