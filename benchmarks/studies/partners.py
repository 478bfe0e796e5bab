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

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys_env import WorldConfig, task_config
from recsys_env.evaluation.statistics import interval

from .played import HELD_OUT, play, ratio
from .study import options
from .trainings import Case, all_options, paired_gain, train_and_store

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
    pairs = {"shared histories": ("shared bundle", "own bundle"), "words": ("heard bundle", "deaf bundle")}
    found = {name: paired_gain(runs, *pair) for name, pair in pairs.items()}
    return {name: gain for name, gain in found.items() if gain["mean"] is not None}


def main() -> None:
    given = options(__doc__, episodes=200, seeds=3, timesteps=1_000_000, cases=tuple(cases(0)), workers=2)
    settings = {"episodes": given.episodes, "timesteps": given.timesteps, "training": all_options(TRAINING)}

    def scripted() -> dict[str, Any]:
        return {task: play_all(given.episodes) for task, play_all in SCRIPTED.items()}

    wanted = {name: case for name, case in cases(given.timesteps).items() if name in given.cases}
    train_and_store("partners", settings, scripted, wanted, "gains of learners", gains, given)


if __name__ == "__main__":
    main()
