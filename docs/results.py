"""Tables and plots of scores: the leaderboard, the scores of each task, tournaments, and the README's tables.

The README's picture and its two tables are written by

    PYTHONPATH=. python docs/results.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import learners
import numpy as np
import studies
from measured import (
    NotMeasured,
    best,
    earned,
    folded,
    foot,
    if_measured,
    leaders,
    picture,
    played,
    section,
    stored,
    training,
)

from baselines.learners import PUBLISHED
from recsys_env import SUITES, TASKS, WorldConfig, cli, parallel_env
from recsys_env.config.tasks import suite_of
from recsys_env.evaluation.plots import draw_curves, draw_intervals, draw_payoffs, draw_scores, draw_seeds
from recsys_env.evaluation.runs import file_name
from recsys_env.evaluation.statistics import by_seed, interval, scale_ends
from recsys_env.evaluation.tables import (
    CROSS_PLAY,
    RANKING,
    aggregate_rows,
    arrow,
    brief,
    cross_play_rows,
    leaderboard_rows,
    markdown,
    marked,
    normalised,
    payoff_rows,
    platform_values,
    ranking_rows,
    spread,
)
from recsys_env.policies import ORACLES, knowledge

README = Path(__file__).parent.parent / "README.md"
README_PICTURE = README.parent / "docs" / "images" / "page.png"
SHOWN = (
    "page_ctr",
    "revenue",
    "ndcg",
    "diversity",
    "coverage",
    "visit_gap",
    "satisfaction",
)  # metrics of a task's page
COLD = ("ndcg_new_users", "ndcg_known_users", "ndcg_cold_items", "ndcg_warm_items")
COLD_TASKS = ("coldstart-v1", "news-v1", "grocery-v1")
IN_README = ("coverage-v0", "social-v1", "market-v0", "ecommerce-v1", "news-v1")  # tasks whose scores it shows
LEVELS = ("random", "static", "planner", "central", "joint", "equilibrium")  # policies drawn beside learners


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it.

    Args:
        folder: of the plots that sections show, in the documentation's source.
    """
    sections: dict[str, Callable[[], str]] = {
        "evaluation": partial(evaluation, folder),
        "learners": learners.table,
        "comparisons": learners.comparisons,
        "sweep": learners.sweep,
        "algorithms": learners.algorithms,
        "tournament": partial(tournament, folder),
        "cold_start": cold_start,
        "suites": suites,
    }
    return {name: partial(if_measured, section) for name, section in sections.items()} | studies.parts()


# ------------------------------------------------------------------------------------------------ policies


def evaluation(folder: Path) -> str:
    """Scores of all policies on the tasks of each suite, and over these tasks where they share one scale."""
    report = stored("evaluation")
    return section(
        " ".join([*_leaders(report), "What 0 and 100 are on each task:"]),
        by_task(),
        *(text for suite in SUITES for text in _of_suite(report, suite, folder)),
        how=f"Normalised scores, {_runs(report)}, ± 95 % (t over runs), and where all tasks of a suite share one scale "
        "their interquartile mean over these tasks (IQM) [95 % bootstrap over runs]; * learns while it serves. A score "
        f"above 100 means that a better policy than the reference is known. {foot('evaluation')}",
    )


def _leaders(report: Mapping[str, Any]) -> list[str]:
    """The best oracle and the best policy that uses observations only, over the tasks of each suite with one scale."""
    said = []
    for suite, found in report["aggregate"].items():
        over = {team: row["iqm"][0] for team, row in found["teams"].items()}
        of = [f"{who} is `{team}`, with {over[team]:.0f} of 100" for who, team in leaders(over).items()]
        said.append(
            f"Over the {len(found['tasks'])} tasks of `{suite}` that were measured, {'; '.join(of)}. These are "
            "interquartile means of scores. An oracle reads what agents do not observe."
        )
    return said


def _of_suite(report: Mapping[str, Any], suite: str, folder: Path) -> list[str]:
    """The leaderboard of a suite, if some of its tasks were measured; over all of these only where they share one
    scale."""
    there = [task for task in SUITES[suite].tasks if task in report["tasks"]]
    if not there:
        return []
    text = [f"### {SUITES[suite].title}", SUITES[suite].purpose]
    over = report["aggregate"].get(suite)
    if over:
        path = folder / f"leaderboard-{suite}.png"
        intervals = {team: row["iqm"] for team, row in over["teams"].items()}
        draw_intervals(intervals, f"score over {len(there)} tasks (IQM), 95 %", path)
        text.append(picture(path, f"score of each policy over the tasks of {suite}"))
    rows = [[f"`{team}`", *scores] for team, *scores in leaderboard_rows(report, suite)]
    text.append(markdown(["policy", *(f"`{task}`" for task in there), *(["IQM"] if over else [])], rows))
    if over:
        head = ["policy", "IQM", "mean", "P(better than the next)"]
        text.append(folded("Over all tasks, as numbers", markdown(head, aggregate_rows(report, suite))))
    return text


def _runs(report: Mapping[str, Any]) -> str:
    first = next(iter(report["tasks"].values()))
    runs = max(len(row["runs"]) for task in report["tasks"].values() for row in task["teams"].values())
    return f"{runs} runs of {first['episodes']} episodes"


def by_task(tasks: Iterable[str] = PUBLISHED) -> str:
    """A row for each of these tasks: the two ends of its scale, what the reference 100 knows, the best policy that uses
    observations only, and the best learner."""
    rows = []
    for name, suite in SUITES.items():
        for task in suite.tasks:
            if task in tasks:
                low, high = scale_ends(cli.config_of(task))
                ends = [f"`{low}`", f"`{high}`", knowledge(high)]
                rows.append([f"`{task}`", f"`{name}`", *ends, _best_observing(task), _best_learner(task)])
    last = ["what 100 knows", "the best untrained policy that uses observations only", "the best learner"]
    return markdown(["task", "suite", "0", "100", *last], rows)


def _best_observing(task: str) -> str:
    teams = played().get(task, {"teams": {}})["teams"]
    first = next((team for team in teams if team not in ORACLES), None)  # they are in order
    return f"`{first}` {normalised(teams[first], 0)}" if first else "Not measured yet"


def _best_learner(task: str) -> str:
    """The learner with the highest score; the interval of the reference 100 is added to its own, because learners play
    other episodes."""
    rows = {name: of["tasks"][task]["reward"] for name, of in training()["learners"].items() if task in of["tasks"]}
    if not rows or task not in played():
        return "Not measured yet"
    low, high = (played()[task]["teams"][end] for end in scale_ends(cli.config_of(task)))
    unit, name = 100 / (high["mean"] - low["mean"]), max(rows, key=lambda name: float(rows[name]["mean"]))
    width = None if rows[name]["ci95"] is None else unit * (rows[name]["ci95"] + high["ci95"])
    return f"`{name}` {spread({'mean': unit * (rows[name]['mean'] - low['mean']), 'ci95': width}, 0)}"


def task_scores(task: str, folder: Path) -> str:
    """Scores of policies and learners on one task, with plots."""
    found = played().get(task)
    text = [_policies(task, found, folder)] if found else [str(NotMeasured("evaluation"))]
    trained = {name: of["tasks"][task] for name, of in training()["learners"].items() if task in of["tasks"]}
    if trained:
        levels = {name: mean for name, mean in earned(task).items() if name in LEVELS}
        runs = {name: row["runs"]["trained"] for name, row in trained.items()}
        draw_seeds(task, runs, levels, folder / f"seeds-{task}.png")
        draw_curves(task, {name: row["curve"] for name, row in trained.items()}, folder / f"curves-{task}.png", levels)
        text += [
            f"Of the learners {best({name: row['reward'] for name, row in trained.items()})} earns the most.",
            picture(folder / f"seeds-{task}.png", f"reward of each seed of the learners on {task}"),
            learners.on_task(task, trained),
            "Learning curves, with policies as dashed lines:",
            picture(folder / f"curves-{task}.png", f"learning curves on {task}"),
        ]
    return "\n\n".join(text)


def _policies(task: str, found: Mapping[str, Any], folder: Path) -> str:
    """Every policy on one task."""
    draw_scores(task, found, folder / f"scores-{task}.png")
    bests = [
        f"{who} is `{team}` ({spread(found['teams'][team])})"
        for who, team in leaders({team: row["mean"] for team, row in found["teams"].items()}).items()
    ]
    runs = max(len(row["runs"]) for row in found["teams"].values())
    return section(
        f"On this task {' and '.join(bests)}.",
        picture(folder / f"scores-{task}.png", f"individual reward of each policy on {task}"),
        _metrics(found, SHOWN, 2),
        how=f"{runs} runs of {found['episodes']} episodes, ± 95 % (t over runs); * learns while it serves; metrics are "
        f"of the whole platform. {foot('evaluation')}",
    )


def _metrics(found: Mapping[str, Any], names: Sequence[str], digits: int) -> str:
    """A row for each policy on a task: reward, score, and the platform's values of some metrics."""
    shown = {name: values for name in names if (values := platform_values(found, name))}
    rows = [
        [
            *(f"`{marked(team, row['learns'])}`", spread(row), normalised(row)),
            *(spread(values[i], digits) if values[i] else "—" for values in shown.values()),
        ]
        for i, (team, row) in enumerate(found["teams"].items())
    ]
    return markdown(["policy", "individual reward", "score", *map(arrow, shown)], rows)


def cold_start() -> str:
    """How policies rank for new and known users, and cold and warm items."""
    tables = [f"`{task}`:\n\n{_metrics(played()[task], COLD, 3)}" for task in COLD_TASKS if task in played()]
    return section(*tables, how=f"Of the whole platform, ± 95 % (t over runs). {foot('evaluation')}")


def tournament(folder: Path) -> str:
    """Payoffs of policies against and with each other."""
    sections = []
    for name, result in stored("tournament").items():
        if not suite_of(name):
            continue
        what, settings = "individual reward of the row's policy against the column's", result["origin"]["settings"]
        if result["cooperative"]:
            what = "team reward per agent, the row's policy in one seat, the column's in the others"
        path = folder / f"payoffs-{file_name(name)}.png"
        draw_payoffs(name, result, path)
        over = (CROSS_PLAY, cross_play_rows(result)) if result["cooperative"] else (RANKING, ranking_rows(result))
        sections.append(
            section(
                f"`{name}`:",
                picture(path, f"payoffs of {name}"),
                markdown(*over),
                folded("Payoffs with intervals", markdown(["", *map(brief, result["payoff"])], payoff_rows(result))),
                how=f"{len(settings['seeds'])} runs of {settings['episodes']} episodes: {what}. {foot('tournament')}",
            )
        )
    return "\n\n".join(sections)


# ------------------------------------------------------------------------------------------------ tasks


def suites() -> str:
    """Each suite with its purpose and tasks, then each example with the reason why it is in none."""
    lines = [
        f"- **{suite.title}** (`{name}`). {suite.purpose} {', '.join(f'`{task}`' for task in suite.tasks)}."
        for name, suite in SUITES.items()
    ]
    examples = [f"- `{task}`. {reason(task)}" for task in TASKS if not suite_of(task)]
    return "\n".join(
        [
            *lines,
            "\nThe other tasks are examples, without scores on the leaderboard. Why each is in no suite:\n",
            *examples,
        ]
    )


def reason(task: str) -> str:
    """Why a task is in no suite: looking ahead gains nothing in it, or it ranks policies as a task in a suite does."""
    if task not in played():
        return "Not measured yet."
    ours, theirs = (by_seed(played()[task]["teams"][team]) for team in ("planner", "greedy"))
    gain = interval(np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs]))
    if gain["mean"] <= (gain["ci95"] or 0):
        return f"Looking ahead gains nothing in it that was found: `planner` earns {spread(gain)} more than `greedy`."
    alike = {other: likeness(task, other) for other in SUITES["ranking"].tasks if other in played()}
    nearest = max(alike, key=lambda other: alike[other])
    return f"It ranks policies much as `{nearest}` does (Spearman's ρ {alike[nearest]:.2f})."


def likeness(one: str, other: str) -> float:
    """Spearman's rank correlation of two tasks: of the rewards of all policies that use observations only."""
    from scipy.stats import spearmanr

    ours, theirs = (played()[task]["teams"] for task in (one, other))
    both = [team for team in ours if team in theirs and team not in ORACLES]
    return float(spearmanr(*([of[team]["mean"] for team in both] for of in (ours, theirs)))[0])


def tasks(named: str) -> str:
    """All tasks in a table, by suite; those in none come last.

    Args:
        named: how a name is written, as in "`{}`".
    """
    rows, order = [], [task for suite in SUITES.values() for task in suite.tasks]
    for name in dict.fromkeys([*(task for task in order if task in TASKS), *TASKS]):
        task = TASKS[name]
        sharing = task.reward.sharing
        reward = {0.0: "own", 1.0: "team", -1.0: "zero-sum"}.get(sharing, f"shared {sharing:g}")
        sizes = [task.num_agents, task.slots, task.page, task.action]
        rows.append([named.format(name), summary(task), *sizes, reward, suite_of(name) or "example"])
    return markdown(["task", "what it is", "agents", "slots", "page", "action", "reward", "suite"], rows)


def summary(task: WorldConfig) -> str:
    """The first line of its description."""
    return task.description.partition("\n")[0].rstrip(".")


def clicked_page(task: str, render_mode: str) -> Any:
    """The first page of random play with a click, as the environment shows it."""
    env = parallel_env(task, render_mode=render_mode)
    _, infos = env.reset(seed=0)
    for agent in env.possible_agents:
        env.action_space(agent).seed(0)
    while not any(info["clicked"].any() for info in infos.values()):
        infos = env.step({agent: env.action_space(agent).sample() for agent in env.agents})[4]
    return env.render()


# ------------------------------------------------------------------------------------------------ the README


def readme_parts(path: Path = README) -> None:
    """Put the README's tables between their markers, `<!-- tasks -->` and `<!-- /tasks -->`, and so on."""
    text = path.read_text(encoding="utf-8")
    for name, body in {"tasks": tasks("`{}`"), "scores": if_measured(_readme_scores)}.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{end}{rest.split(end)[1]}"
    path.write_text(text, encoding="utf-8")


def readme_picture(path: Path = README_PICTURE) -> None:
    """Draw the page of the README's first example."""
    from PIL import Image

    Image.fromarray(clicked_page("ecommerce-v1", "rgb_array")).quantize(64).save(path, optimize=True)


def _readme_scores() -> str:
    """The scales of some tasks and who scores most there, after what the scores say."""
    report = stored("evaluation")
    note = f"Policies: {_runs(report)} on each task; ± 95 %. Learners: 5 or 10 trainings."
    return f"{' '.join(_leaders(report))}\n\n{by_task(IN_README)}\n\n{note}"


if __name__ == "__main__":
    readme_parts()
    readme_picture()
