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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys_env import task_config
from recsys_env.evaluation.statistics import interval

from .evidence import speed
from .played import HELD_OUT, Played, ratio
from .study import options
from .trainings import Case, all_options, paired_gain, train_and_store

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
    return paired_gain(runs, "team", "separate")


def main() -> None:
    given = options(__doc__, episodes=200, seeds=5, ticks=200_000, sizes=SIZES, workers=2)
    settings = {"task": TASK, "episodes": given.episodes, "ticks": given.ticks, "sizes": list(given.sizes)}
    settings["training"] = all_options(TRAINING)

    def scripted() -> dict[str, Any]:
        games = {creators: task_config(TASK, {"num_agents": creators}) for creators in (4, CROWD)}
        return {
            "payoffs": {str(creators): payoffs(creators, given.episodes) for creators in given.sizes},
            "speed": {str(creators): speed(game) for creators, game in games.items()},
        }

    train_and_store(
        "crowds", settings, scripted, cases(given.sizes, given.ticks), "gain of one network", gain_of_one_network, given
    )


if __name__ == "__main__":
    main()
