"""Actions as they come in: checked against their space, and brought into the layout that the kernels read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, NoReturn

import numpy as np

from ..checks import array_of, shown
from ..config import WorldConfig


class ActionReader:
    """Checks actions against their space and brings them into the layout that the kernels read: [B, N, A].

    Args:
        config: the task.
        num_envs: B.
        agents: names of the N agents whose actions come in.
        space: of one agent's action.

    Attributes:
        kinds: kinds of numbers that actions may be, as NumPy's letters.
        low, highest: the lowest number of an action, and the highest ones [A].
    """

    def __init__(self, config: WorldConfig, num_envs: int, agents: list[str], space: Any) -> None:
        self._made_of = config, num_envs, agents, space
        self._agents, self._space = agents, space
        self._shape: tuple[int, ...] = space.shape  # of one action
        self._joint = (num_envs, len(agents), *self._shape)
        self._continuous = config.continuous
        self._dtype: np.dtype
        if self._continuous:
            self.kinds, self._dtype = "fiu", np.dtype(np.float32)
            self.low, self.highest = -1, np.ones(self._shape[0], np.int64)
        else:
            self.kinds, self._dtype = "iu", np.dtype(np.int64)
            self.low, self.highest = 0, np.atleast_1d(space.n if config.slots == 1 else space.nvec).astype(np.int64) - 1
        self._read_shape = (num_envs, len(agents), self.highest.size)
        self._last = int(self.highest[0])
        # what `read_joint` returns, and its bytes
        self._bytes = bytearray(self._dtype.itemsize * math.prod(self._read_shape[1:]))
        self._one = np.frombuffer(self._bytes, self._dtype).reshape(1, *self._read_shape[1:])
        self._joined = bytearray().join  # joining into a bytearray saves the copy that joining into bytes needs

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return ActionReader, self._made_of  # a copy of each attribute would separate the array from its buffer

    def empty(self) -> np.ndarray:
        """Actions [B, N, A] of zero."""
        return np.zeros(self._read_shape, self._dtype)

    def read(self, actions: Any) -> np.ndarray:
        """Actions [B, N, ...] as a contiguous array [B, N, A].

        Raises:
            ValueError, TypeError: one lies outside its space; the message names agent, value and space.
        """
        array = as_array(actions, self._joint, "[num_envs, agents] of {}", self._space)
        if array.dtype.kind not in self.kinds:
            what = "float32" if self._continuous else "integers"
            raise TypeError(f"actions have dtype {array.dtype}, expected {what} for {self._space}")
        checked = self._exactly(array).reshape(self._read_shape)
        index = _find_outside(checked.dtype.char)(checked, self.highest, self.low)
        if index >= 0:
            self.reject(index, array.reshape(-1, *self._shape)[index // self.highest.size])
        return checked if checked.dtype is self._dtype else checked.astype(self._dtype)

    def read_joint(self, joint: Sequence[Any]) -> np.ndarray:
        """Return one copy's actions, given by agent, as an array [1, N, A].

        Building a new array takes longer than the step of a small game. Actions of the type that spaces sample are
        therefore written into one array, which the next call overwrites.

        Raises:
            ValueError, TypeError: as in `read`, or an action cannot be converted to an array.
        """
        return self._one if self._write(joint) else self.read([[array_of(action) for action in joint]])

    def _write(self, joint: Sequence[Any]) -> bool:
        """Write one copy's actions down. Returns whether all of them are of the usual kind and lie in their space."""
        if self._shape:
            kind, shape, array = self._dtype, self._shape, np.ndarray
            for action in joint:
                if type(action) is not array or action.shape != shape:
                    return False
                if action.dtype is not kind and action.dtype != kind:  # the second is slow
                    return False
            try:
                self._bytes[:] = self._joined(joint)
            except TypeError:  # one is not contiguous
                return False
            return bool(self._find(self._one, self.highest, self.low) < 0)
        rows = self._one[0]
        for n, action in enumerate(joint):
            if type(action) is not np.int64 and type(action) is not int:
                return False
            value = int(action)
            if not 0 <= value <= self._last:
                return False
            rows[n, 0] = value
        return True

    @cached_property
    def _find(self) -> Any:
        """`_find_outside` of the kind of number that actions are."""
        return _find_outside(self._dtype.char)

    def _exactly(self, array: np.ndarray) -> np.ndarray:
        """Return the numbers as a contiguous array of a type that `_find_outside` is compiled for.

        Integers that overflow become negative, and so count as outside.
        """
        if array.dtype is self._dtype:
            return array if array.flags.carray else array.copy()  # read-only arrays are another type to compiled code
        return array.astype(np.float64 if self._continuous else np.int64, order="C")

    def read_one(self, n: int, action: Any) -> np.ndarray:
        """The action of agent n as an array of its space's shape.

        Raises:
            ValueError, TypeError: it lies outside its space; the message names agent, value and space.
        """
        try:
            array = array_of(action)
        except ValueError:
            self._reject_one(n, action, ", which is not one array")
        if array.dtype.kind not in self.kinds and array.dtype.kind != "b":
            takes = "numbers" if self._continuous else "integers"
            self._reject_one(n, action, f" of dtype {array.dtype}", f": it takes {takes}", TypeError)
        if array.shape != self._shape:
            self._reject_one(n, action, f" of shape {array.shape}", f" of shape {self._shape}")
        checked = self._exactly(array).reshape(1, 1, -1)
        if _find_outside(checked.dtype.char)(checked, self.highest, self.low) >= 0:
            self._reject_one(n, action)
        return array

    def _reject_one(
        self, n: int, action: Any, what: str = "", why: str = "", error: type[Exception] = ValueError
    ) -> NoReturn:
        named = f"action of {self._agents[n]} is {shown(action)}{what}"
        raise error(f"{named}, outside its space {self._space}{why}") from None

    def reject(self, index: int, action: np.ndarray) -> NoReturn:
        """Raise for an action that lies outside its space, by its index through [B, N, A]."""
        b, n = divmod(index // self.highest.size, len(self._agents))
        value = action.tolist()
        raise ValueError(f"action of {self._agents[n]} in copy {b} is {value}, outside its space {self._space}")


@cache
def _find_outside(kind: str) -> Any:
    """The search for an action outside its space, for contiguous actions of this kind of number, which is named by
    NumPy's letter: to look up a dtype takes longer than a small search."""
    from ..kernels.actions import find_outside
    from ..kernels.machine.compiler import compiled

    return compiled(find_outside, np.zeros((1, 1, 1), kind), np.zeros(1, np.int64), 0)


def joint_of_rows(actions: Any, num_envs: int, num_agents: int, shape: tuple[int, ...]) -> np.ndarray:
    """Actions [B·N, ...] by row, where row b·N + n is agent n of copy b, as joint actions [B, N, ...].

    Args:
        shape: of one action.

    Raises:
        ValueError: they have another shape.
    """
    rows = num_envs * num_agents
    array = as_array(actions, (rows, *shape), "one for each of the {} rows", rows)
    return array.reshape(num_envs, num_agents, *shape)


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
        array = array_of(actions)
    except ValueError:
        raise ValueError(
            f"{name} = {shown(actions)} is not one array, expected shape {shape}: {what.format(of)}"
        ) from None
    if array.shape != shape:
        given = name if isinstance(actions, np.ndarray) else f"{name} = {shown(actions)}"
        raise ValueError(f"{given} of shape {array.shape}, expected {shape}: {what.format(of)}")
    return array
