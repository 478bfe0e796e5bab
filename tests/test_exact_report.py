"""The command that solves a game, and the policies that play its table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import recsys_env
from recsys_env.__main__ import main
from recsys_env.evaluation import episode_returns
from recsys_env.exact import nash_conv, tabulate, team_optimum
from recsys_env.exact.policies import equilibrium_of, optimum_of

pytest.importorskip("tyro")
pytest.importorskip("rich")
pytest.importorskip("quantecon")
from recsys_env.exact.policy_tables import played
from recsys_env.exact.report import solve

DUEL = recsys_env.TASKS["duel-v1"]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["solve", "--task", *words])
    return " ".join(capsys.readouterr().out.split())


def test_the_textbook_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """R(s, a) and the optimal actions equal the hand's: s1 and s2 in turn two to one, (2 * 5.5 + 1) / 3 = 4."""
    text = said(capsys, "example")
    for words in (
        "example: 3 states, 1 agent, 2 actions (X, Y); reward per tick, average",
        "R(s0, X) = 0.5, R(s0, Y) = 2; at once best: Y",
        "R(s1, X) = 5.5, R(s1, Y) = 0.5; at once best: X",
        "R(s2, X) = 5, R(s2, Y) = 1; at once best: X",
        "optimum XXY 4.0000 per agent",
    ):
        assert words in text


def test_the_duel_is_printed_as_published(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "duel.json"
    text = said(capsys, "duel-v1", "--policies", "random", "greedy", "joint", "--json", str(out))
    for words in (
        "mood 0 | mood 1 | mood 2",
        "optimum YXX YXX 0.2313 per agent",
        "equilibrium YXX YXX 0.2313 0.2313 strict, symmetric, +74 % for recommender_0 over its best constant answer",
        "best constant answer equilibrium YYY",
        "price of anarchy 0.287, of stability 1.000 T 0.1549, R 0.1434, P 0.0663, S 0.0210: constant strategies reward",
        "always X XXX 0.0785 0.0210 0.1434",
        "equilibrium, myopic, always Y YYY 42.6 0.0 56.4",
        "greedy 0.0663 0.0663 0.0000 YYY YYY joint 0.2313 0.2313 0.0000 YXX YXX",
    ):
        assert words in text
    stored = json.loads(out.read_text())
    game = tabulate("duel-v1")
    np.testing.assert_array_equal(stored["transitions"], game.transitions)
    random = stored["policies"][0]
    assert random["name"] == "random"
    assert random["policies"] is None
    assert random["nash_conv"] == pytest.approx(nash_conv(game, [np.full((3, 2), 0.5)] * 2))


@pytest.mark.parametrize("criterion", ["discounted", "finite"])
def test_other_criteria(criterion: str) -> None:
    found = solve("duel-v1", criterion=criterion, policies=("joint",))
    assert found["optimum"]["individual_reward"] == pytest.approx(
        {"discounted": 0.2442, "finite": 0.2366}[criterion], abs=1e-4
    )
    assert ("equilibria" in found) == (criterion == "discounted")
    with pytest.raises(ValueError, match="criterion = 'mean' is not allowed; choose one of average, disc"):
        solve("duel-v1", criterion="mean")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("duel-v1,num_agents=1", "optimum YXX"),
        ("duel-v1,reward.sharing=-1", "prices in individual reward; payoffs against each other in reward after"),
        (
            "duel-v1,num_agents=3,slots=3",
            "equilibria: 1.3e+08 profiles of pure policies (8 actions, 3 states, 3 agents)",
        ),
    ],
)
def test_other_sizes_are_printed(task: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in said(capsys, task, "--policies", "random")


def test_prices_are_solved_as_published() -> None:
    """Four pure equilibria, two symmetric, .232 to .278; myopic .590; joint .699; wrong answers up to 46 %."""
    found = solve("pricing-duel-v0", policies=("random", "equilibrium", "joint"))
    assert found["states"] == ["trust 1 0", "trust 0 1", "trust 0 0"]  # mine, the rival's, nobody's
    assert found["optimum"]["policies"] == ["663", "663"]
    assert found["optimum"]["individual_reward"] == pytest.approx(0.6986, abs=5e-5)
    policies = {tuple(e["policies"]): e for e in found["equilibria"]}
    assert set(policies) == {("400", "311"), ("311", "400"), ("302", "302"), ("301", "301")}
    own = [np.mean(e["individual_reward"]) for e in policies.values()]
    np.testing.assert_allclose([min(own), max(own)], [0.2316, 0.2776], atol=5e-5)
    assert sum(e["symmetric"] for e in policies.values()) == 2
    table = found["against"]
    index = {policy: i for i, policy in enumerate(table["policies"])}
    assert table["names"][index["533"]] == "myopic"
    pay = np.array(table["payoffs"])
    at = [index[name] for name in ("301", "663", "533")]
    np.testing.assert_allclose(pay[at, at], [0.2316, 0.6986, 0.5903], atol=5e-5)
    assert [table["answers"][i] for i in at] == ["301", "600", "501"]
    loss = 100 * np.array(table["loss"])[np.ix_(at, at)]  # of the best response to the row against the column
    np.testing.assert_allclose(loss, [[0, 43, 25], [46, 0, 9], [19, 7, 0]], atol=0.5)
    rows = {row["name"]: row for row in found["policies"]}
    assert rows["random"]["individual_reward"] == pytest.approx([0.3219, 0.3219], abs=5e-5)
    assert rows["equilibrium"]["policies"] == ["301", "301"]
    assert rows["joint"]["policies"] == ["663", "663"]
    assert policies["301", "301"]["over_constant"] == pytest.approx(0.23, abs=0.005)
    dilemma = found["dilemmas"]["the optimum and its best response"]
    assert dilemma == pytest.approx({"T": 1.079, "R": 0.699, "P": 0.232, "S": 0.143}, abs=5e-4)


def test_a_game_of_ones_own_is_solved_and_played() -> None:
    """Two agents, four moods: what a table promises its policies is what they earn."""
    config = recsys_env.replace(
        DUEL,
        {
            "choice": {"v_0_by_mood": (0.5, 1.0, 2.0, 4.0), "beta_bait": 1.5},
            "dynamics": {"mood_up": (0.4, 0.05), "mood_down": (0.0, 0.2), "mood_up_none": 0.05},
        },
    )
    game = tabulate(config)
    assert len(game.states) == 4
    optimum = game.initial @ team_optimum(game)[0]
    assert played(game, config, "joint")[0].argmax(1).tolist() == optimum_of(config)[0].tolist()
    own = episode_returns(recsys_env.replace(config, {"horizon": 4000}), "joint", 100, 0).sum(1) / 4000
    assert abs(own.mean() - optimum) < 4 * own.std() / 10 + 0.002  # the start is not the long run
    assert nash_conv(game, equilibrium_of(config)) == pytest.approx(0, abs=1e-9)


def test_slates_are_looked_up_and_played() -> None:
    config = recsys_env.replace(DUEL, {"slots": 2, "num_agents": 1})
    game = tabulate(config)
    assert game.actions == ("0-0", "0-1", "1-0", "1-1")
    team = played(game, config, "joint")
    assert (team[0].argmax(1) == optimum_of(config)[0]).all()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("duel-v1,dynamics.mood_upp=1", r"DynamicsConfig has no field 'mood_upp' \(did you mean 'mood_up'\?\)"),
        ("duel-v1,items.number=2000", r"4,000,000 joint actions \(2000 actions, 2 agents\) .* allowed is 0.5$"),
        ("duel-v1,page=shared,num_agents=8", r"256 joint actions .* on 40,320 orders of the page"),
    ],
)
def test_what_cannot_be_solved_is_said_in_one_line(task: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["solve", "--task", task])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error.strip())
