"""Copies of a task in several worlds as one batch, so that learners cannot memorise the items of a single world.

envs = Worlds(config, num_envs=64, seeds=range(16))     # 4 copies in each of 16 worlds
for envs_of_a_world in envs.parts: ...                   # each with its `world`, texts and views
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from ..checks import check_count, check_options, checked_seed, is_sequence, shown
from ..config import WorldConfig
from ..config.settings import replace
from ..files import digest_of_value
from ..world.arrays import ROW_ARRAYS, Report, State, most_rows, with_rows
from .actions import ActionReader
from .base import Batch, Snapshot, check_config, checked_seeds
from .game import GameBatch, check_belongs
from .infos import Infos
from .vector import VectorEnv


class Worlds(Batch[np.ndarray, Infos]):
    """B copies of a task in W worlds, with the same number of copies in each.

    Args:
        config: the task.
        num_envs: B, a multiple of W.
        seeds: `world_seed` of each world.
        num_threads: threads of each part.

    Attributes:
        parts: W batches, each with the copies of one world, in order; step them only through this object.

    Functions that need to know a copy's world (`world`, `texts`, `public_items`, `prices_at`, `explain`, policies) are
    available on the parts.

    Raises:
        ValueError: copies cannot be distributed evenly, seeds are equal, or the task has a catalogue, which has only
            one world.
    """

    catalogue = None
    copy = False  # the reports of the parts are joined into new arrays at every step

    def __init__(self, config: WorldConfig, num_envs: int, seeds: Sequence[int], num_threads: int = 1) -> None:
        check_config(config)
        check_count("num_envs", num_envs, 1, 2**31)
        if not is_sequence(seeds):
            raise TypeError(f"seeds = {shown(seeds)} must be a list of world seeds")
        given = shown(seeds)
        seeds = [checked_seed(seed, f"seeds[{i}]") for i, seed in enumerate(seeds)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds = {given} must be one or more different world seeds")
        if num_envs % len(seeds):
            raise ValueError(f"num_envs = {num_envs} copies cannot be shared out evenly among {len(seeds)} worlds")
        if config.catalogue:
            raise ValueError(f"catalogue = {config.catalogue!r} is one world; several are made of synthetic items")
        each = num_envs // len(seeds)
        self.parts = [VectorEnv(replace(config, {"world_seed": seed}), each, num_threads, copy=False) for seed in seeds]
        self.config, self.num_envs = config, int(num_envs)
        first = self.parts[0]  # layouts and spaces do not depend on a world's seed
        self.device, self.shape = first.device, first.shape
        self.possible_agents, self.num_agents = first.possible_agents, first.num_agents
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.action_fields, self.observation_fields = first.action_fields, first.observation_fields
        self.candidate_features = first.candidate_features
        self.observation_format, self.layout = first.observation_format, first.layout
        self.state_space, self.state_fields = first.state_space, first.state_fields
        self._actions = ActionReader(config, self.num_envs, self.possible_agents, self.action_space)
        self._rows = [slice(i * each, (i + 1) * each) for i in range(len(seeds))]
        self._begun = False  # and no part has gone on without the others
        self._report = self._joined_report()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a batch of several worlds cannot be copied or pickled; save() gives its state")

    def __getattr__(self, name: str) -> NoReturn:
        """What a batch of one world has.

        Raises:
            AttributeError: always.
        """
        if hasattr(VectorEnv, name) and not name.startswith("__"):
            raise AttributeError(f"a batch of several worlds has no {name}; each of its `parts` has")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def game(self) -> GameBatch[np.ndarray, Infos]:
        raise ValueError("a policy looks up one world, and these copies play in several: bind it to each of `parts`")

    @cached_property
    def world_digest(self) -> str:
        """Digest of all worlds."""
        return digest_of_value([part.world_digest for part in self.parts])

    # -------------------------------------------------------------------------------------------- playing

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Infos]:
        """Start an episode in every copy; as `VectorEnv.reset`."""
        check_options(options)
        if seed is None and not self._begun:
            seed = secrets.randbits(63)
        seeds = None if seed is None else checked_seeds(seed, self.num_envs)
        return self._go_on(lambda part, rows: part.reset(seed=None if seeds is None else seeds[rows]))

    def _play(self, actions: Any) -> None:
        self._require_reset("step()")
        read = self._read(actions)
        for part in self.parts:  # if there is no memory for a part, none of them plays
            part._make_room(1)
        self._go_on(lambda part, rows: part._step(read[rows]))

    def look(self) -> tuple[Any, Infos]:
        self._require_reset("look()")
        return self._go_on(lambda part, rows: part.look())

    def save(self, copy: int | None = None) -> Snapshot:
        """Return the state of all copies, or of one, as a snapshot of a batch of its own world.

        Raises:
            RuntimeError: before the first `reset`.
        """
        self._require_reset("save()")
        if copy is not None:
            part, index = self._part_of(copy)
            return part.save(index)
        states = [part.save().arrays for part in self.parts]
        rows = max(state.vectors.shape[1] for state in states)  # fewer in some parts than in others
        joined = {}
        for name in State._fields:
            parts = [getattr(state, name) for state in states]
            joined[name] = np.concatenate([with_rows(array, rows) for array in parts] if name in ROW_ARRAYS else parts)
        return Snapshot(self.config, State(**joined), self.world_digest)

    def restore(
        self, snapshot: Snapshot, copy: int | None = None, seed: int | Sequence[int] | None = None
    ) -> tuple[Any, Infos]:
        """Continue from a snapshot, bit for bit; as `VectorEnv.restore`.

        A snapshot of all copies is restored into all, and one of a single copy into a copy of its own world.
        """
        if copy is not None:
            part, index = self._part_of(copy)
            self._require_reset(f"restore(copy={copy})")
            part.restore(snapshot, index, seed)
            return self._go_on(lambda part, rows: part.look())
        parts = self._shared_out(snapshot)
        seeds = None if seed is None else checked_seeds(seed, self.num_envs)
        return self._go_on(
            lambda part, rows: part.restore(parts[rows.start], seed=None if seeds is None else seeds[rows])
        )

    def _shared_out(self, snapshot: Any) -> dict[int, Snapshot]:
        """Split a snapshot of all copies into the parts: first copy of a part -> a snapshot that it can restore.

        Raises:
            TypeError, ValueError: as for `VectorEnv.restore`.
        """
        first = self.parts[0]
        check_belongs(snapshot, self.config, self.world_digest, first.arrays, most_rows(first.world))
        if snapshot.num_envs != self.num_envs:
            raise ValueError(f"a snapshot of {snapshot.num_envs} copies cannot be restored into {self.num_envs}")
        parts = {}
        for part, rows in self._each():
            arrays = State(*(array[rows] for array in snapshot.arrays))
            parts[rows.start] = Snapshot(part.config, arrays, part.world_digest)
        return parts

    def _part_of(self, copy: Any) -> tuple[VectorEnv, int]:
        """Return the part in which a copy plays, and the number of the copy there."""
        check_count("copy", copy, 0, self.num_envs - 1)
        part, index = divmod(int(copy), self.parts[0].num_envs)
        return self.parts[part], index

    def _go_on(self, call: Callable[[VectorEnv, slice], Any]) -> tuple[Any, Infos]:
        """Call a function for every part and its copies, and join their reports."""
        before = [part.report for part in self.parts]
        try:
            for part, rows in self._each():
                call(part, rows)
        except BaseException:  # such as Ctrl-C between two worlds: where some have gone on, there is no game any more
            if any(part.report is not report for part, report in zip(self.parts, before, strict=True)):
                self._begun = False
            raise
        self._begun, self._report = True, self._joined_report()
        return self.observations, self.infos

    def _each(self) -> list[tuple[VectorEnv, slice]]:
        return list(zip(self.parts, self._rows, strict=True))

    def _read(self, actions: Any) -> np.ndarray:
        """Return the checked actions [B, N, ...] of all parts."""
        return self._actions.read(actions).reshape(self.empty_actions().shape)

    def _require_reset(self, call: str) -> None:
        if not self._begun:
            raise RuntimeError(f"call reset() before {call}")

    # -------------------------------------------------------------------------------------------- the last page

    def _last_report(self) -> Report:
        return self._report

    def _joined_report(self) -> Report:
        return Report(*map(np.concatenate, zip(*(part.report for part in self.parts), strict=True)))

    def _infos(self, report: Report) -> Infos:
        return Infos(report)

    def _nobody(self) -> np.ndarray:
        return np.zeros(self.num_envs, np.bool_)

    @property
    def next_user_slots(self) -> np.ndarray:
        return self._joined(lambda part, rows: part.next_user_slots)

    @property
    def tick(self) -> np.ndarray:
        """As `VectorEnv.tick`."""
        return self._joined(lambda part, rows: part.tick)

    @property
    def next_page(self) -> np.ndarray:
        """As `VectorEnv.next_page`."""
        return self._joined(lambda part, rows: part.next_page)

    def state(self) -> np.ndarray:
        self._require_reset("state()")
        return self._joined(lambda part, rows: part.state())

    def final_state(self) -> np.ndarray:
        self._require_reset("final_state()")
        return self._joined(lambda part, rows: part.final_state())

    def latent_users(self, user_slots: np.ndarray | int | None = None) -> dict[str, np.ndarray]:
        """As `VectorEnv.latent_users`."""
        self._require_reset("latent_users()")
        which = None if user_slots is None else self.parts[0]._user_slots(user_slots, self.num_envs)
        return _by_name([part.latent_users(None if which is None else which[rows]) for part, rows in self._each()])

    def expected_feedback(self, actions: Any) -> dict[str, np.ndarray]:
        """As `VectorEnv.expected_feedback`."""
        self._require_reset("expected_feedback()")
        read = self._read(actions)
        return _by_name([part.expected_feedback(read[rows]) for part, rows in self._each()])

    def _joined(self, call: Callable[[VectorEnv, slice], np.ndarray]) -> np.ndarray:
        """Call a function for every part and its copies, and join the results to one array."""
        return np.concatenate([call(part, rows) for part, rows in self._each()])


def _by_name(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
