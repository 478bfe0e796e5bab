"""PPO's policy with the catalogue in its hands: beside what the observation says of a candidate, it knows which item it
is.

`ItemRows` appends the candidates' item numbers to the observation, `ItemSlatePolicy` scores each candidate by its item
too, `ItemPolicy` looks the numbers up while it serves. An item's vector is made of its public entry in the catalogue
and of numbers of its own that training finds: what no entry says, such as its quality or bait, shows in what comes of
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_env import VectorEnv
from recsys_env.adapters.sb3 import SB3Policy, SB3VecEnv

from .row_wrapper import RowWrapper
from .slate_network import SlateExtractor, SlatePolicy, slate_kwargs

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from torch import nn


def with_items(observations: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Observations [R, O] followed by the items of the candidates [R, C]; 0 stands for an empty place, whose features
    are all 0."""
    return np.concatenate((observations, np.maximum(candidates, 0)), 1, dtype=np.float32)  # exact up to 2^24 items


def entries(envs: VectorEnv) -> np.ndarray:
    """What the public catalogue says of each item, [M, D + T]: its vector, and its topic as a one-hot."""
    return np.concatenate((envs.world.q, np.eye(envs.shape.topics, dtype=np.float32)[envs.world.items["topic"]]), 1)


def item_kwargs(envs: VectorEnv) -> dict[str, Any]:
    """`policy_kwargs` of an `ItemSlatePolicy` for this task.

    Raises:
        ValueError: its actions are not picks of candidates alone.
    """
    slate = slate_kwargs(envs)
    if slate is None:
        raise ValueError("an ItemSlatePolicy needs action = 'candidates', messages = 0 and offer.kind = 'none'")
    return {**slate, "entries": entries(envs)}


class ItemRows(RowWrapper):
    """Wraps rows; their observations [R, O + C] end with the candidates' items (any items, where a row is inactive).

    They say nothing of truncation, because `VisitorBuffer` itself values what an episode leaves open.
    """

    def __init__(self, rows: SB3VecEnv) -> None:
        shape = rows.envs.shape
        super().__init__(rows, np.zeros(shape.candidates), np.full(shape.candidates, shape.items - 1))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, ended, infos = super().step_wait()
        for row in np.flatnonzero(ended):
            del infos[row]["TimeLimit.truncated"]
        return observations, rewards, ended, infos

    def _append(self, observations: np.ndarray) -> np.ndarray:
        return with_items(observations, self.by_row(self.envs.candidates))


class ItemExtractor(SlateExtractor):
    """Scores each candidate by one small network of (its features, context, its item's vector times the visitor's),
    plus an intercept of the item.

    The vectors meet by elementwise product, as in neural matrix factorisation (He et al. 2017). The critic sees no
    items.

    Args:
        size: of the observations, the candidates' items included.
        entries: [M, E] what the catalogue says of each item.
        dims: F of the vectors.
        slate: as of a `SlateExtractor`.
    """

    def __init__(self, size: int, entries: np.ndarray, dims: int, **slate: int) -> None:
        flat = size - slate["candidates"]
        super().__init__(flat, **slate)
        self._flat = flat
        self.register_buffer("entries", torch.from_numpy(entries))
        self.entry = nn.Linear(entries.shape[1], dims, bias=False)
        self.own = nn.Embedding(len(entries), dims)
        self.visitor = nn.Linear(flat - slate["candidates"] * slate["features"], dims)
        self.match = nn.Linear(dims, slate["width"], bias=False)
        self.intercept = nn.Embedding(len(entries), 1)

    def forward_actor(self, observations: torch.Tensor) -> torch.Tensor:
        flat, items = observations[:, : self._flat], observations[:, self._flat :].long()
        context, candidates = self._split(flat)
        # Of all items, then those of the candidates: a batch has far more of these.
        vectors = (self.entry(self.entries) + self.own.weight)[items]
        matched = vectors * self.visitor(context).unsqueeze(1)
        known = self.candidate(candidates.flatten(0, 1)) + self.match(matched.flatten(0, 1))
        return self._scores(context, candidates, known) + self.intercept(items).squeeze(2)

    def forward_critic(self, observations: torch.Tensor) -> torch.Tensor:
        return super().forward_critic(observations[:, : self._flat])


class ItemSlatePolicy(SlatePolicy):
    """Actor-critic on `ItemRows`; see `ItemExtractor`.

    Args:
        entries, start, candidates, features: from `item_kwargs`.
        dims: of the vectors of visitors and items.
    """

    def __init__(self, *args: Any, entries: np.ndarray, dims: int = 16, **kwargs: Any) -> None:
        self._items: dict[str, Any] = {"entries": entries, "dims": dims}
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = ItemExtractor(self.features_dim, **{**self._items, **self._slate})

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        for own in (self.mlp_extractor.own, self.mlp_extractor.intercept):
            nn.init.zeros_(own.weight)  # an item is like others of its entry until something shows


class ItemPolicy(SB3Policy):
    """A trained `ItemSlatePolicy`, as a policy for one agent."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return super().act(with_items(observations, self.envs.candidates[:, self.index]), mask)
