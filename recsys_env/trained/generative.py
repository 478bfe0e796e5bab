"""A generative recommender as a policy: a transformer reads a visitor's past pages and a decoder scores the next item.

    item tokens and outcome of each page shown to the visitor  ->  causal transformer  ->  state of the page
    state of the page  ->  first token  ->  second  ->  third: log P(item), of each candidate

The transformer reads one position for each page, the sum of an item's tokens (Zhai et al. 2024). The decoder goes from
token to token within an item (Lee et al. 2022; Rajput et al. 2023), only along the tokens of items that can be shown.
P(item) among the candidates is therefore exact, and slates are drawn from it without replacement (Plackett 1975). A
score also has a term for public features of a candidate that tokens do not contain, such as price and clicks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from ..batch import AnyBatch, CpuBatch
from ..kernels.planners.options import list_options
from ..policies import Policy
from ..tensors import one_thread
from ..vector import checked_vector_env
from ..worlds import Worlds
from .folders import check_spaces, network_of, write_policy
from .pages import (
    EXCLUDED,
    LAYOUT,
    SHARED,
    Layout,
    Observer,
    Scorer,
    beside_mean,
    best_slates,
    deviations,
    observed,
    read_networks,
    to_actions,
    weighed,
)
from .semantic_ids import SemanticIds
from .sizes import Size
from .weights import to_arrays

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

OUTCOMES = ("ignored", "clicked", "carted", "bought")  # of a page, from 1 on; 0 = there was none


# ------------------------------------------------------------------------------------------------ what is read


class PageHistory:
    """The last pages that agents showed each visitor, and their outcomes, as tokens.

    A page is represented by the clicked item, or by its first item if nothing was clicked.

    Args:
        rows: B copies and N agents.
        users: U, user slots of a copy.
        length: H, pages that are remembered of each visitor.
        levels: L, tokens of an item.
    """

    def __init__(self, rows: tuple[int, int], users: int, length: int, levels: int) -> None:
        self._who = np.full((*rows, users), -1, np.int64)
        self._events = np.zeros((*rows, users, length, levels + 1), np.uint8)
        self._b, self._n = np.arange(rows[0])[:, None], np.arange(rows[1])

    def recall(self, user_slot: np.ndarray, visitor: np.ndarray) -> np.ndarray:
        """Return the events [B, N, H, L + 1] of visitors [B, N] in user slots [B], newest last: L tokens and an outcome
        each."""
        known = self._who[self._b, self._n, user_slot[:, None]] == visitor
        return self._events[self._b, self._n, user_slot[:, None]] * (known & (visitor >= 0))[..., None, None]

    def record(self, user_slot: np.ndarray, infos: Mapping[str, np.ndarray], tokens: np.ndarray) -> None:
        """Store the outcomes of the pages of user slots [B], given the tokens [B, N, K, L] of the shown items."""
        visitor, shown, clicked = infos["visitor"], infos["shown"], infos["clicked"]
        b, n = np.nonzero(visitor >= 0)
        at = b, n, user_slot[b]
        stranger = self._who[at] != visitor[b, n]
        events = np.where(stranger[:, None, None], 0, self._events[at])
        slot = np.where(clicked[b, n].any(1), clicked[b, n].argmax(1), (shown[b, n] >= 0).argmax(1))
        outcome = 1 + sum(infos[name][b, n, slot].astype(np.uint8) for name in ("clicked", "cart", "bought"))
        outcome = np.where(infos["bought"][b, n, slot], 4, outcome)  # where a cart is at once a purchase
        outcome = np.where(shown[b, n, slot] >= 0, outcome, 0)  # an empty page leaves no outcome
        latest = np.concatenate((tokens[b, n, slot], outcome[:, None]), 1).astype(np.uint8)
        self._events[at] = np.concatenate((events[:, 1:], latest[:, None]), 1)
        self._who[at] = visitor[b, n]

    def forget(self, copies: np.ndarray) -> None:
        """Forget everybody in these copies [B], which have begun another episode."""
        self._who[copies] = -1


class HistoryObserver(Observer):
    """Reads observations, followed by events of the visitor and tokens of the candidates.

    Args:
        envs: the batch.
        ids: semantic ids of its items.
        length: H, pages that are remembered of each visitor.
        agents: names of A agents; by default all of the batch.
    """

    def __init__(self, envs: CpuBatch, ids: SemanticIds, length: int, agents: Sequence[str] | None = None) -> None:
        super().__init__(envs)
        layout, self._worlds = self.layout, envs.parts if isinstance(envs, Worlds) else [checked_vector_env(envs.game)]
        self._codes = [ids(part.world.item_vectors) for part in self._worlds]
        extra = length * (ids.levels + 1) + layout.candidates * ids.levels
        self.layout = dataclasses.replace(layout, observation=layout.observation + extra)
        names = envs.possible_agents if agents is None else agents
        self._columns = [envs.possible_agents.index(name) for name in names]
        self._numbers = [envs.config.agents.index(name) for name in names]
        copies = envs.num_envs // len(self._worlds)
        self._rows = [slice(i * copies, (i + 1) * copies) for i in range(len(self._worlds))]
        self._history = PageHistory((envs.num_envs, len(names)), envs.shape.users, length, ids.levels)
        self._features = np.zeros((copies, layout.candidates, envs.shape.features), np.float32)
        self._user_slot = np.zeros(envs.num_envs, np.int64)
        self.items = np.zeros((envs.num_envs, len(names), layout.candidates), np.int64)  # candidates at the last look

    def read(self) -> np.ndarray:
        """Read what agents see before a step: [B, A, O]."""
        return self.extended(observed(self.envs.observations)[:, self._columns])

    def extended(self, observations: np.ndarray) -> np.ndarray:
        """Return what `read` returns, given the observations [B, A, O']."""
        rows = observations.shape[:2]
        self._user_slot = np.maximum(self.envs.next_user_slots, 0)
        events = self._history.recall(self._user_slot, self.envs.next_visitor[:, self._columns])
        for part, copies in zip(self._worlds, self._rows, strict=True):
            listed = np.zeros(self.items[copies, 0].shape, np.int64)
            for a, number in enumerate(self._numbers):
                list_options(part.world, part.arrays, number, listed, self._features)
                self.items[copies, a] = listed
        parts = [observations, events.reshape(*rows, -1), self._tokens(self.items).reshape(*rows, -1)]
        return np.concatenate([np.asarray(part, np.float32) for part in parts], axis=2)

    def record(self, infos: Mapping[str, np.ndarray], truncated: np.ndarray) -> None:
        """Store the outcome of a step for these agents [B, A, ...], and forget copies [B] that begin an episode."""
        self._history.record(self._user_slot, infos, self._tokens(infos["shown"]))
        self.forget(truncated)

    def _tokens(self, items: np.ndarray) -> np.ndarray:
        """Return the tokens [B, A, I, L] of items [B, A, I]; 0 where there is no item."""
        codes = [codes[items[copies]] for codes, copies in zip(self._codes, self._rows, strict=True)]
        return np.where(items[..., None] >= 0, np.concatenate(codes), 0)

    def forget(self, copies: np.ndarray) -> None:
        """Forget everybody in these copies [B], which have begun another episode."""
        self._history.forget(copies)


class GenerativePage(NamedTuple):
    """Pages as the network sees them: as `pages.Page`, with the visitor's events and the candidates' tokens."""

    context: torch.Tensor  # [R, X]
    features: torch.Tensor  # [R, C, F]
    allowed: torch.Tensor  # [R, C] bool
    events: torch.Tensor  # [R, H, L + 1] int64
    codes: torch.Tensor  # [R, C, L] int64

    def summary(self) -> torch.Tensor:
        """Summary [R, X + 2 F] for critics."""
        return torch.cat((self.context, self.features.mean(1), self.features.amax(1)), 1)


# ------------------------------------------------------------------------------------------------ the network


class GenerativeNetwork(Scorer):
    """Scores candidates by log P(item) of their tokens, and by their features.

    Args:
        layout: of observations (with what `HistoryObserver` adds) and actions.
        size: of the network.
    """

    centres: torch.Tensor  # [L, S, D] of the semantic ids
    deviation: torch.Tensor  # [F] units of the candidates' features
    measured: bool

    def __init__(self, layout: Layout, size: Size) -> None:
        super().__init__()
        self.layout, self.size, width, self.measured = layout, size, size.width, False
        self.memory = None  # the transformer reads past pages by itself
        self.bf16 = False  # whether the large products are taken in half precision
        self.register_buffer("centres", torch.zeros(size.levels, size.tokens, size.dims))  # of the semantic ids
        self.register_buffer("columns", torch.tensor(layout.context), persistent=False)
        self.register_buffer("deviation", torch.ones(layout.features))
        self.token = nn.ModuleList(nn.Embedding(size.tokens + 1, width, padding_idx=0) for _ in range(size.levels))
        self.outcome = nn.Embedding(len(OUTCOMES) + 1, width, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(size.events + 1, width))
        self.context = nn.Linear(len(layout.context), width)
        block = nn.TransformerEncoderLayer(
            width, size.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(block, size.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.bias = nn.Parameter(torch.zeros(size.levels, size.tokens))
        self.likelihood = nn.Parameter(torch.ones(()))  # weight of log P(item) in a score
        self.preferences = nn.Linear(width, layout.features + sum(layout.words))
        for table in (*self.token, self.outcome):
            nn.init.normal_(table.weight, std=0.02**0.5 / width**0.25)
            with torch.no_grad():
                table.weight[0] = 0.0
        nn.init.zeros_(self.preferences.weight)
        nn.init.zeros_(self.preferences.bias)

    def read(self, observations: torch.Tensor, masks: torch.Tensor | None = None) -> GenerativePage:
        """Split observations [R, O] into their parts."""
        layout, size, rows = self.layout, self.size, len(observations)
        listed = observations[:, layout.start : layout.start + layout.candidates * layout.features]
        features = listed.reshape(rows, layout.candidates, layout.features)
        codes = layout.candidates * size.levels
        history = size.events * (size.levels + 1)
        events = observations[:, -codes - history : -codes].long().view(rows, size.events, size.levels + 1)
        tokens = observations[:, -codes:].long().view(rows, layout.candidates, size.levels)
        allowed = (features != 0).any(2)
        allowed = allowed | ~allowed.any(1, keepdim=True)
        return GenerativePage(observations[:, self.columns], features / self.deviation, allowed, events, tokens)

    def state(self, page: GenerativePage) -> torch.Tensor:
        """Return the state [R, W] of the visitor and the page."""
        tokens, outcome = page.events[..., :-1], page.events[..., -1]
        events = self.outcome(outcome) + sum(table(tokens[..., i]) for i, table in enumerate(self.token))
        sequence = torch.cat((events, self.context(page.context).unsqueeze(1)), 1) + self.position
        missing = torch.cat((outcome == 0, outcome.new_zeros(len(outcome), 1, dtype=torch.bool)), 1)
        length = sequence.shape[1]
        ahead = torch.triu(torch.ones(length, length, dtype=torch.bool, device=sequence.device), 1)
        # A missing event still looks at itself, so that no row of the attention is empty.
        blocked = (ahead | missing[:, None]) & ~torch.eye(length, dtype=torch.bool, device=sequence.device)
        mask = blocked.repeat_interleave(self.size.heads, 0)
        with self._precision():
            found: torch.Tensor = self.body(sequence, mask=mask)[:, -1]
        return found.float()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.position.device.type, torch.bfloat16, enabled=self.bf16)

    def log_likelihood(self, state: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return log P(item) [R, C] of items with these tokens [R, C, L], given states [R, W]."""
        state = state.unsqueeze(1)
        before = torch.zeros_like(state)
        found = torch.zeros(codes.shape[:2], device=codes.device)
        for level, table in enumerate(cast("list[nn.Embedding]", list(self.token))):
            with self._precision():
                logits = self.decoder(state + before) @ table.weight[1:].T
            logits = (logits.float() + self.bias[level]).log_softmax(-1)  # of S tokens
            token = codes[..., level]
            found = found + logits.expand(*token.shape, -1).gather(2, (token - 1).clamp_min(0).unsqueeze(2)).squeeze(2)
            before = before + table(token)
        return found

    def scores(self, page: GenerativePage, state: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return scores of the candidates [R, C] and of the values of each word, given states [R, W]."""
        weights, *words = self.preferences(state).split([self.layout.features, *self.layout.words], 1)
        scores = weighed(page, weights) + self.likelihood * self.log_likelihood(state, page.codes)
        return scores.masked_fill(~page.allowed, EXCLUDED), words

    def parts(self, page: GenerativePage) -> torch.Tensor:
        """Return the terms [R, C, 1 + F] that add up to the scores: of the tokens, and of each feature."""
        state = self.state(page)
        weights = self.preferences(state)[:, None, : self.layout.features]
        tokens = self.likelihood * self.log_likelihood(state, page.codes)
        return torch.cat((tokens.unsqueeze(2), beside_mean(page) * weights), 2)

    def forward(
        self, page: GenerativePage, remembered: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return scores of the candidates [R, C] and of the values of each word.

        Idle agents have no candidates; they are left out of the computation and get 0.
        """
        there = page.codes.flatten(1).any(1).nonzero().squeeze(1)
        rows = len(page.features)
        if len(there) == rows > 0:
            return self.scores(page, self.state(page))
        found = [page.features.new_zeros(rows, width) for width in (page.features.shape[1], *self.layout.words)]
        if len(there):
            some = GenerativePage(*(part[there] for part in page))
            scores, words = self.scores(some, self.state(some))
            found = [part.index_copy(0, there, of) for part, of in zip(found, (scores, *words), strict=True)]
        return found[0], found[1:]

    @torch.no_grad()
    def soften(self, factor: float) -> None:
        """Multiply the scores, so that samples are more random and the best choice remains."""
        for part in (self.likelihood, self.preferences.weight, self.preferences.bias):
            part.mul_(factor)

    @torch.no_grad()
    def measure(self, observations: torch.Tensor) -> None:
        """Set the unit of each feature to its standard deviation within these pages [R, O], at the first call."""
        if not self.measured:
            self.deviation.copy_(deviations(self.read(observations)))
            self.measured = True


# ------------------------------------------------------------------------------------------------ the policy

_FORM = {
    "layout": LAYOUT,
    "size": dict.fromkeys(Size.__dataclass_fields__, int),
    "networks": [str],
    "pretraining": [{str: float}],
}


def save(
    folder: Path, envs: CpuBatch, networks: Mapping[str, GenerativeNetwork], pretraining: list[dict[str, float]]
) -> None:
    """Write networks, by agent or one that is `SHARED`, as a policy's folder.

    Args:
        pretraining: losses before pre-training and after each pass over the logged pages.
    """
    one = next(iter(networks.values()))
    facts = {"layout": dataclasses.asdict(one.layout), "size": dataclasses.asdict(one.size), "networks": list(networks)}
    write_policy(folder, "generative", envs, to_arrays(networks), **facts, pretraining=pretraining)


class GenerativePolicy(Policy):
    """Plays the best slate and words of the bound agent's network.

    Args:
        folder: where `save` wrote to. An agent that was not trained takes the network of the first of its role.

    Raises:
        FileError: a file is missing, damaged or of another kind.
    """

    def __init__(self, folder: Path) -> None:
        def make(layout: Layout, facts: Mapping[str, Any]) -> GenerativeNetwork:
            return GenerativeNetwork(layout, Size(**facts["size"]))

        self.folder = folder
        self.layout, self.facts, self._networks = read_networks(folder, _FORM, make)

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        check_spaces(self.folder, self.facts, envs)
        self.network = network_of(self.folder, self._networks, agent, SHARED).eval()
        ids = SemanticIds(self.network.centres.numpy())
        self._observer = HistoryObserver(envs, ids, self.network.size.events, [agent])
        if self._observer.layout != self.layout:
            raise ValueError(
                f"the policy in {self.folder} was trained on {self.layout}; here it is {self._observer.layout}"
            )

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        scores, words = self.network(self._page(observations))
        return to_actions(best_slates(scores, words, self.layout.slots), self.layout).numpy()

    @torch.no_grad()
    def parts(self, observations: np.ndarray) -> np.ndarray:
        """Return the terms [B, C, 1 + F] of the candidates' scores; see `GenerativeNetwork.parts`."""
        return self.network.parts(self._page(observations)).numpy()

    def _page(self, observations: np.ndarray) -> GenerativePage:
        return self.network.read(torch.from_numpy(self._observer.extended(observations[:, None])[:, 0]))

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        own = {name: feedback[name][:, None] for name in ("visitor", "shown", "clicked", "cart", "bought")}
        self._observer.record(own, np.zeros(self.envs.num_envs, np.bool_))

    def reset(self, done: np.ndarray) -> None:
        self._observer.forget(done)
