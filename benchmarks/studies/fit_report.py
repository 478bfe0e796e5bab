"""How well does a world fitted to Complete Journey predict held-out purchases, and does it resemble them?

    python -m benchmarks.studies.fit_report

Prediction: the 2,000 products are ranked for each household by the fitted utility and by simpler scores. The top 20 are
compared with what the household bought in the four weeks after the training period.
World: the households make as many purchases as in those weeks, and statistics of both are compared. On a page of a few
products the effect of the world cannot be told from that of the policy that chose them. Therefore in one run each page
holds the whole catalogue, which shows the world alone. Its first purchases are also shown to a classifier, which tells
them from as many held-out ones. The floor is how well it tells the last purchases of the training period from these.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from recsys_env import WorldConfig, replace
from recsys_env.config.catalogue import Catalogue
from recsys_env.fitting import complete_journey
from recsys_env.fitting.report.ranking import CUTOFF, HABIT_DAYS, SEED, als, held_out_quality, scores_of
from recsys_env.fitting.report.realism import (
    PURCHASES,
    Bought,
    bought_after,
    discriminate,
    habits_of,
    importances,
    shelf,
    simulate,
    visits_of,
)
from recsys_env.fitting.table import tidy
from recsys_env.fitting.tastes import purchase_counts

from ..result_files import store

POLICIES = ("random", "popularity", "content", "greedy")
SLOTS = 10  # of each of the two agents
TASTE_DAYS = 60.0  # half-life of purchases in a factorisation
HEAD = 20  # products that are bought most
SUBSETS = {"all": "all products", "new": "new to the household"}


def gini(values: np.ndarray) -> float:
    """Gini coefficient: 0 if all are equal, 1 if one has everything."""
    rank, ordered, n = np.arange(1, len(values) + 1), np.sort(values), len(values)
    return float(2 * (rank @ ordered) / (n * ordered.sum()) - (n + 1) / n)


def quantiles(values: Any) -> dict[str, float]:
    """The quantiles at 10, 25, 50, 75 and 90 %; none of no values."""
    return {str(q): float(np.quantile(values, q / 100)) for q in (10, 25, 50, 75, 90)} if len(values) else {}


def statistics(catalogue: Catalogue, sample: Bought) -> dict[str, Any]:
    """What a simulation should reproduce."""
    _, item, day, paid, habit = sample
    list_price, users = catalogue.item_price.astype(float), len(catalogue.user_taste)
    count = np.bincount(item, minlength=len(list_price))
    habits = catalogue.habit_item.shape[1]
    return {
        "days": float(day.max() - day.min()),
        "purchases": len(item),
        "item popularity Gini": gini(count),
        f"share of the {HEAD} most bought products": float(np.sort(count)[-HEAD:].sum() / len(item)),
        "user activity Gini": gini(np.bincount(visits_of(sample)["user"], minlength=users)),
        "list price": quantiles(list_price),
        "price paid / mean list price": quantiles(paid / list_price.mean()),
        "price paid / own list price": quantiles(paid / list_price[item]),
        "days between purchase days": quantiles(_gaps(sample)),
        "share bought before in the period by the same user, second half": _repeated(sample),
        f"share among the user's {habits} habits at the end of training": float((habit > 0).mean()),
    }


def _gaps(sample: Bought) -> np.ndarray:
    return visits_of(sample).groupby("user")["day"].diff().dropna().to_numpy()


def _repeated(sample: Bought) -> float:
    """Share of the purchases in the second half of the period that repeat an earlier one of the period."""
    frame = pd.DataFrame({"user": sample.user, "item": sample.item, "day": sample.day})
    frame = frame.sort_values("day", kind="stable")
    second_half = frame["day"] >= (frame["day"].min() + frame["day"].max()) / 2
    return float(frame.duplicated(["user", "item"])[second_half].mean())


def prediction(catalogue: Catalogue, lines: pd.DataFrame, later: csr_matrix) -> dict[str, Any]:
    """Quality of every score and its paired difference from the fitted utility, for all and for newly bought products.

    Args:
        lines: tidy lines of the training purchases.
        later: number of held-out purchases [U, M].
    """
    shape = (len(catalogue.user_taste), len(catalogue.item_price))
    end, dims = float(lines["day"].max()), catalogue.item_vectors.shape[1]
    known = purchase_counts(lines, shape, end, np.inf)
    scores = scores_of(catalogue, lines) | {
        "ALS": als(known, dims),
        f"ALS, half-life {TASTE_DAYS:g} days": als(purchase_counts(lines, shape, end, TASTE_DAYS), dims),
    }
    quality = held_out_quality(scores, known, later)
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


def logged(catalogue: Catalogue, rows: pd.DataFrame, training: pd.DataFrame) -> Bought:
    """Logged purchases of the catalogue's households and products."""
    rows = _coded(rows, training).sort_values("transaction_timestamp", kind="stable")
    when, user, item = rows["transaction_timestamp"], rows["user"].to_numpy(), rows["item"].to_numpy()
    day = ((when - when.min().normalize()) / pd.Timedelta(days=1)).to_numpy()
    paid = (rows["sales_value"] / rows["quantity"]).to_numpy()
    habit = habits_of((catalogue.habit_item, catalogue.habit_count), user, item)
    return Bought(user, item, day, paid, habit)


def discriminator(catalogue: Catalogue, simulated: Bought, real: Bought, lines: pd.DataFrame) -> dict[str, Any]:
    """How well a classifier tells the first simulated purchases from the first held-out ones, and by what."""
    lines = lines.sort_values("day", kind="stable")
    old = np.arange(len(lines)) < len(lines) - PURCHASES
    shape, size = (len(catalogue.user_taste), len(catalogue.item_price)), catalogue.habit_item.shape[1]
    last = bought_after(lines, old, shape, HABIT_DAYS, size)
    ours, theirs = (sample.of(np.arange(len(sample.user)) < PURCHASES) for sample in (simulated, real))
    return {
        "purchases": len(theirs.user),
        "auc": discriminate(catalogue, ours, theirs),
        "floor": discriminate(catalogue, last, theirs),
        "lost if shuffled": importances(catalogue, ours, theirs),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    training, held_out = complete_journey.load()
    world = complete_journey.fitted(training)
    catalogue = world.catalogue
    lines = tidy(training, {"category": "topic"}).lines
    quality = prediction(catalogue, lines, purchases(held_out, training))
    real = logged(catalogue, held_out, training)
    year, weeks = (all_statistics(catalogue, sample) for sample in (logged(catalogue, training, training), real))
    trips = held_out.groupby(["household_id", held_out["transaction_timestamp"].dt.date])
    basket = len(held_out) / trips.ngroups
    worlds: dict[str, tuple[WorldConfig, str | None]] = {
        "shelf": (replace(world, shelf(catalogue, basket)), None),
        **{policy: (replace(world, {"slots": SLOTS}), policy) for policy in POLICIES},
    }
    simulated = {
        name: simulate(config, policy, weeks["purchases"], weeks["days"]) for name, (config, policy) in worlds.items()
    }
    made = {name: all_statistics(catalogue, sample) for name, sample in simulated.items()}
    settings = {"seed": SEED, "cutoff": CUTOFF}
    report: dict[str, Any] = {
        "catalogue": {"source": catalogue.source, "settings": catalogue.settings},
        "held-out purchases": quality,
        "purchases": {"data, training": year, "data, held out": weeks, **made},
        "discriminator": discriminator(catalogue, simulated["shelf"], real, lines),
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
