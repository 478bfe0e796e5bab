"""One short file per trainer library; each imports its library lazily."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..batch import AnyBatch
from ..checks import shown, unknown


def check_flat(envs: AnyBatch, library: str) -> None:
    """Raise ValueError if the batch returns observations in parts, which this library does not take."""
    if envs.observation_format != "flat":
        raise ValueError(
            f"observation_format = {envs.observation_format!r} is not possible with {library}; choose 'flat'"
        )


def in_order(actions: Any, agents: list[str]) -> list[Any]:
    """Return the actions in the order of the agents.

    Raises:
        TypeError: `actions` is not a dict.
        KeyError: an agent is missing or unknown.
    """
    if not isinstance(actions, Mapping):
        raise TypeError(f"actions = {shown(actions)} must be a dict of one action for each agent: {', '.join(agents)}")
    for agent in actions:
        if agent not in agents:
            raise KeyError(unknown("agent", agent, agents))
    missing = [agent for agent in agents if agent not in actions]
    if missing:
        raise KeyError(f"no action for {', '.join(missing)}")
    return [actions[agent] for agent in agents]
