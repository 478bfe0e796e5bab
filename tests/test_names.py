"""Names of the package: no function stands where a module of the same name lies."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGES = sorted(
    init.parent
    for folder in ("recsys_env", "baselines", "benchmarks")
    for init in (Path(__file__).parent.parent / folder).rglob("__init__.py")
)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_function_shadows_its_module(package: Path) -> None:
    """`import recsys_env.evaluation.report` gives the module, whatever the package exports."""
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    exported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    exported |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not exported & modules
