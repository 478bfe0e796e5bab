"""Train an algorithm by the protocol of the published learners, and write its results beside theirs.

    python -m baselines paper my_file:MyAlgorithm                                  # all tasks of the suite marl
    python -m baselines paper my_file:MyAlgorithm --tasks social-v1 --seeds 3 --timesteps 200000     # a first look

The folder (--out, by default runs/paper-NAME) holds

    paper.md           tables of the algorithm and of the published learners, its play in scenarios and with partners
                       that it was not trained with, and the protocol in words
    tables.tex         the tables of scores and of rewards in LaTeX, for the package booktabs
    curves.png, .pdf   evaluations while training, of the algorithm and of the published learners, with intervals
    aggregate-SUITE.png    scores over all tasks of a suite with intervals
    marl_eval.json     all runs of the algorithm in marl-eval's form
    training/, robustness/     the results, as `python -m baselines reference` and `robustness` store them
    policies/, runs/           the trained policies, and the runs that scores were computed from

What is stored there is not repeated, so the same command goes on after an interruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import SUITES, cli
from recsys_env.evaluation import UNSEEN, scale_ends
from recsys_env.evaluation.plots import draw_comparison, draw_intervals
from recsys_env.evaluation.runs import Run, obstacle, play_all
from recsys_env.evaluation.statistics import aggregate, interval, placed
from recsys_env.evaluation.tables import bracketed, latex, markdown, spread
from recsys_env.files import write_json
from recsys_env.provenance import provenance

from .algorithms import check_library, find_algorithm
from .learners import LEARNERS, ReferenceLearner, budget
from .options import Algorithm, run_name
from .reference import ReferenceJob, files_of, row_of, train_missing, training_summary
from .robustness import add_cross_play, add_scenarios, groups, read
from .training_results import RESULTS, marl_eval

Rows = dict[str, dict[str, dict[str, Any]]]  # learner -> task -> as of `row_of`
Ends = Mapping[str, Mapping[int, float]]  # policy at an end of a task's scale -> training seed -> reward
Table = tuple[list[str], list[list[str]]]  # heading, rows


def paper(
    algorithm: str,
    out: Path | None = None,
    tasks: tuple[str, ...] = ("marl",),
    seeds: int | None = None,
    timesteps: int | None = None,
    workers: int = 2,
    episodes: int = 50,
    results: Path = RESULTS,
) -> Path:
    """Train an algorithm as the published learners were trained, and write tables, figures and the protocol.

    Args:
        algorithm: module:class of your own, or a name, as `train` takes it; its options are their defaults.
        out: folder of everything; by default runs/paper-NAME.
        tasks: names of tasks, or of suites for all of their tasks.
        seeds: of training on each task; by default as many as of the published learners.
        timesteps: agent-steps of each training; by default the published budget.
        workers: trainings at a time, one core each.
        episodes: of each run in scenarios and cross-play.
        results: folder of the published learners' results.

    Returns:
        path of paper.md.

    Raises:
        ValueError, TypeError: no such algorithm or task, an option out of its range, a task that the algorithm cannot
            play, or trainings that failed.
        ImportError: a missing library.
    """
    cli.require("evaluate", "scipy", "rich", "tqdm", "matplotlib")
    cli.not_empty(tasks=tasks)
    given = {"seeds": seeds, "timesteps": timesteps}
    cli.at_least(1, workers=workers, episodes=episodes, **{k: v for k, v in given.items() if v is not None})
    check_library(find_algorithm(algorithm))
    jobs = jobs_of(algorithm, cli.tasks_of(tasks), seeds, timesteps)
    out = out or Path("runs") / run_name("paper", jobs[0].learner)
    steps = sum(job.algorithm.timesteps for job in jobs)
    print(f"{len(jobs)} trainings of {steps / 1e6:.3g} million agent-steps in all", flush=True)
    train_missing(jobs, out / "policies", out / "training", workers)
    for each in groups(jobs, out / "policies"):
        file = out / "robustness" / each.file_name
        add_scenarios(each, file, episodes, out)
        add_cross_play(each, file, episodes, out)
    return write(jobs, out, results)


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines paper`."""
    path = cli.run(paper, "baselines paper", argv)
    print(f"Tables, figures and the protocol are in {path}.")


def jobs_of(algorithm: str, tasks: Sequence[str], seeds: int | None, timesteps: int | None) -> list[ReferenceJob]:
    """One training for each seed and task, the first seeds first; arguments are those of `paper`.

    Raises:
        ValueError: an option is out of its range, or the algorithm cannot play a task.
    """
    name = find_algorithm(algorithm).name
    name = f"{name}-yours" if name in LEARNERS else name
    learner, found = ReferenceLearner(name, algorithm, tuple(tasks), {}), []
    for task in tasks:
        for seed in learner.seeds(task) if seeds is None else range(seeds):
            run = learner.training(task, seed=seed, timesteps=timesteps or budget(task))
            run.check()
            run.world()
            found.append(ReferenceJob(run_name(name, task, seed), run, name, task))
    return sorted(found, key=lambda job: job.algorithm.seed)


# ------------------------------------------------------------------------------------------------ scores


def scales(jobs: Sequence[ReferenceJob], out: Path) -> dict[str, Ends]:
    """What the two ends of each task's scale earn with each seed; nothing where one cannot play.

    They play the episodes on which the trained policies of these seeds are measured.
    """
    found: dict[str, Ends] = {}
    for task in dict.fromkeys(job.task for job in jobs):
        config, of = cli.config_of(task), [job.algorithm for job in jobs if job.task == task]
        ends = scale_ends(config)
        if not any(obstacle(config, config.agents[0], end) for end in ends):
            seeds = [algorithm.seed for algorithm in of]
            runs = [Run(task, end, seed, of[0].final_episodes, 0, False) for end in ends for seed in seeds]
            own = [float(np.mean(run["individual_reward"])) for run in play_all(runs, out / "runs", resume=True)]
            rewards = np.reshape(own, (2, len(seeds))).tolist()
            found[task] = {end: dict(zip(seeds, row, strict=True)) for end, row in zip(ends, rewards, strict=True)}
    return found


def score(row: Mapping[str, Any], ends: Ends) -> dict[str, Any]:
    """Return the score of a learner on a task, from the seeds with which the ends of the scale were played, too.

    Args:
        row: as of `reference.row_of`.
        ends: of the task's scale.

    Returns:
        score, score_ci95 and run_scores as of `statistics.placed`; nothing if there is no such seed.
    """
    earned = dict(zip([seeds["training"] for seeds in row["seeds"]], row["runs"]["trained"], strict=True))
    common = [seed for seed in earned if all(seed in of for of in ends.values())]
    if not (ends and common):
        return {}
    return placed(*(np.array([of[seed] for seed in common]) for of in (earned, *ends.values())))


def over_tasks(rows: Rows, ends: Mapping[str, Ends]) -> dict[str, Any]:
    """The scores over the tasks of each suite; see `evaluation.statistics.aggregate`."""
    tasks = {}
    for task, of in ends.items():
        teams = {name: score(found[task], of) for name, found in rows.items() if task in found}
        if any(team.get("run_scores") for team in teams.values()):
            tasks[task] = {"ends": list(of), "teams": teams}
    return aggregate(tasks)


# ------------------------------------------------------------------------------------------------ the folder


def write(jobs: Sequence[ReferenceJob], out: Path, results: Path) -> Path:
    """Write tables, figures, marl-eval's form and the text; return the path of the text."""
    files = files_of(jobs, out / "training")
    name, trainings = jobs[0].learner, {job.task: job.algorithm for job in jobs}
    rows: Rows = {name: {job.task: row_of(files[job.file_name].runs) for job in jobs}}
    for other, learner in training_summary(results)["learners"].items():
        of = {task: row for task, row in learner["tasks"].items() if task in trainings}
        if of and learner["like"] is None:
            rows[other] = of
    ends = scales(jobs, out)
    over = over_tasks(rows, ends)
    write_json(out / "marl_eval.json", marl_eval(files.values()))
    panels = {
        task: {learner: _evaluations(of[task]) for learner, of in rows.items() if task in of} for task in trainings
    }
    levels = {task: {end: float(np.mean(list(of[end].values()))) for end in of} for task, of in ends.items()}
    for kind in ("png", "pdf"):
        draw_comparison(panels, levels, name, out / f"curves.{kind}")
    for suite, found in over.items():
        intervals = {learner: row["iqm"] for learner, row in found["teams"].items()}
        draw_intervals(intervals, f"score over {len(found['tasks'])} tasks (IQM), 95 %", out / f"aggregate-{suite}.png")
    tables = _tables(rows, ends, trainings)
    (out / "tables.tex").write_text("\n\n".join(latex(*table) for table in tables.values()) + "\n", encoding="utf-8")
    text = [
        f"# {name} beside the published learners",
        *(f"## {title}\n\n{markdown(*table)}" for title, table in tables.items()),
        *_over(over),
        "## Evaluations while training\n\n![rewards of evaluations while training](curves.png)",
        *_robustness(out / "robustness", name, trainings),
        _protocol(jobs, rows),
    ]
    path = out / "paper.md"
    path.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return path


def _evaluations(row: Mapping[str, Any]) -> dict[str, Any]:
    """agent_steps [P] and reward [seeds][P] of the evaluations that all seeds have."""
    seeds = list(row["evaluations"].values())
    points = min(len(of["reward"]) for of in seeds)
    return {"agent_steps": seeds[0]["agent_steps"][:points], "reward": [of["reward"][:points] for of in seeds]}


def _tables(rows: Rows, ends: Mapping[str, Ends], own: Mapping[str, Algorithm]) -> dict[str, Table]:
    """Title -> heading and rows: the normalised scores and the rewards of all learners, the user's first."""
    head = ["learner", "reward", "given", "agent-steps", *own]
    scored: list[list[str]] = []
    paid: list[list[str]] = []
    for name, of in rows.items():
        trainings = [LEARNERS[name].job(task) if name in LEARNERS else own[task] for task in of]
        reward = {None: "task's", 0.0: "own", 1.0: "team's"}.get(trainings[0].sharing, "mixed")
        steps = sorted(row["agent_steps"] / 1e6 for row in of.values())
        millions = " to ".join(dict.fromkeys((f"{steps[0]:.3g}", f"{steps[-1]:.3g}")))
        first = [name, reward, _given(trainings), f"{millions} M"]
        scored.append([*first, *(_score(of.get(task), ends.get(task, {})) for task in own)])
        paid.append([*first, *(spread(of[task]["reward"]) if task in of else "" for task in own)])
    for i in range(2):
        found = [list(ends[task].items())[i] if task in ends else ("", {}) for task in own]
        row = [f"{end} {spread(interval(np.array(list(earned.values()))))}" if end else "" for end, earned in found]
        paid.append([f"score {100 * i}", "", "", "", *row])
    return {"Normalised scores": (head, scored), "Individual reward per learner and episode": (head, paid)}


def _given(trainings: Iterable[Algorithm]) -> str:
    """What training uses beyond each learner's own observations, on any of these tasks."""
    return ", ".join(dict.fromkeys(given for training in trainings for given in training.given())) or "nothing"


def _score(row: Mapping[str, Any] | None, ends: Ends) -> str:
    found = score(row, ends) if row else {}
    if found.get("score") is None:
        return ""
    return spread({"mean": found["score"], "ci95": found["score_ci95"]}, 1)


def _over(over: Mapping[str, Any]) -> list[str]:
    """The scores over tasks as text, or why there are none."""
    if not over:
        return ["There is no score over all tasks: that needs two tasks of a suite, and two seeds."]
    found = []
    for suite, of in over.items():
        rows = [[name, bracketed(row["iqm"], 1), bracketed(row["mean"], 1)] for name, row in of["teams"].items()]
        table = markdown(["learner", "IQM", "mean"], rows)
        picture = f"![scores over the tasks of {suite}](aggregate-{suite}.png)"
        found.append(f"## Over {len(of['tasks'])} tasks of {SUITES[suite].title}\n\n{table}\n\n{picture}")
    return found


def _robustness(folder: Path, name: str, tasks: Iterable[str]) -> list[str]:
    """Cross-play of the seeds, and their play in scenarios."""
    crossed, beside, scenarios = [], [], []
    for task in tasks:
        pieces = read(folder / f"{run_name(name, task)}.json")
        if play := pieces.get("cross_play"):
            values = [spread(play[kind]) if play[kind] else "" for kind in ("self_play", "cross_play", "gap")]
            crossed.append([task, *values])
            beside += [[task, partner, spread(earned)] for partner, earned in play["partners"].items()]
        for scenario, row in pieces["scenarios"]["found"].items():
            placed_at = spread({"mean": row["score"], "ci95": row["score_ci95"]}, 1)
            scenarios.append([scenario, spread(row["reward"]), placed_at, list(row["ends"])[1]])
    text = []
    if crossed:
        text += [
            "## Partners that were not trained together\n\nThe gap is what a team of one seed earns beyond teams of "
            "two; the interval is that of the jackknife over seeds. Where rewards are shared, all numbers are "
            "the team's mean, elsewhere the reward of the agent in one seat.",
            markdown(["task", "each seed with itself", "pairs of seeds", "gap"], crossed),
            markdown(["task", "scripted partner in all other seats", "reward"], beside),
        ]
    if scenarios:
        text += [
            "## Scenarios\n\nReward per focal agent and episode among held-out agents; 0 is random play, and 100 the "
            "policy in the last column.",
            markdown(["scenario", "reward", "score", "100"], scenarios),
        ]
    return text


def _protocol(jobs: Sequence[ReferenceJob], rows: Rows) -> str:
    """The protocol in words, beside the published one, and its cost."""
    first, name, source = jobs[0].algorithm, jobs[0].learner, provenance()
    budgets = [
        [
            task,
            *(f"{row['agent_steps']:,}", f"{budget(task):,}"),
            *(str(len(row["seeds"])), str(len(ReferenceLearner(name, name, (), {}).seeds(task)))),
        ]
        for task, row in rows[name].items()
    ]
    head = ["task", "agent-steps", "published agent-steps", "seeds", "published seeds"]
    options = {option: value for option, value in first.hyperparameters().items() if option != "timesteps"}
    hours = {learner: sum(row["core_hours"] for row in of.values()) for learner, of in rows.items()}
    lines = [
        "All agents of a task learn at the same time. A training ends with a whole rollout. Training seeds are the "
        "independent samples of all intervals, which are 95 % intervals of Student's t where nothing else is said.",
        f"Evaluation: {first.evaluations} times at equal intervals while training, {first.eval_episodes} episodes "
        "each. The score is that of the last policy where each agent is paid for itself, and that of the best "
        f"evaluation where all are paid the same or one agent learns. It is measured on {first.final_episodes} other "
        f"episodes, whose seeds are {UNSEEN} + the training seed. Scores are ratios of means over the seeds that a "
        "learner and the ends of the scale have in common; their intervals hold the noise of the ends (delta method).",
        f"Settings of {name}: its defaults ({', '.join(f'{option} = {of}' for option, of in options.items())}). "
        "The settings of the published learners were chosen by sweeps.",
        "Core-hours of training and evaluation, in processor time: "
        + ", ".join(f"{cost:.2g} of {learner}" for learner, cost in hours.items())
        + ".",
        f"Command: `{source['command']}`; {source['processor']}, {source['date']}. Versions: "
        + ", ".join(f"{library} {version}" for library, version in source["versions"].items())
        + ".",
    ]
    bullets = "\n".join(f"- {line}" for line in lines)
    return f"## Protocol\n\n{markdown(head, budgets)}\n\n{bullets}"
