"""`WorldConfig` validates itself: what is refused and in which words, what is accepted, and that nothing about it can
change."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import math
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
import test_auction
import test_platform

import recsys_env
from recsys_env import (
    SCENARIOS,
    TASKS,
    Catalogue,
    VectorEnv,
    WorldConfig,
    parallel_env,
    register_task,
    replace,
    vector_env,
)
from recsys_env import config as cfg
from recsys_env.checks import did_you_mean, shown
from recsys_env.config import GROUPS, RewardConfig, RoleConfig, SceneConfig, UserConfig
from recsys_env.config.responses import EVENTS
from recsys_env.config.settings import describe
from recsys_env.config.world_config import _ARGUMENTS
from recsys_env.evaluation import METRICS

TWO_SCENES = {
    "scenes": ({"name": "a"}, {"name": "b"}),
    "roles": ({"name": "x", "scene": "a"}, {"name": "y", "scene": "b"}),
}
MOODS = {"items": {"topics": 2}, "choice": {"v_0_by_mood": (0.0, 1.0)}}


KINDS = (WorldConfig, *(type(getattr(WorldConfig(), group)) for group in GROUPS), SceneConfig, RoleConfig)


def fields_with(key: str) -> list[tuple[type, Any]]:
    """The fields whose declarations have this key, and the config class of each."""
    return [(kind, f) for kind in KINDS for f in dataclasses.fields(kind) if key in f.metadata]


NUMBERS = [(kind, f) for kind, f in fields_with("low") if not {"item", "names"} & f.metadata.keys()]
SCALARS = [(kind, f) for kind, f in NUMBERS if not isinstance(f.default, bool)]
BOOLS = [(kind, f) for kind, f in NUMBERS if isinstance(f.default, bool)]
WORDS = fields_with("allowed")
TUPLES = fields_with("item")

# What the fields of a sort refuse whatever their range is.
NOT_FINITE = (math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, 10**5000)
NO_NUMBERS = (True, np.True_, "1", None, (1,), 1j, np.timedelta64(1, "s"), np.array(1))
NO_TRUTHS = (0, 1, 1.0, "True", None, np.int64(1))
NO_TUPLES = ("abc", 1.0, None, {1: 2}, np.array(1))


# ------------------------------------------------------------------------------------------------ single fields

# Config class, field, value, the errors that it may raise, and a pattern of what they say after "field = ".
Wrong = tuple[type, Any, Any, Any, str]


def wrong_numbers() -> Iterator[Wrong]:
    for kind, f in SCALARS:
        low, high, whole = f.metadata["low"], f.metadata["high"], type(f.default) is int
        for value in (low - 1, high + max(1, abs(high))):
            yield kind, f, value, ValueError, re.escape(f"{value!r} ") + ".*" + re.escape(f"[{low:g}, {high:g}]")
        for value in NOT_FINITE:
            yield kind, f, value, (ValueError, TypeError), ""
        for value in (*NO_NUMBERS, *((f.default + 0.5,) if whole else ())):
            yield kind, f, value, TypeError, ".*must be an integer" if whole else ".*must be a number"


def wrong_truths() -> Iterator[Wrong]:
    for kind, f in BOOLS:
        for value in NO_TRUTHS:
            yield kind, f, value, TypeError, ".*must be True or False"


def wrong_words() -> Iterator[Wrong]:
    for kind, f in WORDS:
        word, allowed = max(f.metadata["allowed"], key=len), re.escape(str(list(f.metadata["allowed"])))
        for value in (word[:-1] + "x", word.upper(), 3, None):
            hint = f".*did you mean {word!r}" if value == word[:-1] + "x" else ""
            yield kind, f, value, ValueError, re.escape(repr(value)) + f".*{allowed}{hint}"


def wrong_tuples() -> Iterator[Wrong]:
    for kind, f in TUPLES:
        for value in NO_TUPLES:
            yield kind, f, value, TypeError, ".*must be a tuple"


def made(kind: type, f: Any, value: Any) -> Any:
    """A config with this value in this field, or the error in its place."""
    try:
        return kind(**{f.name: value})
    except Exception as error:
        return error


def test_the_tables_above_are_not_empty() -> None:
    assert len(SCALARS) > 90
    assert [f"{kind.__name__}.{f.name}" for kind, f in BOOLS] == [
        "WorldConfig.mask_actions",
        "ItemConfig.domain_topics",
        "FeedbackConfig.instant",
        "FeedbackConfig.like",
        "ObservationConfig.share",
        "ObservationConfig.request",
        "SceneConfig.cart",
    ]
    assert len(WORDS) == 12
    assert len(TUPLES) == 10


@pytest.mark.parametrize("wrong", [wrong_numbers, wrong_truths, wrong_words, wrong_tuples])
def test_every_field_refuses_what_it_cannot_hold(wrong: Callable[[], Iterator[Wrong]]) -> None:
    """The message names the field and says what it may hold."""
    found = []
    for kind, f, value, errors, says in wrong():
        name, got = f"{kind.__name__}.{f.name}", made(kind, f, value)
        if not isinstance(got, errors) or not re.search(re.escape(f"{name} = ") + says, str(got)):
            found.append(f"{name}, given {shown(value)}: {shown(got)}")
    assert not found, "\n".join(found)


def test_numpy_scalars_are_accepted_and_become_python_numbers() -> None:
    found = []
    for kind, f in (*SCALARS, *BOOLS):
        value = getattr(kind(), f.name)
        if type(value) is bool:
            given = (value, np.bool_(value), np.bool_(not value))
        else:
            whole = (np.int64(value), float(value)) if type(value) is int else ()
            given = (value, np.float64(value), np.float32(value), *whole)
        for one in given:
            config = made(kind, f, one)
            held = getattr(config, f.name, None)
            if type(held) is not type(value) or not math.isclose(held, one, rel_tol=1e-6):
                found.append(f"{kind.__name__}.{f.name}, given {one!r}: {shown(config)}")
        if made(kind, f, value) != kind():
            found.append(f"{kind.__name__}.{f.name}, given its default: {shown(made(kind, f, value))}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: cfg.FeedbackConfig(rating_cutpoints=(0, 1, math.nan, 3)),
            r"FeedbackConfig\.rating_cutpoints\[2\] = nan",
        ),
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
        ({"seed": 5}, r"episodes are seeded by reset\(seed=...\); world_seed is the seed of items and"),
        ({"horizn": 5}, r"did you mean 'horizon'"),
        ({"beta_price": 5}, r"did you mean choice=\{'beta_price': \.\.\.\}"),
        ({"sharing": 1}, r"did you mean reward=\{'sharing': \.\.\.\}"),
        ({"choice": {"beta_prise": 1}}, r"ChoiceConfig has no field 'beta_prise' \(did you mean 'beta_price'\?\)"),
        ({"choice": {"temperature": 1}}, r"did you mean 'dissimilarity'"),
        ({"zzzz": 1}, r"WorldConfig has no field 'zzzz'; fields: description, num_agents"),
        (
            {"render_mode": "ansi"},
            r"no field 'render_mode' \('render_mode' is an argument of parallel_env, env, single_agent_env and",
        ),
        (
            {"n_envs": 4},
            r"'n_envs' \(did you mean 'num_envs', an argument of vector_env and single_agent_vector_env\?\)",
        ),
        ({"others": "random"}, r"no field 'others' \(policies of other agents are background=, an arg"),
    ],
)
def test_unknown_fields_suggest_the_nearest(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        replace(WorldConfig(), changes)
    with pytest.raises(TypeError, match=message):
        vector_env("ecommerce-v1", 1, **changes)


def test_unknown_tasks_suggest_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"unknown task 'ecomerce-v0' \(did you mean 'ecommerce-v1'\?\); tasks are duel-v1"
    ):
        vector_env("ecomerce-v0", 1)
    with pytest.raises(
        ValueError, match=r"'recsys/duel-v1' is an id for pettingzoo.make .*; the task itself is 'duel-v1'"
    ):
        vector_env("recsys/duel-v1", 1)
    with pytest.raises(ValueError, match=r"unknown task 'chess-v0'; tasks are"):  # news-v1 is not a near miss of it
        vector_env("chess-v0", 1)


def test_what_is_looked_up_by_a_wrong_name_is_named_with_the_nearest() -> None:
    wrong: tuple[tuple[Any, str, str], ...] = (
        (TASKS, "ecomerce-v0", r"unknown task 'ecomerce-v0' \(did you mean 'ecommerce-v1'\?\); tasks are duel-v1, "),
        (SCENARIOS, "duel-v1/gredy", r"scenario 'duel-v1/gredy' \(did you mean 'duel-v1/greedy'\?\); .*, \.\.\."),
        (METRICS, "ndgc", r"unknown metric 'ndgc' \(did you mean 'ndcg'\?\); metrics are page_ctr, "),
    )
    for table, name, said in wrong:
        with pytest.raises(KeyError, match=said):
            table[name]
        assert name not in table
        assert table.get(name) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vector_env(3), r"task = 3 must be the name of a task or a WorldConfig$"),
        (
            lambda: parallel_env(WorldConfig),
            r"task = <class .* must be the name of a task or a WorldConfig; did you mean WorldConfig\(\)\?$",
        ),
        (
            lambda: parallel_env(Catalogue.load("grocery")),
            r"task = Catalogue\(2000 items.{100,200}\.\.\. must be the name",
        ),
        (lambda: VectorEnv("duel-v1"), r"config = 'duel-v1' must be a WorldConfig; recsys_env.vector_env takes"),
        (
            lambda: vector_env("news-v1", catalogue=3),
            r"catalogue = 3 must be a Catalogue, the name of a shipped one or the path",
        ),
        (
            lambda: vector_env("duel-v1", users=UserConfig),
            r"WorldConfig\.users = <class .* must be a UserConfig or a dict of its fields$",
        ),
        (
            lambda: vector_env("duel-v1", page=np.array(["rows", "rival"])),
            r"WorldConfig\.page = array.* is not allowed; choose one of",
        ),
        (
            lambda: replace(WorldConfig, {}),
            r"config = <class .* must be a WorldConfig or one of its groups; did you mean WorldConfig\(\)\?$",
        ),
        (lambda: replace(WorldConfig(), 5), r"changes = 5 must be a dict of fields of WorldConfig$"),
        (
            lambda: parallel_env("duel-v1", render_mode=np.array([1, 2])),
            r"render_mode = array\(\[1, 2\]\) is not allowed; choose one of",
        ),
        (
            lambda: recsys_env.single_agent_env("duel-v1", agent=np.array([1, 2])),
            r"unknown agent array\(\[1, 2\]\); agents are recommender_0",
        ),
        (lambda: recsys_env.shared_policy_env("duel-v1", autoreset_mode=[1]), r"autoreset_mode = \[1\] is not allowed"),
        (lambda: describe("duel-v1"), r"config = 'duel-v1' must be a WorldConfig"),
    ],
)
def test_things_that_are_no_configs_are_named_in_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_only_near_misses_are_suggested() -> None:
    assert did_you_mean("grocery", ["grocery-v1", "news-v1"]) == " (did you mean 'grocery-v1'?)"
    assert did_you_mean("duel", TASKS) == " (did you mean 'duel-v1'?)"
    assert did_you_mean("observ", ["action", "observability"]) == " (did you mean 'observability'?)"
    for word, allowed in (
        ("product_id", ["customer_id"]),
        ("mine-v0", TASKS),
        ("shop-v0", TASKS),
        ("render_mode", ["reward"]),
        (None, TASKS),
    ):
        assert did_you_mean(word, allowed) == ""


# ------------------------------------------------------------------------------------------------ combinations

CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"scenes": ()}, r"scenes = \(\) is empty"),
    ({"roles": ()}, r"roles = \(\) is empty"),
    ({"scenes": ({"name": "a"}, {"name": "a"})}, r"repeated names \['a', 'a'\]"),
    ({"roles": ({"name": "a"}, {"name": "a"})}, r"roles have repeated names \['a', 'a'\]"),
    ({"roles": ({"name": "a b"},)}, r"role names \['a b'\] must be made of letters"),
    ({**TWO_SCENES, "num_agents": 3}, r"num_agents = 3 but 2 roles \['x', 'y'\]"),
    ({"roles": ({"name": "x", "scene": "nowhere"},)}, r"roles own scenes \['nowhere'\], but the scenes are \['page'\]"),
    ({"scenes": ({"name": "a"}, {"name": "b"})}, "each needs exactly one owner"),
    ({**TWO_SCENES, "page": "rival"}, r"'rival' cannot have several scenes \['a', 'b'\]; one"),
    ({"choice": {"dissimilarity": 0.5}}, r"choice.dissimilarity = 0.5 needs page = 'rows'; page = 'shared'"),
    ({"page": "rival", "choice": {"dissimilarity": 0.5}}, "needs page = 'rows'"),
    ({"slots": 21}, r"candidates.number = 20 must be at least slots = 21"),
    (
        {"observation": {"privacy_epsilon": 2.0}, "roles": ({"knows": (0,) * 12},)},
        r"privacy_epsilon = 2 .* not possible with roles\.knows of \['recommender'\], which .*; none is allowed",
    ),
    (
        {"observation": {"privacy_epsilon": 2.0}, "observability": "full"},
        r"not possible with observability = 'full', which .*; 'partial' is allowed",
    ),
    (
        {"observation": {"privacy_epsilon": 2.0, "history_decay": 1.0}},
        r"not possible with observation\.history_decay = 1, which .*; less than 1 is allowed",
    ),
    (
        {"observation": {"privacy_epsilon": 2.0}, "users": {"population": "fixed"}},
        r"not possible with users\.population = 'fixed', which .*; 'fresh' is allowed",
    ),
    (
        {"observation": {"privacy_epsilon": 2.0}, "action": "weights"},
        r"not possible with action = 'weights', which ranks by features that observations withhold",
    ),
    (
        {"reward": {"click": 0.0, "purchase": 1.0, "rating": 1.0}},
        "paid for purchase, rating alone, which cannot happen here; needed are scenes with cart = True, or feedback",
    ),
    (
        {"roles": ({"name": "a", "rewards": {"like": 1.0}}, {"name": "b", "rewards": {"cart": 1.0}})},
        "paid for like, cart alone, which cannot happen here; needed are feedback.like = True, or scenes with cart",
    ),
    ({"observation": {"privacy_epsilon": 2.0}, "messages": 3}, r"not possible with messages = 3, .*; 0 is allowed"),
    (
        {"observation": {"privacy_epsilon": 2.0}, "offer": {"kind": "price"}, "feedback": {"instant": True}},
        r"not possible with offer\.kind = 'price', which .*; 'none' is allowed",
    ),
    ({"roles": ({"knows": (0, 1)},)}, r"roles.knows = \[\[0, 1\]\] must hold one label for each of the 12 topics"),
    (
        {"action": "query", "mask_actions": True},
        "mask_actions = True makes no sense with action = 'query'; allowed is False",
    ),
    (
        {"action": "weights", "mask_actions": True},
        "mask_actions = True makes no sense with action = 'weights'; allowed is False",
    ),
    ({"messages": 1}, "messages = 1 carries no information"),
    (
        {"roles": ({"name": "a", "scene": "page"}, {"name": "b"}), "scenes": ({"name": "page"},)},
        r"roles own scenes \['page'\], but the only scene \['page'\] is that of all agents; '' is allowed",
    ),
    ({"offer": {"kind": "price"}}, "offer.kind = 'price' needs feedback.instant = True, not False"),
    ({"offer": {"low": 2.0}}, "offer.low = 2 must be below offer.high = 2"),
    ({"static_weights": {"price_level": 0.5}}, "static_weights hold 'price_level', which needs offer.kind = 'price'"),
    (
        {"roles": ({"static_weights": {"bid_level": 0.5}},)},
        "static_weights hold 'bid_level', which needs offer.kind = 'bid'",
    ),
    ({"arrival": {"d_0": 0.6, "d_1": 0.5}}, r"arrival.d_0 \+ arrival.d_1 = 1.1 must be at most 1"),
    ({"feedback": {"rating_cutpoints": (0, 1, 2)}}, r"rating_cutpoints = \(0.0, 1.0, 2.0\) must be 4 ascending"),
    ({"feedback": {"rating_cutpoints": (0, 2, 1, 3)}}, "must be 4 ascending numbers"),
    ({"choice": {"v_0_by_mood": (0.0,)}}, r"v_0_by_mood = \(0.0,\) must have at least 2 moods"),
    (
        {**MOODS, "dynamics": {"mood_up": (0.1, 0.1)}},
        r"mood_up = \(0.1, 0.1\) and mood_down = \(\) need one probability for each of the 2 topics",
    ),
    (
        {**MOODS, "dynamics": {"mood_up": (0.6, 0.0), "mood_down": (0.6, 0.0)}},
        r"mood_up \+ mood_down = \[1.2, 0.0\] must be at most 1",
    ),
    (
        {"dynamics": {"mood_up_none": 0.6, "mood_down_none": 0.6}},
        r"mood_up_none \+ mood_down_none = 1.2 must be at most 1",
    ),
    (
        {"observation": {"privacy_epsilon": 2.0}, "items": {"stock_init": 3}},
        r"not possible with items\.stock_init = 3, which .*; 0 is allowed",
    ),
    ({"items": {"life": 10, "period": 5}}, r"items.period = 5 must be 0 or at least items.life = 10"),
    ({"items": {"period": 5}}, "items.period = 5 needs items.life"),
    ({"items": {"partner_step": 1, "domains": 2}}, r"items.partner_step = 1 needs items.domain_topics = True"),
    ({"items": {"title_signal": 0.5}}, r"items.title_signal = 0.5 needs items.titles = 'goods', 'films' or"),
    (
        {"users": {"request": 0.5, "request_vague": 0.7, "request_misleading": 0.4}},
        r"users.request_vague \+ users.request_misleading = 1.1 must be at most 1",
    ),
    ({"users": {"request_vague": 0.5}}, r"users.request_vague = 0.5 needs users.request > 0; .* only 0.2, the default"),
    (
        {"users": {"request_misleading": 0.0}},
        r"users.request_misleading = 0 needs .* only 0.1, the default, is allowed",
    ),
    ({"observation": {"request": True}}, r"observation.request = True needs users.request > 0"),
    ({"items": {"topics": 5, "number": 4}}, r"items.topics = 5 must be at most items.number = 4"),
]


@pytest.mark.parametrize(("changes", "message"), CONFLICTS)
def test_impossible_combinations(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"WorldConfig: .*{message}"):
        WorldConfig(**changes)


def test_every_conflict_is_tested() -> None:
    assert len(WorldConfig()._conflicts()) <= len([*CONFLICTS, *test_auction.REFUSED, *test_platform.REFUSED])
    assert not any(test for test, _ in WorldConfig()._conflicts())


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ({"items": (200,)}, r"'recommender': items holds 200, but the world has 200 items, from 0 on"),
        ({"domains": (1,)}, r"'recommender': domains holds 1, but the world has 1 domains, from 0 on"),
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
        with pytest.raises(dataclasses.FrozenInstanceError, match=rf"{f.name} = .*: .* recsys_env.replace"):
            setattr(config, f.name, getattr(config, f.name))
        with pytest.raises(dataclasses.FrozenInstanceError, match=rf"{f.name}: a config cannot be changed"):
            delattr(config, f.name)


def test_a_reward_that_a_role_does_not_get_is_refused() -> None:
    """The entrance of journey-v1 has weights of its own, which the task's weights do not change."""
    said = r"reward.click = 5(\.0)? does not reach the roles \['entrance'\].*give roles= as well"
    assert recsys_env.task_config("journey-v1", {"reward": RewardConfig(sharing=1.0)}).reward.sharing == 1.0
    for reward in ({"click": 5}, RewardConfig(click=5.0)):
        with pytest.raises(ValueError, match=said):
            parallel_env("journey-v1", reward=reward)
    with pytest.raises(ValueError, match=r"static_weights = .* do not reach the roles .*give roles= as well"):
        parallel_env("journey-v1", static_weights={"popularity": 1.0})
    roles = recsys_env.TASKS["journey-v1"].roles
    assert recsys_env.task_config("journey-v1", {"reward": {"click": 5}, "roles": roles}).reward.click == 5
    assert recsys_env.task_config("journey-v1", {"reward": {"sharing": 0.0}}).reward.sharing == 0
    assert recsys_env.task_config("social-v1", {"reward": {"click": 5}}).reward_weights(0)["click"] == 5


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
    assert (
        replace(config, {"users": UserConfig(number=4)}).users.topics == UserConfig().topics
    )  # a whole group replaces the group
    assert replace(config, {}) == config
    with pytest.raises(ValueError, match="at least slots"):
        replace(config, {"slots": 50})
    with pytest.raises(ValueError, match=r"UserConfig\.number = -1"):
        replace(config, {"users": {"number": -1}})


def test_a_group_given_as_a_dict_starts_from_defaults() -> None:
    assert WorldConfig(users={"number": 3}).users == UserConfig(number=3)


# ------------------------------------------------------------------------------------------------ description and tasks


def described(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name, value and field of everything in a config."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        parts = value if isinstance(value, tuple) else (value,)
        if not any(dataclasses.is_dataclass(part) for part in parts):
            yield f"{prefix}{f.name}", value, f
            continue
        for i, part in enumerate(parts):
            yield from described(part, f"{prefix}{f.name}[{i}]." if isinstance(value, tuple) else f"{prefix}{f.name}.")


@pytest.mark.parametrize(
    "config",
    [WorldConfig(), TASKS["journey-v1"], UserConfig(), RoleConfig()],
    ids=["default", "journey", "users", "role"],
)
def test_describe_lists_every_field_with_all_that_is_known_of_it(config: Any) -> None:
    """Roles, scenes and catalogue included."""
    lines, found = describe(config).splitlines(), list(described(config))
    assert len(lines) == len(found)
    for line, (name, value, f) in zip(lines, found, strict=True):
        meta = f.metadata
        text = " ".join(value.split()) if isinstance(value, str) else value
        assert line.startswith(f"{name} = {text!r}: {meta['doc']} (")
        assert f"default {f.default!r}" in line
        for words in (meta.get("allowed"), meta.get("words"), meta.get("names")):
            assert words is None or str(list(words)) in line
        if isinstance(f.default, bool):
            assert "True or False" in line
        elif "low" in meta:
            assert f"in [{meta['low']:g}, {meta['high']:g}]" in line
        assert meta.get("unit", "") in line
        assert meta.get("source", "") in line
    if isinstance(config, WorldConfig):
        names = [name for name, _, _ in found]
        assert {
            "description",
            "catalogue",
            "users.number",
            "scenes[0].cart",
            "roles[0].rewards",
            "roles[0].domains",
        } < set(names)


def test_describe_says_what_has_no_effect() -> None:
    lines = {line.split(" ")[0]: line for line in describe(TASKS["grocery-v1"]).splitlines()}
    assert lines["users.number"].startswith("users.number comes from the catalogue: U, users")
    assert lines["users.habit_size"].startswith("users.habit_size = 64: ")
    assert "it cancels where agents set no prices" in lines["reward.margin_rate"]
    assert "unrelated to the items' clickbait" in lines["feedback.b_topic"]


def test_every_scalar_field_has_a_meaning() -> None:
    for _, f in NUMBERS:
        assert f.metadata["doc"]


SHORT = ("streaming-v1", "crossdomain-v0", "bundle-v0", "playlist-v0")


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_valid_documented_and_immutable(name: str) -> None:
    task = TASKS[name]
    assert dataclasses.replace(task) == task  # validates once more
    assert len(task.description.strip().splitlines()) > 2
    assert re.search(r"Question: [^.?]+\? Stresses: [^.?]+\.", " ".join(task.description.split()))  # the site reads it
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.horizon = 5  # type: ignore[misc]
    vector_env(name, 1, horizon=5)
    assert TASKS[name].horizon == {"social-v1": 400, "rivals-v1": 400, **dict.fromkeys(SHORT, 600)}.get(name, 1000)
    if name != "grocery-v1":
        assert vector_env(task, 1).config == task


def test_tasks_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match=r"'duel-v1' cannot be set: .*register_task"):
        TASKS["duel-v1"] = WorldConfig()  # type: ignore[index]
    with pytest.raises(TypeError, match="'duel-v1' cannot be removed: this mapping is read-only; "):
        del TASKS["duel-v1"]  # type: ignore[attr-defined]
    for method in ("update", "pop", "clear", "setdefault"):
        assert not hasattr(TASKS, method)


@pytest.mark.usefixtures("registries")
def test_a_registered_task_is_one_everywhere() -> None:
    config = replace(TASKS["duel-v1"], {"horizon": 5})
    register_task("my_own-shop-v12", config)
    assert TASKS["my_own-shop-v12"] is config
    assert list(TASKS)[-1] == "my_own-shop-v12"
    assert vector_env("my_own-shop-v12", 2).config == config
    assert str(parallel_env("my_own-shop-v12")) == "my_own-shop-v12"
    for kind in ("parallel", "aec"):
        made: Any = pettingzoo.make(kind, "recsys/my_own-shop-v12", slots=1)
        assert made.unwrapped.config == config
    assert gymnasium.make("recsys/my_own-shop-v12").unwrapped.env.config == config  # type: ignore[attr-defined]
    assert gymnasium.make_vec("recsys/my_own-shop-v12", num_envs=3).num_envs == 3
    with pytest.raises(ValueError, match="did you mean 'my_own-shop-v12'"):
        vector_env("my_own-shop-v1")


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        (
            "duel-v1",
            WorldConfig(),
            "task 'duel-v1' is taken, and a task never changes; give yours another name or version",
        ),
        *(
            (name, WorldConfig(), "must be letters, digits, _ and - with a version at the end, as in 'my-shop-v0'")
            for name in (
                "shop",
                "shop-v",
                "shop-v01",
                "a b-v0",
                "recsys/shop-v0",
                "-v0",
                "",
                "shop-v0\n",
                "shop,x-v0",
                "läden-v0",
                3,
                None,
            )
        ),
        ("shop-v0", {"horizon": 3}, "config = {'horizon': 3} must be a WorldConfig"),
        ("shop-v0", WorldConfig, "config = <class .* must be a WorldConfig"),
    ],
)
def test_what_cannot_be_registered(name: Any, config: Any, message: str) -> None:
    before = list(TASKS), len(gymnasium.registry)
    with pytest.raises((ValueError, TypeError), match=message):
        register_task(name, config)
    assert (list(TASKS), len(gymnasium.registry)) == before


# ------------------------------------------------------------------------------------------------ rewards of a role


def test_rewards_are_named() -> None:
    role = RoleConfig(rewards={"purchase": 1, "click": np.float32(0.5)})
    assert role.rewards == {"click": 0.5, "purchase": 1.0}
    assert all(type(weight) is float for weight in role.rewards.values())
    assert role == RoleConfig(rewards={"click": 0.5, "purchase": 1.0})
    assert hash(role) == hash(RoleConfig(rewards={"click": 0.5, "purchase": 1.0}))
    assert role != RoleConfig(rewards={"click": 0.5})
    assert RoleConfig().rewards == {}
    envs = vector_env(
        WorldConfig(
            num_agents=3,
            roles=(
                {"name": "a", "rewards": {"click": 2, "dwell": -1}},
                {"name": "b", "rewards": {"like": 0, "fairness": 0.5}},
                {"name": "c"},
            ),
            reward={"cart": 0.25},
        )
    )
    weights = {event: envs.world.agents[event].tolist() for event in EVENTS}
    assert weights == {
        "click": [2, 0, 1],
        "cart": [0, 0, 0.25],
        "purchase": [0] * 3,
        "rating": [0] * 3,
        "like": [0] * 3,
        "dwell": [-1, 0, 0],
    }
    assert envs.world.agents["fairness"].tolist() == [0, 0.5, 0]


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (
            {"clik": 1.0},
            r"RoleConfig\.rewards weighs 'clik' \(did you mean 'click'\?\); "
            "it may weigh click, cart, purchase, rating, like, dwell",
        ),
        ({3: 1.0}, r"RoleConfig\.rewards weighs 3; it may weigh click"),
        (
            (1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            r"RoleConfig\.rewards = \(1\.0, .* must be a dict of weights by name, such as \{'click': 1\.0\}",
        ),
        (None, r"RoleConfig\.rewards = None must be a dict"),
        ({"click": "1"}, r"RoleConfig\.rewards\['click'\] = '1' must be a number"),
        (
            {"click": 101},
            r"RoleConfig\.rewards\['click'\] = 101 is out of range; allowed is a finite value in \[-100, 100\]",
        ),
        ({"click": math.nan}, r"RoleConfig\.rewards\['click'\] = nan"),
    ],
)
def test_wrong_rewards(rewards: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        RoleConfig(rewards=rewards)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"popular": 1.0}, r" weighs 'popular' \(did you mean 'popularity'\?\); it may weigh profile_match, "),
        (1, r" = 1 must be a dict of weights by name, such as \{'profile_match': 1\.0\}; names are profile_match, "),
        ({"price": 2}, r"\['price'\] = 2 is out of range; allowed is a finite value in \[-1, 1\]"),
        ({"price": True}, r"\['price'\] = True must be a number"),
        ({"price_level": -1.5}, r"\['price_level'\] = -1.5 is out of range; allowed is a finite value in \[-1, 1\]"),
    ],
)
@pytest.mark.parametrize("kind", [WorldConfig, RoleConfig])
def test_wrong_weights_of_features(kind: type, weights: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"{kind.__name__}\.static_weights{message}"):
        kind(static_weights=weights)


@pytest.mark.parametrize(
    "how",
    [
        copy.copy,
        copy.deepcopy,
        lambda c: pickle.loads(pickle.dumps(c)),
        dataclasses.replace,
        lambda c: WorldConfig(**dataclasses.asdict(c)),
        lambda c: WorldConfig(**json.loads(json.dumps(dataclasses.asdict(c)))),
    ],
    ids=["copy", "deepcopy", "pickle", "replace", "asdict", "json"],
)
@pytest.mark.parametrize("task", ["journey-v1", "duel-v1", "grocery-v1"])
def test_configs_survive(how: Callable[[WorldConfig], WorldConfig], task: str) -> None:
    made = how(TASKS[task])
    assert made == TASKS[task]
    assert hash(made) == hash(TASKS[task])
    assert type(made.roles[0].rewards) is type(TASKS[task].roles[0].rewards)


def test_rewards_cannot_be_changed() -> None:
    rewards: Any = RoleConfig(rewards={"click": 1.0}).rewards
    for change in (
        lambda: rewards.update(cart=1.0),
        lambda: rewards.__setitem__("click", 2.0),
        lambda: rewards.pop("click"),
        rewards.clear,
        lambda: rewards.__ior__({"cart": 1.0}),
        lambda: rewards.setdefault("cart", 1.0),
        lambda: rewards.__delitem__("click"),
        rewards.popitem,
    ):
        with pytest.raises(TypeError, match="frozen config"):
            change()
    assert rewards == {"click": 1.0}


# ------------------------------------------------------------------------------------------------ beside a catalogue


def small_catalogue(seed: int = 0) -> Catalogue:
    rng = np.random.default_rng(seed)
    items, users, dims, topics, habits = 30, 6, 4, 5, 3

    def unit(rows: int) -> np.ndarray:
        q = rng.standard_normal((rows, dims)).astype(np.float32)
        return q / np.linalg.norm(q, axis=1, keepdims=True)

    return Catalogue(
        item_vectors=unit(items),
        item_topic=np.arange(items, dtype=np.int32) % topics,
        item_intercept=rng.normal(0, 1, items).astype(np.float32),
        item_price=rng.lognormal(0, 0.5, items).astype(np.float32),
        item_popularity=rng.lognormal(2, 1, items).astype(np.float32),
        item_price_ratio=np.ones((items, 0), np.float32),
        user_taste=unit(users),
        user_price_sensitivity=np.ones(users, np.float32),
        user_activity=rng.lognormal(0, 1, users).astype(np.float32),
        habit_item=rng.integers(0, items, (users, habits)).astype(np.int32),
        habit_count=np.ones((users, habits), np.float32),
        item_domain=np.arange(items, dtype=np.int32) % 2,
        item_name=np.array([f"item {j}" for j in range(items)]),
        item_text=np.array([""] * items),
        topic_name=np.array([f"topic {t}" for t in range(topics)]),
        domain_name=np.array(["left", "right"]),
    )


SPEAKING = {"request": 1.0, "request_vague": 0.5, "request_misleading": 0.5}
# Everything that a user or an item can have is in play.
RICH = WorldConfig(
    slots=3,
    horizon=200,
    candidates={"number": 8},
    scenes=({"name": "page", "cart": True},),
    page="rows",
    users={"habit_size": 4, "wallet_init": 3.0, "wallet_refill": 0.02, **SPEAKING},
    items={
        "providers": 3,
        "promotion_probability": 0.4,
        "promotion_depth": 0.3,
        "promotion_period": 20,
        "stock_init": 3,
        "restock_period": 40,
        "life": 50,
        "period": 70,
    },
    choice={"v_0": 0.0, "beta_price": 1.5, "beta_repeat": 0.5, "beta_pop": 0.2, "beta_intent": 1.0, "beta_trust": 0.5},
    feedback={"b_0": 0.0, "rating_after_click": 0.5},
    arrival={"d_0": 0.1, "r_0": 1.0},
    observation={"request": True},
    reward={"purchase": 1.0},
)
BESIDE: dict[str, dict[str, Any]] = {"title_signal": {"titles": "goods"}}  # what a field needs
OF_USERS_AND_ITEMS = [
    (group, f) for group in ("users", "items") for f in dataclasses.fields(getattr(RICH, group)) if "low" in f.metadata
]


def history(config: WorldConfig) -> list[np.ndarray]:
    """The world beside its parameters, all requests and rewards of an episode in it, and how it ends."""
    envs = VectorEnv(config, 2, catalogue=small_catalogue())
    envs.reset(seed=0)
    rng, kept = np.random.default_rng(0), [array.copy() for array in envs.world[1:]]
    for _ in range(config.horizon - 1):
        observations, rewards, *_ = envs.step(rng.integers(0, 8, (2, 2, 3)))
        kept += [envs.field(observations, "request").copy(), rewards]
    return [*kept, *envs.save().arrays]


@pytest.fixture(scope="module")
def rich_history() -> list[np.ndarray]:
    return history(RICH)


@pytest.mark.parametrize(
    ("group", "f"), [pytest.param(group, f, id=f"{group}.{f.name}") for group, f in OF_USERS_AND_ITEMS]
)
def test_what_a_catalogue_gives_and_what_it_leaves_to_the_config(
    group: str, f: Any, rich_history: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field is declared as the catalogue's if and only if its value makes no difference beside one."""
    value = getattr(getattr(RICH, group), f.name)
    other = not value if type(value) is bool else value + 1 if type(value) is int else value * 0.7 + 0.05
    changed = replace(RICH, {group: {f.name: other, **BESIDE.get(f.name, {})}})
    if f.metadata["from_catalogue"]:
        with pytest.raises(
            ValueError,
            match=rf"{group}\.{f.name} = .* would be ignored, since the catalogue gives it; leave the default",
        ):
            VectorEnv(changed, catalogue=small_catalogue())
    monkeypatch.setattr("recsys_env.batch.game.check_catalogue_fields", lambda config: None)
    found = history(changed)
    same = len(found) == len(rich_history) and all(
        a.shape == b.shape and (a == b).all() for a, b in zip(found, rich_history, strict=True)
    )
    assert same == f.metadata["from_catalogue"]


def test_fields_that_a_catalogue_gives_cannot_be_set_beside_it() -> None:
    message = (
        r"WorldConfig: users\.number = 100 would be ignored, since the catalogue gives it; "
        r"leave the default, users\.number = 8$"
    )
    for call in (
        lambda: parallel_env("grocery-v1", users={"number": 100}),
        lambda: replace(TASKS["grocery-v1"], {"users": {"number": 100}}),
        lambda: WorldConfig(catalogue="grocery", users={"number": 100}),
        lambda: vector_env(WorldConfig(users={"number": 100}), catalogue="grocery"),
        lambda: recsys_env.single_agent_env("ecommerce-v1", users={"number": 100}, catalogue=small_catalogue()),
        lambda: recsys_env.shared_policy_env("social-v1", users={"number": 100}, catalogue=small_catalogue()),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(
        ValueError, match=r"users\.topics = 4, items\.dims = 8 would be .* users\.topics = 3, items\.dims = 16"
    ):
        WorldConfig(catalogue="grocery", items={"dims": 8}, users={"topics": 4})


def test_a_catalogue_takes_the_place_of_a_tasks_own_items_and_users() -> None:
    """What describes these in the task is not what its user asked for."""
    envs = vector_env("journey-v1", catalogue=small_catalogue(), users={"habit_size": 2})
    assert (envs.shape.users, envs.shape.items, envs.config.items.number) == (6, 30, 200)
    assert envs.config.choice == TASKS["journey-v1"].choice
    settings = Catalogue.load("grocery").settings
    assert vector_env(WorldConfig(**settings), catalogue="grocery").shape.users == 2434
    assert vector_env(TASKS["grocery-v1"], catalogue=small_catalogue()).shape.users == 6


def test_moods_beside_a_catalogue_need_its_topics() -> None:
    with pytest.raises(
        ValueError,
        match=r"a task with moods \(choice.v_0_by_mood = \(.*\)\) is made for its own 2 topics and takes no catalogue",
    ):
        vector_env("duel-v1", catalogue=small_catalogue())
    moods = {"choice": {"v_0_by_mood": (0.0, 1.0)}, "dynamics": {"mood_up": (0.1,) * 12, "mood_down": (0.1,) * 12}}
    with pytest.raises(
        ValueError, match="mood_up and mood_down have 12 and 12 entries, but the catalogue has 5 topics"
    ):
        vector_env(WorldConfig(**moods), catalogue=small_catalogue())
    moods["dynamics"] = {"mood_up": (0.1,) * 35, "mood_down": (0.1,) * 35}
    assert vector_env(WorldConfig(catalogue="grocery", **moods)).world.topics.shape == (35,)
    with pytest.raises(ValueError, match="have 35 and 0 entries, but the catalogue has 35 topics"):
        vector_env(replace(WorldConfig(catalogue="grocery", **moods), {"dynamics": {"mood_down": ()}}))


# ------------------------------------------------------------------------------------------------ tasks


def test_agent_names() -> None:
    assert WorldConfig(num_agents=3).agents == ["recommender_0", "recommender_1", "recommender_2"]
    assert TASKS["journey-v1"].agents == ["entrance_0", "item_0", "cart_0"]


def test_grocery_holds_the_numbers_of_its_fit() -> None:
    settings = Catalogue.load("grocery").settings
    assert settings
    for group, values in settings.items():
        for name, value in values.items():
            assert getattr(getattr(TASKS["grocery-v1"], group), name) == pytest.approx(value, abs=1e-2), (
                f"{group}.{name}"
            )


MAKERS = (
    *("parallel_env", "env", "vector_env", "single_agent_env", "single_agent_vector_env", "shared_policy_env"),
    "text_env",
)


def test_arguments_of_constructors_are_told_from_fields() -> None:
    """A misplaced argument is answered with the names of all constructors that take it, and of no other."""
    takes: dict[str, list[str]] = {}
    for maker in MAKERS:
        for name in inspect.signature(getattr(recsys_env, maker)).parameters:
            if name not in ("task", "overrides") and name not in {f.name for f in dataclasses.fields(WorldConfig)}:
                takes.setdefault(name, []).append(maker)
    assert takes.keys() == _ARGUMENTS.keys()
    for name, makers in takes.items():
        assert set(re.findall(r"\w+_env|\benv\b", _ARGUMENTS[name])) == set(makers), name
