"""TorchRL: policy gradients with a central or an own critic, mixed value functions, and deterministic policies that
send queries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs.utils import ExplorationType, set_exploration_type
from torchrl.modules import (
    MLP,
    AdditiveGaussianModule,
    EGreedyModule,
    MaskedCategorical,
    MultiAgentMLP,
    ProbabilisticActor,
    QMixer,
    QValueModule,
    TanhModule,
    VDNMixer,
)
from torchrl.objectives import SoftUpdate, TD3Loss, ValueEstimators
from torchrl.objectives.multiagent import IPPOLoss, MAPPOLoss, QMixerLoss

from recsys_env import vector_env
from recsys_env.adapters.torchrl import TorchRLEnv
from recsys_env.batch.spaces import choices

from . import TASK, TEAM, main

ALGORITHMS = ("MAPPO", "IPPO", "QMIX", "VDN", "TD3")
GROUP = "recommender"
OBSERVATION, ACTION, REWARD, VALUE = ((GROUP, name) for name in ("observation", "action", "reward", "value"))
COPIES, GAMMA = 64, 0.95
ON_POLICY, OFF_POLICY = (128, 15), (16, 80)  # ticks between two updates, updates


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    actions = {"action": "query"} if algorithm == "TD3" else {"mask_actions": True}
    env = TorchRLEnv(vector_env(TASK, COPIES, **TEAM, **actions), device)
    env.set_seed(seed)
    before = mean_reward(env)
    kind = train_ppo if algorithm in ("MAPPO", "IPPO") else train_mixer if algorithm in ("QMIX", "VDN") else train_td3
    began = time.perf_counter()
    policy, ticks = kind(env, algorithm)
    seconds = time.perf_counter() - began
    return {
        "agent_steps": ticks * COPIES * env.envs.num_agents,
        "seconds": seconds,
        "before": before,
        "after": mean_reward(env, policy),
    }


def mean_reward(env: TorchRLEnv, policy: Any = None, ticks: int = 300) -> float:
    """Reward per agent and tick of a policy, or of random actions without one."""
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        return float(env.rollout(ticks, policy, break_when_any_done=False)["next", GROUP, "reward"].mean())


def network(env: TorchRLEnv, inputs: int, outputs: int, central: bool = False) -> MultiAgentMLP:
    return MultiAgentMLP(
        inputs,
        outputs,
        env.envs.num_agents,
        centralized=central,
        share_params=True,
        device=env.device,
        depth=2,
        num_cells=64,
        activation_class=nn.Tanh,
    )


def collect(env: TorchRLEnv, policy: Any, ticks: int, updates: int) -> Iterator[TensorDict]:
    """Collect batches [COPIES, ticks]."""
    collector = Collector(
        env,
        policy,
        frames_per_batch=ticks * COPIES,
        total_frames=ticks * COPIES * updates,
        device=env.device,
        auto_register_policy_transforms=False,
    )
    yield from collector


# ------------------------------------------------------------------------------------------------ PPO


def train_ppo(env: TorchRLEnv, algorithm: str) -> tuple[Any, int]:
    agents, observation = env.envs.num_agents, env.observation_spec[OBSERVATION].shape[-1]
    logits = TensorDictModule(
        network(env, observation, choices(env.envs.config, env.envs.shape)), [OBSERVATION], [(GROUP, "logits")]
    )
    actor = ProbabilisticActor(
        logits,
        in_keys={"logits": (GROUP, "logits"), "mask": (GROUP, "action_mask")},
        out_keys=[ACTION],
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        log_prob_key=(GROUP, "log_prob"),
    )
    if algorithm == "MAPPO":
        size = env.observation_spec["state"].shape[-1]
        value = nn.Sequential(MLP(size, agents, num_cells=[64, 64], device=env.device), nn.Unflatten(-1, (agents, 1)))
        loss = MAPPOLoss(actor, TensorDictModule(value, ["state"], [VALUE]))
    else:
        loss = IPPOLoss(actor, TensorDictModule(network(env, observation, 1), [OBSERVATION], [VALUE]))
    loss.set_keys(action=ACTION, reward=REWARD, value=VALUE, sample_log_prob=(GROUP, "log_prob"))
    loss.make_value_estimator(gamma=GAMMA, lmbda=0.95)
    optimizer = torch.optim.Adam(loss.parameters(), 1e-3)
    for batch in collect(env, actor, *ON_POLICY):
        with torch.no_grad():
            loss.value_estimator(
                batch, params=loss.critic_network_params, target_params=loss.target_critic_network_params
            )
        rows = batch.reshape(-1)
        for _ in range(4):
            for part in torch.randperm(len(rows), device=env.device).chunk(4):
                losses = loss(rows[part])
                step(optimizer, losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"])
    return actor, ON_POLICY[0] * ON_POLICY[1]


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# ------------------------------------------------------------------------------------------------ replay


def replay(env: TorchRLEnv, explore: TensorDictSequential, loss: Any, updates_per_batch: int = 8) -> int:
    """Collect with noise and learn from a replay buffer. Returns the ticks played in each copy."""
    ticks, updates = OFF_POLICY
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100_000, device=env.device), batch_size=512)
    target, optimizer = SoftUpdate(loss, tau=0.02), torch.optim.Adam(loss.parameters(), 1e-3)
    for batch in collect(env, explore, ticks, updates):
        explore[-1].step(batch.numel())
        rows = batch.reshape(-1)
        reward = rows["next", GROUP, "reward"]
        rows["next", "reward"] = reward.mean(-2)  # one for the team, which a mixer learns from
        for end in ("done", "terminated"):  # per agent, which the others do
            rows["next", GROUP, end] = rows["next", end].unsqueeze(-1).expand(reward.shape)
        buffer.extend(rows)
        for _ in range(updates_per_batch):
            losses = loss(buffer.sample())
            step(optimizer, sum(value for name, value in losses.items() if name.startswith("loss")))
            target.step()
    return ticks * updates


def train_mixer(env: TorchRLEnv, algorithm: str) -> tuple[Any, int]:
    agents, spec = env.envs.num_agents, env.full_action_spec_unbatched
    net = network(env, env.observation_spec[OBSERVATION].shape[-1], choices(env.envs.config, env.envs.shape))
    values = TensorDictModule(net, [OBSERVATION], [(GROUP, "action_value")])
    chosen = (GROUP, "chosen_action_value")
    choice = QValueModule(
        spec=spec,
        action_value_key=(GROUP, "action_value"),
        out_keys=[ACTION, (GROUP, "action_value"), chosen],
        action_space="categorical",
        action_mask_key=(GROUP, "action_mask"),
    )
    policy = TensorDictSequential(values, choice)
    noise = EGreedyModule(
        spec,
        1.0,
        0.05,
        annealing_num_steps=OFF_POLICY[0] * OFF_POLICY[1] * COPIES // 2,
        action_key=ACTION,
        action_mask_key=(GROUP, "action_mask"),
    )
    if algorithm == "QMIX":
        mixer = QMixer(env.observation_spec["state"].shape[1:], 32, agents, env.device)
        mix = TensorDictModule(mixer, [chosen, "state"], ["chosen_action_value"])
    else:
        mix = TensorDictModule(VDNMixer(agents, env.device), [chosen], ["chosen_action_value"])
    loss = QMixerLoss(policy, mix, delay_value=True, action_space="categorical")
    loss.set_keys(
        action_value=(GROUP, "action_value"), local_value=chosen, global_value="chosen_action_value", action=ACTION
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=GAMMA)
    return policy, replay(env, TensorDictSequential(policy, noise.to(env.device)), loss)


def train_td3(env: TorchRLEnv, algorithm: str) -> tuple[Any, int]:
    """Train one actor for all agents, with critics that see every observation and query."""
    spec, size = env.full_action_spec_unbatched[ACTION], env.observation_spec[OBSERVATION].shape[-1]
    dims = spec.shape[-1]
    policy = TensorDictSequential(
        TensorDictModule(network(env, size, dims), [OBSERVATION], [(GROUP, "param")]),
        TanhModule(in_keys=[(GROUP, "param")], out_keys=[ACTION], spec=spec),
    )
    critic = TensorDictSequential(
        TensorDictModule(lambda *parts: torch.cat(parts, -1), [OBSERVATION, ACTION], [(GROUP, "both")]),
        TensorDictModule(
            network(env, size + dims, 1, central=True), [(GROUP, "both")], [(GROUP, "state_action_value")]
        ),
    )
    noise = AdditiveGaussianModule(
        spec, 1.0, 0.2, annealing_num_steps=OFF_POLICY[0] * OFF_POLICY[1] * COPIES // 2, action_key=ACTION
    )
    loss = TD3Loss(policy, critic, action_spec=spec, delay_actor=True)
    ends = {end: (GROUP, end) for end in ("done", "terminated")}
    loss.set_keys(action=ACTION, reward=REWARD, state_action_value=(GROUP, "state_action_value"), **ends)
    loss.make_value_estimator(ValueEstimators.TD0, gamma=GAMMA)
    return policy, replay(env, TensorDictSequential(policy, noise.to(env.device)), loss)


if __name__ == "__main__":
    main(train, ALGORITHMS)
