"""The skrl adapter says what the batch says, by agent, and skrl's algorithms learn on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("skrl")

import torch
from skrl.multi_agents.torch.ippo import IPPO_CFG
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed

import recsys_env
from baselines.skrl_networks import make_agents
from benchmarks.compat import TASK, TEAM
from recsys_env.adapters.skrl import BatchIPPO, BatchMAPPO, SkrlEnv

HORIZON, B = 12, 3
TRAINER = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
QUIET = {"write_interval": 0, "checkpoint_interval": 0}
KINDS: dict[str, dict[str, Any]] = {
    "duel-v1": {},
    "ecommerce-v1": {"mask_actions": True},
    "journey-v1": {"mask_actions": True},
    "streaming-v1": {"action": "query"},
    "social-v1": {"action": "weights"},
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    set_seed(0)


def make(task: str, **settings: Any) -> tuple[SkrlEnv, recsys_env.VectorEnv]:
    """The adapter and the batch that it should agree with, at the same seed."""
    batches = [recsys_env.vector_env(task, B, **{"horizon": HORIZON, **settings}) for _ in range(2)]
    for batch in batches:
        batch.reset(seed=5)
    return SkrlEnv(batches[0], "cpu"), batches[1]


def train(algorithm: str, env: SkrlEnv, ticks: int, **settings: Any) -> Any:
    agents = make_agents(algorithm, env, experiment=QUIET, **settings)
    SequentialTrainer(env=env, agents=agents, cfg={"timesteps": ticks, **TRAINER}).train()
    return agents


@pytest.mark.parametrize("algorithm", ["IPPO", "MAPPO"])
@pytest.mark.parametrize("task", KINDS)
def test_every_kind_of_action_trains(task: str, algorithm: str) -> None:
    env, _ = make(task, **KINDS[task])
    agents = make_agents(algorithm, env, rollouts=8, experiment=QUIET)
    before = [parameter.clone() for parameter in agents.policies[env.possible_agents[0]].parameters()]
    SequentialTrainer(env=env, agents=agents, cfg={"timesteps": 16, **TRAINER}).train()
    after = list(agents.policies[env.possible_agents[0]].parameters())
    assert any(not torch.equal(b, a) for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize("task", ["duel-v1", "ecommerce-v1"])
def test_masked_actions_are_never_drawn(task: str) -> None:
    env, batch = make(task, mask_actions=True)
    agents = make_agents("IPPO", env, experiment=QUIET)
    agents.init()
    space: Any = batch.observation_space
    size, slots = space["action_mask"].shape[0], batch.config.slots
    observations = torch.rand(500, size + space["observation"].shape[0])
    masks = (torch.rand(500, slots, size // slots) < 0.5).float()
    masks[:, :, 0] = 1
    observations[:, :size] = masks.reshape(500, -1)
    actions, _ = agents.policies["recommender_0"].act({"observations": observations}, role="policy")
    assert masks.gather(2, actions.long().unsqueeze(2)).all()
    assert len(actions.unique()) > 1


@pytest.mark.parametrize("kind", [BatchIPPO, BatchMAPPO])
def test_episodes_end_by_truncation_whatever_the_settings_say(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(kind.__mro__[2], "__init__", lambda self, *, cfg, **rest: told.append(cfg))
    kind()
    kind(cfg={"time_limit_bootstrap": False, "rollouts": 7})
    kind(cfg=IPPO_CFG(rollouts=7))
    assert told[:2] == [{"time_limit_bootstrap": True}, {"time_limit_bootstrap": True, "rollouts": 7}]
    assert (told[2].time_limit_bootstrap, told[2].rollouts) == (True, 7)


@pytest.mark.parametrize(("algorithm", "kind"), [("IPPO", BatchIPPO), ("MAPPO", BatchMAPPO)])
def test_values_at_the_horizon_are_those_of_the_last_observation_and_state(algorithm: str, kind: type) -> None:
    env, _ = make("duel-v1")
    agents = make_agents(algorithm, env, rollouts=HORIZON, experiment=QUIET, learning_rate=0.0, discount_factor=0.9)
    assert isinstance(agents, kind)
    final: list[torch.Tensor] = []
    record, agent = agents.record_transition, env.possible_agents[0]

    def spy(*, rewards: Any, next_states: Any, infos: Any, **rest: Any) -> None:
        plain = rewards[agent].clone()
        record(rewards=rewards, next_states=next_states, infos=infos, **rest)
        if not env.envs.truncated.all():
            assert torch.equal(plain, rewards[agent])
            return
        last = torch.from_numpy(env.envs.final_state())
        assert torch.equal(agents._current_next_states[agent], last)  # what skrl was told
        assert not torch.equal(next_states[agent], last)  # what the trainer goes on with
        value = agents.values[agent].act(
            {"observations": infos["final_observations"][agent], "states": last}, role="value"
        )[0]
        final.append(rewards[agent] - plain - 0.9 * value)

    agents.record_transition = spy
    SequentialTrainer(env=env, agents=agents, cfg={"timesteps": 2 * HORIZON, **TRAINER}).train()
    assert len(final) == 2
    assert all(difference.abs().max() < 1e-6 for difference in final)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["IPPO", "MAPPO"])
def test_it_learns(algorithm: str) -> None:
    """Random play gives .285, always the fair item .385."""
    envs = recsys_env.vector_env(TASK, 32, horizon=250, **TEAM)
    envs.reset(seed=1)
    env = SkrlEnv(envs, "cpu")
    settings = {
        "learning_rate": 3e-3,
        "learning_epochs": 4,
        "mini_batches": 4,
        "entropy_loss_scale": 0.01,
        "discount_factor": 0.95,
    }
    agents = train(algorithm, env, 1250, rollouts=32, **settings)
    agents.enable_training_mode(False)
    rewards = []
    observations, _ = env.reset()
    for _ in range(250):
        with torch.no_grad():
            actions, _ = agents.act(observations, env.state(), timestep=0, timesteps=1)
        observations, reward, *_ = env.step(actions)
        rewards.append(reward["recommender_0"].mean().item())
    assert np.mean(rewards[50:]) > 0.33


def test_vectors_are_brought_back_into_their_bounds() -> None:
    env, batch = make("streaming-v1", action="query")
    env.reset()
    batch.reset()
    beyond = torch.full((B, *(batch.action_space.shape or ())), 5.0)
    rewards = env.step(dict.fromkeys(env.agents, beyond))[1]
    expected = batch.step(batch.empty_actions() + 1)[1]
    for n, agent in enumerate(env.agents):
        np.testing.assert_array_equal(rewards[agent][:, 0], expected[:, n])
    with pytest.raises(ValueError, match=f"action of {env.agents[0]} in copy 0"):
        env.step(dict.fromkeys(env.agents, beyond * float("nan")))
