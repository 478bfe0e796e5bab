"""Does each task tell policies apart? Mean episode reward of every scripted policy, all agents using the same one.

    python -m benchmarks.separation [--task TASK ...] [--episodes 200] [--seeds 5]

Also reports clicks per page and impression, sessions per place, idle ticks and the funnel at every level.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from recsys_env import TASKS, VectorEnv
from recsys_env.evaluation.statistics import interval
from recsys_env.policies import make_policy
from recsys_env.provenance import provenance

from .result_files import earlier, store

LEVELS = ("random", "blind", "popularity", "content", "greedy", "planner")
FIRST_SEED = 70_000


def play(task: str, policy: str, episodes: int, seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """[episodes] mean own reward per agent, and counts of what happened, summed over the batch."""
    envs = VectorEnv(TASKS[task], episodes)
    team = [make_policy(policy) for _ in envs.possible_agents]
    for agent, member in zip(envs.possible_agents, team, strict=True):
        member.bind(envs, agent, seed)
    observations, infos = envs.reset(seed=seed)
    own, counts = (
        np.zeros(episodes),
        dict.fromkeys(("pages", "clicks", "impressions", "holes", "carts", "bought", "later", "sessions"), 0.0),
    )
    first = envs.observation_fields["session_page"].start
    for _ in range(envs.config.horizon):
        starts = (envs.active & (observations[:, :, first] == 0)).any(1)
        counts["sessions"] += starts.sum()
        observations, _, _, _, infos = envs.step(
            np.stack([member.act(observations[:, n]) for n, member in enumerate(team)], axis=1)
        )
        own += infos["own"].mean(axis=1)
        counts["pages"] += (infos["visitor"] >= 0).any(axis=1).sum()
        for name, key in (("clicks", "clicked"), ("carts", "cart"), ("bought", "bought")):
            counts[name] += infos[key].sum()
        counts["impressions"] += (infos["shown"] >= 0).sum()
        counts["holes"] += infos["empty"].sum()
        counts["later"] += (infos["later_item"] >= 0).sum()
    return own, counts


def measure(task: str, policy: str, episodes: int, seeds: int) -> dict[str, Any]:
    """Score with its interval, and levels, over `seeds` batches of `episodes`."""
    runs = [play(task, policy, episodes, FIRST_SEED + s) for s in range(seeds)]
    total = {key: sum(counts[key] for _, counts in runs) for key in runs[0][1]}
    count, config = episodes * seeds, TASKS[task]
    places = VectorEnv(config).shape.users
    clicks = max(total["clicks"], 1)
    return {
        **interval(np.concatenate([own for own, _ in runs])),
        "clicks_per_page": total["clicks"] / total["pages"],
        "clicks_per_impression": total["clicks"] / total["impressions"],
        "carts_per_click": total["carts"] / clicks,
        "bought_per_click": (total["bought"] + total["later"]) / clicks,
        "pages_per_session": total["pages"] / total["sessions"],
        "sessions_per_place": total["sessions"] / count / places,
        "idle": 1 - total["pages"] / count / config.horizon,
        "holes_per_page": total["holes"] / total["pages"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="*", default=list(TASKS))
    parser.add_argument("--episodes", type=int, default=200, help="per seed")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    settings = {"episodes": args.episodes, "seeds": args.seeds, "first_seed": FIRST_SEED}
    result: dict[str, Any] = earlier("separation", "tasks", settings)
    for task in args.task:
        result[task] = {"source": provenance("benchmarks.separation")}
        for policy in LEVELS:
            row = result[task][policy] = measure(task, policy, args.episodes, args.seeds)
            print(
                f"{task:13} {policy:10} {row['mean']:9.3f} ±{row['ci95']:.3f}  "
                + "  ".join(f"{k} {v:.3f}" for k, v in row.items() if k not in ("mean", "ci95")),
                flush=True,
            )
    print(store("separation", "benchmarks.separation", settings, {"tasks": result}))


if __name__ == "__main__":
    main()
