"""Every Python block of the README runs as printed, in order, in one process."""

import re
import sys
import warnings
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_has_code():
    assert len(BLOCKS) >= 4


def test_the_first_example_shows_a_click(capsys):
    """In ten lines at most, whatever its random actions are."""
    assert BLOCKS[0].count("\n") <= 10
    for _ in range(3):
        exec(compile(BLOCKS[0], "README.md block 0", "exec"), {})
        page = capsys.readouterr().out
        assert " clicked" in page
        assert "idle tick" not in page.split("next:")[0]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number, capsys, tmp_path, monkeypatch):
    """Blocks of libraries that clash with the core run in their own environments: `python -m
    benchmarks.compatibility`."""
    monkeypatch.chdir(tmp_path)  # some libraries write logs where they run
    needs = re.match(r"# needs (\w+)", BLOCKS[number])
    with warnings.catch_warnings():
        if needs:
            warnings.simplefilter("ignore")  # their libraries' own, which our users see as well
            pytest.importorskip(needs[1])
        exec(compile(BLOCKS[number], f"README.md block {number}", "exec"), {})
    if needs and needs[1] == "ray":
        sys.modules["ray"].shutdown()  # a script's end would


def test_commands_name_files_that_exist():
    root = Path(__file__).parent.parent
    for module in re.findall(r"python -m ((?:baselines|benchmarks|recsys_env)[\w.]*)", README):
        path = root / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
