"""How fast logs are written, which share of the time is the game, and how much memory it takes.

    python -m benchmarks.speed.logs            # some minutes
    python -m benchmarks.speed.logs --rounds 1 # a quick look

A row is an impression. Overhead is the processor time of `record`, in all threads, from the first tick to the complete
Parquet file, less that of the same episodes without a log, in rows per second of it. Rounds of both alternate, and the
figure is the median with its quartiles. Memory is the largest that a process of its own ever had, for episodes of one
length and of others that are several times as long: the log grows with the length, and memory should not.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import replace
from recsys_env.config.tasks import TASKS
from recsys_env.evaluation import play_episode, record
from recsys_env.evaluation.episodes import begin_episodes

from ..result_files import store

CASES = (  # task, policies, episodes, columns on request
    ("ecommerce-v1", "content", 256, ()),
    ("ecommerce-v1", "epsilon-greedy", 256, ()),
    ("ecommerce-v1", "content", 256, ("candidates",)),
    ("ecommerce-v1", "content", 32, ()),
    ("grocery-v1", "random", 64, ()),
    ("news-v1", "random", 256, ()),
)
LENGTHS = (1, 4, 16)  # of episodes, for memory
MEMORY = ("ecommerce-v1", "random", 64)  # task, policy, episodes


def rows_of(path: Path) -> int:
    """Number of rows of a log."""
    from pyarrow.parquet import ParquetFile

    return int(ParquetFile(path).metadata.num_rows)


def measure(case: tuple[str, str, int, tuple[str, ...]], rounds: int, path: Path) -> dict[str, Any]:
    """Processor seconds of the game and of the log, and rows per second of the overhead."""
    task, policy, episodes, columns = case
    games, logs = [], []
    for _ in range(rounds + 1):  # the first compiles
        envs, team, observations = begin_episodes(task, policy, episodes, 0)
        began = time.process_time()
        play_episode(envs, team, observations)
        games.append(time.process_time() - began)
        began = time.process_time()
        begin_episodes(task, policy, episodes, 0)
        beginning = time.process_time() - began
        began = time.process_time()
        record(task, policy, episodes, 0, out=path, columns=columns)
        logs.append(time.process_time() - began - beginning)
    rows = rows_of(path)
    rates = rows / (np.array(logs[1:]) - np.array(games[1:]))
    low, middle, high = np.quantile(rates, (0.25, 0.5, 0.75)).tolist()
    return {
        "task": task,
        "policies": policy,
        "episodes": episodes,
        "columns": list(columns),
        "rows": rows,
        "game_seconds": float(np.median(games[1:])),
        "log_seconds": float(np.median(logs[1:])),
        "game_share": float(np.median(np.array(games[1:]) / np.array(logs[1:]))),
        "rows_per_second": {"median": middle, "low": low, "high": high},
        "bytes_per_row": path.stat().st_size / rows,
    }


def longest_memory(length: int, path: Path) -> dict[str, Any]:
    """Rows and largest memory of a process that writes a log of episodes that are so many times as long."""
    command = [sys.executable, "-m", "benchmarks.speed.logs", "--write", str(path), "--length", str(length)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    return {"length": length, "rows": rows_of(path), "megabytes": int(found.split()[-1]) / 1024}


def write(path: Path, length: int) -> None:
    """Write a log, and print the largest memory of this process, in kibibytes."""
    task, policy, episodes = MEMORY
    config = TASKS[task]
    record(replace(config, {"horizon": length * config.horizon}), policy, episodes, out=path)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    """Measure everything and store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.write, given.length)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        cases = [measure(case, given.rounds, path) for case in CASES]
        memory = [longest_memory(length, path) for length in LENGTHS]
    for row in cases:
        print(f"{row['task']} {row['policies']} {row['columns']}: {row['rows_per_second']['median']:,.0f} rows/s")
    print(*(f"{row['rows']:,} rows: {row['megabytes']:.0f} MiB" for row in memory), sep="\n")
    store("logs", {"rounds": given.rounds, "memory": list(MEMORY)}, {"cases": cases, "memory": memory})


if __name__ == "__main__":
    main()
