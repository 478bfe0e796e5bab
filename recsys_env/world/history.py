"""The memory of an agent: the last pages that it showed to each visitor, and what followed.

    history = History(envs.world.item_vectors, rows=envs.num_envs, length=8)
    tokens = history.recall(envs.next_visitor[:, n])           # [B, 8, F] before the page
    history.observe(feedback(infos, n))                        # after it
    history.clear()                                            # when an episode has ended

It uses only what `Policy.observe` receives: an agent's own slots, and which pages had the same visitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import as_numbers, check_count, shown

# of each page, before the vectors of what was shown and of what was clicked
FLAGS = ("known", "gap", "clicked", "cart", "bought")
_SLOT_FLAGS = FLAGS[2:]  # what happened to a slot


class History:
    """The last pages of the last visitors of every row, without a loop over rows.

    Args:
        vectors: q [M, D] of the items.
        rows: R, agents times copies.
        length: L, pages remembered of each visitor.
        visitors: S, visitors remembered in each row; a new visitor replaces the one seen least recently.

    Attributes:
        width: F, numbers per page: `FLAGS`, then the mean vector of the shown items, then the vector of the clicked
            item.

    Raises:
        ValueError, TypeError: the vectors are not numbers, or a count is not an integer of at least 1.
    """

    def __init__(self, vectors: np.ndarray, rows: int, length: int, visitors: int = 16) -> None:
        for name, count in {"rows": rows, "length": length, "visitors": visitors}.items():
            check_count(name, count, 1, 2**31)
        self._vectors = as_numbers("vectors", vectors).astype(np.float32)
        if self._vectors.ndim != 2:
            raise ValueError(f"vectors = {shown(vectors)} of shape {list(self._vectors.shape)} must be numbers [M, D]")
        self._length, self._rows = length, np.arange(rows)
        self.width = len(FLAGS) + 2 * self._vectors.shape[1]
        self._pages = np.zeros((rows, visitors, length, self.width), np.float32)
        self._when = np.zeros((rows, visitors, length), np.int64)
        self._seen = np.zeros((rows, visitors), np.int64)  # pages shown to this visitor
        self._last = np.zeros((rows, visitors), np.int64)  # tick of the last one
        self._who = np.full((rows, visitors), -1, np.int64)
        self.clear()

    def clear(self) -> None:
        """Forget all visitors."""
        self._who[:] = -1
        self._last[:] = -1
        self._tick = 0

    def _find(self, visitor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the position of the visitor in each row, and whether the row has it (-1 is never found)."""
        same = self._who == visitor[:, None]
        return same.argmax(1), same.any(1) & (visitor >= 0)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Remember the page just shown.

        Args:
            feedback: visitor [R] (-1: no page), shown, clicked, cart, bought [R, K].

        Raises:
            KeyError: an entry is missing.
            ValueError, TypeError: an entry is of another kind or has another number of rows; nothing is remembered.
        """
        visitor, items, *events = self._checked(feedback)
        slot, known = self._find(visitor)
        rows = np.flatnonzero(visitor >= 0)
        slot = np.where(known, slot, self._last.argmin(1))[rows]
        self._seen[rows, slot] = np.where(known[rows], self._seen[rows, slot], 0)
        self._who[rows, slot] = visitor[rows]
        entry = self._seen[rows, slot] % self._length
        self._pages[rows, slot, entry] = self._describe(items[rows], *(event[rows] for event in events))
        self._when[rows, slot, entry] = self._last[rows, slot] = self._tick
        self._seen[rows, slot] += 1
        self._tick += 1

    def _checked(self, feedback: Any) -> list[np.ndarray]:
        """Return the entries that `observe` reads, as checked arrays."""
        if not isinstance(feedback, Mapping):
            raise TypeError(f"feedback = {shown(feedback)} must be what happened at a page, by name")
        for name in ("visitor", "shown", *_SLOT_FLAGS):
            if name not in feedback:
                raise KeyError(f"feedback = {shown(feedback)} has no {name!r}")
        visitor, items = self._visitors(feedback["visitor"]), as_numbers("shown", feedback["shown"], "iu")
        if items.ndim != 2 or len(items) != len(self._rows):
            raise ValueError(
                f"shown = {shown(feedback['shown'])} of shape {list(items.shape)} must be items [{len(self._rows)}, K]"
            )
        if items.size and not (items.min() >= -1 and items.max() < len(self._vectors)):
            raise ValueError(
                f"shown = {shown(feedback['shown'])} must hold items below {len(self._vectors)}, and -1 for empty slots"
            )
        events = [as_numbers(name, feedback[name], "biuf") for name in _SLOT_FLAGS]
        for name, event in zip(_SLOT_FLAGS, events, strict=True):
            if event.shape != items.shape:
                raise ValueError(
                    f"{name} = {shown(feedback[name])} of shape {list(event.shape)} must have the shape of what was "
                    f"shown, {list(items.shape)}"
                )
        return [visitor, items, *events]

    def _visitors(self, visitor: Any) -> np.ndarray:
        """Return the visitor of each row, checked."""
        array = as_numbers("visitor", visitor, "iu")
        if array.shape != self._rows.shape:
            raise ValueError(
                f"visitor = {shown(visitor)} of shape {list(array.shape)} must be one for each of "
                f"{len(self._rows)} rows"
            )
        return array

    def _describe(self, shown: np.ndarray, clicked: np.ndarray, cart: np.ndarray, bought: np.ndarray) -> np.ndarray:
        """Return pages as [R, F]; the gap is filled in when they are recalled."""
        real = (shown >= 0)[:, :, None]
        vectors = np.where(real, self._vectors[shown], 0)
        mean = vectors.sum(1) / real.sum(1).clip(1)
        flags = np.stack(
            [np.ones(len(shown)), np.zeros(len(shown)), *(event.any(1) for event in (clicked, cart, bought))], 1
        )
        return np.concatenate((flags, mean, (vectors * clicked[:, :, None]).sum(1)), 1)

    def recall(self, visitor: np.ndarray) -> np.ndarray:
        """Return the last pages [R, L, F] of these visitors [R], oldest first, zeros where there are fewer.

        All numbers are in [-1, 1]. The gap of a page is log(1 + ticks since) / 10, at most 1.

        Raises:
            ValueError, TypeError: `visitor` does not hold one visitor id for each row.
        """
        slot, known = self._find(self._visitors(visitor))
        seen = np.where(known, self._seen[self._rows, slot], 0)
        age = np.arange(self._length, 0, -1)  # in pages: the newest is 1 page old
        entry = (seen[:, None] - age) % self._length
        at = (self._rows[:, None], slot[:, None], entry)
        there = seen[:, None] >= age
        pages = self._pages[at] * there[:, :, None]
        pages[:, :, FLAGS.index("gap")] = (np.log1p(np.where(there, self._tick - self._when[at], 0)) / 10).clip(max=1)
        return pages
