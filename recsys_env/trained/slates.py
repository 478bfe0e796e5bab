"""A policy of stable-baselines3 for slates: one network scores every candidate, and the slate is drawn from the scores.

envs = recsys_env.vector_env("ecommerce-v1", num_envs=256)                      # of either observation format
model = PPO(SlatePolicy, SB3VecEnv(envs), policy_kwargs=slate_kwargs(envs))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..adapters.scorer import CandidateScorer, Slates
from ..batch.base import CpuBatch, checked_cpu_batch
from ..batch.observations import ObservationLayout
from ..batch.spaces import picks_candidates
from ..libraries import needed

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from gymnasium import spaces
from torch import nn

with needed("this network", "recsys_env[train]"):
    from stable_baselines3.common.distributions import MultiCategoricalDistribution
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor


def slate_kwargs(envs: CpuBatch) -> dict[str, Any] | None:
    """`policy_kwargs` of a `SlatePolicy` for this batch; None where actions are not picks of candidates alone."""
    checked_cpu_batch(envs)
    return {"layout": envs.layout} if picks_candidates(envs.config, envs.shape) else None


class SlateDistribution(MultiCategoricalDistribution):
    """`Slates` as a distribution of stable-baselines3.

    Args:
        candidates: C.
        slots: K.
        flat: actions of one slot have no slot axis (`Discrete`).
    """

    def __init__(self, candidates: int, slots: int, flat: bool) -> None:
        super().__init__([candidates] * slots)
        self._slots, self._flat = slots, flat

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        return nn.Identity()  # the extractor's output are the scores

    def proba_distribution(self, action_logits: torch.Tensor) -> SlateDistribution:
        self.slates = Slates(action_logits, self._slots)
        return self

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        return self.slates.log_prob(actions.reshape(len(actions), self._slots))

    def entropy(self) -> torch.Tensor:
        return self.slates.entropy()

    def sample(self) -> torch.Tensor:
        return self._picks(self.slates.sample())

    def mode(self) -> torch.Tensor:
        return self._picks(self.slates.mode)

    def _picks(self, slates: torch.Tensor) -> torch.Tensor:
        return slates[:, 0] if self._flat else slates


class Parts(BaseFeaturesExtractor):
    """Passes on the parts of observations in the format "dict" as they are."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, spaces.flatdim(observation_space))

    def forward(self, observations: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        return observations


class SlateExtractor(CandidateScorer):
    """Scores each candidate, and describes the page for its value."""

    def __init__(self, layout: ObservationLayout, width: int) -> None:
        super().__init__(layout, width)
        self.value = nn.Sequential(nn.Linear(self.reader.summary, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.latent_dim_pi, self.latent_dim_vf = layout.shape("candidates")[0], 64

    def forward(self, observations: Any) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        page = self.reader.read(observations)
        return self.scores(page), self.value(page.summary())

    def forward_actor(self, observations: Any) -> torch.Tensor:
        """Scores [R, C]."""
        return self.scores(self.reader.read(observations))

    def forward_critic(self, observations: Any) -> torch.Tensor:
        values: torch.Tensor = self.value(self.reader.read(observations).summary())
        return values


class SlatePolicy(ActorCriticPolicy):
    """Actor-critic for `action="candidates"` without messages; see `Slates` and `CandidateScorer`.

    Args:
        layout: of the observations, from `slate_kwargs`.
        width: hidden units of the scoring network.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        *args: Any,
        layout: ObservationLayout | None = None,
        width: int = 16,
        **kwargs: Any,
    ) -> None:
        if layout is None:
            raise TypeError(
                "SlatePolicy needs the layout of the observations: policy_kwargs=slate_kwargs(envs). It is None where "
                "actions are more than picks of candidates, as with prices, bids or messages: use 'MlpPolicy' there "
                "('MultiInputPolicy' for the dict format)"
            )
        self._slate = {"layout": layout, "width": width}
        if isinstance(observation_space, spaces.Dict):
            kwargs["features_extractor_class"] = Parts
        super().__init__(observation_space, *args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), **self._slate}

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor: Any = SlateExtractor(**self._slate)  # type: ignore[arg-type]

    def _build(self, lr_schedule: Any) -> None:
        space, (candidates, _) = self.action_space, self._slate["layout"].shape("candidates")  # type: ignore[attr-defined]
        slots = len(space.nvec) if isinstance(space, spaces.MultiDiscrete) else 1
        self.action_dist = SlateDistribution(candidates, slots, flat=isinstance(space, spaces.Discrete))
        super()._build(lr_schedule)
        self.init_weights(self.mlp_extractor.score, gain=0.01)  # start near a uniform choice
