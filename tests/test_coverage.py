"""`coverage-v0`: what one page is worth to teams that know more or less, exactly; the steps of its ladder; and the
policies that take them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from worlds import bound_team

from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.evaluation import episode_returns
from recsys_env.policies import feedback, make_policy

TOPICS = 12
LADDER = ("random", "coverage-alone", "coverage-convention", "coverage-memory", "coverage-talk", "central")


@pytest.fixture(scope="module")
def clicks() -> np.ndarray:
    """P(click) [B, T, T, T] of the first page of 64 people, for each intent and the topics of both agents' items."""
    envs = vector_env("coverage-v0", 64)
    envs.reset(seed=0)
    return page_values(envs)[envs.active[:, 0]]


def page_values(envs: VectorEnv) -> np.ndarray:
    item = np.argsort(envs.world.items["topic"])  # of each topic
    values, intents = np.zeros((envs.num_envs, TOPICS, TOPICS, TOPICS)), envs.next_page["intent"]
    for intent, i, j in itertools.product(range(TOPICS), repeat=3):
        envs.arrays.copies["intent"] = intent
        actions = np.tile(envs.encode_actions(item[[i, j], None], words=[0, 0]), (envs.num_envs, 1))
        values[:, intent, i, j] = envs.expected_feedback(actions)["individual_reward"].sum(1)
    envs.arrays.copies["intent"] = intents
    return values


def best_decentralised(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """The best P(click) of one visitor's page [T, T, T] over all pairs of rules row -> topic and column -> topic."""
    by_cell = np.zeros((3, 4, TOPICS, TOPICS))
    by_cell[row, column] = values
    # against each rule of the row's agent, the best topic for each column by itself
    rules = by_cell[0][:, :, None, None] + by_cell[1][:, None, :, None] + by_cell[2][:, None, None, :]
    return float(rules.max(-1).sum(0).max() / TOPICS)


def test_what_a_page_is_worth_exactly(clicks: np.ndarray) -> None:
    """Expected clicks of one page over all intents, averaged over people: each alone, the best pair of rules, all
    known."""
    topics = np.arange(TOPICS)
    row, column = topics // 4, topics % 4
    alone, together = [], []
    for values in clicks:
        single = values[:, topics, topics]  # an item shown twice is one item on the page
        rules = [[single[labels == label].mean(0).argmax() for label in labels] for labels in (row, column)]
        alone.append(values[topics, rules[0], rules[1]].mean())
        together.append(best_decentralised(values, row, column))
    central = clicks.max((2, 3)).mean()
    found = clicks.mean(), np.mean(alone), np.mean(together), central
    assert found == pytest.approx((0.1465, 0.2761, 0.3537, 0.5235), abs=5e-4)


def test_central_shows_the_best_page() -> None:
    """Of all 144, for whoever comes with whatever intent."""
    envs = vector_env("coverage-v0", 64)
    envs.reset(seed=1)
    values, topic = page_values(envs), envs.world.items["topic"]
    team = bound_team(envs, "central")
    shown = topic[np.stack([policy.act(envs.observations[:, n]) for n, policy in enumerate(team)], 1) // 4]
    rows, intents = np.flatnonzero(envs.active[:, 0]), envs.next_page["intent"]
    mine = values[rows, intents[rows], shown[rows, 0], shown[rows, 1]]
    np.testing.assert_allclose(mine, values[rows, intents[rows]].max((1, 2)), rtol=1e-9)


@pytest.mark.parametrize("page", ["shared", "rows"])
def test_central_arranges_slates_as_well(page: str) -> None:
    """By trying every joint action that leaves no hole: prices, trust and ranks included."""
    envs = vector_env(
        WorldConfig(
            num_agents=2,
            slots=2,
            page=page,
            action="items",
            users={"number": 3, "trust_init": 0.4},
            items={"number": 5, "dims": 3, "topics": 2},
            choice={"v_0": 1.0, "beta_price": 0.7, "beta_trust": 1.5},
            feedback={"instant": True, "b_0": 0.0},
            arrival={"r_0": 3.0},
            scenes=({"cart": True},),
            reward={"click": 0.3, "purchase": 1.0},
        ),
        8,
    )
    envs.reset(seed=0)
    for _ in range(3):  # so that trust differs
        envs.step(np.random.default_rng(0).integers(0, 5, (8, 2, 2)))
    own = {
        pages: envs.expected_feedback(np.tile(np.reshape(pages, (2, 2)), (8, 1, 1)))["individual_reward"].sum(1)
        for pages in itertools.product(range(5), repeat=4)
    }
    full = [
        pages
        for pages in own
        if len(set(pages)) == 4 or (page == "rows" and len(set(pages[:2])) == len(set(pages[2:])) == 2)
    ]
    every = np.stack([own[pages] for pages in full])
    team = bound_team(envs, "central")
    mine = envs.expected_feedback(np.stack([policy.act(envs.observations[:, n]) for n, policy in enumerate(team)], 1))
    np.testing.assert_allclose(mine["individual_reward"].sum(1), every.max(0), rtol=1e-6)


def test_what_is_heard_counts_from_a_sessions_second_page_on() -> None:
    """There the team that talks shows the intent, and shows it once."""
    envs = vector_env("coverage-v0", 64)
    topic, team = envs.world.items["topic"], [make_policy("coverage-talk") for _ in envs.possible_agents]
    for agent, policy in zip(envs.possible_agents, team, strict=True):
        policy.bind(envs, agent, 0)
    observations, _ = envs.reset(seed=2)
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for _ in range(20):
        actions = np.stack([policy.act(observations[:, n]) for n, policy in enumerate(team)], 1)
        page, shown = envs.next_page, topic[actions // 4]
        for first in (True, False):
            here = (page["visitor"] >= 0) & ((page["session_page"] == 0) == first)
            hits[first] += (shown == page["intent"][:, None]).sum(1)[here].tolist()
        observations, _, _, _, infos = envs.step(actions)
        for n, policy in enumerate(team):
            policy.observe(feedback(infos, n))
    assert set(hits[False]) == {1}
    assert 0.5 < np.mean(hits[True]) < 0.66  # a convention reaches 7 of 12


def test_each_step_of_the_ladder_is_worth_a_tenth() -> None:
    scores = [episode_returns("coverage-v0", policy, 16, seed=3).sum(1) for policy in LADDER]
    for worse, better in itertools.pairwise(scores):
        gain = better - worse
        assert gain.mean() - 2 * gain.std(ddof=1) / 4 > 0.05 * worse.mean()
        assert gain.mean() > 0.1 * worse.mean()
