"""Builds the world of a config: items, user slots, agents, and the numbers of `params`.

With a fitted catalogue, items and people are those of the catalogue. The arrays themselves are in `arrays.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from ..config import GROUPS, PAGE_PROPERTIES, WorldConfig
from ..config.catalogue import Catalogue
from ..config.fields import (
    ACTION,
    HISTORY,
    OBSERVATION,
    STATE,
    Shape,
    candidate_features,
    field_slices,
    id_columns,
    observed_features,
    span,
    with_fields,
)
from ..config.privacy import noise
from .arrays import (
    ACTIVITY,
    AGENT,
    CART_SIZE,
    HABIT,
    ITEM,
    PARAMS,
    POPULAR,
    PRICE_RATIO,
    SCENE,
    TOPIC,
    World,
    aligned,
    allocate_scratch,
    allocate_state,
    read_only,
)
from .partners import partner_vectors, topic_map
from .texts.requests import WIDTH, requests_of

SAMPLE = 64  # people whose clicks make up the historical log; fewer in very large catalogues, to save time


def shape_of(config: WorldConfig, catalogue: Catalogue | None) -> Shape:
    """Return the sizes of a config's world, which a catalogue sets in part."""
    from ..kernels.equations import LOOKED_UP

    later = not config.feedback.instant and config.has_carts
    users, items, dims, topics = config.users.number, config.items.number, config.items.dims, config.items.topics
    weighed = any(getattr(config.choice, name) != 0 for name in LOOKED_UP["partner"])
    maps = (2 if config.choice.partner_second > 0 else 1) if weighed else 0
    if config.ranked:
        items = config.num_agents * config.platform.window * topics * config.platform.bait_levels
    if catalogue is not None:
        items, dims = catalogue.item_vectors.shape
        users, topics = len(catalogue.user_taste), len(catalogue.topic_name)
    shape = Shape(
        users=users,
        items=items,
        dims=dims,
        topics=topics,
        agents=config.num_agents,
        slots=config.slots,
        candidates=config.candidates.number if config.retrieves else 0,
        scenes=len(config.scenes),
        roles=len(config.roles),
        habits=config.users.habit_size,
        views=1 if config.observation.share or config.ranked else config.num_agents,
        satisfaction_views=0
        if config.choice.v_0_by_mood or config.ranked
        else 1
        if config.observation.observed_satisfaction == "platform"
        else config.num_agents,
        released_views=0 if not config.private else 1 if config.observation.share else config.num_agents,
        visit_views=config.num_agents if config.opens_agent else 0,
        cart=CART_SIZE if later else 0,
        vocabulary=config.messages,
        levels=config.offer.levels if config.offer.kind != "none" else 0,
        bidders=config.num_agents if config.auctioned else 0,
        providers=config.items.providers if _pays_fairness(config) else 0,
        labels=max((1 + max(role.knows) for role in config.roles if role.knows), default=0),
        recent=config.observation.recent,
        id_columns=id_columns(config.observation.item_ids, items),
        partner_maps=maps,
        remembered=max(config.observation.recent, maps),
        requests=int(config.users.request > 0),
        encoding=WIDTH if config.observation.request else 0,
        window=config.platform.window if config.ranked else 0,
        bait_levels=config.platform.bait_levels if config.ranked else 0,
        price_ratios=0 if catalogue is None else catalogue.item_price_ratio.shape[1],
    )
    return with_fields(config, shape)


def _pays_fairness(config: WorldConfig) -> bool:
    return any(config.reward_weights(role)["fairness"] != 0 for role in range(len(config.roles)))


def build(config: WorldConfig, catalogue: Catalogue | None = None) -> World:
    """Build the read-only arrays of a task; a pure function of its arguments.

    Args:
        config: the task.
        catalogue: fitted items and users; default: the one that `config.catalogue` names, if any.
    """
    from ..kernels.equations import examination

    if catalogue is None and config.catalogue:
        catalogue = Catalogue.load(config.catalogue)
    shape = shape_of(config, catalogue)
    rng = np.random.Generator(np.random.Philox(config.world_seed))
    centres = _unit(rng.standard_normal((shape.topics, shape.dims)))
    bait_level = rng.permutation(np.linspace(-1, 1, shape.topics)) if shape.topics > 1 else np.zeros(1)
    if catalogue is None:
        items, q = _synthetic_items(config, shape, centres, bait_level, rng)
        activity = _rounded(np.exp, config.users.activity_log_sd * rng.standard_normal(shape.users))
    else:
        items, q = _catalogue_items(catalogue, shape)
        centres = _unit(np.stack([q[items["topic"] == t].mean(0) for t in range(shape.topics)]))
        activity = catalogue.user_activity
    items["provider"] = np.arange(shape.items) % config.items.providers
    items["offset"] = rng.integers(0, max(config.items.period, config.items.life, 1), shape.items)
    items["novelty"] = _novelty(items)
    popular, topic_start = _alias_tables(items, shape)
    topics = np.zeros(shape.topics, TOPIC)
    topics["cart_intercept"] = config.feedback.b_0 - config.feedback.b_topic * bait_level
    if config.choice.v_0_by_mood:
        topics["mood_up"], topics["mood_down"] = config.dynamics.mood_up, config.dynamics.mood_down
    theta = _rounded(partial(examination, config.choice), np.arange(1, shape.agents * shape.slots + 1))
    taste, rho, habits = _priors(config, catalogue, shape)
    allowed = _inventory(config, shape, items)
    world = World(
        params=_params(config, shape, items),
        items=items,
        item_vectors=np.ascontiguousarray(q, np.float32),
        price_ratios=_price_ratios(config, catalogue, shape),
        partners=_partners(config, shape, items["topic"], q, centres, catalogue),
        leads_to=topic_map(config, shape.topics).astype(np.int32) if shape.partner_maps else np.zeros(0, np.int32),
        requests=_requests(config, centres.astype(np.float32), catalogue),
        allowed=allowed,
        labels=_labels(config, shape),
        centres=centres.astype(np.float32),
        topics=topics,
        popular=popular,
        topic_start=topic_start,
        activity=_activity(activity),
        prior_taste=taste,
        prior_rho=rho,
        prior_habits=habits,
        v_0=np.array(config.choice.v_0_by_mood or (config.choice.v_0,), np.float64),
        theta=theta,
        log_theta=_rounded(np.log, theta),
        decay=_rounded(np.exp2, -np.arange(config.horizon + 1) / config.items.popularity_half_life).astype(np.float32),
        scenes=_scenes(config),
        agents=_agents(config),
        targets=_targets(config, shape, items, allowed),
    )
    _fill_log(world, rng)
    return read_only(World(*map(aligned, world)))


def _rounded(function: Callable[..., np.ndarray], *numbers: Any) -> np.ndarray:
    """Apply a NumPy function in extended precision and round to float64.

    In float64 the last bit differs between processors, because NumPy has code for each instruction set.
    """
    return function(*(np.asarray(part, np.longdouble) for part in numbers)).astype(np.float64)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _synthetic_items(
    config: WorldConfig, shape: Shape, centres: np.ndarray, bait_level: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    c, m = config.items, shape.items
    items = np.zeros(m, ITEM)
    topic = rng.permutation(np.arange(m) % shape.topics)
    if config.ranked:  # every creator has items of each topic and level of clickbait: `kernels.platform.item_of`
        topic = np.arange(m) // shape.bait_levels % shape.topics
    noise = _unit(rng.standard_normal((m, shape.dims)))
    q = _unit(np.sqrt(c.topic_weight) * centres[topic] + np.sqrt(1 - c.topic_weight) * noise)
    quality = rng.standard_normal(m)
    log_count = c.popularity_quality * quality + np.sqrt(1 - c.popularity_quality**2) * rng.standard_normal(m)
    bait = rng.beta(c.bait_shape, c.bait_shape, m)
    items["topic"] = topic
    items["domain"] = (topic if c.domain_topics else np.arange(m)) % c.domains
    items["intercept"] = c.intercept_sd * rng.standard_normal(m)
    items["quality"] = c.quality_sd * quality
    items["bait"] = (1 - c.bait_topic_share) * bait + c.bait_topic_share * (bait_level[topic] + 1) / 2
    if config.ranked:
        items["bait"] = np.arange(m) % shape.bait_levels / (shape.bait_levels - 1)
    topic_level = c.topic_price_log_sd * rng.standard_normal(shape.topics)
    _set_prices(items, _rounded(np.exp, topic_level[topic] + c.price_log_sd * rng.standard_normal(m)), shape)
    items["length"] = _rounded(np.exp, c.length_log_sd * rng.standard_normal(m) - c.length_log_sd**2 / 2)
    spread = _rounded(np.exp, c.popularity_log_sd * log_count - c.popularity_log_sd**2 / 2)
    items["popularity"] = c.popularity_mean * spread
    return items, q


def _partners(
    config: WorldConfig,
    shape: Shape,
    topic: np.ndarray,
    vectors: np.ndarray,
    centres: np.ndarray,
    catalogue: Catalogue | None,
) -> np.ndarray:
    if catalogue is not None and shape.partner_maps:
        from ..kernels.equations import LOOKED_UP

        weights = {name: getattr(config.choice, name) for name in LOOKED_UP["partner"]}
        named = " and ".join(f"choice.{name} = {weight:g}" for name, weight in weights.items() if weight)
        raise ValueError(f"{named} needs to know what goes with what, which a catalogue does not say; needed is 0")
    return partner_vectors(config, shape, topic, vectors, centres).astype(np.float32)


def _requests(config: WorldConfig, centres: np.ndarray, catalogue: Catalogue | None) -> np.ndarray:
    if config.users.request == 0:
        return np.zeros((0, WIDTH), np.float32)
    return requests_of(config, centres, catalogue).vectors


def _catalogue_items(catalogue: Catalogue, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    items = np.zeros(shape.items, ITEM)
    items["topic"] = catalogue.item_topic
    items["domain"] = catalogue.item_domain
    items["intercept"] = catalogue.item_intercept
    items["length"] = 1.0
    items["popularity"] = catalogue.item_popularity
    if catalogue.item_quality is not None:
        items["quality"] = catalogue.item_quality
    _set_prices(items, catalogue.item_price.astype(np.float64), shape)
    return items, catalogue.item_vectors


def _price_ratios(config: WorldConfig, catalogue: Catalogue | None, shape: Shape) -> np.ndarray:
    """What multiplies each item's list price, and its logarithm.

    Raises:
        ValueError: the config has promotions beside those of the catalogue.
    """
    ratios = np.zeros((shape.items, shape.price_ratios), PRICE_RATIO)
    if catalogue is None or not shape.price_ratios:
        return ratios
    if config.items.promotion_probability > 0:
        raise ValueError(
            f"items.promotion_probability = {config.items.promotion_probability:g} would be ignored, since the "
            f"catalogue has {shape.price_ratios} prices of each item; leave the default, 0"
        )
    ratios["ratio"] = catalogue.item_price_ratio
    ratios["log_ratio"] = _rounded(np.log, catalogue.item_price_ratio)
    return ratios


def _set_prices(items: np.ndarray, price: np.ndarray, shape: Shape) -> None:
    log_price = _rounded(np.log, price)
    count = np.bincount(items["topic"], minlength=shape.topics)
    mean = np.bincount(items["topic"], weights=log_price, minlength=shape.topics) / np.maximum(count, 1)
    items["price"] = price / price.mean()
    items["log_price"] = log_price - mean[items["topic"]]


def _alias(weights: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alias tables of weights[starts[i]:starts[i + 1]] for every i, side by side: (probability, alias row)."""
    from ..kernels.machine.rng import build_alias

    weights = weights.astype(np.float64)
    probability, alias = np.zeros(len(weights)), np.zeros(len(weights), np.int64)
    scratch = np.empty_like(weights), np.empty_like(alias), np.empty_like(alias)
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        build_alias(weights, start, stop, probability, alias, *scratch)
    return probability, alias


def _alias_tables(items: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Fill the alias table of historical popularity over all items; return those of the topics, and where each
    begins."""
    items["probability"], items["alias"] = _alias(items["popularity"], np.array([0, shape.items]))
    by_topic = np.argsort(items["topic"], kind="stable")
    start = np.searchsorted(items["topic"][by_topic], np.arange(shape.topics + 1))
    popular = np.zeros(shape.items, POPULAR)
    popular["probability"], rows = _alias(items["popularity"][by_topic], start)
    popular["item"], popular["alias"] = by_topic, by_topic[rows]
    return popular, start.astype(np.int32)


def _activity(activity: np.ndarray) -> np.ndarray:
    table = np.zeros(len(activity), ACTIVITY)
    table["probability"], table["alias"] = _alias(activity, np.array([0, len(activity)]))
    return table


def _priors(
    config: WorldConfig, catalogue: Catalogue | None, shape: Shape
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if catalogue is None:
        return np.zeros((0, shape.dims), np.float32), np.zeros(0, np.float32), np.zeros((0, shape.habits), HABIT)
    habits = np.zeros((shape.users, shape.habits), HABIT)
    habits["item"] = -1
    kept = min(shape.habits, catalogue.habit_item.shape[1])
    habits["item"][:, :kept] = catalogue.habit_item[:, :kept]
    habits["count"][:, :kept] = np.where(catalogue.habit_item[:, :kept] >= 0, catalogue.habit_count[:, :kept], 0)
    return catalogue.user_taste.astype(np.float32), catalogue.user_price_sensitivity.astype(np.float32), habits


def _inventory(config: WorldConfig, shape: Shape, items: np.ndarray) -> np.ndarray:
    roles = [config.role_of(n) for n in range(shape.agents)]
    if config.ranked:  # a creator owns the items that it can publish
        owner = np.arange(shape.items) // (shape.window * shape.topics * shape.bait_levels)
        return owner == np.arange(shape.agents)[:, None]
    if not any(role.domains or role.items for role in roles):
        return np.zeros((shape.agents, 0), np.bool_)
    allowed, domains = np.ones((shape.agents, shape.items), np.bool_), int(items["domain"].max()) + 1
    for n, role in enumerate(roles):
        if role.items and max(role.items) >= shape.items:
            raise ValueError(
                f"role {role.name!r}: items holds {max(role.items)}, but the world has {shape.items} items, from 0 on"
            )
        if role.domains and max(role.domains) >= domains:
            raise ValueError(
                f"role {role.name!r}: domains holds {max(role.domains)}, but the world has {domains} domains, from 0 on"
            )
        if role.domains:
            allowed[n] &= np.isin(items["domain"], role.domains)
        if role.items:
            allowed[n] &= np.isin(np.arange(shape.items), role.items)
        if not allowed[n].any():
            raise ValueError(
                f"role {role.name!r} has an empty inventory: "
                f"domains {role.domains} and items {role.items} have nothing in common"
            )
    return allowed


def _labels(config: WorldConfig, shape: Shape) -> np.ndarray:
    labels = np.full((shape.agents, shape.topics if shape.labels else 0), -1, np.int32)
    for n in range(shape.agents):
        role = config.role_of(n)
        if role.knows and len(role.knows) != shape.topics:
            raise ValueError(
                f"role {role.name!r}: knows holds {len(role.knows)} labels, but the catalogue has {shape.topics} topics"
                "; allowed is one for each, or none"
            )
        if role.knows:
            labels[n] = role.knows
    return labels


def _scenes(config: WorldConfig) -> np.ndarray:
    scenes = np.zeros(len(config.scenes), SCENE)
    owners = [role.scene for role in config.roles]
    for s, scene in enumerate(config.scenes):
        scenes[s] = (scene.beta_context, scene.cart, owners.index(scene.name) if len(config.scenes) > 1 else -1)
    return scenes


def _agents(config: WorldConfig) -> np.ndarray:
    agents = np.zeros(config.num_agents, AGENT)
    for n in range(config.num_agents):
        role = config.role_index(n)
        agents[n] = (role, *config.reward_weights(role).values())
    return agents


def _novelty(items: np.ndarray) -> np.ndarray:
    """Self-information -log2 of each item's share of the historical clicks, each plus one, scaled to [0, 1] (Vargas &
    Castells 2011, whose unit is the bit); 0 where all are as popular."""
    bits = -_rounded(np.log2, items["popularity"].astype(np.float64) + 1)
    return ((bits - bits.min()) / max(np.ptp(bits), 1e-12)).astype(np.float32)


def _targets(config: WorldConfig, shape: Shape, items: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Share of each agent's exposure that is due to each provider."""
    merit = items["popularity"] + 1.0 if config.reward.fairness_target == "merit" else np.ones(shape.items)
    owned = np.where(allowed, merit, 0.0) if allowed.size else np.tile(merit, (shape.agents, 1))
    due = np.stack([np.bincount(items["provider"], row, config.items.providers) for row in owned])
    return np.asarray(due / due.sum(1, keepdims=True), np.float32)


def _params(config: WorldConfig, shape: Shape, items: np.ndarray) -> np.ndarray:
    params = np.zeros(1, PARAMS)
    for group in GROUPS:
        for f in fields(getattr(config, group)):
            if f.name in (params[group].dtype.names or ()):
                value = getattr(getattr(config, group), f.name)
                params[group][f.name] = f.metadata["allowed"].index(value) if "allowed" in f.metadata else value
    if config.items.life and not config.items.period:
        params["items"]["period"] = config.items.life
    p = params["shape"][0]
    for name in Shape._fields:
        p[name] = getattr(shape, name)
    (actions,) = (f.metadata["allowed"] for f in fields(config) if f.name == "action")
    p["action"], p["full"] = actions.index(config.action), config.observability == "full"
    for name in PAGE_PROPERTIES:
        p[name] = getattr(config, name)
    p["horizon"], p["world_seed"] = config.horizon, config.world_seed
    p["windows"], p["moods"] = config.items.life > 0, len(config.choice.v_0_by_mood)
    p["restricted"] = config.ranked or any(role.domains or role.items for role in config.roles)
    d, t, n = shape.dims, shape.topics, shape.agents
    p["taste"], p["profile"], p["satiation"], p["trust"], p["history"] = 0, d, 2 * d, 2 * d + t, 2 * d + t + n
    p["observed_satisfaction"] = p["history"] + shape.views * (d + t)
    p["satisfaction_pages"] = p["observed_satisfaction"] + shape.satisfaction_views
    after = p["satisfaction_pages"] + shape.satisfaction_views
    p["noisy_history"] = after if config.private else p["history"]
    p["releases"] = after + shape.released_views * (d + t)
    p["width"] = p["releases"] + shape.released_views
    seen = config.observation
    p["profile_noise"], p["profile_error"] = seen.profile_noise / np.sqrt(d), seen.profile_noise**2
    if config.private:
        blur = noise(seen.privacy_epsilon, seen.privacy_delta, seen.privacy_pages)
        p["profile_noise"], p["history_noise"] = max(p["profile_noise"], blur.profile), blur.history
        p["profile_error"] = d * p["profile_noise"] ** 2
    p["log_promotion"] = _rounded(np.log1p, -config.items.promotion_depth)
    p["exposure_decay"] = 0.5 ** (1 / config.reward.fairness_half_life)
    # In float32 for every NumPy; without a history the unit is one click.
    p["popularity_scale"] = np.float32(1) / max(items["popularity"].mean(), np.float32(1))
    where = field_slices(OBSERVATION, config, shape)
    p["observation"] = max(columns.stop for columns in where.values())
    offsets = {name: part.start for name, part in where.items()}
    if not config.ranked:
        offsets["history"] = span(where, HISTORY).start
    _fill(params["fields"], offsets)
    _fill(params["state_fields"], {name: part.start for name, part in field_slices(STATE, config, shape).items()})
    _fill(params["action_fields"], {name: part.start for name, part in field_slices(ACTION, config, shape).items()})
    _fill(params["features"], {name: i for i, name in enumerate(candidate_features(config, shape))})
    _fill(params["observed"], {name: i for i, name in enumerate(observed_features(config, shape))})
    return params


def _fill_log(world: World, rng: np.random.Generator) -> None:
    """Draw the historical log of every item, and fill in its means.

    `kernels.past` computes how people respond to each item; the counts are drawn from that. The means are expectations,
    so that they are defined also for a short or empty log.
    """
    from ..kernels.past import respond

    shape, items = world.params["shape"][0], len(world.items)
    rate, mean, variance = np.zeros(items), np.zeros(items), np.zeros(items)
    people = max(SAMPLE // 8, min(SAMPLE, 4_000_000 // items))
    sample = np.zeros(people, np.int64), np.zeros(people), np.zeros((people, shape["topics"]))
    known = read_only(world)
    respond(known, allocate_state(world, 1, people, people), allocate_scratch(world, 1), sample, rate, mean, variance)
    clicks = rng.poisson(world.params["items"]["log_impressions"][0] * rate)
    world.items["log_clicks"] = clicks
    world.items["log_satisfaction"] = clicks * mean + np.sqrt(clicks * variance) * rng.standard_normal(items)
    shape["mean_ctr"] = rate.mean()
    shape["mean_satisfaction"] = (rate * mean).mean() / rate.mean()  # no `@`, whose order of sums is the processor's


def _fill(record: np.ndarray, offsets: dict[str, int]) -> None:
    for name in record.dtype.names or ():
        record[name] = offsets.get(name, -1)
