"""Scores: the sum of own rewards over whole episodes, and how sure one can be of its mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..catalogue import Catalogue
from ..config import WorldConfig
from ..policies import Policy, Team
from ..tasks import task_config
from ..vector import VectorEnv, check_count, checked_seed
from .metrics import Log

UNSEEN = 1_000_003
"""The rule of seeds: training uses seeds below this; what was trained with seed s, and run s of an evaluation, is
measured on UNSEEN + s; a policy that learns while it serves is warmed up on 2 * UNSEEN + s. So nothing is ever measured
on luck that it was trained on, nor on people, unless `users.population` is "fixed"."""


def play_episode(envs: VectorEnv, team: Team, observations: Any, log: Log | None = None) -> np.ndarray:
    """Play the episode that every copy of a batch has begun with these observations, to its end.

    Args:
        log: takes down what the metrics beside reward need.

    Returns:
        [B, N] sum of each agent's own reward (`infos["own"]`, before sharing).
    """
    returns, actions = np.zeros((envs.num_envs, envs.num_agents)), envs.empty_actions()
    for _ in range(envs.config.horizon):
        if log is not None:
            log.look()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        returns += infos["own"]
        if log is not None:
            log.record(infos)
        team.observe(infos, truncated)
    return returns


Policies = str | Policy | Mapping[str, str | Policy] | Sequence[str | Policy]


def episode_returns(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int,
    seed: int,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> np.ndarray:
    """Play whole episodes, all at once as copies of one batch.

    Args:
        task: a task by name, its config, or an environment whose config and catalogue are taken (it is not touched).
        policies: one for every agent (an object only where there is one), one for each in their order, or one for
            each by agent name: a name, the folder of a trained one, module:factory, or an object of its own.
        episodes: E, one copy each.
        seed: of the episodes and of the policies' own streams; the same seed gives every policy the same visitors.
        num_threads: of the batch.
        catalogue: fitted items and users, as in `parallel_env`.

    Returns:
        [E, N] sum of each agent's own reward (`infos["own"]`, before sharing).

    Raises:
        ValueError, TypeError: anything of this is of a wrong kind or unknown.
    """
    return play_episode(*begin_episodes(task, policies, episodes, seed, num_threads, catalogue))


def begin_episodes(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int,
    seed: int,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> tuple[VectorEnv, Team, Any]:
    """A batch at the start of its episodes, the policies that are to play them, and the first observations.

    Arguments and errors as in `episode_returns`.
    """
    check_count("episodes", episodes, 1, 2**31)
    checked_seed(seed)
    if isinstance(task, VectorEnv):
        envs = VectorEnv(task.config, episodes, num_threads, task.catalogue if catalogue is None else catalogue)
    else:
        envs = VectorEnv(task_config(task, {}, catalogue), episodes, num_threads, catalogue)
    team = Team(envs, by_agent(envs.possible_agents, policies), seed)
    observations, _ = envs.reset(seed=seed)
    return envs, team, observations


def by_agent(agents: Sequence[str], policies: Policies) -> dict[str, str | Policy]:
    """The policy of each agent."""
    if isinstance(policies, Sequence) and not isinstance(policies, str):
        if len(policies) != len(agents) and len(policies) != 1:
            raise ValueError(
                f"{len(policies)} policies are given, expected one for all or one for each of {', '.join(agents)}"
            )
        policies = dict(zip(agents, policies * len(agents) if len(policies) == 1 else policies, strict=False))
    elif not isinstance(policies, Mapping):  # a name, or what no policy is
        policies = dict.fromkeys(agents, policies)
    if set(policies) != set(agents):
        raise ValueError(f"policies are given for {list(policies)}, expected one for each of {list(agents)}")
    return dict(policies)


REFERENCES = ("random", "popularity", "content", "greedy", "planner")


def scale_ends(config: WorldConfig) -> tuple[str, str]:
    """The policies that stand at 0 and 100 of the normalised score: random and the myopic oracle; in a finite game,
    where the myopic oracle defects, that oracle and the planner."""
    return ("greedy", "planner") if config.choice.v_0_by_mood else ("random", "greedy")


def score_table(
    config: WorldConfig, trained: Mapping[str, str | Policy], episodes: int, seed: int
) -> dict[str, dict[str, float]]:
    """Mean own reward per agent and episode of the trained policies beside the references, each team playing by itself.

    Args:
        config: the task.
        trained: a policy for each agent.
        episodes, seed: as in `episode_returns`; the same for all.

    Returns:
        of `place_on_scale`, 0 and 100 being `scale_ends`.
    """
    teams: dict[str, str | Mapping[str, str | Policy]] = {**{name: name for name in REFERENCES}, "trained": trained}
    samples = {name: episode_returns(config, team, episodes, seed).mean(axis=1) for name, team in teams.items()}
    return place_on_scale(samples, *scale_ends(config))


def place_on_scale(samples: Mapping[str, np.ndarray], low: str, high: str) -> dict[str, dict[str, float]]:
    """Mean and normalised score of each of some samples [E] from the same episodes, of which those of `low` are 0 and
    those of `high` 100.

    Returns:
        name -> mean, half_width_95, and, where `high` earns more than `low`, score, score_half_width_95.
    """
    table = {}
    for name, sample in samples.items():
        mean, width = mean_interval(sample)
        table[name] = {"mean": mean, "half_width_95": width}
        if np.mean(samples[high]) > np.mean(samples[low]):
            score, score_width = normalised_score(sample, samples[low], samples[high])
            table[name] |= {"score": score, "score_half_width_95": score_width}
    return table


def mean_interval(samples: np.ndarray) -> tuple[float, float]:
    """Mean of independent samples [E] and the half-width of its 95 % interval (Student's t)."""
    samples = np.asarray(samples, float)
    count = len(samples)
    if count < 2:
        return float(samples.mean()), float("nan")
    return float(samples.mean()), _t_quantile(count - 1) * float(samples.std(ddof=1)) / count**0.5


def normalised_score(samples: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Where `samples` stand if the mean of `low` is 0 and that of `high` is 100, with a 95 % half-width.

    All three [E] come from the same episodes, so the interval is that of the ratio of paired means (delta method).
    """
    span = float(np.mean(high - low))
    if span <= 0:
        return float("nan"), float("nan")
    score = float(np.mean(samples - low)) / span
    _, width = mean_interval((samples - low) - score * (high - low))
    return 100 * score, 100 * width / span


def _t_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t by its expansion around the normal's (Abramowitz & Stegun 26.7.5), which is off by
    0.1 % at 4 degrees."""
    if freedom < 4:
        return (12.706205, 4.302653, 3.182446)[freedom - 1]
    z = 1.959964
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (i + 1) for i, term in enumerate(terms))
