"""Results as rows of text, for the terminal and the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config.tasks import SUITES
from .metrics import METRICS
from .statistics import interval

RANKING = ("policy", "reward against the others", "alpha-rank")
CROSS_PLAY = ("among", "each with itself", "mixed", "gap")


def spread(value: Mapping[str, float | None], digits: int = 2) -> str:
    """Format a stored interval as mean ±half-width; a dash if there is no mean."""
    mean, width = value["mean"], value["ci95"]
    return "—" if mean is None else f"{mean:.{digits}f}" + ("" if width is None else f" ±{width:.{digits}f}")


def bracketed(value: Sequence[float], digits: int) -> str:
    """Format [value, low, high] as value [low, high]."""
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*value, d=digits)


def normalised(row: Mapping[str, Any], digits: int = 1) -> str:
    """Format a team's normalised score."""
    return spread({"mean": row["score"], "ci95": row["score_ci95"]}, digits)


def marked(team: str, learns: bool) -> str:
    """Return the team's name, with a star if it learns while it serves."""
    return team + "*" * learns


def reward_rows(task: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each team, best first: individual reward, that of each agent, normalised score, and difference
    from the next team."""
    teams, rows = list(task["teams"]), []
    for i, (team, row) in enumerate(task["teams"].items()):
        gain = spread(task["differences"][f"{team} - {teams[i + 1]}"]) if i + 1 < len(teams) else ""
        rows.append(
            [
                marked(team, row["learns"]),
                spread(row),
                " / ".join(f"{value['mean']:.2f}" for value in row["agents"].values()),
                normalised(row),
                gain,
            ]
        )
    return rows


def metric_rows(task: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each metric that is not 0 for all teams: the platform's value for each team, and the unit."""
    rows = []
    for name, metric in METRICS.items():
        if values := platform_values(task, name):
            digits = 3 if max(abs(value["mean"]) for value in values if value) < 10 else 1
            rows.append([arrow(name), *(spread(value, digits) if value else "—" for value in values), metric.unit])
    return rows


def platform_values(task: Mapping[str, Any], metric: str) -> list[Any]:
    """Return the platform's value of a metric for each team, None if it has none; [] if all are zero, such as the
    revenue of a task without purchases."""
    values = [row["metrics"].get(metric, {}).get("platform") for row in task["teams"].values()]
    return values if any(value and value["mean"] for value in values) else []


def arrow(name: str) -> str:
    """Return a metric's name, with an arrow in the direction that is better."""
    return name + {"higher": " ↑", "lower": " ↓", "": ""}[METRICS[name].better]


def cost_table(task: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the cost of a page for each team that has one, in every unit that a team reports."""
    costs = {team: row["costs"] for team, row in task["teams"].items() if row.get("costs")}
    units = list(dict.fromkeys(unit for cost in costs.values() for unit in cost))
    rows = [
        [
            marked(team, task["teams"][team]["learns"]),
            *(f"{cost[unit]['mean']:.3g}" if unit in cost else "" for unit in units),
        ]
        for team, cost in costs.items()
    ]
    return ["policy", *units], rows


def learning_teams(report: Mapping[str, Any]) -> set[str]:
    """Return the teams of an evaluation that learn while they serve."""
    return {team for task in report["tasks"].values() for team, row in task["teams"].items() if row["learns"]}


def aggregate_rows(report: Mapping[str, Any], suite: str) -> list[list[str]]:
    """Return a row for each team, best first: IQM and mean over the tasks of a suite, and the probability that it beats
    the next team."""
    over, improvement = report["aggregate"][suite]["teams"], report["aggregate"][suite]["improvement"]
    teams, learns, rows = list(over), learning_teams(report), []
    for i, (team, row) in enumerate(over.items()):
        chance = bracketed(improvement[f"{team} > {teams[i + 1]}"], 2) if i + 1 < len(teams) else ""
        rows.append([marked(team, team in learns), bracketed(row["iqm"], 1), bracketed(row["mean"], 1), chance])
    return rows


def leaderboard_rows(report: Mapping[str, Any], suite: str) -> list[list[str]]:
    """Return a row for each team: its normalised score on each task of a suite that was played, then its IQM over these
    where the suite has one. Teams that have an IQM come first."""
    tasks = {name: report["tasks"][name] for name in SUITES[suite].tasks if name in report["tasks"]}
    over, learns = report["aggregate"].get(suite, {"teams": {}})["teams"], learning_teams(report)
    teams = dict.fromkeys([*over, *(team for task in tasks.values() for team in task["teams"])])
    rows = []
    for team in teams:
        scores = [normalised(task["teams"][team], 0) if team in task["teams"] else "" for task in tasks.values()]
        iqm = [bracketed(over[team]["iqm"], 0) if team in over else ""] if over else []
        rows.append([marked(team, team in learns), *scores, *iqm])
    return rows


def payoff_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each policy: its payoff against, or with, every column policy."""
    return [[brief(row), *(spread(value) for value in columns.values())] for row, columns in result["payoff"].items()]


def brief(policy: str) -> str:
    """Return a short name of a policy for a table: the last part of a folder, without the task."""
    return Path(policy).name.replace("-{task}", "")


def ranking_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each policy, best first: its mean payoff against the other policies, and the mass of
    alpha-rank."""
    payoff = result["payoff"]
    earned = {
        row: np.mean([value["runs"] for column, value in of.items() if column != row or len(of) == 1], axis=0)
        for row, of in payoff.items()
    }
    ranked = sorted(earned, key=lambda policy: -float(earned[policy].mean()))
    return [
        [brief(policy), spread(interval(earned[policy])), f"{result['alpha_rank'][policy]:.2f}"] for policy in ranked
    ]


def cross_play_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for all policies, and for each learner with several seeds: reward of teams of one policy, of mixed
    teams, and the difference."""
    kinds = ("diagonal", "off_diagonal", "gap")
    return [
        [brief(among), *(spread(found[kind]) if kind in found else "" for kind in kinds)]
        for among, found in result["cross_play"].items()
    ]


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown; white space in cells is folded, and | is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def latex(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in LaTeX, for the package booktabs; its cells are plain text."""
    lines = [" & ".join(map(_plain, line)) + r" \\" for line in (head, *rows)]
    columns = "l" + "r" * (len(head) - 1)
    begin = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*begin, *lines[1:], r"\bottomrule", r"\end{tabular}"])


_LATEX = {
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "—": "---"},
}


def _plain(value: object) -> str:
    """Return text as LaTeX shows it, white space folded."""
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(str(value).split()))


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def grid(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. It is fitted to the width of the terminal, if there is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")  # in a Text, [...] is not markup
    for i, heading in enumerate(head):
        numbers = i and not any(" " in row[i] and row[i][0].isalpha() for row in rows)
        table.add_column(Text(heading), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    Console(width=console.width if console.is_terminal else 400).print(table)
