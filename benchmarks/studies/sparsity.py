"""Reward and ranking quality against the number of interactions of each person and each item.

    python -m benchmarks.studies.sparsity [--task streaming-v1] [--policies nearest sasrec FOLDER ...]

The numbers of users, items and ticks of a task vary, and a policy plays as a team. Each row holds pages per person,
impressions per item, individual reward per page (worlds differ in their number of pages), and NDCG@K against the true
utilities of the items that could be shown. Policies that learn begin with nothing and learn from the batch while they
serve it, that is from 32 copies and so from 32 times the users.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from recsys_env import task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes, play_episode
from recsys_env.evaluation.log import EpisodeLog
from recsys_env.evaluation.metrics import ndcg
from recsys_env.evaluation.statistics import interval

from .study import by_policy

POLICIES = ("random", "popularity", "nearest", "content", "linucb", "implicit", "sasrec", "two-tower", "greedy")
USERS, ITEMS, TICKS = (4, 16, 64), (100, 400, 1600), (100, 400, 1600)
COPIES = 32


def measured(task: str, policy: str, users: int, items: int, ticks: int) -> dict[str, Any]:
    """The row of one policy in one world."""
    config = task_config(task, {"users": {"number": users}, "items": {"number": items}, "horizon": ticks})
    envs, team, observations = begin_episodes(config, policy, COPIES, UNSEEN)
    log = EpisodeLog(envs)
    own = play_episode(envs, team, observations, log)
    pages, shown = log.active.sum((0, 2)), (log.item >= 0).sum((0, 2, 3))
    people = np.array([len(np.unique(ids[ids >= 0])) for ids in log.visitor.T])
    return {
        "users": users,
        "items": items,
        "ticks": ticks,
        "pages per person": float((log.active.any(2).sum(0) / people).mean()),
        "impressions per item": float(shown.mean() / items),
        "own per page": interval(own.sum(1) / np.maximum(pages, 1)),
        "ndcg": interval(ndcg(log)[:, -1]),
    }


def by_size(task: str, policy: str) -> list[dict[str, Any]]:
    return [measured(task, policy, *sizes) for sizes in product(USERS, ITEMS, TICKS)]


def main() -> None:
    by_policy(__doc__, "sparsity", "streaming-v1", POLICIES, by_size, copies=COPIES)


if __name__ == "__main__":
    main()
