"""Rollouts: many ticks of a batch in one compiled call, with policies that are compiled too."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..batch.vector import VectorEnv, checked_vector_env
from ..checks import check_count, shown
from ..policies import Team
from ..policies.compiled import CompiledPolicy, is_compiled

BLOCK, LARGEST = 256, 2**20  # ticks whose random actions are drawn ahead; ticks of copies


class Rollout(NamedTuple):
    """What agents earned in a rollout, [B, N] each, as sums over its ticks."""

    individual_rewards: np.ndarray  # before sharing
    rewards: np.ndarray  # after sharing


def rollout(envs: VectorEnv, policies: Any, ticks: int, seed: int = 0) -> Rollout:
    """Play many ticks of every copy in one compiled call, without Python between them.

    The results equal those of `step` with a `Team` of the same policies and seed, bit by bit. Episodes restart as in
    `step`. Afterwards `envs.observations`, `envs.infos` and so on describe the last tick. With `copy=False`, the arrays
    that the last `step` returned are overwritten at once.

    Args:
        envs: the batch, after its first `reset`.
        policies: one for all agents, or one for each by agent name: "random" (without masks); "blind"; "popularity",
            "content", "greedy" or "planner" (where actions are picks); "static" or a `LinearRanker` (where actions are
            picks and agents set neither prices nor bids); or a function of `numba.njit` (see
            `recsys_env.policies.CompiledPolicy`).
        ticks: T, for instance the horizon.
        seed: seed of the policies' random streams.

    Raises:
        TypeError, ValueError: a policy is not compiled, is missing, or chooses an action outside its space.
        RuntimeError: before the first `reset`.

    After an action outside its space, or an error in a function, the copies are at different ticks: call `reset`.
    """
    checked_vector_env(envs)._require_reset("rollout()")
    check_count("ticks", ticks, 1, 10**9)
    by_agent = policies if isinstance(policies, Mapping) else dict.fromkeys(envs.possible_agents, policies)
    missing = [agent for agent in envs.possible_agents if agent not in by_agent]
    if missing:
        raise ValueError(f"policies = {shown(policies)} have none for {', '.join(missing)}")
    for agent, policy in by_agent.items():
        if inspect.isroutine(policy) and not is_compiled(policy):
            raise TypeError(f"policy {shown(policy)} of {agent} must be a Policy, or compiled by numba.njit(function)")
    members = {agent: CompiledPolicy(policy) if is_compiled(policy) else policy for agent, policy in by_agent.items()}
    return play_team(envs, Team(envs, members, seed), ticks)


def play_team(envs: VectorEnv, team: Team, ticks: int) -> Rollout:
    """A rollout with a team of compiled policies, bound to this batch.

    Raises:
        ValueError: a policy is not compiled, or chooses an action outside its space.
    """
    for agent, policy in team.policies.items():
        if not policy.compiled:
            raise ValueError(
                f"policy {type(policy).__name__} of {agent} is not compiled, so rollout() cannot play it in this task; "
                "choose 'random' (without masks), 'blind', 'popularity', 'content', 'greedy', 'planner', 'static', a "
                "LinearRanker or a function of numba.njit, or call step()"
            )
    from ..kernels.machine import COMPILER
    from ..kernels.machine.selection import PLAIN

    rows = envs.num_envs, envs.num_agents
    result = Rollout(np.zeros(rows), np.zeros(rows))
    # The plain compiler calls nothing by its address, a team replaces actions that come too late, and no kernel names
    # items in observations.
    if COMPILER == PLAIN or envs.config.observation.delay > 0 or envs.shape.id_columns:
        _step(envs, team, ticks, result)
        return result
    size = max(1, min(BLOCK, LARGEST // envs.num_envs))

    def actors_for(ticks: int) -> list[Any]:
        return [team.policies[agent].actor(ticks) for agent in envs.possible_agents]

    while ticks > 0:
        ticks -= envs._roll_out(actors_for, min(size, ticks), *result)
    return result


def _step(envs: VectorEnv, team: Team, ticks: int, result: Rollout) -> None:
    """The same, tick by tick."""
    actions = envs.empty_actions()
    for _ in range(ticks):
        team.act(envs.observations, actions)
        _, rewards, _, _, infos = envs._step(actions)
        result.individual_rewards[:] += infos["individual_reward"]
        result.rewards[:] += rewards
