"""Compare a network that scores candidates with one of the flat vector, at equal steps.

    python -m benchmarks.studies.scorer [--seeds 5] [--agent-steps 1000000]

PPO of stable-baselines3 trains both on journey-v1 with the settings of docs/training/sb3.md: `SlatePolicy`, the
packaged scorer, and the library's `MlpPolicy`. A curve is the individual reward per agent and episode of the best
slates (the mode of the policy) on held-out episodes. Each seed of training has episodes of its own, on which `content`
and `random` play, too, so that differences are paired.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

import recsys_env
from recsys_env.adapters.sb3 import SB3Policy, SB3VecEnv
from recsys_env.batch.tensors import one_thread
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.trained.slates import SlatePolicy, slate_kwargs

from ..result_files import store

TASK, EPISODES, COPIES, POINTS = "journey-v1", 64, 64, 6
SETTINGS: dict[str, Any] = {
    "n_steps": 64,
    "batch_size": 2048,
    "n_epochs": 4,
    "learning_rate": 2e-3,
    "gamma": 0.9,
}
KINDS = ("scorer", "flat")


def earned(policies: dict[str, Any], seed: int) -> float:
    """Mean individual reward per agent on the held-out episodes of a seed of training."""
    envs = recsys_env.vector_env(TASK, EPISODES // 2, copy=False)
    return float(episode_returns(envs, policies, episodes=EPISODES, seed=UNSEEN + seed).mean())


@one_thread()
def curve(kind: str, seed: int, agent_steps: int) -> list[tuple[int, float]]:
    """Agent-steps and mean reward at the start and after each part of the training."""
    envs = recsys_env.vector_env(TASK, COPIES, copy=False)
    rows = VecNormalize(SB3VecEnv(envs), norm_obs=False, gamma=SETTINGS["gamma"])
    network: Any = (SlatePolicy, slate_kwargs(envs)) if kind == "scorer" else ("MlpPolicy", None)
    model = PPO(network[0], rows, policy_kwargs=network[1], seed=seed, device="cpu", **SETTINGS)
    points = []
    for part in range(POINTS + 1):
        if part:
            model.learn(agent_steps // POINTS, reset_num_timesteps=part == 1)
        reward = earned({agent: SB3Policy(model) for agent in envs.possible_agents}, seed)
        points.append((int(model.num_timesteps), reward))
        print(kind, seed, points[-1], flush=True)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--agent-steps", type=int, default=1_000_000)
    args = parser.parse_args()
    agents = recsys_env.TASKS[TASK].agents
    settings = {"task": TASK, "seeds": args.seeds, "agent_steps": args.agent_steps, "episodes": EPISODES, **SETTINGS}
    seeds = range(args.seeds)
    compared = {name: [earned(dict.fromkeys(agents, name), seed) for seed in seeds] for name in ("content", "random")}
    curves = {kind: [curve(kind, seed, args.agent_steps) for seed in seeds] for kind in KINDS}
    ends = {kind: np.array([run[-1][1] for run in curves[kind]]) for kind in KINDS}
    gains = {kind: interval(ends[kind] - compared["content"]) for kind in KINDS}
    store("scorer", {**settings, "copies": COPIES}, {"compared": compared, "curves": curves, "gains": gains})


if __name__ == "__main__":
    main()
