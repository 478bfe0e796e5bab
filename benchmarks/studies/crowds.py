"""Up to how many creators does cooperation last in `creators-v0`, and what do learners make of it?

    python -m benchmarks.studies.crowds [--episodes 200] [--seeds 5] [--ticks 200000] [--sizes 2 5 10 20 50]

The number of creators is the treatment; the audience stays the same.

payoffs     for each number, what a creator earns: R if nobody baits, P if all do, T for the only one who baits, S for
            the only one who does not. Baiting is the better answer to honest creators where T > R, and the group loses
            by it where P < R. `cost` is what the wrong answer loses: honest items where bait is better, or the reverse
learned     the one-file PPO: `selfish` of each number, paid by its own clicks; with 20 creators also `team`, paid by
            the mean of all clicks with one network for all, and `separate`, the same with a network for each creator.
            All play as many ticks. Each reward is placed between P = 0 and R = 1
speed       agent-steps per second of a batch on one thread with 4 and with 20 creators

Trainings are stored one by one. A run with the same settings adds those that are not there yet.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys_env import task_config
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .evidence import speed
from .played import HELD_OUT, Played, ratio
from .trainings import Case, all_options, train_missing

TASK, FAIR, BAIT = "creators-v0", "creators-fair", "creators-bait"
SIZES = (2, 5, 10, 20, 50)
CROWD = 20  # creators of the task
TEAM: Mapping[str, Any] = {"sharing": 1.0}
# A creator decides every 50 ticks, so evaluations take long beside training. Rollouts of one decision are what the
# sweep of `ppo-torch-team` chose on this task.
TRAINING: Mapping[str, Any] = {"evaluations": 5, "eval_episodes": 16, "n_steps": 50}


def payoffs(creators: int, episodes: int) -> dict[str, Any]:
    """What honest and baiting creators earn, alone and all together, and what the wrong answer costs."""
    played = Played(task_config(TASK, {"num_agents": creators}), episodes, HELD_OUT)
    corners = {"R": (FAIR, FAIR), "P": (BAIT, BAIT), "T": (BAIT, FAIR), "S": (FAIR, BAIT)}
    earned = {name: played.payoff(*corner) for name, corner in corners.items()}
    costs = {}
    for others, honest, bait in ((FAIR, "R", "T"), (BAIT, "S", "P")):
        right, wrong = sorted((earned[honest], earned[bait]), key=np.mean, reverse=True)
        costs[others] = ratio(right - wrong, right)
    return {**{name: interval(values) for name, values in earned.items()}, "cost": costs}


def cases(sizes: Sequence[int], ticks: int) -> dict[str, Case]:
    """The trainings, each of so many ticks."""
    found = {}
    for creators in sizes:
        selfish = {"timesteps": ticks * creators, **TRAINING}
        found[f"selfish {creators}"] = Case(TASK, {"num_agents": creators}, selfish)
        if creators == CROWD:
            found["team"] = Case(TASK, {}, {**selfish, **TEAM})
            found["separate"] = Case(TASK, {}, {**selfish, **TEAM, "separate": True})
    return found


def gain_of_one_network(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Share by which a team with one network earns more than one with a network for each creator."""
    shared, separate = (runs.get(name, {}) for name in ("team", "separate"))
    seeds = sorted(set(shared) & set(separate))
    if not seeds:
        return {"mean": None, "ci95": None}
    means = [np.array([np.mean(runs[seed]["individual_reward"]) for seed in seeds]) for runs in (shared, separate)]
    return ratio(means[0] - means[1], means[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=200_000, help="ticks of each training, of all copies together")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of creators")
    parser.add_argument("--workers", type=int, default=2, help="trainings at once, each on one thread")
    args = parser.parse_args()
    settings = {
        "task": "creators-v0",
        "episodes": args.episodes,
        "ticks": args.ticks,
        "sizes": list(args.sizes),
        "training": all_options(TRAINING),
    }
    scripted, runs = (dict(earlier("crowds", part, settings)) for part in ("scripted", "learned"))
    if not scripted:
        scripted = {
            "source": provenance(),
            "payoffs": {str(creators): payoffs(creators, args.episodes) for creators in args.sizes},
            "speed": {str(creators): speed(task_config(TASK, {"num_agents": creators})) for creators in (4, CROWD)},
        }
    _store(settings, scripted, runs)
    for _ in train_missing(cases(args.sizes, args.ticks), args.seeds, runs, args.episodes, args.workers):
        _store(settings, scripted, runs)


def _store(settings: Mapping[str, Any], scripted: Mapping[str, Any], runs: Mapping[str, Any]) -> None:
    result = {"scripted": scripted, "learned": runs, "gain of one network": gain_of_one_network(runs)}
    print(store("crowds", settings, result), flush=True)


if __name__ == "__main__":
    main()
