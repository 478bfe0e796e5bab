"""A user's algorithm beside the published learners: tables, figures, cross-play, scenarios and the protocol."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest import mock

import examples
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import trained_learners

from baselines.__main__ import main
from baselines.paper import Study, paper, scores
from baselines.training_results import read
from recsys_env import replace, tasks

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
        assert sorted(ran) == sorted(f"random-search-{task}-{seed}" for task in TASKS for seed in range(2))
        text = (out / "paper.md").read_text()
        main(command)  # goes on, and nothing is left to do
    assert len(ran) == 4
    said = capsys.readouterr().out
    assert "4 trainings of 0.008 million agent-steps in all; core-hours of the published learners on these" in said
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    stored = read(out / "training" / f"random-search-{TASKS[0]}.json")
    rewards = [run["after"]["mean"] for run in stored.runs]
    assert f"{np.mean(rewards):.2f} ±" in text
    assert "2.50 ±" in text  # of ppo-torch, made up
    assert {"random-search", "ppo-torch", "score 0", "score 100", "ecommerce-v1/greedy"} <= rows.keys()
    for word in (
        "This is **not** the published protocol",
        "2,000 agent-steps instead of 2,000,000",
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


def test_scores_are_0_and_100_at_the_ends() -> None:
    ends = {"random": np.array([1.0, 3.0]), "planner": np.array([11.0, 13.0])}
    assert scores([2.0, 12.0, 7.0], ends) == [0.0, 100.0, 50.0]
    assert scores([2.0], {"random": np.array([1.0]), "planner": np.array([1.0])}) == []


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
