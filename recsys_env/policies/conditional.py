"""Policies that react to the other agents: conditional cooperation and price matching.

They are the scripted opponents of scenarios (`recsys_env.SCENARIOS`). Like the oracles that they switch between, they
read latent variables.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from .assortment import Greedy
from .base import Policy
from .registry import make_policy
from .slates import level_of, slate_action

BAD_MOOD = 0.0  # satisfaction up to which a visitor should be spared


class Reciprocal(Policy):
    """Cooperates until another agent baits a dissatisfied visitor, then plays `greedy` until a page without bait.

    This is tit for tat (Axelrod 1984) in each copy. To cooperate means to play the policy that is 100 of the task's
    scale, or `planner` if that is `greedy`. To bait means to show items whose mean clickbait is above that of the
    agent's inventory. A visitor is dissatisfied if its satisfaction is not above 0.
    """

    forgives = True
    deterministic = True

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
        tells = (number > 0).any(-1) & self._bad_mood  # pages that show whether the others bait
        baited = ((bait > self._usual[self._others]) & (number > 0)).any(-1)
        if self.forgives:
            self._wronged[tells] = baited[tells]
        else:
            self._wronged |= tells & baited

    def reset(self, done: np.ndarray) -> None:
        self._wronged[done] = False


class Grim(Reciprocal):
    """Cooperates until another agent baits a dissatisfied visitor, and never again in that episode.

    This is a grim trigger (Friedman 1971).
    """

    forgives = False


class Matcher(Greedy):
    """Matches prices: shows what `greedy` shows, at the other agents' lowest price at this visitor's last page.

    At a visitor's first page it assumes the middle level. Where agents set no prices it equals `greedy`.
    """

    below = 0  # levels below the others
    deterministic = True

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        action = super().act(observations, mask)
        if self.envs.config.offer.kind != "price" or self.envs.num_agents == 1:
            return action
        state = self.envs.arrays
        rows = np.maximum(state.copies["row"], 0)
        price_levels = state.price_levels[np.arange(self.envs.num_envs), rows]  # [B, N] in [-1, 1]
        lowest = np.delete(price_levels, self.index, axis=1).min(axis=1)
        level = level_of(self.envs, lowest)
        return slate_action(self.envs, self.index, self._slates, self._sizes, np.maximum(level - self.below, 0))


class Undercutter(Matcher):
    """Undercuts prices: like `matcher`, but one level below."""

    below = 1
