"""A batch that plays its copies itself: it builds the world and handles episodes, steps and saved states.

`VectorEnv` plays on the CPU, and `CudaVectorEnv` on a GPU.
"""

from __future__ import annotations

import math
import secrets
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_count, check_options, shown
from ..config import WorldConfig, check_catalogue_fields
from ..config.catalogue import Catalogue
from ..config.fields import ACTION, OBSERVATION, STATE, field_slices, observed_features, private_fields, runs_of
from ..config.settings import difference
from ..files import digest_of_arrays
from ..kernels.step import LOOK, RESET, STEP
from ..world.arrays import ROW_ARRAYS, State, World, most_rows, with_rows
from ..world.build import build, shape_of
from ..world.texts import Texts, texts_of
from ..world.texts.requests import Requests, requests_of
from .actions import ActionReader
from .base import Array, Batch, InfosT, Snapshot, check_config, checked_seeds
from .memory import bytes_of_rows, check_rows_fit
from .observations import checked_format, observation_layout, observation_space
from .spaces import action_space, unit_box

QUERY_SCAN_WARNING = 50_000
ONE_HOT_ITEMS = 1_000


class GameBatch(Batch[Array, InfosT]):
    """B copies of a task that are played in this object's own arrays.

    Args:
        config: the task.
        num_envs: B.
        catalogue: fitted items and users, the name of a shipped catalogue or the path of a saved one, in place of the
            one that `config.catalogue` names. The fields that describe synthetic items and users must then be at their
            defaults.
        observation_format: "flat" or "dict"; see `recsys_env.batch.observations`.

    Attributes in addition to those of `Batch`:
        world: its items and people.
    """

    device = "cpu"

    def __init__(
        self,
        config: WorldConfig,
        num_envs: int = 1,
        catalogue: Catalogue | str | Path | None = None,
        observation_format: str = "flat",
    ) -> None:
        check_config(config)
        self.observation_format = checked_format(observation_format)
        catalogue = loaded(catalogue, config)
        check_count("num_envs", num_envs, 1, 2**31)
        self.config = config
        self.catalogue = catalogue
        self.num_envs = int(num_envs)
        self.shape = shape_of(config, catalogue)
        entries = len(config.dynamics.mood_up), len(config.dynamics.mood_down)
        if config.choice.v_0_by_mood and entries != (self.shape.topics, self.shape.topics):
            raise ValueError(
                f"dynamics.mood_up and mood_down have {entries[0]} and {entries[1]} entries, "
                f"but the catalogue has {self.shape.topics} topics"
            )
        if config.observation.item_ids == "one-hot" and self.shape.items > ONE_HOT_ITEMS:
            raise ValueError(
                f"observation.item_ids = 'one-hot' is for catalogues of at most {ONE_HOT_ITEMS} items, not of "
                f"{self.shape.items}; choose 'binary'"
            )
        self.possible_agents = list(config.agents)
        self.num_agents = config.num_agents
        self.world: World = build(config, catalogue)
        if config.action == "query" and self.shape.items > QUERY_SCAN_WARNING:
            warnings.warn(
                f"action = 'query' scans all {self.shape.items} items for every agent in every step", stacklevel=4
            )
        self.action_fields = field_slices(ACTION, config, self.shape)
        self.observation_fields = field_slices(OBSERVATION, config, self.shape)
        self.candidate_features = observed_features(config, self.shape)
        self.state_fields = field_slices(STATE, config, self.shape)
        self.layout = observation_layout(config, self.shape)
        self.observation_space = observation_space(config, self.shape, self.layout, observation_format)
        self.action_space = action_space(config, self.shape)
        self.state_space = unit_box(max(place.stop for place in self.state_fields.values()))
        self._hidden = [(n, columns) for n in range(config.num_agents) for columns in self._hidden_columns(n)]
        private = (self.observation_fields.get(field.name) for field in private_fields(config, self.shape))
        self._private = np.array(runs_of(filter(None, private)), np.int64).reshape(-1, 2)
        self._actions = ActionReader(config, self.num_envs, self.possible_agents, self.action_space)
        self._state: Any
        self._report: Any
        self._seed: int | list[int] | None = None  # None = there is no game yet
        self._torn = False  # whether a rollout ended while copies were at different ticks
        self._moves = 0  # resets, restores and steps: how often another page has come to be shown
        self._ticks_with_room = 0.0  # ticks for which every copy has a free row for each person who may come

    def _hidden_columns(self, n: int) -> Iterator[slice]:
        """The columns of the observation that are 0 for agent n: what its role hides, and what privacy withholds."""
        for name in dict.fromkeys(self.config.hidden(n)):
            if name in self.observation_fields:
                yield self.observation_fields[name]
        unseen = self.config.unseen_features(n)
        if unseen and "candidates" in self.observation_fields:
            columns = self.observation_fields["candidates"]
            for f, feature in enumerate(self.candidate_features):
                if feature in unseen:
                    yield slice(columns.start + f, columns.stop, len(self.candidate_features))

    @property
    def game(self) -> GameBatch[Array, InfosT]:
        return self

    @cached_property
    def world_digest(self) -> str:
        """SHA-256 of the world's items and people.

        If the configs are equal, two worlds are the same if their digests are, because everything else in a `World`
        follows from these and the config.
        """
        names = ("items", "item_vectors", "activity", "prior_taste", "prior_rho", "prior_habits")
        return digest_of_arrays({name: getattr(self.world, name) for name in names})

    @cached_property
    def texts(self) -> Texts:
        """Texts of the world's items, topics and domains."""
        return texts_of(self.config, self.world, self.catalogue)

    @cached_property
    def requests(self) -> Requests:
        """What visitors of this world can say that they want (`users.request`)."""
        return requests_of(self.config, self.world.centres, self.catalogue)

    # -------------------------------------------------------------------------------------------- reset and step

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, InfosT]:
        """Start an episode in every copy.

        Args:
            seed: an integer starts episode 0 of that seed (copy b plays `copy_seed(seed, b)`), a sequence gives each
                copy its own seed. None keeps the seed and goes to the next episode (an environment that was never
                seeded takes a seed from the operating system).
            options: none is known; a warning names those that are given.

        Returns:
            observations [B, N, O] (or a dict of observations and masks), infos.

        Raises:
            ValueError, TypeError: the seed is something else, or `options` are not a dict; nothing has changed.

        If it is interrupted (Ctrl-C) before the episode has begun, for example during compilation, nothing has changed
        either: the previous game continues, or there is none.
        """
        check_options(options)
        if seed is None and self._seed is None:
            seed = secrets.randbits(63)
        copies, seeds = self._fetched(self._state.copies, slice(None)), self._seed
        if seed is None:
            copies["episode"] += 1
        else:
            each = checked_seeds(seed, self.num_envs)
            seeds = seed if isinstance(seed, int) else each
            copies["seed"] = copies["population"] = np.array(each, np.uint64)
            copies["episode"] = 0
        self._go_on_from({"copies": copies}, slice(None), RESET, seeds)
        return self._observed()

    def _go_on_from(self, rows: dict[str, np.ndarray], chosen: slice, mode: int, seeds: int | list[int] | None) -> None:
        """Write these rows into the state and draw the page. If this is interrupted, the old rows are put back."""
        # A snapshot may have fewer rows of people than we have.
        parts = {name: (chosen, *map(slice, array.shape[1:2])) for name, array in rows.items()}
        before = {name: self._fetched(getattr(self._state, name), parts[name]) for name in rows}
        report = self._report
        try:
            for name, array in rows.items():
                self._put(getattr(self._state, name), parts[name], array)
            self._advance(self._sent(self._actions.empty()), mode)
        finally:
            if self._report is report:
                for name, array in before.items():
                    self._put(getattr(self._state, name), parts[name], array)
            else:
                self._seed, self._torn = seeds, False
                self._ticks_with_room = 0
                self._moves += 1

    def _play(self, actions: Any) -> None:
        self._require_reset("step()")
        self._tick(self._read(actions))

    def _tick(self, actions: Any) -> Any:
        """Play a tick with actions that have been read, and return the report of it."""
        self._make_room(1)
        self._ticks_with_room -= 1
        before = self._report
        try:
            self._advance(actions, STEP)
        finally:
            self._moves += self._report is not before
        return self._report

    def _make_room(self, ticks: int) -> int:
        """Make sure that every copy has a free row for each person who may come in the next tick.

        Returns:
            the number of ticks, at most `ticks`, for which the free rows suffice.

        Raises:
            MemoryError: there is no memory for more rows. Nothing has changed.
        """
        if self._ticks_with_room < ticks:
            rows, most = self._state.vectors.shape[1], most_rows(self.world)
            taken = int(self._fetched(self._state.copies, slice(None))["rows_taken"].max()) if rows < most else 0
            if rows < most and rows - taken < min(ticks, rows // 8 + 1):
                rows = min(most, 2 * rows)
                self._grow(rows)
            self._ticks_with_room = math.inf if rows == most else rows - taken
        return int(min(ticks, self._ticks_with_room))

    def _grow(self, rows: int) -> None:
        """Give every copy `rows` rows of people or more.

        Raises:
            MemoryError: there is no memory for them. Nothing has changed.
        """
        if rows > self._state.vectors.shape[1]:
            check_rows_fit(self.num_envs, rows, bytes_of_rows(self.world, self.num_envs, rows), *self._free_memory())
            arrays = {name: with_rows(self._on_host(getattr(self._state, name)), rows) for name in ROW_ARRAYS}
            self._replace_state(arrays)

    def look(self) -> tuple[Any, InfosT]:
        """Return the observations and infos of the current page again, as after a reset; the game does not advance."""
        self._require_reset("look()")
        self._advance(self._sent(self._actions.empty()), LOOK)
        return self._observed()

    def save(self, copy: int | None = None) -> Snapshot:
        """Return the state of one copy, or of all copies (None).

        Raises:
            RuntimeError: before the first `reset`.
        """
        self._require_reset("save()")
        chosen = self._chosen(copy)
        copies = self._fetched(self._state.copies, chosen)
        taken = max(int(copies["rows_taken"].max()), 1)
        arrays = {
            name: self._fetched(array, (chosen, slice(taken)) if name in ROW_ARRAYS else chosen)
            for name, array in self._state._asdict().items()
        }
        return Snapshot(self.config, State(**arrays), self.world_digest)

    def restore(
        self, snapshot: Snapshot, copy: int | None = None, seed: int | Sequence[int] | None = None
    ) -> tuple[Any, InfosT]:
        """Continue from a snapshot, bit for bit.

        Args:
            snapshot: of one copy (restored into `copy`, or into every copy if None), or of as many copies as this batch
                has.
            copy: the copy to overwrite; None = all.
            seed: new seed(s) for the events from here on; people stay those of the snapshot.

        Returns:
            observations and infos, as after a reset.

        Raises:
            ValueError: the snapshot is of another task, world or number of copies, or the copy or seed is wrong.
            TypeError: it is not a snapshot.
            RuntimeError: a single copy is restored, but the other copies have not begun.
            MemoryError: there is no memory for what the snapshot holds of people. Nothing has changed after any of
                these errors, nor if the call is interrupted, as for `reset`.
        """
        check_belongs(snapshot, self.config, self.world_digest, self._state, most_rows(self.world))
        chosen = self._chosen(copy)
        count = self.num_envs if copy is None else 1
        if snapshot.num_envs not in (1, count):
            raise ValueError(
                f"a snapshot of {snapshot.num_envs} copies cannot be restored into {count}; give one of 1 or of {count}"
            )
        if count < self.num_envs:
            self._require_reset(f"restore(copy={copy})")
        copies = np.array(np.broadcast_to(snapshot.arrays.copies, count))
        if seed is not None:
            copies["seed"] = np.array(checked_seeds(seed, count), np.uint64)
        seeds = copies["seed"].tolist() if self._seed is None else self._seed
        self._grow(snapshot.arrays.vectors.shape[1])
        self._go_on_from({**snapshot.arrays._asdict(), "copies": copies}, chosen, LOOK, seeds)
        return self._observed()

    def _require_reset(self, call: str) -> None:
        if self._torn:
            raise RuntimeError(
                f"a rollout stopped halfway, at different ticks of the copies; call reset() before {call}"
            )
        if self._seed is None:
            raise RuntimeError(f"call reset() before {call}")

    def _chosen(self, copy: int | None) -> slice:
        if copy is None:
            return slice(None)
        check_count("copy", copy, 0, self.num_envs - 1)
        return slice(copy, copy + 1)

    # -------------------------------------------------------------------------------------------- the last page

    def _last_report(self) -> Any:
        return self._report

    @property
    def next_user_slots(self) -> Array:
        return self._column(self._state.copies, "visitor")

    def state(self) -> Array:
        """Return the global state [B, S] for centralised critics.

        It contains the latent visitor, platform means and the private parts of the observations; an observed
        satisfaction that all agents see alike is included once. On a GPU the next call overwrites the array. The
        call takes time proportional to the number of users who were asked to come in this episode.
        """
        self._require_reset("state()")
        return self._states()

    def final_state(self) -> Array:
        """Return `state()` [B, S] at the end of the episodes that ended in the last step, beside `final_obs`.

        It is valid where truncated.
        """
        self._require_reset("final_state()")
        return self._final_states()

    # -------------------------------------------------------------------------------------------- where the arrays are
    # Defaults for arrays on the host. A batch on a GPU overrides these methods.

    def _on_host(self, array: Any) -> np.ndarray:
        """An array of the batch's state as it is now, on the host: the array itself if it is there."""
        there: np.ndarray = array
        return there

    def _fetched(self, array: Any, part: Any) -> np.ndarray:
        """A copy of a part of an array, on the host."""
        copied: np.ndarray = self._on_host(array)[part].copy()
        return copied

    def _put(self, array: Any, part: Any, values: np.ndarray) -> None:
        """Overwrite a part of an array; if the values are of one copy, with the same in all copies."""
        array[part] = values

    @abstractmethod
    def _replace_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Let these larger arrays take the place of those of the batch's state."""

    @abstractmethod
    def _free_memory(self) -> tuple[int | None, str]:
        """How many bytes are free where the game is played (None = nobody knows), and where that is."""

    def _sent(self, array: np.ndarray) -> Any:
        """An array where the game is played."""
        return array

    def _read(self, actions: Any) -> Any:
        """Actions that lie in their space, as the kernels read them: [B, N, A]."""
        return self._actions.read(actions)

    @abstractmethod
    def _states(self) -> Array:
        """`state()` of the present page."""

    @abstractmethod
    def _final_states(self) -> Array:
        """`final_state()` of the present report."""

    @abstractmethod
    def _advance(self, actions: Any, mode: int) -> None:
        """Write a tick (STEP), the start of an episode (RESET) or the present page again (LOOK) to the next report."""


def check_belongs(snapshot: Any, config: WorldConfig, world: str, state: Any, most: int) -> None:
    """Raise unless a snapshot was taken in this world, and its arrays are like these, for any number of copies, and for
    as many rows of people as an episode may take at most.

    Raises:
        TypeError, ValueError: as for `GameBatch.restore`.
    """
    whole = (
        isinstance(snapshot, Snapshot)
        and isinstance(snapshot.config, WorldConfig)
        and isinstance(snapshot.world, str)
        and isinstance(snapshot.arrays, State)
        and isinstance(snapshot.arrays.copies, np.ndarray)
        and snapshot.arrays.copies.ndim == 1
    )
    if not whole:
        raise TypeError(f"snapshot = {shown(snapshot)} must be what save() returns")
    if snapshot.config != config:
        raise ValueError(
            f"the snapshot was taken in another task or with other settings: {difference(snapshot.config, config)}"
        )
    if snapshot.world != world:
        raise ValueError(
            "the snapshot was taken in another world: its items and users are not those of the catalogue here"
        )
    vectors: Any = snapshot.arrays.vectors
    held = vectors.shape[1] if isinstance(vectors, np.ndarray) and vectors.ndim > 1 else 1
    rows = min(max(held, 1), most)
    for name, saved, mine in zip(State._fields, snapshot.arrays, state, strict=True):
        shape = (snapshot.num_envs, *mine.shape[1:])
        if name in ROW_ARRAYS:
            shape = (snapshot.num_envs, rows, *mine.shape[2:])
        if not isinstance(saved, np.ndarray) or (saved.shape, saved.dtype) != (shape, mine.dtype):
            found = _described(saved.dtype, saved.shape) if isinstance(saved, np.ndarray) else shown(saved)
            raise ValueError(
                f"the snapshot's {name} are {found}, expected {_described(mine.dtype, shape)}; "
                "it is not what save() returned"
            )


def _described(kind: np.dtype, shape: tuple[int, ...]) -> str:
    """What an array holds, in a few words."""
    what = f"records ({', '.join(kind.names)})" if kind.names else str(kind)
    return f"{what}{list(shape)}"


def loaded(catalogue: Any, config: WorldConfig) -> Catalogue | None:
    """The catalogue itself: the one given, as an object, by name or by path, else the one that the config names."""
    if catalogue is None:
        return Catalogue.load(config.catalogue) if config.catalogue else None
    found = Catalogue.load(catalogue)
    check_catalogue_fields(config)
    return found
