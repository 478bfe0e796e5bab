"""Policies that act for several agents at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_env import FocalBatch, task_config, vector_env
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.runs import Run, play, play_all
from recsys_env.policies import Content, Policy, Team, TeamPolicy, feedback, make_policy
from recsys_env.policies.base import team_feedback

SHORT = {"horizon": 40}
THREE = task_config("streaming-v1", SHORT)


class Members(TeamPolicy):
    """A team of policies of single agents, which the tests compare it with."""

    member = "content"

    def bind(self, envs: Any, agents: Any, seed: int) -> None:
        super().bind(envs, agents, seed)
        self.members: list[Policy] = [make_policy(self.member) for _ in self.indices]
        for member, index in zip(self.members, self.indices, strict=True):
            member.bind(envs, self.envs.possible_agents[index], seed)
        self.seen: list[Mapping[str, np.ndarray]] = []

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        each = [
            member.act(observations[:, n], None if mask is None else mask[:, n])
            for n, member in enumerate(self.members)
        ]
        return np.stack(each, axis=1)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        self.seen.append({name: values.copy() for name, values in feedback.items()})
        for n, member in enumerate(self.members):
            member.observe({name: values[:, n] for name, values in feedback.items()})

    def reset(self, done: np.ndarray) -> None:
        for member in self.members:
            member.reset(done)


class Learning(Members):
    member, learns = "linucb", True


@pytest.mark.parametrize("masked", [False, True])
def test_a_team_plays_as_its_members_do(masked: bool) -> None:
    config = task_config(THREE, {"mask_actions": masked})
    np.testing.assert_array_equal(
        episode_returns(config, Members(), 3, seed=0), episode_returns(config, "content", 3, seed=0)
    )


def test_it_learns_from_what_all_of_its_agents_saw() -> None:
    np.testing.assert_array_equal(
        episode_returns(THREE, Learning(), 3, seed=0), episode_returns(THREE, "linucb", 3, seed=0)
    )
    envs, policy = vector_env(THREE, 4), Members()
    team = Team(envs, {"recommender_2": policy, "recommender_0": policy, "recommender_1": "random"}, 0)
    actions = envs.empty_actions()
    observations, _ = envs.reset(seed=0)
    team.act(observations, actions)
    *_, truncated, infos = envs.step(actions)
    team.observe(infos, truncated)
    assert policy.indices == [0, 2]  # in the order of the batch
    for name, values in policy.seen[0].items():
        for place, n in enumerate(policy.indices):
            np.testing.assert_array_equal(values[:, place], feedback(infos, n)[name])
        np.testing.assert_array_equal(values, team_feedback(infos, [0, 2])[name])


def test_some_agents_of_a_team() -> None:
    """Beside other policies, as a background, and alone."""
    others = dict.fromkeys(("recommender_1", "recommender_2"), "content")
    expected = episode_returns(THREE, {"recommender_0": "popularity", **others}, 3, seed=0)
    joint = Members()
    found = episode_returns(
        THREE, {"recommender_0": "popularity", "recommender_1": joint, "recommender_2": joint}, 3, seed=0
    )
    np.testing.assert_array_equal(found, expected)
    alone = {"recommender_0": Members(), "recommender_1": "content", "recommender_2": "content"}
    np.testing.assert_array_equal(
        episode_returns(THREE, alone, 3, seed=0), episode_returns(THREE, "content", 3, seed=0)
    )
    focal = FocalBatch(vector_env(THREE, 2), Members(), ["recommender_0"])
    assert len({id(policy) for policy in focal.team.policies.values()}) == 1


def test_a_name_makes_one_object_for_its_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "joint_file.py").write_text("from test_team_policies import Learning, Members\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    team = Team(vector_env(THREE, 2), dict.fromkeys(THREE.agents, "joint_file:Members"), 0)
    assert len({id(policy) for policy in team.policies.values()}) == 1
    run = Run("streaming-v1,horizon=40", "joint_file:Learning", 0, 3, 1, False)
    assert play(run)["learns"]
    assert play(run)["individual_reward"] == play(Run(run.task, "linucb", 0, 3, 1, False))["individual_reward"]
    team_of = "recommender_0=popularity,recommender_1=joint_file:Members,recommender_2=joint_file:Members"
    pytest.importorskip("tqdm")
    results = play_all([Run(run.task, team_of, 0, 3, 0, True)], tmp_path / "runs", resume=False)
    plain = play(Run(run.task, team_of.replace("joint_file:Members", "content"), 0, 3, 0, True))
    assert results[0]["individual_reward"] == plain["individual_reward"]
    assert results[0]["metrics"] == plain["metrics"]


def test_mistakes_are_named() -> None:
    class Wrong(TeamPolicy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
            return np.zeros(len(observations), np.int64)

    with pytest.raises(ValueError, match=r"Wrong.* as recommender_0, recommender_1, recommender_2 acted with int64"):
        episode_returns(THREE, Wrong(), 3, seed=0)
    one = Content()
    with pytest.raises(ValueError, match=r"is given to .*, .*; a policy object acts for one agent"):
        episode_returns(THREE, one, 3, seed=0)


def test_a_team_that_is_late_shows_the_first_candidates() -> None:
    config = task_config(THREE, {"observation": {"delay": 1e-12}})
    expected = episode_returns(config, "blind", 2, seed=0)
    np.testing.assert_array_equal(episode_returns(config, Members(), 2, seed=0), expected)
