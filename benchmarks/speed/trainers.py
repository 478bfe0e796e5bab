"""What each interface to the game costs, in stepping alone and in training.

    python -m benchmarks.speed.trainers [--task ecommerce-v1] [--rounds 9] [--iterations 6]

Stepping: agent-steps per second of the bare batch and of each interface, which repeat the same actions. The windows of
an interface alternate with those of the bare batch, and the result is the time that it adds.
Training: agent-steps per second of stable-baselines3's PPO through `SB3VecEnv`, of the same PPO through SuperSuit on
`parallel_env`, and of the one-file PPO, with the share of the time that is spent inside the environment.
Libraries that are not installed keep their stored rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import supersuit
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnvWrapper

import recsys_env
from baselines.algorithms import TorchPPO
from baselines.ppo_torch import PPOLearner
from baselines.training import Clock, begin
from recsys_env import VectorEnv
from recsys_env.adapters.sb3 import SB3VecEnv
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .step import actions_for
from .windows import take_turns

COPIES, SUPERSUIT_COPIES = 1024, 32
TRAINING_COPIES, STEPS = 256, 64


# ------------------------------------------------------------------------------------------------ stepping


def bare(task: str) -> Callable[[], Any]:
    envs = recsys_env.vector_env(task, COPIES)
    envs.reset(seed=0)
    actions = actions_for(envs)
    return lambda: envs.step(actions)


def sb3(task: str) -> Callable[[], Any]:
    envs = recsys_env.vector_env(task, COPIES)
    rows, actions = SB3VecEnv(envs), actions_for(envs)
    rows.reset()
    return lambda: rows.step(actions.reshape(rows.num_envs, *actions.shape[2:]))


def shared_policy(task: str) -> Callable[[], Any]:
    rows = recsys_env.shared_policy_env(task, COPIES)
    rows.reset(seed=0)
    actions = actions_for(rows.envs).reshape(rows.action_space.shape)
    return lambda: rows.step(actions)


def single_agent(task: str) -> Callable[[], Any]:
    rows: Any = gymnasium.make_vec(f"recsys/{task}", num_envs=COPIES, background="random")
    rows.reset(seed=0)
    actions = actions_for(rows.envs)[:, 0]
    return lambda: rows.step(actions)


def torchrl(task: str, state: bool = False) -> Callable[[], Any]:
    from recsys_env.adapters.torchrl import TorchRLEnv

    env = TorchRLEnv(recsys_env.vector_env(task, COPIES), device="cpu", state=state)
    step = env.rand_action(env.reset())
    return lambda: env.step(step).pop("next")  # or the next step would merge it with its own, which no rollout does


def through_supersuit(task: str) -> Callable[[], Any]:
    rows = supersuit.pettingzoo_env_to_vec_env_v1(recsys_env.parallel_env(task))
    rows = supersuit.concat_vec_envs_v1(rows, SUPERSUIT_COPIES, num_cpus=0, base_class="stable_baselines3")
    rows.reset()
    actions = np.stack([rows.action_space.sample() for _ in range(rows.num_envs)])
    return lambda: rows.step(actions)


# name: (makes a step, copies, whether its steps count for all agents or for one, the library it needs)
STEPPING: dict[str, tuple[Callable[[str], Callable[[], Any]], int, bool, str]] = {
    "bare batch": (bare, COPIES, True, "numpy"),
    "SB3 VecEnv": (sb3, COPIES, True, "stable_baselines3"),
    "Gymnasium VectorEnv, shared policy": (shared_policy, COPIES, True, "gymnasium"),
    "Gymnasium VectorEnv, one agent, others random": (single_agent, COPIES, False, "gymnasium"),
    "TorchRL EnvBase": (torchrl, COPIES, True, "torchrl"),
    "TorchRL EnvBase with the global state": (partial(torchrl, state=True), COPIES, True, "torchrl"),
    "SuperSuit on parallel_env": (through_supersuit, SUPERSUIT_COPIES, True, "supersuit"),
}


def stepping(task: str, rounds: int) -> dict[str, Any]:
    agents, results = recsys_env.vector_env(task).num_agents, {}
    for name, (make, copies, all_agents, needs) in STEPPING.items():
        if importlib.util.find_spec(needs) is None:
            continue
        # wall-clock time, as some spread the copies over threads or processes
        found = take_turns({"step": make(task), "bare": bare(task)}, rounds, time.perf_counter_ns)
        over = np.quantile(found["step"] / found["bare"] - 1, (0, 0.5, 1)).tolist()
        results[name] = {
            "copies": copies,
            "agent_steps_per_second": 1e9 / np.median(found["step"]) * copies * (agents if all_agents else 1),
            "over_bare": over if copies == COPIES else None,
            "source": provenance(),
        }
        print(name, results[name], flush=True)
    return results


# ------------------------------------------------------------------------------------------------ training


class TimedBatch(VectorEnv):
    """A batch that adds up the seconds that its steps take."""

    seconds = 0.0

    def step(self, actions: Any) -> Any:
        began = time.perf_counter()
        result = super().step(actions)
        self.seconds += time.perf_counter() - began
        return result


class TimedRows(VecEnvWrapper):
    """Rows of stable-baselines3 that add up the seconds that their steps take."""

    seconds = 0.0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        began = time.perf_counter()
        result = self.venv.step_wait()
        self.seconds += time.perf_counter() - began
        return result


def measured(learn: Callable[[], Any], agent_steps: int, timed: TimedBatch | TimedRows | Clock) -> dict[str, float]:
    before, began = timed.seconds, time.perf_counter()
    learn()
    total = time.perf_counter() - began
    return {"agent_steps_per_second": agent_steps / total, "environment_share": (timed.seconds - before) / total}


def sb3_ppo(task: str, iterations: int, supersuits: bool) -> dict[str, Any]:
    """PPO with the library's own networks and epochs. Only the interface that it steps through differs."""
    agents = recsys_env.vector_env(task).num_agents
    through: Any
    timed: TimedBatch | TimedRows
    if supersuits:
        copies = SUPERSUIT_COPIES
        single = supersuit.pettingzoo_env_to_vec_env_v1(recsys_env.parallel_env(task))
        several = supersuit.concat_vec_envs_v1(single, copies, num_cpus=0, base_class="stable_baselines3")
        through = timed = TimedRows(several)
    else:
        copies = TRAINING_COPIES
        timed = TimedBatch(recsys_env.TASKS[task], copies)
        through = SB3VecEnv(timed)
    rows = copies * agents
    model = PPO("MlpPolicy", through, n_steps=STEPS, batch_size=rows * STEPS // 8, n_epochs=4, device="cpu")
    model.learn(rows * STEPS)
    agent_steps = iterations * rows * STEPS
    return {
        "copies": copies,
        **measured(lambda: model.learn(agent_steps, reset_num_timesteps=False), agent_steps, timed),
    }


def torch_ppo(options: TorchPPO, iterations: int) -> dict[str, Any]:
    """The one-file PPO. Its rollouts are the iterations."""
    training = begin(options)
    learner = PPOLearner(training, options)
    each = options.n_steps * options.num_envs * learner.envs.num_agents

    def learn(rollouts: int) -> None:
        learner.learn(learner.agent_steps + rollouts * each, lambda point: None)

    learn(2)  # the first one only measures the starting level
    return {"copies": options.num_envs, **measured(lambda: learn(iterations), iterations * each, training.clock)}


def training(task: str, iterations: int) -> dict[str, Any]:
    results = {
        "SB3 PPO, VecEnv": sb3_ppo(task, iterations, supersuits=False),
        "SB3 PPO, SuperSuit": sb3_ppo(task, max(1, iterations // 2), supersuits=True),
        "one-file PPO (`baselines.ppo_torch`)": torch_ppo(
            TorchPPO(task, num_envs=TRAINING_COPIES, n_steps=STEPS, device="cpu"), iterations
        ),
    }
    for name, row in results.items():
        print(name, row, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="ecommerce-v1")
    parser.add_argument("--rounds", type=int, default=9, help="windows of each figure")
    parser.add_argument("--iterations", type=int, default=6, help="PPO iterations that are timed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"task": args.task, "rounds": args.rounds, "iterations": args.iterations}
    result = {
        "stepping": {**earlier("trainers", "stepping", settings), **stepping(args.task, args.rounds)},
        "training": training(args.task, args.iterations),
    }
    store("trainers", settings, result)


if __name__ == "__main__":
    main()
