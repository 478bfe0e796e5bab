"""How well does the shipped grocery catalogue predict the purchases it has not seen?

`python -m benchmarks.fit_report` ranks the 2,000 products for each household by the utility of the shipped arrays and by simpler
scores, and compares the top 20 with what the household bought in the four weeks after the training period. It also
prints statistics of the purchases. Both go to `benchmarks/results/fit_report.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

import recsys_env
from recsys_env.catalogue import Catalogue
from recsys_env.fitting import complete_journey, habit_matrix
from recsys_env.policies import make_policy

from .record import store

SEED = 0
SIMULATED_TICKS = 300_000
CUTOFF = 20
RESAMPLES = 2000
POPULARITY_HALF_LIFE, HABIT_HALF_LIFE = 7.0, 120.0  # days: the defaults of `fit`


def utility(catalogue: Catalogue) -> np.ndarray:
    """v [U, M] at list prices, from the arrays and settings of the catalogue alone: what the environment computes."""
    beta = catalogue.settings["choice"]
    log_price, topic = np.log(catalogue.item_price), catalogue.item_topic
    x = log_price - (np.bincount(topic, log_price) / np.bincount(topic))[topic]
    habit = habit_matrix(catalogue.habit_item, catalogue.habit_count, len(x))
    return (
        catalogue.item_intercept
        + beta["beta_taste"] * catalogue.user_taste @ catalogue.item_vectors.T
        - beta["beta_price"] * catalogue.user_price_sensitivity[:, None] * x
        + beta["beta_repeat"] * np.log1p(habit)
    )


def counts(rows: pd.DataFrame, households: np.ndarray, products: np.ndarray, half_life: float = np.inf) -> csr_matrix:
    """Purchases [U, M], each halved per `half_life` days before the last one."""
    age = (rows["transaction_timestamp"].max() - rows["transaction_timestamp"]) / pd.Timedelta(days=1)
    index = np.searchsorted(households, rows["household_id"]), np.searchsorted(products, rows["product_id"])
    return csr_matrix((0.5 ** (age.to_numpy() / half_life), index), shape=(len(households), len(products)))


def als(purchases: csr_matrix, dims: int) -> np.ndarray:
    """Raw scores [U, M] of the factorisation that `fit` starts from."""
    model = AlternatingLeastSquares(factors=dims, alpha=1.0, regularization=1.0, iterations=15, num_threads=1, random_state=SEED, use_gpu=False)
    model.fit(purchases.log1p().astype(np.float32), show_progress=False)
    return model.user_factors @ model.item_factors.T


def ranking_quality(score: np.ndarray, relevant: np.ndarray, allowed: np.ndarray) -> dict[str, np.ndarray]:
    """Recall and NDCG at `CUTOFF` of each household [U], ranking only `allowed` products; NaN without a relevant one.

    Arguments are [U, M]; relevance is binary.
    """
    relevant = relevant & allowed
    top = np.argsort(-np.where(allowed, score, -np.inf), axis=1, kind="stable")[:, :CUTOFF]
    hit, number = np.take_along_axis(relevant, top, axis=1), relevant.sum(axis=1)
    gain = 1 / np.log2(np.arange(2, CUTOFF + 2))
    best = np.concatenate([[np.nan], np.cumsum(gain)])[np.minimum(number, CUTOFF)]
    return {"recall": hit.sum(axis=1) / np.where(number > 0, number, np.nan), "ndcg": hit @ gain / best}


def interval(values: np.ndarray) -> dict[str, float]:
    """Mean over households and its 95 % bootstrap interval; the same resamples for every score."""
    values = values[np.isfinite(values)]
    draws = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "households": len(values)}


def prediction(catalogue: Catalogue, training: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """Quality of every score and the fitted utility's paired difference to it, on all and on newly bought products."""
    households, products = np.unique(training["household_id"]), np.unique(training["product_id"])
    purchases = counts(training, households, products)
    recent = counts(training, households, products, POPULARITY_HALF_LIFE)
    popularity = np.asarray(purchases.sum(axis=0)).ravel()
    recent_popularity = np.asarray(recent.sum(axis=0)).ravel()
    everyone = np.ones((len(households), 1))
    tie_break = 1e-9 * popularity  # orders the products that the household has never bought
    dims = catalogue.item_vectors.shape[1]
    scores = {
        "fitted utility": utility(catalogue),
        "popularity": everyone * popularity,
        "popularity, half-life 7 days": everyone * recent_popularity,
        "ALS": als(purchases, dims),
        "ALS, half-life 120 days": als(counts(training, households, products, HABIT_HALF_LIFE), dims),
        "repeat count": purchases.toarray() + tie_break,
        "repeat count, half-life 120 days": counts(training, households, products, HABIT_HALF_LIFE).toarray() + tie_break,
    }
    bought = counts(held_out[held_out["household_id"].isin(households)], households, products).toarray() > 0
    report: dict[str, Any] = {}
    for subset, allowed in (("all products", np.ones_like(bought)), ("new to the household", purchases.toarray() == 0)):
        quality = {name: ranking_quality(score, bought, allowed) for name, score in scores.items()}
        report[subset] = {
            name: {metric: interval(q[metric]) for metric in q}
            | {"fitted minus this": {metric: interval(quality["fitted utility"][metric] - q[metric]) for metric in q}}
            for name, q in quality.items()
        }
    return report


def gini(values: np.ndarray) -> float:
    """0 = all equal, 1 = one has everything."""
    rank, ordered, n = np.arange(1, len(values) + 1), np.sort(values), len(values)
    return float(2 * (rank @ ordered) / (n * ordered.sum()) - (n + 1) / n)


def quantiles(values: Any) -> dict[str, float]:
    return {str(q): float(np.quantile(values, q / 100)) for q in (10, 25, 50, 75, 90)}


def statistics(user: np.ndarray, item: np.ndarray, day: np.ndarray, paid: np.ndarray, list_price: np.ndarray) -> dict[str, Any]:
    """What a simulation should reproduce, from one entry per purchase: codes, day, price paid per unit; and `list_price` [M]."""
    visits = pd.DataFrame({"user": user, "day": np.floor(day)}).drop_duplicates().sort_values(["user", "day"])
    gap = visits.groupby("user")["day"].diff().dropna()
    pairs = pd.DataFrame({"user": user, "item": item, "day": day}).sort_values("day", kind="stable")
    second_half = pairs["day"] >= (pairs["day"].min() + pairs["day"].max()) / 2
    repeat = pairs.duplicated(["user", "item"])[second_half]
    return {
        "purchases": len(item),
        "item popularity Gini": gini(np.bincount(item, minlength=len(list_price))),
        "user activity Gini": gini(np.bincount(visits["user"])),
        "list price": quantiles(list_price),
        "price paid / mean list price": quantiles(paid / list_price.mean()),
        "price paid / own list price": quantiles(paid / list_price[item]),
        "days between purchase days": quantiles(gap),
        "share of purchases bought before by the same user, second half": float(repeat.mean()),
    }


def data_statistics(catalogue: Catalogue, training: pd.DataFrame) -> dict[str, Any]:
    """`statistics` of the purchases that the catalogue was fitted to."""
    when = training["transaction_timestamp"]
    days = float((when.max() - when.min()) / pd.Timedelta(days=1))
    return {"days": days} | statistics(
        user=np.unique(training["household_id"], return_inverse=True)[1],
        item=np.unique(training["product_id"], return_inverse=True)[1],
        day=((when - when.min().normalize()) / pd.Timedelta(days=1)).to_numpy(),
        paid=(training["sales_value"] / training["quantity"]).to_numpy(),
        list_price=catalogue.item_price.astype(float),
    )


def simulated_statistics(catalogue: Catalogue, purchases_per_day: float) -> dict[str, Any]:
    """`statistics` of purchases in one long episode of `grocery-v0` under the content policy.

    A tick has no length of its own: it is given the one that makes purchases per household and day those of the data, so the
    means agree by construction and only the shapes are compared.
    """
    envs = recsys_env.vector_env("grocery-v0", 1, horizon=SIMULATED_TICKS)
    team = [make_policy("content") for _ in envs.possible_agents]
    for agent, policy in zip(envs.possible_agents, team, strict=True):
        policy.bind(envs, agent, SEED)
    observations, _ = envs.reset(seed=SEED)
    log: list[tuple[int, int, int, float]] = []
    for tick in range(SIMULATED_TICKS):
        observations, _, _, _, infos = envs.step(np.stack([policy.act(observations[:, n]) for n, policy in enumerate(team)], axis=1))
        if infos["bought"].any():
            n, k = np.argwhere(infos["bought"][0])[0]
            log.append((int(infos["visitor"][0, n]) >> 20, int(infos["shown"][0, n, k]), tick, float(infos["own"][0, n])))
    place, item, when, margin = (np.array(column) for column in zip(*log, strict=True))
    days = len(log) / len(catalogue.user_taste) / purchases_per_day
    user = np.unique(place, return_inverse=True)[1]
    paid = margin * float(catalogue.item_price.mean())  # the task pays exactly price / mean list price
    return statistics(user, item, when / SIMULATED_TICKS * days, paid, catalogue.item_price.astype(float)) | {"days": days, "ticks": SIMULATED_TICKS}


def main() -> None:
    training, held_out = complete_journey.load()
    catalogue = Catalogue.load("grocery")
    with threadpool_limits(1, "blas"):
        quality = prediction(catalogue, training, held_out)
    report: dict[str, Any] = {
        "seed": SEED,
        "catalogue": {"source": catalogue.source, "settings": catalogue.settings, "bytes": complete_journey.PATH.stat().st_size},
        "cutoff": CUTOFF,
        "held-out purchases": quality,
        "data": (data := data_statistics(catalogue, training)),
        "simulated": simulated_statistics(catalogue, data["purchases"] / len(catalogue.user_taste) / data["days"]),
    }
    path = store("fit_report", "benchmarks.fit_report", report)
    for subset, table in quality.items():
        print(f"{subset:38s} {'NDCG@20':>26s} {'recall@20':>26s}   fitted - this (NDCG)")
        for name, q in table.items():
            numbers = (q["ndcg"], q["recall"], q["fitted minus this"]["ndcg"])
            cells = [f"{v['mean']:.4f} [{v['low']:.4f}, {v['high']:.4f}]" for v in numbers]
            print(f"  {name:36s} {cells[0]:>26s} {cells[1]:>26s}   {cells[2]}")
    for name, value in report["data"].items():
        print(f"{name}: data {value}, simulated {report['simulated'][name]}")
    print(path)


if __name__ == "__main__":
    main()
