"""The action that shows a slate, whatever kind of action a task has."""

from __future__ import annotations

import numpy as np

from ..kernels.options import list_options
from ..kernels.weights import separate
from ..spaces import beside_picks
from ..vector import VectorEnv


def slate_action(
    envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray, levels: np.ndarray | None = None
) -> np.ndarray:
    """Actions [B, ...] by which agent number `index` shows slates on the page about to be shown, and says word 0.

    Picks show them as they are. A query, the direction of the slate's mean vector, and weights, which `separate` finds,
    are heuristics: what they show may be another slate.

    Args:
        slates: [B, K] places among the candidates, or items where the agent has no candidates, best first.
        filled: [B] how many of a slate's places count; the others repeat its first.
        levels: [B] of the agent's prices, where agents set prices; None = the level nearest to the list's prices.
    """
    config = envs.config
    counts = np.arange(slates.shape[1]) < filled[:, None]
    slates = np.where(counts, slates, np.where(counts[:, :1], slates[:, :1], 0))
    if levels is None:
        levels = np.full(len(slates), config.offer.list_level)
    if not config.continuous:
        return _picks(envs, slates, levels)
    actions = envs.empty_actions()[:, index]
    if "price" in envs.action_fields:
        actions[:, envs.action_fields["price"]] = place_of(envs, levels[:, None])
    if config.action == "query":
        means = (envs.world.q[slates] * counts[..., None]).sum(1)
        norms = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
        actions[:, envs.action_fields["query"]] = np.clip(means / norms, -1.0, 1.0)  # rounding alone leads beyond
    elif filled.any():
        actions[:, envs.action_fields["weights"]] = _weights(envs, index, slates, filled)
    return actions


def first_candidates(envs: VectorEnv, index: int) -> np.ndarray:
    """Actions [B, ...] by which agent number `index` shows its first candidates, as retrieval gave them."""
    slates = np.tile(np.arange(envs.shape.slots), (envs.num_envs, 1))
    if not envs.shape.candidates:
        slates = np.minimum(slates, envs.shape.items - 1)
    return slate_action(envs, index, slates, np.full(envs.num_envs, envs.shape.slots))


def place_of(envs: VectorEnv, levels: np.ndarray) -> np.ndarray:
    """Where levels of prices lie in [-1, 1], as continuous actions and observations tell them."""
    return 2.0 * levels / (envs.shape.levels - 1) - 1.0


def level_at(envs: VectorEnv, places: np.ndarray) -> np.ndarray:
    """The levels of prices that are nearest to places in [-1, 1]."""
    return np.rint((places + 1.0) / 2.0 * (envs.shape.levels - 1)).astype(np.int64)


def say(envs: VectorEnv, actions: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The actions of `slate_action`, with words [B] said where agents talk."""
    if envs.shape.vocabulary == 0:
        return actions
    if envs.config.continuous:
        actions[:, envs.action_fields["message"]] = np.arange(envs.shape.vocabulary) == words[:, None]
    elif envs.shape.slots == 1:
        actions = actions + words
    else:
        actions[:, -1] = words
    return actions


def _picks(envs: VectorEnv, slates: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Discrete actions, as `spaces.action_space` lays them out."""
    beside = np.stack((levels, np.zeros_like(levels)), 1)[:, [envs.shape.levels > 0, envs.shape.vocabulary > 0]]
    if envs.shape.slots > 1:
        return np.concatenate((slates, beside), axis=1)
    action: np.ndarray = slates[:, 0]
    for value, size in zip(beside.T, beside_picks(envs.shape), strict=True):
        action = action * size + value
    return action


def _weights(envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Weights [B, F] that rank slates first, by what the agent sees of its candidates."""
    size = envs.num_envs, envs.shape.candidates
    items, features = np.zeros(size, np.int64), np.zeros((*size, envs.shape.features), np.float32)
    weights = np.zeros((envs.num_envs, envs.shape.features))
    if "candidates" not in envs.config.hidden(index):
        list_options(envs.world, envs.arrays, index, items, features)
        separate(features, items, slates, filled, np.zeros(2 * sum(features.shape[1:])), weights)
    return weights
