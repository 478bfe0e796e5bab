"""The game compiled by numba's public interface alone: the same bits as by the package's own compiler."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from benchmarks.checks.unchanged import drawn
from recsys_env import vector_env
from recsys_env.kernels.machine import selection

# All of them choose items by their numbers, so that their step is the same compiled function.
GAMES = "duel-v1", "ecommerce-v1", "social-v1"
PLAYED = "import json, test_plain_compiler; print(json.dumps(test_plain_compiler.played()))"


def digest_of(task: str, threads: int) -> str:
    """SHA-256 of all that a batch returns and holds over a few episodes, and of its expected feedback."""
    envs, bits, found = vector_env(task, 6, horizon=9, num_threads=threads), np.random.PCG64(0), hashlib.sha256()

    def take_down(*arrays: Any) -> None:
        for array in arrays:
            if isinstance(array, Mapping):
                take_down(*(array[name] for name in sorted(array)))
            else:
                found.update(array.tobytes())

    take_down(*envs.reset(seed=7))
    for _ in range(30):
        actions = drawn(envs, bits)
        take_down(envs.expected_feedback(actions), *envs.step(actions), envs.state(), *envs.arrays)
    return found.hexdigest()


def played() -> dict[str, str]:
    """Digest of every game, in one thread and in two."""
    return {f"{task}, {threads}": digest_of(task, threads) for task in GAMES for threads in (1, 2)}


def run_python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which finds the package and this file."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join((str(root), str(root / "tests")))
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_games_are_those_of_the_packages_own_compiler() -> None:
    done = run_python(PLAYED, {**os.environ, selection.SETTING: selection.PLAIN})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == played()


def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(selection.SETTING, "fast")
    with pytest.raises(ValueError, match='RECSYS_ENV_COMPILER = \'fast\' must be "own" or "plain"'):
        selection.select()


def test_the_setting_decides_whatever_numba_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "LAST_KNOWN", (0, 1))
    for setting in (selection.OWN, selection.PLAIN):
        monkeypatch.setenv(selection.SETTING, setting)
        assert selection.select() == (setting, "")


def test_this_release_of_numba_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(selection.SETTING, raising=False)
    assert selection.select() == (selection.OWN, "")


# What another numba can be like -> the reason that is told.
OTHERS = {
    "numba.version_info = SimpleNamespace(short=(9, 1))": f"numba {numba.__version__} is newer than 0.68: ",
    "arrayobj.load_item = lambda context, builder: None": "has other internals (<lambda> takes (context, builder)): ",
    "del arrayobj.record_getattr": "has other internals (cannot import name 'record_getattr' from 'numba.np.arrayobj'",
}


@pytest.mark.parametrize("change", OTHERS)
def test_with_another_numba_the_plain_compiler_is_used_which_is_said_once(change: str) -> None:
    code = f"""
import logging
from types import SimpleNamespace
import numba
from numba.np import arrayobj
{change}
logging.basicConfig(level=logging.INFO)
from recsys_env.kernels import machine, step
from recsys_env.kernels.machine import dispatchers, packed, pointers, specialize, threads, vectors
for module in (dispatchers, packed, pointers, specialize, threads, vectors):
    assert module.__file__.startswith(machine.PLAIN_FOLDER), module
"""
    environment = {name: value for name, value in os.environ.items() if name != selection.SETTING}
    done = run_python(code, environment)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("INFO:recsys_env:")
    assert OTHERS[change] in line
    assert "RECSYS_ENV_COMPILER" in line
