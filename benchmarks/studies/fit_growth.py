"""How time and memory of a fit grow with the log.

    python -m benchmarks.studies.fit_growth        # some minutes on one core

Each size is fitted in a process of its own. The logs are made up: users have favourite topics and habitual products,
popularity is heavy-tailed, and prices are cut from week to week. Seconds are those of `fit` alone, on one core. The
peak memory is that of the whole process, the log included.
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from recsys_env.fitting import fit

from ..result_files import store
from .study import options

ROWS = (100_000, 300_000, 1_000_000)
ROWS_PER_USER, ROWS_PER_ITEM, TOPICS, DAYS, SEED = 10, 50, 20, 180, 0
HABITS, HABITUAL = 5, 0.5  # products that a user is used to, and the share of purchases that are one of them
FAVOURITES = 0.7  # share of the other purchases that are from the user's favourite topic
CUT, PROMOTED, ELASTICITY = 0.7, 0.2, 1.5


def made_up_log(rows: int) -> pd.DataFrame:
    """Purchases of a tenth as many users and a fiftieth as many items, one row each."""
    rng = np.random.default_rng(SEED)
    users, items = rows // ROWS_PER_USER, rows // ROWS_PER_ITEM
    by_topic, favourite = items // TOPICS, rng.integers(TOPICS, size=users)
    habits = _popular(rng, (users, HABITS), by_topic) * TOPICS + favourite[:, None]
    price = np.exp(rng.normal(1.0, 0.5, items))
    promoted = rng.random((items, DAYS // 7 + 1)) < PROMOTED

    offered = 2 * rows  # offers at the list price are declined more often than those at the lower one
    user, day = rng.integers(users, size=offered), rng.integers(DAYS, size=offered)
    topic = np.where(rng.random(offered) < FAVOURITES, favourite[user], rng.integers(TOPICS, size=offered))
    item = _popular(rng, offered, by_topic) * TOPICS + topic
    item = np.where(rng.random(offered) < HABITUAL, habits[user, rng.integers(HABITS, size=offered)], item)
    cheap = promoted[item, day // 7]
    bought = np.flatnonzero(cheap | (rng.random(offered) < CUT**ELASTICITY))[:rows]
    user, item, day, cheap = user[bought], item[bought], day[bought], cheap[bought]
    return pd.DataFrame(
        {
            "household_id": user,
            "product_id": item,
            "transaction_timestamp": pd.Timestamp("2026-01-01") + pd.to_timedelta(day, unit="D"),
            "sales_value": price[item] * np.where(cheap, CUT, 1.0),
            "retail_disc": price[item] * np.where(cheap, 1.0 - CUT, 0.0),
            "product_category": item % TOPICS,
        }
    )


def _popular(rng: np.random.Generator, size: int | tuple[int, int], number: int) -> np.ndarray:
    """Numbers below `number`, small ones more often: as by Zipf's law, cut off."""
    draws: np.ndarray = np.minimum(number ** rng.random(size) - 1.0, number - 1).astype(int)
    return draws


def measured(rows: int) -> dict[str, Any]:
    """Fit a log of `rows` rows; return what it takes and what it finds."""
    log = made_up_log(rows)
    began = time.process_time()
    world = fit(log, origin="free_choice", columns={"quantity": None, "name": None})
    return {
        "rows": rows,
        "users": world.log.users,
        "items": world.log.items,
        "seconds": time.process_time() - began,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "weight_users": world.log.weight_users,
        "weight_purchases": world.log.weight_purchases,
        "beta_taste": world.choice.beta_taste,
        "taste_error": world.log.taste_error,
    }


def main() -> None:
    given = options(__doc__, rows=ROWS)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        logs = list(pool.map(measured, given.rows))
    for log in logs:
        print(f"{log['rows']:>9,} rows {log['seconds']:6.1f} s {log['peak_bytes'] / 2**30:5.2f} GiB")
    print(store("fit_growth", {"rows": given.rows, "seed": SEED}, {"logs": logs}))


if __name__ == "__main__":
    main()
