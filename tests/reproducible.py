"""What every learner in plain PyTorch promises: a seed gives one policy, whose folder plays as what was trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from baselines.algorithms import TorchLearner
from baselines.train import train
from baselines.training import begin
from recsys_env.evaluation import episode_returns


def check_training(options: Callable[..., TorchLearner], folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The same seed gives the same policy, another seed another one; the first run's result.

    Args:
        options: of a run, by its folder and settings.
    """
    runs = (("1", 0), ("2", 0), ("3", 1))
    first, _, _ = (train(options(folder / name, seed=seed, **settings)) for name, seed in runs)
    weights = [dict(np.load(folder / name / "policy.npz")) for name, _ in runs]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not np.array_equal(weights[0][name], weights[2][name]) for name in weights[0])
    config = begin(options(folder / "4", **settings)).config
    team = dict.fromkeys(config.agents, str(folder / "1"))
    episodes = len(first["absolute"])
    played = episode_returns(config, team, episodes, first["seeds"]["evaluation"]).mean()
    np.testing.assert_allclose(played, first["after"]["mean"])
    return first
