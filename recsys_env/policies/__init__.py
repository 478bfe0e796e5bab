"""Policies by name: opponents, teammates, baselines, and the policies that define scores 0 and 100.

A policy acts for one agent in all copies at once:

    policy.bind(envs, agent, seed)          once, before the first reset
    policy.act(observations, mask=None)     -> actions [B, ...] for the page about to be shown
    policy.observe(feedback)                after the step: events in its own slots, and later purchases; see
                                            `feedback`
    policy.reset(done)                      [B] bool: these copies have begun another episode

A `TeamPolicy` acts for several agents at once, on observations [B, N', O]; its calls are the same.

A policy that learns from feedback (`learns`) is one recommender that serves all copies. It uses the feedback of one
copy in all of them, and keeps its knowledge of items when an episode ends.

All policies may read the public catalogue: `VectorEnv.world.item_vectors`, of `world.items` topic, provider, domain,
price (the list price), log_price, length and popularity (historical), `world.allowed` (inventories), and
`VectorEnv.public_items()`:
current price, promotion, availability, stock, age, popularity, click-through rate and satisfaction. Latent variables
(intercepts, quality, clickbait and users) are read only by the policies that `ORACLES` lists with what they know.
"""

from __future__ import annotations

from .assortment import Central, Content, Greedy, Planner, Popularity
from .base import Policy, TeamPolicy, feedback
from .compiled import CompiledPolicy, uniform
from .population import Population
from .random import Random
from .registry import (
    CHECKPOINT,
    FAMILIES,
    LOADERS,
    ORACLES,
    POLICIES,
    TASK_POLICIES,
    knowledge,
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
    "CompiledPolicy",
    "Content",
    "Greedy",
    "Planner",
    "Policy",
    "Popularity",
    "Population",
    "Random",
    "Team",
    "TeamPolicy",
    "feedback",
    "knowledge",
    "loaders",
    "make_policy",
    "register_loader",
    "uniform",
]
