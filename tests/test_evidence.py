"""Evidence cards: what they measure is what they say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from benchmarks import result_files
from benchmarks.studies import evidence, hidden, ranker_searches
from benchmarks.studies.played import HELD_OUT, Played, ratio
from recsys_env import TASKS, WorldConfig, replace, vector_env
from recsys_env.evaluation import episode_returns, mean_interval

SHORT = replace(TASKS["duel-v1"], {"horizon": 40})
MINE = '''"""A policy of mine."""

from recsys_env.policies.random import Random


class Mine(Random):
    """Uniform."""
'''


def test_a_ratio_is_that_of_the_means() -> None:
    base = np.array([1.0, 2.0, 3.0])
    assert ratio(0.5 * base, base) == {"mean": 0.5, "ci95": pytest.approx(0.0, abs=1e-12)}
    found = ratio(np.array([1.0, 3.0, 2.0]), base)
    assert found["mean"] == 1.0
    assert found["ci95"] == pytest.approx(mean_interval(np.array([0.0, 0.5, -0.5]))[1])
    assert ratio(base, -base) == {"mean": None, "ci95": None}


def test_episodes_are_those_of_an_evaluation() -> None:
    played = Played(SHORT, 5, HELD_OUT)
    first, second = SHORT.agents
    np.testing.assert_array_equal(
        played.own("planner", "greedy"), episode_returns(SHORT, {first: "planner", second: "greedy"}, 5, HELD_OUT)
    )
    np.testing.assert_array_equal(played.mean("random"), episode_returns(SHORT, "random", 5, HELD_OUT).mean(axis=1))
    counts = played.counts("random")
    assert (counts["pages"] == 40).all()  # the one user never leaves
    assert (counts["active"] == 80).all()
    assert (counts["impressions"] == 80).all()
    assert (counts["clicks"] <= 40).all()
    assert counts["sessions"].sum() >= 5


class Table(Played):
    """Payoffs of a row against a column, the same in every episode."""

    def __init__(self, table: dict[tuple[str, str], float]) -> None:
        super().__init__(SHORT, 4, 0, {})
        self.table = table

    @property
    def selection(self) -> Played:  # type: ignore[override]
        return self  # other episodes are alike

    def payoff(self, first: str, others: str) -> np.ndarray:
        return np.full(4, self.table[first, others])


def test_the_cost_of_the_wrong_rival() -> None:
    """A stag hunt: who takes a myopic rival for a cooperating one loses 1 of 2, the other way round 1 of 4."""
    table = {("team", "team"): 4.0, ("greedy", "team"): 3.0, ("team", "greedy"): 1.0, ("greedy", "greedy"): 2.0}
    found = evidence.wrong_rival(Table(table), ("team", "greedy"), ("team", "greedy"))
    assert found["best"] == {"team": "team", "greedy": "greedy"}
    assert {pair: cost["mean"] for pair, cost in found["cost"].items()} == {
        "team for greedy": pytest.approx(0.5),
        "greedy for team": pytest.approx(0.25),
    }
    assert (found["costliest"], found["reverse"]) == ("team for greedy", "greedy for team")
    assert evidence.wrong_rival(Table(table), ("team",), ("team", "greedy"))["costliest"] is None


def test_the_costliest_pair_is_that_in_which_both_answers_cost() -> None:
    """`a` is nearly the best answer to `c`, so that answering `c` by it costs little, though the reverse costs most."""
    earned = {"a": (10.0, 9.0, 9.9), "b": (8.0, 10.0, 5.0), "c": (2.0, 5.0, 10.0)}
    table = {(answer, rival): of["abc".index(rival)] for answer, of in earned.items() for rival in "abc"}
    found = evidence.wrong_rival(Table(table), tuple("abc"), tuple("abc"))
    assert found["cost"]["c for a"]["mean"] == pytest.approx(0.8)
    assert found["cost"]["a for c"]["mean"] == pytest.approx(0.01)
    assert {found["costliest"], found["reverse"]} == {"b for c", "c for b"}
    assert [found["cost"][found[which]]["mean"] for which in ("costliest", "reverse")] == pytest.approx([0.5, 0.5])


class Earning(Played):
    """What policies earn when all play them, by whether the episodes are those of choices."""

    def __init__(self, reported: dict[str, float], chosen_on: dict[str, float], config: WorldConfig = SHORT) -> None:
        super().__init__(config, 4, 0, dict.fromkeys(reported))  # type: ignore[arg-type]
        self.earned, self.selection = reported, self
        if chosen_on is not reported:
            self.selection = Earning(chosen_on, chosen_on)

    def mean(self, policy: str) -> np.ndarray:
        return np.full(4, self.earned[policy])


def test_what_looks_at_the_state_is_chosen_on_other_episodes_and_what_only_observes_is_told_apart() -> None:
    reported = {"static": 2.0, "planner": 4.0, "searched-state": 3.0, "lucky": 9.0}
    played = Earning(reported, {**reported, "lucky": 1.0})
    looking = ("planner", "searched-state", "lucky")
    found = evidence.state(played, looking, ("searched-state", "lucky"))
    assert (found["policy"], found["gain"]["mean"]) == ("planner", 1.0)
    assert (found["fixed"], found["fixed_reward"]["mean"]) == ("static", 2.0)
    assert (found["observed"]["policy"], found["observed"]["gain"]["mean"]) == ("searched-state", 0.5)
    assert "missing" in evidence.state(played, looking, ())["observed"]
    worst = evidence.anarchy(played, ("searched-state", "lucky"), looking)
    assert (worst["policy"], worst["optimum"], worst["mean"]) == ("lucky", "planner", 2.25)


@pytest.mark.slow
def test_the_command_stores_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_file.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(result_files, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(evidence, "exact", lambda task: {"missing": "not asked for"})
    monkeypatch.setattr(evidence, "speed", lambda task: {"copies": 1, "agent_steps_per_second": 1.0})
    task = "duel-v1,horizon=40,scale_zero=random,scale_hundred=planner"
    monkeypatch.setattr(
        sys, "argv", ["evidence", task, "--episodes", "3", "--generations", "0", "--policies", "my_file:Mine"]
    )
    evidence.main()
    card: dict[str, Any] = json.loads((tmp_path / "results" / "evidence" / f"{task}.json").read_text())
    assert card["settings"] == {
        "task": task,
        "episodes": 3,
        "seed": HELD_OUT,
        "policies": ["my_file:Mine"],
        "generations": 0,
    }
    assert {"my_file:Mine", *evidence.SIMPLE} <= card["rows"].keys()
    assert all("mean" in row or row["missing"] for row in card["rows"].values())
    assert card["play"]["T"] == card["play"]["payoffs"]["greedy"][card["play"]["team"]]
    assert {"greedy", "central", "joint", "my_file:Mine"} <= set(card["play"]["wrong_rival"]["answers"])
    assert evidence.too_slow(TASKS["market-v0"], "central")
    levels = card["levels"]["random"]
    assert (levels["idle"], levels["inactive"], levels["pages"], levels["pages_sd"]) == (0, 0, 40, 0)


def test_parts_that_a_task_lacks_say_so() -> None:
    alone = replace(TASKS["social-v1"], {"num_agents": 1})
    assert evidence.play_against(Played(alone, 2, 0), ("greedy",)) == {"missing": "it has one agent"}


def test_searched_rankers_play_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a budget of nothing: all are there, and play as the weights that were found say."""
    small = replace(TASKS["ecommerce-v1"], {"horizon": 10})
    tiny = ranker_searches.Budget(population=4, episodes=1)
    monkeypatch.setattr(ranker_searches, "Budget", lambda **asked: dataclasses.replace(tiny, **asked))
    found = ranker_searches.searches(small, evidence.rivals_of(small), 1)
    assert list(found) == ["searched-static", "searched-state", "forgetful", "answer to planner", "answer to greedy"]
    forgotten = {
        name: float(weight)
        for name, weight in zip(found["forgetful"].names, found["forgetful"].weights[0, 0], strict=True)
    }
    assert {name for name, weight in forgotten.items() if weight == 0} == {"history_match", "topic_count", "repeat"}
    assert len(found["searched-static"].scores) == 2
    assert found["searched-state"].weights.shape[1] > 1  # weights that move
    played = Played(small, 3, HELD_OUT, found)
    first, second = small.agents
    answer = found["answer to greedy"]
    own = episode_returns(small, {first: answer.policy(small, 0), second: "greedy"}, 3, HELD_OUT)
    np.testing.assert_array_equal(played.own("answer to greedy", "greedy"), own)
    record = ranker_searches.search_record(answer)
    assert json.loads(json.dumps(record)) == record
    market_task = replace(TASKS["market-v0"], {"horizon": 10})
    market = ranker_searches.searches(market_task, evidence.rivals_of(market_task), 1)
    assert list(market) == [
        "searched-static",
        "searched-state",
        "forgetful",
        *map("answer to {}".format, ("greedy", "planner")),
    ]
    assert market["answer to planner"].names[-1] == "price_level"
    assert {"observed_satisfaction", "price_levels"} <= set(market["answer to planner"].states)


class Noisy(Table):
    """The same, the row's advantage over who plays as all others do differing between episodes by up to `spread`."""

    def __init__(self, table: dict[tuple[str, str], float], spread: float) -> None:
        super().__init__(table)
        self.config, self.spread = TASKS["rivals-v1"], spread

    def payoff(self, first: str, others: str) -> np.ndarray:
        return super().payoff(first, others) + (first != others) * self.spread * np.array([-1.0, 1.0, -1.0, 1.0])


def test_prices_settle_where_nothing_beats_them_beyond_its_interval() -> None:
    """Of planners that pay 0, .8, 1 and 1.25 times the task's price, and one policy that is none."""
    made = evidence.priced_planners(TASKS["rivals-v1"])
    prices = ["greedy", "planner x 0.8", "planner", "planner x 1.25"]
    answers = [*prices, "central"]
    table = {(a, b): 10.0 if a == b else 9.0 for a in answers for b in prices}
    table["planner x 1.25", "planner"] = 11.0
    played = Noisy(table, 0.0)
    played.made = {name: made[name] for name in prices if name in made}
    found = evidence.priced_game(played, answers)
    assert list(found["prices"]) == prices
    assert [row["beaten"] for row in found["prices"].values()] == [False, False, True, False]
    assert found["prices"]["planner"]["gains"]["planner x 1.25"]["mean"] == pytest.approx(0.1)
    assert found["unbeaten"] == [["greedy", "planner x 0.8"], ["planner x 1.25"]]
    assert found["settles"] == ["greedy", "planner x 1.25"]  # of those that cannot be told apart the best for all
    table["central", "greedy"] = 12.0  # no neighbour, but the best answer known
    assert evidence.priced_game(played, answers)["unbeaten"][0] == ["planner x 0.8"]
    noisy = Noisy(table, 5.0)
    noisy.made = played.made
    assert not any(row["beaten"] for row in evidence.priced_game(noisy, answers)["prices"].values())
    played.made = {}
    assert "missing" in evidence.priced_game(played, answers)
    assert evidence.priced_planners(TASKS["journey-v1"]) == {}


def test_what_memory_and_messages_are_worth() -> None:
    earned = {"coverage-convention": 2.0, "coverage-memory": 3.0, "coverage-talk": 3.6}
    found = evidence.memory(Earning(earned, earned, TASKS["coverage-v0"]))
    assert found["memory"]["gain"]["mean"] == pytest.approx(0.5)
    assert found["messages"]["gain"]["mean"] == pytest.approx(0.2)
    earned = {"static": 3.0, "forgetful": 2.0}
    played = Earning(earned, earned, TASKS["streaming-v1"])
    assert evidence.memory(played)["memory"]["gain"]["mean"] == pytest.approx(0.5)
    played.made = {}
    assert "missing" in evidence.memory(played)


def test_the_planner_who_is_denied_something_knows_the_rest() -> None:
    """The world and the state that it reads differ from the true ones in what it is denied, and in nothing else."""
    envs = vector_env("social-v1", 3)
    envs.reset(seed=0)
    world, vectors = envs.world, envs.arrays.vectors.copy()
    told = hidden.Denied(taste=True, items=True)
    told.bind(envs, envs.possible_agents[0], 0)
    told.act(np.zeros((3, 1)))
    shape, items = world.params["shape"][0], told.envs.world.items
    for name in items.dtype.names or ():
        same = np.array_equal(items[name], world.items[name])
        assert same == (name not in ("quality", "bait"))  # the intercept is 0 in all items
    assert np.ptp(items["quality"]) == 0
    changed = np.unique(np.nonzero(told.envs.arrays.vectors != vectors)[2])
    assert changed.size
    assert changed.min() >= shape["taste"]
    assert changed.max() < shape["taste"] + shape["dims"]
    np.testing.assert_array_equal(envs.arrays.vectors, vectors)
    knows_all = hidden.Denied(taste=False, items=False)
    assert episode_returns(replace(TASKS["social-v1"], {"horizon": 20}), [knows_all, "greedy"], 3, 0).tolist() == (
        episode_returns(replace(TASKS["social-v1"], {"horizon": 20}), ["planner", "greedy"], 3, 0).tolist()
    )
