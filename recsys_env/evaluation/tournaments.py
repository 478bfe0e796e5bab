"""Tournaments: payoff matrix and evolutionary ranking of policies, and cross-play in cooperative tasks.

    python -m recsys_env tournament --policies random greedy my_file:MyPolicy --tasks duel-v1 ecommerce-v1 journey-v1

Each row policy plays each column policy: it has one seat, and the column's policy has all others. The payoff is the
row's individual reward, averaged over the seats, on the same seeds for all. With two agents the policies also change
seats. With more agents of the same role, the row plays the first seat. With several roles it plays each role in turn.

In a cooperative task (`reward.sharing = 1`) the matrix contains the team's mean reward (cross-play, Hu et al. 2020).
The loss off the diagonal shows how badly policies that were not trained together cooperate. It is computed for all
policies, and for the seeds of each learner, among which skill is equal.

Alpha-rank (Omidshafiei et al. 2019, `open_spiel`) treats the matrix as a symmetric game of two populations, in the
limit of strong selection. That limit treats every difference as real, so the mass is averaged over bootstrap resamples
of the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from .. import WorldConfig, cli
from ..files import checked_path, write_json
from .episodes import UNSEEN, asked_or_usual
from .plots import draw_payoffs
from .runs import Run, checked_request, file_name, learner_of, play_all
from .statistics import digests_of_tasks, interval, origin
from .tables import CROSS_PLAY, RANKING, brief, cross_play_rows, grid, payoff_rows, ranking_rows

RESAMPLES = 100


def tournament(
    policies: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] = ("duel-v1",),
    episodes: int = 50,
    seeds: int = 5,
    warmup: int = 1,
    out: Path = Path("runs/tournament"),
    resume: bool = False,
) -> dict[str, Any]:
    """Play every pair of policies against each other (in cooperative tasks: with each other).

    Args:
        policies: names, folders of trained policies, or module:factory. None = those that `compared` names for each
            task.
        tasks: names of tasks, or of suites for all of their tasks, optionally with changed fields.
        episodes: episodes per run.
        seeds: runs of each pair, each on its own held-out seed, which training never uses.
        warmup: episodes that a pair plays before each run, if one of its policies learns while it serves.
        out: folder for one file per run, tournament.json and a heat map for each task.
        resume: keep the runs that are already in the folder.

    Returns:
        task -> `standings`; `show` prints it.

    Raises:
        ValueError, ImportError, RuntimeError: a name is unknown, a task has one agent, or as in
            `recsys_env.evaluation.runs.play_all`.
    """
    cli.require("evaluate", "open_spiel", "networkx", "scipy", "rich", "tqdm", "matplotlib")
    out = checked_path("out", out)
    policies = checked_request(policies, episodes, seeds, warmup, teams=False, tasks=tasks)
    tasks = tuple(cli.tasks_of(tasks))
    cli.check_a_world_for_each_seed(tasks, seeds)
    for task in tasks:
        if cli.config_of(task).num_agents == 1:
            raise ValueError(f"{task} has one agent, which has nobody to play against")
    players = {task: tuple(dict.fromkeys(asked_or_usual(policies, cli.config_of(task)))) for task in tasks}
    runs = [
        Run(task, team, seed, episodes, warmup, False)
        for task in tasks
        for seed in range(seeds)
        for row, column in product(players[task], repeat=2)
        for _, team in games(cli.config_of(task), row, column)
    ]
    results = play_all(runs, out, resume)
    report = {task: standings(task, players[task], [run for run in results if run["task"] == task]) for task in tasks}
    write_json(out / "tournament.json", report)
    for task, result in report.items():
        draw_payoffs(task, result, out / f"{file_name(task)}.png")
    return report


def games(config: WorldConfig, row: str, column: str) -> list[tuple[int, str]]:
    """Return the games of a row policy against a column policy: its seat, and the team (see `Run`)."""
    agents = config.agents
    seats = range(len(agents)) if len(agents) == 2 or len(config.roles) > 1 else (0,)
    if row == column:
        return [(seat, row) for seat in seats]
    return [
        (seat, ",".join(f"{agent}={row if i == seat else column}" for i, agent in enumerate(agents))) for seat in seats
    ]


def standings(task: str, policies: Sequence[str], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the payoff matrix of a task and the rankings computed from it.

    Args:
        results: results of `runs.play` on this task, every game of every pair on the same seeds.

    Returns:
        origin, with the settings and the digests of your own policies; cooperative, agents; payoff: row -> column
        -> mean, ci95, runs; and alpha_rank (policy -> mass), or, in a cooperative task, `cross_play`.
    """
    config = cli.config_of(task)
    played = _rewards(results)
    seeds = sorted({seed for _, seed in played})
    payoffs = payoffs_of(config, policies, policies, results)
    matrix = {
        row: {column: {**interval(payoffs[i, j]), "runs": payoffs[i, j].tolist()} for j, column in enumerate(policies)}
        for i, row in enumerate(policies)
    }
    settings = {
        "task": task,
        "policies": list(policies),
        "seeds": [UNSEEN + seed for seed in seeds],
        "episodes": next(iter(played.values())).shape[0],
        "warmup": max(result["warmup"] for result in results),
    }
    made_of = {policy: digest for result in results for policy, digest in result["made_of"].items()}
    report = {
        "origin": {
            "settings": settings,
            "made_of": made_of,
            "played": digests_of_tasks(results),
            **origin(results),
        },
        "cooperative": config.reward.sharing == 1,
        "agents": config.num_agents,
        "payoff": matrix,
    }
    if report["cooperative"]:
        return {**report, "cross_play": cross_play(policies, payoffs)}
    return {**report, "alpha_rank": dict(zip(policies, alpha_rank(payoffs).tolist(), strict=True))}


def payoffs_of(
    config: WorldConfig, rows: Sequence[str], columns: Sequence[str], results: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """Return the payoff [rows, columns, runs] of each row policy against, or with, each column policy.

    Args:
        results: results of `runs.play`, every game of every pair on the same seeds.
    """
    played, cooperative = _rewards(results), config.reward.sharing == 1
    seeds = sorted({seed for _, seed in played})
    payoffs = np.zeros((len(rows), len(columns), len(seeds)))
    for (i, row), (j, column), (s, seed) in product(enumerate(rows), enumerate(columns), enumerate(seeds)):
        pairs = [(played[team, seed], seat) for seat, team in games(config, row, column)]
        payoffs[i, j, s] = np.mean(
            [rewards.mean() if cooperative else rewards[:, seat].mean() for rewards, seat in pairs]
        )
    return payoffs


def _rewards(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], np.ndarray]:
    """Return the individual rewards [E, N] of each team and seed."""
    return {(result["team"], result["seed"]): np.array(result["individual_reward"]) for result in results}


def cross_play(policies: Sequence[str], payoffs: np.ndarray) -> dict[str, dict[str, Any]]:
    """Compute the cost of mixing partners that were not trained together, from payoffs [S, S, runs].

    Returns:
        "all", and each learner with several seeds (`learner_of`) -> diagonal (mean reward of teams of one policy),
        off_diagonal (of mixed teams), gap; with a single policy only the diagonal. Intervals are over runs of these
        very policies.
    """
    seeds: dict[str, list[int]] = {}
    for i, policy in enumerate(policies):
        seeds.setdefault(learner_of(policy), []).append(i)
    among = {
        "all": [*range(len(policies))],
        **{learner: members for learner, members in seeds.items() if len(members) > 1},
    }
    return {name: _diagonal_and_off(payoffs[np.ix_(members, members)]) for name, members in among.items()}


def _diagonal_and_off(payoffs: np.ndarray) -> dict[str, Any]:
    """Means over the teams of these policies, with intervals over runs: what other trainings would have earned is not
    in them."""
    same = np.eye(len(payoffs), dtype=bool)
    diagonal = payoffs[same].mean(0)
    if len(payoffs) < 2:
        return {"diagonal": interval(diagonal)}
    off = payoffs[~same].mean(0)
    return {"diagonal": interval(diagonal), "off_diagonal": interval(off), "gap": interval(diagonal - off)}


def alpha_rank(payoffs: np.ndarray) -> np.ndarray:
    """Return the long-run mass of each policy [S] in two evolving populations, from the row's payoffs [S, S, runs]."""
    from open_spiel.python.egt import alpharank

    policies, _, runs = payoffs.shape
    if policies == 1:
        return np.ones(1)
    rng = np.random.default_rng(0)
    resampled = [payoffs[:, :, rng.integers(0, runs, runs)].mean(2) for _ in range(RESAMPLES)]
    pairs = np.mean(
        [alpharank.compute([matrix, matrix.T], use_inf_alpha=True)[2] for matrix in resampled], axis=0
    ).reshape(policies, policies)
    return np.asarray((pairs.sum(0) + pairs.sum(1)) / 2)


def show(report: Mapping[str, Any]) -> None:
    """Print the matrix and the ranking of each task of a tournament."""
    for task, result in report.items():
        payoff, settings = "individual reward of the row against the column", result["origin"]["settings"]
        if result["cooperative"]:
            payoff = "team reward per agent, the row's policy in one seat, the column's in the others"
        played = f"{len(settings['seeds'])} runs of {settings['episodes']} episodes"
        title = f"{task}: {payoff}, per episode; {played}, ± 95 %"
        grid(title, ["", *map(brief, result["payoff"])], payoff_rows(result))
        if result["cooperative"]:
            grid(f"{task}: cross-play", CROSS_PLAY, cross_play_rows(result))
        else:
            grid(f"{task}: ranking", RANKING, ranking_rows(result))
