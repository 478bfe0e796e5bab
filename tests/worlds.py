"""A small world that several test modules play."""

from __future__ import annotations

from recsys_env import WorldConfig

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
