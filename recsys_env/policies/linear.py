"""Rankers by a weighted sum of what an agent sees of its options; the weights are fixed, or move with the state."""

from __future__ import annotations

import numpy as np

from ..checks import did_you_mean, shown
from ..config import WorldConfig
from ..fields import OBSERVATION
from ..vector import VectorEnv
from .ranking import Ranker


class LinearRanker(Ranker):
    """Ranks options by <w, features> with w = weights[0] + sum_i x_i weights[1 + i], x being fields of the observation.

    Args:
        weights: [1 + X, F], or [B, 1 + X, F] with weights of each copy's own.
        states: fields of the observation whose X numbers move the weights; none: the ranking is fixed.
    """

    def __init__(self, weights: np.ndarray, states: tuple[str, ...] = ()) -> None:
        self.weights, self.states = weights, states

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._columns = state_columns(envs, self.states)

    def score(self, observations: np.ndarray) -> np.ndarray:
        weights = self.weights[..., 0, :]
        if self._columns.size:
            moved = self.weights[..., 1:, :]
            weights = weights + (observations[:, self._columns, None] * moved).sum(-2)
        return (self.features @ weights[..., None])[..., 0]


def state_columns(envs: VectorEnv, states: tuple[str, ...]) -> np.ndarray:
    """Where [X] the numbers of these fields lie in an observation; those that the world does not have are left out.

    Raises:
        ValueError: no world has a field of that name.
    """
    declared = [field.name for field in OBSERVATION]
    for name in states:
        if name not in declared:
            hint = did_you_mean(name, declared)
            raise ValueError(f"{shown(name)} is no field of an observation{hint}; fields are {', '.join(declared)}")
    fields = envs.observation_fields
    return np.array([i for name in states if name in fields for i in range(fields[name].start, fields[name].stop)], int)


class Static(LinearRanker):
    """The best fixed ranking of what agents see that a search has found, the same for all visitors and times.

    Its weights are the task's, `WorldConfig.static_weights` (or its role's): what a policy must beat to have used any
    state at all. `python -m recsys_env tune` finds them.
    """

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 0)))

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        found = static_weights(envs.config, self.index)
        if not found:
            raise ValueError(
                "static_weights of this world are empty, so there is no policy 'static'; "
                "`python -m recsys_env tune TASK` finds them"
            )
        self.weights = np.array([[found.get(name, 0.0) for name in self.feature_names]])


def static_weights(config: WorldConfig, n: int) -> dict[str, float]:
    """What the policy `static` ranks agent n's options by: the weights of its role, else those of the task."""
    return dict(config.roles[config.role_of(n)].static_weights or config.static_weights)
