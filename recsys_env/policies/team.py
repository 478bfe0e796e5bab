"""Policies that act together on one batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..addresses import without_secrets
from ..batch.base import AnyBatch, checked_batch
from ..batch.spaces import mask_size
from ..checks import checked_seed, shown, unknown
from .base import Policy, TeamPolicy, check_infos, feedback, team_feedback
from .registry import make_policy
from .slates import first_candidates


class Team:
    """Policies for all agents of a batch, or for all agents that do not learn.

    Args:
        envs: the batch.
        policies: agent -> policy, by name or as an object. Each agent needs its own object. Only a `TeamPolicy` acts
            for all agents that have it, by the same name or as the same object.
        seed: seed of the policies' random streams.

    Raises:
        ValueError: an agent or policy is unknown, or several agents share an object that is no `TeamPolicy`.
        TypeError: `envs` is not a batch, `policies` is not a mapping by agent, or `seed` is not an integer.
    """

    def __init__(self, envs: AnyBatch, policies: Mapping[str, str | Policy], seed: int) -> None:
        checked_batch(envs)
        checked_seed(seed)
        if not isinstance(policies, Mapping):
            raise TypeError(f"policies = {shown(policies)} must be policies by the names of their agents")
        for agent in policies:
            if agent not in envs.possible_agents:
                raise ValueError(f"a policy is given for an {unknown('agent', agent, envs.possible_agents)}")
        self.envs = envs
        self.policies = _made(policies)
        played: dict[int, list[str]] = {}  # the agents of each object
        for agent, policy in self.policies.items():
            played.setdefault(id(policy), []).append(agent)
        self._members = []
        for agents in played.values():
            agents.sort(key=envs.possible_agents.index)
            policy = self.policies[agents[0]]
            if len(agents) > 1 and not isinstance(policy, TeamPolicy):
                raise ValueError(
                    f"one {type(policy).__name__} is given to {', '.join(agents)}; a policy object acts for one agent, "
                    "so give each its own"
                )
            name = f"{without_secrets(repr(policies[agents[0]]))} as {', '.join(agents)}"
            self._members.append(_Member(policy, agents, [envs.possible_agents.index(agent) for agent in agents], name))
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
        for member in self._members:
            member.bind(self.envs, seed)
        self._pages, self._late, self._seconds = 0, 0, 0.0  # of all members

    def act(self, observations: Any, actions: np.ndarray) -> None:
        """Write the members' actions into actions[B, N, ...], given the batch's observations in its format.

        Raises:
            ValueError: a policy's actions have a wrong shape, or are not integers where integers are required; or
                `observations` or `actions` do not have the batch's shape.
            TypeError: `observations` or `actions` are not such arrays.
        """
        flat, masks = self.envs._flat(observations)
        if self.envs.config.mask_actions:
            self._check("observations['action_mask']", masks)
        self._check("observations", flat)
        self._check("actions", actions)
        if actions.itemsize < 4 or not actions.flags.writeable:  # narrower ones do not hold every item
            raise TypeError(
                f"actions = {shown(actions)} of dtype {actions.dtype} must be writeable, with 4 bytes or more for a "
                "number, as empty_actions() makes them"
            )
        for member in self._members:
            at = member.columns
            pages, began = int((self.envs.next_visitor[:, at] >= 0).sum()), time.perf_counter()
            chosen = member.act(flat, masks, actions)
            took = time.perf_counter() - began
            late = 0 < self.envs.config.observation.delay * pages < took
            actions[:, at] = member.first_candidates() if late else chosen
            self._pages += pages
            self._late += late * pages
            self._seconds += took

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        """Return the propensities [B, N, K] of the actions [B, N, ...] that `act` has just written; see
        `Policy.probabilities`. They have no meaning where an agent is inactive.

        Raises:
            NotImplementedError: a member cannot say, or pages do not show what policies pick; the message says why.
            ValueError: `actions` do not have the batch's shape.
            TypeError: `actions` are not such an array.
        """
        self._check("actions", actions)
        config = self.envs.config
        if config.ranked:
            raise NotImplementedError("a ranker of the platform fills the pages, not the agents")
        if config.observation.delay > 0:
            raise NotImplementedError("pages that are late show the first candidates, and what is late is not drawn")
        found = np.ones((self.envs.num_envs, self.envs.num_agents, config.slots))
        for member in self._members:
            try:
                found[:, member.columns] = member.policy.probabilities(actions[:, member.columns])
            except NotImplementedError as error:
                raise NotImplementedError(f"{', '.join(member.agents)}: {error}") from None
        return found

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
        for member in self._members:
            spent.update(member.policy.costs())
        return {name: value / self._pages for name, value in spent.items()} if self._pages else {}

    def check(self) -> None:
        """Check, at the end of a run, that every member has played.

        Raises:
            ValueError: a member has not, such as a language model that never answered (`Policy.failure`).
        """
        for member in self._members:
            if member.policy.failure is not None:
                raise ValueError(f"{', '.join(member.agents)}: {member.policy.failure}")

    def observe(self, infos: Mapping[str, Any], truncated: np.ndarray) -> None:
        """Let the members learn from a step; the copies `truncated` [B] have begun another episode.

        Raises:
            TypeError, ValueError, KeyError: these are not the infos and `truncated` of a step of this batch; no member
                has learned from them.
        """
        check_infos(infos)
        self._check("infos['shown']", infos["shown"])
        self._check("truncated", truncated)
        for member in self._members:
            member.policy.observe(member.feedback(infos))
            if truncated.any():
                member.policy.reset(truncated)

    def reset(self) -> None:
        """Tell all members that every copy begins another episode."""
        for member in self._members:
            member.policy.reset(np.ones(self.envs.num_envs, np.bool_))


@dataclass(frozen=True)
class _Member:
    """A policy of a team, and the agents that it acts for."""

    policy: Policy
    agents: list[str]
    numbers: list[int]  # of the agents in the batch
    name: str  # for errors

    @property
    def columns(self) -> int | list[int]:
        """Return the index of the policy's part of arrays [B, N, ...]: [B, ...] for one agent, [B, N', ...] for a
        team."""
        return self.numbers if isinstance(self.policy, TeamPolicy) else self.numbers[0]

    def bind(self, envs: AnyBatch, seed: int) -> None:
        if isinstance(self.policy, TeamPolicy):
            self.policy.bind(envs, self.agents, seed)
        else:
            self.policy.bind(envs, self.agents[0], seed)

    def act(self, observations: np.ndarray, masks: np.ndarray | None, like: np.ndarray) -> np.ndarray:
        """Return the policy's actions, which have the shape and kind of its part of `like`.

        Args:
            observations, masks, like: [B, N, ...] of all agents; masks None without `mask_actions`.

        Raises:
            ValueError: the policy acted with something else.
        """
        at = self.columns
        acted, wanted = self.policy.act(observations[:, at], None if masks is None else masks[:, at]), like[:, at]
        try:
            chosen = np.asarray(acted)
        except (ValueError, TypeError):
            raise ValueError(f"policy {self.name} acted with {shown(acted)}, which is no array") from None
        if chosen.shape != wanted.shape or not np.can_cast(chosen.dtype, wanted.dtype, "same_kind"):
            raise ValueError(
                f"policy {self.name} acted with {chosen.dtype}{list(chosen.shape)}, "
                f"expected {wanted.dtype}{list(wanted.shape)}"
            )
        return chosen

    def feedback(self, infos: Mapping[str, Any]) -> dict[str, np.ndarray]:
        if isinstance(self.policy, TeamPolicy):
            return team_feedback(infos, self.numbers)
        return feedback(infos, self.numbers[0])

    def first_candidates(self) -> np.ndarray:
        """Return the actions that are shown when the policy takes too long."""
        envs = self.policy.envs
        if isinstance(self.policy, TeamPolicy):
            return np.stack([first_candidates(envs, index) for index in self.policy.indices], axis=1)
        return first_candidates(envs, self.policy.index)


def _made(policies: Mapping[str, str | Policy]) -> dict[str, Policy]:
    """Return the policy object of each agent; all agents of a `TeamPolicy`'s name or folder share one."""
    made: dict[str, Policy] = {}
    teams: dict[str, TeamPolicy] = {}  # by name or folder
    for agent, policy in policies.items():
        name = str(policy) if isinstance(policy, str | Path) else None
        if name is not None and name in teams:
            made[agent] = teams[name]
            continue
        made[agent] = one = make_policy(policy)
        if name is not None and isinstance(one, TeamPolicy):
            teams[name] = one
    return made
