"""Feed-forward networks as policies: one network for each agent, which needs nothing but PyTorch.

A network turns an observation into scores of actions, or into a query or weights. The folder says which layers it is
made of. The learners of BenchMARL leave such folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from ..batch.base import AnyBatch, CpuBatch
from ..batch.tensors import EXCLUDED, one_thread
from ..files import FileError
from ..policies import Policy
from .folders import WEIGHTS, check_items, check_spaces, network_of, read_facts, write_policy
from .weights import load_weights, to_arrays

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

LAYERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {  # name -> class, and the sizes that it is made with
    "Linear": (nn.Linear, ("in_features", "out_features")),
    "LayerNorm": (nn.LayerNorm, ("normalized_shape",)),
    "Tanh": (nn.Tanh, ()),
    "ReLU": (nn.ReLU, ()),
    "Hardtanh": (nn.Hardtanh, ()),
}


class NetworkPolicy(Policy):
    """Plays the action with the highest output, or the mean vector, of the bound agent's network, from a folder of
    `save`.

    An agent that was not trained takes the network of the first of its role.
    """

    deterministic = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = read_facts(folder, {"networks": {str: [{str: (int, str)}]}})
        self._actors = {agent: _build(folder / WEIGHTS, layers) for agent, layers in self.facts["networks"].items()}
        load_weights(folder, self._actors)

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        check_spaces(self.folder, self.facts, envs)
        check_items(self, self.folder, self.facts)
        self._actor, self._space = network_of(self.folder, self._actors, agent), envs.action_space
        self._check_sizes(envs)

    @torch.no_grad()
    def _check_sizes(self, envs: CpuBatch) -> None:
        actions = self._space
        try:
            found = self._actor(torch.zeros(1, envs.layout.size)).shape[1]
        except RuntimeError:  # the first layer has another size
            found = None
        if found != (actions.shape[0] if isinstance(actions, spaces.Box) else spaces.flatdim(actions)):
            raise ValueError(f"{self.folder} has a network whose sizes do not match its observations and actions")

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        output: torch.Tensor = self._actor(torch.from_numpy(np.ascontiguousarray(observations)))
        if isinstance(self._space, spaces.Box):
            return output.numpy()
        if mask is not None:
            output = output.masked_fill(torch.from_numpy(np.ascontiguousarray(mask)) == 0, EXCLUDED)
        if isinstance(self._space, spaces.MultiDiscrete):
            slots = output.split(self._space.nvec.tolist(), 1)
            return torch.stack([slot.argmax(1) for slot in slots], 1).numpy()
        return output.argmax(1).numpy()


def save(folder: Path, envs: CpuBatch, actors: Mapping[str, nn.Module]) -> None:
    """Write actors by agent, each a sequence of `LAYERS`, as a policy's folder."""
    networks = {agent: list(map(_described, net.children())) for agent, net in actors.items()}
    write_policy(folder, "networks", envs, to_arrays(actors), networks=networks)


def _described(layer: nn.Module) -> dict[str, Any]:
    name = type(layer).__name__
    if name not in LAYERS:
        raise ValueError(f"a layer of {name} cannot be stored; layers are {', '.join(LAYERS)}")
    names = LAYERS[name][1]  # in the order of the weights' axes, the last first
    shape: Any = layer.weight.shape if names else ()
    return {"layer": name, **dict(zip(names, reversed(shape), strict=True))}


def _build(path: Path, layers: list[dict[str, Any]]) -> nn.Sequential:
    """Make an untrained network of these layers, without drawing random numbers."""
    net = nn.Sequential()
    with torch.device("meta"):  # allocates no memory, whatever sizes a file claims
        for described in layers:
            name, sizes = described.get("layer"), {size: value for size, value in described.items() if size != "layer"}
            kind, wanted = LAYERS.get(name, (nn.Identity, None))  # type: ignore[arg-type]
            positive = all(isinstance(size, int) and size > 0 for size in sizes.values())
            if wanted is None or sizes.keys() != set(wanted) or not positive:
                raise FileError(f"{path} does not hold a network: {described} is no layer")
            net.append(kind(**sizes))
    return net
