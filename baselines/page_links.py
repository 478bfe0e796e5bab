"""Links between pages: the chains along which credit flows.

    links = Links(steps, copies, agents, places, gamma)
    links.add(t, place, active, rewards)        after each tick
    links.end()                                 at the end of an episode or of a rollout

Along ticks, an agent's next page is the next one that it is on, whoever visits. What a page does to its visitor then
mixes with what all other pages earn until that person returns.

Along places, the next page is that of the same seat in the population: of the same person or, once that person is lost,
of whoever takes the seat. Losing a person then costs what a new one has to make up for. What is earned in an idle tick
counts for the page before it. What is earned on a page that shows nothing of the agent counts for the agent's last page
with that visitor.
"""

from __future__ import annotations

import numpy as np


class Links:
    """The pages of B copies and N agents over the last T ticks.

    Page (t, b, n) has the number (t % T)·B·N + b·N + n in these arrays [T·B·N]:

    Attributes:
        following: number of the next page of its chain. The last page of a chain has its own number, and stands for
            the next one, which was not seen. -1 where the next page is still open, or where there was no page.
        reward: reward from the page until the next one, discounted by `gamma` per tick.
        ticks: number of ticks until the next page.

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
        """Add a tick.

        Args:
            t: number of the tick.
            place: [B] place of the visitor; -1 in an idle tick, whose reward counts for everybody's last page.
            active: [B, N] who was on the page.
            rewards: [B, N]
        """
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
        """End every chain: its last page stands for the next one, as if that came now."""
        last, since = self._open[self._open >= 0], self._since[self._open >= 0]
        self.following[last], self.ticks[last] = last, self._now - since
        self._open[:] = -1
