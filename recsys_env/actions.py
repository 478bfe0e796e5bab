"""Actions as they come in: checked against their space, and brought into the layout that the kernels read."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .checks import shown
from .config import WorldConfig


class ActionReader:
    """Checks actions against their space and brings them into the layout that the kernels read: [B, N, A]."""

    def __init__(self, config: WorldConfig, agents: list[str], space: Any) -> None:
        self._agents, self._space = agents, space
        self._continuous = config.continuous
        if self._continuous:
            self._shape: tuple[int, ...] = space.shape
            self._width = self._shape[0]
        elif config.slots == 1:
            self._width, self._shape = 1, ()
            self._limits = np.array([space.n])
        else:
            self._width, self._shape = len(space.nvec), (len(space.nvec),)
            self._limits = np.asarray(space.nvec)
        self._limit = 0 if self._continuous else int(self._limits.min())
        self._uniform = not self._continuous and bool((self._limits == self._limit).all())

    def empty(self, num_envs: int) -> np.ndarray:
        return np.zeros((num_envs, len(self._agents), self._width), np.float32 if self._continuous else np.int64)

    @property
    def kinds(self) -> str:
        """Kinds of numbers that actions may be, as NumPy's letters."""
        return "f" if self._continuous else "iu"

    @property
    def bounds(self) -> tuple[float, np.ndarray]:
        """Lowest number of an action, and the highest ones [A]."""
        return (-1.0, np.ones(self._width)) if self._continuous else (0, np.broadcast_to(self._limits - 1, self._width))

    def read(self, actions: Any, num_envs: int) -> np.ndarray:
        """Actions [B, N, ...] as a contiguous array; raises with agent, value and space if one lies outside."""
        array = as_array(actions, (num_envs, len(self._agents), *self._shape), "[num_envs, agents] of {}", self._space)
        if self._continuous:
            if array.dtype.kind not in "fiu":
                raise TypeError(f"actions have dtype {array.dtype}, expected float32 for {self._space}")
            if not (array.size == 0 or (array.min() >= -1.0 and array.max() <= 1.0)):  # also False for NaN
                self._reject(array, ~((array >= -1.0) & (array <= 1.0)))
            return np.ascontiguousarray(array, np.float32)
        if array.dtype.kind not in "iu":
            raise TypeError(f"actions have dtype {array.dtype}, expected integers for {self._space}")
        given = array
        array = np.ascontiguousarray(array, np.int64).reshape(num_envs, len(self._agents), self._width)
        if np.maximum.reduce(array.view(np.uint64), axis=None) >= self._limit:  # a negative one is huge here
            wrong = (array < 0) | (array >= self._limits)
            if self._uniform or wrong.any():
                self._reject(given.reshape(array.shape), wrong)
        return array

    def _reject(self, array: np.ndarray, wrong: np.ndarray) -> None:
        b, n = (int(i) for i in np.argwhere(wrong)[0][:2])
        self.reject(b, n, array[b, n])

    def reject(self, b: int, n: int, action: np.ndarray) -> NoReturn:
        """Raise for an action [A] that lies outside its space."""
        value = action.tolist() if self._shape else action.tolist()[0]
        raise ValueError(f"action of {self._agents[n]} in copy {b} is {value}, outside its space {self._space}")


def as_array(actions: Any, shape: tuple[int, ...], what: str, of: Any, name: str = "actions") -> np.ndarray:
    """Actions as an array of this shape.

    Args:
        what: what is expected, for the message; `of` takes the place of its {} only then, because to describe a space
            takes longer than a step.
        name: of the argument.

    Raises:
        ValueError: they have another shape.
    """
    try:
        array = np.asarray(actions)
    except ValueError:  # ragged
        raise ValueError(
            f"{name} = {shown(actions)} is not one array, expected shape {shape}: {what.format(of)}"
        ) from None
    if array.shape != shape:
        given = name if isinstance(actions, np.ndarray) else f"{name} = {shown(actions)}"
        raise ValueError(f"{given} of shape {array.shape}, expected {shape}: {what.format(of)}")
    return array
