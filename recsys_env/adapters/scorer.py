"""A network that scores candidates, a critic of pages, and slates drawn from scores, for any library on PyTorch.

envs = recsys_env.vector_env("journey-v1", num_envs=256)
scorer = CandidateScorer(envs.layout)
slates = Slates(scorer(observations), envs.config.slots)        # observations [..., O], or a dict of their parts
picks = slates.sample()                                         # [..., K]

The same small network scores every candidate, so that what it learns of one holds for all, and their order does not
matter (deep sets, Zaheer et al. 2017). A network of the flat observation has to learn everything anew for each place in
the list, which it fails to do within millions of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..batch.observations import CONTEXT, ObservationLayout
from ..checks import shown
from ..libraries import needed

with needed("this network", "recsys_env[train]"):
    import torch
    from torch import nn
    from torch.distributions import Categorical, Distribution

from ..batch.tensors import EXCLUDED

_PLAIN = ("candidates", "candidate_vectors", "candidate_topics")
_RECENT = ("recent_vectors", "recent_topics", "recent_bought", "recent_pages")


class PageParts(NamedTuple):
    """Observations as these networks take them."""

    context: torch.Tensor  # [..., X'] of the visit, and the means of what describes the recent items
    candidates: torch.Tensor  # [..., C, F'] features, vectors and topics
    ids: torch.Tensor | None  # [..., C] 1 + the number of the item, 0 = none

    def summary(self) -> torch.Tensor:
        """Summary [..., X' + 2 F'] for critics: the context, and mean and maximum of the candidates."""
        return torch.cat((self.context, self.candidates.mean(-2), self.candidates.amax(-2)), -1)


class PageReader:
    """Reads observations of this layout.

    Args:
        layout: `envs.layout`, with candidates.

    Attributes:
        context, candidate, summary: the sizes X' and F' of `PageParts`, and X' + 2 F' of its summary.
        items: M where observations name candidates, else 0.

    Raises:
        TypeError, ValueError: `layout` is no `ObservationLayout`, or the observations hold no candidates.
    """

    def __init__(self, layout: ObservationLayout) -> None:
        if not isinstance(layout, ObservationLayout):
            raise TypeError(f"layout = {shown(layout)} must be the layout of a batch's observations, envs.layout")
        if "candidates" not in layout.parts:
            raise ValueError('the observations hold no candidates; needed is action = "candidates" or "weights"')
        self._layout = layout
        self._plain = [name for name in _PLAIN if name in layout.parts]
        self._recent = [name for name in _RECENT if name in layout.parts]
        self.items = layout.items if "candidate_ids" in layout.parts else 0
        self.candidate = sum(layout.shape(name)[-1] for name in self._plain)
        self.context = len(layout.context) + sum(
            layout.shape(name)[1] if len(layout.shape(name)) > 1 else 1 for name in self._recent
        )
        self.summary = self.context + 2 * self.candidate

    def read(self, observations: torch.Tensor | Mapping[str, torch.Tensor]) -> PageParts:
        """Convert flat observations [..., O], or their parts in the format "dict".

        Raises:
            TypeError, KeyError, ValueError: they are no tensor, lack a part, or have another size.
        """
        named = isinstance(observations, Mapping)
        parts: Any = observations
        if not named:
            if not isinstance(observations, torch.Tensor):
                raise TypeError(f"observations = {shown(observations)} must be a tensor; torch.as_tensor makes one")
            if observations.shape[-1:] != (self._layout.size,):
                raise ValueError(f"observations of shape {list(observations.shape)} must be [..., {self._layout.size}]")
            parts = self._layout.split(observations)
        context, candidates = parts[CONTEXT], [parts[name] for name in self._plain]
        if self._recent:
            known = parts["recent_mask"].unsqueeze(-1)
            recent = [
                part if part.dim() == known.dim() else part.unsqueeze(-1) for part in map(parts.get, self._recent)
            ]
            mean = torch.cat(recent, -1).sum(-2) / known.sum(-2).clamp_min(1)  # zeros where there is no item
            context = torch.cat((context, mean), -1)
        ids = parts["candidate_ids"] if self.items else None
        if ids is not None and not named:
            ids = ids @ torch.as_tensor(self._layout.weights("candidate_ids"), dtype=ids.dtype, device=ids.device)
        return PageParts(
            context,
            candidates[0] if len(candidates) == 1 else torch.cat(candidates, -1),
            None if ids is None else ids.long(),
        )


class CandidateScorer(nn.Module):
    """Scores each candidate by a network with two hidden layers of the candidate and the context.

    Candidates are described by their features, and their vectors and topics where observations hold these. Where
    observations name items (`observation.item_ids`), each has an embedding too. Recent items enter by their mean.

    Args:
        layout: of the observations, `envs.layout`.
        width: hidden units.
    """

    def __init__(self, layout: ObservationLayout, width: int = 16) -> None:
        super().__init__()
        self.reader = PageReader(layout)
        self.context = nn.Linear(self.reader.context, width)
        self.candidate = nn.Linear(self.reader.candidate, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        with torch.no_grad():  # start near a uniform choice
            self.score.weight.mul_(0.01)
        self.item = nn.Embedding(1 + self.reader.items, width, padding_idx=0) if self.reader.items else None

    def forward(self, observations: torch.Tensor | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return scores [..., C] of the candidates of observations [..., O], or of their parts.

        Empty places have the lowest. Where there is no candidate all are 0, so that Q-learning may take scores as
        values.
        """
        scores = self.scores(self.reader.read(observations))
        return scores.masked_fill((scores == EXCLUDED).all(-1, keepdim=True), 0.0)

    def scores(self, page: PageParts) -> torch.Tensor:
        """Return scores [..., C], given what the reader has read; empty places have the lowest."""
        *rows, count, size = page.candidates.shape
        # with two axes the layers run 2-4 times as fast as with three
        known = self.candidate(page.candidates.reshape(-1, size)).view(*rows, count, -1)
        if self.item is not None:
            known = known + self.item(page.ids)
        hidden = torch.relu_(known + self.context(page.context).unsqueeze(-2))
        hidden = torch.relu_(self.hidden(hidden.flatten(0, -2)))
        scores: torch.Tensor = self.score(hidden).view(*rows, count)
        empty = (page.candidates == 0).all(-1) if page.ids is None else page.ids == 0
        return scores.masked_fill(empty, EXCLUDED)


class PageCritic(nn.Module):
    """Values pages by a network with two hidden layers of the context, and of the mean and maximum of the candidates.

    An untrained one values every page at 0: rewards are small, and its errors would drown them. The arguments are those
    of `CandidateScorer`.
    """

    def __init__(self, layout: ObservationLayout, width: int = 64) -> None:
        super().__init__()
        self.reader = PageReader(layout)
        inputs = self.reader.summary
        self.value = nn.Sequential(
            nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )
        with torch.no_grad():
            for parameter in self.value[-1].parameters():
                parameter.zero_()

    def forward(self, observations: torch.Tensor | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return values [..., 1] of observations as `CandidateScorer` takes them."""
        values: torch.Tensor = self.value(self.reader.read(observations).summary())
        return values


class Slates(Distribution):
    """Distribution of slates [..., K] without repeats, given scores [..., C] of the candidates: each pick by softmax of
    the scores of what is left (Plackett-Luce).
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  # of torch, which would check them

    def __init__(self, scores: torch.Tensor, slots: int) -> None:
        self.scores, self.slots = scores, slots
        super().__init__(scores.shape[:-1], torch.Size((slots,)), validate_args=False)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities [...] of slates [..., K] in this order."""
        return self.slot_log_probs(value).sum(-1)

    def slot_log_probs(self, value: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities [..., K] of each pick of slates [..., K], given the picks before it."""
        picks = value.long()
        picked = self.scores.gather(-1, picks)
        never = self.scores.scatter(-1, picks, 2 * EXCLUDED).logsumexp(-1, keepdim=True)
        later = picked.flip(-1).logcumsumexp(-1).flip(-1)  # of this pick and those after it
        return picked - torch.logaddexp(never, later)

    def entropy(self) -> torch.Tensor:
        """Return the entropy of the first pick, with which that of the slate, which has no closed form, grows and
        falls."""
        log = self.scores.log_softmax(-1)
        return -(log.exp() * log).sum(-1)

    def first_pick(self) -> Categorical:
        """Return the distribution of the first pick."""
        return Categorical(logits=self.scores, validate_args=False)

    def sample(self, sample_shape: Any = torch.Size()) -> torch.Tensor:  # noqa: B008  # an empty tuple
        """Return the top K after adding Gumbel noise (Yellott 1977)."""
        scores = self.scores.detach().expand(*sample_shape, *self.scores.shape)
        noise = torch.empty_like(scores).exponential_().clamp_min_(1e-30).log_()
        return self._top(scores - noise)

    @property
    def mode(self) -> torch.Tensor:
        """The top K, best first."""
        return self._top(self.scores)

    @property
    def deterministic_sample(self) -> torch.Tensor:
        """The mode, as TorchRL asks for it."""
        return self.mode

    def _top(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.topk(self.slots, dim=-1).indices
