"""Policies of networks that score candidates or items: how they are stored, read and played."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..batch.base import AnyBatch, CpuBatch
from ..batch.tensors import one_thread
from ..files import FileError
from ..policies import Policy
from .attention import AttentionNetwork
from .folders import WEIGHTS, check_items, check_spaces, network_of, read_facts, write_policy
from .pages import (
    SHARED,
    Layout,
    Page,
    PageNetwork,
    Scorer,
    VisitorMemory,
    best_slates,
    echo_of,
    layout_of,
    option_masks,
    relative_layout,
    to_actions,
)
from .weights import load_weights, to_arrays

# isort: split
# After ours, whose error says what to install if it is missing.
import torch

Network = TypeVar("Network", bound=Scorer)
LAYOUT = {name: [int] if name in ("context", "words") else int for name in Layout.__dataclass_fields__}
_FORM = {"layout": LAYOUT, "width": int, "memory": int, "attention": int, "max_agents?": int, "networks": [str]}


def page_network(layout: Layout, width: int, memory: int, attention: int) -> PageNetwork:
    """Return a network of these sizes; `attention` is the units of target attention (`attention.py`), 0 for none."""
    return AttentionNetwork(layout, width, memory, attention) if attention else PageNetwork(layout, width, memory)


def save(folder: Path, envs: CpuBatch, networks: Mapping[str, PageNetwork], max_agents: int = 0) -> None:
    """Write networks, by agent or one that is `SHARED`, as a policy's folder.

    Args:
        max_agents: the largest team that the networks can play, as in `relative_layout`.
    """
    one = next(iter(networks.values()))
    facts = {
        "layout": dataclasses.asdict(one.layout),
        "width": one.width,
        "memory": one.memory.hidden_size if one.memory else 0,
        "attention": one.units,
        "max_agents": max_agents,
        "networks": list(networks),
    }
    write_policy(folder, "pages", envs, to_arrays(networks), relative_layout(envs, max_agents), **facts)


def read_networks(
    folder: Path, form: Mapping[str, Any], make: Callable[[Layout, Mapping[str, Any]], Network]
) -> tuple[Layout, dict[str, Any], dict[str, Network]]:
    """Read the layout, the facts and the networks, by agent or `SHARED`, from a policy's folder.

    Args:
        form: form of its facts, which include the layout and the names of networks.
        make: creates a network, given the layout and the facts.
    """
    facts = read_facts(folder, form)
    path = folder / WEIGHTS
    try:
        layout = Layout(**facts["layout"])
        with torch.device("meta"):  # allocates no memory, whatever sizes a file claims
            networks = {name: make(layout, facts) for name in facts["networks"]}
    except (TypeError, ValueError, RuntimeError) as error:
        raise FileError(f"{path} does not hold the sizes of a network: {error}") from None
    load_weights(folder, networks)
    for network in networks.values():
        network.columns = torch.tensor(layout.context)
    return layout, facts, networks


class PagePolicy(Policy):
    """Plays the best slate and words, or the mean vector, of the bound agent's network, from a folder of `save`.

    An agent that was not trained takes the network of the first of its role.
    """

    deterministic = True

    def __init__(self, folder: Path) -> None:
        def make(layout: Layout, facts: Mapping[str, Any]) -> PageNetwork:
            return page_network(layout, facts["width"], facts["memory"], facts["attention"])

        self.folder = folder
        self.layout, self.facts, self._networks = read_networks(folder, _FORM, make)

    @property
    def remembers(self) -> bool:
        return bool(self.facts["memory"])

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs, most = self.envs, self.facts.get("max_agents", 0)
        if most and envs.num_agents > most:
            raise ValueError(f"the policy in {self.folder} plays up to {most} agents; here are {envs.num_agents}")
        self._relative = relative_layout(envs, most)
        check_spaces(self.folder, self.facts, envs, self._relative)
        check_items(self, self.folder, self.facts)
        if (here := layout_of(envs, self._relative)) != self.layout:
            raise ValueError(f"the policy in {self.folder} was trained on {self.layout}; here it is {here}")
        self.network = network_of(self.folder, self._networks, agent, SHARED)
        if self.network.memory:
            sizes, cpu = (self.network.memory.hidden_size, self.layout.echo), torch.device("cpu")
            self._memory = VisitorMemory((envs.num_envs, 1), envs.shape.users, sizes, cpu)

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        masks = None if mask is None else option_masks(mask, self.layout)
        if self._relative:
            observations = self._relative.read_of(self.index, observations)
        page = self.network.read(torch.from_numpy(np.ascontiguousarray(observations)), masks)
        state = self._remember(page) if self.network.memory else None
        scores, words = self.network(page, state)
        chosen = scores if self.layout.vector else best_slates(scores, words, self.layout.slots)
        if self.network.memory:
            self._last = page, state, chosen
        return to_actions(chosen, self.layout).numpy()

    def _remember(self, page: Page) -> torch.Tensor:
        """Return the states [B, H] of the memory after this page."""
        assert self.network.memory is not None
        infos = self.envs.infos
        self._whose = infos["next_user_slot"][:, self.index].copy(), infos["next_visitor"][:, self.index, None].copy()
        state, echo = self._memory.recall(*self._whose)
        _, state = self.network.memory(torch.cat((page.context, echo), 1).unsqueeze(1), state.unsqueeze(0))
        return state[0]

    @torch.no_grad()
    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        if self.network.memory:
            page, state, chosen = self._last
            assert state is not None
            individual_reward = torch.from_numpy(np.asarray(feedback["individual_reward"], np.float32))
            user_slot, visitor = self._whose
            # In an experiment, another policy may have served the page.
            served = np.where(feedback["visitor"][:, None] >= 0, visitor, -1)
            echo = echo_of(individual_reward, chosen, page, self.layout)
            self._memory.keep(user_slot, served, state, echo)

    def reset(self, done: np.ndarray) -> None:
        if self.network.memory:
            self._memory.forget(done)
