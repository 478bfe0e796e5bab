"""Policies of stable-baselines3 and sb3-contrib in folders: how their networks are made, stored and loaded.

The libraries' own files are not used: they are pickled, and loading them would execute what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.adapters.sb3 import SB3Policy
from recsys_env.batch import AnyBatch, CpuBatch
from recsys_env.files import FileError
from recsys_env.policies import Policy
from recsys_env.tensors import one_thread

from .checkpoints import WEIGHTS, check_spaces, read_facts, write_policy
from .history_network import HistoryExtractor, HistoryPolicy
from .slate_network import SlatePolicy, slate_kwargs
from .weights import load_weights, to_arrays

# isort: split
# After ours, whose error says what to install if these are missing.
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device

# ------------------------------------------------------------------------------------------------ networks

NETWORKS: dict[str, tuple[type, tuple[str, ...]]] = {  # name -> class, and the settings that it is made with
    "mlp": (ActorCriticPolicy, ()),
    "maskable": (MaskableActorCriticPolicy, ()),
    "recurrent": (RecurrentActorCriticPolicy, ("lstm_hidden_size",)),
    "slate": (SlatePolicy, ("start", "candidates", "features")),
}
_HISTORY = ("length", "page", "layers", "width", "heads", "amp")
_SIZES = "its settings and sizes do not go together"


@dataclass(frozen=True)
class Network:
    """How an actor-critic is made, which is stored beside its weights.

    Attributes:
        network: one of `NETWORKS`.
        settings: what it is made with.
        history: of a `HistoryExtractor`, if it has one.
    """

    network: str
    settings: dict[str, int] = field(default_factory=dict)
    history: dict[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"network": self.network, "settings": self.settings, "history": self.history}

    def policy_kwargs(self, compiled: bool = False) -> dict[str, Any]:
        """Arguments of the class.

        Args:
            compiled: `torch.compile` for the transformer.
        """
        arguments: dict[str, Any] = dict(self.settings)
        if self.history is not None:
            extractor = {**self.history, "compiled": compiled}
            arguments |= {"features_extractor_class": HistoryExtractor, "features_extractor_kwargs": extractor}
        return arguments


def ranking_network(envs: CpuBatch) -> Network:
    """One that ranks candidates where actions are picks of these alone; a plain one elsewhere."""
    slate = slate_kwargs(envs)
    return Network("mlp") if slate is None else Network("slate", slate)


# ------------------------------------------------------------------------------------------------ policies


class Trained(SB3Policy):
    """A stored policy, which sees and does what it was trained to."""

    folder: Path
    facts: dict[str, Any]

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        check_spaces(self.folder, self.facts, envs)
        super().bind(envs, agent, seed)


class TrainedWithHistory(Trained, HistoryPolicy):
    """The same with a `HistoryExtractor`."""


class TrainedWithMemory(Trained):
    """The same with a recurrent network, which runs on over ticks until the episode ends."""

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._memory, self._begins = None, np.ones(envs.num_envs, np.bool_)

    @one_thread()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        actions, self._memory = self.model.predict(observations, self._memory, self._begins, self.deterministic)
        self._begins = np.zeros(len(observations), np.bool_)
        return actions

    def reset(self, done: np.ndarray) -> None:
        self._begins = self._begins | done


# ------------------------------------------------------------------------------------------------ folders

_FACTS = {
    "network": str,
    "settings": {str: int},
    "history": (None, {str: (int, bool)}),
    "sees": int,  # width of the observations
    "acts": {"space": str, "sizes": [int]},
}


def save(folder: Path, envs: CpuBatch, network: Network, model: Any) -> None:
    """Write a policy's folder.

    Args:
        envs: what was trained on.
        network: how the model's was made.
        model: of the library.
    """
    sees, acts = int(model.observation_space.shape[0]), _described(model.action_space)
    weights = to_arrays({"policy": model.policy})
    write_policy(folder, "sb3", envs, weights, **network.facts(), sees=sees, acts=acts)


def load(folder: Path) -> Policy:
    """The policy that `save` wrote.

    Raises:
        FileError: a file is missing, damaged or of another kind.
    """
    facts = read_facts(folder, _FACTS)
    network = _build(folder / WEIGHTS, facts)
    load_weights(folder, {"policy": network})
    _try_out(folder / WEIGHTS, network)
    network = network.to(get_device("auto"))
    policy: Trained
    if isinstance(network, RecurrentActorCriticPolicy):
        policy = TrainedWithMemory(network)
    elif isinstance(network.features_extractor, HistoryExtractor):
        policy = TrainedWithHistory(network, network.features_extractor.length)
    else:
        policy = Trained(network)
    policy.folder, policy.facts = folder, facts
    return policy


def _build(path: Path, facts: dict[str, Any]) -> Any:
    """An untrained network as the facts describe it."""
    if facts["network"] not in NETWORKS:
        raise FileError(f"{path} holds a network {facts['network']!r}; networks are {', '.join(NETWORKS)}")
    kind, names = NETWORKS[facts["network"]]
    history = facts["history"]
    if facts["settings"].keys() != set(names) or (history is not None and history.keys() != set(_HISTORY)):
        raise FileError(f"{path} does not hold the settings of a network {facts['network']!r}")
    network = Network(facts["network"], facts["settings"], history)
    try:
        sees, acts = spaces.Box(-np.inf, np.inf, (facts["sees"],)), _action_space(**facts["acts"])
        if str(acts) == facts["actions"]:
            return kind(sees, acts, lambda remaining: 0.0, **network.policy_kwargs())
    except Exception:  # the libraries raise many kinds over sizes that do not go together or are too large
        pass
    raise FileError(f"{path} does not hold a network {facts['network']!r}: {_SIZES}")


@one_thread()
def _try_out(path: Path, network: Any) -> None:
    """Let a network act once, so that nobody meets later what is wrong with its sizes."""
    try:
        network.predict(np.zeros((1, *network.observation_space.shape), np.float32), deterministic=True)
    except Exception:  # as above
        raise FileError(f"{path} does not hold a network that can act: {_SIZES}") from None


def _described(space: Any) -> dict[str, Any]:
    """An action space as JSON."""
    if isinstance(space, spaces.Discrete):
        return {"space": "Discrete", "sizes": [int(space.n)]}
    if isinstance(space, spaces.MultiDiscrete):
        return {"space": "MultiDiscrete", "sizes": space.nvec.tolist()}
    return {"space": "Box", "sizes": list(space.shape)}


def _action_space(space: str, sizes: list[int]) -> spaces.Space[Any]:
    """What `_described` described; queries lie between -1 and 1."""
    if space == "Discrete":
        return spaces.Discrete(sizes[0])
    return spaces.MultiDiscrete(sizes) if space == "MultiDiscrete" else spaces.Box(-1.0, 1.0, tuple(sizes))
