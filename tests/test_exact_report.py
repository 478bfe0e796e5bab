"""The command that solves a game, and the policies that play its table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import recsys_env
from recsys_env.__main__ import main
from recsys_env.exact import nash_conv, tabulate
from recsys_env.exact.policies import optimum_of

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


def test_slates_are_looked_up_and_played() -> None:
    config = recsys_env.replace(DUEL, {"slots": 2, "num_agents": 1})
    game = tabulate(config)
    assert game.actions == ("0-0", "0-1", "1-0", "1-1")
    team = played(game, config, "joint")
    assert (team[0].argmax(1) == optimum_of(config)[0]).all()
