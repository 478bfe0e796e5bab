"""A policy of stable-baselines3 for slates: one network scores every candidate, and the slate is drawn from the scores.

envs = recsys_env.vector_env("ecommerce-v1", num_envs=256)
model = PPO(SlatePolicy, SB3VecEnv(envs), policy_kwargs=slate_kwargs(envs))
"""

from __future__ import annotations

from typing import Any

from ..batch import CpuBatch
from ..spaces import beside_picks

try:
    import torch
    from gymnasium import spaces
    from stable_baselines3.common.distributions import MultiCategoricalDistribution
    from stable_baselines3.common.policies import ActorCriticPolicy
    from torch import nn
except ImportError as error:
    raise ImportError(f'this network needs {error.name}: pip install "recsys_env[train]"') from error

_EXCLUDED = -1e9  # score of what cannot be picked; finite, so that no gradient becomes NaN


def slate_kwargs(envs: CpuBatch) -> dict[str, Any] | None:
    """`policy_kwargs` of a `SlatePolicy` for this batch; None where actions are not picks of candidates alone."""
    if envs.config.action != "candidates" or beside_picks(envs.shape):
        return None
    columns = envs.observation_fields["candidates"]
    return {
        "start": columns.start,
        "candidates": envs.shape.candidates,
        "features": len(envs.candidate_features),
    }


class SlateDistribution(MultiCategoricalDistribution):
    """Distribution of slates without repeats: each pick by softmax of the scores of what is left (Plackett-Luce).

    The mode is the top K.

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
        self._scores = action_logits
        return self

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        picks = actions.long().reshape(len(actions), self._slots)
        picked = self._scores.gather(1, picks)
        never = self._scores.scatter(1, picks, 2 * _EXCLUDED).logsumexp(1, keepdim=True)
        later = picked.flip(1).logcumsumexp(1).flip(1)  # of this pick and those after it
        return (picked - torch.logaddexp(never, later)).sum(1)

    def entropy(self) -> torch.Tensor:
        """Entropy of the first pick, with which that of the slate, which has no closed form, grows and falls."""
        log = self._scores.log_softmax(1)
        return -(log.exp() * log).sum(1)

    def sample(self) -> torch.Tensor:
        """The top K after adding Gumbel noise (Yellott 1977)."""
        noise = torch.empty_like(self._scores).exponential_().clamp_min_(1e-30).log_()
        return self._top(self._scores - noise)

    def mode(self) -> torch.Tensor:
        return self._top(self._scores)

    def _top(self, scores: torch.Tensor) -> torch.Tensor:
        picks = scores.topk(self._slots, dim=1).indices
        return picks[:, 0] if self._flat else picks


class SlateExtractor(nn.Module):
    """Scores each candidate by a small network of its features and the context, and values the page."""

    def __init__(self, size: int, start: int, candidates: int, features: int, width: int) -> None:
        super().__init__()
        self._start, self._stop, self._shape = start, start + candidates * features, (candidates, features)
        context = size - candidates * features
        self.context = nn.Linear(context, width)
        self.candidate = nn.Linear(features, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(context + 2 * features, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.latent_dim_pi, self.latent_dim_vf = candidates, 64

    def _split(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        context = torch.cat((observations[:, : self._start], observations[:, self._stop :]), 1)
        return context, observations[:, self._start : self._stop].reshape(-1, *self._shape)

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(observations), self.forward_critic(observations)

    def forward_actor(self, observations: torch.Tensor) -> torch.Tensor:
        """Scores [R, C]."""
        context, candidates = self._split(observations)
        known = self.candidate(candidates.flatten(0, 1))  # with two axes the layers run 2-4 times as fast as with three
        hidden = torch.relu_(known.view(*candidates.shape[:2], -1) + self.context(context).unsqueeze(1))
        hidden = torch.relu_(self.hidden(hidden.flatten(0, 1)))
        scores = self.score(hidden).view(candidates.shape[:2])
        empty = (candidates == 0).all(2)  # all of them where nobody is to be served
        return scores.masked_fill(empty, _EXCLUDED)

    def forward_critic(self, observations: torch.Tensor) -> torch.Tensor:
        context, candidates = self._split(observations)
        values: torch.Tensor = self.value(torch.cat((context, candidates.mean(1), candidates.amax(1)), 1))
        return values


class SlatePolicy(ActorCriticPolicy):
    """Actor-critic for `action="candidates"` without messages; see `SlateDistribution` and `SlateExtractor`.

    Args:
        start, candidates, features: where the candidates lie in the observation, from `slate_kwargs`.
        width: hidden units of the scoring network.
    """

    def __init__(self, *args: Any, start: int, candidates: int, features: int, width: int = 16, **kwargs: Any) -> None:
        self._slate = {"start": start, "candidates": candidates, "features": features, "width": width}
        super().__init__(*args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), **self._slate}

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor: Any = SlateExtractor(self.features_dim, **self._slate)

    def _build(self, lr_schedule: Any) -> None:
        space = self.action_space
        slots = len(space.nvec) if isinstance(space, spaces.MultiDiscrete) else 1
        self.action_dist = SlateDistribution(self._slate["candidates"], slots, flat=isinstance(space, spaces.Discrete))
        super()._build(lr_schedule)
        self.init_weights(self.mlp_extractor.score, gain=0.01)  # start near a uniform choice
