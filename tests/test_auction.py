"""Auction pages: bids, who wins and what it pays, budgets, what bidders see, policies that bid, and exact answers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, WorldConfig, exact, parallel_env, replace, text_env, vector_env
from recsys_env.api.render import explanation
from recsys_env.config.fields import AUCTION_FIELDS
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.evaluation.log import EpisodeLog
from recsys_env.evaluation.metrics import measure
from recsys_env.policies import make_policy

TASK = TASKS["auction-v0"]
SMALL: dict[str, Any] = {
    "horizon": 40,
    "users": {"number": 3},
    "items": {"number": 20},
    "arrival": {"r_0": 1.0},
    "offer": {"levels": 5, "budget": 1.0, "refill_period": 7},
}
COPIES = 32


def small(**changes: Any) -> VectorEnv:
    envs = VectorEnv(replace(replace(TASK, SMALL), changes), COPIES)
    envs.reset(seed=0)
    return envs


def bids_at_random(envs: VectorEnv, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, envs.config.offer.levels, (envs.num_envs, envs.num_agents))


def multipliers(envs: VectorEnv, levels: np.ndarray) -> np.ndarray:
    offer = envs.config.offer
    return np.geomspace(offer.low, offer.high, offer.levels)[levels]


# ------------------------------------------------------------------------------------------------ one page


def test_the_highest_bid_wins_and_pays_the_second_highest() -> None:
    envs, rng, won = small(), np.random.default_rng(0), 0
    for _ in range(30):
        served = envs.next_page["visitor"] >= 0
        bidders, levels = envs.arrays.bidders.copy(), bids_at_random(envs, rng)
        _, rewards, _, _, infos = envs.step(levels)
        bids = np.minimum(multipliers(envs, levels) * bidders["value"], bidders["budget"]) * served[:, None]
        np.testing.assert_allclose(infos["bid"], bids, rtol=1e-9)
        bids = infos["bid"]
        np.testing.assert_array_equal(infos["slot_value"], bidders["value"] * served[:, None])
        shown = infos["shown"][:, :, 0] >= 0
        ordered = np.sort(bids, axis=1)
        assert (shown.sum(1) == (ordered[:, -1] > 0)).all()
        winner = shown.argmax(1)
        some = shown.any(1)
        assert (bids[np.arange(COPIES), winner] == ordered[:, -1])[some].all()
        np.testing.assert_array_equal(infos["payment"], np.where(shown, ordered[:, -2:-1], 0))
        assert (infos["rank"][:, :, 0] == np.where(shown, 0, -1)).all()  # who loses is not on the page
        assert (infos["empty"] == 0).all()  # so that it has no hole
        clicked = infos["clicked"][:, :, 0]
        np.testing.assert_allclose(rewards, clicked * bidders["worth"] * shown - infos["payment"], rtol=1e-5, atol=1e-6)
        won += some.sum()
    assert won > 300


def test_the_value_is_what_winning_pays_on_average() -> None:
    envs, levels = small(offer={"budget": 0.0}), 4
    values = envs.arrays.bidders["value"]
    alone = np.zeros((COPIES, envs.num_agents), np.int64)
    for n in range(envs.num_agents):
        actions = alone.copy()
        actions[:, n] = levels  # may win; of those pages where it does:
        expected, page = envs.expected_feedback(actions), envs.explain(actions)
        won = page["item"][:, n, 0] >= 0
        assert won.any()
        paid = page["payment"][:, n]
        np.testing.assert_allclose(expected["individual_reward"][won, n], (values[:, n] - paid)[won], rtol=1e-6)
        others = np.arange(envs.num_agents) != n
        assert (expected["individual_reward"][won][:, others] == 0).all()
        worth = envs.arrays.bidders["worth"][:, n]
        np.testing.assert_allclose((worth * page["click"][:, n, 0])[won], values[won, n], rtol=1e-6)  # a click pays 1


def test_what_events_pay_is_lognormal_with_mean_1() -> None:
    envs, found = small(offer={"value_log_sd": 0.8}, arrival={"r_0": 40.0}), []
    for _ in range(39):
        found.append(envs.arrays.bidders["worth"].copy())
        envs.step(np.zeros((COPIES, envs.num_agents), np.int64))
    logs = np.log(np.stack(found))
    count = logs.size
    assert abs(logs.mean() + 0.32) < 5 * 0.8 / count**0.5
    assert abs(logs.std() - 0.8) < 5 * 0.8 / (2 * count) ** 0.5
    assert abs(np.corrcoef(logs.reshape(-1, envs.num_agents).T)[0, 1]) < 5 / (count / envs.num_agents) ** 0.5


def test_equal_bids_win_equally_often_and_pay_all_of_it() -> None:
    envs = small(
        items={"number": 1, "topics": 1}, users={"topics": 1}, offer={"value_log_sd": 0.0, "budget": 0.0}, num_agents=2
    )
    wins, tied = np.zeros(2), 0
    for _ in range(39):
        _, _, _, _, infos = envs.step(np.full((COPIES, 2), 2))
        assert (infos["bid"][:, 0] == infos["bid"][:, 1]).all()
        np.testing.assert_array_equal(infos["payment"].sum(1), infos["bid"][:, 0])
        wins += (infos["shown"][:, :, 0] >= 0).sum(0)
        tied += (infos["bid"][:, 0] > 0).sum()
    assert wins.sum() == tied > 500
    assert abs(wins[0] - tied / 2) < 5 * (tied / 4) ** 0.5


def test_a_page_for_which_nobody_bids_shows_nothing() -> None:
    envs = small(reward={"click": 0.0})
    _, rewards, _, _, infos = envs.step(np.full((COPIES, envs.num_agents), 4))
    assert (infos["bid"] == 0).all()
    assert (infos["shown"] == -1).all()
    assert not infos["clicked"].any()
    assert (rewards == 0).all()


def test_pages_and_explanations_tell_the_bids() -> None:
    env = parallel_env(TASK, render_mode="ansi")
    env.reset(seed=1)
    actions = dict.fromkeys(env.agents, TASK.offer.list_level)
    explained = explanation(env.explain(actions))
    infos = env.step(actions)[-1]
    page = env.render()
    assert isinstance(page, str)
    for info in infos.values():
        assert info["bid"] > 0
        said = f"slot worth {info['slot_value']:.3f}, bid {info['bid']:.3f}"
        assert said in page
        assert said in explained
    price = max(info["payment"] for info in infos.values())
    assert page.count(f"paid {price:.3f}") == explained.count(f"wins and pays {price:.3f}") == 1
    assert page.count("not on this page") == len(infos) - 1


def test_nobody_bids_in_an_idle_tick() -> None:
    envs, idle = small(), 0
    for _ in range(10):
        explained, nobody = envs.explain(np.full((COPIES, envs.num_agents), 2)), envs.next_page["visitor"] < 0
        assert not any(explained[name][nobody].any() for name in ("slot_value", "bid", "payment"))
        envs.step(np.full((COPIES, envs.num_agents), 2))
        idle += nobody.sum()
    assert idle > 10


def test_losers_learn_nothing_of_the_visitor() -> None:
    envs = small(arrival={"k_0": 40.0, "r_0": 40.0})
    levels = np.zeros((COPIES, envs.num_agents), np.int64)
    levels[:, 0] = 4
    observations, _, _, _, infos = envs.step(levels)
    lost = infos["shown"][:, :, 0] < 0
    pages = envs.field(observations, "satisfaction_pages")[:, :, 0]
    assert (pages[lost] == 0).all()
    assert (pages[~lost] > 0).all()


# ------------------------------------------------------------------------------------------------ budgets


def test_payments_leave_the_budget_until_it_is_refilled() -> None:
    envs, rng = small(), np.random.default_rng(1)
    budget, pages = np.full((COPIES, 4), 1.0), np.zeros(COPIES, np.int64)
    low = refills = 0
    for _ in range(39):
        served = envs.next_page["visitor"] >= 0
        observations, _, _, _, infos = envs.step(bids_at_random(envs, rng))
        assert (infos["bid"] <= budget).all()
        low += ((infos["bid"] == budget) & served[:, None]).sum()
        pages += served
        over = pages == 7
        refills += over.sum()
        budget = np.where(over[:, None], 1.0, budget - infos["payment"])
        pages[over] = 0
        here = envs.next_page["visitor"] >= 0
        seen = {name: envs.field(observations, name)[:, :, 0] for name in AUCTION_FIELDS}
        np.testing.assert_allclose(seen["budget"][here], budget[here], atol=1e-6)
        np.testing.assert_allclose(seen["until_refill"][here], np.tile(1 - pages[here, None] / 7, 4), atol=1e-6)
        price = np.where(served, infos["payment"].sum(1), np.nan)
        now = here & served
        np.testing.assert_allclose(seen["last_price"][now], np.tile((price / (0.5 + price))[now, None], 4), atol=1e-6)
        value = envs.arrays.bidders["value"]
        np.testing.assert_allclose(seen["slot_value"][here], (value / (0.5 + value))[here], atol=1e-6)
        assert all((numbers[~here] == 0).all() for numbers in seen.values())
    assert low > 100
    assert refills > 50


def test_budgets_without_a_limit_are_never_spent() -> None:
    envs = small(offer={"budget": 0.0})
    observations, _, _, _, infos = envs.step(np.full((COPIES, 4), 4))
    np.testing.assert_allclose(infos["bid"], 2 * infos["slot_value"], rtol=1e-9)
    here = envs.next_page["visitor"] >= 0
    assert (envs.field(observations, "budget")[here] == 1).all()


def test_an_episode_begins_with_full_budgets() -> None:
    envs = small(offer={"refill_period": 1000})
    for _ in range(40):
        observations = envs.step(np.full((COPIES, 4), 4))[0]
    here = envs.next_page["visitor"] >= 0
    assert (envs.field(observations, "budget")[here] == 1).all()
    assert (envs.field(observations, "until_refill")[here] == 1).all()


def test_metrics_of_an_auction() -> None:
    config = replace(TASK, {**SMALL, "offer": {**SMALL["offer"], "refill_period": 15}, "arrival": {"r_0": 40.0}})
    envs, team, observations = begin_episodes(config, "auction-greedy", 2, 0)
    log, actions, paid = EpisodeLog(envs), envs.empty_actions(), np.zeros((2, 4))
    for _ in range(config.horizon):
        log.look()
        team.act(observations, actions)
        observations, _, _, _, infos = envs.step(actions)
        log.record(infos)
        paid += infos["payment"]
    found = measure(log)
    np.testing.assert_allclose(found["spend"], np.column_stack([paid, paid.sum(1)]), rtol=1e-5)
    left = 1 - paid / 3  # of three budgets of 1
    np.testing.assert_allclose(found["budget_left"], np.column_stack([left, left.mean(1)]), rtol=1e-5)


# ------------------------------------------------------------------------------------------------ refusals


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"offer": {"kind": "none"}}, "page = 'auction' and offer.kind = 'none' do not go together"),
    ({"offer": {"kind": "price"}, "feedback": {"instant": True}}, "offer.kind = 'price' do not go together"),
    ({"page": "rows"}, "page = 'rows' and offer.kind = 'bid' do not go together"),
    ({"slots": 2, "candidates": {"number": 2}}, "sells one slot; slots = 2 must be 1"),
    ({"candidates": {"number": 3}}, "candidates.number = 1, not 3"),
    ({"action": "items"}, "needs action = 'candidates' or 'weights', not 'items'"),
    ({"scenes": ({"cart": True},)}, r"carts in the scenes \['page'\] needs feedback.instant = True, not False"),
    ({"observation": {"privacy_epsilon": 1.0}}, "not possible with offer.kind = 'bid', .*; 'none' is allowed"),
    ({"static_weights": {"price_level": 1.0}}, "'price_level', which needs offer.kind = 'price', not 'bid'"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_auctions_that_are_not_well_defined_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TASK, changes)


def test_bidders_need_an_auction_and_pacing_a_budget() -> None:
    envs = vector_env("duel-v1", 1)
    with pytest.raises(ValueError, match="page = 'rows' has nothing to bid for"):
        make_policy("auction-truthful").bind(envs, envs.possible_agents[0], 0)
    for changes in ({"offer": {"budget": 0.0}}, {"roles": ({"name": "bidder", "hidden": ("budget",)},)}):
        with pytest.raises(ValueError, match=r"bidder_0 cannot pace a budget: it needs offer.budget > 0, not"):
            make_policy("auction-pacing").bind(VectorEnv(replace(TASK, changes), 1), "bidder_0", 0)
    with pytest.raises(ValueError, match="page = 'auction' has no pages in words"):
        text_env(TASK)


# ------------------------------------------------------------------------------------------------ policies


def actions_of(name: str, envs: VectorEnv) -> np.ndarray:
    policy = make_policy(name)
    policy.bind(envs, "bidder_1", 0)
    observations = envs.observations
    return policy.act(observations[:, 1])


@pytest.mark.slow
@pytest.mark.parametrize("action", ["candidates", "weights"])
def test_policies_that_do_not_plan_bids_bid_truthfully(action: str) -> None:
    envs = small(action=action)
    truthful = actions_of("auction-truthful", envs)
    for name in ("blind", "content", "greedy", "observer", "matcher", "linucb"):
        np.testing.assert_array_equal(
            envs.explain(_only(envs, actions_of(name, envs)))["bid"][:, 1],
            envs.explain(_only(envs, truthful))["bid"][:, 1],
            name,
        )
    bid = envs.explain(_only(envs, truthful))
    np.testing.assert_allclose(bid["bid"][:, 1], np.minimum(bid["slot_value"][:, 1], 1.0), rtol=0.2)  # of few levels
    lowest = envs.explain(_only(envs, actions_of("central", envs)))
    np.testing.assert_allclose(lowest["bid"][:, 1], np.minimum(lowest["slot_value"][:, 1] / 16, 1.0), rtol=1e-6)


def _only(envs: VectorEnv, actions: np.ndarray) -> np.ndarray:
    joint = envs.empty_actions()
    joint[:, 1] = actions
    return joint


def test_static_bids_the_level_of_its_weight() -> None:
    envs = small(static_weights={"bid_level": 0.5})
    assert (actions_of("static", envs) == 3).all()


EPISODES = 48


def surplus(name: str) -> float:
    return float(episode_returns(TASK, name, EPISODES, seed=10_000).mean())


def test_budgets_are_half_of_what_truthful_bidders_would_spend() -> None:
    envs, team, observations = begin_episodes(
        replace(TASK, {"offer": {"budget": 0.0}}), "auction-truthful", EPISODES, 0
    )
    actions, paid, pages = envs.empty_actions(), 0.0, 0
    for _ in range(envs.config.horizon):
        team.act(observations, actions)
        observations, _, _, _, infos = envs.step(actions)
        paid, pages = paid + infos["payment"].sum(), pages + (infos["visitor"][:, 0] >= 0).sum()
    spent = paid / pages / envs.num_agents * TASK.offer.refill_period
    assert TASK.offer.budget == pytest.approx(spent / 2, rel=0.02)


def test_pacing_earns_more_than_truth_and_a_ring_more_than_pacing() -> None:
    truthful, pacing = surplus("auction-truthful"), surplus("auction-pacing")
    assert pacing > 1.3 * truthful
    assert surplus("central") > 1.15 * pacing
    assert surplus("auction-greedy") < truthful


def test_pacing_makes_budgets_last() -> None:
    envs, team, observations = begin_episodes(TASK, "auction-pacing", 16, 0)
    actions, spent = envs.empty_actions(), np.zeros((4, envs.num_envs, 4))
    for tick in range(envs.config.horizon):
        team.act(observations, actions)
        observations, _, _, _, infos = envs.step(actions)
        spent[4 * tick // envs.config.horizon] += infos["payment"]
    shares = spent / TASK.offer.budget  # of each quarter of the episode, which is about a period
    assert (abs(shares.mean((1, 2)) - 1) < 0.1).all()


# ------------------------------------------------------------------------------------------------ exact answers

FINITE: dict[str, Any] = {  # two bidders for a page that is always worth .5, two pages to a refill
    "num_agents": 2,
    "users": {"number": 1, "topics": 1},
    "items": {"number": 1, "topics": 1},
    "choice": {"v_0": 0.0, "beta_taste": 0.0, "beta_quality": 0.0, "kappa": 0.0},
    "arrival": {"k_0": 40.0, "r_0": 40.0},
    "roles": ({"name": "bidder", "hidden": ("last_price",)},),
    "offer": {"levels": 2, "low": 0.25, "high": 1.0, "value_log_sd": 0.0, "budget": 0.3, "refill_period": 2},
}
VALUE, BUDGET = 0.5, 0.3
State = tuple[int, float, float]  # pages since the refill, both budgets


def outcomes(state: State, bids: tuple[float, ...]) -> list[tuple[float, State, tuple[float, float]]]:
    """Probability, next state and rewards, written from the rules: m times the value, or the budget."""
    page, *budgets = state
    asked = [min(m * VALUE, budget) for m, budget in zip(bids, budgets, strict=True)]
    winners = [n for n in range(2) if asked[n] == max(asked) and asked[n] > 0]
    found = []
    for winner in winners or [None]:
        price = min(asked) if winner is not None else 0.0
        left = [b - price * (n == winner) for n, b in enumerate(budgets)]
        rewards = tuple((VALUE - price) * (n == winner) for n in range(2))
        after = (1, left[0], left[1]) if page == 0 else (0, BUDGET, BUDGET)
        found.append((1 / max(len(winners), 1), after, rewards))
    return found


def value_of(profile: dict[State, tuple[float, ...]], state: State, page: int = 0) -> np.ndarray:
    """Rewards of a period, by enumeration of what can happen in it."""
    total = np.zeros(2)
    for probability, after, rewards in outcomes(state, profile[_key(state)]):
        total += probability * np.array(rewards)
        if page == 0:
            total += probability * value_of(profile, after, 1)
    return total


def _key(state: State) -> State:
    return state[0], round(state[1], 6), round(state[2], 6)


def reachable(levels: tuple[float, ...]) -> list[State]:
    start = (0, BUDGET, BUDGET)
    after = {_key(s) for bids in itertools.product(levels, repeat=2) for _, s, _ in outcomes(start, bids)}
    return [start, *sorted(after)]


def test_a_finite_auction_is_what_the_rules_enumerate() -> None:
    game = exact.tabulate("auction-v0", **FINITE)
    levels, start = (0.25, 1.0), (0, BUDGET, BUDGET)
    states = reachable(levels)
    assert len(game.states) == len(states)
    assert game.states[0] == "pages 0, budgets 0.3 0.3"
    named = {
        name: _key((int(words[1].rstrip(",")), float(words[3]), float(words[4])))
        for name in game.states
        for words in [name.split()]
    }
    assert {state: state for state in map(_key, states)}.keys() == set(named.values())
    place = {state: i for i, state in enumerate(named.values())}
    for state in states:
        for a, bids in enumerate(itertools.product(levels, repeat=2)):
            rewards, after = np.zeros(2), np.zeros(len(states))
            for probability, following, paid in outcomes(state, bids):
                rewards += probability * np.array(paid)
                after[place[_key(following)]] += probability
            np.testing.assert_allclose(game.rewards[:, place[_key(state)], a], rewards, atol=1e-6)
            np.testing.assert_allclose(game.transitions[place[_key(state)], a], after, atol=1e-9)
    # every pair of pure strategies, by the table and by hand
    pure = exact.pure_policies(game)
    strategies = list(itertools.product(levels, repeat=len(states)))
    by_hand = np.zeros((2, len(strategies), len(strategies)))
    for i, one in enumerate(strategies):
        for j, other in enumerate(strategies):
            profile = {state: (one[place[state]], other[place[state]]) for state in named.values()}
            by_hand[:, i, j] = value_of(profile, start) / 2  # per page
    np.testing.assert_allclose(pure.individual_values, by_hand, atol=1e-6)
    best = [(by_hand[0] >= by_hand[0].max(0) - 1e-9), (by_hand[1] >= by_hand[1].max(1, keepdims=True) - 1e-9)]
    found = {tuple(pure.index(policy) for policy in e.policies) for e in pure.equilibria()}
    assert found
    assert all(best[0][pair] and best[1][pair] for pair in found)
    value, _ = exact.team_optimum(game)
    assert float(game.initial @ value) == pytest.approx(by_hand.sum(0).max(), abs=1e-6)


def test_a_played_finite_auction_agrees_with_its_table() -> None:
    config = replace(TASK, FINITE)
    game = exact.tabulate(config)
    envs, rng = VectorEnv(config, 512), np.random.default_rng(0)
    envs.reset(seed=0)
    counts, sums = np.zeros_like(game.transitions), np.zeros((*game.rewards.shape[1:], 2))
    for _ in range(24):
        before, actions = game.states_of(envs), rng.integers(0, 2, (512, 2))
        joint = actions @ (2, 1)
        np.add.at(sums, (before, joint), envs.expected_feedback(actions)["individual_reward"])
        envs.step(actions)
        np.add.at(counts, (before, joint, game.states_of(envs)), 1)
    total = counts.sum(-1, keepdims=True)
    assert (total > 100).all()
    spread = np.sqrt(game.transitions * (1 - game.transitions) / total)
    assert (np.abs(counts / total - game.transitions) <= 5 * spread + 1e-9).all()
    rewards = game.individual_rewards.transpose(1, 2, 0)
    assert (np.abs(sums / total - rewards) <= 5 * VALUE / np.sqrt(total) + 1e-6).all()  # of ties, which are drawn


def test_bidders_who_see_the_last_price_can_react_to_it() -> None:
    seen = exact.tabulate("auction-v0", **{**FINITE, "roles": ({"name": "bidder"},)})
    hidden = exact.tabulate("auction-v0", **FINITE)
    assert len(seen.states) > len(hidden.states)
    assert len(seen.payoff_relevant.states) == len(hidden.states)


def test_an_auction_of_continuous_values_has_no_table() -> None:
    with pytest.raises(ValueError, match=r"offer.value_log_sd = 0.6 draws values continuously; needed is 0"):
        exact.tabulate("auction-v0")


def test_a_config_of_ones_own_can_hold_an_auction() -> None:
    config = WorldConfig(page="auction", slots=1, candidates={"number": 1}, offer={"kind": "bid"}, horizon=5)
    assert config.auctioned
    returns = episode_returns(config, "random", 2, 0)
    assert returns.shape == (2, 2)
