"""Searches on training seeds: the two numbers of a task's `planner`, and the weights of its `static`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .catalogue import Catalogue
from .checks import is_number
from .config import WorldConfig
from .evaluation import episode_returns, mean_interval
from .policies import Planner
from .tasks import task_config
from .vector import VectorEnv

PRICES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
TARGETS = (-0.2, 0.2, 0.6, 1.0)
_STEPS = ((2**0.5, 0.0), (0.5**0.5, 0.0), (1.0, 0.1), (1.0, -0.1))  # to the neighbours: factor on the price, to target


def tune_planner(
    task: str | WorldConfig,
    *,
    prices: Sequence[float] = PRICES,
    targets: Sequence[float] = TARGETS,
    episodes: int = 50,
    seed: int = 0,
    catalogue: Catalogue | str | Path | None = None,
    **overrides: Any,
) -> dict[tuple[float, float], tuple[float, float]]:
    """What a team of planners earns at prices and targets: on a grid, then at the neighbours of the best of it, of the
    best of these, and so on until none is better. All on the same episodes.

    The best is `max(found, key=lambda place: found[place][0])`; it goes into the fields `planner_price` and
    `planner_target`. Where it does not lie above (0, 0), which is `greedy`, beyond its interval, planning of this kind
    does not pay.

    Args:
        task: a task by name or its config; keywords override its fields.
        prices, targets: lambda and theta of the grid, each in the range of its field.
        episodes: E, for each pair.
        seed: of the episodes; evaluations use others (`recsys_env.evaluation.UNSEEN`).
        catalogue: as in `vector_env`.

    Returns:
        (price, target) -> mean own reward per agent and episode, and the half-width of its 95 % interval.

    Raises:
        ValueError: no price or target, or one out of range.
    """
    config = task_config(task, overrides, catalogue)
    (lowest, highest), (low, high) = _range("planner_price", prices), _range("planner_target", targets)
    envs = VectorEnv(config, 1, catalogue=catalogue)
    found: dict[tuple[float, float], tuple[float, float]] = {}

    def earned(place: tuple[float, float]) -> float:
        if place not in found:
            team = {name: Planner(*place) for name in config.agents}
            found[place] = mean_interval(episode_returns(envs, team, episodes, seed).mean(axis=1))
        return found[place][0]

    best = max([(0.0, 0.0), *((float(price), float(target)) for price in prices for target in targets)], key=earned)
    while True:
        price, target = best
        moves = [(round(price * factor, 4), round(target + shift, 4)) for factor, shift in _STEPS]
        around = [(p, t) for p, t in moves if lowest <= p <= highest and low <= t <= high]
        better = max(around, key=earned)
        if price == 0 or earned(better) <= earned(best):
            return found
        best = better


def _range(field: str, values: Sequence[float]) -> tuple[float, float]:
    """The range of a config field, in which these values lie.

    Raises:
        ValueError: they do not, or there are none.
    """
    meta = WorldConfig.__dataclass_fields__[field].metadata
    low, high = meta["low"], meta["high"]
    if not len(values) or not all(is_number(value) and low <= value <= high for value in values):
        name = field.removeprefix("planner_") + "s"
        raise ValueError(f"{name} = {list(values)} must be finite numbers in [{low:g}, {high:g}], one or more")
    return low, high
