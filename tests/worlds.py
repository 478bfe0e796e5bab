"""A small world that several test modules play."""

from __future__ import annotations

from typing import Any

from recsys_env import VectorEnv, WorldConfig, Worlds
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
