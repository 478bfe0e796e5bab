"""The batch on a GPU, as far as a machine without one goes: the simulator, and the assembly of its code."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from benchmarks.checks.unchanged import ACTIONS, games
from recsys_env import TASKS, vector_env
from recsys_env.world.arrays import allocate_scratch

ROOT = Path(__file__).parents[1]
needs_numba_cuda = pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda")


def simulated(module: str) -> list[str]:
    """What a module prints that plays in numba's simulator."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}  # read when numba is imported
    command = [sys.executable, "-m", f"tests.{module}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.slow
@needs_numba_cuda
def test_every_task_in_the_simulator_equals_the_cpu_bit_for_bit() -> None:
    *names, last = simulated("simulated")
    played = [config for name, config in games() if name in names]
    assert last == "refusals"
    assert set(names) >= set(TASKS)
    assert {config.action for config in played} >= set(ACTIONS)


@pytest.mark.slow
@needs_numba_cuda
def test_trainers_are_told_the_same_as_on_the_cpu() -> None:
    for library in ("torch", "torchrl", "skrl"):
        pytest.importorskip(library)
    assert simulated("simulated_training") == ["adapters", "rollouts"]


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"device = 'tpu' is not allowed; choose 'cpu' or 'cuda'"):
        vector_env("duel-v1", device="tpu")
    with pytest.raises(ValueError, match="a GPU has threads of its own"):
        vector_env("duel-v1", num_threads=2, device="cuda")
    monkeypatch.setitem(sys.modules, "numba_cuda", None)
    with pytest.raises(ImportError, match=r'this needs numba_cuda: pip install "recsys_env\[cuda\]"'):
        vector_env("duel-v1", device="cuda")


@needs_numba_cuda
def test_a_machine_without_a_gpu_is_told() -> None:
    from numba import cuda

    if cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(RuntimeError, match="there is no NVIDIA GPU here"):
        vector_env("duel-v1", device="cuda")


def assembly_of_tick(capability: tuple[int, int]) -> str:
    """Assembly of the whole tick. It is the same code for every task whose actions are integers."""
    from recsys_env.cuda.batch import innermost
    from recsys_env.cuda.machine.compiler import ptx
    from recsys_env.cuda.machine.table import unpacker
    from recsys_env.cuda.threads import step_copies

    envs = vector_env("ecommerce-v1", 2)
    game = envs.world, innermost(envs.arrays), envs.report, innermost(allocate_scratch(envs.world, 2))
    arguments = (
        np.zeros(1, np.int64),
        np.zeros((1, 1), np.bool_),
        envs.empty_actions(),
        0,
        np.zeros(1, np.int64),
        np.zeros(2),
    )
    step = step_copies(unpacker(tuple(numba.typeof(part) for part in game)))
    return ptx(step, tuple(numba.typeof(argument) for argument in arguments), capability)


@pytest.mark.slow
@needs_numba_cuda
def test_the_whole_tick_compiles_without_contraction() -> None:
    """A product and a sum in one operation (fma) round once instead of twice."""
    text = assembly_of_tick((9, 0))
    assert ".target sm_90" in text
    assert not re.search(r"\bfma\.", text)
    assert "mul.rn.f64" in text
