"""Checkpoints of trained learners that ship with the package, so that other policies can play against them.

The folder `learned/TASK/LEARNER` holds the files of a trained policy and a card, which says what the policy is:
learner, task, training seed, the reward of that seed, settings, commit, and the digest of the policy. A checkpoint is
refused if its files do not belong together, and on any task but its own. The card of a folder is read wherever the
folder lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import WorldConfig
from ..config.tasks import TASKS
from ..files import FileError, read_json, signed

CARD = "trained.json"
_FORM = {
    "learner": str,
    "task": str,
    "seed": int,
    "among": [int],
    "reward": {"mean": float, "ci95": float},
    "kept": str,
    "settings": {"algorithm": str},
    "commit": (str, None),
    "date": str,
    "policy": str,
    "digest": str,
}


@dataclass(frozen=True)
class Shipped:
    """Contents of a checkpoint.

    Attributes:
        folder: of its files.
        card: learner; task, with changed fields; seed; among: the training seeds whose median reward is that of `seed`;
            reward: {mean, ci95} of the seed on held-out episodes; kept (the "best" or the "last" policy of the run);
            settings of the training; commit, date; policy: digest of the policy; digest of the card.
    """

    folder: Path
    card: dict[str, Any]

    def check_task(self, config: WorldConfig) -> None:
        """Raise ValueError unless this is the task of the checkpoint, or the task with other fields changed.

        Changed fields leave the description of a task as it is, so the description tells tasks apart.
        """
        task = self.card["task"].partition(",")[0]
        if task not in TASKS or TASKS[task].description != config.description:
            known = [name for name, other in TASKS.items() if other.description == config.description]
            here = known[0] if known else "another one"
            raise ValueError(f"the policy in {self.folder} was trained on {task}; here the task is {here}")


def shipped(folder: Path, checkpoint: Path) -> Shipped | None:
    """Return what the policy in a folder is; None if the folder has no card.

    Args:
        checkpoint: file with the policy's digest.

    Raises:
        FileError: the card is damaged, or does not belong to this policy.
    """
    path = folder / CARD
    if not path.exists():
        return None
    card = read_json(path, _FORM, "card of a shipped policy")
    if signed(card) != card:
        raise FileError(f"{path} was altered: its digest does not match its content")
    if card["policy"] != read_json(checkpoint, {"digest": str}, "trained policy")["digest"]:
        raise FileError(f"{path} is the card of another policy than {checkpoint}: their digests differ")
    return Shipped(folder, card)
