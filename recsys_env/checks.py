"""Checks of single values, and how errors put them into words: the name, the value, and what is allowed."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np

Thing = TypeVar("Thing")

_NAMED = 30  # names that a message tells at most


def is_sequence(value: Any) -> bool:
    """Whether the value is a sequence or an array of one dimension. Texts and bytes are not."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_number(value: Any, *kinds: type) -> bool:
    """Whether the value is a scalar of these kinds (default: integers and floats), of Python or NumPy.

    Booleans and time spans are not numbers here.
    """
    kinds = kinds or (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, (bool, np.timedelta64))


def shown(value: Any) -> str:
    """A value as it appears in a message: on one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an integer of more than 4,300 digits, too many lists within lists, or an error of its own
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= 200 else f"{text[:200]}..."


def did_you_mean(word: Any, allowed: Iterable[Any]) -> str:
    """Hint at the nearest allowed word, if there is one."""
    word = nearest(word, allowed)
    return f" (did you mean {word!r}?)" if word else ""


def nearest(word: Any, allowed: Iterable[Any]) -> str:
    """Return the allowed word of which the given one is a near miss or the beginning; without one, ""."""
    if not isinstance(word, str):
        return ""
    words, given = {str(a).lower(): str(a) for a in allowed}, word.lower()
    close = difflib.get_close_matches(given, words, n=1, cutoff=0.75)
    close = close or [known for known in words if len(given) > 2 and known.startswith(given)]
    return words[close[0]] if close else ""


def unknown(kind: str, name: Any, known: Iterable[str]) -> str:
    """Return the message for an unknown name: its kind, the nearest known name, and all or some known names."""
    known = list(known)
    some = known if len(known) <= _NAMED else [*known[:_NAMED], "..."]
    return f"unknown {kind} {shown(name)}{did_you_mean(name, known)}; {kind}s are {', '.join(some)}"


class ByName(dict[str, Thing]):
    """Dictionary of named objects of one kind; a missing name raises a KeyError that suggests the nearest name."""

    def __init__(self, kind: str, things: dict[str, Thing]) -> None:
        super().__init__(things)
        self._kind = kind

    def __missing__(self, name: object) -> NoReturn:
        raise KeyError(unknown(self._kind, name, self))


class ReadOnly(Mapping[str, Thing]):
    """Mapping that nobody may change through it; whoever tries reads what to do in its place.

    Args:
        things: by name, looked at and not copied.
        instead: a sentence that says how a thing is added, or why none is.
    """

    def __init__(self, things: Mapping[str, Thing], instead: str) -> None:
        self._things = things
        self._instead = instead

    def __getitem__(self, name: str) -> Thing:
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return repr(self._things)

    def __setitem__(self, name: str, thing: Thing) -> NoReturn:
        raise TypeError(f"{name!r} cannot be set: this mapping is read-only; {self._instead}")

    def __delitem__(self, name: str) -> NoReturn:
        raise TypeError(f"{name!r} cannot be removed: this mapping is read-only; {self._instead}")


def array_of(values: Any) -> np.ndarray:
    """The values as an array of any kind.

    Raises:
        ValueError: the values cannot be converted to one array, or some are masked (an array would lose the mask).
    """
    try:
        if isinstance(values, np.ma.MaskedArray):
            raise ValueError
        return np.asarray(values)
    except Exception:  # of rows of unequal length, or the value's own
        raise ValueError(f"{shown(values)} is not one array without a mask") from None


def as_numbers(name: str, values: Any, kinds: str = "fiu") -> np.ndarray:
    """The values as an array of finite numbers of these kinds, in NumPy's letters ("iu": whole ones only).

    Raises:
        ValueError: they make no array, or some are not finite.
        TypeError: they are something else than numbers.
    """
    what = "finite numbers" if "f" in kinds else "whole numbers"
    try:
        if isinstance(values, bytearray | memoryview):
            raise ValueError
        array = array_of(values)
    except ValueError:
        raise ValueError(f"{name} = {shown(values)} must be one array of {what}") from None
    if array.dtype.kind not in kinds and array.size:
        raise TypeError(f"{name} = {shown(values)} of dtype {array.dtype} must be {what}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} = {shown(values)} must be {what}")
    return array


def as_indices(name: str, values: Any, number: int | np.ndarray, error: type[Exception] = ValueError) -> np.ndarray:
    """The values as int64 indices, 0 .. number - 1.

    Args:
        number: how many things there are; an array that broadcasts with the values where it differs between them.

    Raises:
        ValueError, TypeError: they are no whole numbers.
        error: some are out of range.
    """
    array = as_numbers(name, values, "iu")
    if ((array < 0) | (array >= number)).any():
        raise error(f"{name} = {shown(values)} must be from 0 to {np.max(number) - 1}")
    return array.astype(np.int64)


def check_finite(name: str, value: Any) -> None:
    """Raise unless the value is a finite number."""
    if not is_number(value):
        raise TypeError(f"{name} = {shown(value)} must be a number")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        finite = False
    if not finite:
        raise ValueError(f"{name} = {shown(value)} must be finite")


def check_flag(name: str, value: Any) -> None:
    """Raise TypeError unless the value is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} = {shown(value)} must be True or False")


def check_count(name: str, value: Any, low: int, high: int) -> None:
    """Raise unless the value is an integer in [low, high]."""
    if not is_number(value, int, np.integer):
        raise TypeError(f"{name} = {shown(value)} must be an integer")
    if not low <= value <= high:
        raise ValueError(f"{name} = {shown(value)} is out of range; allowed is [{low}, {high}]")


def check_options(options: Any, known: Iterable[str] = ()) -> None:
    """Check the options of a `reset`: warn of those that it does not know, once for each place that gives them.

    Raises:
        TypeError: they are neither None nor a dict.
        ValueError: they ask for a reset of some copies of a batch (`reset_mask`).
    """
    if options is None:
        return
    if not isinstance(options, Mapping):
        raise TypeError(f"options = {shown(options)} must be a dict or None")
    if "reset_mask" in options:
        raise ValueError(
            "options['reset_mask'] is not possible: the copies of a batch begin and end their episodes together"
        )
    known = list(known)
    ignored = [name for name in options if name not in known]
    if ignored:
        hint = f"; known are {', '.join(known)}" if known else ""
        if "num_agents" in ignored:
            hint += "; team_sizes_env makes environments whose episodes have several numbers of agents"
        warnings.warn(f"reset ignores the options {', '.join(map(shown, ignored))}{hint}", stacklevel=3)


def checked_seed(seed: Any, name: str = "seed") -> int:
    """The seed, if it is an integer in [0, 2^64)."""
    if not is_number(seed, int, np.integer):
        raise TypeError(f"{name} = {shown(seed)} must be an integer in [0, 2^64)")
    if not 0 <= int(seed) < 2**64:
        raise ValueError(f"{name} = {shown(seed)} is out of range; allowed are integers in [0, 2^64)")
    return int(seed)
