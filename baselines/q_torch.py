"""Q-learning in one file of plain PyTorch on the batch, to read and to change: IQL, VDN and QMIX by a flag.

    python -m baselines.q_torch --task social-v1 --set slots=1
    python -m baselines.q_torch --task duel-v1 --mixer qmix --sharing 1

In the manner of CleanRL (Huang et al. 2022): what is between environment and optimiser is on this page; options are in
`torch_learners.py`, the network in `page_networks.py`, the chains of pages in `page_links.py`. All learners share one
network; who is who is in the observation.

    every tick: choose, with random choices now and then -> step -> write into the replay -> now and then a gradient step

The value of an action is the page's value and what the network scores of each of its choices: of the option in every
slot, and of each word (branches as in Tavakoli et al. 2018), so that the best action is the best choice in each. Only
pages are decisions, and a page's successor is the next one of its chain. Double Q-learning: van Hasselt et al. 2016;
IQL: Tan 1993; VDN: Sunehag et al. 2018; QMIX: Rashid et al. 2018.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_env import VectorEnv
from recsys_env.evaluation import UNSEEN

from . import page_networks
from .page_links import Links
from .page_networks import (
    EXCLUDED,
    SHARED,
    Layout,
    Page,
    PageNetwork,
    Value,
    best_slates,
    layout_of,
    mlp,
    observed,
    option_masks,
    to_actions,
)
from .training import Point, Rollout, Training
from .weights import from_arrays, to_arrays

if TYPE_CHECKING:
    from .torch_learners import TorchQ

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

from recsys_env.tensors import Tensors

# ------------------------------------------------------------------------------------------------ values


class Mixer(nn.Module):
    """What the values of N learners make together: a function that rises in each of them, whose weights depend on the
    global state.

    Args:
        agents: N.
        state: size of the global state.
    """

    def __init__(self, agents: int, state: int, width: int = 32) -> None:
        super().__init__()
        self._shape = agents, width
        self.inner, self.outer = nn.Linear(state, agents * width), nn.Linear(state, width)
        self.bias, self.base = nn.Linear(state, width), mlp(state, width, 1, gain=0.01)

    def forward(self, values: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Team values [R] of values [R, N] in states [R, S]."""
        inner = self.inner(states).abs().view(-1, *self._shape) / self._shape[0] ** 0.5
        hidden = nn.functional.elu(torch.bmm(values.unsqueeze(1), inner).squeeze(1) + self.bias(states))
        total: torch.Tensor = (hidden * self.outer(states).abs()).sum(1) / self._shape[1] ** 0.5
        return total + self.base(states).squeeze(1)


class Values(nn.Module):
    """Values of actions, of one learner or, with a mixer, of the team."""

    def __init__(self, layout: Layout, width: int, mixer: Mixer | None) -> None:
        super().__init__()
        self.network, self.mixer = PageNetwork(layout, width), mixer
        self.page = Value(len(layout.context) + 2 * layout.features, width)

    def forward(self, page: Page, chosen: torch.Tensor) -> torch.Tensor:
        """[R] of what is chosen [R, K + words] on each page."""
        scores, words = self.network(page)
        picks = chosen[:, : self.network.layout.slots]
        value: torch.Tensor = self.page(page.summary()) + scores.gather(1, picks).clamp_min(EXCLUDED / 2).sum(1)
        for part, said in zip(words, chosen[:, self.network.layout.slots :].T, strict=True):
            value = value + part.gather(1, said.unsqueeze(1)).squeeze(1)
        return value

    def best(self, page: Page) -> torch.Tensor:
        """Choices [R, K + words] of highest value."""
        return best_slates(*self.network(page), self.network.layout.slots)

    def joint(self, values: torch.Tensor, active: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """[R] of the values [R, N] of those who are on each page; N = 1 for learners by themselves."""
        there = values * active
        return there.sum(1) if self.mixer is None else self.mixer(there, states)
