"""Trained actors that need nothing but PyTorch: what the trainers of skrl and BenchMARL leave behind.

A folder holds `actors.pt`, one feed-forward network for each agent (agents may share one), and `policy.json`. A network turns an
observation into scores of actions, or into a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gymnasium import spaces

from recsys_env import VectorEnv
from recsys_env.policies import Policy

from .checkpoints import bound_spaces_fit, write_policy

try:
    import torch
    from torch import nn
except ImportError as error:
    raise ImportError('trained networks need torch: pip install "recsys_env[train]"') from error

from recsys_env.adapters.tensors import one_thread  # needs torch

FILE = "actors.pt"
_EXCLUDED = -1e9


class NetworkPolicy(Policy):
    """The most probable action, the action of greatest value, or the mean query of the bound agent's network.

    Args:
        folder: where `save` wrote to. An agent that was not trained takes the network of the first of its role.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._actors: dict[str, nn.Module] = torch.load(folder / FILE, weights_only=False)

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        bound_spaces_fit(self.folder, envs)
        role = agent.rpartition("_")[0]
        fitting = [name for name in self._actors if name == agent] + [name for name in self._actors if name.rpartition("_")[0] == role]
        if not fitting:
            raise ValueError(f"{self.folder} has networks for {', '.join(self._actors)}, none for {agent!r}")
        self._actor, self._space = self._actors[fitting[0]], envs.action_space

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        output = self._actor(torch.from_numpy(np.ascontiguousarray(observations)))
        if isinstance(self._space, spaces.Box):
            return output.numpy()  # type: ignore[no-any-return]
        if mask is not None:
            output = output.masked_fill(torch.from_numpy(np.ascontiguousarray(mask)) == 0, _EXCLUDED)
        if isinstance(self._space, spaces.MultiDiscrete):
            return torch.stack([part.argmax(1) for part in output.split(self._space.nvec.tolist(), 1)], 1).numpy()  # type: ignore[no-any-return]
        return output.argmax(1).numpy()  # type: ignore[no-any-return]


def save(folder: Path, envs: VectorEnv, actors: Mapping[str, nn.Module]) -> None:
    """Write actors by agent, on the CPU, as a policy's folder."""
    torch.save({agent: actor.to("cpu") for agent, actor in actors.items()}, folder / FILE)
    write_policy(folder, "baselines.networks:NetworkPolicy", envs)
