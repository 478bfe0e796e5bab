"""One copy of a task as a PettingZoo environment: a `VectorEnv` of one copy behind dictionaries, nothing else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from gymnasium import logger, spaces
from pettingzoo import ParallelEnv
from pettingzoo.utils import OrderEnforcingWrapper
from pettingzoo.utils.conversions import parallel_to_aec_wrapper

from .catalogue import Catalogue
from .checks import checked_seed, did_you_mean, shown
from .config import WorldConfig
from .infos import AgentInfo, Infos
from .tasks import task_config
from .vector import Snapshot, VectorEnv


class RecommendationEnv(ParallelEnv):
    """Several recommender agents, one visitor per tick, as a PettingZoo parallel environment.

    Args:
        config: the task.
        catalogue: fitted items and users, in place of the one that `config.catalogue` names.
        render_mode: "ansi" (`render()` returns the page as text), "human" (prints it after every step), "rgb_array"
            (returns a picture of it, which needs Pillow) or None.
        name: what `str(env)` and the rendered page call the task.

    Attributes:
        possible_agents, agents: names of the N agents; `agents` is empty once the episode is over.
        vector: the batch of one copy behind this environment, for policies and array access.
        observation_fields: name -> slice of the flat observation.
        state_space: of `state()`.
        state_fields: name -> slice of the global state.
        np_random: a random stream for wrappers that draw, such as SuperSuit's frame skip; `reset(seed)` starts it anew.
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
    ) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and not (isinstance(render_mode, str) and render_mode in modes):
            raise ValueError(
                f"render_mode = {shown(render_mode)} is not allowed; "
                f"choose one of {[*modes, None]}{did_you_mean(render_mode, modes)}"
            )
        self.metadata = {**self.metadata, "name": name}
        self.render_mode = render_mode
        self.vector = VectorEnv(config, catalogue=catalogue)
        self.config = config
        self.possible_agents = list(self.vector.possible_agents)
        self.agents = self.possible_agents[:]
        self.observation_fields = self.vector.observation_fields
        self.state_space = self.vector.state_space
        self.state_fields = self.vector.state_fields
        self._action_spaces = {agent: copy.deepcopy(self.vector.action_space) for agent in self.possible_agents}
        self._page: Any = None  # the clock of the page that was shown last; kept for rendering only
        self._score = np.zeros(len(self.possible_agents))
        self.np_random = np.random.default_rng()

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The space of an agent's observations; the same object for all agents."""
        self._check_agent(agent)
        return self.vector.observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The space of an agent's actions; each agent's own object, so that each can be seeded."""
        self._check_agent(agent)
        return self._action_spaces[agent]

    # -------------------------------------------------------------------------------------------- reset and step

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode: episode 0 of a seed, or with None the next one of the present seed.

        Args:
            seed: integer in [0, 2^64); None before any seed takes one from the operating system.
            options: ignored.

        Returns:
            observations and infos by agent.

        Raises:
            ValueError, TypeError: another seed; nothing has changed.
        """
        if seed is not None:
            seed = checked_seed(seed)
            self.np_random = np.random.default_rng(seed)
        over = not self.agents
        # The batch has gone on to the next episode by itself; that one is yet to be played.
        return self._begin(*(self.vector.look() if over and seed is None else self.vector.reset(seed=seed)))

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """One tick.

        Args:
            actions: one action of its space for every agent, on the page or not.

        Returns:
            observations, rewards, terminations (always False), truncations (all True at the end) and infos by agent,
            as arrays of their own. Five empty dictionaries for `step({})` after the end.

        Raises:
            KeyError: missing or unknown agents.
            ValueError, TypeError: an action outside its space, or something else than a dict of actions.
            RuntimeError: actions after the end, or before the first `reset`. Nothing has changed after any of these.
        """
        agents = self.agents
        if not agents:
            if isinstance(actions, Mapping) and not actions:
                return {}, {}, {}, {}, {}
            raise RuntimeError("the episode is over; call reset()")
        joint = self._joint(actions)
        page = None if self.render_mode is None else self.vector.next_page[0]
        try:
            observations, rewards, _, truncations, infos = self.vector.step(np.array([joint]))
        except (TypeError, ValueError):
            observations, rewards, _, truncations, infos = self.vector.step(self._checked(joint)[None])
        over = bool(truncations[0])
        if over:
            observations, self.agents = self.vector.final_obs, []
        if page is not None:
            self._page = page
            self._score += infos["own"][0]
            if self.render_mode == "human":
                self.render()
        values = rewards[0].tolist()
        return (
            self._split(observations),
            {agent: values[n] for n, agent in enumerate(agents)},
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, over),
            self._infos(infos, over),
        )

    def _begin(self, observations: Any, infos: Infos) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents = self.possible_agents[:]
        self._page = None
        self._score[:] = 0
        if self.render_mode == "human":
            self.render()
        return self._split(observations), self._infos(infos, False)

    def _split(self, observations: Any) -> dict[str, Any]:
        """Observations [1, N, ...] of the batch, copied and handed out by agent."""
        if self.config.mask_actions:
            flat, masks = observations["observation"][0].copy(), observations["action_mask"][0].copy()
            return {
                agent: {"observation": flat[n], "action_mask": masks[n]} for n, agent in enumerate(self.possible_agents)
            }
        flat = observations[0].copy()
        return {agent: flat[n] for n, agent in enumerate(self.possible_agents)}

    def _infos(self, infos: Infos, over: bool) -> dict[str, Any]:
        kept = infos.copy()
        return {agent: AgentInfo(kept, n, over) for n, agent in enumerate(self.possible_agents)}

    # -------------------------------------------------------------------------------------------- actions

    def _joint(self, actions: Mapping[str, Any]) -> list[Any]:
        """The actions in the order of the agents."""
        try:
            joint = [actions[agent] for agent in self.possible_agents]
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

    def _checked(self, joint: list[Any]) -> np.ndarray:
        """The actions as one array [N, ...], looked at one by one: raises for the first that lies outside its space."""
        space = self.vector.action_space
        whole = not isinstance(space, spaces.Box)
        low, high = (0, getattr(space, "n", getattr(space, "nvec", 0)) - 1) if whole else (-1.0, 1.0)
        rows = []
        for agent, value in zip(self.possible_agents, joint, strict=True):
            named = f"action of {agent} is {shown(value)}"
            try:
                row = np.asarray(value)
            except ValueError:  # ragged
                raise ValueError(f"{named}, which is not one array, outside its space {space}") from None
            if row.dtype.kind not in ("biu" if whole else "biuf"):
                takes = "integers" if whole else "numbers"
                raise TypeError(f"{named} of dtype {row.dtype}, outside its space {space}: it takes {takes}")
            if row.shape != space.shape:
                raise ValueError(f"{named} of shape {row.shape}, outside its space {space} of shape {space.shape}")
            if not ((row >= low) & (row <= high)).all():  # NaN is neither
                raise ValueError(f"{named}, outside its space {space}")
            rows.append(row.astype(np.int64 if whole else np.float32))
        return np.stack(rows)

    def _check_agent(self, agent: Any) -> None:
        if not isinstance(agent, str) or agent not in self.possible_agents:
            raise KeyError(
                f"unknown agent {shown(agent)}{did_you_mean(agent, self.possible_agents)}; "
                f"agents are {', '.join(self.possible_agents)}"
            )

    # -------------------------------------------------------------------------------------------- views

    def field(self, observation: Any, name: str) -> np.ndarray:
        """The view of one named field (see `observation_fields`) of one agent's observation, masked or not."""
        return self.vector.field(observation["observation"] if isinstance(observation, Mapping) else observation, name)

    def state(self) -> np.ndarray:
        """Global state [S] for centralised critics; after the end, that beside the last observations.

        See `VectorEnv.state`.
        """
        return (self.vector.state() if self.agents else self.vector.final_state())[0]

    def expected_feedback(self, actions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Exact expectations of the page about to be shown, given a joint action; nothing changes.

        Returns:
            "click", "cart", "purchase": agent -> probability of each of its slots [K]; "own", "objectives", "reward":
            agent -> expected own reward of this step, what the page is paid beside it, and their sum after sharing.

        Raises:
            RuntimeError: before the first `reset`, or after the end.
            KeyError, ValueError, TypeError: as in `step`.
        """
        self._require_page("expected_feedback()")
        result = self.vector.expected_feedback(self._checked(self._joint(actions))[None])
        return {
            name: dict(zip(self.possible_agents, value[0] if value.ndim == 3 else value[0].tolist(), strict=True))
            for name, value in result.items()
        }

    def explain(self, actions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The page about to be shown, given a joint action, taken apart; nothing changes and nothing is drawn.

        `recsys_env.render.explanation` makes a table of it.

        Returns:
            agent -> item, rank, utility, position, click: arrays [K]; terms: name -> [K], whose sum is the utility;
            offer, trust, outside: numbers. What they mean and their units: `VectorEnv.explain`.

        Raises:
            RuntimeError: before the first `reset`, or after the end.
            KeyError, ValueError, TypeError: as in `step`.
        """
        self._require_page("explain()")
        result = self.vector.explain(self._checked(self._joint(actions))[None])
        return {
            agent: {
                **{name: result[name][0, n] for name in ("item", "rank", "utility", "position", "click")},
                "terms": {name: values[0, n] for name, values in result["terms"].items()},
                "offer": float(result["offer"][0, n]),
                "trust": float(result["trust"][0, n]),
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
        """The present state; after the end, that of the next episode's first page.

        Raises:
            RuntimeError: before the first `reset`.
        """
        return self.vector.save()

    def restore(self, snapshot: Snapshot, seed: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Continue from a snapshot, bit for bit, or with a seed for the events from here on.

        People stay those of the snapshot.

        Returns:
            observations and infos by agent, as after a reset.

        Raises:
            ValueError, TypeError: as in `VectorEnv.restore`; nothing has changed.
        """
        return self._begin(*self.vector.restore(snapshot, seed=None if seed is None else checked_seed(seed)))

    def render(self) -> str | np.ndarray | None:
        """The page that was shown last.

        Returned as text in mode "ansi", as a picture [H, W, 3] uint8 in mode "rgb_array"; printed in mode "human".

        Raises:
            RuntimeError: before the first `reset`.
            ImportError: a picture without Pillow.
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
        """Nothing to release."""
        self.vector.close()


class RecommendationAEC(OrderEnforcingWrapper):
    """A `RecommendationEnv` as a PettingZoo AEC environment: its agents choose one after the other, then comes a tick.

    All that the parallel environment has beside PettingZoo's interface is here too; `unwrapped` is that environment.

    Args:
        parallel: the parallel environment; step it through this one alone.

    Attributes:
        config, vector, observation_fields, state_fields, state_space: as in `RecommendationEnv`.
        field, expected_feedback, explain, save: its methods. The page about to be shown, and the state, are those of
            the round that is being played.
    """

    def __init__(self, parallel: RecommendationEnv) -> None:
        super().__init__(parallel_to_aec_wrapper(parallel))
        self.config, self.vector = parallel.config, parallel.vector
        self.observation_fields, self.state_fields = parallel.observation_fields, parallel.state_fields
        self.field, self.save = parallel.field, parallel.save
        self.expected_feedback, self.explain = parallel.expected_feedback, parallel.explain

    def restore(self, snapshot: Snapshot, seed: int | None = None) -> None:
        """Continue from a snapshot, as `RecommendationEnv.restore` does, with the first agent of a round.

        The actions of an unfinished round are forgotten.
        """
        self.vector.restore(snapshot, seed=None if seed is None else checked_seed(seed))
        # PettingZoo begins a round of agents in reset() alone. As after an episode, the batch stands at a page that has
        # yet to begin, and that is where reset() goes on.
        self.unwrapped.agents = []
        self.reset()

    def __str__(self) -> str:
        return str(self.unwrapped)


# -------------------------------------------------------------------------------------------------- constructors


def parallel_env(
    task: str | WorldConfig,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    **overrides: Any,
) -> RecommendationEnv:
    """A task as a PettingZoo parallel environment.

    Keywords override config fields, nested ones as dicts: `reward={"sharing": 1.0}`.

    Args:
        task: name of a task (`recsys_env.TASKS`), or a config.
        catalogue: fitted items and users (see `recsys_env.fitting`), a shipped one by name or a saved one by path. They
            take the place of a named task's own; fields that describe synthetic ones cannot be overridden beside them.
        render_mode: "ansi", "human", "rgb_array" or None.

    Raises:
        ValueError, TypeError: no such task, field or value; the message names what is allowed.
    """
    name = task if isinstance(task, str) else "recsys"
    return RecommendationEnv(task_config(task, overrides, catalogue), catalogue, render_mode, name)


def env(
    task: str | WorldConfig,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    **overrides: Any,
) -> RecommendationAEC:
    """A task as a PettingZoo AEC environment: the parallel one, one agent at a time. Arguments as in `parallel_env`."""
    return RecommendationAEC(parallel_env(task, catalogue=catalogue, render_mode=render_mode, **overrides))
