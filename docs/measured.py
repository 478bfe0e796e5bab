"""The stored results (benchmarks/results), and where they come from.

`NotMeasured` is raised for a result that is missing; its message is the command that measures it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks
from baselines.comparison import Comparison
from baselines.learners import SEEDS, SHORT_RUNS
from baselines.reference import comparisons as compare_learners
from baselines.reference import training_summary
from benchmarks.ages import AWAITED
from benchmarks.result_files import RESULTS
from recsys_env import cli
from recsys_env.evaluation.statistics import rescaled, scale_ends
from recsys_env.evaluation.stored import read_result
from recsys_env.evaluation.tables import spread
from recsys_env.files import read_json
from recsys_env.policies import ORACLES

_SHORT = {learner.name for learner in SHORT_RUNS}
FEWEST_SEEDS = SEEDS  # of a learner on a task, of which fewer are not shown

BENCHMARKS = Path(benchmarks.__file__).parent
RENAMED = {"speed": "step", "compatibility": "table"}  # modules whose own names have changed as well
EVALUATE = "`python -m recsys_env evaluate --out FOLDER` and `python -m benchmarks.take_in FOLDER`"
MEASURED_BY = {  # result -> the command, where no module of the benchmarks has the name of the result
    "evaluation": EVALUATE,
    "tournament": EVALUATE.replace("evaluate", "tournament"),
    "training": "`python -m baselines reference`",
    "sweep": "`python -m baselines sweep`",
    "robustness": "`python -m baselines robustness`",
    "tuning": "`python -m baselines language --model smollm2 --task grocery-v1 --out FOLDER`",
    "ray": "`python -m baselines cluster --out benchmarks/results/ray-two-nodes.json`",
}


class NotMeasured(Exception):
    """This result is not stored."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Not measured yet: {measured_by(name)}.")


def measured_by(name: str) -> str:
    """The command that measures a result; what follows a hyphen in its name, such as a task, makes no difference."""
    kind = name.partition("-")[0]
    if kind in MEASURED_BY:
        return MEASURED_BY[kind]
    return f"`python -m {module_of(kind)}`"


def module_of(name: str) -> str:
    """The module of benchmarks/ that measures a result of this name, wherever it lies; empty if there is none."""
    path = next(BENCHMARKS.rglob(f"{RENAMED.get(name, name)}.py"), None)
    return ".".join(path.relative_to(BENCHMARKS.parent).with_suffix("").parts) if path else ""


def if_measured(section: Callable[[], str]) -> str:
    """The section, or the command that measures its results where these are missing."""
    try:
        return section()
    except NotMeasured as missing:
        return str(missing)


def section(means: str, *shown: str, how: str) -> str:
    """A result on the site: what it means, in a sentence; its tables and plots; then, in smaller type, how it was
    measured and where the numbers are."""
    return "\n\n".join([means, *shown, f"{{.how}}\n{how}"])


def leaders(rewards: Mapping[str, float]) -> dict[str, str]:
    """The best untrained policy that uses observations only, and the best that knows more, in words -> its name; a kind
    that nothing belongs to is left out."""
    kinds = {
        "the best untrained policy that uses observations only": rewards.keys() - ORACLES.keys(),
        "the best oracle": rewards.keys() & ORACLES.keys(),
    }
    return {who: max(sorted(of), key=lambda name: rewards[name]) for who, of in kinds.items() if of}


def who_earns_most(rewards: Mapping[str, Mapping[str, Any]], where: str = "") -> str:
    """Which of these rewards with intervals is the highest, and which intervals overlap with its: words of a sentence.

    Args:
        where: words behind "earns the most".
    """
    best = max(rewards, key=lambda name: rewards[name]["mean"])
    near = [f"`{name}`" for name in rewards if name != best and not earns_more(rewards[best], rewards[name])]
    overlap = f" (intervals that overlap: {', '.join(near)})" if near else ""
    return f"`{best}` earns the most{where}, {spread(rewards[best])}{overlap}"


def folded(title: str, text: str) -> str:
    """A part of a page that opens on a click."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


@cache
def stored(name: str) -> Any:
    """The content of benchmarks/results/<name>.json; scores are on the scales that the tasks have now.

    Raises:
        NotMeasured: there is none.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise NotMeasured(name)
    if name == "evaluation":
        return rescaled(read_result(path))
    return read_result(path) if name == "tournament" else read_json(path)


def files(pattern: str) -> list[Path]:
    """The stored files whose names match a pattern."""
    return sorted(RESULTS.glob(pattern))


def played() -> dict[str, Any]:
    """The tasks of the stored evaluation; empty if there is none."""
    try:
        return stored("evaluation")["tasks"]  # type: ignore[no-any-return]
    except NotMeasured:
        return {}


def rewards_of_seeds(runs: Mapping[str, Any]) -> np.ndarray:
    """Individual reward [seeds], on average over episodes and agents, of the stored trainings of a study by seed."""
    return np.array([np.mean(run["individual_reward"]) for run in runs.values()])


@cache
def trained() -> dict[str, Any]:
    """The results of the reference learners of any budget, on the tasks where `FEWEST_SEEDS` or more have been trained;
    there may be none."""
    found = training_summary(RESULTS / "training")
    for learner in found["learners"].values():
        rows = learner["tasks"].items()
        learner["tasks"] = {task: row for task, row in rows if len(row["seeds"]) >= FEWEST_SEEDS}
    return {**found, "learners": {name: learner for name, learner in found["learners"].items() if learner["tasks"]}}


def training(short: bool = False) -> dict[str, Any]:
    """`trained`, with the learners of the whole budget alone.

    Args:
        short: with those of the smaller budget in their place.
    """
    learners = {name: of for name, of in trained()["learners"].items() if (name in _SHORT) == short}
    return {**trained(), "learners": learners}


@cache
def comparisons() -> list[Comparison]:
    """The learners of each library compared on each task; there may be none."""
    return compare_learners(trained())


@cache
def evidence(task: str) -> dict[str, Any]:
    """The evidence card of a task (`benchmarks.studies.evidence`); empty if there is none."""
    path = RESULTS / "evidence" / f"{task}.json"
    return read_json(path) if path.is_file() else {}  # type: ignore[no-any-return]


def distances(task: str) -> dict[str, Any]:
    """Where learners end in a finite game (`benchmarks.studies.distances`); empty if it was not measured."""
    try:
        return stored("distances")["tasks"].get(task, {})  # type: ignore[no-any-return]
    except NotMeasured:
        return {}


def earned(task: str) -> dict[str, float]:
    """Individual reward per agent and episode of each policy that was measured on a task: in the evaluation, else on
    the evidence card."""
    rows = played()[task]["teams"] if task in played() else evidence(task).get("rows", {})
    return {policy: row["mean"] for policy, row in rows.items() if "mean" in row}


def placed(task: str, rewards: Sequence[float | None]) -> list[float]:
    """These rewards on the scale of a task, without those that are missing; none where its ends are not measured or
    earn the same."""
    low, high = (earned(task).get(end, np.nan) for end in scale_ends(cli.config_of(task)))
    return [100 * (reward - low) / (high - low) for reward in rewards if reward is not None] if high > low else []


def picture(path: Path, title: str) -> str:
    """Markdown of a plot, by its path in the documentation's source."""
    return f"![{title}](/{path.resolve().relative_to(Path(__file__).resolve().parent)})"


def whence(origin: Mapping[str, Any], name: str) -> str:
    """One line on the origin of a table: command, processor, date and raw file. The values of `origin` are strings, or
    lists where several runs made the table."""
    said = {
        key: [value] if isinstance(value := origin[key], str) else value for key in ("command", "processor", "date")
    }
    commands = [as_today(command) for command in said["command"]]
    command = f"`{commands[0]}`" if len(commands) == 1 else f"Made by {len(commands)} commands (the raw file has them)"
    cores = f", {origin['cores']} cores" if "cores" in origin else ""
    return f"{command}, {', '.join(said['processor'])}{cores}, {said['date'][-1]}; {_raw(name)}"


def _raw(name: str) -> str:
    """Where a raw result is, and whether it is older than the code that it is about."""
    older = " The code that it measures has changed since." if Path(name).stem in AWAITED else ""
    return f"raw: `benchmarks/results/{name}`.{older}"


def as_today(command: str) -> str:
    """A stored command with the name that its module has now and without the folder that it kept, so that it can be run
    again anywhere."""
    command = re.sub(r" --keep \S+", "", command)
    return re.sub(r"\bbenchmarks\.(\w+)(?=\s|$)", lambda found: module_of(found[1]) or found[0], command)


def whence_rows(rows: Mapping[str, Any], name: str) -> str:
    """The same for a table whose rows have sources of their own."""
    sources: dict[str, list[str]] = {}
    for row, value in rows.items():
        sources.setdefault(whence(value["source"], name).partition("; raw:")[0], []).append(f"`{row}`")
    said = [source + (f" ({', '.join(of)})" if len(sources) > 1 else "") for source, of in sources.items()]
    return f"{'; '.join(said)}; {_raw(name)}"


def origin_of(sources: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """All commands, processors and dates of some results, for `whence`."""
    found = list(sources)
    return {key: sorted({source[key] for source in found}) for key in ("command", "processor", "date")}


def union(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """All commands, processors and dates of some rows' origins."""
    found = [row["origin"] for row in rows]
    return {
        key: sorted({value for origin in found for value in origin[key]}) for key in ("command", "processor", "date")
    }


def reward_beside_others(result: Mapping[str, Any], policy: str) -> float:
    """A policy's individual reward, on average beside the others that the study of kinds names."""
    beside, others = result["rows"][policy]["beside"], result["settings"]["beside"]
    return sum(float(beside[other]["individual_reward"]["mean"]) for other in others) / len(others)


def percent(value: Mapping[str, float], digits: int = 1) -> str:
    """A share in per cent, with its interval unless it is of a single sample."""
    width = "" if value["ci95"] is None else f" ± {value['ci95']:.{digits}%}"
    return f"{value['mean']:.{digits}%}{width}"


def earns_more(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one mean is higher than another beyond both intervals; none is, beyond an interval of unknown width."""
    if None in (one["ci95"], other["ci95"]):
        return False
    return bool(one["mean"] - one["ci95"] > other["mean"] + other["ci95"])


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: with commas, and "and" before the last."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def of_tasks(name: str) -> list[Any]:
    """The stored results of a measure that has a file for each task.

    Raises:
        NotMeasured: nothing.
    """
    return [stored(path.stem) for path in files(f"{name}-*.json")] or [stored(name)]
