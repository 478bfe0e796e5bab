"""BenchMARL: its algorithms as `baselines.train` trains them."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from baselines.benchmarl import FAMILY

from baselines.benchmarl_learner import CONFIGS
from baselines.train import train as train_on
from recsys_env import TASKS

from . import DILEMMA, TASK, main

KINDS = {kind.name: kind for kind in FAMILY}
ALGORITHMS = tuple(KINDS)
OFF_POLICY_STEPS, ON_POLICY_STEPS = 160_000, 320_000  # of both agents


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    steps = ON_POLICY_STEPS if CONFIGS[algorithm].on_policy() else OFF_POLICY_STEPS
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(sys.stderr),
    ):  # standard output is for the result
        settings = KINDS[algorithm](
            TASK,
            sharing=1.0,
            set=DILEMMA,
            timesteps=steps,
            device=device,
            seed=seed,
            eval_episodes=2,
            compare=("random",),
            out=Path(folder),
        )
        result = train_on(settings)
    horizon = TASKS[TASK].horizon
    return {
        "agent_steps": result["training"]["agent_steps"],
        "seconds": result["training"]["seconds"],
        "before": result["table"]["random"]["mean"] / horizon,
        "after": result["after"]["mean"] / horizon,
    }


if __name__ == "__main__":
    main(train, ALGORITHMS)
