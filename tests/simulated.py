"""The batch on a GPU, played in numba's simulator beside the one on the CPU: test_cuda.py runs it, in a process of its
own that has NUMBA_ENABLE_CUDASIM.

The simulator runs the kernels' source as Python, thread by thread. NumPy's own records give a field by its name only
where no method has it (`shape`, `item`); `Row` always does.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from numba import cuda

from benchmarks.checks.unchanged import drawn, games
from recsys_env import TASKS, VectorEnv, WorldConfig, replace, vector_env
from recsys_env.world import arrays

COPIES, TICKS, HORIZON = 2, 5, 3  # an episode ends on the way

warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)  # which the hash counts on


class Row(np.void):
    """A record whose fields are attributes, whatever they are called."""

    def __getattribute__(self, name: str) -> Any:
        names = np.void.__getattribute__(self, "dtype").names
        return self[name] if names and name in names else np.void.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def as_rows(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The same memory as records of `Row`, nested ones included."""
    if kind.names is None:
        return kind
    formats, offsets = zip(*((as_rows(kind.fields[name][0]), kind.fields[name][1]) for name in kind.names), strict=True)
    fields = {"names": kind.names, "formats": formats, "offsets": offsets, "itemsize": kind.itemsize}
    return np.dtype((Row, np.dtype(fields)))


class Tensor:
    """An array that says that it lies on the device, as a trainer's actions do."""

    __cuda_array_interface__ = True

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


arrays.FIRST_ROWS = 1  # so that rows run out on the way

to_device = cuda.to_device
cuda.to_device = lambda array: to_device(array.view(as_rows(array.dtype)))
cuda.as_cuda_array = lambda tensor: to_device(tensor.array)  # which the simulator does not have

from recsys_env.cuda.batch import CudaVectorEnv  # noqa: E402


def on_host(value: Any) -> Any:
    return value.copy_to_host() if hasattr(value, "copy_to_host") else value


def equal(ours: Any, theirs: Any, what: str) -> None:
    if isinstance(ours, dict):
        for name in theirs:
            equal(ours[name], theirs[name], f"{what}, {name}")
    else:
        assert on_host(ours).tobytes() == np.asarray(theirs).tobytes(), what


def play(name: str, config: WorldConfig) -> None:
    """All that a few ticks return, and the state after them."""
    there, here = CudaVectorEnv(config, COPIES), VectorEnv(config, COPIES, copy=False)
    bits = np.random.PCG64(0)
    equal(there.reset(seed=7)[0], here.reset(seed=7)[0], f"{name}: reset")
    for tick in range(TICKS):
        actions = drawn(here, bits)
        *ours, infos = there.step(actions)
        *theirs, told = here.step(actions)
        for what, one, other in zip(("observations", "rewards", "ends", "cuts"), ours, theirs, strict=True):
            equal(one, other, f"{name}: {what} of tick {tick}")
        for what in set(infos) & set(told):
            equal(infos[what], told[what], f"{name}: infos[{what!r}] of tick {tick}")
        equal(there.state(), here.state(), f"{name}: state of tick {tick}")
        for what in ("observations", "final_obs", "next_visitor", "next_user_slots", "active", "truncated"):
            equal(getattr(there, what), getattr(here, what), f"{name}: {what} after tick {tick}")
        if here.truncated.any():
            equal(there.final_state(), here.final_state(), f"{name}: final state of tick {tick}")
    saved = there.save()
    for what, one, other in zip(saved.arrays._fields, saved.arrays, here.save().arrays, strict=True):
        assert np.array_equal(one, other), f"{name}: {what} saved"
    here.restore(saved)
    equal(there.restore(here.save(1), copy=0)[0], here.restore(here.save(1), copy=0)[0], f"{name}: restored")
    print(name, flush=True)


def refusals() -> None:
    """What is not allowed changes nothing and says so."""
    config = vector_env("ecommerce-v1", 2).config
    envs = CudaVectorEnv(config, 2)

    def refused(call: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=re.escape(text)):
            call()

    actions = np.zeros((2, 2, config.slots), np.int64)
    refused(lambda: envs.step(actions), RuntimeError, "call reset() before step()")
    envs.reset(seed=0)
    before = envs.save()
    refused(lambda: envs.step(Tensor(actions[:1])), ValueError, "actions of shape (1, 2, 5)")
    refused(lambda: envs.step(Tensor(actions + 0.5)), ValueError, "dtype float64")
    actions[1, 0, 2] = 99
    where = "action of recommender_0 in copy 1 is [0, 0, 99, 0, 0], outside its space"
    refused(lambda: envs.step(actions), ValueError, where)
    here = vector_env(config, 2)
    allowed = np.zeros_like(actions)
    for call in (lambda: envs.step(Tensor(allowed)), envs.reset, envs.save, lambda: envs.restore(before)):
        envs.step(Tensor(actions))  # nobody waits for the device, so the next call says so
        refused(call, ValueError, where)
        equal(envs.observations, here.restore(before)[0], "observations after a refused action")
        for one, other in zip(before.arrays, envs.save().arrays, strict=True):
            assert np.array_equal(one, other)
    equal(envs.step(Tensor(allowed))[0], here.step(allowed)[0], "actions on the device")
    refused(lambda: envs.explain(actions), AttributeError, "explain is not there on a GPU; a batch on the CPU has it")
    refused(lambda: envs.nothing, AttributeError, "no attribute 'nothing'")
    refused(lambda: envs.restore(vector_env("duel-v1").reset() and None), TypeError, "must be what save() returns")
    print("refusals", flush=True)


if __name__ == "__main__":
    for name, config in games():
        if name in TASKS or name.startswith("ecommerce-v1"):  # one of them with every kind of action
            play(name, replace(config, {"horizon": HORIZON}))
    refusals()
