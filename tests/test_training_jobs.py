"""The list of reference jobs: each is trained once, what is done stays, and their results become one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import examples
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from baselines import reference as module
from baselines.__main__ import main
from baselines.algorithms import ALGORITHMS
from baselines.benchmarl import VDN
from baselines.reference import ReferenceLearner, jobs, reference, training_summary
from baselines.training import begin
from baselines.training_results import RESULTS, read, read_folder
from recsys_env import TASKS
from recsys_env.files import FileError

TINY: dict[str, Any] = {
    "timesteps": 64,
    "num_envs": 2,
    "n_steps": 16,
    "batch_size": 32,
    "eval_episodes": 2,
    "device": "cpu",
    "set": ("horizon=20",),
}


def tiny(monkeypatch: pytest.MonkeyPatch, seeds: int = 1, **settings: Any) -> dict[str, ReferenceLearner]:
    """A list of one small learner, which may be changed."""
    learners = {"tiny": ReferenceLearner("ippo", ("duel-v1",), seeds, {**TINY, "compare": ("random",), **settings})}
    monkeypatch.setattr(module, "LEARNERS", learners)
    return learners


def test_the_list_holds_what_the_protocol_asks_for() -> None:
    found = jobs()
    assert sum(job.learner == "ippo" for job in found) == 5 * len(TASKS)
    assert {job.algorithm.name for job in found} == set(ALGORITHMS)
    for algorithm in ALGORITHMS:
        tasks = {job.algorithm.task for job in found if job.algorithm.name == algorithm}
        picks = {"duel-v1"} if algorithm == "item-ppo" else set()  # which picks candidates
        assert {"duel-v1", "journey-v1"} - tasks <= picks
        assert len(tasks) >= 4
    for job in found:
        assert begin(job.algorithm).learners == list(TASKS[job.algorithm.task].agents)  # everybody learns
    seeds = [job.algorithm.seed for job in found]
    assert seeds == sorted(seeds)  # an unfinished list has every learner


def test_jobs_run_once_and_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learners = tiny(monkeypatch, seeds=2)
    learners["absent"] = ReferenceLearner("vdn", ("duel-v1",), 1, {"timesteps": 64})
    monkeypatch.setattr(VDN, "library", "no_such_library")
    stored = tmp_path / "results"
    reference(tmp_path / "out", stored)
    assert "1 jobs wait for no_such_library" in capsys.readouterr().out
    file = stored / "tiny-duel-v1.json"
    before = {path: path.read_text() for path in stored.iterdir()}
    assert set(before) == {file}
    results = read(file)
    assert results.settings == learners["tiny"].job("duel-v1").settings()
    assert results.seeds() == [0, 1]
    assert len(results.sources) == 1
    assert results.runs[1]["command"].startswith(
        "python -m baselines train ippo --task duel-v1 --set horizon=20 --seed 1"
    )
    for run in results.runs:
        folder = tmp_path / "out" / f"tiny-duel-v1-{run['seed']}"
        whole = json.loads((folder / "result.json").read_text())
        assert {name: run[name] for name in ("table", "before", "after", "gain")} == {
            name: whole[name] for name in ("table", "before", "after", "gain")
        }
        curve = json.loads((folder / "curve.json").read_text())
        np.testing.assert_allclose(
            run["curve"]["episode_reward"], [point["episode_reward"] for point in curve], rtol=5e-5
        )
    reference(tmp_path / "out", stored)
    assert {path: path.read_text() for path in stored.iterdir()} == before
    row = training_summary(stored)["learners"]["tiny"]["tasks"]["duel-v1"]
    assert np.array(row["curve"]["episode_reward"]).shape == (2, len(row["curve"]["agent_steps"]))
    assert row["reward"]["mean"] == pytest.approx(sum(run["after"]["mean"] for run in results.runs) / 2)
    assert row["runs"]["trained"] == [run["after"]["mean"] for run in results.runs]


def test_a_job_is_known_by_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renamed file is still the result of its job; another setting makes another job; a seed is added to the file."""
    learners = tiny(monkeypatch)
    out, stored = tmp_path / "out", tmp_path / "results"
    reference(out, stored)
    renamed = (stored / "tiny-duel-v1.json").rename(stored / "an-older-name.json")
    before = renamed.read_text()
    reference(out, stored)
    assert {path: path.read_text() for path in stored.iterdir()} == {renamed: before}
    learners["tiny"] = ReferenceLearner("ippo", ("duel-v1",), 2, learners["tiny"].settings)
    reference(out, stored)
    assert list(stored.iterdir()) == [renamed]
    assert read(renamed).seeds() == [0, 1]
    assert read(renamed).runs[0] == json.loads(before)["runs"][0]
    older = json.loads(renamed.read_text())
    del older["settings"]["gae_lambda"]  # an option that came later, with its default
    renamed.write_text(json.dumps(older))
    reference(out, stored)
    assert json.loads(renamed.read_text()) == older
    renamed.rename(stored / "tiny-duel-v1.json")
    learners["tiny"] = ReferenceLearner("ippo", ("duel-v1",), 1, {**learners["tiny"].settings, "timesteps": 128})
    with pytest.raises(ValueError, match=r"duel-v1\.json has results of other settings: timesteps = 64, not 128"):
        reference(out, stored)


def test_what_is_stored_are_the_jobs() -> None:
    """Every file has the settings of the job of its name; what is not there has not been trained yet."""
    stored = {results.path.name: results for results in read_folder(RESULTS)}
    wanted = jobs()
    assert set(stored) <= {job.file_name for job in wanted}
    for job in wanted:
        if job.file_name in stored:
            assert stored[job.file_name].settings == job.algorithm.settings()
            assert stored[job.file_name].learner == job.learner
    learners = training_summary()["learners"]
    assert {f"{name}-{task}.json" for name, row in learners.items() for task in row["tasks"]} == set(stored)


def test_damaged_results_are_refused(tmp_path: Path) -> None:
    file = examples.write_training(tmp_path)
    whole = json.loads(file.read_text())
    for said, changes in (
        ("seed 0 has no curve or no score", {"curve": {"agent_steps": [], "episode_reward": []}}),
        ("seed 0 has no curve or no score", {"curve": {"agent_steps": [1, 2], "episode_reward": [1.0]}}),
        ("seed 0 has no curve or no score", {"table": {}}),
        ("it does not say where seed 0 comes from", {"source": 9}),
        ("a seed is there twice", {"seed": 1}),
        (r"runs\[0\].before must be an object", {"before": 3}),
    ):
        file.write_text(json.dumps({**whole, "runs": [{**whole["runs"][0], **changes}, *whole["runs"][1:]]}))
        with pytest.raises(FileError, match=said):
            training_summary(tmp_path)


def test_a_policy_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same episodes, so that an unchanged policy earns the same; the trained one and its training stay as they
    are."""
    ends = ("scale_zero=random", "scale_hundred=greedy")
    tiny(monkeypatch, compare=("random", "content"), set=("horizon=20", *ends))
    results = tmp_path / "results"
    reference(tmp_path / "out", results)
    file = results / "tiny-duel-v1.json"
    trained = json.loads(file.read_text())

    def changed(policy: str) -> None:
        spoilt = json.loads(json.dumps(trained))
        spoilt["runs"][0]["table"][policy]["mean"] = -1.0
        file.write_text(json.dumps(spoilt))

    def once_more() -> dict[str, Any]:
        return json.loads(file.read_text())["runs"][0]  # type: ignore[no-any-return]

    changed("content")
    with pytest.raises(ValueError, match=f"no result in {results} compares with contend"):
        reference(results=results, again=("contend",))
    assert once_more()["table"]["content"]["mean"] == -1
    reference(results=results, again=("content",))
    again = once_more()
    assert set(again.pop("measured_again")) == {"content"}
    assert again == trained["runs"][0]
    changed("greedy")
    with pytest.raises(ValueError, match="greedy earns something else than it did on duel-v1"):
        reference(results=results, again=("content",))
    reference(results=results, again=("greedy",))  # an end of the scale: all scores move with it
    again = once_more()
    again.pop("measured_again")
    for policy, row in again["table"].items():
        was = trained["runs"][0]["table"][policy]
        assert row["mean"] == was["mean"]
        assert row["score"] == pytest.approx(was["score"])
        assert (row["score_ci95"] is None) == (policy not in ("random", "greedy"))


def test_a_job_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny(monkeypatch, set=("horizn=3",))
    with pytest.raises(ValueError, match=r"1 jobs failed, see log\.txt in .*tiny-duel-v1-0"):
        reference(tmp_path, tmp_path / "results")
    assert "did you mean 'horizon'" in (tmp_path / "tiny-duel-v1-0" / "log.txt").read_text()


def test_an_unknown_learner_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reference", "--only", "ipo"])
    assert "did you mean 'ippo'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["reference", "--workers", "0"])
    assert "--workers = 0 must be at least 1" in capsys.readouterr().err
