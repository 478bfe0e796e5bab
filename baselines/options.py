"""Options of a training run: those that all algorithms share, and the base classes of each algorithm's own.

An algorithm is a frozen dataclass (`algorithms.py` has all of them). Its fields are its options, on the command line
and in Python alike.
"""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from recsys_env import WorldConfig, cli, task_config
from recsys_env.addresses import without_secrets
from recsys_env.config.settings import replace
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.runs import file_name


@dataclass(frozen=True)
class Range:
    """Closed range of an option's values: `Annotated[float, Range(0, 1)]`."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f"at least {self.low}" if self.high == math.inf else f"between {self.low} and {self.high}"


Count = Annotated[int, Range(1)]
Fraction = Annotated[float, Range(0, 1)]
NotNegative = Annotated[float, Range(0)]
Swept = Mapping[str, tuple[float, float]]
_REQUIRED = {  # class attributes of an `Algorithm` that have no default
    "name": "its name on the command line",
    "learner": "module:class of what trains",
    "reason": "why one would train it, in one sentence",
    "library": "the module that has to be installed",
    "install": "how to install it",
}


@dataclass(frozen=True)
class Options:
    """Options of every run: the task, who learns beside whom, and how the policy is evaluated."""

    task: str = "ecommerce-v1"
    """Name of the task; it may have fields of its config changed after commas: duel-v1,horizon=50."""
    background: tuple[str, ...] = ()
    """Policies of the agents that do not learn: agent=policy, or agent=policy,agent=policy, and at most one policy
    without an agent, for all that are left. A policy is a name, the folder of a trained one, module:factory, or self
    (past checkpoints of the learner)."""
    learners: tuple[str, ...] = ()
    """Agents that learn; by default those that --background does not name, or the first one if it gives a policy for
    all others."""
    set: tuple[str, ...] = ()
    """Fields of the task's config to change, such as users.number=16; the same as behind the task's name."""
    sharing: float | None = None
    """reward.sharing: 1 = a team, 0 = selfish, -1 = zero-sum; the task's own by default."""
    observability: str | None = None
    """full: learners see the latent visitor; the task's own by default."""
    seed: Annotated[int, Range(0, UNSEEN - 1)] = 0
    """Seed of training; evaluation has seeds of its own."""
    device: str = "auto"
    """auto, cpu or cuda."""
    threads: Count = 1
    """Threads of torch on the CPU. The same seed gives the same result only with the same number of threads and on the
    same kind of processor."""
    out: Path | None = None
    """Folder of the run (default: runs/ALGORITHM-TASK-SEED)."""
    resume: bool = False
    """Continue from the last checkpoint in --out until --timesteps."""
    evaluations: Count = 10
    """Evaluations while training, equally spaced, the last at its end. Where all learners are paid the same reward, or
    one learns, the policy that earns most in one of them is kept; elsewhere the last one."""
    eval_episodes: Count = 32
    """Episodes of each evaluation. The results are measured on ten times as many other episodes (`final_episodes`)."""
    compare: tuple[str, ...] | None = None
    """Policies to compare with, beside the same background policies. By default random, blind, content, static where
    the task has one, greedy and planner; in auctions and on platforms the policies that were made for them."""

    def __post_init__(self) -> None:
        task, *fields = cli.split_task(self.task)
        object.__setattr__(self, "task", task)
        object.__setattr__(self, "set", (*fields, *self.set))
        for name in ("background", "compare"):  # they are stored and printed: without secrets in addresses of models
            if isinstance(words := getattr(self, name), tuple):
                object.__setattr__(self, name, tuple(without_secrets(w) if isinstance(w, str) else w for w in words))

    @property
    def final_episodes(self) -> int:
        """Episodes on which all results are measured: the untrained, the kept and the last policy, and those to compare
        with. For the kept policy this is the absolute metric (Colas et al. 2018; Gorsane et al. 2022)."""
        return 10 * self.eval_episodes


@dataclass(frozen=True)
class Algorithm(Options):
    """An algorithm that can be trained; subclasses add its hyper-parameters.

    Attributes:
        name: on the command line.
        learner: "module:class" of what trains (`training.Learner`), which is imported when a run begins.
        reason: why the repository has it, in one sentence.
        library, install: the module that has to be installed, and how.
        on_policy: whether it learns only from what the present policy has played.
        resumes: whether it can continue from a checkpoint.
        self_play: whether other agents may play its past.
        restores: whether it sets copies to the state of others, which does not reach what other agents remember.
        swept: options that `python -m baselines sweep` varies -> the two values that it tries beside the default.
        snapshot_every: rollouts until the pool of past selves grows.
        max_agents: agents of the largest team that the policy can play; 0: it plays teams of the task's size alone.
        catalogues: worlds that copies are spread over.
        play_on: where the game is played, "cpu" or "cuda".
    """

    name: ClassVar[str]
    learner: ClassVar[str]
    reason: ClassVar[str]
    library: ClassVar[str]
    install: ClassVar[str]
    on_policy: ClassVar[bool] = True
    resumes: ClassVar[bool] = True
    self_play: ClassVar[bool] = False
    restores: ClassVar[bool] = False
    swept: ClassVar[Swept] = {}
    snapshot_every = 1
    max_agents = 0
    catalogues = 1
    play_on = "cpu"

    timesteps: Count = 5_000_000
    """Agent-steps to train for (steps of all learners in all copies), rounded up to whole rollouts."""
    num_envs: Count = 256
    """Copies of the game."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_class()

    @classmethod
    def check_class(cls) -> None:
        """Raise `ValueError` if the class lacks an attribute, or sets an option in a way that Python ignores: without a
        type, or without `@dataclass`."""
        if missing := [f"{name} ({what})" for name, what in _REQUIRED.items() if not hasattr(cls, name)]:
            raise ValueError(f"{cls.__name__} must set the class attributes {', '.join(missing)}")
        options = dataclasses.fields(cls)
        if ignored := [option.name for option in options if getattr(cls, option.name) != option.default]:
            raise ValueError(
                f"{cls.__name__} sets {', '.join(ignored)}, but not as an option, so runs would ignore it; write "
                "@dataclass(frozen=True) above the class and a type behind each name, as in `n_steps: Count = 100`"
            )

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / run_name(self.name, self.task, self.seed)

    @classmethod
    def word(cls) -> str:
        """The algorithm as commands take it: its name, or module:class if it is none of this repository's."""
        return cls.name if cls.__module__ == "baselines.algorithms" else f"{cls.__module__}:{cls.__qualname__}"

    @classmethod
    def about(cls) -> str:
        """Describe it in one line."""
        return (cls.__doc__ or "").split("\n")[0].rstrip(".")

    def given(self) -> tuple[str, ...]:
        """What training uses beyond each learner's own observations, actions and rewards, in words."""
        return ()

    def check(self) -> None:
        """Raise `ValueError` if an option is out of its range."""
        for name, kind in typing.get_type_hints(type(self), include_extras=True).items():
            allowed = next((option for option in _annotations(kind) if isinstance(option, Range)), None)
            value = getattr(self, name)
            if allowed is not None and value is not None and not allowed.low <= value <= allowed.high:
                raise ValueError(f"{flag(name)} = {value} must be {allowed}")
            if typing.get_origin(kind) is typing.Literal and value not in (among := typing.get_args(kind)):
                raise ValueError(f"{flag(name)} = {value!r} must be {', '.join(among[:-1])} or {among[-1]}")
        if self.device.partition(":")[0] not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device = {self.device!r} is not allowed; choose 'auto', 'cpu', 'cuda', 'cuda:1'")

    def world(self) -> WorldConfig:
        """The config of the task as the algorithm plays it.

        Raises:
            ValueError, TypeError: no such task, field or value, or one that the algorithm cannot play.
        """
        config: WorldConfig = task_config(self.task, cli.assignments(self.set))
        if self.sharing is not None:
            config = replace(config, {"reward": {"sharing": self.sharing}})
        if self.observability is not None:
            config = replace(config, {"observability": self.observability})
        return config

    def task_in_words(self) -> str:
        """Return the task in the form that other commands take, such as `duel-v1,horizon=50`, with the algorithm's
        changes.

        Reward sharing is left out, because scores do not depend on it.
        """
        config, named = self.world(), task_config(self.task, cli.assignments(self.set))
        changed = [f for f in ("observability", "action", "mask_actions") if getattr(config, f) != getattr(named, f)]
        return ",".join([self.task, *self.set, *(f"{name}={getattr(config, name)}" for name in changed)])

    def hyperparameters(self) -> dict[str, Any]:
        """The options that only algorithms have, by name."""
        common = {option.name for option in dataclasses.fields(Options)}
        return {name: value for name, value in vars(self).items() if name not in common}

    def settings(self) -> dict[str, Any]:
        """What distinguishes this job from others, as JSON: all options but --seed, --out and --resume."""
        kept = {name: value for name, value in vars(self).items() if name not in ("seed", "out", "resume")}
        return {
            "algorithm": self.name,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()},
        }

    def has_settings(self, stored: Mapping[str, Any]) -> bool:
        """Whether stored settings are these. An option that is missing there was added later and had the effect of its
        default."""
        return {**type(self)().settings(), **stored} == self.settings()

    def command(self) -> str:
        """The command line with these options, except --out."""
        words = [self.word()]
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if value == option.default or option.name == "out":
                continue
            if isinstance(value, bool):
                words.append(flag(option.name if value else f"no_{option.name}"))
            else:
                words += [flag(option.name), *map(str, value if isinstance(value, tuple) else [value])]
        return shlex.join(["python", "-m", "baselines", "train", *words])


@dataclass(frozen=True)
class Discounted(Algorithm):
    """Options of algorithms that learn from discounted rewards, step by step."""

    learning_rate: NotNegative = 1e-3
    """Learning rate of the optimiser."""
    gamma: Fraction | None = None
    """Discount per tick; the task's own by default."""

    def discount(self, config: WorldConfig) -> float:
        """Discount per tick on this task."""
        return config.discount if self.gamma is None else self.gamma


@dataclass(frozen=True)
class SelfPlay(Algorithm):
    """Option of algorithms whose learner may play against its own past."""

    self_play = True

    snapshot_every: Count = 10
    """Self-play: rollouts until the pool of past selves grows."""


@dataclass(frozen=True)
class QLearning(SelfPlay, Discounted):
    """Options of Q-learning, which explores by random choices (epsilon-greedy, Sutton & Barto 2018, section 2.2)."""

    num_envs: Count = 32
    n_steps: Count = 200
    """Ticks of a point of the learning curve."""
    exploration: Fraction = 0.5
    """Share of the training during which the share of random choices falls from 1 to --epsilon."""
    epsilon: Fraction = 0.05
    """Share of random choices after that."""

    def random_share(self, agent_steps: int, timesteps: int) -> float:
        """Share of random choices after `agent_steps` of `timesteps` agent-steps."""
        falling = agent_steps / max(self.exploration * timesteps, 1)
        return max(self.epsilon, 1 - (1 - self.epsilon) * falling)


@dataclass(frozen=True)
class PPO(SelfPlay, Discounted):
    """Options of proximal policy optimisation, of any library."""

    gae_lambda: Fraction = 0.95
    """Lambda of generalised advantages."""
    ent_coef: NotNegative = 0.0
    """Weight of the entropy bonus."""
    n_steps: Count = 128
    """Ticks per rollout."""
    n_epochs: Count = 3
    """Passes over a rollout."""


def run_name(*parts: object) -> str:
    """Name of the folder of a run, from its parts, such as learner, task and seed.

    The folder can be used as a policy of a team: its name has neither "=" nor ",", which separate a team's members.
    """
    return file_name(re.sub("[=,]", "_", "-".join(map(str, parts))))


def flag(option: str) -> str:
    """An option as it is written on the command line."""
    return f"--{option.replace('_', '-')}"


def _annotations(kind: Any) -> tuple[Any, ...]:
    """The metadata of `Annotated`, also when it is a part of a union."""
    if typing.get_origin(kind) is Annotated:
        return typing.get_args(kind)[1:]
    return tuple(found for part in typing.get_args(kind) for found in _annotations(part))
