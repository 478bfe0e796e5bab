"""The learners in one file of plain PyTorch, to read and to change: their options; `ppo_torch.py` and `q_torch.py` are
what trains.

    python -m baselines.ppo_torch --task social-v1
    python -m baselines.q_torch --task duel-v1 --mixer qmix --sharing 1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from recsys_env import WorldConfig
from recsys_env.settings import replace

from .options import PPO, Count, Fraction, GradientAlgorithm, NotNegative, Range

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class PageLearner(GradientAlgorithm):
    """What both have in common: only pages are decisions, and credit flows along chains of them."""

    library = "torch"
    install = 'pip install "recsys_env[train]"'

    num_envs: Count = 64
    credit: Literal["places", "ticks"] = "places"
    """Which page follows another: places = the next one of the same seat in the population, a lost person's successor
    included; ticks = the agent's next one, whoever visits."""
    page_gamma: Fraction = 0.99
    """Discount from a place's page to its next, beside --gamma per tick between; with --credit ticks there is none."""
    width: Count = 64
    """Units of each hidden layer."""
    catalogues: Count = 1
    """Worlds that copies are spread over: those of world_seed, world_seed + 1...; more than one of synthetic items, all
    of whose agents learn."""

    def check(self) -> None:
        super().check()
        if self.catalogues > 1 and (self.others or self.learners):
            raise ValueError(f"--catalogues = {self.catalogues} is for runs in which all agents learn")
        if self.num_envs % self.catalogues:
            said = f"--num-envs = {self.num_envs} copies cannot be shared out evenly"
            raise ValueError(f"{said} among --catalogues = {self.catalogues}")

    def discounts(self, config: WorldConfig) -> tuple[float, float]:
        """Per page of a chain, and per tick, on this task."""
        return (self.page_gamma if self.credit == "places" else 1.0), self.discount(config)

    def world(self) -> WorldConfig:
        config = super().world()
        # Candidates tell by themselves which of them there are.
        return replace(config, {"mask_actions": True}) if config.action == "items" else config


@dataclass(frozen=True)
class TorchPPO(PageLearner, PPO):
    """PPO in one file: IPPO, and MAPPO by --centralised; slates, vectors, messages, memory."""

    name = "ppo-torch"

    learning_rate: NotNegative = 2e-3
    """Of Adam, at the beginning; it falls to 0."""
    gae_lambda: Fraction = 0.98
    ent_coef: NotNegative = 0.003
    """Weight of the entropy bonus at the beginning; it falls to 0."""
    n_steps: Count = 400
    n_epochs: Count = 4
    batch_size: Annotated[int, Range(2)] = 4096
    """Pages of a minibatch."""
    clip: NotNegative = 0.2
    """How far a probability's ratio may move."""
    centralised: bool = False
    """A critic of the global state (MAPPO) instead of each agent's observation (IPPO)."""
    separate: bool = False
    """A policy and a critic for each learner instead of those of all."""
    memory: Annotated[int, Range(0)] = 0
    """Units of a GRU that runs along each visitor's pages; 0 = none."""
    play_on: Literal["cpu", "cuda"] = "cpu"
    """Where the game is played; on a GPU (where --device has to be too) observations and states stay there, and all
    agents learn."""

    def check(self) -> None:
        super().check()
        if self.play_on == "cuda" and (self.others or self.learners or self.catalogues > 1):
            raise ValueError("--play-on = 'cuda' is for runs in which all agents learn, in one world")

    def learner(self, training: Training) -> Learner:
        from .ppo_torch import PPOLearner

        return PPOLearner(training, self)


@dataclass(frozen=True)
class TorchQ(PageLearner):
    """Q-learning in one file: IQL, VDN and QMIX by --mixer."""

    name = "q-torch"
    on_policy = False

    timesteps: Count = 1_000_000
    num_envs: Count = 32
    mixer: Literal["none", "vdn", "qmix"] = "none"
    """How the learners' values make the team's: none = each learns from its own reward (IQL), vdn = their sum, qmix =
    a monotone function of them that depends on the global state; teams learn from the mean reward."""
    n_steps: Count = 200
    """Ticks of a point of the learning curve."""
    update_every: Count = 2
    """Ticks from one gradient step to the next."""
    batch_size: Annotated[int, Range(2)] = 512
    """Pages of a gradient step."""
    replay: Count = 200_000
    """Steps that are kept; at least an episode of all copies."""
    exploration: Fraction = 0.3
    """Share of the training during which random choices fall to --epsilon."""
    epsilon: Fraction = 0.05
    """Share of random choices after that."""
    target_rate: Fraction = 0.02
    """How far the target network follows at each gradient step."""

    def world(self) -> WorldConfig:
        config = super().world()
        if config.continuous:
            raise ValueError(f"{self.name} chooses among options; here action = {config.action!r}")
        return config

    def learner(self, training: Training) -> Learner:
        from .q_torch import QLearner

        return QLearner(training, self)
