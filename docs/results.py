"""What the documentation says of the stored results (benchmarks/results): each section as Markdown, and its plots.

`parts` gives the sections by name, `task_scores` those of one task, `tasks` the table of all tasks. A section whose
results are not stored says so, and which command measures them. The README's two tables are written by

    PYTHONPATH=. python docs/results.py
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from claims import claims as claims_of
from claims import verdict

from baselines.algorithms import ALGORITHMS
from baselines.reference import training_summary
from benchmarks.result_files import RESULTS
from recsys_env import TASKS, WorldConfig
from recsys_env.evaluation.plots import draw_curves, draw_payoffs, draw_scores, draw_seeds
from recsys_env.evaluation.runs import file_name
from recsys_env.evaluation.statistics import scale_ends
from recsys_env.evaluation.stored import read_result
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
from recsys_env.files import read_json

README = Path(__file__).parent.parent / "README.md"
SHOWN = (
    "page_ctr",
    "revenue",
    "ndcg",
    "diversity",
    "coverage",
    "visit_gap",
    "satisfaction",
)  # metrics of a task's page
LEVELS = ("random", "static", "planner", "central", "joint", "equilibrium")  # policies drawn beside learners
EVALUATE = "`python -m recsys_env evaluate --out FOLDER` and `python -m benchmarks.take_in FOLDER`"
MEASURED_BY = {  # result -> the command; that of all others is `python -m benchmarks.NAME`
    "evaluation": EVALUATE,
    "tournament": EVALUATE.replace("evaluate", "tournament"),
    "training": "`python -m baselines reference`",
    "ray-two-nodes": "`python -m baselines.rllib_cluster --out benchmarks/results/ray-two-nodes.json`",
}


class NotMeasured(Exception):
    """Nothing is stored of this result."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Not measured yet: {MEASURED_BY.get(name, f'`python -m benchmarks.{name}`')}.")


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name -> what makes the section of that name.

    Args:
        folder: of the plots that sections show, in the documentation's source.
    """
    sections: dict[str, Callable[[], str]] = {
        "regret": regret,
        "messages": messages,
        "speed": speed,
        "trainers": trainers,
        "compatibility": compatibility,
        "credit": credit,
        "cluster": cluster,
        "fit_report": fit_report,
        "fit_origin": fit_origin,
        "evaluation": evaluation,
        "learners": learners,
        "algorithms": algorithms,
        "claims": claims,
        "tournament": partial(tournament, folder),
        "reproduce": reproduce,
    }
    return {name: partial(if_measured, section) for name, section in sections.items()}


def if_measured(section: Callable[[], str]) -> str:
    """The section, or that its results are not there."""
    try:
        return section()
    except NotMeasured as missing:
        return str(missing)


@cache
def stored(name: str) -> Any:
    """What benchmarks/results/<name>.json holds.

    Raises:
        NotMeasured: there is none.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise NotMeasured(name)
    return read_result(path) if name in ("evaluation", "tournament") else read_json(path)


def played() -> dict[str, Any]:
    """The tasks of the stored evaluation; none if there is none."""
    try:
        return stored("evaluation")["tasks"]  # type: ignore[no-any-return]
    except NotMeasured:
        return {}


@cache
def training() -> dict[str, Any]:
    """The results of the reference learners, of which there may be none."""
    return training_summary(RESULTS / "training")


@cache
def evidence(task: str) -> dict[str, Any]:
    """The evidence card of a task (`benchmarks.evidence`); nothing if there is none."""
    path = RESULTS / "evidence" / f"{task}.json"
    return read_json(path) if path.is_file() else {}  # type: ignore[no-any-return]


def distances(task: str) -> dict[str, Any]:
    """Where learners end in a finite game (`benchmarks.distances`); nothing in others, or if nobody has looked."""
    try:
        return stored("distances")["tasks"].get(task, {})  # type: ignore[no-any-return]
    except NotMeasured:
        return {}


def scale(tasks: Mapping[str, Any]) -> str:
    """What 0 and 100 are: the ends of most tasks, and those of the others."""
    of = {name: f"{low} 0, {high} 100" for name, (low, high) in ((name, task["ends"]) for name, task in tasks.items())}
    usual = max(of.values(), key=list(of.values()).count)
    return "; ".join([usual, *(f"in `{name}` {ends}" for name, ends in of.items() if ends != usual)])


def picture(path: Path, title: str) -> str:
    """A plot, by its place in the documentation's source."""
    return f"![{title}](/{path.resolve().relative_to(Path(__file__).resolve().parent)})"


def whence(origin: Mapping[str, Any], name: str) -> str:
    """One line that says where a table comes from, of a run or of several, with a list of each kind."""
    said = {
        key: [value] if isinstance(value := origin[key], str) else value for key in ("command", "processor", "date")
    }
    commands = said["command"]
    command = f"`{commands[0]}`" if len(commands) == 1 else f"Made by {len(commands)} commands (the raw file has them)"
    cores = f", {origin['cores']} cores" if "cores" in origin else ""
    return f"{command}, {', '.join(said['processor'])}{cores}, {said['date'][-1]}; raw: `benchmarks/results/{name}`."


def whence_rows(rows: Mapping[str, Any], name: str) -> str:
    """The same of rows, each with its own source."""
    sources: dict[str, list[str]] = {}
    for row, value in rows.items():
        sources.setdefault(whence(value["source"], name).partition("; raw:")[0], []).append(f"`{row}`")
    said = [source + (f" ({', '.join(of)})" if len(sources) > 1 else "") for source, of in sources.items()]
    return f"{'; '.join(said)}; raw: `benchmarks/results/{name}`."


def union(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """All commands, processors and dates of some rows' origins."""
    found = [row["origin"] for row in rows]
    return {
        key: sorted({value for origin in found for value in origin[key]}) for key in ("command", "processor", "date")
    }


# ------------------------------------------------------------------------------------------------ policies


def evaluation() -> str:
    """Scores of all policies on all tasks, and over the tasks."""
    report = stored("evaluation")
    over = markdown(["policy", "IQM", "mean", "P(better than the next)"], aggregate_rows(report))
    return "\n\n".join(
        [
            f"{_leaderboard_note(report)} {_evaluation_source(report)}",
            _leaderboard(report),
            "Over all tasks [95 % bootstrap of the runs; the tasks stay the same]:",
            over,
        ]
    )


def _leaderboard(report: Mapping[str, Any]) -> str:
    rows = [[f"`{team}`", *scores] for team, *scores in leaderboard_rows(report)]
    return markdown(["policy", *(f"`{task}`" for task in report["tasks"]), "IQM"], rows)


def _leaderboard_note(report: Mapping[str, Any]) -> str:
    first = next(iter(report["tasks"].values()))
    runs = max(len(row["runs"]) for task in report["tasks"].values() for row in task["teams"].values())
    return (
        f"Normalised scores ({scale(report['tasks'])}), {runs} runs of {first['episodes']} episodes, ± 95 % (t over "
        "runs), and their interquartile mean over the tasks (IQM) [95 % bootstrap]; * learns while it serves."
    )


def _evaluation_source(report: Mapping[str, Any]) -> str:
    rows = (row for task in report["tasks"].values() for row in task["teams"].values())
    return whence(union(rows), "evaluation.json")


def task_scores(task: str, folder: Path) -> str:
    """Scores of policies and learners on one task, with plots, or how to measure them."""
    text, found = [], played().get(task)
    if found:
        draw_scores(task, found, folder / f"scores-{task}.png")
        text += [_policies(task, found), picture(folder / f"scores-{task}.png", f"own reward of each policy on {task}")]
    else:
        text.append(str(NotMeasured("evaluation")).replace("evaluate ", f"evaluate --tasks {task} "))
    trained = {name: of["tasks"][task] for name, of in training()["learners"].items() if task in of["tasks"]}
    if trained:
        levels = {name: mean for name, mean in earned(task).items() if name in LEVELS}
        runs = {name: row["runs"]["trained"] for name, row in trained.items()}
        draw_seeds(task, runs, levels, folder / f"seeds-{task}.png")
        draw_curves(task, {name: row["curve"] for name, row in trained.items()}, folder / f"curves-{task}.png", levels)
        text += [
            _trained(task, trained),
            picture(folder / f"seeds-{task}.png", f"what each seed of the learners came to on {task}"),
            picture(folder / f"curves-{task}.png", f"learning curves on {task}"),
        ]
    return "\n\n".join(text)


def _policies(task: str, found: Mapping[str, Any]) -> str:
    """Every policy on one task."""
    shown = {name: values for name in SHOWN if (values := platform_values(found, name))}
    rows = []
    for i, (team, row) in enumerate(found["teams"].items()):
        said = [spread(value) if (value := values[i]) else "—" for values in shown.values()]
        rows.append([f"`{marked(team, row['learns'])}`", spread(row), normalised(row), *said])
    runs = max(len(row["runs"]) for row in _rows(found))
    note = (
        f"Policies, {runs} runs of {found['episodes']} episodes, ± 95 % (t over runs); * learns while it serves; "
        f"metrics are the platform's. {whence(union(_rows(found)), 'evaluation.json')}"
    )
    return f"{note}\n\n{markdown(['policy', 'own reward', 'score', *map(arrow, shown)], rows)}"


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
    note = f"What the best slate earns beyond `greedy`'s. {whence(result, 'regret.json')}"
    return f"{note}\n\n{markdown(['against', 'regret, %'], rows)}"


def tournament(folder: Path) -> str:
    sections = []
    for name, result in stored("tournament").items():
        what, settings = "own reward of the row's policy against the column's", result["origin"]["settings"]
        if result["cooperative"]:
            what = "team reward per agent, the row's policy in one seat, the column's in the others"
        path = folder / f"payoffs-{file_name(name)}.png"
        draw_payoffs(name, result, path)
        sections += [
            f"`{name}`, {len(settings['seeds'])} runs of {settings['episodes']} episodes: {what}. "
            f"{whence(result['origin'], 'tournament.json')}",
            markdown(["", *map(brief, result["payoff"])], payoff_rows(result)),
            markdown(CROSS_PLAY, cross_play_rows(result))
            if result["cooperative"]
            else markdown(RANKING, ranking_rows(result)),
            picture(path, f"payoffs of {name}"),
        ]
    return "\n\n".join(sections)


# ------------------------------------------------------------------------------------------------ learners


def learners() -> str:
    """What each learner learns from and plays, its budget, and its normalised scores, a column for each task; and what
    `blind` scores there."""
    report = training()
    if not report["learners"]:
        raise NotMeasured("training")
    tasks = list(dict.fromkeys(task for learner in report["learners"].values() for task in learner["tasks"]))
    rows = [
        [f"`{policy}`", "", what, "", *(of_seeds(placed(task, [earned(task).get(policy)]), 0) for task in tasks)]
        for policy, what in (("blind", "looks at nothing: the first K candidates"), ("static", "looks at no state"))
    ]
    for name, learner in report["learners"].items():
        steps = next(iter(learner["tasks"].values()))["agent_steps"]
        reward = {None: "task's", 0.0: "own", 1.0: "team's"}[learner["settings"].get("sharing")]
        runs = [learner["tasks"].get(task, {"runs": {"trained": ()}})["runs"]["trained"] for task in tasks]
        scores = [of_seeds(placed(task, of), 0) for task, of in zip(tasks, runs, strict=True)]
        rows.append([f"`{name}`", reward, _variant(learner), f"{steps / 1e6:.1f} M", *scores])
    note = (
        "Normalised scores on each task's scale: mean of the training seeds (lowest to highest). Of each run the "
        "policy that was best in an evaluation while training is measured, on ten times as many other episodes. All "
        "see the same; the budget is that of on-policy or of off-policy algorithms. Rows differ in the reward that "
        "they learn from (the task's is each agent's own, in `coverage-v0` and `journey-v1` the team's). "
        f"{whence(report['origin'], 'training/')}"
    )
    head = ["learner", "reward", "variant", "agent-steps", *(f"`{task}`" for task in tasks)]
    return f"{note}\n\n{markdown(head, rows)}"


# Options in which reference learners of an algorithm differ.
_VARIED = ("gamma", "memory", "centralised", "mixer", "start", "separate")


def _variant(learner: Mapping[str, Any]) -> str:
    """How the task that a learner plays differs from the task by its name."""
    settings = learner["settings"]
    words = [
        "queries" if getattr(ALGORITHMS[learner["algorithm"]], "queries", "never") != "never" else "",
        *(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if name in _VARIED),
        *settings.get("set", ()),
    ]
    return ", ".join(filter(None, words))


def algorithms() -> str:
    """What can be trained, and what the reference runs on `ecommerce-v1` gained."""
    rows, report = [], training()
    for name, algorithm in ALGORITHMS.items():
        row = report["learners"].get(name, {"tasks": {}})["tasks"].get("ecommerce-v1")
        measured = [""] * 6
        if row:
            measured = [
                f"{random:.2f}" if (random := earned("ecommerce-v1").get("random")) else "",
                of_seeds(row["runs"]["untrained"]),
                of_seeds(row["runs"]["trained"]),
                f"{row['agent_steps'] / 1e6:.1f} M",
                f"{row['agent_steps'] / row['seconds']:,.0f}",
                f"{row['environment_share']:.0%}",
            ]
        rows.append([f"`{name}`", algorithm.about(), algorithm.library.replace("_", "-"), *measured])
    if not report["learners"]:
        table = markdown(["algorithm", "what it is", "library"], [row[:3] for row in rows])
        return f"{table}\n\nWhat they gain: {NotMeasured('training')}"
    note = (
        "Own reward per learner and episode of `ecommerce-v1` in the reference runs: random play, the untrained "
        "network's first choices, the trained one's, mean of the training seeds (lowest to highest). The rest of "
        "the time, beside the share inside the environment, is the library's own loop. Several runs shared the "
        f"machine, each on one thread, so the speeds are lower bounds. {whence(report['origin'], 'training/')}"
    )
    head = ["algorithm", "what it is", "library", "random", "untrained", "trained"]
    head += ["agent-steps", "agent-steps/s", "inside the environment"]
    return f"{note}\n\n{markdown(head, rows)}"


def _trained(task: str, trained: Mapping[str, Mapping[str, Any]]) -> str:
    """Every learner on one task, with what it gained."""
    between = {name: _between_p_and_r(task, name, row) for name, row in trained.items()}
    rows = []
    for name, row in trained.items():
        runs = row["runs"]
        each = " ".join(f"{reward:.2f}" for reward in runs["trained"])
        means = [f"{np.mean(runs[kind]):.2f}" for kind in ("trained", "last", "gain")]
        cost = [f"{row['agent_steps'] / 1e6:.1f} M", f"{row['seconds'] / 60:.1f}"]
        dilemma = [between[name]] if any(between.values()) else []
        rows.append([f"`{name}`", each, *means, of_seeds(placed(task, runs["trained"])), *dilemma, *cost])
    head = ["learner", "reward of each seed", "mean", "of the last", "gain", "score"]
    head += ["between P and R"] if any(between.values()) else []
    note = (
        "Learners: own reward per learner and episode on seeds never trained on, of the best policy of each training "
        "seed, their mean, that of the last policies, gain over the untrained network, normalised score"
    )
    if any(between.values()):
        note += ", and for selfish learners where they stand between all selfish (P = 0) and all cooperating (R = 1)"
    return f"{note}; mean (lowest to highest).\n\n{markdown([*head, 'agent-steps', 'minutes'], rows)}"


def earned(task: str) -> dict[str, float]:
    """Own reward per agent and episode of each policy that was measured on a task: in the evaluation, else on the
    evidence card."""
    rows = played()[task]["teams"] if task in played() else evidence(task).get("rows", {})
    return {policy: row["mean"] for policy, row in rows.items() if "mean" in row}


def placed(task: str, rewards: Sequence[float | None]) -> list[float]:
    """These rewards on the scale of a task, without those that are missing; none where its ends are not measured or
    earn the same."""
    low, high = (earned(task).get(end, np.nan) for end in scale_ends(TASKS[task]))
    return [100 * (reward - low) / (high - low) for reward in rewards if reward is not None] if high > low else []


def of_seeds(values: Sequence[float], digits: int = 2) -> str:
    """mean (lowest to highest) of a value for each seed; nothing if there is none."""
    if not len(values):
        return ""
    mean, low, high = (f"{value:.{digits}f}" for value in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def _between_p_and_r(task: str, name: str, row: Mapping[str, Any]) -> str:
    """Where a learner of its own reward stands in a dilemma (`benchmarks.evidence`); nothing elsewhere."""
    settings, payoffs = training()["learners"][name]["settings"], evidence(task).get("play", {})
    own = TASKS[task].reward.sharing == 0 and not {"sharing", "observability"} & settings.keys()
    if not own or not {"R", "P"} <= payoffs.keys():
        return ""
    r, p = payoffs["R"], payoffs["P"]
    if r["mean"] - p["mean"] <= r["ci95"] + p["ci95"]:
        return ""
    return of_seeds((np.array(row["runs"]["trained"]) - p["mean"]) / (r["mean"] - p["mean"]))


def claims() -> str:
    """Each claim, how often it holds, and the differences it rests on."""
    rows = []
    for claim, found in claims_of({"tasks": played()}, training()):
        said = [f"`{task}` {'+' * ((gain['mean'] or 0) > 0)}{spread(gain)}" for task, gain in found.items()]
        rows.append([claim, verdict(found), ", ".join(said)])
    if not rows:
        raise NotMeasured("evaluation")
    note = (
        "Differences of own reward per agent and episode, paired by seed, ± 95 % (none: a single seed, which decides "
        "nothing); where the best of several is shown, its interval is that of all of them together (Bonferroni)."
    )
    return f"{note}\n\n{markdown(['claim', 'tasks', 'difference'], rows)}"


def reproduce() -> str:
    """The commands that the stored scores come from."""
    rows = [row for task in stored("evaluation")["tasks"].values() for row in task["teams"].values()]
    if (RESULTS / "tournament.json").is_file():
        rows += stored("tournament").values()
    wrap = partial(textwrap.wrap, width=100, break_long_words=False, break_on_hyphens=False)
    commands = "\n".join(" \\\n    ".join(wrap(command)) for command in union(rows)["command"])
    return (
        "Each row of `benchmarks/results/evaluation.json` has its settings, command, commit, date, processor and "
        f"versions. The commands:\n\n```text\n{commands}\n```\n\n"
        "`python -m recsys_env evaluate --out FOLDER` and `python -m benchmarks.take_in FOLDER` add rows of one's own; "
        "`python -m baselines reference` trains what is missing of the learners."
    )


# ------------------------------------------------------------------------------------------------ trainers and speed


def speed() -> str:
    result = stored("speed")
    yard, large, starts = result["yardsticks"], result["scale"], result["starts_s"]
    rows, api = [], []
    for name, row in result["tasks"].items():
        threads = sorted({int(setting.split("threads=")[1]) for setting in row if setting.startswith("B=")})
        for batch in [setting.split()[0] for setting in row if setting.endswith("threads=1")]:
            one, many = row[f"{batch} threads=1"], row[f"{batch} threads={threads[-1]}"]
            speeds = [one["kernel_ticks"], one["ticks"], one["pages"], one["agent_steps"], many["ticks"]]
            millions = [f"{value / 1e6:.3f}" for value in speeds]
            rows.append([name, batch.removeprefix("B="), *millions, f"{one['state_bytes_per_copy']:,.0f}"])
        against = row["api"]["parallel_of_CartPole"], row["B=1024 threads=1"]["of_CartPoleVectorEnv"]
        ticks = [f"{row['api'][f'{kind}_ticks']:,.0f}" for kind in ("parallel", "aec")]
        bound = f"{sum(row['lower_bound_ns'].values()):.0f}"
        api.append([name, *ticks, *("{1:.2f} ({0:.2f} to {2:.2f})".format(*pairs) for pairs in against), bound])
    head = [
        "task",
        "copies",
        "kernel ticks",
        "ticks",
        "pages",
        "agent-steps",
        "ticks, all cores",
        "state bytes per copy",
    ]
    head_api = ["task", "parallel_env ticks/s", "AEC ticks/s", "parallel ÷ CartPole-v1"]
    head_api += ["batch of 1,024 ÷ CartPoleVectorEnv", "lower bound, ns per page"]
    return "\n\n".join(
        [
            f"Millions per second on one core, and ticks on {result['cores']}; compile time apart. "
            f"{whence_rows(result['tasks'], 'speed.json')} Yardsticks of the same run: `CartPoleVectorEnv` with 1,024 "
            f"copies {yard['CartPoleVectorEnv_1024'] / 1e6:.2f} M steps/s, `CartPole-v1` through `gymnasium.make` "
            f"{yard['CartPole-v1']:,.0f} steps/s.",
            markdown(head, rows),
            "Against the yardsticks in windows side by side: median (lowest to highest) of nine pairs.",
            markdown(head_api, api),
            f"One million users × one million items (`items` actions, one copy): {large['million_step_us']:.1f} µs per "
            f"step against {large['small_step_us']:.1f} µs for 8 × 200, {large['million_state_GiB']:.2f} GiB of state, "
            f"reset {large['million_reset_us']:.0f} against {large['small_reset_us']:.0f} µs. Start of a fresh process "
            f"until the first step: {starts['first_start']:.1f} s compiling, {starts['second_start']:.1f} s "
            f"afterwards; import {starts['import']:.2f} s.",
        ]
    )


def trainers() -> str:
    result = stored("trainers")
    stepping = [
        [
            name,
            f"{row['copies']:,}",
            f"{row['agent_steps_per_second']:,.0f}",
            "{1:.0%} ({0:.0%} to {2:.0%})".format(*row["over_bare"]) if row["over_bare"] else "—",
        ]
        for name, row in result["stepping"].items()
    ]
    learning = [
        [name, f"{row['copies']:,}", f"{row['agent_steps_per_second']:,.0f}", f"{row['environment_share']:.1%}"]
        for name, row in result["training"].items()
    ]
    return "\n\n".join(
        [
            f"`{result['settings']['task']}`, one thread. {whence_rows(result['stepping'], 'trainers.json')}",
            "Stepping alone; on top of the bare batch: median (lowest to highest) of nine pairs of windows.",
            markdown(["interface", "copies", "agent-steps/s", "on top of the bare batch"], stepping),
            "With PPO training (64 ticks per rollout, 4 epochs of 8 minibatches, two hidden layers of 64):",
            markdown(["interface", "copies", "agent-steps/s", "time inside the environment"], learning),
        ]
    )


def compatibility() -> str:
    result = stored("compatibility")
    rows: list[Sequence[str]] = []
    for library, row in result["libraries"].items():
        versions = list(row.get("versions", {}).items())[: row.get("own", 1)]
        named = ", ".join(f"{name} {number}" for name, number in versions) or library
        if "rows" not in row or row.get("error"):
            rows.append([named, "—", "failed, see the raw file", "", "", ""])
        for run in row.get("rows", []):
            learned, reward = "yes" if run["learned"] else "no", f"{run['before']:.3f} → {run['after']:.3f}"
            steps = [f"{run['agent_steps']:,}", f"{run['agent_steps'] / run['seconds']:,.0f}"]
            rows.append([named, run["algorithm"], learned, reward, *steps])
    note = (
        "Reward per agent and tick of `duel-v1` with `sharing=1`, untrained → trained; learned: above "
        f"{result['settings']['learned_above']}. {whence_rows(result['libraries'], 'compatibility.json')}"
    )
    head = ["library", "algorithm", "learned", "reward", "agent-steps", "agent-steps/s"]
    return f"{note}\n\n{markdown(head, rows)}"


def messages() -> str:
    result = stored("messages")
    names = (("messages heard", "heard"), ("messages cut", "cut"), ("gain", "gain"))
    rows = [[name, spread(result[key])] for name, key in names]
    settings, ends = result["settings"], result["ends"]
    note = (
        f"Mean reward per agent and episode, {settings['seeds']} seeds, {settings['agent_steps'] / 1e6:.1f} M "
        f"agent-steps each (random {ends['random']:.1f}, myopic oracle {ends['greedy']:.1f}). "
        f"{whence(result, 'messages.json')}"
    )
    return f"{note}\n\n{markdown(['team', 'reward'], rows)}"


def credit() -> str:
    result = stored("credit")
    settings = result["settings"]
    kinds = {"places": "along places", "ticks": "along ticks", "myopic": "gamma = 0", "gain": "places over gamma = 0"}
    rows = [[f"`{name}`", *(spread(row[kind]) for kind in kinds)] for name, row in result["tasks"].items()]
    note = (
        f"Own reward per agent and episode, {settings['seeds']} seeds, {settings['agent_steps'] / 1e6:.1f} M "
        f"agent-steps each{', with ' + ' '.join(settings['set']) if settings['set'] else ''}. "
        f"{whence_rows(result['tasks'], 'credit.json')}"
    )
    return f"{note}\n\n{markdown(['task', *kinds.values()], rows)}"


def cluster() -> str:
    result = stored("ray-two-nodes")
    runners, curve = " and ".join(map(str, result["env_runners"].values())), result["curve"]
    return (
        f"Two nodes that the command starts on one machine, with {runners} env runners: reward per agent and tick of "
        f"`{result['settings']['task']}` {curve[0][1]:.3f} → {curve[-1][1]:.3f} after {curve[-1][0]:,} agent-steps in "
        f"{result['seconds']:.0f} s. {whence(result, 'ray-two-nodes.json')}"
    )


# ------------------------------------------------------------------------------------------------ fitted worlds


def fit_report() -> str:
    result = stored("fit_report")
    sections = [
        "How well the shipped arrays predict the four weeks they have not seen (mean over households, 95 % bootstrap "
        f"interval). {whence(result, 'fit_report.json')}"
    ]
    for subset, scores in result["held-out purchases"].items():
        rows = []
        for name, found in scores.items():
            values = [
                f"{found[m]['mean']:.4f} [{found[m]['low']:.4f}, {found[m]['high']:.4f}]" for m in ("ndcg", "recall")
            ]
            rows.append([name, *values, f"{found['fitted minus this']['ndcg']['mean']:+.4f}"])
        sections += [f"*{subset}*", markdown(["score", "NDCG@20", "recall@20", "fitted − this (NDCG)"], rows)]
    columns = result["purchases"]
    rows = []
    for name, value in columns["data, held out"].items():
        values = [column[name] for column in columns.values()]
        if isinstance(value, dict):
            said = [" / ".join(f"{x:.2f}" for x in quantiles.values()) for quantiles in values]
            rows.append([f"{name}, 10/25/50/75/90 %", *said])
        else:
            rows.append([name, *(f"{x:,.0f}" if name == "purchases" else f"{x:.2f}" for x in values)])
    sections += [
        "The data, and as many purchases in `grocery-v1` as in the held-out weeks, from the state at their beginning. "
        "*Shelf*: every page is the whole catalogue, so that this is the world without a policy; the others: pages of "
        "twenty products that two agents with the same policy chose from retrieved candidates.",
        markdown(["statistic", *columns], rows),
    ]
    return "\n\n".join(sections)


def fit_origin() -> str:
    result = stored("fit_origin")
    settings = result["settings"]
    rows = [
        [name, f"`{row['origin']}`", " / ".join(f"{tau:.2f}" for tau in row["tau"])]
        for name, row in result["logs"].items()
    ]
    note = (
        f"Kendall's τ between the orders of {len(settings['policies'])} policies in the world fitted to a log of "
        f"{settings['purchases']:,} purchases and in the synthetic world where they were made; one number per such "
        f"world. {whence(result, 'fit_origin.json')}"
    )
    return f"{note}\n\n{markdown(['the log', '`origin`', 'τ'], rows)}"


# ------------------------------------------------------------------------------------------------ tasks


def tasks(named: str) -> str:
    """All tasks in a table.

    Args:
        named: how a name is written, as in "`{}`".
    """
    rows = []
    for name, task in TASKS.items():
        sharing = task.reward.sharing
        reward = {0.0: "own", 1.0: "team", -1.0: "zero-sum"}.get(sharing, f"shared {sharing:g}")
        sizes = [task.num_agents, task.slots, task.page, task.action]
        rows.append([named.format(name), summary(task), *sizes, reward])
    return markdown(["task", "what it is", "agents", "slots", "page", "action", "reward"], rows)


def summary(task: WorldConfig) -> str:
    """The first line of its description."""
    return task.description.partition("\n")[0].rstrip(".")


# ------------------------------------------------------------------------------------------------ the README


def readme_tables(path: Path = README) -> None:
    """Put the README's tables between their markers, `<!-- tasks -->` and `<!-- /tasks -->`, and so on.

    Raises:
        ValueError: it has no such markers.
    """
    text = path.read_text()
    for name, body in {"tasks": tasks("`{}`"), "scores": if_measured(_readme_scores)}.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{path.name} has no markers {begin} and {end}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{end}{rest.split(end)[1]}"
    path.write_text(text)


def _readme_scores() -> str:
    report = stored("evaluation")
    return f"{_leaderboard_note(report)}\n\n{_leaderboard(report)}"


if __name__ == "__main__":
    readme_tables()
