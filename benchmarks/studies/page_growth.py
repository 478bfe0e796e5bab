"""How time and memory of a fit to a log of pages grow with the log.

    python -m benchmarks.studies.page_growth        # half an hour on one core

Each size is fitted in a process of its own, with the item vectors given or learned from the log. The logs are made up:
pages of five items at random, from which users with tastes choose by a logit. Seconds are those of `fit` alone, on one
core. The peak memory is that of the whole process, the log included.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from recsys_env.fitting import fit

from ..result_files import store
from .fit_growth import cost

ROWS, VECTORS = (100_000, 300_000, 1_000_000), ("given", "learned")
SLOTS, ROWS_PER_USER, ROWS_PER_ITEM, DIMS, SEED = 5, 300, 500, 8, 0
NONE, TASTE, APPEAL, ETA = 1.5, 3.0, 0.5, 0.8  # utils
WARM_UP = 10_000  # rows of a first fit, which compiles


def made_up_log(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A log of `rows` rows, and its table of items."""
    rng = np.random.default_rng(SEED)
    pages, users, items = rows // SLOTS, rows // ROWS_PER_USER, rows // ROWS_PER_ITEM
    vectors, tastes = (rng.standard_normal((number, DIMS)) for number in (items, users))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tastes *= TASTE / np.linalg.norm(tastes, axis=1, keepdims=True)
    appeal, user = APPEAL * rng.standard_normal(items) - NONE, rng.integers(users, size=pages)
    first = rng.integers(items, size=pages)[:, None]
    item = (first + np.arange(SLOTS) * (items // SLOTS)) % items  # [pages, SLOTS], all different
    utility = appeal[item] + np.einsum("pd,psd->ps", tastes[user], vectors[item]) - ETA * np.log1p(np.arange(SLOTS))
    utility = np.append(utility, np.zeros((pages, 1)), axis=1) + rng.gumbel(size=(pages, SLOTS + 1))
    log = pd.DataFrame(
        {
            "user": np.repeat(user, SLOTS),
            "item": item.ravel(),
            "page": np.repeat(np.arange(pages), SLOTS),
            "time": np.repeat(np.arange(pages), SLOTS),
            "position": np.tile(np.arange(1, SLOTS + 1), pages),
            "event": np.where(utility.argmax(axis=1)[:, None] == np.arange(SLOTS), "click", "none").ravel(),
        }
    )
    return log, pd.DataFrame({"item": np.arange(items), "vector": vectors.tolist()})


def measured(job: tuple[int, str]) -> dict[str, Any]:
    """Fit a log of `rows` rows; return what it takes and what it finds."""
    rows, vectors = job
    for number in (WARM_UP, rows):
        log, items = made_up_log(number)
        began = time.process_time()
        world = fit(log, origin="pages", items=items if vectors == "given" else None, dims=DIMS)
    return {
        **cost(rows, world, began),
        "vectors": vectors,
        "beta_taste": world.choice.beta_taste,
        "taste_error": world.page_log.standard_errors["choice.beta_taste"],
        "eta": world.choice.eta,
        "eta_error": world.page_log.standard_errors["choice.eta"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="sizes of the logs")
    rows = parser.parse_args().rows
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        logs = []
        for log in pool.map(measured, [(number, vectors) for number in rows for vectors in VECTORS]):
            print(f"{log['rows']:>9,} rows, vectors {log['vectors']}: {log['seconds']:6.1f} s", flush=True)
            logs.append(log)
    print(store("page_growth", {"rows": rows, "true taste": TASTE, "true eta": ETA, "seed": SEED}, {"logs": logs}))


if __name__ == "__main__":
    main()
