"""Compare a network that scores candidates with one of the flat vector, at equal steps.

    python -m benchmarks.studies.scorer [--seeds 5] [--agent-steps 1000000]

PPO of stable-baselines3 trains both on journey-v1 with the settings of docs/training/sb3.md: `SlatePolicy`, the
packaged scorer, and the library's `MlpPolicy`. A curve is the individual reward per agent and episode of the best
slates (the mode of the policy) on held-out episodes. Each seed of training has episodes of its own, on which `content`
and `random` play, too, so that differences are paired.
"""

from __future__ import annotations

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

from .study import measure, options

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
    given = options(__doc__, seeds=5, agent_steps=1_000_000)
    agents, seeds = recsys_env.TASKS[TASK].agents, range(given.seeds)
    settings = {"task": TASK, "seeds": given.seeds, "agent_steps": given.agent_steps, "episodes": EPISODES, **SETTINGS}
    compared = {name: [earned(dict.fromkeys(agents, name), seed) for seed in seeds] for name in ("content", "random")}

    def gains(curves: dict[str, Any]) -> dict[str, Any]:
        ends = {kind: np.array([run[-1][1] for run in of]) for kind, of in curves.items()}
        return {"compared": compared, "gains": {kind: interval(of - compared["content"]) for kind, of in ends.items()}}

    cells = {kind: lambda kind=kind: [curve(kind, seed, given.agent_steps) for seed in seeds] for kind in KINDS}
    measure("scorer", {**settings, "copies": COPIES}, cells, "curves", given.again, gains)


if __name__ == "__main__":
    main()
