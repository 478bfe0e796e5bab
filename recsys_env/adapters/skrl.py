"""skrl: a batch as its multi-agent environment, and its PPO with episodes that end by truncation.

env = SkrlEnv(recsys_env.vector_env("streaming-v1", num_envs=256))
agents = BatchIPPO(possible_agents=env.possible_agents, models=..., memories=..., cfg=...)    # as skrl's IPPO
SequentialTrainer(env=env, agents=agents, cfg={"timesteps": 10_000}).train()
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..batch.base import AnyBatch, checked_batch
from ..checks import shown
from ..libraries import needed

with needed("the skrl adapter", "recsys_env[skrl]"):
    import torch
    from gymnasium import spaces
    from skrl.envs.wrappers.torch import MultiAgentEnvWrapper
    from skrl.multi_agents.torch.ippo import IPPO
    from skrl.multi_agents.torch.mappo import MAPPO

from ..batch.tensors import Tensors
from . import check_flat, in_order


class SkrlEnv(MultiAgentEnvWrapper):
    """All copies of a task, with tensors by agent.

    With `mask_actions`, an observation is the mask followed by the flat part, which is skrl's form of a `Dict`. On the
    CPU, tensors share memory with the batch's arrays.

    All copies end their episodes together, by truncation. Observations and states are then the first ones of the next
    episode; infos["final_observations"] and infos["final_states"] are the last ones of the old episode.
    infos["active"] [B, N] says which agents have slots on the next page.

    Args:
        envs: the batch, on the CPU or on a GPU.
        device: as in `choose_device`.

    Raises:
        TypeError: `envs` is not a batch, or `device` is not a name.
        ValueError: the batch has observations in parts, or the device is wrong, as in `Tensors`.
    """

    def __init__(self, envs: AnyBatch, device: str = "auto") -> None:
        check_flat(checked_batch(envs).observation_format, "skrl")
        super().__init__(envs)
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
        """Start the next episode of the batch's seed, which `envs.reset(seed=...)` sets."""
        observations, infos = self.envs.reset()
        return self._observed(observations), {"active": self._tensors(infos["active"])}

    def step(
        self, actions: dict[str, torch.Tensor]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Play one tick of all copies.

        Args:
            actions: tensors by agent: [B, 1] of one pick, [B, K] of slates or [B, D] of vectors, which are clipped to
            their
                bounds, because skrl's Gaussian policies draw beyond them.

        Returns:
            observations [B, O], rewards [B, 1], terminated [B, 1] (always False) and truncated [B, 1], each by agent,
            and infos.

        Raises:
            KeyError, ValueError, TypeError: an agent is missing or an action is outside its space; nothing has changed.
        """
        space, each = self.envs.action_space, in_order(actions, self.agents)
        for agent, action in zip(self.agents, each, strict=True):
            if not isinstance(action, torch.Tensor):
                raise TypeError(f"action of {agent} is {shown(action)}, not a tensor")
            if action.shape != each[0].shape or not action.dim():
                raise ValueError(f"action of {agent} has shape {tuple(action.shape)}; all agents need the same shape")
        joint = torch.stack(each, 1)
        if isinstance(space, spaces.Box):
            joint = joint.clamp(-1, 1)
        elif not space.shape and joint.dim() == 3:
            joint = joint.squeeze(2)
        observations, rewards, *ends, infos = self.envs._step(self._tensors.actions(joint))
        report: dict[str, Any] = {"active": self._tensors(infos["active"])}
        ends = [self._tensors(flags) for flags in ends]
        if ends[1].any():
            report["final_observations"] = self._observed(self.envs.final_obs)
            report["final_states"] = self._shared(self.envs.final_state())
        terminated, truncated = (dict.fromkeys(self.agents, flags.unsqueeze(1)) for flags in ends)
        # A clone, because skrl writes into rewards at the horizon.
        by_agent = self._by_agent(self._tensors(rewards).clone().unsqueeze(2))
        return self._observed(observations), by_agent, terminated, truncated, report

    def state(self) -> dict[str, torch.Tensor | None]:
        """Return the global state [B, S], which is the same for all agents."""
        return self._shared(self.envs.state())

    def _shared(self, state: Any) -> dict[str, torch.Tensor | None]:
        return dict.fromkeys(self.agents, self._tensors.kept(state))

    def _by_agent(self, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(self.agents, tensor.unbind(1), strict=True))

    def _observed(self, observations: Any) -> dict[str, torch.Tensor]:
        if isinstance(observations, dict):
            mask, flat = (self._tensors(observations[name]) for name in ("action_mask", "observation"))
            return self._by_agent(torch.cat((mask.float(), flat), 2))
        return self._by_agent(self._tensors(observations))

    def render(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing. skrl's trainers call this in every step unless they are "headless"."""

    def close(self) -> None:
        self.envs.close()


class _AtHorizon:
    """Takes the values at the horizon from the last observation and state of the episode.

    skrl's trainers give an agent the observation with which the next step begins, which at the horizon belongs to the
    next episode. Only the agent itself can use the last observation from infos instead.
    """

    def __init__(self, *, cfg: Any = MappingProxyType({}), **rest: Any) -> None:
        # Without it, skrl takes the value of the next page also where an episode has ended.
        on = {"time_limit_bootstrap": True}
        cfg = {**cfg, **on} if isinstance(cfg, Mapping) else dataclasses.replace(cfg, **on)
        agents: Any = super()
        agents.__init__(cfg=cfg, **rest)

    def record_transition(self, *, next_observations: Any, next_states: Any, infos: Any, **rest: Any) -> None:
        if "final_observations" in infos:
            next_observations, next_states = infos["final_observations"], infos["final_states"]
        algorithm: Any = super()
        algorithm.record_transition(next_observations=next_observations, next_states=next_states, infos=infos, **rest)


class BatchIPPO(_AtHorizon, IPPO):
    """skrl's IPPO, bootstrapped from the last observation of an episode, whatever `cfg.time_limit_bootstrap` says.
    Nothing else differs."""


class BatchMAPPO(_AtHorizon, MAPPO):
    """skrl's MAPPO, bootstrapped from the last observation and state of an episode, whatever
    `cfg.time_limit_bootstrap` says. Nothing else differs."""
