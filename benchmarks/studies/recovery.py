"""How many logged pages, filled by whom, does a fit need to rank policies as the world of the log does?

    python -m benchmarks.studies.recovery          # hours; --worlds 0 --pages 10000 takes minutes

Worlds of the package are written to logs by `evaluation.record`, and a world is fitted to the first pages of each log,
with the item vectors given, or learned from the log. Kendall's tau compares the order of eight policies, and the
factor of values is the median over the policies of how far the larger of the two values lies above the smaller one. The
fitted world starts with the people's habits of the end of the log; they are removed, because the world of the log
starts without.
"""

from __future__ import annotations

from functools import cache, lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

import recsys_env
from recsys_env import WorldConfig, replace
from recsys_env.config.catalogue import Catalogue
from recsys_env.evaluation import record
from recsys_env.fitting import FittedWorld, fit, recorded_pages
from recsys_env.policies import Policy, make_policy
from recsys_env.provenance import provenance

from .fit_origin import EPISODES, POLICIES, SEED, WORLD, scores
from .study import measure, options

WORLDS, PAGES = (0, 1, 2, 3, 4), (10_000, 30_000, 100_000)
VECTORS = ("given", "learned")
EXPLORED = 0.05
COVERED = ("choice.beta_taste", "choice.eta", "choice.kappa")  # estimates whose 95 % intervals are compared
SHOP: WorldConfig = replace(
    WORLD,
    {"users": {"habit": "click", "habit_decay": 0.98}, "feedback": {"b_taste": 2.0}, "dynamics": {"drift": 0.0}},
)


class Exploring(Policy):
    """Plays `content`, and on a share of the pages at random."""

    def __init__(self, share: float) -> None:
        self.share = share

    def bind(self, envs: Any, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._both = make_policy("content"), make_policy("random")
        for policy in self._both:
            policy.bind(envs, agent, seed)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        content, chance = (policy.act(observations, mask) for policy in self._both)
        explored = self.rng.random(len(observations)) < self.share
        return np.where(explored.reshape(-1, *[1] * (content.ndim - 1)), chance, content)


LOGS: dict[str, Any] = {
    "random pages": lambda: "random",
    "content": lambda: "content",
    "content, 5 % random pages": lambda: Exploring(EXPLORED),
}


def items_of(world: WorldConfig, vectors: bool) -> pd.DataFrame:
    """The table of items that the platform has: list prices, popularity, topics, and perhaps vectors."""
    built = recsys_env.vector_env(world, 1).world
    columns = {name: built.items[name].astype(float) for name in ("price", "popularity")}
    table = pd.DataFrame({"item": np.arange(len(built.items)), **columns})
    table["category"] = [f"topic {topic}" for topic in built.items["topic"]]
    return table.assign(vector=[row.tolist() for row in built.item_vectors]) if vectors else table


def at_rest(world: FittedWorld) -> FittedWorld:
    """The world before anybody has formed a habit."""
    catalogue = world.catalogue
    none = {"habit_item": np.full_like(catalogue.habit_item, -1), "habit_count": np.zeros_like(catalogue.habit_count)}
    fresh = Catalogue(**{**catalogue.arrays(), **catalogue.values(), **none})  # type: ignore[arg-type]
    return replace(world, {"catalogue": fresh})


def compare(world: WorldConfig, log: pd.DataFrame, vectors: bool, truth: dict[str, float]) -> dict[str, Any]:
    """Fit a world to a log; how it ranks and values the policies, and which intervals hold the true parameter."""
    fitted = fit(log, origin="pages", items=items_of(world, vectors))
    found = scores(at_rest(fitted))
    ratio = np.array([found[name] / truth[name] for name in truth])
    errors, covered = fitted.page_log.standard_errors, {}
    for name in COVERED:
        group, field = name.split(".")
        estimate, true = (getattr(getattr(config, group), field) for config in (fitted, world))
        covered[name] = {"estimate": estimate, "error": errors.get(name, 0.0), "true": true}  # 0: at a bound
    return {
        "tau": float(kendalltau(list(truth.values()), list(found.values())).statistic),
        "factor": float(np.median(np.exp(np.abs(np.log(np.maximum(ratio, 1e-9)))))),
        "scores": found,
        "estimates": covered,
    }


@cache
def true_scores(seed: int) -> dict[str, float]:
    """What each policy earns in the world of this seed."""
    return scores(replace(SHOP, {"world_seed": seed}))


@lru_cache(maxsize=1)
def logged(seed: int, name: str, pages: int) -> pd.DataFrame:
    """A log of a world."""
    return recorded_pages(record(replace(SHOP, {"world_seed": seed, "horizon": pages}), LOGS[name](), seed=SEED))


def main() -> None:
    given = options(__doc__, worlds=WORLDS, pages=PAGES, logs=tuple(LOGS), vectors=VECTORS)

    def measured(seed: int, name: str, pages: int, how: str) -> dict[str, Any]:
        world = replace(SHOP, {"world_seed": seed})
        log = logged(seed, name, max(given.pages))
        truth = true_scores(seed)
        row = compare(world, log[log["time"] < pages], how == "given", truth)
        return {
            "world": seed,
            "log": name,
            "pages": pages,
            "vectors": how,
            "truth": truth,
            **row,
            "source": provenance(),
        }

    keys = product(given.worlds, given.logs, given.pages, given.vectors)
    cells = {", ".join(map(str, key)): partial(measured, *key) for key in keys}
    settings = {"policies": POLICIES, "episodes": EPISODES, "seed": SEED, "explored": EXPLORED}
    measure("recovery", settings, cells, "cells", given.again)


if __name__ == "__main__":
    main()
