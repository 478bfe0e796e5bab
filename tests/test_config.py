"""`WorldConfig` validates itself: what is refused and in which words, what is accepted, and that nothing about it can change."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, Catalogue, WorldConfig, replace, vector_env
from recsys_env import config as cfg
from recsys_env.config import GROUPS, RoleConfig, SceneConfig, UserConfig, describe

TWO_SCENES = {"scenes": ({"name": "a"}, {"name": "b"}), "roles": ({"name": "x", "scene": "a"}, {"name": "y", "scene": "b"})}
MOODS = {"items": {"topics": 2}, "choice": {"v_0_by_mood": (0.0, 1.0)}}


def parts() -> list[tuple[type, tuple[str, ...]]]:
    """Every config class and where a default `WorldConfig` holds it."""
    return [(WorldConfig, ()), *((type(getattr(WorldConfig(), group)), (group,)) for group in GROUPS), (SceneConfig, ("scenes",))]


NUMBERS = [(kind, where, f) for kind, where in parts() for f in dataclasses.fields(kind) if "low" in f.metadata and "item" not in f.metadata]
SCALARS = [pytest.param(kind, f, id=f"{kind.__name__}.{f.name}") for kind, _, f in NUMBERS if not isinstance(f.default, bool)]
BOOLS = [pytest.param(kind, f, id=f"{kind.__name__}.{f.name}") for kind, _, f in NUMBERS if isinstance(f.default, bool)]
WORDS = [
    pytest.param(kind, f, id=f"{kind.__name__}.{f.name}") for kind, _ in parts() for f in dataclasses.fields(kind) if "allowed" in f.metadata
]
TUPLES = [
    pytest.param(kind, f, id=f"{kind.__name__}.{f.name}")
    for kind in (WorldConfig, cfg.ChoiceConfig, cfg.FeedbackConfig, cfg.DynamicsConfig, RoleConfig)
    for f in dataclasses.fields(kind)
    if "item" in f.metadata
]


# ------------------------------------------------------------------------------------------------ single fields


def test_the_tables_above_are_not_empty() -> None:
    assert len(SCALARS) > 90
    assert [p.id for p in BOOLS] == ["WorldConfig.mask_actions", "FeedbackConfig.instant", "FeedbackConfig.like", "ObservationConfig.share",
                                     "SceneConfig.cart"]  # fmt: skip
    assert len(WORDS) == 5
    assert len(TUPLES) == 10


@pytest.mark.parametrize(("kind", "f"), SCALARS)
def test_a_number_out_of_range_names_field_value_and_interval(kind: type, f: Any) -> None:
    low, high = f.metadata["low"], f.metadata["high"]
    beyond = [low - 1, high + max(1, abs(high))]
    for value in beyond:
        with pytest.raises(ValueError) as error:
            kind(**{f.name: value})
        text = str(error.value)
        assert f"{kind.__name__}.{f.name} = " in text
        assert repr(value) in text
        assert f"[{low:g}, {high:g}]" in text


@pytest.mark.parametrize(("kind", "f"), SCALARS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_nan_and_infinity_are_refused(kind: type, f: Any, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"{kind.__name__}\.{f.name} = "):
        kind(**{f.name: value})


@pytest.mark.parametrize(("kind", "f"), SCALARS)
@pytest.mark.parametrize("value", [True, np.True_, "1", None, (1,), 1j])
def test_other_types_are_refused(kind: type, f: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.{f.name} = .*must be {'an integer' if type(f.default) is int else 'a number'}"):
        kind(**{f.name: value})


@pytest.mark.parametrize(("kind", "f"), SCALARS)
def test_numpy_scalars_are_accepted_and_become_python_numbers(kind: type, f: Any) -> None:
    value = getattr(kind(), f.name)
    for given in (np.float64(value), np.float32(value), *((np.int64(value), float(value)) if type(value) is int else ())):
        if kind is WorldConfig and f.name == "world_seed":
            continue
        accepted = getattr(kind(**{f.name: given}), f.name)
        assert type(accepted) is type(value)
        assert accepted == pytest.approx(value, rel=1e-6)
    assert kind(**{f.name: value}) == kind()


@pytest.mark.parametrize(("kind", "f"), [p for p in SCALARS if type(p.values[1].default) is int])
def test_integers_take_no_fractions(kind: type, f: Any) -> None:
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.{f.name} = .*must be an integer"):
        kind(**{f.name: f.default + 0.5})


@pytest.mark.parametrize(("kind", "f"), BOOLS)
def test_booleans(kind: type, f: Any) -> None:
    for value in (0, 1, 1.0, "True", None, np.int64(1)):
        with pytest.raises(TypeError, match=rf"{kind.__name__}\.{f.name} = .*must be True or False"):
            kind(**{f.name: value})
    assert getattr(kind(**{f.name: np.True_}), f.name) is True


@pytest.mark.parametrize(("kind", "f"), WORDS)
def test_a_wrong_word_lists_the_right_ones_and_the_nearest(kind: type, f: Any) -> None:
    word = f.metadata["allowed"][-1]
    for value in (word[:-1] + "x", word.upper(), 3, None):
        with pytest.raises(ValueError) as error:
            kind(**{f.name: value})
        assert f"{kind.__name__}.{f.name} = {value!r}" in str(error.value)
        assert str(list(f.metadata["allowed"])) in str(error.value)
    with pytest.raises(ValueError, match=f"did you mean '{word}'"):
        kind(**{f.name: word[:-1] + "x"})


@pytest.mark.parametrize(("kind", "f"), TUPLES)
def test_tuples_take_sequences_and_nothing_else(kind: type, f: Any) -> None:
    for value in ("abc", 1.0, None, {1: 2}):
        with pytest.raises(TypeError, match=rf"{kind.__name__}\.{f.name} = .*must be a tuple"):
            kind(**{f.name: value})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: cfg.FeedbackConfig(rating_cutpoints=(0, 1, math.nan, 3)), r"FeedbackConfig\.rating_cutpoints\[2\] = nan"),
        (lambda: cfg.ChoiceConfig(v_0_by_mood=(0.0, 51.0)), r"ChoiceConfig\.v_0_by_mood\[1\] = 51\.0 .*\[-50, 50\]"),
        (lambda: cfg.DynamicsConfig(mood_up=(0.5, "a")), r"DynamicsConfig\.mood_up\[1\] = 'a' must be a number"),
        (lambda: RoleConfig(items=(1, 2.5)), r"RoleConfig\.items\[1\] = 2\.5 must be an int"),
        (lambda: RoleConfig(domains=(-1,)), r"RoleConfig\.domains\[0\] = -1"),
        (lambda: WorldConfig(scenes=({"name": "a", "beta_context": 99.0},)), r"SceneConfig\.beta_context = 99"),
        (lambda: WorldConfig(roles=("seller",)), r"WorldConfig\.roles\[0\] = 'seller' must be a RoleConfig or a dict"),
        (lambda: WorldConfig(users=3), r"WorldConfig\.users = 3 must be a UserConfig or a dict"),
        (lambda: WorldConfig(users=cfg.ItemConfig()), r"WorldConfig\.users = .* must be a UserConfig"),
        (lambda: WorldConfig(users={"number": 0}), r"UserConfig\.number = 0 .*\[1, 1e\+08\]"),
        (lambda: WorldConfig(catalogue=3), r"WorldConfig\.catalogue = 3 must be a string"),
        (lambda: SceneConfig(name=None), r"SceneConfig\.name = None must be a string"),
    ],
)
def test_entries_and_groups_are_named(build: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        build()


def test_sequences_become_tuples() -> None:
    assert cfg.FeedbackConfig(rating_cutpoints=np.array([-1, 0, 1, 2])).rating_cutpoints == (-1.0, 0.0, 1.0, 2.0)
    assert RoleConfig(items=[np.int64(3)]).items == (3,)
    assert WorldConfig(scenes=[{"name": "a", "cart": True}]).scenes == (SceneConfig("a", cart=True),)


# ------------------------------------------------------------------------------------------------ unknown names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_cycles": 5}, r"WorldConfig has no field 'max_cycles' \(did you mean 'horizon'\?\)"),
        ({"n_agents": 5}, r"'n_agents' \(did you mean 'num_agents'\?\)"),
        ({"slate_size": 5}, r"did you mean 'slots'"),
        ({"seed": 5}, r"did you mean 'world_seed'"),
        ({"horizn": 5}, r"did you mean 'horizon'"),
        ({"beta_price": 5}, r"did you mean choice=\{'beta_price': \.\.\.\}"),
        ({"sharing": 1}, r"did you mean reward=\{'sharing': \.\.\.\}"),
        ({"choice": {"beta_prise": 1}}, r"ChoiceConfig has no field 'beta_prise' \(did you mean 'beta_price'\?\)"),
        ({"choice": {"temperature": 1}}, r"did you mean 'dissimilarity'"),
        ({"zzzz": 1}, r"WorldConfig has no field 'zzzz'; fields: description, num_agents"),
    ],
)
def test_unknown_fields_suggest_the_nearest(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        replace(WorldConfig(), changes)
    with pytest.raises(TypeError, match=message):
        vector_env("ecommerce-v0", 1, **changes)


def test_unknown_tasks_suggest_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'ecomerce-v0' \(did you mean 'ecommerce-v0'\?\); tasks are duel-v0"):
        vector_env("ecomerce-v0", 1)
    with pytest.raises(TypeError, match="must be the name of a task or a WorldConfig"):
        vector_env(3, 1)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ combinations

CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"scenes": ()}, "scenes is empty"),
    ({"roles": ()}, "roles is empty"),
    ({"scenes": ({"name": "a"}, {"name": "a"})}, r"repeated names \['a', 'a'\]"),
    ({"roles": ({"name": "a"}, {"name": "a"})}, r"roles have repeated names \['a', 'a'\]"),
    ({"roles": ({"name": "a b"},)}, r"role names \['a b'\] must be made of letters"),
    ({**TWO_SCENES, "num_agents": 3}, r"num_agents = 3 but 2 roles \['x', 'y'\]"),
    ({"roles": ({"name": "x", "scene": "nowhere"},)}, r"roles own scenes \['nowhere'\], but the scenes are \['page'\]"),
    ({"scenes": ({"name": "a"}, {"name": "b"})}, "each needs exactly one owner"),
    ({**TWO_SCENES, "page": "rival"}, "'rival' cannot have several scenes"),
    ({"choice": {"dissimilarity": 0.5}}, r"choice.dissimilarity = 0.5 needs page = 'rows'; page = 'shared'"),
    ({"page": "rival", "choice": {"dissimilarity": 0.5}}, "needs page = 'rows'"),
    ({"slots": 21}, r"candidates.number = 20 must be at least slots = 21"),
    ({"action": "query", "mask_actions": True}, "makes no sense with action = 'query'"),
    ({"messages": 1}, "messages = 1 carries no information"),
    ({"arrival": {"d_0": 0.6, "d_1": 0.5}}, r"arrival.d_0 \+ arrival.d_1 = 1.1 must be at most 1"),
    ({"feedback": {"rating_cutpoints": (0, 1, 2)}}, r"rating_cutpoints = \(0.0, 1.0, 2.0\) must be 4 ascending"),
    ({"feedback": {"rating_cutpoints": (0, 2, 1, 3)}}, "must be 4 ascending numbers"),
    ({"choice": {"v_0_by_mood": (0.0,)}}, "at least 2 moods"),
    ({**MOODS, "dynamics": {"mood_up": (0.1, 0.1)}}, "one probability for each of the 2 topics"),
    ({**MOODS, "dynamics": {"mood_up": (0.6, 0.0), "mood_down": (0.6, 0.0)}}, r"mood_up \+ mood_down must be at most 1"),
    ({"dynamics": {"mood_up_none": 0.6, "mood_down_none": 0.6}}, r"mood_up_none \+ mood_down_none must be at most 1"),
    ({"items": {"life": 10, "period": 5}}, r"items.period = 5 must be 0 or at least items.life = 10"),
    ({"items": {"period": 5}}, "items.period needs items.life"),
    ({"items": {"topics": 5, "number": 4}}, r"items.topics = 5 must be at most items.number = 4"),
    ({"roles": ({"name": "x", "rewards": (1.0,)},)}, "rewards must be empty or 6 weights"),
]


@pytest.mark.parametrize(("changes", "message"), CONFLICTS)
def test_impossible_combinations(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"WorldConfig: .*{message}"):
        WorldConfig(**changes)


def test_every_conflict_is_tested() -> None:
    assert len(WorldConfig()._conflicts()) <= len(CONFLICTS)
    assert not any(test for test, _ in WorldConfig()._conflicts())


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ({"items": (200,)}, r"'recommender': items holds 200, but the world has 200 items"),
        ({"domains": (1,)}, r"'recommender': domains holds 1, but the world has 1 domains"),
    ],
)
def test_inventories_that_the_world_lacks(role: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vector_env(WorldConfig(roles=(role,)), 1)


def test_an_empty_inventory() -> None:
    config = WorldConfig(items={"domains": 2}, roles=({"domains": (0,), "items": (1,)},))
    with pytest.raises(ValueError, match="'recommender' has an empty inventory"):
        vector_env(config, 1)


# ------------------------------------------------------------------------------------------------ nothing changes


@pytest.mark.parametrize("where", [(), *((group,) for group in GROUPS)])
def test_configs_are_frozen(where: tuple[str, ...]) -> None:
    config: Any = WorldConfig()
    for name in where:
        config = getattr(config, name)
    for f in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, f.name, getattr(config, f.name))


def test_equal_configs_have_equal_hashes() -> None:
    one, other = WorldConfig(users={"number": 3}), WorldConfig(users=UserConfig(number=3))
    assert one == other
    assert hash(one) == hash(other)
    assert one != WorldConfig()
    assert len({one, other, WorldConfig()}) == 2
    assert len(set(TASKS.values())) == len(TASKS)


def test_replace_changes_single_fields_of_groups() -> None:
    config = WorldConfig(users={"number": 3, "topics": 2}, choice={"v_0": 1.0})
    changed = replace(config, {"users": {"number": 4}, "horizon": 7, "scenes": ({"name": "a"},)})
    assert (changed.users.number, changed.users.topics, changed.choice.v_0, changed.horizon) == (4, 2, 1.0, 7)
    assert changed.scenes == (SceneConfig("a"),)
    assert (config.users.number, config.horizon) == (3, 1000)
    assert replace(config, {"users": UserConfig(number=4)}).users.topics == UserConfig().topics  # a whole group replaces the group
    assert replace(config, {}) == config
    with pytest.raises(ValueError, match="at least slots"):
        replace(config, {"slots": 50})
    with pytest.raises(ValueError, match=r"UserConfig\.number = -1"):
        replace(config, {"users": {"number": -1}})


def test_a_group_given_as_a_dict_starts_from_defaults() -> None:
    assert WorldConfig(users={"number": 3}).users == UserConfig(number=3)


# ------------------------------------------------------------------------------------------------ description and tasks


def test_describe_lists_every_documented_field() -> None:
    lines = describe(WorldConfig()).splitlines()
    for kind, where in parts()[:-1]:
        for f in dataclasses.fields(kind):
            if "doc" not in f.metadata:
                continue
            name = ".".join((*where, f.name))
            (line,) = [line for line in lines if line.startswith(f"{name} = ")]
            value = getattr(kind(), f.name)
            assert line.startswith(f"{name} = {value!r}: {f.metadata['doc']}")
            allowed = str(list(f.metadata["allowed"])) if "allowed" in f.metadata else f"[{f.metadata['low']:g}, {f.metadata['high']:g}]"
            assert allowed in line
            assert f.metadata.get("unit", "") in line
            assert f.metadata.get("source", "") in line


def test_every_scalar_field_has_a_meaning() -> None:
    for _, _, f in NUMBERS:
        assert f.metadata["doc"]


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_valid_documented_and_immutable(name: str) -> None:
    task = TASKS[name]
    assert dataclasses.replace(task) == task  # validates once more
    assert len(task.description.strip().splitlines()) > 2
    assert "Stresses" in task.description
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.horizon = 5  # type: ignore[misc]
    vector_env(name, 1, horizon=5)
    assert TASKS[name].horizon == 1000
    if name != "grocery-v0":
        assert vector_env(task, 1).config is not None


def test_agent_names() -> None:
    assert WorldConfig(num_agents=3).agents == ["recommender_0", "recommender_1", "recommender_2"]
    assert TASKS["journey-v0"].agents == ["entrance_0", "item_0", "cart_0"]


def test_grocery_holds_the_numbers_of_its_fit() -> None:
    settings = Catalogue.load("grocery").settings
    assert settings
    for group, values in settings.items():
        for name, value in values.items():
            assert getattr(getattr(TASKS["grocery-v0"], group), name) == pytest.approx(value, abs=1e-2), f"{group}.{name}"
