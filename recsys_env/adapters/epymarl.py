"""EPyMARL (Papoudakis et al. 2021): a task as its runners play it, with lists by agent.

python src/main.py --config=qmix --env-config=gymma with env_args.key="recsys_env:recsys-gymma/coverage-v0" ...
REGISTRY["recsys"] = EPyMARLEnv        # in its src/envs/__init__.py: with the state and the masks of the task
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ..api.environment import RecommendationEnv
from ..batch.spaces import unit_box
from ..checks import check_flag, is_sequence, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.tasks import task_name
from . import flat_config


class EPyMARLEnv(gymnasium.Env[Any, Any]):
    """One copy of a task, with the methods of EPyMARL's `MultiAgentEnv` and the lists of its `gymma` environments.

    It is registered with Gymnasium as "recsys-gymma/<task>", which EPyMARL's `gymma` wrapper plays; there, the state is
    all observations in a row, and every action is available. In EPyMARL's registry, this class takes the wrapper's
    place.

    Args:
        task: name of a task, or a config, with one slot per agent. Keywords override config fields.
        seed: of the first `reset`; each further one goes on to the next episode.
        common_reward: whether `step` returns one number, of all rewards, instead of a list of one for each agent.
        reward_scalarisation: "sum" or "mean", for that number.
        catalogue, render_mode: as in `RecommendationEnv`.

    Attributes:
        n_agents, episode_limit: N, and the ticks of an episode.
        action_space, observation_space: a `Tuple` of N spaces: `Discrete`, and a `Box` [O].
        env: the parallel environment behind this one.

    Raises:
        ValueError, TypeError: as of `recsys_env.parallel_env`, or an action of the task is not one number.
    """

    metadata: dict[str, Any] = RecommendationEnv.metadata

    def __init__(
        self,
        task: str | WorldConfig,
        *,
        seed: int | None = None,
        common_reward: bool = False,
        reward_scalarisation: str = "sum",
        catalogue: Catalogue | str | Path | None = None,
        render_mode: str | None = None,
        **overrides: Any,
    ) -> None:
        if reward_scalarisation not in ("sum", "mean"):
            raise ValueError(
                f"reward_scalarisation = {shown(reward_scalarisation)} is not allowed; choose 'sum' or 'mean'"
            )
        check_flag("common_reward", common_reward)
        config = flat_config("EPyMARL", task, {**overrides, "mask_actions": True}, catalogue)
        if config.slots > 1 or config.continuous:
            raise ValueError(
                f"slots = {config.slots} and action = {config.action!r}: agents of EPyMARL choose one number; needed "
                "are slots = 1 and action = 'candidates', 'items' or 'publish'"
            )
        self.env = RecommendationEnv(config, catalogue, render_mode, task_name(task))
        self.render_mode = render_mode
        self.n_agents, self.episode_limit = len(self.env.possible_agents), config.horizon
        size = self.env.vector.layout.size
        self.observation_space = spaces.Tuple([unit_box(size) for _ in range(self.n_agents)])
        self.action_space = spaces.Tuple([self.env.action_space(agent) for agent in self.env.possible_agents])
        self._seed, self._common, self._mean = seed, common_reward, reward_scalarisation == "mean"
        self._seen: list[dict[str, np.ndarray]] = []  # observation and mask of each agent

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Start an episode. Returns the observations [O], a list of one for each agent, and no infos."""
        seed, self._seed = self._seed if seed is None else seed, None
        observations, _ = self.env.reset(seed=seed, options=options)
        self._seen = list(observations.values())
        return self.get_obs(), {}

    def step(self, action: Sequence[int]) -> tuple[list[np.ndarray], Any, bool, bool, dict[str, Any]]:
        """Play one tick, given a list of one number for each agent.

        Returns:
            observations, rewards (a list, or one number with `common_reward`), False, whether the episode is over, and
            {}, or {"episode_limit": True} in the last tick, by which EPyMARL's learners bootstrap.

        Raises:
            ValueError, TypeError, RuntimeError: as of `RecommendationEnv.step`; nothing has changed.
        """
        listed = is_sequence(action) or getattr(action, "ndim", 0) > 0  # arrays and tensors as well
        if not listed or len(action) != self.n_agents:
            raise (ValueError if listed else TypeError)(
                f"action = {shown(action)} must be a list of {self.n_agents} numbers, one for each agent"
            )
        joint = {agent: _number(chosen) for agent, chosen in zip(self.env.possible_agents, action, strict=True)}
        observations, rewards, _, truncations, _ = self.env.step(joint)
        self._seen = list(observations.values())
        over = all(truncations.values())
        return self.get_obs(), self._paid(list(rewards.values())), False, over, {"episode_limit": True} if over else {}

    def _paid(self, rewards: list[float]) -> list[float] | float:
        if not self._common:
            return rewards
        return sum(rewards) / self.n_agents if self._mean else sum(rewards)

    # ------------------------------------------------------------------------------------- of `MultiAgentEnv`

    def get_obs(self) -> list[np.ndarray]:
        """Return the observations [O] of the page about to be shown, or the last ones; one for each agent."""
        return [seen["observation"] for seen in self._seen]

    def get_obs_agent(self, agent_id: int) -> np.ndarray:
        """Return the observation [O] of an agent."""
        return self.get_obs()[agent_id]

    def get_obs_size(self) -> int:
        """Return O."""
        return int(self.observation_space[0].shape[0])  # type: ignore[index]

    def get_state(self) -> np.ndarray:
        """Return the global state [S]; see `RecommendationEnv.state`."""
        return self.env.state()

    def get_state_size(self) -> int:
        """Return S."""
        return int(self.env.state_space.shape[0])

    def get_avail_actions(self) -> list[list[int]]:
        """Return 1 for each action that an agent can choose, else 0: a list of A for each agent."""
        return [seen["action_mask"].tolist() for seen in self._seen]

    def get_avail_agent_actions(self, agent_id: int) -> list[int]:
        """Return that list for an agent."""
        return self.get_avail_actions()[agent_id]

    def get_total_actions(self) -> int:
        """Return A."""
        return int(self.action_space[0].n)  # type: ignore[index]

    def get_env_info(self) -> dict[str, int]:
        """Return the sizes from which EPyMARL makes its buffer and networks."""
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.get_total_actions(),
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
        }

    def get_stats(self) -> dict[str, Any]:
        """Return nothing: there is nothing to log beside the rewards."""
        return {}

    def save_replay(self) -> None:
        """Do nothing."""

    def render(self) -> Any:
        """Return or print the page that was shown last; see `RecommendationEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        """Release nothing, because nothing is held."""
        self.env.close()


def _number(chosen: Any) -> Any:
    """A number of a tensor or an array as Python's, and a whole float as an integer. Anything else stays as it is, and
    the environment refuses it."""
    if hasattr(chosen, "item"):
        with contextlib.suppress(ValueError, RuntimeError):  # of several numbers
            chosen = chosen.item()
    return int(chosen) if isinstance(chosen, float) and chosen.is_integer() else chosen
