"""Algorithms of BenchMARL: a policy shared by all agents (`--by-role`: of a role), critics and mixers of the state.

    python -m baselines.benchmarl qmix --task duel-v1 --sharing 1

Tasks with slates are played by queries (continuous actions; `--set action=weights` for weights), the others by single
picks where the algorithm can.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from recsys_env import WorldConfig
from recsys_env.settings import replace

from .options import Count, Fraction, GradientAlgorithm, Range

if TYPE_CHECKING:
    from .training import Learner, Training


@dataclass(frozen=True)
class BenchMARL(GradientAlgorithm):
    """What these algorithms share.

    Attributes:
        queries: "never", "slates" or "always": where queries (`action="query"`) take the place of picks.
    """

    library = "benchmarl"
    install = (
        'pip install "recsys_env[benchmarl]" in a virtual environment of its own, because it pins an older torchrl; '
        "without it, q-torch learns by vdn and qmix (--mixer), and ppo-torch by a central critic (--centralised)"
    )
    resumes = False
    queries: ClassVar[str] = "slates"

    timesteps: Count = 1_000_000
    num_envs: Count = 64
    gamma: Fraction | None = 0.95
    reward_scale: Annotated[float, Range(1e-9)] = 1.0
    """Factor on the rewards that training sees."""
    by_role: bool = False
    """A policy, critics and a mixer for each role instead of those of all agents."""

    def world(self) -> WorldConfig:
        config = super().world()
        if self.queries == "never" and config.slots > 1:
            raise ValueError(
                f"{self.name} takes one pick per agent, and this is a slate of {config.slots}; set slots=1, or choose "
                "an algorithm whose queries fill slates, such as mappo"
            )
        picks = not config.continuous
        if picks and (self.queries == "always" or (self.queries == "slates" and config.slots > 1)):
            config = replace(config, {"action": "query"})
        return config

    def learner(self, training: Training) -> Learner:
        from .benchmarl_learner import BenchMARLLearner

        return BenchMARLLearner(training, self)


@dataclass(frozen=True)
class RolesIPPO(BenchMARL):
    """PPO, a policy and a critic for each role."""

    name = "ippo-roles"

    by_role: bool = True


@dataclass(frozen=True)
class MAPPO(BenchMARL):
    """PPO with a critic of the global state (Yu et al. 2022)."""

    name = "mappo"


@dataclass(frozen=True)
class MADDPG(BenchMARL):
    """Deterministic queries, critics of all observations and queries (Lowe et al. 2017)."""

    name = "maddpg"
    on_policy = False
    queries = "always"


@dataclass(frozen=True)
class MASAC(BenchMARL):
    """Soft actor-critic of queries, critics of all observations and queries."""

    name = "masac"
    on_policy = False


@dataclass(frozen=True)
class IQL(BenchMARL):
    """Independent Q-learning, one slot (Tan 1993)."""

    name = "iql"
    on_policy = False
    queries = "never"


@dataclass(frozen=True)
class VDN(BenchMARL):
    """Q-learning of a team, values added up, one slot (Sunehag et al. 2018)."""

    name = "vdn"
    on_policy = False
    queries = "never"


@dataclass(frozen=True)
class QMIX(BenchMARL):
    """Q-learning of a team, values mixed by the global state, one slot (Rashid et al. 2018)."""

    name = "qmix"
    on_policy = False
    queries = "never"


FAMILY: tuple[type[BenchMARL], ...] = (RolesIPPO, MAPPO, MADDPG, MASAC, IQL, VDN, QMIX)

if __name__ == "__main__":
    from .train import command

    command(sys.argv[1:], [kind.name for kind in FAMILY])
