"""Networks for skrl, and its IPPO and MAPPO agents in one line.

env = SkrlEnv(recsys_env.vector_env("streaming-v1", num_envs=256))
agents = make_agents("MAPPO", env, rollouts=64, learning_rate=3e-4)
SequentialTrainer(env=env, agents=agents, cfg={"timesteps": 10_000}).train()
"""

from __future__ import annotations

import dataclasses
from typing import Any

from recsys_env.adapters.skrl import BatchIPPO, BatchMAPPO, SkrlEnv
from recsys_env.batch.tensors import EXCLUDED

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from gymnasium import spaces
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, GaussianMixin, Model, MultiCategoricalMixin
from skrl.multi_agents.torch import MultiAgent
from skrl.multi_agents.torch.ippo import IPPO_CFG
from skrl.multi_agents.torch.mappo import MAPPO_CFG
from torch import nn


def _network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)
    )


class _Actor(Model):
    """Computes logits of the actions that the mask allows, or the mean of queries."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _as_model(self, env, agent)
        space: Any = self.observation_space
        self._masked = space["action_mask"].shape[0] if env.envs.config.mask_actions else 0
        self.net = _network(self.num_observations - self._masked, self.num_actions, width)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        mask, flat = inputs["observations"].tensor_split((self._masked,), 1)
        output = self.net(flat)
        return (output.masked_fill(mask == 0, EXCLUDED) if self._masked else output), {}


class PickActor(CategoricalMixin, _Actor):
    """Policy of one discrete action."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        CategoricalMixin.__init__(self)


class SlateActor(MultiCategoricalMixin, _Actor):
    """Policy of a slate: its slots are drawn independently of each other."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        MultiCategoricalMixin.__init__(self)


class VectorActor(GaussianMixin, _Actor):
    """Policy of a query, or of weights."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        GaussianMixin.__init__(self)
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return _Actor.compute(self, inputs, role)[0], {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    """Value of the agent's observation, or (`central`) of the global state."""

    def __init__(self, env: SkrlEnv, agent: str, width: int, central: bool) -> None:
        _as_model(self, env, agent)
        DeterministicMixin.__init__(self)
        self._seen = "states" if central else "observations"
        self.net = _network(self.num_states if central else self.num_observations, 1, width)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return self.net(inputs[self._seen]), {}


def _as_model(model: Model, env: SkrlEnv, agent: str) -> None:
    """Run the part of a constructor that belongs to skrl."""
    space, state, actions = env.observation_space(agent), env.state_space(agent), env.action_space(agent)
    Model.__init__(model, observation_space=space, state_space=state, action_space=actions, device=env.device)


def make_agents(algorithm: str, env: SkrlEnv, *, rollouts: int = 64, width: int = 64, **settings: Any) -> MultiAgent:
    """Make agents that learn, each with a policy and a value network of its own.

    Args:
        algorithm: "IPPO" or "MAPPO" (its critics see the global state).
        env: the environment.
        rollouts: ticks between two updates.
        width: units of each of the two hidden layers.
        settings: fields of skrl's `IPPO_CFG` or `MAPPO_CFG`.

    Raises:
        ValueError: `algorithm` is neither of the two.
    """
    if algorithm not in ("IPPO", "MAPPO"):
        raise ValueError(f"algorithm = {algorithm!r} is not allowed; choose 'IPPO' or 'MAPPO'")
    central, agents = algorithm == "MAPPO", env.possible_agents
    action: Any = env.envs.action_space
    actor: type[_Actor] = PickActor
    if isinstance(action, spaces.Box | spaces.MultiDiscrete):
        actor = VectorActor if isinstance(action, spaces.Box) else SlateActor
    config: Any = (MAPPO_CFG if central else IPPO_CFG)(rollouts=rollouts, time_limit_bootstrap=True, **settings)
    for field in dataclasses.fields(config):  # skrl takes an empty dict for one without the agents
        if getattr(config, field.name) == {}:
            setattr(config, field.name, {agent: {} for agent in agents})
    models = {
        agent: {"policy": actor(env, agent, width), "value": Critic(env, agent, width, central)} for agent in agents
    }
    return (BatchMAPPO if central else BatchIPPO)(
        possible_agents=agents,
        models=models,
        memories={
            agent: RandomMemory(memory_size=rollouts, num_envs=env.num_envs, device=env.device) for agent in agents
        },
        cfg=config,
        observation_spaces=env.observation_spaces,
        state_spaces=env.state_spaces,
        action_spaces=env.action_spaces,
        device=env.device,
    )
