"""The kernels do what the rules say: compared with the plain game, tick by tick, on random worlds; and batches are
copies."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import comparison
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from plain_game import Copy, Game, Report

from recsys_env.batch.base import copy_seed
from recsys_env.batch.spaces import beside_picks, choices, mask_size
from recsys_env.batch.vector import chunks
from recsys_env.config import WorldConfig
from recsys_env.config.catalogue import Catalogue
from recsys_env.config.fields import candidate_features
from recsys_env.config.settings import replace
from recsys_env.kernels import step
from recsys_env.kernels.expected import expect
from recsys_env.kernels.machine.compiler import compiled_for
from recsys_env.kernels.machine.packed import PackedArrays, PackedArraysType
from recsys_env.kernels.machine.pointers import typeof
from recsys_env.kernels.machine.threads import compiled_step
from recsys_env.kernels.page import read_prices
from recsys_env.kernels.past import respond
from recsys_env.kernels.planners.appraisal import appraise
from recsys_env.kernels.planners.options import list_options
from recsys_env.world.arrays import World, allocate_report, allocate_scratch, allocate_state, most_rows
from recsys_env.world.build import SAMPLE, build, shape_of

PAGES = ("shared", "rows", "rival")
ACTIONS = ("candidates", "items", "query", "weights")
KINDS = (  # of page and of action
    *product(PAGES, ACTIONS),
    ("auction", "candidates"),
    ("auction", "weights"),
    ("platform", "publish"),
)
EXAMPLES, AT_LEAST = 15, 30  # worlds per page kind and action kind, and per page kind
COPIES = 3
REPEATS = ((1.0, 1.0), (0.0, 1.0), (1.0, 0.2), (-1.0, 1.0))  # beta_repeat, repeat_scale
BOUNDARY = 1e-5  # a draw this close to another outcome may fall to either side


class Kernels:
    """B copies of a world, driven directly: the one place that calls the kernels' entry."""

    def __init__(self, config: WorldConfig, world: World, seeds: np.ndarray, parallel: bool = False) -> None:
        self.world, self.state = world, allocate_state(world, len(seeds), rows=most_rows(world))
        size = mask_size(config, shape_of(config, None))
        self.reports = [allocate_report(world, len(seeds), size) for _ in range(2)]
        self.scratch = allocate_scratch(world, len(seeds))
        self.threads = 2 if parallel else 1
        self.starts = chunks(len(seeds))
        features = int(world.params["shape"][0]["features"])
        self.idle = np.zeros((len(seeds), *action_shape(config, features)), action_dtype(config))
        self.state.copies["seed"], self.state.copies["population"] = seeds, seeds ^ np.uint64(0x5DEECE66D)

    @property
    def report(self) -> Any:
        """The latest one."""
        return self.reports[0]

    def _run(self, actions: np.ndarray, mode: int) -> None:
        self.reports.reverse()
        parts = self.world, self.state, self.report, self.scratch
        play = compiled_step(PackedArraysType(*map(typeof, parts)), actions, self.starts, self.threads)
        handle = PackedArrays(*parts)
        play(handle.address, actions, mode, self.starts)

    def reset(self) -> None:
        self._run(self.idle, step.RESET)

    def step(self, actions: np.ndarray) -> None:
        self._run(actions, step.STEP)

    def look(self) -> None:
        self._run(self.idle, step.LOOK)

    def write_states(self, rows: np.ndarray) -> None:
        """Write the global states without their private part."""
        parts, runs = (self.world, self.state, self.report, self.scratch), np.zeros((0, 2), np.int64)
        write = compiled_for(PackedArraysType(*map(typeof, parts)), step.global_state, runs, rows)
        packed = PackedArrays(*parts)
        write(packed.address, runs, rows)


def action_shape(config: WorldConfig, features: int | None = None) -> tuple[int, int]:
    """F: features of a candidate, of which a catalogue can have one more."""
    shape = shape_of(config, None)
    if config.continuous:
        size = shape.dims if config.action == "query" else shape.features if features is None else features
        return config.num_agents, size + (shape.levels > 0) + shape.vocabulary
    return config.num_agents, config.slots + len(beside_picks(shape)) * (config.slots > 1)


def action_dtype(config: WorldConfig) -> type:
    return np.float32 if config.continuous else np.int64


def random_actions(
    config: WorldConfig, copies: int, rng: np.random.Generator, features: int | None = None
) -> np.ndarray:
    sizes = shape_of(config, None)
    shape, beside = (copies, *action_shape(config, features)), beside_picks(sizes)
    if config.continuous:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    options = choices(config, sizes)
    if config.slots == 1:
        return rng.integers(0, options * math.prod(beside), shape)
    return rng.integers(0, [options] * config.slots + beside, shape)


# ------------------------------------------------------------------------------------------------ random worlds


def one(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def configs(draw: Any, page: str, action: str) -> WorldConfig:
    """The whole space of configs, small, with parameters that make every event frequent."""
    items, topics, scenes = (
        draw(st.integers(3, 30)),
        draw(st.integers(1, 5)),
        draw(one(1, 2, 3)) if page in ("shared", "rows") else 1,
    )
    topics, domains = min(topics, items), draw(st.integers(1, 3))
    names = ["entrance", "item", "cart"][:scenes]
    agents = draw(st.integers(scenes, 4))
    roles = draw(_roles(agents, names, (items, domains, topics)))
    auctioned = page == "auction"
    private = scenes == 1 and not auctioned and action != "weights" and draw(one(False, False, False, True))
    if private:
        roles = tuple({**role, "knows": ()} for role in roles)
    slots = 1 if auctioned else draw(st.integers(1, 4))
    both = any(role["items"] and role["domains"] for role in roles)  # which may then have nothing in common
    by_topic = topics >= domains and not both and draw(st.booleans())
    moods = draw(one(0, 0, 0, 2, 3))
    cart = draw(one(True, True, True, False))
    life = draw(one(0, 0, 4, 7))
    weight = one(0.0, 1.0, -0.5)
    instant = draw(one(False, False, False, True)) or (auctioned and cart)
    return WorldConfig(
        num_agents=agents,
        slots=slots,
        horizon=draw(st.integers(5, 25)),
        world_seed=draw(st.integers(0, 2**63 - 1)),
        page=page,
        action=action,
        messages=0 if private else draw(one(0, 0, 2, 3)),
        mask_actions=action in ("candidates", "items") and draw(st.booleans()),
        observability="partial" if private else draw(one("partial", "full")),
        roles=roles,
        scenes=tuple(
            {"name": name, "beta_context": draw(weight), "cart": cart or (not auctioned and draw(st.booleans()))}
            for name in names
        ),
        users=dict(
            number=draw(one(2, 1, 3, 4, 5, 6)),
            population="fresh" if private else draw(one("fresh", "fixed")),
            groups=draw(st.integers(1, 3)),
            topics=draw(st.integers(1, 3)),
            price_sensitivity_log_sd=draw(one(0.0, 0.5)),
            intent_scale=draw(one(0.0, 4.0)),
            rating_bias_sd=draw(one(0.0, 0.4)),
            habit_size=draw(one(2, 5, 1, 2, 5, 0)),
            habit_decay=draw(one(0.5, 0.98, 1.0)),
            habit=draw(one("click", "purchase")),
            z_init=draw(one(0.0, 0.3)),
            trust_init=draw(one(0.0, -0.2)),
            wallet_init=draw(one(0.0, 1.5, 4.0)),
            wallet_refill=draw(one(0.0, 0.3)),
            request=(said := draw(one(0.0, 0.7))),
            request_vague=draw(one(0.2, 0.0)) if said else 0.2,
            request_misleading=draw(one(0.1, 0.5)) if said else 0.1,
        ),
        items=dict(
            number=items,
            dims=draw(st.integers(1, 9)),
            topics=topics,
            intercept_sd=draw(one(0.0, 0.5)),
            domains=domains,
            domain_topics=by_topic,
            partner_step=draw(one(0, 1, 2)) if by_topic else 0,
            providers=draw(one(2, 3, 1)),
            price_log_sd=draw(one(0.0, 0.5)),
            length_log_sd=draw(one(0.0, 0.5)),
            popularity_mean=draw(one(1.0, 20.0)),
            popularity_half_life=draw(one(5.0, 1000.0)),
            log_impressions=draw(one(0.0, 30.0, 680.0)),
            promotion_probability=draw(one(0.0, 0.5)),
            promotion_depth=draw(one(0.0, 0.3)),
            promotion_period=draw(one(3, 100)),
            stock_init=0 if private else draw(one(0, 1, 2)),
            restock_period=draw(one(4, 500)),
            life=life,
            period=draw(one(0, life, life + 3)) if life else 0,
        ),
        choice=dict(
            v_0=draw(one(0.0, 1.0, -1.0)),
            v_0_by_mood=(0.0, 1.0, 2.5)[:moods],
            beta_taste=draw(one(0.0, 1.0, 3.0)),
            beta_quality=draw(weight),
            beta_bait=draw(weight),
            beta_price=draw(weight),
            beta_fresh=draw(weight),
            tau_fresh=draw(one(2.0, 100.0)),
            beta_pop=draw(one(0.0, 0.3)),
            beta_intent=draw(weight),
            beta_satiation=draw(weight),
            **draw(one(*(dict(zip(("beta_repeat", "repeat_scale"), each, strict=True)) for each in REPEATS))),
            habit_rate=draw(one(0.0, 0.5, 20.0)),
            beta_partner=draw(one(0.0, 2.0, -1.0)),
            partner_decay=draw(one(0.7, 1.0, 0.0)),
            partner_second=draw(one(0.0, 0.5)),
            beta_trust=draw(one(0.0, 1.0, 3.0)),
            dissimilarity=draw(one(1.0, 0.4, 0.15)) if page == "rows" else 1.0,
            eta=draw(one(0.0, 0.835)),
            kappa=draw(one(0.0, 0.75)),
        ),
        feedback=dict(
            e_0=draw(weight),
            a_taste=draw(weight),
            a_quality=draw(weight),
            a_bait=draw(weight),
            a_satiation=draw(weight),
            a_price=draw(weight),
            noise_scale=draw(one(0.0, 1.0)),
            b_0=draw(one(3.0, 1.0)),
            b_topic=draw(weight),
            b_taste=draw(weight),
            b_quality=draw(weight),
            b_price=draw(weight),
            instant=instant,
            cart_hazard=draw(one(0.15, 0.3)),
            cart_abandon=draw(one(0.1, 0.0)),
            rating_after_click=draw(one(0.0, 0.4)),
            rating_after_purchase=draw(one(0.0, 0.7)),
            like=draw(st.booleans()),
        ),
        dynamics=dict(
            drift=draw(one(0.0, 0.02, 0.3)),
            satiation_page=draw(one(0.9, 0.5)),
            satiation_session=draw(one(0.3, 1.0)),
            satiation_shown=draw(one(0.0, 0.1)),
            z_rate=draw(one(0.2, 0.6)),
            z_rate_none=draw(one(0.0, 0.1)),
            trust_rate=draw(one(0.0, 0.3)),
            trust_rate_none=draw(one(0.0, 0.1)),
            trust_rate_rival=draw(one(0.0, 0.2)),
            baseline=draw(one(-0.3, 0.1)),
            mood_up=tuple(draw(one(0.0, 0.5)) for _ in range(topics if moods else 0)),
            mood_down=tuple(draw(one(0.2, 0.5)) for _ in range(topics if moods else 0)),
            mood_up_none=draw(one(0.0, 0.3)),
            mood_down_none=draw(one(0.0, 0.3)),
        ),
        arrival=dict(
            k_0=draw(one(0.0, 2.0)),
            k_1=draw(one(0.0, 0.8)),
            r_0=draw(one(0.0, 2.0)),
            r_1=draw(one(0.0, 3.0)),
            d_0=draw(one(0.0, 0.2)),
            d_1=draw(one(0.0, 0.5)),
            d_2=draw(one(0.0, 2.0)),
        ),
        reward=_rewards(draw, weight),
        offer=dict(
            kind="bid" if auctioned else draw(one("price", "price", "none")) if instant and not private else "none",
            levels=draw(one(7, 2, 3)),
            low=draw(one(0.5, 0.8)),
            high=draw(one(2.0, 1.3)),
            **(_bidding(draw) if auctioned else {}),
        ),
        candidates=dict(
            number=1 if auctioned else draw(st.integers(4, 8) | st.integers(slots, 8)),
            topic_scale=draw(one(0.0, 4.0)),
            order=draw(one("shuffled", "score")),
            features=draw(one("digest", "vectors", "both")),
        ),
        observation=dict(
            profile_noise=draw(one(0.0, 0.5, 2.0)),
            history_decay=draw(one(0.9, 0.5)),
            share=draw(st.booleans()),
            recent=draw(one(0, 1, 2, 3)),
            request=said > 0 and draw(st.booleans()),
            observed_satisfaction=draw(one("own", "platform")),
            privacy_epsilon=draw(one(0.5, 8.0)) if private else 0.0,
            privacy_pages=draw(one(1, 3, 20)),
        ),
    )  # type: ignore[arg-type]


def _rewards(draw: Any, weight: st.SearchStrategy[float]) -> dict[str, Any]:
    rewards = dict(
        sharing=draw(one(0.0, 1.0, -1.0) | st.floats(-1, 1)),
        margin_rate=draw(one(0.3, 0.5)),
        click=draw(weight),
        cart=draw(weight),
        purchase=draw(weight),
        rating=draw(weight),
        like=draw(weight),
        dwell=draw(weight),
        diversity=draw(weight),
        novelty=draw(weight),
        fairness=draw(weight),
        fairness_target=draw(one("inventory", "merit")),
        fairness_half_life=draw(one(2.0, 200.0)),
    )
    if not any(rewards[name] for name in ("click", "dwell", "diversity", "novelty", "fairness")):
        rewards["click"] = 1.0  # a world in which nothing that is paid can happen is refused
    return rewards


def _bidding(draw: Any) -> dict[str, Any]:
    return dict(
        value_log_sd=draw(one(0.5, 1.0, 0.0)), budget=draw(one(0.5, 2.0, 0.0)), refill_period=draw(one(5, 1, 250))
    )


def worlds(page: str, action: str) -> st.SearchStrategy[WorldConfig]:
    """Random worlds with this kind of page and of action."""
    return platforms() if page == "platform" else configs(page, action)


@st.composite
def platforms(draw: Any) -> WorldConfig:
    """The same with page="platform", without what this kind of page refuses."""
    config = draw(configs("shared", "items"))
    roles = [replace(role, {"items": (), "domains": (), "knows": (), "scene": ""}) for role in config.roles]
    scene = config.scenes[0]
    agents, one_role = draw(st.integers(1, 5)), draw(st.booleans())
    return replace(
        config,
        {
            "page": "platform",
            "action": "publish",
            "slots": 1,
            "num_agents": agents if one_role else len(roles) if len(roles) > 1 else agents,
            "roles": tuple(roles[:1] if one_role else roles),
            "scenes": (scene,),
            "messages": 0,
            "mask_actions": draw(st.booleans()),
            "observability": "partial",
            "items": {"number": 200, "life": 0, "period": 0},
            "offer": {"kind": "none"},
            "observation": {"recent": 0, "request": False, "privacy_epsilon": 0.0},
            "platform": {
                "places": draw(st.integers(1, 4)),
                "period": draw(one(1, 2, 5)),
                "window": draw(st.integers(1, 3)),
                "bait_levels": draw(st.integers(2, 3)),
                "match": draw(one(0.0, 2.0)),
                "bait": draw(one(0.0, 1.0, -1.0)),
                "noise": draw(one(0.0, 1.0)),
            },
        },
    )


@st.composite
def _roles(draw: Any, agents: int, scenes: list[str], sizes: tuple[int, int, int]) -> tuple[dict[str, Any], ...]:
    """One repeated role, or one per agent; each with its inventory, knowledge and rewards; with several scenes each has
    an owner."""
    items, domains, topics = sizes
    repeated = len(scenes) == 1 and draw(st.booleans())
    owned = draw(st.permutations([*scenes, *[""] * (agents - len(scenes))])) if len(scenes) > 1 else [""] * agents
    roles = []
    for i in range(1 if repeated else agents):
        kind = draw(one("all", "all", "domains", "items", "both"))
        shown = draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=items, unique=True))
        own = {shown[0] % domains, draw(st.integers(0, min(domains, items) - 1))}
        events = {"click": 1.0, "cart": 0.5, "purchase": 1.0, "rating": 0.2, "like": 0.1, "dwell": 0.05}
        rewards = draw(one({}, events, {"click": 1.0, "diversity": 0.5, "novelty": -0.3, "fairness": 2.0}))
        roles.append(
            {
                "name": f"role{i}",
                "scene": owned[i],
                "rewards": rewards,
                "knows": tuple(draw(st.integers(0, 2)) for _ in range(topics if draw(one(False, True)) else 0)),
                "items": tuple(shown) if kind in ("items", "both") else (),
                "domains": tuple(own) if kind in ("domains", "both") else (),
            }
        )
    return tuple(roles)


def fittable(config: WorldConfig) -> WorldConfig:
    """The config without what no catalogue says: what goes with what."""
    return replace(config, {"choice": {"beta_partner": 0.0}})


def small_catalogue(config: WorldConfig, key: int) -> Catalogue:
    """A catalogue with the sizes of a config: fitted tastes, and habits that people start with."""
    rng = np.random.default_rng(key)
    users, items, dims, topics = config.users.number, config.items.number, config.items.dims, config.items.topics
    domains, ratios = min(config.items.domains, items), 0 if config.items.promotion_probability else 4
    vectors, tastes = (rng.standard_normal((n, dims)).astype(np.float32) for n in (items, users))
    habits = np.stack([rng.permutation(items)[:3] for _ in range(users)]).astype(np.int32)
    habits[rng.random((users, 3)) < 0.2] = -1
    return Catalogue(
        item_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        item_topic=(rng.permutation(items) % topics).astype(np.int32),
        item_intercept=np.zeros(items, np.float32),
        item_quality=rng.standard_normal(items).astype(np.float32),
        item_price=rng.uniform(1, 5, items).astype(np.float32),
        item_popularity=rng.uniform(1, 9, items).astype(np.float32),
        user_taste=tastes / np.linalg.norm(tastes, axis=1, keepdims=True),
        user_price_sensitivity=rng.uniform(0.5, 1.5, users).astype(np.float32),
        user_activity=rng.uniform(1, 3, users).astype(np.float32),
        habit_item=habits,
        habit_count=rng.uniform(0.5, 3, (users, 3)).astype(np.float32),
        # reduced, the list price, hardly reduced, raised
        item_price_ratio=rng.choice([0.5, 1.0, 0.995, 1.2], (items, ratios)).astype(np.float32),
        item_domain=(np.arange(items) % domains).astype(np.int32),
        item_name=np.array([f"item {j}" for j in range(items)]),
        item_text=np.array([""] * items),
        topic_name=np.array([f"topic {t}" for t in range(topics)]),
        domain_name=np.array([f"domain {x}" for x in range(domains)]),
    )


# ----------------------------------------------------------------------------------------- against the plain game


def play(config: WorldConfig, key: int, fitted: bool) -> Counter[str]:
    """An episode and a few ticks of the next one; every tick starts from the kernels' state. Returns what happened."""
    rng = np.random.default_rng(key)
    config = fittable(config) if fitted else config
    world = build(config, small_catalogue(config, key) if fitted else None)
    game = Game(config, world)
    kernels = Kernels(config, world, rng.integers(0, 2**64, COPIES, np.uint64))
    kernels.reset()
    tally: Counter[str] = Counter()
    for b in range(COPIES):
        row = kernels.state.copies[b]
        copy, report = game.reset(int(row["seed"]), int(row["population"]))
        tally += compare(game, kernels, b, copy, report)
    for tick in range(config.horizon + 4):
        before = [comparison.read(game, kernels.state, b) for b in range(COPIES)]
        actions = random_actions(config, COPIES, rng, game.shape.features)
        if tick % 4 == 3:
            compare_views(game, kernels, before, actions, tick % config.num_agents)
        kernels.step(actions)
        for b in range(COPIES):
            report = game.step(before[b], actions[b])
            tally += compare(game, kernels, b, before[b], report)
    return tally


COLD_BELOW = 8.0


def compare_views(game: Game, kernels: Kernels, copies: list[Copy], actions: np.ndarray, n: int) -> None:
    """What others are told of the page about to be shown: its expectations, the options of agent n, the best slates,
    the state, prices."""
    world, state, shape = kernels.world, kernels.state, game.shape
    slots, names = game.config.slots, candidate_features(game.config, shape)
    options = (
        np.full((COPIES, shape.candidates or shape.items), 7),
        np.full((COPIES, shape.candidates or shape.items, len(names)), 7, np.float32),
    )
    list_options(world, state, n, *options)
    discount, ideal = 1 / np.log2(np.arange(slots) + 2.0), np.zeros((COPIES, shape.agents, 3))
    gains, cold = np.full((COPIES, shape.items), np.nan), np.zeros((COPIES, shape.items), np.bool_)
    appraise(
        world, state, COLD_BELOW, discount, np.zeros((3, slots)), np.zeros((3, slots), np.int64), ideal, gains, cold
    )
    rows = np.full((COPIES, kernels.report.final_states.shape[1]), 7, np.float32)
    kernels.write_states(rows)
    tick, prices, promoted = copies[0].tick, np.zeros(shape.items), np.zeros(shape.items, np.bool_)
    read_prices(world, np.arange(shape.items), tick, prices, promoted)
    comparison.close([game.price(j, tick) for j in range(shape.items)], prices, "prices")
    assert [game.promoted(j, tick) for j in range(shape.items)] == promoted.tolist()
    click, cart, own = (
        np.zeros((COPIES, shape.agents, slots)),
        np.zeros((COPIES, shape.agents, slots)),
        np.zeros((COPIES, shape.agents)),
    )
    objectives, rewards = np.zeros_like(own), np.zeros_like(own)
    spent = [type(arrays)(*(array.copy() for array in arrays)) for arrays in (state, kernels.report, kernels.scratch)]
    expect(world, *spent, actions, click, cart, own, objectives, rewards)
    for b, copy in enumerate(copies):
        listed = game.options(copy, n)
        assert [-1 if j is None else j for j in listed] == options[0][b].tolist()
        comparison.close(
            [np.zeros(len(names)) if j is None else game.features(copy, n, j, names) for j in listed],
            options[1][b],
            "features of the options",
        )
        comparison.close([game.ideal(copy, m, COLD_BELOW, discount.tolist()) for m in game.agents], ideal[b], "ideal")
        assert [game.popularity(copy, j) < COLD_BELOW for j in range(shape.items)] == cold[b].tolist()
        can = sorted({j for m in game.agents for j in game.options(copy, m) if j is not None})
        assert np.flatnonzero(np.isfinite(gains[b])).tolist() == can
        comparison.close([game.gain(copy, j) for j in can], gains[b, can], "gains")
        comparison.close(game.state(copy), rows[b], "state")
        expected = game.expect(copy, actions[b])
        for name, found in (
            ("click", click),
            ("cart", cart),
            ("individual_reward", own),
            ("objectives", objectives),
        ):
            comparison.close(getattr(expected, name), found[b], f"expected {name}")
        comparison.close(game.shared(expected.individual_reward + expected.objectives), rewards[b], "expected rewards")


def compare(game: Game, kernels: Kernels, b: int, copy: Copy, report: Report) -> Counter[str]:
    """One tick of copy b, unless a draw lies at a boundary."""
    if report.boundary < BOUNDARY:
        return Counter(ticks=1, skipped=1)
    comparison.compare_report(game, report, kernels.report, b)
    comparison.compare_copies(game, copy, comparison.read(game, kernels.state, b))
    return report.events + Counter(ticks=1, truncated=report.truncated)


def random_worlds(examples: int, number: int = 0) -> Any:
    """Run a hypothesis test on this many worlds, the same ones in every run; they are small already, so that none is
    shrunk."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: seed(number)(chosen(test))


FREQUENT = (
    "page",
    "idle",
    "click",
    "hole",
    "cart",
    "instant",
    "offer",
    "bought",
    "later",
    "abandoned",
    "rated",
    "like",
    "lost",
    "evicted",
    "truncated",
)
OCCASIONAL = ("cart moved", "cart dropped", "refused", "familiar", "searched")
SCENES = ("scene 1", "scene 2", "back to entrance")
SOLD = ("sold", "tied", "budget was bid", "refilled")  # in auctions
# What does not happen, or seldom, on such pages.
LACKING = {"auction": ("hole", "offer", "later", "abandoned"), "platform": ("offer", "like")}


def events_of(page: str) -> tuple[list[str], tuple[str, ...]]:
    """What happens often on pages of this kind, and what at least once."""
    frequent = [event for event in FREQUENT if event not in LACKING.get(page, ())]
    if page == "auction":
        return [*frequent, *SOLD], ()
    if page == "platform":
        return frequent, ("like",)
    return frequent, (*OCCASIONAL, *(SCENES if page != "rival" else ()))


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page != "shared")) for page in dict(KINDS)]
)
def test_kernels_follow_the_plain_game(page: str) -> None:
    tally: Counter[str] = Counter()
    examples = max(EXAMPLES, AT_LEAST // [kind for kind, _ in KINDS].count(page))
    catalogues = st.just(False) if page == "platform" else one(False, False, False, True)
    for number, (kind, action) in enumerate(KINDS):
        if kind != page:
            continue

        @random_worlds(examples, number=number)
        @given(config=worlds(page, action), key=st.integers(0, 2**32), fitted=catalogues)
        def check(config: WorldConfig, key: int, fitted: bool) -> None:
            tally.update(play(config, key, fitted) + Counter({f"worlds of {config.action}": 1}))

        check()
        assert tally[f"worlds of {action}"] >= examples
    assert tally["skipped"] <= 0.005 * tally["ticks"]
    frequent, occasional = events_of(page)
    rare = {event: tally[event] for event in frequent if tally[event] < 10}
    rare |= {event: tally[event] for event in occasional if tally[event] < 1}
    assert not rare, f"too rare to be tested: {rare}, of {tally}"


# ------------------------------------------------------------------------------------------------ batches are copies


_NEXT = ("active", "next_visitor", "next_user_slot")  # what agents are told of the page about to be shown


def contents(kernels: Kernels, b: int) -> dict[str, bytes]:
    """Everything that the kernels hold about copy b, bit for bit."""
    arrays = kernels.state._asdict() | kernels.report._asdict()
    arrays |= {name: kernels.report.agents[name] for name in _NEXT}
    return {name: array[b].tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize(("page", "action"), KINDS)
def test_a_copy_does_not_depend_on_its_batch_nor_on_threads(page: str, action: str) -> None:
    @random_worlds(2, number=KINDS.index((page, action)))
    @given(config=worlds(page, action), key=st.integers(0, 2**63 - 1))
    def check(config: WorldConfig, key: int) -> None:
        rng = np.random.default_rng(key)
        world, seeds = build(config), np.array([copy_seed(key, b) for b in range(64)], np.uint64)
        members = {
            "64": range(64),
            "64 in parallel": range(64),
            "5": range(5),
            "copy 0 alone": [0],
            "copy 4 alone": [4],
        }
        batches = {
            name: Kernels(config, world, seeds[list(rows)], "parallel" in name) for name, rows in members.items()
        }
        for tick in range(-1, config.horizon + 2):
            actions = random_actions(config, 64, rng)
            for name, batch in batches.items():
                if tick < 0:
                    batch.reset()
                else:
                    batch.step(actions[list(members[name])])
            for name, rows in members.items():
                for b, row in enumerate(rows):
                    assert contents(batches[name], b) == contents(batches["64"], row), (
                        f"copy {row}, batch of {name}, tick {tick}"
                    )

    check()


@random_worlds(10)
@given(config=configs("shared", "candidates"), key=st.integers(0, 2**32))
def test_looking_again_changes_nothing(config: WorldConfig, key: int) -> None:
    rng = np.random.default_rng(key)
    kernels = Kernels(config, build(config), rng.integers(0, 2**64, COPIES, np.uint64))
    kernels.reset()
    for _ in range(4):
        kernels.step(random_actions(config, COPIES, rng))
        seen = [contents(kernels, b) for b in range(COPIES)]
        kernels.look()
        for b in range(COPIES):
            again = contents(kernels, b)
            for name in (*kernels.state._fields, "observations", "masks", *_NEXT):
                assert again[name] == seen[b][name], name


# ------------------------------------------------------------------------------------------------ the historical log


@random_worlds(20)
@given(config=configs("rows", "candidates"), key=st.integers(0, 2**32), fitted=st.booleans())
def test_the_historical_log_is_what_people_made_of_the_items(config: WorldConfig, key: int, fitted: bool) -> None:
    """The chance of it as well: clicks are Poisson, so their standardised squares have mean 1."""
    config = replace(fittable(config) if fitted else config, {"items": {"log_impressions": 200.0}})
    world = build(config, small_catalogue(config, key) if fitted else None)
    rate, mean, variance = (np.zeros(len(world.items)) for _ in range(3))
    sample = np.zeros(SAMPLE, np.int64), np.zeros(SAMPLE), np.zeros((SAMPLE, config.items.topics))
    respond(world, allocate_state(world, 1, SAMPLE, SAMPLE), allocate_scratch(world, 1), sample, rate, mean, variance)
    game = Game(config, world)
    comparison.close(game.responses(SAMPLE), np.stack([rate, mean, variance]), "responses")
    clicks, shape = world.items["log_clicks"].astype(float), world.params["shape"][0]
    comparison.close(
        [rate.mean(), (rate * mean).sum() / rate.sum()], [shape["mean_ctr"], shape["mean_satisfaction"]], "means"
    )
    expected = 200 * rate
    assert (
        abs(((clicks - expected) ** 2 / expected).sum() - len(rate)) < 6 * (2 * len(rate) + (1 / expected).sum()) ** 0.5
    )
    error, spread = world.items["log_satisfaction"] - clicks * mean, np.sqrt(clicks * variance)
    assert (np.abs(error) <= 5 * spread + 1e-4 * np.abs(clicks * mean) + 1e-5).all()


# ------------------------------------------------------------------------------------------------ alias tables


@random_worlds(20)
@given(config=configs("shared", "candidates"), key=st.integers(0, 2**32))
def test_alias_tables_follow_popularity_and_activity(config: WorldConfig, key: int) -> None:
    catalogue = small_catalogue(config, key)
    world = build(fittable(config), catalogue)
    popularity, rows = world.items["popularity"], world.popular["item"]
    np.testing.assert_allclose(
        alias_shares(world.items["probability"], world.items["alias"]), shares(popularity), atol=1e-6
    )
    np.testing.assert_allclose(
        alias_shares(world.activity["probability"], world.activity["alias"]), shares(catalogue.user_activity), atol=1e-6
    )
    for topic, (start, stop) in enumerate(zip(world.topic_start, world.topic_start[1:], strict=False)):
        table = world.popular[start:stop]
        assert sorted(rows[start:stop]) == np.flatnonzero(world.items["topic"] == topic).tolist()
        place = {j: row for row, j in enumerate(table["item"])}
        drawn = alias_shares(table["probability"], np.array([place[j] for j in table["alias"]]))
        np.testing.assert_allclose(drawn, shares(popularity[rows[start:stop]]), atol=1e-6)


def alias_shares(probability: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """How often each row of an alias table is drawn."""
    return (probability + np.bincount(alias, 1.0 - probability, len(alias))) / len(alias)


def shares(weights: np.ndarray) -> np.ndarray:
    return weights.astype(np.float64) / weights.sum(dtype=np.float64)
