"""A user's algorithm beside the published learners: tables, figures, cross-play, scenarios and the protocol."""

from __future__ import annotations

import json
import re
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

from baselines import jobs
from baselines.__main__ import main
from baselines.paper import Study, core_hours, paper, score, try_out
from baselines.training_results import read
from recsys_env import replace
from recsys_env.config import tasks
from recsys_env.evaluation import normalised_score

PAGE = Path(__file__).parent.parent / "docs" / "training" / "learners.md"
TASKS = ("ecommerce-v1", "news-v1")


@pytest.fixture
def my_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example of the page, as a file of the user's."""
    (code,) = re.findall(r"```python\n(.*?class RandomSearch.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_search.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_search:RandomSearch"


@pytest.mark.slow
def test_an_algorithm_gets_its_row_figure_cross_play_and_scenarios(
    my_search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
        assert ran[:2] == [f"trial-random-search-{task}" for task in TASKS]
        assert sorted(ran[2:]) == sorted(f"random-search-{task}-{seed}" for task in TASKS for seed in range(2))
        text = (out / "paper.md").read_text()
        main(command)  # goes on, and nothing is left to do
        assert len(ran) == 6
        said = capsys.readouterr().out
        fail_on(monkeypatch, "duel-v1")
        with pytest.raises(SystemExit, match="2"):
            main([*command[:3], "duel-v1", *command[3:]])
        without_duel = (out / "paper.md").read_text()
    assert f"error: {out / 'paper.md'} lacks duel-v1: random-search cannot be trained" in capsys.readouterr().err
    assert "; a training failed on duel-v1; " in without_duel
    assert text.partition("## Protocol")[0] == without_duel.partition("## Protocol")[0]
    # 40 seconds for 40,000 agent-steps, made up
    assert "4 trainings of 0.008 million agent-steps in all; the published learners take, in core-hours: " in said
    assert "ppo-torch 0.0022 (measured on ecommerce-v1, news-v1)" in said
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    stored = read(out / "training" / f"random-search-{TASKS[0]}.json")
    rewards = [run["after"]["mean"] for run in stored.runs]
    assert f"{np.mean(rewards):.2f} ±" in text
    assert "2.50 ±" in text  # of ppo-torch, made up
    assert {"random-search", "ppo-torch", "score 0", "score 100", "ecommerce-v1/greedy"} <= rows.keys()
    for word in (
        "This is **not** the published protocol",
        "agent-steps: 2,560 on ecommerce-v1, 3,840 on news-v1 instead of 2,000,000 on ecommerce-v1, 3,000,000 on",
        "| learner | reward | given | agent-steps | ecommerce-v1 | news-v1 |",
        "| ppo-torch | task's | the user slot of each page, one network for all learners | 0.02 M | ",
        "| random-search | task's | nothing | 0.00256 to 0.00384 M | ",
        "seeds: 2 instead of 5",
        "of the suite ranking, ",
        "core-hours for training and evaluating random-search",
        "Partners that were not trained together",
        "(num_envs = 64, deviation = 0.5)",
    ):
        assert word in text
    for name in ("curves.png", "curves.pdf"):
        assert (out / name).stat().st_size > 1000
    assert (out / "tables.tex").read_text().count(r"\begin{tabular}") == 2
    runs = json.loads((out / "marl_eval.json").read_text())["recsys"]
    assert list(runs) == list(TASKS)
    assert {name for learners in runs.values() for name in learners} == {"ppo-torch", "random-search"}
    assert {len(learners) for learners in runs.values()} == {2}


def test_the_whole_protocol_is_that_of_the_published_learners() -> None:
    study = Study("ppo-torch", ("duel-v1", "social-v1"), None, None, Path("nothing"), 50)
    study.check()
    assert study.name == "ppo-torch-yours"
    assert {job.algorithm.timesteps for job in study.jobs} == {2_000_000}
    assert [job.algorithm.seed for job in study.of_task("duel-v1")] == list(range(10))
    job = study.jobs[0].algorithm
    assert (job.evaluations, job.eval_episodes, job.compare, job.device) == (10, 32, (), "cpu")


def fail_on(patch: pytest.MonkeyPatch, task: str) -> None:
    """Let the trainings on a task fail."""
    run = jobs._train

    def fail(job: jobs.Job, folder: Path) -> int:
        if job.algorithm.task != task:
            return run(job, folder)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("first line\nValueError: it only plays shops\n")
        return 1

    patch.setattr(jobs, "_train", fail)


def test_a_short_trial_names_the_tasks_that_fail(
    my_search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = trained_learners.in_this_process(monkeypatch)
    fail_on(monkeypatch, "duel-v1")
    study = Study(my_search, ("duel-v1", "social-v1,horizon=10"), 2, None, tmp_path / "nothing", 2)
    left = try_out(study, tmp_path, 1)
    assert ran == ["trial-random-search-social-v1_horizon_10"]
    assert left.tasks == ("social-v1,horizon=10",)
    assert [job.task for job in left.jobs] == ["social-v1,horizon=10"] * 2
    assert left.jobs[0].algorithm.timesteps == 2_000_000
    said = capsys.readouterr().out
    log = tmp_path / "trials" / "trial-random-search-duel-v1" / "log.txt"
    assert f"random-search cannot be trained on duel-v1 (ValueError: it only plays shops; see {log})" in said
    with pytest.raises(ValueError, match=r"random-search cannot be trained on duel-v1 .*, social-v1,horizon=10 "):
        left.without({"social-v1,horizon=10": tmp_path})


def test_scores_are_0_and_100_at_the_ends() -> None:
    ends = {"random": {0: 1.0, 1: 3.0}, "planner": {0: 11.0, 1: 13.0}}

    def row(*earned: float) -> dict[str, Any]:
        return {"seeds": [{"training": seed} for seed in range(len(earned))], "runs": {"trained": list(earned)}}

    for end, of in zip((0, 100), ends.values(), strict=True):
        found = score(row(*of.values()), ends)
        assert (found["score"], found["score_ci95"]) == (end, pytest.approx(0))  # it varies as its end does
        assert found["run_scores"] == [end, end]
    assert score(row(3.0, 3.0, 99.0), ends)["run_scores"] == [20.0, 0.0]  # of the seeds that both have
    equal = {"random": {0: 1.0, 1: 1.0}, "planner": {0: 1.0, 1: 1.0}}
    assert score(row(2.0, 2.0), equal)["score"] is None
    assert score(row(), ends) == score(row(2.0), {}) == {}


def test_intervals_of_scores_hold_the_noise_of_the_ends() -> None:
    """A learner that always earns the same is not known exactly on a scale whose ends vary."""
    row = {"seeds": [{"training": seed} for seed in range(3)], "runs": {"trained": [5.0, 5.0, 5.0]}}
    ends = {"random": {0: 0.0, 1: 2.0, 2: 1.0}, "planner": {0: 10.0, 1: 11.0, 2: 9.0}}
    _, width = normalised_score(*(np.array([*of.values()]) for of in ({0: 5.0, 1: 5.0, 2: 5.0}, *ends.values())))
    assert score(row, ends)["score_ci95"] == width > 1


def test_core_hours_follow_from_the_rates_of_the_published_learners(tmp_path: Path) -> None:
    examples.write_training(tmp_path, "ppo-torch", "ecommerce-v1")  # 40 seconds for two runs of 20,000 agent-steps
    study = Study("ppo-torch", ("ecommerce-v1", "duel-v1"), 2, 10_000, tmp_path, 2)
    hours, on = core_hours(study)["ppo-torch"]
    assert (hours, on) == (pytest.approx(40 / 3600), "ecommerce-v1")
    assert core_hours(Study("ppo-torch", ("duel-v1",), 2, 10_000, tmp_path / "nothing", 2)) == {}


def test_refusals(my_search: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["my_serch:RandomSearch"], "there is no module 'my_serch'"),
        (["ppo-toch"], "did you mean 'ppo-torch'"),
        ([my_search, "--tasks", "dul-v1"], "did you mean 'duel-v1'"),
        ([my_search, "--seeds", "0"], "--seeds = 0 must be at least 1"),
        ([my_search, "--timesteps", "0"], "--timesteps = 0 must be at least 1"),
        (["q-torch", "--tasks", "ecommerce-v1,action=query"], "chooses among options; here action = 'query'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["paper", *words, "--out", str(tmp_path / "out")])
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="--tasks names nothing"):
        paper(my_search, tasks=())
