"""Trained seeds in scenarios, with each other and with scripted partners, and against best responses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("rich")

import trained_learners

from baselines import robustness as module
from baselines.__main__ import main
from baselines.reference import jobs
from baselines.robustness import across_seeds, groups, read, robustness
from recsys_env import SCENARIOS, cli
from recsys_env.evaluation import UNSEEN, episode_returns, mean_interval
from recsys_env.evaluation.tuning import Budget
from recsys_env.exact import regrets, tabulate
from recsys_env.exact.policy_tables import played
from recsys_env.files import read_json, write_json

TASK = "duel-v1,horizon=20"
PLAYED = ("duel-v1/content", "social-v1/learned-team")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with policies/, results/ and robustness/ of two small learners."""
    folder = trained_learners.train_small(tmp_path_factory.mktemp("trained"), seeds=2)
    with pytest.MonkeyPatch.context() as patch:
        measure(folder, patch)
    return folder


def measure(folder: Path, patch: pytest.MonkeyPatch, seeds: int = 2, **options: Any) -> list[str]:
    """Run the command; the trainings of responses."""
    trained_learners.small_learners(patch, seeds)
    patch.setattr(module, "SEARCH", Budget(population=4, episodes=1, generations=1, searches=1))
    patch.setattr(module, "GAIN_EPISODES", 4)
    patch.setattr(module, "SCENARIOS", {name: SCENARIOS[name] for name in PLAYED})
    ran = trained_learners.in_this_process(patch)
    out = folder / "out", folder / "robustness"
    robustness(folder / "policies", *out, workers=1, episodes=2, timesteps=128, **options)
    return ran


@pytest.fixture
def again(measured: Path, tmp_path: Path) -> Path:
    """A copy in which a test may change something."""
    return Path(shutil.copytree(measured, tmp_path / "again"))


def test_the_table_is_measured_exactly(measured: Path) -> None:
    """Its rewards are those of the episodes that it plays, and its gain is the exact regret."""
    found = read(measured / "robustness" / "table-duel-v1.json")
    folders = [str(measured / "policies" / f"table-duel-v1-{seed}") for seed in range(2)]
    config = cli.config_of(TASK)
    game = tabulate(config)
    for seed, folder in enumerate(folders):
        row = found["exploitability"]["seeds"][str(seed)]
        gains = [row["agents"][agent]["gain"]["mean"] for agent in config.agents]
        np.testing.assert_allclose(gains, 20 * regrets(game, played(game, config, folder)), atol=1e-8)
        assert row["exact"]
        assert min(gains) >= 0
    play = found["cross_play"]
    for i, one in enumerate(folders):
        for j, other in enumerate(folders):
            teams = ((0, {"recommender_0": one, "recommender_1": other}), (1, (other, one)))
            own = [episode_returns(config, team, 2, UNSEEN + i)[:, seat].mean() for seat, team in teams]
            assert play["payoffs"][i][j] == pytest.approx(np.mean(own), abs=1e-4)
    assert {"content", "greedy", "joint"} <= play["partners"].keys()
    for partner, earned in play["partners"].items():
        own = [episode_returns(config, (one, partner), 2, UNSEEN + i)[:, 0].mean() for i, one in enumerate(folders)]
        own += [episode_returns(config, (partner, one), 2, UNSEEN + i)[:, 1].mean() for i, one in enumerate(folders)]
        assert earned["mean"] == pytest.approx(np.mean(own), abs=1e-4)
    scenario = found["scenarios"]["found"]["duel-v1/content"]
    own = [
        episode_returns(config, {"recommender_0": folder, "recommender_1": "content"}, 2, UNSEEN + seed)[:, 0].mean()
        for seed, folder in enumerate(folders)
    ]
    assert scenario["runs"] == pytest.approx(own, abs=1e-4)
    assert next(iter(scenario["ends"])) == "random"


def test_a_response_is_trained_against_each_seed_of_a_network(measured: Path) -> None:
    found = read(measured / "robustness" / "network-social-v1.json")
    rows = found["exploitability"]["seeds"]
    assert list(rows) == ["0", "1"]
    for seed, row in rows.items():
        assert list(row["agents"]) == ["recommender_0"]  # one of the role
        assert not row["exact"]
        (folder,) = (measured / "out" / "responses").glob(f"network-social-v1-{seed}-recommender_0-*")
        result = read_json(folder / "result.json")
        assert result["background"] == {"recommender_1": str(measured / "policies" / f"network-social-v1-{seed}")}
        assert result["learners"] == ["recommender_0"]
        assert result["settings"]["timesteps"] == 128
    assert list(found["scenarios"]["found"]) == ["social-v1/learned-team"]


@pytest.mark.slow
def test_what_is_stored_is_not_measured_again(again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that have changed and further seeds are measured."""
    before = {path: path.read_text() for path in (again / "robustness").iterdir()}
    # the folders have moved with the copy, but what is in them is the same
    assert measure(again, monkeypatch) == []
    assert {path: path.read_text() for path in (again / "robustness").iterdir()} == before
    shutil.copytree(again / "policies" / "network-social-v1-0", again / "policies" / "network-social-v1-2")
    ran = measure(again, monkeypatch, seeds=3, only=("network",))
    assert any(name.startswith("network-social-v1-2-recommender_0") for name in ran)
    found = read(again / "robustness" / "network-social-v1.json")
    assert list(found["exploitability"]["seeds"]) == ["0", "1", "2"]
    payoffs = np.array(found["cross_play"]["payoffs"])
    assert payoffs.shape == (3, 3)
    assert payoffs[0, 0] == payoffs[0, 2]  # the same policy on the same episodes
    assert measure(again, monkeypatch, seeds=3, only=("network",)) == []


def test_seeds_that_add_up_have_the_interval_of_twice_their_mean() -> None:
    """If a pair earns a_i + a_j, the mean over pairs is twice the mean of a, and so is its interval; mixing costs
    nothing."""
    a = np.array([1.0, 2.0, 4.0, 4.5])
    found = across_seeds(a[:, None] + a)
    mean, width = mean_interval(2 * a)
    for kind in ("self_play", "cross_play"):
        assert found[kind]["mean"] == pytest.approx(mean)
        assert found[kind]["ci95"] == pytest.approx(width)
    assert found["gap"]["mean"] == pytest.approx(0.0, abs=1e-12)
    assert found["gap"]["ci95"] == pytest.approx(0.0, abs=1e-12)
    apart = across_seeds(np.eye(4))
    assert apart["gap"] == {"mean": pytest.approx(1.0), "ci95": pytest.approx(0.0)}
    assert across_seeds(np.eye(2))["cross_play"] == {"mean": 0.0, "ci95": None}
    assert across_seeds(np.eye(1)) == {"self_play": {"mean": 1.0, "ci95": None}, "cross_play": None, "gap": None}


def test_what_was_not_trained_is_no_seed(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished run, or one of other settings."""
    trained_learners.small_learners(monkeypatch)
    policies = Path(shutil.copytree(measured / "policies", tmp_path / "policies"))
    (policies / "table-duel-v1-0" / "result.json").unlink()
    result = policies / "network-social-v1-1" / "result.json"
    held = read_json(result)
    write_json(result, {**held, "settings": {**held["settings"], "timesteps": 63}})
    found = {each.learner: list(each.folders) for each in groups(jobs((), ("duel-v1", "social-v1")), policies)}
    assert found == {"table": [1], "network": [0]}


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--runs", str(tmp_path / "nothing")], "holds no trained policy of these learners"),
        (["--only", "ipo"], "did you mean 'ippo'"),
        (["--tasks", "dul-v1"], "did you mean 'duel-v1'"),
        (["--episodes", "0"], "--episodes = 0 must be at least 1"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["robustness", *words])
        assert said in capsys.readouterr().err
