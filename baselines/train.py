"""Train an algorithm on a task, alone or beside other policies, and say what it gained.

    python -m baselines train ippo --task grocery-v1
    python -m baselines train qmix --task duel-v1 --sharing 1
    python -m baselines train ippo --task social-v1 --learners recommender_0 --others recommender_1=content popularity
    python -m baselines train ippo --task duel-v1 --learners recommender_0 --others self

While it trains, the policy is evaluated --evaluations times, on episodes that are for that alone, and the best one is
kept: what that earns on other episodes, ten times as many, is the absolute metric (Colas et al. 2018; Gorsane et al.
2022).

Writes to --out a folder that is a policy by itself, the best one (`make_policy(folder)`; as an opponent
`--others folder`), with config.json, curve.json (own reward per learner, scaled to an episode, by agent-steps),
learning_curve.png, evaluated/AGENT_STEPS (each policy that was evaluated) and result.json: the evaluations, what the
untrained, the best and the last policy earn on the same seeds never trained on, what was gained, the policies to
compare with beside the same others, and the speed. `--resume` goes on from checkpoint.npz, if config.json says that
this was begun with the same settings.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys_env import VectorEnv, cli
from recsys_env.evaluation import UNSEEN
from recsys_env.files import write_json
from recsys_env.policies import make_policy

from .algorithms import ALGORITHMS, check_library, find_algorithm
from .checkpoints import RESUMED, Checkpoint, copy_policy
from .options import Algorithm, flag
from .training import CONFIG, CURVE, PICTURE, RESULT, SELF, Clock, Evaluation, Learner, Point, Training, begin

CHECKPOINT_SECONDS = 60.0
CHOICE = 3 * UNSEEN  # on this plus its seed a run chooses its best policy
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # options of mallopt(3)


def train(algorithm: Algorithm) -> dict[str, Any]:
    """Evaluate, train and evaluate now and then, evaluate again; write the folder of the run.

    Returns:
        What result.json holds: before, after, last and gain (mean, ci95; own reward per learner and episode of the
        untrained, the best and the last policy, and after - before), absolute ([E] of the best one), best_agent_steps
        (when it was saved), evaluations (while training, `training.Evaluation`), table (the policies to compare with
        and the best one, as "trained"), scale (whose scores are 0 and 100), training (agent_steps in all; seconds,
        agent_steps_per_second and environment_share of this part, if it was resumed, evaluations apart), settings,
        seeds, versions.

    Raises:
        ValueError, TypeError: an unknown task, agent or policy, an option out of its range, or nothing to resume.
        ImportError: a missing library; the message says how to install it.
    """
    check_library(type(algorithm))
    training = begin(algorithm)
    _try_policies(training)  # before torch is imported, which takes seconds, and anything of an earlier run is removed
    import torch

    from recsys_env.evaluation import scale_ends
    from recsys_env.evaluation.plots import draw_training
    from recsys_env.evaluation.statistics import interval

    _check_devices(algorithm)
    torch.set_num_threads(algorithm.threads)
    _keep_memory()
    training.clear_folder()
    learner = algorithm.learner(training)
    course = Course(training, learner)
    speed = course.run()
    began = time.perf_counter()
    table, after = score(training)
    before, evaluations = np.array(course.before), course.evaluations
    best, final = best_of(evaluations), evaluations[-1]
    last = after if final is best else measure(training, str(training.evaluated_after(final["agent_steps"])))
    result = {
        "task": algorithm.task,
        "algorithm": algorithm.name,
        "library": algorithm.library,
        "learners": training.learners,
        "others": training.others,
        "before": interval(before),
        "after": interval(after),
        "last": interval(last),
        "gain": interval(after - before),
        "absolute": after.tolist(),
        "best_agent_steps": best["agent_steps"],
        "evaluations": evaluations,
        "table": table,
        "training": speed,
        "scale": scale_ends(training.config),
        "evaluation_seconds": time.perf_counter() - began,
        **_how_to_repeat(algorithm),
    }
    write_json(training.out / RESULT, result, indent=1)
    draw_training(f"{algorithm.task}: {algorithm.name}", course.curve, evaluations, table, training.out / PICTURE)
    return result


# ------------------------------------------------------------------------------------------------ its parts


def _keep_memory() -> None:
    """Let freed memory stay with the process, where the C library is GNU's.

    A batch of a large network needs the same hundreds of megabytes as the one before. By default they go back to the
    system each time, and zeroing new pages takes up to a third of the time of training.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26), (_MMAP_MAX, 0)):
            mallopt(option, value)


def _check_devices(algorithm: Algorithm) -> None:
    """Raise `ValueError` if one is not there: stable-baselines3 would train on the CPU instead, for hours."""
    import torch

    from recsys_env.tensors import choose_device

    device = algorithm.device
    if choose_device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {device!r}, but torch finds no GPU here; auto takes one where there is one")
    if algorithm.play_on == "cuda":
        from numba import cuda

        if not cuda.is_available():
            raise ValueError("--play-on = 'cuda': there is no NVIDIA GPU here, or no driver for it")


def _try_policies(training: Training) -> None:
    """Make every policy that is named, and let each act once, so that a wrong one is found before hours of training."""
    from recsys_env.evaluation import scale_ends
    from recsys_env.evaluation.runs import try_out

    scale_ends(training.config)
    others = [(agent, policy) for agent, policy in training.others.items() if policy != SELF]
    named = [*others, *((training.learners[0], policy) for policy in training.compare)]
    for _, policy in named:  # a wrong name is found before the first one acts, which may have to be compiled
        make_policy(policy)
    for agent, policy in named:
        try_out(VectorEnv(training.config), agent, policy)


def _begin(training: Training, learner: Learner) -> list[float]:
    """Write what the run is begun with; scores [E] of the untrained policy."""
    learner.save(training.out)
    write_json(training.out / CONFIG, training.begun(), indent=1)
    return measure(training, str(training.out)).tolist()


class Course:
    """The course of a training: curve, evaluations and checkpoints.

    Attributes:
        before: [E] scores of the untrained policy.
        curve: a point for each rollout.
        evaluations: at least one after `run`.
    """

    def __init__(self, training: Training, learner: Learner) -> None:
        self.training, self.learner, checkpoint = training, learner, training.checkpoint
        self.before: list[float] = checkpoint.before if checkpoint else _begin(training, learner)
        self.curve: list[Point] = checkpoint.curve if checkpoint else []
        self.evaluations: list[Evaluation] = checkpoint.evaluations if checkpoint else []
        self._begun = checkpoint.begun if checkpoint else training.begun()
        self._earlier = checkpoint.seconds if checkpoint else 0.0
        self._looking = Clock()

    def run(self) -> dict[str, float]:
        """Train with a progress bar; how fast it went."""
        from tqdm import tqdm

        learner, steps, done = self.learner, self.training.algorithm.timesteps, self.learner.agent_steps
        self.training.clock.seconds = 0.0
        self._began = self._saved = time.perf_counter()
        quiet = learner.has_progress_bar
        with tqdm(
            total=steps, initial=done, unit="agent-step", unit_scale=True, dynamic_ncols=True, disable=quiet
        ) as bar:

            def rollout_ended(point: Point) -> None:
                bar.set_postfix_str(f"reward per episode {point['episode_reward']:.4g}", refresh=False)
                bar.update(point["agent_steps"] - bar.n)
                self._rollout_ended(point)

            if done < steps:
                learner.learn(steps, rollout_ended)
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
        """Of training, in this part of the run."""
        return time.perf_counter() - self._began - self._looking.seconds

    def _rollout_ended(self, point: Point) -> None:
        """Take down the point; evaluate if one of the marks has been passed, of which the last is the end of it all."""
        steps, before = point["agent_steps"], self.curve[-1]["agent_steps"] if self.curve else 0
        self.curve.append(point)
        of, marks = self.training.algorithm.timesteps, self.training.algorithm.evaluations
        due = steps < of and steps * marks // of > before * marks // of
        if due:
            self._evaluate(steps)
        if due or time.perf_counter() - self._saved > CHECKPOINT_SECONDS:
            self._save()

    def _evaluate(self, agent_steps: int) -> None:
        """Evaluate the present policy."""
        training, seconds = self.training, self._earlier + self._seconds()
        with self._looking:
            folder = training.evaluated_after(agent_steps)
            folder.mkdir(parents=True, exist_ok=True)
            self.learner.save(folder)
            episodes, seed = training.algorithm.eval_episodes, training.algorithm.seed + CHOICE
            own = evaluate(training, str(folder), episodes, seed).tolist()
            self.evaluations.append({"agent_steps": agent_steps, "seconds": seconds, "own": own})

    def _save(self) -> None:
        """Write the curve, what a resumed run goes on from, and the best policy so far."""
        out = self.training.out
        write_json(out / CURVE, self.curve)
        if self.training.algorithm.resumes:
            progress = self._begun, self._earlier + self._seconds(), self.before, self.curve, self.evaluations
            Checkpoint(out / RESUMED, *progress, self.learner.resume_arrays()).write()
        if self.evaluations:
            copy_policy(self.training.evaluated_after(best_of(self.evaluations)["agent_steps"]), out)
        self._saved = time.perf_counter()


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of highest reward, of several the first."""
    return max(evaluations, key=lambda evaluation: float(np.mean(evaluation["own"])))


def evaluate(training: Training, policy: str, episodes: int, seed: int) -> np.ndarray:
    """Own reward [E] per learner of a policy in the learners' places, beside the run's others; training goes on as if
    nobody had looked."""
    import torch

    from recsys_env.evaluation import episode_returns

    with torch.random.fork_rng(devices=[]):  # loading a policy draws weights
        returns = episode_returns(training.config, training.team(policy), episodes, seed)
    places = [training.config.agents.index(agent) for agent in training.learners]
    return returns[:, places].mean(axis=1)


def measure(training: Training, policy: str) -> np.ndarray:
    """The same on the episodes of all that is reported: neither trained on nor chosen by."""
    algorithm = training.algorithm
    return evaluate(training, policy, algorithm.final_episodes, algorithm.seed + UNSEEN)


def score(training: Training) -> tuple[dict[str, Any], np.ndarray]:
    """The policies to compare with and the trained one, beside the same others and on common seeds; and the scores [E]
    of the trained one."""
    from recsys_env.evaluation import place_on_scale, scale_ends
    from recsys_env.evaluation.statistics import interval

    ends, compare = scale_ends(training.config), training.compare
    names = [*compare, *(end for end in ends if compare and end not in compare)]
    samples = {name: measure(training, name) for name in names}
    samples["trained"] = measure(training, str(training.out))
    table = place_on_scale(samples, *ends) if names else {"trained": interval(samples["trained"])}
    return table, samples["trained"]


def _how_to_repeat(algorithm: Algorithm) -> dict[str, Any]:
    """What someone needs to repeat the run."""
    import torch

    from recsys_env.provenance import provenance
    from recsys_env.tensors import choose_device

    on_gpu = choose_device(algorithm.device).type == "cuda"
    return {
        **provenance(),
        "command": algorithm.command(),
        "settings": algorithm.settings(),
        "seeds": {
            "training": algorithm.seed,
            "choice": algorithm.seed + CHOICE,
            "evaluation": algorithm.seed + UNSEEN,
        },
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
    }


# ------------------------------------------------------------------------------------------------ command line


def command(argv: Sequence[str], among: Sequence[str] = tuple(ALGORITHMS)) -> None:
    """`python -m baselines train`: the first word is the algorithm's name, the others are its options.

    Args:
        argv: without the program's name.
        among: algorithms to choose from.
    """
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:16} {ALGORITHMS[name].about()}" for name in among)
        print(
            "usage: python -m baselines train ALGORITHM [-h] [OPTIONS]\n\nTrain an algorithm on a task and say what it"
        )
        print(f"gained; ALGORITHM --help tells its options.\n\n{lines}")
        return
    try:
        result = train(parse(argv, among))
    except (ValueError, TypeError, ImportError, OSError) as error:
        cli.fail(error)
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume goes on from the last checkpoint", file=sys.stderr)
        raise SystemExit(130) from None
    show(result)


def parse(argv: Sequence[str], among: Sequence[str] = tuple(ALGORITHMS)) -> Algorithm:
    """The algorithm and the options that these words say.

    Raises:
        ValueError: no such algorithm, or it has no such option.
        SystemExit: a value of another type, or --help.
    """
    kind = find_algorithm(argv[0], among)
    cli.require("train", "tyro")
    import tyro

    program = f"python -m baselines train {kind.name}"
    algorithm, unknown = tyro.cli(kind, prog=program, description=kind.about(), args=argv[1:], return_unknown_args=True)
    if unknown:
        said = unknown[0].partition("=")[0]
        known = ", ".join(flag(name) for name in vars(algorithm))
        raise ValueError(f"{kind.name} takes no {said}; it takes {known}")
    return algorithm


def show(result: dict[str, Any]) -> None:
    """Print the table and what was gained."""
    ends = result["scale"]
    print(f"{'policy':12} {'own reward per learner and episode':>36}   0 = {ends[0]}, 100 = {ends[1]}")
    for name, row in {"untrained": result["before"], **result["table"]}.items():
        scored = f"{row['score']:10.1f} ± {row['score_ci95']:.1f}" if "score" in row else ""
        print(f"{name:12} {row['mean']:25.3f} ± {row['ci95']:<8.3f} {scored}")
    speed, gain = result["training"], result["gain"]
    print(
        f"trained is the best of {len(result['evaluations'])}, of agent-step {result['best_agent_steps']:,}; the last"
    )
    print(f"one earns {result['last']['mean']:.3f} ± {result['last']['ci95']:.3f}")
    pace = f"{speed['agent_steps_per_second']:,.0f}/s, {speed['environment_share']:.0%} of it inside the environment"
    print(
        f"gained {gain['mean']:.3f} ± {gain['ci95']:.3f} (95 %); "
        f"{speed['agent_steps']:,} agent-steps in {speed['seconds']:.0f} s ({pace})"
    )
