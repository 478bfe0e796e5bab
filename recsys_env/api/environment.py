"""One copy of a task as a PettingZoo environment: a `VectorEnv` of one copy, with dictionaries by agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from gymnasium import logger, spaces
from pettingzoo import ParallelEnv

from ..batch.base import Snapshot
from ..batch.infos import OF_BIDS, by_agent
from ..batch.spaces import action_space
from ..batch.vector import VectorEnv
from ..checks import check_options, checked_seed, did_you_mean, shown, unknown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.tasks import task_config, task_name


class RecommendationEnv(ParallelEnv):
    """Several recommender agents and one visitor per tick, as a PettingZoo parallel environment.

    Args:
        config: the task.
        catalogue: fitted items and users, in place of those that `config.catalogue` names.
        render_mode: "ansi" (`render()` returns the page as text), "human" (prints it after every step), "rgb_array"
            (returns a picture of it, which needs Pillow) or None.
        name: name of the task in `str(env)` and on rendered pages.
        observation_format: "flat" or "dict"; see `recsys_env.batch.observations`.

    Attributes:
        possible_agents, agents: names of the N agents; `agents` is empty once the episode is over.
        vector: the batch of one copy behind this environment, for policies and array access.
        observation_fields: name -> slice of the flat observation.
        state_space: space of `state()`.
        state_fields: name -> slice of the global state.
        np_random: a random stream for wrappers that draw, such as SuperSuit's frame skip; `reset(seed)` restarts it.
            The game never draws from it.

    Every episode has exactly `config.horizon` steps and ends by truncation of all agents together.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "name": "recsys",
        "render_modes": ["ansi", "human", "rgb_array"],
        "render_fps": 4,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        config: WorldConfig,
        catalogue: Catalogue | str | Path | None = None,
        render_mode: str | None = None,
        name: str = "recsys",
        observation_format: str = "flat",
    ) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and not (isinstance(render_mode, str) and render_mode in modes):
            raise ValueError(
                f"render_mode = {shown(render_mode)} is not allowed; "
                f"choose one of {[*modes, None]}{did_you_mean(render_mode, modes)}"
            )
        self.metadata = {**self.metadata, "name": name}
        self.render_mode = render_mode
        self.vector = VectorEnv(config, catalogue=catalogue, copy=False, observation_format=observation_format)
        self.config = config
        self.possible_agents = list(self.vector.possible_agents)
        self.agents = self.possible_agents[:]
        self.observation_fields = self.vector.observation_fields
        self.state_space = self.vector.state_space
        self.state_fields = self.vector.state_fields
        self._action_spaces = {agent: action_space(config, self.vector.shape) for agent in self.possible_agents}
        self._page: Any = None  # the clock of the page that was shown last; kept for rendering only
        self._score = np.zeros(len(self.possible_agents))
        self._in_order = itemgetter(*self.possible_agents)
        self._never, self._always = (dict.fromkeys(self.possible_agents, ends) for ends in (False, True))
        self.np_random = np.random.default_rng()

    __copy__ = deepcopy  # with a batch of its own

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's observations; the same object for all agents."""
        self._check_agent(agent)
        return self.vector.observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's actions; each agent has its own object, so that each can be seeded."""
        self._check_agent(agent)
        return self._action_spaces[agent]

    # -------------------------------------------------------------------------------------------- reset and step

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode: episode 0 of a seed, or with None the next episode of the current seed.

        Args:
            seed: integer in [0, 2^64); None before any seed takes one from the operating system.
            options: none is known; a warning names those that are given.

        Returns:
            observations and infos by agent.

        Raises:
            ValueError, TypeError: the seed is not such an integer, or `options` are not a dict; nothing has changed.

        If it is interrupted (Ctrl-C) before the episode has begun, nothing has changed either; see `VectorEnv.reset`.
        """
        check_options(options)
        if seed is not None:
            seed = checked_seed(seed)
        over = not self.agents
        # The batch has gone on to the next episode by itself; that one is yet to be played.
        if over and seed is None:
            self.vector.look()
        else:
            self.vector.reset(seed=seed)
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        return self._begin()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Play one tick.

        Args:
            actions: an action of its space for every agent, whether it is on the page or not.

        Returns:
            observations, rewards, terminations (always False), truncations (all True at the end) and infos by agent, as
            separate arrays. After the end, `step({})` returns five empty dictionaries.

        Raises:
            KeyError: agents are missing or unknown.
            ValueError, TypeError: an action is outside its space, or `actions` is not a dict.
            RuntimeError: the episode is over, or `reset` was not called. Nothing has changed after any of these errors.

        If it is interrupted (Ctrl-C), either the whole tick has been played or nothing; see `VectorEnv.step`.
        """
        if not self.agents:
            if isinstance(actions, Mapping) and not actions:
                return {}, {}, {}, {}, {}
            raise RuntimeError("the episode is over; call reset()")
        joint, reader = self._joint(actions), self.vector._actions
        self.vector._require_reset("step()")
        try:
            read = reader.read_joint(joint)
        except (TypeError, ValueError):
            read = reader.read(self._checked(joint))
        return self._tick(read)

    def _tick(
        self, joint: np.ndarray
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """`step` with the joint action, as it has been read."""
        page = None if self.render_mode is None else self.vector.next_page[0]
        try:
            report = self.vector._tick(joint)
        finally:  # whatever comes between, the batch may have gone on to the next episode
            over = self.vector._report.truncated.item()
            if over:
                self.agents = []
        rewards = report.rewards.tolist()[0]
        if page is not None:
            self._page = page
            self._score += report.agents["individual_reward"][0]
            if self.render_mode == "human":
                self.render()
        return (
            self._split(report.final_observations, report.final_masks)
            if over
            else self._split(report.observations, report.masks),
            _handed_out(self.possible_agents, rewards),
            self._never.copy(),
            self._always.copy() if over else self._never.copy(),
            by_agent(report, self.possible_agents, over),
        )

    def _begin(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Observations and infos of the page that the batch has come to, the first one to be played."""
        self.agents = self.possible_agents[:]
        self._page = None
        self._score[:] = 0
        if self.render_mode == "human":
            self.render()
        report = self.vector.report
        return self._split(report.observations, report.masks), by_agent(report, self.possible_agents, False)

    def _split(self, observations: np.ndarray, masks: np.ndarray) -> dict[str, Any]:
        """Observations [1, N, O] and masks of the batch, copied and handed out by agent."""
        rows, agents = self.vector._formatted(observations[0].copy(), masks[0].copy()), self.possible_agents
        if isinstance(rows, dict):
            return {agent: {name: part[n] for name, part in rows.items()} for n, agent in enumerate(agents)}
        return _handed_out(agents, rows)

    # -------------------------------------------------------------------------------------------- actions

    def _joint(self, actions: Mapping[str, Any]) -> Sequence[Any]:
        """The actions in the order of the agents."""
        try:
            joint = self._in_order(actions)
            if len(self.possible_agents) == 1:
                joint = (joint,)
        except (LookupError, TypeError, ValueError):
            self._reject_agents(actions)
        if len(joint) != len(actions):
            self._reject_agents(actions)
        return joint

    def _reject_agents(self, actions: Any) -> NoReturn:
        self.vector._require_reset("step()")
        if not isinstance(actions, Mapping):
            raise TypeError(
                f"actions = {shown(actions)} must be a dict of one action for each agent: "
                f"{', '.join(self.possible_agents)}"
            )
        unknown = [agent for agent in actions if agent not in self.possible_agents]
        for agent in unknown:
            self._check_agent(agent)
        missing = [agent for agent in self.possible_agents if agent not in actions]
        raise KeyError(
            f"no action for {', '.join(missing)}; each agent needs one of its space {self.vector.action_space}"
        )

    def _checked(self, joint: Sequence[Any]) -> np.ndarray:
        """The actions as one array [1, N, ...], looked at one by one: raises for the first outside its space."""
        rows = [self.vector.checked_action(n, action) for n, action in enumerate(joint)]
        return np.array([rows], self.vector.action_space.dtype)

    def _check_agent(self, agent: Any) -> None:
        if not isinstance(agent, str) or agent not in self.possible_agents:
            raise KeyError(unknown("agent", agent, self.possible_agents))

    # -------------------------------------------------------------------------------------------- views

    def field(self, observation: Any, name: str) -> np.ndarray:
        """Return one field (see `observation_fields`) of an agent's observation, with or without mask.

        It is a view of a flat observation, and a copy of one in the format "dict".

        Raises:
            KeyError, TypeError, ValueError: as in `VectorEnv.field` and `VectorEnv.flat`.
        """
        flat = self.vector.flat(observation)[0] if isinstance(observation, Mapping) else observation
        return self.vector.field(flat, name)

    def state(self) -> np.ndarray:
        """Return the global state [S] for centralised critics; after the end, the one beside the last observations.

        See `VectorEnv.state`.
        """
        return (self.vector.state() if self.agents else self.vector.final_state())[0]

    def expected_feedback(self, actions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the exact expectations of the page about to be shown, given a joint action; nothing changes.

        Returns:
            "click", "cart", "purchase": agent -> probability for each of its slots [K]; "individual_reward",
            "objectives", "reward": agent -> expected individual reward of this step, reward for objectives, and their
            sum after sharing.

        Raises:
            RuntimeError: before the first `reset`, or after the end.
            KeyError, ValueError, TypeError: as in `step`.
        """
        self._require_page("expected_feedback()")
        result = self.vector.expected_feedback(self._checked(self._joint(actions)))
        return {
            name: dict(zip(self.possible_agents, value[0] if value.ndim == 3 else value[0].tolist(), strict=True))
            for name, value in result.items()
        }

    def explain(self, actions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Explain the page about to be shown, given a joint action; nothing changes and nothing is drawn.

        `recsys_env.api.render.explanation` formats the result as a table.

        Returns:
            agent -> item, rank, utility, position, click: arrays [K]; terms: name -> [K], whose sum is the utility;
            price_multiplier, slot_value, bid, payment, trust, outside: numbers. `VectorEnv.explain` documents meanings
            and units.

        Raises:
            RuntimeError: before the first `reset`, or after the end.
            KeyError, ValueError, TypeError: as in `step`.
        """
        self._require_page("explain()")
        result = self.vector.explain(self._checked(self._joint(actions)))
        return {
            agent: {
                **{name: result[name][0, n] for name in ("item", "rank", "utility", "position", "click")},
                "terms": {name: values[0, n] for name, values in result["terms"].items()},
                **{name: float(result[name][0, n]) for name in ("price_multiplier", *OF_BIDS, "trust")},
                "outside": float(result["outside"][0]),
            }
            for n, agent in enumerate(self.possible_agents)
        }

    def _require_page(self, call: str) -> None:
        """Raise unless a page is about to be shown."""
        self.vector._require_reset(call)
        if not self.agents:
            raise RuntimeError("the episode is over; call reset()")

    # -------------------------------------------------------------------------------------------- save, restore, render

    def save(self) -> Snapshot:
        """Return a snapshot of the environment. After the end of an episode, it is that of the next one's first page.

        Raises:
            RuntimeError: before the first `reset`.
        """
        return self.vector.save()

    def restore(self, snapshot: Snapshot, seed: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Continue from a snapshot, bit for bit, or with a new seed for the events from here on.

        People stay those of the snapshot.

        Returns:
            observations and infos by agent, as after a reset.

        Raises:
            ValueError, TypeError: as in `VectorEnv.restore`; nothing has changed.
        """
        self.vector.restore(snapshot, seed=None if seed is None else checked_seed(seed))
        return self._begin()

    def render(self) -> str | np.ndarray | None:
        """Return or print the page that was shown last.

        It is returned as text in mode "ansi", and as a picture [H, W, 3] uint8 in mode "rgb_array"; it is printed in
        mode "human".

        Raises:
            RuntimeError: before the first `reset`.
            ImportError: a picture needs Pillow.
        """
        if self.render_mode is None:
            logger.warn(
                "render() does nothing without a render_mode; "
                f"make the environment with one of {self.metadata['render_modes']}"
            )
            return None
        from .render import draw_page, render_page

        self.vector._require_reset("render()")
        scores, over, name = self._score.tolist(), not self.agents, self.metadata["name"]
        if self.render_mode == "rgb_array":
            return draw_page(self.vector, self._page, scores, over=over, name=name)
        text = render_page(self.vector, self._page, scores, over=over, name=name)
        if self.render_mode == "human":
            print(text)
            return None
        return text

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
        self.vector.close()


def _handed_out(agents: list[str], values: Any) -> dict[str, Any]:
    """The values in the order of the agents as a dictionary; a comprehension, or `zip` that is strict, takes longer."""
    values_of = {}
    for n, agent in enumerate(agents):
        values_of[agent] = values[n]
    return values_of


def parallel_env(
    task: str | WorldConfig,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    observation_format: str = "flat",
    **overrides: Any,
) -> RecommendationEnv:
    """Create a task as a PettingZoo parallel environment.

    Keywords override config fields; nested fields are given as dicts: `reward={"sharing": 1.0}`.

    Args:
        task: name of a task (`recsys_env.TASKS`), or a config.
        catalogue: fitted items and users (see `recsys_env.fitting`), the name of a shipped catalogue or the path of a
            saved one. They replace those of a named task; fields that describe synthetic items and users cannot be
            overridden beside them.
        render_mode: "ansi", "human", "rgb_array" or None.
        observation_format: "flat" (one vector) or "dict" (its parts; see `recsys_env.batch.observations`).

    Raises:
        ValueError, TypeError: there is no such task, field or value; the message names what is allowed.
    """
    config = task_config(task, overrides, catalogue)
    return RecommendationEnv(config, catalogue, render_mode, task_name(task), observation_format)
