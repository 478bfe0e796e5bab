"""Calls in a wrong order or of another batch: they are refused in one sentence, and nothing has changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from worlds import SMALL, games_of

import recsys_env
from recsys_env.evaluation import EpisodeLog, measure, play_episode, scale_ends, score_table
from recsys_env.policies import Policy, Team

NOTHING = np.zeros(SMALL.slots, int)
JOINT = {"recommender_0": NOTHING, "recommender_1": NOTHING}
TEXTS = dict.fromkeys(JOINT, "1, 2")


def focal(copies: int = 2) -> recsys_env.FocalBatch:
    return recsys_env.FocalBatch(recsys_env.vector_env(SMALL, copies), {"recommender_1": "random"})


# view -> how it is made, what it is stepped with, and how what is behind it is stepped
VIEWS: dict[str, tuple[Callable[[], Any], Any, Callable[[Any], Any]]] = {
    "focal": (focal, np.zeros((2, 1, 2), int), lambda v: v.batch.step(v.batch.empty_actions())),
    "aec": (lambda: recsys_env.env(SMALL), NOTHING, lambda v: v.parallel.step(JOINT)),
    "single": (lambda: recsys_env.single_agent_env(SMALL, background="random"), NOTHING, lambda v: v.env.step(JOINT)),
    "one row": (
        lambda: recsys_env.single_agent_vector_env(SMALL, 2, background="random"),
        np.zeros((2, 2), int),
        lambda v: v.envs.batch.step(v.envs.batch.empty_actions()),
    ),
    "text": (lambda: recsys_env.text_env(SMALL), TEXTS, lambda v: v.numeric.step(JOINT)),
}


def state_of(view: Any) -> list[bytes]:
    return [array.tobytes() for game in games_of(view) for array in (*game.arrays, *game.report)]


@pytest.mark.parametrize("how", ["step", "reset", "restore"])
@pytest.mark.parametrize("name", VIEWS)
def test_what_was_chosen_for_a_page_that_is_gone_is_not_played(name: str, how: str) -> None:
    make, action, behind = VIEWS[name]
    view, other = make(), make()
    (game,) = games_of(view)
    for either in (view, other):
        either.reset(seed=3)
    view.step(action)  # of the first agent, where they take turns
    if how == "step":
        behind(view)
    elif how == "reset":
        game.reset(seed=5)
    else:
        game.restore(game.save())
    before = state_of(view)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        view.step(action)
    assert state_of(view) == before
    view.reset(seed=3)
    for _ in range(6):
        view.step(action), other.step(action)
        np.testing.assert_array_equal(game.report.observations, games_of(other)[0].report.observations)


def test_to_look_once_more_is_no_other_page() -> None:
    view, other = focal(), focal()
    before, _ = view.reset(seed=3)
    other.reset(seed=3)
    view.batch.look()
    again, _ = view.look()
    np.testing.assert_array_equal(again, before)
    for _ in range(2):
        seen, rewards, *_ = view.step(view.empty_actions())
        without, paid, *_ = other.step(other.empty_actions())
        np.testing.assert_array_equal(seen, without)
        np.testing.assert_array_equal(rewards, paid)
        view.look()


def test_two_views_of_a_batch_notice_each_other() -> None:
    batch = recsys_env.vector_env(SMALL, 2)
    one, two = (recsys_env.FocalBatch(batch, {agent: "random"}) for agent in JOINT)
    one.reset(seed=1), two.reset(seed=1)
    two.step(two.empty_actions())
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\): the others have not chosen"):
        one.step(one.empty_actions())
    with pytest.raises(RuntimeError, match=r"call reset\(\) before explain\(\): the others have not chosen"):
        one.explain(one.empty_actions())
    two.step(two.empty_actions())


@pytest.mark.parametrize("name", [*VIEWS, "rows", "parallel"])
def test_a_copy_of_a_view_plays_a_game_of_its_own(name: str) -> None:
    joint = dict.fromkeys(("recommender_0", "recommender_1"), np.zeros(2, int))
    more: dict[str, tuple[Callable[[], Any], Any]] = {
        "rows": (lambda: recsys_env.shared_policy_env(SMALL, 2), np.zeros((4, 2), int)),
        "parallel": (lambda: recsys_env.parallel_env(SMALL), joint),
    }
    make, action = more[name] if name in more else VIEWS[name][:2]
    view = make()
    view.reset(seed=3)
    before, twin = state_of(view), copy.copy(view)
    assert state_of(twin) == before
    for _ in range(2):
        twin.step(action)
    assert state_of(view) == before != state_of(twin)
    for _ in range(2):
        view.step(action)
    assert state_of(view) == state_of(twin)


# ------------------------------------------------------------------------------------------------ teams


class Spy(Policy):
    """Counts what it is asked and told."""

    calls = 0

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.calls += 1
        return self.envs.empty_actions()[:, self.index]

    def observe(self, feedback: Any) -> None:
        self.calls += 1


def spied(**changes: Any) -> tuple[recsys_env.VectorEnv, Team, Spy]:
    envs, spy = recsys_env.vector_env(SMALL, 2, **changes), Spy()
    envs.reset(seed=0)
    return envs, Team(envs, {"recommender_0": spy}, 0), spy


# ------------------------------------------------------------------------------------------------ episodes and logs


def test_an_episode_is_played_from_its_beginning_by_all() -> None:
    envs, team, spy = spied()
    with pytest.raises(ValueError, match=r"team = \['recommender_0'\] has no policy for recommender_1"):
        play_episode(envs, team, envs.observations)
    team = Team(envs, {"recommender_0": spy, "recommender_1": "random"}, 0)
    envs.step(envs.empty_actions())
    with pytest.raises(RuntimeError, match=r"call reset\(\) before play_episode"):
        play_episode(envs, team, envs.observations)
    assert not spy.calls
    envs.reset(seed=0)
    for _ in range(2):  # the next one begins where the last ends
        play_episode(envs, team, envs.observations)


def test_a_log_takes_every_tick_of_its_batch_once() -> None:
    envs, _, _ = spied()
    log, actions = EpisodeLog(envs), envs.empty_actions()
    with pytest.raises(RuntimeError, match=r"record\(\): call look\(\) before the step"):
        log.record(envs.infos)
    log.look()
    log.record(envs.step(actions)[4])
    with pytest.raises(RuntimeError, match=r"record\(\): call look\(\) before the step"):
        log.record(envs.infos)
    envs.step(actions)
    with pytest.raises(RuntimeError, match=r"look\(\): after 1 ticks of this log the batch is at tick \[2\]"):
        log.look()
    with pytest.raises(ValueError, match="log holds 1 of the 30 ticks of an episode; all are needed"):
        measure(log)


def test_the_ends_of_the_scale_are_in_the_table_of_every_task() -> None:
    config = recsys_env.replace(recsys_env.TASKS["duel-v1"], {"horizon": 5})
    table = score_table(config, dict.fromkeys(config.agents, "random"), 4, 0)
    assert {*scale_ends(config), "trained", "random"} <= set(table)
