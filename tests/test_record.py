"""Stored measurements: a row that is carried over keeps where it came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import results

from benchmarks import record, separation


def test_carried_over_rows_keep_their_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(separation, "LEVELS", ("random",))
    for task in ("duel-v0", "social-v0"):
        monkeypatch.setattr(sys, "argv", ["separation", "--task", task, "--episodes", "2", "--seeds", "1"])
        separation.main()
    stored = json.loads((tmp_path / "separation.json").read_text())
    for task in ("duel-v0", "social-v0"):
        command = f"python -m benchmarks.separation --task {task} --episodes 2 --seeds 1"
        assert stored["tasks"][task]["origin"]["command"] == command
        assert f"`{command}`" in results.whence_rows(stored["tasks"], "separation.json")


def test_every_stored_row_has_an_origin() -> None:
    rows = {"trainers": "stepping", "compatibility": "libraries"}
    for name in ("speed", "trainers", "compatibility", "idle_ticks", "separation", "tension"):
        for row in results.stored(name)[rows.get(name, "tasks")].values():
            assert row["origin"].keys() == record.origin("benchmarks").keys()
