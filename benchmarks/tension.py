"""Is there a game? Payoffs of defecting and cooperating, and how far agents depend on each other, on the real kernels.

    python -m benchmarks.tension [--task TASK ...] [--episodes 200]

In the cooperative task the returns are the team's, so that R - P is the gap between the team and the selfish objective:
the planner's entrance also values what its items sell on the next page.

T, R, P, S: own reward per episode of a lone myopic agent among planners, of all planners, of all myopic agents, and of
a lone planner among myopic agents. Team loss 1 - P/R. Coupling: own return lost when the rivals go from random to
greedy, divided by the own gain from going from random to greedy. All on the same episodes (common random numbers); the
lone agent is the first.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from recsys_env import TASKS, WorldConfig, replace
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from .result_files import earlier, store

SEED = 90_000
TRUST = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


def returns(config: WorldConfig, lone: str, rest: str, episodes: int) -> np.ndarray:
    """Own returns [episodes] of the first agent playing `lone` while all others play `rest`; the team's mean where
    rewards are shared."""
    first, *others = config.agents
    own = episode_returns(config, {first: lone, **dict.fromkeys(others, rest)}, episodes, SEED)
    return own.mean(axis=1) if config.reward.sharing == 1 else own[:, 0]


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> dict[str, Any]:
    """Ratio of paired means with its delta-method interval."""
    value = numerator.mean() / denominator.mean()
    around = interval((numerator - value * denominator) / denominator.mean())
    return {"mean": float(value), "ci95": around["ci95"]}


def dilemma(config: WorldConfig, episodes: int) -> dict[str, Any]:
    """T, R, P, S and the team loss."""
    t, r = returns(config, "greedy", "planner", episodes), returns(config, "planner", "planner", episodes)
    p, s = returns(config, "greedy", "greedy", episodes), returns(config, "planner", "greedy", episodes)
    loss = ratio(p, r)
    return {
        "T": interval(t),
        "R": interval(r),
        "P": interval(p),
        "S": interval(s),
        "T-R": interval(t - r),
        "P-S": interval(p - s),
        "team_loss": {"mean": 1 - loss["mean"], "ci95": loss["ci95"]},
    }


def coupling(config: WorldConfig, episodes: int) -> dict[str, Any]:
    """Own return lost when rivals go from random to greedy ÷ own gain from going from random to greedy."""
    weak, strong = returns(config, "random", "random", episodes), returns(config, "greedy", "random", episodes)
    pressed = returns(config, "greedy", "greedy", episodes)
    return ratio(strong - pressed, strong - weak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="*", default=list(TASKS))
    parser.add_argument("--episodes", type=int, default=200)
    args = parser.parse_args()
    settings = {"episodes": args.episodes, "seed": SEED}
    result: dict[str, Any] = earlier("tension", "tasks", settings)
    for task in args.task:
        result[task] = {**dilemma(TASKS[task], args.episodes), "coupling": coupling(TASKS[task], args.episodes)}
        result[task]["source"] = provenance("benchmarks.tension")
        print(
            task,
            {key: f"{v['mean']:.3f} ±{v['ci95']:.3f}" for key, v in result[task].items() if key != "source"},
            flush=True,
        )
    sweep = {}
    for beta in TRUST:
        sweep[beta] = dilemma(replace(TASKS["social-v1"], {"choice": {"beta_trust": beta}}), args.episodes)
        print(
            "social-v1 beta_trust",
            beta,
            {key: f"{v['mean']:.3f} ±{v['ci95']:.3f}" for key, v in sweep[beta].items()},
            flush=True,
        )
    pooled = {}
    for agents in (2, 4):
        base = replace(TASKS["coldstart-v1"], {"num_agents": agents})
        private = episode_returns(base, "content", args.episodes, SEED).mean(axis=1)
        shared = episode_returns(replace(base, {"observation": {"share": True}}), "content", args.episodes, SEED).mean(
            axis=1
        )
        pooled[agents] = {
            "private": interval(private),
            "pooled": interval(shared),
            "gain": ratio(shared - private, private),
        }
        print("coldstart-v1 agents", agents, pooled[agents], flush=True)
    found = {"tasks": result, "trust_sweep": sweep, "pooled_history": pooled}
    print(store("tension", "benchmarks.tension", settings, found))


if __name__ == "__main__":
    main()
