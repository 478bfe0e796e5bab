"""What policies compute for a page, beside what they earn.

    python -m benchmarks.studies.computation [--task streaming-v1] [--policies nearest sasrec FOLDER ...]

Each policy plays as a team. Its row holds the parameters of its networks, the floating-point operations per page (those
that PyTorch counts: products of matrices), milliseconds per page in a single copy and in a batch of 64 on one core
(including what it learns while serving), and individual reward per agent and episode. Where the processor tells its
energy, it also holds joules per page (RAPL: the whole package, including idle power and the environment). A policy is
on the frontier if no other one is better in both reward and time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from recsys_env import task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.policies import Policy

from .study import by_policy

POLICIES = (
    *("random", "popularity", "nearest", "content", "static", "greedy"),
    *("linucb", "linear-thompson", "implicit", "lightfm", "sasrec", "two-tower"),
)
EPISODES, BATCH, TICKS = 100, 64, 400
ENERGY = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def networks(policy: Policy) -> list[Any]:
    """The PyTorch modules that a policy acts with."""
    try:
        from torch import nn
    except ImportError:
        return []
    kept = [
        *vars(policy).values(),
        *(part for value in vars(policy).values() if isinstance(value, dict) for part in value.values()),
    ]
    return [part for part in {id(value): value for value in kept}.values() if isinstance(part, nn.Module)]


def joules() -> float | None:
    """Energy that the processor has used so far; None if it does not tell."""
    try:
        return int(ENERGY.read_text(encoding="utf-8")) / 1e6
    except (OSError, ValueError):
        return None


def timed(task: str, policy: str, copies: int) -> tuple[Policy, dict[str, Any]]:
    """The first agent's policy, and the cost of a page in a batch of this many copies."""
    config = task_config(task, {"horizon": TICKS})
    envs, team, observations = begin_episodes(config, policy, copies, UNSEEN)
    actions, pages, seconds, before = envs.empty_actions(), 0, 0.0, joules()
    for _ in range(TICKS):
        began = time.perf_counter()
        team.act(observations, actions)
        seconds += time.perf_counter() - began
        observations, _, _, truncated, infos = envs.step(actions)
        pages += int((infos["visitor"] >= 0).sum())
        began = time.perf_counter()
        team.observe(infos, truncated)
        seconds += time.perf_counter() - began
    cost, after = {"ms": 1000 * seconds / pages}, joules()
    if before is not None and after is not None and after > before:  # the counter wraps around at times
        cost["joules"] = (after - before) / pages
    return team.policies[envs.possible_agents[0]], cost


def operations(task: str, policy: str) -> float:
    """Floating-point operations of a page, after the policy has learned from 50 ticks."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.backends.mha.set_fastpath_enabled(False)  # its operations would not be counted
    envs, team, observations = begin_episodes(task, policy, BATCH, UNSEEN)
    actions, pages, counter = envs.empty_actions(), 0, FlopCounterMode(display=False)
    for tick in range(60):
        if tick < 50:
            team.act(observations, actions)
        else:
            pages += int(envs.active.sum())
            with counter:
                team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() / max(pages, 1)


def measured(task: str, policy: str) -> dict[str, Any]:
    _, alone = timed(task, policy, 1)
    mind, many = timed(task, policy, BATCH)
    modules = networks(mind)
    return {
        "parameters": sum(parameter.numel() for module in modules for parameter in module.parameters()) or None,
        "operations": operations(task, policy) if modules else None,
        "ms alone": alone["ms"],
        "ms in a batch": many["ms"],
        "joules": many.get("joules"),
        "individual_reward": interval(episode_returns(task, policy, EPISODES, UNSEEN).mean(1)),
    }


def frontier(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Policies that no other one beats in both reward and time of a page in a single copy."""
    return [
        name
        for name, row in rows.items()
        if not any(
            other["individual_reward"]["mean"] >= row["individual_reward"]["mean"]
            and other["ms alone"] <= row["ms alone"]
            and (other["individual_reward"]["mean"], -other["ms alone"])
            != (row["individual_reward"]["mean"], -row["ms alone"])
            for other in rows.values()
        )
    ]


def main() -> None:
    settings = {"episodes": EPISODES, "batch": BATCH, "ticks": TICKS}
    by_policy(
        __doc__,
        "computation",
        "streaming-v1",
        POLICIES,
        measured,
        lambda rows, _: {"frontier": frontier(rows)},
        **settings,
    )


if __name__ == "__main__":
    main()
