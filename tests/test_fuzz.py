"""Public methods of the environments, given what they cannot use: one clear line that names the argument, and nothing
changes. Methods are found by looking, so that a new one is asked as well.
"""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import SMALL, games_of

import recsys_env
from recsys_env import policies
from recsys_env.batch.base import Batch
from recsys_env.batch.worlds import Worlds
from recsys_env.evaluation import episode_returns

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

# None of these is a value of any argument.
ODD: dict[str, Callable[[], Any]] = {
    "object()": object,
    "a class": lambda: int,
    "NaN": lambda: math.nan,
    "a complex number": lambda: 1 + 2j,
    "10**400": lambda: 10**400,
    "-1": lambda: -1,
    "a ragged list": lambda: [[1], [1, 2]],
    "a list of NaN": lambda: [math.nan, math.nan],
    "an array of other sizes": lambda: np.zeros((3, 7, 5)),
    "a time": lambda: np.datetime64("2020-01-01"),
}


def right(subject: Any, name: str) -> Any:
    """A value that this argument takes."""
    envs = subject if isinstance(subject, Batch) else getattr(subject, "vector", None)
    values: dict[str, Callable[[], Any]] = {
        "picks": lambda: np.zeros(SMALL.slots, int),
        "seed": lambda: 1,
        "n": lambda: 0,
        "tick": lambda: 3,
        "items": lambda: [1, 2],
        "multipliers": lambda: 1.0,
        "paid": lambda: [1.0, 2.0],
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
            if argument.kind is not argument.VAR_KEYWORD and argument.name != "observe":  # any truth value
                yield method, argument.name


def answer(subject: Any, method: str, argument: str, label: str) -> str:
    """What is wrong with how a method takes an odd value; "" = nothing."""
    call = getattr(subject, method)
    given = {
        other.name: right(subject, other.name)
        for other in inspect.signature(call).parameters.values()
        if other.name != argument and other.default is other.empty
    }
    before = state_of(subject)
    try:
        call(**given, **{argument: ODD[label]()})
    except (ValueError, TypeError, KeyError, IndexError) as error:
        said = str(error)
        if "\n" in said or not any(name in said for name in (argument.rstrip("s"), "agent", "recommender")):
            return f"said {said!r}"
        return "" if state_of(subject) == before else "the state has changed"
    return "was accepted"


@pytest.mark.parametrize("name", SUBJECTS)
def test_methods_refuse_what_they_cannot_use(name: str) -> None:
    subject = SUBJECTS[name]()
    subject.reset(seed=3)
    asked = list(methods(subject))
    assert len(asked) > 2
    found = [
        f"{name}.{method}({argument} = {label}): {wrong}"
        for method, argument in asked
        for label in ODD
        if (wrong := answer(subject, method, argument, label))
    ]
    assert not found, "\n".join(found)


PAGE = recsys_env.language.Page(
    *("recommender_0", 1, "", 1, 1, None, None, (), (), (), (), False, (), "", "", {}, {}),
    (recsys_env.language.Candidate(0, "a", "", None, {}), recsys_env.language.Candidate(1, "b", "", None, {})),
    *(0, ()),
)


def test_any_text_is_read() -> None:
    """An answer of a language model is never refused."""
    rng = random.Random(0)
    words = ["1", "2, 3", "٣", "²", "½", "İ", "price: ", "message= a", "\n", "\0", "\ud800", ";", "(", "\\", "9" * 9000]
    titles = ("", "1", "a.*b(", "ß", "İ", "price: 1", "٣", "\n", "2; 3", "x" * 300)
    candidates = tuple(replace(PAGE.candidates[0], position=i, title=title) for i, title in enumerate(titles * 10))
    page = replace(PAGE, slots=4, candidates=candidates, levels=3, vocabulary=("a", "1", "ß"))
    for length in (1, 3, 10, 100, 1000) * 10:
        for text in (
            "".join(rng.choices(words, k=length)),
            "".join(chr(rng.randrange(0x110000)) for _ in range(length)),
            rng.choice(words) * length,
        ):
            read = recsys_env.language.parse(text, page)
            assert len(set(read.picks)) == 4, text
            assert max(read.picks) < len(titles * 10), text
            assert (read.level or 0) < 3, text
            assert read.word < 3, text


@pytest.mark.parametrize("acted", [None, "x", np.full((2, 2), 0.5), np.zeros((5, 5), int)])
def test_what_a_policy_may_not_do_is_said(acted: Any) -> None:
    class Wrong(policies.Policy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> Any:
            return acted

    with pytest.raises(ValueError, match=r"policy <.*Wrong object.*> as recommender_1 acted with"):
        episode_returns(SMALL, {"recommender_0": "random", "recommender_1": Wrong()}, 2, 0)
