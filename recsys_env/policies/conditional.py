"""Policies whose play depends on what the others did: who cooperates with those who do, who follows their prices.

They are the scripted company of scenarios (`recsys_env.SCENARIOS`), and read what is latent, as do the oracles between
which they choose.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch import AnyBatch
from .assortment import Greedy
from .base import Policy
from .registry import make_policy
from .slates import level_at, slate_action

BAD_MOOD = 0.0  # satisfaction up to which a visitor should be spared


class Reciprocal(Policy):
    """Repairs while the others repair: plays for the team until another agent baits a visitor in a bad mood, then
    `greedy` until a page on which none does.

    For the team plays what is 100 on the task's scale, or `planner` where that is `greedy`. Baiting: the mean clickbait
    of what an agent shows lies above that of its inventory. A bad mood: no satisfaction above 0. It is tit for tat
    (Axelrod 1984) in each copy.
    """

    forgives = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        team = envs.config.scale_hundred
        self._kind, self._harsh = make_policy("planner" if team == "greedy" else team), make_policy("greedy")
        for policy in (self._kind, self._harsh):
            policy.bind(envs, agent, seed)
        bait, allowed = envs.world.items["bait"], envs.world.allowed
        everything = [slice(None)] * envs.num_agents
        self._usual = np.array([bait[own].mean() for own in (allowed if allowed.shape[1] else everything)])  # [N]
        self._others = np.arange(envs.num_agents) != self.index
        self._wronged = np.zeros(envs.num_envs, np.bool_)
        self._bad_mood = np.zeros(envs.num_envs, np.bool_)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self._bad_mood[:] = self.envs.latent_users()["satisfaction"] <= BAD_MOOD
        kind, harsh = self._kind.act(observations, mask), self._harsh.act(observations, mask)
        return np.where(self._wronged.reshape(-1, *[1] * (kind.ndim - 1)), harsh, kind)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        items = self.envs.report.slots["item"][:, self._others]  # [B, N - 1, K]
        shown = items >= 0
        number = shown.sum(-1)
        bait = (self.envs.world.items["bait"][np.maximum(items, 0)] * shown).sum(-1) / np.maximum(number, 1)
        tells = (number > 0).any(-1) & self._bad_mood  # pages that say something about the others
        baited = ((bait > self._usual[self._others]) & (number > 0)).any(-1)
        if self.forgives:
            self._wronged[tells] = baited[tells]
        else:
            self._wronged |= tells & baited

    def reset(self, done: np.ndarray) -> None:
        self._wronged[done] = False


class Grim(Reciprocal):
    """Repairs until another agent baits a visitor in a bad mood, and never again in that episode.

    A grim trigger (Friedman 1971).
    """

    forgives = False


class Matcher(Greedy):
    """Matches prices: shows what `greedy` shows, at the lowest of the others' prices at this visitor's last page.

    Before there was one it takes theirs to lie in the middle. Where agents set no prices it is `greedy`.
    """

    below = 0  # levels below the others

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        action = super().act(observations, mask)
        if not self.envs.shape.levels or self.envs.num_agents == 1:
            return action
        visitors = np.maximum(self.envs.next_page["visitor"], 0)
        offers = self.envs.arrays.offers[np.arange(self.envs.num_envs), visitors]  # [B, N] in [-1, 1]
        lowest = np.delete(offers, self.index, axis=1).min(axis=1)
        level = level_at(self.envs, lowest)
        return slate_action(self.envs, self.index, self._slates, self._sizes, np.maximum(level - self.below, 0))


class Undercutter(Matcher):
    """Undercuts: as `matcher`, one level below."""

    below = 1
