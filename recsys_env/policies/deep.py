"""Deep recommenders in PyTorch, trained on the agent's own log: a two-tower model and a transformer over clicks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..batch.base import AnyBatch
from ..checks import check_count
from .logged import RetrainedRanker

try:
    import torch
    from torch import nn
except ImportError as error:
    raise ImportError(f'this policy needs {error.name}: pip install "recsys_env[recommenders]"') from error

from ..batch.tensors import choose_device, one_thread

WIDTH = 32


class Deep(RetrainedRanker):
    """Base of networks trained on each person's click sequence; each training continues from the last weights.

    Args:
        device: "auto" uses a GPU if there is one.
        passes: passes over the sequences at each training.

    Raises:
        ValueError, TypeError: there is no such device, or `passes` is not a whole number of 1 or more.
    """

    network: Any

    def __init__(self, device: str = "auto", passes: int = 20) -> None:
        check_count("passes", passes, 1, 10**6)
        self._device = choose_device(device)
        self._passes = passes

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._vectors = torch.zeros(0, WIDTH, device=self._device)  # [R, F] of each person; valid where `_current`
        self._current = np.zeros(0, np.bool_)
        with self._seeded():
            self.network = self.build().to(self._device).eval()
        self._optimiser = torch.optim.Adam(self.network.parameters(), 3e-3)

    @contextlib.contextmanager
    def _seeded(self) -> Iterator[None]:
        """Let torch use this policy's own random stream, and restore torch's global one afterwards."""
        with torch.random.fork_rng():
            torch.manual_seed(int(self.rng.integers(2**31)))
            yield

    def build(self) -> nn.Module:
        """Create the network.

        Its `forward(clicked [P, T], profiles [P, D])` returns person vectors [P, T + 1, F] after each prefix, and its
        `items()` returns vectors [M, F] and biases [M] of the items.
        """
        raise NotImplementedError

    def loss(self, persons: torch.Tensor, targets: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
        """Return the loss of predicting the next clicks `targets` [E] from persons' vectors [E, F].

        frequency [M] is each item's share of the clicks.
        """
        raise NotImplementedError

    @one_thread()
    def fit(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        some = values > 0
        people, sequences = _sequences(rows[some], items[some], self.history + 1)
        frequency = self._tensor(np.bincount(items[some], minlength=self.envs.shape.items) / max(some.sum(), 1)).float()
        profiles, clicked = self._tensor(self.profiles[people]), self._tensor(sequences)
        with self._seeded():
            self.network.train()
            for _ in range(self._passes):
                for batch in torch.randperm(len(clicked)).split(128):
                    targets = clicked[batch]
                    real = targets >= 0
                    loss = self.loss(self.network(targets[:, :-1], profiles[batch])[real], targets[real], frequency)
                    self._optimiser.zero_grad()
                    loss.backward()
                    self._optimiser.step()
            self.network.eval()
        self._current[:] = False

    @one_thread()
    @torch.no_grad()
    def predict(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        self._refresh(rows)
        factors, bias = self.network.items()
        shown = self._tensor(items)
        scores: torch.Tensor = bias[shown] + torch.einsum("pf,pcf->pc", self._vectors[rows], factors[shown])
        return scores.cpu().numpy()

    def _refresh(self, rows: np.ndarray) -> None:
        """Update the vectors of persons who have clicked since their last update, or whom the newest network lacks."""
        missing = len(self.clicked) - len(self._current)
        if missing > 0:
            self._vectors = torch.cat((self._vectors, self._vectors.new_zeros(missing, WIDTH)))
            self._current = np.concatenate((self._current, np.zeros(missing, np.bool_)))
        stale = rows[~self._current[rows]]
        if len(stale):
            order = np.argsort(self.clicked[stale] < 0, axis=1, kind="stable")  # the clicks first, then the padding
            clicked = np.take_along_axis(self.clicked[stale], order, 1)
            after = self.network(self._tensor(clicked), self._tensor(self.profiles[stale]))
            self._vectors[stale] = after[torch.arange(len(stale)), (clicked >= 0).sum(1)]
            self._current[stale] = True

    def _remember(self, rows: np.ndarray, items: np.ndarray, values: np.ndarray) -> None:
        super()._remember(rows, items, values)
        self._current[rows[rows < len(self._current)]] = False

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


class SASRec(Deep):
    """Causal transformer over a person's last clicks that predicts the next click (Kang & McAuley 2018).

    The loss is a softmax over the catalogue. A person without clicks is an empty sequence, and gets the items with
    which the sequences begin: people's first clicks, or of those with many clicks the first one that is kept.
    """

    def build(self) -> Any:
        return _SASRecNetwork(self.envs.shape.items, self.history)

    def loss(self, persons: torch.Tensor, targets: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
        factors, bias = self.network.items()
        return nn.functional.cross_entropy(persons @ factors.T + bias, targets)


class TwoTower(Deep):
    """Two-tower model: one network for the person (profile and clicks), one for the item (vector, topic, id).

    It is trained on in-batch negatives, by a sampled softmax corrected for the frequency of each negative (Yi et al.
    2019).
    """

    def build(self) -> Any:
        world = self.envs.world
        described = np.concatenate(
            (world.item_vectors, np.eye(self.envs.shape.topics, dtype=np.float32)[world.items["topic"]]), 1
        )
        return _TwoTowers(self._tensor(described), self.envs.shape.dims)

    def loss(self, persons: torch.Tensor, targets: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
        factors, bias = self.network.items()
        scores = persons @ factors[targets].T + bias[targets] - frequency[targets].clamp_min(1e-9).log()
        same = (targets[:, None] == targets) & ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        return nn.functional.cross_entropy(
            scores.masked_fill(same, -1e9), torch.arange(len(targets), device=targets.device)
        )


class _SASRecNetwork(nn.Module):
    """Network of `SASRec`. Padding comes after the clicks, so the causal mask keeps it out of every prefix."""

    def __init__(self, items: int, history: int) -> None:
        super().__init__()
        self._begin = items  # the token of a sequence's beginning
        self.item = nn.Embedding(items + 1, WIDTH)
        nn.init.normal_(self.item.weight, std=0.1)
        self.bias = nn.Parameter(torch.zeros(items))
        self.positions = nn.Parameter(torch.zeros(history + 1, WIDTH))
        self.dropout = nn.Dropout(0.2)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)

    def items(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.item.weight[: self._begin], self.bias

    def forward(self, clicked: torch.Tensor, profiles: torch.Tensor) -> torch.Tensor:
        tokens = torch.cat((torch.full_like(clicked[:, :1], self._begin), clicked.clamp_min(0)), 1)
        causal = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        embedded = self.dropout(self.item(tokens) + self.positions[: tokens.shape[1]])
        return self.encoder(embedded, mask=causal, is_causal=True)


class _TwoTowers(nn.Module):
    def __init__(self, described: torch.Tensor, dims: int) -> None:
        super().__init__()
        self.register_buffer("described", described)
        self.identity = nn.Embedding(len(described), WIDTH)
        nn.init.normal_(self.identity.weight, std=0.1)
        self.bias = nn.Parameter(torch.zeros(len(described)))
        self.item = nn.Sequential(nn.Linear(described.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.person = nn.Sequential(nn.Linear(dims + WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))

    def items(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.item(self.described) + self.identity.weight, self.bias

    def forward(self, clicked: torch.Tensor, profiles: torch.Tensor) -> torch.Tensor:
        real = (clicked >= 0).unsqueeze(2)
        vectors = self.items()[0][clicked.clamp_min(0)] * real
        begin = torch.zeros_like(vectors[:, :1])
        means = torch.cat((begin, vectors.cumsum(1) / real.cumsum(1).clamp_min(1)), 1)
        people: torch.Tensor = self.person(torch.cat((means, profiles.unsqueeze(1).expand(-1, means.shape[1], -1)), 2))
        return people


def _sequences(rows: np.ndarray, items: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Persons [P] with clicks, and the last `length` items [P, length] of each, newest last and then -1."""
    order = np.argsort(rows, kind="stable")
    people, first, counts = np.unique(rows[order], return_index=True, return_counts=True)
    person = np.repeat(np.arange(len(people)), counts)
    from_end = np.repeat(first + counts, counts) - np.arange(len(rows))  # 1 = the newest
    kept = from_end <= length
    sequences = np.full((len(people), length), -1, np.int64)
    sequences[person[kept], np.minimum(np.repeat(counts, counts), length)[kept] - from_end[kept]] = items[order][kept]
    return people, sequences
