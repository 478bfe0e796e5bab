"""Episodes played to their end: who acts, on which seeds, and what each agent earns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..batch import AnyBatch, check_config, checked_batch
from ..catalogue import Catalogue
from ..checks import check_count, checked_seed, is_sequence, shown
from ..config import WorldConfig
from ..policies import Policy, Team
from ..policies.linear import static_weights
from ..policies.registry import is_team
from ..tasks import task_config
from ..vector import VectorEnv
from .log import EpisodeLog

UNSEEN = 1_000_003
"""The rule of seeds: training uses seeds below this; what was trained with seed s, and run s of an evaluation, is
measured on UNSEEN + s; a policy that learns while it serves is warmed up on 2 * UNSEEN + s; which of a training's
policies is kept is decided on 3 * UNSEEN + s. So nothing is ever measured on luck that it was trained on or chosen by,
nor on people, unless `users.population` is "fixed"."""


def play_episode(
    envs: AnyBatch, team: Team, observations: Any, log: EpisodeLog | None = None, paid: np.ndarray | None = None
) -> np.ndarray:
    """Play the episode that every copy of a batch has begun with these observations, to its end.

    Args:
        log: takes down what the metrics beside reward need.
        paid: [B, N] to which the rewards that agents are paid, after sharing, are added.

    Returns:
        [B, N] sum of each agent's own reward (`infos["own"]`, before sharing).

    Raises:
        TypeError: no batch, team or log, or `paid` is no such array.
        ValueError: the team or the log is of another batch, or an agent has no policy.
        RuntimeError: the batch is not at the beginning of an episode.
    """
    checked_batch(envs)
    if not isinstance(team, Team):
        raise TypeError(f"team = {shown(team)} must be a recsys_env.policies.Team")
    if log is not None and not isinstance(log, EpisodeLog):
        raise TypeError(f"log = {shown(log)} must be an EpisodeLog or None")
    for name, of in {"team": team, "log": log}.items():
        if of is not None and of.envs is not envs:
            raise ValueError(f"{name} = {shown(of)} is of another batch than envs")
    missing = [agent for agent in envs.possible_agents if agent not in team.policies]
    if missing:
        raise ValueError(f"team = {shown(list(team.policies))} has no policy for {', '.join(missing)}")
    game: Any = envs.game
    if game.tick.any():
        ticks = np.unique(game.tick).tolist()
        raise RuntimeError(f"envs is at tick {ticks} of its episode; call reset() before play_episode()")
    if paid is not None and not (
        isinstance(paid, np.ndarray) and paid.dtype.kind == "f" and paid.shape == (envs.num_envs, envs.num_agents)
    ):
        raise TypeError(f"paid = {shown(paid)} must be an array of floats [{envs.num_envs}, {envs.num_agents}] or None")
    returns, actions = np.zeros((envs.num_envs, envs.num_agents)), envs.empty_actions()
    for _ in range(envs.config.horizon):
        if log is not None:
            log.look()
        team.act(observations, actions)
        observations, rewards, _, truncated, infos = envs.step(actions)
        returns += infos["own"]
        if paid is not None:
            paid += rewards
        if log is not None:
            log.record(infos)
        team.observe(infos, truncated)
    return returns


COMPARED = ("random", "blind", "content", "static", "greedy", "planner")  # unless one says otherwise

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
            each by agent name (as text: `agent=policy,agent=policy`): a name, the folder of a trained one,
            module:factory, or an object of its own.
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
    """The policy of each agent.

    Raises:
        ValueError: not one for all, nor one for each agent.
    """
    given: Any = policies
    if is_sequence(given) and not isinstance(given, range):
        if len(given) not in (1, len(agents)):
            raise ValueError(
                f"{len(given)} policies are given, expected one for all or one for each of {', '.join(agents)}: "
                f"{shown(given)}"
            )
        policies = given[0] if len(given) == 1 else dict(zip(agents, given, strict=True))
    if isinstance(policies, str) and is_team(policies):
        pairs = [part.partition("=")[::2] for part in policies.split(",")]
        if sorted(agent for agent, _ in pairs) != sorted(agents):
            raise ValueError(
                f"team {shown(policies)} must name a policy for each of the agents {', '.join(agents)} once: "
                "agent=policy,agent=policy"
            )
        policies = dict(pairs)
    elif not isinstance(policies, Mapping):
        policies = dict.fromkeys(agents, cast("str | Policy", policies))  # a name, or what no policy is
    if set(policies) != set(agents):
        raise ValueError(f"policies = {shown(policies)} must have one for each of {', '.join(agents)}")
    return {agent: policies[agent] for agent in agents}


def compared(config: WorldConfig) -> tuple[str, ...]:
    """`COMPARED`, without `static` where the world has none.

    Raises:
        TypeError: no config.
    """
    check_config(config)
    ranked = all(static_weights(config, n) for n in range(config.num_agents))
    return tuple(name for name in COMPARED if ranked or name != "static")
