"""Train an algorithm on a task, alone or beside other policies, and report what it earns.

    python -m baselines train ppo-torch --task social-v1 --sharing 1
    python -m baselines train ippo --task social-v1 --learners recommender_0 --background recommender_1=content
    python -m baselines train ippo --task duel-v1 --learners recommender_0 --background self

The folder of the run (`--out`) is a policy, which `make_policy(folder)` loads and `--background folder` trains against:
the best one of the run where all learners are paid the same, else the last one. The folder also holds

    config.json            the settings that the run was begun with
    curve.json             individual reward per learner, scaled to an episode, by agent-steps
    learning_curve.png     the same as a picture
    evaluated/AGENT_STEPS  each policy that was evaluated
    checkpoint.npz         where `--resume` continues, if config.json has the same settings
    result.json            what `train` returns

From the command line to the gradient step: `train.py`, `algorithms.py` (options), `training.py` (a run), `loop.py` (the
training loop), and the algorithm's learner.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv, cli
from recsys_env.evaluation import UNSEEN
from recsys_env.files import write_json
from recsys_env.policies import make_policy
from recsys_env.provenance import provenance

from .algorithms import ALGORITHMS, check_library, find_algorithm
from .loop import CHOICE, TrainingLoop, kept, measure
from .options import Algorithm, flag
from .training import PICTURE, RESULT, SELF, Training, begin

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # options of mallopt(3)
_LOG = logging.getLogger("recsys_env")


def train(algorithm: Algorithm) -> dict[str, Any]:
    """Train, evaluate before, while and after training, and write the folder of the run.

    Returns:
        the content of result.json. All rewards are individual rewards per learner and episode.

        before, after, last, gain: {mean, ci95} of the untrained, the kept and the last policy, and of after - before.
        kept: "best" or "last"; see `loop.kept`.
        absolute: [E] of the kept policy.
        kept_agent_steps: when the kept policy was saved.
        evaluations: while training; see `training.Evaluation`.
        processor_seconds: of training and all evaluations, and what else this process did.
        table: the policies to compare with, and the kept policy as "trained".
        scale: the policies whose scores are 0 and 100.
        training: see `loop.TrainingLoop.run`.
        background, learners, settings, seeds, versions and more: what it takes to repeat the run.

    Raises:
        ValueError, TypeError: an unknown task, agent or policy, an option out of its range, or nothing to resume.
        ImportError: a missing library; the message says how to install it.
    """
    processor_began = time.process_time()
    check_library(type(algorithm))
    training = begin(algorithm)
    # Before torch is imported, which takes seconds, and before anything of an earlier run is removed.
    _try_policies(training)
    import torch

    from recsys_env.evaluation import scale_ends
    from recsys_env.evaluation.plots import draw_training
    from recsys_env.evaluation.statistics import interval

    on_gpu = _check_devices(algorithm)
    torch.set_num_threads(algorithm.threads)
    _keep_memory()
    training.clear_folder()
    steps = f"{algorithm.timesteps:,} agent-steps"
    _LOG.info(f"training {algorithm.name} on {algorithm.task} for {steps}, in the folder {training.out}")
    loop = TrainingLoop(training, training.make_learner())
    speed = loop.run()
    table, after = score(training)
    before, evaluations = np.array(loop.before), loop.evaluations
    chosen, final = kept(training, evaluations), evaluations[-1]
    last = after if final is chosen else measure(training, str(training.evaluated_after(final["agent_steps"])))
    result = {
        "task": algorithm.task,
        "algorithm": algorithm.name,
        "library": algorithm.library,
        "learners": training.learners,
        "background": training.background,
        "before": interval(before),
        "after": interval(after),
        "last": interval(last),
        "gain": interval(after - before),
        "absolute": after.tolist(),
        "kept": "best" if training.one_reward else "last",
        "kept_agent_steps": chosen["agent_steps"],
        "evaluations": evaluations,
        "table": table,
        "training": speed,
        "scale": scale_ends(training.config),
        "processor_seconds": time.process_time() - processor_began,
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
    write_json(training.out / RESULT, result, indent=1)
    draw_training(f"{algorithm.task}: {algorithm.name}", loop.curve, evaluations, table, training.out / PICTURE)
    return result


# ------------------------------------------------------------------------------------------------ parts of a run


def _keep_memory() -> None:
    """Let freed memory stay with the process, where the C library is GNU's: zeroing hundreds of new megabytes for each
    batch takes up to a third of the time of training."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26), (_MMAP_MAX, 0)):
            mallopt(option, value)


def _check_devices(algorithm: Algorithm) -> bool:
    """Return whether a GPU trains; raise `ValueError` if a device is missing, because stable-baselines3 would train on
    the CPU instead, for hours."""
    import torch

    from recsys_env.batch.tensors import choose_device

    on_gpu = choose_device(algorithm.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise ValueError(
            f"device = {algorithm.device!r}, but torch finds no GPU here; auto takes one where there is one"
        )
    if algorithm.play_on == "cuda":
        from numba import cuda

        if not cuda.is_available():
            raise ValueError("--play-on = 'cuda': there is no NVIDIA GPU here, or no driver for it")
    return on_gpu


def _try_policies(training: Training) -> None:
    """Make every policy that is named, and let each act once, so that a mistake is found before hours of training."""
    from recsys_env.evaluation import scale_ends
    from recsys_env.evaluation.runs import obstacle, try_out

    background = {agent: policy for agent, policy in training.background.items() if policy != SELF}
    for policy in (*background.values(), *training.compare):
        make_policy(policy)  # a wrong name is found before the first one acts, which may have to be compiled
    for policies in (background, *({training.learners[0]: policy} for policy in training.compare)):
        try_out(VectorEnv(training.config), policies)
    for end in scale_ends(training.config) if training.compare else ():
        if why := obstacle(training.config, training.learners[0], end):
            raise ValueError(
                f"{end!r} is an end of the scale of scores and does not play here: {why}; give other ends "
                "(--set scale_zero=random scale_hundred=planner), or --compare without a name"
            )


def score(training: Training) -> tuple[dict[str, Any], np.ndarray]:
    """Return a row for each policy to compare with and for the trained one, on common seeds, and individual rewards [E]
    of the trained one."""
    from recsys_env.evaluation import place_on_scale, scale_ends
    from recsys_env.evaluation.statistics import interval

    ends, compare = scale_ends(training.config), training.compare
    names = [*compare, *(end for end in ends if compare and end not in compare)]
    samples = {name: measure(training, name) for name in names}
    samples["trained"] = measure(training, str(training.out))
    table = place_on_scale(samples, *ends) if names else {"trained": interval(samples["trained"])}
    return table, samples["trained"]


# ------------------------------------------------------------------------------------------------ command line


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines train`: the first word is the algorithm's name, the others are its options."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:15} {kind.about()}" for name, kind in ALGORITHMS.items())
        print("usage: python -m baselines train ALGORITHM [-h] [OPTIONS]\n")
        print("Train an algorithm on a task and report what it earns. ALGORITHM --help lists its options.\n")
        print(lines)
        return
    try:
        algorithm = parse(argv)
        result = train(algorithm)
    except (ValueError, TypeError, ImportError, OSError) as error:
        cli.fail(error)
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume continues from the last checkpoint", file=sys.stderr)
        raise SystemExit(130) from None
    show(result)
    print(f"\n{_next_steps(algorithm, result)}")


def parse(argv: Sequence[str]) -> Algorithm:
    """Parse the name of an algorithm and its options.

    Raises:
        ValueError: no such algorithm, or it has no such option.
        SystemExit: a value of another type, or --help.
    """
    kind = find_algorithm(argv[0])
    cli.require("train", "tyro")
    import tyro

    program = f"python -m baselines train {kind.name}"
    words = cli.usual_options({f.name for f in fields(kind)}, argv[1:])
    algorithm, unknown = tyro.cli(kind, prog=program, description=kind.about(), args=words, return_unknown_args=True)
    if unknown:
        given = unknown[0].partition("=")[0]
        known = ", ".join(flag(name) for name in vars(algorithm))
        raise ValueError(f"{kind.name} takes no {given}; it takes {known}")
    return algorithm


def show(result: dict[str, Any]) -> None:
    """Print a row for each policy, which policy was kept, and what was gained."""
    ends = result["scale"]
    print(f"{'policy':12} {'individual reward per learner and episode':>41}   0 = {ends[0]}, 100 = {ends[1]}")
    for name, row in {"untrained": result["before"], **result["table"]}.items():
        score = f"{row['score']:10.1f} ± {row['score_ci95']:.1f}" if "score" in row else ""
        print(f"{name:12} {row['mean']:30.3f} ± {row['ci95']:<8.3f} {score}")
    print(
        f"\ntrained: the {result['kept']} of {len(result['evaluations'])} evaluated policies, after "
        f"{result['kept_agent_steps']:,} agent-steps; the last one earns {result['last']['mean']:.3f} ± "
        f"{result['last']['ci95']:.3f}"
    )
    if result["kept"] == "last" and len(result["learners"]) > 1:
        print("Each learner is paid for itself, and the best moment would be the most collusive one.")
    speed, gain = result["training"], result["gain"]
    pace = f"{speed['agent_steps_per_second']:,.0f}/s, {speed['environment_share']:.0%} of the time in the environment"
    print(f"\nTraining gained {gain['mean']:.3f} ± {gain['ci95']:.3f} (95 %) ", end="")
    print(f"in {speed['agent_steps']:,} agent-steps and {speed['seconds']:.0f} s ({pace}).")


def _next_steps(algorithm: Algorithm, result: dict[str, Any]) -> str:
    """Say where the run and its learning curve are, and how to watch the policy and compare it."""
    folder, task = str(algorithm.folder), algorithm.task_in_words()
    background = {agent: folder if policy == SELF else policy for agent, policy in result["background"].items()}
    agents = algorithm.world().agents

    def team(policy: str) -> str:
        """A policy in place of the learners, beside the background."""
        return ",".join(f"{agent}={background.get(agent, policy)}" for agent in agents) if background else policy

    compared = [team(policy) for policy in (folder, *result["table"]) if policy != "trained"]
    rewards = ", ".join(f"{np.mean(each['individual_reward']):.4g}" for each in result["evaluations"])
    watch = ["watch", "--task", task, "--policies", compared[0], "--out", str(Path(folder) / "episode.html")]
    compare = ["evaluate", "--policies", *compared, "--tasks", task]
    first = "" if importlib.util.find_spec("rich") else '  # first: pip install -e ".[evaluate]"'
    return (
        f"The policy and all results are in {folder}.\n"
        f"Learning curve: {Path(folder) / PICTURE}; reward of each evaluation: {rewards}\n"
        f"Watch it:   {shlex.join(['python', '-m', 'recsys_env', *watch])}\n"
        f"Compare it: {shlex.join(['python', '-m', 'recsys_env', *compare])}{first}"
    )
