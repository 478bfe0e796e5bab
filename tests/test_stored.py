"""Stored numbers are what today's code gives: some of them, drawn by a fixed seed, are played again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.result_files import RESULTS
from benchmarks.studies.played import Played
from recsys_env import TASKS
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.runs import Run, play
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.stored import read_result
from recsys_env.files import FileError

CHEAP = ("random", "popularity", "content", "greedy", "nearest")  # no torch, no warm-up, a second or two


def stored(name: str) -> dict[str, Any]:
    """What a result holds; nothing before it is measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


EVALUATION = stored("evaluation").get("tasks", {})
NESTED = [task for task in TASKS if TASKS[task].choice.dissimilarity < 1]  # where content and greedy take ten seconds
STORED = [
    (task, policy, place)
    for task, result in EVALUATION.items()
    for policy in CHEAP
    if policy in result["teams"]
    for place in range(len(result["teams"][policy]["origin"]["settings"]["seeds"]))
    if not (task in NESTED and policy in ("content", "greedy"))
]
CARDS = [path.stem for path in sorted((RESULTS / "evidence").glob("*.json"))]


@pytest.mark.parametrize(("task", "policy", "place"), random.Random(12).sample(STORED, min(5, len(STORED))))
def test_runs_of_the_evaluation(task: str, policy: str, place: int) -> None:
    row = EVALUATION[task]["teams"][policy]
    seed = row["origin"]["settings"]["seeds"][place] - UNSEEN
    again = play(
        Run(task, policy, seed, EVALUATION[task]["episodes"], row["origin"]["settings"]["warmup"], metrics=False)
    )
    assert float(np.mean(again["individual_reward"])) == row["runs"][place]


@pytest.mark.parametrize("task", random.Random(3).sample(CARDS, min(2, len(CARDS))))
def test_a_row_of_a_card(task: str) -> None:
    card = stored(f"evidence/{task}")
    again = Played(TASKS[task], card["settings"]["episodes"], card["settings"]["seed"]).mean("random")
    assert interval(again) == pytest.approx({name: card["rows"]["random"][name] for name in ("mean", "ci95")}, rel=1e-6)


def test_a_file_of_another_name_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FileError, match=r"other\.json must be named evaluation\.json or tournament\.json$"):
        read_result(tmp_path / "other.json")


@pytest.mark.parametrize("name", [name for name in ("evaluation", "tournament") if stored(name)])
def test_results_are_well_formed(name: str) -> None:
    text = (RESULTS / f"{name}.json").read_text()
    assert read_result(RESULTS / f"{name}.json") == json.loads(text)
    assert text.count("\n") == 1  # compact
