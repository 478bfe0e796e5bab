"""Sweeps of the published learners' settings: as many runs for each, other seeds than theirs, and what they choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")

import trained_learners

from baselines import sweep as module
from baselines.algorithms import ALGORITHMS
from baselines.learners import LEARNERS, MORE_SEEDS, PUBLISHED, SHORT, ReferenceLearner, chosen
from baselines.sweep import SEED, changes, partner, run_of, sweep, swept
from baselines.training import begin
from recsys_env import cli


def test_every_learner_has_as_many_runs() -> None:
    found = swept()
    assert {len(changes(learner)) for learner, _ in found} == {7}
    assert SEED >= MORE_SEEDS
    names = {learner.name for learner, _ in found}
    assert names == {
        name
        for name, learner in LEARNERS.items()
        if learner.like is None and learner.algorithm in ("ppo-torch", "q-torch", "q-table", "ippo")
    }
    for learner, task in found:
        for changed in changes(learner):
            run = run_of(learner, task, changed)
            learners = 1 if run.background else cli.config_of(task).num_agents
            assert (run.timesteps, run.seed) == (SHORT * min(learners, 4), SEED)
            assert all(getattr(run, name) == value for name, value in changed.items())  # none is the learner's own
            usual = learner.training(task)
            assert all(getattr(usual, name) != value for name, value in changed.items())


def test_selfish_learners_are_tuned_one_at_a_time() -> None:
    """What several earn together says how far they collude."""
    for learner, task in swept():
        training = begin(run_of(learner, task, {}))
        assert training.one_reward
        several = training.config.num_agents > 1
        assert bool(training.background) == (several and training.config.reward.sharing < 1)
    assert partner(LEARNERS["ppo-torch"], "social-v1") == "static"
    assert partner(LEARNERS["ppo-torch"], "creators-v0") == "creators-myopic"
    assert partner(LEARNERS["ppo-torch-team"], "social-v1") == ""
    assert partner(LEARNERS["ppo-torch"], "coverage-v0") == ""


def test_a_sweep_sets_the_published_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"num_envs": 2, "n_steps": 16, "set": ("horizon=20",)}
    learners = {"tiny": ReferenceLearner("tiny", "q-table", ("duel-v1",), {**settings, "gamma": 0.9})}
    monkeypatch.setattr(module, "LEARNERS", learners)
    monkeypatch.setattr(module, "SHORT", 64)
    trained_learners.in_this_process(monkeypatch)
    monkeypatch.setattr(ALGORITHMS["q-table"], "swept", {"epsilon": (0.2, 0.4)})
    result = tmp_path / "sweep.json"
    assert chosen(result, "tiny", "duel-v1") == {}
    sweep(tmp_path / "out", result, tasks=("duel-v1",))
    row = json.loads(result.read_text())["learners"]["tiny"]["duel-v1"]
    (runs,) = (round_["runs"] for round_ in row["rounds"])
    assert row["rounds"][0]["defaults"] == {"epsilon": 0.05}
    assert [run["changed"] for run in runs] == [{}, {"epsilon": 0.2}, {"epsilon": 0.4}]
    assert {run["seed"] for run in runs} == {100}
    assert (row["beside"], row["agent_steps"]) == ("static", 64)
    assert all(run["processor_seconds"] > 0 for run in runs)
    best = max(runs, key=lambda run: run["reward"]["mean"])["changed"]
    assert chosen(result, "tiny", "duel-v1") == {"epsilon": 0.05, **best}
    before = result.read_text()
    sweep(tmp_path / "out", result, tasks=("duel-v1",))
    assert result.read_text() == before  # what is stored is not trained again
    sweep(tmp_path / "out", result, tasks=("marl",))  # the suite that has the task
    assert result.read_text() == before


def test_a_round_counts_when_all_learners_have_it(tmp_path: Path) -> None:
    def round_(**rewards: float) -> dict[str, Any]:
        reward = {"mean": rewards.pop("default"), "ci95": 0.1}
        changed = [({}, reward), *(({name: 0.5}, {"mean": mean, "ci95": 0.1}) for name, mean in rewards.items())]
        runs = [{"changed": c, "seed": 1, "reward": r, "processor_seconds": 1.0} for c, r in changed]
        return {"defaults": {"gamma": 0.9}, "runs": runs, "source": {}}

    first, second = round_(default=2.0, gamma=1.0), round_(default=1.0, gamma=2.0)

    def best(**rounds: list[dict[str, Any]]) -> dict[str, Any]:
        rows = {name: {"duel-v1": {"beside": "", "agent_steps": 1, "rounds": of}} for name, of in rounds.items()}
        stored = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        stored.write_text(json.dumps({"learners": rows}))
        return chosen(stored, "one", "duel-v1")

    assert best(one=[first]) == best(one=[first, second], other=[first]) == {"gamma": 0.9}
    assert best(one=[first, second]) == best(one=[first, second], other=[first, first]) == {"gamma": 0.5}


def test_a_variant_takes_the_settings_of_what_it_is_a_variant_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(reward: float, **changed: float) -> dict[str, Any]:
        return {"changed": changed, "seed": 1, "reward": {"mean": reward, "ci95": 0.1}, "processor_seconds": 1.0}

    runs = [run(1.0), run(3.0, gamma=0.9), run(2.0, learning_rate=0.5)]
    round_ = {"defaults": {"gamma": None, "learning_rate": 0.7}, "runs": runs, "source": {}}
    rows = {"coverage-v0": {"beside": "", "agent_steps": 1, "rounds": [round_]}}
    stored = tmp_path / "sweep.json"
    stored.write_text(json.dumps({"learners": {"ppo-torch": rows}}))
    monkeypatch.setattr("baselines.learners.SWEEP", stored)
    assert LEARNERS["ppo-torch"].job("coverage-v0").gamma == 0.9
    assert LEARNERS["ppo-torch"].job("coverage-v0").learning_rate == 0.7  # whatever the default is now
    assert LEARNERS["ppo-torch-memory"].job("coverage-v0").gamma == 0.9
    assert LEARNERS["ppo-torch-myopic"].job("coverage-v0").gamma == 0.0  # its own settings come first
    assert LEARNERS["mappo-torch"].job("coverage-v0").gamma is None
    assert LEARNERS["ppo-torch"].job("ecommerce-v1").gamma is None


def test_a_learner_without_a_sweep_is_named() -> None:
    with pytest.raises(ValueError, match="'cma-es'"):
        swept(("cma-es",))
    assert {task for _, task in swept(("ppo-torch",))} == set(PUBLISHED)
