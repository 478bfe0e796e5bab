"""What a training run keeps beside its policies: the learning curve, and the file that `--resume` goes on from.

Both are arrays and JSON, so that reading executes nothing. `checkpoint.npz` holds everything that a resumed run needs,
so that its parts are always of the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.files import FileError, read_arrays, read_json, value_among, write_arrays

RESUMED = "checkpoint.npz"
# Forms of a learning curve and of the evaluations while training; see `recsys_env.files.misfit`.
_CURVE = [{"agent_steps": int, "episode_reward": float}]
_EVALUATIONS = [{"agent_steps": int, "seconds": float, "individual_reward": [float]}]
_PROGRESS = {
    "begun": {str: object},
    "seconds": float,
    "before": [float],
    "curve": _CURVE,
    "evaluations": _EVALUATIONS,
}


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run.

    Attributes:
        path: where it was read from.
        begun: settings that the run was begun with, as in config.json.
        seconds: of the processor, for training so far.
        before: [E] individual rewards of the untrained policy.
        curve: points so far, at least one.
        evaluations: so far.
        arrays: state of the learner (`Learner.resume_arrays`).
    """

    path: Path
    begun: dict[str, Any]
    seconds: float
    before: list[float]
    curve: list[Any]
    evaluations: list[Any]
    arrays: dict[str, np.ndarray]

    def write(self) -> None:
        """Write to `path`, and replace what is there at once."""
        write_arrays(self.path, self.arrays, progress={name: getattr(self, name) for name in _PROGRESS})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `Checkpoint.write` wrote.

    Raises:
        FileError: a damaged file, or another kind of file.
    """
    arrays = read_arrays(path)
    progress = value_among(path, arrays, "progress", _PROGRESS)
    if not progress["curve"]:
        raise FileError(f"{path} is the checkpoint of a run that had not trained yet")
    return Checkpoint(path, **{name: progress[name] for name in _PROGRESS}, arrays=arrays)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Read the learning curve of a run, which has at least one point.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    curve: list[dict[str, float]] = read_json(path, _CURVE, "curve of a training run")
    if not curve:
        raise FileError(f"{path} holds no curve of a training run: it is empty")
    return curve
