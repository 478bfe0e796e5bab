"""The critic: how much a page is worth."""

from __future__ import annotations

from recsys_env.trained.pages import mlp

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn


class Value(nn.Module):
    """Values [R] of pages, given their summary and whatever else is known [R, S].

    Attributes:
        unit: what the network's output is multiplied by. PPO sets it once, to the standard deviation of the returns of
            the first rollout; elsewhere it is 1.
    """

    unit: torch.Tensor

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))
        self.body = mlp(inputs, width, 1, gain=0.01)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.body(inputs).squeeze(1) * self.unit
        return value
