"""Ctrl-C, whenever it comes: a game that has not begun cannot be stepped, one that was running goes on unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from worlds import SMALL, games_of

import recsys_env
from recsys_env import VectorEnv
from recsys_env.batch.worlds import Worlds

NOTHING = np.zeros(SMALL.slots, int)
JOINT = {"recommender_0": NOTHING, "recommender_1": NOTHING}
OTHERS = {"recommender_1": "greedy"}
VIEWS: dict[str, tuple[Callable[[], Any], Any]] = {
    "batch": (lambda: recsys_env.vector_env(SMALL, 2), np.zeros((2, 2, SMALL.slots), int)),
    "worlds": (lambda: Worlds(SMALL, 2, (1, 2)), np.zeros((2, 2, SMALL.slots), int)),
    "focal": (
        lambda: recsys_env.FocalBatch(recsys_env.vector_env(SMALL, 2), OTHERS),
        np.zeros((2, 1, SMALL.slots), int),
    ),
    "parallel": (lambda: recsys_env.parallel_env(SMALL), JOINT),
    "aec": (lambda: recsys_env.env(SMALL), NOTHING),
    "single": (lambda: recsys_env.single_agent_env(SMALL, background="greedy"), NOTHING),
    "rows": (lambda: recsys_env.shared_policy_env(SMALL, 2), np.zeros((4, SMALL.slots), int)),
    "one row": (
        lambda: recsys_env.single_agent_vector_env(SMALL, 2, background="greedy"),
        np.zeros((2, SMALL.slots), int),
    ),
}


def interrupt(*arguments: Any, **named: Any) -> Any:
    raise KeyboardInterrupt


def then_interrupt(self: VectorEnv, *arguments: Any, _advance: Any = VectorEnv._advance, **named: Any) -> None:
    """`VectorEnv._advance`, with Ctrl-C right behind it."""
    _advance(self, *arguments, **named)
    raise KeyboardInterrupt


def state_of(view: Any) -> list[bytes]:
    games = games_of(view)
    parts = [array.tobytes() for game in games for array in (*game.arrays, game.report.observations)]
    return [*parts, repr(([game._seed for game in games], getattr(view, "agents", None))).encode()]


def step(view: Any, action: Any) -> list[bytes]:
    view.step(action)
    return state_of(view)


@pytest.mark.parametrize("where", ["_advance", "_compile"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_game_that_has_not_begun_cannot_be_stepped(name: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, action = VIEWS[name]
    view, other = make(), make()
    with monkeypatch.context() as patch:
        patch.setattr(VectorEnv, where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            view.reset(seed=3)
    with pytest.raises((RuntimeError, AttributeError), match="reset"):
        view.step(action)
    view.reset(seed=3)
    other.reset(seed=3)
    assert step(view, action) == step(other, action)


@pytest.mark.parametrize("where", ["_advance", "_compile"])
@pytest.mark.parametrize("call", ["reset", "next episode", "restore", "step"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_running_game_goes_on_unchanged(name: str, call: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, action = VIEWS[name]
    view, other = make(), make()
    if call == "restore" and not hasattr(view, "restore"):
        pytest.skip("it restores nothing")
    for either in (view, other):
        either.reset(seed=3)
        saved = either.save() if hasattr(either, "save") else None
        for _ in range(4):  # whole rounds of the agents' turns
            either.step(action)
    calls: dict[str, Callable[[], Any]] = {
        "reset": lambda: view.reset(seed=8),
        "next episode": lambda: view.reset(),
        "restore": lambda: view.restore(saved, seed=5),
        "step": lambda: [view.step(action) for _ in range(2)],
    }
    for game in games_of(view):
        game._compiled = None  # as if it had never been played
    before = state_of(view)
    with monkeypatch.context() as patch:
        patch.setattr(VectorEnv, where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            calls[call]()
    assert state_of(view) == before
    if name == "aec" and call == "step":
        other.step(action)  # of the first agent, which was taken
    for _ in range(4):
        assert step(view, action) == step(other, action)


@pytest.mark.parametrize("name", VIEWS)
def test_after_compiled_code_the_tick_is_played(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C cannot stop it. The batch tells of the tick; where others have yet to choose for the next page, or
    some have chosen for the last one, the view asks for a reset."""
    make, action = VIEWS[name]
    view = make()
    view.reset(seed=3)
    envs = games_of(view)[0]

    with monkeypatch.context() as patch:
        patch.setattr(VectorEnv, "_advance", then_interrupt)
        with pytest.raises(KeyboardInterrupt):
            view.step(action), view.step(action)
    if name == "worlds":  # one of which has gone on without the other
        with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
            view.step(action)
        other = make()
        for either in (view, other):
            either.reset(seed=4)
        np.testing.assert_array_equal(view.step(action)[0], other.step(action)[0])
        return
    assert envs.tick.tolist() == [1] * envs.num_envs
    look = envs.observations.copy()
    np.testing.assert_array_equal(envs.look()[0], look)
    if name in ("focal", "single", "one row", "aec"):
        with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
            view.step(action)
        view.reset()
    view.step(action)


@pytest.mark.parametrize("name", ["single", "focal", "one row"])
def test_others_who_were_interrupted_have_not_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while their own code is compiled."""
    make, action = VIEWS[name]
    view = make()
    with monkeypatch.context() as patch:
        patch.setattr("recsys_env.policies.assortment.compiled", interrupt)
        with pytest.raises(KeyboardInterrupt):
            view.reset(seed=3)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        view.step(action)
    view.reset(seed=3)
    view.step(action)


def test_an_episode_that_ends_meanwhile_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    env = recsys_env.parallel_env(SMALL, horizon=1)
    env.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr(VectorEnv, "_advance", then_interrupt)
        with pytest.raises(KeyboardInterrupt):
            env.step(JOINT)
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step(JOINT)
