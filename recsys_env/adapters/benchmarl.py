"""BenchMARL: every task as its `TaskClass`.

    task = BenchMARLTask("ecommerce-v1", {"users": {"number": 16}})                  # any field of the config
    config = ExperimentConfig.get_from_yaml()
    Experiment(task, MaddpgConfig.get_from_yaml(), MlpConfig.get_from_yaml(), seed=0, config=config).run()

All agents are one group, "agents". BenchMARL shares policies, mixes values and shows the actions of others within a
group only, and most tasks of several roles have one agent in each. All agents have the same spaces, and observations
hold the role.

Picks of candidates are scored by the packaged network, with one slot:

    model = CandidateScorerConfig(task.layout)          # of the policy; critics take another, such as MlpConfig

Continuous actions are queries, which also fill slates. Discrete actions need slots=1, because BenchMARL's policies and
mixers take one categorical action per agent. Critics and mixers see `state()`. Pages on which an agent is inactive are
training samples like all others, because BenchMARL's losses take no "active".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..batch.base import CpuBatch
from ..batch.game import loaded
from ..batch.observations import ObservationLayout, observation_layout
from ..batch.vector import VectorEnv
from ..config import WorldConfig
from ..config.settings import replace
from ..config.tasks import task_config
from ..libraries import needed
from ..world.build import shape_of

with needed("the BenchMARL adapter", "recsys_env[benchmarl]"):
    import torch
    from benchmarl.environments.common import TaskClass
    from benchmarl.models.common import Model, ModelConfig
    from tensordict import TensorDictBase
    from torch import nn
    from torchrl.data import Composite
    from torchrl.envs import RewardScaling, Transform

from .scorer import CandidateScorer
from .torchrl import TorchRLEnv


class BenchMARLTask(TaskClass):
    """A task for BenchMARL's experiments.

    Args:
        task: one of `recsys_env.TASKS` by name, or a config.
        config: fields of the task's `WorldConfig` to change, group by group.
        reward_scale: factor on the rewards of training (not on "individual_reward" of infos). Most tasks pay about .01
            per tick, which is less than the error of an untrained critic.
        make_envs: function (config, number of copies) -> batch, for instance a `FocalBatch`. It must be picklable.
        by_role: whether each role is a group, with the role's name; otherwise all agents are one group.
    """

    def __init__(
        self,
        task: str | WorldConfig,
        config: dict[str, Any] | None = None,
        reward_scale: float = 1.0,
        make_envs: Callable[[WorldConfig, int], CpuBatch] = VectorEnv,
        by_role: bool = False,
    ) -> None:
        super().__init__(task if isinstance(task, str) else "task", config or {})
        self.reward_scale = reward_scale
        self.make_envs = make_envs
        self.by_role = by_role
        self.world: WorldConfig = task_config(task, self.config)

    @cached_property
    def layout(self) -> ObservationLayout:
        """Where the parts of an observation lie."""
        return observation_layout(self.world, shape_of(self.world, loaded(None, self.world)))

    @staticmethod
    def env_name() -> str:
        return "recsys"

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], TorchRLEnv]:
        """Return a function that makes a batch of `num_envs` copies.

        If continuous actions are asked for and the task's are discrete, the batch takes queries instead.
        """

        def make() -> TorchRLEnv:
            change = continuous_actions and not self.world.continuous
            world = replace(self.world, {"action": "query"}) if change else self.world
            env = TorchRLEnv(self.make_envs(world, num_envs), device, by_role=self.by_role)
            env.set_seed(seed)
            return env

        return make

    def supports_continuous_actions(self) -> bool:
        return not self.world.mask_actions  # continuous actions have no mask

    def supports_discrete_actions(self) -> bool:
        """Return True for tasks of one slot, and raise `ValueError` for slates.

        BenchMARL asks if the algorithm cannot, or should not, send vectors.
        """
        if not self.world.continuous and self.world.slots > 1:
            raise ValueError(
                f"{self.name}: BenchMARL takes one categorical action per agent, and this is a slate of "
                f"{self.world.slots}; set slots=1, or choose an algorithm with continuous actions and "
                "prefer_continuous_actions=True, whose queries fill slates"
            )
        return not self.world.continuous

    def get_env_transforms(self, env: TorchRLEnv) -> list[Transform]:
        return [RewardScaling(loc=0.0, scale=self.reward_scale, in_keys=[(group, "reward") for group in env.group_map])]

    def max_steps(self, env: TorchRLEnv) -> int:
        return self.world.horizon

    def has_render(self, env: TorchRLEnv) -> bool:
        return False

    def group_map(self, env: TorchRLEnv) -> dict[str, list[str]]:
        return env.group_map

    def observation_spec(self, env: TorchRLEnv) -> Composite:
        return self._by_group(env, "observation")

    def action_mask_spec(self, env: TorchRLEnv) -> Composite | None:
        return self._by_group(env, "action_mask") if self.world.mask_actions else None

    def info_spec(self, env: TorchRLEnv) -> Composite:
        return self._by_group(env, "info")

    def state_spec(self, env: TorchRLEnv) -> Composite:
        return Composite({"state": env.full_observation_spec_unbatched["state"].clone()})

    def action_spec(self, env: TorchRLEnv) -> Composite:
        return env.full_action_spec_unbatched

    def _by_group(self, env: TorchRLEnv, key: str) -> Composite:
        spec = env.full_observation_spec_unbatched
        return Composite(
            {group: Composite({key: spec[group, key].clone()}, shape=spec[group].shape) for group in env.group_map}
        )


class CandidateScorerModel(Model):  # type: ignore[misc]
    """`CandidateScorer` as a model of BenchMARL: scores of each agent's candidates, as logits or values of actions.

    Args:
        layout, width: fields of `CandidateScorerConfig`; others are what BenchMARL gives to every model.
    """

    def __init__(self, layout: dict[str, Any], width: int, **settings: Any) -> None:
        super().__init__(**settings)
        known = ObservationLayout(**layout)  # BenchMARL hands dataclasses on as dicts
        candidates, found = known.shape("candidates")[0], self.output_leaf_spec.shape[-1]
        if found != candidates:
            raise ValueError(
                f"the model is to return {found} numbers, but it scores {candidates} candidates; use it for policies "
                "of picks (prefer_continuous_actions=False), and another one for critics (critic_model_config)"
            )
        networks = 1 if self.share_params else self.n_agents
        self.scorers = nn.ModuleList(CandidateScorer(known, width) for _ in range(networks)).to(self.device)

    def _forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        observations = tensordict.get(self.in_key)  # [..., n, O]
        if self.share_params:
            scores = self.scorers[0](observations)
        else:
            each = zip(self.scorers, observations.unbind(-2), strict=True)
            scores = torch.stack([scorer(seen) for scorer, seen in each], -2)
        tensordict.set(self.out_key, scores)
        return tensordict


@dataclass
class CandidateScorerConfig(ModelConfig):  # type: ignore[misc]
    """Settings of `CandidateScorerModel`: `BenchMARLTask.layout`, and the hidden units."""

    layout: ObservationLayout
    width: int = 16

    @staticmethod
    def associated_class() -> type[CandidateScorerModel]:
        return CandidateScorerModel
