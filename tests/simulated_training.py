"""Trainers on the batch on a GPU, which numba's simulator plays (`simulated.py`): test_cuda.py runs it, in a process of
its own that has NUMBA_ENABLE_CUDASIM."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from baselines import ppo_torch
from baselines.algorithms import TorchPPO
from recsys_env import VectorEnv, replace, vector_env
from recsys_env.adapters import skrl, torchrl
from recsys_env.batch.tensors import Tensors
from recsys_env.trained import pages
from tests.simulated import COPIES, HORIZON, CudaVectorEnv, Tensor


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
        paid = (
            rollout.individual_rewards,
            rollout.active,
            rollout.visitors,
            rollout.links.following,
            rollout.links.reward,
        )
        tensors_of = rollout.observations, rollout.masks, rollout.states, rollout.chosen, rollout.remembered
        played.append([*paid, *tensors_of])
    torch.testing.assert_close(*played, rtol=0, atol=0)
    print("rollouts", flush=True)


if __name__ == "__main__":
    adapters()
    rollouts()
