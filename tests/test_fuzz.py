"""Every public method, given what it cannot use: one clear line that names the argument and the value, and nothing
changes.

Methods and functions are found by looking, so that a new one is asked as well: a new argument needs a value that it
takes (`GOOD`), and what else it may take (`TAKEN`).
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import inspect
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judging import Case, judge, texts
from worlds import SMALL, games_of

import recsys_env
from recsys_env import VectorEnv, checks, fitting, policies
from recsys_env.batch.base import Batch, Snapshot, copy_seed
from recsys_env.batch.worlds import Worlds
from recsys_env.config import scenarios
from recsys_env.evaluation import tuning
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.experiments import Protocol, sparse
from recsys_env.language.nearest import TextNearest
from recsys_env.language.policy import ListingPolicy
from recsys_env.policies.bandits import LinearThompson, LinUCB
from recsys_env.policies.linear import LinearRanker
from recsys_env.world.arrays import State


@dataclass(frozen=True)
class Later:
    """An argument that its test makes, because it needs compiled code: made while tests are collected, all processes
    of xdist would wait for one that compiles."""

    make: Callable[[], Any]


def itself() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


class Odd:
    """What fails whatever is asked of it."""

    def __repr__(self) -> str:
        return "Odd()"

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise ValueError("it is no array")

    def __len__(self) -> int:
        raise TypeError("it has no length")

    def __index__(self) -> int:
        raise ValueError("it is no number")

    def __float__(self) -> float:
        raise ValueError("it is no number")


VALUES: dict[str, Callable[[], Any]] = {
    repr(value)[:60]: lambda value=value: value  # type: ignore[misc]
    for value in (
        *(
            None,
            True,
            False,
            math.nan,
            math.inf,
            -math.inf,
            1.5,
            0.0,
            -0.5,
            -1,
            2,
            10**6,
            2**31,
            2**63,
            2**64,
            -(2**63) - 1,
        ),
        *(
            1 + 2j,
            "",
            "x",
            "é\nx",
            "nan",
            b"x",
            bytearray(b"x"),
            (),
            (1, 2),
            range(2),
            slice(2),
            Ellipsis,
            NotImplemented,
        ),
        *(object, len, int, decimal.Decimal("1.5"), fractions.Fraction(1, 3), datetime.date(2020, 1, 1), Path("x")),
        *(np.float64(1.5), np.float32(np.nan), np.int64(-1), np.bool_(True), np.datetime64("2020-01-01")),
        *(np.timedelta64(1, "s"), np.str_("x"), ValueError("x"), frozenset({1})),
    )
}
VALUES |= {
    "10**400": lambda: 10**400,
    "10**5000": lambda: 10**5000,
    "a long word": lambda: "x" * 5000,
    "[]": list,
    "{}": dict,
    "set()": set,
    "object()": object,
    "Odd()": Odd,
    "itself": itself,
    "ragged": lambda: [[1], [1, 2]],
    "mixed": lambda: [1, "a"],
    "nothing in a list": lambda: [None],
    "a list of floats": lambda: [0.5, 1.5],
    "a list of NaN": lambda: [math.nan, math.nan],
    "a huge number in a list": lambda: [10**400],
    "a list of lists": lambda: [[0, 1]],
    "a dict": lambda: {"a": 1},
    "a dict of agents": lambda: {"recommender_0": None},
    "a dict of numbers": lambda: {1: 2},
    "a generator": lambda: (i for i in range(2)),
    "an iterator": lambda: iter([1]),
    "empty": lambda: np.zeros(0),
    "no rows": lambda: np.zeros((0, 3), int),
    "another shape": lambda: np.zeros((7, 5, 3), int),
    "a scalar array": lambda: np.array(1.5),
    "NaN": lambda: np.full(3, np.nan),
    "negative": lambda: np.array([-1, -1]),
    "far": lambda: np.array([2**62, 0]),
    "unsigned": lambda: np.array([2**64 - 1], np.uint64),
    "words": lambda: np.array(["a", "b"]),
    "bytes": lambda: np.array([b"a"]),
    "objects": lambda: np.array([None, object()]),
    "complex": lambda: np.zeros(2, complex),
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "time spans": lambda: np.zeros(2, "timedelta64[s]"),
    "records": lambda: np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "truths": lambda: np.zeros(2, bool),
    "halves": lambda: np.full(2, 0.5, np.float16),
    "masked": lambda: np.ma.masked_array([0.5, 1.5], [True, False]),
    "another order": lambda: np.zeros((2, 2), ">f8"),
    "a memoryview": lambda: memoryview(b"ab"),
    "a module": lambda: np,
    "an environment": lambda: recsys_env.vector_env("duel-v1"),
}


def truth(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def whole(value: Any, low: int, high: float) -> bool:
    """Whether it is a whole number in this range."""
    return checks.is_number(value, int, np.integer) and low <= value <= high


def numbers(value: Any, kinds: str) -> np.ndarray | None:
    """The array that it makes of finite numbers."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None
    if not array.size:
        return np.zeros(array.shape)
    return array if array.dtype.kind in kinds and np.isfinite(array).all() else None


def items(value: Any) -> bool:
    array = numbers(value, "iu")
    return array is not None and array.ndim == 1 and (not array.size or 0 <= array.min() <= array.max() < 20)


def multipliers(value: Any) -> bool:
    array = numbers(value, "iuf")
    return array is not None and array.shape in ((), (2,)) and array.min() > 0


def paid(value: Any) -> bool:
    array = numbers(value, "iuf")
    return array is not None and array.shape == (2,) and array.min() >= 0


def places(value: Any) -> bool:
    array = numbers(value, "iu")
    return value is None or (array is not None and array.shape in ((), (2,)) and 0 <= array.min() <= array.max() < 3)


def seeds(value: Any) -> bool:
    """Of a batch of two copies; one for both, or one for each."""
    return seed(value) or (checks.is_sequence(value) and len(value) == 2 and all(whole(v, 0, 2**64 - 1) for v in value))


def seed(value: Any) -> bool:
    return value is None or whole(value, 0, 2**64 - 1)


def slate(value: Any) -> bool:
    """Of two places among six candidates; truth values count as 0 and 1."""
    array = numbers(value, "iub")
    return array is not None and array.shape == (2,) and 0 <= array.min() <= array.max() < 6


def slates(value: Any) -> bool:
    """Any number of slates of two places among six candidates."""
    array = numbers(value, "iu")
    return array is not None and array.shape[-1:] == (2,) and (not array.size or 0 <= array.min() <= array.max() < 6)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Of the array of numbers that it makes."""
    array = numbers(value, "iuf")
    return None if array is None else array.shape


def halves(value: Any) -> bool:
    """Probabilities of two states."""
    array = numbers(value, "iuf")
    return array is not None and array.shape == (2,) and bool((array == 0.5).all())


def row_of_numbers(value: Any) -> bool:
    """Finite ones [E], one or more."""
    array = numbers(value, "iuf")
    return array is not None and array.ndim == 1 and array.size > 0


def finite(value: Any) -> bool:
    try:
        return checks.is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_path(value: Any) -> bool:
    return isinstance(value, str | Path)


def persons(value: Any) -> bool:
    try:
        return all(checks.is_number(person, int, np.integer) for person in value) and len(value) >= 0
    except TypeError:
        return False


def words(value: Any) -> bool:
    """That agents talk with: of a task without messages, none."""
    return checks.is_sequence(value) and not len(value)


# Argument -> whether an odd value is none to it.
TAKEN: dict[str, Callable[[Any], bool]] = {
    "options": lambda value: value is None or isinstance(value, Mapping),
    "seed": seeds,
    "action": slate,
    "copy": lambda value: value is None or whole(value, 0, 1),
    "picks": slates,
    "levels": lambda value: value is None,  # of a task without prices
    "words": lambda value: value is None,  # of a task without messages
    "b": lambda value: whole(value, 0, 2**63 - 1),
    "n": lambda value: whole(value, 0, 1),
    "items": items,
    "tick": lambda value: whole(value, 0, 30),
    "multipliers": multipliers,
    "paid": paid,
    "user_slots": places,
    "max_iter": lambda value: whole(value, 0, 2**63),
    "observe": lambda value: True,  # PettingZoo's own: a truth value
}


def no_names(value: Any) -> bool:
    """Whether this is an empty list, or no list for any agent."""
    return (isinstance(value, Mapping) or checks.is_sequence(value)) and len(value) == 0


def nobody(value: Any) -> bool:
    """Whether these are no policies."""
    return value is None or (isinstance(value, Mapping) and not value)


def good(subject: Any, name: str) -> Any:
    """A value that this argument takes."""
    envs = subject if isinstance(subject, Batch) else getattr(subject, "vector", None)
    values: dict[str, Callable[[], Any]] = {
        "options": lambda: None,
        "picks": lambda: np.zeros(SMALL.slots, int),
        "levels": lambda: None,
        "words": lambda: None,
        "seed": lambda: 1,
        "copy": lambda: None,
        "n": lambda: 0,
        "items": lambda: [1, 2],
        "tick": lambda: 3,
        "multipliers": lambda: 1.0,
        "paid": lambda: [1.0, 2.0],
        "user_slots": lambda: None,
        "max_iter": lambda: 1,
        "observe": lambda: True,
        "name": lambda: "role",
        "agent": lambda: "recommender_0",
        "observation": lambda: envs.observations[0, 0],
        "observations": lambda: envs.observations,
        "snapshot": lambda: subject.save(),
        "action": lambda: np.zeros(SMALL.slots, int),
        "actions": lambda: actions_of(subject),
    }
    return values[name]()


def actions_of(subject: Any) -> Any:
    if isinstance(subject, Batch):
        return subject.empty_actions()
    if hasattr(subject, "single_action_space"):
        return np.zeros((subject.num_envs, SMALL.slots), int)
    if isinstance(subject, recsys_env.language.TextEnv):
        return dict.fromkeys(subject.possible_agents, "1, 2")
    return dict.fromkeys(subject.possible_agents, np.zeros(SMALL.slots, int))


SUBJECTS: dict[str, Callable[[], Any]] = {
    "VectorEnv": lambda: recsys_env.vector_env(SMALL, 2),
    "FocalBatch": lambda: recsys_env.FocalBatch(
        recsys_env.vector_env(SMALL, 2, num_agents=3), {"recommender_1": "random"}
    ),
    "Worlds": lambda: Worlds(SMALL, 2, (1, 2)),
    "RecommendationEnv": lambda: recsys_env.parallel_env(SMALL),
    "RecommendationAEC": lambda: recsys_env.env(SMALL),
    "SingleAgentEnv": lambda: recsys_env.single_agent_env(SMALL),
    "SharedPolicyVectorEnv": lambda: recsys_env.shared_policy_env(SMALL, 2),
    "SingleAgentVectorEnv": lambda: recsys_env.single_agent_vector_env(SMALL, 2),
    "TextEnv": lambda: recsys_env.text_env(SMALL),
}
NOT_OURS = {"get_wrapper_attr", "has_wrapper_attr", "set_wrapper_attr", "close", "close_extras"}  # Gymnasium's
ONE = {"RecommendationEnv", "RecommendationAEC", "SingleAgentEnv", "TextEnv"}  # of one copy


def started(name: str) -> Any:
    subject = SUBJECTS[name]()
    subject.reset(seed=3)
    return subject


def state_of(subject: Any) -> bytes:
    games = games_of(subject)
    parts = [array.tobytes() for game in games for array in (*game.arrays, *game.report)]
    told = [getattr(subject, name, None) for name in ("agents", "agent_selection", "rewards", "truncations")]
    return b"|".join([*parts, repr(([game._seed for game in games], told)).encode()])


def methods(subject: Any) -> Iterator[tuple[str, str]]:
    """Public methods of a subject and their arguments."""
    for method in sorted({*dir(type(subject)), *vars(subject)}):
        call = vars(subject).get(method, inspect.getattr_static(type(subject), method, None))
        if method.startswith("_") or method in NOT_OURS or not (inspect.isfunction(call) or inspect.ismethod(call)):
            continue
        for argument in inspect.signature(getattr(subject, method)).parameters.values():
            if argument.kind is not argument.VAR_KEYWORD:
                yield method, argument.name


def problems(calls: Iterator[tuple[str, str, Any, Callable[[], Any], Callable[[], bytes] | None]]) -> list[str]:
    """What is wrong with the answers to calls (what, argument, value, call, state)."""
    found = []
    for what, argument, value, call, state in calls:
        values = () if isinstance(value, Mapping) and argument == "actions" else told(value)
        names = tuple({argument, argument.rstrip("s"), *NAMED.get(argument, ())})
        verdict, said = judge(Case(what, call, names, values, state))
        if verdict != "clear":
            found.append(f"{what}: {verdict}: {said}")
    return found


def told(value: Any) -> tuple[str, ...]:
    """How a message may tell a value."""
    if isinstance(value, (str, Mapping)) and not value:  # nothing to be told
        return ()
    try:
        return texts(value) + (texts(list(value)) if isinstance(value, range | np.ndarray) and np.ndim(value) else ())
    except ValueError:  # Python writes no integers of so many digits
        return (type(value).__name__,)


# How else a message may name an argument.
NAMED = {
    "answer": ("text",),
    "model": ("encoder", "folder"),
    "encoder": ("model",),
    "policies": ("policy", "agent"),
    "joint_action": ("action",),
    "page": ("Page",),
    "name": ("fields", "catalogue"),
    "task": ("config",),
    "config": ("task",),
    "actions": ("agent", "action"),
    "learners": ("agent", "recommender"),
    "policy": ("policies",),
    "background": ("policy", "recommender", "agent", "policies"),
    "names": ("scenario",),
    "seeds": ("world_seed",),
    "b": ("copy",),
    "low": ("samples",),
    "high": ("samples",),
    "trained": ("policies", "policy", "agent"),
    "states": ("field",),
    "without": ("feature",),
    "path": ("is missing", "cannot be read"),  # whose message begins with it
}


def calls_of(name: str, method: str, argument: str) -> Iterator[Any]:
    """This method with what this argument does not take, each after the other on one subject."""
    subject, taken = started(name), TAKEN
    if argument == "seed" and name in ONE:
        taken = TAKEN | {"seed": seed}
    if method == "decode_actions":
        taken = TAKEN | {"actions": slates}
    signature = inspect.signature(getattr(subject, method))
    others = {
        other.name: good(subject, other.name)
        for other in signature.parameters.values()
        if other.name != argument and other.default is other.empty
    }
    good(subject, argument)  # raises for a new argument, which needs one
    for label, make in VALUES.items():
        value = make()
        if argument in taken and taken[argument](value):
            continue
        what = f"{name}.{method}({argument}={label})"
        call = lambda value=value: getattr(subject, method)(**others, **{argument: value})  # noqa: E731
        yield what, argument, value, call, lambda: state_of(subject)


@pytest.mark.parametrize("name", SUBJECTS)
def test_methods_refuse_what_they_cannot_use(name: str) -> None:
    asked = list(methods(started(name)))
    assert len(asked) > 2
    found = [problem for method, argument in asked for problem in problems(calls_of(name, method, argument))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["VectorEnv", "FocalBatch"])
def test_a_world_is_refused_unless_it_is_one(name: str) -> None:
    [envs] = games_of(started(name))

    def calls() -> Iterator[Any]:
        for label, make in VALUES.items():
            value = make()
            yield (
                f"world = {label}",
                "world",
                value,
                lambda value=value: setattr(envs, "world", value),
                lambda: state_of(envs),
            )

    assert not problems(calls())
    with pytest.raises(ValueError, match=r"world\.items = .* must be .* as in the world before"):
        envs.world = envs.world._replace(items=envs.world.items[:-1])


@pytest.mark.parametrize("name", ["VectorEnv", "RecommendationEnv"])
def test_snapshots_of_odd_parts_are_refused(name: str) -> None:
    """Each part of a snapshot, and each of its arrays, in place of the right one."""
    subject = started(name)
    saved = subject.save()

    def calls() -> Iterator[Any]:
        for label, make in VALUES.items():
            value = make()
            for part in ("config", "arrays", "world"):
                odd = Snapshot(**{"config": saved.config, "arrays": saved.arrays, "world": saved.world, part: value})
                yield (
                    f"restore({part}={label})",
                    "snapshot",
                    "",
                    lambda odd=odd: subject.restore(odd),
                    lambda: state_of(subject),
                )
            for array in State._fields:
                if np.shape(getattr(saved.arrays, array))[1:] == () and label == "empty":
                    continue
                odd = Snapshot(saved.config, saved.arrays._replace(**{array: value}), saved.world)
                yield (
                    f"restore({array}={label})",
                    "snapshot",
                    "",
                    lambda odd=odd: subject.restore(odd),
                    lambda: state_of(subject),
                )

    found = [f for f in problems(calls()) if "does not tell the value" not in f]
    assert not found, "\n".join(found)


# ------------------------------------------------------------------------------------------------ constructors

MADE: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Callable[[Any], bool]]]] = {
    "vector_env": (
        recsys_env.vector_env,
        {
            **{"task": SMALL, "num_envs": 1, "num_threads": 1, "device": "cpu", "catalogue": None},
            **{"specialize": "auto", "copy": True, "observation_format": "flat"},
        },
        {
            "num_envs": lambda v: whole(v, 1, 2**31),
            "specialize": lambda v: truth(v) or (isinstance(v, str) and v == "auto"),
            "copy": truth,
            "num_threads": lambda v: whole(v, 1, 2),
            "catalogue": lambda v: v is None,
        },
    ),
    "parallel_env": (
        recsys_env.parallel_env,
        {"task": SMALL, "render_mode": None, "catalogue": None, "observation_format": "flat"},
        {"render_mode": lambda v: v is None, "catalogue": lambda v: v is None},
    ),
    "env": (
        recsys_env.env,
        {"task": SMALL, "render_mode": None, "catalogue": None, "observation_format": "flat"},
        {"render_mode": lambda v: v is None, "catalogue": lambda v: v is None},
    ),
    "text_env": (
        recsys_env.text_env,
        {
            **{"task": SMALL, "render_mode": None, "catalogue": None, "words": ()},
            **{"background": None, "learners": None},
        },
        {
            **dict.fromkeys(("render_mode", "catalogue", "learners"), lambda v: v is None),
            **{"words": words, "background": nobody},
        },
    ),
    "single_agent_env": (
        recsys_env.single_agent_env,
        {
            **{"task": SMALL, "agent": None, "background": "random", "render_mode": None, "catalogue": None},
            "observation_format": "flat",
        },
        {
            "agent": lambda v: v is None,
            "background": lambda v: v is None,
            "render_mode": lambda v: v is None,
            "catalogue": lambda v: v is None,
        },
    ),
    "single_agent_vector_env": (
        recsys_env.single_agent_vector_env,
        {
            "task": SMALL,
            "num_envs": 1,
            "agent": None,
            "background": "random",
            "autoreset_mode": "NextStep",
            "num_threads": 1,
            "catalogue": None,
            "specialize": "auto",
            "observation_format": "flat",
        },
        {
            "num_envs": lambda v: whole(v, 1, 2**31),
            "num_threads": lambda v: whole(v, 1, 2),
            "specialize": lambda v: truth(v) or (isinstance(v, str) and v == "auto"),
            "agent": lambda v: v is None,
            "background": lambda v: v is None,
            "catalogue": lambda v: v is None,
        },
    ),
    "shared_policy_env": (
        recsys_env.shared_policy_env,
        {
            **{"task": SMALL, "num_copies": 1, "autoreset_mode": "NextStep", "num_threads": 1, "catalogue": None},
            **{"specialize": "auto", "observation_format": "flat"},
        },
        {
            "specialize": lambda v: truth(v) or (isinstance(v, str) and v == "auto"),
            "num_copies": lambda v: whole(v, 1, 2**31),
            "num_threads": lambda v: whole(v, 1, 2),
            "catalogue": lambda v: v is None,
        },
    ),
    "FocalBatch": (
        recsys_env.FocalBatch,
        {"envs": Later(lambda: recsys_env.vector_env(SMALL)), "background": "random", "learners": ["recommender_0"]},
        {"envs": lambda v: isinstance(v, VectorEnv), "learners": lambda v: v is None},
    ),
    "Worlds": (
        Worlds,
        {"config": SMALL, "num_envs": 2, "seeds": (1, 2), "num_threads": 1},
        {
            "num_envs": lambda v: whole(v, 2, 2**31) and v % 2 == 0,
            "num_threads": lambda v: whole(v, 1, 2),
            "seeds": lambda v: checks.is_sequence(v) and seeds(v),
        },
    ),
    "copy_seed": (
        copy_seed,
        {"seed": 1, "b": 0},
        {"seed": lambda v: whole(v, 0, 2**64 - 1), "b": lambda v: whole(v, 0, 2**31)},
    ),
    "scenarios_of": (
        scenarios.scenarios_of,
        {"names": ("duel-v1",)},
        {"names": lambda v: checks.is_sequence(v) and len(v) == 0},
    ),
    "Scenario": (
        recsys_env.Scenario,
        {"task": "duel-v1", "background": {"recommender_1": "greedy"}, "about": "one"},
        {"about": lambda v: isinstance(v, str), "background": lambda v: isinstance(v, Mapping) and not v},
    ),
    "Scenario.team": (
        recsys_env.SCENARIOS["duel-v1/greedy"].team,
        {"policy": "random"},
        {"policy": lambda v: isinstance(v, str)},
    ),
}
PAYOFFS = np.array([[1.0, 0.0], [0.0, 1.0]])
REWARDS = np.tile(PAYOFFS.ravel(), (2, 1))  # in both states
GAME = recsys_env.exact.MarkovGame(
    *(("s0", "s1"), ("recommender_0", "recommender_1"), ("X", "Y"), np.full((2, 4, 2), 0.5)),
    *(np.stack([REWARDS, -REWARDS]), np.stack([REWARDS, -REWARDS]), np.array([1.0, 0.0])),
)
POLICIES = [np.zeros(len(GAME.states), int)] * len(GAME.agents)
PAGE = recsys_env.language.Page(
    *("recommender_0", 1, "", 1, 1, None, None, (), (), (), (), False, (), "", "", {}, {}),
    (recsys_env.language.Candidate(0, "a", "", None, {}), recsys_env.language.Candidate(1, "b", "", None, {})),
    *(0, ()),
)
MADE |= {
    f"exact.{name}": (getattr(recsys_env.exact, name), arguments, taken)
    for name, (arguments, taken) in {
        "best_response": ({"game": GAME, "policies": POLICIES, "agent": 0, "criterion": recsys_env.exact.AVERAGE}, {}),
        "correlated_equilibrium": (
            {"payoffs": np.stack([PAYOFFS, PAYOFFS])},
            {"payoffs": lambda v: shape_of(v) == (1, 2)},  # of one player
        ),
        "counterfactual": (
            {
                **{"state": Later(lambda: started("RecommendationEnv")), "joint_action": np.zeros((2, 2), int)},
                **{"alternative": np.ones((2, 2), int), "horizon": 2, "n": 2, "policies": "random", "seed": 0},
            },
            {
                "state": lambda v: isinstance(v, VectorEnv),  # one that was not reset, which has no value to be told
                "horizon": lambda v: whole(v, 1, 10**8),
                "n": lambda v: whole(v, 2, 2**31),
                "seed": lambda v: whole(v, 0, 2**64 - 1),
            },
        ),
        "discounted": ({"discount": 0.9}, {"discount": lambda v: checks.is_number(v) and 0 <= v < 1}),
        "empirical_game": (
            {"game": GAME, "policies": [[p] for p in POLICIES], "criterion": recsys_env.exact.AVERAGE},
            {},
        ),
        "evaluate": (
            {"game": GAME, "policies": POLICIES, "criterion": recsys_env.exact.AVERAGE, "individual": False},
            {"individual": lambda v: isinstance(v, (bool, np.bool_))},
        ),
        "finite": ({"horizon": 3}, {"horizon": lambda v: whole(v, 1, math.inf)}),
        "matrix_value": ({"payoffs": PAYOFFS}, {"payoffs": lambda v: shape_of(v) in ((1, 2), (2, 2))}),
        "mixed_equilibria": ({"payoffs": np.stack([PAYOFFS, PAYOFFS])}, {}),
        "nash_conv": ({"game": GAME, "policies": POLICIES, "criterion": recsys_env.exact.AVERAGE}, {}),
        "pure_policies": ({"game": GAME, "criterion": recsys_env.exact.AVERAGE}, {}),
        "regrets": ({"game": GAME, "policies": POLICIES, "criterion": recsys_env.exact.AVERAGE}, {}),
        "tabulate": ({"task": "duel-v1", "max_states": 1000}, {"max_states": lambda v: whole(v, 1, 10**6)}),
        "team_optimum": ({"game": GAME, "criterion": recsys_env.exact.AVERAGE}, {}),
        "zero_sum_value": ({"game": GAME, "discount": 0.9}, {"discount": lambda v: checks.is_number(v) and 0 <= v < 1}),
    }.items()
}
MADE |= {
    f"language.{name}": (getattr(recsys_env.language, name), arguments, taken)
    for name, (arguments, taken) in {
        "describe": ({"page": PAGE}, {}),
        "parse": ({"answer": "1", "page": PAGE}, {"answer": lambda v: isinstance(v, str)}),
        "Reader": ({"words": ()}, {"words": lambda v: checks.is_sequence(v) and all(isinstance(w, str) for w in v)}),
        "TextPolicy": (
            {"answer": str, "words": ()},
            {"answer": callable, "words": lambda v: checks.is_sequence(v) and all(isinstance(w, str) for w in v)},
        ),
        "TextRollout": (
            {"env": Later(lambda: recsys_env.text_env(SMALL)), "pages": None, "warmup": 0, "tools": ()},
            {
                "pages": lambda v: v is None or whole(v, 1, 10**9),
                "warmup": lambda v: whole(v, 0, SMALL.horizon - 1),
                "tools": no_names,
            },
        ),
        "Tools": ({"env": Later(lambda: recsys_env.text_env(SMALL)), "agent": "recommender_0"}, {}),
        "rollout_factory": (
            {
                **{"task": SMALL, "background": None, "learners": None, "pages": None, "warmup": 0, "tools": ()},
            },
            {
                "background": lambda v: nobody(v) or callable(v),  # what it makes is looked at
                "learners": lambda v: v is None,
                "pages": lambda v: v is None or whole(v, 1, 10**9),
                "warmup": lambda v: whole(v, 0, SMALL.horizon - 1),
                "tools": no_names,
            },
        ),
        "schema": ({"name": "search"}, {}),
        "Limits": (
            {"calls": 1.0, "tokens": 1.0, "seconds": 1.0, "page_seconds": None},
            {
                **dict.fromkeys(("calls", "tokens", "seconds"), lambda v: checks.is_number(v) and v > 0),
                "page_seconds": lambda v: v is None or (checks.is_number(v) and v > 0),
            },
        ),
        "encode": (
            {"texts": ["a"], "model": "hashing", "device": None, "cache": False},
            {
                "texts": lambda v: checks.is_sequence(v) and all(isinstance(w, str) for w in v),
                **dict.fromkeys(("device", "cache"), lambda v: True),  # of an encoder; hashing has none
            },
        ),
        "open_model": (
            {"name": "http://127.0.0.1:9/v1#tiny", "options": None},
            {"options": lambda v: v is None or (isinstance(v, Mapping) and all(isinstance(n, str) for n in v))},
        ),
    }.items()
}
EPISODE = cache(lambda: begin_episodes(SMALL, "random", 1, 0))
GROCERY = recsys_env.Catalogue.load("grocery")
SAMPLES = np.array([1.0, 2.0, 4.0])
MADE |= {
    f"evaluation.{name}": (getattr(recsys_env.evaluation, name), arguments, taken)
    for name, (arguments, taken) in {
        "compared": ({"config": SMALL}, {}),
        "episode_returns": (
            {
                **{"task": SMALL, "policies": "random", "episodes": 1, "seed": 0, "num_threads": 1},
                "catalogue": None,
            },
            {
                "task": lambda v: isinstance(v, VectorEnv),
                "episodes": lambda v: whole(v, 1, 2**31),
                "seed": lambda v: whole(v, 0, 2**64 - 1),
                "num_threads": lambda v: whole(v, 1, 2),
                "catalogue": lambda v: v is None,
            },
        ),
        "mean_interval": (
            {"samples": SAMPLES, "among": 1},
            {"samples": row_of_numbers, "among": lambda v: whole(v, 1, 10**9)},
        ),
        "measure": ({"log": Later(lambda: recsys_env.evaluation.EpisodeLog(recsys_env.vector_env(SMALL)))}, {}),
        "metric": (
            {"unit": "1", "better": "higher", "source": "this test"},
            {"better": lambda v: isinstance(v, str) and v == "", **dict.fromkeys(("unit", "source"), is_text)},
        ),
        "normalised_score": ({"samples": SAMPLES, "low": SAMPLES, "high": SAMPLES + 1}, {}),
        "place_on_scale": ({"samples": {"a": SAMPLES, "b": SAMPLES + 1}, "low": "a", "high": "b"}, {}),
        "play_episode": (
            {
                "envs": Later(lambda: EPISODE()[0]),
                "team": Later(lambda: EPISODE()[1]),
                "observations": Later(lambda: EPISODE()[2]),
                "log": None,
                "paid": None,
            },
            {
                "envs": lambda v: isinstance(v, VectorEnv),  # that of another team
                **dict.fromkeys(("log", "paid"), lambda v: v is None),
            },
        ),
        "record": (
            {
                **{"task": SMALL, "policies": "random", "episodes": 1, "seed": 0, "out": None, "num_threads": 1},
                **{"catalogue": None, "columns": ()},
            },
            {
                "task": lambda v: isinstance(v, VectorEnv),
                "episodes": lambda v: whole(v, 1, 2**31),
                "seed": lambda v: whole(v, 0, 2**64 - 1),
                "out": lambda v: v is None or is_path(v),
                "num_threads": lambda v: whole(v, 1, 2),
                "catalogue": lambda v: v is None,
                "columns": lambda v: checks.is_sequence(v) and not len(v),
            },
        ),
        "scale_ends": ({"config": SMALL}, {}),
        "score_table": (
            {"config": SMALL, "trained": dict.fromkeys(SMALL.agents, "random"), "episodes": 1, "seed": 0},
            {"episodes": lambda v: whole(v, 1, 2**31), "seed": lambda v: whole(v, 0, 2**64 - 1)},
        ),
    }.items()
}
SCRIPTED = recsys_env.language.LanguageModel()
SCRIPTED.name = "scripted"
MODELS = {
    "tokens": lambda v: v is None or whole(v, 1, 10**6),
    "options": lambda v: v is None,
    "cache": truth,
    "rank": lambda v: v is None,
    "limits": lambda v: v is None,
    "prices": lambda v: (array := numbers(v, "iuf")) is not None and array.shape == (2,) and array.min() >= 0,
    "words": lambda v: checks.is_sequence(v) and all(isinstance(w, str) for w in v),
}
MADE |= {
    "LanguagePolicy": (
        recsys_env.language.LanguagePolicy,
        {
            **{"model": SCRIPTED, "rank": "list", "limits": None, "prices": (0.0, 0.0), "words": ()},
            **{"tokens": None, "options": None, "cache": False},
        },
        MODELS,
    ),
    "ListingPolicy": (
        ListingPolicy,
        {"model": SCRIPTED, "limits": None},
        MODELS,
    ),
    "TextNearest": (TextNearest, {"encoder": "hashing"}, {}),
    "EpisodeLog": (
        recsys_env.evaluation.EpisodeLog,
        {"envs": Later(lambda: recsys_env.vector_env(SMALL)), "seen": ()},
        {"envs": lambda v: isinstance(v, VectorEnv), "seen": persons},
    ),
    "Team": (
        policies.Team,
        {"envs": Later(lambda: recsys_env.vector_env(SMALL)), "policies": {"recommender_0": "random"}, "seed": 0},
        {
            "envs": lambda v: isinstance(v, VectorEnv) and "recommender_0" in v.possible_agents,
            "policies": lambda v: isinstance(v, Mapping) and not v,
            "seed": lambda v: whole(v, 0, 2**64 - 1),
        },
    ),
    "make_policy": (policies.make_policy, {"policy": "random"}, {}),
    "register_loader": (
        policies.register_loader,
        {"name": "ranker", "loader": "recsys_env.policies.linear:SavedRanker"},
        {"name": lambda v: isinstance(v, str) and v != "", "loader": callable},
    ),
    "Planner": (
        policies.Planner,
        {"price": 1.0, "target": 0.0},
        dict.fromkeys(("price", "target"), lambda v: v is None or finite(v)),
    ),
    "LinUCB": (LinUCB, {"alpha": 1.0}, {"alpha": finite}),
    "LinearThompson": (LinearThompson, {"width": 1.0}, {"width": finite}),
    "LinearRanker": (
        LinearRanker,
        {"weights": np.zeros((1, 3)), "states": (), "latent": False},
        {
            "weights": lambda v: (array := numbers(v, "iuf")) is not None and array.ndim in (2, 3),
            "states": lambda v: checks.is_sequence(v) and not len(v),
            "latent": truth,
        },
    ),
    "Projection.fit": (
        recsys_env.language.Projection.fit,
        {"texts": np.eye(3), "vectors": np.eye(3)[:, :2]},
        {},
    ),
    "Budget": (
        tuning.Budget,
        {"population": 8, "episodes": 1, "generations": 1, "searches": 1},
        dict.fromkeys(("population", "episodes", "generations", "searches"), lambda v: whole(v, 4, 10**6))
        | {"episodes": lambda v: whole(v, 1, 10**6), "generations": lambda v: whole(v, 1, 9_998)}
        | {"searches": lambda v: whole(v, 1, 10)},
    ),
    "best_ranker": (
        tuning.best_ranker,
        {
            **{"task": SMALL, "background": None, "states": (), "without": (), "start": None},
            **{"budget": tuning.Budget(4, 1, 1, 1), "shared": False, "latent": False, "seed": 0},
        },
        {
            "background": lambda v: v is None or (isinstance(v, Mapping) and not v),
            "states": lambda v: checks.is_sequence(v) and not len(v),
            "without": lambda v: (checks.is_sequence(v) or isinstance(v, set)) and not len(v),
            "start": lambda v: v is None,
            "shared": lambda v: isinstance(v, bool | np.bool_),
            "latent": lambda v: isinstance(v, bool | np.bool_),
            "seed": lambda v: whole(v, 0, 10**12),
        },
    ),
    "cross_entropy": (
        tuning.cross_entropy,
        {
            **{"score": lambda candidates, generation: candidates.sum(1), "start": np.zeros(2)},
            **{"rng": np.random.default_rng(0), "population": 4, "generations": 1, "spread": 1.0},
        },
        {
            "score": callable,
            "start": lambda v: (array := numbers(v, "iuf")) is not None and array.ndim == 1,
            "population": lambda v: whole(v, 4, 10**6),
            "generations": lambda v: whole(v, 0, 10**6),
            "spread": finite,
        },
    ),
    "tune_planner": (
        tuning.tune_planner,
        {
            **{"task": SMALL, "prices": (0.1,), "targets": (0.0,), "episodes": 2, "seed": 0, "catalogue": None},
        },
        {
            "episodes": lambda v: whole(v, 1, 2**31),
            "prices": row_of_numbers,
            "targets": row_of_numbers,
            "seed": lambda v: whole(v, 0, 2**64 - 1),
            "catalogue": lambda v: v is None,
        },
    ),
    "Catalogue": (
        recsys_env.Catalogue,
        {f.name: getattr(GROCERY, f.name) for f in fields(GROCERY)},
        {
            **dict.fromkeys(("popularity_intercept", "popularity_slope", "price_slope", "quality_slope"), finite),
            **{"source": is_text, "settings": lambda v: isinstance(v, dict)},
            **dict.fromkeys(("item_quality", "item_id", "user_id"), lambda v: v is None),
            # Of these sizes others are refused, which are named then.
            **dict.fromkeys(("item_vectors", "habit_item"), lambda v: isinstance(v, np.ndarray) and v.shape == (2, 2)),
            **dict.fromkeys(("topic_name", "domain_name"), lambda v: isinstance(v, np.ndarray) and v.dtype.kind == "U"),
        },
    ),
    "Catalogue.load": (recsys_env.Catalogue.load, {"name": "grocery"}, {}),
    "FittedWorld.load": (
        fitting.FittedWorld.load,
        {"path": "nothing"},
        {"path": lambda v: isinstance(v, str) and "\n" in v},  # whose line has no break
    ),
    "Protocol": (
        Protocol,
        {"background": None, "block": None, "burn_in": 0.0, "busy": "refuse"},
        {
            "background": lambda v: v is None or isinstance(v, str),
            "block": lambda v: v is None or whole(v, 1, 10**8),
            "burn_in": lambda v: checks.is_number(v) and 0 <= v < 1,
        },
    ),
    "sparse": (
        sparse,
        {"task": SMALL, "users": 10, "pages": 2},
        {"users": lambda v: whole(v, 2, 10**6), "pages": lambda v: whole(v, 1, 10**6)},
    ),
    "register_task": (recsys_env.register_task, {"name": "fuzz-v0", "config": SMALL}, {}),
}

NUMBER = {
    "discount": lambda v: checks.is_number(v) and 0 <= v < 1,
    "horizon": lambda v: whole(v, 1, 10**8),
}
PARTS = {  # of pages and answers
    **dict.fromkeys(("agent", "scene", "request", "anchor", "title", "said", "facts"), is_text),
    **dict.fromkeys(("visits", "session_page", "level"), lambda v: v is None or whole(v, 0, 2**31 - 1)),
    **dict.fromkeys(("position", "word"), lambda v: whole(v, 0, 2**31 - 1)),
    **dict.fromkeys(("gap", "satisfaction", "price"), lambda v: v is None or (finite(v) and abs(v) <= 1e30)),
    **dict.fromkeys(
        ("likes", "wants", "vocabulary", "repairs"),
        lambda v: isinstance(v, tuple) and all(map(is_text, v)),
    ),
    **dict.fromkeys(("clicked", "ignored", "recent"), lambda v: isinstance(v, tuple) and not v),
    "private": lambda v: isinstance(v, bool),
    **dict.fromkeys(("heard", "price_levels", "features"), lambda v: isinstance(v, Mapping) and (not v or "a" in v)),
    "slots": lambda v: whole(v, 1, 10**4),
    "levels": lambda v: whole(v, 0, 10**4),
    "picks": lambda v: isinstance(v, tuple) and len(v) > 0,
    "candidates": lambda v: False,
}
MADE |= {
    name: (type(part), {f.name: getattr(part, f.name) for f in fields(part)}, taken)
    for name, part, taken in (
        ("Page", PAGE, PARTS | {"heard": lambda v: isinstance(v, Mapping) and not v}),
        ("Candidate", PAGE.candidates[0], PARTS),
        ("PastItem", recsys_env.language.PastItem("a", "3 times"), PARTS),
        ("Answer", recsys_env.language.Answer((0,)), PARTS),
        ("Criterion", recsys_env.exact.finite(3), {"horizon": NUMBER["horizon"]}),
        (
            "MarkovGame",
            GAME,
            NUMBER
            | dict.fromkeys(("mirror", "reader", "choices", "classes"), lambda v: v is None)
            | {"class_names": lambda v: isinstance(v, tuple) and not v, "initial": halves},
        ),
    )
}


@pytest.mark.parametrize("name", MADE)
def test_functions_refuse_what_they_cannot_use(name: str) -> None:
    if name == "evaluation.record":
        pytest.importorskip("pandas")
    make, listed, taken = MADE[name]
    arguments = {argument: value.make() if isinstance(value, Later) else value for argument, value in listed.items()}
    given = [p for p in inspect.signature(make).parameters.values() if p.kind is not p.VAR_KEYWORD]
    assert {p.name for p in given} == set(arguments)  # a new argument needs a value here

    def calls() -> Iterator[Any]:
        for argument, (label, value_of) in itertools.product(arguments, VALUES.items()):
            value = value_of()
            accepts = taken.get(argument, TAKEN.get(argument, lambda value: False))
            if accepts(value):
                continue
            yield (
                f"{name}({argument}={label})",
                argument,
                value,
                lambda argument=argument, value=value: make(**{**arguments, argument: value}),
                None,
            )

    found = problems(calls())
    assert not found, "\n".join(found)


def test_any_text_is_read() -> None:
    """An answer of a language model is never refused."""
    rng = random.Random(0)
    words = [
        "1",
        "2, 3",
        "٣",
        "²",
        "½",
        "İ",
        "ß",
        "price: ",
        "message= a",
        "\n",
        "\0",
        "\ud800",
        ";",
        "(",
        "\\",
        "9" * 9000,
    ]
    titles = ("", "1", "a.*b(", "ß", "İ", "price: 1", "٣", "\n", "2; 3", "x" * 300)
    candidates = tuple(replace(PAGE.candidates[0], position=i, title=title) for i, title in enumerate(titles * 10))
    page = replace(PAGE, slots=4, candidates=candidates, levels=3, vocabulary=("a", "1", "ß"))
    for length in (1, 3, 10, 100, 1000) * 40:
        for text in (
            "".join(rng.choices(words, k=length)),
            "".join(chr(rng.randrange(0x110000)) for _ in range(length)),
            rng.choice(words) * length,
        ):
            answer = recsys_env.language.parse(text, page)
            assert len(set(answer.picks)) == 4, text
            assert max(answer.picks) < len(titles * 10), text
            assert (answer.level or 0) < 3, text
            assert answer.word < 3, text


def test_answers_name_what_a_page_has() -> None:
    envs = started("VectorEnv")
    reader = recsys_env.language.Reader()
    reader.bind(envs, "recommender_0", 0)
    reader.read(envs.observations[:, 0])
    right = recsys_env.language.Answer((0, 1))
    for changes, message in (
        ({"picks": (0, 99)}, r"answers\[1\].picks names 99; allowed are numbers below 6"),
        ({"level": 0}, r"answers\[1\].level names 0; allowed are numbers below 0"),
        ({"word": 1}, r"answers\[1\].word names 1; allowed are numbers below 1"),
    ):
        with pytest.raises(ValueError, match=message):
            reader.write([right, replace(right, **changes)])
    with pytest.raises(ValueError, match="are 1, but 2 pages were read"):
        reader.write([right])


@pytest.mark.parametrize("word", [".a:b", "..:b", ".:b"])
def test_a_module_that_is_relative_to_nothing_is_refused(word: str) -> None:
    for call in (policies.make_policy, recsys_env.vector_env):
        with pytest.raises(ValueError, match=r"module '\.+a?' is relative to nothing; give its whole name"):
            call(word)


@pytest.mark.parametrize("acted", [None, "x", [1, [2]], Odd(), np.full((2, 2), 0.5), np.zeros((5, 5), int)])
def test_what_a_policy_may_not_do_is_said(acted: Any) -> None:
    class Wrong(policies.Policy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> Any:
            return acted

    with pytest.raises(ValueError, match=r"policy <.*Wrong object.*> as recommender_1 acted with"):
        recsys_env.evaluation.episode_returns(SMALL, {"recommender_0": "random", "recommender_1": Wrong()}, 2, 0)


def test_numbers_of_agents_are_checked() -> None:
    envs = started("VectorEnv")
    for n in (-1, 2, None, True, "0"):
        for call in (SMALL.hidden, SMALL.role_of, SMALL.role_index, lambda n: policies.feedback(envs.infos, n)):
            with pytest.raises((ValueError, TypeError), match=f"(n|index) = {n!r} "):
                call(n)  # type: ignore[arg-type]
    for role in (-1, 1, None):
        with pytest.raises((ValueError, TypeError), match=f"role = {role} "):
            SMALL.reward_weights(role)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["random", "blind", "popularity", "greedy", "static", "linucb", "thompson", "nearest"])
def test_a_policy_says_that_it_was_not_bound(name: str) -> None:
    policy = policies.make_policy(name)
    with pytest.raises(RuntimeError, match=r"call bind\(envs, agent, seed\) first"):
        policy.act(np.zeros((1, 3)))
    assert not hasattr(policy, "of_a_subclass")
    assert getattr(policy, "of_a_subclass", 1) == 1


# What holds an answer, is asked as a method of something else, or needs a model or a long search.
RECORDS = {"AVERAGE", "Counterfactual", "Criterion", "Equilibrium", "MarkovGame", "PurePolicies", "textbook_example"}
RECORDS |= {
    "REPAIRS",
    "TOOLS",
    "Answer",
    "Candidate",
    "Page",
    "PastItem",
    "ModelError",
    "LanguageModel",
    "Projection",
    "TextEnv",
    "text_env",
}
RECORDS |= {"ModelRefused", "LanguagePolicy", "exploitability", "prices"}


@pytest.mark.parametrize("package", ["exact", "language"])
def test_every_function_is_asked(package: str) -> None:
    public = set(getattr(recsys_env, package).__all__)
    assert public - RECORDS == {name.partition(".")[2] for name in MADE if name.startswith(f"{package}.")}
