"""What the stored files of training look like, for those who read them (`recsys_env.files.misfit`)."""

from __future__ import annotations

from pathlib import Path

from recsys_env.files import FileError, read_json

_MEAN = {"mean": float, "ci95": (float, None)}
_REWARD = {"mean": float, "ci95": float}
CURVE = [{"agent_steps": int, "episode_reward": float}]  # curve.json of a training run
JOB = {  # of a reference learner; see `train.train`
    "before": _MEAN,
    "after": _MEAN,
    "gain": _MEAN,
    "table": {str: {"mean": float, "ci95": float, "score?": float}},
    "training": {"agent_steps": int, "seconds": float, "environment_share": float},
    "seeds": {"training": int, "evaluation": int},
    "curve": CURVE,
    "command": str,
    "commit": (str, None),
    "date": str,
    "processor": str,
    "versions": {str: str},
}
TENSION = {"tasks": {str: {"R": _REWARD, "P": _REWARD}}}  # of `benchmarks.tension`


def read_curve(path: Path) -> list[dict[str, float]]:
    """The learning curve of a training run, which has a point at least.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    curve: list[dict[str, float]] = read_json(path, CURVE, "curve.json of a training run")
    if not curve:
        raise FileError(f"{path} holds no curve.json of a training run: it is empty")
    return curve
