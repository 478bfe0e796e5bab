"""Observations that have the same layout in teams of any size, so that one network plays them all.

layout = RelativeLayout(envs, max_agents=6)
layout.read(envs.observations)      # [B, N, O'], the same O' for 2 to 6 agents
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from .batch import CpuBatch, checked_cpu_batch
from .checks import check_count, shown
from .fields import OBSERVATION
from .spaces import unit_box


class RelativeLayout:
    """Rearranges the observations of a task: what there is of each agent comes in an order relative to the observer,
    and is padded to a largest number of agents.

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
            raise ValueError(f"max_agents = {max_agents} is less than the {shape.agents} agents of the task")
        self._width = max(columns.stop for columns in envs.observation_fields.values())
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
        self.observation_space: spaces.Box = unit_box(self._columns.shape[1])

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
            flat, np.broadcast_to(self._columns[self._observers], (*flat.shape[:-1], self._columns.shape[1])), -1
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
