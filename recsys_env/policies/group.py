"""Several policies that serve one agent together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..checks import shown
from .base import Policy, TeamPolicy
from .registry import make_policy

# What `feedback` holds where nothing happened, if it is not 0.
_NOTHING = {"visitor": -1, "shown": -1, "later_item": -1}


class PolicyGroup(Policy):
    """Acts for one agent by several policies. A subclass says which of them serves what.

    Args:
        policies: names, folders, or objects of the group's own.

    Raises:
        TypeError: one of them is no policy.
        ValueError: one is a `TeamPolicy`, which acts for several agents, or one object is given twice.
    """

    def __init__(self, policies: Sequence[str | Path | Policy]) -> None:
        self.members = [make_policy(policy) for policy in policies]
        for member in self.members:
            if isinstance(member, TeamPolicy):
                raise ValueError(f"{type(member).__name__} acts for several agents; {type(self).__name__} acts for one")
        if len({id(member) for member in self.members}) < len(self.members):
            raise ValueError(
                f"policies = {shown(list(policies))} hold one object several times; give an object of its own each time"
            )
        self.learns = any(member.learns for member in self.members)

    def reset(self, done: np.ndarray) -> None:
        for member in self.members:
            member.reset(done)

    @property
    def failure(self) -> str | None:  # type: ignore[override]
        """Why a member has made no choice so far."""
        return next(filter(None, (member.failure for member in self.members)), None)

    def costs(self) -> dict[str, float]:
        spent: Counter[str] = Counter()
        for member in self.members:
            spent.update(member.costs())
        return dict(spent)


def part_of_feedback(
    feedback: Mapping[str, np.ndarray], slots: np.ndarray, later: np.ndarray, copies: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the feedback of a policy that served a part of the pages. Elsewhere nothing happened.

    Args:
        feedback: what `policies.feedback` returns for the agent.
        slots: slots [B, K] that the policy filled.
        later: purchases of earlier cart items [B, Q] that are credited to it.
        copies: copies [B] whose reward is its own.
    """
    seen = {"visitor": copies | later.any(1), "individual_reward": copies}
    part = {}
    for name, values in feedback.items():
        here = seen.get(name, later if name.startswith("later_") else slots)
        part[name] = np.where(here, values, np.array(_NOTHING.get(name, 0), values.dtype))
    return part
