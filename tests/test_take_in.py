"""How a new evaluation gets into benchmarks/results: it joins what is there, or is refused and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rich")
pytest.importorskip("pyspiel")

from benchmarks import result_files
from benchmarks.take_in import main
from recsys_env import WorldConfig
from recsys_env.config.tasks import _TASKS
from recsys_env.evaluation import evaluate, statistics, tournament

TINY = WorldConfig(
    num_agents=2,
    slots=2,
    horizon=20,
    users={"number": 3},
    candidates={"number": 6},
    items={"number": 20},
    choice={"v_0": 1.0},
)
SHORT = {"episodes": 2, "seeds": 2}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of benchmarks/results."""
    for task in ("tiny-v0", "other-v0"):
        monkeypatch.setitem(_TASKS, task, TINY)
    monkeypatch.setattr(statistics, "REPETITIONS", 50)
    monkeypatch.setattr(result_files, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def refused(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """What the command says when it ends with exit code 2: one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^2$"):
        main([str(folder)])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error.strip()


def test_an_evaluation_joins_what_is_stored(tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = evaluate(("content",), ("tiny-v0",), out=tmp_path / "first", **SHORT)
    main([str(tmp_path / "first")])
    assert capsys.readouterr().out == f"{results / 'evaluation.json'}\n"
    text = (results / "evaluation.json").read_text()
    assert text.count("\n") == 1  # compact
    assert json.loads(text) == first
    evaluate(("popularity",), ("tiny-v0", "other-v0"), out=tmp_path / "second", **SHORT)
    main([str(tmp_path / "second")])
    stored = json.loads((results / "evaluation.json").read_text())["tasks"]
    assert set(stored["tiny-v0"]["teams"]) == {"random", "planner", "content", "popularity"}
    assert set(stored["other-v0"]["teams"]) == {"random", "planner", "popularity"}
    before, after = first["tasks"]["tiny-v0"]["teams"]["content"], stored["tiny-v0"]["teams"]["content"]
    assert after == before


def test_metrics_that_came_later_wait_until_all_policies_are_played_again(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So one policy can join a task that was measured before these metrics were there."""
    stored = evaluate(("content",), ("tiny-v0",), out=tmp_path / "first", **SHORT)
    for row in stored["tasks"]["tiny-v0"]["teams"].values():
        del row["metrics"]["ctr"], row["metrics"]["ndcg"]
    (results / "evaluation.json").write_text(json.dumps(stored))
    found = evaluate(("popularity",), ("tiny-v0",), out=tmp_path / "second", **SHORT)
    capsys.readouterr()
    main([str(tmp_path / "second")])
    assert "tiny-v0: ctr, ndcg left out, which the stored rows do not have" in capsys.readouterr().out
    teams = json.loads((results / "evaluation.json").read_text())["tasks"]["tiny-v0"]["teams"]
    assert set(teams) == {"random", "planner", "content", "popularity"}
    assert teams["popularity"]["runs"] == found["tasks"]["tiny-v0"]["teams"]["popularity"]["runs"]
    assert teams["popularity"]["metrics"].keys() == stored["tasks"]["tiny-v0"]["teams"]["content"]["metrics"].keys()
    again = evaluate(("content", "popularity"), ("tiny-v0",), out=tmp_path / "all", **SHORT)
    main([str(tmp_path / "all")])
    assert json.loads((results / "evaluation.json").read_text()) == again


def test_a_tournament_takes_the_place_of_its_own_tasks_only(tmp_path: Path, results: Path) -> None:
    for i, (task, episodes) in enumerate((("tiny-v0", 2), ("other-v0", 2), ("tiny-v0", 3))):
        tournament(("random", "content"), (task,), episodes=episodes, seeds=2, out=tmp_path / str(i))
        main([str(tmp_path / str(i))])
    stored = json.loads((results / "tournament.json").read_text())
    lengths = {task: result["origin"]["settings"]["episodes"] for task, result in stored.items()}
    assert lengths == {"tiny-v0": 3, "other-v0": 2}
    assert stored["other-v0"] == json.loads((tmp_path / "1" / "tournament.json").read_text())["other-v0"]


def test_nothing_is_stored_where_something_is_wrong(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(("content",), ("tiny-v0",), out=tmp_path / "good", **SHORT)
    main([str(tmp_path / "good")])
    before = (results / "evaluation.json").read_bytes()
    evaluate(("content",), ("tiny-v0",), metrics=False, out=tmp_path / "bare", **SHORT)
    (tmp_path / "broken" / "tiny-v0" / "content").mkdir(parents=True)
    (tmp_path / "broken" / "tiny-v0" / "content" / "0.json").write_text("{}")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "tournament.json").write_text("[]")
    for folder, said in (
        ("bare", "some runs of tiny-v0 were measured without"),
        ("broken", "0.json holds no run"),
        ("damaged", "tournament.json holds no summary of its kind"),
        ("nowhere", "nowhere holds no runs of an evaluation, and no tournament.json"),
    ):
        assert said in refused(capsys, tmp_path / folder)
        assert (results / "evaluation.json").read_bytes() == before
        assert [path.name for path in results.iterdir()] == ["evaluation.json"]
    (results / "evaluation.json").write_text("{")
    assert "evaluation.json is not JSON" in refused(capsys, tmp_path / "good")


def test_a_task_may_have_a_path_in_its_name(tmp_path: Path, results: Path) -> None:
    task = "tiny-v0,description=a/b"
    evaluate(("content",), (task,), out=tmp_path / "runs", **SHORT)
    tournament(("random", "content"), (task,), out=tmp_path / "games", **SHORT)
    main([str(tmp_path / "runs"), str(tmp_path / "games")])
    assert list(json.loads((results / "evaluation.json").read_text())["tasks"]) == [task]
    (picture,) = (tmp_path / "games").glob("*.png")
    assert picture.name.startswith("tiny-v0,description=a_b-")
