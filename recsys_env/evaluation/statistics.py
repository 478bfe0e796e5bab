"""From runs to scores with intervals.

A run is one seed (see `recsys_env.evaluation.runs`). Runs are independent for every kind of policy, so all intervals
are computed from runs:

- means and paired differences: Student's t over the runs;
- normalised scores (see `scale_ends`): the ratio of paired means;
- IQM, mean and probability of improvement over the tasks of a suite, where these share one scale: the stratified
  bootstrap, over the runs of each task (Agarwal et al. 2021).

A stored interval is {"mean": m, "ci95": half-width of its 95 % interval, or None}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from .. import cli
from ..batch.base import check_config
from ..checks import as_numbers, did_you_mean, shown
from ..config import WorldConfig
from ..config.tasks import SUITES
from ..policies import ORACLES, POLICIES, TASK_POLICIES, Policy, knowledge
from .episodes import UNSEEN, compared, episode_returns

REPETITIONS = 1000  # of the bootstrap
_SOURCES = ("command", "commit", "date", "processor")


# ------------------------------------------------------------------------------------------------ intervals


def mean_interval(samples: np.ndarray, among: int = 1) -> tuple[float, float]:
    """Return the mean of independent samples [E] and the half-width of its 95 % interval (Student's t, NaN for one).

    Args:
        among: number of intervals that must hold jointly with 95 % (Bonferroni), as when the best of several is shown.

    Raises:
        TypeError, ValueError: the samples are not numbers [E], one or more.
        ImportError: scipy, which has Student's t, is missing.
    """
    array = as_numbers("samples", samples)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"samples = {shown(samples)} of shape {list(array.shape)} must be numbers [E], one or more")
    samples, count = array.astype(float), len(array)
    if count < 2:
        return float(samples.mean()), float("nan")
    return float(samples.mean()), float(errors_of_95(count - 1, among)) * float(samples.std(ddof=1)) / count**0.5


def errors_of_95(freedom: Any, among: int = 1) -> Any:
    """Return how many standard errors wide each half of a 95 % interval is (Student's t), given degrees of freedom, one
    number or an array."""
    try:
        from scipy.special import stdtrit  # takes a third of a second to import
    except ImportError:
        raise ImportError('intervals need scipy: pip install "recsys_env[evaluate]"') from None
    return stdtrit(freedom, 1 - 0.025 / among)


def interval(samples: np.ndarray, among: int = 1) -> dict[str, float | None]:
    """Return `mean_interval` as a stored interval, with None for the half-width of a single sample."""
    mean, width = mean_interval(samples, among)
    return {"mean": mean, "ci95": width if np.isfinite(width) else None}


# ------------------------------------------------------------------------------------------------ the scale of scores


def scale_ends(config: WorldConfig) -> tuple[str, str]:
    """Return the policies whose play as a team defines normalised scores 0 and 100 of a task.

    Raises:
        ValueError: the config names a policy that does not exist.
    """
    check_config(config)
    known = POLICIES | TASK_POLICIES | ORACLES
    for field in ("scale_zero", "scale_hundred"):
        if (name := getattr(config, field)) not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"WorldConfig.{field} = {shown(name)} is no policy{hint}; policies are {', '.join(known)}")
    return config.scale_zero, config.scale_hundred


def score_table(
    config: WorldConfig, trained: Mapping[str, str | Policy], episodes: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return mean individual reward per agent and episode, and the score, of trained policies and of policies to
    compare with.

    The policies of `compared` and the ends of the scale play all agents.

    Args:
        config: the task.
        trained: a policy for each agent.
        episodes, seed: as in `episode_returns`; the same for all.

    Returns:
        as `place_on_scale`, with the ends of `scale_ends`.
    """
    ends = scale_ends(config)
    teams: dict[str, str | Mapping[str, str | Policy]] = {name: name for name in (*compared(config), *ends)}
    teams["trained"] = trained
    samples = {name: episode_returns(config, team, episodes, seed).mean(axis=1) for name, team in teams.items()}
    return place_on_scale(samples, *ends)


def place_on_scale(samples: Mapping[str, np.ndarray], low: str, high: str) -> dict[str, dict[str, float]]:
    """Place samples [E] from the same episodes on the scale on which those of `low` are 0 and those of `high` 100.

    Returns:
        name -> mean, ci95, and, where `high` earns more than `low`, score, score_ci95.
    """
    table = {}
    for name, sample in samples.items():
        mean, width = mean_interval(sample)
        table[name] = {"mean": mean, "ci95": width}
        if np.mean(samples[high]) > np.mean(samples[low]):
            score, score_width = normalised_score(sample, samples[low], samples[high])
            table[name] |= {"score": score, "score_ci95": score_width}
    return table


def normalised_score(samples: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Return the score of `samples`, if the mean of `low` is 0 and that of `high` is 100, with a 95 % half-width.

    All three [E] come from the same episodes, so the interval is that of the ratio of paired means (delta method).

    Raises:
        ValueError: they differ in number.
    """
    samples, low, high = (np.asarray(values, float) for values in (samples, low, high))
    if not len(samples) == len(low) == len(high):
        raise ValueError(f"samples, low and high are {len(samples)}, {len(low)} and {len(high)}, but must be as many")
    span = float(np.mean(high - low))
    if span <= 0:
        return float("nan"), float("nan")
    score = float(np.mean(samples - low)) / span
    _, width = mean_interval((samples - low) - score * (high - low))
    return 100 * score, 100 * width / span


def common_curve(seeds: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Interpolate the learning curves of several seeds to common steps, which all of them have reached.

    Returns:
        agent_steps [P] and episode_reward [seeds][P].
    """
    steps = [[point["agent_steps"] for point in curve] for curve in seeds]
    grid = np.linspace(max(s[0] for s in steps), min(s[-1] for s in steps), 100)
    rewards = [
        np.interp(grid, s, [point["episode_reward"] for point in curve]).round(8).tolist()
        for s, curve in zip(steps, seeds, strict=True)
    ]
    return {"agent_steps": grid.tolist(), "episode_reward": rewards}


# ------------------------------------------------------------------------------------------------ summaries of runs


def origin(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return where results come from: commands, commits, dates, processors, and versions of each library."""
    names = dict.fromkeys(name for result in results for name in result["versions"])
    return {
        **{key: sorted({str(result[key]) for result in results}) for key in _SOURCES},
        "versions": {
            name: sorted({result["versions"][name] for result in results if name in result["versions"]})
            for name in names
        },
    }


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compute the scores of every team on every task, and over the tasks of a suite.

    Args:
        results: results of `runs.play`. They include both ends of each task's scale, on all seeds that any team played.

    Returns:
        tasks: task -> episodes, ends, agents, teams (team -> its scores, best first, and their `origin`), differences
        ("a - b", paired by the seeds that both played); aggregate: see the function of that name; played: the digest of
        each task.

    Raises:
        ValueError: the results cannot be compared: lengths, warm-ups or metrics differ, a policy has changed between
            runs, an end of the scale is missing, or there is no common seed.
    """
    made_of: dict[str, str] = {}
    for result in results:
        for policy, digest in result["made_of"].items():
            if made_of.setdefault(policy, digest) != digest:
                raise ValueError(
                    f"{policy} changed between these runs; play them again without --resume, into a folder of their own"
                )
    names = dict.fromkeys(result["task"] for result in results)
    tasks = {name: _summary_of_task(name, [run for run in results if run["task"] == name]) for name in names}
    return {"tasks": tasks, "aggregate": aggregate(tasks), "played": digests_of_tasks(results)}


def digests_of_tasks(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the digest of each task that these runs played."""
    return {task: digest for result in results for task, digest in result.get("played", {}).items()}


def _summary_of_task(task: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of `summary` about one task."""
    if len(lengths := sorted({run["episodes"] for run in results})) > 1:
        raise ValueError(f"runs of {task} have {' and '.join(map(str, lengths))} episodes: they cannot be compared")
    _check_alike(task, results)
    played: dict[str, dict[int, Mapping[str, Any]]] = {}
    for result in sorted(results, key=lambda run: run["seed"]):
        played.setdefault(result["team"], {})[result["seed"]] = result
    means = {
        team: {seed: float(np.mean(run["individual_reward"])) for seed, run in runs.items()}
        for team, runs in played.items()
    }
    ends, teams = _ends(task, means), {}
    for team in sorted(means, key=lambda team: (-_mean(means[team]), team)):
        seeds, *rewards = _paired(means, team, *ends)
        teams[team] = _scores([played[team][seed] for seed in seeds], *rewards)
    return {
        "episodes": lengths[0],
        "ends": list(ends),
        "agents": results[0]["agents"],
        "teams": teams,
        "differences": differences(means, teams),
    }


def _ends(task: str, teams: Iterable[str]) -> tuple[str, str]:
    """Return the two ends of a task's scale, which must be among these teams."""
    ends = scale_ends(cli.config_of(task))
    for end in ends:
        if end not in teams:
            raise ValueError(
                f"there is no run of {end} on {task}, which defines an end of its scale (score 0 or 100); play it too"
            )
    return ends


def rescaled(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary with all scores and aggregates computed anew, from the rewards of its runs and the ends that the
    tasks' scales have now.
    """
    tasks = {}
    for name, task in report["tasks"].items():
        ends, means = _ends(name, task["teams"]), {team: by_seed(row) for team, row in task["teams"].items()}
        teams = {team: row | placed(*_paired(means, team, *ends)[1:]) for team, row in task["teams"].items()}
        tasks[name] = {**task, "ends": list(ends), "teams": teams}
    return {**report, "tasks": tasks, "aggregate": aggregate(tasks)}


def merged(stored: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two summaries. If a team is in both, its scores are those of the second.

    All scores are computed anew, because an end of the scale may have improved or be another policy now. Each row keeps
    the origin of its own runs.
    """
    both = stored["tasks"].keys() & found["tasks"].keys()
    joined = {name: _merged_task(name, stored["tasks"][name], found["tasks"][name]) for name in both}
    tasks = {**stored["tasks"], **found["tasks"]}
    return rescaled({"tasks": {name: joined.get(name, task) for name, task in tasks.items()}})


def _merged_task(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `merged` about one task, with the scores that the teams had before."""
    for key in ("episodes", "agents"):
        if old[key] != new[key]:
            said = f"{name} was stored with {key} = {old[key]}, here {key} = {new[key]}"
            raise ValueError(f"{said}: they cannot be compared")
    for team in old["teams"].keys() & new["teams"].keys():
        before, after = by_seed(old["teams"][team]), by_seed(new["teams"][team])
        if not before.keys() <= after.keys():
            said = f"{team} was stored with {len(before)} seeds on {name}, here {len(after)}"
            raise ValueError(f"{said}: finish the evaluation first")
    if old["teams"].keys() <= new["teams"].keys() and metric_names(old) <= metric_names(new):
        return dict(new)
    _check_alike(name, [row | row["origin"]["settings"] for part in (old, new) for row in part["teams"].values()])
    teams = dict(sorted({**old["teams"], **new["teams"]}.items(), key=lambda item: (-item[1]["mean"], item[0])))
    means = {team: by_seed(row) for team, row in teams.items()}
    return {**new, "teams": teams, "differences": differences(means, teams)}


def metric_names(task: Mapping[str, Any]) -> set[str]:
    """Return the names of the metrics of all rows of a task's summary."""
    return {metric for row in task["teams"].values() for metric in row["metrics"]}


def by_seed(row: Mapping[str, Any]) -> dict[int, float]:
    """Return the individual reward per agent and episode of a team, by seed."""
    return dict(zip(row["origin"]["settings"]["seeds"], row["runs"], strict=True))


def _check_alike(task: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError unless runs, or rows of teams, have the same metrics and the same warm-up episodes."""
    if len(warmups := sorted({run["warmup"] for run in runs if run["learns"]})) > 1:
        said = f"policies that learn had {' and '.join(map(str, warmups))} warm-up episodes on {task}"
        raise ValueError(f"{said}: they cannot be compared")
    names = {frozenset(run["metrics"]) for run in runs}
    if len(names) > 1:
        apart = sorted(frozenset.union(*names) - frozenset.intersection(*names))
        raise ValueError(
            f"some runs of {task} were measured without {', '.join(apart)}, by another version or with --no-metrics: "
            "play all of them again"
        )


def differences(means: Mapping[str, Mapping[int, float]], teams: Iterable[str]) -> dict[str, Any]:
    """Return the differences of individual reward of every two teams, paired by common seeds: "a - b" -> interval."""
    return {f"{a} - {b}": interval(np.subtract(*_paired(means, a, b)[1:])) for a, b in combinations(teams, 2)}


def _mean(runs: Mapping[int, float]) -> float:
    return float(np.mean(list(runs.values())))


def _paired(means: Mapping[str, Mapping[int, float]], *teams: str) -> tuple[Any, ...]:
    """Return the seeds that all of these teams played, and the mean reward of each team on them."""
    seeds = [seed for seed in means[teams[0]] if all(seed in means[team] for team in teams)]
    if not seeds:
        played = ", ".join(f"{team!r} played {sorted(means[team])}" for team in teams)
        raise ValueError(f"these teams have no seed in common, so they cannot be compared: {played}")
    return (seeds, *(np.array([means[team][seed] for seed in seeds]) for team in teams))


def _scores(runs: Sequence[Mapping[str, Any]], earned: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """Return the row of a team: reward, normalised score, values of each run, reward by agent, metrics, and origin.

    Args:
        runs: runs of the team, one for each seed.
        earned, low, high: [runs] mean reward of the team and of the two ends, on these seeds.
    """
    columns = [*runs[0]["agents"], "platform"]
    metrics = {}
    for name in runs[0]["metrics"]:
        values = np.array([run["metrics"][name] for run in runs], float)  # [runs, N + 1]
        metrics[name] = {
            column: interval(v[np.isfinite(v)])
            for column, v in zip(columns, values.T, strict=True)
            if np.isfinite(v).any()
        }
    by_agent = np.array([np.mean(run["individual_reward"], axis=0) for run in runs])  # [runs, N]
    settings = {name: runs[0][name] for name in ("task", "team", "episodes", "warmup")}
    return {
        **interval(earned),
        **placed(earned, low, high),
        "runs": earned.tolist(),
        "agents": {agent: interval(values) for agent, values in zip(columns, by_agent.T, strict=False)},
        "agent_runs": by_agent.tolist(),
        "learns": runs[0]["learns"],
        "metrics": metrics,
        "costs": {name: interval(np.array([run["costs"].get(name, 0.0) for run in runs])) for name in _costs_of(runs)},
        "origin": {
            "settings": {**settings, "seeds": [UNSEEN + run["seed"] for run in runs]},
            "made_of": runs[0]["made_of"],
            **origin(runs),
        },
    }


def _costs_of(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the units of cost of these runs; a run that does not list one has spent nothing of it.

    There are none if a run has no costs at all.
    """
    costs_of = [run.get("costs") for run in runs]
    return list(dict.fromkeys(name for costs in costs_of for name in costs or ())) if all(costs_of) else []


def placed(earned: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """Return the normalised score of a team and of each of its runs, given the two ends in the same runs.

    Args:
        earned, low, high: [runs] mean reward of the team and of the two ends, on the same seeds.

    Returns:
        score, score_ci95 (see `normalised_score`) and run_scores; None where `high` earns no more than `low`.
    """
    score, width = normalised_score(earned, low, high)
    span = float(np.mean(high - low))
    return {
        "score": score if span > 0 else None,
        "score_ci95": width if np.isfinite(width) else None,
        "run_scores": (100 * (earned - low) / span).tolist() if span > 0 else None,
    }


def aggregate(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Aggregate the normalised scores of each suite (`tasks.SUITES`) in which 0 and 100 mean the same on all tasks.

    They mean the same where the same policy is 0, and where the policies that are 100 have the same `knowledge`.
    Suites of which fewer than two tasks were played are left out.

    Returns:
        suite -> tasks: the tasks that were played; teams: team -> iqm, mean as [value, low, high], best first, of the
        teams that have a score in the same number of runs, two or more, on each of these tasks; improvement: "a > b" ->
        P(a run of a beats a run of b on the same task) as [value, low, high], for each team and the next one.
    """
    found = {}
    for name, suite in SUITES.items():
        played = {task: tasks[task] for task in suite.tasks if task in tasks}
        scales = {(low, knowledge(high)) for low, high in (task["ends"] for task in played.values())}
        if len(played) > 1 and len(scales) == 1 and (over := _over(played))["teams"]:
            found[name] = {"tasks": list(played), **over}
    return found


def _over(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return teams and improvement of `aggregate` over these tasks."""
    scores = {}
    for team in dict.fromkeys(team for task in tasks.values() for team in task["teams"]):
        rows = [task["teams"].get(team, {}).get("run_scores") or [] for task in tasks.values()]
        if len(rows[0]) >= 2 and len(set(map(len, rows))) == 1:
            scores[team] = [np.array(row) for row in rows]
    over = {team: {"iqm": _bootstrap(_iqm, rows), "mean": _bootstrap(_mean_of, rows)} for team, rows in scores.items()}
    ranked = sorted(over, key=lambda team: -over[team]["iqm"][0])
    return {
        "teams": {team: over[team] for team in ranked},
        "improvement": {f"{a} > {b}": _bootstrap(_improvement, [*scores[a], *scores[b]]) for a, b in pairwise(ranked)},
    }


def _bootstrap(statistic: Callable[..., np.ndarray], samples: Sequence[np.ndarray]) -> list[float]:
    """Return a statistic of several samples and its 95 % percentile interval, by resampling each of them apart."""
    from scipy.stats import bootstrap

    of = bootstrap(
        samples,
        statistic,
        vectorized=True,
        n_resamples=REPETITIONS,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return [float(statistic(*samples, axis=-1)), float(of.low), float(of.high)]


def _iqm(*rows: np.ndarray, axis: int) -> np.ndarray:
    """Return the interquartile mean: that of the middle half of all values."""
    from scipy.stats import trim_mean

    return trim_mean(np.concatenate(rows, axis), 0.25, axis)  # type: ignore[no-any-return]


def _mean_of(*rows: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate(rows, axis).mean(axis)  # type: ignore[no-any-return]


def _improvement(*rows: np.ndarray, axis: int) -> np.ndarray:
    """Return the probability that a run of one team scores more than a run of another on the same task, averaged over
    tasks; a tie counts one half. The first half of the rows are of the one team, the others of the other."""
    half = len(rows) // 2
    apart = [np.sign(a[..., :, None] - b[..., None, :]) for a, b in zip(rows[:half], rows[half:], strict=True)]
    return np.mean([0.5 + 0.5 * sign.mean((-1, -2)) for sign in apart], axis=0)  # type: ignore[no-any-return]
