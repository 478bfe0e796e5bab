"""Policies that do not learn by gradient: opponents, teammates, baselines, and the ends of each task's scale.

A policy acts for one agent in all copies at once:

    policy.bind(envs, agent, seed)          once, before the first reset
    policy.act(observations, mask=None)     -> actions [B, ...] for the page about to be shown
    policy.observe(feedback)                after the step: what happened to its own slots, and later purchases; see
                                            `feedback`
    policy.reset(done)                      [B] bool: these copies have begun another episode

One that learns from feedback (`learns`) is one recommender that serves all copies: what it is told in one, it uses in
all, and of an episode that ended it keeps what it knows of items.

Everyone may read the public catalogue: `VectorEnv.world.q`, of `world.items` topic, provider, domain, price (the list
price), x, length and popularity (historical), `world.allowed` (inventories), and `VectorEnv.public_items()`: price,
promotion, availability, stock, age, popularity, click-through rate and satisfaction now. Only the oracles `greedy`,
`planner` and `central`, tables of finite games, and who answers to the others' bait read what is latent: intercepts,
quality, clickbait and users.
"""

from __future__ import annotations

from .assortment import Central, Content, Greedy, Planner, Popularity
from .base import Policy, feedback
from .random import Random
from .registry import (
    CHECKPOINT,
    FAMILIES,
    LOADERS,
    ORACLES,
    POLICIES,
    TASK_POLICIES,
    loaders,
    make_policy,
    register_loader,
)
from .team import Team

__all__ = [
    "CHECKPOINT",
    "FAMILIES",
    "LOADERS",
    "ORACLES",
    "POLICIES",
    "TASK_POLICIES",
    "Central",
    "Content",
    "Greedy",
    "Planner",
    "Policy",
    "Popularity",
    "Random",
    "Team",
    "feedback",
    "loaders",
    "make_policy",
    "register_loader",
]
