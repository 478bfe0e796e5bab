"""How soon policies recover after the world has changed in the middle of an episode.

    python -m benchmarks.studies.adaptation [--task rivals-v1] [--policies nearest linucb FOLDER ...]

One thing changes in the middle of a long episode, and no agent is told:

- tastes: everybody who has visited gets the taste of the person in the same user slot of the copy before, if that one
  has visited. Profiles, by which candidates are retrieved, and histories stay.
- bait: items that lured now satisfy and the other way round (clickbait c becomes 1 - c). Statistics of items stay.
- rival: all other agents played at random and are replaced by strong ones (`static`).

A team of the policy meets the first two, and the first agent alone meets the third. The measure is the individual
reward per page of the first agent, averaged over the copies and over windows of pages. The new level is the mean of the
last quarter of the pages after the change, and the level before that of as many pages before it. The policy has
recovered at the first window from which 90 % of the way to the new level is made. The way begins at the first window,
or at the new level if that is lower. A policy acts for all copies at once, so a policy that learns while it serves
learns from all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from recsys_env import VectorEnv, task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.policies import Team
from recsys_env.world.arrays import has_come

from .study import by_policy

POLICIES = ("random", "popularity", "nearest", "content", "static", "linucb", "linear-thompson", "sasrec", "greedy")
HORIZON, COPIES, WINDOW, BACK = 2000, 200, 20, 0.9
RIVALS = "random", "static"  # before and after
RESAMPLES = 200


def other_tastes(envs: VectorEnv) -> None:
    shape, state = envs.world.params["shape"][0], envs.arrays
    come = has_come(state.users, state.copies)
    to, users = np.nonzero(come & np.roll(come, 1, 0))
    rows, taste = state.users["row"], slice(shape["taste"], shape["taste"] + shape["dims"])
    state.vectors[to, rows[to, users], taste] = state.vectors[to - 1, rows[to - 1, users], taste]


def other_bait(envs: VectorEnv) -> None:
    items = envs.world.items.copy()
    items["bait"] = 1 - items["bait"]
    items.flags.writeable = False
    envs.world = envs.world._replace(items=items)


def nothing(envs: VectorEnv) -> None:
    """Change nothing: here the rivals change and not the world."""


SHIFTS: dict[str, Callable[[VectorEnv], None]] = {"tastes": other_tastes, "bait": other_bait, "rival": nothing}


def rewards(task: str, policy: str, shift: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Individual reward [B, P] of the first agent at its last pages before the shift and at its first pages after it. P
    is the number of pages that all copies have in both."""
    config = task_config(task, {"horizon": HORIZON})
    rivals = [RIVALS if shift == "rival" else (policy, policy)] * (config.num_agents - 1)
    envs, team, observations = begin_episodes(config, [policy, *(before for before, _ in rivals)], COPIES, seed)
    later = {agent: after for agent, (_, after) in zip(envs.possible_agents[1:], rivals, strict=True)}
    actions, own, seen = envs.empty_actions(), [], []
    for tick in range(HORIZON):
        if tick == HORIZON // 2:
            SHIFTS[shift](envs)
            if shift == "rival":
                newcomers = Team(envs, later, seed + 1)
        team.act(observations, actions)
        if shift == "rival" and tick >= HORIZON // 2:
            newcomers.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        own.append(infos["individual_reward"][:, 0].copy())
        seen.append(infos["visitor"][:, 0] >= 0)
    paid, there = np.array(own).T, np.array(seen).T
    halves = [(paid[:, part], there[:, part]) for part in np.split(np.arange(HORIZON), 2)]
    pages = min(int(shown.sum(1).min()) for _, shown in halves)
    before, after = ([row[shown] for row, shown in zip(*half, strict=True)] for half in halves)
    return np.array([row[-pages:] for row in before]), np.array([row[:pages] for row in after])


def back(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Levels per page, the rise from the first window to the new level, and pages until recovery.

    Args:
        before, after: rewards [B, P]. If the policy does not recover, the pages are those of all windows.

    Raises:
        ValueError: there are too few pages for the levels.
    """
    means = after.mean(0)
    if len(means) < 4 * WINDOW:
        raise ValueError(f"{len(means)} pages of the first agent in half an episode; {4 * WINDOW} are needed")
    windows, last = np.convolve(means, np.ones(WINDOW) / WINDOW, "valid"), len(means) // 4
    level, first = float(means[-last:].mean()), float(windows[0])
    low = min(first, level)
    reached = windows >= low + BACK * (level - low)
    levels = {"before": float(before[:, -last:].mean()), "at first": first, "new level": level}
    return {**levels, "rise": level - first, "pages": float(reached.argmax() if reached.any() else len(windows))}


def measured(task: str, policy: str, shift: str) -> dict[str, Any]:
    """`back`, with intervals over resampled copies."""
    before, after = rewards(task, policy, shift, UNSEEN)
    rng = np.random.default_rng(0)
    again = [back(before[some], after[some]) for some in rng.integers(0, COPIES, (RESAMPLES, COPIES))]
    return {
        name: {"mean": value, "range": np.quantile([one[name] for one in again], [0.025, 0.975]).tolist()}
        for name, value in back(before, after).items()
    } | {"of pages": after.shape[1]}


def by_shift(task: str, policy: str) -> dict[str, Any]:
    return {shift: measured(task, policy, shift) for shift in SHIFTS}


def main() -> None:
    settings: dict[str, Any] = {"horizon": HORIZON, "copies": COPIES, "window": WINDOW, "back": BACK}
    by_policy(__doc__, "adaptation", "rivals-v1", POLICIES, by_shift, **settings)


if __name__ == "__main__":
    main()
