"""Stored results become tables and plots, and the README holds what the script makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rliable")

from baselines.report import RESULTS, learning_curves, plot, write_readme
from benchmarks import readme
from recsys_env import WorldConfig
from recsys_env.evaluation import statistics as scores
from recsys_env.evaluation.evaluate import evaluate
from recsys_env.evaluation.tables import brief, spread
from recsys_env.evaluation.tournament import tournament
from recsys_env.tasks import _TASKS

TINY = WorldConfig(
    num_agents=2,
    slots=2,
    horizon=20,
    users={"number": 3},
    candidates={"number": 6},
    items={"number": 20, "dims": 4, "topics": 4},
)


def write_run(folder: Path, points: list[tuple[int, float]]) -> Path:
    folder.mkdir()
    (folder / "curve.json").write_text(
        json.dumps([{"agent_steps": steps, "episode_reward": reward} for steps, reward in points])
    )
    return folder


def test_learning_curves_are_grouped_by_learner_and_brought_to_common_steps(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "ippo-duel-v0-0", [(100, 0.0), (300, 2.0)]), write_run(tmp_path / "ippo-duel-v0-1", [(100, 1.0), (500, 5.0)]),
        write_run(tmp_path / "vdn-duel-v0-0", [(10, 7.0), (20, 7.0)]),
    ]  # fmt: skip
    curves = learning_curves(folders)
    assert list(curves) == ["ippo-duel-v0", "vdn-duel-v0"]
    steps, rewards = np.array(curves["ippo-duel-v0"]["agent_steps"]), np.array(curves["ippo-duel-v0"]["episode_reward"])
    assert (steps[0], steps[-1], rewards.shape) == (100, 300, (2, 100))  # as far as both have come
    np.testing.assert_allclose(rewards, [(steps - 100) / 100, steps / 100])


def test_plot_sums_up_a_folder_of_runs_and_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_TASKS, "tiny-v0", TINY)
    monkeypatch.setattr(scores, "REPETITIONS", 50)
    evaluate(("content",), ("tiny-v0",), episodes=2, seeds=2, out=tmp_path / "runs")
    curve = write_run(tmp_path / "learner-0", [(0, 1.0), (9, 2.0)])
    plot(evaluation=tmp_path / "runs", curves=(curve,), results=tmp_path / "results")
    made = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert made == json.loads((tmp_path / "runs" / "evaluation.json").read_text())
    for name in ("scores-tiny-v0.png", "curves.png"):
        assert (tmp_path / "results" / name).read_bytes().startswith(b"\x89PNG"), name


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(SystemExit, match="2"):
        plot(evaluation=tmp_path / "nowhere", results=tmp_path / "results")
    assert capsys.readouterr().err == f"error: {tmp_path / 'nowhere'} holds no runs of an evaluation\n"
    for wrong, said in (
        ({"training": tmp_path}, "holds no results of reference learners"),
        ({"curves": (tmp_path,)}, "holds no curve.json of a training run"),
    ):
        with pytest.raises(SystemExit, match="2"):
            plot(**wrong, results=tmp_path / "results")
        assert capsys.readouterr().err == f"error: {tmp_path} {said}\n"
    assert not list((tmp_path / "results").iterdir())
    (tmp_path / "results" / "curves.json").write_text("{")
    with pytest.raises(SystemExit, match="2"):
        plot(results=tmp_path / "results")
    assert "curves.json is not JSON" in capsys.readouterr().err


def test_a_tournament_takes_the_place_of_its_own_tasks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for task in ("tiny-v0", "other-v0"):
        monkeypatch.setitem(_TASKS, task, TINY)
    for i, (task, episodes) in enumerate((("tiny-v0", 2), ("other-v0", 2), ("tiny-v0", 3))):
        tournament(("random", "content"), (task,), episodes=episodes, seeds=2, out=tmp_path / str(i))
        plot(tournament=tmp_path / str(i), results=tmp_path / "results")
    stored = json.loads((tmp_path / "results" / "tournament.json").read_text())
    assert {task: result["episodes"] for task, result in stored.items()} == {"tiny-v0": 3, "other-v0": 2}
    assert stored["other-v0"] == json.loads((tmp_path / "1" / "tournament.json").read_text())["other-v0"]
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        plot(tournament=tmp_path, results=tmp_path / "results")
    assert capsys.readouterr().err == f"error: {tmp_path} holds no tournament.json of a tournament\n"


def test_nothing_is_stored_where_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(_TASKS, "duel-v0", TINY)
    monkeypatch.setattr(scores, "REPETITIONS", 50)
    evaluate(("content",), ("duel-v0",), episodes=2, seeds=2, out=tmp_path / "good")
    plot(evaluation=tmp_path / "good", results=tmp_path / "results")
    before = (tmp_path / "results" / "evaluation.json").read_bytes()
    evaluate(("content",), ("duel-v0",), episodes=2, seeds=2, metrics=False, out=tmp_path / "bare")
    tournament(("random", "greedy", "planner"), ("duel-v0",), episodes=2, seeds=2, out=tmp_path / "duels")
    (tmp_path / "broken" / "duel-v0" / "content").mkdir(parents=True)
    (tmp_path / "broken" / "duel-v0" / "content" / "0.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "curve.json").write_text("[]")
    capsys.readouterr()
    for wrong, said in (
        ({"evaluation": tmp_path / "bare"}, "some runs of duel-v0 were measured without"),
        ({"evaluation": tmp_path / "duels"}, "is the folder of a tournament, not of an evaluation"),
        ({"evaluation": tmp_path / "broken"}, "0.json holds no run"),
        ({"evaluation": tmp_path / "good", "tournament": tmp_path / "nowhere"}, "holds no tournament.json"),
        ({"curves": (tmp_path / "empty",)}, "holds no curve.json of a training run"),
    ):
        with pytest.raises(SystemExit, match="2"):
            plot(**wrong, results=tmp_path / "results")  # type: ignore[arg-type]
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
        assert (tmp_path / "results" / "evaluation.json").read_bytes() == before


def test_a_field_may_hold_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_TASKS, "tiny-v0", TINY)
    monkeypatch.setattr(scores, "REPETITIONS", 50)
    task = "tiny-v0,description=a/b"
    evaluate(("content",), (task,), episodes=2, seeds=2, out=tmp_path / "runs")
    tournament(("random", "content"), (task,), episodes=2, seeds=2, out=tmp_path / "games")
    plot(evaluation=tmp_path / "runs", tournament=tmp_path / "games", results=tmp_path / "results")
    assert list(json.loads((tmp_path / "results" / "evaluation.json").read_text())["tasks"]) == [task]
    assert {path.name for path in (tmp_path / "results").glob("*.png")} == {
        f"{kind}-tiny-v0,description=a_b.png" for kind in ("scores", "payoffs")
    }


def test_a_folder_is_shown_by_its_last_name() -> None:
    assert [brief(policy) for policy in ("greedy", "my_file:Mine", "runs/reference/item-ppo-{task}-0")] == [
        "greedy",
        "my_file:Mine",
        "item-ppo-0",
    ]


def test_spread() -> None:
    assert spread({"mean": 1.234, "half_width_95": 0.5}) == "1.23 ±0.50"
    assert spread({"mean": 1.234, "half_width_95": None}, 1) == "1.2"


def test_the_readme_holds_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "README.md"
    original = readme.README.read_text()
    copy.write_text(original.replace("higher", "typed by hand"))
    monkeypatch.setattr(readme, "README", copy)
    write_readme({path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}, tmp_path / "details.md")
    begin, end = original.index("<!-- metrics -->"), original.index("<!-- /metrics -->")
    assert original[begin:end] in copy.read_text()
    for name in ("evaluation", "learners", "algorithms", "tournament"):
        assert original.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0] in copy.read_text()
    assert (tmp_path / "details.md").read_text() == (RESULTS / "README.md").read_text()


def test_sections_need_their_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "README.md"
    copy.write_text("a <!-- x -->old<!-- /x --> b")
    monkeypatch.setattr(readme, "README", copy)
    readme.write_sections({"x": "new"})
    assert copy.read_text() == "a <!-- x -->\nnew\n<!-- /x --> b"
    with pytest.raises(ValueError, match=r"README\.md has no markers <!-- y --> and <!-- /y -->"):
        readme.write_sections({"y": "new"})
