"""What agents see is declared once: the declarations say what is there, and a new field is one of them and the line
that writes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import comparison
import numpy as np
import plain_game
import pytest

from recsys_env import TASKS, VectorEnv, WorldConfig, vector_env
from recsys_env.batch.observations import unsquashed
from recsys_env.config.fields import (
    CANDIDATE_FEATURES,
    HIDEABLE,
    HISTORY,
    OBSERVATION,
    STATE,
    Field,
    check_features,
    field_slices,
    span,
    unseen_features,
)
from recsys_env.policies.ranking import Ranker
from recsys_env.world.arrays import Report, allocate_report, zeros

ROUNDING = 1e-6
TABLES = {"observation": OBSERVATION, "features": CANDIDATE_FEATURES, "state": STATE}


@pytest.mark.parametrize("table", TABLES)
def test_declarations_are_whole(table: str) -> None:
    fields = TABLES[table]
    assert len({field.name for field in fields}) == len(fields)
    assert all(field.meaning and field.low < field.high for field in fields)
    assert all(field.low >= -1 and field.high <= 1 for field in fields)


def test_a_field_of_the_latent_visitor_is_neither_hideable_nor_private() -> None:
    assert not any(field.latent and (field.hideable or field.private) for field in OBSERVATION)
    assert {f"latent_{name}" for name in ("taste", "trust", "wallet")} <= {f.name for f in STATE}
    assert "profile" in HIDEABLE
    assert "is_active" not in HIDEABLE


def played(task: str, **overrides: Any) -> Iterator[tuple[str, Field, np.ndarray]]:
    """(table, declaration, numbers) of all that a task shows in some ticks with random actions."""
    envs, rng = vector_env(task, 16, horizon=120, **overrides), np.random.default_rng(0)
    sizes = getattr(envs.action_space, "nvec", getattr(envs.action_space, "n", None))
    pages, states = [envs.reset(seed=0)[0].copy()], [envs.state()]
    for _ in range(119):
        pages.append(envs.step(rng.integers(0, sizes, envs.empty_actions().shape))[0].copy())
        states.append(envs.state())
    seen, state = np.array(pages), np.array(states)
    for name, place in envs.observation_fields.items():
        yield "observation", declaration("observation", name), seen[..., place]
    for name, place in envs.state_fields.items():
        yield "state", declaration("state", name), state[..., place]
    if envs.shape.candidates:
        values = seen[..., envs.observation_fields["candidates"]].reshape(-1, envs.shape.features)
        for i, name in enumerate(envs.candidate_features):
            yield "features", declaration("features", name), values[:, i]


def declaration(table: str, name: str) -> Field:
    (field,) = (field for field in TABLES[table] if field.name == name)
    return field


def test_every_number_lies_in_its_declared_range() -> None:
    """In every task; and each field, feature and part of the state says something somewhere."""
    worlds: list[tuple[str, dict[str, Any]]] = [(task, {}) for task in TASKS]
    fair = {"items": {"providers": 3}, "reward": {"fairness": 0.1}}
    worlds += [("social-v1", {"observability": "full", "users": {"wallet_init": 3.0}, "messages": 4, **fair})]
    silent = {(table, field.name) for table, fields in TABLES.items() for field in fields}
    seen = {"request": True, "recent": 3, "item_ids": "binary"}
    worlds += [("ecommerce-v1", {"users": {"request": 0.5}, "observation": seen})]
    for task, overrides in worlds:
        for table, field, values in played(task, **overrides):
            assert field.low - ROUNDING <= values.min(), (task, table, field.name)
            assert values.max() <= field.high + ROUNDING, (task, table, field.name)
            if values.any():
                silent.discard((table, field.name))
    assert not silent


@pytest.mark.parametrize("task", TASKS)
def test_fields_that_are_handled_in_one_pass_lie_side_by_side(task: str) -> None:
    envs = vector_env(task)
    where, offsets = envs.observation_fields, envs.world.params["fields"][0]
    names = [field.name for field in HISTORY if field.name in where]
    assert bool(names) == (not envs.config.ranked)  # creators have no history of visitors
    if names:
        assert span(where, HISTORY) == slice(where[names[0]].start, where[names[-1]].stop)
        assert offsets["history"] == where["clicked_mean"].start
    for name, place in where.items():
        assert offsets[name] == place.start


@pytest.mark.parametrize("half", [0.5, 5.0])
def test_a_feature_that_is_to_be_squashed_by_itself_is_refused(half: float) -> None:
    a, b = (Field(name, name, reveals="nothing") for name in "ab")
    check_features((dataclasses.replace(a, half=1.0), b))
    with pytest.raises(TypeError, match=rf"feature 'b' has half = {half:g}; allowed are 1 \("):
        check_features((a, dataclasses.replace(b, half=half)))


def test_every_feature_is_squashed_as_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    """What agents see of a candidate, unsquashed, is what the game in plain Python makes of it without squashing."""
    items = {"length_log_sd": 0.5, "life": 60, "promotion_probability": 0.3, "promotion_depth": 0.5}
    envs = vector_env("journey-v1", 8, users={"habit_size": 4}, items=items)
    names, seen, nonzero = envs.candidate_features, envs.reset(seed=0)[0], set()
    assert names == tuple(field.name for field in CANDIDATE_FEATURES)
    game, rng = plain_game.Game(envs.config, envs.world), np.random.default_rng(0)
    monkeypatch.setattr(plain_game, "squash", lambda x: x)
    for _ in range(40):
        features = envs.field(seen, "candidates").reshape(8, -1, envs.shape.candidates, len(names))
        for b, copy in enumerate(comparison.read(game, envs.arrays, b) for b in range(8)):
            listed = ((n, c, j) for n in game.active(copy) for c, j in enumerate(copy.candidates[n]))
            for n, c, j in listed:
                values = [unsquashed(float(y), name) for y, name in zip(features[b, n, c], names, strict=True)]
                comparison.close(game.features(copy, n, j, names), values, f"unsquashed features {names}")
                nonzero |= {name for name, value in zip(names, values, strict=True) if value}
        seen = envs.step(rng.integers(0, envs.shape.candidates, envs.empty_actions().shape))[0]
    assert nonzero == set(names)


class Guarded:
    """Replaces the offset of each absent field by a place of its own before the array, where a write is noticed.

    An absent field has offset -1, so that a line without its guard would change the last column of the agent, copy or
    candidate before.
    """

    SENTINEL = 7.0
    OBSERVED = 2**16  # numbers in an array of observations or states, at most

    def __init__(self) -> None:
        self.names: list[str] = []
        self.before: list[np.ndarray] = []  # what lies before each array

    def fill(self, record: np.ndarray, offsets: dict[str, int]) -> None:
        """Stand in for `world._fill`."""
        for name in record.dtype.names or ():
            if name not in offsets:
                self.names.append(name)
            record[name] = offsets.get(name, -len(self.names) * self.OBSERVED)

    def allocate(self, *args: Any) -> Report:
        """Stand in for `arrays.allocate_report`."""
        report = allocate_report(*args)
        places = ("observations", "final_observations", "final_states")
        return report._replace(**{name: self._guarded(getattr(report, name)) for name in places})

    def _guarded(self, array: np.ndarray) -> np.ndarray:
        assert array.size <= self.OBSERVED
        first = len(self.names) * self.OBSERVED
        memory = zeros(first + array.size, np.float32)
        memory[:first] = self.SENTINEL
        self.before.append(memory[:first])
        return memory[first:].reshape(array.shape)

    def written(self) -> set[str]:
        """Return the absent fields that have been written."""
        hits = [np.flatnonzero(before != self.SENTINEL) for before in self.before]
        return {self.names[-1 - hit // self.OBSERVED] for hit in np.concatenate(hits).tolist()}


@pytest.mark.parametrize("task", TASKS)
def test_no_task_writes_a_field_that_it_does_not_have(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded()
    monkeypatch.setattr("recsys_env.world.build._fill", guarded.fill)
    monkeypatch.setattr("recsys_env.batch.vector.allocate_report", guarded.allocate)
    envs, rng = vector_env(task, 2, horizon=60, specialize=False), np.random.default_rng(0)
    sizes = getattr(envs.action_space, "nvec", getattr(envs.action_space, "n", None))
    envs.reset(seed=0)
    for _ in range(61):
        envs.step(rng.integers(0, sizes, envs.empty_actions().shape))
    assert guarded.names
    assert not guarded.written()


def test_fields_that_are_torn_apart_are_refused() -> None:
    a, b, c = (Field(name, name, axes=("dims",)) for name in "abc")
    envs = vector_env("duel-v1")
    where = field_slices((a, b, c), envs.config, envs.shape)
    assert span(where, (a, b)) == slice(0, 2 * envs.shape.dims)
    with pytest.raises(ValueError, match="a, c are handled in one pass; declare them side by side"):
        span(where, (a, c))


class Noted(Ranker):
    def score(self, observations: np.ndarray) -> np.ndarray:
        return np.zeros(self.items.shape)


def alter(envs: VectorEnv, field: str) -> None:
    """Change what this field of the next page's observations is made of, behind everybody's back."""
    at, size = envs.world.params[0]["shape"], {"dims": envs.shape.dims, "topics": envs.shape.topics}
    start = {"profile": at["profile"], "clicked_mean": at["history"], "topic_counts": at["history"] + at["dims"]}
    if field == "anchor":
        anchor = envs.arrays.copies["anchor"]
        anchor[:] = np.where(anchor >= 0, (anchor + 7) % envs.shape.items, -1)
    else:
        (axis,) = declaration("observation", field).axes
        envs.arrays.vectors[:, :, start[field] : start[field] + size[axis]] += 1.0


@pytest.mark.parametrize("field", ["profile", "clicked_mean", "topic_counts", "anchor"])
def test_a_policy_does_not_use_what_follows_from_a_hidden_field(field: str) -> None:
    """And what its features follow from is declared: they alone change with it."""
    assert field in HIDEABLE
    following = {feature.name for feature in CANDIDATE_FEATURES if field in feature.follows_from}
    for hidden in ((), (field,)):
        roles = ({"name": "entrance", "scene": "entrance"}, {"name": "item", "scene": "item", "hidden": hidden})
        scenes = ({"name": "entrance"}, {"name": "item", "beta_context": 1.0})
        game: dict[str, Any] = {"num_agents": 2, "action": "items", "observation": {"share": True}}
        envs = vector_env(WorldConfig(**game, roles=roles, scenes=scenes, choice={"v_0": -5.0}), 200)
        policy = Noted()
        policy.bind(envs, "item_0", 0)
        envs.reset(seed=0)
        observations = envs.step(envs.empty_actions())[0]
        policy.act(observations[:, 1])
        before = policy.features.copy()
        alter(envs, field)
        policy.act(observations[:, 1])
        changed = {name for f, name in enumerate(policy.feature_names) if (policy.features != before)[..., f].any()}
        assert changed == (set() if hidden else following & set(policy.feature_names) - {"repeat"})  # kept elsewhere
        assert bool(changed) is not bool(hidden)


def test_features_follow_from_fields_that_can_be_hidden() -> None:
    assert {name for feature in CANDIDATE_FEATURES for name in feature.follows_from} <= set(HIDEABLE)
    assert [field.name for field in HISTORY] == ["clicked_mean", "topic_counts"]
    assert unseen_features(()) == frozenset()
    assert unseen_features(("clicked_mean", "visits")) == {"history_match", "repeat"}


def test_a_feature_about_the_visitor_says_what_it_follows_from() -> None:
    feature = Field("affinity", "twice the match", -1.0, 1.0, half=1.0, reveals="noised")
    with pytest.raises(
        TypeError, match=r"feature 'affinity' tells something about the visitor .*name in follows_from="
    ):
        check_features((feature,))
    check_features(
        (dataclasses.replace(feature, follows_from=("profile",)), dataclasses.replace(feature, reveals="nothing"))
    )
