"""IPPO of skrl: a policy and a critic for each learner.

python -m baselines.ippo_separate --task journey-v1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .options import PPO, Count, NotNegative

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class SeparateIPPO(PPO):
    """PPO, a policy and a critic for each learner."""

    name = "ippo-separate"
    library = "skrl"
    install = 'pip install "recsys_env[train,skrl]"'

    timesteps: Count = 2_000_000
    num_envs: Count = 64
    ent_coef: NotNegative = 0.003
    n_steps: Count = 64
    n_epochs: Count = 4
    minibatches: Count = 4
    """Of a rollout."""
    width: Count = 64
    """Units of each hidden layer."""

    def learner(self, training: Training) -> Learner:
        from .skrl_learner import SkrlLearner

        return SkrlLearner(training, self)


if __name__ == "__main__":
    from .train import command

    command([SeparateIPPO.name, *sys.argv[1:]])
