"""Self-play: opponents that are past checkpoints of the learner, from a pool that grows while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recsys_env.batch.base import AnyBatch
from recsys_env.policies import CHECKPOINT, Policy, Population, make_policy
from recsys_env.policies.slates import first_candidates

AT_ONCE = 4  # checkpoints that play in one batch; each serves a part of the copies


def selves_in(pool: Path) -> list[Path]:
    """The policies of a pool, oldest first. Folders without a policy, of a run that was stopped, are left out."""
    return sorted(file.parent for file in pool.glob(f"*/{CHECKPOINT}"))


class PastSelf(Population):
    """Plays checkpoints from a pool, each in some of the copies (fictitious self-play, Heinrich, Lanctot & Silver 2015;
    Bansal et al. 2018); the seed decides which and where.

    While the pool is empty, it shows the first candidates. When the pool has grown, checkpoints are drawn anew at the
    end of the episode, because some remember what they have seen in it.

    A network reads whose observation it gets. One that has learned in other seats does not know this one, so it is told
    the name of the first learner of the role; a network that reads all observations alike needs no learners here.

    Args:
        pool: folder of policies' folders, whose names sort by age.
        learners: who is trained.
        per_copy: whether copies of a batch meet several checkpoints. Otherwise one plays in all of them.
    """

    def __init__(self, pool: Path, learners: Sequence[str], per_copy: bool = True) -> None:
        self.pool, self.per_copy, self.learners = pool, per_copy, tuple(learners)
        self.members: list[Policy] = []
        self._bound = False

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        self.members = []
        super().bind(envs, agent, seed)
        self.agent = agent
        role = agent.rpartition("_")[0]
        known = [learner for learner in self.learners if learner.rpartition("_")[0] == role]
        self._seat = self.envs.possible_agents.index(known[0]) if known and agent not in known else self.index
        self._ids = self.envs.observation_fields["agent_id"].start
        self._bound = True
        self._draw_members()

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self._acted = True
        if not self.members:
            return first_candidates(self.envs, self.index)
        return super().act(self._as_learner(observations), mask)

    def _as_learner(self, observations: np.ndarray) -> np.ndarray:
        """The observations [B, O] under the name of the learner."""
        if self._seat == self.index:
            return observations
        named = observations.copy()
        named[:, self._ids + self.index], named[:, self._ids + self._seat] = 0.0, 1.0
        return named

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        if self._acted:  # not of a page that was shown before these checkpoints were drawn
            super().observe(feedback)

    def reset(self, done: np.ndarray) -> None:
        super().reset(done)
        if self._grown and done.all():
            self._draw_members()

    def pool_has_grown(self) -> None:
        """Draw checkpoints anew, as soon as an episode ends."""
        self._grown = True
        if self._bound and not self.members:
            self._draw_members()

    def _draw_members(self) -> None:
        folders = selves_in(self.pool)
        self.members = [make_policy(folders[i]) for i in self.rng.permutation(len(folders))[:AT_ONCE]]
        for member in self.members:
            member.bind(self.envs, self.agent, int(self.rng.integers(2**63)))
        self._draw(self.plays >= 0)
        self._grown = self._acted = False
