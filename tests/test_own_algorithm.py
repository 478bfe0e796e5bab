"""A user's own algorithm, as the page on learners shows one."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("torch")
pytest.importorskip("tyro")

from baselines.algorithms import TorchPPO, find_algorithm
from baselines.options import Count
from baselines.train import parse, train

PAGE = Path(__file__).parent.parent / "docs" / "training" / "learners.md"
TINY = ["--task", "social-v1,horizon=20", "--sharing", "1", "--timesteps", "320", "--num-envs", "4"]


@pytest.fixture
def my_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example of the page, as a file of the user's."""
    (code,) = re.findall(r"```python\n(.*?class RandomSearch.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 60
    (tmp_path / "my_search.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_search", raising=False)
    return "my_search:RandomSearch"


def test_the_example_trains_and_its_command_repeats_it(my_search: str, tmp_path: Path) -> None:
    words = [my_search, *TINY, "--deviation", "0.3", "--eval-episodes", "2", "--compare"]
    algorithm = parse([*words, "--out", str(tmp_path / "run")])
    result = train(algorithm)
    assert (result["algorithm"], result["training"]["agent_steps"]) == ("random-search", 320)
    repeated = parse(shlex.split(result["command"])[4:])
    assert repeated.settings() == algorithm.settings()
    assert repeated.word() == my_search


def test_the_example_of_a_network_beats_random_play_and_plays_its_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(# my_network.py\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_network.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    words = ["my_network:Reinforce", "--eval-episodes", "2", "--evaluations", "1", "--num-envs", "32"]
    news = ["--task", "news-v1,slots=1,horizon=200", "--timesteps", "30000", "--compare", "random"]
    table = train(parse([*words, *news, "--out", str(tmp_path / "news")]))["table"]
    assert table["trained"]["mean"] > table["random"]["mean"]
    duel = ["--task", "duel-v1,horizon=50", "--learners", "recommender_0", "--background", "self", "--compare"]
    result = train(parse([*words, *duel, "--timesteps", "6400", "--out", str(tmp_path / "duel")]))
    assert result["background"] == {"recommender_1": "self"}
    assert (tmp_path / "duel" / "pool" / "000000003200").is_dir()


@pytest.mark.parametrize(
    ("there", "instead", "error", "said"),
    [
        (
            "while self.agent_steps < timesteps",
            "while self.agent_steps < 1",
            RuntimeError,
            r"learn ended after \d+ of 320",
        ),
        ("            rollout_ended(point)\n", "", RuntimeError, r"Searcher.learn never called rollout_ended"),
        ('    library = "numpy"\n', "", ValueError, r"RandomSearch must set .* library \(the module that has .*\)$"),
        ("RandomSearch", "Other", ValueError, "my_search:RandomSearch is None, but must be a subclass of"),
    ],
)
def test_mistakes_are_named(
    there: str, instead: str, error: type[Exception], said: str, my_search: str, tmp_path: Path
) -> None:
    found = tmp_path / "my_search.py"
    found.write_text(found.read_text().replace(there, instead))
    with pytest.raises(error, match=said):
        train(parse([my_search, *TINY, "--eval-episodes", "2", "--out", str(tmp_path / "run")]))


def test_a_file_that_is_not_there_is_named() -> None:
    for word in ("my_serch:RandomSearch", "./my_search.py:RandomSearch"):
        with pytest.raises(ValueError, match=r"there is no module .*my_file:MyAlgorithm"):
            find_algorithm(word)


def test_an_option_that_python_would_ignore_is_refused() -> None:
    class Untyped(TorchPPO):
        n_steps = 150

    class Plain(TorchPPO):
        n_steps: Count = 150

    @dataclass(frozen=True)
    class Right(TorchPPO):
        n_steps: Count = 150
        kind: ClassVar[str] = "right"

    for kind in (Untyped, Plain):
        with pytest.raises(ValueError, match=f"{kind.__name__} sets n_steps, but not as an option"):
            kind()
    assert Right().n_steps == 150
