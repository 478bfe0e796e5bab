"""Stored results of training: a file for each learner and task, with all of its seeds.

A file holds the learner's name, the settings (`Algorithm.settings`), the sources (date, processor, versions) and the
runs. A run has its seed, command and source (an index among the sources), then what result.json of the run has (see
`train.train`), and its curve. Intervals are {"mean": m, "ci95": half-width}; long lists are rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys_env.files import FileError, read_json, write_json
from recsys_env.provenance import task_digests

from .training import CURVE, RESULT, read_curve

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "training"
DIGITS = 5  # of rewards of single episodes, and of means over few
_MEAN = {"mean": float, "ci95": float}
_FORM = {
    "learner": str,
    "settings": {"algorithm": str, "task": str, "set": [str]},
    "sources": [{"date": str, "processor": str, "versions": {str: str}}],
    "runs": [
        {
            "seed": int,
            "command": str,
            "source": int,
            "before": _MEAN,
            "after": _MEAN,
            "last": _MEAN,
            "gain": _MEAN,
            "kept": str,
            "kept_agent_steps": int,
            "processor_seconds": float,
            "training": {"agent_steps": int, "seconds": float, "environment_share": float},
            "absolute": [float],
            "evaluations": {"agent_steps": [int], "seconds": [float], "individual_reward": [[float]]},
            "curve": {"agent_steps": [int], "episode_reward": [float]},
        }
    ],
}
_OF_SOURCE = ("commit", "date", "processor", "cores", "versions", "torch_threads", "device")
_OF_RUN = ("command", "learners", "before", "after", "last", "gain", "kept", "kept_agent_steps", "processor_seconds")


@dataclass
class TrainingResults:
    """One learner on one task.

    Attributes:
        path: of the file.
        learner: its name.
        settings: of its jobs, all but the seed.
        sources: date, processor and versions of one or several runs.
        runs: by seed.
    """

    path: Path
    learner: str
    settings: dict[str, Any]
    sources: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def seeds(self) -> list[int]:
        return [run["seed"] for run in self.runs]

    def add(self, folder: Path) -> None:
        """Take the result and the curve from the folder of a run, and write the file."""
        result, curve = read_json(folder / RESULT), read_curve(folder / CURVE)
        source = {name: result[name] for name in _OF_SOURCE if name in result}
        if source not in self.sources:
            self.sources.append(source)
        evaluations = result["evaluations"]
        run = {
            "seed": result["seeds"]["training"],
            "source": self.sources.index(source),
            **{name: result[name] for name in (*_OF_RUN, "training")},
            "absolute": _rounded(result["absolute"]),
            "evaluations": {
                "agent_steps": [point["agent_steps"] for point in evaluations],
                "seconds": _rounded(point["seconds"] for point in evaluations),
                "individual_reward": [_rounded(point["individual_reward"]) for point in evaluations],
            },
            "curve": {
                "agent_steps": [point["agent_steps"] for point in curve],
                "episode_reward": _rounded(point["episode_reward"] for point in curve),
            },
        }
        self.runs = sorted([*self.runs, run], key=lambda run: int(run["seed"]))
        self.write()

    def write(self) -> None:
        """Replace the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fields = {name: value for name, value in vars(self).items() if name != "path"}
        write_json(self.path, {**fields, "played": task_digests(self.settings)})


def read(path: Path) -> TrainingResults:
    """Read the results in a file.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    fields = read_json(path, _FORM, "results of a learner")
    results = TrainingResults(path, **{name: fields[name] for name in _FORM})
    for run in results.runs:
        for name in ("curve", "evaluations"):
            lengths = {len(values) for values in run[name].values()}
            if len(lengths) != 1 or 0 in lengths:
                raise FileError(f"{path} holds no results of a learner: seed {run['seed']} has no {name}")
        if not 0 <= run["source"] < len(results.sources):
            raise FileError(f"{path} is damaged: it does not say where seed {run['seed']} comes from")
    return results


def read_folder(folder: Path) -> list[TrainingResults]:
    """Read all results in a folder, in the order of their names."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def marl_eval(found: Iterable[TrainingResults]) -> dict[str, Any]:
    """Convert results to the form that marl-eval reads (Gorsane et al. 2022).

    marl-eval needs the same number of runs of each learner on each task, so only the seeds that all of them have are
    kept. It also needs the same learners on all tasks, which the caller has to choose.

    Returns:
        environment -> task -> learner -> "seed_s" -> "step_k" (step_count in agent-steps, elapsed_time in seconds,
        "return": individual reward per learner of each episode) and, last, "absolute_metrics".

    Raises:
        ValueError: there is no seed that all have.
    """
    with_runs = [results for results in found if results.runs]
    common = set.intersection(*(set(results.seeds()) for results in with_runs)) if with_runs else set()
    if not common:
        raise ValueError(f"{len(with_runs)} results of learners have no seed in common")
    tasks: dict[str, Any] = {}
    for results in with_runs:
        runs = {f"seed_{run['seed']}": _marl_eval_run(run) for run in results.runs if run["seed"] in common}
        task = ",".join([results.settings["task"], *results.settings["set"]])
        tasks.setdefault(task, {})[results.learner] = runs
    return {"recsys": tasks}


def _marl_eval_run(run: Mapping[str, Any]) -> dict[str, Any]:
    names = ("agent_steps", "seconds", "individual_reward")
    points = zip(*(run["evaluations"][name] for name in names), strict=True)
    steps = {
        f"step_{k}": {"step_count": steps, "elapsed_time": seconds, "return": own}
        for k, (steps, seconds, own) in enumerate(points)
    }
    return {**steps, "absolute_metrics": {"return": run["absolute"]}}


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
