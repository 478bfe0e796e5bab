"""Which learner earns more: at equal agent-steps and at equal processor time, within a library."""

from __future__ import annotations

from typing import Any

import pytest

from baselines.comparison import compare, reached

STEPS = [100, 200, 300, 400]


def runs(rewards: list[list[float]], seconds: float, steps: list[int] = STEPS) -> dict[int, Any]:
    """Seeds with these rewards of evaluations, each after so many seconds more."""
    return {
        seed: {
            "agent_steps": steps,
            "seconds": [seconds * (k + 1) for k in range(len(of))],
            "reward": of,
            "untrained": 0.0,
        }
        for seed, of in enumerate(rewards)
    }


def learner(
    evaluations: dict[int, Any], library: str = "torch", reward: str = "own", timesteps: int = 400
) -> dict[str, Any]:
    return {"library": library, "reward": reward, "timesteps": timesteps, "evaluations": evaluations}


def test_what_is_reached_is_the_mean_of_the_last_three_evaluations_until_the_limit() -> None:
    run = runs([[1.0, 2.0, 3.0, 7.0]], seconds=10.0)[0]
    assert reached(run, "agent_steps", 400) == 4.0
    assert reached(run, "agent_steps", 300) == 2.0
    assert reached(run, "seconds", 25.0) == 1.5
    assert reached(run, "seconds", 9.0) == 0.0  # untrained


def test_a_separation_holds_by_steps_and_by_time() -> None:
    """The slow learner is ahead at equal steps; at equal time it is not, so the two are not separated."""
    fast = runs([[1.0, 2.0, 2.0, 2.0], [1.1, 2.1, 2.1, 2.1]], seconds=1.0)
    slow = runs([[1.0, 5.0, 5.0, 5.0], [1.1, 5.1, 5.1, 5.1]], seconds=4.0)
    (pair,) = compare("duel-v1", {"fast": learner(fast), "slow": learner(slow)})
    assert (pair.agent_steps, pair.seconds) == (400, 4.0)
    assert pair.at_steps["mean"] == pytest.approx(-3.0)
    assert pair.at_seconds["mean"] == pytest.approx(1.0)
    assert pair.better is None
    slow = runs([[5.0] * 4, [5.1] * 4], seconds=1.0)
    (pair,) = compare("duel-v1", {"fast": learner(fast), "slow": learner(slow)})
    assert pair.better == "slow"
    (pair,) = compare("duel-v1", {"slow": learner(slow), "fast": learner(fast)})
    assert pair.better == "slow"


def test_differences_within_their_interval_are_none() -> None:
    one, other = runs([[1.0] * 4, [9.0] * 4], 1.0), runs([[2.0] * 4, [3.0] * 4], 1.0)
    (pair,) = compare("duel-v1", {"one": learner(one), "other": learner(other)})
    assert pair.at_steps["mean"] == pytest.approx(2.5)
    assert pair.better is None
    single = {"one": learner({0: one[0]}), "other": learner({0: other[0]})}
    (pair,) = compare("duel-v1", single)
    assert pair.better is None  # one seed says nothing


def test_intervals_of_all_pairs_hold_together() -> None:
    found = {
        name: learner(runs([[gain] * 4, [gain + 0.1] * 4, [2 * gain] * 4], 1.0)) for name, gain in (("a", 1), ("b", 2))
    }
    (alone,) = compare("duel-v1", found)
    found["c"] = learner(runs([[3.0] * 4] * 3, 1.0))
    together = compare("duel-v1", found)
    assert [(pair.one, pair.other) for pair in together] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert together[0].at_steps["mean"] == alone.at_steps["mean"]
    assert together[0].at_steps["ci95"] > 1.5 * alone.at_steps["ci95"]


def test_libraries_rewards_and_budgets_are_not_mixed() -> None:
    of = runs([[1.0] * 4, [1.1] * 4], 1.0)
    found = {
        "mine": learner(of),
        "library": learner(of, library="stable_baselines3"),
        "team": learner(of, reward="team"),
        "short": learner(of, timesteps=200),
        "other": learner(of),
    }
    assert [(pair.one, pair.other) for pair in compare("duel-v1", found)] == [("mine", "other")]


def test_runs_that_are_rounded_up_to_whole_rollouts_are_of_the_same_length() -> None:
    """The last evaluation of the longer one counts, as it is of the same budget."""
    short, long = runs([[1.0] * 4] * 2, 1.0), runs([[0.0, 0.0, 0.0, 3.0]] * 2, 1.0, [104, 208, 312, 416])
    (pair,) = compare("duel-v1", {"short": learner(short), "long": learner(long)})
    assert pair.agent_steps == 400
    assert pair.at_steps["mean"] == pytest.approx(0.0)
