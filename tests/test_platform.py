"""A platform of creators: what is published, how the page is ranked, what creators see, and what bait does to the
audience that all share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, VectorEnv, WorldConfig, exact, parallel_env, replace, vector_env
from recsys_env.policies import POLICIES, Team, make_policy

N, W, T, L, PERIOD = 3, 2, 4, 3, 5
SMALL = WorldConfig(
    num_agents=N,
    slots=1,
    page="platform",
    action="publish",
    horizon=40,
    users={"number": 4},
    items={"dims": 4, "topics": T, "quality_sd": 0.0},
    choice={"v_0": -50.0, "beta_taste": 0.0, "beta_quality": 0.0, "eta": 0.0, "kappa": 0.0},
    feedback={"noise_scale": 0.0, "a_taste": 0.0, "a_quality": 0.0},
    arrival={"r_0": 40.0, "k_0": -40.0},
    platform={"places": 2, "period": PERIOD, "window": W, "bait_levels": L},
)


def batch(num_envs: int = 8, **changes: Any) -> VectorEnv:
    envs = vector_env(SMALL, num_envs, **changes)
    envs.reset(seed=3)
    return envs


def same(envs: VectorEnv, *actions: int) -> np.ndarray:
    """The same actions, one per agent, in all copies."""
    return np.broadcast_to(np.array(actions), (envs.num_envs, len(actions)))


def item(n: int, place: int, topic: int, level: int) -> int:
    return ((n * W + place) * T + topic) * L + level


# ------------------------------------------------------------------------------------------------ publishing


def test_a_creator_owns_an_item_for_each_place_topic_and_level() -> None:
    envs = batch(1)
    items = envs.world.items
    assert len(items) == N * W * T * L == envs.shape.items
    grid = items.reshape(N, W, T, L)
    assert (grid["topic"] == np.arange(T)[:, None]).all()
    np.testing.assert_allclose(grid["bait"], np.broadcast_to([0, 0.5, 1], grid.shape))
    assert envs.world.allowed.reshape(N, N, -1).all(2).tolist() == np.eye(N, dtype=bool).tolist()
    assert envs.action_space.n == T * L  # type: ignore[attr-defined]


def test_windows_hold_what_was_published_last_and_other_actions_count_for_nothing() -> None:
    envs = batch(2)
    published: list[list[int]] = []
    rng = np.random.default_rng(0)
    for t in range(4 * PERIOD):
        actions = rng.integers(0, T * L, (2, N))
        assert envs.active.all() == (t % PERIOD == 0) == envs.active.any()
        envs.step(actions)
        if t % PERIOD == 0:
            place = len(published) % W
            published.append([item(n, place, *divmod(int(a), L)) for n, a in enumerate(actions[0])])
        expected = np.full((N, W), -1)
        for d, items in enumerate(published):
            expected[:, d % W] = items
        assert envs.arrays.windows[0].tolist() == expected.tolist()


def test_pages_tell_what_was_published() -> None:
    env = parallel_env(SMALL, render_mode="ansi")
    env.reset(seed=0)
    topics = env.vector.texts.topics
    for decision in range(2):
        for tick in range(PERIOD):
            env.step({agent: n * L + decision for n, agent in enumerate(env.agents)})
            lines = str(env.render()).splitlines()
            for n, agent in enumerate(env.possible_agents):
                (line,) = (line for line in lines if line.startswith(f"  {agent} "))
                said = f"published item {item(n, decision, n, decision)} "
                assert (said in line) == (tick == 0)
                assert line.endswith(f", clickbait {decision / (L - 1):.2g}, topic {topics[n]}") == (tick == 0)


def test_an_episode_begins_with_empty_windows() -> None:
    envs = batch(2, horizon=PERIOD + 2)
    assert (envs.arrays.windows == -1).all()
    for _ in range(PERIOD + 2):
        envs.step(same(envs, 1, 2, 3))
    assert (envs.arrays.windows == -1).all()
    assert (envs.arrays.copies["tick"] == 0).all()
    assert envs.active.all()


def test_creators_decide_whether_somebody_visits_or_not() -> None:
    envs = batch(2, arrival={"r_0": -40.0})
    _, _, _, _, infos = envs.step(same(envs, 1, 2, 3))
    assert (infos["visitor"] == -1).all()
    assert (envs.arrays.windows[..., 0] >= 0).all()


# ------------------------------------------------------------------------------------------------ the ranker


def scores(envs: VectorEnv) -> np.ndarray:
    """Score [B, N, W] of every item in the windows for the present visitor, without noise."""
    state, c = envs.arrays, envs.config.platform
    at = envs.world.params["shape"]["profile"][0]
    profile = state.vectors[np.arange(envs.num_envs), state.copies["row"], at : at + envs.shape.dims]
    items = np.maximum(state.windows, 0)
    match = np.einsum("bd,bnwd->bnw", profile.astype(float), envs.world.item_vectors[items])
    found = c.match * match + c.bait * envs.world.items["bait"][items]
    return np.where(state.windows >= 0, found, -np.inf)


@pytest.mark.parametrize(("match", "bait"), [(4.0, 0.0), (4.0, 1.5), (-2.0, -1.0)])
def test_the_page_shows_the_best_item_of_the_best_creators(match: float, bait: float) -> None:
    envs = batch(50, num_agents=4, platform={"match": match, "bait": bait, "noise": 0.0, "places": 3})
    rng = np.random.default_rng(1)
    for t in range(3 * PERIOD):
        if t % PERIOD == 0:
            envs.step(rng.integers(0, T * L, (50, 4)))
            continue
        wanted, windows = scores(envs), envs.arrays.windows.copy()
        _, _, _, _, infos = envs.step(envs.empty_actions())
        best = wanted.max(2)
        order = np.argsort(-best, axis=1)
        for b in range(50):
            ranked = infos["rank"][b, :, 0]
            assert [int(np.flatnonzero(ranked == r)[0]) for r in range(3)] == order[b, :3].tolist()
            for n in order[b, :3]:
                assert infos["shown"][b, n, 0] == windows[b, n, wanted[b, n].argmax()]
            assert infos["shown"][b, order[b, 3], 0] == -1
            assert ranked[order[b, 3]] == -1
        assert (infos["empty"] == 0).all()


def test_noise_makes_the_ranking_a_draw_by_softmax() -> None:
    """With one place, and no match, the creator with bait c is shown with probability sigmoid(bait * c / noise)."""
    envs = batch(4000, num_agents=2, platform={"match": 0.0, "bait": 2.0, "noise": 2.0, "places": 1, "period": 50})
    shown = np.zeros(2)
    for _ in range(5):
        _, _, _, _, infos = envs.step(same(envs, L - 1, 0))
        shown += (infos["shown"][:, :, 0] >= 0).sum(0)
    pages = 5 * 4000
    assert shown.sum() == pages
    probability = 1 / (1 + np.exp(-1.0))
    assert abs(shown[0] / pages - probability) < 5 * (probability * (1 - probability) / pages) ** 0.5


def test_what_a_page_is_expected_to_bring_is_what_it_brings_and_changes_nothing() -> None:
    envs = batch(20, choice={"v_0": 0.0, "beta_bait": 1.0, "beta_taste": 1.0, "eta": 0.5})
    rng = np.random.default_rng(2)
    for _ in range(2 * PERIOD + 1):
        actions = rng.integers(0, T * L, (20, N))
        before = [array.tobytes() for array in envs.arrays]
        told, expected = envs.explain(actions), envs.expected_feedback(actions)
        assert [array.tobytes() for array in envs.arrays] == before
        _, _, _, _, infos = envs.step(actions)
        assert told["item"].tolist() == infos["shown"].tolist()
        assert told["rank"].tolist() == infos["rank"].tolist()
        np.testing.assert_allclose(told["click"], expected["click"], atol=1e-6)
        bait = envs.world.items["bait"][np.maximum(told["item"], 0)]
        np.testing.assert_allclose(told["terms"]["bait"], np.where(told["item"] >= 0, bait, 0.0), atol=1e-6)


# ------------------------------------------------------------------------------------------------ what creators see


def field(envs: VectorEnv, name: str) -> np.ndarray:
    return envs.field(envs.observations, name)


def test_creators_see_their_windows_and_the_others_when_they_decide() -> None:
    envs = batch(2, choice={"v_0": 0.0}, arrival={"r_0": 0.0})
    assert (field(envs, "window_topics") == 0).all()
    assert (field(envs, "others_bait") == 0).all()
    clicks, pages = np.zeros((2, N)), np.zeros(2)
    plans = ([1 * L + 2, 0 * L + 0, 3 * L + 1], [2 * L + 1, 1 * L + 2, 0 * L + 2], [0, 0, 0])
    for d, plan in enumerate(plans):
        for t in range(PERIOD):
            np.testing.assert_allclose(field(envs, "until_decision"), (PERIOD - t) % PERIOD / PERIOD, rtol=1e-6)
            if t:
                columns = envs.observation_fields
                seen = {"role", "agent_id", "until_decision"}
                for name in columns.keys() - seen:
                    assert (field(envs, name) == 0).all(), name
            _, rewards, _, _, infos = envs.step(same(envs, *plan))
            clicks = infos["clicked"].sum(2) + (clicks if t else 0)
            pages = (infos["visitor"].max(1) >= 0) + (pages if t else 0)
            np.testing.assert_allclose(rewards, infos["clicked"].sum(2))
        topics = field(envs, "window_topics").reshape(2, N, W, T)
        baits, counted = field(envs, "window_bait"), field(envs, "window_clicks")
        for age, past in enumerate(reversed(plans[max(d - 1, 0) : d + 1])):
            for n in range(N):
                topic, level = divmod(past[n], L)
                assert topics[:, n, age].tolist() == np.eye(T)[[topic, topic]].tolist()
                assert (baits[:, n, age] == level / (L - 1)).all()
        np.testing.assert_allclose((5 * counted / (1 - counted)).sum(2), clicks, atol=1e-5)
        np.testing.assert_allclose(field(envs, "demand")[..., 0], np.repeat(pages[:, None], N, 1) / PERIOD, rtol=1e-6)
        for n in range(N):
            others = [m for m in range(N) if m != n]
            mean = np.mean([plan[m] % L / (L - 1) for m in others])
            np.testing.assert_allclose(field(envs, "others_bait")[:, n, 0], mean, rtol=1e-6)
            stands = [past[m] // L for past in plans[max(d - 1, 0) : d + 1] for m in others]
            share = np.bincount(stands, minlength=T) / len(stands)
            np.testing.assert_allclose(field(envs, "others_topics")[:, n], np.stack([share, share]), rtol=1e-6)


def test_creators_meet_no_visitor() -> None:
    envs = batch(4)
    assert (envs.next_visitor == -1).all()
    assert not {"visitor_present", "profile", "clicked_mean", "observed_satisfaction"} & envs.observation_fields.keys()
    _, _, _, _, infos = envs.step(same(envs, 0, 1, 2))
    assert (infos["visitor"] >= 0).all()  # whose page it was


# ------------------------------------------------------------------------------------------------ the commons


def test_clicked_bait_lowers_satisfaction_and_visits() -> None:
    """e = 1.5 - 3 c moves satisfaction to tanh(e), and visits follow by sigmoid(r_0 + r_1 z)."""
    changes: dict[str, Any] = {
        "users": {"number": 1},
        "horizon": 1000,
        "feedback": {"e_0": 1.5, "a_bait": 3.0},
        "dynamics": {"z_rate": 0.5, "z_rate_none": 0.0},
        "arrival": {"r_0": 0.0, "r_1": 2.0},
    }
    for level, z in ((0, np.tanh(1.5)), (1, 0.0), (2, -np.tanh(1.5))):
        envs = batch(200, **changes)
        for _ in range(200):
            envs.step(same(envs, level, level, level))
        np.testing.assert_allclose(envs.arrays.users["satisfaction"], z, atol=1e-3)
        visits = np.array([(envs.step(same(envs, *[level] * N))[4]["visitor"][:, 0] >= 0) for _ in range(50)])
        expected = 1 / (1 + np.exp(-2.0 * z))
        assert abs(visits.mean() - expected) < 5 * (expected * (1 - expected) / visits.size) ** 0.5


def returns(num_agents: int, *policies: str, copies: int = 6) -> np.ndarray:
    """Clicks of each agent in an episode of creators-v0, of which the first plays the first policy and all others the
    second."""
    envs = vector_env("creators-v0", copies, specialize=False, num_agents=num_agents)
    first, rest = policies[0], policies[-1]
    team = Team(envs, {agent: rest if n else first for n, agent in enumerate(envs.possible_agents)}, 0)
    observations, _ = envs.reset(seed=5)
    total, actions = np.zeros((copies, num_agents)), envs.empty_actions()
    for _ in range(envs.config.horizon):
        if envs.active.any():  # the actions of other ticks count for nothing
            team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        total += infos["individual_reward"]
    assert truncated.all()
    return total.mean(0)


def test_bait_pays_for_one_of_many_and_ruins_all() -> None:
    fair, bait = returns(20, "creators-fair").mean(), returns(20, "creators-bait").mean()
    assert returns(20, "creators-bait", "creators-fair")[0] > 2 * fair
    assert returns(20, "creators-fair", "creators-bait")[0] < 0.5 * bait
    assert bait < 0.4 * fair


def test_two_creators_have_no_reason_to_bait() -> None:
    fair = returns(2, "creators-fair").mean()
    assert returns(2, "creators-bait", "creators-fair")[0] < 0.7 * fair


# ------------------------------------------------------------------------------------------------ policies


def test_policies_of_creators() -> None:
    envs = batch(2)
    _, first, second = (make_policy(f"creators-{name}") for name in ("fair", "bait", "reciprocal"))
    fair = make_policy("creators-fair")
    for policy, n in ((fair, 0), (first, 1), (second, 2)):
        policy.bind(envs, envs.possible_agents[n], 0)
    observations = envs.observations
    assert fair.act(observations[:, 0]).tolist() == [0, 0]  # topic 0
    assert first.act(observations[:, 1]).tolist() == [1 * L + 2] * 2  # topic 1, its turn
    assert second.act(observations[:, 2]).tolist() == [2 * L] * 2  # nobody has baited yet
    for level, answer in ((1, 0), (2, 2)):  # a mean of a half is not much
        for _ in range(PERIOD):
            envs.step(same(envs, level, level, 2 * L))
        assert second.act(envs.observations[:, 2]).tolist() == [3 * L + answer] * 2


def test_the_myopic_creator_publishes_what_is_clicked_most() -> None:
    envs = batch(3, choice={"v_0": 1.0, "beta_bait": 3.0})
    policy = make_policy("creators-myopic")
    policy.bind(envs, envs.possible_agents[1], 0)
    for d in range(3):
        own = envs.public_items()["ctr"].reshape(3, N, W, T * L)[:, 1, d % W]
        assert policy.act(envs.observations[:, 1]).tolist() == own.argmax(1).tolist()
        assert (own.argmax(1) % L == L - 1).all()  # most bait
        for _ in range(PERIOD):
            envs.step(same(envs, 0, 0, 0))


@pytest.mark.parametrize("name", ["popularity", "content", "static", "observer", "greedy", "central", "linucb"])
def test_policies_that_choose_pages_refuse_a_platform(name: str) -> None:
    assert name in POLICIES
    with pytest.raises(ValueError, match="chooses the items of a page, and with page = 'platform' a fixed ranker does"):
        make_policy(name).bind(batch(1), "recommender_0", 0)


def test_creators_refuse_other_pages() -> None:
    with pytest.raises(ValueError, match="Fair publishes items, which needs page = 'platform'; here page = 'rows'"):
        make_policy("creators-fair").bind(vector_env("duel-v1", 1), "recommender_0", 0)


# ------------------------------------------------------------------------------------------------ refusals


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"action": "items"}, "page = 'platform' and action = 'publish' need each other"),
    ({"page": "rows"}, "page = 'rows' with action = 'publish'"),
    ({"slots": 2}, "page = 'platform' cannot have slots = 2; 1 is allowed"),
    ({"items": {"number": 7}}, "items.number = 7; 200, the default, is allowed"),
    ({"items": {"bait_shape": 3.0}}, "items.bait_shape = 3.0; 1.5, the default"),
    ({"items": {"bait_topic_share": 0.5}}, "items.bait_topic_share = 0.5; 0.0, the default"),
    ({"items": {"life": 7}}, "items.life = 7; 0, the default"),
    ({"messages": 3}, "messages = 3; 0 is allowed"),
    ({"observability": "full"}, "observability = 'full'; 'partial' is allowed"),
    ({"offer": {"kind": "price"}, "feedback": {"instant": True}}, "offer.kind = 'price'; 'none' is allowed"),
    ({"observation": {"recent": 2}}, "observation.recent = 2; 0 is allowed"),
    ({"observation": {"privacy_epsilon": 1.0}}, "observation.privacy_epsilon > 0; 0 is allowed"),
    ({"observation": {"request": True}, "users": {"request": 1.0}}, "observation.request = True; False is allowed"),
    ({"roles": ({"name": "creator", "items": (1,)},)}, "inventories of the roles"),
    ({"roles": ({"name": "creator", "knows": (0, 0, 1, 1)},)}, r"roles.knows of \['creator'\]; none is allowed"),
    ({"scenes": ({"name": "a"}, {"name": "b"})}, "several scenes"),
    ({"platform": {"period": 0}}, "PlatformConfig.period = 0"),
    ({"platform": {"bait_levels": 1}}, "PlatformConfig.bait_levels = 1"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_a_platform_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, changes)


def test_a_platform_has_no_exact_tables() -> None:
    with pytest.raises(ValueError, match="page = 'platform' has windows of published items"):
        exact.tabulate(SMALL)


def test_a_snapshot_holds_the_windows_and_foreign_items_are_refused() -> None:
    envs, other = batch(3), batch(3)
    rng = np.random.default_rng(4)
    plan = rng.integers(0, T * L, (4 * PERIOD, 3, N))
    for actions in plan[: PERIOD + 2]:
        envs.step(actions)
    snapshot = envs.save()
    other.restore(snapshot)
    for actions in plan[PERIOD + 2 :]:
        mine, theirs = envs.step(actions), other.step(actions)
        assert mine[0].tolist() == theirs[0].tolist()
        assert mine[1].tolist() == theirs[1].tolist()


def test_creators_v0_is_a_platform_of_twenty() -> None:
    config = TASKS["creators-v0"]
    assert (config.num_agents, config.page, config.action) == (20, "platform", "publish")
    for number in (2, 50):
        envs = vector_env(config, 1, num_agents=number)
        assert envs.shape.items == number * envs.shape.window * envs.shape.topics * envs.shape.bait_levels
