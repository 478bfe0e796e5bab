"""The site says what is so: every Python block runs as printed, the blocks of a page one after the other; every command
and option exists; every link leads somewhere; nothing has been left out of the tables."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compat.snippets import ROOT, blocks, needs, pages

PAGES = [page for page in pages() if page.name != "README.md"]
WITH_CODE = [page for page in PAGES if blocks(page)]
# Pages that train with a library in this environment, and end with what they reach beside random play.
TRAINERS = [
    ROOT / "docs" / "training" / f"{name}.md"
    for name in ("sb3", "pettingzoo", "torchrl", "rllib", "skrl", "tianshou", "openspiel")
]
# Pages that solve games, train, compile code of their own, or play long episodes.
LONG = tuple(
    f"docs/{page}"
    for page in (
        "data",
        "evaluation",
        "exact",
        "experiments",
        "extending",
        "interfaces",
        "policies",
        "training",
        "tutorials",
        "watching",
    )
)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_there_are_pages_and_code() -> None:
    assert len(PAGES) > 35
    assert sum(len(blocks(page)) for page in PAGES) > 40


@pytest.fixture
def metrics_kept() -> Iterator[None]:
    """What a page registers is forgotten after it."""
    from recsys_env.evaluation import METRICS

    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


@pytest.mark.usefixtures("registries", "metrics_kept")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=named(page), marks=[pytest.mark.slow] * named(page).startswith(LONG)) for page in WITH_CODE],
)
def test_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks of libraries that clash with the core run in environments of their own: `python -m
    benchmarks.compat.table`. A block whose first line names a file is that file. What a page shows as printed is
    printed; but what torch trains differs between processors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    missing, shown = [], outputs(page)
    for number, block in enumerate(blocks(page)):
        if needs(block) == "a GPU":  # which a machine of tests is taken not to have
            missing.append("a GPU")
            continue
        library = re.match(r"\w+", needs(block) or "")
        if library and importlib.util.find_spec(library[0]) is None:
            missing.append(library[0])
            continue
        if file := re.match(r"# (\w+)\.py\n", block):
            (tmp_path / f"{file[1]}.py").write_text(block)
            monkeypatch.delitem(sys.modules, file[1], raising=False)
        with warnings.catch_warnings():
            if library:
                warnings.simplefilter("ignore")  # the library's own, which our users see as well
            exec(compile(block, f"{named(page)} block {number}", "exec"), names)
        printed = capsys.readouterr().out
        if block in shown and "torch" not in names:
            assert printed == shown[block]
        if library and library[0] == "ray":
            sys.modules["ray"].shutdown()  # type: ignore[attr-defined]  # a script's end would
    if missing:
        pytest.skip(f"not there: {', '.join(sorted(set(missing)))}")
    if page in TRAINERS:
        assert names["trained"] > names["random"]


OUTPUT = re.compile(  # before the next block and heading
    r"^```python\n((?:(?!^```).*\n)*)^```\n(?:(?!^```|^#).*\n)*^```text\n((?:(?!^```).*\n)*)^```$", flags=re.MULTILINE
)


def outputs(page: Path) -> dict[str, str]:
    """Blocks of a page, and what it shows that they print."""
    return dict(OUTPUT.findall(page.read_text(encoding="utf-8")))


# ------------------------------------------------------------------------------------------------ commands


def commands() -> set[tuple[str, str]]:
    """(page, command line) of everything that the site and the README say to run with python -m."""
    said = set()
    for page in pages():
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"python -m ((?:recsys_env|baselines|benchmarks|tests)\b[^`\n]*)", text):
            said.add((named(page), line.split("  #")[0].split(" && ")[0].strip()))
    return said


@pytest.mark.parametrize(("page", "line"), sorted(commands()))
def test_commands_exist_and_know_their_options(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, *words = shlex.split(line)
    path = ROOT / module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), f"{page}: no module {module}"
    if module not in ("recsys_env", "baselines") or not words or not re.fullmatch(r"[a-z]+", words[0]):
        return
    pytest.importorskip("tyro")
    parser = importlib.import_module(f"{module}.__main__")
    chosen = words[:2] if words[0] == "train" and re.fullmatch(r"[a-z][a-z-]*", (*words, "")[1]) else words[:1]
    end: int | str | None = 0
    try:
        parser.main([*chosen, "--help"])
    except SystemExit as stop:
        end = stop.code
    shown = capsys.readouterr()
    if end == 2 and "pip install" in shown.err:
        pytest.skip(shown.err.strip())
    assert end in (0, None), f"{page}: {line}: {shown.err}"
    placeholders = any(word.isupper() for word in words) or ":" in (*words, "", "")[1]  # a file of the user's
    for option in (word.split("=")[0] for word in words if word.startswith("--") and not placeholders):
        assert option in shown.out, f"{page}: {module} {' '.join(chosen)} has no {option}"


# ------------------------------------------------------------------------------------------------ links and tables


def test_links_lead_to_files() -> None:
    """Sphinx checks them on the site; here also those of the README and of files beside it."""
    broken = []
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", text):
            if not ("://" in link or "_generated/" in link or (page.parent / link).exists()):
                broken.append(f"{named(page)}: {link}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "package",
    [
        "recsys_env",
        "recsys_env.evaluation",
        "recsys_env.exact",
        "recsys_env.policies",
        "recsys_env.fitting",
        "recsys_env.experiments",
    ],
)
def test_the_reference_has_every_public_name(package: str) -> None:
    pytest.importorskip("pandas" if package.endswith("fitting") else "numpy")
    reference = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    public = importlib.import_module(package).__all__
    assert [name for name in public if f"{package}.{name}\n" not in reference] == []
