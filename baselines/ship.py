"""Copy one trained policy of each published learner and task into the package, for others to play against.

    python -m baselines ship                                        # all that `python -m baselines reference` trained
    python -m baselines ship --only ppo-torch --tasks social-v1     # some

The policy is that of the seed whose reward on held-out episodes is the median (the lower one of two). A checkpoint is
`learned/TASK/LEARNER` of the package: arrays and JSON, without code, and a card (`policies.shipped`). Policies that are
too large for the package are left out and named.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_env import VectorEnv, cli
from recsys_env.config.scenarios import PACKAGE
from recsys_env.evaluation.runs import try_out
from recsys_env.files import read_arrays, read_json, signed, write_arrays, write_json
from recsys_env.policies import CHECKPOINT
from recsys_env.policies.shipped import CARD
from recsys_env.trained.folders import WEIGHTS, copy_policy

from .learners import PUBLISHED, full_length
from .options import run_name
from .reference import jobs
from .robustness import Trained, groups
from .training import RESULT

LEARNED = PACKAGE / "learned"
MOST = 100_000  # bytes of a checkpoint
_RESULT = {"after": {"mean": float, "ci95": float}, "kept": str, "date": str}


def ship(
    runs: Path = Path("runs/reference"),
    out: Path = LEARNED,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = PUBLISHED,
) -> list[Path]:
    """Copy the policy of the median seed of each learner and task into the package, and print what was done.

    Args:
        runs: folder of the trained policies' folders.
        out: folder of the checkpoints; by default the package's.
        only: learners; by default all but the short runs.
        tasks: of the learners; the name of a suite stands for all of its tasks.

    Returns:
        folders of the checkpoints.

    Raises:
        ValueError: no such learner or task, a damaged file, or no trained policy of these learners and tasks.
    """
    found = groups(jobs(only or full_length(), cli.tasks_of(tasks)), runs)
    if not found:
        raise ValueError(f"{runs} holds no trained policy of these learners; `python -m baselines reference` trains")
    written = []
    for each in found:
        folder = out / run_name(each.task) / each.learner
        seed, result = median(each)
        _write(each, seed, result, folder)
        if (size := sum(file.stat().st_size for file in folder.iterdir())) > MOST:
            print(f"{each.task}/{each.learner}: left out, {size:,} bytes are more than {MOST:,}")
            shutil.rmtree(folder)
            continue
        written.append(folder)
        print(f"{each.task}/{each.learner}: seed {seed}, the median of {len(each.folders)} seeds")
    return written


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines ship`."""
    cli.run(ship, "baselines ship", argv)


def median(each: Trained) -> tuple[int, dict[str, Any]]:
    """The seed with the median of the held-out rewards, the lower one of the two in the middle, and its result."""
    results = {seed: read_json(folder / RESULT, _RESULT, "result of a run") for seed, folder in each.folders.items()}
    order = sorted(results, key=lambda seed: (results[seed]["after"]["mean"], seed))
    seed = order[(len(order) - 1) // 2]
    return seed, results[seed]


def _write(each: Trained, seed: int, result: Mapping[str, Any], folder: Path) -> None:
    """Write the checkpoint of a learner on a task, its arrays compressed, and see that it plays."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)  # no card of the old policy beside the new one
    (folder / WEIGHTS).unlink(missing_ok=True)
    copy_policy(each.folders[seed], folder)
    if (folder / WEIGHTS).is_file():
        write_arrays(folder / WEIGHTS, read_arrays(folder / WEIGHTS), compressed=True)
    config = each.algorithm.world()
    try_out(VectorEnv(config), dict.fromkeys(config.agents, str(folder)))
    card = {
        "learner": each.learner,
        "task": each.task,
        "seed": seed,
        "among": sorted(each.folders),
        "reward": result["after"],
        "kept": result["kept"],
        "settings": each.algorithm.settings(),
        "commit": result.get("commit"),
        "date": result["date"],
        "policy": read_json(folder / CHECKPOINT, {"digest": str}, "trained policy")["digest"],
    }
    write_json(folder / CARD, signed(card), indent=1)
