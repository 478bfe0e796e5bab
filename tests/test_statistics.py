"""From runs to scores: pairing, intervals, summaries that grow, aggregates."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recsys_env import TASKS, WorldConfig, replace
from recsys_env.config import tasks
from recsys_env.evaluation import UNSEEN, mean_interval, scale_ends, statistics
from recsys_env.evaluation.statistics import common_curve, interval, merged, rescaled, summary


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REPETITIONS", 50)


# ------------------------------------------------------------------------------------------------ intervals


def test_intervals_are_those_of_student() -> None:
    rng = np.random.default_rng(0)
    for count in (2, 5, 200):
        samples = rng.normal(3.0, 2.0, count)
        mean, width = mean_interval(samples)
        low, high = stats.t.interval(0.95, count - 1, loc=samples.mean(), scale=stats.sem(samples))
        assert (mean - width, mean + width) == pytest.approx((low, high), rel=1e-12)
    assert np.isnan(mean_interval(np.array([1.0]))[1])


def test_without_scipy_an_interval_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r'^intervals need scipy: pip install "recsys_env\[evaluate\]"$'):
        mean_interval(np.arange(3.0))
    assert mean_interval(np.array([1.0]))[0] == 1


def test_curves_of_seeds_are_brought_to_common_steps() -> None:
    def curve(*points: tuple[int, float]) -> list[dict[str, float]]:
        return [{"agent_steps": steps, "episode_reward": reward} for steps, reward in points]

    found = common_curve([curve((100, 0.0), (300, 2.0)), curve((100, 1.0), (500, 5.0))])
    steps, rewards = np.array(found["agent_steps"]), np.array(found["episode_reward"])
    assert (steps[0], steps[-1], rewards.shape) == (100, 300, (2, 100))  # as far as both have come
    np.testing.assert_allclose(rewards, [(steps - 100) / 100, steps / 100])


def test_intervals_that_hold_together() -> None:
    """Four intervals of five samples each, all of which hold their mean in 95 % of cases."""
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 2.0, (2000, 4, 5))
    held = []
    for of in samples:
        means = [interval(one, among=4) for one in of]
        held.append(all(abs(found["mean"] - 3.0) <= found["ci95"] for found in means))
    assert np.mean(held) == pytest.approx(0.953, abs=0.015)


# ------------------------------------------------------------------------------------------------ summaries


def made_up(own: dict[str, dict[int, float]], task: str = "ecommerce-v1") -> list[dict[str, Any]]:
    """Results of one episode each, both agents earning the same."""
    same = {"episodes": 1, "agents": ["a_0", "a_1"], "learns": False, "warmup": 0, "metrics": {}, "made_of": {}}
    same |= {"command": "made up", "commit": None, "date": "today", "processor": "none", "versions": {}}
    return [
        {"task": task, "team": team, "seed": seed, "individual_reward": [[x, x]], **same}
        for team, values in own.items()
        for seed, x in values.items()
    ]


ENDS = {"random": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, "planner": {0: 3.0, 1: 4.0, 2: 5.0, 3: 6.0}}


def test_a_task_names_the_ends_of_its_scale() -> None:
    assert scale_ends(WorldConfig()) == ("random", "planner")
    assert scale_ends(WorldConfig(scale_zero="blind", scale_hundred="greedy")) == ("blind", "greedy")
    with pytest.raises(ValueError, match=r"WorldConfig.scale_hundred = 'planer' is no policy \(did you mean 'planner'"):
        scale_ends(WorldConfig(scale_hundred="planer"))
    with pytest.raises(ValueError, match="scale_zero and scale_hundred are both 'planner'; a scale needs two policies"):
        WorldConfig(scale_zero="planner")


def test_runs_of_different_lengths_are_not_mixed() -> None:
    longer = [{**result, "episodes": 2} for result in made_up({"mine": {0: 1.0}})]
    with pytest.raises(ValueError, match="runs of ecommerce-v1 have 1 and 2 episodes: they cannot be compared"):
        summary([*made_up(ENDS), *longer])


def test_scores_are_paired_by_seed() -> None:
    report = summary(made_up({**ENDS, "half": {0: 2.0, 1: 3.0, 2: 4.0, 3: 5.0}, "late": {2: 5.5, 3: 6.5}}))
    teams = report["tasks"]["ecommerce-v1"]["teams"]
    assert (teams["half"]["score"], teams["half"]["score_ci95"]) == (50, 0)  # the runs' common level drops out
    assert teams["half"]["ci95"] > 1
    assert teams["late"]["score"] == 125  # against the ends on its own two seeds
    assert teams["late"]["origin"]["settings"]["seeds"] == [UNSEEN + 2, UNSEEN + 3]
    assert report["tasks"]["ecommerce-v1"]["differences"]["late - planner"] == {"mean": 0.5, "ci95": 0.0}
    with pytest.raises(ValueError, match=r"have no seed in common, so they cannot be compared: .* played \["):
        summary(made_up({**ENDS, "early": {0: 1.0}, "late": {3: 2.0}}))
    measured = made_up(ENDS)
    measured[3]["metrics"] = {"ctr": [1.0, 1.0, 1.0]}
    with pytest.raises(
        ValueError, match="some runs of ecommerce-v1 were measured without ctr, by another version or with --no-metrics"
    ):
        summary(measured)
    with pytest.raises(
        ValueError, match="there is no run of planner on ecommerce-v1, which defines an end of its scale"
    ):
        summary(made_up({"random": ENDS["random"]}))


def test_a_summary_grows_by_what_is_played_later() -> None:
    """As if all had been played at once; a team that is played again has its new scores, and what cannot be compared is
    refused."""
    half, late = {0: 2.0, 1: 3.0, 2: 4.5, 3: 5.0}, {2: 5.5, 3: 6.5}
    at_once = summary(made_up({**ENDS, "half": half, "late": late}))
    stored = summary([*made_up({**ENDS, "half": half}), *made_up(ENDS, "news-v1")])
    later = [{**result, "command": "later", "date": "tomorrow"} for result in made_up({**ENDS, "late": late})]
    grown = merged(stored, summary(later))
    teams = grown["tasks"]["ecommerce-v1"]["teams"]
    assert {team: row["origin"]["command"] for team, row in teams.items()} == {
        "half": ["made up"], "late": ["later"], "planner": ["later"], "random": ["later"],
    }  # fmt: skip
    assert teams["late"]["origin"]["settings"] == {
        "task": "ecommerce-v1", "team": "late", "seeds": [UNSEEN + 2, UNSEEN + 3], "episodes": 1, "warmup": 0,
    }  # fmt: skip
    grown = merged(stored, summary(made_up({**ENDS, "late": late})))
    assert grown["tasks"]["ecommerce-v1"] == at_once["tasks"]["ecommerce-v1"]
    assert grown["tasks"]["news-v1"] == stored["tasks"]["news-v1"]
    assert (
        grown["aggregate"]
        == summary([*made_up({**ENDS, "half": half, "late": late}), *made_up(ENDS, "news-v1")])["aggregate"]
    )
    again = merged(stored, summary(made_up({**ENDS, "half": {**half, 0: 2.4}})))
    assert again["tasks"]["ecommerce-v1"]["teams"]["half"]["runs"][0] == 2.4
    with pytest.raises(
        ValueError, match="half was stored with 4 seeds on ecommerce-v1, here 1: finish the evaluation first"
    ):
        merged(stored, summary(made_up({**ENDS, "half": {0: 2.4}})))
    with pytest.raises(ValueError, match="random earn something else on ecommerce-v1 than when they were stored"):
        merged(stored, summary(made_up({**ENDS, "random": {**ENDS["random"], 1: 7.0}})))
    replayed = made_up({**ENDS, "half": half, "random": {**ENDS["random"], 1: 7.0}})
    whole = merged(stored, summary(replayed))  # Nothing that was stored of this task is left to compare with.
    assert whole["tasks"]["ecommerce-v1"] == summary(replayed)["tasks"]["ecommerce-v1"]
    assert whole["tasks"]["news-v1"] == stored["tasks"]["news-v1"]
    better = {
        seed: own + 1 for seed, own in ENDS["planner"].items()
    }  # an oracle that has improved moves the scale for all
    moved = merged(stored, summary(made_up({**ENDS, "planner": better})))["tasks"]["ecommerce-v1"]["teams"]
    anew = summary(made_up({**ENDS, "half": half, "planner": better}))["tasks"]["ecommerce-v1"]["teams"]
    assert moved["half"]["score"] == anew["half"]["score"] < stored["tasks"]["ecommerce-v1"]["teams"]["half"]["score"]
    assert moved["half"]["run_scores"] == anew["half"]["run_scores"]
    longer = summary([{**result, "episodes": 2} for result in made_up(ENDS)])
    with pytest.raises(
        ValueError, match="ecommerce-v1 was stored with episodes = 1, here episodes = 2: they cannot be compared"
    ):
        merged(stored, longer)
    measured = summary([{**result, "metrics": {"ndcg": [0.5, 0.5, 0.5]}} for result in made_up(ENDS)])
    with pytest.raises(ValueError, match="some runs of ecommerce-v1 were measured without ndcg"):
        merged(measured, summary(made_up({**ENDS, "late": late})))


def test_learners_had_the_same_time_to_learn() -> None:
    def learning(warmup: int, team: str) -> list[dict[str, Any]]:
        return [{**result, "learns": True, "warmup": warmup} for result in made_up({team: {0: 1.0, 1: 2.0}})]

    once = summary([*made_up(ENDS), *learning(1, "one")])
    with pytest.raises(
        ValueError, match="policies that learn had 0 and 1 warm-up episodes on ecommerce-v1: they cannot be compared"
    ):
        merged(once, summary([*made_up(ENDS), *learning(0, "other")]))
    with pytest.raises(ValueError, match="policies that learn had 1 and 2 warm-up episodes"):
        summary([*made_up(ENDS), *learning(1, "one"), *learning(2, "other")])


def test_aggregates_over_tasks() -> None:
    better = {0: 2.0, 1: 3.5, 2: 4.5, 3: 5.0}
    state = np.random.get_state()[1].copy()
    results = [
        *made_up({**ENDS, "mine": better}),
        *made_up({**ENDS, "mine": {seed: x + 0.1 for seed, x in better.items()}}, "news-v1"),
    ]
    found = summary(results)["aggregate"]["ranking"]
    assert found["tasks"] == ["ecommerce-v1", "news-v1"]
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    expected = np.array([[50, 75, 75, 50], [55, 80, 80, 55]]).T
    iqm, low, high = found["teams"]["mine"]["iqm"]
    assert iqm == pytest.approx(stats.trim_mean(expected, 0.25, axis=None))
    assert low < iqm < high
    assert found["teams"]["mine"]["mean"][0] == pytest.approx(expected.mean())
    assert found["improvement"]["mine > random"] == [1, 1, 1]
    assert found == summary(results)["aggregate"]["ranking"]
    once = {name: {0: values[0]} for name, values in ENDS.items()}
    assert summary([*made_up(once), *made_up(once, "news-v1")])["aggregate"] == {}  # one run has no interval


def test_tasks_of_different_scales_have_no_aggregate() -> None:
    """Nor have those of different suites, of which no other was played, and examples."""
    central = {"random": ENDS["random"], "central": ENDS["planner"]}
    shop, social = made_up(ENDS), made_up(ENDS, "social-v1")
    assert summary([*social, *made_up(central, "market-v0")])["aggregate"] == {}
    assert summary([*shop, *social, *made_up(ENDS, "journey-v1")])["aggregate"] == {}
    assert list(summary([*social, *made_up(ENDS, "bundle-v0")])["aggregate"]) == ["marl"]


def test_scores_follow_the_scale_that_a_task_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards stay as they were stored."""
    best = {seed: 2 * own for seed, own in ENDS["planner"].items()}
    runs = made_up({**ENDS, "central": best})
    stored = summary(runs)
    shop = replace(TASKS["ecommerce-v1"], {"scale_hundred": "central"})
    monkeypatch.setitem(tasks._TASKS, "ecommerce-v1", shop)
    moved = rescaled(stored)
    assert moved == summary(runs)
    assert moved["tasks"]["ecommerce-v1"]["ends"] == ["random", "central"]
    teams = [report["tasks"]["ecommerce-v1"]["teams"]["planner"] for report in (stored, moved)]
    assert teams[0]["score"] == 100 > teams[1]["score"]
    assert teams[0]["runs"] == teams[1]["runs"]
    monkeypatch.setitem(tasks._TASKS, "ecommerce-v1", replace(shop, {"scale_hundred": "static"}))
    with pytest.raises(ValueError, match="there is no run of static on ecommerce-v1"):
        rescaled(stored)


def test_improvement_counts_the_pairs_that_are_won() -> None:
    """A tie is half a win."""
    first, other = np.array([1.0, 2.0]), np.array([2.0, 0.0])
    assert statistics._improvement(first, other, axis=-1) == (0 + 1 + 0.5 + 1) / 4
