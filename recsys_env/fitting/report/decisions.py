"""Which policy the world prefers, how sure that is, and how easily something that the log does not show reverses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ...batch.base import copy_seed
from ...config.fitted import FittedWorld
from ...config.settings import replace
from ...evaluation import UNSEEN, episode_returns, mean_interval
from ...libraries import library
from ...policies import ORACLES, make_policy

SEED = UNSEEN
USERS = 5000  # who visit; of more, a random sample


def sampled(world: FittedWorld) -> FittedWorld:
    """The world with at most `USERS` of its users, all of whom every copy of an episode holds in memory."""
    catalogue = world.catalogue
    count = len(catalogue.user_taste)
    if count <= USERS:
        return world
    chosen = np.sort(np.random.default_rng(0).choice(count, USERS, replace=False))
    arrays = catalogue.arrays().items()
    of_users: dict[str, Any] = {name: array[chosen] for name, array in arrays if name.startswith(("user_", "habit_"))}
    return replace(world, {"catalogue": dataclasses.replace(catalogue, **of_users)})


def play(world: FittedWorld, policies: Sequence[str], episodes: int, seed: int) -> dict[str, np.ndarray]:
    """Mean individual reward of an agent in each episode [E], by policy; all policies meet the same visitors."""
    return {policy: _returns(world, policy, episodes, seed).mean(axis=1) for policy in policies}


def _returns(world: FittedWorld, policy: str, episodes: int, seed: int) -> np.ndarray:
    """Rewards [E, N]. A policy that learns would learn from all copies of a batch, so it plays one copy at a time."""
    if not make_policy(policy).learns:
        return episode_returns(world, policy, episodes, seed)
    return np.concatenate([episode_returns(world, policy, 1, copy_seed(seed, e)) for e in range(episodes)])


def usable(policies: Iterable[str]) -> list[str]:
    """Those of some policies that a platform could use, because they are not oracles; all if there are no two."""
    found = [policy for policy in policies if policy not in ORACLES]
    return found if len(found) > 1 else list(policies)


def ranking(rewards: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Order policies by their mean reward, and say which pairs truly differ.

    Two policies truly differ if the interval (Student's t over episodes) of their paired difference does not contain 0.
    The intervals of all pairs hold jointly with 95 % (Bonferroni).

    Args:
        rewards: policy -> [E], from the same episodes.
    """
    order = sorted(rewards, key=lambda name: -float(rewards[name].mean()))
    pairs, differ = len(order) * (len(order) - 1) // 2, []
    for better, worse in combinations(order, 2):
        mean, width = mean_interval(rewards[better] - rewards[worse], among=pairs)
        if mean > width:
            differ.append([better, worse])
    rows = {}
    for name in order:
        mean, width = mean_interval(rewards[name])
        rows[name] = {"mean": mean, "low": mean - width, "high": mean + width}
    first = sum(pair[0] == order[0] for pair in differ)
    return {
        "policies": rows,
        "pairs": pairs,
        "pairs that differ": differ,
        "share of pairs that differ": len(differ) / pairs,
        "the best differs from": first,
    }


def confounder(
    world: FittedWorld,
    rewards: Mapping[str, np.ndarray],
    strengths: Sequence[float],
    draws: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """How the ranking changes if part of the items' appeal is due to something that the log does not show.

    The item intercepts are moved by Gaussian noise. A strength of s utils multiplies the odds of a typical item by
    exp(s), or divides them by it. At strength 0 only the random events of the episodes differ: tau there is what chance
    alone leaves.

    Args:
        rewards: of `play` in the world itself.
        strengths: standard deviations of the noise, in utils.
        draws: draws of the noise at each strength.

    Returns:
        for each strength: Kendall's tau with the ranking in the world itself (mean and lowest), and the share of the
        draws in which the same one of the usable policies is best.

    Source: Kendall 1938 (tau).
    """
    policies, catalogue = list(rewards), world.catalogue
    usual, episodes = [float(sample.mean()) for sample in rewards.values()], len(next(iter(rewards.values())))
    candidates = [policies.index(policy) for policy in usable(policies)]
    best = int(np.argmax(np.take(usual, candidates)))
    rng = np.random.default_rng(0)
    rows = []
    for strength in (0.0, *strengths):
        taus, same = [], []
        for draw in range(draws):
            progress(f"a hidden confounder of {strength:g} utils, draw {draw + 1} of {draws}")
            noise = strength * rng.standard_normal(len(catalogue.item_intercept))
            moved = dataclasses.replace(catalogue, item_intercept=(catalogue.item_intercept + noise).astype(np.float32))
            found = play(replace(world, {"catalogue": moved}), policies, episodes, SEED + 10_000 * (draw + 1))
            means = [float(sample.mean()) for sample in found.values()]
            tau = library("scipy.stats", "fit").kendalltau(usual, means).statistic
            taus.append(float(tau) if np.isfinite(tau) else 0.0)  # all policies earn the same
            same.append(int(np.argmax(np.take(means, candidates))) == best)
        rows.append(
            {
                "strength": strength,
                "tau": float(np.mean(taus)),
                "lowest tau": min(taus),
                "same best policy": float(np.mean(same)),
            }
        )
    return {"draws": draws, "spread of the intercepts": float(catalogue.item_intercept.std()), "strengths": rows}
