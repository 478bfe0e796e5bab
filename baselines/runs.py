"""One training run: what is trained on, in whose company, and where its files go. What every learner gets, and what it
has to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np

from recsys_env import VectorEnv, WorldConfig
from recsys_env.company import Company
from recsys_env.policies import Policy

from .checkpoints import RESUMED, Checkpoint
from .self_play import PastSelf, selves_in

SELF = "self"  # in company: the learner's own past


class Point(TypedDict):
    """A point of a learning curve."""

    agent_steps: int  # steps of learners so far, in all copies together
    episode_reward: float  # own reward per learner while training, scaled to an episode


@dataclass
class Clock:
    """Seconds spent inside the environment, company included."""

    seconds: float = 0.0

    def watch(self, envs: VectorEnv) -> None:
        step = envs.step

        def timed(actions: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(actions)
            finally:
                self.seconds += time.perf_counter() - began

        envs.step = timed  # type: ignore[method-assign]


@dataclass(frozen=True)
class Run:
    """What a learner is given.

    Attributes:
        algorithm: its name in `baselines.algorithms.ALGORITHMS`.
        task, config: what is trained on.
        company: policy of each agent that does not learn, by name; `SELF` for the learner's past.
        options: hyper-parameters, as in the algorithm's `options`.
        out: folder of the run.
        checkpoint: what is resumed from, if anything.
    """

    algorithm: str
    task: str
    config: WorldConfig
    company: dict[str, str]
    options: dict[str, Any]
    out: Path
    seed: int
    device: str
    checkpoint: Checkpoint | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def learners(self) -> list[str]:
        return [agent for agent in self.config.agents if agent not in self.company]

    @property
    def resume(self) -> bool:
        return self.checkpoint is not None

    @property
    def done(self) -> int:
        """Agent-steps of the checkpoint that is resumed from."""
        return 0 if self.checkpoint is None else int(self.checkpoint.curve[-1]["agent_steps"])

    @property
    def gamma(self) -> float:
        """Discount per tick: the task's own unless an option says otherwise."""
        return self.config.discount if self.options["gamma"] is None else float(self.options["gamma"])

    @property
    def self_play(self) -> bool:
        return SELF in self.company.values()

    @property
    def pool(self) -> Path:
        """Folder of the checkpoints that the learner's past plays."""
        return self.out / "pool"

    def prepare(self) -> None:
        """Make the folder; remove another run's curve and result, and of its pool what did not come before the
        checkpoint that is resumed from."""
        self.out.mkdir(parents=True, exist_ok=True)
        for name in () if self.resume else (RESUMED, "curve.json", "result.json", "learning_curve.png"):
            (self.out / name).unlink(
                missing_ok=True
            )  # a run that is stopped before its first checkpoint must not look like that one
        for folder in self.pool.glob("*/") if self.self_play else ():
            if not self.resume or (folder.name.isdecimal() and int(folder.name) > self.done):
                shutil.rmtree(folder)

    def make_envs(self) -> VectorEnv:
        """A batch of `num_envs` copies in this company."""
        return self.join(VectorEnv(self.config, self.options["num_envs"]))

    def join(self, envs: VectorEnv) -> VectorEnv:
        """The batch as the learners see it."""
        if self.company:
            others: dict[str, str | Policy] = {
                agent: PastSelf(self.pool) if policy == SELF else policy for agent, policy in self.company.items()
            }
            envs = Company(envs, others)
        self.clock.watch(envs)
        return envs

    def team(self, policy: str) -> dict[str, str | Policy]:
        """Who plays when `policy` is evaluated: it in the learners' places; the learner's past is the untrained one."""
        first = next(iter(selves_in(self.pool)), None) if self.self_play else None
        company = {agent: str(first) if other == SELF else other for agent, other in self.company.items()}
        return {**company, **dict.fromkeys(self.learners, policy)}


class Learner(Protocol):
    """An algorithm of a library on one run; made with the `Run`."""

    resumes: bool  # whether it can go on from its `state`
    has_progress_bar: bool  # whether the library shows its own

    @property
    def agent_steps(self) -> int:
        """Steps of learners so far, earlier parts of a resumed run included."""

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps, rounded up to whole rollouts; say what each rollout brought."""

    def save(self) -> None:
        """Write the policy's folder; see `checkpoints.write_policy`."""

    def state(self) -> dict[str, np.ndarray]:
        """What it takes to go on, as arrays; `Run.checkpoint` gives it back. Only of one that `resumes`."""
