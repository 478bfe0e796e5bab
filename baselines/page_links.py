"""Links between pages: the chains along which credit flows.

    links = Links(steps, copies, agents, chains, gamma)
    links.add(t, user_slot, active, rewards)    after each tick
    links.end()                                 at the end of an episode, and of a rollout that is then discarded

Along ticks, an agent's next page is the next one that it is on, whoever visits. With a chain for each user slot, it is
that of the same person or, once that person is lost, of whoever takes the user slot. Reward earned in an idle tick, or
on a page that shows nothing of the agent, counts for the page before.
"""

from __future__ import annotations

import torch


class Links:
    """The pages of B copies and N agents over the last T ticks, on a device.

    Page (t, b, n) has the number (t % T)·B·N + b·N + n in these tensors [T·B·N]:

    Attributes:
        following: number of the next page of its chain. The last page of a chain has its own number, and stands for
            the next one, which was not seen. -1 where the next page is still open, or where there was no page.
        reward: reward from the page until the next one, discounted by `gamma` per tick.
        ticks: number of ticks until the next page.

    Args:
        steps: T.
        chains: of an agent in a copy: one for each of U user slots, or 1 along ticks.
        gamma: discount per tick.
    """

    def __init__(
        self, steps: int, copies: int, agents: int, chains: int, gamma: float, device: torch.device | str = "cpu"
    ) -> None:
        def number(*shape: int, fill: int = 0) -> torch.Tensor:
            return torch.full(shape, fill, dtype=torch.int64, device=device)

        self.steps, self.rows, self._chains, self._gamma = steps, copies * agents, chains, gamma
        self._nowhere = steps * self.rows  # a last entry for what belongs to no page: a mask would make a GPU wait
        self._following, self._ticks = number(self._nowhere + 1, fill=-1), number(self._nowhere + 1)
        self._reward = torch.zeros(self._nowhere + 1, dtype=torch.float64, device=device)
        self.following, self.ticks, self.reward = (
            tensor[: self._nowhere] for tensor in (self._following, self._ticks, self._reward)
        )
        self._open = number(copies, agents, chains, fill=-1)  # last page of each chain
        self._since = number(copies, agents, chains)  # and its tick
        self._lane = number(copies)  # chain of each copy's last page
        self._rows = torch.arange(self.rows, device=device).view(copies, agents)
        self._now = 0

    def add(self, t: int, user_slot: torch.Tensor, active: torch.Tensor, rewards: torch.Tensor) -> None:
        """Add a tick.

        Args:
            t: number of the tick.
            user_slot: [B] user slot of the visitor; -1 in an idle tick, whose reward counts for everybody's last page.
            active: [B, N] who was on the page.
            rewards: [B, N]
        """
        first = t % self.steps * self.rows
        self.following[first : first + self.rows], self.reward[first : first + self.rows] = -1, 0.0
        if self._chains > 1:
            self._lane = torch.where(user_slot >= 0, user_slot, self._lane)
        lane = self._lane[:, None, None].expand(-1, active.shape[1], 1)
        page, before = first + self._rows, self._open.gather(2, lane)[..., 0]
        since = self._since.gather(2, lane)[..., 0]
        followed = torch.where(active & (before >= 0), before, self._nowhere).flatten()
        self._following[followed], self._ticks[followed] = page.flatten(), (t - since).flatten()
        before, since = torch.where(active, page, before), torch.where(active, t, since)
        self._open.scatter_(2, lane, before[..., None])
        self._since.scatter_(2, lane, since[..., None])
        credited = torch.where(before >= 0, before, self._nowhere).flatten()
        self._reward.index_add_(0, credited, (self._gamma ** (t - since).double() * rewards).flatten())
        self._now = t + 1

    def end(self) -> None:
        """End every chain: its last page stands for the next one, as if that came now."""
        last, since = self._open[self._open >= 0], self._since[self._open >= 0]
        self.following[last], self.ticks[last] = last, self._now - since
        self._open.fill_(-1)

    def sums(self, amounts: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Sums [T·B·N] along chains: of each page its amount, and its factor times the sum of the page that follows.

        Args:
            amounts, factors: [T·B·N]; the factor of the last page of a chain does not count.
        """
        numbers = torch.arange(len(amounts), device=amounts.device)
        ended = (self.following < 0) | (self.following == numbers)
        following, factors = torch.where(ended, numbers, self.following), factors.masked_fill(ended, 0.0)
        result = torch.zeros_like(amounts)
        for t in reversed(range(self.steps)):
            rows = slice(t * self.rows, (t + 1) * self.rows)
            result[rows] = amounts[rows] + factors[rows] * result[following[rows]]
        return result
