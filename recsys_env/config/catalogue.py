"""Fitted catalogues: the items and customers of a real platform, as arrays.

`recsys_env.fitting.fit` makes a catalogue from a purchase log; `World.build` uses it in place of synthetic items and
users. It contains only NumPy arrays, so a shipped catalogue needs only the core dependencies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_finite, shown
from ..files import (
    Declared,
    FileError,
    checked_path,
    digest_of_arrays,
    digest_of_value,
    read_arrays,
    value_among,
    write_arrays,
)

SHIPPED = ("grocery",)


@dataclass(frozen=True, eq=False, repr=False)
class Catalogue:
    """Items and users of one platform; M items, U users, D taste dimensions, T topics, X domains, H habit entries,
    R price ratios.

    Raises a `ValueError` that names the array if shapes or kinds disagree, a value is not finite, or a vector does not
    have unit norm.

    Its arrays are copies of the given ones, and read-only.
    """

    item_vectors: np.ndarray  # [M, D] float32, unit norm: q_j
    item_topic: np.ndarray  # [M] int32 in [0, T), every topic in use
    item_intercept: np.ndarray  # [M] float32: alpha_j, in utils
    item_price: np.ndarray  # [M] float32 > 0: list price, in the log's currency
    # [M, R] float32 > 0: prices in the log relative to the list price, one of which holds in each promotion period;
    # R = 0: prices change by `ItemConfig.promotion_probability` and `promotion_depth` alone
    item_price_ratio: np.ndarray
    item_popularity: np.ndarray  # [M] float32 > 0: historical number of purchases
    user_taste: np.ndarray  # [U, D] float32, unit norm: p_u
    user_price_sensitivity: np.ndarray  # [U] float32 > 0, mean 1: rho_u
    user_activity: np.ndarray  # [U] float32 > 0: visits per unit of time, any scale
    habit_item: np.ndarray  # [U, H] int32: the user's most consumed items, -1 = empty entry
    habit_count: np.ndarray  # [U, H] float32 >= 0: their recency-weighted counts n_{u,j}
    item_domain: np.ndarray  # [M] int32 in [0, X): what inventories may be made of (`RoleConfig.domains`)
    item_name: np.ndarray  # [M] str: titles
    item_text: np.ndarray  # [M] str: descriptions or attributes, empty where there are none
    topic_name: np.ndarray  # [T] str
    domain_name: np.ndarray  # [X] str
    item_quality: np.ndarray | None = None  # [M] float32: g_j, what people find out after the click; None = 0 for all
    item_id: np.ndarray | None = None  # [M] str: their ids in the log; None = they have none
    user_id: np.ndarray | None = None  # [U] str: likewise
    # What is expected of an item whose own record is not known, given x, the log of its usual price (the geometric mean
    # of what is asked for it) over the mean list price of its topic:
    # item_intercept = popularity_intercept + popularity_slope * log(1 + item_popularity) + price_slope * x, and
    # item_quality = quality_slope * x.
    popularity_intercept: float = 0.0
    popularity_slope: float = 0.0
    price_slope: float = 0.0
    quality_slope: float = 0.0
    source: str = ""  # where the log came from and how it was filtered
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # fitted WorldConfig fields, by group

    def __repr__(self) -> str:
        return f"Catalogue({len(self.item_name)} items, {len(self.user_taste)} users, source={self.source!r})"

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Catalogue):
            return self is other
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.source, self.item_vectors.shape, self.user_taste.shape))

    def __post_init__(self) -> None:
        sizes = self._check_shapes()
        self._check_kinds()
        self._check_values(sizes)
        for name, value in self.arrays().items():
            array = value.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "settings", deepcopy(self.settings))

    def _check_shapes(self) -> dict[str, int]:
        """Return the sizes by their letters in `_AXES`, or raise ValueError if arrays disagree about them."""
        items, dims = _shape(self, "item_vectors", 2)
        users, habits = _shape(self, "habit_item", 2)
        (topics,), (domains,) = _shape(self, "topic_name", 1), _shape(self, "domain_name", 1)
        _, ratios = _shape(self, "item_price_ratio", 2)
        sizes = {"M": items, "D": dims, "U": users, "H": habits, "T": topics, "X": domains, "R": ratios}
        for name, axes in _AXES.items():
            shape = tuple(sizes[axis] for axis in axes)
            if name in _OPTIONAL and getattr(self, name) is None:
                continue
            if _shape(self, name, len(shape)) != shape:
                raise ValueError(f"Catalogue.{name} has shape {getattr(self, name).shape}, expected {shape}")
        return sizes

    def _check_kinds(self) -> None:
        """Raise ValueError or TypeError for contents of a wrong type, and for numbers that are not finite."""
        for name, value in self.arrays().items():
            kind, what = _KINDS.get(name, ("f", "floats"))
            if value.dtype.kind != kind:
                raise ValueError(f"Catalogue.{name} must hold {what}, not {value.dtype}")
            if kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"Catalogue.{name} holds NaN or infinite values")
        for name in _EXPECTED:
            check_finite(f"Catalogue.{name}", getattr(self, name))
        if not isinstance(self.source, str):
            raise TypeError(f"Catalogue.source = {shown(self.source)} must be a text")
        if not isinstance(self.settings, dict):
            raise TypeError(f"Catalogue.settings = {shown(self.settings)} must be a dict of config fields by group")

    def _check_values(self, sizes: Mapping[str, int]) -> None:
        """Raise ValueError for values out of their range."""
        for name in ("item_price", "item_price_ratio", "item_popularity", "user_price_sensitivity", "user_activity"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(
                    f"Catalogue.{name} must be positive everywhere, smallest is {getattr(self, name).min()}"
                )
        for name in ("item_vectors", "user_taste"):
            if not np.allclose(_norms(getattr(self, name)), 1.0, atol=_NORM_TOLERANCE):
                raise ValueError(f"Catalogue.{name} must have rows of unit norm")
        if (outside := self.habit_item[(self.habit_item < -1) | (self.habit_item >= sizes["M"])]).size:
            raise ValueError(f"Catalogue.habit_item must lie in [-1, {sizes['M']}), found {outside[0]}")
        if self.habit_count.size and self.habit_count.min() < 0:
            raise ValueError(f"Catalogue.habit_count must be 0 or more, smallest is {self.habit_count.min()}")
        for name, number in (("topic", sizes["T"]), ("domain", sizes["X"])):
            if set(np.unique(getattr(self, f"item_{name}"))) != set(range(number)):
                raise ValueError(f"Catalogue.item_{name} must use every {name} in [0, {number})")

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()  # copied and unpickled arrays come writeable

    def save(self, path: str | Path) -> None:
        """Write the catalogue to a compressed `.npz`; vectors and counts are stored at half precision.

        Raises:
            ValueError: a count is too large for that; nothing is written.
        """
        path = checked_path("path", path)
        path = path if path.suffix == ".npz" else Path(f"{path}.npz")
        arrays = self.arrays()
        most = float(np.finfo(np.float16).max)
        for name in _HALF:
            if arrays[name].size and (largest := float(np.abs(arrays[name]).max())) > most:
                raise ValueError(f"Catalogue.{name} can be saved up to {most:g}, its largest value is {largest:g}")
        write_arrays(
            path, arrays | {name: arrays[name].astype(np.float16) for name in _HALF}, compressed=True, **self.values()
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, without one that is None."""
        return {name: value for name in _ARRAYS if (value := getattr(self, name)) is not None}

    def digest(self) -> str:
        """Return the SHA-256 of all contents."""
        return digest_of_arrays({**self.arrays(), "values": np.array(digest_of_value(self.values()))})

    def values(self) -> dict[str, Any]:
        """All other contents, as JSON values."""
        return {name: getattr(self, name) for name in _VALUES}

    @classmethod
    def load(cls, name: str | Path | Catalogue) -> Catalogue:
        """Read a catalogue by name (`"grocery"`, which is shipped) or by path; a `Catalogue` is returned unchanged.

        Nothing in the file is executed.

        Raises:
            ValueError: there is no such catalogue, or the file is damaged or has other contents.
            TypeError: the argument is not a name, path or catalogue.
        """
        if isinstance(name, Catalogue):
            return name
        if not isinstance(name, str | Path):
            raise TypeError(
                f"catalogue = {shown(name)} must be a Catalogue, the name of a shipped one or the path of a saved one"
            )
        if str(name) in SHIPPED:
            with resources.as_file(resources.files("recsys_env") / "catalogues" / f"{name}.npz") as path:
                return cls._read(path)
        if not os.path.isfile(name):
            raise ValueError(
                f"catalogue {shown(str(name))} is neither a file nor one of the shipped catalogues {list(SHIPPED)}"
            )
        return cls._read(Path(name))

    @classmethod
    def _read(cls, path: Path) -> Catalogue:
        return cls.among(path, read_arrays(path, partial(check_sizes, path)))

    @classmethod
    def among(cls, path: Path, arrays: dict[str, np.ndarray]) -> Catalogue:
        """Create the catalogue from the arrays of a file.

        Raises:
            FileError: an array is missing, does not belong to a catalogue, or cannot be used.
        """
        values = {name: value_among(path, arrays, name, form) for name, form in _VALUES.items()}
        for name in _ARRAYS:
            if name not in arrays and name not in _OPTIONAL:
                raise FileError(f"{path} holds no catalogue: {name!r} is missing")
        if unknown := arrays.keys() - set(_ARRAYS):
            raise FileError(f"{path} holds no catalogue: it has {min(unknown)!r}, which is none of its arrays")
        try:
            native = {name: _native(arrays[name]) for name in _ARRAYS if name in arrays}
            for name in ("item_vectors", "user_taste"):  # half precision moved the norms by up to 1e-3
                if native[name].ndim == 2 and arrays[name].dtype == np.float16:
                    norms = _norms(native[name])[:, None]
                    native[name] /= np.where(np.abs(norms - 1) < _NORM_TOLERANCE, norms, 1)  # others are refused
            return cls(**native, **values)  # type: ignore[arg-type]
        except ValueError as error:
            raise FileError(f"{path} holds no catalogue that can be used: {error}") from None


def check_sizes(path: Path, declared: Mapping[str, Declared]) -> None:
    """Refuse a file before it is unpacked if its arrays disagree about the sizes of a catalogue.

    Texts of more than `LONGEST_TEXT` characters are refused as well.

    Raises:
        FileError: the file is refused.
    """
    if unknown := declared.keys() - {*_AXES, *_VALUES, "world"}:  # the last is a `FittedWorld`'s
        raise FileError(f"{path} holds no catalogue: it has {min(unknown)!r}, which is none of its arrays")
    sizes: dict[str, int] = {}
    for name, axes in _AXES.items():
        if name not in declared:
            continue  # which is said when a catalogue is made of them
        shape, dtype = declared[name].shape, declared[name].dtype
        if len(shape) != len(axes):
            raise FileError(f"{path} holds no catalogue: {name!r} has shape {list(shape)}, not [{', '.join(axes)}]")
        for axis, size in zip(axes, shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise FileError(f"{path} holds no catalogue: {name!r} has {axis} = {size}, others {sizes[axis]}")
        if dtype.itemsize > (4 * LONGEST_TEXT if dtype.kind == "U" else 8):
            raise FileError(f"{path} holds no catalogue: {name!r} has entries of {dtype.itemsize:,} bytes")


_AXES = {
    "item_vectors": "MD",
    "user_taste": "UD",
    "habit_item": "UH",
    "habit_count": "UH",
    "item_price_ratio": "MR",
    "topic_name": "T",
    "domain_name": "X",
    **dict.fromkeys(("user_price_sensitivity", "user_activity"), "U"),
    **{f"item_{name}": "M" for name in ("topic", "intercept", "price", "popularity", "quality", "domain", "name")},
    **dict.fromkeys(("item_text", "item_id"), "M"),
    "user_id": "U",
}  # of the arrays, by the letters of `Catalogue`
LONGEST_TEXT = 10_000
_EXPECTED = ("popularity_intercept", "popularity_slope", "price_slope", "quality_slope")
_VALUES = {
    **dict.fromkeys(_EXPECTED, float),
    "source": str,
    "settings": {str: {str: object}},
}  # and the form of each; see `files.misfit`
_ARRAYS = tuple(f.name for f in fields(Catalogue) if f.name not in _VALUES)
_OPTIONAL = ("item_quality", "item_id", "user_id")
_HALF = ("item_vectors", "user_taste", "habit_count")
_INTEGERS, _TEXT = ("i", "signed whole numbers"), ("U", "text")
_KINDS = dict.fromkeys(("item_topic", "item_domain", "habit_item"), _INTEGERS) | dict.fromkeys(
    ("item_name", "item_text", "topic_name", "domain_name", "item_id", "user_id"), _TEXT
)  # others: floats
_NORM_TOLERANCE = 1e-2


def _native(array: np.ndarray) -> np.ndarray:
    """Convert numbers to the types for which the kernels are compiled."""
    if array.dtype.kind not in "fi":
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    if array.dtype.kind == "i" and not np.array_equal(array, converted):
        raise ValueError(f"whole numbers from {array.min()} to {array.max()} do not fit into 32 bits")
    return converted


def _norms(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.linalg.norm(vectors, axis=1)


def _shape(catalogue: Catalogue, name: str, ndim: int) -> tuple[int, ...]:
    value = getattr(catalogue, name)
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"Catalogue.{name} = {shown(value)} must be an array without a mask")
    if value.ndim != ndim or value.shape[0] == 0:
        raise ValueError(f"Catalogue.{name} must be a non-empty array of {ndim} dimensions, got {np.shape(value)}")
    return value.shape
