"""Policies in compiled code, which `recsys_env.rollout` plays without Python between ticks: your own functions."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import float32, from_dtype, int8, uint64
from numba.core.errors import NumbaError

from ..batch.base import AnyBatch
from ..checks import shown
from ..kernels.machine import rng
from .base import Policy

KEPT = 64  # functions whose compiled loops are kept: those used last


class Actor(NamedTuple):
    """A bound policy as `rollout` calls it.

    Attributes:
        function: compiled function, as described in `kernels.rollout`.
        arrays: named tuple of the arrays that it reads.
    """

    function: Any
    arrays: Any


class Plan(NamedTuple):
    """Arrays of a policy whose actions do not depend on what it observes."""

    plan: np.ndarray  # [T, B, A]


class RandomStream(NamedTuple):
    """Arrays of a function's random numbers."""

    state: np.ndarray  # [2] u8: the policy's own seed, and how often it has acted


def planned(actions: np.ndarray, continuous: bool) -> Actor:
    """Return the actor that repeats actions [T, B, ...]."""
    from ..kernels.rollout import follow

    kind = np.float32 if continuous else np.int64
    return Actor(follow, Plan(np.ascontiguousarray(actions.reshape(*actions.shape[:2], -1), kind)))


def is_compiled(function: Any) -> bool:
    """Whether this is a function of `numba.njit`."""
    return isinstance(function, type(uniform))


_ARGUMENTS = ("observation", "mask", "action", "key")


class CompiledPolicy(Policy):
    """Acts by a compiled function of an agent's observation in one copy.

    It acts alike in `step`-by-step play, in `evaluate` and in `recsys_env.rollout`, bit by bit.

    Args:
        function: function of `numba.njit` that fills in the action: function(observation, mask, action, key), with
            observation [O] float32; mask [A] int8 (empty without `mask_actions`); action, zeros at first, int64 [K] of
            picks and what comes after them in the action space, [1] for one number, or float32 [A] for vectors; key
            uint64, random bits that are different at every tick, copy and agent (`recsys_env.policies.uniform` makes
            numbers of them).

    Raises:
        TypeError: it is not such a function; in `bind`, it is one that numba cannot compile for these arguments.
    """

    no_propensity = "its function may draw actions"

    @property
    def compiled(self) -> bool:  # type: ignore[override]
        return type(self) is CompiledPolicy  # a subclass may act otherwise

    def __init__(self, function: Any) -> None:
        if not is_compiled(function):
            raise TypeError(f"function = {shown(function)} must be a function of numba.njit")
        taken = list(signature(function.py_func).parameters)
        if len(taken) != len(_ARGUMENTS):
            raise TypeError(
                f"function = {shown(function)} takes ({', '.join(taken)}), and must take ({', '.join(_ARGUMENTS)})"
            )
        self._function = function

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._stream = RandomStream(np.array([self.rng.integers(2**63), 0], np.uint64))
        self._no_mask = np.zeros((self.envs.num_envs, 0), np.int8)
        action = self.envs.empty_actions().dtype
        try:  # here, where the agent is known; the loops below take it as it is
            self._function.compile((float32[::1], int8[::1], from_dtype(action)[::1], uint64))
        except NumbaError as error:
            raise TypeError(
                f"function = {shown(self._function)} of {agent} cannot be compiled for observation float32 [O], "
                f"mask int8 [A], action {action} [K] and key uint64; numba's error above says where"
            ) from error

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        rows = np.ascontiguousarray(observations), self._no_mask if mask is None else np.ascontiguousarray(mask)
        like = self.envs.empty_actions()[:, 0]
        actions = np.zeros((len(like), self.envs._actions.highest.size), like.dtype)
        _loops(self._function)[0](*rows, actions, self._stream.state)
        self._stream.state[1] += np.uint64(1)
        return actions.reshape(like.shape)

    def actor(self, ticks: int) -> Actor:
        before = RandomStream(self._stream.state.copy())
        self._stream.state[1] += np.uint64(ticks)
        return Actor(_loops(self._function)[1], before)


@numba.njit(error_model="numpy", nogil=True)
def uniform(key, index):  # type: ignore[no-untyped-def]
    """Return a random number in [0, 1): number `index` of those that a key makes. For functions of numba.njit."""
    return rng.uniform(key, 0, index)


# A loop keeps its function alive, so that a loop that the function kept would never be freed.
@lru_cache(maxsize=KEPT)
def _loops(function: Any) -> tuple[Any, Any]:
    """Return the loops over copies that call a function: on rows of arrays, and in a rollout."""
    from ..kernels.machine.packed import parts_of
    from ..kernels.rollout import row_key

    @numba.njit(error_model="numpy", nogil=True)
    def act(observations, masks, actions, stream):  # type: ignore[no-untyped-def]
        for b in range(observations.shape[0]):
            function(observations[b], masks[b], actions[b], row_key(stream[0], np.int64(stream[1]), b))

    @numba.njit(error_model="numpy", nogil=True)
    def act_in_rollout(packed, own, n, t, chunk, actions):  # type: ignore[no-untyped-def]
        _, _, report, _ = parts_of(packed)
        (parts,) = parts_of(own)
        stream = parts.state
        for b in range(chunk[0], chunk[1]):
            key = row_key(stream[0], np.int64(stream[1]) + t, b)
            actions[b, n, :] = 0
            function(report.observations[b, n], report.masks[b, n], actions[b, n], key)

    return act, act_in_rollout
