"""Base of policies that score each option and show the best ones; and the value of a slot after the step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from ..batch.vector import VectorEnv
from ..checks import unknown
from ..config.fields import candidate_features
from ..config.responses import later_reward, rating_value
from ..kernels.planners.options import list_options
from .base import Policy, check_chooses_pages
from .slates import slate_action


class Ranker(Policy):
    """Shows the K options with the highest scores, best first; a subclass defines `score`.

    Attributes:
        items: [B, C] item ids of the options for the page about to be shown, -1 = none.
        features: [B, C, F] features of the options, as in the candidates of the agent's observation; `feature` returns
            one by its name. Where options are items, features derived from fields that the role hides are 0.
        feature_names: the names of the F features.
        picks: [B, K] positions of the last slate in `items`.

    A subclass whose `score` draws no random numbers sets `deterministic = True`. Logs then hold its propensities, also
    with `exploration`.
    """

    exploration = 0.0  # share of pages whose slate is uniform (epsilon-greedy)

    @property
    def draws(self) -> bool:
        return super().draws or self.exploration > 0.0

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        check_chooses_pages(self)
        envs = self.envs
        shape = envs.shape
        self.feature_names = candidate_features(envs.config, shape)
        size = (envs.num_envs, shape.candidates or shape.items)
        self.items = np.full(size, -1, np.int64)
        self.features = np.zeros((*size, len(self.feature_names)), np.float32)
        self.picks = np.zeros((envs.num_envs, shape.slots), np.int64)
        self._unseen = hidden_features(envs, self.index)

    def score(self, observations: np.ndarray) -> np.ndarray:
        """Return scores [B, C] of the options, given the agent's observations [B, O].

        Scores of options without an item are ignored.
        """
        raise NotImplementedError(f"{type(self).__name__} has no score(observations)")

    def levels(self, observations: np.ndarray) -> np.ndarray | None:
        """Return the agent's levels of prices or bids [B]; None = the level nearest to list prices or truthful bids."""
        return None

    def feature(self, name: str) -> np.ndarray:
        """Return one feature [B, C] of the options.

        Raises:
            ValueError: the options have no feature of this name.
        """
        if name not in self.feature_names:
            raise ValueError(unknown("feature", name, self.feature_names))
        return self.features[:, :, self.feature_names.index(name)]

    def look(self) -> None:
        """Fill `items` and `features` with the options of the page about to be shown."""
        list_options(self.envs.world, self.envs.arrays, self.index, self.items, self.features)
        if self._unseen:
            self.features[:, :, self._unseen] = 0

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.look()
        scores = np.asarray(self.score(observations))
        if scores.shape != self.items.shape or scores.dtype.kind not in "fiu":
            raise ValueError(
                f"{type(self).__name__}.score gave {scores.dtype}{list(scores.shape)}, "
                f"expected a number for each of the options, {list(self.items.shape)}"
            )
        if np.isnan(scores[self.items >= 0]).any():
            raise ValueError(f"{type(self).__name__} scored an option with NaN")
        self._scores = scores = np.where(self.items >= 0, scores, -np.inf)
        if self.exploration > 0.0:
            explores = self.rng.random(len(scores)) < self.exploration
            uniform = np.where(self.items >= 0, self.rng.random(scores.shape), -np.inf)
            scores = np.where(explores[:, None], uniform, scores)
        self.picks[:], filled = self._best(scores)
        return slate_action(self.envs, self.index, self.picks, filled, self.levels(observations))

    def _best(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions [B, K] of the options with the highest scores, where ties keep their order, and how many
        [B] of them there are; the others repeat the first one."""
        slots = min(self.picks.shape[1], scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :slots]
        there = np.take_along_axis(scores, best, 1) > -np.inf
        picks = np.repeat(best[:, :1], self.picks.shape[1], axis=1)
        picks[:, :slots] = np.where(there, best, best[:, :1])
        return picks, there.sum(1)

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        """Return the propensities [B, K] of the last slate; see `Policy.probabilities`.

        With `exploration` the slate of a page is uniform with this probability, and else the best one.
        """
        if not self.deterministic or not self.exploration:
            return super().probabilities(actions)
        best, _ = self._best(self._scores)
        left = (self._scores > -np.inf).sum(1, keepdims=True) - np.arange(self.picks.shape[1])
        uniform = np.cumprod(1.0 / np.maximum(left, 1), axis=1)
        as_best = np.logical_and.accumulate(self.picks == best, axis=1)
        # of the picks up to each slot, and of each given those before it
        joint = self.exploration * uniform + (1.0 - self.exploration) * as_best
        return joint / np.concatenate((np.ones_like(joint[:, :1]), joint[:, :-1]), axis=1)


def hidden_features(envs: VectorEnv, index: int) -> list[int]:
    """Return the indices of the option features that agent number `index` does not see."""
    names, hidden = candidate_features(envs.config, envs.shape), envs.config.hidden(index)
    if "candidates" in hidden:
        return list(range(len(names)))
    unseen = envs.config.unseen_features(index)
    return [f for f, name in enumerate(names) if name in unseen]


class Appraiser:
    """Computes the value of slots to an agent: its individual reward, credited to the slot that earned it.

    The purchase of a carted item comes pages later, if at all. An item that goes into the cart is therefore valued by
    the average reward of carts so far (a surrogate for delayed feedback, cf. Chapelle 2014).
    """

    def __init__(self, envs: VectorEnv, index: int) -> None:
        self._weights = envs.world.agents[index]
        self._carts, self._sales = 0, 0.0

    def __call__(self, feedback: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the values [B, K] of the slots of the page just shown, given the agent's `feedback`."""
        later = later_reward(self._weights, feedback["later_price"], rating_value(feedback["later_rating"]))
        later = np.where(feedback["later_item"] >= 0, later, 0).sum(1)
        self._carts += int(feedback["cart"].sum())
        self._sales += float(later.sum())
        # at most one slot of a page is clicked
        value = feedback["clicked"] * (feedback["individual_reward"] - later)[:, None]
        return value + feedback["cart"] * (self._sales / max(self._carts, 1))
