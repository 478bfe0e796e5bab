"""IPPO: PPO of stable-baselines3, one policy shared by all learners (Schulman et al. 2017; de Witt et al. 2020).

    python -m baselines.ippo --task duel-v1

Where actions are picks of candidates, one small network scores them all and the slate is drawn from the scores
(`slate_network.py`). Only pages are decisions (`page_buffers.PageBuffer`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from .options import PPO, Count, Range

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class IPPO(PPO):
    """PPO, one policy shared by all learners, which ranks candidates."""

    name = "ippo"
    library = "stable_baselines3"
    install = 'pip install "recsys_env[train]"'
    self_play = True

    batch_size: Annotated[int, Range(2)] = 2048
    """Rows of a minibatch."""
    snapshot_every: Count = 10
    """Self-play: rollouts until the pool of past selves grows."""

    def learner(self, training: Training) -> Learner:
        from recsys_env.adapters.sb3 import SB3VecEnv

        from .page_buffers import PageBuffer
        from .sb3_learner import SB3Learner
        from .sb3_policies import ranking_network

        envs = training.make_envs()
        return SB3Learner(training, self, SB3VecEnv(envs), ranking_network(envs), buffer=PageBuffer)


if __name__ == "__main__":
    from .train import command

    command([IPPO.name, *sys.argv[1:]])
