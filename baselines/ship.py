"""Copy one trained policy of each published learner and task into the package, for others to play against.

    python -m baselines ship                                        # all that are trained and stored
    python -m baselines ship --only ppo-torch --tasks social-v1     # some

The policy is that of the seed whose reward on held-out episodes is the median (the lower one of two). Seeds count that
are stored (`training_results`) and whose folders, which `python -m baselines reference` trained, are here. A checkpoint
that was chosen among more seeds of the same settings stays, so the command may be repeated on any machine.

A checkpoint is `learned/TASK/LEARNER` of the package: arrays and JSON, without code, and a card (`policies.shipped`).
Policies that are too large for the package are left out and named.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_env import VectorEnv, cli
from recsys_env.config.scenarios import PACKAGE
from recsys_env.evaluation.runs import try_out
from recsys_env.files import FileError, read_arrays, read_json, signed, write_arrays, write_json
from recsys_env.policies import CHECKPOINT
from recsys_env.policies.shipped import CARD, shipped
from recsys_env.trained.folders import WEIGHTS, copy_policy

from .learners import PUBLISHED, full_length
from .options import run_name
from .reference import ReferenceJob, files_of, finished, jobs
from .training import RESULT
from .training_results import RESULTS, TrainingResults

LEARNED = PACKAGE / "learned"
MOST = 100_000  # bytes of a checkpoint
MOST_IN_ALL = 2_000_000  # bytes of all checkpoints


def ship(
    runs: Path = Path("runs/reference"),
    results: Path = RESULTS,
    out: Path = LEARNED,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = PUBLISHED,
) -> list[Path]:
    """Copy the policy of the median seed of each learner and task into the package, and print what was done.

    Args:
        runs: folder of the trained policies' folders.
        results: folder of the stored results.
        out: folder of the checkpoints; by default the package's.
        only: learners; by default all but the short runs.
        tasks: of the learners; the name of a suite stands for all of its tasks.

    Returns:
        folders of the checkpoints that are new or have changed.

    Raises:
        ValueError: no such learner or task, a damaged file, or no trained policy of these learners and tasks.
    """
    wanted = jobs(only or full_length(), cli.tasks_of(tasks))
    stored = files_of(wanted, results)
    groups: dict[str, list[ReferenceJob]] = {}
    for job in finished(wanted, runs):
        if run_of(job, runs / job.name, stored[job.file_name]) is not None:
            groups.setdefault(job.file_name, []).append(job)
    if not groups:
        raise ValueError(
            f"{runs} holds no trained policy whose result is in {results}; `python -m baselines reference` trains "
            "and stores them"
        )
    changed = []
    for name, group in groups.items():
        folder = out / run_name(group[0].task) / group[0].learner
        said, is_new = _ship(group, runs, stored[name], folder)
        print(f"{folder.parent.name}/{folder.name}: {said}")
        changed += [folder] if is_new else []
    print(f"{total(out):,} of {MOST_IN_ALL:,} bytes are used by all checkpoints")
    return changed


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines ship`."""
    cli.run(ship, "baselines ship", argv)


def run_of(job: ReferenceJob, folder: Path, stored: TrainingResults) -> dict[str, Any] | None:
    """The stored run that the policy in a folder is from; None if that run is not stored.

    Raises:
        FileError: a damaged result in the folder.
    """
    after = read_json(folder / RESULT, {"after": {"mean": float}}, "result of a run")["after"]
    of_seed = (run for run in stored.runs if run["seed"] == job.algorithm.seed)
    return next((run for run in of_seed if run["after"]["mean"] == after["mean"]), None)


def median(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The run whose held-out reward is the median; of an even number, the lower one of the two in the middle."""
    return sorted(runs, key=lambda run: (run["after"]["mean"], run["seed"]))[(len(runs) - 1) // 2]


def total(out: Path) -> int:
    """Bytes of all checkpoints."""
    return sum(size(card.parent) for card in out.glob(f"*/*/{CARD}"))


def size(folder: Path) -> int:
    """Bytes of a checkpoint; 0 if there is none."""
    files = (folder / name for name in (WEIGHTS, CHECKPOINT, CARD))
    return sum(file.stat().st_size for file in files if file.is_file())


def _ship(group: Sequence[ReferenceJob], runs: Path, stored: TrainingResults, folder: Path) -> tuple[str, bool]:
    """Write the checkpoint of a learner on a task.

    Returns:
        what was done, in words, and whether the checkpoint has changed.
    """
    seeds = [job.algorithm.seed for job in group]
    run = median([run for run in stored.runs if run["seed"] in seeds])
    job = group[seeds.index(run["seed"])]
    there = _card_in(folder)
    if there and job.algorithm.has_settings(there["settings"]) and len(there["among"]) > len(seeds):
        return f"seed {there['seed']} stays, the median of {len(there['among'])} seeds; {len(seeds)} are here", False
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary)
        _pack(runs / job.name, new)
        write_json(new / CARD, _card(job, run, seeds, stored, new), indent=1)
        if there == read_json(new / CARD):
            return f"seed {run['seed']} is there already", False
        others = total(folder.parent.parent) - size(folder)
        for limit, bytes_, what in ((MOST, size(new), "it"), (MOST_IN_ALL, others + size(new), "all checkpoints")):
            if bytes_ > limit:
                return f"left out: {what} would have {bytes_:,} bytes, and {limit:,} are allowed", False
        config = job.algorithm.world()
        try_out(VectorEnv(config), dict.fromkeys(config.agents, str(new)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)  # no card of the old policy beside the new one
        (folder / WEIGHTS).unlink(missing_ok=True)
        copy_policy(new, folder)
        shutil.copyfile(new / CARD, folder / CARD)
    return f"seed {run['seed']}, the median of {len(seeds)} seeds, {size(folder):,} bytes", True


def _pack(source: Path, folder: Path) -> None:
    """Copy a policy, its arrays compressed; their digest stays the same."""
    copy_policy(source, folder)
    if (folder / WEIGHTS).is_file():
        write_arrays(folder / WEIGHTS, read_arrays(folder / WEIGHTS), compressed=True)


def _card_in(folder: Path) -> dict[str, Any] | None:
    """The card of the checkpoint in a folder; None if there is none that is whole."""
    try:
        found = shipped(folder, folder / CHECKPOINT)
    except FileError:
        return None
    return found.card if found else None


def _card(
    job: ReferenceJob, run: Mapping[str, Any], seeds: Sequence[int], stored: TrainingResults, folder: Path
) -> dict[str, Any]:
    """The card of a checkpoint; see `policies.shipped`."""
    source = stored.sources[run["source"]]
    return signed(
        {
            "learner": job.learner,
            "task": job.task,
            "seed": run["seed"],
            "among": sorted(seeds),
            "reward": run["after"],
            "kept": run["kept"],
            "settings": job.algorithm.settings(),
            "commit": source["commit"],
            "date": source["date"],
            "policy": read_json(folder / CHECKPOINT, {"digest": str}, "trained policy")["digest"],
        }
    )
