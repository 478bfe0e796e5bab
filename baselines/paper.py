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
    trials/                    a short training on each task, which comes before all others

A task on which a training fails is left out, and the text names it. Trainings and measurements that are stored there
are not repeated, so the same command goes on after an interruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
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
from .jobs import LOG, JobsFailed, train_all
from .learners import LEARNERS, ReferenceLearner, budget
from .options import Algorithm, run_name
from .reference import ReferenceJob, files_of, row_of, stored_for, train_missing, training_summary
from .robustness import Trained, add_cross_play, add_scenarios, read
from .training_results import RESULTS, TrainingResults, marl_eval, read_folder

Rows = dict[str, dict[str, dict[str, Any]]]  # learner -> task -> as of `row_of`
Ends = Mapping[str, Mapping[int, float]]  # policy at an end of a task's scale -> training seed -> reward
_SHORT = ("timesteps", "evaluations", "eval_episodes", "pretraining_steps")  # options that are 1 in a trial
_ROUNDING = 1.05  # published runs, which end with a whole rollout, played up to 1.03 times their budget


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
        ValueError, TypeError: no such algorithm or task, an option out of its range, or a task that the algorithm
            cannot play.
        ValueError: trainings on some tasks failed. paper.md of the other tasks is written then.
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
    study = try_out(study, out, workers)
    try:
        train_missing(study.jobs, out / "policies", out / "training", workers)
    except JobsFailed as error:
        study = study.without({job.task: out / "policies" / job.name for job in study.jobs if job in error.jobs})
    for each in study.trained(out):
        file = out / "robustness" / f"{run_name(each.learner, each.task)}.json"
        add_scenarios(each, file, episodes, out)
        add_cross_play(each, file, episodes, out)
    path = write(study, out)
    if study.failed:
        raise ValueError(f"{path} lacks {', '.join(study.failed)}: {study.failures()}")
    return path


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
        failed: tasks that were left out because a training failed -> the folder of that training.
    """

    word: str
    tasks: tuple[str, ...]
    seeds: int | None
    timesteps: int | None
    results: Path
    episodes: int
    failed: Mapping[str, Path] = field(default_factory=dict)

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

    def without(self, failed: Mapping[str, Path]) -> Study:
        """The study of the other tasks.

        Args:
            failed: tasks -> the folder of the training that failed.

        Raises:
            ValueError: no task is left.
        """
        left = replace(
            self,
            tasks=tuple(task for task in self.tasks if task not in failed),
            failed={**self.failed, **failed},
        )
        if not left.tasks:
            raise ValueError(left.failures())
        return left

    def failures(self) -> str:
        """Say which trainings failed."""
        said = [f"{task} ({_last_line(folder / LOG)}; see {folder / LOG})" for task, folder in self.failed.items()]
        return f"{self.name} cannot be trained on {', '.join(said)}"

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


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def try_out(study: Study, out: Path, workers: int) -> Study:
    """Train for one rollout on each task of which nothing is stored: mistakes are found before hours of training.

    Returns:
        the study of the tasks on which this does not fail.

    Raises:
        ValueError: it fails on all tasks.
    """
    stored = files_of(study.jobs, out / "training")
    new = [job for task in study.tasks if not stored[(job := study.of_task(task)[0]).file_name].runs]
    trials = [
        replace(job, name=run_name("trial", study.name, job.task), algorithm=_trial(job.algorithm)) for job in new
    ]
    try:
        train_all(trials, out / "trials", workers, lambda job, folder: None)
    except JobsFailed as error:
        left = study.without({job.task: out / "trials" / job.name for job in trials if job in error.jobs})
        print(f"These tasks are left out. {left.failures()}", flush=True)
        return left
    return study


def _trial(algorithm: Algorithm) -> Algorithm:
    """The shortest training of an algorithm."""
    short: dict[str, Any] = {option.name: 1 for option in fields(algorithm) if option.name in _SHORT}
    return replace(algorithm, **short)


def _plan(study: Study) -> str:
    """How much is trained, and what that takes the published learners."""
    steps = sum(job.algorithm.timesteps for job in study.jobs)
    hours = [f"{name} {hours:.2g} (measured on {on})" for name, (hours, on) in core_hours(study).items()]
    said = f"{len(study.jobs)} trainings of {steps / 1e6:.3g} million agent-steps in all"
    return said + (f"; the published learners take, in core-hours: {', '.join(hours)}" if hours else "")


def core_hours(study: Study) -> dict[str, tuple[float, str]]:
    """What each published learner takes for as many agent-steps as a study plans, by its core-hours per agent-step.

    Returns:
        learner -> core-hours, and the tasks whose measurements these rest on. A task that is not measured counts as the
        mean of those that are.
    """
    plan = {task: sum(job.algorithm.timesteps for job in study.of_task(task)) for task in study.tasks}
    found = {}
    for name, learner in training_summary(study.results)["learners"].items():
        if learner["like"] is None:
            rows = learner["tasks"]
            took = {task: row["core_hours"] for task, row in rows.items()}
            played = {task: row["agent_steps"] * len(row["seeds"]) for task, row in rows.items()}
            mean = sum(took.values()) / sum(played.values())
            hours = sum(of * (took[task] / played[task] if task in took else mean) for task, of in plan.items())
            found[name] = hours, ", ".join(rows)
    return found


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


def scales(study: Study, out: Path) -> dict[str, Ends]:
    """What the two ends of each task's scale earn with each seed of the study; nothing where one cannot play.

    They play the episodes on which the trained policies of these seeds are measured.
    """
    found: dict[str, Ends] = {}
    for task in study.tasks:
        config, jobs = cli.config_of(task), study.of_task(task)
        ends = scale_ends(config)
        if not any(obstacle(config, config.agents[0], end) for end in ends):
            episodes, seeds = jobs[0].algorithm.final_episodes, [job.algorithm.seed for job in jobs]
            runs = [Run(task, end, seed, episodes, 0, False) for end in ends for seed in seeds]
            own = [float(np.mean(run["individual_reward"])) for run in play_all(runs, out / "runs", resume=True)]
            rewards = np.reshape(own, (2, len(seeds))).tolist()
            found[task] = {end: dict(zip(seeds, of, strict=True)) for end, of in zip(ends, rewards, strict=True)}
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
    levels = {task: {name: float(np.mean(list(of[name].values()))) for name in of} for task, of in ends.items()}
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


def _tables(study: Study, rows: Rows, ends: Mapping[str, Ends]) -> dict[str, Table]:
    """Title -> heading and rows: the normalised scores and the rewards of all learners, the study's first."""
    head = ["learner", "reward", "given", "agent-steps", *study.tasks]
    scored: list[list[str]] = []
    paid: list[list[str]] = []
    for name, of in rows.items():
        trainings = {task: _training(study, name, task) for task in of}
        steps = sorted(row["agent_steps"] / 1e6 for row in of.values())
        budget = " to ".join(dict.fromkeys((f"{steps[0]:.3g}", f"{steps[-1]:.3g}")))
        first = [name, _paid_by(next(iter(trainings.values()))), _given(trainings.values()), f"{budget} M"]
        scored.append([*first, *(_score(of.get(task), ends.get(task, {})) for task in study.tasks)])
        paid.append([*first, *(spread(of[task]["reward"]) if task in of else "" for task in study.tasks)])
    for i in range(2):
        found = [list(ends[task].items())[i] if task in ends else ("", {}) for task in study.tasks]
        row = [f"{name} {spread(interval(np.array(list(earned.values()))))}" if name else "" for name, earned in found]
        paid.append([f"score {100 * i}", "", "", "", *row])
    return {"Normalised scores": (head, scored), "Individual reward per learner and episode": (head, paid)}


def _training(study: Study, name: str, task: str) -> Algorithm:
    """The training of the study's or a published learner on a task."""
    return study.of_task(task)[0].algorithm if name == study.name else LEARNERS[name].job(task)


def _paid_by(training: Algorithm) -> str:
    """The reward that a learner learns from."""
    return {None: "task's", 0.0: "own", 1.0: "team's"}.get(training.sharing, f"sharing {training.sharing}")


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
    steps = {task: row["agent_steps"] for task, row in rows[study.name].items()}
    lines = [
        f"Tasks: {', '.join(study.tasks)}.",
        f"Agent-steps of a training, which ends with a whole rollout: {_by_task(steps, ',')}. All agents of a task "
        "learn at the same time.",
        f"Training seeds: {_by_task(seeds, '')}. They are the independent samples of all intervals, which are 95 % "
        "intervals of Student's t over seeds where nothing else is said.",
        f"Evaluation: {job.evaluations} times at equal intervals while training, {job.eval_episodes} episodes each. "
        "The score is that of the last policy where each agent is paid for itself, and that of the best evaluation "
        f"where all are paid the same or one agent learns. It is measured on {job.final_episodes} other episodes, "
        f"whose seeds are {UNSEEN} + the training seed. The ends of the scale play the episodes of {study.name}. The "
        "scores are ratios of means over the seeds that a learner and these ends have in common, and their intervals "
        "hold the noise of the ends (delta method).",
        f"Settings of {study.name}: its defaults ({', '.join(f'{option} = {of}' for option, of in options.items())}). "
        "No sweep was made for it; the settings of the published learners were chosen by sweeps.",
        f"Beyond its observations {study.name} is given, as its class says (`given`): "
        f"{_given(job.algorithm for job in study.jobs)}.",
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
    """How a study differs from the published protocol, in words.

    Args:
        steps: agent-steps that a training has played, by task.
        seeds: number of seeds, by task.
    """
    budgets = {task: budget(task) for task in study.tasks}
    asked = {task: study.of_task(task)[0].algorithm.timesteps for task in study.tasks}
    numbers = {task: len(study.learner.seeds(task)) for task in study.tasks}
    missing = {
        name: [task for task in suite.tasks if task not in study.tasks]
        for name, suite in SUITES.items()
        if set(suite.tasks) & set(study.tasks)
    }
    found = [f"of the suite {name}, {', '.join(left)} are left out" for name, left in missing.items() if left]
    if study.failed:
        found.append(f"a training failed on {', '.join(study.failed)}")
    if changed := [task for task in study.tasks if not any(task in suite.tasks for suite in SUITES.values())]:
        found.append(f"{', '.join(changed)} are in no suite")
    if asked != budgets or any(steps[task] > _ROUNDING * budgets[task] for task in study.tasks):
        found.append(f"agent-steps: {_by_task(steps, ',')} instead of {_by_task(budgets, ',')}")
    if seeds != numbers:
        found.append(f"seeds: {_by_task(seeds, '')} instead of {_by_task(numbers, '')}")
    return found
