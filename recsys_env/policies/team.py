"""Policies that act together on one batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..addresses import without_secrets
from ..batch import AnyBatch, checked_batch
from ..checks import checked_seed, did_you_mean, shown
from ..spaces import mask_size
from .base import Policy, check_infos, feedback
from .registry import make_policy
from .slates import first_candidates


class Team:
    """Policies for all agents of a batch, or for all agents that do not learn.

    Args:
        envs: the batch.
        policies: agent -> policy, by name or as an object; each agent needs its own object.
        seed: seed of the policies' random streams.

    Raises:
        ValueError: an agent or policy is unknown, or several agents share a policy object.
        TypeError: `envs` is not a batch, `policies` is not a mapping by agent, or `seed` is not an integer.
    """

    def __init__(self, envs: AnyBatch, policies: Mapping[str, str | Policy], seed: int) -> None:
        checked_batch(envs)
        checked_seed(seed)
        if not isinstance(policies, Mapping):
            raise TypeError(f"policies = {shown(policies)} must be policies by the names of their agents")
        for agent in policies:
            if agent not in envs.possible_agents:
                hint = did_you_mean(agent, envs.possible_agents)
                raise ValueError(
                    f"a policy is given for unknown agent {shown(agent)}{hint}; agents are "
                    f"{', '.join(envs.possible_agents)}"
                )
        self.envs = envs
        self.policies = {agent: make_policy(policy) for agent, policy in policies.items()}
        if len({id(policy) for policy in self.policies.values()}) < len(policies):
            raise ValueError("one policy object acts for one agent; give each agent its own")
        self._members = [(envs.possible_agents.index(agent), policy) for agent, policy in self.policies.items()]
        self._names = {
            envs.possible_agents.index(agent): f"{without_secrets(repr(policy))} as {agent}"
            for agent, policy in policies.items()
        }
        rows, like = (envs.num_envs, envs.num_agents), envs.empty_actions()
        mask = mask_size(envs.config, envs.shape)
        self._given = {  # shape, and kinds of numbers in NumPy's letters
            "observations": ((*rows, envs.layout.size), "f"),
            "observations['action_mask']": ((*rows, mask), "iub"),
            "actions": (like.shape, like.dtype.kind),
            "infos['shown']": ((*rows, envs.shape.slots), "iu"),
            "truncated": (rows[:1], "b"),
        }
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Bind every policy again, with random streams of this seed."""
        for agent, policy in self.policies.items():
            policy.bind(self.envs, agent, seed)
        self._pages, self._late, self._seconds = 0, 0, 0.0  # of all members

    def act(self, observations: Any, actions: np.ndarray) -> None:
        """Write the members' actions into actions[B, N, ...], given the batch's observations in its format.

        Raises:
            ValueError: a policy's actions have a wrong shape, or are not integers where integers are required; or
                `observations` or `actions` do not have the batch's shape.
            TypeError: `observations` or `actions` are not such arrays.
        """
        flat, masks = self.envs.flat(observations)
        if masks is not None:
            self._check("observations['action_mask']", masks)
        self._check("observations", flat)
        self._check("actions", actions)
        if actions.itemsize < 4 or not actions.flags.writeable:  # narrower ones do not hold every item
            raise TypeError(
                f"actions = {shown(actions)} of dtype {actions.dtype} must be writeable, with 4 bytes or more for a "
                "number, as empty_actions() makes them"
            )
        for n, policy in self._members:
            pages, began = int((self.envs.next_visitor[:, n] >= 0).sum()), time.perf_counter()
            acted, wanted = policy.act(flat[:, n], None if masks is None else masks[:, n]), actions[:, n]
            try:
                chosen = np.asarray(acted)
            except (ValueError, TypeError):
                raise ValueError(f"policy {self._names[n]} acted with {shown(acted)}, which is no array") from None
            if chosen.shape != wanted.shape or not np.can_cast(chosen.dtype, wanted.dtype, "same_kind"):
                raise ValueError(
                    f"policy {self._names[n]} acted with {chosen.dtype}{list(chosen.shape)}, "
                    f"expected {wanted.dtype}{list(wanted.shape)}"
                )
            took = time.perf_counter() - began
            late = 0 < self.envs.config.observation.delay * pages < took
            wanted[...] = first_candidates(policy.envs, policy.index) if late else chosen
            self._pages += pages
            self._late += late * pages
            self._seconds += took

    def _check(self, name: str, array: Any) -> None:
        """Raise unless this array has the shape and kind of dtype of the batch."""
        shape, kinds = self._given[name]
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
            found = f" of dtype {array.dtype}" if isinstance(array, np.ndarray) else ""
            what = {"f": "floats", "b": "truth values"}.get(kinds, "whole numbers")
            raise TypeError(f"{name} = {shown(array)}{found} must be an array {list(shape)} of {what}")
        if array.shape != shape:
            raise ValueError(
                f"{name} = {shown(array)} of shape {list(array.shape)} must have the batch's shape {list(shape)}"
            )

    def costs(self) -> dict[str, float]:
        """Return the cost per page of one member since the policies were bound; empty before the first page.

        "ms" is the milliseconds of acting, "late" the share of pages for which the visitor did not wait (if
        `observation.delay` is set). The rest is that of `Policy.costs`."""
        spent = Counter({"ms": 1000 * self._seconds})
        if self.envs.config.observation.delay:
            spent["late"] = self._late
        for policy in self.policies.values():
            spent.update(policy.costs())
        return {name: value / self._pages for name, value in spent.items()} if self._pages else {}

    def check(self) -> None:
        """Check, at the end of a run, that every member has played.

        Raises:
            ValueError: a member has not, such as a language model that never answered (`Policy.failure`).
        """
        for agent, policy in self.policies.items():
            if policy.failure is not None:
                raise ValueError(f"{agent}: {policy.failure}")

    def observe(self, infos: Mapping[str, Any], truncated: np.ndarray) -> None:
        """Let the members learn from a step; the copies `truncated` [B] have begun another episode.

        Raises:
            TypeError, ValueError, KeyError: these are not the infos and `truncated` of a step of this batch; no member
                has learned from them.
        """
        check_infos(infos)
        self._check("infos['shown']", infos["shown"])
        self._check("truncated", truncated)
        for n, policy in self._members:
            policy.observe(feedback(infos, n))
            if truncated.any():
                policy.reset(truncated)

    def reset(self) -> None:
        """Tell all members that every copy begins another episode."""
        for _, policy in self._members:
            policy.reset(np.ones(self.envs.num_envs, np.bool_))
