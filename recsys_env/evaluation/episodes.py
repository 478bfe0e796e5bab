"""Whole episodes: which policies act, on which seeds, and what each agent earns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import cli
from ..api.rollouts import Rollout, play_team
from ..batch.base import AnyBatch, check_config, checked_batch
from ..batch.vector import VectorEnv
from ..checks import check_count, checked_seed, is_sequence, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.tasks import task_config
from ..policies import Policy, Team
from ..policies.linear import static_weights
from ..policies.registry import import_policies, instead_of, is_team, made_for_page
from .log import EpisodeLog

UNSEEN = 1_000_003
"""The first seed that training never uses. Seeds are used as follows:

- training with seed s: s, below UNSEEN;
- measuring a policy that was trained with seed s, and run s of an evaluation: UNSEEN + s;
- warming up a policy that learns while it serves: 2 * UNSEEN + s;
- choosing which policy of a training is kept: 3 * UNSEEN + s.

So no policy is measured on random events, or on people, that it was trained or chosen on. Only with
`users.population = "fixed"` are the people the same.
"""


def play_episode(
    envs: AnyBatch, team: Team, observations: Any, log: EpisodeLog | None = None, paid: np.ndarray | None = None
) -> np.ndarray:
    """Play the episode that every copy of a batch has begun, starting from these observations, to its end.

    Args:
        log: records what metrics need.
        paid: [B, N] array to which the rewards after sharing are added.

    Returns:
        [B, N] sum of each agent's individual reward (`infos["individual_reward"]`, before sharing).

    Raises:
        TypeError: the batch, team or log is something else, or `paid` is not such an array.
        ValueError: the team or the log belongs to another batch, an agent has no policy, or a language model has
            answered no page (`Team.check`).
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
        returns += infos["individual_reward"]
        if paid is not None:
            paid += rewards
        if log is not None:
            log.record(infos)
        team.observe(infos, truncated)
    team.check()
    return returns


def episode_rewards(envs: AnyBatch, team: Team, observations: Any) -> Rollout:
    """Play an episode as `play_episode` does, in one compiled call where all policies are compiled.

    Returns:
        the sums over the episode of each agent's rewards before and after sharing.
    """
    compiled = all(policy.compiled for policy in team.policies.values())
    if compiled and isinstance(envs, VectorEnv) and envs.num_threads == 1:  # several threads are faster
        return play_team(envs, team, envs.config.horizon)
    paid = np.zeros((envs.num_envs, envs.num_agents))
    return Rollout(play_episode(envs, team, observations, paid=paid), paid)


COMPARED = ("random", "blind", "content", "static", "greedy", "planner")  # by default

Policies = str | Policy | Mapping[str, str | Policy] | Sequence[str | Policy]


def episode_returns(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int,
    seed: int,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> np.ndarray:
    """Play whole episodes, all at once as copies of one batch, and return the individual rewards.

    Args:
        task: the name of a task, a config, or an environment whose config and catalogue are used (it is not changed).
        policies: one for all agents (an object only if there is one agent), one for each agent in order, or one for
            each by agent name (as text: `agent=policy,agent=policy`). A policy is a name, the folder of a trained
            policy, module:factory, or an object of its own for each agent.
        episodes: E, one copy each.
        seed: seed of the episodes and of the policies' random streams; the same seed gives every policy the same
            visitors.
        num_threads: threads of the batch.
        catalogue: fitted items and users, as in `parallel_env`.

    Returns:
        [E, N] sum of each agent's individual reward (`infos["individual_reward"]`, before sharing).

    Raises:
        ValueError, TypeError: an argument is of a wrong kind or unknown.
        ValueError: a language model has answered no page.
    """
    return episode_rewards(*begin_episodes(task, policies, episodes, seed, num_threads, catalogue)).individual_rewards


def begin_episodes(
    task: str | WorldConfig | VectorEnv,
    policies: Policies,
    episodes: int,
    seed: int,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
) -> tuple[VectorEnv, Team, Any]:
    """Return a batch at the start of its episodes, the team that is to play them, and the first observations.

    Arguments and errors are those of `episode_returns`.
    """
    check_count("episodes", episodes, 1, 2**31)
    checked_seed(seed)
    if isinstance(task, VectorEnv):
        config, catalogue = task.config, task.catalogue if catalogue is None else catalogue
    else:
        config = task_config(task, {}, catalogue)
    envs = VectorEnv(config, episodes, num_threads, catalogue, copy=False)
    team = Team(envs, by_agent(envs.possible_agents, policies), seed)
    observations, _ = envs.reset(seed=seed)
    return envs, team, observations


def by_agent(agents: Sequence[str], policies: Policies) -> dict[str, str | Policy]:
    """Return the policy of each agent.

    Raises:
        ValueError: there is neither one policy for all agents nor one for each.
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


def checked_policies(policies: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of the policies that a command is asked for, after their modules were imported. None stays None.

    Raises:
        ValueError, ImportError: they are not names, there is none, or as in `import_policies`.
    """
    if policies is None:
        return None
    for given in policies if is_sequence(policies) else (policies,):
        if not isinstance(given, str):
            raise ValueError(
                f"policies = {shown(policies)} must be a list of names, folders or module:factory{instead_of(given)}; "
                "recsys_env.evaluation.episode_returns(task, policy, ...) takes objects, and a population has a name, "
                "too: population:content+greedy"
            )
    cli.not_empty(policies=policies)
    return import_policies(policies)


def asked_or_usual(policies: tuple[str, ...] | None, config: WorldConfig) -> tuple[str, ...]:
    """Return the policies that a command is asked for, or those that are compared on a task if it is asked for none."""
    return compared(config) if policies is None else policies


def compared(config: WorldConfig) -> tuple[str, ...]:
    """Return `COMPARED`, or for auctions and platforms `random`, `blind`, `static` and the policies that were made for
    such pages; without `static` if the world has none.

    Raises:
        TypeError: `config` is not a config.
    """
    check_config(config)
    ranked = all(static_weights(config, n) for n in range(config.num_agents))
    made = made_for_page(config)
    names = ("random", "blind", "static", *made) if made else COMPARED
    return tuple(name for name in names if ranked or name != "static")
