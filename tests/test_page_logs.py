"""Logs of pages: the estimator against simulated choices and another library, the checks, and the fitted world."""

from __future__ import annotations

import dataclasses
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import recsys_env
from recsys_env import Catalogue, WorldConfig, replace
from recsys_env.evaluation import episode_returns, record
from recsys_env.policies import Team

pd = pytest.importorskip("pandas")
pytest.importorskip("implicit")

from recsys_env.fitting import (  # noqa: E402
    FittedWorld,
    LogWarning,
    choice_data,
    choice_model,
    fit,
    fit_pages,
    learned_vectors,
    page_world,
    recorded_pages,
    visits,
)
from recsys_env.fitting.choice_data import Pages, shown_to_users  # noqa: E402
from recsys_env.fitting.choice_model import ChoiceModel, fit_choices  # noqa: E402
from recsys_env.fitting.logistic import grouped_logistic, sigmoid  # noqa: E402
from recsys_env.fitting.page_log import read_pages  # noqa: E402
from recsys_env.fitting.prices import mean_by  # noqa: E402
from recsys_env.kernels.page_vectors import draw_vectors  # noqa: E402

USERS, ITEMS, DIMS, ROWS, PAGES = 200, 40, 4, 6, 6_000
RANKS = np.tile(np.arange(1.0, ROWS + 1), PAGES)
PHI = np.array([-3.0, 0.8, 0.5, 0.5, 0.4, 0.7])  # none, eta, log(1 + kappa), repeat, popularity, price


def simulated(
    seed: int,
    pages: int,
    taste: float = 3.0,
    simple: bool = False,
    segments: int = 0,
    category: np.ndarray | None = None,
    policy: str = "random",
    minority: float = 0.0,
) -> Pages:
    """Choices from pages filled at random, drawn from the model itself; of people with normal tastes, or with tastes of
    equal size in four times as many dimensions that gather in segments. Vectors of a category are alike. An informed
    policy puts the items first that are liked best by what it knows of the user's taste, and a learning one those that
    are like what was clicked. A simple log has no habits, and items have no own appeal. A minority likes what the
    others dislike, and its weight of the price is larger by 2."""
    rng, dims = np.random.default_rng(seed), 4 * DIMS if segments else DIMS
    vectors = rng.standard_normal((ITEMS, dims))
    if category is not None:
        vectors = vectors[category] + 0.3 * rng.standard_normal((ITEMS, dims))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    b = taste / dims**0.5 * rng.standard_normal((USERS, dims))
    if segments:
        b = vectors[rng.integers(segments, size=USERS)] + 0.1 * b
        b *= taste / np.linalg.norm(b, axis=1, keepdims=True)
    effect, price_effect = (
        0.5 * (not simple) * rng.standard_normal(ITEMS),
        0.3 * (taste > 0) * rng.standard_normal(USERS),
    )
    popularity, log_price = rng.normal(2.0, 1.0, ITEMS), rng.normal(0.0, 0.5, ITEMS)
    if minority:
        few = rng.random(USERS) < minority
        b = taste * np.where(few, 1.0, -1.0)[:, None] * vectors[0]
        price_effect = 2.0 * few
    profile = b + 0.5 * rng.standard_normal(b.shape)
    user = np.sort(rng.integers(USERS, size=pages))
    item, chosen = np.zeros((pages, ROWS), np.int32), np.full(pages, -1, np.int64)
    features, price = np.zeros((pages, ROWS, len(PHI))), np.zeros((pages, ROWS))
    consumed = np.zeros((USERS, ITEMS))
    rank = np.arange(1, ROWS + 1)
    for p in range(pages):
        u, j = user[p], rng.permutation(ITEMS)[:ROWS]
        if policy != "random":
            j = j[np.argsort(-vectors[j] @ (profile[u] if policy == "informed" else consumed[u] @ vectors))]
        price[p] = -log_price[j] - rng.normal(0.0, 0.2, ROWS)
        habit = np.log1p(consumed[u, j]) * (not simple)
        features[p] = np.stack([np.ones(ROWS), -np.log(rank), rank == 1, habit, popularity[j], price[p]], axis=1)
        v = features[p] @ PHI + effect[j] + vectors[j] @ b[u] + price_effect[u] * price[p]
        share = np.append(np.exp(v), 1.0)
        k = rng.choice(ROWS + 1, p=share / share.sum())
        item[p] = j
        if k < ROWS:
            chosen[p] = p * ROWS + k
            consumed[u, j[k]] += 1
    return Pages(
        first_page=np.searchsorted(user, np.arange(USERS + 1)).astype(np.int64),
        first_row=np.arange(pages + 1, dtype=np.int64) * ROWS,
        chosen=chosen,
        item=item.ravel(),
        features=np.ascontiguousarray(features.reshape(-1, len(PHI))),
        price=price.ravel(),
        vectors=vectors,
    )


pytestmark = pytest.mark.usefixtures("short_chains")
OF_FIT = {name: getattr(choice_model, name) for name in ("ADAPTATION", "SETTLING", "DRAWS")}


@pytest.fixture(scope="module")
def models(short_chains: None) -> list[ChoiceModel]:
    """Of three logs."""
    return [fit_choices(simulated(seed, PAGES)) for seed in range(3)]


@pytest.mark.slow
def test_every_parameter_is_recovered_within_its_standard_errors(models: list[ChoiceModel]) -> None:
    z = np.array([(model.fixed - PHI) / model.fixed_error for model in models])
    assert np.abs(z).max() < 3.5, z.round(1)
    assert np.abs(z.mean(axis=0)).max() < 2.0, z.round(1)
    for model in models:
        assert model.effective.min() > 5
        assert model.rhat.max() < 1.5
        assert model.taste == pytest.approx(3.0, rel=0.12)
        assert model.item_sd == pytest.approx(0.5, rel=0.35)
        assert 0.005 < model.taste_error < 0.3


@pytest.mark.slow
def test_the_weight_of_price_is_the_mean_over_users_and_not_over_segments() -> None:
    pages = simulated(0, PAGES, minority=0.1)
    model = fit_choices(pages)
    assert model.fixed[-1] == pytest.approx(PHI[-1] + 0.2, abs=0.15)
    assert 0.05 < model.fixed_error[-1] < 0.3
    few = model.centres[:, :DIMS] @ pages.vectors[0] > 0
    apart = model.centres[few, DIMS].mean() - model.centres[~few, DIMS].mean()
    assert apart == pytest.approx(2.0, abs=0.6)


def test_estimates_are_those_of_the_utilities() -> None:
    """Deviations in the weight of the price have mean 0, because that of all users is a fixed coefficient."""
    pages = simulated(0, 600, minority=0.1)
    chain = choice_model.Sampler(pages)
    chain.step()
    user = np.repeat(np.arange(USERS), np.diff(pages.first_row[pages.first_page]))
    tastes, prices = chain.coefficients[:, :DIMS], chain.coefficients[:, DIMS]
    liking = (tastes[user] * pages.vectors[pages.item]).sum(axis=1) + prices[user] * pages.price
    expected = pages.features @ chain.fixed + chain.effect[pages.item] + liking
    assert np.abs(chain.utilities() - expected).max() < 1e-9
    assert abs(prices.mean()) < 1e-12 < prices.std()


@pytest.mark.slow
def test_positions_and_tastes_are_told_apart_where_the_policy_knew_the_tastes() -> None:
    """Without what users were shown, position looks more than twice as strong, and tastes half as strong."""
    for seed in range(2):
        pages = simulated(seed, PAGES, policy="informed")
        shown = shown_to_users(pages, RANKS)
        found, without = fit_choices(pages, shown), fit_choices(pages)
        assert found.fixed[1] == pytest.approx(PHI[1], abs=0.45)
        assert found.taste == pytest.approx(3.0, rel=0.25)
        assert found.taste == pytest.approx(np.sqrt((found.people[:, :DIMS] ** 2).sum(axis=1).mean()), rel=0.15)
        assert without.fixed[1] > PHI[1] + 0.8
        assert without.taste < 2.0


@pytest.mark.slow
def test_what_a_policy_learned_from_clicks_is_no_sign_of_tastes() -> None:
    """Without tastes, a policy that follows clicks shows what was clicked by chance."""
    pages = simulated(0, PAGES, taste=0.0, simple=True, policy="learning")
    found = fit_choices(pages._replace(price=np.zeros(0)), shown_to_users(pages, RANKS))
    assert found.taste < 0.8
    assert found.fixed[1] == pytest.approx(PHI[1], abs=0.2)


def test_what_users_were_shown_differs_only_beyond_chance() -> None:
    at_random = [shown_to_users(simulated(seed, PAGES // 2), RANKS[: PAGES // 2 * ROWS]) for seed in range(4)]
    assert [len(signs) for signs in at_random] == [0, 0, 0, 0]
    pages = simulated(0, PAGES, policy="informed")
    (found,) = shown_to_users(pages, RANKS)  # the items of a page are random, but not their order
    assert (found**2).sum(axis=1).mean() == pytest.approx(1.0)
    assert shown_to_users(pages, None).shape == (0, USERS, DIMS)


def test_only_the_first_pages_are_signs_of_tastes() -> None:
    pages = simulated(0, PAGES, policy="informed")
    of_user = np.diff(pages.first_page)
    first, count = np.repeat(pages.first_page[:-1], of_user), np.repeat(of_user, of_user)
    late = np.repeat(np.arange(PAGES) - first >= choice_data.EARLY * count, ROWS)
    other = np.random.default_rng(0).permutation(pages.item[late])
    changed = pages._replace(item=np.where(late, 0, pages.item))
    changed.item[late] = other
    (found,), (usual,) = shown_to_users(changed, RANKS), shown_to_users(pages, RANKS)
    away = [signs - signs.mean(axis=0) for signs in (found, usual)]
    assert (away[0] * away[1]).sum() > 0.97 * np.sqrt((away[0] ** 2).sum() * (away[1] ** 2).sum())


@pytest.mark.slow
def test_more_pages_narrow_the_standard_errors(models: list[ChoiceModel]) -> None:
    ratio = fit_choices(simulated(0, PAGES // 4)).fixed_error[1:3] / models[0].fixed_error[1:3]
    assert ((ratio > 1.5) & (ratio < 3.0)).all(), ratio


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small logs, by chains as long as those of `fit`; shorter ones make intervals too narrow."""
    for name, number in OF_FIT.items():
        monkeypatch.setattr(choice_model, name, number)
    covered = []
    for seed in range(10, 20):
        model = fit_choices(simulated(seed, 1_500))
        z = np.append((model.fixed - PHI) / model.fixed_error, (model.taste - realised(seed)) / model.taste_error)
        covered.append(np.abs(z) < 1.96)
    share = np.mean(covered, axis=0)
    assert 0.85 < np.mean(covered) <= 1.0, share
    assert share[-1] >= 0.7, share  # the size of tastes


def realised(seed: int) -> float:
    """Root of the mean squared norm of the tastes of `simulated`."""
    rng = np.random.default_rng(seed)
    rng.standard_normal((ITEMS, DIMS))
    b = 3.0 / DIMS**0.5 * rng.standard_normal((USERS, DIMS))
    return float(np.sqrt((b**2).sum(axis=1).mean()))


@pytest.mark.slow
def test_draws_are_as_wide_as_the_people_of_the_log_and_means_are_not(models: list[ChoiceModel]) -> None:
    model = models[1]
    spread = [np.mean((rows[:, :DIMS] ** 2).sum(axis=1)) ** 0.5 for rows in (model.people, model.centres)]
    assert spread[0] == pytest.approx(model.taste, rel=0.05)
    assert spread[1] < 0.95 * model.taste


@pytest.mark.slow
def test_tastes_that_gather_in_segments_keep_their_size():
    """One normal distribution takes them for stronger ones."""
    pages = simulated(4, 6_000, taste=4.0, segments=8)
    model = fit_choices(pages)
    assert model.taste == pytest.approx(4.0, abs=3.0 * model.taste_error)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice_model, "SEGMENTS", 1)
        of_one = fit_choices(pages)
    assert of_one.taste > model.taste + 0.4


@pytest.mark.slow
def test_without_tastes_it_is_the_conditional_logit_of_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody's tastes and no item's appeal differ, the fixed coefficients are those of a plain logit."""
    monkeypatch.setattr(choice_model, "DRAWS", 600)
    conditional = pytest.importorskip("statsmodels.discrete.conditional_models")
    pages = simulated(2, 4_000, taste=0.0, simple=True)
    used = [0, 1, 2, 4, 5]
    pages = pages._replace(features=np.ascontiguousarray(pages.features[:, used]))
    model = fit_choices(pages)
    count = len(pages.chosen)
    # the outside option is a row of its own, with all features 0
    rows = np.concatenate([pages.features.reshape(count, ROWS, -1), np.zeros((count, 1, len(used)))], 1)
    happened = np.zeros((count, ROWS + 1))
    happened[np.arange(count), np.where(pages.chosen < 0, ROWS, pages.chosen % ROWS)] = 1
    groups = np.repeat(np.arange(count), ROWS + 1)
    logit = conditional.ConditionalLogit(happened.ravel(), rows.reshape(-1, len(used)), groups=groups)
    plain = logit.fit(start_params=PHI[used], disp=0)
    np.testing.assert_allclose(model.fixed, plain.params, atol=0.08)
    np.testing.assert_allclose(model.fixed_error[[1, 2]], plain.bse[[1, 2]], rtol=0.1)
    assert model.taste < 0.6
    assert model.item_sd < 0.2


def test_items_that_share_few_vectors_begin_at_as_many_segments():
    """Rounding makes some of them differ."""
    rng = np.random.default_rng(0)
    few = rng.standard_normal((9, 16))[rng.integers(9, size=5_003)]
    pages = simulated(3, 1_000)
    every = np.arange(len(pages.item), dtype=np.int32) % len(few)
    chain = choice_model.Sampler(pages._replace(vectors=few, item=every))
    assert (np.linalg.norm(chain.means, axis=1) > 0.5 * choice_model.START).sum() == 9


# ------------------------------------------------------------------------------------------------ learned vectors


def test_draws_of_a_vector_follow_its_posterior():
    """In two dimensions, where a grid of angles gives the posterior of one item's vector."""
    rng = np.random.default_rng(1)
    users, shown, centre = 25, 4, np.array([[0.8, -0.3]])
    tastes = 2.0 * rng.standard_normal((users, 2))
    item = np.tile(np.arange(shown, dtype=np.int32), users)
    chosen = rng.integers(-1, shown, users)
    start = rng.standard_normal((shown, 2))
    pages = Pages(
        first_page=np.arange(users + 1),
        first_row=np.arange(users + 1) * shown,
        chosen=np.where(chosen < 0, -1, np.arange(users) * shown + chosen),
        item=item,
        features=np.zeros((users * shown, 0)),
        price=np.zeros(0),
        vectors=start / np.linalg.norm(start, axis=1, keepdims=True),
    )
    base = rng.standard_normal((users, shown)) - 1.0
    fixed = base[:, 1:] + tastes @ pages.vectors[1:].T  # of all items but the first

    turns = np.linspace(-np.pi, np.pi, 721)[:-1]
    direction = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    of_first = base[:, :1] + tastes @ direction.T
    density = np.where(chosen[:, None] == 0, of_first, 0.0)
    density = (density - np.log(1.0 + np.exp(fixed).sum(axis=1, keepdims=True) + np.exp(of_first))).sum(axis=0)
    along = direction @ centre[0]  # density of the direction of a normal distribution around the centre
    normal = np.exp(-0.5 * along**2) / np.sqrt(2.0 * np.pi)
    below = np.array([0.5 * (1.0 + math.erf(x / math.sqrt(2.0))) for x in along])
    density = np.exp(density - density.max()) * (1.0 + along * below / normal)
    expected = density @ direction / density.sum()

    rows, raw = learned_vectors.RowsOfItems.of(pages), start.copy()
    memory = np.zeros(2), np.zeros((4, users))
    kept = []
    for key in range(6_000):
        pages.vectors[1:], raw[1:] = start[1:] / np.linalg.norm(start[1:], axis=1, keepdims=True), start[1:]
        utility = (base + tastes @ pages.vectors.T).ravel()
        total = 1.0 + np.exp(utility).reshape(users, shown).sum(axis=1)
        state = utility, total, centre, np.zeros(shown, np.int64), tastes
        draw_vectors(pages, rows, *state, np.uint64(key), raw, *memory)
        kept.append(pages.vectors[0].copy())
        np.testing.assert_allclose(utility, (base + tastes @ pages.vectors.T).ravel(), atol=1e-9)
        np.testing.assert_allclose(total, 1.0 + np.exp(utility).reshape(users, shown).sum(axis=1), rtol=1e-8)
    np.testing.assert_allclose(np.mean(kept, axis=0), expected, atol=0.03)


@pytest.mark.slow
def test_learned_vectors_tell_which_items_are_alike():
    pages = simulated(6, 8_000, taste=4.0)
    learned = learned_vectors.learn_vectors(pages, np.zeros(ITEMS, np.int64), 8)
    np.testing.assert_allclose(np.linalg.norm(learned, axis=1), 1.0)
    pairs = np.triu_indices(ITEMS, 1)
    alike, found = ((vectors @ vectors.T)[pairs] for vectors in (pages.vectors, learned))
    assert np.corrcoef(alike, found)[0, 1] > 0.5


def test_vectors_of_a_category_gather_where_clicks_are_few():
    category = np.arange(ITEMS) % 4
    pages = simulated(9, 2_000, taste=4.0, category=category)
    learned = learned_vectors.learn_vectors(pages, category, 8)
    same, alike = category[:, None] == category, learned @ learned.T
    assert alike[same & ~np.eye(ITEMS, dtype=bool)].mean() > alike[~same].mean() + 0.4


@pytest.mark.slow
def test_learned_vectors_do_not_repeat_the_noise_of_the_clicks():
    """Vectors that fit the clicks best make tastes look strong that nobody has."""
    pages = simulated(7, 4_000, taste=0.0)
    user = np.repeat(np.arange(USERS), np.diff(pages.first_page))[pages.chosen >= 0]
    clicks = np.zeros((USERS, ITEMS))
    np.add.at(clicks, (user, pages.item[pages.chosen[pages.chosen >= 0]]), 1.0)
    closest = np.linalg.svd(clicks - clicks.mean(axis=0), full_matrices=False)[2][:8].T
    closest /= np.linalg.norm(closest, axis=1, keepdims=True)
    learned = learned_vectors.learn_vectors(pages, np.zeros(ITEMS, np.int64), 8)
    found, strong = (fit_choices(pages._replace(vectors=vectors)).taste for vectors in (learned, closest))
    assert found < strong - 0.7, (found, strong)


# ------------------------------------------------------------------------------------------------ logs

SHOP: WorldConfig = replace(
    WorldConfig(scenes=({"name": "page", "cart": True},)),
    {
        "num_agents": 1,
        "slots": 4,
        "horizon": 3_000,
        "users": {"number": 60, "population": "fixed", "habit_size": 16},
        "items": {"number": 40, "dims": 4, "topics": 4, "promotion_probability": 0.3, "promotion_depth": 0.3},
        "choice": {"v_0": 3.5, "beta_price": 0.7, "beta_repeat": 0.3},
        "feedback": {"b_0": 0.0, "cart_hazard": 0.2, "cart_abandon": 0.1},
        "dynamics": {"drift": 0.0},
        "arrival": {"k_1": 0.0, "r_0": 6.0, "r_1": 0.0},
    },
)


@pytest.fixture(scope="module")
def log() -> Any:
    return recorded_pages(record(SHOP, "random", seed=3))


@pytest.fixture(scope="module")
def items() -> Any:
    world = recsys_env.vector_env(SHOP, 1).world
    return pd.DataFrame(
        {
            "item": np.arange(len(world.items)),
            "vector": [row.tolist() for row in world.item_vectors],
            "price": world.items["price"].astype(float),
            "popularity": world.items["popularity"].astype(float),
            "category": [f"topic {t}" for t in world.items["topic"]],
        }
    )


@pytest.fixture(scope="module")
def world(log: Any, items: Any) -> FittedWorld:
    return fit(log, origin="pages", items=items)


def test_two_agents_may_show_an_item_at_the_same_position_of_their_rows() -> None:
    table = record("social-v1", "random", episodes=2, seed=0)
    assert table.duplicated(["page", "item", "position"]).any()
    read = read_pages(recorded_pages(table), None)
    assert len(read.item) == len(table)
    one_agent = recorded_pages(table).assign(agent="all")
    assert len(read_pages(one_agent, None).item) < len(table)


def test_a_recorded_world_is_recovered(world: FittedWorld) -> None:
    errors = world.page_log.standard_errors
    for name in ("choice.beta_price", "choice.eta", "choice.kappa", "choice.beta_repeat"):
        group, field = name.split(".")
        truth, found = getattr(getattr(SHOP, group), field), getattr(getattr(world, group), field)
        assert abs(found - truth) < 4 * errors[name], name
    assert world.choice.beta_taste == pytest.approx(4.0, rel=0.25)
    assert world.feedback.b_taste == pytest.approx(SHOP.feedback.b_taste, abs=4 * errors["feedback.b_taste"])
    assert world.feedback.cart_hazard == pytest.approx(0.2, abs=0.06)
    ratios = world.catalogue.item_price_ratio
    assert (ratios.round(2) == 0.7).mean() == pytest.approx(0.3, abs=0.1)
    assert ((ratios.round(2) == 0.7) | (ratios.round(2) == 1.0)).all()
    assert world.items.promotion_probability == 0.0
    assert not world.feedback.instant
    assert (world.num_agents, world.slots) == (1, 4)


@pytest.mark.slow
def test_position_effects_that_would_be_negative_are_left_out(log: Any, items: Any) -> None:
    """Everything else is estimated as in a log that has no positions."""
    upside_down = fit(log.assign(position=5 - log["position"]), origin="pages", items=items)
    without = fit(log.drop(columns="position"), origin="pages", items=items)
    assert upside_down.page_log.at_bound == ("choice.eta", "choice.kappa")
    assert upside_down.choice == without.choice
    assert upside_down.page_log.standard_errors == pytest.approx(without.page_log.standard_errors)
    text, other = upside_down.summary(), without.summary()
    assert "choice.eta = 0: its estimate was negative, which a world does not allow" in text
    assert "its estimate was negative" not in other


def test_the_weight_of_price_is_that_of_its_moves(world: FittedWorld, log: Any, items: Any) -> None:
    """Better items cost more in this log, which says nothing about what a change of price does."""
    rate = log.assign(clicked=log["event"] == "click").groupby("item")["clicked"].mean()
    factor = np.exp(3.0 * ((rate - rate.mean()) / rate.std()).clip(-1, 1))[log["item"]].to_numpy()
    dear = log.assign(price=log["price"] * factor, discount=log["discount"] * factor)
    found = fit(dear, origin="pages", items=items.drop(columns="price"))
    assert found.choice.beta_price == pytest.approx(0.7, abs=4 * found.page_log.standard_errors["choice.beta_price"])
    assert found.choice.beta_price == pytest.approx(world.choice.beta_price, abs=0.15)
    expected = expected_intercepts(found)
    beyond = found.catalogue.item_intercept - expected
    assert found.catalogue.price_slope > 0.5
    assert beyond.mean() == pytest.approx(0.0, abs=0.1)
    assert beyond.std() < 0.7 * expected.std()


def expected_intercepts(world: FittedWorld) -> np.ndarray:
    """What a policy expects of items whose own record it does not know."""
    catalogue = world.catalogue
    log_price = np.log(catalogue.item_price)
    x = log_price - mean_by(catalogue.item_topic, log_price)[catalogue.item_topic]
    popularity = catalogue.popularity_slope * np.log1p(catalogue.item_popularity)
    return catalogue.popularity_intercept + popularity + catalogue.price_slope * x


def test_a_weight_of_price_can_be_assumed_where_no_price_moves(log: Any, items: Any) -> None:
    price = log["item"].map(items.set_index("item")["price"])
    still = log.assign(price=0.8 * price, discount=0.2 * price)  # all items are always cheaper by a fifth
    with pytest.warns(LogWarning, match="the price of no item moves, so beta_price = 0"):
        none = fit(still, origin="pages", items=items)
    some = fit(still, origin="pages", items=items, beta_price=1.5)
    assert (none.choice.beta_price, some.choice.beta_price) == (0.0, 1.5)
    # That dearer items sell less is known without a weight of price.
    assert none.catalogue.price_slope < -0.1
    assert some.catalogue.price_slope == pytest.approx(none.catalogue.price_slope + 1.5, abs=1e-5)
    assert "choice.beta_price" not in some.page_log.standard_errors
    log_price = np.log(items["price"].to_numpy())
    x = log_price + np.log(0.8) - mean_by(some.catalogue.item_topic, log_price)[some.catalogue.item_topic]
    at_its_price = some.catalogue.item_intercept - 1.5 * x
    np.testing.assert_allclose(at_its_price, none.catalogue.item_intercept, atol=1e-5)
    np.testing.assert_allclose(expected_intercepts(some) - 1.5 * x, expected_intercepts(none), atol=1e-5)
    known = [np.ones(len(x)), np.log1p(none.catalogue.item_popularity), x - np.log(0.8)]
    regression = np.linalg.lstsq(np.stack(known, axis=1), none.catalogue.item_intercept, rcond=None)[0]
    assert none.catalogue.price_slope == pytest.approx(regression[2], abs=0.2)
    assert "choice.beta_price = 1.5: assumed by the setting of the fit" in some.summary()
    with pytest.raises(ValueError, match="beta_price = 9 cannot be assumed: prices of items move in this log"):
        fit(log, origin="pages", items=items, beta_price=9.0)


def test_prices_that_are_alike_but_for_rounding_tell_nothing(log: Any, items: Any) -> None:
    """All items of a category cost the same, at prices of which logs are not exact."""
    alike = items.assign(
        price=items["category"].map({name: 1.1**i for i, name in enumerate(items["category"].unique())})
    )
    catalogue = fit(log.drop(columns=["price", "discount"]), origin="pages", items=alike).catalogue
    assert catalogue.price_slope == catalogue.quality_slope == 0.0


def test_carts_do_not_take_dear_items_for_what_prices_do(log: Any, items: Any) -> None:
    """Items that are put in carts more often cost more here."""
    clicked = log[log["event"] != "none"]
    carted = (clicked["event"] != "click").groupby(clicked["item"]).mean()
    factor = np.exp(3.0 * ((carted - carted.mean()) / carted.std()).clip(-1, 1))[log["item"]].to_numpy()
    dear = log.assign(price=log["price"] * factor, discount=log["discount"] * factor)
    found = fit(dear, origin="pages", items=items.drop(columns="price"))
    error = found.page_log.standard_errors["feedback.b_price"]
    assert found.feedback.b_price == pytest.approx(SHOP.feedback.b_price, abs=3 * error)


def test_that_dear_items_sell_better_after_a_click_is_known(log: Any, items: Any) -> None:
    """All clicks on half of the items put them in a cart here, and these cost three times as much."""
    half = log["item"] % 2 == 0
    event = log["event"].mask(half & (log["event"] == "click"), "cart")
    factor = np.where(half, 3.0, 1.0)
    dear = log.assign(event=event, price=log["price"] * factor, discount=log["discount"] * factor)
    catalogue = fit(dear, origin="pages", items=items.drop(columns="price")).catalogue
    log_price = np.log(catalogue.item_price)
    x = log_price - mean_by(catalogue.item_topic, log_price)[catalogue.item_topic]
    assert catalogue.quality_slope > 0.5
    assert np.polyfit(x, catalogue.item_quality, 1) == pytest.approx([catalogue.quality_slope, 0.0], abs=0.3)


def test_an_item_that_was_never_shown_costs_what_others_do(log: Any, items: Any) -> None:
    """Prices of the log are a tenth of those of the table of items."""
    tenth = log.assign(price=0.1 * log["price"], discount=0.1 * log["discount"])
    pages = read_pages(tenth[tenth["item"] != 7], None, items)
    topic, log_price = np.unique(pages.category, return_inverse=True)[1], np.log(items["price"].to_numpy())
    away = page_world._prices(pages, topic).mean - (log_price - mean_by(topic, log_price)[topic])
    assert away[7] == pytest.approx(np.delete(away, 7).mean(), abs=0.02)
    assert away[7] == pytest.approx(np.log(0.1), abs=0.2)


def test_gaps_go_from_visit_to_visit_or_to_the_end_of_the_log() -> None:
    rows = [("a", 0, "s"), ("a", 3, "s"), ("a", 8, "t"), ("b", 2, "u"), ("b", 9, "v"), ("b", 12, "v")]
    log = pd.DataFrame(rows, columns=["user", "time", "session"]).assign(item=[1, 2] * 3, page=range(6), event="none")
    log.loc[0, "event"] = "click"
    pages = read_pages(log, None)
    gap, back = visits.gaps_between_visits(pages, pages.session)
    assert gap.tolist() == [5, 4, 7, 0]
    assert back.tolist() == [True, False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_lost_users_are_counted(lost: float) -> None:
    changes = {"horizon": 9_000, "users": {"number": 30}, "arrival": {"d_0": lost, "k_0": 0.5}}
    pages = read_pages(recorded_pages(record(replace(SHOP, changes), "random", seed=4)), None)
    found = visits.users_lost(pages)
    assert found is not None
    assert found.share == pytest.approx(lost, abs=3 * found.error + 0.01)
    assert found.error < 0.03


@pytest.mark.slow
def test_users_come_back_as_soon_where_others_have_left() -> None:
    """351 users come in this log, of whom about 30 are there at a time. If all of them were there all the time, the
    median gap between visits would be eight times as long."""
    world = replace(SHOP, {"horizon": 9_000, "users": {"number": 30}, "arrival": {"d_0": 0.1, "k_0": 0.5}})
    fitted = fit(recorded_pages(record(world, "random", seed=4)), origin="pages")
    assert len(fitted.catalogue.user_taste) > 300
    assert re.search(r"about [23]\d of the 351 users have not left by the end of the log", fitted.summary())
    assert median_gap(fitted) < 2.5 * median_gap(world)


def median_gap(config: WorldConfig) -> float:
    """Median number of pages from one visit of a person to the next."""
    envs = recsys_env.vector_env(replace(config, {"horizon": 20_000}), 1)
    actions, visitors = envs.empty_actions(), []
    envs.reset(seed=0)
    for _ in range(20_000):
        visitors.append(int(envs.step(actions)[4]["visitor"].max()))
    pages = pd.DataFrame({"visitor": visitors, "page": range(len(visitors))})
    first = pages[(pages["visitor"] >= 0) & (pages["visitor"] != pages["visitor"].shift())]
    return float(first.groupby("visitor")["page"].diff().median())


def visits_of(gaps: Any, lost: float, end: float = 200.0) -> Any:
    """Pages of 200 users with one page a visit, from `gaps(rng)` to the next one to the next, up to the end; and who
    has not left by then."""
    rng, starts, stay = np.random.default_rng(0), [], []
    for _ in range(200):
        at, user = np.floor(end / 2 * rng.random()), []
        while at < end:
            user.append(at)
            at = np.inf if rng.random() < lost else at + gaps(rng)
        starts.append(user)
        stay.append(np.isfinite(at))
    first_page = np.cumsum([0, *(len(user) for user in starts)])
    user, start = np.repeat(np.arange(200), [len(user) for user in starts]), np.concatenate(starts)
    session = np.arange(len(start))
    return SimpleNamespace(user=user, start=start, session=session, first_page=first_page, stay=np.array(stay))


@pytest.mark.parametrize("lost", [0.0, 0.1])
@pytest.mark.parametrize(
    "gaps",
    [lambda rng: 7.0, lambda rng: rng.integers(0, 2) * rng.geometric(0.2), lambda rng: 6.0 * rng.weibull(0.6)],
    ids=["each week", "some on the same day", "uneven"],
)
def test_lost_users_are_counted_whatever_their_gaps(gaps: Any, lost: float) -> None:
    log = visits_of(gaps, lost)
    found = visits.users_lost(log)
    assert found is not None
    assert found.share == pytest.approx(lost, abs=0.02)
    assert 0 < found.error < 0.02
    assert found.still_there.sum() == pytest.approx(log.stay.sum(), rel=0.12, abs=2)
    assert found.still_there[log.stay].mean() > 0.5
    assert lost == 0 or found.still_there[~log.stay].mean() < 0.1
    np.testing.assert_array_equal(found.visits, np.diff(log.first_page))


def test_users_who_left_hardly_come_and_the_others_as_often_as_they_did() -> None:
    log = visits_of(lambda rng: rng.geometric(0.2), 0.05)
    often = visits.activity(log, visits.users_lost(log))
    assert often[~log.stay].sum() < 0.2 * often.sum() * (~log.stay).mean()
    late = log.start[log.first_page[:-1]] > 70
    assert often[log.stay & late].mean() == pytest.approx(often[log.stay & ~late].mean(), rel=0.2)
    np.testing.assert_array_equal(visits.activity(log, None), np.diff(log.first_page))


def test_two_points_in_time_do_not_tell_how_many_users_are_lost() -> None:
    user, start = np.repeat(np.arange(300), 2), np.tile([1.0, 2.0], 300)
    assert visits.users_lost(SimpleNamespace(user=user, start=start, session=np.arange(600))) is None  # type: ignore[arg-type]


def test_a_log_too_short_for_its_gaps_tells_nothing_of_lost_users() -> None:
    assert visits.users_lost(visits_of(lambda rng: rng.exponential(60.0), 0.1)) is None


def test_sessions_that_take_turns_end_with_their_last_pages() -> None:
    rows = [("a", 0, "phone"), ("a", 2, "desk"), ("a", 3, "phone"), ("a", 9, "desk"), ("b", 0, "phone")]
    log = pd.DataFrame(rows, columns=["user", "time", "session"]).assign(page=range(5), event="none")
    log["item"] = [1, 2, 1, 2, 1]
    log.loc[0, "event"] = "click"
    pages = read_pages(log, None)
    gap, back = visits.gaps_between_visits(pages, pages.session)
    assert sorted(zip(gap.tolist(), back.tolist(), strict=True)) == [(0, False), (6, True), (9, False)]


def test_a_page_belongs_to_the_session_of_its_first_row() -> None:
    rows = [
        ("a", 1, 0, "none", "p", "s"),
        ("a", 2, 0, "click", "p", "s"),
        ("b", 1, 5, "cart", "q", "t"),
        ("b", 1, 9, "purchase", "q", "u"),
        ("b", 2, 9, "none", "r", "u"),
    ]
    pages = read_pages(pd.DataFrame(rows, columns=["user", "item", "time", "event", "page", "session"]), None)
    assert len(np.unique(pages.session)) == 3


def test_sessions_of_one_page_end_after_each(log: Any, items: Any) -> None:
    world = fit(log.assign(session=log["page"]), origin="pages", items=items)
    assert world.arrival.k_0 == -50
    assert "k_0 = -50: length of a session" in world.summary()


def test_people_begin_anew_in_each_episode() -> None:
    table = record(replace(SHOP, {"horizon": 200}), "random", episodes=2, seed=3)
    found = recorded_pages(table)
    assert found["user"].nunique() == table.groupby("copy")["user"].nunique().sum()
    copy = found["page"].map(table.drop_duplicates("page").set_index("page")["copy"])
    assert (copy.groupby(found["user"]).nunique() == 1).all()


def test_a_purchase_of_the_same_date_is_no_cart() -> None:
    """Later pages of that date do not count as pages in the cart."""
    rows = [("a", item, "2026-01-01", event, page) for page, (item, event) in enumerate([(1, "purchase"), (2, "none")])]
    rows += [("a", 1, "2026-01-01", "cart", 2), ("b", 2, "2026-01-02", "none", 3), ("a", 1, "2026-01-03", "none", 4)]
    rows += [("a", 1, "2026-01-03", "purchase", 2)]
    for time, pages_in_cart in (("time", [0, 1]), ("day", [0, 0])):  # the latter is no column of the log
        pages = read_pages(pd.DataFrame(rows, columns=["user", "item", time, "event", "page"]), None)
        assert pages.delay[pages.bought].tolist() == pages_in_cart
        assert pages.cart[pages.bought].tolist() == [False, True]


def test_items_differ_in_how_often_a_click_becomes_a_cart() -> None:
    """Against the truth of each item, in a world where dear items are carted as often as cheap ones and a change of the
    price matters."""
    rng, items, rows = np.random.default_rng(0), 30, 20_000
    price, item = rng.normal(0.0, 1.0, items), rng.integers(items, size=rows)
    own = rng.normal(0.0, 0.8, items)
    moved = rng.normal(0.0, 0.3, rows)
    odds = own[item] - 3.0 * moved
    happened = rng.random(rows) < sigmoid(odds)
    x = np.stack([np.ones(rows), -(price[item] + moved), price[item]], axis=1)
    found = grouped_logistic(x, happened, 1e-2, item, items + 1)
    assert found.weights[1] == pytest.approx(3.0, abs=3 * found.errors[1])
    assert found.errors[1] < 0.2
    assert found.sd == pytest.approx(own.std(), rel=0.2)
    ours = found.weights[0] + (found.weights[2] - found.weights[1]) * price + found.effects[:items]
    np.testing.assert_allclose(ours, own, atol=0.4)
    assert found.effects[items] == 0


def test_the_worlds_purchases_by_item_are_those_of_the_log(log: Any, items: Any) -> None:
    """Carts per click of cheap, middling and dear items; no weight of price between items makes them so."""
    clicked = log["event"] != "none"
    rank = log["item"].map(items.set_index("item")["price"].rank())
    rng = np.random.default_rng(1)
    dropped = clicked & (rng.random(len(log)) < np.where(rank > 20, 0.0, 0.8))
    kept = log.assign(event=log["event"].where(~dropped, "click"))
    kept = kept[~(dropped & (log["event"] == "purchase") & log.duplicated(["page", "item"]))]
    world = fit(kept, origin="pages", items=items)
    dear = items["price"].rank().to_numpy() > 20
    quality = world.catalogue.item_quality - world.feedback.b_price * np.log(items["price"]).to_numpy()
    assert quality[dear].mean() > quality[~dear].mean() + 1.0


def test_a_world_keeps_the_ids_of_its_log(log: Any, items: Any, short_chains: None, tmp_path: Any) -> None:
    named = log.assign(user="visitor " + log["user"].astype(str), item=10 * log["item"] + 7)
    world = fit(named, origin="pages", items=items.assign(item=10 * items["item"] + 7))
    world.save(tmp_path / "shop.npz")
    kept = FittedWorld.load(tmp_path / "shop.npz").catalogue
    assert kept.item_id.tolist() == [str(10 * j + 7) for j in range(len(items))]
    assert kept.user_id.tolist() == sorted(set(named["user"]))
    views = named["item"].map(items.assign(item=10 * items["item"] + 7).set_index("item")["popularity"])
    of_item = dict(zip(kept.item_id, kept.item_popularity, strict=True))
    np.testing.assert_allclose(named["item"].astype(str).map(of_item), views, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Catalogue\.user_id has shape"):
        dataclasses.replace(kept, user_id=kept.user_id[1:])


def test_qualities_of_a_catalogue_decide_what_follows_a_click(world: FittedWorld, tmp_path: Any) -> None:
    quality = np.linspace(-8, 8, len(world.catalogue.item_price)).astype(np.float32)
    dataclasses.replace(world.catalogue, item_quality=quality).save(tmp_path / "good.npz")
    loaded = Catalogue.load(tmp_path / "good.npz")
    np.testing.assert_array_equal(loaded.item_quality, quality)
    assert loaded != world.catalogue
    config = WorldConfig(
        num_agents=1,
        slots=4,
        horizon=1_000,
        scenes=({"name": "page", "cart": True},),
        users={"population": "fixed"},
        choice=dataclasses.asdict(world.choice),
        feedback={"b_0": 0.0, "b_quality": 1.0, "instant": True},
    )
    table = record(config, "random", catalogue=loaded, seed=0)
    bought = table[table["clicked"]].groupby("item")["bought"].mean()
    assert bought[quality[bought.index] > 4].mean() > 0.9
    assert bought[quality[bought.index] < -4].mean() < 0.1
    for wrong, said in ((quality[1:], "item_quality has shape"), (quality.astype(int), "must hold floats")):
        with pytest.raises(ValueError, match=said):
            dataclasses.replace(world.catalogue, item_quality=wrong)


def clicks_alone(log: Any) -> Any:
    """The shown items, and whether they were clicked."""
    shown = log[~log.duplicated(["page", "item"])]
    return shown.assign(event=np.where(shown["event"] == "none", "none", "click"))


def test_rows_of_later_events_need_not_repeat_what_the_page_showed(log: Any) -> None:
    later = log.duplicated(["page", "item"])
    names = ["position", "price", "discount", "popularity"]
    bare = log.assign(quantity=1.0).astype({"position": float})
    bare.loc[later, names] = np.nan
    bare.loc[~later, "quantity"] = np.nan
    found, whole = read_pages(bare, None), read_pages(log, None)
    for name in ("rank", "price", "bought", "delay"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    bare.loc[3, "position"] = np.nan
    with pytest.raises(ValueError, match=r"column 'position' must hold whole numbers from 0 to .*; 1 of"):
        read_pages(bare, None)


def test_what_content_believes_is_right_on_average(world: FittedWorld) -> None:
    catalogue = world.catalogue
    beyond = catalogue.item_intercept - catalogue.popularity_slope * np.log1p(catalogue.item_popularity)
    assert abs(beyond.mean()) < 0.1


def test_the_world_runs_and_is_the_same_after_loading(world: FittedWorld, tmp_path: Any) -> None:
    returns = episode_returns(replace(world, {"horizon": 50}), "content", 2, 0)
    assert returns.any()
    world.save(tmp_path / "world.npz")
    loaded = FittedWorld.load(tmp_path / "world.npz")
    assert loaded == world
    assert loaded.summary() == world.summary()


def test_the_summary_says_what_is_estimated_and_what_is_kept(world: FittedWorld, log: Any) -> None:
    text = world.summary()
    for part in ("choice.beta_taste = ", "(+- ", "Kept at its default", "arrival.r_1 = 0", "Not to be known"):
        assert part in text
    assert "clicks stand in" not in text
    named = dataclasses.replace(world.catalogue, source="shop")
    assert world.log.settings == "dims=16 beta_price=0.0 habit=click habit_size=64 habit_decay=0.98"
    assert f"\n  fitted by recsys_env {recsys_env.__version__} with {world.log.settings}\n" in text
    assert "\n  source: shop\n" in dataclasses.replace(world, catalogue=named).summary()
    plain = fit_pages(log.drop(columns=["position", "price", "discount", "popularity"]))
    text = plain.summary()
    assert "clicks stand in" in text
    assert "no vectors of items: they are one draw from their posterior" in text
    assert plain.choice.eta == plain.choice.kappa == plain.choice.beta_price == 0.0
    assert "choice.beta_price" not in plain.page_log.standard_errors


def test_retrieval_offers_all_items_of_a_small_catalogue_unless_the_log_says_otherwise(
    world: FittedWorld, monkeypatch: pytest.MonkeyPatch, log: Any, items: Any
) -> None:
    assert world.candidates.number == len(items)
    assert (
        f"candidates.number = {len(items)}: items that retrieval offers each recommender; assumed, of"
        in world.summary()
    )
    monkeypatch.setattr(page_world, "ALL_OFFERED", len(items) - 1)
    larger = fit(log, origin="pages", items=items)
    assert larger.candidates.number == 20
    assert f"assumed, of {len(items)} items; it changes what policies earn" in larger.summary()
    offered = log.assign(candidates=[np.arange(len(items)).tolist()] * len(log))
    assert f"the log says {len(items)}" in fit(offered, origin="pages", items=items).summary()


def test_rows_of_later_events_belong_to_the_page_that_showed_the_item():
    rows = [
        ("a", 1, 0.0, "none", "p", 1),
        ("a", 2, 0.0, "click", "p", 2),
        ("a", 2, 5.0, "purchase", "p", 2),
        ("b", 1, 1.0, None, "r", 1),
        ("b", 2, 1.0, "none", "r", 2),
        ("a", 1, 4.0, "none", "q", 2),
        ("a", 2, 4.0, "none", "q", 1),
    ]
    pages = read_pages(pd.DataFrame(rows, columns=["user", "item", "time", "event", "page", "position"]), None)
    assert pages.first_page.tolist() == [0, 2, 3]
    assert pages.first_row.tolist() == [0, 2, 4, 6]
    assert pages.item.tolist() == [0, 1, 1, 0, 0, 1]
    assert pages.chosen.tolist() == [1, -1, -1]
    assert pages.delay.tolist() == [-1, 1, -1, -1, -1, -1]
    assert pages.cart.tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("kind", [int, float, bool, str])
def test_a_flag_of_clicks_says_what_the_words_say(log: Any, kind: Any) -> None:
    words = clicks_alone(log).reset_index(drop=True)
    flags = words.assign(event=(words["event"] == "click").astype(kind))
    np.testing.assert_array_equal(read_pages(flags, None).clicked, read_pages(words, None).clicked)


def test_without_pages_rows_of_the_same_user_and_time_are_one(log: Any) -> None:
    shown = clicks_alone(log).reset_index(drop=True)
    given, found = read_pages(shown, None), read_pages(shown.drop(columns=["page", "session"]), None)
    np.testing.assert_array_equal(found.first_row, given.first_row)
    np.testing.assert_array_equal(found.chosen, given.chosen)
    (doubt,) = found.doubts
    assert "rows of the same user, time count as one page" in doubt
    assert f"which gives {len(given.chosen):,} pages with {len(shown) / len(given.chosen):.1f} rows" in doubt
    assert given.doubts == ()


def test_candidates_are_lists_or_texts(log: Any) -> None:
    shown = clicks_alone(log).reset_index(drop=True).drop(columns="propensity")
    lists = shown.groupby("page")["item"].agg(list)
    given = shown.assign(candidates=shown["page"].map(lists))
    texts = given.assign(candidates=given["candidates"].map(lambda ids: " ".join(map(str, ids))))
    filled = given.assign(candidates=given["candidates"].map(lambda ids: [*ids[::-1], -1, None, math.nan]))
    python = given.assign(candidates=given["candidates"].map(str))  # as a CSV file has them, with brackets and commas
    mixed = given.assign(candidates=texts["candidates"].where(given["page"] % 2 == 0, given["candidates"]))
    for table in (given, texts, filled, python, mixed):
        found = read_pages(table.sample(frac=1, random_state=0), None)
        assert found.candidates is not None
        assert not found.doubts
        of_first = found.candidates[0][found.candidates[0] >= 0]
        assert np.sort(of_first).tolist() == np.sort(found.item[: found.first_row[1]]).tolist()
    more = given.assign(candidates=given["candidates"].map(lambda ids: [*ids, *range(900, 1000)]))
    (doubt,) = read_pages(more.assign(propensity=0.01), None).doubts  # one of 104 items, although 100 are not known
    assert "lists are items that were never shown and are in no table of items: they are left out" in doubt


def test_candidates_that_cannot_be_are_named_with_their_row(log: Any) -> None:
    shown = clicks_alone(log).sample(frac=1, random_state=0).reset_index(drop=True)
    given = shown.assign(candidates=shown["page"].map(shown.groupby("page")["item"].agg(list)))
    for bad, message in (
        (7, "must hold a list of items, or their ids with spaces"),
        ([[1]], "must hold a list of items, or their ids with spaces"),
        ([], "must hold the item that was"),
    ):
        wrong = given.assign(candidates=pd.Series([bad] * len(given)).where(given.index == 5, given["candidates"]))
        with pytest.raises(ValueError, match=rf"column 'candidates' {message}.*; 1 of {len(given)} rows .* is row 5 "):
            read_pages(wrong, None)
    bars = given.assign(candidates=given["candidates"].map(lambda ids: "|".join(map(str, ids))))
    with pytest.raises(ValueError, match=r"holds no id of an item, but ids like '\d+[|].*; items have ids like \d+$"):
        read_pages(bars, None)


def test_candidates_of_each_slot_are_not_used(log: Any) -> None:
    shown = clicks_alone(log)
    found = read_pages(shown.assign(candidates=[[item] for item in shown["item"]]), None)
    assert found.candidates is None
    (doubt,) = found.doubts
    assert "shown items had other candidates than the first item of their page" in doubt


@pytest.mark.parametrize(
    ("first", "step", "said"),
    [(0, 1, "from 0"), (2, 1, "from 2"), (10, 10, "from 10 in steps of 10"), (1, 10, "from 1 in steps of 10")],
)
def test_positions_may_begin_anywhere(log: Any, first: int, step: int, said: str) -> None:
    """Their effect depends on the number, and the world counts from 1."""
    given, moved = read_pages(log, None), log.assign(position=first + step * (log["position"] - 1))
    found = read_pages(moved, None)
    np.testing.assert_array_equal(found.rank, given.rank)
    assert found.doubts == (f"column 'position' counts positions {said}, which was taken for the first",)


def test_a_column_of_agents_tells_how_many_fill_a_page(log: Any) -> None:
    shown = clicks_alone(log)
    assert read_pages(shown, None).agents == 1
    assert read_pages(shown.assign(agent=np.where(shown["user"] % 2, "A", "B")), None).agents == 1
    assert read_pages(shown.assign(agent=np.where(shown["position"] > 2, "below", "above")), None).agents == 2


def test_learned_vectors_of_few_items_have_fewer_dimensions(log: Any) -> None:
    few = log[log["item"] < 12]
    world = fit_pages(few[["user", "item", "time", "event", "page"]])
    assert world.catalogue.item_vectors.shape == (12, 11)
    assert list(world.catalogue.topic_name) == ["all"]
    assert episode_returns(replace(world, {"horizon": 50}), "content", 2, 0).any()


def changed(log: Any, column: str, value: Any, row: int = 7) -> Any:
    other = log.copy()
    other[column] = other[column].astype(object) if isinstance(value, str | None) else other[column].astype(type(value))
    other.loc[row, column] = value
    return other


def test_habits_are_counted_as_the_game_counts_them() -> None:
    """On each page of a log, they explain the utility of the item shown as the environment of the log does."""
    config = replace(
        WorldConfig(),
        {
            "num_agents": 1,
            "slots": 2,
            "horizon": 400,
            "action": "items",
            "users": {"number": 3, "population": "fixed", "habit": "click", "habit_size": 2, "habit_decay": 0.6},
            "items": {"number": 4, "topics": 2},
            "choice": {"beta_repeat": 1.0, "repeat_scale": 1.0, "v_0": 0.0},
        },
    )
    log = recorded_pages(record(config, "random", seed=5))
    pages = read_pages(log, None)
    habits, *_ = page_world.page_habits(pages, page_world.PageFitSettings(habit_size=2, habit_decay=0.6))

    envs = recsys_env.vector_env(config, 1)
    team, actions = Team(envs, {"recommender_0": "random"}, 5), envs.empty_actions()
    observations, _ = envs.reset(seed=5)
    term = {}
    for tick in range(config.horizon):
        team.act(observations, actions)
        page = envs.explain(actions)
        term |= {(tick, j): v for j, v in zip(page["item"].ravel(), page["terms"]["repeat"].ravel(), strict=True)}
        observations, _, _, _, _ = envs.step(actions)
    times = pages.start[pages.page]
    expected = [term[int(tick), int(pages.item_ids[j])] for tick, j in zip(times, pages.item, strict=True)]
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(habits, expected, rtol=1e-4, atol=1e-6)


def test_a_purchase_becomes_a_habit_at_the_page_where_it_is_made() -> None:
    """An item of the cart is shown at page 0 and bought at page 3, so it is a habit from page 4 on."""
    pages: Any = SimpleNamespace(
        user_ids=np.zeros(1),
        item=np.zeros(6, np.int64),
        page=np.arange(6),
        first_page=np.array([0, 6]),
        first_row=np.arange(7),
        bought=np.arange(6) == 0,
        delay=np.where(np.arange(6) == 0, 3, -1),
    )
    settings = page_world.PageFitSettings(habit="purchase", habit_size=4, habit_decay=0.5)
    habits, items, counts = page_world.page_habits(pages, settings)
    np.testing.assert_allclose(habits, np.log1p([0, 0, 0, 0, 1, 0.5]))
    assert (items[0, 0], counts[0, 0]) == (0, 0.25)


def test_hazards_of_carts_allow_for_the_end_of_the_log() -> None:
    """Of 20,000 users with few pages, each with one item in the cart; many logs end before the item leaves it."""
    rng, users, length, hazard, abandon = np.random.default_rng(0), 20_000, 17, 0.1, 1 / 9
    at = rng.integers(length, size=users)  # page of the user on which the item goes into the cart
    leaving = hazard + abandon - hazard * abandon
    leaves = rng.geometric(leaving, size=users)
    bought = (rng.random(users) < hazard / leaving) & (at + leaves < length)
    pages: Any = SimpleNamespace(
        cart=np.ones(users, np.bool_),
        bought=bought,
        delay=np.where(bought, leaves, -1),
        page=np.arange(users) * length + at,
        user=np.repeat(np.arange(users), length),
        first_page=np.arange(users + 1) * length,
    )
    assert bought.mean() < 0.4 < hazard / leaving
    np.testing.assert_allclose(page_world.cart_hazards(pages), (hazard, abandon), rtol=0.1)


def test_prices_are_counted_by_time_and_not_by_how_often_they_were_shown() -> None:
    """An item is reduced in three parts of ten, and shown five times as often in these."""
    time = np.arange(200)
    reduced = time % 10 < 3
    shown = np.repeat(time, np.where(reduced, 5, 1)).astype(np.float64)
    prices: Any = SimpleNamespace(ratio=np.where(shown % 10 < 3, 0.7, 1.0))
    pages: Any = SimpleNamespace(start=shown, page=np.arange(len(shown)), item=np.zeros(len(shown), np.int64))
    item, ratio = page_world._offers(pages, prices)
    assert (item == 0).all()
    assert (prices.ratio == 0.7).mean() > 0.6
    assert (ratio == 0.7).mean() == pytest.approx(0.3, abs=0.01)
