"""The stored results (benchmarks/results), without what was played on tasks that play something else today.

`NotMeasured` is raised for a result that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from baselines.comparison import Comparison
from baselines.learners import SEEDS, SHORT_RUNS
from baselines.reference import comparisons as compare_learners
from baselines.reference import training_summary
from benchmarks.result_files import RESULTS, current, outdated
from recsys_env import cli
from recsys_env.evaluation.statistics import rescaled, scale_ends
from recsys_env.evaluation.stored import read_result
from recsys_env.evaluation.tables import spread
from recsys_env.files import read_json
from recsys_env.policies import ORACLES

_SHORT = {learner.name for learner in SHORT_RUNS}
FEWEST_SEEDS = SEEDS  # of a learner on a task, of which fewer are not shown


class NotMeasured(Exception):
    """This result is not stored."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Not measured yet: `{name}`.")


def if_measured(section: Callable[[], str]) -> str:
    """The section, or what is missing."""
    try:
        return section()
    except NotMeasured as missing:
        return str(missing)


def section(*shown: str, how: str) -> str:
    """A result on the site: its sentences, tables and plots; then, in smaller type, how it was measured."""
    return "\n\n".join([*filter(None, shown), f"{{.how}}\n{how}"])


def folded(title: str, text: str) -> str:
    """A part of a page that opens on a click."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def picture(path: Path, title: str) -> str:
    """Markdown of a plot, by its path in the documentation's source."""
    return f"![{title}](/{path.resolve().relative_to(Path(__file__).resolve().parent)})"


# ------------------------------------------------------------------------------------------------ reading


@cache
def raw(name: str) -> Any:
    """The content of benchmarks/results/<name>.json, as it is stored."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise NotMeasured(name)
    return read_result(path) if name in ("evaluation", "tournament") else read_json(path)


@cache
def stored(name: str) -> Any:
    """A result without the rows of tasks that play something else today; scores are on the scales that tasks have now.

    Raises:
        NotMeasured: there is none, or nothing of it is left.
    """
    result = current(raw(name))
    if not result:
        raise NotMeasured(name)
    return rescaled(result) if name == "evaluation" else result


def foot(name: str) -> str:
    """One line below a table: the commands, the processors and the date of its result, the raw file, and which tasks
    are left out because they have changed."""
    sources = list(_sources(raw(name)))
    commands = _all(sources, "command")
    said = f"`{commands[0]}`" if len(commands) == 1 else f"{len(commands)} commands" if commands else "Training"
    where = f"{said}, {', '.join(_all(sources, 'processor'))}, {_all(sources, 'date')[-1]}; "
    gone = sorted({task for source in [raw(name), *sources] for task in outdated(source)})
    left_out = f" Left out, because the task has changed: {', '.join(f'`{task}`' for task in gone)}." if gone else ""
    return f"{where}raw: `benchmarks/results/{name}.json`.{left_out}"


def _sources(value: Any) -> Iterable[Mapping[str, Any]]:
    """Everything inside a result that says where it comes from."""
    if isinstance(value, dict):
        if "processor" in value:
            yield value
        for inside in value.values():
            yield from _sources(inside)
    if isinstance(value, list):
        for inside in value:
            yield from _sources(inside)


def _all(sources: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    found = (source.get(key, []) for source in sources)
    return sorted({value for of in found for value in ([of] if isinstance(of, str) else of)})


def files(pattern: str) -> list[Path]:
    """The stored files whose names match a pattern."""
    return sorted(RESULTS.glob(pattern))


def played() -> dict[str, Any]:
    """The tasks of the stored evaluation; empty if there is none."""
    try:
        return stored("evaluation")["tasks"]  # type: ignore[no-any-return]
    except NotMeasured:
        return {}


@cache
def training() -> dict[str, Any]:
    """The results of the reference learners of the whole budget, on the tasks where `FEWEST_SEEDS` or more have been
    trained and that play the same today; there may be none."""
    found = training_summary(RESULTS / "training")
    learners = {}
    for name, learner in found["learners"].items():
        rows = {
            task: row
            for task, row in learner["tasks"].items()
            if len(row["seeds"]) >= FEWEST_SEEDS and task not in changed()
        }
        if rows and name not in _SHORT:
            learners[name] = {**learner, "tasks": rows}
    return {**found, "learners": learners}


@cache
def changed() -> set[str]:
    """The tasks of trainings that play something else today."""
    return {task for path in files("training/*.json") for task in outdated(read_json(path))}


def foot_of_training() -> str:
    """The same as `foot` for the trainings."""
    origin = training()["origin"]
    gone = f" Left out, because the task has changed: {', '.join(sorted(changed()))}." if changed() else ""
    return f"{', '.join(origin['processor'])}, {origin['date'][-1]}; raw: `benchmarks/results/training/`.{gone}"


@cache
def comparisons() -> list[Comparison]:
    """The learners of each library compared on each task; there may be none."""
    return compare_learners(training())


@cache
def evidence(task: str) -> dict[str, Any]:
    """The evidence card of a task (`benchmarks.studies.evidence`); empty if there is none."""
    path = RESULTS / "evidence" / f"{task}.json"
    return current(read_json(path)) if path.is_file() else {}  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ numbers


def rewards_of_seeds(runs: Mapping[str, Any]) -> np.ndarray:
    """Individual reward [seeds], on average over episodes and agents, of the stored trainings of a study by seed."""
    return np.array([np.mean(run["individual_reward"]) for run in runs.values()])


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


def leaders(rewards: Mapping[str, float]) -> dict[str, str]:
    """The best untrained policy that uses observations only, and the best that knows more, in words -> its name; a kind
    that nothing belongs to is left out."""
    kinds = {
        "the best untrained policy that uses observations only": rewards.keys() - ORACLES.keys(),
        "the best oracle": rewards.keys() & ORACLES.keys(),
    }
    return {who: max(sorted(of), key=lambda name: rewards[name]) for who, of in kinds.items() if of}


def best(rewards: Mapping[str, Mapping[str, Any]]) -> str:
    """The name with the highest of these rewards, and the reward."""
    name = max(rewards, key=lambda name: float(rewards[name]["mean"]))
    return f"`{name}` ({spread(rewards[name])})"
