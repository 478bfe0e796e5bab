"""Actor-critic networks of stable-baselines3 as policies: how they are made, stored and loaded.

The library's own files are not used: they are pickled, and loading one executes what it holds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..adapters.sb3 import SB3Policy
from ..batch.base import AnyBatch, CpuBatch
from ..batch.observations import ObservationLayout
from ..batch.tensors import one_thread
from ..files import FileError
from ..policies import Policy
from .folders import WEIGHTS, check_items, check_spaces, read_facts, write_policy
from .slates import SlatePolicy, slate_kwargs
from .weights import load_weights, to_arrays

# isort: split
# After ours, whose error says what to install if these are missing.
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device

# ------------------------------------------------------------------------------------------------ networks

NETWORKS: dict[str, type] = {"mlp": ActorCriticPolicy, "slate": SlatePolicy}  # the second needs a layout
_SIZES = "its settings and sizes do not match"


@dataclass(frozen=True)
class Network:
    """How an actor-critic network is made; the folder stores it beside the weights.

    Attributes:
        network: one of `NETWORKS`.
        layout: of the observations, where the network needs it.
    """

    network: str
    layout: ObservationLayout | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of its class, beside the spaces."""
        return {} if self.layout is None else {"layout": self.layout}


def ranking_network(envs: CpuBatch) -> Network:
    """A network that ranks candidates where actions are picks of candidates alone, and a plain one elsewhere."""
    slate = slate_kwargs(envs)
    return Network("mlp") if slate is None else Network("slate", slate["layout"])


# ------------------------------------------------------------------------------------------------ policies


class TrainedSB3Policy(SB3Policy):
    """The stored policy of a folder; `bind` refuses a task with other observations or actions."""

    def __init__(self, model: Any, folder: Path, facts: dict[str, Any]) -> None:
        super().__init__(model)
        self.folder, self.facts = folder, facts

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        check_spaces(self.folder, self.facts, envs)
        super().bind(envs, agent, seed)
        check_items(self, self.folder, self.facts)


# ------------------------------------------------------------------------------------------------ folders

_FACTS = {
    "network": str,
    "layout": (None, {"size": int, "context": [int], "parts": {str: [int]}, "items": int}),
    "sees": int,  # width of the observations
    "acts": {"space": str, "sizes": [int]},
}


def save(folder: Path, envs: CpuBatch, network: Network, model: Any) -> None:
    """Write a policy's folder.

    Args:
        envs: batch that was trained on.
        network: how the model's network was made.
        model: of stable-baselines3.
    """
    sees, acts = int(model.observation_space.shape[0]), _described(model.action_space)
    weights = to_arrays({"policy": model.policy})
    made = {"network": network.network, "layout": None if network.layout is None else asdict(network.layout)}
    write_policy(folder, "sb3", envs, weights, **made, sees=sees, acts=acts)


def load(folder: Path) -> Policy:
    """Load the policy that `save` wrote."""
    facts = read_facts(folder, _FACTS)
    network = _build(folder / WEIGHTS, facts)
    load_weights(folder, {"policy": network})
    _try_out(folder / WEIGHTS, network)
    return TrainedSB3Policy(network.to(get_device("auto")), folder, facts)


def _build(path: Path, facts: dict[str, Any]) -> Any:
    """Make an untrained network as the facts describe it."""
    if facts["network"] not in NETWORKS:
        raise FileError(f"{path} holds a network {facts['network']!r}; networks are {', '.join(NETWORKS)}")
    kind, layout = NETWORKS[facts["network"]], facts["layout"]
    try:
        network = Network(facts["network"], layout and ObservationLayout(**layout))
        sees, acts = spaces.Box(-np.inf, np.inf, (facts["sees"],)), _action_space(**facts["acts"])
        if str(acts) == facts["actions"]:
            return kind(sees, acts, lambda remaining: 0.0, **network.settings)
    except Exception:  # the libraries raise many kinds of errors if sizes do not match or are too large
        pass
    raise FileError(f"{path} does not hold a network {facts['network']!r}: {_SIZES}")


@one_thread()
def _try_out(path: Path, network: Any) -> None:
    """Let a network act once, so that wrong sizes are found when it is loaded."""
    try:
        network.predict(np.zeros((1, *network.observation_space.shape), np.float32), deterministic=True)
    except Exception:  # as above
        raise FileError(f"{path} does not hold a network that can act: {_SIZES}") from None


def _described(space: Any) -> dict[str, Any]:
    """Describe an action space as JSON."""
    if isinstance(space, spaces.Discrete):
        return {"space": "Discrete", "sizes": [int(space.n)]}
    if isinstance(space, spaces.MultiDiscrete):
        return {"space": "MultiDiscrete", "sizes": space.nvec.tolist()}
    return {"space": "Box", "sizes": list(space.shape)}


def _action_space(space: str, sizes: list[int]) -> spaces.Space[Any]:
    """Make the action space that `_described` describes; queries lie between -1 and 1."""
    if space == "Discrete":
        return spaces.Discrete(sizes[0])
    return spaces.MultiDiscrete(sizes) if space == "MultiDiscrete" else spaces.Box(-1.0, 1.0, tuple(sizes))
