"""What several test modules share. No test writes outside its temporary folder, nor does a library in its name."""

from __future__ import annotations

import os
import shutil
import site
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_allowed: list[str] = []  # where files may be written, beside the caches of Python's and numba's compilers
_written: list[str] = []  # elsewhere since the last test


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a home folder of its own, before a library looks for its own in it; Ray's is there too."""
    outside = {"PYTHONUSERBASE": site.getuserbase(), "GIT_CONFIG_GLOBAL": str(Path.home() / ".gitconfig")}
    home = tempfile.mkdtemp(prefix="recsys-")  # short: Ray's sockets lie in it, and their paths have an end
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for name in [name for name in os.environ if name.startswith("XDG_") or name in ("MPLCONFIGDIR", "TORCH_HOME")]:
        del os.environ[name]
    _allow("/dev", "/proc", tempfile.gettempdir(), os.environ.get("NUMBA_CACHE_DIR"))
    os.environ |= {
        "OMP_NUM_THREADS": "1",  # a worker of xdist for each core, whose threads would wait for each other's
        **outside,
        **os.environ,
        "HOME": home,
        "USERPROFILE": home,
        "RAY_TMPDIR": home,
        "HYPOTHESIS_STORAGE_DIRECTORY": os.path.join(home, "hypothesis"),
    }
    sys.addaudithook(_watch)


# Files of few tests that take minutes. xdist hands files out in the order of collection (--no-loadscope-reorder): begun
# last, these would keep one worker busy while the others wait. In a fresh clone the first two compile different code,
# so they do not wait for each other.
_LONG = (
    *("test_cuda", "test_kernels", "test_extending", "test_docs", "test_results", "test_policies", "test_train"),
    *("test_rllib", "test_generative", "test_grpo", "test_trainers", "test_training_jobs", "test_robustness"),
    *("test_tasks_api", "test_vector", "test_watch"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _LONG.index(item.path.stem) if item.path.stem in _LONG else len(_LONG))


def _allow(*folders: str | os.PathLike[str] | None) -> None:
    _allowed.extend(os.path.join(os.path.abspath(folder), "") for folder in folders if folder)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note files and folders that this process makes in a place that is not its own."""
    if event == "os.mkdir" or (event == "open" and arguments[2] & _WRITING and not isinstance(arguments[0], int)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(tuple(_allowed)) and "__pycache__" not in path and not os.path.isdir(path):
            _written.append(path)


@pytest.fixture(scope="session", autouse=True)
def _basetemp(tmp_path_factory: pytest.TempPathFactory) -> None:
    _allow(tmp_path_factory.getbasetemp())
    _written.clear()


@pytest.fixture(autouse=True)
def _writes_nowhere_else(_basetemp: None) -> Iterator[None]:
    yield
    found = sorted(set(_written))
    _written.clear()
    assert not found, f"written outside temporary folders: {', '.join(found)}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The `time` of policies and of the text environment: it stands still but for what `sleep` adds."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    stands = SimpleNamespace(perf_counter=lambda: now[0], sleep=sleep)
    for module in ("policies.team", "language.policy", "language.environment"):
        monkeypatch.setattr(f"recsys_env.{module}.time", stands)
    return stands


@pytest.fixture(scope="module")
def short_chains() -> Iterator[None]:
    """Fits to logs of pages take shorter chains, whose estimates are only a little noisier."""
    from recsys_env.fitting import choice_model

    with pytest.MonkeyPatch.context() as patch:
        for name, number in (("ADAPTATION", 100), ("SETTLING", 30), ("DRAWS", 200)):
            patch.setattr(choice_model, name, number)
        yield


@pytest.fixture
def registries() -> Iterator[None]:
    """Whatever a test registers is forgotten after it."""
    import gymnasium  # not above: before the session has a home folder of its own
    import pettingzoo

    from recsys_env.config.tasks import _TASKS
    from recsys_env.evaluation import METRICS

    kept = [
        (registry, dict(registry))
        for registry in (_TASKS, METRICS, gymnasium.registry, pettingzoo.aec_registry, pettingzoo.parallel_registry)
    ]
    yield
    for registry, before in kept:
        registry.clear()  # type: ignore[attr-defined]
        registry.update(before)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Small networks train faster on one thread, and alike on every machine.

    Whatever else was imported may have set more (QuantEcon does): in each worker of xdist they would wait for those of
    the others, which took thirty times as long.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_code_for_all_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large batches too play what is compiled for all worlds: half a minute for each of hundreds would be hours.

    Small ones come to their own code only after millions of agent-steps (`vector.PAYS_OFF`), which no test plays.
    """
    monkeypatch.setattr("recsys_env.batch.vector.SPECIALISED", sys.maxsize)
