"""The effect of a joint action compared with an alternative, in any world, with common random numbers."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.environment import RecommendationEnv
from ..batch.actions import as_array
from ..batch.base import Snapshot
from ..batch.vector import VectorEnv
from ..checks import check_count, checked_seed, shown
from ..evaluation.episodes import Policies, by_agent
from ..evaluation.statistics import mean_interval
from ..policies import Team

MOST_AGENTS = 8  # more would make too many coalitions


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """Effects of a joint action, compared with an alternative, on the individual rewards of the following ticks.

    Each effect comes with the half-width of its 95 % interval (t over the n paired differences).
    """

    effect: np.ndarray  # [N]: on the individual reward of each agent, compared with all taking the alternative
    effect_interval: np.ndarray
    team: float  # on their sum G
    team_interval: float
    difference: np.ndarray  # [N]: G(joint) - G(joint with this agent's alternative), Wolpert & Tumer 2002
    difference_interval: np.ndarray
    shapley: np.ndarray  # [N]: each agent's share of `team`, by the Shapley value; the shares sum to it
    shapley_interval: np.ndarray
    variance_saved: float  # 1 - Var(team effect) / its variance with independent random numbers


def counterfactual(
    state: VectorEnv | RecommendationEnv | Snapshot,
    joint_action: Any,
    alternative: Any,
    horizon: int,
    n: int,
    *,
    policies: Policies = "random",
    seed: int = 0,
) -> Counterfactual:
    """Play a joint action and an alternative n times each from a state, with common random numbers.

    Both games of a pair share all random events (`restore(snapshot, seed=...)`), so they differ only by the effect of
    the actions. After the first tick the same policies continue in both; they know nothing of earlier ticks. Rewards
    end with the episode. All 2^N coalitions are played, in which some agents take the joint action and the others the
    alternative.

    Args:
        state: a batch of one copy, a single environment, or a snapshot of one copy.
        joint_action: [N, ...] of the action space, or a dict by agent.
        alternative: the same.
        horizon: ticks, including the first.
        n: number of pairs.
        policies: policies from the second tick on, as in `recsys_env.evaluation.episode_returns`.
        seed: seed of the events and of the policies' own streams.

    Raises:
        ValueError: an action is outside its space, there are several copies or more than 8 agents, policies are
            unknown, or a number is out of range.
        TypeError: `state` is something else, or another argument is of a wrong kind.
        RuntimeError: the environment has not been reset, or its episode has ended.
    """
    check_count("horizon", horizon, 1, 10**8)
    check_count("n", n, 2, 2**31)
    seed = checked_seed(seed)
    snapshot, batch = _batch(state, n)
    agents = batch.num_agents
    if agents > MOST_AGENTS:
        raise ValueError(
            f"num_agents = {agents} makes 2^{agents} coalitions, all of which are played; allowed are at most "
            f"{MOST_AGENTS} agents"
        )
    chosen, instead = _joint(batch, "joint_action", joint_action), _joint(batch, "alternative", alternative)
    team = Team(batch, by_agent(batch.possible_agents, policies), seed)
    own = {}
    for coalition in itertools.product((False, True), repeat=agents):
        first = np.where(np.reshape(coalition, (agents, *[1] * (chosen.ndim - 1))), chosen, instead)
        batch.restore(snapshot, seed=seed)
        team.seed(seed)
        own[coalition] = _play(batch, team, first, horizon)
    everybody, nobody = (True,) * agents, (False,) * agents
    total = {coalition: values.sum(1) for coalition, values in own.items()}
    gain = total[everybody] - total[nobody]
    without = [tuple(m != i for m in range(agents)) for i in range(agents)]
    independent = total[everybody].var() + total[nobody].var()
    effects = _mean(own[everybody] - own[nobody])
    differences = _mean(np.stack([total[everybody] - total[coalition] for coalition in without], 1))
    credit = _mean(np.stack([_shapley(total, i) for i in range(agents)], 1))
    team_effect = _mean(gain[:, None])
    return Counterfactual(
        *effects,
        float(team_effect[0][0]),
        float(team_effect[1][0]),
        *differences,
        *credit,
        float(1 - gain.var() / independent) if independent > 0 else 0.0,
    )


def _batch(state: Any, n: int) -> tuple[Snapshot, VectorEnv]:
    """Return the snapshot of one copy, and a batch of n copies of its world.

    Raises:
        ValueError: the state has several copies.
        TypeError: it is not a state.
        RuntimeError: an environment has not been reset, or its episode has ended.
    """
    if isinstance(state, RecommendationEnv):
        state._require_page("counterfactual()")
    envs = state.vector if isinstance(state, RecommendationEnv) else state
    if isinstance(envs, VectorEnv):
        snapshot, catalogue = envs.save(), envs.catalogue
    elif isinstance(envs, Snapshot):
        snapshot, catalogue = envs, None
    else:
        raise TypeError(f"state = {shown(state)} must be an environment, a batch of one copy, or what save() returned")
    if snapshot.num_envs != 1:
        raise ValueError(f"state has {snapshot.num_envs} copies; give one of them, as save(copy) returns it")
    return snapshot, VectorEnv(snapshot.config, n, catalogue=catalogue, copy=False)


def _joint(batch: VectorEnv, name: str, action: Any) -> np.ndarray:
    """Return a joint action [N, ...], which is given by agent or as an array in the argument `name`.

    Raises:
        ValueError, TypeError: an agent has no action, or one outside its space.
    """
    if isinstance(action, dict):
        if set(action) != set(batch.possible_agents):
            raise ValueError(
                f"{name} names {shown(list(action))}, but must name each of {', '.join(batch.possible_agents)}"
            )
        action = [action[agent] for agent in batch.possible_agents]
    shape = (batch.num_agents, *(batch.action_space.shape or ()))
    array = as_array(action, shape, "one of {} for each agent", batch.action_space, name)
    try:
        batch._actions.read(np.broadcast_to(array, (batch.num_envs, *shape)))
    except (ValueError, TypeError) as error:
        raise type(error)(f"{name}: {error}") from None
    return array


def _play(batch: VectorEnv, team: Team, first: np.ndarray, horizon: int) -> np.ndarray:
    """Play a joint action, and then the team's; return the sums of individual rewards [n, N]."""
    own, running = np.zeros((batch.num_envs, batch.num_agents)), np.ones(batch.num_envs, np.bool_)
    actions = batch.empty_actions()
    actions[:] = first
    for _ in range(horizon):
        observations, _, _, truncated, infos = batch.step(actions)
        own += infos["individual_reward"] * running[:, None]
        running &= ~truncated
        if not running.any():
            break
        team.observe(infos, truncated)
        team.act(observations, actions)
    return own


def _shapley(total: dict[tuple[bool, ...], np.ndarray], agent: int) -> np.ndarray:
    """Return the Shapley value [n] of an agent (Shapley 1953): what it adds when it turns to the joint action, as a
    mean over all orders of the agents."""
    agents, credit = len(next(iter(total))), np.zeros(len(next(iter(total.values()))))
    for coalition, value in total.items():
        if coalition[agent]:
            before = sum(coalition) - 1
            weight = math.factorial(before) * math.factorial(agents - before - 1) / math.factorial(agents)
            credit += weight * (value - total[(*coalition[:agent], False, *coalition[agent + 1 :])])
    return credit


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means [W] of values [n, W], and the half-widths of their 95 % intervals."""
    mean, width = zip(*map(mean_interval, values.T), strict=True)
    return np.array(mean), np.array(width)
