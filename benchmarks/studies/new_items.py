"""Do texts place products that nobody has bought yet?

    python -m benchmarks.studies.new_items

A fifth of the products of `grocery-v1` is left out of the log. The rest is fitted, the products that were left out are
placed by their texts (`fit(new_items=...)`), and they are ranked for each household. This is done five times, so that
each product is left out once. A good ranking finds what the household bought of them in the four weeks after the
training period.

The rankings use what is known of a product before anybody has bought it: nothing, the popularity of its topic, or its
text. For comparison, two rankings use the product's own purchases: its popularity, and the taste vectors of the shipped
catalogue, which were fitted to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from recsys_env.config.catalogue import Catalogue
from recsys_env.fitting import complete_journey, fit
from recsys_env.fitting.report.ranking import CUTOFF, interval, ranking_quality, utility
from recsys_env.language.encoders import HASHING, MINILM

from ..result_files import store
from .fit_report import purchases
from .study import options

FOLDS = 5
ENCODERS = (HASHING, MINILM)
TOPIC = "popularity of the topic"  # what texts have to beat


def shelf(training: pd.DataFrame) -> pd.DataFrame:
    """A row per product: its labels and the price of one unit before discount."""
    price = (training["sales_value"] + training["retail_disc"]) / training["quantity"]
    rows = training.assign(price=price).groupby("product_id")
    return pd.concat((rows[["topic", "name", "text", "domain"]].first(), rows["price"].median()), axis=1).reset_index()


def rankings(
    training: pd.DataFrame, products: np.ndarray, out: np.ndarray, encoders: tuple[str, ...], seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Scores [U, M'] of the products that are left out (out [M] bool), by each kind of ranking."""
    rest = training[~training["product_id"].isin(products[out])]
    items = shelf(training)
    new = items[out].rename(columns={"price": "sales_value"})
    households, shape = training["household_id"].nunique(), (training["household_id"].nunique(), int(out.sum()))
    popularity = training.groupby("product_id").size().to_numpy()
    of_topic = items.assign(count=popularity)[~out].groupby("topic")["count"].mean()
    shipped = Catalogue.load("grocery")
    yield "random", np.random.default_rng(seed).random(shape)
    yield TOPIC, np.tile(items["topic"].map(of_topic).fillna(0.0).to_numpy()[out], (households, 1))
    for encoder in encoders:
        columns = {"category": "topic", "name": "name", "text": "text", "domain": "domain"}
        placed = fit(
            rest, origin="free_choice", columns=columns, dims=complete_journey.DIMS, new_items=new, text=encoder
        ).catalogue
        rows = _rows(rest, training)  # the taste of households that bought nothing else is unknown
        for name, score in (("taste", placed.user_taste @ placed.item_vectors.T), ("utility", utility(placed))):
            known = np.tile(score[:, -shape[1] :].mean(0), (households, 1))
            known[rows] = score[:, -shape[1] :]
            yield f"text, {encoder}: {name}", known
    yield "its own popularity", np.tile(popularity[out].astype(float), (households, 1))
    yield "its own purchases: taste", (shipped.user_taste @ shipped.item_vectors.T)[:, out]


def _rows(rest: pd.DataFrame, training: pd.DataFrame) -> np.ndarray:
    return np.searchsorted(np.unique(training["household_id"]), np.unique(rest["household_id"]))


def measured(folds: int, encoders: tuple[str, ...]) -> dict[str, Any]:
    """Quality of each ranking. A household counts by its mean over the folds in which it bought products that were left
    out."""
    training, held_out = complete_journey.load()
    products = np.unique(training["product_id"])
    bought = purchases(held_out, training).toarray() > 0
    fold = np.random.default_rng(0).permutation(len(products)) % FOLDS
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for k in range(folds):
        out = fold == k
        for name, score in rankings(training, products, out, encoders, seed=k):
            quality = ranking_quality(score, bought[:, out], np.ones_like(bought[:, out]))
            for metric, values in quality.items():
                found.setdefault(name, {}).setdefault(metric, []).append(values)
            print(
                k, name, {metric: round(float(np.nanmean(values)), 4) for metric, values in quality.items()}, flush=True
            )
    means = {name: {m: _mean(values) for m, values in of.items()} for name, of in found.items()}
    return {
        "rankings": {
            name: {m: interval(values) for m, values in of.items()}
            | {f"minus {TOPIC}": {m: interval(values - means[TOPIC][m]) for m, values in of.items()}}
            for name, of in means.items()
        }
    }


def _mean(folds: list[np.ndarray]) -> np.ndarray:
    """Mean over the folds that have a value; NaN for households without any."""
    values = np.array(folds)
    there = np.isfinite(values)
    return np.where(there, values, 0).sum(0) / np.where(there.any(0), there.sum(0), np.nan)


def main() -> None:
    given = options(__doc__, folds=FOLDS, encoders=ENCODERS)
    settings = {"folds": given.folds, "encoders": list(given.encoders), "cutoff": CUTOFF}
    print(store("new_items", settings, measured(given.folds, tuple(given.encoders))))


if __name__ == "__main__":
    main()
