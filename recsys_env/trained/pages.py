"""Networks that score the options of a page, and the policy that plays them (learners `ppo-torch` and `q-torch`).

An option's score says how much an agent prefers it (PPO), or its value beyond that of the page (Q-learning). The
network's output depends on the kind of action:

- Options are candidates: a weight for each of their features. Scores are w(x) . f, a ranking that depends on the state
  x.
- Options are items: a score for each item.
- The action is a vector (`weights`, `query`): that vector.

Price levels and messages have scores of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from ..api.team_sizes import RelativeLayout
from ..batch.base import CpuBatch
from ..batch.spaces import beside_picks, choices, fused
from ..batch.tensors import EXCLUDED

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

SHARED = "shared"  # name of a network that plays for every agent
# Parts of the observation that a candidate's features already compare it with.
MATCHED = ("profile", "clicked_mean", "topic_counts", "anchor")


# ------------------------------------------------------------------------------------------------ observations, actions


@dataclass(frozen=True)
class Layout:
    """Where the parts of an observation lie, and what an action consists of.

    Attributes:
        observation: its length O.
        context: columns of the X numbers that describe the visit.
        start, candidates, features: first column of the candidates, their number C, and their number of features F; 0,
            0, 0 without candidates.
        options: number of options of a slot; 0 where an action is a vector.
        slots: K.
        words: number of values of each further choice: a price level, a message.
        dims, topics: D and T.
        vectors: first column of the candidates' vectors, which their topics follow; 0 without them.
        history, recent: first column of the items that the visitor consumed last, and their number L.
        vector: D, the length of an action that is a vector; 0 where it is made of choices.
    """

    observation: int
    context: list[int]
    start: int
    candidates: int
    features: int
    options: int
    slots: int
    words: list[int]
    vector: int
    dims: int
    topics: int
    vectors: int
    history: int
    recent: int

    @property
    def preferences(self) -> int:
        """Number of outputs for options: weights of features, scores of items, or a vector."""
        return self.vector or (self.features if self.candidates else self.options)

    @property
    def summary(self) -> int:
        """Length of `Page.summary`, X + 2 F."""
        return len(self.context) + 2 * self.features

    @property
    def echo(self) -> int:
        """Length of `echo_of`."""
        return 1 + self.preferences


def layout_of(envs: CpuBatch, relative: RelativeLayout | None = None) -> Layout:
    """Return the layout of the observations and actions of a batch.

    Args:
        relative: layout in which the observations are read; by default that of the batch.
    """
    config, shape, parts, space = envs.config, envs.shape, envs.layout.parts, envs.action_space
    listed, continuous = config.retrieves, isinstance(space, spaces.Box)
    # A message may have to say more than how well the candidates match.
    compared = listed and config.candidates.features != "vectors" and not shape.vocabulary
    fields = envs.observation_fields
    matched = {column for name in MATCHED if compared and name in fields for column in _columns(fields[name])}

    def first(part: str) -> int:
        """The first column of a part."""
        column: int = parts[part][0]
        return relative.places([column])[0] if relative else column

    context = [column for column in envs.layout.context if column not in matched]
    return Layout(
        observation=relative.size if relative else envs.layout.size,
        context=relative.places(context) if relative else context,
        start=first("candidates") if listed else 0,
        candidates=shape.candidates if listed else 0,
        features=len(envs.candidate_features) if listed else 0,
        options=0 if continuous else choices(config, shape),
        slots=config.slots,
        words=[] if continuous else beside_picks(shape),
        vector=space.shape[0] if isinstance(space, spaces.Box) else 0,
        dims=shape.dims,
        topics=shape.topics,
        vectors=first("candidate_vectors") if "candidate_vectors" in parts else 0,
        history=first("recent_mask") if shape.recent else 0,
        recent=shape.recent,
    )


def _columns(part: slice) -> range:
    return range(part.start, part.stop)


def relative_layout(envs: CpuBatch, max_agents: int) -> RelativeLayout | None:
    """Return the layout of observations in teams of up to `max_agents`; None for 0, where the batch's own is read."""
    return RelativeLayout(envs, max_agents) if max_agents else None


class ObservationReader:
    """Reads the observations of a batch's agents.

    Args:
        envs: the batch.
        max_agents: as in `relative_layout`.

    Attributes:
        layout: layout of the observations that it returns.
    """

    def __init__(self, envs: CpuBatch, max_agents: int = 0) -> None:
        self.envs, self._relative = envs, relative_layout(envs, max_agents)
        self.layout = layout_of(envs, self._relative)

    def read(self) -> Any:
        """Read what agents see before a step: an array [B, N, O], on the device of the batch."""
        observations = self.envs.flat(self.envs.observations)[0]
        return self._relative.read(observations) if self._relative else observations

    def record(self, infos: Mapping[str, np.ndarray], truncated: np.ndarray) -> None:
        """Store the outcome of a step, given which copies [B] have begun another episode."""


def option_masks(masks: Any, layout: Layout) -> torch.Tensor:
    """Return which options a slot can name, bool [..., n], from an action mask [..., A]: an array or a tensor.

    The mask of one slot repeats them for each word, the mask of a slate for each slot.
    """
    options = masks[..., :: math.prod(layout.words)] if layout.slots == 1 else masks[..., : layout.options]
    return torch.as_tensor(options != 0)


def to_actions(chosen: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Convert choices [R, K + words], or vectors [R, D], to actions of the environment."""
    actions: torch.Tensor = chosen.tanh() if layout.vector else fused(chosen, layout.words)
    return actions


# ------------------------------------------------------------------------------------------------ networks


def mlp(inputs: int, width: int, outputs: int, gain: float) -> nn.Sequential:
    """Return a network with two hidden layers; with a small gain its outputs start near zero."""
    layers = [nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, outputs)]
    for layer, scale in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
        if not layer.weight.is_meta:
            nn.init.orthogonal_(layer.weight, scale)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


class Page(NamedTuple):
    """Pages as networks take them."""

    context: torch.Tensor  # [R, X]
    features: torch.Tensor  # [R, C, F] of the candidates, in standard deviations
    allowed: torch.Tensor  # [R, n] bool, options that can be shown; all where none can

    def summary(self) -> torch.Tensor:
        """Summary [R, X + 2 F] for critics."""
        if not self.features.shape[1]:
            return self.context
        return torch.cat((self.context, self.features.mean(1), self.features.amax(1)), 1)


class Scorer(nn.Module):
    """Base of networks that score options and words.

    Attributes:
        layout: of observations and actions.
        memory: a GRU that runs along each visitor's pages, if it has one.
        measured: whether the units of features are set.
    """

    layout: Layout
    measured = False
    columns: torch.Tensor  # [X] of the context in an observation
    deviation: torch.Tensor  # [F] units of the candidates' features
    memory: nn.GRU | None

    def read(self, observations: torch.Tensor, masks: torch.Tensor | None = None) -> Any:
        """Convert observations [R, O] to pages, which `forward` takes and which have a `summary()` for critics.

        Args:
            masks: [R, n] options that can be shown. Candidates need none: empty ones are all zeros.
        """
        raise NotImplementedError

    def forward(self, page: Any, remembered: torch.Tensor | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return scores of options [R, n], or the vector [R, D] of the action, and scores of each word's values."""
        raise NotImplementedError

    def _features(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the features [R, C, F] of the candidates in observations [R, O]."""
        layout = self.layout
        listed = observations[:, layout.start : layout.start + layout.candidates * layout.features]
        return listed.reshape(len(observations), layout.candidates, layout.features)

    def _allowed(self, options: torch.Tensor | None, observations: torch.Tensor) -> torch.Tensor:
        """Return options [R, n] that can be shown; all where none can, or where nothing is known of them."""
        if options is None:
            return observations.new_ones(len(observations), self.layout.options, dtype=torch.bool)
        return options | ~options.any(1, keepdim=True)

    @torch.no_grad()
    def measure(self, observations: torch.Tensor) -> None:
        """Set the unit of each feature to its standard deviation within these pages [R, O], at the first call."""
        if self.layout.candidates and not self.measured:
            self.deviation.fill_(1.0)
            self.deviation.copy_(deviations(self.read(observations)))
            self.measured = True


class PageNetwork(Scorer):
    """Maps the context to weights of the candidates' features, scores of items, or a vector, by two hidden layers.

    Args:
        layout: of observations and actions.
        width: of the hidden layers.
        memory: units of a GRU that runs along each visitor's pages; 0 = none.
    """

    units = 0  # of target attention

    def __init__(self, layout: Layout, width: int = 64, memory: int = 0) -> None:
        super().__init__()
        self.layout, self.width = layout, width
        self.register_buffer("columns", torch.tensor(layout.context), persistent=False)
        self.register_buffer("deviation", torch.ones(layout.features))
        self.memory = nn.GRU(len(layout.context) + layout.echo, memory, batch_first=True) if memory else None
        self.body = mlp(len(layout.context) + memory, width, layout.preferences + sum(layout.words), gain=0.01)

    def read(self, observations: torch.Tensor, masks: torch.Tensor | None = None) -> Page:
        features = self._features(observations)
        allowed = self._allowed((features != 0).any(2) if self.layout.candidates else masks, observations)
        return Page(observations[:, self.columns], features / self.deviation, allowed)

    def forward(self, page: Page, remembered: torch.Tensor | None = None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        known = page.context if remembered is None else torch.cat((page.context, remembered), 1)
        preferences, *words = self.body(known).split([self.layout.preferences, *self.layout.words], 1)
        if self.layout.vector:
            return preferences, words
        if self.layout.candidates:
            preferences = weighed(page, preferences)
        return preferences.masked_fill(~page.allowed, EXCLUDED), words


def weighed(page: Any, weights: torch.Tensor) -> torch.Tensor:
    """Return scores [R, C]: the candidates' features, centred within their page, times weights [R, F]."""
    return torch.bmm(beside_mean(page), weights.unsqueeze(2)).squeeze(2)


def deviations(page: Any) -> torch.Tensor:
    """Return the standard deviations [F] of the candidates' features within pages; 1 where candidates do not differ."""
    allowed = page.allowed.unsqueeze(2)
    variance = (beside_mean(page).square() * allowed).sum((0, 1)) / allowed.sum().clamp_min(1)
    return torch.where(variance > 1e-8, variance.sqrt(), torch.ones_like(variance))


def beside_mean(page: Any) -> torch.Tensor:
    """Return the candidates' features [R, C, F], centred within their page."""
    allowed = page.allowed.unsqueeze(2)
    return page.features - (page.features * allowed).sum(1, keepdim=True) / allowed.sum(1, keepdim=True)


# ------------------------------------------------------------------------------------------------ slates


def best_slates(scores: torch.Tensor, words: Sequence[torch.Tensor], slots: int) -> torch.Tensor:
    """Return the K options of highest score, best first, and the best value of each word: [R, K + words]."""
    picks = scores.topk(slots, dim=1).indices
    return torch.cat([picks, *(part.argmax(1, keepdim=True) for part in words)], 1)


# ------------------------------------------------------------------------------------------------ memory


class Remembered:
    """Who is remembered by each agent, until another person takes the visitor's user slot.

    Args:
        rows: B copies and N agents.
        users: U, user slots of a copy.
    """

    def __init__(self, rows: tuple[int, int], users: int) -> None:
        self._who = np.full((*rows, users), -1, np.int64)
        self._b, self._n = np.arange(rows[0])[:, None], np.arange(rows[1])

    def knows(self, user_slot: np.ndarray, visitor: np.ndarray) -> np.ndarray:
        """Return which visitors [B, N] in user slots [B] were there last."""
        found: np.ndarray = self._who[self._b, self._n, user_slot[:, None]] == visitor
        return found

    def forget(self, copies: np.ndarray) -> None:
        """Forget everybody in these copies [B], which have begun another episode."""
        self._who[copies] = -1


class VisitorMemory(Remembered):
    """What a GRU remembers of each visitor.

    Args:
        rows, users: as in `Remembered`.
        sizes: H of the GRU's state, E of the last page's echo.
    """

    def __init__(self, rows: tuple[int, int], users: int, sizes: tuple[int, int], device: torch.device) -> None:
        super().__init__(rows, users)
        self._kept = [torch.zeros(*rows, users, size, device=device) for size in sizes]

    def recall(self, user_slot: np.ndarray, visitor: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the state [R, H] and echo [R, E] of visitors [B, N] in user slots [B]; 0 for new visitors."""
        stranger = torch.from_numpy(~self.knows(user_slot, visitor).reshape(-1, 1))
        state, echo = (kept[self._b, self._n, user_slot[:, None]].flatten(0, 1) for kept in self._kept)
        stranger = stranger.to(state.device)
        return state.masked_fill(stranger, 0.0), echo.masked_fill(stranger, 0.0)

    def keep(self, user_slot: np.ndarray, visitor: np.ndarray, state: torch.Tensor, echo: torch.Tensor) -> None:
        """Store state and echo of the visitors, where there are any (-1 = none)."""
        b, n = np.nonzero(visitor >= 0)
        self._who[b, n, user_slot[b]] = visitor[b, n]
        for kept, now in zip(self._kept, (state, echo), strict=True):
            kept[b, n, user_slot[b]] = now.view(*visitor.shape, -1)[b, n]


def echo_of(individual_reward: torch.Tensor, chosen: torch.Tensor, page: Page, layout: Layout) -> torch.Tensor:
    """Return the last action and its individual reward [R, E]: the reward, then the mean features of the picks, the
    picked items, or the vector."""
    if layout.vector:
        done = chosen.tanh()
    elif layout.candidates:
        picks = chosen[:, : layout.slots, None].expand(-1, -1, layout.features)
        done = page.features.gather(1, picks).mean(1)
    else:
        done = torch.zeros(len(chosen), layout.options, device=chosen.device)
        done.scatter_(1, chosen[:, : layout.slots], 1.0)
    return torch.cat((individual_reward.unsqueeze(1), done), 1)
