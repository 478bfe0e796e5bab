"""Algorithms of stable-baselines3 and sb3-contrib through `SB3VecEnv`, and PPO through SuperSuit."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import sb3_contrib
import stable_baselines3
import supersuit
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

import recsys_env
from recsys_env.adapters.sb3 import SB3VecEnv

from . import TASK, TEAM, main, untrained

_ON = {"n_steps": 64, "batch_size": 1024, "n_epochs": 4, "learning_rate": 1e-3}
_A2C = {"n_steps": 16, "learning_rate": 1e-3, "gamma": 0.97, "ent_coef": 0.03, "normalize_advantage": True}
_OFF = {"learning_starts": 500, "train_freq": 4, "gradient_steps": 8, "learning_rate": 1e-3}
_QUERY = {**_OFF, "train_freq": 1, "gradient_steps": 8, "gamma": 0.97, "policy_kwargs": {"net_arch": [32, 32]}}
_NOISE = NormalActionNoise(np.zeros(1), np.full(1, 1.5))  # a query of duel-v1 is one number; only its sign matters
# name: (class, policy, copies, rows' steps, its options, changes to the task)
SETTINGS: dict[str, tuple[type, str, int, int, dict[str, Any], dict[str, Any]]] = {
    "PPO": (stable_baselines3.PPO, "MlpPolicy", 64, 65_536, _ON, {}),
    "A2C": (stable_baselines3.A2C, "MlpPolicy", 64, 1_000_000, _A2C, {}),
    "DQN": (
        stable_baselines3.DQN,
        "MlpPolicy",
        16,
        30_000,
        {**_OFF, "exploration_fraction": 0.5, "target_update_interval": 500},
        {},
    ),
    "SAC": (stable_baselines3.SAC, "MlpPolicy", 16, 12_000, _QUERY, {"action": "query"}),
    "TD3": (
        stable_baselines3.TD3,
        "MlpPolicy",
        16,
        30_000,
        {**_QUERY, "gradient_steps": 4, "action_noise": _NOISE},
        {"action": "query"},
    ),
    "MaskablePPO": (sb3_contrib.MaskablePPO, "MlpPolicy", 64, 65_536, _ON, {"mask_actions": True}),
    "RecurrentPPO": (sb3_contrib.RecurrentPPO, "MlpLstmPolicy", 32, 16_384, {**_ON, "batch_size": 512}, {}),
}
SUPERSUIT = "PPO through SuperSuit"
ALGORITHMS = (*SETTINGS, SUPERSUIT)


def _supersuit(copies: int) -> VecEnv:
    """What every PettingZoo trainer can do: one Python environment per copy, stepped in a loop."""
    rows = supersuit.pettingzoo_env_to_vec_env_v1(recsys_env.parallel_env(TASK, **TEAM))
    return supersuit.concat_vec_envs_v1(rows, copies, num_cpus=0, base_class="stable_baselines3")


def evaluate(model: Any, changes: dict[str, Any], ticks: int = 300) -> float:
    """Mean reward per agent and tick of 64 copies on seeds that were not trained on."""
    rows = SB3VecEnv(recsys_env.vector_env(TASK, 64, **TEAM, **changes))
    rows.seed(1_000_003)
    observations: Any = rows.reset()
    state, begins, total = None, np.ones(rows.num_envs, bool), 0.0
    for _ in range(ticks):
        masks = {"action_masks": rows.action_masks()} if changes.get("mask_actions") else {}
        actions, state = model.predict(observations, state=state, episode_start=begins, deterministic=True, **masks)
        observations, rewards, begins, _ = rows.step(actions)
        total += float(rewards.mean())
    return total / ticks


def train(algorithm: str, device: str, seed: int) -> dict[str, Any]:
    kind, policy, copies, steps, options, changes = SETTINGS["PPO" if algorithm == SUPERSUIT else algorithm]
    rows = (
        _supersuit(8) if algorithm == SUPERSUIT else SB3VecEnv(recsys_env.vector_env(TASK, copies, **TEAM, **changes))
    )
    options = copy.deepcopy(options)  # the library writes into them
    if algorithm == SUPERSUIT:  # its rows have no seed(), and are few
        set_random_seed(seed)
        options["batch_size"] = 256
    else:
        options["seed"] = seed
    model = kind(policy, rows, device=device, **options)
    began = time.perf_counter()
    model.learn(steps)
    seconds = time.perf_counter() - began
    return {"agent_steps": steps, "seconds": seconds, "before": untrained(), "after": evaluate(model, changes)}


if __name__ == "__main__":
    main(train, ALGORITHMS)
