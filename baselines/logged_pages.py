"""Pages that policies of the package have shown, and what came of them: the data of pre-training.

    pages, validation = split(log_pages(config, events, "nearest", 50_000, seed=0))

Visitors, not pages, are held out for validation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig
from recsys_env.config.settings import replace
from recsys_env.evaluation import UNSEEN
from recsys_env.policies import Team
from recsys_env.trained.generative import HistoryReader

from .algorithms import Pretraining
from .page_links import Links

# isort: split
# After ours, whose error says what to install if it is missing.
import torch

HELD_OUT = 0.1  # of the visitors, on whose pages losses are validated
MOST_PAGES = 20_000  # of them, about
COPIES = 64  # of the game, when pages are logged
PAGE_GAMMA = 0.99  # discount of a return from one page of a user slot to the next, beside the task's per tick


@dataclasses.dataclass(frozen=True)
class LoggedPages:
    """Logged pages.

    Attributes:
        seen: [P, O] what the agent acted on (`HistoryReader.read`).
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
    """Return the pages of all logs, one after the other."""
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
    observer = HistoryReader(envs, events, first=first)
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
    return links.sums(links.reward, PAGE_GAMMA * gamma ** links.ticks.double()).numpy()


def log_by(options: Pretraining, config: WorldConfig, events: int, items: int) -> LoggedPages:
    """Log pages of this task, or of its `catalogues` worlds, filled by each of the loggers.

    Args:
        events: pages that the network looks back on.
        items: of a catalogue; those of several worlds are numbered through.
    """
    share = -(-options.pages // len(options.loggers) // options.catalogues)
    return joined(
        [
            log_pages(
                replace(config, {"world_seed": config.world_seed + world}),
                *(events, policy, share, (options.seed + i) % UNSEEN, options.pretrain_on),
                first=world * items,
            )
            for i, policy in enumerate(options.loggers)
            for world in range(options.catalogues)
        ]
    )


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
