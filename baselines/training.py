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
from recsys_env.files import FileError, read_arrays, read_json, value_among, write_arrays
from recsys_env.policies import Policy, make_policy
from recsys_env.policies.registry import is_team

from .options import Algorithm
from .self_play import PastSelf, selves_in

SELF = "self"  # as a background policy: past checkpoints of the learner
CONFIG, CURVE, RESULT, PICTURE = "config.json", "curve.json", "result.json", "learning_curve.png"
RESUMED = "checkpoint.npz"
# Forms of a learning curve and of the evaluations while training; see `recsys_env.files.misfit`.
_CURVE = [{"agent_steps": int, "episode_reward": float}]
_EVALUATIONS = [{"agent_steps": int, "seconds": float, "individual_reward": [float]}]
_PROGRESS = {
    "begun": {str: object},
    "seconds": float,
    "before": [float],
    "curve": _CURVE,
    "evaluations": _EVALUATIONS,
}
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
    """Collects the individual rewards of a rollout, and calls `ended` with a point of the learning curve."""

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
        """Report the point of the curve, and begin the next rollout. Call it once the policy has learned from this one,
        because the policy may be evaluated then."""
        reward = self.per_episode
        self._own.clear()
        self._ended({"agent_steps": agent_steps, "episode_reward": reward})


class Learner(Protocol):
    """An algorithm that trains on one run; it is made with the `Training` and its options."""

    @property
    def agent_steps(self) -> int:
        """Steps of learners so far, including earlier parts of a resumed run."""

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps, rounded up to whole rollouts; call `rollout_ended` after each."""

    def save(self, folder: Path) -> None:
        """Write the present policy to the folder; see `recsys_env.trained.folders.write_policy`."""

    def resume_arrays(self) -> dict[str, np.ndarray]:
        """What a resumed run needs, as arrays, which `Training.checkpoint` gives back, if the algorithm `resumes`."""


# ------------------------------------------------------------------------------------------------ checkpoints


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run: what `TrainingLoop` has kept so far, and the learner's `resume_arrays`."""

    path: Path
    begun: dict[str, Any]
    seconds: float
    before: list[float]
    curve: list[Any]
    evaluations: list[Any]
    arrays: dict[str, np.ndarray]

    def write(self) -> None:
        """Write to `path`, and replace what is there at once."""
        write_arrays(self.path, self.arrays, progress={name: getattr(self, name) for name in _PROGRESS})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `Checkpoint.write` wrote.

    Raises:
        FileError: a damaged file, or another kind of file.
    """
    arrays = read_arrays(path)
    progress = value_among(path, arrays, "progress", _PROGRESS)
    if not progress["curve"]:
        raise FileError(f"{path} is the checkpoint of a run that had not trained yet")
    return Checkpoint(path, **{name: progress[name] for name in _PROGRESS}, arrays=arrays)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Read the learning curve of a run, which has at least one point.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    curve: list[dict[str, float]] = read_json(path, _CURVE, "curve of a training run")
    if not curve:
        raise FileError(f"{path} holds no curve of a training run: it is empty")
    return curve


# ------------------------------------------------------------------------------------------------ environments


@dataclass
class Clock:
    """Adds up the seconds spent on something: on the wall, and of all threads of this process."""

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
    pass


class TimedWorlds(Timed, Worlds):
    pass


class TimedFocalBatch(Timed, FocalBatch):
    pass


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
    """A run, from which a learner is made.

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
    def done(self) -> int:
        """Agent-steps that the checkpoint has done already; 0 without one."""
        return 0 if self.checkpoint is None else int(self.checkpoint.curve[-1]["agent_steps"])

    @property
    def seed(self) -> int:
        """Seed of the learner and its batch. It changes when a run is resumed, and no evaluation uses it."""
        return (self.algorithm.seed + self.done) % UNSEEN

    @property
    def one_reward(self) -> bool:
        """Whether all learners get the same reward; otherwise the policy of the highest total is the most collusive."""
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
        fields = {name: getattr(algorithm, name) for name in ("task", "seed", "device")}
        begun = {"algorithm": algorithm.name, **fields, "background": self.background, **algorithm.hyperparameters()}
        found: dict[str, Any] = json.loads(json.dumps({**begun, "config": plain_config(self.config)}))
        return found

    def clear_folder(self) -> None:
        """Make the folder of the run and remove what an earlier run left there, or what came after the checkpoint."""
        self.out.mkdir(parents=True, exist_ok=True)
        for name in () if self.checkpoint else (RESUMED, CURVE, RESULT, PICTURE):
            # Otherwise a run that is stopped before its first checkpoint would look like the earlier one.
            (self.out / name).unlink(missing_ok=True)
        policies = (*self.evaluated.glob("*/"), *(self.pool.glob("*/") if self.self_play else ()))
        for folder in policies:
            if not self.checkpoint or (folder.name.isdecimal() and int(folder.name) > self.done):
                shutil.rmtree(folder)

    def make_envs(self, config: WorldConfig | None = None, num_envs: int | None = None, copy: bool = True) -> CpuBatch:
        """Make a timed batch as the learners see it, by default of the run's config and number of copies; `copy` as in
        `vector_env`."""
        config, num_envs = config or self.config, num_envs or self.algorithm.num_envs
        if self.background:
            envs = TimedFocalBatch(VectorEnv(config, num_envs, copy=copy), self.background_policies())
            envs.clock = self.clock
            return envs
        return self.timed_batch(config, num_envs, copy)

    def background_policies(self, per_copy: bool = True) -> dict[str, str | Policy]:
        """The policies of the agents that do not learn; each "self" is a pool of the learner's past, of which copies
        meet several (`per_copy`) or the same one."""
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
        """The policy of each agent when `policy` is evaluated in place of the learners; under self-play the others play
        the untrained policy."""
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
    config, out, name = algorithm.world(), algorithm.folder, algorithm.name
    background = background_of(algorithm, config.agents)
    if algorithm.resume and not algorithm.resumes:
        raise ValueError(f"{name} cannot resume: {algorithm.library} keeps too little of a run; train without --resume")
    if algorithm.resume and not (out / RESUMED).exists():
        raise ValueError(f"nothing to resume: {out} holds no {RESUMED}")
    checkpoint = read_checkpoint(out / RESUMED) if algorithm.resume else None
    training = Training(algorithm, config, background, out, checkpoint)
    if training.self_play and not algorithm.self_play:
        raise ValueError(f"{name} does not play against its own past, because its class does not set self_play = True")
    for agent, policy in background.items():
        if Path(policy).resolve() == out.resolve():
            raise ValueError(f"{agent} plays {policy}, the folder that this run writes to; choose another --out")
        if algorithm.restores and make_policy(policy).remembers:
            raise ValueError(
                f"{agent} plays {policy}, which remembers what it has seen; {name} lets copies begin alike, and a "
                "memory cannot be set back with them. Choose another policy, such as static or content"
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
        if not is_team(word):
            rest.append(word)
        elif checked_agent(agent, agents) in named:
            raise ValueError(f"--background names {agent} twice: {named[agent]} and {policy}")
        else:
            named[agent] = policy
    if len(rest) > 1:
        raise ValueError(f"--background names {' and '.join(rest)} for all that are left; give each its agent")
    learners = list(algorithm.learners) or [agent for agent in agents if agent not in named][: 1 if rest else None]
    left = [agent for agent in agents if agent not in learners and agent not in named] if rest else []
    if rest and not left:
        raise ValueError(f"--background {rest[0]} has no agent to play: every other agent learns or has a policy")
    named |= dict.fromkeys(left, "".join(rest))
    return {agent: str(policy) for agent, policy in policies_of(agents, dict(named), learners).items()}


def _check_goes_on(training: Training, checkpoint: Checkpoint) -> None:
    """Raise `ValueError` unless a resumed run is the one that was begun."""
    config, now = training.out / CONFIG, training.begun()
    begun = read_json(config, dict.fromkeys(now, object), "settings of a run")
    if begun != checkpoint.begun:
        raise FileError(f"{config} is not what {checkpoint.path} was begun with: one of them is of another run")
    for name, value in now.items():
        if name not in _MAY_CHANGE and begun[name] != value:
            then = "another variant of the task" if name == "config" else f"{name} = {begun[name]!r}, not {value!r}"
            raise ValueError(
                f"{training.out} was begun with {then}; go on with the same, or train anew without --resume"
            )
    if len(checkpoint.before) != training.algorithm.final_episodes:
        raise ValueError(
            f"{training.out} was begun with other episodes; give --eval-episodes {len(checkpoint.before) // 10} again"
        )
