"""The Gymnasium views: official checkers and wrappers, and the same game as the batch behind them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import NormalizeObservation, NormalizeReward, RecordEpisodeStatistics

import recsys_env
from recsys_env.api.views import SharedPolicyVectorEnv
from recsys_env.policies import Policy, Random

SHORT = 12


@pytest.mark.parametrize("task", recsys_env.TASKS)
def test_official_checkers_accept_the_single_agent(task: str) -> None:
    env = gymnasium.make(f"recsys/{task}", horizon=SHORT).unwrapped
    check_env(env, skip_render_check=True)
    pytest.importorskip("stable_baselines3.common.env_checker").check_env(env)


def test_the_single_agent_is_one_agent_of_the_parallel_environment() -> None:
    one = recsys_env.single_agent_env("ecommerce-v1", agent="recommender_1", background="random", horizon=SHORT)
    both = recsys_env.parallel_env("ecommerce-v1", horizon=SHORT)
    policy = Random()
    policy.bind(both.vector, "recommender_0", 5)
    (mine, _), (theirs, _) = one.reset(seed=5), both.reset(seed=5)
    one.action_space.seed(1)
    for tick in range(SHORT):
        np.testing.assert_array_equal(mine, theirs["recommender_1"])
        action = one.action_space.sample()
        other = policy.act(both.vector.observations[:, 0])[0]
        mine, reward, terminated, truncated, info = one.step(action)
        theirs, rewards, _, truncations, infos = both.step({"recommender_0": other, "recommender_1": action})
        assert (
            (reward, terminated, truncated)
            == (rewards["recommender_1"], False, truncations["recommender_1"])
            == (reward, False, tick == SHORT - 1)
        )
        assert info["individual_reward"] == infos["recommender_1"]["individual_reward"]
    with pytest.raises(RuntimeError, match="over"):
        one.step(action)


def test_an_unseeded_reset_goes_on_to_the_next_episode() -> None:
    env = recsys_env.single_agent_env("ecommerce-v1", background="popularity", horizon=SHORT)

    def played(seed: int | None) -> np.ndarray:
        first, _ = env.reset(seed=seed)
        return np.stack([first] + [env.step(env.action_space.sample() * 0)[0] for _ in range(SHORT)])

    first, second = played(3), played(None)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(played(3), first)
    np.testing.assert_array_equal(played(None), second)
    # The batch goes on to the next episode by itself, which a reset must not skip.
    rows = recsys_env.single_agent_vector_env("ecommerce-v1", 1, background="popularity", horizon=SHORT)
    for seed, wanted in ((3, first), (None, second)):
        seen = [rows.reset(seed=seed)[0][0]] + [rows.step(rows.action_space.sample() * 0)[0][0] for _ in range(SHORT)]
        np.testing.assert_array_equal(seen, wanted)


@pytest.mark.parametrize(
    "options", [{}, {"mask_actions": True}, {"action": "query"}, {"action": "weights"}, {"slots": 1}, {"messages": 2}]
)
def test_copy_zero_of_the_vector_is_the_single_environment(options: dict[str, Any]) -> None:
    many = gymnasium.make_vec("recsys/ecommerce-v1", num_envs=3, horizon=SHORT, **options)
    assert many.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    one = recsys_env.single_agent_env("ecommerce-v1", horizon=SHORT, **options)
    (rows, _), (mine, _) = many.reset(seed=4), one.reset(seed=4)
    many.action_space.seed(2)
    for _ in range(SHORT):
        for name, value in mine.items() if isinstance(mine, dict) else [(None, mine)]:
            np.testing.assert_array_equal(rows[name][0] if name else rows[0], value)
        assert many.observation_space.contains(rows)
        actions = many.action_space.sample()
        rows, rewards, _, ended, infos = many.step(actions)
        mine, reward, _, over, info = one.step(actions[0])
        assert rewards[0] == reward
        assert ended[0] == over
        np.testing.assert_array_equal(infos["shown"][0], info["shown"])
        assert infos["_shown"].all()


def test_both_ways_of_resetting_tell_the_same_story() -> None:
    """SameStep: last observation in infos. NextStep: as the observation, and one more step that only resets."""
    same, later = (
        gymnasium.make_vec("recsys/duel-v1", num_envs=2, horizon=3, autoreset_mode=mode)
        for mode in ("SameStep", "NextStep")
    )
    np.testing.assert_array_equal(same.reset(seed=1)[0], later.reset(seed=1)[0])
    for _ in range(2):
        for tick in range(3):
            (a, r, _, end, infos), (b, s, _, stop, _) = same.step(np.array([0, 1])), later.step(np.array([0, 1]))
            np.testing.assert_array_equal(r, s)
            np.testing.assert_array_equal(end, stop)
            if tick == 2:
                np.testing.assert_array_equal(np.stack(list(infos["final_obs"])), b)
                assert infos["_final_obs"].all()
                b, s, _, stop, _ = later.step(np.array([1, 1]))
                assert not s.any()
                assert not stop.any()
            np.testing.assert_array_equal(a, b)


def test_infos_of_the_step_that_only_resets_are_those_of_a_reset() -> None:
    """What was clicked or earned is told once; no page follows the last observation, and the first page of an episode
    is told after it."""
    rows = recsys_env.shared_policy_env("journey-v1", 2, horizon=SHORT)
    place = rows.envs.observation_fields["is_active"]
    rows.reset(seed=0)
    rows.action_space.seed(0)
    own, rewards = np.zeros(6), np.zeros(6)
    for _ in range(3):
        for tick in range(SHORT + 1):
            observations, reward, _, ended, infos = rows.step(rows.action_space.sample())
            own, rewards = (
                own + infos["individual_reward"].reshape(2, 3).mean(1).repeat(3),
                rewards + reward,
            )  # journey-v1 shares everything
            if ended.all():
                assert tick == SHORT - 1
                assert not infos["active"].any()
                assert (infos["next_visitor"] == -1).all()
            else:
                np.testing.assert_array_equal(infos["active"], observations[:, place].ravel() > 0)
        assert not infos["clicked"].any()
        assert (infos["shown"] == -1).all()
    np.testing.assert_allclose(own, rewards, rtol=1e-5)
    assert own.any()


def test_every_step_has_the_infos_that_a_class_names() -> None:
    class Few(SharedPolicyVectorEnv):
        INFOS = ("individual_reward", "active")

    rows = Few(recsys_env.vector_env("journey-v1", 2, horizon=3))
    rows.reset(seed=7)
    for _ in range(5):
        infos = rows.step(rows.action_space.sample())[4]
        assert set(infos) == {"individual_reward", "active", "_individual_reward", "_active"}


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_rows_of_the_shared_policy_are_the_agents_of_the_batch(mode: str) -> None:
    rows = recsys_env.shared_policy_env("journey-v1", 2, horizon=SHORT, autoreset_mode=mode)
    envs = recsys_env.vector_env("journey-v1", 2, horizon=SHORT)
    (a, _), (b, _) = rows.reset(seed=7), envs.reset(seed=7)
    rows.action_space.seed(0)
    for _ in range(SHORT - 1):
        np.testing.assert_array_equal(a, b.reshape(6, -1))
        actions = rows.action_space.sample()
        a, r, _, _, infos = rows.step(actions)
        b, q, _, _, report = envs.step(actions.reshape(2, 3, -1))
        np.testing.assert_array_equal(r, q.ravel())
        np.testing.assert_array_equal(infos["clicked"], report["clicked"].reshape(6, -1))
        np.testing.assert_array_equal(infos["active"], report["active"].ravel())


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("make", [recsys_env.SharedPolicyVectorEnv, recsys_env.SingleAgentVectorEnv])
def test_what_a_view_returns_may_be_kept(make: Any, mode: str) -> None:
    """No two arrays that it returns share memory, whether in one step or in different ones."""

    def returned(results: tuple[Any, ...]) -> list[np.ndarray]:
        *arrays, infos = results
        return [*arrays, *infos.values(), *infos.get("final_obs", ())]

    rows = make(recsys_env.vector_env("duel-v1", 2, horizon=3), autoreset_mode=mode)
    found = returned(rows.reset(seed=0))
    for _ in range(5):
        found += returned(rows.step(np.zeros(rows.num_envs, int)))
    arrays = [array for array in found if array.dtype != object]
    assert not any(np.shares_memory(one, other) for one, other in combinations(arrays, 2))


def test_without_copies_the_masks_of_infos_are_one_array() -> None:
    rows = recsys_env.SharedPolicyVectorEnv(recsys_env.vector_env("duel-v1", 2, horizon=3, copy=False))
    infos = rows.reset(seed=0)[1]
    assert infos["_shown"] is infos["_rank"]


def test_gymnasiums_own_vector_takes_infos_of_later_purchases() -> None:
    """It makes one array of each info at the first copy that has it, so an info has one shape whatever happened."""
    envs = gymnasium.make_vec("recsys/ecommerce-v1", num_envs=4, vectorization_mode="sync")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    later = [(envs.step(envs.action_space.sample())[4]["later_item"] >= 0).any(1) for _ in range(600)]
    assert (np.sum(later, 1) == 1).any()  # one copy has sold, others have not


def test_gymnasiums_wrappers_work_on_the_vector() -> None:
    envs = gymnasium.make_vec("recsys/ecommerce-v1", num_envs=4, horizon=SHORT)
    wrapped = NormalizeReward(NormalizeObservation(RecordEpisodeStatistics(envs)))
    wrapped.reset(seed=0)
    total, lengths = np.zeros(4), []
    for _ in range(2 * (SHORT + 1)):
        _, _, _, ended, infos = wrapped.step(wrapped.action_space.sample())
        total += infos["individual_reward"] if not lengths else 0
        if ended.any():
            lengths.append(infos["episode"]["l"].tolist())
            if len(lengths) == 1:
                np.testing.assert_allclose(infos["episode"]["r"], total, atol=1e-6)
    assert lengths == [[SHORT] * 4] * 2


def test_the_others_choose_once_for_each_page() -> None:
    """Also for the first page of an episode that follows another one."""
    ticks = []

    class Noting(Policy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
            ticks.append(int(self.envs.tick[0]))
            return np.zeros(len(observations), np.int64)

    env = recsys_env.single_agent_env("social-v1", background=Noting(), horizon=3)
    text = recsys_env.text_env("social-v1", background={"recommender_1": Noting()}, horizon=3)
    for reset, step in (
        (env.reset, lambda: env.step(0)),
        (text.reset, lambda: text.step({"recommender_0": ""})),
    ):
        ticks.clear()
        reset(seed=0)
        for _ in range(3):
            step()
        reset()
        step()
        assert ticks == [0, 1, 2, 0, 1]
        reset()  # in the middle of an episode
        assert ticks == [0, 1, 2, 0, 1, 0]


def test_later_episodes_beside_a_random_policy_are_those_of_the_vector() -> None:
    single = recsys_env.single_agent_env("social-v1", background="random", horizon=5)
    vector = recsys_env.single_agent_vector_env(
        "social-v1", 1, background="random", horizon=5, autoreset_mode=AutoresetMode.SAME_STEP
    )
    single.reset(seed=3)
    vector.reset(seed=3)
    for _ in range(3):
        for _ in range(5):
            reward = single.step(1)[1]
            assert reward == pytest.approx(vector.step(np.ones(1, np.int64))[1][0])
        single.reset()


def test_copies_that_end_apart_are_refused() -> None:
    envs = recsys_env.vector_env("social-v1", 2, horizon=5)
    rows = SharedPolicyVectorEnv(envs)
    rows.reset(seed=0)
    begun = envs.save(0)
    for _ in range(3):
        rows.step(np.zeros(4, np.int64))
    envs.restore(begun, copy=0)
    rows.step(np.zeros(4, np.int64))
    with pytest.raises(RuntimeError, match=r"the episodes of 1 of 2 copies ended, but here all must end together"):
        rows.step(np.zeros(4, np.int64))


def test_wrong_use_is_named_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match="did you mean 'recommender_1'"):
        recsys_env.single_agent_env("duel-v1", agent="recomender_1")
    with pytest.raises(ValueError, match="recommender_2 neither learns nor has a policy"):
        recsys_env.single_agent_env("social-v1", background={"recommender_1": "random"}, num_agents=3)
    with pytest.raises(ValueError, match="a policy object acts for one agent"):
        recsys_env.single_agent_env("social-v1", background=Random(), num_agents=3)
    for mode in ("Disabled", "same_step"):
        with pytest.raises(ValueError, match=f"'{mode}' is not allowed; .*'SameStep'"):
            gymnasium.make_vec("recsys/duel-v1", num_envs=2, autoreset_mode=mode)
    with pytest.raises(TypeError, match="background = 3 must be a policy"):
        recsys_env.single_agent_env("duel-v1", background=3)  # type: ignore[arg-type]
    envs = gymnasium.make_vec("recsys/duel-v1", num_envs=2)
    with pytest.raises(RuntimeError, match="reset"):
        envs.step(np.zeros(2, int))
    with pytest.raises(ValueError, match="reset_mask"):
        recsys_env.vector_env("duel-v1", 2).reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(TypeError, match="options = 5 must be a dict or None"):
        envs.reset(seed=0, options=5)  # type: ignore[arg-type]
    envs.reset(seed=0)
    for wrong, says in (
        (np.array([0, 2]), "recommender_0 in copy 1 is 2"),
        (np.zeros(3, int), r"shape \(3,\), expected \(2,\): one for each of the 2 rows"),
        (np.array([0.0, 1.0]), "float64"),
        (None, "actions = None of shape"),
        ({"recommender_0": 1}, "actions = {.*} of shape"),
        (
            [[0], [0, 1]],
            r"actions = \[\[0\], \[0, 1\]\] is not one array, expected shape \(2,\): one for each of the 2 rows",
        ),
        (np.zeros(2, object), "dtype object"),
        (np.zeros(2, "m8[s]"), "timedelta64"),
        (["a", "b"], "dtype <U1"),
    ):
        with pytest.raises((ValueError, TypeError), match=says):
            envs.step(wrong)
    same = gymnasium.make_vec("recsys/duel-v1", num_envs=2)
    same.reset(seed=0)
    np.testing.assert_array_equal(envs.step(np.zeros(2, int))[0], same.step(np.zeros(2, int))[0])
    env = recsys_env.single_agent_env("duel-v1")
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    for action in (2, [[0], [0, 1]], None, "a", np.timedelta64(1, "s")):
        with pytest.raises((ValueError, TypeError), match=r"action of recommender_0 is .* outside its space"):
            env.step(action)
    for maker in (
        recsys_env.SharedPolicyVectorEnv,
        recsys_env.SingleAgentVectorEnv,
        lambda e: recsys_env.FocalBatch(e, "random"),
    ):
        with pytest.raises(
            TypeError, match=r"envs is a SingleAgentEnv, not a batch; make one with recsys_env.vector_env"
        ):
            maker(env)
    for call in (
        lambda: recsys_env.shared_policy_env("duel-v1", render_mode="ansi"),
        lambda: recsys_env.vector_env("duel-v1", render_mode="ansi"),
    ):
        with pytest.raises(
            TypeError,
            match="'render_mode' is an argument of parallel_env, env, single_agent_env and",
        ):
            call()


@pytest.mark.parametrize(
    "seed",
    [-1, 2**64, 1.5, "1", True, np.array(3), np.timedelta64(3, "s"), np.datetime64("2020"), float("nan"), {}],
    ids=repr,
)
def test_wrong_seeds_are_named_in_our_words_and_change_nothing(seed: Any) -> None:
    env, rows = (
        recsys_env.single_agent_env("duel-v1", horizon=SHORT),
        gymnasium.make_vec("recsys/duel-v1", num_envs=2, horizon=SHORT),
    )
    other = recsys_env.single_agent_env("duel-v1", horizon=SHORT)
    for one in (env, rows, other):
        one.reset(seed=4)  # type: ignore[attr-defined]
    says = r"seed = .* (must be an integer in|is out of range; allowed are integers in) \[0, 2\^64\)"
    for one in (env, rows, gymnasium.make("recsys/duel-v1", horizon=SHORT)):
        with pytest.raises((ValueError, TypeError), match=says):
            one.reset(seed=seed)  # type: ignore[attr-defined]
    assert env.np_random.random() == other.np_random.random()
    for _ in range(SHORT):
        np.testing.assert_array_equal(env.step(1)[0], other.step(1)[0])


def test_numpys_integers_are_seeds() -> None:
    env, other = (recsys_env.single_agent_env("duel-v1", horizon=SHORT) for _ in range(2))
    np.testing.assert_array_equal(env.reset(seed=np.int64(4))[0], other.reset(seed=4)[0])  # type: ignore[arg-type]
    assert env.np_random.random() == other.np_random.random()
