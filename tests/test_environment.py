"""The PettingZoo environment is one copy of the batch behind dictionaries: what it hands out, takes in and refuses."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.utils import BaseWrapper, aec_to_parallel

import recsys_env
from recsys_env import WorldConfig, parallel_env, plain, vector_env
from recsys_env.batch.base import copy_seed
from recsys_env.batch.infos import AgentInfo

# A small world in which everything happens often.
BUSY = WorldConfig(
    slots=3,
    horizon=40,
    scenes=({"name": "page", "cart": True},),
    users={"number": 3, "habit_size": 2},
    candidates={"number": 8},
    items={
        "number": 40,
        "dims": 4,
        "topics": 5,
        "promotion_probability": 0.5,
        "promotion_depth": 0.3,
        "stock_init": 3,
        "restock_period": 10,
    },
    choice={"v_0": -2.0},
    arrival={"r_0": 0.3},
    feedback={"b_0": 1.0, "cart_hazard": 0.4, "rating_after_click": 0.5, "like": True},
    reward={"purchase": 1.0, "cart": 0.2},
)


def sampled(env: Any) -> dict[str, Any]:
    return {agent: env.action_space(agent).sample() for agent in env.possible_agents}


def started(seed: int = 0, steps: int = 5, **overrides: Any) -> recsys_env.RecommendationEnv:
    """A BUSY environment some ticks into an episode, with seeded action spaces."""
    env = parallel_env(BUSY, **overrides)
    env.reset(seed=seed)
    for i, agent in enumerate(env.agents):
        env.action_space(agent).seed(i)
    for _ in range(steps):
        env.step(sampled(env))
    return env


def played(env: Any, actions: list[Any]) -> list[Any]:
    return [env.step(action) for action in actions]


def same(a: Any, b: Any) -> bool:
    return data_equivalence(a, b, exact=True)


# ---------------------------------------------------------------------------------------------------- episodes


def test_spaces_are_the_same_object_each_time() -> None:
    env = parallel_env(BUSY)
    a, b = env.possible_agents
    assert env.action_space(a) is env.action_space(a)
    assert env.action_space(a) is not env.action_space(b)  # each agent's can be seeded
    assert env.observation_space(a) is env.observation_space(b)
    assert env.unwrapped is env
    with pytest.raises(KeyError, match=r"unknown agent 'recomender_0' \(did you mean 'recommender_0'\?\)"):
        env.observation_space("recomender_0")
    for wrong in (3, None, [1], np.array([1, 2])):
        with pytest.raises(KeyError, match=r"unknown agent .*; agents are recommender_0, recommender_1"):
            env.action_space(wrong)  # type: ignore[arg-type]
        with pytest.raises(KeyError, match="observation fields are is_active"):
            env.field(np.zeros(3), wrong)  # type: ignore[arg-type]


def test_each_reset_starts_the_next_episode_once() -> None:
    """After the end, in the middle and at once: the nth reset without a seed plays episode n."""
    whole, cut = parallel_env(BUSY), parallel_env(BUSY)
    firsts = [whole.reset(seed=3)]
    for _ in range(3):
        while whole.agents:
            whole.step(sampled(whole))
        firsts.append(whole.reset())
    others = [cut.reset(seed=3), cut.reset()]
    cut.step(sampled(cut))
    others += [cut.reset(), cut.reset()]
    assert same(firsts, others)
    assert not same(firsts[0], firsts[1])
    while whole.agents:
        whole.step(sampled(whole))
    assert same(whole.reset(seed=3), firsts[0])


def test_the_end() -> None:
    env = started(steps=BUSY.horizon - 1)
    observations, _, terminations, truncations, infos = env.step(sampled(env))
    assert env.agents == []
    assert all(truncations.values())
    assert not any(terminations.values())
    for n, agent in enumerate(env.possible_agents):
        np.testing.assert_array_equal(observations[agent], env.vector.final_obs[0, n])
        assert not np.array_equal(observations[agent], env.vector.observations[0, n])
        assert infos[agent]["next_visitor"] == -1
        assert not infos[agent]["active"]
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(sampled(env))
    with pytest.raises(RuntimeError, match="call reset"):
        env.expected_feedback(sampled(env))


def test_never_reset() -> None:
    env = parallel_env(BUSY, render_mode="ansi")
    for call, arguments in (
        (env.step, [sampled(env)]),
        (env.expected_feedback, [sampled(env)]),
        (env.state, []),
        (env.save, []),
        (env.render, []),
    ):
        with pytest.raises(RuntimeError, match=rf"call reset\(\) before {call.__name__}\(\)"):
            call(*arguments)
    other = parallel_env(BUSY)
    for never_seeded in (env, other):
        never_seeded.reset()
    assert env.save().arrays.copies["seed"] != other.save().arrays.copies["seed"]  # entropy of the operating system


def test_what_is_returned_is_the_callers() -> None:
    env = started()
    results = [env.step(sampled(env)) for _ in range(4)]
    kept = copy.deepcopy(results)
    played(env, [sampled(env) for _ in range(4)])
    assert same([r[0] for r in results], [r[0] for r in kept])
    assert same([{a: dict(i) for a, i in r[4].items()} for r in results], [r[4] for r in kept])


@pytest.mark.parametrize(
    "overrides", [{}, {"mask_actions": True}, {"action": "query"}, {"action": "weights"}, {"page": "rival"}]
)
def test_equals_its_copy_of_a_batch(overrides: dict[str, Any]) -> None:
    envs = vector_env(BUSY, 3, **overrides)
    envs.reset(seed=11)
    envs.action_space.seed(0)
    singles = [parallel_env(BUSY, **overrides) for _ in range(3)]
    for b, env in enumerate(singles):
        env.reset(seed=copy_seed(11, b))
    for _ in range(BUSY.horizon + 3):
        actions = np.array([[envs.action_space.sample() for _ in range(2)] for _ in range(3)])
        observations, rewards, _, truncations, infos = envs.step(actions)
        for b, env in enumerate(singles):
            mine, own, _, over, told = env.step(dict(zip(env.possible_agents, actions[b], strict=True)))
            if truncations[b]:
                assert all(over.values())
                mine = env.reset()[0]
            for n, agent in enumerate(env.possible_agents):
                theirs = (
                    {k: v[b, n] for k, v in observations.items()}
                    if isinstance(observations, dict)
                    else observations[b, n]
                )
                assert same(mine[agent], theirs)
                assert own[agent] == rewards[b, n]
                assert told[agent]["visitor"] == infos["visitor"][b, n]
                np.testing.assert_array_equal(told[agent]["shown"], infos["shown"][b, n])


# ---------------------------------------------------------------------------------------------------- actions


@pytest.mark.parametrize(
    "as_type", [list, tuple, np.asarray, lambda a: np.asarray(a, np.uint8), lambda a: np.asarray(a, np.uint64)]
)
def test_slates_may_come_as(as_type: Any) -> None:
    env, other = started(), started()
    actions = {agent: np.array([1, 5, 2]) for agent in env.agents}
    assert same(env.step(actions), other.step({agent: as_type(action.tolist()) for agent, action in actions.items()}))


@pytest.mark.parametrize("as_type", [int, np.int8, np.uint64, np.array])
def test_single_slots_may_come_as(as_type: Any) -> None:
    env, other = started(slots=1), started(slots=1)
    assert same(
        env.step({"recommender_0": 3, "recommender_1": np.int64(4)}),
        other.step({"recommender_0": 3, "recommender_1": as_type(4)}),
    )


WRONG = {
    "too large": ({}, [0, 8, 1], ValueError),
    "negative": ({}, [0, -1, 1], ValueError),
    "too short": ({}, [0, 1], ValueError),
    "a scalar": ({}, 3, ValueError),
    "floats": ({}, [0.0, 1.0, 2.0], TypeError),
    "NaN": ({}, [0, float("nan"), 2], TypeError),
    "nothing": ({}, None, TypeError),
    "one: too large": ({"slots": 1}, 8, ValueError),
    "one: float": ({"slots": 1}, 1.0, TypeError),
    "one: array": ({"slots": 1}, [1], ValueError),
    "query: NaN": ({"action": "query"}, [0.0, float("nan"), 0.0, 0.0], ValueError),
    "query: too large": ({"action": "query"}, [0.0, 1.5, 0.0, 0.0], ValueError),
    "query: shape": ({"action": "query"}, [0.0, 0.5], ValueError),
    "item": ({"action": "items"}, [0, 40, 1], ValueError),
    "message": ({"messages": 4}, [0, 1, 2, 4], ValueError),
}


@pytest.mark.parametrize(("overrides", "action", "error"), WRONG.values(), ids=WRONG)
def test_a_wrong_action_is_named_and_changes_nothing(
    overrides: dict[str, Any], action: Any, error: type[Exception]
) -> None:
    env, other = started(**overrides), started(**overrides)
    right = sampled(env)
    with pytest.raises(error) as caught:
        env.step({**right, "recommender_1": action})
    assert "recommender_1" in str(caught.value)
    assert " ".join(repr(action).split()) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(env.vector.action_space) in str(caught.value)
    assert same(env.step(right), other.step(right))


def test_missing_and_unknown_agents() -> None:
    env, other = started(), started()
    right = sampled(env)
    with pytest.raises(KeyError, match=r"no action for recommender_1; .*MultiDiscrete"):
        env.step({"recommender_0": right["recommender_0"]})
    with pytest.raises(KeyError, match=r"unknown agent 'recommender_7' .*agents are recommender_0, recommender_1"):
        env.step({**right, "recommender_7": right["recommender_0"]})
    with pytest.raises(KeyError, match="unknown agent 'Recommender_1'"):
        env.step({"recommender_0": right["recommender_0"], "Recommender_1": right["recommender_1"]})
    for wrong in (list(right.values()), None):
        for call in (env.step, env.expected_feedback):
            with pytest.raises(
                TypeError,
                match=r"actions = .* must be a dict of one action for each agent: recommender_0, recommender_1$",
            ) as error:
                call(wrong)  # type: ignore[arg-type]
            assert "\n" not in str(error.value)
    assert same(env.step(right), other.step(right))


def test_nothing_is_stepped_after_the_end() -> None:
    env = started(steps=BUSY.horizon)
    for wrong in (sampled(env), np.array([1, 1]), [], None, 0):
        with pytest.raises(RuntimeError, match=r"the episode is over; call reset\(\)"):
            env.step(wrong)  # type: ignore[arg-type]
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match=r"render_mode = 'anzi' .*\(did you mean 'ansi'\?\)"):
        parallel_env(BUSY, render_mode="anzi")
    with pytest.raises(ValueError, match="catalogue 'groceries' is neither"):
        parallel_env(BUSY, catalogue="groceries")
    env, aec = started(), recsys_env.env(BUSY)
    snapshot = env.save()
    for seed, error in ((-1, ValueError), (2**64, ValueError), (1.5, TypeError), ("1", TypeError), ([3], TypeError)):
        for call in (lambda s: env.reset(seed=s), lambda s: env.restore(snapshot, seed=s), lambda s: aec.reset(seed=s)):
            with pytest.raises(error, match=r"seed = .* in \[0, 2\^64\)$"):
                call(seed)
        assert same(env.save().arrays, snapshot.arrays)


def test_options_of_a_reset() -> None:
    env, batch = parallel_env(BUSY), vector_env(BUSY)
    for reset in (env.reset, batch.reset, recsys_env.env(BUSY).reset):
        reset(seed=0, options={})
        with pytest.warns(UserWarning, match="reset ignores the options 'agents'") as warned:
            reset(seed=0, options={"agents": 3})
        assert len(warned) == 1
        with pytest.warns(UserWarning, match="'num_agents'; team_sizes_env makes environments whose episodes"):
            reset(seed=0, options={"num_agents": 1})
        before = env.save().arrays
        with pytest.raises(TypeError, match="options = 5 must be a dict or None"):
            reset(seed=1, options=5)  # type: ignore[arg-type]
        assert same(env.save().arrays, before)


@pytest.mark.parametrize(
    ("overrides", "parts"), [({}, 3), ({"messages": 4}, 3), ({"slots": 1}, 1), ({"slots": 1, "messages": 4}, 1)]
)
def test_sampling_with_the_mask_names_candidates_that_stand(overrides: dict[str, Any], parts: int) -> None:
    env = parallel_env(BUSY, mask_actions=True, page="rows", candidates={"number": 60}, **overrides)  # of 40 items
    observations, _ = env.reset(seed=0)
    masked = 0
    for _ in range(BUSY.horizon):
        masked += sum(int((observation["action_mask"] == 0).any()) for observation in observations.values())
        actions = {agent: env.action_space(agent).sample(observations[agent]["action_mask"]) for agent in env.agents}
        assert all(env.action_space(agent).contains(action) for agent, action in actions.items())
        observations, _, _, _, infos = env.step(actions)
        for info in infos.values():
            assert info["empty"] == 0
            assert len(info["shown"]) == parts
    assert masked > 0


# ---------------------------------------------------------------------------------------------------- infos


def test_infos_say_what_the_batch_says() -> None:
    env, seen = started(steps=0), dict.fromkeys(("clicked", "cart", "bought", "later", "liked", "rated", "empty"), 0)
    for _ in range(BUSY.horizon):
        result = env.step(sampled(env))
        theirs = env.vector.infos
        for n, agent in enumerate(env.possible_agents):
            info = result[4][agent]
            for name in (*AgentInfo.SLOTS, "empty", "individual_reward", "visitor"):
                np.testing.assert_array_equal(info[name], theirs[name][0, n])
            assert info["empty"] == int(((info["shown"] < 0) & (info["rank"] >= 0)).sum())
            later = zip(theirs["later_item"][0], theirs["later_agent"][0], strict=True)
            assert list(info["later_item"]) == [j if m == n else -1 for j, m in later]
            assert not info["clicked"][info["shown"] < 0].any()
            assert result[1][agent] == pytest.approx(info["individual_reward"])
            for name, happened in (
                ("later", (info["later_item"] >= 0).sum()),
                ("rated", (info["rating"] > 0).sum()),
                ("empty", info["empty"]),
            ):
                seen[name] += happened
            for name in ("clicked", "cart", "bought", "liked"):
                seen[name] += int(info[name].sum())
    assert not seen.pop("bought")  # later only
    assert all(seen.values())


def test_infos_are_dictionaries() -> None:
    def fresh() -> AgentInfo:
        return started(steps=0).step({"recommender_0": [0, 1, 2], "recommender_1": [3, 4, 5]})[4]["recommender_0"]

    plain = dict(fresh())
    assert isinstance(fresh(), dict)
    assert len(plain) == len(AgentInfo.SLOTS + AgentInfo.SCALARS + AgentInfo.LATER) == len(fresh())
    assert type(plain) is dict
    assert plain.keys() == fresh().keys() == set(fresh())
    assert same({**fresh()}, plain)
    assert same(dict(fresh().items()), plain)
    assert same(copy.deepcopy(fresh()), plain)
    assert same(copy.copy(fresh()), plain)
    assert same(pickle.loads(pickle.dumps(fresh())), plain)
    assert same(fresh() | {"a": 1}, plain | {"a": 1})
    assert (
        json.loads(json.dumps(fresh(), default=lambda a: a.tolist()))["individual_reward"] == plain["individual_reward"]
    )
    assert "shown" in fresh()
    assert "action_mask" not in fresh()
    assert fresh().get("individual_reward") == plain["individual_reward"]
    assert repr(fresh()) == repr(plain)
    assert bool(fresh())
    assert list(fresh().values())[-1].shape == started(steps=0).vector.infos["later_rating"][0].shape
    info = fresh()
    info["individual_reward"] = 7  # what wrappers write stays
    assert info["individual_reward"] == 7
    assert len(info) == len(plain)
    info.pop("individual_reward")
    assert "individual_reward" not in info
    assert list(reversed(fresh())) == list(plain)[::-1]
    made = AgentInfo.fromkeys(("individual_reward", "empty"), 0)
    assert type(made) is dict
    assert made == {"individual_reward": 0, "empty": 0}
    assert list(dict.keys(fresh())) == ["individual_reward"]  # past the object's own methods, as its docstring says


def only_pythons_own(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and only_pythons_own(part) for key, part in value.items())
    return all(map(only_pythons_own, value)) if type(value) is list else type(value) in (bool, int, float, str)


@pytest.mark.parametrize("overrides", [{}, {"mask_actions": True}, {"slots": 1}])
def test_one_call_makes_infos_plain(overrides: dict[str, Any]) -> None:
    """Of every environment, in one call: what `json.dumps` takes, with the same values."""
    env, aec, envs = (
        started(**overrides),
        recsys_env.env(BUSY, **overrides),
        vector_env(BUSY, 3, horizon=1, **overrides),
    )
    one = recsys_env.single_agent_env(BUSY, **overrides)
    rows = recsys_env.SharedPolicyVectorEnv(vector_env(BUSY, 3, horizon=1, **overrides), "SameStep")
    aec.reset(seed=0)
    infos = [
        env.reset(seed=0)[1],
        env.step(sampled(env))[4],
        env.vector.infos,
        env.vector.infos.copy(),
        aec.infos,
        one.reset(seed=0)[1],
    ]
    for batch in (envs, rows):
        infos += [
            batch.reset(seed=0)[1],
            batch.step(batch.action_space.sample() if batch is rows else batch.empty_actions())[4],
        ]
    for told in infos:
        told_plainly = plain(told)
        assert type(told_plainly) is dict
        assert only_pythons_own(told_plainly)
        assert json.loads(json.dumps(told_plainly)) == told_plainly
        assert list(told_plainly) == list(told)
    made = plain(infos[1])["recommender_1"]
    assert made.keys() == infos[1]["recommender_1"].keys()
    for name, value in infos[1]["recommender_1"].items():
        np.testing.assert_array_equal(made[name], value)
    assert type(made["clicked"][0]) is bool
    assert type(made["individual_reward"]) is float
    everything = plain(env.step(sampled(env)))  # observations, rewards and ends as well
    assert only_pythons_own(everything)


# ---------------------------------------------------------------------------------------------------- agents in turns


def played_in_turns(aec: Any, seed: int, turns: int = 10_000) -> list[Any]:
    """What `last` told in each turn until the end, or for some turns."""
    rng, told = np.random.default_rng(seed), []
    for agent in aec.agent_iter(turns):
        observation, reward, terminated, truncated, info = aec.last()
        told.append((agent, observation.copy(), reward, terminated, truncated, plain(info)))
        aec.step(None if truncated else rng.integers(0, 8, 3))
    return told


def test_the_aec_view_has_what_the_parallel_environment_has() -> None:
    aec = recsys_env.env(BUSY, horizon=6)
    parallel = aec.parallel
    assert isinstance(parallel, recsys_env.RecommendationEnv)
    assert aec.unwrapped is aec
    with pytest.raises(RuntimeError, match=r"call reset\(\) before save\(\)"):
        aec.save()
    for view in (aec, BaseWrapper(aec)):  # PettingZoo's own wrappers pass them on
        assert view.config is parallel.config
        assert view.vector is parallel.vector
        assert view.observation_fields == parallel.observation_fields == parallel.vector.observation_fields
        assert view.state_fields == parallel.state_fields == parallel.vector.state_fields
        assert view.state_space is parallel.state_space
        view.reset(seed=0)
        actions = sampled(aec)
        assert same(view.expected_feedback(actions), parallel.expected_feedback(actions))
        assert same(view.state(), parallel.state())
        np.testing.assert_array_equal(view.field(view.observe("recommender_1"), "agent_id"), [0, 1])
        assert same(view.save().arrays, parallel.save().arrays)
    assert sum(part.stop - part.start for part in aec.state_fields.values()) == aec.state_space.shape[0]


@pytest.mark.parametrize("turns", [0, 1, 4, 5])  # between rounds and within
def test_the_aec_view_restores(turns: int) -> None:
    aec, other = recsys_env.env(BUSY, horizon=6), recsys_env.env(BUSY, horizon=6)
    aec.reset(seed=3)
    played_in_turns(aec, 0, turns)
    snapshot = pickle.loads(pickle.dumps(aec.save()))
    aec.restore(snapshot)
    assert aec.agent_selection == "recommender_0"
    assert aec.agents == aec.possible_agents
    first = played_in_turns(aec, 1)
    assert first[-1][4]
    other.restore(snapshot)  # never reset
    for view in (aec, other, copy.deepcopy(other)):
        view.restore(snapshot)
        assert same(played_in_turns(view, 1), first)
    aec.restore(snapshot, seed=8)
    assert not same(played_in_turns(aec, 1), first)
    assert aec.parallel.vector is aec.vector
    state = aec.save()
    with pytest.raises(ValueError, match="another task"):
        aec.restore(started().save())
    assert same(aec.save().arrays, state.arrays)


@pytest.mark.parametrize(
    ("overrides", "wrong", "error", "says"),
    [
        ({}, [0, 1, 8], ValueError, r"action of recommender_1 is \[0, 1, 8\], outside its space"),
        ({}, [0.0, 1.0, 2.0], TypeError, "action of recommender_1 .* of dtype float64, .* it takes integers"),
        ({"slots": 1}, -1, ValueError, "action of recommender_1 is -1, outside its space"),
        ({"slots": 1}, None, TypeError, "action of recommender_1 is None of dtype object"),
        ({"action": "weights"}, np.nan, ValueError, "action of recommender_1 is .*nan"),
    ],
)
def test_a_wrong_action_costs_no_turn(overrides: dict[str, Any], wrong: Any, error: type, says: str) -> None:
    """It is rejected when its agent names it, and the round goes on with a right one."""
    aec, parallel = recsys_env.env(BUSY, **overrides), started(**overrides)
    aec.reset(seed=0)
    parallel.reset(seed=0)
    actions = sampled(parallel)
    aec.step(actions["recommender_0"])
    if wrong is np.nan:
        wrong = np.full(aec.action_space("recommender_1").shape, np.nan, np.float32)
    for _ in range(2):
        with pytest.raises(error, match=says):
            aec.step(wrong)
        assert aec.agent_selection == "recommender_1"
    aec.step(actions["recommender_1"])
    expected = parallel.step(actions)
    assert aec.agent_selection == "recommender_0"
    for agent in aec.agents:
        assert same(aec.observe(agent), expected[0][agent])
        assert aec.rewards[agent] == aec._cumulative_rewards[agent] == expected[1][agent]
    aec.step(actions["recommender_0"])
    assert aec.rewards == {"recommender_0": 0, "recommender_1": 0}  # nobody earns between ticks
    assert aec.last()[1] == expected[1]["recommender_1"]


def test_the_aec_view_keeps_pettingzoos_order(caplog: pytest.LogCaptureFixture) -> None:
    aec = recsys_env.env(BUSY, horizon=2)
    for name in ("agents", "agent_selection", "rewards", "truncations", "terminations", "infos", "num_agents"):
        with pytest.raises(AttributeError, match="cannot be accessed before reset"):
            getattr(aec, name)
    for call in (aec.agent_iter, aec.last, lambda: aec.step(0), lambda: aec.observe("recommender_0")):
        with pytest.raises(AttributeError, match="cannot be accessed before reset"):
            call()
    with pytest.raises(AttributeError, match="no attribute 'agent_selction'"):
        aec.agent_selction  # noqa: B018
    with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
        aec.state()
    aec.reset(seed=0)
    with pytest.raises(KeyError, match=r"unknown agent 'recommender_3' \(did you mean"):
        aec.observe("recommender_3")
    with pytest.raises(RuntimeError, match=r"call step\(\) or reset\(\) in a loop"):
        list(aec.agent_iter())
    told = played_in_turns(aec, 0)
    assert [turn[0] for turn in told] == ["recommender_0", "recommender_1"] * 3
    assert [turn[4] for turn in told] == [False] * 4 + [True] * 2
    assert aec.agents == []
    assert list(aec.agent_iter()) == []
    aec.step(None)
    assert "step() called after all agents are terminated or truncated" in caplog.text
    aec.reset()
    played_in_turns(aec, 0, 4)
    with pytest.raises(ValueError, match="only valid action is None"):
        aec.step([0, 1, 2])


def test_the_aec_view_becomes_parallel_again() -> None:
    env, again = started(), aec_to_parallel(recsys_env.env(BUSY))
    again.reset(seed=0)
    env.reset(seed=0)
    for _ in range(5):
        actions = sampled(env)
        assert same(plain(again.step(actions)), plain(env.step(actions)))


# ---------------------------------------------------------------------------------------------------- copies of it


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("steps", [5, 6])  # either output buffer is current
def test_copies_go_on_alike(how: Any, steps: int) -> None:
    env = started(steps=steps, render_mode="ansi")
    other = how(env)
    assert other.vector.arrays.users is not env.vector.arrays.users
    assert all(not array.flags.writeable for array in other.vector.world)
    assert other.render() == env.render()
    actions = [sampled(env) for _ in range(20)]
    assert same(played(other, actions), played(env, actions))
    assert same(other.reset(), env.reset())
    assert how(parallel_env(BUSY)).reset(seed=1)[0].keys() == set(BUSY.agents)


def test_saved_states_go_on_alike() -> None:
    env = started()
    snapshot = env.save()
    actions = [sampled(env) for _ in range(BUSY.horizon - 5)]
    first = played(env, actions)
    assert env.agents == []
    observations, _ = env.restore(snapshot)
    assert env.agents == env.possible_agents
    assert not same(observations, first[0][0])
    assert same(played(env, actions), first)
    other = parallel_env(BUSY)  # never reset
    other.restore(pickle.loads(pickle.dumps(snapshot)))
    assert same(played(other, actions), first)
    env.restore(snapshot, seed=99)
    assert not same(played(env, actions), first)
    with pytest.raises(ValueError, match="another task"):
        parallel_env(BUSY, horizon=7).restore(snapshot)


def test_a_snapshot_of_the_end_is_the_next_episode() -> None:
    env = started(steps=BUSY.horizon)
    snapshot = env.save()
    following, _ = env.reset()
    assert same(env.restore(snapshot)[0], following)


# ---------------------------------------------------------------------------------------------------- views


def test_fields_and_state() -> None:
    env = started(mask_actions=True, observability="full", messages=3)
    observations = env.step(sampled(env))[0]
    flat = observations["recommender_1"]["observation"]
    np.testing.assert_array_equal(env.field(observations["recommender_1"], "agent_id"), [0, 1])
    np.testing.assert_array_equal(env.field(flat, "agent_id"), [0, 1])
    assert np.shares_memory(env.field(flat, "profile"), flat)
    assert sum(part.stop - part.start for part in env.observation_fields.values()) == flat.size
    assert env.state_space.contains(env.state())
    assert env.state() is not env.state()
    with pytest.raises(KeyError, match="observation fields are is_active"):
        env.field(flat, "profil")


def test_the_state_after_the_end_is_the_one_beside_the_last_observations() -> None:
    """With a horizon one tick longer the same tick has the same state, and is not the last."""
    short, longer = (recsys_env.parallel_env("ecommerce-v1", horizon=horizon) for horizon in (6, 7))
    short.reset(seed=2)
    longer.reset(seed=2)
    for _ in range(6):
        for env in (short, longer):
            env.step({agent: np.arange(5) for agent in env.agents})
    assert not short.agents
    share = short.state_fields["episode_share"]  # of another horizon
    np.testing.assert_array_equal(np.delete(short.state(), share), np.delete(longer.state(), share))
    short.reset()
    assert not np.array_equal(short.state(), longer.state())


def test_expected_feedback() -> None:
    env = started(feedback={"instant": True})
    before, actions = env.save(), sampled(env)
    expected = env.expected_feedback(actions)
    assert set(expected) == {"click", "cart", "purchase", "individual_reward", "objectives", "reward"}
    assert all(list(by_agent) == env.agents for by_agent in expected.values())
    clicks = np.array(list(expected["click"].values()))
    assert clicks.shape == (2, 3)
    assert (clicks >= 0).all()
    assert clicks.sum() <= 1
    assert all(type(value) is float for value in expected["reward"].values())
    assert all(np.array_equal(a, b) for a, b in zip(before.arrays, env.save().arrays, strict=True))
    with pytest.raises(ValueError, match="recommender_0"):
        env.expected_feedback({**actions, "recommender_0": [0, 1, 99]})
    with pytest.raises(KeyError, match="no action"):
        env.expected_feedback({})


# ---------------------------------------------------------------------------------------------------- rendering


def test_the_page_as_text() -> None:
    env = started(render_mode="ansi", steps=0)
    assert "new episode" in str(env.render())
    text, score = "", dict.fromkeys(env.agents, 0.0)
    for _ in range(BUSY.horizon):
        infos = env.step(sampled(env))[4]
        page = str(env.render())
        text += page + "\n"
        for agent in env.possible_agents:
            score[agent] += infos[agent]["individual_reward"]
            assert f"{agent}  score {score[agent]:9.3f}" in page
            assert all(f"item {j} " in page for j in infos[agent]["shown"] if j >= 0)
    events = ("clicked", "in the cart", "liked", "rated", "from the cart: bought item", "credit to recommender_")
    for word in (*events, "*", "(empty)", "idle", *env.vector.texts.topics[:1]):
        assert word in text, word
    assert "wants" not in text
    assert text.endswith("the episode is over\n")


def test_rendered_names_and_intent() -> None:
    config = WorldConfig(slots=3, arrival={"r_0": 3.0}, observability="full", action="items")
    env = parallel_env(config, catalogue="grocery", render_mode="ansi")
    env.reset(seed=0)
    text = ""
    for _ in range(10):
        env.step(sampled(env))
        text += str(env.render())
    assert "wants" in text
    assert any(str(name) in text for name in env.vector.catalogue.topic_name)  # type: ignore[union-attr]


def test_scenes_and_rivals_as_text() -> None:
    roles = tuple({"name": name, "scene": name} for name in ("entrance", "item"))
    scenes = ({"name": "entrance"}, {"name": "item", "cart": True})
    for overrides, words in (
        ({"roles": roles, "scenes": scenes}, ("scene entrance", "scene item", "came from item", "not on this page")),
        ({"page": "rival"}, ("opened recommender_",)),
    ):
        env = started(render_mode="ansi", steps=0, **overrides)
        text = ""
        for _ in range(20):
            env.step(sampled(env))
            text += str(env.render())
        assert all(word in text for word in words)


def test_printed_pages(capsys: pytest.CaptureFixture[str]) -> None:
    env = started(render_mode="human", steps=2)
    assert env.render() is None
    assert capsys.readouterr().out.count("next: ") == 4  # reset, two steps, render


def test_rendering_not_asked_for() -> None:
    with pytest.warns(UserWarning, match="render_mode"):
        assert started().render() is None
