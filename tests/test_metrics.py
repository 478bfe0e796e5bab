"""Metrics beside reward, on logs small enough to compute by hand, and against the game itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import recsys_env
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.evaluation import METRICS, EpisodeLog, measure, metric, play_episode
from recsys_env.evaluation.log import COLD_CLICKS
from recsys_env.evaluation.metrics import ratio, total
from recsys_env.policies import Team

# Four ticks, two copies, two agents with two slots each, four items of two providers; ranks give odds 1, 1/2, 1/3, 1/4.
TINY = WorldConfig(
    num_agents=2,
    slots=2,
    horizon=4,
    users={"number": 2},
    items={"number": 4, "dims": 2, "topics": 2, "providers": 2},
    candidates={"number": 4},
    choice={"eta": 1.0, "kappa": 0.0},
)
NAN = np.nan


def tiny_log(**overrides: Any) -> EpisodeLog:
    """An empty log of four ticks: nobody has come yet."""
    log = EpisodeLog(vector_env(TINY, 2, **overrides))
    log.t = 4
    return log


def serve(log: EpisodeLog, t: int, b: int, visitor: int, slates: list[list[int]]) -> None:
    """One page of a shared feed: agent n's k-th slot has rank 2 k + n."""
    log.visitor[t, b] = visitor
    for n, slate in enumerate(slates):
        log.active[t, b, n] = bool(slate)
        for k, item in enumerate(slate):
            log.item[t, b, n, k], log.rank[t, b, n, k] = item, 2 * k + n


def value(log: EpisodeLog, name: str) -> np.ndarray:
    found = METRICS[name].of(log)
    assert found.shape == (2, 3)
    return found


def test_every_metric_is_documented() -> None:
    assert len(METRICS) >= 25
    for name, found in METRICS.items():
        assert len(found.definition) > 15, name
        assert found.source, name
        assert found.unit, name
        assert found.better in ("higher", "lower", ""), name


@pytest.mark.usefixtures("registries")
def test_a_metric_of_ones_own_is_one_decorated_function() -> None:
    @metric("purchases per click", "higher", "this test")
    def bought_per_click(log: EpisodeLog) -> np.ndarray:
        """Items bought
        per click."""
        return ratio(total(log.purchases), total(log.clicked))

    found = METRICS["bought_per_click"]
    assert found[1:] == ("Items bought per click.", "this test", "purchases per click", "higher")
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, 3]])
    log.clicked[0, 0, 0, 0], log.purchases[0, 0, 0] = True, 3
    np.testing.assert_allclose(measure(log)["bought_per_click"], [[3, NAN, 3], [NAN, NAN, NAN]])


@pytest.mark.usefixtures("registries")
def test_what_is_no_metric_is_named() -> None:
    def ctr(log: EpisodeLog) -> np.ndarray:
        """Mine."""
        return np.zeros(3)

    with pytest.raises(ValueError, match=r"metric 'ctr' is .*metrics:ctr already; choose another"):
        metric("clicks", "higher", "me")(ctr)
    ctr.__name__ = "mine"
    metric("clicks", "higher", "me")(ctr)
    with pytest.raises(ValueError, match=r"metric 'mine' .* returned float64\[3\], expected numbers \[B, N \+ 1\]"):
        measure(tiny_log())
    with pytest.raises(ValueError, match="metric '<lambda>' has no docstring"):
        metric("clicks", "", "me")(lambda log: log.item)


def test_clicks_per_page_and_impression() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, 3]])
    serve(log, 1, 0, 5, [[0, -1], [2, 3]])
    serve(log, 2, 0, 6, [[], [1, 0]])  # agent 0 is not on this page
    log.clicked[0, 0, 0, 1] = log.clicked[2, 0, 1, 0] = True
    log.cart[2, 0, 1, 0] = True
    np.testing.assert_allclose(value(log, "page_ctr"), [[1 / 2, 1 / 3, 2 / 3], [NAN, NAN, NAN]])
    np.testing.assert_allclose(value(log, "ctr")[0], [1 / 3, 1 / 6, 2 / 9])
    np.testing.assert_allclose(value(log, "cart_rate")[0], [0, 1, 1 / 2])


def test_clickbait_shares_of_clicks_and_demand() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, 3]])
    serve(log, 1, 0, 5, [[0, 1], [2, 3]])
    serve(log, 2, 0, 6, [[0, 1], []])
    log.clicked[0, 0, 0, 0] = log.clicked[1, 0, 0, 1] = log.clicked[2, 0, 0, 0] = True
    bait, ticks = log.envs.world.items["bait"].astype(float), len(log.visitor)
    mean = (2 * bait[0] + bait[1]) / 3
    np.testing.assert_allclose(value(log, "clicked_bait"), [[mean, NAN, mean], [NAN, NAN, NAN]], rtol=1e-6)
    np.testing.assert_allclose(value(log, "agent_gini"), [[NAN, NAN, 1 / 2], [NAN, NAN, NAN]])  # 3 clicks and none
    np.testing.assert_allclose(value(log, "demand"), [[3 / ticks, 2 / ticks, 3 / ticks], [0, 0, 0]])


def test_purchases_ratings_dwell() -> None:
    log = tiny_log()
    serve(log, 0, 1, 5, [[0, 1], [2, 3]])
    log.clicked[0, 1, 0, 0], log.dwell[0, 1, 0, 0] = True, 0.8
    log.purchases[0, 1], log.revenue[0, 1] = [1, 2], [1.5, 4.0]
    log.ratings[0, 1], log.stars[0, 1] = [1, 2], [5, 4]
    np.testing.assert_allclose(value(log, "cvr")[1], [1, NAN, 3])
    np.testing.assert_allclose(value(log, "revenue"), [[0, 0, 0], [1.5, 4, 5.5]])
    np.testing.assert_allclose(value(log, "rating")[1], [5, 2, 3])
    np.testing.assert_allclose(value(log, "dwell")[1], [0.8, NAN, 0.8])
    felt = np.log(np.expm1(0.8 / log.envs.world.items["length"][0]))  # dwell = length softplus(e)
    np.testing.assert_allclose(value(log, "experience")[1], [felt, NAN, felt], rtol=1e-6)


def test_ndcg_by_hand() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, -1]])
    serve(log, 1, 0, 5, [[0, 1], []])
    log.gain[0, 0] = [[0.2, 0.4], [0.5, 0.0]]
    log.gain[1, 0, 0] = [0.4, 0.2]
    second = 1 / np.log2(3)
    log.ideal[:2, 0, 0] = [0.4 + 0.2 * second, 0.2 * second, 0.4]  # of all, cold, warm items
    log.ideal[0, 0, 1] = [1.0, 0.0, 1.0]
    log.cold[0, 0, 0, 0] = log.cold[1, 0, 0, 1] = True  # the item of gain 0.2
    log.first_session[0, 0] = True
    first = (0.2 + 0.4 * second) / (0.4 + 0.2 * second)
    np.testing.assert_allclose(value(log, "ndcg")[0], [(first + 1) / 2, 0.5, (first + 1 + 0.5) / 3], rtol=1e-6)
    np.testing.assert_allclose(value(log, "ndcg_new_users")[0, 0], first, rtol=1e-6)
    np.testing.assert_allclose(value(log, "ndcg_known_users")[0], [1, NAN, 1], rtol=1e-6)
    np.testing.assert_allclose(
        value(log, "ndcg_cold_items")[0],
        [(0.2 / (0.2 * second) + 1) / 2, NAN, (0.2 / (0.2 * second) + 1) / 2],
        rtol=1e-6,
    )
    np.testing.assert_allclose(value(log, "ndcg_warm_items")[0, 0], (0.4 * second / 0.4 + 1) / 2, rtol=1e-6)


def test_diversity_by_hand() -> None:
    log = tiny_log()
    q = log.envs.world.item_vectors
    serve(log, 0, 0, 5, [[0, 1], [2, -1]])
    pairs = [1 - float(q[i] @ q[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(value(log, "diversity")[0], [pairs[0], NAN, np.mean(pairs)], rtol=1e-5)


def test_novelty_by_hand() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, -1]])
    history = log.envs.world.items["popularity"]
    bits = -np.log2((history + 1) / (history + 1).sum())
    scaled = (bits - bits.min()) / np.ptp(bits)
    np.testing.assert_allclose(value(log, "novelty")[0], [scaled[:2].mean(), scaled[2], scaled[:3].mean()], rtol=1e-5)


def test_fairness_by_hand() -> None:
    log = tiny_log(reward={"fairness_half_life": 2.0})
    serve(log, 0, 0, 5, [[0, 1], [2, -1]])  # theta 1 and 1/3; 1/2
    serve(log, 1, 0, 5, [[0, -1], []])
    serve(log, 2, 0, 5, [[1, -1], [1, -1]])
    first = 1 / (1 + 1 / 3)  # provider 0's share of what agent 0 has given; a half is due to each
    faded = (0.5**0.5 + 1) / (0.5**0.5 * 4 / 3 + 1)
    mine, its = [0, 0.5 - first, 0.5 - (1 - faded)], [0, 0.5 * (0.5 - 0)]
    np.testing.assert_allclose(value(log, "fairness")[0], [np.mean(mine), np.mean(its), (sum(mine) + sum(its)) / 3])
    assert np.isnan(value(tiny_log(items={"providers": 1}), "fairness")).all()


def test_exposure_by_hand() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, -1]])  # odds 1 and 1/3; 1/2
    serve(log, 1, 0, 5, [[0, -1], []])
    np.testing.assert_allclose(value(log, "coverage")[0], [2 / 4, 1 / 4, 3 / 4])
    # Agent 0: exposure 0, 0, 1/3, 2 in rising order; Gini = sum of |x_i - x_j| over all pairs / (2 n^2 mean).
    x = np.array([2, 1 / 3, 0, 0])
    gini = np.abs(x[:, None] - x).sum() / (2 * 16 * x.mean())
    np.testing.assert_allclose(value(log, "item_gini")[0, 0], gini)
    # Providers own items 0, 2 and 1, 3. Agent 0 gives them 2 and 1/3, agent 1 gives 1/2 and 0.
    np.testing.assert_allclose(
        value(log, "provider_gini")[0], [(2 - 1 / 3) / (2 * 7 / 3), 0.5, (2.5 - 1 / 3) / (2 * 17 / 6)]
    )
    np.testing.assert_allclose(value(log, "provider_parity")[0], [1 - (6 / 7 - 0.5), 0.5, 1 - (15 / 17 - 0.5)])
    assert np.isnan(value(log, "item_gini")[1]).all()


def test_coverage_counts_what_an_agent_may_show() -> None:
    log = tiny_log(
        items={"domains": 2}, candidates={"number": 2}, roles=({"name": "a", "domains": (0,)}, {"name": "b"})
    )
    serve(log, 0, 0, 5, [[0, -1], [2, 3]])
    np.testing.assert_allclose(value(log, "coverage")[0], [1 / 2, 2 / 4, 3 / 4])


def test_repetition_counts_persons() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, 3]])
    serve(log, 1, 0, 6, [[0, 1], [2, 3]])  # someone else
    serve(log, 2, 0, 5, [[0, 2], [3, -1]])  # 0 again from the same agent, 2 from the other, 3 again
    serve(log, 0, 1, 5, [[0, 1], [2, 3]])  # another copy's person
    np.testing.assert_allclose(value(log, "repetition"), [[1 / 6, 1 / 5, 3 / 11], [0, 0, 0]])


def test_group_gap() -> None:
    log = tiny_log()
    for t, group in enumerate((0, 0, 1, 1)):
        serve(log, t, 0, 5 + group, [[0, 1], [2, 3]])
        serve(log, t, 1, 5 + group, [[0, 1], [2, 3]])
        log.group[t] = group
    log.clicked[:2, :, 0, 0] = True  # group 0 clicks on every page in both copies,
    log.clicked[2, 1, 0, 0] = True  # group 1 once, in copy 1
    log.clicked[2, 0, 1, 0] = True  # agent 1: once by group 1, in copy 0
    # The best group of copy 0 is that of copy 1, where agent 1 has no click: of equal groups the first one counts.
    np.testing.assert_allclose(value(log, "group_gap"), [[1, 0, 0.5], [0.5, 0, 0.5]])
    assert np.isnan(value(tiny_log(users={"groups": 1}), "group_gap")).all()


def test_returning_and_visit_gap() -> None:
    log = EpisodeLog(vector_env(TINY, 2, horizon=9))
    for t, visitor in enumerate((5, 5, 6, -1, -1, 5, 7, 5, 5)):
        if visitor >= 0:
            serve(log, t, 0, visitor, [[0, 1], [] if t == 2 else [2, 3]])
    for t in (0, 2, 5, 6, 7):
        log.new_session[t, 0] = True  # person 5: ticks 0-1, 5, 7-8; persons 6 and 7 once
    np.testing.assert_allclose(value(log, "returning"), [[1 / 3, 1 / 2, 1 / 3], [NAN, NAN, NAN]])
    np.testing.assert_allclose(value(log, "visit_gap")[0], [((5 - 1) + (7 - 5)) / 2] * 3)
    log.satisfaction[:, 0] = 0.5
    log.satisfaction[2, 0] = -0.5
    np.testing.assert_allclose(value(log, "satisfaction")[0], [(6 * 0.5 - 0.5) / 7, 0.5, (6 * 0.5 - 0.5) / 7])


def test_cold_users_and_items_apart() -> None:
    log = tiny_log()
    serve(log, 0, 0, 5, [[0, 1], [2, 3]])
    serve(log, 1, 0, 5, [[0, 1], [2, 3]])
    log.first_session[0, 0] = True
    log.clicked[0, 0, 0, 0] = log.clicked[1, 0, 1, 1] = True
    log.cold[:2, 0, 0, 0] = True
    np.testing.assert_allclose(value(log, "ctr_new_users")[0], [1 / 2, 0, 1 / 4])
    np.testing.assert_allclose(value(log, "ctr_known_users")[0], [0, 1 / 2, 1 / 4])
    np.testing.assert_allclose(value(log, "ctr_cold_items")[0], [1 / 2, NAN, 1 / 2])
    np.testing.assert_allclose(value(log, "ctr_warm_items")[0], [0, 1 / 4, 1 / 6])


def test_seen_people_are_those_of_earlier_episodes_of_a_fixed_population() -> None:
    for population, seen in (("fixed", [1 / 2, NAN]), ("fresh", [NAN, NAN])):
        log = EpisodeLog(vector_env(TINY, 2, users={"population": population}), seen=[5])
        serve(log, 0, 0, 5, [[0, 1], [2, 3]])
        serve(log, 0, 1, 6, [[0, 1], [2, 3]])
        log.clicked[0, :, 0, 0] = True
        np.testing.assert_allclose(value(log, "ctr_seen_users")[:, 0], seen)
        np.testing.assert_allclose(
            value(log, "ctr_unseen_users")[:, 0], [NAN, 1 / 2] if population == "fixed" else [NAN, NAN]
        )


# ------------------------------------------------------------------------------------------------ against the game

BUSY = WorldConfig(
    num_agents=2,
    slots=3,
    horizon=60,
    scenes=({"name": "page", "cart": True},),
    users={"number": 3},
    candidates={"number": 8},
    items={"number": 30, "dims": 4, "topics": 5, "life": 40, "period": 60},
    choice={"v_0": 2.0},
    arrival={"r_0": 1.0},
    feedback={"b_0": 1.0, "cart_hazard": 0.4, "rating_after_click": 0.3, "rating_after_purchase": 0.5},
    reward={"click": 0.25, "purchase": 1.0},
)


def played(config: WorldConfig, policy: str, copies: int = 6) -> tuple[EpisodeLog, np.ndarray]:
    envs = VectorEnv(config, copies)
    team = Team(envs, dict.fromkeys(envs.possible_agents, policy), 0)
    observations, _ = envs.reset(seed=0)
    log = EpisodeLog(envs)
    return log, play_episode(envs, team, observations, log)


@pytest.mark.parametrize(
    "overrides", [{}, {"feedback": {"instant": True}}, {"action": "items"}, {"page": "rival"}], ids=str
)
def test_rewards_follow_from_the_log(overrides: dict[str, Any]) -> None:
    """own = .25 clicks + the prices paid (a margin of 1 per mean list price), so that clicks and revenue are those of
    the game."""
    log, own = played(recsys_env.replace(BUSY, overrides), "random")
    values = measure(log)
    assert all(found.shape == (6, 3) for found in values.values())
    assert log.clicked.sum() > 20
    assert log.purchases.sum() > 5
    np.testing.assert_allclose(0.25 * log.clicked.sum((0, 3)) + values["revenue"][:, :2], own, rtol=1e-4)


def test_metrics_change_nothing_that_is_played() -> None:
    _, own = played(BUSY, "content")
    envs = VectorEnv(BUSY, 6)
    team = Team(envs, dict.fromkeys(envs.possible_agents, "content"), 0)
    np.testing.assert_array_equal(play_episode(envs, team, envs.reset(seed=0)[0]), own)


@pytest.mark.parametrize("action", ["candidates", "items"])
def test_the_ideal_slate_is_the_best_of_the_true_utility(action: str) -> None:
    """Paid by the click alone and without a rival's page to count with, the oracle's slate is the ideal one; the random
    one is not."""
    config = recsys_env.replace(
        BUSY,
        {"action": action, "page": "rival", "scenes": ({"name": "page"},), "reward": {"click": 1.0, "purchase": 0.0}},
    )
    best, random = (measure(played(config, policy)[0])["ndcg"] for policy in ("greedy", "random"))
    np.testing.assert_allclose(best[np.isfinite(best)], 1.0, rtol=1e-5)
    assert np.nanmax(random) < 0.9


def test_prices_that_agents_set_do_not_count_as_quality_of_the_slate() -> None:
    """The same slates have the same gain at any price, and none is above the ideal."""
    found = []
    for level in (0, 2, 4):
        envs = vector_env("market-v0", 16)
        envs.reset(seed=0)
        log = EpisodeLog(envs)
        log.look()
        picks = np.broadcast_to(np.arange(envs.shape.slots), (16, envs.num_agents, envs.shape.slots))
        log.record(envs.step(envs.encode_actions(picks, np.full((16, envs.num_agents), level)))[4])
        assert ((log.gain[0] * log.discount).sum(2) <= log.ideal[0, :, :, 0] + 1e-5).all()
        found.append((log.item[0].copy(), log.gain[0].copy()))
    assert (found[0][1] > 0.05).any()
    for item, gain in found[1:]:
        np.testing.assert_array_equal(item, found[0][0])
        np.testing.assert_array_equal(gain, found[0][1])


def test_gain_is_the_probability_of_a_click_on_the_item_alone() -> None:
    """One agent, one slot, no examination: `expected_feedback` says the same."""
    config = recsys_env.replace(BUSY, {"num_agents": 1, "slots": 1, "choice": {"eta": 0.0, "kappa": 0.0}})
    envs = VectorEnv(config, 40)
    envs.reset(seed=0)
    log = EpisodeLog(envs)
    actions = envs.empty_actions()
    for t in range(5):
        expected = envs.expected_feedback(actions)["click"][:, 0, 0]
        log.look()
        log.record(envs.step(actions)[4])
        np.testing.assert_allclose(log.gain[t, :, 0, 0], expected, rtol=1e-5)
    assert (log.gain[:5] > 0).sum() > 50


def test_cold_items_are_those_of_few_clicks() -> None:
    """Items of a window that opened within the episode start without a click; 40 clicks of history are warm until
    then."""
    config = recsys_env.replace(
        BUSY,
        {
            "items": {
                "popularity_log_sd": 0.0,
                "popularity_mean": 40.0,
                "popularity_half_life": 1e9,
                "life": 30,
                "period": 30,
            }
        },
    )
    log, _ = played(config, "random")
    offset = log.envs.world.items["offset"]
    t, b, n, k = np.nonzero(log.item >= 0)
    item, cold = log.item[t, b, n, k], log.cold[t, b, n, k]
    reborn = (t + offset[item]) // 30 > offset[item] // 30
    assert not cold[~reborn].any()
    assert reborn.sum() > 100
    assert cold[reborn].mean() > 0.9  # few have had COLD_CLICKS clicks since
    assert COLD_CLICKS == 5


def test_first_sessions_and_new_sessions() -> None:
    log, _ = played(recsys_env.replace(BUSY, {"arrival": {"d_0": 0.5}}), "random")
    for b in range(6):
        persons = log.visitor[:, b]
        seen: dict[int, int] = {}
        for t in np.nonzero(persons >= 0)[0]:
            seen[persons[t]] = seen.get(persons[t], 0) + bool(log.new_session[t, b])
            assert log.first_session[t, b] == (seen[persons[t]] == 1)
    assert 0 < np.nanmean(measure(log)["returning"][:, 2]) < 1
