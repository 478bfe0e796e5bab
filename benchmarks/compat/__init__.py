"""Whether each trainer library and each extra installs and works, and what their algorithms learn on one small task.

`python -m benchmarks.compat.table` makes an environment for each of them and stores the table. `python -m
benchmarks.compat.LIBRARY [ALGORITHM ...]` trains the algorithms of one library that is installed here. Its module holds
`ALGORITHMS` and `train(algorithm, device, seed) -> {"agent_steps", "seconds", "before", "after"}`: the rewards per
agent and tick of `duel-v1` as the team of `DILEMMA`, untrained and trained.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from recsys_env import task_config
from recsys_env.cli import assignments
from recsys_env.evaluation import episode_returns

TASK = "duel-v1"
# Moods follow the last clicked item at once. A team has to learn which item to show and not when, so seconds of
# training tell whether a library learns. Exact rewards per agent and tick of constant strategies: Y against
# X .409, both X .384, both Y .289, X against Y .151; random play .285.
DILEMMA = (
    "choice.beta_bait=1.0",
    "choice.v_0_by_mood=(-0.5, 0.5, 1.5)",
    "dynamics.mood_up=(0.3, 0.0)",
    "dynamics.mood_down=(0.0, 0.4)",
    "dynamics.mood_up_none=0.1",
    "dynamics.mood_down_none=0.0",
)
TEAM = assignments((*DILEMMA, "reward.sharing=1.0"))
LEARNED = 0.33  # the reward above which an algorithm has learned, between random play and both X


def untrained(ticks: int = 300) -> float:
    """Mean reward per agent and tick of random play."""
    return float(
        episode_returns(task_config(TASK, {**TEAM, "horizon": ticks}), "random", episodes=64, seed=1_000_003).mean()
        / ticks
    )


def main(train: Callable[[str, str, int], dict[str, Any]], algorithms: Sequence[str]) -> None:
    """Train each algorithm and print one JSON line of it: of the first seed with which it learns, or of the last.

    To show Y is a best reply to Y here, so an algorithm that works may still end there with some seed.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("algorithm", nargs="*", default=list(algorithms))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    for algorithm in args.algorithm:
        for seed in args.seeds:
            row = {"algorithm": algorithm, "seed": seed, **train(algorithm, args.device, seed)}
            row["learned"] = row["after"] > LEARNED
            if row["learned"]:
                break
        print(json.dumps(row), flush=True)
