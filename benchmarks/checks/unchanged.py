"""Check that the game plays exactly as before, by digests of what tasks and random worlds return.

    python -m benchmarks.checks.unchanged                # compare with the stored digests: after any change of kernels
    NUMBA_BOUNDSCHECK=1 python -m benchmarks.checks.unchanged  # check array bounds as well
    python -m benchmarks.checks.unchanged --store        # store new digests: after an intended change of the game

Each task is played with every kind of action for 100,000 ticks over its copies, and each random world for some hundred,
with random actions. One digest covers the bytes of all observations, rewards and infos, and another the global states.
If both are equal, all stored results stay valid. If only the states differ, all stay valid except those of learners
with a central critic.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from recsys_env import TASKS, VectorEnv, WorldConfig, task_config
from recsys_env.files import read_json
from recsys_env.world.build import build

from ..result_files import RESULTS, store
from .random_worlds import random_world

COPIES, TICKS, SEED = 50, 2_000, 20261127
WORLDS, WORLD_COPIES, WORLD_TICKS = 300, 5, 100
ACTIONS = ("candidates", "items", "query", "weights")


def games() -> Iterator[tuple[str, WorldConfig]]:
    """(name, config) of every task with every kind of action that it can be played with."""
    for task in TASKS:
        own = task_config(task, {})
        yield task, own
        for action in ACTIONS:
            if action != own.action:
                try:
                    yield f"{task}, {action}", task_config(task, {"action": action})
                except ValueError:  # such as `candidates` without any
                    continue


def worlds() -> Iterator[tuple[str, WorldConfig]]:
    """(name, config) of the random worlds whose roles all have something to show."""
    for seed in range(WORLDS):
        config = random_world(np.random.default_rng(seed))
        try:
            build(config)
        except ValueError:
            continue
        yield f"random world {seed}", config


def drawn(envs: VectorEnv, bits: np.random.PCG64) -> np.ndarray:
    """Random actions [B, N, ...]. The raw bits are the same in every version of NumPy."""
    actions = envs.empty_actions()
    raw = bits.random_raw(actions.size).reshape(actions.shape)
    if isinstance(envs.action_space, Box):
        actions[...] = (raw >> np.uint64(11)) / 2.0**52 - 1.0
    else:
        sizes = getattr(envs.action_space, "nvec", getattr(envs.action_space, "n", 0))
        actions[...] = raw % np.asarray(sizes, np.uint64)
    return actions


def digests(config: WorldConfig, copies: int, ticks: int) -> dict[str, str]:
    """SHA-256 of everything that some ticks of some copies return (`play`) and of the states between them
    (`states`)."""
    envs, bits, told, states = VectorEnv(config, copies), np.random.PCG64(SEED), hashlib.sha256(), hashlib.sha256()

    def take_down(results: Any) -> None:
        if isinstance(results, tuple):
            for result in results:
                take_down(result)
        elif isinstance(results, Mapping):  # observations with masks, infos
            for name in sorted(results):  # the last observations mean something only where an episode has ended
                take_down(results[name][envs.truncated] if name.startswith("final_") else results[name])
        else:
            told.update(results.tobytes())

    take_down(envs.reset(seed=SEED))
    for _ in range(ticks):
        take_down(envs.step(drawn(envs, bits)))
        states.update(envs.state().tobytes())
    return {"play": told.hexdigest(), "states": states.hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="store the digests and replace the earlier ones")
    to_store = parser.parse_args().store
    path = RESULTS / "unchanged.json"
    before = read_json(path)["digests"] if path.is_file() and not to_store else {}
    found, changed = {}, []
    for listed, copies, ticks in ((games(), COPIES, TICKS), (worlds(), WORLD_COPIES, WORLD_TICKS)):
        for name, config in listed:
            found[name] = digests(config, copies, ticks)
            of = [kind for kind, digest in found[name].items() if before.get(name, {}).get(kind) != digest]
            if of and not to_store:
                changed.append(name)
                print(f"changed: {' and '.join(of)} of {name}", flush=True)
    if to_store:
        settings = {"copies": COPIES, "ticks": TICKS, "world_copies": WORLD_COPIES, "world_ticks": WORLD_TICKS}
        print(store("unchanged", settings, {"digests": found}))
    else:
        print(f"{len(found) - len(changed)} of {len(found)} games play as they did")
        sys.exit(bool(changed))


if __name__ == "__main__":
    main()
