"""Play a billion agent-steps of all tasks and of random worlds, and check the rules in every tick.

    python -m benchmarks.checks.soak [--steps 1e9] [--workers 2] [--chunk 5e6]

An agent-step is one agent's part in one tick of one copy. The steps are played in chunks with uniform random actions.
Chunks alternate between the tasks and random worlds, in which every field of the config is drawn from its range. The
number of a chunk determines everything in it. A run resumes where an earlier one of the same kernels stopped, and
stores its result after each chunk.

Every check of `rules.CHECKS` looks at every copy in every tick, unless its text says otherwise. It counts violations
and records the first. `--only CHUNK` plays that chunk again.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

import numba
import numpy as np

from recsys_env import TASKS, VectorEnv, WorldConfig
from recsys_env.batch.base import copy_seed

from ..ages import code
from ..result_files import earlier, store
from .random_worlds import playable_world
from .rules import CHECKS, NAMES, REPLAY, TALLY, Books, Watch

SEED = 1_000_000
TASK_COPIES, WORLD_COPIES = 1024, 256
WORLD_STEPS = 500_000  # agent-steps of one random world
REPLAYED = 40  # ticks that are played again in a batch of three

# ------------------------------------------------------------------------------------------------ playing


def joint_actions(envs: VectorEnv, rng: np.random.Generator) -> np.ndarray:
    """Uniform random actions [B, N, ...]."""
    space: Any = envs.action_space
    shape = (envs.num_envs, envs.num_agents, *space.shape)
    if envs.config.continuous:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    return rng.integers(0, space.nvec if space.shape else space.n, shape)


def play(
    config: WorldConfig, seed: int, num_envs: int, steps: float
) -> tuple[Books, int, list[np.ndarray], list[tuple[np.ndarray, ...]]]:
    """Play about `steps` agent-steps. Returns the books, the number of agent-steps, and the first actions of three
    copies with what they returned."""
    envs, rng = VectorEnv(config, num_envs), np.random.default_rng(seed)
    envs.reset(seed=seed)
    watch = Watch(envs)
    ticks = int(np.ceil(steps / (num_envs * envs.num_agents)))
    taken: list[np.ndarray] = []
    brought: list[tuple[np.ndarray, ...]] = []
    for tick in range(ticks):
        watch.look()
        actions = joint_actions(envs, rng)
        envs.step(actions)
        watch.check(actions, tick)
        if tick < REPLAYED:
            taken.append(actions[:3].copy())
            brought.append(reported(envs, 3))
    return watch.books, ticks * num_envs * envs.num_agents, taken, brought


def reported(envs: VectorEnv, copies: int) -> tuple[np.ndarray, ...]:
    last = envs.report
    return tuple(
        array[:copies].copy()
        for array in (
            last.observations,
            last.rewards,
            last.agents["next_visitor"],
            last.slots["item"],
            last.slots["clicked"],
        )
    )


def replay(
    config: WorldConfig, seed: int, taken: list[np.ndarray], brought: list[tuple[np.ndarray, ...]], threads: int
) -> int:
    """Play three copies again in a batch of their own. Returns the number of ticks that differ."""
    envs = VectorEnv(config, 3, num_threads=threads)
    envs.reset(seed=[copy_seed(seed, b) for b in range(3)])
    wrong = 0
    for actions, before in zip(taken, brought, strict=True):
        envs.step(actions)
        wrong += any(a.tobytes() != b.tobytes() for a, b in zip(reported(envs, 3), before, strict=True))
    return wrong


def play_chunk(chunk: int, steps: float) -> dict[str, Any]:
    """Play one chunk: a task or several random worlds."""
    tasks, began = list(TASKS), time.perf_counter()
    counts, wrong = np.zeros(len(TALLY), np.int64), np.zeros(len(CHECKS), np.int64)
    first: dict[str, dict[str, int]] = {}
    total = worlds = 0
    while total < steps:
        seed = SEED + 1000 * chunk + worlds
        if chunk % 2 == 0:
            label = tasks[chunk // 2 % len(tasks)]
            config, size = TASKS[label], steps
            copies = 128 if config.catalogue else TASK_COPIES
        else:
            label, config = "random worlds", playable_world(np.random.default_rng(seed))
            copies, size = WORLD_COPIES, min(steps, WORLD_STEPS)
        books, played, taken, brought = play(config, seed, copies, size)
        if worlds == 0:
            threads = 2 if chunk % 10 == 1 and numba.config.NUMBA_NUM_THREADS > 1 else 1  # type: ignore[attr-defined]
            books.wrong[REPLAY] += replay(config, seed, taken, brought, threads)
        for i in np.flatnonzero(books.wrong).tolist():
            tick, copy, agent = books.first[i].tolist()
            first.setdefault(
                NAMES[i], {"chunk": chunk, "world": worlds, "seed": seed, "tick": tick, "copy": copy, "agent": agent}
            )
        wrong, counts, total, worlds = wrong + books.wrong, counts + books.tally, total + played, worlds + 1
    return {
        "chunk": chunk,
        "world": label,
        "worlds": worlds,
        "agent_steps": total,
        "seconds": round(time.perf_counter() - began, 1),
        "violations": {name: int(count) for name, count in zip(NAMES, wrong, strict=True) if count},
        "first": first,
        "tally": dict(zip(TALLY, counts.tolist(), strict=True)),
    }


# ------------------------------------------------------------------------------------------------ result


def summary(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals by task, violations by check with the first of each, and how often each event was seen."""
    by_world: dict[str, dict[str, float]] = {}
    violations, tally = dict.fromkeys(NAMES, 0), dict.fromkeys(TALLY, 0)
    first: dict[str, dict[str, int]] = {}
    for row in sorted(chunks, key=lambda row: row["chunk"]):
        at = by_world.setdefault(row["world"], {"agent_steps": 0, "worlds": 0, "seconds": 0.0})
        for name in at:
            at[name] = round(at[name] + row[name], 1)
        for name, count in row["violations"].items():
            violations[name] += count
            first.setdefault(name, row["first"][name])
        for name, count in row["tally"].items():
            tally[name] += count
    return {
        "agent_steps": sum(row["agent_steps"] for row in chunks),
        "by_world": by_world,
        "seen": tally,
        "checks": dict(CHECKS),
        "violations": violations,
        "first_violation": first,
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['agent_steps']:,} agent-steps")
    for world, row in result["by_world"].items():
        rate = row["agent_steps"] / max(row["seconds"], 0.1)
        print(
            f"  {world:16} {row['agent_steps']:14,} in {row['worlds']:5} worlds, {rate:10,.0f} per second and process"
        )
    print("  seen: " + ", ".join(f"{count:,} {name}" for name, count in result["seen"].items()))
    for name, count in result["violations"].items():
        print(
            f"{count:8} {name}: {result['checks'][name]}"
            + (f"  FIRST {result['first_violation'][name]}" if count else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=float, default=1e9, help="total number of agent-steps")
    parser.add_argument("--chunk", type=float, default=5e6, help="agent-steps of one chunk")
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no chunk after this time")
    parser.add_argument("--only", type=int, help="play this chunk alone and store nothing")
    parser.add_argument("--out", default="soak", help="name of the result in benchmarks/results")
    args = parser.parse_args()
    if args.only is not None:
        show(summary([play_chunk(args.only, args.chunk)]))
        return
    settings = {"seed": SEED, "chunk_steps": args.chunk, "code": code("kernels")}
    deadline = time.monotonic() + args.seconds
    chunks = {row["chunk"]: row for row in earlier(args.out, "chunks", settings)}
    waiting = [chunk for chunk in range(int(np.ceil(args.steps / args.chunk))) if chunk not in chunks]
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        running: set[Any] = set()
        while running or (waiting and time.monotonic() < deadline):
            while waiting and len(running) < args.workers and time.monotonic() < deadline:
                running.add(pool.submit(play_chunk, waiting.pop(0), args.chunk))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                row = future.result()
                chunks[row["chunk"]] = row
                rate = row["agent_steps"] / row["seconds"]
                print(
                    f"chunk {row['chunk']:4} {row['world']:16} {rate:10,.0f} per second  "
                    f"{row['violations'] or 'nothing wrong'}",
                    flush=True,
                )
                rows = [chunks[chunk] for chunk in sorted(chunks)]
                store(args.out, settings, {**summary(rows), "chunks": rows})
    show(summary(list(chunks.values())))
    print(f"{len(waiting)} chunks left")


if __name__ == "__main__":
    main()
