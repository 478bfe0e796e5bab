"""RecurrentPPO of sb3-contrib: a policy with an LSTM that runs over the ticks of a copy.

python -m baselines.recurrent_ppo --task duel-v1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from .ippo import IPPO
from .options import Count, Range

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class RecurrentPPO(IPPO):
    """PPO with an LSTM over the ticks of a copy."""

    name = "recurrent-ppo"
    library = "sb3_contrib"

    timesteps: Count = 1_000_000
    num_envs: Count = 64
    n_steps: Count = 64
    batch_size: Annotated[int, Range(2)] = 1024
    width: Count = 64
    """Units of the LSTM."""

    def learner(self, training: Training) -> Learner:
        import sb3_contrib

        from recsys_env.adapters.sb3 import SB3VecEnv

        from .sb3_learner import SB3Learner
        from .sb3_policies import Network

        network = Network("recurrent", {"lstm_hidden_size": self.width})
        return SB3Learner(training, self, SB3VecEnv(training.make_envs()), network, sb3_contrib.RecurrentPPO)


if __name__ == "__main__":
    from .train import command

    command([RecurrentPPO.name, *sys.argv[1:]])
