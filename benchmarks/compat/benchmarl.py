"""BenchMARL: its algorithms through the command line of `baselines.benchmarl`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from typing import Any

from baselines.benchmarl import ALGORITHMS as CONFIGS
from baselines.benchmarl import parse, run

from . import TASK, TEAM, main

ALGORITHMS = tuple(CONFIGS)
OFF_POLICY_FRAMES, ON_POLICY_FRAMES = 80_000, 160_000


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    frames = ON_POLICY_FRAMES if algorithm in ("mappo", "ippo") else OFF_POLICY_FRAMES
    with tempfile.TemporaryDirectory() as folder:
        args = parse(
            ["--algorithm", algorithm, "--task", TASK, "--set", f"reward.sharing={TEAM['reward']['sharing']}", "--frames", str(frames), "--device", device,
             "--seed", str(seed), "--learning-rate", "1e-3", "--eval-episodes", "20", "--out", folder]
        )  # fmt: skip
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for the result
            result = run(args)
    horizon = result["horizon"]
    return {
        "agent_steps": result["agent_steps"], "seconds": result["seconds"], "before": result["random"][0] / horizon, "after": result["trained"][0] / horizon,
    }  # fmt: skip


if __name__ == "__main__":
    main(train, ALGORITHMS)
