"""Pre-training of the generative recommender: its two losses, simple predictors beside them, and its tokens.

    curve = pretrain(network, partial(losses, network), pages, validation, options, device)
    beside = predictors(network, pages, validation)            # what simple predictors of the next item lose

Two losses, in nats: -log P(clicked item) among all items of the catalogue, on pages with a click, and -log P(outcome of
the page) among the clicks of the shown items and none, on all pages.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from recsys_env import WorldConfig, Worlds
from recsys_env.batch.base import CpuBatch
from recsys_env.batch.vector import checked_vector_env
from recsys_env.trained.generative import OUTCOMES, GenerativeNetwork, HistoryReader
from recsys_env.trained.semantic_ids import SemanticIds, Trie
from recsys_env.trained.sizes import SIZES

from .algorithms import Pretrained
from .logged_pages import LoggedPages, log_by, split
from .pretraining import ITEMS, MEASURED_ON, PAGE, pretrain, total_loss

# isort: split
# After ours, whose error says what to install if it is missing.
import torch

SOFT = 0.3  # factor on pre-trained scores before RL, so that RL explores and can outweigh them
BODY = 0.1  # factor on RL's learning rate for tokens, transformer and decoder
MEASURED = "pretraining"  # name of what was measured while pre-training, in a checkpoint


def losses(network: GenerativeNetwork, pages: LoggedPages) -> dict[str, torch.Tensor]:
    """Losses in nats: of the clicked item [X] of pages with a click, and of the outcome [P] of all pages."""
    page = network.read(pages.seen)
    state = network.state(page)
    named = -network.log_likelihood(state[pages.has_click], pages.clicked_items().unsqueeze(1)).squeeze(1)
    outcome = -network.outcomes(page, state, pages.slots).gather(1, pages.clicked.unsqueeze(1)).squeeze(1)
    return {ITEMS: named, PAGE: outcome}


def predictors(network: GenerativeNetwork, pages: LoggedPages, validation: LoggedPages) -> dict[str, dict[str, float]]:
    """Return what simple predictors lose on the validation pages, by loss and name.

    items: uniform = all items of the catalogue alike; unigram = the share of the item in the clicks of the other pages,
    each item counted once more (Laplace); bigram = its share in the clicks that followed the visitor's last clicked
    item, and the unigram as far as that item was followed by others (Witten and Bell 1991).

    page: base rate = the share of the other pages that have a click, all shown items alike.
    """
    catalogue = network.path[:, 0].cpu().numpy()  # of each item
    items = len(catalogue)
    before, clicked = _clicks(network, pages)
    counts = np.bincount(clicked, minlength=items) + 1.0
    unigram = counts / np.bincount(catalogue, counts)[catalogue]
    pairs, times = np.unique(np.stack((before, clicked))[:, before >= 0], axis=1, return_counts=True)
    followed = dict(zip(map(tuple, pairs.T.tolist()), times.tolist(), strict=True))
    clicks, others = (np.bincount(pairs[0], of, items) for of in (times, None))
    before, clicked = _clicks(network, validation)
    together = np.array([followed.get(pair, 0) for pair in zip(before.tolist(), clicked.tolist(), strict=True)])
    clicks, others = (np.where(before >= 0, of[before], 0) for of in (clicks, others))
    # Where nothing is known of the last item, the unigram counts alone.
    bigram = (together + np.maximum(others, clicks == 0) * unigram[clicked]) / np.maximum(clicks + others, 1)
    uniform = 1.0 / np.bincount(catalogue)[catalogue[clicked]]
    rate, click = float(pages.has_click.float().mean()), validation.has_click.numpy()
    shown = (validation.slots >= 0).sum(1).numpy()
    base_rate = np.where(click, rate / np.maximum(shown, 1), 1 - rate)
    found = {
        "items": {"uniform": uniform, "unigram": unigram[clicked], "bigram": bigram},
        "page": {"base rate": base_rate},
    }
    return {loss: {name: float(-np.log(p).mean()) for name, p in of.items()} for loss, of in found.items()}


def _clicks(network: GenerativeNetwork, pages: LoggedPages) -> tuple[np.ndarray, np.ndarray]:
    """Return the visitor's last clicked item, -1 = none that the agent remembers, and the clicked item, both [X]."""
    seen = pages.seen[pages.has_click].to(network.position.device)
    item, outcome = network.read(seen).events.cpu().unbind(-1)
    place = torch.arange(1, outcome.shape[1] + 1) * (outcome > OUTCOMES.index("ignored") + 1)
    last = item.gather(1, place.argmax(1, keepdim=True)).squeeze(1) - 1
    return torch.where(place.any(1), last, -1).numpy(), pages.clicked_items().numpy()


class Recommender:
    """The items of a batch's worlds as tokens, and the network that is pre-trained on logged pages of these worlds.

    Args:
        envs: the batch that the network will act in.
        options: of its training.

    Attributes:
        size: of the network.
        observer: reads what the network acts on.
        measured: what was measured while pre-training; see `generative.save`.
    """

    def __init__(self, envs: CpuBatch, options: Pretrained) -> None:
        games = envs.parts if isinstance(envs, Worlds) else [checked_vector_env(envs.game)]
        vectors = [game.world.item_vectors for game in games]
        base, items = SIZES[options.size], np.concatenate(vectors)
        self.options = options
        self.size = dataclasses.replace(base, tokens=min(base.tokens, len(items)), dims=items.shape[1])
        self._ids = SemanticIds.fit(items, self.size.levels, self.size.tokens)
        self._trie = Trie.of([self._ids(of) for of in vectors], self.size.tokens)
        self._items = len(vectors[0])
        self.observer = HistoryReader(envs, self.size.events)
        self.measured: dict[str, Any] = {"curve": [], "beside": {}}

    def network(self) -> GenerativeNetwork:
        """Make a network, without training."""
        network = GenerativeNetwork(self.observer.layout, self.size)
        network.centres.copy_(torch.from_numpy(self._ids.centres))
        network.list_items(self._trie)
        network.bf16 = self.options.bf16
        if self.options.compile:
            for part in (network.body, network.decoder):
                part.compile(dynamic=True)
        return network

    def log(self, config: WorldConfig) -> LoggedPages:
        """Log pages of this task, or of its worlds, filled by each of the loggers."""
        return log_by(self.options, config, self.size.events, self._items)

    def pretrain(self, network: GenerativeNetwork, logged: LoggedPages) -> None:
        """Train the network on logged pages, and print the losses."""
        device = network.position.device
        pages, validation = split(logged)
        del logged  # which may be large
        network.measure(pages.seen[:MEASURED_ON].to(device))
        beside = predictors(network, pages, validation)
        curve = pretrain(network, partial(losses, network), pages, validation, self.options, device)
        network.soften(SOFT)
        self.measured = {"curve": curve, "beside": beside}
        best = min(curve, key=total_loss)
        simple = ", ".join(f"{name} {nats:.3f}" for name, nats in beside["items"].items())
        print(
            f"pre-training ends with step {best['step']:.0f}; nats an item of simple predictors: {simple}", flush=True
        )

    def pace(self, network: GenerativeNetwork) -> list[dict[str, Any]]:
        """Groups of parameters for the optimiser of RL; those that were pre-trained learn slowly, so that noisy rewards
        do not undo it."""
        head = [*network.preferences.parameters(), network.log_weight]
        body = [part for part in network.parameters() if all(part is not other for other in head)]
        return [{"params": head, "pace": 1.0}, {"params": body, "pace": BODY if self.options.pages else 1.0}]


def to_array(measured: Mapping[str, Any]) -> np.ndarray:
    """What was measured while pre-training, as an array for a checkpoint."""
    return np.frombuffer(json.dumps(measured).encode(), np.uint8)


def from_array(stored: np.ndarray) -> dict[str, Any]:
    """The reverse of `to_array`."""
    found: dict[str, Any] = json.loads(stored.tobytes())
    return found
