"""What knowing what goes with what is worth, in `bundle-v0` and `playlist-v0`, and what telling of sales is worth.

    python -m benchmarks.studies.partners [--episodes 200] [--seeds 3] [--timesteps 3000000] [--task bundle-v0 ...]
    python -m benchmarks.studies.partners --scripted     # without training: minutes

Every row is a team that plays the same held-out episodes, with its reward per agent. `content` knows the tastes that
its agent can estimate, and no map; `observer` knows the map, and of sales what its agent sees; `teller` hears of the
others' sales one page later.

followed    the team of observers that share what they see, and the same team when one department does not follow up,
            because it is played by `content`: what the team and the next department lose
learned     the one-file PPO with target attention (`--attention`) and a discount of 0, from scratch: each department by
            itself, with shared histories, and one department beside tellers, once as it hears them and once deaf
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from baselines.algorithms import TorchPPO
from baselines.train import train
from recsys_env import WorldConfig, register_task, task_config
from recsys_env.evaluation import scale_ends
from recsys_env.evaluation.statistics import interval, place_on_scale

from ..result_files import store
from .played import HELD_OUT, play, ratio

SHARED: Mapping[str, Any] = {"observation": {"share": True}}
TOPICS = 12
TOLD: Mapping[str, Any] = {"messages": TOPICS + 1}
DIGEST: Mapping[str, Any] = {"candidates": {"features": "both"}}  # what linear rankers weigh is the same in either case
ATTENTION = 32
MYOPIC: Mapping[str, Any] = {"gamma": 0.0, "page_gamma": 0.0}  # plans gain next to nothing here, and cost much data


def earned(config: WorldConfig, team: list[str], episodes: int) -> np.ndarray:
    """Rewards [E, N] of a team in held-out episodes."""
    return play(config, team, episodes, HELD_OUT)[0]


def bundle(episodes: int) -> dict[str, Any]:
    """What the map, shared histories, words and following up are worth in `bundle-v0`."""
    own, shared, told = (task_config("bundle-v0", change) for change in ({}, SHARED, TOLD))
    agents = own.num_agents
    teams = {
        "random": (own, "random"),
        "no map": (own, "content"),
        "static": (own, "static"),
        "own sales": (own, "observer"),
        "no map, shared histories": (shared, "content"),
        "shared histories": (shared, "observer"),
        "told": (told, "teller"),
        "oracle": (own, "greedy"),
    }
    found = {name: earned(config, [policy] * agents, episodes) for name, (config, policy) in teams.items()}
    mean = {name: rewards.mean(1) for name, rewards in found.items()}
    pairs = {
        "the map": ("own sales", "no map"),
        "shared histories": ("shared histories", "own sales"),
        "words": ("told", "own sales"),
    }
    lost = {}
    for n in range(agents):
        rewards = earned(shared, ["content" if m == n else "observer" for m in range(agents)], episodes)
        after, before = (n + 1) % agents, found["shared histories"]
        lost[own.agents[n]] = {
            "team": ratio(rewards.mean(1) - before.mean(1), before.mean(1)),
            "next department": ratio(rewards[:, after] - before[:, after], before[:, after]),
        }
    return {
        "rewards": {name: interval(values) for name, values in mean.items()},
        "gains": {name: ratio(mean[one] - mean[other], mean[other]) for name, (one, other) in pairs.items()},
        "not followed": lost,
    }


def playlist(episodes: int) -> dict[str, Any]:
    """Policies that see a sequence and policies that do not, on the scale of `playlist-v0`."""
    config = task_config("playlist-v0", DIGEST)
    policies = ("random", "blind", "popularity", "nearest", "content", "static", "sasrec", "observer", "greedy")
    rewards = {policy: earned(config, [policy] * config.num_agents, episodes).mean(1) for policy in policies}
    return {
        "rewards": {policy: interval(values) for policy, values in rewards.items()},
        "scores": place_on_scale(rewards, *scale_ends(config)),
    }


def learned(name: str, change: Mapping[str, Any], seeds: int, timesteps: int, **options: Any) -> dict[str, Any]:
    """Train on a changed task, and return the reward per learner and episode of each seed, on held-out episodes."""
    task = f"{name}-v0"
    register_task(task, task_config("bundle-v0" if "bundle" in name else "playlist-v0", change))
    runs = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            options = {"device": "cpu", "compare": (), "attention": ATTENTION, **MYOPIC, **options}
            run = TorchPPO(task, timesteps=timesteps, seed=seed, out=Path(folder), **options)
            runs.append(float(train(run)["after"]["mean"]))
            print(task, seed, runs[-1], flush=True)
    return {"runs": runs, **interval(np.array(runs))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--timesteps", type=int, default=3_000_000, help="agent-steps of each training")
    parser.add_argument("--task", nargs="*", choices=("bundle-v0", "playlist-v0"), default=("bundle-v0", "playlist-v0"))
    parser.add_argument("--scripted", action="store_true", help="train nothing")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    for task in args.task:
        result[task] = {"bundle-v0": bundle, "playlist-v0": playlist}[task](args.episodes)
        print(result[task], flush=True)
    if not args.scripted:
        beside = {"background": ("cameras_0=teller", "travel_0=teller")}
        deaf = [
            {"name": role.name, "domains": role.domains, "hidden": ("messages",)}
            for role in task_config("bundle-v0", {}).roles
        ]
        cases: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = {
            "own-bundle": ({}, {}),
            "shared-bundle": (SHARED, {}),
            "heard-bundle": (TOLD, beside),
            "deaf-bundle": ({**TOLD, "roles": deaf}, beside),
            "own-playlist": ({}, {}),
        }
        result["learned"] = {
            name: learned(name, change, args.seeds, args.timesteps, **options)
            for name, (change, options) in cases.items()
            if f"{name.partition('-')[2]}-v0" in args.task
        }
    settings = {"episodes": args.episodes, "seeds": args.seeds, "timesteps": args.timesteps}
    print(store("partners", settings, result))


if __name__ == "__main__":
    main()
