"""A user's algorithm beside the published learners: tables, figures, cross-play, scenarios and the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import examples
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import trained_learners
from test_own_algorithm import my_search  # noqa: F401

from baselines.__main__ import main
from baselines.paper import jobs_of, paper, score
from baselines.training_results import read
from recsys_env import replace
from recsys_env.config import tasks
from recsys_env.evaluation import normalised_score

TASKS = ("ecommerce-v1", "news-v1")


@pytest.mark.slow
def test_an_algorithm_gets_its_row_figure_cross_play_and_scenarios(
    my_search: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = trained_learners.in_this_process(monkeypatch)
    published, out = tmp_path / "published", tmp_path / "out"
    for task in TASKS:
        examples.write_training(published, "ppo-torch", task)
    words = ["--out", str(out), "--seeds", "2", "--timesteps", "2000", "--episodes", "2", "--workers", "1"]
    command = ["paper", my_search, "--tasks", *TASKS, *words, "--results", str(published)]
    short = {task: replace(tasks.TASKS[task], {"horizon": 10}) for task in TASKS}
    with mock.patch.dict(tasks._TASKS, short):
        main(command)
        assert sorted(ran) == sorted(f"random-search-{task}-{seed}" for task in TASKS for seed in range(2))
        text = (out / "paper.md").read_text()
        main(command)  # goes on, and nothing is left to do
        assert len(ran) == 4
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    stored = read(out / "training" / f"random-search-{TASKS[0]}.json")
    rewards = [run["after"]["mean"] for run in stored.runs]
    assert f"{np.mean(rewards):.2f} ±" in text
    assert "2.50 ±" in text  # of ppo-torch, made up
    assert {"random-search", "ppo-torch", "score 0", "score 100", "ecommerce-v1/greedy"} <= rows.keys()
    for word in (
        "| ecommerce-v1 | 2,560 | 2,000,000 | 2 | 5 |",
        "| learner | reward | given | agent-steps | ecommerce-v1 | news-v1 |",
        "| ppo-torch | task's | the user slot of each page, one network for all learners | 0.02 M | ",
        "| random-search | task's | nothing | 0.00256 to 0.00384 M | ",
        "Partners that were not trained together",
        "(num_envs = 64, deviation = 0.5)",
    ):
        assert word in text
    for name in ("curves.png", "curves.pdf"):
        assert (out / name).stat().st_size > 1000
    assert (out / "tables.tex").read_text().count(r"\begin{tabular}") == 2
    runs = json.loads((out / "marl_eval.json").read_text())["recsys"]
    assert list(runs) == list(TASKS)
    assert {name for learners in runs.values() for name in learners} == {"random-search"}


def test_the_whole_protocol_is_that_of_the_published_learners() -> None:
    jobs = jobs_of("ppo-torch", ("duel-v1", "social-v1"), None, None)
    assert {job.learner for job in jobs} == {"ppo-torch-yours"}
    assert {job.algorithm.timesteps for job in jobs} == {2_000_000}
    assert [job.algorithm.seed for job in jobs if job.task == "duel-v1"] == list(range(10))
    job = jobs[0].algorithm
    assert (job.evaluations, job.eval_episodes, job.compare, job.device) == (10, 32, (), "cpu")


def test_scores_are_0_and_100_at_the_ends() -> None:
    ends = {"random": {0: 1.0, 1: 3.0}, "planner": {0: 11.0, 1: 13.0}}

    def row(*earned: float) -> dict[str, Any]:
        return {"seeds": [{"training": seed} for seed in range(len(earned))], "runs": {"trained": list(earned)}}

    for end, of in zip((0, 100), ends.values(), strict=True):
        found = score(row(*of.values()), ends)
        assert (found["score"], found["score_ci95"]) == (end, pytest.approx(0))  # it varies as its end does
        assert found["run_scores"] == [end, end]
    assert score(row(3.0, 3.0, 99.0), ends)["run_scores"] == [20.0, 0.0]  # of the seeds that both have
    assert score(row(), ends) == score(row(2.0), {}) == {}
    noisy = {"random": {0: 0.0, 1: 2.0, 2: 1.0}, "planner": {0: 10.0, 1: 11.0, 2: 9.0}}
    samples = (np.array([*of.values()]) for of in ({0: 5.0, 1: 5.0, 2: 5.0}, *noisy.values()))
    assert score(row(5.0, 5.0, 5.0), noisy)["score_ci95"] == normalised_score(*samples)[1] > 1


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["my_serch:RandomSearch"], "there is no module 'my_serch'"),
        (["ppo-toch"], "did you mean 'ppo-torch'"),
        (["ppo-torch", "--tasks", "dul-v1"], "did you mean 'duel-v1'"),
        (["ppo-torch", "--seeds", "0"], "--seeds = 0 must be at least 1"),
        (["q-torch", "--tasks", "ecommerce-v1,action=query"], "chooses among options; here action = 'query'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["paper", *words, "--out", str(tmp_path / "out")])
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="--tasks names nothing"):
        paper("ppo-torch", tasks=())
