"""From runs to scores with intervals.

A run is one seed (see `recsys_env.evaluation.runs`); runs are independent for every kind of policy, so all intervals
come from them: means and paired differences by Student's t over the runs, normalised scores (0 = random, 100 = greedy;
    see `recsys_env.evaluation.episodes.scale_ends`) by the ratio of
paired means, and over several tasks IQM, mean and probability of improvement by the stratified bootstrap of `rliable`
(Agarwal et al. 2021). With five runs a t interval is 1.4 times as wide as with many, and a percentile bootstrap is
somewhat too narrow. For policies that do not learn the episodes would be independent as well and narrower intervals
possible; one rule for all is simpler, and never too bold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from .. import cli
from .episodes import UNSEEN, mean_interval, normalised_score, scale_ends

REPETITIONS = 1000  # of the bootstrap
_SOURCES = ("command", "commit", "date", "processor")


def interval(samples: np.ndarray) -> dict[str, float | None]:
    """Mean of independent samples and the half-width of its 95 % interval, None for a single one."""
    mean, width = mean_interval(samples)
    return {"mean": mean, "half_width_95": width if np.isfinite(width) else None}


def prediction(samples: np.ndarray) -> dict[str, float | None]:
    """Mean of independent samples and the half-width of the interval that holds one more of them with 95 % (Student's
    t)."""
    found = interval(samples)
    width = found["half_width_95"]
    return {**found, "half_width_95": None if width is None else width * (len(samples) + 1) ** 0.5}


def common_curve(seeds: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """agent_steps [P] and own reward per agent and episode [seeds][P], interpolated to the steps that the curves of all
    seeds have reached."""
    steps = [[point["agent_steps"] for point in curve] for curve in seeds]
    grid = np.linspace(max(s[0] for s in steps), min(s[-1] for s in steps), 100)
    rewards = [
        np.interp(grid, s, [point["episode_reward"] for point in curve]).round(8).tolist()
        for s, curve in zip(steps, seeds, strict=True)
    ]
    return {"agent_steps": grid.tolist(), "episode_reward": rewards}


def origin(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where results come from: the different commands, commits, dates, processors, and versions of each library."""
    names = dict.fromkeys(name for result in results for name in result["versions"])
    return {
        **{key: sorted({str(result[key]) for result in results}) for key in _SOURCES},
        "versions": {
            name: sorted({result["versions"][name] for result in results if name in result["versions"]})
            for name in names
        },
    }


def _origin_of_both(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    versions = {
        name: sorted({*a["versions"].get(name, ()), *b["versions"].get(name, ())})
        for name in {**a["versions"], **b["versions"]}
    }
    return {**{key: sorted({*a[key], *b[key]}) for key in _SOURCES}, "versions": versions}


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of every team on every task, and over all tasks.

    Args:
        results: of `cells.play`. Each task's two ends of the scale are among them, on all seeds that any team played.

    Returns:
        origin; tasks: task -> episodes, ends, agents, teams (team -> its scores, best first), differences ("a - b",
        paired by the seeds that both played); aggregate: see `aggregate`.
    """
    made_of: dict[str, str] = {}
    for result in results:
        for policy, digest in result["made_of"].items():
            if made_of.setdefault(policy, digest) != digest:
                raise ValueError(
                    f"{policy} changed between these runs; play them again without --resume, into a folder of their own"
                )
    tasks = {}
    for task in dict.fromkeys(result["task"] for result in results):
        played: dict[str, dict[int, Mapping[str, Any]]] = {}
        for result in results:
            if result["task"] == task:
                played.setdefault(result["team"], {})[result["seed"]] = result
        if len(lengths := sorted({run["episodes"] for runs in played.values() for run in runs.values()})) > 1:
            raise ValueError(f"runs of {task} have {' and '.join(map(str, lengths))} episodes: they cannot be compared")
        _check_alike(task, [run for runs in played.values() for run in runs.values()])
        means = {
            team: {seed: float(np.mean(run["own"])) for seed, run in sorted(runs.items())}
            for team, runs in played.items()
        }
        first, ends = next(result for result in results if result["task"] == task), scale_ends(cli.config_of(task))
        for end in ends:
            if end not in means:
                raise ValueError(
                    f"there is no run of {end} on {task}, one of the ends of the scale: this is no evaluation"
                )
        teams = {
            team: _scores(list(played[team].values()), *_paired(means, team, *ends))
            for team in sorted(means, key=lambda team: -_mean(means[team]))
        }
        tasks[task] = {
            "episodes": first["episodes"],
            "ends": list(ends),
            "agents": first["agents"],
            "teams": teams,
            "differences": differences(means, teams),
        }
    return {"origin": origin(results), "tasks": tasks, "aggregate": aggregate(tasks)}


def merged(stored: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Two summaries as one; of a team that is in both, the scores of the second. Where an end of the scale has
    improved, all are placed anew.

    Raises:
        ValueError: they played different episodes of the same task, or `random`, in which nothing can improve, or both
            ends did not earn the same, as in another version of the game; metrics or warm-ups differ; or the second has
            fewer seeds of a team, as when it is unfinished.
    """
    tasks = {**stored["tasks"], **found["tasks"]}
    for name in stored["tasks"].keys() & found["tasks"].keys():
        old, new = stored["tasks"][name], found["tasks"][name]
        for key in ("episodes", "ends", "agents"):
            if old[key] != new[key]:
                raise ValueError(
                    f"{name} was stored with {key} = {old[key]}, here {key} = {new[key]}: they cannot be compared"
                )
        changed = set()
        for team in old["teams"].keys() & new["teams"].keys():
            before, after = (
                dict(zip(row["seeds"], row["runs"], strict=True)) for row in (old["teams"][team], new["teams"][team])
            )
            if not before.keys() <= after.keys():
                raise ValueError(
                    f"{team} was stored with {len(before)} seeds on {name}, here {len(after)}: finish the evaluation first"
                )
            if any(before[seed] != after[seed] for seed in before):
                changed.add(team)
        if "random" in changed or changed >= set(old["ends"]):
            raise ValueError(
                f"{' and '.join(sorted(changed))} earn something else on {name} than when they were stored: play all policies again "
                "and remove the stored summary"
            )
        teams = dict(sorted({**old["teams"], **new["teams"]}.items(), key=lambda item: -item[1]["mean"]))
        _check_alike(name, [*old["teams"].values(), *new["teams"].values()])
        means = {team: dict(zip(row["seeds"], row["runs"], strict=True)) for team, row in teams.items()}
        teams = {team: row | _placed(*_paired(means, team, *new["ends"])[1:]) for team, row in teams.items()}
        tasks[name] = {**new, "teams": teams, "differences": differences(means, teams)}
    return {"origin": _origin_of_both(stored["origin"], found["origin"]), "tasks": tasks, "aggregate": aggregate(tasks)}


def _check_alike(task: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Runs, or teams' rows, that stand in one table measure the same, and what learns had the same time to learn."""
    if len(warmups := sorted({run["warmup"] for run in runs if run["learns"]})) > 1:
        raise ValueError(
            f"policies that learn had {' and '.join(map(str, warmups))} warm-up episodes on {task}: they cannot be compared"
        )
    names = {frozenset(run["metrics"]) for run in runs}
    if len(names) > 1:
        apart = sorted(frozenset.union(*names) - frozenset.intersection(*names))
        raise ValueError(
            f"some runs of {task} were measured without {', '.join(apart)}, by another version or with --no-metrics: play all of them again"
        )


def differences(means: Mapping[str, Mapping[int, float]], teams: Iterable[str]) -> dict[str, Any]:
    """ "a - b" -> difference of own reward of each two teams, paired by the seeds that both played."""
    return {f"{a} - {b}": interval(np.subtract(*_paired(means, a, b)[1:])) for a, b in combinations(teams, 2)}


def _mean(runs: Mapping[int, float]) -> float:
    return float(np.mean(list(runs.values())))


def _paired(means: Mapping[str, Mapping[int, float]], *teams: str) -> tuple[Any, ...]:
    """The seeds that all of these teams played, and the mean reward of each team on them."""
    seeds = [seed for seed in means[teams[0]] if all(seed in means[team] for team in teams)]
    if not seeds:
        raise ValueError(f"{' and '.join(map(repr, teams))} have no seed in common: they cannot be compared")
    return (seeds, *(np.array([means[team][seed] for seed in seeds]) for team in teams))


def _scores(
    runs: Sequence[Mapping[str, Any]], seeds: Sequence[int], own: np.ndarray, low: np.ndarray, high: np.ndarray
) -> dict[str, Any]:
    """A team's own reward per agent and episode, normalised score, values of each run, reward by agent, and metrics by
    column."""
    runs = [run for seed in seeds for run in runs if run["seed"] == seed]
    columns = [*runs[0]["agents"], "platform"]
    metrics = {}
    for name in runs[0]["metrics"]:
        values = np.array([run["metrics"][name] for run in runs], float)  # [runs, N + 1]
        metrics[name] = {
            column: interval(v[np.isfinite(v)])
            for column, v in zip(columns, values.T, strict=True)
            if np.isfinite(v).any()
        }
    sources = {key: sorted({str(run[key]) for run in runs}) for key in ("command", "commit")}
    return {
        **interval(own), **_placed(own, low, high), "seeds": [UNSEEN + seed for seed in seeds], "runs": own.tolist(),
        "agents": {agent: interval(np.array([np.mean(run["own"], axis=0)[n] for run in runs])) for n, agent in enumerate(columns[:-1])},
        "agent_runs": [np.mean(run["own"], axis=0).tolist() for run in runs], "learns": runs[0]["learns"], "warmup": runs[0]["warmup"], "metrics": metrics,
        "origin": {**sources, "made_of": runs[0]["made_of"]},
    }  # fmt: skip


def _placed(own: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """A team's place on the scale, over its runs and of each, given the two ends in the same runs."""
    score, width = normalised_score(own, low, high)
    span = float(np.mean(high - low))
    return {
        "score": score if span > 0 else None, "score_half_width_95": width if np.isfinite(width) else None,
        "run_scores": (100 * (own - low) / span).tolist() if span > 0 else None,
    }  # fmt: skip


def aggregate(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """IQM and mean of the normalised scores [runs, tasks] of the teams that played every task, and how probably one
    beats another.

    Returns:
        teams: team -> iqm, mean as [value, low, high], best first; improvement: "a > b" -> P(a run of a beats a run of
            b on the same task) as
        [value, low, high], for each team and the next one. Empty where no team has two runs with a score on every task.
    """
    from rliable import library
    from rliable import metrics as rl

    scores = {}
    for team in dict.fromkeys(team for task in tasks.values() for team in task["teams"]):
        rows = [task["teams"].get(team, {}).get("run_scores") or [] for task in tasks.values()]
        if min(map(len, rows)) >= 2:
            scores[team] = np.array([row[: min(map(len, rows))] for row in rows]).T
    if not scores:
        return {"teams": {}, "improvement": {}}
    state = np.random.get_state()
    np.random.seed(0)  # rliable resamples with the global generator
    try:
        points, bounds = library.get_interval_estimates(
            scores, lambda x: np.array([rl.aggregate_iqm(x), rl.aggregate_mean(x)]), reps=REPETITIONS
        )
        ranked = sorted(scores, key=lambda team: -points[team][0])
        pairs = {f"{a} > {b}": (scores[a], scores[b]) for a, b in pairwise(ranked)}
        chance, spread = (
            library.get_interval_estimates(pairs, rl.probability_of_improvement, reps=REPETITIONS)
            if pairs
            else ({}, {})
        )
    finally:
        np.random.set_state(state)
    return {
        "teams": {
            t: {name: [float(points[t][i]), *map(float, bounds[t][:, i])] for i, name in enumerate(("iqm", "mean"))}
            for t in ranked
        },
        "improvement": {
            pair: [float(np.ravel(chance[pair])[0]), *map(float, np.ravel(spread[pair]))] for pair in pairs
        },
    }
