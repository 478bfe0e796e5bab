"""The README's blocks run as printed."""

from __future__ import annotations

import pytest

from benchmarks.compat.snippets import ROOT, blocks

README = ROOT / "README.md"
BLOCKS = blocks(README)


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
