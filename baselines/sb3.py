"""Algorithms of stable-baselines3 and sb3-contrib, one policy shared by all learners.

A folder holds `network.pt` (the policy), `model.zip` and `reward_scale.pkl` (what `--resume` needs besides) and `tensorboard`.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv
from recsys_env.adapters.sb3 import PageBuffer, SB3Policy, SB3VecEnv, SlatePolicy, VisitorBuffer, slate_kwargs
from recsys_env.adapters.tensors import one_thread
from recsys_env.company import Company
from recsys_env.metrics import UNSEEN
from recsys_env.policies import Policy

from .checkpoints import bound_spaces_fit, read_policy, write_policy
from .items import ItemExtractor, ItemPolicy, ItemRows, ItemSlatePolicy, entries, item_kwargs
from .runs import Point, Run
from .self_play import PastSelf
from .transformer import HistoryExtractor, HistoryPolicy, HistoryRows

# isort: split
# After ours, whose error says what to install if these are missing.
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

KINDS: dict[str, type] = {"maskable-ppo": MaskablePPO, "recurrent-ppo": RecurrentPPO}  # the others are PPO


# ------------------------------------------------------------------------------------------------ policies


class Trained(SB3Policy):
    """A stored policy, which sees and does what it was trained to."""

    folder: Path

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        bound_spaces_fit(self.folder, envs)
        super().bind(envs, agent, seed)


class TrainedWithHistory(Trained, HistoryPolicy):
    """The same with a `HistoryExtractor`."""


class TrainedWithItems(Trained, ItemPolicy):
    """The same with an `ItemExtractor`, which knows the items of one catalogue."""

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        known, here = self.model.mlp_extractor.entries.cpu().numpy(), entries(envs)
        if known.shape != here.shape or not np.allclose(known, here):
            raise ValueError(f"the policy in {self.folder} knows {len(known)} items by number; the {len(here)} items here are others: they follow from "
                             f"items, world_seed (here {envs.config.world_seed}) and catalogue (here {envs.config.catalogue!r})")  # fmt: skip


class TrainedWithState(Trained):
    """The same with a recurrent network, which runs on over ticks until the episode ends."""

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._state, self._begins = None, np.ones(envs.num_envs, np.bool_)

    @one_thread()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        actions, self._state = self.model.predict(observations, self._state, self._begins, self.deterministic)
        self._begins = np.zeros(len(observations), np.bool_)
        return actions  # type: ignore[no-any-return]

    def reset(self, done: np.ndarray) -> None:
        self._begins = self._begins | done


def load(folder: Path) -> Policy:
    """The policy that `Learner.save_policy` wrote."""
    module, _, name = read_policy(folder)["network"].partition(":")
    network = getattr(importlib.import_module(module), name).load(folder / "network.pt")
    policy: Trained
    if isinstance(network, RecurrentActorCriticPolicy):
        policy = TrainedWithState(network)
    elif isinstance(network.features_extractor, HistoryExtractor):
        policy = TrainedWithHistory(network, network.features_extractor.length)
    elif isinstance(network.mlp_extractor, ItemExtractor):
        policy = TrainedWithItems(network)
    else:
        policy = Trained(network)
    policy.folder = folder
    return policy


class LstmPolicy(RecurrentActorCriticPolicy):
    """sb3-contrib's recurrent policy, which by itself forgets its size when it is saved.

    Args:
        lstm_hidden_size: units of the LSTM.
    """

    def __init__(self, *args: Any, lstm_hidden_size: int, **kwargs: Any) -> None:
        self._size = lstm_hidden_size
        super().__init__(*args, lstm_hidden_size=lstm_hidden_size, **kwargs)  # type: ignore[misc]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "lstm_hidden_size": self._size}


# ------------------------------------------------------------------------------------------------ training


class Monitor(BaseCallback):
    """Says what every rollout brought.

    Args:
        horizon: ticks per episode, to which rewards are scaled.
        rollout_ended: called with a point of the curve.
    """

    def __init__(self, horizon: int, rollout_ended: Callable[[Point], None]) -> None:
        super().__init__()
        self._horizon, self._rollout_ended = horizon, rollout_ended
        self._own: list[float] = []

    def _on_step(self) -> bool:
        self._own.append(float(self.training_env.own.mean()))  # type: ignore[attr-defined]
        return True

    def _on_rollout_end(self) -> None:
        reward = self._horizon * float(np.mean(self._own))
        self._own.clear()
        self.logger.record("rollout/own_per_episode", reward)
        self._rollout_ended({"agent_steps": self.model.num_timesteps, "episode_reward": reward})


class Learner:
    """One algorithm on one run; see `baselines.runs.Learner`."""

    resumes, has_progress_bar = True, False

    def __init__(self, run: Run) -> None:
        self.run = run
        self.envs = run.make_envs()
        self._knows_items = run.algorithm == "item-ppo"
        self._kind: Any = KINDS.get(run.algorithm, PPO)
        self.model = self._resume() if run.resume else self._create()
        if isinstance(buffer := self.model.rollout_buffer, VisitorBuffer):
            buffer.watch(self.envs)
        self._rollouts = 0
        if self.model.device.type == "cpu" and (run.options.get("amp") or run.options.get("compile")):
            warnings.warn("--amp and --compile need a GPU and are ignored: this run is in float32 on the CPU", stacklevel=2)
        if run.self_play and not run.resume:
            self._join_pool()

    @property
    def agent_steps(self) -> int:
        return self.model.num_timesteps  # type: ignore[no-any-return]

    def _rows(self) -> VecEnv:
        rows = SB3VecEnv(self.envs)
        if self._knows_items:
            return ItemRows(rows)
        return HistoryRows(rows, self.run.options["history"]) if "history" in self.run.options else rows

    def _network(self) -> tuple[str | type, dict[str, Any]]:
        """Policy class and its arguments: one that ranks candidates where actions are picks of candidates, and PPO takes it."""
        if self._kind is RecurrentPPO:
            return LstmPolicy, {"lstm_hidden_size": self.run.options["width"]}
        if self._knows_items:
            return ItemSlatePolicy, item_kwargs(self.envs)
        slate = slate_kwargs(self.envs) if self._kind is PPO else None
        return ("MlpPolicy", {}) if slate is None else (SlatePolicy, slate)

    def _create(self) -> Any:
        options = self.run.options
        network, arguments = self._network()
        rows = self._rows()
        if isinstance(rows, HistoryRows):
            size = {name: options[name] for name in ("layers", "width", "heads", "amp")}
            page = rows.page_width
            arguments |= {
                "features_extractor_class": HistoryExtractor,
                "features_extractor_kwargs": {"length": options["history"], "page": page, **size, "compiled": options["compile"]},
            }
        pages: dict[str, Any] = {}
        if self._kind is PPO:
            kind = VisitorBuffer if self._knows_items else PageBuffer
            pages = {"rollout_buffer_class": kind, "rollout_buffer_kwargs": {"active": self.envs.observation_fields["is_active"].start}}
        rate = options["learning_rate"]
        return self._kind(
            network,
            VecNormalize(rows, norm_obs=False, clip_reward=np.inf, gamma=self.run.gamma),
            learning_rate=lambda remaining: rate * remaining,
            n_steps=options["n_steps"],
            batch_size=options["batch_size"],
            n_epochs=options["n_epochs"],
            gamma=self.run.gamma,
            gae_lambda=options["gae_lambda"],
            ent_coef=options["ent_coef"],
            policy_kwargs=arguments,
            tensorboard_log=str(self.run.out / "tensorboard") if importlib.util.find_spec("tensorboard") else None,
            seed=self.run.seed,
            device=self.run.device,
            **pages,
        )

    def _resume(self) -> Any:
        """The last checkpoint, on episodes that it has not played yet."""
        out = self.run.out
        model = self._kind.load(out / "model.zip", env=VecNormalize.load(str(out / "reward_scale.pkl"), self._rows()), device=self.run.device)
        model.set_random_seed((self.run.seed + model.num_timesteps) % UNSEEN)
        return model

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""

        def ended(point: Point) -> None:
            rollout_ended(point)
            self._rollouts += 1
            if self.run.self_play and self._rollouts % self.run.options["snapshot_every"] == 0:
                self._join_pool()

        self.model.learn(
            timesteps - self.agent_steps, callback=Monitor(self.run.config.horizon, ended), reset_num_timesteps=not self.run.resume, tb_log_name="run"
        )

    def _join_pool(self) -> None:
        """Let the others play the present policy too."""
        folder = self.run.pool / f"{self.agent_steps:012d}"
        folder.mkdir(parents=True, exist_ok=True)  # an interrupted run passes here twice
        self.save_policy(folder)
        assert isinstance(self.envs, Company)
        for policy in self.envs.team.policies.values():
            if isinstance(policy, PastSelf):
                policy.draw()

    def save(self) -> None:
        """Write the policy and what `--resume` needs; each file is replaced at once, so that an interrupted run can go on."""
        out = self.run.out
        self.save_policy(out)
        self.model.save(out / "new.zip")
        self.model.get_vec_normalize_env().save(str(out / "new.pkl"))
        (out / "new.pkl").replace(out / "reward_scale.pkl")
        (out / "new.zip").replace(out / "model.zip")

    def save_policy(self, folder: Path) -> None:
        policy = self.model.policy
        policy.save(folder / "new.pt")
        (folder / "new.pt").replace(folder / "network.pt")
        write_policy(folder, "baselines.sb3:load", self.envs, network=f"{type(policy).__module__}:{type(policy).__qualname__}")
