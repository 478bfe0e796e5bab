"""The baseline runs end to end, resumes, and learns what is easy to learn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from baselines import ippo
from recsys_env import TASKS, WorldConfig
from recsys_env.config import replace
from recsys_env.metrics import episode_returns, mean_interval, normalised_score

SMALL = ["--num-envs", "4", "--n-steps", "16", "--batch-size", "64", "--n-epochs", "1", "--eval-episodes", "3", "--device", "cpu"]


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> str:
    """A named task with a short horizon."""
    monkeypatch.setitem(TASKS, "tiny-v0", replace(WorldConfig(), {"horizon": 20, "slots": 2}))
    return "tiny-v0"


def test_command_writes_its_report_and_resumes(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    command = ["--task", task, "--out", str(out), *SMALL]
    first = ippo.main([*command, "--timesteps", "256"])
    assert first["training"]["agent_steps"] == 256
    assert list(first["table"]) == ["random", "popularity", "content", "greedy", "planner", "trained"]
    assert first["table"]["random"]["score"] == 0
    assert first["table"]["greedy"]["score"] == pytest.approx(100)
    assert first["seeds"]["evaluation"] != first["seeds"]["training"]
    assert json.loads((out / "result.json").read_text())["table"] == first["table"]
    assert {"torch", "numpy", "python"} <= set(first["versions"])
    assert (out / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    for name in first["table"]:
        assert name in capsys.readouterr().out or name != "random"
    second = ippo.main([*command, "--timesteps", "512", "--resume"])
    assert second["training"]["agent_steps"] == 256
    steps = [point["agent_steps"] for point in json.loads((out / "curve.json").read_text())]
    assert steps == [128, 256, 384, 512]
    finished = ippo.main([*command, "--timesteps", "512", "--resume"])
    assert finished["training"]["agent_steps"] == 0
    assert finished["table"] == second["table"]


def test_resuming_nothing_says_so(task: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing to resume"):
        ippo.main(["--task", task, "--out", str(tmp_path), "--timesteps", "64", "--resume", *SMALL])


@pytest.mark.parametrize("changes", [{"action": "items"}, {"action": "query"}, {"messages": 3}, {"slots": 1}, {"mask_actions": True}])
def test_other_actions(changes: dict, tmp_path: Path) -> None:
    config = replace(WorldConfig(), {"horizon": 20, "slots": 2, **changes})
    model, monitor, _ = ippo.train(arguments(tmp_path, 128), config)
    assert len(monitor.curve) == 1
    assert set(ippo.evaluate(model, config, 2, 7)) == {"random", "popularity", "content", "trained", "greedy", "planner"}


def test_same_seed_same_model(tmp_path: Path) -> None:
    config = replace(WorldConfig(), {"horizon": 20, "slots": 2})
    curves = [ippo.train(arguments(tmp_path / str(i), 384), config)[1].curve for i in range(2)]
    assert curves[0] == curves[1]


def test_it_learns(tmp_path: Path) -> None:
    """Clicks follow a taste that the profile shows without noise; the trained policy has to find out that it matters."""
    config = replace(WorldConfig(), {"horizon": 60, "slots": 1, "observation": {"profile_noise": 0.0}, "choice": {"beta_taste": 6.0, "v_0": 4.0}})
    settings = ["--num-envs", "64", "--n-steps", "32", "--batch-size", "512", "--n-epochs", "4", "--learning-rate", "0.003", "--device", "cpu"]
    args = ippo.parse(["--out", str(tmp_path), "--timesteps", "100000", *settings])
    model, _, _ = ippo.train(args, config)
    table = ippo.evaluate(model, config, 100, 7)
    assert table["trained"]["score"] - table["trained"]["score_half_width_95"] > 40
    assert table["trained"]["mean"] - table["trained"]["half_width_95"] > table["random"]["mean"] + table["random"]["half_width_95"]


def arguments(out: Path, timesteps: int) -> argparse.Namespace:
    return ippo.parse(["--out", str(out), "--timesteps", str(timesteps), *SMALL])


# ------------------------------------------------------------------------------------------------ scores


def test_returns_are_own_rewards_of_each_agent_on_common_visitors() -> None:
    config = replace(WorldConfig(), {"horizon": 30})
    shared = replace(config, {"reward": {"sharing": 1.0}})
    selfish = episode_returns(config, "random", 5, seed=3)
    assert selfish.shape == (5, 2)
    np.testing.assert_array_equal(selfish, episode_returns(shared, "random", 5, seed=3))
    np.testing.assert_array_equal(selfish, episode_returns(config, {agent: "random" for agent in config.agents}, 5, seed=3))
    assert not np.array_equal(selfish, episode_returns(config, "random", 5, seed=4))


def test_returns_reject_a_wrong_team() -> None:
    config = replace(WorldConfig(), {"horizon": 5})
    with pytest.raises(ValueError, match="expected one for each"):
        episode_returns(config, {"recommender_0": "random"}, 2, seed=0)
    from recsys_env.policies import make_policy

    one = make_policy("random")
    with pytest.raises(ValueError, match="its own"):
        episode_returns(config, {agent: one for agent in config.agents}, 2, seed=0)


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
