"""The designs of an experiment: what its units are, and which of two policies serves each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..batch.base import checked_cpu_batch
from ..batch.vector import VectorEnv
from ..checks import check_count, checked_seed, is_sequence, shown, unknown

DESIGNS: Mapping[str, str] = MappingProxyType(
    {
        "user": "a user slot, with all its pages; whoever takes the slot of a lost person inherits its policy",
        "session": "a session, with all its pages; the next session of the same person may get the other policy",
        "page": "a page; the next one may get the other policy",
        "switchback": "a block of ticks, in which one policy serves every page",
        "item": "an item; it is on a page if the policy that it belongs to puts it there",
    }
)
"""The designs by name, each with its unit."""

ARMS = ("A", "B")
"""The two policies. As treatments of a whole copy: everybody is served by one of them."""
NOBODY = -1  # the arm of an idle copy


class Assignment:
    """Which policy, A or B, serves each unit in every copy of a batch.

    Each copy has one treatment: one of `DESIGNS`, or one of `ARMS` for all its pages. Half of the units of a design are
    drawn for B. The draw depends on the seed of the copy alone.

    Args:
        envs: the batch, on the CPU.
        treatments, seeds: of each copy [B].
        block: length of the blocks of the design `switchback`, in ticks.

    Raises:
        TypeError, ValueError: an argument is of a wrong kind or number, or a treatment does not exist.
    """

    def __init__(self, envs: VectorEnv, treatments: Sequence[str], seeds: Sequence[int], block: int = 1) -> None:
        self.envs: VectorEnv = checked_cpu_batch(envs).game  # type: ignore[assignment]
        for name, values in {"treatments": treatments, "seeds": seeds}.items():
            if not is_sequence(values) or len(values) != envs.num_envs:
                raise ValueError(f"{name} = {shown(values)} must hold one for each of the {envs.num_envs} copies")
        for treatment in treatments:
            if not isinstance(treatment, str) or treatment not in (*ARMS, *DESIGNS):
                raise ValueError(unknown("treatment", treatment, (*ARMS, *DESIGNS)))
        check_count("block", block, 1, 10**8)
        self.treatments, self.block = tuple(treatments), int(block)
        self._ofs = {name: np.array([t == name for t in treatments]) for name in (*ARMS, *DESIGNS)}  # name -> bool [B]
        drawn = [self._draw(treatment, checked_seed(seed)) for treatment, seed in zip(treatments, seeds, strict=True)]
        self._table = np.zeros((len(drawn), max(map(len, drawn))), np.int8)
        for row, arms in zip(self._table, drawn, strict=True):
            row[: len(arms)] = arms
        # Drawn in advance for every tick, so that it does not depend on the other copies.
        self._first = {
            copy: np.random.default_rng([seeds[copy], len(DESIGNS)]).integers(2, size=self.envs.config.horizon)
            for copy in np.flatnonzero(self.by_item).tolist()
        }

    def _draw(self, treatment: str, seed: int) -> np.ndarray:
        """Return the arm of each unit of a copy: 0 is A, 1 is B."""
        number = self.number_of_units(treatment)
        if treatment in ARMS:
            return np.full(number, ARMS.index(treatment), np.int8)
        drawn = np.random.default_rng([seed, tuple(DESIGNS).index(treatment)]).permutation(number)
        return (drawn < number // 2).astype(np.int8)

    def number_of_units(self, treatment: str) -> int:
        """Return how many units there can be in a copy with this treatment; sessions and pages count by their ticks."""
        config = self.envs.config
        if treatment == "item":
            return self.envs.shape.items
        if treatment == "switchback":
            return -(-config.horizon // self.block)
        return config.horizon if treatment in ("session", "page") else self.envs.shape.users

    def units(self) -> np.ndarray:
        """Return the unit [B] of the page about to be shown in each copy, -1 in an idle tick.

        A session is named by the tick at which it began, a page by its tick, a block by its number, and anything else
        by the user slot.
        """
        page = self.envs.next_page
        units = page["visitor"].astype(np.int64)
        here = units >= 0
        tick = page["tick"].astype(np.int64)
        for name, values in {
            "session": tick - page["session_page"],
            "page": tick,
            "switchback": tick // self.block,
        }.items():
            chosen = here & self._ofs[name]
            units[chosen] = values[chosen]
        return units

    def arms(self, units: np.ndarray) -> np.ndarray:
        """Return the arm [B] of these units: 0 is A, 1 is B, -1 is an idle copy or one whose items decide."""
        arms = self._table[np.arange(len(units)), np.maximum(units, 0)].astype(np.int64)
        arms[(units < 0) | self.by_item] = NOBODY
        return arms

    @property
    def by_item(self) -> np.ndarray:
        """Where items decide, bool [B]."""
        return self._ofs["item"]

    def first_arm(self, copy: int) -> int:
        """Return which policy fills the first slot of the page about to be shown, in a copy whose items decide."""
        return int(self._first[copy][self.envs.next_page["tick"][copy]])

    def arms_of(self, copy: int, units: np.ndarray) -> np.ndarray:
        """Return the arm of each of these units, or items, of one copy."""
        arms: np.ndarray = self._table[copy, np.asarray(units)].astype(np.int64)
        return arms
