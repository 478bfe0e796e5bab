"""TorchRL: a batch as an `EnvBase` whose agents are grouped by role, or all in one group, "agents".

    env = TorchRLEnv(recsys_env.vector_env("streaming-v1", num_envs=256), device="auto")
    env.rollout(3)["recommender", "observation"]                                    # [256, 3, N, O]

The tensordict has batch size [B] and these entries, with n agents in a group:

    (role, "observation") [B, n, O]    of a batch with observation_format="dict" a tensordict of its parts
    (role, "action_mask") [B, n, A], with `mask_actions`
    (role, "active") [B, n, 1]         whether an agent has slots on the page about to be shown; losses may leave out
                                       the other agents
    (role, "info", "individual_reward") [B, n, 1]    rewards of the last tick before sharing
    (role, "action") [B, n, ...]       `Categorical`, `MultiCategorical` (slates) or `Bounded` (queries)
    (role, "reward") [B, n, 1]         "state" [B, S]   "done", "terminated", "truncated" [B, 1]

The adapter works with torchrl 0.11, which BenchMARL needs, and later versions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batch.base import AnyBatch, all_ended, checked_batch, checked_seeds
from ..batch.observations import CONTEXT, MASK
from ..batch.spaces import mask_size, unit_box
from ..checks import check_flag
from ..libraries import needed

with needed("the TorchRL adapter", "recsys_env[torchrl]"):
    import torch
    from gymnasium import spaces
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Binary, Bounded, Categorical, Composite, MultiCategorical, Unbounded
    from torchrl.envs import EnvBase

from ..batch.tensors import Tensors, choose_device


class TorchRLEnv(EnvBase):
    """A batch as a TorchRL environment.

    All copies end their episodes in the same step, by truncation. In that step `next` holds the last observation, mask
    and state of the episode. The reset that follows returns the first page of the next episode, which the batch has
    already begun.

    Args:
        envs: the batch, on the CPU or on a GPU.
        device: device of the tensors; "auto" uses a GPU if there is one.
        state: whether tensordicts hold the "state" for centralised critics, whose time grows with the number of users.
        by_role: whether each role is a group with the role's name. Otherwise all agents are one group, "agents", as the
            mixers of QMIX need it.

    Attributes:
        group_map: name of a group -> names of its agents.
    """

    batch_locked = True

    def __init__(
        self,
        envs: AnyBatch,
        device: str | torch.device = "auto",
        state: bool = True,
        by_role: bool = True,
    ) -> None:
        for name, value in (("state", state), ("by_role", by_role)):
            check_flag(name, value)
        super().__init__(device=choose_device(device), batch_size=torch.Size([checked_batch(envs).num_envs]))
        self.envs = envs
        self.group_map: dict[str, list[str]] = {}
        for agent in envs.possible_agents:  # `<role>_<i>`
            self.group_map.setdefault(agent.rpartition("_")[0] if by_role else "agents", []).append(agent)
        self._with_state = state
        self._tensors = Tensors(envs, self.device)
        self._active = envs.layout.context.index(envs.observation_fields["is_active"].start)
        self._next_seed: int | None = None
        self._over = False  # the batch has begun an episode whose first page `reset` has not returned yet
        self._sizes = [len(agents) for agents in self.group_map.values()]
        self.observation_spec = self._observation_spec()
        self.action_spec = self._by_group(lambda n: {"action": _action_spec(envs.action_space, (envs.num_envs, n))})
        self.reward_spec = self._by_group(lambda n: {"reward": Unbounded((envs.num_envs, n, 1))})
        flag = Binary(1, (envs.num_envs, 1), dtype=torch.bool)
        self.done_spec = Composite(
            {key: flag.clone() for key in ("done", "terminated", "truncated")}, shape=self.batch_size
        ).to(self.device)

    # -------------------------------------------------------------------------------------------- specs

    def _by_group(self, leaves: Any, **others: Any) -> Composite:
        """Return a spec with one entry per group, given n agents in each."""
        groups = {
            role: Composite(leaves(n), shape=(*self.batch_size, n))
            for role, n in zip(self.group_map, self._sizes, strict=True)
        }
        return Composite({**groups, **others}, shape=self.batch_size).to(self.device)

    def _observation_spec(self) -> Composite:
        envs, size = self.envs, self.envs.num_envs

        def bounded(space: Any, n: int) -> Any:
            kind = torch.float32 if space.dtype == np.float32 else torch.int64
            return Bounded(float(space.low.min()), float(space.high.max()), (size, n, *space.shape), dtype=kind)

        def observation(n: int) -> Any:
            if envs.observation_format == "flat":
                return bounded(unit_box(envs.layout.size), n)
            return Composite({name: bounded(space, n) for name, space in envs.layout.space().items()}, shape=(size, n))

        def leaves(n: int) -> dict[str, Any]:
            individual = Composite({"individual_reward": Unbounded((size, n, 1))}, shape=(size, n))
            specs = {
                "observation": observation(n),
                "active": Binary(1, (size, n, 1), dtype=torch.bool),
            }
            if envs.config.mask_actions:
                specs["action_mask"] = Binary(shape=(size, n, mask_size(envs.config, envs.shape)), dtype=torch.bool)
            return {**specs, "info": individual}

        state = {"state": Bounded(-1.0, 1.0, (size, *self.envs.state_space.shape))} if self._with_state else {}
        return self._by_group(leaves, **state)

    # -------------------------------------------------------------------------------------------- reset and step

    def _set_seed(self, seed: int | None) -> None:
        """Set the seed of the batch for the next reset."""
        if seed is not None:
            checked_seeds(seed, self.envs.num_envs)
        self._next_seed = seed

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is not None and not mask.all():
            raise ValueError(
                f"the copies of a batch begin and end together; "
                f"{int(mask.sum())} of {mask.numel()} cannot be reset alone"
            )
        if self._next_seed is not None or not self._over:
            self.envs.reset(seed=self._next_seed)
        self._next_seed, self._over = None, False
        return self._tensordict(self.envs.observations, self.envs.state)

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        actions = [tensordict[role, "action"] for role in self.group_map]
        joint = actions[0] if len(actions) == 1 else torch.cat(actions, 1)
        observations, rewards, _, truncated, infos = self.envs._step(self._tensors.actions(joint))
        self._over, state = all_ended(self._tensors(truncated)), self.envs.state
        if self._over:
            observations, state = self.envs.final_obs, self.envs.final_state
        return self._tensordict(observations, state, (infos["individual_reward"], rewards))

    def _tensordict(self, observations: Any, state: Any, earned: tuple[Any, Any] | None = None) -> TensorDict:
        """Return the batch's results by group, as copies, because collectors keep them longer than the batch does.

        `earned` are rewards before and after sharing [B, N]. Few operations are used: after a step has filled the
        cache, each of them starts slowly.
        """
        rows = (self.envs.num_envs, self.envs.num_agents)
        if self.envs.observation_format == "dict":
            parts = {name: self._tensors.kept(observations[name]) for name in self.envs.layout.space()}
            leaves = {"observation": TensorDict(parts, rows, self.device)}
            active = parts[CONTEXT][..., self._active, None]
        else:
            leaves = {"observation": self._tensors.kept(self.envs.flat(observations)[0])}
            active = leaves["observation"][..., self._active, None]
        leaves["active"] = active > 0
        if self.envs.config.mask_actions:
            leaves["action_mask"] = self._tensors(observations[MASK]).bool()
        individual = torch.zeros(*rows, 1, device=self.device)
        if earned is not None:
            individual, leaves["reward"] = torch.stack([self._tensors(array) for array in earned]).unsqueeze(3)
        ends = torch.zeros((3, *self.batch_size, 1), dtype=torch.bool, device=self.device)
        if self._over:
            ends[:2] = True
        result: dict[str, Any] = dict(zip(("done", "truncated", "terminated"), ends.unbind(), strict=True))
        start = 0
        for role, n in zip(self.group_map, self._sizes, strict=True):
            agents, shape = slice(start, start + n), (*self.batch_size, n)
            info = TensorDict({"individual_reward": individual[:, agents]}, shape, self.device)
            result[role] = TensorDict(
                {**{key: tensor[:, agents] for key, tensor in leaves.items()}, "info": info}, shape, self.device
            )
            start += n
        if self._with_state:
            result["state"] = self._tensors.kept(state())
        return TensorDict(result, self.batch_size, self.device)


def _action_spec(space: Any, shape: tuple[int, int]) -> Any:
    """Return the spec of actions [B, n, ...] for an agent's action space."""
    if isinstance(space, spaces.Box):
        return Bounded(-1.0, 1.0, (*shape, *space.shape))
    if isinstance(space, spaces.MultiDiscrete):
        return MultiCategorical(torch.as_tensor(space.nvec), (*shape, len(space.nvec)))
    return Categorical(int(space.n), shape)
