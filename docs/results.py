"""What the documentation says about the stored results (benchmarks/results): each section as Markdown, with its plots.

`parts` returns the sections by name, `task_scores` those of one task, `tasks` the table of all tasks. Each section
begins with a sentence that says what its numbers mean. A section whose results are not stored gives the command that
measures them. The README's picture and its two tables are written by

    PYTHONPATH=. python docs/results.py
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attacks
import claims
import crowds
import fits
import laboratory
import learners
import models
import numpy as np
import shifts
import speeds
import suites
import worlds_for_models
from measured import (
    NotMeasured,
    earned,
    folded,
    if_measured,
    leaders,
    picture,
    played,
    section,
    stored,
    training,
    union,
    whence,
    whence_rows,
    who_earns_most,
)

from recsys_env import SUITES, TASKS, WorldConfig, parallel_env
from recsys_env.config.tasks import suite_of
from recsys_env.evaluation.plots import draw_curves, draw_intervals, draw_payoffs, draw_scores, draw_seeds
from recsys_env.evaluation.runs import file_name
from recsys_env.evaluation.statistics import interval
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
# Tasks whose scores the README shows.
IN_README = ("coverage-v0", "social-v1", "market-v0", "ecommerce-v1", "news-v1")
CODE_WIDTH = 88  # characters of a line of code that the site shows without scrolling
LEVELS = ("random", "static", "planner", "central", "joint", "equilibrium")  # policies drawn beside learners


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it.

    Args:
        folder: of the plots that sections show, in the documentation's source.
    """
    sections: dict[str, Callable[[], str]] = {
        "regret": regret,
        "messages": messages,
        "compatibility": compatibility,
        "credit": credit,
        "scorer": scorer,
        "cluster": cluster,
        "evaluation": partial(evaluation, folder),
        "learners": learned,
        "comparisons": learners.comparisons,
        "short_runs": learners.short_runs,
        "sweep": learners.sweep,
        "robustness": learners.robustness,
        "algorithms": learners.algorithms,
        "claims": claimed,
        "tournament": partial(tournament, folder),
        "reproduce": reproduce,
        **crowds.parts(),
        **fits.parts(),
        **laboratory.parts(folder),
        **worlds_for_models.parts(),
        **models.parts(folder),
        **shifts.parts(),
        **attacks.parts(),
        **speeds.parts(),
    }
    return {name: partial(if_measured, section) for name, section in sections.items()}


# ------------------------------------------------------------------------------------------------ policies


def evaluation(folder: Path) -> str:
    """Scores of all policies on the tasks of each suite, and over these tasks where they share one scale."""
    report = stored("evaluation")
    return section(
        " ".join([*_leaders(report), "What 0 and 100 are on each task:"]),
        suites.by_task(),
        *(text for suite in SUITES for text in _of_suite(report, suite, folder)),
        how=f"Normalised scores, {_runs(report)}, ± 95 % (t over runs), and where all tasks of a suite share one scale "
        "their interquartile mean over these tasks (IQM) [95 % bootstrap]; * learns while it serves. The bootstrap "
        f"resamples runs; the tasks stay the same. {_evaluation_source(report)}",
    )


def _leaders(report: Mapping[str, Any]) -> list[str]:
    """The best oracle and the best policy that uses observations only, over the tasks of each suite with one scale."""
    said = []
    for suite, found in report["aggregate"].items():
        over = {team: row["iqm"][0] for team, row in found["teams"].items()}
        best = [f"{who} is `{team}`, with {over[team]:.0f} of 100" for who, team in leaders(over).items()]
        said.append(
            f"Over the {len(found['tasks'])} tasks of `{suite}` that were measured, {'; '.join(best)}. These are "
            "interquartile means of scores. An oracle reads what agents do not observe."
        )
    return said


def _of_suite(report: Mapping[str, Any], suite: str, folder: Path) -> list[str]:
    """The leaderboard of a suite, if some of its tasks were measured; over all of these only where they share one
    scale."""
    played = [task for task in SUITES[suite].tasks if task in report["tasks"]]
    if not played:
        return []
    text = [f"### {SUITES[suite].title}", SUITES[suite].purpose]
    over = report["aggregate"].get(suite)
    if over:
        path = folder / f"leaderboard-{suite}.png"
        intervals = {team: row["iqm"] for team, row in over["teams"].items()}
        draw_intervals(intervals, f"score over {len(played)} tasks (IQM), 95 %", path)
        text.append(picture(path, f"score of each policy over the tasks of {suite}"))
    else:
        text.append(
            "Its tasks have different scales, so there is no score over all of them: compare policies on each task."
        )
    text += filter(None, (suites.above_hundred(task, suites.scores_of(task)) for task in played))
    rows = [[f"`{team}`", *scores] for team, *scores in leaderboard_rows(report, suite)]
    text.append(markdown(["policy", *(f"`{task}`" for task in played), *(["IQM"] if over else [])], rows))
    if over:
        head = ["policy", "IQM", "mean", "P(better than the next)"]
        text.append(folded("Over all tasks, as numbers", markdown(head, aggregate_rows(report, suite))))
    return text


def _runs(report: Mapping[str, Any]) -> str:
    first = next(iter(report["tasks"].values()))
    runs = max(len(row["runs"]) for task in report["tasks"].values() for row in task["teams"].values())
    return f"{runs} runs of {first['episodes']} episodes"


def _evaluation_source(report: Mapping[str, Any]) -> str:
    rows = (row for task in report["tasks"].values() for row in task["teams"].values())
    return whence(union(rows), "evaluation.json")


def task_scores(task: str, folder: Path) -> str:
    """Scores of policies and learners on one task, with plots, or how to measure them."""
    text, found = [], played().get(task)
    if found:
        text.append(_policies(task, found, folder))
    else:
        text.append(str(NotMeasured("evaluation")).replace("evaluate ", f"evaluate --tasks {task} "))
    trained = {name: of["tasks"][task] for name, of in training()["learners"].items() if task in of["tasks"]}
    if trained:
        levels = {name: mean for name, mean in earned(task).items() if name in LEVELS}
        runs = {name: row["runs"]["trained"] for name, row in trained.items()}
        draw_seeds(task, runs, levels, folder / f"seeds-{task}.png")
        draw_curves(task, {name: row["curve"] for name, row in trained.items()}, folder / f"curves-{task}.png", levels)
        most = who_earns_most({name: row["reward"] for name, row in trained.items()})
        text += [
            f"Of the learners {most}, per agent and episode.",
            picture(folder / f"seeds-{task}.png", f"reward of each seed of the learners on {task}"),
            learners.on_task(task, trained),
            *filter(None, [suites.above_hundred(task, suites.scores_of_learners(task))]),
            "Learning curves, with policies as dashed lines:",
            picture(folder / f"curves-{task}.png", f"learning curves on {task}"),
        ]
    return "\n\n".join(text)


def _policies(task: str, found: Mapping[str, Any], folder: Path) -> str:
    """Every policy on one task."""
    draw_scores(task, found, folder / f"scores-{task}.png")
    shown = {name: values for name in SHOWN if (values := platform_values(found, name))}
    rows = []
    for i, (team, row) in enumerate(found["teams"].items()):
        said = [spread(value) if (value := values[i]) else "—" for values in shown.values()]
        rows.append([f"`{marked(team, row['learns'])}`", spread(row), normalised(row), *said])
    bests = [
        f"{who} is `{team}` ({spread(found['teams'][team])})"
        for who, team in leaders({team: row["mean"] for team, row in found["teams"].items()}).items()
    ]
    runs = max(len(row["runs"]) for row in _rows(found))
    how = (
        f"{runs} runs of {found['episodes']} episodes, ± 95 % (t over runs); * learns while it serves; metrics are of "
        f"the whole platform. {whence(union(_rows(found)), 'evaluation.json')}"
    )
    return section(
        f"On this task {' and '.join(bests)}.",
        picture(folder / f"scores-{task}.png", f"individual reward of each policy on {task}"),
        *filter(None, [suites.above_hundred(task, suites.scores_of(task))]),
        markdown(["policy", "individual reward", "score", *map(arrow, shown)], rows),
        how=how,
    )


def _rows(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(task["teams"].values())


def regret() -> str:
    result = stored("regret")
    rows = [
        [f"every slate of a small world, lambda = {name}", f"{row['regret_percent']:.4f}"]
        for name, row in result["enumerated"].items()
    ]
    for task, kinds in result["one_swap"].items():
        rows += [[f"one swap in `{task}`, {kind}", f"{row['regret_percent']:.4f}"] for kind, row in kinds.items()]
    worst = max(float(percent) for _, percent in rows)
    return section(
        f"`greedy` comes within {worst:.2g} % of the best slate's reward, in every case that was tried.",
        markdown(["against", "regret, %"], rows),
        how=f"Regret is what the best slate earns beyond `greedy`'s. {whence(result, 'regret.json')}",
    )


def learned() -> str:
    """The learners' scores, and on how many tasks one of them beats the best fixed ranking."""
    return "\n\n".join(filter(None, [_above_static(), learners.table()]))


def _above_static() -> str:
    """On how many tasks of each suite a learner earns more than `static`, and which learner that is."""
    said = []
    for suite in SUITES:
        found = dict(suites.claims_of(suite)).get("The best trained team earns more than `static`")
        if found:
            held = {name: lead for name, lead in found.items() if claims.holds({name: lead})}
            best = Counter(name.partition(": ")[2] for name in held)
            named = f" ({', '.join(f'`{learner}` {count}' for learner, count in best.most_common())})" if best else ""
            said.append(f"{len(held)} of {len(found)} tasks of `{suite}`{named}")
    if not said:
        return ""
    return (
        f"On {' and on '.join(said)} the best trained learner earns more than `static`, by more than the interval of "
        "the difference."
    )


def claimed() -> str:
    """The claims, and how many of them hold on most tasks."""
    found = [claim for suite in SUITES for claim in suites.claims_of(suite)]
    table = learners.claims()
    mostly = sum(claims.holds(differences) > len(differences) / 2 for _, differences in found)
    return f"{mostly} of {len(found)} claims hold on most tasks of their suite, beyond their intervals.\n\n{table}"


def tournament(folder: Path) -> str:
    sections = []
    games = {name: result for name, result in stored("tournament").items() if suite_of(name)}
    for name, result in games.items():
        what, settings = "individual reward of the row's policy against the column's", result["origin"]["settings"]
        if result["cooperative"]:
            what = "team reward per agent, the row's policy in one seat, the column's in the others"
        path = folder / f"payoffs-{file_name(name)}.png"
        draw_payoffs(name, result, path)
        over = (CROSS_PLAY, cross_play_rows(result)) if result["cooperative"] else (RANKING, ranking_rows(result))
        sections.append(
            section(
                f"`{name}`: {_tournament_found(result)}",
                picture(path, f"payoffs of {name}"),
                markdown(*over),
                folded("Payoffs with intervals", markdown(["", *map(brief, result["payoff"])], payoff_rows(result))),
                how=f"{len(settings['seeds'])} runs of {settings['episodes']} episodes: {what}. "
                f"{whence(result['origin'], 'tournament.json')}",
            )
        )
    return "\n\n".join(sections)


def _tournament_found(result: Mapping[str, Any]) -> str:
    if not result["cooperative"]:
        (best, earned, _), *_ = ranking_rows(result)
        mass = result["alpha_rank"]
        top = max(mass, key=lambda policy: mass[policy])
        return (
            f"`{best}` earns most against the others, {earned}, and alpha-rank puts the most mass, {mass[top]:.2f}, on "
            f"`{brief(top)}`."
        )
    (_, together, mixed, gap), *_ = cross_play_rows(result)
    return f"teams of one policy earn {together} per agent, mixed teams {mixed}: a gap of {gap}."


def reproduce() -> str:
    """The commands that the stored scores come from."""
    rows = [row for task in stored("evaluation")["tasks"].values() for row in task["teams"].values()]
    with suppress(NotMeasured):
        rows += stored("tournament").values()
    indent, goes_on = " " * 4, " \\"
    width = CODE_WIDTH - len(indent) - len(goes_on)
    wrap = partial(textwrap.wrap, width=width, break_long_words=False, break_on_hyphens=False)
    commands = "\n".join(f"{goes_on}\n{indent}".join(wrap(command)) for command in union(rows)["command"])
    return (
        "Each row of `benchmarks/results/evaluation.json` has its settings, command, commit, date, processor and "
        f"versions. The commands:\n\n```text\n{commands}\n```\n\n"
        "`python -m recsys_env evaluate --out FOLDER` and `python -m benchmarks.take_in FOLDER` add rows of one's own; "
        "`python -m baselines reference` trains what is missing of the learners."
    )


# ------------------------------------------------------------------------------------------------ libraries


def compatibility() -> str:
    result = stored("compatibility")
    rows: list[Sequence[str]] = []
    for library, row in result["libraries"].items():
        versions = list(row.get("versions", {}).items())[: row.get("named", 1)]
        named = ", ".join(f"{name} {number}" for name, number in versions) or library
        if "rows" not in row or row.get("error"):
            rows.append([named, "—", "failed, see the raw file", "", "", ""])
        for run in row.get("rows", []):
            learned, reward = "yes" if run["learned"] else "no", f"{run['before']:.3f} → {run['after']:.3f}"
            steps = [f"{run['agent_steps']:,}", f"{run['agent_steps'] / run['seconds']:,.0f}"]
            rows.append([named, run["algorithm"], learned, reward, *steps])
    tried = [run["learned"] for row in result["libraries"].values() for run in row.get("rows", ())]
    how = (
        "Reward: per agent and tick, untrained → trained, of a team in `duel-v1` whose moods follow the last click at "
        f"once (`benchmarks.compat.DILEMMA`). Learned: the reward exceeds {result['settings']['learned_above']} with "
        "one of three seeds, and the row shows the first that does. Several seeds are allowed because training may "
        "also end in the other equilibrium, in which both agents show Y. TRL, verifiers and OpenEnv train a language "
        "model of two layers, from random weights, that answers with a title (`benchmarks.compat.tiny`). "
        f"{whence_rows(result['libraries'], 'compatibility.json')}"
    )
    head = ["library", "algorithm", "learned", "reward", "agent-steps", "agent-steps/s"]
    extras = [[f"`{extra}`", row.get("ended") or "failed, see the raw file"] for extra, row in result["extras"].items()]
    return section(
        f"{sum(tried)} of {len(tried)} pairs of library and algorithm learned to cooperate in a small dilemma.",
        markdown(head, rows),
        markdown(["extra", "result of the tests that need it"], extras),
        how=how,
    )


def messages() -> str:
    result = stored("messages")
    names = (("messages heard", "heard"), ("messages cut", "cut"), ("gain", "gain"))
    rows = [[name, spread(result[key])] for name, key in names]
    settings, ends = result["settings"], result["ends"]
    how = (
        f"Mean reward per agent and episode, {settings['seeds']} seeds, {settings['agent_steps'] / 1e6:.1f} M "
        f"agent-steps each (random {ends['random']:.1f}, myopic oracle {ends['greedy']:.1f}). "
        f"{whence(result, 'messages.json')}"
    )
    means = (
        f"A team that hears its messages earns {spread(result['heard'])}, one whose messages are cut "
        f"{spread(result['cut'])}: a gain of {spread(result['gain'])}."
    )
    return section(means, markdown(["team", "reward"], rows), how=how)


def credit() -> str:
    result = stored("credit")
    settings = result["settings"]
    kinds = {
        "user_slots": "along user slots",
        "ticks": "along ticks",
        "myopic": "gamma = 0",
        "gain": "gain over gamma = 0",
    }
    rows = [[f"`{name}`", *(spread(row[kind]) for kind in kinds)] for name, row in result["tasks"].items()]
    how = (
        f"Individual reward per agent and episode, {settings['seeds']} seeds, {settings['agent_steps'] / 1e6:.1f} M "
        f"agent-steps each{', with ' + ' '.join(settings['set']) if settings['set'] else ''}. "
        f"{whence_rows(result['tasks'], 'credit.json')}"
    )
    means = " ".join(_credit_found(name, row) for name, row in result["tasks"].items())
    return section(means, markdown(["task", *kinds.values()], rows), how=how)


def _credit_found(task: str, row: Mapping[str, Any]) -> str:
    """Whether these runs tell the two ways of credit apart, paired by seed."""
    apart = interval(np.array(row["user_slots"]["runs"]) - np.array(row["ticks"]["runs"]))
    mean, width = apart["mean"], apart["ci95"]
    if mean is None or width is None or abs(mean) <= width:
        return f"On `{task}` these seeds do not tell the two ways apart (user slots less ticks {spread(apart)})."
    return f"On `{task}` {'user slots' if mean > 0 else 'ticks'} earn more (user slots less ticks {spread(apart)})."


def scorer() -> str:
    """How PPO learns with the packaged scorer, and with a network of the flat vector."""
    result = stored("scorer")
    settings, gains = result["settings"], result["gains"]
    compared = {name: interval(np.array(means)) for name, means in result["compared"].items()}
    kinds = {"scorer": "`SlatePolicy`, the packaged scorer", "flat": '`"MlpPolicy"`, of the flat vector'}
    ends = {kind: np.array([[reward for _, reward in run] for run in result["curves"][kind]]) for kind in kinds}
    steps = [point for point, _ in result["curves"]["scorer"][0]]
    rows = [
        [f"{step:,}", *(" to ".join(dict.fromkeys(f"{each:.1f}" for each in (at.min(), at.max()))) for at in column)]
        for step, *column in zip(steps, *(ends[kind].T for kind in kinds), strict=True)
    ]
    means = (
        f"On `{settings['task']}` PPO with the packaged scorer earns {ends['scorer'][:, -1].mean():.1f} after "
        f"{steps[-1] / 1e6:.1f} M agent-steps, and the same PPO with a network of the flat vector "
        f"{ends['flat'][:, -1].mean():.1f}. The policy `content` earns {spread(compared['content'])}, and `random` "
        f"{spread(compared['random'])}. On the same episodes, seed by seed, the scorer earns {spread(gains['scorer'])} "
        f"more than `content`. An untrained scorer already earns {ends['scorer'][:, 0].mean():.1f}, because most "
        "features speak for a candidate, and any network that gives all candidates the same weights tends to rank them "
        "alike."
    )
    how = (
        f"Mean individual reward per agent and episode over the {settings['episodes']} held-out episodes of each seed, "
        f"the lowest and the highest of {settings['seeds']} seeds; intervals are over seeds. The settings are those of "
        f"the example for stable-baselines3. {whence(result, 'scorer.json')}"
    )
    return section(means, markdown(["agent-steps", *kinds.values()], rows), how=how)


def cluster() -> str:
    result = stored("ray-two-nodes")
    runners, curve = " and ".join(map(str, result["env_runners"].values())), result["curve"]
    return (
        f"Two nodes that the command starts on one machine, with {runners} env runners: reward per agent and tick of "
        f"`{result['settings']['task']}` {curve[0][1]:.3f} → {curve[-1][1]:.3f} after {curve[-1][0]:,} agent-steps in "
        f"{result['seconds']:.0f} s. {whence(result, 'ray-two-nodes.json')}"
    )


# ------------------------------------------------------------------------------------------------ tasks


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
    """Put the README's tables between their markers, `<!-- tasks -->` and `<!-- /tasks -->`, and so on.

    Raises:
        ValueError: it has no such markers.
    """
    text = path.read_text(encoding="utf-8")
    parts = {"tasks": tasks("`{}`"), "scores": if_measured(_readme_scores)}
    for name, body in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{path.name} has no markers {begin} and {end}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{end}{rest.split(end)[1]}"
    path.write_text(text, encoding="utf-8")


def readme_picture(path: Path = README_PICTURE) -> None:
    """Draw the page of the README's first example. The file also holds the page as text, which a test compares."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text("page", clicked_page("ecommerce-v1", "ansi"))
    drawn = Image.fromarray(clicked_page("ecommerce-v1", "rgb_array"))
    drawn.quantize(64).save(path, optimize=True, pnginfo=said)


def _readme_scores() -> str:
    """The scales of some tasks and who scores most there, after what the scores say."""
    report = stored("evaluation")
    said = [*_leaders(report), _above_static()]
    above = (suites.above_hundred(task, suites.scores_of(task)) for task in IN_README)
    notes = [f"Policies: {_runs(report)} on each task; ± 95 %. Learners: 5 or 10 trainings.", *filter(None, above)]
    return f"{' '.join(filter(None, said))}\n\n{suites.by_task(IN_README)}\n\n{' '.join(notes)}"


if __name__ == "__main__":
    readme_parts()
    readme_picture()
