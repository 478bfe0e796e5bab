"""AgileRL: a batch as its `PettingZooVecEnv`, and a replay buffer that stores the last observation of an episode.

    rows = AgileRLVecEnv(recsys_env.vector_env("duel-v1", num_envs=64, reward={"sharing": 1.0}))
    learner, memory = MADDPG(**rows.arguments(), vect_noise_dim=rows.num_envs), HorizonReplayBuffer(rows, 100_000)
    train_multi_agent_off_policy(
        rows, "duel-v1", "MADDPG", [learner], memory, max_steps=100_000, evo_steps=50_000
    )

AgileRL declares an older PettingZoo than recsys_env needs, but works with the newer one. Give it an environment of its
own, made in this order:

    pip install "agilerl==2.42.5" "transformers>=5,<6" "numba>=0.61,<0.70"
    pip install --no-deps "pettingzoo==1.27.0" recsys_env    # from a checkout: -e . in place of recsys_env

AgileRL imports transformers without declaring it. `pip check` then reports the conflict about PettingZoo and no other.

MADDPG and MATD3 take one slot (`Discrete`, with masks), `query` and `weights`, but no slates. Agents of one role share
a network, because AgileRL shares one among agents whose names differ only in their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..batch.base import CpuBatch, all_ended, checked_cpu_batch
from ..batch.infos import Infos
from ..libraries import needed

with needed("the AgileRL adapter", "agilerl==2.42.5", " (the module recsys_env.adapters.agilerl says how)"):
    import torch
    from agilerl.components.replay_buffer import ReplayBuffer
    from agilerl.vector.pz_vec_env import PettingZooVecEnv
    from gymnasium import spaces

from ..batch.tensors import choose_device
from . import check_flat, in_order


class AgileRLVecEnv(PettingZooVecEnv):  # type: ignore[misc]
    """All copies of a task in one step: a dict of arrays [B, ...] by agent goes in and comes out.

    Episodes end by truncation. The step that ends an episode returns the first observation of the next one, as
    everywhere in AgileRL (see `HorizonReplayBuffer`). `infos[agent]` holds `active` [B]. With `mask_actions` it also
    holds `action_mask` [B, A], and the observation is the flat part.

    Raises:
        TypeError, ValueError: `envs` is not a batch on the CPU, or has observations in parts.
    """

    def __init__(self, envs: CpuBatch) -> None:
        self.envs = checked_cpu_batch(envs)
        check_flat(envs.observation_format, "AgileRL")
        self._masked = envs.config.mask_actions
        both: Any = envs.observation_space
        flat, names = both["observation"] if self._masked else both, envs.possible_agents
        super().__init__(envs.num_envs, dict.fromkeys(names, flat), dict.fromkeys(names, envs.action_space), names)
        self._none = self._by_agent(np.zeros((envs.num_envs, envs.num_agents), np.bool_))

    def arguments(self, device: str = "auto") -> dict[str, Any]:
        """Return what every algorithm of AgileRL takes about its agents; "auto" uses a GPU if there is one."""
        return {
            "observation_spaces": [self.single_observation_space(agent) for agent in self.agents],
            "action_spaces": [self.single_action_space(agent) for agent in self.agents],
            "agent_ids": list(self.agents),
            "device": str(choose_device(device)),
        }

    def _by_agent(self, array: np.ndarray) -> dict[str, np.ndarray]:
        return {agent: array[:, n] for n, agent in enumerate(self.agents)}

    def observed(self, observations: Any) -> dict[str, np.ndarray]:
        """Return observations of the batch, or its `final_obs`, by agent."""
        return self._by_agent(self.envs.flat(observations)[0])

    def _infos(self, infos: Infos) -> dict[str, dict[str, np.ndarray]]:
        reports = {agent: {"active": infos["active"][:, n]} for n, agent in enumerate(self.agents)}
        if self._masked:
            for agent, mask in self._by_agent(self.envs.observations["action_mask"]).items():
                reports[agent]["action_mask"] = mask
        return reports

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode in every copy. The seed is as in `VectorEnv.reset`, options are too."""
        observations, infos = self.envs.reset(seed=seed, options=options)
        return self.observed(observations), self._infos(infos)

    def step(self, actions: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Play one tick of every copy, given actions [B, ...] by agent."""
        joint = np.stack([np.asarray(action) for action in in_order(actions, self.agents)], axis=1)
        if isinstance(self.envs.action_space, spaces.Box):
            joint = joint.clip(-1, 1)  # scaling to the bounds may go beyond them by rounding
        observations, rewards, _, truncated, infos = self.envs.step(joint)
        ends = dict.fromkeys(self.agents, truncated)
        return self.observed(observations), self._by_agent(rewards), self._none, ends, self._infos(infos)

    def close_extras(self, **kwargs: Any) -> None:
        self.envs.close()


class HorizonReplayBuffer(ReplayBuffer):  # type: ignore[misc]
    """Replay buffer whose transitions at the horizon lead to the last observation of their episode.

    AgileRL's training loop stores what a step returns, which at the horizon is the first observation of the next
    episode. The buffer is the only place where the last observation can replace it. The arguments are the environment,
    and those of AgileRL's `ReplayBuffer`.
    """

    def __init__(self, rows: AgileRLVecEnv, max_size: int, device: str = "cpu") -> None:
        super().__init__(max_size, device)
        self._rows = rows

    def add(self, data: Any) -> None:
        if all_ended(self._rows.envs.truncated):
            for agent, final in self._rows.observed(self._rows.envs.final_obs).items():
                data["next_obs"][agent] = torch.from_numpy(final)
        super().add(data)
