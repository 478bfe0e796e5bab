"""Who plays whom, what follows from the payoffs, and that a policy of one's own enters from its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyspiel")
pytest.importorskip("tyro")

from recsys_env import TASKS, cli, task_config
from recsys_env.config.tasks import _TASKS, Suite
from recsys_env.evaluation import UNSEEN, episode_returns, tournament
from recsys_env.evaluation.tables import ranking_rows
from recsys_env.evaluation.tournaments import alpha_rank, cross_play, games, show, standings
from recsys_env.policies.population import Population

ROOT = Path(__file__).parent.parent
MINE = '''"""A recommender of my own: the cheapest items first."""

import numpy as np

from recsys_env.policies import Policy


class Cheapest(Policy):
    def act(self, observations, mask=None):
        envs, n = self.envs, self.index
        cheapest = np.argsort(envs.public_items()["price"][0])
        if envs.config.slots == 1:
            return np.full(len(observations), cheapest[0])
        return np.tile(cheapest[: envs.config.slots], (len(observations), 1))
'''


def test_two_agents_change_seats() -> None:
    config = TASKS["duel-v1"]
    assert games(config, "a", "b") == [(0, "recommender_0=a,recommender_1=b"), (1, "recommender_0=b,recommender_1=a")]
    assert games(config, "a", "a") == [(0, "a"), (1, "a")]


def test_one_among_many_and_each_role_in_turn() -> None:
    assert games(TASKS["streaming-v1"], "a", "b") == [(0, "recommender_0=a,recommender_1=b,recommender_2=b")]
    assert games(TASKS["streaming-v1"], "a", "a") == [(0, "a")]  # the same seat, so that the two can be compared
    assert [seat for seat, _ in games(TASKS["journey-v1"], "a", "b")] == [0, 1, 2]
    assert games(TASKS["journey-v1"], "a", "b")[1][1] == "entrance_0=b,item_0=a,cart_0=b"


def results(task: str, earnings: Any, policies: list[str], episodes: int = 6) -> list[dict[str, Any]]:
    """Made-up results: earnings(team, seed) -> own [N] of every episode."""
    config = TASKS[task]
    teams = dict.fromkeys(team for row in policies for column in policies for _, team in games(config, row, column))
    made = {"command": "c", "commit": "c", "date": "d", "processor": "p", "versions": {}, "made_of": {}, "warmup": 0}
    return [
        {"team": team, "seed": seed, "individual_reward": [earnings(team, seed)] * episodes, **made}
        for team in teams
        for seed in range(3)
    ]


def payoff(row: str, column: str) -> float:
    """A prisoner's dilemma."""
    return {"cc": 3.0, "cd": 0.0, "dc": 5.0, "dd": 1.0}[row[0] + column[0]]


def dilemma(team: str, seed: int) -> list[float]:
    first, second = (part.split("=")[-1] for part in team.split(",")) if "=" in team else (team, team)
    return [payoff(first, second) + seed, payoff(second, first) + seed]


def test_standings_of_a_dilemma() -> None:
    found = standings("duel-v1", ["cooperate", "defect"], results("duel-v1", dilemma, ["cooperate", "defect"]))
    assert {
        row: {column: value["mean"] for column, value in columns.items()} for row, columns in found["payoff"].items()
    } == {
        "cooperate": {"cooperate": 4, "defect": 1},
        "defect": {"cooperate": 6, "defect": 2},
    }
    assert found["alpha_rank"]["defect"] > 0.95
    assert [row[0] for row in ranking_rows(found)] == ["defect", "cooperate"]
    assert ranking_rows(found)[0][1].startswith("6")  # against those who cooperate
    assert found["origin"]["settings"]["seeds"] == [UNSEEN, UNSEEN + 1, UNSEEN + 2]


def test_alpha_rank_of_rock_paper_scissors_is_even() -> None:
    cyclic = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)
    np.testing.assert_allclose(alpha_rank(np.repeat(cyclic[..., None], 4, axis=2)), np.full(3, 1 / 3), atol=1e-6)
    np.testing.assert_allclose(alpha_rank(np.ones((1, 1, 4))), [1])


def test_alpha_rank_counts_what_a_policy_earns_against_its_own_kind() -> None:
    """Of two conventions, each best against itself, either can be the end; what does better against both is."""
    conventions = np.array([[10.0, 0.0], [0.5, 1.0]])
    np.testing.assert_allclose(alpha_rank(np.repeat(conventions[..., None], 4, axis=2)), [0.5, 0.5], atol=0.02)
    dominated = np.array([[10.0, 2.0], [0.5, 1.0]])
    assert alpha_rank(np.repeat(dominated[..., None], 4, axis=2))[0] > 0.95


def test_a_difference_within_noise_does_not_take_all_the_mass() -> None:
    noisy = np.zeros((2, 2, 6))
    noisy[1, 0] = [-5.0, 4.0, -3.0, 5.0, -4.0, 3.1]  # 0.02 on average
    assert 0.2 < alpha_rank(noisy)[0] < 0.8


def test_cross_play_is_what_strangers_lose() -> None:
    payoffs = np.array([[[4.0, 6.0], [1.0, 3.0]], [[2.0, 2.0], [8.0, 10.0]]])
    found = cross_play(["a", "b"], payoffs)
    assert {key: value["mean"] for key, value in found["all"].items()} == {"diagonal": 7, "off_diagonal": 2, "gap": 5}
    assert {name: set(values) for name, values in cross_play(["a"], payoffs[:1, :1]).items()} == {"all": {"diagonal"}}


def test_one_policy_plays_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(tournament(("random",), ("journey-v1,horizon=20",), episodes=2, seeds=2, out=tmp_path))
    assert "cross-play" in capsys.readouterr().out
    found = json.loads((tmp_path / "tournament.json").read_text())["journey-v1,horizon=20"]
    alone = found["payoff"]["random"]["random"]
    assert found["cross_play"]["all"]["diagonal"] == {key: alone[key] for key in ("mean", "ci95")}
    assert alone["mean"] == np.mean(alone["runs"])


def test_policies_are_given_by_name(tmp_path: Path) -> None:
    for policy in (Population(["greedy", "blind"]), tmp_path):
        said = r"policies = .* must be a list of names, .* a population has a name, too: population:content\+greedy"
        with pytest.raises(ValueError, match=said):
            tournament(("random", policy), out=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="policies = 'random' must be a list of names"):
        tournament("random", out=tmp_path)  # type: ignore[arg-type]


def test_a_suite_stands_for_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = ("duel-v1,horizon=20", "social-v1,horizon=20")
    monkeypatch.setattr(cli, "SUITES", {"mine": Suite("Mine", "A suite of mine.", tasks)})
    assert tuple(tournament(("random",), ("mine",), episodes=2, seeds=2, out=tmp_path)) == tasks


def test_seeds_of_a_learner_are_strangers_among_themselves() -> None:
    payoffs = np.repeat(np.array([[9.0, 1, 1], [1, 4, 3], [1, 1, 6]])[..., None], 2, axis=2)
    found = cross_play(["greedy", "runs/ippo-{task}-0", "runs/ippo-{task}-1"], payoffs)
    assert list(found) == ["all", "runs/ippo-{task}"]
    assert {key: value["mean"] for key, value in found["runs/ippo-{task}"].items()} == {
        "diagonal": 5,
        "off_diagonal": 2,
        "gap": 3,
    }


def test_cooperative_tasks_count_the_team() -> None:
    def team_of_roles(team: str, seed: int) -> list[float]:
        return [3.0, 0.0, 0.0] if "=" in team else [9.0, 0.0, 0.0]

    found = standings("journey-v1", ["a", "b"], results("journey-v1", team_of_roles, ["a", "b"]))
    assert found["cooperative"]
    assert (
        found["payoff"]["a"]["a"]["mean"],
        found["payoff"]["a"]["b"]["mean"],
        found["cross_play"]["all"]["gap"]["mean"],
    ) == (3, 1, 2)
    assert "alpha_rank" not in found


def test_a_file_of_twenty_lines_enters_the_tournament(tmp_path: Path) -> None:
    """From a folder of its own, by the command, with nothing of the package changed."""
    assert len(MINE.splitlines()) <= 20
    (tmp_path / "mine.py").write_text(MINE)
    wanted = [
        "--policies",
        "mine:Cheapest",
        "greedy",
        "--tasks",
        "duel-v1",
        "--episodes",
        "3",
        "--seeds",
        "2",
        "--out",
        "out",
    ]
    command = [sys.executable, "-m", "recsys_env", "tournament", *wanted]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "tournament.json").read_text())["duel-v1"]
    assert set(report["payoff"]) == set(report["alpha_rank"]) == {"mine:Cheapest", "greedy"}
    expected = [episode_returns("duel-v1", "greedy", 3, UNSEEN + seed).mean() for seed in range(2)]
    assert report["payoff"]["greedy"]["greedy"]["mean"] == pytest.approx(np.mean(expected))
    assert (tmp_path / "out" / "duel-v1.png").stat().st_size > 1000
    assert "mine:Cheapest" in done.stdout
    stored = json.loads((tmp_path / "out" / "duel-v1" / "greedy" / "1.json").read_text())
    assert stored["command"].startswith("python -m recsys_env tournament --policies mine:Cheapest")


def test_both_seats_enter_the_payoff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_TASKS, "short-v0", task_config("duel-v1", {"horizon": 20}))
    tournament(("random", "greedy"), ("short-v0",), episodes=5, seeds=2, out=tmp_path)
    found = json.loads((tmp_path / "tournament.json").read_text())["short-v0"]["payoff"]["greedy"]["random"]["mean"]
    first = [
        episode_returns("short-v0", {"recommender_0": "greedy", "recommender_1": "random"}, 5, UNSEEN + seed)[
            :, 0
        ].mean()
        for seed in range(2)
    ]
    second = [
        episode_returns("short-v0", {"recommender_0": "random", "recommender_1": "greedy"}, 5, UNSEEN + seed)[
            :, 1
        ].mean()
        for seed in range(2)
    ]
    assert found == pytest.approx(np.mean(first + second))
