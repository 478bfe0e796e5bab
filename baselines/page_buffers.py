"""Rollout buffers for PPO of stable-baselines3 in which only pages are decisions."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from recsys_env import VectorEnv

try:
    import torch
    from stable_baselines3.common.buffers import RolloutBuffer
except ImportError as error:
    raise ImportError(f'these buffers need {error.name}: pip install "recsys_env[train]"') from error


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
    Rows keep truncation to themselves: stable-baselines3 would add the value of whoever comes next. Ticks without a
    page are not trained on: nothing reads their value. `watch` the environment before collecting.
    """

    OTHER_TICKS = 0.0

    def watch(self, envs: VectorEnv) -> None:
        """The batch whose rows are collected: it tells who has been served."""
        self._envs = envs

    def reset(self) -> None:
        super().reset()
        self.visitors = np.full((self.buffer_size, self.n_envs), -1, np.int64)

    def add(self, *args: Any, **kwargs: Any) -> None:
        # Whose page the observation was about: the step has been taken.
        self.visitors[self.pos] = self._envs.infos["visitor"].reshape(-1)
        super().add(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        lane, page = self._lanes(), self.visitors >= 0
        lanes = lane.max() + 1
        value, advantage, when = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes, np.int64)  # at each lane's next tick
        # In the order of time, so the last page stands for the one that does not come.
        value[lane[page]] = self._comes_back(lane, page) * self.values[page]
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
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(last.shape)
