"""The README is short, its blocks run as printed, and its tables hold what the code and the results say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compat.snippets import ROOT, blocks

README = ROOT / "README.md"
BLOCKS = blocks(README)


def test_it_is_two_pages() -> None:
    assert README.read_text().count("\n") <= 200


def test_the_first_example_shows_a_click(capsys: pytest.CaptureFixture[str]) -> None:
    """In ten lines at most, whatever its random actions are."""
    assert BLOCKS[0].count("\n") <= 10
    for _ in range(3):
        exec(compile(BLOCKS[0], "README.md block 0", "exec"), {})
        page = capsys.readouterr().out
        assert " clicked" in page
        assert "idle tick" not in page.split("next:")[0]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """And prints what stands below it, where that is shown."""
    exec(compile(BLOCKS[number], f"README.md block {number}", "exec"), {})
    shown = README.read_text().partition(BLOCKS[number])[2]
    if number > 0:
        assert shown.startswith(f"```\n\n```text\n{capsys.readouterr().out}```\n")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "docs")
    for name in ("results", "claims"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return pytest.importorskip("results")


def test_the_tables_are_made_from_tasks_and_results(results: Any, tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README.read_text())
    results.readme_parts(copy)
    assert copy.read_text() == README.read_text(), "run PYTHONPATH=. python docs/results.py"


def test_the_picture_is_drawn_from_the_game(results: Any, tmp_path: Path) -> None:
    """Fonts may differ a little with the version of Pillow; the page as text, which the file holds, may not."""
    image = pytest.importorskip("PIL.Image")
    results.readme_picture(tmp_path / "page.png")
    with image.open(tmp_path / "page.png") as drawn, image.open(results.README_PICTURE) as kept:
        assert kept.text == drawn.text, "run PYTHONPATH=. python docs/results.py"
        assert kept.size == drawn.size
        pixels = [np.asarray(picture.convert("RGB"), dtype=int) for picture in (drawn, kept)]
    differ = np.abs(pixels[0] - pixels[1]).max(axis=-1) > 32
    assert differ.mean() < 0.03, "run PYTHONPATH=. python docs/results.py"
