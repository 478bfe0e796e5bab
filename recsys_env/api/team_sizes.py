"""Observations that have the same layout in teams of any size, so that one network plays them all.

`python -m baselines train ppo-torch --max-agents 6` trains a network on them.

layout = RelativeLayout(envs, max_agents=6)
layout.read(envs.observations)      # [B, N, O'], the same O' for 2 to 6 agents

env = team_sizes_env("social-v1", max_agents=6)         # its observations have this layout
env.reset(seed=0, options={"num_agents": 3})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from ..batch.base import CpuBatch, check_config, checked_cpu_batch
from ..batch.spaces import unit_box
from ..checks import check_count, check_options, checked_seed, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.fields import OBSERVATION
from ..config.settings import replace
from ..config.tasks import task_config, task_name
from .environment import RecommendationEnv


class RelativeLayout:
    """Reorders the per-agent parts of observations relative to the observing agent, and pads them to a largest
    number of agents.

    This concerns the fields whose first axis is the agents: `agent_id`, `messages`, `price_levels` and `latent_trust`.
    They begin with the observer's own part; those of the agents after it in `possible_agents` follow, round to the one
    before it, and then zeros. `agent_id` is thereby the same for all. Other fields are as they were.

    Args:
        envs: a batch on the CPU, also one of some learners.
        max_agents: the largest number of agents of a task.

    Attributes:
        observation_fields: name -> slice of an observation in this layout.
        observation_space: its space, a `Box` [O'].

    Raises:
        TypeError: `envs` is no such batch, or `max_agents` is not an integer.
        ValueError: the task has more agents than `max_agents`.
    """

    def __init__(self, envs: CpuBatch, max_agents: int) -> None:
        checked_cpu_batch(envs)
        config, shape = envs.config, envs.shape
        check_count("max_agents", max_agents, 1, 10**4)
        if max_agents < shape.agents:
            raise ValueError(
                f"max_agents = {max_agents} is less than the {shape.agents} agents of the task; "
                f"num_agents = {max_agents} of its config makes a smaller team"
            )
        self._width = envs.layout.size
        padding = self._width  # the number of a column of zeros, behind the last one
        self.observation_fields: dict[str, slice] = {}
        self._columns = np.zeros((shape.agents, 0), np.int64)  # [N, O'] of the observations, for each observer
        by_agent = {field.name for field in OBSERVATION if field.axes[:1] == ("agents",)}
        for name, place in envs.observation_fields.items():
            columns = np.tile(np.arange(place.start, place.stop), (shape.agents, 1))
            if name in by_agent:
                parts = columns[0].reshape(shape.agents, -1)
                order = (np.arange(shape.agents)[:, None] + np.arange(shape.agents)) % shape.agents
                columns = np.full((shape.agents, max_agents, parts.shape[1]), padding)
                columns[:, : shape.agents] = parts[order]
                columns = columns.reshape(shape.agents, -1)
            begin = self._columns.shape[1]
            self.observation_fields[name] = slice(begin, begin + columns.shape[1])
            self._columns = np.concatenate([self._columns, columns], axis=1)
        self._observers = [config.agents.index(agent) for agent in envs.possible_agents]
        self.observation_space: spaces.Box = unit_box(self.size)

    @property
    def size(self) -> int:
        """Length O' of an observation in this layout."""
        return self._columns.shape[1]

    def places(self, columns: Sequence[int]) -> list[int]:
        """Return where these columns of an observation are in this layout, in ascending order.

        Of a part for each agent, they must be all columns or none; all its places are returned, with the zeros.
        """
        here = np.isin(self._columns[0], columns)
        for place in self.observation_fields.values():
            here[place] |= here[place.start] & (self._columns[0, place] == self._width)
        found: list[int] = np.flatnonzero(here).tolist()
        return found

    def read(self, observations: Any) -> np.ndarray:
        """Return the observations [..., N, O] of all agents of the batch in this layout, [..., N, O'].

        Raises:
            TypeError, ValueError: these are not flat observations of the batch's agents.
        """
        flat = self._checked(observations)
        if flat.shape[-2:-1] != (len(self._observers),):
            raise ValueError(
                f"observations of shape {list(flat.shape)} must be [..., {len(self._observers)}, {self._width}]"
            )
        return np.take_along_axis(
            flat, np.broadcast_to(self._columns[self._observers], (*flat.shape[:-1], self.size)), -1
        )

    def read_of(self, index: int, observations: Any) -> np.ndarray:
        """Return the observations [..., O] of agent number `index` of the task in this layout, [..., O'].

        Raises:
            TypeError, ValueError: these are not flat observations, or there is no such agent.
        """
        check_count("index", index, 0, len(self._columns) - 1)
        return self._checked(observations)[..., self._columns[index]]

    def _checked(self, observations: Any) -> np.ndarray:
        """Return flat observations with a column of zeros behind the last one."""
        if not isinstance(observations, np.ndarray) or observations.dtype.kind != "f":
            raise TypeError(f"observations = {shown(observations)} must be an array of flat observations")
        if observations.shape[-1:] != (self._width,):
            raise ValueError(f"observations of shape {list(observations.shape)} must be [..., {self._width}]")
        return np.concatenate([observations, np.zeros((*observations.shape[:-1], 1), observations.dtype)], axis=-1)


class TeamSizesEnv(ParallelEnv[str, Any, Any]):
    """A task whose episodes have different numbers of agents, as a PettingZoo parallel environment.

    `reset(options={"num_agents": n})` begins an episode of n agents, which are the first n of `possible_agents`.
    Observations have the layout of `RelativeLayout`, so that their length never changes. There is no global state,
    because its length would change. A `RecommendationEnv` plays each size; everything else is as described there.

    Args:
        config: the task, whose own number of agents does not count.
        max_agents: the largest number of agents; the smallest is 1.
        catalogue, render_mode, name: as in `RecommendationEnv`.

    Attributes:
        possible_agents: names of the largest team.
        env: the environment that plays the present episode.
        observation_fields: name -> slice of an observation.

    Raises:
        ValueError, TypeError: the task cannot have this number of agents, for example because it has several roles.
    """

    def __init__(
        self,
        config: WorldConfig,
        max_agents: int,
        catalogue: Catalogue | str | Path | None = None,
        render_mode: str | None = None,
        name: str = "recsys",
    ) -> None:
        check_config(config)
        check_count("max_agents", max_agents, 1, 10**4)
        self.max_agents, self.render_mode = max_agents, render_mode
        self._made: dict[int, tuple[RecommendationEnv, RelativeLayout]] = {}
        self._config, self._catalogue, self._name = config, catalogue, name
        largest, layout = self._of_size(max_agents)
        self.metadata = largest.metadata
        self.possible_agents = largest.possible_agents
        self.observation_fields = layout.observation_fields
        space: spaces.Space[Any] = layout.observation_space
        if config.mask_actions:
            mask: spaces.Dict = largest.observation_space(self.possible_agents[0])  # type: ignore[assignment]
            space = spaces.Dict({"observation": space, "action_mask": mask["action_mask"]})
        self._observation_space = space
        self.env = largest
        self._seed: int | None = None
        self._seeded: set[int] = set()  # sizes that have played an episode of the seed

    def _of_size(self, agents: int) -> tuple[RecommendationEnv, RelativeLayout]:
        if agents not in self._made:
            config = replace(self._config, {"num_agents": agents})
            env = RecommendationEnv(config, self._catalogue, self.render_mode, self._name)
            layout = RelativeLayout(env.vector, self.max_agents)
            if self._made:
                self._check_spaces(agents, env, layout)
            self._made[agents] = env, layout
        return self._made[agents]

    def _check_spaces(self, agents: int, env: RecommendationEnv, layout: RelativeLayout) -> None:
        """Raise unless a team of this size sees and does what the largest one does, which was made first."""
        largest, widest = self._made[self.max_agents]
        for what, here, there in (
            ("observations", layout.observation_space, widest.observation_space),
            ("actions", env.vector.action_space, largest.vector.action_space),
        ):
            if here != there:
                raise ValueError(
                    f"teams of {agents} agents have other {what} than teams of {self.max_agents}: {here}, not {there}"
                )

    __copy__ = deepcopy  # with environments of its own

    @property
    def agents(self) -> list[str]:  # type: ignore[override]
        """The present team; empty once the episode is over."""
        return self.env.agents

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's observations; the same object for all agents."""
        self._largest.observation_space(agent)  # names an unknown agent
        return self._observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's actions."""
        return self._largest.action_space(agent)

    @property
    def _largest(self) -> RecommendationEnv:
        return self._made[self.max_agents][0]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode: episode 0 of a seed, or with None the next episode of the current seed.

        Each team size counts the episodes of a seed for itself.

        Args:
            seed: as in `RecommendationEnv.reset`.
            options: {"num_agents": n}; without it, the team has `max_agents`.

        Returns:
            observations and infos by agent.

        Raises:
            ValueError, TypeError: the seed or the number of agents is not allowed; nothing has changed.
        """
        check_options(options, ["num_agents"])
        agents = (options or {}).get("num_agents", self.max_agents)
        check_count("options['num_agents']", agents, 1, self.max_agents)
        seed = None if seed is None else checked_seed(seed)
        env, _ = self._of_size(int(agents))
        known = self._seed if seed is None else seed
        fresh = seed is not None or agents not in self._seeded
        observations, infos = env.reset(seed=known if fresh else None)
        self._seed, self._seeded = known, {agents} if seed is not None else {*self._seeded, agents}
        self.env = env
        return self._relative(observations), infos

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Play one tick of the present team; see `RecommendationEnv.step`."""
        observations, *others = self.env.step(actions)
        return self._relative(observations), *others  # type: ignore[return-value]

    def _relative(self, observations: Mapping[str, Any]) -> dict[str, Any]:
        """The observations of the present team in the layout of all teams."""
        _, layout = self._made[len(self.env.possible_agents)]
        rows: dict[str, Any] = {}
        for n, (agent, seen) in enumerate(observations.items()):
            if isinstance(seen, Mapping):
                rows[agent] = {**seen, "observation": layout.read_of(n, seen["observation"])}
            else:
                rows[agent] = layout.read_of(n, seen)
        return rows

    def render(self) -> Any:
        """Return or print the page that was shown last; see `RecommendationEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def team_sizes_env(
    task: str | WorldConfig,
    max_agents: int,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    **overrides: Any,
) -> TeamSizesEnv:
    """Create a task whose episodes have up to `max_agents` agents; see `TeamSizesEnv`.

    Args:
        task, catalogue, render_mode, overrides: as in `parallel_env`.
        max_agents: the largest number of agents.

    Raises:
        ValueError, TypeError: there is no such task, field or value, or the task cannot have this number of agents.
    """
    if "num_agents" in overrides:
        raise TypeError(
            f"num_agents = {shown(overrides['num_agents'])}: the number of agents is given to each reset, "
            "reset(options={'num_agents': ...}), and the largest one as max_agents"
        )
    if "observation_format" in overrides:
        given = shown(overrides["observation_format"])
        raise TypeError(f"observation_format = {given}: teams of all sizes share one layout of vectors; leave it out")
    config = task_config(task, overrides, catalogue)
    return TeamSizesEnv(config, max_agents, catalogue, render_mode, task_name(task))
