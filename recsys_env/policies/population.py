"""Several policies that play one agent: another one in each copy of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..batch.base import AnyBatch
from ..checks import check_flag, is_sequence, shown
from .base import Policy
from .group import PolicyGroup, part_of_feedback
from .registry import CHECKPOINT


class Population(PolicyGroup):
    """Plays another policy of a population in each copy, drawn anew for every episode.

    A learner that meets a population cannot rely on the habits of one opponent. All policies that play in some copy act
    in all copies, because they may remember what they see there, so a step costs as much as all of them.

    Args:
        policies: names, folders, or objects of the population's own; each plays about the same number of copies.
        per_copy: whether each copy draws its own policy. Otherwise one policy plays all copies of an episode.

    Raises:
        TypeError: these are not policies, or `per_copy` is not a truth value.
        ValueError: there is none, one is a `TeamPolicy`, which acts for several agents, or one object is given twice.
    """

    def __init__(self, policies: Sequence[str | Path | Policy], per_copy: bool = True) -> None:
        if not is_sequence(policies):
            raise TypeError(f"policies = {shown(policies)} must be a list of policies")
        check_flag("per_copy", per_copy)
        if not len(policies):
            raise ValueError("policies = [] must be one or more policies, such as ['popularity', 'greedy']")
        super().__init__(policies)
        self.per_copy = per_copy

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        for member in self.members:
            member.bind(envs, agent, int(self.rng.integers(2**63)))
        self.plays = np.zeros(self.envs.num_envs, np.int64)  # number of the member that plays each copy
        self._draw(np.ones(self.envs.num_envs, np.bool_))

    def _draw(self, copies: np.ndarray) -> None:
        """Draw who plays these copies [B], each member as often as the others."""
        order = self.rng.permutation(len(self.members))
        number = int(copies.sum()) if self.per_copy else 1
        self.plays[copies] = self.rng.permutation(np.resize(order, number))

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        playing = self._playing()
        chosen = [np.asarray(member.act(observations, mask)) for member, _ in playing]
        actions = chosen[0].copy()
        for one, (_, here) in zip(chosen, playing, strict=True):
            actions[here] = one[here]
        return actions

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        """Return the propensities [B, K] of the member that plays each copy; see `Policy.probabilities`."""
        found = np.ones((len(actions), self.envs.config.slots))
        for member, here in self._playing():
            found[here] = member.probabilities(actions)[here]
        return found

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Let each member learn from its own copies; the others are idle to it."""
        for member, here in self._playing():
            member.observe(part_of_feedback(feedback, here[:, None], here[:, None], here))

    def _playing(self) -> list[tuple[Policy, np.ndarray]]:
        """The members that play, each with its copies, bool [B]."""
        found = [(member, self.plays == number) for number, member in enumerate(self.members)]
        return [(member, here) for member, here in found if here.any()]

    def reset(self, done: np.ndarray) -> None:
        super().reset(done)
        self._draw(done)


class NamedPopulation(Population):
    """Plays another of several policies in each copy: names with + between them, or a folder of policies' folders.

    Raises:
        ValueError: the folder holds none, or there is no policy of a name.
    """

    def __init__(self, words: str) -> None:
        super().__init__(members_of(words))


def members_of(words: str) -> list[str]:
    """Return the names of a population's policies.

    Raises:
        ValueError: the folder holds none.
    """
    if not Path(words).is_dir():
        return words.split("+")
    folders = sorted(str(file.parent) for file in Path(words).glob(f"*/{CHECKPOINT}"))
    if not folders:
        raise ValueError(f"population:{words}: the folder holds no folder with {CHECKPOINT}")
    return folders
