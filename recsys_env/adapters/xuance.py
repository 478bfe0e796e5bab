"""XuanCe: a task behind its registration hooks, and a batch as its vector environment, which steps all copies at once.

    envs = recsys_env.vector_env("duel-v1", num_envs=32, reward={"sharing": 1.0})
    learners = MAPPO_Agents(xuance_config("MAPPO", envs, running_steps=200_000), XuanCeVecEnv(envs))
    learners.train(200_000 // envs.num_envs)

XuanCe needs an older numpy (< 2) and Gymnasium (< 1.3) than the other trainers. Give it an environment of its own, with
Python 3.10 to 3.12: `pip install "recsys_env[xuance]"` (xuance 1.4.4).

Importing this module registers two names for XuanCe's own `make_envs`: `env_name="recsys"`, with the task as `env_id`
and a dict of config fields as `overrides`, and `vectorize="RecsysVecEnv"`, which steps all copies at once.
`DummyVecMultiAgentEnv` steps copy by copy.

Supported actions are one slot (with masks; not for MADDPG and MATD3), `query` and `weights`, but no slates. An episode
ends by truncation and is bootstrapped from its last observation. `agent_mask` is True on idle ticks, too: otherwise
XuanCe would leave these ticks out of the critic's loss and still bootstrap from them.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..api.environment import RecommendationEnv
from ..batch.base import CpuBatch, all_ended, checked_cpu_batch
from ..batch.vector import VectorEnv
from ..config.tasks import task_config
from ..libraries import needed

with needed("the XuanCe adapter", "recsys_env[xuance]", ", in an environment of its own"):
    import xuance
    from gymnasium import spaces
    from xuance.common import load_yaml, recursive_dict_update
    from xuance.environment import REGISTRY_MULTI_AGENT_ENV, REGISTRY_VEC_ENV, RawMultiAgentEnv
    from xuance.environment.vector_envs.vector_env import VecEnv

from ..batch.tensors import choose_device
from . import check_flat, in_order


def _flat(space: Any) -> Any:
    return space["observation"] if isinstance(space, spaces.Dict) else space


def _checked(action_space: Any) -> Any:
    if isinstance(action_space, spaces.MultiDiscrete):
        raise ValueError(
            f"XuanCe takes Discrete and Box actions, not {action_space}; "
            "set slots = 1, or action = 'query' or 'weights'"
        )
    return action_space


class XuanCeEnv(RawMultiAgentEnv):  # type: ignore[misc]
    """One copy of a task, registered as `REGISTRY_MULTI_AGENT_ENV["recsys"]`.

    Args:
        config: XuanCe's settings: `env_id` is the task, `env_seed` the seed, `overrides` (optional) config fields.
    """

    def __init__(self, config: Namespace) -> None:
        super().__init__()
        self.env = RecommendationEnv(task_config(config.env_id, getattr(config, "overrides", {})))
        self.agents = list(self.env.possible_agents)
        self.num_agents = len(self.agents)
        self.agent_groups = [self.agents]
        self.state_space = self.env.state_space
        self.observation_space = dict.fromkeys(self.agents, _flat(self.env.vector.observation_space))
        self.action_space = dict.fromkeys(self.agents, _checked(self.env.vector.action_space))
        self.max_episode_steps = self.env.config.horizon
        self._next_seed: int | None = config.env_seed

    def reset(self) -> tuple[dict[str, Any], dict[str, Any]]:
        observations, _ = self.env.reset(seed=self._next_seed)
        self._next_seed = None
        return self._observed(observations), {}

    def step(
        self, action_dict: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], bool, dict[str, Any]]:
        if isinstance(self.env.vector.action_space, spaces.Box):  # XuanCe's noise goes beyond the bounds
            action_dict = {agent: np.clip(action, -1, 1) for agent, action in action_dict.items()}
        observations, rewards, terminated, truncated, _ = self.env.step(action_dict)
        return self._observed(observations), rewards, terminated, all(truncated.values()), {}

    def _observed(self, observations: dict[str, Any]) -> dict[str, Any]:
        self._masks = None
        if not self.env.config.mask_actions:
            return observations
        self._masks = {agent: both["action_mask"] for agent, both in observations.items()}
        return {agent: both["observation"] for agent, both in observations.items()}

    def state(self) -> np.ndarray:
        return self.env.state()

    def avail_actions(self) -> dict[str, np.ndarray] | None:
        return self._masks

    def render(self, *args: Any) -> None:
        return None

    def close(self) -> None:
        self.env.close()


class XuanCeVecEnv(VecEnv):  # type: ignore[misc]
    """All copies of a task in one step; XuanCe takes lists with one dict per copy, whose values are views.

    Args:
        envs: the batch, on the CPU, with flat observations and without slates.
        seed: seed of the first reset; None keeps that of the batch.
    """

    def __init__(self, envs: CpuBatch, seed: int | None = None) -> None:
        self.envs, self.agents, self.num_agents = checked_cpu_batch(envs), envs.possible_agents, envs.num_agents
        check_flat(envs.observation_format, "XuanCe")
        by_agent = (
            dict.fromkeys(self.agents, space) for space in (_flat(envs.observation_space), _checked(envs.action_space))
        )
        super().__init__(envs.num_envs, *by_agent)
        self.state_space, self.max_episode_steps = envs.state_space, envs.config.horizon
        self._continuous = isinstance(envs.action_space, spaces.Box)
        self._next_seed = seed
        self._begin()
        self._all = dict.fromkeys(self.agents, True)
        self._none = dict.fromkeys(self.agents, False)
        self._pending: Sequence[dict[str, Any]] | None = None
        self._states: list[np.ndarray] | None = None
        self._over = False

    @classmethod
    def registered(cls, env_fns: Sequence[Callable[..., Any]], env_seed: int) -> XuanCeVecEnv:
        """Create a batch with one copy for each environment that XuanCe asks for (`REGISTRY_VEC_ENV`)."""
        return cls(VectorEnv(env_fns[0](env_seed=env_seed).env.env.config, len(env_fns)), env_seed)

    def _split(self, array: np.ndarray) -> list[dict[str, Any]]:
        return [dict(zip(self.agents, row, strict=True)) for row in array]

    def _observed(self, observations: Any) -> tuple[list[Any], list[Any]]:
        """Return the observations and masks of every copy."""
        flat, masks = self.envs.flat(observations)
        return self._split(flat), [None] * self.num_envs if masks is None else self._split(masks)

    @property
    def buf_state(self) -> list[np.ndarray]:
        """The global state [S] of every copy, computed only if a critic asks for it; after the last step of an episode,
        the state at its end, in whose place XuanCe writes the first one of the next episode."""
        if self._states is None:
            self._states = list(self.envs.final_state() if self._over else self.envs.state())
        return self._states

    def _infos(self) -> list[dict[str, Any]]:
        reports = zip(self._split(self._scores), self.buf_avail_actions, strict=True)
        return [
            {"episode_step": self._ticks, "episode_score": score, "agent_mask": self._all, "avail_actions": masks}
            for score, masks in reports
        ]

    def reset(self) -> tuple[list[Any], list[dict[str, Any]]]:
        observations, _ = self.envs.reset(seed=self._next_seed)
        self._next_seed = self._pending = self._states = None
        self._begin()
        self._over = False
        self.buf_obs, self.buf_avail_actions = self._observed(observations)
        return self.buf_obs.copy(), self._infos()

    def _begin(self) -> None:
        self._scores = np.zeros((self.num_envs, self.num_agents))
        self._ticks = 0

    def step_async(self, actions: Sequence[dict[str, Any]]) -> None:
        self._pending = actions

    def step_wait(self) -> tuple[list[Any], list[Any], list[Any], list[bool], list[dict[str, Any]]]:
        actions, self._pending = self._pending, None
        if actions is None:
            raise RuntimeError("call step_async() before step_wait()")
        joint = np.array([in_order(by_agent, self.agents) for by_agent in actions])
        if self._continuous:
            joint = joint.clip(-1, 1)  # XuanCe's noise goes beyond the bounds
        observations, rewards, _, truncated, _ = self.envs.step(joint)
        self._scores += rewards
        self._ticks += 1
        self._over, self._states = all_ended(truncated), None
        first = self._observed(observations)
        self.buf_obs, self.buf_avail_actions = self._observed(self.envs.final_obs) if self._over else first
        infos = self._infos()
        if self._over:
            for info, observation, masks, state in zip(infos, *first, self.envs.state(), strict=True):
                info.update(reset_obs=observation, reset_avail_actions=masks, reset_state=state)
            self._begin()
        return self.buf_obs.copy(), self._split(rewards), [self._none] * self.num_envs, truncated.tolist(), infos

    def close_extras(self) -> None:
        self.envs.close()


def xuance_config(
    algorithm: str, envs: CpuBatch, running_steps: int, device: str = "auto", **changes: Any
) -> Namespace:
    """Return XuanCe's settings of an algorithm for the MPE tasks, adapted to a batch.

    Args:
        algorithm: "MAPPO", "MADDPG" or another name that has a folder in XuanCe's configs.
        running_steps: ticks of all copies together. Do not train for longer: scheduled noise would become negative.
        device: "auto" uses a GPU if there is one.
        changes: settings of XuanCe to change.

    Raises:
        ValueError: MADDPG or MATD3 with discrete actions, or torch has no such device.
    """
    folder = os.path.join(os.path.dirname(xuance.__file__), "configs")
    config = load_yaml(os.path.join(folder, "basic.yaml"))
    of_algorithm = load_yaml(os.path.join(folder, algorithm.lower(), "mpe", "simple_spread_v3.yaml"))
    config = recursive_dict_update(config, of_algorithm)
    continuous = isinstance(envs.action_space, spaces.Box)
    if config["policy"] in ("MADDPG_Policy", "MATD3_Policy") and not continuous:
        raise ValueError(
            f"XuanCe's {algorithm} takes Box actions, not {envs.action_space}; set action = 'query' or 'weights'"
        )
    if config["policy"] in ("Gaussian_MAAC_Policy", "Categorical_MAAC_Policy"):
        config["policy"] = "Gaussian_MAAC_Policy" if continuous else "Categorical_MAAC_Policy"
    return Namespace(
        **{
            **config,
            "env_name": "recsys",
            "env_id": "batch",
            "continuous_action": continuous,
            "activation_action": "tanh",
            "render": False,
            "use_actions_mask": envs.config.mask_actions,
            "parallels": envs.num_envs,
            "running_steps": running_steps,
            "device": str(choose_device(device)),
            **changes,
        }
    )


REGISTRY_MULTI_AGENT_ENV["recsys"] = XuanCeEnv
REGISTRY_VEC_ENV["RecsysVecEnv"] = XuanCeVecEnv.registered
