"""The pricing duel: its exact solution by enumeration, and that the engine plays the game that was solved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from worlds import bound_team

from recsys_env import TASKS, VectorEnv, task_config, vector_env
from recsys_env.evaluation import episode_returns
from recsys_env.policies import Central, Planner

DUEL = TASKS["pricing-duel-v0"]
LEVELS = DUEL.offer.levels
MINE, RIVALS, NOBODYS = range(3)  # whom the visitor bought from last; a policy is a level for each
POLICIES = np.stack(np.meshgrid(*[np.arange(LEVELS)] * 3, indexing="ij"), -1).reshape(-1, 3)
EQUILIBRIUM, GREEDY, JOINT = (3, 0, 1), (5, 3, 3), (6, 6, 3)
PUBLISHED = {EQUILIBRIUM: 0.2316, GREEDY: 0.5903, JOINT: 0.6986}
UNIFORM = 0.3219
SELLERS: dict[str, Any] = {  # three of them, who sell the same four items
    "num_agents": 3,
    "roles": ({"name": "seller"},),
    "action": "items",
    "items": {"number": 4, "dims": 4, "topics": 2, "price_log_sd": 0.4},
    "users": {"number": 5, "topics": 2, "price_sensitivity_log_sd": 0.6},
    "offer": {"kind": "price", "levels": 5},
    "choice": {"beta_trust": 2.0, "beta_price": 3.0, "beta_taste": 1.0, "v_0": 0.5},
    "dynamics": {"trust_rate": 0.4},
}


def sales() -> np.ndarray:
    """P(the visitor buys from me) by state, my level and the rival's: [3, L, L]."""
    c, offer = DUEL.choice, DUEL.offer
    log_m = np.linspace(np.log(offer.low), np.log(offer.high), LEVELS)
    mine, rival = np.exp(-c.beta_price * log_m)[:, None], np.exp(-c.beta_price * log_m)[None]
    loyal = np.exp(c.beta_trust)
    odds = [(loyal * mine, rival), (mine, loyal * rival), (mine, rival)]
    return np.stack([a / (a + b + np.exp(c.v_0)) for a, b in odds])


def profit() -> np.ndarray:
    """Margin of each level in mean margins: 2 m - 1, since a unit costs half the list price."""
    mu = DUEL.reward.margin_rate
    m = np.exp(np.linspace(np.log(DUEL.offer.low), np.log(DUEL.offer.high), LEVELS))
    return (m - (1 - mu)) / mu


def long_run(mine: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """My average reward per tick, for pairs of policies given as chances of each level by state, [..., 3, L]; the
    rival's states are its own."""
    rival = rival[..., [RIVALS, MINE, NOBODYS], :]  # as I see the visitor
    joint = mine[..., :, None] * rival[..., None, :]
    buy, lost = sales(), DUEL.arrival.d_0
    reward = (joint * buy * profit()[:, None]).sum((-1, -2))
    to_me = (joint * buy).sum((-1, -2))
    to_rival = (joint * buy[[RIVALS, MINE, NOBODYS]].swapaxes(1, 2)).sum((-1, -2))
    move = (1 - to_me - to_rival)[..., None] * np.eye(3)
    move[..., MINE] += to_me
    move[..., RIVALS] += to_rival
    move = (1 - lost) * move + lost * np.eye(3)[NOBODYS]
    system = np.swapaxes(np.eye(3) - move, -1, -2).copy()
    system[..., 0, :] = 1.0  # the stationary distribution sums to 1
    share = np.linalg.solve(system, np.broadcast_to(np.eye(3)[0][:, None], (*system.shape[:-1], 1)))[..., 0]
    return np.asarray((share * reward).sum(-1))


def chances(policy: Any) -> np.ndarray:
    return np.eye(LEVELS)[np.asarray(policy)]


def discounted(mine: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """Best response to a policy by policy iteration: levels by state, at the task's discount."""
    buy, lost, gamma = sales(), DUEL.arrival.d_0, DUEL.discount
    other = rival[[RIVALS, MINE, NOBODYS]]
    states = np.arange(3)
    to_me, to_rival = buy[states, :, other], buy[[RIVALS, MINE, NOBODYS]].swapaxes(1, 2)[states, :, other]
    for _ in range(100):
        reward, move = to_me * profit(), (1 - to_me - to_rival)[..., None] * np.eye(3)[:, None]
        move[..., MINE] += to_me
        move[..., RIVALS] += to_rival
        move = (1 - lost) * move + lost * np.eye(3)[NOBODYS]
        value = np.linalg.solve(np.eye(3) - gamma * move[states, mine], reward[states, mine])
        better = (reward + gamma * move @ value).argmax(1)
        if (better == mine).all():
            return mine
        mine = better
    raise AssertionError("policy iteration did not end")


def test_the_table_of_the_task() -> None:
    """Average rewards of the published policies; the joint optimum is the largest of all 343 x 343 pairs."""
    for policy, reward in PUBLISHED.items():
        assert long_run(chances(policy), chances(policy)) == pytest.approx(reward, abs=5e-5)
    uniform = np.full((3, LEVELS), 1 / LEVELS)
    assert long_run(uniform, uniform) == pytest.approx(UNIFORM, abs=5e-5)
    matrix = long_run(chances(POLICIES)[:, None], chances(POLICIES)[None])
    best = np.unravel_index((matrix + matrix.T).argmax(), matrix.shape)
    assert [tuple(POLICIES[i]) for i in best] == [JOINT, JOINT]
    index = {tuple(policy): i for i, policy in enumerate(POLICIES.tolist())}
    loyal = index[JOINT]
    against = matrix[:, loyal]
    assert tuple(POLICIES[against.argmax()]) == (6, 0, 0)
    assert against.max() == pytest.approx(1.079, abs=5e-4)
    wrong = 1 - matrix[index[EQUILIBRIUM], loyal] / against.max()
    assert wrong > 0.4


def test_the_equilibrium_is_markov_perfect_and_myopia_is_not() -> None:
    """(3, 0, 1) is the best response to itself; of a visitor's page alone (5, 3, 3) is, in every state."""
    assert tuple(discounted(np.array([0, 0, 0]), np.array(EQUILIBRIUM))) == EQUILIBRIUM
    assert tuple(discounted(np.array([0, 0, 0]), np.array(GREEDY))) != GREEDY
    other = np.array(GREEDY)[[RIVALS, MINE, NOBODYS]]
    page = sales()[np.arange(3), :, other] * profit()
    assert tuple(page.argmax(1)) == GREEDY


def states(envs: VectorEnv) -> np.ndarray:
    """Each agent's view [B, N] of its visitor: mine, the rival's, nobody's."""
    trust = envs.latent_users()["trust"]
    assert np.isin(trust, (0, 1)).all()
    return np.where(trust > 0, MINE, np.where(trust[:, ::-1] > 0, RIVALS, NOBODYS))


@pytest.mark.parametrize("policy", PUBLISHED)
def test_the_engine_plays_the_game_that_was_solved(policy: tuple[int, int, int]) -> None:
    """Exact expectations of every page, and the average reward over many ticks."""
    envs = vector_env(DUEL, 500)
    assert envs.action_space.n == LEVELS
    envs.reset(seed=0)
    own = np.zeros((500, 2))
    for _ in range(200):
        state = states(envs)
        levels = np.array(policy)[state]
        expected = envs.expected_feedback(levels)
        buys = sales()[state, levels, levels[:, ::-1]]
        np.testing.assert_allclose(expected["purchase"][..., 0], buys, atol=1e-6)
        np.testing.assert_allclose(expected["individual_reward"], buys * profit()[levels], atol=1e-6)
        own += envs.step(levels)[1]
    mean = own.mean(1) / 200
    assert abs(mean.mean() - PUBLISHED[policy]) < 5 * mean.std() / 500**0.5 + 1e-3


def test_central_prices_for_both_sellers() -> None:
    """What a page pays both together is the most that any pair of levels pays."""
    envs = vector_env(DUEL, 100)
    players = bound_team(envs, "central")
    observations, _ = envs.reset(seed=0)
    for _ in range(5):
        levels = np.stack([player.act(observations[:, n]) for n, player in enumerate(players)], 1)
        state = states(envs)
        mine, rivals = (sales()[state[:, n]] * profit()[:, None] for n in range(2))
        both = mine + rivals.swapaxes(1, 2)
        chosen = both[np.arange(100), levels[:, 0], levels[:, 1]]
        np.testing.assert_allclose(chosen, both.max((1, 2)), rtol=1e-6)
        assert (levels > GREEDY[NOBODYS]).all()
        observations = envs.step(np.random.default_rng(0).integers(0, 3, (100, 2)))[0]
    assert len(np.unique(state)) == 3


@pytest.mark.slow
def test_the_market_is_a_dilemma() -> None:
    """Who looks ahead gains among myopic sellers, and all lose when all do: T > R > P; sharing the market pays most."""
    market = task_config("market-v0", {"horizon": 200})
    ahead, agents = Planner(1.0), market.agents
    teams = {"R": "greedy", "P": {agent: Planner(1.0) for agent in agents}, "joint": "central"}
    teams["T"] = {agents[0]: ahead, **dict.fromkeys(agents[1:], "greedy")}
    own = {name: episode_returns(market, team, 32, 0) for name, team in teams.items()}
    for better, worse in (("T", "R"), ("R", "P"), ("joint", "R")):
        who = slice(0, 1) if better == "T" else slice(None)
        gain = (own[better] - own[worse])[:, who].mean(1)
        assert gain.mean() > 3 * gain.std() / 32**0.5, (better, worse)


def test_greedy_prices_as_the_myopic_seller() -> None:
    """Its level maximises what this page pays against the rival's last inclusive value."""
    envs = vector_env(DUEL, 200)
    players = bound_team(envs, "greedy")
    observations, _ = envs.reset(seed=0)
    seen = set()
    for _ in range(40):
        levels = np.stack([player.act(observations[:, n]) for n, player in enumerate(players)], 1)
        rivals, trust = envs.inclusive_values[:, ::-1, None], envs.latent_users()["trust"][..., None]
        log_m = np.linspace(np.log(0.5), np.log(2), LEVELS)
        nest = np.exp(DUEL.choice.beta_trust * trust - DUEL.choice.beta_price * log_m)
        page = nest / (nest + np.exp(rivals) + 1) * profit()
        np.testing.assert_array_equal(levels, page.argmax(-1))
        seen |= set(levels.ravel().tolist())
        observations = envs.step(levels)[0]
    assert len(seen) >= 3


def central_actions(envs: VectorEnv, observations: np.ndarray) -> np.ndarray:
    actions = envs.empty_actions()
    for n, agent in enumerate(envs.possible_agents):
        player = Central()
        player.bind(envs, agent, 0)
        actions[:, n] = player.act(observations[:, n])
    return actions


def test_no_other_price_of_one_seller_would_earn_all_together_more() -> None:
    """Whatever all of them show at it."""
    envs = vector_env(DUEL, 64, **SELLERS)
    observations, _ = envs.reset(seed=0)
    rng, levels = np.random.default_rng(0), envs.shape.levels
    slates = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for _ in range(25):  # until visitors trust the sellers differently
        observations = envs.step(rng.integers(0, 4 * levels, (64, 3)))[0]
    chosen = central_actions(envs, observations)
    value = envs.expected_feedback(chosen)["individual_reward"].sum(1)
    for n in range(3):
        for level in range(levels):
            prices = chosen % levels
            prices[:, n] = level
            others = [envs.expected_feedback(slate * levels + prices)["individual_reward"].sum(1) for slate in slates]
            assert (np.max(others, 0) <= value * (1 + 1e-6) + 1e-9).all()
    assert len(np.unique(chosen % levels)) > 1
