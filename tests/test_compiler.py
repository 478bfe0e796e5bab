"""The compiler's cache: when old code must not run, when nothing can be kept, and what whoever waits is told."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile, _CacheLocator
from numba.core.dispatcher import Dispatcher
from test_vector import PACKAGE

import recsys_env
from recsys_env import kernels
from recsys_env.kernels.machine import compiler
from recsys_env.kernels.machine.compiler import entry, source_stamp

INNER = """
from recsys_env.kernels.machine.compiler import kernel

SHIFT = 1

@kernel
def shifted(x):
    return x + SHIFT
"""
OUTER = """
import inner
from recsys_env.kernels.machine.compiler import entry, kernel

FACTOR = 10

@kernel
def scaled(x):
    return FACTOR * inner.shifted(x)

@entry
def fill(x, out):
    for i in range(out.size):
        out[i] = scaled(x)
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Code:
    """Two modules of a kernel each, the outer with an entry; written and imported anew by `fill`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.sources = folder, {"inner": INNER, "outer": OUTER}
        self.cache = folder / "cache"
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(self.cache))

    def fill(self) -> Any:
        for name, source in self.sources.items():
            (self.folder / f"{name}.py").write_text(source)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("outer").fill

    def run(self, x: int = 1) -> tuple[int, int]:
        """What the code gives, as if in a new process, and the number of versions that came from the cache."""
        fill, out = self.fill(), np.zeros(2, np.int64)
        fill(x, out)
        return int(out[1]), sum(fill.stats.cache_hits.values())

    def files(self, ending: str) -> list[Path]:
        return sorted(self.cache.rglob(f"*.{ending}"))


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    return Code(tmp_path, monkeypatch)


class Timer:
    """Stands for `threading.Timer`: a wait of no seconds is over at once, any other lasts until it is cancelled."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self.over, self.cancelled = None if seconds else function, False

    def start(self) -> None:
        if self.over:
            self.over()

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    """Those of somebody without patience."""
    made: list[Timer] = []

    def timer(*args: Any) -> Timer:
        made.append(Timer(*args))
        return made[-1]

    monkeypatch.setattr(compiler, "PATIENCE", 0.0)
    monkeypatch.setattr(compiler._Cache, "_folder_announced", False)
    monkeypatch.setattr(compiler, "threading", SimpleNamespace(Timer=timer))
    return made


@pytest.fixture
def terminal(timers: list[Timer], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error of somebody without patience."""
    seen = Terminal()
    monkeypatch.setattr(compiler, "sys", SimpleNamespace(stderr=seen))
    return seen


def full_disk(self: Any, *args: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# ------------------------------------------------------------------------------------------------ old code never runs


def test_a_change_in_a_kernel_of_any_file_is_seen(code: Code) -> None:
    assert code.run() == (20, 0)
    assert code.run() == (20, 1)
    code.sources["inner"] = INNER.replace("x + SHIFT", "x - SHIFT")
    assert code.run() == (0, 0)
    code.sources["inner"] = INNER.replace("SHIFT = 1", "SHIFT = 21")
    assert code.run() == (220, 0)
    code.sources["outer"] = OUTER.replace("FACTOR * ", "FACTOR + ")
    assert code.run() == (32, 0)
    assert code.run() == (32, 1)


def test_a_change_of_a_constant_from_a_file_without_kernels_is_seen(code: Code) -> None:
    code.sources = {"numbers_of": "FACTOR = 10\n", **code.sources}
    for importing in ("from numbers_of import FACTOR", "import numbers_of\nFACTOR = numbers_of.FACTOR"):
        code.sources |= {"numbers_of": "FACTOR = 10\n", "outer": OUTER.replace("FACTOR = 10", importing)}
        assert code.run() == (20, 0)
        code.sources["numbers_of"] = "FACTOR = -1\n"
        assert code.run() == (-2, 0)
    code.sources |= {
        "numbers_of": "FACTOR = 7\n",
        "outer": OUTER.replace("FACTOR = 10", "import numbers_of").replace("FACTOR *", "numbers_of.FACTOR *"),
    }
    assert code.run() == (14, 0)
    code.sources["numbers_of"] = "FACTOR = -1\n"
    assert code.run() == (-2, 0)


def test_an_edit_after_the_import_is_not_taken_for_what_was_imported(code: Code) -> None:
    fill, out = code.fill(), np.zeros(2, np.int64)
    (code.folder / "inner.py").write_text(INNER.replace("SHIFT = 1", "SHIFT = 21"))
    fill(1, out)
    assert out[0] == 20
    code.sources["inner"] = (code.folder / "inner.py").read_text()
    assert code.run() == (220, 0)


def test_data_of_an_older_version_does_not_run(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after the index of the new version was written: it names the data of the old one."""
    assert code.run() == (20, 0)
    code.sources["inner"] = INNER.replace("SHIFT = 1", "SHIFT = 21")
    with monkeypatch.context() as patch:
        patch.setattr(compiler._CacheFile, "_save_data", full_disk)
        assert code.run() == (220, 0)
    assert code.run() == (220, 0)
    assert code.run() == (220, 1)


def dispatchers() -> dict[str, Dispatcher]:
    """Every kernel and entry of the package, but for modules whose libraries are not installed, the GPU's, which are
    made of the same files, and what policies of users call (`policies.uniform`)."""
    elsewhere = ("recsys_env.adapters.", "recsys_env.cuda", "recsys_env.policies")
    for package in (kernels, recsys_env):  # a walk does not enter a folder twice, and the GPU's package names the first
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(elsewhere):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("recsys_env.") and not name.startswith(elsewhere)
    ]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher)
    }


def test_all_compiled_code_is_in_kernels() -> None:
    packages = {value.py_func.__module__.rpartition(".")[0] for value in dispatchers().values()}
    # `responses.py` says what responses are worth.
    assert packages == {"recsys_env.config", *(f"recsys_env.kernels{part}" for part in ("", ".machine", ".planners"))}


def test_every_file_with_kernels_is_in_the_stamp_of_the_entries_that_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever file kernels are added in; found here by following names, there by what is compiled."""
    found = dispatchers()
    entries = [value for value in found.values() if isinstance(value._cache, compiler._Cache)]
    assert {"run", "run_parallel", "expect", "choose", "appraise", "list_options"} <= {
        value.py_func.__name__ for value in entries
    }
    files = {value.py_func.__code__.co_filename for value in found.values()}
    assert {"step.py", "rng.py", "numeric.py", "vectors.py", "beliefs.py", "slates.py", "assortment.py"} <= {
        Path(file).name for file in files
    }
    before = {value: source_stamp(value.py_func) for value in entries}
    seen: dict[str, set[str]] = {}
    for file in files:
        monkeypatch.setitem(compiler._digests, file, "edited")
        seen[Path(file).name] = {
            value.py_func.__name__ for value in entries if source_stamp(value.py_func) != before[value]
        }
        monkeypatch.undo()
    planning = {"choose", "arrange", "choose_slates", "choose_expected"}
    assert seen["assortment.py"] == seen["beliefs.py"] == seen["slates.py"] == planning
    assert seen["threads.py"] == {"run_parallel"}  # which calls what is compiled of `run`
    assert seen["numeric.py"] >= {"run", "expect", "choose", "appraise", "list_options", "global_state"}
    assert all(seen.values()), f"no entry uses {[file for file, names in seen.items() if not names]}"
    for name, value in found.items():
        if value in entries:
            assert value.py_func.__name__ in seen[Path(value.py_func.__code__.co_filename).name], name


# ------------------------------------------------------------------------------------------------ nothing can be kept


def test_a_full_disk_costs_the_cache_only(code: Code, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "_open_for_write", full_disk)
        for _ in range(2):
            assert code.run() == (20, 0)
    told = terminal.getvalue().splitlines()
    assert ["compiling" in line for line in told] == [True, False, True]  # of the disk once in a process
    assert f"compiled code cannot be kept in {code.cache}" in told[1]
    assert "No space left on device" in told[1]
    assert not code.files("*")  # no half-written one either
    assert "NUMBA_CACHE_DIR" in told[1]
    assert [code.run(), code.run()] == [(20, 0), (20, 1)]


def test_a_folder_that_vanishes_is_made_again_or_done_without(code: Code) -> None:
    fill, out = code.fill(), np.zeros(2, np.int64)
    shutil.rmtree(code.cache)
    fill(1, out)
    assert code.run() == (20, 1)
    fill = code.fill()
    shutil.rmtree(code.cache)
    code.cache.write_text("no folder")
    fill(2.5, out)
    assert out[0] == 35


def test_without_any_folder_the_game_goes_on(code: Code, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_CacheLocator, "ensure_cache_path", full_disk)
    for _ in range(2):
        assert code.run() == (20, 0)
    told = terminal.getvalue().splitlines()
    assert len(told) == 2
    assert "compiling the game (outer.fill)" in told[0]
    assert "in every process, because no folder for compiled code can be written to" in told[0]
    assert not code.cache.exists()


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"garbage", lambda b: b[:-200] + bytes(200)],
    ids=["empty", "truncated", "garbage", "overwritten"],
)
def test_a_damaged_file_is_compiled_anew(code: Code, ending: str, damage: Callable[[bytes], bytes]) -> None:
    code.run()
    (file,) = code.files(ending)
    file.write_bytes(damage(file.read_bytes()))
    assert code.run() == (20, 0)
    assert code.run() == (20, 1)


# ------------------------------------------------------------------------------------------------ several processes


def test_of_processes_that_start_at_once_one_compiles(code: Code) -> None:
    code.fill()  # writes the modules
    script = "import numpy, outer\nouter.fill(1, numpy.zeros(2, int))\nprint(sum(outer.fill.stats.cache_hits.values()))"
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(code.cache),
        "PYTHONPATH": os.pathsep.join((str(code.folder), str(PACKAGE.parent))),
    }
    started = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(process.communicate()[0] for process in started) == ["0\n", "1\n"]
    assert not code.files("lock")


def test_a_process_that_holds_the_lock_for_too_long_is_not_waited_for(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    waits: list[float] = []

    def held(file: int, operation: int) -> None:
        if operation & compiler.fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(compiler.fcntl, "flock", held)
    monkeypatch.setattr(compiler, "time", SimpleNamespace(sleep=waits.append))
    assert code.run() == (20, 0)
    assert sum(waits) == pytest.approx(compiler.LONGEST_WAIT, abs=0.2)


def test_code_that_does_not_compile_frees_the_lock(code: Code) -> None:
    with pytest.raises(numba.TypingError):
        code.fill()("text", np.zeros(2, np.int64))
    assert not code.files("lock")
    assert code.run() == (20, 0)


def test_without_a_lock_every_process_compiles(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, and in a folder that can only be read."""
    with monkeypatch.context() as patch:
        patch.setattr(compiler, "fcntl", None)
        assert code.run(1) == (20, 0)
    shutil.rmtree(code.cache)
    monkeypatch.setattr(compiler._Lock, "__init__", full_disk)
    assert code.run(1) == (20, 0)
    assert code.run(1) == (20, 1)


# ------------------------------------------------------------------------------------------------ whoever waits is told


def test_whoever_waits_is_told_once(code: Code, terminal: Terminal, caplog: pytest.LogCaptureFixture) -> None:
    """For each kind of argument, as for queries after picks, because each is a wait; where code is kept, only at
    first."""
    caplog.set_level(logging.DEBUG, "recsys_env")
    fill, out = code.fill(), np.zeros(2, np.int64)
    for _ in range(3):
        fill(1, out)
    told = terminal.getvalue()
    assert told.count("\n") == 1
    assert told.startswith("recsys_env: compiling the game (outer.fill)")
    assert str(code.files("nbc")[0].parent) in told
    assert code.run()[1] == 1
    assert terminal.getvalue() == told  # nothing, where the cache serves it
    fill(1.5, out)
    assert terminal.getvalue() == told + "recsys_env: compiling the game (outer.fill)\n"
    assert not caplog.records


def test_where_nobody_sits_it_is_logged(
    code: Code,
    timers: list[Timer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "recsys_env")
    code.run()
    assert [(record.name, record.levelname) for record in caplog.records] == [("recsys_env", "INFO")]
    assert "compiling the game (outer.fill)" in caplog.text
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(compiler, "sys", SimpleNamespace(stderr=None))
    code.run(1.5)
    assert len(caplog.records) == 2


def test_a_notebook_is_somebody(
    code: Code, timers: list[Timer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    code.run()
    assert "compiling the game" in capsys.readouterr().err


def test_what_is_quick_is_not_worth_a_word(
    code: Code, timers: list[Timer], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "PATIENCE", 0.6)
    out = np.zeros(2, np.int64)

    @entry
    def tiny(out):  # type: ignore[no-untyped-def]
        out[0] = 1

    tiny(out)
    assert [timer.cancelled for timer in timers] == [True]
    assert terminal.getvalue() == ""
