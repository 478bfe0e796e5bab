"""The search for the price that `planner` puts on satisfaction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .catalogue import Catalogue
from .checks import is_number
from .config import WorldConfig
from .evaluation import episode_returns, mean_interval
from .policies import Planner
from .tasks import task_config
from .vector import VectorEnv

PRICES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def tune_planner(
    task: str | WorldConfig,
    *,
    prices: Sequence[float] = PRICES,
    episodes: int = 50,
    seed: int = 0,
    catalogue: Catalogue | str | Path | None = None,
    **overrides: Any,
) -> dict[float, tuple[float, float]]:
    """What a team of planners earns at each price, on the same episodes.

    The best one is `max(found, key=lambda price: found[price][0])`; it goes into the field `planner_price`. Neighbours
    of it may be tried in a second, finer search. Where no price lies above that of 0, which is `greedy`, beyond its
    interval, planning of this kind does not pay.

    Args:
        task: a task by name or its config; keywords override its fields.
        prices: reward per unit of satisfaction, each finite and at least 0.
        episodes: E, for each price.
        seed: of the episodes; evaluations use others (`recsys_env.evaluation.UNSEEN`).
        catalogue: as in `vector_env`.

    Returns:
        price -> mean own reward per agent and episode, and the half-width of its 95 % interval.

    Raises:
        ValueError: no price, or one that is negative or not finite.
    """
    config = task_config(task, overrides, catalogue)
    if not len(prices) or not all(is_number(price) and np.isfinite(price) and price >= 0 for price in prices):
        raise ValueError(f"prices = {list(prices)} must be finite numbers of at least 0, one or more")
    envs = VectorEnv(config, 1, catalogue=catalogue)
    return {
        float(price): mean_interval(
            episode_returns(envs, {name: Planner(price) for name in config.agents}, episodes, seed).mean(axis=1)
        )
        for price in prices
    }
