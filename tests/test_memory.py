"""Batches that do not fit are refused before anything is allocated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import SMALL

import recsys_env
from recsys_env import TASKS, VectorEnv
from recsys_env.batch import memory
from recsys_env.batch.spaces import mask_size


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("copies", [1, 3])
def test_bytes_are_those_that_are_allocated(task: str, copies: int) -> None:
    envs = recsys_env.vector_env(task, copies)
    arrays = (*envs._state, *(array for report in envs._buffers for array in report), *envs._scratch)
    masks = mask_size(envs.config, envs.shape)
    assert memory.bytes_of_copies(envs.world, copies, masks) == sum(array.nbytes for array in arrays)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    each = memory.bytes_of_copies(VectorEnv(SMALL).world, 1, 0)
    monkeypatch.setattr("recsys_env.batch.vector.available", lambda: 10 * each + 1)
    recsys_env.vector_env(SMALL, 10)
    monkeypatch.setattr(
        "recsys_env.batch.vector.allocate_state", lambda *arguments: pytest.fail("something was allocated")
    )
    for copies in (11, 2**31):
        says = (
            rf"num_envs = {copies} copies of this task need [\d.e+]+ [MG]iB, but .* MiB are free in memory; "
            "the largest num_envs that fits is 10$"
        )
        with pytest.raises(ValueError, match=says):
            recsys_env.vector_env(SMALL, copies)
    with pytest.raises(ValueError, match=r"num_envs = 1000000000000 is out of range"):
        recsys_env.vector_env(SMALL, 10**12)
    monkeypatch.setattr("recsys_env.batch.vector.available", lambda: each - 1)
    with pytest.raises(ValueError, match="not one copy fits"):
        recsys_env.vector_env(SMALL, 1)
    with pytest.raises(ValueError, match="not one copy fits"):
        recsys_env.parallel_env(SMALL)


def test_where_nothing_is_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_env.batch.vector.available", lambda: None)
    recsys_env.vector_env(SMALL, 3)


def written(folder: Path, files: dict[str, Any]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": 1000, "memory.current": 700, "memory.stat": "anon 100\ninactive_file 200"}, 500),
        ({"memory.max": "max", "memory.current": 700, "memory.stat": "inactive_file 200"}, None),
        ({}, None),
    ],
)
def test_limits_of_containers(
    files: dict[str, Any], left: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, files)
    monkeypatch.setattr(memory, "_LIMITS", {tmp_path: ("memory.max", "memory.current")})
    monkeypatch.setattr(memory, "_of_system", lambda: 550)
    assert memory.available() == (550 if left is None else left)


def test_this_system_tells() -> None:
    free = memory.available()
    assert free is None or np.isfinite(free)
