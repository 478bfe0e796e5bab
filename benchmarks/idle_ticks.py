"""What does a learner gain by leaving ticks without a page out of its policy loss (`infos["active"]`)?

    python -m benchmarks.idle_ticks [--task journey-v1 ecommerce-v1] [--seeds 5] [--total-steps 1000000]

The one-file PPO with and without the mask, on the same seeds; own reward per agent and episode on unseen seeds. In
`journey-v1` two of three agents have no slot on any page, and idle ticks come on top.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from baselines.ppo_torch import Args, TorchPolicy, train
from recsys_env import task_config
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from .result_files import earlier, store

EPISODES = 100


def score(task: str, seed: int, total_steps: int, all_ticks: bool) -> float:
    """Own reward per agent and episode of a team trained from this seed."""
    config = task_config(task, {"mask_actions": True})
    agent, _ = train(Args(task, total_steps, seed=seed, all_ticks=all_ticks), config)
    return float(episode_returns(config, {name: TorchPolicy(agent) for name in config.agents}, EPISODES, UNSEEN).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", default=["journey-v1", "ecommerce-v1"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--total-steps", type=int, default=1_000_000)
    args = parser.parse_args()
    settings = {"seeds": args.seeds, "agent_steps": args.total_steps, "episodes": EPISODES}
    tasks: dict[str, Any] = earlier("idle_ticks", "tasks", settings)
    for task in args.task:
        masked, plain = (
            np.array([score(task, seed, args.total_steps, all_ticks) for seed in range(args.seeds)])
            for all_ticks in (False, True)
        )
        named = {"active ticks": masked, "all ticks": plain, "gain": masked - plain}
        tasks[task] = {name: {**interval(values), "runs": values.tolist()} for name, values in named.items()}
        tasks[task]["source"] = provenance("benchmarks.idle_ticks")
        print(task, tasks[task], flush=True)
    store("idle_ticks", "benchmarks.idle_ticks", settings, {"tasks": tasks})


if __name__ == "__main__":
    main()
