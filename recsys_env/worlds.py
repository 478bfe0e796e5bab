"""Copies of a task in several worlds as one batch: what is learned in it cannot be the numbers of one world's items.

    envs = Worlds(config, num_envs=64, seeds=range(16))     # 4 copies in each of 16 worlds
    for envs_of_a_world in envs.parts: ...                   # each with its `world`, texts and views

All parts write into slices of the same arrays, so that the batch costs no more than one of its size in a single world.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from .actions import ActionReader
from .batch import check_config
from .busy import one_at_a_time
from .checks import check_count, checked_seed, is_sequence, shown
from .config import WorldConfig
from .files import digest_of_value
from .settings import replace
from .snapshots import Contents
from .vector import VectorEnv
from .world import Report, State, aligned


class Worlds(VectorEnv):
    """B copies of a task in W worlds, the same number in each: a `VectorEnv` without one `world`.

    Args:
        config: the task.
        num_envs: B, a multiple of W.
        seeds: `world_seed` of each world.
        num_threads: of each part.

    Attributes:
        parts: W batches, of the copies of one world each, in order; step them through this object alone.

    What needs to know a copy's world (`public_items`, `prices_at`, `explain`, `texts`, policies of the package) is
    asked of the parts.

    Raises:
        ValueError: copies that cannot be shared out evenly, seeds that are the same, or a task with a catalogue, of
            which there is one world.
    """

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
        self.parts = [VectorEnv(replace(config, {"world_seed": seed}), each, num_threads) for seed in seeds]
        vars(self).update({**vars(self.parts[0]), "parts": self.parts, "config": config, "num_envs": int(num_envs)})
        self._actions = ActionReader(config, self.num_envs, self.possible_agents, self.action_space)
        self._state = State(*map(_together, zip(*(p._state for p in self.parts), strict=True)))
        self._buffers = [
            Report(*map(_together, zip(*(p._buffers[i] for p in self.parts), strict=True))) for i in range(2)
        ]
        self._slices = [slice(i * each, (i + 1) * each) for i in range(len(seeds))]
        self._share()

    def _share(self) -> None:
        """Let every part write into its slice of this batch's arrays."""
        self._report = self._buffers[0]
        for part, rows in zip(self.parts, self._slices, strict=True):
            part.busy = self.busy
            part._state = State(*(array[rows] for array in self._state))
            part._buffers = [Report(*(array[rows] for array in report)) for report in self._buffers]
            part._report = part._buffers[0]

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise TypeError("a batch of several worlds cannot be copied or pickled; save() gives its state")

    def _advance(self, actions: np.ndarray, mode: int) -> None:
        for part, rows in self._each():
            part._compiled = part._compiled or part._compile(actions[rows])
        second = self._report is self._buffers[0]
        try:
            for part, rows in self._each():
                part._advance(actions[rows], mode)
        except BaseException:  # such as Ctrl-C between two worlds: where some have gone on, there is no game any more
            for part in self.parts:
                if part._report is part._buffers[second]:
                    self._seed = None
                part._report = part._buffers[not second]
            raise
        self._report = self._buffers[second]
        if mode:
            for part in self.parts:
                part._seed = part._state.copies["seed"].tolist()

    @property  # type: ignore[misc]
    def world(self) -> NoReturn:  # type: ignore[override]
        raise AttributeError(f"these copies play in {len(self.parts)} worlds; `parts` has them")

    @cached_property
    def world_digest(self) -> str:
        """Of all of its worlds."""
        return digest_of_value([part.world_digest for part in self.parts])

    @property  # type: ignore[misc]
    def _contents(self) -> Contents:  # type: ignore[override]
        """Those of one world: they do not depend on its seed."""
        return self.parts[0]._contents

    @one_at_a_time
    def state(self) -> np.ndarray:
        self._require_reset("state()")
        return np.concatenate([part.state() for part in self.parts])

    @one_at_a_time
    def latent_users(self, places: np.ndarray | int | None = None) -> dict[str, np.ndarray]:
        places = None if places is None else self._places(places)
        return _joined([p.latent_users(None if places is None else places[r]) for p, r in self._each()])

    @one_at_a_time
    def expected_feedback(self, actions: Any) -> dict[str, np.ndarray]:
        self._require_reset("expected_feedback()")
        read = self._actions.read(actions).reshape(self.empty_actions().shape)
        return _joined([part.expected_feedback(read[rows]) for part, rows in self._each()])

    def _each(self) -> list[tuple[VectorEnv, slice]]:
        return list(zip(self.parts, self._slices, strict=True))


def _together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The copies of several parts in one array."""
    return aligned(np.concatenate(arrays))


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
