"""PPO whose policy looks back: a causal transformer over the last pages of the present visitor (`history_network.py`).

python -m baselines.transformer_ppo --task journey-v1
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ippo import IPPO
from .options import Count

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class TransformerPPO(IPPO):
    """PPO with a causal transformer over the last pages of the visitor."""

    name = "transformer-ppo"

    timesteps: Count = 2_000_000
    layers: Count = 2
    """Of the transformer."""
    width: Count = 32
    """Of a token."""
    heads: Count = 2
    """Of attention; a divisor of --width."""
    history: Count = 8
    """Pages that it looks back on."""
    amp: bool = False
    """Mixed precision (bfloat16) on a GPU."""
    compile: bool = False
    """torch.compile on a GPU."""

    def check(self) -> None:
        super().check()
        if self.width % self.heads:
            raise ValueError(f"--heads = {self.heads} must divide --width = {self.width}")

    def learner(self, training: Training) -> Learner:
        from recsys_env.adapters.sb3 import SB3VecEnv
        from recsys_env.tensors import choose_device

        from .history_network import HistoryRows
        from .page_buffers import PageBuffer
        from .sb3_learner import SB3Learner
        from .sb3_policies import ranking_network

        if choose_device(self.device).type == "cpu" and (self.amp or self.compile):
            said = "--amp and --compile need a GPU and are ignored: this run is in float32 on the CPU"
            warnings.warn(said, stacklevel=2)
        envs = training.make_envs()
        rows = HistoryRows(SB3VecEnv(envs), self.history)
        size = {"layers": self.layers, "width": self.width, "heads": self.heads, "amp": self.amp}
        network = dataclasses.replace(
            ranking_network(envs), history={"length": self.history, "page": rows.page_width, **size}
        )
        return SB3Learner(training, self, rows, network, buffer=PageBuffer, compiled=self.compile)


if __name__ == "__main__":
    from .train import command

    command([TransformerPPO.name, *sys.argv[1:]])
