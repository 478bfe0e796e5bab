"""Ray RLlib: any task as its `MultiAgentEnv`, and every agent of a batch as a row of one shared policy.

    config = multi_agent(PPOConfig(), "journey-v1", policies="independent")  # or "shared"; one copy per environment
    config = rows(PPOConfig(), "ecommerce-v1", num_copies=64)                # one policy; all copies in one step
    algorithm = config.env_runners(num_env_runners=8).build_algo()

For one learning agent among policies, use the Gymnasium environment of the task:

    config.environment("recsys_env:recsys/ecommerce-v1", env_config={"background": "greedy"})
    config.env_runners(gym_env_vectorize_mode="vector_entry_point")

Env runners import the module before the colon. They create their environments themselves, so recsys_env must be
installed on every machine of the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from gymnasium import VectorizeMode, spaces

from ..api.environment import RecommendationEnv
from ..api.views import SharedPolicyVectorEnv
from ..batch.base import copy_seed
from ..batch.game import loaded
from ..batch.observations import observation_layout
from ..batch.spaces import picks_candidates
from ..batch.vector import VectorEnv
from ..checks import check_count, check_flag, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..libraries import needed
from ..world.build import shape_of

with needed("the RLlib adapter", "recsys_env[rllib]"):
    import torch
    from ray.rllib.algorithms import AlgorithmConfig, DQNConfig, PPOConfig
    from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic, TorchDistribution
    from ray.rllib.core.rl_module.apis import ValueFunctionAPI
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch import TorchRLModule
    from ray.rllib.env.multi_agent_env import MultiAgentEnv
    from torch.distributions import kl_divergence

from ..batch.tensors import EXCLUDED, choose_device
from . import flat_config
from .scorer import CandidateScorer, PageCritic, Slates

Config = TypeVar("Config", bound=AlgorithmConfig)
SHARED = "shared"


# ------------------------------------------------------------------------------------------------ environments


class RecommendationMultiAgentEnv(MultiAgentEnv):
    """One copy of a task.

    Args:
        env_config: "task" (a name or a `WorldConfig`), "only_active" (default False), "catalogue"; all other entries
            override config fields.

    With `only_active`, an agent is observed, and acts, only when its slots will be on the page. Ticks without such an
    agent are played at once. What an agent earns until it is observed again is added to the reward of its last action,
    so the discount is per page. Rewards before its first page of an episode are left out.

    Infos hold "active" and "individual_reward" of each observed agent: what it has earned, before sharing, since it was
    last observed. Episodes end by truncation.

    Raises:
        TypeError, ValueError: as of `recsys_env.parallel_env`, or `env_config` is no mapping with a task.
    """

    def __init__(self, env_config: dict[str, Any]) -> None:
        super().__init__()
        settings = dict(env_config)
        self._only_active = settings.pop("only_active", False)
        check_flag("only_active", self._only_active)
        self._env = RecommendationEnv(*_world(settings))
        self._envs = self._env.vector
        self._worker = int(getattr(env_config, "worker_index", 0))
        self.possible_agents = list(self._envs.possible_agents)
        self.agents = self.possible_agents[:]
        self.observation_spaces = dict.fromkeys(self.agents, self._envs.observation_space)
        self.action_spaces = dict.fromkeys(self.agents, self._envs.action_space)
        self._any = self._envs.empty_actions()[0, 0]  # the action of an agent whose slots are not on the page
        self._acted = np.zeros(len(self.agents), np.bool_)
        self._individual = np.zeros(len(self.agents))  # what agents have earned since they were last observed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        RLlib counts seeds on both over runners and over copies, so the runner's number is mixed into the seed.
        """
        self._env.reset(seed=None if seed is None else copy_seed(seed, self._worker), options=options)
        self._acted[:] = False
        self._individual[:] = 0.0
        self._play_until_somebody_acts(np.zeros(len(self.agents)))
        return self._observed(self._shown())

    def step(
        self, action_dict: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Play one tick, or with `only_active` as many as pass until somebody acts.

        Raises:
            KeyError, ValueError, TypeError, RuntimeError: as of `RecommendationEnv.step`; nothing has changed.
        """
        if self._over and (action_dict or self._acted.any()):
            raise RuntimeError("the episode is over; call reset()")
        if self._over:  # nobody was observed in this episode, and only its end is left to report
            return {}, {}, {"__all__": False}, {"__all__": True}, {}
        actions = action_dict
        if self._only_active and isinstance(action_dict, Mapping):
            unseen = [self.possible_agents[n] for n in np.flatnonzero(~self._shown())]
            actions = {**dict.fromkeys(unseen, self._any), **action_dict}
        first = self._tick(actions)
        self._acted |= [agent in action_dict for agent in self.possible_agents]
        rewards = self._play_until_somebody_acts(first)
        shown = self._acted if self._over else self._shown()  # all agents that acted get the last observation
        named = zip(self.possible_agents, rewards.tolist(), self._acted.tolist(), strict=True)
        observations, infos = self._observed(shown)
        earned = {agent: reward for agent, reward, acted in named if acted}
        return observations, earned, {"__all__": False}, {"__all__": self._over}, infos

    @property
    def _over(self) -> bool:
        return not self._env.agents

    def _tick(self, actions: dict[str, Any]) -> np.ndarray:
        """Play the joint action; return the rewards [N]."""
        self._env.step(actions)
        report = self._envs.report
        self._individual += report.agents["individual_reward"][0]
        rewards: np.ndarray = report.rewards[0].copy()
        return rewards

    def _play_until_somebody_acts(self, earned: np.ndarray) -> np.ndarray:
        while not (self._over or self._shown().any()):
            earned = earned + self._tick(dict.fromkeys(self.possible_agents, self._any))
        return earned

    def _shown(self) -> np.ndarray:
        """Return which agents [N] observe the page about to be shown."""
        return self._envs.active[0] if self._only_active else np.ones(len(self.agents), np.bool_)

    def _observed(self, shown: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return observations and infos of the agents that `shown` [N] selects."""
        flat, masks = self._envs.flat(self._envs.final_obs if self._over else self._envs.observations)
        active = np.zeros_like(shown) if self._over else self._envs.active[0]
        observations, infos = {}, {}
        for n in np.flatnonzero(shown):
            agent = self.possible_agents[n]
            seen = flat[0, n].copy()
            observations[agent] = seen if masks is None else {"observation": seen, "action_mask": masks[0, n].copy()}
            infos[agent] = {"individual_reward": float(self._individual[n]), "active": bool(active[n])}
        self._individual[shown] = 0.0
        return observations, infos


class Rows(SharedPolicyVectorEnv):
    """`SharedPolicyVectorEnv` with few infos, because RLlib splits infos into rows and stores them.

    Args:
        env_config: "task" (a name or a `WorldConfig`), "num_envs" (rows: copies times agents), "catalogue"; others
            override config fields.

    Raises:
        TypeError, ValueError: as of `RecommendationMultiAgentEnv`, or "num_envs" is no multiple of the agents.
    """

    INFOS: tuple[str, ...] = ("individual_reward", "active")

    def __init__(self, env_config: dict[str, Any]) -> None:
        settings = dict(env_config)
        rows = settings.pop("num_envs")
        config, catalogue = _world(settings)
        if rows % config.num_agents:
            raise ValueError(
                f"num_envs = {rows} must be a multiple of num_agents = {config.num_agents}, a row for each"
            )
        super().__init__(VectorEnv(config, rows // config.num_agents, catalogue=catalogue))


def _world(settings: dict[str, Any]) -> tuple[WorldConfig, Any]:
    """Return the config and the catalogue of an `env_config`, which must have a "task"."""
    task, catalogue = settings.pop("task"), settings.pop("catalogue", None)
    return flat_config("RLlib", task, settings, catalogue), catalogue


# ------------------------------------------------------------------------------------------------ masks


class MaskedPPOModule(DefaultPPOTorchRLModule):
    """RLlib's own network for PPO on the flat part of observations; actions that the mask excludes are never drawn."""

    def __init__(self, *args: Any, observation_space: Any, **kwargs: Any) -> None:
        super().__init__(*args, observation_space=observation_space["observation"], **kwargs)
        self.observation_space = observation_space

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return _masked(super()._forward(_flat(batch), **kwargs), batch)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return _masked(super()._forward_train(_flat(batch), **kwargs), batch)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        return super().compute_values(_flat(batch), embeddings)


def _flat(batch: dict[str, Any]) -> dict[str, Any]:
    return {**batch, Columns.OBS: batch[Columns.OBS]["observation"]}


def _masked(output: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    """Mask the logits. Those of a slate are concatenated slot by slot, like its flat mask."""
    logits, mask = output[Columns.ACTION_DIST_INPUTS], batch[Columns.OBS]["action_mask"]
    return {**output, Columns.ACTION_DIST_INPUTS: logits.masked_fill(mask == 0, EXCLUDED)}


# ------------------------------------------------------------------------------------------------ candidates


class SlateDistribution(TorchDistribution):
    """`Slates` as a distribution of RLlib. Entropy and divergence are those of the first pick."""

    def __init__(self, logits: torch.Tensor, slots: int) -> None:
        super().__init__(logits, slots)

    def _get_torch_distribution(self, logits: torch.Tensor, slots: int) -> Slates:
        return Slates(logits, slots)

    def kl(self, other: Any) -> torch.Tensor:
        divergence: torch.Tensor = kl_divergence(self._dist.first_pick(), other._dist.first_pick())
        return divergence

    @staticmethod
    def required_input_dim(space: Any, **kwargs: Any) -> int:
        return int(space.nvec[0])

    def to_deterministic(self) -> TorchDeterministic:
        return TorchDeterministic(loc=self._dist.mode)


class CandidateScorerModule(TorchRLModule, ValueFunctionAPI):
    """The packaged network for PPO where actions are picks of candidates: `CandidateScorer` and `PageCritic`.

    `rows` and `multi_agent` choose it where it fits.

    Args:
        model_config: "layout" of the observations (`envs.layout`) and, optionally, "width", hidden units of the scorer.
    """

    def setup(self) -> None:
        layout = self.model_config["layout"]
        self.scorer = CandidateScorer(layout, self.model_config.get("width", 16))
        self.critic = PageCritic(layout)
        if isinstance(self.action_space, spaces.MultiDiscrete):
            self.action_dist_cls = SlateDistribution.get_partial_dist_cls(slots=len(self.action_space.nvec))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.scorer(_observed(batch))}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        values: torch.Tensor = self.critic(_observed(batch))
        return values.squeeze(-1)


def _observed(batch: dict[str, Any]) -> torch.Tensor:
    """Flat observations. Masks say nothing more where actions are picks: empty candidates are zeros."""
    observations = batch[Columns.OBS]
    return observations["observation"] if isinstance(observations, dict) else observations


# ------------------------------------------------------------------------------------------------ configs


def multi_agent(
    config: Config,
    task: str | WorldConfig,
    *,
    policies: str = "shared",
    only_active: bool = False,
    device: str = "auto",
    catalogue: Catalogue | str | None = None,
    **overrides: Any,
) -> Config:
    """Set up an algorithm's config for a task with several agents. Further settings can be made as usual.

    PPO gets the packaged `CandidateScorerModule` where actions are picks of candidates alone, and RLlib's own network
    elsewhere; `config.rl_module` chooses another.

    Args:
        config: config of PPO, DQN or any other algorithm of RLlib's new API stack.
        policies: "shared" (one policy of this name) or "independent" (each agent has a policy with its own name).
        only_active: see `RecommendationMultiAgentEnv`.
        device: device of the learner: "auto" (a GPU if this machine has one), "cpu" or "cuda".
        catalogue: fitted items and users, sent to every env runner; a path must exist on each node.
        task, overrides: a task's name or a config, and config fields.

    Raises:
        ValueError, TypeError: the algorithm cannot take the task's actions or masks, or an argument is wrong.
    """
    if not isinstance(policies, str) or policies not in ("shared", "independent"):
        raise ValueError(f"policies = {shown(policies)} is not allowed; choose 'shared' or 'independent'")
    check_flag("only_active", only_active)
    world = _prepared(config, task, device, catalogue, overrides)
    independent = policies == "independent"
    config.environment(
        RecommendationMultiAgentEnv, env_config={"task": world, "only_active": only_active, "catalogue": catalogue}
    )
    config.multi_agent(
        policies=set(world.agents) if independent else {SHARED},
        policy_mapping_fn=_own_policy if independent else _shared_policy,
    )
    if hasattr(config, "replay_buffer_config"):  # its default is for one agent
        kind = config.replay_buffer_config["type"]
        config.training(
            replay_buffer_config={**config.replay_buffer_config, "type": f"MultiAgent{kind.removeprefix('MultiAgent')}"}
        )
    return config


def rows(
    config: Config,
    task: str | WorldConfig,
    num_copies: int = 32,
    *,
    device: str = "auto",
    catalogue: Catalogue | str | None = None,
    **overrides: Any,
) -> Config:
    """Set up an algorithm's config for one policy that all agents share; all copies are stepped as one batch.

    Each agent of each copy is a row. RLlib sees a task with one agent, which all of its algorithms can train on.

    Args:
        num_copies: copies of the game in each env runner.
        config, task, device, catalogue, overrides: as in `multi_agent`, as are errors and networks.
    """
    check_count("num_copies", num_copies, 1, 2**31)
    world = _prepared(config, task, device, catalogue, overrides)
    config.environment(Rows, env_config={"task": world, "catalogue": catalogue})
    return config.env_runners(
        num_envs_per_env_runner=num_copies * world.num_agents, gym_env_vectorize_mode=VectorizeMode.VECTOR_ENTRY_POINT
    )


def _own_policy(agent: str, episode: Any, **_: Any) -> str:
    return agent


def _shared_policy(agent: str, episode: Any, **_: Any) -> str:
    return SHARED


def _prepared(config: Any, task: Any, device: str, catalogue: Any, overrides: dict[str, Any]) -> WorldConfig:
    """Return the task's config; set its masks and the learner's device in the algorithm's config."""
    if not isinstance(config, AlgorithmConfig):
        raise TypeError(f"config = {shown(config)} must be an algorithm's config, such as PPOConfig()")
    world = flat_config("RLlib", task, overrides, catalogue)
    if isinstance(config, DQNConfig) and (world.continuous or world.slots > 1):
        raise ValueError(
            "RLlib's DQN takes one discrete action: slots=1 and action='candidates', 'items' or 'publish'; PPO "
            "takes the others"
        )
    if world.mask_actions and not isinstance(config, PPOConfig):
        raise ValueError(
            f"masks need PPO, not {type(config).__name__}: RLlib's other modules take none; set mask_actions=False"
        )
    shape = shape_of(world, loaded(catalogue, world))
    config.learners(num_gpus_per_learner=int(choose_device(device).type == "cuda"))
    if isinstance(config, PPOConfig) and picks_candidates(world, shape):
        layout = observation_layout(world, shape)
        spec = RLModuleSpec(module_class=CandidateScorerModule, model_config={"layout": layout})
        config.rl_module(rl_module_spec=spec)
    elif world.mask_actions:
        config.rl_module(rl_module_spec=RLModuleSpec(module_class=MaskedPPOModule))
    return world
