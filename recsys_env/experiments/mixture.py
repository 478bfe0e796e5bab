"""A policy that serves some units by one policy and the others by another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..batch.base import AnyBatch
from ..checks import shown
from ..config.responses import later_reward, rating_value
from ..policies import Policy
from ..policies.population import PolicyGroup, part_of_feedback
from .designs import NOBODY, Assignment


class Mixture(PolicyGroup):
    """Plays policy A or B on each page, by the unit that an `Assignment` finds.

    Both policies are bound to the same agent. Each gets feedback only of its own pages, or in the design `item` of its
    own slots, and of later purchases from carts that it filled. Everything else is shared, as a company with one user
    profile shares it: the history of clicks, the observed satisfaction, trust, and the public statistics.

    Where items decide, the two slates take turns, and an item is shown if it belongs to the policy whose slate it is
    in. Who begins is drawn for each page. The rest of the two slates fills a page of too few items.

    Args:
        a, b: two policies that act for one agent: names, folders or objects.
        assignment: which of them serves a unit. All agents of one experiment share it.

    Raises:
        TypeError, ValueError: these are not two policies of one agent, or no assignment.
    """

    def __init__(self, a: str | Path | Policy, b: str | Path | Policy, assignment: Assignment) -> None:
        if not isinstance(assignment, Assignment):
            raise TypeError(f"assignment = {shown(assignment)} must be a recsys_env.experiments.Assignment")
        super().__init__((a, b))
        self.assignment = assignment
        self._remember = [member.remembers for member in self.members]

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        if self.envs is not self.assignment.envs:
            raise ValueError(
                "the assignment is of another batch than envs; make Assignment(...) from the batch that is played"
            )
        config = self.envs.config
        if self.assignment.by_item.any() and (config.continuous or config.ranked or config.auctioned):
            raise ValueError(
                f"design 'item' needs slates of items; the task has page = {config.page!r} and "
                f"action = {config.action!r}"
            )
        for member in self.members:
            member.bind(envs, agent, seed)
        self._arms = np.full(self.envs.num_envs, NOBODY)
        self._places = np.full(self.envs.num_envs, -1)
        self._carts: dict[tuple[int, int, int], int] = {}  # (copy, user slot, item) -> the arm that is credited

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self._places = self.envs.next_user_slots.copy()
        self._arms = self.assignment.arms(self.assignment.units())
        first, second = (np.asarray(member.act(observations, mask)) for member in self.members)
        chosen = np.where((self._arms == 1).reshape(-1, *(1,) * (first.ndim - 1)), second, first)
        for copy in np.flatnonzero(self.assignment.by_item & (self._places >= 0)):
            chosen[copy] = self._merged(int(copy), first[copy], second[copy])
        return chosen

    def _merged(self, copy: int, *actions: np.ndarray) -> np.ndarray:
        """Return the action of the page on which each item is shown if the policy that it belongs to shows it."""
        choices = [self.envs.decode_actions(action) for action in actions]
        begins = self.assignment.first_arm(copy)
        turns = [(arm, int(pick)) for k in range(self.envs.shape.slots) for arm in (begins, 1 - begins)
                 for pick in (choices[arm].picks[k],)]  # fmt: skip
        picks = np.array([pick for _, pick in turns])
        items = self.envs.candidates[copy, self.index][picks] if self.envs.shape.candidates else picks
        owners = self.assignment.arms_of(copy, np.maximum(items, 0))
        own = [
            pick for (arm, pick), owner, item in zip(turns, owners, items, strict=True) if owner == arm and item >= 0
        ]
        slate = list(dict.fromkeys((*own, *picks.tolist())))
        size = self.envs.shape.slots
        beside = choices[begins]
        return self.envs.encode_actions(np.resize(slate[:size], size), beside.levels, beside.words)

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Let each policy learn from its own pages, or slots, and from purchases out of the carts that it filled."""
        if not any(self._remember):
            return
        owner = self._owners(feedback["shown"])
        later = self._owners_of_later(feedback, owner)
        value = rating_value(feedback["later_rating"])
        sold = later_reward(self.envs.world.agents[self.index], feedback["later_price"], value)
        sold = np.where(feedback["later_item"] >= 0, sold, 0.0)
        of_page = feedback["individual_reward"] - sold.sum(1)
        for arm, member in enumerate(self.members):
            if self._remember[arm]:
                mine = owner == arm
                served = mine.any(1) | (self._arms == arm)
                part = part_of_feedback(feedback, mine, later == arm, served)
                # Of a page of both policies, the reward is that of the slot that was clicked.
                earned = np.where(feedback["clicked"].any(1), (feedback["clicked"] & mine).any(1), served)
                own = np.where(earned, of_page, 0.0) + np.where(later == arm, sold, 0.0).sum(1)
                member.observe({**part, "individual_reward": own.astype(part["individual_reward"].dtype)})

    def _owners(self, items: np.ndarray) -> np.ndarray:
        """Return the arm [B, K] of each slot."""
        owner = np.repeat(self._arms[:, None], items.shape[1], axis=1)
        for copy in np.flatnonzero(self.assignment.by_item & (self._places >= 0)).tolist():
            owner[copy] = np.where(items[copy] >= 0, self.assignment.arms_of(copy, np.maximum(items[copy], 0)), NOBODY)
        return owner

    def _owners_of_later(self, feedback: Mapping[str, np.ndarray], owner: np.ndarray) -> np.ndarray:
        """Return the arm [B, Q] that is credited with each purchase of an earlier cart item, and remember the carts of
        this page."""
        for copy, k in zip(*np.nonzero(feedback["cart"] & ~feedback["bought"]), strict=True):
            self._carts[copy, self._places[copy], feedback["shown"][copy, k]] = owner[copy, k]
        later = np.full(feedback["later_item"].shape, NOBODY)
        for copy, q in zip(*np.nonzero(feedback["later_item"] >= 0), strict=True):
            cart = copy, self._places[copy], feedback["later_item"][copy, q]
            later[copy, q] = self._carts.pop(cart, self._arms[copy])  # unknown if bound within an episode
        return later

    def reset(self, done: np.ndarray) -> None:
        self._carts = {key: arm for key, arm in self._carts.items() if not done[key[0]]}
        super().reset(done)
