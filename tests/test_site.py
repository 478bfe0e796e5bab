"""A task's page needs no stored results: what the site says of a new task follows from its config."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("PIL")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import generate
import results

from recsys_env import TASKS, WorldConfig, register_task
from recsys_env.config import tasks

ROOT = Path(__file__).parent.parent


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pages are made."""
    monkeypatch.setattr(generate, "OUT", tmp_path)
    (tmp_path / "plots").mkdir()
    return tmp_path


@pytest.mark.usefixtures("registries")
def test_a_task_without_results_has_a_page(out: Path) -> None:
    register_task("mine-v1", WorldConfig(description="A shop of mine.", num_agents=2, slots=2, items={"number": 30}))
    page = generate.task_page("mine-v1")
    assert page.startswith("# mine-v1\n\nA shop of mine.\n")
    assert page.count("Not measured yet") == 3  # evidence, scores, and why it is in no suite
    assert (out / "plots" / "page-mine-v1.png").is_file()
    assert "](_generated/tasks/mine-v1.md)" in generate.task_pages()


@pytest.mark.usefixtures("registries")
def test_the_documented_task_is_that_diff(out: Path, tmp_path: Path) -> None:
    """new_task.diff, which the documentation shows, applies, and its page and its row in the README follow."""
    copy = tmp_path / "recsys_env" / "config" / "tasks.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(tasks.__file__, copy)
    diff = ROOT / "tests" / "new_task.diff"
    subprocess.run(["git", "apply", str(diff)], cwd=tmp_path, check=True, capture_output=True)
    register_task("podcast-v0", declared(copy, "podcast-v0"))
    page = generate.task_page("podcast-v0")
    assert "Two shelves of podcasts, paid by listening time." in page
    assert "1 per mean length watched" in page  # its reward
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    results.readme_parts(readme)
    assert "\n| `podcast-v0` | Two shelves of podcasts, paid by listening time | 2 | 4 | rows | " in readme.read_text()


def declared(path: Path, task: str) -> WorldConfig:
    """A task as another version of tasks.py declares it."""
    tree = ast.parse(path.read_text())
    table = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign) and "_SHIPPED" in ast.dump(node))
    assert isinstance(table, ast.Dict)
    found = {
        key.value: value for key, value in zip(table.keys, table.values, strict=True) if isinstance(key, ast.Constant)
    }
    assert list(found) == [*TASKS, task]
    return eval(compile(ast.Expression(found[task]), str(path), "eval"), dict(vars(tasks)))
