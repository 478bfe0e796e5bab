"""The folder of a trained policy: `policy.json` says who loads it and what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recsys_env import VectorEnv
from recsys_env.policies import CHECKPOINT


def write_policy(folder: Path, factory: str, envs: VectorEnv, **facts: str) -> None:
    """Make the folder one that `make_policy` takes.

    Args:
        folder: where the factory's own files are.
        factory: "module:function", called with the folder.
        envs: what was trained on; the policy's observations and actions are those of its agents.
        facts: what else the factory wants to know.
    """
    (folder / CHECKPOINT).write_text(json.dumps({"factory": factory, **_spaces(envs), **facts}, indent=1))


def read_policy(folder: Path) -> dict[str, Any]:
    """What `write_policy` wrote."""
    return json.loads((folder / CHECKPOINT).read_text())  # type: ignore[no-any-return]


def bound_spaces_fit(folder: Path, envs: VectorEnv) -> None:
    """Check that a policy sees and does in this task what it was trained to.

    Raises:
        ValueError: another size of observation or another kind of action.
    """
    trained = read_policy(folder)
    for kind, here in _spaces(envs).items():
        if trained[kind] != here:
            raise ValueError(f"the policy in {folder} was trained with {kind} {trained[kind]}; here they are {here}")


def _spaces(envs: VectorEnv) -> dict[str, str]:
    space: Any = envs.observation_space
    return {"observations": str(space["observation"] if envs.config.mask_actions else space), "actions": str(envs.action_space)}
