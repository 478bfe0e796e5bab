"""A small world that several test modules play."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, Worlds
from recsys_env.config.catalogue import Catalogue
from recsys_env.policies import make_policy

SMALL = WorldConfig(
    num_agents=2,
    slots=2,
    horizon=30,
    users={"number": 3, "habit_size": 4},
    candidates={"number": 6},
    items={"number": 20, "dims": 4, "topics": 4},
    choice={"v_0": 1.0},
    arrival={"r_0": 2.0},
)


def games_of(view: Any) -> list[VectorEnv]:
    """The batches that play, behind an environment, a batch or a view of one."""
    if isinstance(view, VectorEnv):
        return [view]
    if isinstance(view, Worlds):
        return view.parts
    return games_of(
        next(vars(view)[name] for name in ("batch", "vector", "numeric", "env", "envs") if name in vars(view))
    )


def bound(envs: Any, policy: Any, agent: str | None = None, seed: int = 0) -> Any:
    """A policy, by name or as an object, bound to one agent of a batch, by default the first."""
    made = make_policy(policy)
    made.bind(envs, agent or envs.possible_agents[0], seed)
    return made


def bound_team(envs: Any, policy: str, seed: int = 0) -> list[Any]:
    """A policy of this name for each agent of a batch."""
    return [bound(envs, policy, agent, seed) for agent in envs.possible_agents]


def small_catalogue() -> Catalogue:
    rng = np.random.default_rng(0)
    vectors, tastes = (rng.standard_normal((n, 4)) for n in (12, 5))
    return Catalogue(
        item_vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        item_topic=(np.arange(12) % 3).astype(np.int32),
        item_intercept=np.zeros(12, np.float32),
        item_price=rng.uniform(1, 5, 12).astype(np.float32),
        item_popularity=rng.uniform(1, 9, 12).astype(np.float32),
        item_price_ratio=rng.uniform(0.5, 1, (12, 2)).astype(np.float32),
        user_taste=(tastes / np.linalg.norm(tastes, axis=1, keepdims=True)).astype(np.float32),
        user_price_sensitivity=np.ones(5, np.float32),
        user_activity=rng.uniform(1, 3, 5).astype(np.float32),
        habit_item=rng.integers(-1, 12, (5, 3)).astype(np.int32),
        habit_count=rng.uniform(0.5, 3, (5, 3)).astype(np.float32),
        item_domain=np.zeros(12, np.int32),
        item_name=np.array([f"item {j}" for j in range(12)]),
        item_text=np.array([f"text {j}" for j in range(12)]),
        topic_name=np.array(["a", "b", "c"]),
        domain_name=np.array(["shop"]),
        source="made up",
        settings={"choice": {"v_0": 1.0}},
    )
