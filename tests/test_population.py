"""Populations: another policy in each copy of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from recsys_env import FocalBatch, single_agent_vector_env, task_config, vector_env
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.runs import Run, digest_of, play
from recsys_env.policies import Content, Policy, Population, Team, TeamPolicy, make_policy

CONFIG = task_config("duel-v1", {"horizon": 20})
ME, OTHER = CONFIG.agents


class Constant(Policy):
    """Always does the same, and keeps what it was told."""

    def __init__(self, action: int) -> None:
        self.action, self.seen, self.forgot = action, list[Mapping[str, np.ndarray]](), 0

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return np.full(len(observations), self.action)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        self.seen.append(feedback)

    def reset(self, done: np.ndarray) -> None:
        self.forgot += int(done.sum())


class Learning(Constant):
    learns = True


def test_each_copy_meets_another_policy_and_another_one_in_the_next_episode() -> None:
    envs = vector_env(CONFIG, 8)
    population = Population([Constant(0), Constant(1)])
    team, actions = Team(envs, {ME: "random", OTHER: population}, 3), envs.empty_actions()
    observations, _ = envs.reset(seed=0)
    drawn = []
    for _ in range(6 * CONFIG.horizon):
        team.act(observations, actions)
        np.testing.assert_array_equal(actions[:, 1], population.plays)
        assert population.plays.sum() == 4  # each plays as often as the others
        drawn.append(population.plays.tolist())
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    episodes = [drawn[i : i + CONFIG.horizon] for i in range(0, len(drawn), CONFIG.horizon)]
    assert all(len({*map(tuple, episode)}) == 1 for episode in episodes)
    assert len({tuple(episode[0]) for episode in episodes}) > 1
    team.seed(3)
    assert population.plays.tolist() == drawn[0]


def test_one_policy_of_the_population_plays_all_copies() -> None:
    population = Population(["random", "greedy", "content"], per_copy=False)
    population.bind(vector_env(CONFIG, 6), OTHER, 0)
    met = set()
    for _ in range(20):
        assert len(set(population.plays.tolist())) == 1
        met.add(int(population.plays[0]))
        population.reset(np.ones(6, np.bool_))
    assert met == {0, 1, 2}


def test_a_member_learns_from_its_own_copies_alone() -> None:
    members = [Learning(0), Learning(1)]
    population, envs = Population(members), vector_env(CONFIG, 6)
    assert population.learns
    assert not Population(["random"]).learns
    team, actions = Team(envs, {ME: "random", OTHER: population}, 0), envs.empty_actions()
    observations, _ = envs.reset(seed=0)
    for _ in range(10):
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        for number, member in enumerate(members):
            here, told = population.plays == number, member.seen[-1]
            for name in ("visitor", "shown", "clicked", "individual_reward"):
                np.testing.assert_array_equal(told[name][here], infos[name][here, 1])
            assert (told["visitor"][~here] == -1).all()
            assert (told["shown"][~here] == -1).all()
            assert not told["clicked"][~here].any()
    assert all(member.forgot == 0 for member in members)


def test_it_is_a_policy_by_name_wherever_one_is() -> None:
    """Whoever plays a copy earns what it earns there alone: `greedy` and `content` see the same visitors."""
    rewards = {
        name: episode_returns(CONFIG, {ME: "content", OTHER: name}, 12, seed=1)
        for name in ("greedy", "blind", "population:greedy+blind")
    }
    either = [(rewards["population:greedy+blind"] == rewards[name]).all(1) for name in ("greedy", "blind")]
    assert (either[0] | either[1]).all()
    assert either[0].sum() >= 6
    assert either[1].sum() >= 6
    assert isinstance(make_policy("population:greedy+blind"), Population)
    envs = FocalBatch(vector_env(CONFIG, 4), {OTHER: "population:greedy+blind"})
    assert envs.reset(seed=0)[0].shape[:2] == (4, 1)
    single = single_agent_vector_env(CONFIG, 4, background="population:greedy+blind")
    assert single.reset(seed=0)[0].shape[0] == 4
    team = f"{ME}=content,{OTHER}=population:greedy+blind"
    assert np.shape(play(Run("duel-v1,horizon=20", team, 0, 4, 0, False))["individual_reward"]) == (4, 2)


def test_digests_tell_populations_of_ones_own_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("mine_one", "mine_two"):
        (tmp_path / f"{name}.py").write_text(f"# {name}\nfrom recsys_env.policies import Random\n")
    digest_of.cache_clear()
    assert digest_of("population:greedy+blind") is None
    found = {digest_of(f"population:{name}:Random+blind") for name in ("mine_one", "mine_two")}
    assert len(found) == 2
    assert None not in found


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one or more policies"):
        Population([])
    with pytest.raises(ValueError, match="TeamPolicy acts for several agents; Population acts for one"):
        Population([TeamPolicy()])
    one = Content()
    with pytest.raises(ValueError, match="hold one object several times"):
        Population([one, one])
    with pytest.raises(ValueError, match=r"the folder holds no folder with policy\.json"):
        make_policy(f"population:{tmp_path}")
