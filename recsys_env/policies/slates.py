"""Actions that show a given slate, for every kind of action."""

from __future__ import annotations

import numpy as np

from ..batch.spaces import beside_picks, fused, parts_of
from ..batch.vector import VectorEnv
from ..kernels.planners.options import list_options
from ..kernels.planners.weights import separate


def slate_action(
    envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray, levels: np.ndarray | None = None
) -> np.ndarray:
    """Return actions [B, ...] by which agent number `index` shows slates on the next page and sends word 0.

    Discrete actions show exactly these slates. A query is the direction of the slate's mean vector, and weights are
    found by `separate`. These two are heuristics: they may show another slate.

    Args:
        slates: [B, K] positions of candidates, or item ids if the agent has no candidates, best first.
        filled: [B] number of entries of each slate that count; the others repeat the first one.
        levels: [B] the agent's levels of prices or bids, where agents set them; None = the level that is nearest to the
            list prices, or to truthful bids.
    """
    config = envs.config
    counts = np.arange(slates.shape[1]) < filled[:, None]
    slates = np.where(counts, slates, np.where(counts[:, :1], slates[:, :1], 0))
    if levels is None:
        levels = np.full(len(slates), config.offer.list_level)
    if not config.continuous:
        return _picks(envs, slates, levels)
    actions = envs.empty_actions()[:, index]
    if envs.shape.levels:
        actions[:, envs.action_fields[config.offer.kind]] = position_of(envs, levels[:, None])
    if config.action == "query":
        means = (envs.world.item_vectors[slates] * counts[..., None]).sum(1)
        norms = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
        actions[:, envs.action_fields["query"]] = np.clip(means / norms, -1.0, 1.0)  # rounding alone leads beyond
    elif filled.any():
        actions[:, envs.action_fields["weights"]] = _weights(envs, index, slates, filled)
    return actions


def first_candidates(envs: VectorEnv, index: int) -> np.ndarray:
    """Return actions [B, ...] by which agent number `index` shows its first candidates, in the order of retrieval."""
    slates = np.tile(np.arange(envs.shape.slots), (envs.num_envs, 1))
    if not envs.shape.candidates:
        slates = np.minimum(slates, envs.shape.items - 1)
    return slate_action(envs, index, slates, np.full(envs.num_envs, envs.shape.slots))


def position_of(envs: VectorEnv, levels: np.ndarray) -> np.ndarray:
    """Convert levels of prices or bids to numbers in [-1, 1], as in continuous actions and observations."""
    from ..kernels.equations import in_python, position_of_level

    positions: np.ndarray = in_python(position_of_level)(envs.shape.levels, levels)
    return positions


def level_of(envs: VectorEnv, positions: np.ndarray) -> np.ndarray:
    """Convert numbers in [-1, 1] to the nearest levels of prices or bids."""
    from ..kernels.equations import in_python, level_of_position

    return np.rint(in_python(level_of_position)(envs.shape.levels, positions)).astype(np.int64)


def say(envs: VectorEnv, actions: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Add words [B] to the actions of `slate_action`, where agents talk."""
    if envs.shape.vocabulary == 0:
        return actions
    if envs.config.continuous:
        actions[:, envs.action_fields["message"]] = np.arange(envs.shape.vocabulary) == words[:, None]
        return actions
    beside = beside_picks(envs.shape)
    parts = parts_of(actions, envs.shape.slots, beside)
    parts[:, -1] = words
    return fused(parts, beside)  # type: ignore[no-any-return]


def heard(envs: VectorEnv, observations: np.ndarray) -> np.ndarray:
    """Return the words [B, N] that the other agents sent at the visitor's last page, -1 = none, as an agent observes
    them in observations [B, O]."""
    words = envs.field(observations, "messages").reshape(len(observations), envs.num_agents, -1)
    return np.where(words.any(2), words.argmax(2), -1)


def _picks(envs: VectorEnv, slates: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return discrete actions in the layout of `spaces.action_space`."""
    beside = np.stack((levels, np.zeros_like(levels)), 1)[:, [envs.shape.levels > 0, envs.shape.vocabulary > 0]]
    return fused(np.concatenate((slates, beside), axis=1), beside_picks(envs.shape))  # type: ignore[no-any-return]


def _weights(envs: VectorEnv, index: int, slates: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Return weights [B, F] that rank the slates first, by the features of the agent's candidates."""
    size = envs.num_envs, envs.shape.candidates
    items, features = np.zeros(size, np.int64), np.zeros((*size, envs.shape.features), np.float32)
    weights = np.zeros((envs.num_envs, envs.shape.features))
    if "candidates" not in envs.config.hidden(index):
        list_options(envs.world, envs.arrays, index, items, features)
        filled = np.ascontiguousarray(filled)  # for other layouts it would be compiled once more
        separate(features, items, slates, filled, np.zeros(2 * sum(features.shape[1:])), weights)
    return weights
