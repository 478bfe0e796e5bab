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

from baselines.algorithms import ALGORITHMS, TorchPPO, find_algorithm
from baselines.options import Count
from baselines.paper import paper
from baselines.train import command, parse, train
from recsys_env.policies import registry

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


def test_a_policy_of_other_files_is_kept_as_it_was_evaluated(my_search: str, tmp_path: Path) -> None:
    found = tmp_path / "my_search.py"
    more = '        (folder / "steps.txt").write_text(str(self.agent_steps))\n\n    def resume_arrays'
    found.write_text(found.read_text().replace("\n    def resume_arrays", more))
    result = train(parse([my_search, *TINY, "--eval-episodes", "2", "--out", str(tmp_path / "run")]))
    assert int((tmp_path / "run" / "steps.txt").read_text()) == result["kept_agent_steps"] > 0


def test_a_training_that_ends_early_is_an_error(my_search: str, tmp_path: Path) -> None:
    found = tmp_path / "my_search.py"
    found.write_text(found.read_text().replace("while self.agent_steps < timesteps", "while self.agent_steps < 1"))
    with pytest.raises(RuntimeError, match=r"Searcher.learn ended after \d+ of 320 agent-steps"):
        train(parse([my_search, *TINY, "--eval-episodes", "2", "--out", str(tmp_path / "run")]))


def test_a_training_that_reports_no_point_is_an_error(my_search: str, tmp_path: Path) -> None:
    found = tmp_path / "my_search.py"
    found.write_text(found.read_text().replace("            rollout_ended(point)\n", ""))
    with pytest.raises(RuntimeError, match=r"Searcher.learn never called rollout_ended"):
        train(parse([my_search, *TINY, "--eval-episodes", "2", "--out", str(tmp_path / "run")]))


LOADER = """
    def save(self, folder):
        write_policy(folder, "my loader", self.training.make_envs(num_envs=1), {"best": self.best})


def load(folder):
    return Blind()


register_loader("my loader", load)
"""


def test_commands_that_do_not_know_the_loader_are_not_printed(
    my_search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "LOADERS", dict(registry.LOADERS))
    words = [my_search, *TINY, "--eval-episodes", "2", "--compare", "--out", str(tmp_path / "run")]
    command(words)
    assert "Compare it: python -m recsys_env evaluate" in capsys.readouterr().out
    found = tmp_path / "my_search.py"
    first = "from recsys_env.policies import register_loader\nfrom recsys_env.policies.random import Blind\n"
    first += "from recsys_env.trained.folders import write_policy\n"
    code, save = first + found.read_text(), "\n    def save(self, folder):\n"
    found.write_text(code.partition(save)[0] + "\n    def resume_arrays(self): ...\n" + LOADER)
    monkeypatch.delitem(sys.modules, "my_search")
    command(words)
    said = capsys.readouterr().out
    assert "Commands do not know the loader 'my loader' of its policy. Declare it as an entry point of the" in said
    assert "Compare it" not in said
    assert "Watch it" not in said


def test_what_is_no_algorithm_is_named(my_search: str) -> None:
    for word, said in (
        ("my_serch:RandomSearch", "there is no module 'my_serch'"),
        ("./my_search.py:RandomSearch", r"'./my_search.py' is not the name of a module; .* is my_file:MyAlgorithm"),
        ("my_search:Nothing", "module 'my_search' has no Nothing; its algorithms are RandomSearch"),
        ("my_search:Searcher", r"my_search:Searcher is .* must be a subclass of baselines.options.Algorithm"),
    ):
        with pytest.raises(ValueError, match=said):
            find_algorithm(word)


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


def test_attributes_that_a_class_lacks_are_named(my_search: str, tmp_path: Path) -> None:
    found = tmp_path / "my_search.py"
    for line in ('    name = "random-search"\n', '    library = "numpy"\n'):
        found.write_text(found.read_text().replace(line, ""))
    said = r"RandomSearch must set .* name \(its name on the command line\), library \(the module that has .*\)$"
    for ask in (find_algorithm, lambda word: parse([word, *TINY]), lambda word: paper(word, tmp_path / "paper")):
        with pytest.raises(ValueError, match=said):
            ask(my_search)


def test_an_option_that_python_would_ignore_is_refused() -> None:
    class Untyped(TorchPPO):
        n_steps = 100

    class Plain(TorchPPO):
        n_steps: Count = 100

    @dataclass(frozen=True)
    class Decorated(TorchPPO):
        n_steps = 100

    @dataclass(frozen=True)
    class Right(TorchPPO):
        n_steps: Count = 100
        kind: ClassVar[str] = "right"

    class Renamed(Right):
        name = "renamed"

    for kind in (Untyped, Plain, Decorated):
        with pytest.raises(ValueError, match=f"{kind.__name__} sets n_steps, but not as an option.* n_steps: Count = "):
            kind()
    assert Right().n_steps == Renamed().n_steps == 100
    for kind in ALGORITHMS.values():
        kind.check_class()
