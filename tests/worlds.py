"""A small world that several test modules play."""

from __future__ import annotations

from typing import Any

from recsys_env import VectorEnv, WorldConfig, Worlds

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
