"""Pre-training of the generative recommender on logged pages, by gradient steps and with early stopping.

    pages, validation = split(log_pages(config, size.events, "nearest", 50_000, seed=0))
    curve = pretrain(network, pages, validation, options, device)
    beside = predictors(network, pages, validation)            # what simple predictors of the next item lose

Two losses, in nats: -log P(clicked item) among all items of the catalogue, on pages with a click, and -log P(outcome of
the page) among the clicks of the shown items and none, on all pages. Visitors, not pages, are held out for validation.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, Worlds
from recsys_env.batch import CpuBatch
from recsys_env.evaluation import UNSEEN
from recsys_env.policies import Team
from recsys_env.settings import replace
from recsys_env.trained.generative import OUTCOMES, GenerativeNetwork, HistoryObserver
from recsys_env.trained.semantic_ids import SemanticIds, Trie
from recsys_env.trained.sizes import SIZES

from .algorithms import Pretrained
from .page_links import Links
from .ppo_torch import advantages

# isort: split
# After ours, whose error says what to install if it is missing.
import torch

SOFT = 0.3  # by which scores are multiplied before RL, so that it explores and what it learns can outweigh them
BODY = 0.1  # part of the learning rate of RL at which tokens, transformer and decoder move
HELD_OUT = 0.1  # of the visitors, on whose pages losses are validated
MOST_PAGES = 20_000  # of them, about
COPIES = 64  # of the game, when pages are logged
AT_ONCE = 2048  # pages, when losses are validated
WARM_UP = 100  # steps in which the learning rate rises
PAGE_GAMMA = 0.99  # discount of a return from one page of a user slot to the next, beside the task's per tick
LOSSES = "items", "page"
MEASURED = "pretraining"  # name of what was measured while pre-training, in a checkpoint


# ------------------------------------------------------------------------------------------------ logged pages


@dataclasses.dataclass(frozen=True)
class LoggedPages:
    """Logged pages.

    Attributes:
        seen: [P, O] what the agent acted on (`HistoryObserver.read`).
        slots: [P, K] options that were shown, -1 = none.
        items: [P, K] their items, -1 = none.
        clicked: [P] slot that was clicked, K = none.
        returns: [P] discounted individual reward from this page of a user slot on.
        people: [P, 4] who visited: world, seed and copy, both 0 if these have the same people, and visitor id.
    """

    seen: torch.Tensor
    slots: torch.Tensor
    items: torch.Tensor
    clicked: torch.Tensor
    returns: torch.Tensor
    people: torch.Tensor

    def __len__(self) -> int:
        return len(self.clicked)

    def take(self, rows: torch.Tensor) -> LoggedPages:
        return LoggedPages(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    def to(self, device: torch.device) -> LoggedPages:
        return LoggedPages(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))

    @property
    def has_click(self) -> torch.Tensor:
        """[P] bool"""
        return self.clicked < self.slots.shape[1]

    def clicked_items(self) -> torch.Tensor:
        """Return the clicked items of the pages with a click."""
        rows = self.has_click.nonzero().squeeze(1)
        return self.items[rows, self.clicked[rows]]


def joined(logs: Sequence[LoggedPages]) -> LoggedPages:
    return LoggedPages(
        *(torch.cat([getattr(log, field.name) for log in logs]) for field in dataclasses.fields(LoggedPages))
    )


def log_pages(
    config: Any,
    events: int,
    policy: str,
    pages: int,
    seed: int,
    of: Sequence[str] = (),
    first: int = 0,
) -> LoggedPages:
    """Let a policy play all agents, and keep their pages.

    Args:
        events: pages that the network looks back on.
        pages: at least how many pages to show.
        of: agents whose pages count and are kept; by default all.
        first: number of the first item.
    """
    envs = VectorEnv(config, COPIES, copy=False)
    kept_of = np.isin(envs.possible_agents, of or envs.possible_agents)
    observer = HistoryObserver(envs, events, first=first)
    team = Team(envs, dict.fromkeys(envs.possible_agents, policy), seed)
    observations, _ = envs.reset(seed=seed)
    actions, count = envs.empty_actions(), 0
    kept, ticks = list[tuple[np.ndarray, ...]](), list[tuple[np.ndarray, ...]]()
    while count < pages:
        seen, listed = observer.read(), observer.items.copy()
        user_slots, active, visitor = envs.next_user_slots.copy(), envs.active.copy(), envs.next_visitor.copy()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        observer.record(infos, truncated)
        team.observe(infos, truncated)
        ticks.append((user_slots, active, infos["individual_reward"].copy(), truncated.copy()))
        b, n = np.nonzero(active & kept_of)
        count += len(b)
        shown, clicked = infos["shown"][b, n], infos["clicked"][b, n]
        slots = _positions(shown, listed[b, n]) if config.retrieves else shown
        items = np.where(shown >= 0, shown + first, -1)
        clicked = np.where(clicked.any(1), clicked.argmax(1), config.slots)
        page = (len(ticks) - 1) * active.size + b * envs.num_agents + n
        one_of = np.stack((np.full_like(b, config.world_seed), np.full_like(b, seed), b, visitor[b, n]), 1)
        kept.append((seen[b, n], slots, items, clicked, page, one_of))
    seen, slots, items, clicked, page, people = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    if config.users.population == "fixed":
        people[:, 1:3] = 0
    returns = _returns(ticks, envs.shape.users, config.discount)[page].astype(np.float32)
    return LoggedPages(*map(torch.from_numpy, (seen, slots, items, clicked, returns, people)))


def _positions(shown: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Return where items [P, K] stand among candidates [P, C], -1 where there is no item."""
    same = (listed[:, None] == shown[:, :, None]) & (shown >= 0)[:, :, None]
    return np.where(same.any(2), same.argmax(2), -1)


def _returns(ticks: Sequence[tuple[np.ndarray, ...]], users: int, gamma: float) -> np.ndarray:
    """Return the discounted rewards [T·B·N] from each page of a user slot on, until the episode or the log ends.

    Args:
        ticks: of each tick, user slot [B], active [B, N], reward [B, N], whether an episode ended [B].
    """
    copies, agents = ticks[0][1].shape
    links = Links(len(ticks), copies, agents, users, gamma)
    for t, (user_slots, active, rewards, truncated) in enumerate(ticks):
        links.add(t, *(torch.from_numpy(part) for part in (user_slots.astype(np.int64), active, rewards)))
        if truncated.all():
            links.end()
    links.end()
    nothing = torch.zeros(len(ticks) * copies * agents)
    return advantages(nothing, links, PAGE_GAMMA, gamma, gae_lambda=1.0).numpy()


def split(pages: LoggedPages) -> tuple[LoggedPages, LoggedPages]:
    """Split pages into those to train on and those to validate on, which are of other visitors.

    Raises:
        ValueError: one of the two has no click.
    """
    _, who = pages.people.unique(dim=0, return_inverse=True)
    people, share = int(who.max()) + 1, min(HELD_OUT, MOST_PAGES / len(pages))
    held_out = (torch.randperm(people) < max(1, int(share * people)))[who]
    parts = pages.take(~held_out), pages.take(held_out)
    if not all(part.has_click.any() for part in parts):
        raise ValueError(f"{len(pages)} logged pages of {people} visitors hold too few clicks; give more --pages")
    return parts


# ------------------------------------------------------------------------------------------------ losses


def losses(network: GenerativeNetwork, pages: LoggedPages) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses in nats: of the clicked item [X] of pages with a click, and of the outcome [P] of all pages."""
    page = network.read(pages.seen)
    state = network.state(page)
    named = -network.log_likelihood(state[pages.has_click], pages.clicked_items().unsqueeze(1)).squeeze(1)
    outcome = -network.outcomes(page, state, pages.slots).gather(1, pages.clicked.unsqueeze(1)).squeeze(1)
    return named, outcome


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


# ------------------------------------------------------------------------------------------------ training


def pretrain(
    network: GenerativeNetwork,
    pages: LoggedPages,
    validation: LoggedPages,
    options: Pretrained,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train until the loss on the validation pages has not fallen for a while, and keep the best weights.

    With `options.reward_weight`, pages that led to more reward count more (reward-weighted regression, Peters and
    Schaal 2007): as exp(weight · return in standard deviations).

    Returns:
        step and losses on the validation pages, before training and after every `options.validate_every` steps.
    """
    optimiser = torch.optim.AdamW(network.parameters(), options.pretraining_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / WARM_UP, 1.0, WARM_UP - 1)
    weights = _weights(pages, options.reward_weight)
    curve = [{"step": 0.0, **validated(network, validation, device)}]
    _show(curve[0])
    best, kept = curve[0], copy.deepcopy(network.state_dict())
    for step, rows in enumerate(_minibatches(pages, options.pretraining_batch), 1):
        network.train()
        optimiser.zero_grad()
        clicks = pages.has_click[rows]
        # A page of each kind counts as often as it occurs.
        occurs = pages.has_click.float().mean() / clicks.float().mean()
        weight = weights[rows] * torch.where(clicks, occurs, (len(rows) - clicks.sum() * occurs) / (~clicks).sum())
        for some in torch.arange(len(rows)).chunk(options.accumulate):
            named, outcome = losses(network, pages.take(rows[some]).to(device))
            of_named = weights[rows[some]][clicks[some]].to(device) * named / clicks.sum()
            (of_named.sum() + (weight[some].to(device) * outcome).sum() / len(rows)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % options.validate_every == 0 or step == options.pretraining_steps:
            curve.append({"step": float(step), **validated(network, validation, device)})
            _show(curve[-1])
            if total_loss(curve[-1]) < total_loss(best):
                best, kept = curve[-1], copy.deepcopy(network.state_dict())
            waited = len(curve) - 1 - curve.index(best)
            if waited >= options.patience or step >= options.pretraining_steps:
                break
    network.eval()
    network.load_state_dict(kept)
    return curve


def _show(point: Mapping[str, float]) -> None:
    print(
        f"pre-training, step {point['step']:.0f}: {point['items']:.3f} nats an item, {point['page']:.3f} a page",
        flush=True,
    )


def _weights(pages: LoggedPages, strength: float) -> torch.Tensor:
    """Weights [P] of the pages, 1 on average."""
    returns = pages.returns
    found = (strength * (returns - returns.mean()) / returns.std(correction=0).clamp_min(1e-8)).exp()
    return found / found.mean()


def total_loss(losses: Mapping[str, float]) -> float:
    """The loss by which the best weights are chosen."""
    return sum(losses[name] for name in LOSSES)


def _minibatches(pages: LoggedPages, size: int) -> Iterator[torch.Tensor]:
    """Yield rows of so many pages with a click, in random order, and of as many others, for ever."""
    clicks, others = (which.nonzero().squeeze(1) for which in (pages.has_click, ~pages.has_click))
    while True:
        for some in clicks[torch.randperm(len(clicks))].split(size):
            beside = others[torch.randint(len(others), some.shape)] if len(others) else others
            yield torch.cat((some, beside))


@torch.no_grad()
def validated(network: GenerativeNetwork, pages: LoggedPages, device: torch.device) -> dict[str, float]:
    """Return the mean losses on these pages, by name."""
    network.eval()
    parts = [losses(network, pages.take(rows).to(device)) for rows in torch.arange(len(pages)).split(AT_ONCE)]
    return {name: float(torch.cat(of).mean()) for name, of in zip(LOSSES, zip(*parts, strict=True), strict=True)}


# ------------------------------------------------------------------------------------------------ the recommender


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
        games = envs.parts if isinstance(envs, Worlds) else [envs.game]
        vectors = [game.world.item_vectors for game in games]
        base, items = SIZES[options.size], np.concatenate(vectors)
        self.options = options
        self.size = dataclasses.replace(base, tokens=min(base.tokens, len(items)), dims=items.shape[1])
        self._ids = SemanticIds.fit(items, self.size.levels, self.size.tokens)
        self._trie = Trie.of([self._ids(of) for of in vectors], self.size.tokens)
        self._items = len(vectors[0])
        self.observer = HistoryObserver(envs, self.size.events)
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
        options = self.options
        share = -(-options.pages // len(options.loggers) // options.catalogues)
        return joined(
            [
                log_pages(
                    replace(config, {"world_seed": config.world_seed + world}),
                    *(self.size.events, policy, share, (options.seed + i) % UNSEEN, options.pretrain_on),
                    first=world * self._items,
                )
                for i, policy in enumerate(options.loggers)
                for world in range(options.catalogues)
            ]
        )

    def pretrain(self, network: GenerativeNetwork, logged: LoggedPages) -> None:
        """Train the network on logged pages, and print the losses."""
        device = network.position.device
        pages, validation = split(logged)
        del logged  # which may be large
        network.measure(pages.seen[:4096].to(device))
        beside = predictors(network, pages, validation)
        curve = pretrain(network, pages, validation, self.options, device)
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
