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
from threadpoolctl import threadpool_limits

import recsys_env
from recsys_env.catalogue import Catalogue
from recsys_env.fitting import complete_journey
from recsys_env.fitting.tastes import als_factors, habit_matrix
from recsys_env.policies import make_policy

from ..result_files import store

SEED = 0
MOST_TICKS = 1_000_000
POLICIES = ("random", "popularity", "content", "greedy")
SHELF_AGENTS = 8  # each shows an eighth of the catalogue
CUTOFF = 20
RESAMPLES = 2000
POPULARITY_HALF_LIFE, TASTE_HALF_LIFE, HABIT_HALF_LIFE = 7.0, 60.0, 120.0  # days: the defaults of `fit`


def utility(catalogue: Catalogue) -> np.ndarray:
    """v [U, M] at list prices, from the arrays and settings of the catalogue alone, as the environment computes it."""
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
    """Purchases [U, M]. Each counts half for every `half_life` days before the last one."""
    age = (rows["transaction_timestamp"].max() - rows["transaction_timestamp"]) / pd.Timedelta(days=1)
    index = np.searchsorted(households, rows["household_id"]), np.searchsorted(products, rows["product_id"])
    return csr_matrix((0.5 ** (age.to_numpy() / half_life), index), shape=(len(households), len(products)))


def als(purchases: csr_matrix, **options: Any) -> np.ndarray:
    """Raw scores [U, M] of the factorisation that `fit` starts from, or of another one."""
    users, items = als_factors(purchases, **options)
    return users @ items.T


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
    """Mean over households and its 95 % bootstrap interval, with the same resamples for every score."""
    values = values[np.isfinite(values)]
    draws = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "households": len(values)}


def prediction(catalogue: Catalogue, training: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """Quality of every score and its paired difference from the fitted utility, for all and for newly bought
    products."""
    households, products = np.unique(training["household_id"]), np.unique(training["product_id"])
    purchases = counts(training, households, products)
    recent = counts(training, households, products, POPULARITY_HALF_LIFE)
    habits = counts(training, households, products, HABIT_HALF_LIFE)
    popularity = np.asarray(purchases.sum(axis=0)).ravel()
    recent_popularity = np.asarray(recent.sum(axis=0)).ravel()
    everyone = np.ones((len(households), 1))
    tie_break = 1e-9 * popularity  # orders the products that the household has never bought
    dims = catalogue.item_vectors.shape[1]
    scores = {
        "fitted utility": utility(catalogue),
        "popularity": everyone * popularity,
        "popularity, half-life 7 days": everyone * recent_popularity,
        "ALS": als(purchases, dims=dims),
        "ALS, half-life 60 days": als(counts(training, households, products, TASTE_HALF_LIFE), dims=dims),
        "ALS, half-life 120 days, 16 factors, weakly regularised": als(habits, dims=16, alpha=1.0, regularization=1.0),
        "repeat count": purchases.toarray() + tie_break,
        "repeat count, half-life 120 days": habits.toarray() + tie_break,
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
    """Gini coefficient: 0 if all are equal, 1 if one has everything."""
    rank, ordered, n = np.arange(1, len(values) + 1), np.sort(values), len(values)
    return float(2 * (rank @ ordered) / (n * ordered.sum()) - (n + 1) / n)


def quantiles(values: Any) -> dict[str, float]:
    return {str(q): float(np.quantile(values, q / 100)) for q in (10, 25, 50, 75, 90)}


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


def statistics(
    catalogue: Catalogue, user: np.ndarray, item: np.ndarray, day: np.ndarray, paid: np.ndarray
) -> dict[str, Any]:
    """What a simulation should reproduce, from one entry per purchase: user and item codes, day, price paid per
    unit."""
    list_price, users = catalogue.item_price.astype(float), len(catalogue.user_taste)
    visits = pd.DataFrame({"user": user, "day": np.floor(day)}).drop_duplicates().sort_values(["user", "day"])
    gap = visits.groupby("user")["day"].diff().dropna()
    pairs = pd.DataFrame({"user": user, "item": item, "day": day}).sort_values("day", kind="stable")
    second_half = pairs["day"] >= (pairs["day"].min() + pairs["day"].max()) / 2
    repeat = pairs.duplicated(["user", "item"])[second_half]
    count = np.bincount(item, minlength=len(list_price))
    habit = habit_matrix(catalogue.habit_item, catalogue.habit_count, len(list_price))
    topic = catalogue.item_topic[item].astype(np.int64)
    return {
        "days": float(day.max() - day.min()),
        "purchases": len(item),
        "item popularity Gini": gini(count),
        "share of the 20 most bought products": float(np.sort(count)[-20:].sum() / len(item)),
        "user activity Gini": gini(np.bincount(visits["user"], minlength=users)),
        "list price": quantiles(list_price),
        "price paid / mean list price": quantiles(paid / list_price.mean()),
        "price paid / own list price": quantiles(paid / list_price[item]),
        "days between purchase days": quantiles(gap),
        "share bought before in the period by the same user, second half": float(repeat.mean()),
        "share among the user's 64 habits at the end of training": float((habit[user, item] > 0).mean()),
        # below 1: a purchase fills a need; the comparison with a later trip takes out phases in which something is
        # bought
        **{
            f"same {name} at the next trip ÷ three trips later, both ÷ shuffled": return_ratio(user, label, day, 1)
            / return_ratio(user, label, day, 3)
            for name, label in (("product", item), ("topic", topic))
        },
    }


def data_statistics(catalogue: Catalogue, rows: pd.DataFrame, training: pd.DataFrame) -> dict[str, Any]:
    """`statistics` of logged purchases of the catalogue's households and products."""
    households, products = np.unique(training["household_id"]), np.unique(training["product_id"])
    rows = rows[rows["household_id"].isin(households)]
    when = rows["transaction_timestamp"]
    return statistics(
        catalogue,
        user=np.searchsorted(households, rows["household_id"]),
        item=np.searchsorted(products, rows["product_id"]),
        day=((when - when.min().normalize()) / pd.Timedelta(days=1)).to_numpy(),
        paid=(rows["sales_value"] / rows["quantity"]).to_numpy(),
    )


def simulated_statistics(
    catalogue: Catalogue, policy: str, purchases: int, days: float, **overrides: Any
) -> dict[str, Any]:
    """`statistics` of the first `purchases` in one long episode of `grocery-v1`. The policy "shelf" shows everything.

    A tick has no length of its own. It is given the one at which purchases per household and day equal those of the
    data. So the means agree by construction, and only the shapes are compared.
    """
    envs = recsys_env.vector_env("grocery-v1", 1, horizon=MOST_TICKS, **overrides)
    whole = np.arange(len(catalogue.item_price)).reshape(1, envs.num_agents, -1) if policy == "shelf" else None
    team = [] if policy == "shelf" else [make_policy(policy) for _ in envs.possible_agents]
    for agent, member in zip(envs.possible_agents, team, strict=False):
        member.bind(envs, agent, SEED)
    observations, _ = envs.reset(seed=SEED)
    log: list[tuple[int, int, int, float]] = []
    for tick in range(MOST_TICKS):
        actions = (
            whole
            if whole is not None
            else np.stack([member.act(observations[:, n]) for n, member in enumerate(team)], axis=1)
        )
        household = int(envs.arrays.copies["visitor"][0])
        observations, _, _, _, infos = envs.step(actions)
        bought = infos["bought"][0]
        if bought.any():
            n, k = divmod(int(bought.argmax()), bought.shape[1])
            log.append((household, int(infos["shown"][0, n, k]), tick, float(infos["individual_reward"][0, n])))
        if len(log) == purchases:
            break
    user, item, when, margin = (np.array(column) for column in zip(*log, strict=True))
    paid = margin * float(catalogue.item_price.mean())  # the task pays exactly price / mean list price
    return statistics(catalogue, user, item, when / when.max() * days * len(log) / purchases, paid)


def shelf(catalogue: Catalogue, basket: float) -> dict[str, Any]:
    """Overrides of `grocery-v1` for a shop without a recommender.

    Every page is the whole catalogue without an order, something is bought from every page, and a session has as many
    pages as a basket of the data has products.
    """
    return {
        "num_agents": SHELF_AGENTS,
        "slots": len(catalogue.item_price) // SHELF_AGENTS,
        "page": "rows",
        "action": "items",
        "choice": {"v_0": -50.0, "eta": 0.0, "kappa": 0.0},
        "feedback": {"b_0": 50.0, "b_taste": 0.0},
        "arrival": {"k_0": float(np.log(basket - 1)), "k_1": 0.0},
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    training, held_out = complete_journey.load()
    catalogue = Catalogue.load("grocery")
    with threadpool_limits(1, "blas"):
        quality = prediction(catalogue, training, held_out)
    year, weeks = (data_statistics(catalogue, rows, training) for rows in (training, held_out))
    trips = held_out.groupby(["household_id", held_out["transaction_timestamp"].dt.date])
    basket = len(held_out) / trips.ngroups
    overrides = {"shelf": shelf(catalogue, basket), **{policy: {} for policy in POLICIES}}
    simulated = {}
    for policy, changes in overrides.items():
        simulated[policy] = simulated_statistics(catalogue, policy, weeks["purchases"], weeks["days"], **changes)
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
