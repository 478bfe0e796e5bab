"""How well does a world predict later clicks? Log-loss, AUC and calibration, beside simple methods and boosting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...config.catalogue import Catalogue
from ...evaluation.statistics import errors_of_95
from ...libraries import library
from ..choice_model import ChoiceModel
from ..logistic import logistic, sigmoid
from ..page_world import PageFitSettings, page_habits
from ..prices import mean_by
from .ranking import FITTED, USERS
from .realism import one_thread
from .split import PageSplit

SEED = 0
RESAMPLES = 200
PRIOR = 20  # shown items, as many of which at the mean rate are added to those of an item or user
BOOSTED = 200_000  # shown items that boosting is trained on, the last ones
ITERATIONS = 200  # of boosting, which stops earlier if it no longer improves
LAST = 256  # position from which on all count as one
BINS = 10  # of the calibration error
SMALLEST = 1e-6  # probability
RIDGE = 1e-6  # of logistic regressions
BOOSTING = "gradient boosting"


class Shown(NamedTuple):
    """Shown items of some pages, one entry each, in order of user, time and position; numbers are the catalogue's."""

    page: np.ndarray  # [R] 0, 1, ..
    user: np.ndarray
    item: np.ndarray
    rank: np.ndarray  # 1 = first; 1 everywhere if the log does not say
    price: np.ndarray  # price asked; list price if the log does not say
    habit: np.ndarray  # n_uj before the page
    propensity: np.ndarray  # empty if the log does not say
    clicked: np.ndarray  # bool; of a page with several clicks, the first
    order: np.ndarray  # number of the page in order of time

    @property
    def first_row(self) -> np.ndarray:
        """[P + 1] where the rows of each page begin."""
        return np.searchsorted(self.page, np.arange(self.page[-1] + 2))

    @property
    def page_order(self) -> np.ndarray:
        """[P] number of each page in order of time."""
        return self.order[self.first_row[:-1]]

    def of(self, pages: np.ndarray) -> Shown:
        """The entries of some pages [P] bool."""
        rows = pages[self.page]
        kept = Shown(*(column[rows] if len(column) else column for column in self))
        return kept._replace(page=(np.cumsum(pages) - 1)[kept.page])

    def of_some_users(self) -> Shown:
        """The entries of at most `USERS` users, at random."""
        users = np.unique(self.user)
        some = np.random.default_rng(SEED).permutation(users)[:USERS]
        return self.of(np.isin(self.user[self.first_row[:-1]], some))


def shown_items(log: PageSplit, catalogue: Catalogue, settings: PageFitSettings, pages: np.ndarray) -> Shown:
    """The items that some pages of a log show.

    Args:
        catalogue: fitted to the first part of the log, with these settings.
        pages: [P] bool; their users and items are in the catalogue.
    """
    whole = log.whole
    rows = pages[whole.page]
    item = log.item[whole.item[rows]]
    chosen = np.zeros(len(whole.item), bool)
    chosen[whole.chosen[whole.chosen >= 0]] = True
    ones = np.ones(len(whole.item))
    return Shown(
        page=(np.cumsum(pages) - 1)[whole.page[rows]],
        user=log.user[whole.user][whole.page[rows]],
        item=item,
        rank=(ones if whole.rank is None else whole.rank)[rows],
        price=catalogue.item_price.astype(float)[item] if whole.price is None else whole.price[rows],
        habit=np.expm1(page_habits(whole, settings)[0][rows]),
        propensity=np.zeros(0) if whole.propensity is None else whole.propensity[rows],
        clicked=chosen[rows],
        order=log.order[whole.page[rows]],
    )


# ------------------------------------------------------------------------------------------------ the world


def coefficients(catalogue: Catalogue, users: np.ndarray | None = None) -> np.ndarray:
    """Weights [U, D + 1] that each user gives the numbers of an item's vector, and minus its log price.

    Args:
        users: [U, d] of a `ChoiceModel`, such as its `centres`; None: the people of the world.
    """
    beta, dims = catalogue.settings["choice"], catalogue.item_vectors.shape[1]
    price = beta.get("beta_price", 0.0)
    if users is None:
        taste, of_price = beta["beta_taste"] * catalogue.user_taste, price * catalogue.user_price_sensitivity
    else:
        taste = users[:, :dims]
        of_price = price + (users[:, dims] if users.shape[1] > dims else np.zeros(len(taste)))
    return np.column_stack([taste, of_price]).astype(float)


def expected_clicks(catalogue: Catalogue, model: ChoiceModel, rows: Shown) -> np.ndarray:
    """P(click) [R] of each shown item, given all that is known of the users' weights: the mean over posterior draws of
    these."""
    total = np.zeros(len(rows.item))
    for users in model.sampled:
        total += click_probabilities(catalogue, coefficients(catalogue, users), rows)
    return total / len(model.sampled)


def log_price(catalogue: Catalogue, item: np.ndarray, price: np.ndarray) -> np.ndarray:
    """x of prices asked, relative to the geometric mean list price of the item's topic."""
    topic = catalogue.item_topic
    level = mean_by(topic, np.log(catalogue.item_price.astype(float)))
    found: np.ndarray = np.log(price) - level[topic[item]]
    return found


def utilities(catalogue: Catalogue, weights: np.ndarray, rows: Shown) -> np.ndarray:
    """Utility [R] of each shown item at its position, minus that of choosing nothing, by the equations of the
    environment, for users with these weights (`coefficients`)."""
    beta = catalogue.settings["choice"]
    own = weights[rows.user]
    found: np.ndarray = (
        catalogue.item_intercept.astype(float)[rows.item]
        + np.einsum("rd,rd->r", own[:, :-1], catalogue.item_vectors[rows.item].astype(float))
        - own[:, -1] * log_price(catalogue, rows.item, rows.price)
        + beta["beta_repeat"] * np.log1p(rows.habit)
        - beta["eta"] * np.log(rows.rank)
        + np.log1p(beta["kappa"]) * (rows.rank == 1)
        - beta["v_0"]
    )
    return found


def click_probabilities(catalogue: Catalogue, weights: np.ndarray, rows: Shown) -> np.ndarray:
    """P(click) [R] of each shown item in a world, for users with these weights."""
    v = utilities(catalogue, weights, rows)
    first = rows.first_row[:-1]
    largest = np.maximum(np.maximum.reduceat(v, first), 0.0)
    weight = np.exp(v - largest[rows.page])
    total = np.add.reduceat(weight, first) + np.exp(-largest)
    found: np.ndarray = weight / total[rows.page]
    return found


# ------------------------------------------------------------------------------------------------ other methods


def predictions(catalogue: Catalogue, model: ChoiceModel, before: Shown, later: Shown) -> dict[str, np.ndarray]:
    """P(click) of each later shown item, by the fitted world, by simple methods, and by boosting.

    All are fitted to the earlier shown items.

    Source: Friedman 2001 (gradient boosting).
    """
    by_position = position_rates(before, later.rank)
    return {
        FITTED: expected_clicks(catalogue, model, later),
        "click rate of the position": by_position,
        "click rates of item and position": appeals(before, len(catalogue.item_price))[later.item] * by_position,
        "popularity": _by_popularity(np.log1p(catalogue.item_popularity.astype(float)), before, later),
        BOOSTING: _boosted(catalogue, before, later),
    }


def position_rates(rows: Shown, rank: np.ndarray) -> np.ndarray:
    """Clicks per shown item at some positions, drawn towards the mean where little was shown; one rate stands for all
    positions that are far down."""
    position, wanted = (np.minimum(ranks, LAST).astype(np.int64) for ranks in (rows.rank, rank))
    clicks, shown = np.bincount(position, rows.clicked, LAST + 1), np.bincount(position, minlength=LAST + 1)
    found: np.ndarray = ((clicks + PRIOR * rows.clicked.mean()) / (shown + PRIOR))[wanted]
    return found


def appeals(rows: Shown, items: int) -> np.ndarray:
    """Clicks of each item [M] relative to the click rates of the positions where it was shown, drawn towards 1."""
    expected = np.bincount(rows.item, position_rates(rows, rows.rank), items)
    prior = PRIOR * rows.clicked.mean()
    found: np.ndarray = (np.bincount(rows.item, rows.clicked, items) + prior) / (expected + prior)
    return found


def _by_popularity(score: np.ndarray, before: Shown, later: Shown) -> np.ndarray:
    """A logistic regression on the popularity of the item."""
    level, slope = _line(score[before.item], before.clicked, np.ones(len(before.item)))
    return sigmoid(level + slope * score[later.item])


def _boosted(catalogue: Catalogue, before: Shown, later: Shown) -> np.ndarray:
    x = _features(catalogue, before, later)
    train = np.argsort(before.order, kind="stable")[-BOOSTED:]
    model = library("sklearn.ensemble", "fit").HistGradientBoostingClassifier(
        max_iter=ITERATIONS, early_stopping=True, random_state=SEED
    )
    with one_thread():
        model.fit(x[train], before.clicked[train])
        found: np.ndarray = model.predict_proba(x[len(before.item) :])[:, 1]
    return found


def _features(catalogue: Catalogue, before: Shown, later: Shown) -> np.ndarray:
    """What is known of each shown item of both parts before its page is clicked; of later ones, what was known at the
    end of the first part, and habits."""
    rows = Shown(*(np.concatenate(pair) for pair in zip(before, later, strict=True)))
    known = np.arange(len(rows.item)) < len(before.item)
    topic = catalogue.item_topic[rows.item].astype(np.int64)
    mean = float(before.clicked.mean())
    of_user = rows.user * (int(topic.max()) + 1) + topic
    columns = [
        rows.rank,
        np.bincount(rows.order)[rows.order],  # items on the page
        np.log1p(catalogue.item_popularity[rows.item]),
        np.log(catalogue.item_price[rows.item]),
        log_price(catalogue, rows.item, rows.price),
        topic,
        rows.habit,
    ]
    for code in (rows.item, rows.user, of_user):
        shown, clicks = (_until(code, rows.order, value * known) for value in (np.ones(len(code)), rows.clicked))
        columns += [shown, (clicks + PRIOR * mean) / (shown + PRIOR)]
    return np.stack(columns, axis=1).astype(float)


def _until(code: np.ndarray, order: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sum of the values of the same code on earlier pages."""
    frame = library("pandas", "fit").DataFrame({"code": code, "order": order, "value": value})
    totals = frame.groupby(["code", "order"])["value"].sum()
    earlier = (totals.groupby(level=0).cumsum() - totals).rename("earlier")
    found: np.ndarray = frame.join(earlier, on=["code", "order"])["earlier"].to_numpy()
    return found


# ------------------------------------------------------------------------------------------------ quality


def click_quality(found: Mapping[str, np.ndarray], rows: Shown) -> dict[str, dict[str, Any]]:
    """How good predictions of clicks are.

    Args:
        found: method -> P(click) of each shown item; `FITTED` is one of them.

    Returns:
        for each method: log-loss per shown item, AUC, predicted clicks for each real one, slope of the calibration
        (1 is right; below 1 the predictions are too sure), with bootstrap intervals over users, None where all
        predictions are equal; the calibration error, the mean distance of predicted and real click rates in ten bins;
        and "fitted minus this", the paired differences of log-loss and AUC.

    Source: Van Calster et al. 2019 (calibration).
    """
    draws = resamples(rows.user)
    samples = {name: _samples(np.clip(p, SMALLEST, 1 - SMALLEST), rows, draws) for name, p in found.items()}
    fitted = samples[FITTED]
    return {
        name: {metric: _interval(values) for metric, values in of.items()}
        | {"calibration error": _calibration_error(found[name], rows.clicked)}
        | {"fitted minus this": {metric: _interval(fitted[metric] - of[metric]) for metric in ("log-loss", "AUC")}}
        for name, of in samples.items()
    }


def resamples(user: np.ndarray) -> np.ndarray:
    """How often each user counts [1 + B, U]: first once, then as often as it is drawn in resamples of the users that
    occur, as many as there are."""
    there = np.unique(user)
    draws = np.zeros((1 + RESAMPLES, int(there[-1]) + 1), np.float32)
    draws[0] = 1
    shares = np.full(len(there), 1 / len(there))
    draws[1:, there] = np.random.default_rng(SEED).multinomial(len(there), shares, RESAMPLES)
    return draws


def mean_over_users(user: np.ndarray, value: np.ndarray) -> dict[str, float]:
    """Mean of the values, with its bootstrap interval over users."""
    draws, total, count = resamples(user), np.bincount(user, value), np.bincount(user)
    found = _interval(draws @ total / np.maximum(draws @ count, 1))
    if found is None:
        raise ValueError("value must be finite")
    return found


def beyond_chance(user: np.ndarray, value: np.ndarray, among: int) -> bool:
    """Whether the mean of the values differs from 0 with 95 %, where users are drawn at random.

    Its standard error is that of a ratio of sums over the users.

    Args:
        among: how many such statements are to hold together (Bonferroni).
    """
    total, count = np.bincount(user, value), np.bincount(user)
    there = count > 0
    total, count = total[there], count[there]
    mean, users = total.sum() / count.sum(), len(count)
    if users < 2:
        return False
    away = total - mean * count
    error = np.sqrt((away**2).sum() * users / (users - 1)) / count.sum()
    return bool(abs(mean) > errors_of_95(users - 1, among) * error)


def _samples(p: np.ndarray, rows: Shown, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric under each weighting of the users, NaN where it is not defined."""
    y, logit = rows.clicked.astype(float), np.log(p / (1 - p))
    loss = -np.where(rows.clicked, np.log(p), np.log1p(-p))
    _, tied = np.unique(p, return_inverse=True)
    found: dict[str, list[float]] = {"log-loss": [], "AUC": [], "predicted clicks per click": [], "slope": []}
    for w in (draw[rows.user].astype(float) for draw in draws):
        found["log-loss"].append(float(w @ loss / w.sum()))
        found["AUC"].append(_auc(tied, y, w))
        found["predicted clicks per click"].append(float(w @ p / (w @ y)) if w @ y > 0 else np.nan)
        found["slope"].append(_line(logit, y, w)[1] if tied.max() > 0 else np.nan)
    return {name: np.array(values) for name, values in found.items()}


def _auc(rank: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Area under the ROC curve of weighted rows, given the rank of each prediction among the distinct ones."""
    hit, miss = np.bincount(rank, w * y), np.bincount(rank, w * (1 - y))
    pairs = hit.sum() * miss.sum()
    return float(hit @ (np.cumsum(miss) - 0.5 * miss) / pairs) if pairs > 0 else np.nan


def _line(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of a weighted logistic regression."""
    mean, spread = float(np.average(x, weights=w)), max(float(np.std(x)), 1e-12)
    b, _ = logistic(np.stack([np.ones(len(x)), (x - mean) / spread], axis=1), y, RIDGE, w)
    return float(b[0] - b[1] * mean / spread), float(b[1] / spread)


def _calibration_error(p: np.ndarray, clicked: np.ndarray) -> float:
    """Mean distance of predicted and real click rates, in bins with equally many rows."""
    bins = np.array_split(np.argsort(p, kind="stable"), min(BINS, len(p)))
    return float(sum(abs((p[rows] - clicked[rows]).sum()) for rows in bins) / len(p))


def _interval(values: np.ndarray) -> dict[str, float] | None:
    """The first value, with the middle 95 % of the others; None if it is not defined."""
    if not np.isfinite(values[0]):
        return None
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return {"mean": float(values[0]), "low": float(low), "high": float(high)}
