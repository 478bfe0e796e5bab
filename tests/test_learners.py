"""Policies that learn: their models are those of the papers and libraries, they know who is who, and they get
better."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import recsys_env
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.evaluation import mean_interval
from recsys_env.policies import Policy, Team, make_policy
from recsys_env.policies.bandits import UCB1, LinearThompson, LinUCB
from recsys_env.policies.logged import People
from recsys_env.policies.ranking import Appraiser, Ranker

torch = pytest.importorskip("torch")
pytest.importorskip("implicit")
surprise = pytest.importorskip("surprise")

SMALL = WorldConfig(
    num_agents=1,
    slots=2,
    horizon=100,
    users={"number": 4, "habit_size": 4},
    candidates={"number": 8, "topic_scale": 0.0},
    items={"number": 30, "dims": 4, "topics": 4, "intercept_sd": 1.5},
    choice={"v_0": 2.0},
    arrival={"r_0": 4.0},
)
BANDITS = ("linucb", "linear-thompson", "epsilon-greedy", "thompson")
COLLABORATIVE = ("implicit", "implicit-bpr", "implicit-knn", "surprise", "surprise-knn") + ("lightfm",) * bool(
    importlib.util.find_spec("lightfm")
)
DEEP = ("two-tower", "sasrec")


def play(
    envs: VectorEnv, policy: str | Policy, episodes: int = 1, seed: int = 0
) -> tuple[Any, np.ndarray, list[np.ndarray]]:
    """The policy after some episodes as agent 0 (the others are random), individual rewards [episodes, B], and its
    actions."""
    policies: dict[str, str | Policy] = {
        **dict.fromkeys(envs.possible_agents, "random"),
        envs.possible_agents[0]: policy,
    }
    team, joint, taken = Team(envs, policies, seed), envs.empty_actions(), []
    own = np.zeros((episodes, envs.num_envs))
    for episode in range(episodes):
        observations, _ = envs.reset(seed=seed + 100 * episode)
        if episode:
            team.reset()
        for _ in range(envs.config.horizon):
            team.act(observations, joint)
            taken.append(joint[:, 0].copy())
            observations, _, _, truncated, infos = envs.step(joint)
            own[episode] += infos["individual_reward"][:, 0]
            team.observe(infos, truncated)
    return team.policies[envs.possible_agents[0]], own, taken


# ------------------------------------------------------------------------------------------------ options and values


class Noted(Ranker):
    """Random scores; keeps them."""

    def score(self, observations: np.ndarray) -> np.ndarray:
        self.scores = self.rng.random(self.items.shape)
        return self.scores


@pytest.mark.parametrize("task", ["ecommerce-v1", "journey-v1", "news-v1", "streaming-v1", "grocery-v1", "rivals-v1"])
def test_options_are_the_candidates_as_observed(task: str) -> None:
    envs = vector_env(task, 3)
    policy, joint = Noted(), envs.empty_actions()
    policy.bind(envs, envs.possible_agents[1], 0)
    observations, _ = envs.reset(seed=1)
    for _ in range(60):
        joint[:, 1] = policy.act(observations[:, 1])
        seen = envs.field(observations, "candidates")[:, 1].reshape(policy.features.shape)
        np.testing.assert_allclose(policy.features, seen, atol=2e-6)
        np.testing.assert_array_equal(policy.items >= 0, (seen != 0).any(2))
        active, chosen = envs.active[:, 1].copy(), np.take_along_axis(policy.items, policy.picks, 1)
        observations, _, _, _, infos = envs.step(joint)
        shown = infos["shown"][active, 1]
        assert ((shown == chosen[active]) | (shown < 0)).all()


def test_items_by_name_are_described_as_candidates_are() -> None:
    """Without a historical log, which is of candidates where candidates are what was shown."""
    by_item, by_candidate = (
        vector_env("ecommerce-v1", 2, action=action, items={"log_impressions": 0.0})
        for action in ("items", "candidates")
    )
    one, two = Noted(), Noted()
    one.bind(by_item, "recommender_0", 0)
    two.bind(by_candidate, "recommender_0", 0)
    one.act(by_item.reset(seed=4)[0][:, 0])
    two.act(by_candidate.reset(seed=4)[0][:, 0])
    for b in range(2):
        listed = two.items[b][two.items[b] >= 0]
        np.testing.assert_allclose(one.features[b, listed], two.features[b, : len(listed)], atol=1e-6)
    assert one.feature_names == two.feature_names


def test_a_query_points_to_the_options_it_wants() -> None:
    envs = vector_env(SMALL, 5, action="query", slots=1)
    policy = Noted()
    policy.bind(envs, "recommender_0", 0)
    action = policy.act(envs.reset(seed=0)[0][:, 0])
    shown = envs.step(action[:, None])[4]["shown"][:, 0, 0]
    wanted = np.where(policy.items >= 0, policy.scores, -1).argmax(1)
    assert (shown == wanted)[shown >= 0].all()


def test_items_are_described_without_what_the_role_hides() -> None:
    """Where options are items, no observation holds their features: they follow from its other fields, hidden ones left
    out."""
    for hidden, unseen in (
        (("profile",), {"profile_match"}),
        (("clicked_mean", "topic_counts"), {"history_match", "repeat", "topic_count"}),
        ((), set()),
    ):
        envs = vector_env(SMALL, 20, action="items", roles=({"hidden": hidden},))
        policy, _, _ = play(envs, Noted())
        seen = {name for f, name in enumerate(policy.feature_names) if policy.features[:, :, f].any()}
        assert seen == set(policy.feature_names) - unseen


def test_slots_are_worth_what_the_agent_earns() -> None:
    """Over an episode, values without the carts' advance and later purchases add up to the individual rewards."""
    envs = vector_env("ecommerce-v1", 20, reward={"cart": 0.1}, feedback={"b_0": -1.0})
    appraise, total, later, advance = Appraiser(envs, 0), 0.0, 0.0, 0.0
    own = 0.0
    team, joint = Team(envs, dict.fromkeys(envs.possible_agents, "content"), 0), envs.empty_actions()
    observations, _ = envs.reset(seed=0)
    for _ in range(300):
        team.act(observations, joint)
        observations, _, _, _, infos = envs.step(joint)
        told = recsys_env.policies.feedback(infos, 0)
        total += appraise(told).sum()
        bought = told["later_item"] >= 0
        later += told["later_price"][bought].sum()
        advance += told["cart"].sum() * appraise._sales / max(appraise._carts, 1)
        own += infos["individual_reward"][:, 0].sum()
    assert later > 1
    assert total - advance + later == pytest.approx(own, rel=1e-5)


# ------------------------------------------------------------------------------------------------ people


def test_people_are_told_apart_and_forgotten() -> None:
    people = People(vector_env(SMALL, 3))
    np.testing.assert_array_equal(
        people.rows(np.array([7, 7, -1])), [0, 1, -1]
    )  # the same id in two copies is two persons
    assert people.rows(np.array([9, 7, 5])).tolist() == [3, 1, 2]
    assert len(people) == 4
    known = people.rows(np.array([7, 7, 5]))
    people.begin(np.array([True, False, False]))
    after = people.rows(np.array([7, 7, 5]))
    assert after[0] == 4
    np.testing.assert_array_equal(after[1:], known[1:])


def test_the_same_customers_come_back_to_a_fixed_population() -> None:
    people = People(vector_env(SMALL, 3, users={"population": "fixed"}))
    first = people.rows(np.array([7, 7, 9]))
    people.begin(np.ones(3, bool))
    np.testing.assert_array_equal(people.rows(np.array([7, 7, 9])), first)
    assert first[0] == first[1] != first[2]


# ------------------------------------------------------------------------------------------------ bandits


def test_the_hybrid_model_is_the_joint_ridge_regression() -> None:
    envs = vector_env(SMALL, 2)
    bandit, rng = LinUCB(alpha=1.0), np.random.default_rng(0)
    bandit.bind(envs, "recommender_0", 0)
    d, m = len(bandit.feature_names) + 1, envs.shape.items
    items, features, values = rng.integers(0, m, 200), rng.normal(size=(200, d - 1)), rng.random(200)
    for part in np.split(np.arange(200), 10):
        bandit.learn(items[part], features[part], values[part])
    x = np.concatenate((features, np.ones((200, 1)), np.eye(m)[items]), 1)
    precision = np.eye(d + m) + x.T @ x
    joint = np.linalg.solve(precision, x.T @ values)
    shared, _ = bandit._solve()
    np.testing.assert_allclose(shared, joint[:d], atol=1e-10)
    np.testing.assert_allclose(bandit._intercepts(np.arange(m), shared), joint[d:], atol=1e-10)
    bandit.items[:] = rng.integers(0, m, bandit.items.shape)
    bandit.features[:] = rng.normal(size=bandit.features.shape)
    z = np.concatenate((bandit.features, np.ones((*bandit.items.shape, 1)), np.eye(m)[bandit.items]), 2)
    width = np.sqrt(np.einsum("bcd,de,bce->bc", z, np.linalg.inv(precision), z))
    np.testing.assert_allclose(bandit.score(np.empty(0)), z @ joint + bandit._scale * width, rtol=1e-6)


def test_thompson_draws_from_the_posterior_of_the_hybrid_model() -> None:
    envs = vector_env(SMALL, 2000)
    bandit, rng = LinearThompson(), np.random.default_rng(0)
    bandit.bind(envs, "recommender_0", 0)
    d, m = len(bandit.feature_names) + 1, envs.shape.items
    items, features, values = rng.integers(0, m, 100), rng.normal(size=(100, d - 1)), rng.random(100)
    bandit.learn(items, features, values)
    x = np.concatenate((features, np.ones((100, 1)), np.eye(m)[items]), 1)
    precision = np.eye(d + m) + x.T @ x
    joint = np.linalg.solve(precision, x.T @ values)
    bandit.items[:], bandit.features[:] = (
        rng.integers(0, m, bandit.items.shape[1]),
        rng.normal(size=bandit.features.shape[1:]),
    )
    z = np.concatenate((bandit.features[0], np.ones((bandit.items.shape[1], 1)), np.eye(m)[bandit.items[0]]), 1)
    drawn = bandit.score(np.empty(0))
    deviation = bandit._scale * np.sqrt(np.einsum("cd,de,ce->c", z, np.linalg.inv(precision), z))
    np.testing.assert_allclose(drawn.mean(0), z @ joint, atol=5 * deviation.max() / 2000**0.5)
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.1)


def test_ucb1_tries_everything_and_then_prefers_what_pays() -> None:
    envs = vector_env(SMALL, 1, action="items", slots=1)
    bandit = UCB1()
    bandit.bind(envs, "recommender_0", 0)
    bandit.items[:] = np.arange(30)
    bandit.learn(np.zeros(1, int), np.zeros((1, 1)), np.ones(1))
    assert bandit.score(np.empty(0))[0].argmax() == 1  # although the first item was clicked
    bandit.bind(envs, "recommender_0", 0)
    bandit.items[:] = np.arange(30)
    bandit.learn(np.arange(29), np.zeros((29, 1)), np.zeros(29))
    assert bandit.score(np.empty(0))[0].argmax() == 29
    bandit.learn(np.repeat(np.arange(30), 50), np.zeros((1500, 1)), np.repeat(np.arange(30) == 3, 50) * 1.0)
    assert bandit.score(np.empty(0))[0].argmax() == 3
    expected = 0.0 + np.sqrt(2 * np.log(1529) / 51)
    assert bandit.score(np.empty(0))[0, 0] == pytest.approx(expected)


# -------------------------------------------------------------------------------- models are the libraries'


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    """Each model after an episode of 20 copies."""
    return {name: play(vector_env(SMALL, 20), name)[0] for name in COLLABORATIVE}


def _everything(policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """All trained persons, and all items for each."""
    people = np.arange(len(policy.people))
    return people, np.broadcast_to(np.arange(policy.envs.shape.items), (len(people), policy.envs.shape.items))


def test_implicit_scores_are_the_librarys(trained: dict[str, Any]) -> None:
    als = trained["implicit"]
    people, items = _everything(als)
    scores = als.predict(people, items)
    ids, theirs = als._model.recommend(
        people, als._present_clicks(people), N=30, filter_already_liked_items=False, recalculate_user=True
    )
    np.testing.assert_allclose(np.take_along_axis(scores, ids, 1), theirs, atol=1e-5)
    nobody = np.array([len(als.clicked) - 1])
    assert (als.clicked[nobody] < 0).all()
    assert (als.predict(nobody, items[:1]) == 0).all()
    knn = trained["implicit-knn"]
    neighbours = knn._present_clicks(people) @ knn._similarity
    np.testing.assert_allclose(knn.predict(people, items), neighbours.toarray(), atol=2e-3)


@pytest.mark.skipif("lightfm" not in COLLABORATIVE, reason="lightfm is not installed")
def test_lightfm_knows_new_persons_by_their_profile(trained: dict[str, Any]) -> None:
    policy = trained["lightfm"]
    policy.profiles[-1] = policy.profiles[0]
    new = np.array([len(policy.profiles) - 1])
    assert new[0] >= len(policy._ids)
    np.testing.assert_allclose(policy.person_factors(new), policy.profiles[:1] @ policy._by_profile, rtol=1e-6)
    assert not np.allclose(policy.person_factors(np.array([0])), policy.person_factors(new))
    policy.profiles[:] = 0
    idle = np.flatnonzero((policy.clicked[: len(policy._ids)] < 0).all(1))
    assert (policy.person_factors(idle) == 0).all()


def test_surprise_predictions_are_the_librarys() -> None:
    policy, _, _ = play(vector_env(SMALL, 20), "surprise")
    people, items = _everything(policy)
    trainset, rated = policy._trainset(*policy.log.read())
    model = surprise.SVD(16, random_state=1).fit(trainset)
    policy._persons, policy.item_factors, policy.item_bias = model.pu, model.qi * rated[:, None], model.bi
    mine = policy.predict(people, items)
    for person, item in [(0, 0), (3, 7), (11, 29)]:
        theirs = model.estimate(person, item)
        assert mine[person, item] + trainset.global_mean + model.bu[person] == pytest.approx(theirs, abs=1e-6)
    knn = make_policy("surprise-knn")
    knn.envs, knn.people, knn.rng = policy.envs, policy.people, policy.rng  # type: ignore[attr-defined]
    knn.fit(*policy.log.read())  # type: ignore[attr-defined]
    model = surprise.KNNWithMeans(sim_options={"name": "pearson", "user_based": False}, verbose=False).fit(trainset)
    mine = knn.predict(people, items)  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        mine.ravel(), [model.estimate(u, i)[0] for u in people.tolist() for i in range(30)], atol=1e-9
    )


def test_what_a_person_clicked_raises_what_is_like_it(trained: dict[str, Any]) -> None:
    """Persons' own clicked items rank above the others, on average, in every model that knows persons."""
    for name, policy in trained.items():
        people, items = _everything(policy)
        scores = policy.predict(people, items)
        ranks = scores.argsort(1).argsort(1) / (scores.shape[1] - 1)
        clicked = policy.clicked[: len(people)]
        mine = np.concatenate([ranks[i, clicked[i][clicked[i] >= 0]] for i in people])
        assert mean_interval(mine)[0] - mean_interval(mine)[1] > 0.55, name


def test_sequences_are_the_newest_clicks_in_order() -> None:
    from recsys_env.policies.deep import _sequences

    people, clicked = _sequences(np.array([4, 2, 4, 4, 2, 4]), np.array([1, 2, 3, 4, 5, 6]), 3)
    np.testing.assert_array_equal(people, [2, 4])
    np.testing.assert_array_equal(clicked, [[2, 5, -1], [3, 4, 6]])


@pytest.mark.parametrize("name", DEEP)
def test_later_clicks_do_not_change_earlier_vectors(name: str) -> None:
    policy, _, _ = play(vector_env(SMALL, 2, horizon=3), name)
    rng = np.random.default_rng(0)
    clicked, profiles = (
        torch.from_numpy(rng.integers(0, 30, (5, 6))),
        torch.from_numpy(rng.normal(size=(5, 4)).astype(np.float32)),
    )
    changed = clicked.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 30
    with torch.no_grad():
        before, after = policy.network(clicked, profiles), policy.network(changed, profiles)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-4


@pytest.mark.parametrize("name", DEEP)
def test_a_kept_vector_is_that_of_the_clicks_so_far(name: str) -> None:
    policy, _, _ = play(vector_env(SMALL, 20), name)
    people, items = _everything(policy)
    kept = policy.predict(people, items)
    policy._current[:] = False
    np.testing.assert_allclose(policy.predict(people, items), kept, atol=1e-5)
    row = int(np.flatnonzero(policy.clicked[:, -1] >= 0)[0])
    policy._remember(np.array([row]), np.array([7]), np.array([1.0]))
    assert np.abs(policy.predict(people, items)[row] - kept[row]).max() > 1e-4


# ------------------------------------------------------------------------------------------------ they learn


@pytest.mark.slow
@pytest.mark.parametrize("name", BANDITS + COLLABORATIVE + DEEP)
def test_learners_get_better_than_popularity_and_chance(name: str) -> None:
    """In their second episode, in a world where historical popularity says nothing."""
    envs = vector_env(SMALL, 30, items={"popularity_quality": 0.0})
    _, own, _ = play(envs, name, episodes=2)
    _, chance, _ = play(envs, "random", episodes=2)
    mean, width = mean_interval(own[1] - chance[1])
    assert mean > width, f"{mean} +-{width}"


@pytest.mark.parametrize("name", ["linear-thompson", "implicit-bpr", "surprise", "sasrec", "two-tower"])
def test_learners_repeat_themselves_with_their_seed(name: str) -> None:
    one, two, other = (play(vector_env(SMALL, 10), name, seed=seed)[2] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def acted(ranker: Ranker) -> np.ndarray:
    """What it does on the first page of two copies."""
    envs = vector_env("ecommerce-v1", 2)
    observations, _ = envs.reset(seed=0)
    ranker.bind(envs, "recommender_0", 0)
    return ranker.act(observations[:, 0])


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (np.zeros(3), r"float64\[3\], expected a number for each of the options, \[2, 20\]"),
        (np.zeros((2, 20, 1)), r"float64\[2, 20, 1\]"),
        (np.full((2, 20), "a"), r"<U1\[2, 20\]"),
        (None, r"object\[\]"),
    ],
)
def test_a_ranker_names_scores_that_are_none(scores: Any, said: str) -> None:
    class Odd(Ranker):
        def score(self, observations: np.ndarray) -> Any:
            return scores

    with pytest.raises(ValueError, match=rf"^Odd\.score gave {said}"):
        acted(Odd())
