"""The list of reference jobs: each is trained once, what is done stays, and their results become one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from baselines import reference as module
from baselines.__main__ import main
from baselines.algorithms import ALGORITHMS
from baselines.reference import jobs, reference, training_summary
from baselines.train import run_of
from recsys_env import TASKS

TINY: dict[str, Any] = {
    "timesteps": 64,
    "num_envs": 2,
    "n_steps": 16,
    "batch_size": 32,
    "eval_episodes": 2,
    "device": "cpu",
    "references": (),
}


def test_the_list_holds_what_the_protocol_asks_for() -> None:
    found = jobs()
    assert sum(name.startswith("ippo-") and name.rsplit("-", 3)[0] == "ippo" for name in found) == 5 * len(TASKS)
    assert {settings.algorithm for settings in found.values()} == set(ALGORITHMS)
    for algorithm in ALGORITHMS:
        tasks = {settings.task for settings in found.values() if settings.algorithm == algorithm}
        assert {"duel-v0", "journey-v0"} - tasks <= (
            {"duel-v0"} if algorithm == "item-ppo" else set()
        )  # which picks candidates
        assert len(tasks) >= 4
    for name, settings in found.items():
        assert run_of(settings, ALGORITHMS[settings.algorithm]).seed == int(name.rsplit("-", 1)[1])
    seeds = [settings.seed for settings in found.values()]
    assert seeds == sorted(seeds)  # an unfinished list has every learner


def test_jobs_run_once_and_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learners = {
        "tiny": ("ippo", ("duel-v0",), 2, {**TINY, "references": ("random",), "set": ("horizon=20",)}),
        "absent": ("vdn", ("duel-v0",), 1, {"timesteps": 64}),
    }  # fmt: skip
    monkeypatch.setattr(module, "LEARNERS", learners)
    monkeypatch.setitem(
        ALGORITHMS, "vdn", ALGORITHMS["vdn"].__class__(**{**vars(ALGORITHMS["vdn"]), "library": "no_such_library"})
    )
    stored = tmp_path / "results"
    reference(tmp_path / "out", stored)
    assert "1 jobs wait for no_such_library" in capsys.readouterr().out
    before = {path: path.read_text() for path in stored.iterdir()}
    assert {path.name for path in before} == {"tiny-duel-v0-0.json", "tiny-duel-v0-1.json"}
    reference(tmp_path / "out", stored)
    assert {path: path.read_text() for path in stored.iterdir()} == before
    learners["tiny"][3]["timesteps"] = 128
    with pytest.raises(SystemExit, match="2"):
        reference(tmp_path / "out", stored)
    assert "tiny-duel-v0-0.json is the result of `python -m baselines.train ippo" in capsys.readouterr().err
    row = training_summary(stored)["learners"]["tiny"]["tasks"]["duel-v0"]
    runs = [json.loads((stored / f"tiny-duel-v0-{seed}.json").read_text()) for seed in range(2)]
    assert np.array(row["curve"]["episode_reward"]).shape == (2, len(row["curve"]["agent_steps"]))
    assert row["reward"]["mean"] == pytest.approx(sum(run["after"]["mean"] for run in runs) / 2)
    assert row["score"]["ci95"] > 0
    low, high = (json.loads(module.TENSION.read_text())["tasks"]["duel-v0"][key]["mean"] for key in "PR")
    assert row["dilemma"]["mean"] == pytest.approx((row["reward"]["mean"] - low) / (high - low))


def test_what_is_stored_is_the_sum_of_the_jobs() -> None:
    """The summary that the README is written from holds every job's result, and nothing else; each was trained by the
    command of its name."""
    stored = json.loads((module.RESULTS.parent / "training.json").read_text())
    assert stored == json.loads(json.dumps(training_summary(module.RESULTS)))
    wanted = jobs()
    assert {path.stem for path in module.RESULTS.iterdir()} <= set(wanted)
    assert all(
        json.loads(path.read_text())["command"] == module.command_of(wanted[path.stem])
        for path in module.RESULTS.iterdir()
    )


def test_a_reference_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the same episodes, so that an unchanged policy earns the same; the trained one and its training stay as they
    are."""
    monkeypatch.setattr(
        module,
        "LEARNERS",
        {"tiny": ("ippo", ("duel-v0",), 1, {**TINY, "references": ("random", "content"), "set": ("horizon=20",)})},
    )
    reference(tmp_path / "out", tmp_path / "results")
    file = tmp_path / "results" / "tiny-duel-v0-0.json"
    trained = json.loads(file.read_text())

    def changed(policy: str) -> None:
        file.write_text(
            json.dumps({**trained, "table": {**trained["table"], policy: {**trained["table"][policy], "mean": -1.0}}})
        )

    changed("content")
    for nothing in ({"tasks": ("news-v0",), "again": ("content",)}, {"again": ("contend",)}):
        with pytest.raises(SystemExit, match="2"):
            reference(results=tmp_path / "results", **nothing)
        assert f"no result in {tmp_path / 'results'} compares with {nothing['again'][0]}" in capsys.readouterr().err
    assert json.loads(file.read_text())["table"]["content"]["mean"] == -1
    reference(results=tmp_path / "results", again=("content",))
    again = json.loads(file.read_text())
    assert set(again.pop("measured_again")) == {"content"}
    assert again == trained
    changed("greedy")
    with pytest.raises(SystemExit, match="2"):
        reference(results=tmp_path / "results", again=("content",))
    assert "greedy earns something else than in" in capsys.readouterr().err
    reference(results=tmp_path / "results", again=("greedy",))  # an end of the scale: all scores move with it
    again = json.loads(file.read_text())
    again.pop("measured_again")
    for policy, row in again["table"].items():
        assert row["mean"] == trained["table"][policy]["mean"]
        assert row["score"] == pytest.approx(trained["table"][policy]["score"])
        assert (row["score_ci95"] is None) == (policy not in ("greedy", "planner"))


def test_a_job_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LEARNERS", {"wrong": ("ippo", ("duel-v0",), 1, {**TINY, "set": ("horizn=3",)})})
    with pytest.raises(SystemExit, match="2"):
        reference(tmp_path, tmp_path / "results")
    assert "1 jobs failed" in capsys.readouterr().err
    assert "did you mean 'horizon'" in (tmp_path / "wrong-duel-v0-0" / "log.txt").read_text()


def test_an_unknown_learner_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reference", "--only", "ipo"])
    assert "did you mean 'ippo'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["reference", "--workers", "0"])
    assert "--workers = 0 must be at least 1" in capsys.readouterr().err
