"""The level of appeal in a fitted world: what `content` believes an item to be worth against choosing nothing."""

import dataclasses

import numpy as np
import pytest

import recsys_env
from recsys_env import Catalogue, replace

pytest.importorskip("implicit")
origins = pytest.importorskip("benchmarks.studies.fit_origin")

from recsys_env.fitting import FittedWorld, LogFacts  # noqa: E402
from recsys_env.fitting.estimate import fitted_world, least_squares  # noqa: E402
from recsys_env.policies import make_policy  # noqa: E402

USERS, ITEMS, DIMS, TOPICS, COPIES = 200, 150, 4, 4, 512


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def source() -> FittedWorld:
    """A world with popular and with dear items."""
    rng = np.random.default_rng(0)
    popularity = np.exp(rng.normal(3.0, 1.0, ITEMS))
    alpha = 0.8 * np.log1p(popularity) + rng.normal(0, 0.2, ITEMS)
    alpha -= np.average(alpha, weights=popularity)
    intercept, slope = least_squares(np.log1p(popularity), y=alpha)
    names, single = np.arange(ITEMS).astype(str), np.array(["all"])
    catalogue = Catalogue(
        item_vectors=unit(rng.normal(size=(ITEMS, DIMS))),
        item_topic=np.arange(ITEMS, dtype=np.int32) % TOPICS,
        item_intercept=alpha.astype(np.float32),
        item_price=np.exp(rng.normal(0, 0.7, ITEMS)).astype(np.float32),
        item_popularity=popularity.astype(np.float32),
        item_price_ratio=np.ones((ITEMS, 0), np.float32),
        user_taste=unit(rng.normal(size=(USERS, DIMS))),
        user_price_sensitivity=np.ones(USERS, np.float32),
        user_activity=np.ones(USERS, np.float32),
        habit_item=np.full((USERS, 8), -1, np.int32),
        habit_count=np.zeros((USERS, 8), np.float32),
        item_domain=np.zeros(ITEMS, np.int32),
        item_name=names,
        item_text=names,
        topic_name=np.arange(TOPICS).astype(str),
        domain_name=single,
        popularity_intercept=intercept,
        popularity_slope=slope,
        settings={
            "choice": {"beta_taste": 2.0, "beta_repeat": 0.0, "beta_price": 0.0},
            "users": {"habit_size": 8, "habit_decay": 0.99},
        },
    )
    return replace(fitted_world(catalogue, "free_choice", LogFacts()), {"num_agents": 1, "action": "items"})


@pytest.fixture(scope="module")
def back(source: FittedWorld) -> FittedWorld:
    """The world fitted to a log of the source, with vectors, tastes and weight of taste of the source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(origins, "PURCHASES", 4000)
        log = origins.purchases(replace(source, origins.SHELF), None)
    fitted = origins.fitted(log, "free_choice").catalogue
    names = ("item_vectors", "user_taste", "user_activity", "habit_item", "habit_count", "settings")
    given = {name: getattr(source.catalogue, name) for name in names}
    world = fitted_world(dataclasses.replace(fitted, **given), "free_choice", LogFacts())
    return replace(world, {"num_agents": 1, "action": "items"})


def slates(world: FittedWorld) -> np.ndarray:
    """What `content` shows on the first page of every copy [B, K]."""
    envs = recsys_env.vector_env(world, COPIES)
    policy = make_policy("content")
    policy.bind(envs, envs.possible_agents[0], 0)
    observations, _ = envs.reset(seed=0)
    return np.sort(policy.act(observations[:, 0]), axis=1)


def same_items(one: np.ndarray, other: np.ndarray) -> float:
    """The mean share of items that slates have in common."""
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(one, other, strict=True)]))


def level(world: FittedWorld) -> float:
    """What `content` believes the mean item to be worth, less what choosing nothing is."""
    catalogue = world.catalogue
    counts = np.log1p(catalogue.item_popularity)
    return float((catalogue.popularity_intercept + catalogue.popularity_slope * counts).mean()) - world.choice.v_0


def test_content_chooses_in_a_world_fitted_to_a_log_as_in_the_world_of_the_log(
    source: FittedWorld, back: FittedWorld
) -> None:
    assert level(back) == pytest.approx(level(source), abs=0.15)
    chosen = slates(source)
    assert same_items(slates(back), chosen) > 0.85
    without = replace(back, {"catalogue": dataclasses.replace(back.catalogue, popularity_intercept=0.0)})
    assert same_items(slates(without), chosen) < 0.6


def test_the_mean_item_is_believed_to_be_what_it_is(back: FittedWorld) -> None:
    assert level(back) == pytest.approx(float(back.catalogue.item_intercept.mean()) - back.choice.v_0, abs=1e-3)


def test_only_the_difference_from_the_outside_option_counts(source: FittedWorld) -> None:
    """The same shift of all intercepts, of the line and of v_0 changes nothing."""
    catalogue, shift = source.catalogue, 2.5
    shifted = dataclasses.replace(
        catalogue,
        item_intercept=catalogue.item_intercept + np.float32(shift),
        popularity_intercept=catalogue.popularity_intercept + shift,
    )
    moved = replace(source, {"catalogue": shifted, "choice": {"v_0": source.choice.v_0 + shift}})
    assert same_items(slates(moved), slates(source)) > 0.995  # some values are equal up to rounding
    higher = dataclasses.replace(catalogue, popularity_intercept=catalogue.popularity_intercept + shift)
    assert same_items(slates(replace(source, {"catalogue": higher})), slates(source)) < 0.9


def test_a_weight_of_price_changes_nothing_at_list_prices(source: FittedWorld) -> None:
    """A fit adds it to the intercepts, and `content` knows that dearer items are better."""
    catalogue, weight = source.catalogue, 1.5
    x = recsys_env.vector_env(source, 1).world.items["log_price"]
    dearer = dataclasses.replace(catalogue, item_intercept=catalogue.item_intercept + np.float32(weight) * x)
    known = dataclasses.replace(dearer, price_slope=weight)
    moved, unknown = (
        replace(source, {"catalogue": priced, "choice": {"beta_price": weight}}) for priced in (known, dearer)
    )
    assert same_items(slates(moved), slates(source)) > 0.995
    assert same_items(slates(unknown), slates(source)) < 0.6


def test_least_squares_go_through_points_and_are_flat_where_all_lie_above_each_other() -> None:
    x, z = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0, 1.0])
    assert least_squares(x, y=3.0 - 2.0 * x) == pytest.approx((3.0, -2.0))
    assert least_squares(x, z, y=3.0 - 2.0 * x + z) == pytest.approx((3.0, -2.0, 1.0))
    assert least_squares(np.full(4, 0.1), x, y=x) == pytest.approx((0.0, 0.0, 1.0))
