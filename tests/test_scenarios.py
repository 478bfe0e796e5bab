"""Held-out populations: who is focal, what the others do, and where a policy stands among them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from worlds import bound

pytest.importorskip("rich")
pytest.importorskip("tyro")

from recsys_env import SCENARIOS, TASKS, Scenario, vector_env
from recsys_env.__main__ import main
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.scenarios import per_capita, standings
from recsys_env.policies import Policy, Team, make_policy
from recsys_env.policies.base import feedback

FAIR, HOOK = 0, 1  # items of duel-v1


def test_every_task_of_several_agents_has_three() -> None:
    for task, config in TASKS.items():
        found = [scenario for scenario in SCENARIOS.values() if scenario.task == task]
        assert len(found) >= 3 or config.num_agents == 1
        for scenario in found:
            assert 0 < len(scenario.focal) < config.num_agents
            assert set(scenario.focal) | set(scenario.background) == set(config.agents)
            for policy in scenario.background.values():
                assert isinstance(make_policy(policy), Policy)


def test_learned_company_comes_along() -> None:
    """What `benchmarks.studies.backgrounds` trained plays as it was trained: in its own task, with moving weights."""
    found = {name.partition("/")[0] for name in SCENARIOS if name.endswith("/learned-team")}
    assert {"social-v1", "rivals-v1", "streaming-v1", "news-v1", "ecommerce-v1", "journey-v1"} <= found
    for task in found:
        scenario = SCENARIOS[f"{task}/learned-team"]
        envs = vector_env(task, 2)
        for agent, policy in scenario.background.items():
            made = make_policy(policy)
            made.bind(envs, agent, 0)
            assert made.weights.shape[0] > 1  # type: ignore[attr-defined]
    assert set(SCENARIOS["social-v1/learned-selfish"].background.values()) == {"learned/social-v1/selfish"}
    assert "journey-v1/learned-selfish" not in SCENARIOS  # all share one reward


def test_who_plays_whom() -> None:
    scenario = Scenario("streaming-v1", {"recommender_1": "greedy"}, "one myopic")
    assert scenario.focal == ["recommender_0", "recommender_2"]
    assert scenario.team("mine:Mine") == "recommender_0=mine:Mine,recommender_1=greedy,recommender_2=mine:Mine"
    own = [[1.0, 100.0, 3.0], [2.0, 100.0, 4.0]]
    assert per_capita(scenario, own) == 2.5  # the background's reward does not count
    team = Scenario("journey-v1", {"item_0": "greedy"}, "one myopic")
    assert per_capita(team, own) == pytest.approx(210 / 6)  # where rewards are shared, all count


def test_the_best_answer_is_100() -> None:
    scenario = SCENARIOS["duel-v1/greedy"]
    origin = {"command": "c", "commit": "c", "date": "d", "processor": "p", "versions": {}, "episodes": 1}
    earned = {"random": (1.0, 2.0), "greedy": (3.0, 4.0), "planner": (5.0, 6.0), "mine": (7.0, 8.0)}
    runs = {policy: [{"individual_reward": [[own, 0.0]], **origin} for own in owns] for policy, owns in earned.items()}
    found = standings(scenario, runs, ("greedy", "planner"))
    assert found["ends"] == ["random", "planner"]
    assert [*found["policies"]] == ["mine", "planner", "greedy", "random"]
    scores = {policy: row["score"] for policy, row in found["policies"].items()}
    assert scores == {"mine": 150.0, "planner": 100.0, "greedy": 50.0, "random": 0.0}


def test_the_command_plays_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--scenarios", "ecommerce-v1/content", "--policies", "blind", "--episodes", "2", "--seeds", "2"]
    main(["evaluate", *wanted, "--out", str(tmp_path)])
    report = json.loads((tmp_path / "scenarios.json").read_text())["scenarios"]["ecommerce-v1/content"]
    own = episode_returns("ecommerce-v1", {"recommender_0": "blind", "recommender_1": "content"}, 2, UNSEEN + 1)
    assert report["policies"]["blind"]["runs"][1] == pytest.approx(own[:, 0].mean(), abs=1e-5)
    assert {"random", "greedy", "planner", "blind"} <= set(report["policies"])
    assert report["policies"][report["ends"][1]]["score"] == pytest.approx(100)
    shown = " ".join(capsys.readouterr().out.split())
    assert "ecommerce-v1/content: agents that look at the profile alone; focal recommender_0" in " ".join(shown.split())
    for words, said in (
        (["--scenarios", "duel-v1/contents"], "unknown scenario 'duel-v1/contents' (did you mean 'duel-v1/content'?)"),
        (["--scenarios", "duel-v1", "--policies", "recommender_0=content,recommender_1=content"], "is a team"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["evaluate", *words, "--out", str(tmp_path / "nothing")])
        assert said in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


# ------------------------------------------------------------------------------------------------ conditional policies


@pytest.mark.parametrize(("policy", "forgives"), [("reciprocal", True), ("grim", False)])
def test_who_is_baited_answers_in_kind(policy: str, forgives: bool) -> None:
    """In duel-v1, where satisfaction is the mood: a hook shown in a bad mood is answered by what greedy shows, a fair
    item by what is 100 on the scale (here: always the fair item); the best mood excuses all."""
    envs = vector_env("duel-v1", 64, scale_hundred="blind")
    members = {name: make_policy(name) for name in (policy, "blind", "greedy")}
    for member in members.values():
        member.bind(envs, "recommender_0", 0)
    observations, _ = envs.reset(seed=0)
    wronged, differ = np.zeros(64, bool), 0
    for tick in range(120):
        shown = {name: member.act(observations[:, 0]) for name, member in members.items()}
        expected = np.where(wronged, shown["greedy"], shown["blind"])
        np.testing.assert_array_equal(shown[policy], expected)
        differ += int((shown["greedy"] != shown["blind"])[wronged].sum())
        mood = envs.latent_users()["satisfaction"]
        rival = np.where((tick // 10) % 2 == 0, FAIR, HOOK) * np.ones(64, int)
        observations, _, _, _, infos = envs.step(np.stack([expected, rival], axis=1))
        members[policy].observe(feedback(infos, 0))
        told = mood <= 0
        wronged[told] = (rival == HOOK)[told] if forgives else (wronged | (rival == HOOK))[told]
    assert differ > 0  # the two answers are not the same
    assert wronged.any()
    members[policy].reset(np.ones(64, bool))
    np.testing.assert_array_equal(members[policy].act(observations[:, 0]), members["blind"].act(observations[:, 0]))


def test_those_who_cooperate_are_not_punished() -> None:
    """Among themselves reciprocal policies always play for the team."""
    envs = vector_env("duel-v1", 32, scale_hundred="blind")
    team = Team(envs, dict.fromkeys(envs.possible_agents, "reciprocal"), 0)
    observations, _ = envs.reset(seed=0)
    joint = envs.empty_actions()
    for _ in range(100):
        team.act(observations, joint)
        assert (joint == FAIR).all()
        observations, _, _, truncated, infos = envs.step(joint)
        team.observe(infos, truncated)


@pytest.mark.parametrize(("policy", "below"), [("matcher", 0), ("undercutter", 1)])
def test_prices_follow_the_others(policy: str, below: int) -> None:
    """At the rival's last level, or one below it, and never below the lowest."""
    envs = vector_env("pricing-duel-v0", 16, arrival={"d_0": 0.0})  # the visitor stays the same
    member = bound(envs, policy)
    observations, _ = envs.reset(seed=0)
    assert (member.act(observations[:, 0]) == 3 - below).all()  # nobody has offered anything yet
    for level in (6, 2, 1, 0):
        joint = envs.empty_actions()
        joint[:, 0], joint[:, 1] = 5, level
        observations = envs.step(joint)[0]
        assert (member.act(observations[:, 0]) == max(level - below, 0)).all()
