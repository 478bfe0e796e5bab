"""Two small learners that are trained in this process, for tests of the commands that use trained seeds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from baselines import jobs as jobs_module
from baselines import learners as learners_module
from baselines import reference as reference_module
from baselines.jobs import Job
from baselines.learners import ReferenceLearner
from baselines.reference import reference
from baselines.train import train

SHORT: dict[str, Any] = {"eval_episodes": 2, "evaluations": 1, "set": ("horizon=20",)}
TABLE = {**SHORT, "timesteps": 160, "num_envs": 4, "n_steps": 20}
NETWORK = {**SHORT, "timesteps": 64, "num_envs": 2, "n_steps": 16, "batch_size": 32}


def small_learners(patch: pytest.MonkeyPatch, seeds: int = 3) -> None:
    """The published learners are a table on duel-v1 and a network on social-v1, and jobs run in this process."""
    learners = {
        "table": ReferenceLearner("table", "q-table", ("duel-v1",), TABLE),
        "network": ReferenceLearner("network", "ppo-torch", ("social-v1",), NETWORK),
    }
    for module in (reference_module, learners_module):
        patch.setattr(module, "LEARNERS", learners)
    patch.setattr(ReferenceLearner, "seeds", lambda learner, task: range(seeds))
    patch.setattr(ReferenceLearner, "job", lambda learner, task, seed=0: learner.training(task, seed=seed))
    in_this_process(patch)


def in_this_process(patch: pytest.MonkeyPatch) -> list[str]:
    """Let jobs run in this process; the names of those that have run."""
    ran = []

    def run(job: Job, folder: Path) -> int:
        train(dataclasses.replace(job.algorithm, out=folder))
        ran.append(job.name)
        return 0

    patch.setattr(jobs_module, "_run", run)
    return ran


def train_small(folder: Path, seeds: int = 3) -> Path:
    """Train both learners; the folder holds policies/ and results/."""
    with pytest.MonkeyPatch.context() as patch:
        small_learners(patch, seeds)
        reference(folder / "policies", folder / "results", workers=1)
    return folder
