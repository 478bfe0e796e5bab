"""How far `greedy` is from the best slate: the expected individual reward of its pages against slates that are tried.

Enumerated: one agent has three slots and eight candidates, and every ordered slate is tried, at a dissimilarity lambda.
One swap: all agents play greedy in a task as shipped. Every slate is tried that differs from an agent's in one
candidate or in the order of two slots, while the rivals keep their pages, which greedy knows.

Regret is what the best of the slates earns more than greedy's, as a percentage of greedy's mean.
"""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np

from recsys_env import VectorEnv, WorldConfig, replace, vector_env
from recsys_env.kernels.expected import expect
from recsys_env.policies import Team
from recsys_env.world.arrays import State, allocate_scratch

SEED = 80_000
SMALL = replace(
    WorldConfig(),
    {
        "num_agents": 1,
        "slots": 3,
        "page": "rows",
        "candidates": {"number": 8},
        "users": {"number": 4},
        "items": {"number": 60, "length_log_sd": 0.7},
        "choice": {"v_0": 2.0, "beta_bait": 2.0, "beta_quality": 1.0},
        "arrival": {"r_0": 4.0},
        "reward": {"click": 0.1, "dwell": 1.0},
    },
)


def neighbours(slate: np.ndarray, options: int) -> list[np.ndarray]:
    """Slates that differ from B slates [B, K] in one step: each slot filled with each option, each pair of slots
    exchanged."""
    slots, tried = slate.shape[1], []
    for k in range(slots):
        for option in range(options):
            other = slate.copy()
            used = (slate == option).any(1)
            other[~used, k] = option
            tried.append(other)
    for i, j in combinations(range(slots), 2):
        other = slate.copy()
        other[:, [i, j]] = slate[:, [j, i]]
        tried.append(other)
    return tried


def slates(slots: int, options: int, copies: int) -> list[np.ndarray]:
    """Every ordered slate, for all copies."""
    return [np.tile(slate, (copies, 1)) for slate in permutations(range(options), slots)]


def inclusive_values(envs: VectorEnv, joint: np.ndarray) -> np.ndarray:
    """Inclusive value [B, N] of each agent's slots on the page that these actions make."""
    state = State(*(array.copy() for array in envs.arrays))
    report = envs.report._replace(slots=envs.report.slots.copy())
    click, own = np.zeros(joint.shape), np.zeros(joint.shape[:2])
    expect(
        envs.world,
        state,
        report,
        allocate_scratch(envs.world, envs.num_envs),
        joint,
        click,
        click.copy(),
        own,
        own.copy(),
        own.copy(),
    )
    return state.inclusive


def regret(envs: VectorEnv, pages: int, everything: bool) -> float:
    """Regret of greedy in some pages of a batch: against every slate, or against those that are one step away."""
    team = Team(envs, dict.fromkeys(envs.possible_agents, "greedy"), SEED)
    observations, _ = envs.reset(seed=SEED)
    joint, reply, lost, earned = envs.empty_actions(), envs.empty_actions(), [], []
    for _ in range(pages):
        team.act(observations, joint)
        envs.arrays.inclusive[:] = inclusive_values(envs, joint)
        team.act(observations, reply)
        for n in range(envs.num_agents):
            trial = joint.copy()
            trial[:, n] = reply[:, n]
            own = envs.expected_feedback(trial)["individual_reward"][:, n]
            best, mine, options = own, reply[:, n], envs.shape.candidates
            for slate in slates(mine.shape[1], options, envs.num_envs) if everything else neighbours(mine, options):
                trial[:, n] = slate
                best = np.maximum(best, envs.expected_feedback(trial)["individual_reward"][:, n])
            here = envs.active[:, n]
            lost.append((best - own)[here])
            earned.append(own[here])
        observations = envs.step(joint)[0]
    return float(100 * np.concatenate(lost).mean() / np.concatenate(earned).mean())


def enumerated(dissimilarity: float, copies: int, pages: int) -> float:
    """Regret against every slate of a small world."""
    return regret(vector_env(SMALL, copies, choice={"dissimilarity": dissimilarity}), pages, everything=True)


def one_swap(task: str, copies: int, pages: int) -> float:
    """Regret against all slates that are one change away, in a task as shipped."""
    return regret(vector_env(task, copies), pages, everything=False)
