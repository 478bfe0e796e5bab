"""A generative recommender as a policy: a transformer reads a visitor's past pages and a decoder scores the next item.

    item tokens and outcome of each page shown to the visitor  ->  causal transformer  ->  state of the page
    state of the page  ->  first token  ->  second  ->  third: log P(item), of each item of the catalogue

The transformer reads one position for each page, the sum of an item's tokens (Zhai et al. 2024). The decoder goes from
token to token within an item (Lee et al. 2022; Rajput et al. 2023), only along tokens that lead to an item of the
catalogue, so that P sums to 1 over the catalogue. Where actions are candidates, it ranks them: a score is log P(item)
and a term for public features that tokens do not contain, such as price and clicks. Where actions are items, it looks
for those of highest P that can be shown, by beam search along the tokens. Slates are drawn from the scores without
replacement (Plackett 1975).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from ..batch.base import AnyBatch, CpuBatch
from ..batch.tensors import one_thread
from ..batch.vector import checked_vector_env
from ..batch.worlds import Worlds
from ..kernels.planners.options import list_options
from ..policies import Policy
from .folders import check_spaces, network_of, write_policy
from .page_policies import LAYOUT, read_networks
from .pages import (
    EXCLUDED,
    SHARED,
    Layout,
    ObservationReader,
    Page,
    Remembered,
    Scorer,
    beside_mean,
    best_slates,
    option_masks,
    to_actions,
    weighed,
)
from .semantic_ids import SemanticIds, Trie
from .sizes import Size
from .weights import to_arrays

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

DROPOUT = 0.1  # while pre-training
BEAM = 64  # prefixes that are kept at each level when the best items of a catalogue are looked for
OUTCOMES = ("ignored", "clicked", "carted", "bought")  # of a page, from 1 on; 0 = there was none


# ------------------------------------------------------------------------------------------------ what is read


class PageHistory(Remembered):
    """The last pages that agents showed each visitor, and their outcomes.

    A page is represented by the clicked item, or by its first item if nothing was clicked.

    Args:
        rows, users: as in `Remembered`.
        length: H, pages that are remembered of each visitor.
    """

    def __init__(self, rows: tuple[int, int], users: int, length: int) -> None:
        super().__init__(rows, users)
        self._events = np.zeros((*rows, users, length, 2), np.int32)

    def recall(self, user_slot: np.ndarray, visitor: np.ndarray) -> np.ndarray:
        """Return the events [B, N, H, 2] of visitors [B, N] in user slots [B], newest last: item + 1 and outcome of
        each, 0 where there was none."""
        known = self.knows(user_slot, visitor) & (visitor >= 0)
        return self._events[self._b, self._n, user_slot[:, None]] * known[..., None, None]

    def record(self, user_slot: np.ndarray, infos: Mapping[str, np.ndarray], items: np.ndarray) -> None:
        """Store the outcomes of the pages of user slots [B], given the numbers [B, N, K] of the shown items."""
        visitor, shown, clicked = infos["visitor"], infos["shown"], infos["clicked"]
        b, n = np.nonzero(visitor >= 0)
        at = b, n, user_slot[b]
        stranger = self._who[at] != visitor[b, n]
        events = np.where(stranger[:, None, None], 0, self._events[at])
        slot = np.where(clicked[b, n].any(1), clicked[b, n].argmax(1), (shown[b, n] >= 0).argmax(1))
        outcome = 1 + sum(infos[name][b, n, slot].astype(np.int32) for name in ("clicked", "cart", "bought"))
        outcome = np.where(infos["bought"][b, n, slot], 4, outcome)  # where a cart is at once a purchase
        latest = np.stack((items[b, n, slot] + 1, outcome), 1)
        latest = np.where(shown[b, n, slot][:, None] >= 0, latest, 0)  # an empty page leaves nothing
        self._events[at] = np.concatenate((events[:, 1:], latest[:, None]), 1)
        self._who[at] = visitor[b, n]

    def take(self, copies: np.ndarray) -> None:
        """Let each copy remember what copies [B] do."""
        self._who, self._events = self._who[copies], self._events[copies]


class HistoryReader(ObservationReader):
    """Reads observations, followed by events of the visitor and, where actions are candidates, their items.

    Items are numbered through if there are several worlds, and numbers are stored plus 1, so that 0 is nothing.

    Args:
        length: H, pages that are remembered of each visitor.
        agents: names of A agents; by default all of the batch.
        first: number of the first item.
    """

    def __init__(self, envs: CpuBatch, length: int, agents: Sequence[str] | None = None, first: int = 0) -> None:
        super().__init__(envs)
        layout, self._worlds = self.layout, envs.parts if isinstance(envs, Worlds) else [checked_vector_env(envs.game)]
        self.layout = dataclasses.replace(layout, observation=layout.observation + 2 * length + layout.candidates)
        names = envs.possible_agents if agents is None else agents
        self._columns = [envs.possible_agents.index(name) for name in names]
        self._numbers = [envs.config.agents.index(name) for name in names]
        copies = envs.num_envs // len(self._worlds)
        self._rows = [slice(i * copies, (i + 1) * copies) for i in range(len(self._worlds))]
        self._first = first + envs.shape.items * (np.arange(envs.num_envs) // copies)[:, None, None]
        self._history = PageHistory((envs.num_envs, len(names)), envs.shape.users, length)
        self._features = np.zeros((copies, layout.options, envs.shape.features), np.float32)
        self._user_slot = np.zeros(envs.num_envs, np.int64)
        self.items = np.zeros((envs.num_envs, len(names), layout.candidates), np.int64)  # candidates at the last look

    def read(self) -> np.ndarray:
        """Read what agents see before a step: [B, A, O]."""
        return self.extended(self.envs.flat(self.envs.observations)[0][:, self._columns])

    def extended(self, observations: np.ndarray) -> np.ndarray:
        """Return what `read` returns, given the observations [B, A, O']."""
        rows = observations.shape[:2]
        self._user_slot = np.maximum(self.envs.next_user_slots, 0)
        events = self._history.recall(self._user_slot, self.envs.next_visitor[:, self._columns])
        if self.layout.candidates:
            self.items = self.options()
        parts = [observations, events.reshape(*rows, -1), self._numbered(self.items) + 1]
        return np.concatenate([np.asarray(part, np.float32) for part in parts], axis=2)

    def options(self) -> np.ndarray:
        """Return the items [B, A, n] of the agents' options on the page about to be shown, -1 = cannot be shown."""
        found = np.zeros((self.envs.num_envs, len(self._numbers), self.layout.options), np.int64)
        for part, copies in zip(self._worlds, self._rows, strict=True):
            listed = np.zeros((len(self._features), self.layout.options), np.int64)
            for a, number in enumerate(self._numbers):
                list_options(part.world, part.arrays, number, listed, self._features)
                found[copies, a] = listed
        return found

    def record(self, infos: Mapping[str, np.ndarray], truncated: np.ndarray) -> None:
        """Store the outcome of a step for these agents [B, A, ...], and forget copies [B] that begin an episode."""
        self._history.record(self._user_slot, infos, self._numbered(infos["shown"]))
        self.forget(truncated)

    def _numbered(self, items: np.ndarray) -> np.ndarray:
        """Number items [B, A, I] of a world; -1 remains."""
        return np.where(items >= 0, items + self._first, -1)

    def take(self, copies: np.ndarray) -> None:
        """Let each copy remember what copies [B] do, from which it has been restored."""
        self._history.take(copies)

    def forget(self, copies: np.ndarray) -> None:
        """Forget everybody in these copies [B], which have begun another episode."""
        self._history.forget(copies)


class GenerativePage(NamedTuple):
    """Pages as the network sees them: as `pages.Page`, with the visitor's events and the candidates' items."""

    context: torch.Tensor  # [R, X]
    features: torch.Tensor  # [R, C, F]
    allowed: torch.Tensor  # [R, n] bool, options that can be shown; all where none can
    events: torch.Tensor  # [R, H, 2] int64: item + 1 and outcome
    items: torch.Tensor  # [R, C] int64 of the candidates, -1 = none

    def summary(self) -> torch.Tensor:
        """Summary [R, X + 2 F] for critics."""
        return Page(self.context, self.features, self.allowed).summary()


# ------------------------------------------------------------------------------------------------ the network


class GenerativeNetwork(Scorer):
    """Scores items by log P(item), and candidates by their features, too.

    Args:
        layout: of observations (with what `HistoryReader` adds) and actions.
        size: of the network.
    """

    centres: torch.Tensor  # [L, S, D] of the semantic ids
    codes: torch.Tensor  # [M, L] of the catalogue's trie, as are the next two
    path: torch.Tensor  # [M, L]
    following: torch.Tensor  # [nodes, S]
    deviation: torch.Tensor  # [F] units of the candidates' features
    measured: bool

    def __init__(self, layout: Layout, size: Size) -> None:
        super().__init__()
        self.layout, self.size, width = layout, size, size.width
        self.memory = None  # the transformer reads past pages by itself
        self.bf16 = False  # whether the large products are taken in half precision
        self.register_buffer("centres", torch.zeros(size.levels, size.tokens, size.dims))  # of the semantic ids
        self.register_buffer("columns", torch.tensor(layout.context), persistent=False)
        self.register_buffer("deviation", torch.ones(layout.features))
        for name in Trie._fields:
            self.register_buffer(name, torch.zeros(0, size.levels, dtype=torch.int64), persistent=False)
        self.token = nn.ModuleList(nn.Embedding(size.tokens + 1, width, padding_idx=0) for _ in range(size.levels))
        self.outcome = nn.Embedding(len(OUTCOMES) + 1, width, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(size.events + 1, width))
        self.context = nn.Linear(len(layout.context), width)
        block = nn.TransformerEncoderLayer(
            width, size.heads, 4 * width, DROPOUT, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(block, size.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(2 * width, width)
        )
        self.bias = nn.Parameter(torch.zeros(size.levels, size.tokens))
        self.log_weight = nn.Parameter(torch.zeros(()))  # of log P(item) in a score: the weight stays positive
        # The score of no click, beside those of the shown items; weights of features; scores of words.
        self.preferences = nn.Linear(width, 1 + layout.features + sum(layout.words))
        for table in (*map(self._table, range(size.levels)), self.outcome):
            nn.init.normal_(table.weight, std=width**-0.5)
            with torch.no_grad():
                table.weight[0] = 0.0
        nn.init.zeros_(self.preferences.weight)
        nn.init.zeros_(self.preferences.bias)
        self.eval()  # pre-training alone drops units

    def list_items(self, trie: Trie) -> None:
        """Set the catalogue, whose items have these codes; it is not stored with the weights."""
        for name, array in trie._asdict().items():
            setattr(self, name, torch.from_numpy(array).to(self.position.device))

    def read(self, observations: torch.Tensor, masks: torch.Tensor | None = None) -> GenerativePage:
        """Split observations [R, O] into their parts."""
        layout, features = self.layout, self._features(observations) / self.deviation
        added = 2 * self.size.events, layout.candidates
        _, events, items = observations.split([layout.observation - sum(added), *added], 1)
        allowed = self._allowed(items > 0 if layout.candidates else masks, observations)
        events = events.long().view(len(observations), self.size.events, 2)
        return GenerativePage(observations[:, self.columns], features, allowed, events, items.long() - 1)

    def state(self, page: GenerativePage) -> torch.Tensor:
        """Return the state [R, W] of the visitor and the page."""
        number, outcome = page.events.unbind(-1)
        codes = self.codes[(number - 1).clamp_min(0)] * (number > 0).unsqueeze(-1)
        events = self.outcome(outcome) + sum(self._embedded(i, codes[..., i]) for i in range(self.size.levels))
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

    def _embedded(self, level: int, tokens: torch.Tensor) -> torch.Tensor:
        """Return the embeddings [..., W] of tokens [...] of a level, whose numbers are about as large as those of a
        state: the same table, with small numbers, also scores tokens (Vaswani et al. 2017)."""
        found: torch.Tensor = self._table(level)(tokens) * self.size.width**0.5
        return found

    def _table(self, level: int) -> nn.Embedding:
        return cast("nn.Embedding", self.token[level])

    def _log_tokens(self, level: int, prefix: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities [..., S] of the tokens of a level, given sums [..., W] of the state and of the
        tokens before, which lead to nodes [...] of the trie. A token that leads to no item has `EXCLUDED`."""
        with self._precision():
            logits = (prefix + self.decoder(prefix)) @ self._table(level).weight[1:].T
        logits = logits.float() + self.bias[level]
        return logits.masked_fill(self.following[node] < 0, EXCLUDED).log_softmax(-1)

    def log_likelihood(self, state: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Return log P(item) [R, I] of items [R, I], given states [R, W]; of -1 that of item 0."""
        items, prefix = items.clamp_min(0), state.unsqueeze(1)
        codes, path = self.codes[items], self.path[items]
        found = torch.zeros(items.shape, device=state.device)
        for level in range(self.size.levels):
            token = codes[..., level]
            log_tokens = self._log_tokens(level, prefix, path[..., level]).expand(*token.shape, -1)
            found = found + log_tokens.gather(2, (token - 1).unsqueeze(2)).squeeze(2)
            prefix = prefix + self._embedded(level, token)
        return found

    def catalogue_log_likelihood(self, state: torch.Tensor) -> torch.Tensor:
        """Return log P(item) [R, M] of all items of one catalogue, given states [R, W]."""
        found = torch.zeros(len(state), len(self.codes), device=state.device)
        first = 0
        for level in range(self.size.levels):
            node = self.path[:, level]
            last = int(node.max())
            one = torch.zeros(last + 1 - first, dtype=torch.int64, device=node.device)
            one[node - first] = torch.arange(len(node), device=node.device)  # an item below each node
            before = sum(self._embedded(i, self.codes[one, i]) for i in range(level))
            nodes = torch.arange(first, last + 1, device=node.device)
            log_tokens = self._log_tokens(level, state.unsqueeze(1) + before, nodes)
            found = found + log_tokens[:, node - first, self.codes[:, level] - 1]
            first = last + 1
        return found

    def beam(self, state: torch.Tensor, allowed: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Find items of high P among those that are allowed, by beam search along the tokens of one catalogue.

        It is exact if the beam is as wide as the catalogue.

        Args:
            state: [R, W]
            allowed: [R, M] bool, items that can be shown.
            width: prefixes that are kept at each level.

        Returns:
            items [R, I], best first, and log P(item) [R, I]; `EXCLUDED` or less where there is no further item.
        """
        rows = len(state)
        open_nodes = torch.zeros(rows, len(self.following), dtype=torch.bool, device=state.device)
        row, item = allowed.nonzero(as_tuple=True)
        for node in self.path.T:  # with an item below that is allowed
            open_nodes[row, node[item]] = True
        node = torch.zeros(rows, 1, dtype=torch.int64, device=state.device)  # the root
        prefix, score = state.unsqueeze(1), state.new_zeros(rows, 1)
        for level in range(self.size.levels):
            following = self.following[node].masked_fill((score < EXCLUDED / 2).unsqueeze(2), -1)
            goes_on = allowed if level + 1 == self.size.levels else open_nodes
            usable = (following >= 0) & goes_on.gather(1, following.clamp_min(0).flatten(1)).view_as(following)
            found = (score.unsqueeze(2) + self._log_tokens(level, prefix, node)).masked_fill(~usable, EXCLUDED)
            score, best = found.flatten(1).topk(min(width, found[0].numel()), dim=1)
            before, token = best // self.size.tokens, best % self.size.tokens
            node = following.flatten(1).gather(1, best).clamp_min(0)
            prefix = prefix.gather(1, before.unsqueeze(2).expand(-1, -1, prefix.shape[2])) + self._embedded(
                level, token + 1
            )
        return node, score

    def heads(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the score [R, 1] of no click, weights [R, F] of the candidates' features, and scores of the values of
        each word."""
        return self.preferences(state).split([1, self.layout.features, *self.layout.words], 1)

    def scores(self, page: GenerativePage, state: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return scores of the options [R, n] and of the values of each word, given states [R, W]."""
        _, weights, *words = self.heads(state)
        if self.layout.candidates:
            scores = weighed(page, weights) + self.log_weight.exp() * self.log_likelihood(state, page.items)
        else:
            scores = self.log_weight.exp() * self.catalogue_log_likelihood(state)
        return scores.masked_fill(~page.allowed, EXCLUDED), words

    def outcomes(self, page: GenerativePage, state: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        """Return log P [R, K + 1] that a visitor who sees the options [R, K], -1 = none, clicks each, and none: a
        multinomial logit of their scores (McFadden 1974)."""
        shown, options = slots >= 0, slots.clamp_min(0)
        items = page.items.gather(1, options) if self.layout.candidates else options
        scores, (nothing, weights, *_) = self.log_weight.exp() * self.log_likelihood(state, items), self.heads(state)
        if self.layout.candidates:
            features = beside_mean(page).gather(1, options.unsqueeze(2).expand(-1, -1, self.layout.features))
            scores = scores + (features * weights.unsqueeze(1)).sum(2)
        scores = scores.masked_fill(~shown, EXCLUDED)
        return torch.cat((scores, nothing), 1).log_softmax(1)

    def parts(self, page: GenerativePage) -> torch.Tensor:
        """Return the terms [R, C, 1 + F] that add up to the scores: of the tokens, and of each feature."""
        state = self.state(page)
        weights = self.heads(state)[1].unsqueeze(1)
        tokens = self.log_weight.exp() * self.log_likelihood(state, page.items)
        return torch.cat((tokens.unsqueeze(2), beside_mean(page) * weights), 2)

    def forward(
        self, page: GenerativePage, remembered: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return scores of the options [R, n] and of the values of each word.

        Idle agents have no candidates; they are left out of the computation and get 0.
        """
        there = (page.items >= 0).any(1).nonzero().squeeze(1)
        rows = len(page.features)
        if len(there) == rows > 0 or not self.layout.candidates:
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
        self.log_weight.add_(math.log(factor))
        for part in (self.preferences.weight, self.preferences.bias):
            part.mul_(factor)


# ------------------------------------------------------------------------------------------------ the policy

_FORM = {
    "layout": LAYOUT,
    "size": dict.fromkeys(Size.__dataclass_fields__, int),
    "networks": [str],
    "pretraining": {"curve": [{str: float}], "beside": {str: {str: float}}},
}


def save(
    folder: Path, envs: CpuBatch, networks: Mapping[str, GenerativeNetwork], pretraining: Mapping[str, Any]
) -> None:
    """Write networks, by agent or one that is `SHARED`, as a policy's folder.

    Args:
        pretraining: losses on validation pages by step ("curve") and those of simple predictors ("beside").
    """
    one = next(iter(networks.values()))
    facts = {"layout": dataclasses.asdict(one.layout), "size": dataclasses.asdict(one.size), "networks": list(networks)}
    write_policy(folder, "generative", envs, to_arrays(networks), **facts, pretraining=pretraining)


class GenerativePolicy(Policy):
    """Plays the best slate and words of the bound agent's network, from the folder where `save` wrote to."""

    deterministic = True

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
        codes = SemanticIds(self.network.centres.numpy())(envs.world.item_vectors)
        self.network.list_items(Trie.of([codes], self.network.size.tokens))
        self._observer = HistoryReader(envs, self.network.size.events, [agent])
        if self._observer.layout != self.layout:
            raise ValueError(
                f"the policy in {self.folder} was trained on {self.layout}; here it is {self._observer.layout}"
            )

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        page = self._page(observations, mask)
        if self.layout.candidates:
            scores, words = self.network(page)
            return to_actions(best_slates(scores, words, self.layout.slots), self.layout).numpy()
        state = self.network.state(page)
        items, _ = self.network.beam(state, page.allowed, max(BEAM, self.layout.slots))
        words = [part.argmax(1, keepdim=True) for part in self.network.heads(state)[2:]]
        return to_actions(torch.cat([items[:, : self.layout.slots], *words], 1), self.layout).numpy()

    @torch.no_grad()
    def parts(self, observations: np.ndarray) -> np.ndarray:
        """Return the terms [B, C, 1 + F] of the candidates' scores; see `GenerativeNetwork.parts`."""
        return self.network.parts(self._page(observations)).numpy()

    def _page(self, observations: np.ndarray, mask: np.ndarray | None = None) -> GenerativePage:
        seen = torch.from_numpy(self._observer.extended(observations[:, None])[:, 0])
        if self.layout.candidates:
            return self.network.read(seen)
        if mask is None:
            return self.network.read(seen, torch.from_numpy(self._observer.options()[:, 0] >= 0))
        return self.network.read(seen, option_masks(mask, self.layout))

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        own = {name: feedback[name][:, None] for name in ("visitor", "shown", "clicked", "cart", "bought")}
        self._observer.record(own, np.zeros(self.envs.num_envs, np.bool_))

    def reset(self, done: np.ndarray) -> None:
        self._observer.forget(done)
