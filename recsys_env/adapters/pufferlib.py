"""PufferLib: a batch as a native `PufferEnv` that writes into its in-place buffers, and a configuration of its PPO.

    envs = recsys_env.vector_env("ecommerce-v1", num_envs=256)
    rows = PufferBatch(envs)
    trainer = PuffeRL(puffer_config(rows, total_timesteps=5_000_000), rows, pufferlib.models.Default(rows))
    while trainer.global_step < trainer.config["total_timesteps"]:
        trainer.evaluate()
        trainer.train()

The package `pufferlib` can only be built from source, and downloads a C library meanwhile. `pufferlib-core` is the same
module as a wheel, but needs exactly torch 2.9.0 (on Linux the CUDA build, 7 GB). Install it into an environment of its
own: `pip install "recsys_env[pufferlib]"`.

PuffeRL has these limits:

- It clamps rewards to [-1, 1]. If a page can pay more, scale the rewards by the weights of `reward`.
- It ignores truncation: the last transition of an episode is bootstrapped from the first observation of the next one.
- It takes no action masks.
- Its `seed` seeds the environment only. Call `torch.manual_seed` for the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batch.actions import joint_of_rows
from ..batch.base import CpuBatch, all_ended, checked_cpu_batch
from ..libraries import needed

with needed("the PufferLib adapter", "recsys_env[pufferlib]"):
    import pufferlib
    import pufferlib.models

from ..batch.tensors import choose_device
from . import check_flat


class PufferBatch(pufferlib.PufferEnv):  # type: ignore[misc]
    """A batch as B·N rows of one shared policy: row b·N + n is agent n of copy b. Agents observe their role and id.

    Terminals are never set. Truncations are set when an episode ends. In that step `infos` is a list of one dict for
    the whole batch, which the dashboard shows: `episode_return` and `episode_individual_reward` (means over rows, after
    and before sharing) and `episode_length`. In all other steps it is empty.

    Args:
        envs: the batch, on the CPU, without `mask_actions` and with flat observations.
        buf: buffers to write into, as `pufferlib.vector` provides them; None creates them.
        seed: seed of the first reset, unless that reset is given one.
    """

    def __init__(self, envs: CpuBatch, buf: Any = None, seed: int | None = None) -> None:
        if checked_cpu_batch(envs).config.mask_actions:
            raise ValueError("mask_actions = True is not possible with PufferLib: its PPO takes no action masks")
        check_flat(envs.observation_format, "PufferLib")
        self.envs = envs
        self.num_agents = envs.num_envs * envs.num_agents
        self.single_observation_space = envs.observation_space
        self.single_action_space = envs.action_space
        self._action = envs.action_space.shape or ()
        self._next_seed = seed
        self._return = self._individual_reward = 0.0
        super().__init__(buf)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, list[dict[str, float]]]:
        observations, _ = self.envs.reset(seed=self._next_seed if seed is None else seed)
        self._next_seed = None
        self._return = self._individual_reward = 0.0
        self.observations[:] = observations.reshape(self.observations.shape)
        for array in (self.rewards, self.terminals, self.truncations):
            array[:] = 0
        return self.observations, []

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, float]]]:
        joint = joint_of_rows(actions, self.envs.num_envs, self.envs.num_agents, self._action)
        observations, rewards, _, truncated, infos = self.envs._step(joint)
        self.observations[:] = observations.reshape(self.observations.shape)
        self.rewards[:] = rewards.ravel()
        self.truncations[:] = np.repeat(truncated, self.envs.num_agents)
        self._return += float(rewards.mean())
        self._individual_reward += float(infos["individual_reward"].mean())
        report = self._report() if all_ended(truncated) else []
        return self.observations, self.rewards, self.terminals, self.truncations, report

    def _report(self) -> list[dict[str, float]]:
        report = {
            "episode_return": self._return,
            "episode_individual_reward": self._individual_reward,
            "episode_length": float(self.envs.config.horizon),
        }
        self._return = self._individual_reward = 0.0
        return [report]

    def close(self) -> None:
        self.envs.close()


def puffer_config(
    rows: PufferBatch, total_timesteps: int, device: str = "auto", horizon: int = 64, **changes: Any
) -> dict[str, Any]:
    """Return a configuration of PuffeRL for this batch, with every key that PuffeRL needs.

    Args:
        rows: the environment to train in, with a multiple of 4 rows.
        total_timesteps: agent-steps to train for.
        device: "auto" uses a GPU if there is one.
        horizon: steps of a rollout. A training batch of `horizon` steps of all rows has four minibatches.
        changes: keys of PuffeRL's configuration to change; others are a `TypeError`.
    """
    batch = rows.num_agents * horizon
    if rows.num_agents % 4:
        raise ValueError(
            f"the batch has {rows.num_agents} rows (copies x agents); their number must be a multiple of 4, because "
            "training uses four minibatches"
        )
    config: dict[str, Any] = {
        "env": "recsys",
        "seed": 0,
        "torch_deterministic": True,
        "device": str(choose_device(device)),
        "cpu_offload": False,
        "precision": "float32",
        "compile": False,
        "compile_mode": "default",
        "compile_fullgraph": False,
        "use_rnn": False,
        "total_timesteps": total_timesteps,
        "batch_size": batch,
        "bptt_horizon": horizon,
        "minibatch_size": batch // 4,
        "max_minibatch_size": batch // 4,
        "update_epochs": 4,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "anneal_lr": False,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_eps": 1e-8,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip_coef": 0.2,
        "vf_clip_coef": 10.0,
        "vf_coef": 0.5,
        "ent_coef": 0.01,
        "max_grad_norm": 0.5,
        "vtrace_rho_clip": 1.0,
        "vtrace_c_clip": 1.0,
        "prio_alpha": 0.0,
        "prio_beta0": 1.0,
        "data_dir": "puffer",
        "checkpoint_interval": 1_000_000,
        "name": "recsys",
        "run_id": "recsys",
    }
    unknown = changes.keys() - config.keys()
    if unknown:
        raise TypeError(f"PuffeRL has no setting {', '.join(sorted(unknown))}; it has {', '.join(config)}")
    return {**config, **changes}
