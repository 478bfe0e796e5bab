"""Claims are what the stored scores say, in either direction."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rliable")

from baselines.claims import claims, verdict


def team(*runs: float) -> dict[str, Any]:
    return {"mean": sum(runs) / len(runs), "seeds": list(range(len(runs))), "runs": list(runs)}


def trained_on(seeds: dict[int, float], **references: list[float]) -> dict[str, Any]:
    return {"seeds": [{"training": seed} for seed in seeds], "runs": {"trained": list(seeds.values()), **references}}


def test_differences_are_paired_and_signed() -> None:
    tasks = {
        "coldstart-v0": {"teams": {
            "content": team(5, 6, 7), "popularity": team(4, 5.1, 5.9), "implicit": team(3, 4.2, 4.8), "lightfm": team(1, 1, 1),
            "linucb": team(9.0, 9.1, 9.2), "thompson": team(20, 20, 20),
        }},
        "duel-v0": {"teams": {name: team(1, 2) for name in ("content", "popularity", "implicit", "lightfm", "linucb")}},
    }  # fmt: skip
    learners = {
        "ippo": {"tasks": {"journey-v0": trained_on({0: 3, 1: 3, 2: 3, 3: 3.1}, content=[1, 1, 1, 1])}},
        "item-ppo": {
            "tasks": {task: {"runs": {"trained": [2, 2.1], "content": [1, 1]}} for task in ("journey-v0", "news-v0")}
        },
        "ippo-selfish": {"tasks": {"journey-v0": trained_on({3: 4.1, 0: 4, 5: 99})}},
        "ippo-full": {"tasks": {"streaming-v0": {"runs": {"trained": [1, 2], "greedy": [1, 2]}}}},
    }
    found = dict(claims({"tasks": tasks}, {"learners": learners}))
    assert found["content above popularity"]["coldstart-v0"]["mean"] == pytest.approx(1.0)
    assert verdict(found["content above popularity"]) == "holds on 1 of 2, fails on 0"
    assert verdict(found["implicit above popularity"]) == "holds on 0 of 2, fails on 1"
    assert found["where users are new, the best bandit above the best collaborative filter"]["coldstart-v0"][
        "mean"
    ] == pytest.approx(5.1)
    trained = found["the best trained team above the myopic observer `content`"]
    assert list(trained) == ["journey-v0: ippo", "news-v0: item-ppo"]
    assert verdict(trained) == "holds on 2 of 2, fails on 0"
    assert (
        verdict(found["with the latent visitor in sight, the best trained team above the myopic oracle `greedy`"])
        == "holds on 0 of 1, fails on 0"
    )
    sharing = found["trained with `sharing=1` (`ippo`) above trained selfishly (`ippo-selfish`)"]
    assert sharing["journey-v0"]["mean"] == pytest.approx(-1.0)  # on seeds 0 and 3
    assert verdict(sharing) == "holds on 0 of 1, fails on 1"
    assert "surprise above popularity" not in found


def test_nothing_stored_claims_nothing() -> None:
    assert claims({}, {}) == []
