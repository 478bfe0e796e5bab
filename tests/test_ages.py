"""No stored result is older than the code that it is about: digests are compared, not dates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import ages
from benchmarks.ages import Result
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.runs import Run, play

COMMIT, LATER = "a" * 40, "b" * 40


def test_no_stored_result_is_older_than_what_it_is_about() -> None:
    older = ages.older()
    others = [line for line in older if not line.startswith(tuple(f"{name}: " for name in ages.AWAITED))]
    assert not others, "measure again or remove (python -m benchmarks.ages):\n" + "\n".join(others)
    assert len(older) == len(ages.AWAITED), "what has been measured again is awaited no more (ages.AWAITED)"


@pytest.mark.parametrize("task", ["duel-v1", "social-v1", "coverage-v0"])
@pytest.mark.parametrize("policy", ["random", "blind", "popularity", "content", "nearest", "static", "greedy"])
def test_stored_rows_are_what_policies_earn_today(task: str, policy: str) -> None:
    """One seed of them, to the bit. Where a policy was meant to change, say so in `ages.ACTS_SINCE`, and play its rows
    again."""
    stored = json.loads((ages.RESULTS / "evaluation.json").read_text())["tasks"][task]["teams"][policy]
    settings = stored["origin"]["settings"]
    run = Run(task, policy, settings["seeds"][0] - UNSEEN, settings["episodes"], 0, False)
    assert np.mean(play(run)["individual_reward"]) == stored["runs"][0]


def test_every_stored_file_is_about_something_and_names_commits_that_are_known() -> None:
    results, known = list(ages.results()), json.loads(ages.COMMITS.read_text())
    about = {result.place.partition(" ")[0] for result in results}
    for path in ages.RESULTS.rglob("*.json"):
        assert str(path.relative_to(ages.RESULTS).with_suffix("")) in about
    unknown = sorted({commit for result in results for commit in result.commits} - known.keys())
    assert not unknown, "run python -m benchmarks.ages --fill"


def test_proofs_and_whole_files_are_of_commits(tmp_path: Path) -> None:
    assert not ages.uncommitted().keys() & {"soak", "mutants", "speed", "compatibility", "unchanged"}
    rows = {"source": {"commit": f"{COMMIT}-dirty"}, "rows": [{"commit": COMMIT}, {"stored_in": [f"{LATER}-dirty"]}]}
    (tmp_path / "some.json").write_text(json.dumps(rows))
    (tmp_path / "clean.json").write_text(json.dumps({"commit": COMMIT}))
    assert ages.uncommitted(tmp_path) == {"some": 2}


def code(text: str, path: str = "recsys_env/kernels/step.py") -> dict[str, dict[str, str]]:
    return ages.described({path: text}, {"PLAY": {}, "STATE": {}})


def test_what_is_said_about_code_is_not_the_code() -> None:
    kernel = 'def f(x):\n    """Twice x."""\n    return x + x\n'
    before = code(kernel)
    for same in ("def f(x):\n    return (x\n        + x)  # twice\n", f'"""A file."""\n\n\n{kernel}'):
        assert code(same) == before
    for other in (kernel.replace("+", "*"), kernel.replace("x + x", "x + 1"), kernel.replace("f(x)", "f(x=1)")):
        assert code(other)["areas"]["kernels"] != before["areas"]["kernels"]
    assert code(kernel, "recsys_env/policies/blind.py")["areas"] == code("", "recsys_env/policies/blind.py")["areas"]


def test_an_area_is_made_of_folders_and_files() -> None:
    area = ("recsys_env/*", "recsys_env/exact/", "recsys_env/policies/registry.py")
    inside = ("recsys_env/batch/base.py", "recsys_env/exact/game.py", "recsys_env/policies/registry.py")
    assert all(ages.within(path, area) for path in inside)
    assert not any(ages.within(path, area) for path in ("recsys_env/cuda/batch.py", "recsys_env/policies/blind.py"))
    for area in ages.AREAS.values():
        for part in area:
            assert (ages.ROOT / part.removesuffix("*")).exists()


TRAINED = {"settings": {"task": "duel-v1", "algorithm": "ppo-torch"}, "sources": [{"commit": f"{COMMIT}-dirty"}]}
FOUND: dict[str, tuple[dict[str, Any], list[Result]]] = {
    "training/ppo": (TRAINED, [Result("training/ppo", "PLAY", "duel-v1", (COMMIT,))]),
    "training/mappo": (
        {**TRAINED, "settings": {**TRAINED["settings"], "centralised": True}},
        [Result("training/mappo", kind, "duel-v1", (COMMIT,)) for kind in ("PLAY", "STATE")],
    ),
    "evidence/duel": (
        {"settings": {"task": "duel-v1"}, "commit": COMMIT, "rows": {"random": {"mean": 1}}, "weights": {"static": 2}},
        [
            Result("evidence/duel", "PLAY", "duel-v1", (COMMIT,)),
            Result("evidence/duel rows random", "policies", "random", (COMMIT,)),
        ],
    ),
    "credit": (
        {"settings": {}, "commit": LATER, "tasks": {"social-v1": {"source": {"commit": COMMIT}}}},
        [Result("credit tasks social-v1", "PLAY", "social-v1", (COMMIT,))],
    ),
    "soak": (
        {"settings": {"code": {"kernels": "0123456789"}}, "commit": COMMIT},
        [Result("soak", "areas", "kernels", (COMMIT,), "0123456789")],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_result_is_about_follows_from_its_settings_and_rows(name: str) -> None:
    stored, found = FOUND[name]
    assert list(ages.of_file(name, stored)) == found


def test_a_result_is_older_when_its_task_policy_or_code_has_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (stored, _) in FOUND.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.json").write_text(json.dumps(stored))
    now = {"PLAY": {"duel-v1": "1", "social-v1": "2"}, "STATE": {"duel-v1": "3"}, "policies": {"random": LATER}}
    now |= {"areas": {"kernels": "0123456789"}}
    monkeypatch.setattr(ages, "COMMITS", tmp_path / "commits.txt")
    monkeypatch.setattr(ages, "present", lambda: now)

    def older(then: dict[str, Any]) -> list[str]:
        ages.COMMITS.write_text(json.dumps({COMMIT: {**now, **then}}))
        return ages.older(tmp_path)

    assert older({}) == []
    assert older({"STATE": {"duel-v1": "4"}}) == [
        f"training/mappo: the global state of duel-v1 has changed since {COMMIT[:7]}"
    ]
    assert older({"policies": {}}) == [f"evidence/duel rows random: the policy random has changed since {COMMIT[:7]}"]
    assert older({"PLAY": {"duel-v1": "1"}}) == [
        f"credit tasks social-v1: what social-v1 plays has changed since {COMMIT[:7]}"
    ]
    now["areas"] = {"kernels": "9876543210"}
    assert older({}) == []  # the commit that it names only renamed code since
    assert older({"areas": {"kernels": "0123456789"}}) == [f"soak: the code of kernels has changed since {COMMIT[:7]}"]


def test_a_commit_that_only_renamed_code_makes_no_result_older(monkeypatch: pytest.MonkeyPatch) -> None:
    history = ["first", "second", "renamed^", "renamed", "last"]
    areas = {
        "first": {"pages": "1", "cuda": "1"},
        "second": {"pages": "2", "cuda": "1"},
        "renamed^": {"pages": "2", "cuda": "1"},
        "renamed": {"pages": "3", "cuda": "2"},
        "last": {"pages": "3", "cuda": "2"},
    }
    code = {commit: {"areas": of} for commit, of in areas.items()}
    monkeypatch.setattr(ages, "code_at", code.get)
    monkeypatch.setattr(ages, "includes", lambda commit, earlier: history.index(commit) >= history.index(earlier))
    monkeypatch.setattr(ages, "ACTS_SINCE", {})
    monkeypatch.setattr(ages, "RENAMED", {"renamed": ("pages",)})
    found = {commit: ages.at(commit)["areas"] for commit in history}
    assert [found[commit]["pages"] for commit in history] == ["1", "3", "3", "3", "3"]  # the first was other code
    assert [found[commit]["cuda"] for commit in history] == ["1", "1", "1", "2", "2"]
    assert code == {commit: {"areas": of} for commit, of in areas.items()}


def test_stored_digests_are_kept_while_they_are_made_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ages, "COMMITS", tmp_path / "commits.json")
    monkeypatch.setattr(ages, "results", lambda: [Result("soak", "areas", "kernels", (COMMIT, LATER))])
    monkeypatch.setattr(ages, "code_at", lambda commit: asked.append(commit) or {"areas": {}})
    monkeypatch.setattr(ages, "includes", lambda commit, earlier: True)
    for renamed, again in (({}, [COMMIT, LATER]), ({}, []), ({"c" * 40: ("kernels",)}, [COMMIT, LATER])):
        monkeypatch.setattr(ages, "RENAMED", renamed)
        asked.clear()
        ages.fill()
        assert asked == again
        assert set(json.loads(ages.COMMITS.read_text())) == {"made by", COMMIT, LATER}
