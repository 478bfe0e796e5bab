"""What `python -m baselines tasks` says."""

from __future__ import annotations

import pytest

from baselines.__main__ import main
from recsys_env import TASKS, task_config
from recsys_env.config import describe

pytest.importorskip("tyro")


def test_a_task_is_described_with_all_of_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tasks", "journey-v0"])
    assert capsys.readouterr().out == describe(TASKS["journey-v0"]) + "\n"
    main(["tasks", "journey-v0,horizon=50,users.number=16"])
    assert (
        capsys.readouterr().out == describe(task_config("journey-v0", {"horizon": 50, "users": {"number": 16}})) + "\n"
    )


def test_a_task_with_a_catalogue_says_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tasks", "grocery-v0"])
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines == describe(TASKS["grocery-v0"]).splitlines()
    assert last.startswith(
        "the catalogue 'grocery' has 2434 users with up to 64 habits each, 2000 items, 32 dims, 35 topics; it comes from: 84.51 Complete Journey"
    )


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("journey", "unknown task 'journey' (did you mean 'journey-v0'?)"),
        ("duel-v0,horizn=3", "did you mean 'horizon'"),
        ("grocery-v0,users.number=3", "users.number = 3 would be ignored, since the catalogue gives it"),
    ],
)
def test_a_wrong_task_is_one_line(task: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["tasks", task])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
