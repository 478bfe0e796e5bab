"""Stable-Baselines3: a batch as its `VecEnv`, a trained model as a `Policy`, and a network that ranks candidates.

envs = recsys_env.vector_env("ecommerce-v0", num_envs=256)
model = PPO(SlatePolicy, SB3VecEnv(envs), policy_kwargs=slate_kwargs(envs))     # or "MlpPolicy"
episode_returns(envs, {agent: SB3Policy(model) for agent in envs.possible_agents}, episodes=100, seed=1)
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator
from typing import Any

import numpy as np

from ..fields import candidate_features
from ..policies import Policy
from ..vector import VectorEnv, checked_batch

try:
    import torch
    from gymnasium import spaces
    from stable_baselines3.common.buffers import RolloutBuffer
    from stable_baselines3.common.distributions import MultiCategoricalDistribution
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.vec_env import VecEnv
    from torch import nn
except ImportError as error:
    raise ImportError(f'the stable-baselines3 adapter needs {error.name}: pip install "recsys_env[train]"') from error

from ..tensors import one_thread

_EXCLUDED = -1e9  # score of what cannot be picked; finite, so that no gradient becomes NaN


# ------------------------------------------------------------------------------------------------ environment


class SB3VecEnv(VecEnv):
    """B·N rows, row b·N + n is agent n of copy b: one policy shared by all agents (their role and id are in the
    observation).

    Observations are views of the environment's alternating buffers: stable-baselines3 reads an observation last in the
    step that follows it (`RolloutBuffer.add` copies), which is as long as they stay valid. Rewards are copied, because
    it writes into them.

    Args:
        envs: the batch. With `mask_actions` the observation is the flat part and the masks come from `action_masks()`.

    Attributes:
        own: [B·N] own rewards of the last step, before sharing.
    """

    render_mode = None

    def __init__(self, envs: VectorEnv) -> None:
        self.envs = checked_batch(envs)
        self._masked = envs.config.mask_actions
        rows = envs.num_envs * envs.num_agents
        both: Any = envs.observation_space
        space = both["observation"] if self._masked else both
        super().__init__(rows, space, envs.action_space)
        self.own = np.zeros(rows, np.float32)
        self._no_infos: list[dict[str, Any]] = [{}] * rows
        self._returns = np.zeros(rows)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        self._started = time.time()
        self._next_seed: int | None = None
        self._pending: np.ndarray | None = None

    def by_row(self, array: np.ndarray) -> np.ndarray:
        """[B, N, ...] of the batch as [B·N, ...]."""
        return array.reshape(self.num_envs, *array.shape[2:])

    def _flat(self, observations: Any) -> np.ndarray:
        return self.by_row(observations["observation"] if self._masked else observations)

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed of the batch from the next reset on."""
        self._next_seed = seed
        return [seed] * self.num_envs

    def reset(self) -> np.ndarray:
        observations, _ = self.envs.reset(seed=self._next_seed)
        self._next_seed = None
        self._returns[:] = 0
        self._lengths[:] = 0
        return self._flat(observations)

    def step_async(self, actions: np.ndarray) -> None:
        self._pending = np.asarray(actions).reshape(
            self.envs.num_envs, self.envs.num_agents, *(self.action_space.shape or ())
        )

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, _, truncated, infos = self.envs.step(self._pending)
        rewards = self.by_row(rewards).copy()
        self.own = self.by_row(infos["own"])
        self._returns += rewards
        self._lengths += 1
        ended = np.repeat(truncated, self.envs.num_agents)
        return self._flat(observations), rewards, ended, self._infos(ended) if truncated.any() else self._no_infos

    def _infos(self, ended: np.ndarray) -> list[dict[str, Any]]:
        """What stable-baselines3 wants to know of rows whose episode has ended: by the horizon, never by a terminal
        state."""
        infos, final, elapsed = self._no_infos.copy(), self._flat(self.envs.final_obs), time.time() - self._started
        for row in np.flatnonzero(ended):
            length = int(self._lengths[row // self.envs.num_agents])
            infos[row] = {
                "terminal_observation": final[row].copy(),
                "TimeLimit.truncated": True,
                "episode": {"r": float(self._returns[row]), "l": length, "t": round(elapsed, 6)},
            }
        self._returns[ended] = 0
        self._lengths[ended[:: self.envs.num_agents]] = 0
        return infos

    def action_masks(self) -> np.ndarray:
        """Masks [B·N, A] of the present observations, as MaskablePPO wants them."""
        if not self._masked:
            raise AttributeError("action_masks() needs mask_actions=True")
        return self.by_row(self.envs.observations["action_mask"]).astype(bool)

    def close(self) -> None:
        self.envs.close()

    def has_attr(self, attr_name: str) -> bool:
        return self._masked if attr_name == "action_masks" else hasattr(self, attr_name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        if indices is not None:
            raise ValueError("the rows share their attributes; set them for all")
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        if method_name != "action_masks":
            raise AttributeError(
                f"rows of a batch have no method {method_name!r}; only 'action_masks' can be called by row"
            )
        masks = self.action_masks()
        return [masks[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))


class SB3Policy(Policy):
    """A trained model (of `SB3VecEnv` rows, not recurrent) as a policy for one agent.

    Args:
        model: anything with stable-baselines3's `predict`; several policies may share one.
        deterministic: the most probable action rather than a sample.
    """

    def __init__(self, model: Any, deterministic: bool = True) -> None:
        self.model = model
        self.deterministic = deterministic
        self._takes_masks = "action_masks" in inspect.signature(model.predict).parameters

    @one_thread()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        masks = {"action_masks": mask} if self._takes_masks and mask is not None else {}
        if self.deterministic:
            return self.model.predict(observations, deterministic=True, **masks)[0]  # type: ignore[no-any-return]
        with torch.random.fork_rng():  # the model samples from torch's global stream; ours is the policy's own
            torch.manual_seed(int(self.rng.integers(2**63)))
            return self.model.predict(observations, deterministic=False, **masks)[0]  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ learning from pages
# alone


class PageBuffer(RolloutBuffer):
    """Rollouts in which only pages are decisions: an idle or inactive tick shows nothing, so nothing can be learned
    from its action.

    Generalised advantages run from page to page (a semi-Markov process): what is earned on ticks between two pages
    counts, discounted, for the earlier one, and the blind value of a tick without a page is not bootstrapped from.
    Training takes all pages and a small part of the other ticks, whose value is still needed where a rollout or an
    episode ends on one.

    Args:
        active: place of `is_active` in the observation.
    """

    OTHER_TICKS = 0.1  # share of the ticks without a page that are trained on

    def __init__(self, *args: Any, active: int, **kwargs: Any) -> None:
        self._active = active
        super().__init__(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        value = last_values.detach().cpu().numpy().flatten()  # expected at the next tick
        advantage = np.zeros_like(value)  # of the next page's action
        goes_on = 1.0 - dones.astype(np.float32)
        for step in reversed(range(self.buffer_size)):
            page = self.observations[step, :, self._active] > 0
            target = self.rewards[step] + self.gamma * goes_on * value
            carried = self.gamma * goes_on * advantage
            advantage = np.where(page, target - self.values[step] + self.gae_lambda * carried, carried)
            value = np.where(page, self.values[step], target)
            self.advantages[step] = np.where(page, advantage, 0)
            self.returns[step] = value + advantage
            goes_on = 1.0 - self.episode_starts[step]

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        if not self.generator_ready:
            for name in ("observations", "actions", "values", "log_probs", "advantages", "returns"):
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
            self.generator_ready = True
        taken = (self.observations[:, self._active] > 0) | (np.random.random(len(self.observations)) < self.OTHER_TICKS)
        taken[0] |= not taken.any()  # stable-baselines3 fails without a minibatch
        rows = np.random.permutation(np.flatnonzero(taken))
        parts = max(1, round(len(rows) / (batch_size or len(rows) or 1)))
        for part in np.array_split(rows, parts):  # equal parts: a small rest would make a step of its own
            if len(part):
                yield self._get_samples(part)


class VisitorBuffer(PageBuffer):
    """Rollouts in which a page's advantage is what follows for its visitor: generalised advantages run along each
    visitor's own pages.

    Along ticks, what a page does to its visitor's return is buried under what all others earn until then. What is
    earned on ticks without a page counts for the visitor of the row's last page. Who has not come back when the episode
    (or the rollout, so that it should hold whole episodes) ends is taken to do so as others do: the value of the last
    page is discounted until the end, and then as much as the next page of somebody is on average, 0 where none comes.
    Rows keep truncation to themselves: stable-baselines3 would add the value of whoever
    comes next. Ticks without a page are not trained on: nothing reads their value. `watch` the environment before
        collecting.
    """

    OTHER_TICKS = 0.0

    def watch(self, envs: VectorEnv) -> None:
        """The batch whose rows are collected: it tells who has been served."""
        self._envs = envs

    def reset(self) -> None:
        super().reset()
        self.visitors = np.full((self.buffer_size, self.n_envs), -1, np.int64)

    def add(self, *args: Any, **kwargs: Any) -> None:
        self.visitors[self.pos] = self._envs.infos["visitor"].reshape(
            -1
        )  # whose page the observation was about: the step has been taken
        super().add(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        lane, page = self._lanes(), self.visitors >= 0
        value, advantage, when = (
            np.zeros(lane.max() + 1),
            np.zeros(lane.max() + 1),
            np.zeros(lane.max() + 1, np.int64),
        )  # at each lane's next tick
        value[lane[page]] = (
            self._comes_back(lane, page) * self.values[page]
        )  # in the order of time, so the last page stands for the one that does not come
        when[lane] = self._ends()
        for step in reversed(range(len(lane))):
            at = lane[step]  # another one in each row
            discount = self.gamma ** (when[at] - step)
            target = self.rewards[step] + discount * value[at]
            carried = discount * advantage[at]
            advantage[at] = np.where(page[step], target - self.values[step] + self.gae_lambda * carried, carried)
            value[at] = np.where(page[step], self.values[step], target)
            when[at] = step
            self.advantages[step] = np.where(page[step], advantage[at], 0)
            self.returns[step] = value[at] + advantage[at]

    def _ends(self) -> np.ndarray:
        """[T, R] when the episode of each tick ends, or the rollout."""
        steps = len(self.episode_starts)
        starts = np.where(self.episode_starts > 0, np.arange(steps)[:, None], steps)
        later = np.minimum.accumulate(starts[::-1])[::-1]
        return np.concatenate((later[1:], np.full_like(later[:1], steps)))

    def _comes_back(self, lane: np.ndarray, page: np.ndarray) -> float:
        """Mean discount until the next page of the same lane, 0 where none comes; of the first half, which leaves time
        to come back."""
        when, whose = np.nonzero(page)[0], lane[page]
        order = np.argsort(whose, kind="stable")
        again = np.append(np.diff(whose[order]) == 0, False)
        discount = np.zeros(len(when))
        discount[order] = np.where(again, self.gamma ** np.diff(when[order], append=0).clip(0), 0.0)
        early = when < len(lane) // 2
        return float(discount[early].mean()) if early.any() else 0.0

    def _lanes(self) -> np.ndarray:
        """[T, R] a number for each visitor of a row in an episode; ticks without a page are the last one's."""
        episode = self.episode_starts.cumsum(0).astype(np.int64)
        last = self.visitors.copy()
        for step in range(1, len(last)):
            unknown = (last[step] < 0) & (self.episode_starts[step] == 0)
            last[step, unknown] = last[step - 1, unknown]
        row = np.broadcast_to(np.arange(last.shape[1]), last.shape)
        keys = np.stack((row, episode, last), -1).reshape(-1, 3)
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(last.shape)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ network


def slate_kwargs(envs: VectorEnv) -> dict[str, Any] | None:
    """`policy_kwargs` of a `SlatePolicy` for this task, None where its actions are not picks of candidates alone."""
    if envs.config.action != "candidates" or envs.shape.vocabulary > 0:
        return None
    place = envs.observation_fields["candidates"]
    return {
        "start": place.start,
        "candidates": envs.shape.candidates,
        "features": len(candidate_features(envs.config, envs.shape)),
    }


class SlateDistribution(MultiCategoricalDistribution):
    """Distinct picks: the first by softmax of the scores, each next by softmax over what is left (Plackett-Luce).

    One score per candidate both selects and ranks, no pick is wasted on a repeat, and the mode is the top K.

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
        """Of the first pick: the entropy of the slate has no closed form, and grows and falls with this one."""
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
    """Scores each candidate by one small network of (its features, context); values the page from context and pooled
    features."""

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
        context, candidates = self._split(observations)
        return self._scores(context, candidates, self.candidate(candidates.flatten(0, 1)))

    def _scores(self, context: torch.Tensor, candidates: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Scores [R, C], given what is known of each candidate [R·C, width] (two axes: the layers run 2-4 times as fast
        as with three)."""
        hidden = torch.relu_(known.view(*candidates.shape[:2], -1) + self.context(context).unsqueeze(1))
        hidden = torch.relu_(self.hidden(hidden.flatten(0, 1)))
        scores = self.score(hidden).view(candidates.shape[:2])
        return scores.masked_fill(
            (candidates == 0).all(2), _EXCLUDED
        )  # an empty place; all of them where nobody is to be served

    def forward_critic(self, observations: torch.Tensor) -> torch.Tensor:
        context, candidates = self._split(observations)
        return self.value(torch.cat((context, candidates.mean(1), candidates.amax(1)), 1))  # type: ignore[no-any-return]


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
