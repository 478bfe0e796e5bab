"""Frozen dataclasses that validate themselves: each field declares its meaning and its allowed values.

The check of a value, its error message, `describe` and, for a task's config, the parameter record of the kernels are
derived from the declaration (`number_field`, `choice_field`, ...).
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from ..checks import check_flag, did_you_mean, is_number, shown

# ------------------------------------------------------------------------------------------------ declarations


def number_field(
    default: float | bool,
    doc: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    unit: str = "",
    source: str = "",
    from_catalogue: bool = False,
    also: tuple[str, ...] = (),
) -> Any:
    """Declare a scalar field.

    Args:
        doc: its meaning.
        low, high: closed interval of allowed values.
        source: source of the default.
        from_catalogue: a catalogue determines this value, so the field has no effect beside a catalogue.
        also: other names by which users may look for the field, used in hints.
    """
    metadata = {"doc": doc, "low": low, "high": high, "unit": unit, "source": source, "from_catalogue": from_catalogue}
    return field(default=default, metadata={**metadata, "also": also})


def text_field(default: str, doc: str, **options: Any) -> Any:
    """Declare a field that takes any string."""
    return field(default=default, metadata={"doc": doc}, **options)


def choice_field(
    default: str, doc: str, *allowed: str, from_catalogue: bool = False, also: tuple[str, ...] = ()
) -> Any:
    """Declare a field that takes one of a few words; the kernels see its index."""
    metadata = {"doc": doc, "allowed": allowed, "from_catalogue": from_catalogue, "also": also}
    return field(default=default, metadata=metadata)


def numbers_field(
    default: tuple[float, ...], doc: str, low: float = -math.inf, high: float = math.inf, *, source: str = ""
) -> Any:
    """Declare a field that holds a tuple of numbers."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "item": float, "source": source})


def integers_field(doc: str, low: int, high: int) -> Any:
    """Declare a field that holds a tuple of integers, empty by default."""
    return field(default=(), metadata={"doc": doc, "low": low, "high": high, "item": int})


def words_field(doc: str, *allowed: str) -> Any:
    """Declare a field that holds some of a few words, none by default."""
    return field(default=(), metadata={"doc": doc, "item": str, "words": allowed})


def weights_field(doc: str, low: float, high: float, *names: str) -> Any:
    """Declare a field that maps some of a few names to numbers, none by default."""
    return field(default=Weights(), metadata={"doc": doc, "low": low, "high": high, "names": names})


def group_field(kind: type) -> Any:
    """Declare a field that holds a group of fields."""
    return field(default_factory=kind, metadata={"group": kind})


def parts_field(kind: type) -> Any:
    """Declare a field that holds a tuple of groups, one by default."""
    return field(default=(kind(),), metadata={"item": kind})


class Weights(dict[str, float]):
    """Mapping from name to weight, a dictionary that cannot be changed, so that its config can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:  # copies and pickles are made at once, not entry by entry
        return Weights, (dict(self),)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "weights are part of a frozen config and cannot be changed; make another config with recsys_env.replace"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


# ------------------------------------------------------------------------------------------------ checks

T = TypeVar("T")


def frozen(kind: type[T]) -> type[T]:
    """Let a frozen dataclass say how to get a changed copy when somebody assigns to a field of it."""

    def refuse(self: Any, name: str, *value: Any) -> NoReturn:
        assigned = f"{type(self).__name__}.{name}{''.join(f' = {shown(v)}' for v in value)}"
        raise dataclasses.FrozenInstanceError(
            f"{assigned}: a config cannot be changed; recsys_env.replace(config, changes) makes a changed copy"
        )

    kind.__setattr__ = kind.__delattr__ = refuse  # type: ignore[assignment,method-assign]
    return kind


class Settings:
    """Base of frozen dataclasses that check every field against its declaration.

    Error messages name the field, its value and its range.
    """

    def __post_init__(self) -> None:
        for f in _fields_of(self):
            object.__setattr__(self, f.name, _checked(type(self).__name__, f, getattr(self, f.name)))

    def _suggestion(self, name: str) -> str:
        """Suggest which field was meant by this unknown name."""
        for f in _fields_of(self):
            if name in f.metadata.get("also", ()):
                return f" (did you mean {f.name!r}?)"
        return did_you_mean(name, (f.name for f in _fields_of(self)))

    def _check_changes(self, changes: Mapping[str, Any]) -> None:
        """Refuse changes that would have no effect; called by `replace`."""


def _checked(owner: str, f: dataclasses.Field[Any], value: Any) -> Any:
    name, meta = f"{owner}.{f.name}", f.metadata
    if "group" in meta:
        return _checked_group(name, meta["group"], value)
    if "kind" in meta:
        if not isinstance(value, meta["kind"]):
            raise TypeError(f"{name} = {shown(value)} must be a {meta['kind'].__name__}")
        return value
    if "allowed" in meta:
        return _checked_word(name, value, meta["allowed"])
    if "names" in meta:
        return _checked_weights(name, meta, value)
    if "item" in meta:
        if not isinstance(value, (tuple, list, np.ndarray)) or getattr(value, "ndim", 1) == 0:
            raise TypeError(f"{name} = {shown(value)} must be a tuple of {meta['item'].__name__}")
        return tuple(_checked_item(f"{name}[{i}]", meta, x) for i, x in enumerate(value))
    if "low" in meta:
        return _checked_number(name, type(f.default), meta, value)
    if not isinstance(value, str):
        raise TypeError(f"{name} = {shown(value)} must be a string")
    return value


def _checked_item(name: str, meta: Any, value: Any) -> Any:
    if is_dataclass(meta["item"]):
        return _checked_group(name, meta["item"], value)  # type: ignore[arg-type]
    if "words" in meta:
        return _checked_word(name, value, meta["words"])
    return _checked_number(name, meta["item"], meta, value)


def _checked_word(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(
            f"{name} = {shown(value)} is not allowed; choose one of {list(allowed)}{did_you_mean(value, allowed)}"
        )
    return value


def _checked_weights(name: str, meta: Any, value: Any) -> Weights:
    names = meta["names"]
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} = {shown(value)} must be a dict of weights by name, such as {{{names[0]!r}: 1.0}}; "
            f"names are {', '.join(names)}"
        )
    for key in value:
        if key not in names:
            raise ValueError(f"{name} weighs {shown(key)}{did_you_mean(key, names)}; it may weigh {', '.join(names)}")
    return Weights(
        {key: _checked_number(f"{name}[{shown(key)}]", float, meta, value[key]) for key in names if key in value}
    )


def _checked_group(name: str, group: type, value: Any) -> Any:
    if isinstance(value, dict):
        return replace(group(), value)
    if not isinstance(value, group):
        raise TypeError(f"{name} = {shown(value)} must be a {group.__name__} or a dict of its fields")
    return value


def _checked_number(name: str, kind: type, meta: Any, value: Any) -> Any:
    low, high = meta["low"], meta["high"]
    if kind is bool:
        check_flag(name, value)
        return bool(value)
    if not is_number(value):
        raise TypeError(f"{name} = {shown(value)} must be {'an integer' if kind is int else 'a number'}")
    value = value.item() if isinstance(value, np.generic) else value  # NumPy compares in its own precision
    if kind is int and value != value // 1:
        raise TypeError(f"{name} = {shown(value)} must be an integer")
    largest = sys.float_info.max if kind is float else math.inf
    if not max(low, -largest) <= value <= min(high, largest):  # also of NaN
        raise ValueError(f"{name} = {shown(value)} is out of range; allowed is a finite value in [{low:g}, {high:g}]")
    return kind(value)


# ------------------------------------------------------------------------------------------------ changes


def replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy of a config with some fields changed; nested dicts change single fields of a group.

    Raises:
        TypeError: a field is unknown (the message names the nearest one), a value has a wrong type, or the arguments
            are not a config and a dict.
        ValueError: a value is out of range, or fields contradict each other.
    """
    known = {f.name: f for f in _fields_of(config)}
    if not isinstance(changes, Mapping):
        raise TypeError(f"changes = {shown(changes)} must be a dict of fields of {type(config).__name__}")
    new: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise TypeError(
                f"{type(config).__name__} has no field {shown(name)}{config._suggestion(name)}; "
                f"fields: {', '.join(known)}"
            )
        new[name] = (
            replace(getattr(config, name), value)
            if "group" in known[name].metadata and isinstance(value, dict)
            else value
        )
    config._check_changes(changes)
    return dataclasses.replace(config, **new)


def _fields_of(config: Any) -> tuple[dataclasses.Field[Any], ...]:
    if not isinstance(config, Settings):
        hint = (
            f"; did you mean {config.__name__}()?" if isinstance(config, type) and issubclass(config, Settings) else ""
        )
        raise TypeError(f"config = {shown(config)} must be a WorldConfig or one of its groups{hint}")
    return fields(config)  # type: ignore[arg-type]


def difference(config: Any, other: Any) -> str:
    """Return the first field in which two unequal configs differ, with both values."""
    f = next(f for f in fields(config) if getattr(config, f.name) != getattr(other, f.name))
    there, here = getattr(config, f.name), getattr(other, f.name)
    return (
        f"{f.name}.{difference(there, here)}"
        if "group" in f.metadata
        else f"{f.name} = {shown(there)} there, {shown(here)} here"
    )


# ------------------------------------------------------------------------------------------------ in words


def describe(config: Any) -> str:
    """Describe a config, one line per field: name, value, meaning, unit, allowed range, default, source.

    Args:
        config: a `WorldConfig`, described with all groups, scenes and roles, or one of its groups.
    """
    return "\n".join(_lines(config, "", bool(getattr(config, "catalogue", ""))))


def _lines(config: Any, prefix: str, catalogue: bool) -> Iterator[str]:
    for f in _fields_of(config):
        name, value = f"{prefix}{f.name}", getattr(config, f.name)
        if "group" in f.metadata:
            yield from _lines(value, f"{name}.", catalogue)
        elif is_dataclass(f.metadata.get("item")):
            for i, part in enumerate(value):
                yield from _lines(part, f"{name}[{i}].", catalogue)
        elif catalogue and f.metadata.get("from_catalogue"):
            yield f"{name} comes from the catalogue: {f.metadata['doc']}"
        else:
            text = repr(" ".join(value.split()) if isinstance(value, str) else value)
            yield f"{name} = {text}: {f.metadata['doc']} ({', '.join(_notes(f))})"


def _notes(f: dataclasses.Field[Any]) -> Iterator[str]:
    """Return unit, allowed values, default and source of a field."""
    meta = f.metadata
    if meta.get("unit"):
        yield meta["unit"]
    if isinstance(f.default, bool):
        yield "True or False"
    elif "allowed" in meta:
        yield f"one of {list(meta['allowed'])}"
    elif "kind" in meta:
        yield f"a {meta['kind'].__name__}"
    elif "words" in meta:
        yield f"any of {list(meta['words'])}"
    else:
        if "names" in meta:
            yield f"any of {list(meta['names'])}"
        yield (
            f"{'each ' if 'names' in meta or 'item' in meta else ''}in [{meta['low']:g}, {meta['high']:g}]"
            if "low" in meta
            else "text"
        )
    yield "required" if f.default is dataclasses.MISSING else f"default {f.default!r}"
    if meta.get("source"):
        yield f"source: {meta['source']}"
