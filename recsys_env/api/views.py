"""Gymnasium views of the game: one learning agent among policies, or every agent as a row of one shared policy.

RecommendationEnv + OtherAgents  ->  SingleAgentEnv   gymnasium.Env
VectorEnv                 ->  SharedPolicyVectorEnv   gymnasium.vector.VectorEnv, one row per copy and agent
FocalBatch with one learner  ->  SingleAgentVectorEnv    the same, one row per copy
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from ..batch.actions import joint_of_rows
from ..batch.base import CpuBatch, all_ended, checked_cpu_batch
from ..batch.infos import OF_AGENTS, OF_BIDS, Infos
from ..batch.vector import VectorEnv, checked_vector_env
from ..checks import check_count, check_options, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.responses import NAMES
from ..config.tasks import task_config, task_name
from .environment import RecommendationEnv
from .focal import Background, FocalBatch, OtherAgents, checked_agent, policies_of, usual_background

_AUTORESET = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)


class SingleAgentEnv(gymnasium.Env[Any, Any]):
    """A Gymnasium environment in which one agent learns, and the others are policies.

    Args:
        config: the task.
        agent: name of the learning agent; default: the first.
        background: policy of all other agents (a name, or an object if there is one other agent), or one for each by
            agent name; default: "popularity", or "creators-myopic" on a platform.
        catalogue, render_mode, name, observation_format: as in `RecommendationEnv`.

    Attributes:
        env: the parallel environment behind this one.
        agent: name of the learning agent.

    The reward is the agent's reward after sharing (`reward.sharing`); infos are those of `parallel_env`. Every episode
    ends by truncation after `horizon` steps; a further step raises RuntimeError.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        name: RecommendationEnv.metadata[name] for name in ("render_modes", "render_fps")
    }

    def __init__(
        self,
        config: WorldConfig,
        agent: str | None = None,
        background: Background | None = None,
        catalogue: Catalogue | str | Path | None = None,
        render_mode: str | None = None,
        name: str = "recsys",
        observation_format: str = "flat",
    ) -> None:
        self.env = RecommendationEnv(config, catalogue, render_mode, name, observation_format)
        self.agent = self.env.possible_agents[0] if agent is None else checked_agent(agent, self.env.possible_agents)
        self.render_mode = render_mode
        self.observation_space = self.env.observation_space(self.agent)
        self.action_space = self.env.action_space(self.agent)
        others = usual_background(config) if background is None else background
        self._others = OtherAgents(self.env.vector, policies_of(self.env.possible_agents, others, [self.agent]))

    __copy__ = deepcopy  # with a batch of its own

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; seed and options are as in `RecommendationEnv.reset`.

        If it is interrupted (Ctrl-C) before the episode has begun, nothing has changed. If the other agents have not
        chosen yet, `step` asks for another `reset`.
        """
        observations, infos = self.env.reset(seed=seed, options=options)
        super().reset(seed=None if seed is None else int(seed))  # after ours, which refuses a wrong seed
        # The page after the step that ended an episode is the first one of the next, for which they have chosen.
        if seed is not None or not self._others.have_chosen:
            self._others.begin(seed)
        return observations[self.agent], infos[self.agent]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one tick.

        Raises:
            ValueError, TypeError: the action is outside its space; nothing has changed.
            RuntimeError: before the first `reset`, after the end, or if the environment behind this one was stepped
                directly.

        If it is interrupted (Ctrl-C) before its compiled code runs, nothing has changed. If the other agents have not
        chosen for the next page yet, the next `step` asks for a `reset`.
        """
        self._others.require_choice("step()")
        actions = {name: self._others.actions[0, n] for n, name in enumerate(self.env.possible_agents)}
        observations, rewards, _, truncations, infos = self.env.step({**actions, self.agent: action})
        self._others.observe()
        return observations[self.agent], rewards[self.agent], False, truncations[self.agent], infos[self.agent]

    def render(self) -> Any:
        """Return the page that was shown last; see `RecommendationEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        self.env.close()


class SharedPolicyVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """A Gymnasium vector environment in which every agent of every copy is a row of one shared policy.

    Row b·N + n is agent n of copy b; its role and id are part of the observation.

    Args:
        envs: the batch, or a `FocalBatch`, whose learners are then the rows.
        autoreset_mode: "NextStep" (Gymnasium's default): the step that ends an episode returns its last observation.
            The next step ignores its actions and returns the first observation of the next episode, with reward 0 and
            infos as after a reset. "SameStep": the step that ends an episode returns the first observation of the next
            one, and the last observation in `infos["final_obs"]`, so no step is lost.

    All episodes of a batch end together. Infos (see `infos.Infos`) are arrays [rows, ...], each with its mask
    `_<name>`. Observations and infos are copies unless the batch was made with `copy=False`.

    Raises:
        TypeError: `envs` is not a batch on the CPU.
        ValueError: `autoreset_mode` is neither of the two.
    """

    INFOS: tuple[str, ...] = ("shown", "rank", *NAMES, *OF_AGENTS, "price_multiplier", *OF_BIDS)

    closed = True  # until there is a batch: Gymnasium 1.1 closes even what could not be made

    def __init__(self, envs: CpuBatch, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        if not isinstance(autoreset_mode, (str, AutoresetMode)) or autoreset_mode not in (
            *_AUTORESET,
            *(mode.value for mode in _AUTORESET),
        ):
            raise ValueError(
                f"autoreset_mode = {shown(autoreset_mode)} is not allowed; a batch resets itself: "
                "choose 'NextStep' or 'SameStep'"
            )
        mode = AutoresetMode(autoreset_mode)
        self.envs, self.closed = checked_cpu_batch(envs), False
        self.num_envs = rows = envs.num_envs * envs.num_agents
        self.metadata = {"render_modes": [], "autoreset_mode": mode}
        self.single_observation_space = envs.observation_space
        self.single_action_space = envs.action_space
        self.observation_space = batch_space(envs.observation_space, rows)
        self.action_space = batch_space(envs.action_space, rows)
        self._same_step = mode is AutoresetMode.SAME_STEP
        self._all = np.ones(rows, np.bool_)
        self._none = np.zeros(rows, np.bool_)
        self._over = False  # the next step only resets

    __copy__ = deepcopy  # with a batch of its own

    def _pick(self, array: np.ndarray) -> np.ndarray:
        """The rows of an array [B, N, ...]."""
        return array.reshape(self.num_envs, *array.shape[2:])

    def _observed(self, observations: Any) -> Any:
        if isinstance(observations, dict):
            return {name: self._pick(array) for name, array in observations.items()}
        return self._pick(observations)

    def _infos(self, infos: Infos) -> dict[str, Any]:
        named = {name: self._pick(infos[name]) for name in self.INFOS}
        return {**named, **{f"_{name}": self._in_all_rows() for name in named}}

    def _in_all_rows(self) -> np.ndarray:
        """Return the mask of an info that every row has."""
        return self._all.copy() if self.envs.copy else self._all

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every copy; the seed is as in `VectorEnv.reset`, one integer or one for each copy.

        Raises:
            ValueError: `options["reset_mask"]` is given; the copies of a batch begin and end together.
        """
        if self._over and seed is None:  # the batch has gone on to the next episode by itself
            check_options(options)
            observations, infos = self.envs.look()
        else:
            observations, infos = self.envs.reset(seed=seed, options=options)
        self._over = False
        return self._observed(observations), self._infos(infos)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one tick of every copy.

        Raises:
            ValueError, TypeError: an action is outside its space; nothing has changed.
            RuntimeError: before the first `reset`; or, after the step, the episodes of only some copies ended, because
                one was restored to another tick.
        """
        if self._over:
            observations, report = self.envs.look()
            self._over = False
            rewards, none = np.zeros(self.num_envs), self._none
            return self._observed(observations), rewards, none.copy(), none.copy(), self._infos(report)
        shape = self.single_action_space.shape or ()
        joint = joint_of_rows(actions, self.envs.num_envs, self.envs.num_agents, shape)
        observations, rewards, _, truncated, report = self.envs.step(joint)
        result, infos = self._observed(observations), self._infos(report)
        ended = self._none.copy()
        if all_ended(truncated):
            ended[:] = True
            final = self._observed(self.envs._formatted(report["final_obs"], report["final_mask"]))
            if self._same_step:
                infos["final_obs"], infos["_final_obs"] = self._objects(final), self._in_all_rows()
            else:
                self._over, result = True, final
                nobody = np.full(self.num_envs, -1)  # no page follows the last observation
                after = {"next_visitor": nobody, "next_user_slot": nobody.copy(), "active": self._none.copy()}
                infos |= {name: values for name, values in after.items() if name in self.INFOS}
        return result, self._pick(rewards).astype(np.float64), self._none.copy(), ended, infos

    def _objects(self, final: Any) -> np.ndarray:
        """Gymnasium's form of final observations: an array of one object per row."""
        rows = np.empty(self.num_envs, object)
        for row in range(self.num_envs):
            rows[row] = {name: array[row] for name, array in final.items()} if isinstance(final, dict) else final[row]
        return rows

    def close_extras(self, **kwargs: Any) -> None:
        self.envs.close()


class SingleAgentVectorEnv(SharedPolicyVectorEnv):
    """A Gymnasium vector environment in which one agent learns in all copies, and policies act for the others.

    Row b is copy b.

    Args:
        envs: the batch.
        agent, background: as in `SingleAgentEnv`.
        autoreset_mode: as in `SharedPolicyVectorEnv`.
    """

    def __init__(
        self,
        envs: VectorEnv,
        agent: str | None = None,
        background: Background | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.agent = checked_vector_env(envs).possible_agents[0] if agent is None else agent
        others = usual_background(envs.config) if background is None else background
        super().__init__(FocalBatch(envs, others, [self.agent]), autoreset_mode)


# -------------------------------------------------------------------------------------------------- constructors


def single_agent_env(
    task: str | WorldConfig,
    *,
    agent: str | None = None,
    background: Background | None = None,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    observation_format: str = "flat",
    **overrides: Any,
) -> SingleAgentEnv:
    """Create a task as a Gymnasium environment: `agent` (default: the first) learns, `background` are policies.

    `observation_format` is as in `parallel_env`. Other keywords override config fields.
    """
    config = task_config(task, overrides, catalogue)
    return SingleAgentEnv(config, agent, background, catalogue, render_mode, task_name(task), observation_format)


def single_agent_vector_env(  # noqa: PLR0913  # the keywords of the batch and of the view
    task: str | WorldConfig,
    num_envs: int = 1,
    *,
    agent: str | None = None,
    background: Background | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
    specialize: bool | Literal["auto"] = "auto",
    observation_format: str = "flat",
    **overrides: Any,
) -> SingleAgentVectorEnv:
    """Create B copies of `single_agent_env` as one batch; `gymnasium.make_vec("recsys/<task>")` calls this.

    `num_threads`, `specialize` and `observation_format` are as in `VectorEnv`.
    """
    config = task_config(task, overrides, catalogue)
    envs = VectorEnv(config, num_envs, num_threads, catalogue, specialize, observation_format=observation_format)
    return SingleAgentVectorEnv(envs, agent, background, autoreset_mode)


def shared_policy_env(
    task: str | WorldConfig,
    num_copies: int = 1,
    *,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
    specialize: bool | Literal["auto"] = "auto",
    observation_format: str = "flat",
    **overrides: Any,
) -> SharedPolicyVectorEnv:
    """Create B copies of a task as a Gymnasium `VectorEnv` of B·N rows, one for each agent of each copy.

    `num_threads`, `specialize` and `observation_format` are as in `VectorEnv`.
    """
    check_count("num_copies", num_copies, 1, 2**31)
    config = task_config(task, overrides, catalogue)
    envs = VectorEnv(config, num_copies, num_threads, catalogue, specialize, observation_format=observation_format)
    return SharedPolicyVectorEnv(envs, autoreset_mode)
