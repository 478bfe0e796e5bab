"""Metrics: what users, items and providers get out of an episode, beside the agents' reward.

Each metric is one function of an `EpisodeLog`. The decorator `metric` registers it in `METRICS` with its definition
(the docstring), unit, direction and source. `evaluate` and `measure` compute all registered metrics. Your own metric:

    from recsys_env.evaluation.metrics import metric, total

    @metric("purchases per episode", "higher", "my thesis")
    def purchases(log):
        \"\"\"Items bought, at once or later from the cart.\"\"\"
        return total(log.purchases)                         # [B, N + 1]

The module that contains it must be imported, either by the script that evaluates, or as the module of an evaluated
policy (`--policies my_file:MyPolicy`). A value is NaN where an episode has nothing to divide by (no click, one
provider, no cold item).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..checks import ByName, shown
from ..world.arrays import SLOT
from .log import EpisodeLog

# ------------------------------------------------------------------------------------------------ the table of metrics

Measured = Callable[[EpisodeLog], np.ndarray]  # [B, N + 1]: a value per episode, for each agent and (last) the platform


class Metric(NamedTuple):
    """A metric of an episode, for each agent and the platform."""

    of: Measured
    definition: str
    source: str
    unit: str
    better: str  # "higher", "lower", or "" if neither is better


METRICS = ByName[Metric]("metric", {})


def metric(unit: str, better: str, source: str) -> Callable[[Measured], Measured]:
    """Register a function of an `EpisodeLog` as a metric. Its name is the metric's, its docstring the definition.

    Args:
        unit: unit of the values.
        better: "higher", "lower", or "" if neither is better.
        source: publication that defines it.

    Raises:
        ValueError: another metric has this name, `better` has another value, or the function has no docstring.
        TypeError: `unit` or `source` is not a text, or the decorated object is not a function.
    """
    for name, text in {"unit": unit, "source": source}.items():
        if not isinstance(text, str):
            raise TypeError(f"{name} = {shown(text)} must be a text")
    if not isinstance(better, str) or better not in ("higher", "lower", ""):
        raise ValueError(f"better = {shown(better)} must be 'higher', 'lower' or ''")

    def register(of: Measured) -> Measured:
        if not inspect.isfunction(of):
            raise TypeError(f"of = {shown(of)} must be a function of an EpisodeLog")
        name, definition = of.__name__, " ".join((of.__doc__ or "").split())
        if not definition:
            raise ValueError(f"metric {name!r} has no docstring, which is its definition")
        if name in METRICS and _module_of(METRICS[name].of) != _module_of(of):  # a cell of a notebook may run again
            raise ValueError(f"metric {name!r} is {_module_of(METRICS[name].of)} already; choose another name")
        METRICS[name] = Metric(of, definition, source, unit, better)
        return of

    return register


def _module_of(of: Measured) -> str:
    return f"{of.__module__}:{of.__qualname__}"


def measure(log: EpisodeLog) -> dict[str, np.ndarray]:
    """Compute all metrics of a complete log: name -> [B, N + 1], with the platform in the last column.

    Raises:
        ValueError: the log does not contain a whole episode, or a metric returned another shape or dtype, or an
            infinite value.
        TypeError: `log` is not an `EpisodeLog`.
    """
    if not isinstance(log, EpisodeLog):
        raise TypeError(f"log = {shown(log)} must be an EpisodeLog")
    if log.t != len(log.visitor):
        raise ValueError(f"log holds {log.t} of the {len(log.visitor)} ticks of an episode; all are needed")
    return {name: _checked(name, found.of(log), log) for name, found in METRICS.items()}


def _checked(name: str, values: np.ndarray, log: EpisodeLog) -> np.ndarray:
    shape = (log.item.shape[1], log.item.shape[2] + 1)
    values = np.asarray(values)
    if values.shape != shape or values.dtype.kind not in "fiub":
        raise ValueError(
            f"metric {name!r} ({_module_of(METRICS[name].of)}) returned {values.dtype}{list(values.shape)}, expected "
            f"numbers [B, N + 1] = {list(shape)}: one for each copy, for each agent and (last) the platform"
        )
    if np.isinf(values).any():
        raise ValueError(
            f"metric {name!r} ({_module_of(METRICS[name].of)}) returned an infinite value; NaN stands for no value"
        )
    return values.astype(np.float64)


# ------------------------------------------------------------------------------------------------ sums over an episode


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, or NaN where the denominator is not positive."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def _with_platform(agents: np.ndarray) -> np.ndarray:
    """Append the platform's value, the sum over agents: [..., N] -> [..., N + 1]."""
    return np.concatenate((agents, agents.sum(-1, keepdims=True)), axis=-1)


def total(values: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Sum values [t, b, n] or [t, b, n, k] over an episode, or over its pages `where` [t, b] -> [B, N + 1]."""
    if values.ndim == 4:
        values = values.sum(-1, dtype=np.float64)
    if where is not None:
        values = values * where[..., None]
    return _with_platform(values.sum(0, dtype=np.float64))


def _on_page(log: EpisodeLog) -> np.ndarray:
    """Whether each agent's slots, or (last) those of any agent, were on the page [t, b, N + 1]."""
    return np.concatenate((log.active, log.active.any(-1, keepdims=True)), axis=-1)


def _ctr(log: EpisodeLog, where: np.ndarray) -> np.ndarray:
    return ratio(total(log.clicked, where), total(log.item >= 0, where))


def _ndcg(log: EpisodeLog, which: int, counts: np.ndarray | bool = True, where: np.ndarray | None = None) -> np.ndarray:
    """Mean NDCG of the slates whose ideal gain is positive; only slots with `counts` [t, b, n, k] have gain."""
    ideal = log.ideal[..., which]
    scored = log.active & (ideal > 0)
    if where is not None:
        scored &= where[..., None]
    dcg = (log.gain * counts * log.discount).sum(-1)
    return ratio(total(np.divide(dcg, ideal, out=np.zeros_like(dcg), where=scored)), total(scored))


def _exposure(log: EpisodeLog) -> np.ndarray:
    """Exposure of each item [B, N + 1, M]: the sum of the examination odds of its ranks, relative to the first
    rank."""
    _, batch, agents, _ = log.item.shape
    items = log.envs.shape.items
    t, b, n, k = np.nonzero(log.item >= 0)
    log_theta = log.envs.world.log_theta
    weight = np.exp(log_theta - log_theta[0])[log.rank[t, b, n, k]]
    flat = np.bincount((b * agents + n) * items + log.item[t, b, n, k], weight, batch * agents * items)
    return np.moveaxis(_with_platform(np.moveaxis(flat.reshape(batch, agents, items), 1, 2)), 2, 1)


def _inventories(log: EpisodeLog) -> np.ndarray:
    """Items that each agent, or (last) any agent, may show: bool [N + 1, M]."""
    shape, allowed = log.envs.shape, log.envs.world.allowed
    inventory = allowed if allowed.shape[1] else np.ones((shape.agents, shape.items), np.bool_)
    return np.concatenate((inventory, inventory.any(0, keepdims=True)))


def _gini(values: np.ndarray) -> np.ndarray:
    """Gini coefficient along the last axis; NaN if all are 0, or there is only one."""
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.nan)
    ranks = np.arange(1, count + 1)
    return 2 * ratio((np.sort(values, axis=-1) * ranks).sum(-1), count * values.sum(-1)) - (count + 1) / count


def _by_provider(log: EpisodeLog, values: np.ndarray) -> np.ndarray:
    """Sum values of items by provider: [..., M] -> [..., P]."""
    return values @ (log.envs.world.items["provider"][:, None] == np.arange(log.envs.config.items.providers))


# ------------------------------------------------------------------------------------------------ clicks and money


@metric("clicks per page", "higher", "Richardson, Dominowska & Ragno 2007")
def page_ctr(log: EpisodeLog) -> np.ndarray:
    """Clicks per page served; a page has at most one click."""
    return ratio(total(log.clicked), _on_page(log).sum(0))


@metric("clicks per impression", "higher", "Richardson, Dominowska & Ragno 2007")
def ctr(log: EpisodeLog) -> np.ndarray:
    """Clicks per item shown."""
    return ratio(total(log.clicked), total(log.item >= 0))


@metric("0 to 1", "lower", "Immorlica, Jagadeesan & Lucier 2024")
def clicked_bait(log: EpisodeLog) -> np.ndarray:
    """Mean clickbait c of the clicked items."""
    return ratio(total(log.envs.world.items["bait"][log.item] * log.clicked), total(log.clicked))


@metric("0 to 1", "lower", "Gini coefficient of creators' shares")
def agent_gini(log: EpisodeLog) -> np.ndarray:
    """Gini coefficient of clicks over the agents: how much of them a few agents get. It describes the platform; single
    agents have no value."""
    clicks = total(log.clicked)
    gini = _gini(clicks[:, :-1])[:, None]
    return np.concatenate((np.full(clicks[:, :-1].shape, np.nan), gini), axis=1)


@metric("carts per click", "higher", "RetailRocket funnel")
def cart_rate(log: EpisodeLog) -> np.ndarray:
    """Items put in the cart per click."""
    return ratio(total(log.cart), total(log.clicked))


@metric("purchases per click", "higher", "Ma et al. 2018 (ESMM)")
def cvr(log: EpisodeLog) -> np.ndarray:
    """Purchases per click, whether instant or later from the cart."""
    return ratio(total(log.purchases), total(log.clicked))


@metric("mean list prices per episode", "higher", "prices paid")
def revenue(log: EpisodeLog) -> np.ndarray:
    """Sum of the prices paid in an episode; a purchase is credited to the agent that recommended the item."""
    return total(log.revenue)


@metric("reward per episode", "", "Vickrey 1961")
def spend(log: EpisodeLog) -> np.ndarray:
    """Payments of an agent for slots in auctions. The platform's value is the sum over the agents, its revenue from
    auctions."""
    return total(log.payment) if log.envs.config.auctioned else _nothing(log)


@metric("share of the budgets", "", "Balseiro & Gur 2019")
def budget_left(log: EpisodeLog) -> np.ndarray:
    """Share of an agent's budgets, of all periods that began, which it did not spend in auctions. The platform's value
    is the mean over the agents."""
    offer = log.envs.config.offer
    if not log.envs.config.auctioned or offer.budget == 0:
        return _nothing(log)
    periods = np.ceil(log.active.any(-1).sum(0) / offer.refill_period)
    left = 1 - ratio(log.payment.sum(0, dtype=np.float64), (periods * offer.budget)[:, None])
    return np.concatenate((left, left.mean(-1, keepdims=True)), axis=-1)


def _nothing(log: EpisodeLog) -> np.ndarray:
    """Values where there is nothing to measure."""
    return np.full((log.item.shape[1], log.item.shape[2] + 1), np.nan)


@metric("mean lengths per click", "higher", "Yi et al. 2014")
def dwell(log: EpisodeLog) -> np.ndarray:
    """Time spent with an item per click."""
    return ratio(total(log.dwell), total(log.clicked))


@metric("stars, 1 to 5", "higher", "Harper & Konstan 2015 (MovieLens)")
def rating(log: EpisodeLog) -> np.ndarray:
    """Mean rating over rated clicks and purchases."""
    return ratio(total(log.stars), total(log.ratings))


# ------------------------------------------------------------------------------------------------ the slates


@metric("0 to 1", "higher", "Järvelin & Kekäläinen 2002")
def ndcg(log: EpisodeLog) -> np.ndarray:
    """NDCG@K of a slate against the user's true utility: gain = P(click on the item alone against no click) =
    sigmoid(v - v_0), discount 1 / log2(slot + 1), ideal = the best K items that the agent could show (of its
    candidates, or of all available items). Prices that agents set do not count. The platform's value is the mean over
    all slates."""
    return _ndcg(log, 0)


@metric("0 to 2", "higher", "Ziegler et al. 2005")
def diversity(log: EpisodeLog) -> np.ndarray:
    """Intra-list diversity, the quantity that `reward.diversity` pays: 1 - mean <q, q'> over the pairs of items of a
    slate (for the platform: of the whole page), over slates with at least two items."""
    from ..kernels.equations import in_python, mean_similarity

    shown = log.item >= 0
    sums = np.zeros((*log.item.shape[:3], log.envs.shape.dims), np.float32)
    for k in range(shown.shape[-1]):  # over slots, not copies: all at once would hold K times the memory
        sums += log.envs.world.item_vectors[log.item[..., k]] * shown[..., k, None]
    sums = np.concatenate((sums, sums.sum(2, keepdims=True)), axis=2)
    count = _with_platform(shown.sum(-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        similarity = in_python(mean_similarity)(count, np.square(sums).sum(-1))
    return 1 - ratio(np.sum(similarity, axis=0, where=count > 1), (count > 1).sum(0))


@metric("0 to 1", "", "Vargas & Castells 2011")
def novelty(log: EpisodeLog) -> np.ndarray:
    """Mean novelty of the shown items, the quantity that `reward.novelty` pays: self-information -log2 of an item's
    share of the public historical counts (each plus one), scaled to 0 = the most and 1 = the least popular item. The
    counts are those at the start of the episode, so no policy can change the scale."""
    shown = log.item >= 0
    return ratio(total(log.envs.world.items["novelty"][log.item] * shown), total(shown))


@metric("share of people's impressions", "", "Anderson et al. 2014 (repeat consumption)")
def repetition(log: EpisodeLog) -> np.ndarray:
    """Share of impressions that repeat an earlier impression: the same agent (for the platform: any agent) already
    showed the item to the same person in this episode."""
    t, b, n, k = np.nonzero(log.item >= 0)
    batch, agents = log.item.shape[1:3]
    person = np.unique(np.stack((b, log.visitor[t, b])), axis=1, return_inverse=True)[1].reshape(-1)
    pair = person.astype(np.int64) * log.envs.shape.items + log.item[t, b, n, k]
    _, first = np.unique(pair * agents + n, return_index=True)
    _, anyone = np.unique(pair, return_index=True)
    distinct = np.bincount(b[first] * agents + n[first], minlength=batch * agents).reshape(batch, agents)
    distinct = np.column_stack((distinct, np.bincount(b[anyone], minlength=batch)))
    return 1 - ratio(distinct, total(log.item >= 0))


# ------------------------------------------------------------------------------------------------ exposure


@metric("share of the inventory", "higher", "Herlocker et al. 2004")
def coverage(log: EpisodeLog) -> np.ndarray:
    """Catalogue coverage: share of an agent's inventory that it showed at least once."""
    return (_exposure(log) > 0).sum(-1) / _inventories(log).sum(-1)


@metric("0 to 1", "lower", "Fleder & Hosanagar 2009")
def item_gini(log: EpisodeLog) -> np.ndarray:
    """Gini coefficient of exposure (examination odds of the shown ranks) over the items that an agent may show."""
    exposure = _exposure(log)
    return np.stack([_gini(exposure[:, n, may_show]) for n, may_show in enumerate(_inventories(log))], axis=1)


@metric("0 to 1", "lower", "Abdollahpouri et al. 2020")
def provider_gini(log: EpisodeLog) -> np.ndarray:
    """Gini coefficient of exposure over the providers of the items that an agent may show."""
    given, owned = _by_provider(log, _exposure(log)), _by_provider(log, _inventories(log).astype(np.float64))
    return np.stack([_gini(given[:, n, may_show > 0]) for n, may_show in enumerate(owned)], axis=1)


@metric("0 to 1", "higher", "Singh & Joachims 2018")
def provider_parity(log: EpisodeLog) -> np.ndarray:
    """Exposure parity of providers: 1 - half the sum of |share of exposure - share of the inventory|."""
    if log.envs.config.items.providers < 2:
        return _nothing(log)
    given, owned = _by_provider(log, _exposure(log)), _by_provider(log, _inventories(log).astype(np.float64))
    return (
        1 - np.abs(ratio(given, given.sum(-1, keepdims=True)) - ratio(owned, owned.sum(-1, keepdims=True))).sum(-1) / 2
    )


@metric("theta per page", "higher", "Biega, Gummadi & Weikum 2018")
def fairness(log: EpisodeLog) -> np.ndarray:
    """Equity of amortised attention, the quantity that `reward.fairness` pays: per page, the sum over the shown items
    of theta * (target share of the provider in the agent's exposure - its share so far). The platform's value is the
    sum over the agents of a page."""
    providers = log.envs.config.items.providers
    if providers < 2:
        return _nothing(log)
    from ..kernels.planners.appraisal import appraise_fairness

    exposure, values = np.zeros((*log.item.shape[1:3], providers)), np.zeros(log.active.shape)
    slots = np.zeros(log.item.shape[1:], SLOT)
    for t in range(log.t):
        slots["item"], slots["rank"] = log.item[t], log.rank[t]
        appraise_fairness(log.envs.world, exposure, slots, log.active[t], values[t])
    return ratio(total(values), _on_page(log).sum(0))


@metric("reward per episode", "higher", "`reward.diversity`, `reward.novelty`, `reward.fairness`")
def objectives(log: EpisodeLog) -> np.ndarray:
    """Reward for objectives, paid in addition to the individual reward, before sharing: the weighted diversity, novelty
    and fairness of the agent's pages."""
    return total(log.objectives)


# ------------------------------------------------------------------------------------------------ people


@metric("clicks per page", "lower", "Ekstrand et al. 2018")
def group_gap(log: EpisodeLog) -> np.ndarray:
    """Clicks per page of the best-served user group minus those of the worst-served group. For each half of the
    episodes, the two groups are those of the other half, so that chance alone makes no gap. The mean over the episodes
    of a half is the gap over all of them together. A single episode has no gap."""
    groups, copies = log.envs.config.users.groups, log.envs.num_envs
    if groups < 2 or copies < 2:
        return _nothing(log)
    members = [log.group == g for g in range(groups)]
    clicks = np.stack([total(log.clicked, mine) for mine in members])
    pages = np.stack([(_on_page(log) & mine[..., None]).sum(0) for mine in members])
    gap, column = np.empty(clicks.shape[1:]), np.arange(clicks.shape[2])
    for half in (0, 1):
        here = np.arange(copies) % 2 == half
        elsewhere = ratio(clicks[:, ~here].sum(1), pages[:, ~here].sum(1))
        best, worst = np.nan_to_num(elsewhere, nan=-1.0).argmax(0), np.nan_to_num(elsewhere, nan=2.0).argmin(0)
        rates = ratio(clicks[:, here], pages[:, here].mean(1, keepdims=True))
        gap[here] = (rates[best, :, column] - rates[worst, :, column]).T
    return gap


def _sessions(log: EpisodeLog, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sessions with agent `column` (N = any agent) on their pages, by person and time: copy, person, tick of the first
    page, and ticks since the person's previous page (-1 = none)."""
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


@metric("share of people", "higher", "Zou et al. 2019; Cai et al. 2023 (RLUR)")
def returning(log: EpisodeLog) -> np.ndarray:
    """Retention: share of the served people who return for another session within the episode."""
    batch, columns = log.item.shape[1], log.item.shape[2] + 1
    shares = np.zeros((batch, columns))
    for n in range(columns):
        b, person, _, _ = _sessions(log, n)
        count = np.bincount(person)
        home = b[np.unique(person, return_index=True)[1]]
        shares[:, n] = ratio(np.bincount(home, count > 1, batch), np.bincount(home, minlength=batch))
    return shares


@metric("ticks", "lower", "Zou et al. 2019; Cai et al. 2023 (RLUR)")
def visit_gap(log: EpisodeLog) -> np.ndarray:
    """Mean ticks from the last page of a person's session to the first page of its next one within the episode."""
    batch, columns = log.item.shape[1], log.item.shape[2] + 1
    gaps = np.zeros((batch, columns))
    for n in range(columns):
        b, _, _, gap = _sessions(log, n)
        again = gap >= 0
        gaps[:, n] = ratio(np.bincount(b[again], gap[again], batch), np.bincount(b[again], minlength=batch))
    return gaps


@metric("pages per tick", "higher", "visits that are lost are ticks without a page")
def demand(log: EpisodeLog) -> np.ndarray:
    """Share of the ticks at which a page was served: how often people come back and stay."""
    return _on_page(log).mean(0)


@metric("-1 to 1", "higher", "satisfaction z of the game")
def satisfaction(log: EpisodeLog) -> np.ndarray:
    """User welfare: mean satisfaction z of the visitors, measured before each of their pages."""
    pages = _on_page(log)
    return ratio((pages * log.satisfaction[..., None]).sum(0), pages.sum(0))


@metric("utils per click", "higher", "experienced utility, Kahneman, Wakker & Sarin 1997")
def experience(log: EpisodeLog) -> np.ndarray:
    """User welfare: mean experienced utility e of the clicked items, computed from the dwell time
    length * softplus(e)."""
    from ..kernels.equations import experience_of, in_python

    length = log.envs.world.items["length"][log.item]
    relative = np.where(log.clicked, log.dwell / length, 1.0).astype(np.float64)
    felt = in_python(experience_of)(np.maximum(relative, 1e-30))
    return ratio(total(np.where(log.clicked, felt, 0.0)), total(log.clicked))


# ------------------------------------------------------------------------------------------------ cold, seen


@metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_new_users(log: EpisodeLog) -> np.ndarray:
    """CTR on people in their first session of the episode (cold start)."""
    return _ctr(log, log.first_session)


@metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_known_users(log: EpisodeLog) -> np.ndarray:
    """CTR on people in a later session of the episode."""
    return _ctr(log, ~log.first_session)


@metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_new_users(log: EpisodeLog) -> np.ndarray:
    """NDCG@K of slates for people in their first session of the episode."""
    return _ndcg(log, 0, where=log.first_session)


@metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_known_users(log: EpisodeLog) -> np.ndarray:
    """NDCG@K of slates for people in a later session of the episode."""
    return _ndcg(log, 0, where=~log.first_session)


@metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_cold_items(log: EpisodeLog) -> np.ndarray:
    """CTR of cold items, which have fewer than five clicks (decayed, and with privacy the true count)."""
    return ratio(total(log.clicked & log.cold), total((log.item >= 0) & log.cold))


@metric("clicks per impression", "higher", "Schein et al. 2002")
def ctr_warm_items(log: EpisodeLog) -> np.ndarray:
    """CTR of items that are not cold."""
    return ratio(total(log.clicked & ~log.cold), total((log.item >= 0) & ~log.cold))


@metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_cold_items(log: EpisodeLog) -> np.ndarray:
    """NDCG@K in which only cold items have gain: the gain of a slate's cold items, relative to that of the best K cold
    items that could be shown."""
    return _ndcg(log, 1, counts=log.cold)


@metric("0 to 1", "higher", "Schein et al. 2002")
def ndcg_warm_items(log: EpisodeLog) -> np.ndarray:
    """NDCG@K in which only items that are not cold have gain."""
    return _ndcg(log, 2, counts=~log.cold)


@metric("clicks per impression", "higher", "`users.population`")
def ctr_seen_users(log: EpisodeLog) -> np.ndarray:
    """CTR on people that the policy served in its warm-up, with `users.population="fixed"`. The people that it was
    trained on are not known."""
    return _ctr(log, log.seen)


@metric("clicks per impression", "higher", "`users.population`")
def ctr_unseen_users(log: EpisodeLog) -> np.ndarray:
    """CTR on people that the policy did not serve in its warm-up, with `users.population="fixed"`."""
    return _ctr(log, ~log.seen & (log.envs.config.users.population == "fixed"))
