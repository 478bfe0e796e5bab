"""Policies that do not learn by gradient: opponents, teammates, baselines, and the two ends of the normalised score.

A policy acts for one agent in all copies at once:

    policy.bind(envs, agent, seed)          once, before the first reset
    policy.act(observations, mask=None)     -> actions [B, ...] for the page about to be shown
    policy.observe(feedback)                after the step: visitor [B], shown, clicked, cart, bought, rating [B, K] of its own slots
    policy.reset(done)                      [B] bool: these copies have begun another episode

Everyone may read the public catalogue (`VectorEnv.world`: q, topic, price, promotion, length, age, provider, availability, stock) and
platform-wide popularity; only the oracles `greedy` and `planner` read intercepts, quality, clickbait and latent users.
"""

from __future__ import annotations

from ..config import did_you_mean
from .assortment import Content, Greedy, Planner, Popularity
from .base import Policy, feedback
from .random import Random
from .team import Team

POLICIES: dict[str, type[Policy]] = {"random": Random, "popularity": Popularity, "content": Content, "greedy": Greedy, "planner": Planner}

__all__ = ["POLICIES", "Content", "Greedy", "Planner", "Policy", "Popularity", "Random", "Team", "feedback", "make_policy"]


def make_policy(policy: str | Policy) -> Policy:
    """A policy by name, or the object itself."""
    if isinstance(policy, Policy):
        return policy
    if policy not in POLICIES:
        raise ValueError(f"unknown policy {policy!r}{did_you_mean(policy, POLICIES)}; policies are {', '.join(POLICIES)}")
    return POLICIES[policy]()
