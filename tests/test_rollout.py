"""Rollouts: the same game as step by step, without Python between ticks."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numba
import numpy as np
import pytest

import recsys_env
from recsys_env.kernels.planners.beliefs import ExpectedAppeal
from recsys_env.policies import CompiledPolicy, Content, Team, compiled, uniform
from recsys_env.policies.linear import LinearRanker

HORIZON = 30


@numba.njit
def spread(observation: Any, mask: Any, action: Any, key: Any) -> None:
    """Some candidates that depend on all that a function is given."""
    for k in range(action.size):
        action[k] = int((uniform(key, k) + abs(observation.sum())) * 7 + mask.sum()) % 3


@numba.njit
def outside(observation: Any, mask: Any, action: Any, key: Any) -> None:
    action[:] = 10_000


@numba.njit
def failing(observation: Any, mask: Any, action: Any, key: Any) -> None:
    raise ValueError("no idea")


def ranker(task: str) -> LinearRanker:
    envs = recsys_env.vector_env(task)
    names = len(envs.candidate_features)
    return LinearRanker(np.random.default_rng(0).normal(size=(2, names)), ("observed_satisfaction",))


def played(
    envs: recsys_env.VectorEnv, policies: dict[str, Any], ticks: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    team = Team(envs, policies, seed)
    own, paid, actions = *(np.zeros((envs.num_envs, envs.num_agents)) for _ in range(2)), envs.empty_actions()
    for _ in range(ticks):
        team.act(envs.observations, actions)
        _, rewards, _, truncated, infos = envs.step(actions)
        own += infos["individual_reward"]
        paid += rewards
        team.observe(infos, truncated)
    return own, paid


@numba.njit
def sometimes(observation, mask, action, key):  # type: ignore[no-untyped-def]
    """What it does not write is 0, whatever it wrote before."""
    if uniform(key, 0) < 0.5:
        for k in range(action.size):
            action[k] = 1 + k


CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "random": ("ecommerce-v1", {}, "random"),
    "random items, one slot": ("duel-v1", {}, "random"),
    "random vectors": ("ecommerce-v1", {"action": "query"}, "random"),
    "random with prices": ("market-v0", {}, "random"),
    "blind": ("ecommerce-v1", {}, "blind"),
    "blind weights": ("social-v1", {"action": "weights"}, "blind"),
    "static": ("social-v1", {}, "static"),
    "static items": ("journey-v1", {}, "static"),
    "ranker": ("ecommerce-v1", {}, lambda: ranker("ecommerce-v1")),
    "function": ("ecommerce-v1", {}, spread),
    "function with masks": ("ecommerce-v1", {"mask_actions": True}, spread),
    "function that writes now and then": ("ecommerce-v1", {}, sometimes),
    "team": ("ecommerce-v1", {}, {"recommender_0": "random", "recommender_1": spread}),
    "greedy": ("social-v1", {}, "greedy"),
    "greedy items, one slot": ("duel-v1", {}, "greedy"),
    "planner": ("social-v1", {}, "planner"),
    "planner with prices": ("market-v0", {}, "planner"),
    "greedy against content": ("ecommerce-v1", {}, {"recommender_0": "greedy", "recommender_1": "content"}),
    "popularity": ("ecommerce-v1", {}, "popularity"),
}


class Otherwise(CompiledPolicy):
    """A subclass may act otherwise."""


class Learner(Content):
    """Learns from what it is told, which a rollout does not tell."""


def test_subclasses_of_compiled_policies_are_not_compiled() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    for policy in (Learner(), Otherwise(spread)):
        policy.bind(envs, "recommender_0", 0)
        assert not policy.compiled


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("copies", [1, 70])
def test_a_rollout_plays_the_game_of_step(name: str, copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the ends of episodes, of chunks and of blocks, and with what roles hide."""
    monkeypatch.setattr("recsys_env.api.rollouts.BLOCK", 32)
    task, changes, policy = CASES[name]
    hidden = {"roles": ({"name": "recommender", "hidden": ("profile",)},)} if name == "function" else {}
    one, other = (recsys_env.vector_env(task, copies, horizon=HORIZON, **changes, **hidden) for _ in range(2))
    given = [
        policy
        if isinstance(policy, dict)
        else {agent: policy() if name == "ranker" else policy for agent in one.possible_agents}
        for _ in range(2)
    ]
    for envs in (one, other):
        envs.reset(seed=3)
    found = recsys_env.rollout(one, given[0], 2 * HORIZON + 7, seed=5)
    wrapped = {
        agent: CompiledPolicy(p) if callable(p) and not isinstance(p, str) else p for agent, p in given[1].items()
    }
    own, paid = played(other, wrapped, 2 * HORIZON + 7, 5)
    np.testing.assert_array_equal(found.individual_rewards, own)
    np.testing.assert_array_equal(found.rewards, paid)
    assert found.individual_rewards.any() or name == "blind weights"
    for mine, theirs in zip(one.arrays, other.arrays, strict=True):
        assert mine.tobytes() == theirs.tobytes()
    for key in set(other.infos) - {"final_obs", "final_mask"}:  # which only mean something where an episode has ended
        np.testing.assert_array_equal(one.infos[key], other.infos[key], key)
    actions = one.empty_actions()
    for mine, theirs in zip(one.step(actions)[:2], other.step(actions)[:2], strict=True):
        assert repr(mine) == repr(theirs)


def test_content_expects_the_same_of_items_in_a_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    """All four numbers of a fitted world reach both ways to play."""
    rewards = []
    for expected in (ExpectedAppeal(0.3, 0.2, -0.8, 0.6), ExpectedAppeal(0.3, 0.2, 0.6, -0.8)):
        monkeypatch.setattr("recsys_env.policies.assortment.expected_appeal", lambda envs, expected=expected: expected)
        one, other = (recsys_env.vector_env("ecommerce-v1", 8, horizon=HORIZON) for _ in range(2))
        team = dict.fromkeys(one.possible_agents, "content")
        for envs in (one, other):
            envs.reset(seed=3)
        found = recsys_env.rollout(one, team, HORIZON, seed=5)
        np.testing.assert_array_equal(found.individual_rewards, played(other, team, HORIZON, 5)[0])
        rewards.append(found.individual_rewards)
    assert (rewards[0] != rewards[1]).any()


def test_a_rollout_counts_towards_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    envs = recsys_env.vector_env("duel-v1", 2)
    envs.reset(seed=0)
    before = envs._until_specialised
    recsys_env.rollout(envs, "blind", 10)
    assert envs._until_specialised == before - 10


def test_compiled_code_of_functions_that_were_used_long_ago_is_freed() -> None:
    """The code of those used last is kept, also if each of them was wrapped in a policy that is gone."""

    def fixed(pick: int) -> Any:
        @numba.njit
        def act(observation, mask, action, key):  # type: ignore[no-untyped-def]
            action[0] = pick

        return act

    def first_act(function: Any) -> np.ndarray:
        policy = CompiledPolicy(function)
        policy.bind(envs, "recommender_0", 0)
        return policy.act(envs.observations[:, 0])

    envs = recsys_env.vector_env("duel-v1", 2)
    envs.reset(seed=0)
    functions = [fixed(1)]
    assert first_act(functions[0]).tolist() == [1, 1]
    gone = weakref.ref(functions.pop())
    gc.collect()
    assert gone() is not None
    for pick in range(compiled.KEPT):
        functions.append(fixed(pick))
        compiled._loops(functions[-1])  # which compiles at its first call
    gc.collect()
    assert gone() is None
    assert compiled._loops(functions[0]) is compiled._loops(functions[0])


@pytest.mark.parametrize(
    ("policies", "what"),
    [
        ("central", r"policy .* of recommender_0 is not compiled, so rollout\(\) cannot play it in this task; choose"),
        ({"recommender_0": "random"}, "policies = .* have none for recommender_1"),
        (outside, "action of recommender_0 in copy 0 is .*10000.*, outside its space"),
        (failing, "no idea"),
    ],
)
def test_what_rollout_refuses(policies: Any, what: str) -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before rollout\(\)"):
        recsys_env.rollout(envs, "blind", 1)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=what):
        recsys_env.rollout(envs, policies, 3)
    if callable(policies):
        with pytest.raises(RuntimeError, match="call reset"):
            envs.step(envs.empty_actions())
        other = recsys_env.vector_env("ecommerce-v1", 2)
        other.reset(seed=0)
        np.testing.assert_array_equal(envs.reset()[0], other.reset()[0])  # the seed is kept
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="ticks"):
        recsys_env.rollout(envs, "blind", 0)
    with pytest.raises(ValueError, match="is not compiled"):
        recsys_env.rollout(envs, {agent: Otherwise(spread) for agent in envs.possible_agents}, 3)
    with pytest.raises(TypeError, match=r"takes \(row\), and must take \(observation, mask, action, key\)"):
        CompiledPolicy(numba.njit(lambda row: None))
    with pytest.raises(TypeError, match=r"of recommender_0 must be a Policy, or compiled by numba.njit\(function\)"):
        recsys_env.rollout(envs, lambda observation, mask, action, key: None, 1)
    with pytest.raises(TypeError, match=r"function = .* must be a function of numba.njit"):
        CompiledPolicy(len)


@numba.njit
def misspelt(observation, mask, action, key):  # type: ignore[no-untyped-def]
    action[0] = observation.largest()


def test_a_function_that_numba_cannot_compile_is_refused_with_the_name_of_its_agent() -> None:
    envs = recsys_env.vector_env("duel-v1", 2)
    envs.reset(seed=0)
    before = envs.state().copy()
    with pytest.raises(TypeError, match=r"misspelt.* of recommender_1 cannot be compiled for observation float32"):
        recsys_env.rollout(envs, {"recommender_0": "blind", "recommender_1": misspelt}, 3)
    np.testing.assert_array_equal(envs.state(), before)


@pytest.mark.parametrize("task", ["duel-v1", "ecommerce-v1"])
def test_a_function_is_compiled_for_one_type_of_arguments(task: str) -> None:
    """That it is compiled when it is bound takes no more time."""

    @numba.njit
    def first(observation, mask, action, key):  # type: ignore[no-untyped-def]
        action[0] = 0

    for masks in (False, True):
        envs = recsys_env.vector_env(task, 2, mask_actions=masks)
        envs.reset(seed=0)
        recsys_env.rollout(envs, first, 2)
        played(envs, {agent: CompiledPolicy(first) for agent in envs.possible_agents}, 2, 0)
    assert len(first.signatures) == 1


def test_a_ranker_for_another_batch_is_refused() -> None:
    """Compiled code would read beyond its weights."""
    envs = recsys_env.vector_env("ecommerce-v1", 2)
    envs.reset(seed=0)
    size = len(envs.candidate_features)
    for weights, states in (
        (np.zeros((1, size - 1)), ()),
        (np.zeros((1, size)), ("observed_satisfaction",)),
        (np.zeros((3, 1, size)), ()),
    ):
        for play in (
            recsys_env.rollout,
            lambda envs, policies, _: Team(envs, policies, 0).act(envs.observations, envs.empty_actions()),
        ):
            with pytest.raises(ValueError, match=r"weights of shape .* must have the shape"):
                play(envs, {agent: LinearRanker(weights, states) for agent in envs.possible_agents}, 3)
