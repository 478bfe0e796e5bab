"""skrl: a batch as its multi-agent environment, and IPPO or MAPPO on it in a line.

env = SkrlEnv(recsys_env.vector_env("streaming-v0", num_envs=256))
agents = make_agents("MAPPO", env, rollouts=64, learning_rate=3e-4)
SequentialTrainer(env=env, agents=agents, cfg={"timesteps": 10_000}).train()
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..vector import VectorEnv, checked_batch

try:
    import torch
    from gymnasium import spaces
    from skrl.envs.wrappers.torch import MultiAgentEnvWrapper
    from skrl.memories.torch import RandomMemory
    from skrl.models.torch import CategoricalMixin, DeterministicMixin, GaussianMixin, Model, MultiCategoricalMixin
    from skrl.multi_agents.torch import MultiAgent
    from skrl.multi_agents.torch.ippo import IPPO, IPPO_CFG
    from skrl.multi_agents.torch.mappo import MAPPO, MAPPO_CFG
    from torch import nn
except ImportError as error:
    raise ImportError(f'the skrl adapter needs {error.name}: pip install "recsys_env[skrl]"') from error

from ..tensors import Tensors

_EXCLUDED = -1e9  # logit of what the mask excludes; finite, so that no gradient becomes NaN


# ------------------------------------------------------------------------------------------------ environment


class SkrlEnv(MultiAgentEnvWrapper):
    """All copies of a task, by agent. Observations of masked tasks are the mask followed by the flat part, skrl's form
    of a `Dict`.

    Tensors share the batch's buffers on the CPU, and are valid until the step after the next: skrl copies what it
    keeps. Episodes end by truncation, all copies together; observation and state are then the first of the next
    episode, infos["final_observations"] and infos["final_states"] the last of the old one. infos["active"] [B, N] says
    whose slots will be on the next page.

    Args:
        envs: the batch.
        device: as in `choose_device`.
    """

    def __init__(self, envs: VectorEnv, device: str = "auto") -> None:
        super().__init__(checked_batch(envs))
        self.envs = envs
        self._tensors = Tensors(envs, device)
        self._device = self._tensors.device

    @property
    def agents(self) -> list[str]:
        return self.envs.possible_agents

    @property
    def observation_spaces(self) -> dict[str, spaces.Space[Any]]:
        return dict.fromkeys(self.agents, self.envs.observation_space)

    @property
    def action_spaces(self) -> dict[str, spaces.Space[Any]]:
        return dict.fromkeys(self.agents, self.envs.action_space)

    def reset(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """The next episode of the batch's seed, which `envs.reset(seed=...)` sets."""
        observations, infos = self.envs.reset()
        return self._observed(observations), {"active": self._tensors(infos["active"])}

    def step(
        self, actions: dict[str, torch.Tensor]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
        """One tick of all copies: each agent's observations [B, O], rewards [B, 1], terminated [B, 1] (never) and
        truncated [B, 1]."""
        space = self.envs.action_space
        joint = torch.stack([actions[agent] for agent in self.agents], 1).reshape(
            self.num_envs, len(self.agents), *(space.shape or ())
        )
        joint = joint.clamp(-1, 1) if isinstance(space, spaces.Box) else joint.long()
        observations, rewards, *ends, infos = self.envs.step(joint.cpu().numpy())
        report: dict[str, Any] = {"active": self._tensors(infos["active"])}
        if ends[1].any():
            report["final_observations"] = self._observed(self.envs.final_obs)
            report["final_states"] = self._shared(self.envs.final_state())
        terminated, truncated = (dict.fromkeys(self.agents, self._tensors(flags).unsqueeze(1)) for flags in ends)
        by_agent = self._by_agent(
            self._tensors(rewards).clone().unsqueeze(2)
        )  # a clone: skrl writes into rewards at the horizon
        return self._observed(observations), by_agent, terminated, truncated, report

    def state(self) -> dict[str, torch.Tensor | None]:
        """The global state [B, S], the same for all agents."""
        return self._shared(self.envs.state())

    def _shared(self, state: np.ndarray) -> dict[str, torch.Tensor | None]:
        return dict.fromkeys(self.agents, self._tensors(state))

    def _by_agent(self, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(self.agents, tensor.unbind(1), strict=True))

    def _observed(self, observations: Any) -> dict[str, torch.Tensor]:
        if isinstance(observations, dict):
            observations = np.concatenate(
                (observations["action_mask"], observations["observation"]), 2, dtype=np.float32
            )
        return self._by_agent(self._tensors(observations))

    def render(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: skrl's trainers call it in every step unless they are "headless"."""

    def close(self) -> None:
        self.envs.close()


# ------------------------------------------------------------------------------------------------ networks


def _network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)
    )


class _Actor(Model):  # type: ignore[misc]
    """Logits of actions, without those that the mask excludes, or the mean of queries."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _as_model(self, env, agent)
        space: Any = self.observation_space
        self._masked = space["action_mask"].shape[0] if env.envs.config.mask_actions else 0
        self.net = _network(self.num_observations - self._masked, self.num_actions, width)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        mask, flat = inputs["observations"].tensor_split((self._masked,), 1)
        output = self.net(flat)
        return (output.masked_fill(mask == 0, _EXCLUDED) if self._masked else output), {}


class PickActor(CategoricalMixin, _Actor):  # type: ignore[misc]
    """Policy of one discrete action."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        CategoricalMixin.__init__(self)


class SlateActor(MultiCategoricalMixin, _Actor):  # type: ignore[misc]
    """Policy of a slate: its slots are drawn independently of each other."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        MultiCategoricalMixin.__init__(self)


class QueryActor(GaussianMixin, _Actor):  # type: ignore[misc]
    """Policy of a query."""

    def __init__(self, env: SkrlEnv, agent: str, width: int) -> None:
        _Actor.__init__(self, env, agent, width)
        GaussianMixin.__init__(self)
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return _Actor.compute(self, inputs, role)[0], {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):  # type: ignore[misc]
    """Value of the agent's observation, or (`central`) of the global state."""

    def __init__(self, env: SkrlEnv, agent: str, width: int, central: bool) -> None:
        _as_model(self, env, agent)
        DeterministicMixin.__init__(self)
        self._seen = "states" if central else "observations"
        self.net = _network(self.num_states if central else self.num_observations, 1, width)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return self.net(inputs[self._seen]), {}


def _as_model(model: Model, env: SkrlEnv, agent: str) -> None:
    """skrl's part of a constructor."""
    space, state, actions = env.observation_space(agent), env.state_space(agent), env.action_space(agent)
    Model.__init__(model, observation_space=space, state_space=state, action_space=actions, device=env.device)


# ------------------------------------------------------------------------------------------------ algorithms


class _AtHorizon:
    """Values at the horizon are those of the last observation and state, not of the next episode's first."""

    def record_transition(self, *, next_observations: Any, next_states: Any, infos: Any, **rest: Any) -> None:
        if "final_observations" in infos:
            next_observations, next_states = infos["final_observations"], infos["final_states"]
        super().record_transition(next_observations=next_observations, next_states=next_states, infos=infos, **rest)  # type: ignore[misc]


class BatchIPPO(_AtHorizon, IPPO):  # type: ignore[misc]
    """skrl's IPPO with true truncation."""


class BatchMAPPO(_AtHorizon, MAPPO):  # type: ignore[misc]
    """skrl's MAPPO with true truncation."""


def make_agents(algorithm: str, env: SkrlEnv, *, rollouts: int = 64, width: int = 64, **settings: Any) -> MultiAgent:
    """Agents that learn, each with a policy and a value network of its own.

    Args:
        algorithm: "IPPO" or "MAPPO" (its critics see the global state).
        env: the environment.
        rollouts: ticks between two updates.
        width: units of each of the two hidden layers.
        settings: fields of skrl's `IPPO_CFG` or `MAPPO_CFG`.
    """
    if algorithm not in ("IPPO", "MAPPO"):
        raise ValueError(f"algorithm = {algorithm!r} is not allowed; choose 'IPPO' or 'MAPPO'")
    central, agents = algorithm == "MAPPO", env.possible_agents
    action: Any = env.envs.action_space
    actor = (
        QueryActor
        if isinstance(action, spaces.Box)
        else SlateActor
        if isinstance(action, spaces.MultiDiscrete)
        else PickActor
    )
    config: Any = (MAPPO_CFG if central else IPPO_CFG)(rollouts=rollouts, time_limit_bootstrap=True, **settings)
    for field in dataclasses.fields(config):  # skrl takes an empty dict for one without the agents
        if getattr(config, field.name) == {}:
            setattr(config, field.name, {agent: {} for agent in agents})
    return (BatchMAPPO if central else BatchIPPO)(
        possible_agents=agents,
        models={agent: {"policy": actor(env, agent, width), "value": Critic(env, agent, width, central)} for agent in agents},
        memories={agent: RandomMemory(memory_size=rollouts, num_envs=env.num_envs, device=env.device) for agent in agents},
        cfg=config, observation_spaces=env.observation_spaces, state_spaces=env.state_spaces, action_spaces=env.action_spaces, device=env.device,
    )  # fmt: skip
