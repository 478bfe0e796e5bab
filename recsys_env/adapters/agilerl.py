"""AgileRL: a batch as its `PettingZooVecEnv`, and a replay buffer that knows the last observation of an episode.

    rows = AgileRLVecEnv(recsys_env.vector_env("duel-v1", num_envs=64, reward={"sharing": 1.0}))
    learner, memory = MADDPG(**rows.arguments(), vect_noise_dim=rows.num_envs), HorizonReplayBuffer(rows, 100_000)
    train_multi_agent_off_policy(
        rows, "duel-v1", "MADDPG", [learner], memory, max_steps=100_000, evo_steps=50_000
    )

AgileRL asks for an older PettingZoo than recsys_env does and works with ours, so it lives in an environment of its own,
made in this order:

    pip install "agilerl==2.42.5" "transformers>=5,<6" "numba>=0.61,<0.70"
    pip install --no-deps "pettingzoo==1.27.0" recsys_env    # from a checkout: -e . in place of recsys_env

(AgileRL imports transformers without asking for it.) `pip check` then names that one conflict and no other. MADDPG and
MATD3 take one slot (`Discrete`, with masks) or `query` and `weights`, no slates. AgileRL shares one network among
agents whose names differ in their number alone, so agents of one role share theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..batch import CpuBatch, checked_cpu_batch
from ..infos import Infos

try:
    import torch
    from agilerl.components.replay_buffer import ReplayBuffer
    from agilerl.vector.pz_vec_env import PettingZooVecEnv
    from gymnasium import spaces
except ImportError as error:
    raise ImportError(
        f'the AgileRL adapter needs {error.name}: pip install "agilerl==2.42.5" '
        "(the module recsys_env.adapters.agilerl says how)"
    ) from error

from ..tensors import choose_device
from . import in_order


class AgileRLVecEnv(PettingZooVecEnv):  # type: ignore[misc]
    """All copies of a task in one step: a dict of arrays [B, ...] by agent goes in and comes out.

    Episodes end by truncation; as everywhere in AgileRL the step that ends one returns the first observation of the
    next (see `HorizonReplayBuffer`). Arrays are views of the batch's alternating buffers. `infos[agent]` holds `active`
    [B] and, with `mask_actions`, `action_mask` [B, A]; the observation is the flat part then.

    Args:
        envs: the batch.
    """

    def __init__(self, envs: CpuBatch) -> None:
        self.envs = checked_cpu_batch(envs)
        self._masked = envs.config.mask_actions
        both: Any = envs.observation_space
        flat, names = both["observation"] if self._masked else both, envs.possible_agents
        super().__init__(envs.num_envs, dict.fromkeys(names, flat), dict.fromkeys(names, envs.action_space), names)
        self._none = self._by_agent(np.zeros((envs.num_envs, envs.num_agents), np.bool_))

    def arguments(self, device: str = "auto") -> dict[str, Any]:
        """What every algorithm of AgileRL wants to know of its agents; "auto" is a GPU where there is one."""
        return {
            "observation_spaces": [self.single_observation_space(agent) for agent in self.agents],
            "action_spaces": [self.single_action_space(agent) for agent in self.agents],
            "agent_ids": list(self.agents),
            "device": str(choose_device(device)),
        }

    def _by_agent(self, array: np.ndarray) -> dict[str, np.ndarray]:
        return {agent: array[:, n] for n, agent in enumerate(self.agents)}

    def observed(self, observations: Any) -> dict[str, np.ndarray]:
        """Observations of the batch, or its `final_obs`, as AgileRL sees them."""
        return self._by_agent(observations["observation"] if self._masked else observations)

    def _infos(self, infos: Infos) -> dict[str, dict[str, np.ndarray]]:
        reports = {agent: {"active": infos["active"][:, n]} for n, agent in enumerate(self.agents)}
        if self._masked:
            for agent, mask in self._by_agent(self.envs.observations["action_mask"]).items():
                reports[agent]["action_mask"] = mask
        return reports

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode in every copy; seed as in `VectorEnv.reset`, options are ignored."""
        observations, infos = self.envs.reset(seed=seed)
        return self.observed(observations), self._infos(infos)

    def step(self, actions: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """One tick of every copy, with actions [B, ...] by agent."""
        joint = np.stack([np.asarray(action) for action in in_order(actions, self.agents)], axis=1)
        if isinstance(self.envs.action_space, spaces.Box):
            joint = joint.clip(-1, 1)  # scaling to the bounds may go beyond them by rounding
        observations, rewards, _, truncated, infos = self.envs.step(joint)
        ends = dict.fromkeys(self.agents, truncated)
        return self.observed(observations), self._by_agent(rewards), self._none, ends, self._infos(infos)

    def close_extras(self, **kwargs: Any) -> None:
        self.envs.close()


class HorizonReplayBuffer(ReplayBuffer):  # type: ignore[misc]
    """Replay in which transitions at the horizon lead to their episode's last observation, not to the next one's first.

    This is translation and no algorithm: AgileRL's training loop stores what a step returns, and nowhere before the
    buffer can the last observation take its place.

    Args:
        rows: the environment whose last step each `add` is about.
        max_size, device: as in AgileRL's `ReplayBuffer`.
    """

    def __init__(self, rows: AgileRLVecEnv, max_size: int, device: str = "cpu") -> None:
        super().__init__(max_size, device)
        self._rows = rows

    def add(self, data: Any) -> None:
        if self._rows.envs.truncated.any():  # all copies end together
            for agent, final in self._rows.observed(self._rows.envs.final_obs).items():
                data["next_obs"][agent] = torch.from_numpy(final)
        super().add(data)
