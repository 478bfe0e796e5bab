"""The interface of a batch of copies, which policies, adapters, metrics and learners use.

GameBatch (game.py)         plays the copies in its own arrays: `VectorEnv` on the CPU, `CudaVectorEnv` on a GPU
FocalBatch (api/focal.py)   holds a batch, and shows only some of its agents
Worlds (worlds.py)          holds batches of several worlds, and joins what they return
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from gymnasium import spaces

from ..checks import as_indices, as_numbers, check_count, checked_seed, is_number, is_sequence, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.fields import Shape
from ..world.arrays import State
from .actions import ActionReader
from .infos import Infos
from .observations import FLAT, MASK, ObservationLayout
from .spaces import beside_picks, choices, fused, parts_of

_MAKE = "make one with recsys_env.vector_env(task, num_envs)"


def copy_seed(seed: int, b: int) -> int:
    """Return the seed of copy b of a batch; copy 0 has the seed of the batch.

    Raises:
        ValueError, TypeError: the seed or the number of the copy is not such an integer.
    """
    from ..kernels.machine.rng import copy_seeds

    check_count("b", b, 0, 2**31)
    return int(copy_seeds(checked_seed(seed), np.array([b]))[0])


class Snapshot:
    """The saved state of one copy or of all copies, made by `VectorEnv.save` and restored by `VectorEnv.restore`.

    It may be copied and pickled.

    Args:
        config: the task in which it was saved.
        arrays: the state.
        world: digest of the task's items and people (`VectorEnv.world_digest`).
    """

    def __init__(self, config: WorldConfig, arrays: State, world: str) -> None:
        self.config = config
        self.arrays = arrays
        self.world = world

    @property
    def num_envs(self) -> int:
        return len(self.arrays.copies)

    def take(self, copies: Sequence[int] | np.ndarray) -> Snapshot:
        """Return a snapshot whose copies are those with the numbers [B'], which may occur several times.

        Copies that are restored from the same one meet the same events as far as their actions are the same (common
        random numbers).

        Raises:
            ValueError, TypeError: there are none, or no such copies.
        """
        numbers = as_indices("copies", copies, self.num_envs)
        if numbers.ndim != 1 or not numbers.size:
            raise ValueError(f"copies = {shown(copies)} must be a list of one or more numbers of copies")
        return Snapshot(self.config, State(*(array[numbers] for array in self.arrays)), self.world)


def check_config(config: Any) -> None:
    """Raise TypeError unless this is a config."""
    if not isinstance(config, WorldConfig):
        raise TypeError(
            f"config = {shown(config)} must be a WorldConfig; recsys_env.vector_env takes a task by its name as well"
        )


class Choices(NamedTuple):
    """What discrete actions consist of."""

    picks: np.ndarray  # [..., K] candidates or items, one for each slot; or [..., 1] what a creator publishes
    levels: np.ndarray | None  # [...] of prices or bids; None where agents set neither
    words: np.ndarray | None  # [...] messages; None where agents do not talk


_ONLY_CHOICES = "action = {!r} makes actions vectors; see action_fields for their parts"


Array = TypeVar("Array")  # where the game is played: of NumPy, or on a GPU
InfosT = TypeVar("InfosT", bound=Mapping[str, Any])  # infos


class Batch(ABC, Generic[Array, InfosT]):
    """B copies of a task: their spaces and layouts, how they are stepped, and the results of the last page.

    Attributes:
        device: device of the game and its arrays, "cpu" or "cuda".
        config: the task.
        catalogue: fitted items and users, if the world has them.
        num_envs: B.
        copy: whether `reset`, `step`, `look` and `restore` return copies. Without, they return the batch's own arrays,
            which the step after the next overwrites.
        possible_agents, num_agents: names and number of the N agents that act here.
        shape: sizes of the world.
        observation_space, action_space: spaces of one agent; all agents of a task share them.
        action_fields: name -> slice of a continuous action (`query` or `weights`); empty if actions are discrete.
        observation_format: "flat" or "dict", the form in which observations are returned.
        observation_fields: name -> slice of the flat observation.
        layout: where the parts of the flat observation lie.
        candidate_features: names of the features of each candidate that observations hold, in order; empty only without
            candidates.
        state_space: space of `state()`.
        state_fields: name -> slice of the global state.
    """

    device: str
    config: WorldConfig
    catalogue: Catalogue | None
    num_envs: int
    copy: bool
    possible_agents: list[str]
    num_agents: int
    shape: Shape
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    action_fields: dict[str, slice]
    observation_format: str
    observation_fields: dict[str, slice]
    layout: ObservationLayout
    candidate_features: tuple[str, ...]
    state_space: spaces.Box
    state_fields: dict[str, slice]
    _actions: ActionReader

    @property
    @abstractmethod
    def game(self) -> Batch[Array, InfosT]:
        """The `GameBatch` that plays these copies with all agents of the task: this one, or the one behind it.

        Policies are bound to it, because they look up the world by an agent's number in the task.

        Raises:
            ValueError: the copies play in several worlds.
        """

    # -------------------------------------------------------------------------------------------- playing

    @abstractmethod
    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, InfosT]:
        """Start an episode in every copy; see `GameBatch.reset`."""

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, InfosT]:
        """Play one tick of every copy.

        Args:
            actions: [B, N, ...] of the action space's shape and kind.

        Returns:
            observations [B, N, O], rewards [B, N], terminations [B] (always False), truncations [B], infos.

        Raises:
            ValueError, TypeError: an action is outside its space; nothing has changed.
            RuntimeError: before the first `reset`.

        Two threads must not call one batch at the same time.

        If it is interrupted (Ctrl-C) before its compiled code runs, nothing has changed. The compiled code is not
        interrupted: the tick is played to its end, and `observations` and `infos` describe it.
        """
        results = self._step(actions)
        if not self.copy:
            return results
        observations, rewards, terminations, truncations, infos = results
        return _copied(observations), _copied(rewards), terminations, _copied(truncations), _copied(infos)

    def _step(self, actions: Any) -> tuple[Any, Array, Array, Array, InfosT]:
        """`step` without copies, for callers that keep none of the results."""
        self._play(actions)
        report = self._last_report()
        observations = self._formatted(report.observations, report.masks)
        return observations, report.rewards, self._nobody(), report.truncated, self._infos(report)

    @abstractmethod
    def _play(self, actions: Any) -> None:
        """Play one tick of every copy."""

    @abstractmethod
    def look(self) -> tuple[Any, InfosT]:
        """Return the observations and infos of the current page again, as after a reset; the game does not advance."""

    @abstractmethod
    def save(self, copy: int | None = None) -> Snapshot:
        """Return the state of one copy, or of all copies (None); see `GameBatch.save`."""

    @abstractmethod
    def restore(
        self, snapshot: Snapshot, copy: int | None = None, seed: int | Sequence[int] | None = None
    ) -> tuple[Any, InfosT]:
        """Continue from a snapshot, bit for bit; see `GameBatch.restore`."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _observed(self) -> tuple[Any, InfosT]:
        """What `reset` returns, given the last report."""
        report = self._last_report()
        observations, infos = self._formatted(report.observations, report.masks), self._infos(report)
        return (_copied(observations), _copied(infos)) if self.copy else (observations, infos)

    @abstractmethod
    def _infos(self, report: Any) -> InfosT:
        """The infos of a report."""

    @abstractmethod
    def _nobody(self) -> Array:
        """[B] of False."""

    # -------------------------------------------------------------------------------------------- the last page

    @abstractmethod
    def _last_report(self) -> Any:
        """The report of the last reset, step or restore, from which the following are read."""

    @property
    def infos(self) -> InfosT:
        """The infos of the last reset, step or restore; the step after the next overwrites them."""
        return self._infos(self._last_report())

    @property
    def observations(self) -> Any:
        """The observations of the last reset, step or restore; the step after the next overwrites them."""
        report = self._last_report()
        return self._formatted(report.observations, report.masks)

    @property
    def final_obs(self) -> Any:
        """Last observations [B, N, O] of the episodes that ended in the last step; other rows have no meaning."""
        report = self._last_report()
        return self._formatted(report.final_observations, report.final_masks)

    @property
    def next_visitor(self) -> Array:
        """Visitor ids [B, N] of the page about to be shown, -1 if idle or inactive.

        Two ids are equal only for the same person of a copy.
        """
        return self._column(self._last_report().agents, "next_visitor")

    @property
    @abstractmethod
    def next_user_slots(self) -> Array:
        """User slot [B] of the person whose page is about to be shown, -1 if idle; the next step overwrites it."""

    @property
    def active(self) -> Array:
        """Whether each agent acts next, bool [B, N]: its slots will be on the page about to be shown, or, on a
        platform, it publishes an item now."""
        return self._column(self._last_report().agents, "active")

    @property
    def truncated(self) -> Array:
        """Whether the episode of each copy ended in the last step, bool [B]."""
        truncated: Array = self._last_report().truncated
        return truncated

    @abstractmethod
    def state(self) -> Array:
        """Return the global state [B, S] for centralised critics; see `GameBatch.state`."""

    @abstractmethod
    def final_state(self) -> Array:
        """Return `state()` [B, S] at the end of the episodes that ended in the last step, beside `final_obs`.

        It is valid where truncated.
        """

    def field(self, observations: Array, name: str) -> Array:
        """Return the view `observations[..., name]` of one field of flat observations [..., O].

        Raises:
            KeyError: there is no such field.
            TypeError, ValueError: these are not flat observations.
        """
        if not isinstance(name, str) or name not in self.observation_fields:
            raise KeyError(f"{shown(name)}; observation fields are {', '.join(self.observation_fields)}")
        return self._checked_flat(observations)[..., self.observation_fields[name]]  # type: ignore[no-any-return]

    def _checked_flat(self, flat: Any) -> Any:
        """Return flat observations, if they are."""
        shape, size = getattr(flat, "shape", None), self.layout.size
        if not hasattr(flat, "dtype") or not isinstance(shape, tuple):
            raise TypeError(f"observations = {shown(flat)} must be an array [..., {size}] of flat observations")
        if shape[-1:] != (size,):
            raise ValueError(f"observations = {shown(flat)} of shape {tuple(shape)} must be flat ones [..., {size}]")
        return flat

    def _formatted(self, observations: Any, masks: Any) -> Any:
        """Flat observations and their masks in the format of this batch."""
        return self.layout.formatted(observations, masks if self.config.mask_actions else None, self.observation_format)

    def flat(self, observations: Any) -> tuple[Any, Any]:
        """Return flat observations [..., O] and masks [..., A] (None without), which policies take.

        Args:
            observations: as this batch returns them. Parts of the format "dict" are joined, which copies them.

        Raises:
            TypeError: they are in another format.
            ValueError: they, or parts of them, have other shapes.
        """
        flat, masks = self._flat(observations)
        return self._checked_flat(flat), masks

    def _flat(self, observations: Any) -> tuple[Any, Any]:
        """`flat` for callers that check shapes themselves."""
        space = self.observation_space
        if not isinstance(space, spaces.Dict):
            return observations, None
        if not isinstance(observations, Mapping) or not set(space) <= set(observations):
            raise TypeError(f"observations = {shown(observations)} must be a dict of {' and '.join(space)}")
        if self.observation_format == "flat":
            return observations[FLAT], observations.get(MASK)
        return self.layout.join(observations), observations.get(MASK)

    # -------------------------------------------------------------------------------------------- actions

    def checked_action(self, n: int, action: Any) -> np.ndarray:
        """Return an action of agent number n, 0..N-1, as an array of the action space's shape.

        Raises:
            ValueError, TypeError: it is outside the space; the message names agent, value and space.
        """
        check_count("n", n, 0, self.num_agents - 1)
        return self._actions.read_one(n, action)

    def encode_actions(self, picks: Any, levels: Any = None, words: Any = None) -> np.ndarray:
        """Return discrete actions made of what they consist of.

        Args:
            picks: [..., K] candidates or items, one for each slot, the best first; on a platform [..., 1] what is
                published, topic * L + level of clickbait.
            levels: [...] levels of prices or bids, where agents set them; None = the level nearest to the list prices,
                or to truthful bids.
            words: [...] messages; needed where agents talk.

        Returns:
            actions [...] for one slot (`Discrete`), [..., K + ...] for slates (`MultiDiscrete`).

        Raises:
            ValueError: actions are vectors, or the task has no such part, or words are missing, or a part has another
                shape or is out of range.
            TypeError: a part holds no integers.
        """
        config, shape = self.config, self.shape
        if config.continuous:
            raise ValueError(_ONLY_CHOICES.format(config.action))
        chosen = as_indices("picks", picks, choices(config, shape))
        if chosen.shape[-1:] != (shape.slots,):
            raise ValueError(f"picks = {shown(picks)} of shape {chosen.shape} must be [..., {shape.slots}]")
        if words is None and shape.vocabulary:
            raise ValueError(
                f"words are missing: with each action an agent says one of {shape.vocabulary}, which others see; give "
                f"words of shape {chosen.shape[:-1]}, such as zeros"
            )
        parts = [chosen]
        beside = (("levels", levels, shape.levels, config.offer.list_level), ("words", words, shape.vocabulary, 0))
        for name, given, size, default in beside:
            if given is not None and not size:
                raise ValueError(f"{name} = {shown(given)}: agents of this task have none; leave them out")
            if size:
                part = as_indices(name, default if given is None else given, size)
                if given is not None and part.shape != chosen.shape[:-1]:
                    raise ValueError(f"{name} = {shown(given)} of shape {part.shape} must be {chosen.shape[:-1]}")
                parts.append(np.broadcast_to(part[..., None], (*chosen.shape[:-1], 1)))
        return fused(np.concatenate(parts, -1), beside_picks(shape))  # type: ignore[no-any-return]

    def decode_actions(self, actions: Any) -> Choices:
        """Return what discrete actions [...] or [..., K + ...] consist of, as the inverse of `encode_actions`.

        Raises:
            ValueError: actions are vectors; or these are outside the space of one agent's action.
            TypeError: they are no integers.
        """
        config, shape, space = self.config, self.shape, self.action_space
        if config.continuous:
            raise ValueError(_ONLY_CHOICES.format(config.action))
        sizes = np.array(space.n) if isinstance(space, spaces.Discrete) else np.asarray(space.nvec)  # type: ignore
        array = as_numbers("actions", actions, "iu")
        if array.shape[array.ndim - sizes.ndim :] != sizes.shape:
            raise ValueError(f"actions = {shown(actions)} of shape {array.shape} must be [..., {sizes.size}]: {space}")
        parts = parts_of(as_indices("actions", array, sizes), shape.slots, beside_picks(shape))
        beside = iter(np.moveaxis(parts[..., shape.slots :], -1, 0))
        return Choices(
            parts[..., : shape.slots], *(next(beside) if size else None for size in (shape.levels, shape.vocabulary))
        )

    def empty_actions(self) -> np.ndarray:
        """Return a joint action [B, N, ...] to be filled in: the first choices, or vectors of zeros."""
        return np.zeros((self.num_envs, self.num_agents, *(self.action_space.shape or ())), self.action_space.dtype)

    def _column(self, records: Any, name: str) -> Array:
        """One field of an array of records."""
        column: Array = records[name]
        return column


def _copied(results: Any) -> Any:
    """A copy of what a batch returns: an array, arrays by name, or infos."""
    return {name: array.copy() for name, array in results.items()} if type(results) is dict else results.copy()


def all_ended(truncated: Any) -> bool:
    """Return whether the episodes of all copies ended in the last step, for interfaces in which they end together.

    Args:
        truncated: [B] bool, an array or a tensor.

    Raises:
        RuntimeError: only those of some copies ended, because `restore` brought one copy to another tick.
    """
    count = int(truncated.sum())
    if 0 < count < len(truncated):
        raise RuntimeError(
            f"the episodes of {count} of {len(truncated)} copies ended, but here all must end together; "
            "after restore(snapshot, copy=...), step the batch itself"
        )
    return count > 0


def checked_seeds(seed: Any, num_envs: int) -> list[int]:
    """Return the seed of each copy, from one seed for the whole batch or one for each copy."""
    if is_number(seed, int, np.integer):
        from ..kernels.machine.rng import copy_seeds

        return copy_seeds(checked_seed(seed), np.arange(num_envs)).tolist()
    if not is_sequence(seed):
        raise TypeError(
            f"seed = {shown(seed)} must be an integer in [0, 2^64), a sequence of one for each copy, or None"
        )
    if len(seed) != num_envs:
        raise ValueError(
            f"seed = {shown(seed)} has {len(seed)} entries, expected one for each of the {num_envs} copies"
        )
    return [checked_seed(entry, f"seed[{b}]") for b, entry in enumerate(seed)]


AnyBatch = Batch[Any, Any]
CpuBatch = Batch[np.ndarray, Infos]


def checked_batch(envs: Any) -> AnyBatch:
    """Return the batch, on the CPU or on a GPU, if it is one.

    Raises:
        TypeError: it is something else, such as a `parallel_env`.
    """
    if not isinstance(envs, Batch):
        raise TypeError(f"envs is a {type(envs).__name__}, not a batch; {_MAKE}")
    return envs


def checked_cpu_batch(envs: Any) -> CpuBatch:
    """Return the batch if it is one on the CPU.

    Raises:
        TypeError: it is something else.
    """
    if checked_batch(envs).device != "cpu":
        raise TypeError(f"envs is a {type(envs).__name__}, not a batch on the CPU; {_MAKE}")
    return envs  # type: ignore[no-any-return]
