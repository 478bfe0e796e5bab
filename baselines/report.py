"""From results to what people read: stores them, draws them and writes the README's tables.

    python -m baselines plot --evaluation runs/evaluation --tournament runs/tournament --training
    baselines/results/training --curves runs/ippo-duel-v0-*

takes results into baselines/results, draws every stored one, and writes the README's tables and
baselines/results/README.md, whose tables are longer. Nothing in them is typed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import cli
from recsys_env.evaluation.forms import read_curve, read_result
from recsys_env.evaluation.metrics import METRICS
from recsys_env.evaluation.plots import draw_curves, draw_payoffs, draw_scores
from recsys_env.evaluation.runs import file_name, learner_of, load
from recsys_env.evaluation.statistics import common_curve, interval, merged, summary
from recsys_env.evaluation.tables import (
    CROSS_PLAY,
    RANKING,
    aggregate_rows,
    arrow,
    bracketed,
    brief,
    cross_play_rows,
    learning_teams,
    marked,
    normalised,
    payoff_rows,
    ranking_rows,
    spread,
)
from recsys_env.files import write_json

from .algorithms import ALGORITHMS
from .claims import claims, verdict

RESULTS = Path(__file__).parent / "results"
SHOWN = (
    "page_ctr",
    "revenue",
    "ndcg",
    "diversity",
    "coverage",
    "visit_gap",
    "satisfaction",
)  # the metrics of the README's tables


def plot(
    evaluation: Path | None = None,
    tournament: Path | None = None,
    training: Path | None = None,
    curves: tuple[Path, ...] = (),
    results: Path = RESULTS,
) -> None:
    """Draw the stored results and write the README's tables.

    Args:
        evaluation: folder of an evaluation, of which all runs are summed up and stored first, beside the policies that
            are stored already.
        tournament: folder of a tournament, whose tasks are stored first, in place of what is stored of them already.
        training: folder of the reference learners' results (`python -m baselines reference`), summed up first.
        curves: folders of training runs with a curve.json, stored first; those that differ only in a last number are
            seeds of one learner.
        results: where results are stored and plots are drawn; the README is only written from baselines/results.
    """
    cli.require("evaluate", "matplotlib", "rliable")
    try:
        stored = {path.stem: read_result(path) for path in sorted(results.glob("*.json"))}
        found = _found(stored, evaluation, tournament, training, curves)
    except (ValueError, ImportError) as error:
        cli.fail(error)
    results.mkdir(parents=True, exist_ok=True)
    for name, result in found.items():
        write_json(results / f"{name}.json", result, indent=1)
    stored = dict(sorted({**stored, **found}.items()))
    for task, result in stored.get("evaluation", {"tasks": {}})["tasks"].items():
        draw_scores(task, result, results / f"scores-{file_name(task)}.png")
    for task, result in stored.get("tournament", {}).items():
        draw_payoffs(task, result, results / f"payoffs-{file_name(task)}.png")
    if "curves" in stored:
        draw_curves("learning curves", stored["curves"], results / "curves.png")
    for task, curves_of_task in curves_by_task(stored.get("training", {"learners": {}})).items():
        draw_curves(task, curves_of_task, results / f"curves-{task}.png")
    if results.resolve() == RESULTS.resolve():
        write_readme(stored)
    print(f"{', '.join(stored) or 'nothing'} in {results}")


def _found(
    stored: Mapping[str, Any],
    evaluation: Path | None,
    tournament: Path | None,
    training: Path | None,
    curves: Sequence[Path],
) -> dict[str, Any]:
    """What is to be stored, beside what is already: name of the file -> its content. See `plot`.

    Raises:
        ValueError: a folder does not hold what it should, or what cannot be compared with what is stored.
        ImportError: a missing library that trains.
    """
    found: dict[str, Any] = {}
    if evaluation is not None:
        if (evaluation / "tournament.json").is_file():
            raise ValueError(f"{evaluation} is the folder of a tournament, not of an evaluation")
        if not (runs := list(load(evaluation))):
            raise ValueError(f"{evaluation} holds no runs of an evaluation")
        summed = summary(runs)
        found["evaluation"] = merged(stored["evaluation"], summed) if "evaluation" in stored else summed
    if tournament is not None:
        if not (file := tournament / "tournament.json").is_file():
            raise ValueError(f"{tournament} holds no tournament.json of a tournament")
        found["tournament"] = {**stored.get("tournament", {}), **read_result(file)}
    if training is not None:
        from .reference import training_summary  # needs the libraries that train

        found["training"] = training_summary(training)
        if not found["training"]["learners"]:
            raise ValueError(f"{training} holds no results of reference learners")
    if curves:
        found["curves"] = learning_curves(curves)
    return found


def learning_curves(folders: Sequence[Path]) -> dict[str, Any]:
    """Learner -> `common_curve` of its seeds (`learner_of`).

    Raises:
        ValueError: a folder without a curve.
    """
    runs: dict[str, list[list[dict[str, float]]]] = {}
    for folder in folders:
        if not (file := folder / "curve.json").is_file():
            raise ValueError(f"{folder} holds no curve.json of a training run")
        runs.setdefault(learner_of(folder.name), []).append(read_curve(file))
    return {learner: common_curve(seeds) for learner, seeds in runs.items()}


def curves_by_task(training: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Task -> learner -> `common_curve`, of a summary of the reference learners."""
    curves: dict[str, dict[str, Any]] = {}
    for name, learner in training["learners"].items():
        for task, row in learner["tasks"].items():
            curves.setdefault(task, {})[name] = row["curve"]
    return curves


# ------------------------------------------------------------------------------------------------ the README


def write_readme(stored: Mapping[str, Any], details: Path = RESULTS / "README.md") -> None:
    """Put the tables between their markers, and every number into `details`; only in a checkout, where the README and
    its writer are."""
    from benchmarks.readme import table, write_sections

    metrics = table(
        ["metric", "definition", "unit", "better", "source"],
        [
            [f"`{name}`", m.definition.replace("|", "\\|"), m.unit, m.better or "neither", m.source]
            for name, m in METRICS.items()
        ],
    )
    made = {"metrics": metrics}
    parts = ["# Reference results", "Written by `python -m baselines plot` from the JSON files beside this one."]
    if "evaluation" in stored:
        made["evaluation"] = _leaderboard(stored["evaluation"], table)
        parts += ["## Policies", _evaluation_section(stored["evaluation"], table)]
    if "training" in stored:
        made |= {
            "learners": _learners(stored["training"], stored.get("evaluation"), table),
            "algorithms": _algorithms(stored["training"], table),
        }
        parts += ["## Learning algorithms", _training_section(stored["training"], table)]
    if "evaluation" in stored and "training" in stored:
        parts += ["## What we hoped to see", _claims_section(stored["evaluation"], stored["training"], table)]
    if "tournament" in stored:
        made["tournament"] = _tournament_section(stored["tournament"], table)
    write_sections(made)
    details.write_text("\n\n".join(parts) + "\n")


def _from(origin: Mapping[str, Any], name: str) -> str:
    commands = origin["command"]
    said = f"`{commands[0]}`" if len(commands) == 1 else f"{len(commands)} commands, in the raw file"
    return f"{said}, {', '.join(origin['processor'])}, {origin['date'][-1]}; raw: `baselines/results/{name}.json`."


def _picture(name: str) -> list[str]:
    """A picture of baselines/results, if it was drawn."""
    return [f"![{name}]({name}.png)"] if (RESULTS / f"{name}.png").is_file() else []


def _leaderboard(report: Mapping[str, Any], table: Any) -> str:
    """Normalised scores, a column for each task, the teams by the IQM over all tasks, those that did not play all of
    them last."""
    tasks, over = report["tasks"], report["aggregate"]["teams"]
    teams = [
        *over,
        *(
            team
            for team in dict.fromkeys(team for task in tasks.values() for team in task["teams"])
            if team not in over
        ),
    ]
    learns, rows = learning_teams(report), []
    for team in teams:
        scores = [normalised(task["teams"][team], 0) if team in task["teams"] else "" for task in tasks.values()]
        rows.append(
            [f"`{marked(team, team in learns)}`", *scores, bracketed(over[team]["iqm"], 0) if team in over else ""]
        )
    first = next(iter(tasks.values()))
    runs = max(len(row["seeds"]) for task in tasks.values() for row in task["teams"].values())
    note = (
        f"Normalised scores (random 0, greedy 100; in `duel-v0` greedy 0, planner 100), {runs} runs of {first['episodes']} episodes, ± 95 % (t over runs), and "
        f"their interquartile mean over the tasks [95 % bootstrap]; * learns while it serves. {_from(report['origin'], 'evaluation')} "
        "Rewards, metrics and plots: [baselines/results](baselines/results/README.md)."
    )
    return f"{note}\n\n{table(['policy', *(f'`{task}`' for task in tasks), 'IQM'], rows)}"


def _learners(report: Mapping[str, Any], evaluation: Mapping[str, Any] | None, table: Any) -> str:
    """What each learner learns from and plays, its budget, and its normalised scores, a column for each task; and what
    `blind` scores there."""
    tasks = list(dict.fromkeys(task for learner in report["learners"].values() for task in learner["tasks"]))
    rows = []
    for name, learner in report["learners"].items():
        settings, steps = learner["settings"], next(iter(learner["tasks"].values()))["agent_steps"]
        reward = {None: "task's", 0.0: "own", 1.0: "team's"}[settings.get("sharing")]
        variant = _variant(settings, ALGORITHMS[learner["algorithm"]].query)
        scores = [spread(learner["tasks"][task]["score"], 0) if task in learner["tasks"] else "" for task in tasks]
        rows.append([f"`{name}`", reward, variant, f"{steps / 1e6:.1f} M", *scores])
    if evaluation is not None:
        played = {task: evaluation["tasks"][task]["teams"] for task in tasks if task in evaluation["tasks"]}
        scores = [normalised(played[task]["blind"], 0) if "blind" in played.get(task, ()) else "" for task in tasks]
        rows.insert(0, ["`blind`", "", "looks at nothing: the first K candidates", "", *scores])
    note = f"Normalised scores, against random and greedy (in `duel-v0` greedy and planner) in the variant that the learner plays, ± 95 % (t over training seeds; of `blind` as in the table of policies). Rows differ in more than the algorithm: in the reward that they learn from (the task's is each agent's own, in `journey-v0` the team's), the variant, and the budget. {_from(report['origin'], 'training')} All numbers: [baselines/results](baselines/results/README.md)."
    return f"{note}\n\n{table(['learner', 'reward', 'variant', 'agent-steps', *(f'`{task}`' for task in tasks)], rows)}"


def _variant(settings: Mapping[str, Any], query: str) -> str:
    """How the task that a learner plays differs from the task by its name."""
    queries, seen = (
        "" if query == "never" else "queries",
        "latent visitor in sight" if settings.get("observability") == "full" else "",
    )
    return ", ".join(word for word in (queries, seen, *settings.get("set", ())) if word)


def _algorithms(report: Mapping[str, Any], table: Any) -> str:
    """What can be trained, and what the reference runs on `ecommerce-v0` gained."""
    rows = []
    for name, algorithm in ALGORITHMS.items():
        row = report["learners"].get(name, {"tasks": {}})["tasks"].get("ecommerce-v0")
        measured = [""] * 6
        if row:
            speed = f"{row['agent_steps'] / row['seconds']:,.0f}"
            measured = [
                f"{np.mean(row['runs']['random']):.2f}",
                f"{row['untrained']['mean']:.2f}",
                spread(row["reward"]),
                f"{row['agent_steps'] / 1e6:.1f} M",
                speed,
                f"{row['environment_share']:.0%}",
            ]
        rows.append(
            [f"`{name}`", algorithm.about, f"`{algorithm.extra}`: {algorithm.library.replace('_', '-')}", *measured]
        )
    note = (
        "Own reward per learner and episode of `ecommerce-v0` in the reference runs: random play of the same kind of action, the untrained network's first choices, the trained one's, ± 95 % (t over training seeds). "
        "The rest of the time, beside the share inside the environment, is the library's own loop. Several runs shared the machine, each on one thread, so the speeds are lower bounds. "
        f"{_from(report['origin'], 'training')}"
    )
    head = [
        "algorithm",
        "what it is",
        "extra: library",
        "random",
        "untrained",
        "trained",
        "agent-steps",
        "agent-steps/s",
        "inside the environment",
    ]
    return f"{note}\n\n{table(head, rows)}"


def _training_section(report: Mapping[str, Any], table: Any) -> str:
    """Every learner on every task, with what it gained."""
    rows = []
    for name, learner in report["learners"].items():
        for task, row in learner["tasks"].items():
            between = spread(row["dilemma"]) if "dilemma" in row else ""
            content = spread(interval(np.array(row["runs"]["content"]))) if "content" in row["runs"] else ""
            cost = [f"{row['agent_steps'] / 1e6:.1f} M", f"{row['seconds'] / 60:.1f}"]
            rows.append(
                [
                    f"`{name}`",
                    f"`{task}`",
                    str(len(row["seeds"])),
                    spread(row["reward"]),
                    spread(row["another_seed"]),
                    spread(row["gain"]),
                    spread(row["score"], 1),
                    content,
                    between,
                    *cost,
                ]
            )
    note = (
        "Own reward per learner and episode on seeds never trained on, the interval that holds the reward of one more training seed, gain over the untrained network, normalised score, what `content` earns in the same variant of the "
        f"task, and for selfish learners where they stand between all myopic (0) and all planners (1); ± 95 % (t over training seeds). {_from(report['origin'], 'training')}"
    )
    head = [
        "learner",
        "task",
        "seeds",
        "reward",
        "another seed",
        "gain",
        "score",
        "content",
        "between P and R",
        "agent-steps",
        "minutes",
    ]
    plots = [picture for task in curves_by_task(report) for picture in _picture(f"curves-{task}")]
    return "\n\n".join([note, table(head, rows), *plots])


def _claims_section(evaluation: Mapping[str, Any], training: Mapping[str, Any], table: Any) -> str:
    """Each claim, how often it holds, and the differences it rests on."""
    rows = [
        [
            claim,
            verdict(found),
            ", ".join(
                f"`{task}` {'+' * ((difference['mean'] or 0) > 0)}{spread(difference)}"
                for task, difference in found.items()
            ),
        ]
        for claim, found in claims(evaluation, training)
    ]
    return (
        "Differences of own reward per agent and episode, paired by seed, ± 95 % (none: a single seed, which decides nothing). The best of several is the best on the same runs, so it leads by a little luck too.\n\n"
        + table(["claim", "tasks", "difference"], rows)
    )


def _evaluation_section(report: Mapping[str, Any], table: Any) -> str:
    parts = [
        f"Means with 95 % intervals over the runs; * learns while it serves. {_from(report['origin'], 'evaluation')}"
    ]
    for name, task in report["tasks"].items():
        shown = [
            metric
            for metric in SHOWN
            if any(row["metrics"].get(metric, {}).get("platform") for row in task["teams"].values())
        ]
        rows = []
        for team, row in task["teams"].items():
            values = [row["metrics"].get(metric, {}).get("platform") for metric in shown]
            rows.append(
                [
                    f"`{marked(team, row['learns'])}`",
                    spread(row),
                    normalised(row),
                    *(spread(value) if value else "—" for value in values),
                ]
            )
        low, high = task["ends"]
        runs = max(len(row["seeds"]) for row in task["teams"].values())
        parts.append(f"`{name}`, {runs} runs of {task['episodes']} episodes:")
        parts.append(table(["policy", "own reward", f"0 = {low}, 100 = {high}", *map(arrow, shown)], rows))
        parts.extend(_picture(f"scores-{file_name(name)}"))
    if len(report["tasks"]) > 1 and report["aggregate"]["teams"]:
        parts.append("All tasks, normalised scores [95 % bootstrap of the runs; the tasks stay the same]:")
        parts.append(table(["policy", "IQM", "mean", "P(better than the next)"], aggregate_rows(report)))
    return "\n\n".join(parts + _picture("curves"))


def _tournament_section(report: Mapping[str, Any], table: Any) -> str:
    parts = []
    for name, result in report.items():
        what = (
            "team reward per agent, the row's policy in one seat, the column's in the others"
            if result["cooperative"]
            else "own reward of the row's policy against the column's"
        )
        parts.append(
            f"`{name}`, {len(result['seeds'])} runs of {result['episodes']} episodes: {what}. {_from(result['origin'], 'tournament')}"
        )
        parts.append(table(["", *map(brief, result["payoff"])], payoff_rows(result)))
        parts.append(
            table(CROSS_PLAY, cross_play_rows(result))
            if result["cooperative"]
            else table(RANKING, ranking_rows(result))
        )
        parts += [f"![{name}](baselines/results/payoffs-{file_name(name)}.png)"]
    return "\n\n".join(parts)


if __name__ == "__main__":
    cli.run(plot, "baselines.report")
