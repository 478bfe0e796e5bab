"""What an agent remembers of its visitors: the last pages that it showed each of them, and what came of them.

    history = History(envs.world.q, rows=envs.num_envs, length=8)
    tokens = history.recall(envs.next_visitor[:, n])           # [B, 8, F] before the page
    history.observe(feedback(infos, n))                        # after it
    history.clear()                                            # when an episode has ended

It knows no more than `Policy.observe` tells: an agent's own slots, and which pages had the same visitor.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# of each page, before the vectors of what was shown and of what was clicked
FLAGS = ("known", "gap", "clicked", "cart", "bought")


class History:
    """The last pages of the last visitors of every row, without a loop over rows.

    Args:
        vectors: q [M, D] of the items.
        rows: R, agents times copies.
        length: L, pages remembered of each visitor.
        visitors: S, visitors remembered in each row; the one not seen for longest makes room for a new one.

    Attributes:
        width: F, numbers per page: `FLAGS`, then the mean vector of what was shown, then the vector of what was
            clicked.
    """

    def __init__(self, vectors: np.ndarray, rows: int, length: int, visitors: int = 16) -> None:
        self._vectors, self._length, self._rows = np.asarray(vectors, np.float32), length, np.arange(rows)
        self.width = len(FLAGS) + 2 * self._vectors.shape[1]
        self._pages = np.zeros((rows, visitors, length, self.width), np.float32)
        self._when = np.zeros((rows, visitors, length), np.int64)
        self._seen = np.zeros((rows, visitors), np.int64)  # pages shown to this visitor
        self._last = np.zeros((rows, visitors), np.int64)  # tick of the last one
        self._who = np.full((rows, visitors), -1, np.int64)
        self.clear()

    def clear(self) -> None:
        """Forget everybody."""
        self._who[:] = -1
        self._last[:] = -1
        self._tick = 0

    def _find(self, visitor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each row keeps its visitor, and whether it does (it keeps nobody for -1)."""
        same = self._who == visitor[:, None]
        return same.argmax(1), same.any(1) & (visitor >= 0)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Remember the page just shown.

        Args:
            feedback: visitor [R] (-1: no page), shown, clicked, cart, bought [R, K].
        """
        visitor, shown = feedback["visitor"], feedback["shown"]
        place, known = self._find(visitor)
        rows = np.flatnonzero(visitor >= 0)
        place = np.where(known, place, self._last.argmin(1))[rows]
        self._seen[rows, place] = np.where(known[rows], self._seen[rows, place], 0)
        self._who[rows, place] = visitor[rows]
        entry = self._seen[rows, place] % self._length
        self._pages[rows, place, entry] = self._describe(
            shown[rows], *(np.asarray(feedback[name])[rows] for name in ("clicked", "cart", "bought"))
        )
        self._when[rows, place, entry] = self._last[rows, place] = self._tick
        self._seen[rows, place] += 1
        self._tick += 1

    def _describe(self, shown: np.ndarray, clicked: np.ndarray, cart: np.ndarray, bought: np.ndarray) -> np.ndarray:
        """Pages [R, F]; the gap is filled in when they are recalled."""
        real = (shown >= 0)[:, :, None]
        vectors = np.where(real, self._vectors[shown], 0)
        mean = vectors.sum(1) / real.sum(1).clip(1)
        flags = np.stack(
            [np.ones(len(shown)), np.zeros(len(shown)), *(event.any(1) for event in (clicked, cart, bought))], 1
        )
        return np.concatenate((flags, mean, (vectors * clicked[:, :, None]).sum(1)), 1)

    def recall(self, visitor: np.ndarray) -> np.ndarray:
        """The last pages [R, L, F] of these visitors [R], oldest first, zeros where there are fewer.

        All numbers lie in [-1, 1]. The gap of a page is log(1 + ticks since) / 10, at most 1.
        """
        place, known = self._find(visitor)
        seen = np.where(known, self._seen[self._rows, place], 0)
        age = np.arange(self._length, 0, -1)  # in pages: the newest is 1 page old
        entry = (seen[:, None] - age) % self._length
        at = (self._rows[:, None], place[:, None], entry)
        there = seen[:, None] >= age
        pages = self._pages[at] * there[:, :, None]
        pages[:, :, FLAGS.index("gap")] = (np.log1p(np.where(there, self._tick - self._when[at], 0)) / 10).clip(max=1)
        return pages
