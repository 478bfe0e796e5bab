"""Stored measurements: a row that is carried over keeps where it came from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measured
import pytest

from benchmarks import result_files
from recsys_env import provenance as origin
from recsys_env.provenance import provenance


def test_rows_of_other_settings_are_not_carried_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    assert result_files.earlier("some", "rows", {"seed": 1}) == {}
    result_files.store("some", {"seed": 1}, {"rows": {"a": 2}})
    assert result_files.earlier("some", "rows", {"seed": 1}) == {"a": 2}
    assert result_files.earlier("some", "rows", {"seed": 2}) == {}
    result_files.store("some", {"policies": ("a", "b")}, {"rows": {"a": 3}})
    assert result_files.earlier("some", "rows", {"policies": ("a", "b")}) == {"a": 3}
    result_files.store("some", {"seed": 1}, {"rows": {"a": 2}})
    assert result_files.earlier("some", "rows", {"seed": 1, "copies": 1}) == {}


def having(key: str, value: Any) -> Iterator[dict[str, Any]]:
    """The objects that have this key, at any depth."""
    if isinstance(value, dict) and key in value:
        yield value
    for inside in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from having(key, inside)


def check_result(path: Path) -> None:
    stored = json.loads(path.read_text())
    if path.stem not in ("evaluation", "tournament"):  # where each row has its own
        assert stored["settings"]
    assert all(row["origin"]["settings"] for row in having("payoff", stored))
    assert all(row["origin"]["settings"] for row in having("run_scores", stored))
    sources = list(having("processor", stored))
    assert sources
    for source in sources:
        assert {"commit", "date", "versions"} <= source.keys()
        assert source["commit"] or len(source["stored_in"]) == 40  # of the commit that stored it


def test_every_result_has_its_settings_and_tells_where_it_comes_from() -> None:
    wrong = []
    for path in sorted(result_files.RESULTS.rglob("*.json")):
        try:
            check_result(path)
        except Exception as error:
            wrong.append(f"{path.relative_to(result_files.RESULTS)}: {error!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["speed", "trainers", "compatibility"])
def test_every_row_that_may_be_carried_over_has_a_source(name: str) -> None:
    if not (result_files.RESULTS / f"{name}.json").is_file():
        pytest.skip("not measured yet")
    rows = measured.stored(name)[{"trainers": "stepping", "compatibility": "libraries"}.get(name, "tasks")]
    for row in rows.values():
        assert row["source"].keys() - {"stored_in"} == provenance().keys()


def test_stored_results_do_not_make_a_commit_dirty_and_code_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    package, result = tmp_path / "package" / "provenance.py", tmp_path / "benchmarks" / "results" / "a.json"
    monkeypatch.setattr(origin, "__file__", str(package))
    commit = origin._commit.__wrapped__
    for path in (package, result):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    assert commit() is None
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD").strip()
    assert commit() == head
    result.write_text("2")
    assert commit() == head
    package.write_text("2")
    assert commit() == f"{head}-dirty"


def test_commands_are_stored_without_folders_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = [
        "--task",
        "duel-v1",
        "--keep",
        str(tmp_path / "kept"),
        f"--out={tmp_path}/a.json",
        "recommender_0=runs/a",
    ]
    monkeypatch.setattr(sys, "argv", ["mine.py", *arguments])
    told = provenance()["command"]
    assert told.endswith("--task duel-v1 --keep kept --out=a.json recommender_0=runs/a")
