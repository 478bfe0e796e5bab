"""Learners of the finite games, placed in the exact game."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("quantecon")

import torch

from baselines.reference import jobs
from benchmarks.studies import distances
from recsys_env import vector_env
from recsys_env.trained import page_policies, pages


def test_a_trained_policy_is_placed_in_the_exact_game(tmp_path: Path) -> None:
    """A network that always shows the hook is the bad equilibrium of the duel."""
    job = next(job for job in jobs(("ppo-torch",), ("duel-v1",)) if job.algorithm.seed == 3)
    envs = vector_env(job.algorithm.world(), 2)
    network = pages.PageNetwork(pages.layout_of(envs))
    with torch.no_grad():
        network.body[-1].bias.copy_(torch.tensor([0.0, 5.0]))
    folder = tmp_path / job.name
    folder.mkdir()
    page_policies.save(folder, envs, {pages.SHARED: network})
    assert distances.trained("duel-v1", tmp_path) == []  # not trained to its end
    (folder / "result.json").write_text("{}")
    there = distances.trained("duel-v1", tmp_path)
    solved = distances.placed("duel-v1", there, tmp_path)
    run = distances.distances(solved, there)["ppo-torch"][0]
    assert (run["seed"], run["policies"]) == (3, ["YYY", "YYY"])
    assert distances.mean(run) == pytest.approx(0.0663, abs=1e-4)
    assert run["nash_conv"] == pytest.approx(0.0, abs=1e-9)
    named = distances.landmarks(solved)
    assert distances.distances(distances.placed("duel-v1", [], tmp_path), []) == {}
    assert named["equilibrium YYY"]["individual_reward"] == pytest.approx(distances.mean(run))
    assert (
        named["optimum"]["individual_reward"] == named["joint"]["individual_reward"] == pytest.approx(0.2313, abs=1e-4)
    )


def test_what_reacts_to_more_than_the_table_holds_has_no_place() -> None:
    job = next(iter(jobs(("ppo-torch",), ("duel-v1",))))
    rows = [{"name": name, "individual_reward": [0.0], "nash_conv": 0.0, "policies": None} for name in distances.NAMED]
    solved = {"policies": [*rows, {"name": "trained", "missing": "it reacts"}]}
    found = distances.distances(solved, [job])
    assert found == {"ppo-torch": [{"seed": job.algorithm.seed, "missing": "it reacts"}]}
    assert distances.in_table([*found["ppo-torch"], {"seed": 9, "individual_reward": [1.0]}]) == [
        {"seed": 9, "individual_reward": [1.0]}
    ]


def test_seeds_of_an_earlier_run_are_kept() -> None:
    stored = {
        "ppo": [{"seed": 0, "individual_reward": [1.0]}, {"seed": 2, "individual_reward": [2.0]}],
        "other": [{"seed": 0, "individual_reward": [5.0]}],
    }
    found = {"ppo": [{"seed": 1, "individual_reward": [3.0]}, {"seed": 2, "individual_reward": [4.0]}]}
    merged = distances.merged(stored, found)
    assert [(run["seed"], run["individual_reward"]) for run in merged["ppo"]] == [(0, [1.0]), (1, [3.0]), (2, [4.0])]
    assert merged["other"] == stored["other"]


def test_a_folder_without_policies_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["distances", "--folder", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="2"):
        distances.main()
    assert "none holds no trained learner of duel-v1 or pricing-duel-v0" in capsys.readouterr().err
