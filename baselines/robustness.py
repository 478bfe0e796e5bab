"""How trained policies act among agents that they were not trained with, and what could be gained against them.

    python -m baselines robustness                                        # all learners and tasks of runs/reference
    python -m baselines robustness --only ppo-torch --tasks social-v1     # some

Three pieces are measured for each learner and task, whose seeds are the independent samples of all intervals:

scenarios        the reward and the score of the learner among held-out agents (`recsys_env.SCENARIOS`); training seed
                 s plays the episodes of evaluation seed s
cross_play       what a seed earns with, or against, itself, another seed of the same learner, and scripted partners,
                 who play all seats but one (`evaluation.tournaments`); likewise on episodes of its own
exploitability   what one agent of each role gains from the best response that was found, while all others keep their
                 policies: the exact gain in finite games, elsewhere a lower bound (`recsys_env.exact.exploitability`),
                 whose candidates are rankers and `ppo-torch`, trained against the frozen policies

The pieces of a learner and task are stored in one file as soon as they are measured. What is stored with the same
settings and policies stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import SCENARIOS, WorldConfig, cli
from recsys_env.evaluation import compared
from recsys_env.evaluation.runs import Run, digest_of, obstacle, play_all
from recsys_env.evaluation.scenarios import results_of
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tournaments import games, payoffs_of
from recsys_env.evaluation.tuning import Budget, states_of
from recsys_env.exact import exploitability, regrets, tabulate
from recsys_env.exact.policy_tables import Refused, played
from recsys_env.files import read_json, write_json
from recsys_env.policies import knowledge
from recsys_env.policies.registry import made_for_prices
from recsys_env.provenance import provenance, task_digests

from .jobs import Job, train_all
from .learners import LEARNERS, MARL, PUBLISHED, SWEEP, chosen, full_length
from .options import Algorithm, run_name
from .reference import ReferenceJob, jobs
from .training_results import RESULTS as TRAINING

RESULTS = TRAINING.parent / "robustness"
SEARCH = Budget(generations=8, searches=1)  # of the rankers among the responses
GAIN_EPISODES = 192
TRAINED = "trained"  # the reply that was trained
_MEAN = {"mean": float, "ci95": (float, None)}
_FORM = {
    "learner": str,
    "task": str,
    "scenarios?": {
        "settings": {str: object},
        "found": {str: {"reward": _MEAN, "score": (float, None), "score_ci95": (float, None), "ends": {str: _MEAN}}},
        "missing": {str: str},
    },
    "cross_play?": {
        "settings": {str: object},
        "payoffs": [[float]],
        "self_play": _MEAN,
        "cross_play": (_MEAN, None),
        "gap": (_MEAN, None),
        "partners": {str: _MEAN},
        "missing": {str: str},
    },
    "exploitability?": {
        "settings": {str: object},
        "seeds": {str: {"exact": bool, "agents": {str: {"reply": str, "gain": _MEAN}}, "missing?": str}},
    },
}


@dataclass(frozen=True)
class Trained:
    """The trained seeds of a learner on a task.

    Args:
        learner, task: names; the task with changed fields.
        algorithm: with the options of a seed.
        folders: seed -> folder of its policy, whose names differ only in the seed.
    """

    learner: str
    task: str
    algorithm: Algorithm
    folders: Mapping[int, Path]

    @property
    def played(self) -> str:
        """The task as the learner plays it, in the words of commands."""
        return self.algorithm.task_in_words()

    @property
    def config(self) -> WorldConfig:
        """Of the task as the learner plays it, with the task's own reward."""
        return cli.config_of(self.played)

    @property
    def pattern(self) -> str:
        """The folders of all seeds, with {seed} in place of the seed."""
        seed, folder = next(iter(self.folders.items()))
        return f"{str(folder).removesuffix(str(seed))}{{seed}}"

    @property
    def file_name(self) -> str:
        return f"{run_name(self.learner, self.task)}.json"

    def settings(self, **more: Any) -> dict[str, Any]:
        """What decides the result of a piece: the task, the policies and what else is given."""
        task, *fields = cli.split_task(self.played)
        made_of = {str(seed): str(digest_of(str(folder))) for seed, folder in self.folders.items()}
        return {"task": task, "set": fields, **more, "made_of": made_of}


def groups(wanted: Sequence[ReferenceJob], runs: Path) -> list[Trained]:
    """The learners and tasks of which finished trainings are in a folder of policies' folders."""
    found: dict[tuple[str, str], list[ReferenceJob]] = {}
    for job in wanted:
        if job.is_done(runs):
            found.setdefault((job.learner, job.task), []).append(job)
    return [
        Trained(learner, task, of[0].algorithm, {job.algorithm.seed: runs / job.name for job in of})
        for (learner, task), of in found.items()
    ]


# ------------------------------------------------------------------------------------------------ the command


def robustness(
    runs: Path = Path("runs/reference"),
    out: Path = Path("runs/robustness"),
    results: Path = RESULTS,
    workers: int = 2,
    only: tuple[str, ...] = (),
    tasks: tuple[str, ...] = PUBLISHED,
    episodes: int = 50,
    timesteps: int = 200_000,
) -> None:
    """Play the trained learners in scenarios and cross-play, and against best responses.

    Args:
        runs: folder of the trained policies' folders.
        out: folder for the runs and for the trained responses.
        results: folder of the results; what is there stays.
        workers: trainings of responses at a time, one core each.
        only: learners; by default all but the short runs.
        tasks: of the learners; the name of a suite stands for all of its tasks.
        episodes: of each run in scenarios and cross-play.
        timesteps: agent-steps of the training of each response.

    Raises:
        ValueError: no such learner or task, no trained policy of them, a damaged file, a policy that cannot play, or
            trainings that failed.
    """
    cli.require("evaluate", "scipy", "rich", "tqdm")
    cli.at_least(1, workers=workers, episodes=episodes, timesteps=timesteps)
    found = groups(jobs(only or full_length(), cli.tasks_of(tasks)), runs)
    if not found:
        raise ValueError(f"{runs} holds no trained policy of these learners; `python -m baselines reference` trains")
    for each in found:
        file = results / each.file_name
        add_scenarios(each, file, episodes, out)
        add_cross_play(each, file, episodes, out)
        if each.task in MARL:
            add_exploitability(each, file, timesteps, out, workers)
        print(f"{each.learner} on {each.task}: {file}", flush=True)


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines robustness`."""
    cli.run(robustness, "baselines robustness", argv)


# ------------------------------------------------------------------------------------------------ files


def read(path: Path) -> dict[str, Any]:
    """Read the stored pieces of a learner and task; raise `FileError` if the file is damaged."""
    found: dict[str, Any] = read_json(path, _FORM, "robustness of a learner")
    return found


def _add(each: Trained, file: Path, name: str, settings: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
    """Measure a piece and store it, unless it is stored with these settings."""
    stored: dict[str, Any] = read(file) if file.is_file() else {"learner": each.learner, "task": each.task}
    if stored.get(name, {}).get("settings") == settings:
        return
    stored[name] = {"settings": settings, "source": provenance() | {"played": task_digests(each.task)}, **measure()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, stored)


# ------------------------------------------------------------------------------------------------ scenarios


def add_scenarios(each: Trained, file: Path, episodes: int, out: Path) -> None:
    """Store what the learner earns in the scenarios of the task whose policies can play it as the learner does."""
    settings = each.settings(episodes=episodes)
    _add(each, file, "scenarios", settings, lambda: _scenarios(each, settings, out))


def _scenarios(each: Trained, settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Scenario -> reward, score and its ends; and why others are missing."""
    found, missing = {}, {}
    first = str(next(iter(each.folders.values())))
    for name, scenario in SCENARIOS.items():
        if scenario.task != settings["task"] or scenario.config.agents != each.config.agents:
            continue
        members = {**scenario.background, **dict.fromkeys(scenario.focal, first)}
        reasons = (obstacle(each.config, agent, policy) for agent, policy in members.items())
        if why := next(filter(None, reasons), ""):
            missing[name] = why
            continue
        seeds, episodes, changes = list(each.folders), settings["episodes"], settings["set"]
        of_all = results_of({name: scenario}, (each.pattern,), seeds, episodes, 1, out / "runs", True, changes)[name]
        row = of_all["policies"][each.pattern]
        found[name] = {
            "reward": {key: row[key] for key in ("mean", "ci95")},
            "runs": row["runs"],
            "score": row["score"],
            "score_ci95": row["score_ci95"],
            "ends": {end: {key: of_all["policies"][end][key] for key in ("mean", "ci95")} for end in of_all["ends"]},
        }
    return {"found": found, "missing": missing}


# ------------------------------------------------------------------------------------------------ cross-play


def partners(config: WorldConfig) -> list[str]:
    """The scripted partners of a task: policies that are usually compared, but for those that look at nothing, the
    policy that is 100 on its scale, and in games of prices those that answer prices."""
    names = dict.fromkeys((*compared(config), config.scale_hundred, *made_for_prices(config)))
    return [name for name in names if name not in ("random", "blind")]


def add_cross_play(each: Trained, file: Path, episodes: int, out: Path) -> None:
    """Play all seeds with each other and with scripted partners, and store what they earn; nothing if there is one
    agent."""
    if each.config.num_agents > 1:
        _add(each, file, "cross_play", each.settings(episodes=episodes), lambda: _cross_play(each, episodes, out))


def _cross_play(each: Trained, episodes: int, out: Path) -> dict[str, Any]:
    """payoffs [seeds][seeds]; self_play, cross_play and gap over seeds; partners: what a seed earns with each, and why
    others are missing."""
    config, folders = each.config, [str(folder) for folder in each.folders.values()]
    missing = {name: why for name in partners(config) if (why := obstacle(config, config.agents[-1], name))}
    beside = [name for name in partners(config) if name not in missing]
    columns = [*folders, *beside]
    rows = dict(zip(each.folders, folders, strict=True))
    runs = [
        Run(each.played, team, seed, episodes, 1, False)
        for seed, row in rows.items()
        for column in columns
        for _, team in games(config, row, column)
    ]
    results = play_all(runs, out / "runs", resume=True)
    of_seed = {seed: [result for result in results if result["seed"] == seed] for seed in rows}
    payoffs = np.stack([payoffs_of(config, [row], columns, of_seed[seed])[0, :, 0] for seed, row in rows.items()])
    among = payoffs[:, : len(folders)]
    return {
        "payoffs": among.tolist(),
        **across_seeds(among),
        "partners": {name: interval(payoffs[:, len(folders) + i]) for i, name in enumerate(beside)},
        "missing": missing,
    }


def across_seeds(payoffs: np.ndarray) -> dict[str, Any]:
    """The cost of partners that were not trained together, from payoffs [S, S] of each seed with each.

    The mean off the diagonal is over pairs, of which each seed is in many, so its interval is that of the jackknife
    over seeds (Arvesen 1969), which needs three of them.

    Returns:
        self_play: the mean of the diagonal; cross_play: the mean off it; gap: their difference. The last two are None
        for a single seed.
    """
    diagonal, seeds = payoffs.diagonal(), len(payoffs)
    if seeds < 2:
        return {"self_play": interval(diagonal), "cross_play": None, "gap": None}
    if seeds == 2:
        alone = {"cross_play": _mixed(payoffs), "gap": float(diagonal.mean()) - _mixed(payoffs)}
        return {"self_play": interval(diagonal), **{name: {"mean": x, "ci95": None} for name, x in alone.items()}}
    without = np.array([_mixed(np.delete(np.delete(payoffs, s, 0), s, 1)) for s in range(seeds)])
    mixed = seeds * _mixed(payoffs) - (seeds - 1) * without
    return {"self_play": interval(diagonal), "cross_play": interval(mixed), "gap": interval(diagonal - mixed)}


def _mixed(payoffs: np.ndarray) -> float:
    """The mean off the diagonal."""
    return float(payoffs[~np.eye(len(payoffs), dtype=bool)].mean())


# ------------------------------------------------------------------------------------------------ exploitability


@dataclass(frozen=True)
class Response(Job):
    """The training of a best response.

    Args:
        seed: of the learner that is responded to.
        agent: who responds.
    """

    seed: int
    agent: str


def add_exploitability(each: Trained, file: Path, timesteps: int, out: Path, workers: int) -> None:
    """Store what one agent of each role gains from its best response to each seed; raise `ValueError` if trainings of
    responses failed."""
    budget = vars(SEARCH) | {"timesteps": timesteps, "gain_episodes": GAIN_EPISODES}
    _add(each, file, "exploitability", each.settings(**budget), lambda: _gains(each, timesteps, out, workers))


def _gains(each: Trained, timesteps: int, out: Path, workers: int) -> dict[str, Any]:
    """seeds: whether the gains of a seed are exact, and what each agent gains by which reply."""
    try:
        game = tabulate(each.config)
    except ValueError:
        replies: dict[int, dict[str, Path]] = {seed: {} for seed in each.folders}
        todo = [response for seed in each.folders for response in responses_to(each, seed, timesteps)]
        train_all(todo, out / "responses", workers, lambda job, folder: replies[job.seed].update({job.agent: folder}))
        found = {seed: {"exact": False, "agents": gains(each, seed, of)} for seed, of in replies.items()}
    else:
        found = {
            seed: {"exact": True, **exact_gains(game, each.config, str(folder))}
            for seed, folder in each.folders.items()
        }
    return {"seeds": {str(seed): row for seed, row in found.items()}}


def responses_to(each: Trained, seed: int, timesteps: int) -> list[Response]:
    """The trainings of `ppo-torch`, with its published settings, against the frozen policies of a seed."""
    folder, swept = each.folders[seed], chosen(SWEEP, "ppo-torch", each.task)
    config = each.config
    of_role = {config.role_of(n).name: agent for n, agent in reversed([*enumerate(config.agents)])}  # the first of each
    return [
        Response(
            run_name(each.learner, each.task, seed, agent, str(digest_of(str(folder)))[:8]),
            LEARNERS["ppo-torch"].training(
                each.played,
                **{**swept, "seed": seed, "timesteps": timesteps, "evaluations": 4, "eval_episodes": 16},
                learners=(agent,),
                background=tuple(f"{other}={folder}" for other in config.agents if other != agent),
            ),
            seed,
            agent,
        )
        for agent in sorted(of_role.values(), key=config.agents.index)
    ]


def gains(each: Trained, seed: int, responses: Mapping[str, Path]) -> dict[str, Any]:
    """What agents gain from their best responses: agent -> reply, paid, gain. Candidates are the trained responses
    (agent -> folder) and the partners that know no more than agents."""
    config, found = each.config, {}
    scripted = [p for p in partners(config) if knowledge(p) == knowledge("content")]
    for agent, folder in responses.items():
        candidates = [str(folder), *(p for p in scripted if not obstacle(config, agent, p))]
        result = exploitability(
            str(each.folders[seed]),
            config,
            budget=SEARCH,
            agents=(agent,),
            responses=candidates,
            states=states_of(config),
            episodes=GAIN_EPISODES,
            seed=seed,
        )["agents"][agent]
        found[agent] = {**result, "reply": TRAINED if result["reply"] == str(folder) else result["reply"]}
    return found


def exact_gains(game: Any, config: WorldConfig, policy: str) -> dict[str, Any]:
    """The exact gain of each agent of a finite game in the long run, for as many ticks as an episode has; or why it is
    not known."""
    try:
        team = played(game, config, policy)
    except Refused as reason:
        return {"agents": {}, "missing": str(reason)}
    exact = (config.horizon * regrets(game, team)).round(9) + 0.0  # no -0.0
    rows = zip(config.agents, exact.tolist(), strict=True)
    return {"agents": {agent: {"reply": "exact", "gain": {"mean": gain, "ci95": 0.0}} for agent, gain in rows}}
