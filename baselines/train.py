"""Train an algorithm on a task, alone or beside other policies, and say what it gained.

    python -m baselines train ippo --task grocery-v1
    python -m baselines train qmix --task duel-v1 --sharing 1
    python -m baselines train ippo --task social-v1 --learners recommender_0 --others recommender_1=content popularity
    python -m baselines train ippo --task duel-v1 --learners recommender_0 --others self

Writes to --out a folder that is a policy by itself (`make_policy(folder)`; as an opponent `--others folder`), with
config.json, curve.json (own reward per learner, scaled to an episode, by agent-steps), learning_curve.png and
result.json: the evaluation before training and after it, on the same seeds never trained on, what was gained, the
policies to compare with beside the same others, and the speed. `--resume` goes on from checkpoint.npz, if config.json
says that this was begun with the same settings.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys_env import VectorEnv, cli
from recsys_env.files import write_json
from recsys_env.policies import make_policy

from .algorithms import ALGORITHMS, check_library, find_algorithm
from .checkpoints import RESUMED, Checkpoint
from .options import Algorithm, flag
from .training import CONFIG, CURVE, PICTURE, RESULT, SELF, Learner, Point, Training, begin

CHECKPOINT_SECONDS = 60.0


def train(algorithm: Algorithm) -> dict[str, Any]:
    """Evaluate, train, evaluate again; write the folder of the run.

    Returns:
        What result.json holds: before, after and gain (mean, ci95; own reward per learner and episode), table (the
        policies to compare with and the trained one), scale (whose scores are 0 and 100), training (agent_steps in all;
        seconds, agent_steps_per_second and environment_share of this part, if it was resumed), settings, seeds,
        versions.

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

    _check_device(algorithm.device)
    torch.set_num_threads(algorithm.threads)
    training.clear_folder()
    learner = algorithm.learner(training)
    checkpoint = training.checkpoint
    before = np.array(checkpoint.before if checkpoint else _begin(training, learner))
    curve: list[Point] = list(checkpoint.curve) if checkpoint else []
    speed = _learn(training, learner, before, curve)
    began = time.perf_counter()
    table, after = score(training)
    result = {
        "task": algorithm.task,
        "algorithm": algorithm.name,
        "library": algorithm.library,
        "learners": training.learners,
        "others": training.others,
        "before": interval(before),
        "after": interval(after),
        "gain": interval(after - before),
        "table": table,
        "training": speed,
        "scale": scale_ends(training.config),
        "evaluation_seconds": time.perf_counter() - began,
        **_how_to_repeat(algorithm),
    }
    write_json(training.out / RESULT, result, indent=1)
    draw_training(f"{algorithm.task}: {algorithm.name}", curve, table, training.out / PICTURE)
    return result


# ------------------------------------------------------------------------------------------------ its parts


def _check_device(device: str) -> None:
    """Raise `ValueError` if it is not there: stable-baselines3 would train on the CPU instead, for hours."""
    import torch

    from recsys_env.tensors import choose_device

    if choose_device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {device!r}, but torch finds no GPU here; auto takes one where there is one")


def _try_policies(training: Training) -> None:
    """Make every policy that is named, and let each act once, so that a wrong one is found before hours of training."""
    from recsys_env.evaluation import scale_ends
    from recsys_env.evaluation.runs import try_out

    scale_ends(training.config)
    others = [(agent, policy) for agent, policy in training.others.items() if policy != SELF]
    named = [*others, *((training.learners[0], policy) for policy in training.algorithm.compare)]
    for _, policy in named:  # a wrong name is found before the first one acts, which may have to be compiled
        make_policy(policy)
    for agent, policy in named:
        try_out(VectorEnv(training.config), agent, policy)


def _begin(training: Training, learner: Learner) -> list[float]:
    """Write what the run is begun with; scores [E] of the untrained policy."""
    import torch

    learner.save()
    write_json(training.out / CONFIG, training.begun(), indent=1)
    with torch.random.fork_rng(devices=[]):  # loading a policy draws weights; training goes on as if nobody had looked
        return evaluate(training, str(training.out)).tolist()


def _learn(training: Training, learner: Learner, before: np.ndarray, curve: list[Point]) -> dict[str, float]:
    """Train with a progress bar and checkpoints; how fast it went."""
    from tqdm import tqdm

    steps, done = training.algorithm.timesteps, learner.agent_steps
    begun = training.checkpoint.begun if training.checkpoint else training.begun()
    began = saved = time.perf_counter()
    training.clock.seconds = 0.0

    def save() -> None:
        learner.save()
        write_json(training.out / CURVE, curve)
        if training.algorithm.resumes:
            Checkpoint(training.out / RESUMED, begun, before.tolist(), curve, learner.resume_arrays()).write()

    quiet = learner.has_progress_bar
    with tqdm(total=steps, initial=done, unit="agent-step", unit_scale=True, dynamic_ncols=True, disable=quiet) as bar:

        def rollout_ended(point: Point) -> None:
            nonlocal saved
            curve.append(point)
            bar.set_postfix_str(f"reward per episode {point['episode_reward']:.4g}", refresh=False)
            bar.update(point["agent_steps"] - bar.n)
            if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                save()
                saved = time.perf_counter()

        if done < steps:
            learner.learn(steps, rollout_ended)
            save()
    seconds, played = time.perf_counter() - began, learner.agent_steps - done
    return {
        "agent_steps": learner.agent_steps,
        "seconds": seconds,
        "agent_steps_per_second": played / seconds,
        "environment_share": training.clock.seconds / seconds,
    }


def evaluate(training: Training, policy: str) -> np.ndarray:
    """Own reward [E] per learner of a policy in the learners' places, beside the run's others, on seeds never trained
    on."""
    from recsys_env.evaluation import UNSEEN, episode_returns

    algorithm = training.algorithm
    returns = episode_returns(training.config, training.team(policy), algorithm.eval_episodes, algorithm.seed + UNSEEN)
    places = [training.config.agents.index(agent) for agent in training.learners]
    return returns[:, places].mean(axis=1)


def score(training: Training) -> tuple[dict[str, Any], np.ndarray]:
    """The policies to compare with and the trained one, beside the same others and on common seeds; and the scores [E]
    of the trained one."""
    from recsys_env.evaluation import place_on_scale, scale_ends
    from recsys_env.evaluation.statistics import interval

    ends, compare = scale_ends(training.config), training.algorithm.compare
    names = [*compare, *(end for end in ends if compare and end not in compare)]
    samples = {name: evaluate(training, name) for name in names}
    samples["trained"] = evaluate(training, str(training.out))
    table = place_on_scale(samples, *ends) if names else {"trained": interval(samples["trained"])}
    return table, samples["trained"]


def _how_to_repeat(algorithm: Algorithm) -> dict[str, Any]:
    """What someone needs to repeat the run."""
    import torch

    from recsys_env.evaluation import UNSEEN
    from recsys_env.provenance import provenance
    from recsys_env.tensors import choose_device

    on_gpu = choose_device(algorithm.device).type == "cuda"
    return {
        **provenance(),
        "command": algorithm.command(),
        "settings": algorithm.settings(),
        "seeds": {"training": algorithm.seed, "evaluation": algorithm.seed + UNSEEN},
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
    pace = f"{speed['agent_steps_per_second']:,.0f}/s, {speed['environment_share']:.0%} of it inside the environment"
    print(
        f"gained {gain['mean']:.3f} ± {gain['ci95']:.3f} (95 %); "
        f"{speed['agent_steps']:,} agent-steps in {speed['seconds']:.0f} s ({pace})"
    )
