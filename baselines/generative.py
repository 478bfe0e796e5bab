"""A generative recommender, pre-trained on logged pages and then trained by PPO in the game.

    python -m baselines.generative --task streaming-v1 --size 1m
    python -m baselines.generative --task streaming-v1 --others recommender_1=content recommender_2=random

Items are semantic ids (`semantic_ids.py`), the network is in `generative_network.py`, what trains it in
`generative_learner.py`. It learns alone among policies (`--others`), in self-play (all agents, which is the default),
and as a team (`--sharing 1`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from recsys_env import WorldConfig
from recsys_env.focal import checked_agent

from .options import Count, NotNegative, Range
from .torch_learners import TorchPPO

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class Generative(TorchPPO):
    """A generative recommender: semantic ids and a transformer, pre-trained on logged pages, then PPO."""

    name = "generative"
    install = 'pip install "recsys_env[generative]"'

    timesteps: Count = 600_000
    threads: Count = 2
    learning_rate: NotNegative = 1e-3
    n_steps: Count = 200
    n_epochs: Count = 2
    batch_size: Annotated[int, Range(2)] = 1024
    size: str = "0.1m"
    """Of the network, in parameters: 0.1m, 0.3m, 1m, 3m, 10m, 30m, 100m, 300m, 1b."""
    loggers: tuple[str, ...] = ("random", "popularity", "nearest")
    """Policies whose pages it is pre-trained on, each as a team, in equal parts."""
    pretrain_on: tuple[str, ...] = ()
    """Agents on whose pages it is pre-trained; by default all."""
    pages: Annotated[int, Range(0)] = 200_000
    """Logged pages that it is pre-trained on; 0 = none."""
    passes: Count = 3
    """Over the logged pages."""
    pretraining_rate: NotNegative = 1e-3
    """Learning rate of pre-training, at its beginning; it falls to 0."""
    accumulate: Count = 1
    """Parts in which a minibatch is taken, their gradients added up: for what does not fit into memory at once."""
    bf16: bool = False
    """Take the large products in bfloat16."""
    compile: bool = False
    """Compile the transformer and the decoder with torch.compile; needs a C++ compiler."""

    def check(self) -> None:
        from .sizes import SIZES

        super().check()
        if self.play_on != "cpu":
            raise ValueError(f"--play-on = {self.play_on!r} is not possible: what it reads of pages is kept on the CPU")
        if self.size not in SIZES:
            raise ValueError(f"--size = {self.size!r} must be one of {', '.join(SIZES)}")
        if self.memory:
            raise ValueError(f"--memory = {self.memory}: {self.name} looks back on pages by itself")
        if not self.loggers:
            raise ValueError("--loggers names nothing; give at least one policy")

    def world(self) -> WorldConfig:
        config = super().world()
        if config.action != "candidates":
            raise ValueError(f"{self.name} chooses among candidates; here action = {config.action!r}")
        for agent in self.pretrain_on:
            checked_agent(agent, config.agents)
        return config

    def learner(self, training: Training) -> Learner:
        from .generative_learner import GenerativeLearner

        return GenerativeLearner(training, self)


if __name__ == "__main__":
    from .train import command

    command([Generative.name, *sys.argv[1:]])
