"""Rankers by a weighted sum of the options' features; the weights are fixed or depend on the observed state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..batch.base import AnyBatch
from ..batch.vector import VectorEnv
from ..checks import as_numbers, check_flag, is_sequence, shown, unknown
from ..config import WorldConfig
from ..config.fields import LEVELS, OBSERVATION, Shape, ranker_weights
from ..files import FileError, checked_path, read_json, signed, write_json
from ..kernels.planners.ranking import score_options
from .compiled import Actor
from .ranking import Ranker
from .registry import CHECKPOINT
from .slates import level_of

_FIELDS = {field.name: field for field in OBSERVATION}
LATENT = ("taste", "quality", "bait", "intent", "satiation")
"""Further features that an oracle ranks by: taste match <p, q>, quality, clickbait, [topic = intent], satiation."""
_SAVED = {"loader": str, "states": [str], "names": [str], "weights": {str: [[float]]}, "digest": str}


class Ranked(NamedTuple):
    """Arrays of a ranker in a rollout."""

    items: np.ndarray  # [B, C] as of `Ranker`
    features: np.ndarray  # [B, C, F] likewise
    columns: np.ndarray  # [X] of the observation, that change the weights
    weights: np.ndarray  # [1 or B, 1 + X, F]
    unseen: np.ndarray  # the features that the agent does not see
    scores: np.ndarray  # [B, C]
    best: np.ndarray  # [K] scores of the picks
    picks: np.ndarray  # [K]


class LinearRanker(Ranker):
    """Ranks options by <w, features> with w = weights[0] + sum_i x_i weights[1 + i], where x are observed numbers.

    Where agents set prices or bid, the last number of w is not a feature weight but the agent's level in log m, from -1
    (lowest) to 1 (highest). It is rounded to the nearest level, and clipped to the lowest and highest.

    Args:
        weights: [1 + X, W], or [B, 1 + X, W] with separate weights for each copy; W as in `fields.ranker_weights`.
        states: fields of the observation whose X numbers change the weights; none: the ranking is fixed.
        latent: whether it is an oracle. Then W are those of `weight_names`, and the last of X is the visitor's true
            satisfaction, which moves no price.

    Raises:
        TypeError, ValueError: the weights have another shape or are not finite numbers, or no world has such a field.
    """

    deterministic = True

    def __init__(self, weights: np.ndarray, states: tuple[str, ...] = (), latent: bool = False) -> None:
        weights = as_numbers("weights", weights)
        if weights.ndim not in (2, 3):
            raise ValueError(
                f"weights = {shown(weights)} of shape {list(weights.shape)} must be [1 + X, W] or [B, 1 + X, W]"
            )
        check_states(states)
        check_flag("latent", latent)
        self.weights, self.states, self.latent = weights, states, latent

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._columns = state_columns(envs, self.states, self.index)

    @property
    def compiled(self) -> bool:  # type: ignore[override]
        own = type(self) in (LinearRanker, SavedRanker, Static) and not self.exploration
        known = not self.latent and not self.envs.config.continuous and not self.envs.shape.levels
        return own and known

    def actor(self, ticks: int) -> Actor:
        from ..kernels.rollout import rank

        slots = self.envs.shape.slots
        rows = self._rows(len(self.feature_names), self._columns.size)
        arrays = (self.items, self.features, self._columns, rows, np.array(self._unseen, np.int64))
        return Actor(rank, Ranked(*arrays, np.zeros(self.items.shape), np.zeros(slots), np.zeros(slots, np.int64)))

    def score(self, observations: np.ndarray) -> np.ndarray:
        columns, features, scores = self._columns, self.features, np.zeros(self.items.shape)
        if self.latent:
            user = self.envs.latent_users()
            columns = np.append(columns, observations.shape[1])
            observations = np.column_stack([observations, user["satisfaction"]])
            features = np.concatenate([features, latent_features(self.envs, self.items, user)], axis=-1)
        score_options(observations, columns, self._rows(features.shape[-1], columns.size), features, scores)
        return scores

    def _rows(self, features: int, states: int) -> np.ndarray:
        """Weights of the features [1 or B, 1 + X, F], without the one of the level of prices or bids.

        Raises:
            ValueError: the weights are for other features, states or copies than those of the batch.
        """
        *copies, count, width = self.weights.shape
        wide = features + (self.envs.shape.levels > 0)
        if width != wide or (states and count != 1 + states) or copies not in ([], [1], [self.envs.num_envs]):
            wanted = f"[{1 + states}, {wide}] or [{self.envs.num_envs}, {1 + states}, {wide}]"
            raise ValueError(f"weights of shape {list(self.weights.shape)} must have the shape {wanted} in this batch")
        rows = self.weights[..., :features]
        return np.ascontiguousarray(rows.reshape(-1, *rows.shape[-2:]))

    def levels(self, observations: np.ndarray) -> np.ndarray | None:
        if not self.envs.shape.levels:
            return None
        positions = self._moved(observations, slice(-1, None))[..., 0]
        return np.broadcast_to(level_of(self.envs, positions.clip(-1.0, 1.0)), len(observations))

    def _moved(self, observations: np.ndarray, part: slice) -> np.ndarray:
        """Return this part of w: [W], or [B, W] if it differs between copies."""
        weights = self.weights[..., 0, part]
        if self._columns.size:
            moves = self.weights[..., 1 : 1 + self._columns.size, part]
            weights = weights + (observations[:, self._columns, None] * moves).sum(-2)
        return weights


def weight_names(config: WorldConfig, shape: Shape, latent: bool) -> tuple[str, ...]:
    """Return the names of the W weights of a ranker: those of `fields.ranker_weights`, with `LATENT` after the features
    if it is an oracle."""
    names = ranker_weights(config, shape)
    features = [name for name in names if name not in LEVELS.values()]
    return (*features, *(LATENT if latent else ()), *names[len(features) :])


def latent_features(envs: VectorEnv, items: np.ndarray, user: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `LATENT` [B, C, 5] of options.

    Args:
        items: [B, C] item ids, -1 = none.
        user: as of `VectorEnv.latent_users`, of the visitors of the page about to be shown.
    """
    there = np.maximum(items, 0)
    of, copies = envs.world.items[there], np.arange(len(items))[:, None]
    matches = np.einsum("bd,bcd->bc", user["taste"], envs.world.item_vectors[there])
    wanted = of["topic"] == envs.next_page["intent"][:, None]
    satiation = user["satiation"][copies, of["topic"]]
    return np.stack([matches, of["quality"], of["bait"], wanted, satiation], axis=-1).astype(np.float32)


def state_columns(envs: VectorEnv, states: tuple[str, ...], index: int = 0) -> np.ndarray:
    """Return the columns [X] of these fields in an observation; fields that the world does not have are left out.

    If a field has numbers for each agent, those of agent number `index` come first, followed by those of the next
    agents. Agents that share weights therefore use them in the same way.

    Raises:
        ValueError: no world has a field of that name.
    """
    check_states(states)
    columns: list[int] = []
    for name in filter(envs.observation_fields.__contains__, states):
        part = envs.observation_fields[name]
        numbers = np.arange(part.start, part.stop)
        if _FIELDS[name].axes[:1] == ("agents",):
            numbers = np.roll(numbers, -index * (numbers.size // envs.num_agents))
        columns.extend(numbers)
    return np.array(columns, int)


def check_states(states: tuple[str, ...]) -> None:
    """Raise `TypeError` unless these are names, and `ValueError` if no world's observation has such a field."""
    if not is_sequence(states):
        raise TypeError(f"states = {shown(states)} must be names of fields of the observation")
    for name in states:
        if not isinstance(name, str) or name not in _FIELDS:
            raise ValueError(unknown("field", name, _FIELDS))


class SavedRanker(LinearRanker):
    """A ranker loaded from a folder of `save_ranker`; it plays any agent of a world with the same roles and features.

    Raises:
        FileError: the folder's file is damaged, was altered or has other contents.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CHECKPOINT
        held = read_json(self._path, _SAVED, "ranker")
        if signed(held) != held:
            raise FileError(f"{self._path} was altered: its digest does not match its content")
        super().__init__(np.zeros((1, 0)), tuple(held["states"]), set(LATENT) <= set(held["names"]))
        try:
            check_states(self.states)
        except ValueError as error:
            raise FileError(f"{self._path}: {error}") from None
        self._names, self._of_role = held["names"], held["weights"]

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        names = list(weight_names(envs.config, envs.shape, self.latent))
        role = envs.config.role_of(self.index).name
        if names != self._names or role not in self._of_role:
            raise FileError(
                f"{self._path} has weights of {', '.join(self._names)} for {', '.join(self._of_role)}; "
                f"here {agent} is a {role} with {', '.join(names)}"
            )
        rows, count = self._of_role[role], 1 + self._columns.size + self.latent
        if {len(row) for row in rows} != {len(names)} or len(rows) != count:
            raise FileError(f"{self._path} must have {count} rows of {len(names)} weights for {role}")
        self.weights = np.array(rows)


def save_ranker(
    folder: Path, names: tuple[str, ...], weights: Mapping[str, np.ndarray], states: tuple[str, ...] = ()
) -> None:
    """Save a ranker as a folder that can be used as a policy by its path (`SavedRanker`); loading executes no code.

    Args:
        names: names of the W weights, as in `weight_names`.
        weights: role -> [1 + X, W], as for `LinearRanker`.
        states: fields of the observation that change the weights.

    Raises:
        TypeError, ValueError: `folder` is not a path.
    """
    folder = checked_path("folder", folder)
    folder.mkdir(parents=True, exist_ok=True)
    of_role = {role: of.round(3).tolist() for role, of in weights.items()}
    content = {"loader": "ranker", "states": list(states), "names": list(names), "weights": of_role}
    write_json(folder / CHECKPOINT, signed(content))


class Static(LinearRanker):
    """Ranks by the best fixed feature weights that a search has found, the same for all visitors and times.

    The weights are those of the task or role (`static_weights` in the config); `python -m recsys_env tune` finds them.
    A policy must beat this one to show that it uses any state.
    """

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 0)))

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        found = static_weights(envs.config, self.index)
        if not found:
            raise ValueError(
                "static_weights of this world are empty, so there is no policy 'static'; "
                "`python -m recsys_env tune --task TASK` finds them"
            )
        names = ranker_weights(envs.config, envs.shape)
        if not set(found) & set(names):
            raise ValueError(
                f"static_weights of this world are of {', '.join(found)}, none of which {agent} has here; "
                f"it has {', '.join(names)}"
            )
        self.weights = np.array([[found.get(name, 0.0) for name in names]])


def static_weights(config: WorldConfig, n: int) -> dict[str, float]:
    """Return the feature weights of the policy `static` for agent n: those of its role, or else of the task."""
    return dict(config.role_of(n).static_weights or config.static_weights)
