"""PPO whose policy knows which item a candidate is (`item_network.py`) and follows each visitor
(`page_buffers.VisitorBuffer`).

    python -m baselines.item_ppo --task ecommerce-v1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recsys_env import WorldConfig

from .ippo import IPPO
from .options import Count, NotNegative, Range

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class ItemPPO(IPPO):
    """PPO that knows which item a candidate is, and follows each visitor."""

    name = "item-ppo"

    timesteps: Count = 8_000_000
    num_envs: Count = 16
    learning_rate: NotNegative = 3e-3
    n_steps: Count = 1000
    batch_size: Annotated[int, Range(2)] = 4000
    n_epochs: Count = 2

    def world(self) -> WorldConfig:
        config = super().world()
        if config.action != "candidates" or config.messages or config.offer.kind != "none":
            raise ValueError(
                f"{self.name} picks candidates, sends no messages and sets no prices; here action = {config.action!r}, "
                f"messages = {config.messages}, offer.kind = {config.offer.kind!r}"
            )
        return config

    def learner(self, training: Training) -> Learner:
        from recsys_env.adapters.sb3 import SB3VecEnv

        from .item_network import ItemRows
        from .page_buffers import VisitorBuffer
        from .sb3_learner import SB3Learner
        from .sb3_policies import item_network

        envs = training.make_envs()
        network = item_network(envs)
        return SB3Learner(training, self, ItemRows(SB3VecEnv(envs)), network, buffer=VisitorBuffer)


if __name__ == "__main__":
    from .train import command

    command([ItemPPO.name, *sys.argv[1:]])
