"""Do the customers of a world buy as the customers of the log do?

The world plays as many purchases as a period of the log has. Distributions of both are compared (total variation and
Kolmogorov-Smirnov distances), and a classifier is trained to tell a simulated purchase from a real one. Both are also
done with two sets of real purchases, which gives the floor: the distance that a perfect world would still have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ...batch.vector import VectorEnv
from ...checks import shown
from ...config import WorldConfig
from ...config.catalogue import Catalogue
from ...config.settings import replace
from ...libraries import library
from ...policies import Team
from ..tastes import largest_habits, purchase_counts

if TYPE_CHECKING:
    import pandas as pd

SEED = 0
MOST_TICKS = 1_000_000
MOST_SLOTS = 256  # of an agent, `WorldConfig.slots`
PURCHASES = 20_000  # that are compared; of a longer period, its first ones
SHELF_CELLS = 100_000_000  # purchases x items of a simulation on the whole catalogue
SHUFFLED = 5000  # purchases on which features are shuffled
FEWEST_VALUES = 20  # of a distribution that is compared
MARGINALS = {  # what is compared -> its meaning
    "item": "which items are bought",
    "topic": "which topics are bought",
    "list price": "list prices of what is bought",
    "paid / list": "price paid, relative to the item's list price",
    "purchases of a user": "purchases of a user in the period",
    "purchases of a visit": "purchases of a user in a day with purchases",
    "days between visits": "days from one day with purchases to the next",
    "days to a repeat": "days until a user buys the same item again, in another visit",
    "habit": "how often the user had bought the item before the period",
}


KINDS = ("item", "topic")  # of these, shares are compared
SAMPLES = ("world", "other users", "earlier")  # that are compared with the real purchases of half of the users


class Bought(NamedTuple):
    """Purchases of a period, one entry each, in order of time."""

    user: np.ndarray  # int64
    item: np.ndarray  # int64
    day: np.ndarray  # float64, from the start of the period
    paid: np.ndarray  # float64, price paid per unit
    habit: np.ndarray  # float64, n_uj: recency-weighted purchases of the item by the user before the period

    def of(self, chosen: np.ndarray) -> Bought:
        """The chosen entries."""
        return Bought(*(column[chosen] for column in self))


Describe: TypeAlias = Callable[[Catalogue, Any], Mapping[str, np.ndarray]]  # features [n] of the entries of a sample
Habits: TypeAlias = tuple[np.ndarray, np.ndarray]  # of each user: items [U, H] (-1 = none) and n_uj [U, H]


def habits_of(habits: Habits, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """n_uj of pairs of a user and an item; 0 if the item is not among the user's habits."""
    items, counts = habits
    return np.where(items[user] == item[:, None], counts[user], 0.0).sum(axis=1)


def bought(lines: pd.DataFrame, habits: Habits) -> Bought:
    """Tidy lines as purchases; day 0 is the date of the first one."""
    ordered = lines.sort_values("day", kind="stable")
    user, item = ordered["user"].to_numpy(), ordered["item"].to_numpy()
    date = (ordered["date"] - ordered["date"].iloc[0]).dt.days.to_numpy()
    passed = (ordered["day"] - ordered["day"].iloc[0]).to_numpy()
    day = np.maximum(passed + (date - passed).max(), date)  # so that its whole part is the date
    return Bought(user, item, day, ordered["paid"].to_numpy(), habits_of(habits, user, item))


def bought_after(lines: pd.DataFrame, old: np.ndarray, shape: tuple[int, int], half_life: float, size: int) -> Bought:
    """The tidy lines that are not `old` [rows] bool, with the habits that users had formed by the old ones."""
    rest = lines[~old]
    counts = purchase_counts(lines[old], shape, float(rest["day"].min()), half_life)
    return bought(rest, largest_habits(counts, size))


# ------------------------------------------------------------------------------------------------ simulation


def shelf(catalogue: Catalogue, basket: float) -> dict[str, Any]:
    """Overrides of a fitted world for a shop without a recommender.

    Every page is the whole catalogue without an order, something is bought from every page, so that habits fade as fast
    as from purchase to purchase, and a session has as many pages as a basket of the data has products.
    """
    items = len(catalogue.item_price)
    agents = -(-items // MOST_SLOTS)  # each shows a part of the catalogue
    return {
        "num_agents": agents,
        "slots": -(-items // agents),
        "page": "rows",
        "action": "items",
        "choice": {"v_0": -50.0, "eta": 0.0, "kappa": 0.0},
        "feedback": {"b_0": 50.0, "b_taste": 0.0},
        "users": {"habit_decay": catalogue.settings["users"]["habit_decay"]},
        "arrival": {"k_0": float(np.log(max(basket - 1, 1e-20))), "k_1": 0.0},
    }


def simulate(config: WorldConfig, policy: str | None, purchases: int, days: float) -> Bought:
    """The first `purchases` in one long episode of a world.

    A tick has no length of its own. It is given the one at which purchases per user and day equal those of the data. So
    the means agree by construction, and only the shapes are compared.

    Args:
        policy: of all agents; None = every page is the whole catalogue (`shelf`).
        days: length of the episode.

    Raises:
        ValueError: the world has no catalogue, or nothing was bought.
    """
    envs = VectorEnv(replace(config, {"horizon": MOST_TICKS}), 1)
    catalogue = envs.catalogue
    if catalogue is None:
        raise ValueError(f"config = {shown(config)} must be a world with a catalogue")
    actions = envs.empty_actions()
    team = None if policy is None else Team(envs, dict.fromkeys(envs.possible_agents, policy), SEED)
    if team is None:  # if the last agent has slots to spare, it repeats the last item there, which leaves holes
        shown_items = np.minimum(np.arange(actions[0].size), len(catalogue.item_price) - 1)
        actions[0] = shown_items.reshape(actions[0].shape)
    observations, _ = envs.reset(seed=SEED)
    log: list[tuple[int, int, int, float]] = []
    for tick in range(MOST_TICKS):
        if team is not None:
            team.act(observations, actions)
        visitor = int(envs.arrays.copies["visitor"][0])
        observations, _, _, truncated, infos = envs.step(actions)
        if team is not None:
            team.observe(infos, truncated)
        sold = infos["bought"][0]
        if sold.any():
            n, k = divmod(int(sold.argmax()), sold.shape[1])
            log.append((visitor, int(infos["shown"][0, n, k]), tick, float(infos["individual_reward"][0, n])))
        if len(log) == purchases:
            break
    if not log:
        raise ValueError(f"config = {shown(config)} is a world in which nothing is bought in {MOST_TICKS:,} ticks")
    user, item, when, margin = (np.array(column) for column in zip(*log, strict=True))
    paid = margin * float(catalogue.item_price.mean())  # a purchase is worth price / mean list price
    habits = catalogue.habit_item, catalogue.habit_count
    day = when / max(when.max(), 1) * days * len(log) / purchases
    return Bought(user, item, day, paid, habits_of(habits, user, item))


def visits_of(sample: Bought) -> pd.DataFrame:
    """Days with purchases of each user, and the purchases of the day."""
    frame = library("pandas", "fit").DataFrame({"user": sample.user, "day": np.floor(sample.day)})
    return frame.groupby(["user", "day"]).size().rename("size").reset_index()


# ------------------------------------------------------------------------------------------------ marginals


def marginals(catalogue: Catalogue, sample: Bought) -> dict[str, np.ndarray]:
    """The values [n] of each of `MARGINALS` in a sample of purchases."""
    list_price = catalogue.item_price.astype(float)[sample.item]
    visits = visits_of(sample)
    return {
        "item": sample.item,
        "topic": catalogue.item_topic[sample.item],
        "list price": list_price,
        "paid / list": np.round(sample.paid / list_price, 4),  # exact equality is a matter of rounding
        "purchases of a user": np.bincount(sample.user)[np.unique(sample.user)],
        "purchases of a visit": visits["size"].to_numpy(),
        "days between visits": visits.groupby("user")["day"].diff().dropna().to_numpy(),
        "days to a repeat": _since_last(sample)[1],
        "habit": sample.habit,
    }


def _since_last(sample: Bought) -> tuple[np.ndarray, np.ndarray]:
    """Days since the user last bought the item, in an earlier visit: of all purchases (NaN = not yet), and those that
    exist."""
    frame = library("pandas", "fit").DataFrame({"user": sample.user, "item": sample.item, "day": np.floor(sample.day)})
    visits = frame.drop_duplicates().sort_values(["user", "item", "day"])
    visits["gap"] = visits.groupby(["user", "item"])["day"].diff()
    gaps = frame.merge(visits, on=["user", "item", "day"], how="left")["gap"].to_numpy()
    return gaps, visits["gap"].dropna().to_numpy()


def distances(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Distance of the marginals of two samples, from 0 (equal) to 1: total variation for items and topics,
    Kolmogorov-Smirnov for numbers. None where a sample has fewer than `FEWEST_VALUES`, which differ by chance."""
    found: dict[str, float | None] = {}
    for name, a in ours.items():
        b = theirs[name]
        if min(len(a), len(b)) < FEWEST_VALUES:
            found[name] = None
        elif name in KINDS:
            kinds = int(max(a.max(), b.max())) + 1
            shares = (np.bincount(values, minlength=kinds) / len(values) for values in (a, b))
            found[name] = float(np.abs(np.subtract(*shares)).sum() / 2)
        else:
            values = np.concatenate([a, b])
            below = [np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (a, b)]
            found[name] = float(np.abs(np.subtract(*below)).max())
    return found


def compared(catalogue: Catalogue, values: Describe, real: Any, earlier: Any, simulated: Any) -> dict[str, Any]:
    """Distances of `SAMPLES` of the other half of the users from the real purchases or pages of half of the users.

    Args:
        values: the marginals of a sample.
        real, earlier, simulated: those of the held-out period, of the period before, and of the world.
    """
    half = halves(len(catalogue.user_taste))
    reference = values(catalogue, real.of(half[real.user]))
    found = {
        name: distances(reference, values(catalogue, sample.of(~half[sample.user])))
        for name, sample in zip(SAMPLES, (simulated, real, earlier), strict=True)
    }
    rows = {}
    for name in reference:
        row: dict[str, float | None] = {kind: of[name] for kind, of in found.items()}
        floors = [value for kind in SAMPLES[1:] if (value := row[kind]) is not None]
        rows[name] = {**row, "floor": max(floors, default=None)}
    return rows


# ------------------------------------------------------------------------------------------------ discriminator


def told_apart(catalogue: Catalogue, describe: Describe, real: Any, earlier: Any, simulated: Any) -> dict[str, Any]:
    """AUC of a classifier between simulated and real purchases or clicks; of one without its most telling feature; and
    between real ones of two periods."""
    found = importances(catalogue, simulated, real, describe)
    telling = next(iter(found))
    auc = partial(discriminate, catalogue, theirs=real, describe=describe)
    return {
        "auc": auc(simulated),
        "floor": auc(earlier),
        "features": found,
        "without": telling,
        "auc without": auc(simulated, without=(telling,)),
        "floor without": auc(earlier, without=(telling,)),
    }


def features(catalogue: Catalogue, sample: Bought) -> dict[str, np.ndarray]:
    """What is known of each purchase."""
    list_price = catalogue.item_price.astype(float)[sample.item]
    order = np.lexsort((sample.day, sample.user))
    visit = np.stack([sample.user, np.floor(sample.day).astype(np.int64)], axis=1)
    _, code, size = np.unique(visit, axis=0, return_inverse=True, return_counts=True)
    before = np.empty(len(order))
    before[order] = _number_before(sample.user[order])
    topic = catalogue.item_topic[sample.item].astype(np.int64)
    in_visit = np.unique(code.ravel() * (int(topic.max()) + 1) + topic, return_inverse=True, return_counts=True)
    found = {
        "popularity of the item": np.log1p(catalogue.item_popularity[sample.item]),
        "list price": np.log(list_price),
        "paid / list": np.round(sample.paid / list_price, 4),
        "topic's share of purchases": np.bincount(catalogue.item_topic, catalogue.item_popularity)[topic],
        "activity of the user": catalogue.user_activity[sample.user],
        "habit": sample.habit,
        "days since the same item": _since_last(sample)[0],
        "purchases of the visit": size[code.ravel()],
        "purchases of the topic in the visit": in_visit[2][in_visit[1].ravel()],
        "purchases of the user before": before,
    }
    return {name: np.asarray(values, float) for name, values in found.items()}


def _number_before(user: np.ndarray) -> np.ndarray:
    """For sorted users, the number of entries of the same user that come before each entry."""
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    return np.arange(len(user)) - np.repeat(starts, np.diff(np.r_[starts, len(user)]))


def discriminate(
    catalogue: Catalogue, ours: Any, theirs: Any, without: tuple[str, ...] = (), describe: Describe = features
) -> float:
    """How well a classifier tells two samples of purchases apart: its AUC, 0.5 by chance, 1 if it tells every purchase.

    It is trained on the purchases of half of the users and measured on those of the others, and the other way round.

    Args:
        ours, theirs: `Bought`, or what else `describe` takes and has the users of its entries.
        without: features that it does not see.
        describe: what is known of each entry.

    Source: Friedman 2001 (gradient boosting).
    """
    rows = _labelled(catalogue, ours, theirs, describe, without)
    metrics = library("sklearn.metrics", "fit")
    with one_thread():
        return float(
            np.mean(
                [metrics.roc_auc_score(label, model.predict_proba(x)[:, 1]) for model, x, label in _classifiers(*rows)]
            )
        )


def importances(catalogue: Catalogue, ours: Any, theirs: Any, describe: Describe = features) -> dict[str, float]:
    """What the classifier of `discriminate` goes by: for each feature the AUC that is lost if its values are shuffled,
    the most telling feature first.

    Source: Breiman 2001 (permutation importance).
    """
    inspection = library("sklearn.inspection", "fit")
    lost = []
    with one_thread():
        for model, x, label in _classifiers(*_labelled(catalogue, ours, theirs, describe)):
            some = np.random.default_rng(SEED).permutation(len(x))[:SHUFFLED]
            found = inspection.permutation_importance(
                model, x[some], label[some], scoring="roc_auc", n_repeats=2, random_state=SEED
            )
            lost.append(found.importances_mean)
    names, mean = list(describe(catalogue, ours)), np.mean(lost, axis=0)
    return {names[i]: float(mean[i]) for i in np.argsort(-mean, kind="stable")}


def _labelled(
    catalogue: Catalogue, ours: Any, theirs: Any, describe: Describe, without: tuple[str, ...] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [n, F] of the entries of two samples (-1 where they have none), which sample they are of, and which half
    of the users."""
    columns = [describe(catalogue, sample) for sample in (ours, theirs)]
    x = [np.stack([values for name, values in of.items() if name not in without], axis=1) for of in columns]
    half = halves(len(catalogue.user_taste))[np.concatenate([ours.user, theirs.user])]
    return np.nan_to_num(np.concatenate(x), nan=-1.0), np.repeat([0, 1], [len(ours.user), len(theirs.user)]), half


def _classifiers(x: np.ndarray, label: np.ndarray, half: np.ndarray) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """For each half of the users, a classifier trained on the other half, and features and labels to test it with."""
    ensemble = library("sklearn.ensemble", "fit")
    for test in (half, ~half):
        model = ensemble.HistGradientBoostingClassifier(max_iter=100, random_state=SEED)
        yield model.fit(x[~test], label[~test]), x[test], label[test]


def one_thread() -> Any:
    """More threads wait for each other on a busy machine."""
    library("sklearn.ensemble", "fit")  # first: the limit holds for the libraries that are loaded by then
    return library("threadpoolctl", "fit").threadpool_limits(1)


def halves(users: int) -> np.ndarray:
    """A random half [U] bool of the users."""
    return np.random.default_rng(SEED).permutation(users) < users // 2
