"""The training loop: train, evaluate now and then, and keep a policy and a checkpoint.

The policy is evaluated `--evaluations` times, on episodes that are used for nothing else. Where all learners are paid
the same, the best one is kept, elsewhere the last one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from recsys_env import cli
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.files import write_json
from recsys_env.policies import CHECKPOINT
from recsys_env.trained.folders import copy_files

from .training import CONFIG, CURVE, RESUMED, Checkpoint, Clock, Evaluation, Learner, Point, Training

CHECKPOINT_SECONDS = 60.0
CHOICE = 3 * UNSEEN  # plus the seed of training: the seed on which a run chooses its best policy


class TrainingLoop:
    """Trains on one run, and keeps its curve, evaluations and checkpoints.

    Attributes:
        before: [E] individual rewards of the untrained policy.
        curve: a point for each rollout.
        evaluations: at least one after `run`.
    """

    def __init__(self, training: Training, learner: Learner) -> None:
        self.training, self.learner, checkpoint = training, learner, training.checkpoint
        self._rollouts = 0  # of this part of the run
        if training.self_play and training.checkpoint is None:
            self._join_pool()
        self.before: list[float] = checkpoint.before if checkpoint else self._begin()
        self.curve: list[Point] = checkpoint.curve if checkpoint else []
        self.evaluations: list[Evaluation] = checkpoint.evaluations if checkpoint else []
        self._begun = checkpoint.begun if checkpoint else training.begun()
        self._earlier = checkpoint.seconds if checkpoint else 0.0
        self._evaluating = Clock()

    def _begin(self) -> list[float]:
        """Write the untrained policy and the settings of the run; return what that policy earns [E]."""
        out = self.training.out
        self.learner.save(out)
        write_json(out / CONFIG, self.training.begun(), indent=1)
        return measure(self.training, str(out)).tolist()

    def run(self) -> dict[str, float]:
        """Train, and show the progress.

        Returns:
            agent_steps in all; seconds (on the wall), agent_steps_per_second and environment_share of this part of the
            run, without evaluations.
        """
        learner, steps, done = self.learner, self.training.algorithm.timesteps, self.learner.agent_steps
        self.training.clock.seconds = 0.0
        self._began, self._processor_began = time.perf_counter(), time.process_time()
        self._saved = self._began
        with cli.Progress(steps, "agent-step", done) as bar:

            def rollout_ended(point: Point) -> None:
                bar.show(point["agent_steps"], f"exploring, {point['episode_reward']:.4g} per episode")
                self._rollout_ended(point)

            if done < steps:
                points = len(self.curve)
                learner.learn(steps, rollout_ended)
                if len(self.curve) == points:
                    raise RuntimeError(
                        f"{type(learner).__name__}.learn never called rollout_ended, so that nothing was evaluated "
                        "while it trained; call it after each rollout with {'agent_steps': ..., 'episode_reward': ...}"
                    )
                if learner.agent_steps < steps:
                    raise RuntimeError(
                        f"{type(learner).__name__}.learn ended after {learner.agent_steps:,} of {steps:,} agent-steps"
                    )
        seconds = self._seconds()
        if not self.evaluations or self.evaluations[-1]["agent_steps"] < learner.agent_steps:
            self._evaluate(learner.agent_steps)
        self._save()
        return {
            "agent_steps": learner.agent_steps,
            "seconds": seconds,
            "agent_steps_per_second": (learner.agent_steps - done) / seconds,
            "environment_share": self.training.clock.seconds / seconds,
        }

    def _seconds(self) -> float:
        """Seconds of training in this part of the run."""
        return time.perf_counter() - self._began - self._evaluating.seconds

    def _processor_seconds(self) -> float:
        """Seconds of the processor for training, in all parts of the run."""
        return self._earlier + time.process_time() - self._processor_began - self._evaluating.processor_seconds

    def _rollout_ended(self, point: Point) -> None:
        """Add a point to the curve, and evaluate where the next of the equally spaced evaluations is due.

        The last one is at the end of the training, where `run` makes it.
        """
        steps, before = point["agent_steps"], self.curve[-1]["agent_steps"] if self.curve else 0
        self.curve.append(point)
        of, marks = self.training.algorithm.timesteps, self.training.algorithm.evaluations
        due = steps < of and steps * marks // of > before * marks // of
        if due:
            self._evaluate(steps)
        if due or time.perf_counter() - self._saved > CHECKPOINT_SECONDS:
            self._save()
        self._rollouts += 1
        if self.training.self_play and self._rollouts % self.training.algorithm.snapshot_every == 0:
            self._join_pool()

    def _join_pool(self) -> None:
        """Add the present policy to the pool that the others play."""
        folder = self.training.pool / f"{self.learner.agent_steps:012d}"
        folder.mkdir(parents=True, exist_ok=True)  # an interrupted run passes here twice
        self.learner.save(folder)
        with undisturbed():
            for past in self.training.selves:
                past.pool_has_grown()

    def _evaluate(self, agent_steps: int) -> None:
        """Evaluate the present policy."""
        training, seconds = self.training, self._processor_seconds()
        with self._evaluating:
            folder = training.evaluated_after(agent_steps)
            folder.mkdir(parents=True, exist_ok=True)
            self.learner.save(folder)
            episodes, seed = training.algorithm.eval_episodes, training.algorithm.seed + CHOICE
            own = evaluate(training, str(folder), episodes, seed).tolist()
            self.evaluations.append({"agent_steps": agent_steps, "seconds": seconds, "individual_reward": own})

    def _save(self) -> None:
        """Write the curve, the checkpoint, and the policy that is kept so far."""
        out = self.training.out
        write_json(out / CURVE, self.curve)
        if self.training.algorithm.resumes:
            progress = self._begun, self._processor_seconds(), self.before, self.curve, self.evaluations
            Checkpoint(out / RESUMED, *progress, self.learner.resume_arrays()).write()
        if self.evaluations:
            best = self.training.evaluated_after(kept(self.training, self.evaluations)["agent_steps"])
            names = sorted((path.name for path in best.iterdir()), key=lambda name: name == CHECKPOINT)
            copy_files(best, out, names)  # the file that names the loader last
        self._saved = time.perf_counter()


def kept(training: Training, evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation whose policy is kept: where all learners are paid the same, the first of those with the highest
    reward; elsewhere the last."""
    if not training.one_reward:
        return evaluations[-1]
    return max(evaluations, key=lambda evaluation: float(np.mean(evaluation["individual_reward"])))


def undisturbed() -> AbstractContextManager[None]:
    """Protect torch's random stream: loading a policy initialises weights, which draws random numbers."""
    import torch

    return torch.random.fork_rng(devices=[])


def evaluate(training: Training, policy: str, episodes: int, seed: int) -> np.ndarray:
    """Play a policy in place of the learners, beside the run's others; the training is not disturbed.

    Returns:
        individual reward [E] per learner.
    """
    with undisturbed():
        returns = episode_returns(training.config, training.team(policy), episodes, seed)
    numbers = [training.config.agents.index(agent) for agent in training.learners]
    return returns[:, numbers].mean(axis=1)


def measure(training: Training, policy: str) -> np.ndarray:
    """Evaluate on the episodes of the reported results, which are used neither to train nor to choose a policy."""
    algorithm = training.algorithm
    return evaluate(training, policy, algorithm.final_episodes, algorithm.seed + UNSEEN)
