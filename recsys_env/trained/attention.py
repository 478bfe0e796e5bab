"""A network that compares each candidate with the items that the visitor consumed last: target attention.

Candidates and consumed items are read as what they are, by their vectors and topics (`candidates.features`,
`observation.recent`), and not by how well they match. So what goes with what is learnt. Each candidate attends to the
consumed items, and its score depends on the candidate, what it attended to, and their product (Zhou et al. 2018).
"""

from __future__ import annotations

from typing import NamedTuple

from .pages import EXCLUDED, Layout, PageNetwork, mlp, weighed

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn


class AttentionPage(NamedTuple):
    """Pages as `pages.Page`, with candidates and consumed items."""

    context: torch.Tensor  # [R, X]
    features: torch.Tensor  # [R, C, F]
    allowed: torch.Tensor  # [R, C] bool
    items: torch.Tensor  # [R, C, D + T] vectors and topics of the candidates
    recent: torch.Tensor  # [R, L, D + T] those of the items consumed last
    events: torch.Tensor  # [R, L, 2] whether they were bought, and how many pages ago
    known: torch.Tensor  # [R, L] bool, whether there is such an item

    def summary(self) -> torch.Tensor:
        """Summary [R, X + 2 F] for critics."""
        return torch.cat((self.context, self.features.mean(1), self.features.amax(1)), 1)


class AttentionNetwork(PageNetwork):
    """Adds to the scores of a `PageNetwork` what target attention makes of candidates and consumed items.

    Args:
        layout: of observations and actions, with vectors of the candidates.
        width: of the hidden layers.
        memory: units of a GRU that runs along each visitor's pages; 0 = none.
        units: of the embeddings of items.
    """

    def __init__(self, layout: Layout, width: int, memory: int, units: int) -> None:
        if not layout.vectors:
            raise ValueError(
                'the observations hold no vectors of candidates; needed is candidates.features = "vectors" or "both"'
            )
        if not layout.recent:
            raise ValueError(
                "the observations hold no items that visitors consumed last; needed is observation.recent > 0"
            )
        super().__init__(layout, width, memory)
        self.units = units
        described = layout.dims + layout.topics
        self.candidate, self.query = nn.Linear(described, units), nn.Linear(described, units, bias=False)
        self.consumed, self.key = nn.Linear(described + 2, units), nn.Linear(described + 2, units, bias=False)
        self.person = nn.Linear(len(layout.context) + memory, units)
        self.head = mlp(5 * units, width, 1, gain=0.01)

    def read(self, observations: torch.Tensor, masks: torch.Tensor | None = None) -> AttentionPage:  # type: ignore[override]
        page, layout, rows = super().read(observations, masks), self.layout, len(observations)
        dims, topics, recent = layout.dims, layout.topics, layout.recent

        def part(start: int, *shape: int) -> torch.Tensor:
            size = int(torch.Size(shape).numel())
            return observations[:, start : start + size].view(rows, *shape)

        vectors = part(layout.vectors, layout.candidates, dims)
        hot = part(layout.vectors + layout.candidates * dims, layout.candidates, topics)
        at = layout.history
        known = part(at, recent).bool()
        consumed = part(at + recent, recent, dims)
        of = part(at + recent * (1 + dims), recent, topics)
        bought, pages = (part(at + recent * (1 + dims + topics + i), recent) for i in range(2))
        return AttentionPage(
            *page,
            items=torch.cat((_plain(vectors), hot), 2),
            recent=torch.cat((_plain(consumed), of), 2),
            events=torch.stack((bought, pages), 2),
            known=known,
        )

    def forward(  # type: ignore[override]
        self, page: AttentionPage, remembered: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        seen = page.context if remembered is None else torch.cat((page.context, remembered), 1)
        weights, *words = self.body(seen).split([self.layout.preferences, *self.layout.words], 1)
        candidate = self.candidate(page.items)
        consumed = torch.cat((page.recent, page.events), 2)
        attention = self.query(page.items) @ self.key(consumed).transpose(1, 2) / self.units**0.5  # [R, C, L]
        # An item of nothing takes part, so that no row is empty where nothing was consumed.
        none = torch.zeros_like(attention[:, :, :1])
        attention = attention.masked_fill(~page.known.unsqueeze(1), EXCLUDED)
        shares = torch.cat((attention, none), 2).softmax(2)[:, :, :-1]
        interest = shares @ self.consumed(consumed)
        person = self.person(seen).unsqueeze(1).expand_as(candidate)
        parts = candidate, interest, candidate * interest, person, candidate * person
        # Products, by which a map is learnt soonest.
        match = (candidate * (interest + person)).sum(2) / self.units**0.5
        scores = weighed(page, weights) + self.head(torch.cat(parts, 2)).squeeze(2) + match
        return scores.masked_fill(~page.allowed, EXCLUDED), words


def _plain(squashed: torch.Tensor) -> torch.Tensor:
    """Undo the squashing of vectors."""
    return squashed / (1.0 - squashed.abs())
