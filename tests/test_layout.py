"""Arrows point one way: which module may import which, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The modules and folders of recsys_env in the order of the data flow; each imports none but those before it.
LAYERS = (
    "libraries",
    "addresses",
    "checks",
    "files",
    "config",
    "provenance",
    "cli",
    "kernels",
    "world",
    "batch",
    "cuda",
    "policies",
    "api",
    "language",
    "recsys_env",  # the package's own face: the constructors
    "adapters",
    "trained",
    "evaluation",
    "exact",
    "experiments",
    "fitting",
    "listing",
    "__main__",
)


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file of every module below a folder."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path], types: bool = False) -> Iterator[str]:
    """What a module imports, at its top and inside functions; modules that are `known` by their own names.

    Args:
        types: whether imports for types alone, or of a command, count.
    """
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if types else running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree but for `if TYPE_CHECKING` and `if __name__ == "__main__"`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test).startswith(("TYPE_CHECKING", "__name__"))):
            yield node
            yield from running(node)


def layer(name: str) -> str:
    return name.split(".")[1] if "." in name else name


@pytest.mark.parametrize(
    ("package", "others"),
    [("recsys_env", ("baselines", "benchmarks", "docs", "tests")), ("baselines", ("benchmarks", "docs", "tests"))],
)
def test_packages_import_none_that_stand_on_them(package: str, others: tuple[str, ...]) -> None:
    known = modules(package)
    back = [(n, i) for n, path in known.items() for i in imports(n, path, known) if i.split(".")[0] in others]
    assert not back


def test_the_package_names_no_learner_of_the_repository() -> None:
    """The wheel holds recsys_env alone, also where a module is looked up by its name."""
    named = re.compile(r"(?<![\w-])(baselines|benchmarks)[.:]\w")
    assert not [
        f"{path}: {found[0]}" for path in modules("recsys_env").values() if (found := named.search(path.read_text()))
    ]


def test_each_layer_imports_none_but_those_before_it() -> None:
    known = modules("recsys_env")
    assert {layer(name) for name in known} <= set(LAYERS), "a new module needs a place in LAYERS"
    back = [
        (name, imported)
        for name, path in known.items()
        for imported in imports(name, path, known)
        if imported in known and LAYERS.index(layer(imported)) > LAYERS.index(layer(name))
    ]
    assert not back


@pytest.mark.parametrize("package", ["recsys_env", "baselines", "benchmarks"])
def test_no_modules_import_each_other(package: str) -> None:
    known = modules(package)
    graph = {
        name: {i for i in imports(name, path, known, types=True) if i in known and i != name}
        for name, path in known.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
