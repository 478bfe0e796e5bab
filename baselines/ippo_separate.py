"""IPPO of skrl: a policy and a critic for each learner.

python -m baselines.ippo_separate --task journey-v0
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .options import Algorithm, Count, Fraction, NotNegative

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class SeparateIPPO(Algorithm):
    """PPO, a policy and a critic for each learner."""

    name = "ippo-separate"
    library = "skrl"
    install = 'pip install "recsys_env[train,skrl]"'

    timesteps: Count = 2_000_000
    num_envs: Count = 64
    gae_lambda: Fraction = 0.95
    """Of generalised advantages."""
    ent_coef: NotNegative = 0.003
    """Weight of the entropy bonus."""
    n_steps: Count = 64
    """Ticks per rollout."""
    minibatches: Count = 4
    """Of a rollout."""
    n_epochs: Count = 4
    """Passes over a rollout."""
    width: Count = 64
    """Units of each hidden layer."""

    def learner(self, training: Training) -> Learner:
        from .skrl_learner import SkrlLearner

        return SkrlLearner(training, self)


if __name__ == "__main__":
    from .train import command

    command([SeparateIPPO.name, *sys.argv[1:]])
