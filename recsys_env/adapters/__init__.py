"""One short file per trainer library; each imports its library lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checks import shown, unknown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.tasks import task_config


def check_flat(observation_format: Any, library: str) -> None:
    """Raise ValueError if this is not the format of flat observations, which alone this library takes."""
    if observation_format != "flat":
        raise ValueError(
            f"observation_format = {shown(observation_format)} is not possible with {library}, which takes flat "
            "observations; choose 'flat', the default"
        )


def flat_config(
    library: str,
    task: str | WorldConfig,
    overrides: Mapping[str, Any],
    catalogue: Catalogue | str | Path | None = None,
) -> WorldConfig:
    """Return the config of a task for a library that takes flat observations alone.

    Args:
        library: its name, for the error.
        task, overrides, catalogue: as in `task_config`; the overrides may hold `observation_format`, too.

    Raises:
        ValueError: the observations are in parts.
        ValueError, TypeError: as of `task_config`.
    """
    check_flat(overrides.get("observation_format", "flat"), library)
    fields = {name: value for name, value in overrides.items() if name != "observation_format"}
    return task_config(task, fields, catalogue)


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
