"""MaskablePPO of sb3-contrib: a categorical policy for each slot, which never picks what is masked (Huang & Ontañón
2022).

python -m baselines.maskable_ppo --task ecommerce-v1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ippo import IPPO
from .options import Count

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class MaskablePPO(IPPO):
    """PPO that never picks what is masked."""

    name = "maskable-ppo"
    library = "sb3_contrib"
    changes = {"mask_actions": True}  # noqa: RUF012

    timesteps: Count = 2_000_000

    def learner(self, training: Training) -> Learner:
        import sb3_contrib

        from recsys_env.adapters.sb3 import SB3VecEnv

        from .sb3_learner import SB3Learner
        from .sb3_policies import Network

        return SB3Learner(training, self, SB3VecEnv(training.make_envs()), Network("maskable"), sb3_contrib.MaskablePPO)


if __name__ == "__main__":
    from .train import command

    command([MaskablePPO.name, *sys.argv[1:]])
