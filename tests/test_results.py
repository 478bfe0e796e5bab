"""Stored results: every file can be read, and what is made of them holds what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import cards
import measured
import results
import studies

from baselines import training_results
from benchmarks import result_files
from recsys_env import SUITES, TASKS, cli
from recsys_env.evaluation.stored import read_result
from recsys_env.evaluation.tables import brief, markdown, spread
from recsys_env.files import FileError
from recsys_env.provenance import provenance, task_digest, task_digests

GAIN = {"mean": 2.0, "ci95": 0.5}
SCORE = {"score": 2.0, "score_ci95": 0.4}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of benchmarks/results."""
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    monkeypatch.setattr(measured, "RESULTS", tmp_path)
    for name in ("raw", "stored", "training", "changed", "comparisons", "evidence"):
        monkeypatch.setattr(measured, name, getattr(measured, name).__wrapped__)
    monkeypatch.setattr(studies, "stored", measured.stored)
    monkeypatch.setattr(results, "stored", measured.stored)
    return tmp_path


def test_every_result_is_read_and_says_what_it_played() -> None:
    for path in sorted(result_files.RESULTS.rglob("*.json")):
        stored = json.loads(path.read_text())
        if path.parent.name == "training":
            training_results.read(path)
        elif path.stem in ("evaluation", "tournament"):
            read_result(path)
        else:
            assert {"command", "date", "versions", "settings"} <= stored.keys(), path.name
        of = [row["origin"] for row in stored.values()] if path.stem == "tournament" else [stored]
        assert all("played" in source for source in of), path.name


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    for name, text in (("evaluation", "{"), ("tournament", '{"duel-v1": {}}'), ("other", "{}")):
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        with pytest.raises(FileError, match=name):
            read_result(path)


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_study_is_a_table(name: str) -> None:
    text = studies.parts()[name]()
    assert "| --- |" in text or text.startswith("Not measured yet")
    assert "raw: `benchmarks/results/" in text or text.startswith("Not measured yet")


@pytest.mark.parametrize("name", ["evaluation", "learners", "comparisons", "sweep", "tournament", "suites"])
def test_sections_without_results_say_so(name: str, folder: Path) -> None:
    assert "Not measured yet" in results.parts(folder)[name]() or name == "suites"


def test_a_task_that_plays_something_else_is_left_out_and_named(folder: Path) -> None:
    result_files.store(
        "hidden",
        {},
        {"tasks": {"duel-v1": {"rows": {"static": SCORE}}, "social-v1,slots=3": {"rows": {"static": SCORE}}}},
    )
    path = folder / "hidden.json"
    stored = json.loads(path.read_text())
    assert stored["played"] == {task: task_digest(task) for task in ("duel-v1", "social-v1")}
    text = studies.parts()["hidden"]()
    assert "| duel-v1 |" in text
    assert "Left out" not in text
    stored["played"]["social-v1"] = "0123456789abcdef"
    path.write_text(json.dumps(stored))
    text = studies.parts()["hidden"]()
    assert "| duel-v1 | static | 2 ±0 |" in text
    assert "| social-v1" not in text
    assert text.endswith("Left out, because the task has changed: `social-v1`.")
    assert result_files.earlier("hidden", "tasks", {}).keys() == {"duel-v1"}


def test_what_one_changed_task_made_is_no_result(folder: Path) -> None:
    result_files.store("messages", {"task": "journey-v1"}, {"heard": GAIN, "cut": GAIN, "gain": GAIN})
    stored = json.loads((folder / "messages.json").read_text())
    assert result_files.current(stored) == stored
    stored["played"] = {"journey-v1": "0123456789abcdef"}
    assert result_files.current(stored) == {}
    row = {"origin": {"played": {"duel-v1": "0123456789abcdef"}}, "payoff": {}}
    assert result_files.current({"duel-v1": row, "social-v1": {"origin": {"played": {}}}}).keys() == {"social-v1"}


def test_digests_are_of_the_tasks_that_are_named() -> None:
    assert task_digests("duel-v1", {"social-v1 num_agents=4": []}).keys() == {"duel-v1", "social-v1"}
    assert task_digests(["duel-v10", "my-duel-v1"]) == {}
    assert len({task_digest(task) for task in TASKS}) == len(TASKS)


def test_rows_of_other_settings_are_not_carried_over(folder: Path) -> None:
    assert result_files.earlier("some", "rows", {"seed": 1}) == {}
    result_files.store("some", {"policies": ("a", "b")}, {"rows": {"a": 3}})
    assert result_files.earlier("some", "rows", {"policies": ("a", "b")}) == {"a": 3}
    assert result_files.earlier("some", "rows", {"policies": ("a",)}) == {}


def test_commands_are_stored_without_folders_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ["--keep", str(tmp_path / "kept"), f"--out={tmp_path}/a.json", "recommender_0=runs/a"]
    monkeypatch.setattr(sys, "argv", ["mine.py", *arguments])
    assert provenance()["command"].endswith("--keep kept --out=a.json recommender_0=runs/a")


# ------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "—"),
        (GAIN, "2.00 ±0.50"),
        ({"mean": 2.0, "low": 1.0, "high": 3.0}, "2.00 [1.00, 3.00]"),
        ({"mean": 2.0, "range": [1.0, 3.0]}, "2.00 [1.00, 3.00]"),
        ([1.0, 0.25], "1 / 0.25"),
        (True, "yes"),
        (12345.6, "12,346"),
        (12345, "12,345"),
    ],
)
def test_cells(value: Any, said: str) -> None:
    assert studies.printed(value) == said


def test_rows_are_found_at_every_depth() -> None:
    assert list(studies.flat({"a": {"b": 1}, "c": {"d": 2}}, 2)) == [(["a", "b"], 1), (["c", "d"], 2)]
    assert list(studies.flat([1, 2], 0)) == [([], 1), ([], 2)]
    assert studies.at({"a": [0, {"b": 3}]}, "a/1/b") == 3
    assert studies.at({"a": 1}, "b/c") is None


def test_spread_and_cells_with_bars() -> None:
    assert spread({"mean": None, "ci95": None}) == "—"
    assert spread({"mean": 1.0, "ci95": None}) == "1.00"
    assert markdown(["a"], [["x | y"]]).endswith("| x \\| y |")
    assert brief("runs/a-{task}") == "a"


def test_a_card_says_what_is_stored() -> None:
    found = measured.evidence("duel-v1")
    text = cards.card("duel-v1")
    for name, row in found["rows"].items():
        if "mean" in row:
            assert f"| `{name}` | {spread(row)} |" in text
    assert cards.card("none-v0").startswith("Not measured yet")


@pytest.mark.parametrize(
    ("differences", "kind"),
    [((1.0, 1.0), "prisoner"), ((-1.0, 1.0), "stag hunt"), ((-1.0, -1.0), "cooperating"), ((1.0, -1.0), "chicken")],
)
def test_the_kind_of_game_is_said_by_the_numbers(differences: tuple[float, float], kind: str) -> None:
    play = {name: {"mean": mean, "ci95": 0.5} for name, mean in zip(("T-R", "P-S"), differences, strict=True)}
    assert kind in cards.games.game(play)
    unclear = {name: {"mean": mean, "ci95": 2.0} for name, mean in zip(("T-R", "P-S"), differences, strict=True)}
    assert "do not tell" in cards.games.game(unclear)


def test_an_aim_is_met_by_an_estimate_whose_interval_lies_above_nothing() -> None:
    for mean, width, met in ((0.2, 0.1, True), (0.2, 0.3, False), (0.05, 0.01, False), (0.2, None, False)):
        assert cards.aims._reaches({"mean": mean, "ci95": width}, 0.1).met == met


def test_a_regret_is_the_share_that_the_chosen_policy_lacks() -> None:
    assert studies.regret_of({"a": 4.0, "b": 1.0}, {"a": 0.0, "b": 1.0}) == 0.75
    assert np.isclose(studies.regret_of({"a": 4.0, "b": 1.0}, {"a": 2.0, "b": 1.0}), 0.0)


def test_a_task_is_in_one_suite_at_most() -> None:
    members = [task for suite in SUITES.values() for task in suite.tasks]
    assert len(set(members)) == len(members)
    assert {cli.split_task(task)[0] for task in members} <= set(TASKS)
    assert cli.tasks_of(tuple(SUITES)) == members
    assert not set(SUITES) & set(TASKS)  # a name stands for one of them
