"""Independent PPO with one shared policy over all agents and copies (stable-baselines3).

    python -m baselines.ippo --task grocery-v0
    tensorboard --logdir runs

Writes to --out: model.zip (with reward_scale.pkl), checkpoints on the way, curve.json, learning_curve.png and result.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import TASKS, VectorEnv, WorldConfig
from recsys_env.adapters.sb3 import PageBuffer, SB3Policy, SB3VecEnv, SlatePolicy, slate_kwargs
from recsys_env.metrics import REFERENCES, UNSEEN, scale_ends, score_table
from recsys_env.policies import Policy
from recsys_env.provenance import provenance

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

CHECKPOINT_SECONDS = 60.0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line; defaults are the same for every task and train for four to nine minutes on two cores."""
    parser = argparse.ArgumentParser(prog="python -m baselines.ippo", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--task", default="grocery-v0", choices=sorted(TASKS), metavar="TASK", help=f"one of {', '.join(sorted(TASKS))}")
    parser.add_argument("--timesteps", type=int, default=5_000_000, help="agent-steps in all (default %(default)s)")
    parser.add_argument("--num-envs", type=int, default=256, help="copies of the game (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--out", type=Path, default=None, help="folder of the run (default runs/ippo-TASK-SEED)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out until --timesteps")
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="falls linearly to 0 (default %(default)s)")
    parser.add_argument("--n-steps", type=int, default=128, help="ticks per rollout (default %(default)s)")
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--n-epochs", type=int, default=3)
    parser.add_argument("--gae-lambda", type=float, default=0.95)
    parser.add_argument("--ent-coef", type=float, default=0.0)
    parser.add_argument("--policy", choices=("slate", "mlp"), default="slate", help="slate ranks candidates by one shared network")
    args = parser.parse_args(argv)
    args.out = args.out or Path("runs") / f"ippo-{args.task}-{args.seed}"
    return args


# ------------------------------------------------------------------------------------------------ training


class Monitor(BaseCallback):
    """Progress bar, learning curve (own reward per agent, scaled to an episode) and checkpoints.

    Args:
        out: folder of the run.
        total: agent-steps at the end.
        horizon: ticks per episode.
        curve: points of the run so far.
    """

    def __init__(self, out: Path, total: int, horizon: int, curve: list[dict[str, float]]) -> None:
        super().__init__()
        self._out, self._total, self._horizon = out, total, horizon
        self.curve = curve
        self._own: list[float] = []
        self._saved = self._began = time.perf_counter()
        self.rollout_seconds = 0.0

    def _on_training_start(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=self._total, initial=self.model.num_timesteps, unit="agent-step", unit_scale=True, dynamic_ncols=True)

    def _on_rollout_start(self) -> None:
        self._began = time.perf_counter()

    def _on_step(self) -> bool:
        self._own.append(float(self.training_env.own.mean()))  # type: ignore[attr-defined]
        return True

    def _on_rollout_end(self) -> None:
        now = time.perf_counter()
        self.rollout_seconds += now - self._began
        reward = self._horizon * float(np.mean(self._own))
        self._own.clear()
        self.curve.append({"agent_steps": self.model.num_timesteps, "episode_reward": reward})
        self.logger.record("rollout/own_per_episode", reward)
        self._bar.set_postfix_str(f"reward per episode {reward:.4g}", refresh=False)
        self._bar.update(self.model.num_timesteps - self._bar.n)
        if now - self._saved > CHECKPOINT_SECONDS:
            save(self._out, self.model, self.curve)
            self._saved = now

    def _on_training_end(self) -> None:
        self._bar.close()


def save(out: Path, model: Any, curve: list[dict[str, float]]) -> None:
    """Write everything that `--resume` needs; each file is replaced at once, so that an interrupted run can go on."""
    model.save(out / "new.zip")
    model.get_vec_normalize_env().save(str(out / "new.pkl"))
    (out / "new.json").write_text(json.dumps(curve))
    for new, name in (("new.pkl", "reward_scale.pkl"), ("new.json", "curve.json"), ("new.zip", "model.zip")):
        (out / new).replace(out / name)


def create(args: argparse.Namespace, envs: VectorEnv) -> PPO:
    """A new model; the network is that of `SlatePolicy` where actions are picks of candidates."""
    slate = slate_kwargs(envs) if args.policy == "slate" else None
    scaled = VecNormalize(SB3VecEnv(envs), norm_obs=False, clip_reward=np.inf, gamma=envs.config.discount)
    rate = args.learning_rate
    return PPO(
        "MlpPolicy" if slate is None else SlatePolicy,
        scaled,
        learning_rate=lambda remaining: rate * remaining,
        n_steps=args.n_steps,
        batch_size=args.batch_size,
        n_epochs=args.n_epochs,
        gamma=envs.config.discount,
        gae_lambda=args.gae_lambda,
        ent_coef=args.ent_coef,
        rollout_buffer_class=PageBuffer,
        rollout_buffer_kwargs={"active": envs.observation_fields["is_active"].start},
        policy_kwargs=slate,
        tensorboard_log=str(args.out / "tensorboard") if importlib.util.find_spec("tensorboard") else None,
        seed=args.seed,
        device=args.device,
    )


def resume(args: argparse.Namespace, envs: VectorEnv) -> tuple[PPO, list[dict[str, float]]]:
    """The last checkpoint, on episodes that it has not played yet."""
    if not (args.out / "model.zip").exists():
        raise SystemExit(f"nothing to resume: {args.out} holds no model.zip")
    model = PPO.load(args.out / "model.zip", env=VecNormalize.load(str(args.out / "reward_scale.pkl"), SB3VecEnv(envs)), device=args.device)
    model.set_random_seed(args.seed + model.num_timesteps)
    return model, json.loads((args.out / "curve.json").read_text())


def train(args: argparse.Namespace, config: WorldConfig) -> tuple[PPO, Monitor, dict[str, float]]:
    """Train until `args.timesteps` agent-steps; returns the model, its curve and how fast it went."""
    envs = VectorEnv(config, args.num_envs)
    args.out.mkdir(parents=True, exist_ok=True)
    model, curve = resume(args, envs) if args.resume else (create(args, envs), [])
    monitor = Monitor(args.out, args.timesteps, config.horizon, curve)
    before, began = model.num_timesteps, time.perf_counter()
    if before < args.timesteps:
        model.learn(args.timesteps - before, callback=monitor, reset_num_timesteps=not args.resume, tb_log_name="ppo")
        save(args.out, model, curve)
    seconds = time.perf_counter() - began
    done = model.num_timesteps - before
    speed = {"agent_steps": done, "seconds": seconds, "agent_steps_per_second": done / seconds, "rollout_share": monitor.rollout_seconds / seconds}
    return model, monitor, speed


# ------------------------------------------------------------------------------------------------ report


def evaluate(model: PPO, config: WorldConfig, episodes: int, seed: int) -> dict[str, Any]:
    """The references and the trained policy, which plays its most probable slate: a sampled one explores on purpose and earns less."""
    trained: dict[str, Policy] = {agent: SB3Policy(model, deterministic=True) for agent in config.agents}
    return score_table(config, trained, episodes, seed)


def show(table: dict[str, Any], title: str, ends: tuple[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title)
    for heading in ("policy", "episode reward per agent", "95 %", f"0 = {ends[0]}, 100 = {ends[1]}", "95 %"):
        grid.add_column(heading, justify="left" if heading == "policy" else "right")
    for name, row in table.items():
        grid.add_row(
            name, f"{row['mean']:.2f}", f"± {row['half_width_95']:.2f}", f"{row['score']:.1f}", f"± {row['score_half_width_95']:.1f}",
            style="bold" if name == "trained" else None,
        )  # fmt: skip
    Console().print(grid)


def plot(curve: list[dict[str, float]], table: dict[str, Any], title: str, path: Path) -> None:
    """Learning curve, drawn without a display; the references are horizontal lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([p["agent_steps"] for p in curve], [p["episode_reward"] for p in curve], label="PPO while training (sampled slates)", color="C0")
    for i, name in enumerate(REFERENCES):
        axes.axhline(table[name]["mean"], linestyle="--", linewidth=1, color=f"C{i + 1}", label=name)
    axes.set(title=title, xlabel="agent-steps", ylabel="own reward per agent and episode")
    axes.legend(fontsize="small")
    FigureCanvasAgg(figure).print_png(str(path))


def origin(args: argparse.Namespace, model: PPO) -> dict[str, Any]:
    """What someone needs to repeat the run."""
    return {
        **provenance("baselines.ippo"),
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()},
        "seeds": {"training": args.seed, "evaluation": args.seed + UNSEEN},
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else "cpu",
    }


def run(args: argparse.Namespace, config: WorldConfig) -> dict[str, Any]:
    """Train, evaluate on unseen seeds, and write and show the report."""
    model, monitor, speed = train(args, config)
    began = time.perf_counter()
    table = evaluate(model, config, args.eval_episodes, args.seed + UNSEEN)
    result = {"task": args.task, "table": table, "training": speed, "evaluation_seconds": time.perf_counter() - began, **origin(args, model)}
    (args.out / "result.json").write_text(json.dumps(result, indent=1))
    plot(monitor.curve, table, f"{args.task}: shared PPO", args.out / "learning_curve.png")
    show(table, f"{args.task}, {args.eval_episodes} unseen episodes", scale_ends(config))
    print(f"{speed['agent_steps']:,} agent-steps in {speed['seconds']:.0f} s ({speed['agent_steps_per_second']:,.0f}/s); report in {args.out}")
    return result


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse(argv)
    return run(args, TASKS[args.task])


if __name__ == "__main__":
    main()
