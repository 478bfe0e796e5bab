"""What an evaluation measures beside reward: who was shown what, how good it was for the user, and for whom.

    log = Log(envs)
    log.look(); ...step...; log.record(infos)          at every tick of one episode of every copy
    values = measure(log)                              name -> [B, N + 1]: one value per episode, for each agent and
                                                       (last) the platform

A `Log` keeps what infos say and what only the world knows; each metric is a function of it, registered in `METRICS`
with its definition, source, unit and direction. A value is NaN where an episode has nothing to divide by (no click, one
provider, no cold item).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..vector import VectorEnv

COLD_CLICKS = 5.0  # an item with fewer clicks than this, by public decayed counts, is cold


class Log:
    """One episode of every copy. Axes: t < horizon, b < B copies, n < N agents, k < K slots.

    Args:
        envs: the batch, at the beginning of an episode; its copies move in step.
        seen: ids (`infos["visitor"]`) of the people that the policies have served in earlier episodes; only with
            `users.population="fixed"` are they met again.

    Attributes:
        visitor [t, b]          person, -1 = idle tick; `group` its label, `z` its satisfaction before the page
        first_session [t, b]    bool, the person's first session of this episode; `new_session`: this page begins a
                                session
        seen [t, b]             bool, a person served in earlier episodes
        active [t, b, n]        bool, the agent's slots were on the page; `ideal` [t, b, n, 3] its best discounted gain
                                among all, cold, warm items
        revenue, purchases, ratings, stars [t, b, n]   price paid (in mean list prices), items bought, number and sum of
                                                       ratings, bought earlier items included
        item, rank [t, b, n, k] -1 = hole; `clicked`, `cart`, `cold` bool; `dwell` in mean lengths; `gain` = P(click on
        the item alone), 0 at a hole
    """

    def __init__(self, envs: VectorEnv, seen: Iterable[int] = ()) -> None:
        shape, h, b = envs.shape, envs.config.horizon, envs.num_envs
        n, k = shape.agents, shape.slots
        self.envs, self.t = envs, 0
        self._served = [] if envs.config.users.population == "fresh" else list(set(seen))
        self.visitor = np.full((h, b), -1, np.int64)
        self.group = np.zeros((h, b), np.int32)
        self.z = np.zeros((h, b), np.float32)
        self.first_session, self.new_session = np.zeros((h, b), np.bool_), np.zeros((h, b), np.bool_)
        self.active = np.zeros((h, b, n), np.bool_)
        self.ideal = np.zeros((h, b, n, 3), np.float32)
        self.revenue, self.purchases, self.ratings, self.stars = (np.zeros((h, b, n), np.float32) for _ in range(4))
        self.item, self.rank = np.full((h, b, n, k), -1, np.int32), np.full((h, b, n, k), -1, np.int32)
        self.clicked, self.cart, self.cold = (np.zeros((h, b, n, k), np.bool_) for _ in range(3))
        self.dwell, self.gain = np.zeros((h, b, n, k), np.float32), np.zeros((h, b, n, k), np.float32)
        self.discount = 1.0 / np.log2(np.arange(k) + 2.0)
        self._scratch = np.zeros((3, k)), np.zeros((b, n, 3)), np.zeros(b), np.zeros((b, shape.items), np.bool_)

    @property
    def seen(self) -> np.ndarray:
        return np.isin(self.visitor, self._served)

    def look(self) -> None:
        """Before the step: who is about to be served, and what each agent could show."""
        from ..kernels.appraisal import appraise

        t, copies = self.t, self.envs.arrays.copies
        best, ideal, outside, cold = self._scratch
        appraise(self.envs.world, self.envs.arrays, COLD_CLICKS, self.discount, best, ideal, outside, cold)
        user, present = self.envs.present_users(), copies["visitor"] >= 0
        self.group[t], self.z[t] = user["group"], user["z"]
        self.first_session[t] = present & (user["sessions"] == 1)
        self.new_session[t] = present & (copies["session_page"] == 0)
        self.ideal[t] = ideal
        self._tick = int(copies["tick"][0])

    def record(self, infos: Any) -> None:
        """After the step: what was shown and what followed."""
        t = self.t
        _, _, outside, cold = self._scratch
        item, shown = infos["shown"], infos["shown"] >= 0
        self.visitor[t], self.active[t] = infos["visitor"].max(1), infos["visitor"] >= 0
        self.item[t], self.rank[t], self.clicked[t], self.cart[t] = item, infos["rank"], infos["clicked"], infos["cart"]
        self.dwell[t] = infos["dwell"]
        utility = self.envs.report.slots["utility"]
        self.gain[t] = np.where(shown, 1.0 / (1.0 + np.exp(np.clip(outside[:, None, None] - utility, -500, 500))), 0.0)
        self.cold[t] = shown & cold[np.arange(len(cold))[:, None, None], item]
        self._record_purchases(t, infos)
        self.t += 1

    def _record_purchases(self, t: int, infos: Any) -> None:
        from ..kernels.page import read_prices

        bought, rating, later = infos["bought"], infos["rating"], infos["later_item"] >= 0
        self.purchases[t], self.ratings[t], self.stars[t] = bought.sum(-1), (rating > 0).sum(-1), rating.sum(-1)
        if bought.any():
            items = infos["shown"][bought].astype(np.int64)
            prices, promoted = np.zeros(len(items)), np.zeros(len(items), np.bool_)
            read_prices(self.envs.world, items, self._tick, prices, promoted)
            np.add.at(self.revenue[t], np.nonzero(bought)[:2], prices)
        if later.any():
            credited = np.nonzero(later)[0], infos["later_agent"][later]
            np.add.at(self.purchases[t], credited, 1)
            np.add.at(self.revenue[t], credited, infos["later_price"][later])
            np.add.at(self.ratings[t], credited, infos["later_rating"][later] > 0)
            np.add.at(self.stars[t], credited, infos["later_rating"][later])


# ------------------------------------------------------------------------------------------------ the table of metrics


class Metric(NamedTuple):
    """A metric of an episode, for each agent and the platform."""

    of: Callable[[Log], np.ndarray]  # log -> [B, N + 1]
    definition: str
    source: str
    unit: str
    better: str  # "higher", "lower", or "" where neither is


METRICS: dict[str, Metric] = {}


def _metric(
    unit: str, better: str, source: str
) -> Callable[[Callable[[Log], np.ndarray]], Callable[[Log], np.ndarray]]:
    """Register a function of a log under its name; its docstring is the definition."""

    def register(of: Callable[[Log], np.ndarray]) -> Callable[[Log], np.ndarray]:
        METRICS[of.__name__] = Metric(of, " ".join((of.__doc__ or "").split()), source, unit, better)
        return of

    return register


def measure(log: Log) -> dict[str, np.ndarray]:
    """Every metric of a complete log: name -> [B, N + 1], the last column for the platform."""
    return {name: metric.of(log) for name, metric in METRICS.items()}


# ------------------------------------------------------------------------------------------------ sums over an episode


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where there is nothing to divide by."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def _with_platform(agents: np.ndarray) -> np.ndarray:
    """[..., N] -> [..., N + 1]: the platform's is the sum."""
    return np.concatenate((agents, agents.sum(-1, keepdims=True)), axis=-1)


def _total(values: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Sum of [t, b, n] or [t, b, n, k] over an episode (of the pages [t, b] `where`) -> [B, N + 1]."""
    if values.ndim == 4:
        values = values.sum(-1, dtype=np.float64)
    if where is not None:
        values = values * where[..., None]
    return _with_platform(values.sum(0, dtype=np.float64))


def _on_page(log: Log) -> np.ndarray:
    """[t, b, N + 1] whether an agent's slots, or (last) anything, stood on the page."""
    return np.concatenate((log.active, log.active.any(-1, keepdims=True)), axis=-1)


def _ctr(log: Log, where: np.ndarray) -> np.ndarray:
    return _ratio(_total(log.clicked, where), _total(log.item >= 0, where))


def _ndcg(log: Log, which: int, counts: np.ndarray | bool = True, where: np.ndarray | None = None) -> np.ndarray:
    """Mean over the slates for which there was something to gain; only slots that `counts` [t, b, n, k] give."""
    ideal = log.ideal[..., which]
    scored = log.active & (ideal > 0)
    if where is not None:
        scored &= where[..., None]
    dcg = (log.gain * counts * log.discount).sum(-1)
    return _ratio(_total(np.divide(dcg, ideal, out=np.zeros_like(dcg), where=scored)), _total(scored))


def _exposure(log: Log) -> np.ndarray:
    """[B, N + 1, M] exposure of each item: examination odds of the ranks it was shown at, in units of the first
    rank's."""
    _, batch, agents, _ = log.item.shape
    items = log.envs.shape.items
    t, b, n, k = np.nonzero(log.item >= 0)
    log_theta = log.envs.world.log_theta
    weight = np.exp(log_theta - log_theta[0])[log.rank[t, b, n, k]]
    flat = np.bincount((b * agents + n) * items + log.item[t, b, n, k], weight, batch * agents * items)
    return np.moveaxis(_with_platform(np.moveaxis(flat.reshape(batch, agents, items), 1, 2)), 2, 1)


def _inventories(log: Log) -> np.ndarray:
    """[N + 1, M] bool: items that each agent, or anyone, may show."""
    shape, allowed = log.envs.shape, log.envs.world.allowed
    own = allowed if allowed.shape[1] else np.ones((shape.agents, shape.items), np.bool_)
    return np.concatenate((own, own.any(0, keepdims=True)))


def _gini(values: np.ndarray) -> np.ndarray:
    """Gini coefficient along the last axis; NaN if all are 0, or there is only one."""
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.nan)
    ranks = np.arange(1, count + 1)
    return 2 * _ratio((np.sort(values, axis=-1) * ranks).sum(-1), count * values.sum(-1)) - (count + 1) / count


def _by_provider(log: Log, values: np.ndarray) -> np.ndarray:
    """[..., M] summed by provider -> [..., P]."""
    return values @ (log.envs.world.items["provider"][:, None] == np.arange(log.envs.config.items.providers))


# ------------------------------------------------------------------------------------------------ clicks and money


@_metric("clicks per page", "higher", "Richardson, Dominowska & Ragno 2007")
def page_ctr(log: Log) -> np.ndarray:
    """Clicks per page served; a page has at most one click."""
    return _ratio(_total(log.clicked), _on_page(log).sum(0))


@_metric("clicks per impression", "higher", "Richardson, Dominowska & Ragno 2007")
def ctr(log: Log) -> np.ndarray:
    """Clicks per item shown."""
    return _ratio(_total(log.clicked), _total(log.item >= 0))


@_metric("carts per click", "higher", "RetailRocket funnel")
def cart_rate(log: Log) -> np.ndarray:
    """Items put in the cart per click."""
    return _ratio(_total(log.cart), _total(log.clicked))


@_metric("purchases per click", "higher", "Ma et al. 2018 (ESMM)")
def cvr(log: Log) -> np.ndarray:
    """Purchases, at once or later from the cart, per click."""
    return _ratio(_total(log.purchases), _total(log.clicked))


@_metric("mean list prices per episode", "higher", "prices paid")
def revenue(log: Log) -> np.ndarray:
    """Sum of the prices paid in an episode, credited to the agent that recommended the item."""
    return _total(log.revenue)


@_metric("mean lengths per click", "higher", "Yi et al. 2014")
def dwell(log: Log) -> np.ndarray:
    """Time spent with an item per click."""
    return _ratio(_total(log.dwell), _total(log.clicked))


@_metric("stars, 1 to 5", "higher", "Harper & Konstan 2015 (MovieLens)")
def rating(log: Log) -> np.ndarray:
    """Mean rating of rated clicks and purchases."""
    return _ratio(_total(log.stars), _total(log.ratings))


# ------------------------------------------------------------------------------------------------ the slates


@_metric("0 to 1", "higher", "Järvelin & Kekäläinen 2002")
def ndcg(log: Log) -> np.ndarray:
    """NDCG@K of a slate against the user's true utility: gain = P(click on the item alone against no click) = sigmoid(v
    - v_0), discount 1 / log2(slot + 1), ideal = the best K of what the agent could show (its candidates, or all
        available items). The platform's is the mean slate's."""
    return _ndcg(log, 0)


@_metric("0 to 2", "higher", "Ziegler et al. 2005")
def diversity(log: Log) -> np.ndarray:
    """Intra-list diversity: 1 - mean <q, q'> over the pairs of items of a slate (of the whole page for the
    platform)."""
    shown = log.item >= 0
    total = np.zeros((*log.item.shape[:3], log.envs.shape.dims), np.float32)
    for k in range(shown.shape[-1]):  # over slots, not copies: all at once would hold K times the memory
        total += log.envs.world.q[log.item[..., k]] * shown[..., k, None]
    total = np.concatenate((total, total.sum(2, keepdims=True)), axis=2)
    count = _with_platform(shown.sum(-1))
    similarity = _ratio(np.square(total).sum(-1) - count, count * (count - 1))  # q have norm 1
    return 1 - _ratio(np.nansum(similarity, axis=0), (count > 1).sum(0))


@_metric("bits", "", "Vargas & Castells 2011")
def novelty(log: Log) -> np.ndarray:
    """Mean -log2 of a shown item's share of the public historical counts: those the episode starts from, so that no
    policy moves the yardstick."""
    history = log.envs.world.items["popularity"].astype(np.float64)
    bits = -np.log2(np.maximum(history, 1e-9) / max(history.sum(), 1e-9))
    shown = log.item >= 0
    return _ratio(_total(bits[log.item] * shown), _total(shown))


@_metric("share of people's impressions", "", "Anderson et al. 2014 (repeat consumption)")
def repetition(log: Log) -> np.ndarray:
    """Share of impressions that the same person already had in this episode, from the same agent (for the platform:
    from any)."""
    t, b, n, k = np.nonzero(log.item >= 0)
    batch, agents = log.item.shape[1:3]
    person = np.unique(np.stack((b, log.visitor[t, b])), axis=1, return_inverse=True)[1].reshape(-1)
    pair = person.astype(np.int64) * log.envs.shape.items + log.item[t, b, n, k]
    _, own = np.unique(pair * agents + n, return_index=True)
    _, anyone = np.unique(pair, return_index=True)
    distinct = np.bincount(b[own] * agents + n[own], minlength=batch * agents).reshape(batch, agents)
    distinct = np.column_stack((distinct, np.bincount(b[anyone], minlength=batch)))
    return 1 - _ratio(distinct, _total(log.item >= 0))


# ------------------------------------------------------------------------------------------------ exposure


@_metric("share of the inventory", "higher", "Herlocker et al. 2004")
def coverage(log: Log) -> np.ndarray:
    """Catalogue coverage: share of the items that an agent may show which it showed at all."""
    return (_exposure(log) > 0).sum(-1) / _inventories(log).sum(-1)


@_metric("0 to 1", "lower", "Fleder & Hosanagar 2009")
def item_gini(log: Log) -> np.ndarray:
    """Gini coefficient of exposure (examination odds of the ranks shown at) over the items that an agent may show."""
    exposure = _exposure(log)
    return np.stack([_gini(exposure[:, n, may_show]) for n, may_show in enumerate(_inventories(log))], axis=1)


@_metric("0 to 1", "lower", "Abdollahpouri et al. 2020")
def provider_gini(log: Log) -> np.ndarray:
    """Gini coefficient of exposure over the providers of the items that an agent may show."""
    given, owned = _by_provider(log, _exposure(log)), _by_provider(log, _inventories(log).astype(np.float64))
    return np.stack([_gini(given[:, n, may_show > 0]) for n, may_show in enumerate(owned)], axis=1)


@_metric("0 to 1", "higher", "Singh & Joachims 2018")
def provider_parity(log: Log) -> np.ndarray:
    """Exposure parity of providers: 1 - half the sum of |share of exposure - share of the inventory|."""
    if log.envs.config.items.providers < 2:
        return np.full((log.item.shape[1], log.item.shape[2] + 1), np.nan)
    given, owned = _by_provider(log, _exposure(log)), _by_provider(log, _inventories(log).astype(np.float64))
    return (
        1
        - np.abs(_ratio(given, given.sum(-1, keepdims=True)) - _ratio(owned, owned.sum(-1, keepdims=True))).sum(-1) / 2
    )


# ------------------------------------------------------------------------------------------------ people


@_metric("clicks per page", "lower", "Ekstrand et al. 2018")
def group_gap(log: Log) -> np.ndarray:
    """Clicks per page of the best-served user group minus those of the worst-served one. Which they are is decided on
    all episodes together, so that the noise of single episodes does not add to the gap; the mean over episodes is the
    gap of all of them together."""
    groups = log.envs.config.users.groups
    if groups < 2:
        return np.full((log.item.shape[1], log.item.shape[2] + 1), np.nan)
    members = [log.group == g for g in range(groups)]
    clicks = np.stack([_total(log.clicked, mine) for mine in members])
    pages = np.stack([(_on_page(log) & mine[..., None]).sum(0) for mine in members])
    pooled, rates = _ratio(clicks.sum(1), pages.sum(1)), _ratio(clicks, pages.mean(1, keepdims=True))
    column = np.arange(pooled.shape[1])
    best, worst = np.nan_to_num(pooled, nan=-1.0).argmax(0), np.nan_to_num(pooled, nan=2.0).argmin(0)
    return (rates[best, :, column] - rates[worst, :, column]).T


def _sessions(log: Log, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The sessions on whose pages agent `column` (N = anyone) stood, by person and time: copy, person, first page's
    tick, ticks since the person's last page before (-1 = none)."""
    b, t = np.nonzero(_on_page(log)[..., column].T)
    number = np.cumsum(log.new_session, axis=0).T[b, t]
    visitor = log.visitor.T[b, t]
    order = np.lexsort((t, visitor, b))
    b, t, visitor, number = b[order], t[order], visitor[order], number[order]
    same_person = np.zeros(len(b), np.bool_)
    same_person[1:] = (b[1:] == b[:-1]) & (visitor[1:] == visitor[:-1])
    begins = ~same_person
    begins[1:] |= number[1:] != number[:-1]
    gap = np.where(same_person, t - np.roll(t, 1), -1)
    return b[begins], np.cumsum(~same_person)[begins] - 1, t[begins], gap[begins]


@_metric("share of people", "higher", "Zou et al. 2019; Cai et al. 2023 (RLUR)")
def returning(log: Log) -> np.ndarray:
    """Retention: share of the people served who come back for another session within the episode."""
    batch, columns = log.item.shape[1], log.item.shape[2] + 1
    shares = np.zeros((batch, columns))
    for n in range(columns):
        b, person, _, _ = _sessions(log, n)
        count = np.bincount(person)
        home = b[np.unique(person, return_index=True)[1]]
        shares[:, n] = _ratio(np.bincount(home, count > 1, batch), np.bincount(home, minlength=batch))
    return shares


@_metric("ticks", "lower", "Zou et al. 2019; Cai et al. 2023 (RLUR)")
def visit_gap(log: Log) -> np.ndarray:
    """Mean ticks from the last page of a person's session to the first page of its next one within the episode."""
    batch, columns = log.item.shape[1], log.item.shape[2] + 1
    gaps = np.zeros((batch, columns))
    for n in range(columns):
        b, _, _, gap = _sessions(log, n)
        again = gap >= 0
        gaps[:, n] = _ratio(np.bincount(b[again], gap[again], batch), np.bincount(b[again], minlength=batch))
    return gaps


@_metric("-1 to 1", "higher", "satisfaction z of the game")
def satisfaction(log: Log) -> np.ndarray:
    """User welfare: mean satisfaction z of the visitors, before their pages."""
    pages = _on_page(log)
    return _ratio((pages * log.z[..., None]).sum(0), pages.sum(0))


@_metric("utils per click", "higher", "experienced utility, Kahneman, Wakker & Sarin 1997")
def experience(log: Log) -> np.ndarray:
    """User welfare: mean experienced utility e of the clicked items, which the dwell time length * softplus(e)
    reveals."""
    length = log.envs.world.items["length"][log.item]
    relative = np.where(log.clicked, log.dwell / length, 1.0).astype(np.float64)
    felt = relative + np.log(-np.expm1(-np.maximum(relative, 1e-30)))  # inverse of softplus
    return _ratio(_total(np.where(log.clicked, felt, 0.0)), _total(log.clicked))


# ------------------------------------------------------------------------------------------------ cold and warm, seen
# and unseen


@_metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_new_users(log: Log) -> np.ndarray:
    """CTR on people in their first session of the episode (cold start)."""
    return _ctr(log, log.first_session)


@_metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_known_users(log: Log) -> np.ndarray:
    """CTR on people in a later session of the episode."""
    return _ctr(log, ~log.first_session)


@_metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_new_users(log: Log) -> np.ndarray:
    """NDCG@K of slates for people in their first session of the episode."""
    return _ndcg(log, 0, where=log.first_session)


@_metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_known_users(log: Log) -> np.ndarray:
    """NDCG@K of slates for people in a later session of the episode."""
    return _ndcg(log, 0, where=~log.first_session)


@_metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_cold_items(log: Log) -> np.ndarray:
    """CTR of cold items: those with fewer than five clicks by public decayed counts when shown."""
    return _ratio(_total(log.clicked & log.cold), _total((log.item >= 0) & log.cold))


@_metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_warm_items(log: Log) -> np.ndarray:
    """CTR of all other items."""
    return _ratio(_total(log.clicked & ~log.cold), _total((log.item >= 0) & ~log.cold))


@_metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_cold_items(log: Log) -> np.ndarray:
    """What the cold items of a slate gave, of what the best K cold items at hand would have: NDCG@K in which only cold
    items have gain."""
    return _ndcg(log, 1, counts=log.cold)


@_metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_warm_items(log: Log) -> np.ndarray:
    """The same for all other items."""
    return _ndcg(log, 2, counts=~log.cold)


@_metric("clicks per impression", "higher", "`users.population`")
def ctr_seen_users(log: Log) -> np.ndarray:
    """CTR on people whom the policy has served in its warm-up, with `users.population="fixed"`; whom it was trained on
    is not known here."""
    return _ctr(log, log.seen)


@_metric("clicks per impression", "higher", "`users.population`")
def ctr_unseen_users(log: Log) -> np.ndarray:
    """CTR on all other people, with `users.population="fixed"`; of a fresh population all are unseen."""
    return _ctr(log, ~log.seen & (log.envs.config.users.population == "fixed"))
