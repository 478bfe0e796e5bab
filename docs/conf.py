"""Settings of the site. Building it needs no network; warnings are errors:

pip install -e ".[docs]" && sphinx-build -W --keep-going -b html docs docs/_build/html
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import generate  # noqa: E402

import recsys_env  # noqa: E402

project = "recsys_env"
author = "recsys_env contributors"
copyright = "2026, recsys_env contributors"
version = release = recsys_env.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated/parts"]
myst_enable_extensions = ["attrs_block", "dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nitpicky = True  # a name of this package that is not in the reference is an error; those of others are not looked up
nitpick_ignore_regex = [
    ("py:.*", r"(?!recsys_env\.).*"),
    ("py:.*", r".*\._\w+|recsys_env\..*\.(Settings|World|State|Report|Array|InfosT|Config)"),
]
default_role = "literal"  # docstrings write code between single backticks
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False  # those of other libraries are in their own style
autodoc_typehints_format = "short"
autodoc_mock_imports = generate.MISSING
python_use_unqualified_type_names = True
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "recsys_env"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
pygments_style = "default"
pygments_dark_style = "monokai"


def _inline_math(writer: Any, node: Any) -> None:
    """Equations as MathML, which browsers draw by themselves: no script, no font and no request."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def _block_math(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="math-block">{convert(node.astext(), display="block")}</div>')
    raise SkipNode


def _tidy_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn plain docstrings into reStructuredText: paragraphs that are aligned with spaces become literal blocks,
    hanging indents go, and the items under `Returns:` become a list."""
    made, section = [], ""
    whole = re.sub(r"\|(\w+)\|", r"\\|\1\\|", "\n".join(lines)).strip("\n")  # |x| is a substitution
    whole = re.sub(r": ([A-Z])\.$", r": \\\1.", whole, flags=re.MULTILINE)  # B. begins a list
    for text in re.split(r"\n\s*\n", whole):
        rows = text.split("\n")
        heads = rows[0] in SECTIONS
        section = rows[0] if heads else section if rows[0].startswith(" ") else ""
        if rows[0].lstrip().startswith(("- ", "..", ":")) or (section and section != "Returns:"):
            made.append(text)
        elif section:
            made.append("\n".join([*rows[:heads], *_listed(rows[heads:])]))
        elif rows[0].startswith(" ") or any(re.search(r"\S {3,}\S", row) for row in rows):
            made.append("::\n\n" + "\n".join(f"    {row}" for row in rows))
        else:
            made.append("\n".join(row.strip() for row in rows))
    values = ("attribute", "data", "property")
    first = ["..", ""] if what in values else []  # else napoleon takes what stands before a colon for a type
    lines[:] = [*first, *"\n\n".join(made).split("\n"), ""]


SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:")


def _listed(rows: list[str]) -> list[str]:
    """The rows of a section as a list, if they are several items and some of them continue in the next row."""
    indents = {len(row) - len(row.lstrip()) for row in rows}
    aligned = any(re.search(r"\S {3,}\S", row) for row in rows)
    if len(indents) < 2 and not aligned:
        return rows
    items: list[str] = []
    for row in rows:
        if len(row) - len(row.lstrip()) == min(indents):
            items.append(f"{' ' * min(indents)}- {re.sub(r' {3,}', ': ', row.strip())}")
        else:
            items[-1] += f" {row.strip()}"
    return items


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-docstring", _tidy_docstring, priority=400)  # before napoleon
    app.connect("builder-inited", lambda app: generate.main())
