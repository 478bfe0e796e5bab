"""Which page follows which: the chains along which credit flows.

    links = Links(steps, copies, agents, places, gamma)
    links.add(t, place, active, rewards)        after each tick; place [B] of the visitor, -1 in an idle tick, which is
                                                that of everybody, on the page or not
    links.end()                                 whatever comes next belongs to another episode, or is not seen

Along ticks, an agent's next page is whoever's comes next; what one page does to its visitor mixes with what all the
others earn until that person returns. Along places, it is the next page of the same seat in the population: of a
person, and once this one is lost, of whoever takes the seat, so that losing a person costs what a new one has to make
up for. What is earned in an idle tick counts for the page before it, what is earned at a page that shows nothing of the
agent for its last page with that visitor.
"""

from __future__ import annotations

import numpy as np


class Links:
    """The pages of B copies and N agents over the last T ticks.

    Page (t, b, n) has the number (t % T)·B·N + b·N + n in these arrays [T·B·N]:

    Attributes:
        following: number of the page that follows in its chain; its own where it was the last one that was seen, and
            stands for the one that was not; -1 where that is still open, or where there was no page.
        reward: what was earned from it until then, discounted by `gamma` per tick.
        ticks: until then.

    Args:
        steps: T.
        places: U, the users' seats in a copy; 1 = along ticks.
        gamma: discount per tick.
    """

    def __init__(self, steps: int, copies: int, agents: int, places: int, gamma: float) -> None:
        self.steps, self.rows, self._places, self._gamma = steps, copies * agents, places, gamma
        self.following = np.full(steps * self.rows, -1, np.int64)
        self.reward, self.ticks = np.zeros(steps * self.rows), np.zeros(steps * self.rows, np.int64)
        self._open = np.full((copies, agents, places), -1, np.int64)  # last page of each chain
        self._since = np.zeros((copies, agents, places), np.int64)  # and its tick
        self._lane = np.zeros(copies, np.int64)  # place of each copy's last page
        self._b, self._n = np.arange(copies)[:, None], np.arange(agents)
        self._now = 0

    def add(self, t: int, place: np.ndarray, active: np.ndarray, rewards: np.ndarray) -> None:
        """The next tick, with the place [B] whose page it was, who was on it and what everybody earned [B, N]."""
        first = t % self.steps * self.rows
        self.following[first : first + self.rows], self.reward[first : first + self.rows] = -1, 0.0
        if self._places > 1:
            self._lane = np.where(place >= 0, place, self._lane)
        lane = self._b, self._n, self._lane[:, None]
        page, before, since = first + np.arange(self.rows).reshape(active.shape), self._open[lane], self._since[lane]
        followed = active & (before >= 0)
        self.following[before[followed]] = page[followed]
        self.ticks[before[followed]] = t - since[followed]
        self._open[lane], self._since[lane] = np.where(active, page, before), np.where(active, t, since)
        credited = self._open[lane] >= 0
        self.reward[self._open[lane][credited]] += (self._gamma ** (t - self._since[lane]) * rewards)[credited]
        self._now = t + 1

    def end(self) -> None:
        """The last page of every chain stands for the one that would have followed, as if it came now."""
        last, since = self._open[self._open >= 0], self._since[self._open >= 0]
        self.following[last], self.ticks[last] = last, self._now - since
        self._open[:] = -1
