"""What knowing what goes with what is worth, in `bundle-v0` and `playlist-v0`, and what telling of sales is worth.

    python -m benchmarks.studies.partners [--episodes 200] [--seeds 3] [--timesteps 1000000] [--cases "own bundle" ...]
    python -m benchmarks.studies.partners --cases        # without training: half an hour

Every row is a team that plays the same held-out episodes, with its reward per agent. `content` knows the tastes that
its agent can estimate, and no map; `observer` knows the map, and of sales what its agent sees; `teller` hears of the
others' sales one page later.

followed    the team of observers that share what they see, and the same team when one department does not follow up,
            because it is played by `content`: what the team and the next department lose
learned     the one-file PPO with target attention (`--attention`), which predicts the clicks of logged random pages
            first and then plays, with a discount of 0: in `playlist-v0`; in `bundle-v0` each department by itself, with
            shared histories, and one department beside tellers, once as it hears them and once deaf

Trainings are stored one by one. A run with the same settings adds those that are not there yet.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from recsys_env import WorldConfig, task_config
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .played import HELD_OUT, play, ratio
from .trainings import Case, all_options, train_missing

SHARED: Mapping[str, Any] = {"observation": {"share": True}}
TOPICS = 12
TOLD: Mapping[str, Any] = {"messages": TOPICS + 1}
DIGEST: Mapping[str, Any] = {"candidates": {"features": "both"}}  # what linear rankers weigh is the same in either case
TRAINING: Mapping[str, Any] = {
    "attention": 32,
    "pages": 200_000,
    "gamma": 0.0,  # plans gain next to nothing here, and cost much data
    "page_gamma": 0.0,
}


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
    """Policies that see a sequence and policies that do not, on the scale of `playlist-v0`: rewards [E] per agent."""
    config = task_config("playlist-v0", DIGEST)
    policies = ("random", "blind", "popularity", "nearest", "content", "static", "sasrec", "observer", "greedy")
    rewards = {policy: earned(config, [policy] * config.num_agents, episodes).mean(1) for policy in policies}
    return {"individual_reward": {policy: values.tolist() for policy, values in rewards.items()}}


SCRIPTED = {"bundle-v0": bundle, "playlist-v0": playlist}


def cases(timesteps: int) -> dict[str, Case]:
    """The trainings, each of so many agent-steps."""
    beside = {"background": ("cameras_0=teller", "travel_0=teller")}
    deaf = [
        {"name": role.name, "domains": role.domains, "hidden": ("messages",)}
        for role in task_config("bundle-v0", {}).roles
    ]
    training = {"timesteps": timesteps, **TRAINING}
    beside = {**training, **beside}
    return {
        "own playlist": Case("playlist-v0", {}, training),
        "own bundle": Case("bundle-v0", {}, training),
        "shared bundle": Case("bundle-v0", SHARED, training),
        "heard bundle": Case("bundle-v0", TOLD, beside),
        "deaf bundle": Case("bundle-v0", {**TOLD, "roles": deaf}, beside),
    }


def gains(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What shared histories and words are worth to who learns, over the seeds that both trainings have."""
    found = {}
    pairs = {"shared histories": ("shared bundle", "own bundle"), "words": ("heard bundle", "deaf bundle")}
    for name, pair in pairs.items():
        one, other = (runs.get(case, {}) for case in pair)
        if seeds := sorted(set(one) & set(other)):
            means = [np.array([np.mean(case[seed]["individual_reward"]) for seed in seeds]) for case in (one, other)]
            found[name] = ratio(means[0] - means[1], means[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--timesteps", type=int, default=1_000_000, help="agent-steps of each training, of all agents")
    parser.add_argument("--cases", nargs="*", choices=tuple(cases(0)), default=tuple(cases(0)), help="trainings")
    parser.add_argument("--workers", type=int, default=2, help="trainings at once, each on one thread")
    args = parser.parse_args()
    settings = {"episodes": args.episodes, "timesteps": args.timesteps, "training": all_options(TRAINING)}
    scripted, runs = (dict(earlier("partners", part, settings)) for part in ("scripted", "learned"))
    if not scripted:
        with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
            played = {task: pool.submit(play_all, args.episodes) for task, play_all in SCRIPTED.items()}
            scripted = {"source": provenance(), **{task: part.result() for task, part in played.items()}}
    _store(settings, scripted, runs)
    wanted = {name: case for name, case in cases(args.timesteps).items() if name in args.cases}
    for _ in train_missing(wanted, args.seeds, runs, args.episodes, args.workers):
        _store(settings, scripted, runs)


def _store(settings: Mapping[str, Any], scripted: Mapping[str, Any], runs: Mapping[str, Any]) -> None:
    result = {"scripted": scripted, "learned": runs, "gains of learners": gains(runs)}
    print(store("partners", settings, result), flush=True)


if __name__ == "__main__":
    main()
