"""Runs trainings as a list of jobs, each in its own process, a few at a time."""

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

from .options import Algorithm

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


class JobsFailed(ValueError):
    """Trainings that failed.

    Attributes:
        jobs: those that failed.
    """

    def __init__(self, jobs: Sequence[Job], out: Path) -> None:
        folders = ", ".join(str(out / job.name) for job in jobs)
        super().__init__(f"{len(jobs)} jobs failed, see {LOG} in {folders}")
        self.jobs = jobs


AnyJob = TypeVar("AnyJob", bound=Job)


def train_all(
    todo: Sequence[AnyJob], out: Path, workers: int, finished: Callable[[AnyJob, Path], None], done: int = 0
) -> None:
    """Train, and report each job when it is finished. Jobs whose library is not installed are left out and named.

    Args:
        out: folder of the jobs' folders.
        workers: jobs at a time, one core each.
        finished: called with a job and its folder, which holds its result.
        done: jobs that were finished before, for the progress bar.

    Raises:
        JobsFailed: jobs that failed, after all others are finished.
    """
    from tqdm import tqdm

    able = [job for job in todo if importlib.util.find_spec(job.algorithm.library)]
    failed = []
    with ThreadPoolExecutor(workers) as pool, tqdm(total=done + len(able), initial=done, unit="job") as bar:
        running = {pool.submit(_train, job, out / job.name): job for job in able}
        for ended in as_completed(running):
            job = running[ended]
            bar.update()
            bar.set_postfix_str(job.name)
            if ended.result():
                failed.append(job)
            else:
                finished(job, out / job.name)
    if missing := sorted({job.algorithm.library for job in todo if job not in able}):
        waiting = len(todo) - len(able)
        print(f"{waiting} jobs wait for {', '.join(missing)}: run the same command in an environment that has it")
    if failed:
        raise JobsFailed(failed, out)


def _train(job: Job, folder: Path) -> int:
    """Run a job in a process of its own; return its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *shlex.split(job.algorithm.command())[1:], "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / LOG).open("w", encoding="utf-8") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode
