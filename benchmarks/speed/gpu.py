"""The batch on a GPU: whether it plays the same game as on the CPU, and how fast it is.

    python -m benchmarks.speed.gpu                # in less than eight minutes

equal       whether 100,000 ticks of every task with every kind of action return the same bits as on the CPU and end in
            the same state
launch      microseconds of a step of one copy, of which nearly all is the launch
rates       agent-steps per second by number of copies, with the actions on the device, and bytes per copy
adapters    the same through the environments of TorchRL and skrl, if they are installed
training    agent-steps per second of the one-file PPO with its batch on the device, and the environment's share of the
            time
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, replace, vector_env

from ..checks.unchanged import drawn, games
from ..result_files import store

COPIES, TICKS, HORIZON = 1_000, 100, 60  # episodes end on the way
TIMED = ("ecommerce-v1", "duel-v1")
BATCHES = tuple(2**i for i in range(10, 18))
SECONDS = 3.0  # of each rate
ROADS = 2**14  # copies behind adapters and learners


def differences(config: WorldConfig) -> list[str]:
    """What the GPU returns differently from the CPU, in the first tick that differs."""
    config = replace(config, {"horizon": HORIZON})
    here, there = VectorEnv(config, COPIES), vector_env(config, COPIES, device="cuda")
    bits = np.random.PCG64(0)
    here.reset(seed=0), there.reset(seed=0)
    for _ in range(TICKS):
        actions = drawn(here, bits)
        observations, rewards, _, _, infos = here.step(actions)
        seen, paid, _, _, told = there.step(actions)
        parts = {"rewards": (paid, rewards), **{name: (told[name], infos[name]) for name in set(told) & set(infos)}}
        if config.mask_actions:
            parts |= {name: (seen[name], observations[name]) for name in observations}
        else:
            parts["observations"] = seen, observations
        found = [name for name, (one, other) in parts.items() if one.copy_to_host().tobytes() != other.tobytes()]
        if found:
            return found
    saved = zip(there.save().arrays, here.save().arrays, strict=True)
    return [] if all(np.array_equal(one, other) for one, other in saved) else ["state"]


def rate(task: str, copies: int) -> dict[str, float]:
    """Agent-steps per second and bytes per copy."""
    from numba import cuda

    envs = vector_env(task, copies, device="cuda")
    envs.reset(seed=0)
    actions = cuda.to_device(drawn(vector_env(task, copies), np.random.PCG64(0)))
    steps = per_second(lambda: envs.step(actions)) * copies * envs.num_agents
    return {"agent_steps_per_second": steps, "bytes_per_copy": envs.nbytes / copies}


def agents_of(task: str) -> int:
    return vector_env(task).num_agents


def per_second(step: Callable[[], Any]) -> float:
    """Calls per second, including everything that they queue."""
    from numba import cuda

    for _ in range(20):
        step()
    cuda.synchronize()
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for _ in range(20):
            step()
        cuda.synchronize()
        steps += 20
    return steps / (time.perf_counter() - began)


def adapters() -> dict[str, float]:
    """Agent-steps per second of each adapter that takes the batch on the device."""
    found, copies, agents = {}, ROADS, agents_of(TIMED[0])
    if importlib.util.find_spec("torchrl"):
        from recsys_env.adapters.torchrl import TorchRLEnv

        env = TorchRLEnv(vector_env(TIMED[0], copies, device="cuda"), "cuda", state=False)
        step = env.rand_action(env.reset())
        found["TorchRL"] = per_second(lambda: env.step(step)) * copies * agents
    if importlib.util.find_spec("skrl"):
        import torch

        from recsys_env.adapters.skrl import SkrlEnv

        rows = SkrlEnv(vector_env(TIMED[0], copies, device="cuda"), "cuda")
        rows.reset()
        one = torch.zeros(copies, *(rows.envs.action_space.shape or (1,)), dtype=torch.int64, device="cuda")
        found["skrl"] = per_second(lambda: rows.step(dict.fromkeys(rows.agents, one))) * copies * agents
    return found


def training() -> dict[str, Any]:
    """Agent-steps per second of the one-file PPO with its batch on the device."""
    from baselines.algorithms import TorchPPO

    from .trainers import torch_ppo

    return torch_ppo(
        TorchPPO(TIMED[0], num_envs=ROADS, n_steps=64, batch_size=ROADS, device="cuda", play_on="cuda"), iterations=4
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of gpu.json; default: benchmarks/results")
    args = parser.parse_args()
    result = {
        "equal": {name: differences(config) for name, config in games()},
        "launch": {task: 1e6 / (rate(task, 1)["agent_steps_per_second"] / agents_of(task)) for task in TIMED},
        "rates": {task: {copies: rate(task, copies) for copies in BATCHES} for task in TIMED},
        "adapters": adapters(),
        "training": training(),
    }
    settings = {"copies": COPIES, "ticks": TICKS, "horizon": HORIZON, "seconds": SECONDS}
    print(store("gpu", settings, result, args.out))


if __name__ == "__main__":
    main()
