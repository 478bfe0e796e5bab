"""The batch on a GPU, played in numba's simulator beside the one on the CPU: test_cuda.py runs it, in a process of its
own.

The simulator runs the kernels' source as Python, thread by thread. NumPy's own records give a field by its name only
where no method has it (`shape`, `item`); `Row` always does.
"""

from __future__ import annotations

import os

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read when numba is imported

import copy
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numba import cuda

from baselines import ppo_torch
from baselines.algorithms import TorchPPO
from benchmarks.checks.unchanged import drawn, games
from recsys_env import VectorEnv, WorldConfig, replace, vector_env
from recsys_env.adapters import skrl, torchrl
from recsys_env.tensors import Tensors
from recsys_env.trained import pages

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
    there, here = CudaVectorEnv(config, COPIES), VectorEnv(config, COPIES)
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
        for what in ("observations", "final_obs", "next_visitor", "next_places", "active", "truncated"):
            equal(getattr(there, what), getattr(here, what), f"{name}: {what} after tick {tick}")
        if here.truncated.any():
            equal(there.final_state(), here.final_state(), f"{name}: final state of tick {tick}")
    saved = there.save()
    for what, one, other in zip(saved.arrays._fields, saved.arrays, here.save().arrays, strict=True):
        assert np.array_equal(one, other), f"{name}: {what} saved"
    here.restore(saved)
    equal(there.restore(here.save(1), copy=0)[0], here.restore(here.save(1), copy=0)[0], f"{name}: restored")
    print(name, flush=True)


class HostTensors(Tensors):
    """Tensors of simulated arrays, which torch cannot share: the one thing that a GPU would do otherwise."""

    def __init__(self, envs: Any, device: Any) -> None:
        self.device, self._resident = torch.device("cpu"), True

    def __call__(self, array: Any) -> torch.Tensor:
        assert not isinstance(array, np.ndarray), "an array of a batch on a GPU lies there"
        return torch.from_numpy(array.copy_to_host())

    def actions(self, tensor: torch.Tensor) -> Any:
        return Tensor(tensor.numpy())


def adapters() -> None:
    """Trainers are told the same of a batch on the device as of one on the CPU, past the end of an episode."""
    config = replace(vector_env("journey-v1", 2).config, {"horizon": HORIZON, "mask_actions": True})
    played = []
    for kind, tensors in ((CudaVectorEnv, HostTensors), (VectorEnv, Tensors)):
        torchrl.Tensors = skrl.Tensors = tensors
        torch.manual_seed(0)
        env = torchrl.TorchRLEnv(kind(config, COPIES), "cpu")
        env.set_seed(3)
        told = [env.rollout(HORIZON + 2, break_when_any_done=False)]
        rows = skrl.SkrlEnv(kind(config, COPIES), "cpu")
        rows.envs.reset(seed=5)
        told += copy.deepcopy([rows.reset()])  # what they share with the batch is overwritten two steps later
        for tick in range(HORIZON + 1):
            actions = {agent: torch.full((COPIES, config.slots), tick) for agent in rows.agents}
            told += copy.deepcopy([rows.step(actions)]) + [rows.state()]
        played.append(told)
    on_device, on_host = played
    assert (on_device[0] == on_host[0]).all()
    torch.testing.assert_close(on_device[1:], on_host[1:], rtol=0, atol=0)
    print("adapters", flush=True)


def rollouts() -> None:
    """The one-file PPO plays the same on the device."""
    config = replace(vector_env("coverage-v0", 2).config, {"horizon": HORIZON, "mask_actions": True})
    options = TorchPPO("coverage-v0", n_steps=2 * HORIZON, device="cpu", centralised=True, memory=3)
    played = []
    for kind, tensors in ((CudaVectorEnv, HostTensors), (VectorEnv, Tensors)):
        ppo_torch.Tensors = tensors
        torch.manual_seed(0)
        envs = kind(config, COPIES)
        envs.reset(seed=1)
        rollout = ppo_torch.Rollout(envs, options, 0.99)
        network = pages.PageNetwork(rollout.layout, 4, options.memory)
        rollout.collect([(ppo_torch.Agent(network, rollout.states.shape[2], 4), slice(None))])
        arrays = rollout.own, rollout.active, rollout.visitors, rollout.links.following, rollout.links.reward
        tensors_of = rollout.observations, rollout.masks, rollout.states, rollout.chosen, rollout.remembered
        played.append([*map(torch.from_numpy, arrays), *tensors_of])
    torch.testing.assert_close(*played, rtol=0, atol=0)
    print("rollouts", flush=True)


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
    refused(lambda: envs.step(Tensor(actions)), ValueError, where)
    refused(lambda: envs.step(actions), ValueError, where)
    actions[1, 0, 2] = 0
    for one, other in zip(before.arrays, envs.save().arrays, strict=True):
        assert np.array_equal(one, other)
    here = vector_env(config, 2)
    here.restore(before)
    equal(envs.step(Tensor(actions))[0], here.step(actions)[0], "actions on the device")
    refused(lambda: envs.explain(actions), AttributeError, "explain is not there on a GPU; a batch on the CPU has it")
    refused(lambda: envs.nothing, AttributeError, "no attribute 'nothing'")
    refused(lambda: envs.restore(vector_env("duel-v1").reset() and None), TypeError, "must be what save() returns")
    print("refusals", flush=True)


if __name__ == "__main__":
    for name, config in games():
        play(name, replace(config, {"horizon": HORIZON}))
    refusals()
    adapters()
    rollouts()
