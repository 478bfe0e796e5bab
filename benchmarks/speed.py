"""How fast is a step, and what bounds it?

    python -m benchmarks.speed [--seconds 1.0]

Units: ticks/s counts B per step, pages/s only ticks with a visitor, agent-steps/s B * N. Actions are drawn beforehand;
compile time is apart. `kernel` is the compiled entry alone, `vector_env` adds validation and infos, `parallel_env` and
`aec` the PettingZoo APIs. The lower bound adds up measured primitives: the bytes a step must write at the measured
bandwidth, random numbers, exponentials and cache misses on a copy's own state; the distance to it is what the rest of
the arithmetic costs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numba
import numpy as np

import recsys_env
from recsys_env import VectorEnv
from recsys_env.provenance import provenance

from .result_files import earlier, store

BATCHES = (1, 64, 1024, 4096)
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "duel-v1": ("duel-v1", {}),
    "ecommerce-v1 items": ("ecommerce-v1", {"action": "items"}),
    "ecommerce-v1 candidates": ("ecommerce-v1", {}),
    "streaming-v1 candidates": ("streaming-v1", {}),
    "social-v1 candidates": ("social-v1", {}),
}


def window(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second over one window of time."""
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        call()
        count += 1
    return count / elapsed


def rate(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second, best of three windows: other load on the machine only ever slows a window down."""
    call()
    return max(window(call, seconds) for _ in range(3))


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> list[float]:
    """Our calls per their call: lowest, median and highest of nine pairs of windows side by side, so that load meets
    both."""
    pairs = sorted(window(ours, seconds) / window(theirs, seconds) for _ in range(9))
    return [pairs[0], pairs[4], pairs[8]]


def actions_for(envs: VectorEnv) -> np.ndarray:
    """One batch of uniform actions."""
    envs.action_space.seed(0)
    return np.stack([[envs.action_space.sample() for _ in range(envs.num_agents)] for _ in range(envs.num_envs)])


def batch(task: str, overrides: dict[str, Any], num_envs: int, threads: int, seconds: float) -> dict[str, Any]:
    """Rates of one task at one batch size; with 1,024 copies on one thread, also against `CartPoleVectorEnv`."""
    envs = recsys_env.vector_env(task, num_envs, num_threads=threads, **overrides)
    envs.reset(seed=0)
    actions = actions_for(envs)
    for _ in range(100):  # past the first visits of the episode
        envs.step(actions)
    present = np.mean([(envs.step(actions)[4]["visitor"] >= 0).any(axis=1).mean() for _ in range(50)])
    read = envs._actions.read(actions)
    kernel = rate(lambda: envs._advance(read, mode=0), seconds) * num_envs
    vector = rate(lambda: envs.step(actions), seconds) * num_envs
    result: dict[str, Any] = (
        {}
        if (num_envs, threads) != (1024, 1)
        else {"of_CartPoleVectorEnv": ratio(lambda: envs.step(actions), many_cartpoles(), seconds / 3)}
    )
    return result | {
        "kernel_ticks": kernel,
        "ticks": vector,
        "pages": vector * present,
        "agent_steps": vector * envs.num_agents,
        "state_bytes_per_copy": sum(array.nbytes for array in envs.arrays) / num_envs,
        "report_bytes_per_copy": sum(array.nbytes for array in envs.report) / num_envs,
    }


def single(task: str, overrides: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Rates of the PettingZoo APIs, and the parallel one's against `CartPole-v1`."""
    env = recsys_env.parallel_env(task, **overrides)
    env.reset(seed=0)
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}

    def step() -> None:
        if not env.agents:
            env.reset()
        env.step(actions)

    aec = recsys_env.env(task, **overrides)
    aec.reset(seed=0)

    def cycle() -> None:
        if not aec.agents:
            aec.reset()
        for agent in aec.agents[:]:
            *_, terminated, truncated, _ = aec.last()
            aec.step(None if terminated or truncated else actions[agent])

    return {
        "parallel_ticks": rate(step, seconds),
        "aec_ticks": rate(cycle, seconds),
        "parallel_of_CartPole": ratio(step, cartpole(), seconds / 3),
    }


def many_cartpoles() -> Callable[[], Any]:
    """A step of Gymnasium's natively vectorised CartPole, 1,024 copies."""
    many = gymnasium.make_vec("CartPole-v1", num_envs=1024, vectorization_mode="vector_entry_point")
    many.reset(seed=0)
    pushes = np.random.default_rng(0).integers(0, 2, 1024)
    return lambda: many.step(pushes)


def cartpole() -> Callable[[], Any]:
    """A step of CartPole through `gymnasium.make`."""
    one = gymnasium.make("CartPole-v1")
    one.reset(seed=0)
    turn = [0]

    def step() -> None:
        turn[0] ^= 1
        _, _, terminated, truncated, _ = one.step(turn[0])
        if terminated or truncated:
            one.reset()

    return step


@numba.njit
def _hashes(n: int) -> np.uint64:
    z = np.uint64(1)
    total = np.uint64(0)
    for _ in range(n):
        z += np.uint64(0x9E3779B97F4A7C15)
        x = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        total ^= x ^ (x >> np.uint64(31))
    return total


@numba.njit
def _chase(order: np.ndarray, steps: int) -> int:
    at = 0
    for _ in range(steps):
        at = order[at]
    return at


def primitives() -> dict[str, float]:
    """Nanoseconds of what a step is made of."""
    from recsys_env.kernels.compiler import entry
    from recsys_env.kernels.numeric import exp

    @entry
    def exponentials(x: np.ndarray) -> float:
        total = 0.0
        for i in range(x.size):
            total += exp(x[i])
        return total

    buffer = np.zeros(1 << 22, np.float32)
    x = np.linspace(-5, 5, 100_000)
    cycle = np.random.default_rng(0).permutation(1 << 20)
    order = np.empty(1 << 20, np.int64)
    order[cycle] = np.roll(cycle, -1)
    return {
        "write_byte": 1e9 / (rate(lambda: buffer.fill(1.0), 0.2) * buffer.nbytes),
        "random_number": 1e9 / (rate(lambda: _hashes(100_000), 0.2) * 100_000),
        "exponential": 1e9 / (rate(lambda: exponentials(x), 0.2) * x.size),
        "cache_miss_8MB": 1e9 / (rate(lambda: _chase(order, 100_000), 0.2) * 100_000),
    }


def lower_bound(envs: VectorEnv, unit: dict[str, float]) -> dict[str, float]:
    """Nanoseconds per tick that the primitives of a page add up to, whatever the arithmetic costs."""
    shape = envs.shape
    written = 4.0 * shape.agents * envs.world.params["shape"]["observation"][0] + 40.0 * shape.agents * shape.slots
    draws = 8.0 + shape.agents * (shape.slots + 1.75 * shape.candidates)
    exps = shape.agents * (shape.slots + 3.0) + 2.0 * shape.topics + 4.0
    return {
        "write": written * unit["write_byte"],
        "random": draws * unit["random_number"],
        "exponentials": exps * unit["exponential"],
        # about four overlap
        "misses": (4.0 + (shape.candidates and shape.agents * shape.candidates / 8.0)) * unit["cache_miss_8MB"] / 4.0,
    }


def compile_times() -> dict[str, float]:
    """Seconds until the first step of a fresh process, without and with compiled code on disk."""
    script = (
        "import time; t = time.perf_counter(); import recsys_env; i = time.perf_counter() - t;"
        "e = recsys_env.vector_env('ecommerce-v1', 2); e.reset(seed=0); e.step(e.empty_actions());"
        "print(i, time.perf_counter() - t)"
    )
    import tempfile

    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            done = subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "NUMBA_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            times["import"], times[f"{name}_start"] = (float(word) for word in done.stdout.split())
    return times


def scale(seconds: float) -> dict[str, float]:
    """One copy of a small world against one million users times one million items, `items` actions."""
    result = {}
    for name, users, items in (("small", 8, 200), ("million", 10**6, 10**6)):
        envs = recsys_env.vector_env(
            "ecommerce-v1", 1, action="items", users={"number": users}, items={"number": items}
        )
        for array in (
            envs.arrays
        ):  # the first touch of a memory page costs the system's zeroing of it, which is not ours to time
            array.view(np.uint8).fill(0)
        start = time.perf_counter()
        envs.reset(seed=0)
        result[f"{name}_first_reset_us"] = 1e6 * (time.perf_counter() - start)
        rng = np.random.default_rng(0)
        pool = [envs._actions.read(rng.integers(0, items, (1, 2, 5))) for _ in range(997)]
        turn = [0]

        def step(envs: VectorEnv = envs, pool: list[np.ndarray] = pool, turn: list[int] = turn) -> None:
            turn[0] = (turn[0] + 1) % len(pool)
            envs._advance(pool[turn[0]], mode=0)

        result[f"{name}_step_us"] = 1e6 / rate(step, seconds)
        result[f"{name}_reset_us"] = 1e6 / rate(lambda envs=envs: envs.reset(), seconds)  # type: ignore[misc]
        result[f"{name}_state_GiB"] = sum(array.nbytes for array in envs.arrays) / 2**30
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="per timing window")
    parser.add_argument("--task", nargs="*", default=list(TASKS), help="the others keep what an earlier run stored")
    args = parser.parse_args()
    yard = {
        "CartPoleVectorEnv_1024": rate(many_cartpoles(), args.seconds) * 1024,
        "CartPole-v1": rate(cartpole(), args.seconds),
    }
    unit = primitives()
    print("yardsticks", yard, "\nprimitives (ns)", unit, flush=True)
    settings = {"seconds": args.seconds}
    rows: dict[str, Any] = earlier("speed", "tasks", settings)
    for label in args.task:
        task, overrides = TASKS[label]
        bound = lower_bound(recsys_env.vector_env(task, 1, **overrides), unit)
        rows[label] = {
            "source": provenance("benchmarks.speed"),
            "api": single(task, overrides, args.seconds),
            "lower_bound_ns": bound,
        }
        for threads in dict.fromkeys((1, numba.get_num_threads())):
            for num_envs in BATCHES:
                row = rows[label][f"B={num_envs} threads={threads}"] = batch(
                    task, overrides, num_envs, threads, args.seconds
                )
                print(
                    f"{label:26} B={num_envs:5} threads={threads}  "
                    + "  ".join(f"{k} {v:,.0f}" for k, v in row.items() if isinstance(v, float)),
                    flush=True,
                )
        of = [rows[label]["B=1024 threads=1"]["of_CartPoleVectorEnv"][1], rows[label]["api"]["parallel_of_CartPole"][1]]
        print(
            f"{label:26} {rows[label]['api']}  bound {sum(rows[label]['lower_bound_ns'].values()):.0f} ns/page  "
            f"{of[0]:.3f} of CartPoleVectorEnv  {of[1]:.2f} of CartPole-v1",
            flush=True,
        )
    large, starts = scale(args.seconds), compile_times()
    print("scale", large, "\nstarts (s)", starts)
    result = {"yardsticks": yard, "primitives_ns": unit, "tasks": rows, "scale": large, "starts_s": starts}
    print(store("speed", "benchmarks.speed", settings, result))


if __name__ == "__main__":
    main()
