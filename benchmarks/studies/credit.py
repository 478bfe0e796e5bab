"""Which pages should be credited for later rewards, and does a task need foresight at all?

    python -m benchmarks.studies.credit [--task social-v1] [--set horizon=400 ...] [--seeds 3] [--total-steps 2000000]

Trains the one-file PPO (`baselines.ppo_torch`) from the same seeds in three ways: with advantages along the pages of
each user slot, with advantages along ticks, and without foresight (gamma = 0). The result is individual reward per
agent and episode on unseen seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from baselines.algorithms import TorchPPO
from baselines.train import train
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from ..result_files import earlier, store

EPISODES = TorchPPO().final_episodes
KINDS: dict[str, dict[str, Any]] = {
    "user_slots": {},
    "ticks": {"credit": "ticks"},
    "myopic": {"gamma": 0.0},
}


def score(task: str, seed: int, total_steps: int, changes: tuple[str, ...], kind: str) -> float:
    """Individual reward per agent and episode of a team trained from this seed."""
    run: dict[str, Any] = {"device": "cpu", "compare": (), **KINDS[kind]}
    with tempfile.TemporaryDirectory() as folder:
        result = train(TorchPPO(task, set=changes, seed=seed, timesteps=total_steps, out=Path(folder), **run))
    return float(result["after"]["mean"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", default=["social-v1"])
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--total-steps", type=int, default=2_000_000)
    args = parser.parse_args()
    settings = {"seeds": args.seeds, "agent_steps": args.total_steps, "episodes": EPISODES, "set": args.set}
    tasks: dict[str, Any] = earlier("credit", "tasks", settings)
    for task in args.task:
        runs = {
            kind: np.array([score(task, seed, args.total_steps, tuple(args.set), kind) for seed in range(args.seeds)])
            for kind in KINDS
        }
        named = {**runs, "gain": runs["user_slots"] - runs["myopic"]}
        tasks[task] = {name: {**interval(values), "runs": values.tolist()} for name, values in named.items()}
        tasks[task]["source"] = provenance()
        print(task, tasks[task], flush=True)
    store("credit", settings, {"tasks": tasks})


if __name__ == "__main__":
    main()
