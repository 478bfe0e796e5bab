"""The main baseline runs end to end, resumes, and learns what is easy to learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO

from baselines.__main__ import main
from baselines.algorithms import IPPO
from baselines.loop import TrainingLoop
from baselines.train import train
from baselines.training import Point
from recsys_env import TASKS, WorldConfig
from recsys_env.config.settings import replace
from recsys_env.config.tasks import _TASKS
from recsys_env.evaluation import episode_returns, mean_interval, normalised_score
from recsys_env.policies import make_policy

SMALL: dict[str, Any] = {
    "num_envs": 4,
    "n_steps": 16,
    "batch_size": 64,
    "n_epochs": 1,
    "eval_episodes": 3,
    "device": "cpu",
}


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> str:
    """A named task with a short horizon."""
    monkeypatch.setitem(_TASKS, "tiny-v0", replace(WorldConfig(), {"horizon": 20, "slots": 2}))
    return "tiny-v0"


def settings(task: str, out: Path, **changes: Any) -> IPPO:
    return IPPO(task, out=out, **{**SMALL, "compare": (), **changes})


def test_command_writes_its_report(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    command = [
        "train",
        "ippo",
        "--task",
        task,
        "--out",
        str(out),
        *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()),
    ]
    main([*command, "--timesteps", "256"])
    said, first = capsys.readouterr().out, json.loads((out / "result.json").read_text())
    assert first["training"]["agent_steps"] == 256
    assert list(first["table"]) == ["random", "blind", "content", "greedy", "planner", "trained"]
    assert all(name in said for name in first["table"])
    assert first["table"]["random"]["score"] == 0
    assert first["table"]["planner"]["score"] == pytest.approx(100)
    assert first["after"]["mean"] == first["table"]["trained"]["mean"]
    assert first["gain"]["mean"] == pytest.approx(first["after"]["mean"] - first["before"]["mean"])
    assert first["seeds"]["evaluation"] != first["seeds"]["training"]
    assert {"torch", "numpy", "python"} <= set(first["versions"])
    assert (out / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_device_that_is_not_there_is_named(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """stable-baselines3 would train on the CPU instead, for hours."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device, said in (
        ("gpu", "device = 'gpu' is not allowed; choose 'auto', 'cpu', 'cuda'"),
        ("cuda", "torch finds no GPU here"),
    ):
        with pytest.raises(ValueError, match=said):
            train(settings(task, tmp_path, device=device))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("timesteps", [64, 300])
def test_every_rollout_is_learned_from_at_a_rate_above_zero(
    timesteps: int, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the steps are fewer than a rollout, or no multiple of it. The rate falls from rollout to rollout."""
    rates, learn = [], PPO.train

    def watched(model: PPO) -> None:
        learn(model)
        rates.append(model.policy.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(PPO, "train", watched)
    run = settings(task, tmp_path, timesteps=timesteps, eval_episodes=2)
    train(run)
    rollout = run.n_steps * run.num_envs * TASKS[task].num_agents
    begun = np.arange(len(rates)) * rollout
    assert len(rates) == -(-timesteps // rollout)
    np.testing.assert_allclose(rates, run.learning_rate * (1 - begun / timesteps), rtol=1e-9)


def test_a_rollout_is_reported_after_the_policy_has_learned_from_it(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations and checkpoints belong to the agent-steps that they are stored with."""
    order, learn, report = list[str](), PPO.train, TrainingLoop._rollout_ended

    def learned(model: PPO) -> None:
        learn(model)
        order.append("learned")

    def reported(loop: TrainingLoop, point: Point) -> None:
        report(loop, point)
        order.append("reported")

    monkeypatch.setattr(PPO, "train", learned)
    monkeypatch.setattr(TrainingLoop, "_rollout_ended", reported)
    train(settings(task, tmp_path, timesteps=3 * 16 * 4 * TASKS[task].num_agents, eval_episodes=2))
    assert order == 3 * ["learned", "reported"]


@pytest.mark.parametrize("changes", ["action=items", "action=query", "messages=3", "slots=1", "mask_actions=True"])
def test_other_actions(task: str, changes: str, tmp_path: Path) -> None:
    result = train(settings(task, tmp_path, timesteps=128, set=(changes,), eval_episodes=2))
    assert len(json.loads((tmp_path / "curve.json").read_text())) == 1
    config = replace(
        TASKS[task],
        {
            changes.split("=")[0]: {"items": "items", "query": "query", "3": 3, "1": 1, "True": True}[
                changes.split("=")[1]
            ]
        },
    )
    again = episode_returns(
        config, {agent: make_policy(str(tmp_path)) for agent in config.agents}, 20, result["seeds"]["evaluation"]
    )
    assert result["after"]["mean"] == pytest.approx(again.mean())


# ------------------------------------------------------------------------------------------------ scores


def test_returns_are_own_rewards_of_each_agent_on_common_visitors() -> None:
    config = replace(WorldConfig(), {"horizon": 30})
    shared = replace(config, {"reward": {"sharing": 1.0}})
    selfish = episode_returns(config, "random", 5, seed=3)
    assert selfish.shape == (5, 2)
    np.testing.assert_array_equal(selfish, episode_returns(shared, "random", 5, seed=3))
    np.testing.assert_array_equal(
        selfish, episode_returns(config, {agent: "random" for agent in config.agents}, 5, seed=3)
    )
    assert not np.array_equal(selfish, episode_returns(config, "random", 5, seed=4))


@pytest.mark.parametrize("count", [5, 20, 200])
def test_interval_is_students(count: int) -> None:
    from scipy import stats

    sample = np.random.default_rng(0).normal(3, 2, count)
    mean, width = mean_interval(sample)
    low, high = stats.t.interval(0.95, count - 1, sample.mean(), sample.std(ddof=1) / count**0.5)
    assert (mean - width, mean + width) == pytest.approx((low, high), rel=3e-3)


def test_normalised_score() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(1, 0.1, 100), rng.normal(3, 0.1, 100)
    assert normalised_score(low, low, high)[0] == pytest.approx(0)
    assert normalised_score(high, low, high) == (pytest.approx(100), pytest.approx(0, abs=1e-9))
    score, width = normalised_score(rng.normal(2, 0.1, 100), low, high)
    assert abs(score - 50) < 2 * width < 5
    assert np.isnan(normalised_score(low, high, low)[0])
