"""The suites hold tasks that differ, every other task has its reason, and who scores above 100 is named."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("rich")

import measured
import results
import suites

from recsys_env import SUITES, TASKS, cli
from recsys_env.config.scenarios import PACKAGE
from recsys_env.config.tasks import suite_of
from recsys_env.evaluation.statistics import scale_ends
from recsys_env.policies import CHECKPOINT, ORACLES, POLICIES, TASK_POLICIES, knowledge

ALIKE = 0.9  # rank correlation from which on two tasks rank policies alike


def test_a_task_is_in_one_suite_at_most() -> None:
    members = [task for suite in SUITES.values() for task in suite.tasks]
    assert len(set(members)) == len(members)
    assert {cli.split_task(task)[0] for task in members} <= set(TASKS)
    assert cli.tasks_of(tuple(SUITES)) == members
    assert not set(SUITES) & set(TASKS)  # a name stands for one of them


def test_the_ranking_tasks_differ() -> None:
    ranking = SUITES["ranking"].tasks
    assert len(ranking) <= 4
    found = [pair for pair in combinations(ranking, 2) if set(pair) <= measured.played().keys()]
    assert found
    assert max(suites.likeness(*pair) for pair in found) < ALIKE


@pytest.mark.parametrize("task", [task for task in TASKS if not suite_of(task)])
def test_an_example_has_its_reason(task: str) -> None:
    reason = suites.reason(task)
    assert reason in suites.suites()
    gain = suites.lead(task, "planner", "greedy")
    if "gains nothing" in reason:
        assert gain["mean"] <= gain["ci95"]
    else:
        nearest = reason.split("`")[1]
        assert suites.likeness(task, nearest) >= ALIKE


def test_what_the_reference_knows_is_said() -> None:
    table = suites.by_task()
    for suite in SUITES.values():
        for task in suite.tasks:
            low, high = scale_ends(cli.config_of(task))
            assert f"| `{task}` | `{suite_of(task)}` | `{low}` | `{high}` | {knowledge(high)} | " in table
    assert knowledge("static") == "what agents observe"
    for policy in ORACLES:
        assert policy in POLICIES | TASK_POLICIES or (PACKAGE / policy / CHECKPOINT).is_file()


def test_what_is_not_measured_has_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "played", dict)
    rows = [line for line in suites.by_task().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(suite.tasks) for suite in SUITES.values())
    assert all(row.endswith("| Not measured yet |") for row in rows)


def test_who_scores_above_100_is_named() -> None:
    scores = {
        "static": {"mean": 103.0, "ci95": 1.0},
        "content": {"mean": 102.0, "ci95": 3.0},
        "single": {"mean": 150.0, "ci95": None},  # of one seed
        "planner": {"mean": 100.0, "ci95": 0.0},
    }
    beyond, within = suites.above_hundred("news-v1", scores).split(". ", 1)
    assert beyond.startswith("On `news-v1` `static` (103 ±1) scores above 100, beyond the interval, so ")
    assert within.startswith("On `news-v1` `content` (102 ±3) and `single` (150) score above 100, but not beyond the ")
    assert suites.above_hundred("news-v1", {"planner": scores["planner"]}) == ""


@pytest.mark.slow
@pytest.mark.parametrize("task", measured.played())
def test_no_table_puts_anything_above_its_100_without_saying_so(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the leaderboard and on the page of a task."""
    monkeypatch.setattr(results, "picture", lambda path, title: "")
    policies, learners = suites.scores_of(task), suites.scores_of_learners(task)
    page = results.task_scores(task, tmp_path)
    for scores in (policies, learners):
        above = [name for name, of in scores.items() if round(of["mean"] or 0) > 100]
        said = suites.above_hundred(task, scores)
        assert all(f"`{name}` (" in said for name in above)
        assert said in page
        if suite_of(task) and above:
            assert said in (results.evaluation(tmp_path) if scores is policies else results.learned())
        if suite_of(task) and above and scores is policies:
            assert said in results.README.read_text(encoding="utf-8")
