"""Train any algorithm on any task, in any company, from one command.

    python -m baselines.train ippo --task grocery-v0
    python -m baselines.train qmix --task duel-v0 --sharing 1
    python -m baselines.train ippo --task social-v0 --learners recommender_0 --company recommender_1=content popularity
    python -m baselines.train ippo --task duel-v0 --learners recommender_0 --company self

Writes to --out a folder that is a policy by itself (`make_policy(folder)`; as an opponent `--company folder`), with
config.json, curve.json (own reward per learner, scaled to an episode, by agent-steps), learning_curve.png and
result.json: the evaluation before training and after it, on the same seeds never trained on, what was gained, the
    references in the same company, and the speed.
`--resume` goes on from checkpoint.npz, if config.json says that this was begun with the same settings.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from recsys_env import VectorEnv, cli, task_config
from recsys_env.company import checked_agent, company_of
from recsys_env.config import WorldConfig, plain_config, replace
from recsys_env.evaluation import COMPARED, UNSEEN, episode_returns, mean_interval, place_on_scale, scale_ends
from recsys_env.evaluation.plots import draw_training
from recsys_env.evaluation.runs import try_out
from recsys_env.files import FileError, read_json, write_json
from recsys_env.provenance import provenance

from .algorithms import ALGORITHMS, OPTIONS, Algorithm, find_algorithm
from .checkpoints import RESUMED, Checkpoint, read_checkpoint
from .runs import SELF, Learner, Point, Run

try:
    import torch
    import tyro
    from tqdm import tqdm
except ImportError as error:
    missing = f'the command line needs {error.name}: pip install "recsys_env[train]"'
    if __name__ == "__main__":
        cli.fail(missing)
    raise ImportError(missing) from error

from recsys_env.tensors import choose_device  # needs torch

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Train:
    """Train an algorithm on a task and say what it gained. Hyper-parameters left out are the algorithm's own."""

    algorithm: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="ALGORITHM", help=f"One of {', '.join(ALGORITHMS)}.")
    ]
    task: str = "ecommerce-v0"
    """Name of the task."""
    company: tuple[str, ...] = ()
    """Policies that play beside the learners: agent=policy, and at most one policy alone for all other agents. A policy
    is a name, the folder of a trained one, module:factory, or self (past checkpoints of the learner)."""
    learners: tuple[str, ...] = ()
    """Agents that learn; by default those that --company does not name, or the first one if it is a policy for all
    others."""
    set: tuple[str, ...] = ()
    """Fields of the task's config to change, such as users.number=16."""
    sharing: float | None = None
    """reward.sharing: 1 = a team, 0 = selfish, -1 = zero-sum; the task's own by default."""
    observability: str | None = None
    """full: learners see the latent visitor; the task's own by default."""
    seed: int = 0
    """Of training; evaluation has seeds of its own."""
    device: str = "auto"
    """auto, cpu or cuda."""
    threads: int = 1
    """Of torch on the CPU. The same seed gives the same result only for the same number, on the same kind of
    processor."""
    out: Path | None = None
    """Folder of the run (default: runs/ALGORITHM-TASK-SEED)."""
    resume: bool = False
    """Go on from the last checkpoint in --out until --timesteps."""
    eval_episodes: int = 100
    """Episodes of each evaluation."""
    references: tuple[str, ...] = COMPARED
    """Policies to compare with, in the same company."""

    timesteps: int | None = None
    """Agent-steps in all (steps of learners in all copies)."""
    num_envs: int | None = None
    """Copies of the game."""
    learning_rate: float | None = None
    gamma: float | None = None
    """Discount per tick; by default the task's own where the algorithm has none."""
    gae_lambda: float | None = None
    ent_coef: float | None = None
    n_steps: int | None = None
    """Ticks per rollout."""
    batch_size: int | None = None
    """Rows of a minibatch."""
    minibatches: int | None = None
    """Of a rollout."""
    n_epochs: int | None = None
    snapshot_every: int | None = None
    """Self-play: rollouts until the pool of past selves grows."""
    reward_scale: float | None = None
    """Factor on the rewards that training sees."""
    by_role: bool = False
    """BenchMARL: a policy, critics and a mixer for each role instead of those of all agents."""
    layers: int | None = None
    """Of the transformer."""
    width: int | None = None
    """Of the transformer, the LSTM or the hidden layers."""
    heads: int | None = None
    """Of the transformer."""
    history: int | None = None
    """Pages that the transformer looks back on."""
    amp: bool = False
    """Mixed precision (bfloat16) on a GPU."""
    compile: bool = False
    """torch.compile on a GPU."""


_RANGES = {  # others: 1 or more
    "learning_rate": (0, np.inf), "gamma": (0, 1), "gae_lambda": (0, 1), "ent_coef": (0, np.inf), "reward_scale": (1e-9, np.inf), "batch_size": (2, np.inf),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ from settings to a
# run


def world_of(settings: Train, algorithm: Algorithm) -> WorldConfig:
    """The task as the algorithm plays it."""
    asked = cli.assignments(settings.set)
    for name, value in algorithm.changes.items():
        if asked.get(name, value) != value:
            raise ValueError(f"{settings.algorithm} needs {name}={value}, not {asked[name]}")
    config = replace(task_config(settings.task, asked), algorithm.changes)
    if settings.sharing is not None:
        config = replace(config, {"reward": {"sharing": settings.sharing}})
    if settings.observability is not None:
        config = replace(config, {"observability": settings.observability})
    if algorithm.query == "always" or (algorithm.query == "slates" and config.slots > 1):
        config = replace(config, {"action": "query"})
    return config


def others_of(settings: Train, agents: Sequence[str]) -> dict[str, str]:
    """Whom `--company` and `--learners` make of each agent that does not learn."""
    named: dict[str, str] = {}
    rest = []
    for word in settings.company:
        agent, equals, policy = word.partition("=")
        if equals:
            if checked_agent(agent, agents) in named:
                raise ValueError(f"--company names {agent} twice: {named[agent]} and {policy}")
            named[agent] = policy
        else:
            rest.append(word)
    if len(rest) > 1:
        raise ValueError(
            f"--company names {' and '.join(rest)} for all other agents; give each its agent: {agents[-1]}={rest[-1]}"
        )
    learners = list(settings.learners) or [agent for agent in agents if agent not in named][: 1 if rest else None]
    if rest and not set(agents) - named.keys() - set(learners):
        raise ValueError(f"--company {rest[0]} plays for nobody: every other agent learns or has a policy of its own")
    for agent in agents if rest else ():
        if agent not in learners:
            named.setdefault(agent, rest[0])
    return {agent: str(policy) for agent, policy in company_of(agents, dict(named), learners).items()}


def options_of(settings: Train, algorithm: Algorithm) -> dict[str, Any]:
    """The algorithm's hyper-parameters, those of the command line before its own."""
    said = {
        option: value for option in OPTIONS if (value := getattr(settings, option)) is not None and value is not False
    }
    for option, value in said.items():
        if option not in algorithm.options:
            known = ", ".join(f"--{name.replace('_', '-')}" for name in algorithm.options)
            raise ValueError(f"{settings.algorithm} takes no --{option.replace('_', '-')}; it takes {known}")
        low, high = _RANGES.get(option, (1, np.inf))
        if not low <= value <= high:
            raise ValueError(
                f"--{option.replace('_', '-')} = {value} must be {f'at least {low}' if high == np.inf else f'between {low} and {high}'}"
            )
    options = {**algorithm.options, **said}
    if "heads" in options and options["width"] % options["heads"]:
        raise ValueError(f"--heads = {options['heads']} must divide --width = {options['width']}")
    return options


def run_of(settings: Train, algorithm: Algorithm) -> Run:
    """Everything that the settings leave to be worked out."""
    if not 0 <= settings.seed < UNSEEN:
        raise ValueError(
            f"seed = {settings.seed} must be 0 or more and below {UNSEEN}, where the seeds of evaluation begin"
        )
    if settings.eval_episodes < 2:
        raise ValueError(f"--eval-episodes = {settings.eval_episodes} must be at least 2: a single one has no interval")
    if settings.threads < 1:
        raise ValueError(f"--threads = {settings.threads} must be at least 1")
    if (device := choose_device(settings.device).type) not in ("cpu", "cuda"):
        raise ValueError(f"device = {settings.device!r} must be auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device = {settings.device!r}, but torch finds no GPU here; auto takes one where there is one"
        )
    config = world_of(settings, algorithm)
    out = settings.out or Path("runs") / f"{settings.algorithm}-{settings.task}-{settings.seed}"
    if settings.resume and not (out / RESUMED).exists():
        raise ValueError(f"nothing to resume: {out} holds no {RESUMED}")
    run = Run(
        algorithm=settings.algorithm, task=settings.task, config=config, company=others_of(settings, config.agents),
        options=options_of(settings, algorithm), out=out, seed=settings.seed, device=settings.device,
        checkpoint=read_checkpoint(out / RESUMED) if settings.resume else None,
    )  # fmt: skip
    if run.self_play and "snapshot_every" not in algorithm.options:
        able = [name for name, other in ALGORITHMS.items() if "snapshot_every" in other.options]
        raise ValueError(f"{settings.algorithm} does not play its past self; algorithms that do are {', '.join(able)}")
    for agent, policy in run.company.items():
        if Path(policy).resolve() == out.resolve():
            raise ValueError(f"{agent} plays {policy}, the folder that this run writes to; choose another --out")
    if run.checkpoint:
        _check_goes_on(run, run.checkpoint, settings.eval_episodes)
    return run


def _check_goes_on(run: Run, checkpoint: Checkpoint, episodes: int) -> None:
    """A resumed run is the one that was begun, only longer.

    Raises:
        ValueError: it was begun with something else.
    """
    config, now = run.out / "config.json", json.loads(json.dumps(_begun(run)))
    begun = read_json(config, dict.fromkeys(now, object), "settings of a run")
    if begun != checkpoint.begun:
        raise FileError(f"{config} is not what {checkpoint.path} was begun with: one of them is of another run")
    for name in now:
        if name not in ("timesteps", "device") and begun[name] != now[name]:
            what = (
                f"another variant of {run.task}" if name == "config" else f"{name} = {begun[name]!r}, not {now[name]!r}"
            )
            raise ValueError(f"{run.out} was begun with {what}; go on with the same, or train anew without --resume")
    if len(checkpoint.before) != episodes:
        played = len(checkpoint.before)
        raise ValueError(
            f"the untrained policy was evaluated on {played} episodes; give --eval-episodes {played} again"
        )


# ------------------------------------------------------------------------------------------------ train and report


def train(settings: Train) -> dict[str, Any]:
    """Evaluate, train, evaluate again; write the folder of the run.

    Returns:
        What result.json holds: before, after and gain (mean, ci95; own reward per learner and episode), table
            (the references
        and the trained policy), scale (whose scores are 0 and 100), training (agent_steps in all; seconds,
        agent_steps_per_second and environment_share of this part, if it was resumed), settings, seeds, versions.

    Raises:
        ValueError: an unknown algorithm, task, agent, policy or option, or nothing to resume.
        ImportError: a missing library; the message says how to install it.
    """
    algorithm = find_algorithm(settings.algorithm)
    run = run_of(settings, algorithm)
    torch.set_num_threads(settings.threads)
    module, _, name = algorithm.learner.partition(":")
    kind = getattr(importlib.import_module(module), name)
    if run.resume and not kind.resumes:
        raise ValueError(
            f"{run.algorithm} cannot resume: what {algorithm.library} keeps of a run is not enough to go on from; train anew without --resume"
        )
    others = [(agent, policy) for agent, policy in run.company.items() if policy != SELF]
    for agent, policy in [*others, *((run.learners[0], policy) for policy in settings.references)]:
        try_out(VectorEnv(run.config), agent, policy)  # before anything of an earlier run is removed
    run.prepare()
    learner: Learner = kind(run)
    before = np.array(run.checkpoint.before if run.checkpoint else _begin(run, learner, settings.eval_episodes))
    curve: list[Point] = list(run.checkpoint.curve) if run.checkpoint else []
    speed = _learn(run, learner, before, curve)
    began = time.perf_counter()
    table, after = score(run, settings)
    gain = mean_interval(after - before)
    result = {
        "task": run.task, "algorithm": run.algorithm, "library": algorithm.library, "learners": run.learners, "company": run.company,
        "before": _interval(mean_interval(before)), "after": _interval(mean_interval(after)), "gain": _interval(gain), "table": table, "training": speed,
        "scale": scale_ends(run.config), "evaluation_seconds": time.perf_counter() - began, **origin(settings, run),
    }  # fmt: skip
    write_json(run.out / "result.json", result, indent=1)
    draw_training(f"{run.task}: {run.algorithm}", curve, table, run.out / "learning_curve.png")
    return result


def _begin(run: Run, learner: Learner, episodes: int) -> list[float]:
    """Write what the run is begun with; scores [E] of the untrained policy."""
    learner.save()
    write_json(run.out / "config.json", _begun(run), indent=1)
    with torch.random.fork_rng(devices=[]):  # loading a policy draws weights; training goes on as if nobody had looked
        return evaluate(run, str(run.out), episodes).tolist()  # type: ignore[no-any-return]


def _learn(run: Run, learner: Learner, before: np.ndarray, curve: list[Point]) -> dict[str, float]:
    """Train with a progress bar and checkpoints; how fast it went."""
    steps, done = run.options["timesteps"], learner.agent_steps
    begun = run.checkpoint.begun if run.checkpoint else _begun(run)
    began = saved = time.perf_counter()
    run.clock.seconds = 0.0

    def save() -> None:
        learner.save()
        write_json(run.out / "curve.json", curve)
        if learner.resumes:
            Checkpoint(run.out / RESUMED, begun, before.tolist(), curve, learner.state()).write()

    with tqdm(
        total=steps,
        initial=done,
        unit="agent-step",
        unit_scale=True,
        dynamic_ncols=True,
        disable=learner.has_progress_bar,
    ) as bar:

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
        "agent_steps": learner.agent_steps, "seconds": seconds, "agent_steps_per_second": played / seconds,
        "environment_share": run.clock.seconds / seconds,
    }  # fmt: skip


def evaluate(run: Run, policy: str, episodes: int) -> np.ndarray:
    """Own reward [E] per learner of a policy in the learners' places, in the run's company, on seeds never trained
    on."""
    returns = episode_returns(run.config, run.team(policy), episodes, run.seed + UNSEEN)
    return returns[:, [run.config.agents.index(agent) for agent in run.learners]].mean(axis=1)  # type: ignore[no-any-return]


def score(run: Run, settings: Train) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """The references and the trained policy in the same company, on common seeds; and the trained one's scores [E]."""
    ends = scale_ends(run.config)
    names = [*settings.references, *(end for end in ends if settings.references and end not in settings.references)]
    samples = {name: evaluate(run, name, settings.eval_episodes) for name in names}
    samples["trained"] = evaluate(run, str(run.out), settings.eval_episodes)
    table = place_on_scale(samples, *ends) if names else {"trained": _interval(mean_interval(samples["trained"]))}
    return table, samples["trained"]


def show(result: dict[str, Any]) -> None:
    """Print the table and what was gained."""
    ends = result["scale"]
    print(f"{'policy':12} {'own reward per learner and episode':>36}   0 = {ends[0]}, 100 = {ends[1]}")
    for name, row in {"untrained": result["before"], **result["table"]}.items():
        scored = f"{row['score']:10.1f} ± {row['score_ci95']:.1f}" if "score" in row else ""
        print(f"{name:12} {row['mean']:25.3f} ± {row['ci95']:<8.3f} {scored}")
    speed, gain = result["training"], result["gain"]
    print(f"gained {gain['mean']:.3f} ± {gain['ci95']:.3f} (95 %); {speed['agent_steps']:,} agent-steps in {speed['seconds']:.0f} s "
          f"({speed['agent_steps_per_second']:,.0f}/s, {speed['environment_share']:.0%} of the time inside the environment)")  # fmt: skip


def origin(settings: Train, run: Run) -> dict[str, Any]:
    """What someone needs to repeat the run."""
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    return {
        **provenance("baselines.train"),
        "command": command_of(settings),
        "settings": _plain(run) | {"eval_episodes": settings.eval_episodes},
        "seeds": {"training": run.seed, "evaluation": run.seed + UNSEEN},
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
    }


def command_of(settings: Train) -> str:
    """The command line of these settings, whoever made them; where the run was written to does not matter."""
    words = [settings.algorithm]
    for option in dataclasses.fields(settings)[1:]:
        value = getattr(settings, option.name)
        if value != option.default and option.name != "out":
            words.append(f"--{option.name.replace('_', '-')}")
            words += [] if value is True else map(str, value) if isinstance(value, tuple) else [str(value)]
    return shlex.join(["python", "-m", "baselines.train", *words])


def _plain(run: Run) -> dict[str, Any]:
    """The run without its objects."""
    return {
        "algorithm": run.algorithm,
        "task": run.task,
        "company": run.company,
        "seed": run.seed,
        "device": run.device,
        **run.options,
    }


def _begun(run: Run) -> dict[str, Any]:
    """What config.json holds."""
    return {**_plain(run), "config": plain_config(run.config)}


def _interval(interval: tuple[float, float]) -> dict[str, float]:
    return {"mean": interval[0], "ci95": interval[1]}


def command(settings: Train) -> None:
    """Train an algorithm on a task and say what it gained. Hyper-parameters left out are the algorithm's own."""
    try:
        result = train(settings)
    except (ValueError, TypeError, ImportError) as error:
        cli.fail(error)
    show(result)


if __name__ == "__main__":
    cli.run(command, "baselines.train")
