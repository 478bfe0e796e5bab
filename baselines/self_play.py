"""Self-play: opponents that are past checkpoints of the learner, from a pool that grows while it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recsys_env.batch import AnyBatch
from recsys_env.policies import CHECKPOINT, Policy, Population, make_policy
from recsys_env.policies.slates import first_candidates

AT_ONCE = 4  # checkpoints that play in one batch; each serves a part of the copies


def selves_in(pool: Path) -> list[Path]:
    """The policies of a pool, oldest first. Folders without a policy, of a run that was stopped, are left out."""
    return sorted(file.parent for file in pool.glob(f"*/{CHECKPOINT}"))


class PastSelf(Population):
    """Plays checkpoints from a pool, each in some of the copies; the seed decides which and where.

    While the pool is empty, it shows the first candidates.

    Args:
        pool: folder of policies' folders, whose names sort by age.
    """

    def __init__(self, pool: Path) -> None:
        self.pool, self.per_copy = pool, True
        self.members: list[Policy] = []

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        self.members = []
        super().bind(envs, agent, seed)
        self.agent = agent
        self.draw()

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return super().act(observations, mask) if self.members else first_candidates(self.envs, self.index)

    def draw(self) -> None:
        """Draw checkpoints anew, when the pool has grown."""
        folders = selves_in(self.pool)
        self.members = [make_policy(folders[i]) for i in self.rng.permutation(len(folders))[:AT_ONCE]]
        for member in self.members:
            member.bind(self.envs, self.agent, int(self.rng.integers(2**63)))
        self._draw(self.plays >= 0)
