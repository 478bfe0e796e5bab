"""Train the generative recommender: first to predict next items of logged pages, then by PPO (`ppo_torch.py`).

    python -m baselines train generative --task streaming-v1 --size 1m
    python -m baselines train generative --task streaming-v1 --background recommender_1=content recommender_2=random

It learns alone among policies (`--background`), in self-play of all agents, which is the default, and as a team
(`--sharing 1`). The network and the policy are in `recsys_env/trained/generative.py`, the options in `algorithms.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from recsys_env import VectorEnv, Worlds
from recsys_env.evaluation import UNSEEN
from recsys_env.policies import Team
from recsys_env.settings import replace
from recsys_env.trained import generative
from recsys_env.trained.generative import GenerativeNetwork, HistoryObserver
from recsys_env.trained.pages import Layout
from recsys_env.trained.semantic_ids import SemanticIds
from recsys_env.trained.sizes import SIZES

from .algorithms import Generative
from .ppo_torch import Agent, PPOLearner
from .training import Training

# isort: split
# After ours, whose error says what to install if it is missing.
import torch

LOSSES = "items", "slate"  # see `losses`
_PRETRAINING = "pretraining"  # name of the losses of pre-training in a checkpoint
HELD_OUT = 0.1  # of the logged pages, on which the loss is measured
LOGGED_COPIES = 64
SOFT = 0.3  # by which scores are multiplied before PPO, so that it explores and what it learns can outweigh them
BODY = 0.1  # part of PPO's learning rate at which tokens, transformer and decoder move


# ------------------------------------------------------------------------------------------------ logged pages


@dataclasses.dataclass(frozen=True)
class LoggedPages:
    """Logged pages with a click.

    Attributes:
        seen: [P, O] what the agent acted on (`HistoryObserver.read`).
        shown: [P, C] bool, candidates that were shown.
        clicked: [P] the candidate that was clicked.
    """

    seen: torch.Tensor
    shown: torch.Tensor
    clicked: torch.Tensor

    def __len__(self) -> int:
        return len(self.clicked)

    def take(self, rows: torch.Tensor) -> LoggedPages:
        return LoggedPages(self.seen[rows], self.shown[rows], self.clicked[rows])


def log_pages(
    config: Any, ids: SemanticIds, events: int, policy: str, pages: int, seed: int, of: Sequence[str] = ()
) -> LoggedPages:
    """Let a policy play all agents, and keep pages with a click.

    Args:
        events: pages that the network looks back on.
        pages: how many pages to show, those without a click included.
        of: agents whose pages count and are kept; by default all.
    """
    envs = VectorEnv(config, LOGGED_COPIES, copy=False)
    kept_of = np.isin(envs.possible_agents, of or envs.possible_agents)
    observer, team = HistoryObserver(envs, ids, events), Team(envs, dict.fromkeys(envs.possible_agents, policy), seed)
    observations, _ = envs.reset(seed=seed)
    actions, count = envs.empty_actions(), 0
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while count < pages:
        seen, items = observer.read(), observer.items.copy()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        observer.record(infos, truncated)
        team.observe(infos, truncated)
        count += int((infos["visitor"] >= 0)[:, kept_of].sum())
        b, n = np.nonzero(infos["clicked"].any(-1) & kept_of)
        item = np.take_along_axis(infos["shown"][b, n], infos["clicked"][b, n].argmax(-1)[:, None], 1)
        listed = items[b, n]
        shown = (listed[:, :, None] == infos["shown"][b, n][:, None]).any(-1) & (listed >= 0)
        kept.append((seen[b, n], shown, (listed == item).argmax(-1)))
    return LoggedPages(*(torch.from_numpy(np.concatenate(parts)) for parts in zip(*kept, strict=True)))


# ------------------------------------------------------------------------------------------------ pre-training


def losses(network: GenerativeNetwork, pages: LoggedPages) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses in nats: -log P(clicked item) among all items that tokens can name, and among the slate."""
    page = network.read(pages.seen)
    state = network.state(page)
    rows = torch.arange(len(pages), device=pages.clicked.device)
    named = -network.log_likelihood(state, page.codes[rows, pages.clicked][:, None])[:, 0]
    scores = network.scores(page, state)[0].masked_fill(~pages.shown, -torch.inf)
    chosen = -scores.log_softmax(1)[rows, pages.clicked]
    return named.mean(), chosen.mean()


def pretrain(
    network: GenerativeNetwork, pages: LoggedPages, options: Generative, device: torch.device
) -> list[dict[str, float]]:
    """Train on logged pages.

    Returns:
        losses on held-out pages, before training and after each pass.
    """
    order = torch.randperm(len(pages))
    held_out, rest = order[: int(HELD_OUT * len(pages))], order[int(HELD_OUT * len(pages)) :]
    optimiser = torch.optim.AdamW(network.parameters(), options.pretraining_rate, weight_decay=0.01)
    steps = options.passes * -(-len(rest) // options.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    measured = [_held_out(network, pages.take(held_out), device)]
    for _ in range(options.passes):
        for rows in rest[torch.randperm(len(rest))].split(options.batch_size):
            optimiser.zero_grad()
            for some in rows.chunk(options.accumulate):
                loss = torch.stack(losses(network, _to(pages.take(some), device))).sum()
                (loss * (len(some) / len(rows))).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        measured.append(_held_out(network, pages.take(held_out), device))
    return measured


@torch.no_grad()
def _held_out(network: GenerativeNetwork, pages: LoggedPages, device: torch.device) -> dict[str, float]:
    sums = np.zeros(2)
    for rows in torch.arange(len(pages)).split(4096):
        sums += [len(rows) * float(loss) for loss in losses(network, _to(pages.take(rows), device))]
    return dict(zip(LOSSES, (sums / max(len(pages), 1)).tolist(), strict=True))


def _to(pages: LoggedPages, device: torch.device) -> LoggedPages:
    return LoggedPages(pages.seen.to(device), pages.shown.to(device), pages.clicked.to(device))


# ------------------------------------------------------------------------------------------------ PPO


class GenerativeLearner(PPOLearner):
    """Pre-trains a network on logged pages, then trains it by PPO; see `training.Learner`."""

    options: Generative

    def __init__(self, training: Training, options: Generative) -> None:
        self.accumulate = options.accumulate
        stored = training.checkpoint.arrays.pop(_PRETRAINING) if training.checkpoint else np.zeros((0, len(LOSSES)))
        super().__init__(training, options)
        self.pretraining = [dict(zip(LOSSES, row, strict=True)) for row in stored.tolist()]
        if options.pages and not training.resume:
            self._pretrain()

    def resume_arrays(self) -> dict[str, np.ndarray]:
        stored = np.array([list(losses.values()) for losses in self.pretraining]).reshape(-1, len(LOSSES))
        return {**super().resume_arrays(), _PRETRAINING: stored}

    def _observer(self) -> HistoryObserver:
        games = self.envs.parts if isinstance(self.envs, Worlds) else [self.envs.game]
        vectors = np.concatenate([game.world.item_vectors for game in games])
        base = SIZES[self.options.size]
        self.size = dataclasses.replace(base, tokens=min(base.tokens, len(vectors)), dims=vectors.shape[1])
        self.ids = SemanticIds.fit(vectors, self.size.levels, self.size.tokens)
        return HistoryObserver(self.envs, self.ids, self.size.events)

    def _actor(self, layout: Layout) -> GenerativeNetwork:
        network = GenerativeNetwork(layout, self.size)
        network.centres.copy_(torch.from_numpy(self.ids.centres))
        network.bf16 = self.options.bf16
        if self.options.compile:
            for part in (network.body, network.decoder):
                part.compile(dynamic=True)
        return network

    def _groups(self, agent: Agent) -> list[dict[str, Any]]:
        """Groups of parameters; those that were pre-trained learn slowly, so that noisy rewards do not undo it."""
        if not self.options.pages:
            return super()._groups(agent)
        actor = cast("GenerativeNetwork", agent.actor)
        head = [*actor.preferences.parameters(), actor.likelihood]
        body = [part for part in actor.parameters() if all(part is not other for other in head)]
        _, critic = super()._groups(agent)
        return [{"params": [*head, agent.log_deviation], "pace": 1.0}, {"params": body, "pace": BODY}, critic]

    def _pretrain(self) -> None:
        """Train one network on pages of `pretrain_on`, whoever learns, and give it to all learners."""
        options, device = self.options, self.rollout.to_device.device
        networks = [cast("GenerativeNetwork", agent.actor) for agent in self.agents.values()]
        first, *others = networks
        config = self.training.config
        share = -(-options.pages // len(options.loggers) // options.catalogues)
        logged = [
            log_pages(
                replace(config, {"world_seed": config.world_seed + world}),
                *(self.ids, self.size.events, policy, share, (options.seed + i) % UNSEEN, options.pretrain_on),
            )
            for i, policy in enumerate(options.loggers)
            for world in range(options.catalogues)
        ]
        fields = (torch.cat([getattr(log, name) for log in logged]) for name in ("seen", "shown", "clicked"))
        self.pages = LoggedPages(*fields)
        first.measure(self.pages.seen[:4096].to(device))
        self.pretraining = pretrain(first, self.pages, options, device)
        for i, loss in enumerate(self.pretraining):
            print(f"pre-training, pass {i}: {loss['items']:.3f} nats an item, {loss['slate']:.3f} a slate, held out")
        first.soften(SOFT)
        for network in others:
            network.load_state_dict(first.state_dict())
            network.measured = True

    def save(self, folder: Path) -> None:
        networks = {name: cast("GenerativeNetwork", agent.actor) for name, agent in self.agents.items()}
        generative.save(folder, self.envs, networks, self.pretraining)
