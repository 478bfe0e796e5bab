"""Train an algorithm by the protocol of the published learners, and write its results beside theirs.

    python -m baselines paper my_file:MyAlgorithm                                  # all tasks of the suite marl
    python -m baselines paper my_file:MyAlgorithm --tasks social-v1 --seeds 3 --timesteps 200000     # a first look

The folder (--out, by default runs/paper-NAME) holds

    paper.md           tables of the algorithm and of the published learners, its play in scenarios and with partners
                       that it was not trained with, and the protocol in words, with its cost
    tables.tex         the tables of scores and of rewards in LaTeX, for the package booktabs
    curves.png, .pdf   evaluations while training, of the algorithm and of the published learners, with intervals
    aggregate.png      scores over all tasks with intervals, where the tasks share one scale
    marl_eval.json     all runs in marl-eval's form
    training/, robustness/     the results, as `python -m baselines reference` and `robustness` store them
    policies/, runs/           the trained policies, and the runs that scores were computed from

Trainings and measurements that are stored there are not repeated, so the same command goes on after an interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import SUITES, cli
from recsys_env.evaluation import UNSEEN, scale_ends
from recsys_env.evaluation.plots import draw_comparison, draw_intervals
from recsys_env.evaluation.runs import Run, obstacle, play_all
from recsys_env.evaluation.statistics import aggregate, interval
from recsys_env.evaluation.tables import bracketed, latex, markdown, spread
from recsys_env.files import write_json
from recsys_env.provenance import provenance

from .algorithms import check_library, find_algorithm
from .learners import LEARNERS, ReferenceLearner, budget
from .options import run_name
from .reference import ReferenceJob, files_of, row_of, stored_for, train_missing, training_summary
from .robustness import Trained, add_cross_play, add_scenarios, read
from .training_results import RESULTS, TrainingResults, marl_eval, read_folder

Rows = dict[str, dict[str, dict[str, Any]]]  # learner -> task -> as of `row_of`


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
    cli.at_least(1, workers=workers, episodes=episodes)
    for option, count in {"seeds": seeds, "timesteps": timesteps}.items():
        cli.at_least(1, **({} if count is None else {option: count}))
    check_library(find_algorithm(algorithm))
    study = Study(algorithm, tuple(cli.tasks_of(tasks)), seeds, timesteps, results, episodes)
    study.check()
    out = out or Path("runs") / run_name("paper", study.name)
    print(_plan(study), flush=True)
    train_missing(study.jobs, out / "policies", out / "training", workers)
    for each in study.trained(out):
        file = out / "robustness" / f"{run_name(each.learner, each.task)}.json"
        add_scenarios(each, file, episodes, out)
        add_cross_play(each, file, episodes, out)
    return write(study, out)


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines paper`."""
    path = cli.run(paper, "baselines paper", argv)
    print(f"Tables, figures and the protocol are in {path}.")


@dataclass(frozen=True)
class Study:
    """An algorithm that is compared with the published learners.

    Args:
        word: module:class or name of the algorithm.
        tasks: their names, with changed fields.
        seeds: of training; None: those of the protocol.
        timesteps: agent-steps; None: the budget of the protocol.
        results: folder of the published learners' results.
        episodes: of each run in scenarios and cross-play.
    """

    word: str
    tasks: tuple[str, ...]
    seeds: int | None
    timesteps: int | None
    results: Path
    episodes: int

    @property
    def name(self) -> str:
        """The algorithm's name, marked where a published learner has the same one."""
        name = find_algorithm(self.word).name
        return f"{name}-yours" if name in LEARNERS else name

    @cached_property
    def learner(self) -> ReferenceLearner:
        """The algorithm as a learner of the table."""
        return ReferenceLearner(self.name, self.word, self.tasks, {})

    @cached_property
    def jobs(self) -> list[ReferenceJob]:
        """One training for each seed and task, the first seeds first."""
        found = []
        for task in self.tasks:
            for seed in self.learner.seeds(task) if self.seeds is None else range(self.seeds):
                run = self.learner.training(task, seed=seed, timesteps=self.timesteps or budget(task))
                found.append(ReferenceJob(run_name(self.name, task, seed), run, self.name, task))
        return sorted(found, key=lambda job: job.algorithm.seed)

    def check(self) -> None:
        """Raise ValueError if an option is out of its range or the algorithm cannot play a task."""
        for job in self.jobs:
            job.algorithm.check()
            job.algorithm.world()

    def of_task(self, task: str) -> list[ReferenceJob]:
        return [job for job in self.jobs if job.task == task]

    def trained(self, out: Path) -> list[Trained]:
        """The trained seeds on each task."""
        return [
            Trained(
                self.name,
                task,
                self.of_task(task)[0].algorithm,
                {job.algorithm.seed: out / "policies" / job.name for job in self.of_task(task)},
            )
            for task in self.tasks
        ]


def _plan(study: Study) -> str:
    """How much is trained, and what that took the published learners."""
    steps = sum(job.algorithm.timesteps for job in study.jobs)
    took = {name: sum(row["core_hours"] for row in of.values()) for name, of in published(study).items()}
    said = f"{len(study.jobs)} trainings of {steps / 1e6:.3g} million agent-steps in all"
    hours = [f"{name} {hours:.2g}" for name, hours in took.items()]
    return said + (f"; core-hours of the published learners on these tasks: {', '.join(hours)}" if hours else "")


# ------------------------------------------------------------------------------------------------ results


def published(study: Study) -> Rows:
    """The published learners, but for variants of others, on the tasks of a study."""
    found = training_summary(study.results)["learners"]
    rows = {
        name: {task: learner["tasks"][task] for task in study.tasks if task in learner["tasks"]}
        for name, learner in found.items()
        if learner["like"] is None
    }
    return {name: of for name, of in rows.items() if of}


def scales(study: Study, out: Path) -> dict[str, dict[str, np.ndarray]]:
    """What the two ends of each task's scale earn with each seed of the study; nothing where one cannot play.

    They play the episodes on which the trained policies of these seeds are measured.
    """
    found = {}
    for task in study.tasks:
        config, jobs = cli.config_of(task), study.of_task(task)
        ends = scale_ends(config)
        if not any(obstacle(config, config.agents[0], end) for end in ends):
            episodes = jobs[0].algorithm.final_episodes
            runs = [Run(task, end, job.algorithm.seed, episodes, 0, False) for end in ends for job in jobs]
            own = [float(np.mean(run["individual_reward"])) for run in play_all(runs, out / "runs", resume=True)]
            found[task] = dict(zip(ends, np.reshape(own, (2, len(jobs))), strict=True))
    return found


def scores(rewards: Sequence[float], ends: Mapping[str, np.ndarray]) -> list[float]:
    """Return the seeds' rewards as scores: the mean reward of the first end is 0, that of the second is 100.

    The list is empty if the second end does not earn more than the first.
    """
    low, high = (float(values.mean()) for values in ends.values())
    return [100 * (reward - low) / (high - low) for reward in rewards] if high > low else []


def over_tasks(rows: Rows, ends: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """The scores over the tasks of each suite; see `evaluation.statistics.aggregate`."""
    tasks = {}
    for task, of in ends.items():
        scored = {name: scores(found[task]["runs"]["trained"], of) for name, found in rows.items() if task in found}
        if any(scored.values()):
            tasks[task] = {
                "ends": list(of),
                "teams": {name: {"run_scores": values} for name, values in scored.items()},
            }
    return aggregate(tasks)


# ------------------------------------------------------------------------------------------------ the folder


def write(study: Study, out: Path) -> Path:
    """Write tables, figures, marl-eval's form and the text; return the path of the text."""
    files = files_of(study.jobs, out / "training")
    stored = [results for results in files.values() if results.runs]
    first = [study.of_task(task)[0] for task in study.tasks]
    own = {job.task: row_of(files[job.file_name].runs) for job in first if files[job.file_name].runs}
    rows: Rows = {study.name: own, **published(study)}
    ends = scales(study, out)
    over = over_tasks(rows, ends)
    write_json(out / "marl_eval.json", marl_eval(_for_marl_eval(study, stored)))
    panels = {
        task: {name: _evaluations(found[task]) for name, found in rows.items() if task in found} for task in study.tasks
    }
    levels = {task: {name: float(values.mean()) for name, values in of.items()} for task, of in ends.items()}
    for kind in ("png", "pdf"):
        draw_comparison(panels, levels, study.name, out / f"curves.{kind}")
    for suite, found in over.items():
        intervals = {name: row["iqm"] for name, row in found["teams"].items()}
        draw_intervals(intervals, f"score over {len(found['tasks'])} tasks (IQM), 95 %", out / f"aggregate-{suite}.png")
    tables = _tables(study, rows, ends)
    (out / "tables.tex").write_text("\n\n".join(latex(*table) for table in tables.values()) + "\n", encoding="utf-8")
    text = [
        f"# {study.name} beside the published learners",
        *(f"## {title}\n\n{markdown(*table)}" for title, table in tables.items()),
        *_over(over),
        "## Evaluations while training\n\n![rewards of evaluations while training](curves.png)",
        *_robustness(study, out),
        _protocol(study, rows, stored),
    ]
    path = out / "paper.md"
    path.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return path


def _for_marl_eval(study: Study, stored: Sequence[TrainingResults]) -> list[TrainingResults]:
    """The study's results, and those of the published learners that were trained on all of its tasks with its seeds."""
    found, seeds = list(stored), set.intersection(*(set(results.seeds()) for results in stored))
    theirs = read_folder(study.results)
    for learner in LEARNERS.values():
        if learner.like is None and set(study.tasks) <= set(learner.tasks):
            of = [stored_for(learner.job(task), theirs) for task in study.tasks]
            whole = [each for each in of if each is not None and seeds <= set(each.seeds())]
            found += whole if len(whole) == len(of) else []
    return found


def _evaluations(row: Mapping[str, Any]) -> dict[str, Any]:
    """agent_steps [P] and reward [seeds][P] of the evaluations that all seeds have."""
    seeds = list(row["evaluations"].values())
    points = min(len(of["reward"]) for of in seeds)
    return {"agent_steps": seeds[0]["agent_steps"][:points], "reward": [of["reward"][:points] for of in seeds]}


Table = tuple[list[str], list[list[str]]]


def _tables(study: Study, rows: Rows, ends: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Table]:
    """Title -> heading and rows: the normalised scores and the rewards of all learners, the study's first."""
    head = ["learner", "reward", "agent-steps", *study.tasks]
    scored: list[list[str]] = []
    paid: list[list[str]] = []
    for name, of in rows.items():
        steps = sorted(row["agent_steps"] / 1e6 for row in of.values())
        budget = " to ".join(dict.fromkeys((f"{steps[0]:.3g}", f"{steps[-1]:.3g}")))
        first = [name, _reward_of(name), f"{budget} M"]
        scored.append([*first, *(_score(of.get(task), ends.get(task, {})) for task in study.tasks)])
        paid.append([*first, *(spread(of[task]["reward"]) if task in of else "" for task in study.tasks)])
    for i in range(2):
        values = [list(found.items())[i] if (found := ends.get(task)) else ("", np.zeros(0)) for task in study.tasks]
        row = [f"{name} {spread(interval(earned))}" if name else "" for name, earned in values]
        paid.append([f"score {100 * i}", "", "", *row])
    return {"Normalised scores": (head, scored), "Individual reward per learner and episode": (head, paid)}


def _reward_of(name: str) -> str:
    """What a learner is paid."""
    learner = LEARNERS.get(name)
    sharing = learner.settings.get("sharing") if learner else None
    return {None: "task's", 0.0: "own", 1.0: "team's"}[sharing]


def _score(row: Mapping[str, Any] | None, ends: Mapping[str, np.ndarray]) -> str:
    values = scores(row["runs"]["trained"], ends) if row and ends else []
    return spread(interval(np.array(values)), 1) if values else ""


def _over(over: Mapping[str, Any]) -> list[str]:
    """The scores over tasks as text, or why there are none."""
    if not over:
        return [
            "There is no score over all tasks: that needs two tasks of a suite, on which 0 and 100 mean the same, and "
            "two seeds."
        ]
    found = []
    for suite, of in over.items():
        rows = [[name, bracketed(row["iqm"], 1), bracketed(row["mean"], 1)] for name, row in of["teams"].items()]
        table = markdown(["learner", "IQM", "mean"], rows)
        picture = f"![scores over the tasks of {suite}](aggregate-{suite}.png)"
        found.append(f"## Over {len(of['tasks'])} tasks of {SUITES[suite].title}\n\n{table}\n\n{picture}")
    return found


# ------------------------------------------------------------------------------------------------ robustness


def _robustness(study: Study, out: Path) -> list[str]:
    """Cross-play of the study's seeds, and its play in scenarios."""
    found = {
        each.task: read(out / "robustness" / f"{run_name(study.name, each.task)}.json") for each in study.trained(out)
    }
    crossed, beside, scenarios = [], [], []
    for task, pieces in found.items():
        if play := pieces.get("cross_play"):
            values = [spread(play[kind]) if play[kind] else "" for kind in ("self_play", "cross_play", "gap")]
            crossed.append([task, *values])
            beside += [[task, partner, spread(earned)] for partner, earned in play["partners"].items()]
        for name, row in pieces["scenarios"]["found"].items():
            score = spread({"mean": row["score"], "ci95": row["score_ci95"]}, 1)
            scenarios.append([name, spread(row["reward"]), score, list(row["ends"])[1]])
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


# ------------------------------------------------------------------------------------------------ the protocol


def _protocol(study: Study, rows: Rows, stored: Sequence[TrainingResults]) -> str:
    """The protocol in words, what is shorter than in the published one, and its cost."""
    job, source = study.jobs[0].algorithm, provenance()
    seeds = {task: len(study.of_task(task)) for task in study.tasks}
    hours = {name: sum(row["core_hours"] for row in of.values()) for name, of in rows.items()}
    options = {name: value for name, value in job.hyperparameters().items() if name != "timesteps"}
    steps = {task: study.of_task(task)[0].algorithm.timesteps for task in study.tasks}
    lines = [
        f"Tasks: {', '.join(study.tasks)}.",
        f"Budget in agent-steps: {_by_task(steps, ',')}. All agents of a task learn at the same time.",
        f"Training seeds: {_by_task(seeds, '')}. They are the independent samples of all intervals, which are 95 % "
        "intervals of Student's t over seeds where nothing else is said.",
        f"Evaluation: {job.evaluations} times at equal intervals while training, {job.eval_episodes} episodes each. "
        "The score is that of the last policy where each agent is paid for itself, and that of the best evaluation "
        f"where all are paid the same or one agent learns. It is measured on {job.final_episodes} other episodes, "
        f"whose seeds are {UNSEEN} + the training seed. The ends of the scale play the episodes of {study.name}.",
        f"Settings of {study.name}: its defaults ({', '.join(f'{option} = {of}' for option, of in options.items())}). "
        "No sweep was made for it; the settings of the published learners were chosen by sweeps.",
        f"Beyond its observations {study.name} is given, as its class says (`given`): "
        f"{', '.join(job.given()) or 'nothing'}.",
        f"Cost: {hours[study.name]:.2g} core-hours for training and evaluating {study.name}"
        + "".join(f", {cost:.2g} for {name}" for name, cost in hours.items() if name != study.name)
        + ", in processor time.",
        f"Code: commit {', '.join(sorted({str(of['commit']) for found in stored for of in found.sources}))}; "
        f"`{source['command']}`; {source['processor']}, {source['date']}.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in source["versions"].items()) + ".",
    ]
    shorter = _shorter(study, steps, seeds)
    first = (
        f"This is **not** the published protocol: {'; '.join(shorter)}. Its rows are not comparable with the published "
        "ones at equal budgets."
        if shorter
        else "This is the protocol of the published learners."
    )
    return "\n\n".join(["## Protocol", first, "\n".join(f"- {line}" for line in lines)])


def _by_task(values: Mapping[str, int], grouping: str) -> str:
    """A number that all tasks share, or that of each."""
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values())):{grouping}}"
    return ", ".join(f"{value:{grouping}} on {task}" for task, value in values.items())


def _shorter(study: Study, steps: Mapping[str, int], seeds: Mapping[str, int]) -> list[str]:
    """How a study differs from the published protocol, in words."""
    budgets = {task: budget(task) for task in study.tasks}
    numbers = {task: len(study.learner.seeds(task)) for task in study.tasks}
    missing = {
        name: [task for task in suite.tasks if task not in study.tasks]
        for name, suite in SUITES.items()
        if set(suite.tasks) & set(study.tasks)
    }
    found = [f"of the suite {name}, {', '.join(left)} are left out" for name, left in missing.items() if left]
    if changed := [task for task in study.tasks if not any(task in suite.tasks for suite in SUITES.values())]:
        found.append(f"{', '.join(changed)} are in no suite")
    if steps != budgets:
        found.append(f"{_by_task(steps, ',')} agent-steps instead of {_by_task(budgets, ',')}")
    if seeds != numbers:
        found.append(f"seeds: {_by_task(seeds, '')} instead of {_by_task(numbers, '')}")
    return found
