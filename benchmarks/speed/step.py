"""How long a step takes, in each task, through each interface, and as the world grows.

    python -m benchmarks.speed.step                     # everything, on one core: an hour, with nothing else running
    python -m benchmarks.speed.step --tasks duel-v1     # some tasks; the others keep their stored rows
    python -m benchmarks.speed.step --tasks             # no task: only growth and starts
    python -m benchmarks.speed.step --rounds 5          # a quick look

A tick is one step of one copy, and a page is a tick with a visitor. A batch of B copies makes B ticks per step, and
ticks/s counts these. The copies of a batch are spread over all ticks of an episode, so that its mean is measured; a
single copy plays through them. Each copy repeats one uniform random action that was drawn before. Compile time is not
included. `kernel` is the compiled call alone, `step` is all of `vector_env.step`, and `parallel` and `aec` are the
PettingZoo environments.

Each figure is the median over windows of a few milliseconds, with its quartiles, in processor time of the thread. When
two things are compared, their windows alternate and the figure is the median of the ratios
(`benchmarks.speed.windows`). Two threads are measured in wall-clock time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numba
import numpy as np

import recsys_env
from recsys_env import TASKS, VectorEnv, WorldConfig, replace
from recsys_env.batch.base import CpuBatch
from recsys_env.batch.vector import chunks
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .windows import WINDOW, Call, quartiles, take_turns

BATCHES = (1, 64, 1024, 4096)
MEMORY = 8e9  # bytes of a batch's state; two are held at once
THREADED = (64, 256, 1024, 4096)
STARTS = 5  # number of fresh processes
# Worlds like those of other packages, to run both side by side: one recommender that names items, users who always
# come, and nothing after the click.
_SIMPLE = replace(WorldConfig(num_agents=1, action="items"), {"arrival": {"r_0": 50.0}})
LIKE: dict[str, WorldConfig] = {
    "ng_like": replace(_SIMPLE, {"slots": 2, "items": {"number": 100, "topics": 2}}),
    "slate10_like": replace(_SIMPLE, {"slots": 10, "items": {"number": 1000}}),
}
# Sizes of ecommerce-v1 that vary one at a time.
GROWTH: dict[str, tuple[str, tuple[int, ...]]] = {
    "users": ("users.number", (100, 10_000, 1_000_000)),
    "items": ("items.number", (100, 10_000, 1_000_000)),
    "candidates": ("candidates.number", (10, 20, 40, 80, 160)),
    "slots": ("slots", (1, 2, 5, 10, 20)),
    "agents": ("num_agents", (1, 2, 4, 8)),
    "topics": ("items.topics", (3, 10, 30)),
    "dims": ("items.dims", (8, 16, 32, 64)),
}
Quartiles = list[float]


# ------------------------------------------------------------------------------------------------ what is measured


def games() -> dict[str, tuple[str | WorldConfig, dict[str, Any]]]:
    """label -> the arguments of `vector_env`: every task with every kind of action, its own first, and then the worlds
    of `LIKE`."""
    found: dict[str, tuple[str | WorldConfig, dict[str, Any]]] = {}
    for task, config in TASKS.items():
        for action in dict.fromkeys((config.action, "candidates", "items", "query", "weights")):
            try:
                recsys_env.task_config(task, {"action": action})
            except ValueError:  # such as `candidates` without any
                continue
            found[f"{task} {action}"] = task, {"action": action}
    return {**found, **{name: (config, {}) for name, config in LIKE.items()}}


def started(
    world: str | WorldConfig,
    overrides: dict[str, Any],
    num_envs: int,
    threads: int = 1,
    specialize: bool | Literal["auto"] = "auto",
) -> VectorEnv:
    """A batch whose copies are spread evenly over the ticks of an episode.

    The first copies are farthest. All are in the state that `actions_for` leads to from the start of an episode. This
    matters because ticks take longer early in an episode, when most people still come.
    """
    settings: dict[str, Any] = {"num_threads": threads, "specialize": specialize, "copy": False}
    envs = recsys_env.vector_env(world, num_envs, **settings, **overrides)
    envs.reset(seed=0)
    read, all_copies = envs._actions.read(actions_for(envs)), envs._starts
    ticks = envs.config.horizon * np.arange(num_envs - 1, -1, -1) // num_envs
    for tick in range(ticks[0]):
        envs._starts = chunks(int(np.count_nonzero(ticks > tick)), threads)
        envs._tick(read)
    envs._starts = all_copies
    envs.look()
    return envs


def affordable(world: str | WorldConfig, overrides: dict[str, Any], wanted: tuple[int, ...]) -> list[int]:
    """The numbers of copies whose state, as it is after an episode, fits into `MEMORY`."""
    envs = recsys_env.vector_env(world, 1, **overrides)
    envs.reset(seed=0)
    for _ in range(envs.config.horizon):
        envs.step(envs.empty_actions())
    each = sum(array.nbytes for array in envs.arrays)
    return [copies for copies in wanted if copies * each <= MEMORY]


def actions_for(envs: CpuBatch) -> np.ndarray:
    """Uniform random actions of a batch, the same in every call."""
    draw, space = np.random.default_rng(0), envs.action_space
    actions = envs.empty_actions()
    if isinstance(space, gymnasium.spaces.Box):
        actions[...] = draw.uniform(-1, 1, actions.shape)
    else:
        actions[...] = draw.integers(0, getattr(space, "nvec", getattr(space, "n", 1)), actions.shape)
    return actions


def pages(envs: VectorEnv) -> float:
    """Share of ticks with a visitor."""
    actions = actions_for(envs)
    return float(np.mean([(envs.step(actions)[4]["visitor"] >= 0).any(axis=1).mean() for _ in range(50)]))


def batch(world: str | WorldConfig, overrides: dict[str, Any], num_envs: int, rounds: int) -> dict[str, Any]:
    """Nanoseconds per copy of the compiled call, of `step` and of `state()`, and `state()` as a share of a step. With
    1,024 copies also the rate as a share of `CartPoleVectorEnv`'s."""
    envs = started(world, overrides, num_envs)
    actions = actions_for(envs)
    read = envs._actions.read(actions)
    calls: dict[str, Call] = {
        "kernel": lambda: envs._tick(read),
        "step": lambda: envs.step(actions),
        "state": envs.state,
    }
    if num_envs == 1024:
        calls["yard"] = many_cartpoles()
    found = take_turns(calls, rounds)
    row: dict[str, Any] = {f"{name}_ns": quartiles(found[name] / num_envs) for name in ("kernel", "step", "state")}
    row["state_of_step"] = quartiles(found["state"] / found["step"])
    if "yard" in found:
        row["of_CartPoleVectorEnv"] = quartiles(found["yard"] / found["step"])
    row["pages"] = pages(envs)
    row["state_bytes_per_copy"] = sum(array.nbytes for array in envs.arrays) / num_envs
    return row


def own_code(world: str | WorldConfig, overrides: dict[str, Any], rounds: int) -> Quartiles:
    """How many times as fast 64 copies are with code of this world's own as with the code for all worlds."""
    calls: dict[str, Call] = {}
    for name, specialize in (("all", False), ("own", True)):
        envs = started(world, overrides, 64, specialize=specialize)
        actions = actions_for(envs)
        calls[name] = lambda envs=envs, actions=actions: envs.step(actions)  # type: ignore[misc]
    found = take_turns(calls, rounds)
    return quartiles(found["all"] / found["own"])


def threads(world: str | WorldConfig, overrides: dict[str, Any], rounds: int) -> dict[str, Quartiles]:
    """How many times as fast two threads are as one, by number of copies."""
    found = {}
    for num_envs in affordable(world, overrides, THREADED):
        one, two = (started(world, overrides, num_envs, count) for count in (1, 2))
        actions = actions_for(one)
        # default arguments bind the batches of this iteration
        calls: dict[str, Call] = {
            "one": lambda envs=one, actions=actions: envs.step(actions),  # type: ignore[misc]
            "two": lambda envs=two, actions=actions: envs.step(actions),  # type: ignore[misc]
        }
        rates = take_turns(calls, rounds, time.perf_counter_ns)
        found[str(num_envs)] = quartiles(rates["one"] / rates["two"])
    return found


def interfaces(world: str | WorldConfig, overrides: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Nanoseconds of a tick through PettingZoo's two interfaces, and the rate as a share of `CartPole-v1`'s."""
    env, aec = recsys_env.parallel_env(world, **overrides), recsys_env.env(world, **overrides)
    env.reset(seed=0)
    aec.reset(seed=0)
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}

    def step() -> None:
        if not env.agents:
            env.reset()
        env.step(actions)

    def cycle() -> None:
        if not aec.agents:
            aec.reset()
        for agent in aec.agents[:]:
            *_, terminated, truncated, _ = aec.last()
            aec.step(None if terminated or truncated else actions[agent])

    found = take_turns({"parallel": step, "aec": cycle, "yard": cartpole()}, rounds)
    return {
        **{f"{name}_ns": quartiles(found[name]) for name in ("parallel", "aec")},
        **{f"{name}_of_CartPole": quartiles(found["yard"] / found[name]) for name in ("parallel", "aec")},
    }


def many_cartpoles() -> Call:
    """A step of Gymnasium's natively vectorised CartPole with 1,024 copies."""
    many = gymnasium.make_vec("CartPole-v1", num_envs=1024, vectorization_mode="vector_entry_point")
    many.reset(seed=0)
    pushes = np.random.default_rng(0).integers(0, 2, 1024)
    return lambda: many.step(pushes)


def cartpole() -> Call:
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


# ------------------------------------------------------------------------------------------------ growth, starts


def growth(rounds: int) -> dict[str, dict[str, Quartiles]]:
    """Nanoseconds per tick of the compiled call in one copy of ecommerce-v1, by the size that varies and its values."""
    found: dict[str, dict[str, Quartiles]] = {}
    for name, (field, values) in GROWTH.items():
        found[name] = {}
        for value in values:
            envs = wandering(nested(field, value))
            found[name][str(value)] = quartiles(take_turns({"": envs}, rounds)[""])
            print(f"growth with {name} = {value}: {found[name][str(value)][1]:,.0f} ns", flush=True)
    return found


def nested(field: str, value: int) -> dict[str, Any]:
    """The override of a field, such as "users.number"."""
    part, _, inner = field.partition(".")
    return {part: {inner: value}} if inner else {part: value}


def wandering(overrides: dict[str, Any]) -> Call:
    """A tick of one copy of ecommerce-v1 with different actions each time, after all its users and items are in
    memory, and rows for those who come in an episode."""
    envs = recsys_env.vector_env("ecommerce-v1", 1, **overrides)
    for array in envs.arrays:  # the system zeroes a memory page at its first touch, which is not ours to time
        array.view(np.uint8).fill(0)
    envs.reset(seed=0)
    draw, highest, shape = np.random.default_rng(0), envs._actions.highest, envs.empty_actions().shape
    drawn = draw.integers(0, highest + 1, (997, envs.num_agents, highest.size))
    pool = [envs._actions.read(actions.reshape(shape)) for actions in drawn]
    turn = [0]

    def tick() -> None:
        turn[0] = (turn[0] + 1) % len(pool)
        envs._tick(pool[turn[0]])

    for _ in range(envs.config.horizon):
        tick()
    return tick


def million(rounds: int) -> dict[str, Quartiles]:
    """How many times as long a tick takes with a million users and items as with 8 and 200, by kind of action."""
    found = {}
    for action in ("candidates", "items"):
        sizes = (("small", 8, 200), ("large", 10**6, 10**6))
        calls = {
            name: wandering({"action": action, "users": {"number": users}, "items": {"number": items}})
            for name, users, items in sizes
        }
        rates = take_turns(calls, 4 * rounds)  # they vary much with where in their episodes both are
        found[action] = quartiles(rates["large"] / rates["small"])
    return found


def starts() -> dict[str, float]:
    """Median seconds of a fresh process until the package is imported and until the first step, without and with
    compiled code on disk."""
    script = (
        "import time; t = time.perf_counter(); import recsys_env; i = time.perf_counter() - t;"
        "e = recsys_env.vector_env('ecommerce-v1', 2); e.reset(seed=0); e.step(e.empty_actions());"
        "print(i, time.perf_counter() - t)"
    )
    times: dict[str, list[float]] = {"import": [], "first": [], "second": []}
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("first", "second"):
                environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
                done = subprocess.run(
                    [sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8", check=True
                )
                imported, stepped = (float(word) for word in done.stdout.split())
                times[name].append(stepped)
            times["import"].append(imported)
    return {name: float(np.median(seconds)) for name, seconds in times.items()}


# ------------------------------------------------------------------------------------------------ aims


def aims(tasks: Mapping[str, Any], million: Mapping[str, Quartiles], starts: Mapping[str, float]) -> list[list[Any]]:
    """[what, aim, measured, whether it is met] of each aim whose task has been measured."""

    def rate(label: str, key: str = "step_ns", copies: int = 1024) -> float:
        return 1e9 / tasks[label][f"B={copies}"][key][1]

    def share(label: str) -> float:
        return float(tasks[label]["B=1024"]["of_CartPoleVectorEnv"][1])

    def alone(label: str) -> float:
        return float(tasks[label]["interfaces"]["parallel_of_CartPole"][1])

    own = [label for label in tasks if label in {f"{task} {config.action}" for task, config in TASKS.items()}]

    def slowest_alone() -> float:
        return min(alone(label) for label in own)

    def of_step(copies: int) -> float:
        return max(tasks[label][f"B={copies}"]["state_of_step"][1] for label in own)

    def faster_by_own_code() -> float:
        return sum(tasks[label]["own_code"][1] >= 1.2 for label in own)

    rows: list[tuple[str, str, Callable[[], float], bool]] = [
        ("duel-v1, 1,024 copies ÷ CartPoleVectorEnv", "0.50", lambda: share("duel-v1 items"), True),
        ("ecommerce-v1, items ÷ the same", "0.30", lambda: share("ecommerce-v1 items"), True),
        ("ecommerce-v1, candidates ÷ the same", "0.10", lambda: share("ecommerce-v1 candidates"), True),
        ("social-v1, candidates ÷ the same", "0.06", lambda: share("social-v1 candidates"), True),
        ("streaming-v1, candidates ÷ the same", "0.06", lambda: share("streaming-v1 candidates"), True),
        ("coldstart-v1, ticks/s", "540000", lambda: rate("coldstart-v1 candidates"), True),
        ("news-v1, ticks/s", "753000", lambda: rate("news-v1 candidates"), True),
        ("grocery-v1, ticks/s", "268000", lambda: rate("grocery-v1 candidates"), True),
        ("ng_like, pages/s of the compiled call", "10000000", lambda: rate("ng_like", "kernel_ns"), True),
        ("a million users and items ÷ 8 and 200, candidates", "2", lambda: million["candidates"][1], False),
        ("parallel_env of duel-v1 ÷ CartPole-v1", "1", lambda: alone("duel-v1 items"), True),
        ("parallel_env of ecommerce-v1 ÷ the same", "1", lambda: alone("ecommerce-v1 candidates"), True),
        ("parallel_env of the slowest task measured ÷ the same", "0.8", slowest_alone, True),
        ("state() ÷ step, 64 copies, the most of any task measured", "0.25", lambda: of_step(64), False),
        ("state() ÷ step, 1,024 copies, likewise", "0.25", lambda: of_step(1024), False),
        ("tasks whose 64 copies are 1.2 times as fast by code of their own", "6", faster_by_own_code, True),
        ("first start, s", "25", lambda: starts["first"], False),
        ("second start, s", "1", lambda: starts["second"], False),
    ]  # fmt: skip
    found: list[list[Any]] = []
    for what, aim, measure, at_least in rows:
        try:
            value = measure()
        except (KeyError, ValueError):  # not measured, or of no task
            continue
        found.append([what, float(aim), value, value >= float(aim) if at_least else value <= float(aim)])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25, help="windows of each figure")
    parser.add_argument("--tasks", nargs="*", help="tasks, ng_like and slate10_like to measure; default: all")
    args = parser.parse_args()
    rounds, settings = args.rounds, {"rounds": args.rounds, "window_s": WINDOW}
    tasks: dict[str, Any] = earlier("speed", "tasks", settings)
    result: dict[str, Any] = {name: earlier("speed", name, settings) for name in ("growth_ns", "million", "starts_s")}
    result["tasks"] = tasks
    for label, (world, overrides) in games().items():
        task, _, action = label.partition(" ")
        if args.tasks is not None and task not in args.tasks:
            continue
        row: dict[str, Any] = {"source": provenance()}
        batches = affordable(world, overrides, BATCHES)
        for num_envs in batches:
            row[f"B={num_envs}"] = batch(world, overrides, num_envs, rounds)
        if task in TASKS and action == TASKS[task].action:
            row["interfaces"] = interfaces(world, overrides, rounds)
            row["own_code"] = own_code(world, overrides, rounds)
            if numba.get_num_threads() > 1:
                row["two_threads"] = threads(world, overrides, rounds)
        tasks[label] = row
        _store(settings, result)  # after each row, as all of them take long
        ticks = ", ".join(f"B={n} {1e9 / row[f'B={n}']['step_ns'][1]:,.0f}" for n in batches)
        print(
            f"{label}: ticks/s {ticks}; {row['B=1024']['of_CartPoleVectorEnv'][1]:.3f} of CartPoleVectorEnv", flush=True
        )
    if not args.tasks:
        result |= {"growth_ns": growth(rounds), "million": million(rounds), "starts_s": starts()}
    path = _store(settings, result)
    for what, aim, value, met in result["aims"]:
        print(f"{what}: {value:,.2f}, aim {aim:,g} {'met' if met else 'missed'}")
    print(path)


def _store(settings: dict[str, Any], result: dict[str, Any]) -> Path:
    """Store what has been measured so far, and which aims it meets."""
    result["aims"] = aims(result["tasks"], result["million"], result["starts_s"])
    return store("speed", settings, result)


if __name__ == "__main__":
    main()
