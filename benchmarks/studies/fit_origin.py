"""Does a fitted world rank policies as the world of its log does, and how does the origin of the log matter?

    python -m benchmarks.studies.fit_origin        # about ten minutes

The customers of synthetic worlds buy in several ways. A world is fitted to each log, and eight policies play in both
worlds. Their orders are compared (Kendall's tau: 1 is the same order, 0 no relation), and so are their values: by what
factor each policy earns too much or too little in the fitted world.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

import recsys_env
from recsys_env import WorldConfig, replace
from recsys_env.config import SceneConfig
from recsys_env.evaluation import episode_returns
from recsys_env.fitting import LogWarning, RecommenderLogWarning, fit
from recsys_env.policies import Team

from .study import measure, options

WORLDS = (0, 1, 2, 3, 4)  # world seeds
POLICIES = ("random", "popularity", "content", "nearest", "linucb", "epsilon-greedy", "ucb1", "thompson")
PURCHASES, DAYS, EPISODES, SEED = 10_000, 120, 8, 11
LONGEST = 10_000_000  # ticks

# The same 300 customers in every episode, habits and prices, and one recommender. Half of all clicks are purchases.
WORLD: WorldConfig = replace(
    WorldConfig(scenes=(SceneConfig("page", cart=True),)),
    {
        "num_agents": 1,
        "users": {"number": 300, "population": "fixed", "habit_size": 16, "habit": "purchase", "habit_decay": 0.999},
        "items": {"number": 150, "topics": 8},
        "choice": {"v_0": 5.0, "beta_quality": 1.0, "beta_price": 0.7, "beta_repeat": 0.5},
        "feedback": {"instant": True, "b_0": 0.0, "b_taste": 0.0, "b_quality": 0.0},
        "arrival": {"k_0": 1.0, "k_1": 0.0, "r_0": 4.0, "r_1": 0.0},
        "candidates": {"topic_scale": 1.0},
        "reward": {"click": 0.0, "purchase": 1.0},
        "observation": {"profile_noise": 1.0},
    },
)
SHELF = {  # every page is the whole catalogue, and something is bought from each
    "num_agents": 5,
    "slots": 30,
    "page": "rows",
    "action": "items",
    "choice": {"v_0": -50.0, "eta": 0.0, "kappa": 0.0},
    "feedback": {"b_0": 50.0},
}
LOGS: dict[str, tuple[str, dict[str, Any], str | None]] = {  # name -> origin, changes of the world, who fills the pages
    "free choice": ("free_choice", SHELF, None),
    "random pages": ("random_pages", {"action": "items"}, "random"),
    "pages of popularity": ("recommender", {}, "popularity"),
    "pages of content": ("recommender", {}, "content"),
    "pages of linucb": ("recommender", {}, "linucb"),
}


def purchases(config: WorldConfig, policy: str | None) -> pd.DataFrame:
    """The first `PURCHASES` of one long episode, one row each. Without a policy every page shows everything."""
    envs = recsys_env.vector_env(config, 1, horizon=LONGEST)
    team = None if policy is None else Team(envs, dict.fromkeys(envs.possible_agents, policy), SEED)
    actions = envs.empty_actions()
    if team is None:
        actions[0] = np.arange(actions[0].size).reshape(actions[0].shape)
    observations, _ = envs.reset(seed=SEED)
    rows: list[tuple[int, int, int]] = []
    for tick in range(LONGEST):
        if team is not None:
            team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        if team is not None:
            team.observe(infos, truncated)
        for _, n, k in np.argwhere(infos["bought"]):
            rows.append((int(infos["visitor"][0, n]), int(infos["shown"][0, n, k]), tick))
        if len(rows) >= PURCHASES:
            break
    customer, product, when = (np.array(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "customer": customer,
            "product": product,
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(when / when.max() * DAYS, unit="D"),
            "price": envs.world.items["price"][product].astype(float),
            "topic": envs.world.items["topic"][product],
        }
    )


def fitted(log: pd.DataFrame, origin: Any) -> WorldConfig:
    """Fit a world to a log, with one recommender as in the world of the log."""
    columns = {"user": "customer", "item": "product", "time": "when", "price": "price", "category": "topic"}
    none = dict.fromkeys(("quantity", "discount", "name"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecommenderLogWarning)  # what it warns about is measured here
        warnings.simplefilter("ignore", LogWarning)  # the prices of these worlds never change
        world = fit(log, origin=origin, columns={**columns, **none})
    return replace(world, {"num_agents": 1})


def scores(world: WorldConfig) -> dict[str, float]:
    """Mean individual reward per episode of every policy."""
    return {policy: float(episode_returns(world, policy, EPISODES, SEED).mean()) for policy in POLICIES}


def ranked(seed: int) -> dict[str, dict[str, float]]:
    """What each policy earns in a world, and in the worlds that are fitted to its logs."""
    world = replace(WORLD, {"world_seed": seed})
    found = {"the world itself": scores(world)}
    for name, (origin, changes, policy) in LOGS.items():
        found[name] = scores(fitted(purchases(replace(world, changes), policy), origin))
    return found


def orders(tables: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Kendall's tau of each world's log, by the name of the log."""
    found = {}
    for name, (origin, _, _) in LOGS.items():
        pairs = [[list(table[of].values()) for of in ("the world itself", name)] for table in tables.values()]
        found[name] = {"origin": origin, "tau": [float(kendalltau(*pair).statistic) for pair in pairs]}
    return found


def main() -> None:
    given = options(__doc__, worlds=WORLDS)
    settings = {
        "worlds": given.worlds,
        "policies": POLICIES,
        "purchases": PURCHASES,
        "episodes": EPISODES,
        "seed": SEED,
    }
    cells = {str(seed): partial(ranked, seed) for seed in given.worlds}
    measure("fit_origin", settings, cells, "scores", given.again, lambda scores: {"logs": orders(scores)})


if __name__ == "__main__":
    main()
