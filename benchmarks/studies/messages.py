"""Do messages help an agent that lacks what its teammate knows?

    python -m benchmarks.studies.messages [--seeds 5] [--total-steps 1500000]

The task is a small `journey-v1`: 12 items in 6 topics that are named directly, two slots, a vocabulary of 6. The
entrance sees the visitor's profile. The item page and the cart page see no profile, no history and not the item that
led there, and are paid for clicks as a team. The one-file PPO (`baselines.ppo_torch`) trains this team twice: with
messages, and with messages that nobody hears. The action space is the same in both.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baselines.algorithms import TorchPPO
from baselines.train import train
from recsys_env import WorldConfig, register_task, task_config
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval

from .study import measure, options

EPISODES = TorchPPO().final_episodes
TASKS = {True: "messages-heard-v0", False: "messages-cut-v0"}
BLIND = ("profile", "anchor", "clicked_mean", "topic_counts")


def preset(hear: bool) -> WorldConfig:
    """The task, with messages that are heard or not."""
    deaf = () if hear else ("messages",)
    pay = {"click": 1.0}
    roles: list[dict[str, Any]] = [
        {"name": "entrance", "scene": "entrance", "rewards": {"click": 0.1}, "hidden": deaf},
        {"name": "item", "scene": "item", "rewards": pay, "hidden": BLIND + deaf},
        {"name": "cart", "scene": "cart", "rewards": pay, "hidden": BLIND + deaf},
    ]
    changes = {
        "action": "items",
        "slots": 2,
        "messages": 6,
        "horizon": 500,
        "roles": roles,
        "users": {"topics": 1, "habit_size": 0},
        "items": {"number": 12, "topics": 6},
        "choice": {"v_0": 4.5, "beta_taste": 6.0, "beta_bait": 0.0, "beta_satiation": 0.0, "beta_repeat": 0.0},
        "arrival": {"k_0": 0.3, "k_1": 0.0, "r_0": 3.0},
        "observation": {"profile_noise": 0.2},
    }
    return task_config("journey-v1", changes)


def score(hear: bool, seed: int, total_steps: int) -> float:
    """Mean team reward per agent and episode, on unseen seeds, of a team trained from this seed."""
    run: dict[str, Any] = {"device": "cpu", "compare": (), "ent_coef": 0.01}
    with tempfile.TemporaryDirectory() as folder:
        result = train(TorchPPO(TASKS[hear], timesteps=total_steps, seed=seed, out=Path(folder), **run))
    return float(result["after"]["mean"])


def runs(name: str, seeds: int, total_steps: int) -> list[float]:
    return [score(name == "heard", seed, total_steps) for seed in range(seeds)]


def compared(runs: dict[str, list[float]]) -> dict[str, Any]:
    """What hearing adds, and what teams earn that act at random or know everything."""
    if len(runs) < 2:
        return {}
    ends = {name: float(episode_returns(preset(True), name, EPISODES, UNSEEN).mean()) for name in ("random", "greedy")}
    intervals = {name: interval(np.array(values)) for name, values in runs.items()}
    return {**intervals, "gain": interval(np.subtract(runs["heard"], runs["cut"])), "ends": ends}


def main() -> None:
    given = options(__doc__, seeds=5, total_steps=1_500_000)
    for hear, name in TASKS.items():
        register_task(name, preset(hear))
    settings = {"task": "journey-v1", "seeds": given.seeds, "agent_steps": given.total_steps, "episodes": EPISODES}
    cells = {name: partial(runs, name, given.seeds, given.total_steps) for name in ("heard", "cut")}
    measure("messages", settings, cells, "runs", given.again, compared)


if __name__ == "__main__":
    main()
