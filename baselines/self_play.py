"""Self-play: opponents that are past checkpoints of the learner, from a pool that grows while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recsys_env.batch import AnyBatch
from recsys_env.policies import CHECKPOINT, Policy, make_policy

AT_ONCE = 4  # checkpoints that play in one batch; each serves a part of the copies


def selves_in(pool: Path) -> list[Path]:
    """The policies of a pool, oldest first. Folders without a policy, of a run that was stopped, are left out."""
    return sorted(file.parent for file in pool.glob(f"*/{CHECKPOINT}"))


class PastSelf(Policy):
    """Plays checkpoints from a pool, each in some of the copies; the seed decides which and where.

    Args:
        pool: folder of policies' folders, whose names sort by age.
    """

    def __init__(self, pool: Path) -> None:
        self.pool = pool

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self.agent = agent
        self.draw()

    def draw(self) -> None:
        """Draw checkpoints anew, when the pool has grown; a pool that is still empty gives none."""
        folders = selves_in(self.pool)
        drawn = self.rng.permutation(len(folders))[:AT_ONCE]
        self.selves = [make_policy(str(folders[i])) for i in drawn]
        for policy in self.selves:
            policy.bind(self.envs, self.agent, int(self.rng.integers(2**31)))
        self._plays = self.rng.integers(max(len(drawn), 1), size=self.envs.num_envs)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Let each checkpoint act in all copies, as it may remember their visitors, and take its actions in its own."""
        return np.stack([policy.act(observations, mask) for policy in self.selves])[
            self._plays, np.arange(len(observations))
        ]

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        for policy in self.selves:
            policy.observe(feedback)

    def reset(self, done: np.ndarray) -> None:
        for policy in self.selves:
            policy.reset(done)
