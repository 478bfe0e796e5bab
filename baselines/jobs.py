"""Runs trainings as a list of jobs, each in its own process, a few at a time.

A job whose folder holds its result is not trained again, so that a list goes on after an interruption.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from recsys_env import cli
from recsys_env.files import read_json
from recsys_env.policies import CHECKPOINT

from .options import Algorithm
from .training import RESULT

LOG = "log.txt"  # in the folder of a job: what its process printed


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        name: of its folder.
        algorithm: with its options.
    """

    name: str
    algorithm: Algorithm

    def is_done(self, out: Path) -> bool:
        """Whether its folder holds the policy and the result of a run with its settings.

        Args:
            out: folder of the jobs' folders.

        Raises:
            FileError: a damaged result.
        """
        result = out / self.name / RESULT
        if not (result.is_file() and (out / self.name / CHECKPOINT).is_file()):
            return False
        settings = read_json(result, {"settings": {str: object}}, "result of a run")["settings"]
        return self.algorithm.has_settings(settings)


AnyJob = TypeVar("AnyJob", bound=Job)


def train_all(jobs: Sequence[AnyJob], out: Path, workers: int, finished: Callable[[AnyJob, Path], None]) -> None:
    """Train, and report each job when it is finished. Jobs whose library is not installed are left out and named.

    Args:
        out: folder of the jobs' folders.
        workers: jobs at a time, one core each.
        finished: called with a job and its folder, which holds its result.

    Raises:
        ValueError: jobs that failed, after all others are finished.
    """
    able = [job for job in jobs if importlib.util.find_spec(job.algorithm.library)]
    failed = []
    with ThreadPoolExecutor(workers) as pool, cli.Progress(len(able), "job") as bar:
        running = {pool.submit(_train, job, out): job for job in able}
        for number, ended in enumerate(as_completed(running), 1):
            job = running[ended]
            bar.show(number, job.name)
            if ended.result():
                failed.append(str(out / job.name))
            else:
                finished(job, out / job.name)
    if missing := sorted({job.algorithm.library for job in jobs if job not in able}):
        waiting = len(jobs) - len(able)
        print(f"{waiting} jobs wait for {', '.join(missing)}: run the same command in an environment that has it")
    if failed:
        raise ValueError(f"{len(failed)} jobs failed, see {LOG} in {', '.join(failed)}")


def _train(job: Job, out: Path) -> int:
    """Run a job unless it is done; return its exit code."""
    return 0 if job.is_done(out) else _run(job, out / job.name)


def _run(job: Job, folder: Path) -> int:
    """Run a job in a process of its own; return its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *shlex.split(job.algorithm.command())[1:], "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / LOG).open("w", encoding="utf-8") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode
