"""What `explain` says of a page is what it is made of: every term by itself, their sum, the odds, and no trace."""

from __future__ import annotations

import math
from typing import Any

import comparison
import numpy as np
import pytest
from plain_game import Copy, Game, Person

import recsys_env
from recsys_env import TASKS, WorldConfig, parallel_env, vector_env
from recsys_env.api.focal import FocalBatch
from recsys_env.api.render import explanation
from recsys_env.kernels.explain import TERMS

# Every term has a weight, items come and go, people form habits, scenes lead on, agents talk.
EVERYTHING = WorldConfig(
    slots=3,
    horizon=60,
    page="rows",
    messages=2,
    candidates={"number": 8},
    users={"number": 3, "habit_size": 4},
    scenes=({"name": "entrance"}, {"name": "item", "cart": True, "beta_context": 1.5}),
    roles=({"name": "front", "scene": "entrance"}, {"name": "back", "scene": "item"}),
    items={
        "number": 40,
        "dims": 4,
        "topics": 5,
        "intercept_sd": 0.5,
        "life": 30,
        "period": 45,
        "stock_init": 3,
        "promotion_probability": 0.5,
        "promotion_depth": 0.3,
        "quality_sd": 1.0,
    },
    choice={
        "v_0": -1.0,
        "beta_quality": 0.7,
        "beta_bait": 0.6,
        "beta_price": 0.8,
        "beta_fresh": 0.9,
        "beta_pop": 0.3,
        "beta_intent": 1.1,
        "beta_satiation": 0.5,
        "beta_repeat": 0.4,
        "repeat_scale": 0.5,
        "habit_rate": 0.3,
        "beta_partner": 0.6,
        "partner_second": 0.5,
        "beta_trust": 1.2,
        "dissimilarity": 0.5,
        "eta": 0.7,
        "kappa": 0.5,
    },
    dynamics={"trust_rate": 0.3},
    arrival={"k_0": 2.0, "r_0": 3.0},
)
WORLDS: dict[str, WorldConfig] = {**TASKS, "everything": EVERYTHING}


def sampled(env: Any) -> dict[str, Any]:
    return {agent: env.action_space(agent).sample() for agent in env.possible_agents}


def started(task: str | WorldConfig, seed: int = 0, **overrides: Any) -> recsys_env.RecommendationEnv:
    env = parallel_env(task, **overrides)
    env.reset(seed=seed)
    for i, agent in enumerate(env.agents):
        env.action_space(agent).seed(seed + i)
    return env


def terms_of(game: Game, copy: Copy, person: Person, j: int, offer: float) -> dict[str, float]:
    """Each term of the utility of item j at `offer` times its price, written from the rules."""
    c, item, habit = game.config.choice, game.items[j], game.habit_of(copy, person, j)
    count = habit.count if habit else 0.0
    context = 0.0
    if copy.anchor is not None:
        context = game.config.scenes[copy.scene].beta_context * float(
            game.item_vectors[copy.anchor] @ game.item_vectors[j]
        )
    return {
        "intercept": item.intercept,
        "taste": c.beta_taste * float(person.taste @ game.item_vectors[j]),
        "quality": c.beta_quality * item.quality,
        "bait": c.beta_bait * item.bait,
        "price": -c.beta_price * person.rho * game.log_price(j, copy.tick, offer),
        "freshness": c.beta_fresh * game.freshness(j, copy.tick),
        "popularity": c.beta_pop * math.log1p(game.popularity(copy, j)),
        "intent": c.beta_intent * (item.topic == copy.intent),
        "context": context,
        "satiation": -c.beta_satiation * person.satiation[item.topic],
        "repeat": c.beta_repeat * math.log1p(count / c.repeat_scale),
        "habit": math.log1p(c.habit_rate * count / math.exp(game.liking(person, j))),
        "partner": c.beta_partner * game.partner_match(person, j),
    }


@pytest.mark.parametrize("name", WORLDS)
def test_every_term_and_their_sum(name: str) -> None:
    """The sum is the kernel's utility of the page that then is shown, to 1e-9; each term is that of the rules, to
    the precision of the state."""
    config = WORLDS[name]
    env = started(config)
    game = Game(config, env.vector.world)
    largest = dict.fromkeys(TERMS, 0.0)
    for _ in range(40):
        actions, copy = sampled(env), comparison.read(game, env.vector.arrays, 0)
        explained, expected = env.explain(actions), env.expected_feedback(actions)
        env.step(actions)
        slots = env.vector.report.slots[0]
        for n, agent in enumerate(env.possible_agents):
            page = explained[agent]
            assert tuple(page["terms"]) == tuple(TERMS)
            np.testing.assert_array_equal(page["item"], slots[n]["item"])
            np.testing.assert_array_equal(page["rank"], slots[n]["rank"])
            np.testing.assert_array_equal(page["utility"], slots[n]["utility"])
            np.testing.assert_allclose(sum(page["terms"].values()), page["utility"], rtol=0, atol=1e-9)
            np.testing.assert_array_equal(page["click"], expected["click"][agent])
            for k, j in enumerate(page["item"]):
                if j < 0:
                    assert all(values[k] == 0 for values in (page["utility"], page["position"], page["click"]))
                    continue
                rank, c = int(page["rank"][k]) + 1, config.choice
                assert page["position"][k] == pytest.approx(math.log(rank**-c.eta * (1 + c.kappa * (rank == 1))))
                person = copy.people[copy.visitor]
                for term, value in terms_of(game, copy, person, int(j), page["price_multiplier"]).items():
                    assert page["terms"][term][k] == pytest.approx(value, abs=2e-5), term
                    largest[term] = max(largest[term], abs(value))
    if name == "everything":
        assert min(largest.values()) > 0, largest  # no term went untested


def test_odds_follow_from_utility_position_and_trust() -> None:
    """P(i) of the nested logit, put together from what `explain` returns."""
    env = started(EVERYTHING, scenes=({"name": "page"},), roles=({"name": "shop"},), num_agents=2)
    scale, pages = EVERYTHING.choice.dissimilarity, 0
    for _ in range(30):
        actions = sampled(env)
        explained = env.explain(actions)
        nests, within = [], []
        for page in explained.values():
            standing = page["item"] >= 0
            weights = np.where(standing, np.exp(page["utility"] / scale + page["position"]), 0)
            within.append(weights / max(weights.sum(), 1e-300))
            nests.append(math.exp(scale * math.log(weights.sum()) + page["trust"]) if standing.any() else 0.0)
        if sum(nests):
            outside = explained[env.possible_agents[0]]["outside"]
            for n, page in enumerate(explained.values()):
                chance = nests[n] / (sum(nests) + math.exp(outside)) * within[n]
                np.testing.assert_allclose(page["click"], chance, atol=1e-7)
                pages += page["trust"] != 0
        env.step(actions)
    assert pages > 0


def test_it_leaves_no_trace() -> None:
    """Neither the state nor the report changes, no draw is used: the episode goes on as if nobody had asked."""
    asked, left = started(EVERYTHING), started(EVERYTHING)
    for _ in range(EVERYTHING.horizon):
        actions = sampled(asked)
        before = [array.copy() for array in (*asked.vector.arrays, *asked.vector.output_arrays())]
        asked.explain(actions)
        for old, new in zip(before, (*asked.vector.arrays, *asked.vector.output_arrays()), strict=True):
            np.testing.assert_array_equal(old, new)
        sampled(left)
        assert asked.step(actions)[1] == left.step(actions)[1]


def test_a_batch_and_a_company_explain_alike() -> None:
    envs, single = vector_env("ecommerce-v1", 3), parallel_env("ecommerce-v1")
    envs.reset(seed=5)
    single.reset(seed=5)
    actions = np.array([[envs.action_space.sample() for _ in range(2)] for _ in range(3)])
    explained = envs.explain(actions)
    alone = single.explain(dict(zip(single.agents, actions[0], strict=True)))
    for n, agent in enumerate(single.possible_agents):
        np.testing.assert_array_equal(explained["utility"][0, n], alone[agent]["utility"])
        np.testing.assert_array_equal(explained["terms"]["taste"][0, n], alone[agent]["terms"]["taste"])
    company = FocalBatch(vector_env("ecommerce-v1", 3), "popularity", ["recommender_1"])
    company.reset(seed=5)
    mine = company.explain(actions[:, 1:])
    assert mine["utility"].shape == mine["terms"]["taste"].shape == (3, 1, 5)
    assert mine["trust"].shape == (3, 1)
    assert mine["outside"].shape == (3,)
    company.step(actions[:, 1:])
    assert company.utilities.shape == (3, 1, 5)
    np.testing.assert_array_equal(company.inclusive_values, company.batch.inclusive_values[:, 1:])


def test_idle_ticks_and_inactive_agents_have_no_slots() -> None:
    env = started("rivals-v1", arrival={"r_0": 0.0})
    idle = inactive = 0
    for _ in range(200):
        actions = sampled(env)
        explained, visitor = env.explain(actions), int(env.vector.arrays.copies["visitor"][0])
        for n, page in enumerate(explained.values()):
            if visitor < 0 or not env.vector.active[0, n]:
                assert (page["item"] == -1).all()
                assert page["click"].sum() == page["utility"].sum() == page["trust"] == 0
                idle, inactive = idle + (visitor < 0), inactive + (visitor >= 0)
        env.step(actions)
    assert idle > 0 < inactive


def test_refusals() -> None:
    env = parallel_env("duel-v1")
    with pytest.raises(RuntimeError, match=r"call reset\(\) before explain\(\)"):
        env.explain(sampled(env))
    env.reset(seed=0)
    with pytest.raises(KeyError, match="no action for recommender_1"):
        env.explain({"recommender_0": 0})
    with pytest.raises(ValueError, match=r"action of recommender_0 is 7, outside its space"):
        env.explain({"recommender_0": 7, "recommender_1": 0})
    for _ in range(env.config.horizon):
        env.step(sampled(env))
    with pytest.raises(RuntimeError, match="call reset"):
        env.explain(sampled(env))


def test_the_turn_based_environment_explains_too() -> None:
    aec = recsys_env.env("duel-v1")
    aec.reset(seed=0)
    explained = aec.explain({agent: 0 for agent in aec.possible_agents})
    assert set(explained) == set(aec.possible_agents)


def test_as_text() -> None:
    """One line for a slot, one column for a term that has a say anywhere on the page, and the sum."""
    env = started("grocery-v1")
    text = ""
    while "item" not in text:
        actions = sampled(env)
        explained = env.explain(actions)
        text = explanation(explained)
        env.step(actions)
    head, *lines = text.splitlines()
    assert head.split() == ["agent", "rank", "item", "intercept", "taste", "price", "repeat", "v", "position", "click"]
    assert len(lines) == sum((page["item"] >= 0).sum() for page in explained.values()) + 1
    assert lines[-1] == f"no click: v_0 = {explained['recommender_0']['outside']:.3f}"
    page = explained["recommender_0"]
    k = int(np.flatnonzero(page["item"] >= 0)[0])
    line = next(line for line in lines if f"item {page['item'][k]} " in line)
    assert f"{page['terms']['taste'][k]:+.3f}" in line
    assert f"{page['utility'][k]:.3f}" in line
    assert f"{page['click'][k]:.1%}" in line
    name = str(env.vector.catalogue.item_name[page["item"][k]])[:36]  # type: ignore[union-attr]
    assert name in explanation(explained, env.vector)
    assert name not in text
