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

import trained_learners

from baselines import reference as module
from baselines.__main__ import main
from baselines.algorithms import ALGORITHMS, QMIX
from baselines.learners import LEARNERS, ReferenceLearner
from baselines.options import run_name
from baselines.reference import jobs, reference, training_summary
from baselines.training import begin
from baselines.training_results import _OF_RUN, RESULTS, marl_eval, read, read_folder
from recsys_env import cli
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
    """A list of one small learner with so many seeds, which may be changed."""
    learners = {"tiny": ReferenceLearner("tiny", "ippo", ("duel-v1",), {**TINY, **settings})}
    monkeypatch.setattr(module, "LEARNERS", learners)
    monkeypatch.setattr(ReferenceLearner, "seeds", lambda learner, task: range(seeds))
    monkeypatch.setattr(ReferenceLearner, "job", untuned)
    return learners


def untuned(learner: ReferenceLearner, task: str, seed: int = 0) -> Any:
    return learner.training(task, seed=seed)


def test_the_list_is_fair() -> None:
    """One budget for all algorithms, the same observations and world for all, as many seeds as the protocol asks for,
    and settings that do not depend on the task but by the sweeps."""
    found = jobs()
    large = {job.algorithm.timesteps for job in found if job.learner.startswith("generative")}
    assert large == {600_000}  # whose network takes thirty times as long
    for job in found:  # in ticks, and where many agents learn, in agent-steps
        if not job.learner.startswith("generative"):
            ticks = 500_000 if job.learner.endswith("-short") else 1_000_000
            assert job.algorithm.timesteps == min(ticks * cli.config_of(job.task).num_agents, 4_000_000)
    places = {(job.learner, job.task) for job in found}
    many = ("coverage-v0", "duel-v1", "pricing-duel-v0", "social-v1", "market-v0")
    for learner, task in places:
        of = [job.algorithm for job in found if (job.learner, job.task) == (learner, task)]
        variant = LEARNERS[learner].like is not None and not learner.endswith("-short")
        assert [algorithm.seed for algorithm in of] == list(range(10 if task in many and not variant else 5))
    for job in found:
        training = begin(job.algorithm)
        task = cli.config_of(job.task)
        assert training.learners == list(task.agents)  # everybody learns
        assert training.config.observability == task.observability
        assert (job.algorithm.evaluations, job.algorithm.eval_episodes) == (10, 32)
        fields = set(job.task.split(",")[1:])
        assert set(job.algorithm.set) - fields <= {"messages=0"}  # what is asked about messages


def test_what_a_learner_is_given_follows_from_its_options() -> None:
    given = {name: learner.job(learner.tasks[0]).given() for name, learner in LEARNERS.items()}
    user_slot, network = "the user slot of each page", "one network for all learners"
    assert given["ppo-torch"] == given["iql-torch"] == (user_slot, network)
    assert given["mappo-torch"] == (user_slot, network, "the global state, for the critic")
    assert given["ippo"] == (network,)
    assert given["q-table-0.99"] == ("the state of the exact game",)
    assert "messages" in given["vdn-torch"]  # of coverage-v0
    assert "messages" not in given["ppo-torch-silent"]
    assert ALGORITHMS["ppo-torch"]("duel-v1", separate=True, credit="ticks").given() == ()


def test_variants_differ_in_their_own_settings_alone() -> None:
    """What the cards compare: the same learner with and without foresight, memory, messages, or with half the steps."""
    for learner in LEARNERS.values():
        if learner.like is None:
            continue
        like = LEARNERS[learner.like]
        assert set(learner.tasks) <= set(like.tasks)
        changed = {name for name, value in learner.settings.items() if like.settings.get(name) != value}
        changed |= {"timesteps"} if learner.ticks != like.ticks else set()
        for task in learner.tasks:
            one, other = (vars(each.job(task)) for each in (learner, like))
            assert {name for name, value in one.items() if value != other[name]} == changed


def test_jobs_run_once_and_are_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learners = tiny(monkeypatch, seeds=2)
    learners["absent"] = ReferenceLearner("absent", "qmix", ("duel-v1",), {"timesteps": 64})
    monkeypatch.setattr(QMIX, "library", "no_such_library")
    out, stored = tmp_path / "out", tmp_path / "results"
    reference(out, stored)
    assert "2 jobs wait for no_such_library" in capsys.readouterr().out
    file = stored / "tiny-duel-v1.json"
    before = {path: path.read_text() for path in stored.iterdir()}
    assert set(before) == {file}
    results = read(file)
    assert results.settings == learners["tiny"].job("duel-v1").settings()
    assert results.seeds() == [0, 1]
    assert len(results.sources) == 1
    for run in results.runs:
        whole = json.loads((out / f"tiny-duel-v1-{run['seed']}" / "result.json").read_text())
        assert {name: run[name] for name in _OF_RUN} == {name: whole[name] for name in _OF_RUN}
        np.testing.assert_allclose(run["absolute"], whole["absolute"], rtol=5e-5)
        own = [point["individual_reward"] for point in whole["evaluations"]]
        np.testing.assert_allclose(run["evaluations"]["individual_reward"], own, rtol=5e-5)
    reference(out, stored)
    assert {path: path.read_text() for path in stored.iterdir()} == before
    row = training_summary(stored)["learners"]["tiny"]["tasks"]["duel-v1"]
    assert np.array(row["curve"]["episode_reward"]).shape == (2, len(row["curve"]["agent_steps"]))
    assert row["reward"]["mean"] == pytest.approx(sum(run["after"]["mean"] for run in results.runs) / 2)
    for name, key in (("trained", "after"), ("last", "last"), ("untrained", "before")):
        assert row["runs"][name] == [run[key]["mean"] for run in results.runs]
    assert (row["kept"], row["runs"]["last"]) == ("last", row["runs"]["trained"])  # each is paid for itself
    assert row["core_hours"] == pytest.approx(sum(run["processor_seconds"] for run in results.runs) / 3600)

    ran = trained_learners.in_this_process(monkeypatch)
    file.unlink()
    reference(out, stored)  # the trained folders are there, and are taken in
    assert ran == []
    assert {path: path.read_text() for path in stored.iterdir()} == before
    monkeypatch.setattr(ReferenceLearner, "seeds", lambda learner, task: range(3))
    reference(out, stored)
    assert ran == ["tiny-duel-v1-2"]
    assert read(file).seeds() == [0, 1, 2]
    older = json.loads(file.read_text())
    del older["settings"]["gae_lambda"]  # an option that came later, with its default
    file.write_text(json.dumps(older))
    reference(out, stored)
    assert json.loads(file.read_text()) == older
    learners["tiny"] = ReferenceLearner("tiny", "ippo", ("duel-v1",), {**TINY, "timesteps": 128})
    with pytest.raises(ValueError, match=r"duel-v1\.json has results of other settings: timesteps = 64, not 128"):
        reference(out, stored)


def test_what_is_stored_are_the_jobs() -> None:
    """Every file has the settings of the job of its name; what is not there has not been trained yet."""
    stored = {results.path.name: results for results in read_folder(RESULTS)}
    wanted = jobs()
    assert set(stored) <= {job.file_name for job in wanted}
    for job in wanted:
        if job.file_name in stored:
            assert job.algorithm.has_settings(stored[job.file_name].settings)
            assert stored[job.file_name].learner == job.learner
    learners = training_summary()["learners"]
    assert {f"{run_name(name, task)}.json" for name, row in learners.items() for task in row["tasks"]} == set(stored)


def test_damaged_results_are_refused(tmp_path: Path) -> None:
    file = examples.write_training(tmp_path)
    whole = json.loads(file.read_text())
    for said, changes in (
        ("seed 0 has no curve", {"curve": {"agent_steps": [], "episode_reward": []}}),
        ("seed 0 has no evaluations", {"evaluations": {"agent_steps": [1], "seconds": [0.5], "individual_reward": []}}),
        (r"runs\[0\].absolute must be a list", {"absolute": None}),
        ("it does not say where seed 0 comes from", {"source": 9}),
    ):
        file.write_text(json.dumps({**whole, "runs": [{**whole["runs"][0], **changes}, *whole["runs"][1:]]}))
        with pytest.raises(FileError, match=said):
            training_summary(tmp_path)


def test_results_in_the_form_of_marl_eval(tmp_path: Path) -> None:
    """github.com/instadeepai/marl-eval, "Data structure for raw experiment data"; there the same number of runs is
    asked for everywhere, and the absolute metrics to be last."""
    stored = tmp_path / "results"
    for learner in ("ppo-torch", "cma-es"):
        examples.write_training(stored, learner)
    fewer = read(stored / "cma-es-ecommerce-v1.json")
    fewer.runs.pop()
    fewer.write()
    reference(results=stored, marl_eval=tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    run = {
        "step_0": {"step_count": 10_000, "elapsed_time": 5.0, "return": [2.0]},
        "step_1": {"step_count": 20_000, "elapsed_time": 10.0, "return": [1.5]},
        "absolute_metrics": {"return": [1.9, 2.1]},
    }
    assert written == {"recsys": {"ecommerce-v1": {name: {"seed_0": run} for name in ("ppo-torch", "cma-es")}}}
    assert list(written["recsys"]["ecommerce-v1"]["cma-es"]["seed_0"])[-1] == "absolute_metrics"
    reference(results=stored, only=("ppo-torch",), marl_eval=tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert list(written["recsys"]["ecommerce-v1"]["ppo-torch"]) == ["seed_0", "seed_1"]
    with pytest.raises(ValueError, match="0 results of learners have no seed in common"):
        reference(results=stored, only=("qmix",), marl_eval=tmp_path / "out.json")


def test_marl_eval_reads_it(tmp_path: Path) -> None:
    processing = pytest.importorskip("marl_eval.utils.data_processing_utils")
    files = [examples.write_training(tmp_path, learner) for learner in ("ppo-torch", "cma-es")]
    raw = marl_eval(map(read, files))
    processed = processing.data_process_pipeline(raw_data=raw, metrics_to_normalize=["return"])
    runs, curves = processing.create_matrices_for_rliable(processed, "recsys", ["return"])
    for learner in ("ppo-torch", "cma-es"):  # between the lowest and the highest reward of an episode, 1.5 and 3.1
        expected = [[(reward - 1.5) / 1.6] for reward in (2.0, 3.0)]
        np.testing.assert_allclose(runs["mean_norm_return"][learner], expected, atol=1e-5)
        assert curves["mean_norm_return"][learner].shape == (2, 1, 2)


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
