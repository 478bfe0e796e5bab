"""Any algorithm of BenchMARL on any task, from one command line.

    python -m baselines.benchmarl --algorithm mappo --task ecommerce-v0 --frames 500000
    python -m baselines.benchmarl --algorithm qmix --task ecommerce-v0 --set slots=1 --set users.number=16

Tasks with slates are played by queries (continuous actions), the others by single picks where the algorithm can. Writes BenchMARL's logs
and result.json to --out.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsys_env import TASKS
from recsys_env.adapters.benchmarl import BenchMARLTask
from recsys_env.metrics import UNSEEN, mean_interval
from recsys_env.provenance import provenance

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from benchmarl.algorithms import IppoConfig, IqlConfig, MaddpgConfig, MappoConfig, MasacConfig, QmixConfig, VdnConfig
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from torchrl.envs.utils import ExplorationType, set_exploration_type

from recsys_env.adapters.tensors import choose_device

ALGORITHMS = {
    "mappo": MappoConfig, "ippo": IppoConfig, "qmix": QmixConfig, "vdn": VdnConfig, "iql": IqlConfig, "masac": MasacConfig, "maddpg": MaddpgConfig,
}  # fmt: skip


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m baselines.benchmarl", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--algorithm", default="mappo", choices=ALGORITHMS)
    parser.add_argument("--task", default="ecommerce-v0", choices=sorted(TASKS), metavar="TASK", help=f"one of {', '.join(sorted(TASKS))}")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="FIELD=VALUE", help="config field, such as users.number=16")
    parser.add_argument("--frames", type=int, default=500_000, help="ticks of all copies together, rounded up to whole batches (default %(default)s)")
    parser.add_argument("--num-envs", type=int, default=64, help="copies of the game (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--gamma", type=float, default=0.95, help="discount per tick (default %(default)s)")
    parser.add_argument("--reward-scale", type=float, default=1.0, help="factor on the rewards that training sees (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--out", type=Path, default=None, help="folder of the run (default runs/ALGORITHM-TASK-SEED)")
    args = parser.parse_args(argv)
    args.out = args.out or Path("runs") / f"{args.algorithm}-{args.task}-{args.seed}"
    return args


def changes(assignments: Sequence[str]) -> dict[str, Any]:
    """["users.number=16", "page=rows"] as nested fields of a config; values are Python literals, other words are strings."""
    fields: dict[str, Any] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        *groups, last = name.split(".")
        place = fields
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = literal(value)
    return fields


def literal(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def settings(args: argparse.Namespace, task: BenchMARLTask) -> ExperimentConfig:
    """BenchMARL's experiment for a batched environment: many copies, few ticks between updates."""
    config: Any = ExperimentConfig.get_from_yaml()
    config.sampling_device = config.train_device = config.buffer_device = str(choose_device(args.device))
    config.prefer_continuous_actions = task.world.slots > 1
    config.gamma, config.lr = args.gamma, args.learning_rate
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = args.num_envs
    config.on_policy_collected_frames_per_batch = 128 * args.num_envs
    config.on_policy_n_minibatch_iters, config.on_policy_minibatch_size = 4, 32 * args.num_envs
    config.off_policy_collected_frames_per_batch = 16 * args.num_envs
    config.off_policy_n_optimizer_steps, config.off_policy_train_batch_size = 16, max(512, 4 * args.num_envs)
    config.off_policy_memory_size = 800_000
    batch = config.collected_frames_per_batch(ALGORITHMS[args.algorithm].on_policy())
    config.max_n_frames = -(-args.frames // batch) * batch  # whole batches
    config.off_policy_init_random_frames = min(args.frames // 10, 50_000) // batch * batch
    config.polyak_tau = 0.01 if args.algorithm == "maddpg" else 0.02
    config.exploration_eps_end = 0.3 if args.algorithm == "maddpg" else 0.05
    config.evaluation, config.render, config.loggers, config.create_json = False, False, ["csv"], False
    config.save_folder = str(args.out)
    return config


def prepare(args: argparse.Namespace) -> Experiment:
    task = BenchMARLTask(args.task, changes(args.changes), args.reward_scale)
    model: Any = MlpConfig.get_from_yaml()
    model.num_cells = [128, 128]
    if args.algorithm == "maddpg":  # without normalised layers its actor soon saturates in a corner and stays there
        model.norm_class, model.norm_kwargs, model.activation_class = torch.nn.LayerNorm, {"normalized_shape": 128}, torch.nn.ReLU
    args.out.mkdir(parents=True, exist_ok=True)
    return Experiment(
        task=task, algorithm_config=ALGORITHMS[args.algorithm].get_from_yaml(), model_config=model, critic_model_config=model, seed=args.seed,
        config=settings(args, task),
    )  # fmt: skip


def episode_rewards(experiment: Experiment, episodes: int, seed: int, trained: bool) -> torch.Tensor:
    """Own reward [episodes], mean over agents, of the trained policy without noise, or of random actions."""
    env = experiment.task.get_env_fun(episodes, experiment.continuous_actions, seed, experiment.config.sampling_device)()
    total, state = torch.zeros(episodes), env.reset()
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        for _ in range(experiment.task.world.horizon):
            played, state = env.step_and_maybe_reset(experiment.policy(state) if trained else env.rand_action(state))
            own = torch.cat([played["next", role, "info", "own"] for role in env.group_map], 1)
            total += own.mean((1, 2)).cpu()
    return total


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, and compare with random actions of the same kind on unseen seeds."""
    experiment = prepare(args)
    before = episode_rewards(experiment, args.eval_episodes, args.seed + UNSEEN, trained=False)
    began = time.perf_counter()
    experiment.run()
    seconds = time.perf_counter() - began
    after = episode_rewards(experiment, args.eval_episodes, args.seed + UNSEEN, trained=True)
    steps = experiment.total_frames * experiment.task.world.num_agents
    result = {
        "task": args.task, "algorithm": args.algorithm, "actions": "query" if experiment.continuous_actions else "pick",
        "random": mean_interval(before.numpy()), "trained": mean_interval(after.numpy()), "gain": mean_interval((after - before).numpy()),
        "horizon": experiment.task.world.horizon, "agent_steps": steps, "seconds": seconds, "agent_steps_per_second": steps / seconds,
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()},
        **provenance("baselines.benchmarl"),
    }  # fmt: skip
    (args.out / "result.json").write_text(json.dumps(result, indent=1))
    for name in ("random", "trained", "gain"):
        print(f"{name:8} {result[name][0]:9.3f} ± {result[name][1]:.3f} own reward per agent and episode (95 %, {args.eval_episodes} episodes)")
    print(f"{steps:,} agent-steps in {seconds:.0f} s ({steps / seconds:,.0f}/s); report in {args.out}")
    return result


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    return run(parse(argv))


if __name__ == "__main__":
    main()
