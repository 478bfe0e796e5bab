"""Algorithms of stable-baselines3 and sb3-contrib, one policy shared by all learners.

A folder holds the policy (see `baselines.checkpoints`) and `tensorboard`. The library's own files are not used: they
are pickled, and loading them would execute what they hold.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv
from recsys_env.adapters.sb3 import PageBuffer, SB3Policy, SB3VecEnv, SlatePolicy, VisitorBuffer, slate_kwargs
from recsys_env.company import Company
from recsys_env.evaluation import UNSEEN
from recsys_env.files import FileError
from recsys_env.policies import Policy
from recsys_env.tensors import one_thread

from .checkpoints import WEIGHTS, Checkpoint, check_spaces, read_policy, write_policy
from .items import ItemExtractor, ItemPolicy, ItemRows, ItemSlatePolicy, entries, item_kwargs
from .runs import Point, Run
from .self_play import PastSelf
from .transformer import HistoryExtractor, HistoryPolicy, HistoryRows
from .weights import from_arrays, to_arrays

# isort: split
# After ours, whose error says what to install if these are missing.
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

KINDS: dict[str, type] = {"maskable-ppo": MaskablePPO, "recurrent-ppo": RecurrentPPO}  # the others are PPO


# ------------------------------------------------------------------------------------------------ policies


class Trained(SB3Policy):
    """A stored policy, which sees and does what it was trained to."""

    folder: Path
    facts: dict[str, Any]

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        check_spaces(self.folder, self.facts, envs)
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


_SLATE = ("start", "candidates", "features")
NETWORKS: dict[str, tuple[type, tuple[str, ...]]] = {  # name -> class, and the settings that it is made with
    "mlp": (ActorCriticPolicy, ()),
    "maskable": (MaskableActorCriticPolicy, ()),
    "recurrent": (RecurrentActorCriticPolicy, ("lstm_hidden_size",)),
    "slate": (SlatePolicy, _SLATE),
    "items": (ItemSlatePolicy, _SLATE),  # and the catalogue's entries, which lie among the weights
}
_HISTORY = ("length", "page", "layers", "width", "heads", "amp")
_SCALE = "returns"  # of rewards, in a checkpoint: mean, variance and count of discounted returns
_SIZES = "its settings and sizes do not go together"
_ENTRIES = "policy/mlp_extractor.entries"
_FACTS = {
    "network": str, "settings": {str: int}, "history": (None, {str: (int, bool)}),  # of a `HistoryExtractor`
    "sees": int, "acts": {"space": str, "sizes": [int]},  # the network's spaces: width of observations, and actions
}  # fmt: skip


def load(folder: Path) -> Policy:
    """The policy that `Learner.save_policy` wrote.

    Raises:
        FileError: a file is missing, damaged or of another kind.
    """
    weights, facts = read_policy(folder, _FACTS)
    network = _build(folder / WEIGHTS, weights, facts)
    from_arrays(folder / WEIGHTS, weights, {"policy": network})
    _try_out(folder / WEIGHTS, network)
    network = network.to(get_device("auto"))
    policy: Trained
    if isinstance(network, RecurrentActorCriticPolicy):
        policy = TrainedWithState(network)
    elif isinstance(network.features_extractor, HistoryExtractor):
        policy = TrainedWithHistory(network, network.features_extractor.length)
    elif isinstance(network.mlp_extractor, ItemExtractor):
        policy = TrainedWithItems(network)
    else:
        policy = Trained(network)
    policy.folder, policy.facts = folder, facts
    return policy


def _build(path: Path, weights: dict[str, np.ndarray], facts: dict[str, Any]) -> Any:
    """An untrained network as the facts describe it."""
    if facts["network"] not in NETWORKS:
        raise FileError(f"{path} holds a network {facts['network']!r}; networks are {', '.join(NETWORKS)}")
    kind, names = NETWORKS[facts["network"]]
    arguments: dict[str, Any] = dict(facts["settings"])
    if arguments.keys() != set(names) or (facts["history"] is not None and facts["history"].keys() != set(_HISTORY)):
        raise FileError(f"{path} does not hold the settings of a network {facts['network']!r}")
    if kind is ItemSlatePolicy:
        if _ENTRIES not in weights:
            raise FileError(f"{path} holds no {_ENTRIES!r}")
        arguments["entries"] = weights[_ENTRIES]
    if facts["history"] is not None:
        arguments |= {"features_extractor_class": HistoryExtractor, "features_extractor_kwargs": facts["history"]}
    try:
        sees, acts = spaces.Box(-np.inf, np.inf, (facts["sees"],)), _action_space(**facts["acts"])
        if str(acts) == facts["actions"]:
            return kind(sees, acts, lambda remaining: 0.0, **arguments)
    except Exception:  # the libraries raise many kinds over sizes that do not go together or are too large
        pass
    raise FileError(f"{path} does not hold a network {facts['network']!r}: {_SIZES}")


@one_thread()
def _try_out(path: Path, network: Any) -> None:
    """Let a network act once, so that nobody meets later what is wrong with its sizes."""
    try:
        network.predict(np.zeros((1, *network.observation_space.shape), np.float32), deterministic=True)
    except Exception:  # as above
        raise FileError(f"{path} does not hold a network that can act: {_SIZES}") from None


def _described(space: Any) -> dict[str, Any]:
    """An action space as JSON."""
    if isinstance(space, spaces.Discrete):
        return {"space": "Discrete", "sizes": [int(space.n)]}
    if isinstance(space, spaces.MultiDiscrete):
        return {"space": "MultiDiscrete", "sizes": space.nvec.tolist()}
    return {"space": "Box", "sizes": list(space.shape)}


def _action_space(space: str, sizes: list[int]) -> spaces.Space[Any]:
    """What `_described` described; queries lie between -1 and 1."""
    if space == "Discrete":
        return spaces.Discrete(sizes[0])
    return spaces.MultiDiscrete(sizes) if space == "MultiDiscrete" else spaces.Box(-1.0, 1.0, tuple(sizes))


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
        self.model = self._create()
        if run.checkpoint:
            self._resume(run.checkpoint)
        if isinstance(buffer := self.model.rollout_buffer, VisitorBuffer):
            buffer.watch(self.envs)
        self._rollouts = 0
        if self.model.device.type == "cpu" and (run.options.get("amp") or run.options.get("compile")):
            warnings.warn(
                "--amp and --compile need a GPU and are ignored: this run is in float32 on the CPU", stacklevel=2
            )
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

    def _network(self) -> tuple[str, dict[str, Any]]:
        """Name in `NETWORKS`, settings: one that ranks candidates where actions are picks of these and PPO takes it."""
        if self._kind is MaskablePPO:
            return "maskable", {}
        if self._kind is RecurrentPPO:
            return "recurrent", {"lstm_hidden_size": self.run.options["width"]}
        if self._knows_items:
            return "items", {name: value for name, value in item_kwargs(self.envs).items() if name in _SLATE}
        slate = slate_kwargs(self.envs)
        return ("mlp", {}) if slate is None else ("slate", slate)

    def _history(self, rows: VecEnv) -> dict[str, Any] | None:
        """Settings of the `HistoryExtractor`, if there is one."""
        if not isinstance(rows, HistoryRows):
            return None
        options = self.run.options
        size = {name: options[name] for name in ("layers", "width", "heads", "amp")}
        return {"length": options["history"], "page": rows.page_width, **size}

    def _create(self) -> Any:
        options = self.run.options
        rows = self._rows()
        network, settings = self._network()
        history = self._history(rows)
        self._facts: dict[str, Any] = {
            "network": network, "settings": settings, "history": history,
            "sees": int(rows.observation_space.shape[0]),  # type: ignore[index]
            "acts": _described(rows.action_space),
        }  # fmt: skip
        arguments: dict[str, Any] = {**settings, "entries": entries(self.envs)} if self._knows_items else dict(settings)
        if history is not None:
            extractor = {**history, "compiled": options["compile"]}
            arguments |= {"features_extractor_class": HistoryExtractor, "features_extractor_kwargs": extractor}
        pages: dict[str, Any] = {}
        if self._kind is PPO:
            kind = VisitorBuffer if self._knows_items else PageBuffer
            pages = {
                "rollout_buffer_class": kind,
                "rollout_buffer_kwargs": {"active": self.envs.observation_fields["is_active"].start},
            }
        rate = options["learning_rate"]
        return self._kind(
            NETWORKS[network][0],
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

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Go on from there, on episodes that it has not played yet."""
        state = dict(checkpoint.state)
        scale = state.pop(_SCALE, None)
        if scale is None or scale.shape != (3,) or scale.dtype != np.float64 or not np.isfinite(scale).all():
            raise FileError(f"{checkpoint.path} holds no {_SCALE}: mean, variance and count of returns")
        from_arrays(checkpoint.path, state, self._parts())
        rewards = self.model.get_vec_normalize_env().ret_rms
        rewards.mean, rewards.var, rewards.count = np.array(scale[0]), np.array(scale[1]), float(scale[2])
        self.model.num_timesteps = self.run.done
        self.model.set_random_seed((self.run.seed + self.run.done) % UNSEEN)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""

        def ended(point: Point) -> None:
            rollout_ended(point)
            self._rollouts += 1
            if self.run.self_play and self._rollouts % self.run.options["snapshot_every"] == 0:
                self._join_pool()

        self.model.learn(
            timesteps - self.agent_steps,
            callback=Monitor(self.run.config.horizon, ended),
            reset_num_timesteps=not self.run.resume,
            tb_log_name="run",
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

    def _parts(self) -> dict[str, Any]:
        return {"policy": self.model.policy, "optimizer": self.model.policy.optimizer}

    def state(self) -> dict[str, np.ndarray]:
        rewards = self.model.get_vec_normalize_env().ret_rms
        return {**to_arrays(self._parts()), _SCALE: np.array([rewards.mean, rewards.var, rewards.count], np.float64)}

    def save(self) -> None:
        self.save_policy(self.run.out)

    def save_policy(self, folder: Path) -> None:
        write_policy(folder, "sb3", self.envs, to_arrays({"policy": self.model.policy}), **self._facts)
