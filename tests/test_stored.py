"""Stored numbers are what today's code gives: some of them, drawn by a fixed seed, are played again."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tension
from benchmarks.result_files import RESULTS
from recsys_env import TASKS
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.runs import Run, play
from recsys_env.evaluation.stored import read_result
from recsys_env.files import FileError

CHEAP = ("random", "popularity", "content", "greedy", "nearest")  # no torch, no warm-up, a second or two
EVALUATION = json.loads((RESULTS / "evaluation.json").read_text())["tasks"]
NESTED = [task for task in TASKS if TASKS[task].choice.dissimilarity < 1]  # where content and greedy take ten seconds
STORED = [
    (task, policy, place)
    for task, result in EVALUATION.items()
    for policy in CHEAP
    if policy in result["teams"]
    for place in range(len(result["teams"][policy]["origin"]["settings"]["seeds"]))
    if not (task in NESTED and policy in ("content", "greedy"))
]
TENSION = json.loads((RESULTS / "tension.json").read_text())


@pytest.mark.parametrize(("task", "policy", "place"), random.Random(12).sample(STORED, 5))
def test_runs_of_the_evaluation(task: str, policy: str, place: int) -> None:
    row = EVALUATION[task]["teams"][policy]
    seed = row["origin"]["settings"]["seeds"][place] - UNSEEN
    again = play(
        Run(task, policy, seed, EVALUATION[task]["episodes"], row["origin"]["settings"]["warmup"], metrics=False)
    )
    assert float(np.mean(again["own"])) == row["runs"][place]


def test_all_myopic_in_the_duel() -> None:
    again = tension.returns(TASKS["duel-v1"], "greedy", "greedy", TENSION["settings"]["episodes"])
    assert tension.interval(again) == pytest.approx(TENSION["tasks"]["duel-v1"]["P"], rel=1e-6)


def test_a_file_of_another_name_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FileError, match=r"other\.json is no evaluation\.json and no tournament\.json$"):
        read_result(tmp_path / "other.json")


@pytest.mark.parametrize("name", ["evaluation", "tournament"])
def test_results_are_well_formed(name: str) -> None:
    text = (RESULTS / f"{name}.json").read_text()
    assert read_result(RESULTS / f"{name}.json") == json.loads(text)
    assert text.count("\n") == 1  # compact
