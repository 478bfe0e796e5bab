"""How studies run: cells are measured once and stored one by one, and defaults are options."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import result_files
from benchmarks.studies.study import measure, named, options


def test_a_cell_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    asked: list[str] = []

    def cell(name: str) -> int:
        asked.append(name)
        return len(asked)

    def run(*names: str, seed: int = 0, again: bool = False) -> dict[str, int]:
        cells = {name: lambda name=name: cell(name) for name in names}
        return measure("some", {"seed": seed}, cells, again=again, more=lambda rows: {"most": max(rows.values())})

    assert run("a", "b") == {"a": 1, "b": 2}
    assert run("a", "c") == {"a": 1, "b": 2, "c": 3}
    stored = json.loads((tmp_path / "some.json").read_text())
    assert (stored["rows"], stored["most"]) == ({"a": 1, "b": 2, "c": 3}, 3)
    assert run("b", again=True) == {"a": 1, "b": 4, "c": 3}
    assert run("b", seed=1) == {"b": 5}


def test_defaults_are_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["study", "--total-steps", "5", "--worlds", "3", "4", "--names", "x"])
    given = options("A study.", total_steps=10, worlds=(0, 1), names=(), task="duel-v1")
    assert (given.total_steps, given.worlds, given.names, given.task) == (5, [3, 4], ["x"], "duel-v1")
    assert not given.again


def test_rows_have_the_names_of_folders(tmp_path: Path) -> None:
    assert named(["random", str(tmp_path)]) == {"random": "random", tmp_path.name: str(tmp_path)}
    with pytest.raises(ValueError, match="would both be called"):
        named([str(tmp_path), f"{tmp_path}/../{tmp_path.name}"])
