"""A fitted catalogue: the items and customers of a real platform, as arrays.

`recsys_env.fitting.fit` makes one from a purchase log; `World.build` reads it in place of the synthetic
items and users. It holds only NumPy arrays, so a shipped catalogue needs no more than the core dependencies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

SHIPPED = ("grocery",)


@dataclass(frozen=True, eq=False, repr=False)
class Catalogue:
    """Items and users of one platform; M items, U users, D taste dimensions, T topics, H habit entries.

    Raises `ValueError` that names the array when shapes disagree, a value is not finite, or a vector is not of unit norm.
    """

    item_vectors: np.ndarray  # [M, D] float32, unit norm: q_j
    item_topic: np.ndarray  # [M] int32 in [0, T), every topic in use
    item_intercept: np.ndarray  # [M] float32: alpha_j, in utils
    item_price: np.ndarray  # [M] float32 > 0: list price, in the log's currency
    item_popularity: np.ndarray  # [M] float32 > 0: historical number of purchases
    user_taste: np.ndarray  # [U, D] float32, unit norm: p_u
    user_price_sensitivity: np.ndarray  # [U] float32 > 0, mean 1: rho_u
    user_activity: np.ndarray  # [U] float32 > 0: visits per unit of time, any scale
    habit_item: np.ndarray  # [U, H] int32: the user's most consumed items, -1 = empty entry
    habit_count: np.ndarray  # [U, H] float32 >= 0: their recency-weighted counts n_{u,j}
    item_name: np.ndarray  # [M] str
    topic_name: np.ndarray  # [T] str
    popularity_slope: float = 0.0  # regression of item_intercept on log(1 + item_popularity): what counts alone say of an item
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
        items, dims = _shape(self, "item_vectors", 2)
        users, habits = _shape(self, "habit_item", 2)
        (topics,) = _shape(self, "topic_name", 1)
        expected = {
            "item_topic": (items,), "item_intercept": (items,), "item_price": (items,), "item_popularity": (items,),
            "item_name": (items,), "user_taste": (users, dims), "user_price_sensitivity": (users,),
            "user_activity": (users,), "habit_count": (users, habits),
        }  # fmt: skip
        for name, shape in expected.items():
            if _shape(self, name, len(shape)) != shape:
                raise ValueError(f"Catalogue.{name} has shape {getattr(self, name).shape}, expected {shape}")
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"Catalogue.{f.name} holds NaN or infinite values")
        if not np.isfinite(self.popularity_slope):
            raise ValueError(f"Catalogue.popularity_slope = {self.popularity_slope} must be finite")
        for name in ("item_price", "item_popularity", "user_price_sensitivity", "user_activity"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"Catalogue.{name} must be positive everywhere, smallest is {getattr(self, name).min()}")
        for name in ("item_vectors", "user_taste"):
            if not np.allclose(np.linalg.norm(getattr(self, name), axis=1), 1.0, atol=1e-2):
                raise ValueError(f"Catalogue.{name} must have rows of unit norm")
        if self.habit_item.size and not (self.habit_item.min() >= -1 and self.habit_item.max() < items):
            raise ValueError(f"Catalogue.habit_item must lie in [-1, {items}), found {self.habit_item.max()}")
        if set(np.unique(self.item_topic)) != set(range(topics)):
            raise ValueError(f"Catalogue.item_topic must use every topic in [0, {topics})")

    def save(self, path: str | Path) -> None:
        """Write the catalogue to a compressed `.npz`; vectors and counts are kept at half precision."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("source", "settings")}
        half = {k: v.astype(np.float16) if k in ("item_vectors", "user_taste", "habit_count") else v for k, v in arrays.items()}
        np.savez_compressed(path, **half, source=np.array(self.source), settings=np.array(json.dumps(self.settings)))

    @classmethod
    def load(cls, name: str | Path | Catalogue) -> Catalogue:
        """Read a shipped catalogue by name (`"grocery"`) or any one by path; one is returned as it is."""
        if isinstance(name, Catalogue):
            return name
        if str(name) in SHIPPED:
            with resources.as_file(resources.files("recsys_env") / "catalogues" / f"{name}.npz") as path:
                return cls._read(path)
        if not Path(name).is_file():
            raise ValueError(f"catalogue {str(name)!r} is neither a file nor one of the shipped catalogues {list(SHIPPED)}")
        return cls._read(Path(name))

    @classmethod
    def _read(cls, path: Path) -> Catalogue:
        with np.load(path, allow_pickle=False) as data:
            arrays: dict[str, Any] = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in data.items()}
        for name in ("item_vectors", "user_taste"):  # half precision moved the norms by up to 1e-3
            arrays[name] /= np.linalg.norm(arrays[name], axis=1, keepdims=True)
        arrays["source"], arrays["settings"] = str(arrays["source"]), json.loads(str(arrays["settings"]))
        arrays["popularity_slope"] = float(arrays["popularity_slope"])
        return cls(**arrays)


def _shape(catalogue: Catalogue, name: str, ndim: int) -> tuple[int, ...]:
    value = getattr(catalogue, name)
    if not isinstance(value, np.ndarray) or value.ndim != ndim or value.shape[0] == 0:
        raise ValueError(f"Catalogue.{name} must be a non-empty array of {ndim} dimensions, got {np.shape(value)}")
    return value.shape
