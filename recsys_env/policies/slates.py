"""The action that shows a slate, whatever kind of action a task has."""

from __future__ import annotations

import numpy as np

from ..kernels.options import list_options
from ..kernels.weights import separate
from ..vector import VectorEnv


def slate_action(envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Actions [B, ...] by which agent number `index` shows slates on the page about to be shown, and says word 0.

    Picks show them as they are. A query, the direction of the slate's mean vector, and weights, which `separate` finds,
    are heuristics: what they show may be another slate.

    Args:
        slates: [B, K] places among the candidates, or items where the agent has no candidates, best first.
        filled: [B] how many of a slate's places count; the others repeat its first.
    """
    counts = np.arange(slates.shape[1]) < filled[:, None]
    slates = np.where(counts, slates, np.where(counts[:, :1], slates[:, :1], 0))
    actions = envs.empty_actions()[:, index]
    if envs.config.action == "query":
        means = (envs.world.q[slates] * counts[..., None]).sum(1)
        norms = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
        actions[:, envs.action_fields["query"]] = np.clip(means / norms, -1.0, 1.0)  # rounding alone leads beyond
    elif envs.config.action == "weights":
        actions[:, envs.action_fields["weights"]] = _weights(envs, index, slates, filled)
    elif envs.config.slots == 1:
        actions[:] = slates[:, 0] * max(envs.config.messages, 1)
    else:
        actions[:, : slates.shape[1]] = slates
    return actions


def _weights(envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Weights [B, F] that rank slates first, by what the agent sees of its candidates."""
    size = envs.num_envs, envs.shape.candidates
    items, features = np.zeros(size, np.int64), np.zeros((*size, envs.shape.features), np.float32)
    weights = np.zeros((envs.num_envs, envs.shape.features))
    if "candidates" not in envs.config.roles[envs.config.role_of(index)].hidden:
        list_options(envs.world, envs.arrays, index, items, features)
        separate(features, items, slates, filled, np.zeros(2 * sum(features.shape[1:])), weights)
    return weights
