"""Two threads in one batch: the second is refused, and nothing is played twice or half."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from worlds import SMALL, games_of

import recsys_env
from recsys_env.batch.base import Batch
from recsys_env.batch.busy import Busy
from recsys_env.batch.worlds import Worlds

VIEWS: dict[str, Callable[[], Any]] = {
    "batch": lambda: recsys_env.vector_env(SMALL, 2),
    "parallel": lambda: recsys_env.parallel_env(SMALL),
    "aec": lambda: recsys_env.env(SMALL),
    "single": lambda: recsys_env.single_agent_env(SMALL),
    "rows": lambda: recsys_env.shared_policy_env(SMALL, 2),
    "focal": lambda: recsys_env.FocalBatch(recsys_env.vector_env(SMALL, 2), {"recommender_1": "random"}),
    "worlds": lambda: Worlds(SMALL, 2, (1, 2)),
}


def action(view: Any) -> Any:
    if isinstance(view, Batch):
        return view.empty_actions()
    if hasattr(view, "possible_agents") and not hasattr(view, "agent_selection"):
        return {agent: view.action_space(agent).sample() for agent in view.possible_agents}
    return np.zeros(SMALL.slots, int) if not hasattr(view, "envs") else np.zeros((4, SMALL.slots), int)


def calls(name: str, view: Any) -> dict[str, Callable[[], Any]]:
    """Every call that runs compiled code on the batch's arrays."""
    found: dict[str, Callable[[], Any]] = {
        "step": lambda: view.step(action(view)),
        "reset": lambda: view.reset(seed=1),
    }
    if hasattr(view, "restore"):
        found |= {"save": lambda: view.save(), "state": lambda: view.state()}
        saved = view.save()
        found["restore"] = lambda: view.restore(saved)
    if isinstance(view, Batch):
        found |= {"look": view.look, "final_state": view.final_state}
        found |= {"expected_feedback": lambda: view.expected_feedback(action(view)), "latent_users": view.latent_users}
        if name != "worlds":
            found |= {"explain": lambda: view.explain(action(view)), "public_items": view.public_items}
    if name in ("parallel", "aec"):
        joint = {agent: np.zeros(SMALL.slots, int) for agent in view.possible_agents}
        found |= {"expected_feedback": lambda: view.expected_feedback(joint), "explain": lambda: view.explain(joint)}
    return found


def in_another_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("name", VIEWS)
def test_a_call_is_refused_while_another_thread_is_in_one(name: str) -> None:
    view = VIEWS[name]()
    view.reset(seed=0)

    def arrays() -> list[bytes]:
        return [array.tobytes() for game in games_of(view) for array in game.arrays]

    for what, call in calls(name, view).items():
        before = arrays()
        with view.busy, pytest.raises(RuntimeError, match="another thread is in a call of this batch") as caught:
            in_another_thread(call)
        assert "\n" not in str(caught.value)
        assert arrays() == before, what
        in_another_thread(call)  # it is free again
        call()


def test_it_is_let_go_however_a_call_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    envs = recsys_env.vector_env(SMALL, 2)
    with pytest.raises(RuntimeError, match="call reset"):
        envs.step(envs.empty_actions())
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="outside its space"):
        envs.step(envs.empty_actions() + 99)
    for error in (KeyboardInterrupt, MemoryError):

        def fail(*arguments: Any, error: type[BaseException] = error, **named: Any) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(envs, "_advance", fail)
            for call in (
                lambda: envs.step(envs.empty_actions()),
                envs.reset,
                envs.look,
                lambda: envs.restore(envs.save()),
            ):
                with pytest.raises(error):
                    call()
        in_another_thread(lambda: envs.step(envs.empty_actions()))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_copies_have_a_flag_of_their_own(how: Callable[[Any], Any]) -> None:
    envs = recsys_env.vector_env(SMALL, 2)
    envs.reset(seed=0)
    with envs.busy:
        other = how(envs)
        assert other.busy is not envs.busy
        in_another_thread(lambda: other.step(other.empty_actions()))
    for view in (recsys_env.parallel_env(SMALL), recsys_env.FocalBatch(envs, {"recommender_1": "random"})):
        twin = how(view)
        inner = twin.vector if hasattr(twin, "vector") else twin.batch
        assert twin.busy is inner.busy


def test_threads_that_share_a_batch_play_whole_ticks_or_none() -> None:
    """However they take turns: what one of them returns is what the game, played by one thread, returns at its tick."""
    ticks, threads = 3000, 4
    alone = recsys_env.parallel_env(SMALL, horizon=ticks + 1)
    actions = {agent: np.zeros(SMALL.slots, int) for agent in alone.possible_agents}
    alone.reset(seed=5)
    expected = {}
    for _ in range(ticks):
        observations, rewards, *_ = alone.step(actions)
        expected[int(alone.vector.tick[0])] = observations["recommender_0"].tobytes(), rewards["recommender_0"]
    wanted = set(expected.values())
    shared = recsys_env.parallel_env(SMALL, horizon=ticks + 1)
    shared.reset(seed=5)
    played, refused, wrong = [0] * threads, [0] * threads, []
    start = threading.Barrier(threads)

    def play(i: int) -> None:
        start.wait()
        for _ in range(ticks // threads):
            try:
                observations, rewards, *_ = shared.step(actions)
            except RuntimeError as error:
                refused[i] += "another thread" in str(error)
            else:
                played[i] += 1
                if (observations["recommender_0"].tobytes(), rewards["recommender_0"]) not in wanted:
                    wrong.append(i)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(play, range(threads)))
    finally:
        sys.setswitchinterval(before)
    assert not wrong
    assert sum(played) + sum(refused) == ticks
    assert int(shared.vector.tick[0]) == sum(played) > 0


def test_one_thread_may_hold_it_twice() -> None:
    flag = Busy()
    with flag, flag, pytest.raises(RuntimeError, match="another thread"):
        in_another_thread(flag.__enter__)
    with flag:
        pass
