"""stable-baselines3: a batch as its `VecEnv`, and a trained model as a `Policy`.

envs = recsys_env.vector_env("ecommerce-v1", num_envs=256)
model = PPO("MlpPolicy", SB3VecEnv(envs)).learn(1_000_000)
episode_returns(envs, {agent: SB3Policy(model) for agent in envs.possible_agents}, episodes=100, seed=1)
"""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np

from ..batch.actions import joint_of_rows
from ..batch.base import AnyBatch, CpuBatch, checked_cpu_batch, checked_seeds
from ..batch.spaces import beside_picks, unit_box
from ..checks import as_indices, check_flag, shown
from ..libraries import needed
from ..policies import Policy

with needed("the stable-baselines3 adapter", "recsys_env[train]"):
    import torch
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv

from ..batch.tensors import one_thread


class SB3VecEnv(VecEnv):
    """A batch as B·N rows of one shared policy: row b·N + n is agent n of copy b. Agents observe their role and id.

    The batch may have `copy=False`: stable-baselines3 reads an observation for the last time in the step after it.
    Rewards are always copied, because stable-baselines3 writes into them.

    Args:
        envs: the batch, on the CPU, of either observation format. With `mask_actions`, observations leave the masks
            out, and `action_masks()` returns them.

    Attributes:
        individual_reward: [B·N] individual rewards of the last step, before sharing.
    """

    render_mode = None

    def __init__(self, envs: CpuBatch) -> None:
        self.envs = checked_cpu_batch(envs)
        self._masked = envs.config.mask_actions
        rows = envs.num_envs * envs.num_agents
        self._structured = envs.observation_format == "dict"
        super().__init__(rows, _observed(envs, self._structured), envs.action_space)
        self.individual_reward = np.zeros(rows, np.float32)
        self._no_infos: list[dict[str, Any]] = [{}] * rows
        self._returns = np.zeros(rows)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        self._started = time.time()
        self._next_seed: int | None = None
        self._pending: np.ndarray | None = None

    def by_row(self, array: np.ndarray) -> np.ndarray:
        """Return an array [B, N, ...] of the batch as [B·N, ...]."""
        return array.reshape(self.num_envs, *array.shape[2:])

    def _rows(self, observations: Any) -> Any:
        """Observations of the batch by row, without masks."""
        if self._structured:
            return {name: self.by_row(observations[name]) for name in self.envs.layout.space()}
        return self.by_row(self.envs.flat(observations)[0])

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Set the seed of the batch for the next reset."""
        if seed is not None:
            checked_seeds(seed, self.envs.num_envs)
        self._next_seed = seed
        return [seed] * self.num_envs

    def reset(self) -> Any:
        observations, _ = self.envs.reset(seed=self._next_seed)
        self._next_seed = self._pending = None
        self._returns[:] = 0
        self._lengths[:] = 0
        return self._rows(observations)

    def step_async(self, actions: np.ndarray) -> None:
        shape = self.action_space.shape or ()
        self._pending = joint_of_rows(actions, self.envs.num_envs, self.envs.num_agents, shape)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        actions, self._pending = self._pending, None
        if actions is None:
            raise RuntimeError("call step_async() before step_wait()")
        observations, rewards, _, truncated, infos = self.envs.step(actions)
        rewards = self.by_row(rewards).copy()
        self.individual_reward = self.by_row(infos["individual_reward"])
        self._returns += rewards
        self._lengths += 1
        ended = np.repeat(truncated, self.envs.num_agents)
        return self._rows(observations), rewards, ended, self._infos(ended) if truncated.any() else self._no_infos

    def _infos(self, ended: np.ndarray) -> list[dict[str, Any]]:
        """Return the infos of all rows; where an episode has ended, that it was truncated, and its last observation."""
        infos, final, elapsed = self._no_infos.copy(), self._rows(self.envs.final_obs), time.time() - self._started
        for row in np.flatnonzero(ended):
            length = int(self._lengths[row // self.envs.num_agents])
            infos[row] = {
                "terminal_observation": {name: part[row].copy() for name, part in final.items()}
                if self._structured
                else final[row].copy(),
                "TimeLimit.truncated": True,
                "episode": {"r": float(self._returns[row]), "l": length, "t": round(elapsed, 6)},
            }
        self._returns[ended] = 0
        self._lengths[ended[:: self.envs.num_agents]] = 0
        return infos

    def action_masks(self) -> np.ndarray:
        """Return the masks [B·N, A] of the current observations, as MaskablePPO takes them."""
        if not self._masked:
            raise AttributeError("action_masks() needs mask_actions=True")
        return self.by_row(self.envs.observations["action_mask"]).astype(bool)

    def close(self) -> None:
        self.envs.close()

    def has_attr(self, attr_name: str) -> bool:
        return self._masked if attr_name == "action_masks" else hasattr(self, attr_name)

    def _get_indices(self, indices: Any) -> list[int]:
        """Return the rows that `indices` selects; None selects all."""
        if indices is None:
            return list(range(self.num_envs))
        return as_indices("indices", indices, self.num_envs, IndexError).ravel().tolist()  # type: ignore[no-any-return]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(self._get_indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        if indices is not None:
            raise ValueError("the rows share their attributes; set them for all")
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        if method_name != "action_masks":
            raise AttributeError(
                f"rows of a batch have no method {shown(method_name)}; only 'action_masks' can be called by row"
            )
        masks = self.action_masks()
        return [masks[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * len(self._get_indices(indices))


def _observed(envs: CpuBatch, structured: bool) -> spaces.Space[Any]:
    """Space of an agent's observations, without masks."""
    return spaces.Dict(envs.layout.space()) if structured else unit_box(envs.layout.size)


def _form(space: spaces.Space[Any]) -> Any:
    """What a network depends on: shapes of numbers, whatever their bounds, and the choices of discrete spaces."""
    if isinstance(space, spaces.Dict):
        return {name: _form(part) for name, part in space.items()}
    return space.shape if isinstance(space, spaces.Box) else space


class SB3Policy(Policy):
    """A model that was trained on rows of `SB3VecEnv`, as a policy for one agent.

    `bind` refuses a task with other observations or actions than the model was trained with.

    Args:
        model: object with the method `predict` of stable-baselines3; several policies may share one.
        deterministic: whether to play the most probable action rather than a sample.

    Raises:
        TypeError: `model` does not predict, or `deterministic` is not a truth value.
        ValueError: it is recurrent, or sees normalised observations (`VecNormalize`).
    """

    def __init__(self, model: Any, deterministic: bool = True) -> None:
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"model = {shown(model)} must be a model of Stable-Baselines3, which predicts")
        if hasattr(getattr(model, "policy", None), "lstm_actor"):
            raise ValueError(f"model = {shown(model)} is recurrent; SB3Policy keeps no state from page to page")
        normalized = model.get_vec_normalize_env() if hasattr(model, "get_vec_normalize_env") else None
        if normalized is not None and normalized.norm_obs:
            raise ValueError(
                "the model was trained on observations that VecNormalize normalised, and SB3Policy gives it them as "
                "they are; train with VecNormalize(..., norm_obs=False)"
            )
        check_flag("deterministic", deterministic)
        self.model = model
        self.deterministic = deterministic
        self._structured = isinstance(getattr(model, "observation_space", None), spaces.Dict)
        self._takes_masks = "action_masks" in inspect.signature(model.predict).parameters

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        here = {"observation": _observed(envs, self._structured), "action": envs.action_space}
        for kind, space in here.items():
            trained = getattr(self.model, f"{kind}_space", space)
            if _form(trained) != _form(space):
                raise ValueError(f"the model was trained with {kind}s {trained}; those of {agent} are {space}")
        super().bind(envs, agent, seed)

    @one_thread()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        masks = {"action_masks": mask} if self._takes_masks and mask is not None else {}
        seen = self.envs.layout.structured(observations) if self._structured else observations
        self._seen = seen, masks
        if self.deterministic:
            return self.model.predict(seen, deterministic=True, **masks)[0]
        with torch.random.fork_rng():  # the model samples from torch's global stream, which is seeded here and restored
            torch.manual_seed(int(self.rng.integers(2**63)))
            return self.model.predict(seen, deterministic=False, **masks)[0]

    @one_thread()
    @torch.no_grad()
    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        """Return the propensities [B, K] of the last slate; see `Policy.probabilities`.

        They are known of slates that are drawn by softmax without repeats (`trained.slates.SlatePolicy`), and of
        actions that are one pick.
        """
        policy = getattr(self.model, "policy", self.model)
        if self.deterministic or not hasattr(policy, "get_distribution"):
            return super().probabilities(actions)
        seen, masks = self._seen
        page = policy.get_distribution(policy.obs_to_tensor(seen)[0], **masks)
        picks = torch.as_tensor(actions, device=policy.device)
        slates = getattr(page, "slates", None)
        if slates is not None:
            log_probabilities = slates.slot_log_probs(picks.reshape(len(actions), slates.slots))
        elif picks.dim() == 1 and not beside_picks(self.envs.shape):
            log_probabilities = page.log_prob(picks)[:, None]
        else:
            raise NotImplementedError(
                f"{type(policy).__name__} draws actions whose parts are not picks without repeats; no propensity of a "
                "slate follows"
            )
        found: np.ndarray = log_probabilities.double().exp().cpu().numpy()
        return found
