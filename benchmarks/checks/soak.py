"""Play a billion agent-steps of all tasks and of random worlds, and check the rules in every tick.

    python -m benchmarks.checks.soak [--steps 1e9] [--workers 2] [--chunk 5e6]

An agent-step is one agent's part in one tick of one copy. The steps are played in chunks with uniform random actions.
Chunks alternate between the tasks and random worlds, in which every field of the config is drawn from its range. The
number of a chunk determines everything in it, and `--only CHUNK` plays that chunk alone. Each chunk is stored as it
ends, and `--resume` plays those that a run that was cut off has not stored.

Every check of `rules.CHECKS` looks at every copy in every tick, unless its text says otherwise. It counts violations
and records the first.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numba
import numpy as np

from recsys_env import TASKS, VectorEnv, WorldConfig
from recsys_env.batch.base import copy_seed

from ..result_files import earlier, store
from .random_worlds import playable_world
from .rules import CHECKS, Watch

SEED = 1_000_000
TASK_COPIES, WORLD_COPIES = 1024, 256
WORLD_STEPS = 500_000  # agent-steps of one random world
REPLAYED = 40  # ticks that are played again in a batch of three


def joint_actions(envs: VectorEnv, rng: np.random.Generator) -> np.ndarray:
    """Uniform random actions [B, N, ...]."""
    space: Any = envs.action_space
    shape = (envs.num_envs, envs.num_agents, *space.shape)
    if envs.config.continuous:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    return rng.integers(0, space.nvec if space.shape else space.n, shape)


def play(config: WorldConfig, seed: int, num_envs: int, steps: float) -> tuple[Watch, int, list[Any]]:
    """Play about `steps` agent-steps. Returns the checks, the number of agent-steps, and the actions of the first
    ticks of three copies, each with what it returned."""
    envs, rng = VectorEnv(config, num_envs), np.random.default_rng(seed)
    envs.reset(seed=seed)
    watch, taken = Watch(envs), []
    ticks = int(np.ceil(steps / (num_envs * envs.num_agents)))
    for tick in range(ticks):
        watch.look()
        actions = joint_actions(envs, rng)
        envs.step(actions)
        watch.check(actions)
        if tick < REPLAYED:
            taken.append((actions[:3].copy(), reported(envs)))
    return watch, ticks * num_envs * envs.num_agents, taken


def reported(envs: VectorEnv) -> list[bytes]:
    """What the last step of the first three copies returned."""
    last = envs.report
    parts = last.observations, last.rewards, last.agents["next_visitor"], last.slots["item"], last.slots["clicked"]
    return [array[:3].tobytes() for array in parts]


def replay(config: WorldConfig, seed: int, taken: list[Any], threads: int) -> int:
    """Play three copies again in a batch of their own. Returns the number of ticks that differ."""
    envs, wrong = VectorEnv(config, 3, num_threads=threads), 0
    envs.reset(seed=[copy_seed(seed, b) for b in range(3)])
    for actions, before in taken:
        envs.step(actions)
        wrong += reported(envs) != before
    return wrong


def play_chunk(chunk: int, steps: float) -> dict[str, Any]:
    """Play one chunk: a task or several random worlds."""
    tasks, began = list(TASKS), time.perf_counter()
    seen: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
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
        watch, played, taken = play(config, seed, copies, size)
        if worlds == 0:
            threads = 2 if chunk % 10 == 1 and numba.config.NUMBA_NUM_THREADS > 1 else 1  # type: ignore[attr-defined]
            if differ := replay(config, seed, taken, threads):
                watch.wrong["replay"] = differ
        for name in watch.wrong:
            first.setdefault(name, {"chunk": chunk, "world": worlds, "seed": seed, **watch.first.get(name, {})})
        wrong, seen, total, worlds = wrong + watch.wrong, seen + watch.seen, total + played, worlds + 1
    return {
        "chunk": chunk,
        "world": label,
        "worlds": worlds,
        "agent_steps": total,
        "seconds": round(time.perf_counter() - began, 1),
        "violations": dict(wrong),
        "first": first,
        "seen": dict(seen),
    }


def summary(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Agent-steps by task, violations by check with the first of each, and how often each event was seen."""
    by_world: Counter[str] = Counter()
    violations, seen = Counter(dict.fromkeys(CHECKS, 0)), Counter[str]()
    first: dict[str, dict[str, int]] = {}
    for row in sorted(chunks, key=lambda row: row["chunk"]):
        by_world[row["world"]] += row["agent_steps"]
        violations.update(row["violations"])
        seen.update(row["seen"])
        first = {**row["first"], **first}
    return {
        "agent_steps": by_world.total(),
        "seconds": sum(row["seconds"] for row in chunks),
        "by_world": dict(by_world),
        "seen": dict(seen),
        "violations": dict(violations),
        "first_violation": first,
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['agent_steps']:,} agent-steps in {result['seconds']:,.0f} s of one process")
    print("  seen: " + ", ".join(f"{count:,} {name}" for name, count in result["seen"].items()))
    for name, count in result["violations"].items():
        said = f"  FIRST {result['first_violation'][name]}" if count else ""
        print(f"{count:8} {name}: {CHECKS[name]}{said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=float, default=1e9, help="total number of agent-steps")
    parser.add_argument("--chunk", type=float, default=5e6, help="agent-steps of one chunk")
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--only", type=int, help="play this chunk alone and store nothing")
    parser.add_argument("--resume", action="store_true", help="keep the stored chunks")
    args = parser.parse_args()
    if args.only is not None:
        show(summary([play_chunk(args.only, args.chunk)]))
        return
    settings = {"seed": SEED, "chunk_steps": args.chunk}
    rows = list(earlier("soak", "chunks", settings)) if args.resume else []
    there = {row["chunk"] for row in rows}
    waiting = [chunk for chunk in range(int(np.ceil(args.steps / args.chunk))) if chunk not in there]
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for row in pool.map(play_chunk, waiting, [args.chunk] * len(waiting)):
            rows.append(row)
            print(f"chunk {row['chunk']:4} {row['world']:16} {row['violations'] or 'nothing wrong'}", flush=True)
            store("soak", settings, {**summary(rows), "chunks": rows})
    show(summary(rows))


if __name__ == "__main__":
    main()
