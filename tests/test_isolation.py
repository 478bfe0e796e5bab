"""No test writes outside its temporary folder: what conftest.py sees to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = """
from pathlib import Path

def test_inside(tmp_path):
    (tmp_path / "file").write_text("")
    (Path.home() / "ray_results").mkdir()

def test_outside():
    Path("{outside}/folder").mkdir()
    Path("{outside}/folder/file").write_text("")

def test_reading():
    assert Path("{outside}/folder/file").read_text() == ""
"""


def test_home_is_a_folder_of_this_session() -> None:
    for place in (os.path.expanduser("~/ray_results"), os.environ["RAY_TMPDIR"]):
        assert Path(place).is_relative_to(tempfile.gettempdir())
    assert not {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"} & os.environ.keys()


def test_who_writes_elsewhere_fails(tmp_path: Path) -> None:
    suite, outside, temporary = (tmp_path / name for name in ("suite", "outside", "temporary"))
    for folder in (suite, outside, temporary):
        folder.mkdir()
    shutil.copy(Path(__file__).parent / "conftest.py", suite)
    (suite / "test_it.py").write_text(SUITE.format(outside=outside))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={suite}", str(suite)]
    environment = {**os.environ, "TMPDIR": str(temporary), "HOME": str(outside), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    said = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True, check=False).stdout
    assert "3 passed, 1 error" in said
    assert f"written outside temporary folders: {outside}/folder, {outside}/folder/file" in said
    assert [path.name for path in outside.iterdir()] == ["folder"]
    assert not list(temporary.glob("recsys-*"))
