"""A training run: the task and who plays in it, the folder of the run, and the interface of what trains.

`begin` turns an algorithm's options into a `Training`, which a `Learner` is made from. `loop.TrainingLoop` runs it.
"""

from __future__ import annotations

import importlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np

from recsys_env import VectorEnv, WorldConfig, Worlds
from recsys_env.api.focal import FocalBatch, checked_agent, policies_of
from recsys_env.batch.base import CpuBatch
from recsys_env.config import plain_config
from recsys_env.evaluation import UNSEEN, compared
from recsys_env.files import FileError, read_json
from recsys_env.policies import Policy, make_policy
from recsys_env.policies.registry import is_team

from .checkpoints import RESUMED, Checkpoint, read_checkpoint
from .options import Algorithm
from .self_play import PastSelf, selves_in

SELF = "self"  # as a background policy: past checkpoints of the learner
CONFIG, CURVE, RESULT, PICTURE = "config.json", "curve.json", "result.json", "learning_curve.png"
_MAY_CHANGE = ("timesteps", "device", "play_on", "accumulate", "compile")  # options, when a run is resumed


class Point(TypedDict):
    """A point of a learning curve."""

    agent_steps: int  # steps of learners so far, in all copies together
    episode_reward: float  # individual reward per learner while training, scaled to an episode


class Evaluation(TypedDict):
    """An evaluation while training."""

    agent_steps: int
    seconds: float  # of the processor, for training until then, without evaluations
    individual_reward: list[float]  # [E] individual reward per learner and episode


class RolloutRewards:
    """Collects the individual rewards of a rollout, which become a point of the learning curve.

    Args:
        horizon: ticks per episode, to which rewards are scaled.
        ended: called with the point.
    """

    def __init__(self, horizon: int, ended: Callable[[Point], None]) -> None:
        self._horizon, self._ended = horizon, ended
        self._own: list[float] = []

    def add(self, own: Any) -> None:
        """Add the individual rewards of a tick, or of all ticks, as an array or tensor."""
        self._own.append(float(own.mean()))

    @property
    def per_episode(self) -> float:
        """Individual reward per learner so far, scaled to an episode."""
        return self._horizon * float(np.mean(self._own))

    def end(self, agent_steps: int) -> None:
        """Report the point of the curve after `agent_steps` steps of learners, and begin the next rollout.

        Call it once the policy has learned from the rollout, because the policy may be evaluated then.
        """
        reward = self.per_episode
        self._own.clear()
        self._ended({"agent_steps": agent_steps, "episode_reward": reward})


class Learner(Protocol):
    """An algorithm that trains on one run; it is made with the `Training` and its options."""

    has_progress_bar: bool  # whether the library shows its own

    @property
    def agent_steps(self) -> int:
        """Steps of learners so far, including earlier parts of a resumed run."""

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps, rounded up to whole rollouts; call `rollout_ended` after each."""

    def save(self, folder: Path) -> None:
        """Write the present policy to the folder; see `recsys_env.trained.folders.write_policy`."""

    def resume_arrays(self) -> dict[str, np.ndarray]:
        """Everything that a resumed run needs, as arrays, which `Training.checkpoint` gives back.

        Called only if the algorithm `resumes`.
        """


# ------------------------------------------------------------------------------------------------ environments


@dataclass
class Clock:
    """Adds up the time spent on something, such as the environment: `with clock: ...`.

    Attributes:
        seconds: by the clock on the wall.
        processor_seconds: of all threads of this process, which other programs on the machine do not lengthen.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._began[0]
        self.processor_seconds += time.process_time() - self._began[1]


class Timed:
    """A batch whose steps are timed."""

    clock: Clock

    def _play(self, actions: Any) -> None:
        with self.clock:
            batch: Any = super()
            batch._play(actions)

    def _roll_out(self, *arguments: Any) -> int:
        with self.clock:
            batch: Any = super()
            played: int = batch._roll_out(*arguments)
            return played


class TimedBatch(Timed, VectorEnv):
    """A timed batch of one world."""


class TimedWorlds(Timed, Worlds):
    """A timed batch of several worlds."""


class TimedFocalBatch(Timed, FocalBatch):
    """A timed batch in which the other agents are policies."""


def timed_on_gpu(config: WorldConfig, num_envs: int) -> Any:
    """Make a timed batch on a GPU; a step ends when the GPU has finished it."""
    from numba import cuda

    from recsys_env.cuda.batch import CudaVectorEnv

    class TimedCudaBatch(Timed, CudaVectorEnv):
        def _advance(self, actions: Any, mode: int) -> None:
            super()._advance(actions, mode)
            cuda.synchronize()

    return TimedCudaBatch(config, num_envs)


# ------------------------------------------------------------------------------------------------ a run


@dataclass(frozen=True)
class Training:
    """A run, from which a learner is made; `begin` makes one from an algorithm's options.

    Attributes:
        algorithm: with its options.
        config: the task as the algorithm plays it.
        background: policy of each agent that does not learn; `SELF` for the learner's past.
        out: folder of the run.
        checkpoint: where a resumed run continues.
        clock: counts the time inside the environment, including policies of other agents.
        selves: what plays the learner's past in the batches that were made.
    """

    algorithm: Algorithm
    config: WorldConfig
    background: dict[str, str]
    out: Path
    checkpoint: Checkpoint | None = None
    clock: Clock = field(default_factory=Clock)
    selves: list[PastSelf] = field(default_factory=list)

    def make_learner(self) -> Learner:
        """Import and make the learner that the algorithm names."""
        module, _, name = self.algorithm.learner.partition(":")
        learner: Learner = getattr(importlib.import_module(module), name)(self, self.algorithm)
        return learner

    @property
    def learners(self) -> list[str]:
        return [agent for agent in self.config.agents if agent not in self.background]

    @property
    def compare(self) -> tuple[str, ...]:
        """Policies to compare with."""
        asked = self.algorithm.compare
        return compared(self.config) if asked is None else asked

    @property
    def resume(self) -> bool:
        return self.checkpoint is not None

    @property
    def done(self) -> int:
        """Agent-steps that the checkpoint has done already; 0 without one."""
        return 0 if self.checkpoint is None else int(self.checkpoint.curve[-1]["agent_steps"])

    @property
    def seed(self) -> int:
        """Seed of the learner and its batch. It changes when a run is resumed, and no evaluation uses it."""
        return (self.algorithm.seed + self.done) % UNSEEN

    @property
    def one_reward(self) -> bool:
        """Whether all learners get the same reward, so that higher reward means better learning.

        With individual rewards, the policy with the highest total is the most collusive one.
        """
        return len(self.learners) == 1 or self.config.reward.sharing == 1

    @property
    def self_play(self) -> bool:
        return SELF in self.background.values()

    @property
    def pool(self) -> Path:
        """Folder of the checkpoints that play as the learner's past."""
        return self.out / "pool"

    @property
    def evaluated(self) -> Path:
        """Folder of the policies that were evaluated while training."""
        return self.out / "evaluated"

    def evaluated_after(self, agent_steps: int) -> Path:
        """Folder of the policy that was evaluated after `agent_steps` steps of learners."""
        return self.evaluated / f"{agent_steps:012d}"

    def begun(self) -> dict[str, Any]:
        """The content of config.json: everything that has to be the same when the run is resumed, as JSON."""
        algorithm = self.algorithm
        return json.loads(
            json.dumps(
                {
                    "algorithm": algorithm.name,
                    "task": algorithm.task,
                    "background": self.background,
                    "seed": algorithm.seed,
                    "device": algorithm.device,
                    **algorithm.hyperparameters(),
                    "config": plain_config(self.config),
                }
            )
        )

    def clear_folder(self) -> None:
        """Make the folder of the run and remove what an earlier run left there.

        A resumed run keeps everything up to its checkpoint.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        for name in () if self.resume else (RESUMED, CURVE, RESULT, PICTURE):
            # Otherwise a run that is stopped before its first checkpoint would look like the earlier one.
            (self.out / name).unlink(missing_ok=True)
        policies = (*self.evaluated.glob("*/"), *(self.pool.glob("*/") if self.self_play else ()))
        for folder in policies:
            if not self.resume or (folder.name.isdecimal() and int(folder.name) > self.done):
                shutil.rmtree(folder)

    def make_envs(self, config: WorldConfig | None = None, num_envs: int | None = None, copy: bool = True) -> CpuBatch:
        """Make a batch as the learners see it, whose steps are timed.

        Args:
            config: by default the run's.
            num_envs: by default the algorithm's.
            copy: as in `vector_env`: False is faster, and the batch then reuses the arrays that `step` returns.
        """
        config, num_envs = config or self.config, num_envs or self.algorithm.num_envs
        if self.background:
            envs = TimedFocalBatch(VectorEnv(config, num_envs, copy=copy), self.background_policies())
            envs.clock = self.clock
            return envs
        return self.timed_batch(config, num_envs, copy)

    def background_policies(self, per_copy: bool = True) -> dict[str, str | Policy]:
        """The policies of the agents that do not learn; each "self" is a pool of its own of the learner's past.

        Args:
            per_copy: whether copies of a batch meet several past selves. Otherwise all copies meet the same one.
        """
        seats = () if self.algorithm.max_agents else self.learners  # relative to itself, every agent is the first
        past = {
            agent: PastSelf(self.pool, seats, per_copy) for agent, policy in self.background.items() if policy == SELF
        }
        self.selves.extend(past.values())
        return {**self.background, **past}

    def timed_batch(self, config: WorldConfig, num_envs: int, copy: bool = False) -> TimedBatch | TimedWorlds:
        """Make a batch that takes an action for every agent, whoever learns, and whose steps are timed."""
        if self.algorithm.play_on == "cuda":
            on_gpu: Any = timed_on_gpu(config, num_envs)
            on_gpu.clock = self.clock
            return on_gpu  # type: ignore[no-any-return]
        worlds = range(config.world_seed, config.world_seed + self.algorithm.catalogues)
        envs = TimedBatch(config, num_envs, copy=copy) if len(worlds) == 1 else TimedWorlds(config, num_envs, worlds)
        envs.clock = self.clock
        return envs

    def team(self, policy: str) -> dict[str, str | Policy]:
        """The policy of each agent when `policy` is evaluated in place of the learners.

        Under self-play the others play the first checkpoint, which is the untrained policy.
        """
        first = next(iter(selves_in(self.pool)), None) if self.self_play else None
        background = {agent: str(first) if other == SELF else other for agent, other in self.background.items()}
        return {**background, **dict.fromkeys(self.learners, policy)}


# ------------------------------------------------------------------------------------------------ from options to a run


def begin(algorithm: Algorithm) -> Training:
    """Make the run that an algorithm's options describe; nothing is written.

    Raises:
        ValueError, TypeError: an option that is not possible, or a run that cannot be resumed.
    """
    algorithm.check()
    config = algorithm.world()
    out = algorithm.folder
    background = background_of(algorithm, config.agents)
    if algorithm.resume and not algorithm.resumes:
        library = algorithm.library
        raise ValueError(
            f"{algorithm.name} cannot resume: what {library} keeps of a run is not enough to go on from; "
            "train anew without --resume"
        )
    if algorithm.resume and not (out / RESUMED).exists():
        raise ValueError(f"nothing to resume: {out} holds no {RESUMED}")
    checkpoint = read_checkpoint(out / RESUMED) if algorithm.resume else None
    training = Training(algorithm, config, background, out, checkpoint)
    if training.self_play and not algorithm.self_play:
        raise ValueError(
            f"{algorithm.name} does not play against its own past; cma-es, generative, ippo, ppo-torch, q-table and "
            "q-torch do, and an algorithm of your own whose class sets self_play = True"
        )
    for agent, policy in background.items():
        if Path(policy).resolve() == out.resolve():
            raise ValueError(f"{agent} plays {policy}, the folder that this run writes to; choose another --out")
        if algorithm.restores and make_policy(policy).remembers:
            raise ValueError(
                f"{agent} plays {policy}, which remembers what it has seen; {algorithm.name} lets copies begin alike, "
                "and a memory cannot be set back with them. Choose another policy, such as static or content"
            )
    if checkpoint is not None:
        _check_goes_on(training, checkpoint)
    return training


def background_of(algorithm: Algorithm, agents: Sequence[str]) -> dict[str, str]:
    """The policy of each agent that does not learn, as `--background` and `--learners` say.

    Raises:
        ValueError: there is no such agent, one is named twice, several policies are for all that are left, or none is
            left.
    """
    named: dict[str, str] = {}
    rest = []
    for word in (part for words in algorithm.background for part in (words.split(",") if is_team(words) else [words])):
        agent, _, policy = word.partition("=")
        if is_team(word):
            if checked_agent(agent, agents) in named:
                raise ValueError(f"--background names {agent} twice: {named[agent]} and {policy}")
            named[agent] = policy
        else:
            rest.append(word)
    if len(rest) > 1:
        raise ValueError(
            f"--background names {' and '.join(rest)} for all that are left; "
            f"give each its agent: {agents[-1]}={rest[-1]}"
        )
    learners = list(algorithm.learners) or [agent for agent in agents if agent not in named][: 1 if rest else None]
    if rest and not set(agents) - named.keys() - set(learners):
        raise ValueError(
            f"--background {rest[0]} has no agent to play: every other agent learns or has a policy of its own"
        )
    for agent in agents if rest else ():
        if agent not in learners:
            named.setdefault(agent, rest[0])
    return {agent: str(policy) for agent, policy in policies_of(agents, dict(named), learners).items()}


def _check_goes_on(training: Training, checkpoint: Checkpoint) -> None:
    """Check that a resumed run is the one that was begun.

    Raises:
        ValueError: it was begun with other settings.
    """
    config, now = training.out / CONFIG, training.begun()
    begun = read_json(config, dict.fromkeys(now, object), "settings of a run")
    if begun != checkpoint.begun:
        raise FileError(f"{config} is not what {checkpoint.path} was begun with: one of them is of another run")
    for name in now:
        if name not in _MAY_CHANGE and begun[name] != now[name]:
            task = training.algorithm.task
            then = f"another variant of {task}" if name == "config" else f"{name} = {begun[name]!r}, not {now[name]!r}"
            raise ValueError(
                f"{training.out} was begun with {then}; go on with the same, or train anew without --resume"
            )
    if len(checkpoint.before) != training.algorithm.final_episodes:
        raise ValueError(
            f"{training.out} was begun with other episodes; give --eval-episodes {len(checkpoint.before) // 10} again"
        )
