"""How well does the shipped grocery catalogue predict held-out purchases, and does its world resemble them?

    python -m benchmarks.studies.fit_report

Prediction: the 2,000 products are ranked for each household by the utility of the shipped arrays and by simpler scores.
The top 20 are compared with what the household bought in the four weeks after the training period.
World: the households of `grocery-v1` make as many purchases as in those weeks, and statistics of both are compared.
On a page of a few products the effect of the world cannot be told from that of the policy that chose them. Therefore in
one run each page holds the whole catalogue, which shows the world alone.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from recsys_env import WorldConfig, task_config
from recsys_env.catalogue import Catalogue
from recsys_env.fitting import complete_journey
from recsys_env.fitting.report.ranking import CUTOFF, HALF_LIVES, SEED, als, held_out_quality, scores_of
from recsys_env.fitting.report.realism import Bought, habits_of, shelf, simulate, statistics
from recsys_env.fitting.table import named_columns, tidy
from recsys_env.fitting.tastes import purchase_counts

from ..result_files import store

TASK = "grocery-v1"
POLICIES = ("random", "popularity", "content", "greedy")
SUBSETS = {"all": "all products", "new": "new to the household"}


def prediction(catalogue: Catalogue, training: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """Quality of every score and its paired difference from the fitted utility, for all and for newly bought
    products."""
    lines, _, _ = tidy(training, named_columns({"topic": "topic"}))
    shape = (len(catalogue.user_taste), len(catalogue.item_price))
    end, dims = float(lines["day"].max()), catalogue.item_vectors.shape[1]
    known, bought = purchase_counts(lines, shape, end, np.inf), purchases(held_out, training)
    taste = HALF_LIVES.taste_half_life
    scores = scores_of(catalogue, lines) | {
        "ALS": als(known, dims),
        f"ALS, half-life {taste:g} days": als(purchase_counts(lines, shape, end, taste), dims),
    }
    quality = held_out_quality(scores, known, bought)
    return {name: quality[subset] for subset, name in SUBSETS.items()}


def purchases(rows: pd.DataFrame, training: pd.DataFrame) -> csr_matrix:
    """Number of purchases [U, M] of the catalogue's households and products."""
    shape = (training["household_id"].nunique(), training["product_id"].nunique())
    return purchase_counts(_coded(rows, training).assign(day=0.0), shape, 0.0, np.inf)


def _coded(rows: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Rows of the catalogue's households, with the codes of the catalogue."""
    households, products = np.unique(training["household_id"]), np.unique(training["product_id"])
    rows = rows[rows["household_id"].isin(households)]
    return rows.assign(
        user=np.searchsorted(households, rows["household_id"]), item=np.searchsorted(products, rows["product_id"])
    )


def return_ratio(user: np.ndarray, label: np.ndarray, day: np.ndarray, lag: int) -> float:
    """How much likelier it is that a purchase is repeated `lag` trips later than after shuffling the user's trips."""
    trips = pd.DataFrame({"user": user, "day": np.floor(day)}).drop_duplicates().sort_values(["user", "day"])
    trips["shuffled"] = np.random.default_rng(SEED).random(len(trips))
    trips["observed"] = trips.groupby("user").cumcount()
    trips["shuffled"] = trips.groupby("user")["shuffled"].rank().astype(int) - 1
    trips["number"] = trips.groupby("user")["day"].transform("size")
    bought = (
        pd.DataFrame({"user": user, "day": np.floor(day), "label": label})
        .drop_duplicates()
        .merge(trips, on=["user", "day"])
    )
    pair = (bought["user"] * (label.max() + 1) + bought["label"]).to_numpy() * (bought["number"].max() + lag)
    rate = {}
    for order in ("observed", "shuffled"):
        key, possible = pair + bought[order].to_numpy(), (bought[order] + lag < bought["number"]).to_numpy()
        rate[order] = np.isin(key[possible] + lag, key).mean()
    return float(rate["observed"] / rate["shuffled"])


def all_statistics(catalogue: Catalogue, sample: Bought) -> dict[str, Any]:
    """What a simulation should reproduce, with whether a purchase fills a need.

    A ratio below 1 says that it does. The comparison with a later trip takes out phases in which something is bought.
    """
    topic = catalogue.item_topic[sample.item].astype(np.int64)
    return statistics(catalogue, sample) | {
        f"same {name} at the next trip ÷ three trips later, both ÷ shuffled": return_ratio(
            sample.user, label, sample.day, 1
        )
        / return_ratio(sample.user, label, sample.day, 3)
        for name, label in (("product", sample.item), ("topic", topic))
    }


def data_statistics(catalogue: Catalogue, rows: pd.DataFrame, training: pd.DataFrame) -> dict[str, Any]:
    """`all_statistics` of logged purchases of the catalogue's households and products."""
    rows = _coded(rows, training)
    when, user, item = rows["transaction_timestamp"], rows["user"].to_numpy(), rows["item"].to_numpy()
    day = ((when - when.min().normalize()) / pd.Timedelta(days=1)).to_numpy()
    paid = (rows["sales_value"] / rows["quantity"]).to_numpy()
    habit = habits_of((catalogue.habit_item, catalogue.habit_count), user, item)
    return all_statistics(catalogue, Bought(user, item, day, paid, habit))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    training, held_out = complete_journey.load()
    catalogue = Catalogue.load("grocery")
    quality = prediction(catalogue, training, held_out)
    year, weeks = (data_statistics(catalogue, rows, training) for rows in (training, held_out))
    trips = held_out.groupby(["household_id", held_out["transaction_timestamp"].dt.date])
    basket = len(held_out) / trips.ngroups
    world = task_config(TASK, {})
    worlds: dict[str, tuple[WorldConfig, str | None]] = {
        "shelf": (task_config(TASK, shelf(len(catalogue.item_price), basket)), None),
        **{policy: (world, policy) for policy in POLICIES},
    }
    simulated = {
        name: all_statistics(catalogue, simulate(config, policy, weeks["purchases"], weeks["days"]))
        for name, (config, policy) in worlds.items()
    }
    settings = {"seed": SEED, "cutoff": CUTOFF}
    report: dict[str, Any] = {
        "catalogue": {
            "source": catalogue.source,
            "settings": catalogue.settings,
            "bytes": complete_journey.PATH.stat().st_size,
        },
        "held-out purchases": quality,
        "purchases": {"data, training": year, "data, held out": weeks, **simulated},
    }
    path = store("fit_report", settings, report)
    for subset, table in quality.items():
        print(f"{subset:38s} {'NDCG@20':>26s} {'recall@20':>26s}   fitted - this (NDCG)")
        for name, q in table.items():
            numbers = (q["ndcg"], q["recall"], q["fitted minus this"]["ndcg"])
            cells = [f"{v['mean']:.4f} [{v['low']:.4f}, {v['high']:.4f}]" for v in numbers]
            print(f"  {name:36s} {cells[0]:>26s} {cells[1]:>26s}   {cells[2]}")
    for column, values in report["purchases"].items():
        print(column, values)
    print(path)


if __name__ == "__main__":
    main()
