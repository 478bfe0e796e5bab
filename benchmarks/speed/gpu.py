"""The batch on a GPU: whether it plays the same game as on the CPU, how fast it is, and how it is compiled.

    python -m benchmarks.speed.gpu                # everything, in less than eight minutes
    python -m benchmarks.speed.gpu --compile      # only what needs no GPU

compiled    for each compute capability: registers per thread and bytes that they spill (from `ptxas`, if it is
            installed), contracted operations (there must be none), numbers that a launch hands over, and seconds
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
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from recsys_env import VectorEnv, WorldConfig, replace, vector_env
from recsys_env.world.arrays import allocate_scratch

from ..checks.unchanged import drawn, games
from ..result_files import store

CAPABILITIES = ((8, 0), (9, 0))
COPIES, TICKS, HORIZON = 1_000, 100, 60  # episodes end on the way
TIMED = ("ecommerce-v1", "duel-v1")
BATCHES = tuple(2**i for i in range(10, 18))
SECONDS = 3.0  # of each rate
ROADS = 2**14  # copies behind adapters and learners


def tick(capability: tuple[int, int]) -> str:
    """Assembly of the whole tick. It is the same code for every task whose actions are integers."""
    from recsys_env.cuda.batch import innermost
    from recsys_env.cuda.machine.compiler import ptx
    from recsys_env.cuda.machine.table import unpacker
    from recsys_env.cuda.threads import step_copies

    envs = vector_env(TIMED[0], 2)
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


def compiled(capability: tuple[int, int]) -> dict[str, Any]:
    """How the tick is compiled for one compute capability."""
    began = time.perf_counter()
    text = tick(capability)
    found = {
        "seconds": time.perf_counter() - began,
        "contracted": len(re.findall(r"\bfma\.", text)),
        "parameters": len(set(re.findall(r"^\s*\.param .*_param_(\d+)", text[text.index(".entry") :], re.M))),
    }
    return {**found, **assembled(text, capability)}


def assembled(text: str, capability: tuple[int, int]) -> dict[str, Any]:
    """What `ptxas` reports about this assembly; empty if it is not installed."""
    assembler = shutil.which("ptxas") or _shipped("ptxas")
    if assembler is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tick.ptx"
        source.write_text(text, encoding="utf-8")
        command = [assembler, "-v", f"-arch=sm_{capability[0]}{capability[1]}", str(source), "-o", f"{source}.cubin"]
        said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stderr
    patterns = {
        "registers": r"Used (\d+) registers",
        "spill_stores": r"(\d+) bytes spill stores",
        "spill_loads": r"(\d+) bytes spill loads",
        "stack_frame": r"(\d+) bytes stack frame",
    }
    return {name: max(map(int, re.findall(pattern, said)), default=0) for name, pattern in patterns.items()}


def _shipped(name: str) -> str | None:
    """A program of the package nvidia-cuda-nvcc."""
    try:
        import nvidia
    except ImportError:
        return None
    found = [path for folder in nvidia.__path__ for path in Path(folder).glob(f"*/bin/{name}")]
    return str(found[0]) if found else None


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
    parser.add_argument("--compile", action="store_true", help="only what needs no GPU")
    parser.add_argument("--out", type=Path, help="folder of gpu.json; default: benchmarks/results")
    args = parser.parse_args()
    result: dict[str, Any] = {
        "compiled": {f"{major}.{minor}": compiled((major, minor)) for major, minor in CAPABILITIES}
    }
    if not args.compile:
        result["equal"] = {name: differences(config) for name, config in games()}
        result["launch"] = {task: 1e6 / (rate(task, 1)["agent_steps_per_second"] / agents_of(task)) for task in TIMED}
        result["rates"] = {task: {copies: rate(task, copies) for copies in BATCHES} for task in TIMED}
        result |= {"adapters": adapters(), "training": training()}
    settings = {"copies": COPIES, "ticks": TICKS, "horizon": HORIZON, "seconds": SECONDS}
    print(store("gpu", settings, result, args.out))


if __name__ == "__main__":
    main()
