"""Every equation of the game has the sign and the size that it promises, seen from outside: actions in, reports out.

Where all items of a small world stand on one page without rank effects, log(P(click j) / P(no click)) is v_j - v_0
exactly, so most effects are checked as equations; the rest are counted over many copies, with margins of five standard
errors.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_kernels import small_catalogue

from recsys_env import TASKS, VectorEnv, WorldConfig, replace, vector_env
from recsys_env.config import for_catalogue
from recsys_env.config.fields import candidate_features
from recsys_env.world.partners import topic_map

M, T, D = 12, 4, 4
ALL = np.arange(M)
BASE = WorldConfig(
    num_agents=1,
    slots=M,
    action="items",
    observability="full",
    horizon=1000,
    scenes=({"name": "page", "cart": True},),
    users={"number": 1, "price_sensitivity_log_sd": 0.0, "habit_size": 4},
    items={"number": M, "dims": D, "topics": T},
    choice={"v_0": 0.0, "beta_taste": 0.0, "beta_quality": 0.0, "eta": 0.0, "kappa": 0.0},
    feedback={"noise_scale": 0.0, "e_0": 1.0, "a_taste": 0.0, "a_quality": 0.0, "b_0": -50.0},
    arrival={"r_0": 40.0, "k_0": 40.0},
    dynamics={"drift": 0.0},
)
NEVER, ALWAYS = {"v_0": 50.0}, {"v_0": -50.0}


def batch(num_envs: int = 50, seed: int = 0, **overrides: Any) -> VectorEnv:
    envs = vector_env(BASE, num_envs, **overrides)
    envs.reset(seed=seed)
    return envs


def utilities(envs: VectorEnv) -> np.ndarray:
    """v_j [B, M] of every item for the present visitor, up to the constant that all items of a copy share."""
    click = envs.expected_feedback(np.broadcast_to(ALL, (envs.num_envs, 1, M)))["click"][:, 0]
    return np.log(click)


def relative(v: np.ndarray) -> np.ndarray:
    return v - v.mean(1, keepdims=True)


def unsquash(x: np.ndarray) -> np.ndarray:
    return x / (1 - np.abs(x))


def latent(envs: VectorEnv, name: str, n: int = 0) -> np.ndarray:
    value = np.asarray(envs.field(envs.observations, f"latent_{name}")[:, n])
    return value if name in ("trust", "intent", "satisfaction") else unsquash(value)


def fixed(envs: VectorEnv, *slots: Any) -> np.ndarray:
    """The same action for all copies: one slate for a single agent, else one per agent; short slates repeat their last
    item."""
    rows = [np.atleast_1d(s) for s in slots]
    width = envs.config.slots
    full = np.array([np.concatenate([row, np.repeat(row[-1:], width - len(row))]) for row in rows])
    shape = (envs.num_envs, len(rows)) + ((width,) if width > 1 else ())
    return np.broadcast_to(full if width > 1 else full[:, 0], shape)


def click_on(envs: VectorEnv, item: int) -> Any:
    """With `ALWAYS`: show one item, which is clicked."""
    infos = envs.step(fixed(envs, item))[4]
    assert (infos["clicked"].sum((1, 2)) == 1).all()
    return infos


def same(a: Any, b: Any, atol: float = 2e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def higher(a: np.ndarray, b: np.ndarray) -> bool:
    """Mean of one sample above that of another by five standard errors."""
    a, b = np.ravel(a).astype(float), np.ravel(b).astype(float)
    return bool(a.mean() - b.mean() > 5 * (a.var() / a.size + b.var() / b.size) ** 0.5)


def near(count: float, total: float, probability: float) -> bool:
    return bool(abs(count - total * probability) <= 5 * (total * probability * (1 - probability)) ** 0.5 + 5)


# ------------------------------------------------------------------------------------------------ utility, term by term


@pytest.mark.parametrize(
    ("name", "column", "sign"),
    [
        ("beta_price", "log_price", -1),
        ("beta_quality", "quality", 1),
        ("beta_bait", "bait", 1),
        ("intercept", "intercept", 1),
    ],
)
def test_weights_of_item_properties(name: str, column: str, sign: int) -> None:
    items = {"intercept_sd": 0.7}
    plain = batch(items=items)
    column_values = plain.world.items[column].astype(float)
    assert column_values.std() > 0.1
    if name == "intercept":
        same(utilities(plain) - utilities(plain)[:, :1], column_values - column_values[0] + 0 * utilities(plain))
        return
    change = relative(utilities(batch(items=items, choice={name: 0.8})) - utilities(plain))
    same(change, np.broadcast_to(sign * 0.8 * (column_values - column_values.mean()), change.shape))


def test_price_sensitivity_differs_between_people() -> None:
    """beta_price rho_u x_j: mean-one log-normal rho, seen in the latent sensitivity and the slope of utility on x."""
    envs = batch(3000, users={"price_sensitivity_log_sd": 0.5}, choice={"beta_price": 1.0}, items={"price_log_sd": 0.2})
    x = envs.world.items["log_price"].astype(float)
    slope = -(relative(utilities(envs)) @ (x - x.mean())) / ((x - x.mean()) ** 2).sum()
    rho = latent(envs, "price_sensitivity")[:, 0]
    same(slope, rho, 1e-3)
    assert abs(rho.mean() - 1) < 5 * rho.std() / len(rho) ** 0.5
    assert np.log(rho).std() == pytest.approx(0.5, abs=5 * 0.5 / (2 * len(rho)) ** 0.5)


def test_taste_and_intent() -> None:
    plain, taste, intent = batch(), batch(choice={"beta_taste": 1.5}), batch(choice={"beta_intent": 0.9})
    match = latent(plain, "taste") @ plain.world.item_vectors.T
    same(np.linalg.norm(latent(plain, "taste"), axis=1), 1, 1e-4)
    same(relative(utilities(taste) - utilities(plain)), relative(1.5 * match), 1e-4)
    wanted = latent(plain, "intent")[:, plain.world.items["topic"]]
    same(relative(utilities(intent) - utilities(plain)), relative(0.9 * wanted))


def test_knowing_the_intent_pays() -> None:
    envs = batch(500, choice={"beta_intent": 1.5, "v_0": 3.0})
    topic = envs.world.items["topic"]
    of = np.array([np.flatnonzero(topic == t)[:2] for t in range(T)])
    wanted = latent(envs, "intent").argmax(1)
    slates = [np.pad(of[t], ((0, 0), (0, M - 2)), mode="edge")[:, None] for t in (wanted, (wanted + 1) % T)]
    right, wrong = (envs.expected_feedback(slate)["individual_reward"][:, 0] for slate in slates)
    assert (right > 3 * wrong).all()


def test_intent_follows_taste() -> None:
    """P(topic) ~ exp(scale <p, centre>): the intended topic's items match the taste better than the others do."""
    for scale, better in ((0.0, False), (6.0, True)):
        envs = batch(3000, users={"intent_scale": scale})
        match = latent(envs, "taste") @ envs.world.item_vectors.T
        wanted = latent(envs, "intent")[:, envs.world.items["topic"]] > 0
        assert higher(match[wanted], match[~wanted]) is better


def test_popularity_and_its_decay() -> None:
    half = 10.0
    envs, plain = (batch(choice={"beta_pop": b, **ALWAYS}, items={"popularity_half_life": half}) for b in (0.5, 0.0))
    count = np.tile(envs.world.items["popularity"].astype(float), (50, 1))
    for tick in range(25):
        same(relative(utilities(envs) - utilities(plain)), relative(0.5 * np.log1p(count * 0.5**0)), 1e-4)
        item = tick % 3
        click_on(envs, item)
        click_on(plain, item)
        count[:, item] += 1
        count *= 0.5 ** (1 / half)


def test_satiation_of_a_topic() -> None:
    envs, plain = (batch(choice={"beta_satiation": b, **ALWAYS}, dynamics={"satiation_page": 0.8}) for b in (0.7, 0.0))
    topic, level = envs.world.items["topic"], np.zeros(T)
    for item in (0, 0, 1, 2, 0, 5):
        click_on(envs, item)
        click_on(plain, item)
        level *= 0.8
        level[topic[item]] += 1
        same(latent(envs, "satiation"), np.broadcast_to(level, (50, T)), 1e-4)
        change = relative(utilities(envs) - utilities(plain))
        same(change, np.broadcast_to(relative(-0.7 * level[topic][None]), change.shape), 1e-4)


def test_satiation_by_being_shown_and_between_sessions() -> None:
    envs = batch(choice=NEVER, dynamics={"satiation_page": 0.8, "satiation_shown": 0.25})
    topic = envs.world.items["topic"]
    envs.step(fixed(envs, np.flatnonzero(topic == 1)))
    expected = np.zeros(T)
    expected[1] = 0.25 * (topic == 1).sum()
    same(latent(envs, "satiation"), np.broadcast_to(expected, (50, T)), 1e-4)
    envs = batch(
        choice=ALWAYS, dynamics={"satiation_session": 0.3}, arrival={"k_0": -40.0, "k_1": 0.0}
    )  # every page starts a session
    click_on(envs, 0)
    same(latent(envs, "satiation")[:, topic[0]], 0.3, 1e-4)


@pytest.mark.parametrize(("beta", "scale"), [(0.9, 1.0), (-0.9, 1.0), (0.9, 0.1)])
def test_repeats(beta: float, scale: float) -> None:
    """beta > 0 is a habit, beta < 0 is boredom: v changes by beta log(1 + n / n_0)."""
    candidates = {"candidates": {"number": 12}}
    envs, plain = (
        batch(choice={"beta_repeat": b, "repeat_scale": scale, **ALWAYS}, users={"habit_decay": 0.9}, **candidates)
        for b in (beta, 0.0)
    )
    count = np.zeros(M)
    for item in (3, 3, 4, 3):
        click_on(envs, item)
        click_on(plain, item)
        count *= 0.9
        count[item] += 1
        change = relative(utilities(envs) - utilities(plain))
        same(change, np.broadcast_to(relative(beta * np.log1p(count / scale)[None]), change.shape), 1e-4)


def test_habit_in_place_of_liking() -> None:
    """What an item weighs beside others rises by the same with each consumption, whatever was thought of it before."""
    choice = {"habit_rate": 0.7, "beta_taste": 2.0, "beta_price": 1.5, **ALWAYS}
    items = {"price_log_sd": 0.5, "promotion_probability": 0.5, "promotion_depth": 0.3, "promotion_period": 1}
    envs = batch(choice=choice, items=items, users={"habit_decay": 0.9}, candidates={"number": 12})
    count = np.zeros(M)
    for item in (3, 3, 4, 3):
        click_on(envs, item)
        count *= 0.9
        count[item] += 1
    world = envs.world
    liking = 2.0 * latent(envs, "taste") @ world.item_vectors.T - 1.5 * world.items["log_price"]
    terms = envs.explain(np.broadcast_to(ALL, (envs.num_envs, 1, M)))["terms"]
    off = terms["price"][:, 0] + 1.5 * world.items["log_price"]  # promotions, which habit does not cancel
    assert 0.2 < (off > 0.1).mean() < 0.8
    expected = np.log(np.exp(liking) + 0.7 * count) + off
    same(relative(utilities(envs)), relative(expected), 1e-4)
    assert np.ptp(liking, axis=1).min() > 1


def test_the_habit_table_evicts_the_smallest_count() -> None:
    envs = batch(1, choice={"beta_repeat": 1.0, **ALWAYS}, users={"habit_size": 2, "habit_decay": 0.5})
    for item in (0, 1, 1, 2):  # 0 has .125 left when 2 comes
        click_on(envs, item)
    v = relative(utilities(envs))[0]
    assert v[0] == pytest.approx(v[5], abs=1e-6)
    same(np.exp(v[[1, 2]] - v[5]) - 1, [0.75, 1.0], 1e-4)


def test_habits_of_purchases_ignore_clicks() -> None:
    envs = batch(20, choice={"beta_repeat": 1.0, **ALWAYS}, users={"habit": "purchase"})
    click_on(envs, 0)
    same(relative(utilities(envs)), 0, 1e-5)
    envs = batch(
        20,
        choice={"beta_repeat": 1.0, **ALWAYS},
        users={"habit": "purchase"},
        feedback={"instant": True, "b_0": 50.0, "b_taste": 0.0},
    )
    click_on(envs, 0)
    v = utilities(envs)
    same(v[:, 0] - v[:, 1], np.log(2), 1e-4)


def partner_matches(envs: VectorEnv, item: int, number: int = 0) -> np.ndarray:
    """<A q, q_j> [M] of an item: of the map of the last item, or of that of the item before."""
    vectors = envs.world.item_vectors.astype(np.float64)
    return vectors @ envs.world.partners[number * M + item].astype(np.float64)


def test_what_goes_with_the_last_item_attracts() -> None:
    """v changes by beta w <A q, q_j>, which fades at each page, also of the item before the last."""
    choice = {"partner_decay": 0.5, "partner_second": 0.4, **ALWAYS}
    envs, plain = (batch(choice={"beta_partner": beta, **choice}) for beta in (3.0, 0.0))
    change: list[np.ndarray] = []
    for item in (3, 7):
        click_on(envs, item)
        click_on(plain, item)
        change.append(relative(utilities(envs) - utilities(plain)))
    one, other, before = partner_matches(envs, 3), partner_matches(envs, 7), partner_matches(envs, 3, 1)
    same(change[0], np.broadcast_to(relative(3.0 * one[None]), change[0].shape), 1e-4)
    expected = 3.0 * (other + 0.4 * 0.5 * before)
    same(change[1], np.broadcast_to(relative(expected[None]), change[1].shape), 1e-4)
    assert np.abs(change[1]).max() > 1.0


def test_what_was_consumed_counts_whoever_showed_it_and_until_the_person_is_lost() -> None:
    envs = batch(
        num_agents=2, page="rows", choice={"beta_partner": 2.0, "v_0": -50.0}, arrival={"k_0": -40.0, "k_1": 0.0}
    )
    shown = fixed(envs, ALL, ALL)

    def preference() -> np.ndarray:
        return relative(np.log(envs.expected_feedback(shown)["click"][:, 0]))

    first = preference()
    clicked = envs.step(shown)[4]["clicked"]
    items = clicked.any(1).argmax(1)  # each copy's visitor clicked one of them, of whichever agent
    assert 0.3 < clicked[:, 0].any(1).mean() < 0.7
    expected = np.stack([2.0 * partner_matches(envs, int(item)) for item in items])
    same(preference() - first, relative(expected), 1e-4)
    lost = batch(choice={"beta_partner": 2.0, **ALWAYS}, arrival={"k_0": -40.0, "k_1": 0.0, "d_0": 1.0})
    click_on(lost, 0)
    same(relative(utilities(lost)), 0, 1e-5)


def test_bought_items_lead_on_where_purchases_count() -> None:
    users = {"users": {"habit": "purchase"}}
    envs = batch(20, choice={"beta_partner": 2.0, **ALWAYS}, **users)
    click_on(envs, 0)
    same(relative(utilities(envs)), 0, 1e-5)
    envs = batch(20, choice={"beta_partner": 2.0, **ALWAYS}, feedback={"instant": True, "b_0": 50.0}, **users)
    click_on(envs, 0)
    change = relative(utilities(envs))
    same(change, np.broadcast_to(relative(2.0 * partner_matches(envs, 0)[None]), change.shape), 1e-4)


@pytest.mark.parametrize("step", [0, 1])
def test_each_topic_leads_to_another_one(step: int) -> None:
    """A keeps all inner products within a topic, and turns the topic's centre into that of the topic it leads to."""
    items = {"number": 60, "dims": 8, "topics": 6, "domains": 3, "domain_topics": True, "partner_step": step}
    envs = vector_env(BASE, items=items, slots=2, choice={"beta_partner": 1.0, "partner_second": 0.5})
    world, maps = envs.world, []
    topic, vectors = world.items["topic"], world.item_vectors.astype(np.float64)
    for number in range(2):
        leads_to = topic_map(envs.config, 6, number)
        partners = world.partners[60 * number : 60 * (number + 1)].astype(np.float64)
        for t in range(6):
            one = topic == t
            same(partners[one] @ partners[one].T, vectors[one] @ vectors[one].T, 1e-5)
            same(partners[one] @ world.centres[leads_to[t]], vectors[one] @ world.centres[t], 1e-5)
        assert (leads_to % 3 == (np.arange(6) + step) % 3).all()
        assert (leads_to != np.arange(6)).all()
        assert sorted(leads_to) == list(range(6))
        maps.append(partners)
    assert np.abs(maps[0] - maps[1]).max() > 0.1


def test_agents_observe_the_items_consumed_last() -> None:
    """Newest first, with vector, topic, whether it was bought and how many pages ago; and only those of their own."""
    envs = batch(2, choice=ALWAYS, observation={"recent": 3})
    vectors, topics = envs.world.item_vectors, envs.world.items["topic"]

    def seen(name: str) -> np.ndarray:
        return np.asarray(envs.field(envs.observations, f"recent_{name}")[:, 0])

    assert not any(seen(name).any() for name in ("mask", "vectors", "topics", "bought", "pages"))
    for i, item in enumerate((5, 2, 9, 4)):
        click_on(envs, item)
        known = min(i + 1, 3)
        same(seen("mask"), np.broadcast_to(np.arange(3) < known, (2, 3)), 0)
        newest = [5, 2, 9, 4][i::-1][:3]
        rows = seen("vectors").reshape(2, 3, D)[:, :known]
        same(unsquash(rows), np.broadcast_to(vectors[newest], rows.shape), 1e-5)
        hot = seen("topics").reshape(2, 3, T)[:, :known]
        assert (hot.argmax(2) == topics[newest]).all()
        assert (hot.sum(2) == 1).all()
        same(unsquash(seen("pages")[:, :known]) * 5, np.broadcast_to(1 + np.arange(known), (2, known)), 1e-4)
    assert not seen("bought").any()
    bought = batch(2, choice=ALWAYS, observation={"recent": 1}, feedback={"instant": True, "b_0": 50.0})
    click_on(bought, 0)
    assert (bought.field(bought.observations, "recent_bought") == 1).all()


@pytest.mark.parametrize("share", [False, True])
def test_recent_items_are_those_of_the_agent_unless_shared(share: bool) -> None:
    envs = batch(num_agents=2, page="rows", choice={"v_0": -50.0}, observation={"recent": 1, "share": share})
    clicked = envs.step(fixed(envs, 0, 1))[4]["clicked"].any(2)  # [B, N]
    known = envs.field(envs.observations, "recent_mask")[:, :, 0] == 1
    assert clicked.any(0).all()
    assert (known == (clicked.any(1, keepdims=True) if share else clicked)).all()


@pytest.mark.parametrize("features", ["vectors", "both"])
def test_candidates_as_vectors(features: str) -> None:
    """Agents observe what candidates are; with "vectors" nothing says how they compare with the visitor."""
    options = {"action": "candidates", "slots": 2, "candidates": {"number": 5, "features": features}}
    envs = batch(3, **options)
    digest = batch(3, action="candidates", slots=2, candidates={"number": 5})
    items = envs.arrays.candidates[:, 0]
    vectors = unsquash(np.asarray(envs.field(envs.observations, "candidate_vectors")[:, 0]).reshape(3, 5, D))
    same(vectors, envs.world.item_vectors[items], 1e-5)
    topics = np.asarray(envs.field(envs.observations, "candidate_topics")[:, 0]).reshape(3, 5, T)
    assert (topics.argmax(2) == envs.world.items["topic"][items]).all()
    comparing = {"profile_match", "history_match", "topic_count", "context"}
    kept = [name for name in digest.candidate_features if features == "both" or name not in comparing]
    assert list(envs.candidate_features) == kept
    shown, other = (
        np.asarray(each.field(each.observations, "candidates")[:, 0]).reshape(3, 5, -1) for each in (envs, digest)
    )
    same(shown, other[:, :, [digest.candidate_features.index(name) for name in kept]], 0)


def test_fresh_items_attract_and_windows_leave_holes() -> None:
    windows = {"items": {"life": 30, "period": 40}}
    envs, plain = (
        batch(4, choice={"beta_fresh": b, "tau_fresh": 10.0, "beta_pop": 0.3, **NEVER}, **windows) for b in (2.0, 0.0)
    )
    offset, ages = envs.world.items["offset"], []
    for tick in range(60):
        age = (tick + offset) % 40
        here = age < 30
        click = envs.expected_feedback(fixed(envs, ALL))["click"][:, 0]
        assert ((click > 0) == here).all()
        change = np.log(click[:, here]) - np.log(plain.expected_feedback(fixed(plain, ALL))["click"][:, 0][:, here])
        same(change, np.broadcast_to(2 * np.exp(-age[here] / 10), change.shape), 1e-4)
        infos = envs.step(fixed(envs, ALL))[4]
        plain.step(fixed(plain, ALL))
        np.testing.assert_array_equal(infos["shown"][0, 0], np.where(here, ALL, -1))
        assert (infos["empty"] == (~here).sum()).all()
        assert (infos["rank"][:, 0] == ALL).all()  # a hole keeps its rank
        ages.append(age)
    assert np.ptp(ages) == 39


# ------------------------------------------------------------------------------------------------ rank, nests, trust


@pytest.mark.parametrize(("eta", "kappa"), [(0.835, 0.75), (0.0, 2.0), (1.5, 0.0)])
def test_clicks_fall_with_rank_and_carts_given_a_click_do_not(eta: float, kappa: float) -> None:
    choice = {"eta": eta, "kappa": kappa, "v_0": 1.0}
    envs = vector_env(BASE, 20_000, slots=4, choice=choice, feedback={"b_0": 0.0, "b_quality": 1.0, "instant": True})
    envs.reset(seed=1)
    theta = np.arange(1, 5) ** -eta * (1 + kappa * (np.arange(4) == 0))
    exact = theta * np.exp(-1) / (1 + theta.sum() * np.exp(-1))
    rng = np.random.default_rng(0)
    clicks, carts = np.zeros(4), np.zeros(4)
    for _ in range(3):
        infos = envs.step(np.argsort(rng.random((20_000, M)), axis=1)[:, None, :4])[4]
        clicks += infos["clicked"][:, 0].sum(0)
        carts += infos["cart"][:, 0].sum(0)
    assert all(near(clicks[r], 60_000, exact[r]) for r in range(4))
    share = carts.sum() / clicks.sum()
    assert 0.2 < share < 0.8
    assert all(near(carts[r], clicks[r], share) for r in range(4))
    one = vector_env(BASE, 1, slots=4, choice=choice)  # equal utilities: exact ratios
    one.reset(seed=0)
    click = one.expected_feedback(fixed(one, [0, 1, 2, 3]))["click"][0, 0]
    same(click / click[0], theta / theta[0], 1e-7)
    total = click.sum()
    same(total / (1 - total), theta.sum() * np.exp(-1.0), 1e-6)


@pytest.mark.parametrize("dissimilarity", [0.2, 0.6, 1.0])
def test_the_nested_logit_of_rows(dissimilarity: float) -> None:
    """P(i | n) P(n) by McFadden's formula, from utilities read off a page without nests; lower lambda, less from a
    second slot."""
    choice = {"beta_taste": 2.0, "v_0": 0.7, "eta": 0.5, "kappa": 0.5}
    shape = {"page": "rows", "num_agents": 2, "slots": 3}
    envs = batch(choice={**choice, "dissimilarity": dissimilarity}, **shape)
    v = 2.0 * (latent(envs, "taste") @ envs.world.item_vectors.T)
    slates = np.array([[0, 3, 5], [3, 7, 9]])  # both show item 3: in rows both stay
    theta = np.arange(1, 4) ** -0.5 * np.array([1.5, 1, 1])
    w = theta * np.exp(v[:, slates] / dissimilarity)
    nest = w.sum(2) ** dissimilarity
    exact = (w / w.sum(2, keepdims=True)) * (nest / (np.exp(0.7) + nest.sum(1, keepdims=True)))[:, :, None]
    same(envs.expected_feedback(fixed(envs, *slates))["click"], exact, 1e-4)
    rows = batch(choice={"dissimilarity": dissimilarity}, **shape)
    one, three = (rows.expected_feedback(fixed(rows, slate, 0))["click"][:, 0].sum(1) for slate in ([1], [1, 2, 4]))
    same(three / one, 3**dissimilarity * 3 / (2 + 3**dissimilarity), 1e-5)


def test_trust_brings_clicks_and_is_earned() -> None:
    """Satisfied clicks raise trust in the clicked agent alone, and exp(beta tau) multiplies its odds; no click lowers
    both."""
    shape = {"page": "rows", "num_agents": 2, "slots": 2}
    for e_0, sign in ((3.0, 1), (-3.0, -1)):
        envs = batch(choice={"beta_trust": 2.0, **ALWAYS}, feedback={"e_0": e_0}, dynamics={"trust_rate": 0.4}, **shape)
        infos = envs.step(fixed(envs, 0, 1))[4]
        winner = infos["clicked"].any(2).argmax(1)
        assert 5 < winner.sum() < 45
        trust = latent(envs, "trust")
        same(trust[np.arange(50), winner], sign * 0.4 * np.tanh(3.0))
        same(trust[np.arange(50), 1 - winner], 0)
        click = envs.expected_feedback(fixed(envs, 0, 1))["click"][:, :, 0]
        same(np.log(click[:, 0] / click[:, 1]), 2.0 * (trust[:, 0] - trust[:, 1]), 1e-5)
    envs = batch(
        choice={"beta_trust": 2.0, **NEVER},
        dynamics={"trust_rate_none": 0.1, "baseline": -0.5},
        users={"trust_init": 0.3},
        **shape,
    )
    envs.step(fixed(envs, 0, 1))
    same(latent(envs, "trust"), 0.3 + 0.1 * (-0.5 - 0.3))


def test_trust_decides_which_rival_is_opened() -> None:
    envs = vector_env(
        BASE,
        20_000,
        page="rival",
        num_agents=3,
        slots=1,
        choice={"beta_trust": 2.0, **ALWAYS},
        feedback={"e_0": 3.0},
        dynamics={"trust_rate": 0.8},
        arrival={"k_0": -40.0, "k_1": 0.0},
    )
    envs.reset(seed=0)
    opened = envs.active.argmax(1)
    assert all(near((opened == n).sum(), 20_000, 1 / 3) for n in range(3))
    assert (envs.active.sum(1) == 1).all()
    envs.step(fixed(envs, 0, 0, 0))
    again = envs.active.argmax(1)
    up = np.exp(2.0 * 0.8 * np.tanh(3.0))
    assert near((again == opened).sum(), 20_000, up / (up + 2))
    click = envs.expected_feedback(fixed(envs, 0, 0, 0))["click"]
    assert (click[~envs.active] == 0).all()
    stay = batch(200, page="rival", num_agents=3, slots=1)
    first = stay.active.copy()
    for _ in range(5):
        stay.step(fixed(stay, 0, 1, 2))
        np.testing.assert_array_equal(stay.active, first)  # kept for the session


def test_shared_pages_interleave_and_credit_the_better_rank() -> None:
    envs = batch(2000, num_agents=2, slots=3)
    first = np.zeros(2)
    infos = envs.step(fixed(envs, [0, 1, 2], [0, 3, 4]))[4]
    rank, shown = infos["rank"], infos["shown"]
    assert (np.sort(rank.reshape(2000, -1), axis=1) == np.arange(6)).all()
    assert ((rank // 2) == np.arange(3)).all()
    for n in range(2):
        first[n] = (rank[:, n, 0] == 0).sum()
        assert ((shown[:, n, 0] == 0) == (rank[:, n, 0] == 0)).all()  # the other's copy is a hole
    assert near(first[0], 2000, 0.5)
    assert near(
        ((rank[:, 0, 0] < rank[:, 1, 0]) == (rank[:, 0, 1] < rank[:, 1, 1])).sum(), 2000, 0.5
    )  # a new order in each round
    assert (infos["empty"].sum(1) == 1).all()


@pytest.mark.parametrize("page", ["shared", "rows", "rival"])
def test_more_slots_than_live_candidates_leave_holes(page: str) -> None:
    """Whatever is picked: each live candidate once, from the picked one on, and nothing in the slots that are left."""
    envs = batch(200, action="candidates", page=page, slots=5, candidates={"number": 6}, roles=({"items": (2, 5, 7)},))
    assert (np.sort(envs.candidates[:, 0])[:, :3] == -1).all()
    rng = np.random.default_rng(0)
    for _ in range(5):
        live, action = envs.candidates[:, 0].copy(), rng.integers(0, 6, (200, 1, 5))
        infos = envs.step(action)[4]
        wanted = np.full((200, 5), -1)
        for b in range(200):
            for k, first in enumerate(action[b, 0]):
                free = [live[b, (first + i) % 6] for i in range(6) if live[b, first] >= 0]
                wanted[b, k] = next((j for j in free if j >= 0 and j not in wanted[b]), -1)
        np.testing.assert_array_equal(envs._scratch.shown[:, 0], wanted)
        np.testing.assert_array_equal(infos["shown"][:, 0], wanted)
        assert (infos["empty"][:, 0] == (wanted < 0).sum(1)).all()
        assert (wanted < 0).sum(1).min() == 2  # three of them stand at most


# -------------------------------------------------------------------------------- satisfaction and visits


def test_satisfaction_moves_by_experience() -> None:
    for e_0 in (2.0, -2.0):
        envs = batch(choice=ALWAYS, feedback={"e_0": e_0}, dynamics={"z_rate": 0.25})
        click_on(envs, 0)
        same(latent(envs, "satisfaction")[:, 0], 0.25 * np.tanh(e_0))
    envs = batch(choice=NEVER, dynamics={"z_rate_none": 0.1, "baseline": -0.5}, users={"z_init": 0.5})
    envs.step(fixed(envs, ALL))
    same(latent(envs, "satisfaction")[:, 0], 0.4)


def experience(e: dict[str, float], item: int, **overrides: Any) -> np.ndarray:
    """e of one forced click, from its dwell (length 1, no noise)."""
    envs = batch(choice=ALWAYS, feedback=e, **overrides)
    dwell = click_on(envs, item)["dwell"].max((1, 2)).astype(float)
    return np.log(np.expm1(dwell))


def test_experienced_utility_term_by_term() -> None:
    envs = batch()
    items, item = envs.world.items, 4
    match = latent(envs, "taste") @ envs.world.item_vectors[item]
    same(experience({}, item), 1.0, 1e-4)
    same(experience({"a_taste": 1.0}, item), 1 + match, 1e-4)
    same(experience({"a_quality": 0.5}, item), 1 + 0.5 * items["quality"][item], 1e-4)
    same(experience({"a_bait": 0.5}, item), 1 - 0.5 * items["bait"][item], 1e-4)
    same(experience({"a_price": 0.5}, item), 1 - 0.5 * items["log_price"][item], 1e-4)
    envs = batch(choice=ALWAYS, feedback={"a_satiation": 0.5})
    first, second = (np.log(np.expm1(click_on(envs, item)["dwell"].max((1, 2)).astype(float))) for _ in range(2))
    same(first - second, 0.5, 1e-4)


def test_dwell_scales_with_length() -> None:
    envs = batch(choice=ALWAYS, items={"length_log_sd": 0.6}, reward={"click": 0.0, "dwell": 2.0})
    length = envs.world.items["length"].astype(float)
    assert length.std() > 0.2
    for item in (0, 1, 2):
        infos = click_on(envs, item)
        same(infos["dwell"].max((1, 2)), length[item] * np.log1p(np.e), 1e-4)
        same(infos["individual_reward"][:, 0], 2 * length[item] * np.log1p(np.e), 1e-4)


def test_ratings_and_likes_rise_with_quality() -> None:
    noisy = {"noise_scale": 1.0, "a_quality": 0.8, "e_0": 0.0, "like": True, "rating_after_click": 0.7}
    envs = batch(5000, choice=ALWAYS, feedback=noisy, reward={"click": 0.0, "rating": 1.0, "like": 10.0})
    order = np.argsort(envs.world.items["quality"])
    poor, good = click_on(envs, int(order[0])).copy(), click_on(envs, int(order[-1])).copy()
    for infos, item in ((poor, order[0]), (good, order[-1])):
        rating, liked = infos["rating"].max((1, 2)), infos["liked"].any((1, 2))
        assert set(np.unique(rating)) <= {0, 1, 2, 3, 4, 5}
        assert near((rating > 0).sum(), 5000, 0.7)
        same(infos["individual_reward"][:, 0], np.where(rating > 0, (rating - 3) / 2, 0) + 10 * liked)
        assert infos["clicked"].sum() == 5000
        e = 0.8 * float(envs.world.items["quality"][item])
        x = np.linspace(-30, 30, 6001)
        density = 0.25 / np.cosh(x / 2) ** 2
        assert near(liked.sum(), 5000, float((density / (1 + np.exp(-e - x))).sum() * 0.01))
    ratings = [infos["rating"].max((1, 2)) for infos in (poor, good)]
    assert higher(ratings[1][ratings[1] > 0], ratings[0][ratings[0] > 0])
    assert higher(good["liked"].any((1, 2)), poor["liked"].any((1, 2)))


def test_the_rating_bias_affects_nothing_else() -> None:
    results = []
    for sd in (0.0, 2.0):
        envs = batch(
            500,
            users={"rating_bias_sd": sd},
            choice=ALWAYS,
            feedback={"rating_after_click": 1.0, "like": True, "noise_scale": 1.0},
        )
        results.append(click_on(envs, 3).copy())
    assert not np.array_equal(results[0]["rating"], results[1]["rating"])
    for key in ("clicked", "liked", "dwell", "individual_reward"):
        np.testing.assert_array_equal(results[0][key], results[1][key])


def test_taste_drifts_toward_what_pleased() -> None:
    for e_0, sign in ((3.0, 1), (-3.0, -1)):
        envs = batch(choice=ALWAYS, feedback={"e_0": e_0}, dynamics={"drift": 0.1})
        before, q = latent(envs, "taste"), envs.world.item_vectors[2]
        profile = unsquash(envs.field(envs.observations, "profile")[:, 0])
        click_on(envs, 2)
        after = before + sign * 0.1 * np.tanh(3.0) * q
        after /= np.linalg.norm(after, axis=1, keepdims=True)
        same(latent(envs, "taste"), after, 1e-4)
        assert (sign * (latent(envs, "taste") - before) @ q > 0).all()
        same(
            unsquash(envs.field(envs.observations, "profile")[:, 0]) - profile, after - before, 1e-3
        )  # the noise on it stays


def test_bored_users_come_less_and_leave_sooner() -> None:
    """Lower e_0: more idle ticks, with sigmoid(r_0 + r_1 z) accepted in the first draw and sigmoid(k_0 + k_1 z)
    staying."""
    idle, pages = {}, {}
    for e_0 in (2.0, -2.0):
        envs = vector_env(
            BASE, 1000, choice=ALWAYS, feedback={"e_0": e_0}, arrival={"k_0": 1.0, "k_1": 1.0, "r_0": 0.0, "r_1": 3.0}
        )
        envs.reset(seed=0)
        assert near(envs.active.sum(), 1000, 0.5)
        seen = []
        for _ in range(60):
            envs.step(fixed(envs, 0))
            seen.append(envs.active[:, 0].copy())
        idle[e_0], pages[e_0] = (
            ~np.array(seen),
            envs.field(envs.observations, "session_page")[:, 0, 0][envs.active[:, 0]],
        )
    assert higher(idle[-2.0].mean(0), idle[2.0].mean(0))
    assert idle[-2.0].mean() > idle[2.0].mean() + 0.2
    assert higher(pages[2.0], pages[-2.0])


@pytest.mark.parametrize(("z", "d_1"), [(0.8, 0.5), (-0.8, 0.5), (0.0, 0.0)])
def test_staying_returning_and_leaving_for_good(z: float, d_1: float) -> None:
    frozen = {"z_rate_none": 0.0, "trust_rate_none": 0.0}
    arrival = {"k_0": -0.5, "k_1": 1.0, "r_0": 0.3, "r_1": 1.0, "d_0": 0.2, "d_1": d_1, "d_2": 2.0}
    envs = vector_env(BASE, 20_000, choice=NEVER, dynamics=frozen, arrival=arrival, users={"z_init": z})
    envs.reset(seed=3)

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    accept, stay, lost = sigmoid(0.3 + z), sigmoid(-0.5 + z), 0.2 + d_1 * sigmoid(-2 * z)
    assert near(envs.active.sum(), 20_000, accept)
    here, person = envs.active[:, 0].copy(), envs.next_visitor[:, 0].copy()
    envs.step(fixed(envs, ALL))
    page = envs.field(envs.observations, "session_page")[:, 0, 0]
    assert near((page[here] > 0).sum(), here.sum(), stay)
    back = here & envs.active[:, 0] & (page == 0)  # the only user of the copy, or whoever took the place
    assert near((envs.next_visitor[:, 0] != person)[back].sum(), back.sum(), lost)
    assert near(envs.active[~here].sum(), (~here).sum(), accept)
    visits = unsquash(envs.field(envs.observations, "visits")[:, 0, 0]) * 5
    new = (envs.next_visitor[:, 0] != person) & back
    same(visits[new], 1, 1e-4)
    same(visits[back & ~new], 2, 1e-4)


def test_lost_users_take_everything_with_them() -> None:
    envs = batch(
        300,
        users={"number": 1},
        choice=ALWAYS,
        feedback={"b_0": 50.0, "cart_hazard": 0.0, "cart_abandon": 0.0},
        arrival={"k_0": -40.0, "k_1": 0.0, "d_0": 1.0},
    )
    seen = [envs.next_visitor[:, 0].copy()]
    for _ in range(5):
        taste = latent(envs, "taste")
        click_on(envs, 0)
        assert not np.allclose(taste, latent(envs, "taste"))
        same(latent(envs, "satiation"), 0)
        same(envs.field(envs.observations, "topic_counts"), 0)
        same(envs.field(envs.observations, "cart"), 0)
        same(latent(envs, "satisfaction")[:, 0], 0)
        seen.append(envs.next_visitor[:, 0].copy())
    assert all(len(np.unique(row)) == 6 for row in np.array(seen).T)


def test_visitor_ids_of_a_place_outlast_a_million_people() -> None:
    """The 2^20th person of one place is nobody of the next place, nor of the next episode."""
    envs = vector_env(
        BASE, 200, users={"number": 2, "activity_log_sd": 0.0}, horizon=2**22, choice=NEVER, arrival={"k_0": -40.0}
    )
    met = []
    for incarnation in (0, 2**20, 2**21, 2**22):
        for seed in (0, None):
            envs.reset(seed=seed)
            envs.arrays.users["incarnation"] = incarnation
            envs.step(fixed(envs, ALL))
            place = envs.arrays.copies["visitor"]
            met.append(
                np.stack((envs.arrays.copies["episode"], place, np.full(200, incarnation), envs.next_visitor[:, 0]))
            )
    people = np.concatenate(met, 1)[:, np.concatenate(met, 1)[1] >= 0]
    assert len(np.unique(people[3])) == len(np.unique(people[:3], axis=1).T) > 8


def test_carts_are_refused_what_is_gone() -> None:
    """Neither an item whose window has closed nor one that is sold out is bought from the cart."""
    feedback = {"b_0": 50.0, "cart_hazard": 0.5, "cart_abandon": 0.0}
    for items in ({"life": 3, "period": 6}, {"stock_init": 1, "restock_period": 1000}):
        arrival = {"k_0": 0.0, "r_0": 40.0}  # people take turns, so that several have the same item in the cart
        envs = batch(200, users={"number": 3}, items=items, choice={"v_0": 0.0}, feedback=feedback, arrival=arrival)
        sold = np.zeros((200, M), int)
        for _ in range(30):
            tick = envs.tick.copy()
            later = envs.step(fixed(envs, ALL))[4]["later_item"]
            copy, entry = np.nonzero(later >= 0)
            item = later[copy, entry]
            if "life" in items:
                assert ((tick[copy] + envs.world.items["offset"][item]) % 6 < 3).all()
            np.add.at(sold, (copy, item), 1)
        assert sold.sum() > 300
        assert "life" in items or sold.max() == 1


def test_masks_of_one_slot_with_messages() -> None:
    """An action names an item and a word: each word of what may be shown is allowed, and nothing else."""
    role = {"items": (1,)}
    envs = vector_env(BASE, 3, slots=1, messages=2, mask_actions=True, items={"number": 4}, roles=(role,))
    masks = envs.reset(seed=0)[0]["action_mask"]
    assert masks[envs.active].tolist() == [[0, 0, 1, 1, 0, 0, 0, 0]] * 3


def test_items_without_a_history() -> None:
    """Popularity that starts at 0 everywhere is observed as 0 and then in clicks; retrieval by history is uniform."""
    envs = vector_env("social-v1", 400, items={"popularity_mean": 0.0}, choice={"v_0": -50.0})
    place = envs.observation_fields["candidates"].start + candidate_features(envs.config, envs.shape).index(
        "popularity"
    )
    observations, _ = envs.reset(seed=0)
    drawn = np.bincount(envs.candidates[envs.active].ravel(), minlength=envs.shape.items)
    assert drawn.min() > 0.3 * drawn.mean()
    for _ in range(5):
        assert np.isfinite(observations).all()
        observations = envs.step(envs.empty_actions())[0]
    seen = unsquash(observations[:, :, place].astype(float))
    assert 0.3 < seen.max() <= 5


# ------------------------------------------------------------------------------------------------ public statistics

LOG = {"log_impressions": 100.0, "popularity_half_life": 20.0}


def history(envs: VectorEnv) -> np.ndarray:
    """Clicks, impressions and satisfaction [3, M] that items start with."""
    items, impressions = envs.world.items, np.full(M, envs.config.items.log_impressions)
    return np.stack([items["log_clicks"], impressions, items["log_satisfaction"]]).astype(float)


def features_of(envs: VectorEnv, statistics: np.ndarray) -> dict[str, np.ndarray]:
    """`ctr` and `satisfaction` of items with these statistics, by the definition."""
    (clicks, impressions, total), shape = statistics, envs.world.params["shape"][0]
    mean, joy = shape["mean_ctr"], shape["mean_satisfaction"]
    return {
        "ctr": np.tanh(np.log((clicks + 10 * mean) / (impressions + 10)) - np.log(mean)),
        "satisfaction": np.tanh(2 * (total - clicks * joy) / (clicks + 5)),
    }


def test_what_is_shown_and_not_clicked_loses_by_its_examination() -> None:
    envs = batch(2, slots=2, items=LOG, choice={"eta": 0.8, "kappa": 0.75, **NEVER})
    known = history(envs)
    for _ in range(30):
        for name, values in features_of(envs, known).items():
            same(envs.public_items()[name], np.broadcast_to(values, (2, M)), 1e-5)
        envs.step(fixed(envs, [3, 7]))
        known[1, [3, 7]] += 1.75, 2**-0.8
        known *= 0.5 ** (1 / 20)
    first, last = features_of(envs, history(envs))["ctr"], envs.public_items()["ctr"][0]
    assert last[3] < last[7] - 0.005 < last[0] - 0.02
    assert (np.abs(last[[0, 1, 2]]) < np.abs(first[[0, 1, 2]])).all()  # what is old fades towards the mean


@pytest.mark.parametrize("e_0", [-15.0, -1.0, 2.0])
def test_clicks_raise_the_click_through_rate_and_tell_how_people_liked_it(e_0: float) -> None:
    feedback = {"e_0": e_0, "a_bait": 2.0}
    envs = batch(2, slots=1, items={**LOG, "length_log_sd": 0.4}, choice={"beta_quality": 0.5}, feedback=feedback)
    known, length = history(envs), envs.world.items["length"].astype(float)
    for tick in range(40):
        infos = envs.step(fixed(envs, tick % 2))[4]
        clicked = infos["clicked"][0, 0, 0]
        known[:, tick % 2] += clicked, 1.0, clicked and np.log(infos["dwell"][0, 0, 0] / length[tick % 2])
        known *= 0.5 ** (1 / 20)
        for name, values in features_of(envs, known).items():
            same(envs.public_items()[name][0], values, 2e-5)
    liked, bait = envs.public_items()["satisfaction"][0, :2], envs.world.items["bait"][:2]
    assert known[0, :2].min() > 3
    assert abs(liked[0] - liked[1]) > 0.05
    assert liked.argmax() == bait.argmin()


def test_reborn_items_have_no_past() -> None:
    envs = batch(3, slots=1, items={**LOG, "life": 10, "period": 10}, choice=ALWAYS)
    opened = np.zeros(M, bool)
    for _ in range(12):
        found = envs.public_items()
        opened |= (found["age"][0] == 0) & (envs.tick[0] > 0)
        new = opened & (np.arange(M) != 5)
        assert not any(found[name][:, new].any() for name in ("popularity", "ctr", "satisfaction"))
        assert found["popularity"][:, ~opened].all()
        envs.step(fixed(envs, 5))
    assert opened.all()
    assert (envs.public_items()["popularity"][:, 5] > 0.5).all()  # its window's own clicks


def test_candidates_show_the_statistics_that_everybody_sees() -> None:
    envs = vector_env("social-v1", 3)
    envs.reset(seed=1)
    for _ in range(20):
        observations, found = envs.step(envs.empty_actions() + np.arange(envs.config.slots))[0], envs.public_items()
        values = envs.field(observations, "candidates").reshape(3, envs.num_agents, -1, envs.shape.features)
        b, n, c = np.nonzero((envs.candidates >= 0) & envs.active[:, :, None])
        for name in ("ctr", "satisfaction"):
            column = values[..., envs.candidate_features.index(name)]
            same(column[b, n, c], found[name][b, envs.candidates[b, n, c]], 1e-6)


def test_the_log_is_of_the_same_people_as_the_episodes() -> None:
    """Under random slates the clicks per examined impression are the catalogue's mean, but for the rest of the page."""
    envs, rng = vector_env("social-v1", 200, num_agents=1, slots=1, items={"number": 100}), np.random.default_rng(0)
    envs.reset(seed=0)
    clicks = pages = 0
    for _ in range(400):
        infos = envs.step(rng.integers(0, envs.config.candidates.number, 200)[:, None])[4]
        clicks, pages = clicks + infos["clicked"].sum(), pages + (infos["shown"] >= 0).sum()
    rate = clicks / pages / (1 + envs.config.choice.kappa)
    assert rate == pytest.approx(envs.world.params["shape"]["mean_ctr"][0], rel=0.3)


# ------------------------------------------------------------------------------------------------ order of candidates


def ranks_of_the_best(envs: VectorEnv, name: str, pages: int) -> np.ndarray:
    """Positions [pages * B, N] of each agent's candidate with the largest value of a feature; one page of a session
    each."""
    found = []
    for _ in range(pages):
        values = envs.field(envs.observations, "candidates").reshape(*envs.candidates.shape, -1)
        found.append(values[..., envs.candidate_features.index(name)].argmax(2)[envs.active.all(1)])
        envs.step(envs.empty_actions())
    return np.concatenate(found)


@pytest.mark.parametrize("name", ["profile_match", "popularity", "ctr"])
def test_the_position_of_a_candidate_says_nothing(name: str) -> None:
    """Chi-square at 1e-4: every position is as likely, and those of two agents have nothing to do with each other."""
    envs = vector_env("social-v1", 1000, candidates={"number": 10}, arrival={"r_0": 40.0})
    envs.reset(seed=3)
    place = ranks_of_the_best(envs, name, 20)
    assert len(place) == 20_000
    for n in range(2):
        assert stats.chisquare(np.bincount(place[:, n], minlength=10)).pvalue > 1e-4
    assert (
        stats.chi2_contingency(np.bincount(place[:, 0] * 10 + place[:, 1], minlength=100).reshape(10, 10)).pvalue > 1e-4
    )


def test_candidates_may_come_sorted() -> None:
    """By profile match, plus log(1 + known habit count) where people repeat."""
    for beta_repeat in (0.0, 2.0):
        envs = vector_env(
            "social-v1",
            50,
            candidates={"order": "score"},
            users={"habit_size": 8},
            choice={"beta_repeat": beta_repeat, "v_0": 0.0},
        )
        envs.reset(seed=0)
        for _ in range(20):
            observations = envs.step(envs.empty_actions())[0]
            values = envs.field(observations, "candidates").reshape(*envs.candidates.shape, -1)
            match, known = (
                unsquash(values[..., envs.candidate_features.index(f)]) for f in ("profile_match", "repeat")
            )
            score = (match + np.log1p(known) * (beta_repeat > 0))[envs.active]
            assert (np.diff(score, axis=1) <= 1e-5).all()


# ------------------------------------------------------------------------------------------------ sharing


@pytest.mark.parametrize("sharing", [-1.0, -0.3, 0.0, 0.4, 1.0])
def test_sharing(sharing: float) -> None:
    envs = vector_env(BASE, 2000, num_agents=3, slots=2, reward={"sharing": sharing})
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    _, rewards, _, _, infos = envs.step(rng.integers(0, M, (2000, 3, 2)))
    own = infos["individual_reward"]
    assert (own.sum(1) > 0).any()
    same(rewards, (1 - max(sharing, 0)) * own + sharing * own.mean(1, keepdims=True), 1e-6)
    if sharing == -1:
        same(rewards.sum(1), 0, 1e-6)
    if sharing == 1:
        same(rewards, np.broadcast_to(rewards[:, :1], rewards.shape), 0)
    if sharing == 0:
        same(rewards, own, 0)


# ------------------------------------------------------------------------------------------------ objectives of a page


def objectives(envs: VectorEnv, *slates: Any) -> np.ndarray:
    """[N] of a page that all copies show alike, which `expected_feedback` has known."""
    actions = fixed(envs, *slates)
    expected, (_, rewards, _, _, infos) = envs.expected_feedback(actions)["objectives"], envs.step(actions)
    found = infos["objectives"]
    same(found, expected, 1e-6)
    same(found, np.broadcast_to(found[0], found.shape), 0)
    same(rewards, infos["individual_reward"] + found, 1e-6)
    return np.asarray(found[0])


def test_diversity_is_the_mean_dissimilarity_of_pairs() -> None:
    envs = batch(5, choice=NEVER, reward={"diversity": 0.5})
    q = envs.world.item_vectors.astype(float)
    same(objectives(envs, [0, 1, 2])[0], 0.5 * np.mean([1 - q[i] @ q[j] for i, j in ((0, 1), (0, 2), (1, 2))]), 1e-6)
    assert objectives(envs, [3])[0] == 0  # the rest of the slate are holes
    on_a_line = batch(5, choice=NEVER, reward={"diversity": 1.0}, items={"dims": 1}, world_seed=1)
    side = on_a_line.world.item_vectors[:, 0] > 0
    alike, unlike = np.flatnonzero(side), np.flatnonzero(~side)
    assert min(len(alike), len(unlike)) >= 2
    same(objectives(on_a_line, alike), 0)  # equal vectors
    same(objectives(on_a_line, [alike[0], unlike[0]]), 2)  # opposite ones


def test_novelty_goes_from_the_most_to_the_least_popular_item() -> None:
    envs = batch(5, choice=NEVER, reward={"novelty": -2.0})
    order = np.argsort(envs.world.items["popularity"])
    same(objectives(envs, [order[-1]]), 0)
    same(objectives(envs, [order[0]]), -2)
    same(objectives(envs, [order[0], order[-1]]), -1)
    bits = -np.log2(1 + envs.world.items["popularity"].astype(float))
    middle = (bits[order[5]] - bits.min()) / np.ptp(bits)
    same(objectives(envs, [order[5]]), -2 * middle)
    level = batch(5, choice=NEVER, reward={"novelty": 1.0}, items={"popularity_log_sd": 0.0})
    same(objectives(level, ALL), 0)


def test_fairness_pays_for_providers_that_had_too_little() -> None:
    """Items 0, 1, 2, 3 belong to providers 0, 1, 2, 0; a third is due to each; theta 1, 1/2, 1/3, ..."""
    envs = batch(
        5,
        horizon=4,
        choice={**NEVER, "eta": 1.0},
        items={"providers": 3},
        reward={"fairness": 2.0, "fairness_half_life": 2.0},
    )
    same(envs.field(envs.observations, "exposure"), 1 / 3)
    assert objectives(envs, [0])[0] == 0  # before any exposure the share is what is due
    same(envs.field(envs.observations, "exposure")[:, 0], np.broadcast_to([1, 0, 0], (5, 3)))
    same(objectives(envs, [3])[0], 2 * (1 / 3 - 1))  # over-exposed: a loss
    given = np.array([0.5**0.5 + 1, 0, 0])
    same(objectives(envs, [1, 3])[0], 2 * (1 / 3 + (1 / 3 - 1) / 2))  # a gain at rank 1, a loss at rank 2
    given = given * 0.5**0.5 + [0.5, 1, 0]
    same(envs.field(envs.observations, "exposure")[:, 0], np.broadcast_to(given / given.sum(), (5, 3)))
    same(objectives(envs, [2, 5, 8])[0], 2 * (1 + 1 / 2 + 1 / 3) / 3)
    assert envs.truncated.all()
    same(envs.field(envs.observations, "exposure"), 1 / 3)  # each episode begins without exposure


def test_what_is_due_to_a_provider() -> None:
    inventory = ({"name": "a", "items": (0, 1, 3)}, {"name": "b"})
    paid: dict[str, Any] = {"num_agents": 2, "roles": inventory, "items": {"providers": 2}}
    by_number = batch(1, reward={"fairness": 1.0}, **paid)
    same(by_number.world.targets, [[1 / 3, 2 / 3], [1 / 2, 1 / 2]])
    by_merit = batch(1, reward={"fairness": 1.0, "fairness_target": "merit"}, **paid)
    merit = by_merit.world.items["popularity"].astype(float) + 1
    due = [merit[0] / merit[[0, 1, 3]].sum(), merit[::2].sum() / merit.sum()]
    same(by_merit.world.targets[:, 0], due)
    assert "exposure" not in batch(1, **paid).observation_fields


def test_only_pages_that_somebody_sees_are_paid_and_counted() -> None:
    """Rival pages: who was not opened is paid nothing, and its exposure stays as it is."""
    envs = vector_env(
        BASE, 200, page="rival", num_agents=2, slots=2, items={"providers": 2}, choice={"v_0": 50.0},
        reward={"novelty": 1.0, "fairness": 1.0, "click": 0.0}, arrival={"r_0": 0.0, "k_0": -1.0},
    )  # fmt: skip
    envs.reset(seed=0)
    for _ in range(6):
        served, before = envs.active.copy(), envs.arrays.exposure.copy()
        assert 0 < served.sum() < 200
        infos = envs.step(np.broadcast_to([[0, 2], [1, 3]], (200, 2, 2)))[4]
        assert (infos["objectives"][~served] == 0).all()
        assert (infos["objectives"][served] != 0).all()
        np.testing.assert_array_equal(envs.arrays.exposure[~served], before[~served])
        assert (envs.arrays.exposure[served].sum(-1) > before[served].sum(-1)).all()


def test_objectives_are_shared_like_own_rewards() -> None:
    envs = batch(5, num_agents=3, slots=2, choice=NEVER, reward={"sharing": 1.0, "diversity": 1.0})
    _, rewards, _, _, infos = envs.step(np.broadcast_to([[0, 1], [2, 3], [4, 4]], (5, 3, 2)))
    assert (infos["individual_reward"] == 0).all()
    assert (infos["objectives"][:, 2] == 0).all()
    same(rewards, np.broadcast_to(infos["objectives"].mean(1, keepdims=True), (5, 3)), 1e-6)


# ------------------------------------------------------------------------------------------------ money


BUY = {"b_0": 50.0, "b_taste": 0.0, "b_quality": 0.0, "instant": True}


def test_instant_purchases_pay_the_price() -> None:
    envs = batch(choice=ALWAYS, feedback=BUY, reward={"click": 0.0, "purchase": 2.0})
    price = envs.world.items["price"].astype(float)
    assert price.mean() == pytest.approx(1, abs=1e-5)
    for item in range(4):
        infos = click_on(envs, item)
        np.testing.assert_array_equal(infos["bought"], infos["clicked"])
        same(infos["individual_reward"][:, 0], 2 * price[item], 1e-5)
    cheap = batch(choice=ALWAYS, feedback=BUY, reward={"click": 0.0, "purchase": 2.0, "margin_rate": 0.1})
    same(
        click_on(cheap, 3)["individual_reward"], infos["individual_reward"], 0
    )  # the unit of reward is the mean margin, so its rate cancels


def test_cart_probability_term_by_term() -> None:
    def logit(feedback: dict[str, float], **overrides: Any) -> np.ndarray:
        envs = batch(feedback={"b_0": 0.3, "b_taste": 0.0, "b_quality": 0.0, **feedback}, **overrides)
        expected = envs.expected_feedback(fixed(envs, ALL))
        p = expected["cart"][:, 0] / expected["click"][:, 0]
        return np.log(p / (1 - p))

    envs = batch()
    items, match = envs.world.items, latent(envs, "taste") @ envs.world.item_vectors.T
    same(logit({}), 0.3)
    same(logit({"b_taste": 1.2}), 0.3 + 1.2 * match, 1e-4)
    same(logit({"b_quality": 0.7}), np.broadcast_to(0.3 + 0.7 * items["quality"], match.shape), 1e-4)
    same(logit({"b_price": 0.7}), np.broadcast_to(0.3 - 0.7 * items["log_price"], match.shape), 1e-4)
    bait = {"bait_topic_share": 1.0}
    level = 2 * batch(items=bait).world.items["bait"].astype(float) - 1
    assert {-1.0, 1.0} <= set(np.round(level, 5).tolist())
    same(
        logit({"b_topic": 1.5}, items=bait), np.broadcast_to(0.3 - 1.5 * level, match.shape), 1e-4
    )  # opposed to clickbait
    expected = batch(feedback={"b_0": 0.3}, scenes=({"name": "page"},))
    assert (expected.expected_feedback(fixed(expected, ALL))["cart"] == 0).all()  # a scene without cart


def test_wallets_stop_purchases_and_refill() -> None:
    envs = batch(choice=ALWAYS, feedback=BUY, users={"wallet_init": 1.0, "wallet_refill": 0.02})
    price = envs.world.items["price"].astype(float)
    item = int(np.abs(price - 0.45).argmin())
    assert 0.3 < price[item] < 0.9
    wallet, refused = 1.0, 0
    for _ in range(60):
        same(latent(envs, "wallet")[:, 0], wallet, 1e-3)
        bought = click_on(envs, item)["bought"].any((1, 2))
        assert (bought == (wallet >= price[item])).all()
        refused += not bought[0]
        wallet = min(1.0, wallet - price[item] * bought[0] + 0.02)
    assert 20 < refused < 58


def test_stock_runs_out_and_comes_back() -> None:
    envs = batch(choice=ALWAYS, feedback=BUY, items={"stock_init": 2, "restock_period": 10})
    for tick in range(30):
        infos = envs.step(fixed(envs, 0))[4]
        sold = tick % 10 < 2
        assert (infos["bought"].any((1, 2)) == sold).all()
        assert ((infos["shown"][:, 0] >= 0).any(1) == sold).all()  # a hole that is counted
        assert (infos["empty"] == (M - 1 if sold else M)).all()


def test_promotions_lower_prices_and_raise_clicks() -> None:
    promotion = {"promotion_probability": 0.4, "promotion_depth": 0.3, "promotion_period": 7}
    envs = batch(3, items=promotion, choice={"beta_price": 2.0, **NEVER})
    plain = batch(3, choice={"beta_price": 2.0, **NEVER})
    paying = batch(3, items=promotion, choice=ALWAYS, feedback=BUY, reward={"click": 0.0, "purchase": 1.0})
    on = []
    for tick in range(70):
        gain = np.log(
            envs.expected_feedback(fixed(envs, ALL))["click"] / plain.expected_feedback(fixed(plain, ALL))["click"]
        )[:, 0]
        promoted = gain[0] > 0.1
        same(gain, np.broadcast_to(np.where(promoted, -2 * np.log(0.7), 0), gain.shape), 1e-4)
        on.append(promoted)
        item = tick % M
        same(
            click_on(paying, item)["individual_reward"],
            paying.world.items["price"][item] * (0.7 if promoted[item] else 1),
            1e-5,
        )
        envs.step(fixed(envs, 0))
        plain.step(fixed(plain, 0))
    periods = np.array(on).reshape(10, 7, M)
    assert (periods == periods[:, :1]).all()
    assert near(periods[:, 0].sum(), 10 * M, 0.4)


def test_prices_of_a_catalogue_hold_for_a_period_and_move_clicks() -> None:
    ratios = np.float32([0.5, 1.0, 0.995, 1.2])
    one = {"user_price_sensitivity": np.ones(1, np.float32)}
    moving, still = (
        dataclasses.replace(small_catalogue(BASE, 0), item_price_ratio=np.tile(prices, (M, 1)), **one)
        for prices in (ratios, ratios[:0])
    )
    config = replace(
        for_catalogue(BASE, prices=True), {"items": {"promotion_period": 7}, "choice": {"beta_price": 2.0, **NEVER}}
    )
    envs, plain = (vector_env(config, 3, catalogue=catalogue) for catalogue in (moving, still))
    drawn = []
    for each in (envs, plain):
        each.reset(seed=0)
    for tick in range(280):
        price, promoted = envs.prices_at(ALL, tick)
        ratio = price / plain.prices_at(ALL, tick)[0]
        clicks = [each.expected_feedback(fixed(each, ALL))["click"][:, 0] for each in (envs, plain)]
        same(np.log(clicks[0] / clicks[1]), np.broadcast_to(-2 * np.log(ratio), clicks[0].shape), 1e-4)
        assert (promoted == (ratio < 0.99)).all()
        drawn.append(ratio)
        for each in (envs, plain):
            each.step(fixed(each, 0))
    periods = np.array(drawn).reshape(40, 7, M)
    assert (periods == periods[:, :1]).all()
    for ratio in ratios:
        assert near(np.isclose(periods[:, 0], ratio).sum(), 40 * M, 0.25)


QUALITY = {"b_0": 0.0, "b_taste": 0.0, "b_quality": 50.0}  # only items of good quality are put in the cart


@pytest.mark.parametrize(("h", "leave"), [(0.2, 0.3), (0.08, 0.16), (0.5, 0.0), (0.0, 0.3)])
def test_carts_are_bought_or_abandoned_eventually(h: float, leave: float) -> None:
    """Bought with h at each later page, else gone with h': h / (h + h' - h h') in all, at the price, to the agent that
    was clicked."""
    envs = vector_env(
        BASE,
        10_000,
        num_agents=2,
        slots=2,
        page="rows",
        choice=ALWAYS,
        reward={"click": 0.0, "purchase": 1.0},
        feedback={**QUALITY, "cart_hazard": h, "cart_abandon": leave},
        users={"number": 1},
    )
    envs.reset(seed=0)
    order = np.argsort(envs.world.items["quality"])
    good, poor = int(order[-1]), int(order[0])
    infos = envs.step(fixed(envs, good, good))[4]
    assert (infos["cart"].sum((1, 2)) == 1).all()
    assert not infos["bought"].any()
    assert (infos["later_item"] < 0).all()
    assert (infos["individual_reward"] == 0).all()
    same(envs.field(envs.observations, "cart"), 1 / 3, 1e-6)
    agent = infos["cart"].any(2).argmax(1)
    waiting, total, left = 10_000, np.zeros(10_000), (1 - h) * (1 - leave)
    for tick in range(60):
        infos = envs.step(fixed(envs, poor, poor))[4]
        sold = infos["later_item"] >= 0
        total += sold.sum(1)
        assert (infos["later_item"][sold] == good).all()
        assert (infos["later_agent"][sold] == agent[sold.any(1)]).all()
        same(infos["later_price"][sold], envs.world.items["price"][good], 1e-6)
        same(infos["individual_reward"][np.arange(10_000), agent], sold.any(1) * envs.world.items["price"][good], 1e-5)
        same(infos["individual_reward"][np.arange(10_000), 1 - agent], 0)
        if tick < 3:
            assert near(sold.sum(), waiting, h)
            remain = int((envs.field(envs.observations, "cart")[:, 0, 0] > 0).sum())
            assert near(remain, waiting, left)
            waiting = remain
    assert (total <= 1).all()
    assert near(total.sum(), 10_000, h / (h + leave - h * leave))
    same(envs.field(envs.observations, "cart"), 0)


def test_a_full_cart_drops_the_oldest_and_an_item_is_there_once() -> None:
    envs = batch(choice=ALWAYS, feedback={"b_0": 50.0, "cart_hazard": 0.0, "cart_abandon": 0.0})
    for item, size in ((0, 1), (0, 1), (1, 2), (0, 2), (2, 3), (3, 3), (4, 3)):
        click_on(envs, item)
        same(envs.field(envs.observations, "cart"), size / 3, 1e-6)


def test_a_wallet_that_holds_exactly_the_price_pays() -> None:
    even = {"price_log_sd": 0.0, "topic_price_log_sd": 0.0}
    sure = {"cart_hazard": 1.0, "b_0": 50.0, "b_taste": 0.0, "b_quality": 0.0}
    envs = batch(
        choice=ALWAYS, feedback=sure, items=even, users={"wallet_init": 1.0}, reward={"click": 0.0, "purchase": 1.0}
    )
    assert (envs.world.items["price"] == 1).all()
    assert click_on(envs, 0)["cart"].any((1, 2)).all()
    same(envs.expected_feedback(fixed(envs, 1))["individual_reward"], 1)
    infos = click_on(envs, 1)
    assert (infos["later_item"].max(1) == 0).all()
    same(infos["individual_reward"], 1)


def test_a_wallet_that_cannot_pay_refuses_the_cart() -> None:
    money = {"cart_hazard": 1.0, "b_0": 50.0, "b_taste": 0.0, "b_quality": 0.0}
    price = batch().world.items["price"].astype(float)
    a, b = (int(j) for j in np.argsort(price)[5:7])
    envs = batch(choice=ALWAYS, feedback=money, users={"wallet_init": price[b] + 0.01})
    assert (click_on(envs, a)["later_item"] < 0).all()
    infos = click_on(envs, b)  # still looks affordable when it is put in the cart; then a is bought
    assert (infos["later_item"].max(1) == a).all()
    assert infos["cart"].any((1, 2)).all()
    infos = click_on(envs, b)
    assert (infos["later_item"] < 0).all()
    assert not infos["cart"].any()
    same(envs.field(envs.observations, "cart"), 0)  # refused = abandoned


# ------------------------------------------------------------------------------------------------ scenes

JOURNEY: dict[str, Any] = {
    "num_agents": 3,
    "page": "rows",
    "scenes": (
        {"name": "entrance", "beta_context": 9.0},
        {"name": "item", "beta_context": 2.0, "cart": True},
        {"name": "cart", "beta_context": -1.0, "cart": True},
    ),
    "roles": ({"name": "a", "scene": "entrance"}, {"name": "b", "scene": "item"}, {"name": "c", "scene": "cart"}),
}


def test_the_way_through_the_scenes() -> None:
    envs = vector_env(BASE, 1000, **JOURNEY, choice={"v_0": 1.5}, feedback={"b_0": 0.0, "b_taste": 0.0})
    envs.reset(seed=0)
    rows, visits = np.arange(1000), np.zeros(3)
    scene, anchor = np.zeros(1000, int), np.full(1000, -1)
    for _ in range(12):
        assert (envs.active == (scene[:, None] == np.arange(3))).all()  # one owner each
        own = np.asarray(envs.observations)[rows, scene]
        assert (envs.field(own, "scene").argmax(1) == scene).all()
        vectors = np.where(anchor[:, None] >= 0, envs.world.item_vectors[anchor], 0)
        same(unsquash(envs.field(own, "anchor")), vectors, 1e-5)
        expected = envs.expected_feedback(fixed(envs, ALL, ALL, ALL))
        context = np.array([0.0, 2.0, -1.0])[scene][:, None] * (vectors @ envs.world.item_vectors.T)
        same(relative(np.log(expected["click"][rows, scene])), relative(context), 1e-4)
        assert (expected["cart"][scene == 0] == 0).all()
        assert (expected["cart"][scene > 0].sum((1, 2)) > 0).all()
        infos = envs.step(fixed(envs, ALL, ALL, ALL))[4]
        clicked, cart = infos["clicked"][rows, scene], infos["cart"].any((1, 2))
        visits += np.bincount(scene, minlength=3)
        anchor = np.where(clicked.any(1), clicked.argmax(1), -1)
        scene = np.where(anchor < 0, 0, np.where(scene == 0, 1, np.where(cart, 2, scene)))
    assert (visits > 500).all()


def test_four_of_five_candidates_share_the_topic_of_the_anchor() -> None:
    envs = vector_env(
        BASE,
        500,
        **JOURNEY,
        action="candidates",
        slots=10,
        candidates={"number": 10},
        items={"number": 120},
        choice={"v_0": -1.0},
    )
    envs.reset(seed=0)
    rows, topic = np.arange(500), envs.world.items["topic"]
    anchor, share = np.full(500, -1), []
    for _ in range(6):
        owner = envs.active.argmax(1)
        infos = envs.step(np.broadcast_to(np.arange(10), (500, 3, 10)))[4]
        shown, clicked = infos["shown"][rows, owner], infos["clicked"][rows, owner]
        alike = (topic[shown] == topic[anchor][:, None]).sum(1)[anchor >= 0]
        assert (alike >= 8).all()
        share.extend(alike)
        anchor = np.where(clicked.any(1), shown[rows, clicked.argmax(1)], -1)
    assert 8 < np.mean(share) < 9.5


# -------------------------------------------------------------------------------- who is who, and who knows what


def test_visitors_are_announced() -> None:
    users = {"number": 3, "activity_log_sd": 0.0}
    arrival = {"k_0": 0.0, "k_1": 0.0, "r_0": 0.0, "r_1": 0.0}
    envs = vector_env(BASE, 500, users=users, items={"topics": M}, arrival=arrival)  # so that no two tastes are alike
    envs.reset(seed=0)
    people, tastes = np.empty((0, 500), int), np.empty((0, 500, D))
    for _ in range(30):
        coming = envs.next_visitor.copy()
        assert ((coming < 0) == ~envs.active).all()
        people, tastes = np.vstack([people, coming[:, 0]]), np.concatenate([tastes, latent(envs, "taste")[None]])
        infos = envs.step(fixed(envs, 0))[4]
        np.testing.assert_array_equal(infos["visitor"], coming)
        np.testing.assert_array_equal(infos["next_visitor"], envs.next_visitor)
    for tick in range(1, 30):  # the same person, and only that one, has the same taste
        both = (people[tick] >= 0) & (people[0] >= 0)
        alike = np.abs(tastes[tick] - tastes[0]).max(1) < 1e-5
        assert (alike[both] == (people[tick] == people[0])[both]).all()
    assert len(np.unique(people[people >= 0])) == 3  # three places, nobody is lost
    assert (np.array([(people == person).any(0).mean() for person in np.unique(people[people >= 0])]) > 0.9).all()


def test_fixed_and_fresh_populations() -> None:
    tastes = {}
    for population in ("fixed", "fresh"):
        envs = vector_env(BASE, 200, users={"population": population}, horizon=3, items={"dims": 8, "topics": 12})
        envs.reset(seed=0)
        first, ids = latent(envs, "taste"), [envs.next_visitor.copy()]
        for _ in range(3):
            envs.step(fixed(envs, 0))
        second = latent(envs, "taste")  # another episode
        ids.append(envs.next_visitor.copy())
        envs.reset(seed=1)
        tastes[population] = first, second, latent(envs, "taste")
        assert (ids[0] == ids[1]).all() == (population == "fixed")
    everyone = np.concatenate(tastes["fixed"])
    same(everyone, np.broadcast_to(everyone[0], everyone.shape), 1e-6)
    assert all(len(np.unique(np.round(part, 5), axis=0)) == 200 for part in tastes["fresh"])
    assert all(np.abs(tastes["fresh"][0] - other).max() > 0.1 for other in tastes["fresh"][1:])
    elsewhere = vector_env(BASE, 1, users={"population": "fixed"}, world_seed=5, items={"dims": 8, "topics": 12})
    elsewhere.reset(seed=0)
    assert np.abs(latent(elsewhere, "taste") - everyone[0]).max() > 0.05


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
def test_the_privacy_knob(noise: float) -> None:
    envs = batch(4000, observation={"profile_noise": noise})
    error = unsquash(envs.field(envs.observations, "profile")[:, 0]) - latent(envs, "taste")
    square = (error.astype(float) ** 2).sum(1)
    assert abs(square.mean() - noise**2) <= 5 * square.std() / 4000**0.5 + 1e-6
    envs.step(fixed(envs, 0))
    same(
        unsquash(envs.field(envs.observations, "profile")[:, 0]) - latent(envs, "taste"), error, 1e-3
    )  # fixed for a person
    if noise:
        assert len(np.unique(np.round(error[:, 0], 6))) > 3900


@pytest.mark.parametrize("share", [False, True])
def test_history_is_private_unless_shared(share: bool) -> None:
    envs = batch(num_agents=2, page="rows", slots=2, choice=ALWAYS, observation={"share": share, "history_decay": 0.8})
    infos = envs.step(fixed(envs, 0, 1))[4]
    clicked = infos["clicked"].any(2)
    assert 5 < clicked[:, 0].sum() < 45
    mean, counts = (unsquash(envs.field(envs.observations, name)) for name in ("clicked_mean", "topic_counts"))
    q, topic = envs.world.item_vectors, np.eye(T)[envs.world.items["topic"]]
    for n in range(2):
        for m in range(2):
            known = 1.0 if share or n == m else 0.0
            same(mean[clicked[:, m], n], np.broadcast_to(known * 0.2 * q[m], mean[clicked[:, m], n].shape), 1e-4)
            same(counts[clicked[:, m], n], np.broadcast_to(known * topic[m], counts[clicked[:, m], n].shape), 1e-4)


# where nobody gets lost, all is clicked with the same odds, and pleases
PLEASED = {
    "users": {"number": 3, "z_init": 0.8},
    "feedback": {"e_0": 1.2},
    "arrival": {"r_0": 40.0, "k_0": 0.0, "k_1": 0.0},
}


@pytest.mark.parametrize("mood", ["own", "platform"])
@pytest.mark.parametrize("page", ["rows", "shared", "rival"])
def test_the_mood_that_agents_see(page: str, mood: str) -> None:
    """From z_init, .4 of the way to tanh e after a click that the agent is told of, of the way to the baseline by
    `z_rate_none` after another page of its own (or of the platform)."""
    envs = vector_env(
        BASE,
        200,
        num_agents=2,
        slots=1,
        page=page,
        observation={"observed_satisfaction": mood},
        dynamics={"z_rate_none": 0.1},
        **PLEASED,
    )
    envs.reset(seed=0)
    once = [
        envs.state_fields[name] for name in ("observed_satisfaction", "satisfaction_pages") if name in envs.state_fields
    ]
    assert len(once) == 2 * (mood == "platform")  # what all see alike stands in the global state once, else by agent
    assert envs.shape.private == envs.shape.dims + envs.shape.topics + 2 * (mood == "own")
    seen, pages = np.full((200, 3, 2), 0.8), np.zeros((200, 3, 2))
    clicks = others = 0
    for tick in range(40):
        at, b = envs.active, np.arange(200)
        place = envs.infos["next_user_slot"].max(1)
        shown, of = (
            envs.field(envs.observations, name)[..., 0] for name in ("observed_satisfaction", "satisfaction_pages")
        )
        same(shown, np.where(at, seen[b, place], 0), 1e-5)
        same(of, np.where(at, pages[b, place] / (5 + pages[b, place]), 0), 1e-5)
        for values, part in zip((seen, pages / (5 + pages)), once, strict=False):
            same(envs.state()[:, part][:, 0], np.where(at.any(1), values[b, place, 0], 0), 1e-5)
        infos = envs.step(fixed(envs, tick % M, (tick + 1) % M))[4]
        clicked = infos["clicked"].any(2)
        knows = at | (mood == "platform")
        told = np.where(mood == "platform", clicked.any(1, keepdims=True), clicked) & knows
        dwell = infos["dwell"].sum((1, 2), dtype=float)[:, None] / 1.0
        pull = np.tanh(np.log(np.expm1(np.where(dwell > 0, dwell, 1))))  # dwell = softplus(e), of items of length 1
        here = seen[b, place]
        seen[b, place] = np.where(told, here + 0.4 * (pull - here), np.where(knows, here + 0.1 * (-0.3 - here), here))
        pages[b, place] += knows
        clicks, others = clicks + told.sum(), others + (clicked.any(1, keepdims=True) & knows & ~told).sum()
    assert clicks > 1000
    assert (others > 0) is np.bool_(mood == "own" and page != "rival")


def test_what_the_platform_sees_of_the_mood_is_satisfaction() -> None:
    """Where satisfaction moves as fast as agents take it to, it is what dwell tells them."""
    envs = vector_env(
        BASE,
        100,
        num_agents=2,
        slots=1,
        observation={"observed_satisfaction": "platform"},
        dynamics={"z_rate": 0.4},
        **PLEASED,
    )
    envs.reset(seed=0)
    for tick in range(30):
        envs.step(fixed(envs, tick % M, (tick + 3) % M))
    same(
        envs.field(envs.observations, "observed_satisfaction"),
        envs.field(envs.observations, "latent_satisfaction"),
        1e-5,
    )


def test_the_mood_of_a_new_person_and_of_finite_games() -> None:
    envs = vector_env(
        BASE, 50, slots=1, users={"number": 1, "z_init": -0.2}, arrival={"k_0": -40.0, "d_0": 1.0}, choice=ALWAYS
    )
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(fixed(envs, 0))
        same(envs.field(envs.observations, "observed_satisfaction"), -0.2 * envs.active[..., None])
        assert not envs.field(envs.observations, "satisfaction_pages").any()
    assert not {"observed_satisfaction", "satisfaction_pages"} & vector_env("duel-v1").observation_fields.keys()


def test_rival_platforms_know_their_own_visits_only() -> None:
    """And elsewhere everybody's are the same."""
    for page in ("rival", "rows"):
        envs = vector_env(BASE, 300, num_agents=2, slots=1, page=page, choice={"v_0": 0.0}, **PLEASED)
        envs.reset(seed=0)
        sessions, last = np.zeros((300, 3, 2)), np.full((300, 3, 2), -1.0)
        gap, before = np.ones((300, 2)), np.full((300, 3, 2), -1.0)
        b = np.arange(300)
        for _ in range(60):
            at, place = envs.active, envs.infos["next_user_slot"].max(1)
            begins = unsquash(envs.field(envs.observations, "session_page")[..., 0]).max(1) == 0
            counted = at & begins[:, None]
            sessions[b, place] += counted
            before[b, place] = np.where(counted, last[b, place], before[b, place])
            since = envs.tick[:, None] - before[b, place]
            gap = np.where(before[b, place] < 0, 1.0, since / (50 + since))
            same(
                envs.field(envs.observations, "visits")[..., 0],
                at * sessions[b, place] / (5 + sessions[b, place]),
                1e-6,
            )
            same(envs.field(envs.observations, "visit_gap")[..., 0], at * gap, 1e-6)
            last[b, place] = np.where(at, envs.tick[:, None], last[b, place])
            envs.step(fixed(envs, 0, 1))
        assert (sessions[:, :, 0] != sessions[:, :, 1]).any() == (page == "rival")


def test_places_are_told_of_the_page_shown_and_the_next() -> None:
    envs = vector_env("coldstart-v1", 50, arrival={"d_0": 0.5})
    envs.reset(seed=0)
    places, people = set(), set()
    for _ in range(100):
        coming, latent_place = envs.infos["next_user_slot"].copy(), envs.next_page["visitor"]
        np.testing.assert_array_equal(coming, np.where(envs.active, latent_place[:, None], -1))
        infos = envs.step(envs.empty_actions())[4]
        np.testing.assert_array_equal(infos["user_slot"], coming)
        np.testing.assert_array_equal(infos.copy()["next_user_slot"], infos["next_user_slot"])
        places |= set(coming[coming >= 0].tolist())
        people |= set(infos["visitor"][infos["visitor"] >= 0].tolist())
    assert places == set(range(envs.shape.users))
    assert len(people) > envs.shape.users  # a place goes on when its person is lost


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("page", ["rows", "rival"])
def test_messages_reach_the_others_at_the_same_visitors_next_page(page: str, slots: int) -> None:
    words, agents = 3, 2
    envs = vector_env(
        BASE,
        300,
        num_agents=agents,
        slots=slots,
        page=page,
        messages=words,
        users={"number": 3},
        arrival={"k_0": 0.0, "k_1": 0.0, "r_0": 0.5, "r_1": 0.0},
    )
    envs.reset(seed=0)
    rng, heard = np.random.default_rng(0), 0
    said: dict[int, np.ndarray] = {}
    for _ in range(25):
        person = envs.next_visitor.max(1)
        inbox = envs.field(envs.observations, "messages").reshape(300, agents, agents, words)
        expected = np.zeros_like(inbox)
        for someone, word in said.items():
            for n in range(agents):
                other = 1 - n
                at = np.flatnonzero((person == someone) & (word[:, other] >= 0) & envs.active[:, n])
                expected[at, n, other, word[at, other]] = 1
        np.testing.assert_array_equal(inbox, expected)
        heard += int(inbox.sum())
        word, items = rng.integers(0, words, (300, agents)), rng.integers(0, M, (300, agents, slots))
        for someone in np.unique(person[person >= 0]).tolist():
            mine = person == someone
            said.setdefault(someone, np.full((300, agents), -1))[mine] = np.where(envs.active, word, -1)[
                mine
            ]  # only the active send
        envs.step(items[:, :, 0] * words + word if slots == 1 else np.concatenate([items, word[:, :, None]], axis=2))
    assert heard > 300


# ------------------------------------------------------------------------------------------------ prices

OFFER = {"kind": "price", "levels": 5, "low": 0.6, "high": 2.0}
MULTIPLIERS = 0.6 * (2.0 / 0.6) ** (np.arange(5) / 4)
INSTANT = {"instant": True, "b_quality": 0.0, "b_taste": 0.0}


def at_level(envs: VectorEnv, level: int) -> np.ndarray:
    """All items, at one level of prices, for a single agent."""
    return np.broadcast_to(np.append(ALL, level), (envs.num_envs, 1, M + 1))


def test_prices_enter_the_utility() -> None:
    """v falls by beta_price rho log m: seen in the odds of a click, and explained by the term of the price."""
    envs = batch(offer=OFFER, feedback=INSTANT, choice={"beta_price": 1.3}, users={"price_sensitivity_log_sd": 0.4})
    rho, odds, terms = latent(envs, "price_sensitivity"), [], []
    for level in range(5):
        click = envs.expected_feedback(at_level(envs, level))["click"][:, 0]
        explained = envs.explain(at_level(envs, level))
        same(explained["price_multiplier"], MULTIPLIERS[level])
        odds.append(np.log(click / (1 - click.sum(1, keepdims=True))))
        terms.append(explained["terms"]["price"][:, 0])
        same(sum(explained["terms"].values()), explained["utility"], 1e-9)
    for found in (odds, terms):
        fall = np.array(found) - found[0]
        same(fall, -1.3 * rho * np.log(MULTIPLIERS / MULTIPLIERS[0])[:, None, None] + 0 * fall, 1e-4)


def test_prices_enter_experience_and_cart() -> None:
    """e falls by a_price rho log m, seen in the dwell; the logit of a purchase by b_price rho log m."""
    reward = {"click": 0.0, "dwell": 1.0}
    feedback = {**INSTANT, "a_price": 0.7, "b_0": 0.2, "b_price": 0.9}
    envs = batch(offer=OFFER, feedback=feedback, reward=reward, users={"price_sensitivity_log_sd": 0.4})
    rho, x = latent(envs, "price_sensitivity"), envs.world.items["log_price"].astype(float)
    for level, m in enumerate(MULTIPLIERS):
        found = envs.expected_feedback(at_level(envs, level))
        e = 1.0 - 0.7 * rho * (x + np.log(m))
        same(found["individual_reward"][:, 0], (found["click"][:, 0] * np.log1p(np.exp(e))).sum(1), 1e-4)
        logit = 0.2 - 0.9 * rho * (x + np.log(m))
        same(found["cart"][:, 0] / found["click"][:, 0], 1 / (1 + np.exp(-logit)), 1e-4)


def test_a_purchase_pays_price_less_unit_cost() -> None:
    """(m price - (1 - mu) list price) / mu, in mean margins; the wallet pays m price, or refuses."""
    envs = batch(
        300,
        offer=OFFER,
        choice={"v_0": -50.0},
        feedback={**INSTANT, "b_0": 50.0},
        reward={"click": 0.0, "purchase": 1.0, "margin_rate": 0.4},
        items={"promotion_probability": 0.5, "promotion_depth": 0.3, "promotion_period": 3},
        users={"wallet_init": 3.0, "wallet_refill": 0.0},
    )
    rng, refused, promoted = np.random.default_rng(0), 0, 0
    for tick in range(12):
        level = rng.integers(0, 5, (300, 1))
        before = envs.latent_users()["wallet"]
        slate = np.append(np.broadcast_to(ALL, (300, 1, M)), level[:, None], 2)
        own, infos = envs.step(slate)[1], envs.infos
        prices, cut = envs.prices_at(ALL, tick)
        asked = infos["price_multiplier"] * prices
        same(infos["price_multiplier"][:, 0], MULTIPLIERS[level[:, 0]])
        worth = np.where(infos["bought"][:, 0], (asked - 0.6 * envs.world.items["price"]) / 0.4, 0)
        same(own[:, 0], worth.sum(1), 1e-4)
        paid = np.where(infos["bought"][:, 0], asked, 0).sum(1)
        same(before - envs.latent_users()["wallet"], paid, 1e-4)
        clicked = np.where(infos["clicked"][:, 0], asked, 0).sum(1)
        assert ((clicked > before + 1e-4) <= (paid == 0)).all()
        assert ((clicked < before - 1e-4) <= (paid > 0)).all()
        refused += (paid == 0).sum()
        promoted += infos["bought"][:, 0][:, cut].sum()
    assert refused > 100
    assert promoted > 100


def test_the_price_of_the_list_pays_as_ever() -> None:
    """At m = 1 and without a promotion the value of a purchase is its price, whatever the margin."""
    free = {"choice": {"v_0": -50.0}, "feedback": {**INSTANT, "b_0": 50.0}, "reward": {"click": 0.0, "purchase": 1.0}}
    plain = batch(**free).expected_feedback(np.broadcast_to(ALL, (50, 1, M)))["individual_reward"]
    for margin in (0.2, 1.0):
        reward = {**free["reward"], "margin_rate": margin}
        envs = batch(**{**free, "reward": reward}, offer={"kind": "price", "levels": 7})
        same(envs.expected_feedback(at_level(envs, 3))["individual_reward"], plain)


@pytest.mark.parametrize("page", ["rows", "shared", "rival"])
def test_a_click_on_one_agent_costs_the_other_shown_ones(page: str) -> None:
    """Their trust goes to the baseline at trust_rate_rival; that of agents off the page stays; without a click at
    trust_rate_none."""
    dynamics = {"trust_rate": 0.5, "trust_rate_none": 0.1, "trust_rate_rival": 0.3, "baseline": -0.4, "drift": 0.0}
    envs = vector_env(
        BASE, 400, num_agents=3, slots=1, page=page, choice={"v_0": 0.5}, dynamics=dynamics, users={"trust_init": 0.2}
    )
    envs.reset(seed=0)
    pull, clicks = np.tanh(1.0), 0
    for _ in range(4):
        before, shown = envs.latent_users()["trust"].astype(float), envs.active
        clicked = envs.step(fixed(envs, 0, 1, 2))[4]["clicked"][:, :, 0]
        any_click = clicked.any(1, keepdims=True)
        rate = np.where(any_click, np.where(clicked, 0.5, 0.3), 0.1) * shown
        expected = before + rate * (np.where(clicked, pull, -0.4) - before)
        same(envs.latent_users(0)["trust"], expected, 1e-5)
        clicks += int(any_click.sum())
    assert 400 < clicks < 1500


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("page", ["rows", "rival"])
def test_offers_are_seen_at_the_same_visitors_next_page(page: str, slots: int) -> None:
    """By all agents, also their own; 0 for who was not on that page, and for a new person in the place."""
    words = 2
    envs = vector_env(
        BASE,
        200,
        num_agents=2,
        slots=slots,
        page=page,
        messages=words,
        offer=OFFER,
        feedback=INSTANT,
        users={"number": 2},
        arrival={"k_0": 0.0, "k_1": 0.0, "r_0": 0.5, "r_1": 0.0, "d_0": 0.2},
    )
    envs.reset(seed=0)
    rng, seen = np.random.default_rng(0), 0
    made = [dict[int, np.ndarray]() for _ in range(200)]
    for _ in range(20):
        active, person = envs.active.copy(), envs.next_visitor.max(1)
        found = envs.field(envs.observations, "price_levels")
        for b in range(200):
            last = made[b].get(int(person[b]), np.zeros(2))
            same(found[b], active[b, :, None] * last, 1e-6)
        seen += int((found != 0).sum())
        picks, level, word = (rng.integers(0, n, (200, 2, k)) for n, k in ((M, slots), (5, 1), (words, 1)))
        one = (picks * 5 + level) * words + word
        infos = envs.step(one[..., 0] if slots == 1 else np.concatenate([picks, level, word], 2))[4]
        same(infos["price_multiplier"], np.where(active, MULTIPLIERS[level[..., 0]], 1.0))
        for b in np.flatnonzero(person >= 0):
            made[b][int(person[b])] = np.where(active[b], level[b, :, 0] / 2 - 1, 0)
    assert seen > 1000


def test_a_query_offers_any_price_between() -> None:
    """y in [-1, 1] beside the vector: m = low^((1 - y) / 2) high^((1 + y) / 2)."""
    envs = vector_env(BASE, 50, action="query", slots=2, messages=2, offer=OFFER, feedback=INSTANT)
    assert envs.action_space.shape == (D + 1 + 2,)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 1, D + 3)).astype(np.float32)
    infos = envs.step(actions)[4]
    same(infos["price_multiplier"], 0.6 ** ((1 - actions[..., D]) / 2) * 2 ** ((1 + actions[..., D]) / 2), 1e-6)


def test_masks_never_forbid_a_level() -> None:
    role = {"items": (1,)}
    items, offer = {"number": 3, "topics": 3}, {**OFFER, "levels": 3}
    talk = {"messages": 2, "mask_actions": True, "roles": (role,)}
    envs = vector_env(BASE, 2, slots=1, items=items, offer=offer, feedback=INSTANT, **talk)
    masks = envs.reset(seed=0)[0]["action_mask"]
    assert masks[envs.active].tolist() == [[0] * 6 + [1] * 6 + [0] * 6] * 2
    envs = vector_env(envs.config, 2, slots=2)
    masks = envs.reset(seed=0)[0]["action_mask"]
    assert masks[envs.active].tolist() == [[0, 1, 0] * 2 + [1] * 5] * 2


# ------------------------------------------------------------------------------------------------ the duel


def test_the_duel_pays_what_its_markov_chain_says() -> None:
    """T .155, R .143, P .066, S .021 per tick: from the chain of three moods, and played."""
    duel = TASKS["duel-v1"]
    envs = vector_env(duel, 400, horizon=500)
    bait, topic = envs.world.items["bait"], envs.world.items["topic"]
    fair, hook = int(bait.argmin()), int(bait.argmax())
    assert (bait[fair], bait[hook]) == (0, 1)
    up, down = np.array(duel.dynamics.mood_up)[topic], np.array(duel.dynamics.mood_down)[topic]
    assert up[fair] > 0
    assert down[hook] > 0
    published = {
        (fair, fair): (0.1434, 0.1434),
        (hook, hook): (0.0663, 0.0663),
        (hook, fair): (0.1549, 0.021),
        (fair, hook): (0.021, 0.1549),
    }
    for pair, payoff in published.items():
        move, click = np.zeros((3, 3)), np.zeros((3, 2))
        for mood in range(3):
            odds = np.exp(duel.choice.beta_bait * bait[list(pair)].astype(float))
            click[mood] = odds / (odds.sum() + np.exp(duel.choice.v_0_by_mood[mood]))
            none = 1 - click[mood].sum()
            better = click[mood] @ up[list(pair)] + none * duel.dynamics.mood_up_none
            worse = click[mood] @ down[list(pair)] + none * duel.dynamics.mood_down_none
            move[mood, max(mood - 1, 0)] += better
            move[mood, min(mood + 1, 2)] += worse
            move[mood, mood] += 1 - better - worse
        same(np.linalg.matrix_power(move, 4000)[0] @ click, payoff, 6e-5)
        mood, exact = np.array([1.0, 0, 0]), np.zeros(2)
        for _ in range(500):
            exact += mood @ click / 500
            mood = mood @ move
        envs.reset(seed=0)
        own = np.zeros((400, 2))
        for _ in range(500):
            own += envs.step(np.broadcast_to(pair, (400, 2)))[1] / 500
        assert (np.abs(own.mean(0) - exact) < 5 * own.std(0) / 400**0.5).all()
