"""The RLlib adapter says what the batch says, and RLlib's algorithms learn on it (in this process; the cluster is
`python -m baselines cluster`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray.rllib")

import ray
import torch
from ray.rllib.algorithms import DQNConfig, PPOConfig, SACConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.pre_checks.env import check_multiagent_environments

import recsys_env
from benchmarks import compat
from recsys_env.adapters.rllib import (
    CandidateScorerModule,
    MaskedPPOModule,
    RecommendationMultiAgentEnv,
    multi_agent,
    rows,
)

# RLlib registers its environment under the same id for each algorithm of a process.
pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-.* already in registry:UserWarning")

SHORT = 12
KINDS: dict[str, dict[str, Any]] = {
    "duel-v1": {"mask_actions": True},
    "ecommerce-v1": {"mask_actions": True},
    "journey-v1": {},
    "streaming-v1": {"action": "query"},
    "social-v1": {"action": "weights"},
}


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


# ------------------------------------------------------------------------------------------------ environments


@pytest.mark.parametrize("task", recsys_env.TASKS)
@pytest.mark.parametrize("only_active", [False, True])
def test_the_official_checker_accepts_it(task: str, only_active: bool) -> None:
    check_multiagent_environments(
        RecommendationMultiAgentEnv({"task": task, "horizon": SHORT, "only_active": only_active})
    )


def test_with_only_active_agents_act_on_their_pages_and_are_told_all_that_they_earn() -> None:
    settings = {"task": "journey-v1", "horizon": 300}
    some, every = RecommendationMultiAgentEnv({**settings, "only_active": True}), RecommendationMultiAgentEnv(settings)
    (seen, infos), _ = some.reset(seed=3), every.reset(seed=3)
    still = dict.fromkeys(some.agents, np.zeros(some.action_spaces[some.agents[0]].shape, int))
    told, earned = ({agent: 0.0 for agent in some.agents} for _ in range(2))
    over, steps, paid = False, 0, 0.0
    while True:
        assert over or all(infos[agent]["active"] for agent in seen)
        for agent, info in infos.items():
            told[agent] += info["individual_reward"]
        if over:
            break
        seen, rewards, _, truncated, infos = some.step({agent: still[agent] for agent in seen})
        over, steps, paid = truncated["__all__"], steps + 1, paid + sum(rewards.values())
    for _ in range(300):
        for agent, info in every.step(still)[4].items():
            earned[agent] += info["individual_reward"]
    assert told == pytest.approx(earned)
    assert steps < 300
    assert paid > 0


def test_an_episode_in_which_nobody_is_seen_is_told_to_be_over() -> None:
    env = RecommendationMultiAgentEnv(
        {"task": "journey-v1", "horizon": 3, "only_active": True, "arrival": {"r_0": -30.0}}
    )
    assert env.reset(seed=1) == ({}, {})
    for _ in range(2):
        assert env.step({}) == ({}, {}, {"__all__": False}, {"__all__": True}, {})
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.step({env.agents[0]: env.action_spaces[env.agents[0]].sample()})
    assert env._envs.arrays.copies["episode"][0] == 1


def test_runners_with_neighbouring_seeds_play_other_episodes() -> None:
    from ray.rllib.env.env_context import EnvContext

    first, second = (RecommendationMultiAgentEnv(EnvContext({"task": "ecommerce-v1"}, worker_index=w)) for w in (1, 2))
    a, b = first.reset(seed=8)[0], second.reset(seed=8)[0]
    assert not np.array_equal(a["recommender_0"], b["recommender_0"])
    np.testing.assert_array_equal(first.reset(seed=8)[0]["recommender_0"], a["recommender_0"])


# ------------------------------------------------------------------------------------------------ training


def build(config: Any) -> Any:
    return config.env_runners(num_env_runners=0).debugging(seed=0, log_level="ERROR").build_algo()


def returns(config: Any, iterations: int) -> list[float]:
    """Mean return of the episodes that ended in each iteration."""
    algorithm = build(config)
    curve = [algorithm.train()["env_runners"].get("episode_return_mean", float("nan")) for _ in range(iterations)]
    algorithm.stop()
    return curve


@pytest.mark.slow
@pytest.mark.parametrize("task", KINDS)
def test_every_kind_of_action_trains(task: str) -> None:
    small = {"train_batch_size_per_learner": 120, "minibatch_size": 40, "num_epochs": 1}
    settings = {"horizon": SHORT, "device": "cpu", **KINDS[task]}
    for config in (
        multi_agent(PPOConfig(), task, policies="independent", only_active=True, **settings),
        rows(PPOConfig(), task, 2, **settings),
    ):
        assert np.isfinite(returns(config.training(**small), 1)).all()


@pytest.mark.parametrize(("task", "slots"), [("journey-v1", 1), ("ecommerce-v1", 5)])
def test_the_packaged_scorer_is_the_default_where_candidates_are_picked(task: str, slots: int) -> None:
    settings: dict[str, Any] = {"horizon": SHORT, "device": "cpu", "slots": slots}
    config = rows(PPOConfig(), task, 2, **settings)
    config.training(train_batch_size_per_learner=120, minibatch_size=40, num_epochs=1)
    algorithm = build(config)
    module = algorithm.get_module()
    assert isinstance(module, CandidateScorerModule)
    envs = recsys_env.vector_env(task, 1, slots=slots)
    seen = torch.from_numpy(np.concatenate([envs.reset(seed=seed)[0][0] for seed in range(4)]))
    before = module.forward_inference({Columns.OBS: seen})[Columns.ACTION_DIST_INPUTS]
    assert before.shape == (len(seen), envs.shape.candidates)
    drawn = module.get_exploration_action_dist_cls().from_logits(before)
    picks = drawn.sample()
    assert torch.allclose(drawn.kl(drawn), torch.zeros(len(seen)), atol=1e-6)
    assert drawn.logp(picks).shape == drawn.entropy().shape == (len(seen),)
    if slots > 1:
        assert all(len(set(slate.tolist())) == slots for slate in picks)
        assert torch.equal(drawn.to_deterministic().sample(), before.topk(slots).indices)
    algorithm.train()
    after = algorithm.get_module().forward_inference({Columns.OBS: seen})[Columns.ACTION_DIST_INPUTS]
    assert not torch.equal(after, before)
    algorithm.stop()


def test_masked_actions_are_never_drawn() -> None:
    batch = recsys_env.vector_env("ecommerce-v1", 1, mask_actions=True)
    space: Any = batch.observation_space
    spec = RLModuleSpec(module_class=MaskedPPOModule, observation_space=space, action_space=batch.action_space)
    module = spec.build()
    slots = batch.config.slots
    masks = (torch.rand(400, slots, space["action_mask"].shape[0] // slots) < 0.5).to(torch.int8)
    masks[:, :, 0] = 1
    observations = {
        "observation": torch.rand(400, space["observation"].shape[0]),
        "action_mask": masks.reshape(400, -1),
    }
    for forward in (module.forward_exploration, module.forward_train):
        logits = forward({Columns.OBS: observations})[Columns.ACTION_DIST_INPUTS]
        kind = module.get_exploration_action_dist_cls()
        actions = kind.from_logits(logits).sample()
        assert masks.gather(2, actions.long().unsqueeze(2)).all()
        assert len(actions.unique()) > 1
    assert module.compute_values({Columns.OBS: observations}).shape == (400,)


TEAM: dict[str, Any] = {**compat.TEAM, "horizon": 50, "device": "cpu"}
LEARNING: dict[str, Any] = {"num_epochs": 4, "lr": 3e-3, "gamma": 0.95, "entropy_coeff": 0.01}


@pytest.mark.slow
def test_ppo_learns_on_rows() -> None:
    """Random play gives .295 in these first 50 ticks, always the fair item about .36."""
    config = rows(PPOConfig(), compat.TASK, 64, **TEAM).training(
        train_batch_size_per_learner=6400, minibatch_size=640, **LEARNING
    )
    curve = returns(config, 8)
    assert np.mean(curve[-2:]) / 50 > np.mean(curve[:2]) / 50 + 0.03


@pytest.mark.slow
@pytest.mark.parametrize("policies", ["shared", "independent", "rows"])
def test_dqn_trains(policies: str) -> None:
    config: Any = DQNConfig().training(num_steps_sampled_before_learning_starts=100, train_batch_size_per_learner=16)
    config.reporting(min_sample_timesteps_per_iteration=200, min_time_s_per_iteration=0)
    config = (
        rows(config, compat.TASK, 2, **TEAM)
        if policies == "rows"
        else multi_agent(config, compat.TASK, policies=policies, **TEAM)
    )
    algorithm = build(config)
    report = algorithm.train()
    trained = {"shared": {"shared"}, "independent": {"recommender_0", "recommender_1"}, "rows": {"default_policy"}}[
        policies
    ]
    assert set(report["learners"]) == {*trained, "__all_modules__"}
    algorithm.stop()


def test_what_an_algorithm_cannot_take_is_said() -> None:
    with pytest.raises(ValueError, match="one discrete action"):
        multi_agent(DQNConfig(), "ecommerce-v1")
    with pytest.raises(ValueError, match="masks need PPO"):
        rows(SACConfig(), "duel-v1", mask_actions=True)
    with pytest.raises(ValueError, match="'shared' or 'independent'"):
        multi_agent(PPOConfig(), "duel-v1", policies="own")
    with pytest.raises(TypeError, match="only_active = 'no' must be True or False"):
        multi_agent(PPOConfig(), "duel-v1", only_active="no")  # type: ignore[arg-type]
    for config in (None, 3, PPOConfig):
        for prepare in (multi_agent, rows):
            with pytest.raises(TypeError, match=r"config = .* must be an algorithm's config"):
                prepare(config, "duel-v1")  # type: ignore[type-var]
